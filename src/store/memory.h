/* memory.h: the three ports in memory, for the simulation and the tests: an obvious implementation
 * whose rules can be read. Committed state survives gw_memory_crash(); what was queued does not,
 * and its completions never come. */
#pragma once

#include "store/store.h"

struct gw_memory;

struct gw_memory_options {
    /* A commit happens this long after its first operation; 0 = next turn. */
    int64_t commit_delay_ms;
    size_t
        queue_max; /* operations waiting for a commit: more accepts are GW_ERR_BUSY; 0 = default */
    size_t events_max; /* more are GW_ERR_FULL; 0 = default */
    bool has_leases;   /* several processes share it: a claim is one's until its lease ends */
};

/* `env` carries its commits and its loads; completions go to each operation's own env. */
struct gw_memory *gw_memory_create(struct gw_env *env, const struct gw_memory_options *options);
struct gw_ledger *gw_memory_ledger(struct gw_memory *memory);
struct gw_configs *gw_memory_configs(struct gw_memory *memory);
struct gw_admin *gw_memory_admin(struct gw_memory *memory);

/* As after kill -9 and a new start: what is not committed is gone with its operations, nothing of
 * the old env is touched again, `env` is the new one. The old env must have been killed before, so
 * that it calls nothing back. */
void gw_memory_crash(struct gw_memory *memory, struct gw_env *env);
void gw_memory_destroy(struct gw_memory *memory);
