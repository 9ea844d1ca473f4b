/* sqlite_dir.c: the directory and what is in it, from nothing to open files.
 *
 * `lock` is held with flock() while open. main.db lists the segments: a segment's file is complete
 * before it is listed, and one that is listed but missing is damage, never an empty start. A file
 * is made with mode 0600 before SQLite sees it.
 *
 * Failure: the error names the file and says why; whatever is open by then is the caller's to
 * close. A file of another program or of a newer version stays as it is. */
#include "store/sqlite_internal.h"

#include "base/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_SEGMENT 1

/* ── The directory ─────────────────────────────────────────────────────────────────────────── */

static enum gw_err failed(struct gw_error *error, const char *path, const char *doing)
{
    return gw_error_set(error, GW_ERR_IO, "%s: cannot %s: %s", path, doing, strerror(errno));
}

static void path_of(char path[PATH_MAX], const struct gw_sqlite *sqlite, const char *name)
{
    int len = snprintf(path, PATH_MAX, "%s/%s", sqlite->options.dir, name);

    gw_check(len > 0 && len < PATH_MAX);
}

static enum gw_err dir_sync(const char *path, struct gw_error *error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    enum gw_err err = ok ? GW_OK : failed(error, path, "sync the directory");

    if (fd >= 0)
        close(fd);
    return err;
}

/* Absolute, so that neither a later chdir nor SQLite's reading of names as URIs matters. */
static enum gw_err dir_open(struct gw_sqlite *sqlite, const char *dir, struct gw_error *error)
{
    char path[PATH_MAX], parent[PATH_MAX + 4];
    bool is_new = mkdir(dir, 0700) == 0;

    if (!is_new && errno != EEXIST)
        return failed(error, dir, "make the directory");
    if (realpath(dir, path) == NULL)
        return failed(error, dir, "open the directory");
    if (strlen(path) > PATH_MAX - 64)
        return gw_error_set(error, GW_ERR_INVALID, "%s: the path is too long", dir);
    sqlite->options.dir = gw_strdup(path);
    if (!is_new)
        return GW_OK;
    snprintf(parent, sizeof(parent), "%s/..", path);
    return dir_sync(parent, error);
}

static enum gw_err dir_lock(struct gw_sqlite *sqlite, struct gw_error *error)
{
    char path[PATH_MAX];

    path_of(path, sqlite, "lock");
    sqlite->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (sqlite->lock_fd < 0)
        return failed(error, path, "open it");
    if (flock(sqlite->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return GW_OK;
    if (errno == EWOULDBLOCK)
        return gw_error_set(error, GW_ERR_LOCKED, "%s: another process has this store open", path);
    return failed(error, path, "lock it");
}

/* Not once SQLite has the file open: closing any descriptor of it would drop SQLite's locks. */
static enum gw_err file_make(const char *path, bool *is_new, struct gw_error *error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    *is_new = fd >= 0;
    if (fd >= 0)
        close(fd);
    else if (errno != EEXIST)
        return failed(error, path, "make it");
    return GW_OK;
}

/* ── The main file ─────────────────────────────────────────────────────────────────────────── */

/* Reads a key, or makes it in a new file. */
static enum gw_err key_open(struct sqlite_conn *conn, const char *name, void *key, size_t len,
                            bool is_new, struct gw_error *error)
{
    sqlite3_stmt *get = conn->st[MAIN_META_GET], *set = conn->st[MAIN_META_SET];
    bool is_there = false;

    sqlite_bind_text(get, 1, gw_slice_from(name));
    if (sqlite_row(conn, get)) {
        struct gw_slice value = sqlite_blob(get, 0);
        is_there = value.len == len;
        if (is_there)
            memcpy(key, value.ptr, len);
        sqlite3_reset(get);
    }
    if (conn->rc != SQLITE_OK)
        return sqlite_conn_error(conn, conn->rc, "read it", error);
    if (is_there)
        return GW_OK;
    if (!is_new)
        return gw_error_set(error, GW_ERR_CORRUPT, "%s: its keys are missing", conn->path);
    gw_random_bytes(key, len);
    sqlite_bind_text(set, 1, gw_slice_from(name));
    sqlite_bind_blob(set, 2, (struct gw_slice){key, len});
    sqlite_run(conn, set);
    return conn->rc == SQLITE_OK ? GW_OK : sqlite_conn_error(conn, conn->rc, "write it", error);
}

static int64_t count_of(struct sqlite_conn *conn, int sql)
{
    int64_t count = 0;

    while (sqlite_row(conn, conn->st[sql]))
        count++;
    return count;
}

/* New is a file that names no segment: nothing can refer to its keys yet. */
static enum gw_err main_open(struct gw_sqlite *sqlite, bool *is_new, struct gw_error *error)
{
    struct sqlite_conn *conn = &sqlite->main.conn;
    char path[PATH_MAX];
    bool is_made;

    path_of(path, sqlite, "main.db");
    enum gw_err err = file_make(path, &is_made, error);
    if (err == GW_OK)
        err = sqlite_conn_open(conn, path, &sqlite_main_kind, SQLITE_ROLE_WRITER,
                               sqlite->options.cache_bytes / 8, error);
    if (err != GW_OK)
        return err;
    *is_new = count_of(conn, MAIN_SEGMENTS) == 0;
    sqlite_run(conn, conn->st[MAIN_BEGIN]);
    err = key_open(conn, "id_key", sqlite->keys.id, sizeof(sqlite->keys.id), *is_new, error);
    if (err == GW_OK)
        err = key_open(conn, "hash_key", sqlite->keys.hash, sizeof(sqlite->keys.hash), *is_new,
                       error);
    if (err != GW_OK)
        return err;
    sqlite_run(conn, conn->st[MAIN_COMMIT]);
    if (conn->rc != SQLITE_OK)
        return sqlite_conn_error(conn, conn->rc, "write it", error);
    return sqlite_wal_init(&sqlite->main, error);
}

/* ── The segment ───────────────────────────────────────────────────────────────────────────── */

static int64_t segment_number(struct sqlite_conn *conn, enum sqlite_segment_sql sql)
{
    int64_t value = 0;

    if (sqlite_row(conn, conn->st[sql])) {
        value = sqlite3_column_int64(conn->st[sql], 0);
        sqlite3_reset(conn->st[sql]);
    }
    return value;
}

static enum gw_err segment_name(struct gw_sqlite *sqlite, struct gw_error *error)
{
    struct sqlite_conn *conn = &sqlite->main.conn;

    sqlite3_bind_int64(conn->st[MAIN_SEGMENT_ADD], 1, sqlite->segment.number);
    sqlite_run(conn, conn->st[MAIN_SEGMENT_ADD]);
    return conn->rc == SQLITE_OK ? GW_OK : sqlite_conn_error(conn, conn->rc, "write it", error);
}

static enum gw_err segment_open(struct gw_sqlite *sqlite, bool is_first_start,
                                struct gw_error *error)
{
    struct sqlite_segment *segment = &sqlite->segment;
    struct sqlite_conn *conn = &segment->file.conn;
    char path[PATH_MAX], name[32];
    bool is_made = false;
    enum gw_err err = GW_OK;

    segment->number = FIRST_SEGMENT;
    snprintf(name, sizeof(name), "%08" PRIu32 ".seg", segment->number);
    path_of(path, sqlite, name);
    if (is_first_start)
        err = file_make(path, &is_made, error);
    else if (access(path, F_OK) != 0)
        err = gw_error_set(error, GW_ERR_CORRUPT, "%s: it is missing; main.db lists it", path);
    if (err == GW_OK)
        err = sqlite_conn_open(conn, path, &sqlite_segment_kind, SQLITE_ROLE_WRITER,
                               sqlite->options.cache_bytes, error);
    if (err != GW_OK)
        return err;
    segment->next_seq = (uint64_t)segment_number(conn, SEG_LAST_SEQ) + 1;
    atomic_store(&sqlite->open, (uint_fast64_t)segment_number(conn, SEG_OPEN_COUNT));
    if (conn->rc != SQLITE_OK)
        return sqlite_conn_error(conn, conn->rc, "read it", error);
    if (is_first_start && segment->next_seq > 1)
        return gw_error_set(error, GW_ERR_CORRUPT, "%s: it has events, but main.db is new", path);
    err = sqlite_wal_init(&segment->file, error);
    if (err == GW_OK && is_first_start)
        err = dir_sync(sqlite->options.dir, error);
    if (err == GW_OK && is_first_start)
        err = segment_name(sqlite, error);
    return err;
}

enum gw_err sqlite_dir_open(struct gw_sqlite *sqlite, const char *dir, struct gw_error *error)
{
    bool is_first_start = false;
    enum gw_err err = dir_open(sqlite, dir, error);

    if (err == GW_OK)
        err = dir_lock(sqlite, error);
    if (err == GW_OK)
        err = main_open(sqlite, &is_first_start, error);
    if (err == GW_OK)
        err = segment_open(sqlite, is_first_start, error);
    return err;
}
