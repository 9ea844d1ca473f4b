/* call.c: signs, sends, reads what came.
 *
 *   start ─▶ keys there? ─ no ─▶ WAITS ─ they came ─▶ ASKS ─▶ done
 *                └───── yes ──────────────────────────▲  │
 *                                                     └──┘ once: AWS's clock is far from ours
 *   fail  ─▶ FAILED (the loop's next turn) ─▶ done
 *
 * Owns nothing but the call's own part. A text of an error holds the service, the operation, AWS's
 * code and, when something is not allowed, AWS's sentence about who may not do what; never a part of
 * a request or of another answer, which AWS's sentences may repeat. */
#include "aws/call.h"

#include "aws/error.h"
#include "aws/xml.h"
#include "base/check.h"
#include "base/timefmt.h"

#define SKEW_MS_MAX       ((int64_t)4 * 60 * 1000) /* AWS bears 5 minutes, S3 15 */
#define RETRY_AFTER_S_MAX 3600
#define CODE_SHOWN_MAX    60

static void finish(struct gw_aws_call *call)
{
    call->phase = GW_AWS_IDLE;
    call->done(call);
}

static bool speaks_json(const struct gw_aws_call *call)
{
    enum gw_aws_service service = call->client->endpoint.service;

    return service != GW_AWS_S3 && service != GW_AWS_STS;
}

/* Sets the error: "dynamodb PutItem: …". */
static void blame(struct gw_aws_call *call, enum gw_err err, const char *why)
{
    gw_error_set(&call->error, err, "%s %s: %s",
                 gw_aws_service_name(call->client->endpoint.service), call->what, why);
}

/* ── The answer ────────────────────────────────────────────────────────────────────────────── */

static void see_retry_after(struct gw_aws_call *call, struct gw_slice value)
{
    uint64_t s;
    int64_t at_ms;

    if (gw_slice_u64(value, &s))
        call->retry_after_ms = (int64_t)(s < RETRY_AFTER_S_MAX ? s : RETRY_AFTER_S_MAX) * 1000;
    else if (gw_time_parse_http(value, &at_ms))
        call->retry_after_ms = at_ms - gw_env_wall_ms(call->client->env) - call->client->skew_ms;
    if (call->retry_after_ms < 0)
        call->retry_after_ms = 0;
    if (call->retry_after_ms > (int64_t)RETRY_AFTER_S_MAX * 1000)
        call->retry_after_ms = (int64_t)RETRY_AFTER_S_MAX * 1000;
}

static void on_header(struct gw_http_call *http, struct gw_slice name, struct gw_slice value)
{
    struct gw_aws_call *call = gw_container_of(http, struct gw_aws_call, http.call);

    if (gw_slice_eq_nocase(name, GW_SLICE("date"))) {
        if (!gw_time_parse_http(value, &call->date_ms))
            call->date_ms = 0;
    } else if (gw_slice_eq_nocase(name, GW_SLICE("retry-after"))) {
        see_retry_after(call, value);
    } else if (gw_slice_eq_nocase(name, GW_SLICE("x-amzn-errortype"))) {
        struct gw_slice code = gw_aws_error_code(value);
        if (code.len < sizeof(call->header_code)) {
            memcpy(call->header_code, code.ptr, code.len);
            call->header_code[code.len] = '\0';
        }
    }
    if (call->on_header)
        call->on_header(call, name, value);
}

static bool send_request(struct gw_aws_call *call);

/* Whether a refusal may be the fault of our clock: then AWS's is taken, once. */
static bool is_skewed(struct gw_aws_call *call, int status)
{
    struct gw_aws_client *client = call->client;
    int64_t ahead_ms = call->date_ms - gw_env_wall_ms(client->env);
    int64_t off_ms = ahead_ms - client->skew_ms;

    if (call->was_skewed || call->date_ms == 0 || (status != 400 && status != 401 && status != 403))
        return false;
    if (off_ms > -SKEW_MS_MAX && off_ms < SKEW_MS_MAX)
        return false;
    client->skew_ms = ahead_ms;
    call->was_skewed = true;
    return true;
}

static void read_refusal(struct gw_aws_call *call)
{
    struct gw_slice sentence;

    if (speaks_json(call)) {
        call->code = gw_aws_error_code(gw_aws_json_text(call->json, "__type"));
        if (call->code.len == 0)
            call->code = gw_arena_dup(call->arena, gw_slice_from(call->header_code));
        sentence = gw_aws_json_text(call->json, "message");
        if (sentence.ptr == NULL)
            sentence = gw_aws_json_text(call->json, "Message");
    } else {
        call->code = gw_aws_xml_text(call->reply, "Code", call->arena);
        sentence = gw_aws_xml_text(call->reply, "Message", call->arena);
    }
    enum gw_err err = gw_aws_error_of(call->status, call->code, call->json);
    bool is_told = gw_slice_starts(call->code, GW_SLICE("AccessDenied")) && sentence.len > 0;
    size_t shown = call->code.len < CODE_SHOWN_MAX ? call->code.len : CODE_SHOWN_MAX;
    blame(call, err,
          gw_arena_printf(call->arena, "status %d%s%.*s%s%.*s", call->status, shown > 0 ? ", " : "",
                          (int)shown, shown > 0 ? call->code.ptr : "", is_told ? ": " : "",
                          is_told ? (int)sentence.len : 0, is_told ? sentence.ptr : ""));
    if (gw_slice_starts(call->code, GW_SLICE("ExpiredToken")))
        gw_aws_credentials_expired(call->client->credentials);
}

static void read_answer(struct gw_aws_call *call)
{
    struct gw_http_call *http = &call->http.call;

    call->status = http->status;
    call->reply = http->reply;
    if (speaks_json(call) && call->reply.len > 0)
        call->json = yyjson_doc_get_root(gw_aws_json_read(call->arena, call->reply));
    if (call->status < 200 || call->status > 299)
        read_refusal(call);
    else if (!http->is_whole && http->reply.len == call->reply_bytes_max)
        blame(call, GW_ERR_TOO_LARGE,
              gw_arena_printf(call->arena, "the answer must have at most %zu bytes, has more",
                              call->reply_bytes_max));
    else if (!http->is_whole)
        blame(call, GW_ERR_UNAVAILABLE, "the answer was cut short");
    else if (speaks_json(call) && call->reply.len > 0 && !yyjson_is_obj(call->json))
        blame(call, GW_ERR_UNAVAILABLE, "the answer is no JSON object");
}

static void on_replied(struct gw_aws_http *http)
{
    struct gw_aws_call *call = gw_container_of(http, struct gw_aws_call, http);

    if (http->call.end == GW_HTTP_ANSWERED && is_skewed(call, http->call.status)) {
        if (send_request(call))
            return;
        blame(call, GW_ERR_UNAVAILABLE, "the keys are over");
    } else if (http->call.end == GW_HTTP_ANSWERED) {
        read_answer(call);
    } else {
        blame(call, http->call.end == GW_HTTP_TIMEOUT ? GW_ERR_TIMEOUT : GW_ERR_UNAVAILABLE,
              http->call.error);
    }
    finish(call);
}

/* ── The request ───────────────────────────────────────────────────────────────────────────── */

static const char *url_of(const struct gw_aws_call *call, const struct gw_aws_origin *origin,
                          const struct gw_aws_request *request)
{
    return gw_arena_printf(call->arena, "http%s://%s%.*s%s%.*s", origin->https ? "s" : "",
                           origin->authority, GW_SLICE_ARG(request->path),
                           request->query.len > 0 ? "?" : "", GW_SLICE_ARG(request->query));
}

/* False: there are no keys now. */
static bool send_request(struct gw_aws_call *call)
{
    struct gw_aws_client *client = call->client;
    const struct gw_aws_keys *keys = gw_aws_credentials_keys(client->credentials);
    const struct gw_aws_origin *origin = call->origin ? call->origin : &client->endpoint.origin;
    struct gw_aws_request request = {
        .method = call->method,
        .host = gw_slice_from(origin->authority),
        .path = call->path.ptr ? call->path : GW_SLICE("/"),
        .query = call->query.ptr ? call->query : GW_SLICE(""),
        .fields = call->fields,
        .field_count = call->field_count,
        .body = call->body.ptr ? call->body : GW_SLICE(""),
    };

    if (keys == NULL)
        return false;
    call->date_ms = call->retry_after_ms = 0;
    call->header_code[0] = '\0';
    call->phase = GW_AWS_ASKS;
    call->http = (struct gw_aws_http){
        .env = client->env,
        .deadline_us = call->deadline_us,
        .done = on_replied,
        .call =
            {
                .method = call->method,
                .url = url_of(call, origin, &request),
                .header_lines =
                    gw_aws_sign(&client->signer, keys, &request,
                                gw_env_wall_ms(client->env) + client->skew_ms, call->arena),
                .body = request.body,
                .host = origin->host,
                .port = origin->port,
                .reply_read_max = call->reply_bytes_max,
                .reply_keep_max = call->reply_bytes_max,
                .on_header = on_header,
                .arena = call->arena,
            },
    };
    gw_aws_http_start(&call->http);
    return true;
}

static void on_keys(struct gw_aws_wait *wait)
{
    struct gw_aws_call *call = gw_container_of(wait, struct gw_aws_call, wait);

    gw_env_timer_stop(call->client->env, &call->timer);
    if (wait->error.code != GW_OK) {
        blame(call, wait->error.code, wait->error.text);
        finish(call);
    } else if (!send_request(call)) {
        blame(call, GW_ERR_UNAVAILABLE, "the keys were over when they came");
        finish(call);
    }
}

static void on_timer(struct gw_timer *timer)
{
    struct gw_aws_call *call = gw_container_of(timer, struct gw_aws_call, timer);

    if (call->phase == GW_AWS_WAITS) {
        gw_aws_credentials_cancel(&call->wait);
        blame(call, GW_ERR_TIMEOUT, "no keys came before the deadline");
    }
    finish(call);
}

static void reset(struct gw_aws_call *call)
{
    call->status = 0;
    call->code = call->reply = GW_SLICE("");
    call->retry_after_ms = 0;
    call->json = NULL;
    call->was_skewed = false;
    call->timer = (struct gw_timer){.fire = on_timer};
    call->wait = (struct gw_aws_wait){.done = on_keys};
}

void gw_aws_call_start(struct gw_aws_call *call)
{
    struct gw_env *env = call->client->env;
    int64_t left_us = call->deadline_us - gw_env_mono_us(env);

    reset(call);
    call->error = (struct gw_error){.code = GW_OK};
    if (send_request(call))
        return;
    call->phase = GW_AWS_WAITS;
    gw_env_timer_set(env, &call->timer, left_us > 0 ? left_us / 1000 : 0);
    gw_aws_credentials_wait(call->client->credentials, &call->wait);
}

void gw_aws_call_fail(struct gw_aws_call *call)
{
    gw_check(call->error.code != GW_OK);
    reset(call);
    call->phase = GW_AWS_FAILED;
    gw_env_timer_set(call->client->env, &call->timer, 0);
}

void gw_aws_call_cancel(struct gw_aws_call *call)
{
    switch (call->phase) {
    case GW_AWS_IDLE: break;
    case GW_AWS_WAITS: gw_aws_credentials_cancel(&call->wait); /* fall through */
    case GW_AWS_FAILED: gw_env_timer_stop(call->client->env, &call->timer); break;
    case GW_AWS_ASKS: gw_aws_http_cancel(&call->http); break;
    }
    call->phase = GW_AWS_IDLE;
}
