/* offers.c: owns what comes to the schedule from outside: the start, offers, manual retries, and that
 * payloads were erased.
 *
 * An offer is made on the shard that took the event, posted by the ledger after its commit, and
 * taken in by the owner of the app. Ledger and owner see the same order. It brings the snapshot that
 * routed it along: a change of configs reaches the shards one by one, and a lane that the owner has
 * not heard of yet would look like one that is gone. */
#include "flow/lanes.h"

void gw_schedule_open(struct gw_schedule *schedule, const struct gw_open_lane *lanes, size_t count)
{
    struct gw_shard *shard = schedule->shard;
    for (size_t i = 0; i < count; i++) {
        if (gw_flow_owner(shard->flow, lanes[i].app_id) != shard)
            continue;
        struct gw_lane *lane = gw_lanes_get(schedule, lanes[i].app_id, lanes[i].lane, false);
        gw_lanes_settle_down(lane);
    }
}

struct offer_head {
    struct gw_shard *owner;
    struct gw_slice app_id;       /* behind the deliveries */
    struct gw_snapshot *snapshot; /* NULL for a retry: the lane is known */
    struct gw_offer offer;        /* last: its deliveries follow */
};

static struct offer_head *offer_head(struct gw_offer *offer)
{
    return gw_container_of(offer, struct offer_head, offer);
}

/* The shard stops, and may have said already that it is idle; the ledger has what is offered. */
static bool is_too_late(struct gw_offer *offer)
{
    bool draining = offer_head(offer)->owner->draining;
    if (draining)
        gw_schedule_offer_destroy(offer);
    return draining;
}

static void on_offer(struct gw_msg *msg)
{
    struct gw_offer *offer = gw_container_of(msg, struct gw_offer, msg);
    struct gw_schedule *schedule = offer_head(offer)->owner->schedule;
    if (is_too_late(offer))
        return;
    gw_snapshots_learn(offer_head(offer)->owner, offer_head(offer)->snapshot);
    for (size_t i = 0; i < offer->count; i++) {
        struct gw_delivery *delivery = &offer->deliveries[i];
        struct gw_lane *lane =
            gw_lanes_get(schedule, offer_head(offer)->app_id, delivery->lane, true);
        gw_lanes_admit(lane, delivery, offer->message, NULL);
    }
    gw_schedule_offer_destroy(offer);
    gw_schedule_run(schedule);
}

/* The delivery may be in memory (moved), in flight (what is under way is the retry) or neither. */
static void on_retry(struct gw_msg *msg)
{
    struct gw_offer *offer = gw_container_of(msg, struct gw_offer, msg);
    struct gw_schedule *schedule = offer_head(offer)->owner->schedule;
    struct gw_delivery *delivery = &offer->deliveries[0];
    if (is_too_late(offer))
        return;
    struct gw_lane *lane = gw_lanes_get(schedule, offer_head(offer)->app_id, delivery->lane, true);
    bool in_flight;
    struct gw_pending *pending = gw_lanes_find(lane, &delivery->id, &in_flight);
    if (pending && !in_flight)
        gw_lanes_move(pending, delivery);
    else if (!pending)
        gw_lanes_admit(lane, delivery, NULL, NULL);
    gw_schedule_offer_destroy(offer);
    gw_schedule_run(schedule);
}

static struct gw_offer *offer_create(struct gw_shard *owner, struct gw_slice app_id, size_t room)
{
    size_t head = sizeof(struct offer_head) + room * sizeof(struct gw_delivery);
    struct offer_head *created = gw_alloc(head + app_id.len);
    memset(created, 0, sizeof(*created));
    created->owner = owner;
    char *copy = (char *)created + head;
    memcpy(copy, app_id.ptr, app_id.len);
    created->app_id = (struct gw_slice){copy, app_id.len};
    created->offer.env = owner->env;
    return &created->offer;
}

struct gw_offer *gw_schedule_offer_create(struct gw_shard *owner, struct gw_message *message,
                                          struct gw_snapshot *snapshot, size_t room)
{
    struct gw_offer *offer = offer_create(owner, message->app_id, room);
    offer_head(offer)->snapshot = gw_snapshot_ref(snapshot);
    offer->message = gw_message_ref(message);
    offer->msg.run = on_offer;
    return offer;
}

struct gw_offer *gw_schedule_retry_create(struct gw_shard *owner, struct gw_slice app_id)
{
    struct gw_offer *offer = offer_create(owner, app_id, 1);
    offer->msg.run = on_retry;
    return offer;
}

void gw_schedule_offer_destroy(struct gw_offer *offer)
{
    gw_message_unref(offer->message);
    gw_snapshot_unref(offer_head(offer)->snapshot);
    gw_free(offer_head(offer));
}

/* ── Erasures ──────────────────────────────────────────────────────────────────────────────── */

struct erasure {
    struct gw_msg msg;
    struct gw_shard *owner;
    size_t len;
    char app_id[];
};

static void on_erased(struct gw_msg *msg)
{
    struct erasure *erasure = gw_container_of(msg, struct erasure, msg);
    struct gw_slice app_id = {erasure->app_id, erasure->len};
    struct gw_app *app = gw_map_get(&erasure->owner->schedule->apps, app_id);
    if (app)
        gw_list_each (link, &app->lanes)
            gw_lanes_erase(gw_container_of(link, struct gw_lane, link));
    gw_free(erasure);
}

/* Behind every offer of what was erased: the ledger posted those before it said that it was. */
void gw_schedule_erase(struct gw_shard *owner, struct gw_slice app_id)
{
    struct erasure *erasure = gw_zalloc(sizeof(*erasure) + app_id.len);
    erasure->msg.run = on_erased;
    erasure->owner = owner;
    erasure->len = app_id.len;
    memcpy(erasure->app_id, app_id.ptr, app_id.len);
    gw_env_post(owner->env, &erasure->msg);
}
