/* schedule.c: owns where lanes lead, and turns: what starts now, and when to look again.
 *
 *   lane ─▶ target (target.c) ─▶ its turn ─▶ the first of its first lane ─▶ attempt.c ─▶ landed
 *
 * What leads nowhere any more (config deleted, URL removed) leads to `ending`, a target without a URL
 * whose deliveries are always due and end cancelled, a few at a time. What is held under an inactive
 * config has no target; what is held for a disabled one stays with it. What has waited for too long
 * (core/retry.c) takes its turn like the others, and ends then without an attempt.
 *
 * Thread: the shard's. Wall time decides what is due; the timer looks again at least every minute,
 * so that a step of the clock is noticed. */
#include "base/check.h"
#include "base/timefmt.h"
#include "flow/attempt.h"
#include "flow/lanes.h"

#define LOOK_AGAIN_MS   60000
#define STARTS_PER_TURN 128
#define GAUGE_EVERY_US  1000000
#define KEEP_BODY_MS    10000 /* what is due sooner keeps its body in memory */

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

static void on_wake(struct gw_timer *timer)
{
    gw_schedule_run(gw_container_of(timer, struct gw_schedule, wake));
}

struct gw_schedule *gw_schedule_create(struct gw_shard *shard)
{
    struct gw_schedule *schedule = gw_zalloc(sizeof(*schedule));
    schedule->shard = shard;
    schedule->wake.fire = on_wake;
    schedule->trim_at = shard->flow->options.memory_max;
    gw_list_init(&schedule->flights);
    gw_target_init(schedule);
    return schedule;
}

void gw_schedule_destroy(struct gw_schedule *schedule)
{
    schedule->closing = true;
    gw_list_each_safe (link, &schedule->flights) {
        struct gw_flight *flight = gw_container_of(link, struct gw_flight, link);
        struct gw_pending *pending = flight->pending;
        struct gw_target *target = pending->target;
        gw_attempt_free(flight);
        gw_lanes_free(pending);
        gw_target_flies(target, false);
    }
    struct gw_lane *lane;
    size_t at = 0;
    while ((lane = gw_map_next(&schedule->lanes, &at))) {
        gw_lanes_destroy(lane);
        at = 0;
    }
    gw_target_deinit(schedule);
    struct gw_app *app;
    for (at = 0; (app = gw_map_next(&schedule->apps, &at)); at = 0)
        gw_apps_free(app); /* those still waiting for their snapshot */
    gw_map_deinit(&schedule->apps);
    gw_map_deinit(&schedule->lanes);
    gw_free(schedule);
}

/* ── Where lanes lead ──────────────────────────────────────────────────────────────────────── */

void gw_schedule_lane_changed(struct gw_lane *lane)
{
    struct gw_target *target = lane->target;
    struct gw_schedule *schedule = lane->app->schedule;
    struct gw_heap_node *first = gw_heap_first(&lane->waiting);
    if (!target) {
        schedule->must_sweep = first != NULL || schedule->must_sweep;
        return;
    }
    int64_t due_ms = first && target == &schedule->ending ? INT64_MIN : first ? first->key : 0;
    if (gw_heap_linked(&lane->node) && (!first || lane->node.key != due_ms))
        gw_heap_remove(&target->lanes, &lane->node);
    if (first && !gw_heap_linked(&lane->node)) {
        lane->node.key = due_ms;
        lane->node.tie = first->tie;
        gw_heap_push(&target->lanes, &lane->node);
    }
    gw_target_place(schedule, target);
}

void gw_schedule_detach(struct gw_lane *lane)
{
    struct gw_schedule *schedule = lane->app->schedule;
    struct gw_target *target = lane->target;
    if (!target)
        return;
    if (gw_heap_linked(&lane->node))
        gw_heap_remove(&target->lanes, &lane->node);
    lane->target = NULL;
    gw_target_lead(target, false);
    gw_target_place(schedule, target);
    gw_target_release(schedule, target);
}

static void remember_event_type(struct gw_lane *lane, struct gw_slice event_type)
{
    if (lane->event_type.ptr || !event_type.ptr)
        return;
    char *copy = gw_alloc(event_type.len + 1);
    memcpy(copy, event_type.ptr, event_type.len);
    lane->event_type = (struct gw_slice){copy, event_type.len};
}

static struct gw_target *target_of(struct gw_app *app, const struct gw_route *route)
{
    struct gw_target *target = gw_target_get(app, &route->url);
    const struct gw_snapshot_target *limits = gw_snapshot_target(app->snapshot, route->url.text);
    gw_check(limits != NULL); /* the route is of that snapshot */
    size_t workers = app->schedule->shard->flow->options.workers;
    target->in_flight_max = limits->in_flight_max;
    if (workers > 1)
        target->in_flight_max = (uint32_t)(limits->in_flight_max / workers);
    if (!target->in_flight_max)
        target->in_flight_max = 1;
    bool is_paced = app->schedule->shard->flow->pace != NULL;
    target->rate_limit = is_paced ? 0 : limits->rate_limit;
    target->paced = is_paced ? limits->rate_limit : 0;
    return target;
}

void gw_schedule_attach(struct gw_lane *lane)
{
    struct gw_app *app = lane->app;
    struct gw_target *target = NULL;
    struct gw_config *config;
    const struct gw_route *route;
    if (!app->snapshot)
        target = NULL;
    else if (!gw_snapshot_lane(app->snapshot, lane->number, &config, &route))
        target = &app->schedule->ending;
    else if (config->is_active)
        target = target_of(app, route);
    if (target && target != &app->schedule->ending)
        remember_event_type(lane, config->event_type);
    if (target != lane->target) {
        if (target)
            gw_target_lead(target, true); /* before detach: both may be the last lane's */
        gw_schedule_detach(lane);
        lane->target = target;
    }
    gw_schedule_lane_changed(lane);
}

static enum gw_end_reason end_reason(const struct gw_lane *lane)
{
    bool config_there =
        lane->event_type.ptr && gw_snapshot_config(lane->app->snapshot, lane->event_type) != NULL;
    return config_there ? GW_END_URL_REMOVED : GW_END_CONFIG_DELETED;
}

int64_t gw_schedule_gives_up_ms(const struct gw_pending *pending, const struct gw_config *config)
{
    return gw_retry_gives_up_ms(&config->retry, pending->delivery.created_ms,
                                pending->target->health.enabled_ms, config->active_ms);
}

/* It has waited for too long. A manual retry is somebody's wish of now. */
static bool is_given_up(const struct gw_pending *pending, const struct gw_config *config)
{
    const struct gw_delivery *delivery = &pending->delivery;
    int64_t now_ms = gw_env_wall_ms(pending->lane->app->schedule->shard->env);
    if (delivery->resume_ms || now_ms - delivery->created_ms < GW_RETRY_GIVE_UP_MS)
        return false;
    return now_ms >= gw_schedule_gives_up_ms(pending, config);
}

bool gw_schedule_route(struct gw_pending *pending, struct gw_snapshot **snapshot,
                       struct gw_config **config, const struct gw_route **route,
                       enum gw_end_reason *reason)
{
    struct gw_lane *lane = pending->lane;
    *snapshot = lane->app->snapshot;
    *reason = GW_END_NONE;
    if (!gw_snapshot_lane(*snapshot, lane->number, config, route)) {
        *reason = end_reason(lane);
        return false;
    }
    /* Taken under one target and leading to another now, it must wait for its place there. */
    if (!(*config)->is_active || lane->target != pending->target)
        return false;
    if (is_given_up(pending, *config))
        *reason = GW_END_EXPIRED;
    return *reason == GW_END_NONE;
}

/* ── Turns ─────────────────────────────────────────────────────────────────────────────────── */

/* One that will end without an attempt counts for no rate. */
static void count_start(struct gw_schedule *schedule, const struct gw_pending *pending)
{
    struct gw_target *target = pending->target;
    const struct gw_route *route;
    struct gw_config *config;
    if (target->rate_limit &&
        gw_snapshot_lane(pending->lane->app->snapshot, pending->lane->number, &config, &route) &&
        !is_given_up(pending, config))
        gw_rate_take(&target->rate, gw_env_mono_us(schedule->shard->env));
}

static void start_one(struct gw_schedule *schedule, struct gw_target *target)
{
    struct gw_lane *lane = gw_container_of(gw_heap_first(&target->lanes), struct gw_lane, node);
    gw_target_flies(target, true);
    schedule->in_flight++;
    struct gw_pending *pending = gw_lanes_take(lane);
    pending->target = target;
    count_start(schedule, pending);
    gw_target_take_turn(schedule, target);
    gw_lanes_settle_down(lane);
    gw_attempt_start(schedule->shard, pending);
}

/* For the gauge: when was the delivery due that has waited longest? */
static int64_t oldest_due_ms(const struct gw_schedule *schedule)
{
    int64_t now_ms = gw_env_wall_ms(schedule->shard->env), oldest = 0;
    struct gw_target *target;
    size_t at = 0;
    while ((target = gw_map_next(&schedule->targets, &at))) {
        struct gw_heap_node *first = gw_heap_first(&target->lanes);
        if (target->health.state == GW_HEALTH_DISABLED)
            continue;
        if (first && first->key > 0 && first->key <= now_ms && (!oldest || first->key < oldest))
            oldest = first->key;
    }
    return oldest;
}

static void update_gauges(struct gw_schedule *schedule)
{
    struct gw_shard *shard = schedule->shard;
    gw_shard_gauge(shard, GW_GAUGE_IN_FLIGHT, (int64_t)schedule->in_flight);
    gw_shard_gauge(shard, GW_GAUGE_IN_MEMORY, (int64_t)schedule->in_memory);
    gw_shard_gauge(shard, GW_GAUGE_BUSY,
                   (int64_t)(schedule->targets.count - schedule->resting_count));
    for (size_t i = 0; i < GW_HEALTH_STATE_COUNT; i++)
        gw_shard_gauge(shard, GW_GAUGE_TARGETS + i, (int64_t)schedule->states[i]);
    int64_t now_us = gw_env_mono_us(shard->env);
    bool nothing_due =
        !schedule->in_flight && gw_list_empty(&schedule->ring) && !gw_heap_first(&schedule->paused);
    if (!nothing_due && now_us - schedule->gauged_us < GAUGE_EVERY_US)
        return;
    schedule->gauged_us = now_us;
    gw_shard_gauge(shard, GW_GAUGE_OLDEST_DUE_MS, nothing_due ? 0 : oldest_due_ms(schedule));
}

/* While something is in flight or paused the gauge must see who waits for it. */
static void set_timer(struct gw_schedule *schedule, int64_t wait_ms)
{
    struct gw_env *env = schedule->shard->env;
    bool is_busy = schedule->in_flight || gw_heap_first(&schedule->paused);
    int64_t max_ms = is_busy ? GAUGE_EVERY_US / 1000 : LOOK_AGAIN_MS;
    if (wait_ms == GW_NEVER && !is_busy)
        gw_env_timer_stop(env, &schedule->wake);
    else
        gw_env_timer_set(env, &schedule->wake, wait_ms < max_ms ? wait_ms : max_ms);
}

void gw_schedule_run(struct gw_schedule *schedule)
{
    struct gw_shard *shard = schedule->shard;
    if (shard->flow->options.is_shared)
        gw_watch_sweep(schedule);
    if (shard->draining)
        return;
    if (schedule->stalls) { /* nothing starts, but how long things wait must be seen */
        gw_env_timer_set(shard->env, &schedule->wake, GAUGE_EVERY_US / 1000);
        update_gauges(schedule);
        return;
    }
    gw_target_collect(schedule);
    struct gw_target *target;
    size_t starts = 0;
    while (starts < STARTS_PER_TURN && schedule->in_flight < shard->flow->options.in_flight_max &&
           (target = gw_target_next(schedule))) {
        start_one(schedule, target);
        starts++;
    }
    set_timer(schedule, starts == STARTS_PER_TURN ? 0 : gw_target_wait_ms(schedule));
    update_gauges(schedule);
}

void gw_schedule_stall(struct gw_schedule *schedule)
{
    schedule->stalls++;
}

void gw_schedule_resume(struct gw_schedule *schedule)
{
    gw_check(schedule->stalls > 0);
    schedule->stalls--;
    gw_schedule_run(schedule);
}

bool gw_schedule_is_stalled(const struct gw_schedule *schedule)
{
    return schedule->stalls > 0;
}

void gw_schedule_cut(struct gw_schedule *schedule)
{
    gw_list_each_safe (link, &schedule->flights)
        gw_attempt_cut(gw_container_of(link, struct gw_flight, link));
}

/* ── Landing ───────────────────────────────────────────────────────────────────────────────── */

static void return_pending(struct gw_pending *pending, const struct gw_delivery *next)
{
    struct gw_env *env = pending->lane->app->schedule->shard->env;
    bool stays = true;
    if (next) {
        pending->delivery = *next;
        stays = next->state == GW_DELIVERY_PENDING &&
                gw_lanes_within(pending->lane, next->due_ms, next->order);
        if (next->due_ms > gw_env_wall_ms(env) + KEEP_BODY_MS)
            gw_lanes_drop_message(pending);
    }
    if (stays && !gw_watch_takes(pending))
        gw_lanes_put_back(pending);
    else
        gw_lanes_free(pending);
}

static void land(struct gw_pending *pending, const struct gw_delivery *next,
                 const struct gw_health_attempt *attempt, bool forget)
{
    struct gw_lane *lane = pending->lane;
    struct gw_target *target = pending->target;
    struct gw_schedule *schedule = lane->app->schedule;
    pending->target = NULL;
    gw_target_flies(target, false);
    schedule->in_flight--;
    if (attempt)
        gw_target_judge(target, attempt);
    if (forget)
        gw_lanes_free(pending);
    else
        return_pending(pending, next);
    gw_target_place(schedule, target);
    gw_target_release(schedule, target);
    gw_lanes_settle_down(lane);
    gw_schedule_run(schedule);
}

void gw_schedule_landed(struct gw_pending *pending, const struct gw_delivery *next,
                        const struct gw_health_attempt *attempt)
{
    land(pending, next, attempt, false);
}

void gw_schedule_forget(struct gw_pending *pending)
{
    land(pending, NULL, NULL, true);
}
