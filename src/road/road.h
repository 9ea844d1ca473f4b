/* road.h: what an event goes along on AWS: a message of SQS that says that it is in S3, or that
 * something of it is due, from its text to its end (item.h). Used by every home there that delivers.
 *
 * Thread: the shard's. */
#pragma once

#include "aws/client.h"
#include "flow/shard.h"

struct gw_road_options {
    const char *buckets;        /* "name" or "name=app1+app2", comma-separated */
    const char *queue_url;      /* that events come by */
    const char *wake_queue_url; /* NULL = wakes go there too */
    size_t body_bytes_max;      /* of an event */
};

/* Its writers may speak for these apps only; none named: for any. */
struct gw_bucket {
    struct gw_slice name;
    struct gw_slice apps; /* "app1+app2"; ptr NULL = any */
};

struct gw_road {
    struct gw_shard *shard; /* the only one of its flow */
    struct gw_aws *aws;
    struct gw_slice wake_queue_url;
    size_t body_bytes_max;
    struct gw_bucket *buckets;
    size_t bucket_count;
    struct gw_arena arena;
    int64_t calm_us; /* by the monotonic clock: the store or S3 was in trouble until then */
};

/* The options' texts must outlive it. GW_ERR_INVALID: the buckets, with the setting's name. */
enum gw_err gw_road_init(struct gw_road *road, struct gw_shard *shard, struct gw_aws *aws,
                         const struct gw_road_options *options, struct gw_error *error);
void gw_road_deinit(struct gw_road *road); /* no item is under way */

/* NULL: it is not to be read. */
const struct gw_bucket *gw_road_bucket(const struct gw_road *road, struct gw_slice name);
bool gw_bucket_allows(const struct gw_bucket *bucket, struct gw_slice app_id);

/* Nothing more should be taken from the queue now: it could not be recorded. */
bool gw_road_is_troubled(const struct gw_road *road);
void gw_road_trouble(struct gw_road *road, int64_t for_ms);
