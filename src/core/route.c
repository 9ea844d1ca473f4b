/* route.c: which lanes an event goes to. Owns nothing; pure.
 *
 * Invariant: with skip NONE there is at least one route, and no URL twice. */
#include "core/route.h"

static const struct gw_workflow *find_workflow(const struct gw_config *config, struct gw_slice id)
{
    for (size_t i = 0; id.ptr && i < config->workflow_count; i++)
        if (gw_slice_eq(config->workflows[i].id, id))
            return &config->workflows[i];
    return NULL;
}

struct gw_routing gw_route(const struct gw_snapshot *snapshot, const struct gw_event *event)
{
    struct gw_routing routing = {.skip = GW_SKIP_NO_CONFIG};

    routing.config = gw_snapshot_config(snapshot, event->event_type);
    if (routing.config == NULL)
        routing.config = gw_snapshot_config(snapshot, GW_SLICE("*"));
    if (routing.config == NULL)
        return routing;
    routing.skip = routing.config->is_active ? GW_SKIP_NONE : GW_SKIP_INACTIVE;
    if (routing.skip != GW_SKIP_NONE)
        return routing;
    const struct gw_workflow *workflow = find_workflow(routing.config, event->workflow_id);
    if (workflow == NULL) {
        routing.routes[routing.count++] = &routing.config->routes[0];
        return routing;
    }
    for (size_t i = 0; i < workflow->route_count; i++)
        routing.routes[routing.count++] = &routing.config->routes[workflow->routes[i]];
    return routing;
}
