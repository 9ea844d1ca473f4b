/* route.c: which lanes an event goes to. Owns nothing; pure.
 *
 * Invariant: with skip NONE there is at least one route, and no URL twice. */
#include "core/route.h"

/* Of the metadata only what the config names counts, and only where it could have stood in a body. */
static struct gw_slice workflow_id(const struct gw_config *config, const struct gw_event *event)
{
    static const char name[] = "workflowId";
    bool counts = false;

    for (size_t i = 0; i < config->metadata_key_count; i++)
        counts = counts || gw_slice_eq_nocase(config->metadata_keys[i], gw_slice_from(name));
    for (size_t i = 0; counts && i < event->metadata_count; i++) {
        const struct gw_metadata *metadata = &event->metadata[i];
        if (gw_slice_eq_nocase(metadata->name, gw_slice_from(name)) &&
            gw_name_check(name, metadata->value, NULL) == GW_OK)
            return metadata->value;
    }
    return event->workflow_id;
}

static const struct gw_workflow *find_workflow(const struct gw_config *config, struct gw_slice id)
{
    for (size_t i = 0; id.ptr && i < config->workflow_count; i++)
        if (gw_slice_eq(config->workflows[i].id, id))
            return &config->workflows[i];
    return NULL;
}

static enum gw_skip skip_of(const struct gw_config *config, const struct gw_event *event)
{
    if (!config->is_active)
        return GW_SKIP_INACTIVE;
    if (config->filter && !gw_pattern_match(config->filter, event->body))
        return GW_SKIP_FILTERED;
    return GW_SKIP_NONE;
}

struct gw_routing gw_route(const struct gw_snapshot *snapshot, const struct gw_event *event)
{
    struct gw_routing routing = {.skip = GW_SKIP_NO_CONFIG, .workflow_id = event->workflow_id};

    routing.config = gw_snapshot_config(snapshot, event->event_type);
    if (routing.config == NULL)
        routing.config = gw_snapshot_config(snapshot, GW_SLICE("*"));
    if (routing.config == NULL)
        return routing;
    routing.workflow_id = workflow_id(routing.config, event);
    routing.skip = skip_of(routing.config, event);
    if (routing.skip != GW_SKIP_NONE)
        return routing;
    const struct gw_workflow *workflow = find_workflow(routing.config, routing.workflow_id);
    if (workflow == NULL) {
        routing.routes[routing.count++] = &routing.config->routes[0];
        return routing;
    }
    for (size_t i = 0; i < workflow->route_count; i++)
        routing.routes[routing.count++] = &routing.config->routes[workflow->routes[i]];
    return routing;
}
