/* dynamodb_lists.c: lists and counts of one app, out of indexes. */
#include "given.h"

#include "sys/loop.h"

#include <stdio.h>

#define HOUR_MS ((int64_t)3600000)

/* ── Lists ─────────────────────────────────────────────────────────────────────────────────── */

#define EVENTS 40

/* Of app "a": an event every ten minutes, with 1 to 3 deliveries, of two types, four transactions; among
 * them skipped ones, and those of another app. One of four is delivered, one dead. */
static size_t populate(struct world *world)
{
    static const uint64_t lanes[] = {1, 2, 3};
    char event_id[16], transaction_id[16];
    size_t count = 0;

    for (int i = 0; i < EVENTS; i++) {
        snprintf(event_id, sizeof(event_id), "e%d", i);
        snprintf(transaction_id, sizeof(transaction_id), "t%d", i / 10);
        struct gw_accept *op = accept_new(world, &(struct given){
                                                     .app = "a",
                                                     .type = i % 2 ? "x" : "y",
                                                     .event_id = event_id,
                                                     .transaction_id = transaction_id,
                                                     .at_ms = T0 + i * HOUR_MS / 6,
                                                     .lanes = lanes,
                                                     .lane_count = 1 + (size_t)i % 3,
                                                 });
        count += op->lane_count;
        if (i % 4 == 1)
            settled(world, &op->deliveries[0], delivered(&op->deliveries[0]));
        if (i % 4 == 2)
            settled(world, &op->deliveries[0], dead(&op->deliveries[0]));
        if (i % 8 == 0) {
            accept_new(world, &(struct given){
                                  .app = "a", .skip = GW_SKIP_FILTERED, .at_ms = T0 + i * 60000});
            accept_new(world, &(struct given){
                                  .app = "b", .lanes = LANES(9), .lane_count = 1, .at_ms = T0});
        }
    }
    return count;
}

struct walk {
    struct gw_row rows[200];
    size_t count, pages;
};

static void walk(struct world *world, struct gw_list_op filter, struct walk *walk)
{
    walk->count = walk->pages = 0;
    filter.arena = &world->arena;
    filter.max = filter.max ? filter.max : 100;
    filter.from_ms = filter.from_ms ? filter.from_ms : T0 - HOUR_MS;
    filter.to_ms = filter.to_ms ? filter.to_ms : T0 + 9 * HOUR_MS;
    do {
        assert_ok(CALL(world, ledger, list, &filter));
        assert_true(filter.count <= filter.max && ++walk->pages < 400);
        for (size_t i = 0; i < filter.count; i++)
            walk->rows[walk->count++] = filter.rows[i];
        filter.cursor = filter.next;
    } while (filter.next.ptr);
    for (size_t i = 1; i < walk->count; i++) {
        assert_true(walk->rows[i].message->accepted_ms <= walk->rows[i - 1].message->accepted_ms);
        assert_false(gw_id_eq(&walk->rows[i].delivery.id, &walk->rows[i - 1].delivery.id));
    }
}

#define OF_A       .app_id = GW_SLICE("a")
#define COUNT(...) (walk(world, (struct gw_list_op){__VA_ARGS__}, all), all->count)

static void test_list(void **state)
{
    struct world *world = *state;
    struct walk *all = gw_arena_alloc(&world->arena, sizeof(*all));
    struct walk *paged = gw_arena_alloc(&world->arena, sizeof(*paged));
    size_t count = populate(world);

    for (size_t max = 1; max < 12; max += 5) {
        assert_int_equal(COUNT(OF_A, .state = -1), count);
        walk(world, (struct gw_list_op){OF_A, .state = -1, .max = max}, paged);
        assert_int_equal(paged->count, count);
        for (size_t i = 0; i < count; i++) {
            assert_delivery_equal(&paged->rows[i].delivery, &all->rows[i].delivery);
            assert_slice_equal(paged->rows[i].log, all->rows[i].log);
        }
    }
    assert_int_equal(COUNT(OF_A, .state = GW_DELIVERY_DELIVERED), EVENTS / 4);
    assert_int_equal(log_count(all->rows[0].log), 1);
    assert_null(all->rows[0].message->body.ptr);
    assert_int_equal(COUNT(OF_A, .state = GW_DELIVERY_DEAD), EVENTS / 4);
    assert_int_equal(COUNT(OF_A, .state = GW_DELIVERY_PENDING), count - EVENTS / 2);
    assert_int_equal(COUNT(OF_A, .state = -1, .event_type = GW_SLICE("x")), count / 2);
    assert_int_equal(COUNT(OF_A, .state = -1, .event_id = GW_SLICE("e5")), 3);
    assert_int_equal(COUNT(OF_A, .state = -1, .event_id = GW_SLICE("e")), 0);
    assert_int_equal(COUNT(OF_A, .state = -1, .transaction_id = GW_SLICE("t3")), 19);
    assert_int_equal(
        COUNT(OF_A, .state = -1, .transaction_id = GW_SLICE("t0"), .event_id = GW_SLICE("e5")), 3);
    assert_int_equal(COUNT(OF_A, .state = -1, .from_ms = T0 + HOUR_MS, .to_ms = T0 + 2 * HOUR_MS),
                     12);
    assert_int_equal(COUNT(OF_A, .state = -1, .to_ms = T0 + 1), 1);
    assert_int_equal(COUNT(OF_A, .state = -1, .from_ms = T0 + 1, .to_ms = T0 + 2), 0);
    assert_int_equal(COUNT(.app_id = GW_SLICE("b"), .state = -1), EVENTS / 8);
    assert_int_equal(COUNT(.app_id = GW_SLICE("c"), .state = -1), 0);
}

static void test_list_refuses(void **state)
{
    struct world *world = *state;
    struct gw_list_op op = {.arena = &world->arena, .state = -1, .max = 10};
    static const char *const cursors[] = {"x", "0", "00000000000000x", "\xff\xfe",
                                          "000001767225600#\xff"};

    assert_int_equal(CALL(world, ledger, list, &op), GW_ERR_INVALID); /* of all apps */
    op.app_id = GW_SLICE("a");
    for (size_t i = 0; i < gw_count(cursors); i++) {
        op.cursor = gw_slice_from(cursors[i]);
        assert_int_equal(CALL(world, ledger, list, &op), GW_ERR_INVALID);
    }
}

/* ── Counts ────────────────────────────────────────────────────────────────────────────────── */

static void test_tally(void **state)
{
    struct world *world = *state;
    int64_t count = (int64_t)populate(world);
    struct gw_tally_op op = {.arena = &world->arena,
                             .app_id = GW_SLICE("a"),
                             .from_ms = T0,
                             .to_ms = T0 + DAY_MS,
                             .full = true};
    const int64_t *of = op.counted.of;
    uint64_t open = 0;

    assert_ok(CALL(world, ledger, tally, &op));
    assert_int_equal(of[GW_TALLY_RECEIVED], EVENTS + EVENTS / 8);
    assert_int_equal(of[GW_TALLY_ROUTED], EVENTS);
    assert_int_equal(of[GW_TALLY_FILTERED], EVENTS / 8);
    assert_int_equal(of[GW_TALLY_CREATED], count);
    assert_int_equal(of[GW_TALLY_DELIVERED], EVENTS / 4);
    assert_int_equal(of[GW_TALLY_DEAD], EVENTS / 4);
    assert_int_equal(op.open_count, 3);
    for (size_t i = 0; i < op.open_count; i++)
        open += op.open[i].count;
    assert_int_equal(open, (uint64_t)count - EVENTS / 2);
    assert_int_equal(op.latency.count, EVENTS / 4);
    tally_closes(&op);

    op.event_type = GW_SLICE("x");
    op.to_ms = T0 + HOUR_MS;
    assert_ok(CALL(world, ledger, tally, &op));
    assert_int_equal(of[GW_TALLY_RECEIVED], 3);
    op.app_id = GW_SLICE("c");
    assert_ok(CALL(world, ledger, tally, &op));
    assert_int_equal(of[GW_TALLY_RECEIVED] + of[GW_TALLY_CREATED], 0);
    op.to_ms = T0 + DAY_MS + HOUR_MS; /* more than a day */
    assert_int_equal(CALL(world, ledger, tally, &op), GW_ERR_INVALID);
    op.to_ms = T0 + HOUR_MS + 1;
    assert_int_equal(CALL(world, ledger, tally, &op), GW_ERR_INVALID);
    op.to_ms = T0 + HOUR_MS;
    op.app_id = GW_SLICE("");
    assert_int_equal(CALL(world, ledger, tally, &op), GW_ERR_INVALID);
}

/* The lane of a new config of app "a". */
static uint64_t make_lane(struct world *world, const char *type)
{
    static const struct gw_guard guard = {.ports = {443}, .port_count = 1};
    struct gw_config_change change = {
        .json = gw_slice_from(gw_arena_printf(
            &world->arena,
            "{\"appId\":\"a\",\"eventType\":\"%s\",\"webhookUrl\":\"https://x.example/\"}", type)),
        .guard = &guard,
        .now_ms = T0,
        .random = {1, 2, 3},
    };
    struct gw_config_put put = {.audit = given_audit("config_updated", "a", type)};
    struct gw_error error;

    assert_ok(gw_config_create(&put.config, &change, &error));
    assert_ok(CALL(world, configs, put, &put));
    uint64_t lane = put.config->routes[0].lane;
    gw_snapshot_unref(put.snapshot);
    gw_config_unref(put.config);
    return lane;
}

static void test_open_only(void **state)
{
    struct world *world = *state;
    struct gw_tally_op op = {.arena = &world->arena,
                             .app_id = GW_SLICE("a"),
                             .to_ms = T0 + 400 * DAY_MS,
                             .open_only = true};
    uint64_t x = make_lane(world, "x"), y = make_lane(world, "y");
    struct gw_delivery d;

    for (int i = 0; i < 9; i++)
        d = given_delivery(world, x, T0 + i * DAY_MS);
    settled(world, &d, delivered(&d));
    given_delivery(world, y + 100, T0); /* of no config */
    assert_ok(CALL(world, ledger, tally, &op));
    assert_int_equal(op.open_count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(op.open[i].count, op.open[i].lane == x ? 8 : 0);
    assert_true(op.open[0].lane == x || op.open[1].lane == x);
    op.app_id = GW_SLICE("nobody");
    assert_ok(CALL(world, ledger, tally, &op));
    assert_int_equal(op.open_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_list),
        TEST(test_list_refuses),
        TEST(test_tally),
        TEST(test_open_only),
    };

    gw_sys_init();
    backend = &backend_dynamodb;
    return suite_run("lists", tests, gw_count(tests));
}
