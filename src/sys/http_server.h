/* http_server.h: HTTP/1.1 (RFC 9112) for one loop: accept, read, hand over, answer. One of these
 * runs on every shard; they share the port (SO_REUSEPORT) and the kernel spreads connections.
 *
 * One exchange at a time per connection: what is pipelined waits in the socket. TLS is a proxy's
 * job. Ceilings: connections, header block, body, idle time, time to send a whole request. */
#pragma once

#include "sys/exchange.h"

struct gw_http_server;

struct gw_http_server_options {
    const char *host; /* an address literal: "127.0.0.1", "::" */
    uint16_t port;    /* 0 = any free one; see gw_http_server_port() */
    bool first;       /* checks that nobody else has the port, before sharing it */
    size_t connections_max;
    size_t header_bytes_max;
    size_t body_bytes_max;
    /* When set, asked for each request with a body instead, once its head is complete: body and
     * refused_status are not there yet. */
    size_t (*body_bytes_max_of)(void *ctx, const struct gw_exchange *exchange);
    size_t bodies_bytes_max;    /* of all bodies together; small ones are taken still. 0 = none */
    int64_t idle_timeout_ms;    /* between requests */
    int64_t request_timeout_ms; /* from its first byte to its last */
    void (*on_request)(void *ctx, struct gw_exchange *exchange);
    void *ctx;
};

/* `loop` must be a real one (sys/loop.h). GW_ERR_LOCKED: the address is in use. */
enum gw_err gw_http_server_start(struct gw_env *loop, const struct gw_http_server_options *options,
                                 struct gw_http_server **server, struct gw_error *error);
uint16_t gw_http_server_port(const struct gw_http_server *server);
size_t gw_http_server_connections(const struct gw_http_server *server);

/* Accepts no more; idle connections are closed, others after their current answer, which says
 * "connection: close". */
void gw_http_server_drain(struct gw_http_server *server);

/* Closes everything at once and frees the server when libuv has let go; exchanges still open with
 * a handler may complete later and are then dropped. */
void gw_http_server_stop(struct gw_http_server *server);
