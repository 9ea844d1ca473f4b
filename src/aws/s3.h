/* s3.h: objects of S3: read, written, looked at, listed. Of each call's gw_aws_call the client, the
 * deadline and the arena are given; error and the rest of its out part tell how it went.
 *
 * A condition that is not met is GW_ERR_CONFLICT, no such object GW_ERR_NOT_FOUND (GW_ERR_KEY where
 * the keys may not list the bucket: S3 does not say then whether there is one). A key is bytes that
 * nobody tidies: "a/../b" is another object than "b". Metadata is as S3 says it: what is not ASCII
 * comes in the form of RFC 2047. */
#pragma once

#include "aws/call.h"

#define GW_AWS_KEY_BYTES_MAX 1024
#define GW_AWS_METADATA_MAX  64 /* S3 itself allows 2 KiB in all */
#define GW_AWS_LIST_MAX      1000

/* An ETag without its quotes: as notices have it, and places of events. */
struct gw_slice gw_aws_etag_bare(struct gw_slice etag);

struct gw_aws_object {
    struct gw_aws_call call; /* a body that was read is call.reply */

    /* in */
    struct gw_slice bucket, key;
    struct gw_slice version_id;     /* get, head: absent = the newest */
    struct gw_slice if_match;       /* an ETag, with or without its quotes; absent = none */
    size_t bytes_max;               /* get: a larger one is GW_ERR_TOO_LARGE */
    bool if_absent;                 /* put: only where there is none */
    struct gw_slice body;           /* put */
    struct gw_slice content_type;   /* put: absent = none */
    const struct gw_aws_field *put; /* put: metadata, names in lower case without "x-amz-meta-" */
    size_t put_count;
    void (*done)(struct gw_aws_object *object);

    /* out, in the arena; absent = not said */
    struct gw_slice etag; /* with its quotes */
    struct gw_slice version;
    uint64_t size;                                     /* get, head */
    int64_t modified_ms;                               /* get, head; 0 = not said */
    struct gw_aws_field metadata[GW_AWS_METADATA_MAX]; /* get, head: names in lower case */
    size_t metadata_count;
};

void gw_aws_s3_get(struct gw_aws_object *object);
void gw_aws_s3_head(struct gw_aws_object *object);
void gw_aws_s3_put(struct gw_aws_object *object);

struct gw_aws_listed {
    struct gw_slice key, etag;
    uint64_t size;
    int64_t modified_ms;
};

/* One page of a bucket, in the order of keys. */
struct gw_aws_list {
    struct gw_aws_call call;

    /* in */
    struct gw_slice bucket, prefix;
    struct gw_slice after; /* a key: only those behind it; absent = all */
    struct gw_slice token; /* `next` of the page before; absent = the first */
    size_t limit;          /* 1 to GW_AWS_LIST_MAX; 0 = as many as S3 gives */
    void (*done)(struct gw_aws_list *list);

    /* out, in the arena */
    struct gw_aws_listed *items;
    size_t count;
    struct gw_slice next; /* absent = this was the last page */
};

void gw_aws_s3_list(struct gw_aws_list *list);
