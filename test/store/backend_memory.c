/* backend_memory.c: memory in a simulated world. What is in memory survives: a reopening and a crash
 * are the same to it. */
#include "world.h"

#include "store/memory.h"

#define QUEUE_MAX 100

static void open_memory(struct world *world)
{
    struct gw_memory *memory = world->store;

    if (memory)
        gw_memory_crash(memory, world->env);
    else
        memory = gw_memory_create(world->env, &(struct gw_memory_options){
                                                  .commit_delay_ms = (int64_t)(world->seed % 3),
                                                  .queue_max = QUEUE_MAX,
                                              });
    world->store = memory;
    world->ledger = gw_memory_ledger(memory);
    world->configs = gw_memory_configs(memory);
    world->admin = gw_memory_admin(memory);
}

static void stay(struct world *world)
{
    (void)world;
}

static void end(struct world *world)
{
    gw_memory_destroy(world->store);
}

const struct backend backend_memory = {
    .name = "memory",
    .open = open_memory,
    .close = stay,
    .crash = stay,
    .end = end,
    .queue_max = QUEUE_MAX,
};
