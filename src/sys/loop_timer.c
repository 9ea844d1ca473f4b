/* loop_timer.c: all timers of a loop in one heap, behind one libuv timer.
 *
 * Owns the heap's array and the libuv timer; a gw_timer belongs to whoever set it. Invariant: just
 * before the loop sleeps the libuv timer is due no later than the first of the heap; it may be due
 * earlier, when that one was stopped, and then fires for nothing. Loop's thread only. */
#include "base/check.h"
#include "base/timefmt.h"
#include "sys/loop_impl.h"

static int64_t now_ms(const struct gw_loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

static void on_alarm(uv_timer_t *alarm)
{
    struct gw_loop *loop = alarm->data;
    uint64_t limit = loop->timer_ties; /* what is set from now on waits for the next turn */

    loop->alarm_at = GW_NEVER;
    for (;;) {
        struct gw_heap_node *node = gw_heap_first(&loop->timers);
        if (node == NULL || node->key > now_ms(loop) || node->tie >= limit)
            break;
        gw_heap_pop(&loop->timers);
        struct gw_timer *timer = gw_container_of(node, struct gw_timer, node);
        timer->fire(timer);
    }
}

void gw_loop_timer_arm(struct gw_loop *loop)
{
    struct gw_heap_node *node = gw_heap_first(&loop->timers);

    if (node == NULL || node->key >= loop->alarm_at)
        return;
    int64_t wait_ms = node->key - now_ms(loop);
    uv_timer_start(&loop->alarm, on_alarm, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
    loop->alarm_at = node->key;
}

void gw_loop_timer_set(struct gw_env *env, struct gw_timer *timer, int64_t delay_ms)
{
    struct gw_loop *loop = gw_loop_of(env);

    gw_check(timer->fire != NULL);
    if (!loop->running)
        uv_update_time(&loop->uv);
    if (delay_ms < 0)
        delay_ms = 0;
    if (delay_ms > GW_NEVER / 2)
        delay_ms = GW_NEVER / 2;
    if (gw_heap_linked(&timer->node))
        gw_heap_remove(&loop->timers, &timer->node);
    timer->node.key = now_ms(loop) + delay_ms;
    timer->node.tie = loop->timer_ties++;
    gw_heap_push(&loop->timers, &timer->node);
}

void gw_loop_timer_stop(struct gw_env *env, struct gw_timer *timer)
{
    if (gw_heap_linked(&timer->node))
        gw_heap_remove(&gw_loop_of(env)->timers, &timer->node);
}

void gw_loop_timer_init(struct gw_loop *loop)
{
    gw_check(uv_timer_init(&loop->uv, &loop->alarm) == 0);
    loop->alarm.data = loop;
    loop->alarm_at = GW_NEVER;
}

void gw_loop_timer_close(struct gw_loop *loop)
{
    while (gw_heap_pop(&loop->timers) != NULL)
        ;
    gw_heap_deinit(&loop->timers);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
}
