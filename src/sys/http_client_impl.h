/* http_client_impl.h: the HTTP client from inside; for http_client*.c only. */
#pragma once

#include "base/buf.h"
#include "sys/loop_impl.h"

#include <curl/curl.h>

/* A socket of libcurl's and the libuv handle that watches it; freed in the handle's close
 * callback. */
struct gw_http_socket {
    uv_poll_t poll;
    struct gw_http_client *client;
    curl_socket_t fd;
    int mask;     /* what libuv watches */
    int want;     /* what libcurl wants watched; 0: a kept connection */
    bool is_ours; /* made by open_socket, so close_socket will end it */
};

enum gw_http_shape { GW_SHAPE_NONE, GW_SHAPE_POST, GW_SHAPE_OTHER };

/* An easy handle, and the call it works for; pooled when it works for none. */
struct gw_transfer {
    CURL *easy;
    struct gw_list link; /* in the client's idle, open or failed */
    struct gw_http_client *client;
    struct gw_http_call *call;
    int64_t started_us;
    enum gw_http_shape shape; /* what the handle was last used for */
    bool is_literal;          /* the host is an address */
    bool was_retried;
    bool is_open; /* counted in open_count */
    struct curl_slist resolve;

    /* of the try that runs */
    size_t header_bytes;
    int status;
    bool in_block;    /* between a status line and the empty line */
    bool is_answered; /* the final header block is complete */
    bool is_securing; /* TCP is connected, TLS is not */
    bool is_sending;  /* connected; the request goes out */
    bool has_length, is_chunked;
    uint64_t length;
    const char *bad;       /* what is wrong with the reply's head */
    size_t blocked, tried; /* addresses */
    size_t body_bytes;
    struct gw_buf reply; /* kept between calls */
};

struct gw_http_client {
    struct gw_loop *loop;
    CURLM *multi;
    struct gw_timer timer; /* libcurl's */
    bool is_due;           /* libcurl wants to run before the loop sleeps */
    bool is_in_curl;       /* in a call that may call back */
    struct gw_list idle, open, failed;
    size_t idle_count;
    size_t open_count;               /* in the multi */
    size_t kept_max;                 /* connections kept for later, beside those in use */
    struct gw_http_socket **sockets; /* by descriptor */
    size_t socket_cap;
    char *ca_path;
    int ca_fd; /* of a memory file holding both lists of authorities; -1 = none */
};

/* http_client.c */
void gw_http_client_reap(struct gw_http_client *client);

/* http_client_socket.c */
curl_socket_t gw_http_socket_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *addr);
int gw_http_socket_close(void *ctx, curl_socket_t fd);
int gw_http_socket_watch(CURL *easy, curl_socket_t fd, int what, void *ctx, void *assigned);
int gw_http_socket_used(void *ctx, char *peer, char *local, int peer_port, int local_port);

/* http_client_reply.c */
size_t gw_http_reply_header(char *data, size_t size, size_t count, void *ctx);
size_t gw_http_reply_body(char *data, size_t size, size_t count, void *ctx);
void gw_http_reply_outcome(struct gw_transfer *t, CURLcode code); /* fills the call */
void gw_http_reply_fail(struct gw_http_call *call, enum gw_http_end end, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* http_client_ca.c */
enum gw_err gw_http_ca_init(struct gw_http_client *client, const char *ca_file,
                            struct gw_error *error);
void gw_http_ca_deinit(struct gw_http_client *client);
