/* watch.c: owns what watches know, and what leaves memory where the ledger is shared.
 *
 *   start ─▶ each that is due: into its lane ─▶ attempt.c ─▶ final, or put back ─┐
 *     │                          │ sweep: it is held, or cannot start soon       │
 *     └─ due later               ▼                                               ▼
 *     ─────────────────────────▶ it leaves; the watch knows when to come back ─▶ the last one: done
 *
 * Nothing is asked of the ledger here: what leaves is open in it, as it was. Who is told a time too
 * early comes again and is told another; so what is unknown (how long a target keeps its places) is
 * told as soon.
 *
 * Those behind a target that is probed are told times further and further away, each by the gap: were
 * they all to come back at its end, one would be tried and the others sent away again.
 *
 * Thread: the shard's. */
#include "flow/watch.h"

#include "base/check.h"
#include "base/timefmt.h"
#include "flow/lanes.h"

#define SOON_MS       1000
#define APART_MAX_MS  300000 /* how far those behind a target are told to come back */
#define END_MARGIN_MS 2000   /* for what follows a POST */

static struct gw_schedule *schedule_of(const struct gw_pending *pending)
{
    return pending->lane->app->schedule;
}

/* ── One that leaves ───────────────────────────────────────────────────────────────────────── */

static void next_at(struct gw_watch *watch, int64_t next_ms)
{
    if (next_ms < watch->next_ms)
        watch->next_ms = next_ms;
}

void gw_watch_next(const struct gw_pending *pending, int64_t next_ms)
{
    if (pending->watch)
        next_at(pending->watch, next_ms);
}

/* More than a message has lanes may wait after replays: then its slot is lost, and it asks anew. */
void gw_watch_slot(const struct gw_pending *pending, int64_t at_ms)
{
    struct gw_watch *watch = pending->watch;
    if (watch->slot_count == gw_count(watch->slots))
        next_at(watch, at_ms);
    else
        watch->slots[watch->slot_count++] = (struct gw_watch_slot){pending->delivery.id, at_ms};
}

void gw_watch_must_look(const struct gw_pending *pending)
{
    if (pending->watch)
        pending->watch->must_look = true;
}

static void one_less(struct gw_watch *watch)
{
    gw_check(watch->left > 0);
    if (--watch->left == 0)
        gw_env_post(watch->shard->env, &watch->msg);
}

void gw_watch_add(struct gw_watch *watch, struct gw_pending *pending)
{
    pending->watch = watch;
    gw_list_push(&watch->pendings, &pending->watched);
    watch->left++;
}

void gw_watch_leave(struct gw_pending *pending)
{
    struct gw_watch *watch = pending->watch;
    if (!watch || schedule_of(pending)->closing)
        return;
    gw_list_remove(&pending->watched);
    pending->watch = NULL;
    one_less(watch);
}

static int64_t soon_ms(const struct gw_pending *pending)
{
    int64_t at_ms = gw_env_wall_ms(schedule_of(pending)->shard->env) + SOON_MS;
    return pending->delivery.due_ms > at_ms ? pending->delivery.due_ms : at_ms;
}

bool gw_watch_takes(const struct gw_pending *pending)
{
    struct gw_watch *watch = pending->watch;
    if (!watch)
        return false;
    if (watch->is_given_back || watch->shard->draining)
        next_at(watch, soon_ms(pending));
    else if (pending->delivery.due_ms > gw_env_wall_ms(watch->shard->env))
        next_at(watch, pending->delivery.due_ms);
    else
        return false;
    return true;
}

/* ── What cannot start soon ────────────────────────────────────────────────────────────────── */

/* Each that is sent away from a target comes back later than the one before. */
static int64_t apart_ms(struct gw_target *target, int64_t held_ms)
{
    int64_t after_ms = held_ms * (1 + (int64_t)target->turned_away++);
    if (after_ms > APART_MAX_MS)
        after_ms = APART_MAX_MS;
    return after_ms > held_ms ? after_ms : held_ms;
}

/* An attempt from this lane could end after the shard's own end. */
static bool is_too_late(const struct gw_lane *lane)
{
    struct gw_shard *shard = lane->app->schedule->shard;
    struct gw_config *config;
    const struct gw_route *route;
    if (shard->must_end_us == GW_NEVER || !lane->app->snapshot ||
        !gw_snapshot_lane(lane->app->snapshot, lane->number, &config, &route))
        return false;
    int64_t takes_ms = config->retry.timeout_ms + END_MARGIN_MS;
    return gw_env_mono_us(shard->env) + takes_ms * 1000 > shard->must_end_us;
}

/* False: it stays, and may start soon. */
static bool is_to_leave(const struct gw_pending *pending, int64_t now_ms, int64_t *next_ms)
{
    struct gw_lane *lane = pending->lane;
    struct gw_target *target = lane->target;
    *next_ms = now_ms + SOON_MS;
    if (schedule_of(pending)->shard->draining || is_too_late(lane))
        return true;
    *next_ms = GW_NEVER;
    if (!lane->app->snapshot || target == &schedule_of(pending)->ending)
        return false; /* where it leads will be known; it leads nowhere, and is being ended */
    if (!target)
        return true;
    if (pending->delivery.resume_ms) /* by hand: nothing holds it */
        return false;
    int64_t held_ms = gw_target_held_ms(target);
    if (held_ms > GW_WATCH_LONG_MS && held_ms != GW_NEVER)
        *next_ms = now_ms + apart_ms(target, held_ms);
    return held_ms > GW_WATCH_LONG_MS;
}

/* Last call on a lane: it may be gone afterwards. True: something has left it. */
static bool sweep_lane(struct gw_lane *lane, int64_t now_ms)
{
    struct gw_list staying;
    struct gw_heap_node *node;
    bool some_left = false;
    int64_t next_ms;
    gw_list_init(&staying);
    while ((node = gw_heap_pop(&lane->waiting))) {
        struct gw_pending *pending = gw_container_of(node, struct gw_pending, node);
        if (pending->watch && is_to_leave(pending, now_ms, &next_ms)) {
            gw_watch_next(pending, next_ms);
            gw_lanes_free(pending);
            some_left = true;
        } else {
            gw_list_push(&staying, &pending->link);
        }
    }
    struct gw_list *link;
    while ((link = gw_list_pop(&staying)))
        gw_heap_push(&lane->waiting, &gw_container_of(link, struct gw_pending, link)->node);
    gw_schedule_lane_changed(lane);
    gw_lanes_settle_down(lane);
    return some_left;
}

void gw_watch_sweep(struct gw_schedule *schedule)
{
    struct gw_shard *shard = schedule->shard;
    struct gw_lane *lane;
    size_t at = 0;
    if (!schedule->must_sweep && !shard->draining && shard->must_end_us == GW_NEVER)
        return;
    while ((lane = gw_map_next(&schedule->lanes, &at))) {
        if (lane->waiting.count && sweep_lane(lane, gw_env_wall_ms(shard->env)))
            at = 0; /* the map may have changed */
    }
    schedule->must_sweep = false;
}

/* ── For who watches ───────────────────────────────────────────────────────────────────────── */

static void on_done(struct gw_msg *msg)
{
    struct gw_watch *watch = gw_container_of(msg, struct gw_watch, msg);
    watch->done(watch);
}

/* What leads nowhere any more is due: to be ended. */
static bool is_later(const struct gw_delivery *delivery, const struct gw_snapshot *snapshot,
                     int64_t now_ms)
{
    const struct gw_route *route;
    struct gw_config *config;
    return delivery->due_ms > now_ms && gw_snapshot_lane(snapshot, delivery->lane, &config, &route);
}

static void admit(struct gw_watch *watch, const struct gw_snapshot *snapshot,
                  struct gw_message *message, const struct gw_delivery *delivery)
{
    struct gw_shard *shard = watch->shard;
    struct gw_slice app_id = gw_slice_from(snapshot->app_id);
    if (shard->draining)
        next_at(watch, gw_env_wall_ms(shard->env) + SOON_MS);
    else if (is_later(delivery, snapshot, gw_env_wall_ms(shard->env)))
        next_at(watch, delivery->due_ms);
    else
        gw_lanes_admit(gw_lanes_get(shard->schedule, app_id, delivery->lane, true), delivery,
                       message, watch);
}

void gw_watch_start(struct gw_watch *watch, struct gw_message *message,
                    struct gw_snapshot *snapshot, const struct gw_delivery *deliveries,
                    size_t count)
{
    gw_check(watch->shard->flow->options.is_shared && watch->shard->flow->shard_count == 1);
    watch->next_ms = GW_NEVER;
    watch->slot_count = 0;
    watch->must_look = watch->is_given_back = false;
    watch->left = 1; /* this call itself */
    watch->msg.run = on_done;
    gw_list_init(&watch->pendings);
    gw_snapshots_learn(watch->shard, snapshot);
    for (size_t i = 0; i < count; i++)
        if (deliveries[i].state == GW_DELIVERY_PENDING)
            admit(watch, snapshot, message, &deliveries[i]);
    one_less(watch);
    gw_schedule_run(watch->shard->schedule);
}

void gw_watch_give_back(struct gw_watch *watch)
{
    watch->is_given_back = true;
    gw_list_each_safe (link, &watch->pendings) {
        struct gw_pending *pending = gw_container_of(link, struct gw_pending, watched);
        struct gw_lane *lane = pending->lane;
        if (pending->target)
            continue; /* under way */
        gw_watch_next(pending, soon_ms(pending));
        gw_lanes_let_go(pending);
        gw_schedule_lane_changed(lane);
        gw_lanes_settle_down(lane);
    }
}
