/* sign.c: AWS Signature Version 4, https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 *
 * A signer owns the key it derived last (four HMACs, for a day, a region and a service) and one
 * buffer; it belongs to one thread. A secret gets into no line and no text: what comes out holds
 * the key's id, a session's token, and the signature. Other services than S3 want the path escaped
 * a second time for the signature; theirs is "/", where that makes no difference. */
#include "aws/sign.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/codec.h"
#include "base/timefmt.h"

#include <stdlib.h>

#define ALGORITHM   "AWS4-HMAC-SHA256"
#define FIELDS_MORE 4 /* that signing adds to a request's, at most */

/* ── The request target ────────────────────────────────────────────────────────────────────── */

struct gw_slice gw_aws_path(struct gw_arena *arena, struct gw_slice raw)
{
    struct gw_slice rest = raw, part;
    struct gw_buf path = {0};

    gw_check(raw.len > 0 && raw.ptr[0] == '/');
    for (bool is_first = true; gw_slice_split(&rest, '/', &part); is_first = false) {
        if (!is_first)
            gw_buf_addc(&path, '/');
        gw_percent_encode(&path, part);
    }
    struct gw_slice kept = gw_arena_dup(arena, gw_buf_slice(&path));
    gw_buf_deinit(&path);
    return kept;
}

static int compare(struct gw_slice a, struct gw_slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_name_and_value(const void *left, const void *right)
{
    const struct gw_aws_field *a = left, *b = right;
    int order = compare(a->name, b->name);

    return order != 0 ? order : compare(a->value, b->value);
}

static struct gw_slice escaped(struct gw_arena *arena, struct gw_buf *scratch, struct gw_slice raw)
{
    gw_buf_clear(scratch);
    gw_percent_encode(scratch, raw);
    return gw_arena_dup(arena, gw_buf_slice(scratch));
}

struct gw_slice gw_aws_query(struct gw_arena *arena, const struct gw_aws_field *params,
                             size_t count)
{
    struct gw_aws_field *sorted = gw_arena_alloc(arena, count * sizeof(*sorted) + 1);
    struct gw_buf query = {0};

    for (size_t i = 0; i < count; i++) {
        sorted[i].name = escaped(arena, &query, params[i].name);
        sorted[i].value = escaped(arena, &query, params[i].value);
    }
    qsort(sorted, count, sizeof(*sorted), by_name_and_value);
    gw_buf_clear(&query);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            gw_buf_addc(&query, '&');
        gw_buf_adds(&query, sorted[i].name);
        gw_buf_addc(&query, '=');
        gw_buf_adds(&query, sorted[i].value);
    }
    struct gw_slice kept = gw_arena_dup(arena, gw_buf_slice(&query));
    gw_buf_deinit(&query);
    return kept;
}

/* ── The key ───────────────────────────────────────────────────────────────────────────────── */

static struct gw_slice bytes(const uint8_t digest[GW_SHA256_BYTES])
{
    return (struct gw_slice){(const char *)digest, GW_SHA256_BYTES};
}

/* Derives the key unless the last one was for this secret and day. */
static void key_ready(struct gw_aws_signer *signer, struct gw_slice secret, struct gw_slice day)
{
    char start[4 + GW_AWS_SECRET_MAX] = "AWS4";
    struct gw_slice steps[] = {day, gw_slice_from(signer->region), gw_slice_from(signer->service),
                               GW_SLICE("aws4_request")};

    gw_check(secret.len > 0 && secret.len <= GW_AWS_SECRET_MAX);
    if (gw_equal_secret((struct gw_slice){signer->secret, signer->secret_len}, secret) &&
        memcmp(signer->day, day.ptr, sizeof(signer->day)) == 0)
        return;
    memcpy(start + 4, secret.ptr, secret.len);
    gw_hmac_sha256((struct gw_slice){start, 4 + secret.len}, &steps[0], 1, signer->key);
    for (size_t i = 1; i < gw_count(steps); i++)
        gw_hmac_sha256(bytes(signer->key), &steps[i], 1, signer->key);
    gw_wipe(start, sizeof(start));
    memcpy(signer->secret, secret.ptr, secret.len);
    signer->secret_len = secret.len;
    memcpy(signer->day, day.ptr, sizeof(signer->day));
}

void gw_aws_signer_deinit(struct gw_aws_signer *signer)
{
    gw_wipe(signer->secret, sizeof(signer->secret));
    gw_wipe(signer->key, sizeof(signer->key));
    signer->secret_len = 0;
    gw_buf_deinit(&signer->scratch);
}

/* ── The signature ─────────────────────────────────────────────────────────────────────────── */

/* 20261124T074600Z */
static struct gw_slice stamp_of(struct gw_arena *arena, int64_t now_ms)
{
    char text[GW_TIME_TEXT_MAX];

    gw_time_text(now_ms, text); /* 2026-11-24T07:46:00.000Z */
    return gw_slice_from(gw_arena_printf(arena, "%.4s%.2s%.5s%.2s%.2sZ", text, text + 5, text + 8,
                                         text + 14, text + 17));
}

static struct gw_slice hex_digest(struct gw_arena *arena, struct gw_slice data)
{
    uint8_t digest[GW_SHA256_BYTES];
    struct gw_buf hex = {0};

    gw_sha256(data, digest);
    gw_hex_encode(&hex, digest, sizeof(digest));
    struct gw_slice kept = gw_arena_dup(arena, gw_buf_slice(&hex));
    gw_buf_deinit(&hex);
    return kept;
}

/* White space is trimmed, and runs of it are one space. */
static void add_value(struct gw_buf *out, struct gw_slice value)
{
    bool was_space = false;

    value = gw_slice_trim(value);
    for (size_t i = 0; i < value.len; i++) {
        bool is_space = value.ptr[i] == ' ' || value.ptr[i] == '\t';
        if (!is_space)
            gw_buf_addc(out, value.ptr[i]);
        else if (!was_space)
            gw_buf_addc(out, ' ');
        was_space = is_space;
    }
}

static void add_names(struct gw_buf *out, const struct gw_aws_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            gw_buf_addc(out, ';');
        gw_buf_adds(out, fields[i].name);
    }
}

static void add_canonical(struct gw_buf *out, const struct gw_aws_request *request,
                          const struct gw_aws_field *fields, size_t count, struct gw_slice payload)
{
    gw_buf_addf(out, "%s\n%.*s\n%.*s\n", request->method, GW_SLICE_ARG(request->path),
                GW_SLICE_ARG(request->query));
    for (size_t i = 0; i < count; i++) {
        gw_check(i == 0 || compare(fields[i - 1].name, fields[i].name) != 0);
        gw_buf_adds(out, fields[i].name);
        gw_buf_addc(out, ':');
        add_value(out, fields[i].value);
        gw_buf_addc(out, '\n');
    }
    gw_buf_addc(out, '\n');
    add_names(out, fields, count);
    gw_buf_addc(out, '\n');
    gw_buf_adds(out, payload);
}

/* The request's fields and those that signing adds, sorted. */
static struct gw_aws_field *all_fields(const struct gw_aws_keys *keys,
                                       const struct gw_aws_request *request, struct gw_slice stamp,
                                       struct gw_slice s3_payload, struct gw_arena *arena,
                                       size_t *count)
{
    size_t n = request->field_count;
    struct gw_aws_field *fields = gw_arena_alloc(arena, (n + FIELDS_MORE) * sizeof(*fields));

    if (n > 0)
        memcpy(fields, request->fields, n * sizeof(*fields));
    fields[n++] = (struct gw_aws_field){GW_SLICE("host"), request->host};
    fields[n++] = (struct gw_aws_field){GW_SLICE("x-amz-date"), stamp};
    if (s3_payload.ptr)
        fields[n++] = (struct gw_aws_field){GW_SLICE("x-amz-content-sha256"), s3_payload};
    if (keys->token.len > 0)
        fields[n++] = (struct gw_aws_field){GW_SLICE("x-amz-security-token"), keys->token};
    qsort(fields, n, sizeof(*fields), by_name_and_value);
    *count = n;
    return fields;
}

/* The Authorization field's value. */
static struct gw_slice authorize(struct gw_aws_signer *signer, const struct gw_aws_keys *keys,
                                 struct gw_slice stamp, struct gw_slice canonical_digest,
                                 const struct gw_aws_field *fields, size_t count,
                                 struct gw_arena *arena)
{
    struct gw_buf *out = &signer->scratch;
    struct gw_slice day = {stamp.ptr, sizeof(signer->day)};
    uint8_t signature[GW_SHA256_BYTES];

    key_ready(signer, keys->secret, day);
    const char *scope = gw_arena_printf(arena, "%.*s/%s/%s/aws4_request", GW_SLICE_ARG(day),
                                        signer->region, signer->service);
    gw_buf_clear(out);
    gw_buf_addf(out, ALGORITHM "\n%.*s\n%s\n%.*s", GW_SLICE_ARG(stamp), scope,
                GW_SLICE_ARG(canonical_digest));
    gw_hmac_sha256(bytes(signer->key), &(struct gw_slice){out->ptr, out->len}, 1, signature);
    gw_buf_clear(out);
    gw_buf_addf(out, ALGORITHM " Credential=%.*s/%s, SignedHeaders=", GW_SLICE_ARG(keys->id),
                scope);
    add_names(out, fields, count);
    gw_buf_adds(out, GW_SLICE(", Signature="));
    gw_hex_encode(out, signature, sizeof(signature));
    return gw_arena_dup(arena, gw_buf_slice(out));
}

const char *const *gw_aws_sign(struct gw_aws_signer *signer, const struct gw_aws_keys *keys,
                               const struct gw_aws_request *request, int64_t now_ms,
                               struct gw_arena *arena)
{
    bool is_s3 = strcmp(signer->service, "s3") == 0;
    struct gw_slice stamp = stamp_of(arena, now_ms), payload = hex_digest(arena, request->body);
    size_t count;

    gw_check(is_s3 || memchr(request->path.ptr, '%', request->path.len) == NULL);
    struct gw_aws_field *fields =
        all_fields(keys, request, stamp, is_s3 ? payload : (struct gw_slice){0}, arena, &count);
    gw_buf_clear(&signer->scratch);
    add_canonical(&signer->scratch, request, fields, count, payload);
    struct gw_slice digest = hex_digest(arena, gw_buf_slice(&signer->scratch));
    struct gw_slice value = authorize(signer, keys, stamp, digest, fields, count, arena);
    const char **lines = gw_arena_alloc(arena, (count + 2) * sizeof(*lines));
    for (size_t i = 0; i < count; i++)
        lines[i] = gw_arena_printf(arena, "%.*s: %.*s", GW_SLICE_ARG(fields[i].name),
                                   GW_SLICE_ARG(fields[i].value));
    lines[count] = gw_arena_printf(arena, "authorization: %.*s", GW_SLICE_ARG(value));
    lines[count + 1] = NULL;
    return lines;
}
