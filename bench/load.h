/* What the parts of gw_load share: its connections (load_conn.c), and the run, the report and the
 * options (load.c). */
#ifndef GW_BENCH_LOAD_H
#define GW_BENCH_LOAD_H

#include "event.h"
#include "hist.h"
#include "tool.h"

#include <sys/queue.h>

#define GW_NS_PER_S UINT64_C(1000000000)

enum { GW_LOAD_IN_BYTES = 16 * 1024, GW_LOAD_STATUS_MAX = 600 };

enum gw_load_conn_state { GW_CONN_DOWN, GW_CONN_CONNECTING, GW_CONN_IDLE, GW_CONN_BUSY };

struct gw_load_conn {
    TAILQ_ENTRY(gw_load_conn) idle;
    int fd;
    enum gw_load_conn_state state;
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
    char in[GW_LOAD_IN_BYTES];
};

TAILQ_HEAD(gw_load_conns, gw_load_conn);

struct gw_load {
    /* what was asked for */
    const char *url, *acked_path, *times_path;
    struct gw_event_options event;
    unsigned conn_count;
    uint64_t duration_ns, count, rate, timeout_ns, drain_ns;
    struct sockaddr_in addr;
    /* what is going on */
    int epoll_fd;
    struct gw_load_conn *conns;
    struct gw_load_conns idle;
    struct gw_event_source *events;
    uint64_t start_ns, end_ns, next_seq, tick_ns, all_down_since_ns;
    unsigned busy;
    /* what came of it */
    uint64_t answered, ok, resets, timeouts, protocol_errors, reconnects, unsent;
    uint64_t statuses[GW_LOAD_STATUS_MAX];
    uint64_t first_send_ns, last_answer_ns, cpu_ns;
    struct gw_hist latency, lag;
    struct gw_bitmap acked;
    struct gw_times times;
};

/* Begins to connect; whoever cannot is DOWN, until his next try. */
void gw_load_conn_open(struct gw_load *l, struct gw_load_conn *c, uint64_t now_ns);
/* The connection is of no more use; what was under way on it counts under `counter`. */
void gw_load_conn_fail(struct gw_load *l, struct gw_load_conn *c, uint64_t *counter,
                       uint64_t now_ns);
void gw_load_conn_on_event(struct gw_load *l, struct gw_load_conn *c, uint32_t events);

/* When an event is due, in open loop. */
uint64_t gw_load_slot_ns(const struct gw_load *l, uint64_t seq);
/* Sends what is due, as far as connections are free. */
void gw_load_send_due(struct gw_load *l, uint64_t now_ns);
bool gw_load_all_sent(const struct gw_load *l, uint64_t now_ns);

#endif
