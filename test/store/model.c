/* model.c: random calls made to memory and to another backend at the same time: they must answer
 * alike. Each has ids, orders and lanes of its own kind; what one calls a delivery is paired with
 * what the other calls it when both make it. Every now and then they are opened anew. */
#include "model.h"

#define YEAR_MS (365 * DAY_MS)

const char *const model_apps[APPS] = {"a", "b", "\xc3\xa9"};
const char *const model_types[] = {"x", "y", "*"};
const char *const model_bodies[] = {"{}", "[1]", "[2]"};

uint64_t model_draw(struct model *m, uint64_t below)
{
    uint64_t z = m->dice += 0x9E3779B97F4A7C15u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (z ^ z >> 31) % below;
}

bool model_one_in(struct model *m, uint64_t n)
{
    return model_draw(m, n) == 0;
}

int64_t model_time(struct model *m)
{
    return m->first_ms + (int64_t)model_draw(m, (uint64_t)(m->last_ms - m->first_ms) + 1);
}

/* Time goes on, and now and then somebody sets the clock. */
static void pass_time(struct model *m)
{
    m->now_ms += (int64_t)model_draw(m, 3) * 500;
    if (model_one_in(m, 150))
        m->now_ms += (int64_t)model_draw(m, 3 * GW_HOUR_MS);
    if (model_one_in(m, 60))
        m->now_ms += model_one_in(m, 2) ? DAY_MS : -DAY_MS;
    if (model_one_in(m, 250) && m->now_ms < T0 + YEAR_MS)
        m->now_ms += YEAR_MS;
    else if (model_one_in(m, 250) && m->now_ms > T0 - YEAR_MS)
        m->now_ms -= YEAR_MS;
    m->first_ms = m->now_ms < m->first_ms ? m->now_ms : m->first_ms;
    m->last_ms = m->now_ms > m->last_ms ? m->now_ms : m->last_ms;
}

/* ── Pairs ─────────────────────────────────────────────────────────────────────────────────── */

size_t model_event(const struct model *m, int side, const struct gw_id *id)
{
    for (size_t i = m->event_count; i-- > 0;)
        if (gw_id_eq(&m->events[i][side], id))
            return i;
    gw_never("an event that nobody made");
}

size_t model_delivery(const struct model *m, int side, const struct gw_id *id)
{
    for (size_t i = m->delivery_count; i-- > 0;)
        if (gw_id_eq(&m->deliveries[i].of[side].id, id))
            return i;
    gw_never("a delivery that nobody made");
}

void model_alike(const struct gw_delivery *a, const struct gw_delivery *b)
{
    assert_int_equal(a->lane, b->lane);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->reason, b->reason);
    assert_int_equal(a->attempts, b->attempts);
    assert_int_equal(a->step, b->step);
    assert_int_equal(a->due_ms, b->due_ms);
    assert_int_equal(a->resume_ms, b->resume_ms);
    assert_int_equal(a->created_ms, b->created_ms);
    assert_int_equal(a->ended_ms, b->ended_ms);
}

void model_same(const struct model *m, const struct gw_delivery *a, const struct gw_delivery *b)
{
    size_t i = model_delivery(m, 0, &a->id);

    assert_int_equal(model_delivery(m, 1, &b->id), i);
    assert_int_equal(model_event(m, 0, &a->message_id), m->deliveries[i].event);
    assert_int_equal(model_event(m, 1, &b->message_id), m->deliveries[i].event);
    assert_int_equal(a->order, m->deliveries[i].of[0].order);
    assert_int_equal(b->order, m->deliveries[i].of[1].order);
    model_alike(a, b);
}

void model_refresh(struct model *m, size_t i)
{
    struct delivery_pair *pair = &m->deliveries[i];
    const struct gw_row *a = find_row(m->worlds[0], &pair->of[0].id);
    const struct gw_row *b = find_row(m->worlds[1], &pair->of[1].id);

    model_same(m, &a->delivery, &b->delivery);
    assert_true(gw_slice_eq(a->log, b->log));
    pair->of[0] = a->delivery;
    pair->of[1] = b->delivery;
}

/* ── The run ───────────────────────────────────────────────────────────────────────────────── */

static void step_reopen(struct model *m)
{
    world_reopen(m->worlds[1]);
    if (model_one_in(m, 2))
        world_reopen(m->worlds[0]);
    model_open_lanes(m);
}

static void step(struct model *m)
{
    static const struct {
        model_step *fn;
        uint64_t weight;
    } steps[] = {
        {model_accept, 20},     {model_add, 6},        {model_settle, 40},
        {model_retry, 8},       {model_refill, 20},    {model_open_lanes, 2},
        {model_find, 12},       {model_load, 4},       {model_list, 4},
        {model_health, 4},      {model_config_put, 8}, {model_config_remove, 3},
        {model_config_look, 4}, {step_reopen, 1},      {model_tally, 6},
        {model_stats, 6},       {model_key_put, 6},    {model_key_remove, 2},
        {model_key_look, 4},    {model_audit_add, 4},  {model_audit_list, 4},
    };
    uint64_t sum = 0, at;

    for (size_t i = 0; i < gw_count(steps); i++)
        sum += steps[i].weight;
    at = model_draw(m, sum);
    for (size_t i = 0; i < gw_count(steps); i++) {
        if (at < steps[i].weight) {
            steps[i].fn(m);
            return;
        }
        at -= steps[i].weight;
    }
}

struct run {
    const struct backend *other;
    uint64_t seed;
    int steps;
};

static struct run run;

/* The worlds go also when a step has failed. */
static int model_setup(void **state)
{
    struct model *m = gw_zalloc(sizeof(*m));

    m->dice = run.seed;
    m->now_ms = m->first_ms = m->last_ms = T0;
    m->worlds[0] = world_create(&backend_memory, run.seed);
    m->worlds[1] = world_create(run.other, run.seed);
    *state = m;
    return 0;
}

static int model_teardown(void **state)
{
    struct model *m = *state;

    world_destroy(m->worlds[0]);
    world_destroy(m->worlds[1]);
    gw_free(m);
    return 0;
}

static void test_alike(void **state)
{
    struct model *m = *state;

    for (int i = 0; i < run.steps; i++) {
        pass_time(m);
        step(m);
        world_forget(m->worlds[0]);
        world_forget(m->worlds[1]);
    }
    for (size_t i = 0; i < m->delivery_count; i++)
        model_refresh(m, i);
    model_tally(m);
    model_stats(m);
    print_message("seed %d: %d events, %d deliveries\n", (int)run.seed, (int)m->event_count,
                  (int)m->delivery_count);
}

int model_run(const struct backend *other, uint64_t seed, int steps)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_alike, model_setup, model_teardown)};

    run = (struct run){other, seed, steps};
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
