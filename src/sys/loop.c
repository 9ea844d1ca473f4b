/* loop.c: the real env: one libuv loop and the thread that runs it.
 *
 * Owns the loop and everything that hangs on it: the mailbox, the timers, the HTTP client, the
 * resolver. Before each sleep the loop flushes what the turn has gathered (on_before_poll), so that
 * requests started in one turn are sent together. Whatever libuv refuses here (no memory, no file
 * descriptors at start) is either reported by gw_loop_create or ends the process.
 *
 * End: destroy drops calls, timers and messages, closes every handle and runs the loop until libuv
 * has let go of all of them. Work on the thread pool is waited for, its `done` is not called. */
#include "base/check.h"
#include "base/crypto.h"
#include "sys/http_server.h"
#include "sys/loop_impl.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

struct signal_watch {
    uv_signal_t handle;
    struct gw_list link;
    void (*fn)(void *ctx, int number);
    void *ctx;
};

struct work {
    uv_work_t req;
    struct gw_loop *loop;
    struct gw_work *work;
};

/* ── Clocks and randomness ─────────────────────────────────────────────────────────────────── */

static int64_t wall_ms(struct gw_env *env)
{
    struct gw_loop *loop = gw_loop_of(env);
    uint64_t now = uv_now(&loop->uv);

    if (loop->wall_read_at != now || !loop->running) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        loop->wall_ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
        loop->wall_read_at = now;
    }
    return loop->wall_ms;
}

static int64_t mono_us(struct gw_env *env)
{
    (void)env;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void random_bytes(struct gw_env *env, void *out, size_t len)
{
    (void)env;
    gw_random_bytes(out, len);
}

/* ── Work on the thread pool ───────────────────────────────────────────────────────────────── */

static void on_work(uv_work_t *req)
{
    struct work *w = gw_container_of(req, struct work, req);
    w->work->run(w->work);
}

static void on_work_done(uv_work_t *req, int status)
{
    struct work *w = gw_container_of(req, struct work, req);
    struct gw_work *work = w->work;
    bool is_dropped = w->loop->destroying;

    (void)status; /* nothing here cancels */
    gw_free(w);
    if (!is_dropped)
        work->done(work);
}

static void start_work(struct gw_env *env, struct gw_work *work)
{
    struct work *w = gw_alloc(sizeof(*w));

    w->loop = gw_loop_of(env);
    w->work = work;
    work->impl = w;
    gw_check(uv_queue_work(&w->loop->uv, &w->req, on_work, on_work_done) == 0);
}

/* ── Signals ───────────────────────────────────────────────────────────────────────────────── */

static void on_signal(uv_signal_t *handle, int number)
{
    struct signal_watch *watch = gw_container_of(handle, struct signal_watch, handle);
    watch->fn(watch->ctx, number);
}

void gw_loop_on_signal(struct gw_env *env, int number, void (*fn)(void *ctx, int number), void *ctx)
{
    struct gw_loop *loop = gw_loop_of(env);
    struct signal_watch *watch = gw_zalloc(sizeof(*watch));

    watch->fn = fn;
    watch->ctx = ctx;
    gw_check(uv_signal_init(&loop->uv, &watch->handle) == 0);
    gw_check(uv_signal_start(&watch->handle, on_signal, number) == 0);
    gw_list_push(&loop->signals, &watch->link);
}

static void on_signal_closed(uv_handle_t *handle)
{
    gw_free(gw_container_of((uv_signal_t *)handle, struct signal_watch, handle));
}

static void close_signals(struct gw_loop *loop)
{
    struct gw_list *link;

    while ((link = gw_list_pop(&loop->signals)) != NULL) {
        struct signal_watch *watch = gw_container_of(link, struct signal_watch, link);
        uv_close((uv_handle_t *)&watch->handle, on_signal_closed);
    }
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

static const struct gw_env_ops ops = {
    .wall_ms = wall_ms,
    .mono_us = mono_us,
    .random = random_bytes,
    .post_all = gw_loop_mail_post_all,
    .timer_set = gw_loop_timer_set,
    .timer_stop = gw_loop_timer_stop,
    .resolve = gw_resolver_resolve,
    .resolve_cancel = gw_resolver_cancel,
    .http = gw_http_client_call,
    .http_cancel = gw_http_client_cancel,
    .work = start_work,
    .worker_start = gw_loop_worker_start,
    .worker_post = gw_loop_worker_post,
    .worker_stop = gw_loop_worker_stop,
};

static void on_before_poll(uv_prepare_t *handle)
{
    struct gw_loop *loop = handle->data;

    gw_resolver_flush(loop->resolver);
    gw_http_client_flush(loop);
    /* Or the sleep is too long by what this turn took. */
    uv_update_time(&loop->uv);
    gw_loop_timer_arm(loop);
}

void gw_sys_init(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    sigaction(SIGPIPE, &ignore, NULL); /* a peer that went away is an error code, not an end */
    gw_http_client_init();
    gw_resolver_init();
}

static void close_all(struct gw_loop *loop)
{
    loop->destroying = true;
    gw_http_server_stop_all(loop);
    if (loop->http)
        gw_http_client_destroy(loop->http);
    if (loop->http_apart)
        gw_http_client_destroy(loop->http_apart);
    if (loop->resolver)
        gw_resolver_destroy(loop->resolver);
    close_signals(loop);
    gw_loop_timer_close(loop);
    gw_loop_mail_close(loop);
    uv_close((uv_handle_t *)&loop->before_poll, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    gw_check(uv_loop_close(&loop->uv) == 0);
    pthread_mutex_destroy(&loop->lock);
    gw_free(loop);
}

enum gw_err gw_loop_create(const struct gw_loop_options *options, struct gw_env **env,
                           struct gw_error *error)
{
    static const struct gw_loop_options defaults;
    struct gw_loop *loop = gw_zalloc(sizeof(*loop));

    int status = uv_loop_init(&loop->uv);
    if (status != 0) {
        gw_free(loop);
        return gw_error_set(error, GW_ERR_UNAVAILABLE, "cannot make an event loop: %s",
                            uv_strerror(status));
    }
    if (options == NULL)
        options = &defaults;
    loop->env.ops = &ops;
    gw_list_init(&loop->signals);
    gw_list_init(&loop->servers);
    gw_loop_mail_init(loop);
    gw_loop_timer_init(loop);
    gw_check(uv_prepare_init(&loop->uv, &loop->before_poll) == 0);
    loop->before_poll.data = loop;
    gw_check(uv_prepare_start(&loop->before_poll, on_before_poll) == 0);

    enum gw_err err = gw_http_client_create(loop, options, &loop->http, error);
    if (err == GW_OK)
        err = gw_http_client_create(loop, options, &loop->http_apart, error);
    if (err == GW_OK)
        err = gw_resolver_create(loop, options, &loop->resolver, error);
    if (err != GW_OK) {
        close_all(loop);
        return err;
    }
    *env = &loop->env;
    return GW_OK;
}

void gw_loop_run(struct gw_env *env)
{
    struct gw_loop *loop = gw_loop_of(env);

    gw_loop_mail_enter(loop);
    uv_update_time(&loop->uv);
    loop->running = true;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    loop->running = false;
    atomic_store(&loop->stopping, false);
    gw_loop_mail_leave();
}

void gw_loop_stop(struct gw_env *env)
{
    struct gw_loop *loop = gw_loop_of(env);

    pthread_mutex_lock(&loop->lock); /* the loop may end as soon as it wakes */
    atomic_store(&loop->stopping, true);
    uv_async_send(&loop->wake);
    pthread_mutex_unlock(&loop->lock);
}

void gw_loop_destroy(struct gw_env *env)
{
    struct gw_loop *loop = gw_loop_of(env);

    gw_check(!loop->running);
    close_all(loop);
}
