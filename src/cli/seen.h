/* seen.h: which webhooks have come before, by webhook-id. Pure. */
#pragma once

#include "base/map.h"

/* All zeroes is an empty one. Ceiling: GW_SEEN_MAX ids, then all are forgotten. */
struct gw_seen {
    struct gw_map ids;
};

#define GW_SEEN_MAX 100000

/* What was known of one before it came now. */
struct gw_seen_before {
    int64_t times;
    bool was_taken; /* gw_seen_taken was called for it */
    bool is_same;   /* as the last time: the same signature, of the same attempt */
};

/* Notes that it came. Without a signature (len 0) it is never the same. */
struct gw_seen_before gw_seen_note(struct gw_seen *seen, struct gw_slice id,
                                   struct gw_slice signature, struct gw_slice attempt);

/* Notes that it was answered well. */
void gw_seen_taken(struct gw_seen *seen, struct gw_slice id);

void gw_seen_deinit(struct gw_seen *seen);
