/* endpoint.h: where AWS's services are: their own hosts, or those that the operator names. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

enum gw_aws_service {
    GW_AWS_S3,
    GW_AWS_SQS,
    GW_AWS_DYNAMODB,
    GW_AWS_FIREHOSE,
    GW_AWS_STS,
};

const char *gw_aws_service_name(enum gw_aws_service service); /* "s3": as it is signed */

struct gw_aws_origin {
    bool https;
    const char *host; /* of an IPv6 address: without brackets */
    uint16_t port;
    const char *authority; /* as in URLs and in Host: with brackets, and a port that is not the
                              default */
};

struct gw_aws_endpoint {
    enum gw_aws_service service;
    const char *region;
    bool is_given; /* by the operator */
    struct gw_aws_origin origin;
};

/* "http://host:port/target", https too; the target may be empty. `field` is named in errors. */
enum gw_err gw_aws_origin_parse(struct gw_aws_origin *origin, const char *field,
                                struct gw_slice url, struct gw_slice *target,
                                struct gw_arena *arena, struct gw_error *error);

/* AWS_REGION, else AWS_DEFAULT_REGION, else `fallback` (the profile's; NULL = none). */
enum gw_err gw_aws_region(const char **region, const char *fallback, struct gw_error *error);

/* The service in a region: AWS_ENDPOINT_URL_… or AWS_ENDPOINT_URL where set, else AWS's own host.
 * What it points to lives in the arena; the region stays the caller's. */
enum gw_err gw_aws_endpoint_init(struct gw_aws_endpoint *endpoint, enum gw_aws_service service,
                                 const char *region, struct gw_arena *arena,
                                 struct gw_error *error);

/* A bucket's host and the path of one of its objects, not yet escaped; an empty key is the bucket.
 * The host has the bucket's name, unless the operator named the endpoint or the name is none that a
 * certificate for *.s3… covers: then the path has it. */
enum gw_err gw_aws_bucket_place(const struct gw_aws_endpoint *endpoint, struct gw_slice bucket,
                                struct gw_slice key, struct gw_arena *arena,
                                struct gw_aws_origin *origin, struct gw_slice *path,
                                struct gw_error *error);
