/* target_rig.h: one shard over the memory store in the simulated world, and clients' servers by path
 * whose book can be read: for the tests of targets. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/check.h"
#include "flow/intake.h"
#include "flow/lanes.h"
#include "flow/target.h"
#include "sim_env.h"
#include "store/fault.h"
#include "store/memory.h"

#define SECOND_MS ((int64_t)1000)
#define HOUR_MS   (3600 * SECOND_MS)
#define DAY_MS    (24 * HOUR_MS)
#define SITES     12
#define POSTED    400
#define BOOK      2000

/* What is served at one URL: "https://HOST/NUMBER". */
struct site {
    struct rig *rig;
    char url[64];
    int status;       /* 0 = it never answers */
    int64_t delay_ms; /* of its answers */
    size_t open, open_high;
    size_t hits;
    struct hit {
        int64_t at_ms;
        int event; /* its number */
        unsigned attempt;
        bool is_apart; /* over connections that no others use */
    } book[BOOK];
    struct sim_timer {
        struct gw_timer timer;
        struct site *site;
    } ends[BOOK]; /* of the requests, so that `open` is known */
};

struct posted {
    struct gw_intake intake;
    char body[128];
    bool done;
};

struct rig {
    struct sim *sim;
    struct gw_memory *memory;
    struct gw_fault *fault;
    struct gw_flow flow;
    struct gw_shard *shard;
    struct gw_env *driver;
    size_t left;
    unsigned failing_saves; /* how many saves of health fail from now on */
    struct site sites[SITES];
    size_t site_count;
    struct posted *posted[POSTED];
    size_t posted_count;
    struct gw_config *configs[SITES]; /* of "app", eventType "T<number>": leads to that site */
};

struct rig *rig_create(size_t in_flight_max);
void rig_destroy(struct rig *rig);
void rig_run(struct rig *rig, int64_t ms);
void rig_restart(struct rig *rig); /* as after a crash */

/* A new site on that host, and a config that leads to it. `members` begin with a comma. */
struct site *rig_site(struct rig *rig, const char *host, const char *members);
void rig_patch(struct rig *rig, size_t site, const char *members);

/* `count` events for that site's config; waits until they are taken. Returns the first's number. */
int rig_post(struct rig *rig, const struct site *site, int count);

/* How the event's only delivery stands. */
struct gw_delivery rig_delivery(struct rig *rig, int event);
void rig_retry(struct rig *rig, int event);
size_t rig_open(const struct rig *rig);

/* Looks, or enables. */
struct gw_target_view rig_view(struct rig *rig, const struct site *site);
enum gw_err rig_enable(struct rig *rig, const struct site *site);
