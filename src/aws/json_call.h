/* json_call.h: a call to a service that speaks JSON: SQS, DynamoDB, Firehose. */
#pragma once

#include "aws/call.h"

/* Sets method, fields and body, and starts it; call->what names the operation. `target` goes before
 * its name: "AmazonSQS", "DynamoDB_20120810". */
void gw_aws_json_call(struct gw_aws_call *call, const char *target, const yyjson_mut_doc *doc);
