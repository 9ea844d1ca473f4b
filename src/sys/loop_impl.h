/* loop_impl.h: the real env from inside; for the files of sys/ only. */
#pragma once

#include "sys/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

struct gw_http_client;
struct gw_resolver;

struct gw_loop {
    struct gw_env env; /* first */
    uv_loop_t uv;
    uv_prepare_t before_poll;

    /* the mailbox */
    pthread_mutex_t lock;
    struct gw_list mail; /* under the lock */
    uv_async_t wake;     /* by other threads, and to stop */
    uv_idle_t again;     /* by the loop's own thread */
    atomic_bool stopping;

    /* timers: node.key is uv_now() milliseconds, node.tie the order of setting */
    struct gw_heap timers;
    uint64_t timer_ties;
    uv_timer_t alarm;
    int64_t alarm_at; /* what it is set to; GW_NEVER = not running */

    int64_t wall_ms;
    uint64_t wall_read_at; /* uv_now() then */
    bool running;
    bool destroying;

    struct gw_list signals;
    struct gw_list servers;
    struct gw_http_client *http, *http_apart;
    struct gw_resolver *resolver;
};

static inline struct gw_loop *gw_loop_of(struct gw_env *env)
{
    return gw_container_of(env, struct gw_loop, env);
}

/* loop_timer.c */
void gw_loop_timer_init(struct gw_loop *loop);
void gw_loop_timer_close(struct gw_loop *loop);
void gw_loop_timer_arm(struct gw_loop *loop); /* before the loop sleeps */
void gw_loop_timer_set(struct gw_env *env, struct gw_timer *timer, int64_t delay_ms);
void gw_loop_timer_stop(struct gw_env *env, struct gw_timer *timer);

/* loop_mail.c */
void gw_loop_mail_init(struct gw_loop *loop);
void gw_loop_mail_close(struct gw_loop *loop);
void gw_loop_mail_post_all(struct gw_env *env, struct gw_list *msgs);
void gw_loop_mail_enter(struct gw_loop *loop); /* this thread runs the loop from now on */
void gw_loop_mail_leave(void);

/* worker.c */
struct gw_worker *gw_loop_worker_start(struct gw_env *env, const char *name, gw_worker_fn *fn,
                                       void *ctx);
void gw_loop_worker_post(struct gw_worker *worker, struct gw_msg *msg);
void gw_loop_worker_stop(struct gw_worker *worker);

/* http_server.c */
void gw_http_server_stop_all(struct gw_loop *loop);

/* http_client.c: two for each loop */
enum gw_err gw_http_client_create(struct gw_loop *loop, const struct gw_loop_options *options,
                                  struct gw_http_client **client, struct gw_error *error);
void gw_http_client_destroy(struct gw_http_client *client); /* libuv lets go later */
void gw_http_client_call(struct gw_env *env, struct gw_http_call *call);
void gw_http_client_cancel(struct gw_env *env, struct gw_http_call *call);
void gw_http_client_flush(struct gw_loop *loop); /* before it sleeps */

/* resolver.c: one for each loop */
enum gw_err gw_resolver_create(struct gw_loop *loop, const struct gw_loop_options *options,
                               struct gw_resolver **resolver, struct gw_error *error);
void gw_resolver_destroy(struct gw_resolver *resolver); /* libuv lets go later */
void gw_resolver_resolve(struct gw_env *env, struct gw_resolve *req);
void gw_resolver_cancel(struct gw_env *env, struct gw_resolve *req);
void gw_resolver_flush(struct gw_resolver *resolver); /* before the loop sleeps */

/* Both, once per process. */
void gw_http_client_init(void);
void gw_resolver_init(void);
