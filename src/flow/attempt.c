/* attempt.c: owns one attempt, from the delivery taken out of its lane to the outcome.
 *
 *   start ─▶ CONFIG (shared, and what is known is old: read again)
 *         ─▶ SLOT (shared, and the target has a rate: when may it go?) ─▶ CLAIM ─▶ route: where does it go?
 *         ┌─────────────────────────────────────────────────────────────────────┘  │ nowhere ─▶ settle
 *         ▼                                                                        │ held ────▶ put back
 *       LOAD (unless the body rides along; then again: where does it go by now?)
 *         └─▶ does the lease last? ─▶ POST (post.c) ─▶ its record ─▶ SETTLE
 *
 * The attempt keeps the snapshot it began with. Claim and load may say "again": the flight waits
 * and asks again; the place it holds is its target's own. But where others may have the claim, and
 * for whoever wants it back, it leaves memory: watch.c. Nothing is recorded before the outcome, so an
 * attempt that is cut off leaves no trace.
 *
 * Never twice: a claim gives the delivery to one process for the length of its lease, and a POST
 * begins only while more is left of it than the POST may take. What has passed of it is the larger of
 * two clocks: one stands still while the process is frozen, the other is set by hand. */
#include "flow/attempt.h"

#include "base/log.h"
#include "base/timefmt.h"
#include "flow/lanes.h"
#include "flow/settle.h"

#define LEASE_MARGIN_MS 30000
#define TIMEOUT_MAX_MS  30000
#define AGAIN_MS        200
#define BROKEN_MS       60000
#define HAND_BACK_MS    1000

static void on_claim_again(struct gw_timer *timer);

static struct gw_env *env_of(const struct gw_flight *flight)
{
    return flight->shard->env;
}

void gw_attempt_free(struct gw_flight *flight)
{
    struct gw_shard *shard = flight->shard;
    gw_list_remove(&flight->link);
    if (flight->snapshot)
        gw_snapshot_unref(flight->snapshot);
    gw_arena_deinit(&flight->arena);
    gw_free(flight);
    gw_shard_end(shard);
}

void gw_attempt_abandon(struct gw_flight *flight)
{
    struct gw_pending *pending = flight->pending;
    if (flight->stalls)
        gw_schedule_resume(flight->shard->schedule);
    gw_attempt_free(flight);
    gw_schedule_landed(pending, NULL, NULL);
}

/* It leaves memory, and somebody comes back after that time. */
static void hand_back(struct gw_flight *flight, int64_t after_ms)
{
    struct gw_pending *pending = flight->pending;
    gw_watch_next(pending, gw_env_wall_ms(env_of(flight)) + after_ms);
    gw_attempt_free(flight);
    gw_schedule_forget(pending);
}

/* The ledger cannot say now: a busy one is asked soon, a broken one seldom. */
static void ask_again(struct gw_flight *flight, const struct gw_op *op,
                      void (*fire)(struct gw_timer *timer))
{
    const struct gw_watch *watch = flight->pending->watch;
    if (watch && (watch->is_given_back || fire == on_claim_again)) {
        hand_back(flight, op->again_ms > HAND_BACK_MS ? op->again_ms : HAND_BACK_MS);
        return;
    }
    bool broken = gw_err_class(op->err) == GW_CLASS_FATAL;
    if (broken) {
        char id[GW_ID_TEXT_MAX];
        gw_log(GW_LOG_ERROR, "delivery_unreadable",
               GW_SL("delivery", gw_id_text(GW_ID_DELIVERY, &flight->pending->delivery.id, id)),
               GW_S("error", gw_err_name(op->err)));
    }
    int64_t delay_ms = op->again_ms > 0 ? op->again_ms : broken ? BROKEN_MS : AGAIN_MS;
    flight->again.fire = fire;
    gw_env_timer_set(env_of(flight), &flight->again, delay_ms);
}

/* ── The lease ─────────────────────────────────────────────────────────────────────────────── */

/* Of the config as it is known now; more where it is not. */
static int64_t timeout_ms(const struct gw_flight *flight)
{
    const struct gw_lane *lane = flight->pending->lane;
    const struct gw_route *route;
    struct gw_config *config;
    bool leads =
        lane->app->snapshot && gw_snapshot_lane(lane->app->snapshot, lane->number, &config, &route);
    return leads ? config->retry.timeout_ms : TIMEOUT_MAX_MS;
}

static int64_t lease_left_ms(const struct gw_flight *flight)
{
    int64_t mono_ms = (gw_env_mono_us(env_of(flight)) - flight->asked_us) / 1000;
    int64_t wall_ms = gw_env_wall_ms(env_of(flight)) - flight->asked_ms;
    return flight->claim.lease_ms - (mono_ms > wall_ms ? mono_ms : wall_ms);
}

/* Whether the POST would end before the lease does, and before the shard itself. */
static bool may_post(const struct gw_flight *flight)
{
    int64_t takes_ms = flight->config->retry.timeout_ms;
    int64_t must_end_us = flight->shard->must_end_us;
    if (must_end_us != GW_NEVER && gw_env_mono_us(env_of(flight)) + takes_ms * 1000 > must_end_us)
        return false;
    return lease_left_ms(flight) > takes_ms;
}

/* Nobody gets the claim before the lease is over; alone with the ledger, it is asked again. */
static void give_up_claim(struct gw_flight *flight)
{
    int64_t left_ms = lease_left_ms(flight);
    if (flight->pending->watch)
        hand_back(flight, left_ms > HAND_BACK_MS ? left_ms : HAND_BACK_MS);
    else
        gw_attempt_abandon(flight);
}

/* ── Where to, and the POST ─────────────────────────────────────────────────────────────────── */

/* Where it goes now. False: nowhere, and the flight is over or is being ended. */
static bool route(struct gw_flight *flight)
{
    enum gw_end_reason reason;
    struct gw_snapshot *snapshot;
    bool leads =
        gw_schedule_route(flight->pending, &snapshot, &flight->config, &flight->route, &reason);
    if (!leads && reason == GW_END_NONE)
        gw_attempt_abandon(flight); /* its claim lasts: where others look, they are told so */
    else if (!leads)
        gw_settle_end(flight, reason);
    if (!leads)
        return false;
    gw_snapshot_ref(snapshot);
    if (flight->snapshot)
        gw_snapshot_unref(flight->snapshot);
    flight->snapshot = snapshot;
    return true;
}

static void on_posted(struct gw_post *post)
{
    struct gw_flight *flight = gw_container_of(post, struct gw_flight, post);
    if (post->is_late)
        give_up_claim(flight);
    else
        gw_settle_attempt(flight);
}

static void log_begun(const struct gw_flight *flight)
{
    const struct gw_post *post = &flight->post;
    gw_delivery_log_event(flight->shard->flow->log, gw_env_wall_ms(env_of(flight)),
                          &(struct gw_delivery_log_event){
                              .phase = GW_DELIVERY_LOG_PRE,
                              .message = post->message,
                              .product = flight->config->product,
                              .payload_bytes = (int64_t)post->message->body.len,
                              .delivery_id = &flight->pending->delivery.id,
                              .attempt = &post->record,
                          });
}

static void begin(struct gw_flight *flight)
{
    if (!may_post(flight)) {
        give_up_claim(flight);
        return;
    }
    const struct gw_delivery *delivery = &flight->pending->delivery;
    flight->post = (struct gw_post){
        .shard = flight->shard,
        .arena = &flight->arena,
        .config = flight->config,
        .route = flight->route,
        .message = flight->pending->message,
        .n = delivery->attempts + 1,
        .is_apart = !flight->pending->target->is_proven,
        .due_ms = delivery->due_ms,
        .done = on_posted,
    };
    flight->stage = GW_FLIGHT_POST;
    gw_post_start(&flight->post);
    if (flight->shard->flow->log)
        log_begun(flight);
}

/* ── Config, claim and load ────────────────────────────────────────────────────────────────── */

static void start_load(struct gw_flight *flight);

static void on_load_again(struct gw_timer *timer)
{
    start_load(gw_container_of(timer, struct gw_flight, again));
}

static void on_loaded(struct gw_op *op)
{
    struct gw_load *load = gw_container_of(op, struct gw_load, op);
    struct gw_flight *flight = gw_container_of(load, struct gw_flight, load);
    if (op->err == GW_OK)
        flight->pending->message = load->message;
    if (flight->shard->draining) {
        gw_attempt_abandon(flight);
        return;
    }
    switch (op->err) {
    case GW_OK:
        if (gw_lanes_was_erased(flight->pending)) /* perhaps after it was read */
            start_load(flight);
        else if (route(flight))
            begin(flight);
        return;
    case GW_ERR_GONE:
    case GW_ERR_NOT_FOUND: gw_settle_end(flight, GW_END_PAYLOAD_GONE); return;
    case GW_ERR_CORRUPT: /* it is not what was accepted, and never will be */
    case GW_ERR_CHANGED: gw_settle_end(flight, GW_END_PAYLOAD_CHANGED); return;
    default: ask_again(flight, op, on_load_again); return;
    }
}

static void start_load(struct gw_flight *flight)
{
    struct gw_ledger *ledger = flight->shard->flow->ledger;
    flight->load = (struct gw_load){
        .op = {.env = env_of(flight), .done = on_loaded},
        .message_id = flight->pending->delivery.message_id,
    };
    flight->stage = GW_FLIGHT_LOAD;
    gw_ledger_load(ledger, &flight->load);
}

static void start_claim(struct gw_flight *flight);

static void on_claim_again(struct gw_timer *timer)
{
    start_claim(gw_container_of(timer, struct gw_flight, again));
}

static void on_claimed(struct gw_op *op)
{
    struct gw_claim *claim = gw_container_of(op, struct gw_claim, op);
    struct gw_flight *flight = gw_container_of(claim, struct gw_flight, claim);
    if (flight->shard->draining) {
        gw_attempt_abandon(flight);
        return;
    }
    /* Damaged: its file was set aside, and the ledger tells nothing of it any more. */
    if (gw_err_class(op->err) == GW_CLASS_REJECT || op->err == GW_ERR_CORRUPT) {
        struct gw_pending *pending = flight->pending;
        if (op->err == GW_ERR_STALE)
            gw_watch_must_look(pending);
        else if (op->err == GW_ERR_CORRUPT)
            gw_watch_next(pending, gw_env_wall_ms(env_of(flight)) + BROKEN_MS);
        gw_attempt_free(flight);
        gw_schedule_forget(pending);
        return;
    }
    if (op->err != GW_OK) {
        ask_again(flight, op, on_claim_again);
        return;
    }
    flight->settle.write_id = claim->write_id;
    if (!route(flight))
        return;
    if (!gw_lanes_was_erased(flight->pending) && flight->pending->message)
        begin(flight);
    else
        start_load(flight);
}

static void start_claim(struct gw_flight *flight)
{
    struct gw_ledger *ledger = flight->shard->flow->ledger;
    flight->claim = (struct gw_claim){
        .op = {.env = env_of(flight), .done = on_claimed},
        .delivery = flight->pending->delivery,
        .lease_ms = timeout_ms(flight) + LEASE_MARGIN_MS,
    };
    flight->stage = GW_FLIGHT_CLAIM;
    flight->asked_us = gw_env_mono_us(env_of(flight));
    flight->asked_ms = gw_env_wall_ms(env_of(flight));
    gw_ledger_claim(ledger, &flight->claim);
}

/* ── Its slot ──────────────────────────────────────────────────────────────────────────────── */

static void on_slot_time(struct gw_timer *timer)
{
    struct gw_flight *flight = gw_container_of(timer, struct gw_flight, again);
    if (flight->shard->draining)
        gw_attempt_abandon(flight);
    else
        start_claim(flight);
}

/* One that is soon is waited for in the place it has; for another one comes back. */
static void take_slot(struct gw_flight *flight, int64_t at_ms)
{
    struct gw_pending *pending = flight->pending;
    int64_t wait_ms = at_ms - gw_env_wall_ms(env_of(flight));
    if (wait_ms > GW_WATCH_LONG_MS || pending->watch->is_given_back) {
        gw_watch_slot(pending, at_ms);
        gw_attempt_free(flight);
        gw_schedule_forget(pending);
        return;
    }
    flight->again.fire = on_slot_time;
    if (wait_ms > 0)
        gw_env_timer_set(env_of(flight), &flight->again, wait_ms);
    else
        start_claim(flight);
}

static void on_slot(struct gw_op *op)
{
    struct gw_slot *slot = gw_container_of(op, struct gw_slot, op);
    struct gw_flight *flight = gw_container_of(slot, struct gw_flight, slot);
    if (op->err == GW_OK)
        take_slot(flight, slot->at_ms);
    else
        hand_back(flight, op->again_ms > HAND_BACK_MS ? op->again_ms : HAND_BACK_MS);
}

/* Whoever came back for its slot has it; all else of its message asks anew, for who else comes knows
 * of none: that slot is lost then, and the target gets one attempt fewer. */
static void start_slot(struct gw_flight *flight)
{
    struct gw_pending *pending = flight->pending;
    const struct gw_target *target = pending->target;
    struct gw_watch *watch = pending->watch;
    flight->stage = GW_FLIGHT_SLOT;
    if (!watch || !target->paced) {
        start_claim(flight);
    } else if (gw_id_eq(&watch->slot.delivery_id, &pending->delivery.id)) {
        watch->slot.delivery_id.len = 0; /* it has one, once */
        take_slot(flight, watch->slot.at_ms);
    } else {
        flight->slot = (struct gw_slot){
            .op = {.env = env_of(flight), .done = on_slot},
            .app_id = target->app->app_id,
            .url = gw_target_url(target),
            .per_second = target->paced,
            .now_ms = gw_env_wall_ms(env_of(flight)),
        };
        gw_pace_slot(flight->shard->flow->pace, &flight->slot);
    }
}

/* ── Its config ────────────────────────────────────────────────────────────────────────────── */

/* What is in force now may hold it, or lead it elsewhere. */
static void on_config(struct gw_snapshot_wait *wait, struct gw_snapshot *snapshot, enum gw_err err)
{
    struct gw_flight *flight = gw_container_of(wait, struct gw_flight, wait);
    struct gw_pending *pending = flight->pending;
    (void)err;
    if (!snapshot)
        hand_back(flight, HAND_BACK_MS);
    else if (flight->shard->draining || pending->lane->target != pending->target)
        gw_attempt_abandon(flight);
    else
        start_slot(flight);
}

static void start_config(struct gw_flight *flight)
{
    struct gw_slice app_id = flight->pending->lane->app->app_id;
    if (!flight->pending->watch || gw_snapshots_peek(flight->shard, app_id)) {
        start_slot(flight);
        return;
    }
    flight->stage = GW_FLIGHT_CONFIG;
    flight->wait.ready = on_config;
    gw_snapshots_load(flight->shard, app_id, &flight->wait);
}

void gw_attempt_start(struct gw_shard *shard, struct gw_pending *pending)
{
    struct gw_flight *flight = gw_zalloc(sizeof(*flight));
    flight->shard = shard;
    flight->pending = pending;
    gw_list_push(&shard->schedule->flights, &flight->link);
    gw_shard_begin(shard);
    start_config(flight);
}

void gw_attempt_cut(struct gw_flight *flight)
{
    struct gw_env *env = env_of(flight);
    switch (flight->stage) {
    case GW_FLIGHT_POST: gw_post_cancel(&flight->post); break;
    case GW_FLIGHT_CONFIG: gw_list_remove(&flight->wait.link); break;
    case GW_FLIGHT_SLOT:
    case GW_FLIGHT_CLAIM:
    case GW_FLIGHT_LOAD:
    case GW_FLIGHT_SETTLE:
        if (!gw_heap_linked(&flight->again.node))
            return; /* the ledger has it, and will answer */
        gw_env_timer_stop(env, &flight->again);
        break;
    }
    gw_attempt_abandon(flight);
}
