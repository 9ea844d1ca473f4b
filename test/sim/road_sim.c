/* road_sim.c: the deterministic simulation of the road through AWS: real road, flow and core, one world
 * for each seed. Events are put, configs change, clients' servers break and mend, processes crash, stop
 * and are frozen, and the queue and the store misbehave, all at random; then everything is mended, and
 * every promise is checked.
 *
 *   road_sim                 300 seeds from 1
 *   road_sim FIRST COUNT     others; a failure prints its seed, and the same seed fails again
 */
#include "base/log.h"
#include "road_world.h"

#include <stdio.h>
#include <stdlib.h>

#define STEPS 60

static int dice(struct world *world, int below)
{
    return (int)sim_random(world->sim, (uint64_t)below);
}

static void change_config(struct world *world)
{
    static const char *const patches[] = {
        "\"isActive\":false",
        "\"isActive\":true",
        "\"isActive\":true",
        "\"webhookUrl\":\"https://two.example/d#\"",
        "\"webhookUrl\":\"https://one.example/d#\"",
        "\"workflows\":null",
        "\"workflows\":{\"w\":[\"https://three.example/w#\"]}",
    };
    int app = dice(world, WORLD_APPS);
    bool dies = dice(world, 4) == 0;
    if (!world->configs[app])
        world_config_create(world, app);
    else if (dice(world, 8) == 0)
        world_config_remove(world, app, dies);
    else
        world_config_patch(world, app, patches[dice(world, (int)gw_count(patches))], dies);
}

static void one_step(struct world *world)
{
    int what = dice(world, 100);
    size_t process = (size_t)dice(world, WORLD_PROCESSES);
    world_revive(world);
    if (what < 60)
        for (int i = dice(world, 4); i >= 0; i--)
            world_put(world, dice(world, WORLD_APPS));
    else if (what < 72)
        world->hosts[dice(world, WORLD_HOSTS)].mood = (enum mood)dice(world, MOODS);
    else if (what < 85)
        change_config(world);
    else if (what < 90)
        world_crash(world, process);
    else if (what < 93)
        world_restart(world, process);
    else
        world_freeze(world, process, dice(world, 90000));
    static const int longest_ms[] = {5, 50, 500, 5000, 30000};
    sim_run(world->sim, NULL, NULL, dice(world, longest_ms[dice(world, 5)]));
}

static const char *run(uint64_t seed, bool talk)
{
    static struct world world;
    world_create(&world, seed);
    for (int app = 0; app < WORLD_APPS; app++)
        world_config_create(&world, app);
    for (int step = 0; step < STEPS && !world.broken; step++)
        one_step(&world);
    world_mend(&world);
    bool all = dice(&world, 2); /* else what waits under an inactive config is held for ever */
    for (int app = 0; app < WORLD_APPS && !world.broken && all; app++)
        if (world.configs[app] && !world.configs[app]->is_active) /* the others get no help */
            world_config_patch(&world, app, "\"isActive\":true", false);
    if (!world.broken && !world_finish(&world))
        world_broken(&world, "the queue does not become empty");
    if (!world.broken)
        world_check(&world);
    const char *broken = world.broken;
    if (talk)
        printf("seed %llu: %zu events, %zu posts, %zu doubles, %u processes, %lld s: %s\n",
               (unsigned long long)seed, world.event_count, world.posts, world.doubles,
               world.started, (long long)(sim_now_us(world.sim) / 1000000), broken ? broken : "ok");
    world_destroy(&world);
    return broken;
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 300;
    unsigned failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    gw_log_level_set(GW_LOG_ERROR);
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
