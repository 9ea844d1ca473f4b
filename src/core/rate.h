/* rate.h: not more than so many in any second. Pure.
 *
 * Counts by slots of 50 ms: what began in this one and the 20 before lies within a second and a bit,
 * so a limit is never passed, whichever second one looks at, and met to a twentieth. */
#pragma once

#include <stdint.h>

#define GW_RATE_SLOT_US ((int64_t)50000)
#define GW_RATE_SLOTS   21

/* All zeroes = nothing began yet. */
struct gw_rate {
    int64_t slot; /* the newest */
    uint32_t counts[GW_RATE_SLOTS];
};

/* How long until one more may begin; 0 = now. `limit` a second, > 0. */
int64_t gw_rate_wait_us(const struct gw_rate *rate, uint32_t limit, int64_t now_us);

/* One begins. */
void gw_rate_take(struct gw_rate *rate, int64_t now_us);
