/* The connections of one thread of the sink, and what is answered on them.
 *
 * Sockets are edge-triggered for everything from the start, so serving a request costs no epoll_ctl.
 * A connection enters its thread's list at its first event: only then does this thread know of it. */
#ifndef GW_BENCH_RECEIVER_H
#define GW_BENCH_RECEIVER_H

#include "tally.h"
#include "tls.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* What all threads share. */
struct gw_receiver_rules {
    struct gw_tally *tally;
    struct gw_tls *tls; /* NULL = plain */
    unsigned status;
    uint64_t delay_ns; /* answers so much later */
    uint64_t flap_ns;  /* so long `status`, then so long 503, by turns; 0 = never */
    uint64_t expect;   /* so many different ids, then `stopping` */
    bool hang;         /* never answers */
    atomic_bool stopping;
    /* made by gw_receiver_rules_prepare: the usual answer */
    char answer[128];
    size_t answer_len;
};

struct gw_conn;
TAILQ_HEAD(gw_conn_list, gw_conn);

struct gw_receiver {
    struct gw_receiver_rules *rules;
    int epoll_fd;
    struct gw_conn_list live;
    struct gw_conn_list
        late; /* the delay is the same for all: the first to come is the first due */
};

void gw_receiver_rules_prepare(struct gw_receiver_rules *rules);

void gw_receiver_init(struct gw_receiver *receiver, struct gw_receiver_rules *rules);
void gw_receiver_deinit(struct gw_receiver *receiver);

/* A connection that was accepted; from any thread. Events of the epoll set carry what is handed to
 * gw_receiver_on_event as `conn`. */
void gw_receiver_take(struct gw_receiver *receiver, int fd);
void gw_receiver_on_event(struct gw_receiver *receiver, struct gw_conn *conn, uint32_t events);

/* Late answers: how long until the next one, at most `max_ns`; and those that are due. */
uint64_t gw_receiver_wait_ns(const struct gw_receiver *receiver, uint64_t max_ns);
void gw_receiver_answer_late(struct gw_receiver *receiver);

#endif
