/* cloud.h: what commands that speak to AWS themselves have in common: a loop with AWS on it, and
 * places in S3 as people write them.
 *
 * The region, the keys and other endpoints come from the standard variables. One thread. What goes
 * wrong is said on standard error, in one line, before a function returns an exit code. */
#pragma once

#include "aws/client.h"

struct gw_cloud {
    struct gw_env *env;
    struct gw_aws *aws;
};

/* -1: go on; else the exit code. To be closed in either case, when no call is under way. */
int gw_cloud_open(struct gw_cloud *cloud);
void gw_cloud_close(struct gw_cloud *cloud);

/* "s3://BUCKET" or "s3://BUCKET/PREFIX". */
struct gw_cloud_place {
    struct gw_slice bucket, prefix; /* the prefix may be empty; they point into the text */
};

bool gw_cloud_place_parse(struct gw_cloud_place *place, const char *text);
