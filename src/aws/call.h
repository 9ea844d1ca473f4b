/* call.h: one signed request to AWS, and what its answer means. The services' calls (s3.h, sqs.h,
 * dynamodb.h) are made of it.
 *
 * It never tries again, with two exceptions: once when AWS's clock turns out to be far from ours, and
 * once when a kept connection had died. What was refused may be asked again if error.code is of
 * GW_CLASS_AGAIN, after retry_after_ms at least:
 *
 *   GW_ERR_BUSY         AWS asks to slow down, or others write the same item
 *   GW_ERR_UNAVAILABLE  not reached, an error of AWS's own, no keys yet; it may have been done
 *   GW_ERR_TIMEOUT      the deadline is over; it may have been done
 *   GW_ERR_NOT_FOUND    no such object, table, queue
 *   GW_ERR_EXISTS       there is such a table already
 *   GW_ERR_CONFLICT     a condition was not met
 *   GW_ERR_TOO_LARGE    the request, or the answer beyond reply_bytes_max
 *   GW_ERR_KEY          somebody must look: AWS does not know the keys, does not allow them this, a
 *                       key of KMS cannot be used, the bucket is in another region
 *   GW_ERR_INVALID      anything else */
#pragma once

#include "aws/client.h"
#include "aws/http.h"
#include "aws/json.h"

struct gw_aws_call {
    /* in; lives until done or cancelled */
    struct gw_aws_client *client;
    const char *what; /* "PutItem", for texts */
    const char *method;
    const struct gw_aws_origin *origin; /* NULL = the client's endpoint */
    struct gw_slice path, query;        /* of gw_aws_path() and gw_aws_query(); absent = "/", "" */
    const struct gw_aws_field *fields;
    size_t field_count;
    struct gw_slice body;
    size_t reply_bytes_max;
    int64_t deadline_us; /* by the env's monotonic clock */
    void (*on_header)(struct gw_aws_call *call, struct gw_slice name,
                      struct gw_slice value); /* may be NULL; every answer's, refusals' too */
    void (*done)(struct gw_aws_call *call);
    struct gw_arena *arena; /* for the request, the reply and what is read out of it */

    /* out */
    struct gw_error error;  /* code GW_OK = done; the text has no part of a request */
    int status;             /* 0 = no answer */
    struct gw_slice code;   /* AWS's word for what is wrong, "NoSuchKey"; empty = none */
    int64_t retry_after_ms; /* 0 = AWS said nothing */
    struct gw_slice reply;
    yyjson_val *json; /* the reply's root, of services that speak JSON; NULL = none */

    /* its own */
    enum { GW_AWS_IDLE, GW_AWS_FAILED, GW_AWS_WAITS, GW_AWS_ASKS } phase;
    bool was_skewed;
    struct gw_timer timer;
    struct gw_aws_wait wait;
    struct gw_aws_http http;
    int64_t date_ms;
    char header_code[64];
};

void gw_aws_call_start(struct gw_aws_call *call);
void gw_aws_call_cancel(struct gw_aws_call *call); /* `done` will not be called; it may have been
                                                      done */

/* Instead of starting it: ends it with call->error, from the loop. */
void gw_aws_call_fail(struct gw_aws_call *call);
