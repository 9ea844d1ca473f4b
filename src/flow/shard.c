/* shard.c: owns a shard's life: start (what is open?), work, drain, cut, idle.
 *
 *   CREATED ─start: health_load, open_lanes─▶ WORKING ─drain─▶ DRAINING ─nothing under way─▶ idle
 *                                                    └─cut: attempts are cut off ─┘
 *
 * Thread: the shard's own, but for the counters. Nothing here can fail after the start; a start
 * that fails is told to `started` and the home decides. */
#include "flow/shard.h"

#include "base/check.h"
#include "base/timefmt.h"
#include "flow/quota.h"
#include "flow/schedule.h"
#include "flow/snapshots.h"
#include "flow/target.h"

struct gw_shard *gw_shard_create(struct gw_flow *flow, struct gw_env *env, size_t index)
{
    struct gw_shard *shard = gw_zalloc(sizeof(*shard));
    shard->flow = flow;
    shard->env = env;
    shard->index = index;
    shard->must_end_us = GW_NEVER;
    if (flow->options.intake_rate)
        shard->quota = gw_quota_create(flow->options.intake_rate);
    shard->snapshots = gw_snapshots_create(shard);
    shard->schedule = gw_schedule_create(shard);
    return shard;
}

void gw_shard_destroy(struct gw_shard *shard)
{
    gw_schedule_destroy(shard->schedule);
    gw_snapshots_destroy(shard->snapshots);
    if (shard->quota)
        gw_quota_destroy(shard->quota);
    gw_arena_deinit(&shard->start_arena);
    gw_free(shard);
}

static void finish_start(struct gw_shard *shard, enum gw_err err)
{
    gw_arena_deinit(&shard->start_arena);
    gw_shard_end(shard);
    shard->started(shard->started_ctx, err);
}

static void on_open_lanes(struct gw_op *op)
{
    struct gw_open_lanes *lanes = gw_container_of(op, struct gw_open_lanes, op);
    struct gw_shard *shard = gw_container_of(lanes, struct gw_shard, lanes_op);
    if (op->err == GW_OK)
        gw_schedule_open(shard->schedule, lanes->lanes, lanes->count);
    finish_start(shard, op->err);
}

/* Before anything is open: an attempt at a target that is disabled must not slip through. */
static void on_health(struct gw_op *op)
{
    struct gw_health_load *load = gw_container_of(op, struct gw_health_load, op);
    struct gw_shard *shard = gw_container_of(load, struct gw_shard, health_op);
    if (op->err != GW_OK) {
        finish_start(shard, op->err);
        return;
    }
    gw_target_load(shard, load->items, load->count);
    shard->lanes_op = (struct gw_open_lanes){
        .op = {.env = shard->env, .done = on_open_lanes},
        .arena = &shard->start_arena,
    };
    gw_ledger_open_lanes(shard->flow->ledger, &shard->lanes_op);
}

static void on_nothing_open(struct gw_msg *msg)
{
    finish_start(gw_container_of(msg, struct gw_shard, lanes_op.op.msg), GW_OK);
}

/* Where the ledger is shared, what is open is brought by those who watch it. */
static void start_shared(struct gw_shard *shard)
{
    gw_shard_begin(shard);
    shard->lanes_op.op.msg.run = on_nothing_open;
    gw_env_post(shard->env, &shard->lanes_op.op.msg);
}

void gw_shard_start(struct gw_shard *shard, void (*started)(void *ctx, enum gw_err err), void *ctx)
{
    shard->started = started;
    shard->started_ctx = ctx;
    if (shard->flow->options.is_shared) {
        start_shared(shard);
        return;
    }
    shard->health_op = (struct gw_health_load){
        .op = {.env = shard->env, .done = on_health},
        .arena = &shard->start_arena,
    };
    gw_shard_begin(shard);
    gw_ledger_health_load(shard->flow->ledger, &shard->health_op);
}

static void check_idle(struct gw_shard *shard)
{
    if (!shard->idle || shard->under_way)
        return;
    void (*idle)(void *ctx) = shard->idle;
    shard->idle = NULL;
    idle(shard->idle_ctx);
}

void gw_shard_begin(struct gw_shard *shard)
{
    shard->under_way++;
}

void gw_shard_end(struct gw_shard *shard)
{
    gw_check(shard->under_way > 0);
    shard->under_way--;
    check_idle(shard);
}

void gw_shard_drain(struct gw_shard *shard, void (*idle)(void *ctx), void *ctx)
{
    shard->draining = true;
    shard->idle = idle;
    shard->idle_ctx = ctx;
    check_idle(shard);
}

void gw_shard_cut(struct gw_shard *shard)
{
    shard->is_cut = true;
    gw_schedule_cut(shard->schedule);
}

/* FNV-1a: the same for ever, for an app must keep its shard while the process lives; nobody gains
 * by aiming at a shard that he could not gain by sending more. */
struct gw_shard *gw_flow_owner(struct gw_flow *flow, struct gw_slice app_id)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < app_id.len; i++)
        hash = (hash ^ (unsigned char)app_id.ptr[i]) * 1099511628211u;
    return flow->shards[(hash ^ hash >> 32) % flow->shard_count];
}

uint64_t gw_flow_count(const struct gw_flow *flow, size_t what)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < flow->shard_count; i++)
        sum += atomic_load_explicit(&flow->shards[i]->counts[what], memory_order_relaxed);
    return sum;
}

int64_t gw_flow_gauge(const struct gw_flow *flow, size_t what)
{
    int64_t sum = 0;
    for (size_t i = 0; i < flow->shard_count; i++) {
        int64_t value = atomic_load_explicit(&flow->shards[i]->gauges[what], memory_order_relaxed);
        if (what != GW_GAUGE_OLDEST_DUE_MS)
            sum += value;
        else if (value && (!sum || value < sum))
            sum = value;
    }
    return sum;
}

struct gw_histogram_view gw_flow_duration(const struct gw_flow *flow, enum gw_duration what)
{
    struct gw_histogram_view view = {0};
    for (size_t i = 0; i < flow->shard_count; i++)
        gw_histogram_read(&flow->shards[i]->durations[what], &view);
    return view;
}

const char *gw_refusal_class_name(enum gw_refusal_class class)
{
    switch (class) {
    case GW_REFUSAL_INVALID: return "invalid";
    case GW_REFUSAL_TOO_LARGE: return "too_large";
    case GW_REFUSAL_OTHER_APP: return "other_app";
    case GW_REFUSAL_LIMITED: return "limited";
    case GW_REFUSAL_OVERLOAD: return "overload";
    case GW_REFUSAL_DISK_FULL: return "disk_full";
    case GW_REFUSAL_STOPPING: return "stopping";
    case GW_REFUSAL_FAILED: return "failed";
    }
    gw_never("an unknown class of refusals");
}
