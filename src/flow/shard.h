/* shard.h: one loop thread and all it owns: its apps with their snapshots, lanes, targets and
 * attempts in flight. The arrow (intake, schedule, attempt, settle) runs in here.
 *
 * An app belongs to one shard for ever, by a hash of its id; any shard takes its events and hands
 * its deliveries over. Everything in a shard is touched by its own thread alone, but for the
 * counters, which anybody may read. */
#pragma once

#include "core/health.h"
#include "core/route.h"
#include "store/store.h"

/* What is the same for all shards and all their life. */
struct gw_flow_options {
    struct gw_guard guard;
    const char *user_agent;
    int64_t dedupe_ms;          /* the window in which an eventId is a repeat */
    int64_t connect_timeout_ms; /* names, TCP and TLS of an attempt: 5 s */
    size_t in_flight_max;       /* attempts of one shard: 1 024 */
    size_t accepts_max;         /* events of one shard on their way to the ledger */
    size_t memory_max;     /* deliveries of one shard held in memory; the ledger has the rest */
    size_t body_bytes_max; /* of bodies riding along with them, per shard */
    size_t snapshots_max;  /* apps of one shard kept in memory */
    uint32_t intake_rate;  /* events of one app a second; 0 = no limit. See quota.h */
    /* Where several processes share the ledger: */
    bool is_shared;              /* what is not due leaves memory, and its watch knows: watch.h */
    size_t workers;              /* that a target's maxInFlight is divided by; 0 = 1 */
    int64_t snapshot_age_max_ms; /* older configs are read again, and how targets do; 0 = never */
};

struct gw_shard;

struct gw_flow {
    struct gw_flow_options options;
    struct gw_ledger *ledger;
    struct gw_configs *configs;
    struct gw_admin *admin;
    struct gw_pace *pace;        /* NULL = this process alone sends */
    struct gw_delivery_log *log; /* NULL = none is kept */
    struct gw_shard **shards;
    size_t shard_count;
};

/* Why an event was not taken. */
enum gw_refusal_class {
    GW_REFUSAL_INVALID,   /* not JSON, or not an event */
    GW_REFUSAL_TOO_LARGE, /* than an event, or a request, may be */
    GW_REFUSAL_OTHER_APP, /* the caller may speak for another one */
    GW_REFUSAL_LIMITED,   /* its app sends too many a second */
    GW_REFUSAL_OVERLOAD,  /* too many at once, or the store cannot now */
    GW_REFUSAL_DISK_FULL, /* or below its reserve */
    GW_REFUSAL_STOPPING,
    GW_REFUSAL_FAILED, /* the store */
};
#define GW_REFUSAL_COUNT (GW_REFUSAL_FAILED + 1)

const char *gw_refusal_class_name(enum gw_refusal_class class); /* "too_large" */

/* Counted since the start. Written by the shard, read by anybody. */
enum gw_count {
    GW_COUNT_RECEIVED, /* events accepted, duplicates left out */
    GW_COUNT_ROUTED,
    GW_COUNT_DUPLICATE,
    GW_COUNT_DELIVERED,
    GW_COUNT_DEAD,
    GW_COUNT_CANCELLED,
    GW_COUNT_RETRIED_BY_HAND,
    GW_COUNT_SETTLE_AGAIN, /* settles that had to wait for the ledger */
    GW_COUNT_SKIPPED,      /* events, by reason: GW_COUNT_SKIPPED + enum gw_skip */
    GW_COUNT_REFUSED = GW_COUNT_SKIPPED + GW_SKIP_COUNT,    /* events: + enum gw_refusal_class */
    GW_COUNT_OUTCOME = GW_COUNT_REFUSED + GW_REFUSAL_COUNT, /* attempts: + enum gw_outcome */
    GW_COUNT_END = GW_COUNT_OUTCOME + GW_OUTCOME_COUNT,
};

/* As they are now. */
enum gw_gauge {
    GW_GAUGE_IN_FLIGHT,     /* attempts */
    GW_GAUGE_IN_MEMORY,     /* deliveries */
    GW_GAUGE_BUSY,          /* targets with something waiting or in flight */
    GW_GAUGE_OLDEST_DUE_MS, /* wall time at which the oldest due delivery was due; 0 = none */
    GW_GAUGE_TARGETS,       /* that are known, by how they do: + enum gw_health_state */
    GW_GAUGE_END = GW_GAUGE_TARGETS + GW_HEALTH_STATE_COUNT,
};

/* How long things took since the start. */
enum gw_duration {
    GW_DURATION_ACCEPT, /* of an event, until it was on stable storage */
    GW_DURATION_ATTEMPT,
    GW_DURATION_DELIVERY, /* from the accept to the success */
    GW_DURATION_END,
};

struct gw_snapshots;
struct gw_schedule;

struct gw_shard {
    struct gw_flow *flow;
    struct gw_env *env;
    size_t index;
    struct gw_snapshots *snapshots;
    struct gw_schedule *schedule;
    struct gw_quota *quota;  /* NULL: no limit */
    size_t accepts;          /* events under way in this shard's intake */
    size_t under_way;        /* everything that must end before the shard may go: accepts, attempts,
                         loads, refills */
    bool draining;           /* takes no events, starts no attempts */
    bool is_cut;             /* and waits for nothing but the ledger's next word */
    int64_t must_end_us;     /* by the monotonic clock: no attempt begins that could end later */
    void (*idle)(void *ctx); /* told once, when draining and nothing is under way */
    void *idle_ctx;
    void (*started)(void *ctx, enum gw_err err);
    void *started_ctx;
    struct gw_health_load health_op;
    struct gw_open_lanes lanes_op;
    struct gw_arena start_arena;
    _Atomic uint64_t counts[GW_COUNT_END];
    _Atomic int64_t gauges[GW_GAUGE_END];
    struct gw_histogram durations[GW_DURATION_END];
};

/* Creates shard `index` of flow->shards on its env; before its loop runs. */
struct gw_shard *gw_shard_create(struct gw_flow *flow, struct gw_env *env, size_t index);

/* On the shard's thread: asks the ledger how targets do and what is open; `started` is called when the shard knows
 * its lanes. No event may be taken by any shard before all have started. */
void gw_shard_start(struct gw_shard *shard, void (*started)(void *ctx, enum gw_err err), void *ctx);

/* On the shard's thread: takes no events, starts no attempts; `idle` is called when what was under
 * way has ended and is stored. */
void gw_shard_drain(struct gw_shard *shard, void (*idle)(void *ctx), void *ctx);

/* While draining, when the grace time is over: attempts under way are cut off. They leave no
 * record and their numbers are used again; their deliveries are pending in the ledger. */
void gw_shard_cut(struct gw_shard *shard);

/* After `idle`, or when the env has crashed (simulation). Frees memory only. */
void gw_shard_destroy(struct gw_shard *shard);

/* The shard that owns an app. */
struct gw_shard *gw_flow_owner(struct gw_flow *flow, struct gw_slice app_id);

/* For the parts of a shard: something is under way that must end before the shard may go. */
void gw_shard_begin(struct gw_shard *shard);
void gw_shard_end(struct gw_shard *shard);

static inline void gw_shard_count(struct gw_shard *shard, size_t what)
{
    atomic_fetch_add_explicit(&shard->counts[what], 1, memory_order_relaxed);
}

static inline void gw_shard_gauge(struct gw_shard *shard, size_t what, int64_t value)
{
    atomic_store_explicit(&shard->gauges[what], value, memory_order_relaxed);
}

static inline void gw_shard_took(struct gw_shard *shard, enum gw_duration what, int64_t us)
{
    gw_histogram_add(&shard->durations[what], us);
}

/* Sums over all shards; any thread. */
uint64_t gw_flow_count(const struct gw_flow *flow, size_t what);
int64_t gw_flow_gauge(const struct gw_flow *flow, size_t what); /* OLDEST_DUE: the least */
struct gw_histogram_view gw_flow_duration(const struct gw_flow *flow, enum gw_duration what);
