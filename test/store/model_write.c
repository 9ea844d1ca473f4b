/* model_write.c: the writing calls of the model. */
#include "model.h"

#define BURST_MAX 5

static void wait_both(struct model *m)
{
    world_wait(m->worlds[0]);
    world_wait(m->worlds[1]);
}

static bool is_known(const struct model *m, const struct gw_id *id)
{
    for (size_t i = m->delivery_count; i-- > 0;)
        if (gw_id_eq(&m->deliveries[i].of[0].id, id))
            return true;
    return false;
}

static void learn(struct model *m, size_t event, const struct gw_delivery *a,
                  const struct gw_delivery *b)
{
    if (!is_known(m, &a->id)) {
        gw_check(m->delivery_count < DELIVERIES_MAX);
        m->deliveries[m->delivery_count++] = (struct delivery_pair){{*a, *b}, event};
    }
    model_same(m, a, b);
}

static struct given random_event(struct model *m, uint64_t lanes[LANES_OF_APP], char id[16])
{
    size_t app = model_draw(m, APPS);
    struct given given = {
        .app = model_apps[app],
        .type = model_types[model_draw(m, gw_count(model_types))],
        .transaction_id = model_one_in(m, 2) ? model_types[model_draw(m, 2)] : NULL,
        .body = model_bodies[model_draw(m, gw_count(model_bodies))],
        .at_ms = m->now_ms,
        .dedupe_ms = DEDUPE_MS,
        .lanes = lanes,
        .lane_count = 1 + model_draw(m, LANES_OF_APP),
    };

    for (size_t i = 0; i < LANES_OF_APP; i++)
        lanes[i] = 1 + app * LANES_OF_APP + i;
    snprintf(id, 16, "e%d", (int)model_draw(m, EVENT_IDS));
    if (!model_one_in(m, 4))
        given.event_id = id;
    if (model_one_in(m, 6)) {
        given.skip = GW_SKIP_FILTERED;
        given.lane_count = 0;
    }
    return given;
}

static void compare_accept(struct model *m, struct gw_accept *a, struct gw_accept *b, int app)
{
    size_t event = m->event_count;

    assert_ok(a->op.err);
    assert_ok(b->op.err);
    assert_int_equal(a->existing, b->existing);
    assert_int_equal(a->payload_differs, b->payload_differs);
    assert_int_equal(a->delivery_count, b->delivery_count);
    assert_int_equal(a->offered, b->offered);
    if (a->existing) {
        event = model_event(m, 0, &a->message_id);
        assert_int_equal(model_event(m, 1, &b->message_id), event);
    } else {
        gw_check(m->event_count < EVENTS_MAX);
        m->events[event][0] = a->message_id;
        m->events[event][1] = b->message_id;
        m->event_app[m->event_count++] = app;
    }
    for (size_t i = 0; i < a->delivery_count; i++)
        learn(m, event, &a->deliveries[i], &b->deliveries[i]);
}

/* Some at once, so that groups and duplicates inside one come about. */
void model_accept(struct model *m)
{
    struct gw_accept *ops[2][BURST_MAX];
    int app[BURST_MAX];
    size_t count = 1 + model_draw(m, BURST_MAX);

    for (size_t i = 0; i < count; i++) {
        uint64_t lanes[LANES_OF_APP];
        char id[16];
        struct given given = random_event(m, lanes, id);
        app[i] = (int)((lanes[0] - 1) / LANES_OF_APP);
        ops[0][i] = accept_start(m->worlds[0], &given);
        ops[1][i] = accept_start(m->worlds[1], &given);
    }
    wait_both(m);
    for (size_t i = 0; i < count; i++)
        compare_accept(m, ops[0][i], ops[1][i], app[i]);
}

void model_add(struct model *m)
{
    static const char *const keys[] = {"job", "jobs", "another"};
    struct gw_add *ops[2];
    size_t event;

    if (m->event_count == 0)
        return;
    event = model_draw(m, m->event_count);
    uint64_t first = 1 + (uint64_t)m->event_app[event] * LANES_OF_APP;
    const char *key = keys[model_draw(m, gw_count(keys))];
    uint64_t lanes[2] = {first + model_draw(m, 2), first + 2};
    size_t count = 1 + model_draw(m, 2);
    for (int side = 0; side < 2; side++)
        ops[side] =
            add_start(m->worlds[side], &m->events[event][side], key, lanes, count, m->now_ms);
    wait_both(m);
    assert_int_equal(ops[0]->op.err, ops[1]->op.err);
    assert_int_equal(ops[0]->delivery_count, ops[1]->delivery_count);
    assert_int_equal(ops[0]->offered, ops[1]->offered);
    for (size_t i = 0; i < ops[0]->delivery_count; i++)
        learn(m, event, &ops[0]->deliveries[i], &ops[1]->deliveries[i]);
    for (int side = 0; side < 2; side++)
        if (!ops[side]->offered)
            offer_free(ops[side]->offer);
}

static struct gw_delivery random_next(const struct gw_delivery *d, int64_t due_ms, uint64_t kind)
{
    struct gw_delivery next = *d;

    next.state = GW_DELIVERY_PENDING; /* what a late one may still believe */
    switch (kind) {
    case 0: return delivered(&next);
    case 1: return dead(&next);
    case 2: return ended(&next, GW_END_EXPIRED);
    case 3: return ended(&next, GW_END_CONFIG_DELETED);
    default: return failed_until(&next, due_ms);
    }
}

void model_settle(struct model *m)
{
    enum gw_err errs[2];

    if (m->delivery_count == 0)
        return;
    size_t i = model_draw(m, m->delivery_count);
    uint64_t kind = model_draw(m, 8), write_id = (uint64_t)m->deliveries[i].of[0].attempts + 1;
    int64_t due_ms = m->now_ms + (int64_t)model_draw(m, 4) * 1000;
    if (model_one_in(m, 6))
        write_id += model_draw(m, 4) - (write_id > 1 ? 2 : 1);
    for (int side = 0; side < 2; side++) {
        const struct gw_delivery *d = &m->deliveries[i].of[side];
        struct gw_delivery next = random_next(d, due_ms, kind);
        errs[side] = settle(m->worlds[side], &next, write_id, next.attempts != d->attempts);
    }
    assert_int_equal(errs[0], errs[1]);
    model_refresh(m, i);
}

void model_retry(struct model *m)
{
    struct gw_delivery now[2];

    if (m->delivery_count == 0)
        return;
    size_t i = model_draw(m, m->delivery_count);
    enum gw_err a = retry(m->worlds[0], &m->deliveries[i].of[0].id, &now[0]);
    enum gw_err b = retry(m->worlds[1], &m->deliveries[i].of[1].id, &now[1]);
    assert_int_equal(a, b);
    model_same(m, &now[0], &now[1]);
    model_refresh(m, i);
}
