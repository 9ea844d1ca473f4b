/* env.h: the outside world as one struct: clock, randomness, loop, timers, names, http, threads.
 *
 * One gw_env is one loop and the thread that runs it (a shard). Everything above sys/ reaches the
 * world only through it, so that a simulation can be the world: same code, pretended clock.
 *
 * Threads: every call is made on the env's own thread, except gw_env_post(), gw_env_post_all(),
 * gw_worker_post() and gw_env_mono_us(), which any thread may call. Callbacks run on the env's own
 * thread, never inside the call that asked for them. Memory of a request stays with the caller
 * until its callback (or until its cancel returned). */
#pragma once

#include "base/addr.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/list.h"

struct gw_env;

/* ── Messages: how threads speak to each other ─────────────────────────────────────────────── */

struct gw_msg {
    struct gw_list link; /* the queue's while it is posted */
    void (*run)(struct gw_msg *msg);
};

/* ── Timers ────────────────────────────────────────────────────────────────────────────────── */

struct gw_timer {
    void (*fire)(struct gw_timer *timer); /* set once by the owner; it may set the timer again */
    struct gw_heap_node node;             /* the env's; all zeroes = not running */
};

/* ── Names ─────────────────────────────────────────────────────────────────────────────────── */

#define GW_RESOLVE_ADDRS_MAX 64 /* a name with more fails: all are judged, or none is used */

struct gw_resolve {
    const char *host; /* a name, not an address literal */
    int64_t timeout_ms;
    void (*done)(struct gw_resolve *req);

    bool ok; /* false: `error` says why; no addresses */
    struct gw_addr addrs[GW_RESOLVE_ADDRS_MAX];
    size_t addr_count;
    int64_t elapsed_us;
    char error[96];
    void *impl; /* the env's while it runs */
};

/* ── HTTP requests going out ───────────────────────────────────────────────────────────────── */

enum gw_http_end {
    GW_HTTP_ANSWERED, /* headers complete: `status` decides, whatever the body did */
    GW_HTTP_TIMEOUT,
    GW_HTTP_CONNECT,
    GW_HTTP_TLS,
    GW_HTTP_RESET,    /* the connection ended before the headers were complete */
    GW_HTTP_PROTOCOL, /* not HTTP, or a malformed or contradictory header block */
    GW_HTTP_BLOCKED,  /* addr_allowed said no */
};

const char *gw_http_end_name(enum gw_http_end end);

struct gw_http_call {
    /* in */
    const char *method;              /* "POST" */
    const char *url;                 /* sent as it is: no normalisation of the path */
    const char *const *header_lines; /* "name: value", NULL-terminated array */
    struct gw_slice body;
    const char *host;            /* of the url, without brackets; with addrs: pins the name */
    uint16_t port;               /* of the url, default filled in */
    const struct gw_addr *addrs; /* where to connect; none when host is an address literal */
    size_t addr_count;
    bool is_apart;              /* to somebody who may hang: over connections that no others use */
    int64_t connect_timeout_ms; /* DNS done, TCP and TLS */
    int64_t timeout_ms;         /* the whole exchange */
    size_t reply_read_max;      /* the body beyond is not read */
    size_t reply_keep_max;      /* of it, kept in `reply` */
    /* These two run in the middle of libcurl: they must not start or cancel calls. addr_allowed is
     * asked before a connection is made and again before one, new or kept, is used. */
    bool (*addr_allowed)(struct gw_http_call *call, const struct gw_addr *addr); /* may be NULL */
    void (*on_header)(struct gw_http_call *call, struct gw_slice name,
                      struct gw_slice value); /* of the final answer; may be NULL */
    void (*done)(struct gw_http_call *call);
    struct gw_arena *arena; /* for what the call needs and for `reply` */

    /* out */
    enum gw_http_end end;
    int status;                                          /* 0 unless answered */
    int64_t connect_us, tls_us, first_byte_us, total_us; /* each phase's own length but for total:
                                                            connect = TCP alone (0: kept
                                                            connection), first_byte = from the
                                                            request sent to the first byte */
    struct gw_addr addr;                                 /* the peer; family 0 = never connected */
    struct gw_slice reply;
    bool is_whole;   /* the body came to the end that the head told, and `reply` is all of it */
    char error[128]; /* for people; says in which phase; no URL, no payload */
    void *impl;
};

/* ── Threads ───────────────────────────────────────────────────────────────────────────────── */

/* Something to do on the loop's thread pool (reading files); `done` runs on the loop. */
struct gw_work {
    void (*run)(struct gw_work *work); /* on another thread */
    void (*done)(struct gw_work *work);
    void *impl;
};

/* A thread with a queue: it takes everything posted since it last looked, in order, as one batch.
 * This is what a group commit is made of: while one batch is worked on, the next one gathers.
 * Members of the batch are gw_msg.link; their `run` is not called. */
struct gw_worker;
typedef void gw_worker_fn(void *ctx, struct gw_list *batch);

/* ── The struct ────────────────────────────────────────────────────────────────────────────── */

struct gw_env_ops {
    int64_t (*wall_ms)(struct gw_env *env);
    int64_t (*mono_us)(struct gw_env *env);
    void (*random)(struct gw_env *env, void *out, size_t len);
    void (*post_all)(struct gw_env *env, struct gw_list *msgs);
    void (*timer_set)(struct gw_env *env, struct gw_timer *timer, int64_t delay_ms);
    void (*timer_stop)(struct gw_env *env, struct gw_timer *timer);
    void (*resolve)(struct gw_env *env, struct gw_resolve *req);
    void (*resolve_cancel)(struct gw_env *env, struct gw_resolve *req);
    void (*http)(struct gw_env *env, struct gw_http_call *call);
    void (*http_cancel)(struct gw_env *env, struct gw_http_call *call);
    void (*work)(struct gw_env *env, struct gw_work *work);
    struct gw_worker *(*worker_start)(struct gw_env *env, const char *name, gw_worker_fn *fn,
                                      void *ctx);
    void (*worker_post)(struct gw_worker *worker, struct gw_msg *msg);
    void (*worker_stop)(struct gw_worker *worker);
};

struct gw_env {
    const struct gw_env_ops *ops;
};

/* Every worker starts with its ops, so that gw_worker_post() needs no env. */
struct gw_worker {
    const struct gw_env_ops *ops;
};

/* Wall time, milliseconds since 1970 UTC; may step. Read once per loop turn. */
static inline int64_t gw_env_wall_ms(struct gw_env *env)
{
    return env->ops->wall_ms(env);
}

/* A clock that only goes forward, microseconds; read now, not once per turn. */
static inline int64_t gw_env_mono_us(struct gw_env *env)
{
    return env->ops->mono_us(env);
}

static inline void gw_env_random(struct gw_env *env, void *out, size_t len)
{
    env->ops->random(env, out, len);
}

/* Runs msg->run on env's thread, after everything posted before it. Never blocks, never fails. */
static inline void gw_env_post(struct gw_env *env, struct gw_msg *msg)
{
    struct gw_list one;
    gw_list_init(&one);
    gw_list_push(&one, &msg->link);
    env->ops->post_all(env, &one);
}

/* The same for a list of gw_msg.link, in order; the list is empty afterwards. */
static inline void gw_env_post_all(struct gw_env *env, struct gw_list *msgs)
{
    env->ops->post_all(env, msgs);
}

/* Fires once, after delay_ms (0 = next turn). Setting a running timer moves it. */
static inline void gw_env_timer_set(struct gw_env *env, struct gw_timer *timer, int64_t delay_ms)
{
    env->ops->timer_set(env, timer, delay_ms);
}

static inline void gw_env_timer_stop(struct gw_env *env, struct gw_timer *timer)
{
    env->ops->timer_stop(env, timer);
}

static inline void gw_env_resolve(struct gw_env *env, struct gw_resolve *req)
{
    env->ops->resolve(env, req);
}

/* `done` will not be called; the memory is the caller's again. */
static inline void gw_env_resolve_cancel(struct gw_env *env, struct gw_resolve *req)
{
    env->ops->resolve_cancel(env, req);
}

static inline void gw_env_http(struct gw_env *env, struct gw_http_call *call)
{
    env->ops->http(env, call);
}

/* The connection is closed, `done` will not be called; the memory is the caller's again. */
static inline void gw_env_http_cancel(struct gw_env *env, struct gw_http_call *call)
{
    env->ops->http_cancel(env, call);
}

static inline void gw_env_work(struct gw_env *env, struct gw_work *work)
{
    env->ops->work(env, work);
}

static inline struct gw_worker *gw_worker_start(struct gw_env *env, const char *name,
                                                gw_worker_fn *fn, void *ctx)
{
    return env->ops->worker_start(env, name, fn, ctx);
}

static inline void gw_worker_post(struct gw_worker *worker, struct gw_msg *msg)
{
    worker->ops->worker_post(worker, msg);
}

/* Works off what was posted, then ends the thread and frees the worker. Blocks until then; not to
 * be called from its own fn. */
static inline void gw_worker_stop(struct gw_worker *worker)
{
    worker->ops->worker_stop(worker);
}
