/* Owns the sockets and the answers; see receiver.h. Heads are parsed in request.c, what was received is
 * counted in tally.c. On failure of a connection only that connection is closed. */
#include "receiver.h"

#include "request.h"
#include "tool.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    IN_BYTES = 16 * 1024,
    OUT_BYTES = 16 * 1024,
    ANSWER_BYTES_MAX = 4096, /* room that must be free before a request is taken up */
    HEAD_BYTES_MAX = 64 * 1024,
    STATUS_DOWN = 503, /* --flap-ms */
};

struct gw_conn {
    TAILQ_ENTRY(gw_conn) live;
    TAILQ_ENTRY(gw_conn) late;
    int fd;
    struct gw_tls_stream *tls; /* NULL = plain */
    bool listed;
    bool waiting;   /* a request is received but not answered: --delay-ms, --hang */
    bool closing;   /* close once what is in `out` has left */
    size_t scanned; /* bytes of the request already searched for the end of its head */
    uint64_t due_ns;
    struct gw_request request;
    char *in;
    size_t in_at, in_len, in_cap;
    size_t out_at, out_len;
    char out[OUT_BYTES];
};

enum step { STEP_MORE_INPUT, STEP_WAITING, STEP_OUT_FULL, STEP_CLOSE };

/* ---- answers ---- */

static void out_add(struct gw_conn *c, const char *bytes, size_t len)
{
    memcpy(c->out + c->out_len, bytes, len);
    c->out_len += len;
}

static bool out_has_room(const struct gw_conn *c)
{
    return sizeof(c->out) - c->out_len >= ANSWER_BYTES_MAX;
}

static void answer_status(struct gw_conn *c, unsigned status)
{
    char text[96];
    int len = snprintf(text, sizeof(text), "HTTP/1.1 %u \r\nContent-Length: 0\r\n%s\r\n", status,
                       c->closing ? "Connection: close\r\n" : "");

    out_add(c, text, (size_t)len);
}

static bool is_down(const struct gw_receiver_rules *rules)
{
    return rules->flap_ns && gw_now_ns() / rules->flap_ns % 2;
}

static void answer_post(struct gw_receiver_rules *rules, struct gw_conn *c)
{
    if (is_down(rules))
        answer_status(c, STATUS_DOWN);
    else if (c->closing)
        answer_status(c, rules->status);
    else
        out_add(c, rules->answer, rules->answer_len);
}

static void answer_stats(struct gw_receiver_rules *rules, struct gw_conn *c, bool reset)
{
    char text[ANSWER_BYTES_MAX - 256], head[128];
    FILE *out = fmemopen(text, sizeof(text), "w");
    size_t len;

    if (!out)
        gw_die("out of memory");
    gw_tally_print_json(rules->tally, out);
    fputc('\n', out);
    fflush(out);
    len = (size_t)ftell(out);
    fclose(out);
    if (reset)
        gw_tally_reset(rules->tally);
    out_add(c, head,
            (size_t)snprintf(head, sizeof(head),
                             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                             "Content-Length: %zu\r\n\r\n",
                             len));
    out_add(c, text, len);
}

/* ---- requests ---- */

static void in_consume(struct gw_conn *c, size_t len)
{
    c->in_at += len;
    if (c->in_at == c->in_len)
        c->in_at = c->in_len = 0;
    c->scanned = 0;
    c->request.head_len = 0;
}

/* Room for the rest of the request at hand, or for one more read. */
static bool in_make_room(struct gw_conn *c)
{
    size_t have = c->in_len - c->in_at;
    size_t need = c->request.head_len ? c->request.head_len + c->request.body_len : have + 1;

    if (!c->request.head_len && have >= HEAD_BYTES_MAX)
        return false;
    if (c->in_at > 0) {
        memmove(c->in, c->in + c->in_at, have);
        c->in_at = 0;
        c->in_len = have;
    }
    if (need > c->in_cap) {
        size_t cap = need > c->in_cap * 2 ? need : c->in_cap * 2;
        char *in = realloc(c->in, cap);

        if (!in)
            return false;
        c->in = in;
        c->in_cap = cap;
    }
    return true;
}

static bool parse_head(struct gw_conn *c)
{
    c->scanned = gw_request_parse(&c->request, c->in + c->in_at, c->in_len - c->in_at, c->scanned);
    return c->request.head_len > 0;
}

static enum step take_post(struct gw_receiver *r, struct gw_conn *c)
{
    const char *start = c->in + c->in_at;
    struct gw_receiver_rules *rules = r->rules;
    struct gw_tally_request request = {
        .target = start + c->request.target_at,
        .target_len = c->request.target_len,
        .id = start + c->request.id_at,
        .id_len = c->request.id_len,
        .body = start + c->request.head_len,
        .body_len = c->request.body_len,
        .now_ns = gw_now_ns(),
    };

    if (gw_tally_record(rules->tally, &request) >= rules->expect)
        atomic_store_explicit(&rules->stopping, true, memory_order_relaxed);
    if (!rules->hang && !rules->delay_ns) {
        answer_post(rules, c);
        return STEP_MORE_INPUT;
    }
    c->waiting = true;
    if (!rules->hang) {
        c->due_ns = request.now_ns + rules->delay_ns;
        TAILQ_INSERT_TAIL(&r->late, c, late);
    }
    return STEP_WAITING;
}

static enum step take_request(struct gw_receiver *r, struct gw_conn *c)
{
    const char *target = c->in + c->in_at + c->request.target_at;
    size_t len = c->request.target_len;
    enum step step = STEP_MORE_INPUT;

    c->closing = c->request.close_after;
    if (c->request.is_post)
        step = take_post(r, c);
    else if (c->request.is_get && len == 6 && memcmp(target, "/stats", 6) == 0)
        answer_stats(r->rules, c, false);
    else if (c->request.is_get && len == 14 && memcmp(target, "/stats?reset=1", 14) == 0)
        answer_stats(r->rules, c, true);
    else
        answer_status(c, 405);
    in_consume(c, c->request.head_len + c->request.body_len);
    return step == STEP_MORE_INPUT && c->closing ? STEP_CLOSE : step;
}

/* Takes up every complete request in the buffer, until something stands in the way. */
static enum step parse_all(struct gw_receiver *r, struct gw_conn *c)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    enum step step = STEP_MORE_INPUT;

    while (step == STEP_MORE_INPUT && !c->closing && c->in_at < c->in_len) {
        if (!out_has_room(c))
            return STEP_OUT_FULL;
        if (!c->request.head_len && !parse_head(c))
            return STEP_MORE_INPUT;
        if (c->request.reject_status) {
            c->closing = true;
            answer_status(c, c->request.reject_status);
            return STEP_CLOSE;
        }
        if (c->in_len - c->in_at < c->request.head_len + c->request.body_len) {
            if (c->request.expects_continue)
                out_add(c, go_on, sizeof(go_on) - 1);
            c->request.expects_continue = false;
            return STEP_MORE_INPUT;
        }
        step = take_request(r, c);
    }
    return step;
}

/* ---- connections ---- */

static void conn_close(struct gw_receiver *r, struct gw_conn *c)
{
    if (c->waiting && !r->rules->hang)
        TAILQ_REMOVE(&r->late, c, late);
    TAILQ_REMOVE(&r->live, c, live);
    if (c->tls)
        gw_tls_stream_destroy(c->tls);
    close(c->fd);
    free(c->in);
    free(c);
}

/* False: the peer is gone. What could not be sent stays in `out` until the socket has room. */
static bool conn_flush(struct gw_conn *c)
{
    while (c->out_at < c->out_len) {
        const char *from = c->out + c->out_at;
        size_t len = c->out_len - c->out_at;
        ssize_t n = c->tls ? gw_tls_write(c->tls, from, len) : send(c->fd, from, len, MSG_NOSIGNAL);

        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        c->out_at += (size_t)n;
    }
    c->out_at = c->out_len = 0;
    return true;
}

/* False: the connection is over. A short read has emptied a plain socket; `drained` saves asking
 * again, and what comes later raises a new event. */
static bool conn_read(struct gw_conn *c, bool peer_done, bool *drained)
{
    size_t room;
    ssize_t n;

    if (!in_make_room(c))
        return false;
    room = c->in_cap - c->in_len;
    if (c->tls)
        n = gw_tls_read(c->tls, c->in + c->in_len, room);
    else
        n = recv(c->fd, c->in + c->in_len, room, 0);
    if (n < 0) {
        *drained = true;
        return errno == EAGAIN || errno == EINTR;
    }
    c->in_len += (size_t)n;
    *drained = !c->tls && (size_t)n < room && !peer_done;
    return n > 0;
}

/* Goes as far as input, output and delays allow. May free the connection. */
static void conn_run(struct gw_receiver *r, struct gw_conn *c, bool peer_done)
{
    bool drained = false;
    enum step step;

    for (;;) {
        step = parse_all(r, c);
        if (!conn_flush(c))
            break;
        if (step == STEP_WAITING || c->out_len > 0)
            return;
        if (step == STEP_CLOSE || c->closing)
            break;
        if (step == STEP_OUT_FULL)
            continue;
        if (drained)
            return;
        if (!conn_read(c, peer_done, &drained))
            break;
    }
    conn_close(r, c);
}

void gw_receiver_on_event(struct gw_receiver *r, struct gw_conn *c, uint32_t events)
{
    if (!c->listed) {
        TAILQ_INSERT_TAIL(&r->live, c, live);
        c->listed = true;
    }
    if (events & (EPOLLERR | EPOLLHUP) || (c->waiting && events & EPOLLRDHUP))
        conn_close(r, c);
    else if (!c->waiting)
        conn_run(r, c, (events & EPOLLRDHUP) != 0);
}

void gw_receiver_answer_late(struct gw_receiver *r)
{
    uint64_t now_ns = gw_now_ns();
    struct gw_conn *c;

    while ((c = TAILQ_FIRST(&r->late)) && c->due_ns <= now_ns) {
        TAILQ_REMOVE(&r->late, c, late);
        c->waiting = false;
        answer_post(r->rules, c);
        conn_run(r, c, false);
    }
}

uint64_t gw_receiver_wait_ns(const struct gw_receiver *r, uint64_t max_ns)
{
    const struct gw_conn *first = TAILQ_FIRST(&r->late);
    uint64_t now_ns, left_ns;

    if (!first)
        return max_ns;
    now_ns = gw_now_ns();
    left_ns = first->due_ns > now_ns ? first->due_ns - now_ns : 0;
    return left_ns < max_ns ? left_ns : max_ns;
}

/* ---- life ---- */

void gw_receiver_take(struct gw_receiver *r, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
    struct gw_conn *c = calloc(1, sizeof(*c));
    int on = 1;

    if (!c)
        gw_die("out of memory");
    c->fd = fd;
    c->in_cap = IN_BYTES;
    c->in = malloc(IN_BYTES);
    if (!c->in)
        gw_die("out of memory");
    if (r->rules->tls)
        c->tls = gw_tls_stream_create(r->rules->tls, fd);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    event.data.ptr = c;
    if (epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, fd, &event))
        gw_die("epoll: %s", strerror(errno));
}

void gw_receiver_init(struct gw_receiver *r, struct gw_receiver_rules *rules)
{
    r->rules = rules;
    TAILQ_INIT(&r->live);
    TAILQ_INIT(&r->late);
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (r->epoll_fd < 0)
        gw_die("epoll: %s", strerror(errno));
}

void gw_receiver_deinit(struct gw_receiver *r)
{
    while (!TAILQ_EMPTY(&r->live))
        conn_close(r, TAILQ_FIRST(&r->live));
    close(r->epoll_fd);
}

void gw_receiver_rules_prepare(struct gw_receiver_rules *rules)
{
    /* 204 and 304 have no body and must not say how long it is. */
    bool has_body = rules->status != 204 && rules->status != 304;
    int len =
        snprintf(rules->answer, sizeof(rules->answer), "HTTP/1.1 %u %s\r\n%s\r\n", rules->status,
                 rules->status == 200 ? "OK" : "", has_body ? "Content-Length: 0\r\n" : "");

    rules->answer_len = (size_t)len;
}
