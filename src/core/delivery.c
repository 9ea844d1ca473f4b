/* delivery.c: the states of a delivery and the only code that steps them. Pure.
 *
 *                 gw_delivery_after_attempt
 *  PENDING(due) ─────────attempt─────────▶ 2xx ────────────────────────────▶ DELIVERED
 *     ▲  ▲                                  │ failed, a step left: settle_failure
 *     │  └──────────── PENDING(next) ◀──────┤
 *     │                                     │ failed, schedule used up: settle_failure
 *     │                                     │ 410: bury(GONE)
 *     │                                     └──────────────────────────────▶ DEAD
 *     │                                                                       ▲ │
 *     │          gw_delivery_end(expired, retention, payload …) ──────────────┘ │
 *     │                                                                         │
 *     └── gw_delivery_retry, reopened for one attempt (resume = never) ◀────────┘
 *
 *  PENDING ─ gw_delivery_retry ─▶ PENDING(due 0, resume = its own due time)
 *     a manual retry, settle_manual:  2xx ─▶ DELIVERED
 *                                     failed, was pending ─▶ PENDING(due = resume), same step
 *                                     failed, was dead ────▶ DEAD
 *                                     410 ─────────────────▶ DEAD
 *  PENDING ─ gw_delivery_end(config deleted, URL removed) ─▶ CANCELLED
 *  ended while an attempt was in flight: 2xx ─▶ DELIVERED, else it stays as it ended
 *
 * `held` is no state: it is PENDING under an inactive config or for a disabled target, told apart
 * when asked. A replay is a new delivery.
 *
 * Invariants: `attempts` never goes down; `step` counts failures of the schedule only; a row that
 * has ended has ended_ms > 0, due_ms 0 and resume_ms 0; DELIVERED is never left. */
#include "core/delivery.h"

#include "base/check.h"
#include "base/timefmt.h"

const char *gw_delivery_state_name(enum gw_delivery_state state)
{
    switch (state) {
    case GW_DELIVERY_PENDING: return "pending";
    case GW_DELIVERY_DELIVERED: return "delivered";
    case GW_DELIVERY_DEAD: return "dead";
    case GW_DELIVERY_CANCELLED: return "cancelled";
    }
    gw_never("an unknown delivery state");
}

const char *gw_end_reason_name(enum gw_end_reason reason)
{
    switch (reason) {
    case GW_END_NONE: return "none";
    case GW_END_DELIVERED: return "delivered";
    case GW_END_BUDGET_SPENT: return "budget_spent";
    case GW_END_GONE: return "gone";
    case GW_END_EXPIRED: return "expired";
    case GW_END_CONFIG_DELETED: return "config_deleted";
    case GW_END_URL_REMOVED: return "url_removed";
    case GW_END_RETENTION: return "retention";
    case GW_END_PAYLOAD_GONE: return "payload_gone";
    case GW_END_PAYLOAD_CHANGED: return "payload_changed";
    }
    gw_never("an unknown end reason");
}

const char *gw_end_reason_text(enum gw_end_reason reason)
{
    switch (reason) {
    case GW_END_NONE: return "It has not ended.";
    case GW_END_DELIVERED: return "The target answered with a 2xx status.";
    case GW_END_BUDGET_SPENT: return "Every attempt failed and the retry schedule is used up.";
    case GW_END_GONE: return "The target answered 410 Gone, which ends it at once.";
    case GW_END_EXPIRED:
        return "It was given up: it could not be delivered within 72 hours of the end of its "
               "schedule.";
    case GW_END_CONFIG_DELETED: return "The config that routed it was deleted.";
    case GW_END_URL_REMOVED: return "Its URL was removed from the workflow that listed it.";
    case GW_END_RETENTION: return "Its retention ended before it could be delivered.";
    case GW_END_PAYLOAD_GONE: return "The payload that was accepted is there no more.";
    case GW_END_PAYLOAD_CHANGED:
        return "The payload is not the one that was accepted: the stored object was replaced.";
    }
    gw_never("an unknown end reason");
}

static void finish(struct gw_delivery *d, enum gw_delivery_state state, enum gw_end_reason reason,
                   int64_t now_ms)
{
    d->state = state;
    d->reason = reason;
    d->due_ms = 0;
    d->resume_ms = 0;
    d->ended_ms = now_ms;
}

static void bury(struct gw_delivery *d, enum gw_end_reason reason, int64_t now_ms)
{
    finish(d, GW_DELIVERY_DEAD, reason, now_ms);
}

static void settle_manual(struct gw_delivery *d, int64_t retry_after_ms, int64_t now_ms)
{
    if (d->resume_ms == GW_NEVER) {
        bury(d, GW_END_BUDGET_SPENT, now_ms);
        return;
    }
    d->due_ms = gw_retry_resume_ms(d->resume_ms, retry_after_ms, now_ms);
    d->resume_ms = 0;
}

static void settle_failure(struct gw_delivery *d, int64_t retry_after_ms,
                           const struct gw_retry *retry, int64_t now_ms, uint32_t random)
{
    int64_t due_ms = gw_retry_next_ms(retry, d->step, retry_after_ms, now_ms, random);

    d->step++;
    if (due_ms == GW_NEVER)
        bury(d, GW_END_BUDGET_SPENT, now_ms);
    else
        d->due_ms = due_ms;
}

struct gw_delivery gw_delivery_after_attempt(const struct gw_delivery *delivery,
                                             enum gw_outcome outcome, int status,
                                             int64_t retry_after_ms, const struct gw_retry *retry,
                                             int64_t now_ms, uint32_t random)
{
    struct gw_delivery d = *delivery;
    enum gw_verdict verdict = gw_outcome_verdict(outcome, status);

    gw_check(d.state != GW_DELIVERY_DELIVERED);
    d.attempts++;
    if (verdict == GW_VERDICT_DONE)
        finish(&d, GW_DELIVERY_DELIVERED, GW_END_DELIVERED, now_ms);
    else if (d.state != GW_DELIVERY_PENDING)
        return d;
    else if (verdict == GW_VERDICT_GONE)
        bury(&d, GW_END_GONE, now_ms);
    else if (d.resume_ms != 0)
        settle_manual(&d, retry_after_ms, now_ms);
    else
        settle_failure(&d, retry_after_ms, retry, now_ms, random);
    return d;
}

struct gw_delivery gw_delivery_end(const struct gw_delivery *delivery, enum gw_end_reason reason,
                                   int64_t now_ms)
{
    struct gw_delivery d = *delivery;
    bool is_cancel = reason == GW_END_CONFIG_DELETED || reason == GW_END_URL_REMOVED;

    gw_check(d.state == GW_DELIVERY_PENDING);
    gw_check(reason != GW_END_NONE && reason != GW_END_DELIVERED);
    finish(&d, is_cancel ? GW_DELIVERY_CANCELLED : GW_DELIVERY_DEAD, reason, now_ms);
    return d;
}

bool gw_delivery_retry(struct gw_delivery *delivery)
{
    switch (delivery->state) {
    case GW_DELIVERY_PENDING:
        if (delivery->resume_ms == 0) {
            delivery->resume_ms = delivery->due_ms;
            delivery->due_ms = 0;
        }
        return true;
    case GW_DELIVERY_DEAD:
        delivery->state = GW_DELIVERY_PENDING;
        delivery->reason = GW_END_NONE;
        delivery->ended_ms = 0;
        delivery->due_ms = 0;
        delivery->resume_ms = GW_NEVER;
        return true;
    case GW_DELIVERY_DELIVERED:
    case GW_DELIVERY_CANCELLED: break;
    }
    return false;
}
