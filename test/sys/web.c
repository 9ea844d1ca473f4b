/* web.c: see web.h. */
#include "web.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

uint64_t hash_bytes(const void *bytes, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
    return hash;
}

static void say(struct gw_exchange *exchange, const char *text)
{
    exchange->reply = gw_slice_from(text);
}

static void echo(struct gw_exchange *exchange)
{
    static const char *const methods[] = {
        [GW_GET] = "GET",         [GW_HEAD] = "HEAD",          [GW_POST] = "POST",
        [GW_PUT] = "PUT",         [GW_PATCH] = "PATCH",        [GW_DELETE] = "DELETE",
        [GW_OPTIONS] = "OPTIONS", [GW_METHOD_OTHER] = "OTHER",
    };
    char peer[GW_ADDR_TEXT_MAX];
    const struct gw_slice body = exchange->body;

    say(exchange, gw_arena_printf(exchange->arena, "%s %.*s %s%.*s %zu %016llx %.*s",
                                  methods[exchange->method], GW_SLICE_ARG(exchange->path),
                                  exchange->query.ptr ? "?" : "-", GW_SLICE_ARG(exchange->query),
                                  body.len, (unsigned long long)hash_bytes(body.ptr, body.len),
                                  GW_SLICE_ARG(gw_addr_text(&exchange->peer, peer))));
}

static void show_headers(struct gw_exchange *exchange)
{
    const char *text = "";

    for (size_t i = 0; i < exchange->header_count; i++)
        text = gw_arena_printf(exchange->arena, "%s%.*s=%.*s\n", text,
                               GW_SLICE_ARG(exchange->headers[i].name),
                               GW_SLICE_ARG(exchange->headers[i].value));
    say(exchange, text);
    exchange->reply_headers[0] = (struct gw_header){GW_SLICE("x-one"), GW_SLICE("1")};
    exchange->reply_headers[1] = (struct gw_header){GW_SLICE("x-empty"), GW_SLICE("")};
    exchange->reply_header_count = 2;
}

struct later {
    struct gw_timer timer;
    struct gw_exchange *exchange;
};

static void on_later(struct gw_timer *timer)
{
    struct later *later = gw_container_of(timer, struct later, timer);

    echo(later->exchange);
    later->exchange->complete(later->exchange);
}

static uint64_t number_behind(struct gw_slice path, const char *prefix)
{
    uint64_t number = 0;

    gw_slice_u64(gw_slice_skip(path, strlen(prefix)), &number);
    return number;
}

void web_handle(void *ctx, struct gw_exchange *exchange)
{
    struct web *web = ctx;
    struct gw_slice path = exchange->path;

    atomic_fetch_add(&web->handled, 1);
    exchange->content_type = "text/plain";
    exchange->status = 200;
    if (exchange->refused_status) {
        exchange->status = exchange->refused_status;
        say(exchange, exchange->refused_why);
    } else if (gw_slice_is(path, "/headers")) {
        show_headers(exchange);
    } else if (gw_slice_starts(path, GW_SLICE("/status/"))) {
        exchange->status = (int)number_behind(path, "/status/");
        say(exchange, "x");
    } else if (gw_slice_starts(path, GW_SLICE("/big/"))) {
        size_t len = number_behind(path, "/big/");
        exchange->reply =
            (struct gw_slice){memset(gw_arena_alloc(exchange->arena, len), 'b', len), len};
    } else if (gw_slice_is(path, "/later")) {
        struct later *later = gw_arena_zalloc(exchange->arena, sizeof(*later));
        later->timer.fire = on_later;
        later->exchange = exchange;
        gw_env_timer_set(exchange->env, &later->timer, 0);
        return;
    } else if (gw_slice_is(path, "/abort")) {
        exchange->abort(exchange);
        return;
    } else if (gw_slice_is(path, "/hold")) {
        exchange->reply_headers[0].value.ptr = (void *)web->held; /* a list of its own */
        web->held = exchange;
        atomic_fetch_add(&web->held_count, 1);
        return;
    } else {
        echo(exchange);
    }
    exchange->complete(exchange);
}

/* ── Calls into the loop ───────────────────────────────────────────────────────────────────── */

struct visit {
    struct gw_msg msg;
    struct web *web;
    void (*fn)(struct web *web);
    atomic_bool is_over;
};

static void on_visit(struct gw_msg *msg)
{
    struct visit *visit = gw_container_of(msg, struct visit, msg);

    visit->fn(visit->web);
    atomic_store(&visit->is_over, true);
}

void web_on_loop(struct web *web, void (*fn)(struct web *web))
{
    struct visit visit = {.msg.run = on_visit, .web = web, .fn = fn};

    gw_env_post(web->env, &visit.msg);
    while (!atomic_load(&visit.is_over))
        sched_yield();
}

static void release(struct web *web)
{
    while (web->held) {
        struct gw_exchange *exchange = web->held;
        web->held = (void *)(uintptr_t)exchange->reply_headers[0].value.ptr;
        echo(exchange);
        exchange->complete(exchange);
    }
}

void web_release(struct web *web)
{
    web_on_loop(web, release);
}

void web_wait_held(struct web *web, int count)
{
    while (atomic_load(&web->held_count) < count)
        sched_yield();
}

static _Thread_local size_t seen_connections;
static size_t *seen_at;

static void see_connections(struct web *web)
{
    *seen_at = gw_http_server_connections(web->server);
}

size_t web_connections(struct web *web)
{
    seen_at = &seen_connections;
    web_on_loop(web, see_connections);
    return seen_connections;
}

void web_wait_connections(struct web *web, size_t count)
{
    while (web_connections(web) != count)
        sched_yield();
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

static void run(void *ctx)
{
    struct web *web = ctx;
    gw_loop_run(web->env);
}

void web_start(struct web *web)
{
    struct gw_http_server_options *options = &web->options;
    struct gw_error error;

    web->env = loop_make(NULL);
    options->host = options->host ? options->host : "127.0.0.1";
    options->connections_max = options->connections_max ? options->connections_max : 100;
    options->header_bytes_max = options->header_bytes_max ? options->header_bytes_max : 8192;
    options->body_bytes_max = options->body_bytes_max ? options->body_bytes_max : 1 << 20;
    options->idle_timeout_ms = options->idle_timeout_ms ? options->idle_timeout_ms : 600000;
    options->request_timeout_ms =
        options->request_timeout_ms ? options->request_timeout_ms : 600000;
    options->on_request = web_handle;
    options->ctx = web;
    if (gw_http_server_start(web->env, options, &web->server, &error) != GW_OK)
        fail_msg("%s", error.text);
    web->port = gw_http_server_port(web->server);
    web->thread = gw_thread_start("web", run, web);
}

static void stop(struct web *web)
{
    if (web->server)
        gw_http_server_stop(web->server);
    gw_loop_stop(web->env);
}

void web_stop(struct web *web)
{
    web_on_loop(web, stop);
    gw_thread_join(web->thread);
    gw_loop_destroy(web->env);
    release(web);           /* late, and dropped */
    *web = (struct web){0}; /* what is left behind is a leak, and found */
}
