/* targets.c: how an app's targets do, and enabling them.
 *
 *   GET     configs of now ─▶ all their URLs ─────▶ the owner's shard ─▶ what is open ─▶ 200
 *   enable  configs of now ─▶ those of that URL ─▶ audit log ─▶ the owner's shard: enabled and
 *                                                     stored ─▶ what is open ─▶ 200
 *
 * The owner's shard knows how they do; how much waits the ledger counts. A URL is told, and may be
 * given, without its query, for tokens live there; several targets may look alike then. */
#include "api/targets.h"

#include "api/audit.h"
#include "api/query.h"
#include "api/reply.h"
#include "base/map.h"
#include "core/strict.h"

struct targets {
    struct gw_api_request *request;
    struct gw_slice app_id;
    struct gw_slice url; /* the ones to enable; ptr NULL: all are looked at */
    struct gw_config_load load;
    struct gw_snapshot *snapshot;
    struct gw_audit_write write;
    struct gw_target_ask ask;
    struct gw_tally_op tally;
};

static struct gw_api_request *release(struct targets *targets)
{
    gw_snapshot_unref(targets->snapshot);
    return targets->request;
}

/* ── The answer ────────────────────────────────────────────────────────────────────────────── */

/* How much is open in the lanes that lead there. */
static uint64_t open_of(const struct targets *targets, struct gw_slice url)
{
    uint64_t count = 0;
    for (size_t i = 0; i < targets->tally.open_count; i++) {
        const struct gw_open_count *open = &targets->tally.open[i];
        const struct gw_route *route;
        struct gw_config *config;
        if (gw_snapshot_lane(targets->snapshot, open->lane, &config, &route) &&
            gw_slice_eq(route->url.text, url))
            count += open->count;
    }
    return count;
}

static void add_rates(struct gw_buf *out, const struct gw_target_view *view)
{
    gw_json_member_rate(out, "successRate", view->successes, view->attempts);
    if (view->attempts)
        gw_json_member_int(out, "p95Ms", view->p95_ms);
    else
        gw_json_member_null(out, "p95Ms");
}

static void add_item(const struct targets *targets, const struct gw_target_view *view,
                     struct gw_buf *out)
{
    uint64_t open = open_of(targets, view->url);
    gw_json_next(out);
    gw_buf_addc(out, '{');
    gw_json_member(out, "url", gw_url_shown(view->url));
    gw_json_member_s(out, "state", gw_health_state_name(view->state));
    if (view->since_ms)
        gw_json_member_time(out, "since", view->since_ms);
    else
        gw_json_member_null(out, "since");
    gw_json_member_s(out, "reason", view->reason);
    gw_json_member_int(out, "streak", view->streak);
    gw_json_member_int(out, "waiting",
                       open > view->in_flight ? (int64_t)(open - view->in_flight) : 0);
    gw_json_member_int(out, "inFlight", (int64_t)view->in_flight);
    add_rates(out, view);
    gw_buf_addc(out, '}');
}

static void on_counted(struct gw_op *op)
{
    struct gw_tally_op *tally = gw_container_of(op, struct gw_tally_op, op);
    struct targets *targets = gw_container_of(tally, struct targets, tally);
    if (op->err != GW_OK) {
        gw_reply_store_failed(release(targets), op);
        return;
    }
    struct gw_buf *out = gw_reply_begin(targets->request, 200);
    gw_buf_adds(out, GW_SLICE("{\"items\":["));
    for (size_t i = 0; i < targets->ask.count; i++)
        add_item(targets, &targets->ask.views[i], out);
    gw_buf_adds(out, GW_SLICE("]}"));
    gw_reply_end(release(targets));
}

static void count_open(struct targets *targets)
{
    struct gw_env *env = gw_api_env(targets->request);
    struct gw_ledger *ledger = targets->request->api->shard->flow->ledger;
    targets->tally = (struct gw_tally_op){
        .op = {.env = env, .done = on_counted},
        .arena = gw_api_arena(targets->request),
        .app_id = targets->app_id,
        .to_ms = gw_hour_of(gw_env_wall_ms(env)) + 2 * GW_HOUR_MS, /* a clock may have been set */
        .open_only = true,
    };
    gw_ledger_tally(ledger, &targets->tally);
}

static void on_asked(struct gw_target_ask *ask)
{
    struct targets *targets = gw_container_of(ask, struct targets, ask);
    struct gw_op failed = {.err = ask->err, .again_ms = ask->again_ms};
    if (ask->err == GW_OK)
        count_open(targets);
    else
        gw_reply_store_failed(release(targets), &failed);
}

/* ── What the configs name ─────────────────────────────────────────────────────────────────── */

static bool is_meant(const struct targets *targets, struct gw_slice url)
{
    return !targets->url.ptr || gw_slice_eq(url, targets->url) ||
           gw_slice_eq(gw_url_shown(url), targets->url);
}

static void collect(struct targets *targets)
{
    const struct gw_snapshot *snapshot = targets->snapshot;
    struct gw_target_ask *ask = &targets->ask;
    ask->views = gw_arena_zalloc(gw_api_arena(targets->request),
                                 snapshot->target_count * sizeof(*ask->views));
    for (size_t i = 0; i < snapshot->target_count; i++)
        if (is_meant(targets, snapshot->targets[i].url))
            ask->views[ask->count++].url = snapshot->targets[i].url;
    ask->app_id = targets->app_id;
    ask->enables = targets->url.ptr != NULL;
    ask->done = on_asked;
}

static void on_written(struct gw_audit_write *write)
{
    struct targets *targets = gw_container_of(write, struct targets, write);
    if (write->failed.err == GW_OK) {
        gw_target_ask(targets->request->api->shard, &targets->ask);
        return;
    }
    release(targets);
    gw_audit_write_reply(write);
}

static void on_loaded(struct gw_op *op)
{
    struct gw_config_load *load = gw_container_of(op, struct gw_config_load, op);
    struct targets *targets = gw_container_of(load, struct targets, load);
    struct gw_api_request *request = targets->request;
    if (op->err != GW_OK) {
        gw_reply_store_failed(request, op);
        return;
    }
    targets->snapshot = load->snapshot;
    collect(targets);
    if (!targets->ask.enables) {
        gw_target_ask(request->api->shard, &targets->ask);
    } else if (targets->ask.count) {
        struct gw_audit line =
            gw_audit_line(request, "target_enabled", targets->app_id, gw_url_shown(targets->url));
        gw_audit_write_start(&targets->write, request, &line, 1, on_written);
    } else {
        gw_reply_fail(release(targets), 404, "no config of this app names that URL");
    }
}

static void start(struct targets *targets)
{
    struct gw_configs *configs = targets->request->api->shard->flow->configs;
    targets->load = (struct gw_config_load){
        .op = {.env = gw_api_env(targets->request), .done = on_loaded},
        .app_id = targets->app_id,
    };
    gw_configs_load(configs, &targets->load);
}

/* ── Requests ──────────────────────────────────────────────────────────────────────────────── */

static struct targets *targets_create(struct gw_api_request *request)
{
    struct targets *targets = gw_arena_zalloc(gw_api_arena(request), sizeof(*targets));
    targets->request = request;
    return targets;
}

void gw_targets_get(struct gw_api_request *request)
{
    static const char *const names[] = {"appId"};
    struct targets *targets = targets_create(request);
    struct gw_error error;
    enum gw_err err = gw_query_parse(request, names, 1, &targets->app_id, &error);
    if (err == GW_OK && !targets->app_id.ptr)
        targets->app_id = request->caller.scope;
    if (err == GW_OK && !targets->app_id.ptr)
        err = gw_error_set(&error, GW_ERR_INVALID, "appId: is required");
    if (err != GW_OK)
        gw_reply_fail(request, 400, "%s", error.text);
    else if (!gw_api_may_see(request, targets->app_id))
        gw_reply_fail(request, 404, "there is no such app");
    else
        start(targets);
}

static enum gw_err read_enable(struct targets *targets, struct gw_error *error)
{
    struct gw_error why;
    yyjson_val *root, *key, *value;
    size_t at, count;
    if (gw_strict_read(targets->request->exchange->body, gw_api_arena(targets->request), &root,
                       &why) != GW_OK)
        return gw_error_set(error, GW_ERR_INVALID, "the body %s", why.text);
    yyjson_obj_foreach(root, at, count, key, value)
    {
        struct gw_slice name = gw_strict_str(key);
        if (!gw_slice_is(name, "appId") && !gw_slice_is(name, "url"))
            return gw_error_set(error, GW_ERR_INVALID,
                                "unknown field \"%s\"; there are: appId, url",
                                gw_strict_shown(name).text);
    }
    targets->app_id = gw_strict_str(yyjson_obj_get(root, "appId"));
    targets->url = gw_strict_str(yyjson_obj_get(root, "url"));
    value = yyjson_obj_get(root, "appId");
    if (value && !yyjson_is_str(value))
        return gw_error_set(error, GW_ERR_INVALID,
                            "appId: must be a string of 1 to 256 printable characters, was %s",
                            yyjson_get_type_desc(value));
    enum gw_err err = gw_name_check("appId", targets->app_id, error);
    if (err == GW_OK && targets->url.len == 0)
        err = gw_error_set(error, GW_ERR_INVALID,
                           "url: must be the URL of a target, as the config or /v1/targets has it");
    return err;
}

void gw_targets_enable(struct gw_api_request *request)
{
    struct targets *targets = targets_create(request);
    struct gw_error error;
    if (read_enable(targets, &error) != GW_OK)
        gw_reply_fail(request, 400, "%s", error.text);
    else if (!gw_api_may_see(request, targets->app_id))
        gw_reply_fail(request, 403, "appId: the caller may enable targets of another app only");
    else
        start(targets);
}

/* ── A change of a config ──────────────────────────────────────────────────────────────────── */

static void name(struct gw_map *named, yyjson_val *url)
{
    if (yyjson_is_str(url))
        gw_map_put(named, gw_strict_str(url), url);
}

static void name_workflows(struct gw_map *named, yyjson_val *workflows)
{
    yyjson_val *key, *urls, *url;
    size_t at, count, i, url_count;
    if (!yyjson_is_obj(workflows))
        return;
    yyjson_obj_foreach(workflows, at, count, key, urls)
    {
        (void)key;
        if (!yyjson_is_arr(urls))
            continue;
        yyjson_arr_foreach(urls, i, url_count, url)
        {
            name(named, url);
        }
    }
}

static void on_named(struct gw_target_ask *ask)
{
    struct gw_naming *naming = gw_container_of(ask, struct gw_naming, ask);
    naming->done(naming);
}

void gw_targets_enable_named(struct gw_naming *naming, struct gw_api_request *request,
                             const struct gw_config *config, bool is_back,
                             void (*done)(struct gw_naming *naming))
{
    struct gw_target_ask *ask = &naming->ask;
    struct gw_arena *arena = gw_api_arena(request);
    struct gw_map named = {0};
    yyjson_val *root;
    bool is_all = is_back;
    *naming = (struct gw_naming){.request = request, .done = done};
    if (gw_strict_read_raw(request->exchange->body, arena, &root, NULL) == GW_OK) {
        name(&named, yyjson_obj_get(root, "webhookUrl"));
        name_workflows(&named, yyjson_obj_get(root, "workflows"));
        name_workflows(&named, yyjson_obj_get(root, "worfklows")); /* as a producer spells it */
        is_all |= yyjson_is_true(yyjson_obj_get(root, "isActive"));
    }
    ask->app_id = config->app_id;
    ask->views = gw_arena_zalloc(arena, config->route_count * sizeof(*ask->views));
    for (size_t i = 0; i < config->route_count; i++)
        if (is_all || gw_map_get(&named, config->routes[i].url.text))
            ask->views[ask->count++].url = config->routes[i].url.text;
    gw_map_deinit(&named);
    ask->enables = true;
    ask->done = on_named;
    if (ask->count)
        gw_target_ask(request->api->shard, ask);
    else
        done(naming);
}
