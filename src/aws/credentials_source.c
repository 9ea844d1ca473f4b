/* credentials_source.c: which source of keys is set up. Reads the environment, for start-up. What is
 * half set up is an error that names the variable, never a reason to try the next source: keys of
 * somebody else would be found there. */
#include "aws/credentials_impl.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>
#include <strings.h>

#define CONTAINER_HOST "169.254.170.2"
#define INSTANCE_URL   "http://169.254.169.254"
#define INSTANCE_URL_6 "http://[fd00:ec2::254]"

const char *gw_aws_source_name(enum gw_aws_source_kind kind)
{
    switch (kind) {
    case GW_AWS_FROM_ENVIRONMENT: return "environment";
    case GW_AWS_FROM_WEB_IDENTITY: return "web identity";
    case GW_AWS_FROM_PROFILE: return "profile";
    case GW_AWS_FROM_CONTAINER: return "container";
    case GW_AWS_FROM_INSTANCE: return "instance";
    }
    gw_never("an unknown source of keys");
}

/* NULL: not set, or empty, which some runtimes mean by it. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] != '\0' ? value : NULL;
}

bool gw_aws_is_word(struct gw_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7F)
            return false;
    return text.len > 0;
}

bool gw_aws_keys_are_well(const struct gw_aws_keys *keys)
{
    return gw_aws_is_word(keys->id) && keys->id.len <= GW_AWS_ID_MAX &&
           gw_aws_is_word(keys->secret) && keys->secret.len <= GW_AWS_SECRET_MAX &&
           (keys->token.len == 0 || gw_aws_is_word(keys->token)) &&
           keys->token.len <= GW_AWS_TOKEN_MAX;
}

static enum gw_err check_keys(const struct gw_aws_keys *keys, const char *where,
                              struct gw_error *error)
{
    if (keys->id.len == 0 || keys->secret.len == 0)
        return gw_error_set(error, GW_ERR_KEY,
                            "%s: must have both an access key id and a secret, has one", where);
    if (!gw_aws_keys_are_well(keys))
        return gw_error_set(error, GW_ERR_KEY,
                            "%s: must have keys of printable ASCII, of at most %d (id), %d "
                            "(secret) and %d (session token) characters, has others",
                            where, GW_AWS_ID_MAX, GW_AWS_SECRET_MAX, GW_AWS_TOKEN_MAX);
    return GW_OK;
}

/* ── One source each; *is_set: it is the one, whatever the error ───────────────────────────── */

static enum gw_err from_environment(struct gw_aws_source *source, struct gw_aws_keys *keys,
                                    bool *is_set, struct gw_error *error)
{
    source->kind = GW_AWS_FROM_ENVIRONMENT;
    keys->id = gw_slice_from(variable("AWS_ACCESS_KEY_ID"));
    keys->secret = gw_slice_from(variable("AWS_SECRET_ACCESS_KEY"));
    keys->token = gw_slice_from(variable("AWS_SESSION_TOKEN"));
    *is_set = keys->id.ptr || keys->secret.ptr;
    return *is_set ? check_keys(keys, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", error) : GW_OK;
}

static enum gw_err from_web_identity(struct gw_aws_source *source,
                                     const struct gw_aws_endpoint *sts, bool *is_set,
                                     struct gw_error *error)
{
    const char *name = variable("AWS_ROLE_SESSION_NAME");

    source->kind = GW_AWS_FROM_WEB_IDENTITY;
    source->token_file = variable("AWS_WEB_IDENTITY_TOKEN_FILE");
    source->role_arn = variable("AWS_ROLE_ARN");
    source->session_name = name ? name : "generic-webhook";
    source->origin = sts->origin;
    *is_set = source->token_file != NULL;
    if (*is_set && source->role_arn == NULL)
        return gw_error_set(
            error, GW_ERR_KEY,
            "AWS_ROLE_ARN: must be set beside AWS_WEB_IDENTITY_TOKEN_FILE, was not");
    return GW_OK;
}

static enum gw_err from_profile(struct gw_aws_source *source, struct gw_aws_keys *keys,
                                const struct gw_aws_profile *profile, bool *is_set,
                                struct gw_error *error)
{
    source->kind = GW_AWS_FROM_PROFILE;
    *keys = (struct gw_aws_keys){profile->id, profile->secret, profile->token};
    *is_set = profile->id.len > 0 || profile->secret.len > 0 || profile->elsewhere;
    if (profile->elsewhere)
        return gw_error_set(error, GW_ERR_KEY,
                            "AWS_PROFILE: must name a profile with static keys, has %s, which is "
                            "not supported",
                            profile->elsewhere);
    return *is_set ? check_keys(keys, "AWS_PROFILE", error) : GW_OK;
}

/* Over plain http keys are taken only from this machine and from where ECS and EKS put them. */
static bool is_allowed(const struct gw_aws_origin *origin)
{
    static const char *const allowed[] = {"localhost", CONTAINER_HOST, "169.254.170.23",
                                          "fd00:ec2::23"};
    struct gw_addr addr, wanted;
    bool is_addr = gw_addr_parse(gw_slice_from(origin->host), &addr);

    if (origin->https)
        return true;
    for (size_t i = 0; i < gw_count(allowed); i++)
        if (strcasecmp(origin->host, allowed[i]) == 0 ||
            (is_addr && gw_addr_parse(gw_slice_from(allowed[i]), &wanted) &&
             addr.family == wanted.family && memcmp(addr.bytes, wanted.bytes, 16) == 0))
            return true;
    static const uint8_t loopback[16] = {[15] = 1};
    return is_addr && (addr.family == 4 ? addr.bytes[0] == 127
                                        : memcmp(addr.bytes, loopback, sizeof(loopback)) == 0);
}

static enum gw_err from_container(struct gw_aws_source *source, bool *is_set,
                                  struct gw_arena *arena, struct gw_error *error)
{
    const char *relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *field = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    struct gw_slice target;

    source->kind = GW_AWS_FROM_CONTAINER;
    *is_set = relative || full;
    if (!*is_set)
        return GW_OK;
    if (relative) {
        field = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
        full = gw_arena_printf(arena, "http://" CONTAINER_HOST "%s%s",
                               relative[0] == '/' ? "" : "/", relative);
    } else {
        source->token_file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        source->token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    }
    enum gw_err err =
        gw_aws_origin_parse(&source->origin, field, gw_slice_from(full), &target, arena, error);
    if (err != GW_OK)
        return err;
    source->target = gw_arena_printf(
        arena, "%s%.*s", gw_slice_starts(target, GW_SLICE("/")) ? "" : "/", GW_SLICE_ARG(target));
    if (!is_allowed(&source->origin))
        return gw_error_set(error, GW_ERR_KEY,
                            "%s: must be https, or http to this machine, 169.254.170.2, "
                            "169.254.170.23 or [fd00:ec2::23], was http to %.80s",
                            field, source->origin.host);
    return GW_OK;
}

static enum gw_err from_instance(struct gw_aws_source *source, bool *is_set, struct gw_arena *arena,
                                 struct gw_error *error)
{
    const char *off = variable("AWS_EC2_METADATA_DISABLED");
    const char *mode = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    const char *url = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    struct gw_slice target;

    source->kind = GW_AWS_FROM_INSTANCE;
    *is_set = !(off && strcasecmp(off, "true") == 0);
    if (!*is_set)
        return GW_OK;
    if (url == NULL)
        url = mode && strcasecmp(mode, "ipv6") == 0 ? INSTANCE_URL_6 : INSTANCE_URL;
    return gw_aws_origin_parse(&source->origin, "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                               gw_slice_from(url), &target, arena, error);
}

enum gw_err gw_aws_source_find(struct gw_aws_source *source, struct gw_aws_keys *keys,
                               const struct gw_aws_profile *profile,
                               const struct gw_aws_endpoint *sts, struct gw_arena *arena,
                               struct gw_error *error)
{
    enum gw_err err;
    bool is_set;

    *source = (struct gw_aws_source){0};
    err = from_environment(source, keys, &is_set, error);
    if (!is_set)
        err = from_web_identity(source, sts, &is_set, error);
    if (!is_set)
        err = from_profile(source, keys, profile, &is_set, error);
    if (!is_set)
        err = from_container(source, &is_set, arena, error);
    if (!is_set)
        err = from_instance(source, &is_set, arena, error);
    if (!is_set)
        err =
            gw_error_set(error, GW_ERR_KEY,
                         "AWS_ACCESS_KEY_ID: must be set, or another source of credentials (a "
                         "web identity, a profile, a container's or an instance's role), was not");
    return err;
}
