/* watch.h: deliveries that came together, and somebody who waits until this process has done what it
 * can for them now. Where the ledger is shared by many processes nothing is kept in memory that is not
 * due: who watches learns when the next of them is, and sees to it that somebody comes back then.
 *
 * A delivery of a watch leaves memory, and is told of here, when
 *   - it is final, or cancelled                       nothing more to send
 *   - it is held (inactive config, disabled target)   nothing either: whoever ends that wakes it
 *   - its next attempt is later                       next_ms, the due time
 *   - its target's gap or places keep it              next_ms, when that may be over; after `give_back`,
 *                                                     or at once when it is known to be long
 *   - its target's rate keeps it for long             slots, the moment that is its own
 *   - another process has it under way                next_ms, when its lease ends
 *   - the ledger knows it otherwise                   must_look: read it again
 *
 * Thread: the shard's. */
#pragma once

#include "flow/shard.h"

/* A moment at which a delivery, and no other, may go to a target with a rate. */
struct gw_watch_slot {
    struct gw_id delivery_id;
    int64_t at_ms; /* wall time */
};

struct gw_watch {
    /* in */
    struct gw_shard *shard;
    void (*done)(struct gw_watch *watch); /* from the loop, never inside a call of the watcher's */
    struct gw_watch_slot slot;            /* that one of them has; its id's len 0 = none */
    /* out */
    int64_t next_ms; /* wall time; GW_NEVER = no more to send, as far as is known */
    bool must_look;
    struct gw_watch_slot slots[GW_LANES_MAX]; /* of those that must come back for them */
    size_t slot_count;
    /* its own */
    size_t left; /* in memory */
    bool is_given_back;
    struct gw_list pendings; /* gw_pending.watched */
    struct gw_msg msg;
};

/* Brings the deliveries of a message that are open, as the ledger has them, into the schedule.
 * `message` has its body, or is NULL: it is read when it is needed. `snapshot` is the app's of now.
 * The watch must live until done; when none is open it is done on the next turn. */
void gw_watch_start(struct gw_watch *watch, struct gw_message *message,
                    struct gw_snapshot *snapshot, const struct gw_delivery *deliveries,
                    size_t count);

/* What has not begun leaves memory; what is under way ends as usual. */
void gw_watch_give_back(struct gw_watch *watch);
