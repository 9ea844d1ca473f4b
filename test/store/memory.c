/* memory.c: what only the memory backend has: its ceilings, its delay, and a crash of its own. */
#include "given.h"

#include "store/memory.h"

static struct gw_memory *memory;

static void open_small(struct world *world)
{
    struct gw_memory_options options = {.commit_delay_ms = 100, .events_max = 3};

    memory = gw_memory_create(world->env, &options);
    world->ledger = gw_memory_ledger(memory);
    world->configs = gw_memory_configs(memory);
}

static void stay(struct world *world)
{
    (void)world;
}

static void end(struct world *world)
{
    (void)world;
    gw_memory_destroy(memory);
}

static const struct backend small = {
    .name = "small", .open = open_small, .close = stay, .crash = stay, .end = end};

static int setup(void **state)
{
    *state = world_create(&small, 5);
    return 0;
}

static void test_full(void **state)
{
    struct world *world = *state;
    struct given given = {.event_id = "e", .lanes = (const uint64_t[]){1}, .lane_count = 1};

    for (int i = 0; i < 3; i++)
        given_delivery(world, 1, T0);
    assert_true(gw_ledger_state(world->ledger).accepting);
    struct gw_accept *op = accept_start(world, &given);
    world_wait(world);
    assert_int_equal(op->op.err, GW_ERR_FULL);
    assert_true(op->op.again_ms > 0);
    assert_false(op->offered);
    struct gw_ledger_state now = gw_ledger_state(world->ledger);
    assert_false(now.accepting);
    assert_true(strlen(now.why) > 0);
    struct gw_refill *open = refill(world, 1, NULL, 5);
    assert_int_equal(open->count, 3);
    settled(world, &open->deliveries[0], delivered(&open->deliveries[0])); /* settles go on */
}

static void test_a_commit_takes_its_time(void **state)
{
    struct world *world = *state;
    int64_t began_us = world_now_us(world);
    struct given given = {.lanes = (const uint64_t[]){1}, .lane_count = 1};
    struct gw_accept *first = accept_start(world, &given);

    sim_run(world->sim, NULL, NULL, 50);
    struct gw_accept *second = accept_start(world, &given); /* rides along */
    world_wait(world);
    assert_ok(first->op.err);
    assert_ok(second->op.err);
    assert_in_range(world_now_us(world) - began_us, 100000, 110000);
    assert_int_equal(gw_ledger_state(world->ledger).commits.count, 1);
    assert_int_equal(gw_ledger_state(world->ledger).operations, 2);
}

/* What is queued, or being looked at, is gone; what follows finds the rest. */
static void test_crash(void **state)
{
    struct world *world = *state;
    struct given given = {.event_id = "e", .lanes = (const uint64_t[]){1}, .lane_count = 1};
    struct gw_delivery d = given_delivery(world, 1, T0);
    struct gw_accept *cut = accept_start(world, &given);
    struct gw_load *load = gw_arena_zalloc(&world->arena, sizeof(*load));

    load->message_id = d.message_id;
    START(world, ledger, load, load);
    sim_run(world->sim, NULL, NULL, 1);
    sim_env_kill(world->env);
    sim_env_kill(world->owner);
    world->env = sim_env_create(world->sim);
    world->owner = sim_env_create(world->sim);
    world->watched_count = 0;
    gw_memory_crash(memory, world->env);
    assert_int_equal(gw_ledger_state(world->ledger).queued, 0);
    sim_run(world->sim, NULL, NULL, 1000);
    assert_false(is_done(&cut->op) || is_done(&load->op));
    assert_false(accept_new(world, &given)->existing);
    assert_int_equal(open_in(world, 1), 2);
    assert_delivery_equal(&find_row(world, &d.id)->delivery, &d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full, setup, suite_teardown),
        cmocka_unit_test_setup_teardown(test_a_commit_takes_its_time, setup, suite_teardown),
        cmocka_unit_test_setup_teardown(test_crash, setup, suite_teardown),
    };

    sim_init();
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
