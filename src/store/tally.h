/* tally.h: what the ledger counts of the events of an hour, and of what became of them. Pure.
 *
 * Left sides are counted when an event is accepted, or a delivery added; ends when they are settled,
 * each in the transaction that does it, all in the hour in which the event was accepted; only a
 * duplicate counts in the hour in which it came. What is open is never kept as a number: it is
 * counted when asked for, so that the two sides can differ when something was lost. */
#pragma once

#include "core/delivery.h"
#include "core/message.h"

#define GW_HOUR_MS ((int64_t)3600000)
#define GW_DAY_MS  ((int64_t)86400000)

/* Stored by name in the order of columns; kept in step with sqlite_schema.c. */
enum gw_tally_count {
    GW_TALLY_RECEIVED, /* without duplicates */
    GW_TALLY_ROUTED,
    GW_TALLY_NO_CONFIG,
    GW_TALLY_INACTIVE,
    GW_TALLY_FILTERED,
    GW_TALLY_DUPLICATE,
    GW_TALLY_CREATED,  /* deliveries, replayed ones included */
    GW_TALLY_REPLAYED, /* those that were added later */
    GW_TALLY_DELIVERED,
    GW_TALLY_DEAD,
    GW_TALLY_CANCELLED,
    GW_TALLY_FAILED, /* attempts that were no success, in whatever the delivery ended */
};
#define GW_TALLY_COUNTS 12

struct gw_tally {
    int64_t of[GW_TALLY_COUNTS];
};

const char *gw_tally_name(enum gw_tally_count count); /* "no_config" */
/* The count of a skip reason, or of none: ROUTED. */
enum gw_tally_count gw_tally_of_skip(enum gw_skip skip);
/* The count of an end; not for PENDING. */
enum gw_tally_count gw_tally_of_state(enum gw_delivery_state state);
void gw_tally_add(struct gw_tally *tally, const struct gw_tally *more);

/* The beginning of the hour, or of another span of time, also before 1970. */
int64_t gw_hour_of(int64_t ms);
int64_t gw_floor_ms(int64_t ms, int64_t span_ms);
