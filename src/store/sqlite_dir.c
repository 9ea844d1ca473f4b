/* sqlite_dir.c: the directory and what is in it, from nothing to open files.
 *
 * `lock` is held with flock() while open. main.db lists the segments: a segment's file is complete
 * before it is listed, and one that is listed but missing is damage, never an empty start. One that
 * is not listed was made ahead, or is to be removed, and goes. A file is made with mode 0600 before
 * SQLite sees it.
 *
 * Failure: the error names the file and says why; whatever is open by then is the caller's to
 * close. A file of another program or of a newer version stays as it is. A segment that is missing
 * or damaged is named in the log and set aside; all else is usable. If it was the last one, nobody
 * knows how far its sequence went: the next goes on far behind it. */
#include "store/sqlite_index.h"
#include "store/sqlite_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_SEGMENT 1
#define HEAD_TRIES    100
#define SEGMENTS_MORE 65536 /* that may begin until a restart: with one a minute, 45 days */
#define SEQ_UNKNOWN   ((uint64_t)1 << 32) /* more than there can be in a segment */

/* ── The directory ─────────────────────────────────────────────────────────────────────────── */

static enum gw_err failed(struct gw_error *error, const char *path, const char *doing)
{
    return gw_error_set(error, GW_ERR_IO, "%s: cannot %s: %s", path, doing, strerror(errno));
}

char *sqlite_dir_path(const struct gw_sqlite *sqlite, const char *name)
{
    size_t len = strlen(sqlite->options.dir) + 1 + strlen(name) + 1;
    char *path = gw_alloc(len);

    snprintf(path, len, "%s/%s", sqlite->options.dir, name);
    return path;
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

static int64_t count_of(struct sqlite_conn *conn, int sql)
{
    int64_t count = 0;

    while (sqlite_row(conn, conn->st[sql]))
        count++;
    return count;
}

/* A segment is made after the main file has its schema: beside one that holds something an empty main
 * file is no beginning, but a loss. */
static enum gw_err main_check(struct gw_sqlite *sqlite, const char *path, struct gw_error *error)
{
    enum gw_err err = GW_OK;
    struct dirent *entry;
    struct stat st;

    if (stat(path, &st) == 0 && st.st_size > 0)
        return GW_OK;
    DIR *dir = opendir(sqlite->options.dir);
    if (dir == NULL)
        return failed(error, sqlite->options.dir, "read the directory");
    while (err == GW_OK && (entry = readdir(dir)) != NULL)
        if (gw_slice_ends(gw_slice_from(entry->d_name), GW_SLICE(".seg")) &&
            fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && st.st_size > 0)
            err = gw_error_set(error, GW_ERR_CORRUPT, "%s: it is missing or empty, but there is %s",
                               path, entry->d_name);
    closedir(dir);
    return err;
}

/* New is a file that names no segment: nothing can refer to its keys yet. */
static enum gw_err main_open(struct gw_sqlite *sqlite, bool *is_new, struct gw_error *error)
{
    struct sqlite_conn *conn = &sqlite->main.conn;
    char path[PATH_MAX];
    bool is_made;

    path_of(path, sqlite, "main.db");
    enum gw_err err = main_check(sqlite, path, error);
    if (err == GW_OK)
        err = file_make(path, &is_made, error);
    if (err == GW_OK)
        err = sqlite_conn_open(conn, path, &sqlite_main_kind, SQLITE_ROLE_MAKER,
                               sqlite->options.cache_bytes / 8, error);
    if (err != GW_OK)
        return err;
    *is_new = count_of(conn, MAIN_SEGMENTS) == 0;
    atomic_store(&sqlite->config_count, (uint_fast64_t)count_of(conn, MAIN_CONFIG_KEYS));
    sqlite_run(conn, conn->st[MAIN_BEGIN]);
    err = sqlite_master_open(&sqlite->master, conn, *is_new, &sqlite->keys, error);
    if (err != GW_OK)
        return err;
    sqlite_run(conn, conn->st[MAIN_COMMIT]);
    if (conn->rc != SQLITE_OK)
        return sqlite_conn_error(conn, conn->rc, "write it", error);
    sqlite_wal_init(&sqlite->main);
    return GW_OK;
}

/* ── Segments ──────────────────────────────────────────────────────────────────────────────── */

enum gw_err sqlite_dir_make(struct gw_sqlite *sqlite, struct sqlite_segment *segment,
                            struct gw_error *error)
{
    struct sqlite_file *file = &segment->file;
    bool is_made;
    enum gw_err err = file_make(segment->path, &is_made, error);

    if (err == GW_OK)
        err = sqlite_conn_open(&file->conn, segment->path, &sqlite_segment_kind, SQLITE_ROLE_MAKER,
                               sqlite->options.cache_bytes, error);
    if (err != GW_OK)
        return err;
    sqlite_wal_init(file);
    err = sqlite_segment_look(segment, error);
    if (err == GW_OK && segment->day >= 0)
        err = gw_error_set(error, GW_ERR_CORRUPT, "%s: it has events, but main.db does not list it",
                           segment->path);
    return err == GW_OK ? dir_sync(sqlite->options.dir, error) : err;
}

static enum gw_err head_make(struct gw_sqlite *sqlite, uint32_t number, struct gw_error *error)
{
    struct sqlite_segment *segment = sqlite_segment_create(sqlite, number, 0);
    enum gw_err err = sqlite_dir_make(sqlite, segment, error);

    if (err == GW_OK)
        err = sqlite_segment_take(sqlite, segment, error);
    if (err == GW_OK)
        return GW_OK;
    sqlite_segment_destroy(segment);
    return err;
}

/* Those that main.db lists, none of them open. */
static enum gw_err set_read(struct gw_sqlite *sqlite, struct gw_error *error)
{
    struct sqlite_segments *set = &sqlite->segments;
    struct sqlite_conn *conn = &sqlite->main.conn;
    sqlite3_stmt *st = conn->st[MAIN_SEGMENTS];
    struct gw_buf found = {0};
    struct sqlite_segment *segment = NULL;
    uint32_t first = FIRST_SEGMENT;

    while (sqlite_row(conn, st)) {
        int64_t number = sqlite3_column_int64(st, 0);
        if (number < 1 || number >= UINT32_MAX - SEGMENTS_MORE)
            conn->rc = SQLITE_CORRUPT;
        segment =
            sqlite_segment_create(sqlite, (uint32_t)number, (uint64_t)sqlite3_column_int64(st, 1));
        if (found.len == 0)
            first = segment->number;
        gw_buf_add(&found, &segment, sizeof(segment));
    }
    set->base = first;
    set->cap = SEGMENTS_MORE + (segment ? segment->number - first + 1 : 0);
    set->at = gw_zalloc(set->cap * sizeof(*set->at));
    atomic_store(&set->top, segment ? segment->number : first - 1);
    for (size_t at = 0; at < found.len; at += sizeof(segment)) {
        memcpy(&segment, found.ptr + at, sizeof(segment));
        atomic_store(&set->at[segment->number - first], segment);
    }
    gw_buf_deinit(&found);
    return conn->rc == SQLITE_OK ? GW_OK : sqlite_conn_error(conn, conn->rc, "read it", error);
}

/* What its index does not know yet is read from it. */
static enum gw_err index_open(struct gw_sqlite *sqlite, struct sqlite_segment *segment,
                              bool is_last, struct gw_error *error)
{
    struct sqlite_conn *conn = &segment->file.conn;
    uint64_t last_seq = segment->last_seq;

    segment->index = sqlite_index_found(sqlite->merger, segment->number, segment->path, last_seq);
    if (sqlite_index_lacks(segment->index, last_seq))
        sqlite_index_fill(segment->index, conn, last_seq);
    if (!is_last)
        sqlite_index_seal(segment->index, last_seq);
    return conn->rc == SQLITE_OK ? GW_OK : sqlite_conn_error(conn, conn->rc, "read it", error);
}

/* Only for a file of a newer version is there an error: any other is set aside. */
static enum gw_err segment_open(struct gw_sqlite *sqlite, struct sqlite_segment *segment,
                                struct gw_error *error)
{
    struct sqlite_file *file = &segment->file;
    bool is_last = segment->number == atomic_load(&sqlite->segments.top);
    size_t cache_bytes = sqlite->options.cache_bytes / (is_last ? 1 : 8);
    enum gw_err err = GW_OK;
    struct gw_error why;

    if (access(segment->path, F_OK) != 0)
        err = gw_error_set(&why, GW_ERR_CORRUPT, "%s: it is missing; main.db lists it",
                           segment->path);
    if (err == GW_OK)
        err = sqlite_conn_open(&file->conn, segment->path, &sqlite_segment_kind, SQLITE_ROLE_WRITER,
                               cache_bytes, &why);
    if (err != GW_OK && file->conn.is_newer)
        return gw_error_set(error, err, "%s", why.text);
    if (err == GW_OK)
        err = sqlite_segment_look(segment, &why);
    if (err == GW_OK)
        err = index_open(sqlite, segment, is_last, &why);
    if (err != GW_OK) {
        sqlite_segment_set_aside(sqlite, segment, why.text);
        sqlite_segment_drop(segment);
        return GW_OK;
    }
    atomic_fetch_add(&sqlite->open, atomic_load(&segment->open));
    if (is_last || atomic_load(&segment->open) > 0)
        sqlite_wal_init(file);
    else
        sqlite_segment_close(sqlite, segment, true);
    return GW_OK;
}

/* Where the sequence goes on. */
static uint64_t next_seq(const struct sqlite_segment *last)
{
    if (sqlite_segment_err(last) != GW_OK)
        return last->first_seq + SEQ_UNKNOWN;
    return last->last_seq >= last->first_seq ? last->last_seq + 1 : last->first_seq;
}

static enum gw_err segments_open(struct gw_sqlite *sqlite, struct gw_error *error)
{
    struct sqlite_segments *set = &sqlite->segments;
    struct sqlite_segment *last = sqlite_segment_below(sqlite, UINT32_MAX);
    enum gw_err err = GW_OK;

    for (struct sqlite_segment *s = last; s && err == GW_OK;
         s = sqlite_segment_below(sqlite, s->number - 1))
        err = segment_open(sqlite, s, error);
    if (err != GW_OK)
        return err;
    sqlite->next_seq = last ? next_seq(last) : 1;
    if (last && sqlite_segment_err(last) == GW_OK) {
        sqlite->head = last;
        return GW_OK;
    }
    err = GW_ERR_CORRUPT; /* what is in the way of the first is an older store without its list */
    for (uint32_t by = 1; err != GW_OK && by <= (last ? HEAD_TRIES : 1); by++)
        err = head_make(sqlite, atomic_load(&set->top) + by, error);
    return err;
}

/* What `name` is a segment's file by, with its log and so on; 0: of none. */
static uint32_t segment_of_name(const char *name)
{
    uint32_t number = 0;

    for (size_t i = 0; i < 8; i++) {
        if (name[i] < '0' || name[i] > '9')
            return 0;
        number = number * 10 + (uint32_t)(name[i] - '0');
    }
    return name[8] == '.' ? number : 0;
}

/* Removes files of segments that were given up: those below the last that is listed. Above it may
 * stand one that was made ahead: it is made again, in the file that is there. */
static enum gw_err sweep(struct gw_sqlite *sqlite, struct gw_error *error)
{
    uint32_t top = atomic_load(&sqlite->segments.top);
    DIR *dir = opendir(sqlite->options.dir);
    struct dirent *entry;
    char path[PATH_MAX];

    if (dir == NULL)
        return failed(error, sqlite->options.dir, "read the directory");
    while ((entry = readdir(dir)) != NULL) {
        uint32_t number = segment_of_name(entry->d_name);
        if (number == 0 || number >= top || sqlite_segment_of(sqlite, number))
            continue;
        path_of(path, sqlite, entry->d_name);
        if (unlink(path) == 0)
            gw_log(GW_LOG_INFO, "store_file_removed", GW_S("file", path));
    }
    closedir(dir);
    return GW_OK;
}

enum gw_err sqlite_dir_open(struct gw_sqlite *sqlite, const char *dir, struct gw_error *error)
{
    bool is_new = false;
    enum gw_err err = dir_open(sqlite, dir, error);

    if (err == GW_OK)
        err = dir_lock(sqlite, error);
    if (err == GW_OK)
        err = main_open(sqlite, &is_new, error);
    if (err == GW_OK)
        err = set_read(sqlite, error);
    if (err == GW_OK)
        err = sweep(sqlite, error);
    if (err == GW_OK)
        err = segments_open(sqlite, error);
    return err;
}
