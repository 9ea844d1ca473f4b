/* test_target.c: how many attempts a target may have, alone and beside others, and how many a second. */
#include "target_rig.h"

#define NEVER_AGAIN ",\"retry\":{\"schedule\":[],\"timeoutMs\":15000}"

/* Two at first, one more with each success, up to maxInFlight. */
static void test_places_grow_with_success(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", ",\"maxInFlight\":6");
    (void)state;
    site->delay_ms = 1000;
    rig_post(rig, site, 40);
    rig_run(rig, 500);
    assert_int_equal(site->open, 2);
    rig_run(rig, 1000);
    assert_int_equal(site->open, 4);
    rig_run(rig, 1000);
    assert_int_equal(site->open, 6);
    rig_run(rig, HOUR_MS);
    assert_int_equal(site->open_high, 6);
    assert_int_equal(rig_open(rig), 0);
    /* It is remembered, and there is nothing to be learned again. */
    site->open_high = 0;
    rig_post(rig, site, 10);
    rig_run(rig, HOUR_MS);
    assert_int_equal(site->open_high, 6);
    rig_destroy(rig);
}

static void test_a_timeout_takes_them_away(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", ",\"maxInFlight\":6" NEVER_AGAIN);
    (void)state;
    rig_post(rig, site, 20);
    rig_run(rig, 10 * SECOND_MS);
    assert_int_equal(rig_open(rig), 0);
    site->status = 0;
    rig_post(rig, site, 30);
    rig_run(rig, SECOND_MS);
    assert_int_equal(site->open, 6);
    rig_run(rig, 15 * SECOND_MS);
    assert_int_equal(site->open, 1);
    rig_destroy(rig);
}

/* However many targets hang, a half is for those that do not. */
static void test_those_that_hang_share_a_half(void **state)
{
    static const char *const hosts[] = {"a.example", "b.example", "c.example", "d.example",
                                        "e.example", "f.example", "g.example", "h.example"};
    struct rig *rig = rig_create(8);
    struct site *well = rig_site(rig, "well.example", ",\"maxInFlight\":100");
    size_t open = 0;
    (void)state;
    rig_post(rig, well, 1);
    rig_run(rig, SECOND_MS);
    for (size_t i = 0; i < gw_count(hosts); i++) {
        struct site *site = rig_site(rig, hosts[i], NEVER_AGAIN);
        site->status = 0;
        rig_post(rig, site, 5);
    }
    rig_run(rig, SECOND_MS);
    for (size_t i = 1; i <= gw_count(hosts); i++)
        open += rig->sites[i].open;
    assert_int_equal(open, 4);
    rig_post(rig, well, 50);
    rig_run(rig, 5 * SECOND_MS);
    assert_int_equal(well->hits, 51);
    /* They take turns. */
    rig_run(rig, HOUR_MS);
    for (size_t i = 1; i <= gw_count(hosts); i++)
        assert_int_equal(rig->sites[i].hits, 5);
    assert_int_equal(rig_open(rig), 0);
    rig_destroy(rig);
}

/* Who is new does not wait behind those that have failed. */
static void test_who_is_new_has_the_next_place(void **state)
{
    static const char *const hosts[] = {"a.example", "b.example", "c.example", "d.example",
                                        "e.example", "f.example", "g.example", "h.example"};
    struct rig *rig = rig_create(4);
    (void)state;
    for (size_t i = 0; i < gw_count(hosts); i++) {
        struct site *site = rig_site(rig, hosts[i], NEVER_AGAIN);
        site->status = 0;
        rig_post(rig, site, 5);
    }
    rig_run(rig, 80 * SECOND_MS); /* two at a time, each for 15 s: all have failed once */
    struct site *fresh = rig_site(rig, "new.example", "");
    rig_post(rig, fresh, 1);
    rig_run(rig, 16 * SECOND_MS);
    assert_int_equal(fresh->hits, 1);
    rig_destroy(rig);
}

/* Nobody's connections are looked through for the sake of those that may hang. */
static void test_only_the_proven_share_connections(void **state)
{
    static const struct {
        int64_t delay_ms;
        bool is_apart; /* the one before decides */
    } rows[] = {{0, true}, {0, false}, {3000, false}, {0, true}, {0, false}};
    struct rig *rig = rig_create(8);
    struct site *site = rig_site(rig, "a.example", "");
    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        site->delay_ms = rows[i].delay_ms;
        rig_post(rig, site, 1);
        rig_run(rig, 5 * SECOND_MS);
        assert_int_equal(site->hits, i + 1);
        assert_int_equal(site->book[i].is_apart, rows[i].is_apart);
    }
    rig_destroy(rig);
}

/* One host behind many targets leaves some of that half to those that nobody knows yet. */
static void test_one_host_has_half_of_that(void **state)
{
    struct rig *rig = rig_create(8);
    size_t open = 0;
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct site *site = rig_site(rig, "hangs.example", NEVER_AGAIN);
        site->status = 0;
        rig_post(rig, site, 5);
    }
    rig_run(rig, SECOND_MS);
    for (size_t i = 0; i < 6; i++)
        open += rig->sites[i].open;
    assert_int_equal(open, 2);
    struct site *fresh = rig_site(rig, "new.example", "");
    rig_post(rig, fresh, 30);
    rig_run(rig, 2 * SECOND_MS);
    assert_int_equal(fresh->hits, 30);
    rig_run(rig, HOUR_MS);
    assert_int_equal(rig_open(rig), 0);
    rig_destroy(rig);
}

/* A target that is well has all there is, and a quarter as soon as somebody else could start. */
static void test_a_quarter_while_others_wait(void **state)
{
    struct rig *rig = rig_create(8);
    struct site *large = rig_site(rig, "a.example", ",\"maxInFlight\":100");
    struct site *small = rig_site(rig, "b.example", ",\"maxInFlight\":100");
    (void)state;
    for (int i = 0; i < 20; i++) { /* both are known to be quick */
        rig_post(rig, large, 1);
        rig_post(rig, small, 1);
        rig_run(rig, 100);
    }
    large->delay_ms = small->delay_ms = 1000;
    rig_post(rig, large, 60);
    rig_run(rig, 500);
    assert_int_equal(large->open, 8);
    rig_post(rig, small, 20);
    rig_run(rig, 2000);
    assert_int_equal(large->open, 2);
    assert_int_equal(small->open, 2);
    rig_run(rig, HOUR_MS);
    assert_int_equal(rig_open(rig), 0);
    rig_destroy(rig);
}

/* Never more than so many in any second, and nearly so many. */
static void test_rate(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", ",\"rateLimit\":20");
    (void)state;
    rig_post(rig, site, 200);
    rig_run(rig, 20 * SECOND_MS);
    assert_int_equal(site->hits, 200);
    for (size_t i = 20; i < site->hits; i++) /* on the way they may come a bit closer */
        assert_true(site->book[i].at_ms - site->book[i - 20].at_ms >= 980);
    assert_true(site->book[199].at_ms - site->book[0].at_ms <= 9 * 1050 + 200);
    rig_destroy(rig);
}

/* Two configs lead there: the smaller limit holds, and what both send counts. */
static void test_rate_is_the_targets(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", ",\"rateLimit\":5");
    struct site *other = rig_site(rig, "a.example", ",\"rateLimit\":50");
    (void)state;
    rig_patch(rig, 1, ",\"webhookUrl\":\"https://a.example/0\"");
    rig_post(rig, site, 15);
    rig_post(rig, other, 15);
    rig_run(rig, 60 * SECOND_MS);
    assert_int_equal(site->hits, 30);
    for (size_t i = 5; i < site->hits; i++)
        assert_true(site->book[i].at_ms - site->book[i - 5].at_ms >= 980);
    rig_destroy(rig);
}

/* While a rate holds things back they are seen to wait. */
static void test_what_waits_for_its_rate_is_seen(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", ",\"rateLimit\":1");
    (void)state;
    rig_post(rig, site, 20);
    rig_run(rig, 5500);
    int64_t oldest_ms = gw_flow_gauge(&rig->flow, GW_GAUGE_OLDEST_DUE_MS);
    assert_true(oldest_ms > 0 && oldest_ms <= sim_wall_ms(rig->sim) - 4000);
    rig_run(rig, HOUR_MS);
    assert_int_equal(gw_flow_gauge(&rig->flow, GW_GAUGE_OLDEST_DUE_MS), 0);
    assert_int_equal(rig_open(rig), 0);
    rig_destroy(rig);
}

/* A clock that is set back holds nothing up that a rate or a gap holds. */
static void test_clock_set_back(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", ",\"rateLimit\":5");
    (void)state;
    rig_post(rig, site, 20);
    rig_run(rig, 100);
    sim_wall_step(rig->sim, -100);
    rig_run(rig, 10 * SECOND_MS);
    assert_int_equal(site->hits, 20);
    rig_destroy(rig);
}

static void test_forgotten_when_it_has_rested(void **state)
{
    struct rig *rig = rig_create(100);
    struct site *site = rig_site(rig, "a.example", "");
    struct site *other = rig_site(rig, "b.example", "");
    struct gw_schedule *schedule = rig->shard->schedule;
    (void)state;
    rig_post(rig, site, 5);
    rig_run(rig, SECOND_MS);
    assert_int_equal(schedule->targets.count, 1);
    assert_int_equal(rig_view(rig, site).attempts, 5);
    assert_int_equal(rig_view(rig, site).successes, 5);
    rig_run(rig, HOUR_MS);
    assert_int_equal(rig_view(rig, site).attempts, 0);
    rig_post(rig, other, 1);
    rig_run(rig, SECOND_MS);
    assert_int_equal(schedule->targets.count, 1);
    assert_int_equal(schedule->hosts.count, 1);
    assert_int_equal(schedule->resting_count, 1);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places_grow_with_success),
        cmocka_unit_test(test_a_timeout_takes_them_away),
        cmocka_unit_test(test_those_that_hang_share_a_half),
        cmocka_unit_test(test_who_is_new_has_the_next_place),
        cmocka_unit_test(test_only_the_proven_share_connections),
        cmocka_unit_test(test_one_host_has_half_of_that),
        cmocka_unit_test(test_a_quarter_while_others_wait),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_rate_is_the_targets),
        cmocka_unit_test(test_what_waits_for_its_rate_is_seen),
        cmocka_unit_test(test_clock_set_back),
        cmocka_unit_test(test_forgotten_when_it_has_rested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
