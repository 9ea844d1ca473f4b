/* simulate_s3.c: simulated events put in a bucket, each an object of its own as producers write them:
 * PREFIX/TRANSACTION/EVENT/webhook.json, with the workflow and the transaction as user metadata.
 * Owns each until its answer. A bucket that is not there, or keys that may not write to it, end the
 * simulation; so does the first request that finds nobody. */
#include "aws/s3.h"
#include "base/check.h"
#include "cli/simulate_impl.h"
#include "core/event.h"

#define TIMEOUT_US (60 * 1000000LL)

struct putting {
    struct gw_aws_object object;
    struct gw_aws_field metadata[2];
    struct gw_simulate_event *event; /* which this is part of */
};

static int open_s3(struct gw_simulation *s)
{
    int code = gw_cloud_open(&s->cloud);

    s->env = s->cloud.env;
    return code;
}

static void close_s3(struct gw_simulation *s)
{
    gw_cloud_close(&s->cloud);
}

static void on_put(struct gw_aws_object *object)
{
    struct putting *putting = gw_container_of(object, struct putting, object);
    const struct gw_error *error = &object->call.error;
    bool is_first = putting->event->simulation->all.accepted == 0;
    bool is_hopeless = error->code == GW_ERR_KEY || error->code == GW_ERR_NOT_FOUND ||
                       error->code == GW_ERR_INVALID || (is_first && object->call.status == 0);

    if (error->code == GW_OK)
        gw_simulate_accepted(putting->event, false, object->call.http.call.total_us);
    else
        gw_simulate_failed(putting->event, error->text, is_hopeless);
}

static void add_metadata(struct putting *putting, struct gw_slice name, struct gw_slice value)
{
    if (value.ptr)
        putting->metadata[putting->object.put_count++] = (struct gw_aws_field){name, value};
}

static struct gw_slice make_key(struct gw_slice prefix, const struct gw_event *event,
                                struct gw_arena *arena)
{
    bool has_slash = prefix.len == 0 || gw_slice_ends(prefix, GW_SLICE("/"));

    return gw_slice_from(gw_arena_printf(
        arena, "%.*s%s%.*s/%.*s/webhook.json", GW_SLICE_ARG(prefix), has_slash ? "" : "/",
        GW_SLICE_ARG(event->transaction_id), GW_SLICE_ARG(event->event_id)));
}

static void put(struct gw_simulation *s, struct gw_simulate_event *event)
{
    struct putting *putting = gw_arena_zalloc(&event->arena, sizeof(*putting));
    struct gw_aws_object *object = &putting->object;
    struct gw_event read;
    struct gw_error error;

    gw_check(gw_event_parse(&read, event->body, &event->arena, &error) == GW_OK);
    putting->event = event;
    add_metadata(putting, GW_SLICE("transactionid"), read.transaction_id);
    add_metadata(putting, GW_SLICE("workflowid"), read.workflow_id);
    object->call.client = &s->cloud.aws->clients[GW_AWS_S3];
    object->call.arena = &event->arena;
    object->call.deadline_us = gw_env_mono_us(s->env) + TIMEOUT_US;
    object->bucket = s->place.bucket;
    object->key = make_key(s->place.prefix, &read, &event->arena);
    object->body = event->body;
    object->content_type = GW_SLICE("application/json");
    object->put = putting->metadata;
    object->done = on_put;
    gw_aws_s3_put(object);
}

const struct gw_simulate_to gw_simulate_s3 = {
    .name = "S3",
    .accepted = "stored",
    .open = open_s3,
    .close = close_s3,
    .send = put,
};
