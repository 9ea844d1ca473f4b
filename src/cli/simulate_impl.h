/* simulate_impl.h: one simulation, for the files that it is made of: the pace and the command
 * (simulate.c), what is told of it (simulate_tell.c), and where events go (simulate_api.c,
 * simulate_s3.c). */
#pragma once

#include "cli/client.h"
#include "cli/cloud.h"
#include "cli/synthetic.h"
#include "store/latency.h"

struct gw_simulation;

struct gw_simulate_tally {
    const char *type;
    int64_t sent, accepted, skipped, failed;
};

/* An event on its way; its destination's until it is accepted or failed. */
struct gw_simulate_event {
    struct gw_simulation *simulation;
    struct gw_simulate_tally *type;
    struct gw_slice body;
    struct gw_arena arena; /* for the destination too */
};

/* Where events go. */
struct gw_simulate_to {
    const char *name;                     /* "the server" */
    const char *accepted;                 /* what it does with an event: "accepted" */
    bool knows_skips;                     /* it says whether somebody wants the event */
    int (*open)(struct gw_simulation *s); /* sets env. -1: go on; else the exit code */
    void (*close)(struct gw_simulation *s);
    void (*send)(struct gw_simulation *s, struct gw_simulate_event *event);
};

extern const struct gw_simulate_to gw_simulate_api, gw_simulate_s3;

struct gw_simulation {
    const struct gw_simulate_to *to;
    struct gw_env *env;                      /* the destination's */
    const struct gw_client_options *options; /* gw_simulate_api's */
    struct gw_client client;
    struct gw_cloud_place place; /* gw_simulate_s3's */
    struct gw_cloud cloud;

    struct gw_synthetic synthetic;
    double rate;
    int64_t count; /* 0 = until stopped */
    int64_t started_us;
    struct gw_timer tick;
    struct gw_simulate_tally types[GW_SYNTHETIC_TYPES];
    struct gw_simulate_tally all;
    int64_t in_flight;
    double late_s;                          /* at most */
    uint64_t latencies[GW_LATENCY_BUCKETS]; /* of those accepted */
    int64_t shown_us;
    bool is_ending;
    bool shows_progress;
    bool json;
    char last_error[200];
};

/* What came of an event, from its destination, which does not own it any more. */
void gw_simulate_accepted(struct gw_simulate_event *event, bool is_skipped, int64_t took_us);
/* Hopeless: it will not get better, the simulation ends. */
void gw_simulate_failed(struct gw_simulate_event *event, const char *why, bool is_hopeless);

double gw_simulate_seconds(const struct gw_simulation *s); /* since the start */

void gw_simulate_show_progress(struct gw_simulation *s);
int gw_simulate_report(struct gw_simulation *s); /* the exit code */
