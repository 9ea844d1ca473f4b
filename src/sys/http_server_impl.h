/* http_server_impl.h: the HTTP server from inside: http_server.c, http_conn.c, http_conn_parse.c.
 *
 * A connection's states, and what moves it on:
 *
 *   IDLE ─first byte─▶ READING ─whole, or refused─▶ BUSY ─complete()─▶ WRITING ─sent─▶ IDLE
 *    ▲                                                                    │             │
 *    └─────────────────── next request, maybe already here ◀──────────────┼─────────────┘
 *                                                                         └▶ LINGER ─▶ CLOSING
 *
 * CLOSING is reached from everywhere. Each state but it has a queue, oldest first, and a time after
 * which something happens; one timer of the server watches the heads. */
#pragma once

#include "base/buf.h"
#include "sys/http_server.h"
#include "sys/loop_impl.h"

#include <llhttp.h>

#define GW_HTTP_FIELDS_MAX 100

enum gw_conn_state {
    GW_CONN_IDLE,
    GW_CONN_READING,
    GW_CONN_BUSY, /* with the handler */
    GW_CONN_WRITING,
    GW_CONN_LINGER, /* answered; reads on, so that the peer gets to see the answer */
    GW_CONN_CLOSING,
};

struct gw_conn;

/* One request and its answer: what an idle connection does not need. From a pool; outlives the
 * connection when the handler is not done yet. */
struct gw_request {
    struct gw_exchange exchange;
    struct gw_list link; /* in the pool */
    struct gw_arena arena;
    struct gw_http_server *server;
    struct gw_conn *conn; /* NULL: gone meanwhile */

    char *head; /* target, names and values; as large as the ceiling, so nothing in it moves */
    size_t head_len;
    struct gw_slice target;
    struct gw_header fields[GW_HTTP_FIELDS_MAX];
    size_t field_count;
    struct gw_buf body;
    size_t body_bytes_max;
    bool has_head; /* the header block is complete */
    bool is_whole; /* all is there, or it was refused */
    bool is_chunked;
    bool keep_alive;

    struct gw_buf reply_head;
    uv_write_t write;
};

struct gw_conn {
    uv_tcp_t tcp;
    uv_shutdown_t shutdown;
    struct gw_list link; /* in its state's queue */
    int64_t since_ms;
    struct gw_http_server *server;
    struct gw_request *request; /* being read, worked on or answered */
    llhttp_t parser;
    struct gw_buf ahead; /* what came behind the request in work */
    size_t ahead_at;
    size_t overhead; /* bytes of this request's head, then of its body's framing */
    size_t lingered;
    struct gw_addr peer;
    enum gw_conn_state state;
    bool is_stopped;   /* not reading: too much is ahead */
    bool has_ended;    /* the peer sends no more */
    bool is_advancing; /* gw_conn_advance() is at work on it */
    bool close_after;
};

struct gw_conn_queue {
    struct gw_list conns;
    int64_t timeout_ms; /* 0 = none */
};

struct gw_http_server {
    struct gw_loop *loop;
    struct gw_list link; /* in loop->servers */
    struct gw_http_server_options options;
    uv_tcp_t listener;
    llhttp_settings_t settings;
    uint16_t port;
    bool is_draining;
    bool is_closed;

    struct gw_conn_queue queues[GW_CONN_CLOSING];
    size_t conn_count;   /* not CLOSING */
    size_t handle_count; /* that libuv has not let go of, the listener's too */
    struct gw_timer timer;
    int64_t timer_due; /* uv_now(); GW_NEVER = not running */

    struct gw_list pool;
    size_t pool_count;
    size_t request_count; /* out of the pool */
    size_t bodies_bytes;  /* in all of them */

    int64_t date_s;
    char date[40]; /* the whole header line */
    size_t date_len;
    char read_buf[64 * 1024]; /* what is read is used or copied before the next read */
};

/* http_server.c */
void gw_conn_enter(struct gw_conn *conn, enum gw_conn_state state);
struct gw_request *gw_request_take(struct gw_conn *conn);
void gw_request_release(struct gw_request *request);
void gw_http_server_handle_closed(struct gw_http_server *server);

/* http_conn.c */
struct gw_conn *gw_conn_start(struct gw_http_server *server, uv_stream_t *listener);
void gw_conn_close(struct gw_conn *conn);
void gw_conn_expire(struct gw_conn *conn);
void gw_conn_complete(struct gw_exchange *exchange);
void gw_conn_abort(struct gw_exchange *exchange);

/* http_conn_parse.c */
void gw_conn_parser_settings(llhttp_settings_t *settings);
/* Returns how much of it was used: all, unless the request became whole. */
size_t gw_conn_parse(struct gw_conn *conn, const char *data, size_t len);
void gw_conn_refuse(struct gw_conn *conn, int status, const char *why);
