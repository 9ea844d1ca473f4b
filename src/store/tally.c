/* tally.c: see tally.h. */
#include "store/tally.h"

#include "base/alloc.h"
#include "base/check.h"

static const char *const names[] = {
    [GW_TALLY_RECEIVED] = "received",   [GW_TALLY_ROUTED] = "routed",
    [GW_TALLY_NO_CONFIG] = "no_config", [GW_TALLY_INACTIVE] = "inactive",
    [GW_TALLY_FILTERED] = "filtered",   [GW_TALLY_DUPLICATE] = "duplicate",
    [GW_TALLY_CREATED] = "created",     [GW_TALLY_REPLAYED] = "replayed",
    [GW_TALLY_DELIVERED] = "delivered", [GW_TALLY_DEAD] = "dead",
    [GW_TALLY_CANCELLED] = "cancelled", [GW_TALLY_FAILED] = "failed_attempts",
};
_Static_assert(gw_count(names) == GW_TALLY_COUNTS, "a name is missing");

const char *gw_tally_name(enum gw_tally_count count)
{
    gw_check((size_t)count < GW_TALLY_COUNTS);
    return names[count];
}

enum gw_tally_count gw_tally_of_skip(enum gw_skip skip)
{
    switch (skip) {
    case GW_SKIP_NONE: return GW_TALLY_ROUTED;
    case GW_SKIP_NO_CONFIG: return GW_TALLY_NO_CONFIG;
    case GW_SKIP_INACTIVE: return GW_TALLY_INACTIVE;
    case GW_SKIP_FILTERED: return GW_TALLY_FILTERED;
    }
    gw_never("an unknown reason to skip");
}

enum gw_tally_count gw_tally_of_state(enum gw_delivery_state state)
{
    switch (state) {
    case GW_DELIVERY_DELIVERED: return GW_TALLY_DELIVERED;
    case GW_DELIVERY_DEAD: return GW_TALLY_DEAD;
    case GW_DELIVERY_CANCELLED: return GW_TALLY_CANCELLED;
    case GW_DELIVERY_PENDING: break;
    }
    gw_never("what is pending is not counted");
}

void gw_tally_add(struct gw_tally *tally, const struct gw_tally *more)
{
    for (size_t i = 0; i < GW_TALLY_COUNTS; i++)
        tally->of[i] += more->of[i];
}

int64_t gw_floor_ms(int64_t ms, int64_t span_ms)
{
    int64_t into = ms % span_ms;

    return ms - into - (into < 0 ? span_ms : 0);
}

int64_t gw_hour_of(int64_t ms)
{
    return gw_floor_ms(ms, GW_HOUR_MS);
}
