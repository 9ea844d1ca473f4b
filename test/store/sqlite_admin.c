/* Keys and the audit log as SQLite keeps them: sealed, bound to their places, there after a restart
 * and in a copy, gone when they are too old, and found without walking through all of them. */
#include "sqlite_rig.h"

#include "store/sqlite_backup.h"
#include "store/sqlite_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK "canary-7c20"

static int setup(void **state)
{
    struct rig *rig = gw_zalloc(sizeof(*rig));

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

/* ── Helpers ───────────────────────────────────────────────────────────────────────────────── */

static sqlite3 *db_open(struct rig *rig)
{
    sqlite3 *db = NULL;

    assert_int_equal(
        sqlite3_open_v2(rig_path(rig, "main.db"), &db, SQLITE_OPEN_READWRITE, SQLITE_SUM_VFS),
        SQLITE_OK);
    sqlite3_busy_timeout(db, 1000);
    return db;
}

static void run_sql(struct rig *rig, const char *sql)
{
    sqlite3 *db = db_open(rig);
    char *why = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
    sqlite3_close(db);
}

/* Every row's first column, one behind the other. */
static const char *ask(struct rig *rig, const char *sql)
{
    sqlite3 *db = db_open(rig);
    sqlite3_stmt *st = NULL;
    const char *text = "";

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW)
        text = gw_arena_printf(&rig->arena, "%s%s\n", text,
                               (const char *)sqlite3_column_text(st, sqlite3_column_count(st) - 1));
    sqlite3_finalize(st);
    sqlite3_close(db);
    return text;
}

static struct gw_key key_make(const char *id, const char *name)
{
    struct gw_key key = {
        .appid = GW_SLICE("app"),
        .scope = GW_SLICE("app"),
        .name = gw_slice_from(name),
        .roles = GW_ROLE_CLIENT,
        .created_ms = RIG_T0,
    };

    snprintf(key.id, sizeof(key.id), "%s", id);
    memcpy(key.hash, MARK, strlen(MARK));
    return key;
}

static enum gw_err key_put(struct rig *rig, const char *id, const char *name)
{
    struct gw_key_put op = {.key = key_make(id, name), .audit = rig_audit("key_created", id)};

    return RIG_CALL(rig, admin, key_put, &op);
}

static enum gw_err key_find(struct rig *rig, size_t count)
{
    struct gw_key_find op = {.appid = GW_SLICE("app"), .arena = &rig->arena};
    enum gw_err err = RIG_CALL(rig, admin, key_find, &op);

    assert_int_equal(op.count, err == GW_OK ? count : 0);
    for (size_t i = 0; i < op.count; i++) {
        struct gw_key key = key_make(op.keys[i].id, MARK);
        assert_true(gw_slice_is(op.keys[i].name, MARK));
        assert_memory_equal(op.keys[i].hash, key.hash, sizeof(key.hash));
    }
    return err;
}

static void line_add(struct rig *rig, int64_t at_ms, const char *subject, const char *detail)
{
    struct gw_audit_add op = {.audit = rig_audit("config_updated", subject)};

    op.audit.at_ms = at_ms;
    op.audit.detail = gw_slice_from(detail);
    assert_ok(RIG_CALL(rig, admin, audit_add, &op));
}

static enum gw_err lines_of(struct rig *rig, const char *subject, size_t *count)
{
    struct gw_audit_list op = {
        .arena = &rig->arena,
        .app_id = GW_SLICE("app"),
        .subject = gw_slice_from(subject),
        .max = 1000,
    };
    enum gw_err err = RIG_CALL(rig, admin, audit_list, &op);

    *count = op.count;
    return err;
}

static void expect_lines(struct rig *rig, const char *subject, size_t wanted)
{
    size_t count;

    assert_ok(lines_of(rig, subject, &count));
    assert_int_equal(count, wanted);
}

static bool holds(const char *path, const char *what)
{
    struct stat st;
    int fd = open(path, O_RDONLY);

    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    size_t len = (size_t)st.st_size;
    char *bytes = gw_alloc(len + 1);
    assert_int_equal(read(fd, bytes, len), len);
    bool found = memmem(bytes, len, what, strlen(what)) != NULL;
    close(fd);
    gw_free(bytes);
    return found;
}

static bool is_on_disk(struct rig *rig, const char *what)
{
    DIR *dir = opendir(rig->dir);
    struct dirent *entry;
    bool found = false;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' && entry->d_type == DT_REG)
            found |= holds(rig_path(rig, entry->d_name), what);
    closedir(dir);
    return found;
}

/* ── Kept ──────────────────────────────────────────────────────────────────────────────────── */

/* A subject too: it may be a URL. */
static void test_nothing_is_readable(void **state)
{
    struct rig *rig = *state;
    struct gw_audit_add op = {.audit = rig_audit("target_enabled", "https://a.example/" MARK)};

    op.audit.actor = op.audit.address = op.audit.detail = GW_SLICE("\"" MARK "\"");
    assert_ok(RIG_CALL(rig, admin, audit_add, &op));
    assert_ok(key_put(rig, "key_1", MARK));
    assert_false(is_on_disk(rig, MARK));
    rig_reopen(rig);
    assert_true(is_on_disk(rig, "key_1")); /* what it is searched by stands there: it does look */
    assert_false(is_on_disk(rig, MARK));
    assert_ok(key_find(rig, 1));
    expect_lines(rig, "https://a.example/" MARK, 1);
}

static void test_in_a_copy(void **state)
{
    struct rig *rig = *state;
    struct gw_sqlite_backup backup = {.from = rig->dir, .to = rig_path(rig, "copy")};
    struct gw_error error;

    assert_ok(key_put(rig, "key_1", MARK));
    line_add(rig, RIG_T0, "x", NULL);
    assert_ok(gw_sqlite_backup(&backup, &error));
    assert_ok(key_put(rig, "key_2", MARK));
    rig_close(rig);
    rig->options.dir = rig_path(rig, "copy");
    rig_open(rig);
    assert_ok(key_find(rig, 1));
    expect_lines(rig, "x", 1);
    expect_lines(rig, NULL, 2);
}

/* Whoever can write the file, but has no key, can neither make one nor rewrite history. */
static void test_moved(void **state)
{
    static const char *const moves[] = {
        "UPDATE api_key SET doc = (SELECT doc FROM api_key WHERE id = 'key_1')",
        "UPDATE api_key SET appid = 'app' WHERE id = 'key_3'",
        "UPDATE api_key SET id = 'key_4' WHERE id = 'key_1'",
        "UPDATE api_key SET doc = x'00' WHERE id = 'key_1'",
    };
    static const char *const edits[] = {
        "UPDATE audit SET doc = (SELECT doc FROM audit ORDER BY id LIMIT 1)",
        "UPDATE audit SET id = id - (1 << 20) WHERE app_id = 'app'",
        "UPDATE audit SET app_id = 'app' WHERE app_id = 'other'",
    };
    struct rig *rig = *state;
    struct gw_key_put other = {.key = key_make("key_3", "n"),
                               .audit = rig_audit("key_created", "key_3")};
    size_t count;

    other.key.appid = other.key.scope = other.audit.app_id = GW_SLICE("other");
    assert_ok(RIG_CALL(rig, admin, key_put, &other));
    assert_ok(key_put(rig, "key_1", MARK));
    assert_ok(key_put(rig, "key_2", MARK));
    run_sql(rig, "CREATE TABLE saved AS SELECT * FROM api_key; "
                 "CREATE TABLE lines AS SELECT * FROM audit");
    for (size_t i = 0; i < gw_count(moves); i++) {
        run_sql(rig, moves[i]);
        assert_int_equal(key_find(rig, 0), GW_ERR_CORRUPT);
        run_sql(rig, "DELETE FROM api_key; INSERT INTO api_key SELECT * FROM saved");
        assert_ok(key_find(rig, 2));
    }
    for (size_t i = 0; i < gw_count(edits); i++) {
        run_sql(rig, edits[i]);
        assert_int_equal(lines_of(rig, NULL, &count), GW_ERR_CORRUPT);
        assert_int_equal(count, 0);
        run_sql(rig, "DELETE FROM audit; INSERT INTO audit SELECT * FROM lines");
        expect_lines(rig, NULL, 2);
    }
}

/* Two subjects that share a hash are still two. */
static void test_same_hash(void **state)
{
    struct rig *rig = *state;

    line_add(rig, RIG_T0, "x", NULL);
    line_add(rig, RIG_T0, "y", NULL);
    run_sql(rig, "UPDATE audit SET subject = (SELECT min(subject) FROM audit)");
    size_t x, y;
    assert_ok(lines_of(rig, "x", &x));
    assert_ok(lines_of(rig, "y", &y));
    assert_int_equal(x + y, 1);
}

/* What fails, fails whole: no key without its line, no line without its key. */
static void test_failed_group(void **state)
{
    struct rig *rig = *state;

    rig_vfs_fail(RIG_FAULT_FULL, "main.db-wal", 0);
    assert_int_equal(key_put(rig, "key_1", MARK), GW_ERR_FULL);
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    assert_ok(key_find(rig, 0));
    expect_lines(rig, NULL, 0);
    assert_ok(key_put(rig, "key_1", MARK));
    assert_ok(key_find(rig, 1));
    expect_lines(rig, NULL, 1);
}

/* ── Gone ──────────────────────────────────────────────────────────────────────────────────── */

static void test_old_lines_go(void **state)
{
    struct rig *rig = *state;
    int64_t keep_ms = 30 * RIG_DAY_MS;

    for (int i = 0; i < 10; i++)
        line_add(rig, RIG_T0 + i, "x", NULL);
    line_add(rig, RIG_T0 + 2 * keep_ms, "x", NULL); /* kept for ever: all stay */
    expect_lines(rig, "x", 11);
    rig_close(rig);
    rig->options.audit_keep_ms = keep_ms;
    rig_open(rig);
    expect_lines(rig, "x", 11);
    line_add(rig, RIG_T0 + keep_ms, "y", NULL); /* the first is not yet older */
    expect_lines(rig, "x", 11);
    line_add(rig, RIG_T0 + keep_ms + 3, "y", NULL);
    expect_lines(rig, "x", 9);
    line_add(rig, RIG_T0 + keep_ms + 3, "y", NULL);
    expect_lines(rig, "x", 8); /* one was left that is older */
    line_add(rig, RIG_T0 + keep_ms + 3, "y", NULL);
    expect_lines(rig, "x", 8);
    for (int i = 0; i < 4; i++)
        assert_ok(key_put(rig, gw_arena_printf(&rig->arena, "key_%d", i), MARK)); /* of T0 */
    expect_lines(rig, NULL, 16);
    line_add(rig, RIG_T0 + 3 * keep_ms, "y", NULL); /* two, oldest first, of whatever kind */
    expect_lines(rig, NULL, 15);
    assert_ok(key_find(rig, 4)); /* keys never go by themselves */
}

/* ── Cheap ─────────────────────────────────────────────────────────────────────────────────── */

/* No statement of this part walks through a table or sorts one. */
static void test_plans(void **state)
{
    struct rig *rig = *state;

    for (int i = MAIN_KEY_GET; i < MAIN_SQL_COUNT; i++) {
        if (strncmp(sqlite_main_kind.sql[i], "INSERT", 6) == 0)
            continue;
        const char *plan = ask(
            rig, gw_arena_printf(&rig->arena, "EXPLAIN QUERY PLAN %s", sqlite_main_kind.sql[i]));
        assert_non_null(strstr(plan, "SEARCH"));
        if (strstr(plan, "SCAN") || strstr(plan, "TEMP"))
            fail_msg("%s: %s", sqlite_main_kind.sql[i], plan);
    }
    assert_non_null(strstr(ask(rig, gw_arena_printf(&rig->arena, "EXPLAIN QUERY PLAN %s",
                                                    sqlite_main_kind.sql[MAIN_AUDIT_DOWN_APP])),
                           "audit_of_app (app_id=? AND rowid>? AND rowid<?)"));
    assert_non_null(strstr(ask(rig, gw_arena_printf(&rig->arena, "EXPLAIN QUERY PLAN %s",
                                                    sqlite_main_kind.sql[MAIN_AUDIT_DOWN_SUBJECT])),
                           "audit_of_subject (subject=? AND rowid>? AND rowid<?)"));
}

/* ── A main file of version 1 ──────────────────────────────────────────────────────────────── */

static void config_put(struct rig *rig)
{
    static const struct gw_guard guard = {.ports = {443}, .port_count = 1};
    struct gw_config_change change = {
        .json = GW_SLICE("{\"appId\":\"app\",\"eventType\":\"x\","
                         "\"webhookUrl\":\"https://example.com/\"}"),
        .guard = &guard,
        .now_ms = RIG_T0,
    };
    struct gw_config_put put = {.audit = rig_audit("config_created", "x")};
    struct gw_error error;

    assert_ok(gw_config_create(&put.config, &change, &error));
    assert_ok(RIG_CALL(rig, configs, put, &put));
    gw_snapshot_unref(put.snapshot);
    gw_config_unref(put.config);
}

static void test_brought_up(void **state)
{
    static const char schema[] = "SELECT sql FROM sqlite_schema ORDER BY name";
    struct rig *rig = *state;
    const char *fresh = ask(rig, schema);
    struct gw_config_load load = {.app_id = GW_SLICE("app")};
    struct gw_sqlite_backup backup = {.from = rig->dir, .to = rig_path(rig, "copy")};
    struct gw_error error;
    struct gw_delivery d;

    config_put(rig);
    assert_ok(rig_accept(rig, "e1", 1, &d));
    rig_close(rig);
    run_sql(rig, "DROP TABLE api_key; DROP TABLE audit; PRAGMA user_version = 1");
    assert_int_equal(gw_sqlite_backup(&backup, &error), GW_ERR_SCHEMA);
    assert_non_null(strstr(error.text, "main.db: written by an older version"));
    rig_open(rig);
    assert_string_equal(ask(rig, "PRAGMA user_version"), "2\n");
    assert_string_equal(ask(rig, schema), fresh);
    assert_ok(RIG_CALL(rig, configs, load, &load));
    assert_int_equal(load.snapshot->config_count, 1);
    gw_snapshot_unref(load.snapshot);
    assert_non_null(rig_find(rig, "e1"));
    expect_lines(rig, NULL, 0);
    assert_ok(key_put(rig, "key_1", MARK));
    rig_reopen(rig);
    assert_ok(key_find(rig, 1));
    expect_lines(rig, NULL, 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_readable),
        TEST(test_in_a_copy),
        TEST(test_moved),
        TEST(test_same_hash),
        TEST(test_failed_group),
        TEST(test_old_lines_go),
        TEST(test_plans),
        TEST(test_brought_up),
    };

    rig_vfs_install();
    return cmocka_run_group_tests_name("sqlite admin", tests, NULL, NULL);
}
