/* memory_config.c: the rules of configs, and of targets' health. Stored configs are references to
 * the caller's: they are immutable from the moment their lanes are filled in. */
#include "store/memory_state.h"

#include "base/check.h"

#include <stdlib.h>

/* ── Apps ──────────────────────────────────────────────────────────────────────────────────── */

static struct memory_app *app_find(struct gw_memory *memory, struct gw_slice id)
{
    gw_list_each (link, &memory->apps) {
        struct memory_app *app = gw_container_of(link, struct memory_app, link);
        if (gw_slice_eq(app->id, id))
            return app;
    }
    return NULL;
}

static struct memory_app *app_open(struct gw_memory *memory, struct gw_slice id)
{
    struct memory_app *app = app_find(memory, id);

    if (app)
        return app;
    app = gw_zalloc(sizeof(*app));
    app->id = memory_dup(id);
    gw_list_push(&memory->apps, &app->link);
    return app;
}

/* Where that config stands; NULL. */
static struct gw_config **app_config(struct memory_app *app, struct gw_slice event_type)
{
    for (size_t i = 0; app && i < app->config_count; i++)
        if (gw_slice_eq(app->configs[i]->event_type, event_type))
            return &app->configs[i];
    return NULL;
}

static struct gw_snapshot *snapshot_of(const struct memory_app *app, struct gw_slice id)
{
    if (app == NULL)
        return gw_snapshot_create(id, 0, NULL, 0);
    for (size_t i = 0; i < app->config_count; i++)
        gw_config_ref(app->configs[i]);
    return gw_snapshot_create(app->id, app->revision, app->configs, app->config_count);
}

/* ── The port ──────────────────────────────────────────────────────────────────────────────── */

enum gw_err memory_config_load(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_config_load *op = gw_container_of(base, struct gw_config_load, op);

    op->snapshot = snapshot_of(app_find(memory, op->app_id), op->app_id);
    return GW_OK;
}

static enum gw_err put_check(const struct gw_memory *memory, const struct gw_config_put *op,
                             struct gw_config *const *at)
{
    if (op->expected_version == 0 && at)
        return GW_ERR_EXISTS;
    if (op->expected_version == 0)
        return atomic_load(&memory->config_count) < MEMORY_CONFIGS_MAX ? GW_OK : GW_ERR_FULL;
    if (at == NULL)
        return GW_ERR_NOT_FOUND;
    bool is_same = (*at)->routes[0].lane == op->config->routes[0].lane;
    return is_same && (*at)->version == op->expected_version ? GW_OK : GW_ERR_CONFLICT;
}

enum gw_err memory_config_put(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_config_put *op = gw_container_of(base, struct gw_config_put, op);
    struct gw_config *config = op->config;
    struct memory_app *app = app_find(memory, config->app_id);
    struct gw_config **at = app_config(app, config->event_type);

    enum gw_err err = memory_audit_check(memory, &op->audit);
    if (err == GW_OK)
        err = put_check(memory, op, at);
    if (err != GW_OK)
        return err;
    for (size_t i = 0; i < config->route_count; i++)
        if (config->routes[i].lane == 0)
            config->routes[i].lane = memory->next_lane++;
    if (at) {
        gw_config_unref(*at);
    } else {
        app = app_open(memory, config->app_id);
        app->configs =
            gw_realloc(app->configs, (app->config_count + 1) * sizeof(struct gw_config *));
        at = &app->configs[app->config_count++];
        atomic_fetch_add(&memory->config_count, 1);
    }
    *at = gw_config_ref(config);
    app->revision++;
    memory_audit_write(memory, &op->audit);
    op->snapshot = snapshot_of(app, app->id);
    return GW_OK;
}

enum gw_err memory_config_remove(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_config_remove *op = gw_container_of(base, struct gw_config_remove, op);
    struct memory_app *app = app_find(memory, op->app_id);
    struct gw_config **at = app_config(app, op->event_type);
    enum gw_err err = memory_audit_check(memory, &op->audit);

    if (err != GW_OK)
        return err;
    if (at == NULL)
        return GW_ERR_NOT_FOUND;
    if (op->expected_version != 0 && (*at)->version != op->expected_version)
        return GW_ERR_CONFLICT;
    gw_config_unref(*at);
    *at = app->configs[--app->config_count];
    atomic_fetch_sub(&memory->config_count, 1);
    app->revision++;
    memory_audit_write(memory, &op->audit);
    op->snapshot = snapshot_of(app, app->id);
    return GW_OK;
}

static int compare_configs(const void *a, const void *b)
{
    const struct gw_config *x = *(struct gw_config *const *)a;
    const struct gw_config *y = *(struct gw_config *const *)b;
    int differs = memory_compare(x->app_id, y->app_id);

    return differs ? differs : memory_compare(x->event_type, y->event_type);
}

static bool is_on_page(const struct gw_config_list *op, const struct gw_config *config)
{
    if (op->app_id.len > 0 && !gw_slice_eq(op->app_id, config->app_id))
        return false;
    if (op->after_app_id.len == 0)
        return true;
    int differs = memory_compare(config->app_id, op->after_app_id);
    if (differs == 0)
        differs = memory_compare(config->event_type, op->after_event_type);
    return differs > 0;
}

enum gw_err memory_config_list(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_config_list *op = gw_container_of(base, struct gw_config_list, op);
    size_t count = 0;

    op->configs =
        gw_arena_alloc(op->arena, atomic_load(&memory->config_count) * sizeof(struct gw_config *));
    gw_list_each (link, &memory->apps) {
        struct memory_app *app = gw_container_of(link, struct memory_app, link);
        for (size_t i = 0; i < app->config_count; i++)
            if (is_on_page(op, app->configs[i]))
                op->configs[count++] = app->configs[i];
    }
    if (count > 0)
        qsort(op->configs, count, sizeof(struct gw_config *), compare_configs);
    op->more = count > op->max;
    op->count = op->more ? op->max : count;
    for (size_t i = 0; i < op->count; i++)
        gw_config_ref(op->configs[i]);
    return GW_OK;
}

/* ── Health of targets ─────────────────────────────────────────────────────────────────────── */

static struct memory_health *health_find(struct gw_memory *memory, const struct gw_health_row *key)
{
    gw_list_each (link, &memory->healths) {
        struct memory_health *item = gw_container_of(link, struct memory_health, link);
        if (gw_slice_eq(item->health.app_id, key->app_id) &&
            gw_slice_eq(item->health.url, key->url))
            return item;
    }
    return NULL;
}

static void health_free(struct gw_memory *memory, struct memory_health *item)
{
    gw_list_remove(&item->link);
    memory->health_count--;
    gw_free((char *)item->health.app_id.ptr);
    gw_free((char *)item->health.url.ptr);
    gw_free((char *)item->health.json.ptr);
    gw_free(item);
}

enum gw_err memory_health_save(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_health_save *op = gw_container_of(base, struct gw_health_save, op);
    struct memory_health *item = health_find(memory, &op->health);

    if (op->health.json.len > MEMORY_HEALTH_BYTES_MAX)
        return GW_ERR_TOO_LARGE;
    if (item == NULL && memory->health_count >= MEMORY_HEALTH_MAX)
        return GW_ERR_FULL;
    if (item)
        health_free(memory, item);
    if (op->health.json.len == 0)
        return GW_OK;
    item = gw_zalloc(sizeof(*item));
    item->health.app_id = memory_dup(op->health.app_id);
    item->health.url = memory_dup(op->health.url);
    item->health.json = memory_dup(op->health.json);
    gw_list_push(&memory->healths, &item->link);
    memory->health_count++;
    return GW_OK;
}

enum gw_err memory_health_load(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_health_load *op = gw_container_of(base, struct gw_health_load, op);

    op->items = gw_arena_alloc(op->arena, memory->health_count * sizeof(*op->items));
    gw_list_each (link, &memory->healths) {
        const struct gw_health_row *from =
            &gw_container_of(link, struct memory_health, link)->health;
        if (op->app_id.len > 0 && !gw_slice_eq(op->app_id, from->app_id))
            continue;
        op->items[op->count++] = (struct gw_health_row){
            .app_id = gw_arena_dup(op->arena, from->app_id),
            .url = gw_arena_dup(op->arena, from->url),
            .json = gw_arena_dup(op->arena, from->json),
        };
    }
    return GW_OK;
}

/* ── The end ───────────────────────────────────────────────────────────────────────────────── */

void memory_configs_free(struct gw_memory *memory)
{
    struct gw_list *link;

    while ((link = gw_list_pop(&memory->apps)) != NULL) {
        struct memory_app *app = gw_container_of(link, struct memory_app, link);
        for (size_t i = 0; i < app->config_count; i++)
            gw_config_unref(app->configs[i]);
        gw_free(app->configs);
        gw_free((char *)app->id.ptr);
        gw_free(app);
    }
    while (!gw_list_empty(&memory->healths))
        health_free(memory, gw_container_of(memory->healths.next, struct memory_health, link));
}
