/* credentials_impl.h: a source of keys, and one question to it; for credentials*.c only. */
#pragma once

#include "aws/credentials.h"
#include "aws/http.h"

#define GW_AWS_ID_MAX    128
#define GW_AWS_TOKEN_MAX (16 * 1024)

enum gw_aws_source_kind {
    GW_AWS_FROM_ENVIRONMENT,
    GW_AWS_FROM_WEB_IDENTITY,
    GW_AWS_FROM_PROFILE,
    GW_AWS_FROM_CONTAINER,
    GW_AWS_FROM_INSTANCE,
};

/* Its texts live as long as the credentials. */
struct gw_aws_source {
    enum gw_aws_source_kind kind;
    struct gw_aws_origin origin; /* of STS, the container's or the instance's service */
    const char *target;          /* container: path and query */
    const char *token_file;      /* web identity; container: NULL = none */
    const char *token;           /* container: NULL = none */
    const char *role_arn, *session_name;
};

/* credentials_source.c: from the environment. Static keys, where they are the source, go to *keys. */
enum gw_err gw_aws_source_find(struct gw_aws_source *source, struct gw_aws_keys *keys,
                               const struct gw_aws_profile *profile,
                               const struct gw_aws_endpoint *sts, struct gw_arena *arena,
                               struct gw_error *error);
const char *gw_aws_source_name(enum gw_aws_source_kind kind);
bool gw_aws_is_word(struct gw_slice text); /* printable ASCII without spaces, not empty */
bool gw_aws_keys_are_well(const struct gw_aws_keys *keys);

/* credentials_fetch.c: asks the source once, in as many exchanges as its protocol has. */
struct gw_aws_fetch {
    struct gw_env *env;
    const struct gw_aws_source *source;
    void (*done)(struct gw_aws_fetch *fetch);

    struct gw_error error;   /* code GW_OK: */
    struct gw_aws_keys keys; /* in the arena */
    int64_t until_ms;        /* wall time; GW_NEVER = not said */

    struct gw_arena arena; /* the owner's to deinit, when done or cancelled */
    struct gw_aws_http http;
    void (*on_reply)(struct gw_aws_fetch *fetch, struct gw_slice reply);
    const char *session; /* the token of the instance's service */
};
void gw_aws_fetch_start(struct gw_aws_fetch *fetch);
void gw_aws_fetch_cancel(struct gw_aws_fetch *fetch);
