/* sqlite_erase.c: payloads and what clients answered, taken away for good. Runs on the writer's thread.
 *
 * An app is erased by forgetting its keys: nothing that they sealed, in whatever segment, log or copy,
 * can be read again. A transaction is erased in place: bodies and logs are overwritten (SQLite's
 * secure_delete), their rows name no key any more, and the write-ahead logs that still hold them are
 * emptied before anybody is told. Ids, names and times stay. Either way nothing is kept of what is
 * attempted afterwards for what was accepted before.
 *
 * Both are entered in main.db, which is committed last: so that a copy that is put back can be told.
 *
 * Failure: with any file's failure the operation fails, and part of it may be done; it may be
 * repeated. GW_ERR_BUSY also says that a reader still holds a log: it is done, but for that. A
 * segment that is damaged cannot be erased from: GW_ERR_CORRUPT, after all others. */
#include "store/sqlite_index.h"
#include "store/sqlite_internal.h"

#include <stdlib.h>

static void erasure_add(struct sqlite_conn *main, const struct gw_erase *op)
{
    sqlite3_stmt *st = main->st[MAIN_ERASURE_ADD];

    sqlite3_bind_int64(st, 1, op->now_ms);
    sqlite_bind_text(st, 2, op->app_id);
    sqlite_bind_text(st, 3, op->transaction_id);
    sqlite_run(main, st);
}

/* Pages that are given back are overwritten too, not only what stays in use. */
static void set_secure(struct sqlite_conn *conn, bool is_on)
{
    const char *sql = is_on ? "PRAGMA secure_delete=ON" : "PRAGMA secure_delete=FAST";
    int rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);

    if (conn->rc == SQLITE_OK)
        conn->rc = rc;
}

/* ── A transaction ─────────────────────────────────────────────────────────────────────────── */

/* A hash leads to it: is it the app's, and of this transaction? */
static bool is_of(struct sqlite_segment *segment, const struct gw_erase *op, uint64_t seq)
{
    struct sqlite_conn *conn = &segment->file.conn;
    sqlite3_stmt *st = conn->st[SEG_EVENT_TX];
    int64_t app = sqlite_name_find(segment, SQLITE_NAME_APP, op->app_id);

    sqlite3_bind_int64(st, 1, (int64_t)seq);
    if (!sqlite_row(conn, st))
        return false;
    bool is =
        sqlite3_column_int64(st, 0) == app && gw_slice_eq(sqlite_text(st, 1), op->transaction_id);
    sqlite3_reset(st);
    return is;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* All of them, in order; one that is being merged into the index comes twice. */
static enum gw_err events_of(struct sqlite_writer *w, struct sqlite_segment *segment,
                             const struct gw_erase *op, struct gw_buf *seqs)
{
    struct sqlite_seek seek;
    uint64_t seq;

    sqlite_seek_begin(&seek, segment->index, SQLITE_ENTRY_TX,
                      sqlite_key_hash(&w->sqlite->keys, op->app_id, op->transaction_id));
    while (sqlite_seek_next(&seek, &seq))
        if (is_of(segment, op, seq))
            gw_buf_add(seqs, &seq, sizeof(seq));
    sqlite_seek_end(&seek);
    if (seqs->len > 0)
        qsort(seqs->ptr, seqs->len / sizeof(seq), sizeof(seq), compare);
    enum gw_err err = sqlite_segment_check(w, segment);
    return err == GW_OK ? seek.err : err;
}

static void event_erase(struct sqlite_conn *conn, uint64_t seq)
{
    static const enum sqlite_segment_sql rows[] = {SEG_OPEN_ERASE, SEG_DONE_ERASE};

    sqlite3_bind_int64(conn->st[SEG_EVENT_ERASE], 1, (int64_t)seq);
    sqlite_run(conn, conn->st[SEG_EVENT_ERASE]);
    for (size_t i = 0; i < gw_count(rows); i++) {
        sqlite3_bind_int64(conn->st[rows[i]], 1, sqlite_row_id(seq, 0));
        sqlite3_bind_int64(conn->st[rows[i]], 2, sqlite_row_id(seq, SQLITE_N_EVENT));
        sqlite_run(conn, conn->st[rows[i]]);
    }
}

static enum gw_err erase_in(struct sqlite_writer *w, struct sqlite_segment *segment,
                            struct gw_erase *op)
{
    struct gw_buf seqs = {0};
    enum gw_err err;
    struct sqlite_conn *conn = sqlite_segment_read(w, segment, &err);
    uint64_t seq, before = 0;

    if (conn == NULL)
        return err;
    err = events_of(w, segment, op, &seqs);
    if (err == GW_OK && seqs.len > 0)
        conn = sqlite_segment_write(w, segment, &err);
    if (err == GW_OK && seqs.len > 0) {
        segment->file.wal_holds_erased = true;
        set_secure(conn, true);
        for (size_t at = 0; at < seqs.len; at += sizeof(seq), before = seq) {
            memcpy(&seq, seqs.ptr + at, sizeof(seq));
            if (seq == before)
                continue;
            event_erase(conn, seq);
            op->events++;
        }
        set_secure(conn, false);
        err = sqlite_segment_check(w, segment);
    }
    gw_buf_deinit(&seqs);
    return err;
}

static enum gw_err erase_transaction(struct sqlite_writer *w, struct gw_erase *op)
{
    struct sqlite_segment *s = sqlite_segment_below(w->sqlite, UINT32_MAX);
    enum gw_err err = GW_OK;

    for (; s && (err == GW_OK || err == GW_ERR_CORRUPT);
         s = sqlite_segment_below(w->sqlite, s->number - 1)) {
        enum gw_err one = erase_in(w, s, op);
        if (one != GW_OK)
            err = one;
    }
    return err;
}

/* ── Either ────────────────────────────────────────────────────────────────────────────────── */

enum gw_err sqlite_erase(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_erase *op = gw_container_of(base, struct gw_erase, op);
    struct sqlite_file *main = &w->sqlite->main;
    enum gw_err err = GW_OK;

    if (op->app_id.len == 0)
        return GW_ERR_INVALID;
    if (op->transaction_id.len > 0) {
        err = erase_transaction(w, op);
    } else {
        main->wal_holds_erased = true;
        set_secure(&main->conn, true);
        sqlite_keyring_erase(&main->conn, op->app_id);
        set_secure(&main->conn, false);
        /* What follows in this group seals nothing with them; readers learn it after the commit. */
        sqlite_keyring_forget(&w->keyring);
    }
    erasure_add(&main->conn, op);
    w->file = main;
    w->is_of_all = true;
    return err;
}

/* Empties what still holds what was erased. A log whose file was closed meanwhile is opened by a
 * repetition. */
static enum gw_err empty_logs(struct gw_sqlite *sqlite)
{
    struct sqlite_segment *s = sqlite_segment_below(sqlite, UINT32_MAX);
    bool is_empty = !sqlite->main.wal_holds_erased || sqlite_wal_empty(sqlite, &sqlite->main);

    for (; s; s = sqlite_segment_below(sqlite, s->number - 1))
        if (s->file.wal_holds_erased && sqlite_segment_err(s) == GW_OK)
            is_empty &= s->file.conn.db && sqlite_wal_empty(sqlite, &s->file);
    return is_empty ? GW_OK : GW_ERR_BUSY;
}

void sqlite_erase_finish(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_erase *op = gw_container_of(base, struct gw_erase, op);

    atomic_fetch_add(&w->sqlite->key_epoch, 1);
    for (size_t i = 0; i < SQLITE_READERS; i++) /* one that idles would keep a key in memory */
        sqlite_reader_sweep(&w->sqlite->readers[i]);
    if (base->err == GW_OK || base->err == GW_ERR_CORRUPT) {
        enum gw_err err = empty_logs(w->sqlite);
        if (base->err == GW_OK)
            base->err = err;
    }
    if (base->err != GW_OK)
        op->events = 0;
}
