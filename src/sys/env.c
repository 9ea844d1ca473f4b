/* env.c: names for what env.h counts. */
#include "sys/env.h"

#include "base/check.h"

const char *gw_http_end_name(enum gw_http_end end)
{
    static const char *const names[] = {
        [GW_HTTP_ANSWERED] = "answered", [GW_HTTP_TIMEOUT] = "timeout",
        [GW_HTTP_CONNECT] = "connect",   [GW_HTTP_TLS] = "tls",
        [GW_HTTP_RESET] = "reset",       [GW_HTTP_PROTOCOL] = "protocol",
        [GW_HTTP_BLOCKED] = "blocked",
    };

    gw_check((size_t)end < gw_count(names));
    return names[end];
}
