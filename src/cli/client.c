/* client.c: requests to the API.
 *
 * Owns a loop while it is open; runs it until the one request, look-up or pause is over. The key is
 * wiped when the client is closed and is part of no text. Ceilings: an answer of 64 MiB, a key file
 * of 4 KiB, a minute for a request. One thread. */
#include "cli/client.h"

#include "base/alloc.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/strict.h"
#include "core/url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define URL_DEFAULT        "http://127.0.0.1:8080"
#define DATA_DIR_DEFAULT   "./gwh-data"
#define ANSWER_BYTES_MAX   ((size_t)64 * 1024 * 1024)
#define KEY_BYTES_MAX      4096
#define CONNECT_TIMEOUT_MS 5000
#define CALL_TIMEOUT_MS    60000
#define RESOLVE_TIMEOUT_MS 10000
#define WAITING_MS         1000

/* ── Opening: where ────────────────────────────────────────────────────────────────────────── */

struct lookup {
    struct gw_resolve req;
    struct gw_env *env;
};

static void on_resolved(struct gw_resolve *req)
{
    gw_loop_stop(gw_container_of(req, struct lookup, req)->env);
}

/* Everybody's own machine, also where no name server and no hosts file knows it. */
static void resolve_localhost(struct gw_client *client)
{
    gw_addr_parse(GW_SLICE("127.0.0.1"), &client->addrs[0]);
    gw_addr_parse(GW_SLICE("::1"), &client->addrs[1]);
    client->addr_count = 2;
}

static int resolve(struct gw_client *client)
{
    struct lookup lookup = {
        .req = {.host = client->host, .timeout_ms = RESOLVE_TIMEOUT_MS, .done = on_resolved},
        .env = client->env};

    gw_env_resolve(client->env, &lookup.req);
    gw_loop_run(client->env);
    if (!lookup.req.ok)
        return gw_term_fail(GW_EXIT_FAILED, "no server at %s: %s", client->base, lookup.req.error);
    memcpy(client->addrs, lookup.req.addrs, sizeof(client->addrs));
    client->addr_count = lookup.req.addr_count;
    return -1;
}

static int find_server(struct gw_client *client)
{
    const char *given = getenv("GWH_URL");
    const char *text = given && given[0] ? given : URL_DEFAULT;
    struct gw_slice base = gw_slice_from(text);
    struct gw_url url;

    if (gw_url_parse(&url, base, &client->arena, NULL) != GW_OK)
        return gw_term_fail(GW_EXIT_USAGE,
                            "GWH_URL: must be an http or https URL like %s, was \"%s\"",
                            URL_DEFAULT, text);
    if (url.query.ptr)
        return gw_term_fail(GW_EXIT_USAGE, "GWH_URL: must have no query, was \"%s\"", text);
    while (base.len > 0 && base.ptr[base.len - 1] == '/')
        base.len--;
    client->base = gw_arena_text(&client->arena, base);
    client->host = gw_arena_text(&client->arena, url.host);
    client->port = url.port;
    if (url.host_is_addr)
        return -1;
    if (gw_slice_is(url.host, "localhost")) {
        resolve_localhost(client);
        return -1;
    }
    return resolve(client);
}

/* ── Opening: who ──────────────────────────────────────────────────────────────────────────── */

static const char *data_dir(const struct gw_client_options *options)
{
    const char *given = getenv("GWH_DATA");

    if (options->data_dir)
        return options->data_dir;
    return given && given[0] ? given : DATA_DIR_DEFAULT;
}

static int read_key_file(struct gw_client *client, const struct gw_client_options *options,
                         char text[KEY_BYTES_MAX])
{
    struct gw_buf path = {0};
    int code = -1;

    gw_buf_addf(&path, "%s/admin.key", data_dir(options));
    client->key_from = gw_arena_text(&client->arena, gw_buf_slice(&path));
    FILE *file = fopen(gw_buf_text(&path), "re");
    if (file == NULL) {
        code = gw_term_fail(GW_EXIT_FAILED,
                            "no key: GWH_KEY is not set, and cannot read %s: %s (gwh serve makes "
                            "it; --data DIR says where)",
                            gw_buf_text(&path), strerror(errno));
    } else {
        size_t len = fread(text, 1, KEY_BYTES_MAX - 1, file);
        text[len] = '\0';
        fclose(file);
    }
    gw_buf_deinit(&path);
    return code;
}

/* What a header may carry: an appid is as free as an appId. */
static bool is_one_line(struct gw_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7F)
            return false;
    return true;
}

/* An appkey holds no colon, an appid may. */
static int take_key(struct gw_client *client, const char *text)
{
    struct gw_slice key = gw_slice_from(text);

    while (key.len > 0 && strchr(" \t\r\n", key.ptr[key.len - 1]))
        key.len--;
    const char *colon = memrchr(key.ptr, ':', key.len);
    if (colon == NULL || colon == key.ptr || colon == key.ptr + key.len - 1 || !is_one_line(key))
        return gw_term_fail(GW_EXIT_USAGE, "%s: must be appid:appkey", client->key_from);
    int id_len = (int)(colon - key.ptr), key_len = (int)key.len - id_len - 1;
    client->key_lines[0] = gw_arena_printf(&client->arena, "appid: %.*s", id_len, key.ptr);
    client->key_lines[1] = gw_arena_printf(&client->arena, "appkey: %.*s", key_len, colon + 1);
    return -1;
}

static int find_key(struct gw_client *client, const struct gw_client_options *options)
{
    const char *given = getenv("GWH_KEY");
    char text[KEY_BYTES_MAX];

    client->key_from = "GWH_KEY";
    if (given && given[0])
        return take_key(client, given);
    int code = read_key_file(client, options, text);
    if (code < 0) {
        code = take_key(client, text);
        gw_wipe(text, sizeof(text));
    }
    return code;
}

int gw_client_open(struct gw_client *client, const struct gw_client_options *options)
{
    struct gw_error error;

    *client = (struct gw_client){.json = options->json > 0};
    int code = find_key(client, options);
    if (code >= 0)
        return code;
    gw_sys_init();
    if (gw_loop_create(NULL, &client->env, &error) != GW_OK)
        return gw_term_fail(GW_EXIT_FAILED, "%s", error.text);
    return find_server(client);
}

void gw_client_close(struct gw_client *client)
{
    if (client->env)
        gw_loop_destroy(client->env);
    if (client->key_lines[1])
        gw_wipe((char *)(uintptr_t)client->key_lines[1], strlen(client->key_lines[1]));
    gw_arena_deinit(&client->arena);
    *client = (struct gw_client){0};
}

/* ── Asking ────────────────────────────────────────────────────────────────────────────────── */

void gw_client_prepare(const struct gw_client *client, const struct gw_client_request *request,
                       struct gw_arena *arena, struct gw_http_call *call)
{
    const char **lines = gw_arena_zalloc(arena, 7 * sizeof(*lines));
    size_t count = 0;

    lines[count++] = client->key_lines[0];
    lines[count++] = client->key_lines[1];
    lines[count++] = "user-agent: gwh/" GW_VERSION;
    lines[count++] = "accept: application/json";
    if (request->body.len > 0)
        lines[count++] = request->content_type
                             ? gw_arena_printf(arena, "content-type: %s", request->content_type)
                             : "content-type: application/json";
    if (request->if_match)
        lines[count++] = gw_arena_printf(arena, "if-match: \"%s\"", request->if_match);
    *call = (struct gw_http_call){
        .method = request->method,
        .url = gw_arena_printf(arena, "%s%s", client->base, request->path),
        .header_lines = lines,
        .body = request->body,
        .host = client->host,
        .port = client->port,
        .addrs = client->addrs,
        .addr_count = client->addr_count,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .timeout_ms = request->timeout_ms ? request->timeout_ms : CALL_TIMEOUT_MS,
        .reply_read_max = ANSWER_BYTES_MAX,
        .reply_keep_max = ANSWER_BYTES_MAX,
        .arena = arena,
    };
}

void gw_client_explain(const struct gw_client *client, const struct gw_http_call *call,
                       struct gw_buf *out)
{
    if (call->end == GW_HTTP_CONNECT)
        gw_buf_addf(out, "no server at %s: is `gwh serve` running? (%s)", client->base,
                    call->error);
    else
        gw_buf_addf(out, "no answer from %s: %s", client->base, call->error);
}

struct one_call {
    struct gw_http_call call;
    struct gw_env *env;
    struct gw_timer tick;
    int64_t started_us;
    bool is_waiting_shown;
};

static void on_tick(struct gw_timer *timer)
{
    struct one_call *one = gw_container_of(timer, struct one_call, tick);
    int64_t waited_us = gw_env_mono_us(one->env) - one->started_us;

    fprintf(stderr, "\r\x1b[Kwaiting for the server, %lld s", (long long)(waited_us / 1000000));
    one->is_waiting_shown = true;
    gw_env_timer_set(one->env, &one->tick, WAITING_MS);
}

static void run_call(struct one_call *one)
{
    one->started_us = gw_env_mono_us(one->env);
    one->tick.fire = on_tick;
    if (isatty(STDERR_FILENO) == 1)
        gw_env_timer_set(one->env, &one->tick, WAITING_MS);
    gw_env_http(one->env, &one->call);
    gw_loop_run(one->env);
    gw_env_timer_stop(one->env, &one->tick);
    if (one->is_waiting_shown)
        fputs("\r\x1b[K", stderr);
}

static void on_answer(struct gw_http_call *call)
{
    gw_loop_stop(gw_container_of(call, struct one_call, call)->env);
}

/* What the server said was wrong, in its own words. */
int gw_client_refused(const struct gw_client *client, const struct gw_client_answer *answer)
{
    struct gw_slice error = gw_client_text(yyjson_doc_get_root(answer->doc), "error");
    const char *about = client->about ? client->about : "", *colon = client->about ? ": " : "";
    struct gw_buf clean = {0};
    int code = GW_EXIT_FAILED;

    gw_text_add_clean(&clean, error, false);
    if (error.ptr && answer->status == 401)
        gw_term_fail(code, "%s (the key is from %s)", gw_buf_text(&clean), client->key_from);
    else if (error.ptr)
        gw_term_fail(code, "%s%s%s", about, colon, gw_buf_text(&clean));
    else
        gw_term_fail(code,
                     "%s answered with status %d, and not as a gwh server would: is GWH_URL right?",
                     client->base, answer->status);
    gw_buf_deinit(&clean);
    return code;
}

static void print_json(const struct gw_client_answer *answer)
{
    struct gw_buf out = {0};

    gw_buf_adds(&out, answer->body);
    if (out.len > 0 && out.ptr[out.len - 1] != '\n')
        gw_buf_addc(&out, '\n');
    gw_term_flush(&out);
    gw_buf_deinit(&out);
}

int gw_client_ask(struct gw_client *client, const struct gw_client_request *request,
                  struct gw_client_answer *answer)
{
    struct one_call one = {.env = client->env};

    *answer = (struct gw_client_answer){0};
    gw_client_prepare(client, request, &answer->arena, &one.call);
    one.call.done = on_answer;
    run_call(&one);
    if (one.call.end != GW_HTTP_ANSWERED) {
        struct gw_buf why = {0};
        gw_client_explain(client, &one.call, &why);
        int code = gw_term_fail(GW_EXIT_FAILED, "%s", gw_buf_text(&why));
        gw_buf_deinit(&why);
        return code;
    }
    answer->status = one.call.status;
    answer->body = one.call.reply;
    answer->doc = yyjson_read(answer->body.ptr, answer->body.len, YYJSON_READ_NUMBER_AS_RAW);
    answer->result = yyjson_obj_get(yyjson_doc_get_root(answer->doc), "result");
    return -1;
}

int gw_client_call(struct gw_client *client, const struct gw_client_request *request,
                   struct gw_client_answer *answer)
{
    int code = gw_client_ask(client, request, answer);

    if (code >= 0)
        return code;
    if (client->json && answer->doc)
        print_json(answer);
    if (answer->status < 200 || answer->status > 299 || answer->result == NULL)
        code = gw_client_refused(client, answer);
    return code;
}

void gw_client_answer_deinit(struct gw_client_answer *answer)
{
    yyjson_doc_free(answer->doc);
    gw_arena_deinit(&answer->arena);
    *answer = (struct gw_client_answer){0};
}

/* ── Small things ──────────────────────────────────────────────────────────────────────────── */

void gw_client_add_query(struct gw_buf *path, const char *name, const char *value)
{
    if (value == NULL)
        return;
    gw_buf_addf(path, "%c%s=", memchr(path->ptr, '?', path->len) ? '&' : '?', name);
    gw_percent_encode(path, gw_slice_from(value));
}

void gw_client_add_segment(struct gw_buf *path, const char *segment)
{
    gw_buf_addc(path, '/');
    gw_percent_encode(path, gw_slice_from(segment));
}

struct gw_slice gw_client_text(yyjson_val *object, const char *name)
{
    yyjson_val *value = yyjson_obj_get(object, name);

    if (!yyjson_is_str(value))
        return (struct gw_slice){NULL, 0};
    return (struct gw_slice){yyjson_get_str(value), yyjson_get_len(value)};
}

int64_t gw_client_number(yyjson_val *object, const char *name, int64_t otherwise)
{
    int64_t number;

    return gw_strict_i64(yyjson_obj_get(object, name), &number) ? number : otherwise;
}

double gw_client_real(yyjson_val *object, const char *name, double otherwise)
{
    yyjson_val *value = yyjson_obj_get(object, name), read;

    if (yyjson_is_raw(value) && yyjson_read_number(yyjson_get_raw(value), &read, 0, NULL, NULL))
        value = &read;
    return yyjson_is_num(value) ? yyjson_get_num(value) : otherwise;
}

int64_t gw_client_time(yyjson_val *object, const char *name)
{
    int64_t ms;

    return gw_time_parse(gw_client_text(object, name), &ms) ? ms : GW_NEVER;
}
