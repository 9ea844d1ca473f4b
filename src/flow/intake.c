/* intake.c: owns the way of an event from bytes to the ledger.
 *
 *   start ─▶ parse ─▶ quota ─▶ snapshot (in memory, or loaded) ─▶ route ─▶ accept ─▶ done
 *              └────────┴──────────┴──── refused, or try again ────────────────────▶ done
 *
 * Where a watch comes along, it is started with what is open, of an event that is there already too;
 * else the ledger offers new deliveries to the shard that owns the app.
 *
 * Nothing is stored before accept, and accept stores all or nothing. The number of events under
 * way is bounded (accepts_max); more are told to come again. */
#include "flow/intake.h"

#include "base/check.h"
#include "flow/schedule.h"
#include "flow/snapshots.h"
#include "flow/watch.h"

#define AGAIN_MS 1000

static enum gw_refusal_class refusal_class(const struct gw_intake *intake)
{
    if (intake->is_limited)
        return GW_REFUSAL_LIMITED;
    switch (intake->err) {
    case GW_ERR_TOO_LARGE: return GW_REFUSAL_TOO_LARGE;
    case GW_ERR_CONFLICT: return GW_REFUSAL_OTHER_APP;
    case GW_ERR_FULL: return GW_REFUSAL_DISK_FULL;
    case GW_ERR_STOPPED: return GW_REFUSAL_STOPPING;
    default: break;
    }
    switch (gw_err_class(intake->err)) {
    case GW_CLASS_REJECT: return GW_REFUSAL_INVALID;
    case GW_CLASS_AGAIN: return GW_REFUSAL_OVERLOAD;
    case GW_CLASS_FATAL: return GW_REFUSAL_FAILED;
    case GW_CLASS_OK: break;
    }
    gw_never("a refusal without an error");
}

/* Not to be called inside gw_intake_start(): its promise. */
static void finish(struct gw_intake *intake)
{
    struct gw_shard *shard = intake->shard;
    struct gw_snapshot *snapshot = intake->snapshot; /* done reads its URLs, and may free intake */
    shard->accepts--;
    if (intake->err != GW_OK)
        gw_shard_count(shard, GW_COUNT_REFUSED + refusal_class(intake));
    intake->done(intake);
    gw_snapshot_unref(snapshot);
    gw_shard_end(shard);
}

static void on_finish(struct gw_msg *msg)
{
    finish(gw_container_of(msg, struct gw_intake, accept.op.msg));
}

/* The accept operation never begins: its message carries the answer to the next turn. */
static void finish_soon(struct gw_intake *intake, enum gw_err err)
{
    intake->err = err;
    intake->accept.op.msg.run = on_finish;
    gw_env_post(intake->shard->env, &intake->accept.op.msg);
}

static void count_accepted(struct gw_intake *intake)
{
    struct gw_shard *shard = intake->shard;
    gw_shard_took(shard, GW_DURATION_ACCEPT, gw_env_mono_us(shard->env) - intake->begun_us);
    if (intake->duplicate) {
        gw_shard_count(shard, GW_COUNT_DUPLICATE);
        return;
    }
    if (intake->deferred)
        return; /* who routes it counts it */
    gw_shard_count(shard, GW_COUNT_RECEIVED);
    gw_shard_count(shard, intake->skip ? GW_COUNT_SKIPPED + intake->skip : GW_COUNT_ROUTED);
}

/* The message is still ours. */
static void log_accepted(const struct gw_intake *intake)
{
    struct gw_shard *shard = intake->shard;
    struct gw_delivery_log_event event = {
        .phase = GW_DELIVERY_LOG_RECEIVED,
        .message = intake->accept.message,
        .product = intake->product,
        .payload_bytes = (int64_t)intake->body.len,
    };
    int64_t now_ms = gw_env_wall_ms(shard->env);
    gw_delivery_log_event(shard->flow->log, now_ms, &event);
    event.phase = GW_DELIVERY_LOG_SKIPPED;
    if (intake->skip != GW_SKIP_NONE)
        gw_delivery_log_event(shard->flow->log, now_ms, &event);
}

/* The bytes of a repeat may be others than those of the first, which are to be sent. */
static void start_watch(struct gw_intake *intake)
{
    struct gw_accept *accept = &intake->accept;
    gw_watch_start(intake->watch, accept->existing ? NULL : accept->message, intake->snapshot,
                   accept->deliveries, accept->delivery_count);
}

static void on_accepted(struct gw_op *op)
{
    struct gw_accept *accept = gw_container_of(op, struct gw_accept, op);
    struct gw_intake *intake = gw_container_of(accept, struct gw_intake, accept);
    bool is_here = op->err == GW_OK && !accept->deferred;
    if (intake->shard->flow->log && is_here && !accept->existing)
        log_accepted(intake);
    if (intake->watch && is_here)
        start_watch(intake);
    gw_message_unref(accept->message);
    if (accept->offer && !accept->offered)
        gw_schedule_offer_destroy(accept->offer);
    intake->err = op->err;
    intake->again_ms = op->again_ms;
    if (op->err != GW_OK) {
        gw_error_set(&intake->error, op->err, "the event was not stored: %s", gw_err_name(op->err));
        finish(intake);
        return;
    }
    intake->id = accept->message_id;
    intake->deferred = accept->deferred;
    intake->duplicate = accept->existing;
    intake->payload_differs = accept->payload_differs;
    if (accept->existing || accept->deferred)
        intake->skip = GW_SKIP_NONE;
    intake->delivery_count = accept->existing ? 0 : accept->delivery_count;
    for (size_t i = 0; i < intake->delivery_count; i++)
        intake->deliveries[i].id = accept->deliveries[i].id;
    count_accepted(intake);
    finish(intake);
}

/* Routes under the snapshot and gives the event to the ledger. */
static void accept_event(struct gw_intake *intake, struct gw_snapshot *snapshot)
{
    struct gw_shard *shard = intake->shard;
    struct gw_routing routing = gw_route(snapshot, &intake->event);
    intake->event.workflow_id = routing.workflow_id; /* that counted, wherever it stood */
    struct gw_message *message = gw_message_create(&intake->event, gw_env_wall_ms(shard->env));
    message->skip = routing.skip;
    message->config_version = routing.config ? routing.config->version : 0;
    intake->skip = routing.skip;
    intake->product = routing.config ? routing.config->product : (struct gw_slice){0};
    intake->snapshot = gw_snapshot_ref(snapshot); /* the answer's URLs live in it */
    for (size_t i = 0; i < routing.count; i++) {
        intake->lanes[i] = routing.routes[i]->lane;
        intake->deliveries[i].url = gw_url_shown(routing.routes[i]->url.text);
    }
    struct gw_offer *offer = NULL;
    if (routing.count && !intake->watch) {
        struct gw_shard *owner = gw_flow_owner(shard->flow, message->app_id);
        offer = gw_schedule_offer_create(owner, message, snapshot, routing.count);
    }
    intake->accept = (struct gw_accept){
        .op = {.env = shard->env, .done = on_accepted},
        .message = message,
        .lanes = intake->lanes,
        .lane_count = routing.count,
        .dedupe_ms = shard->flow->options.dedupe_ms,
        .offer = offer,
    };
    gw_ledger_accept(shard->flow->ledger, &intake->accept);
}

static void on_snapshot(struct gw_snapshot_wait *wait, struct gw_snapshot *snapshot,
                        enum gw_err err)
{
    struct gw_intake *intake = gw_container_of(wait, struct gw_intake, wait);
    if (snapshot) {
        accept_event(intake, snapshot);
        return;
    }
    intake->err = err;
    intake->again_ms = AGAIN_MS;
    gw_error_set(&intake->error, err, "the app's configuration cannot be read now: %s",
                 gw_err_name(err));
    finish(intake);
}

static enum gw_err check(struct gw_intake *intake)
{
    struct gw_shard *shard = intake->shard;
    intake->again_ms = AGAIN_MS;
    if (shard->draining)
        return gw_error_set(&intake->error, GW_ERR_STOPPED, "the server is stopping");
    if (shard->accepts > shard->flow->options.accepts_max)
        return gw_error_set(&intake->error, GW_ERR_BUSY, "too many events at once");
    enum gw_err err = gw_event_parse(&intake->event, intake->body, &intake->arena, &intake->error);
    if (err != GW_OK)
        return err;
    intake->event_id = intake->event.event_id;
    intake->event.place = intake->place;
    intake->event.metadata = intake->metadata;
    intake->event.metadata_count = intake->metadata_count;
    if (intake->scope.len && !gw_slice_eq(intake->scope, intake->event.app_id))
        return gw_error_set(&intake->error, GW_ERR_CONFLICT,
                            "appId: the caller may speak for another app only");
    return GW_OK;
}

static void get_snapshot(struct gw_intake *intake)
{
    struct gw_shard *shard = intake->shard;
    struct gw_snapshot *snapshot = gw_snapshots_peek(shard, intake->event.app_id);
    if (snapshot) {
        accept_event(intake, snapshot);
        return;
    }
    intake->wait.ready = on_snapshot;
    gw_snapshots_load(shard, intake->event.app_id, &intake->wait);
}

/* ── How many a second ─────────────────────────────────────────────────────────────────────── */

static void on_quota(struct gw_intake *intake, int64_t again_ms)
{
    if (again_ms == 0) {
        get_snapshot(intake);
        return;
    }
    intake->is_limited = true;
    intake->again_ms = again_ms;
    finish_soon(intake, gw_error_set(&intake->error, GW_ERR_BUSY,
                                     "appId: must send at most %u events a second",
                                     intake->shard->flow->options.intake_rate));
}

static void on_answer(struct gw_quota_ask *ask)
{
    on_quota(gw_container_of(ask, struct gw_intake, ask), ask->again_ms);
}

static void take_quota(struct gw_intake *intake)
{
    struct gw_shard *shard = intake->shard;
    if (!shard->quota) {
        get_snapshot(intake);
    } else if (gw_flow_owner(shard->flow, intake->event.app_id) == shard) {
        on_quota(intake,
                 gw_quota_take(shard->quota, intake->event.app_id, gw_env_mono_us(shard->env)));
    } else {
        intake->ask.app_id = intake->event.app_id;
        intake->ask.done = on_answer;
        gw_quota_ask(shard, &intake->ask);
    }
}

void gw_intake_start(struct gw_shard *shard, struct gw_intake *intake)
{
    intake->shard = shard;
    intake->begun_us = gw_env_mono_us(shard->env);
    shard->accepts++;
    gw_shard_begin(shard);
    enum gw_err err = check(intake);
    if (err == GW_OK)
        take_quota(intake);
    else
        finish_soon(intake, err);
}

void gw_intake_deinit(struct gw_intake *intake)
{
    gw_arena_deinit(&intake->arena);
}
