/* histogram.h: how long things took, counted in buckets: many may add while anybody reads, and nobody
 * waits. All zeroes is an empty one.
 *
 * There is one ladder of bounds, from a millisecond to three days: whoever shows a histogram shows
 * the part of it that makes sense there. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define GW_HISTOGRAM_BOUNDS 20

struct gw_histogram {
    _Atomic uint64_t counts[GW_HISTOGRAM_BOUNDS + 1]; /* the last: longer than all bounds */
    _Atomic uint64_t sum_us;
};

/* Inclusive. */
int64_t gw_histogram_bound_us(size_t bucket); /* < GW_HISTOGRAM_BOUNDS */

void gw_histogram_add(struct gw_histogram *histogram, int64_t us);

/* As it was at about one moment: the counts are each right, and the sum is one a few things before. */
struct gw_histogram_view {
    uint64_t counts[GW_HISTOGRAM_BOUNDS + 1];
    uint64_t count; /* of all */
    uint64_t sum_us;
};

/* Adds to what the view holds: several become one. */
void gw_histogram_read(const struct gw_histogram *histogram, struct gw_histogram_view *view);
