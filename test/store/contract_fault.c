/* contract_fault.c: the fault wrapper in front of a backend: what it does to operations, and that
 * the backend's keys make a repeat, and a try again behind a lost answer, harmless. */
#include "given.h"

#include "store/fault.h"

#include <stdio.h>

struct script {
    struct gw_fault *fault;
    struct gw_ledger *ledger; /* the real ones, meanwhile */
    struct gw_configs *configs;
    struct gw_admin *admin;
    enum gw_call call;
    struct gw_fault_act act;
    int times; /* calls that this befalls */
    int befell;
};

static struct gw_fault_act choose(void *ctx, enum gw_call call, const struct gw_op *op)
{
    struct script *script = ctx;

    assert_non_null(op);
    if (call != script->call || script->times == 0)
        return (struct gw_fault_act){0};
    script->times--;
    script->befell++;
    return script->act;
}

static void wrap(struct world *world, struct script *script, gw_fault_fn *fn, void *ctx)
{
    *script =
        (struct script){.ledger = world->ledger, .configs = world->configs, .admin = world->admin};
    script->fault = gw_fault_create(world->ledger, world->configs, world->admin, fn, ctx);
    world->ledger = gw_fault_ledger(script->fault);
    world->configs = gw_fault_configs(script->fault);
    world->admin = gw_fault_admin(script->fault);
}

static void unwrap(struct world *world, struct script *script)
{
    world_wait(world);
    world->ledger = script->ledger;
    world->configs = script->configs;
    world->admin = script->admin;
    gw_fault_destroy(script->fault);
}

/* The next such call, once. */
static void befall(struct script *script, enum gw_call call, struct gw_fault_act act)
{
    script->call = call;
    script->act = act;
    script->times = 1;
}

static size_t offers_of(const struct world *world)
{
    size_t count = 0;

    for (size_t i = 0; i < world->came_count; i++)
        count += world->came[i].kind == CAME_OFFER;
    return count;
}

static const struct given keyed = {
    .event_id = "e", .lanes = (const uint64_t[]){1, 2}, .lane_count = 2};

static struct gw_accept *accept(struct world *world, const struct given *given)
{
    struct gw_accept *op = accept_start(world, given);

    world_wait(world);
    return op;
}

static void test_passes_through(void **state)
{
    struct world *world = *state;
    struct script script;

    wrap(world, &script, choose, &script);
    struct gw_accept *op = accept_new(world, &keyed);
    struct gw_delivery d = settled(world, &op->deliveries[0], delivered(&op->deliveries[0]));
    assert_delivery_equal(&find_row(world, &d.id)->delivery, &d);
    assert_int_equal(open_in(world, 2), 1);
    assert_open(world, 1);
    assert_int_equal(offers_of(world), 1);
    unwrap(world, &script);
}

/* ── Fail, delay ───────────────────────────────────────────────────────────────────────────── */

static void test_a_failure_did_nothing(void **state)
{
    struct world *world = *state;
    struct script script;
    struct gw_delivery d = given_delivery(world, 3, T0), next = delivered(&d);
    struct gw_fault_act busy = {.kind = GW_FAULT_FAIL, .err = GW_ERR_BUSY, .again_ms = 77};
    struct gw_fault_act io = {.kind = GW_FAULT_FAIL, .err = GW_ERR_IO};

    world_forget(world);
    wrap(world, &script, choose, &script);
    befall(&script, GW_CALL_ACCEPT, busy);
    struct gw_accept *op = accept(world, &keyed);
    assert_int_equal(op->op.err, GW_ERR_BUSY);
    assert_int_equal(op->op.again_ms, 77);
    assert_false(op->offered || op->existing);
    befall(&script, GW_CALL_SETTLE, io);
    assert_int_equal(settle(world, &next, 1, true), GW_ERR_IO);
    befall(&script, GW_CALL_RETRY, busy);
    assert_int_equal(retry(world, &d.id, &next), GW_ERR_BUSY);
    struct gw_load load = {.message_id = d.message_id};
    befall(&script, GW_CALL_LOAD, io);
    assert_int_equal(CALL(world, ledger, load, &load), GW_ERR_IO);
    assert_null(load.message);
    assert_int_equal(script.befell, 4);
    assert_int_equal(offers_of(world), 0);
    assert_int_equal(find(world, GW_FIND_EVENT_ID, NULL, "e")->count, 0);
    assert_delivery_equal(&find_row(world, &d.id)->delivery, &d);
    assert_false(accept_new(world, &keyed)->existing);
    unwrap(world, &script);
}

static void test_a_delay(void **state)
{
    struct world *world = *state;
    struct script script;

    wrap(world, &script, choose, &script);
    befall(&script, GW_CALL_ACCEPT, (struct gw_fault_act){.delay_ms = 30});
    int64_t began_us = world_now_us(world);
    struct gw_accept *late = accept_start(world, &keyed);
    struct gw_accept *op = accept_start(world, &keyed); /* overtakes it */
    world_wait(world);
    assert_true(world_now_us(world) - began_us >= 29000);
    assert_false(op->existing);
    assert_true(late->existing);
    assert_int_equal(offers_of(world), 1);
    unwrap(world, &script);
}

/* ── Twice ─────────────────────────────────────────────────────────────────────────────────── */

static const struct gw_fault_act twice = {.kind = GW_FAULT_REPEAT};

static void test_accept_and_add_twice(void **state)
{
    struct world *world = *state;
    struct script script;

    wrap(world, &script, choose, &script);
    befall(&script, GW_CALL_ACCEPT, twice);
    struct gw_accept *op = accept(world, &keyed);
    assert_ok(op->op.err);
    assert_false(op->existing); /* the first answer */
    assert_true(op->offered);
    assert_int_equal(offers_of(world), 1);
    assert_int_equal(find(world, GW_FIND_EVENT_ID, NULL, "e")->count, 1);

    befall(&script, GW_CALL_ADD, twice);
    struct gw_add *add = add_start(world, &op->message_id, "job", LANES(1, 5), 2, T0);
    world_wait(world);
    assert_ok(add->op.err);
    assert_true(add->offered);
    assert_int_equal(offers_of(world), 2);
    assert_int_equal(find_message(world, &op->message_id)->count, 4);

    struct given unkeyed = {.lanes = LANES(7), .lane_count = 1};
    befall(&script, GW_CALL_ACCEPT, twice); /* not keyed: not done twice */
    assert_ok(accept(world, &unkeyed)->op.err);
    assert_int_equal(open_in(world, 7), 1);
    assert_int_equal(script.befell, 3);
    unwrap(world, &script);
}

static void test_settle_and_retry_twice(void **state)
{
    struct world *world = *state;
    struct script script;
    struct gw_delivery d = given_delivery(world, 1, T0);

    wrap(world, &script, choose, &script);
    befall(&script, GW_CALL_SETTLE, twice);
    d = settled(world, &d, failed_until(&d, T0 + 10));
    befall(&script, GW_CALL_SETTLE, twice);
    d = settled(world, &d, dead(&d));
    assert_int_equal(log_count(find_row(world, &d.id)->log), 2);

    world_forget(world);
    befall(&script, GW_CALL_RETRY, twice);
    struct gw_delivery expected = d;
    assert_true(gw_delivery_retry(&expected));
    assert_ok(retry(world, &d.id, &d));
    assert_delivery_equal(&d, &expected);
    assert_delivery_equal(&find_row(world, &d.id)->delivery, &expected);
    for (size_t i = 0; i < world->came_count; i++)
        if (world->came[i].offer)
            assert_delivery_equal(&world->came[i].offer->deliveries[0], &expected);
    befall(&script, GW_CALL_SETTLE, twice);
    d = settled(world, &d, delivered(&d));
    assert_delivery_equal(&find_row(world, &d.id)->delivery, &d);
    assert_int_equal(log_count(find_row(world, &d.id)->log), 3);
    assert_open(world, 0);
    unwrap(world, &script);
}

/* ── The answer is lost ────────────────────────────────────────────────────────────────────── */

static const struct gw_fault_act lost = {.kind = GW_FAULT_LOSE};

static void test_a_lost_accept_then_again(void **state)
{
    struct world *world = *state;
    struct script script;

    wrap(world, &script, choose, &script);
    befall(&script, GW_CALL_ACCEPT, lost);
    struct gw_accept *first = accept(world, &keyed);
    assert_int_equal(first->op.err, GW_ERR_TIMEOUT);
    assert_true(first->offered); /* it is the owner's all the same */
    assert_int_equal(first->delivery_count, 0);
    struct gw_accept *again = accept(world, &keyed);
    assert_ok(again->op.err);
    assert_true(again->existing);
    assert_false(again->payload_differs);
    assert_int_equal(again->delivery_count, 2);
    assert_int_equal(offers_of(world), 1);
    assert_int_equal(find(world, GW_FIND_EVENT_ID, NULL, "e")->count, 1);

    befall(&script, GW_CALL_ADD, lost);
    struct gw_add *add = add_start(world, &again->message_id, "job", LANES(9), 1, T0);
    world_wait(world);
    assert_int_equal(add->op.err, GW_ERR_TIMEOUT);
    assert_true(add->offered);
    add = add_start(world, &again->message_id, "job", LANES(9), 1, T0);
    world_wait(world);
    assert_ok(add->op.err);
    assert_false(add->offered);
    offer_free(add->offer);
    assert_int_equal(open_in(world, 9), 1);
    unwrap(world, &script);
}

static void test_a_lost_settle_then_again(void **state)
{
    struct world *world = *state;
    struct script script;
    struct gw_delivery d = given_delivery(world, 1, T0), next = failed_until(&d, T0 + 10);
    struct gw_claim claim = {.delivery = d, .lease_ms = 1};

    wrap(world, &script, choose, &script);
    befall(&script, GW_CALL_CLAIM, lost);
    assert_int_equal(CALL(world, ledger, claim, &claim), GW_ERR_TIMEOUT);
    assert_int_equal(claim.write_id, 0);
    befall(&script, GW_CALL_SETTLE, lost);
    assert_int_equal(settle(world, &next, 1, true), GW_ERR_TIMEOUT);
    assert_ok(settle(world, &next, 1, true));
    assert_int_equal(log_count(find_row(world, &d.id)->log), 1);
    d = next;
    next = delivered(&d);
    befall(&script, GW_CALL_SETTLE, lost);
    assert_int_equal(settle(world, &next, 2, true), GW_ERR_TIMEOUT);
    assert_ok(settle(world, &next, 2, true));
    assert_delivery_equal(&find_row(world, &d.id)->delivery, &next);
    assert_int_equal(log_count(find_row(world, &d.id)->log), 2);
    unwrap(world, &script);
}

static void test_lost_reads_leave_nothing(void **state)
{
    struct world *world = *state;
    struct script script;
    struct gw_delivery d = given_delivery(world, 1, T0), room[1];
    struct gw_load load = {.message_id = d.message_id};
    struct gw_refill refill = {.lane = 1, .after_due_ms = INT64_MIN, .deliveries = room, .max = 1};
    struct gw_list_op list = {.arena = &world->arena, .state = -1, .max = 1};
    struct gw_config_load configs = {.app_id = GW_SLICE("a")};

    wrap(world, &script, choose, &script);
    befall(&script, GW_CALL_LOAD, lost);
    assert_int_equal(CALL(world, ledger, load, &load), GW_ERR_TIMEOUT);
    assert_null(load.message);
    befall(&script, GW_CALL_REFILL, lost);
    assert_int_equal(CALL(world, ledger, refill, &refill), GW_ERR_TIMEOUT);
    assert_int_equal(refill.count, 0);
    assert_false(refill.complete);
    befall(&script, GW_CALL_LIST, lost);
    assert_int_equal(CALL(world, ledger, list, &list), GW_ERR_TIMEOUT);
    assert_int_equal(list.count, 0);
    assert_null(list.next.ptr);
    befall(&script, GW_CALL_CONFIG_LOAD, lost);
    assert_int_equal(CALL(world, configs, load, &configs), GW_ERR_TIMEOUT);
    assert_null(configs.snapshot);
    assert_int_equal(script.befell, 4);
    unwrap(world, &script);
}

static void test_a_lost_config_then_again(void **state)
{
    static const struct gw_guard guard = {.ports = {443}, .port_count = 1};
    struct world *world = *state;
    struct script script;
    struct gw_config_change change = {
        .json = GW_SLICE("{\"appId\":\"a\",\"eventType\":\"x\","
                         "\"webhookUrl\":\"https://example.com/\"}"),
        .guard = &guard,
        .now_ms = T0,
    };
    struct gw_config_put put = {.audit = given_audit("config_created", "a", "x")};
    struct gw_config_remove removal = {.app_id = GW_SLICE("a"),
                                       .event_type = GW_SLICE("x"),
                                       .audit = given_audit("config_deleted", "a", "x")};
    struct gw_config_list list = {.arena = &world->arena, .max = 5};
    struct gw_error error;

    wrap(world, &script, choose, &script);
    assert_ok(gw_config_create(&put.config, &change, &error));
    befall(&script, GW_CALL_CONFIG_PUT, twice); /* not keyed: not done twice */
    assert_ok(CALL(world, configs, put, &put));
    gw_snapshot_unref(put.snapshot);
    befall(&script, GW_CALL_CONFIG_LIST, lost);
    assert_int_equal(CALL(world, configs, list, &list), GW_ERR_TIMEOUT);
    assert_int_equal(list.count, 0);
    befall(&script, GW_CALL_CONFIG_REMOVE, lost);
    assert_int_equal(CALL(world, configs, remove, &removal), GW_ERR_TIMEOUT);
    assert_null(removal.snapshot);
    assert_int_equal(CALL(world, configs, remove, &removal), GW_ERR_NOT_FOUND); /* it was done */
    befall(&script, GW_CALL_CONFIG_PUT, lost);
    assert_int_equal(CALL(world, configs, put, &put), GW_ERR_TIMEOUT);
    assert_null(put.snapshot);
    assert_int_equal(CALL(world, configs, put, &put), GW_ERR_EXISTS);
    assert_int_equal(script.befell, 4);
    gw_config_unref(put.config);
    unwrap(world, &script);
}

static void test_admin_misbehaves(void **state)
{
    struct world *world = *state;
    struct script script;
    struct gw_audit audit = given_audit("key_created", "app", "key_1");
    struct gw_key_put put = {
        .key = {.id = "key_1", .appid = GW_SLICE("app"), .roles = GW_ROLE_CLIENT}, .audit = audit};
    struct gw_key_remove removal = {
        .id = GW_SLICE("key_1"), .audit = audit, .arena = &world->arena};
    struct gw_key_find find = {.appid = GW_SLICE("app"), .arena = &world->arena};
    struct gw_key_list keys = {.max = 1, .arena = &world->arena};
    struct gw_audit_add line = {.audit = audit};
    struct gw_audit_list lines = {.max = 10, .arena = &world->arena};

    wrap(world, &script, choose, &script);
    befall(&script, GW_CALL_KEY_PUT,
           (struct gw_fault_act){.kind = GW_FAULT_FAIL, .err = GW_ERR_IO});
    assert_int_equal(CALL(world, admin, key_put, &put), GW_ERR_IO);
    befall(&script, GW_CALL_KEY_PUT, lost);
    assert_int_equal(CALL(world, admin, key_put, &put), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, admin, key_put, &put), GW_ERR_EXISTS); /* it was done */
    befall(&script, GW_CALL_KEY_FIND, lost);
    assert_int_equal(CALL(world, admin, key_find, &find), GW_ERR_TIMEOUT);
    befall(&script, GW_CALL_KEY_LIST, lost);
    assert_int_equal(CALL(world, admin, key_list, &keys), GW_ERR_TIMEOUT);
    befall(&script, GW_CALL_AUDIT_ADD, twice); /* not keyed: not done twice */
    assert_ok(CALL(world, admin, audit_add, &line));
    befall(&script, GW_CALL_KEY_REMOVE, lost);
    assert_int_equal(CALL(world, admin, key_remove, &removal), GW_ERR_TIMEOUT);
    assert_string_equal(removal.key.id, "");
    assert_int_equal(CALL(world, admin, key_remove, &removal), GW_ERR_NOT_FOUND);
    befall(&script, GW_CALL_AUDIT_LIST, lost);
    lines.max = 1;
    assert_int_equal(CALL(world, admin, audit_list, &lines), GW_ERR_TIMEOUT);
    assert_int_equal(lines.next, 0);
    assert_int_equal(find.count + keys.count + lines.count, 0);
    assert_false(keys.more);
    lines.max = 10;
    assert_ok(CALL(world, admin, audit_list, &lines));
    assert_int_equal(lines.count, 3); /* created, added, removed */
    assert_int_equal(script.befell, 7);
    unwrap(world, &script);
}

/* ── Everything at once ────────────────────────────────────────────────────────────────────── */

static void settle_stubbornly(struct world *world, struct gw_delivery d)
{
    struct gw_delivery next = failed_until(&d, T0 + 10);

    while (settle(world, &next, 1, true) != GW_OK)
        ;
    d = next;
    next = delivered(&d);
    while (settle(world, &next, 2, true) != GW_OK)
        ;
    assert_delivery_equal(&find_row(world, &d.id)->delivery, &next);
    assert_int_equal(log_count(find_row(world, &d.id)->log), 2);
}

/* Whatever befalls, who tries again until it works has everything done exactly once. */
static void test_stubborn_against_the_odds(void **state)
{
    struct world *world = *state;
    struct script script;
    struct gw_fault_odds odds = {.seed = world->seed,
                                 .delay = 2000,
                                 .fail = 1500,
                                 .repeat = 2000,
                                 .lose = 1500,
                                 .delay_ms_max = 3,
                                 .again_ms = 5};

    wrap(world, &script, gw_fault_by_odds, &odds);
    for (int i = 0; i < 60; i++) {
        struct given given = keyed;
        struct gw_accept *op;
        char id[16];
        snprintf(id, sizeof(id), "e%d", i);
        given.event_id = id;
        do {
            op = accept(world, &given);
            assert_true(op->op.err == GW_OK || gw_err_class(op->op.err) == GW_CLASS_AGAIN);
        } while (op->op.err != GW_OK);
        assert_int_equal(op->delivery_count, 2);

        struct gw_ledger *faulty = world->ledger;
        world->ledger = script.ledger;
        assert_int_equal(find(world, GW_FIND_EVENT_ID, "app", id)->count, 1);
        world->ledger = faulty;
    }
    assert_int_equal(offers_of(world), 60);
    unwrap(world, &script);
    struct gw_refill *open = refill(world, 1, NULL, ROOM);
    assert_int_equal(open->count, 60);
    struct script again;
    wrap(world, &again, choose, &again);
    for (size_t i = 0; i < open->count; i++) {
        befall(&again, GW_CALL_SETTLE, i % 2 ? lost : twice);
        settle_stubbornly(world, open->deliveries[i]);
    }
    unwrap(world, &again);
    assert_int_equal(open_in(world, 1), 0);
    assert_open(world, 60);
}

int suite_fault(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_passes_through),
        TEST(test_a_failure_did_nothing),
        TEST(test_a_delay),
        TEST(test_accept_and_add_twice),
        TEST(test_settle_and_retry_twice),
        TEST(test_a_lost_accept_then_again),
        TEST(test_a_lost_settle_then_again),
        TEST(test_lost_reads_leave_nothing),
        TEST(test_admin_misbehaves),
        TEST(test_a_lost_config_then_again),
        TEST(test_stubborn_against_the_odds),
    };
    return suite_run("fault", tests, gw_count(tests));
}
