/* model_tally.c: counting, in the model: memory counts its rows, the other backend has counters. */
#include "model.h"

#include <stdlib.h>

static int by_lane(const void *a, const void *b)
{
    const struct gw_open_count *x = a, *y = b;

    return (x->lane > y->lane) - (x->lane < y->lane);
}

static void assert_same_open(struct gw_tally_op ops[2])
{
    assert_int_equal(ops[0].open_count, ops[1].open_count);
    for (int side = 0; side < 2 && ops[0].open_count > 0; side++)
        qsort(ops[side].open, ops[side].open_count, sizeof(*ops[side].open), by_lane);
    for (size_t i = 0; i < ops[0].open_count; i++) {
        assert_int_equal(ops[0].open[i].lane, ops[1].open[i].lane);
        assert_int_equal(ops[0].open[i].count, ops[1].open[i].count);
        assert_slice_equal(ops[0].open[i].app_id, ops[1].open[i].app_id);
    }
}

void model_tally(struct model *m)
{
    struct gw_tally_op filter = {.full = true}, ops[2];

    filter.from_ms = m->first_ms / GW_HOUR_MS * GW_HOUR_MS;
    filter.to_ms = m->last_ms / GW_HOUR_MS * GW_HOUR_MS + GW_HOUR_MS;
    if (model_one_in(m, 2))
        filter.from_ms = model_time(m) / GW_HOUR_MS * GW_HOUR_MS;
    if (model_one_in(m, 3))
        filter.app_id = gw_slice_from(model_apps[model_draw(m, APPS)]);
    if (model_one_in(m, 3))
        filter.event_type = gw_slice_from(model_types[model_draw(m, 3)]);
    for (int side = 0; side < 2; side++) {
        ops[side] = filter;
        ops[side].arena = &m->worlds[side]->arena;
        assert_ok(CALL(m->worlds[side], ledger, tally, &ops[side]));
        tally_closes(&ops[side]);
    }
    for (size_t i = 0; i < GW_TALLY_COUNTS; i++)
        assert_int_equal(ops[0].counted.of[i], ops[1].counted.of[i]);
    assert_same_open(ops);
}

static void assert_same_row(const struct gw_stats_row *a, const struct gw_stats_row *b)
{
    assert_int_equal(a->bucket_ms, b->bucket_ms);
    assert_slice_equal(a->app_id, b->app_id);
    assert_slice_equal(a->event_type, b->event_type);
    assert_int_equal(a->received, b->received);
    assert_int_equal(a->skipped, b->skipped);
    assert_int_equal(a->delivered, b->delivered);
    assert_int_equal(a->failed, b->failed);
    assert_int_equal(a->dead, b->dead);
}

void model_stats(struct model *m)
{
    int64_t bucket_ms = model_one_in(m, 2) ? GW_HOUR_MS : GW_DAY_MS;
    struct gw_stats_op filter = {.bucket_ms = bucket_ms}, ops[2];

    filter.from_ms = gw_floor_ms(m->first_ms, bucket_ms);
    filter.to_ms = gw_floor_ms(m->last_ms, bucket_ms) + bucket_ms;
    if (model_one_in(m, 2))
        filter.from_ms = gw_floor_ms(model_time(m), bucket_ms);
    if (model_one_in(m, 3))
        filter.app_id = gw_slice_from(model_apps[model_draw(m, APPS)]);
    if (model_one_in(m, 3))
        filter.event_type = gw_slice_from(model_types[model_draw(m, 3)]);
    if (model_one_in(m, 2))
        filter.url = gw_slice_from(given_urls[model_draw(m, GIVEN_URLS)]);
    for (int side = 0; side < 2; side++) {
        ops[side] = filter;
        ops[side].arena = &m->worlds[side]->arena;
        assert_ok(CALL(m->worlds[side], ledger, stats, &ops[side]));
    }
    assert_int_equal(ops[0].count, ops[1].count);
    for (size_t i = 0; i < ops[0].count; i++)
        assert_same_row(&ops[0].rows[i], &ops[1].rows[i]);
}
