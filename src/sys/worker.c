/* worker.c: a thread with a queue; what gathers while it works is its next batch.
 *
 * Owns the queue and the thread, not the messages: those are fn's, from the moment it gets them. Any
 * thread may post; only the one that started a worker stops it. Messages reach fn in the order they
 * were posted, each exactly once; stop returns after the last one. */
#include "base/check.h"
#include "sys/loop_impl.h"

struct worker {
    struct gw_worker base; /* first: its ops */
    struct gw_thread *thread;
    gw_worker_fn *fn;
    void *ctx;

    pthread_mutex_t lock;
    pthread_cond_t posted;
    struct gw_list queue; /* these three under the lock */
    bool is_waiting;
    bool is_stopping;
};

/* False: the queue is empty and stays so. */
static bool next_batch(struct worker *w, struct gw_list *batch)
{
    pthread_mutex_lock(&w->lock);
    while (gw_list_empty(&w->queue) && !w->is_stopping) {
        w->is_waiting = true;
        pthread_cond_wait(&w->posted, &w->lock);
        w->is_waiting = false;
    }
    gw_list_splice(batch, &w->queue);
    pthread_mutex_unlock(&w->lock);
    return !gw_list_empty(batch);
}

static void run(void *ctx)
{
    struct worker *w = ctx;
    struct gw_list batch;

    gw_list_init(&batch);
    while (next_batch(w, &batch)) {
        w->fn(w->ctx, &batch);
        gw_list_init(&batch); /* fn may have walked it and left it as it was */
    }
}

struct gw_worker *gw_loop_worker_start(struct gw_env *env, const char *name, gw_worker_fn *fn,
                                       void *ctx)
{
    struct worker *w = gw_zalloc(sizeof(*w));

    w->base.ops = env->ops;
    w->fn = fn;
    w->ctx = ctx;
    gw_list_init(&w->queue);
    gw_check(pthread_mutex_init(&w->lock, NULL) == 0);
    gw_check(pthread_cond_init(&w->posted, NULL) == 0);
    w->thread = gw_thread_start(name, run, w);
    return &w->base;
}

void gw_loop_worker_post(struct gw_worker *worker, struct gw_msg *msg)
{
    struct worker *w = gw_container_of(worker, struct worker, base);

    pthread_mutex_lock(&w->lock);
    gw_list_push(&w->queue, &msg->link);
    bool is_waiting = w->is_waiting;
    w->is_waiting = false; /* one wake is enough for all that follow */
    pthread_mutex_unlock(&w->lock);
    if (is_waiting)
        pthread_cond_signal(&w->posted);
}

void gw_loop_worker_stop(struct gw_worker *worker)
{
    struct worker *w = gw_container_of(worker, struct worker, base);

    pthread_mutex_lock(&w->lock);
    w->is_stopping = true;
    pthread_cond_signal(&w->posted);
    pthread_mutex_unlock(&w->lock);
    gw_thread_join(w->thread);
    pthread_cond_destroy(&w->posted);
    pthread_mutex_destroy(&w->lock);
    gw_free(w);
}
