/* test_target_health.c: what becomes of targets that fail, and of what waits for them. */
#include "target_rig.h"

#define OFTEN ",\"retry\":{\"schedule\":[7200,7200,7200],\"timeoutMs\":1000}"
#define ONCE  ",\"retry\":{\"schedule\":[],\"timeoutMs\":1000}"

static void expect_state(struct rig *rig, const struct site *site, enum gw_health_state wanted)
{
    struct gw_target_view view = rig_view(rig, site);
    if (view.state != wanted)
        fail_msg("%s is %s, wanted %s", site->url, gw_health_state_name(view.state),
                 gw_health_state_name(wanted));
}

/* Ten failures, then one at a time, the oldest due, with gaps that double; who waits loses nothing. */
static void test_probed(void **state)
{
    static const int64_t gaps_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", ",\"maxInFlight\":2" OFTEN);
    (void)state;
    site->status = 500;
    int first = rig_post(rig, site, 40);
    rig_run(rig, 250 * SECOND_MS);
    expect_state(rig, site, GW_HEALTH_PROBED);
    assert_int_equal(gw_flow_gauge(&rig->flow, GW_GAUGE_TARGETS + GW_HEALTH_PROBED), 1);
    size_t tenth = site->hits - 1;
    while (tenth > 0 && site->book[tenth].at_ms - site->book[tenth - 1].at_ms > 500)
        tenth--;
    assert_in_range(tenth + 1, 10, 11); /* one may have been under way */
    for (size_t i = 0; i + 1 < site->hits - tenth && i < gw_count(gaps_ms); i++) {
        const struct hit *hit = &site->book[tenth + i];
        assert_in_range(hit[1].at_ms - hit[0].at_ms, gaps_ms[i], gaps_ms[i] + 50);
        assert_int_equal(hit[1].event, hit[0].event + 1);
    }
    for (int event = first; event < first + 40; event++)
        assert_int_equal(rig_delivery(rig, event).attempts, event < first + (int)site->hits);
    assert_string_equal(rig_view(rig, site).reason, "http_error");
    site->status = 200;
    size_t before = site->hits;
    rig_run(rig, 65 * SECOND_MS);
    expect_state(rig, site, GW_HEALTH_OK);
    assert_int_equal(site->hits - before, 40 - before);
    rig_run(rig, DAY_MS);
    assert_int_equal(rig_open(rig), 0);
    rig_destroy(rig);
}

static void make_gone(struct rig *rig, struct site *site)
{
    site->status = 410;
    int event = rig_post(rig, site, 1);
    rig_run(rig, SECOND_MS);
    assert_int_equal(rig_delivery(rig, event).state, GW_DELIVERY_DEAD);
    assert_int_equal(rig_delivery(rig, event).reason, GW_END_GONE);
    expect_state(rig, site, GW_HEALTH_DISABLED);
    site->status = 200;
}

/* Held as long as it takes, also over a restart; then it goes out, with its first attempt. */
static void test_held_while_disabled(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", OFTEN);
    (void)state;
    make_gone(rig, site);
    assert_string_equal(rig_view(rig, site).reason, "gone");
    int first = rig_post(rig, site, 30);
    rig_run(rig, 10 * DAY_MS);
    rig_restart(rig);
    rig_run(rig, DAY_MS);
    expect_state(rig, site, GW_HEALTH_DISABLED);
    assert_int_equal(gw_flow_gauge(&rig->flow, GW_GAUGE_TARGETS + GW_HEALTH_DISABLED), 1);
    assert_int_equal(gw_flow_gauge(&rig->flow, GW_GAUGE_OLDEST_DUE_MS), 0);
    assert_int_equal(site->hits, 1);
    assert_int_equal(rig_delivery(rig, first).state, GW_DELIVERY_PENDING);
    assert_int_equal(rig_enable(rig, site), GW_OK);
    rig_run(rig, 10 * SECOND_MS);
    assert_int_equal(site->hits, 31);
    assert_int_equal(rig_delivery(rig, first).attempts, 1);
    assert_int_equal(rig_open(rig), 0);
    rig_restart(rig);
    expect_state(rig, site, GW_HEALTH_OK);
    rig_destroy(rig);
}

/* A retry by hand goes out to a disabled target; only one that succeeds enables it. */
static void test_manual_retry_of_disabled(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", OFTEN);
    (void)state;
    make_gone(rig, site);
    int first = rig_post(rig, site, 5);
    rig_run(rig, DAY_MS);
    site->status = 500;
    rig_retry(rig, first);
    rig_run(rig, DAY_MS);
    assert_int_equal(site->hits, 2);
    assert_int_equal(rig_delivery(rig, first).state, GW_DELIVERY_PENDING);
    expect_state(rig, site, GW_HEALTH_DISABLED);
    rig_retry(rig, first - 1); /* the dead one */
    rig_run(rig, HOUR_MS);
    assert_int_equal(site->hits, 3);
    assert_int_equal(rig_delivery(rig, first - 1).state, GW_DELIVERY_DEAD);
    rig_restart(rig); /* held lanes are read anew, and a retry is found in them */
    site->status = 200;
    rig_retry(rig, first + 1);
    rig_run(rig, 10 * SECOND_MS);
    expect_state(rig, site, GW_HEALTH_OK);
    assert_int_equal(site->hits, 8);
    assert_int_equal(rig_open(rig), 0);
    rig_destroy(rig);
}

/* A retry by hand waits for no gap. */
static void test_manual_retry_of_probed(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", ",\"maxInFlight\":1" OFTEN);
    (void)state;
    site->status = 500;
    int first = rig_post(rig, site, 30);
    rig_run(rig, 300 * SECOND_MS);
    size_t before = site->hits;
    site->status = 200;
    rig_retry(rig, first + 29);
    rig_run(rig, 500);
    assert_true(site->hits > before);
    assert_int_equal(site->book[before].event, first + 29);
    rig_run(rig, DAY_MS);
    assert_int_equal(rig_open(rig), 0);
    rig_destroy(rig);
}

/* Given up 72 hours after the end of its schedule, though it was never its turn; not while held, nor
 * within 72 hours of its config's return. */
static void test_given_up(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", ",\"retry\":{\"schedule\":[3600]}");
    (void)state;
    site->status = 500;
    rig_post(rig, site, 11);
    rig_run(rig, 200 * SECOND_MS);
    expect_state(rig, site, GW_HEALTH_PROBED);
    int first = rig_post(rig, site, 20);
    size_t before = site->hits;
    sim_wall_step(rig->sim, 73 * HOUR_MS - 300 * SECOND_MS);
    rig_run(rig, 120 * SECOND_MS);
    assert_in_range(site->hits - before, 1, 8); /* not yet: a try now and then */
    sim_wall_step(rig->sim, 300 * SECOND_MS);
    before = site->hits;
    rig_run(rig, 120 * SECOND_MS);
    assert_int_equal(site->hits, before);
    assert_int_equal(rig_open(rig), 0);
    for (int event = first + 8; event < first + 20; event++) {
        struct gw_delivery delivery = rig_delivery(rig, event);
        assert_int_equal(delivery.state, GW_DELIVERY_DEAD);
        assert_int_equal(delivery.reason, GW_END_EXPIRED);
        assert_int_equal(delivery.attempts, 0);
    }
    int late = rig_post(rig, site, 1);
    rig_run(rig, 61 * SECOND_MS);
    assert_int_equal(rig_delivery(rig, late).attempts, 1);
    rig_patch(rig, 0, ",\"isActive\":false");
    sim_wall_step(rig->sim, 80 * HOUR_MS);
    rig_run(rig, HOUR_MS);
    assert_int_equal(rig_delivery(rig, late).state, GW_DELIVERY_PENDING);
    site->status = 200;
    rig_patch(rig, 0, ",\"isActive\":true");
    rig_run(rig, HOUR_MS);
    assert_int_equal(rig_delivery(rig, late).state, GW_DELIVERY_DELIVERED);
    rig_destroy(rig);
}

/* Enabling puts the end off by 72 hours, and no longer. */
static void test_given_up_after_enabling(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", OFTEN);
    (void)state;
    make_gone(rig, site);
    int first = rig_post(rig, site, 1);
    rig_run(rig, 20 * DAY_MS);
    site->status = 500;
    rig_enable(rig, site);
    rig_run(rig, 3 * HOUR_MS);
    assert_int_equal(rig_delivery(rig, first).state, GW_DELIVERY_PENDING);
    assert_int_equal(rig_delivery(rig, first).attempts, 2);
    rig_patch(rig, 0,
              ",\"retry\":{\"schedule\":[43200,43200,43200,43200,43200,43200,43200,43200],"
              "\"timeoutMs\":1000}");
    rig_run(rig, 68 * HOUR_MS);
    assert_int_equal(rig_delivery(rig, first).state, GW_DELIVERY_PENDING);
    rig_run(rig, 2 * HOUR_MS);
    struct gw_delivery delivery = rig_delivery(rig, first);
    assert_int_equal(delivery.state, GW_DELIVERY_DEAD);
    assert_int_equal(delivery.reason, GW_END_EXPIRED);
    rig_destroy(rig);
}

static void test_disabled_after_five_days(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", OFTEN);
    (void)state;
    site->status = 500;
    for (int hour = 0; hour < 118; hour++) {
        rig_post(rig, site, 3);
        rig_run(rig, HOUR_MS);
        if (hour == 50)
            rig_restart(rig); /* is no break */
    }
    expect_state(rig, site, GW_HEALTH_PROBED);
    rig_post(rig, site, 3);
    rig_run(rig, 8 * HOUR_MS);
    expect_state(rig, site, GW_HEALTH_DISABLED);
    assert_string_equal(rig_view(rig, site).reason, "failing");
    rig_destroy(rig);
}

/* A URL that nobody names any more is forgotten, in the store too. */
static void test_forgotten_with_its_url(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", OFTEN);
    (void)state;
    make_gone(rig, site);
    rig_patch(rig, 0, ",\"webhookUrl\":\"https://b.example/0\"");
    rig_run(rig, SECOND_MS);
    rig_patch(rig, 0, ",\"webhookUrl\":\"https://a.example/0\"");
    expect_state(rig, site, GW_HEALTH_OK);
    rig_restart(rig);
    expect_state(rig, site, GW_HEALTH_OK);
    rig_post(rig, site, 1);
    rig_run(rig, SECOND_MS);
    assert_int_equal(rig_open(rig), 0);
    /* And while the server was down. */
    make_gone(rig, site);
    rig_restart(rig);
    expect_state(rig, site, GW_HEALTH_DISABLED);
    rig_destroy(rig);
}

/* What is held follows a new webhookUrl. */
static void test_held_follows_a_new_url(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", OFTEN);
    struct site *other = rig_site(rig, "b.example", OFTEN);
    (void)state;
    make_gone(rig, site);
    rig_post(rig, site, 10);
    rig_run(rig, DAY_MS);
    rig_patch(rig, 0, ",\"webhookUrl\":\"https://b.example/1\"");
    rig_run(rig, 10 * SECOND_MS);
    assert_int_equal(other->hits, 10);
    assert_int_equal(rig_open(rig), 0);
    rig_destroy(rig);
}

/* The store fails for a while: memory goes by what it knows, and the store learns it in the end. */
static void test_saves_are_repeated(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", OFTEN);
    (void)state;
    rig->failing_saves = 5;
    make_gone(rig, site);
    rig_post(rig, site, 3);
    rig_run(rig, SECOND_MS);
    assert_int_equal(site->hits, 1);
    rig_run(rig, 10 * SECOND_MS);
    assert_int_equal(rig->failing_saves, 0);
    rig_restart(rig);
    expect_state(rig, site, GW_HEALTH_DISABLED);
    /* Who enables is told that it is not stored. */
    rig->failing_saves = 1;
    assert_int_equal(rig_enable(rig, site), GW_ERR_BUSY);
    assert_int_equal(rig_enable(rig, site), GW_OK);
    rig_run(rig, 10 * SECOND_MS);
    rig_restart(rig);
    expect_state(rig, site, GW_HEALTH_OK);
    rig_run(rig, 10 * SECOND_MS);
    assert_int_equal(rig_open(rig), 0);
    rig_destroy(rig);
}

static void on_idle(void *ctx)
{
    *(bool *)ctx = true;
}

static bool is_true(void *ctx)
{
    return *(bool *)ctx;
}

/* What the last attempt of a shard that stops says of its target is stored before it is idle. */
static void test_a_stop_waits_for_what_it_learns(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", OFTEN);
    bool idle = false;
    (void)state;
    site->status = 410;
    site->delay_ms = 500;
    rig_post(rig, site, 1);
    rig_run(rig, 300);
    gw_shard_drain(rig->shard, on_idle, &idle);
    assert_true(sim_run(rig->sim, is_true, &idle, 3 * SECOND_MS));
    rig_restart(rig);
    expect_state(rig, site, GW_HEALTH_DISABLED);
    rig_destroy(rig);
}

/* A save that fails keeps nobody from stopping. */
static void test_a_stop_does_not_wait_for_saves(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", OFTEN);
    bool idle = false;
    (void)state;
    rig->failing_saves = 1000;
    make_gone(rig, site);
    gw_shard_drain(rig->shard, on_idle, &idle);
    assert_true(sim_run(rig->sim, is_true, &idle, 3 * SECOND_MS));
    rig_run(rig, 10 * SECOND_MS);
    assert_int_equal(rig_enable(rig, site), GW_ERR_STOPPED);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probed),
        cmocka_unit_test(test_held_while_disabled),
        cmocka_unit_test(test_manual_retry_of_disabled),
        cmocka_unit_test(test_manual_retry_of_probed),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_given_up_after_enabling),
        cmocka_unit_test(test_disabled_after_five_days),
        cmocka_unit_test(test_forgotten_with_its_url),
        cmocka_unit_test(test_held_follows_a_new_url),
        cmocka_unit_test(test_saves_are_repeated),
        cmocka_unit_test(test_a_stop_waits_for_what_it_learns),
        cmocka_unit_test(test_a_stop_does_not_wait_for_saves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
