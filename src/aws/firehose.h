/* firehose.h: records for a stream of Firehose. Of the call's gw_aws_call the client, the deadline and
 * the arena are given; error and the rest of its out part tell how it went. */
#pragma once

#include "aws/call.h"

#define GW_AWS_FIREHOSE_BATCH_MAX 500
#define GW_AWS_FIREHOSE_BYTES_MAX ((size_t)4 * 1024 * 1024) /* a batch's records together */

struct gw_aws_record {
    struct gw_slice data; /* at most 1 000 KiB */
    bool is_put;          /* out: it fails or succeeds alone */
};

struct gw_aws_firehose {
    struct gw_aws_call call;
    /* in */
    struct gw_slice stream;
    struct gw_aws_record *records;
    size_t count; /* 1 to GW_AWS_FIREHOSE_BATCH_MAX */
    void (*done)(struct gw_aws_firehose *firehose);
    /* out */
    size_t failed; /* records that are not put; all of them where the call failed */
};

void gw_aws_firehose_put(struct gw_aws_firehose *firehose);
