/* backend_sqlite.c: SQLite in a directory of its own: in a simulated world, where its threads are
 * simulated too, or on a real loop. */
#include "world.h"

#include "store/sqlite.h"

#define QUEUE_MAX 100

static void open_with(struct world *world, uint64_t events_max)
{
    struct gw_sqlite_options options = {
        .dir = world->dir,
        .queue_max = QUEUE_MAX,
        .group_max = 1 + (size_t)(world->seed * 7 % 64),
        .cache_bytes = 1 << 20,
        .segment_events_max = events_max,
        .segment_gap_ms = 1,
        .key_generation = world->seed % 2 ? 4 : 0,
    };
    struct gw_sqlite *sqlite;
    struct gw_error error;

    if (gw_sqlite_open(&options, world->env, &sqlite, &error) != GW_OK)
        gw_check_failed(error.text, __FILE__, __LINE__);
    world->store = sqlite;
    world->ledger = gw_sqlite_ledger(sqlite);
    world->configs = gw_sqlite_configs(sqlite);
    world->admin = gw_sqlite_admin(sqlite);
}

static void open_sqlite(struct world *world)
{
    open_with(world, 0);
}

/* A segment for every few events. */
static void open_rolling(struct world *world)
{
    open_with(world, 1 + world->seed % 8);
}

static void close_sqlite(struct world *world)
{
    gw_sqlite_close(world->store);
}

static void stay_closed(struct world *world)
{
    (void)world;
}

const struct backend backend_sqlite_sim = {
    .name = "sqlite-sim",
    .open = open_sqlite,
    .close = close_sqlite,
    .crash = close_sqlite, /* on a dead env: what was queued is dropped */
    .end = stay_closed,
    .queue_max = QUEUE_MAX,
};

const struct backend backend_sqlite = {
    .name = "sqlite",
    .on_loop = true,
    .open = open_sqlite,
    .close = close_sqlite,
    .end = stay_closed,
    .queue_max = QUEUE_MAX,
};

const struct backend backend_sqlite_roll = {
    .name = "sqlite-roll",
    .open = open_rolling,
    .close = close_sqlite,
    .crash = close_sqlite,
    .end = stay_closed,
    .queue_max = QUEUE_MAX,
};

const struct backend backend_sqlite_roll_loop = {
    .name = "sqlite-roll-loop",
    .on_loop = true,
    .open = open_rolling,
    .close = close_sqlite,
    .end = stay_closed,
    .queue_max = QUEUE_MAX,
};
