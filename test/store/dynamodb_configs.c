/* dynamodb_configs.c: changes of configs and keys in DynamoDB, one after the other; what they send and
 * what AWS loses is seen to by test_dynamodb_store.py.
 *
 *   dynamodb_configs           changes, each of which is done, also where every answer to one is lost
 *   dynamodb_configs unwoken   where no wake can be sent
 *   dynamodb_configs many      more apps and lines than are read at a time */
#include "given.h"

#include <stdio.h>

#define MANY     140 /* apps */
#define WORKFLOW ",\"workflows\":{\"w\":[\"https://w.example/\"]}"

static const struct gw_guard guard = {.ports = {443}, .port_count = 1};

static struct gw_config_change change_of(struct world *world, const char *app, const char *more)
{
    return (struct gw_config_change){
        .json = gw_slice_from(
            gw_arena_printf(&world->arena, "{\"appId\":\"%s\",\"eventType\":\"x\"%s}", app, more)),
        .guard = &guard,
        .now_ms = T0,
        .overlap_ms = DAY_MS,
    };
}

static enum gw_err put(struct world *world, struct gw_config *config, uint64_t expected_version)
{
    struct gw_config_put op = {
        .config = config,
        .expected_version = expected_version,
        .audit = given_audit("config_updated", "app", "x"),
    };
    enum gw_err err = CALL(world, configs, put, &op);

    assert_int_equal(op.snapshot != NULL, err == GW_OK);
    gw_snapshot_unref(op.snapshot);
    gw_config_unref(config);
    return err;
}

static void create_of(struct world *world, const char *app, const char *more)
{
    const char *json =
        gw_arena_printf(&world->arena, ",\"webhookUrl\":\"https://d.example/\"%s", more);
    struct gw_config_change change = change_of(world, app, json);
    struct gw_config *config;
    struct gw_error error;

    assert_ok(gw_config_create(&config, &change, &error));
    assert_ok(put(world, config, 0));
}

static void create(struct world *world, const char *more)
{
    create_of(world, "app", more);
}

static struct gw_snapshot *load(struct world *world)
{
    struct gw_config_load op = {.app_id = GW_SLICE("app")};

    assert_ok(CALL(world, configs, load, &op));
    return op.snapshot;
}

static enum gw_err patch(struct world *world, const char *more)
{
    struct gw_snapshot *snapshot = load(world);
    struct gw_config_change change = change_of(world, "app", more);
    struct gw_config *config;
    struct gw_error error;
    bool secret_made;

    assert_int_equal(snapshot->config_count, 1);
    uint64_t version = snapshot->configs[0]->version;
    assert_ok(gw_config_patch(&config, snapshot->configs[0], &change, &secret_made, &error));
    gw_snapshot_unref(snapshot);
    return put(world, config, version);
}

static enum gw_err remove_config(struct world *world)
{
    struct gw_config_remove op = {
        .app_id = GW_SLICE("app"),
        .event_type = GW_SLICE("x"),
        .audit = given_audit("config_deleted", "app", "x"),
    };
    enum gw_err err = CALL(world, configs, remove, &op);

    gw_snapshot_unref(op.snapshot);
    return err;
}

static size_t lines_of(struct world *world)
{
    struct gw_audit_list op = {.arena = &world->arena, .max = 50};

    assert_ok(CALL(world, admin, audit_list, &op));
    return op.count;
}

static void test_changes(void **state)
{
    struct world *world = *state;

    create(world, WORKFLOW);
    assert_ok(patch(world, ",\"product\":\"p\""));
    assert_ok(patch(world, ",\"isActive\":false"));
    assert_ok(patch(world, ",\"isActive\":true"));
    assert_ok(patch(world, ",\"webhookUrl\":\"https://e.example/\""));
    assert_ok(patch(world, ",\"workflows\":null"));
    struct gw_snapshot *snapshot = load(world);
    assert_int_equal(snapshot->configs[0]->version, 6);
    assert_int_equal(snapshot->revision, 6);
    gw_snapshot_unref(snapshot);
    assert_ok(remove_config(world));
    assert_int_equal(remove_config(world), GW_ERR_NOT_FOUND);
    assert_int_equal(lines_of(world), 7);
}

static void test_keys(void **state)
{
    struct world *world = *state;
    struct gw_key_put put = {
        .key = {.id = "key_1", .appid = GW_SLICE("app"), .scope = GW_SLICE("app")},
        .audit = given_audit("key_created", "app", "key_1"),
    };
    struct gw_key_remove removal = {
        .id = GW_SLICE("key_1"),
        .audit = given_audit("key_revoked", NULL, "key_1"),
        .arena = &world->arena,
    };
    struct gw_audit_add line = {.audit = given_audit("erased", "app", NULL)};

    assert_ok(CALL(world, admin, key_put, &put));
    assert_ok(CALL(world, admin, key_remove, &removal));
    assert_ok(CALL(world, admin, audit_add, &line));
    assert_int_equal(lines_of(world), 3);
}

/* Woken first: a change that could not be told of is not made. */
static void test_unwoken(void **state)
{
    struct world *world = *state;

    create(world, ",\"isActive\":false");
    assert_int_equal(gw_err_class(patch(world, ",\"isActive\":true")), GW_CLASS_AGAIN);
    assert_int_equal(gw_err_class(remove_config(world)), GW_CLASS_AGAIN);
    struct gw_snapshot *snapshot = load(world);
    assert_int_equal(snapshot->config_count, 1);
    assert_false(snapshot->configs[0]->is_active);
    gw_snapshot_unref(snapshot);
    assert_int_equal(lines_of(world), 1);
}

/* More than are asked for at a time, in their order, whatever the page's size. */
static void test_many_apps(void **state)
{
    struct world *world = *state;
    struct gw_config_list op = {.max = 30};
    size_t count = 0;

    for (int i = 0; i < MANY; i++)
        create_of(world, gw_arena_printf(&world->arena, "app%03d", i), "");
    do {
        op.arena = &world->arena;
        assert_ok(CALL(world, configs, list, &op));
        for (size_t i = 0; i < op.count; i++, count++) {
            const struct gw_config *config = op.configs[i];
            const char *app = gw_arena_printf(&world->arena, "app%03zu", count);
            assert_true(gw_slice_is(config->app_id, app));
            op.after_app_id = gw_slice_from(app);
            op.after_event_type = GW_SLICE("x");
            gw_config_unref(op.configs[i]);
        }
    } while (op.more);
    assert_int_equal(count, MANY);
}

/* Lines that nobody asked for lie between those that are; a page of them is no end. */
static void test_sifted_lines(void **state)
{
    struct world *world = *state;
    struct gw_audit_list op = {.app_id = GW_SLICE("app"), .subject = GW_SLICE("wanted"), .max = 9};

    for (int i = 0; i < 600; i++) {
        struct gw_audit_add add = {
            .audit = given_audit("payload_shown", "app", i % 300 == 0 ? "wanted" : "other")};
        assert_ok(CALL(world, admin, audit_add, &add));
    }
    op.arena = &world->arena;
    assert_ok(CALL(world, admin, audit_list, &op));
    assert_int_equal(op.count, 2);
    assert_int_equal(op.next, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest changes[] = {TEST(test_changes), TEST(test_keys)};
    const struct CMUnitTest unwoken[] = {TEST(test_unwoken)};
    const struct CMUnitTest many[] = {TEST(test_many_apps), TEST(test_sifted_lines)};

    sim_init();
    backend = &backend_dynamodb;
    if (argc > 1 && strcmp(argv[1], "unwoken") == 0)
        return cmocka_run_group_tests_name("unwoken", unwoken, NULL, NULL);
    if (argc > 1 && strcmp(argv[1], "many") == 0)
        return cmocka_run_group_tests_name("many", many, NULL, NULL);
    return cmocka_run_group_tests_name("changes", changes, NULL, NULL);
}
