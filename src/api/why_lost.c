/* why_lost.c: words for what is not in the ledger: events that were refused, or are still to be
 * routed by a worker, and ids that nobody knows. Owns nothing; texts are in the arena or for ever. */
#include "api/why_impl.h"

/* ── Refused ───────────────────────────────────────────────────────────────────────────────── */

const char *gw_why_refused_summary(const struct gw_refusal *refusal, struct gw_arena *arena)
{
    return gw_arena_printf(arena,
                           "Refused: the producer was answered %d when it sent this event, so "
                           "nothing was stored and nothing is sent. The reason: %.*s.",
                           refusal->status, GW_SLICE_ARG(refusal->why));
}

const char *gw_why_refused_next(const struct gw_refusal *refusal)
{
    switch (refusal->status) {
    case 403:
        return "Nothing is sent. The producer used a key of another app: it must use a key of this "
               "appId, or one for any app, and send the event again.";
    case 413: return "Nothing is sent. The producer must make the event smaller and send it again.";
    case 429:
        return "Nothing is sent, unless the producer sends the event again, as Retry-After told "
               "it to: ask whether it did. If the app needs more, raise --intake-rate.";
    default:
        return "Nothing is sent. The producer must mend the event as the reason says and send it "
               "again; nothing can be replayed, for nothing was kept.";
    }
}

const char *gw_why_refused_detail(const struct gw_refusal *refusal, struct gw_arena *arena)
{
    return gw_arena_printf(arena, "The event was refused with %d%s%s%s%s: %.*s.", refusal->status,
                           gw_why_named(arena, "app", refusal->app_id),
                           gw_why_named(arena, "type", refusal->event_type),
                           gw_why_named(arena, "eventId", refusal->event_id),
                           gw_why_named(arena, "transactionId", refusal->transaction_id),
                           GW_SLICE_ARG(refusal->why));
}

/* ── Handed over ───────────────────────────────────────────────────────────────────────────── */

const char *gw_why_handed_over_summary(const struct gw_refusal *refusal, struct gw_arena *arena,
                                       int64_t now_ms)
{
    int64_t age_ms = now_ms > refusal->at_ms ? now_ms - refusal->at_ms : 0;
    return gw_arena_printf(arena,
                           "Waiting: the event was taken %s ago and lies in the bucket; no worker "
                           "has decided yet where it goes.",
                           gw_why_duration(arena, age_ms * 1000));
}

const char *gw_why_handed_over_next(void)
{
    return "It is routed by itself, usually within a second: ask again. If it stays so, see that a "
           "worker runs (gwh worker, or the Lambda function), that the bucket sends its notices to "
           "the queue, and what the dead-letter queue holds.";
}

const char *gw_why_handed_over_detail(const struct gw_refusal *refusal, struct gw_arena *arena)
{
    return gw_arena_printf(arena, "The event was taken and put in the bucket%s%s%s%s.",
                           gw_why_named(arena, "app", refusal->app_id),
                           gw_why_named(arena, "type", refusal->event_type),
                           gw_why_named(arena, "eventId", refusal->event_id),
                           gw_why_named(arena, "transactionId", refusal->transaction_id));
}

/* ── Unknown ───────────────────────────────────────────────────────────────────────────────── */

/* What people paste that is no id of ours, told by how it begins; the first row that fits counts. */
static const struct {
    const char *begins, *text;
} kinds[] = {
    {"https://",
     "This is a URL, not an id. For what goes to it: gwh deliveries --url URL; then ask about one "
     "of the ids in that list."},
    {"http://",
     "This is a URL, not an id. For what goes to it: gwh deliveries --url URL; then ask about one "
     "of the ids in that list."},
    {"whsec_",
     "This looks like a signing secret, not an id. Ask about a message, delivery, event or "
     "transaction id; and if others may have seen the secret, rotate it: gwh config rotate."},
    {"whpk_", "This looks like a public key, not an id. Ask about a message, delivery, event or "
              "transaction id."},
    {"key_",
     "This looks like the id of an API key: gwh keys list shows those. Ask about a message, "
     "delivery, event or transaction id."},
    {"msg_",
     "This looks like a message id, but there is no such message here: it is mistyped or cut off, "
     "of another server or another app, or its retention has ended. Compare it with what the "
     "client got as webhook-id, or ask about the eventId."},
    {"dlv_",
     "This looks like a delivery id, but there is no such delivery here: it is mistyped or cut "
     "off, of another server or another app, or its retention has ended. gwh deliveries lists "
     "those that are there."},
};

const char *gw_why_unknown(struct gw_slice id, const struct gw_snapshot *snapshot,
                           struct gw_arena *arena)
{
    for (size_t i = 0; i < gw_count(kinds); i++)
        if (gw_slice_starts(id, gw_slice_from(kinds[i].begins)))
            return kinds[i].text;
    if (snapshot && snapshot->config_count > 0)
        return gw_arena_printf(arena,
                               "This is an appId, not the id of an event. For what goes to the "
                               "app: gwh deliveries --app %.*s; then ask about one of the ids in "
                               "that list.",
                               GW_SLICE_ARG(id));
    return "Nobody knows this id: it is no message, delivery, event or transaction id that was "
           "seen here, or its retention has ended. Check its spelling, upper and lower case too; "
           "then ask the producer whether it sent the event, where to, and which answer it got: "
           "202 means that it is here.";
}
