/* sqlite_stats.c: the counters of some hours by time, app, type and, where one is asked for, URL. Runs
 * on a looker; each segment is read in one transaction. Of a URL the counters know the hash only. */
#include "store/sqlite_internal.h"

struct wanted {
    int64_t app, type, url; /* 0 = any */
};

/* False: these are too many rows, or conn->rc. */
static bool gather_row(struct sqlite_conn *conn, const struct gw_stats_op *op,
                       struct gw_stats *stats)
{
    sqlite3_stmt *st = conn->st[SEG_STATS], *hist = conn->st[SEG_HIST_OF];
    int64_t hour_ms = sqlite3_column_int64(st, 1);
    struct gw_stats_sum *sum = gw_stats_at(stats, gw_floor_ms(hour_ms, op->bucket_ms),
                                           sqlite_text(st, 2), sqlite_text(st, 3));

    if (sum == NULL)
        return false;
    sum->row.received += sqlite3_column_int64(st, 4);
    sum->row.skipped += sqlite3_column_int64(st, 5);
    sum->row.delivered += sqlite3_column_int64(st, 6);
    sum->row.failed += sqlite3_column_int64(st, 7);
    sum->row.dead += sqlite3_column_int64(st, 8);
    sqlite3_bind_int64(hist, 1, sqlite3_column_int64(st, 0));
    while (sqlite_row(conn, hist)) {
        int64_t bucket = sqlite3_column_int64(hist, 0);
        if (bucket >= 0 && bucket < GW_LATENCY_BUCKETS)
            sum->latencies[bucket] += (uint64_t)sqlite3_column_int64(hist, 1);
    }
    return conn->rc == SQLITE_OK;
}

static enum gw_err gather(struct sqlite_conn *conn, const struct gw_stats_op *op, int64_t url,
                          struct gw_stats *stats)
{
    sqlite3_stmt *st = conn->st[SEG_STATS];
    struct wanted wanted = {.url = url};
    bool is_done = true;

    if (!sqlite_name_wanted(conn, SQLITE_NAME_APP, op->app_id, &wanted.app) ||
        !sqlite_name_wanted(conn, SQLITE_NAME_TYPE, op->event_type, &wanted.type))
        return GW_OK;
    sqlite3_bind_int64(st, 1, op->from_ms);
    sqlite3_bind_int64(st, 2, op->to_ms);
    sqlite3_bind_int64(st, 3, wanted.app);
    sqlite3_bind_int64(st, 4, wanted.type);
    sqlite3_bind_int64(st, 5, wanted.url);
    while (is_done && sqlite_row(conn, st))
        is_done = gather_row(conn, op, stats);
    sqlite3_reset(st);
    return is_done ? GW_OK : GW_ERR_TOO_LARGE;
}

enum gw_err sqlite_stats(struct sqlite_reader *r, struct gw_op *base)
{
    struct gw_stats_op *op = gw_container_of(base, struct gw_stats_op, op);
    struct sqlite_segment *s = sqlite_segment_below(r->sqlite, UINT32_MAX);
    int64_t url = op->url.len ? sqlite_url_hash(&r->sqlite->keys, op->url) : 0;
    struct gw_stats stats = {0};
    enum gw_err err = GW_OK;

    if (!gw_stats_whole(op->from_ms, op->to_ms, op->bucket_ms))
        return GW_ERR_INVALID;
    for (; s && err == GW_OK; s = sqlite_segment_below(r->sqlite, s->number - 1)) {
        if (sqlite_segment_err(s) != GW_OK || !sqlite_segment_spans(s, op->from_ms, op->to_ms))
            continue;
        err = sqlite_reader_enter(r, s);
        if (err == GW_OK)
            err = sqlite_reader_leave(r, gather(r->segment, op, url, &stats));
        if (sqlite_segment_err(s) != GW_OK && err != GW_ERR_TOO_LARGE)
            err = GW_OK; /* it was set aside meanwhile */
    }
    if (err == GW_OK)
        op->count = gw_stats_rows(&stats, op->arena, &op->rows);
    gw_stats_deinit(&stats);
    return err;
}
