/* model_look.c: the looking calls of the model. */
#include "model.h"

#include <stdlib.h>

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
        op = refill(m->worlds[side], lane, last, 1 + model_draw(m, 30));
        for (size_t i = 0; i < op->count; i++) {
            const struct gw_delivery *d = &op->deliveries[i];
            assert_true(last == NULL || d->due_ms > last->due_ms ||
                        (d->due_ms == last->due_ms && d->order > last->order));
            size_t number = model_delivery(m, side, &d->id);
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

void model_refill(struct model *m)
{
    struct listed *all = gw_alloc(2 * sizeof(*all));
    uint64_t lane = 1 + model_draw(m, APPS * LANES_OF_APP);

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

void model_open_lanes(struct model *m)
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
    assert_int_equal(gw_ledger_state(m->worlds[0]->ledger).open,
                     gw_ledger_state(m->worlds[1]->ledger).open);
}

static void assert_same_message(const struct model *m, const struct gw_message *a,
                                const struct gw_message *b, bool with_body)
{
    struct gw_message same = *b;

    assert_int_equal(model_event(m, 0, &a->id), model_event(m, 1, &b->id));
    same.id = a->id;
    assert_message_equal(a, &same, with_body);
}

void model_find(struct model *m)
{
    struct gw_find ops[2];
    enum gw_find_key key = (enum gw_find_key)model_draw(m, 4);
    size_t event = model_draw(m, m->event_count + 1),
           delivery = model_draw(m, m->delivery_count + 1);
    size_t max = 1 + model_draw(m, 10);
    bool with_body = model_one_in(m, 2);
    struct gw_slice app =
        model_one_in(m, 2) ? gw_slice_from(model_apps[model_draw(m, APPS)]) : GW_SLICE("");
    char id[16];

    snprintf(id, sizeof(id), "e%d", (int)model_draw(m, EVENT_IDS + 1));
    struct gw_slice text =
        key == GW_FIND_EVENT_ID ? gw_slice_from(id) : gw_slice_from(model_types[model_draw(m, 3)]);
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
            model_same(m, &a->rows[j].delivery, &b->rows[j].delivery);
            assert_true(gw_slice_eq(a->rows[j].log, b->rows[j].log));
        }
    }
}

void model_load(struct model *m)
{
    struct gw_load ops[2] = {0};

    if (m->event_count == 0)
        return;
    size_t event = model_draw(m, m->event_count);
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
            size_t number = model_delivery(m, side, &op.rows[i].delivery.id);
            model_alike(&op.rows[i].delivery, &m->deliveries[number].of[side]);
            all->of[all->count++] = number;
            sort_event(m, all);
        }
        op.cursor = op.next;
    } while (op.next.ptr);
}

void model_list(struct model *m)
{
    struct listed *all = gw_alloc(2 * sizeof(*all));
    struct gw_list_op op = {.state = (int)model_draw(m, 5) - 1,
                            .max = 1 + model_draw(m, GW_LIST_MAX)};
    char id[16];

    snprintf(id, sizeof(id), "e%d", (int)model_draw(m, EVENT_IDS));
    if (model_one_in(m, 3))
        op.app_id = gw_slice_from(model_apps[model_draw(m, APPS)]);
    if (model_one_in(m, 3))
        op.event_type = gw_slice_from(model_types[model_draw(m, 3)]);
    if (model_one_in(m, 3))
        op.event_id = gw_slice_from(id);
    if (model_one_in(m, 3))
        op.transaction_id = gw_slice_from(model_types[model_draw(m, 3)]);
    if (model_one_in(m, 3))
        op.from_ms = model_time(m);
    if (model_one_in(m, 3))
        op.to_ms = model_time(m);
    list_all(m, 0, op, &all[0]);
    op.max = 1 + model_draw(m, GW_LIST_MAX); /* pages need not be the same */
    list_all(m, 1, op, &all[1]);
    assert_same_numbers(all);
    gw_free(all);
}
