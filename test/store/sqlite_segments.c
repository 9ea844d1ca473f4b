/* Several segments: what a crash, a failure or damage does to one leaves the others alone, and
 * nothing that was said is lost, or said wrongly. In a simulated world, where whatever is started
 * together is one group. */
#include "given.h"

#include "base/log.h"
#include "sqlite_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LANES_MAX 40

static struct gw_sqlite_options options_of(struct world *world)
{
    return (struct gw_sqlite_options){
        .dir = world->dir,
        .queue_max = 1000,
        .group_max = 500,
        .cache_bytes = 1 << 20,
        .segment_gap_ms = 1,
    };
}

static enum gw_err try_open(struct world *world, struct gw_error *error)
{
    struct gw_sqlite_options options = options_of(world);
    struct gw_sqlite *sqlite = NULL;
    enum gw_err err = gw_sqlite_open(&options, world->env, &sqlite, error);

    world->store = sqlite;
    if (err == GW_OK) {
        world->ledger = gw_sqlite_ledger(sqlite);
        world->configs = gw_sqlite_configs(sqlite);
    }
    return err;
}

static void open_sqlite(struct world *world)
{
    struct gw_error error;

    if (try_open(world, &error) != GW_OK)
        gw_check_failed(error.text, __FILE__, __LINE__);
}

static void close_sqlite(struct world *world)
{
    gw_sqlite_close(world->store);
    world->store = NULL;
}

static void stay(struct world *world)
{
    (void)world;
}

static const struct backend days = {
    .name = "days", .open = open_sqlite, .close = close_sqlite, .crash = close_sqlite, .end = stay};

static int setup(void **state)
{
    rig_vfs_install();
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    *state = world_create(&days, 7);
    return 0;
}

static int teardown(void **state)
{
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    return suite_teardown(state);
}

static const char *path_of(struct world *world, const char *name)
{
    return gw_arena_printf(&world->arena, "%s/%s", world->dir, name);
}

/* One on that day; the first of a day has the next segment made, for those that follow. */
static struct gw_delivery on_day(struct world *world, int64_t day, uint64_t lane)
{
    struct gw_delivery d = given_delivery(world, lane, T0 + day * DAY_MS);

    assert_true(sim_run(world->sim, NULL, NULL, 100));
    return d;
}

static enum gw_delivery_state state_of(struct world *world, const struct gw_delivery *d)
{
    const struct gw_row *row = find_row(world, &d->id);

    assert_non_null(row);
    return row->delivery.state;
}

/* ── Between two commits ───────────────────────────────────────────────────────────────────── */

/* One settle in the first segment and one in the second, in one group and in that order. */
struct two {
    struct gw_delivery of[2];
    struct gw_attempt attempts[2];
    struct gw_settle settles[2];
};

static void two_start(struct world *world, struct two *two)
{
    two->of[0] = on_day(world, 0, 1);
    on_day(world, 1, 1);
    two->of[1] = on_day(world, 1, 1);
    assert_int_equal(access(path_of(world, "00000002.seg"), F_OK), 0);
    for (size_t i = 0; i < 2; i++) {
        two->attempts[i] = attempt_of(&two->of[i], GW_OUTCOME_SUCCESS, 200);
        two->settles[i] = (struct gw_settle){
            .write_id = 1, .attempt = &two->attempts[i], .next = delivered(&two->of[i])};
    }
}

static void two_settle(struct world *world, struct two *two)
{
    for (size_t i = 0; i < 2; i++)
        START(world, ledger, settle, &two->settles[i]);
    world_wait(world);
}

static void test_second_commit_fails(void **state)
{
    struct world *world = *state;
    struct two two;

    two_start(world, &two);
    rig_vfs_fail(RIG_FAULT_SYNC, "2.seg-wal", 0);
    two_settle(world, &two);
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    assert_ok(two.settles[0].op.err);
    assert_int_equal(two.settles[1].op.err, GW_ERR_IO);
    assert_false(gw_ledger_state(world->ledger).accepting);
    world_reopen(world);
    assert_int_equal(state_of(world, &two.of[0]), GW_DELIVERY_DELIVERED);
    assert_ok(settle(world, &two.settles[1].next, 1, true)); /* again; it may have been there */
    assert_int_equal(state_of(world, &two.of[1]), GW_DELIVERY_DELIVERED);
}

/* Nothing more is written behind it. */
static void test_first_commit_fails(void **state)
{
    struct world *world = *state;
    struct two two;

    two_start(world, &two);
    rig_vfs_fail(RIG_FAULT_SYNC, "1.seg-wal", 0);
    two_settle(world, &two);
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    assert_int_equal(two.settles[0].op.err, GW_ERR_IO);
    assert_int_equal(two.settles[1].op.err, GW_ERR_IO);
    world_reopen(world);
    assert_int_equal(state_of(world, &two.of[1]), GW_DELIVERY_PENDING);
    assert_ok(settle(world, &two.settles[0].next, 1, true));
    assert_ok(settle(world, &two.settles[1].next, 1, true));
}

/* A disk that is full is so for all that is in its way, and passes. */
static void test_full_between(void **state)
{
    struct world *world = *state;
    struct two two;

    two_start(world, &two);
    rig_vfs_fail(RIG_FAULT_FULL, "2.seg-wal", 0);
    two_settle(world, &two);
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    assert_ok(two.settles[0].op.err);
    assert_int_equal(two.settles[1].op.err, GW_ERR_FULL);
    assert_int_equal(gw_ledger_state(world->ledger).open, 2);
    assert_ok(settle(world, &two.settles[1].next, 1, true));
    assert_int_equal(state_of(world, &two.of[0]), GW_DELIVERY_DELIVERED);
    assert_int_equal(state_of(world, &two.of[1]), GW_DELIVERY_DELIVERED);
}

/* The machine goes between the two: the first is there, the second is not, and nobody was told. */
static void test_power_goes_between(void **state)
{
    struct world *after = *state, *before;
    struct two two;

    close_sqlite(after);
    assert_int_equal(unlink(path_of(after, "00000001.seg")), 0);
    assert_int_equal(unlink(path_of(after, "main.db")), 0);
    rig_vfs_image(after->dir);
    before = world_create(&days, 8);
    two_start(before, &two);
    rig_vfs_fail(RIG_FAULT_POWER, "2.seg-wal", 0);
    two_settle(before, &two);
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    open_sqlite(after);
    assert_int_equal(state_of(after, &two.of[0]), GW_DELIVERY_DELIVERED);
    assert_int_equal(state_of(after, &two.of[1]), GW_DELIVERY_PENDING);
    assert_int_equal(open_in(after, 1), 2);
    assert_ok(settle(after, &two.settles[0].next, 1, true));
    assert_ok(settle(after, &two.settles[1].next, 1, true));
    world_destroy(before);
}

/* ── Midnight ──────────────────────────────────────────────────────────────────────────────── */

static struct gw_accept *keyed(struct world *world, int64_t at_ms)
{
    struct given given = {
        .event_id = "e", .at_ms = at_ms, .lanes = LANES(1), .lane_count = 1, .body = "{}"};
    struct gw_accept *op = accept_start(world, &given);

    world_wait(world);
    assert_ok(op->op.err);
    return op;
}

static void test_repeat_across_midnight(void **state)
{
    struct world *world = *state;
    struct gw_accept *first = keyed(world, T0 + DAY_MS - 1000), *again;

    on_day(world, 1, 2);
    on_day(world, 1, 2);
    again = keyed(world, T0 + DAY_MS + 1000);
    assert_true(again->existing);
    assert_id_equal(&again->message_id, &first->message_id);
    assert_int_equal(again->delivery_count, 1);
    world_reopen(world);
    assert_true(keyed(world, T0 + 2 * DAY_MS - 1001)->existing);
    assert_false(keyed(world, T0 + 2 * DAY_MS - 1000)->existing);
    assert_true(keyed(world, T0 + 2 * DAY_MS - 1000)->existing);
    assert_int_equal(open_in(world, 1), 2);
}

/* Of more segments than are kept open, in the order of their due times. */
static void test_many_open(void **state)
{
    struct world *world = *state;
    struct gw_delivery all[LANES_MAX], done[LANES_MAX];

    for (int i = 0; i < LANES_MAX; i++) {
        on_day(world, i, 2);
        all[i] = on_day(world, i, 1);
        done[i] = on_day(world, i, 3);
        settled(world, &done[i], delivered(&done[i]));
    }
    for (int i = 0; i < LANES_MAX; i += 2) /* later ones are due first */
        all[i] = settled(world, &all[i], failed_until(&all[i], T0 - i));
    for (int round = 0; round < 2; round++) {
        struct gw_refill *got = refill(world, 1, NULL, LANES_MAX);
        assert_int_equal(got->count, LANES_MAX);
        assert_true(got->complete);
        for (int i = 1; i < LANES_MAX; i++)
            assert_true(got->deliveries[i].due_ms > got->deliveries[i - 1].due_ms);
        got = refill(world, 1, &got->deliveries[4], 7);
        assert_int_equal(got->count, 7);
        assert_false(got->complete);
        assert_int_equal(got->deliveries[0].due_ms, T0 - (LANES_MAX - 2 - 10));
        for (int i = 0; i < LANES_MAX; i++)
            assert_ok(settle(world,
                             &(struct gw_delivery){.id = done[i].id,
                                                   .state = GW_DELIVERY_DELIVERED,
                                                   .reason = GW_END_DELIVERED},
                             1, true)); /* shown again, in a file that was closed */
        world_reopen(world);
    }
    for (int i = 0; i < LANES_MAX; i++)
        settled(world, &all[i], delivered(&all[i]));
    assert_int_equal(open_in(world, 1), 0);
}

/* ── Damage ────────────────────────────────────────────────────────────────────────────────── */

struct bytes {
    char *ptr;
    size_t len;
};

static struct bytes file_read(const char *path)
{
    struct bytes bytes = {0};
    struct stat st;
    int fd = open(path, O_RDONLY);

    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    bytes.len = (size_t)st.st_size;
    bytes.ptr = gw_alloc(bytes.len + 1);
    assert_int_equal(read(fd, bytes.ptr, bytes.len), bytes.len);
    close(fd);
    return bytes;
}

static void file_write(const char *path, const char *ptr, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, ptr, len), len);
    close(fd);
}

static void remove_beside(struct world *world, const char *name)
{
    unlink(path_of(world, gw_arena_printf(&world->arena, "%s-wal", name)));
    unlink(path_of(world, gw_arena_printf(&world->arena, "%s-shm", name)));
}

/* What the damaged segment is asked: as it was, or that it is damaged, and nothing else. */
static void expect_truth(struct world *world, const struct gw_delivery *d, bool is_open,
                         struct gw_slice body)
{
    struct gw_find find = {
        .arena = &world->arena, .key = GW_FIND_DELIVERY, .id = d->id, .with_body = true, .max = 1};
    struct gw_load load = {.message_id = d->message_id};
    enum gw_err err = CALL(world, ledger, find, &find);

    assert_true(err == GW_OK || err == GW_ERR_CORRUPT);
    if (err == GW_OK) {
        assert_int_equal(find.count, 1);
        assert_slice_equal(find.events[0].message->body, body);
        assert_int_equal(find.events[0].count, 1);
        assert_int_equal(find.events[0].rows[0].delivery.state,
                         is_open ? GW_DELIVERY_PENDING : GW_DELIVERY_DELIVERED);
        assert_id_equal(&find.events[0].rows[0].delivery.id, &d->id);
    }
    err = CALL(world, ledger, load, &load);
    assert_true(err == GW_OK || err == GW_ERR_CORRUPT);
    if (err == GW_OK)
        assert_slice_equal(load.message->body, body);
    gw_message_unref(load.message);
}

struct damaged {
    struct world *world;
    struct gw_delivery open, done, young;
    struct bytes segment, head, main;
    size_t set_aside, rounds;
};

#define BODY_OPEN "{\"a\":\"of the first segment\"}"

static void damaged_begin(struct damaged *damaged, struct world *world)
{
    struct given given = {
        .event_id = "e1", .at_ms = T0, .lanes = LANES(1), .lane_count = 1, .body = BODY_OPEN};

    damaged->world = world;
    damaged->open = accept_new(world, &given)->deliveries[0];
    given.event_id = "e2";
    damaged->done = accept_new(world, &given)->deliveries[0];
    settled(world, &damaged->done, delivered(&damaged->done));
    on_day(world, 1, 1); /* into the first one still */
    damaged->young = on_day(world, 1, 1);
    close_sqlite(world);
    damaged->segment = file_read(path_of(world, "00000001.seg"));
    damaged->head = file_read(path_of(world, "00000002.seg"));
    damaged->main = file_read(path_of(world, "main.db"));
}

static void damaged_end(struct damaged *damaged)
{
    gw_free(damaged->segment.ptr);
    gw_free(damaged->head.ptr);
    gw_free(damaged->main.ptr);
}

/* The first segment's file is `bytes`, the others are as they were. */
static void damaged_try(struct damaged *damaged, const char *ptr, size_t len)
{
    struct world *world = damaged->world;
    struct gw_error error;

    unlink(path_of(world, "00000001.idx"));
    unlink(path_of(world, "00000002.idx"));
    remove_beside(world, "00000001.idx");
    remove_beside(world, "00000002.idx");
    remove_beside(world, "00000001.seg");
    remove_beside(world, "00000002.seg");
    remove_beside(world, "main.db");
    file_write(path_of(world, "00000001.seg"), ptr, len);
    file_write(path_of(world, "00000002.seg"), damaged->head.ptr, damaged->head.len);
    file_write(path_of(world, "main.db"), damaged->main.ptr, damaged->main.len);
    damaged->rounds++;
    enum gw_err err = try_open(world, &error);
    if (err != GW_OK) { /* the one thing that is refused: it seems to be of a newer version */
        assert_int_equal(err, GW_ERR_SCHEMA);
        assert_non_null(strstr(error.text, "00000001.seg"));
        return;
    }
    expect_truth(world, &damaged->open, true, GW_SLICE(BODY_OPEN));
    expect_truth(world, &damaged->done, false, GW_SLICE(BODY_OPEN));
    struct gw_delivery next = delivered(&damaged->open);
    err = settle(world, &next, 1, true);
    assert_true(err == GW_OK || err == GW_ERR_CORRUPT);
    damaged->set_aside += err != GW_OK;
    if (err == GW_OK)
        expect_truth(world, &damaged->open, false, GW_SLICE(BODY_OPEN));
    /* The rest is usable. */
    assert_true(open_in(world, 1) >= 1);
    assert_non_null(find_row(world, &damaged->young.id));
    assert_true(gw_ledger_state(world->ledger).accepting);
    struct gw_delivery fresh = given_delivery(world, 1, T0 + DAY_MS);
    settled(world, &fresh, delivered(&fresh));
    settled(world, &damaged->young, delivered(&damaged->young));
    close_sqlite(world);
    world_forget(world);
    given_free(world);
    gw_list_init(&world->accepts);
    gw_arena_reset(&world->arena);
}

/* GWH_TEST_FULL=1 tries each, which takes long. */
static size_t stride(size_t usual)
{
    return getenv("GWH_TEST_FULL") ? 1 : usual;
}

static void test_every_byte(void **state)
{
    struct damaged damaged = {0};

    damaged_begin(&damaged, *state);
    for (size_t at = 0; at < damaged.segment.len; at += stride(at < 200 ? 1 : 97)) {
        damaged.segment.ptr[at] ^= (char)(1 << at % 8);
        damaged_try(&damaged, damaged.segment.ptr, damaged.segment.len);
        damaged.segment.ptr[at] ^= (char)(1 << at % 8);
    }
    print_message("%d of %d set aside\n", (int)damaged.set_aside, (int)damaged.rounds);
    assert_true(damaged.set_aside > damaged.rounds / 4);
    damaged_try(&damaged, damaged.segment.ptr, damaged.segment.len);
    damaged_end(&damaged);
    open_sqlite(*state);
}

static void test_every_length(void **state)
{
    struct damaged damaged = {0};

    damaged_begin(&damaged, *state);
    for (size_t len = 0; len < damaged.segment.len; len += stride(311))
        damaged_try(&damaged, damaged.segment.ptr, len);
    for (size_t len = 4096; len < damaged.segment.len; len += 4096)
        damaged_try(&damaged, damaged.segment.ptr, len);
    print_message("%d of %d set aside\n", (int)damaged.set_aside, (int)damaged.rounds);
    assert_true(damaged.set_aside > damaged.rounds / 4);
    damaged_end(&damaged);
    open_sqlite(*state);
}

/* All but the first page, under a store that is open. */
static void spoil(struct world *world, const char *name)
{
    struct bytes bytes = file_read(path_of(world, name));
    int fd = open(path_of(world, name), O_WRONLY);

    memset(bytes.ptr, 0xaa, bytes.len);
    assert_true(bytes.len > 8192);
    assert_int_equal(pwrite(fd, bytes.ptr, bytes.len - 4096, 4096), bytes.len - 4096);
    close(fd);
    gw_free(bytes.ptr);
}

static enum gw_err accept_err(struct world *world, int64_t at_ms)
{
    struct given given = {.event_id = "new", .type = "another", .at_ms = at_ms};
    struct gw_accept *op;

    given.lanes = LANES(1);
    given.lane_count = 1;
    op = accept_start(world, &given);
    world_wait(world);
    return op->op.err;
}

static void test_old_one_spoils(void **state)
{
    struct world *world = *state;
    struct gw_delivery old[20], young;

    for (size_t i = 0; i < gw_count(old); i++)
        old[i] = given_delivery(world, 1, T0);
    on_day(world, 1, 1);
    young = on_day(world, 1, 1);
    world_reopen(world);
    spoil(world, "00000001.seg");
    assert_int_equal(gw_ledger_state(world->ledger).damaged, 0);
    /* Whatever is asked first, in the end it is set aside. */
    struct gw_delivery next = delivered(&old[3]);
    assert_int_equal(settle(world, &next, 1, true), GW_ERR_CORRUPT);
    struct gw_claim claim = {.delivery = old[5]};
    assert_int_equal(CALL(world, ledger, claim, &claim), GW_ERR_CORRUPT);
    struct gw_retry_op *retry = retry_start(world, &old[7].id);
    world_wait(world);
    assert_int_equal(retry->op.err, GW_ERR_CORRUPT);
    offer_free(retry->offer);
    assert_int_equal(open_in(world, 1), 1);
    assert_int_equal(gw_ledger_state(world->ledger).open, 1);
    assert_int_equal(gw_ledger_state(world->ledger).damaged, 1);
    assert_true(gw_ledger_state(world->ledger).accepting);
    assert_ok(accept_err(world, T0 + DAY_MS));
    settled(world, &young, delivered(&young));
    world_reopen(world); /* it is known again, and nothing else is hurt */
    assert_int_equal(gw_ledger_state(world->ledger).damaged, 1);
    assert_ok(find_message(world, &young.message_id) ? GW_OK : GW_ERR_NOT_FOUND);
    assert_int_equal(settle(world, &next, 1, true), GW_ERR_CORRUPT);
}

static void test_head_spoils(void **state)
{
    struct world *world = *state;
    struct gw_delivery old = on_day(world, 0, 1), lost;
    enum gw_err err;

    on_day(world, 1, 1);
    lost = on_day(world, 1, 1);
    world_reopen(world);
    spoil(world, "00000002.seg");
    err = accept_err(world, T0 + DAY_MS);
    assert_true(err == GW_ERR_CORRUPT || err == GW_ERR_BUSY);
    err = GW_ERR_BUSY;
    for (int i = 0; i < 100 && err == GW_ERR_BUSY; i++) {
        assert_true(sim_run(world->sim, NULL, NULL, 50));
        err = accept_err(world, T0 + DAY_MS);
    }
    assert_ok(err);
    assert_int_equal(access(path_of(world, "00000003.seg"), F_OK), 0);
    struct gw_delivery fresh = on_day(world, 1, 1);
    assert_true(fresh.order > lost.order);
    world_reopen(world);
    assert_true(on_day(world, 1, 1).order > fresh.order);
    struct gw_delivery next = delivered(&lost);
    assert_int_equal(settle(world, &next, 1, true), GW_ERR_CORRUPT);
    settled(world, &old, delivered(&old));
    settled(world, &fresh, delivered(&fresh));
}

/* A file that is not listed has the next number: it stays as it is, and the one behind is taken. */
static void test_in_the_way(void **state)
{
    struct world *world = *state;

    file_write(path_of(world, "00000002.seg"), "somebody's", 10);
    for (int i = 0; i < 10; i++) {
        on_day(world, 1, 1);
        assert_true(sim_run(world->sim, NULL, NULL, 60000));
    }
    on_day(world, 2, 1);
    on_day(world, 2, 1);
    assert_int_equal(access(path_of(world, "00000003.seg"), F_OK), 0);
    world_reopen(world);
    assert_int_equal(open_in(world, 1), 12);
}

#define TEST_DAYS(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_DAYS(test_second_commit_fails),
        TEST_DAYS(test_first_commit_fails),
        TEST_DAYS(test_full_between),
        TEST_DAYS(test_power_goes_between),
        TEST_DAYS(test_repeat_across_midnight),
        TEST_DAYS(test_many_open),
        TEST_DAYS(test_old_one_spoils),
        TEST_DAYS(test_head_spoils),
        TEST_DAYS(test_in_the_way),
        TEST_DAYS(test_every_byte),
        TEST_DAYS(test_every_length),
    };

    sim_init();
    if (getenv("GWH_TEST_LOG") == NULL) /* each damage has its line */
        gw_log_level_set((enum gw_log_level)(GW_LOG_ERROR - 1));
    return cmocka_run_group_tests_name("sqlite segments", tests, NULL, NULL);
}
