/* quota.h: how many events of one app are taken a second (--intake-rate). Exact over all shards: an
 * app's owner keeps its count, the others ask it by message; without the setting nobody asks.
 *
 * A token bucket for each app: it holds a second's worth, which may come at once, and fills as time
 * passes. An app that has been silent for a second has a full one, and is forgotten. */
#pragma once

#include "flow/shard.h"

#define GW_QUOTA_RATE_MAX 1000000

struct gw_quota;

/* `rate`: events a second; 1 to GW_QUOTA_RATE_MAX. Of one shard, for the apps it owns; on its
 * thread. */
struct gw_quota *gw_quota_create(uint32_t rate);
void gw_quota_destroy(struct gw_quota *quota);

/* Takes one; 0: it may go on, else milliseconds until it could. */
int64_t gw_quota_take(struct gw_quota *quota, struct gw_slice app_id, int64_t mono_us);

/* How many apps are remembered. */
size_t gw_quota_count(const struct gw_quota *quota);

struct gw_quota_ask {
    struct gw_msg msg;
    struct gw_shard *shard; /* who asks */
    struct gw_slice app_id; /* lives until done */
    int64_t again_ms;       /* out: as take() */
    void (*done)(struct gw_quota_ask *ask);
};

/* Asks the owner; done comes on the asking shard's loop, never inside. */
void gw_quota_ask(struct gw_shard *shard, struct gw_quota_ask *ask);
