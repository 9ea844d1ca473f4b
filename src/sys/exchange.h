/* exchange.h: one HTTP request and its answer, without a connection. The HTTP server makes them,
 * Lambda will make them too; the API completes them.
 *
 * Everything of the request lives until `complete` is called, in the arena or in the maker's
 * buffers; the handler may allocate the answer in the same arena. The handler completes exactly
 * once, on the exchange's loop, at once or later; the exchange is the maker's again from then on.
 * When the peer has gone meanwhile the handler does not notice, and completes as always. */
#pragma once

#include "sys/env.h"

enum gw_method {
    GW_GET,
    GW_HEAD,
    GW_POST,
    GW_PUT,
    GW_PATCH,
    GW_DELETE,
    GW_OPTIONS,
    GW_METHOD_OTHER,
};

struct gw_header {
    struct gw_slice name, value; /* names as they came; compare without case */
};

#define GW_REPLY_HEADERS_MAX 8

struct gw_exchange {
    struct gw_env *env;
    struct gw_arena *arena;

    /* request */
    enum gw_method method;
    struct gw_slice path;  /* raw, before '?' */
    struct gw_slice query; /* raw, behind '?'; ptr NULL when there is none */
    const struct gw_header *headers;
    size_t header_count;
    struct gw_slice body;
    struct gw_addr peer; /* of the connection, unmapped */
    /* When the request could not be read: the status to answer with (400, 408, 413, 417, 431, 501, 503)
     * and the reason, for the handler to put in its own form. 0 = a whole request. */
    int refused_status;
    const char *refused_why;

    /* answer */
    int status;
    const char *content_type;
    struct gw_header reply_headers[GW_REPLY_HEADERS_MAX]; /* others than length, type, date */
    size_t reply_header_count;
    struct gw_slice reply;

    void (*complete)(struct gw_exchange *exchange);
    /* Instead of complete: ends the connection with a reset and no answer. For pretending to be a
     * broken server; NULL where there is no connection. */
    void (*abort)(struct gw_exchange *exchange);
};

/* The first header of that name (without case); ptr NULL when there is none. */
struct gw_slice gw_exchange_header(const struct gw_exchange *exchange, const char *name);
