/* test_route.c: where an event goes, or why it goes nowhere. */
#include "config_support.h"

#include "core/route.h"

static struct gw_snapshot *snapshot_of(const char *const *configs, size_t count)
{
    struct gw_config *made[4];

    for (size_t i = 0; i < count; i++)
        made[i] = create(configs[i]);
    return gw_snapshot_create(GW_SLICE("a"), 1, made, count);
}

#define CONFIG(type, rest)                                                                         \
    "{'appId':'a','eventType':'" type "','webhookUrl':'https://h/" type "'" rest "}"

static void routes(void **state)
{
    static const char *const configs[] = {
        CONFIG("T", ",'workflows':{'w':['https://h/1','https://h/2','https://h/1'],'':null,"
                    "'same':['https://h/T']}"),
        CONFIG("off", ",'isActive':false,'workflows':{'w':['https://h/1']}"),
        CONFIG("*", ",'workflows':{'star':['https://h/3']}"),
    };
    static const struct {
        const char *type, *workflow;
        enum gw_skip skip;
        const char *config, *urls;
    } rows[] = {
        {"T", NULL, GW_SKIP_NONE, "T", "https://h/T"},
        {"T", "w", GW_SKIP_NONE, "T", "https://h/1 https://h/2"},
        {"T", "same", GW_SKIP_NONE, "T", "https://h/T"},
        {"T", "W", GW_SKIP_NONE, "T", "https://h/T"},
        {"T", "", GW_SKIP_NONE, "T", "https://h/T"},
        {"T", "star", GW_SKIP_NONE, "T", "https://h/T"}, /* the nearer config decides alone */
        {"off", NULL, GW_SKIP_INACTIVE, "off", ""},      /* and does not fall back to "*" */
        {"off", "w", GW_SKIP_INACTIVE, "off", ""},
        {"other", NULL, GW_SKIP_NONE, "*", "https://h/*"},
        {"other", "star", GW_SKIP_NONE, "*", "https://h/3"},
        {"*", NULL, GW_SKIP_NONE, "*", "https://h/*"},
        {"t", NULL, GW_SKIP_NONE, "*", "https://h/*"},
    };
    struct gw_snapshot *snapshot = snapshot_of(configs, gw_count(configs));
    struct gw_buf urls = {0};

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        const struct gw_event event = {.app_id = GW_SLICE("a"),
                                       .event_type = gw_slice_from(rows[i].type),
                                       .workflow_id = gw_slice_from(rows[i].workflow)};
        struct gw_routing routing = gw_route(snapshot, &event);
        gw_buf_clear(&urls);
        for (size_t r = 0; r < routing.count; r++)
            gw_buf_addf(&urls, "%s%.*s", r ? " " : "", GW_SLICE_ARG(routing.routes[r]->url.text));
        assert_int_equal(routing.skip, rows[i].skip);
        assert_text(routing.config->event_type, rows[i].config);
        assert_text(gw_buf_slice(&urls), rows[i].urls);
    }
    gw_buf_deinit(&urls);
    gw_snapshot_unref(snapshot);
}

/* A workflow that lists the default's URL is a lane of its own: it stays when webhookUrl moves. */
static void own_lane(void **state)
{
    static const char *const configs[] = {CONFIG("T", ",'workflows':{'same':['https://h/T']}")};
    struct gw_snapshot *snapshot = snapshot_of(configs, 1);
    struct gw_event event = {.event_type = GW_SLICE("T"), .workflow_id = GW_SLICE("same")};

    (void)state;
    assert_ptr_equal(gw_route(snapshot, &event).routes[0], &snapshot->configs[0]->routes[1]);
    event.workflow_id = (struct gw_slice){0};
    assert_ptr_equal(gw_route(snapshot, &event).routes[0], &snapshot->configs[0]->routes[0]);
    gw_snapshot_unref(snapshot);
}

static void no_config(void **state)
{
    static const char *const configs[] = {CONFIG("T", "")};
    struct gw_snapshot *one = snapshot_of(configs, 1), *none = snapshot_of(configs, 0);
    const struct gw_event known = {.event_type = GW_SLICE("T")},
                          other = {.event_type = GW_SLICE("U")};

    (void)state;
    assert_int_equal(gw_route(one, &known).skip, GW_SKIP_NONE);
    assert_int_equal(gw_route(one, &other).skip, GW_SKIP_NO_CONFIG);
    assert_null(gw_route(one, &other).config);
    assert_int_equal(gw_route(one, &other).count, 0);
    assert_int_equal(gw_route(none, &known).skip, GW_SKIP_NO_CONFIG);
    gw_snapshot_unref(one);
    gw_snapshot_unref(none);
}

/* ── Metadata ──────────────────────────────────────────────────────────────────────────────── */

static void metadata(void **state)
{
    static const char *const configs[] = {
        CONFIG("counts", ",'additionalMetadataKeys':['x','WORKFLOWID'],'workflows':{'w':["
                         "'https://h/w'],'v':['https://h/v']}"),
        CONFIG("countsnot", ",'additionalMetadataKeys':['workflow'],'workflows':{'w':["
                            "'https://h/w'],'v':['https://h/v']}"),
        CONFIG("off", ",'isActive':false,'additionalMetadataKeys':['workflowId']"),
    };
    static const struct {
        const char *type, *name, *value, *body; /* value NULL: no metadata; body: its workflowId */
        const char *wanted, *url;
    } rows[] = {
        {"counts", "workflowid", "w", NULL, "w", "https://h/w"},
        {"counts", "WorkflowId", "w", "v", "w", "https://h/w"}, /* first the metadata */
        {"counts", "workflowid", "u", "v", "u", "https://h/counts"},
        {"counts", "workflowid", NULL, "v", "v", "https://h/v"},
        {"counts", "x", "w", "v", "v", "https://h/v"},
        {"counts", "workflowid2", "w", "v", "v", "https://h/v"},
        /* what no body could say is none */
        {"counts", "workflowid", "", "v", "v", "https://h/v"},
        {"counts", "workflowid", "w\n", "v", "v", "https://h/v"},
        {"counts", "workflowid", "w\xff", NULL, NULL, "https://h/counts"},
        {"countsnot", "workflowid", "w", "v", "v", "https://h/v"},
        {"countsnot", "workflow", "w", NULL, NULL, "https://h/countsnot"},
        {"off", "workflowid", "w", "v", "w", NULL}, /* kept with the event, for a replay */
        {"none", "workflowid", "w", "v", "v", NULL},
    };
    struct gw_snapshot *snapshot = snapshot_of(configs, gw_count(configs));

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        const struct gw_metadata pairs[] = {
            {GW_SLICE("other"), GW_SLICE("w")},
            {gw_slice_from(rows[i].name), gw_slice_from(rows[i].value)},
        };
        const struct gw_event event = {.event_type = gw_slice_from(rows[i].type),
                                       .metadata = pairs,
                                       .metadata_count = rows[i].value ? 2 : 1,
                                       .workflow_id = gw_slice_from(rows[i].body)};
        struct gw_routing routing = gw_route(snapshot, &event);
        assert_text(routing.workflow_id, rows[i].wanted);
        assert_int_equal(routing.count, rows[i].url ? 1 : 0);
        if (rows[i].url)
            assert_text(routing.routes[0]->url.text, rows[i].url);
    }
    gw_snapshot_unref(snapshot);
}

/* ── Filters ───────────────────────────────────────────────────────────────────────────────── */

static void filters(void **state)
{
    static const char *const configs[] = {
        CONFIG("T", ",'filter':{'status':['approved'],'n':[{'numeric':['>',1]}]},'workflows':{"
                    "'w':['https://h/1']}"),
        CONFIG("all", ",'filter':{}"),
        CONFIG("off", ",'isActive':false,'filter':{'status':['approved']}"),
        CONFIG("*", ",'filter':{'status':[null]}"),
    };
    static const struct {
        const char *type, *body;
        enum gw_skip skip;
    } rows[] = {
        {"T", "{'status':'approved','n':2}", GW_SKIP_NONE},
        {"T", "{'status':'approved','n':1}", GW_SKIP_FILTERED},
        {"T", "{'status':'declined','n':2}", GW_SKIP_FILTERED},
        {"T", "{}", GW_SKIP_FILTERED}, /* and does not fall back to "*" */
        {"all", "{}", GW_SKIP_NONE},
        {"off", "{'status':'declined'}", GW_SKIP_INACTIVE},
        {"U", "{'status':null}", GW_SKIP_NONE},
        {"U", "{}", GW_SKIP_FILTERED},
    };
    struct gw_snapshot *snapshot = snapshot_of(configs, gw_count(configs));
    struct gw_buf body = {0};

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        quote(&body, rows[i].body);
        const struct gw_event event = {.event_type = gw_slice_from(rows[i].type),
                                       .workflow_id = GW_SLICE("w"),
                                       .body = gw_buf_slice(&body)};
        struct gw_routing routing = gw_route(snapshot, &event);
        assert_int_equal(routing.skip, rows[i].skip);
        assert_int_equal(routing.count, rows[i].skip ? 0 : 1);
        assert_non_null(routing.config);
    }
    gw_buf_deinit(&body);
    gw_snapshot_unref(snapshot);
}

static void most_lanes(void **state)
{
    struct gw_event event = {.event_type = GW_SLICE("T"), .workflow_id = GW_SLICE("w")};
    struct gw_buf json = {0};
    struct gw_error error;

    (void)state;
    for (unsigned count = 20; count <= 21; count++) {
        gw_buf_clear(&json);
        gw_buf_addf(&json, "{" BASE ",'workflows':{'w':[");
        for (unsigned i = 0; i < count; i++)
            gw_buf_addf(&json, "%s'https://h/%u'", i ? "," : "", i);
        gw_buf_addf(&json, "]}}");
        struct gw_config *config = try_create(gw_buf_text(&json), &error);
        if (count == 21) {
            assert_null(config);
            assert_string_equal(error.text, "workflows.w: must have 1 to 20 URLs, has 21 (null "
                                            "removes a workflow)");
            continue;
        }
        struct gw_snapshot *snapshot = gw_snapshot_create(GW_SLICE("a"), 1, &config, 1);
        assert_int_equal(gw_route(snapshot, &event).count, GW_LANES_MAX);
        gw_snapshot_unref(snapshot);
    }
    gw_buf_deinit(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes),   cmocka_unit_test(own_lane), cmocka_unit_test(no_config),
        cmocka_unit_test(metadata), cmocka_unit_test(filters),  cmocka_unit_test(most_lanes),
    };

    return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
