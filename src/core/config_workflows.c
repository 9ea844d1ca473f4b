/* config_workflows.c: `workflows`: which URLs an event goes to instead of webhookUrl. Pure.
 *
 * Invariants: a URL that several workflows list is one route; within a workflow each route stands
 * once, and there is at least one: an event is never routed to nowhere. */
#include "base/alloc.h"
#include "core/config_impl.h"
#include "core/event.h"

#include <stdio.h>

#define FIELD_TEXT_MAX (GW_STRICT_CUT_BYTES + 48)

/* The route of a workflow's URL, which several workflows of the config may share. */
static enum gw_err add_route(struct gw_config_parse *parse, const char *field, yyjson_val *value,
                             size_t *index)
{
    struct gw_config *config = parse->config;
    struct gw_route *route = &config->routes[config->route_count];

    if (yyjson_is_str(value)) {
        for (size_t i = 1; i < config->route_count; i++) {
            if (gw_slice_eq(config->routes[i].url.text, gw_strict_str(value))) {
                *index = i;
                return GW_OK;
            }
        }
    }
    *route = (struct gw_route){0};
    enum gw_err err = gw_config_url_parse(parse, field, value, &route->url);
    if (err == GW_OK)
        *index = config->route_count++;
    return err;
}

static enum gw_err parse_workflow(struct gw_config_parse *parse, yyjson_val *key, yyjson_val *urls)
{
    struct gw_config *config = parse->config;
    struct gw_slice id = gw_strict_str(key), shown = gw_strict_cut(id);
    size_t *routes = gw_arena_alloc(&config->arena, yyjson_arr_size(urls) * sizeof(*routes));
    size_t count = 0, at, max;
    char field[FIELD_TEXT_MAX];
    yyjson_val *url;

    yyjson_arr_foreach(urls, at, max, url)
    {
        size_t index, i = 0;
        snprintf(field, sizeof(field), "workflows.%.*s[%zu]", GW_SLICE_ARG(shown), at);
        enum gw_err err = add_route(parse, field, url, &index);
        if (err != GW_OK)
            return err;
        while (i < count && routes[i] != index)
            i++;
        if (i == count)
            routes[count++] = index;
    }
    config->workflows[config->workflow_count++] =
        (struct gw_workflow){gw_arena_dup(&config->arena, id), routes, count};
    return GW_OK;
}

/* How many URLs there are in all; refuses what is no object of non-empty arrays. */
static enum gw_err count_urls(struct gw_config_parse *parse, yyjson_val *value, size_t *count)
{
    char field[FIELD_TEXT_MAX];
    yyjson_val *key, *urls;
    size_t at, max;

    *count = 0;
    if (!yyjson_is_obj(value))
        return gw_config_refuse(parse, "workflows", "an object of arrays of URLs", value);
    if (yyjson_obj_size(value) > GW_CONFIG_WORKFLOWS_MAX)
        return gw_error_set(parse->error, GW_ERR_INVALID,
                            "workflows: must have at most %d members, has %zu",
                            GW_CONFIG_WORKFLOWS_MAX, yyjson_obj_size(value));
    yyjson_obj_foreach(value, at, max, key, urls)
    {
        enum gw_err err = gw_name_check("a key of workflows", gw_strict_str(key), parse->error);
        if (err != GW_OK)
            return err;
        struct gw_slice shown = gw_strict_cut(gw_strict_str(key));
        snprintf(field, sizeof(field), "workflows.%.*s", GW_SLICE_ARG(shown));
        if (!yyjson_is_arr(urls))
            return gw_config_refuse(parse, field, "an array of URLs", urls);
        size_t size = yyjson_arr_size(urls);
        if (size < 1 || size > GW_CONFIG_WORKFLOW_URLS_MAX)
            return gw_error_set(parse->error, GW_ERR_INVALID,
                                "%s: must have 1 to %d URLs, has %zu (null removes a workflow)",
                                field, GW_CONFIG_WORKFLOW_URLS_MAX, size);
        *count += size;
    }
    return GW_OK;
}

enum gw_err gw_config_workflows_parse(struct gw_config_parse *parse, yyjson_val *value)
{
    struct gw_config *config = parse->config;
    yyjson_val *key, *urls;
    size_t at, max, count;
    enum gw_err err = count_urls(parse, value, &count);

    if (err != GW_OK || yyjson_obj_size(value) == 0)
        return err;
    struct gw_route *routes = gw_arena_alloc(&config->arena, (1 + count) * sizeof(*routes));
    routes[0] = config->routes[0];
    config->routes = routes;
    config->workflows =
        gw_arena_alloc(&config->arena, yyjson_obj_size(value) * sizeof(*config->workflows));
    yyjson_obj_foreach(value, at, max, key, urls)
    {
        err = parse_workflow(parse, key, urls);
        if (err != GW_OK)
            return err;
    }
    return GW_OK;
}

yyjson_mut_val *gw_config_workflows_render(const struct gw_config *config, enum gw_config_view view,
                                           yyjson_mut_doc *doc)
{
    yyjson_mut_val *object = yyjson_mut_obj(doc);

    for (size_t i = 0; i < config->workflow_count; i++) {
        const struct gw_workflow *workflow = &config->workflows[i];
        yyjson_mut_val *urls = yyjson_mut_arr(doc);
        for (size_t r = 0; r < workflow->route_count; r++) {
            const struct gw_url *url = &config->routes[workflow->routes[r]].url;
            yyjson_mut_arr_append(urls,
                                  gw_config_mut_str(doc, gw_config_url_shown(url->text, view)));
        }
        yyjson_mut_obj_add(object, gw_config_mut_str(doc, workflow->id), urls);
    }
    return object;
}
