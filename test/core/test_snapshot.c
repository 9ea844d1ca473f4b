/* test_snapshot.c: looking up configs, lanes and targets; who holds whom. */
#include "config_support.h"

static struct gw_config *config_of(const char *event_type, const char *rest, uint64_t first_lane)
{
    struct gw_buf json = {0};

    gw_buf_addf(&json, "{'appId':'a','eventType':'%s',%s}", event_type, rest);
    struct gw_config *config = create(gw_buf_text(&json));
    for (size_t i = 0; first_lane && i < config->route_count; i++)
        config->routes[i].lane = first_lane + i;
    gw_buf_deinit(&json);
    return config;
}

static void lookups(void **state)
{
    struct gw_config *configs[] = {
        config_of("b", "'webhookUrl':'https://h/1','maxInFlight':9", 30),
        config_of("*", "'webhookUrl':'https://h/2','workflows':{'w':['https://h/1']}", 10),
        config_of("ab",
                  "'webhookUrl':'https://h/3','maxInFlight':20,'workflows':{'w':["
                  "'https://h/2','https://h/4'],'v':['https://h/4']}",
                  20),
        config_of("a", "'webhookUrl':'https://h/5?q=1'", 0), /* not stored yet: no lane */
    };
    configs[0]->rate_limit = 7;
    configs[2]->rate_limit = 5;
    struct gw_snapshot *snapshot = gw_snapshot_create(GW_SLICE("a"), 7, configs, 4);
    static const char *const sorted[] = {"*", "a", "ab", "b"};
    static const struct {
        uint64_t lane;
        const char *event_type, *url; /* NULL = nowhere */
    } lanes[] = {
        {10, "*", "https://h/2"},  {11, "*", "https://h/1"},  {20, "ab", "https://h/3"},
        {21, "ab", "https://h/2"}, {22, "ab", "https://h/4"}, {30, "b", "https://h/1"},
        {0, NULL, NULL},           {12, NULL, NULL},          {23, NULL, NULL},
        {UINT64_MAX, NULL, NULL},
    };
    static const struct {
        const char *url;
        uint32_t in_flight, rate;
    } targets[] = {
        {"https://h/1", 9, 7},      {"https://h/2", 16, 5},
        {"https://h/3", 20, 5},     {"https://h/4", 20, 5},
        {"https://h/5?q=1", 16, 0}, {"https://h/9", 0, 0},
        {"https://h/5", 0, 0},      {"", 0, 0},
    };

    (void)state;
    assert_int_equal(snapshot->revision, 7);
    assert_string_equal(snapshot->app_id, "a");
    assert_int_equal(snapshot->config_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_text(snapshot->configs[i]->event_type, sorted[i]);
        assert_ptr_equal(gw_snapshot_config(snapshot, gw_slice_from(sorted[i])),
                         snapshot->configs[i]);
    }
    assert_null(gw_snapshot_config(snapshot, GW_SLICE("")));
    assert_null(gw_snapshot_config(snapshot, GW_SLICE("abc")));
    assert_null(gw_snapshot_config(snapshot, GW_SLICE("A")));
    for (size_t i = 0; i < gw_count(lanes); i++) {
        struct gw_config *config = NULL;
        const struct gw_route *route = NULL;
        assert_int_equal(gw_snapshot_lane(snapshot, lanes[i].lane, &config, &route),
                         lanes[i].url != NULL);
        if (lanes[i].url == NULL)
            continue;
        assert_text(config->event_type, lanes[i].event_type);
        assert_text(route->url.text, lanes[i].url);
        assert_int_equal(route->lane, lanes[i].lane);
    }
    for (size_t i = 0; i < gw_count(targets); i++) {
        const struct gw_snapshot_target *target =
            gw_snapshot_target(snapshot, gw_slice_from(targets[i].url));
        assert_int_equal(target == NULL, targets[i].in_flight == 0);
        if (target == NULL)
            continue;
        assert_int_equal(target->in_flight_max, targets[i].in_flight);
        assert_int_equal(target->rate_limit, targets[i].rate);
    }
    gw_snapshot_unref(snapshot);
}

static void empty(void **state)
{
    struct gw_snapshot *snapshot = gw_snapshot_create(GW_SLICE("a"), 1, NULL, 0);
    struct gw_config *config;
    const struct gw_route *route;

    (void)state;
    assert_null(gw_snapshot_config(snapshot, GW_SLICE("*")));
    assert_false(gw_snapshot_lane(snapshot, 1, &config, &route));
    assert_null(gw_snapshot_target(snapshot, GW_SLICE("https://h/")));
    gw_snapshot_unref(snapshot);
}

/* The sanitizer sees what is freed twice, too early or never. */
static void references(void **state)
{
    struct gw_config *config = config_of("T", "'webhookUrl':'https://h/1'", 1);
    struct gw_config *shared[] = {gw_config_ref(config)};
    struct gw_snapshot *first = gw_snapshot_create(GW_SLICE("a"), 1, shared, 1);
    shared[0] = gw_config_ref(config);
    struct gw_snapshot *second = gw_snapshot_create(GW_SLICE("a"), 2, shared, 1);

    (void)state;
    assert_ptr_equal(gw_snapshot_ref(first), first);
    assert_int_equal(config->refs, 3);
    gw_snapshot_unref(first);
    assert_int_equal(config->refs, 3);
    gw_snapshot_unref(first);
    assert_int_equal(config->refs, 2);
    gw_config_unref(config);
    assert_ptr_equal(gw_snapshot_config(second, GW_SLICE("T")), config);
    gw_snapshot_unref(second);
    gw_snapshot_unref(NULL);
    gw_config_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookups),
        cmocka_unit_test(empty),
        cmocka_unit_test(references),
    };

    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
