/* Owns the bucket arithmetic of the latency histogram; see hist.h.
 *
 * Values below 128 have a bucket each. Above, a value with its highest bit at b falls in the group
 * b - 6, and its next seven bits choose the bucket in the group. */
#include "hist.h"

#include <string.h>

void gw_hist_reset(struct gw_hist *hist)
{
    memset(hist, 0, sizeof(*hist));
}

static unsigned bucket_of(uint64_t value)
{
    unsigned shift;

    if (value < GW_HIST_STEPS)
        return (unsigned)value;
    shift = 63u - (unsigned)__builtin_clzll(value) - GW_HIST_STEP_BITS;
    return (shift + 1) * GW_HIST_STEPS + (unsigned)(value >> shift) - GW_HIST_STEPS;
}

static uint64_t bucket_top(unsigned bucket)
{
    unsigned shift;

    if (bucket < GW_HIST_STEPS)
        return bucket;
    shift = bucket / GW_HIST_STEPS - 1;
    return ((uint64_t)(bucket % GW_HIST_STEPS + GW_HIST_STEPS + 1) << shift) - 1;
}

void gw_hist_record(struct gw_hist *hist, uint64_t value_ns)
{
    const uint64_t top = (UINT64_C(1) << GW_HIST_VALUE_BITS) - 1;

    hist->count++;
    hist->sum_ns += value_ns;
    if (value_ns > hist->max_ns)
        hist->max_ns = value_ns;
    hist->buckets[bucket_of(value_ns < top ? value_ns : top)]++;
}

uint64_t gw_hist_percentile_ns(const struct gw_hist *hist, double percent)
{
    double exact = (double)hist->count * percent / 100;
    uint64_t wanted = (uint64_t)exact, seen = 0;

    if ((double)wanted < exact || wanted == 0)
        wanted++;
    for (unsigned i = 0; i < GW_HIST_BUCKETS; i++) {
        seen += hist->buckets[i];
        if (seen >= wanted) {
            uint64_t top = bucket_top(i);

            return top < hist->max_ns ? top : hist->max_ns;
        }
    }
    return hist->max_ns;
}

void gw_hist_print_json(const struct gw_hist *hist, FILE *out)
{
    static const struct {
        const char *name;
        double percent;
    } points[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99_9", 99.9}};
    double mean = hist->count ? (double)hist->sum_ns / (double)hist->count : 0;

    fprintf(out, "{\"count\":%llu,\"mean\":%.1f", (unsigned long long)hist->count, mean / 1e3);
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
        fprintf(out, ",\"%s\":%.1f", points[i].name,
                (double)gw_hist_percentile_ns(hist, points[i].percent) / 1e3);
    fprintf(out, ",\"max\":%.1f}", (double)hist->max_ns / 1e3);
}
