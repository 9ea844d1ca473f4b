/* test_retry.c: future times: the schedule, its jitter, Retry-After, and the end of it. */
#include "core/retry.h"

#include "base/timefmt.h"
#include "support.h"

#define NOW ((int64_t)1764000000000)

static int64_t delay(uint32_t step, int64_t retry_after_ms, uint32_t random)
{
    return gw_retry_next_ms(&gw_retry_default, step, retry_after_ms, NOW, random) - NOW;
}

static void default_schedule(void **state)
{
    (void)state;
    static const int64_t wanted_s[] = {5, 300, 1800, 7200, 18000, 36000, 36000};

    assert_int_equal(gw_retry_default.count, gw_count(wanted_s));
    assert_int_equal(gw_retry_default.timeout_ms, 15000);
    for (uint32_t step = 0; step < gw_count(wanted_s); step++) {
        int64_t ms = wanted_s[step] * 1000;
        assert_true(delay(step, 0, 0) == ms - ms / 5);
        assert_true(delay(step, 0, UINT32_MAX) == ms + ms / 5);
        assert_true(delay(step, 0, UINT32_MAX / 2) == ms);
    }
}

static void used_up(void **state)
{
    (void)state;
    const struct gw_retry none = {.count = 0, .timeout_ms = 1000};

    assert_true(gw_retry_next_ms(&gw_retry_default, 7, 0, NOW, 1) == GW_NEVER);
    assert_true(gw_retry_next_ms(&gw_retry_default, 8, 0, NOW, 1) == GW_NEVER);
    assert_true(gw_retry_next_ms(&gw_retry_default, UINT32_MAX, 0, NOW, 1) == GW_NEVER);
    /* a Retry-After buys no attempt */
    assert_true(gw_retry_next_ms(&gw_retry_default, 7, 1000, NOW, 1) == GW_NEVER);
    assert_true(gw_retry_next_ms(&none, 0, 0, NOW, 1) == GW_NEVER);
}

static void smallest_and_largest(void **state)
{
    (void)state;
    struct gw_retry retry = {.count = GW_RETRY_STEPS_MAX, .timeout_ms = 1000};
    retry.schedule_s[0] = 0;
    retry.schedule_s[1] = 1;
    retry.schedule_s[23] = GW_RETRY_STEP_MAX_S;

    assert_true(gw_retry_next_ms(&retry, 0, 0, NOW, 0) == NOW);
    assert_true(gw_retry_next_ms(&retry, 0, 0, NOW, UINT32_MAX) == NOW);
    assert_true(gw_retry_next_ms(&retry, 1, 0, NOW, 0) == NOW + 800);
    assert_true(gw_retry_next_ms(&retry, 1, 0, NOW, UINT32_MAX) == NOW + 1200);
    assert_true(gw_retry_next_ms(&retry, 23, 0, NOW, 0) == NOW + 34560000);
    assert_true(gw_retry_next_ms(&retry, 23, 0, NOW, UINT32_MAX) == NOW + 51840000);
    assert_true(gw_retry_next_ms(&retry, 24, 0, NOW, UINT32_MAX) == GW_NEVER);
}

static void later_of_schedule_and_retry_after(void **state)
{
    (void)state;
    assert_true(delay(0, 3999, 0) == 4000);
    assert_true(delay(0, 4001, 0) == 4001);
    assert_true(delay(0, 5999, UINT32_MAX) == 6000);
    assert_true(delay(0, 60000, 0) == 60000); /* as told, without jitter */
    assert_true(delay(0, 60000, UINT32_MAX) == 60000);
    assert_true(delay(1, 60000, 0) == 240000);
    assert_true(delay(0, (int64_t)43200 * 1000, 7) == (int64_t)43200 * 1000);
}

/* 5 s reaches over 2001 milliseconds: each is met, about as often as any other. */
static void jitter_is_uniform(void **state)
{
    (void)state;
    static unsigned met[2001];
    struct rng rng = {3};
    const unsigned each = 500;

    for (unsigned i = 0; i < each * gw_count(met); i++) {
        int64_t ms = delay(0, 0, (uint32_t)rng_next(&rng));
        assert_true(ms >= 4000 && ms <= 6000);
        met[ms - 4000]++;
    }
    for (size_t i = 0; i < gw_count(met); i++)
        assert_in_range(met[i], each * 3 / 4, each * 5 / 4); /* 5.6 standard deviations */
}

static void jitter_grows_with_random(void **state)
{
    (void)state;
    int64_t before = 0;

    for (uint64_t random = 0; random <= UINT32_MAX; random += 65537) {
        int64_t ms = delay(6, 0, (uint32_t)random);
        assert_true(ms >= before);
        before = ms;
    }
}

static void resumes(void **state)
{
    (void)state;
    assert_true(gw_retry_resume_ms(NOW + 500, 0, NOW) == NOW + 500);
    assert_true(gw_retry_resume_ms(NOW - 500, 0, NOW) == NOW - 500);
    assert_true(gw_retry_resume_ms(NOW - 500, 1, NOW) == NOW + 1);
    assert_true(gw_retry_resume_ms(NOW + 500, 499, NOW) == NOW + 500);
    assert_true(gw_retry_resume_ms(NOW + 500, 501, NOW) == NOW + 501);
}

static void given_up(void **state)
{
    (void)state;
    const struct gw_retry none = {.count = 0, .timeout_ms = 1000};
    const struct gw_retry two = {.schedule_s = {10, 50}, .count = 2, .timeout_ms = 1000};
    const int64_t wait = (int64_t)72 * 3600 * 1000;

    assert_true(gw_retry_gives_up_ms(&none, NOW, 0, 0) == NOW + wait);
    assert_true(gw_retry_gives_up_ms(&two, NOW, 0, 0) == NOW + 60000 + wait);
    assert_true(gw_retry_gives_up_ms(&two, NOW, NOW + 59999, NOW) == NOW + 60000 + wait);
    assert_true(gw_retry_gives_up_ms(&two, NOW, NOW + 60001, NOW) == NOW + 60001 + wait);
    assert_true(gw_retry_gives_up_ms(&two, NOW, NOW + 60001, NOW + 60002) == NOW + 60002 + wait);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_schedule),
        cmocka_unit_test(used_up),
        cmocka_unit_test(smallest_and_largest),
        cmocka_unit_test(later_of_schedule_and_retry_after),
        cmocka_unit_test(given_up),
        cmocka_unit_test(jitter_is_uniform),
        cmocka_unit_test(jitter_grows_with_random),
        cmocka_unit_test(resumes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
