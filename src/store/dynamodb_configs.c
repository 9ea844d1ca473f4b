/* dynamodb_configs.c: the configs port, but for changes, which are dynamodb_config_change.c's.
 *
 * A config is an item (appId, eventType) of the config table: its version, its default lane, and the
 * config itself, sealed, for it holds secrets, header values and URLs. The first item of an app has
 * DYNAMODB_MARK for its eventType, which no eventType can be: the app's revision. A snapshot is one
 * Query; should it meet a change half way, the next one, seconds later, does not. "apps" in the admin
 * table are those that have a config, so the configs of all apps have an order: a list goes from app
 * to app until its page is full.
 *
 * Owns, in a run, the configs that were read. A stored config that cannot be decoded is damage:
 * GW_ERR_CORRUPT, never one left out. */
#include "store/dynamodb_impl.h"

#include "base/check.h"
#include "base/crypto.h"

#include <inttypes.h>

#define APPS_AT_A_TIME 64

/* ── Items ─────────────────────────────────────────────────────────────────────────────────── */

const char *dynamodb_config_field(struct dynamodb_run *run, uint64_t version)
{
    return gw_arena_printf(&run->arena, "config %" PRIu64, version);
}

static enum gw_err item_open(struct dynamodb_run *run, yyjson_val *item, struct gw_config **config)
{
    struct gw_slice app_id, event_type, sealed, plain;
    struct gw_error error;
    int64_t version;

    if (!gw_aws_dynamodb_take_text(item, "appId", &app_id) ||
        !gw_aws_dynamodb_take_text(item, "eventType", &event_type) ||
        !gw_aws_dynamodb_take_number(item, "version", &version) ||
        !gw_aws_dynamodb_take_bytes(item, "config", &run->arena, &sealed) ||
        !dynamodb_unseal(run->store, &run->arena, app_id, event_type,
                         dynamodb_config_field(run, (uint64_t)version), sealed, &plain))
        return GW_ERR_CORRUPT;
    bool is_well = gw_config_decode(config, plain, &error) == GW_OK;
    gw_wipe((void *)(uintptr_t)plain.ptr, plain.len); /* it holds secrets */
    return is_well ? GW_OK : GW_ERR_CORRUPT;
}

void dynamodb_configs_add(struct dynamodb_configs *configs, struct gw_config *config)
{
    if (configs->count == configs->cap) {
        configs->cap = configs->cap ? 2 * configs->cap : 8;
        configs->all = gw_realloc(configs->all, configs->cap * sizeof(struct gw_config *));
    }
    configs->all[configs->count++] = config;
}

static enum gw_err take_item(struct dynamodb_run *run, yyjson_val *item)
{
    struct dynamodb_configs *configs = run->own;
    struct gw_slice event_type;
    struct gw_config *config;
    int64_t revision;

    if (gw_aws_dynamodb_take_text(item, "eventType", &event_type) &&
        gw_slice_is(event_type, DYNAMODB_MARK)) {
        if (!gw_aws_dynamodb_take_number(item, "revision", &revision))
            return GW_ERR_CORRUPT;
        configs->revision = (uint64_t)revision;
        return GW_OK;
    }
    enum gw_err err = item_open(run, item, &config);
    if (err == GW_OK)
        dynamodb_configs_add(configs, config);
    return err;
}

void dynamodb_configs_forget(struct dynamodb_configs *configs)
{
    for (size_t i = 0; i < configs->count; i++)
        gw_config_unref(configs->all[i]);
    gw_free(configs->all);
    *configs = (struct dynamodb_configs){0};
}

void dynamodb_configs_end(struct dynamodb_run *run)
{
    dynamodb_configs_forget(run->own);
}

void dynamodb_configs_read(struct dynamodb_run *run, struct gw_slice app_id, dynamodb_fn *then)
{
    dynamodb_query(run, &(struct dynamodb_query){
                            .table = DYNAMODB_CONFIG,
                            .keys = "#appId = :app",
                            .values = {{":app", app_id}},
                            .take = take_item,
                            .then = then,
                        });
}

struct gw_snapshot *dynamodb_configs_snapshot(struct dynamodb_configs *configs,
                                              struct gw_slice app_id)
{
    size_t count = configs->count;

    configs->count = 0; /* the references are the snapshot's */
    return gw_snapshot_create(app_id, configs->revision, configs->all, count);
}

/* ── Load ──────────────────────────────────────────────────────────────────────────────────── */

static void on_loaded(struct dynamodb_run *run)
{
    struct gw_config_load *op = gw_container_of(run->op, struct gw_config_load, op);

    op->snapshot = dynamodb_configs_snapshot(run->own, op->app_id);
    dynamodb_done(run, GW_OK);
}

static void load(struct dynamodb_run *run)
{
    const struct gw_config_load *op = gw_container_of(run->op, struct gw_config_load, op);

    run->own = gw_arena_zalloc(&run->arena, sizeof(struct dynamodb_configs));
    run->end = dynamodb_configs_end;
    if (dynamodb_is_name(op->app_id))
        dynamodb_configs_read(run, op->app_id, on_loaded);
    else
        on_loaded(run);
}

/* ── List ──────────────────────────────────────────────────────────────────────────────────── */

struct listing {
    struct dynamodb_configs configs;
    struct gw_slice apps[APPS_AT_A_TIME]; /* those that come next */
    size_t app_count, app_at;
    bool has_more_apps; /* behind these */
};

static struct gw_config_list *list_of(struct dynamodb_run *run)
{
    return gw_container_of(run->op, struct gw_config_list, op);
}

static enum gw_err take_listed(struct dynamodb_run *run, yyjson_val *item)
{
    struct listing *listing = run->own;
    enum gw_err err = take_item(run, item);

    run->query.is_enough = listing->configs.count > list_of(run)->max;
    return err;
}

static void finish_list(struct dynamodb_run *run)
{
    struct dynamodb_configs *configs = run->own;
    struct gw_config_list *op = list_of(run);

    op->more = configs->count > op->max;
    op->count = op->more ? op->max : configs->count;
    op->configs = gw_arena_alloc(op->arena, (op->count + 1) * sizeof(struct gw_config *));
    for (size_t i = 0; i < op->count; i++)
        op->configs[i] = gw_config_ref(configs->all[i]);
    dynamodb_done(run, GW_OK);
}

static void next_apps(struct dynamodb_run *run, struct gw_slice after);

/* What of the app is behind that eventType. */
static void list_app(struct dynamodb_run *run, struct gw_slice app_id, struct gw_slice after,
                     dynamodb_fn *then)
{
    const struct listing *listing = run->own;
    struct gw_slice mark = GW_SLICE(DYNAMODB_MARK);

    dynamodb_query(run, &(struct dynamodb_query){
                            .table = DYNAMODB_CONFIG,
                            .keys = "#appId = :app AND #eventType > :after",
                            .values = {{":app", app_id}, {":after", after.len ? after : mark}},
                            .page_max = list_of(run)->max + 1 - listing->configs.count,
                            .take = take_listed,
                            .then = then,
                        });
}

static void on_app_listed(struct dynamodb_run *run)
{
    struct listing *listing = run->own;

    if (run->query.is_enough)
        finish_list(run);
    else if (listing->app_at < listing->app_count)
        list_app(run, listing->apps[listing->app_at++], (struct gw_slice){0}, on_app_listed);
    else if (listing->has_more_apps)
        next_apps(run, listing->apps[listing->app_count - 1]);
    else
        finish_list(run);
}

static enum gw_err take_app(struct dynamodb_run *run, yyjson_val *item)
{
    struct listing *listing = run->own;

    if (!gw_aws_dynamodb_take_text(item, "sk", &listing->apps[listing->app_count]))
        return GW_ERR_CORRUPT;
    run->query.is_enough = ++listing->app_count == APPS_AT_A_TIME;
    return GW_OK;
}

static void on_apps(struct dynamodb_run *run)
{
    struct listing *listing = run->own;

    listing->has_more_apps = run->query.is_enough;
    run->query.is_enough = false;
    on_app_listed(run);
}

static void next_apps(struct dynamodb_run *run, struct gw_slice after)
{
    struct listing *listing = run->own;

    listing->app_count = listing->app_at = 0;
    dynamodb_query(run,
                   &(struct dynamodb_query){
                       .table = DYNAMODB_ADMIN,
                       .keys = after.len ? "#pk = :pk AND #sk > :after" : "#pk = :pk",
                       .values = {{":pk", DYNAMODB_APPS}, {after.len ? ":after" : NULL, after}},
                       .page_max = APPS_AT_A_TIME,
                       .take = take_app,
                       .then = on_apps,
                   });
}

static void on_first_app_listed(struct dynamodb_run *run)
{
    const struct gw_config_list *op = list_of(run);

    if (run->query.is_enough || op->app_id.len > 0)
        finish_list(run);
    else
        next_apps(run, op->after_app_id);
}

static void list(struct dynamodb_run *run)
{
    const struct gw_config_list *op = list_of(run);
    struct gw_slice first = op->app_id.len > 0 ? op->app_id : op->after_app_id;

    run->own = gw_arena_zalloc(&run->arena, sizeof(struct listing));
    run->end = dynamodb_configs_end;
    if (first.len == 0)
        next_apps(run, first);
    else if (!dynamodb_is_name(first) ||
             (op->after_event_type.len > 0 && !dynamodb_is_name(op->after_event_type)))
        dynamodb_done(run, GW_ERR_INVALID);
    else
        list_app(run, first, op->after_event_type, on_first_app_listed);
}

void dynamodb_configs_start(struct dynamodb_run *run)
{
    switch (run->op->kind) {
    case GW_CALL_CONFIG_LOAD: load(run); return;
    case GW_CALL_CONFIG_LIST: list(run); return;
    case GW_CALL_CONFIG_PUT:
    case GW_CALL_CONFIG_REMOVE: dynamodb_config_change(run); return;
    default: gw_never("no operation of the configs port");
    }
}
