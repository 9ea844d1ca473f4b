/* web.h: an HTTP server on a loop and a thread of its own, whose handler says back what it got. */
#pragma once

#include "support.h"
#include "sys/http_server.h"

struct web {
    struct gw_http_server_options options;
    struct gw_env *env;
    struct gw_http_server *server;
    struct gw_thread *thread;
    uint16_t port;
    int extra_fd; /* for what a test does on the loop */

    struct gw_exchange *held; /* by /hold; the loop's thread only */
    atomic_int held_count;
    atomic_int handled;
};

/* Paths: /echo (what was asked and a hash of the body), /headers (all fields), /status/N,
 * /big/N (N bytes), /later (answers in another turn), /hold (answers at web_release),
 * /abort (resets the connection). */
void web_start(struct web *web); /* defaults for what options leave zero */
void web_stop(struct web *web);
void web_on_loop(struct web *web, void (*fn)(struct web *web)); /* and waits until it has run */
void web_wait_held(struct web *web, int count);
void web_release(struct web *web);
size_t web_connections(struct web *web);
void web_wait_connections(struct web *web, size_t count);

uint64_t hash_bytes(const void *bytes, size_t len); /* as /echo shows it */

/* For a server in the test's own loop. */
void web_handle(void *ctx, struct gw_exchange *exchange);
