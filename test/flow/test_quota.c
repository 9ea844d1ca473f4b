/* test_quota.c: how many events of one app are taken a second: the bucket by itself, and over three
 * shards in the simulated world. */
#include "flow/intake.h"

#include "base/check.h"
#include "sim_env.h"
#include "store/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SECOND_US 1000000
#define SHARDS    3
#define RATE      10
#define POSTED    2000

static const struct gw_slice app = GW_SLICE("app");

/* ── The bucket ────────────────────────────────────────────────────────────────────────────── */

static void test_a_second_at_once_then_one_by_one(void **state)
{
    static const uint32_t rates[] = {1, 3, 7, 1000, 999983, GW_QUOTA_RATE_MAX};
    (void)state;
    for (size_t i = 0; i < gw_count(rates); i++) {
        struct gw_quota *quota = gw_quota_create(rates[i]);
        int64_t now_us = 12345;
        for (uint32_t n = 0; n < rates[i]; n++)
            assert_int_equal(gw_quota_take(quota, app, now_us), 0);
        /* Asked in every microsecond that counts, the next comes when a whole part has passed, and
         * the rate is met to the event. */
        int64_t asked_ms = gw_quota_take(quota, app, now_us);
        int64_t gap_us = (SECOND_US + rates[i] - 1) / rates[i];
        assert_int_equal(asked_ms, (gap_us + 999) / 1000);
        if (gap_us > 1)
            assert_true(gw_quota_take(quota, app, now_us + gap_us - 1) > 0);
        assert_int_equal(gw_quota_take(quota, app, now_us + gap_us), 0);
        gw_quota_destroy(quota);
    }
}

/* Over ten seconds of asking too often: the first second's worth and ten more, no part lost. */
static void test_no_part_is_lost(void **state)
{
    static const uint32_t rates[] = {1, 3, 7, 997};
    (void)state;
    for (size_t i = 0; i < gw_count(rates); i++) {
        struct gw_quota *quota = gw_quota_create(rates[i]);
        uint32_t taken = 0;
        for (int64_t now_us = 0; now_us <= 10 * SECOND_US; now_us += 50)
            taken += gw_quota_take(quota, app, now_us) == 0;
        assert_int_equal(taken, 11 * rates[i]);
        gw_quota_destroy(quota);
    }
}

/* It says how long to wait, and is right to the millisecond; an early question costs nothing. */
static void test_the_wait_is_long_enough(void **state)
{
    struct gw_quota *quota = gw_quota_create(3);
    int64_t now_us = 0;
    (void)state;
    for (int n = 0; n < 3; n++)
        assert_int_equal(gw_quota_take(quota, app, now_us), 0);
    for (int n = 0; n < 100; n++) {
        int64_t again_ms = gw_quota_take(quota, app, now_us);
        assert_in_range(again_ms, 1, 334);
        assert_true(gw_quota_take(quota, app, now_us + (again_ms - 1) * 1000) > 0);
        now_us += again_ms * 1000;
        assert_int_equal(gw_quota_take(quota, app, now_us), 0);
    }
    gw_quota_destroy(quota);
}

static void test_apps_are_apart_and_forgotten(void **state)
{
    struct gw_quota *quota = gw_quota_create(1);
    char name[16];
    (void)state;
    for (int64_t n = 0; n < 1000; n++) {
        int len = snprintf(name, sizeof(name), "app-%d", (int)n);
        struct gw_slice one = {name, (size_t)len};
        assert_int_equal(gw_quota_take(quota, one, n * 10000), 0);
        assert_true(gw_quota_take(quota, one, n * 10000) > 0);
        assert_true(gw_quota_count(quota) <= 101);
    }
    gw_quota_take(quota, app, 20 * SECOND_US);
    for (int n = 0; n < 60; n++)
        gw_quota_take(quota, app, 20 * SECOND_US);
    assert_int_equal(gw_quota_count(quota), 1);
    gw_quota_destroy(quota);
}

/* ── Three shards ──────────────────────────────────────────────────────────────────────────── */

struct posted {
    struct gw_intake intake;
    char body[64];
    bool is_done;
};

struct quota_rig {
    struct sim *sim;
    struct gw_memory *memory;
    struct gw_flow flow;
    struct gw_shard *shards[SHARDS];
    size_t left;
    struct posted posted[POSTED];
    size_t posted_count;
};

static void on_started(void *ctx, enum gw_err err)
{
    gw_check(err == GW_OK);
    (*(size_t *)ctx)--;
}

static bool is_zero(void *ctx)
{
    return *(size_t *)ctx == 0;
}

static struct quota_rig *rig_create(void)
{
    struct quota_rig *rig = gw_zalloc(sizeof(*rig));
    sim_init();
    rig->sim = sim_create(&(struct sim_options){.seed = 1});
    rig->memory = gw_memory_create(sim_env_create(rig->sim), &(struct gw_memory_options){0});
    rig->flow = (struct gw_flow){
        .options = {.accepts_max = POSTED,
                    .memory_max = 1000,
                    .snapshots_max = 16,
                    .intake_rate = RATE},
        .ledger = gw_memory_ledger(rig->memory),
        .configs = gw_memory_configs(rig->memory),
        .shards = rig->shards,
        .shard_count = SHARDS,
    };
    rig->left = SHARDS;
    for (size_t i = 0; i < SHARDS; i++)
        rig->shards[i] = gw_shard_create(&rig->flow, sim_env_create(rig->sim), i);
    for (size_t i = 0; i < SHARDS; i++)
        gw_shard_start(rig->shards[i], on_started, &rig->left);
    assert_true(sim_run(rig->sim, is_zero, &rig->left, 60000));
    return rig;
}

static void rig_destroy(struct quota_rig *rig)
{
    for (size_t i = 0; i < SHARDS; i++) {
        assert_int_equal(rig->shards[i]->under_way, 0);
        sim_env_kill(rig->shards[i]->env);
        gw_shard_destroy(rig->shards[i]);
    }
    gw_memory_destroy(rig->memory);
    sim_destroy(rig->sim);
    for (size_t i = 0; i < rig->posted_count; i++)
        gw_intake_deinit(&rig->posted[i].intake);
    gw_free(rig);
}

static void on_intake(struct gw_intake *intake)
{
    gw_container_of(intake, struct posted, intake)->is_done = true;
}

static void post(struct quota_rig *rig, const char *app_id)
{
    struct posted *posted = &rig->posted[rig->posted_count];
    assert_true(rig->posted_count < POSTED);
    snprintf(posted->body, sizeof(posted->body), "{\"appId\":\"%s\",\"eventType\":\"T\"}", app_id);
    posted->intake.body = gw_slice_from(posted->body);
    posted->intake.done = on_intake;
    gw_intake_start(rig->shards[rig->posted_count++ % SHARDS], &posted->intake);
}

/* How many of the posted ones from `from` were taken; the others were told why and how long. */
static unsigned taken(struct quota_rig *rig, size_t from)
{
    unsigned count = 0;
    sim_run(rig->sim, NULL, NULL, 100);
    for (size_t i = from; i < rig->posted_count; i++) {
        const struct gw_intake *intake = &rig->posted[i].intake;
        assert_true(rig->posted[i].is_done);
        if (intake->err == GW_OK) {
            count++;
            continue;
        }
        assert_int_equal(intake->err, GW_ERR_BUSY);
        assert_true(intake->is_limited);
        assert_in_range(intake->again_ms, 1, 1000 / RATE);
        assert_non_null(strstr(intake->error.text, "10 events a second"));
    }
    return count;
}

static void test_exact_over_all_shards(void **state)
{
    struct quota_rig *rig = rig_create();
    (void)state;
    for (int i = 0; i < 50; i++)
        post(rig, "app");
    for (int i = 0; i < RATE; i++)
        post(rig, "another"); /* has its own */
    assert_int_equal(taken(rig, 0), 2 * RATE);
    /* Empty for a moment, then ten seconds of six times too many. */
    size_t from = rig->posted_count;
    for (int i = 0; i < 10 * 60; i++) {
        post(rig, "app");
        sim_run(rig->sim, NULL, NULL, 1000 / 60);
    }
    /* 600 turns of 16 ms, 100 ms for the count before: 9.7 s. */
    assert_in_range(taken(rig, from), 96, 98);
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_REFUSED + GW_REFUSAL_LIMITED),
                     40 + 600 - taken(rig, from));
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_REFUSED + GW_REFUSAL_OVERLOAD), 0);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_second_at_once_then_one_by_one),
        cmocka_unit_test(test_no_part_is_lost),
        cmocka_unit_test(test_the_wait_is_long_enough),
        cmocka_unit_test(test_apps_are_apart_and_forgotten),
        cmocka_unit_test(test_exact_over_all_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
