/* histogram.c: see histogram.h. */
#include "base/histogram.h"

#include "base/check.h"

#define MS ((int64_t)1000)
#define S  (1000 * MS)

static const int64_t bounds_us[GW_HISTOGRAM_BOUNDS] = {
    1 * MS,    2500,  5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS, 500 * MS,  1 * S,
    2500 * MS, 5 * S, 10 * S, 30 * S,  60 * S,  300 * S, 1800 * S, 7200 * S, 43200 * S, 259200 * S,
};

int64_t gw_histogram_bound_us(size_t bucket)
{
    gw_check(bucket < GW_HISTOGRAM_BOUNDS);
    return bounds_us[bucket];
}

void gw_histogram_add(struct gw_histogram *histogram, int64_t us)
{
    size_t bucket = 0;

    if (us < 0)
        us = 0;
    while (bucket < GW_HISTOGRAM_BOUNDS && us > bounds_us[bucket])
        bucket++;
    atomic_fetch_add_explicit(&histogram->sum_us, (uint64_t)us, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->counts[bucket], 1, memory_order_relaxed);
}

void gw_histogram_read(const struct gw_histogram *histogram, struct gw_histogram_view *view)
{
    for (size_t i = 0; i <= GW_HISTOGRAM_BOUNDS; i++) {
        uint64_t count = atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        view->counts[i] += count;
        view->count += count;
    }
    view->sum_us += atomic_load_explicit(&histogram->sum_us, memory_order_relaxed);
}
