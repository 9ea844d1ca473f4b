/* lanes.c: owns what memory holds of each lane.
 *
 * The rule of the mark: of a lane, memory holds exactly the open deliveries whose (due, order) is
 * not beyond the mark; the ledger has the others. A complete lane has no mark: memory holds all.
 *
 *   admit    beyond the mark: dropped, for it is in the ledger
 *   refill   reads what lies behind the mark, and moves the mark to the last row read (or away,
 *            when there is nothing behind). The ledger completes it in order with accepts and
 *            settles, so it shows exactly what those have told; but a settle whose answer was lost
 *            is told later, so what is in flight is left out
 *   trim     over the shard's ceiling the largest lane keeps its nearer half; the mark goes to the
 *            last one kept, but never before one in flight: a refill must not show that again
 *
 * Thread: the shard's. A refill that fails is asked again: nothing else may ever happen to the lane,
 * for what is new in it lies beyond the mark. */
#include "flow/lanes.h"

#include "base/check.h"

#include <stdlib.h>

#define REFILL_LOW 128
#define REFILL_MAX 512
#define REFILL_MIN 16 /* also over the ceiling: every lane must get on */
#define TRIM_FLOOR 64 /* lanes are not trimmed below */
#define AGAIN_MS   1000

static int key_compare(int64_t due_a, uint64_t order_a, int64_t due_b, uint64_t order_b)
{
    if (due_a != due_b)
        return due_a < due_b ? -1 : 1;
    if (order_a != order_b)
        return order_a < order_b ? -1 : 1;
    return 0;
}

bool gw_lanes_within(const struct gw_lane *lane, int64_t due_ms, uint64_t order)
{
    return lane->complete || key_compare(due_ms, order, lane->mark_due_ms, lane->mark_order) <= 0;
}

static void on_refill_again(struct gw_timer *timer);

struct gw_lane *gw_lanes_get(struct gw_schedule *schedule, struct gw_slice app_id, uint64_t number,
                             bool complete)
{
    struct gw_lane *lane = gw_map_get(&schedule->lanes, gw_map_key(&number));
    if (lane)
        return lane;
    lane = gw_zalloc(sizeof(*lane));
    lane->number = number;
    lane->complete = complete;
    lane->mark_due_ms = INT64_MIN;
    lane->again.fire = on_refill_again;
    gw_list_init(&lane->flights);
    lane->app = gw_apps_get(schedule, app_id);
    gw_list_push(&lane->app->lanes, &lane->link);
    gw_map_put(&schedule->lanes, gw_map_key(&lane->number), lane);
    gw_schedule_attach(lane);
    return lane;
}

void gw_lanes_destroy(struct gw_lane *lane)
{
    struct gw_schedule *schedule = lane->app->schedule;
    gw_schedule_detach(lane);
    struct gw_heap_node *node;
    while ((node = gw_heap_first(&lane->waiting)))
        gw_lanes_let_go(gw_container_of(node, struct gw_pending, node));
    gw_heap_deinit(&lane->waiting);
    gw_map_del(&schedule->lanes, gw_map_key(&lane->number));
    gw_list_remove(&lane->link);
    gw_apps_release(lane->app);
    gw_free((char *)lane->event_type.ptr);
    gw_free(lane->refill.deliveries);
    gw_free(lane);
}

/* ── In and out ────────────────────────────────────────────────────────────────────────────── */

static void push(struct gw_pending *pending)
{
    pending->node.key = pending->delivery.due_ms;
    pending->node.tie = pending->delivery.order;
    gw_heap_push(&pending->lane->waiting, &pending->node);
    gw_schedule_lane_changed(pending->lane);
}

/* Bodies ride along while there is room for them; else they are read when needed. */
static void ride_along(struct gw_pending *pending, struct gw_message *message)
{
    struct gw_schedule *schedule = pending->lane->app->schedule;
    size_t bytes = message->body.len;
    if (schedule->body_bytes + bytes > schedule->shard->flow->options.body_bytes_max)
        return;
    pending->message = gw_message_ref(message);
    pending->body_bytes = bytes;
    schedule->body_bytes += bytes;
}

void gw_lanes_drop_message(struct gw_pending *pending)
{
    pending->lane->app->schedule->body_bytes -= pending->body_bytes;
    pending->body_bytes = 0;
    gw_message_unref(pending->message);
    pending->message = NULL;
}

void gw_lanes_erase(struct gw_lane *lane)
{
    for (size_t i = 0; i < lane->waiting.count; i++)
        gw_lanes_drop_message(gw_container_of(lane->waiting.nodes[i], struct gw_pending, node));
    gw_list_each (link, &lane->flights) /* a POST may be reading it */
        gw_container_of(link, struct gw_pending, link)->is_stale = true;
}

bool gw_lanes_was_erased(struct gw_pending *pending)
{
    bool was = pending->is_stale;
    if (was)
        gw_lanes_drop_message(pending);
    pending->is_stale = false;
    return was;
}

static void trim(struct gw_schedule *schedule);

void gw_lanes_admit(struct gw_lane *lane, const struct gw_delivery *delivery,
                    struct gw_message *message, struct gw_watch *watch)
{
    if (!gw_lanes_within(lane, delivery->due_ms, delivery->order))
        return;
    struct gw_schedule *schedule = lane->app->schedule;
    struct gw_pending *pending = gw_zalloc(sizeof(*pending));
    gw_list_init(&pending->link);
    gw_list_init(&pending->watched);
    pending->lane = lane;
    pending->delivery = *delivery;
    if (message)
        ride_along(pending, message);
    if (watch)
        gw_watch_add(watch, pending);
    schedule->in_memory++;
    push(pending);
    if (schedule->in_memory > schedule->trim_at)
        trim(schedule);
}

struct gw_pending *gw_lanes_take(struct gw_lane *lane)
{
    struct gw_heap_node *node = gw_heap_pop(&lane->waiting);
    struct gw_pending *pending = gw_container_of(node, struct gw_pending, node);
    gw_list_push(&lane->flights, &pending->link);
    gw_schedule_lane_changed(lane);
    return pending;
}

void gw_lanes_put_back(struct gw_pending *pending)
{
    (void)gw_lanes_was_erased(pending);
    struct gw_message *loaded = pending->body_bytes ? NULL : pending->message;
    gw_list_remove(&pending->link);
    if (loaded) { /* for the attempt alone: it stays if there is room for it too */
        pending->message = NULL;
        ride_along(pending, loaded);
        gw_message_unref(loaded);
    }
    push(pending);
}

void gw_lanes_free(struct gw_pending *pending)
{
    pending->lane->app->schedule->in_memory--;
    gw_list_remove(&pending->link);
    gw_lanes_drop_message(pending);
    gw_watch_leave(pending);
    gw_free(pending);
}

void gw_lanes_let_go(struct gw_pending *pending)
{
    gw_heap_remove(&pending->lane->waiting, &pending->node);
    gw_lanes_free(pending);
}

struct gw_pending *gw_lanes_find(const struct gw_lane *lane, const struct gw_id *id,
                                 bool *in_flight)
{
    *in_flight = true;
    gw_list_each (link, &lane->flights) {
        struct gw_pending *pending = gw_container_of(link, struct gw_pending, link);
        if (gw_id_eq(&pending->delivery.id, id))
            return pending;
    }
    *in_flight = false;
    for (size_t i = 0; i < lane->waiting.count; i++) {
        struct gw_pending *pending =
            gw_container_of(lane->waiting.nodes[i], struct gw_pending, node);
        if (gw_id_eq(&pending->delivery.id, id))
            return pending;
    }
    return NULL;
}

void gw_lanes_move(struct gw_pending *pending, const struct gw_delivery *delivery)
{
    gw_heap_remove(&pending->lane->waiting, &pending->node);
    pending->delivery = *delivery;
    push(pending);
}

/* ── The ceiling ───────────────────────────────────────────────────────────────────────────── */

static struct gw_lane *largest_lane(const struct gw_schedule *schedule)
{
    struct gw_lane *lane, *largest = NULL;
    size_t at = 0;
    while ((lane = gw_map_next(&schedule->lanes, &at)))
        if (!largest || lane->waiting.count > largest->waiting.count)
            largest = lane;
    return largest;
}

static int node_compare(const void *a, const void *b)
{
    const struct gw_heap_node *x = *(struct gw_heap_node *const *)a;
    const struct gw_heap_node *y = *(struct gw_heap_node *const *)b;
    return key_compare(x->key, x->tie, y->key, y->tie);
}

/* How many of the sorted nodes stay: half of them, and none that one in flight lies behind. */
static size_t kept(const struct gw_lane *lane)
{
    size_t keep = lane->waiting.count / 2;
    gw_list_each (link, &lane->flights) {
        const struct gw_delivery *flying =
            &gw_container_of(link, struct gw_pending, link)->delivery;
        while (keep < lane->waiting.count &&
               key_compare(lane->waiting.nodes[keep - 1]->key, lane->waiting.nodes[keep - 1]->tie,
                           flying->due_ms, flying->order) < 0)
            keep++;
    }
    return keep;
}

static void lane_trim(struct gw_lane *lane)
{
    struct gw_schedule *schedule = lane->app->schedule;
    struct gw_heap *heap = &lane->waiting;
    qsort(heap->nodes, heap->count, sizeof(*heap->nodes), node_compare);
    for (size_t i = 0; i < heap->count; i++)
        heap->nodes[i]->at = i + 1; /* a sorted array is a heap */
    size_t keep = kept(lane);
    if (keep == heap->count)
        return;
    lane->complete = false;
    lane->mark_due_ms = heap->nodes[keep - 1]->key;
    lane->mark_order = heap->nodes[keep - 1]->tie;
    while (heap->count > keep) {
        struct gw_pending *pending =
            gw_container_of(heap->nodes[--heap->count], struct gw_pending, node);
        gw_lanes_drop_message(pending);
        gw_free(pending);
        schedule->in_memory--;
    }
}

static void trim(struct gw_schedule *schedule)
{
    size_t max = schedule->shard->flow->options.memory_max;
    gw_check(!schedule->shard->flow->options.is_shared); /* nobody would look for what is dropped */
    struct gw_lane *lane = largest_lane(schedule);
    if (lane->waiting.count > TRIM_FLOOR && !lane->refilling)
        lane_trim(lane);
    /* Many small lanes cannot be trimmed: look again when there is a quarter more. */
    schedule->trim_at =
        schedule->in_memory <= max ? max : schedule->in_memory + schedule->in_memory / 4;
}

/* ── Refills ───────────────────────────────────────────────────────────────────────────────── */

static void on_refill_again(struct gw_timer *timer)
{
    struct gw_lane *lane = gw_container_of(timer, struct gw_lane, again);
    lane->refilling = false;
    gw_lanes_settle_down(lane);
}

static bool is_flying(const struct gw_lane *lane, uint64_t order)
{
    gw_list_each (link, &lane->flights)
        if (gw_container_of(link, struct gw_pending, link)->delivery.order == order)
            return true;
    return false;
}

static void on_refilled(struct gw_op *op)
{
    struct gw_refill *refill = gw_container_of(op, struct gw_refill, op);
    struct gw_lane *lane = gw_container_of(refill, struct gw_lane, refill);
    struct gw_schedule *schedule = lane->app->schedule;
    struct gw_shard *shard = schedule->shard;
    struct gw_delivery *rows = refill->deliveries;
    refill->deliveries = NULL;
    lane->refilling = op->err != GW_OK;
    if (op->err == GW_OK) {
        lane->complete = refill->complete;
        if (refill->count) {
            lane->mark_due_ms = rows[refill->count - 1].due_ms;
            lane->mark_order = rows[refill->count - 1].order;
        }
        for (size_t i = 0; i < refill->count; i++)
            if (!is_flying(lane, rows[i].order))
                gw_lanes_admit(lane, &rows[i], NULL, NULL);
    }
    gw_free(rows);
    if (op->err == GW_OK)
        gw_lanes_settle_down(lane);
    else
        gw_env_timer_set(shard->env, &lane->again, op->again_ms > 0 ? op->again_ms : AGAIN_MS);
    gw_schedule_run(schedule);
    gw_shard_end(shard);
}

static void start_refill(struct gw_lane *lane, size_t max)
{
    struct gw_shard *shard = lane->app->schedule->shard;
    lane->refilling = true;
    lane->refill = (struct gw_refill){
        .op = {.env = shard->env, .done = on_refilled},
        .lane = lane->number,
        .after_due_ms = lane->mark_due_ms,
        .after_order = lane->mark_order,
        .deliveries = gw_alloc(max * sizeof(struct gw_delivery)),
        .max = max,
    };
    gw_shard_begin(shard);
    gw_ledger_refill(shard->flow->ledger, &lane->refill);
}

/* Refills stop at three quarters of the ceiling: were they to reach it, they would bring back what
 * a trim has just let go, and the next event would trim it again. An empty lane always gets some;
 * one that is held because its target is disabled needs no more. */
static size_t refill_size(const struct gw_lane *lane)
{
    const struct gw_schedule *schedule = lane->app->schedule;
    size_t stop = schedule->shard->flow->options.memory_max / 4 * 3;
    size_t room = schedule->in_memory < stop ? stop - schedule->in_memory : 0;
    bool is_held = lane->target && lane->target->health.state == GW_HEALTH_DISABLED;
    if (room > REFILL_MAX)
        room = REFILL_MAX;
    if (is_held)
        room = REFILL_MIN;
    if (!lane->waiting.count)
        return room > REFILL_MIN ? room : REFILL_MIN;
    return lane->waiting.count < REFILL_LOW && room >= REFILL_MIN ? room : 0;
}

void gw_lanes_settle_down(struct gw_lane *lane)
{
    if (lane->refilling)
        return;
    if (lane->complete) {
        if (!lane->waiting.count && gw_list_empty(&lane->flights))
            gw_lanes_destroy(lane);
        return;
    }
    size_t size = refill_size(lane);
    if (size && lane->target && !lane->app->schedule->shard->draining)
        start_refill(lane, size);
}
