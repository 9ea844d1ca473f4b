/* http.c: look up, then ask. Owns nothing; state is which of the two is under way: `resolve` has an
 * impl, or `call` has. The env's thread. */
#include "aws/http.h"

#include "base/check.h"

#include <stdio.h>

#define CONNECT_MS 3000

static int64_t left_ms(const struct gw_aws_http *http)
{
    int64_t left_us = http->deadline_us - gw_env_mono_us(http->env);

    return left_us >= 1000 ? left_us / 1000 : 1;
}

static void on_replied(struct gw_http_call *call)
{
    struct gw_aws_http *http = gw_container_of(call, struct gw_aws_http, call);

    http->done(http);
}

static void ask(struct gw_aws_http *http, size_t addr_count)
{
    http->call.addrs = http->resolve.addrs;
    http->call.addr_count = addr_count;
    http->call.timeout_ms = left_ms(http);
    http->call.connect_timeout_ms = CONNECT_MS;
    http->call.done = on_replied;
    gw_env_http(http->env, &http->call);
}

static void on_resolved(struct gw_resolve *resolve)
{
    struct gw_aws_http *http = gw_container_of(resolve, struct gw_aws_http, resolve);

    if (resolve->ok) {
        ask(http, resolve->addr_count);
        return;
    }
    http->call.end = GW_HTTP_CONNECT;
    http->call.status = 0;
    http->call.is_whole = false;
    snprintf(http->call.error, sizeof(http->call.error), "%s", resolve->error);
    http->done(http);
}

void gw_aws_http_start(struct gw_aws_http *http)
{
    struct gw_addr literal;

    http->call.impl = NULL;
    http->resolve = (struct gw_resolve){
        .host = http->call.host,
        .timeout_ms = left_ms(http),
        .done = on_resolved,
    };
    if (gw_addr_parse(gw_slice_from(http->call.host), &literal))
        ask(http, 0);
    else
        gw_env_resolve(http->env, &http->resolve);
}

void gw_aws_http_cancel(struct gw_aws_http *http)
{
    if (http->call.impl)
        gw_env_http_cancel(http->env, &http->call);
    else
        gw_env_resolve_cancel(http->env, &http->resolve);
}
