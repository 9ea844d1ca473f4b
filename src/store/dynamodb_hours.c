/* dynamodb_hours.c: the index by_app: the events of an app in an hour, and their deliveries, in
 * DYNAMODB_SHARDS parts, each in the order of by_app_sk: time, event, item. Owns nothing. */
#include "store/dynamodb_impl.h"

#include <inttypes.h>

struct gw_slice dynamodb_time_key(struct gw_arena *arena, int64_t ms)
{
    return gw_slice_from(gw_arena_printf(arena, "%015" PRId64, ms > 0 ? ms : 0));
}

bool dynamodb_time_read(struct gw_slice key, int64_t *ms)
{
    uint64_t number;

    if (key.len < DYNAMODB_TIME_CHARS ||
        !gw_slice_u64((struct gw_slice){key.ptr, DYNAMODB_TIME_CHARS}, &number))
        return false;
    *ms = (int64_t)number;
    return true;
}

struct gw_aws_dynamodb *dynamodb_request_hour(struct dynamodb_run *run,
                                              const struct dynamodb_hour *hour)
{
    struct gw_aws_dynamodb *db = dynamodb_request_on(run, GW_AWS_QUERY, DYNAMODB_LEDGER);
    yyjson_mut_val *values = dynamodb_values(run, db->root);

    dynamodb_put(run, db->root, "IndexName", "by_app");
    dynamodb_put_expression(run, db->root, "KeyConditionExpression",
                            "#by_app = :by_app AND #by_app_sk BETWEEN :from AND :to");
    gw_aws_dynamodb_put_text(
        db, values, ":by_app",
        dynamodb_by_app(&run->arena, hour->app_id, hour->hour_ms, hour->shard));
    gw_aws_dynamodb_put_text(db, values, ":from", hour->from);
    gw_aws_dynamodb_put_text(db, values, ":to", hour->to);
    yyjson_mut_obj_add_bool(db->doc, db->root, "ScanIndexForward", !hour->is_backward);
    return db;
}
