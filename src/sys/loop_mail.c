/* loop_mail.c: how threads speak to a loop: a list under a lock, and one wake for each batch.
 *
 * Owns the queue, not the messages. Whoever makes the queue non-empty wakes the loop; what is added
 * before the loop looks rides along. The loop's own thread wakes it without a system call. Any
 * thread may post; messages run on the loop's, one batch a turn, so that a message which posts
 * another does not keep the loop from its sockets. Messages not run before the loop is destroyed are
 * dropped: they belong to their senders. */
#include "base/check.h"
#include "sys/loop_impl.h"

static _Thread_local struct gw_loop *current; /* the loop this thread runs */

static void deliver(struct gw_loop *loop)
{
    struct gw_list batch, *link;

    gw_list_init(&batch);
    pthread_mutex_lock(&loop->lock);
    gw_list_splice(&batch, &loop->mail);
    pthread_mutex_unlock(&loop->lock);
    while ((link = gw_list_pop(&batch)) != NULL) {
        struct gw_msg *msg = gw_container_of(link, struct gw_msg, link);
        msg->run(msg);
    }
}

static void on_wake(uv_async_t *wake)
{
    struct gw_loop *loop = wake->data;

    deliver(loop);
    if (atomic_load(&loop->stopping))
        uv_stop(&loop->uv);
}

static void on_again(uv_idle_t *again)
{
    uv_idle_stop(again);
    deliver(again->data);
}

void gw_loop_mail_post_all(struct gw_env *env, struct gw_list *msgs)
{
    struct gw_loop *loop = gw_loop_of(env);

    if (gw_list_empty(msgs))
        return;
    pthread_mutex_lock(&loop->lock);
    bool is_first = gw_list_empty(&loop->mail);
    gw_list_splice(&loop->mail, msgs);
    /* Under the lock, or the loop could be gone: the message may be the one that ends it. */
    if (is_first && current == loop)
        uv_idle_start(&loop->again, on_again);
    else if (is_first)
        uv_async_send(&loop->wake);
    pthread_mutex_unlock(&loop->lock);
}

void gw_loop_mail_enter(struct gw_loop *loop)
{
    gw_check(current == NULL);
    current = loop;
}

void gw_loop_mail_leave(void)
{
    current = NULL;
}

void gw_loop_mail_init(struct gw_loop *loop)
{
    gw_check(pthread_mutex_init(&loop->lock, NULL) == 0);
    gw_list_init(&loop->mail);
    gw_check(uv_async_init(&loop->uv, &loop->wake, on_wake) == 0);
    gw_check(uv_idle_init(&loop->uv, &loop->again) == 0);
    loop->wake.data = loop->again.data = loop;
}

void gw_loop_mail_close(struct gw_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    while (gw_list_pop(&loop->mail) != NULL)
        ;
    pthread_mutex_unlock(&loop->lock);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->again, NULL);
}
