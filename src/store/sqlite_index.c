/* sqlite_index.c: N.idx, the key index beside segment N: two tables of hashes that lead to events.
 * Owns its schema and its statements.
 *
 * `event_key` and `tx_key` are cut into parts by age. A merge inserts sorted keys into the last part,
 * so that each page of it is visited once, and closed parts are never written again: what a merge
 * costs depends on the size of a part, not of the file. A question asks the parts one by one, newest
 * first, and filters (sqlite_filter.c) spare most of that. `state` is one row, written in the
 * transaction of each merge; `owner` tells whose segment this file belongs to.
 *
 * Threads: one writes (the merge thread, or who opens the store before it runs), through
 * sqlite_index_file. Connections that read belong to their threads.
 *
 * Failure: synchronous=NORMAL, so a loss of power may undo the last merges, whole, and the rows of
 * their events are read again. Whatever cannot be right (a damaged page, a foreign owner, a newer
 * schema, more than its segment has) is GW_ERR_CORRUPT: the file is thrown away and made anew from
 * the rows. A full disk or a failed write undoes the merge, which is tried again. */
#include "store/sqlite_index.h"

#include "base/alloc.h"
#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CACHE_BYTES ((size_t)2 * 1024 * 1024) /* a merge goes through a part from left to right */

static const char index_schema[] =
    "CREATE TABLE state(owner INTEGER NOT NULL, merged_upto INTEGER NOT NULL,"
    "  part INTEGER NOT NULL, event_keys INTEGER NOT NULL) STRICT;"
    "CREATE TABLE event_key(part INTEGER NOT NULL, hash INTEGER NOT NULL,"
    "  skipped INTEGER NOT NULL, seq INTEGER NOT NULL,"
    "  PRIMARY KEY(part, hash, skipped, seq)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE tx_key(part INTEGER NOT NULL, hash INTEGER NOT NULL, seq INTEGER NOT NULL,"
    "  PRIMARY KEY(part, hash, seq)) STRICT, WITHOUT ROWID;";

/* OR IGNORE: a merge may be repeated when it is not known whether it was done. */
static const char *const index_sql[] = {
    [IDX_BEGIN] = "BEGIN IMMEDIATE",
    [IDX_COMMIT] = "COMMIT",
    [IDX_ROLLBACK] = "ROLLBACK",
    [IDX_READ] = "BEGIN",
    [IDX_STATE] = "SELECT owner, merged_upto, part, event_keys FROM state",
    [IDX_STATE_ADD] = "INSERT INTO state VALUES(?1, 0, 0, 0)",
    [IDX_STATE_SET] = "UPDATE state SET merged_upto = ?1, part = ?2, event_keys = ?3",
    [IDX_EVENT_ADD] = "INSERT OR IGNORE INTO event_key VALUES(?1, ?2, ?3, ?4)",
    [IDX_TX_ADD] = "INSERT OR IGNORE INTO tx_key VALUES(?1, ?2, ?3)",
    [IDX_EVENT_DOWN] = "SELECT seq FROM event_key WHERE part = ?1 AND hash = ?2 AND seq <= ?3"
                       " AND skipped = ?5 ORDER BY seq DESC LIMIT ?4",
    [IDX_TX_DOWN] = "SELECT seq FROM tx_key WHERE part = ?1 AND hash = ?2 AND seq <= ?3"
                    " ORDER BY seq DESC LIMIT ?4",
    [IDX_EVENT_HASH] = "SELECT hash FROM event_key WHERE part = ?1 AND hash BETWEEN ?2 AND ?3"
                       " ORDER BY hash LIMIT 1",
    [IDX_TX_HASH] = "SELECT hash FROM tx_key WHERE part = ?1 AND hash BETWEEN ?2 AND ?3"
                    " ORDER BY hash LIMIT 1",
    [IDX_PART] = "SELECT hash FROM event_key WHERE part = ?1",
};

_Static_assert(gw_count(index_sql) == IDX_SQL_COUNT, "a statement is missing");

const struct sqlite_kind sqlite_index_kind = {
    .what = "key index",
    .application_id = 0x67776869, /* "gwhi" */
    .version = 1,
    .schema = index_schema,
    .sql = index_sql,
    .sql_count = IDX_SQL_COUNT,
};

/* Besides damage: what only damage explains, and a sync that failed, for nobody knows what the file
 * holds after it. */
enum gw_err sqlite_index_err(const struct sqlite_conn *conn, int rc)
{
    if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC)
        return GW_ERR_CORRUPT;
    switch (rc & 0xff) {
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_SCHEMA:
    case SQLITE_FORMAT: return GW_ERR_CORRUPT;
    default: return sqlite_conn_err(conn, rc);
    }
}

/* ── Opening ───────────────────────────────────────────────────────────────────────────────── */

void sqlite_index_file_remove(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    char name[PATH_MAX];

    for (size_t i = 0; i < gw_count(suffixes); i++) {
        int len = snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        gw_check(len > 0 && (size_t)len < sizeof(name));
        (void)unlink(name);
    }
}

/* A log that cannot be taken home now is taken by who opens the file next. */
void sqlite_index_file_close(struct sqlite_index_file *file)
{
    if (file->conn.db && file->conn.rc == SQLITE_OK)
        (void)sqlite3_wal_checkpoint_v2(file->conn.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                        NULL);
    sqlite_conn_close(&file->conn);
}

static bool read_state(struct sqlite_conn *conn, int64_t *owner, struct sqlite_index_state *state)
{
    sqlite3_stmt *st = conn->st[IDX_STATE];

    if (!sqlite_row(conn, st))
        return false;
    *owner = sqlite3_column_int64(st, 0);
    *state = (struct sqlite_index_state){
        .merged_upto = (uint64_t)sqlite3_column_int64(st, 1),
        .part = (uint32_t)sqlite3_column_int64(st, 2),
        .event_keys = (uint64_t)sqlite3_column_int64(st, 3),
    };
    sqlite3_reset(st);
    return true;
}

bool sqlite_index_state(struct sqlite_conn *conn, struct sqlite_index_state *state)
{
    int64_t owner;

    return read_state(conn, &owner, state);
}

/* The row of a file that was just made, or never got further. */
static void add_state(struct sqlite_conn *conn, int64_t owner)
{
    sqlite3_stmt *st = conn->st[IDX_STATE_ADD];

    sqlite3_bind_int64(st, 1, owner);
    sqlite_run(conn, st);
}

static enum gw_err check(struct sqlite_index_file *file, int64_t owner, uint64_t last_seq,
                         struct gw_error *error)
{
    struct sqlite_conn *conn = &file->conn;
    int64_t found = 0;
    bool has_state = read_state(conn, &found, &file->state);

    if (!has_state && conn->rc == SQLITE_OK) {
        add_state(conn, owner);
        has_state = conn->rc == SQLITE_OK && read_state(conn, &found, &file->state);
    }
    if (!has_state) {
        enum gw_err err = sqlite_index_err(conn, conn->rc);
        (void)sqlite_conn_error(conn, conn->rc, "read it", error);
        return err;
    }
    if (found != owner || file->state.merged_upto > last_seq ||
        file->state.part >= SQLITE_PARTS_MAX)
        return gw_error_set(error, GW_ERR_CORRUPT, "%s: it does not belong to its segment",
                            conn->path);
    return GW_OK;
}

static enum gw_err try_open(struct sqlite_index_file *file, const char *path, int64_t owner,
                            uint64_t last_seq, struct gw_error *error)
{
    struct sqlite_conn *conn = &file->conn;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
    else if (errno != EEXIST)
        return gw_error_set(error, errno == ENOSPC || errno == EDQUOT ? GW_ERR_FULL : GW_ERR_IO,
                            "%s: cannot make it: %s", path, strerror(errno));
    enum gw_err err =
        sqlite_conn_open(conn, path, &sqlite_index_kind, SQLITE_ROLE_MAKER, CACHE_BYTES, error);
    if (err == GW_ERR_SCHEMA)
        return GW_ERR_CORRUPT;
    if (err == GW_ERR_IO && conn->db &&
        sqlite_index_err(conn, sqlite3_errcode(conn->db)) == GW_ERR_CORRUPT)
        return GW_ERR_CORRUPT;
    if (err != GW_OK)
        return err;
    int rc = sqlite3_exec(conn->db, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return sqlite_conn_error(conn, rc, "set it up", error);
    return check(file, owner, last_seq, error);
}

enum gw_err sqlite_index_file_open(struct sqlite_index_file *file, const char *path, int64_t owner,
                                   uint64_t last_seq, size_t part_keys, struct gw_error *error)
{
    *file = (struct sqlite_index_file){.part_keys = part_keys};
    enum gw_err err = try_open(file, path, owner, last_seq, error);
    if (err != GW_OK)
        sqlite_conn_close(&file->conn);
    return err;
}

/* ── Merging ───────────────────────────────────────────────────────────────────────────────── */

static int compare(const void *a, const void *b)
{
    const struct sqlite_entry *x = a, *y = b;

    if (x->hash != y->hash) /* as SQLite orders them: signed */
        return (int64_t)x->hash < (int64_t)y->hash ? -1 : 1;
    uint64_t kind_x = x->place & 3, kind_y = y->place & 3;
    if (kind_x != kind_y)
        return kind_x < kind_y ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static void add(struct sqlite_conn *conn, uint32_t part, const struct sqlite_entry *entry)
{
    bool is_tx = sqlite_entry_kind(entry) == SQLITE_ENTRY_TX;
    sqlite3_stmt *st = conn->st[is_tx ? IDX_TX_ADD : IDX_EVENT_ADD];
    int at = 1;

    sqlite3_bind_int64(st, at++, part);
    sqlite3_bind_int64(st, at++, (int64_t)entry->hash);
    if (!is_tx)
        sqlite3_bind_int64(st, at++, sqlite_entry_kind(entry));
    sqlite3_bind_int64(st, at, (int64_t)sqlite_entry_seq(entry));
    sqlite_run(conn, st);
}

static void set_state(struct sqlite_conn *conn, const struct sqlite_index_state *state)
{
    sqlite3_stmt *st = conn->st[IDX_STATE_SET];

    sqlite3_bind_int64(st, 1, (int64_t)state->merged_upto);
    sqlite3_bind_int64(st, 2, state->part);
    sqlite3_bind_int64(st, 3, (int64_t)state->event_keys);
    sqlite_run(conn, st);
}

/* Moves a table's entries to the front, sorted; returns how many. */
static size_t pick(const struct sqlite_entry *entries, size_t count, bool is_tx,
                   struct sqlite_entry *out)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        if ((sqlite_entry_kind(&entries[i]) == SQLITE_ENTRY_TX) == is_tx)
            out[n++] = entries[i];
    if (n > 0)
        qsort(out, n, sizeof(*out), compare);
    return n;
}

static void add_all(struct sqlite_conn *conn, uint32_t part, const struct sqlite_entry *entries,
                    size_t count)
{
    for (size_t i = 0; i < count && conn->rc == SQLITE_OK; i++)
        add(conn, part, &entries[i]);
}

uint32_t sqlite_index_part_for(const struct sqlite_index_file *file,
                               const struct sqlite_entry *entries, size_t count)
{
    const struct sqlite_index_state *state = &file->state;
    uint64_t keys = state->event_keys;

    for (size_t i = 0; i < count; i++)
        keys += sqlite_entry_kind(&entries[i]) != SQLITE_ENTRY_TX;
    bool begins = state->event_keys > 0 && keys > file->part_keys;
    return begins && state->part + 1 < SQLITE_PARTS_MAX ? state->part + 1 : state->part;
}

/* Its pages go into the file now, so that the next merge begins a short log. If it fails the next one
 * tries again: what is in the log is as good. */
static void checkpoint(struct sqlite_conn *conn)
{
    int rc = sqlite3_wal_checkpoint_v2(conn->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

    if (rc != SQLITE_OK && rc != SQLITE_BUSY)
        conn->rc = rc;
}

static enum gw_err end(struct sqlite_conn *conn)
{
    if (conn->rc == SQLITE_OK)
        sqlite_run(conn, conn->st[IDX_COMMIT]);
    if (conn->rc == SQLITE_OK)
        return GW_OK;
    enum gw_err err = sqlite_index_err(conn, conn->rc);
    if (!sqlite3_get_autocommit(conn->db)) {
        (void)sqlite3_step(conn->st[IDX_ROLLBACK]);
        sqlite3_reset(conn->st[IDX_ROLLBACK]);
    }
    return err;
}

static enum gw_err put(struct sqlite_index_file *file, const struct sqlite_entry *entries,
                       size_t count, uint64_t upto, struct sqlite_filter *filter)
{
    struct sqlite_conn *conn = &file->conn;
    struct sqlite_index_state state = file->state;
    struct sqlite_entry *sorted = gw_alloc((count + 1) * sizeof(*sorted));
    size_t events = pick(entries, count, false, sorted);

    state.part = sqlite_index_part_for(file, entries, count);
    state.event_keys = events + (state.part == file->state.part ? state.event_keys : 0);
    state.merged_upto = upto;
    for (size_t i = 0; filter && i < events; i++)
        sqlite_filter_add(filter, sorted[i].hash);
    sqlite_run(conn, conn->st[IDX_BEGIN]);
    add_all(conn, state.part, sorted, events);
    size_t transactions = pick(entries, count, true, sorted);
    add_all(conn, state.part, sorted, transactions);
    set_state(conn, &state);
    enum gw_err err = end(conn);
    if (err == GW_OK)
        file->state = state;
    gw_free(sorted);
    return err;
}

enum gw_err sqlite_index_merge(struct sqlite_index_file *file, const struct sqlite_entry *entries,
                               size_t count, uint64_t upto, struct sqlite_filter *filter)
{
    struct sqlite_conn *conn = &file->conn;
    enum gw_err err = GW_OK;

    conn->rc = SQLITE_OK;
    if (upto > file->state.merged_upto) /* else it was done, but not its checkpoint */
        err = put(file, entries, count, upto, filter);
    if (err == GW_OK) {
        checkpoint(conn);
        err = sqlite_index_err(conn, conn->rc);
    }
    return err;
}

/* ── Asking ────────────────────────────────────────────────────────────────────────────────── */

sqlite3_stmt *sqlite_index_ask(struct sqlite_conn *conn, uint32_t part, enum sqlite_entry_kind kind,
                               int64_t hash, uint64_t top, size_t max)
{
    sqlite3_stmt *st = conn->st[kind == SQLITE_ENTRY_TX ? IDX_TX_DOWN : IDX_EVENT_DOWN];

    sqlite3_bind_int64(st, 1, part);
    sqlite3_bind_int64(st, 2, hash);
    sqlite3_bind_int64(st, 3, (int64_t)top);
    sqlite3_bind_int64(st, 4, (int64_t)max);
    if (kind != SQLITE_ENTRY_TX)
        sqlite3_bind_int64(st, 5, kind);
    return st;
}

bool sqlite_index_hash(struct sqlite_conn *conn, uint32_t part, bool is_event_id, int64_t last,
                       int64_t *hash)
{
    sqlite3_stmt *st = conn->st[is_event_id ? IDX_EVENT_HASH : IDX_TX_HASH];

    sqlite3_bind_int64(st, 1, part);
    sqlite3_bind_int64(st, 2, *hash);
    sqlite3_bind_int64(st, 3, last);
    if (!sqlite_row(conn, st))
        return false;
    *hash = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return true;
}

bool sqlite_index_filter(struct sqlite_conn *conn, uint32_t part, struct sqlite_filter *filter)
{
    sqlite3_stmt *st = conn->st[IDX_PART];

    sqlite3_bind_int64(st, 1, part);
    while (sqlite_row(conn, st))
        sqlite_filter_add(filter, (uint64_t)sqlite3_column_int64(st, 0));
    return conn->rc == SQLITE_OK;
}
