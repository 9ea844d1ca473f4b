/* Owns the connections of gw_load: what is sent on each, and what its answers say. See load.h.
 *
 * One request at a time on each; a request whose connection breaks is counted as an error and never
 * sent again, so an id is sent once only. An event costs one send, one receive and its share of
 * epoll_wait. */
#include "load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECONNECT_NS = 50 * 1000 * 1000 };

/* ---- connections ---- */

static void conn_set_idle(struct gw_load *l, struct gw_load_conn *c)
{
    c->state = GW_CONN_IDLE;
    TAILQ_INSERT_HEAD(&l->idle, c, idle);
}

static void conn_close(struct gw_load *l, struct gw_load_conn *c, uint64_t retry_ns)
{
    if (c->state == GW_CONN_IDLE)
        TAILQ_REMOVE(&l->idle, c, idle);
    else if (c->state == GW_CONN_BUSY)
        l->busy--;
    close(c->fd);
    free(c->rest);
    c->rest = NULL;
    c->state = GW_CONN_DOWN;
    c->since_ns = retry_ns;
}

void gw_load_conn_open(struct gw_load *l, struct gw_load_conn *c, uint64_t now_ns)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        gw_die("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->in_len = c->body_left = 0;
    c->status = 0;
    c->close_after = false;
    c->state = GW_CONN_CONNECTING;
    c->since_ns = now_ns;
    if (connect(c->fd, (struct sockaddr *)&l->addr, sizeof(l->addr)) && errno != EINPROGRESS)
        conn_close(l, c, now_ns + RECONNECT_NS);
    else if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, c->fd, &event))
        gw_die("epoll: %s", strerror(errno));
}

void gw_load_conn_fail(struct gw_load *l, struct gw_load_conn *c, uint64_t *counter,
                       uint64_t now_ns)
{
    if (c->state == GW_CONN_BUSY)
        (*counter)++;
    l->reconnects += c->state != GW_CONN_CONNECTING;
    conn_close(l, c, now_ns + RECONNECT_NS);
}

/* False: the peer is gone. */
static bool conn_flush(struct gw_load_conn *c)
{
    while (c->rest) {
        ssize_t n = send(c->fd, c->rest + c->rest_at, c->rest_len - c->rest_at, MSG_NOSIGNAL);

        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        c->rest_at += (size_t)n;
        if (c->rest_at == c->rest_len) {
            free(c->rest);
            c->rest = NULL;
        }
    }
    return true;
}

/* The bytes change with the next event, so what the socket does not take is copied. */
static bool conn_send(struct gw_load_conn *c, const char *bytes, size_t len)
{
    ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL);

    if (n == (ssize_t)len)
        return true;
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return false;
    n = n < 0 ? 0 : n;
    c->rest_at = 0;
    c->rest_len = len - (size_t)n;
    c->rest = malloc(c->rest_len);
    if (!c->rest)
        gw_die("out of memory");
    memcpy(c->rest, bytes + n, c->rest_len);
    return conn_flush(c);
}

/* ---- schedule ---- */

uint64_t gw_load_slot_ns(const struct gw_load *l, uint64_t seq)
{
    return l->start_ns + seq / l->rate * GW_NS_PER_S + seq % l->rate * GW_NS_PER_S / l->rate;
}

/* Whether the next event may be sent now, and from when its latency counts. In open loop every slot
 * before the end is owed, however late a connection becomes free for it. */
static bool next_is_due(const struct gw_load *l, uint64_t now_ns, uint64_t *from_ns)
{
    if (l->next_seq >= l->count)
        return false;
    *from_ns = l->rate ? gw_load_slot_ns(l, l->next_seq) : now_ns;
    return *from_ns <= now_ns && *from_ns < l->end_ns;
}

bool gw_load_all_sent(const struct gw_load *l, uint64_t now_ns)
{
    return l->next_seq >= l->count ||
           (l->rate ? gw_load_slot_ns(l, l->next_seq) : now_ns) >= l->end_ns;
}

void gw_load_send_due(struct gw_load *l, uint64_t now_ns)
{
    uint64_t from_ns;

    while (!TAILQ_EMPTY(&l->idle) && next_is_due(l, now_ns, &from_ns)) {
        struct gw_load_conn *c = TAILQ_FIRST(&l->idle);
        const char *bytes;
        size_t len;

        TAILQ_REMOVE(&l->idle, c, idle);
        c->state = GW_CONN_BUSY;
        c->seq = l->next_seq;
        l->next_seq += l->event.batch;
        c->line = c->column = c->line_status = 0;
        c->from_ns = from_ns;
        c->since_ns = now_ns;
        l->busy++;
        if (!l->first_send_ns)
            l->first_send_ns = now_ns;
        if (l->rate)
            gw_hist_record(&l->lag, now_ns - from_ns);
        bytes = gw_event_make(l->events, c->seq, from_ns, &len);
        if (!conn_send(c, bytes, len))
            gw_load_conn_fail(l, c, &l->resets, now_ns);
        if (l->rate)
            now_ns = gw_now_ns();
    }
}

/* ---- answers ---- */

static void on_event(struct gw_load *l, uint64_t seq, unsigned status, uint64_t now_ns)
{
    l->answered++;
    l->statuses[status]++;
    if (status < 200 || status >= 300)
        return;
    l->ok++;
    if (l->acked_path)
        gw_bitmap_set(&l->acked, seq);
    if (l->times_path)
        gw_times_set(&l->times, seq, now_ns);
}

/* Each line of a batch's answer begins with {"statusCode":202 */
static void on_lines(struct gw_load *l, struct gw_load_conn *c, size_t len, uint64_t now_ns)
{
    for (const char *at = c->in; at < c->in + len; at++) {
        unsigned column = c->column++;

        if (*at == '\n') {
            on_event(l, c->seq + c->line++, c->line_status, now_ns);
            c->column = c->line_status = 0;
        } else if (column >= 14 && column < 17) {
            c->line_status = (c->line_status * 10 + (unsigned)(*at - '0')) % GW_LOAD_STATUS_MAX;
        }
    }
}

static void on_answer(struct gw_load *l, struct gw_load_conn *c, uint64_t now_ns)
{
    bool is_batch = l->event.batch > 1 && c->status == 200;

    while (!is_batch && c->line < l->event.batch)
        on_event(l, c->seq + c->line++, c->status, now_ns);
    l->protocol_errors += c->line != l->event.batch;
    l->last_answer_ns = now_ns;
    gw_hist_record(&l->latency, now_ns - c->from_ns);
    c->status = 0;
    if (c->close_after) {
        l->reconnects++;
        conn_close(l, c, now_ns);
        gw_load_conn_open(l, c, now_ns);
    } else {
        l->busy--;
        conn_set_idle(l, c);
        gw_load_send_due(l, now_ns);
    }
}

static bool header_is(const char *line, const char *end, const char *name, const char **value)
{
    size_t len = strlen(name);

    if ((size_t)(end - line) <= len || line[len] != ':' || strncasecmp(line, name, len) != 0)
        return false;
    for (*value = line + len + 1; *value < end && **value == ' ';)
        (*value)++;
    return true;
}

/* False: not an answer this program can follow. `end` is the last line's CR LF. */
static bool parse_headers(struct gw_load_conn *c, const char *line, const char *end)
{
    bool has_length = c->status == 204 || c->status == 304;

    while (line < end) {
        const char *stop = memchr(line, '\r', (size_t)(end + 1 - line)), *value;

        if (header_is(line, stop, "content-length", &value)) {
            char *digits_end;

            c->body_left = strtoul(value, &digits_end, 10);
            has_length = digits_end > value;
        } else if (header_is(line, stop, "connection", &value)) {
            c->close_after = stop - value == 5 && strncasecmp(value, "close", 5) == 0;
        } else if (header_is(line, stop, "transfer-encoding", &value)) {
            return false;
        }
        line = stop + 2;
    }
    return has_length;
}

/* Takes the head of the answer out of the buffer when it is complete. */
static bool parse_head(struct gw_load_conn *c)
{
    char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    const char *line;
    size_t used;

    if (!end)
        return c->in_len < sizeof(c->in);
    if (end - c->in < 12 || memcmp(c->in, "HTTP/1.1 ", 9) != 0)
        return false;
    c->status = 0;
    for (int i = 9; i < 12; i++)
        c->status = c->status * 10 + (unsigned)(c->in[i] - '0');
    if (c->status < 100 || c->status >= GW_LOAD_STATUS_MAX)
        return false;
    line = (const char *)memchr(c->in, '\r', c->in_len) + 2;
    used = (size_t)(end + 4 - c->in);
    if (c->status < 200)
        c->status = 0;
    else if (!parse_headers(c, line, end))
        return false;
    c->in_len -= used;
    memmove(c->in, c->in + used, c->in_len);
    return c->status || c->in_len == 0 || parse_head(c);
}

/* False: the answer cannot be followed. */
static bool on_bytes(struct gw_load *l, struct gw_load_conn *c, uint64_t now_ns)
{
    size_t part;

    if (c->in_len > 0 && c->state != GW_CONN_BUSY)
        return false;
    if (!c->status && !parse_head(c))
        return false;
    if (!c->status)
        return true;
    part = c->in_len < c->body_left ? c->in_len : c->body_left;
    if (l->event.batch > 1 && c->status == 200)
        on_lines(l, c, part, now_ns);
    c->body_left -= part;
    c->in_len -= part;
    if (c->in_len > 0)
        return false;
    if (c->body_left == 0)
        on_answer(l, c, now_ns);
    return true;
}

static void conn_read(struct gw_load *l, struct gw_load_conn *c, bool peer_done)
{
    for (;;) {
        size_t room = sizeof(c->in) - c->in_len;
        ssize_t n = recv(c->fd, c->in + c->in_len, room, 0);
        uint64_t now_ns = gw_now_ns();

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            gw_load_conn_fail(l, c, &l->resets, now_ns);
            return;
        }
        c->in_len += (size_t)n;
        if (!on_bytes(l, c, now_ns)) {
            gw_load_conn_fail(l, c, &l->protocol_errors, now_ns);
            return;
        }
        if (c->state != GW_CONN_IDLE && c->state != GW_CONN_BUSY)
            return;
        /* A short read has emptied the socket; what comes later raises a new event. */
        if ((size_t)n < room && !peer_done)
            return;
    }
}

void gw_load_conn_on_event(struct gw_load *l, struct gw_load_conn *c, uint32_t events)
{
    /* Closed by an earlier event of the same batch. */
    if (c->state == GW_CONN_DOWN)
        return;
    if (events & (EPOLLERR | EPOLLHUP)) {
        gw_load_conn_fail(l, c, &l->resets, gw_now_ns());
        return;
    }
    if (c->state == GW_CONN_CONNECTING) {
        if (events & EPOLLOUT)
            conn_set_idle(l, c);
        if (l->start_ns)
            gw_load_send_due(l, gw_now_ns());
        return;
    }
    if (c->rest && !conn_flush(c)) {
        gw_load_conn_fail(l, c, &l->resets, gw_now_ns());
        return;
    }
    if (events & (EPOLLIN | EPOLLRDHUP))
        conn_read(l, c, (events & EPOLLRDHUP) != 0);
}
