/* latency.c: the buckets of latencies: every time has one, none is too wide, and percentiles are
 * near the truth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/latency.h"
#include "store/tally.h"

static void test_edges(void **state)
{
    (void)state;
    assert_int_equal(gw_latency_bucket(INT64_MIN), 0);
    assert_int_equal(gw_latency_bucket(-1), 0);
    assert_int_equal(gw_latency_bucket(0), 0);
    assert_int_equal(gw_latency_bucket(1), 1);
    assert_int_equal(gw_latency_bucket(7), 7);
    assert_int_equal(gw_latency_bucket(8), 8);
    assert_int_equal(gw_latency_bucket(15), 15);
    assert_int_equal(gw_latency_bucket(16), 16);
    assert_int_equal(gw_latency_bucket(17), 16);
    assert_int_equal(gw_latency_bucket(1000), 63);
    assert_int_equal(gw_latency_bucket(GW_LATENCY_MS_MAX), GW_LATENCY_BUCKETS - 1);
    assert_int_equal(gw_latency_bucket(INT64_MAX), GW_LATENCY_BUCKETS - 1);
}

/* They follow each other without a gap, and each is at most an eighth of its first value wide. */
static void test_no_gap(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_LATENCY_BUCKETS; i++) {
        int64_t first = gw_latency_bucket_first(i), middle = gw_latency_bucket_middle(i);
        assert_int_equal(gw_latency_bucket(first), i);
        assert_int_equal(gw_latency_bucket(middle), i);
        if (i > 0)
            assert_int_equal(gw_latency_bucket(first - 1), i - 1);
        if (i >= 8)
            assert_true((middle - first) * 2 <= first / 8);
    }
    for (int64_t ms = 0; ms < 100000; ms++)
        assert_true(gw_latency_bucket(ms) <= gw_latency_bucket(ms + 1));
}

static void test_percentiles(void **state)
{
    uint64_t counts[GW_LATENCY_BUCKETS] = {0};
    (void)state;

    struct gw_latency none = gw_latency_read(counts);
    assert_int_equal(none.count, 0);
    assert_int_equal(none.p99_ms, 0);
    for (int64_t ms = 1; ms <= 1000; ms++)
        counts[gw_latency_bucket(ms)]++;
    struct gw_latency some = gw_latency_read(counts);
    assert_int_equal(some.count, 1000);
    assert_in_range(some.p50_ms, 500 - 32, 500 + 32);
    assert_in_range(some.p95_ms, 950 - 60, 950 + 60);
    assert_in_range(some.p99_ms, 990 - 62, 990 + 62);
    uint64_t one[GW_LATENCY_BUCKETS] = {[40] = 1};
    struct gw_latency single = gw_latency_read(one);
    assert_int_equal(single.p50_ms, gw_latency_bucket_middle(40));
    assert_int_equal(single.p99_ms, gw_latency_bucket_middle(40));
}

static void test_hours(void **state)
{
    (void)state;
    assert_int_equal(gw_hour_of(0), 0);
    assert_int_equal(gw_hour_of(3599999), 0);
    assert_int_equal(gw_hour_of(3600000), 3600000);
    assert_int_equal(gw_hour_of(-1), -3600000);
    assert_int_equal(gw_hour_of(-3600000), -3600000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_no_gap),
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_hours),
    };

    return cmocka_run_group_tests_name("latency", tests, NULL, NULL);
}
