/* profile.h: one profile of the files that the AWS tools share: ~/.aws/credentials and ~/.aws/config.
 *
 * Of a profile only its static keys, its session token and its region are used. Where one says that
 * its keys come from elsewhere (a role, single sign-on, a process), this is told, and not done. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#define GW_AWS_PROFILE_FILES 2

struct gw_aws_profile {
    bool is_found;
    struct gw_slice id, secret, token, region; /* ptr NULL = not there */
    const char *elsewhere;                     /* "role_arn", say; NULL = nothing of the kind */
    struct gw_buf files[GW_AWS_PROFILE_FILES]; /* what they point into */
};

/* The profile that AWS_PROFILE names, else "default"; none at all is no error unless it was named.
 * Reads files: for start-up. */
enum gw_err gw_aws_profile_read(struct gw_aws_profile *profile, struct gw_error *error);
void gw_aws_profile_deinit(struct gw_aws_profile *profile); /* wipes */

/* A small file, whole: a profile, a token. The buffer is the caller's to wipe. */
enum gw_err gw_aws_file_read(struct gw_buf *out, const char *path, struct gw_error *error);
