/* call.c: see call.h. */
#include "call.h"

#include <stdio.h>

static bool is_allowed(struct gw_http_call *http, const struct gw_addr *addr)
{
    struct call *call = gw_container_of(http, struct call, http);

    gw_check(addr->family == 4 || addr->family == 6);
    return call->blocked_after < 0 || call->questions++ < call->blocked_after;
}

static void on_header(struct gw_http_call *http, struct gw_slice name, struct gw_slice value)
{
    struct call *call = gw_container_of(http, struct call, http);

    gw_buf_addf(&call->headers, "%.*s=%.*s\n", GW_SLICE_ARG(name), GW_SLICE_ARG(value));
}

static void on_done(struct gw_http_call *http)
{
    struct call *call = gw_container_of(http, struct call, http);

    gw_check(!call->is_done && !call->is_starting);
    call->is_done = true;
}

void call_init(struct call *call, struct gw_env *env, uint16_t port, const char *path)
{
    *call = (struct call){.env = env, .addr = {4, {127, 0, 0, 1}}, .blocked_after = -1};
    snprintf(call->url, sizeof(call->url), "http://target.test:%u%s", (unsigned)port, path);
    call->http = (struct gw_http_call){
        .method = "POST",
        .url = call->url,
        .body = GW_SLICE("hello"),
        .host = "target.test",
        .port = port,
        .addrs = &call->addr,
        .addr_count = 1,
        .connect_timeout_ms = 30000,
        .timeout_ms = 30000,
        .reply_read_max = 65536,
        .reply_keep_max = 2048,
        .addr_allowed = is_allowed,
        .on_header = on_header,
        .done = on_done,
        .arena = &call->arena,
    };
}

void call_start(struct call *call)
{
    call->is_done = false;
    call->is_starting = true;
    gw_buf_clear(&call->headers);
    gw_env_http(call->env, &call->http);
    call->is_starting = false;
}

void call_run(struct call *call)
{
    call_start(call);
    run_until(call->env, &call->is_done);
}

void call_deinit(struct call *call)
{
    gw_arena_deinit(&call->arena);
    gw_buf_deinit(&call->headers);
}

void assert_call(struct call *call, enum gw_http_end end, int status, const char *error)
{
    struct gw_http_call *http = &call->http;

    call_run(call);
    if (http->end != end || http->status != status || strstr(http->error, error) == NULL)
        fail_msg("%s %d \"%s\", not %s %d \"%s\"", gw_http_end_name(http->end), http->status,
                 http->error, gw_http_end_name(end), status, error);
    /* What was sent and received stays out of what is logged. */
    assert_lacks(http->error, "target");
    assert_lacks(http->error, "secret");
    assert_true(strlen(http->error) < sizeof(http->error));
    assert_true((end == GW_HTTP_ANSWERED) == (http->error[0] == '\0'));
    assert_true(http->total_us >= 0 && http->connect_us >= 0 && http->tls_us >= 0 &&
                http->first_byte_us >= 0);
    assert_null(http->impl);
}
