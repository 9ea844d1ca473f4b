/* schedule.c: owns targets and turns: what may start now, and when to look again.
 *
 *   lane ──▶ target ──┬─ something is due, and it may start ─▶ ring   one attempt a turn, then
 *                     │                                               to the end of the ring
 *                     ├─ the next is due later ──────────────▶ later  (the one timer)
 *                     └─ nothing waits, or at its limit ─────▶ nowhere: what lands looks again
 *
 * A target's limit is its own, so one that hangs fills its own places and nobody else's. What leads
 * nowhere any more (config deleted, URL removed) leads to `ending`, a target without a URL whose
 * deliveries are always due and end cancelled, a few at a time. What is held has no target.
 *
 * Thread: the shard's. Wall time decides what is due; the timer looks again at least every minute,
 * so that a step of the clock is noticed. */
#include "base/check.h"
#include "flow/attempt.h"
#include "flow/lanes.h"

#define LOOK_AGAIN_MS   60000
#define STARTS_PER_TURN 128
#define ENDING_MAX      64
#define GAUGE_EVERY_US  1000000
#define KEEP_BODY_MS    10000 /* what is due sooner keeps its body in memory */

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

static void on_wake(struct gw_timer *timer)
{
    gw_schedule_run(gw_container_of(timer, struct gw_schedule, wake));
}

static void target_init(struct gw_target *target, size_t in_flight_max)
{
    target->in_flight_max = in_flight_max;
    gw_list_init(&target->ready);
}

struct gw_schedule *gw_schedule_create(struct gw_shard *shard)
{
    struct gw_schedule *schedule = gw_zalloc(sizeof(*schedule));
    schedule->shard = shard;
    schedule->wake.fire = on_wake;
    schedule->trim_at = shard->flow->options.memory_max;
    gw_list_init(&schedule->ring);
    gw_list_init(&schedule->flights);
    target_init(&schedule->ending, ENDING_MAX);
    return schedule;
}

static void target_release(struct gw_schedule *schedule, struct gw_target *target)
{
    if (target == &schedule->ending || target->lane_count || target->in_flight)
        return;
    gw_map_del(&schedule->targets, target->key);
    gw_heap_deinit(&target->lanes);
    gw_free(target);
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
        target->in_flight--;
        target_release(schedule, target);
    }
    struct gw_lane *lane;
    size_t at = 0;
    while ((lane = gw_map_next(&schedule->lanes, &at))) {
        gw_lanes_destroy(lane);
        at = 0;
    }
    struct gw_app *app;
    for (at = 0; (app = gw_map_next(&schedule->apps, &at)); at = 0)
        gw_apps_free(app); /* those still waiting for their snapshot */
    gw_check(schedule->targets.count == 0);
    gw_map_deinit(&schedule->apps);
    gw_map_deinit(&schedule->lanes);
    gw_map_deinit(&schedule->targets);
    gw_heap_deinit(&schedule->later);
    gw_heap_deinit(&schedule->ending.lanes);
    gw_free(schedule);
}

/* ── Targets ───────────────────────────────────────────────────────────────────────────────── */

static struct gw_target *target_get(struct gw_lane *lane, const struct gw_route *route)
{
    struct gw_schedule *schedule = lane->app->schedule;
    struct gw_slice app_id = lane->app->app_id, url = route->url.text;
    size_t len = app_id.len + 1 + url.len;
    struct gw_target *target = gw_zalloc(sizeof(*target) + len);
    char *key = (char *)(target + 1);
    memcpy(key, app_id.ptr, app_id.len);
    memcpy(key + app_id.len + 1, url.ptr, url.len);
    target->key = (struct gw_slice){key, len};
    struct gw_target *known = gw_map_get(&schedule->targets, target->key);
    if (known) {
        gw_free(target);
        target = known;
    } else {
        target_init(target, 1);
        gw_map_put(&schedule->targets, target->key, target);
    }
    const struct gw_snapshot_target *limits = gw_snapshot_target(lane->app->snapshot, url);
    gw_check(limits != NULL); /* the route is of that snapshot */
    target->in_flight_max = limits->in_flight_max;
    return target;
}

/* Puts the target where it belongs: ring, timer or nowhere. */
static void target_place(struct gw_schedule *schedule, struct gw_target *target)
{
    struct gw_heap_node *first = gw_heap_first(&target->lanes);
    bool may_start = first && !schedule->closing && target->in_flight < target->in_flight_max;
    bool due = may_start && first->key <= gw_env_wall_ms(schedule->shard->env);
    if (due && !gw_list_linked(&target->ready))
        gw_list_push(&schedule->ring, &target->ready);
    else if (!due)
        gw_list_remove(&target->ready);
    bool later = may_start && !due;
    if (gw_heap_linked(&target->timer) && (!later || target->timer.key != first->key))
        gw_heap_remove(&schedule->later, &target->timer);
    if (later && !gw_heap_linked(&target->timer)) {
        target->timer.key = first->key;
        gw_heap_push(&schedule->later, &target->timer);
    }
}

void gw_schedule_lane_changed(struct gw_lane *lane)
{
    struct gw_target *target = lane->target;
    if (!target)
        return;
    struct gw_schedule *schedule = lane->app->schedule;
    struct gw_heap_node *first = gw_heap_first(&lane->waiting);
    int64_t due_ms = first && target == &schedule->ending ? INT64_MIN : first ? first->key : 0;
    if (gw_heap_linked(&lane->node) && (!first || lane->node.key != due_ms))
        gw_heap_remove(&target->lanes, &lane->node);
    if (first && !gw_heap_linked(&lane->node)) {
        lane->node.key = due_ms;
        lane->node.tie = first->tie;
        gw_heap_push(&target->lanes, &lane->node);
    }
    target_place(schedule, target);
}

/* ── Where lanes lead ──────────────────────────────────────────────────────────────────────── */

void gw_schedule_detach(struct gw_lane *lane)
{
    struct gw_schedule *schedule = lane->app->schedule;
    struct gw_target *target = lane->target;
    if (!target)
        return;
    if (gw_heap_linked(&lane->node))
        gw_heap_remove(&target->lanes, &lane->node);
    lane->target = NULL;
    target->lane_count--;
    target_place(schedule, target);
    target_release(schedule, target);
}

static void remember_event_type(struct gw_lane *lane, struct gw_slice event_type)
{
    if (lane->event_type.ptr || !event_type.ptr)
        return;
    char *copy = gw_alloc(event_type.len + 1);
    memcpy(copy, event_type.ptr, event_type.len);
    lane->event_type = (struct gw_slice){copy, event_type.len};
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
        target = target_get(lane, route);
    if (target && target != &app->schedule->ending)
        remember_event_type(lane, config->event_type);
    if (target != lane->target) {
        if (target)
            target->lane_count++; /* before detach: both may be the last lane's */
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
    return (*config)->is_active && lane->target == pending->target;
}

/* ── Turns ─────────────────────────────────────────────────────────────────────────────────── */

static void start_one(struct gw_schedule *schedule, struct gw_target *target)
{
    struct gw_lane *lane = gw_container_of(gw_heap_first(&target->lanes), struct gw_lane, node);
    target->in_flight++;
    schedule->in_flight++;
    gw_list_remove(&target->ready); /* its next turn is after everybody else's */
    struct gw_pending *pending = gw_lanes_take(lane);
    pending->target = target;
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
    gw_shard_gauge(shard, GW_GAUGE_TARGETS, (int64_t)schedule->targets.count);
    int64_t now_us = gw_env_mono_us(shard->env);
    bool nothing_due = gw_list_empty(&schedule->ring) && !schedule->in_flight;
    if (!nothing_due && now_us - schedule->gauged_us < GAUGE_EVERY_US)
        return;
    schedule->gauged_us = now_us;
    gw_shard_gauge(shard, GW_GAUGE_OLDEST_DUE_MS, nothing_due ? 0 : oldest_due_ms(schedule));
}

static void set_timer(struct gw_schedule *schedule, bool more_now)
{
    struct gw_env *env = schedule->shard->env;
    struct gw_heap_node *next = gw_heap_first(&schedule->later);
    /* While something is in flight others may wait for its place: the gauge must see them. */
    int64_t max_ms = schedule->in_flight ? GAUGE_EVERY_US / 1000 : LOOK_AGAIN_MS;
    if (more_now) {
        gw_env_timer_set(env, &schedule->wake, 0);
        return;
    }
    if (!next && !schedule->in_flight) {
        gw_env_timer_stop(env, &schedule->wake);
        return;
    }
    int64_t delay_ms = next ? next->key - gw_env_wall_ms(env) : max_ms;
    gw_env_timer_set(env, &schedule->wake,
                     delay_ms < 0        ? 0
                     : delay_ms > max_ms ? max_ms
                                         : delay_ms);
}

/* What has become due moves from the timer to the ring. */
static void collect_due(struct gw_schedule *schedule)
{
    int64_t now_ms = gw_env_wall_ms(schedule->shard->env);
    struct gw_heap_node *node;
    while ((node = gw_heap_first(&schedule->later)) && node->key <= now_ms)
        target_place(schedule, gw_container_of(node, struct gw_target, timer));
}

void gw_schedule_run(struct gw_schedule *schedule)
{
    struct gw_shard *shard = schedule->shard;
    if (shard->draining)
        return;
    if (schedule->stalls) { /* nothing starts, but how long things wait must be seen */
        gw_env_timer_set(shard->env, &schedule->wake, GAUGE_EVERY_US / 1000);
        update_gauges(schedule);
        return;
    }
    collect_due(schedule);
    size_t max = shard->flow->options.in_flight_max;
    size_t starts = 0;
    while (!gw_list_empty(&schedule->ring) && schedule->in_flight < max &&
           starts++ < STARTS_PER_TURN)
        start_one(schedule, gw_container_of(schedule->ring.next, struct gw_target, ready));
    set_timer(schedule, !gw_list_empty(&schedule->ring) && schedule->in_flight < max);
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

void gw_schedule_cut(struct gw_schedule *schedule)
{
    gw_list_each_safe (link, &schedule->flights)
        gw_attempt_cut(gw_container_of(link, struct gw_flight, link));
}

/* ── Landing ───────────────────────────────────────────────────────────────────────────────── */

static void return_pending(struct gw_pending *pending, const struct gw_delivery *next)
{
    if (!next) {
        gw_lanes_put_back(pending);
        return;
    }
    pending->delivery = *next;
    bool open = next->state == GW_DELIVERY_PENDING;
    if (!open || !gw_lanes_within(pending->lane, next->due_ms, next->order)) {
        gw_lanes_free(pending);
        return;
    }
    struct gw_env *env = pending->lane->app->schedule->shard->env;
    if (next->due_ms > gw_env_wall_ms(env) + KEEP_BODY_MS)
        gw_lanes_drop_message(pending);
    gw_lanes_put_back(pending);
}

static void land(struct gw_pending *pending, const struct gw_delivery *next, bool forget)
{
    struct gw_lane *lane = pending->lane;
    struct gw_target *target = pending->target;
    struct gw_schedule *schedule = lane->app->schedule;
    pending->target = NULL;
    target->in_flight--;
    schedule->in_flight--;
    if (forget)
        gw_lanes_free(pending);
    else
        return_pending(pending, next);
    target_place(schedule, target);
    target_release(schedule, target);
    gw_lanes_settle_down(lane);
    gw_schedule_run(schedule);
}

void gw_schedule_landed(struct gw_pending *pending, const struct gw_delivery *next)
{
    land(pending, next, false);
}

void gw_schedule_forget(struct gw_pending *pending)
{
    land(pending, NULL, true);
}
