/* contract_order.c: completions once, in order, in agreement with offers and refills; deadlines. */
#include "given.h"

#define EVENTS 40

/* Where in the order it came; fails when it did not, or twice. */
static size_t place_of(const struct world *world, const struct gw_op *op)
{
    size_t place = SIZE_MAX;

    for (size_t i = 0; i < world->came_count; i++) {
        if (world->came[i].op != op)
            continue;
        assert_int_equal(place, SIZE_MAX);
        place = i;
    }
    assert_int_not_equal(place, SIZE_MAX);
    return place;
}

static size_t place_of_offer(const struct world *world, const struct gw_accept *op)
{
    for (size_t i = 0; i < world->came_count; i++)
        if (world->came[i].offer &&
            gw_id_eq(&world->came[i].offer->deliveries[0].id, &op->deliveries[0].id))
            return i;
    fail_msg("an offer did not come");
    return 0;
}

static void test_completions_and_offers_in_order(void **state)
{
    struct world *world = *state;
    struct gw_accept *ops[EVENTS];
    const struct gw_accept *before = NULL;

    for (size_t i = 0; i < EVENTS; i++) {
        struct given given = {.event_id = "e", .lanes = LANES(1), .lane_count = 1};
        if (i % 3)
            given.event_id = NULL; /* every third one is a duplicate, but the first */
        ops[i] = accept_start(world, &given);
    }
    world_wait(world);
    for (size_t i = 0; i < EVENTS; i++) {
        assert_true(i == 0 || place_of(world, &ops[i]->op) > place_of(world, &ops[i - 1]->op));
        assert_int_equal(ops[i]->existing, i % 3 == 0 && i > 0);
        if (!ops[i]->offered)
            continue;
        assert_true(before == NULL ||
                    place_of_offer(world, ops[i]) > place_of_offer(world, before));
        before = ops[i];
    }
}

static void refill_start(struct world *world, struct gw_refill *op)
{
    *op = (struct gw_refill){
        .lane = 1,
        .after_due_ms = INT64_MIN,
        .deliveries = gw_arena_alloc(&world->arena, EVENTS * sizeof(*op->deliveries)),
        .max = EVENTS,
    };
    START(world, ledger, refill, op);
}

/* Accepts and refills in turn, all under way at once: each refill shows exactly the accepts whose
 * completions came before its own, and their offers came before it too. */
static void test_refill_behind_accepts(void **state)
{
    struct world *world = *state;
    struct gw_accept *ops[EVENTS];
    struct gw_refill refills[EVENTS];

    for (size_t i = 0; i < EVENTS; i++) {
        ops[i] = accept_start(world, &(struct given){.lanes = LANES(1), .lane_count = 1});
        refill_start(world, &refills[i]);
    }
    world_wait(world);
    for (size_t i = 0; i < EVENTS; i++) {
        size_t place = place_of(world, &refills[i].op), count = 0;
        assert_ok(refills[i].op.err);
        assert_true(refills[i].complete);
        for (size_t j = 0; j < EVENTS; j++) {
            if (place_of(world, &ops[j]->op) > place)
                continue;
            assert_delivery_equal(&refills[i].deliveries[count++], &ops[j]->deliveries[0]);
            if (world->env == world->owner)
                assert_true(place_of_offer(world, ops[j]) < place);
        }
        assert_int_equal(refills[i].count, count);
        assert_int_equal(count, i + 1);
    }
}

/* A refill on the way beside a settle: what it shows is what the completions before it said. */
static void test_refill_beside_settles(void **state)
{
    struct world *world = *state;
    struct gw_delivery d[EVENTS];
    struct gw_attempt attempts[EVENTS];
    struct gw_settle settles[EVENTS];
    struct gw_refill refills[EVENTS];

    for (size_t i = 0; i < EVENTS; i++)
        d[i] = given_delivery(world, 1, T0);
    world_forget(world);
    for (size_t i = 0; i < EVENTS; i++) {
        refill_start(world, &refills[i]);
        attempts[i] = attempt_of(&d[i], GW_OUTCOME_SUCCESS, 200);
        settles[i] =
            (struct gw_settle){.write_id = 1, .attempt = &attempts[i], .next = delivered(&d[i])};
        START(world, ledger, settle, &settles[i]);
    }
    world_wait(world);
    for (size_t i = 0; i < EVENTS; i++) {
        size_t place = place_of(world, &refills[i].op), count = 0;
        assert_ok(settles[i].op.err);
        for (size_t j = 0; j < EVENTS; j++)
            if (place_of(world, &settles[j].op) > place)
                assert_id_equal(&refills[i].deliveries[count++].id, &d[j].id);
        assert_int_equal(refills[i].count, count);
        assert_int_equal(count, EVENTS - i);
    }
}

/* A retry, a settle that puts the delivery elsewhere, and refills between them. */
static void test_refill_beside_moves(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0);
    struct gw_refill refills[3];
    struct gw_settle later = {.write_id = 1, .next = failed_until(&d, T0 + 100)};
    struct gw_attempt attempt = attempt_of(&d, GW_OUTCOME_RESET, 0);

    later.attempt = &attempt;
    refill_start(world, &refills[0]);
    START(world, ledger, settle, &later);
    refill_start(world, &refills[1]);
    struct gw_retry_op *retry = retry_start(world, &d.id);
    refill_start(world, &refills[2]);
    world_wait(world);
    assert_delivery_equal(&refills[0].deliveries[0], &d);
    assert_delivery_equal(&refills[1].deliveries[0], &later.next);
    assert_delivery_equal(&refills[2].deliveries[0], &retry->delivery);
    assert_int_equal(retry->delivery.resume_ms, T0 + 100);
    assert_true(retry->offered);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(refills[i].count, 1);
}

static void test_a_load_sees_what_was_answered(void **state)
{
    struct world *world = *state;

    for (int i = 0; i < 20; i++) {
        struct gw_accept *op =
            accept_new(world, &(struct given){.lanes = LANES(1), .lane_count = 1});
        struct gw_load load = {.message_id = op->message_id};
        assert_ok(CALL(world, ledger, load, &load));
        gw_message_unref(load.message);
        struct gw_delivery d = settled(world, &op->deliveries[0], delivered(&op->deliveries[0]));
        assert_delivery_equal(&find_row(world, &d.id)->delivery, &d);
    }
}

/* ── Deadlines ─────────────────────────────────────────────────────────────────────────────── */

static void test_a_passed_deadline_does_nothing(void **state)
{
    struct world *world = *state;
    struct gw_accept *event =
        accept_new(world, &(struct given){.lanes = LANES(1), .lane_count = 1});
    struct gw_delivery d = event->deliveries[0];
    struct gw_op late = {.deadline_us = world_now_us(world) - 1};
    struct gw_attempt attempt = attempt_of(&d, GW_OUTCOME_SUCCESS, 200);
    struct gw_message *message = gw_message_ref(event->message);

    assert_true(late.deadline_us > 0);
    world_forget(world);
    struct gw_accept accept = {.op = late,
                               .message = message,
                               .lanes = LANES(2),
                               .lane_count = 1,
                               .dedupe_ms = DAY_MS,
                               .offer = offer_make(world, message, 1)};
    struct gw_add add = {.op = late,
                         .message_id = event->message_id,
                         .key = GW_SLICE("job"),
                         .lanes = LANES(2),
                         .lane_count = 1,
                         .offer = offer_make(world, NULL, 1)};
    struct gw_settle settle = {.op = late, .write_id = 1, .attempt = &attempt};
    struct gw_retry_op retry = {
        .op = late, .delivery_id = d.id, .offer = offer_make(world, NULL, 1)};
    struct gw_claim claim = {.op = late, .delivery = d};
    struct gw_open_lanes lanes = {.op = late, .arena = &world->arena};
    struct gw_refill refill = {.op = late, .lane = 1, .deliveries = &d, .max = 1};
    struct gw_health_save save = {.op = late};

    settle.next = delivered(&d);
    save.health = (struct gw_health_row){GW_SLICE("a"), GW_SLICE("u"), GW_SLICE("{}")};
    assert_int_equal(CALL(world, ledger, accept, &accept), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, ledger, add, &add), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, ledger, settle, &settle), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, ledger, retry, &retry), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, ledger, claim, &claim), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, ledger, open_lanes, &lanes), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, ledger, refill, &refill), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, ledger, health_save, &save), GW_ERR_TIMEOUT);
    assert_false(accept.offered || add.offered || retry.offered);
    for (size_t i = 0; i < world->came_count; i++)
        assert_int_equal(world->came[i].kind, CAME_DONE);
    assert_int_equal(find_message(world, &event->message_id)->count, 1);
    assert_delivery_equal(&find_row(world, &d.id)->delivery, &event->deliveries[0]);
    assert_open(world, 1);
    offer_free(accept.offer);
    offer_free(add.offer);
    offer_free(retry.offer);
    gw_message_unref(message);
}

static void test_a_passed_deadline_shows_nothing(void **state)
{
    struct world *world = *state;
    struct gw_op late = {.deadline_us = world_now_us(world) - 1};
    struct gw_delivery d = given_delivery(world, 1, T0);
    struct gw_load load = {.op = late, .message_id = d.message_id};
    struct gw_find find = {
        .op = late, .arena = &world->arena, .key = GW_FIND_MESSAGE, .id = d.message_id, .max = 1};
    struct gw_list_op list = {.op = late, .arena = &world->arena, .state = -1, .max = 1};
    struct gw_health_load health = {.op = late, .arena = &world->arena};
    struct gw_config_load configs = {.op = late, .app_id = GW_SLICE("a")};
    struct gw_config_list page = {.op = late, .arena = &world->arena, .max = 1};
    struct gw_config_remove removal = {
        .op = late,
        .app_id = GW_SLICE("a"),
        .event_type = GW_SLICE("x"),
        .audit = given_audit("config_deleted", "a", "x"),
    };

    assert_int_equal(CALL(world, ledger, load, &load), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, ledger, find, &find), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, ledger, list, &list), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, ledger, health_load, &health), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, configs, load, &configs), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, configs, list, &page), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, configs, remove, &removal), GW_ERR_TIMEOUT);
    assert_int_equal(find.count + list.count + health.count + page.count, 0);
}

static void test_a_later_deadline_is_none(void **state)
{
    struct world *world = *state;
    struct gw_accept *event =
        accept_new(world, &(struct given){.lanes = LANES(1), .lane_count = 1});
    struct gw_load load = {.message_id = event->message_id};
    struct gw_settle settle = {.write_id = 1, .next = ended(&event->deliveries[0], GW_END_EXPIRED)};

    load.op.deadline_us = settle.op.deadline_us = world_now_us(world) + 3600 * (int64_t)1000000;
    assert_ok(CALL(world, ledger, load, &load));
    assert_ok(CALL(world, ledger, settle, &settle));
    gw_message_unref(load.message);
}

int suite_order(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_completions_and_offers_in_order), TEST(test_refill_behind_accepts),
        TEST(test_refill_beside_settles),           TEST(test_refill_beside_moves),
        TEST(test_a_load_sees_what_was_answered),   TEST(test_a_passed_deadline_does_nothing),
        TEST(test_a_passed_deadline_shows_nothing), TEST(test_a_later_deadline_is_none),
    };
    return suite_run("order", tests, gw_count(tests));
}
