/* contract_tally.c: what is counted: each side where and when it happens, in the hour of the event,
 * and never twice; and the rows, which must say the same. */
#include "given.h"

#define HOUR GW_HOUR_MS

struct counts {
    const char *app, *type;
    int64_t from_ms, to_ms; /* 0: the whole of both days around T0 */
};

/* Counts by both ways, which must agree; the sum closes. */
static struct gw_tally_op tally_of(struct world *world, struct counts counts)
{
    struct gw_tally_op op = {
        .arena = &world->arena,
        .app_id = gw_slice_from(counts.app),
        .event_type = gw_slice_from(counts.type),
        .from_ms = counts.from_ms ? counts.from_ms : T0 - DAY_MS,
        .to_ms = counts.to_ms ? counts.to_ms : T0 + DAY_MS,
        .full = true,
    };

    assert_ok(CALL(world, ledger, tally, &op));
    tally_closes(&op);
    return op;
}

static int64_t count(struct world *world, enum gw_tally_count which)
{
    struct gw_tally_op op = tally_of(world, (struct counts){0});

    return op.counted.of[which];
}

static uint64_t open_of(const struct gw_tally_op *op, uint64_t lane)
{
    for (size_t i = 0; i < op->open_count; i++)
        if (op->open[i].lane == lane)
            return op->open[i].count;
    return 0;
}

static void test_nothing(void **state)
{
    struct world *world = *state;
    struct gw_tally_op op = tally_of(world, (struct counts){0});

    for (size_t i = 0; i < GW_TALLY_COUNTS; i++)
        assert_int_equal(op.counted.of[i], 0);
    assert_int_equal(op.open_count, 0);
    assert_int_equal(op.latency.count, 0);
}

static void test_whole_hours(void **state)
{
    static const int64_t wrong[][2] = {
        {T0, T0}, {T0 + HOUR, T0}, {T0 + 1, T0 + HOUR}, {T0, T0 + HOUR + 1}, {T0, T0 + HOUR - 1}};
    struct world *world = *state;

    for (size_t i = 0; i < gw_count(wrong); i++) {
        struct gw_tally_op op = {
            .arena = &world->arena, .from_ms = wrong[i][0], .to_ms = wrong[i][1]};
        assert_int_equal(CALL(world, ledger, tally, &op), GW_ERR_INVALID);
    }
    struct gw_tally_op op = {
        .arena = &world->arena, .from_ms = 0, .to_ms = INT64_MAX / HOUR * HOUR};
    assert_ok(CALL(world, ledger, tally, &op));
}

static void test_late(void **state)
{
    struct world *world = *state;
    struct gw_tally_op op = {
        .op = {.deadline_us = 1}, .arena = &world->arena, .from_ms = T0, .to_ms = T0 + HOUR};

    assert_int_equal(CALL(world, ledger, tally, &op), GW_ERR_TIMEOUT);
}

static void test_events(void **state)
{
    static const enum gw_skip skips[] = {GW_SKIP_NO_CONFIG, GW_SKIP_INACTIVE, GW_SKIP_INACTIVE,
                                         GW_SKIP_FILTERED,  GW_SKIP_FILTERED, GW_SKIP_FILTERED};
    struct world *world = *state;

    accept_new(world, &(struct given){.lanes = LANES(1, 2), .lane_count = 2});
    accept_new(world, &(struct given){.lanes = LANES(1), .lane_count = 1});
    for (size_t i = 0; i < gw_count(skips); i++)
        accept_new(world, &(struct given){.skip = skips[i]});
    struct gw_tally_op op = tally_of(world, (struct counts){0});
    assert_int_equal(op.counted.of[GW_TALLY_RECEIVED], 8);
    assert_int_equal(op.counted.of[GW_TALLY_ROUTED], 2);
    assert_int_equal(op.counted.of[GW_TALLY_NO_CONFIG], 1);
    assert_int_equal(op.counted.of[GW_TALLY_INACTIVE], 2);
    assert_int_equal(op.counted.of[GW_TALLY_FILTERED], 3);
    assert_int_equal(op.counted.of[GW_TALLY_CREATED], 3);
    assert_int_equal(op.counted.of[GW_TALLY_REPLAYED], 0);
    assert_int_equal(open_of(&op, 1), 2);
    assert_int_equal(open_of(&op, 2), 1);
}

/* In the hour in which it came, and in nothing else. */
static void test_duplicates(void **state)
{
    struct world *world = *state;
    struct given given = {.event_id = "e", .lanes = LANES(1), .lane_count = 1};

    accept_new(world, &given);
    given.type = "other";
    given.at_ms = T0 + 2 * HOUR + 5;
    for (int i = 0; i < 3; i++) {
        struct gw_accept *again = accept_start(world, &given);
        world_wait(world);
        assert_true(again->existing);
    }
    struct gw_tally_op op = tally_of(world, (struct counts){.from_ms = T0, .to_ms = T0 + HOUR});
    assert_int_equal(op.counted.of[GW_TALLY_RECEIVED], 1);
    assert_int_equal(op.counted.of[GW_TALLY_DUPLICATE], 0);
    op = tally_of(world, (struct counts){.from_ms = T0 + 2 * HOUR, .to_ms = T0 + 3 * HOUR});
    assert_int_equal(op.counted.of[GW_TALLY_RECEIVED], 0);
    assert_int_equal(op.counted.of[GW_TALLY_DUPLICATE], 3);
    op = tally_of(world, (struct counts){.type = "other"});
    assert_int_equal(op.counted.of[GW_TALLY_DUPLICATE], 3);
    assert_int_equal(op.counted.of[GW_TALLY_CREATED], 0);
}

/* Also of events whose first one stands in the same group. */
static void test_duplicates_at_once(void **state)
{
    struct world *world = *state;
    struct given given = {.event_id = "e", .lanes = LANES(1), .lane_count = 1};

    for (int i = 0; i < 5; i++)
        accept_start(world, &given);
    world_wait(world);
    struct gw_tally_op op = tally_of(world, (struct counts){0});
    assert_int_equal(op.counted.of[GW_TALLY_RECEIVED], 1);
    assert_int_equal(op.counted.of[GW_TALLY_DUPLICATE], 4);
    assert_int_equal(open_of(&op, 1), 1);
}

static void test_ends(void **state)
{
    struct world *world = *state;
    struct gw_accept *a =
        accept_new(world, &(struct given){.lanes = LANES(1, 2, 3, 4, 5), .lane_count = 5});
    struct gw_delivery d =
        settled(world, &a->deliveries[0], failed_until(&a->deliveries[0], T0 + 10));

    assert_int_equal(count(world, GW_TALLY_CREATED), 5);
    settled(world, &d, delivered(&d));
    settled(world, &a->deliveries[1], dead(&a->deliveries[1]));
    settled(world, &a->deliveries[2], ended(&a->deliveries[2], GW_END_EXPIRED));
    settled(world, &a->deliveries[3], ended(&a->deliveries[3], GW_END_URL_REMOVED));
    for (int i = 0; i < 3; i++) {
        struct gw_tally_op op = tally_of(world, (struct counts){0});
        assert_int_equal(op.counted.of[GW_TALLY_CREATED], 5);
        assert_int_equal(op.counted.of[GW_TALLY_DELIVERED], 1);
        assert_int_equal(op.counted.of[GW_TALLY_DEAD], 2);
        assert_int_equal(op.counted.of[GW_TALLY_CANCELLED], 1);
        assert_int_equal(op.open_count, 1);
        assert_int_equal(open_of(&op, 5), 1);
        if (i > 0)
            assert_int_equal(op.latency.count, 1);
        world_reopen(world);
    }
}

/* A settle that is shown again, or refused, counts nothing. */
static void test_settled_again(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0), good = delivered(&d), bad = dead(&d);

    settled(world, &d, good);
    assert_ok(settle(world, &good, 1, true));
    assert_int_equal(settle(world, &bad, 2, false), GW_ERR_NOT_FOUND);
    assert_int_equal(count(world, GW_TALLY_DELIVERED), 1);
    assert_int_equal(count(world, GW_TALLY_DEAD), 0);
}

/* It takes the dead one back. */
static void test_retry(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0), now;
    struct gw_delivery pending = given_delivery(world, 2, T0);

    assert_ok(retry(world, &pending.id, &now));
    d = settled(world, &d, dead(&d));
    assert_int_equal(count(world, GW_TALLY_DEAD), 1);
    assert_ok(retry(world, &d.id, &now));
    assert_int_equal(count(world, GW_TALLY_DEAD), 0);
    assert_int_equal(count(world, GW_TALLY_CREATED), 2);
    d = settled(world, &now, dead(&now));
    assert_int_equal(count(world, GW_TALLY_DEAD), 1);
    assert_ok(retry(world, &d.id, &now));
    d = settled(world, &now, delivered(&now));
    assert_int_equal(count(world, GW_TALLY_DEAD), 0);
    assert_int_equal(count(world, GW_TALLY_DELIVERED), 1);
    assert_int_equal(retry(world, &d.id, &now), GW_ERR_CONFLICT);
    assert_int_equal(count(world, GW_TALLY_DELIVERED), 1);
}

/* A replay counts in the hour of its event, once, also when it is asked for again. */
static void test_added(void **state)
{
    struct world *world = *state;
    struct gw_accept *skipped = accept_new(world, &(struct given){.skip = GW_SKIP_INACTIVE});
    int64_t later_ms = T0 + 5 * HOUR;
    struct gw_delivery d = {0};

    for (int i = 0; i < 2; i++) {
        struct gw_add *add =
            add_start(world, &skipped->message_id, "job", LANES(1, 2), 2, later_ms);
        world_wait(world);
        assert_ok(add->op.err);
        if (!add->offered)
            offer_free(add->offer);
        d = add->deliveries[0];
    }
    settled(world, &d, delivered(&d));
    struct gw_tally_op op = tally_of(world, (struct counts){.from_ms = T0, .to_ms = T0 + HOUR});
    assert_int_equal(op.counted.of[GW_TALLY_RECEIVED], 1);
    assert_int_equal(op.counted.of[GW_TALLY_INACTIVE], 1);
    assert_int_equal(op.counted.of[GW_TALLY_CREATED], 2);
    assert_int_equal(op.counted.of[GW_TALLY_REPLAYED], 2);
    assert_int_equal(op.counted.of[GW_TALLY_DELIVERED], 1);
    assert_int_equal(open_of(&op, 2), 1);
    op = tally_of(world, (struct counts){.from_ms = later_ms, .to_ms = later_ms + HOUR});
    assert_int_equal(op.counted.of[GW_TALLY_CREATED], 0);
    assert_int_equal(op.open_count, 0);
}

static void test_filters(void **state)
{
    static const char *const apps[] = {"a", "ab", "\xc3\xa9"}, *const types[] = {"x", "*"};
    struct world *world = *state;
    uint64_t lane = 1;

    for (size_t hour = 0; hour < 3; hour++)
        for (size_t app = 0; app < gw_count(apps); app++)
            for (size_t type = 0; type < gw_count(types); type++, lane++)
                accept_new(world, &(struct given){.app = apps[app],
                                                  .type = types[type],
                                                  .at_ms = T0 + (int64_t)hour * HOUR + HOUR - 1,
                                                  .lanes = &lane,
                                                  .lane_count = 1});
    for (int i = 0; i < 2; i++) {
        struct gw_tally_op op = tally_of(world, (struct counts){0});
        assert_int_equal(op.counted.of[GW_TALLY_CREATED], 18);
        op = tally_of(world, (struct counts){.app = "a"});
        assert_int_equal(op.counted.of[GW_TALLY_CREATED], 6);
        assert_int_equal(op.open_count, 6);
        assert_true(gw_slice_is(op.open[3].app_id, "a"));
        op = tally_of(world, (struct counts){.app = "\xc3\xa9", .type = "*"});
        assert_int_equal(op.counted.of[GW_TALLY_RECEIVED], 3);
        op = tally_of(world, (struct counts){.from_ms = T0 + HOUR, .to_ms = T0 + 2 * HOUR});
        assert_int_equal(op.counted.of[GW_TALLY_ROUTED], 6);
        assert_int_equal(open_of(&op, 7), 1);
        assert_int_equal(open_of(&op, 6), 0);
        op = tally_of(world, (struct counts){.app = "nobody"});
        assert_int_equal(op.counted.of[GW_TALLY_RECEIVED], 0);
        op = tally_of(world, (struct counts){.type = "nothing"});
        assert_int_equal(op.open_count, 0);
        world_reopen(world);
    }
}

/* Without `full` the rows are let be. */
static void test_not_full(void **state)
{
    struct world *world = *state;
    struct gw_tally_op op = {.arena = &world->arena, .from_ms = T0, .to_ms = T0 + HOUR};

    given_delivery(world, 1, T0);
    assert_ok(CALL(world, ledger, tally, &op));
    assert_int_equal(op.counted.of[GW_TALLY_CREATED], 1);
    assert_int_equal(op.rows.of[GW_TALLY_CREATED], 0);
    assert_int_equal(open_of(&op, 1), 1);
}

static void test_latency(void **state)
{
    struct world *world = *state;

    for (int i = 1; i <= 100; i++) {
        struct gw_delivery d = given_delivery(world, 1, T0), next = delivered(&d);
        next.ended_ms = d.created_ms + i * 1000;
        settled(world, &d, next);
    }
    world_reopen(world);
    struct gw_tally_op op = tally_of(world, (struct counts){0});
    assert_int_equal(op.latency.count, 100);
    assert_in_range(op.latency.p50_ms, 47000, 53200);
    assert_in_range(op.latency.p95_ms, 89000, 101000);
    assert_in_range(op.latency.p99_ms, 93000, 105300);
    op = tally_of(world, (struct counts){.from_ms = T0 + HOUR, .to_ms = T0 + 2 * HOUR});
    assert_int_equal(op.latency.count, 0);
}

int suite_tally(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing), TEST(test_whole_hours),   TEST(test_late),
        TEST(test_events),  TEST(test_duplicates),    TEST(test_duplicates_at_once),
        TEST(test_ends),    TEST(test_settled_again), TEST(test_retry),
        TEST(test_added),   TEST(test_filters),       TEST(test_not_full),
        TEST(test_latency),
    };
    return suite_run("tally", tests, gw_count(tests));
}
