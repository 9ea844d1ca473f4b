/* route.h: an event and a snapshot in, the lanes out. Pure. Routing is decided once, at intake. */
#pragma once

#include "core/config.h"
#include "core/message.h"

#define GW_LANES_MAX GW_CONFIG_WORKFLOW_URLS_MAX

struct gw_routing {
    enum gw_skip skip;           /* not NONE: count is 0 */
    struct gw_config *config;    /* not referenced; the snapshot's. NULL with no_config */
    struct gw_slice workflow_id; /* that counted: the event's, or its metadata's; ptr NULL = none */
    const struct gw_route *routes[GW_LANES_MAX];
    size_t count;
};

/* The config of the event's type, else of "*". An event that its filter does not match is skipped;
 * one whose workflow is a key of `workflows` goes to those URLs instead of webhookUrl. Needs the
 * event's body where there is a filter. */
struct gw_routing gw_route(const struct gw_snapshot *snapshot, const struct gw_event *event);
