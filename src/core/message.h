/* message.h: an accepted event. Immutable once the store has given it its id; shared between
 * attempts and threads by reference count. */
#pragma once

#include "base/id.h"
#include "core/event.h"

#include <stdatomic.h>

/* Why an event goes nowhere. Decided once, at intake; kept. */
enum gw_skip { GW_SKIP_NONE, GW_SKIP_NO_CONFIG, GW_SKIP_INACTIVE, GW_SKIP_FILTERED };
#define GW_SKIP_COUNT (GW_SKIP_FILTERED + 1)

const char *gw_skip_name(enum gw_skip skip); /* "no_config"; NULL for NONE */
bool gw_skip_parse(struct gw_slice text, enum gw_skip *skip);

struct gw_message {
    atomic_uint refs;
    struct gw_id id;     /* set by the store, once, before anybody else sees the message */
    int64_t accepted_ms; /* wall time */
    enum gw_skip skip;
    uint64_t config_version; /* of the config that routed it; 0 = none */
    struct gw_slice app_id, event_type;
    struct gw_slice event_id, transaction_id, workflow_id, event_time; /* ptr NULL = absent */
    struct gw_place place;
    struct gw_slice body; /* the producer's bytes; ptr NULL = not loaded */
};

/* One allocation with copies of everything; refs = 1. `id` is still empty. */
struct gw_message *gw_message_create(const struct gw_event *event, int64_t accepted_ms);
/* A copy in the arena, without body and references. */
struct gw_message *gw_message_in(struct gw_arena *arena, const struct gw_message *from);
struct gw_message *gw_message_ref(struct gw_message *message);
void gw_message_unref(struct gw_message *message); /* NULL is fine; the last one frees it */
