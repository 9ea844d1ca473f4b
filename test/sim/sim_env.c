/* sim_env.c: the simulated world: clock, queue, envs, posts, timers, work and workers. Names and
 * http are in sim_net.c.
 *
 * Owns its events, envs and workers; everything else in an event is somebody else's and is not
 * touched after its env was killed. Single-threaded; nothing here fails. */
#include "sim_impl.h"

#include "base/alloc.h"
#include "base/check.h"

#define WALL_MS_DEFAULT    1767225600000 /* 2026-01-01T00:00:00Z */
#define POST_US_DEFAULT    200
#define TIMER_US_DEFAULT   900
#define WORK_US_DEFAULT    2000
#define WORKER_US_DEFAULT  1000
#define CONNECT_US_DEFAULT 20000

struct sim_worker {
    struct gw_worker base; /* first */
    struct gw_list link;   /* in its env's workers */
    struct sim_env *env;
    struct gw_list queue;
    struct sim_event *waking; /* NULL = nothing to do */
    gw_worker_fn *fn;
    void *ctx;
};

/* ── Dice ──────────────────────────────────────────────────────────────────────────────────── */

/* SplitMix64. */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void digest_add(struct sim *sim, uint64_t value)
{
    sim->digest ^= value;
    sim->digest = draw(&sim->digest);
}

int64_t sim_while(struct sim *sim, int64_t max_us)
{
    return 1 + (int64_t)(draw(&sim->dice) % (uint64_t)max_us);
}

uint64_t sim_random(struct sim *sim, uint64_t below)
{
    gw_check(below > 0);
    return draw(&sim->own_dice) % below;
}

/* ── The queue ─────────────────────────────────────────────────────────────────────────────── */

struct sim_event *sim_plan(struct sim_env *env, int64_t delay_us, enum sim_kind kind, void *what)
{
    struct sim *sim = env->sim;
    struct sim_event *event = gw_zalloc(sizeof(*event));

    gw_check(delay_us >= 0);
    event->node.key = sim->now_us + delay_us;
    event->node.tie = ++sim->seq;
    event->env = env;
    event->kind = kind;
    event->what = what;
    gw_heap_push(&sim->events, &event->node);
    return event;
}

void sim_unplan(struct sim_event *event)
{
    gw_heap_remove(&event->env->sim->events, &event->node);
    gw_free(event);
}

bool sim_is_dead(struct sim_env *env)
{
    struct sim *sim = env->sim;

    if (env->dead)
        return true;
    gw_check(!sim->in_thread);
    gw_check(sim->running == NULL || sim->running == env);
    return false;
}

/* The leak check takes what a static points to for reachable. */
void sim_bury(void *ptr)
{
    static void **graves;
    static size_t count, cap;

    if (count == cap) {
        cap = cap ? cap * 2 : 256;
        graves = gw_realloc(graves, cap * sizeof(*graves));
    }
    graves[count++] = ptr;
}

/* ── Clocks and randomness ─────────────────────────────────────────────────────────────────── */

int64_t sim_now_us(const struct sim *sim)
{
    return sim->now_us;
}

int64_t sim_wall_ms(const struct sim *sim)
{
    return sim->options.wall_ms + sim->wall_offset_ms + sim->now_us / 1000;
}

void sim_wall_step(struct sim *sim, int64_t by_ms)
{
    sim->wall_offset_ms += by_ms;
}

uint64_t sim_digest(const struct sim *sim)
{
    return sim->digest;
}

static int64_t env_wall_ms(struct gw_env *env)
{
    return sim_wall_ms(sim_env_of(env)->sim);
}

static int64_t env_mono_us(struct gw_env *env)
{
    return sim_now_us(sim_env_of(env)->sim);
}

static void env_random(struct gw_env *base, void *out, size_t len)
{
    struct sim_env *env = sim_env_of(base);
    uint8_t *bytes = out;

    (void)sim_is_dead(env);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)draw(&env->random);
}

/* ── Posts ─────────────────────────────────────────────────────────────────────────────────── */

static void env_post_all(struct gw_env *base, struct gw_list *msgs)
{
    struct sim_env *env = sim_env_of(base);
    struct sim *sim = env->sim;
    struct gw_list *link;

    while ((link = gw_list_pop(msgs)) != NULL) {
        struct gw_msg *msg = gw_container_of(link, struct gw_msg, link);
        if (env->dead) {
            sim_bury(msg);
            continue;
        }
        int64_t at_us = sim->now_us + sim_while(sim, sim->options.post_us);
        if (at_us < env->last_post_us)
            at_us = env->last_post_us;
        env->last_post_us = at_us;
        sim_plan(env, at_us - sim->now_us, SIM_POST, msg);
    }
}

/* ── Timers: node.tie holds the event while node.at is 1 ───────────────────────────────────── */

static void env_timer_stop(struct gw_env *base, struct gw_timer *timer)
{
    if (sim_is_dead(sim_env_of(base)) || timer->node.at == 0)
        return;
    sim_unplan((struct sim_event *)(uintptr_t)timer->node.tie);
    timer->node = (struct gw_heap_node){0};
}

static void env_timer_set(struct gw_env *base, struct gw_timer *timer, int64_t delay_ms)
{
    struct sim_env *env = sim_env_of(base);

    if (sim_is_dead(env))
        return;
    int64_t late_us = sim_while(env->sim, env->sim->options.timer_us);
    gw_check(timer->fire);
    env_timer_stop(base, timer);
    if (delay_ms < 0)
        delay_ms = 0;
    struct sim_event *event = sim_plan(env, delay_ms * 1000 + late_us, SIM_TIMER, timer);
    timer->node.tie = (uint64_t)(uintptr_t)event;
    timer->node.at = 1;
}

/* ── Work and workers ──────────────────────────────────────────────────────────────────────── */

static void env_work(struct gw_env *base, struct gw_work *work)
{
    struct sim_env *env = sim_env_of(base);

    if (sim_is_dead(env))
        sim_bury(work);
    else
        sim_plan(env, sim_while(env->sim, env->sim->options.work_us), SIM_WORK_RUN, work);
}

static void run_work(struct sim_env *env, struct gw_work *work)
{
    struct sim *sim = env->sim;

    sim->running = NULL;
    sim->in_thread = true;
    work->run(work);
    sim->in_thread = false;
    if (env->dead)
        sim_bury(work);
    else
        sim_plan(env, sim_while(sim, sim->options.work_us), SIM_WORK_DONE, work);
}

static struct sim_worker *worker_of(struct gw_worker *base)
{
    return gw_container_of(base, struct sim_worker, base);
}

static struct gw_worker *env_worker_start(struct gw_env *base, const char *name, gw_worker_fn *fn,
                                          void *ctx)
{
    struct sim_env *env = sim_env_of(base);
    struct sim_worker *worker = gw_zalloc(sizeof(*worker));

    (void)name;
    worker->base.ops = base->ops;
    worker->env = env;
    worker->fn = fn;
    worker->ctx = ctx;
    gw_list_init(&worker->queue);
    gw_list_push(&env->workers, &worker->link);
    return &worker->base;
}

static void env_worker_post(struct gw_worker *base, struct gw_msg *msg)
{
    struct sim_worker *worker = worker_of(base);
    struct sim *sim = worker->env->sim;

    if (worker->env->dead) {
        sim_bury(msg);
        return;
    }
    gw_list_push(&worker->queue, &msg->link);
    if (worker->waking == NULL)
        worker->waking =
            sim_plan(worker->env, sim_while(sim, sim->options.worker_us), SIM_WORKER, worker);
}

/* All that was posted until now, as one batch. */
static void run_worker(struct sim_worker *worker)
{
    struct sim *sim = worker->env->sim;
    struct sim_env *was_running = sim->running;
    struct gw_list batch;

    gw_list_init(&batch);
    gw_list_splice(&batch, &worker->queue);
    worker->waking = NULL;
    sim->running = NULL;
    sim->in_thread = true;
    worker->fn(worker->ctx, &batch);
    sim->in_thread = false;
    sim->running = was_running;
}

static void worker_free(struct sim_worker *worker)
{
    gw_list_remove(&worker->link);
    gw_free(worker);
}

static void env_worker_stop(struct gw_worker *base)
{
    struct sim_worker *worker = worker_of(base);

    while (worker->waking) {
        sim_unplan(worker->waking);
        run_worker(worker);
    }
    worker_free(worker);
}

/* ── What happens ──────────────────────────────────────────────────────────────────────────── */

static void happen(struct sim_env *env, enum sim_kind kind, void *what)
{
    struct gw_timer *timer = what;
    struct gw_work *work = what;
    struct gw_msg *msg = what;

    env->sim->running = env;
    switch (kind) {
    case SIM_POST: msg->run(msg); break;
    case SIM_TIMER:
        timer->node = (struct gw_heap_node){0};
        timer->fire(timer);
        break;
    case SIM_RESOLVED: sim_net_resolved(what); break;
    case SIM_HTTP_ARRIVED: sim_net_http_arrived(what); break;
    case SIM_HTTP_DONE: sim_net_http_done(what); break;
    case SIM_WORK_RUN: run_work(env, work); break;
    case SIM_WORK_DONE: work->done(work); break;
    case SIM_WORKER: run_worker(what); break;
    }
    env->sim->running = NULL;
}

/* A request that was sent arrives whatever becomes of its sender. */
static bool is_frozen(const struct sim_event *event)
{
    return event->node.key < event->env->frozen_until_us && event->kind != SIM_HTTP_ARRIVED;
}

bool sim_step(struct sim *sim)
{
    struct gw_heap_node *node = gw_heap_pop(&sim->events);

    gw_check(sim->running == NULL);
    if (node == NULL)
        return false;
    struct sim_event *event = gw_container_of(node, struct sim_event, node);
    struct sim_env *env = event->env;
    enum sim_kind kind = event->kind;
    if (is_frozen(event)) {
        node->key = env->frozen_until_us;
        gw_heap_push(&sim->events, node);
        return true;
    }
    void *what = event->what;

    sim->now_us = node->key;
    digest_add(sim, (uint64_t)node->key);
    digest_add(sim, env->number << 8 | (uint64_t)kind);
    gw_free(event);
    happen(env, kind, what);
    return true;
}

bool sim_run(struct sim *sim, bool (*until)(void *ctx), void *ctx, int64_t max_ms)
{
    int64_t end_us = sim->now_us + max_ms * 1000;

    while (until == NULL || !until(ctx)) {
        struct gw_heap_node *next = gw_heap_first(&sim->events);
        if (next == NULL || next->key > end_us) {
            if (until == NULL || next)
                sim->now_us = end_us;
            return until == NULL;
        }
        sim_step(sim);
    }
    return true;
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

static const struct gw_env_ops ops = {
    .wall_ms = env_wall_ms,
    .mono_us = env_mono_us,
    .random = env_random,
    .post_all = env_post_all,
    .timer_set = env_timer_set,
    .timer_stop = env_timer_stop,
    .resolve = sim_net_resolve,
    .resolve_cancel = sim_net_resolve_cancel,
    .http = sim_net_http,
    .http_cancel = sim_net_http_cancel,
    .work = env_work,
    .worker_start = env_worker_start,
    .worker_post = env_worker_post,
    .worker_stop = env_worker_stop,
};

static void drop(struct sim_event *event)
{
    switch (event->kind) {
    case SIM_RESOLVED:
    case SIM_HTTP_ARRIVED:
    case SIM_HTTP_DONE: sim_net_dropped(event->kind, event->what); break;
    case SIM_WORKER: break; /* ours */
    case SIM_POST:
    case SIM_TIMER:
    case SIM_WORK_RUN:
    case SIM_WORK_DONE: sim_bury(event->what); break;
    }
    gw_free(event);
}

/* Takes the events of one env (NULL: of all) out of the queue. */
static void drop_events(struct sim *sim, const struct sim_env *env)
{
    struct gw_heap kept = {0};
    struct gw_heap_node *node;

    while ((node = gw_heap_pop(&sim->events)) != NULL) {
        struct sim_event *event = gw_container_of(node, struct sim_event, node);
        if (env && event->env != env)
            gw_heap_push(&kept, node);
        else
            drop(event);
    }
    gw_free(sim->events.nodes);
    sim->events = kept;
}

void sim_env_kill(struct gw_env *base)
{
    struct sim_env *env = sim_env_of(base);

    if (env->dead)
        return;
    env->dead = true;
    if (env->sim->running == env)
        env->sim->running = NULL; /* what follows in this callback may be the next life */
    drop_events(env->sim, env);
    gw_list_each (link, &env->workers) {
        struct sim_worker *worker = gw_container_of(link, struct sim_worker, link);
        if (!gw_list_empty(&worker->queue))
            sim_bury(worker->queue.next);
        gw_list_init(&worker->queue);
        worker->waking = NULL;
    }
}

void sim_env_freeze(struct gw_env *base, int64_t for_ms)
{
    struct sim_env *env = sim_env_of(base);

    env->frozen_until_us = env->sim->now_us + for_ms * 1000;
}

struct gw_env *sim_env_create(struct sim *sim)
{
    struct sim_env *env = gw_zalloc(sizeof(*env));

    env->env.ops = &ops;
    env->sim = sim;
    env->number = ++sim->env_count;
    env->random = draw(&sim->dice);
    gw_list_init(&env->workers);
    gw_list_push(&sim->envs, &env->link);
    return &env->env;
}

static void env_free(struct sim_env *env)
{
    gw_list_each_safe (link, &env->workers)
        worker_free(gw_container_of(link, struct sim_worker, link));
    gw_free(env);
}

void sim_init(void)
{
    static const uint8_t hash_key[16] = "one fixed order";

    gw_map_hash_key_set(hash_key);
}

static int64_t or_default(int64_t value, int64_t fallback)
{
    return value > 0 ? value : fallback;
}

struct sim *sim_create(const struct sim_options *options)
{
    struct sim *sim = gw_zalloc(sizeof(*sim));
    struct sim_options *o = &sim->options;

    *o = *options;
    o->wall_ms = or_default(o->wall_ms, WALL_MS_DEFAULT);
    o->post_us = or_default(o->post_us, POST_US_DEFAULT);
    o->timer_us = or_default(o->timer_us, TIMER_US_DEFAULT);
    o->work_us = or_default(o->work_us, WORK_US_DEFAULT);
    o->worker_us = or_default(o->worker_us, WORKER_US_DEFAULT);
    o->connect_us = or_default(o->connect_us, CONNECT_US_DEFAULT);
    sim->dice = o->seed;
    sim->own_dice = ~o->seed;
    gw_list_init(&sim->envs);
    return sim;
}

void sim_destroy(struct sim *sim)
{
    struct gw_list *link;

    if (sim == NULL)
        return;
    drop_events(sim, NULL);
    gw_heap_deinit(&sim->events);
    while ((link = gw_list_pop(&sim->envs)) != NULL)
        env_free(gw_container_of(link, struct sim_env, link));
    sim_net_deinit(sim);
    gw_free(sim);
}
