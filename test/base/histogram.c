/* Histograms: which bucket, and what is read of several. */
#include "test.h"

#include "base/histogram.h"

static size_t bucket_of(int64_t us)
{
    struct gw_histogram histogram = {0};
    struct gw_histogram_view view = {0};

    gw_histogram_add(&histogram, us);
    gw_histogram_read(&histogram, &view);
    assert_int_equal(view.count, 1);
    for (size_t i = 0; i <= GW_HISTOGRAM_BOUNDS; i++)
        if (view.counts[i])
            return i;
    fail();
    return 0;
}

static void bounds_are_inclusive_and_grow(void **state)
{
    (void)state;
    assert_int_equal(bucket_of(-1), 0);
    assert_int_equal(bucket_of(0), 0);
    for (size_t i = 0; i < GW_HISTOGRAM_BOUNDS; i++) {
        int64_t bound_us = gw_histogram_bound_us(i);
        assert_true(i == 0 || bound_us > gw_histogram_bound_us(i - 1));
        assert_int_equal(bucket_of(bound_us), i);
        assert_int_equal(bucket_of(bound_us + 1), i + 1);
    }
    assert_int_equal(bucket_of(INT64_MAX), GW_HISTOGRAM_BOUNDS);
}

static void several_become_one(void **state)
{
    struct gw_histogram one = {0}, other = {0};
    struct gw_histogram_view view = {0};

    (void)state;
    gw_histogram_add(&one, 1000);
    gw_histogram_add(&one, 2000000);
    gw_histogram_add(&other, 900);
    gw_histogram_add(&other, -5); /* a clock that went back took no time */
    gw_histogram_read(&one, &view);
    gw_histogram_read(&other, &view);
    assert_int_equal(view.count, 4);
    assert_int_equal(view.counts[0], 3);
    assert_int_equal(view.sum_us, 2001900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_are_inclusive_and_grow),
        cmocka_unit_test(several_become_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
