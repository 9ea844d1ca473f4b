/* contract_stats.c: what became of events, by time, app, type and URL: against what was done. */
#include "given.h"

#include <stdio.h>

#define HOUR GW_HOUR_MS
#define ONE  "https://one.example/hook"
#define TWO  "https://two.example/hook"

struct asked {
    const char *app, *type, *url;
    int64_t from_ms, to_ms; /* 0: both days around T0 */
    int64_t bucket_ms;      /* 0: an hour */
};

static struct gw_stats_op ask(struct world *world, struct asked asked)
{
    struct gw_stats_op op = {
        .arena = &world->arena,
        .app_id = gw_slice_from(asked.app),
        .event_type = gw_slice_from(asked.type),
        .url = gw_slice_from(asked.url),
        .from_ms = asked.from_ms ? asked.from_ms : T0 - DAY_MS,
        .to_ms = asked.to_ms ? asked.to_ms : T0 + 2 * DAY_MS,
        .bucket_ms = asked.bucket_ms ? asked.bucket_ms : HOUR,
    };

    assert_ok(CALL(world, ledger, stats, &op));
    return op;
}

static void expect_row(const struct gw_stats_row *row, int64_t received, int64_t skipped,
                       int64_t delivered, int64_t failed, int64_t dead)
{
    assert_int_equal(row->received, received);
    assert_int_equal(row->skipped, skipped);
    assert_int_equal(row->delivered, delivered);
    assert_int_equal(row->failed, failed);
    assert_int_equal(row->dead, dead);
}

/* The one row that there is; all zeroes: there is none. */
static void expect(struct world *world, const char *url, int64_t received, int64_t skipped,
                   int64_t delivered, int64_t failed, int64_t dead)
{
    struct gw_stats_op op = ask(world, (struct asked){.url = url});
    struct gw_stats_row none = {0};

    assert_true(op.count <= 1);
    expect_row(op.count ? op.rows : &none, received, skipped, delivered, failed, dead);
}

/* An attempt at that URL, and what comes of it. */
static struct gw_delivery tried(struct world *world, const struct gw_delivery *before,
                                const char *url, struct gw_delivery next)
{
    bool is_good = next.state == GW_DELIVERY_DELIVERED;
    struct gw_attempt attempt = attempt_of(
        before, is_good ? GW_OUTCOME_SUCCESS : GW_OUTCOME_HTTP_ERROR, is_good ? 204 : 500);
    struct gw_settle op = {
        .write_id = (uint64_t)before->attempts + 1, .attempt = &attempt, .next = next};

    attempt.url = gw_slice_from(url);
    assert_ok(CALL(world, ledger, settle, &op));
    assert_ok(CALL(world, ledger, settle, &op)); /* shown again it counts nothing */
    return next;
}

static void test_nothing(void **state)
{
    struct world *world = *state;

    assert_int_equal(ask(world, (struct asked){0}).count, 0);
    assert_int_equal(ask(world, (struct asked){.url = ONE}).count, 0);
}

static void test_whole_buckets(void **state)
{
    static const int64_t wrong[][3] = {
        {T0, T0, HOUR},
        {T0 + HOUR, T0, HOUR},
        {T0 + 1, T0 + HOUR, HOUR},
        {T0, T0 + HOUR + 1, HOUR},
        {T0 + HOUR, T0 + DAY_MS, DAY_MS},
        {T0, T0 + HOUR, 0},
    };
    struct world *world = *state;

    for (size_t i = 0; i < gw_count(wrong); i++) {
        struct gw_stats_op op = {.arena = &world->arena,
                                 .from_ms = wrong[i][0],
                                 .to_ms = wrong[i][1],
                                 .bucket_ms = wrong[i][2]};
        assert_int_equal(CALL(world, ledger, stats, &op), GW_ERR_INVALID);
    }
}

static void test_late(void **state)
{
    struct world *world = *state;
    struct gw_stats_op op = {.op = {.deadline_us = 1},
                             .arena = &world->arena,
                             .from_ms = T0,
                             .to_ms = T0 + HOUR,
                             .bucket_ms = HOUR};

    assert_int_equal(CALL(world, ledger, stats, &op), GW_ERR_TIMEOUT);
}

/* A failed attempt counts where it went, an end where the last attempt went. */
static void test_urls(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0), other = given_delivery(world, 2, T0);

    expect(world, NULL, 2, 0, 0, 0, 0);
    expect(world, ONE, 0, 0, 0, 0, 0);
    d = tried(world, &d, ONE, failed_until(&d, T0 + 10));
    d = tried(world, &d, ONE, failed_until(&d, T0 + 20));
    d = tried(world, &d, TWO, failed_until(&d, T0 + 30));
    expect(world, ONE, 0, 0, 0, 2, 0);
    expect(world, TWO, 0, 0, 0, 1, 0);
    d = tried(world, &d, ONE, delivered(&d));
    tried(world, &other, TWO, dead(&other));
    for (int i = 0; i < 2; i++) {
        expect(world, NULL, 2, 0, 1, 4, 1);
        expect(world, ONE, 0, 0, 1, 2, 0);
        expect(world, TWO, 0, 0, 0, 2, 1);
        expect(world, "https://one.example/hook?", 0, 0, 0, 0, 0);
        world_reopen(world);
    }
}

/* Without an attempt: at none, or still at that of the last one. */
static void test_ended(void **state)
{
    struct world *world = *state;
    struct gw_delivery a = given_delivery(world, 1, T0), b = given_delivery(world, 2, T0);
    struct gw_delivery c = given_delivery(world, 3, T0);

    settled(world, &a, ended(&a, GW_END_EXPIRED));
    expect(world, NULL, 3, 0, 0, 0, 1);
    expect(world, ONE, 0, 0, 0, 0, 0);
    b = tried(world, &b, ONE, failed_until(&b, T0 + 10));
    world_reopen(world);
    settled(world, &b, ended(&b, GW_END_EXPIRED));
    expect(world, ONE, 0, 0, 0, 1, 1);
    c = tried(world, &c, ONE, failed_until(&c, T0 + 10));
    settled(world, &c, ended(&c, GW_END_CONFIG_DELETED));
    expect(world, ONE, 0, 0, 0, 2, 1);
    expect(world, NULL, 3, 0, 0, 2, 2);
}

/* A dead one that is tried again is dead no more, there where it was. */
static void test_retry(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0), now;

    d = tried(world, &d, ONE, dead(&d));
    expect(world, ONE, 0, 0, 0, 1, 1);
    assert_ok(retry(world, &d.id, &now));
    expect(world, ONE, 0, 0, 0, 1, 0);
    world_reopen(world);
    d = tried(world, &now, TWO, dead(&now));
    expect(world, ONE, 0, 0, 0, 1, 0);
    expect(world, TWO, 0, 0, 0, 1, 1);
    assert_ok(retry(world, &d.id, &now));
    tried(world, &now, ONE, delivered(&now));
    expect(world, ONE, 0, 0, 1, 1, 0);
    expect(world, TWO, 0, 0, 0, 1, 0);
    expect(world, NULL, 1, 0, 1, 2, 0);
}

/* A replay counts in the bucket of its event; duplicates do not count, and make no row. */
static void test_added(void **state)
{
    struct world *world = *state;
    struct given given = {.event_id = "e", .lanes = LANES(1), .lane_count = 1};
    struct gw_accept *skipped =
        accept_new(world, &(struct given){.type = "skipped", .skip = GW_SKIP_INACTIVE});

    accept_new(world, &given);
    given.at_ms = T0 + 3 * HOUR;
    accept_start(world, &given);
    world_wait(world);
    struct gw_add *add = add_start(world, &skipped->message_id, "job", LANES(1), 1, T0 + 5 * HOUR);
    world_wait(world);
    tried(world, &add->deliveries[0], ONE, delivered(&add->deliveries[0]));
    struct gw_stats_op op = ask(world, (struct asked){0});
    assert_int_equal(op.count, 2);
    assert_true(gw_slice_is(op.rows[0].event_type, "skipped"));
    expect_row(&op.rows[0], 1, 1, 1, 0, 0);
    expect_row(&op.rows[1], 1, 0, 0, 0, 0);
    assert_int_equal(op.rows[1].bucket_ms, T0);
}

static void given_many(struct world *world)
{
    static const char *const apps[] = {"b", "a", "a\xc3\xa9"}, *const types[] = {"x", "*"};
    static const int64_t hours[] = {1, 0, 25, -1, 23, 24};

    for (size_t hour = 0; hour < gw_count(hours); hour++)
        for (size_t app = 0; app < gw_count(apps); app++)
            for (size_t type = 0; type < gw_count(types); type++)
                accept_new(world, &(struct given){.app = apps[app],
                                                  .type = types[type],
                                                  .at_ms = T0 + hours[hour] * HOUR + HOUR - 1,
                                                  .skip = GW_SKIP_FILTERED});
}

static void test_order(void **state)
{
    static const int64_t hours[] = {-1, 0, 1, 23, 24, 25};
    static const char *const apps[] = {"a", "a\xc3\xa9", "b"}, *const types[] = {"*", "x"};
    struct world *world = *state;

    given_many(world);
    struct gw_stats_op op = ask(world, (struct asked){0});
    assert_int_equal(op.count, 36);
    for (size_t i = 0; i < op.count; i++) {
        assert_int_equal(op.rows[i].bucket_ms, T0 + hours[i / 6] * HOUR);
        assert_true(gw_slice_is(op.rows[i].app_id, apps[i / 2 % 3]));
        assert_true(gw_slice_is(op.rows[i].event_type, types[i % 2]));
        expect_row(&op.rows[i], 1, 1, 0, 0, 0);
    }
}

static void test_days(void **state)
{
    static const int64_t received[] = {1, 3, 2};
    struct world *world = *state;

    given_many(world);
    struct gw_stats_op op =
        ask(world, (struct asked){.bucket_ms = DAY_MS, .app = "a\xc3\xa9", .type = "x"});
    assert_int_equal(op.count, 3);
    for (size_t i = 0; i < op.count; i++) {
        assert_int_equal(op.rows[i].bucket_ms, T0 + ((int64_t)i - 1) * DAY_MS);
        expect_row(&op.rows[i], received[i], received[i], 0, 0, 0);
    }
}

static void test_filters(void **state)
{
    struct world *world = *state;

    given_many(world);
    assert_int_equal(ask(world, (struct asked){.app = "a"}).count, 12);
    assert_int_equal(ask(world, (struct asked){.type = "*"}).count, 18);
    assert_int_equal(ask(world, (struct asked){.app = "nobody"}).count, 0);
    assert_int_equal(ask(world, (struct asked){.type = "nothing"}).count, 0);
    struct gw_stats_op op =
        ask(world, (struct asked){.app = "b", .from_ms = T0 + HOUR, .to_ms = T0 + 24 * HOUR});
    assert_int_equal(op.count, 4);
    assert_int_equal(op.rows[0].bucket_ms, T0 + HOUR);
    assert_int_equal(op.rows[3].bucket_ms, T0 + 23 * HOUR);
}

/* Each URL has its own; together they are all of them. */
static void test_latency(void **state)
{
    struct world *world = *state;

    for (int i = 1; i <= 100; i++) {
        struct gw_delivery d = given_delivery(world, 1, T0), next = delivered(&d);
        next.ended_ms = d.created_ms + i * 1000;
        tried(world, &d, i <= 10 ? ONE : TWO, next);
    }
    world_reopen(world);
    struct gw_latency all = ask(world, (struct asked){0}).rows->latency;
    assert_int_equal(all.count, 100);
    assert_in_range(all.p50_ms, 47000, 53200);
    assert_in_range(all.p99_ms, 93000, 105300);
    struct gw_latency one = ask(world, (struct asked){.url = ONE}).rows->latency;
    assert_int_equal(one.count, 10);
    assert_in_range(one.p50_ms, 4700, 5320);
    assert_in_range(one.p99_ms, 9400, 10700);
    assert_int_equal(ask(world, (struct asked){.url = TWO}).rows->latency.count, 90);
}

/* So many and no more. */
static void test_too_many(void **state)
{
    struct world *world = *state;
    struct gw_stats_op op = {
        .arena = &world->arena, .from_ms = T0 - DAY_MS, .to_ms = T0 + DAY_MS, .bucket_ms = HOUR};
    char type[16];

    for (int i = 0; i < GW_STATS_MAX; i++) {
        snprintf(type, sizeof(type), "%d", i);
        accept_start(world, &(struct given){.type = type, .skip = GW_SKIP_NO_CONFIG});
        if (i % 50 == 49) {
            world_wait(world);
            world_forget(world);
        }
    }
    assert_int_equal(ask(world, (struct asked){0}).count, GW_STATS_MAX);
    accept_new(world, &(struct given){.type = "more", .skip = GW_SKIP_NO_CONFIG});
    assert_int_equal(CALL(world, ledger, stats, &op), GW_ERR_TOO_LARGE);
    assert_int_equal(op.count, 0);
    assert_int_equal(ask(world, (struct asked){.type = "more"}).count, 1);
}

int suite_stats(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing), TEST(test_whole_buckets), TEST(test_late),    TEST(test_urls),
        TEST(test_ended),   TEST(test_retry),         TEST(test_added),   TEST(test_order),
        TEST(test_days),    TEST(test_filters),       TEST(test_latency), TEST(test_too_many),
    };
    return suite_run("stats", tests, gw_count(tests));
}
