/* lanes.h: what the parts of the schedule share: schedule.c (targets, turns), lanes.c (what
 * memory holds of each lane), apps.c (snapshots) and offers.c (what comes in). Nobody else includes it. */
#pragma once

#include "base/map.h"
#include "flow/schedule.h"
#include "flow/snapshots.h"

/* An app with something open. */
struct gw_app {
    struct gw_schedule *schedule;
    struct gw_slice app_id;       /* behind the struct */
    struct gw_snapshot *snapshot; /* NULL until it has been loaded */
    struct gw_list lanes;
    size_t pins; /* it may not go: its snapshot is on the way */
    struct gw_snapshot_wait wait;
    struct gw_timer again;
};

struct gw_lane {
    struct gw_list link; /* of its app's lanes */
    struct gw_app *app;
    uint64_t number;
    struct gw_slice event_type; /* of its config when last seen, own memory; ptr NULL = never */
    struct gw_target *target;   /* NULL = held, or the app's snapshot is not there yet */
    struct gw_heap_node node;   /* in its target's heap while something waits; key = first due */
    struct gw_heap waiting;     /* gw_pending.node */
    struct gw_list flights;     /* gw_pending.link */
    bool complete;              /* memory holds all that is open in it */
    int64_t mark_due_ms;        /* else exactly what is open up to (and with) this mark */
    uint64_t mark_order;
    bool refilling; /* under way, or to be asked again */
    struct gw_refill refill;
    struct gw_timer again;
};

/* Where lanes lead: (appId, URL). One more of them, without a URL, takes what must be ended. */
struct gw_target {
    struct gw_slice key;  /* appId NUL URL, behind the struct */
    struct gw_heap lanes; /* with something waiting, by first due */
    size_t lane_count;    /* that lead here */
    size_t in_flight;
    size_t in_flight_max;
    struct gw_list ready;      /* in the ring while something is due and may start */
    struct gw_heap_node timer; /* in schedule->later while the next is not due yet */
};

struct gw_schedule {
    struct gw_shard *shard;
    struct gw_map apps;      /* appId → gw_app */
    struct gw_map lanes;     /* number → gw_lane */
    struct gw_map targets;   /* key → gw_target */
    struct gw_target ending; /* what is to be cancelled: always due */
    struct gw_list ring;     /* gw_target.ready: one attempt a turn, then to the end */
    struct gw_heap later;    /* gw_target.timer */
    struct gw_timer wake;
    struct gw_list flights; /* gw_flight.link */
    size_t in_flight;
    size_t in_memory;  /* gw_pending */
    size_t body_bytes; /* of messages riding along */
    size_t trim_at;    /* in_memory beyond which the largest lane is trimmed */
    size_t stalls;
    bool closing;      /* being destroyed: its env may be gone */
    int64_t gauged_us; /* when the oldest due was last looked for */
};

/* ── lanes.c ───────────────────────────────────────────────────────────────────────────────── */

struct gw_lane *gw_lanes_get(struct gw_schedule *schedule, struct gw_slice app_id, uint64_t number,
                             bool complete); /* made when missing */
void gw_lanes_destroy(struct gw_lane *lane);

/* Takes a delivery into memory if the mark allows it. `message` is borrowed, may be NULL. */
void gw_lanes_admit(struct gw_lane *lane, const struct gw_delivery *delivery,
                    struct gw_message *message);
void gw_lanes_put_back(struct gw_pending *pending);     /* from a flight, as it is */
struct gw_pending *gw_lanes_take(struct gw_lane *lane); /* the first, into its flights */
void gw_lanes_free(struct gw_pending *pending);         /* from a flight, out of memory */
void gw_lanes_drop_message(struct gw_pending *pending);
void gw_lanes_erase(struct gw_lane *lane);            /* bodies: of what waits; later of flights */
bool gw_lanes_was_erased(struct gw_pending *pending); /* in flight: then its body is forgotten */
bool gw_lanes_within(const struct gw_lane *lane, int64_t due_ms, uint64_t order);
struct gw_pending *gw_lanes_find(const struct gw_lane *lane, const struct gw_id *id,
                                 bool *in_flight);
void gw_lanes_move(struct gw_pending *pending, const struct gw_delivery *delivery);

/* Asks the ledger for more when little is left; frees the lane when nothing is. Last call on a
 * lane: it may be gone afterwards. */
void gw_lanes_settle_down(struct gw_lane *lane);

/* ── schedule.c ────────────────────────────────────────────────────────────────────────────── */

void gw_schedule_lane_changed(struct gw_lane *lane); /* its first due is another */
void gw_schedule_attach(struct gw_lane *lane);       /* find where it leads now */
void gw_schedule_detach(struct gw_lane *lane);

/* ── apps.c ────────────────────────────────────────────────────────────────────────────────── */

struct gw_app *gw_apps_get(struct gw_schedule *schedule, struct gw_slice app_id); /* or made */
void gw_apps_release(struct gw_app *app); /* frees it when it has no lane and no pin */
void gw_apps_free(struct gw_app *app);
