/* contract_accept.c: accept and add: what is stored, what is new, what is a duplicate, what is
 * offered. */
#include "given.h"

static void assert_new(const struct gw_delivery *d, const struct gw_id *message_id, uint64_t lane,
                       int64_t at_ms)
{
    assert_true(d->id.len > 0 && d->id.len <= GW_ID_BYTES_MAX);
    assert_id_equal(&d->message_id, message_id);
    assert_int_equal(d->lane, lane);
    assert_int_equal(d->state, GW_DELIVERY_PENDING);
    assert_int_equal(d->reason, GW_END_NONE);
    assert_int_equal(d->attempts, 0);
    assert_int_equal(d->step, 0);
    assert_int_equal(d->due_ms, at_ms);
    assert_int_equal(d->resume_ms, 0);
    assert_int_equal(d->created_ms, at_ms);
    assert_int_equal(d->ended_ms, 0);
}

static const struct gw_offer *only_offer(const struct world *world)
{
    const struct gw_offer *offer = NULL;

    for (size_t i = 0; i < world->came_count; i++) {
        if (world->came[i].kind != CAME_OFFER)
            continue;
        assert_null(offer);
        offer = world->came[i].offer;
    }
    return offer;
}

static void test_stores_and_offers(void **state)
{
    struct world *world = *state;
    struct gw_accept *op = accept_new(
        world, &(struct given){.event_id = "e", .lanes = LANES(7, 5, 9), .lane_count = 3});

    assert_id_equal(&op->message->id, &op->message_id);
    assert_false(op->payload_differs);
    assert_true(op->offered);
    for (size_t i = 0; i < 3; i++) {
        assert_new(&op->deliveries[i], &op->message_id, op->lanes[i], T0);
        assert_true(i == 0 || op->deliveries[i].order > op->deliveries[i - 1].order);
        assert_int_equal(open_in(world, op->lanes[i]), 1);
    }
    const struct gw_offer *offer = only_offer(world);
    assert_non_null(offer);
    assert_int_equal(offer->count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_delivery_equal(&offer->deliveries[i], &op->deliveries[i]);
    const struct gw_event_row *row = find_message(world, &op->message_id);
    assert_int_equal(row->count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_delivery_equal(&row->rows[i].delivery, &op->deliveries[i]);
    assert_open(world, 3);
}

static void test_ids_are_distinct_and_have_text(void **state)
{
    struct world *world = *state;
    struct gw_id ids[60];
    size_t count = 0;

    for (int i = 0; i < 20; i++) {
        struct gw_accept *op =
            accept_new(world, &(struct given){.lanes = LANES(1, 2), .lane_count = 2});
        ids[count++] = op->message_id;
        ids[count++] = op->deliveries[0].id;
        ids[count++] = op->deliveries[1].id;
    }
    for (size_t i = 0; i < count; i++) {
        char text[GW_ID_TEXT_MAX];
        struct gw_id back;
        assert_true(gw_id_parse(GW_ID_DELIVERY, gw_id_text(GW_ID_DELIVERY, &ids[i], text), &back));
        assert_id_equal(&back, &ids[i]);
        for (size_t j = 0; j < i; j++)
            assert_false(gw_id_eq(&ids[i], &ids[j]));
    }
}

static void test_as_many_lanes_as_there_may_be(void **state)
{
    struct world *world = *state;
    uint64_t lanes[GW_CONFIG_WORKFLOW_URLS_MAX];

    for (size_t i = 0; i < gw_count(lanes); i++)
        lanes[i] = 100 + i;
    lanes[3] = INT64_MAX;
    struct gw_accept *op =
        accept_new(world, &(struct given){.lanes = lanes, .lane_count = gw_count(lanes)});
    for (size_t i = 0; i < gw_count(lanes); i++)
        assert_new(&op->deliveries[i], &op->message_id, lanes[i], T0);
    assert_int_equal(find_message(world, &op->message_id)->count, gw_count(lanes));
}

/* ── Duplicates ────────────────────────────────────────────────────────────────────────────── */

static struct gw_accept *accept_again(struct world *world, const struct given *given)
{
    struct gw_accept *op = accept_start(world, given);

    world_wait(world);
    assert_ok(op->op.err);
    return op;
}

static void assert_existing(const struct gw_accept *op, const struct gw_accept *first)
{
    assert_true(op->existing);
    assert_false(op->offered);
    assert_id_equal(&op->message_id, &first->message_id);
    assert_int_equal(op->message->id.len, 0);
    assert_int_equal(op->delivery_count, first->lane_count);
    for (size_t i = 0; i < op->delivery_count; i++)
        assert_id_equal(&op->deliveries[i].id, &first->deliveries[i].id);
}

static void test_repeated(void **state)
{
    struct world *world = *state;
    struct given given = {.event_id = "e", .lanes = LANES(1, 2), .lane_count = 2, .body = "[1]"};
    struct gw_accept *first = accept_new(world, &given);

    struct gw_delivery now =
        settled(world, &first->deliveries[1], delivered(&first->deliveries[1]));
    world_forget(world);
    struct gw_accept *op = accept_again(world, &given);
    assert_existing(op, first);
    assert_false(op->payload_differs);
    assert_delivery_equal(&op->deliveries[0], &first->deliveries[0]);
    assert_delivery_equal(&op->deliveries[1], &now); /* as they stand */
    assert_null(only_offer(world));

    given.body = "[2]";
    op = accept_again(world, &given);
    assert_existing(op, first);
    assert_true(op->payload_differs);
    given.lanes = LANES(3); /* routed otherwise by now: the stored route holds */
    given.lane_count = 1;
    assert_existing(accept_again(world, &given), first);
    assert_int_equal(open_in(world, 3), 0);
    assert_int_equal(find(world, GW_FIND_EVENT_ID, "app", "e")->count, 1);
    assert_open(world, 1);
}

static void test_window(void **state)
{
    struct world *world = *state;
    struct given given = {.event_id = "e", .lanes = LANES(1), .lane_count = 1, .dedupe_ms = 1000};
    struct gw_accept *first = accept_new(world, &given);

    given.at_ms = T0 + 999;
    assert_existing(accept_again(world, &given), first);
    given.at_ms = T0 - 50; /* somebody has set the clock back */
    assert_existing(accept_again(world, &given), first);
    given.at_ms = T0 + 1001;
    struct gw_accept *second = accept_new(world, &given);
    assert_false(gw_id_eq(&second->message_id, &first->message_id));
    given.at_ms = T0 + 1500;
    assert_existing(accept_again(world, &given), second);
}

static void test_another_app_or_key_is_another_event(void **state)
{
    struct world *world = *state;
    struct given given = {.lanes = LANES(1), .lane_count = 1};

    given.app = "ab", given.event_id = "c";
    accept_new(world, &given);
    given.app = "a", given.event_id = "bc";
    accept_new(world, &given);
    given.app = "ab", given.event_id = "C";
    accept_new(world, &given);
    given.app = "abc", given.event_id = NULL;
    for (int i = 0; i < 3; i++)
        accept_new(world, &given); /* no key: never a duplicate */
    given.app = "ab", given.event_id = "d", given.transaction_id = "c";
    accept_new(world, &given);
}

static void test_a_skip_does_not_block(void **state)
{
    struct world *world = *state;
    struct given skip = {.event_id = "e", .skip = GW_SKIP_FILTERED};
    struct given routed = {.event_id = "e", .lanes = LANES(1), .lane_count = 1};
    struct gw_accept *skipped = accept_new(world, &skip);

    assert_false(skipped->offered);
    accept_new(world, &skip);
    struct gw_accept *first = accept_new(world, &routed);
    assert_existing(accept_again(world, &routed), first);
    assert_existing(accept_again(world, &skip), first); /* it was routed already */
    assert_int_equal(find(world, GW_FIND_EVENT_ID, "app", "e")->count, 3);
    assert_int_equal(find_message(world, &skipped->message_id)->count, 0);
}

static void test_skip_reasons_are_kept(void **state)
{
    struct world *world = *state;

    for (enum gw_skip skip = GW_SKIP_NO_CONFIG; skip <= GW_SKIP_FILTERED; skip++) {
        struct gw_accept *op = accept_new(world, &(struct given){.event_id = "e", .skip = skip});
        assert_int_equal(find_message(world, &op->message_id)->message->skip, skip);
    }
}

static void test_repeated_inside_one_group(void **state)
{
    struct world *world = *state;
    struct given given = {.event_id = "e", .lanes = LANES(1, 2), .lane_count = 2};
    struct gw_accept *ops[10];
    const struct gw_accept *first = NULL;

    for (size_t i = 0; i < gw_count(ops); i++) {
        given.body = i % 2 ? "[1]" : "[0]";
        ops[i] = accept_start(world, &given);
    }
    world_wait(world);
    for (size_t i = 0; i < gw_count(ops); i++) {
        assert_ok(ops[i]->op.err);
        if (!ops[i]->existing) {
            assert_null(first);
            first = ops[i];
        }
    }
    assert_non_null(first);
    for (size_t i = 0; i < gw_count(ops); i++) {
        if (ops[i] == first)
            continue;
        assert_existing(ops[i], first);
        assert_int_equal(ops[i]->payload_differs,
                         !gw_slice_eq(ops[i]->message->body, first->message->body));
    }
    assert_int_equal(only_offer(world)->count, 2);
    assert_int_equal(open_in(world, 1), 1);
}

/* ── Add ───────────────────────────────────────────────────────────────────────────────────── */

static struct gw_add *add(struct world *world, const struct gw_id *message_id, const char *key,
                          const uint64_t *lanes, size_t lane_count)
{
    struct gw_add *op = add_start(world, message_id, key, lanes, lane_count, T0 + 77);

    world_wait(world);
    if (!op->offered)
        offer_free(op->offer);
    return op;
}

static void test_add(void **state)
{
    struct world *world = *state;
    struct gw_accept *event =
        accept_new(world, &(struct given){.lanes = LANES(1), .lane_count = 1});

    world_forget(world);
    struct gw_add *op = add(world, &event->message_id, "job", LANES(1, 4), 2);
    assert_ok(op->op.err);
    assert_int_equal(op->delivery_count, 2);
    assert_new(&op->deliveries[0], &event->message_id, 1, T0 + 77);
    assert_new(&op->deliveries[1], &event->message_id, 4, T0 + 77);
    assert_true(op->deliveries[0].order > event->deliveries[0].order);
    assert_int_equal(only_offer(world)->count, 2);
    assert_delivery_equal(&only_offer(world)->deliveries[1], &op->deliveries[1]);
    assert_int_equal(open_in(world, 1), 2);

    const struct gw_event_row *row = find_message(world, &event->message_id);
    assert_int_equal(row->count, 3);
    assert_delivery_equal(&row->rows[0].delivery, &event->deliveries[0]);
    assert_delivery_equal(&row->rows[1].delivery, &op->deliveries[0]);
    assert_delivery_equal(&row->rows[2].delivery, &op->deliveries[1]);
}

static void test_add_repeated(void **state)
{
    struct world *world = *state;
    struct gw_accept *event =
        accept_new(world, &(struct given){.event_id = "e", .lanes = LANES(1), .lane_count = 1});
    struct gw_add *first = add(world, &event->message_id, "job", LANES(1, 4), 2);
    struct gw_delivery now =
        settled(world, &first->deliveries[1], delivered(&first->deliveries[1]));

    world_forget(world);
    struct gw_add *op = add(world, &event->message_id, "job", LANES(1, 4), 2);
    assert_ok(op->op.err);
    assert_false(op->offered);
    assert_int_equal(op->delivery_count, 2);
    assert_delivery_equal(&op->deliveries[0], &first->deliveries[0]);
    assert_delivery_equal(&op->deliveries[1], &now);

    op = add(world, &event->message_id, "job", LANES(4, 5), 2); /* one of them is new */
    assert_ok(op->op.err);
    assert_delivery_equal(&op->deliveries[0], &now);
    assert_new(&op->deliveries[1], &event->message_id, 5, T0 + 77);
    assert_int_equal(only_offer(world)->count, 1);
    assert_delivery_equal(&only_offer(world)->deliveries[0], &op->deliveries[1]);

    op = add(world, &event->message_id, "another job", LANES(1), 1);
    assert_false(gw_id_eq(&op->deliveries[0].id, &first->deliveries[0].id));
    assert_int_equal(find_message(world, &event->message_id)->count, 5);

    /* A duplicate event answers with what accept made, not with what jobs did. */
    struct gw_accept *again =
        accept_again(world, &(struct given){.event_id = "e", .lanes = LANES(1), .lane_count = 1});
    assert_existing(again, event);
}

static void test_add_to_a_skipped_event(void **state)
{
    struct world *world = *state;
    struct gw_accept *event = accept_new(world, &(struct given){.skip = GW_SKIP_INACTIVE});
    struct gw_add *op = add(world, &event->message_id, "job", LANES(3), 1);

    assert_ok(op->op.err);
    assert_true(op->offered);
    assert_int_equal(open_in(world, 3), 1);
    assert_int_equal(find_message(world, &event->message_id)->message->skip, GW_SKIP_INACTIVE);
}

static void test_add_refuses(void **state)
{
    struct world *world = *state;
    struct gw_accept *event =
        accept_new(world, &(struct given){.lanes = LANES(1), .lane_count = 1});
    struct gw_id nobody = {.len = event->message_id.len, .bytes = {1, 2, 3}};
    char long_key[66] = {0};

    memset(long_key, 'k', 65);
    assert_int_equal(add(world, &nobody, "job", LANES(1), 1)->op.err, GW_ERR_NOT_FOUND);
    assert_int_equal(add(world, &event->deliveries[0].id, "job", LANES(1), 1)->op.err,
                     GW_ERR_NOT_FOUND);
    assert_int_equal(add(world, &event->message_id, long_key, LANES(1), 1)->op.err, GW_ERR_INVALID);
    assert_ok(add(world, &event->message_id, long_key + 1, LANES(1), 1)->op.err);
    assert_int_equal(open_in(world, 1), 2);
}

/* ── Ceilings ──────────────────────────────────────────────────────────────────────────────── */

static void test_a_full_queue_refuses_accepts_alone(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0);
    struct gw_settle late = {.write_id = 1, .next = ended(&d, GW_END_EXPIRED)};
    size_t count = world->backend->queue_max + 10, busy = 0, stored = 0;

    assert_true(count < WATCHED_MAX / 2);
    world_forget(world);
    struct gw_accept **ops = gw_arena_alloc(&world->arena, count * sizeof(struct gw_accept *));
    for (size_t i = 0; i < count; i++)
        ops[i] = accept_start(world, &(struct given){.lanes = LANES(2), .lane_count = 1});
    START(world, ledger, settle, &late); /* is taken all the same */
    world_wait(world);
    for (size_t i = 0; i < count; i++) {
        stored += ops[i]->op.err == GW_OK;
        if (ops[i]->op.err == GW_OK)
            continue;
        busy++;
        assert_int_equal(ops[i]->op.err, GW_ERR_BUSY);
        assert_true(ops[i]->op.again_ms > 0);
        assert_false(ops[i]->offered);
    }
    assert_ok(late.op.err);
    assert_true(world->backend->on_loop || busy > 0);
    assert_open(world, stored);
    assert_int_equal(gw_ledger_state(world->ledger).queued, 0);
    accept_new(world,
               &(struct given){.lanes = LANES(2), .lane_count = 1}); /* there is room again */
}

int suite_accept(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stores_and_offers),
        TEST(test_ids_are_distinct_and_have_text),
        TEST(test_as_many_lanes_as_there_may_be),
        TEST(test_repeated),
        TEST(test_window),
        TEST(test_another_app_or_key_is_another_event),
        TEST(test_a_skip_does_not_block),
        TEST(test_skip_reasons_are_kept),
        TEST(test_repeated_inside_one_group),
        TEST(test_add),
        TEST(test_add_repeated),
        TEST(test_add_to_a_skipped_event),
        TEST(test_add_refuses),
        TEST(test_a_full_queue_refuses_accepts_alone),
    };
    return suite_run("accept", tests, gw_count(tests));
}
