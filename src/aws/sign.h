/* sign.h: AWS Signature Version 4. Pure.
 *
 * What is signed is what is sent: gw_aws_path() and gw_aws_query() make the request target once, in
 * its canonical form, and nobody encodes, sorts or tidies it afterwards. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/crypto.h"

#define GW_AWS_SECRET_MAX 256 /* bytes; AWS's own have 40 */

struct gw_aws_keys {
    struct gw_slice id, secret;
    struct gw_slice token; /* of a session; empty = none */
};

/* A header field (its name in lower case) or a query parameter (raw). */
struct gw_aws_field {
    struct gw_slice name, value;
};

struct gw_aws_request {
    const char *method;
    struct gw_slice host;  /* as in the Host field: with the port where it is not the default */
    struct gw_slice path;  /* made by gw_aws_path(); "/" for all services but S3 */
    struct gw_slice query; /* made by gw_aws_query(); empty = none */
    const struct gw_aws_field *fields; /* no name twice; host and those of signing are added */
    size_t field_count;
    struct gw_slice body;
};

/* One for each service that a thread speaks to; keeps the key derived for the day. All zeroes but
 * for the two names is a fresh one. */
struct gw_aws_signer {
    const char *region, *service; /* "s3", "sqs", "dynamodb", "firehose", "sts" */
    char day[8];
    char secret[GW_AWS_SECRET_MAX]; /* which `key` was derived from */
    size_t secret_len;              /* 0 = no key yet */
    uint8_t key[GW_SHA256_BYTES];
    struct gw_buf scratch;
};

void gw_aws_signer_deinit(struct gw_aws_signer *signer); /* wipes */

/* The header lines to send, NULL-terminated, in the arena: the request's fields, host, x-amz-date,
 * for S3 x-amz-content-sha256, with a session x-amz-security-token, authorization. */
const char *const *gw_aws_sign(struct gw_aws_signer *signer, const struct gw_aws_keys *keys,
                               const struct gw_aws_request *request, int64_t now_ms,
                               struct gw_arena *arena);

/* Each byte but the unreserved and '/' escaped: "/bucket/" and a key, say. */
struct gw_slice gw_aws_path(struct gw_arena *arena, struct gw_slice raw);

/* Escaped, sorted by name and value; without the '?'. */
struct gw_slice gw_aws_query(struct gw_arena *arena, const struct gw_aws_field *params,
                             size_t count);
