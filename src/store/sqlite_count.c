/* sqlite_count.c: what the counters of some hours say, what is open of their events, and with `full`
 * what the rows say instead. Runs on a looker. Each segment is read in one transaction, and what is
 * of an event is in one segment, so the sums are of one moment, if not of the same in all of them.
 *
 * The recount goes by the rows alone: it walks events, open, done and extra in step, and asks no
 * tally. It reads the whole file, which is the point. */
#include "store/sqlite_internal.h"

/* ── Filters ───────────────────────────────────────────────────────────────────────────────── */

struct filter {
    int64_t from_ms, to_ms;
    int64_t app, type; /* 0 = any */
};

bool sqlite_name_wanted(struct sqlite_conn *conn, int kind, struct gw_slice text, int64_t *id)
{
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

static bool wants(const struct filter *filter, int64_t at_ms, int64_t app, int64_t type)
{
    return at_ms >= filter->from_ms && at_ms < filter->to_ms &&
           (filter->app == 0 || filter->app == app) && (filter->type == 0 || filter->type == type);
}

/* ── The counters ──────────────────────────────────────────────────────────────────────────── */

struct tally {
    uint64_t id;
    int64_t app;
};

/* The tallies that are meant, in the order of their numbers, and in a map by them. */
struct tallies {
    struct gw_buf buf; /* struct tally */
    struct gw_map by_id;
};

static struct tally *tally_at(const struct tallies *tallies, size_t i)
{
    return (struct tally *)(void *)tallies->buf.ptr + i;
}

static size_t tally_count(const struct tallies *tallies)
{
    return tallies->buf.len / sizeof(struct tally);
}

static void tallies_deinit(struct tallies *tallies)
{
    gw_buf_deinit(&tallies->buf);
    gw_map_deinit(&tallies->by_id);
}

static void read_tallies(struct sqlite_conn *conn, const struct filter *filter,
                         struct gw_tally *sum, struct tallies *tallies)
{
    sqlite3_stmt *st = conn->st[SEG_TALLIES];

    sqlite3_bind_int64(st, 1, filter->from_ms);
    sqlite3_bind_int64(st, 2, filter->to_ms);
    while (sqlite_row(conn, st)) {
        int64_t app = sqlite3_column_int64(st, 1);
        if (!wants(filter, filter->from_ms, app, sqlite3_column_int64(st, 2)))
            continue;
        for (int i = 0; i < GW_TALLY_COUNTS; i++)
            sum->of[i] += sqlite3_column_int64(st, 3 + i);
        struct tally tally = {(uint64_t)sqlite3_column_int64(st, 0), app};
        gw_buf_add(&tallies->buf, &tally, sizeof(tally));
    }
    for (size_t i = 0; i < tally_count(tallies); i++)
        gw_map_put(&tallies->by_id, gw_map_key(&tally_at(tallies, i)->id), tally_at(tallies, i));
}

static void read_latencies(struct sqlite_conn *conn, const struct tallies *tallies,
                           uint64_t counts[GW_LATENCY_BUCKETS])
{
    sqlite3_stmt *st = conn->st[SEG_HIST_OF];

    for (size_t i = 0; i < tally_count(tallies); i++) {
        sqlite3_bind_int64(st, 1, (int64_t)tally_at(tallies, i)->id);
        while (sqlite_row(conn, st)) {
            int64_t bucket = sqlite3_column_int64(st, 0);
            if (bucket >= 0 && bucket < GW_LATENCY_BUCKETS)
                counts[bucket] += (uint64_t)sqlite3_column_int64(st, 1);
        }
    }
}

/* ── What is open ──────────────────────────────────────────────────────────────────────────── */

static struct gw_open_count *lane_add(struct sqlite_conn *conn, uint64_t number, int64_t app,
                                      struct gw_arena *arena, struct gw_map *lanes)
{
    struct gw_open_count *lane = gw_arena_zalloc(arena, sizeof(*lane));
    sqlite3_stmt *name = conn->st[SEG_NAME];

    lane->lane = number;
    sqlite3_bind_int64(name, 1, app);
    if (sqlite_row(conn, name)) {
        lane->app_id = gw_arena_dup(arena, sqlite_text(name, 0));
        sqlite3_reset(name);
    }
    gw_map_put(lanes, gw_map_key(&lane->lane), lane);
    return lane;
}

/* By lane: one belongs to one app for ever. */
static void read_open(struct sqlite_conn *conn, const struct tallies *tallies,
                      struct gw_arena *arena, struct gw_map *lanes)
{
    sqlite3_stmt *st = conn->st[SEG_OPEN_TALLIES];

    while (tally_count(tallies) > 0 && sqlite_row(conn, st)) {
        uint64_t id = (uint64_t)sqlite3_column_int64(st, 0);
        uint64_t number = (uint64_t)sqlite3_column_int64(st, 1);
        const struct tally *tally = gw_map_get(&tallies->by_id, gw_map_key(&id));
        if (tally == NULL)
            continue;
        struct gw_open_count *lane = gw_map_get(lanes, gw_map_key(&number));
        if (lane == NULL)
            lane = lane_add(conn, number, tally->app, arena, lanes);
        lane->count++;
    }
}

static void answer_open(struct gw_tally_op *op, const struct gw_map *lanes)
{
    const struct gw_open_count *lane;
    size_t at = 0;

    op->open = gw_arena_alloc(op->arena, lanes->count * sizeof(*op->open));
    while ((lane = gw_map_next(lanes, &at)) != NULL)
        op->open[op->open_count++] = *lane;
}

/* ── The rows ──────────────────────────────────────────────────────────────────────────────── */

/* A walk upwards over rows that belong to events; `seq` UINT64_MAX at its end. */
struct side {
    sqlite3_stmt *st;
    uint64_t seq;
    unsigned shift; /* of the first column to a seq */
    void (*count)(sqlite3_stmt *st, struct gw_tally *rows);
};

static void count_delivery(sqlite3_stmt *st, struct gw_tally *rows)
{
    int state = sqlite3_column_int(st, 1);

    rows->of[GW_TALLY_CREATED]++;
    if (state > GW_DELIVERY_PENDING && state <= GW_DELIVERY_CANCELLED)
        rows->of[gw_tally_of_state((enum gw_delivery_state)state)]++;
    rows->of[GW_TALLY_FAILED] += sqlite3_column_int64(st, 2) - (state == GW_DELIVERY_DELIVERED);
}

static void count_replayed(sqlite3_stmt *st, struct gw_tally *rows)
{
    (void)st;
    rows->of[GW_TALLY_REPLAYED]++;
}

static void side_step(struct sqlite_conn *conn, struct side *side)
{
    side->seq = UINT64_MAX;
    if (side->st && sqlite_row(conn, side->st))
        side->seq = (uint64_t)sqlite3_column_int64(side->st, 0) >> side->shift;
    else
        side->st = NULL; /* reset by its end */
}

static struct side side_begin(struct sqlite_conn *conn, enum sqlite_segment_sql sql, unsigned shift,
                              void (*count)(sqlite3_stmt *st, struct gw_tally *rows))
{
    struct side side = {.st = conn->st[sql], .shift = shift, .count = count};

    side_step(conn, &side);
    return side;
}

/* Those of an event; a row that belongs to none is counted by nobody, and then nothing closes. */
static void side_of(struct sqlite_conn *conn, struct side *side, uint64_t seq, bool is_wanted,
                    struct gw_tally *rows)
{
    while (side->seq < seq)
        side_step(conn, side);
    for (; side->seq == seq; side_step(conn, side))
        if (is_wanted)
            side->count(side->st, rows);
}

static void recount(struct sqlite_conn *conn, const struct filter *filter, struct gw_tally *rows)
{
    struct side open = side_begin(conn, SEG_OPEN_UP, 16, count_delivery);
    struct side done = side_begin(conn, SEG_DONE_UP, 16, count_delivery);
    struct side extra = side_begin(conn, SEG_EXTRA_UP, 0, count_replayed);
    sqlite3_stmt *st = conn->st[SEG_EVENTS_UP];

    while (sqlite_row(conn, st)) {
        uint64_t seq = (uint64_t)sqlite3_column_int64(st, 0);
        int64_t skip = sqlite3_column_int64(st, 4);
        bool is_wanted = wants(filter, sqlite3_column_int64(st, 1), sqlite3_column_int64(st, 2),
                               sqlite3_column_int64(st, 3));
        if (is_wanted) {
            rows->of[GW_TALLY_RECEIVED]++;
            if (skip >= GW_SKIP_NONE && skip <= GW_SKIP_FILTERED)
                rows->of[gw_tally_of_skip((enum gw_skip)skip)]++;
        }
        side_of(conn, &open, seq, is_wanted, rows);
        side_of(conn, &done, seq, is_wanted, rows);
        side_of(conn, &extra, seq, is_wanted, rows);
    }
    sqlite3_reset(open.st);
    sqlite3_reset(done.st);
    sqlite3_reset(extra.st);
}

/* ── All of it ─────────────────────────────────────────────────────────────────────────────── */

static void count_segment(struct sqlite_conn *conn, struct gw_tally_op *op, struct gw_map *lanes,
                          uint64_t latencies[GW_LATENCY_BUCKETS])
{
    struct filter filter = {.from_ms = op->from_ms, .to_ms = op->to_ms};
    struct tallies tallies = {0};

    if (!sqlite_name_wanted(conn, SQLITE_NAME_APP, op->app_id, &filter.app) ||
        !sqlite_name_wanted(conn, SQLITE_NAME_TYPE, op->event_type, &filter.type))
        return;
    read_tallies(conn, &filter, &op->counted, &tallies);
    if (!op->open_only)
        read_latencies(conn, &tallies, latencies);
    read_open(conn, &tallies, op->arena, lanes);
    if (op->full)
        recount(conn, &filter, &op->rows);
    tallies_deinit(&tallies);
}

enum gw_err sqlite_tally(struct sqlite_reader *r, struct gw_op *base)
{
    struct gw_tally_op *op = gw_container_of(base, struct gw_tally_op, op);
    uint64_t latencies[GW_LATENCY_BUCKETS] = {0};
    struct gw_map lanes = {0};
    struct sqlite_segment *s = sqlite_segment_below(r->sqlite, UINT32_MAX);
    enum gw_err err = GW_OK;

    if (op->from_ms % GW_HOUR_MS != 0 || op->to_ms % GW_HOUR_MS != 0 || op->from_ms >= op->to_ms)
        return GW_ERR_INVALID;
    for (; s && err == GW_OK; s = sqlite_segment_below(r->sqlite, s->number - 1)) {
        if (sqlite_segment_err(s) != GW_OK || !sqlite_segment_spans(s, op->from_ms, op->to_ms))
            continue;
        err = sqlite_reader_enter(r, s);
        if (err == GW_OK) {
            count_segment(r->segment, op, &lanes, latencies);
            err = sqlite_reader_leave(r, GW_OK);
        }
        if (sqlite_segment_err(s) != GW_OK)
            err = GW_OK; /* it was set aside meanwhile */
    }
    answer_open(op, &lanes);
    op->latency = gw_latency_read(latencies);
    gw_map_deinit(&lanes);
    return err;
}
