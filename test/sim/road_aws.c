/* road_aws.c: SQS and S3 as the road knows them: a host of the world that reads and writes their JSON.
 *
 * A queue as bad as a queue may be: messages come in any order, twice, and again before their time; sends,
 * receives and deletes fail, or are done and their answer is lost; a receipt that is not the last one
 * deletes nothing. A long poll waits for nothing new: it is empty, and asked again. */
#include "aws/json.h"
#include "aws/notice.h"
#include "base/check.h"
#include "road_world.h"

#include <stdio.h>
#include <stdlib.h>

#define TWICE_MS_MAX 20000 /* until the second one of a message comes */
#define EARLY_MS_MAX 5000  /* until one that is in hand is shown again */

static bool happens(struct cloud *cloud, uint64_t odds)
{
    return sim_random(cloud->sim, 1000) < odds;
}

/* ── Messages ──────────────────────────────────────────────────────────────────────────────── */

static void add(struct cloud *cloud, struct gw_slice body, int64_t delay_ms)
{
    char *copy = gw_zalloc(body.len + 1);
    memcpy(copy, body.ptr, body.len);
    if (cloud->count == cloud->cap) {
        cloud->cap = cloud->cap ? cloud->cap * 2 : 64;
        cloud->messages = gw_realloc(cloud->messages, cloud->cap * sizeof(*cloud->messages));
    }
    cloud->messages[cloud->count++] = (struct cloud_message){
        .body = copy,
        .id = ++cloud->last_id,
        .visible_us = sim_now_us(cloud->sim) + delay_ms * 1000,
    };
}

void cloud_send(struct cloud *cloud, struct gw_slice body, int64_t delay_ms)
{
    add(cloud, body, delay_ms);
    if (happens(cloud, cloud->odds.twice))
        add(cloud, body, delay_ms + (int64_t)sim_random(cloud->sim, TWICE_MS_MAX));
}

static void take_away(struct cloud *cloud, struct cloud_message *message)
{
    gw_free(message->body);
    *message = cloud->messages[--cloud->count];
}

/* NULL: it is none's, or was received again since. */
static struct cloud_message *by_receipt(struct cloud *cloud, yyjson_val *json)
{
    uint64_t receipt;
    if (!gw_slice_u64(gw_aws_json_text(json, "ReceiptHandle"), &receipt))
        return NULL;
    for (size_t i = 0; i < cloud->count; i++)
        if (cloud->messages[i].receipt == receipt)
            return &cloud->messages[i];
    return NULL;
}

/* ── The queue's operations: true, and the reply ───────────────────────────────────────────── */

static yyjson_mut_val *entry_add(yyjson_mut_doc *doc, yyjson_mut_val *entries, yyjson_val *entry)
{
    yyjson_mut_val *out = yyjson_mut_arr_add_obj(doc, entries);
    yyjson_mut_obj_add_strcpy(doc, out, "Id", gw_aws_json_text(entry, "Id").ptr);
    return out;
}

static bool send_one(struct cloud *cloud, yyjson_val *entry)
{
    if (happens(cloud, cloud->odds.refuse))
        return false;
    cloud_send(cloud, gw_aws_json_text(entry, "MessageBody"),
               (int64_t)yyjson_get_uint(yyjson_obj_get(entry, "DelaySeconds")) * 1000);
    return true;
}

static bool delete_one(struct cloud *cloud, yyjson_val *entry)
{
    struct cloud_message *message = by_receipt(cloud, entry);
    if (!message || happens(cloud, cloud->odds.refuse))
        return false;
    take_away(cloud, message);
    return true;
}

static void batch(struct cloud *cloud, yyjson_val *in, yyjson_mut_doc *doc, yyjson_mut_val *root,
                  bool (*one)(struct cloud *cloud, yyjson_val *entry))
{
    yyjson_mut_val *done = yyjson_mut_obj_add_arr(doc, root, "Successful");
    yyjson_mut_val *failed = yyjson_mut_obj_add_arr(doc, root, "Failed");
    yyjson_val *entry;
    size_t i, max;
    yyjson_arr_foreach(yyjson_obj_get(in, "Entries"), i, max, entry)
        entry_add(doc, one(cloud, entry) ? done : failed, entry);
}

static void receive(struct cloud *cloud, yyjson_val *in, yyjson_mut_doc *doc, yyjson_mut_val *root)
{
    yyjson_mut_val *messages = yyjson_mut_obj_add_arr(doc, root, "Messages");
    uint64_t left = yyjson_get_uint(yyjson_obj_get(in, "MaxNumberOfMessages"));
    int64_t hidden_us = (int64_t)yyjson_get_uint(yyjson_obj_get(in, "VisibilityTimeout")) * 1000000;
    int64_t now_us = sim_now_us(cloud->sim);
    size_t first = cloud->count ? sim_random(cloud->sim, cloud->count) : 0;
    for (size_t i = 0; i < cloud->count && left; i++) {
        struct cloud_message *message = &cloud->messages[(first + i) % cloud->count];
        char text[24];
        if (message->visible_us > now_us)
            continue;
        message->receipt = ++cloud->last_id;
        message->visible_us = now_us + hidden_us;
        if (happens(cloud, cloud->odds.early))
            message->visible_us = now_us + (int64_t)sim_random(cloud->sim, EARLY_MS_MAX) * 1000;
        yyjson_mut_val *out = yyjson_mut_arr_add_obj(doc, messages);
        snprintf(text, sizeof(text), "%llu", (unsigned long long)message->id);
        yyjson_mut_obj_add_strcpy(doc, out, "MessageId", text);
        snprintf(text, sizeof(text), "%llu", (unsigned long long)message->receipt);
        yyjson_mut_obj_add_strcpy(doc, out, "ReceiptHandle", text);
        yyjson_mut_obj_add_strcpy(doc, out, "Body", message->body);
        left--;
    }
}

static void hide(struct cloud *cloud, yyjson_val *in)
{
    struct cloud_message *message = by_receipt(cloud, in);
    int64_t for_s = (int64_t)yyjson_get_uint(yyjson_obj_get(in, "VisibilityTimeout"));
    if (message)
        message->visible_us = sim_now_us(cloud->sim) + for_s * 1000000;
}

/* ── The host ──────────────────────────────────────────────────────────────────────────────── */

static struct sim_reply reply_with(const char *body, int64_t delay_ms)
{
    return (struct sim_reply){
        .end = GW_HTTP_ANSWERED, .status = 200, .delay_ms = delay_ms, .body = body};
}

static struct sim_reply on_queue(struct cloud *cloud, const struct gw_http_call *call)
{
    struct gw_slice target = sim_call_header(call, "x-amz-target");
    yyjson_val *in = yyjson_doc_get_root(gw_aws_json_read(&cloud->arena, call->body));
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = gw_aws_json_new(&cloud->arena, &root);
    int64_t delay_ms = 5 + (int64_t)sim_random(cloud->sim, 20);
    if (gw_slice_is(target, "AmazonSQS.ReceiveMessage"))
        receive(cloud, in, doc, root);
    else if (gw_slice_is(target, "AmazonSQS.SendMessageBatch"))
        batch(cloud, in, doc, root, send_one);
    else if (gw_slice_is(target, "AmazonSQS.DeleteMessageBatch"))
        batch(cloud, in, doc, root, delete_one);
    else if (gw_slice_is(target, "AmazonSQS.ChangeMessageVisibility"))
        hide(cloud, in);
    else
        gw_never("an unknown operation of SQS");
    if (gw_slice_is(target, "AmazonSQS.ReceiveMessage") &&
        !yyjson_mut_arr_size(yyjson_mut_obj_get(root, "Messages")))
        delay_ms = (int64_t)yyjson_get_uint(yyjson_obj_get(in, "WaitTimeSeconds")) * 1000;
    return reply_with(gw_arena_text(&cloud->arena, gw_aws_json_write(&cloud->arena, doc)),
                      delay_ms);
}

static struct sim_reply on_bucket(struct cloud *cloud, const struct gw_http_call *call)
{
    const struct cloud_object *object =
        gw_map_get(&cloud->objects, gw_slice_from(strrchr(call->url, '/') + 1));
    static const char *const lines[] = {"etag: \"tag\"", NULL};
    if (!object)
        return (struct sim_reply){.end = GW_HTTP_ANSWERED, .status = 404, .delay_ms = 5};
    struct sim_reply reply = reply_with(object->body, 5 + (int64_t)sim_random(cloud->sim, 40));
    reply.header_lines = lines;
    return reply;
}

static struct sim_reply on_call(void *ctx, const struct gw_http_call *call)
{
    struct cloud *cloud = ctx;
    if (happens(cloud, cloud->odds.refuse))
        return (struct sim_reply){
            .end = GW_HTTP_ANSWERED, .status = 503, .delay_ms = 5, .body = "{}"};
    struct sim_reply reply =
        strcmp(call->method, "GET") ? on_queue(cloud, call) : on_bucket(cloud, call);
    if (happens(cloud, cloud->odds.lose))
        reply = (struct sim_reply){.end = GW_HTTP_RESET, .delay_ms = 50};
    return reply;
}

/* ── From outside ──────────────────────────────────────────────────────────────────────────── */

void cloud_put(struct cloud *cloud, const char *key, const char *body)
{
    struct cloud_object *object = gw_zalloc(sizeof(*object));
    struct gw_aws_notice notice = {
        .bucket = GW_SLICE("events"), .key = gw_slice_from(key), .etag = GW_SLICE("tag")};
    snprintf(object->key, sizeof(object->key), "%s", key);
    object->body = gw_strdup(body);
    gw_map_put(&cloud->objects, gw_slice_from(object->key), object);
    cloud_send(cloud, gw_aws_notice_write(&notice, "sim", &cloud->arena), 0);
}

void cloud_init(struct cloud *cloud, struct sim *sim)
{
    *cloud = (struct cloud){.sim = sim};
    setenv("AWS_REGION", "eu-west-1", 1);
    setenv("AWS_ACCESS_KEY_ID", "AKIDSIM", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "simulated", 1);
    setenv("AWS_ENDPOINT_URL", "http://aws.sim", 1);
    sim_name(sim, "aws.sim", "192.0.2.1", 1);
    sim_receiver(sim, "aws.sim", on_call, cloud);
}

void cloud_deinit(struct cloud *cloud)
{
    struct cloud_object *object;
    size_t at = 0;
    while (cloud->count)
        take_away(cloud, cloud->messages);
    while ((object = gw_map_next(&cloud->objects, &at))) {
        gw_free(object->body);
        gw_free(object);
    }
    gw_map_deinit(&cloud->objects);
    gw_free(cloud->messages);
    gw_arena_deinit(&cloud->arena);
}
