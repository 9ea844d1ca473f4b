/* sqlite_wait.c: what is open, asked by the shards: lanes at the start, then one lane at a time.
 *
 * Runs on the writer's thread in its turn among the writes: see sqlite_writer.c for why. A refill
 * costs as much as its rows and the segments in which something is open: in each the index (lane,
 * due, id) leads straight to them, and they are merged.
 *
 * A segment that is damaged is set aside, and what is shown comes from the others; one past its
 * retention shows nothing any more. */
#include "store/sqlite_internal.h"

#include <stdlib.h>

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

/* The next one from `number` downwards in which something is open. */
static struct sqlite_segment *next_open(struct gw_sqlite *sqlite, uint32_t number)
{
    struct sqlite_segment *s = sqlite_segment_below(sqlite, number);

    while (s && (atomic_load(&s->state) != SQLITE_SEGMENT_IN_USE ||
                 (atomic_load(&s->open) == 0 && !(s->is_touched && s->open_change > 0))))
        s = sqlite_segment_below(sqlite, s->number - 1);
    return s;
}

static void lanes_of(struct sqlite_conn *conn, struct gw_arena *arena, struct gw_buf *lanes)
{
    int64_t lane = INT64_MIN;

    while (conn->rc == SQLITE_OK && next_lane(conn, &lane)) {
        struct gw_open_lane found = {(uint64_t)lane, lane_app(conn, lane, arena)};
        gw_buf_add(lanes, &found, sizeof(found));
    }
}

static int compare_lanes(const void *a, const void *b)
{
    const struct gw_open_lane *x = a, *y = b;

    return (x->lane > y->lane) - (x->lane < y->lane);
}

/* Each once. */
static size_t sort_lanes(struct gw_open_lane *lanes, size_t count)
{
    size_t kept = 0;

    if (count > 0)
        qsort(lanes, count, sizeof(*lanes), compare_lanes);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || lanes[kept - 1].lane != lanes[i].lane)
            lanes[kept++] = lanes[i];
    return kept;
}

enum gw_err sqlite_open_lanes(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_open_lanes *op = gw_container_of(base, struct gw_open_lanes, op);
    struct sqlite_segment *s = next_open(w->sqlite, UINT32_MAX);
    enum gw_err err = GW_OK;
    struct gw_buf lanes = {0};

    w->is_of_all = true;
    for (; s; s = next_open(w->sqlite, s->number - 1)) {
        size_t before = lanes.len;
        if (sqlite_segment_read(w, s, &err)) {
            lanes_of(&s->file.conn, op->arena, &lanes);
            err = sqlite_segment_check(w, s);
        }
        if (err == GW_ERR_CORRUPT)
            lanes.len = before;
        else if (err != GW_OK)
            break;
        err = GW_OK;
    }
    op->lanes = gw_arena_alloc(op->arena, lanes.len + 1);
    if (lanes.len > 0)
        memcpy(op->lanes, lanes.ptr, lanes.len);
    op->count = sort_lanes(op->lanes, lanes.len / sizeof(*op->lanes));
    gw_buf_deinit(&lanes);
    return err;
}

void sqlite_open_lanes_finish(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_open_lanes *op = gw_container_of(base, struct gw_open_lanes, op);

    (void)w;
    if (base->err != GW_OK)
        op->count = 0;
}

/* ── Refill ────────────────────────────────────────────────────────────────────────────────── */

/* What a segment has of the lane: its rows with the mark's due time, then the later ones. */
struct source {
    struct sqlite_segment *segment;
    sqlite3_stmt *st;
    bool is_later;
};

/* To its next row. False: there is none, or conn->rc. */
static bool advance(struct source *source, const struct gw_refill *op)
{
    struct sqlite_conn *conn = &source->segment->file.conn;
    sqlite3_stmt *later = conn->st[SEG_LANE_LATER];

    if (sqlite_row(conn, source->st))
        return true;
    if (source->is_later || conn->rc != SQLITE_OK)
        return false;
    source->is_later = true;
    source->st = later;
    sqlite3_bind_int64(later, 1, (int64_t)op->lane);
    sqlite3_bind_int64(later, 2, op->after_due_ms);
    sqlite3_bind_int64(later, 3, (int64_t)op->max + 1);
    return sqlite_row(conn, later);
}

/* To its first row. */
static bool start(struct source *source, struct sqlite_segment *segment, const struct gw_refill *op)
{
    sqlite3_stmt **st = segment->file.conn.st, *same = st[SEG_LANE_SAME_DUE];
    uint64_t order = op->after_order < INT64_MAX ? op->after_order : INT64_MAX;

    *source = (struct source){segment, same, false};
    sqlite3_bind_int64(same, 1, (int64_t)op->lane);
    sqlite3_bind_int64(same, 2, op->after_due_ms);
    sqlite3_bind_int64(same, 3, (int64_t)order);
    sqlite3_bind_int64(same, 4, (int64_t)op->max + 1);
    return advance(source, op);
}

static bool is_before(const struct source *a, const struct source *b)
{
    int64_t due_a = sqlite3_column_int64(a->st, 2), due_b = sqlite3_column_int64(b->st, 2);

    if (due_a != due_b)
        return due_a < due_b;
    return sqlite3_column_int64(a->st, 0) < sqlite3_column_int64(b->st, 0);
}

/* Those that have a row, each at its first. GW_ERR_CORRUPT: one was set aside; to be begun anew. */
static enum gw_err start_all(struct sqlite_writer *w, const struct gw_refill *op)
{
    struct sqlite_segment *s = next_open(w->sqlite, UINT32_MAX);
    struct source source;
    enum gw_err err = GW_OK;

    gw_buf_clear(&w->sources);
    for (; s && err == GW_OK; s = next_open(w->sqlite, s->number - 1)) {
        if (sqlite_segment_read(w, s, &err) == NULL)
            break;
        if (start(&source, s, op))
            gw_buf_add(&w->sources, &source, sizeof(source));
        else
            err = sqlite_segment_check(w, s);
    }
    return err;
}

static enum gw_err merge(struct sqlite_writer *w, struct gw_refill *op)
{
    struct source *sources = (struct source *)(void *)w->sources.ptr;
    size_t count = w->sources.len / sizeof(*sources);
    enum gw_err err = GW_OK;

    while (count > 0 && op->count < op->max && err == GW_OK) {
        size_t first = 0;
        for (size_t i = 1; i < count; i++)
            if (is_before(&sources[i], &sources[first]))
                first = i;
        struct source *source = &sources[first];
        op->deliveries[op->count++] =
            sqlite_open_delivery(source->st, &w->sqlite->keys, source->segment->number);
        if (!advance(source, op)) {
            err = sqlite_segment_check(w, source->segment);
            sources[first] = sources[--count];
        }
    }
    op->complete = count == 0;
    for (size_t i = 0; i < count; i++)
        sqlite3_reset(sources[i].st);
    return err;
}

enum gw_err sqlite_refill(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_refill *op = gw_container_of(base, struct gw_refill, op);
    enum gw_err err;

    w->is_of_all = true;
    do { /* each time there is one less */
        op->count = 0;
        err = start_all(w, op);
        enum gw_err merged = merge(w, op);
        if (err == GW_OK)
            err = merged;
    } while (err == GW_ERR_CORRUPT);
    return err;
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
