/* runtime.c: Lambda's runtime API, https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 *
 * Owns the memory of one invocation. The other side is on the same machine and answers at once, but
 * for the next invocation, which may be days away; what fails here cannot be mended here. */
#include "aws/runtime.h"

#include "aws/json.h"
#include "base/check.h"

#include <stdlib.h>

#define START           "/2018-06-01/runtime/"
#define ANSWER_MS       10000
#define NEXT_MS         ((int64_t)24 * 24 * 3600 * 1000) /* as long as libcurl counts */
#define REPLY_BYTES_MAX ((size_t)16 * 1024)

/* ── What comes back ───────────────────────────────────────────────────────────────────────── */

static void on_header(struct gw_http_call *call, struct gw_slice name, struct gw_slice value)
{
    struct gw_aws_runtime *runtime = gw_container_of(call, struct gw_aws_runtime, http.call);
    const struct {
        const char *name;
        struct gw_slice *to;
    } known[] = {
        {"lambda-runtime-aws-request-id", &runtime->id},
        {"lambda-runtime-invoked-function-arn", &runtime->function_arn},
        {"lambda-runtime-trace-id", &runtime->trace},
    };
    uint64_t ms;

    for (size_t i = 0; i < gw_count(known); i++)
        if (gw_slice_eq_nocase(name, gw_slice_from(known[i].name)))
            *known[i].to = gw_arena_dup(&runtime->arena, value);
    if (gw_slice_eq_nocase(name, GW_SLICE("lambda-runtime-deadline-ms")))
        runtime->deadline_ms = gw_slice_u64(value, &ms) && ms <= INT64_MAX ? (int64_t)ms : 0;
}

/* Goes into a path: letters, digits and dashes. */
static bool is_id(struct gw_slice id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-'))
            return false;
    }
    return id.len > 0 && id.len <= 128;
}

static void on_replied(struct gw_aws_http *http)
{
    struct gw_aws_runtime *runtime = gw_container_of(http, struct gw_aws_runtime, http);
    const struct gw_http_call *call = &http->call;
    int wanted = runtime->is_next ? 200 : 202;

    runtime->is_busy = false;
    if (call->end != GW_HTTP_ANSWERED)
        gw_error_set(&runtime->error, GW_ERR_UNAVAILABLE, "lambda: %s", call->error);
    else if (call->status == 413)
        gw_error_set(&runtime->error, GW_ERR_TOO_LARGE, "lambda: the answer was too large");
    else if (call->status != wanted)
        gw_error_set(&runtime->error, GW_ERR_UNAVAILABLE, "lambda: answered with status %d",
                     call->status);
    else if (runtime->is_next && (!call->is_whole || !is_id(runtime->id) || !runtime->deadline_ms))
        gw_error_set(&runtime->error, GW_ERR_UNAVAILABLE, "lambda: a malformed invocation");
    else if (runtime->is_next)
        runtime->event = call->reply;
    if (runtime->error.code != GW_OK && runtime->is_next)
        runtime->id = (struct gw_slice){0}; /* whatever it was, nothing is said about it */
    runtime->done(runtime);
}

/* ── What is said ──────────────────────────────────────────────────────────────────────────── */

static void ask(struct gw_aws_runtime *runtime, const char *method, const char *path,
                const char *line, struct gw_slice body)
{
    struct gw_arena *arena = &runtime->arena;
    const char **lines = gw_arena_zalloc(arena, 3 * sizeof(*lines));

    gw_check(!runtime->is_busy);
    runtime->is_busy = true;
    runtime->error = (struct gw_error){.code = GW_OK};
    lines[0] = gw_arena_printf(arena, "host: %s", runtime->origin.authority);
    lines[1] = line;
    runtime->http = (struct gw_aws_http){
        .env = runtime->env,
        .deadline_us =
            gw_env_mono_us(runtime->env) + (runtime->is_next ? NEXT_MS : (int64_t)ANSWER_MS) * 1000,
        .done = on_replied,
        .call =
            {
                .method = method,
                .url =
                    gw_arena_printf(arena, "http://%s" START "%s", runtime->origin.authority, path),
                .header_lines = lines,
                .body = body,
                .host = runtime->origin.host,
                .port = runtime->origin.port,
                .reply_read_max = runtime->is_next ? GW_AWS_INVOCATION_BYTES_MAX : REPLY_BYTES_MAX,
                .reply_keep_max = runtime->is_next ? GW_AWS_INVOCATION_BYTES_MAX : REPLY_BYTES_MAX,
                .on_header = runtime->is_next ? on_header : NULL,
                .arena = arena,
            },
    };
    gw_aws_http_start(&runtime->http);
}

void gw_aws_runtime_next(struct gw_aws_runtime *runtime)
{
    gw_check(!runtime->is_busy);
    gw_arena_reset(&runtime->arena);
    runtime->id = runtime->event = runtime->function_arn = runtime->trace = (struct gw_slice){0};
    runtime->deadline_ms = 0;
    runtime->is_next = true;
    ask(runtime, "GET", "invocation/next", NULL, GW_SLICE(""));
}

void gw_aws_runtime_answer(struct gw_aws_runtime *runtime, struct gw_slice json)
{
    gw_check(runtime->id.len > 0);
    runtime->is_next = false;
    ask(runtime, "POST",
        gw_arena_printf(&runtime->arena, "invocation/%.*s/response", GW_SLICE_ARG(runtime->id)),
        "content-type: application/json", json);
}

void gw_aws_runtime_refuse(struct gw_aws_runtime *runtime, const char *type, const char *message)
{
    struct gw_arena *arena = &runtime->arena;
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = gw_aws_json_new(arena, &root);

    runtime->is_next = false;
    yyjson_mut_obj_add_str(doc, root, "errorMessage", message);
    yyjson_mut_obj_add_str(doc, root, "errorType", type);
    ask(runtime, "POST",
        runtime->id.len > 0
            ? gw_arena_printf(arena, "invocation/%.*s/error", GW_SLICE_ARG(runtime->id))
            : "init/error",
        gw_arena_printf(arena, "lambda-runtime-function-error-type: %s", type),
        gw_aws_json_write(arena, doc));
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

enum gw_err gw_aws_runtime_init(struct gw_aws_runtime *runtime, struct gw_env *env,
                                void (*done)(struct gw_aws_runtime *runtime),
                                struct gw_error *error)
{
    const char *where = getenv("AWS_LAMBDA_RUNTIME_API");
    struct gw_slice target;

    *runtime = (struct gw_aws_runtime){.env = env, .done = done};
    if (where == NULL || where[0] == '\0')
        return gw_error_set(error, GW_ERR_INVALID,
                            "AWS_LAMBDA_RUNTIME_API: must be set, as Lambda does, was not");
    const char *url = gw_arena_printf(&runtime->fixed, "http://%s", where);
    enum gw_err err = gw_aws_origin_parse(&runtime->origin, "AWS_LAMBDA_RUNTIME_API",
                                          gw_slice_from(url), &target, &runtime->fixed, error);
    if (err == GW_OK && target.len > 0)
        err = gw_error_set(error, GW_ERR_INVALID,
                           "AWS_LAMBDA_RUNTIME_API: must be a host and a port, had a path");
    if (err != GW_OK)
        gw_aws_runtime_deinit(runtime);
    return err;
}

void gw_aws_runtime_deinit(struct gw_aws_runtime *runtime)
{
    if (runtime->is_busy)
        gw_aws_http_cancel(&runtime->http);
    runtime->is_busy = false;
    gw_arena_deinit(&runtime->arena);
    gw_arena_deinit(&runtime->fixed);
}
