/* test_openapi.c: docs/openapi.json says of every route what the table says, and of no other. */
#include "rig.h"

#include "api/api_impl.h"
#include "api/openapi.h"
#include "core/config_impl.h"

#include <stdio.h>

static yyjson_doc *doc;

static int setup(void **state)
{
    (void)state;
    doc = yyjson_read(gw_openapi_json.ptr, gw_openapi_json.len, 0);
    return doc ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    yyjson_doc_free(doc);
    return 0;
}

static const struct {
    enum gw_method method;
    const char *name;
} methods[] = {
    {GW_GET, "get"}, {GW_POST, "post"}, {GW_PATCH, "patch"}, {GW_DELETE, "delete"}, {GW_PUT, "put"},
};

/* The route of exactly that path; NULL. */
static const struct gw_api_route *route_of(const char *method, const char *path)
{
    for (size_t i = 0; i < gw_api_route_count; i++)
        for (size_t k = 0; k < gw_count(methods); k++)
            if (methods[k].method == gw_api_routes[i].method &&
                strcmp(methods[k].name, method) == 0 && strcmp(gw_api_routes[i].path, path) == 0)
                return &gw_api_routes[i];
    return NULL;
}

static unsigned roles_of(yyjson_val *operation)
{
    static const struct {
        const char *name;
        unsigned role;
    } names[] = {{"admin", GW_ROLE_ADMIN},
                 {"producer", GW_ROLE_PRODUCER},
                 {"client", GW_ROLE_CLIENT},
                 {"viewer", GW_ROLE_VIEWER}};
    unsigned roles = 0;
    yyjson_val *name;
    size_t at, max, known = 0;
    yyjson_arr_foreach(yyjson_obj_get(operation, "x-roles"), at, max, name)
    {
        for (size_t i = 0; i < gw_count(names); i++) {
            if (yyjson_equals_str(name, names[i].name)) {
                roles |= names[i].role;
                known++;
            }
        }
    }
    assert_int_equal(known, yyjson_arr_size(yyjson_obj_get(operation, "x-roles")));
    return roles;
}

static void check_operation(yyjson_val *operation, const struct gw_api_route *route)
{
    static const char *const behind_a_key[] = {"400", "401", "403", "413", "500", "503"};
    yyjson_val *security = yyjson_obj_get(operation, "security");
    yyjson_val *responses = yyjson_obj_get(operation, "responses");
    bool is_open = route->roles & (GW_API_OPEN | GW_API_ADDRESS);
    assert_true(yyjson_is_str(yyjson_obj_get(operation, "operationId")));
    assert_int_equal(roles_of(operation), is_open ? 0 : route->roles);
    assert_true(is_open ? yyjson_is_arr(security) && yyjson_arr_size(security) == 0 : !security);
    assert_true((yyjson_obj_get(operation, "requestBody") != NULL) ==
                (route->body != GW_API_BODY_NONE));
    if (is_open) {
        assert_true((yyjson_obj_get(responses, "403") != NULL) == !(route->roles & GW_API_OPEN));
        return;
    }
    for (size_t i = 0; i < gw_count(behind_a_key); i++)
        assert_non_null(yyjson_obj_get(responses, behind_a_key[i]));
}

static void routes(void **state)
{
    yyjson_val *paths = yyjson_doc_ptr_get(doc, "/paths");
    yyjson_val *path, *operations, *method, *operation;
    size_t at, max, i, count, found = 0;
    (void)state;
    yyjson_obj_foreach(paths, at, max, path, operations)
    {
        yyjson_obj_foreach(operations, i, count, method, operation)
        {
            const char *names[] = {yyjson_get_str(method), yyjson_get_str(path)};
            const struct gw_api_route *route = route_of(names[0], names[1]);
            if (!route)
                fail_msg("docs/openapi.json has %s %s, the table of routes not", names[0],
                         names[1]);
            check_operation(operation, route);
            found++;
        }
    }
    for (size_t r = 0; r < gw_api_route_count; r++)
        if (!yyjson_obj_get(paths, gw_api_routes[r].path))
            fail_msg("docs/openapi.json lacks %s", gw_api_routes[r].path);
    assert_int_equal(found, gw_api_route_count); /* no method is missing, none is there twice */
}

static bool schema_has(const char *schema, const char *field)
{
    char pointer[128];
    snprintf(pointer, sizeof(pointer), "/components/schemas/%s/properties/%s", schema, field);
    return yyjson_doc_ptr_get(doc, pointer);
}

static void config_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < gw_config_field_count; i++) {
        const struct gw_config_field *field = &gw_config_fields[i];
        bool is_input = field->use != GW_USE_ALIAS && field->use != GW_USE_SHOWN;
        if (schema_has("ConfigCreate", field->name) != is_input ||
            schema_has("ConfigPatch", field->name) != (field->use != GW_USE_ALIAS) ||
            (field->render && !schema_has("Config", field->name)))
            fail_msg("docs/openapi.json: ConfigCreate, ConfigPatch and Config must say what \"%s\" "
                     "is",
                     field->name);
    }
}

static void check_refs(yyjson_val *value)
{
    yyjson_val *key, *child;
    size_t at, max;
    if (yyjson_is_arr(value)) {
        yyjson_arr_foreach(value, at, max, child) check_refs(child);
        return;
    }
    yyjson_obj_foreach(value, at, max, key, child)
    {
        if (yyjson_equals_str(key, "$ref")) {
            const char *ref = yyjson_get_str(child);
            if (!ref || ref[0] != '#' || !yyjson_doc_ptr_get(doc, ref + 1))
                fail_msg("%s leads nowhere", ref);
        }
        check_refs(child);
    }
}

static void references(void **state)
{
    (void)state;
    check_refs(yyjson_doc_get_root(doc));
    assert_string_equal(yyjson_get_str(yyjson_doc_ptr_get(doc, "/info/version")), GW_VERSION);
}

/* The address is all it needs. */
static void served(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct call *call = call_prepare(rig, GW_GET, "/openapi.json", NULL);
    (void)state;
    call_go(rig, 0, call);
    call_wait(rig, call);
    expect_status(call, 200);
    assert_string_equal(call->exchange.content_type, "application/json");
    assert_true(gw_slice_eq(call->exchange.reply, gw_openapi_json));
    call_free(call);
    call = call_prepare(rig, GW_GET, "/openapi.json", NULL);
    assert_true(gw_addr_parse(GW_SLICE("198.51.100.1"), &call->exchange.peer));
    call_go(rig, 0, call);
    expect_failed(call, 403, "IP not whitelisted");
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes),
        cmocka_unit_test(config_fields),
        cmocka_unit_test(references),
        cmocka_unit_test(served),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
