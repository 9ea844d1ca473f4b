/* sqlite_wait.c: what is open, asked by the shards: lanes at the start, then one lane at a time.
 *
 * Runs on the writer's thread in its turn among the writes: see sqlite_writer.c for why. A refill
 * costs as much as its rows, for the index (lane, due, id) leads straight to them. */
#include "store/sqlite_internal.h"

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

/* ── Lanes ─────────────────────────────────────────────────────────────────────────────────── */

static bool next_lane(struct sqlite_conn *conn, int64_t *lane)
{
    sqlite3_stmt *st = conn->st[SEG_LANE_AFTER];

    sqlite3_bind_int64(st, 1, *lane);
    if (!sqlite_row(conn, st))
        return false;
    bool is_there = sqlite3_column_type(st, 0) != SQLITE_NULL;
    *lane = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return is_there;
}

/* Any delivery of a lane tells its app, without a look into another file. */
static struct gw_slice lane_app(struct sqlite_conn *conn, int64_t lane, struct gw_arena *arena)
{
    sqlite3_stmt *any = conn->st[SEG_LANE_ANY], *event = conn->st[SEG_EVENT_APP];
    struct gw_slice app = {0};

    sqlite3_bind_int64(any, 1, lane);
    if (!sqlite_row(conn, any))
        return app;
    sqlite3_bind_int64(event, 1, sqlite3_column_int64(any, 0) >> 16);
    sqlite3_reset(any);
    if (!sqlite_row(conn, event))
        return app;
    app = gw_arena_dup(arena, sqlite_text(event, 0));
    sqlite3_reset(event);
    return app;
}

enum gw_err sqlite_open_lanes(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_open_lanes *op = gw_container_of(base, struct gw_open_lanes, op);
    struct sqlite_conn *conn = &w->sqlite->segment.file.conn;
    struct gw_buf lanes = {0};
    int64_t lane = INT64_MIN;

    while (conn->rc == SQLITE_OK && next_lane(conn, &lane)) {
        struct gw_open_lane found = {(uint64_t)lane, lane_app(conn, lane, op->arena)};
        gw_buf_add(&lanes, &found, sizeof(found));
    }
    op->count = lanes.len / sizeof(*op->lanes);
    op->lanes = gw_arena_alloc(op->arena, lanes.len + 1);
    if (lanes.len > 0)
        memcpy(op->lanes, lanes.ptr, lanes.len);
    gw_buf_deinit(&lanes);
    return GW_OK;
}

void sqlite_open_lanes_finish(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_open_lanes *op = gw_container_of(base, struct gw_open_lanes, op);

    (void)w;
    if (base->err != GW_OK)
        op->count = 0;
}

/* ── Refill ────────────────────────────────────────────────────────────────────────────────── */

/* False: there was one more than there is room for. */
static bool take_rows(struct sqlite_writer *w, sqlite3_stmt *st, struct gw_refill *op)
{
    struct sqlite_segment *segment = &w->sqlite->segment;

    while (sqlite_row(&segment->file.conn, st)) {
        if (op->count == op->max) {
            sqlite3_reset(st);
            return false;
        }
        op->deliveries[op->count++] = sqlite_open_delivery(st, &w->sqlite->keys, segment->number);
    }
    return true;
}

enum gw_err sqlite_refill(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_refill *op = gw_container_of(base, struct gw_refill, op);
    struct sqlite_conn *conn = &w->sqlite->segment.file.conn;
    sqlite3_stmt *same = conn->st[SEG_LANE_SAME_DUE], *later = conn->st[SEG_LANE_LATER];
    uint64_t order = op->after_order < INT64_MAX ? op->after_order : INT64_MAX;

    op->complete = true;
    if (op->after_due_ms != INT64_MIN) {
        sqlite3_bind_int64(same, 1, (int64_t)op->lane);
        sqlite3_bind_int64(same, 2, op->after_due_ms);
        sqlite3_bind_int64(same, 3, (int64_t)order);
        sqlite3_bind_int64(same, 4, (int64_t)op->max + 1);
        op->complete = take_rows(w, same, op);
    }
    if (op->complete) {
        sqlite3_bind_int64(later, 1, (int64_t)op->lane);
        sqlite3_bind_int64(later, 2, op->after_due_ms);
        sqlite3_bind_int64(later, 3, (int64_t)(op->max - op->count) + 1);
        op->complete = take_rows(w, later, op);
    }
    return GW_OK;
}

void sqlite_refill_finish(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_refill *op = gw_container_of(base, struct gw_refill, op);

    (void)w;
    if (base->err != GW_OK) {
        op->count = 0;
        op->complete = false;
    }
}
