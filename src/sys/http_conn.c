/* http_conn.c: one connection to the HTTP server: what is read, what is written, and when it ends.
 *
 * A connection owns its socket, its parser and the bytes that came too early; it borrows a request
 * from the server's pool while there is one. Invariants: it is in the queue of its state unless
 * CLOSING; `request` is set in READING, BUSY and WRITING; it is freed in libuv's close callback and
 * nowhere else, so every function may look at it after calling out, and looks at `state` first.
 *
 * Reading goes on while the handler works: stopping and starting costs two system calls a request,
 * and a lost peer is noticed. What is ahead is kept up to AHEAD_MAX. A connection that fails is
 * closed; if the handler has its request, the answer is dropped when it comes. Loop's thread only. */
#include "base/check.h"
#include "base/timefmt.h"
#include "sys/http_server_impl.h"

#include <netinet/in.h>
#include <stdio.h>

#define AHEAD_MAX  ((size_t)64 * 1024)
#define LINGER_MAX ((size_t)16 * 1024 * 1024)

/* ── The answer ────────────────────────────────────────────────────────────────────────────── */

static const char *status_reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 207: return "Multi-Status";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 507: return "Insufficient Storage";
    default: return "";
    }
}

static void add_number(struct gw_buf *buf, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    gw_buf_add(buf, digits + at, sizeof(digits) - at);
}

static void add_date(struct gw_http_server *server, struct gw_buf *buf)
{
    int64_t now_s = gw_env_wall_ms(&server->loop->env) / 1000;

    if (server->date_s != now_s) {
        char text[GW_TIME_TEXT_MAX];
        struct gw_slice date = gw_time_http(now_s * 1000, text);
        server->date_s = now_s;
        server->date_len = (size_t)snprintf(server->date, sizeof(server->date), "date: %.*s\r\n",
                                            GW_SLICE_ARG(date));
    }
    gw_buf_add(buf, server->date, server->date_len);
}

static bool is_one_line(struct gw_slice s)
{
    return memchr(s.ptr, '\r', s.len) == NULL && memchr(s.ptr, '\n', s.len) == NULL;
}

static bool has_content(const struct gw_exchange *exchange)
{
    return exchange->status >= 200 && exchange->status != 204 && exchange->status != 304;
}

static void add_field(struct gw_buf *buf, struct gw_slice name, struct gw_slice value)
{
    gw_check(is_one_line(name) && is_one_line(value)); /* or the answer is two */
    gw_buf_adds(buf, name);
    gw_buf_add(buf, ": ", 2);
    gw_buf_adds(buf, value);
    gw_buf_add(buf, "\r\n", 2);
}

static void make_head(struct gw_conn *conn)
{
    const struct gw_exchange *exchange = &conn->request->exchange;
    struct gw_buf *buf = &conn->request->reply_head;

    gw_check(exchange->status >= 200 && exchange->status <= 599);
    gw_check(exchange->reply_header_count <= GW_REPLY_HEADERS_MAX);
    gw_buf_clear(buf);
    gw_buf_adds(buf, GW_SLICE("HTTP/1.1 "));
    add_number(buf, (uint64_t)exchange->status);
    gw_buf_addc(buf, ' ');
    gw_buf_adds(buf, gw_slice_from(status_reason(exchange->status)));
    gw_buf_add(buf, "\r\n", 2);
    add_date(conn->server, buf);
    if (exchange->content_type)
        add_field(buf, GW_SLICE("content-type"), gw_slice_from(exchange->content_type));
    if (has_content(exchange)) {
        gw_buf_adds(buf, GW_SLICE("content-length: "));
        add_number(buf, exchange->reply.len);
        gw_buf_add(buf, "\r\n", 2);
    }
    if (conn->close_after)
        gw_buf_adds(buf, GW_SLICE("connection: close\r\n"));
    for (size_t i = 0; i < exchange->reply_header_count; i++)
        add_field(buf, exchange->reply_headers[i].name, exchange->reply_headers[i].value);
    gw_buf_add(buf, "\r\n", 2);
}

/* ── Ending ────────────────────────────────────────────────────────────────────────────────── */

static void on_closed(uv_handle_t *handle)
{
    struct gw_conn *conn = gw_container_of((uv_tcp_t *)handle, struct gw_conn, tcp);
    struct gw_http_server *server = conn->server;

    gw_buf_deinit(&conn->ahead);
    gw_free(conn);
    gw_http_server_handle_closed(server);
}

void gw_conn_close(struct gw_conn *conn)
{
    if (conn->state == GW_CONN_CLOSING)
        return;
    if (conn->state == GW_CONN_BUSY) {
        conn->request->conn = NULL; /* the handler's still */
        conn->request = NULL;
    } else if (conn->request && conn->state != GW_CONN_WRITING) {
        gw_request_release(conn->request);
    }
    /* In WRITING libuv has it until on_written. */
    gw_conn_enter(conn, GW_CONN_CLOSING);
    conn->server->conn_count--;
    uv_close((uv_handle_t *)&conn->tcp, on_closed);
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
    struct gw_conn *conn = gw_container_of(req, struct gw_conn, shutdown);

    if (status != 0 || conn->has_ended)
        gw_conn_close(conn);
}

static void start_reading(struct gw_conn *conn);

/* A socket closed with bytes unread resets the connection, and the peer may never see the answer.
 * So: say that no more comes, then read until the peer ends too, or has had its chance. */
static void linger(struct gw_conn *conn)
{
    gw_conn_enter(conn, GW_CONN_LINGER);
    gw_buf_deinit(&conn->ahead);
    conn->ahead_at = 0;
    if (uv_shutdown(&conn->shutdown, (uv_stream_t *)&conn->tcp, on_shutdown) != 0)
        gw_conn_close(conn);
    else if (conn->is_stopped)
        start_reading(conn);
}

/* ── Working ───────────────────────────────────────────────────────────────────────────────── */

static void advance(struct gw_conn *conn);

static void after_answer(struct gw_conn *conn)
{
    bool peer_knows = conn->request->exchange.refused_status == 0 && !conn->request->keep_alive;

    gw_request_release(conn->request);
    if (!conn->close_after) {
        gw_conn_enter(conn, GW_CONN_IDLE);
        advance(conn);
    } else if (conn->has_ended || (peer_knows && conn->ahead_at == conn->ahead.len)) {
        gw_conn_close(conn);
    } else {
        linger(conn);
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct gw_request *request = gw_container_of(write, struct gw_request, write);
    struct gw_conn *conn = request->conn;

    if (conn->state == GW_CONN_CLOSING) {
        gw_request_release(request);
    } else if (status != 0) {
        gw_request_release(request);
        gw_conn_enter(conn, GW_CONN_IDLE);
        gw_conn_close(conn);
    } else {
        after_answer(conn);
    }
}

/* Most answers fit into the socket's buffer and leave in one system call. */
static void answer(struct gw_conn *conn)
{
    struct gw_request *request = conn->request;
    struct gw_exchange *exchange = &request->exchange;
    uv_stream_t *stream = (uv_stream_t *)&conn->tcp;

    if (!request->keep_alive || conn->server->is_draining)
        conn->close_after = true;
    make_head(conn);
    uv_buf_t bufs[2] = {
        {.base = request->reply_head.ptr, .len = request->reply_head.len},
        {.base = (char *)(uintptr_t)exchange->reply.ptr, .len = exchange->reply.len},
    };
    bool has_body = has_content(exchange) && exchange->method != GW_HEAD && exchange->reply.len > 0;
    unsigned count = has_body ? 2 : 1;
    unsigned first = 0;

    gw_conn_enter(conn, GW_CONN_WRITING);
    int sent = uv_try_write(stream, bufs, count);
    if (sent < 0 && sent != UV_EAGAIN) {
        gw_conn_enter(conn, GW_CONN_IDLE); /* nothing of the request is with libuv */
        gw_conn_close(conn);
        return;
    }
    for (size_t skip = sent > 0 ? (size_t)sent : 0; first < count; first++) {
        if (skip < bufs[first].len) {
            bufs[first].base += skip;
            bufs[first].len -= skip;
            break;
        }
        skip -= bufs[first].len;
    }
    if (first == count)
        after_answer(conn);
    else
        gw_check(uv_write(&request->write, stream, bufs + first, count - first, on_written) == 0);
}

void gw_conn_complete(struct gw_exchange *exchange)
{
    struct gw_request *request = gw_container_of(exchange, struct gw_request, exchange);
    struct gw_conn *conn = request->conn;

    if (conn == NULL) {
        gw_request_release(request);
        return;
    }
    gw_check(conn->state == GW_CONN_BUSY); /* or completed twice */
    answer(conn);
}

void gw_conn_abort(struct gw_exchange *exchange)
{
    struct gw_request *request = gw_container_of(exchange, struct gw_request, exchange);
    struct gw_conn *conn = request->conn;

    gw_request_release(request);
    if (conn == NULL)
        return;
    gw_check(conn->state == GW_CONN_BUSY);
    gw_conn_enter(conn, GW_CONN_CLOSING);
    conn->server->conn_count--;
    gw_check(uv_tcp_close_reset(&conn->tcp, on_closed) == 0); /* nothing is shutting it down */
}

static void hand_over(struct gw_conn *conn)
{
    struct gw_http_server *server = conn->server;

    gw_conn_enter(conn, GW_CONN_BUSY);
    server->options.on_request(server->options.ctx, &conn->request->exchange);
}

/* Takes bytes of a request not yet whole; returns how many it used. */
static size_t feed(struct gw_conn *conn, const char *data, size_t len)
{
    size_t used = gw_conn_parse(conn, data, len);

    if (conn->state == GW_CONN_IDLE && conn->request)
        gw_conn_enter(conn, GW_CONN_READING);
    return used;
}

static bool wants_bytes(const struct gw_conn *conn)
{
    return conn->state == GW_CONN_IDLE || conn->state == GW_CONN_READING;
}

/* A request that is whole goes to the handler, which may answer at once; then the next, if it is
 * here already: a loop and no recursion, however many were sent together. */
static void advance(struct gw_conn *conn)
{
    if (conn->is_advancing)
        return;
    conn->is_advancing = true;
    while (wants_bytes(conn)) {
        if (conn->request && conn->request->is_whole) {
            hand_over(conn);
        } else if (conn->ahead_at < conn->ahead.len) {
            conn->ahead_at +=
                feed(conn, conn->ahead.ptr + conn->ahead_at, conn->ahead.len - conn->ahead_at);
        } else {
            gw_buf_deinit(&conn->ahead);
            conn->ahead_at = 0;
            if (conn->has_ended)
                gw_conn_close(conn);
            else if (conn->is_stopped)
                start_reading(conn);
            break;
        }
    }
    conn->is_advancing = false;
}

/* ── Reading ───────────────────────────────────────────────────────────────────────────────── */

static void on_end(struct gw_conn *conn, ssize_t status)
{
    conn->has_ended = true;
    if (status == UV_EOF && (conn->state == GW_CONN_BUSY || conn->state == GW_CONN_WRITING))
        return; /* half closed: it still wants the answer */
    gw_conn_close(conn);
}

static void keep(struct gw_conn *conn, const char *data, size_t len)
{
    gw_buf_add(&conn->ahead, data, len);
    if (conn->ahead.len - conn->ahead_at > AHEAD_MAX && !conn->is_stopped) {
        uv_read_stop((uv_stream_t *)&conn->tcp);
        conn->is_stopped = true;
    }
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct gw_conn *conn = gw_container_of((uv_tcp_t *)stream, struct gw_conn, tcp);

    if (nread == 0 || conn->state == GW_CONN_CLOSING)
        return;
    if (nread < 0) {
        on_end(conn, nread);
        return;
    }
    size_t len = (size_t)nread;
    if (conn->state == GW_CONN_LINGER) {
        conn->lingered += len;
        if (conn->lingered > LINGER_MAX)
            gw_conn_close(conn);
        return;
    }
    size_t used = wants_bytes(conn) ? feed(conn, buf->base, len) : 0;
    if (used < len)
        keep(conn, buf->base + used, len - used);
    if (conn->request && conn->request->is_whole)
        advance(conn);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct gw_conn *conn = gw_container_of((uv_tcp_t *)handle, struct gw_conn, tcp);

    (void)suggested;
    *buf = uv_buf_init(conn->server->read_buf, sizeof(conn->server->read_buf));
}

static void start_reading(struct gw_conn *conn)
{
    conn->is_stopped = false;
    if (!conn->has_ended && uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read) != 0)
        gw_conn_close(conn);
}

void gw_conn_expire(struct gw_conn *conn)
{
    if (conn->state == GW_CONN_READING) {
        gw_conn_refuse(conn, 408, "the request did not come in time");
        advance(conn);
    } else {
        gw_conn_close(conn);
    }
}

/* ── The beginning ─────────────────────────────────────────────────────────────────────────── */

static struct gw_addr peer_of(const uv_tcp_t *tcp)
{
    struct sockaddr_storage name;
    int len = sizeof(name);
    struct gw_addr addr = {0};

    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&name, &len) != 0)
        return addr;
    if (name.ss_family == AF_INET) {
        addr.family = 4;
        memcpy(addr.bytes, &((struct sockaddr_in *)&name)->sin_addr, 4);
    } else if (name.ss_family == AF_INET6) {
        addr.family = 6;
        memcpy(addr.bytes, &((struct sockaddr_in6 *)&name)->sin6_addr, 16);
    }
    return gw_addr_unmap(&addr);
}

struct gw_conn *gw_conn_start(struct gw_http_server *server, uv_stream_t *listener)
{
    struct gw_conn *conn = gw_zalloc(sizeof(*conn));

    conn->server = server;
    gw_list_init(&conn->link);
    gw_check(uv_tcp_init(&server->loop->uv, &conn->tcp) == 0);
    server->handle_count++;
    server->conn_count++;
    gw_conn_enter(conn, GW_CONN_IDLE);
    if (uv_accept(listener, (uv_stream_t *)&conn->tcp) != 0) {
        gw_conn_close(conn);
        return conn;
    }
    llhttp_init(&conn->parser, HTTP_REQUEST, &server->settings);
    conn->parser.data = conn;
    conn->peer = peer_of(&conn->tcp);
    start_reading(conn);
    return conn;
}
