/* gw_load: posts events over kept connections, one or many (--batch) in a request, and measures how
 * long each answer takes.
 *
 * Closed loop (default): each connection sends its next event when it has its answer. Open loop
 * (--rate R): event i is due at start + i/R whatever happened before, and its latency counts from
 * that moment, so a server that stops for a second is charged with every event of that second
 * (coordinated omission). The same moment travels in the body, for the sink.
 *
 * Owns the connections, the schedule and the report. One thread. One request at a time on each
 * connection; a request whose connection breaks is counted as an error and never sent again, so
 * an id is sent once only. An event costs one send, one receive and its share of epoll_wait. */
#include "event.h"
#include "hist.h"
#include "tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

enum {
    IN_BYTES = 16 * 1024,
    EVENTS = 256,
    STATUS_MAX = 600,
    TURN_NS_MAX = 100 * 1000 * 1000,
    RECONNECT_NS = 50 * 1000 * 1000,
};

enum conn_state { CONN_DOWN, CONN_CONNECTING, CONN_IDLE, CONN_BUSY };

struct conn {
    TAILQ_ENTRY(conn) idle;
    int fd;
    enum conn_state state;
    uint64_t since_ns; /* DOWN: next try; CONNECTING, BUSY: began */
    uint64_t from_ns;  /* BUSY: latency counts from here */
    uint64_t seq;
    /* The answer: its head gathers in `in`, its body is counted and dropped. */
    size_t in_len, body_left;
    unsigned status; /* 0 while the head is not complete */
    bool close_after;
    unsigned line, column, line_status; /* of a batch's answer */
    /* What the socket did not take at once. */
    char *rest;
    size_t rest_at, rest_len;
    char in[IN_BYTES];
};

TAILQ_HEAD(conn_list, conn);

struct load {
    /* what was asked for */
    const char *url, *acked_path, *times_path;
    struct gw_event_options event;
    unsigned conn_count;
    uint64_t duration_ns, count, rate, timeout_ns, drain_ns;
    struct sockaddr_in addr;
    /* what is going on */
    int epoll_fd;
    struct conn *conns;
    struct conn_list idle;
    struct gw_event_source *events;
    uint64_t start_ns, end_ns, next_seq, tick_ns, all_down_since_ns;
    unsigned busy;
    /* what came of it */
    uint64_t answered, ok, resets, timeouts, protocol_errors, reconnects, unsent;
    uint64_t statuses[STATUS_MAX];
    uint64_t first_send_ns, last_answer_ns, cpu_ns;
    struct gw_hist latency, lag;
    struct gw_bitmap acked;
    struct gw_times times;
};

/* ---- connections ---- */

static void conn_set_idle(struct load *l, struct conn *c)
{
    c->state = CONN_IDLE;
    TAILQ_INSERT_HEAD(&l->idle, c, idle);
}

static void conn_close(struct load *l, struct conn *c, uint64_t retry_ns)
{
    if (c->state == CONN_IDLE)
        TAILQ_REMOVE(&l->idle, c, idle);
    else if (c->state == CONN_BUSY)
        l->busy--;
    close(c->fd);
    free(c->rest);
    c->rest = NULL;
    c->state = CONN_DOWN;
    c->since_ns = retry_ns;
}

static void conn_open(struct load *l, struct conn *c, uint64_t now_ns)
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
    c->state = CONN_CONNECTING;
    c->since_ns = now_ns;
    if (connect(c->fd, (struct sockaddr *)&l->addr, sizeof(l->addr)) && errno != EINPROGRESS)
        conn_close(l, c, now_ns + RECONNECT_NS);
    else if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, c->fd, &event))
        gw_die("epoll: %s", strerror(errno));
}

/* The connection is of no more use; what was under way on it counts under `counter`. */
static void conn_fail(struct load *l, struct conn *c, uint64_t *counter, uint64_t now_ns)
{
    if (c->state == CONN_BUSY)
        (*counter)++;
    l->reconnects += c->state != CONN_CONNECTING;
    conn_close(l, c, now_ns + RECONNECT_NS);
}

/* False: the peer is gone. */
static bool conn_flush(struct conn *c)
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
static bool conn_send(struct conn *c, const char *bytes, size_t len)
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

static uint64_t slot_ns(const struct load *l, uint64_t seq)
{
    return l->start_ns + seq / l->rate * NS_PER_S + seq % l->rate * NS_PER_S / l->rate;
}

/* Whether the next event may be sent now, and from when its latency counts. In open loop every slot
 * before the end is owed, however late a connection becomes free for it. */
static bool next_is_due(const struct load *l, uint64_t now_ns, uint64_t *from_ns)
{
    if (l->next_seq >= l->count)
        return false;
    *from_ns = l->rate ? slot_ns(l, l->next_seq) : now_ns;
    return *from_ns <= now_ns && *from_ns < l->end_ns;
}

static bool all_sent(const struct load *l, uint64_t now_ns)
{
    return l->next_seq >= l->count || (l->rate ? slot_ns(l, l->next_seq) : now_ns) >= l->end_ns;
}

static void send_due(struct load *l, uint64_t now_ns)
{
    uint64_t from_ns;

    while (!TAILQ_EMPTY(&l->idle) && next_is_due(l, now_ns, &from_ns)) {
        struct conn *c = TAILQ_FIRST(&l->idle);
        const char *bytes;
        size_t len;

        TAILQ_REMOVE(&l->idle, c, idle);
        c->state = CONN_BUSY;
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
            conn_fail(l, c, &l->resets, now_ns);
        if (l->rate)
            now_ns = gw_now_ns();
    }
}

/* ---- answers ---- */

static void on_event(struct load *l, uint64_t seq, unsigned status, uint64_t now_ns)
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
static void on_lines(struct load *l, struct conn *c, size_t len, uint64_t now_ns)
{
    for (const char *at = c->in; at < c->in + len; at++) {
        unsigned column = c->column++;

        if (*at == '\n') {
            on_event(l, c->seq + c->line++, c->line_status, now_ns);
            c->column = c->line_status = 0;
        } else if (column >= 14 && column < 17) {
            c->line_status = (c->line_status * 10 + (unsigned)(*at - '0')) % STATUS_MAX;
        }
    }
}

static void on_answer(struct load *l, struct conn *c, uint64_t now_ns)
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
        conn_open(l, c, now_ns);
    } else {
        l->busy--;
        conn_set_idle(l, c);
        send_due(l, now_ns);
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
static bool parse_headers(struct conn *c, const char *line, const char *end)
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
static bool parse_head(struct conn *c)
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
    if (c->status < 100 || c->status >= STATUS_MAX)
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
static bool on_bytes(struct load *l, struct conn *c, uint64_t now_ns)
{
    size_t part;

    if (c->in_len > 0 && c->state != CONN_BUSY)
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

static void conn_read(struct load *l, struct conn *c, bool peer_done)
{
    for (;;) {
        size_t room = sizeof(c->in) - c->in_len;
        ssize_t n = recv(c->fd, c->in + c->in_len, room, 0);
        uint64_t now_ns = gw_now_ns();

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            conn_fail(l, c, &l->resets, now_ns);
            return;
        }
        c->in_len += (size_t)n;
        if (!on_bytes(l, c, now_ns)) {
            conn_fail(l, c, &l->protocol_errors, now_ns);
            return;
        }
        if (c->state != CONN_IDLE && c->state != CONN_BUSY)
            return;
        /* A short read has emptied the socket; what comes later raises a new event. */
        if ((size_t)n < room && !peer_done)
            return;
    }
}

static void conn_on_event(struct load *l, struct conn *c, uint32_t events)
{
    /* Closed by an earlier event of the same batch. */
    if (c->state == CONN_DOWN)
        return;
    if (events & (EPOLLERR | EPOLLHUP)) {
        conn_fail(l, c, &l->resets, gw_now_ns());
        return;
    }
    if (c->state == CONN_CONNECTING) {
        if (events & EPOLLOUT)
            conn_set_idle(l, c);
        if (l->start_ns)
            send_due(l, gw_now_ns());
        return;
    }
    if (c->rest && !conn_flush(c)) {
        conn_fail(l, c, &l->resets, gw_now_ns());
        return;
    }
    if (events & (EPOLLIN | EPOLLRDHUP))
        conn_read(l, c, (events & EPOLLRDHUP) != 0);
}

/* ---- the run ---- */

/* Ten times a second: connections that are down are opened, those without an answer given up. */
static void tick(struct load *l, uint64_t now_ns)
{
    unsigned down = 0;

    if (now_ns < l->tick_ns)
        return;
    l->tick_ns = now_ns + TURN_NS_MAX;
    for (unsigned i = 0; i < l->conn_count; i++) {
        struct conn *c = &l->conns[i];
        bool is_late = (c->state == CONN_BUSY || c->state == CONN_CONNECTING) &&
                       now_ns > c->since_ns && now_ns - c->since_ns > l->timeout_ns;

        down += c->state == CONN_DOWN || c->state == CONN_CONNECTING;
        if (is_late)
            conn_fail(l, c, &l->timeouts, now_ns);
        else if (c->state == CONN_DOWN && now_ns >= c->since_ns)
            conn_open(l, c, now_ns);
    }
    if (down < l->conn_count)
        l->all_down_since_ns = now_ns;
}

static struct timespec turn_timeout(const struct load *l)
{
    uint64_t now_ns, due_ns, wait_ns = TURN_NS_MAX;

    if (l->rate && l->start_ns && !TAILQ_EMPTY(&l->idle) && l->next_seq < l->count) {
        now_ns = gw_now_ns();
        due_ns = slot_ns(l, l->next_seq);
        due_ns = due_ns > now_ns ? due_ns - now_ns : 0;
        if (due_ns < wait_ns)
            wait_ns = due_ns;
    }
    return (struct timespec){.tv_nsec = (long)wait_ns};
}

static void turn(struct load *l)
{
    struct epoll_event events[EVENTS];
    struct timespec timeout = turn_timeout(l);
    int n = epoll_pwait2(l->epoll_fd, events, EVENTS, &timeout, NULL);

    for (int i = 0; i < n; i++)
        conn_on_event(l, events[i].data.ptr, events[i].events);
}

static void connect_all(struct load *l)
{
    uint64_t now_ns = gw_now_ns(), give_up_ns = now_ns + 5 * NS_PER_S;
    unsigned up = 0;

    for (unsigned i = 0; i < l->conn_count; i++)
        conn_open(l, &l->conns[i], now_ns);
    while (up < l->conn_count) {
        const struct conn *c;

        turn(l);
        tick(l, gw_now_ns());
        up = 0;
        TAILQ_FOREACH(c, &l->idle, idle)
        up++;
        if (gw_now_ns() > give_up_ns) {
            fprintf(stderr, "gw_load: only %u of %u connections to %s\n", up, l->conn_count,
                    l->url);
            exit(1);
        }
    }
}

static void run(struct load *l)
{
    uint64_t now_ns, cpu_ns = gw_cpu_ns();

    l->all_down_since_ns = l->start_ns = now_ns = gw_now_ns();
    l->end_ns = l->start_ns + l->duration_ns;
    while (now_ns < l->end_ns + l->drain_ns) {
        if (all_sent(l, now_ns) && l->busy == 0)
            break;
        if (now_ns > l->all_down_since_ns + 5 * NS_PER_S)
            break;
        send_due(l, now_ns);
        turn(l);
        now_ns = gw_now_ns();
        tick(l, now_ns);
    }
    l->cpu_ns = gw_cpu_ns() - cpu_ns;
    /* Owed by the schedule, never sent: the worst latencies are missing from the histogram. */
    while (l->rate && l->next_seq < l->count && slot_ns(l, l->next_seq) < l->end_ns) {
        l->unsent++;
        l->next_seq++;
    }
}

/* ---- report ---- */

static void print_u64(const char *name, uint64_t value)
{
    printf("\"%s\":%llu,", name, (unsigned long long)value);
}

static void print_statuses(const struct load *l)
{
    const char *comma = "";

    printf("\"statuses\":{");
    for (unsigned i = 0; i < STATUS_MAX; i++) {
        if (!l->statuses[i])
            continue;
        printf("%s\"%u\":%llu", comma, i, (unsigned long long)l->statuses[i]);
        comma = ",";
    }
    printf("},");
}

static void report(const struct load *l)
{
    uint64_t requests = (l->next_seq - l->unsent) / l->event.batch;
    double seconds = l->answered ? (double)(l->last_answer_ns - l->first_send_ns) / 1e9 : 0;
    uint64_t failed = l->resets + l->timeouts + l->protocol_errors + l->busy;

    printf("{\"mode\":\"%s\",\"run\":\"%016llx\",", l->rate ? "open" : "closed",
           (unsigned long long)l->event.run);
    print_u64("connections", l->conn_count);
    print_u64("body_bytes", l->event.body_bytes);
    print_u64("batch", l->event.batch);
    print_u64("requests", requests);
    print_u64("status_2xx", l->ok);
    print_u64("status_other", l->answered - l->ok);
    print_statuses(l);
    print_u64("failed", failed);
    print_u64("resets", l->resets);
    print_u64("timeouts", l->timeouts);
    print_u64("protocol_errors", l->protocol_errors);
    print_u64("unanswered", l->busy);
    print_u64("unsent", l->unsent);
    print_u64("reconnects", l->reconnects);
    print_u64("first_send_ns", l->first_send_ns);
    print_u64("last_answer_ns", l->last_answer_ns);
    printf("\"duration_s\":%.3f,\"rate\":%.0f,", seconds,
           seconds > 0 ? (double)l->answered / seconds : 0);
    printf("\"cpu_us_per_request\":%.2f,\"latency_us\":",
           requests ? (double)l->cpu_ns / 1e3 / (double)requests : 0);
    gw_hist_print_json(&l->latency, stdout);
    if (l->rate) {
        printf(",\"lag_us\":");
        gw_hist_print_json(&l->lag, stdout);
    }
    printf("}\n");
}

/* ---- options ---- */

static const char usage[] =
    "usage: gw_load --url http://127.0.0.1:PORT/PATH [options]\n"
    "  --connections N    kept connections, one request at a time on each (64)\n"
    "  --duration S       send for S seconds (10; with --count 600), at most 3600\n"
    "  --count N          send N events\n"
    "  --rate R           open loop: R events a second on a fixed schedule, latency counted from "
    "it\n"
    "  --body-bytes N     size of each event (1024)\n"
    "  --batch N          N events a request (1), for a PATH that takes them; closed loop only.\n"
    "                     Statuses and rate count events, all else counts requests\n"
    "  --header 'n: v'    sent with each request; may be repeated\n"
    "  --app NAME         events are for the apps NAME-1, NAME-2, … (bench)\n"
    "  --apps N           how many of them, in turn (1)\n"
    "  --event-type T     (BENCH_EVENT)\n"
    "  --timeout S        give up on an answer (30)\n"
    "  --drain S          wait for the last answers at the end (30)\n"
    "  --workflow NAME    a workflowId in each event (none)\n"
    "  --acked FILE       append at the end which events were answered with 2xx\n"
    "  --times FILE       append at the end when\n";

static const char *option_name(const char *name, const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++)
        if (text[i] < 0x20 || text[i] > 0x7e || text[i] == '"' || text[i] == '\\')
            len = 0;
    if (len == 0 || len > 200)
        gw_die("--%s is '%s', allowed: 1 to 200 printable characters, no quote, no backslash", name,
               text);
    return text;
}

static void add_header(struct gw_event_options *event, const char *text)
{
    if (event->header_count == GW_EVENT_HEADERS_MAX || strlen(text) > 2000)
        gw_die("--header: at most %d, each up to 2000 bytes", GW_EVENT_HEADERS_MAX);
    if (!strchr(text, ':') || strpbrk(text, "\r\n"))
        gw_die("--header is '%s', allowed: 'name: value'", text);
    event->headers[event->header_count++] = text;
}

static void parse_options(struct load *l, int argc, char **argv)
{
    enum {
        URL,
        CONNS,
        DURATION,
        COUNT,
        RATE,
        BODY,
        BATCH,
        HEADER,
        APP,
        APPS,
        TYPE,
        TIMEOUT,
        DRAIN,
        WORKFLOW,
        ACKED,
        TIMES,
        HELP
    };
    static const struct option options[] = {
        {"url", required_argument, NULL, URL},
        {"connections", required_argument, NULL, CONNS},
        {"duration", required_argument, NULL, DURATION},
        {"count", required_argument, NULL, COUNT},
        {"rate", required_argument, NULL, RATE},
        {"body-bytes", required_argument, NULL, BODY},
        {"batch", required_argument, NULL, BATCH},
        {"header", required_argument, NULL, HEADER},
        {"app", required_argument, NULL, APP},
        {"apps", required_argument, NULL, APPS},
        {"event-type", required_argument, NULL, TYPE},
        {"timeout", required_argument, NULL, TIMEOUT},
        {"drain", required_argument, NULL, DRAIN},
        {"workflow", required_argument, NULL, WORKFLOW},
        {"acked", required_argument, NULL, ACKED},
        {"times", required_argument, NULL, TIMES},
        {"help", no_argument, NULL, HELP},
        {0},
    };
    struct gw_event_options *e = &l->event;
    int option, which;

    while ((option = getopt_long(argc, argv, "", options, &which)) >= 0) {
        const char *name = option == '?' ? "" : options[which].name;

        switch (option) {
        case URL: l->url = optarg; break;
        case CONNS:
            l->conn_count = (unsigned)gw_option_u64(name, optarg, 1, GW_CONNECTIONS_MAX);
            break;
        case DURATION: l->duration_ns = gw_option_seconds_ns(name, optarg); break;
        case COUNT: l->count = gw_option_u64(name, optarg, 1, GW_EVENTS_MAX); break;
        case RATE: l->rate = gw_option_u64(name, optarg, 1, 1000000); break;
        case BODY: e->body_bytes = gw_option_u64(name, optarg, 1, GW_BODY_BYTES_MAX); break;
        case BATCH: e->batch = (unsigned)gw_option_u64(name, optarg, 1, GW_EVENT_BATCH_MAX); break;
        case HEADER: add_header(e, optarg); break;
        case APP: e->app = option_name(name, optarg); break;
        case APPS:
            e->app_count = (unsigned)gw_option_u64(name, optarg, 1, GW_EVENT_APPS_MAX);
            break;
        case TYPE: e->event_type = option_name(name, optarg); break;
        case TIMEOUT: l->timeout_ns = gw_option_seconds_ns(name, optarg); break;
        case DRAIN: l->drain_ns = gw_option_seconds_ns(name, optarg); break;
        case WORKFLOW: e->workflow = option_name(name, optarg); break;
        case ACKED: l->acked_path = optarg; break;
        case TIMES: l->times_path = optarg; break;
        case HELP: fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); exit(2);
        }
    }
    if (optind < argc)
        gw_die("unexpected '%s'", argv[optind]);
    if (!l->url)
        gw_die("--url is missing");
    if (!l->duration_ns)
        l->duration_ns = (l->count ? 600 : 10) * NS_PER_S;
    if (!l->count)
        l->count = GW_EVENTS_MAX;
    if (e->batch > 1 && l->rate)
        gw_die("--batch: not with --rate");
    l->count -= l->count % e->batch;
    l->addr = gw_loopback_url(l->url, &e->path);
    e->port = ntohs(l->addr.sin_port);
}

int main(int argc, char **argv)
{
    static struct load load = {.conn_count = 64,
                               .event = {.app_count = 1,
                                         .batch = 1,
                                         .body_bytes = 1024,
                                         .app = "bench",
                                         .event_type = "BENCH_EVENT"},
                               .timeout_ns = 30 * NS_PER_S,
                               .drain_ns = 30 * NS_PER_S};
    struct load *l = &load;

    parse_options(l, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1000);
    l->event.run = l->acked.run = l->times.run = gw_random64();
    l->events = gw_event_source_create(&l->event);
    TAILQ_INIT(&l->idle);
    l->conns = calloc(l->conn_count, sizeof(*l->conns));
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!l->conns || l->epoll_fd < 0)
        gw_die("cannot set up: %s", strerror(errno));
    connect_all(l);
    run(l);
    report(l);
    if (l->acked_path)
        gw_bitmap_append(&l->acked, l->acked_path);
    if (l->times_path)
        gw_times_append(&l->times, l->times_path);
    gw_event_source_destroy(l->events);
    return l->ok > 0 ? 0 : 1;
}
