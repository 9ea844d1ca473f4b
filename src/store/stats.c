/* stats.c: see stats.h. The key of a sum is the bucket's time, the app, a NUL, which no name holds, and
 * the type, such that keys are in the order of rows bytewise. */
#include "store/stats.h"

#include "base/alloc.h"

#include <endian.h>
#include <stdlib.h>

bool gw_stats_whole(int64_t from_ms, int64_t to_ms, int64_t bucket_ms)
{
    return bucket_ms > 0 && from_ms % bucket_ms == 0 && to_ms % bucket_ms == 0 && from_ms < to_ms;
}

void gw_stats_deinit(struct gw_stats *stats)
{
    struct gw_stats_sum *sum;
    size_t at = 0;

    while ((sum = gw_map_next(&stats->sums, &at)) != NULL)
        gw_free(sum);
    gw_map_deinit(&stats->sums);
    gw_buf_deinit(&stats->key);
    *stats = (struct gw_stats){0};
}

/* ── Gathering ─────────────────────────────────────────────────────────────────────────────── */

static struct gw_stats_sum *sum_create(struct gw_slice key, int64_t bucket_ms, size_t app_len)
{
    struct gw_stats_sum *sum = gw_zalloc(sizeof(*sum) + key.len);
    size_t app_at = sizeof(uint64_t), type_at = app_at + app_len + 1;

    memcpy(sum->bytes, key.ptr, key.len);
    sum->key = (struct gw_slice){sum->bytes, key.len};
    sum->row.bucket_ms = bucket_ms;
    sum->row.app_id = (struct gw_slice){sum->bytes + app_at, app_len};
    sum->row.event_type = (struct gw_slice){sum->bytes + type_at, key.len - type_at};
    return sum;
}

struct gw_stats_sum *gw_stats_at(struct gw_stats *stats, int64_t bucket_ms, struct gw_slice app_id,
                                 struct gw_slice event_type)
{
    uint64_t time = htobe64((uint64_t)bucket_ms ^ (uint64_t)INT64_MIN);

    gw_buf_clear(&stats->key);
    gw_buf_add(&stats->key, &time, sizeof(time));
    gw_buf_adds(&stats->key, app_id);
    gw_buf_addc(&stats->key, '\0');
    gw_buf_adds(&stats->key, event_type);
    struct gw_stats_sum *sum = gw_map_get(&stats->sums, gw_buf_slice(&stats->key));
    if (sum || stats->sums.count >= GW_STATS_MAX)
        return sum;
    sum = sum_create(gw_buf_slice(&stats->key), bucket_ms, app_id.len);
    gw_map_put(&stats->sums, sum->key, sum);
    return sum;
}

/* ── The rows ──────────────────────────────────────────────────────────────────────────────── */

static int compare(const void *a, const void *b)
{
    struct gw_slice x = (*(struct gw_stats_sum *const *)a)->key;
    struct gw_slice y = (*(struct gw_stats_sum *const *)b)->key;
    int order = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);

    return order ? order : (x.len > y.len) - (x.len < y.len);
}

static bool is_empty(const struct gw_stats_row *row)
{
    return row->received == 0 && row->skipped == 0 && row->delivered == 0 && row->dead == 0 &&
           row->failed == 0;
}

size_t gw_stats_rows(const struct gw_stats *stats, struct gw_arena *arena,
                     struct gw_stats_row **rows)
{
    struct gw_stats_sum **sums = gw_alloc(stats->sums.count * sizeof(struct gw_stats_sum *));
    struct gw_stats_sum *sum;
    size_t at = 0, count = 0;

    while ((sum = gw_map_next(&stats->sums, &at)) != NULL)
        if (!is_empty(&sum->row))
            sums[count++] = sum;
    qsort(sums, count, sizeof(struct gw_stats_sum *), compare);
    *rows = gw_arena_alloc(arena, count * sizeof(**rows));
    for (size_t i = 0; i < count; i++) {
        struct gw_stats_row *row = &(*rows)[i];
        *row = sums[i]->row;
        row->app_id = gw_arena_dup(arena, row->app_id);
        row->event_type = gw_arena_dup(arena, row->event_type);
        row->latency = gw_latency_read(sums[i]->latencies);
    }
    gw_free(sums);
    return count;
}
