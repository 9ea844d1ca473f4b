/* sqlite_list.c: pages of deliveries. Runs on a reader, each segment inside one read transaction.
 *
 * Segments are walked from the newest down, those whose span lies outside the times that are asked
 * for, or that were set aside, passed over. In each, events are visited newest first, from one of four sources: those of a key; those that have an open
 * delivery; those with one in another final state than delivered; or simply all. Each is then read
 * and compared with every filter, so a source only has to leave nothing out. A page ends when it is
 * full or when SCAN_MAX rows have been looked at; its cursor is the last row shown, or the event
 * that was passed over last. Rows that appear meanwhile do not move it. */
#include "store/sqlite_internal.h"

#define SCAN_MAX   20000
#define VISIT_COST 10  /* rows walked over in the time that reading one event takes */
#define ENTER_COST 250 /* in the time that opening a segment takes */

struct walk {
    struct sqlite_reader *r;
    const struct gw_list_op *op;
    bool is_keyed;
    struct sqlite_keyed keyed;
    enum gw_err err; /* it cannot be told now where the key leads */
    size_t at;
    sqlite3_stmt *st;  /* of the other sources; columns: see step_rows */
    bool has_columns;  /* seq, accepted, app, type; else the row id of a delivery */
    int64_t app, type; /* filters as interned numbers; 0 = any */
    uint64_t last;     /* event that was visited or passed over; 0 = none yet */
    size_t scanned;
    bool is_cut; /* there may be more below `last` */
};

/* ── Sources ───────────────────────────────────────────────────────────────────────────────── */

static bool in_time(const struct gw_list_op *op, int64_t accepted_ms)
{
    return (op->from_ms == 0 || accepted_ms >= op->from_ms) &&
           (op->to_ms == 0 || accepted_ms < op->to_ms);
}

static bool wants_columns(const struct walk *walk)
{
    if (!walk->has_columns)
        return true;
    return in_time(walk->op, sqlite3_column_int64(walk->st, 1)) &&
           (walk->app == 0 || walk->app == sqlite3_column_int64(walk->st, 2)) &&
           (walk->type == 0 || walk->type == sqlite3_column_int64(walk->st, 3));
}

static bool step_rows(struct walk *walk)
{
    while (sqlite_row(walk->r->segment, walk->st)) {
        uint64_t seq = (uint64_t)sqlite3_column_int64(walk->st, 0);
        if (!walk->has_columns)
            seq >>= 16;
        if (seq != walk->last && walk->scanned >= SCAN_MAX) {
            walk->is_cut = true;
            return false;
        }
        walk->scanned++;
        if (seq == walk->last)
            continue;
        walk->last = seq;
        if (wants_columns(walk))
            return true;
    }
    walk->st = NULL; /* it is reset */
    return false;
}

static bool step_keyed(struct walk *walk)
{
    while (walk->at < walk->keyed.count && walk->scanned < SCAN_MAX) {
        uint64_t seq = sqlite_keyed_at(&walk->keyed, walk->at++);
        walk->scanned++;
        if (seq == walk->last)
            continue;
        walk->last = seq;
        return true;
    }
    walk->is_cut = walk->at < walk->keyed.count || walk->keyed.known_from > 0;
    return false;
}

/* The next event that may be meant, in walk->last. */
static bool step(struct walk *walk)
{
    if (walk->is_keyed)
        return step_keyed(walk);
    return walk->st && step_rows(walk);
}

/* False: nothing in the segment has this name. */
static bool find_name(struct walk *walk, int kind, struct gw_slice text, int64_t *id)
{
    struct sqlite_conn *conn = walk->r->segment;
    sqlite3_stmt *st = conn->st[SEG_NAME_ID];

    *id = 0;
    if (text.len == 0)
        return true;
    sqlite3_bind_int(st, 1, kind);
    sqlite_bind_text(st, 2, text);
    if (!sqlite_row(conn, st))
        return false;
    *id = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return true;
}

/* From the event `top` on downwards. False: there is nothing to visit. */
static bool begin(struct walk *walk, uint64_t top)
{
    const struct gw_list_op *op = walk->op;
    sqlite3_stmt **st = walk->r->segment->st;

    if (op->event_id.len > 0 || op->transaction_id.len > 0) {
        bool is_event_id = op->event_id.len > 0;
        struct sqlite_key key = {op->app_id, is_event_id ? op->event_id : op->transaction_id,
                                 is_event_id};
        walk->is_keyed = true;
        walk->err = sqlite_keyed(walk->r, key, op->op.found, top, &walk->keyed);
        return walk->err == GW_OK;
    }
    if (!find_name(walk, SQLITE_NAME_APP, op->app_id, &walk->app) ||
        !find_name(walk, SQLITE_NAME_TYPE, op->event_type, &walk->type))
        return false;
    switch (op->state) {
    case GW_DELIVERY_PENDING:
        walk->st = st[SEG_OPEN_DOWN];
        sqlite3_bind_int64(walk->st, 1, sqlite_row_id(top, SQLITE_N_EVENT));
        return true;
    case GW_DELIVERY_DEAD:
    case GW_DELIVERY_CANCELLED:
        walk->st = st[SEG_DONE_DOWN];
        sqlite3_bind_int(walk->st, 1, op->state);
        sqlite3_bind_int64(walk->st, 2, sqlite_row_id(top, SQLITE_N_EVENT));
        return true;
    default:
        walk->st = st[SEG_EVENTS_DOWN];
        walk->has_columns = true;
        sqlite3_bind_int64(walk->st, 1, (int64_t)top);
        return true;
    }
}

static void finish(struct walk *walk)
{
    sqlite3_reset(walk->st);
    gw_buf_deinit(&walk->keyed.seqs);
}

/* ── Filters ───────────────────────────────────────────────────────────────────────────────── */

static bool wants(struct gw_slice filter, struct gw_slice value)
{
    return filter.len == 0 || (value.ptr && gw_slice_eq(filter, value));
}

static bool wants_event(const struct gw_list_op *op, const struct gw_message *m)
{
    return wants(op->app_id, m->app_id) && wants(op->event_type, m->event_type) &&
           wants(op->event_id, m->event_id) && wants(op->transaction_id, m->transaction_id) &&
           in_time(op, m->accepted_ms);
}

/* ── Pages ─────────────────────────────────────────────────────────────────────────────────── */

/* Shows what is wanted of the event, from ref.n on. False: the page is full, and there is more.
 * Nothing goes into the arena but what is shown. */
static bool show_rows(struct walk *walk, struct gw_list_op *op, size_t max, struct sqlite_ref ref,
                      const struct gw_message *columns)
{
    struct sqlite_reader *r = walk->r;
    const struct sqlite_logs logs = {&r->keyring, op->arena};
    struct sqlite_delivery found[16];
    struct gw_message *m = NULL;
    size_t count;

    do {
        count = sqlite_deliveries(r->segment, &r->sqlite->keys, ref, op->state, &logs, found,
                                  gw_count(found));
        if (count > 0 && m == NULL)
            m = gw_message_in(op->arena, columns);
        for (size_t i = 0; i < count; i++) {
            if (op->count == max)
                return false;
            op->rows[op->count++] = (struct gw_row){found[i].delivery, m, found[i].log};
            ref.n = (uint16_t)((found[i].delivery.order & 0xffff) + 1);
        }
    } while (count == gw_count(found));
    return true;
}

static bool show_event(struct walk *walk, struct gw_list_op *op, size_t max, struct sqlite_ref ref)
{
    struct sqlite_reader *r = walk->r;
    struct gw_message columns;
    sqlite3_stmt *st = sqlite_event_get(r, ref, &columns);
    bool has_room = true;

    walk->scanned += VISIT_COST;
    if (st && wants_event(op, &columns))
        has_room = show_rows(walk, op, max, ref, &columns);
    sqlite3_reset(st);
    return has_room;
}

/* Of the last row on the page. */
static struct sqlite_ref last_shown(const struct sqlite_keys *keys, const struct gw_list_op *op)
{
    struct sqlite_ref ref;

    gw_check(sqlite_id_delivery(keys, &op->rows[op->count - 1].delivery.id, &ref));
    return ref;
}

/* False: the page has ended, with a cursor. */
static bool show(struct walk *walk, struct gw_list_op *op, size_t max, struct sqlite_ref from)
{
    const struct sqlite_keys *keys = &walk->r->sqlite->keys;

    while (step(walk)) {
        struct sqlite_ref ref = {from.segment, walk->last, 0};
        if (ref.seq == from.seq)
            ref.n = from.n;
        if (!show_event(walk, op, max, ref)) {
            op->next = sqlite_cursor(keys, last_shown(keys, op), op->arena);
            return false;
        }
    }
    if (walk->is_cut) {
        struct sqlite_ref passed = {from.segment, walk->last, SQLITE_N_EVENT};
        op->next = sqlite_cursor(keys, passed, op->arena);
    }
    return !walk->is_cut;
}

/* One segment's part. *goes_on: there is room for the next one's. */
static enum gw_err list_in(struct walk *walk, struct gw_list_op *op, size_t max,
                           struct sqlite_segment *segment, struct sqlite_ref from, bool *goes_on)
{
    struct sqlite_reader *r = walk->r;
    enum gw_err err = sqlite_reader_enter(r, segment);

    if (err != GW_OK)
        return err;
    *walk = (struct walk){.r = r, .op = op, .scanned = walk->scanned + ENTER_COST};
    if (begin(walk, from.seq))
        *goes_on = show(walk, op, max, from);
    finish(walk);
    return sqlite_reader_leave(r, walk->err);
}

/* Where it begins, from its cursor. False: it was not given out. */
static bool begin_of(struct gw_sqlite *sqlite, const struct gw_list_op *op, struct sqlite_ref *from)
{
    *from = (struct sqlite_ref){UINT32_MAX, SQLITE_SEQ_MAX, 0};
    if (op->cursor.len == 0)
        return true;
    if (!sqlite_cursor_read(&sqlite->keys, op->cursor, from) ||
        from->segment > atomic_load(&sqlite->segments.top))
        return false;
    if (from->n == SQLITE_N_EVENT) /* passed over: the next is the one below */
        *from = (struct sqlite_ref){from->segment, from->seq - 1, 0};
    else
        from->n++;
    return true;
}

enum gw_err sqlite_list(struct sqlite_reader *r, struct gw_op *base)
{
    struct gw_list_op *op = gw_container_of(base, struct gw_list_op, op);
    size_t max = op->max < GW_LIST_MAX ? op->max : GW_LIST_MAX;
    struct walk walk = {.r = r};
    struct sqlite_segment *s;
    struct sqlite_ref from;
    bool goes_on = max > 0;

    if (!begin_of(r->sqlite, op, &from))
        return GW_ERR_INVALID;
    op->rows = gw_arena_alloc(op->arena, (max + 1) * sizeof(*op->rows));
    s = sqlite_segment_below(r->sqlite, from.segment);
    for (; s && goes_on; s = sqlite_segment_below(r->sqlite, s->number - 1)) {
        if (s->number != from.segment)
            from = (struct sqlite_ref){s->number, SQLITE_SEQ_MAX, 0};
        if (sqlite_segment_err(s) != GW_OK || !sqlite_segment_spans(s, op->from_ms, op->to_ms))
            continue;
        if (walk.scanned + ENTER_COST >= SCAN_MAX) {
            op->next = sqlite_cursor(&r->sqlite->keys, from, op->arena);
            break;
        }
        enum gw_err err = list_in(&walk, op, max, s, from, &goes_on);
        if (err != GW_OK && sqlite_segment_err(s) == GW_OK)
            return err;
    }
    return GW_OK;
}
