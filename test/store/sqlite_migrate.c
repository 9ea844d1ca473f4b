/* Files of older versions are brought up, one step at a time, whatever gets in between; newer ones
 * are refused and stay as they are. On a kind of file of the test's own. */
#include "sqlite_rig.h"

#include "store/sqlite_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define FILE_NAME "some.file"
#define ROWS      500

/* The same table three times: x, then its double beside it, then x as a text. */
static const char schema_1[] = "CREATE TABLE t(x INTEGER PRIMARY KEY) STRICT;";
static const char schema_2[] = "CREATE TABLE t(x INTEGER PRIMARY KEY, y INTEGER) STRICT;";
static const char schema_3[] = "CREATE TABLE t(x INTEGER PRIMARY KEY, y INTEGER, z TEXT) STRICT;";
static const char *const steps[] = {
    "ALTER TABLE t ADD COLUMN y INTEGER; UPDATE t SET y = 2 * x;",
    "ALTER TABLE t ADD COLUMN z TEXT; UPDATE t SET z = printf('%d', x);",
};
static const char *const sql[] = {"SELECT count(*) FROM t"};

static const struct sqlite_kind kinds[] = {
    {"test file", 0x74657374, 1, schema_1, steps, sql, 1},
    {"test file", 0x74657374, 2, schema_2, steps, sql, 1},
    {"test file", 0x74657374, 3, schema_3, steps, sql, 1},
};

static int setup(void **state)
{
    struct rig *rig = gw_zalloc(sizeof(*rig));

    rig_vfs_install();
    sqlite_sum_init();
    rig_init(rig);
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

static enum gw_err open_as(const char *path, int version, enum sqlite_role role)
{
    struct sqlite_conn conn = {0};
    struct gw_error error;
    enum gw_err err =
        sqlite_conn_open(&conn, path, &kinds[version - 1], role, (size_t)1 << 20, &error);

    sqlite_conn_close(&conn);
    return err;
}

static int64_t ask(const char *path, const char *query)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;

    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, SQLITE_SUM_VFS), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, query, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return value;
}

/* Of the first version, with rows. */
static const char *make(struct rig *rig)
{
    const char *path = rig_path(rig, FILE_NAME);
    struct sqlite_conn conn = {0};
    struct gw_error error;
    char insert[200];

    unlink(path);
    unlink(rig_path(rig, FILE_NAME "-wal"));
    unlink(rig_path(rig, FILE_NAME "-shm"));
    assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
    assert_ok(sqlite_conn_open(&conn, path, &kinds[0], SQLITE_ROLE_MAKER, 1 << 20, &error));
    snprintf(insert, sizeof(insert),
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             " INSERT INTO t SELECT i FROM n",
             ROWS);
    assert_int_equal(sqlite3_exec(conn.db, insert, NULL, NULL, NULL), SQLITE_OK);
    sqlite_conn_close(&conn);
    return path;
}

static void expect_up(const char *path)
{
    assert_int_equal(ask(path, "PRAGMA user_version"), 3);
    assert_int_equal(ask(path, "SELECT count(*) FROM t"), ROWS);
    assert_int_equal(ask(path, "SELECT count(*) FROM t WHERE y = 2 * x AND z = printf('%d', x)"),
                     ROWS);
}

static void test_up(void **state)
{
    const char *path = make(*state);

    assert_ok(open_as(path, 3, SQLITE_ROLE_WRITER));
    expect_up(path);
    assert_ok(open_as(path, 3, SQLITE_ROLE_WRITER)); /* again: nothing happens */
    expect_up(path);
    path = make(*state);
    assert_ok(open_as(path, 2, SQLITE_ROLE_WRITER));
    assert_int_equal(ask(path, "PRAGMA user_version"), 2);
    assert_ok(open_as(path, 3, SQLITE_ROLE_WRITER));
    expect_up(path);
}

static void test_newer(void **state)
{
    const char *path = make(*state);

    assert_ok(open_as(path, 3, SQLITE_ROLE_WRITER));
    assert_int_equal(open_as(path, 2, SQLITE_ROLE_WRITER), GW_ERR_SCHEMA);
    assert_int_equal(open_as(path, 1, SQLITE_ROLE_READER), GW_ERR_SCHEMA);
    expect_up(path);
}

/* Every write and every sync that there is fails once. */
static void fail_everywhere(struct rig *rig, enum rig_fault fault)
{
    enum gw_err err = GW_ERR_IO;
    int failed = 0;

    for (int after = 0; err != GW_OK; after++) {
        const char *path = make(rig);
        rig_vfs_fail(fault, "-wal", after);
        err = open_as(path, 3, SQLITE_ROLE_WRITER);
        rig_vfs_fail(RIG_FAULT_NONE, "", 0);
        failed += err != GW_OK;
        int64_t version = ask(path, "PRAGMA user_version");
        assert_true(version >= 1 && version <= 3);
        if (version == 2) /* whole, or not at all */
            assert_int_equal(ask(path, "SELECT count(*) FROM t WHERE y = 2 * x"), ROWS);
        assert_ok(open_as(path, 3, SQLITE_ROLE_WRITER));
        expect_up(path);
    }
    assert_true(failed >= 2);
}

static void test_fails_in_the_middle(void **state)
{
    fail_everywhere(*state, RIG_FAULT_WRITE);
    fail_everywhere(*state, RIG_FAULT_SYNC);
    fail_everywhere(*state, RIG_FAULT_FULL);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_up),
        TEST(test_newer),
        TEST(test_fails_in_the_middle),
    };

    return cmocka_run_group_tests_name("sqlite migrate", tests, NULL, NULL);
}
