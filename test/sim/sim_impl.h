/* sim_impl.h: the simulated world from inside; for the files of sim/ only. */
#pragma once

#include "base/map.h"
#include "sim_env.h"

enum sim_kind {
    SIM_POST,
    SIM_TIMER,
    SIM_RESOLVED,
    SIM_HTTP_ARRIVED,
    SIM_HTTP_DONE,
    SIM_WORK_RUN,
    SIM_WORK_DONE,
    SIM_WORKER,
};

/* Something that will happen. */
struct sim_event {
    struct gw_heap_node node; /* key: microseconds; tie: the order of planning */
    struct sim_env *env;
    enum sim_kind kind;
    void *what;
};

struct sim_env {
    struct gw_env env; /* first */
    struct gw_list link;
    struct sim *sim;
    uint64_t number;
    uint64_t random;
    int64_t last_post_us; /* no later post comes before it */
    struct gw_list workers;
    bool dead;
    int64_t frozen_until_us;
};

struct sim {
    struct sim_options options;
    struct gw_heap events;
    uint64_t seq;
    int64_t now_us;
    int64_t wall_offset_ms;
    uint64_t dice, own_dice;
    uint64_t digest;
    struct gw_list envs;
    uint64_t env_count;
    struct sim_env *running; /* whose callback it is; NULL = nobody's */
    bool in_thread;          /* a worker's fn or a work's run */
    struct gw_map names, receivers;
};

static inline struct sim_env *sim_env_of(struct gw_env *env)
{
    return gw_container_of(env, struct sim_env, env);
}

struct sim_event *sim_plan(struct sim_env *env, int64_t delay_us, enum sim_kind kind, void *what);
void sim_unplan(struct sim_event *event);
int64_t sim_while(struct sim *sim, int64_t max_us); /* 1 … max_us */
bool sim_is_dead(struct sim_env *env); /* checks too that the call is made on its own thread */

/* sim_net.c */
void sim_net_resolve(struct gw_env *env, struct gw_resolve *req);
void sim_net_resolve_cancel(struct gw_env *env, struct gw_resolve *req);
void sim_net_resolved(void *what);
void sim_net_http(struct gw_env *env, struct gw_http_call *call);
void sim_net_http_cancel(struct gw_env *env, struct gw_http_call *call);
void sim_net_http_arrived(void *what);
void sim_net_http_done(void *what);
void sim_net_dropped(enum sim_kind kind, void *what); /* its env was killed */
void sim_net_deinit(struct sim *sim);
