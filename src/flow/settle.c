/* settle.c: owns the way of an outcome into the ledger.
 *
 *   outcome ─▶ step (core/delivery.c) ─▶ settle ─┬─ stored ──────▶ landed
 *                                                ├─ again, fatal ▶ stall; the same settle later
 *                                                ├─ stale ───────▶ forget: the ledger knows better
 *                                                └─ corrupt ─────▶ forget: its file was set aside
 *
 * An outcome is never dropped for want of space: the flight keeps it and asks again. No attempt
 * starts from the first "again" until that settle is stored: what would be posted meanwhile could not
 * be stored either, and would be posted again. Only the end of the grace time gives an outcome up. */
#include "flow/settle.h"

#include "base/log.h"
#include "flow/lanes.h"

#define AGAIN_MS 1000

static void count(struct gw_flight *flight)
{
    struct gw_shard *shard = flight->shard;
    if (flight->settle.attempt) {
        gw_shard_count(shard, GW_COUNT_OUTCOME + flight->post.record.outcome);
        gw_shard_took(shard, GW_DURATION_ATTEMPT, flight->post.record.total_us);
    }
    switch (flight->next.state) {
    case GW_DELIVERY_DELIVERED:
        gw_shard_count(shard, GW_COUNT_DELIVERED);
        gw_shard_took(shard, GW_DURATION_DELIVERY,
                      (flight->next.ended_ms - flight->next.created_ms) * 1000);
        break;
    case GW_DELIVERY_DEAD: gw_shard_count(shard, GW_COUNT_DEAD); break;
    case GW_DELIVERY_CANCELLED: gw_shard_count(shard, GW_COUNT_CANCELLED); break;
    case GW_DELIVERY_PENDING: break;
    }
}

static void start(struct gw_flight *flight)
{
    struct gw_ledger *ledger = flight->shard->flow->ledger;
    flight->stage = GW_FLIGHT_SETTLE;
    gw_ledger_settle(ledger, &flight->settle);
}

static void on_again(struct gw_timer *timer)
{
    struct gw_flight *flight = gw_container_of(timer, struct gw_flight, again);
    start(flight);
}

static void try_again(struct gw_flight *flight, const struct gw_op *op)
{
    gw_shard_count(flight->shard, GW_COUNT_SETTLE_AGAIN);
    if (flight->shard->is_cut) {
        gw_attempt_abandon(flight);
        return;
    }
    if (!flight->stalls)
        gw_schedule_stall(flight->shard->schedule);
    flight->stalls = true;
    flight->again.fire = on_again;
    gw_env_timer_set(flight->shard->env, &flight->again,
                     op->again_ms > 0 ? op->again_ms : AGAIN_MS);
}

/* What the target is judged by, once it is stored. */
static struct gw_health_attempt attempt_of(const struct gw_flight *flight)
{
    const struct gw_attempt *record = &flight->post.record;
    return (struct gw_health_attempt){
        .outcome = record->outcome,
        .status = record->status,
        .is_manual = flight->pending->delivery.resume_ms != 0,
        .begun_us = flight->post.begun_us,
        .ended_us = flight->post.begun_us + record->total_us,
    };
}

static void log_attempt(const struct gw_flight *flight, int64_t now_ms)
{
    const struct gw_post *post = &flight->post;
    gw_delivery_log_event(flight->shard->flow->log, now_ms,
                          &(struct gw_delivery_log_event){
                              .phase = GW_DELIVERY_LOG_POST,
                              .message = post->message,
                              .product = flight->config->product,
                              .payload_bytes = post->body.ptr ? (int64_t)post->body.len : -1,
                              .delivery_id = &flight->pending->delivery.id,
                              .attempt = &post->record,
                          });
}

/* What is stored: its attempt, and its failure. */
static void log_settled(const struct gw_flight *flight)
{
    const struct gw_attempt *attempt = flight->settle.attempt;
    const struct gw_message *message = flight->pending->message; /* NULL: ended unread */
    bool is_failure =
        attempt ? attempt->outcome != GW_OUTCOME_SUCCESS : flight->next.state == GW_DELIVERY_DEAD;
    int64_t now_ms = gw_env_wall_ms(flight->shard->env);
    if (attempt)
        log_attempt(flight, now_ms);
    if (!is_failure)
        return;
    gw_delivery_log_failure(
        flight->shard->flow->log, now_ms,
        &(struct gw_delivery_log_failure){
            .app_id = flight->pending->lane->app->app_id,
            .event_type = message ? message->event_type : (struct gw_slice){0},
            .attempt = attempt,
            .next = &flight->next,
            .failed_ms = attempt ? attempt->at_ms + attempt->total_us / 1000 : now_ms,
        });
}

static void on_settled(struct gw_op *op)
{
    struct gw_settle *settle = gw_container_of(op, struct gw_settle, op);
    struct gw_flight *flight = gw_container_of(settle, struct gw_flight, settle);
    struct gw_pending *pending = flight->pending;
    enum gw_err_class class = gw_err_class(op->err);
    if (class == GW_CLASS_AGAIN || (class == GW_CLASS_FATAL && op->err != GW_ERR_CORRUPT)) {
        try_again(flight, op);
        return;
    }
    if (flight->stalls)
        gw_schedule_resume(flight->shard->schedule);
    if (op->err != GW_OK) {
        char id[GW_ID_TEXT_MAX];
        gw_log(GW_LOG_WARN, "settle_refused",
               GW_SL("delivery", gw_id_text(GW_ID_DELIVERY, &pending->delivery.id, id)),
               GW_S("error", gw_err_name(op->err)));
        if (op->err != GW_ERR_NOT_FOUND)
            gw_watch_must_look(pending);
        gw_attempt_free(flight);
        gw_schedule_forget(pending);
        return;
    }
    count(flight);
    if (flight->shard->flow->log)
        log_settled(flight);
    struct gw_delivery next = flight->next;
    struct gw_health_attempt attempt = attempt_of(flight);
    bool was_attempted = settle->attempt != NULL;
    struct gw_shard *shard = flight->shard;
    gw_shard_begin(shard); /* what it says of its target is stored before the shard is idle */
    gw_attempt_free(flight);
    gw_schedule_landed(pending, &next, was_attempted ? &attempt : NULL);
    gw_shard_end(shard);
}

static void settle(struct gw_flight *flight, const struct gw_attempt *attempt)
{
    flight->settle.op = (struct gw_op){.env = flight->shard->env, .done = on_settled};
    flight->settle.attempt = attempt;
    flight->settle.next = flight->next;
    start(flight);
}

void gw_settle_attempt(struct gw_flight *flight)
{
    struct gw_env *env = flight->shard->env;
    const struct gw_attempt *record = &flight->post.record;
    uint32_t random = 0; /* for the jitter of a next try */
    if (record->outcome != GW_OUTCOME_SUCCESS)
        gw_env_random(env, &random, sizeof(random));
    flight->next = gw_delivery_after_attempt(&flight->pending->delivery, record->outcome,
                                             record->status, flight->post.retry_after_ms,
                                             &flight->config->retry, gw_env_wall_ms(env), random);
    int64_t end_ms = gw_schedule_gives_up_ms(flight->pending, flight->config);
    if (flight->next.due_ms > end_ms)
        flight->next.due_ms = end_ms; /* looked at again then, and ended */
    settle(flight, record);
}

void gw_settle_end(struct gw_flight *flight, enum gw_end_reason reason)
{
    flight->next =
        gw_delivery_end(&flight->pending->delivery, reason, gw_env_wall_ms(flight->shard->env));
    settle(flight, NULL);
}
