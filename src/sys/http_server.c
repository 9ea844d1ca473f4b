/* http_server.c: the listener, the ceilings on connections and time, and the pool of requests.
 *
 * A server is freed when three things are over: it was stopped, libuv has let go of its listener and
 * all its connections, and no handler has a request of it. At its ceiling of connections the one
 * idle for longest makes room; with none idle the new one is closed. Loop's thread only. */
#include "sys/http_server.h"

#include "base/check.h"
#include "base/timefmt.h"
#include "sys/http_server_impl.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG           4096
#define POOL_MAX          64
#define BUF_KEEP_MAX      ((size_t)64 * 1024) /* a pooled request's buffer beyond is freed */
#define WRITE_TIMEOUT_MS  60000
#define LINGER_TIMEOUT_MS 5000

/* ── Requests ──────────────────────────────────────────────────────────────────────────────── */

static void maybe_free(struct gw_http_server *server);

struct gw_request *gw_request_take(struct gw_conn *conn)
{
    struct gw_http_server *server = conn->server;
    struct gw_list *link = gw_list_pop(&server->pool);
    struct gw_request *request;

    if (link) {
        request = gw_container_of(link, struct gw_request, link);
        server->pool_count--;
    } else {
        request = gw_zalloc(sizeof(*request));
        request->head = gw_alloc(server->options.header_bytes_max);
        request->server = server;
    }
    server->request_count++;
    request->conn = conn;
    request->head_len = 0;
    request->target = (struct gw_slice){request->head, 0};
    request->fields[0] = (struct gw_header){0};
    request->field_count = 0;
    request->body_bytes_max = 0;
    request->has_head = request->is_whole = request->is_chunked = request->keep_alive = false;
    request->exchange = (struct gw_exchange){
        .env = &server->loop->env,
        .arena = &request->arena,
        .method = GW_METHOD_OTHER,
        .path = GW_SLICE(""),
        .body = GW_SLICE(""),
        .peer = conn->peer,
        .complete = gw_conn_complete,
        .abort = gw_conn_abort,
    };
    conn->request = request;
    return request;
}

static void request_free(struct gw_request *request)
{
    gw_arena_deinit(&request->arena);
    gw_buf_deinit(&request->body);
    gw_buf_deinit(&request->reply_head);
    gw_free(request->head);
    gw_free(request);
}

static void buf_empty(struct gw_buf *buf)
{
    if (buf->cap > BUF_KEEP_MAX)
        gw_buf_deinit(buf);
    else
        gw_buf_clear(buf);
}

void gw_request_release(struct gw_request *request)
{
    struct gw_http_server *server = request->server;

    if (request->conn)
        request->conn->request = NULL;
    server->request_count--;
    server->bodies_bytes -= request->body.len;
    if (server->is_closed || server->pool_count == POOL_MAX) {
        request_free(request);
    } else {
        gw_arena_reset(&request->arena);
        buf_empty(&request->body);
        buf_empty(&request->reply_head);
        gw_list_insert_before(server->pool.next, &request->link); /* the warmest first */
        server->pool_count++;
    }
    maybe_free(server);
}

/* ── States and their times ────────────────────────────────────────────────────────────────── */

static void watch(struct gw_http_server *server, int64_t due)
{
    if (due >= server->timer_due)
        return;
    server->timer_due = due;
    gw_env_timer_set(&server->loop->env, &server->timer, due - (int64_t)uv_now(&server->loop->uv));
}

void gw_conn_enter(struct gw_conn *conn, enum gw_conn_state state)
{
    struct gw_http_server *server = conn->server;

    gw_list_remove(&conn->link);
    conn->state = state;
    conn->since_ms = (int64_t)uv_now(&server->loop->uv);
    if (state == GW_CONN_CLOSING)
        return;
    struct gw_conn_queue *queue = &server->queues[state];
    gw_list_push(&queue->conns, &conn->link);
    if (queue->timeout_ms > 0)
        watch(server, conn->since_ms + queue->timeout_ms);
}

/* Conns leave their queue when they expire; the next due time is that of the oldest left. */
static void on_timer(struct gw_timer *timer)
{
    struct gw_http_server *server = gw_container_of(timer, struct gw_http_server, timer);
    int64_t now = (int64_t)uv_now(&server->loop->uv);

    server->timer_due = GW_NEVER;
    for (size_t i = 0; i < gw_count(server->queues); i++) {
        struct gw_conn_queue *queue = &server->queues[i];
        while (queue->timeout_ms > 0 && !gw_list_empty(&queue->conns)) {
            struct gw_conn *conn = gw_container_of(queue->conns.next, struct gw_conn, link);
            if (conn->since_ms + queue->timeout_ms > now) {
                watch(server, conn->since_ms + queue->timeout_ms);
                break;
            }
            gw_conn_expire(conn);
        }
    }
}

/* ── Listening ─────────────────────────────────────────────────────────────────────────────── */

static void on_connection(uv_stream_t *listener, int status)
{
    struct gw_http_server *server = listener->data;

    if (status != 0)
        return; /* libuv tries again */
    struct gw_list *idle = &server->queues[GW_CONN_IDLE].conns;
    bool is_full = server->conn_count >= server->options.connections_max;
    if (is_full && !gw_list_empty(idle)) {
        gw_conn_close(gw_container_of(idle->next, struct gw_conn, link));
        is_full = false;
    }
    struct gw_conn *conn = gw_conn_start(server, listener);
    if (is_full)
        gw_conn_close(conn);
}

/* A socket bound to the address; -1 and errno on failure. */
static int bind_socket(const struct gw_addr *addr, uint16_t port, bool shared)
{
    int on = 1, off = 0;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool is_v6 = addr->family == 6;

    memcpy(&v4.sin_addr, addr->bytes, sizeof(v4.sin_addr));
    memcpy(&v6.sin6_addr, addr->bytes, sizeof(v6.sin6_addr));
    int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* accepted ones inherit it */
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (is_v6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    const struct sockaddr *name = is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
    if (bind(fd, name, is_v6 ? sizeof(v6) : sizeof(v4)) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static enum gw_err bind_failed(const struct gw_http_server_options *options, int number,
                               struct gw_error *error)
{
    enum gw_err code = number == EADDRINUSE                          ? GW_ERR_LOCKED
                       : number == EADDRNOTAVAIL || number == EACCES ? GW_ERR_INVALID
                                                                     : GW_ERR_UNAVAILABLE;

    return gw_error_set(error, code, "cannot listen on %s port %u: %s", options->host,
                        (unsigned)options->port, uv_strerror(uv_translate_sys_error(number)));
}

/* Gives the listener its socket. */
static enum gw_err listen_on(struct gw_http_server *server, struct gw_error *error)
{
    const struct gw_http_server_options *options = &server->options;
    struct gw_addr addr;

    if (!gw_addr_parse(gw_slice_from(options->host), &addr))
        return gw_error_set(error, GW_ERR_INVALID, "cannot listen on %s: it is not an IP address",
                            options->host);
    if (options->first && options->port != 0) {
        int probe = bind_socket(&addr, options->port, false);
        if (probe < 0)
            return bind_failed(options, errno, error);
        close(probe);
    }
    int fd = bind_socket(&addr, options->port, true);
    if (fd < 0)
        return bind_failed(options, errno, error);
    int status = uv_tcp_open(&server->listener, fd);
    if (status != 0) {
        close(fd);
        return bind_failed(options, -status, error);
    }
    status = uv_listen((uv_stream_t *)&server->listener, BACKLOG, on_connection);
    if (status != 0)
        return bind_failed(options, -status, error);

    struct sockaddr_storage name;
    int len = sizeof(name);
    gw_check(uv_tcp_getsockname(&server->listener, (struct sockaddr *)&name, &len) == 0);
    server->port = ntohs(name.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&name)->sin6_port
                                                    : ((struct sockaddr_in *)&name)->sin_port);
    return GW_OK;
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

enum gw_err gw_http_server_start(struct gw_env *env, const struct gw_http_server_options *options,
                                 struct gw_http_server **out, struct gw_error *error)
{
    struct gw_http_server *server = gw_zalloc(sizeof(*server));

    server->loop = gw_loop_of(env);
    server->options = *options;
    server->timer.fire = on_timer;
    server->timer_due = GW_NEVER;
    server->date_s = -1;
    gw_list_init(&server->pool);
    for (size_t i = 0; i < gw_count(server->queues); i++)
        gw_list_init(&server->queues[i].conns);
    server->queues[GW_CONN_IDLE].timeout_ms = options->idle_timeout_ms;
    server->queues[GW_CONN_READING].timeout_ms = options->request_timeout_ms;
    server->queues[GW_CONN_WRITING].timeout_ms = WRITE_TIMEOUT_MS;
    server->queues[GW_CONN_LINGER].timeout_ms = LINGER_TIMEOUT_MS;
    gw_conn_parser_settings(&server->settings);
    gw_list_push(&server->loop->servers, &server->link);
    gw_check(uv_tcp_init(&server->loop->uv, &server->listener) == 0);
    server->listener.data = server;
    server->handle_count = 1;

    enum gw_err err = listen_on(server, error);
    if (err != GW_OK) {
        gw_http_server_stop(server);
        return err;
    }
    *out = server;
    return GW_OK;
}

uint16_t gw_http_server_port(const struct gw_http_server *server)
{
    return server->port;
}

size_t gw_http_server_connections(const struct gw_http_server *server)
{
    return server->conn_count;
}

static void maybe_free(struct gw_http_server *server)
{
    if (!server->is_closed || server->handle_count > 0 || server->request_count > 0)
        return;
    struct gw_list *link;
    while ((link = gw_list_pop(&server->pool)) != NULL)
        request_free(gw_container_of(link, struct gw_request, link));
    gw_free(server);
}

void gw_http_server_handle_closed(struct gw_http_server *server)
{
    server->handle_count--;
    maybe_free(server);
}

static void on_listener_closed(uv_handle_t *handle)
{
    gw_http_server_handle_closed(handle->data);
}

static void close_queue(struct gw_conn_queue *queue)
{
    while (!gw_list_empty(&queue->conns))
        gw_conn_close(gw_container_of(queue->conns.next, struct gw_conn, link));
}

static void close_listener(struct gw_http_server *server)
{
    if (!uv_is_closing((uv_handle_t *)&server->listener))
        uv_close((uv_handle_t *)&server->listener, on_listener_closed);
}

/* A request that is here and not yet read would be lost with the connection. */
static bool has_unread(const struct gw_conn *conn)
{
    uv_os_fd_t fd;
    char byte;

    return uv_fileno((const uv_handle_t *)&conn->tcp, &fd) == 0 &&
           recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void gw_http_server_drain(struct gw_http_server *server)
{
    server->is_draining = true;
    close_listener(server);
    gw_list_each_safe (link, &server->queues[GW_CONN_IDLE].conns) {
        struct gw_conn *conn = gw_container_of(link, struct gw_conn, link);
        if (!has_unread(conn))
            gw_conn_close(conn);
    }
}

void gw_http_server_stop(struct gw_http_server *server)
{
    server->is_closed = true;
    gw_list_remove(&server->link);
    gw_env_timer_stop(&server->loop->env, &server->timer);
    close_listener(server);
    for (size_t i = 0; i < gw_count(server->queues); i++)
        close_queue(&server->queues[i]);
    maybe_free(server); /* drained, it may have no handle left */
}

void gw_http_server_stop_all(struct gw_loop *loop)
{
    while (!gw_list_empty(&loop->servers))
        gw_http_server_stop(gw_container_of(loop->servers.next, struct gw_http_server, link));
}
