/* road_world.h: the road through AWS in a simulated world: several processes, each with an env, a flow of
 * one shard, a road and a queue as in `gwh worker`, over one ledger in memory with leases; SQS and S3 as
 * hosts of the world (road_aws.c); clients' servers; and a book of what each of them has seen. */
#pragma once

#include "base/map.h"
#include "road/queue.h"
#include "sim_env.h"
#include "store/fault.h"
#include "store/memory.h"

#define WORLD_PROCESSES 3
#define WORLD_APPS      3
#define WORLD_HOSTS     3
#define WORLD_EVENTS    1000
#define WORLD_STARTS    256 /* of processes */

/* ── SQS and S3 ────────────────────────────────────────────────────────────────────────────── */

struct cloud_message {
    char *body;
    uint64_t id, receipt; /* of the last receiving; 0 = never */
    int64_t visible_us;
};

struct cloud_object {
    char key[32];
    char *body;
};

/* Of 1 000 calls so many. */
struct cloud_odds {
    uint64_t refuse, lose, twice, early;
};

struct cloud {
    struct sim *sim;
    struct cloud_odds odds;
    struct cloud_message *messages;
    size_t count, cap;
    uint64_t last_id;
    struct gw_map objects;
    struct gw_arena arena; /* replies, and what is read of requests */
};

void cloud_init(struct cloud *cloud, struct sim *sim);
void cloud_deinit(struct cloud *cloud);
void cloud_put(struct cloud *cloud, const char *key, const char *body); /* and its notice */
void cloud_send(struct cloud *cloud, struct gw_slice body, int64_t delay_ms);

/* ── The world ─────────────────────────────────────────────────────────────────────────────── */

struct world;

/* A life of `gwh worker`. */
struct process {
    struct world *world;
    unsigned number; /* of all that were ever started */
    char user_agent[24];
    struct gw_env *env;
    struct gw_ledger watched; /* the ledger, and what becomes of claims is written down */
    struct gw_fault *fault;
    struct gw_flow flow;
    struct gw_shard *shard;
    struct gw_aws *aws;
    struct gw_road road;
    struct gw_hand hand;
    struct gw_queue queue;
    bool is_started, is_idle;
    bool is_dead; /* until the world sees it */
};

enum mood { MOOD_WELL, MOOD_FAILS, MOOD_HANGS, MOOD_RESETS, MOOD_BUSY };
#define MOODS (MOOD_BUSY + 1)

struct host {
    const char *name;
    struct world *world;
    enum mood mood;
};

/* A delivery, as claims and settles tell of it. */
struct grant {
    struct grant *next; /* of the same message */
    struct gw_id id;
    uint64_t lane;
    uint64_t write_id;
    unsigned process; /* 0 = nobody has it */
    int64_t until_us;
    bool is_used; /* it was posted under this claim */
};

struct lane {
    uint64_t number;
    char path[8];
};

/* What clients' servers saw of one message, and who may post it. */
struct receipt {
    char id[GW_ID_TEXT_MAX];
    struct grant *grants;
    unsigned posts;
    struct {
        char path[8];
        unsigned process, troubles; /* who got the last 2xx; 0 = nobody */
        int64_t answered_us;
    } places[4];
};

struct world {
    struct sim *sim;
    struct cloud cloud;
    struct gw_memory *memory;
    struct gw_fault_odds odds;
    struct gw_env *driver; /* configs are written, and the ledger is read, through it */
    struct process *processes[WORLD_PROCESSES];
    unsigned started;
    unsigned troubles[WORLD_STARTS]; /* of each: crashes, freezes, cuts */
    int64_t frozen_us[WORLD_STARTS]; /* until then */
    uint64_t freezes;                /* of 1 000 claims so many are followed by one */
    uint64_t crashes;                /* the same for settles */
    struct host hosts[WORLD_HOSTS];
    struct gw_config *configs[WORLD_APPS]; /* as last written; NULL = removed */
    struct lane lanes[1000];               /* of all configs that ever were */
    size_t lane_count;
    int apps[WORLD_EVENTS]; /* of each event that was put */
    size_t event_count;
    struct gw_map receipts;
    size_t posts, doubles;
    const char *broken; /* the first promise that was broken; NULL = none */
};

void world_create(struct world *world, uint64_t seed);
void world_destroy(struct world *world);
void world_broken(struct world *world, const char *promise);

void world_crash(struct world *world, size_t process);   /* kill -9, and a new one */
void world_restart(struct world *world, size_t process); /* SIGTERM, and a new one */
void world_revive(struct world *world);                  /* those that died by themselves */
void world_freeze(struct world *world, size_t process, int64_t for_ms);

void world_put(struct world *world, int app);
void world_config_create(struct world *world, int app);
/* Whoever changes it may die between the two steps of it. */
void world_config_patch(struct world *world, int app, const char *members, bool dies);
void world_config_remove(struct world *world, int app, bool dies);

/* Nothing fails any more. */
void world_mend(struct world *world);
/* The queue becomes empty; false: not within a day. */
bool world_finish(struct world *world);
/* Compares the ledger with what was put and seen. */
void world_check(struct world *world);
