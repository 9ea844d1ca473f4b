/* Log-linear histogram of nanoseconds: 128 steps in each power of two, so a reading is at most 0.8 %
 * above the truth, whatever its size. Fixed size, recording never allocates. One thread at a time. */
#ifndef GW_BENCH_HIST_H
#define GW_BENCH_HIST_H

#include <stdint.h>
#include <stdio.h>

enum {
    GW_HIST_STEP_BITS = 7,
    GW_HIST_STEPS = 1 << GW_HIST_STEP_BITS,
    GW_HIST_VALUE_BITS = 44, /* 4.9 hours; what is longer counts as that */
    GW_HIST_BUCKETS = (GW_HIST_VALUE_BITS - GW_HIST_STEP_BITS + 1) * GW_HIST_STEPS,
};

struct gw_hist {
    uint64_t count;
    uint64_t sum_ns;
    uint64_t max_ns; /* exact */
    uint64_t buckets[GW_HIST_BUCKETS];
};

void gw_hist_reset(struct gw_hist *hist);
void gw_hist_record(struct gw_hist *hist, uint64_t value_ns);
/* The smallest reading that `percent` of all values do not exceed; 0 when there are none. */
uint64_t gw_hist_percentile_ns(const struct gw_hist *hist, double percent);
/* {"count":…,"mean":…,"p50":…,"p90":…,"p99":…,"p99_9":…,"max":…} in microseconds. */
void gw_hist_print_json(const struct gw_hist *hist, FILE *out);

#endif
