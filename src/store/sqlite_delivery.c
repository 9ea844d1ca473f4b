/* sqlite_delivery.c: a delivery as a row: in `open` while it is pending, in `done` once it has ended,
 * never in both. Owns what their columns mean, nothing else.
 *
 * Threads: writing is the writer's, inside its transaction; reading belongs to the connection's.
 * Failure: what SQLite says is left in conn->rc; what was read is then not looked at. */
#include "store/sqlite_internal.h"

/* ── What a row says ───────────────────────────────────────────────────────────────────────── */

struct gw_delivery sqlite_open_delivery(sqlite3_stmt *st, const struct sqlite_keys *keys,
                                        uint32_t segment)
{
    uint64_t row_id = (uint64_t)sqlite3_column_int64(st, 0);
    struct sqlite_ref ref = {segment, row_id >> 16, (uint16_t)(row_id & 0xffff)};
    struct sqlite_ref event = {segment, row_id >> 16, SQLITE_N_EVENT};

    return (struct gw_delivery){
        .id = sqlite_id(keys, ref),
        .message_id = sqlite_id(keys, event),
        .lane = (uint64_t)sqlite3_column_int64(st, 1),
        .order = row_id,
        .state = GW_DELIVERY_PENDING,
        .due_ms = sqlite3_column_int64(st, 2),
        .attempts = (uint32_t)sqlite3_column_int64(st, 3),
        .step = (uint32_t)sqlite3_column_int64(st, 4),
        .resume_ms = sqlite3_column_int64(st, 5),
        .created_ms = sqlite3_column_int64(st, 6),
    };
}

struct gw_delivery sqlite_done_delivery(sqlite3_stmt *st, const struct sqlite_keys *keys,
                                        uint32_t segment)
{
    uint64_t row_id = (uint64_t)sqlite3_column_int64(st, 0);
    struct sqlite_ref ref = {segment, row_id >> 16, (uint16_t)(row_id & 0xffff)};
    struct sqlite_ref event = {segment, row_id >> 16, SQLITE_N_EVENT};

    return (struct gw_delivery){
        .id = sqlite_id(keys, ref),
        .message_id = sqlite_id(keys, event),
        .lane = (uint64_t)sqlite3_column_int64(st, 1),
        .order = row_id,
        .state = (enum gw_delivery_state)sqlite3_column_int(st, 2),
        .reason = (enum gw_end_reason)sqlite3_column_int(st, 3),
        .attempts = (uint32_t)sqlite3_column_int64(st, 4),
        .step = (uint32_t)sqlite3_column_int64(st, 5),
        .created_ms = sqlite3_column_int64(st, 6),
        .ended_ms = sqlite3_column_int64(st, 7),
    };
}

/* ── The writer ────────────────────────────────────────────────────────────────────────────── */

void sqlite_open_add(struct sqlite_conn *conn, const struct gw_delivery *d, struct sqlite_tags tags,
                     struct gw_slice log)
{
    sqlite3_stmt *st = conn->st[SEG_OPEN_ADD];

    sqlite3_bind_int64(st, 1, (int64_t)d->order);
    sqlite3_bind_int64(st, 2, (int64_t)d->lane);
    sqlite3_bind_int64(st, 3, d->due_ms);
    sqlite3_bind_int64(st, 4, d->attempts);
    sqlite3_bind_int64(st, 5, d->step);
    sqlite3_bind_int64(st, 6, d->resume_ms);
    sqlite3_bind_int64(st, 7, d->created_ms);
    sqlite3_bind_int64(st, 8, tags.tally);
    sqlite3_bind_int64(st, 9, tags.key);
    sqlite_bind_blob(st, 10, log);
    sqlite_run(conn, st);
}

void sqlite_open_set(struct sqlite_conn *conn, const struct gw_delivery *d, struct sqlite_tags tags,
                     struct gw_slice log)
{
    sqlite3_stmt *st = conn->st[SEG_OPEN_SET];

    sqlite3_bind_int64(st, 1, (int64_t)d->order);
    sqlite3_bind_int64(st, 2, d->due_ms);
    sqlite3_bind_int64(st, 3, d->attempts);
    sqlite3_bind_int64(st, 4, d->step);
    sqlite3_bind_int64(st, 5, d->resume_ms);
    sqlite3_bind_int64(st, 6, tags.tally);
    sqlite_bind_blob(st, 7, log);
    sqlite_run(conn, st);
}

void sqlite_done_add(struct sqlite_conn *conn, const struct gw_delivery *d, struct sqlite_tags tags,
                     struct gw_slice log)
{
    sqlite3_stmt *st = conn->st[SEG_DONE_ADD];

    sqlite3_bind_int64(st, 1, (int64_t)d->order);
    sqlite3_bind_int64(st, 2, (int64_t)d->lane);
    sqlite3_bind_int64(st, 3, d->state);
    sqlite3_bind_int64(st, 4, d->reason);
    sqlite3_bind_int64(st, 5, d->attempts);
    sqlite3_bind_int64(st, 6, d->step);
    sqlite3_bind_int64(st, 7, d->created_ms);
    sqlite3_bind_int64(st, 8, d->ended_ms);
    sqlite3_bind_int64(st, 9, tags.tally);
    sqlite3_bind_int64(st, 10, tags.key);
    sqlite_bind_blob(st, 11, log);
    sqlite_run(conn, st);
}

static void row_delete(struct sqlite_conn *conn, enum sqlite_segment_sql sql, uint64_t row_id)
{
    sqlite3_bind_int64(conn->st[sql], 1, (int64_t)row_id);
    sqlite_run(conn, conn->st[sql]);
}

void sqlite_open_delete(struct sqlite_conn *conn, uint64_t row_id)
{
    row_delete(conn, SEG_OPEN_DELETE, row_id);
}

void sqlite_done_delete(struct sqlite_conn *conn, uint64_t row_id)
{
    row_delete(conn, SEG_DONE_DELETE, row_id);
}

/* The last three columns: into w->tags and, as it is, w->log. */
static void rest_get(struct sqlite_writer *w, sqlite3_stmt *st)
{
    int last = sqlite3_column_count(st) - 1;

    gw_buf_clear(&w->log);
    gw_buf_adds(&w->log, sqlite_blob(st, last));
    w->tags.key = (uint32_t)sqlite3_column_int64(st, last - 1);
    w->tags.tally = sqlite3_column_int64(st, last - 2);
}

bool sqlite_open_get(struct sqlite_writer *w, struct sqlite_segment *segment, int64_t row_id,
                     struct gw_delivery *d)
{
    struct sqlite_conn *conn = &segment->file.conn;
    sqlite3_stmt *st = conn->st[SEG_OPEN_GET];

    sqlite3_bind_int64(st, 1, row_id);
    if (!sqlite_row(conn, st))
        return false;
    *d = sqlite_open_delivery(st, &w->sqlite->keys, segment->number);
    rest_get(w, st);
    sqlite3_reset(st);
    return true;
}

bool sqlite_done_get(struct sqlite_writer *w, struct sqlite_segment *segment, int64_t row_id,
                     struct gw_delivery *d)
{
    struct sqlite_conn *conn = &segment->file.conn;
    sqlite3_stmt *st = conn->st[SEG_DONE_GET];

    sqlite3_bind_int64(st, 1, row_id);
    if (!sqlite_row(conn, st))
        return false;
    *d = sqlite_done_delivery(st, &w->sqlite->keys, segment->number);
    rest_get(w, st);
    sqlite3_reset(st);
    return true;
}

/* ── Deliveries of an event ────────────────────────────────────────────────────────────────── */

static bool step_range(struct sqlite_conn *conn, sqlite3_stmt *st, struct sqlite_ref first)
{
    sqlite3_bind_int64(st, 1, sqlite_row_id(first.seq, first.n));
    sqlite3_bind_int64(st, 2, sqlite_row_id(first.seq, SQLITE_N_EVENT));
    return sqlite_row(conn, st);
}

/* The last two columns are the key's number and the sealed log. One whose key was erased is empty; one
 * that cannot be opened is the file's damage. */
static struct gw_slice log_open(struct sqlite_conn *conn, const struct sqlite_logs *logs,
                                sqlite3_stmt *st, uint32_t segment)
{
    int last = sqlite3_column_count(st) - 1;
    struct gw_slice sealed = sqlite_blob(st, last);
    struct sqlite_field field = {
        .kind = SQLITE_FIELD_LOG,
        .segment = segment,
        .row = (uint64_t)sqlite3_column_int64(st, 0),
        .key = (uint32_t)sqlite3_column_int64(st, last - 1),
    };

    if (sealed.len == 0)
        return (struct gw_slice){"", 0};
    enum gw_err err = sqlite_field_open(logs->ring, field, sealed, &logs->ring->room);
    if (err == GW_OK)
        return gw_arena_dup(logs->arena, gw_buf_slice(&logs->ring->room));
    if (err != GW_ERR_GONE && conn->rc == SQLITE_OK)
        conn->rc = logs->ring->main->rc != SQLITE_OK ? logs->ring->main->rc : SQLITE_CORRUPT;
    return (struct gw_slice){"", 0};
}

size_t sqlite_deliveries(struct sqlite_conn *conn, const struct sqlite_keys *keys,
                         struct sqlite_ref first, int state, const struct sqlite_logs *logs,
                         struct sqlite_delivery *out, size_t max)
{
    sqlite3_stmt *open = conn->st[SEG_OPEN_OF], *done = conn->st[SEG_DONE_OF];
    bool in_open = step_range(conn, open, first), in_done = step_range(conn, done, first);
    size_t count = 0;

    while ((in_open || in_done) && count < max) {
        struct sqlite_delivery *d = &out[count];
        bool is_open =
            in_open && (!in_done || sqlite3_column_int64(open, 0) < sqlite3_column_int64(done, 0));
        sqlite3_stmt *st = is_open ? open : done;
        d->delivery = is_open ? sqlite_open_delivery(st, keys, first.segment)
                              : sqlite_done_delivery(st, keys, first.segment);
        d->log = (struct gw_slice){0};
        if (state < 0 || d->delivery.state == (enum gw_delivery_state)state) {
            if (logs)
                d->log = log_open(conn, logs, st, first.segment);
            count++;
        }
        if (is_open)
            in_open = sqlite_row(conn, open);
        else
            in_done = sqlite_row(conn, done);
    }
    sqlite3_reset(open);
    sqlite3_reset(done);
    return count;
}
