/* world.c: see world.h. Single-threaded itself; on a real loop the backend's threads post to it. */
#include "given.h"

#include "store/memory.h"
#include "sys/loop.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATIENCE_MS 60000 /* then it will never come */
#define KIND_DONE   0x600d

const struct backend *backend;

/* The worlds that are there: an operation says which it belongs to by its env. */
static struct world *worlds[4];

static struct world *world_of(const struct gw_env *env)
{
    for (size_t i = 0; i < gw_count(worlds); i++)
        if (worlds[i] && (worlds[i]->env == env || worlds[i]->owner == env))
            return worlds[i];
    gw_never("an env of no world");
}

/* ── What comes ────────────────────────────────────────────────────────────────────────────── */

static void came(struct world *world, struct came what)
{
    gw_check(world->came_count < WATCHED_MAX);
    world->came[world->came_count++] = what;
    if (world->sim == NULL)
        gw_loop_stop(world->env);
}

static void on_done(struct gw_op *op)
{
    struct world *world = world_of(op->env);
    size_t i = 0;

    while (i < world->watched_count && world->watched[i] != op)
        i++;
    gw_check(i < world->watched_count); /* or it completed twice */
    world->watched[i] = world->watched[--world->watched_count];
    op->kind = KIND_DONE;
    came(world, (struct came){.kind = CAME_DONE, .op = op});
}

bool is_done(const struct gw_op *op)
{
    return op->kind == KIND_DONE;
}

void world_arm(struct world *world, struct gw_op *op)
{
    op->kind = 0;
    gw_check(world->watched_count < WATCHED_MAX);
    op->env = world->env;
    op->done = on_done;
    world->watched[world->watched_count++] = op;
}

void world_started(struct world *world, struct gw_op *op)
{
    bool is_under_way = false;

    for (size_t i = 0; i < world->watched_count; i++)
        is_under_way |= world->watched[i] == op;
    gw_check(is_under_way); /* never inside the call */
}

/* ── Waiting ───────────────────────────────────────────────────────────────────────────────── */

static bool is_answered(void *ctx)
{
    struct world *world = ctx;

    return world->watched_count == 0;
}

static bool has_last_come(void *ctx)
{
    struct world *world = ctx;

    return world->last_came;
}

static void on_last(struct gw_msg *msg)
{
    struct world *world = gw_container_of(msg, struct world, last);

    world->last_came = true;
    if (world->sim == NULL)
        gw_loop_stop(world->env);
}

static void on_patience(struct gw_timer *timer)
{
    (void)timer;
    gw_check_failed("an operation never completed", __FILE__, __LINE__);
}

static void wait_for(struct world *world, bool (*what)(void *ctx))
{
    struct gw_timer patience = {.fire = on_patience};

    if (world->sim) {
        gw_check(sim_run(world->sim, what, world, PATIENCE_MS));
        return;
    }
    gw_env_timer_set(world->env, &patience, PATIENCE_MS);
    while (!what(world))
        gw_loop_run(world->env);
    gw_env_timer_stop(world->env, &patience);
}

/* An offer is posted with its operation's completion: what is posted after that comes behind it. */
void world_wait(struct world *world)
{
    wait_for(world, is_answered);
    world->last = (struct gw_msg){.run = on_last};
    world->last_came = false;
    gw_env_post(world->owner, &world->last);
    wait_for(world, has_last_come);
}

bool world_step(struct world *world)
{
    return sim_step(world->sim);
}

int64_t world_now_us(struct world *world)
{
    return gw_env_mono_us(world->env);
}

/* ── Offers ────────────────────────────────────────────────────────────────────────────────── */

static void on_offer(struct gw_msg *msg)
{
    struct gw_offer *offer = gw_container_of(msg, struct gw_offer, msg);
    struct world *world = offer->owner;

    gw_check(world_of(offer->env) == world);
    came(world, (struct came){.kind = CAME_OFFER, .offer = offer});
}

struct gw_offer *offer_make(struct world *world, struct gw_message *message, size_t room)
{
    struct gw_offer *offer = gw_zalloc(sizeof(*offer) + room * sizeof(struct gw_delivery));

    offer->msg.run = on_offer;
    offer->env = world->owner;
    offer->owner = world;
    offer->message = message ? gw_message_ref(message) : NULL;
    return offer;
}

void offer_free(struct gw_offer *offer)
{
    if (offer)
        gw_message_unref(offer->message);
    gw_free(offer);
}

void world_forget(struct world *world)
{
    for (size_t i = 0; i < world->came_count; i++)
        offer_free(world->came[i].offer);
    world->came_count = 0;
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

static void dir_make(struct world *world)
{
    const char *base = getenv("TMPDIR");

    snprintf(world->dir, sizeof(world->dir), "%s/gwh-contract-XXXXXX", base ? base : "/tmp");
    gw_check(mkdtemp(world->dir) != NULL);
}

static int dir_entry_remove(const char *path, const struct stat *stat, int flag, struct FTW *at)
{
    (void)stat, (void)flag, (void)at;
    return remove(path);
}

static void envs_make(struct world *world)
{
    struct gw_error error;

    if (world->sim) {
        world->env = sim_env_create(world->sim);
        world->owner = sim_env_create(world->sim);
        return;
    }
    gw_check(gw_loop_create(NULL, &world->env, &error) == GW_OK);
    world->owner = world->env;
}

struct world *world_create(const struct backend *of, uint64_t seed)
{
    struct world *world = gw_zalloc(sizeof(*world));
    size_t at = 0;

    while (at < gw_count(worlds) && worlds[at])
        at++;
    gw_check(at < gw_count(worlds));
    worlds[at] = world;
    gw_list_init(&world->accepts);
    world->backend = of;
    world->seed = seed;
    if (!of->on_loop) {
        world->sim = sim_create(&(struct sim_options){.seed = seed, .wall_ms = T0});
        sim_run(world->sim, NULL, NULL, 1000); /* a deadline in the past is not 0 */
    }
    dir_make(world);
    envs_make(world);
    of->open(world);
    return world;
}

void world_reopen(struct world *world)
{
    gw_check(is_answered(world));
    world->backend->close(world);
    world->backend->open(world);
}

void world_crash(struct world *world)
{
    sim_env_kill(world->env);
    sim_env_kill(world->owner);
    world->backend->crash(world);
    envs_make(world);
    world->watched_count = 0;
    world->backend->open(world);
}

void world_destroy(struct world *world)
{
    world_wait(world);
    world->backend->close(world);
    world->backend->end(world);
    while (world->sim && sim_step(world->sim)) /* what has come already may not come again */
        ;
    world_forget(world);
    given_free(world);
    if (world->sim)
        sim_destroy(world->sim);
    else
        gw_loop_destroy(world->env);
    gw_check(nftw(world->dir, dir_entry_remove, 16, FTW_DEPTH | FTW_PHYS) == 0);
    gw_arena_deinit(&world->arena);
    for (size_t i = 0; i < gw_count(worlds); i++)
        if (worlds[i] == world)
            worlds[i] = NULL;
    gw_free(world);
}

int suite_setup(void **state)
{
    *state = world_create(backend, 1);
    return 0;
}

int suite_teardown(void **state)
{
    world_destroy(*state);
    return 0;
}

static bool is_left_out(const char *name)
{
    for (const char *const *out = backend->left_out; out && *out; out++)
        if (strcmp(*out, name) == 0)
            return true;
    return false;
}

int suite_run(const char *group, const struct CMUnitTest *tests, size_t count)
{
    struct CMUnitTest *kept = gw_zalloc((count + 1) * sizeof(*kept));
    size_t kept_count = 0;

    for (size_t i = 0; i < count; i++) {
        char name[128];
        snprintf(name, sizeof(name), "%s %s", group, tests[i].name);
        if (!is_left_out(group) && !is_left_out(name))
            kept[kept_count++] = tests[i];
    }
    int failed = kept_count ? _cmocka_run_group_tests(group, kept, kept_count, NULL, NULL) : 0;
    gw_free(kept);
    return failed;
}
