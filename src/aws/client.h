/* client.h: AWS as one thread speaks to it: a region, the keys, and a client for each service. */
#pragma once

#include "aws/credentials.h"

#define GW_AWS_SERVICES 5

/* One service; gw_aws_call asks it. */
struct gw_aws_client {
    struct gw_env *env;
    struct gw_aws_credentials *credentials;
    struct gw_aws_endpoint endpoint;
    struct gw_aws_signer signer;
    int64_t skew_ms; /* how far AWS's clock is ahead of ours, as far as it mattered */
};

struct gw_aws {
    const char *region;
    struct gw_aws_credentials *credentials;
    struct gw_aws_client clients[GW_AWS_SERVICES]; /* by enum gw_aws_service */
    struct gw_arena arena;
};

/* Reads the environment and files: for start-up. Asks nobody anything yet. */
enum gw_err gw_aws_create(struct gw_env *env, struct gw_aws **out, struct gw_error *error);
void gw_aws_destroy(struct gw_aws *aws); /* no call may be under way */
