/* gw_sink: a receiver for webhooks that costs as little as it can, so that what is measured is the
 * sender. Owns the threads and the listening socket; connections and answers are receiver.c's.
 *
 * Answers every POST with --status (200), on any path. GET /stats shows the counts, GET
 * /stats?reset=1 shows them and begins anew. --delay-ms answers late, --hang never, --flap-ms well
 * and badly by turns; --tls FILE speaks TLS. Ends with a report on SIGTERM or SIGINT, after
 * --duration, or once --expect different ids have come.
 *
 * Threads: each worker has an epoll set and owns the connections in it; worker 0 is the main thread,
 * accepts for all and hands out in turn. */
#include "receiver.h"
#include "tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 256,
    WORKERS_MAX = 64,
    TURN_NS_MAX = 100 * 1000 * 1000,
};

struct worker {
    struct sink *sink;
    pthread_t thread;
    struct gw_receiver receiver;
};

struct sink {
    struct gw_receiver_rules rules;
    uint16_t port;
    unsigned worker_count, next_worker;
    uint64_t duration_ns;
    const char *seen_path, *times_path, *tls_path;
    int listen_fd, signal_fd;
    struct worker workers[WORKERS_MAX];
};

/* ---- workers ---- */

static void accept_all(struct sink *s)
{
    int fd;

    while ((fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        gw_receiver_take(&s->workers[s->next_worker].receiver, fd);
        s->next_worker = (s->next_worker + 1) % s->worker_count;
    }
}

static void dispatch(struct worker *w, const struct epoll_event *event)
{
    struct sink *s = w->sink;

    if (event->data.ptr == &s->listen_fd)
        accept_all(s);
    else if (event->data.ptr == &s->signal_fd)
        atomic_store_explicit(&s->rules.stopping, true, memory_order_relaxed);
    else
        gw_receiver_on_event(&w->receiver, event->data.ptr, event->events);
}

static void *worker_run(void *arg)
{
    struct worker *w = arg;
    struct sink *s = w->sink;
    uint64_t end_ns = gw_now_ns() + s->duration_ns;

    prctl(PR_SET_TIMERSLACK, 1000);
    while (!atomic_load_explicit(&s->rules.stopping, memory_order_relaxed)) {
        struct epoll_event events[EVENTS];
        uint64_t wait_ns = gw_receiver_wait_ns(&w->receiver, TURN_NS_MAX);
        struct timespec timeout = {.tv_nsec = (long)wait_ns};
        int n = epoll_pwait2(w->receiver.epoll_fd, events, EVENTS, &timeout, NULL);

        for (int i = 0; i < n; i++)
            dispatch(w, &events[i]);
        gw_receiver_answer_late(&w->receiver);
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
        gw_receiver_init(&w->receiver, &s->rules);
        if (i > 0 && pthread_create(&w->thread, NULL, worker_run, w))
            gw_die("cannot start a thread");
    }
}

static void workers_stop(struct sink *s)
{
    for (unsigned i = 0; i < s->worker_count; i++) {
        if (i > 0)
            pthread_join(s->workers[i].thread, NULL);
        gw_receiver_deinit(&s->workers[i].receiver);
    }
}

/* ---- life ---- */

static void watch(struct sink *s, int *fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = fd};

    if (epoll_ctl(s->workers[0].receiver.epoll_fd, EPOLL_CTL_ADD, *fd, &event))
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

static const char usage[] =
    "usage: gw_sink [options]\n"
    "  --port P         listen on 127.0.0.1:P (0, the default: a free port, printed)\n"
    "  --threads N      threads (1)\n"
    "  --status S       answer with this status (200)\n"
    "  --delay-ms D     answer each request D ms after it came\n"
    "  --hang           receive, never answer\n"
    "  --flap-ms D      answer with that status for D ms, then with 503 for D ms, by turns\n"
    "  --tls FILE       speak TLS, with a certificate for 127.0.0.1 that is written to FILE\n"
    "  --expect N       end once N different ids have come\n"
    "  --duration S     end after S seconds (3600, which is also the most)\n"
    "  --seen FILE      append at the end which events of gw_load were ever seen\n"
    "  --times FILE     append at the end when each of them was first seen\n";

static void parse_options(struct sink *s, int argc, char **argv)
{
    enum { PORT, THREADS, STATUS, DELAY, HANG, FLAP, TLS, EXPECT, DURATION, SEEN, TIMES, HELP };
    static const struct option options[] = {
        {"port", required_argument, NULL, PORT},
        {"threads", required_argument, NULL, THREADS},
        {"status", required_argument, NULL, STATUS},
        {"delay-ms", required_argument, NULL, DELAY},
        {"hang", no_argument, NULL, HANG},
        {"flap-ms", required_argument, NULL, FLAP},
        {"tls", required_argument, NULL, TLS},
        {"expect", required_argument, NULL, EXPECT},
        {"duration", required_argument, NULL, DURATION},
        {"seen", required_argument, NULL, SEEN},
        {"times", required_argument, NULL, TIMES},
        {"help", no_argument, NULL, HELP},
        {0},
    };
    struct gw_receiver_rules *r = &s->rules;
    int option, which;

    while ((option = getopt_long(argc, argv, "", options, &which)) >= 0) {
        const char *name = option == '?' ? "" : options[which].name;

        switch (option) {
        case PORT: s->port = (uint16_t)gw_option_u64(name, optarg, 0, 65535); break;
        case THREADS:
            s->worker_count = (unsigned)gw_option_u64(name, optarg, 1, WORKERS_MAX);
            break;
        case STATUS: r->status = (unsigned)gw_option_u64(name, optarg, 200, 599); break;
        case DELAY: r->delay_ns = gw_option_u64(name, optarg, 0, 600000) * 1000000u; break;
        case HANG: r->hang = true; break;
        case FLAP: r->flap_ns = gw_option_u64(name, optarg, 1, 600000) * 1000000u; break;
        case TLS: s->tls_path = optarg; break;
        case EXPECT: r->expect = gw_option_u64(name, optarg, 1, GW_EVENTS_MAX); break;
        case DURATION: s->duration_ns = gw_option_seconds_ns(name, optarg); break;
        case SEEN: s->seen_path = optarg; break;
        case TIMES: s->times_path = optarg; break;
        case HELP: fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); exit(2);
        }
    }
    if (optind < argc)
        gw_die("unexpected '%s'", argv[optind]);
}

int main(int argc, char **argv)
{
    static struct sink sink = {.rules = {.status = 200, .expect = UINT64_MAX},
                               .worker_count = 1,
                               .duration_ns = GW_SECONDS_MAX * UINT64_C(1000000000)};
    struct sink *s = &sink;

    parse_options(s, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    gw_receiver_rules_prepare(&s->rules);
    open_signals(s);
    open_listener(s);
    s->rules.tally = gw_tally_create(s->times_path != NULL);
    if (s->tls_path)
        s->rules.tls = gw_tls_create(s->tls_path);
    workers_start(s);
    watch(s, &s->listen_fd);
    watch(s, &s->signal_fd);
    printf("{\"port\":%u}\n", s->port);
    fflush(stdout);

    worker_run(&s->workers[0]);
    atomic_store_explicit(&s->rules.stopping, true, memory_order_relaxed);
    workers_stop(s);
    gw_tally_print_json(s->rules.tally, stdout);
    putchar('\n');
    if (s->seen_path)
        gw_tally_write_seen(s->rules.tally, s->seen_path);
    if (s->times_path)
        gw_tally_write_times(s->rules.tally, s->times_path);
    gw_tally_destroy(s->rules.tally);
    if (s->rules.tls)
        gw_tls_destroy(s->rules.tls);
    close(s->listen_fd);
    close(s->signal_fd);
    return 0;
}
