/* latency.h: how long deliveries took, counted in buckets that are a tenth or so of their own value
 * wide: enough for percentiles, and small enough to be kept for every hour. Pure.
 *
 * Log-linear: 8 buckets for each doubling, so one is 6 to 12.5 % wide; below 8 ms each has its own.
 * Numbers are stored, and for ever. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define GW_LATENCY_BUCKETS 234
#define GW_LATENCY_MS_MAX  ((int64_t)30 * 86400000) /* what took longer is counted as that */

struct gw_latency {
    uint64_t count;
    int64_t p50_ms, p95_ms, p99_ms; /* 0 without any */
};

size_t gw_latency_bucket(int64_t ms);           /* < GW_LATENCY_BUCKETS */
int64_t gw_latency_bucket_first(size_t bucket); /* the least that it counts */
int64_t gw_latency_bucket_middle(size_t bucket);

/* Percentiles by nearest rank, each the middle of its bucket. */
struct gw_latency gw_latency_read(const uint64_t counts[GW_LATENCY_BUCKETS]);
