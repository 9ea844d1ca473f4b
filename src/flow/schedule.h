/* schedule.h: what is due now, and whose turn it is.
 *
 * Deliveries wait in lanes; lanes lead to targets (appId, URL); a target has a place in the ring of
 * those with something due, or on the timer, or nowhere. See schedule.c for the rules of the mark
 * that bounds what memory holds. */
#pragma once

#include "core/health.h"
#include "flow/shard.h"

struct gw_lane;
struct gw_target;
struct gw_watch;

/* A delivery in memory: waiting in its lane's heap, or in flight. */
struct gw_pending {
    struct gw_heap_node node; /* (due_ms, order) */
    struct gw_list link;      /* its lane's list while it is in flight */
    struct gw_lane *lane;
    struct gw_target *target; /* while it is in flight: a lane may be re-pointed meanwhile */
    struct gw_delivery delivery;
    struct gw_message *message; /* NULL: to be loaded when needed */
    size_t body_bytes;          /* what it counts for in the shard's sum */
    bool is_stale;              /* in flight: what it has of its body may be erased by now */
    struct gw_watch *watch;     /* who waits for it; NULL = nobody */
    struct gw_list watched;     /* in its list */
};

struct gw_schedule *gw_schedule_create(struct gw_shard *shard);
void gw_schedule_destroy(struct gw_schedule *schedule);

/* At the start: these lanes have something open. */
void gw_schedule_open(struct gw_schedule *schedule, const struct gw_open_lane *lanes, size_t count);

/* Prepares an offer to `owner`; posting it brings its deliveries into memory there. `snapshot` is
 * what they were routed under. */
struct gw_offer *gw_schedule_offer_create(struct gw_shard *owner, struct gw_message *message,
                                          struct gw_snapshot *snapshot, size_t room);
/* The same for a manual retry: the delivery may be known already. */
struct gw_offer *gw_schedule_retry_create(struct gw_shard *owner, struct gw_slice app_id);
void gw_schedule_offer_destroy(struct gw_offer *offer); /* one that was not posted */

/* The ledger has erased payloads of the app: to be called when it has said so, on any thread. Its
 * shard forgets all bodies of the app; what may still be sent is read again, and what may not is gone.
 * A POST that has begun goes on. */
void gw_schedule_erase(struct gw_shard *owner, struct gw_slice app_id);

/* A change of the app's configs is in force. */
void gw_schedule_on_snapshot(struct gw_schedule *schedule, struct gw_snapshot *snapshot);

/* Starts whatever may start now, and sets the timer for what comes next. */
void gw_schedule_run(struct gw_schedule *schedule);

/* While the ledger takes no settles, no attempt starts. Counted: each stall needs its resume. */
void gw_schedule_stall(struct gw_schedule *schedule);
void gw_schedule_resume(struct gw_schedule *schedule);
bool gw_schedule_is_stalled(const struct gw_schedule *schedule);

/* ── For attempt.c and settle.c ────────────────────────────────────────────────────────────── */

/* Where the delivery goes, as the configs stand now. False: its lane leads nowhere or its time is
 * over (end it, by *reason), or it is held or leads to another target by now (*reason GW_END_NONE: put it back). */
bool gw_schedule_route(struct gw_pending *pending, struct gw_snapshot **snapshot,
                       struct gw_config **config, const struct gw_route **route,
                       enum gw_end_reason *reason);

/* When it ends, if it still waits then, as things stand. Of one in flight. */
int64_t gw_schedule_gives_up_ms(const struct gw_pending *pending, const struct gw_config *config);

/* The attempt is over. `next` is stored; or NULL: nothing was, and the delivery is pending as it
 * was. `attempt`: what its target is judged by; NULL: nothing was posted. Frees the pending or puts
 * it back in its lane. */
void gw_schedule_landed(struct gw_pending *pending, const struct gw_delivery *next,
                        const struct gw_health_attempt *attempt);

/* The attempt is over, and the ledger knows better: the delivery is dropped from memory. */
void gw_schedule_forget(struct gw_pending *pending);

/* For who watches it, before it leaves memory: somebody must come back at that (wall) time. */
void gw_watch_next(const struct gw_pending *pending, int64_t next_ms);
void gw_watch_slot(const struct gw_pending *pending, int64_t at_ms);
void gw_watch_must_look(const struct gw_pending *pending);

/* Attempts in flight are cut off: see gw_attempt_cut(). */
void gw_schedule_cut(struct gw_schedule *schedule);
