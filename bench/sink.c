/* gw_sink: a receiver for webhooks that costs as little as it can, so that what is measured is the
 * sender. Owns the sockets and the answers; heads are parsed in request.c, what was received is
 * counted in tally.c.
 *
 * Answers every POST with --status (200). GET /stats shows the counts, GET /stats?reset=1 shows them
 * and begins anew. --delay-ms answers late, --hang never. Ends with a report on SIGTERM or SIGINT,
 * after --duration, or once --expect different ids have come.
 *
 * Threads: each worker has an epoll set and owns the connections in it; worker 0 is the main thread,
 * accepts for all and hands out in turn. Sockets are edge-triggered for everything from the start,
 * so serving a request costs no epoll_ctl. A connection enters its worker's list at its first event.
 * On failure of a connection only that connection is closed. */
#include "request.h"
#include "tally.h"
#include "tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    IN_BYTES = 16 * 1024,
    OUT_BYTES = 16 * 1024,
    ANSWER_BYTES_MAX = 4096, /* room that must be free before a request is taken up */
    HEAD_BYTES_MAX = 64 * 1024,
    EVENTS = 256,
    WORKERS_MAX = 64,
    TURN_NS_MAX = 100 * 1000 * 1000,
};

struct conn {
    TAILQ_ENTRY(conn) live;
    TAILQ_ENTRY(conn) late;
    int fd;
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

TAILQ_HEAD(conn_list, conn);

struct worker {
    struct sink *sink;
    pthread_t thread;
    int epoll_fd;
    struct conn_list live;
    struct conn_list
        late; /* the delay is the same for all, so the order of arrival is that of due */
};

struct sink {
    struct gw_tally *tally;
    uint16_t port;
    unsigned status;
    unsigned worker_count, next_worker;
    uint64_t delay_ns, duration_ns, expect;
    bool hang;
    const char *seen_path;
    int listen_fd, signal_fd;
    atomic_bool stopping;
    char answer[128];
    size_t answer_len;
    struct worker workers[WORKERS_MAX];
};

enum step { STEP_MORE_INPUT, STEP_WAITING, STEP_OUT_FULL, STEP_CLOSE };

/* ---- answers ---- */

static void out_add(struct conn *c, const char *bytes, size_t len)
{
    memcpy(c->out + c->out_len, bytes, len);
    c->out_len += len;
}

static bool out_has_room(const struct conn *c)
{
    return sizeof(c->out) - c->out_len >= ANSWER_BYTES_MAX;
}

static void answer_status(struct conn *c, unsigned status)
{
    char text[96];
    int len = snprintf(text, sizeof(text), "HTTP/1.1 %u \r\nContent-Length: 0\r\n%s\r\n", status,
                       c->closing ? "Connection: close\r\n" : "");

    out_add(c, text, (size_t)len);
}

static void answer_post(struct sink *s, struct conn *c)
{
    if (c->closing)
        answer_status(c, s->status);
    else
        out_add(c, s->answer, s->answer_len);
}

static void answer_stats(struct sink *s, struct conn *c, bool reset)
{
    char text[ANSWER_BYTES_MAX - 256], head[128];
    FILE *out = fmemopen(text, sizeof(text), "w");
    size_t len;

    if (!out)
        gw_die("out of memory");
    gw_tally_print_json(s->tally, out);
    fputc('\n', out);
    fflush(out);
    len = (size_t)ftell(out);
    fclose(out);
    if (reset)
        gw_tally_reset(s->tally);
    out_add(c, head,
            (size_t)snprintf(head, sizeof(head),
                             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                             "Content-Length: %zu\r\n\r\n",
                             len));
    out_add(c, text, len);
}

/* ---- requests ---- */

static void in_consume(struct conn *c, size_t len)
{
    c->in_at += len;
    if (c->in_at == c->in_len)
        c->in_at = c->in_len = 0;
    c->scanned = 0;
    c->request.head_len = 0;
}

/* Room for the rest of the request at hand, or for one more read. */
static bool in_make_room(struct conn *c)
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

static bool parse_head(struct conn *c)
{
    c->scanned = gw_request_parse(&c->request, c->in + c->in_at, c->in_len - c->in_at, c->scanned);
    return c->request.head_len > 0;
}

static enum step take_post(struct worker *w, struct conn *c)
{
    const char *start = c->in + c->in_at;
    struct sink *s = w->sink;
    struct gw_tally_request request = {
        .target = start + c->request.target_at,
        .target_len = c->request.target_len,
        .id = start + c->request.id_at,
        .id_len = c->request.id_len,
        .body = start + c->request.head_len,
        .body_len = c->request.body_len,
        .now_ns = gw_now_ns(),
    };

    if (gw_tally_record(s->tally, &request) >= s->expect)
        atomic_store_explicit(&s->stopping, true, memory_order_relaxed);
    if (!s->hang && !s->delay_ns) {
        answer_post(s, c);
        return STEP_MORE_INPUT;
    }
    c->waiting = true;
    if (!s->hang) {
        c->due_ns = request.now_ns + s->delay_ns;
        TAILQ_INSERT_TAIL(&w->late, c, late);
    }
    return STEP_WAITING;
}

static enum step take_request(struct worker *w, struct conn *c)
{
    const char *target = c->in + c->in_at + c->request.target_at;
    size_t len = c->request.target_len;
    enum step step = STEP_MORE_INPUT;

    c->closing = c->request.close_after;
    if (c->request.is_post)
        step = take_post(w, c);
    else if (c->request.is_get && len == 6 && memcmp(target, "/stats", 6) == 0)
        answer_stats(w->sink, c, false);
    else if (c->request.is_get && len == 14 && memcmp(target, "/stats?reset=1", 14) == 0)
        answer_stats(w->sink, c, true);
    else
        answer_status(c, 405);
    in_consume(c, c->request.head_len + c->request.body_len);
    return step == STEP_MORE_INPUT && c->closing ? STEP_CLOSE : step;
}

/* Takes up every complete request in the buffer, until something stands in the way. */
static enum step parse_all(struct worker *w, struct conn *c)
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
        step = take_request(w, c);
    }
    return step;
}

/* ---- connections ---- */

static void conn_close(struct worker *w, struct conn *c)
{
    if (c->waiting && !w->sink->hang)
        TAILQ_REMOVE(&w->late, c, late);
    TAILQ_REMOVE(&w->live, c, live);
    close(c->fd);
    free(c->in);
    free(c);
}

/* False: the peer is gone. What could not be sent stays in `out` until the socket has room. */
static bool conn_flush(struct conn *c)
{
    while (c->out_at < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);

        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        c->out_at += (size_t)n;
    }
    c->out_at = c->out_len = 0;
    return true;
}

/* False: the connection is over. A short read has emptied the socket; `drained` saves asking again,
 * and what comes later raises a new event. */
static bool conn_read(struct conn *c, bool peer_done, bool *drained)
{
    size_t room;
    ssize_t n;

    if (!in_make_room(c))
        return false;
    room = c->in_cap - c->in_len;
    n = recv(c->fd, c->in + c->in_len, room, 0);
    if (n < 0) {
        *drained = true;
        return errno == EAGAIN || errno == EINTR;
    }
    c->in_len += (size_t)n;
    *drained = (size_t)n < room && !peer_done;
    return n > 0;
}

/* Goes as far as input, output and delays allow. May free the connection. */
static void conn_run(struct worker *w, struct conn *c, bool peer_done)
{
    bool drained = false;
    enum step step;

    for (;;) {
        step = parse_all(w, c);
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
    conn_close(w, c);
}

static void conn_on_event(struct worker *w, struct conn *c, uint32_t events)
{
    if (!c->listed) {
        TAILQ_INSERT_TAIL(&w->live, c, live);
        c->listed = true;
    }
    if (events & (EPOLLERR | EPOLLHUP) || (c->waiting && events & EPOLLRDHUP))
        conn_close(w, c);
    else if (!c->waiting)
        conn_run(w, c, (events & EPOLLRDHUP) != 0);
}

static void answer_late_ones(struct worker *w)
{
    uint64_t now_ns = gw_now_ns();
    struct conn *c;

    while ((c = TAILQ_FIRST(&w->late)) && c->due_ns <= now_ns) {
        TAILQ_REMOVE(&w->late, c, late);
        c->waiting = false;
        answer_post(w->sink, c);
        conn_run(w, c, false);
    }
}

static void accept_all(struct sink *s)
{
    for (;;) {
        int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
        struct worker *w = &s->workers[s->next_worker];
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
        struct conn *c;

        if (fd < 0)
            return;
        c = calloc(1, sizeof(*c));
        if (!c)
            gw_die("out of memory");
        c->fd = fd;
        c->in_cap = IN_BYTES;
        c->in = malloc(IN_BYTES);
        if (!c->in)
            gw_die("out of memory");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        s->next_worker = (s->next_worker + 1) % s->worker_count;
        event.data.ptr = c;
        if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event))
            gw_die("epoll: %s", strerror(errno));
    }
}

/* ---- workers ---- */

static struct timespec turn_timeout(const struct worker *w)
{
    const struct conn *first = TAILQ_FIRST(&w->late);
    uint64_t wait_ns = TURN_NS_MAX;

    if (first) {
        uint64_t now_ns = gw_now_ns();
        uint64_t left_ns = first->due_ns > now_ns ? first->due_ns - now_ns : 0;

        wait_ns = left_ns < wait_ns ? left_ns : wait_ns;
    }
    return (struct timespec){.tv_nsec = (long)wait_ns};
}

static void dispatch(struct worker *w, const struct epoll_event *event)
{
    struct sink *s = w->sink;

    if (event->data.ptr == &s->listen_fd)
        accept_all(s);
    else if (event->data.ptr == &s->signal_fd)
        atomic_store_explicit(&s->stopping, true, memory_order_relaxed);
    else
        conn_on_event(w, event->data.ptr, event->events);
}

static void *worker_run(void *arg)
{
    struct worker *w = arg;
    struct sink *s = w->sink;
    uint64_t end_ns = gw_now_ns() + s->duration_ns;

    prctl(PR_SET_TIMERSLACK, 1000);
    while (!atomic_load_explicit(&s->stopping, memory_order_relaxed)) {
        struct epoll_event events[EVENTS];
        struct timespec timeout = turn_timeout(w);
        int n = epoll_pwait2(w->epoll_fd, events, EVENTS, &timeout, NULL);

        for (int i = 0; i < n; i++)
            dispatch(w, &events[i]);
        if (!TAILQ_EMPTY(&w->late))
            answer_late_ones(w);
        if (n < EVENTS && gw_now_ns() >= end_ns)
            break;
    }
    return NULL;
}

static void workers_start(struct sink *s)
{
    for (unsigned i = 0; i < s->worker_count; i++) {
        struct worker *w = &s->workers[i];

        w->sink = s;
        TAILQ_INIT(&w->live);
        TAILQ_INIT(&w->late);
        w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (w->epoll_fd < 0)
            gw_die("epoll: %s", strerror(errno));
        if (i > 0 && pthread_create(&w->thread, NULL, worker_run, w))
            gw_die("cannot start a thread");
    }
}

static void workers_stop(struct sink *s)
{
    for (unsigned i = 0; i < s->worker_count; i++) {
        struct worker *w = &s->workers[i];

        if (i > 0)
            pthread_join(w->thread, NULL);
        while (!TAILQ_EMPTY(&w->live))
            conn_close(w, TAILQ_FIRST(&w->live));
        close(w->epoll_fd);
    }
}

/* ---- life ---- */

static void watch(struct sink *s, int *fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = fd};

    if (epoll_ctl(s->workers[0].epoll_fd, EPOLL_CTL_ADD, *fd, &event))
        gw_die("epoll: %s", strerror(errno));
}

static void open_signals(struct sink *s)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->signal_fd < 0)
        gw_die("signalfd: %s", strerror(errno));
}

static void open_listener(struct sink *s)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(s->port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int on = 1;

    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->listen_fd < 0)
        gw_die("socket: %s", strerror(errno));
    setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(s->listen_fd, (struct sockaddr *)&addr, sizeof(addr)) ||
        listen(s->listen_fd, GW_CONNECTIONS_MAX))
        gw_die("cannot listen on 127.0.0.1:%u: %s", s->port, strerror(errno));
    if (getsockname(s->listen_fd, (struct sockaddr *)&addr, &len))
        gw_die("getsockname: %s", strerror(errno));
    s->port = ntohs(addr.sin_port);
}

static void make_answer(struct sink *s)
{
    /* 204 and 304 have no body and must not say how long it is. */
    const char *length = s->status == 204 || s->status == 304 ? "" : "Content-Length: 0\r\n";
    int len = snprintf(s->answer, sizeof(s->answer), "HTTP/1.1 %u %s\r\n%s\r\n", s->status,
                       s->status == 200 ? "OK" : "", length);

    s->answer_len = (size_t)len;
}

static const char usage[] =
    "usage: gw_sink [options]\n"
    "  --port P         listen on 127.0.0.1:P (0, the default: a free port, printed)\n"
    "  --threads N      threads (1)\n"
    "  --status S       answer with this status (200)\n"
    "  --delay-ms D     answer each request D ms after it came\n"
    "  --hang           receive, never answer\n"
    "  --expect N       end once N different ids have come\n"
    "  --duration S     end after S seconds (3600, which is also the most)\n"
    "  --seen FILE      append at the end which events of gw_load were ever seen\n";

static void parse_options(struct sink *s, int argc, char **argv)
{
    enum { PORT, THREADS, STATUS, DELAY, HANG, EXPECT, DURATION, SEEN, HELP };
    static const struct option options[] = {
        {"port", required_argument, NULL, PORT},
        {"threads", required_argument, NULL, THREADS},
        {"status", required_argument, NULL, STATUS},
        {"delay-ms", required_argument, NULL, DELAY},
        {"hang", no_argument, NULL, HANG},
        {"expect", required_argument, NULL, EXPECT},
        {"duration", required_argument, NULL, DURATION},
        {"seen", required_argument, NULL, SEEN},
        {"help", no_argument, NULL, HELP},
        {0},
    };
    int option, which;

    while ((option = getopt_long(argc, argv, "", options, &which)) >= 0) {
        const char *name = option == '?' ? "" : options[which].name;

        switch (option) {
        case PORT: s->port = (uint16_t)gw_option_u64(name, optarg, 0, 65535); break;
        case THREADS:
            s->worker_count = (unsigned)gw_option_u64(name, optarg, 1, WORKERS_MAX);
            break;
        case STATUS: s->status = (unsigned)gw_option_u64(name, optarg, 200, 599); break;
        case DELAY: s->delay_ns = gw_option_u64(name, optarg, 0, 600000) * 1000000u; break;
        case HANG: s->hang = true; break;
        case EXPECT: s->expect = gw_option_u64(name, optarg, 1, GW_EVENTS_MAX); break;
        case DURATION: s->duration_ns = gw_option_seconds_ns(name, optarg); break;
        case SEEN: s->seen_path = optarg; break;
        case HELP: fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); exit(2);
        }
    }
    if (optind < argc)
        gw_die("unexpected '%s'", argv[optind]);
}

int main(int argc, char **argv)
{
    static struct sink sink = {.status = 200,
                               .worker_count = 1,
                               .expect = UINT64_MAX,
                               .duration_ns = GW_SECONDS_MAX * UINT64_C(1000000000)};
    struct sink *s = &sink;

    parse_options(s, argc, argv);
    make_answer(s);
    open_signals(s);
    open_listener(s);
    s->tally = gw_tally_create();
    workers_start(s);
    watch(s, &s->listen_fd);
    watch(s, &s->signal_fd);
    printf("{\"port\":%u}\n", s->port);
    fflush(stdout);

    worker_run(&s->workers[0]);
    atomic_store_explicit(&s->stopping, true, memory_order_relaxed);
    workers_stop(s);
    gw_tally_print_json(s->tally, stdout);
    putchar('\n');
    if (s->seen_path)
        gw_tally_write_seen(s->tally, s->seen_path);
    gw_tally_destroy(s->tally);
    close(s->listen_fd);
    close(s->signal_fd);
    return 0;
}
