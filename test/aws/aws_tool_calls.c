/* aws_tool_calls.c: calls to AWS (or an emulator) as the environment says, one at a time. Each answer
 * has "error" (null, or a name of enum gw_err), "text", "status", "code", "retryAfterMs". "deadlineMs"
 * (default 30 000) may come with each.
 *
 *   {"op":"credentials"}                                             "id", "token", "source"
 *   {"op":"s3_get|s3_head","bucket","key","version","match","max"}   "body", "etag", "version", "size",
 *                                                                    "modified", "metadata"
 *   {"op":"s3_put","bucket","key","body","type","metadata","absent"} "etag", "version"
 *   {"op":"s3_list","bucket","prefix","after","token","limit"}       "items", "next"
 *   {"op":"sqs_receive","queue","count","wait","hidden"}             "messages"
 *   {"op":"sqs_delete|sqs_send","queue","entries":[{"receipt","body","delay"}]}  "entries"
 *   {"op":"sqs_hide","queue","receipt","hidden"}
 *   {"op":"dynamodb","name","request"}                               "reply", "item"
 *   {"op":"firehose_put","stream","records":[TEXT…]}                 "put":[BOOL…] */
#include "aws/dynamodb.h"
#include "aws/firehose.h"
#include "aws/s3.h"
#include "aws/sqs.h"
#include "aws_tool.h"
#include "base/check.h"
#include "base/timefmt.h"
#include "sys/loop.h"

#include <stdio.h>

static struct gw_env *env;
static struct gw_aws *aws;

/* False: *error says why. */
static bool is_ready(struct gw_error *error)
{
    if (env == NULL) {
        gw_sys_init();
        if (gw_loop_create(NULL, &env, error) != GW_OK)
            return false;
    }
    return aws || gw_aws_create(env, &aws, error) == GW_OK;
}

void calls_end(void)
{
    gw_aws_destroy(aws);
    if (env)
        gw_loop_destroy(env);
}

static int64_t number(yyjson_val *request, const char *name, int64_t otherwise)
{
    yyjson_val *value = yyjson_obj_get(request, name);

    return value ? yyjson_get_sint(value) : otherwise;
}

static bool prepare(struct gw_aws_call *call, enum gw_aws_service service, yyjson_val *request,
                    struct gw_arena *arena, yyjson_mut_doc *answer, yyjson_mut_val *root)
{
    struct gw_error error;

    if (!is_ready(&error)) {
        yyjson_mut_obj_add_str(answer, root, "error", gw_err_name(error.code));
        yyjson_mut_obj_add_strcpy(answer, root, "text", error.text);
        return false;
    }
    call->client = &aws->clients[service];
    call->arena = arena;
    call->deadline_us = gw_env_mono_us(env) + number(request, "deadlineMs", 30000) * 1000;
    return true;
}

static void add(yyjson_mut_doc *answer, yyjson_mut_val *object, const char *name,
                struct gw_slice text)
{
    if (text.ptr)
        yyjson_mut_obj_add_strncpy(answer, object, name, text.ptr, text.len);
    else
        yyjson_mut_obj_add_null(answer, object, name);
}

static void tell(const struct gw_aws_call *call, yyjson_mut_doc *answer, yyjson_mut_val *root)
{
    bool is_well = call->error.code == GW_OK;

    add(answer, root, "error", gw_slice_from(is_well ? NULL : gw_err_name(call->error.code)));
    yyjson_mut_obj_add_strcpy(answer, root, "text", is_well ? "" : call->error.text);
    yyjson_mut_obj_add_int(answer, root, "status", call->status);
    add(answer, root, "code", call->code);
    yyjson_mut_obj_add_int(answer, root, "retryAfterMs", call->retry_after_ms);
}

/* ── Keys ──────────────────────────────────────────────────────────────────────────────────── */

static void on_keys(struct gw_aws_wait *wait)
{
    (void)wait;
    gw_loop_stop(env);
}

static void credentials(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                        yyjson_mut_val *root)
{
    struct gw_aws_call call = {0};
    struct gw_aws_wait wait = {.done = on_keys};

    if (!prepare(&call, GW_AWS_STS, request, arena, answer, root))
        return;
    const struct gw_aws_keys *keys = gw_aws_credentials_keys(aws->credentials);
    if (keys == NULL) {
        gw_aws_credentials_wait(aws->credentials, &wait);
        gw_loop_run(env);
        keys = gw_aws_credentials_keys(aws->credentials);
    }
    call.error = wait.error;
    tell(&call, answer, root);
    yyjson_mut_obj_add_strcpy(answer, root, "source", gw_aws_credentials_source(aws->credentials));
    add(answer, root, "id", keys ? keys->id : (struct gw_slice){0});
    add(answer, root, "token", keys ? keys->token : (struct gw_slice){0});
}

/* ── S3 ────────────────────────────────────────────────────────────────────────────────────── */

static void on_object(struct gw_aws_object *object)
{
    (void)object;
    gw_loop_stop(env);
}

static void add_time(yyjson_mut_doc *answer, yyjson_mut_val *object, const char *name, int64_t ms)
{
    char text[GW_TIME_TEXT_MAX];

    add(answer, object, name, gw_time_text(ms, text));
}

static void do_object(void (*start)(struct gw_aws_object *object), yyjson_val *request,
                      struct gw_arena *arena, yyjson_mut_doc *answer, yyjson_mut_val *root)
{
    struct gw_aws_object object = {
        .bucket = member(request, "bucket"),
        .key = member(request, "key"),
        .version_id = member(request, "version"),
        .if_match = member(request, "match"),
        .bytes_max = (size_t)number(request, "max", 1 << 20),
        .if_absent = yyjson_get_bool(yyjson_obj_get(request, "absent")),
        .body = member(request, "body"),
        .content_type = member(request, "type"),
        .done = on_object,
    };

    object.put = pairs_of(yyjson_obj_get(request, "metadata"), arena, &object.put_count);
    if (!prepare(&object.call, GW_AWS_S3, request, arena, answer, root))
        return;
    start(&object);
    gw_loop_run(env);
    tell(&object.call, answer, root);
    add(answer, root, "body", object.call.reply);
    add(answer, root, "etag", object.etag);
    add(answer, root, "version", object.version);
    yyjson_mut_obj_add_uint(answer, root, "size", object.size);
    add_time(answer, root, "modified", object.modified_ms);
    yyjson_mut_val *metadata = yyjson_mut_obj_add_obj(answer, root, "metadata");
    for (size_t i = 0; i < object.metadata_count; i++)
        yyjson_mut_obj_add(
            metadata,
            yyjson_mut_strncpy(answer, object.metadata[i].name.ptr, object.metadata[i].name.len),
            yyjson_mut_strncpy(answer, object.metadata[i].value.ptr, object.metadata[i].value.len));
}

static void s3_get(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                   yyjson_mut_val *root)
{
    do_object(gw_aws_s3_get, request, arena, answer, root);
}

static void s3_head(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                    yyjson_mut_val *root)
{
    do_object(gw_aws_s3_head, request, arena, answer, root);
}

static void s3_put(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                   yyjson_mut_val *root)
{
    do_object(gw_aws_s3_put, request, arena, answer, root);
}

static void on_list(struct gw_aws_list *list)
{
    (void)list;
    gw_loop_stop(env);
}

static void s3_list(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                    yyjson_mut_val *root)
{
    struct gw_aws_list list = {
        .bucket = member(request, "bucket"),
        .prefix = member(request, "prefix"),
        .after = member(request, "after"),
        .token = member(request, "token"),
        .limit = (size_t)number(request, "limit", 0),
        .done = on_list,
    };

    if (!prepare(&list.call, GW_AWS_S3, request, arena, answer, root))
        return;
    gw_aws_s3_list(&list);
    gw_loop_run(env);
    tell(&list.call, answer, root);
    add(answer, root, "next", list.next);
    yyjson_mut_val *items = yyjson_mut_obj_add_arr(answer, root, "items");
    for (size_t i = 0; i < list.count; i++) {
        yyjson_mut_val *item = yyjson_mut_arr_add_obj(answer, items);
        add(answer, item, "key", list.items[i].key);
        add(answer, item, "etag", list.items[i].etag);
        yyjson_mut_obj_add_uint(answer, item, "size", list.items[i].size);
        add_time(answer, item, "modified", list.items[i].modified_ms);
    }
}

/* ── SQS ───────────────────────────────────────────────────────────────────────────────────── */

static void on_received(struct gw_aws_receive *receive)
{
    (void)receive;
    gw_loop_stop(env);
}

static void sqs_receive(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                        yyjson_mut_val *root)
{
    struct gw_aws_receive receive = {
        .queue_url = member(request, "queue"),
        .count = (unsigned)number(request, "count", 10),
        .wait_s = (unsigned)number(request, "wait", 0),
        .hidden_s = (unsigned)number(request, "hidden", 30),
        .done = on_received,
    };

    if (!prepare(&receive.call, GW_AWS_SQS, request, arena, answer, root))
        return;
    gw_aws_sqs_receive(&receive);
    gw_loop_run(env);
    tell(&receive.call, answer, root);
    yyjson_mut_val *messages = yyjson_mut_obj_add_arr(answer, root, "messages");
    for (size_t i = 0; i < receive.message_count; i++) {
        yyjson_mut_val *message = yyjson_mut_arr_add_obj(answer, messages);
        add(answer, message, "id", receive.messages[i].id);
        add(answer, message, "receipt", receive.messages[i].receipt);
        add(answer, message, "body", receive.messages[i].body);
        yyjson_mut_obj_add_uint(answer, message, "count", receive.messages[i].receive_count);
        add_time(answer, message, "sent", receive.messages[i].sent_ms);
    }
}

static void on_batch(struct gw_aws_batch *batch)
{
    (void)batch;
    gw_loop_stop(env);
}

static void do_batch(void (*start)(struct gw_aws_batch *batch), yyjson_val *request,
                     struct gw_arena *arena, yyjson_mut_doc *answer, yyjson_mut_val *root)
{
    struct gw_aws_batch batch = {.queue_url = member(request, "queue"), .done = on_batch};
    yyjson_val *entry;
    size_t i, max;

    yyjson_arr_foreach(yyjson_obj_get(request, "entries"), i, max, entry)
    {
        batch.entries[batch.count++] = (struct gw_aws_entry){
            .receipt = member(entry, "receipt"),
            .body = member(entry, "body"),
            .delay_s = (unsigned)number(entry, "delay", 0),
        };
    }
    if (!prepare(&batch.call, GW_AWS_SQS, request, arena, answer, root))
        return;
    start(&batch);
    gw_loop_run(env);
    tell(&batch.call, answer, root);
    yyjson_mut_val *entries = yyjson_mut_obj_add_arr(answer, root, "entries");
    for (i = 0; i < batch.count; i++)
        yyjson_mut_arr_add_str(answer, entries, gw_err_name(batch.entries[i].err));
}

static void sqs_delete(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                       yyjson_mut_val *root)
{
    do_batch(gw_aws_sqs_delete, request, arena, answer, root);
}

static void sqs_send(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                     yyjson_mut_val *root)
{
    do_batch(gw_aws_sqs_send, request, arena, answer, root);
}

static void on_hidden(struct gw_aws_hide *hide)
{
    (void)hide;
    gw_loop_stop(env);
}

static void sqs_hide(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                     yyjson_mut_val *root)
{
    struct gw_aws_hide hide = {
        .queue_url = member(request, "queue"),
        .receipt = member(request, "receipt"),
        .hidden_s = (unsigned)number(request, "hidden", 0),
        .done = on_hidden,
    };

    if (!prepare(&hide.call, GW_AWS_SQS, request, arena, answer, root))
        return;
    gw_aws_sqs_hide(&hide);
    gw_loop_run(env);
    tell(&hide.call, answer, root);
}

/* ── DynamoDB ──────────────────────────────────────────────────────────────────────────────── */

static void on_dynamodb(struct gw_aws_dynamodb *dynamodb)
{
    (void)dynamodb;
    gw_loop_stop(env);
}

static void do_dynamodb(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                        yyjson_mut_val *root)
{
    static const char *const names[] = {
        [GW_AWS_GET_ITEM] = "GetItem",
        [GW_AWS_PUT_ITEM] = "PutItem",
        [GW_AWS_UPDATE_ITEM] = "UpdateItem",
        [GW_AWS_DELETE_ITEM] = "DeleteItem",
        [GW_AWS_QUERY] = "Query",
        [GW_AWS_SCAN] = "Scan",
        [GW_AWS_TRANSACT_WRITE] = "TransactWriteItems",
        [GW_AWS_BATCH_GET] = "BatchGetItem",
        [GW_AWS_BATCH_WRITE] = "BatchWriteItem",
        [GW_AWS_CREATE_TABLE] = "CreateTable",
        [GW_AWS_DESCRIBE_TABLE] = "DescribeTable",
        [GW_AWS_DESCRIBE_TTL] = "DescribeTimeToLive",
        [GW_AWS_UPDATE_TTL] = "UpdateTimeToLive",
    };
    struct gw_aws_dynamodb dynamodb = {.done = on_dynamodb};
    int op = 0;

    if (!prepare(&dynamodb.call, GW_AWS_DYNAMODB, request, arena, answer, root))
        return;
    while (!gw_slice_is(member(request, "name"), names[op]))
        op++;
    gw_aws_dynamodb_init(&dynamodb, (enum gw_aws_dynamodb_op)op);
    dynamodb.root = yyjson_val_mut_copy(dynamodb.doc, yyjson_obj_get(request, "request"));
    yyjson_mut_doc_set_root(dynamodb.doc, dynamodb.root);
    gw_aws_dynamodb_start(&dynamodb);
    gw_loop_run(env);
    tell(&dynamodb.call, answer, root);
    yyjson_mut_obj_add_val(answer, root, "reply", yyjson_val_mut_copy(answer, dynamodb.call.json));
    if (dynamodb.item)
        yyjson_mut_obj_add_val(answer, root, "item", yyjson_val_mut_copy(answer, dynamodb.item));
}

/* ── Firehose ──────────────────────────────────────────────────────────────────────────────── */

static void on_put(struct gw_aws_firehose *firehose)
{
    (void)firehose;
    gw_loop_stop(env);
}

static void firehose_put(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                         yyjson_mut_val *root)
{
    struct gw_aws_record records[10];
    struct gw_aws_firehose firehose = {
        .stream = member(request, "stream"), .records = records, .done = on_put};
    yyjson_val *text;
    size_t i, max;

    yyjson_arr_foreach(yyjson_obj_get(request, "records"), i, max, text) records[firehose.count++] =
        (struct gw_aws_record){.data = text_of(text)};
    if (!prepare(&firehose.call, GW_AWS_FIREHOSE, request, arena, answer, root))
        return;
    gw_aws_firehose_put(&firehose);
    gw_loop_run(env);
    tell(&firehose.call, answer, root);
    yyjson_mut_val *put = yyjson_mut_obj_add_arr(answer, root, "put");
    for (i = 0; i < firehose.count; i++)
        yyjson_mut_arr_add_bool(answer, put, records[i].is_put);
}

const struct tool_op call_ops[] = {
    {"credentials", credentials}, {"s3_get", s3_get},
    {"s3_head", s3_head},         {"s3_put", s3_put},
    {"s3_list", s3_list},         {"sqs_receive", sqs_receive},
    {"sqs_delete", sqs_delete},   {"sqs_send", sqs_send},
    {"sqs_hide", sqs_hide},       {"firehose_put", firehose_put},
    {"dynamodb", do_dynamodb},    {NULL, NULL},
};
