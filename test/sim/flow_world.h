/* flow_world.h: the real flow and core in a simulated world: shards, a ledger in memory, clients'
 * servers that answer well, badly or never; and a book of what each of them has seen. */
#pragma once

#include "base/map.h"
#include "flow/intake.h"
#include "flow/schedule.h"
#include "flow/target.h"
#include "sim_env.h"
#include "store/fault.h"
#include "store/memory.h"

#define WORLD_APPS   3
#define WORLD_SHARDS 2
#define WORLD_EVENTS 8000
#define WORLD_HOSTS  4
#define WORLD_LIMIT  3 /* maxInFlight of every config */
#define WORLD_RATE   5 /* rateLimit of the first app's */

#define WORLD_SCHEDULE_MS ((2 + 30 + 600 + 7200) * 1000) /* of every config */

/* How a client's server behaves now. */
enum mood { MOOD_WELL, MOOD_FAILS, MOOD_HANGS, MOOD_RESETS, MOOD_BUSY, MOOD_GONE };

struct host {
    const char *name;
    struct world *world;
    enum mood mood;
};

/* An event that was posted. */
struct posted {
    struct gw_intake intake;
    struct world *world;
    char body[256];
    int app;
    bool acked;   /* told yes */
    bool failed;  /* told no */
    bool retried; /* by hand */
};

/* What a client's server saw of one message. */
struct receipt {
    char key[64];          /* webhook-id, host and path */
    unsigned attempt;      /* the last one's number */
    unsigned seen_crashes; /* of the world, at that time */
    int64_t answered_ms;   /* a 2xx left in time for the sender to see it; 0 = none */
    unsigned crashes;      /* of the world, when that was */
};

/* What was seen at one URL. */
struct place {
    char url[64];
    int64_t gone_ms; /* when it last answered 410, and nobody has enabled it since; 0 = never */
    int64_t came_us[WORLD_RATE]; /* a ring */
    size_t came;
};

/* A request that a client's server has not answered yet. */
struct open_call {
    char url[64];
    int64_t until_us;
};

struct world {
    struct sim *sim;
    struct gw_memory *memory;
    struct gw_fault *fault; /* before it, and before the configs */
    struct gw_fault_odds odds;
    struct gw_env *ledger_env;
    struct gw_env *driver; /* never killed: configs are written through it */
    struct gw_flow flow;
    struct gw_shard *shards[WORLD_SHARDS];
    size_t started;
    bool stopped[WORLD_SHARDS];
    struct host hosts[WORLD_HOSTS];
    struct gw_config *configs[WORLD_APPS]; /* as last written; NULL = deleted */
    struct posted *posted[WORLD_EVENTS];
    size_t posted_count;
    struct gw_map receipts;
    struct place places[64];
    size_t place_count;
    struct open_call open[256]; /* a ring */
    size_t open_at;
    int64_t inactive_ms[WORLD_APPS]; /* since when the app's config is inactive; 0 = it is not */
    unsigned crashes;
    size_t duplicates; /* a 2xx was sent, and the message came again: only after a crash */
    size_t given_up;
    size_t memory_high;
    const char *broken; /* the first promise that was broken; NULL = none */
};

void world_create(struct world *world, uint64_t seed);
void world_destroy(struct world *world);

/* kill -9 and a new start. */
void world_crash(struct world *world);
/* SIGTERM: drains, cuts off after a while, and a new start. */
void world_restart(struct world *world);

void world_post(struct world *world, int app, unsigned event_id);
void world_retry(struct world *world, size_t posted);
void world_config_create(struct world *world, int app);
void world_config_patch(struct world *world, int app, const char *members);
void world_config_delete(struct world *world, int app);
void world_enable(struct world *world, int app); /* all its targets */

/* Every open delivery ends; false: not within 30 days. */
bool world_finish(struct world *world);
/* Compares the ledger with what was posted and seen. */
void world_check(struct world *world);
void world_broken(struct world *world, const char *promise);
