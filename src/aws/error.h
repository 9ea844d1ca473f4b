/* error.h: what AWS's refusals mean. Pure. */
#pragma once

#include "base/err.h"
#include "base/slice.h"

#include <yyjson.h>

/* The word in "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException:http://…". */
struct gw_slice gw_aws_error_code(struct gw_slice type);

/* `reply` is the root of a JSON answer; NULL = none. */
enum gw_err gw_aws_error_of(int status, struct gw_slice code, yyjson_val *reply);
