/* model.c: random calls made to memory and to another backend at the same time: they must answer
 * alike. Each has ids, orders and lanes of its own kind; what one calls a delivery is paired with
 * what the other calls it when both make it. Every now and then the other one is opened anew. */
#include "given.h"

#include <stdio.h>
#include <stdlib.h>

#define EVENTS_MAX     4000
#define DELIVERIES_MAX 12000
#define DEDUPE_MS      60000
#define APPS           3
#define LANES_OF_APP   3

struct delivery_pair {
    struct gw_delivery of[2]; /* as last seen */
    size_t event;
};

struct model {
    struct world *worlds[2];
    uint64_t dice;
    int64_t now_ms;
    struct gw_id events[EVENTS_MAX][2];
    int event_app[EVENTS_MAX];
    size_t event_count;
    struct delivery_pair deliveries[DELIVERIES_MAX];
    size_t delivery_count;
};

static const char *const apps[APPS] = {"a", "b", "\xc3\xa9"};
static const char *const types[] = {"x", "y", "*"};
static const char *const bodies[] = {"{}", "[1]", "[2]"};

static uint64_t draw(struct model *m, uint64_t below)
{
    uint64_t z = m->dice += 0x9E3779B97F4A7C15u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (z ^ z >> 31) % below;
}

static bool one_in(struct model *m, uint64_t n)
{
    return draw(m, n) == 0;
}

static void wait_both(struct model *m)
{
    world_wait(m->worlds[0]);
    world_wait(m->worlds[1]);
}

/* ── Pairs ─────────────────────────────────────────────────────────────────────────────────── */

static size_t event_of(const struct model *m, int side, const struct gw_id *id)
{
    for (size_t i = m->event_count; i-- > 0;)
        if (gw_id_eq(&m->events[i][side], id))
            return i;
    gw_never("an event that nobody made");
}

static size_t delivery_of(const struct model *m, int side, const struct gw_id *id)
{
    for (size_t i = m->delivery_count; i-- > 0;)
        if (gw_id_eq(&m->deliveries[i].of[side].id, id))
            return i;
    gw_never("a delivery that nobody made");
}

static bool is_known(const struct model *m, const struct gw_id *id)
{
    for (size_t i = m->delivery_count; i-- > 0;)
        if (gw_id_eq(&m->deliveries[i].of[0].id, id))
            return true;
    return false;
}

static void assert_alike(const struct gw_delivery *a, const struct gw_delivery *b)
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

/* The same delivery, in the same state. Returns its number. */
static size_t assert_same(const struct model *m, const struct gw_delivery *a,
                          const struct gw_delivery *b)
{
    size_t i = delivery_of(m, 0, &a->id);

    assert_int_equal(delivery_of(m, 1, &b->id), i);
    assert_int_equal(event_of(m, 0, &a->message_id), m->deliveries[i].event);
    assert_int_equal(event_of(m, 1, &b->message_id), m->deliveries[i].event);
    assert_int_equal(a->order, m->deliveries[i].of[0].order);
    assert_int_equal(b->order, m->deliveries[i].of[1].order);
    assert_alike(a, b);
    return i;
}

static void learn(struct model *m, size_t event, const struct gw_delivery *a,
                  const struct gw_delivery *b)
{
    if (!is_known(m, &a->id)) {
        gw_check(m->delivery_count < DELIVERIES_MAX);
        m->deliveries[m->delivery_count++] = (struct delivery_pair){{*a, *b}, event};
    }
    assert_same(m, a, b);
}

/* ── Writing ───────────────────────────────────────────────────────────────────────────────── */

#define BURST_MAX 5

static struct given random_event(struct model *m, uint64_t lanes[LANES_OF_APP], char id[16])
{
    size_t app = draw(m, APPS);
    struct given given = {
        .app = apps[app],
        .type = types[draw(m, gw_count(types))],
        .transaction_id = one_in(m, 2) ? types[draw(m, 2)] : NULL,
        .body = bodies[draw(m, gw_count(bodies))],
        .at_ms = m->now_ms,
        .dedupe_ms = DEDUPE_MS,
        .lanes = lanes,
        .lane_count = 1 + draw(m, LANES_OF_APP),
    };

    for (size_t i = 0; i < LANES_OF_APP; i++)
        lanes[i] = 1 + app * LANES_OF_APP + i;
    snprintf(id, 16, "e%d", (int)draw(m, 60));
    if (!one_in(m, 4))
        given.event_id = id;
    if (one_in(m, 6)) {
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
        event = event_of(m, 0, &a->message_id);
        assert_int_equal(event_of(m, 1, &b->message_id), event);
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
static void step_accept(struct model *m)
{
    struct gw_accept *ops[2][BURST_MAX];
    int app[BURST_MAX];
    size_t count = 1 + draw(m, BURST_MAX);

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

static void step_add(struct model *m)
{
    static const char *const keys[] = {"job", "jobs", "another"};
    struct gw_add *ops[2];
    size_t event;

    if (m->event_count == 0)
        return;
    event = draw(m, m->event_count);
    uint64_t first = 1 + (uint64_t)m->event_app[event] * LANES_OF_APP;
    const char *key = keys[draw(m, gw_count(keys))];
    uint64_t lanes[2] = {first + draw(m, 2), first + 2};
    size_t count = 1 + draw(m, 2);
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

/* Looks it up again on both sides. */
static void refresh(struct model *m, size_t i)
{
    struct delivery_pair *pair = &m->deliveries[i];
    const struct gw_row *a = find_row(m->worlds[0], &pair->of[0].id);
    const struct gw_row *b = find_row(m->worlds[1], &pair->of[1].id);

    assert_same(m, &a->delivery, &b->delivery);
    assert_true(gw_slice_eq(a->log, b->log));
    pair->of[0] = a->delivery;
    pair->of[1] = b->delivery;
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

static void step_settle(struct model *m)
{
    enum gw_err errs[2];

    if (m->delivery_count == 0)
        return;
    size_t i = draw(m, m->delivery_count);
    uint64_t kind = draw(m, 8), write_id = (uint64_t)m->deliveries[i].of[0].attempts + 1;
    int64_t due_ms = m->now_ms + (int64_t)draw(m, 4) * 1000;
    if (one_in(m, 6))
        write_id += draw(m, 4) - (write_id > 1 ? 2 : 1);
    for (int side = 0; side < 2; side++) {
        const struct gw_delivery *d = &m->deliveries[i].of[side];
        struct gw_delivery next = random_next(d, due_ms, kind);
        errs[side] = settle(m->worlds[side], &next, write_id, next.attempts != d->attempts);
    }
    assert_int_equal(errs[0], errs[1]);
    refresh(m, i);
}

static void step_retry(struct model *m)
{
    struct gw_delivery now[2];

    if (m->delivery_count == 0)
        return;
    size_t i = draw(m, m->delivery_count);
    enum gw_err a = retry(m->worlds[0], &m->deliveries[i].of[0].id, &now[0]);
    enum gw_err b = retry(m->worlds[1], &m->deliveries[i].of[1].id, &now[1]);
    assert_int_equal(a, b);
    assert_same(m, &now[0], &now[1]);
    refresh(m, i);
}

/* ── Looking ───────────────────────────────────────────────────────────────────────────────── */

/* Numbers of deliveries. */
struct listed {
    size_t of[DELIVERIES_MAX];
    size_t count;
};

static int by_number(const void *a, const void *b)
{
    const size_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* All that is open in a lane, page by page, in an order which is each backend's own. */
static void refill_all(struct model *m, int side, uint64_t lane, struct listed *all)
{
    const struct gw_refill *op = NULL;
    const struct gw_delivery *last = NULL;

    all->count = 0;
    do {
        op = refill(m->worlds[side], lane, last, 1 + draw(m, 30));
        for (size_t i = 0; i < op->count; i++) {
            const struct gw_delivery *d = &op->deliveries[i];
            assert_true(last == NULL || d->due_ms > last->due_ms ||
                        (d->due_ms == last->due_ms && d->order > last->order));
            size_t number = delivery_of(m, side, &d->id);
            assert_delivery_equal(d, &m->deliveries[number].of[side]);
            all->of[all->count++] = number;
            last = d;
        }
    } while (!op->complete);
    if (all->count > 0)
        qsort(all->of, all->count, sizeof(all->of[0]), by_number);
}

static void assert_same_numbers(const struct listed all[2])
{
    assert_int_equal(all[0].count, all[1].count);
    for (size_t i = 0; i < all[0].count; i++)
        assert_int_equal(all[0].of[i], all[1].of[i]);
}

static void step_refill(struct model *m)
{
    struct listed *all = gw_alloc(2 * sizeof(*all));
    uint64_t lane = 1 + draw(m, APPS * LANES_OF_APP);

    for (int side = 0; side < 2; side++)
        refill_all(m, side, lane, &all[side]);
    assert_same_numbers(all);
    gw_free(all);
}

static int by_lane(const void *a, const void *b)
{
    const struct gw_open_lane *x = a, *y = b;

    return (x->lane > y->lane) - (x->lane < y->lane);
}

static void step_open_lanes(struct model *m)
{
    struct gw_open_lanes ops[2];

    for (int side = 0; side < 2; side++) {
        ops[side] = (struct gw_open_lanes){.arena = &m->worlds[side]->arena};
        assert_ok(CALL(m->worlds[side], ledger, open_lanes, &ops[side]));
        if (ops[side].count > 0)
            qsort(ops[side].lanes, ops[side].count, sizeof(*ops[side].lanes), by_lane);
    }
    assert_int_equal(ops[0].count, ops[1].count);
    for (size_t i = 0; i < ops[0].count; i++) {
        assert_int_equal(ops[0].lanes[i].lane, ops[1].lanes[i].lane);
        assert_true(gw_slice_eq(ops[0].lanes[i].app_id, ops[1].lanes[i].app_id));
    }
    assert_int_equal(m->worlds[0]->ledger->ops->state(m->worlds[0]->ledger).open,
                     m->worlds[1]->ledger->ops->state(m->worlds[1]->ledger).open);
}

static void assert_same_message(const struct model *m, const struct gw_message *a,
                                const struct gw_message *b, bool with_body)
{
    struct gw_message same = *b;

    assert_int_equal(event_of(m, 0, &a->id), event_of(m, 1, &b->id));
    same.id = a->id;
    assert_message_equal(a, &same, with_body);
}

static void step_find(struct model *m)
{
    struct gw_find ops[2];
    enum gw_find_key key = (enum gw_find_key)draw(m, 4);
    size_t event = draw(m, m->event_count + 1), delivery = draw(m, m->delivery_count + 1);
    size_t max = 1 + draw(m, 10);
    bool with_body = one_in(m, 2);
    struct gw_slice app = one_in(m, 2) ? gw_slice_from(apps[draw(m, APPS)]) : GW_SLICE("");
    char id[16];

    snprintf(id, sizeof(id), "e%d", (int)draw(m, 61));
    struct gw_slice text =
        key == GW_FIND_EVENT_ID ? gw_slice_from(id) : gw_slice_from(types[draw(m, 3)]);
    if (event == m->event_count || delivery == m->delivery_count)
        return;
    for (int side = 0; side < 2; side++) {
        ops[side] = (struct gw_find){
            .arena = &m->worlds[side]->arena,
            .key = key,
            .id = key == GW_FIND_MESSAGE ? m->events[event][side]
                                         : m->deliveries[delivery].of[side].id,
            .app_id = app,
            .text = text,
            .with_body = with_body,
            .max = max,
        };
        assert_ok(CALL(m->worlds[side], ledger, find, &ops[side]));
    }
    assert_int_equal(ops[0].count, ops[1].count);
    for (size_t i = 0; i < ops[0].count; i++) {
        const struct gw_event_row *a = &ops[0].events[i], *b = &ops[1].events[i];
        assert_same_message(m, a->message, b->message, with_body);
        assert_int_equal(a->count, b->count);
        for (size_t j = 0; j < a->count; j++) {
            assert_same(m, &a->rows[j].delivery, &b->rows[j].delivery);
            assert_true(gw_slice_eq(a->rows[j].log, b->rows[j].log));
        }
    }
}

static void step_load(struct model *m)
{
    struct gw_load ops[2] = {0};

    if (m->event_count == 0)
        return;
    size_t event = draw(m, m->event_count);
    for (int side = 0; side < 2; side++) {
        ops[side].message_id = m->events[event][side];
        assert_ok(CALL(m->worlds[side], ledger, load, &ops[side]));
    }
    assert_same_message(m, ops[0].message, ops[1].message, true);
    gw_message_unref(ops[0].message);
    gw_message_unref(ops[1].message);
}

/* Newest event first; those of one event may come in any order. */
static void sort_event(const struct model *m, struct listed *all)
{
    for (size_t i = all->count - 1; i > 0; i--) {
        size_t *here = &all->of[i], *before = &all->of[i - 1], swap = *here;
        if (m->deliveries[*before].event != m->deliveries[*here].event || *before < *here)
            break;
        *here = *before;
        *before = swap;
    }
}

static void list_all(struct model *m, int side, struct gw_list_op filter, struct listed *all)
{
    struct gw_list_op op = filter;

    all->count = 0;
    do {
        op.arena = &m->worlds[side]->arena;
        assert_ok(CALL(m->worlds[side], ledger, list, &op));
        for (size_t i = 0; i < op.count; i++) {
            gw_check(all->count < DELIVERIES_MAX);
            size_t number = delivery_of(m, side, &op.rows[i].delivery.id);
            assert_alike(&op.rows[i].delivery, &m->deliveries[number].of[side]);
            all->of[all->count++] = number;
            sort_event(m, all);
        }
        op.cursor = op.next;
    } while (op.next.ptr);
}

static void step_list(struct model *m)
{
    struct listed *all = gw_alloc(2 * sizeof(*all));
    struct gw_list_op op = {.state = (int)draw(m, 5) - 1, .max = 1 + draw(m, GW_LIST_MAX)};
    char id[16];

    snprintf(id, sizeof(id), "e%d", (int)draw(m, 60));
    if (one_in(m, 3))
        op.app_id = gw_slice_from(apps[draw(m, APPS)]);
    if (one_in(m, 3))
        op.event_type = gw_slice_from(types[draw(m, 3)]);
    if (one_in(m, 3))
        op.event_id = gw_slice_from(id);
    if (one_in(m, 3))
        op.transaction_id = gw_slice_from(types[draw(m, 3)]);
    if (one_in(m, 3))
        op.from_ms = T0 + (int64_t)draw(m, (uint64_t)(m->now_ms - T0) + 1);
    if (one_in(m, 3))
        op.to_ms = T0 + (int64_t)draw(m, (uint64_t)(m->now_ms - T0) + 1);
    list_all(m, 0, op, &all[0]);
    op.max = 1 + draw(m, GW_LIST_MAX); /* pages need not be the same */
    list_all(m, 1, op, &all[1]);
    assert_same_numbers(all);
    gw_free(all);
}

static void step_health(struct model *m)
{
    static const char *const urls[] = {"https://u/", "https://v/"};
    struct gw_health_save save = {0};
    struct gw_health_load loads[2];

    save.health.app_id = gw_slice_from(apps[draw(m, APPS)]);
    save.health.url = gw_slice_from(urls[draw(m, 2)]);
    save.health.json = one_in(m, 3) ? GW_SLICE("") : gw_slice_from(bodies[draw(m, 3)]);
    for (int side = 0; side < 2; side++) {
        assert_ok(CALL(m->worlds[side], ledger, health_save, &save));
        loads[side] =
            (struct gw_health_load){.arena = &m->worlds[side]->arena, .app_id = save.health.app_id};
        assert_ok(CALL(m->worlds[side], ledger, health_load, &loads[side]));
    }
    assert_int_equal(loads[0].count, loads[1].count);
    for (size_t i = 0; i < loads[0].count; i++) {
        bool is_there = false;
        for (size_t j = 0; j < loads[1].count; j++)
            is_there |= gw_slice_eq(loads[0].items[i].url, loads[1].items[j].url) &&
                        gw_slice_eq(loads[0].items[i].json, loads[1].items[j].json);
        assert_true(is_there);
    }
}

/* ── Configs ───────────────────────────────────────────────────────────────────────────────── */

static struct gw_config *random_config(struct model *m, const char *app, const char *type,
                                       uint64_t product)
{
    static const struct gw_guard guard = {.ports = {443}, .port_count = 1};
    struct gw_config_change change = {
        .json = gw_slice_from(
            gw_arena_printf(&m->worlds[0]->arena,
                            "{\"appId\":\"%s\",\"eventType\":\"%s\",\"product\":\"%d\","
                            "\"webhookUrl\":\"https://example.com/"
                            "\",\"workflows\":{\"w\":[\"https://w.example/\"]}}",
                            app, type, (int)product)),
        .guard = &guard,
        .now_ms = T0,
    };
    struct gw_config *config;
    struct gw_error error;

    assert_ok(gw_config_create(&config, &change, &error));
    return config;
}

static void assert_same_config(const struct gw_config *a, const struct gw_config *b)
{
    assert_true(gw_slice_eq(a->app_id, b->app_id));
    assert_true(gw_slice_eq(a->event_type, b->event_type));
    assert_true(gw_slice_eq(a->product, b->product));
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->route_count, b->route_count);
    for (size_t i = 0; i < a->route_count; i++)
        assert_true(a->routes[i].lane > 0 && b->routes[i].lane > 0);
}

static void compare_snapshots(struct gw_snapshot *a, struct gw_snapshot *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (a == NULL)
        return;
    assert_int_equal(a->config_count, b->config_count);
    for (size_t i = 0; i < a->config_count; i++)
        assert_same_config(a->configs[i], b->configs[i]);
    gw_snapshot_unref(a);
    gw_snapshot_unref(b);
}

static void step_config_put(struct model *m)
{
    struct gw_config_put ops[2] = {0};
    const char *app = apps[draw(m, APPS)], *type = types[draw(m, 3)];
    uint64_t expected = draw(m, 4), product = draw(m, 10);

    for (int side = 0; side < 2; side++) {
        ops[side].config = random_config(m, app, type, product);
        ops[side].config->version = expected + 1;
        ops[side].expected_version = expected;
        (void)CALL(m->worlds[side], configs, put, &ops[side]);
        gw_config_unref(ops[side].config);
    }
    assert_int_equal(ops[0].op.err, ops[1].op.err);
    compare_snapshots(ops[0].snapshot, ops[1].snapshot);
}

static void step_config_remove(struct model *m)
{
    struct gw_config_remove ops[2] = {0};

    ops[0].app_id = gw_slice_from(apps[draw(m, APPS)]);
    ops[0].event_type = gw_slice_from(types[draw(m, 3)]);
    ops[0].expected_version = draw(m, 3);
    ops[1] = ops[0];
    for (int side = 0; side < 2; side++)
        (void)CALL(m->worlds[side], configs, remove, &ops[side]);
    assert_int_equal(ops[0].op.err, ops[1].op.err);
    compare_snapshots(ops[0].snapshot, ops[1].snapshot);
}

static void step_config_look(struct model *m)
{
    struct gw_config_load loads[2] = {0};
    struct gw_config_list lists[2];
    const char *app = apps[draw(m, APPS)];
    size_t max = 1 + draw(m, 9);
    struct gw_slice after = one_in(m, 2) ? gw_slice_from(apps[draw(m, APPS)]) : GW_SLICE("");

    for (int side = 0; side < 2; side++) {
        loads[side].app_id = gw_slice_from(app);
        assert_ok(CALL(m->worlds[side], configs, load, &loads[side]));
        lists[side] = (struct gw_config_list){.arena = &m->worlds[side]->arena, .max = max};
        lists[side].after_app_id = after;
        lists[side].after_event_type = GW_SLICE("x");
        assert_ok(CALL(m->worlds[side], configs, list, &lists[side]));
    }
    compare_snapshots(loads[0].snapshot, loads[1].snapshot);
    assert_int_equal(lists[0].count, lists[1].count);
    assert_int_equal(lists[0].more, lists[1].more);
    for (size_t i = 0; i < lists[0].count; i++) {
        assert_same_config(lists[0].configs[i], lists[1].configs[i]);
        gw_config_unref(lists[0].configs[i]);
        gw_config_unref(lists[1].configs[i]);
    }
}

/* ── The run ───────────────────────────────────────────────────────────────────────────────── */

static void step_reopen(struct model *m)
{
    world_reopen(m->worlds[1]);
    if (one_in(m, 2))
        world_reopen(m->worlds[0]);
    step_open_lanes(m);
}

static void step(struct model *m)
{
    static const struct {
        void (*fn)(struct model *m);
        uint64_t weight;
    } steps[] = {
        {step_accept, 20},     {step_add, 6},        {step_settle, 40},    {step_retry, 8},
        {step_refill, 20},     {step_open_lanes, 2}, {step_find, 12},      {step_load, 4},
        {step_list, 4},        {step_health, 4},     {step_config_put, 8}, {step_config_remove, 3},
        {step_config_look, 4}, {step_reopen, 1},
    };
    uint64_t sum = 0, at;

    for (size_t i = 0; i < gw_count(steps); i++)
        sum += steps[i].weight;
    at = draw(m, sum);
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

static void test_alike(void **state)
{
    struct model *m = gw_zalloc(sizeof(*m));

    (void)state;
    m->dice = run.seed;
    m->now_ms = T0;
    m->worlds[0] = world_create(&backend_memory, run.seed);
    m->worlds[1] = world_create(run.other, run.seed);
    for (int i = 0; i < run.steps; i++) {
        m->now_ms += (int64_t)draw(m, 3) * 500;
        step(m);
        world_forget(m->worlds[0]);
        world_forget(m->worlds[1]);
    }
    for (size_t i = 0; i < m->delivery_count; i++)
        refresh(m, i);
    print_message("seed %d: %d events, %d deliveries\n", (int)run.seed, (int)m->event_count,
                  (int)m->delivery_count);
    world_destroy(m->worlds[0]);
    world_destroy(m->worlds[1]);
    gw_free(m);
}

int model_run(const struct backend *other, uint64_t seed, int steps)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_alike)};

    run = (struct run){other, seed, steps};
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
