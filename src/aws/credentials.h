/* credentials.h: the keys that a thread's requests are signed with, from where AWS's own tools take
 * them, in their order; the first that is set up is the one:
 *
 *   environment    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   web identity   AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN (Kubernetes)
 *   profile        AWS_PROFILE: static keys only
 *   container      AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or …_FULL_URI (ECS, EKS)
 *   instance       the metadata service of EC2, version 2, unless AWS_EC2_METADATA_DISABLED
 *
 * Not supported: roles, single sign-on and processes that a profile names; version 1 of the metadata
 * service. */
#pragma once

#include "aws/endpoint.h"
#include "aws/profile.h"
#include "aws/sign.h"
#include "sys/env.h"

struct gw_aws_credentials;

/* Reads the environment: for start-up. The profile is only read; `sts` answers for web identities. */
enum gw_err gw_aws_credentials_create(struct gw_env *env, const struct gw_aws_profile *profile,
                                      const struct gw_aws_endpoint *sts,
                                      struct gw_aws_credentials **out, struct gw_error *error);
void gw_aws_credentials_destroy(struct gw_aws_credentials *credentials);
const char *gw_aws_credentials_source(const struct gw_aws_credentials *credentials);

/* What to sign with now, valid until the caller returns to the loop; NULL: wait. Has them refreshed
 * ahead of their end. */
const struct gw_aws_keys *gw_aws_credentials_keys(struct gw_aws_credentials *credentials);

/* Until keys came, or could not be had: `err` and why. */
struct gw_aws_wait {
    void (*done)(struct gw_aws_wait *wait);
    struct gw_error error; /* code GW_OK: there are keys */
    struct gw_list link;
};
void gw_aws_credentials_wait(struct gw_aws_credentials *credentials, struct gw_aws_wait *wait);
void gw_aws_credentials_cancel(struct gw_aws_wait *wait);

/* AWS has refused the keys as expired, whatever they say themselves. */
void gw_aws_credentials_expired(struct gw_aws_credentials *credentials);
