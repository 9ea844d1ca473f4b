/* target.h: what others may ask of targets: how they do, and to enable them. A target is (appId, URL);
 * the shard that owns the app knows it. See target.c and target_health.c. */
#pragma once

#include "core/health.h"
#include "flow/snapshots.h"

struct gw_target_view {
    struct gw_slice url; /* in; lives until done */
    /* out; of one that nothing is known of: OK, and zeroes */
    enum gw_health_state state;
    const char *reason; /* NULL = none */
    int64_t since_ms;   /* 0 = it is OK */
    uint32_t streak;
    size_t in_flight;
    uint64_t attempts, successes; /* of the last hour */
    int64_t p95_ms;
};

struct gw_target_ask {
    /* in */
    struct gw_slice app_id; /* lives until done */
    struct gw_target_view *views;
    size_t count;
    bool enables; /* those that are probed or disabled, durably; then looks */
    void (*done)(struct gw_target_ask *ask);
    /* out */
    enum gw_err err; /* it could not be read, or what it enables stored: try again */
    int64_t again_ms;
    /* its own */
    struct gw_msg msg;
    struct gw_shard *shard; /* who asks */
    struct gw_snapshot_wait wait;
    size_t left;
};

/* Asks the owner; `done` comes on the asking shard's loop, never inside. */
void gw_target_ask(struct gw_shard *shard, struct gw_target_ask *ask);

/* What another process may have stored of an app's targets since: all that is stored of them. */
void gw_target_reload(struct gw_shard *shard, struct gw_slice app_id,
                      const struct gw_health_row *rows, size_t count);

/* At the start, before anything is open: what is stored of those that this shard owns. */
void gw_target_load(struct gw_shard *shard, const struct gw_health_row *rows, size_t count);
