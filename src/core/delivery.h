/* delivery.h: one event owed to one target; its states and the one function that steps them. Pure.
 * The drawing is at the top of delivery.c. */
#pragma once

#include "base/id.h"
#include "core/outcome.h"
#include "core/retry.h"

/* Stored: numbers are for ever. `held` is never stored: it is PENDING, told apart when asked. */
enum gw_delivery_state {
    GW_DELIVERY_PENDING = 0,
    GW_DELIVERY_DELIVERED = 1,
    GW_DELIVERY_DEAD = 2,
    GW_DELIVERY_CANCELLED = 3,
};

const char *gw_delivery_state_name(enum gw_delivery_state state);

/* Why it ended as it did; stored with the row. */
enum gw_end_reason {
    GW_END_NONE = 0,
    GW_END_DELIVERED = 1,
    GW_END_BUDGET_SPENT = 2,    /* dead: the schedule is used up */
    GW_END_GONE = 3,            /* dead: 410 */
    GW_END_EXPIRED = 4,         /* dead: given up */
    GW_END_CONFIG_DELETED = 5,  /* cancelled */
    GW_END_URL_REMOVED = 6,     /* cancelled: the workflow lists it no more */
    GW_END_RETENTION = 7,       /* dead: its segment went */
    GW_END_PAYLOAD_GONE = 8,    /* dead */
    GW_END_PAYLOAD_CHANGED = 9, /* dead */
};

const char *gw_end_reason_name(enum gw_end_reason reason);
const char *gw_end_reason_text(enum gw_end_reason reason); /* a sentence for people */

struct gw_delivery {
    struct gw_id id;
    struct gw_id message_id;
    uint64_t lane;  /* what it waits in: see config.h */
    uint64_t order; /* among those due at the same time; the store's */
    enum gw_delivery_state state;
    enum gw_end_reason reason;
    uint32_t attempts; /* recorded; the next one is attempts + 1 */
    uint32_t step;     /* of the schedule: failures that used one up */
    int64_t due_ms;    /* PENDING: when the next attempt may start; 0 = a manual retry, at once */
    int64_t resume_ms; /* 0 = ordinary. Else a manual retry is due, and when it fails due_ms goes
                          back to this; GW_NEVER = it was dead, and will be again */
    int64_t created_ms;
    int64_t ended_ms; /* 0 while pending */
};

/* After an attempt. `retry` is the config's of now, `random` uniform in 32 bits. Returns the state
 * after it; attempts is one higher. */
struct gw_delivery gw_delivery_after_attempt(const struct gw_delivery *delivery,
                                             enum gw_outcome outcome, int status,
                                             int64_t retry_after_ms, const struct gw_retry *retry,
                                             int64_t now_ms, uint32_t random);

/* Ended without an attempt: CANCELLED or DEAD by that reason. */
struct gw_delivery gw_delivery_end(const struct gw_delivery *delivery, enum gw_end_reason reason,
                                   int64_t now_ms);

/* A manual retry: PENDING gets due_ms 0 and remembers its own due time; DEAD is reopened for one
 * attempt. False for DELIVERED and CANCELLED, *delivery unchanged. A pending one that already has
 * a manual retry stays as it is (true). */
bool gw_delivery_retry(struct gw_delivery *delivery);
