/* refused.h: events that came and are not in the ledger, remembered for a while so that support can
 * tell that they came: refused at intake, or handed over to a worker that is still to route them. Ids
 * and the reason only. */
#pragma once

#include "api/api_impl.h"
#include "core/event.h"

#define GW_REFUSED_MAX       4096 /* of each shard; the oldest are forgotten first */
#define GW_REFUSED_FOUND_MAX 20   /* the newest that one question finds */

#define GW_HANDED_OVER_MAX     16384 /* of each shard */
#define GW_HANDED_OVER_KEEP_MS ((int64_t)15 * 60000)

struct gw_refusal {
    int64_t at_ms;
    int status;            /* what the producer was answered; 202: it is handed over */
    struct gw_id id;       /* with 202 */
    struct gw_slice scope; /* the app that may see it; ptr NULL = only who may see any */
    struct gw_slice app_id, event_type, event_id, transaction_id; /* ptr NULL = not there, or
                                                                     what was wrong */
    struct gw_slice why;
};

struct gw_refused;

/* `max` of them, and none older than keep_ms; 0 = of any age. */
struct gw_refused *gw_refused_create(size_t max, int64_t keep_ms);
void gw_refused_destroy(struct gw_refused *refused);

/* Keeps a copy; one that has no id nobody could ask for, and is not kept. */
void gw_refused_add(struct gw_refused *refused, const struct gw_refusal *refusal);

struct gw_refused_ask {
    /* in */
    struct gw_api_request *request;
    struct gw_slice id; /* an eventId or transactionId, or a message's */
    void (*done)(struct gw_refused_ask *ask);
    /* out: what the caller may see, newest first; in the request's arena */
    struct gw_refusal items[GW_REFUSED_FOUND_MAX];
    size_t count;
    /* its own */
    struct gw_msg msg;
    struct gw_arena arena;
    size_t shard;
    struct gw_id message_id;
    bool has_message_id; /* `id` is one */
};

static inline bool gw_refusal_is_handed_over(const struct gw_refusal *refusal)
{
    return refusal->status == 202;
}

/* Asks all shards; done comes on the request's loop, never inside. */
void gw_refused_start(struct gw_refused_ask *ask);
