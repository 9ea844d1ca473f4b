/* contract_last.c: what lasts: all that was answered is there after a reopening and after a crash,
 * and nothing is there by halves. */
#include "given.h"

#include <stdio.h>

static const struct gw_guard guard = {.ports = {443}, .port_count = 1};

static struct gw_snapshot *put_config(struct world *world, const char *type)
{
    struct gw_config_change change = {
        .json = gw_slice_from(gw_arena_printf(&world->arena,
                                              "{\"appId\":\"app\",\"eventType\":\"%s\","
                                              "\"webhookUrl\":\"https://example.com/\"}",
                                              type)),
        .guard = &guard,
        .now_ms = T0,
    };
    struct gw_config_put op = {.audit = given_audit("config_created", "app", type)};
    struct gw_error error;

    assert_ok(gw_config_create(&op.config, &change, &error));
    assert_ok(CALL(world, configs, put, &op));
    gw_config_unref(op.config);
    return op.snapshot;
}

static void test_reopened(void **state)
{
    struct world *world = *state;
    struct given given = {.event_id = "e",
                          .transaction_id = "t",
                          .body = "[\"\xc3\xa9\"]",
                          .lanes = LANES(1, 2, 3),
                          .lane_count = 3};
    struct gw_accept *event = accept_new(world, &given);
    struct gw_accept *skipped = accept_new(world, &(struct given){.skip = GW_SKIP_INACTIVE});
    struct gw_add *add = add_start(world, &event->message_id, "job", LANES(2), 1, T0 + 1);
    struct gw_health_save health = {
        .health = {GW_SLICE("app"), GW_SLICE("u"), GW_SLICE("{\"x\":1}")}};
    struct gw_delivery one = event->deliveries[0], two = event->deliveries[1];

    world_wait(world);
    assert_ok(CALL(world, ledger, health_save, &health));
    one = settled(world, &one, failed_until(&one, T0 + 10));
    two = settled(world, &two, delivered(&two));
    struct gw_snapshot *before = put_config(world, "x");

    for (int i = 0; i < 2; i++) {
        world_reopen(world);
        const struct gw_event_row *row = find_message(world, &event->message_id);
        assert_message_equal(row->message, event->message, true);
        assert_int_equal(row->count, 4);
        assert_delivery_equal(&row->rows[0].delivery, &one);
        assert_int_equal(log_count(row->rows[0].log), 1);
        assert_delivery_equal(&row->rows[1].delivery, &two);
        assert_delivery_equal(&row->rows[2].delivery, &event->deliveries[2]);
        assert_delivery_equal(&row->rows[3].delivery, &add->deliveries[0]);
        assert_int_equal(find_message(world, &skipped->message_id)->message->skip,
                         GW_SKIP_INACTIVE);
        assert_delivery_equal(&refill(world, 1, NULL, 1)->deliveries[0], &one);
        assert_open(world, 3);
        struct gw_health_load load = {.arena = &world->arena};
        assert_ok(CALL(world, ledger, health_load, &load));
        assert_int_equal(load.count, 1);
        assert_true(gw_slice_eq(load.items[0].json, health.health.json));
        struct gw_config_load configs = {.app_id = GW_SLICE("app")};
        assert_ok(CALL(world, configs, load, &configs));
        assert_int_equal(configs.snapshot->revision, before->revision);
        assert_int_equal(configs.snapshot->configs[0]->routes[0].lane,
                         before->configs[0]->routes[0].lane);
        gw_snapshot_unref(configs.snapshot);
    }
    gw_snapshot_unref(before);
}

/* Keys, lanes, revisions and the order of deliveries go on where they were. */
static void test_goes_on_after_reopening(void **state)
{
    struct world *world = *state;
    struct given given = {.event_id = "e", .lanes = LANES(1), .lane_count = 1};
    struct gw_accept *event = accept_new(world, &given);
    struct gw_add *add = add_start(world, &event->message_id, "job", LANES(1), 1, T0);
    struct gw_snapshot *before = put_config(world, "x");

    world_wait(world);
    world_reopen(world);
    struct gw_accept *again = accept_start(world, &given);
    struct gw_add *add_again = add_start(world, &event->message_id, "job", LANES(1), 1, T0);
    world_wait(world);
    assert_true(again->existing);
    assert_id_equal(&again->message_id, &event->message_id);
    assert_false(add_again->offered);
    assert_delivery_equal(&add_again->deliveries[0], &add->deliveries[0]);
    offer_free(add_again->offer);

    struct gw_delivery d = given_delivery(world, 1, T0);
    assert_true(d.order > add->deliveries[0].order);
    assert_false(gw_id_eq(&d.id, &event->deliveries[0].id));
    struct gw_snapshot *after = put_config(world, "y");
    assert_true(after->revision > before->revision);
    assert_int_equal(after->config_count, 2);
    uint64_t old = before->configs[0]->routes[0].lane, new = after->configs[1]->routes[0].lane;
    assert_int_equal(after->configs[0]->routes[0].lane, old);
    assert_int_not_equal(new, old);
    gw_snapshot_unref(after);
    gw_snapshot_unref(before);

    struct gw_config_remove removal = {.app_id = GW_SLICE("app"),
                                       .event_type = GW_SLICE("y"),
                                       .audit = given_audit("config_deleted", "app", "y")};
    assert_ok(CALL(world, configs, remove, &removal));
    gw_snapshot_unref(removal.snapshot);
    world_reopen(world);
    after = put_config(world, "z"); /* the highest number is gone, and is not given again */
    assert_int_not_equal(after->configs[1]->routes[0].lane, new);
    gw_snapshot_unref(after);
}

/* ── Crashes ───────────────────────────────────────────────────────────────────────────────── */

#define EVENTS 24

static struct given numbered(int i, char id[16])
{
    static const uint64_t lanes[] = {1, 2, 3};

    snprintf(id, 16, "e%d", i);
    return (struct given){.event_id = id, .lanes = lanes, .lane_count = 3};
}

/* Whole or not at all; and certainly there when it was answered. */
static void check_event(struct world *world, int i, const struct gw_accept *op)
{
    char id[16];
    struct given given = numbered(i, id);
    struct gw_find *found = find(world, GW_FIND_EVENT_ID, "app", id);

    assert_true(found->count <= 1);
    if (is_done(&op->op)) {
        assert_ok(op->op.err);
        assert_int_equal(found->count, 1);
        assert_id_equal(&found->events[0].message->id, &op->message_id);
    }
    if (found->count)
        assert_int_equal(found->events[0].count, 3);

    struct gw_accept *again = accept_start(world, &given);
    world_wait(world);
    assert_ok(again->op.err);
    assert_int_equal(again->existing, found->count);
    assert_int_equal(again->delivery_count, 3);
}

/* Half of the events are there; then settles of these and accepts of the others are cut off. */
static void crash_once(uint64_t seed)
{
    struct world *world = world_create(backend, seed);
    struct gw_accept *ops[EVENTS];
    struct gw_settle *settles = gw_arena_zalloc(&world->arena, EVENTS * sizeof(struct gw_settle));
    char id[16];

    for (int i = 0; i < EVENTS; i++) {
        struct given given = numbered(i, id);
        ops[i] = accept_start(world, &given);
        if (i == EVENTS / 2)
            world_wait(world);
        if (i <= EVENTS / 2)
            continue;
        struct gw_settle *op = &settles[i];
        *op = (struct gw_settle){
            .write_id = 1, .next = ended(&ops[i - EVENTS / 2]->deliveries[0], GW_END_EXPIRED)};
        START(world, ledger, settle, op);
    }
    for (uint64_t steps = sim_random(world->sim, 45); steps > 0 && world_step(world); steps--)
        ;
    world_crash(world);
    for (int i = EVENTS / 2 + 1; i < EVENTS; i++) {
        const struct gw_settle *op = &settles[i];
        const struct gw_row *row = find_row(world, &op->next.id);
        bool was_stored = row->delivery.state == GW_DELIVERY_DEAD;
        assert_true(was_stored || !is_done(&op->op));
        assert_ok(settle(world, &op->next, 1, false));
        assert_delivery_equal(&find_row(world, &op->next.id)->delivery, &op->next);
    }
    for (int i = 0; i < EVENTS; i++)
        check_event(world, i, ops[i]);
    size_t dead = EVENTS - EVENTS / 2 - 1;
    assert_int_equal(open_in(world, 1), EVENTS - dead);
    assert_open(world, 3 * EVENTS - dead);
    world_destroy(world);
}

static void test_crashed(void **state)
{
    (void)state;
    if (backend->on_loop)
        skip();
    for (uint64_t seed = 1; seed <= 60; seed++)
        crash_once(seed);
}

int suite_last(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reopened),
        TEST(test_goes_on_after_reopening),
        cmocka_unit_test(test_crashed),
    };
    return suite_run("last", tests, gw_count(tests));
}
