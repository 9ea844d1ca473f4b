/* What is sealed: with the right key alone, in its own place alone; what is erased leaves no byte; and
 * damage to the main file is never a wrong answer nor an empty start. */
#include "sqlite_rig.h"

#include "base/log.h"
#include "store/sqlite_backup.h"

#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT "00000001.seg"
#define MARK    "canary-51ab"

static int setup(void **state)
{
    struct rig *rig = gw_zalloc(sizeof(*rig));

    rig_init(rig);
    memset(rig->options.master_key, 'k', sizeof(rig->options.master_key));
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

static void run_sql(struct rig *rig, const char *name, const char *sql)
{
    sqlite3 *db = NULL;
    char *why = NULL;

    assert_int_equal(sqlite3_open_v2(rig_path(rig, name), &db, SQLITE_OPEN_READWRITE, "gwh-sum"),
                     SQLITE_OK);
    sqlite3_busy_timeout(db, 1000);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
    sqlite3_close(db);
}

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

static bool holds(const char *path, const void *what, size_t len)
{
    struct bytes bytes = file_read(path);
    bool found = bytes.len >= len && memmem(bytes.ptr, bytes.len, what, len) != NULL;

    gw_free(bytes.ptr);
    return found;
}

/* Is it in any file of the directory? */
static bool is_on_disk(struct rig *rig, const void *what, size_t len)
{
    DIR *dir = opendir(rig->dir);
    struct dirent *entry;
    bool found = false;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            found |= holds(rig_path(rig, entry->d_name), what, len);
    closedir(dir);
    return found;
}

static struct gw_delivery accept(struct rig *rig, const char *event_id, const char *body)
{
    struct rig_event event;

    rig_event_start(rig, &event, event_id, body, 1);
    rig_wait(rig);
    assert_ok(event.accept.op.err);
    struct gw_delivery d = event.accept.deliveries[0];
    rig_event_end(&event);
    return d;
}

static enum gw_err load(struct rig *rig, const struct gw_delivery *d, const char *body)
{
    struct gw_load load = {.message_id = d->message_id};
    enum gw_err err = RIG_CALL(rig, ledger, load, &load);

    if (err == GW_OK)
        assert_true(gw_slice_is(load.message->body, body));
    else
        assert_null(load.message);
    gw_message_unref(load.message);
    return err;
}

static struct gw_delivery attempted(struct rig *rig, const struct gw_delivery *d)
{
    struct gw_attempt attempt = {.n = d->attempts + 1,
                                 .at_ms = RIG_T0,
                                 .outcome = GW_OUTCOME_HTTP_ERROR,
                                 .status = 500,
                                 .excerpt = GW_SLICE("excerpt " MARK)};
    struct gw_settle settle = {.write_id = d->attempts + 1, .attempt = &attempt, .next = *d};

    settle.next.attempts++;
    settle.next.due_ms = RIG_T0 + 1000;
    assert_ok(RIG_CALL(rig, ledger, settle, &settle));
    return settle.next;
}

static enum gw_err find_log(struct rig *rig, const struct gw_delivery *d, struct gw_slice *log)
{
    struct gw_find find = {.arena = &rig->arena, .key = GW_FIND_DELIVERY, .id = d->id, .max = 1};
    enum gw_err err = RIG_CALL(rig, ledger, find, &find);

    if (err == GW_OK) {
        assert_int_equal(find.count, 1);
        *log = find.events[0].rows[0].log;
    }
    return err;
}

static struct gw_config *config_make(const char *type)
{
    static const struct gw_guard guard = {.ports = {443}, .port_count = 1};
    char json[512];
    struct gw_config *config;
    struct gw_error error;

    snprintf(json, sizeof(json),
             "{\"appId\":\"app\",\"eventType\":\"%s\",\"webhookUrl\":\"https://example.com/?%s\","
             "\"headers\":{\"x-token\":\"%s\"},\"secret\":\"%s-of-sixteen-bytes\"}",
             type, MARK, MARK, MARK);
    struct gw_config_change change = {
        .json = gw_slice_from(json), .guard = &guard, .now_ms = RIG_T0};
    assert_ok(gw_config_create(&config, &change, &error));
    return config;
}

static void put(struct rig *rig, const char *type)
{
    struct gw_config_put put = {.config = config_make(type),
                                .audit = rig_audit("config_created", type)};

    assert_ok(RIG_CALL(rig, configs, put, &put));
    gw_snapshot_unref(put.snapshot);
    gw_config_unref(put.config);
}

static enum gw_err load_configs(struct rig *rig, size_t count)
{
    struct gw_config_load load = {.app_id = GW_SLICE("app")};
    enum gw_err err = RIG_CALL(rig, configs, load, &load);

    if (err != GW_OK)
        return err;
    assert_int_equal(load.snapshot->config_count, count);
    gw_snapshot_unref(load.snapshot);
    return GW_OK;
}

static void save_health(struct rig *rig, const char *url)
{
    struct gw_health_save save = {
        .health = {GW_SLICE("app"), gw_slice_from(url), GW_SLICE("{\"streak\":1}")}};

    assert_ok(RIG_CALL(rig, ledger, health_save, &save));
}

/* ── Keys ──────────────────────────────────────────────────────────────────────────────────── */

static void test_wrong_master_key(void **state)
{
    struct rig *rig = *state;
    struct gw_error error;
    struct gw_delivery d = accept(rig, "e1", "{\"n\":1}");

    put(rig, "x");
    for (size_t i = 0; i < 3; i++) {
        rig_close(rig);
        rig->options.master_key[i * 13] ^= 1;
        assert_int_equal(rig_try_open(rig, &error), GW_ERR_KEY);
        assert_non_null(strstr(error.text, "main.db"));
        rig->options.master_key[i * 13] ^= 1;
        rig_open(rig);
        assert_ok(load(rig, &d, "{\"n\":1}"));
        assert_ok(load_configs(rig, 1));
    }
}

/* Keys that were damaged, or are another directory's, are not a wrong master key. */
static void test_damaged_keys(void **state)
{
    struct rig *rig = *state;
    static const char *const names[] = {"known", "id_key", "hash_key"};
    struct gw_error error;
    char sql[200];

    for (size_t i = 0; i < gw_count(names); i++) {
        rig_close(rig);
        struct bytes whole = file_read(rig_path(rig, "main.db"));
        snprintf(sql, sizeof(sql), "UPDATE meta SET value = zeroblob(60) WHERE name = '%s'",
                 names[i]);
        run_sql(rig, "main.db", sql);
        assert_int_equal(rig_try_open(rig, &error), GW_ERR_CORRUPT);
        assert_non_null(strstr(error.text, "main.db"));
        file_write(rig_path(rig, "main.db"), whole.ptr, whole.len);
        unlink(rig_path(rig, "main.db-wal"));
        unlink(rig_path(rig, "main.db-shm"));
        gw_free(whole.ptr);
        rig_open(rig);
    }
}

/* A key that could not be stored is nobody's: the event that needed it fails, and may come again. */
static void test_key_not_stored(void **state)
{
    struct rig *rig = *state;
    struct gw_delivery d;

    rig_vfs_fail(RIG_FAULT_FULL, "main.db-wal", 0);
    assert_int_equal(rig_accept(rig, "e1", 1, NULL), GW_ERR_FULL);
    rig_vfs_fail(RIG_FAULT_NONE, "", 0);
    assert_null(rig_find(rig, "e1"));
    assert_ok(rig_accept(rig, "e1", 1, &d));
    rig_reopen(rig);
    assert_ok(load(rig, &d, "{\"n\":1}"));
}

static void test_key_of_an_app(void **state)
{
    struct rig *rig = *state;
    struct gw_delivery d = accept(rig, "e1", "{\"n\":1}");

    rig_close(rig);
    run_sql(rig, "main.db", "UPDATE app_key SET app_id = 'another'");
    rig_open(rig);
    assert_int_equal(load(rig, &d, ""), GW_ERR_CORRUPT);
    rig_close(rig);
    run_sql(rig, "main.db", "UPDATE app_key SET app_id = 'app', number = 7");
    rig_open(rig);
    assert_int_equal(load(rig, &d, ""), GW_ERR_CORRUPT); /* it never had a number 1 */
    rig_close(rig);
    run_sql(rig, "main.db", "UPDATE app_key SET number = 1");
    rig_open(rig);
    assert_ok(load(rig, &d, "{\"n\":1}"));
}

/* ── Places ────────────────────────────────────────────────────────────────────────────────── */

/* Whoever can write the file, but has no key, cannot show one client what another got. */
static void test_moved(void **state)
{
    struct rig *rig = *state;
    struct gw_delivery one = accept(rig, "e1", "[1]"), two = accept(rig, "e2", "[2]");
    struct gw_slice log;

    attempted(rig, &one);
    attempted(rig, &two);
    rig_close(rig);
    run_sql(rig, SEGMENT, "UPDATE event SET body = (SELECT body FROM event WHERE seq = 1)");
    run_sql(rig, SEGMENT, "UPDATE open SET log = (SELECT log FROM open WHERE id = 1 << 16)");
    rig_open(rig);
    assert_ok(load(rig, &one, "[1]"));
    assert_int_equal(load(rig, &two, ""), GW_ERR_CORRUPT);
    assert_ok(find_log(rig, &one, &log));
    assert_true(log.len > 0);
    assert_int_equal(find_log(rig, &two, &log), GW_ERR_CORRUPT);
    two.attempts = 1;
    assert_ok(rig_deliver(rig, &two)); /* it goes on, without the attempt that cannot be read */
    assert_ok(find_log(rig, &two, &log));
    assert_true(log.len > 0);
}

static void test_moved_config(void **state)
{
    struct rig *rig = *state;

    put(rig, "x");
    put(rig, "y");
    save_health(rig, "https://example.com/?" MARK);
    rig_close(rig);
    run_sql(rig, "main.db",
            "UPDATE config SET doc = (SELECT doc FROM config WHERE event_type = 'x')");
    rig_open(rig);
    assert_int_equal(load_configs(rig, 2), GW_ERR_CORRUPT);
    rig_close(rig);
    run_sql(rig, "main.db", "DELETE FROM config WHERE event_type = 'y'");
    rig_open(rig);
    assert_ok(load_configs(rig, 1));
    rig_close(rig);
    run_sql(rig, "main.db", "UPDATE config SET version = version + 1"); /* an older one put back */
    rig_open(rig);
    assert_int_equal(load_configs(rig, 1), GW_ERR_CORRUPT);
}

/* ── Nothing is readable ───────────────────────────────────────────────────────────────────── */

static void expect_sealed(struct rig *rig)
{
    assert_false(is_on_disk(rig, MARK, strlen(MARK)));
    assert_false(is_on_disk(rig, rig->options.master_key, sizeof(rig->options.master_key)));
}

static void test_nothing_is_readable(void **state)
{
    struct rig *rig = *state;
    char body[9000] = "";

    memset(body, 'b', sizeof(body) - 1);
    memcpy(body + 7000, MARK, strlen(MARK));
    struct gw_delivery one = accept(rig, "e1", "{\"n\":\"" MARK "\"}");
    struct gw_delivery two = accept(rig, "e2", body);
    put(rig, "x");
    save_health(rig, "https://example.com/?" MARK);
    one = attempted(rig, &one);
    one = attempted(rig, &one);
    two = attempted(rig, &two);
    assert_ok(rig_deliver(rig, &two));
    expect_sealed(rig); /* most of it is in the logs */
    rig_close(rig);
    expect_sealed(rig);
    rig_open(rig);
    assert_ok(load(rig, &two, body));
    expect_sealed(rig);
}

/* ── Erased ────────────────────────────────────────────────────────────────────────────────── */

static void erase(struct rig *rig, const char *transaction)
{
    struct gw_erase op = {
        .app_id = GW_SLICE("app"), .transaction_id = gw_slice_from(transaction), .now_ms = RIG_T0};

    while (RIG_CALL(rig, ledger, erase, &op) == GW_ERR_BUSY)
        ; /* a reader that is not yet done */
    assert_ok(op.op.err);
}

/* The sealed bytes themselves, as an event's row has them now. */
static struct bytes sealed_now(struct rig *rig, const char *name, const char *sql)
{
    struct bytes bytes = {0};
    sqlite3_stmt *st = NULL;
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open_v2(rig_path(rig, name), &db, SQLITE_OPEN_READWRITE, "gwh-sum"),
                     SQLITE_OK);
    sqlite3_busy_timeout(db, 1000);
    assert_int_equal(sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    /* Of the middle: a large one is in several pages, with their heads between. */
    bytes.len = 24;
    assert_true(sqlite3_column_bytes(st, 0) >= 60);
    bytes.ptr = gw_alloc(bytes.len);
    memcpy(bytes.ptr, (const char *)sqlite3_column_blob(st, 0) + sqlite3_column_bytes(st, 0) - 24,
           bytes.len);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return bytes;
}

/* Even with the key in hand there must be nothing to open. */
static void test_erased_transaction(void **state)
{
    struct rig *rig = *state;
    static char large[20000];
    struct bytes old[3];

    memset(large, 'b', sizeof(large) - 1);
    struct gw_delivery one = accept(rig, "e1", "{\"some\":\"body of a usual length, or so\"}");
    struct gw_delivery two = accept(rig, "e2", large);
    one = attempted(rig, &one);
    for (int is_home = 0; is_home < 2; is_home++) { /* in the log; and in the file */
        old[0] =
            sealed_now(rig, SEGMENT, "SELECT body FROM event ORDER BY seq DESC LIMIT 1 OFFSET 1");
        old[1] = sealed_now(rig, SEGMENT, "SELECT body FROM event ORDER BY seq DESC LIMIT 1");
        old[2] = sealed_now(rig, SEGMENT, "SELECT log FROM open ORDER BY log DESC LIMIT 1");
        if (is_home)
            rig_reopen(rig);
        for (size_t i = 0; i < gw_count(old); i++)
            assert_true(is_on_disk(rig, old[i].ptr, old[i].len));
        erase(rig, "transaction");
        for (size_t i = 0; i < gw_count(old); i++) {
            assert_false(is_on_disk(rig, old[i].ptr, old[i].len));
            gw_free(old[i].ptr);
        }
        assert_int_equal(load(rig, &one, ""), GW_ERR_GONE);
        assert_int_equal(load(rig, &two, ""), GW_ERR_GONE);
        one = accept(rig, is_home ? "e5" : "e3", "{\"some\":\"body of a usual length\"}");
        two = accept(rig, is_home ? "e6" : "e4", large);
        one = attempted(rig, &one);
    }
}

static void test_erased_app(void **state)
{
    struct rig *rig = *state;
    struct gw_delivery d = accept(rig, "e1", "{\"n\":1}");
    struct bytes key = sealed_now(rig, "main.db", "SELECT sealed FROM app_key WHERE number = 1");

    assert_true(is_on_disk(rig, key.ptr, key.len));
    erase(rig, NULL);
    assert_false(is_on_disk(rig, key.ptr, key.len));
    gw_free(key.ptr);
    assert_int_equal(load(rig, &d, ""), GW_ERR_GONE);
    struct gw_delivery later = accept(rig, "e2", "{\"n\":2}");
    rig_reopen(rig);
    assert_int_equal(load(rig, &d, ""), GW_ERR_GONE);
    assert_ok(load(rig, &later, "{\"n\":2}"));
}

/* ── Damage to the main file ───────────────────────────────────────────────────────────────── */

static void try_main(struct rig *rig, const char *ptr, size_t len, size_t *refused)
{
    struct gw_error error;

    unlink(rig_path(rig, "main.db-wal"));
    unlink(rig_path(rig, "main.db-shm"));
    file_write(rig_path(rig, "main.db"), ptr, len);
    enum gw_err err = rig_try_open(rig, &error);
    if (err != GW_OK) {
        assert_int_equal(err, GW_ERR_CORRUPT);
        assert_non_null(strstr(error.text, "main.db"));
        ++*refused;
        return;
    }
    err = load_configs(rig, 1);
    assert_true(err == GW_OK || err == GW_ERR_CORRUPT);
    struct gw_health_load health = {.arena = &rig->arena};
    err = RIG_CALL(rig, ledger, health_load, &health);
    assert_true(err == GW_OK || err == GW_ERR_CORRUPT);
    if (err == GW_OK) {
        assert_int_equal(health.count, 1);
        assert_true(gw_slice_is(health.items[0].json, "{\"streak\":1}"));
    }
    rig_close(rig);
    gw_arena_reset(&rig->arena);
}

static void test_main_damaged(void **state)
{
    struct rig *rig = *state;
    size_t step = getenv("GWH_TEST_FULL") ? 1 : 307, refused = 0, rounds = 0;

    put(rig, "x");
    save_health(rig, "https://example.com/");
    rig_close(rig);
    struct bytes whole = file_read(rig_path(rig, "main.db"));
    for (size_t at = 0; at < whole.len; at += at < 110 ? 1 : step, rounds++) {
        whole.ptr[at] ^= (char)(1 << at % 8);
        try_main(rig, whole.ptr, whole.len, &refused);
        whole.ptr[at] ^= (char)(1 << at % 8);
    }
    for (size_t len = 0; len < whole.len; len += step * 5, rounds++)
        try_main(rig, whole.ptr, len, &refused);
    print_message("%zu of %zu refused\n", refused, rounds);
    assert_true(refused > rounds / 4);
    refused = 0;
    try_main(rig, whole.ptr, whole.len, &refused);
    assert_int_equal(refused, 0);
    gw_free(whole.ptr);
    rig_open(rig);
}

/* ── Copies ────────────────────────────────────────────────────────────────────────────────── */

static void on_warning(void *ctx, const char *text)
{
    assert_non_null(strstr(text, SEGMENT));
    ++*(size_t *)ctx;
}

/* A damaged segment is told and left out; the copy opens all the same. */
static void test_backup_of_damaged(void **state)
{
    struct rig *rig = *state;
    struct gw_error error;
    size_t warned = 0;
    struct gw_delivery d = accept(rig, "e1", "{\"n\":1}");

    put(rig, "x");
    rig_close(rig);
    struct gw_sqlite_backup backup = {
        .from = rig->dir, .to = rig_path(rig, "copy"), .warn = on_warning, .ctx = &warned};
    assert_ok(gw_sqlite_backup(&backup, &error));
    assert_int_equal(backup.files, 2);
    assert_int_equal(backup.failed, 0);
    assert_int_equal(gw_sqlite_backup(&backup, &error), GW_ERR_EXISTS);
    assert_non_null(strstr(error.text, "copy"));

    struct bytes whole = file_read(rig_path(rig, SEGMENT));
    whole.ptr[whole.len - 100] ^= 1;
    file_write(rig_path(rig, SEGMENT), whole.ptr, whole.len);
    gw_free(whole.ptr);
    backup.to = rig_path(rig, "second");
    assert_ok(gw_sqlite_backup(&backup, &error));
    assert_int_equal(backup.failed, 1);
    assert_int_equal(warned, 1);
    assert_int_equal(backup.files, 1);

    rig->options.dir = rig_path(rig, "copy");
    rig_open(rig);
    assert_ok(load(rig, &d, "{\"n\":1}"));
    assert_ok(load_configs(rig, 1));
    rig_close(rig);
    rig->options.dir = rig_path(rig, "second");
    rig_open(rig);
    assert_int_equal(load(rig, &d, ""), GW_ERR_CORRUPT);
    assert_ok(load_configs(rig, 1));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_wrong_master_key),
        TEST(test_damaged_keys),
        TEST(test_key_not_stored),
        TEST(test_key_of_an_app),
        TEST(test_moved),
        TEST(test_moved_config),
        TEST(test_nothing_is_readable),
        TEST(test_erased_transaction),
        TEST(test_erased_app),
        TEST(test_main_damaged),
        TEST(test_backup_of_damaged),
    };

    rig_vfs_install();
    if (getenv("GWH_TEST_LOG") == NULL) /* each damage has its line */
        gw_log_level_set((enum gw_log_level)(GW_LOG_ERROR - 1));
    return cmocka_run_group_tests_name("sqlite sealed", tests, NULL, NULL);
}
