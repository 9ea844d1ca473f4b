/* lanes.h: what the parts of the schedule share: schedule.c (where lanes lead, turns), target.c (who
 * may start), target_health.c (how targets do), lanes.c (what memory holds of each lane), apps.c
 * (snapshots) and offers.c (what comes in). Nobody else includes it. */
#pragma once

#include "base/map.h"
#include "core/health.h"
#include "core/rate.h"
#include "flow/schedule.h"
#include "flow/snapshots.h"
#include "flow/watch.h"

/* An app with something open, or with targets that are remembered. */
struct gw_app {
    struct gw_schedule *schedule;
    struct gw_slice app_id;       /* behind the struct */
    struct gw_snapshot *snapshot; /* NULL until it has been loaded */
    struct gw_list lanes;
    struct gw_list targets;
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

/* Those that have not failed go first: while thousands hang, each for its whole timeout, who is new or
 * was silent for long has the next place. */
enum gw_parking {
    GW_PARKING_UNFAILED,
    GW_PARKING_FAILED,
};
#define GW_PARKING_COUNT (GW_PARKING_FAILED + 1)

/* A host and port that targets of any app lead to: those that have shown nothing good yet share
 * their places, so that one host behind many targets does not take all that there are for such. */
struct gw_host {
    struct gw_slice key;                     /* "host:port", behind the struct */
    size_t target_count;                     /* that lead here */
    size_t unproven;                         /* attempts in flight of those that are not proven */
    struct gw_list parked[GW_PARKING_COUNT]; /* gw_target.ready */
    enum gw_parking parking;                 /* the first that is not empty */
    struct gw_list waiting; /* in schedule->waiting[parking] while something may get a place */
};

enum gw_standing {
    GW_STANDING_NOWHERE, /* nothing waits, or nothing may start before something lands */
    GW_STANDING_RING,    /* something is due, and may start */
    GW_STANDING_PARKED,  /* it is due, but targets that are not proven have their share */
    GW_STANDING_PAUSED,  /* it is due, but its rate or a gap does not let it start yet */
    GW_STANDING_LATER,   /* it is due later */
};

/* Where lanes lead: (appId, URL). One more of them, without a URL, takes what must be ended. */
struct gw_target {
    struct gw_slice key; /* appId NUL URL, behind the struct */
    struct gw_app *app;  /* NULL: of what must be ended */
    struct gw_host *host;
    struct gw_list link;  /* of its app's targets */
    struct gw_heap lanes; /* with something waiting, by first due */
    size_t lane_count;    /* that lead here */
    size_t in_flight;
    uint32_t in_flight_max;
    uint32_t rate_limit; /* 0 = none, or it is paced */
    uint32_t paced;      /* the same where all processes share it; 0 = none */
    struct gw_rate rate;
    struct gw_health health;
    bool is_proven;      /* as it was when last looked at */
    bool is_stored;      /* the store has something of its health */
    struct gw_buf known; /* what that is, as far as is known here */
    struct gw_target_saving *saving;
    struct gw_target_stats *stats; /* NULL: nothing was attempted */
    enum gw_standing standing;
    struct gw_list ready;      /* in the ring, or parked at its host */
    enum gw_parking parking;   /* while parked */
    struct gw_heap_node timer; /* in schedule->later or ->paused */
    struct gw_list idle; /* in schedule->idle while nothing leads here and it may be forgotten */
    int64_t idle_us;
    bool is_resting;      /* nothing leads here and nothing is in flight */
    unsigned turned_away; /* since an attempt began: see watch.c */
};

struct gw_schedule {
    struct gw_shard *shard;
    struct gw_map apps;      /* appId → gw_app */
    struct gw_map lanes;     /* number → gw_lane */
    struct gw_map targets;   /* key → gw_target */
    struct gw_map hosts;     /* key → gw_host */
    struct gw_target ending; /* what is to be cancelled: always due */
    struct gw_list ring;     /* gw_target.ready: one attempt a turn, then to the end */
    struct gw_list waiting[GW_PARKING_COUNT]; /* gw_host.waiting: one of each in turn */
    struct gw_heap later;                     /* gw_target.timer, by wall time in milliseconds */
    struct gw_heap paused;                    /* the same, by the monotonic clock in microseconds */
    struct gw_timer wake;
    struct gw_list flights; /* gw_flight.link */
    struct gw_list idle;    /* gw_target.idle, the longest first */
    size_t idle_count, resting_count;
    size_t in_flight;
    size_t unproven;                      /* of these, of targets that are not proven */
    size_t states[GW_HEALTH_STATE_COUNT]; /* how many targets are in which */
    size_t in_memory;                     /* gw_pending */
    size_t body_bytes;                    /* of messages riding along */
    size_t trim_at;                       /* in_memory beyond which the largest lane is trimmed */
    size_t stalls;
    bool must_sweep;   /* something waits that cannot start soon; see watch.c */
    bool closing;      /* being destroyed: its env may be gone */
    int64_t gauged_us; /* when the oldest due was last looked for */
};

/* ── lanes.c ───────────────────────────────────────────────────────────────────────────────── */

struct gw_lane *gw_lanes_get(struct gw_schedule *schedule, struct gw_slice app_id, uint64_t number,
                             bool complete); /* made when missing */
void gw_lanes_destroy(struct gw_lane *lane);

/* Takes a delivery into memory if the mark allows it. `message` is borrowed, may be NULL; so may
 * `watch`. */
void gw_lanes_admit(struct gw_lane *lane, const struct gw_delivery *delivery,
                    struct gw_message *message, struct gw_watch *watch);
void gw_lanes_put_back(struct gw_pending *pending);     /* from a flight, as it is */
struct gw_pending *gw_lanes_take(struct gw_lane *lane); /* the first, into its flights */
void gw_lanes_free(struct gw_pending *pending);         /* from a flight, out of memory */
void gw_lanes_let_go(struct gw_pending *pending);       /* the same of one that waits */
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

/* ── target.c ──────────────────────────────────────────────────────────────────────────────── */

void gw_target_init(struct gw_schedule *schedule);
void gw_target_deinit(struct gw_schedule *schedule); /* no lane leads to one any more */

/* The target of that URL, or made; it rests until a lane leads to it. */
struct gw_target *gw_target_get(struct gw_app *app, const struct gw_url *url);
struct gw_target *gw_target_find(const struct gw_schedule *schedule, struct gw_slice app_id,
                                 struct gw_slice url); /* NULL */
struct gw_slice gw_target_url(const struct gw_target *target);

void gw_target_lead(struct gw_target *target, bool leads);   /* one lane more, or less */
void gw_target_flies(struct gw_target *target, bool starts); /* one attempt more, or less */

/* Puts it where it belongs: its first due, its limits or its health have changed. */
void gw_target_place(struct gw_schedule *schedule, struct gw_target *target);

/* When nothing needs it: forgets it, at once or when it has rested long enough. Last call on it. */
void gw_target_release(struct gw_schedule *schedule, struct gw_target *target);

/* How long nothing but manual retries may start, by its state, a gap or its rate; GW_NEVER: until
 * somebody enables it. */
int64_t gw_target_held_ms(const struct gw_target *target);

/* Whose turn it is; NULL: nobody may start now. */
struct gw_target *gw_target_next(struct gw_schedule *schedule);

/* It was its turn; the next one is after everybody else's. */
void gw_target_take_turn(struct gw_schedule *schedule, struct gw_target *target);

/* What may go on by now leaves the timers. */
void gw_target_collect(struct gw_schedule *schedule);
int64_t gw_target_wait_ms(const struct gw_schedule *schedule); /* for the next; or GW_NEVER */

/* ── target_health.c ───────────────────────────────────────────────────────────────────────── */

/* What has ended, and what it says of the target. */
void gw_target_judge(struct gw_target *target, const struct gw_health_attempt *attempt);
void gw_target_store(struct gw_target *target);   /* what is known of it now, or that nothing is */
void gw_target_unstore(struct gw_target *target); /* it is nobody's any more */
void gw_target_free_health(struct gw_target *target);

/* ── watch.c ───────────────────────────────────────────────────────────────────────────────── */

void gw_watch_add(struct gw_watch *watch, struct gw_pending *pending);
void gw_watch_leave(struct gw_pending *pending); /* it goes out of memory */

/* A delivery that would wait in memory again: true, its watch has been told, and it is to leave. */
bool gw_watch_takes(const struct gw_pending *pending);

/* What cannot start soon leaves memory. */
void gw_watch_sweep(struct gw_schedule *schedule);

#define GW_WATCH_LONG_MS 2000 /* what is held for longer leaves memory */

/* ── apps.c ────────────────────────────────────────────────────────────────────────────────── */

struct gw_app *gw_apps_get(struct gw_schedule *schedule, struct gw_slice app_id); /* or made */
void gw_apps_release(struct gw_app *app); /* frees it when it has no lane and no pin */
void gw_apps_free(struct gw_app *app);
