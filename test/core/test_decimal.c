/* test_decimal.c: numbers compared by what they are worth. */
#include "core/decimal.h"

#include "support.h"

#include <math.h>

/* In ascending order; what stands in one line is equal. */
static const char *const ladder[][6] = {
    {"-9e999999999999999999999999"},
    {"-1e400", "-10e399", "-0.1e401"},
    {"-18446744073709551617"},
    {"-18446744073709551616", "-1.8446744073709551616e19"},
    {"-5000000000"},
    {"-300.5", "-3005e-1", "-3.005E+2"},
    {"-300.4999999999999999999999"},
    {"-0.000001", "-1e-6", "-0.0000010"},
    {"-1e-400"},
    {"0", "-0", "0.0", "0e10", "-0.000e-5", "0.000"},
    {"1e-400", "0.01e-398"},
    {"0.1", "1e-1", "0.10", "100e-3"},
    {"0.1000000000000000055511151231257827"},
    {"0.99999999999999999"},
    {"1", "1.0", "10e-1", "0.1e1", "0.01e2"},
    {"1.05", "105e-2"},
    {"1.5"},
    {"9"},
    {"10", "1e1", "1E+1", "10.000", "0.010e3"},
    {"300", "300.0", "3e2", "3.00e+2", "0300e0"},
    {"301.8", "3.018e2"},
    {"9007199254740992"},
    {"9007199254740993"},
    {"123456789012345678901234567890"},
    {"123456789012345678901234567891"},
    {"1e400", "0.001e403"},
    {"1e999999999999999999999999", "1e1000000000000000000"},
    {"2e999999999999999999999999"},
};

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

static void in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < gw_count(ladder) * 6; i++) {
        for (size_t j = 0; j < gw_count(ladder) * 6; j++) {
            const char *left = ladder[i / 6][i % 6], *right = ladder[j / 6][j % 6];
            if (left == NULL || right == NULL)
                continue;
            struct gw_slice a = exact_copy(gw_slice_from(left)),
                            b = exact_copy(gw_slice_from(right));
            struct gw_decimal x = gw_decimal_of(a), y = gw_decimal_of(b);
            int wanted = sign((int)(i / 6) - (int)(j / 6));
            if (sign(gw_decimal_compare(&x, &y)) != wanted)
                fail_msg("%s and %s: got %d, wanted %d", left, right, gw_decimal_compare(&x, &y),
                         wanted);
            exact_free(a);
            exact_free(b);
        }
    }
}

/* Where doubles and integers are exact, the answers must be theirs. */
static void like_doubles(void **state)
{
    (void)state;
    struct rng rng = {11};

    for (int round = 0; round < 200000; round++) {
        char a[64], b[64];
        double x = (double)(int64_t)(rng_next(&rng) >> (11 + rng_below(&rng, 53)));
        double y = (double)(int64_t)(rng_next(&rng) >> (11 + rng_below(&rng, 53)));
        x = ldexp(rng_below(&rng, 2) ? x : -x, -(int)rng_below(&rng, 20));
        y = rng_below(&rng, 3) ? ldexp(y, -(int)rng_below(&rng, 20)) : x;
        snprintf(a, sizeof(a), rng_below(&rng, 2) ? "%.*f" : "%.*e", 40, x);
        snprintf(b, sizeof(b), rng_below(&rng, 2) ? "%.*f" : "%.*e", 40, y);
        struct gw_decimal left = gw_decimal_of(gw_slice_from(a));
        struct gw_decimal right = gw_decimal_of(gw_slice_from(b));
        if (sign(gw_decimal_compare(&left, &right)) != (x > y) - (x < y))
            fail_msg("%s and %s: got %d", a, b, gw_decimal_compare(&left, &right));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),
        cmocka_unit_test(like_doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
