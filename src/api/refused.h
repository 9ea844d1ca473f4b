/* refused.h: events that were refused at intake, remembered for a while so that support can tell that
 * they came. Ids and the reason only. */
#pragma once

#include "api/api_impl.h"
#include "core/event.h"

#define GW_REFUSED_MAX       4096 /* of each shard; the oldest are forgotten first */
#define GW_REFUSED_FOUND_MAX 20   /* the newest that one question finds */

struct gw_refusal {
    int64_t at_ms;
    int status;            /* what the producer was answered */
    struct gw_slice scope; /* the app that may see it; ptr NULL = only who may see any */
    struct gw_slice app_id, event_type, event_id, transaction_id; /* ptr NULL = not there, or
                                                                     what was wrong */
    struct gw_slice why;
};

struct gw_refused;

struct gw_refused *gw_refused_create(void);
void gw_refused_destroy(struct gw_refused *refused);

/* Keeps a copy; one without an eventId and a transactionId nobody could ask for, and is not kept. */
void gw_refused_add(struct gw_refused *refused, const struct gw_refusal *refusal);

struct gw_refused_ask {
    /* in */
    struct gw_api_request *request;
    struct gw_slice id; /* an eventId or transactionId */
    void (*done)(struct gw_refused_ask *ask);
    /* out: what the caller may see, newest first; in the request's arena */
    struct gw_refusal items[GW_REFUSED_FOUND_MAX];
    size_t count;
    /* its own */
    struct gw_msg msg;
    struct gw_arena arena;
    size_t shard;
};

/* Asks all shards; done comes on the request's loop, never inside. */
void gw_refused_start(struct gw_refused_ask *ask);
