/* config.c: the life of configs and snapshots, and looking things up in a snapshot. A snapshot owns
 * one reference of each of its configs, and two indexes: lanes by number, targets by URL.
 *
 * Invariants: configs are sorted by eventType, lanes by number, targets by URL, each once; nothing
 * changes after gw_snapshot_create, so any thread that holds a reference may read. */
#include "core/config.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/crypto.h"

#include <stdlib.h>

/* ── Configs ───────────────────────────────────────────────────────────────────────────────── */

struct gw_config *gw_config_ref(struct gw_config *config)
{
    atomic_fetch_add_explicit(&config->refs, 1, memory_order_relaxed);
    return config;
}

void gw_config_unref(struct gw_config *config)
{
    if (config == NULL)
        return;
    unsigned refs = atomic_fetch_sub_explicit(&config->refs, 1, memory_order_acq_rel);
    gw_check(refs > 0);
    if (refs > 1)
        return;
    gw_wipe(config->secrets, sizeof(config->secrets));
    gw_wipe(config->pairs, sizeof(config->pairs));
    gw_arena_deinit(&config->arena);
    gw_free(config);
}

/* ── Making a snapshot ─────────────────────────────────────────────────────────────────────── */

static int compare(struct gw_slice a, struct gw_slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0;

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_event_type(const void *a, const void *b)
{
    const struct gw_config *const *x = a, *const *y = b;

    return compare((*x)->event_type, (*y)->event_type);
}

static int by_lane(const void *a, const void *b)
{
    const struct gw_snapshot_lane *x = a, *y = b;

    return (x->lane > y->lane) - (x->lane < y->lane);
}

static int by_url(const void *a, const void *b)
{
    const struct gw_snapshot_target *x = a, *y = b;

    return compare(x->url, y->url);
}

static void index_config(struct gw_snapshot *snapshot, struct gw_config *config)
{
    for (size_t i = 0; i < config->route_count; i++) {
        const struct gw_route *route = &config->routes[i];
        snapshot->targets[snapshot->target_count++] =
            (struct gw_snapshot_target){route->url.text, config->max_in_flight, config->rate_limit};
        if (route->lane != 0)
            snapshot->lanes[snapshot->lane_count++] =
                (struct gw_snapshot_lane){route->lane, config, route};
    }
}

/* Of all that the configs say of a URL, the smallest holds. */
static void merge_limits(struct gw_snapshot_target *kept, const struct gw_snapshot_target *other)
{
    if (other->in_flight_max < kept->in_flight_max)
        kept->in_flight_max = other->in_flight_max;
    if (other->rate_limit && (!kept->rate_limit || other->rate_limit < kept->rate_limit))
        kept->rate_limit = other->rate_limit;
}

static void fold_targets(struct gw_snapshot *snapshot)
{
    size_t kept = 0;

    for (size_t i = 0; i < snapshot->target_count; i++) {
        const struct gw_snapshot_target *target = &snapshot->targets[i];
        struct gw_snapshot_target *last = kept ? &snapshot->targets[kept - 1] : NULL;
        if (last == NULL || !gw_slice_eq(last->url, target->url))
            snapshot->targets[kept++] = *target;
        else
            merge_limits(last, target);
    }
    snapshot->target_count = kept;
}

static void sort(void *items, size_t count, size_t size, int (*order)(const void *, const void *))
{
    if (count > 1)
        qsort(items, count, size, order);
}

struct gw_snapshot *gw_snapshot_create(struct gw_slice app_id, uint64_t revision,
                                       struct gw_config **configs, size_t count)
{
    struct gw_snapshot *snapshot = gw_zalloc(sizeof(*snapshot));
    size_t routes = 0;

    atomic_init(&snapshot->refs, 1);
    snapshot->revision = revision;
    snapshot->app_id = gw_zalloc(app_id.len + 1);
    if (app_id.len > 0)
        memcpy(snapshot->app_id, app_id.ptr, app_id.len);
    snapshot->configs = gw_alloc(count * sizeof(struct gw_config *));
    for (size_t i = 0; i < count; i++) {
        gw_check(gw_slice_eq(configs[i]->app_id, app_id));
        snapshot->configs[i] = configs[i];
        routes += configs[i]->route_count;
    }
    snapshot->config_count = count;
    sort(snapshot->configs, count, sizeof(struct gw_config *), by_event_type);
    snapshot->lanes = gw_alloc(routes * sizeof(*snapshot->lanes));
    snapshot->targets = gw_alloc(routes * sizeof(*snapshot->targets));
    for (size_t i = 0; i < count; i++)
        index_config(snapshot, snapshot->configs[i]);
    sort(snapshot->lanes, snapshot->lane_count, sizeof(*snapshot->lanes), by_lane);
    sort(snapshot->targets, snapshot->target_count, sizeof(*snapshot->targets), by_url);
    fold_targets(snapshot);
    return snapshot;
}

struct gw_snapshot *gw_snapshot_ref(struct gw_snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    return snapshot;
}

void gw_snapshot_unref(struct gw_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    unsigned refs = atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel);
    gw_check(refs > 0);
    if (refs > 1)
        return;
    for (size_t i = 0; i < snapshot->config_count; i++)
        gw_config_unref(snapshot->configs[i]);
    gw_free(snapshot->configs);
    gw_free(snapshot->lanes);
    gw_free(snapshot->targets);
    gw_free(snapshot->app_id);
    gw_free(snapshot);
}

/* ── Looking up ────────────────────────────────────────────────────────────────────────────── */

static void *find(const void *key, void *items, size_t count, size_t size,
                  int (*order)(const void *, const void *))
{
    return count ? bsearch(key, items, count, size, order) : NULL;
}

struct gw_config *gw_snapshot_config(const struct gw_snapshot *snapshot, struct gw_slice event_type)
{
    const struct gw_config key = {.event_type = event_type}, *wanted = &key;
    struct gw_config **found = find(&wanted, snapshot->configs, snapshot->config_count,
                                    sizeof(struct gw_config *), by_event_type);

    return found ? *found : NULL;
}

bool gw_snapshot_lane(const struct gw_snapshot *snapshot, uint64_t lane, struct gw_config **config,
                      const struct gw_route **route)
{
    const struct gw_snapshot_lane key = {.lane = lane};
    const struct gw_snapshot_lane *found =
        find(&key, snapshot->lanes, snapshot->lane_count, sizeof(key), by_lane);

    if (found == NULL)
        return false;
    *config = found->config;
    *route = found->route;
    return true;
}

const struct gw_snapshot_target *gw_snapshot_target(const struct gw_snapshot *snapshot,
                                                    struct gw_slice url)
{
    const struct gw_snapshot_target key = {.url = url};

    return find(&key, snapshot->targets, snapshot->target_count, sizeof(key), by_url);
}
