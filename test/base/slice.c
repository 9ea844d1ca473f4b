/* Slices: comparing, cutting, numbers, UTF-8. */
#include "test.h"

#include "base/alloc.h"

static const struct gw_slice absent = {0};

static void compares(void **state)
{
    (void)state;
    assert_true(gw_slice_eq(absent, GW_SLICE("")));
    assert_true(gw_slice_eq(GW_SLICE("a\0b"), GW_SLICE("a\0b")));
    assert_false(gw_slice_eq(GW_SLICE("a\0b"), GW_SLICE("a\0c")));
    assert_true(gw_slice_is(GW_SLICE("abc"), "abc"));
    assert_false(gw_slice_is(GW_SLICE("abc"), "abcd"));
    assert_null(gw_slice_from(NULL).ptr);
    assert_int_equal(gw_slice_from(NULL).len, 0);

    assert_true(gw_slice_starts(GW_SLICE("abc"), GW_SLICE("ab")));
    assert_true(gw_slice_starts(absent, absent));
    assert_true(gw_slice_starts(GW_SLICE("abc"), absent));
    assert_false(gw_slice_starts(GW_SLICE("ab"), GW_SLICE("abc")));
    assert_false(gw_slice_starts(absent, GW_SLICE("a")));
    assert_true(gw_slice_ends(GW_SLICE("abc"), GW_SLICE("bc")));
    assert_true(gw_slice_ends(absent, absent));
    assert_true(gw_slice_ends(GW_SLICE("abc"), absent));
    assert_false(gw_slice_ends(GW_SLICE("abc"), GW_SLICE("ab")));
    assert_false(gw_slice_ends(GW_SLICE("bc"), GW_SLICE("abc")));

    assert_true(gw_slice_eq_nocase(GW_SLICE("Content-TYPE"), GW_SLICE("content-type")));
    assert_true(gw_slice_eq_nocase(absent, GW_SLICE("")));
    assert_false(gw_slice_eq_nocase(GW_SLICE("a"), GW_SLICE("ab")));
    assert_false(gw_slice_eq_nocase(GW_SLICE("@["), GW_SLICE("`{"))); /* 0x20 apart, no letters */
    assert_false(gw_slice_eq_nocase(GW_SLICE("\xC3\x84"), GW_SLICE("\xC3\xA4")));
}

static void skips(void **state)
{
    (void)state;
    expect_slice(gw_slice_skip(GW_SLICE("abc"), 0), "abc");
    expect_slice(gw_slice_skip(GW_SLICE("abc"), 2), "c");
    struct gw_slice end = gw_slice_skip(GW_SLICE("abc"), 9);
    assert_true(end.ptr != NULL && end.len == 0);
    assert_null(gw_slice_skip(absent, 3).ptr);
}

static void trims(void **state)
{
    static const struct {
        struct gw_slice in;
        const char *out;
    } rows[] = {
        {GW_SLICE(""), ""},           {GW_SLICE("a"), "a"},
        {GW_SLICE(" \t "), ""},       {GW_SLICE(" \ta b\t "), "a b"},
        {GW_SLICE("\na\r"), "\na\r"}, {GW_SLICE("a "), "a"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++)
        expect_slice(gw_slice_trim(rows[i].in), rows[i].out);
    assert_null(gw_slice_trim(absent).ptr);
}

static void splits(void **state)
{
    static const struct {
        struct gw_slice in;
        size_t count;
        const char *parts[4];
    } rows[] = {
        {{0}, 0, {0}},
        {GW_SLICE(""), 1, {""}},
        {GW_SLICE("a"), 1, {"a"}},
        {GW_SLICE(","), 2, {"", ""}},
        {GW_SLICE("a,,b"), 3, {"a", "", "b"}},
        {GW_SLICE("a,b,"), 3, {"a", "b", ""}},
        {GW_SLICE(",a;b"), 2, {"", "a;b"}},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_slice rest = rows[i].in, part;
        for (size_t k = 0; k < rows[i].count; k++) {
            expect(gw_slice_split(&rest, ',', &part), "row %zu, part %zu", i, k);
            expect_slice(part, rows[i].parts[k]);
        }
        expect(!gw_slice_split(&rest, ',', &part), "row %zu", i);
        assert_null(rest.ptr);
    }
}

static void reads_numbers(void **state)
{
    static const struct {
        const char *in;
        bool good;
        uint64_t out;
    } rows[] = {
        {"0", true, 0},
        {"007", true, 7},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"18446744073709551620", false, 0},
        {"99999999999999999999", false, 0},
        {"184467440737095516150", false, 0},
        {"", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"0x1", false, 0},
        {"1.0", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        uint64_t out = 0;
        expect(gw_slice_u64(gw_slice_from(rows[i].in), &out) == rows[i].good, "%s", rows[i].in);
        expect(out == rows[i].out, "%s", rows[i].in);
    }
    assert_false(gw_slice_u64(absent, &(uint64_t){0}));
    assert_false(gw_slice_u64(GW_SLICE("1\0"), &(uint64_t){0}));
}

static void knows_utf8(void **state)
{
    static const struct {
        struct gw_slice in;
        size_t step; /* 0 = malformed */
    } rows[] = {
        {GW_SLICE("\0"), 1},
        {GW_SLICE("\x7F"), 1},
        {GW_SLICE("\xC2\x80"), 2},         /* U+0080 */
        {GW_SLICE("\xDF\xBF"), 2},         /* U+07FF */
        {GW_SLICE("\xE0\xA0\x80"), 3},     /* U+0800 */
        {GW_SLICE("\xED\x9F\xBF"), 3},     /* U+D7FF */
        {GW_SLICE("\xEE\x80\x80"), 3},     /* U+E000 */
        {GW_SLICE("\xEF\xBF\xBF"), 3},     /* U+FFFF */
        {GW_SLICE("\xF0\x90\x80\x80"), 4}, /* U+10000 */
        {GW_SLICE("\xF4\x8F\xBF\xBF"), 4}, /* U+10FFFF */
        {GW_SLICE("\x80"), 0},             /* alone */
        {GW_SLICE("\xBF"), 0},
        {GW_SLICE("\xC0\x80"), 0}, /* overlong */
        {GW_SLICE("\xC1\xBF"), 0},
        {GW_SLICE("\xE0\x80\x80"), 0},
        {GW_SLICE("\xE0\x9F\xBF"), 0},
        {GW_SLICE("\xF0\x80\x80\x80"), 0},
        {GW_SLICE("\xF0\x8F\xBF\xBF"), 0},
        {GW_SLICE("\xED\xA0\x80"), 0}, /* surrogates */
        {GW_SLICE("\xED\xBF\xBF"), 0},
        {GW_SLICE("\xF4\x90\x80\x80"), 0}, /* above U+10FFFF */
        {GW_SLICE("\xF5\x80\x80\x80"), 0},
        {GW_SLICE("\xFE"), 0},
        {GW_SLICE("\xFF"), 0},
        {GW_SLICE("\xC2"), 0}, /* cut short */
        {GW_SLICE("\xE2\x82"), 0},
        {GW_SLICE("\xF0\x9F\x98"), 0},
        {GW_SLICE("\xC2\x41"), 0}, /* not continued */
        {GW_SLICE("\xE2\x82\x41"), 0},
        {GW_SLICE("\xE2\x41\x82"), 0},
        {GW_SLICE("\xF0\x9F\x98\xC0"), 0},
    };
    char text[40];

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_slice in = rows[i].in;
        expect(gw_slice_utf8_step(in) == rows[i].step, "row %zu", i);
        expect(gw_slice_is_utf8(in) == (rows[i].step > 0), "row %zu", i);
        for (size_t at = 0; at < 20; at++) { /* amid ASCII that is skipped eight at a time */
            memset(text, 'x', sizeof(text));
            memcpy(text + at, in.ptr, in.len);
            struct gw_slice whole = {text, sizeof(text)};
            expect(gw_slice_is_utf8(whole) == (rows[i].step > 0), "row %zu at %zu", i, at);
        }
    }
    assert_true(gw_slice_is_utf8(absent));
    assert_int_equal(gw_slice_utf8_step(absent), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares), cmocka_unit_test(skips),         cmocka_unit_test(trims),
        cmocka_unit_test(splits),   cmocka_unit_test(reads_numbers), cmocka_unit_test(knows_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
