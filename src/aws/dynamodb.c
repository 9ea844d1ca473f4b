/* dynamodb.c: DynamoDB's operations, its typed attributes, and the parts of its answers. Owns
 * nothing. Numbers are DynamoDB's decimal text; ours are whole and of 64 bits. */
#include "aws/dynamodb.h"

#include "aws/json_call.h"
#include "base/check.h"
#include "base/codec.h"

#define TARGET          "DynamoDB_20120810"
#define REPLY_BYTES_MAX ((size_t)20 * 1024 * 1024) /* 16 MB of a batch get, escaped */

static const char *const operations[] = {
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

/* ── Calls ─────────────────────────────────────────────────────────────────────────────────── */

void gw_aws_dynamodb_init(struct gw_aws_dynamodb *dynamodb, enum gw_aws_dynamodb_op op)
{
    gw_check((size_t)op < gw_count(operations));
    dynamodb->op = op;
    dynamodb->doc = gw_aws_json_new(dynamodb->call.arena, &dynamodb->root);
}

/* Absent where it is empty, as an unprocessed part that has nothing in it. */
static yyjson_val *filled(yyjson_val *object)
{
    return yyjson_obj_size(object) > 0 ? object : NULL;
}

static void on_replied(struct gw_aws_call *call)
{
    struct gw_aws_dynamodb *dynamodb = gw_container_of(call, struct gw_aws_dynamodb, call);
    yyjson_val *json = call->json;

    if (call->error.code == GW_OK && json == NULL) /* no answer must not read as "no such item" */
        gw_error_set(&call->error, GW_ERR_UNAVAILABLE, "dynamodb %s: the answer is empty",
                     call->what);
    dynamodb->item = yyjson_obj_get(json, "Item");
    dynamodb->attributes = yyjson_obj_get(json, "Attributes");
    dynamodb->items = yyjson_obj_get(json, "Items");
    dynamodb->more = filled(yyjson_obj_get(json, "LastEvaluatedKey"));
    dynamodb->responses = yyjson_obj_get(json, "Responses");
    dynamodb->reasons = yyjson_obj_get(json, "CancellationReasons");
    dynamodb->unprocessed = filled(yyjson_obj_get(
        json, dynamodb->op == GW_AWS_BATCH_GET ? "UnprocessedKeys" : "UnprocessedItems"));
    dynamodb->done(dynamodb);
}

void gw_aws_dynamodb_start(struct gw_aws_dynamodb *dynamodb)
{
    struct gw_aws_call *call = &dynamodb->call;

    call->what = operations[dynamodb->op];
    call->reply_bytes_max = REPLY_BYTES_MAX;
    call->done = on_replied;
    gw_aws_json_call(call, TARGET, dynamodb->doc);
}

void gw_aws_dynamodb_rest(struct gw_aws_dynamodb *dynamodb)
{
    yyjson_val *rest = dynamodb->unprocessed;

    gw_check(rest != NULL);
    gw_aws_dynamodb_init(dynamodb, dynamodb->op);
    yyjson_mut_obj_add_val(dynamodb->doc, dynamodb->root, "RequestItems",
                           yyjson_val_mut_copy(dynamodb->doc, rest));
}

/* ── Attributes ────────────────────────────────────────────────────────────────────────────── */

yyjson_mut_val *gw_aws_dynamodb_object(struct gw_aws_dynamodb *dynamodb, yyjson_mut_val *parent,
                                       const char *name)
{
    return yyjson_mut_obj_add_obj(dynamodb->doc, parent, name);
}

static void put(struct gw_aws_dynamodb *dynamodb, yyjson_mut_val *object, const char *name,
                const char *type, struct gw_slice text)
{
    yyjson_mut_val *value = yyjson_mut_obj_add_obj(dynamodb->doc, object, name);

    gw_check(
        yyjson_mut_obj_add_strn(dynamodb->doc, value, type, text.ptr ? text.ptr : "", text.len));
}

void gw_aws_dynamodb_put_text(struct gw_aws_dynamodb *dynamodb, yyjson_mut_val *object,
                              const char *name, struct gw_slice value)
{
    put(dynamodb, object, name, "S", value);
}

void gw_aws_dynamodb_put_number(struct gw_aws_dynamodb *dynamodb, yyjson_mut_val *object,
                                const char *name, int64_t value)
{
    put(dynamodb, object, name, "N",
        gw_slice_from(gw_arena_printf(dynamodb->call.arena, "%lld", (long long)value)));
}

void gw_aws_dynamodb_put_bool(struct gw_aws_dynamodb *dynamodb, yyjson_mut_val *object,
                              const char *name, bool value)
{
    yyjson_mut_val *typed = yyjson_mut_obj_add_obj(dynamodb->doc, object, name);

    yyjson_mut_obj_add_bool(dynamodb->doc, typed, "BOOL", value);
}

void gw_aws_dynamodb_put_bytes(struct gw_aws_dynamodb *dynamodb, yyjson_mut_val *object,
                               const char *name, struct gw_slice value)
{
    struct gw_buf text = {0};

    gw_base64_encode(&text, value.ptr, value.len);
    put(dynamodb, object, name, "B", gw_arena_dup(dynamodb->call.arena, gw_buf_slice(&text)));
    gw_buf_deinit(&text);
}

bool gw_aws_dynamodb_take_text(yyjson_val *item, const char *name, struct gw_slice *value)
{
    *value = gw_aws_json_text(yyjson_obj_get(item, name), "S");
    return value->ptr != NULL;
}

bool gw_aws_dynamodb_take_number(yyjson_val *item, const char *name, int64_t *value)
{
    struct gw_slice text = gw_aws_json_text(yyjson_obj_get(item, name), "N");
    bool is_negative = gw_slice_starts(text, GW_SLICE("-"));
    uint64_t size;

    if (!gw_slice_u64(gw_slice_skip(text, is_negative ? 1 : 0), &size) ||
        size > (uint64_t)INT64_MAX + is_negative)
        return false;
    *value = is_negative ? (int64_t)(0 - size) : (int64_t)size;
    return true;
}

bool gw_aws_dynamodb_take_bool(yyjson_val *item, const char *name, bool *value)
{
    yyjson_val *typed = yyjson_obj_get(yyjson_obj_get(item, name), "BOOL");

    *value = yyjson_get_bool(typed);
    return yyjson_is_bool(typed);
}

bool gw_aws_dynamodb_take_bytes(yyjson_val *item, const char *name, struct gw_arena *arena,
                                struct gw_slice *value)
{
    struct gw_slice text = gw_aws_json_text(yyjson_obj_get(item, name), "B");
    struct gw_buf bytes = {0};
    bool is_well = text.ptr && gw_base64_decode(&bytes, text);

    *value = is_well ? gw_arena_dup(arena, gw_buf_slice(&bytes)) : (struct gw_slice){0};
    gw_buf_deinit(&bytes);
    return is_well;
}
