/* call.h: one HTTP request going out, with all that a test wants to know about it. */
#pragma once

#include "support.h"

struct call {
    struct gw_http_call http;
    struct gw_arena arena;
    struct gw_env *env;
    char url[256];
    struct gw_addr addr; /* where http.addrs points: 127.0.0.1 */
    bool is_done, is_starting;
    int blocked_after; /* addr_allowed says no from this question on; -1 = never */
    int questions;
    struct gw_buf headers; /* what on_header saw: name=value\n */
};

/* A POST of "hello" to http://target.test:PORT/PATH; change what is to be different. */
void call_init(struct call *call, struct gw_env *env, uint16_t port, const char *path);
void call_start(struct call *call);
void call_run(struct call *call); /* starts it, and runs the loop until it is done */
void call_deinit(struct call *call);

/* Runs a call and says how it must end; `error` is a part of the text. */
void assert_call(struct call *call, enum gw_http_end end, int status, const char *error);
