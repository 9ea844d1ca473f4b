/* The end of segments: what is past its retention ends, in its time, and nothing else does. In a
 * simulated world, where hours are short. */
#include "given.h"

#include "store/sqlite.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define KEEP_DAYS 3
#define MINUTE_MS 60000
#define HOUR_MS   (60 * (int64_t)MINUTE_MS)

static void open_sqlite(struct world *world)
{
    struct gw_sqlite_options options = {
        .dir = world->dir,
        .queue_max = 2000,
        .group_max = 100,
        .cache_bytes = 1 << 20,
        .retention_ms = KEEP_DAYS * DAY_MS,
        .segment_gap_ms = 1,
    };
    struct gw_sqlite *sqlite;
    struct gw_error error;

    if (gw_sqlite_open(&options, world->env, &sqlite, &error) != GW_OK)
        gw_check_failed(error.text, __FILE__, __LINE__);
    world->store = sqlite;
    world->ledger = gw_sqlite_ledger(sqlite);
    world->configs = gw_sqlite_configs(sqlite);
}

static void close_sqlite(struct world *world)
{
    gw_sqlite_close(world->store);
}

static void stay(struct world *world)
{
    (void)world;
}

static const struct backend kept = {
    .name = "kept", .open = open_sqlite, .close = close_sqlite, .crash = close_sqlite, .end = stay};

static int setup(void **state)
{
    *state = world_create(&kept, 3);
    return 0;
}

static void pass(struct world *world, int64_t ms)
{
    assert_true(sim_run(world->sim, NULL, NULL, ms));
}

static bool is_there(struct world *world, int number, const char *ending)
{
    char path[400];

    snprintf(path, sizeof(path), "%s/%08d.%s", world->dir, number, ending);
    return access(path, F_OK) == 0;
}

static bool has_file(struct world *world, int number)
{
    return is_there(world, number, "seg");
}

static uint64_t open_count(struct world *world)
{
    return gw_ledger_state(world->ledger).open;
}

/* So many open deliveries, accepted so many days ago; the next come into another segment. */
static struct gw_delivery accept_ago(struct world *world, int64_t days, size_t count)
{
    struct gw_delivery d = {0};

    for (size_t i = 0; i < count; i++)
        d = given_delivery(world, 1, T0 - days * DAY_MS + (int64_t)i);
    if (days > 0)
        pass(world, 3 * MINUTE_MS);
    return d;
}

static enum gw_err claim(struct world *world, const struct gw_delivery *d)
{
    struct gw_claim op = {.delivery = *d, .lease_ms = 1000};

    return CALL(world, ledger, claim, &op);
}

static enum gw_err load(struct world *world, const struct gw_delivery *d)
{
    struct gw_load op = {.message_id = d->message_id};
    enum gw_err err = CALL(world, ledger, load, &op);

    gw_message_unref(op.message);
    return err;
}

static enum gw_err add(struct world *world, const struct gw_delivery *d)
{
    struct gw_add *op = add_start(world, &d->message_id, "job", LANES(1), 1, T0);

    world_wait(world);
    if (!op->offered)
        offer_free(op->offer);
    return op->op.err;
}

/* While it lasts: no new delivery, no claim, no refill, and what was open is dead. */
static void expect_ending(struct world *world, const struct gw_delivery *first,
                          const struct gw_delivery *last, size_t left)
{
    struct gw_delivery now;

    assert_int_equal(claim(world, first), GW_ERR_NOT_FOUND);
    assert_int_equal(claim(world, last), GW_ERR_NOT_FOUND);
    assert_int_equal(add(world, last), GW_ERR_GONE);
    assert_int_equal(retry(world, &last->id, &now), GW_ERR_GONE);
    assert_int_equal(open_in(world, 1), left);
    const struct gw_row *row = find_row(world, &first->id);
    assert_int_equal(row->delivery.state, GW_DELIVERY_DEAD);
    assert_int_equal(row->delivery.reason, GW_END_RETENTION);
    assert_in_range(row->delivery.ended_ms, T0 + HOUR_MS, T0 + HOUR_MS + 5 * MINUTE_MS);
}

static void expect_gone(struct world *world, const struct gw_delivery *d)
{
    assert_int_equal(load(world, d), GW_ERR_NOT_FOUND);
    assert_int_equal(add(world, d), GW_ERR_NOT_FOUND);
    assert_null(find_message(world, &d->message_id));
    assert_int_equal(settle(world, &(struct gw_delivery){.id = d->id}, 1, false), GW_ERR_NOT_FOUND);
}

static void test_what_is_open_ends(void **state)
{
    struct world *world = *state;
    struct gw_delivery first = given_delivery(world, 1, T0 - 10 * DAY_MS), last = {0}, young, seen;

    for (int i = 0; i < 8000; i++) {
        last = given_delivery(world, 1, T0 - 10 * DAY_MS);
        world_forget(world);
    }
    settled(world, &last, delivered(&last));
    last = given_delivery(world, 1, T0 - 10 * DAY_MS);
    struct gw_delivery under_way = accept_ago(world, 10, 1);
    young = accept_ago(world, KEEP_DAYS - 1, 5);
    assert_true(has_file(world, 2) && has_file(world, 3));
    assert_ok(claim(world, &under_way));
    pass(world, HOUR_MS - 10 * MINUTE_MS);
    assert_ok(claim(world, &last)); /* not in the first hour */
    assert_int_equal(open_count(world), 8007);
    while (open_count(world) == 8007)
        sim_step(world->sim);
    assert_true(open_count(world) > 100); /* not all at once */
    /* What had been claimed before may still say how it went. */
    seen = delivered(&under_way);
    enum gw_err err = settle(world, &seen, 1, true);
    assert_true(err == GW_OK || err == GW_ERR_NOT_FOUND);
    expect_ending(world, &first, &last, 5);
    pass(world, 2 * MINUTE_MS);
    assert_false(has_file(world, 1) || is_there(world, 1, "seg-wal") ||
                 is_there(world, 1, "seg-shm"));
    assert_int_equal(open_count(world), 5);
    assert_int_equal(claim(world, &last), GW_ERR_NOT_FOUND);
    expect_gone(world, &last);
    assert_ok(claim(world, &young));
    assert_ok(load(world, &young));
    world_reopen(world);
    assert_int_equal(open_count(world), 5);
    expect_gone(world, &first);
    settled(world, &young, delivered(&young));
}

/* Oldest first, a day's an hour. */
static void test_one_day_an_hour(void **state)
{
    struct world *world = *state;

    accept_ago(world, 8, 3);  /* 1 */
    accept_ago(world, 20, 3); /* 2: the clock was wrong */
    accept_ago(world, 9, 3);  /* 3 */
    accept_ago(world, 0, 3);  /* 4 */
    pass(world, HOUR_MS + 5 * MINUTE_MS);
    assert_true(has_file(world, 1) && !has_file(world, 2) && has_file(world, 3));
    pass(world, HOUR_MS);
    assert_true(has_file(world, 1) && !has_file(world, 3));
    pass(world, HOUR_MS);
    assert_false(has_file(world, 1));
    pass(world, 10 * HOUR_MS);
    assert_true(has_file(world, 4));
    assert_int_equal(open_in(world, 1), 3);
}

/* Whoever sets the clock has an hour to see that it was wrong. */
static void test_clock_steps(void **state)
{
    struct world *world = *state;

    accept_ago(world, 1, 3);
    accept_ago(world, 0, 3);
    pass(world, 2 * HOUR_MS);
    sim_wall_step(world->sim, 365 * DAY_MS);
    pass(world, 50 * MINUTE_MS);
    assert_true(has_file(world, 1));
    sim_wall_step(world->sim, -365 * DAY_MS);
    pass(world, 5 * HOUR_MS);
    assert_true(has_file(world, 1));
    sim_wall_step(world->sim, -365 * DAY_MS);
    pass(world, 5 * HOUR_MS);
    assert_true(has_file(world, 1));
    sim_wall_step(world->sim, (365 + KEEP_DAYS) * DAY_MS);
    pass(world, 50 * MINUTE_MS);
    assert_true(has_file(world, 1));
    pass(world, 20 * MINUTE_MS);
    assert_false(has_file(world, 1));
    assert_int_equal(open_in(world, 1), 3);
}

/* Nothing has come for long: the last one goes like any other. */
static void test_head(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0 - 10 * DAY_MS);

    pass(world, HOUR_MS + 10 * MINUTE_MS);
    assert_false(has_file(world, 1));
    assert_true(has_file(world, 2));
    expect_gone(world, &d);
    pass(world, 100 * DAY_MS); /* an empty one stays */
    assert_true(has_file(world, 2) && !has_file(world, 3));
    struct gw_delivery later = given_delivery(world, 1, T0);
    assert_true(later.order > d.order);
}

static void make_file(struct world *world, const char *name)
{
    char path[400];

    snprintf(path, sizeof(path), "%s/%s", world->dir, name);
    assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
}

/* A crash behind the list and before the files. */
static void test_files_left_behind(void **state)
{
    struct world *world = *state;

    accept_ago(world, 10, 1);
    accept_ago(world, 0, 2);
    pass(world, 2 * HOUR_MS);
    assert_false(has_file(world, 1));
    make_file(world, "00000001.seg");
    make_file(world, "00000001.seg-wal");
    make_file(world, "00000001.idx");
    make_file(world, "somebody.else");
    world_reopen(world);
    assert_false(has_file(world, 1) || is_there(world, 1, "seg-wal") || is_there(world, 1, "idx"));
    assert_true(has_file(world, 2));
    assert_int_equal(open_count(world), 2);
}

static void test_crash_on_the_way(void **state)
{
    struct world *world = *state;

    accept_ago(world, 10, 700);
    accept_ago(world, 0, 2);
    while (open_count(world) == 702)
        sim_step(world->sim);
    world_crash(world);
    assert_true(has_file(world, 1));
    assert_true(open_count(world) > 2 && open_count(world) < 702);
    pass(world, HOUR_MS - 2 * MINUTE_MS);
    assert_true(has_file(world, 1));
    pass(world, 10 * MINUTE_MS);
    assert_false(has_file(world, 1));
    assert_int_equal(open_count(world), 2);
}

/* They need no other group to be seen. */
static void test_latencies_do_not_wait(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0);
    struct gw_tally_op op = {.arena = &world->arena, .from_ms = T0, .to_ms = T0 + HOUR_MS};

    settled(world, &d, delivered(&d));
    assert_ok(CALL(world, ledger, tally, &op));
    assert_int_equal(op.latency.count, 0);
    pass(world, MINUTE_MS + 1000);
    assert_ok(CALL(world, ledger, tally, &op));
    assert_int_equal(op.latency.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_open_ends, setup, suite_teardown),
        cmocka_unit_test_setup_teardown(test_one_day_an_hour, setup, suite_teardown),
        cmocka_unit_test_setup_teardown(test_clock_steps, setup, suite_teardown),
        cmocka_unit_test_setup_teardown(test_head, setup, suite_teardown),
        cmocka_unit_test_setup_teardown(test_files_left_behind, setup, suite_teardown),
        cmocka_unit_test_setup_teardown(test_crash_on_the_way, setup, suite_teardown),
        cmocka_unit_test_setup_teardown(test_latencies_do_not_wait, setup, suite_teardown),
    };

    sim_init();
    return cmocka_run_group_tests_name("sqlite retain", tests, NULL, NULL);
}
