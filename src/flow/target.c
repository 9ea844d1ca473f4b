/* target.c: owns targets: where each stands, and how many places it may take.
 *
 *   lanes ──▶ target ──┬─ something is due, and it may start ─▶ ring    one attempt a turn, then to
 *                      │                                               the end of the ring
 *                      ├─ due; those like it have their share ▶ parked at its host, until one of
 *                      │                                               them lands
 *                      ├─ due; its rate or a gap holds it ────▶ paused  the monotonic timer
 *                      ├─ due later ──────────────────────────▶ later   the wall timer
 *                      └─ nothing waits, at its limit, or
 *                         disabled ───────────────────────────▶ nowhere what lands looks again
 *
 * Who may take how much of a shard's places:
 *   - a target: what its health allows (core/health.c), up to maxInFlight; and not more than a
 *     quarter of all while another stands in the ring;
 *   - targets that are not proven (new, failing, slow), together: half of all; those of one host and
 *     port: half of that; those that have not failed go first. So whoever hangs, by however many
 *     targets, takes no place from those that are well, and the next one is for who is not known yet.
 *
 * A manual retry (due 0, before all else) goes out under a gap and to a disabled target, too.
 *
 * A target that nothing leads to any more is remembered: its health says what it may have next time.
 * It goes when it has rested for an hour, when there are too many of them, or when no config names
 * its URL; but one that is probed or disabled stays as long as a config names it.
 *
 * Thread: the shard's. */
#include "base/check.h"
#include "base/timefmt.h"
#include "flow/lanes.h"

#include <stdio.h>

#define ENDING_MAX  64
#define REST_MAX_US ((int64_t)3600 * 1000000)
#define IDLE_MAX    4096

static struct gw_schedule *schedule_of(const struct gw_target *target)
{
    return target->app->schedule;
}

/* ── Shares ────────────────────────────────────────────────────────────────────────────────── */

static size_t part(size_t of, size_t by)
{
    return (of + by - 1) / by;
}

static size_t unproven_max(const struct gw_schedule *schedule)
{
    return part(schedule->shard->flow->options.in_flight_max, 2);
}

static bool host_has_room(const struct gw_schedule *schedule, const struct gw_host *host)
{
    return host->unproven < part(unproven_max(schedule), 2);
}

static struct gw_host *waiting_host(const struct gw_schedule *schedule)
{
    for (size_t i = 0; i < GW_PARKING_COUNT; i++) {
        if (!gw_list_empty(&schedule->waiting[i]))
            return gw_container_of(schedule->waiting[i].next, struct gw_host, waiting);
    }
    return NULL;
}

/* Who comes to a free place while others wait for one waits behind them. */
static bool has_share(const struct gw_schedule *schedule, const struct gw_target *target)
{
    if (target->is_proven)
        return true;
    return schedule->unproven < unproven_max(schedule) && host_has_room(schedule, target->host) &&
           (target->standing == GW_STANDING_RING || waiting_host(schedule) == NULL);
}

static void host_place(struct gw_schedule *schedule, struct gw_host *host)
{
    enum gw_parking parking =
        gw_list_empty(&host->parked[GW_PARKING_UNFAILED]) ? GW_PARKING_FAILED : GW_PARKING_UNFAILED;
    bool waits = !gw_list_empty(&host->parked[parking]) && host_has_room(schedule, host);
    if (waits && parking == host->parking && gw_list_linked(&host->waiting))
        return; /* it keeps its turn */
    gw_list_remove(&host->waiting);
    host->parking = parking;
    if (waits)
        gw_list_push(&schedule->waiting[parking], &host->waiting);
}

static void count_unproven(struct gw_target *target, bool more, size_t by)
{
    struct gw_schedule *schedule = schedule_of(target);
    schedule->unproven += more ? by : (size_t)0 - by;
    target->host->unproven += more ? by : (size_t)0 - by;
    host_place(schedule, target->host);
}

/* Its attempts in flight go over to the other side with it. */
static void look_at_proof(struct gw_target *target, int64_t now_us)
{
    bool is_proven = gw_health_is_proven(&target->health, now_us);
    if (is_proven == target->is_proven)
        return;
    target->is_proven = is_proven;
    count_unproven(target, !is_proven, target->in_flight);
}

static bool needs_nothing(const struct gw_target *target)
{
    return !target->lane_count && !target->in_flight;
}

static void set_resting(struct gw_target *target)
{
    struct gw_schedule *schedule = schedule_of(target);
    bool rests = needs_nothing(target);
    if (rests == target->is_resting)
        return;
    target->is_resting = rests;
    schedule->resting_count += rests ? 1 : (size_t)0 - 1;
    if (!rests && gw_list_linked(&target->idle)) {
        gw_list_remove(&target->idle);
        schedule->idle_count--;
    }
}

void gw_target_flies(struct gw_target *target, bool starts)
{
    target->in_flight += starts ? 1 : (size_t)0 - 1;
    target->turned_away = 0;
    if (!target->is_proven)
        count_unproven(target, starts, 1);
    if (target->app)
        set_resting(target);
}

/* ── Where it stands ───────────────────────────────────────────────────────────────────────── */

static void leave(struct gw_schedule *schedule, struct gw_target *target)
{
    enum gw_standing standing = target->standing;
    target->standing = GW_STANDING_NOWHERE;
    switch (standing) {
    case GW_STANDING_NOWHERE: break;
    case GW_STANDING_RING: gw_list_remove(&target->ready); break;
    case GW_STANDING_PARKED:
        gw_list_remove(&target->ready);
        host_place(schedule, target->host);
        break;
    case GW_STANDING_PAUSED: gw_heap_remove(&schedule->paused, &target->timer); break;
    case GW_STANDING_LATER: gw_heap_remove(&schedule->later, &target->timer); break;
    }
}

static enum gw_parking parking_of(const struct gw_target *target)
{
    return target->health.streak == 0 ? GW_PARKING_UNFAILED : GW_PARKING_FAILED;
}

static void enter(struct gw_schedule *schedule, struct gw_target *target, enum gw_standing standing,
                  int64_t until)
{
    target->standing = standing;
    target->timer.key = until;
    switch (standing) {
    case GW_STANDING_NOWHERE: break;
    case GW_STANDING_RING: gw_list_push(&schedule->ring, &target->ready); break;
    case GW_STANDING_PARKED:
        target->parking = parking_of(target);
        gw_list_push(&target->host->parked[target->parking], &target->ready);
        host_place(schedule, target->host);
        break;
    case GW_STANDING_PAUSED: gw_heap_push(&schedule->paused, &target->timer); break;
    case GW_STANDING_LATER: gw_heap_push(&schedule->later, &target->timer); break;
    }
}

static int64_t wait_us(const struct gw_target *target, bool is_manual, int64_t now_us)
{
    int64_t gap_us = is_manual ? 0 : gw_health_wait_us(&target->health, now_us);
    int64_t rate_us =
        target->rate_limit ? gw_rate_wait_us(&target->rate, target->rate_limit, now_us) : 0;
    return gap_us > rate_us ? gap_us : rate_us;
}

int64_t gw_target_held_ms(const struct gw_target *target)
{
    struct gw_env *env = schedule_of(target)->shard->env;
    if (target->health.state == GW_HEALTH_DISABLED)
        return GW_NEVER;
    return (wait_us(target, false, gw_env_mono_us(env)) + 999) / 1000;
}

/* `first`: what is due first. `until`: of a timer. */
static enum gw_standing stand(struct gw_schedule *schedule, struct gw_target *target,
                              const struct gw_heap_node *first, int64_t *until)
{
    struct gw_env *env = schedule->shard->env;
    bool is_manual = first->key == 0;
    if (target == &schedule->ending)
        return target->in_flight < ENDING_MAX ? GW_STANDING_RING : GW_STANDING_NOWHERE;
    if (target->health.state == GW_HEALTH_DISABLED && !is_manual) {
        schedule->must_sweep = true;
        return GW_STANDING_NOWHERE;
    }
    if (target->in_flight >= gw_health_places(&target->health, target->in_flight_max))
        return GW_STANDING_NOWHERE;
    *until = first->key;
    if (first->key > gw_env_wall_ms(env))
        return GW_STANDING_LATER;
    int64_t now_us = gw_env_mono_us(env), held_us = wait_us(target, is_manual, now_us);
    *until = now_us + held_us;
    if (held_us > 0) {
        schedule->must_sweep = true;
        return GW_STANDING_PAUSED;
    }
    *until = 0;
    look_at_proof(target, now_us);
    return has_share(schedule, target) ? GW_STANDING_RING : GW_STANDING_PARKED;
}

static bool stands_right(const struct gw_target *target, enum gw_standing standing, int64_t until)
{
    return standing == target->standing && until == target->timer.key &&
           (standing != GW_STANDING_PARKED || target->parking == parking_of(target));
}

/* Where it stands already it keeps its turn. */
void gw_target_place(struct gw_schedule *schedule, struct gw_target *target)
{
    struct gw_heap_node *first = gw_heap_first(&target->lanes);
    enum gw_standing standing = GW_STANDING_NOWHERE;
    int64_t until = 0;
    if (first && !schedule->closing)
        standing = stand(schedule, target, first, &until);
    if (stands_right(target, standing, until))
        return;
    leave(schedule, target);
    enter(schedule, target, standing, until);
}

/* ── Turns ─────────────────────────────────────────────────────────────────────────────────── */

/* One that was parked takes its turn again, of each host in turn, when there is a place for it. */
static void unpark(struct gw_schedule *schedule)
{
    struct gw_host *host = waiting_host(schedule);
    if (schedule->unproven >= unproven_max(schedule) || !host)
        return;
    struct gw_target *target =
        gw_container_of(host->parked[host->parking].next, struct gw_target, ready);
    gw_list_remove(&host->waiting);
    leave(schedule, target);
    enter(schedule, target, GW_STANDING_RING, 0);
}

static bool is_greedy(const struct gw_schedule *schedule, const struct gw_target *target)
{
    bool is_alone = schedule->ring.next == schedule->ring.prev;
    return !is_alone && target->in_flight >= part(schedule->shard->flow->options.in_flight_max, 4);
}

struct gw_target *gw_target_next(struct gw_schedule *schedule)
{
    size_t greedy = 0;
    for (;;) {
        unpark(schedule);
        if (gw_list_empty(&schedule->ring))
            return NULL;
        struct gw_target *target = gw_container_of(schedule->ring.next, struct gw_target, ready);
        gw_target_place(schedule, target); /* shares may have gone since it came here */
        if (target->standing != GW_STANDING_RING)
            continue;
        if (!is_greedy(schedule, target))
            return target;
        if (++greedy > 4) /* more than four have no quarter */
            return NULL;
        gw_list_remove(&target->ready);
        gw_list_push(&schedule->ring, &target->ready);
    }
}

void gw_target_take_turn(struct gw_schedule *schedule, struct gw_target *target)
{
    leave(schedule, target);
    gw_target_place(schedule, target);
}

void gw_target_collect(struct gw_schedule *schedule)
{
    struct gw_env *env = schedule->shard->env;
    int64_t now_ms = gw_env_wall_ms(env);
    struct gw_heap_node *node;
    while ((node = gw_heap_first(&schedule->later)) && node->key <= now_ms)
        gw_target_place(schedule, gw_container_of(node, struct gw_target, timer));
    if (!gw_heap_first(&schedule->paused))
        return;
    int64_t now_us = gw_env_mono_us(env);
    while ((node = gw_heap_first(&schedule->paused)) && node->key <= now_us)
        gw_target_place(schedule, gw_container_of(node, struct gw_target, timer));
}

int64_t gw_target_wait_ms(const struct gw_schedule *schedule)
{
    struct gw_env *env = schedule->shard->env;
    const struct gw_heap_node *later = gw_heap_first(&schedule->later);
    const struct gw_heap_node *paused = gw_heap_first(&schedule->paused);
    int64_t wait_ms = later ? later->key - gw_env_wall_ms(env) : GW_NEVER;
    int64_t paused_ms = paused ? (paused->key - gw_env_mono_us(env) + 999) / 1000 : GW_NEVER;
    if (paused_ms < wait_ms)
        wait_ms = paused_ms;
    return wait_ms > 0 ? wait_ms : 0;
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

void gw_target_init(struct gw_schedule *schedule)
{
    gw_list_init(&schedule->ring);
    for (size_t i = 0; i < GW_PARKING_COUNT; i++)
        gw_list_init(&schedule->waiting[i]);
    gw_list_init(&schedule->idle);
    schedule->ending.is_proven = true; /* it takes no place from anybody for long */
    gw_list_init(&schedule->ending.ready);
}

static struct gw_host *host_get(struct gw_schedule *schedule, const struct gw_url *url)
{
    char text[GW_URL_BYTES_MAX + 8];
    int len = snprintf(text, sizeof(text), "%.*s:%u", GW_SLICE_ARG(url->host), url->port);
    struct gw_slice key = {text, (size_t)len};
    gw_check(len > 0 && key.len < sizeof(text));
    struct gw_host *host = gw_map_get(&schedule->hosts, key);
    if (host)
        return host;
    host = gw_zalloc(sizeof(*host) + key.len);
    memcpy(host + 1, text, key.len);
    host->key = (struct gw_slice){(const char *)(host + 1), key.len};
    for (size_t i = 0; i < GW_PARKING_COUNT; i++)
        gw_list_init(&host->parked[i]);
    gw_list_init(&host->waiting);
    gw_map_put(&schedule->hosts, host->key, host);
    return host;
}

static void host_release(struct gw_schedule *schedule, struct gw_host *host)
{
    if (host->target_count)
        return;
    gw_check(gw_list_empty(&host->parked[GW_PARKING_UNFAILED]) &&
             gw_list_empty(&host->parked[GW_PARKING_FAILED]) && host->unproven == 0);
    gw_map_del(&schedule->hosts, host->key);
    gw_list_remove(&host->waiting);
    gw_free(host);
}

#define KEY_MAX (GW_NAME_BYTES_MAX + 1 + GW_URL_BYTES_MAX)

static struct gw_slice make_key(char text[KEY_MAX], struct gw_slice app_id, struct gw_slice url)
{
    size_t len = app_id.len + 1 + url.len;
    gw_check(len <= KEY_MAX);
    memcpy(text, app_id.ptr, app_id.len);
    text[app_id.len] = '\0';
    memcpy(text + app_id.len + 1, url.ptr, url.len);
    return (struct gw_slice){text, len};
}

struct gw_target *gw_target_find(const struct gw_schedule *schedule, struct gw_slice app_id,
                                 struct gw_slice url)
{
    char text[KEY_MAX];
    if (app_id.len > GW_NAME_BYTES_MAX || url.len > GW_URL_BYTES_MAX)
        return NULL;
    return gw_map_get(&schedule->targets, make_key(text, app_id, url));
}

struct gw_slice gw_target_url(const struct gw_target *target)
{
    return gw_slice_skip(target->key, target->app->app_id.len + 1);
}

static struct gw_target *target_create(struct gw_app *app, const struct gw_url *url)
{
    struct gw_schedule *schedule = app->schedule;
    char text[KEY_MAX];
    struct gw_slice key = make_key(text, app->app_id, url->text);
    struct gw_target *target = gw_zalloc(sizeof(*target) + key.len);
    memcpy(target + 1, key.ptr, key.len);
    target->key = (struct gw_slice){(const char *)(target + 1), key.len};
    target->app = app;
    target->host = host_get(schedule, url);
    target->host->target_count++;
    target->in_flight_max = 1;
    gw_health_init(&target->health);
    gw_list_init(&target->ready);
    gw_list_init(&target->idle);
    gw_list_push(&app->targets, &target->link);
    gw_map_put(&schedule->targets, target->key, target);
    schedule->states[target->health.state]++;
    schedule->resting_count++;
    target->is_resting = true;
    return target;
}

struct gw_target *gw_target_get(struct gw_app *app, const struct gw_url *url)
{
    struct gw_target *target = gw_target_find(app->schedule, app->app_id, url->text);
    return target ? target : target_create(app, url);
}

static void target_free(struct gw_target *target)
{
    struct gw_schedule *schedule = schedule_of(target);
    struct gw_app *app = target->app;
    gw_check(target->standing == GW_STANDING_NOWHERE && target->is_resting);
    if (gw_list_linked(&target->idle))
        schedule->idle_count--;
    gw_list_remove(&target->idle);
    gw_list_remove(&target->link);
    gw_map_del(&schedule->targets, target->key);
    schedule->states[target->health.state]--;
    schedule->resting_count--;
    target->host->target_count--;
    host_release(schedule, target->host);
    gw_target_free_health(target);
    gw_heap_deinit(&target->lanes);
    gw_free(target);
    gw_apps_release(app);
}

void gw_target_deinit(struct gw_schedule *schedule)
{
    struct gw_target *target;
    size_t at = 0;
    while ((target = gw_map_next(&schedule->targets, &at))) {
        target_free(target);
        at = 0;
    }
    gw_map_deinit(&schedule->targets);
    gw_map_deinit(&schedule->hosts);
    gw_heap_deinit(&schedule->later);
    gw_heap_deinit(&schedule->paused);
    gw_heap_deinit(&schedule->ending.lanes);
}

/* ── Rest ──────────────────────────────────────────────────────────────────────────────────── */

void gw_target_lead(struct gw_target *target, bool leads)
{
    target->lane_count += leads ? 1 : (size_t)0 - 1;
    if (target->app)
        set_resting(target);
}

static bool is_named(const struct gw_target *target)
{
    const struct gw_snapshot *snapshot = target->app->snapshot;
    return !snapshot || gw_snapshot_target(snapshot, gw_target_url(target)) != NULL;
}

static void forget_idle(struct gw_schedule *schedule)
{
    int64_t now_us = gw_env_mono_us(schedule->shard->env);
    while (!gw_list_empty(&schedule->idle)) {
        struct gw_target *target = gw_container_of(schedule->idle.next, struct gw_target, idle);
        if (schedule->idle_count <= IDLE_MAX && now_us - target->idle_us < REST_MAX_US)
            return;
        target_free(target);
    }
}

static void start_idling(struct gw_schedule *schedule, struct gw_target *target)
{
    if (gw_list_linked(&target->idle))
        return;
    target->idle_us = gw_env_mono_us(schedule->shard->env);
    gw_list_push(&schedule->idle, &target->idle);
    schedule->idle_count++;
    forget_idle(schedule);
}

void gw_target_release(struct gw_schedule *schedule, struct gw_target *target)
{
    if (target == &schedule->ending || schedule->closing || !needs_nothing(target))
        return;
    if (schedule->shard->draining)
        return; /* nothing new is begun, and all of it goes soon */
    if (target->saving)
        return; /* comes here again when that is done */
    int64_t now_ms = gw_env_wall_ms(schedule->shard->env);
    bool named = is_named(target);
    if (target->is_stored && !named)
        gw_target_unstore(target);
    else if (target->is_stored && !gw_health_is_worth_keeping(&target->health, now_ms))
        gw_target_store(target);
    else if (!named)
        target_free(target);
    else if (!gw_health_is_worth_keeping(&target->health, now_ms))
        start_idling(schedule, target);
}
