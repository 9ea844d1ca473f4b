/* What failing, full and busy disks do to those who wait: the right errors, nothing half done, and
 * everything there again after a restart. */
#include "sqlite_rig.h"

#include "core/url.h"

#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT "00000001.seg"
#define LOG     SEGMENT "-wal"

static int setup(void **state)
{
    struct rig *rig = gw_zalloc(sizeof(*rig));

    rig_vfs_install();
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    rig_init(rig);
    rig_open(rig);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    rig_deinit(*state);
    gw_free(*state);
    return 0;
}

static struct gw_ledger_state state_of(struct rig *rig)
{
    return gw_ledger_state(rig->ledger);
}

/* ── Failures that nothing is known after ──────────────────────────────────────────────────── */

static void expect_stopped(struct rig *rig, const struct gw_delivery *open)
{
    struct rig_event event;

    assert_false(state_of(rig).accepting);
    assert_true(strlen(state_of(rig).why) > 0);
    rig_event_start(rig, &event, "later", "{}", 1);
    rig_wait(rig);
    assert_int_equal(event.accept.op.err, GW_ERR_STOPPED);
    assert_true(event.accept.op.again_ms > 0);
    assert_false(event.accept.offered);
    rig_event_end(&event);
    assert_int_equal(rig_deliver(rig, open), GW_ERR_STOPPED);
    /* Looking goes on. */
    assert_non_null(rig_find(rig, "before"));
    assert_null(rig_find(rig, "later"));
}

static void fail_and_restart(struct rig *rig, enum rig_fault fault)
{
    struct gw_delivery open;

    assert_ok(rig_accept(rig, "before", 1, &open));
    rig_vfs_fail(fault, LOG, 0);
    assert_int_equal(rig_accept(rig, "during", 1, NULL), GW_ERR_IO);
    rig_vfs_fail(RIG_FAULT_NONE, "", 0); /* that it would work now does not count */
    expect_stopped(rig, &open);
    rig_reopen(rig);
    assert_true(state_of(rig).accepting);
    assert_ok(rig_deliver(rig, &open));
    /* It may be there or not, but not twice. */
    assert_ok(rig_accept(rig, "during", 1, NULL));
    assert_ok(rig_accept(rig, "later", 1, NULL));
    assert_int_equal(rig_open_in(rig, 1), 2);
}

static void test_sync_fails(void **state)
{
    fail_and_restart(*state, RIG_FAULT_SYNC);
}

/* What the checkpointer cannot sync may be lost, but for the log, which is then kept. */
static void test_checkpoint_fails(void **state)
{
    struct rig *rig = *state;
    size_t size = (size_t)256 * 1024, stored = 0;
    char *body = gw_zalloc(size + 1), event_id[32];
    enum gw_err err = GW_OK;

    memset(body, 'b', size);
    rig_vfs_fail(RIG_FAULT_SYNC, SEGMENT, 0);
    while (err == GW_OK && stored < 1000) {
        struct rig_event event;
        snprintf(event_id, sizeof(event_id), "e%zu", stored);
        rig_event_start(rig, &event, event_id, body, 1);
        rig_wait(rig);
        err = event.accept.op.err;
        stored += err == GW_OK;
        rig_event_end(&event);
    }
    assert_int_equal(err, GW_ERR_STOPPED);
    assert_true(stored > 10);
    assert_false(state_of(rig).accepting);
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    rig_reopen(rig);
    assert_int_equal(state_of(rig).open, stored);
    for (size_t i = 0; i < stored; i++) {
        snprintf(event_id, sizeof(event_id), "e%zu", i);
        assert_int_equal(rig_find(rig, event_id)->message->body.len, size);
    }
    gw_free(body);
}

static void test_write_fails(void **state)
{
    fail_and_restart(*state, RIG_FAULT_WRITE);
}

/* ── Full ──────────────────────────────────────────────────────────────────────────────────── */

static void test_disk_full(void **state)
{
    struct rig *rig = *state;
    struct gw_delivery open;
    struct rig_event event;

    assert_ok(rig_accept(rig, "before", 1, &open));
    rig_vfs_fail(RIG_FAULT_FULL, LOG, 0);
    rig_event_start(rig, &event, "during", "{}", 1);
    rig_wait(rig);
    assert_int_equal(event.accept.op.err, GW_ERR_FULL);
    assert_true(event.accept.op.again_ms > 0);
    assert_false(event.accept.offered);
    rig_event_end(&event);
    assert_int_equal(rig_deliver(rig, &open), GW_ERR_FULL);
    assert_int_equal(state_of(rig).open, 1);
    assert_non_null(rig_find(rig, "before"));

    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    assert_ok(rig_deliver(rig, &open));
    assert_ok(rig_accept(rig, "during", 1, NULL));
    assert_int_equal(state_of(rig).open, 1);
    rig_reopen(rig);
    assert_int_equal(state_of(rig).open, 1);
    assert_int_equal(rig_find(rig, "before")->rows[0].delivery.state, GW_DELIVERY_DELIVERED);
}

/* Names given in a group that failed must be given again. */
static void test_names_of_a_failed_group(void **state)
{
    struct rig *rig = *state;

    rig_vfs_fail(RIG_FAULT_FULL, LOG, 0);
    assert_int_equal(rig_accept(rig, "e1", 1, NULL), GW_ERR_FULL);
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    assert_ok(rig_accept(rig, "e1", 1, NULL));
    assert_non_null(rig_find(rig, "e1"));
    assert_true(gw_slice_is(rig_find(rig, "e1")->message->event_type, "type"));
}

static bool mount_small(const char *dir, const char *size)
{
    char options[32];

    snprintf(options, sizeof(options), "size=%s", size);
    return mount("none", dir, "tmpfs", 0, options) == 0;
}

/* A real disk that is really full, and later is not. */
static void test_small_disk(void **state)
{
    struct rig *rig = *state;
    char body[10000] = "", event_id[32];
    size_t stored = 0;
    enum gw_err err = GW_OK;
    struct gw_delivery last = {0};

    memset(body, 'b', sizeof(body) - 1);
    rig_close(rig);
    const char *dir = rig_path(rig, "small");
    rig->options.dir = dir;
    assert_int_equal(mkdir(dir, 0700), 0);
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || !mount_small(dir, "1m")) {
        rig_open(rig);
        skip();
    }
    rig_open(rig);
    while (err == GW_OK && stored < 1000) {
        struct rig_event event;
        snprintf(event_id, sizeof(event_id), "e%zu", stored);
        rig_event_start(rig, &event, event_id, body, 1);
        rig_wait(rig);
        err = event.accept.op.err;
        if (err == GW_OK)
            last = event.accept.deliveries[0];
        stored += err == GW_OK;
        rig_event_end(&event);
    }
    assert_int_equal(err, GW_ERR_FULL);
    assert_true(stored > 10);
    err = rig_deliver(rig, &last); /* it is small, perhaps there is room */
    assert_true(err == GW_OK || err == GW_ERR_FULL);
    assert_true(state_of(rig).accepting);
    assert_int_equal(mount(NULL, dir, NULL, MS_REMOUNT, "size=8m"), 0);
    rig_reopen(rig);
    for (size_t i = 0; i < stored; i++) {
        snprintf(event_id, sizeof(event_id), "e%zu", i);
        assert_non_null(rig_find(rig, event_id));
    }
    assert_ok(rig_accept(rig, "more", 1, &last));
    assert_ok(rig_deliver(rig, &last));
    rig_close(rig);
    umount(dir);
}

static void test_reserve(void **state)
{
    struct rig *rig = *state;
    struct gw_delivery open;

    assert_ok(rig_accept(rig, "before", 1, &open));
    rig_close(rig);
    rig->options.disk_reserve_bytes = INT64_MAX;
    rig_open(rig);
    assert_false(state_of(rig).accepting);
    assert_true(strlen(state_of(rig).why) > 0);
    assert_int_equal(rig_accept(rig, "during", 1, NULL), GW_ERR_FULL);
    struct gw_add add = {.message_id = open.message_id,
                         .key = GW_SLICE("job"),
                         .lanes = &open.lane,
                         .lane_count = 1};
    assert_int_equal(RIG_CALL(rig, ledger, add, &add), GW_ERR_FULL);
    assert_ok(rig_deliver(rig, &open)); /* what is under way may end */
}

/* ── Too much at once, and too late ────────────────────────────────────────────────────────── */

struct blocked {
    sqlite3 *db;
    struct rig_event event;
};

/* Keeps the writer waiting for a while. */
static void block(struct rig *rig, struct blocked *blocked)
{
    assert_int_equal(sqlite3_open(rig_path(rig, SEGMENT), &blocked->db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(blocked->db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    rig_event_start(rig, &blocked->event, "blocked", "{}", 1);
}

static void unblock(struct rig *rig, struct blocked *blocked)
{
    sqlite3_close(blocked->db);
    rig_wait(rig);
    rig_event_end(&blocked->event);
}

static void start_many(struct rig *rig, struct rig_event *events, size_t count)
{
    for (size_t i = 0; i < count; i++)
        rig_event_start(rig, &events[i], "e", "{}", 1);
}

/* They all stand in one queue when the writer comes back, and go into one group. */
static void test_duplicates_in_one_group(void **state)
{
    struct rig *rig = *state;
    struct rig_event events[20];
    struct blocked blocked;
    size_t fresh = 0;

    block(rig, &blocked);
    start_many(rig, events, gw_count(events));
    unblock(rig, &blocked);
    for (size_t i = 0; i < gw_count(events); i++) {
        assert_ok(events[i].accept.op.err);
        assert_int_equal(events[i].accept.existing, i > 0);
        assert_int_equal(events[i].accept.offered, i == 0);
        assert_true(gw_id_eq(&events[i].accept.message_id, &events[0].accept.message_id));
        fresh += !events[i].accept.existing;
        rig_event_end(&events[i]);
    }
    assert_int_equal(fresh, 1);
    assert_int_equal(state_of(rig).open, 2);
}

static void test_group_fails_whole(void **state)
{
    struct rig *rig = *state;
    struct rig_event events[20];
    struct blocked blocked;

    block(rig, &blocked);
    start_many(rig, events, gw_count(events));
    rig_vfs_fail(RIG_FAULT_FULL, LOG, 0);
    unblock(rig, &blocked);
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    for (size_t i = 0; i < gw_count(events); i++) {
        assert_int_equal(events[i].accept.op.err, GW_ERR_FULL);
        assert_true(events[i].accept.op.again_ms > 0);
        assert_false(events[i].accept.offered || events[i].accept.existing);
        assert_int_equal(events[i].accept.delivery_count, 0);
        assert_int_equal(events[i].message->id.len, 0);
        rig_event_end(&events[i]);
    }
    assert_int_equal(state_of(rig).open, 0);
    assert_ok(rig_accept(rig, "e", 1, NULL));
    assert_int_equal(rig_open_in(rig, 1), 1);
}

/* Another program holds the file for longer than is waited. */
static void test_file_is_busy(void **state)
{
    struct rig *rig = *state;
    struct rig_event events[20];
    struct blocked blocked;

    block(rig, &blocked);
    start_many(rig, events, gw_count(events));
    rig_wait(rig);
    for (size_t i = 0; i < gw_count(events); i++) {
        assert_int_equal(events[i].accept.op.err, GW_ERR_BUSY);
        assert_true(events[i].accept.op.again_ms > 0);
        rig_event_end(&events[i]);
    }
    unblock(rig, &blocked);
    assert_ok(rig_accept(rig, "e", 1, NULL)); /* it is no reason to stop */
    assert_int_equal(state_of(rig).open, 1);
}

static void test_queue_is_full(void **state)
{
    struct rig *rig = *state;
    struct blocked blocked;
    struct rig_event events[5];

    rig_close(rig);
    rig->options.queue_max = 3;
    rig_open(rig);
    block(rig, &blocked);
    start_many(rig, events, gw_count(events));
    unblock(rig, &blocked);
    for (size_t i = 0; i < gw_count(events); i++) {
        assert_int_equal(events[i].accept.op.err, i < 2 ? GW_OK : GW_ERR_BUSY);
        assert_int_equal(events[i].accept.op.again_ms > 0, i >= 2);
        rig_event_end(&events[i]);
    }
    assert_int_equal(state_of(rig).queued, 0);
    assert_ok(rig_accept(rig, "e", 1, NULL)); /* there is room again */
}

static void test_deadline(void **state)
{
    struct rig *rig = *state;
    struct gw_delivery open;

    assert_ok(rig_accept(rig, "e1", 1, &open));
    struct gw_settle settle = {.op.deadline_us = 1, .write_id = 1, .next = open};
    settle.next.state = GW_DELIVERY_CANCELLED;
    assert_int_equal(RIG_CALL(rig, ledger, settle, &settle), GW_ERR_TIMEOUT);
    struct gw_load load = {.op.deadline_us = 1, .message_id = open.message_id};
    assert_int_equal(RIG_CALL(rig, ledger, load, &load), GW_ERR_TIMEOUT);
    assert_int_equal(rig_open_in(rig, 1), 1);
    settle.op.deadline_us = gw_env_mono_us(rig->env) + 60000000;
    assert_ok(RIG_CALL(rig, ledger, settle, &settle));
}

/* ── Configs ───────────────────────────────────────────────────────────────────────────────── */

static struct gw_config *config_make(const char *json)
{
    static const struct gw_guard guard = {0};
    struct gw_config_change change = {
        .json = gw_slice_from(json), .guard = &guard, .now_ms = RIG_T0, .overlap_ms = RIG_DAY_MS};
    struct gw_config *config = NULL;
    struct gw_error error = {0};

    if (gw_config_create(&config, &change, &error) != GW_OK)
        fail_msg("%s", error.text);
    return config;
}

/* Numbers that are not on disk will be given to others. */
static void test_lanes_of_a_failed_group(void **state)
{
    struct rig *rig = *state;
    struct gw_config *config =
        config_make("{\"appId\":\"app\",\"eventType\":\"type\",\"webhookUrl\":"
                    "\"https://client.example/in\",\"workflows\":{\"w\":"
                    "[\"https://client.example/a\",\"https://client.example/b\"]}}");
    struct gw_config_put put = {.config = config, .audit = rig_audit("config_created", "type")};

    rig_vfs_fail(RIG_FAULT_FULL, "main.db-wal", 0);
    assert_int_equal(RIG_CALL(rig, configs, put, &put), GW_ERR_FULL);
    assert_null(put.snapshot);
    for (size_t i = 0; i < config->route_count; i++)
        assert_int_equal(config->routes[i].lane, 0);
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    assert_ok(RIG_CALL(rig, configs, put, &put));
    for (size_t i = 0; i < config->route_count; i++)
        assert_int_equal(config->routes[i].lane, i + 1);
    assert_int_equal(put.snapshot->config_count, 1);
    assert_int_equal(put.snapshot->revision, 1);
    gw_snapshot_unref(put.snapshot);
    gw_config_unref(config);

    rig_reopen(rig);
    struct gw_config_load load = {.app_id = GW_SLICE("app")};
    assert_ok(RIG_CALL(rig, configs, load, &load));
    assert_int_equal(load.snapshot->config_count, 1);
    assert_int_equal(load.snapshot->configs[0]->routes[2].lane, 3);
    gw_snapshot_unref(load.snapshot);
}

/* A config that cannot be read is nobody's empty snapshot. */
static void test_config_is_damaged(void **state)
{
    struct rig *rig = *state;
    struct gw_config *config = config_make(
        "{\"appId\":\"app\",\"eventType\":\"a\",\"webhookUrl\":\"https://client.example/in\"}");
    struct gw_config *other = config_make(
        "{\"appId\":\"app\",\"eventType\":\"b\",\"webhookUrl\":\"https://client.example/in\"}");
    struct gw_audit audit = rig_audit("config_created", "a");
    struct gw_config_put put = {.config = config, .audit = audit};
    struct gw_config_put put_other = {.config = other, .audit = audit};
    struct gw_config_load load = {.app_id = GW_SLICE("app")};
    sqlite3 *db = NULL;

    assert_ok(RIG_CALL(rig, configs, put, &put));
    assert_int_equal(
        sqlite3_open_v2(rig_path(rig, "main.db"), &db, SQLITE_OPEN_READWRITE, "gwh-sum"),
        SQLITE_OK);
    sqlite3_busy_timeout(db, 1000);
    assert_int_equal(sqlite3_exec(db, "UPDATE config SET doc = x'7b'", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(RIG_CALL(rig, configs, load, &load), GW_ERR_CORRUPT);
    assert_null(load.snapshot);
    assert_int_equal(RIG_CALL(rig, configs, put, &put_other), GW_ERR_CORRUPT);
    assert_int_equal(other->routes[0].lane, 0);
    assert_true(state_of(rig).accepting); /* others are not to suffer */
    gw_snapshot_unref(put.snapshot);
    gw_config_unref(config);
    gw_config_unref(other);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sync_fails),
        TEST(test_write_fails),
        TEST(test_checkpoint_fails),
        TEST(test_disk_full),
        TEST(test_names_of_a_failed_group),
        TEST(test_small_disk),
        TEST(test_reserve),
        TEST(test_duplicates_in_one_group),
        TEST(test_group_fails_whole),
        TEST(test_file_is_busy),
        TEST(test_queue_is_full),
        TEST(test_deadline),
        TEST(test_lanes_of_a_failed_group),
        TEST(test_config_is_damaged),
    };

    return cmocka_run_group_tests_name("sqlite faults", tests, NULL, NULL);
}
