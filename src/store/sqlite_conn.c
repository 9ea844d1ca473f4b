/* sqlite_conn.c: one connection to one file. Owns its handle and its prepared statements, which live
 * as long as it does.
 *
 * A connection is used by one thread at a time. Failures are collected in conn->rc, so that a whole
 * operation can be written down before anybody asks whether it worked. Running out of memory ends
 * the process, as everywhere. */
#include "store/sqlite_conn.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>

#define READER_WAIT_MS 1000 /* nothing but recovery */

/* ── Errors ────────────────────────────────────────────────────────────────────────────────── */

/* Kept from the last failure of that kind only. */
static int system_errno(const struct sqlite_conn *conn, int rc)
{
    bool is_system = (rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN;

    return conn->db && is_system ? sqlite3_system_errno(conn->db) : 0;
}

enum gw_err sqlite_conn_err(const struct sqlite_conn *conn, int rc)
{
    int why = rc & 0xff;

    gw_check(why != SQLITE_NOMEM && rc != SQLITE_IOERR_NOMEM);
    switch (why) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return GW_OK;
    case SQLITE_FULL: return GW_ERR_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return GW_ERR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return GW_ERR_CORRUPT;
    case SQLITE_IOERR: break;
    default: return GW_ERR_IO;
    }
    if (rc == SQLITE_IOERR_DATA) /* a page is not as it was written: sqlite_sum.c */
        return GW_ERR_CORRUPT;
    /* No space, not seen as such by SQLite. After a failed fsync it does not matter why: what was
     * written before may be lost. */
    int system = system_errno(conn, rc);
    bool is_sync = rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC;
    return !is_sync && (system == ENOSPC || system == EDQUOT) ? GW_ERR_FULL : GW_ERR_IO;
}

enum gw_err sqlite_conn_error(const struct sqlite_conn *conn, int rc, const char *doing,
                              struct gw_error *error)
{
    const char *what = conn->db ? sqlite3_errmsg(conn->db) : sqlite3_errstr(rc);
    int system = system_errno(conn, rc);
    enum gw_err err = sqlite_conn_err(conn, rc);

    if (system != 0)
        return gw_error_set(error, err, "%s: cannot %s: %s (%s)", conn->path, doing, what,
                            strerror(system));
    return gw_error_set(error, err, "%s: cannot %s: %s", conn->path, doing, what);
}

static void note(struct sqlite_conn *conn, int rc)
{
    if (conn->rc == SQLITE_OK)
        conn->rc = rc;
}

/* ── Statements ────────────────────────────────────────────────────────────────────────────── */

bool sqlite_row(struct sqlite_conn *conn, sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);

    if (rc == SQLITE_ROW)
        return true;
    if (rc != SQLITE_DONE)
        note(conn, rc);
    sqlite3_reset(st);
    return false;
}

void sqlite_run(struct sqlite_conn *conn, sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);

    if (rc != SQLITE_DONE)
        note(conn, rc);
    sqlite3_reset(st);
}

void sqlite_bind_text(sqlite3_stmt *st, int at, struct gw_slice s)
{
    gw_check(s.len <= INT32_MAX);
    if (s.ptr == NULL)
        sqlite3_bind_null(st, at);
    else
        sqlite3_bind_text(st, at, s.ptr, (int)s.len, SQLITE_STATIC);
}

void sqlite_bind_blob(sqlite3_stmt *st, int at, struct gw_slice s)
{
    gw_check(s.len <= INT32_MAX);
    sqlite3_bind_blob(st, at, s.len ? s.ptr : "", (int)s.len, SQLITE_STATIC);
}

struct gw_slice sqlite_text(sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);

    return (struct gw_slice){text, text ? (size_t)sqlite3_column_bytes(st, column) : 0};
}

struct gw_slice sqlite_blob(sqlite3_stmt *st, int column)
{
    if (sqlite3_column_type(st, column) == SQLITE_NULL)
        return (struct gw_slice){0};
    const char *blob = sqlite3_column_blob(st, column);
    return (struct gw_slice){blob ? blob : "", (size_t)sqlite3_column_bytes(st, column)};
}

/* ── Opening ───────────────────────────────────────────────────────────────────────────────── */

static bool reads_only(const char *sql)
{
    return strncmp(sql, "SELECT", 6) == 0 || strcmp(sql, "BEGIN") == 0 ||
           strcmp(sql, "COMMIT") == 0;
}

static int prepare(struct sqlite_conn *conn, enum sqlite_role role)
{
    const struct sqlite_kind *kind = conn->kind;
    int rc = SQLITE_OK;

    conn->st = gw_zalloc(kind->sql_count * sizeof(*conn->st));
    for (size_t i = 0; i < kind->sql_count && rc == SQLITE_OK; i++) {
        if (role == SQLITE_ROLE_READER && !reads_only(kind->sql[i]))
            continue;
        rc = sqlite3_prepare_v3(conn->db, kind->sql[i], -1, SQLITE_PREPARE_PERSISTENT, &conn->st[i],
                                NULL);
    }
    return rc;
}

/* The one number that a query answers. */
static int ask(struct sqlite_conn *conn, const char *sql, int64_t *value)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(conn->db, sql, -1, &st, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
        if (rc == SQLITE_ROW)
            *value = sqlite3_column_int64(st, 0);
        rc = rc == SQLITE_ROW ? SQLITE_OK : rc;
    }
    sqlite3_finalize(st);
    return rc;
}

/* Looks only, so that a file of another program or of a newer version stays as it is. */
static enum gw_err check_version(struct sqlite_conn *conn, bool *is_new, int64_t *version,
                                 struct gw_error *error)
{
    const struct sqlite_kind *kind = conn->kind;
    int64_t application = 0, tables = 0;
    int rc = ask(conn, "PRAGMA application_id", &application);

    if (rc == SQLITE_OK)
        rc = ask(conn, "PRAGMA user_version", version);
    if (rc == SQLITE_OK)
        rc = ask(conn, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc != SQLITE_OK)
        return sqlite_conn_error(conn, rc, "read it", error);
    *is_new = application == 0 && *version == 0 && tables == 0;
    if (*is_new)
        return GW_OK;
    if (application != kind->application_id)
        return gw_error_set(error, GW_ERR_SCHEMA, "%s: this is no %s of gwh", conn->path,
                            kind->what);
    conn->is_newer = *version > kind->version;
    if (conn->is_newer)
        return gw_error_set(error, GW_ERR_SCHEMA,
                            "%s: written by a newer version (its schema is %lld, this one knows "
                            "up to %d)",
                            conn->path, (long long)*version, kind->version);
    if (*version < 1)
        return gw_error_set(error, GW_ERR_CORRUPT, "%s: its schema has no version", conn->path);
    if (!sqlite_sum_check(conn->db))
        return gw_error_set(error, GW_ERR_CORRUPT, "%s: its head is damaged", conn->path);
    return GW_OK;
}

/* EXTRA is FULL, and syncs the directory too when the journal of a file's first transaction, which
 * turns the log on, is removed. Found again after a loss of power that journal would empty the file,
 * and SQLite drops the log of an empty file. */
static int set_pragmas(struct sqlite_conn *conn, enum sqlite_role role, size_t cache_bytes)
{
    char cache[64];
    int rc = sqlite3_exec(conn->db,
                          "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
                          "PRAGMA temp_store=MEMORY; PRAGMA synchronous=EXTRA;"
                          "PRAGMA wal_autocheckpoint=0; PRAGMA secure_delete=FAST",
                          NULL, NULL, NULL);

    snprintf(cache, sizeof(cache), "PRAGMA cache_size=-%zu", cache_bytes / 1024 + 64);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(conn->db, cache, NULL, NULL, NULL);
    sqlite3_busy_timeout(conn->db,
                         role == SQLITE_ROLE_READER ? READER_WAIT_MS : SQLITE_WRITER_WAIT_MS);
    /* Who closes last must not checkpoint by itself: after a failure the files stay as they are. */
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(conn->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    return rc;
}

/* Where it cannot be had SQLite goes on without, and says so only here. */
static enum gw_err set_log(struct sqlite_conn *conn, struct gw_error *error)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(conn->db, "PRAGMA journal_mode=WAL", -1, &st, NULL);
    bool is_on = false;

    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        is_on = gw_slice_is(sqlite_text(st, 0), "wal");
    sqlite3_finalize(st);
    if (rc != SQLITE_ROW)
        return sqlite_conn_error(conn, rc, "turn its log on", error);
    if (!is_on)
        return gw_error_set(error, GW_ERR_IO,
                            "%s: its file system cannot share a log between threads (use a local "
                            "disk)",
                            conn->path);
    return GW_OK;
}

static int create_schema(struct sqlite_conn *conn)
{
    const struct sqlite_kind *kind = conn->kind;
    struct gw_buf sql = {0};

    gw_buf_addf(&sql,
                "BEGIN IMMEDIATE; %s PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
                kind->schema, kind->application_id, kind->version);
    int rc = sqlite3_exec(conn->db, gw_buf_text(&sql), NULL, NULL, NULL);
    gw_buf_deinit(&sql);
    return rc;
}

/* Each step is a transaction: after a crash the next start goes on where it was. */
static int bring_up(struct sqlite_conn *conn, int64_t version)
{
    const struct sqlite_kind *kind = conn->kind;
    struct gw_buf sql = {0};
    int rc = SQLITE_OK;

    for (; version < kind->version && rc == SQLITE_OK; version++) {
        gw_buf_clear(&sql);
        gw_buf_addf(&sql, "BEGIN IMMEDIATE; %s PRAGMA user_version=%lld; COMMIT",
                    kind->steps[version - 1], (long long)version + 1);
        rc = sqlite3_exec(conn->db, gw_buf_text(&sql), NULL, NULL, NULL);
        if (rc == SQLITE_OK)
            gw_log(GW_LOG_INFO, "store_migrated", GW_S("file", conn->path),
                   GW_I("version", version + 1));
    }
    gw_buf_deinit(&sql);
    return rc;
}

static enum gw_err set_up(struct sqlite_conn *conn, enum sqlite_role role, size_t cache_bytes,
                          struct gw_error *error)
{
    bool is_new = false, writes = role == SQLITE_ROLE_WRITER || role == SQLITE_ROLE_MAKER;
    int64_t version = 0;
    int rc = set_pragmas(conn, role, cache_bytes);

    if (rc != SQLITE_OK)
        return sqlite_conn_error(conn, rc, "open it", error);
    enum gw_err err = check_version(conn, &is_new, &version, error);
    if (err != GW_OK)
        return err;
    if (is_new && role != SQLITE_ROLE_MAKER)
        return gw_error_set(error, GW_ERR_CORRUPT, "%s: it is empty", conn->path);
    if (role == SQLITE_ROLE_READER && version < conn->kind->version)
        return gw_error_set(error, GW_ERR_SCHEMA,
                            "%s: written by an older version, and not yet brought up by a start of "
                            "this one",
                            conn->path);
    if (writes)
        err = set_log(conn, error);
    if (err != GW_OK)
        return err;
    if (is_new)
        rc = create_schema(conn);
    else if (writes)
        rc = bring_up(conn, version);
    if (rc != SQLITE_OK)
        return sqlite_conn_error(conn, rc, "set it up", error);
    if (role != SQLITE_ROLE_CHECKPOINTER)
        rc = prepare(conn, role);
    return rc == SQLITE_OK ? GW_OK : sqlite_conn_error(conn, rc, "read its schema", error);
}

enum gw_err sqlite_conn_open(struct sqlite_conn *conn, const char *path,
                             const struct sqlite_kind *kind, enum sqlite_role role,
                             size_t cache_bytes, struct gw_error *error)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;

    flags |= role == SQLITE_ROLE_READER ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    conn->kind = kind;
    conn->path = gw_strdup(path);
    sqlite_sum_init();
    int rc = sqlite3_open_v2(path, &conn->db, flags, SQLITE_SUM_VFS);
    if (rc == SQLITE_OK)
        rc = sqlite_sum_reserve(conn->db);
    if (rc != SQLITE_OK)
        return sqlite_conn_error(conn, rc, "open it", error);
    return set_up(conn, role, cache_bytes, error);
}

void sqlite_conn_close(struct sqlite_conn *conn)
{
    for (size_t i = 0; conn->st && i < conn->kind->sql_count; i++)
        sqlite3_finalize(conn->st[i]);
    gw_free(conn->st);
    if (conn->db)
        gw_check(sqlite3_close(conn->db) == SQLITE_OK);
    gw_free(conn->path);
    *conn = (struct sqlite_conn){0};
}
