/* credentials_fetch.c: one question for keys.
 *
 *   web identity   read the token file ─▶ POST AssumeRoleWithWebIdentity to STS ─▶ XML
 *   container      read the token file, if any ─▶ GET ─▶ JSON
 *   instance       PUT for a session ─▶ GET the role's name ─▶ GET its keys ─▶ JSON
 *
 * Token files are read in the loop's thread: a page in memory, once in an hour, and anew each time,
 * for they are replaced. Answers hold secrets: no part of one is ever in an error but STS's code.
 * Failures that time may mend are GW_ERR_UNAVAILABLE, the others GW_ERR_KEY. */
#include "aws/credentials_impl.h"

#include "aws/json.h"
#include "aws/xml.h"
#include "base/check.h"
#include "base/codec.h"
#include "base/timefmt.h"

#define FETCH_MS        10000
#define REPLY_BYTES_MAX ((size_t)64 * 1024)
#define ROLES           "/latest/meta-data/iam/security-credentials/"
#define CODE_SHOWN_MAX  60

static void end(struct gw_aws_fetch *fetch)
{
    fetch->done(fetch);
}

static void fail(struct gw_aws_fetch *fetch, enum gw_err err, const char *why)
{
    gw_error_set(&fetch->error, err, "credentials (%s): %s",
                 gw_aws_source_name(fetch->source->kind), why);
    end(fetch);
}

/* ── Exchanges ─────────────────────────────────────────────────────────────────────────────── */

/* STS says which of a handful of things is wrong; the code is a word of AWS's own. */
static const char *refusal(struct gw_aws_fetch *fetch)
{
    struct gw_http_call *call = &fetch->http.call;
    struct gw_slice code = gw_aws_xml_text(call->reply, "Code", &fetch->arena);

    if (fetch->source->kind != GW_AWS_FROM_WEB_IDENTITY || code.ptr == NULL)
        return gw_arena_printf(&fetch->arena, "was answered with status %d", call->status);
    return gw_arena_printf(&fetch->arena, "was answered with status %d, %.*s", call->status,
                           (int)(code.len < CODE_SHOWN_MAX ? code.len : CODE_SHOWN_MAX), code.ptr);
}

static void on_replied(struct gw_aws_http *http)
{
    struct gw_aws_fetch *fetch = gw_container_of(http, struct gw_aws_fetch, http);
    struct gw_http_call *call = &http->call;

    if (call->end != GW_HTTP_ANSWERED)
        fail(fetch, GW_ERR_UNAVAILABLE, gw_arena_printf(&fetch->arena, "%s", call->error));
    else if (call->status >= 500 || call->status == 429)
        fail(fetch, GW_ERR_UNAVAILABLE, refusal(fetch));
    else if (call->status != 200)
        fail(fetch, GW_ERR_KEY, refusal(fetch));
    else if (!call->is_whole)
        fail(fetch, GW_ERR_UNAVAILABLE, "the answer was cut short, or larger than 64 KiB");
    else
        fetch->on_reply(fetch, call->reply);
}

static void ask(struct gw_aws_fetch *fetch, const char *method, const char *target,
                const char *line, struct gw_slice body,
                void (*on_reply)(struct gw_aws_fetch *fetch, struct gw_slice reply))
{
    const struct gw_aws_origin *origin = &fetch->source->origin;
    const char **lines = gw_arena_zalloc(&fetch->arena, 3 * sizeof(*lines));

    lines[0] = gw_arena_printf(&fetch->arena, "host: %s", origin->authority);
    lines[1] = line;
    fetch->on_reply = on_reply;
    fetch->http.call = (struct gw_http_call){
        .method = method,
        .url = gw_arena_printf(&fetch->arena, "http%s://%s%s", origin->https ? "s" : "",
                               origin->authority, target),
        .header_lines = lines,
        .body = body,
        .host = origin->host,
        .port = origin->port,
        .reply_read_max = REPLY_BYTES_MAX,
        .reply_keep_max = REPLY_BYTES_MAX,
        .arena = &fetch->arena,
    };
    gw_aws_http_start(&fetch->http);
}

/* ── What comes of it ──────────────────────────────────────────────────────────────────────── */

static void take(struct gw_aws_fetch *fetch, struct gw_aws_keys keys, struct gw_slice until)
{
    fetch->until_ms = GW_NEVER;
    if (!gw_aws_keys_are_well(&keys) || (until.ptr && !gw_time_parse(until, &fetch->until_ms))) {
        fail(fetch, GW_ERR_KEY, "the answer has no keys, or malformed ones");
        return;
    }
    fetch->keys = keys;
    end(fetch);
}

static void on_json_keys(struct gw_aws_fetch *fetch, struct gw_slice reply)
{
    yyjson_val *root = yyjson_doc_get_root(gw_aws_json_read(&fetch->arena, reply));
    struct gw_aws_keys keys = {gw_aws_json_text(root, "AccessKeyId"),
                               gw_aws_json_text(root, "SecretAccessKey"),
                               gw_aws_json_text(root, "Token")};

    take(fetch, keys, gw_aws_json_text(root, "Expiration"));
}

static void on_xml_keys(struct gw_aws_fetch *fetch, struct gw_slice reply)
{
    struct gw_arena *arena = &fetch->arena;
    struct gw_aws_keys keys = {gw_aws_xml_text(reply, "AccessKeyId", arena),
                               gw_aws_xml_text(reply, "SecretAccessKey", arena),
                               gw_aws_xml_text(reply, "SessionToken", arena)};

    take(fetch, keys, gw_aws_xml_text(reply, "Expiration", arena));
}

/* ── Web identity, container ───────────────────────────────────────────────────────────────── */

/* The token, without the line's end that editors add; NULL: failed. */
static const char *read_token(struct gw_aws_fetch *fetch)
{
    struct gw_buf bytes = {0};
    struct gw_error error;
    const char *token = NULL;

    if (gw_aws_file_read(&bytes, fetch->source->token_file, &error) != GW_OK) {
        fail(fetch, GW_ERR_UNAVAILABLE, gw_arena_printf(&fetch->arena, "%s", error.text));
        goto out;
    }
    struct gw_slice text = gw_buf_slice(&bytes);
    while (text.len > 0 && strchr(" \t\r\n", text.ptr[text.len - 1]))
        text.len--;
    if (!gw_aws_is_word(text))
        fail(fetch, GW_ERR_KEY, "the token file must hold one line, and does not");
    else
        token = gw_arena_text(&fetch->arena, text);
out:
    if (bytes.ptr)
        gw_wipe(bytes.ptr, bytes.cap);
    gw_buf_deinit(&bytes);
    return token;
}

static void add_field(struct gw_buf *form, const char *name, const char *value)
{
    gw_buf_addf(form, "&%s=", name);
    gw_percent_encode(form, gw_slice_from(value));
}

static void ask_sts(struct gw_aws_fetch *fetch)
{
    const char *token = read_token(fetch);
    struct gw_buf form = {0};

    if (token == NULL)
        return;
    gw_buf_adds(&form, GW_SLICE("Action=AssumeRoleWithWebIdentity&Version=2011-06-15"));
    add_field(&form, "RoleArn", fetch->source->role_arn);
    add_field(&form, "RoleSessionName", fetch->source->session_name);
    add_field(&form, "WebIdentityToken", token);
    struct gw_slice body = gw_arena_dup(&fetch->arena, gw_buf_slice(&form));
    gw_wipe(form.ptr, form.cap);
    gw_buf_deinit(&form);
    ask(fetch, "POST", "/", "content-type: application/x-www-form-urlencoded", body, on_xml_keys);
}

static void ask_container(struct gw_aws_fetch *fetch)
{
    const struct gw_aws_source *source = fetch->source;
    const char *token = source->token_file ? read_token(fetch) : source->token;

    if (source->token_file && token == NULL)
        return;
    if (token && !gw_aws_is_word(gw_slice_from(token))) {
        fail(fetch, GW_ERR_KEY, "AWS_CONTAINER_AUTHORIZATION_TOKEN must be one word, and is not");
        return;
    }
    ask(fetch, "GET", source->target,
        token ? gw_arena_printf(&fetch->arena, "authorization: %s", token) : NULL, GW_SLICE(""),
        on_json_keys);
}

/* ── Instance ──────────────────────────────────────────────────────────────────────────────── */

static void on_role(struct gw_aws_fetch *fetch, struct gw_slice reply)
{
    struct gw_slice rest = reply, role;

    if (!gw_slice_split(&rest, '\n', &role) || role.len > 256 || !gw_aws_is_word(role)) {
        fail(fetch, GW_ERR_KEY, "the instance has no role");
        return;
    }
    struct gw_slice target = gw_aws_path(
        &fetch->arena,
        gw_slice_from(gw_arena_printf(&fetch->arena, ROLES "%.*s", GW_SLICE_ARG(role))));
    ask(fetch, "GET", gw_arena_text(&fetch->arena, target), fetch->session, GW_SLICE(""),
        on_json_keys);
}

static void on_session(struct gw_aws_fetch *fetch, struct gw_slice reply)
{
    if (!gw_aws_is_word(reply)) {
        fail(fetch, GW_ERR_KEY, "the metadata service gave no session");
        return;
    }
    fetch->session =
        gw_arena_printf(&fetch->arena, "x-aws-ec2-metadata-token: %.*s", GW_SLICE_ARG(reply));
    ask(fetch, "GET", ROLES, fetch->session, GW_SLICE(""), on_role);
}

static void ask_instance(struct gw_aws_fetch *fetch)
{
    ask(fetch, "PUT", "/latest/api/token", "x-aws-ec2-metadata-token-ttl-seconds: 21600",
        GW_SLICE(""), on_session);
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

void gw_aws_fetch_start(struct gw_aws_fetch *fetch)
{
    fetch->error.code = GW_OK;
    fetch->http.env = fetch->env;
    fetch->http.deadline_us = gw_env_mono_us(fetch->env) + (int64_t)FETCH_MS * 1000;
    fetch->http.done = on_replied;
    switch (fetch->source->kind) {
    case GW_AWS_FROM_WEB_IDENTITY: ask_sts(fetch); return;
    case GW_AWS_FROM_CONTAINER: ask_container(fetch); return;
    case GW_AWS_FROM_INSTANCE: ask_instance(fetch); return;
    case GW_AWS_FROM_ENVIRONMENT:
    case GW_AWS_FROM_PROFILE: break;
    }
    gw_never("static keys are not fetched");
}

void gw_aws_fetch_cancel(struct gw_aws_fetch *fetch)
{
    gw_aws_http_cancel(&fetch->http);
}
