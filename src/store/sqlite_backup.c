/* sqlite_backup.c: a copy of a store, made while others write to it.
 *
 * Segments first, then main.db, so that every lane and every app's key that a copied row names is in
 * it. A segment that began meanwhile is copied, and main.db once more, until main.db lists nothing
 * that was not copied. main.db gets its name last: a copy that was cut short is no store. The files
 * of key indexes are derived and left out.
 *
 * Each file is copied by SQLite's own backup, a few pages at a time. Between two steps the file is
 * free, so that its log can be brought home; but when somebody writes to it meanwhile SQLite begins
 * anew, and after TRIALS of these the file is read in one transaction, while which its log grows.
 *
 * What is erased meanwhile may be in the copy still, in a segment that was copied before; but then the
 * copy's own list of erasures, which is in main.db, has it, for who puts the copy back.
 *
 * Takes no lock of the directory and writes nothing into it but what any reader of SQLite does.
 * Pages are compared with their sums when they are read, and summed again when they are written.
 *
 * Failure: a segment that is damaged or missing is told, and left out; the store opens without it. Any
 * other failure ends it, and what was copied stays, for somebody to look at and remove. */
#include "store/sqlite_backup.h"

#include "store/sqlite_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES   4096
#define STEP_PAGES   1024
#define TRIALS       2
#define ROUNDS_MAX   100 /* segments begin at most once a minute */
#define BUSY_MS      20
#define BUSY_MAX     500
#define CACHE_BYTES  ((size_t)1024 * 1024)
#define MAIN_UNNAMED "main.db.part"

struct copy {
    struct gw_sqlite_backup *backup;
    char from[PATH_MAX], to[PATH_MAX]; /* the directories, absolute */
    struct gw_buf done;                /* uint32_t: numbers of the segments that are copied */
};

/* ── Directories ───────────────────────────────────────────────────────────────────────────── */

static enum gw_err failed(struct gw_error *error, const char *path, const char *doing)
{
    enum gw_err err = errno == ENOSPC || errno == EDQUOT ? GW_ERR_FULL : GW_ERR_IO;

    return gw_error_set(error, err, "%s: cannot %s: %s", path, doing, strerror(errno));
}

static enum gw_err sync_path(const char *path, int flags, struct gw_error *error)
{
    int fd = open(path, flags | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    enum gw_err err = ok ? GW_OK : failed(error, path, "sync it");

    if (fd >= 0)
        close(fd);
    return err;
}

static enum gw_err check_empty(const char *path, struct gw_error *error)
{
    DIR *dir = opendir(path);
    enum gw_err err = GW_OK;
    struct dirent *entry;

    if (dir == NULL)
        return failed(error, path, "open the directory");
    while (err == GW_OK && (entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            err = gw_error_set(error, GW_ERR_EXISTS,
                               "%s: is not empty; a backup goes into an "
                               "empty or a new directory",
                               path);
    closedir(dir);
    return err;
}

static enum gw_err dirs_open(struct copy *copy, struct gw_error *error)
{
    const char *from = copy->backup->from, *to = copy->backup->to;
    char parent[PATH_MAX + 4];

    if (realpath(from, copy->from) == NULL)
        return failed(error, from, "open the directory");
    if (mkdir(to, 0700) != 0 && errno != EEXIST)
        return failed(error, to, "make the directory");
    if (realpath(to, copy->to) == NULL)
        return failed(error, to, "open the directory");
    if (strlen(copy->from) > PATH_MAX - 64 || strlen(copy->to) > PATH_MAX - 64)
        return gw_error_set(error, GW_ERR_INVALID, "%s: the path is too long", to);
    enum gw_err err = check_empty(copy->to, error);
    snprintf(parent, sizeof(parent), "%s/..", copy->to);
    return err == GW_OK ? sync_path(parent, O_RDONLY | O_DIRECTORY, error) : err;
}

static void path_of(char path[PATH_MAX + 64], const char *dir, const char *name)
{
    snprintf(path, PATH_MAX + 64, "%s/%s", dir, name);
}

static void segment_name(char name[32], uint32_t number)
{
    snprintf(name, 32, "%08" PRIu32 ".seg", number);
}

/* ── One file ──────────────────────────────────────────────────────────────────────────────── */

static enum gw_err db_error(sqlite3 *db, int rc, const char *path, struct gw_error *error)
{
    struct sqlite_conn conn = {.db = db};

    return gw_error_set(error, sqlite_conn_err(&conn, rc), "%s: cannot write it: %s", path,
                        db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
}

/* Nobody looks at it before it is complete, and then it is synced. */
static enum gw_err target_open(const char *path, sqlite3 **db, struct gw_error *error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        return failed(error, path, "make it");
    close(fd);
    int rc =
        sqlite3_open_v2(path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE, SQLITE_SUM_VFS);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(*db, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF", NULL, NULL, NULL);
    return rc == SQLITE_OK ? GW_OK : db_error(*db, rc, path, error);
}

/* Holds one state of the source until the connection is closed. */
static int hold(struct sqlite_conn *source)
{
    int rc = sqlite3_exec(source->db, "BEGIN", NULL, NULL, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_exec(source->db, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    return rc;
}

static int step_all(struct copy *copy, struct sqlite_conn *source, sqlite3_backup *steps,
                    const char *name)
{
    struct gw_sqlite_backup *backup = copy->backup;
    int rc = SQLITE_OK, left = INT_MAX, trials = 0, busy = 0;

    while (rc == SQLITE_OK) {
        rc = sqlite3_backup_step(steps, STEP_PAGES);
        if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED) {
            if (++busy > BUSY_MAX)
                break;
            sqlite3_sleep(BUSY_MS);
            rc = SQLITE_OK;
            continue;
        }
        int total = sqlite3_backup_pagecount(steps), now = sqlite3_backup_remaining(steps);
        if (rc == SQLITE_OK && now > left && ++trials == TRIALS)
            rc = hold(source);
        left = now;
        if (backup->progress)
            backup->progress(backup->ctx, name, (uint64_t)(total - now), (uint64_t)total);
    }
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static enum gw_err copy_into(struct copy *copy, struct sqlite_conn *source, const char *name,
                             const char *path, struct gw_error *error)
{
    sqlite3 *target = NULL;
    sqlite3_backup *steps = NULL;
    enum gw_err err = target_open(path, &target, error);

    if (err == GW_OK)
        steps = sqlite3_backup_init(target, "main", source->db, "main");
    if (steps) {
        int rc = step_all(copy, source, steps, name);
        int finished = sqlite3_backup_finish(steps);
        if (rc == SQLITE_OK)
            rc = finished;
        if (rc != SQLITE_OK && sqlite3_errcode(target) == SQLITE_OK)
            err = sqlite_conn_error(source, rc, "read it", error);
        else if (rc != SQLITE_OK)
            err = db_error(target, rc, path, error);
        /* Whose failure it was is not told; damage is the source's. */
        if (sqlite_conn_err(source, rc) == GW_ERR_CORRUPT)
            err = gw_error_set(error, GW_ERR_CORRUPT, "%s: it is damaged", source->path);
    } else if (err == GW_OK) {
        err = db_error(target, sqlite3_errcode(target), path, error);
    }
    sqlite3_close(target);
    return err == GW_OK ? sync_path(path, O_RDWR, error) : err;
}

static enum gw_err copy_file(struct copy *copy, const struct sqlite_kind *kind, const char *name,
                             const char *as, struct gw_error *error)
{
    char from[PATH_MAX + 64], to[PATH_MAX + 64];
    struct sqlite_conn source = {0};
    struct stat st;

    path_of(from, copy->from, name);
    path_of(to, copy->to, as);
    if (access(from, F_OK) != 0)
        return gw_error_set(error, GW_ERR_CORRUPT, "%s: it is missing", from);
    enum gw_err err = sqlite_conn_open(&source, from, kind, SQLITE_ROLE_READER, CACHE_BYTES, error);
    if (err == GW_OK)
        err = copy_into(copy, &source, name, to, error);
    if (source.db)
        (void)sqlite3_exec(source.db, "ROLLBACK", NULL, NULL, NULL);
    sqlite_conn_close(&source);
    if (err == GW_OK && stat(to, &st) == 0) {
        copy->backup->files++;
        copy->backup->bytes += (uint64_t)st.st_size;
    }
    return err;
}

/* ── Which there are ───────────────────────────────────────────────────────────────────────── */

/* The numbers that a main file lists, appended to `numbers`. */
static enum gw_err list(const char *dir, const char *name, struct gw_buf *numbers,
                        struct gw_error *error)
{
    char path[PATH_MAX + 64];
    struct sqlite_conn conn = {0};

    path_of(path, dir, name);
    if (access(path, F_OK) != 0)
        return gw_error_set(error, GW_ERR_NOT_FOUND, "%s: there is no store", path);
    enum gw_err err =
        sqlite_conn_open(&conn, path, &sqlite_main_kind, SQLITE_ROLE_READER, CACHE_BYTES, error);
    while (err == GW_OK && sqlite_row(&conn, conn.st[MAIN_SEGMENTS])) {
        uint32_t number = (uint32_t)sqlite3_column_int64(conn.st[MAIN_SEGMENTS], 0);
        gw_buf_add(numbers, &number, sizeof(number));
    }
    if (err == GW_OK && conn.rc != SQLITE_OK)
        err = sqlite_conn_error(&conn, conn.rc, "read it", error);
    sqlite_conn_close(&conn);
    return err;
}

static uint32_t number_at(const struct gw_buf *numbers, size_t at)
{
    uint32_t number;

    memcpy(&number, numbers->ptr + at, sizeof(number));
    return number;
}

static bool has(const struct gw_buf *numbers, uint32_t number)
{
    for (size_t at = 0; at < numbers->len; at += sizeof(number))
        if (number_at(numbers, at) == number)
            return true;
    return false;
}

/* One that is not listed any more was removed meanwhile. */
static enum gw_err segment_left_out(struct copy *copy, uint32_t number, struct gw_error *error)
{
    struct gw_sqlite_backup *backup = copy->backup;
    struct gw_error again;
    struct gw_buf now = {0};
    char path[PATH_MAX + 64], name[32];

    segment_name(name, number);
    path_of(path, copy->to, name);
    (void)unlink(path);
    enum gw_err err = list(copy->from, "main.db", &now, &again);
    if (err == GW_OK && has(&now, number)) {
        backup->failed++;
        if (backup->warn)
            backup->warn(backup->ctx, error->text);
    }
    gw_buf_deinit(&now);
    return GW_OK;
}

/* Those of `numbers` that are not copied yet. */
static enum gw_err copy_segments(struct copy *copy, const struct gw_buf *numbers,
                                 struct gw_error *error)
{
    enum gw_err err = GW_OK;
    char name[32];

    for (size_t at = 0; at < numbers->len && err == GW_OK; at += sizeof(uint32_t)) {
        uint32_t number = number_at(numbers, at);
        if (has(&copy->done, number))
            continue;
        segment_name(name, number);
        err = copy_file(copy, &sqlite_segment_kind, name, name, error);
        if (err == GW_ERR_CORRUPT || err == GW_ERR_SCHEMA)
            err = segment_left_out(copy, number, error);
        gw_buf_add(&copy->done, &number, sizeof(number));
    }
    return err;
}

/* Copies main.db; true: it lists nothing that is not copied. `numbers`: what it lists. */
static bool copy_main(struct copy *copy, struct gw_buf *numbers, enum gw_err *err,
                      struct gw_error *error)
{
    bool is_all = true;

    *err = copy_file(copy, &sqlite_main_kind, "main.db", MAIN_UNNAMED, error);
    gw_buf_clear(numbers);
    if (*err == GW_OK)
        *err = list(copy->to, MAIN_UNNAMED, numbers, error);
    for (size_t at = 0; *err == GW_OK && at < numbers->len; at += sizeof(uint32_t))
        is_all &= has(&copy->done, number_at(numbers, at));
    return *err == GW_OK && is_all;
}

/* What SQLite left beside the files of the copy is empty. */
static void tidy(const struct copy *copy, const char *name)
{
    static const char *const ends[] = {"-wal", "-shm", "-journal"};
    char path[PATH_MAX + 128];

    for (size_t i = 0; i < gw_count(ends); i++) {
        snprintf(path, sizeof(path), "%s/%s%s", copy->to, name, ends[i]);
        (void)unlink(path);
    }
}

static enum gw_err name_main(struct copy *copy, struct gw_error *error)
{
    char part[PATH_MAX + 64], path[PATH_MAX + 64];

    path_of(part, copy->to, MAIN_UNNAMED);
    path_of(path, copy->to, "main.db");
    tidy(copy, MAIN_UNNAMED);
    enum gw_err err = sync_path(copy->to, O_RDONLY | O_DIRECTORY, error);
    if (err == GW_OK && rename(part, path) != 0)
        err = failed(error, path, "make it");
    return err == GW_OK ? sync_path(copy->to, O_RDONLY | O_DIRECTORY, error) : err;
}

/* ── All of it ─────────────────────────────────────────────────────────────────────────────── */

enum gw_err gw_sqlite_backup(struct gw_sqlite_backup *backup, struct gw_error *error)
{
    struct copy *copy = gw_zalloc(sizeof(*copy));
    struct gw_buf numbers = {0};
    bool is_all = false;

    copy->backup = backup;
    backup->files = backup->bytes = backup->failed = 0;
    enum gw_err err = list(backup->from, "main.db", &numbers, error);
    if (err == GW_OK)
        err = dirs_open(copy, error);
    for (int round = 0; err == GW_OK && !is_all; round++) {
        if (round == ROUNDS_MAX)
            err =
                gw_error_set(error, GW_ERR_BUSY, "%s: new segments begin all the time", copy->from);
        if (err == GW_OK)
            err = copy_segments(copy, &numbers, error);
        if (err == GW_OK)
            is_all = copy_main(copy, &numbers, &err, error);
    }
    if (err == GW_OK)
        err = name_main(copy, error);
    gw_buf_deinit(&numbers);
    gw_buf_deinit(&copy->done);
    gw_free(copy);
    return err;
}
