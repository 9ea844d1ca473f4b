/* intake.h: takes an event: parse, route, accept. Told yes only when it is on stable storage. */
#pragma once

#include "flow/quota.h"
#include "flow/snapshots.h"

struct gw_watch;

struct gw_intake_delivery {
    struct gw_id id;
    struct gw_slice url; /* without its query */
};

struct gw_intake {
    /* in; body and scope must live until done */
    struct gw_slice body;
    struct gw_slice scope; /* the app the caller may speak for; len 0 = any */
    struct gw_place place; /* where the producer's bytes are, if anywhere else */
    const struct gw_metadata *metadata;
    size_t metadata_count;
    struct gw_watch *watch; /* started for what is open, before done; NULL = nobody watches */
    void (*done)(struct gw_intake *intake);

    /* out */
    enum gw_err err; /* INVALID: error says what. CONFLICT: another app than the scope.
                        BUSY, FULL, STOPPED, UNAVAILABLE, IO …: not stored, try again */
    struct gw_error error;
    int64_t again_ms;
    bool
        is_limited; /* with BUSY: by what its app may send a second, and not for want of anything */
    struct gw_id id;
    struct gw_slice event_id; /* ptr NULL = the event has none */
    bool deferred;            /* kept, and routed by another process: nothing below is known */
    bool duplicate;
    bool payload_differs;
    enum gw_skip skip;
    struct gw_intake_delivery deliveries[GW_LANES_MAX];
    size_t delivery_count; /* 0 for a duplicate */

    /* intake's own */
    struct gw_shard *shard;
    int64_t begun_us;
    struct gw_arena arena;
    struct gw_event event;
    struct gw_quota_ask ask;
    struct gw_snapshot_wait wait;
    struct gw_snapshot *snapshot;
    struct gw_slice product; /* of the config, in the snapshot; ptr NULL = none */
    struct gw_accept accept;
    uint64_t lanes[GW_LANES_MAX];
};

/* Starts; `done` is called on the shard's loop, never inside. */
void gw_intake_start(struct gw_shard *shard, struct gw_intake *intake);

/* After done: frees what the answer's slices live in. */
void gw_intake_deinit(struct gw_intake *intake);
