/* fetch.c: owns the reading of one object. Only from buckets that are listed, only of apps that their
 * writers may speak for, and exactly the bytes that the notice tells of: by their version, else by
 * their ETag.
 *
 * What is not there, or is something else by now, is refused for good: a later write of the same key
 * has a notice of its own. */
#include "road/fetch.h"

#define CALL_MS 15000

static struct gw_env *env_of(const struct gw_fetch *fetch)
{
    return fetch->road->shard->env;
}

/* ── What came ─────────────────────────────────────────────────────────────────────────────── */

/* S3 says that it may not be read, or that it does not say whether there is one. */
static enum gw_err refusal(const struct gw_aws_call *call, struct gw_error *error)
{
    switch (call->error.code) {
    case GW_ERR_NOT_FOUND: return gw_error_set(error, GW_ERR_NOT_FOUND, "the object is not there");
    case GW_ERR_CONFLICT:
        return gw_error_set(error, GW_ERR_CHANGED, "the object was replaced before it was read");
    case GW_ERR_TOO_LARGE:
        return gw_error_set(error, GW_ERR_TOO_LARGE, "the object is larger than an event may be");
    default: return gw_error_set(error, call->error.code, "%s", call->error.text);
    }
}

static void take_metadata(struct gw_fetch *fetch)
{
    const struct gw_aws_object *object = &fetch->object;
    size_t size = (object->metadata_count + 1) * sizeof(*fetch->metadata);
    fetch->metadata = gw_arena_alloc(fetch->arena, size);
    fetch->metadata_count = object->metadata_count;
    for (size_t i = 0; i < object->metadata_count; i++)
        fetch->metadata[i] =
            (struct gw_metadata){object->metadata[i].name, object->metadata[i].value};
}

/* Who wrote to the bucket may not speak for every app. What is no event is left to intake. */
static enum gw_err check_app(const struct gw_fetch *fetch, struct gw_error *error)
{
    const struct gw_bucket *bucket = gw_road_bucket(fetch->road, fetch->notice->bucket);
    struct gw_event event;
    if (!bucket->apps.ptr || gw_event_parse(&event, fetch->body, fetch->arena, error) != GW_OK)
        return GW_OK;
    if (gw_bucket_allows(bucket, event.app_id))
        return GW_OK;
    return gw_error_set(error, GW_ERR_CONFLICT,
                        "wrong_app: the bucket's writers do not speak for this app");
}

static void on_object(struct gw_aws_object *object)
{
    struct gw_fetch *fetch = gw_container_of(object, struct gw_fetch, object);
    const struct gw_aws_notice *notice = fetch->notice;
    fetch->error.code = GW_OK;
    fetch->again_ms = object->call.retry_after_ms;
    if (object->call.error.code != GW_OK) {
        refusal(&object->call, &fetch->error);
        fetch->done(fetch);
        return;
    }
    fetch->body = object->call.reply;
    fetch->place = (struct gw_place){
        .bucket = notice->bucket,
        .key = notice->key,
        .version_id = object->version.ptr ? object->version : notice->version_id,
        .etag = object->etag.ptr ? gw_aws_etag_bare(object->etag) : notice->etag,
    };
    take_metadata(fetch);
    fetch->error.code = check_app(fetch, &fetch->error);
    fetch->done(fetch);
}

/* ── The question ──────────────────────────────────────────────────────────────────────────── */

static void on_soon(struct gw_timer *timer)
{
    struct gw_fetch *fetch = gw_container_of(timer, struct gw_fetch, soon);
    fetch->done(fetch);
}

void gw_fetch_start(struct gw_fetch *fetch)
{
    const struct gw_aws_notice *notice = fetch->notice;
    bool has_version = notice->version_id.len > 0;
    fetch->soon = (struct gw_timer){.fire = on_soon};
    if (!gw_road_bucket(fetch->road, notice->bucket)) {
        gw_error_set(&fetch->error, GW_ERR_INVALID, "the bucket is not listed in --buckets");
        gw_env_timer_set(env_of(fetch), &fetch->soon, 0);
        return;
    }
    fetch->object = (struct gw_aws_object){
        .call = {.client = &fetch->road->aws->clients[GW_AWS_S3],
                 .deadline_us = gw_env_mono_us(env_of(fetch)) + (int64_t)CALL_MS * 1000,
                 .arena = fetch->arena},
        .bucket = notice->bucket,
        .key = notice->key,
        .version_id = has_version ? notice->version_id : (struct gw_slice){0},
        .if_match = has_version || !notice->etag.len ? (struct gw_slice){0} : notice->etag,
        .bytes_max = fetch->road->body_bytes_max,
        .done = on_object,
    };
    gw_aws_s3_get(&fetch->object);
}

void gw_fetch_cancel(struct gw_fetch *fetch)
{
    if (gw_heap_linked(&fetch->soon.node))
        gw_env_timer_stop(env_of(fetch), &fetch->soon);
    else
        gw_aws_call_cancel(&fetch->object.call);
}
