/* contract_configs.c: the configs port: versions, lanes, revisions, pages, two writers. */
#include "given.h"

#include <stdio.h>

static const struct gw_guard guard = {.ports = {443}, .port_count = 1};

/* ── Making ────────────────────────────────────────────────────────────────────────────────── */

static struct gw_config_change change_of(struct world *world, const char *app, const char *type,
                                         const char *more)
{
    return (struct gw_config_change){
        .json = gw_slice_from(gw_arena_printf(
            &world->arena, "{\"appId\":\"%s\",\"eventType\":\"%s\"%s}", app, type, more)),
        .guard = &guard,
        .now_ms = T0,
        .overlap_ms = DAY_MS,
        .random = {1, 2, 3},
    };
}

static struct gw_config *config_make(struct world *world, const char *app, const char *type,
                                     const char *more)
{
    struct gw_config_change change = change_of(
        world, app, type,
        gw_arena_printf(&world->arena, ",\"webhookUrl\":\"https://example.com/%s\"%s", type, more));
    struct gw_config *config;
    struct gw_error error;

    assert_ok(gw_config_create(&config, &change, &error));
    return config;
}

static struct gw_config *config_patch(struct world *world, const struct gw_config *current,
                                      const char *app, const char *type, const char *more)
{
    struct gw_config_change change = change_of(world, app, type, more);
    struct gw_config *config;
    struct gw_error error;
    bool secret_made;

    assert_ok(gw_config_patch(&config, current, &change, &secret_made, &error));
    return config;
}

/* Puts it and lets go of it. On success the snapshot is the caller's. */
static enum gw_err put(struct world *world, struct gw_config *config, uint64_t expected_version,
                       struct gw_snapshot **snapshot)
{
    struct gw_config_put op = {
        .config = config,
        .expected_version = expected_version,
        .audit = given_audit("config_updated", "a", "x"),
    };
    enum gw_err err = CALL(world, configs, put, &op);

    assert_int_equal(op.snapshot != NULL, err == GW_OK);
    if (err == GW_OK)
        assert_ptr_not_equal(gw_snapshot_config(op.snapshot, config->event_type), NULL);
    if (snapshot)
        *snapshot = op.snapshot;
    else
        gw_snapshot_unref(op.snapshot);
    gw_config_unref(config);
    return err;
}

static void put_new(struct world *world, const char *app, const char *type)
{
    assert_ok(put(world, config_make(world, app, type, ""), 0, NULL));
}

static enum gw_err remove_config(struct world *world, const char *app, const char *type,
                                 uint64_t expected_version, uint64_t *revision)
{
    struct gw_config_remove op = {
        .app_id = gw_slice_from(app),
        .event_type = gw_slice_from(type),
        .expected_version = expected_version,
        .audit = given_audit("config_deleted", app, type),
    };
    enum gw_err err = CALL(world, configs, remove, &op);

    assert_int_equal(op.snapshot != NULL, err == GW_OK);
    if (err == GW_OK)
        assert_null(gw_snapshot_config(op.snapshot, op.event_type));
    if (op.snapshot && revision)
        *revision = op.snapshot->revision;
    gw_snapshot_unref(op.snapshot);
    return err;
}

static struct gw_snapshot *load(struct world *world, const char *app)
{
    struct gw_config_load op = {.app_id = gw_slice_from(app)};

    assert_ok(CALL(world, configs, load, &op));
    assert_non_null(op.snapshot);
    assert_string_equal(op.snapshot->app_id, app);
    return op.snapshot;
}

static void assert_config_equal(const struct gw_config *a, const struct gw_config *b)
{
    struct gw_buf x = {0}, y = {0};

    gw_config_encode(a, &x);
    gw_config_encode(b, &y);
    assert_slice_equal(gw_buf_slice(&x), gw_buf_slice(&y));
    gw_buf_deinit(&x);
    gw_buf_deinit(&y);
}

static uint64_t version_of(struct world *world, const char *app, const char *type)
{
    struct gw_snapshot *snapshot = load(world, app);
    const struct gw_config *config = gw_snapshot_config(snapshot, gw_slice_from(type));
    uint64_t version = config ? config->version : 0;

    gw_snapshot_unref(snapshot);
    return version;
}

/* ── Tests ─────────────────────────────────────────────────────────────────────────────────── */

static void test_unknown_app(void **state)
{
    struct gw_snapshot *snapshot = load(*state, "nobody");

    assert_int_equal(snapshot->config_count, 0);
    gw_snapshot_unref(snapshot);
}

#define WORKFLOWS                                                                                  \
    ",\"workflows\":{\"w\":[\"https://a.example/\",\"https://b.example/\"],"                       \
    "\"v\":[\"https://a.example/\"]}"

static void test_create(void **state)
{
    struct world *world = *state;
    struct gw_config *config =
        config_make(world, "a", "x",
                    WORKFLOWS ",\"headers\":{\"x-one\":\"\xc3\xa9\"},\"product\":\"p\","
                              "\"deleteAppId\":true,\"maxInFlight\":3,"
                              "\"retry\":{\"schedule\":[1,2,3],\"timeoutMs\":2000}");
    struct gw_snapshot *snapshot, *loaded;

    gw_config_ref(config);
    assert_ok(put(world, config, 0, &snapshot));
    assert_true(config->route_count >= 3);
    for (size_t i = 0; i < config->route_count; i++) {
        assert_true(config->routes[i].lane > 0 && config->routes[i].lane <= INT64_MAX);
        for (size_t j = 0; j < i; j++)
            assert_true(config->routes[i].lane != config->routes[j].lane);
    }
    assert_config_equal(gw_snapshot_config(snapshot, GW_SLICE("x")), config);
    loaded = load(world, "a");
    assert_int_equal(loaded->revision, snapshot->revision);
    assert_int_equal(loaded->config_count, 1);
    assert_config_equal(loaded->configs[0], config);
    gw_snapshot_unref(loaded);
    gw_snapshot_unref(snapshot);
    gw_config_unref(config);
}

static void test_versions(void **state)
{
    struct world *world = *state;
    struct gw_config *first = config_make(world, "a", "x", "");

    gw_config_ref(first);
    assert_int_equal(put(world, config_patch(world, first, "a", "x", ""), 1, NULL),
                     GW_ERR_NOT_FOUND);
    assert_ok(put(world, first, 0, NULL));
    assert_int_equal(put(world, config_make(world, "a", "x", ""), 0, NULL), GW_ERR_EXISTS);
    assert_int_equal(version_of(world, "a", "x"), 1);
    assert_ok(put(world, config_patch(world, first, "a", "x", ",\"isActive\":false"), 1, NULL));
    assert_int_equal(version_of(world, "a", "x"), 2);
    assert_int_equal(put(world, config_patch(world, first, "a", "x", ""), 1, NULL),
                     GW_ERR_CONFLICT);
    assert_int_equal(put(world, config_patch(world, first, "a", "x", ""), 3, NULL),
                     GW_ERR_CONFLICT);
    assert_int_equal(version_of(world, "a", "x"), 2);
    assert_int_equal(version_of(world, "a", "y"), 0);
    gw_config_unref(first);
}

static void test_two_writers(void **state)
{
    struct world *world = *state;
    struct gw_config *first = config_make(world, "a", "x", "");
    struct gw_audit audit = given_audit("config_updated", "a", "x");
    struct gw_config_put one = {.expected_version = 1, .audit = audit};
    struct gw_config_put other = {.expected_version = 1, .audit = audit};

    gw_config_ref(first);
    assert_ok(put(world, first, 0, NULL));
    one.config = config_patch(world, first, "a", "x", ",\"product\":\"one\"");
    other.config = config_patch(world, first, "a", "x", ",\"product\":\"other\"");
    START(world, configs, put, &one);
    START(world, configs, put, &other);
    world_wait(world);
    assert_int_equal((one.op.err == GW_OK) + (other.op.err == GW_OK), 1);
    assert_int_equal((one.op.err == GW_ERR_CONFLICT) + (other.op.err == GW_ERR_CONFLICT), 1);
    struct gw_snapshot *snapshot = load(world, "a");
    assert_config_equal(snapshot->configs[0], one.op.err == GW_OK ? one.config : other.config);
    gw_snapshot_unref(snapshot);
    gw_snapshot_unref(one.snapshot);
    gw_snapshot_unref(other.snapshot);
    gw_config_unref(one.config);
    gw_config_unref(other.config);
    gw_config_unref(first);
}

static void test_two_creators(void **state)
{
    struct world *world = *state;
    struct gw_audit audit = given_audit("config_created", "a", "x");
    struct gw_config_put one = {.config = config_make(world, "a", "x", ""), .audit = audit};
    struct gw_config_put other = {.config = config_make(world, "a", "x", ""), .audit = audit};

    START(world, configs, put, &one);
    START(world, configs, put, &other);
    world_wait(world);
    assert_int_equal((one.op.err == GW_OK) + (other.op.err == GW_OK), 1);
    assert_int_equal((one.op.err == GW_ERR_EXISTS) + (other.op.err == GW_ERR_EXISTS), 1);
    gw_snapshot_unref(one.snapshot);
    gw_snapshot_unref(other.snapshot);
    gw_config_unref(one.config);
    gw_config_unref(other.config);
}

/* Each of another config of one app: who is told that it is done is, and nobody else's goes. */
static void test_many_writers(void **state)
{
    struct world *world = *state;
    struct gw_config_put puts[8] = {0};
    size_t done = 0;

    for (size_t i = 0; i < gw_count(puts); i++) {
        puts[i].config = config_make(world, "a", gw_arena_printf(&world->arena, "x%zu", i), "");
        puts[i].audit = given_audit("config_created", "a", "x");
        START(world, configs, put, &puts[i]);
    }
    world_wait(world);
    struct gw_snapshot *snapshot = load(world, "a");
    for (size_t i = 0; i < gw_count(puts); i++) {
        bool is_done = puts[i].op.err == GW_OK;
        const struct gw_config *stored = gw_snapshot_config(snapshot, puts[i].config->event_type);
        assert_true(is_done || gw_err_class(puts[i].op.err) == GW_CLASS_AGAIN);
        assert_int_equal(stored != NULL, is_done);
        assert_int_equal(puts[i].config->routes[0].lane != 0, is_done);
        if (is_done)
            assert_config_equal(stored, puts[i].config);
        done += is_done;
        gw_snapshot_unref(puts[i].snapshot);
        gw_config_unref(puts[i].config);
    }
    assert_true(done > 0);
    assert_int_equal(snapshot->config_count, done);
    assert_int_equal(snapshot->revision, done);
    gw_snapshot_unref(snapshot);
}

static uint64_t lane_of(const struct gw_snapshot *snapshot, const char *type, const char *url)
{
    const struct gw_config *config = gw_snapshot_config(snapshot, gw_slice_from(type));

    for (size_t i = 0; config && i < config->route_count; i++)
        if (gw_slice_is(config->routes[i].url.text, url))
            return config->routes[i].lane;
    return 0;
}

static void test_lanes_stay_and_are_never_given_again(void **state)
{
    struct world *world = *state;
    struct gw_config *config = config_make(world, "a", "x", WORKFLOWS);
    struct gw_snapshot *one, *two, *three;

    gw_config_ref(config);
    assert_ok(put(world, config, 0, &one));
    struct gw_config *next = config_patch(
        world, config, "a", "x",
        ",\"webhookUrl\":\"https://new.example/\","
        "\"workflows\":{\"w\":[\"https://b.example/\",\"https://c.example/\"],\"v\":null}");
    assert_ok(put(world, next, 1, &two));
    /* The default lane is re-pointed, b stays, c is new, a is gone. */
    uint64_t b = lane_of(one, "x", "https://b.example/");
    uint64_t a = lane_of(one, "x", "https://a.example/");
    uint64_t c = lane_of(two, "x", "https://c.example/");
    assert_int_equal(lane_of(two, "x", "https://new.example/"),
                     lane_of(one, "x", "https://example.com/x"));
    assert_int_equal(lane_of(two, "x", "https://b.example/"), b);
    assert_int_equal(lane_of(two, "x", "https://a.example/"), 0);
    assert_true(c > 0 && c != a && c != b);

    /* Neither a later config nor the same pair again gets an old number. */
    assert_ok(remove_config(world, "a", "x", 2, NULL));
    assert_ok(put(world, config_make(world, "a", "x", WORKFLOWS), 0, &three));
    for (size_t i = 0; i < three->configs[0]->route_count; i++) {
        uint64_t lane = three->configs[0]->routes[i].lane;
        struct gw_config *found;
        const struct gw_route *route;
        assert_false(gw_snapshot_lane(one, lane, &found, &route));
        assert_false(gw_snapshot_lane(two, lane, &found, &route));
    }
    gw_snapshot_unref(one);
    gw_snapshot_unref(two);
    gw_snapshot_unref(three);
    gw_config_unref(config);
}

static uint64_t configs_counted(struct world *world)
{
    return gw_ledger_state(world->ledger).configs;
}

/* Those there are, whatever was refused in between; a reopened store has not forgotten them. */
static void test_counted(void **state)
{
    struct world *world = *state;
    struct gw_config *config = config_make(world, "a", "x", "");

    assert_int_equal(configs_counted(world), 0);
    gw_config_ref(config);
    assert_ok(put(world, config, 0, NULL));
    assert_ok(put(world, config_make(world, "b", "x", ""), 0, NULL));
    assert_int_equal(put(world, config_make(world, "a", "x", ""), 0, NULL), GW_ERR_EXISTS);
    assert_ok(put(world, config_patch(world, config, "a", "x", ",\"product\":\"p\""), 1, NULL));
    assert_int_equal(remove_config(world, "a", "x", 1, NULL), GW_ERR_CONFLICT);
    assert_int_equal(configs_counted(world), 2);
    assert_ok(remove_config(world, "b", "x", 0, NULL));
    assert_int_equal(configs_counted(world), 1);
    world_reopen(world);
    assert_int_equal(configs_counted(world), 1);
    gw_config_unref(config);
}

static uint64_t revision_of(struct world *world, const char *app)
{
    struct gw_snapshot *snapshot = load(world, app);
    uint64_t revision = snapshot->revision;

    gw_snapshot_unref(snapshot);
    return revision;
}

static void test_revision_grows(void **state)
{
    struct world *world = *state;
    struct gw_config *config = config_make(world, "a", "x", "");
    uint64_t last = revision_of(world, "a"), other, removed;

    gw_config_ref(config);
    assert_ok(put(world, config, 0, NULL));
    assert_true(revision_of(world, "a") > last);
    last = revision_of(world, "a");
    put_new(world, "b", "x");
    other = revision_of(world, "b");
    assert_int_equal(revision_of(world, "a"), last); /* another app's is its own */
    put_new(world, "a", "y");
    assert_true(revision_of(world, "a") > last);
    last = revision_of(world, "a");
    assert_ok(put(world, config_patch(world, config, "a", "x", ""), 1, NULL));
    assert_true(revision_of(world, "a") > last);
    last = revision_of(world, "a");
    assert_ok(remove_config(world, "a", "x", 0, &removed));
    assert_true(removed > last);
    assert_ok(remove_config(world, "a", "y", 0, &removed));
    assert_int_equal(revision_of(world, "a"), removed); /* also with none left */
    put_new(world, "a", "x");
    assert_true(revision_of(world, "a") > removed);
    assert_int_equal(revision_of(world, "b"), other);
    gw_config_unref(config);
}

static void test_remove(void **state)
{
    struct world *world = *state;

    assert_int_equal(remove_config(world, "a", "x", 0, NULL), GW_ERR_NOT_FOUND);
    put_new(world, "a", "x");
    put_new(world, "a", "y");
    put_new(world, "b", "x");
    assert_int_equal(remove_config(world, "a", "z", 0, NULL), GW_ERR_NOT_FOUND);
    assert_int_equal(remove_config(world, "a", "x", 2, NULL), GW_ERR_CONFLICT);
    assert_ok(remove_config(world, "a", "x", 1, NULL));
    assert_int_equal(remove_config(world, "a", "x", 1, NULL), GW_ERR_NOT_FOUND);
    assert_ok(remove_config(world, "a", "y", 0, NULL));
    assert_int_equal(version_of(world, "b", "x"), 1);
    struct gw_snapshot *snapshot = load(world, "a");
    assert_int_equal(snapshot->config_count, 0);
    gw_snapshot_unref(snapshot);
    put_new(world, "a", "x"); /* may come again, as a new one */
}

/* ── Pages ─────────────────────────────────────────────────────────────────────────────────── */

static struct gw_config_list *page(struct world *world, const char *app, struct gw_config_list *op)
{
    *op = (struct gw_config_list){
        .arena = &world->arena,
        .app_id = gw_slice_from(app),
        .after_app_id = op->after_app_id,
        .after_event_type = op->after_event_type,
        .max = op->max,
    };
    assert_ok(CALL(world, configs, list, op));
    return op;
}

/* All pages as "app/type app/type …". */
static const char *pages(struct world *world, const char *app, size_t max)
{
    struct gw_config_list op = {.max = max};
    struct gw_buf text = {0};

    do {
        page(world, app, &op);
        assert_true(op.count == max || !op.more);
        for (size_t i = 0; i < op.count; i++) {
            const struct gw_config *config = op.configs[i];
            gw_buf_addf(&text, "%.*s/%.*s ", GW_SLICE_ARG(config->app_id),
                        GW_SLICE_ARG(config->event_type));
            op.after_app_id = gw_arena_dup(&world->arena, config->app_id);
            op.after_event_type = gw_arena_dup(&world->arena, config->event_type);
        }
        for (size_t i = 0; i < op.count; i++)
            gw_config_unref(op.configs[i]);
    } while (op.more);
    const char *copy = gw_arena_text(&world->arena, gw_buf_slice(&text));
    gw_buf_deinit(&text);
    return copy;
}

static void test_list(void **state)
{
    struct world *world = *state;

    assert_string_equal(pages(world, NULL, 3), "");
    put_new(world, "b", "y");
    put_new(world, "ab", "x");
    put_new(world, "\xc3\xa9", "x");
    put_new(world, "b", "*");
    put_new(world, "a", "z");
    put_new(world, "a", "Z");
    put_new(world, "b", "yy");
    put_new(world, "B", "y");
    for (size_t max = 1; max < 10; max++) {
        assert_string_equal(pages(world, NULL, max), "B/y a/Z a/z ab/x b/* b/y b/yy \xc3\xa9/x ");
        assert_string_equal(pages(world, "b", max), "b/* b/y b/yy ");
        assert_string_equal(pages(world, "nobody", max), "");
    }
    assert_ok(remove_config(world, "b", "y", 0, NULL));
    struct gw_config_list op = {.max = 2};
    op.after_app_id = GW_SLICE("b"); /* the mark itself need not be there */
    op.after_event_type = GW_SLICE("y");
    page(world, NULL, &op);
    assert_int_equal(op.count, 2);
    assert_false(op.more);
    assert_true(gw_slice_is(op.configs[0]->event_type, "yy"));
    for (size_t i = 0; i < op.count; i++)
        gw_config_unref(op.configs[i]);
}

/* Who read it before a removal must not take what was made since for what was read. */
static void test_made_again_is_another_one(void **state)
{
    struct world *world = *state;
    struct gw_snapshot *before, *after;

    put_new(world, "a", "x");
    before = load(world, "a");
    assert_ok(remove_config(world, "a", "x", 0, NULL));
    put_new(world, "a", "x");
    struct gw_config *late =
        config_patch(world, before->configs[0], "a", "x", ",\"product\":\"late\"");
    assert_int_equal(put(world, late, 1, NULL), GW_ERR_CONFLICT);
    after = load(world, "a");
    assert_int_equal(after->config_count, 1);
    assert_int_equal(after->configs[0]->version, 1);
    assert_null(after->configs[0]->product.ptr);
    assert_true(after->configs[0]->routes[0].lane > before->configs[0]->routes[0].lane);
    assert_ok(put(world, config_patch(world, after->configs[0], "a", "x", ",\"product\":\"p\""), 1,
                  NULL));
    gw_snapshot_unref(before);
    gw_snapshot_unref(after);
}

int suite_configs(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_unknown_app),
        TEST(test_create),
        TEST(test_versions),
        TEST(test_two_writers),
        TEST(test_two_creators),
        TEST(test_many_writers),
        TEST(test_lanes_stay_and_are_never_given_again),
        TEST(test_revision_grows),
        TEST(test_remove),
        TEST(test_list),
        TEST(test_made_again_is_another_one),
        TEST(test_counted),
    };
    return suite_run("configs", tests, gw_count(tests));
}
