/* The directory: what is made, who may open it, what is refused and left alone. */
#include "sqlite_rig.h"

#include <fcntl.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT "00000001.seg"

static int setup(void **state)
{
    struct rig *rig = gw_zalloc(sizeof(*rig));

    rig_init(rig);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    rig_deinit(*state);
    gw_free(*state);
    return 0;
}

static void run_sql_with(struct rig *rig, const char *vfs, const char *name, const char *sql)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open_v2(rig_path(rig, name), &db, flags, vfs), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* Something on a file that the store itself would not do, but with the sums right. */
static void run_sql(struct rig *rig, const char *name, const char *sql)
{
    run_sql_with(rig, "gwh-sum", name, sql);
}

static void expect_refused(struct rig *rig, enum gw_err err, const char *file)
{
    struct gw_error error = {0};

    assert_int_equal(rig_try_open(rig, &error), err);
    assert_int_equal(error.code, err);
    assert_non_null(strstr(error.text, file));
}

static unsigned mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

/* Nobody but the owner may look, also where more would be allowed. */
static void test_modes(void **state)
{
    struct rig *rig = *state;
    static const char *const names[] = {"lock",        "main.db",      SEGMENT,
                                        "main.db-wal", SEGMENT "-wal", SEGMENT "-shm"};
    mode_t before = umask(0);

    rig->options.dir = rig_path(rig, "made");
    rig_open(rig);
    assert_ok(rig_accept(rig, "e1", 1, NULL));
    assert_int_equal(mode_of(rig->options.dir), 0700);
    for (size_t i = 0; i < gw_count(names); i++)
        assert_int_equal(mode_of(gw_arena_printf(&rig->arena, "%s/%s", rig->options.dir, names[i])),
                         0600);
    umask(before);
}

static void test_one_process(void **state)
{
    struct rig *rig = *state, other = *rig;

    rig_open(rig);
    expect_refused(&other, GW_ERR_LOCKED, "/lock");
    rig_close(rig);
    rig_open(&other);
    rig_close(&other);
}

static void test_reopen(void **state)
{
    struct rig *rig = *state;
    struct gw_delivery first, second, third;

    rig_open(rig);
    assert_ok(rig_accept(rig, "e1", 1, &first));
    assert_ok(rig_accept(rig, "e2", 1, &second));
    assert_ok(rig_deliver(rig, &first));
    rig_reopen(rig);

    assert_int_equal(gw_ledger_state(rig->ledger).open, 1);
    assert_int_equal(rig_open_in(rig, 1), 1);
    const struct gw_event_row *event = rig_find(rig, "e1");
    assert_non_null(event);
    assert_true(gw_id_eq(&event->rows[0].delivery.id, &first.id));
    assert_int_equal(event->rows[0].delivery.state, GW_DELIVERY_DELIVERED);
    assert_ok(rig_deliver(rig, &first)); /* again: nothing happens */
    assert_ok(rig_accept(rig, "e3", 1, &third));
    assert_true(third.order > second.order);
    assert_ok(rig_deliver(rig, &second));
}

static void test_close_empties_the_log(void **state)
{
    struct rig *rig = *state;
    struct stat st;

    rig_open(rig);
    assert_ok(rig_accept(rig, "e1", 1, NULL));
    assert_int_equal(stat(rig_path(rig, SEGMENT "-wal"), &st), 0);
    assert_true(st.st_size > 0);
    rig_close(rig);
    assert_true(stat(rig_path(rig, SEGMENT "-wal"), &st) != 0 || st.st_size == 0);
}

static void test_newer_version(void **state)
{
    struct rig *rig = *state;
    static const struct {
        const char *name, *newer, *known;
    } files[] = {
        {"main.db", "PRAGMA user_version = 3", "PRAGMA user_version = 2"},
        {SEGMENT, "PRAGMA user_version = 3", "PRAGMA user_version = 2"},
    };

    rig_open(rig);
    rig_close(rig);
    for (size_t i = 0; i < gw_count(files); i++) {
        run_sql(rig, files[i].name, files[i].newer);
        expect_refused(rig, GW_ERR_SCHEMA, files[i].name);
        run_sql(rig, files[i].name, files[i].known);
    }
    rig_open(rig);
}

static void test_another_program(void **state)
{
    struct rig *rig = *state;

    run_sql_with(rig, NULL, "main.db", "CREATE TABLE theirs(x); PRAGMA user_version = 1");
    expect_refused(rig, GW_ERR_SCHEMA, "main.db");
    run_sql_with(rig, NULL, "main.db", "INSERT INTO theirs VALUES(1)"); /* and still theirs */
}

/* The damaged file is set aside, and stays as it is; what was in it answers so, and no more is lost. */
static void expect_set_aside(struct rig *rig, const struct gw_delivery *d)
{
    struct gw_load load = {.message_id = d->message_id};
    struct gw_claim claim = {.delivery = *d};
    struct gw_retry_op retry = {.delivery_id = d->id};
    struct gw_delivery later;

    rig_open(rig);
    assert_int_equal(RIG_CALL(rig, ledger, load, &load), GW_ERR_CORRUPT);
    assert_int_equal(RIG_CALL(rig, ledger, claim, &claim), GW_ERR_CORRUPT);
    assert_int_equal(RIG_CALL(rig, ledger, retry, &retry), GW_ERR_CORRUPT);
    assert_int_equal(rig_deliver(rig, d), GW_ERR_CORRUPT);
    assert_null(rig_find(rig, "e1"));
    assert_int_equal(rig_open_in(rig, 1), 0);
    assert_int_equal(gw_ledger_state(rig->ledger).open, 0);
    assert_ok(rig_accept(rig, "e2", 1, &later));
    assert_true(later.order > d->order);
    assert_int_equal(access(rig_path(rig, "00000002.seg"), F_OK), 0);
    rig_reopen(rig);
    assert_non_null(rig_find(rig, "e2"));
    assert_ok(rig_deliver(rig, &later));
}

static void test_no_database(void **state)
{
    struct rig *rig = *state;
    struct gw_delivery d;

    rig_open(rig);
    assert_ok(rig_accept(rig, "e1", 1, &d));
    rig_close(rig);
    int fd = open(rig_path(rig, SEGMENT), O_WRONLY | O_TRUNC);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(write(fd, "nonsense", 8), 8);
    close(fd);
    expect_set_aside(rig, &d);
}

static void test_segment_empty(void **state)
{
    struct rig *rig = *state;
    struct gw_delivery d;

    rig_open(rig);
    assert_ok(rig_accept(rig, "e1", 1, &d));
    rig_close(rig);
    assert_int_equal(truncate(rig_path(rig, SEGMENT), 0), 0);
    expect_set_aside(rig, &d);
}

static void test_segment_missing(void **state)
{
    struct rig *rig = *state;
    struct gw_delivery d;

    rig_open(rig);
    assert_ok(rig_accept(rig, "e1", 1, &d));
    rig_close(rig);
    assert_int_equal(unlink(rig_path(rig, SEGMENT)), 0);
    expect_set_aside(rig, &d);
    assert_int_equal(access(rig_path(rig, SEGMENT), F_OK), -1); /* nor made anew */
}

static void test_main_missing(void **state)
{
    struct rig *rig = *state;

    rig_open(rig);
    assert_ok(rig_accept(rig, "e1", 1, NULL));
    rig_close(rig);
    assert_int_equal(unlink(rig_path(rig, "main.db")), 0);
    expect_refused(rig, GW_ERR_CORRUPT, SEGMENT);
}

static void test_keys_missing(void **state)
{
    struct rig *rig = *state;

    rig_open(rig);
    rig_close(rig);
    run_sql(rig, "main.db", "DELETE FROM meta WHERE name = 'id_key'");
    expect_refused(rig, GW_ERR_CORRUPT, "main.db");
}

/* Killed between the first file and the second, and between the second and its being listed. */
static void test_first_start_cut_short(void **state)
{
    struct rig *rig = *state;

    rig_open(rig);
    rig_close(rig);
    run_sql(rig, "main.db", "DELETE FROM segment");
    rig_reopen(rig);
    assert_ok(rig_accept(rig, "e1", 1, NULL));
    rig_close(rig);

    assert_int_equal(unlink(rig_path(rig, "main.db")), 0);
    assert_int_equal(unlink(rig_path(rig, SEGMENT)), 0);
    assert_int_equal(close(open(rig_path(rig, "main.db"), O_CREAT | O_WRONLY, 0600)), 0);
    assert_int_equal(close(open(rig_path(rig, SEGMENT), O_CREAT | O_WRONLY, 0600)), 0);
    rig_open(rig);
    assert_ok(rig_accept(rig, "e1", 1, NULL));
}

static void test_no_parent(void **state)
{
    struct rig *rig = *state;

    rig->options.dir = rig_path(rig, "nowhere/data");
    expect_refused(rig, GW_ERR_IO, "nowhere/data");
    rig->options.dir = rig_path(rig, "file");
    assert_int_equal(close(open(rig->options.dir, O_CREAT | O_WRONLY, 0600)), 0);
    expect_refused(rig, GW_ERR_IO, "file");
}

/* For root nothing is read-only but what is mounted so. */
static bool make_read_only(struct rig *rig, const char *dir)
{
    if (geteuid() != 0)
        return chmod(dir, 0500) == 0;
    (void)rig;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return false;
    return mount(dir, dir, NULL, MS_BIND, NULL) == 0 &&
           mount(NULL, dir, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0;
}

static void make_writable(const char *dir)
{
    if (geteuid() != 0)
        chmod(dir, 0700);
    else
        umount(dir);
}

static void test_read_only(void **state)
{
    struct rig *rig = *state;
    const char *dir = rig_path(rig, "data");

    rig->options.dir = dir;
    rig_open(rig);
    rig_close(rig);
    if (!make_read_only(rig, dir))
        skip();
    expect_refused(rig, GW_ERR_IO, "data");
    make_writable(dir);
    rig_open(rig);
}

/* ── A log that was cut ────────────────────────────────────────────────────────────────────── */

static void copy_file(const char *from, const char *to)
{
    char bytes[65536];
    ssize_t len;
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(in >= 0 && out >= 0);
    while ((len = read(in, bytes, sizeof(bytes))) > 0)
        assert_int_equal(write(out, bytes, (size_t)len), len);
    close(in);
    close(out);
}

/* As kill -9 would leave it, with the last bytes of the log missing or wrong. */
static void expect_prefix(struct rig *rig, off_t cut, bool is_garbled)
{
    static const char *const names[] = {"main.db", "main.db-wal", SEGMENT, SEGMENT "-wal"};
    struct rig other = *rig;
    struct stat st;

    other.sqlite = NULL;
    other.arena = (struct gw_arena){0};
    assert_true(snprintf(other.dir, sizeof(other.dir), "%s/cut", rig->dir) <
                (int)sizeof(other.dir));
    other.options.dir = other.dir;
    assert_true(mkdir(other.dir, 0700) == 0 || access(other.dir, F_OK) == 0);
    for (size_t i = 0; i < gw_count(names); i++)
        copy_file(rig_path(rig, names[i]), rig_path(&other, names[i]));
    const char *log = rig_path(&other, SEGMENT "-wal");
    assert_int_equal(stat(log, &st), 0);
    if (is_garbled) {
        int fd = open(log, O_WRONLY);
        assert_int_equal(pwrite(fd, "garbled", 7, st.st_size - cut), 7);
        close(fd);
    } else {
        assert_int_equal(truncate(log, st.st_size - cut), 0);
    }
    rig_open(&other);
    assert_non_null(rig_find(&other, "e1"));
    assert_non_null(rig_find(&other, "e2"));
    assert_null(rig_find(&other, "e3"));
    assert_int_equal(rig_open_in(&other, 1), 2);
    assert_ok(rig_accept(&other, "e3", 1, NULL));
    rig_close(&other);
    gw_arena_deinit(&other.arena);
}

static void test_torn_log(void **state)
{
    struct rig *rig = *state;

    rig_open(rig);
    assert_ok(rig_accept(rig, "e1", 1, NULL));
    assert_ok(rig_accept(rig, "e2", 1, NULL));
    assert_ok(rig_accept(rig, "e3", 1, NULL));
    expect_prefix(rig, 1, false);
    expect_prefix(rig, 100, true);
    expect_prefix(rig, 4096, false);
    expect_prefix(rig, 4100, true);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_modes),           TEST(test_one_process),
        TEST(test_reopen),          TEST(test_close_empties_the_log),
        TEST(test_newer_version),   TEST(test_another_program),
        TEST(test_no_database),     TEST(test_segment_empty),
        TEST(test_segment_missing), TEST(test_main_missing),
        TEST(test_keys_missing),    TEST(test_first_start_cut_short),
        TEST(test_no_parent),       TEST(test_read_only),
        TEST(test_torn_log),
    };

    return cmocka_run_group_tests_name("sqlite files", tests, NULL, NULL);
}
