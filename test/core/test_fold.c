/* test_fold.c: comparison without regard to case. */
#include "core/fold.h"

#include "support.h"

static bool eq(const char *a, const char *b)
{
    struct gw_slice x = exact_copy(gw_slice_from(a)), y = exact_copy(gw_slice_from(b));
    bool equal = gw_fold_eq(x, y);

    assert_int_equal(equal, gw_fold_eq(y, x));
    exact_free(x);
    exact_free(y);
    return equal;
}

static void whole_words(void **state)
{
    (void)state;
    assert_true(eq("", ""));
    assert_true(eq("azAZ09-_", "AZaz09-_"));
    assert_false(eq("a", "b"));
    assert_false(eq("a", "aa"));
    assert_false(eq("@", "`")); /* 32 apart, but no letters */
    assert_false(eq("[", "{"));
    assert_true(eq("MÜLLER", "müller"));
    assert_true(eq("ŁÓDŹ Şanlıurfa Č", "łódź şanlıurfa č"));
    assert_true(eq("ȘȚ", "șț"));
    assert_true(eq("ΆΈΌΏ ΑΩ ΣΊΣΥΦΟΣ", "άέόώ αω σίσυφοσ"));
    assert_true(eq("ЁЖИК ЎҐ", "ёжик ўґ"));
    assert_true(eq("ԱՖ", "աֆ"));
    assert_true(eq("Ÿ", "ÿ"));
    assert_true(eq("VIỆT NAM", "việt nam"));
    /* what is no pair stays apart */
    assert_false(eq("×", "÷")); /* U+00D7 and U+00F7, 32 apart */
    assert_false(eq("é", "e"));
    assert_false(eq("ß", "SS"));
    assert_false(eq("İ", "i"));
    assert_false(eq("I", "ı"));
    assert_false(eq("К", "K")); /* Cyrillic and Latin */
    /* beyond three bytes there is only equality */
    assert_true(eq("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"));
    assert_false(eq("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x81"));
}

static void both_ends(void **state)
{
    (void)state;
    assert_true(gw_fold_starts(GW_SLICE("ÉTÉ 2026"), GW_SLICE("été")));
    assert_true(gw_fold_starts(GW_SLICE("x"), GW_SLICE("")));
    assert_false(gw_fold_starts(GW_SLICE("ét"), GW_SLICE("été")));
    assert_true(gw_fold_ends(GW_SLICE("summer ÉTÉ"), GW_SLICE("été")));
    assert_true(gw_fold_ends(GW_SLICE("x"), GW_SLICE("")));
    assert_false(gw_fold_ends(GW_SLICE("té"), GW_SLICE("été")));
    /* a cut inside a character is no character: U+00E9 is C3 A9, U+00A9 is C2 A9 */
    assert_false(gw_fold_ends(GW_SLICE("\xc3\xa9z"), GW_SLICE("\xc2\xa9z")));
    assert_false(gw_fold_eq(GW_SLICE("\xa9zz"), GW_SLICE("\xc2\xa9z")));
    assert_false(gw_fold_starts(GW_SLICE("\xc3\xa9"), GW_SLICE("\xc3\xa8")));
    assert_false(gw_fold_eq(GW_SLICE("\xc3"), GW_SLICE("\xe3")));
}

static void put(char out[4], uint32_t c)
{
    if (c < 0x800)
        snprintf(out, 4, "%c%c", (char)(0xC0 | c >> 6), (char)(0x80 | (c & 0x3F)));
    else
        snprintf(out, 4, "%c%c%c", (char)(0xE0 | c >> 12), (char)(0x80 | (c >> 6 & 0x3F)),
                 (char)(0x80 | (c & 0x3F)));
}

/* All of the table, and nothing else: also none whose cases differ in length. */
static void every_pair(void **state)
{
    (void)state;
    size_t pairs = 0;

    for (uint32_t a = 0x80; a < 0x2000; a++) {
        for (uint32_t b = a + 1; b < 0x2000 && b < a + 200; b++) {
            char x[4], y[4];
            put(x, a);
            put(y, b);
            pairs += gw_fold_eq(gw_slice_from(x), gw_slice_from(y));
        }
    }
    assert_int_equal(pairs, 479);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_words),
        cmocka_unit_test(both_ends),
        cmocka_unit_test(every_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
