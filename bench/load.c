/* gw_load: posts events over kept connections, one or many (--batch) in a request, and measures how
 * long each answer takes.
 *
 * Closed loop (default): each connection sends its next event when it has its answer. Open loop
 * (--rate R): event i is due at start + i/R whatever happened before, and its latency counts from
 * that moment, so a server that stops for a second is charged with every event of that second
 * (coordinated omission). The same moment travels in the body, for the sink.
 *
 * Owns the run, the report and the options; connections are load_conn.c's. One thread. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    EVENTS = 256,
    TURN_NS_MAX = 100 * 1000 * 1000,
};

/* ---- the run ---- */

/* Ten times a second: connections that are down are opened, those without an answer given up. */
static void tick(struct gw_load *l, uint64_t now_ns)
{
    unsigned down = 0;

    if (now_ns < l->tick_ns)
        return;
    l->tick_ns = now_ns + TURN_NS_MAX;
    for (unsigned i = 0; i < l->conn_count; i++) {
        struct gw_load_conn *c = &l->conns[i];
        bool is_late = (c->state == GW_CONN_BUSY || c->state == GW_CONN_CONNECTING) &&
                       now_ns > c->since_ns && now_ns - c->since_ns > l->timeout_ns;

        down += c->state == GW_CONN_DOWN || c->state == GW_CONN_CONNECTING;
        if (is_late)
            gw_load_conn_fail(l, c, &l->timeouts, now_ns);
        else if (c->state == GW_CONN_DOWN && now_ns >= c->since_ns)
            gw_load_conn_open(l, c, now_ns);
    }
    if (down < l->conn_count)
        l->all_down_since_ns = now_ns;
}

static struct timespec turn_timeout(const struct gw_load *l)
{
    uint64_t now_ns, due_ns, wait_ns = TURN_NS_MAX;

    if (l->rate && l->start_ns && !TAILQ_EMPTY(&l->idle) && l->next_seq < l->count) {
        now_ns = gw_now_ns();
        due_ns = gw_load_slot_ns(l, l->next_seq);
        due_ns = due_ns > now_ns ? due_ns - now_ns : 0;
        if (due_ns < wait_ns)
            wait_ns = due_ns;
    }
    return (struct timespec){.tv_nsec = (long)wait_ns};
}

static void turn(struct gw_load *l)
{
    struct epoll_event events[EVENTS];
    struct timespec timeout = turn_timeout(l);
    int n = epoll_pwait2(l->epoll_fd, events, EVENTS, &timeout, NULL);

    for (int i = 0; i < n; i++)
        gw_load_conn_on_event(l, events[i].data.ptr, events[i].events);
}

static void connect_all(struct gw_load *l)
{
    uint64_t now_ns = gw_now_ns(), give_up_ns = now_ns + 5 * GW_NS_PER_S;
    unsigned up = 0;

    for (unsigned i = 0; i < l->conn_count; i++)
        gw_load_conn_open(l, &l->conns[i], now_ns);
    while (up < l->conn_count) {
        const struct gw_load_conn *c;

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

static void run(struct gw_load *l)
{
    uint64_t now_ns, cpu_ns = gw_cpu_ns();

    l->all_down_since_ns = l->start_ns = now_ns = gw_now_ns();
    l->end_ns = l->start_ns + l->duration_ns;
    while (now_ns < l->end_ns + l->drain_ns) {
        if (gw_load_all_sent(l, now_ns) && l->busy == 0)
            break;
        if (now_ns > l->all_down_since_ns + 5 * GW_NS_PER_S)
            break;
        gw_load_send_due(l, now_ns);
        turn(l);
        now_ns = gw_now_ns();
        tick(l, now_ns);
    }
    l->cpu_ns = gw_cpu_ns() - cpu_ns;
    /* Owed by the schedule, never sent: the worst latencies are missing from the histogram. */
    while (l->rate && l->next_seq < l->count && gw_load_slot_ns(l, l->next_seq) < l->end_ns) {
        l->unsent++;
        l->next_seq++;
    }
}

/* ---- report ---- */

static void print_u64(const char *name, uint64_t value)
{
    printf("\"%s\":%llu,", name, (unsigned long long)value);
}

static void print_statuses(const struct gw_load *l)
{
    const char *comma = "";

    printf("\"statuses\":{");
    for (unsigned i = 0; i < GW_LOAD_STATUS_MAX; i++) {
        if (!l->statuses[i])
            continue;
        printf("%s\"%u\":%llu", comma, i, (unsigned long long)l->statuses[i]);
        comma = ",";
    }
    printf("},");
}

static void report(const struct gw_load *l)
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

static void parse_options(struct gw_load *l, int argc, char **argv)
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
        l->duration_ns = (l->count ? 600 : 10) * GW_NS_PER_S;
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
    static struct gw_load load = {.conn_count = 64,
                                  .event = {.app_count = 1,
                                            .batch = 1,
                                            .body_bytes = 1024,
                                            .app = "bench",
                                            .event_type = "BENCH_EVENT"},
                                  .timeout_ns = 30 * GW_NS_PER_S,
                                  .drain_ns = 30 * GW_NS_PER_S};
    struct gw_load *l = &load;

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
