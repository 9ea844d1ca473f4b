/* road.c: owns what all items share: which buckets may be read, and whether there is trouble.
 *
 * Thread: the shard's. Nothing here can fail after init. */
#include "road/road.h"

#include "base/alloc.h"
#include "flow/schedule.h"

#define BUCKETS_MAX 256

/* ── Buckets ───────────────────────────────────────────────────────────────────────────────── */

static enum gw_err take_bucket(struct gw_road *road, struct gw_slice text, struct gw_error *error)
{
    struct gw_bucket *bucket = &road->buckets[road->bucket_count++];
    struct gw_slice rest = text;
    *bucket = (struct gw_bucket){0};
    gw_slice_split(&rest, '=', &bucket->name);
    bucket->apps = rest;
    if (bucket->name.len && (!bucket->apps.ptr || bucket->apps.len))
        return GW_OK;
    return gw_error_set(error, GW_ERR_INVALID,
                        "--buckets: must be NAME or NAME=APP+APP, comma-separated, was \"%.*s\"",
                        (int)(text.len < 100 ? text.len : 100), text.ptr);
}

static enum gw_err take_buckets(struct gw_road *road, const char *text, struct gw_error *error)
{
    struct gw_slice rest = gw_slice_from(text), part;
    enum gw_err err = GW_OK;
    road->buckets = gw_arena_alloc(&road->arena, BUCKETS_MAX * sizeof(*road->buckets));
    while (err == GW_OK && gw_slice_split(&rest, ',', &part)) {
        if (road->bucket_count == BUCKETS_MAX)
            return gw_error_set(error, GW_ERR_INVALID, "--buckets: must be at most %d, were more",
                                BUCKETS_MAX);
        err = take_bucket(road, part, error);
    }
    return err;
}

const struct gw_bucket *gw_road_bucket(const struct gw_road *road, struct gw_slice name)
{
    for (size_t i = 0; i < road->bucket_count; i++)
        if (gw_slice_eq(road->buckets[i].name, name))
            return &road->buckets[i];
    return NULL;
}

bool gw_bucket_allows(const struct gw_bucket *bucket, struct gw_slice app_id)
{
    struct gw_slice rest = bucket->apps, app;
    if (!bucket->apps.ptr)
        return true;
    while (gw_slice_split(&rest, '+', &app))
        if (gw_slice_eq(app, app_id))
            return true;
    return false;
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

enum gw_err gw_road_init(struct gw_road *road, struct gw_shard *shard, struct gw_aws *aws,
                         const struct gw_road_options *options, struct gw_error *error)
{
    const char *wakes = options->wake_queue_url ? options->wake_queue_url : options->queue_url;
    *road = (struct gw_road){
        .shard = shard,
        .aws = aws,
        .wake_queue_url = gw_slice_from(wakes),
        .body_bytes_max = options->body_bytes_max,
    };
    enum gw_err err = take_buckets(road, options->buckets, error);
    if (err != GW_OK)
        gw_road_deinit(road);
    return err;
}

void gw_road_deinit(struct gw_road *road)
{
    gw_arena_deinit(&road->arena);
}

/* ── Trouble ───────────────────────────────────────────────────────────────────────────────── */

bool gw_road_is_troubled(const struct gw_road *road)
{
    return gw_schedule_is_stalled(road->shard->schedule) ||
           gw_env_mono_us(road->shard->env) < road->calm_us;
}

void gw_road_trouble(struct gw_road *road, int64_t for_ms)
{
    int64_t until_us = gw_env_mono_us(road->shard->env) + for_ms * 1000;
    if (until_us > road->calm_us)
        road->calm_us = until_us;
}
