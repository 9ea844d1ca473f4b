/* endpoint.c: hosts of AWS's services. Owns the table of partitions (checked against botocore's);
 * reads the environment, so it is for start-up. A region or a name that could smuggle anything into
 * a host is an error. What silence would make dangerous is refused: FIPS and dual-stack hosts are
 * not known here, and have to be named. */
#include "aws/endpoint.h"

#include "base/addr.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"

#include <stdlib.h>
#include <strings.h>

#define REGION_MAX 40
#define HOST_MAX   253
#define BUCKET_MIN 3
#define BUCKET_MAX 255 /* of old ones in us-east-1; 63 now */
#define LABEL_MAX  63

/* ── The tables ────────────────────────────────────────────────────────────────────────────── */

static const struct {
    const char *name, *variable;
} services[] = {
    [GW_AWS_S3] = {"s3", "AWS_ENDPOINT_URL_S3"},
    [GW_AWS_SQS] = {"sqs", "AWS_ENDPOINT_URL_SQS"},
    [GW_AWS_DYNAMODB] = {"dynamodb", "AWS_ENDPOINT_URL_DYNAMODB"},
    [GW_AWS_FIREHOSE] = {"firehose", "AWS_ENDPOINT_URL_FIREHOSE"},
    [GW_AWS_STS] = {"sts", "AWS_ENDPOINT_URL_STS"},
};

/* By how the names of their regions begin; the first that fits. */
static const struct {
    const char *regions, *suffix;
} partitions[] = {
    {"cn-", "amazonaws.com.cn"}, {"us-isob-", "sc2s.sgov.gov"},  {"us-isof-", "csp.hci.ic.gov"},
    {"us-iso-", "c2s.ic.gov"},   {"eu-isoe-", "cloud.adc-e.uk"}, {"eusc-", "amazonaws.eu"},
    {"", "amazonaws.com"}, /* us-gov- too */
};

const char *gw_aws_service_name(enum gw_aws_service service)
{
    gw_check((size_t)service < gw_count(services));
    return services[service].name;
}

static const char *suffix_of(const char *region)
{
    size_t i = 0;

    while (strncmp(region, partitions[i].regions, strlen(partitions[i].regions)) != 0)
        i++;
    return partitions[i].suffix;
}

/* ── Origins ───────────────────────────────────────────────────────────────────────────────── */

static bool is_name(struct gw_slice host)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

    for (size_t i = 0; i < host.len; i++)
        if (memchr(allowed, host.ptr[i], sizeof(allowed) - 1) == NULL)
            return false;
    return host.len > 0 && host.len <= HOST_MAX;
}

/* The host, without brackets, out of "host:port"; false: it is none. */
static bool take_host(struct gw_slice authority, struct gw_slice *host, struct gw_slice *port)
{
    struct gw_addr addr;
    const char *end;

    if (!gw_slice_starts(authority, GW_SLICE("["))) {
        *port = authority;
        gw_slice_split(port, ':', host);
        return is_name(*host);
    }
    end = memchr(authority.ptr, ']', authority.len);
    if (end == NULL)
        return false;
    *host = (struct gw_slice){authority.ptr + 1, (size_t)(end - authority.ptr) - 1};
    *port = gw_slice_skip(authority, host->len + 2);
    if (port->len > 0 && port->ptr[0] != ':')
        return false;
    *port = port->len > 0 ? gw_slice_skip(*port, 1) : (struct gw_slice){0};
    return gw_addr_parse(*host, &addr) && addr.family == 6;
}

static void origin_set(struct gw_aws_origin *origin, bool https, const char *host, uint16_t port,
                       struct gw_arena *arena)
{
    bool is_v6 = strchr(host, ':') != NULL;

    origin->https = https;
    origin->host = host;
    origin->port = port;
    origin->authority = is_v6 ? gw_arena_printf(arena, "[%s]", host) : host;
    if (port != (https ? 443 : 80))
        origin->authority = gw_arena_printf(arena, "%s:%u", origin->authority, (unsigned)port);
}

enum gw_err gw_aws_origin_parse(struct gw_aws_origin *origin, const char *field,
                                struct gw_slice url, struct gw_slice *target,
                                struct gw_arena *arena, struct gw_error *error)
{
    bool https = gw_slice_starts(url, GW_SLICE("https://"));
    struct gw_slice rest = gw_slice_skip(url, https ? 8 : 7), host, port;
    uint64_t number = https ? 443 : 80;
    size_t len = 0;

    while (len < rest.len && strchr("/?#", rest.ptr[len]) == NULL)
        len++;
    *target = gw_slice_skip(rest, len);
    if ((!https && !gw_slice_starts(url, GW_SLICE("http://"))) ||
        !take_host((struct gw_slice){rest.ptr, len}, &host, &port) ||
        (port.ptr && (!gw_slice_u64(port, &number) || number == 0 || number > UINT16_MAX)))
        return gw_error_set(error, GW_ERR_INVALID,
                            "%s: must be http:// or https://, a host and perhaps a port, was "
                            "another text of %zu bytes",
                            field, url.len);
    for (size_t i = 0; i < target->len; i++)
        if (target->ptr[i] <= ' ' || target->ptr[i] == '#' || target->ptr[i] >= 0x7F)
            return gw_error_set(error, GW_ERR_INVALID,
                                "%s: must have a path of printable ASCII, without a fragment, had "
                                "another character as byte %zu of it",
                                field, i + 1);
    origin_set(origin, https, gw_arena_text(arena, host), (uint16_t)number, arena);
    return GW_OK;
}

/* ── Regions and services ──────────────────────────────────────────────────────────────────── */

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] != '\0' ? value : NULL;
}

enum gw_err gw_aws_region(const char **region, const char *fallback, struct gw_error *error)
{
    const char *name = variable("AWS_REGION");
    size_t len;

    if (name == NULL)
        name = variable("AWS_DEFAULT_REGION");
    if (name == NULL)
        name = fallback;
    if (name == NULL)
        return gw_error_set(error, GW_ERR_INVALID,
                            "AWS_REGION: must be the region to work in, was not set");
    len = strlen(name);
    if (len > REGION_MAX || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
        return gw_error_set(error, GW_ERR_INVALID,
                            "AWS_REGION: must be the name of a region such as eu-west-1, was "
                            "\"%.60s\"",
                            name);
    *region = name;
    return GW_OK;
}

static bool is_true(const char *name)
{
    const char *value = variable(name);

    return value && strcasecmp(value, "true") == 0;
}

static enum gw_err use_given(struct gw_aws_endpoint *endpoint, const char *field, const char *url,
                             struct gw_arena *arena, struct gw_error *error)
{
    struct gw_slice target;
    enum gw_err err =
        gw_aws_origin_parse(&endpoint->origin, field, gw_slice_from(url), &target, arena, error);

    if (err == GW_OK && target.len > 0 && !gw_slice_is(target, "/"))
        err = gw_error_set(error, GW_ERR_INVALID, "%s: must have no path, had one of %zu bytes",
                           field, target.len);
    endpoint->is_given = true;
    return err;
}

enum gw_err gw_aws_endpoint_init(struct gw_aws_endpoint *endpoint, enum gw_aws_service service,
                                 const char *region, struct gw_arena *arena, struct gw_error *error)
{
    const char *name = gw_aws_service_name(service), *field = services[service].variable;
    bool is_ignored = is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");

    *endpoint = (struct gw_aws_endpoint){.service = service, .region = region};
    if (!variable(field))
        field = "AWS_ENDPOINT_URL";
    if (variable(field) && !is_ignored)
        return use_given(endpoint, field, variable(field), arena, error);
    for (int i = 0; i < 2; i++) {
        const char *wish = i == 0 ? "AWS_USE_FIPS_ENDPOINT" : "AWS_USE_DUALSTACK_ENDPOINT";
        if (is_true(wish))
            return gw_error_set(error, GW_ERR_INVALID,
                                "%s: must not be true unless %s names the host to use, was true",
                                wish, services[service].variable);
    }
    origin_set(&endpoint->origin, true,
               gw_arena_printf(arena, "%s.%s.%s", name, region, suffix_of(region)), 443, arena);
    return GW_OK;
}

/* ── Buckets ───────────────────────────────────────────────────────────────────────────────── */

static bool is_label(struct gw_slice bucket)
{
    for (size_t i = 0; i < bucket.len; i++) {
        char c = bucket.ptr[i];
        bool is_edge = i == 0 || i + 1 == bucket.len;
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && !is_edge)))
            return false;
    }
    return bucket.len <= LABEL_MAX;
}

enum gw_err gw_aws_bucket_place(const struct gw_aws_endpoint *endpoint, struct gw_slice bucket,
                                struct gw_slice key, struct gw_arena *arena,
                                struct gw_aws_origin *origin, struct gw_slice *path,
                                struct gw_error *error)
{
    bool is_plain = is_name(bucket) && bucket.ptr[0] != '.';

    if (!is_plain || bucket.len < BUCKET_MIN || bucket.len > BUCKET_MAX)
        return gw_error_set(error, GW_ERR_INVALID,
                            "bucket: must be the name of a bucket, 3 to 255 letters, digits and "
                            ". - _, was \"%.*s\"",
                            (int)(bucket.len < 80 ? bucket.len : 80), bucket.ptr);
    *origin = endpoint->origin;
    bool is_in_path = endpoint->is_given || !is_label(bucket);
    if (!is_in_path)
        origin_set(origin, true,
                   gw_arena_printf(arena, "%.*s.%s", GW_SLICE_ARG(bucket), endpoint->origin.host),
                   443, arena);
    struct gw_buf raw = {0};
    gw_buf_addc(&raw, '/');
    if (is_in_path) {
        gw_buf_adds(&raw, bucket);
        gw_buf_addc(&raw, '/');
    }
    gw_buf_adds(&raw, key);
    *path = gw_arena_dup(arena, gw_buf_slice(&raw));
    gw_buf_deinit(&raw);
    return GW_OK;
}
