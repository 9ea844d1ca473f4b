/* config_get.c: GET /v1/config: one config, or a page of them. Owns what it reads until the answer.
 *
 * Secrets that are asked for are written down first, one line for each config. */
#include "api/audit.h"
#include "api/query.h"
#include "api/reply.h"
#include "base/codec.h"

struct reading {
    struct gw_api_request *request;
    struct gw_slice app_id, event_type;
    bool share_secret;
    struct gw_config_load load;
    struct gw_config_list list;
    struct gw_audit_write write;
};

static struct gw_configs *configs_of(const struct gw_api_request *request)
{
    return request->api->shard->flow->configs;
}

static const struct gw_config *config_of(const struct reading *reading)
{
    return gw_snapshot_config(reading->load.snapshot, reading->event_type);
}

/* What was read; it is in the arena itself. */
static void release(struct reading *reading)
{
    gw_snapshot_unref(reading->load.snapshot);
    for (size_t i = 0; i < reading->list.count; i++)
        gw_config_unref(reading->list.configs[i]);
}

/* ── Answers ───────────────────────────────────────────────────────────────────────────────── */

static void render(const struct reading *reading, const struct gw_config *config,
                   struct gw_buf *out)
{
    if (gw_api_may_see_secrets(reading->request))
        gw_config_render(config, reading->share_secret, out);
    else
        gw_config_render_looked(config, out);
}

static void answer_one(struct reading *reading)
{
    struct gw_api_request *request = reading->request;
    const struct gw_config *config = config_of(reading);
    gw_config_api_set_etag(request, config);
    render(reading, config, gw_reply_begin(request, 200));
    release(reading);
    gw_reply_end(request);
}

/* The last of a page, so that the next begins behind it: its appId, NUL, its eventType. */
static void add_cursor(struct gw_buf *out, const struct gw_config *last)
{
    struct gw_buf key = {0};
    gw_buf_adds(&key, last->app_id);
    gw_buf_addc(&key, '\0');
    gw_buf_adds(&key, last->event_type);
    gw_buf_addc(out, '"');
    gw_base64url_encode(out, key.ptr, key.len);
    gw_buf_addc(out, '"');
    gw_buf_deinit(&key);
}

static bool parse_cursor(struct reading *reading, struct gw_slice text)
{
    struct gw_buf key = {0};
    bool ok = gw_base64url_decode(&key, text);
    struct gw_slice rest = gw_arena_dup(gw_api_arena(reading->request), gw_buf_slice(&key));
    gw_buf_deinit(&key);
    gw_slice_split(&rest, '\0', &reading->list.after_app_id);
    reading->list.after_event_type = rest;
    return ok && rest.len > 0 && reading->list.after_app_id.len > 0;
}

static void answer_page(struct reading *reading)
{
    const struct gw_config_list *list = &reading->list;
    struct gw_buf *out = gw_reply_begin(reading->request, 200);
    gw_buf_adds(out, GW_SLICE("{\"items\":["));
    for (size_t i = 0; i < list->count; i++) {
        gw_json_next(out);
        render(reading, list->configs[i], out);
    }
    gw_buf_addc(out, ']');
    gw_json_key(out, "next");
    if (list->more && list->count)
        add_cursor(out, list->configs[list->count - 1]);
    else
        gw_buf_adds(out, GW_SLICE("null"));
    gw_buf_addc(out, '}');
    release(reading);
    gw_reply_end(reading->request);
}

static void answer(struct reading *reading)
{
    if (reading->event_type.ptr)
        answer_one(reading);
    else
        answer_page(reading);
}

/* ── What is shown is written down ─────────────────────────────────────────────────────────── */

static void on_written(struct gw_audit_write *write)
{
    struct reading *reading = gw_container_of(write, struct reading, write);
    if (write->failed.err == GW_OK) {
        answer(reading);
        return;
    }
    release(reading);
    gw_audit_write_reply(write);
}

static void show(struct reading *reading, const struct gw_config *const *configs, size_t count)
{
    struct gw_api_request *request = reading->request;
    if (!reading->share_secret) {
        answer(reading);
        return;
    }
    struct gw_audit *lines = gw_arena_alloc(gw_api_arena(request), count * sizeof(*lines));
    for (size_t i = 0; i < count; i++)
        lines[i] =
            gw_audit_line(request, "secret_shown", configs[i]->app_id, configs[i]->event_type);
    gw_audit_write_start(&reading->write, request, lines, count, on_written);
}

/* ── Reading ───────────────────────────────────────────────────────────────────────────────── */

static void on_one(struct gw_op *op)
{
    struct gw_config_load *load = gw_container_of(op, struct gw_config_load, op);
    struct reading *reading = gw_container_of(load, struct reading, load);
    if (op->err != GW_OK) {
        gw_reply_store_failed(reading->request, op);
        return;
    }
    const struct gw_config *config = config_of(reading);
    if (config) {
        show(reading, &config, 1);
        return;
    }
    release(reading);
    gw_reply_fail(reading->request, 404, "there is no config for this appId and eventType");
}

static void on_page(struct gw_op *op)
{
    struct gw_config_list *list = gw_container_of(op, struct gw_config_list, op);
    struct reading *reading = gw_container_of(list, struct reading, list);
    if (op->err != GW_OK)
        gw_reply_store_failed(reading->request, op);
    else
        show(reading, (const struct gw_config *const *)list->configs, list->count);
}

static void read_one(struct reading *reading)
{
    struct gw_configs *configs = configs_of(reading->request);
    reading->load = (struct gw_config_load){
        .op = {.env = gw_api_env(reading->request), .done = on_one},
        .app_id = reading->app_id,
    };
    gw_configs_load(configs, &reading->load);
}

static void read_page(struct reading *reading)
{
    struct gw_configs *configs = configs_of(reading->request);
    reading->list.op = (struct gw_op){.env = gw_api_env(reading->request), .done = on_page};
    reading->list.arena = gw_api_arena(reading->request);
    reading->list.app_id = reading->app_id.ptr ? reading->app_id : reading->request->caller.scope;
    gw_configs_list(configs, &reading->list);
}

void gw_config_api_get(struct gw_api_request *request)
{
    enum { APP_ID, EVENT_TYPE, SHARE_SECRET, LIMIT, CURSOR, COUNT };
    static const char *const names[COUNT] = {"appId", "eventType", "shareSecret", "limit",
                                             "cursor"};
    struct gw_slice values[COUNT];
    struct gw_error error;
    struct reading *reading = gw_arena_zalloc(gw_api_arena(request), sizeof(*reading));
    reading->request = request;
    enum gw_err err = gw_query_parse(request, names, COUNT, values, &error);
    if (err == GW_OK)
        err = gw_query_bool("shareSecret", values[SHARE_SECRET], &reading->share_secret, &error);
    if (err == GW_OK)
        err = gw_query_limit(values[LIMIT], &reading->list.max, &error);
    if (err == GW_OK && values[EVENT_TYPE].ptr && !values[APP_ID].ptr)
        err = gw_error_set(&error, GW_ERR_INVALID, "appId: is required with eventType");
    if (err == GW_OK && values[CURSOR].ptr && !parse_cursor(reading, values[CURSOR]))
        err = gw_error_set(&error, GW_ERR_INVALID, "cursor: must be the next of an earlier page");
    if (err != GW_OK) {
        gw_reply_fail(request, 400, "%s", error.text);
        return;
    }
    if (reading->share_secret &&
        !gw_api_require(request, GW_ROLE_ADMIN | GW_ROLE_CLIENT, "shareSecret=true"))
        return;
    if (values[APP_ID].ptr && !gw_api_may_see(request, values[APP_ID])) {
        gw_reply_fail(request, 404, "there is no such app");
        return;
    }
    reading->app_id = values[APP_ID];
    reading->event_type = values[EVENT_TYPE];
    if (reading->event_type.ptr)
        read_one(reading);
    else
        read_page(reading);
}
