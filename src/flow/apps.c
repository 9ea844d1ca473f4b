/* apps.c: owns the apps that have something open in this shard, or a target that is remembered, and
 * their snapshots.
 *
 * An app is made with its first lane and goes with its last lane and target. Its snapshot is in the shard's cache,
 * or is loaded; until it is there its lanes lead nowhere. A failed load is tried again every
 * second. While a load is under way the app is pinned.
 *
 * Thread: the shard's. */
#include "base/log.h"
#include "flow/lanes.h"

#define APP_AGAIN_MS 1000

static void app_load(struct gw_app *app);

void gw_apps_free(struct gw_app *app)
{
    gw_map_del(&app->schedule->apps, app->app_id);
    if (app->snapshot)
        gw_snapshot_unref(app->snapshot);
    gw_free(app);
}

static bool is_needed(const struct gw_app *app)
{
    return !gw_list_empty(&app->lanes) || !gw_list_empty(&app->targets);
}

void gw_apps_release(struct gw_app *app)
{
    if (!is_needed(app) && !app->pins)
        gw_apps_free(app);
}

static void app_set_snapshot(struct gw_app *app, struct gw_snapshot *snapshot)
{
    if (app->snapshot && app->snapshot->revision >= snapshot->revision)
        return;
    gw_snapshot_ref(snapshot);
    if (app->snapshot)
        gw_snapshot_unref(app->snapshot);
    app->snapshot = snapshot;
    app->pins++; /* its lanes and targets may go one by one below */
    gw_list_each_safe (link, &app->lanes) {
        struct gw_lane *lane = gw_container_of(link, struct gw_lane, link);
        gw_schedule_attach(lane);
        gw_lanes_settle_down(lane);
    }
    gw_list_each_safe (node, &app->targets) /* those that no config names any more go */
        gw_target_release(app->schedule, gw_container_of(node, struct gw_target, link));
    app->pins--;
    gw_apps_release(app);
}

static void on_app_again(struct gw_timer *timer)
{
    struct gw_app *app = gw_container_of(timer, struct gw_app, again);
    app->pins--;
    if (app->snapshot || !is_needed(app) || app->schedule->shard->draining)
        gw_apps_release(app);
    else
        app_load(app);
}

static void on_app_snapshot(struct gw_snapshot_wait *wait, struct gw_snapshot *snapshot,
                            enum gw_err err)
{
    struct gw_app *app = gw_container_of(wait, struct gw_app, wait);
    struct gw_schedule *schedule = app->schedule;
    if (snapshot) {
        app_set_snapshot(app, snapshot);
        app->pins--;
        gw_apps_release(app);
        gw_schedule_run(schedule);
        return;
    }
    gw_log(GW_LOG_WARN, "configs_unreadable", GW_SL("app", app->app_id),
           GW_S("error", gw_err_name(err)));
    gw_env_timer_set(schedule->shard->env, &app->again, APP_AGAIN_MS);
}

/* Pinned until it has its snapshot. */
static void app_load(struct gw_app *app)
{
    struct gw_shard *shard = app->schedule->shard;
    app->pins++;
    app->wait.ready = on_app_snapshot;
    app->again.fire = on_app_again;
    gw_snapshots_load(shard, app->app_id, &app->wait);
}

struct gw_app *gw_apps_get(struct gw_schedule *schedule, struct gw_slice app_id)
{
    struct gw_app *app = gw_map_get(&schedule->apps, app_id);
    if (app)
        return app;
    app = gw_zalloc(sizeof(*app) + app_id.len);
    memcpy(app + 1, app_id.ptr, app_id.len);
    app->app_id = (struct gw_slice){(const char *)(app + 1), app_id.len};
    app->schedule = schedule;
    gw_list_init(&app->lanes);
    gw_list_init(&app->targets);
    gw_map_put(&schedule->apps, app->app_id, app);
    struct gw_snapshot *snapshot = gw_snapshots_peek(schedule->shard, app_id);
    if (snapshot)
        app->snapshot = gw_snapshot_ref(snapshot);
    else
        app_load(app);
    return app;
}

void gw_schedule_on_snapshot(struct gw_schedule *schedule, struct gw_snapshot *snapshot)
{
    struct gw_app *app = gw_map_get(&schedule->apps, gw_slice_from(snapshot->app_id));
    if (!app || (app->snapshot && app->snapshot->revision >= snapshot->revision))
        return;
    app_set_snapshot(app, snapshot);
    gw_schedule_run(schedule);
}
