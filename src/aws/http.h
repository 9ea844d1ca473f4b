/* http.h: one HTTP exchange with a server that the operator named: its name is looked up, then it is
 * asked. No address is refused: unlike a client's webhook URL, this is the operator's word. */
#pragma once

#include "sys/env.h"

struct gw_aws_http {
    /* in; lives until done or cancelled. Of `call`: all but the addresses, the times and `done`. */
    struct gw_env *env;
    struct gw_http_call call;
    int64_t deadline_us; /* by the env's monotonic clock */
    void (*done)(struct gw_aws_http *http);

    /* out: in `call`; a name that is not found ends it as GW_HTTP_CONNECT */

    /* its own */
    struct gw_resolve resolve;
};

void gw_aws_http_start(struct gw_aws_http *http);
void gw_aws_http_cancel(struct gw_aws_http *http); /* `done` will not be called */
