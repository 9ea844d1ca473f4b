/* text.c: widths, cutting, wrapping, cleaning, and what was meant. */
#include "cli/text.h"

#include "../base/test.h"
#include "base/alloc.h"

static struct gw_buf out;

static void expect_out(const char *wanted)
{
    expect_slice(gw_buf_slice(&out), wanted);
    gw_buf_deinit(&out);
    out = (struct gw_buf){0};
}

static void measures(void **state)
{
    static const struct {
        const char *text;
        size_t width;
    } rows[] = {
        {"", 0},     {"abc", 3},       {"ä→…", 3},
        {"日本", 4}, {"e\xCC\x81", 1}, /* a combining accent */
        {"👍", 2},    {"\xFF\xFE", 2},  /* malformed: one each */
        {"한", 2},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++)
        expect(gw_text_width(gw_slice_from(rows[i].text)) == rows[i].width, "row %zu", i);
}

static void cuts(void **state)
{
    static const struct {
        const char *text;
        size_t width;
        const char *cut;
    } rows[] = {
        {"abcdef", 6, "abcdef"}, {"abcdef", 5, "abcd…"}, {"abcdef", 1, "…"},  {"abcdef", 0, ""},
        {"äöüß", 3, "äö…"},      {"日本語", 4, "日…"},   {"日本", 4, "日本"}, {"", 0, ""},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        gw_text_add_cut(&out, gw_slice_from(rows[i].text), rows[i].width);
        expect(gw_text_width(gw_buf_slice(&out)) <= rows[i].width, "row %zu", i);
        expect_out(rows[i].cut);
    }
}

static void flattens(void **state)
{
    static const struct {
        const char *text, *flat;
    } rows[] = {
        {"", ""},
        {" \r\n\t", ""},
        {"a", "a"},
        {"\n a\r\n  b\tc \n", "a b c"},
        {"{\n  \"a\": 1\n}\n", "{ \"a\": 1 }"},
        {"x\x1b[31m y\xFF", "x\xEF\xBF\xBD[31m y\xEF\xBF\xBD"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        gw_text_add_flat(&out, gw_slice_from(rows[i].text));
        expect_out(rows[i].flat);
    }
}

static void cleans(void **state)
{
    (void)state;
    gw_text_add_clean(&out, GW_SLICE("a\x1b[31mb\x07\xC2\x9B\x7F"), false);
    expect_out("a\xEF\xBF\xBD[31mb\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    gw_text_add_clean(&out, GW_SLICE("a\nb\tc\r\xFF"), true);
    expect_out("a\nb\tc\xEF\xBF\xBD\xEF\xBF\xBD");
    gw_text_add_clean(&out, GW_SLICE("a\nb"), false);
    expect_out("a\xEF\xBF\xBD"
               "b");
    gw_text_add_clean(&out, GW_SLICE("x\xE2\x80\xAEy"), true); /* would reverse what follows */
    expect_out("x\xEF\xBF\xBDy");
    gw_text_add_clean(&out, (struct gw_slice){0}, true);
    expect_out("");
}

static void wraps(void **state)
{
    static const struct {
        const char *text;
        size_t width, indent;
        const char *wrapped;
    } rows[] = {
        {"one two three", 7, 2, "one two\n  three"},
        {"one two three", 3, 0, "one\ntwo\nthr\nee"},
        {"one two", 100, 4, "one two"},
        {"abcdefgh", 3, 1, "abc\n def\n gh"},
        {"a  b", 1, 0, "a\nb"},
        {"", 5, 5, ""},
        {"one two ", 3, 0, "one\ntwo"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        gw_text_add_wrapped(&out, gw_slice_from(rows[i].text), rows[i].width, rows[i].indent);
        expect_out(rows[i].wrapped);
    }
}

static void tells_spans(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {-5, "0s"},
        {999, "0s"},
        {1000, "1s"},
        {59999, "59s"},
        {60000, "1m"},
        {3599999, "59m"},
        {3600000, "1h"},
        {47 * 3600000LL, "47h"},
        {48 * 3600000LL, "2d"},
        {400LL * 86400000, "400d"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        gw_text_add_span(&out, rows[i].ms);
        expect_out(rows[i].text);
    }
}

static void tells_depths(void **state)
{
    static const struct {
        const char *json;
        size_t depth;
    } rows[] = {
        {"", 0},        {"1", 0},
        {"[]", 1},      {"[[],{}]", 2},
        {"\"[[[\"", 0}, {"[\"\\\"[[\",{\"a\":[1]}]", 3},
        {"]]][", 1},    {"\"unfinished\\", 0},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++)
        expect(gw_text_json_depth(gw_slice_from(rows[i].json)) == rows[i].depth, "row %zu", i);
}

static void tells_distances(void **state)
{
    static const struct {
        const char *a, *b;
        size_t distance;
    } rows[] = {
        {"", "", 0},         {"abc", "abc", 0}, {"abc", "", 3},           {"send", "snd", 1},
        {"send", "sned", 1}, {"why", "wyh", 1}, {"kitten", "sitting", 3}, {"a", "b", 1},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_slice a = gw_slice_from(rows[i].a), b = gw_slice_from(rows[i].b);
        expect(gw_text_distance(a, b) == rows[i].distance, "row %zu", i);
        expect(gw_text_distance(b, a) == rows[i].distance, "row %zu", i);
    }
}

static void finds_what_was_meant(void **state)
{
    static const char *const names[] = {"send", "deliveries", "retry", "why", "config list"};
    static const struct {
        const char *word, *best;
    } rows[] = {
        {"snd", "send"},
        {"delivries", "deliveries"},
        {"deliv", "deliveries"},
        {"config", "config list"},
        {"x", NULL},
        {"retyr", "retry"},
        {"wat", NULL},
        {"zzzzzzzz", NULL},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_text_nearest nearest = {.word = gw_slice_from(rows[i].word)};
        for (size_t k = 0; k < gw_count(names); k++)
            gw_text_consider(&nearest, names[k]);
        const char *best = nearest.best ? nearest.best : "nothing";
        const char *wanted = rows[i].best ? rows[i].best : "nothing";
        expect(strcmp(best, wanted) == 0, "%s: %s", rows[i].word, best);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measures),
        cmocka_unit_test(cuts),
        cmocka_unit_test(flattens),
        cmocka_unit_test(cleans),
        cmocka_unit_test(wraps),
        cmocka_unit_test(tells_spans),
        cmocka_unit_test(tells_depths),
        cmocka_unit_test(tells_distances),
        cmocka_unit_test(finds_what_was_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
