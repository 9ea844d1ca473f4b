/* contract_admin.c: the admin port: keys, the audit log and its pages, and that each change has its
 * line and no refused one has. */
#include "given.h"

#include <stdio.h>

#define LINES_MAX 300

/* ── Keys ──────────────────────────────────────────────────────────────────────────────────── */

static struct gw_key key_make(const char *id, const char *appid)
{
    struct gw_key key = {
        .appid = gw_slice_from(appid),
        .scope = gw_slice_from(appid),
        .roles = GW_ROLE_PRODUCER | GW_ROLE_VIEWER,
        .created_ms = T0,
    };

    snprintf(key.id, sizeof(key.id), "%s", id);
    memset(key.hash, id[strlen(id) - 1], sizeof(key.hash));
    key.hash[7] = 0;
    return key;
}

static enum gw_err key_put(struct world *world, const struct gw_key *key)
{
    struct gw_key_put op = {.key = *key, .audit = given_audit("key_created", NULL, key->id)};

    return CALL(world, admin, key_put, &op);
}

static void key_put_new(struct world *world, const char *id, const char *appid)
{
    struct gw_key key = key_make(id, appid);

    assert_ok(key_put(world, &key));
}

static enum gw_err key_remove(struct world *world, const char *id, struct gw_key *key)
{
    struct gw_key_remove op = {
        .id = gw_slice_from(id),
        .audit = given_audit("key_revoked", NULL, id),
        .arena = &world->arena,
    };
    enum gw_err err = CALL(world, admin, key_remove, &op);

    if (err != GW_OK)
        assert_string_equal(op.key.id, "");
    else if (key)
        *key = op.key;
    return err;
}

static struct gw_key_find *key_find(struct world *world, const char *appid)
{
    struct gw_key_find *op = gw_arena_zalloc(&world->arena, sizeof(*op));

    op->arena = &world->arena;
    op->appid = gw_slice_from(appid);
    assert_ok(CALL(world, admin, key_find, op));
    return op;
}

static void assert_key_equal(const struct gw_key *a, const struct gw_key *b)
{
    assert_string_equal(a->id, b->id);
    assert_slice_equal(a->appid, b->appid);
    assert_slice_equal(a->name, b->name);
    assert_slice_equal(a->scope, b->scope);
    assert_int_equal(a->roles, b->roles);
    assert_memory_equal(a->hash, b->hash, sizeof(a->hash));
    assert_int_equal(a->created_ms, b->created_ms);
}

static void test_keys(void **state)
{
    struct world *world = *state;
    struct gw_key one = key_make("key_1", "app"), any = key_make("key_2", "ops \xc3\xa9"), was;

    any.scope = (struct gw_slice){0};
    any.name = any.appid;
    any.roles = GW_ROLE_ALL;
    assert_int_equal(key_find(world, "app")->count, 0);
    assert_ok(key_put(world, &one));
    assert_ok(key_put(world, &any));
    for (int again = 0; again < 2; again++) {
        struct gw_key_find *found = key_find(world, "app");
        assert_int_equal(found->count, 1);
        assert_key_equal(&found->keys[0], &one);
        found = key_find(world, "ops \xc3\xa9");
        assert_int_equal(found->count, 1);
        assert_key_equal(&found->keys[0], &any);
        assert_int_equal(key_find(world, "ap")->count, 0);
        assert_int_equal(key_find(world, "App")->count, 0);
        world_reopen(world);
    }
    assert_ok(key_remove(world, "key_1", &was));
    assert_key_equal(&was, &one);
    assert_int_equal(key_find(world, "app")->count, 0);
    assert_int_equal(key_find(world, "ops \xc3\xa9")->count, 1);
    assert_int_equal(key_remove(world, "key_1", NULL), GW_ERR_NOT_FOUND);
    assert_int_equal(key_remove(world, "", NULL), GW_ERR_NOT_FOUND);
    assert_ok(key_put(world, &one)); /* may come again */
    assert_int_equal(key_find(world, "app")->count, 1);
}

static void test_an_id_is_taken_once(void **state)
{
    struct world *world = *state;
    struct gw_key key = key_make("key_1", "app"), other = key_make("key_1", "other");

    assert_ok(key_put(world, &key));
    assert_int_equal(key_put(world, &key), GW_ERR_EXISTS);
    assert_int_equal(key_put(world, &other), GW_ERR_EXISTS);
    assert_int_equal(key_find(world, "other")->count, 0);
    assert_key_equal(&key_find(world, "app")->keys[0], &key);
}

static void test_so_many_share_an_appid(void **state)
{
    struct world *world = *state;
    struct gw_key key;
    char id[GW_KEY_ID_MAX];

    for (int i = 0; i < GW_KEYS_PER_APPID; i++) {
        snprintf(id, sizeof(id), "key_%02d", 50 - i);
        key_put_new(world, id, "app");
    }
    key = key_make("key_99", "app");
    assert_int_equal(key_put(world, &key), GW_ERR_FULL);
    key_put_new(world, "key_99", "other");
    struct gw_key_find *found = key_find(world, "app");
    assert_int_equal(found->count, GW_KEYS_PER_APPID);
    for (size_t i = 1; i < found->count; i++)
        assert_true(strcmp(found->keys[i - 1].id, found->keys[i].id) < 0);
    assert_ok(key_remove(world, "key_40", NULL));
    key = key_make("key_98", "app");
    assert_ok(key_put(world, &key));
}

/* All pages of at most `max`, as "id id …". */
static const char *key_pages(struct world *world, size_t max)
{
    struct gw_key_list op = {.max = max};
    struct gw_buf text = {0};
    struct gw_slice after = {0};

    do {
        op = (struct gw_key_list){.arena = &world->arena, .after = after, .max = max};
        assert_ok(CALL(world, admin, key_list, &op));
        assert_true(op.count == max || !op.more);
        for (size_t i = 0; i < op.count; i++)
            gw_buf_addf(&text, "%s ", op.keys[i].id);
        if (op.count > 0)
            after = gw_slice_from(op.keys[op.count - 1].id);
    } while (op.more);
    const char *copy = gw_arena_text(&world->arena, gw_buf_slice(&text));
    gw_buf_deinit(&text);
    return copy;
}

static void test_pages_of_keys(void **state)
{
    struct world *world = *state;

    assert_string_equal(key_pages(world, 3), "");
    key_put_new(world, "key_c", "x");
    key_put_new(world, "key_a", "y");
    key_put_new(world, "key_e", "x");
    key_put_new(world, "key_b", "z");
    key_put_new(world, "key_d", "x");
    for (size_t max = 1; max < 7; max++)
        assert_string_equal(key_pages(world, max), "key_a key_b key_c key_d key_e ");
    struct gw_key_list op = {.arena = &world->arena, .after = GW_SLICE("key_c"), .max = 1};
    assert_ok(key_remove(world, "key_c", NULL)); /* the mark itself need not be there */
    assert_ok(CALL(world, admin, key_list, &op));
    assert_int_equal(op.count, 1);
    assert_string_equal(op.keys[0].id, "key_d");
    assert_true(op.more);
}

/* Who may see one scope only finds no others, and removes none. */
static void test_keys_of_a_scope(void **state)
{
    struct world *world = *state;
    struct gw_key any = key_make("key_d", "x");
    struct gw_key_remove removal = {
        .id = GW_SLICE("key_c"),
        .scope = GW_SLICE("x"),
        .audit = given_audit("key_revoked", NULL, "key_c"),
        .arena = &world->arena,
    };
    struct gw_audit_list lines = {.arena = &world->arena, .app_id = GW_SLICE("x"), .max = 9};

    any.scope = (struct gw_slice){0};
    assert_ok(key_put(world, &any));
    key_put_new(world, "key_a", "x");
    key_put_new(world, "key_b", "y");
    key_put_new(world, "key_c", "y");
    key_put_new(world, "key_e", "x");
    for (size_t max = 1; max < 4; max++) {
        struct gw_key_list op = {.arena = &world->arena, .scope = GW_SLICE("x"), .max = max};
        assert_ok(CALL(world, admin, key_list, &op));
        assert_int_equal(op.count, max < 2 ? max : 2);
        assert_int_equal(op.more, max < 2);
        assert_string_equal(op.keys[0].id, "key_a");
        if (max > 1)
            assert_string_equal(op.keys[1].id, "key_e");
    }
    assert_int_equal(CALL(world, admin, key_remove, &removal), GW_ERR_NOT_FOUND);
    removal.id = GW_SLICE("key_d");
    assert_int_equal(CALL(world, admin, key_remove, &removal), GW_ERR_NOT_FOUND);
    removal.id = GW_SLICE("key_e");
    assert_ok(CALL(world, admin, key_remove, &removal));
    assert_string_equal(key_pages(world, 9), "key_a key_b key_c key_d ");
    assert_ok(CALL(world, admin, audit_list, &lines)); /* the line is about the key's app */
    assert_int_equal(lines.count, 1);
    assert_string_equal(lines.lines[0].action, "key_revoked");
}

/* ── The audit log ─────────────────────────────────────────────────────────────────────────── */

static enum gw_err add(struct world *world, const struct gw_audit *line)
{
    struct gw_audit_add op = {.audit = *line};

    return CALL(world, admin, audit_add, &op);
}

/* A line whose detail is a number, by which it is known again. */
static void add_at(struct world *world, int64_t at_ms, const char *action, const char *app,
                   const char *subject, int number)
{
    struct gw_audit line = given_audit(action, app, subject);

    line.at_ms = at_ms;
    line.detail = gw_slice_from(gw_arena_printf(&world->arena, "%d", number));
    assert_ok(add(world, &line));
}

/* The details of all lines that are asked for, in pages of `max`. */
static const char *pages(struct world *world, struct gw_audit_list ask, size_t max)
{
    struct gw_buf text = {0};
    size_t count = 0;

    do {
        ask.arena = &world->arena;
        ask.max = max;
        assert_ok(CALL(world, admin, audit_list, &ask));
        assert_true(ask.count <= max);
        for (size_t i = 0; i < ask.count; i++)
            gw_buf_addf(&text, "%.*s ", GW_SLICE_ARG(ask.lines[i].detail));
        count += ask.count;
        assert_true(count < LINES_MAX && (ask.count > 0 || ask.next == 0));
        ask.before = ask.next;
    } while (ask.next != 0);
    const char *copy = gw_arena_text(&world->arena, gw_buf_slice(&text));
    gw_buf_deinit(&text);
    return copy;
}

static void expect(struct world *world, struct gw_audit_list ask, const char *wanted)
{
    for (size_t max = 1; max < 12; max++)
        assert_string_equal(pages(world, ask, max), wanted);
}

static void assert_line_equal(const struct gw_audit *a, const struct gw_audit *b)
{
    assert_int_equal(a->at_ms, b->at_ms);
    assert_slice_equal(a->actor, b->actor);
    assert_slice_equal(a->address, b->address);
    assert_string_equal(a->action, b->action);
    assert_slice_equal(a->app_id, b->app_id);
    assert_slice_equal(a->subject, b->subject);
    assert_slice_equal(a->detail, b->detail);
}

static void test_lines(void **state)
{
    struct world *world = *state;
    struct gw_audit_list list = {.arena = &world->arena, .max = 5};
    struct gw_audit full = given_audit("secret_shown", "app \xc3\xa9", "a:b \"c\"");
    struct gw_audit bare = {.at_ms = 0, .action = "erased"};
    struct gw_audit large = given_audit("test_sent", "app", "x");
    char detail[GW_AUDIT_DETAIL_MAX];

    memset(detail, '7', sizeof(detail));
    full.detail = GW_SLICE("{\"changed\":[\"-:\",3]}");
    large.at_ms = GW_AUDIT_AT_END - 1;
    large.detail = (struct gw_slice){detail, sizeof(detail)};
    large.address = GW_SLICE("");
    assert_ok(CALL(world, admin, audit_list, &list));
    assert_int_equal(list.count, 0);
    assert_ok(add(world, &full));
    assert_ok(add(world, &bare));
    assert_ok(add(world, &large));
    for (int again = 0; again < 2; again++) {
        assert_ok(CALL(world, admin, audit_list, &list));
        assert_int_equal(list.count, 3);
        assert_int_equal(list.next, 0);
        assert_line_equal(&list.lines[0], &large);
        assert_line_equal(&list.lines[1], &full);
        assert_line_equal(&list.lines[2], &bare);
        world_reopen(world);
    }
}

static void test_what_is_refused_is_not_kept(void **state)
{
    struct world *world = *state;
    struct gw_audit line = given_audit("erased", "app", NULL);
    struct gw_audit_list list = {.arena = &world->arena, .max = 5, .subject = GW_SLICE("x")};
    char detail[GW_AUDIT_DETAIL_MAX + 1];

    memset(detail, '7', sizeof(detail));
    line.detail = (struct gw_slice){detail, sizeof(detail)};
    assert_int_equal(add(world, &line), GW_ERR_TOO_LARGE);
    line.detail = (struct gw_slice){0};
    line.at_ms = -1;
    assert_int_equal(add(world, &line), GW_ERR_INVALID);
    assert_int_equal(CALL(world, admin, audit_list, &list), GW_ERR_INVALID);
    assert_int_equal(list.count, 0);
    expect(world, (struct gw_audit_list){0}, "");
}

/* Newest first, whatever the order in which they came; those of one time as they came. */
static void test_order_and_pages(void **state)
{
    struct world *world = *state;

    add_at(world, T0 + 5, "erased", "a", "s", 3);
    add_at(world, T0 + 9, "erased", "a", "s", 6);
    add_at(world, T0 + 5, "erased", "a", "s", 4);
    add_at(world, T0, "erased", "a", "s", 1); /* somebody has set the clock back */
    add_at(world, T0 + 5, "erased", "a", "s", 5);
    add_at(world, T0, "erased", "a", "s", 2);
    expect(world, (struct gw_audit_list){0}, "6 5 4 3 2 1 ");
    expect(world, (struct gw_audit_list){.app_id = GW_SLICE("a")}, "6 5 4 3 2 1 ");
    expect(world, (struct gw_audit_list){.app_id = GW_SLICE("a"), .subject = GW_SLICE("s")},
           "6 5 4 3 2 1 ");
    expect(world, (struct gw_audit_list){.before = UINT64_MAX}, "6 5 4 3 2 1 ");
    expect(world, (struct gw_audit_list){.before = 1}, "");
}

static void test_a_page_stays_behind_its_mark(void **state)
{
    struct world *world = *state;
    struct gw_audit_list list = {.arena = &world->arena, .max = 2};

    for (int i = 1; i <= 5; i++)
        add_at(world, T0 + i / 2, "erased", "a", "s", i);
    assert_ok(CALL(world, admin, audit_list, &list));
    assert_int_equal(list.count, 2);
    assert_int_not_equal(list.next, 0);
    add_at(world, T0 + 2, "erased", "a", "s", 6); /* between the pages */
    assert_string_equal(pages(world, (struct gw_audit_list){.before = list.next}, 2), "3 2 1 ");
}

static void test_filters(void **state)
{
    struct world *world = *state;

    add_at(world, T0 + 1, "config_created", "a", "x", 1);
    add_at(world, T0 + 2, "config_created", "a", "y", 2);
    add_at(world, T0 + 3, "secret_shown", "a", "x", 3);
    add_at(world, T0 + 4, "config_created", "b", "x", 4);
    add_at(world, T0 + 5, "config_updated", "a", "x", 5);
    add_at(world, T0 + 6, "key_created", NULL, "x", 6);
    add_at(world, T0 + 7, "config_deleted", "a", "x", 7);
    add_at(world, T0 + 8, "erased", "a", NULL, 8);
    expect(world, (struct gw_audit_list){0}, "8 7 6 5 4 3 2 1 ");
    expect(world, (struct gw_audit_list){.app_id = GW_SLICE("a")}, "8 7 5 3 2 1 ");
    expect(world, (struct gw_audit_list){.app_id = GW_SLICE("b")}, "4 ");
    expect(world, (struct gw_audit_list){.app_id = GW_SLICE("c")}, "");
    struct gw_audit_list of_x = {.app_id = GW_SLICE("a"), .subject = GW_SLICE("x")};
    expect(world, of_x, "7 5 3 1 ");
    expect(world, (struct gw_audit_list){.configs_only = true}, "7 5 4 2 1 ");
    of_x.configs_only = true;
    expect(world, of_x, "7 5 1 ");
    of_x.to_ms = T0 + 7;
    expect(world, of_x, "5 1 ");
    of_x.from_ms = T0 + 2;
    expect(world, of_x, "5 ");
    expect(world, (struct gw_audit_list){.from_ms = T0 + 3, .to_ms = T0 + 6}, "5 4 3 ");
    expect(world, (struct gw_audit_list){.from_ms = T0 + 8}, "8 ");
    expect(world, (struct gw_audit_list){.to_ms = T0 + 1}, "");
    expect(world, (struct gw_audit_list){.from_ms = INT64_MAX}, "");
    expect(world, (struct gw_audit_list){.from_ms = INT64_MIN, .to_ms = INT64_MAX},
           "8 7 6 5 4 3 2 1 ");
}

/* ── Changes and their lines ───────────────────────────────────────────────────────────────── */

/* "action action …", newest first. */
static const char *actions(struct world *world, const char *app, const char *subject)
{
    struct gw_audit_list list = {
        .arena = &world->arena,
        .app_id = gw_slice_from(app),
        .subject = gw_slice_from(subject),
        .max = LINES_MAX,
    };
    const char *text = "";

    assert_ok(CALL(world, admin, audit_list, &list));
    for (size_t i = 0; i < list.count; i++)
        text = gw_arena_printf(&world->arena, "%s%s ", text, list.lines[i].action);
    return text;
}

static void test_a_key_has_its_line(void **state)
{
    struct world *world = *state;
    struct gw_key key = key_make("key_1", "app");
    struct gw_key_put put = {.key = key, .audit = given_audit("key_created", NULL, "key_1")};
    struct gw_key_remove removal = {.id = GW_SLICE("key_1"), .arena = &world->arena};
    char detail[GW_AUDIT_DETAIL_MAX + 1];

    memset(detail, '7', sizeof(detail));
    put.audit.detail = (struct gw_slice){detail, sizeof(detail)};
    assert_int_equal(CALL(world, admin, key_put, &put), GW_ERR_TOO_LARGE);
    assert_int_equal(key_find(world, "app")->count, 0); /* neither the one nor the other */
    assert_string_equal(actions(world, NULL, NULL), "");
    assert_ok(key_put(world, &key));
    assert_int_equal(key_put(world, &key), GW_ERR_EXISTS);
    assert_int_equal(key_remove(world, "key_2", NULL), GW_ERR_NOT_FOUND);
    assert_string_equal(actions(world, NULL, NULL), "key_created ");
    removal.audit = put.audit;
    assert_int_equal(CALL(world, admin, key_remove, &removal), GW_ERR_TOO_LARGE);
    assert_int_equal(key_find(world, "app")->count, 1);
    assert_ok(key_remove(world, "key_1", NULL));
    assert_string_equal(actions(world, NULL, NULL), "key_revoked key_created ");
}

static struct gw_config *config_make(struct world *world, const char *type)
{
    static const struct gw_guard guard = {.ports = {443}, .port_count = 1};
    struct gw_config_change change = {
        .json = gw_slice_from(gw_arena_printf(&world->arena,
                                              "{\"appId\":\"app\",\"eventType\":\"%s\","
                                              "\"webhookUrl\":\"https://example.com/\"}",
                                              type)),
        .guard = &guard,
        .now_ms = T0,
    };
    struct gw_config *config;
    struct gw_error error;

    assert_ok(gw_config_create(&config, &change, &error));
    return config;
}

static enum gw_err config_put(struct world *world, const char *type, struct gw_audit audit)
{
    struct gw_config_put op = {.config = config_make(world, type), .audit = audit};
    enum gw_err err = CALL(world, configs, put, &op);

    gw_snapshot_unref(op.snapshot);
    gw_config_unref(op.config);
    return err;
}

static enum gw_err config_remove(struct world *world, const char *type, uint64_t version,
                                 struct gw_audit audit)
{
    struct gw_config_remove op = {
        .app_id = GW_SLICE("app"),
        .event_type = gw_slice_from(type),
        .expected_version = version,
        .audit = audit,
    };
    enum gw_err err = CALL(world, configs, remove, &op);

    gw_snapshot_unref(op.snapshot);
    return err;
}

static void test_a_config_has_its_history(void **state)
{
    struct world *world = *state;
    struct gw_audit created = given_audit("config_created", "app", "x");
    struct gw_audit deleted = given_audit("config_deleted", "app", "x"), bad = created;

    bad.at_ms = -1;
    assert_int_equal(config_put(world, "x", bad), GW_ERR_INVALID);
    assert_ok(config_put(world, "x", created)); /* it was not there */
    assert_int_equal(config_put(world, "x", created), GW_ERR_EXISTS);
    assert_int_equal(config_remove(world, "x", 7, deleted), GW_ERR_CONFLICT);
    assert_int_equal(config_remove(world, "y", 0, deleted), GW_ERR_NOT_FOUND);
    assert_int_equal(config_remove(world, "x", 0, bad), GW_ERR_INVALID);
    assert_ok(config_put(world, "y", given_audit("config_created", "app", "y")));
    assert_string_equal(actions(world, "app", "x"), "config_created ");
    assert_ok(config_remove(world, "x", 1, deleted)); /* it was still there */
    assert_string_equal(actions(world, "app", "x"), "config_deleted config_created ");
    assert_ok(config_put(world, "x", created));
    world_reopen(world);
    assert_string_equal(actions(world, "app", "x"),
                        "config_created config_deleted config_created ");
    assert_string_equal(actions(world, "app", "y"), "config_created ");
}

/* Of two that want the same, one changes something, and has a line. */
static void test_two_writers_leave_one_line(void **state)
{
    struct world *world = *state;
    struct gw_audit audit = given_audit("config_created", "app", "x");
    struct gw_config_put one = {.config = config_make(world, "x"), .audit = audit};
    struct gw_config_put other = {.config = config_make(world, "x"), .audit = audit};
    struct gw_key key = key_make("key_1", "app");
    struct gw_key_put put = {.key = key, .audit = given_audit("key_created", "app", "key_1")};
    struct gw_key_put put_other = put;

    START(world, configs, put, &one);
    START(world, configs, put, &other);
    START(world, admin, key_put, &put);
    START(world, admin, key_put, &put_other);
    world_wait(world);
    assert_int_equal((one.op.err == GW_OK) + (other.op.err == GW_OK), 1);
    assert_int_equal((one.op.err == GW_ERR_EXISTS) + (other.op.err == GW_ERR_EXISTS), 1);
    assert_int_equal((put.op.err == GW_OK) + (put_other.op.err == GW_OK), 1);
    assert_int_equal((put.op.err == GW_ERR_EXISTS) + (put_other.op.err == GW_ERR_EXISTS), 1);
    assert_string_equal(actions(world, "app", "x"), "config_created ");
    assert_string_equal(actions(world, "app", "key_1"), "key_created ");
    gw_snapshot_unref(one.snapshot);
    gw_snapshot_unref(other.snapshot);
    gw_config_unref(one.config);
    gw_config_unref(other.config);
}

static void test_a_passed_deadline(void **state)
{
    struct world *world = *state;
    struct gw_op late = {.deadline_us = world_now_us(world) - 1};
    struct gw_key key = key_make("key_1", "app"), other = key_make("key_2", "app");
    struct gw_audit audit = given_audit("key_created", NULL, "key_2");
    struct gw_key_put put = {.op = late, .key = other, .audit = audit};
    struct gw_key_remove removal = {
        .op = late, .id = GW_SLICE("key_1"), .audit = audit, .arena = &world->arena};
    struct gw_audit_add line = {.op = late, .audit = audit};
    struct gw_key_find find = {.op = late, .appid = GW_SLICE("app"), .arena = &world->arena};
    struct gw_key_list keys = {.op = late, .arena = &world->arena, .max = 1};
    struct gw_audit_list lines = {.op = late, .arena = &world->arena, .max = 1};

    assert_ok(key_put(world, &key));
    assert_int_equal(CALL(world, admin, key_put, &put), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, admin, key_remove, &removal), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, admin, audit_add, &line), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, admin, key_find, &find), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, admin, key_list, &keys), GW_ERR_TIMEOUT);
    assert_int_equal(CALL(world, admin, audit_list, &lines), GW_ERR_TIMEOUT);
    assert_int_equal(find.count + keys.count + lines.count, 0);
    assert_string_equal(key_pages(world, 5), "key_1 ");
    assert_string_equal(actions(world, NULL, NULL), "key_created ");
}

int suite_admin(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_keys),
        TEST(test_an_id_is_taken_once),
        TEST(test_so_many_share_an_appid),
        TEST(test_pages_of_keys),
        TEST(test_keys_of_a_scope),
        TEST(test_lines),
        TEST(test_what_is_refused_is_not_kept),
        TEST(test_order_and_pages),
        TEST(test_a_page_stays_behind_its_mark),
        TEST(test_filters),
        TEST(test_a_key_has_its_line),
        TEST(test_a_config_has_its_history),
        TEST(test_two_writers_leave_one_line),
        TEST(test_a_passed_deadline),
    };
    return suite_run("admin", tests, gw_count(tests));
}
