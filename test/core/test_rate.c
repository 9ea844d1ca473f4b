/* test_rate.c: whatever comes and when, no second holds more than the limit, and little less. */
#include "core/rate.h"

#include "support.h"

#define SECOND ((int64_t)1000000)

static void at_once_then_not(void **state)
{
    static const uint32_t limits[] = {1, 2, 7, 1000, 100000};
    (void)state;
    for (size_t i = 0; i < gw_count(limits); i++) {
        struct gw_rate rate = {0};
        int64_t now_us = 7 * SECOND + 123456;
        for (uint32_t n = 0; n < limits[i]; n++) {
            assert_int_equal(gw_rate_wait_us(&rate, limits[i], now_us), 0);
            gw_rate_take(&rate, now_us);
        }
        int64_t wait_us = gw_rate_wait_us(&rate, limits[i], now_us);
        assert_in_range(wait_us, SECOND, SECOND + GW_RATE_SLOT_US);
        assert_int_equal(gw_rate_wait_us(&rate, limits[i], now_us + wait_us - 1), 1);
        assert_int_equal(gw_rate_wait_us(&rate, limits[i], now_us + wait_us), 0);
        assert_int_equal(gw_rate_wait_us(&rate, limits[i], now_us + 1000 * SECOND), 0);
    }
}

/* As a sender would: it asks, waits as long as it is told (and a bit, now and then), and takes. */
static void no_second_holds_more(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct rng rng = {seed};
        struct gw_rate rate = {0};
        enum { TAKEN = 3000 };
        static int64_t taken[TAKEN];
        uint32_t limit = 1 + (uint32_t)rng_below(&rng, 60);
        bool is_eager = rng_below(&rng, 2);
        int64_t now_us = (int64_t)rng_below(&rng, 3000000);
        for (size_t n = 0; n < TAKEN; n++) {
            int64_t wait_us = gw_rate_wait_us(&rate, limit, now_us);
            now_us += wait_us;
            if (!is_eager)
                now_us += (int64_t)rng_below(&rng, 1 + (size_t)(2 * SECOND) / limit);
            assert_int_equal(gw_rate_wait_us(&rate, limit, now_us), 0);
            gw_rate_take(&rate, now_us);
            taken[n] = now_us;
            if (n >= limit)
                assert_true(taken[n] - taken[n - limit] >= SECOND);
        }
        /* Whoever always asks at once gets nineteen twentieths at least. */
        if (is_eager)
            assert_true((taken[TAKEN - 1] - taken[0]) / SECOND <=
                        (int64_t)(TAKEN * 1.05 / limit) + 2);
    }
}

static void lower_limit_at_once(void **state)
{
    struct gw_rate rate = {0};
    (void)state;
    for (int n = 0; n < 10; n++)
        gw_rate_take(&rate, 0);
    assert_int_equal(gw_rate_wait_us(&rate, 11, 0), 0);
    assert_int_equal(gw_rate_wait_us(&rate, 3, 0), SECOND + GW_RATE_SLOT_US);
    gw_rate_take(&rate, SECOND / 2);
    assert_int_equal(gw_rate_wait_us(&rate, 1, SECOND), SECOND / 2 + GW_RATE_SLOT_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_once_then_not),
        cmocka_unit_test(no_second_holds_more),
        cmocka_unit_test(lower_limit_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
