/* rate.c: see rate.h. The count of slot s stands at s modulo GW_RATE_SLOTS. Time is monotonic and
 * not negative; a count that would not fit stays at its ceiling, far beyond any limit. */
#include "core/rate.h"

#include "base/check.h"

#include <stddef.h>

static size_t place(int64_t slot)
{
    return (size_t)(slot % GW_RATE_SLOTS);
}

int64_t gw_rate_wait_us(const struct gw_rate *rate, uint32_t limit, int64_t now_us)
{
    int64_t now_slot = now_us / GW_RATE_SLOT_US;
    uint64_t sum = 0;

    gw_check(limit > 0 && now_us >= 0);
    /* From the newest back: at the first slot with which there are too many, that one must go. */
    for (int64_t slot = rate->slot; slot > now_slot - GW_RATE_SLOTS; slot--) {
        if (slot < 0 || slot <= rate->slot - GW_RATE_SLOTS)
            break;
        sum += rate->counts[place(slot)];
        if (sum >= limit)
            return (slot + GW_RATE_SLOTS) * GW_RATE_SLOT_US - now_us;
    }
    return 0;
}

void gw_rate_take(struct gw_rate *rate, int64_t now_us)
{
    int64_t now_slot = now_us / GW_RATE_SLOT_US;
    int64_t stale = now_slot - rate->slot;

    for (int64_t i = 0; i < stale && i < GW_RATE_SLOTS && i <= now_slot; i++)
        rate->counts[place(now_slot - i)] = 0;
    if (now_slot > rate->slot)
        rate->slot = now_slot;
    uint32_t *count = &rate->counts[place(rate->slot)];
    if (*count < UINT32_MAX)
        ++*count;
}
