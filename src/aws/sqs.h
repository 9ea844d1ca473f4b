/* sqs.h: messages of SQS (its JSON protocol): taken, sent, deleted, kept invisible. Of each call's
 * gw_aws_call the client, the deadline and the arena are given; error and the rest of its out part
 * tell how it went. A queue's URL is its name: the request goes to the client's endpoint. */
#pragma once

#include "aws/call.h"

#define GW_AWS_SQS_BATCH_MAX    10
#define GW_AWS_SQS_BYTES_MAX    ((size_t)1024 * 1024) /* a batch's bodies together */
#define GW_AWS_SQS_WAIT_S_MAX   20
#define GW_AWS_SQS_DELAY_S_MAX  900
#define GW_AWS_SQS_HIDDEN_S_MAX 43200

struct gw_aws_message {
    struct gw_slice id, receipt, body;
    uint32_t receive_count; /* this time included; 0 = not said */
    int64_t sent_ms;        /* wall time; 0 = not said */
};

struct gw_aws_receive {
    struct gw_aws_call call;
    /* in */
    struct gw_slice queue_url;
    unsigned count;    /* 1 to GW_AWS_SQS_BATCH_MAX: at most */
    unsigned wait_s;   /* for the first one; the deadline must leave room for it */
    unsigned hidden_s; /* from others, from now on */
    void (*done)(struct gw_aws_receive *receive);
    /* out, in the arena */
    struct gw_aws_message messages[GW_AWS_SQS_BATCH_MAX];
    size_t message_count;
};

void gw_aws_sqs_receive(struct gw_aws_receive *receive);

/* One entry of a batch, which fails or succeeds alone. */
struct gw_aws_entry {
    /* in */
    struct gw_slice receipt; /* delete */
    struct gw_slice body;    /* send */
    unsigned delay_s;        /* send */
    /* out: GW_OK = done; where the whole call failed, its error */
    enum gw_err err;
    struct gw_slice code; /* AWS's word */
};

struct gw_aws_batch {
    struct gw_aws_call call;
    /* in */
    struct gw_slice queue_url;
    struct gw_aws_entry entries[GW_AWS_SQS_BATCH_MAX];
    size_t count; /* at least 1 */
    void (*done)(struct gw_aws_batch *batch);
};

void gw_aws_sqs_delete(struct gw_aws_batch *batch);
void gw_aws_sqs_send(struct gw_aws_batch *batch);

/* Hides a message for that long from now on; 0 = gives it back. */
struct gw_aws_hide {
    struct gw_aws_call call;
    struct gw_slice queue_url, receipt;
    unsigned hidden_s;
    void (*done)(struct gw_aws_hide *hide);
};

void gw_aws_sqs_hide(struct gw_aws_hide *hide);
