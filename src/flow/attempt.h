/* attempt.h: one attempt: claim, load, route, post.c; then settle.c.
 * The drawing is at the top of attempt.c. */
#pragma once

#include "flow/post.h"
#include "flow/schedule.h"
#include "flow/snapshots.h"

struct gw_flight {
    struct gw_shard *shard;
    struct gw_pending *pending;
    struct gw_list link; /* of the shard's flights */
    enum gw_flight_stage {
        GW_FLIGHT_CONFIG,
        GW_FLIGHT_SLOT,
        GW_FLIGHT_CLAIM,
        GW_FLIGHT_LOAD,
        GW_FLIGHT_POST,
        GW_FLIGHT_SETTLE,
    } stage;
    struct gw_arena arena;
    struct gw_snapshot *snapshot; /* the attempt keeps the one it began with */
    struct gw_config *config;
    const struct gw_route *route;
    struct gw_delivery next;    /* what the delivery becomes */
    int64_t asked_us, asked_ms; /* by both clocks, before the claim: its lease began later */
    /* one of these is under way at a time, by stage */
    struct gw_snapshot_wait wait;
    struct gw_slot slot;
    struct gw_claim claim;
    struct gw_load load;
    struct gw_post post;
    struct gw_settle settle;
    struct gw_timer again;
    bool stalls; /* its settle is waited for: see settle.c */
};

/* Starts an attempt of a delivery that was taken from its lane; ends in gw_schedule_landed(). */
void gw_attempt_start(struct gw_shard *shard, struct gw_pending *pending);

/* Cancels what waits for the outside world; what waits for the ledger goes on. */
void gw_attempt_cut(struct gw_flight *flight);

/* For settle.c: the flight is over; or it is, without a record: the delivery is pending as it was. */
void gw_attempt_free(struct gw_flight *flight);
void gw_attempt_abandon(struct gw_flight *flight);
