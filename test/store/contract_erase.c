/* contract_erase.c: what is erased is gone for everybody and for good; all else stays. */
#include "given.h"

static uint64_t erase(struct world *world, const char *app, const char *transaction)
{
    struct gw_erase op = {.app_id = gw_slice_from(app),
                          .transaction_id = gw_slice_from(transaction),
                          .now_ms = T0 + 1000};

    while (CALL(world, ledger, erase, &op) == GW_ERR_BUSY)
        ; /* a reader that is not yet done */
    assert_ok(op.op.err);
    return op.events;
}

static struct gw_accept *event_of(struct world *world, const char *app, const char *transaction,
                                  const char *body)
{
    struct given given = {.app = app,
                          .transaction_id = transaction,
                          .body = body,
                          .lanes = LANES(1),
                          .lane_count = 1};

    return accept_new(world, &given);
}

static void expect_there(struct world *world, const struct gw_accept *event, size_t attempts)
{
    struct gw_load load = {.message_id = event->message_id};
    const struct gw_event_row *row = find_message(world, &event->message_id);

    assert_ok(CALL(world, ledger, load, &load));
    assert_slice_equal(load.message->body, event->message->body);
    gw_message_unref(load.message);
    assert_message_equal(row->message, event->message, true);
    assert_int_equal(log_count(row->rows[0].log), attempts);
}

/* The body and the log; ids, names, times and states stay. */
static void expect_gone(struct world *world, const struct gw_accept *event, uint32_t attempts)
{
    struct gw_load load = {.message_id = event->message_id};
    struct gw_list_op list = {.arena = &world->arena, .state = -1, .max = 100};
    const struct gw_event_row *row = find_message(world, &event->message_id);

    assert_int_equal(CALL(world, ledger, load, &load), GW_ERR_GONE);
    assert_null(load.message);
    assert_message_equal(row->message, event->message, false);
    assert_null(row->message->body.ptr);
    assert_int_equal(row->rows[0].log.len, 0);
    assert_int_equal(row->rows[0].delivery.attempts, attempts);
    assert_ok(CALL(world, ledger, list, &list));
    for (size_t i = 0; i < list.count; i++)
        if (gw_id_eq(&list.rows[i].message->id, &event->message_id))
            assert_int_equal(list.rows[i].log.len, 0);
}

static struct gw_delivery attempted(struct world *world, const struct gw_accept *event)
{
    struct gw_delivery d = event->deliveries[0];

    return settled(world, &d, failed_until(&d, T0 + 10));
}

static void test_transaction(void **state)
{
    struct world *world = *state;
    struct gw_accept *one = event_of(world, "app", "t1", "[1]");
    struct gw_accept *other = event_of(world, "app", "t2", "[2]");
    struct gw_accept *same_name = event_of(world, "another", "t1", "[3]");
    struct gw_accept *two = event_of(world, "app", "t1", "[4]");
    struct gw_accept *none = event_of(world, "app", NULL, "[5]");
    struct gw_delivery open = attempted(world, one), done = attempted(world, two);

    attempted(world, other);
    done = settled(world, &done, delivered(&done));
    assert_int_equal(erase(world, "app", "t1"), 2);
    for (int i = 0; i < 2; i++) {
        expect_gone(world, one, 1);
        expect_gone(world, two, 2);
        expect_there(world, other, 1);
        expect_there(world, same_name, 0);
        expect_there(world, none, 0);
        assert_int_equal(open_in(world, 1), 4);
        world_reopen(world);
    }
    assert_int_equal(erase(world, "app", "t1"), 2); /* again: nothing happens */
    assert_int_equal(erase(world, "app", "t3"), 0);
    assert_int_equal(erase(world, "nobody", "t1"), 0);

    /* What is still owed goes on, and leaves no log. */
    open = settled(world, &open, failed_until(&open, T0 + 20));
    expect_gone(world, one, 2);
    assert_delivery_equal(&find_row(world, &open.id)->delivery, &open);
    open = settled(world, &open, dead(&open));
    expect_gone(world, one, 3);
    assert_ok(retry(world, &open.id, &open));
    settled(world, &open, delivered(&open));
    expect_gone(world, one, 4);
    expect_there(world, event_of(world, "app", "t1", "[6]"), 0); /* later ones are not concerned */
}

static void test_app(void **state)
{
    struct world *world = *state;
    struct gw_accept *one = event_of(world, "app", "t1", "[1]");
    struct gw_accept *other = event_of(world, "another", "t1", "[2]");
    struct gw_accept *done = event_of(world, "app", NULL, "[3]");
    struct gw_delivery open = attempted(world, one), ended = attempted(world, done);

    attempted(world, other);
    settled(world, &ended, delivered(&ended));
    expect_there(world, one, 1); /* whoever reads has the key by then */
    erase(world, "app", NULL);
    expect_gone(world, one, 1);
    struct gw_accept *later = event_of(world, "app", "t1", "[4]");
    attempted(world, later);
    for (int i = 0; i < 2; i++) {
        expect_gone(world, one, 1);
        expect_gone(world, done, 2);
        expect_there(world, other, 1);
        expect_there(world, later, 1);
        world_reopen(world);
    }
    open = settled(world, &open, failed_until(&open, T0 + 20));
    expect_gone(world, one, 2);
    struct gw_add *add = add_start(world, &one->message_id, "job", LANES(2), 1, T0 + 1);
    world_wait(world);
    assert_ok(add->op.err);
    struct gw_delivery added = settled(world, &add->deliveries[0], dead(&add->deliveries[0]));
    assert_int_equal(find_row(world, &added.id)->log.len, 0);

    erase(world, "app", NULL); /* once more, and with what came later */
    expect_gone(world, later, 1);
    expect_gone(world, one, 2);
    expect_there(world, other, 1);
    erase(world, "nobody", NULL);
}

/* A repeat is known as one, and whether it differs. */
static void test_repeat(void **state)
{
    struct world *world = *state;
    struct given given = {
        .event_id = "e", .transaction_id = "t", .body = "[1]", .lanes = LANES(1), .lane_count = 1};
    struct gw_accept *first = accept_new(world, &given);

    erase(world, "app", "t");
    struct gw_accept *again = accept_start(world, &given);
    given.body = "[2]";
    struct gw_accept *differs = accept_start(world, &given);
    world_wait(world);
    assert_true(again->existing && differs->existing);
    assert_false(again->payload_differs);
    assert_true(differs->payload_differs);
    assert_id_equal(&again->message_id, &first->message_id);
}

static void test_refused(void **state)
{
    struct world *world = *state;
    struct gw_erase op = {.transaction_id = GW_SLICE("t")};
    struct gw_accept *event = event_of(world, "app", "t", "[1]");

    assert_int_equal(CALL(world, ledger, erase, &op), GW_ERR_INVALID);
    op = (struct gw_erase){.app_id = GW_SLICE("app"), .op.deadline_us = 1};
    assert_int_equal(CALL(world, ledger, erase, &op), GW_ERR_TIMEOUT);
    expect_there(world, event, 0);
}

int suite_erase(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_transaction),
        TEST(test_app),
        TEST(test_repeat),
        TEST(test_refused),
    };
    return suite_run("erase", tests, gw_count(tests));
}
