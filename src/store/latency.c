/* latency.c: see latency.h. */
#include "store/latency.h"

#include "base/check.h"

#define SUB_BITS 3 /* 8 buckets a doubling */
#define SUB      ((size_t)1 << SUB_BITS)

size_t gw_latency_bucket(int64_t ms)
{
    if (ms < 0)
        ms = 0;
    if (ms > GW_LATENCY_MS_MAX)
        ms = GW_LATENCY_MS_MAX;
    if (ms < (int64_t)SUB)
        return (size_t)ms;
    size_t power = (size_t)(63 - __builtin_clzll((unsigned long long)ms));
    size_t sub = (size_t)ms >> (power - SUB_BITS) & (SUB - 1);
    return (power - SUB_BITS + 1) * SUB + sub;
}

static int64_t width(size_t bucket)
{
    return bucket < SUB ? 1 : (int64_t)1 << (bucket / SUB - 1);
}

int64_t gw_latency_bucket_first(size_t bucket)
{
    gw_check(bucket < GW_LATENCY_BUCKETS);
    if (bucket < SUB)
        return (int64_t)bucket;
    return (int64_t)(SUB + bucket % SUB) * width(bucket);
}

int64_t gw_latency_bucket_middle(size_t bucket)
{
    return gw_latency_bucket_first(bucket) + (width(bucket) - 1) / 2;
}

static int64_t percentile(const uint64_t *counts, uint64_t total, uint64_t percent)
{
    uint64_t rank = (total * percent + 99) / 100, seen = 0;

    for (size_t i = 0; i < GW_LATENCY_BUCKETS; i++) {
        seen += counts[i];
        if (seen >= rank)
            return gw_latency_bucket_middle(i);
    }
    gw_never("a rank above the count");
}

struct gw_latency gw_latency_read(const uint64_t counts[GW_LATENCY_BUCKETS])
{
    struct gw_latency latency = {0};

    for (size_t i = 0; i < GW_LATENCY_BUCKETS; i++)
        latency.count += counts[i];
    if (latency.count == 0)
        return latency;
    latency.p50_ms = percentile(counts, latency.count, 50);
    latency.p95_ms = percentile(counts, latency.count, 95);
    latency.p99_ms = percentile(counts, latency.count, 99);
    return latency;
}
