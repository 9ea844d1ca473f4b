/* quota.c: owns a bucket for each app that sent something in the last second.
 *
 * Invariants: whole numbers only, so that no event is won or lost to rounding: a bucket holds parts,
 * PARTS of which make an event, and `rate` parts come in each microsecond. The list is in the order
 * of the last use, and each use forgets up to two of its head that have become full: so nothing
 * that is full is kept while others come.
 *
 * Thread: the shard's; what others want to know they ask by message. */
#include "flow/quota.h"

#include "base/check.h"
#include "base/map.h"

#define PARTS     1000000 /* of one event */
#define SECOND_US 1000000

struct bucket {
    struct gw_list link;
    struct gw_slice app_id; /* behind the struct */
    int64_t parts;
    int64_t at_us; /* when it was last looked into */
};

struct gw_quota {
    uint32_t rate;
    struct gw_map by_app;
    struct gw_list used; /* the longest unused first */
};

struct gw_quota *gw_quota_create(uint32_t rate)
{
    struct gw_quota *quota = gw_zalloc(sizeof(*quota));
    gw_check(rate > 0 && rate <= GW_QUOTA_RATE_MAX);
    quota->rate = rate;
    gw_list_init(&quota->used);
    return quota;
}

static void forget(struct gw_quota *quota, struct bucket *bucket)
{
    gw_map_del(&quota->by_app, bucket->app_id);
    gw_list_remove(&bucket->link);
    gw_free(bucket);
}

void gw_quota_destroy(struct gw_quota *quota)
{
    gw_list_each_safe (link, &quota->used)
        forget(quota, gw_container_of(link, struct bucket, link));
    gw_map_deinit(&quota->by_app);
    gw_free(quota);
}

size_t gw_quota_count(const struct gw_quota *quota)
{
    return quota->by_app.count;
}

static void forget_silent(struct gw_quota *quota, int64_t mono_us)
{
    for (int i = 0; i < 2 && !gw_list_empty(&quota->used); i++) {
        struct bucket *bucket = gw_container_of(quota->used.next, struct bucket, link);
        if (mono_us - bucket->at_us < SECOND_US)
            return;
        forget(quota, bucket);
    }
}

/* Full when it is new. */
static struct bucket *find(struct gw_quota *quota, struct gw_slice app_id, int64_t mono_us)
{
    struct bucket *bucket = gw_map_get(&quota->by_app, app_id);
    if (bucket) {
        gw_list_remove(&bucket->link);
    } else {
        bucket = gw_alloc(sizeof(*bucket) + app_id.len);
        memcpy(bucket + 1, app_id.ptr, app_id.len);
        bucket->app_id = (struct gw_slice){(const char *)(bucket + 1), app_id.len};
        bucket->parts = (int64_t)quota->rate * PARTS;
        bucket->at_us = mono_us;
        gw_map_put(&quota->by_app, bucket->app_id, bucket);
    }
    gw_list_push(&quota->used, &bucket->link);
    return bucket;
}

int64_t gw_quota_take(struct gw_quota *quota, struct gw_slice app_id, int64_t mono_us)
{
    int64_t rate = quota->rate;
    forget_silent(quota, mono_us);
    struct bucket *bucket = find(quota, app_id, mono_us);
    int64_t passed_us = mono_us - bucket->at_us;
    bucket->parts += (passed_us < SECOND_US ? passed_us : SECOND_US) * rate;
    if (bucket->parts > rate * PARTS)
        bucket->parts = rate * PARTS;
    bucket->at_us = mono_us;
    if (bucket->parts >= PARTS) {
        bucket->parts -= PARTS;
        return 0;
    }
    int64_t wait_us = (PARTS - bucket->parts + rate - 1) / rate;
    return (wait_us + 999) / 1000;
}

/* ── From another shard ────────────────────────────────────────────────────────────────────── */

static void on_answer(struct gw_msg *msg)
{
    struct gw_quota_ask *ask = gw_container_of(msg, struct gw_quota_ask, msg);
    ask->done(ask);
}

static void on_ask(struct gw_msg *msg)
{
    struct gw_quota_ask *ask = gw_container_of(msg, struct gw_quota_ask, msg);
    struct gw_shard *owner = gw_flow_owner(ask->shard->flow, ask->app_id);
    ask->again_ms = gw_quota_take(owner->quota, ask->app_id, gw_env_mono_us(owner->env));
    msg->run = on_answer;
    gw_env_post(ask->shard->env, msg);
}

void gw_quota_ask(struct gw_shard *shard, struct gw_quota_ask *ask)
{
    ask->shard = shard;
    ask->msg.run = on_ask;
    gw_env_post(gw_flow_owner(shard->flow, ask->app_id)->env, &ask->msg);
}
