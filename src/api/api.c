/* api.c: owns the way of a request to its handler, and the one table of routes.
 *
 *   exchange ─▶ address ─▶ readable? ─▶ route ─▶ body ─▶ who is it? ─▶ which roles? ─▶ handler
 *                403        400, 408 …   404, 405  413     401          403             ─▶ reply
 *
 * Thread: the shard's. A request that comes while the shard stops is told to come again, for its
 * handler may need the store; what only looks at counters is answered to the end. */
#include "api/api.h"

#include "api/auth.h"
#include "api/auth_service.h"
#include "api/key_cache.h"
#include "api/posted.h"
#include "api/query.h"
#include "api/refused.h"
#include "api/reply.h"
#include "base/check.h"
#include "base/codec.h"

#include <stdio.h>

#define ADMIN    GW_ROLE_ADMIN
#define PRODUCER GW_ROLE_PRODUCER
#define CLIENT   GW_ROLE_CLIENT
#define VIEWER   GW_ROLE_VIEWER
#define LOOKING  (ADMIN | CLIENT | VIEWER)
#define ANYBODY  (LOOKING | PRODUCER)

#define NO_BODY GW_API_BODY_NONE
#define EVENT   GW_API_BODY_EVENT
#define BATCH   GW_API_BODY_BATCH
#define CONFIG  GW_API_BODY_CONFIG
#define TEST    GW_API_BODY_TEST

#define UNWANTED_BODY_BYTES_MAX 1024
#define TEST_BYTES_MORE         8192 /* than its event has: a config's two names, escaped */

const struct gw_api_route gw_api_routes[] = {
    {GW_POST, "/v1/events", ADMIN | PRODUCER, gw_events_post, EVENT},
    {GW_POST, "/v1/events/batch", ADMIN | PRODUCER, gw_batch_post, BATCH},
    {GW_GET, "/v1/events", LOOKING, gw_events_get, NO_BODY},
    {GW_GET, "/v1/events/{id}", LOOKING, gw_events_get_one, NO_BODY},
    {GW_GET, "/v1/catalog", ANYBODY, gw_catalog_get, NO_BODY},
    {GW_POST, "/v1/config", ADMIN | CLIENT, gw_config_api_post, CONFIG},
    {GW_GET, "/v1/config", LOOKING, gw_config_api_get, NO_BODY},
    {GW_PATCH, "/v1/config", ADMIN | CLIENT, gw_config_api_patch, CONFIG},
    {GW_DELETE, "/v1/config", ADMIN | CLIENT, gw_config_api_delete, NO_BODY},
    {GW_POST, "/v1/config/test", ADMIN | CLIENT, gw_config_api_test, TEST},
    {GW_GET, "/v1/config/history", LOOKING, gw_audit_api_history, NO_BODY},
    {GW_GET, "/v1/deliveries", LOOKING, gw_deliveries_get, NO_BODY},
    {GW_GET, "/v1/deliveries/{id}", LOOKING, gw_deliveries_get_one, NO_BODY},
    {GW_POST, "/v1/deliveries/{id}/retry", ADMIN | CLIENT, gw_deliveries_retry, NO_BODY},
    {GW_GET, "/v1/targets", LOOKING, gw_targets_get, NO_BODY},
    {GW_POST, "/v1/targets/enable", ADMIN | CLIENT, gw_targets_enable, CONFIG},
    {GW_GET, "/v1/why/{id}", LOOKING, gw_why_get, NO_BODY},
    {GW_POST, "/v1/keys", ADMIN, gw_keys_post, CONFIG},
    {GW_GET, "/v1/keys", ADMIN, gw_keys_get, NO_BODY},
    {GW_DELETE, "/v1/keys/{id}", ADMIN, gw_keys_delete, NO_BODY},
    {GW_GET, "/v1/audit", ADMIN, gw_audit_api_get, NO_BODY},
    {GW_GET, "/v1/stats", LOOKING, gw_stats_get, NO_BODY},
    {GW_GET, "/v1/ledger", LOOKING, gw_ledger_get, NO_BODY},
    {GW_GET, "/metrics", GW_API_ADDRESS, gw_metrics_get, NO_BODY},
    {GW_GET, "/openapi.json", GW_API_ADDRESS, gw_openapi_get, NO_BODY},
    {GW_GET, "/healthz", GW_API_OPEN, gw_healthz_get, NO_BODY},
    {GW_GET, "/readyz", GW_API_OPEN, gw_readyz_get, NO_BODY},
};
const size_t gw_api_route_count = gw_count(gw_api_routes);

/* ── Finding the route ─────────────────────────────────────────────────────────────────────── */

static const char *method_name(enum gw_method method)
{
    switch (method) {
    case GW_GET: return "GET";
    case GW_HEAD: return "HEAD";
    case GW_POST: return "POST";
    case GW_PUT: return "PUT";
    case GW_PATCH: return "PATCH";
    case GW_DELETE: return "DELETE";
    case GW_OPTIONS: return "OPTIONS";
    case GW_METHOD_OTHER: break;
    }
    gw_never("a route of no method");
}

/* Segment by segment; "{id}" stands for one that is not empty. */
static bool path_fits(const char *pattern, struct gw_slice path, struct gw_slice *id)
{
    struct gw_slice wanted = gw_slice_from(pattern), part, segment;
    *id = (struct gw_slice){0};
    while (gw_slice_split(&wanted, '/', &part)) {
        if (!gw_slice_split(&path, '/', &segment))
            return false;
        if (gw_slice_is(part, "{id}")) {
            if (segment.len == 0)
                return false;
            *id = segment;
        } else if (!gw_slice_eq(part, segment)) {
            return false;
        }
    }
    return path.ptr == NULL;
}

const struct gw_api_route *gw_api_route_find(enum gw_method method, struct gw_slice path,
                                             struct gw_slice *id, char allow[GW_API_ALLOW_MAX],
                                             size_t *allow_len)
{
    enum gw_method wanted = method == GW_HEAD ? GW_GET : method;
    bool is_literal = false;
    *allow_len = 0;
    for (size_t i = 0; i < gw_api_route_count; i++) {
        const struct gw_api_route *route = &gw_api_routes[i];
        if (!path_fits(route->path, path, id) || (is_literal && id->ptr))
            continue;
        is_literal = !id->ptr;
        if (route->method == wanted)
            return route;
        int len = snprintf(allow + *allow_len, GW_API_ALLOW_MAX - *allow_len, "%s%s%s",
                           *allow_len ? ", " : "", method_name(route->method),
                           route->method == GW_GET ? ", HEAD" : "");
        *allow_len += (size_t)len;
        gw_check(*allow_len < GW_API_ALLOW_MAX);
    }
    return NULL;
}

static void no_route(struct gw_api_request *request, const char *allow, size_t allow_len)
{
    struct gw_arena *arena = gw_api_arena(request);
    if (!allow_len) {
        gw_reply_fail(request, 404, "there is nothing at this path");
        return;
    }
    struct gw_slice list = gw_arena_dup(arena, (struct gw_slice){allow, allow_len});
    gw_reply_header(request, "allow", list);
    gw_reply_fail(request, 405, "this path has only %.*s", GW_SLICE_ARG(list));
}

static bool is_open(const struct gw_api_route *route)
{
    return route && route->roles & GW_API_OPEN;
}

/* ── How much may come ─────────────────────────────────────────────────────────────────────── */

static size_t body_bytes_max(const struct gw_api *api, const struct gw_api_route *route)
{
    switch (route ? route->body : GW_API_BODY_NONE) {
    case GW_API_BODY_NONE: return UNWANTED_BODY_BYTES_MAX;
    case GW_API_BODY_EVENT: return api->options.event_bytes_max;
    case GW_API_BODY_BATCH: return GW_BATCH_BYTES_MAX;
    case GW_API_BODY_CONFIG: return GW_CONFIG_BODY_BYTES_MAX;
    case GW_API_BODY_TEST: return api->options.event_bytes_max + TEST_BYTES_MORE;
    }
    gw_never("a body of no kind");
}

/* Whoever may not call at all is given no memory either. */
size_t gw_api_body_bytes_max(void *ctx, const struct gw_exchange *exchange)
{
    const struct gw_api *api = ctx;
    struct gw_slice id;
    char allow[GW_API_ALLOW_MAX];
    size_t allow_len;
    const struct gw_api_route *route =
        gw_api_route_find(exchange->method, exchange->path, &id, allow, &allow_len);
    if (!is_open(route) && !gw_auth_address_allowed(&api->options, exchange))
        route = NULL;
    return body_bytes_max(api, route);
}

/* ── From exchange to handler ──────────────────────────────────────────────────────────────── */

struct pending {
    struct gw_api_request request; /* first: handlers see only this */
    const struct gw_api_route *route;
};

bool gw_api_require(struct gw_api_request *request, unsigned roles, const char *what)
{
    struct gw_buf names = {0};
    if (request->caller.roles & roles)
        return true;
    gw_api_count(request->api, GW_API_COUNT_ROLE);
    gw_role_names(roles & GW_ROLE_ALL, " or ", &names);
    gw_reply_fail(request, 403, "%s needs the role %s", what, gw_buf_text(&names));
    gw_buf_deinit(&names);
    return false;
}

/* What takes a body takes nothing else; the other handlers read their query themselves. */
static bool query_is_right(struct gw_api_request *request, const struct gw_api_route *route)
{
    struct gw_error error;
    if (route->body == GW_API_BODY_NONE || gw_query_parse(request, NULL, 0, NULL, &error) == GW_OK)
        return true;
    gw_reply_fail(request, 400, "%s", error.text);
    return false;
}

static void on_caller(struct gw_api_request *request, const struct gw_auth_answer *answer)
{
    struct pending *pending = gw_container_of(request, struct pending, request);
    const struct gw_api_route *route = pending->route;
    if (answer->status == 503)
        gw_reply_later(request, answer->again_ms, answer->why);
    else if (answer->status)
        gw_reply_fail(request, answer->status, "%s", answer->why);
    else if (gw_api_require(request, route->roles, "this call") && query_is_right(request, route))
        route->handle(request);
}

static bool decode_id(struct gw_api_request *request, struct gw_slice raw)
{
    struct gw_buf text = {0};
    bool ok = gw_percent_decode(&text, raw, false);
    request->id = gw_arena_dup(gw_api_arena(request), gw_buf_slice(&text));
    gw_buf_deinit(&text);
    return ok && gw_slice_is_utf8(request->id);
}

/* An event that intake never sees is counted where it would have counted it. */
static void count_refused(struct pending *pending, enum gw_refusal_class class)
{
    if (pending->route && pending->route->body == GW_API_BODY_EVENT)
        gw_shard_count(pending->request.api->shard, GW_COUNT_REFUSED + class);
}

static void dispatch(struct pending *pending, struct gw_slice raw_id)
{
    struct gw_api_request *request = &pending->request;
    const struct gw_api_route *route = pending->route;
    if (raw_id.ptr && !decode_id(request, raw_id)) {
        gw_reply_fail(request, 400, "the id in the path must be percent-encoded UTF-8");
        return;
    }
    if (route->roles & (GW_API_OPEN | GW_API_ADDRESS)) {
        route->handle(request);
        return;
    }
    if (request->api->shard->draining) {
        count_refused(pending, GW_REFUSAL_STOPPING);
        gw_reply_later(request, 1000, "the server is stopping");
        return;
    }
    gw_auth_caller(request, on_caller);
}

static void refuse_address(struct gw_api_request *request)
{
    gw_api_count(request->api, GW_API_COUNT_ADDRESS);
    gw_reply_fail(request, 403, "IP not whitelisted");
}

static void refuse_body(struct pending *pending)
{
    struct gw_api_request *request = &pending->request;
    count_refused(pending, GW_REFUSAL_TOO_LARGE);
    gw_reply_fail(request, 413, "the body must have at most %zu bytes",
                  body_bytes_max(request->api, pending->route));
}

/* There is no memory for its body now. */
static void put_off(struct pending *pending, const char *why)
{
    count_refused(pending, GW_REFUSAL_OVERLOAD);
    gw_reply_later(&pending->request, 1000, why);
}

void gw_api_handle(void *ctx, struct gw_exchange *exchange)
{
    struct gw_api *api = ctx;
    struct pending *pending = gw_arena_zalloc(exchange->arena, sizeof(*pending));
    struct gw_api_request *request = &pending->request;
    struct gw_slice id;
    char allow[GW_API_ALLOW_MAX];
    size_t allow_len;
    request->api = api;
    request->exchange = exchange;
    gw_shard_begin(api->shard);
    pending->route = gw_api_route_find(exchange->method, exchange->path, &id, allow, &allow_len);
    if (!is_open(pending->route) && !gw_auth_address_allowed(&api->options, exchange))
        refuse_address(request);
    else if (exchange->refused_status == 503)
        put_off(pending, exchange->refused_why);
    else if (exchange->refused_status && exchange->refused_status != 413)
        gw_reply_fail(request, exchange->refused_status, "%s", exchange->refused_why);
    else if (!pending->route)
        no_route(request, allow, allow_len);
    else if (exchange->refused_status || exchange->body.len > body_bytes_max(api, pending->route))
        refuse_body(pending);
    else
        dispatch(pending, id);
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

struct gw_api *gw_api_create(struct gw_shard *shard, const struct gw_api_options *options)
{
    struct gw_api *api = gw_zalloc(sizeof(*api));
    const struct gw_flow_options *flow = &shard->flow->options;
    api->shard = shard;
    api->options = *options;
    gw_list_init(&api->tests);
    gw_list_init(&api->posted_pool);
    gw_list_init(&api->batches);
    if (options->admin_key) {
        const char *colon = strrchr(options->admin_key, ':'); /* an appkey holds none */
        gw_check(colon && colon > options->admin_key && colon[1] != '\0');
        api->admin_name =
            (struct gw_slice){options->admin_key, (size_t)(colon - options->admin_key)};
        api->admin_key = gw_slice_from(colon + 1);
    }
    api->key_cache = gw_key_cache_create(shard->env, shard->flow->admin, options->keys_keep_ms,
                                         flow->snapshots_max);
    if (options->auth_url && shard->index == 0)
        api->auth_service = gw_auth_service_create(shard->env, options->auth_url, flow->user_agent,
                                                   flow->snapshots_max);
    api->refused = gw_refused_create(GW_REFUSED_MAX, 0);
    if (flow->is_shared)
        api->handed_over = gw_refused_create(GW_HANDED_OVER_MAX, GW_HANDED_OVER_KEEP_MS);
    options->apis[shard->index] = api;
    return api;
}

void gw_api_destroy(struct gw_api *api)
{
    gw_posted_pool_destroy(api);
    gw_auth_service_destroy(api->auth_service);
    gw_key_cache_destroy(api->key_cache);
    gw_refused_destroy(api->refused);
    gw_refused_destroy(api->handed_over);
    gw_buf_deinit(&api->scratch);
    gw_free(api);
}
