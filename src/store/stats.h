/* stats.h: what became of events, by time, app and type: rows, and how a backend gathers them. Pure. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "store/latency.h"

#define GW_STATS_MAX 5000 /* rows of an answer */

struct gw_stats_row {
    int64_t bucket_ms; /* its beginning */
    struct gw_slice app_id, event_type;
    int64_t received, skipped; /* events */
    int64_t delivered, dead;   /* deliveries */
    int64_t failed;            /* attempts */
    struct gw_latency latency;
};

/* One of those being gathered. */
struct gw_stats_sum {
    struct gw_stats_row row; /* all but its latency */
    uint64_t latencies[GW_LATENCY_BUCKETS];
    struct gw_slice key; /* see stats.c */
    char bytes[];
};

/* All zeroes is an empty one. */
struct gw_stats {
    struct gw_map sums;
    struct gw_buf key; /* room */
};

/* Are these times, in order, whole buckets of that length? */
bool gw_stats_whole(int64_t from_ms, int64_t to_ms, int64_t bucket_ms);

void gw_stats_deinit(struct gw_stats *stats);

/* The sum of that bucket, app and type, to be added to. NULL: it would be one too many. */
struct gw_stats_sum *gw_stats_at(struct gw_stats *stats, int64_t bucket_ms, struct gw_slice app_id,
                                 struct gw_slice event_type);

/* The rows in the arena, in the order (bucket, app, type), those that count nothing left out; returns
 * how many. */
size_t gw_stats_rows(const struct gw_stats *stats, struct gw_arena *arena,
                     struct gw_stats_row **rows);
