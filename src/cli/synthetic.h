/* synthetic.h: events like those of two producers, made up: for demonstrations and load. Pure:
 * randomness and time are arguments. Nothing in them could be taken for a person's data.
 *
 * Events belong together as real ones do: a transaction begins, goes on, and ends. */
#pragma once

#include "base/buf.h"

enum gw_producer { GW_AUDIT_PORTAL, GW_LINK_KYC };

bool gw_producer_parse(struct gw_slice text, enum gw_producer *producer);

#define GW_SYNTHETIC_OPEN 24 /* transactions under way */

struct gw_synthetic_transaction {
    char id[28]; /* "" = none */
    unsigned app, workflow, stage;
};

struct gw_synthetic {
    enum gw_producer producer;
    const char *const *apps; /* the appIds that events are of */
    size_t app_count;
    struct gw_synthetic_transaction open[GW_SYNTHETIC_OPEN];
};

#define GW_SYNTHETIC_TYPES 4 /* at most, of one producer */

/* Appends one event, as JSON. Returns its eventType. */
const char *gw_synthetic_event(struct gw_synthetic *s, int64_t now_ms, const uint8_t random[32],
                               struct gw_buf *out);
