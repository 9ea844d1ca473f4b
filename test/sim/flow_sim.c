/* flow_sim.c: the deterministic simulation: the real flow and core, a hundred worlds, one for
 * each seed. A world posts events, changes configs, breaks and mends clients' servers, retries by
 * hand, enables targets, steps the clock, crashes and restarts, all at random, and in half of the
 * worlds the store is late, fails and loses answers too; then everything else is mended, and every
 * promise is checked.
 *
 *   flow_sim                 100 seeds from 1
 *   flow_sim FIRST COUNT     others; a failure prints its seed, and the same seed fails again
 */
#include "flow_world.h"

#include <stdio.h>
#include <stdlib.h>

#define STEPS 120

static int dice(struct world *world, int below)
{
    return (int)sim_random(world->sim, (uint64_t)below);
}

static void post_some(struct world *world, unsigned *next_id)
{
    int app = dice(world, WORLD_APPS);
    int count = dice(world, 10) ? 1 + dice(world, 8) : 100 + dice(world, 200);
    for (int i = 0; i < count; i++) {
        bool again = *next_id > 0 && dice(world, 20) == 0;
        world_post(world, app, again ? (unsigned)dice(world, (int)*next_id) : (*next_id)++);
    }
}

static void change_config(struct world *world)
{
    static const char *const patches[] = {
        "\"isActive\":false",
        "\"isActive\":true",
        "\"webhookUrl\":\"https://four.example/x#\"",
        "\"webhookUrl\":\"https://one.example/x#\"",
        "\"workflows\":{\"w\":[\"https://three.example/w#\"]}",
        "\"workflows\":null",
        "\"workflows\":{\"w\":[\"https://two.example/w#\",\"https://one.example/x#\"]}",
        "\"deleteAppId\":true",
    };
    int app = dice(world, WORLD_APPS);
    if (!world->configs[app])
        world_config_create(world, app);
    else if (dice(world, 8) == 0)
        world_config_delete(world, app);
    else
        world_config_patch(world, app, patches[dice(world, (int)gw_count(patches))]);
}

static void one_step(struct world *world, unsigned *next_id)
{
    int what = dice(world, 100);
    if (what < 60)
        post_some(world, next_id);
    else if (what < 75)
        world->hosts[dice(world, WORLD_HOSTS)].mood = (enum mood)dice(world, MOOD_GONE + 1);
    else if (what < 87)
        change_config(world);
    else if (what < 93 && world->posted_count)
        world_retry(world, (size_t)dice(world, (int)world->posted_count));
    else if (what < 96)
        world_crash(world);
    else if (what < 98)
        world_restart(world);
    else
        sim_wall_step(world->sim, dice(world, 1200000) - 600000);
    if (dice(world, 40) == 0)
        world_enable(world, dice(world, WORLD_APPS));
    static const int longest_ms[] = {2, 30, 300, 3000, 900000};
    sim_run(world->sim, NULL, NULL, dice(world, longest_ms[dice(world, 5)]));
    for (size_t i = 0; i < WORLD_SHARDS; i++) {
        size_t now = (size_t)world->shards[i]->gauges[GW_GAUGE_IN_MEMORY];
        world->memory_high = now > world->memory_high ? now : world->memory_high;
    }
}

/* More waits than can be tried once a minute, so that some of it is given up; then what fails is
 * disabled. */
static void fail_for_days(struct world *world, unsigned *next_id)
{
    if (!world->configs[1])
        world_config_create(world, 1);
    world_config_patch(world, 1, "\"isActive\":true");
    for (size_t i = 0; i < WORLD_HOSTS; i++)
        world->hosts[i].mood = MOOD_FAILS;
    for (int i = 0; i < 4000; i++) {
        world_post(world, 1, (*next_id)++);
        sim_run(world->sim, NULL, NULL, 10);
    }
    sim_run(world->sim, NULL, NULL, 6LL * 24 * 3600 * 1000);
}

static const char *run(uint64_t seed, bool talk)
{
    static struct world world;
    unsigned next_id = 0;
    world_create(&world, seed);
    for (int app = 0; app < WORLD_APPS; app++)
        world_config_create(&world, app);
    for (int step = 0; step < STEPS && !world.broken; step++)
        one_step(&world, &next_id);
    if (seed % 15 == 0 && !world.broken)
        fail_for_days(&world, &next_id);
    for (size_t i = 0; i < WORLD_HOSTS; i++)
        world.hosts[i].mood = MOOD_WELL;
    if (!world.broken) /* what was under way may still bring a 410, which disables */
        sim_run(world.sim, NULL, NULL, 120000);
    for (int app = 0; app < WORLD_APPS && !world.broken; app++) {
        world_config_patch(&world, app, "\"isActive\":true");
        world_enable(&world, app);
    }
    if (!world.broken && !world_finish(&world))
        world_broken(&world, "something stays open for ever");
    if (!world.broken)
        world_check(&world);
    const char *broken = world.broken;
    if (talk)
        printf("seed %llu: %zu events, %u crashes, %zu duplicates, %zu given up, %zu in memory at "
               "most: %s\n",
               (unsigned long long)seed, world.posted_count, world.crashes, world.duplicates,
               world.given_up, world.memory_high, broken ? broken : "ok");
    world_destroy(&world);
    return broken;
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 100;
    unsigned failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    sim_init();
    for (uint64_t seed = first; seed < first + count; seed++) {
        const char *broken = run(seed, argc > 1);
        if (broken && argc <= 1)
            printf("seed %llu: %s\n", (unsigned long long)seed, broken);
        failed += broken != NULL;
    }
    printf("%llu passed, %u failed\n", (unsigned long long)(count - failed), failed);
    return failed ? 1 : 0;
}
