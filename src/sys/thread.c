/* thread.c: a thread with a name. The caller of start owns it, and joins it exactly once. A thread
 * that cannot be made ends the process: there is none before the start is over. */
#include "base/alloc.h"
#include "base/check.h"
#include "sys/loop.h"

#include <pthread.h>

struct gw_thread {
    pthread_t id;
    char name[16]; /* what the kernel keeps */
    void (*fn)(void *ctx);
    void *ctx;
};

static void *run(void *arg)
{
    struct gw_thread *thread = arg;

    pthread_setname_np(pthread_self(), thread->name);
    thread->fn(thread->ctx);
    return NULL;
}

struct gw_thread *gw_thread_start(const char *name, void (*fn)(void *ctx), void *ctx)
{
    struct gw_thread *thread = gw_zalloc(sizeof(*thread));

    strncpy(thread->name, name, sizeof(thread->name) - 1);
    thread->fn = fn;
    thread->ctx = ctx;
    gw_check(pthread_create(&thread->id, NULL, run, thread) == 0);
    return thread;
}

void gw_thread_join(struct gw_thread *thread)
{
    gw_check(pthread_join(thread->id, NULL) == 0);
    gw_free(thread);
}
