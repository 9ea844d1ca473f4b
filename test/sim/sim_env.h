/* sim_env.h: a world for gw_env without a real clock: one queue of things that will happen, ordered
 * by (time, sequence), shared by any number of envs (shards). The same seed is the same world: same
 * order, same delays, same randomness.
 *
 *   struct sim *sim = sim_create(&(struct sim_options){.seed = 7});
 *   struct gw_env *shard = sim_env_create(sim);
 *   sim_name(sim, "example.com", "192.0.2.1", 5);
 *   sim_receiver(sim, "example.com", my_receiver, &mine);
 *   … start what is under test on `shard` …
 *   bool ok = sim_run(sim, is_all_delivered, &mine, 3600 * 1000);
 *   sim_destroy(sim);
 *
 * Time stands still while a callback runs. Everything takes a small random while: a post, a timer
 * beyond its delay, work, a worker's waking. Posts to one env stay in order.
 *
 * An env's calls are made on its own thread: during a callback of one env, calls to another's
 * timers, names, http, work or randomness are a bug and end the process; posts, worker posts and
 * the clocks are everybody's. Between sim_run()s any env may be called. A worker's fn and a work's
 * run are on other threads, of no env.
 *
 * A crash (sim_env_kill) drops all that the env still had to do. A dead env answers its clocks and
 * ignores everything else, so that what ran on it can still be taken apart; or be left lying: see
 * sim_bury(). New envs are made on the same clock. */
#pragma once

#include "sys/env.h"

struct sim;

struct sim_options {
    uint64_t seed;
    int64_t wall_ms; /* at the start; 0 = 2026-01-01 */
    /* the longest that it takes, microseconds; 0 = default */
    int64_t post_us, timer_us, work_us, worker_us, connect_us;
};

/* Once per process, before the first gw_map is filled: has maps walked in the same order each run. */
void sim_init(void);

struct sim *sim_create(const struct sim_options *options);
void sim_destroy(struct sim *sim); /* its envs with it; what is still to happen never does */

/* ── Envs ──────────────────────────────────────────────────────────────────────────────────── */

struct gw_env *sim_env_create(struct sim *sim); /* lives until sim_destroy() */
void sim_env_kill(struct gw_env *env);          /* at any time, in a callback too */

/* Nothing of it runs for so long, while the clocks go on: SIGSTOP, a pause of the machine. What it had
 * given to the network is sent all the same. */
void sim_env_freeze(struct gw_env *env, int64_t for_ms);

/* What a crash leaves behind is reachable for ever, so that the leak check does not report it: what
 * was on its way to a killed env is buried by itself, for other memory say so. */
void sim_bury(void *ptr);

/* ── Time ──────────────────────────────────────────────────────────────────────────────────── */

int64_t sim_now_us(const struct sim *sim); /* since the start; every env's monotonic clock */
int64_t sim_wall_ms(const struct sim *sim);
void sim_wall_step(struct sim *sim, int64_t by_ms); /* somebody sets the clock */

/* The next thing happens; false: nothing is left. */
bool sim_step(struct sim *sim);

/* Steps until until(ctx) is true; false: it was not within max_ms, or nothing is left to happen.
 * With until NULL: max_ms pass; true. */
bool sim_run(struct sim *sim, bool (*until)(void *ctx), void *ctx, int64_t max_ms);

/* For the test's own dice: 0 <= result < below. Drawing here changes nothing else in the world. */
uint64_t sim_random(struct sim *sim, uint64_t below);

/* Of everything that has happened so far: equal for equal runs. */
uint64_t sim_digest(const struct sim *sim);

/* ── Names ─────────────────────────────────────────────────────────────────────────────────── */

/* What `host` resolves to from now on: addresses, comma-separated; NULL = a failure. Later than the
 * request's timeout (or delay_ms < 0: never) is a failure too. An unknown name fails. */
void sim_name(struct sim *sim, const char *host, const char *addrs, int64_t delay_ms);

/* ── Receivers ─────────────────────────────────────────────────────────────────────────────── */

struct sim_reply {
    enum gw_http_end end; /* ANSWERED with `status`, or a failure */
    int status;
    int64_t delay_ms; /* from the request's arrival; < 0 = never: the call times out */
    const char *const *header_lines; /* "name: value", NULL-terminated; NULL = none */
    const char *body;                /* NULL = empty */
};

/* A request has arrived, whole: what becomes of it. Whether the caller is still there when the
 * reply comes is another matter (a timeout, a cancel, a crash). The strings of the reply live until
 * the call ends. */
typedef struct sim_reply sim_receiver_fn(void *ctx, const struct gw_http_call *call);

/* Who listens at `host` (of the call, a literal too); fn NULL = nobody: cannot be connected to. */
void sim_receiver(struct sim *sim, const char *host, sim_receiver_fn *fn, void *ctx);

/* The value of a header that the call sends; ptr NULL when there is none. */
struct gw_slice sim_call_header(const struct gw_http_call *call, const char *name);
