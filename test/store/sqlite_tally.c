/* What counting does when groups fail, the power goes, or somebody meddles with a file. */
#include "sqlite_rig.h"

#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>

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

static struct gw_tally_op tally(struct rig *rig)
{
    struct gw_tally_op op = {
        .arena = &rig->arena,
        .from_ms = RIG_T0 - RIG_DAY_MS,
        .to_ms = RIG_T0 + RIG_DAY_MS,
        .full = true,
    };

    assert_ok(RIG_CALL(rig, ledger, tally, &op));
    return op;
}

static bool agrees(const struct gw_tally_op *op)
{
    for (size_t i = 0; i < GW_TALLY_COUNTS; i++)
        if (i != GW_TALLY_DUPLICATE && op->counted.of[i] != op->rows.of[i])
            return false;
    return true;
}

static void expect(struct rig *rig, int64_t created, int64_t delivered)
{
    struct gw_tally_op op = tally(rig);
    uint64_t open = 0;

    assert_true(agrees(&op));
    for (size_t i = 0; i < op.open_count; i++)
        open += op.open[i].count;
    assert_int_equal(op.counted.of[GW_TALLY_RECEIVED], created);
    assert_int_equal(op.counted.of[GW_TALLY_CREATED], created);
    assert_int_equal(op.counted.of[GW_TALLY_DELIVERED], delivered);
    assert_int_equal(open, created - delivered);
}

/* Numbers of tallies given in a group that failed must be given again. */
static void test_full(void **state)
{
    struct rig *rig = *state;
    struct gw_delivery open;

    rig_vfs_fail(RIG_FAULT_FULL, LOG, 0);
    assert_int_equal(rig_accept(rig, "e1", 1, NULL), GW_ERR_FULL);
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    expect(rig, 0, 0);
    assert_ok(rig_accept(rig, "e1", 1, &open));
    expect(rig, 1, 0);
    rig_vfs_fail(RIG_FAULT_FULL, LOG, 0);
    assert_int_equal(rig_deliver(rig, &open), GW_ERR_FULL);
    assert_int_equal(rig_accept(rig, "e2", 1, NULL), GW_ERR_FULL);
    assert_int_equal(rig_accept(rig, "e1", 1, NULL), GW_ERR_FULL); /* a duplicate writes, too */
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    expect(rig, 1, 0);
    assert_ok(rig_deliver(rig, &open));
    assert_ok(rig_accept(rig, "e1", 1, NULL));
    expect(rig, 1, 1);
    rig_reopen(rig);
    expect(rig, 1, 1);
    struct gw_tally_op op = tally(rig);
    assert_int_equal(op.counted.of[GW_TALLY_DUPLICATE], 1);
    assert_int_equal(op.latency.count, 1);
    assert_int_equal(op.latency.p50_ms, 6);
}

/* Nobody knows what was stored; but what was is counted. */
static void test_write_fails(void **state)
{
    struct rig *rig = *state;
    struct gw_delivery open;

    assert_ok(rig_accept(rig, "before", 1, &open));
    rig_vfs_fail(RIG_FAULT_SYNC, LOG, 0);
    assert_int_equal(rig_deliver(rig, &open), GW_ERR_IO);
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    rig_reopen(rig);
    struct gw_tally_op op = tally(rig);
    assert_true(agrees(&op));
    assert_int_equal(op.counted.of[GW_TALLY_CREATED], 1);
    assert_ok(rig_deliver(rig, &open));
    expect(rig, 1, 1);
}

/* The power goes with latencies that nobody has written: they alone are lost. */
static void test_power(void **state)
{
    struct rig *rig = *state;
    struct gw_delivery open[20];
    char event_id[16];

    rig_close(rig);
    const char *image = rig_path(rig, "image");
    const char *dir = rig_path(rig, "dir");
    assert_int_equal(mkdir(image, 0700), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    rig->options.dir = dir;
    rig_vfs_image(image);
    rig_open(rig);
    for (size_t i = 0; i < gw_count(open); i++) {
        snprintf(event_id, sizeof(event_id), "e%zu", i);
        assert_ok(rig_accept(rig, event_id, 1, &open[i]));
        if (i % 2)
            assert_ok(rig_deliver(rig, &open[i]));
    }
    rig_vfs_power_off();
    rig_close(rig);
    rig->options.dir = image;
    rig_open(rig);
    expect(rig, 20, 10);
    assert_int_equal(tally(rig).latency.count, 0);
    assert_ok(rig_deliver(rig, &open[0]));
    expect(rig, 20, 11);
}

/* Every so often they are written with a group, and are then safe and seen. */
static void test_latencies_are_written(void **state)
{
    struct rig *rig = *state;
    struct gw_delivery a, b;

    rig_close(rig);
    rig->options.latency_every_ms = 1;
    rig_open(rig);
    assert_ok(rig_accept(rig, "a", 1, &a));
    assert_ok(rig_accept(rig, "b", 1, &b));
    assert_ok(rig_deliver(rig, &a));
    int64_t until_us = gw_env_mono_us(rig->env) + 3000;
    do /* the group that comes first after the time is over */
        assert_ok(rig_accept(rig, NULL, 2, NULL));
    while (gw_env_mono_us(rig->env) < until_us);
    assert_ok(rig_accept(rig, NULL, 2, NULL));
    assert_int_equal(tally(rig).latency.count, 1);
    assert_ok(rig_deliver(rig, &b));
    rig_reopen(rig);
    assert_int_equal(tally(rig).latency.count, 2);
    rig_reopen(rig);
    assert_int_equal(tally(rig).latency.count, 2);
}

static void meddle(struct rig *rig, const char *sql)
{
    sqlite3 *db = NULL;

    rig_close(rig);
    assert_int_equal(sqlite3_open_v2(rig_path(rig, SEGMENT), &db, SQLITE_OPEN_READWRITE, "gwh-sum"),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    rig_open(rig);
}

/* A recount finds whatever the counters do not know. */
static void test_recount(void **state)
{
    static const char *const meddled[] = {
        "UPDATE tally SET delivered = delivered + 1, dead = dead - 1",
        "UPDATE tally SET received = received - 1, routed = routed - 1",
        "DELETE FROM event WHERE event_id = 'b'",
        "DELETE FROM done",
        "UPDATE done SET state = 3",
        "DELETE FROM open",
        "UPDATE event SET skip = 3 WHERE event_id = 'b'",
        "UPDATE tally SET hour = hour + 86400000",
        "UPDATE tally SET failed = failed + 1",
        "UPDATE done SET attempts = 7",
    };
    struct rig *rig = *state;
    struct gw_delivery a;

    for (size_t i = 0; i < gw_count(meddled); i++) {
        assert_ok(rig_accept(rig, "a", 1, &a));
        assert_ok(rig_accept(rig, "b", 1, NULL));
        assert_ok(rig_deliver(rig, &a));
        expect(rig, 2, 1);
        meddle(rig, meddled[i]);
        struct gw_tally_op op = tally(rig);
        assert_false(agrees(&op));
        teardown(state);
        setup(state);
        rig = *state;
    }
}

/* As the version before had it. */
static const char version_1[] =
    "CREATE TABLE t(id INTEGER PRIMARY KEY, hour INTEGER NOT NULL, app INTEGER NOT NULL,"
    "  type INTEGER NOT NULL, received INTEGER NOT NULL DEFAULT 0,"
    "  routed INTEGER NOT NULL DEFAULT 0, no_config INTEGER NOT NULL DEFAULT 0,"
    "  inactive INTEGER NOT NULL DEFAULT 0, filtered INTEGER NOT NULL DEFAULT 0,"
    "  duplicate INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL DEFAULT 0,"
    "  replayed INTEGER NOT NULL DEFAULT 0, delivered INTEGER NOT NULL DEFAULT 0,"
    "  dead INTEGER NOT NULL DEFAULT 0, cancelled INTEGER NOT NULL DEFAULT 0,"
    "  UNIQUE(hour, app, type)) STRICT;"
    "INSERT INTO t SELECT min(id), hour, app, type, sum(received), sum(routed), sum(no_config),"
    "  sum(inactive), sum(filtered), sum(duplicate), sum(created), sum(replayed), sum(delivered),"
    "  sum(dead), sum(cancelled) FROM tally GROUP BY hour, app, type;"
    "UPDATE open SET tally = (SELECT t.id FROM t JOIN tally USING (hour, app, type)"
    "  WHERE tally.id = open.tally);"
    "UPDATE done SET tally = (SELECT t.id FROM t JOIN tally USING (hour, app, type)"
    "  WHERE tally.id = done.tally);"
    "DROP TABLE tally; ALTER TABLE t RENAME TO tally; PRAGMA user_version = 1";

static void stats_are(struct rig *rig, const char *url, int64_t delivered, int64_t failed)
{
    struct gw_stats_op op = {
        .arena = &rig->arena,
        .url = gw_slice_from(url),
        .from_ms = RIG_T0 - RIG_DAY_MS,
        .to_ms = RIG_T0 + RIG_DAY_MS,
        .bucket_ms = GW_DAY_MS,
    };

    assert_ok(RIG_CALL(rig, ledger, stats, &op));
    assert_int_equal(op.count, delivered + failed > 0);
    for (size_t i = 0; i < op.count; i++) {
        assert_int_equal(op.rows[i].delivered, delivered);
        assert_int_equal(op.rows[i].failed, failed);
    }
}

/* What is failed until then is known, but not where; from then on that too. */
static void test_older_version(void **state)
{
    struct rig *rig = *state;
    struct gw_delivery a, b;

    assert_ok(rig_accept(rig, "a", 1, &a));
    assert_ok(rig_accept(rig, "b", 1, &b));
    assert_ok(rig_fail(rig, &a));
    assert_ok(rig_fail(rig, &b));
    a.attempts = b.attempts = 1;
    assert_ok(rig_deliver(rig, &a));
    stats_are(rig, NULL, 1, 2);
    stats_are(rig, RIG_URL, 1, 2);
    meddle(rig, version_1);
    expect(rig, 2, 1);
    stats_are(rig, NULL, 1, 2);
    stats_are(rig, RIG_URL, 0, 0);
    assert_ok(rig_deliver(rig, &b));
    expect(rig, 2, 2);
    stats_are(rig, NULL, 2, 2);
    stats_are(rig, RIG_URL, 1, 0);
    rig_reopen(rig);
    expect(rig, 2, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_power, setup, teardown),
        cmocka_unit_test_setup_teardown(test_latencies_are_written, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recount, setup, teardown),
        cmocka_unit_test_setup_teardown(test_older_version, setup, teardown),
    };

    return cmocka_run_group_tests_name("tally", tests, NULL, NULL);
}
