/* config.c: the configuration API. Owns one change at a time of one request:
 *
 *   create:  read ─────────────▶ names ─▶ put (must not exist) ──┐
 *   PATCH:   key ─▶ current ─▶ change ─▶ names ─▶ put (current's  ├▶ publish to all shards ─▶ enable
 *                    ▲                            version) ───────┘  the targets it names ─▶ 201, 200
 *                    └── somebody was faster, and no If-Match: bounded
 *   DELETE:  current ─▶ remove (current's version) ─▶ publish ─▶ 200; somebody was faster: as PATCH
 *
 * Two writers never lose a change, for a put names the version it was made from; and a change is
 * answered when every shard works by it. Its line of the audit log is stored with it. What was
 * stored but could not be answered (a crash in between) is in force after the restart. */
#include "api/audit.h"
#include "api/hosts.h"
#include "api/query.h"
#include "api/reply.h"
#include "api/targets.h"
#include "base/check.h"
#include "base/crypto.h"
#include "flow/snapshots.h"

#define TRIES_MAX 16

enum change_kind { CREATE, PATCH, REMOVE };

struct change {
    struct gw_api_request *request;
    struct gw_slice app_id, event_type;
    uint64_t if_match; /* 0 = none */
    size_t tries;
    enum change_kind kind;
    bool secret_made;
    uint64_t expected;           /* the version it is made from; 0 = create */
    struct gw_config *config;    /* after it; NULL = it is removed */
    struct gw_snapshot *current; /* before it */
    struct gw_config_load load;
    struct gw_hosts hosts;
    struct gw_config_put put;
    struct gw_config_remove remove;
    struct gw_snapshot *snapshot; /* with the change */
    struct gw_publish publish;
    struct gw_naming naming;
};

static struct gw_configs *configs_of(const struct gw_api_request *request)
{
    return request->api->shard->flow->configs;
}

static struct change *change_create(struct gw_api_request *request, enum change_kind kind)
{
    struct change *change = gw_arena_zalloc(gw_api_arena(request), sizeof(*change));
    change->request = request;
    change->kind = kind;
    return change;
}

/* What the change holds; it is in the arena itself. */
static void change_release(struct change *change)
{
    gw_config_unref(change->config);
    gw_snapshot_unref(change->current);
    gw_snapshot_unref(change->snapshot);
    change->config = NULL;
    change->current = change->snapshot = NULL;
}

static const struct gw_config *current_of(const struct change *change)
{
    return change->current ? gw_snapshot_config(change->current, change->event_type) : NULL;
}

static void fail(struct change *change, int status, const char *why)
{
    change_release(change);
    gw_reply_fail(change->request, status, "%s", why);
}

static void fail_error(struct change *change, const struct gw_error *error)
{
    fail(change, error->code == GW_ERR_TOO_LARGE ? 413 : 400, error->text);
}

static void fail_store(struct change *change, const struct gw_op *op)
{
    change_release(change);
    gw_reply_store_failed(change->request, op);
}

/* ── Showing ───────────────────────────────────────────────────────────────────────────────── */

void gw_config_api_set_etag(struct gw_api_request *request, const struct gw_config *config)
{
    const char *tag =
        gw_arena_printf(gw_api_arena(request), "\"%llu\"", (unsigned long long)config->version);
    gw_reply_header(request, "etag", gw_slice_from(tag));
}

/* A member "warnings" joins the rendered object. */
static void add_warnings(struct gw_buf *out, const struct gw_hosts *hosts)
{
    if (hosts->warning_count == 0)
        return;
    gw_check(out->ptr[out->len - 1] == '}');
    out->len--;
    gw_json_key(out, "warnings");
    gw_buf_addc(out, '[');
    for (size_t i = 0; i < hosts->warning_count; i++) {
        gw_json_next(out);
        gw_json_text(out, gw_slice_from(hosts->warnings[i]));
    }
    gw_buf_add(out, "]}", 2);
}

static void answer_change(struct change *change)
{
    struct gw_api_request *request = change->request;
    const struct gw_config *config = change->config;
    gw_config_api_set_etag(request, config);
    struct gw_buf *out = gw_reply_begin(request, change->kind == CREATE ? 201 : 200);
    gw_config_render(config, change->kind == CREATE || change->secret_made, out);
    add_warnings(out, &change->hosts);
    change_release(change);
    gw_reply_end(request);
}

/* ── The line of the audit log ─────────────────────────────────────────────────────────────── */

static const char *action_of(const struct change *change)
{
    switch (change->kind) {
    case CREATE: return "config_created";
    case PATCH: return change->secret_made ? "config_rotated" : "config_updated";
    case REMOVE: break;
    }
    return "config_deleted";
}

/* What GET /v1/config/history tells. */
static struct gw_slice detail_of(struct gw_api_request *request, const struct gw_config *before,
                                 const struct gw_config *after)
{
    unsigned long long version = after ? after->version : before->version;
    struct gw_buf text = {0}, changes = {0};
    gw_config_diff(before, after, &changes);
    gw_buf_addf(&text, "{\"version\":%llu,\"changes\":", version);
    if (text.len + changes.len < GW_AUDIT_DETAIL_MAX)
        gw_buf_adds(&text, gw_buf_slice(&changes));
    else
        gw_buf_adds(&text, GW_SLICE("null"));
    gw_buf_addc(&text, '}');
    struct gw_slice detail = gw_arena_dup(gw_api_arena(request), gw_buf_slice(&text));
    gw_buf_deinit(&text);
    gw_buf_deinit(&changes);
    return detail;
}

static struct gw_audit line_of(const struct change *change, const struct gw_config *before)
{
    struct gw_api_request *request = change->request;
    const struct gw_config *shown = change->config ? change->config : before;
    struct gw_audit line =
        gw_audit_line(request, action_of(change), shown->app_id, shown->event_type);
    line.detail = detail_of(request, before, change->config);
    return line;
}

/* ── Storing and publishing ────────────────────────────────────────────────────────────────── */

static void on_named(struct gw_naming *naming)
{
    answer_change(gw_container_of(naming, struct change, naming));
}

/* Somebody says that these URLs are right: what was disabled is tried again. */
static void on_published(struct gw_publish *publish)
{
    struct change *change = gw_container_of(publish, struct change, publish);
    const struct gw_config *before = current_of(change);
    bool is_back = before && !before->is_active && change->config->is_active;
    gw_targets_enable_named(&change->naming, change->request, change->config, is_back, on_named);
}

static void change_start(struct change *change);

static void on_conflict(struct change *change)
{
    struct gw_api_request *request = change->request;
    change_release(change);
    if (change->if_match)
        gw_reply_fail(request, 412, "If-Match: the config has another version by now");
    else if (++change->tries == TRIES_MAX)
        gw_reply_later(request, 1000, "others change this config all the time");
    else
        change_start(change);
}

static void on_put(struct gw_op *op)
{
    struct gw_config_put *put = gw_container_of(op, struct gw_config_put, op);
    struct change *change = gw_container_of(put, struct change, put);
    switch (op->err) {
    case GW_OK: break;
    case GW_ERR_EXISTS:
        fail(change, 409, "there is a config for this appId and eventType; PATCH changes it");
        return;
    case GW_ERR_NOT_FOUND: fail(change, 404, "there is no such config any more"); return;
    case GW_ERR_CONFLICT: on_conflict(change); return;
    default: fail_store(change, op); return;
    }
    change->snapshot = put->snapshot;
    change->publish.done = on_published;
    gw_snapshots_publish(change->request->api->shard, change->snapshot, &change->publish);
}

static void on_hosts(struct gw_hosts *hosts)
{
    struct change *change = gw_container_of(hosts, struct change, hosts);
    if (hosts->refused) {
        fail_error(change, &hosts->error);
        return;
    }
    change->put = (struct gw_config_put){
        .op = {.env = gw_api_env(change->request), .done = on_put},
        .config = change->config,
        .expected_version = change->expected,
        .audit = line_of(change, current_of(change)),
    };
    struct gw_configs *configs = configs_of(change->request);
    gw_configs_put(configs, &change->put);
}

static void change_input(struct change *change, struct gw_config_change *input)
{
    struct gw_api_request *request = change->request;
    *input = (struct gw_config_change){
        .json = request->exchange->body,
        .app_id = request->caller.scope,
        .guard = &request->api->shard->flow->options.guard,
        .now_ms = gw_env_wall_ms(gw_api_env(request)),
        .overlap_ms = request->api->options.secret_overlap_ms,
    };
    gw_env_random(gw_api_env(request), input->random, sizeof(input->random));
}

/* The pair that the body speaks of; false: the request is over. */
static bool read_key(struct change *change)
{
    struct gw_api_request *request = change->request;
    struct gw_error error;
    if (gw_config_key_parse(request->exchange->body, gw_api_arena(request), &change->app_id,
                            &change->event_type, &error) != GW_OK) {
        fail_error(change, &error);
        return false;
    }
    if (gw_api_may_see(request, change->app_id))
        return true;
    fail(change, 403, "appId: the caller may configure another app only");
    return false;
}

/* ── POST ──────────────────────────────────────────────────────────────────────────────────── */

void gw_config_api_post(struct gw_api_request *request)
{
    struct change *change = change_create(request, CREATE);
    struct gw_config_change input;
    struct gw_error error;
    if (!read_key(change))
        return;
    change_input(change, &input);
    enum gw_err err = gw_config_create(&change->config, &input, &error);
    gw_wipe(input.random, sizeof(input.random));
    if (err == GW_OK)
        gw_hosts_check(&change->hosts, request, change->config, NULL, on_hosts);
    else
        fail_error(change, &error);
}

/* ── PATCH and DELETE: what is there ─────────────────────────────────────────────────────────────────────────────────── */

/* If-Match: "7"; false: the request is over. */
static bool read_if_match(struct change *change)
{
    struct gw_slice value = gw_exchange_header(change->request->exchange, "if-match");
    if (!value.ptr || gw_slice_is(value, "*"))
        return true;
    if (value.len > 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"' &&
        gw_slice_u64((struct gw_slice){value.ptr + 1, value.len - 2}, &change->if_match) &&
        change->if_match > 0)
        return true;
    fail(change, 400, "If-Match: must be one version in quotes, such as \"7\"");
    return false;
}

static void patch_current(struct change *change, const struct gw_config *current);
static void remove_current(struct change *change, const struct gw_config *current);

static void on_current(struct gw_op *op)
{
    struct gw_config_load *load = gw_container_of(op, struct gw_config_load, op);
    struct change *change = gw_container_of(load, struct change, load);
    if (op->err != GW_OK) {
        fail_store(change, op);
        return;
    }
    change->current = load->snapshot;
    const struct gw_config *current = current_of(change);
    if (!current)
        fail(change, 404,
             change->kind == REMOVE
                 ? "there is no config for this appId and eventType"
                 : "there is no config for this appId and eventType; POST creates it");
    else if (change->if_match && change->if_match != current->version)
        on_conflict(change);
    else if (change->kind == REMOVE)
        remove_current(change, current);
    else
        patch_current(change, current);
}

/* From the store and not from memory: what is changed must be the newest. */
static void change_start(struct change *change)
{
    struct gw_configs *configs = configs_of(change->request);
    change->load = (struct gw_config_load){
        .op = {.env = gw_api_env(change->request), .done = on_current},
        .app_id = change->app_id,
    };
    gw_configs_load(configs, &change->load);
}

/* ── PATCH ─────────────────────────────────────────────────────────────────────────────────── */

static void patch_current(struct change *change, const struct gw_config *current)
{
    struct gw_config_change input;
    struct gw_error error;
    change->expected = current->version;
    change_input(change, &input);
    enum gw_err err =
        gw_config_patch(&change->config, current, &input, &change->secret_made, &error);
    gw_wipe(input.random, sizeof(input.random));
    if (err == GW_OK)
        gw_hosts_check(&change->hosts, change->request, change->config, current, on_hosts);
    else
        fail_error(change, &error);
}

void gw_config_api_patch(struct gw_api_request *request)
{
    struct change *change = change_create(request, PATCH);
    if (read_if_match(change) && read_key(change))
        change_start(change);
}

/* ── DELETE ────────────────────────────────────────────────────────────────────────────────── */

static void on_removal_published(struct gw_publish *publish)
{
    struct change *change = gw_container_of(publish, struct change, publish);
    struct gw_buf *out = gw_reply_begin(change->request, 200);
    gw_buf_addc(out, '{');
    gw_json_member(out, "appId", change->app_id);
    gw_json_member(out, "eventType", change->event_type);
    gw_json_member_bool(out, "deleted", true);
    gw_buf_addc(out, '}');
    change_release(change);
    gw_reply_end(change->request);
}

static void on_removed(struct gw_op *op)
{
    struct gw_config_remove *remove = gw_container_of(op, struct gw_config_remove, op);
    struct change *change = gw_container_of(remove, struct change, remove);
    switch (op->err) {
    case GW_OK: break;
    case GW_ERR_NOT_FOUND: fail(change, 404, "there is no such config any more"); return;
    case GW_ERR_CONFLICT: on_conflict(change); return;
    default: fail_store(change, op); return;
    }
    change->snapshot = remove->snapshot;
    change->publish.done = on_removal_published;
    gw_snapshots_publish(change->request->api->shard, change->snapshot, &change->publish);
}

static void remove_current(struct change *change, const struct gw_config *current)
{
    struct gw_configs *configs = configs_of(change->request);
    change->remove = (struct gw_config_remove){
        .op = {.env = gw_api_env(change->request), .done = on_removed},
        .app_id = change->app_id,
        .event_type = change->event_type,
        .expected_version = current->version,
        .audit = line_of(change, current),
    };
    gw_configs_remove(configs, &change->remove);
}

void gw_config_api_delete(struct gw_api_request *request)
{
    enum { APP_ID, EVENT_TYPE, COUNT };
    static const char *const names[COUNT] = {"appId", "eventType"};
    struct gw_slice values[COUNT];
    struct gw_error error;
    struct change *change = change_create(request, REMOVE);
    if (!read_if_match(change))
        return;
    if (gw_query_parse(request, names, COUNT, values, &error) != GW_OK) {
        fail_error(change, &error);
        return;
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (!values[i].ptr) {
            gw_reply_fail(request, 400, "%s: is required, as a query parameter", names[i]);
            return;
        }
    }
    if (!gw_api_may_see(request, values[APP_ID])) {
        fail(change, 404, "there is no config for this appId and eventType");
        return;
    }
    change->app_id = values[APP_ID];
    change->event_type = values[EVENT_TYPE];
    change_start(change);
}
