/* snapshots.h: the configs in force, app by app, as one shard sees them: loaded when first needed,
 * replaced when a change is published, the longest unused forgotten over a ceiling. */
#pragma once

#include "flow/shard.h"

struct gw_snapshots *gw_snapshots_create(struct gw_shard *shard);
void gw_snapshots_destroy(struct gw_snapshots *snapshots);

/* The app's snapshot if it is in memory, else NULL. Borrowed: valid until the loop turns. */
struct gw_snapshot *gw_snapshots_peek(struct gw_shard *shard, struct gw_slice app_id);

struct gw_snapshot_wait {
    struct gw_list link;
    /* `snapshot` is borrowed, NULL on error. */
    void (*ready)(struct gw_snapshot_wait *wait, struct gw_snapshot *snapshot, enum gw_err err);
};

/* Loads the app's snapshot; `ready` is called from the loop. Only after peek said NULL. */
void gw_snapshots_load(struct gw_shard *shard, struct gw_slice app_id,
                       struct gw_snapshot_wait *wait);

/* Puts the snapshot in force on this shard, unless what is there is as new. It stays the caller's. */
void gw_snapshots_learn(struct gw_shard *shard, struct gw_snapshot *snapshot);

/* A committed change, on its way to every shard. */
struct gw_publish {
    void (*done)(struct gw_publish *publish); /* on the env of the shard that published */
    struct gw_env *env;
    struct gw_msg msg;
    atomic_size_t left;
};

/* Puts the snapshot in force on every shard; `done` when all have it. The snapshot stays the
 * caller's. */
void gw_snapshots_publish(struct gw_shard *shard, struct gw_snapshot *snapshot,
                          struct gw_publish *publish);
