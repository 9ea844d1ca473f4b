/* model_config.c: health and configs in the model. */
#include "model.h"

void model_health(struct model *m)
{
    static const char *const urls[] = {"https://u/", "https://v/"};
    struct gw_health_save save = {0};
    struct gw_health_load loads[2];

    save.health.app_id = gw_slice_from(model_apps[model_draw(m, APPS)]);
    save.health.url = gw_slice_from(urls[model_draw(m, 2)]);
    save.health.json =
        model_one_in(m, 3) ? GW_SLICE("") : gw_slice_from(model_bodies[model_draw(m, 3)]);
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

void model_config_put(struct model *m)
{
    struct gw_config_put ops[2] = {0};
    const char *app = model_apps[model_draw(m, APPS)], *type = model_types[model_draw(m, 3)];
    uint64_t expected = model_draw(m, 4), product = model_draw(m, 10);

    for (int side = 0; side < 2; side++) {
        ops[side].config = random_config(m, app, type, product);
        ops[side].config->version = expected + 1;
        ops[side].expected_version = expected;
        ops[side].audit = given_audit("config_updated", app, type);
        ops[side].audit.at_ms = m->now_ms;
        (void)CALL(m->worlds[side], configs, put, &ops[side]);
        gw_config_unref(ops[side].config);
    }
    assert_int_equal(ops[0].op.err, ops[1].op.err);
    compare_snapshots(ops[0].snapshot, ops[1].snapshot);
}

void model_config_remove(struct model *m)
{
    struct gw_config_remove ops[2] = {0};

    ops[0].app_id = gw_slice_from(model_apps[model_draw(m, APPS)]);
    ops[0].event_type = gw_slice_from(model_types[model_draw(m, 3)]);
    ops[0].expected_version = model_draw(m, 3);
    ops[0].audit = given_audit("config_deleted", "a", "x");
    ops[1] = ops[0];
    for (int side = 0; side < 2; side++)
        (void)CALL(m->worlds[side], configs, remove, &ops[side]);
    assert_int_equal(ops[0].op.err, ops[1].op.err);
    compare_snapshots(ops[0].snapshot, ops[1].snapshot);
}

void model_config_look(struct model *m)
{
    struct gw_config_load loads[2] = {0};
    struct gw_config_list lists[2];
    const char *app = model_apps[model_draw(m, APPS)];
    size_t max = 1 + model_draw(m, 9);
    struct gw_slice after =
        model_one_in(m, 2) ? gw_slice_from(model_apps[model_draw(m, APPS)]) : GW_SLICE("");

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
