/* sqlite_index.c: the key indexes at work in a store: an event that comes again is known across a
 * midnight, a merge, a restart and while a merge runs; a key leads to its events wherever they are; an
 * index that is lost, damaged or cannot be written costs time, never an answer. */
#include "sqlite_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVENTS     300
#define PATIENCE_S 30

struct event {
    char id[16], transaction[16];
    struct gw_id message_id; /* len 0: not accepted yet */
};

struct rows {
    struct rig rig;
    struct event events[EVENTS];
    size_t count;
};

static uint64_t dice;

static uint64_t draw(uint64_t below)
{
    uint64_t z = dice += 0x9E3779B97F4A7C15u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (z ^ z >> 31) % below;
}

static int setup(void **state)
{
    struct rows *rows = gw_zalloc(sizeof(*rows));

    dice = 11;
    rig_vfs_install();
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    rig_init(&rows->rig);
    rows->rig.options.key_generation = 4;
    rows->rig.options.segment_gap_ms = 1;
    for (size_t i = 0; i < EVENTS; i++) {
        snprintf(rows->events[i].id, sizeof(rows->events[i].id), "e%d", (int)i);
        snprintf(rows->events[i].transaction, sizeof(rows->events[i].transaction), "t%d",
                 (int)i / 3);
    }
    *state = rows;
    return 0;
}

static int teardown(void **state)
{
    struct rows *rows = *state;

    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    rig_deinit(&rows->rig);
    gw_free(rows);
    return 0;
}

/* ── Steps ─────────────────────────────────────────────────────────────────────────────────── */

struct post {
    struct gw_message *message;
    struct gw_accept accept;
};

static void post_start(struct rows *rows, struct post *post, const struct event *event,
                       int64_t at_ms)
{
    struct gw_event columns = {
        .body = GW_SLICE("{}"),
        .app_id = GW_SLICE("app"),
        .event_type = GW_SLICE("type"),
        .event_id = gw_slice_from(event->id),
        .transaction_id = gw_slice_from(event->transaction),
    };

    post->message = gw_message_create(&columns, at_ms);
    post->accept = (struct gw_accept){.message = post->message, .dedupe_ms = RIG_DAY_MS};
    rig_arm(&rows->rig, &post->accept.op);
    gw_ledger_accept(rows->rig.ledger, &post->accept);
}

/* New the first time, and the same ever after. */
static enum gw_err post_end(struct post *post, struct event *event)
{
    enum gw_err err = post->accept.op.err;
    bool was_there = event->message_id.len > 0;

    gw_message_unref(post->message);
    if (err != GW_OK)
        return err;
    assert_int_equal(post->accept.existing, was_there);
    if (was_there)
        assert_true(gw_id_eq(&event->message_id, &post->accept.message_id));
    event->message_id = post->accept.message_id;
    return GW_OK;
}

static enum gw_err post_at(struct rows *rows, size_t i, int64_t at_ms)
{
    struct post post;

    post_start(rows, &post, &rows->events[i], at_ms);
    rig_wait(&rows->rig);
    return post_end(&post, &rows->events[i]);
}

static void sleep_ms(int ms)
{
    usleep((useconds_t)ms * 1000);
}

/* Until an index has been made anew. */
static void post_patiently(struct rows *rows, size_t i, int64_t at_ms)
{
    for (int n = 0; n < PATIENCE_S * 100; n++) {
        enum gw_err err = post_at(rows, i, at_ms);
        if (err == GW_OK)
            return;
        assert_int_equal(err, GW_ERR_BUSY);
        sleep_ms(10);
    }
    fail_msg("it stayed busy");
}

static size_t find(struct rows *rows, enum gw_find_key key, const char *app, const char *text)
{
    struct gw_find op = {
        .arena = &rows->rig.arena,
        .key = key,
        .app_id = gw_slice_from(app),
        .text = gw_slice_from(text),
        .max = 100,
    };
    enum gw_err err = GW_ERR_BUSY;

    for (int n = 0; n < PATIENCE_S * 100 && err == GW_ERR_BUSY; n++) {
        err = RIG_CALL(&rows->rig, ledger, find, &op);
        if (err == GW_ERR_BUSY)
            sleep_ms(10);
    }
    assert_ok(err);
    for (size_t i = 1; i < op.count; i++)
        assert_true(op.events[i - 1].message != op.events[i].message);
    return op.count;
}

/* Each by its id, and three of them by their transaction, with the app and without it. */
static void find_all(struct rows *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *app = draw(2) ? "app" : "";
        size_t siblings = 0;
        for (size_t j = i / 3 * 3; j < i / 3 * 3 + 3 && j < count; j++)
            siblings++;
        assert_int_equal(find(rows, GW_FIND_EVENT_ID, app, rows->events[i].id), 1);
        assert_int_equal(find(rows, GW_FIND_TRANSACTION_ID, app, rows->events[i].transaction),
                         siblings);
    }
    assert_int_equal(find(rows, GW_FIND_EVENT_ID, "other", "e0"), 0);
    assert_int_equal(find(rows, GW_FIND_EVENT_ID, "", "no such"), 0);
}

static int64_t size_of(struct rows *rows, const char *name)
{
    struct stat st;

    return stat(rig_path(&rows->rig, name), &st) == 0 ? st.st_size : -1;
}

/* ── Repeats ───────────────────────────────────────────────────────────────────────────────── */

/* Merges follow one another all the time: each generation holds two events. */
static void test_repeats(void **state)
{
    struct rows *rows = *state;

    rig_open(&rows->rig);
    for (size_t i = 0; i < EVENTS; i++) {
        assert_ok(post_at(rows, i, RIG_T0));
        assert_ok(post_at(rows, i, RIG_T0 + 1));
        assert_ok(post_at(rows, draw(i + 1), RIG_T0 + 2));
        if (draw(40) == 0)
            rig_reopen(&rows->rig);
    }
    assert_true(size_of(rows, "00000001.idx") > 4096);
    find_all(rows, EVENTS);
    rig_reopen(&rows->rig);
    for (size_t i = 0; i < EVENTS; i++)
        assert_ok(post_at(rows, i, RIG_T0 + 3));
    find_all(rows, EVENTS);
}

/* Many at once, so that repeats meet their first one in the same group, and merges that run. */
static void test_crowd(void **state)
{
    struct rows *rows = *state;
    struct post posts[EVENTS];
    size_t of[EVENTS];

    rows->rig.options.key_generation = 16;
    rig_open(&rows->rig);
    for (int round = 0; round < 30; round++) {
        size_t count = 1 + draw(EVENTS);
        for (size_t n = 0; n < count; n++) {
            of[n] = draw((uint64_t)EVENTS * (uint64_t)(round + 1) / 30);
            post_start(rows, &posts[n], &rows->events[of[n]], RIG_T0 + round);
        }
        rig_wait(&rows->rig);
        for (size_t n = 0; n < count; n++)
            assert_ok(post_end(&posts[n], &rows->events[of[n]]));
    }
}

/* Each day in a segment of its own; the window leads back into the one before, and no further. */
static void test_midnight(void **state)
{
    struct rows *rows = *state;
    int64_t midnight = RIG_T0 / RIG_DAY_MS * RIG_DAY_MS + RIG_DAY_MS;

    rig_open(&rows->rig);
    for (size_t i = 0; i < 40; i++)
        assert_ok(post_at(rows, i, midnight - 1000));
    assert_ok(post_at(rows, 40, midnight)); /* the next day's first asks for its segment */
    sleep_ms(50);
    for (size_t i = 0; i < 80; i++) {
        assert_ok(post_at(rows, i, midnight + 1000));
        if (i == 20)
            rig_reopen(&rows->rig);
    }
    for (size_t i = 0; i < 80; i++)
        assert_ok(post_at(rows, i, midnight + 2000));
    assert_true(size_of(rows, "00000002.seg") > 0);
    find_all(rows, 80);
    rows->events[0].message_id.len = 0; /* out of the window: new */
    assert_ok(post_at(rows, 0, midnight - 1000 + RIG_DAY_MS));
    assert_ok(post_at(rows, 40, midnight - 1000 + RIG_DAY_MS));
}

/* ── A file that is lost ───────────────────────────────────────────────────────────────────── */

static void fill(struct rows *rows, size_t count)
{
    rig_open(&rows->rig);
    for (size_t i = 0; i < count; i++)
        assert_ok(post_at(rows, i, RIG_T0));
}

static void check_again(struct rows *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        post_patiently(rows, i, RIG_T0 + 1);
    find_all(rows, count);
}

static void lose(struct rows *rows)
{
    static const char *const names[] = {"00000001.idx", "00000001.idx-wal", "00000001.idx-shm"};

    for (size_t i = 0; i < gw_count(names); i++)
        (void)unlink(rig_path(&rows->rig, names[i]));
}

/* Few enough to be remembered: nobody has to wait. */
static void test_lost(void **state)
{
    struct rows *rows = *state;

    fill(rows, 100);
    rig_close(&rows->rig);
    lose(rows);
    rig_open(&rows->rig);
    for (size_t i = 0; i < 100; i++)
        assert_ok(post_at(rows, i, RIG_T0 + 1));
    find_all(rows, 100);
}

/* Too many for that: it is made from the rows, and then everything is as it was. */
static void test_lost_and_far_behind(void **state)
{
    struct rows *rows = *state;

    rig_open(&rows->rig);
    rows->rig.options.keys_max = 20;
    for (size_t i = 0; i < 100; i++)
        assert_ok(post_at(rows, i, RIG_T0));
    rig_close(&rows->rig);
    lose(rows);
    rig_open(&rows->rig);
    check_again(rows, 100);
    assert_true(size_of(rows, "00000001.idx") > 4096);
}

/* Several at once take turns, while new events come in. */
static void test_many_behind(void **state)
{
    struct rows *rows = *state;

    rows->rig.options.segment_events_max = 25;
    rig_open(&rows->rig);
    for (size_t i = 0; i < 100; i++) {
        assert_ok(post_at(rows, i, RIG_T0));
        sleep_ms(i % 25 == 24 ? 20 : 0);
    }
    rig_close(&rows->rig);
    assert_true(size_of(rows, "00000003.idx") > 4096);
    for (int n = 1; n <= 4; n++)
        (void)unlink(gw_arena_printf(&rows->rig.arena, "%s/%08d.idx", rows->rig.dir, n));
    rows->rig.options.keys_max = 16;
    rig_open(&rows->rig);
    check_again(rows, 100);
    for (size_t i = 100; i < 150; i++)
        post_patiently(rows, i, RIG_T0 + 2);
    rig_reopen(&rows->rig);
    check_again(rows, 150);
}

/* Bytes of every page, in the file that nobody has open. */
static void spoil(struct rows *rows, off_t from)
{
    int fd = open(rig_path(&rows->rig, "00000001.idx"), O_RDWR);
    struct stat st;

    gw_check(fd >= 0 && fstat(fd, &st) == 0);
    for (off_t at = from; at < st.st_size; at += 512) {
        char byte;
        gw_check(pread(fd, &byte, 1, at) == 1);
        byte = (char)(byte ^ 0x20);
        gw_check(pwrite(fd, &byte, 1, at) == 1);
    }
    close(fd);
}

static void test_damaged_head(void **state)
{
    struct rows *rows = *state;

    fill(rows, 100);
    rig_close(&rows->rig);
    spoil(rows, 40);
    rig_open(&rows->rig);
    check_again(rows, 100);
}

/* It opens, and the damage shows when it is used. */
static void test_damaged_within(void **state)
{
    struct rows *rows = *state;

    fill(rows, EVENTS);
    rig_close(&rows->rig);
    spoil(rows, 2 * 4096 + 100);
    rig_open(&rows->rig);
    check_again(rows, EVENTS);
    rig_reopen(&rows->rig);
    check_again(rows, EVENTS);
}

/* Somebody else's, of the same number. */
static void test_not_ours(void **state)
{
    struct rows *rows = *state, *other;
    void *hold;

    fill(rows, 50);
    rig_close(&rows->rig);
    setup(&hold);
    other = hold;
    fill(other, 80);
    rig_close(&other->rig);
    assert_int_equal(
        rename(rig_path(&other->rig, "00000001.idx"), rig_path(&rows->rig, "00000001.idx")), 0);
    teardown(&hold);
    rig_open(&rows->rig);
    check_again(rows, 50);
}

/* ── A file that cannot be written ─────────────────────────────────────────────────────────── */

static void cannot_be_written(struct rows *rows, enum rig_fault fault)
{
    size_t count = 0;
    enum gw_err err;

    rows->rig.options.keys_max = 40;
    rig_open(&rows->rig);
    rig_vfs_fail(fault, ".idx-wal", 0);
    while ((err = post_at(rows, count, RIG_T0)) == GW_OK && count < EVENTS - 20)
        count++;
    assert_int_equal(err, GW_ERR_BUSY);
    assert_in_range(count, 20, 40);
    for (size_t i = 0; i < count; i++) /* what is there is known all the same */
        assert_ok(post_at(rows, i, RIG_T0));
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    post_patiently(rows, count, RIG_T0);
    check_again(rows, count + 1);
}

static void test_full(void **state)
{
    cannot_be_written(*state, RIG_FAULT_FULL);
}

static void test_write_fails(void **state)
{
    cannot_be_written(*state, RIG_FAULT_WRITE);
}

/* Nobody knows what is in a file after that: it is made anew, once that works again. */
static void test_sync_fails(void **state)
{
    struct rows *rows = *state;

    fill(rows, 20);
    rig_vfs_fail(RIG_FAULT_SYNC, ".idx", 0);
    for (size_t i = 20; i < 40; i++) {
        enum gw_err err = post_at(rows, i, RIG_T0);
        assert_true(err == GW_OK || err == GW_ERR_BUSY);
        sleep_ms(5);
    }
    assert_int_equal(post_at(rows, 39, RIG_T0), GW_ERR_BUSY);
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    check_again(rows, 40);
}

/* Its keys go with the group: the same event is new when it comes again. */
static void test_failed_group(void **state)
{
    struct rows *rows = *state;

    fill(rows, 7);
    for (size_t i = 7; i < 40; i++) {
        rig_vfs_fail(RIG_FAULT_FULL, ".seg-wal", 0);
        assert_int_equal(post_at(rows, i, RIG_T0), GW_ERR_FULL);
        rig_vfs_fail(RIG_FAULT_NONE, "", 0);
        assert_ok(post_at(rows, i, RIG_T0));
        assert_ok(post_at(rows, i, RIG_T0));
    }
    rig_reopen(&rows->rig);
    check_again(rows, 40);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_repeats),
        TEST(test_crowd),
        TEST(test_midnight),
        TEST(test_lost),
        TEST(test_lost_and_far_behind),
        TEST(test_many_behind),
        TEST(test_damaged_head),
        TEST(test_damaged_within),
        TEST(test_not_ours),
        TEST(test_full),
        TEST(test_write_fails),
        TEST(test_sync_fails),
        TEST(test_failed_group),
    };

    return cmocka_run_group_tests_name("sqlite index", tests, NULL, NULL);
}
