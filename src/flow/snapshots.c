/* snapshots.c: owns the shard's cache of app snapshots.
 *
 * An entry is loading (waiters, maybe an older snapshot) or has a snapshot. A published change
 * replaces what is there; one that comes while the entry loads is kept, and wins over what the
 * load brings if it is newer. So a load can never bring back an older state than one in force.
 *
 * Where other processes change configs too, what was loaded some seconds ago is loaded again when it
 * is needed (snapshot_age_max_ms), and with it how the app's targets do.
 *
 * Thread: the shard's, but for the countdown of a publish. A load that fails is told to its
 * waiters and forgotten: the next one asks again. */
#include "flow/snapshots.h"

#include "base/map.h"
#include "flow/schedule.h"
#include "flow/target.h"

struct entry {
    struct gw_list link; /* of snapshots->used: the longest unused first */
    struct gw_shard *shard;
    struct gw_slice app_id; /* behind the struct */
    struct gw_snapshot *snapshot;
    int64_t asked_us, asked_ms;   /* by both clocks: see attempt.c */
    int64_t loaded_us, loaded_ms; /* what is there was asked for then */
    bool loading;
    struct gw_list waiters;
    struct gw_config_load load;
    struct gw_health_load health;
    struct gw_arena arena; /* its */
};

struct gw_snapshots {
    struct gw_map by_app;
    struct gw_list used;
};

struct gw_snapshots *gw_snapshots_create(struct gw_shard *shard)
{
    (void)shard;
    struct gw_snapshots *snapshots = gw_zalloc(sizeof(*snapshots));
    gw_list_init(&snapshots->used);
    return snapshots;
}

static void entry_forget(struct gw_snapshots *snapshots, struct entry *entry)
{
    gw_map_del(&snapshots->by_app, entry->app_id);
    gw_list_remove(&entry->link);
    if (entry->snapshot)
        gw_snapshot_unref(entry->snapshot);
    gw_arena_deinit(&entry->arena);
    gw_free(entry);
}

void gw_snapshots_destroy(struct gw_snapshots *snapshots)
{
    gw_list_each_safe (node, &snapshots->used)
        entry_forget(snapshots, gw_container_of(node, struct entry, link));
    gw_map_deinit(&snapshots->by_app);
    gw_free(snapshots);
}

static bool is_old(const struct gw_shard *shard, const struct entry *entry)
{
    int64_t age_max_ms = shard->flow->options.snapshot_age_max_ms;
    return age_max_ms && (gw_env_mono_us(shard->env) - entry->loaded_us > age_max_ms * 1000 ||
                          gw_env_wall_ms(shard->env) - entry->loaded_ms > age_max_ms);
}

struct gw_snapshot *gw_snapshots_peek(struct gw_shard *shard, struct gw_slice app_id)
{
    struct entry *entry = gw_map_get(&shard->snapshots->by_app, app_id);
    if (!entry || entry->loading || is_old(shard, entry))
        return NULL;
    gw_list_remove(&entry->link);
    gw_list_push(&shard->snapshots->used, &entry->link);
    return entry->snapshot;
}

/* Room for one more: forgets the longest unused that is not loading. */
static void make_room(struct gw_shard *shard)
{
    struct gw_snapshots *snapshots = shard->snapshots;
    if (snapshots->by_app.count < shard->flow->options.snapshots_max)
        return;
    gw_list_each (node, &snapshots->used) {
        struct entry *entry = gw_container_of(node, struct entry, link);
        if (!entry->loading) {
            entry_forget(snapshots, entry);
            return;
        }
    }
}

static struct entry *entry_create(struct gw_shard *shard, struct gw_slice app_id)
{
    make_room(shard);
    struct entry *entry = gw_zalloc(sizeof(*entry) + app_id.len);
    memcpy(entry + 1, app_id.ptr, app_id.len);
    entry->shard = shard;
    entry->app_id = (struct gw_slice){(const char *)(entry + 1), app_id.len};
    gw_list_init(&entry->waiters);
    gw_list_push(&shard->snapshots->used, &entry->link);
    gw_map_put(&shard->snapshots->by_app, entry->app_id, entry);
    return entry;
}

/* Takes over the reference if it is not older than what is there. Where many processes write, one that
 * was read while a change was under way may say less than its revision: the next one mends it. */
static void entry_offer(struct entry *entry, struct gw_snapshot *snapshot)
{
    if (entry->snapshot && entry->snapshot->revision > snapshot->revision) {
        gw_snapshot_unref(snapshot);
        return;
    }
    if (entry->snapshot)
        gw_snapshot_unref(entry->snapshot);
    entry->snapshot = snapshot;
}

/* With an error nobody is told an older snapshot where that may be out of force. */
static void tell(struct entry *entry, enum gw_err err)
{
    struct gw_shard *shard = entry->shard;
    bool may_be_old = shard->flow->options.snapshot_age_max_ms == 0;
    struct gw_snapshot *snapshot = err == GW_OK || may_be_old ? entry->snapshot : NULL;
    struct gw_list waiters;
    entry->loading = false;
    gw_list_init(&waiters);
    gw_list_splice(&waiters, &entry->waiters);
    if (snapshot)
        gw_snapshot_ref(snapshot); /* a waiter may make room, and forget this very entry */
    else if (!entry->snapshot)
        entry_forget(shard->snapshots, entry);
    struct gw_list *node;
    while ((node = gw_list_pop(&waiters))) {
        struct gw_snapshot_wait *wait = gw_container_of(node, struct gw_snapshot_wait, link);
        wait->ready(wait, snapshot, snapshot ? GW_OK : err);
    }
    if (snapshot)
        gw_snapshot_unref(snapshot);
    gw_shard_end(shard);
}

static void on_health(struct gw_op *op)
{
    struct gw_health_load *load = gw_container_of(op, struct gw_health_load, op);
    struct entry *entry = gw_container_of(load, struct entry, health);
    enum gw_err err = op->err;
    if (err == GW_OK) {
        entry->loaded_us = entry->asked_us;
        entry->loaded_ms = entry->asked_ms;
        gw_schedule_on_snapshot(entry->shard->schedule, entry->snapshot);
        gw_target_reload(entry->shard, entry->app_id, load->items, load->count);
    }
    gw_arena_reset(&entry->arena);
    tell(entry, err);
}

static void load_health(struct entry *entry)
{
    struct gw_shard *shard = entry->shard;
    entry->health = (struct gw_health_load){
        .op = {.env = shard->env, .done = on_health},
        .arena = &entry->arena,
        .app_id = entry->app_id,
    };
    gw_ledger_health_load(shard->flow->ledger, &entry->health);
}

static void on_loaded(struct gw_op *op)
{
    struct gw_config_load *load = gw_container_of(op, struct gw_config_load, op);
    struct entry *entry = gw_container_of(load, struct entry, load);
    if (op->err == GW_OK)
        entry_offer(entry, load->snapshot);
    if (op->err == GW_OK && entry->shard->flow->options.snapshot_age_max_ms)
        load_health(entry);
    else
        tell(entry, op->err);
}

void gw_snapshots_load(struct gw_shard *shard, struct gw_slice app_id,
                       struct gw_snapshot_wait *wait)
{
    struct entry *entry = gw_map_get(&shard->snapshots->by_app, app_id);
    if (!entry)
        entry = entry_create(shard, app_id);
    gw_list_push(&entry->waiters, &wait->link);
    if (entry->loading)
        return;
    entry->loading = true;
    entry->asked_us = gw_env_mono_us(shard->env);
    entry->asked_ms = gw_env_wall_ms(shard->env);
    gw_shard_begin(shard);
    entry->load = (struct gw_config_load){
        .op = {.env = shard->env, .done = on_loaded},
        .app_id = entry->app_id,
    };
    gw_configs_load(shard->flow->configs, &entry->load);
}

void gw_snapshots_learn(struct gw_shard *shard, struct gw_snapshot *snapshot)
{
    struct entry *entry = gw_map_get(&shard->snapshots->by_app, gw_slice_from(snapshot->app_id));
    if (entry)
        entry_offer(entry, gw_snapshot_ref(snapshot));
    gw_schedule_on_snapshot(shard->schedule, snapshot);
}

/* ── Publishing ────────────────────────────────────────────────────────────────────────────── */

struct notice {
    struct gw_msg msg;
    struct gw_shard *shard;
    struct gw_snapshot *snapshot;
    struct gw_publish *publish;
};

static void on_published(struct gw_msg *msg)
{
    struct gw_publish *publish = gw_container_of(msg, struct gw_publish, msg);
    publish->done(publish);
}

static void on_notice(struct gw_msg *msg)
{
    struct notice *notice = gw_container_of(msg, struct notice, msg);
    gw_snapshots_learn(notice->shard, notice->snapshot);
    gw_snapshot_unref(notice->snapshot);
    struct gw_publish *publish = notice->publish;
    gw_free(notice);
    if (atomic_fetch_sub(&publish->left, 1) == 1)
        gw_env_post(publish->env, &publish->msg);
}

void gw_snapshots_publish(struct gw_shard *shard, struct gw_snapshot *snapshot,
                          struct gw_publish *publish)
{
    struct gw_flow *flow = shard->flow;
    publish->env = shard->env;
    publish->msg.run = on_published;
    atomic_store(&publish->left, flow->shard_count);
    for (size_t i = 0; i < flow->shard_count; i++) {
        struct notice *notice = gw_alloc(sizeof(*notice));
        *notice = (struct notice){
            {.run = on_notice}, flow->shards[i], gw_snapshot_ref(snapshot), publish};
        gw_env_post(notice->shard->env, &notice->msg);
    }
}
