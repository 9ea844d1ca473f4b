/* model_admin.c: keys and the audit log in the model. */
#include "model.h"

#define KEY_IDS 60

static struct gw_audit random_line(struct model *m, const char *action)
{
    struct gw_audit line =
        given_audit(action, model_one_in(m, 4) ? NULL : model_apps[model_draw(m, APPS)],
                    model_one_in(m, 4) ? NULL : model_types[model_draw(m, 3)]);

    line.at_ms = model_one_in(m, 3) ? model_time(m) : m->now_ms;
    line.detail = gw_slice_from(model_bodies[model_draw(m, 3)]);
    if (model_one_in(m, 30))
        line.at_ms = -1;
    return line;
}

/* ── Keys ──────────────────────────────────────────────────────────────────────────────────── */

static void same_keys(const struct gw_key *a, size_t a_count, const struct gw_key *b,
                      size_t b_count)
{
    assert_int_equal(a_count, b_count);
    for (size_t i = 0; i < a_count; i++) {
        assert_string_equal(a[i].id, b[i].id);
        assert_slice_equal(a[i].appid, b[i].appid);
        assert_slice_equal(a[i].name, b[i].name);
        assert_slice_equal(a[i].scope, b[i].scope);
        assert_int_equal(a[i].roles, b[i].roles);
        assert_int_equal(a[i].created_ms, b[i].created_ms);
        assert_memory_equal(a[i].hash, b[i].hash, sizeof(a[i].hash));
    }
}

static const char *random_id(struct model *m)
{
    return gw_arena_printf(&m->worlds[0]->arena, "key_%02d", (int)model_draw(m, KEY_IDS));
}

void model_key_put(struct model *m)
{
    struct gw_key_put ops[2] = {0};
    struct gw_key *key = &ops[0].key;
    const char *app = model_apps[model_draw(m, 2)];

    snprintf(key->id, sizeof(key->id), "%s", random_id(m));
    key->appid = gw_slice_from(app);
    if (!model_one_in(m, 3))
        key->scope = key->appid;
    if (key->scope.ptr == NULL || model_one_in(m, 2))
        key->name = key->appid;
    key->roles = 1 + (unsigned)model_draw(m, GW_ROLE_ALL);
    memset(key->hash, (int)model_draw(m, 256), sizeof(key->hash));
    key->created_ms = T0;
    ops[0].audit = random_line(m, "key_created");
    ops[1] = ops[0];
    for (int side = 0; side < 2; side++)
        (void)CALL(m->worlds[side], admin, key_put, &ops[side]);
    assert_int_equal(ops[0].op.err, ops[1].op.err);
}

void model_key_remove(struct model *m)
{
    struct gw_key_remove ops[2] = {0};

    ops[0].id = gw_slice_from(random_id(m));
    ops[0].audit = random_line(m, "key_revoked");
    ops[1] = ops[0];
    for (int side = 0; side < 2; side++) {
        ops[side].arena = &m->worlds[side]->arena;
        (void)CALL(m->worlds[side], admin, key_remove, &ops[side]);
    }
    assert_int_equal(ops[0].op.err, ops[1].op.err);
    same_keys(&ops[0].key, 1, &ops[1].key, 1);
}

void model_key_look(struct model *m)
{
    struct gw_key_find finds[2];
    struct gw_key_list lists[2];
    const char *app = model_apps[model_draw(m, 2)], *after = random_id(m);
    size_t max = 1 + model_draw(m, 20);

    for (int side = 0; side < 2; side++) {
        finds[side] =
            (struct gw_key_find){.arena = &m->worlds[side]->arena, .appid = gw_slice_from(app)};
        lists[side] = (struct gw_key_list){
            .arena = &m->worlds[side]->arena, .after = gw_slice_from(after), .max = max};
        assert_ok(CALL(m->worlds[side], admin, key_find, &finds[side]));
        assert_ok(CALL(m->worlds[side], admin, key_list, &lists[side]));
    }
    same_keys(finds[0].keys, finds[0].count, finds[1].keys, finds[1].count);
    same_keys(lists[0].keys, lists[0].count, lists[1].keys, lists[1].count);
    assert_int_equal(lists[0].more, lists[1].more);
}

/* ── The audit log ─────────────────────────────────────────────────────────────────────────── */

void model_audit_add(struct model *m)
{
    struct gw_audit_add ops[2] = {0};

    ops[0].audit = random_line(m, gw_audit_actions[model_draw(m, gw_audit_action_count)]);
    ops[1] = ops[0];
    for (int side = 0; side < 2; side++)
        (void)CALL(m->worlds[side], admin, audit_add, &ops[side]);
    assert_int_equal(ops[0].op.err, ops[1].op.err);
}

static void same_lines(const struct gw_audit_list *a, const struct gw_audit_list *b)
{
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->next == 0, b->next == 0);
    for (size_t i = 0; i < a->count; i++) {
        assert_int_equal(a->lines[i].at_ms, b->lines[i].at_ms);
        assert_string_equal(a->lines[i].action, b->lines[i].action);
        assert_slice_equal(a->lines[i].actor, b->lines[i].actor);
        assert_slice_equal(a->lines[i].address, b->lines[i].address);
        assert_slice_equal(a->lines[i].app_id, b->lines[i].app_id);
        assert_slice_equal(a->lines[i].subject, b->lines[i].subject);
        assert_slice_equal(a->lines[i].detail, b->lines[i].detail);
    }
}

/* A few pages; between them the log grows. */
void model_audit_list(struct model *m)
{
    struct gw_audit_list lists[2] = {0};

    if (model_one_in(m, 2))
        lists[0].app_id = gw_slice_from(model_apps[model_draw(m, APPS)]);
    if (lists[0].app_id.len > 0 && model_one_in(m, 2))
        lists[0].subject = gw_slice_from(model_types[model_draw(m, 3)]);
    lists[0].configs_only = model_one_in(m, 3);
    lists[0].from_ms = model_one_in(m, 2) ? 0 : model_time(m);
    lists[0].to_ms = model_one_in(m, 2) ? 0 : model_time(m);
    lists[0].max = 1 + model_draw(m, 30);
    lists[1] = lists[0];
    for (int pages = 0; pages < 4; pages++) {
        for (int side = 0; side < 2; side++) {
            lists[side].arena = &m->worlds[side]->arena;
            assert_ok(CALL(m->worlds[side], admin, audit_list, &lists[side]));
        }
        same_lines(&lists[0], &lists[1]);
        if (lists[0].next == 0)
            return;
        lists[0].before = lists[0].next;
        lists[1].before = lists[1].next;
        model_audit_add(m);
    }
}
