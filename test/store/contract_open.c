/* contract_open.c: open_lanes and refill: what is open, in which order, page by page. */
#include "given.h"

static bool has_lane(const struct gw_open_lanes *op, uint64_t lane, const char *app)
{
    for (size_t i = 0; i < op->count; i++)
        if (op->lanes[i].lane == lane && gw_slice_is(op->lanes[i].app_id, app))
            return true;
    return false;
}

static struct gw_open_lanes open_lanes(struct world *world)
{
    struct gw_open_lanes op = {.arena = &world->arena};

    assert_ok(CALL(world, ledger, open_lanes, &op));
    return op;
}

static void test_open_lanes(void **state)
{
    struct world *world = *state;

    assert_int_equal(open_lanes(world).count, 0);
    struct gw_accept *a =
        accept_new(world, &(struct given){.app = "a", .lanes = LANES(1, 2), .lane_count = 2});
    struct gw_accept *b =
        accept_new(world, &(struct given){.app = "\xc3\xa9", .lanes = LANES(9), .lane_count = 1});
    accept_new(world, &(struct given){.app = "a", .lanes = LANES(1), .lane_count = 1});
    accept_new(world, &(struct given){.app = "c", .skip = GW_SKIP_NO_CONFIG});

    struct gw_open_lanes op = open_lanes(world);
    assert_int_equal(op.count, 3);
    assert_true(has_lane(&op, 1, "a") && has_lane(&op, 2, "a") && has_lane(&op, 9, "\xc3\xa9"));

    settled(world, &a->deliveries[1], delivered(&a->deliveries[1]));
    struct gw_delivery d = settled(world, &b->deliveries[0], dead(&b->deliveries[0]));
    op = open_lanes(world);
    assert_int_equal(op.count, 1);
    assert_true(has_lane(&op, 1, "a"));
    assert_ok(retry(world, &d.id, &d));
    op = open_lanes(world);
    assert_int_equal(op.count, 2);
    assert_true(has_lane(&op, 9, "\xc3\xa9"));
}

static void test_refill_of_nothing(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 2, T0);

    struct gw_refill *op = refill(world, 1, NULL, 5);
    assert_int_equal(op->count, 0);
    assert_true(op->complete);
    op = refill(world, 2, &d, 5); /* the mark itself is not behind it */
    assert_int_equal(op->count, 0);
    assert_true(op->complete);
}

/* 30 open deliveries in lane 1, many due at the same time, some manual retries; others in lane 2. */
static void scatter(struct world *world)
{
    for (int i = 0; i < 30; i++) {
        struct gw_delivery d = given_delivery(world, 1, T0 + i % 4);
        given_delivery(world, 2, T0 + i % 4);
        if (i % 5 == 0)
            d = settled(world, &d, failed_until(&d, T0 + (i % 3) * 100));
        if (i % 7 == 0)
            assert_ok(retry(world, &d.id, &d));
    }
}

static bool is_before(const struct gw_delivery *a, const struct gw_delivery *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void walk(struct world *world, size_t page)
{
    struct gw_delivery last;
    size_t count = 0;
    bool is_complete = false;

    while (!is_complete) {
        struct gw_refill *op = refill(world, 1, count ? &last : NULL, page);
        is_complete = op->complete;
        assert_true(op->count == page || is_complete);
        for (size_t i = 0; i < op->count; i++) {
            assert_int_equal(op->deliveries[i].lane, 1);
            assert_int_equal(op->deliveries[i].state, GW_DELIVERY_PENDING);
            assert_true(count == 0 || is_before(&last, &op->deliveries[i]));
            last = op->deliveries[i];
            count++;
        }
    }
    assert_int_equal(count, 30); /* in order, so each once */
}

static void test_refill_page_by_page(void **state)
{
    struct world *world = *state;
    static const size_t pages[] = {1, 2, 3, 7, 29, 30, 31, ROOM};

    scatter(world);
    for (size_t i = 0; i < gw_count(pages); i++)
        walk(world, pages[i]);
    assert_true(refill(world, 1, NULL, 30)->complete);
    assert_false(refill(world, 1, NULL, 29)->complete);
}

static void test_refill_shows_all_there_is(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0);

    d = settled(world, &d, failed_until(&d, T0 + 12 * 3600 * 1000));
    d = settled(world, &d, failed_until(&d, T0 + 13 * 3600 * 1000));
    assert_delivery_equal(&refill(world, 1, NULL, 1)->deliveries[0], &d);
    assert_ok(retry(world, &d.id, &d));
    assert_delivery_equal(&refill(world, 1, NULL, 1)->deliveries[0], &d);
    struct gw_delivery mark = {.due_ms = 0, .order = d.order - 1};
    assert_int_equal(refill(world, 1, &mark, 1)->count, 1);
    mark.order = d.order;
    assert_int_equal(refill(world, 1, &mark, 1)->count, 0);
    mark = (struct gw_delivery){.due_ms = -1, .order = UINT64_MAX >> 1};
    assert_int_equal(refill(world, 1, &mark, 1)->count, 1);
    mark = (struct gw_delivery){.due_ms = INT64_MAX};
    assert_int_equal(refill(world, 1, &mark, 1)->count, 0);
}

int suite_open(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_open_lanes),
        TEST(test_refill_of_nothing),
        TEST(test_refill_page_by_page),
        TEST(test_refill_shows_all_there_is),
    };
    return suite_run("open", tests, gw_count(tests));
}
