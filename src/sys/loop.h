/* loop.h: the real env: libuv for the loop, libcurl for http, c-ares for names. */
#pragma once

#include "sys/env.h"

struct gw_loop_options {
    const char *ca_file;         /* more authorities (PEM), beside the system's; NULL = none */
    const char *name_servers;    /* "127.0.0.1:5353,…" instead of the system's; NULL = system's */
    size_t connections_kept_max; /* outgoing and not in use, per loop; 0 = default */
};

/* Once per process, before the first loop and any thread: libraries' global set-up. */
void gw_sys_init(void);

enum gw_err gw_loop_create(const struct gw_loop_options *options, struct gw_env **env,
                           struct gw_error *error);
void gw_loop_run(struct gw_env *env);     /* until gw_loop_stop() */
void gw_loop_stop(struct gw_env *env);    /* any thread */
void gw_loop_destroy(struct gw_env *env); /* after run has returned; calls still open are dropped */

/* On the loop's thread; also for SIGINT and SIGTERM. */
void gw_loop_on_signal(struct gw_env *env, int number, void (*fn)(void *ctx, int number),
                       void *ctx);

struct gw_thread;
struct gw_thread *gw_thread_start(const char *name, void (*fn)(void *ctx), void *ctx);
void gw_thread_join(struct gw_thread *thread); /* frees it */
