/* dynamodb.h: items of DynamoDB. A request is a JSON object as DynamoDB's API describes it, built in
 * the call's arena with the helpers below; the answer is read where it lies. Of the gw_aws_call the
 * client, the deadline and the arena are given; error and the rest of its out part tell how it went:
 * a condition that is not met is GW_ERR_CONFLICT, a missing item no error but an absent one. */
#pragma once

#include "aws/call.h"

enum gw_aws_dynamodb_op {
    GW_AWS_GET_ITEM,
    GW_AWS_PUT_ITEM,
    GW_AWS_UPDATE_ITEM,
    GW_AWS_DELETE_ITEM,
    GW_AWS_QUERY,
    GW_AWS_SCAN,
    GW_AWS_TRANSACT_WRITE,
    GW_AWS_BATCH_GET,
    GW_AWS_BATCH_WRITE,
    GW_AWS_CREATE_TABLE,
    GW_AWS_DESCRIBE_TABLE,
    GW_AWS_DESCRIBE_TTL, /* read what came in call.json */
    GW_AWS_UPDATE_TTL,
};

struct gw_aws_dynamodb {
    struct gw_aws_call call;

    /* in; gw_aws_dynamodb_init() makes an empty request */
    enum gw_aws_dynamodb_op op;
    yyjson_mut_doc *doc;
    yyjson_mut_val *root;
    void (*done)(struct gw_aws_dynamodb *dynamodb);

    /* out, in the arena; NULL = absent */
    yyjson_val *item; /* get: the item; of a refused condition: what stands there, if asked for
                                with ReturnValuesOnConditionCheckFailure */
    yyjson_val *attributes;  /* update, put, delete: as ReturnValues asked */
    yyjson_val *items;       /* query, scan: an array */
    yyjson_val *more;        /* query, scan: ExclusiveStartKey of the next page */
    yyjson_val *responses;   /* batch get: an array of items for each table */
    yyjson_val *unprocessed; /* batches: what was not done, as RequestItems */
    yyjson_val *reasons;     /* transact write, refused: one for each of its items, in order */
};

void gw_aws_dynamodb_init(struct gw_aws_dynamodb *dynamodb, enum gw_aws_dynamodb_op op);
void gw_aws_dynamodb_start(struct gw_aws_dynamodb *dynamodb);

/* After a batch that left some unprocessed: makes the request for these, to be started after a
 * while. */
void gw_aws_dynamodb_rest(struct gw_aws_dynamodb *dynamodb);

/* ── Attributes: name and value are not copied ─────────────────────────────────────────────── */

/* An object inside: "Key", "Item", "ExpressionAttributeValues", … */
yyjson_mut_val *gw_aws_dynamodb_object(struct gw_aws_dynamodb *dynamodb, yyjson_mut_val *parent,
                                       const char *name);
void gw_aws_dynamodb_put_text(struct gw_aws_dynamodb *dynamodb, yyjson_mut_val *object,
                              const char *name, struct gw_slice value);
void gw_aws_dynamodb_put_number(struct gw_aws_dynamodb *dynamodb, yyjson_mut_val *object,
                                const char *name, int64_t value);
void gw_aws_dynamodb_put_bool(struct gw_aws_dynamodb *dynamodb, yyjson_mut_val *object,
                              const char *name, bool value);
void gw_aws_dynamodb_put_bytes(struct gw_aws_dynamodb *dynamodb, yyjson_mut_val *object,
                               const char *name, struct gw_slice value);

/* False: there is none of this name and type. */
bool gw_aws_dynamodb_take_text(yyjson_val *item, const char *name, struct gw_slice *value);
bool gw_aws_dynamodb_take_number(yyjson_val *item, const char *name, int64_t *value);
bool gw_aws_dynamodb_take_bool(yyjson_val *item, const char *name, bool *value);
bool gw_aws_dynamodb_take_bytes(yyjson_val *item, const char *name, struct gw_arena *arena,
                                struct gw_slice *value);
