/* wake.h: a message to ourselves, by way of a queue: that there is something to do for an event, or
 * for what is open in some lanes. JSON. Pure.
 *
 * As long as an event has something to send, a notice of it or a wake is in the queue. Waking what has
 * nothing to do does nothing. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/crypto.h"
#include "base/id.h"

#define GW_WAKE_LANES_MAX 1024

enum gw_wake_kind {
    GW_WAKE_MESSAGE, /* an event: what of it is due */
    GW_WAKE_LANES,   /* a job: wakes each event that has something open there, a slice at a time */
    GW_WAKE_TARGET,  /* a job: the same for the lanes that lead to a target */
};

struct gw_wake {
    enum gw_wake_kind kind;
    int64_t not_before_ms; /* wall time; earlier, it is sent on. A queue delays by 15 min at most */
    struct gw_id message_id; /* MESSAGE */
    struct gw_id slot_id;    /* MESSAGE: that delivery alone, whose slot it is; len 0 = all */
    struct gw_slice app_id;  /* of jobs */
    uint8_t target[GW_SHA256_BYTES]; /* TARGET: the hash of its URL, which may hold a token */
    const uint64_t *lanes;           /* LANES: 1 to GW_WAKE_LANES_MAX */
    size_t lane_count;
    struct gw_slice cursor; /* LANES: where the slice begins; ptr NULL = the beginning */
};

void gw_wake_write(const struct gw_wake *wake, struct gw_buf *out);

/* False: it is none. What it points to lives in the arena. */
bool gw_wake_read(struct gw_wake *wake, struct gw_slice json, struct gw_arena *arena);
