/* pause.c: one timer that ends a loop. */
#include "cli/pause.h"

#include "base/alloc.h"
#include "sys/loop.h"

struct pause {
    struct gw_timer timer;
    struct gw_env *env;
};

static void on_over(struct gw_timer *timer)
{
    gw_loop_stop(gw_container_of(timer, struct pause, timer)->env);
}

void gw_pause(struct gw_env *env, int64_t ms)
{
    struct pause pause = {.timer = {.fire = on_over}, .env = env};

    gw_env_timer_set(env, &pause.timer, ms);
    gw_loop_run(env);
}
