/* test_pattern.c: event patterns: what is matched, and what is refused with which words. The
 * comparison with another implementation is test/e2e/test_filter.py. */
#include "core/pattern.h"

#include "support.h"

static struct gw_pattern *parse(const char *json, struct gw_arena *arena, struct gw_error *error,
                                yyjson_read_flag flags)
{
    struct gw_pattern *pattern;
    yyjson_doc *doc = yyjson_read(json, strlen(json), flags);

    if (doc == NULL)
        fail_msg("the test's pattern is no JSON: %s", json);
    enum gw_err err = gw_pattern_parse(&pattern, yyjson_doc_get_root(doc), arena, error);
    assert_true((err == GW_OK) == (pattern != NULL));
    yyjson_doc_free(doc); /* nothing of it may be needed any more */
    return pattern;
}

/* Numbers may come as values or as text. */
static void check(const char *pattern_json, const char *event, bool wanted)
{
    static const yyjson_read_flag flags[] = {YYJSON_READ_NOFLAG, YYJSON_READ_NUMBER_AS_RAW};

    for (size_t i = 0; i < gw_count(flags); i++) {
        struct gw_arena arena = {0};
        struct gw_error error = {0};
        struct gw_pattern *pattern = parse(pattern_json, &arena, &error, flags[i]);
        struct gw_slice json = exact_copy(gw_slice_from(event));
        if (pattern == NULL)
            fail_msg("%s was refused: %s", pattern_json, error.text);
        if (gw_pattern_match(pattern, json) != wanted)
            fail_msg("%s must%s match %s", pattern_json, wanted ? "" : " not", event);
        struct gw_buf why = {0};
        assert_true(gw_pattern_explain(pattern, json, &why) == !wanted);
        assert_true((why.len > 0) == !wanted);
        gw_buf_deinit(&why);
        exact_free(json);
        gw_arena_deinit(&arena);
    }
}

/* The events that match and those that do not, up to a NULL each. */
struct row {
    const char *pattern;
    const char *yes[8], *no[8];
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < 8 && rows[i].yes[j]; j++)
            check(rows[i].pattern, rows[i].yes[j], true);
        for (size_t j = 0; j < 8 && rows[i].no[j]; j++)
            check(rows[i].pattern, rows[i].no[j], false);
    }
}

static void values(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{}", {"{}", "{\"a\":1}"}, {NULL}},
        {"{\"a\":[\"x\"]}",
         {"{\"a\":\"x\"}", "{\"b\":0,\"a\":\"x\"}", "{\"a\":\"\\u0078\"}", "{\"\\u0061\":\"x\"}"},
         {"{}", "{\"a\":\"X\"}", "{\"a\":\"xx\"}", "{\"a\":null}", "{\"a\":[]}", "{\"a\":{}}",
          "{\"b\":\"x\"}"}},
        {"{\"a\":[\"x\",1,true,false,null,\"\"]}",
         {"{\"a\":\"x\"}", "{\"a\":1}", "{\"a\":true}", "{\"a\":false}", "{\"a\":null}",
          "{\"a\":\"\"}"},
         {"{\"a\":\"1\"}", "{\"a\":\"null\"}", "{\"a\":\"true\"}", "{\"a\":2}", "{}"}},
        {"{\"a\":[null]}", {"{\"a\":null}"}, {"{}", "{\"a\":\"\"}", "{\"a\":0}", "{\"a\":false}"}},
        {"{\"a\":[\"\"]}", {"{\"a\":\"\"}"}, {"{}", "{\"a\":null}", "{\"a\":\" \"}"}},
        {"{\"a\":[true]}", {"{\"a\":true}"}, {"{\"a\":1}", "{\"a\":false}", "{\"a\":\"true\"}"}},
        {"{\"a\":[\"x\"],\"b\":[\"y\"]}",
         {"{\"a\":\"x\",\"b\":\"y\"}", "{\"b\":\"y\",\"a\":\"x\"}"},
         {"{\"a\":\"x\"}", "{\"b\":\"y\"}", "{\"a\":\"y\",\"b\":\"x\"}"}},
        {"{\"a\":{\"b\":{\"c\":[1]},\"d\":[2]}}",
         {"{\"a\":{\"b\":{\"c\":1},\"d\":2}}"},
         {"{\"a\":{\"b\":{\"c\":1}}}", "{\"a\":{\"b\":1,\"d\":2}}", "{\"a.b.c\":1,\"a.d\":2}",
          "{\"a\":{\"b.c\":1,\"d\":2}}", "{\"a\":1}"}},
        {"{\"a.b\":[1]}", {"{\"a.b\":1}"}, {"{\"a\":{\"b\":1}}"}},
    };
    check_rows(rows, gw_count(rows));
}

static void numbers(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"a\":[300]}",
         {"{\"a\":300}", "{\"a\":300.0}", "{\"a\":3e2}", "{\"a\":3.0E+2}"},
         {"{\"a\":300.0000000000000000000001}", "{\"a\":\"300\"}", "{\"a\":-300}"}},
        {"{\"a\":[0.1]}", {"{\"a\":0.1}", "{\"a\":0.10}", "{\"a\":1e-1}"}, {"{\"a\":0.1000001}"}},
        {"{\"a\":[9007199254740993]}", {"{\"a\":9007199254740993}"}, {"{\"a\":9007199254740992}"}},
        {"{\"a\":[18446744073709551615]}",
         {"{\"a\":18446744073709551615}"},
         {"{\"a\":18446744073709551616}"}},
        {"{\"a\":[{\"numeric\":[\"=\",301.8]}]}", {"{\"a\":3.018e2}"}, {"{\"a\":301.80000001}"}},
        {"{\"a\":[{\"numeric\":[\">\",0,\"<=\",5]}]}",
         {"{\"a\":0.000001}", "{\"a\":5}", "{\"a\":5.000}"},
         {"{\"a\":0}", "{\"a\":-0.0}", "{\"a\":5.000001}", "{\"a\":\"3\"}", "{\"a\":null}",
          "{\"a\":true}", "{}"}},
        {"{\"a\":[{\"numeric\":[\">=\",-5000000000,\"<\",5000000000]}]}",
         {"{\"a\":-5e9}", "{\"a\":4999999999.999999}"},
         {"{\"a\":-5000000000.000001}", "{\"a\":5e9}"}},
        {"{\"a\":[{\"numeric\":[\"<\",10]}]}", {"{\"a\":-1e400}"}, {"{\"a\":10}", "{\"a\":1e400}"}},
        {"{\"a\":[{\"numeric\":[\"<=\",10]}]}", {"{\"a\":10}"}, {"{\"a\":10.1}"}},
        {"{\"a\":[{\"numeric\":[\">\",10]}]}", {"{\"a\":1e400}"}, {"{\"a\":10}", "{\"a\":-11}"}},
        {"{\"a\":[{\"numeric\":[\">=\",10]}]}", {"{\"a\":10}"}, {"{\"a\":9.9}"}},
    };
    check_rows(rows, gw_count(rows));
    /* as text, a pattern's numbers keep what no double holds */
    struct gw_arena arena = {0};
    struct gw_pattern *pattern =
        parse("{\"a\":[12345678901234567890123]}", &arena, NULL, YYJSON_READ_NUMBER_AS_RAW);
    assert_true(gw_pattern_match(pattern, GW_SLICE("{\"a\":12345678901234567890123}")));
    assert_false(gw_pattern_match(pattern, GW_SLICE("{\"a\":12345678901234567890124}")));
    gw_arena_deinit(&arena);
}

static void strings(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"a\":[{\"prefix\":\"us-\"}]}",
         {"{\"a\":\"us-\"}", "{\"a\":\"us-east\"}"},
         {"{\"a\":\"us\"}", "{\"a\":\"US-east\"}", "{\"a\":null}", "{}", "{\"a\":1}"}},
        {"{\"a\":[{\"prefix\":\"\"}]}", {"{\"a\":\"\"}", "{\"a\":\"x\"}"}, {"{\"a\":1}", "{}"}},
        {"{\"a\":[{\"prefix\":\"1\"}]}", {"{\"a\":\"12\"}"}, {"{\"a\":12}"}},
        {"{\"a\":[{\"suffix\":\".png\"}]}",
         {"{\"a\":\".png\"}", "{\"a\":\"x.png\"}"},
         {"{\"a\":\"x.PNG\"}", "{\"a\":\"png\"}", "{\"a\":\"x.png \"}"}},
        {"{\"a\":[{\"prefix\":{\"equals-ignore-case\":\"EventB\"}}]}",
         {"{\"a\":\"eventbridge\"}", "{\"a\":\"EVENTB\"}"},
         {"{\"a\":\"event\"}"}},
        {"{\"a\":[{\"suffix\":{\"equals-ignore-case\":\".png\"}}]}",
         {"{\"a\":\"x.PNG\"}", "{\"a\":\"x.png\"}"},
         {"{\"a\":\"x.pn\"}"}},
        {"{\"a\":[{\"equals-ignore-case\":\"alice\"}]}",
         {"{\"a\":\"Alice\"}", "{\"a\":\"ALICE\"}"},
         {"{\"a\":\"alice \"}", "{\"a\":[]}"}},
        {"{\"a\":[{\"equals-ignore-case\":\"MÜLLER\"}]}", {"{\"a\":\"m\\u00fcller\"}"}, {NULL}},
        {"{\"a\":[{\"wildcard\":\"dir/*.png\"}]}",
         {"{\"a\":\"dir/.png\"}", "{\"a\":\"dir/x.png\"}", "{\"a\":\"dir/x/y.png.png\"}"},
         {"{\"a\":\"dir.png\"}", "{\"a\":\"xdir/x.png\"}", "{\"a\":\"dir/x.pngx\"}"}},
        {"{\"a\":[{\"wildcard\":\"*\"}]}", {"{\"a\":\"\"}", "{\"a\":\"x\"}"}, {"{\"a\":1}", "{}"}},
        {"{\"a\":[{\"wildcard\":\"\"}]}", {"{\"a\":\"\"}"}, {"{\"a\":\"x\"}"}},
        {"{\"a\":[{\"wildcard\":\"a*b*a\"}]}",
         {"{\"a\":\"aba\"}", "{\"a\":\"axbxa\"}", "{\"a\":\"abbaba\"}"},
         {"{\"a\":\"ab\"}", "{\"a\":\"aa\"}", "{\"a\":\"a\"}", "{\"a\":\"abab\"}"}},
        {"{\"a\":[{\"wildcard\":\"*ab*ba*\"}]}", {"{\"a\":\"abba\"}"}, {"{\"a\":\"aba\"}"}},
        {"{\"a\":[{\"wildcard\":\"ab*ba\"}]}", {"{\"a\":\"abba\"}"}, {"{\"a\":\"aba\"}"}},
        {"{\"a\":[{\"wildcard\":\"a\\\\*b\\\\\\\\*\"}]}",
         {"{\"a\":\"a*b\\\\\"}", "{\"a\":\"a*b\\\\c\"}"},
         {"{\"a\":\"axb\\\\\"}", "{\"a\":\"a*b\"}", "{\"a\":\"a*b*\"}"}},
        {"{\"a\":[{\"cidr\":\"10.0.0.0/24\"}]}",
         {"{\"a\":\"10.0.0.0\"}", "{\"a\":\"10.0.0.255\"}", "{\"a\":\"::ffff:10.0.0.1\"}"},
         {"{\"a\":\"10.0.1.0\"}", "{\"a\":\"10.0.0.1 \"}", "{\"a\":\"x\"}", "{\"a\":10}",
          "{\"a\":\"::1\"}"}},
        {"{\"a\":[{\"cidr\":\"2001:db8::/32\"}]}",
         {"{\"a\":\"2001:db8::1\"}", "{\"a\":\"2001:0DB8:0::5\"}"},
         {"{\"a\":\"2001:db9::1\"}", "{\"a\":\"10.0.0.1\"}"}},
    };
    check_rows(rows, gw_count(rows));
}

static void anything_but(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"a\":[{\"anything-but\":\"x\"}]}",
         {"{\"a\":\"y\"}", "{\"a\":\"X\"}", "{\"a\":1}", "{\"a\":null}", "{\"a\":false}"},
         {"{\"a\":\"x\"}", "{}", "{\"a\":{\"b\":1}}", "{\"a\":[]}"}},
        {"{\"a\":[{\"anything-but\":[\"x\",\"y\"]}]}",
         {"{\"a\":\"z\"}", "{\"a\":[\"x\",\"z\"]}"},
         {"{\"a\":\"x\"}", "{\"a\":\"y\"}", "{\"a\":[\"x\",\"y\"]}", "{}"}},
        {"{\"a\":[{\"anything-but\":123}]}",
         {"{\"a\":124}", "{\"a\":\"123\"}", "{\"a\":null}"},
         {"{\"a\":123}", "{\"a\":123.0}", "{\"a\":1.23e2}"}},
        {"{\"a\":[{\"anything-but\":[100,200]}]}", {"{\"a\":150}"}, {"{\"a\":100}", "{\"a\":2e2}"}},
        {"{\"a\":[{\"anything-but\":{\"prefix\":\"us-\"}}]}",
         {"{\"a\":\"eu-1\"}", "{\"a\":\"us\"}", "{\"a\":7}", "{\"a\":null}"},
         {"{\"a\":\"us-east\"}", "{}"}},
        {"{\"a\":[{\"anything-but\":{\"prefix\":[\"us-\",\"eu-\"]}}]}",
         {"{\"a\":\"ap-1\"}"},
         {"{\"a\":\"us-1\"}", "{\"a\":\"eu-1\"}"}},
        {"{\"a\":[{\"anything-but\":{\"suffix\":\".png\"}}]}",
         {"{\"a\":\"x\"}"},
         {"{\"a\":\".png\"}"}},
        {"{\"a\":[{\"anything-but\":{\"equals-ignore-case\":[\"a\",\"b\"]}}]}",
         {"{\"a\":\"c\"}"},
         {"{\"a\":\"A\"}", "{\"a\":\"b\"}"}},
        {"{\"a\":[{\"anything-but\":{\"wildcard\":\"*/lib/*\"}}]}",
         {"{\"a\":\"/bin/x\"}"},
         {"{\"a\":\"/usr/lib/x\"}"}},
        {"{\"a\":[{\"anything-but\":{\"numeric\":[\">\",0,\"<\",10]}}]}",
         {"{\"a\":0}", "{\"a\":10}", "{\"a\":\"5\"}", "{\"a\":null}"},
         {"{\"a\":5}", "{\"a\":9.99}", "{}"}},
    };
    check_rows(rows, gw_count(rows));
}

static void exists(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"a\":[{\"exists\":true}]}",
         {"{\"a\":1}", "{\"a\":null}", "{\"a\":\"\"}", "{\"a\":[0]}", "{\"a\":[{},[0]]}"},
         {"{}", "{\"a\":{\"b\":1}}", "{\"a\":{}}", "{\"a\":[]}", "{\"a\":[{\"b\":1}]}"}},
        {"{\"a\":[{\"exists\":false}]}",
         {"{}", "{\"a\":{\"b\":1}}", "{\"a\":{}}", "{\"a\":[]}", "{\"a\":[{\"b\":1},[]]}"},
         {"{\"a\":1}", "{\"a\":null}", "{\"a\":[0]}", "{\"a\":[{},[0]]}"}},
        {"{\"a\":{\"b\":[{\"exists\":false}]}}",
         {"{}", "{\"a\":1}", "{\"a\":{}}", "{\"a\":{\"b\":{\"c\":1}}}", "{\"a\":[1,{\"c\":2}]}"},
         {"{\"a\":{\"b\":1}}", "{\"a\":[{\"c\":2},{\"b\":1}]}"}},
        {"{\"a\":[\"x\",{\"exists\":false}]}",
         {"{}", "{\"a\":\"x\"}", "{\"a\":[\"y\",\"x\"]}"},
         {"{\"a\":\"y\"}", "{\"a\":null}", "{\"a\":[\"y\"]}"}},
        {"{\"a\":[{\"exists\":false}],\"b\":[1]}", {"{\"b\":1}"}, {"{\"a\":0,\"b\":1}", "{}"}},
    };
    check_rows(rows, gw_count(rows));
}

/* "refuse to recognize any match in which any two fields are within JSON objects that are in
 * different elements of the same array" (event-ruler, README). */
static void arrays(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"a\":[\"x\"]}",
         {"{\"a\":[\"w\",\"x\"]}", "{\"a\":[[\"w\"],[[\"x\"]]]}", "{\"a\":[{\"b\":1},\"x\"]}"},
         {"{\"a\":[\"w\"]}", "{\"a\":[{\"x\":\"x\"}]}"}},
        {"{\"e\":{\"f\":[\"Anna\"],\"l\":[\"Jones\"]}}",
         {"{\"e\":[{\"f\":\"John\"},{\"f\":\"Anna\",\"l\":\"Jones\"}]}",
          "{\"e\":[[{\"f\":\"John\"}],[{\"f\":\"Anna\",\"l\":\"Jones\"}]]}",
          "{\"e\":[{\"f\":[\"John\",\"Anna\"],\"l\":[\"Doe\",\"Jones\"]}]}"},
         {"{\"e\":[{\"f\":\"Anna\",\"l\":\"Smith\"},{\"f\":\"Peter\",\"l\":\"Jones\"}]}",
          "{\"e\":[[{\"f\":\"Anna\"},{\"l\":\"Jones\"}]]}",
          "{\"e\":[[{\"f\":\"Anna\"}],[{\"l\":\"Jones\"}]]}", "{\"e\":[]}", "{\"e\":[\"Anna\"]}"}},
        /* across levels */
        {"{\"o\":{\"id\":[1],\"i\":{\"s\":[\"A\"],\"q\":[2]}}}",
         {"{\"o\":[{\"id\":1,\"i\":[{\"s\":\"B\",\"q\":2},{\"s\":\"A\",\"q\":2}]}]}"},
         {"{\"o\":[{\"id\":1,\"i\":[{\"s\":\"A\",\"q\":1},{\"s\":\"B\",\"q\":2}]}]}",
          "{\"o\":[{\"id\":1,\"i\":[]},{\"id\":2,\"i\":[{\"s\":\"A\",\"q\":2}]}]}"}},
        /* what is absent is absent beside what is there, or from all elements */
        {"{\"e\":{\"f\":[\"Anna\"],\"l\":[{\"exists\":false}]}}",
         {"{\"e\":[{\"f\":\"Anna\"},{\"f\":\"Peter\",\"l\":\"Jones\"}]}"},
         {"{\"e\":[{\"f\":\"Anna\",\"l\":\"Jones\"},{\"f\":\"Peter\"}]}", "{\"e\":[]}"}},
        {"{\"e\":{\"f\":[{\"exists\":false}],\"l\":[\"Jones\"]}}",
         {"{\"e\":[{\"f\":\"Anna\"},{\"l\":\"Jones\"}]}"},
         {"{\"e\":[{\"f\":\"Anna\",\"l\":\"Jones\"}]}"}},
        {"{\"e\":{\"f\":[{\"exists\":false}],\"l\":[{\"exists\":false}]}}",
         {"{\"e\":[{\"g\":1},[],2]}", "{\"e\":[]}", "{}"},
         {"{\"e\":[{\"g\":1},{\"l\":1}]}", "{\"e\":[{\"f\":1},{\"l\":1}]}"}},
    };
    check_rows(rows, gw_count(rows));
}

static void or_(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"s\":[1],\"$or\":[{\"a\":[1]},{\"b\":[1],\"c\":[1]}]}",
         {"{\"s\":1,\"a\":1}", "{\"s\":1,\"b\":1,\"c\":1}"},
         {"{\"a\":1}", "{\"s\":1}", "{\"s\":1,\"b\":1}", "{\"s\":1,\"$or\":[{\"a\":1}]}"}},
        {"{\"$or\":[{\"a\":[1]},{\"b\":[1]}],\"d\":{\"$or\":[{\"e\":[1]},{\"f\":[1]}]}}",
         {"{\"a\":1,\"d\":{\"f\":1}}", "{\"b\":1,\"d\":{\"e\":1}}"},
         {"{\"a\":1,\"b\":1}", "{\"d\":{\"e\":1,\"f\":1}}", "{\"a\":1,\"f\":1}"}},
        {"{\"$or\":[{\"a\":[1],\"$or\":[{\"b\":[1]},{\"c\":[1]}]},{\"d\":[1]}]}",
         {"{\"a\":1,\"b\":1}", "{\"a\":1,\"c\":1}", "{\"d\":1}"},
         {"{\"a\":1}", "{\"b\":1,\"c\":1}"}},
        /* one path twice: both hold */
        {"{\"a\":[{\"prefix\":\"x\"}],\"$or\":[{\"a\":[{\"suffix\":\"y\"}]},{\"b\":[1]}]}",
         {"{\"a\":\"xy\"}", "{\"a\":\"x\",\"b\":1}"},
         {"{\"a\":\"x\"}", "{\"a\":\"wy\",\"b\":1}"}},
        /* the same element of an array, wherever in the pattern it is asked about */
        {"{\"i\":{\"s\":[\"A\"]},\"$or\":[{\"i\":{\"q\":[2]}},{\"v\":[true]}]}",
         {"{\"i\":[{\"s\":\"A\",\"q\":2}]}", "{\"i\":[{\"s\":\"A\"}],\"v\":true}"},
         {"{\"i\":[{\"s\":\"A\",\"q\":1},{\"s\":\"B\",\"q\":2}]}"}},
    };
    check_rows(rows, gw_count(rows));
}

/* ── Refusals ──────────────────────────────────────────────────────────────────────────────── */

#define OPS                                                                                        \
    "one operator of prefix, suffix, equals-ignore-case, wildcard, numeric, cidr, exists, "        \
    "anything-but"
#define BUT_OPS "one operator of prefix, suffix, equals-ignore-case, wildcard, numeric"
#define RANGE                                                                                      \
    "[comparison, number] or, for a range, [\">\" or \">=\", number, \"<\" or \"<=\", greater "    \
    "number]"
#define ITEM "a string, a number, true, false, null or an object with an operator"
#define VALUE                                                                                      \
    "a string, a number, a list of one of these kinds, or an object with one operator of "         \
    "prefix, suffix, equals-ignore-case, wildcard, numeric"
#define WILDCARD                                                                                   \
    "a string in which no two * stand together, and a backslash only before * or another "         \
    "backslash"

static const struct {
    const char *pattern, *error;
} refusals[] = {
    {"[]", "filter: must be an object, was an empty array"},
    {"\"x\"", "filter: must be an object, was a string"},
    {"{\"a\":\"x\"}", "filter.a: must be an array of what matches, or an object, was a string"},
    {"{\"a\\u0000b\":1}",
     "filter.a\\u0000b: must be an array of what matches, or an object, was a number"},
    {"{\"a\":1}", "filter.a: must be an array of what matches, or an object, was a number"},
    {"{\"a\":{}}", "filter.a: must be an object with at least one member, was an empty object"},
    {"{\"a\":{\"b\":[]}}",
     "filter.a.b: must be an array with at least one item, was an empty array"},
    {"{\"a\":[[1]]}", "filter.a[0]: must be " ITEM ", was an array"},
    {"{\"a\":[1,{}]}", "filter.a[1]: must be " OPS ", was an object with 0 members"},
    {"{\"a\":[{\"prefix\":\"x\",\"suffix\":\"y\"}]}",
     "filter.a[0]: must be " OPS ", was an object with 2 members"},
    {"{\"a\":[{\"prefix\\u0000\":\"x\"}]}", "filter.a[0]: must be " OPS ", was \"prefix\\u0000\""},
    {"{\"a\":[{\"regex\":\"x\"}]}", "filter.a[0]: must be " OPS ", was \"regex\""},
    {"{\"a\":[{\"Prefix\":\"x\"}]}", "filter.a[0]: must be " OPS ", was \"Prefix\""},
    {"{\"a\":[{\"prefix\":1}]}",
     "filter.a[0].prefix: must be a string or {\"equals-ignore-case\": string}, was a number"},
    {"{\"a\":[{\"suffix\":{\"equals-ignore-case\":[\"x\"]}}]}",
     "filter.a[0].suffix: must be a string or {\"equals-ignore-case\": string}, was an object"},
    {"{\"a\":[{\"prefix\":{\"wildcard\":\"x\"}}]}",
     "filter.a[0].prefix: must be a string or {\"equals-ignore-case\": string}, was an object"},
    {"{\"a\":[{\"equals-ignore-case\":[\"x\"]}]}",
     "filter.a[0].equals-ignore-case: must be a string, was an array"},
    {"{\"a\":[{\"exists\":\"true\"}]}", "filter.a[0].exists: must be true or false, was a string"},
    {"{\"a\":[{\"wildcard\":\"a**\"}]}", "filter.a[0].wildcard: must be " WILDCARD ", was \"a**\""},
    {"{\"a\":[{\"wildcard\":\"a\\\\\"}]}",
     "filter.a[0].wildcard: must be " WILDCARD ", was \"a\\\""},
    {"{\"a\":[{\"wildcard\":\"\\\\a\"}]}",
     "filter.a[0].wildcard: must be " WILDCARD ", was \"\\a\""},
    {"{\"a\":[{\"wildcard\":1}]}", "filter.a[0].wildcard: must be " WILDCARD ", was a number"},
    {"{\"a\":[{\"cidr\":\"10.0.0.1/24\"}]}",
     "filter.a[0].cidr: must be a network such as \"10.0.0.0/24\" or \"2001:db8::/32\", without "
     "bits behind the prefix, was \"10.0.0.1/24\""},
    {"{\"a\":[{\"numeric\":[]}]}", "filter.a[0].numeric: must be " RANGE ", was an empty array"},
    {"{\"a\":[{\"numeric\":\">\"}]}", "filter.a[0].numeric: must be " RANGE ", was a string"},
    {"{\"a\":[{\"numeric\":[\">\",1,\"<\"]}]}",
     "filter.a[0].numeric: must be " RANGE ", was an array"},
    {"{\"a\":[{\"numeric\":[\"<\",1,\">\",0]}]}",
     "filter.a[0].numeric: must be " RANGE ", was an array"},
    {"{\"a\":[{\"numeric\":[\"=\",1,\"<\",2]}]}",
     "filter.a[0].numeric: must be " RANGE ", was an array"},
    {"{\"a\":[{\"numeric\":[\">\",1,\">\",2]}]}",
     "filter.a[0].numeric: must be " RANGE ", was an array"},
    {"{\"a\":[{\"numeric\":[\">\",2,\"<=\",2.0]}]}",
     "filter.a[0].numeric: must be " RANGE ", was an array"},
    {"{\"a\":[{\"numeric\":[\"==\",1]}]}",
     "filter.a[0].numeric[0]: must be one of = < <= > >=, was \"==\""},
    {"{\"a\":[{\"numeric\":[1,1]}]}",
     "filter.a[0].numeric[0]: must be one of = < <= > >=, was a number"},
    {"{\"a\":[{\"numeric\":[[\"=\"],1]}]}",
     "filter.a[0].numeric[0]: must be one of = < <= > >=, was an array"},
    {"{\"a\":[{\"numeric\":[{\"=\":1},1]}]}",
     "filter.a[0].numeric[0]: must be one of = < <= > >=, was an object"},
    {"{\"a\":[{\"numeric\":[\">\",0,\"!\",1]}]}",
     "filter.a[0].numeric[2]: must be one of = < <= > >=, was \"!\""},
    {"{\"a\":[{\"numeric\":[\">\",\"1\"]}]}",
     "filter.a[0].numeric[1]: must be a number, was a string"},
    {"{\"a\":[{\"anything-but\":null}]}", "filter.a[0].anything-but: must be " VALUE ", was null"},
    {"{\"a\":[{\"anything-but\":[]}]}",
     "filter.a[0].anything-but: must be " VALUE ", was an empty array"},
    {"{\"a\":[{\"anything-but\":[\"x\",1]}]}",
     "filter.a[0].anything-but[1]: must be a string like the first, was a number"},
    {"{\"a\":[{\"anything-but\":[1,\"x\"]}]}",
     "filter.a[0].anything-but[1]: must be a number like the first, was a string"},
    {"{\"a\":[{\"anything-but\":[null]}]}",
     "filter.a[0].anything-but[0]: must be a string, was null"},
    {"{\"a\":[{\"anything-but\":{}}]}",
     "filter.a[0].anything-but: must be " BUT_OPS ", was an object with 0 members"},
    {"{\"a\":[{\"anything-but\":{\"exists\":true}}]}",
     "filter.a[0].anything-but: must be " BUT_OPS ", was \"exists\""},
    {"{\"a\":[{\"anything-but\":{\"prefix\":\"\"}}]}",
     "filter.a[0].anything-but.prefix: must be a string that is not empty, was an empty string"},
    {"{\"a\":[{\"anything-but\":{\"suffix\":[\"a\",\"\"]}}]}",
     "filter.a[0].anything-but.suffix[1]: must be a string that is not empty, was an empty string"},
    {"{\"a\":[{\"anything-but\":{\"prefix\":{\"equals-ignore-case\":\"x\"}}}]}",
     "filter.a[0].anything-but.prefix: must be a string or a list of strings, was an object"},
    {"{\"a\":[{\"anything-but\":{\"wildcard\":[\"a\",\"**\"]}}]}",
     "filter.a[0].anything-but.wildcard[1]: must be " WILDCARD ", was \"**\""},
    {"{\"a\":[{\"anything-but\":{\"wildcard\":[1]}}]}",
     "filter.a[0].anything-but.wildcard[0]: must be a string, was a number"},
    {"{\"a\":[{\"anything-but\":{\"numeric\":[\">\"]}}]}",
     "filter.a[0].anything-but.numeric: must be " RANGE ", was an array"},
    {"{\"$or\":{\"a\":[1]}}",
     "filter.$or: must be an array of at least two objects, was an object"},
    {"{\"$or\":[{\"a\":[1]}]}",
     "filter.$or: must be an array of at least two objects, was an array"},
    {"{\"$or\":[{\"a\":[1]},2]}",
     "filter.$or[1]: must be an object with at least one member, was a number"},
    {"{\"$or\":[{\"a\":[1]},{\"b\":{\"numeric\":[1]}}]}",
     "filter.$or[1].b.numeric: must be the name of a member, for operators stand in an array"},
};

static void refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < gw_count(refusals); i++) {
        struct gw_arena arena = {0};
        struct gw_error error = {0};
        if (parse(refusals[i].pattern, &arena, &error, YYJSON_READ_NOFLAG) != NULL)
            fail_msg("%s was taken", refusals[i].pattern);
        assert_int_equal(error.code, GW_ERR_INVALID);
        assert_string_equal(error.text, refusals[i].error);
        gw_arena_deinit(&arena);
    }
}

/* `open`, `n` times, `middle`, `close` as often. */
static struct gw_buf nest(size_t n, const char *open, const char *middle, const char *close)
{
    struct gw_buf json = {0};

    for (size_t i = 0; i < n; i++)
        gw_buf_adds(&json, gw_slice_from(open));
    gw_buf_adds(&json, gw_slice_from(middle));
    for (size_t i = 0; i < n; i++)
        gw_buf_adds(&json, gw_slice_from(close));
    gw_buf_text(&json);
    return json;
}

static void refuse_text(struct gw_buf json, const char *wanted)
{
    struct gw_arena arena = {0};
    struct gw_error error = {0};
    struct gw_pattern *pattern =
        parse(gw_buf_text(&json), &arena, &error, YYJSON_READ_NUMBER_AS_RAW);

    assert_true((pattern == NULL) == (wanted != NULL));
    if (wanted && strncmp(error.text, wanted, strlen(wanted)) != 0)
        fail_msg("got %s, wanted %s", error.text, wanted);
    gw_arena_deinit(&arena);
    gw_buf_deinit(&json);
}

static void ceilings(void **state)
{
    (void)state;
    refuse_text(nest(15, "{\"a\":", "{\"a\":[1]}", "}"), NULL);
    refuse_text(nest(16, "{\"a\":", "{\"a\":[1]}", "}"),
                "filter.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a: must be nested at most 16 objects deep");
    refuse_text(nest(200, "{\"$or\":[{\"a\":[1]},", "{\"a\":[1]}", "]}"),
                "filter.$or[1].$or[1].$or[1].$or[1]");
    /* 6 times 2^6 leaves, then 9 times 2^9 */
    refuse_text(nest(1, "{",
                     "\"$or\":[{\"a\":[1]},{\"a\":[2]}],\"$or\":[{\"a\":[1]},{\"a\":[2]}],"
                     "\"$or\":[{\"a\":[1]},{\"a\":[2]}],\"$or\":[{\"a\":[1]},{\"a\":[2]}],"
                     "\"$or\":[{\"a\":[1]},{\"a\":[2]}],\"$or\":[{\"a\":[1]},{\"a\":[2]}]",
                     "}"),
                NULL);
    refuse_text(nest(1, "{",
                     "\"$or\":[{\"a\":[1]},{\"a\":[2]}],\"$or\":[{\"a\":[1]},{\"a\":[2]}],"
                     "\"$or\":[{\"a\":[1]},{\"a\":[2]}],\"$or\":[{\"a\":[1]},{\"a\":[2]}],"
                     "\"$or\":[{\"a\":[1]},{\"a\":[2]}],\"$or\":[{\"a\":[1]},{\"a\":[2]}],"
                     "\"$or\":[{\"a\":[1]},{\"a\":[2]}],\"$or\":[{\"a\":[1]},{\"a\":[2]}]",
                     "}"),
                "filter: must have at most 512 leaves once every $or is multiplied out, had more "
                "at filter.$or[1]");
    struct gw_buf text = nest(4086, "", "", "x");
    refuse_text(nest(1, "{\"a\":[\"", gw_buf_text(&text), "\"] }"), NULL);
    refuse_text(nest(1, "{\"aa\":[\"", gw_buf_text(&text), "\"] }"),
                "filter: must have at most 4096 bytes, has 4097");
    gw_buf_deinit(&text);
}

/* Events as deep and as large as they may be, on heap and stack. */
static void large_events(void **state)
{
    (void)state;
    struct gw_arena arena = {0};
    struct gw_pattern *pattern = parse("{\"a\":{\"b\":[\"x\"],\"c\":[{\"exists\":false}]}}", &arena,
                                       NULL, YYJSON_READ_NOFLAG);
    struct gw_buf json = nest(62, "[", "{\"b\":\"x\"}", "]");
    struct gw_buf event = nest(1, "{\"a\":", json.ptr, "}");

    assert_true(gw_pattern_match(pattern, gw_buf_slice(&event)));
    gw_buf_deinit(&event);
    gw_buf_deinit(&json);
    json = nest(50000, "", "", "{\"b\":1},");
    event = nest(1, "{\"a\":[", json.ptr, "{\"b\":\"x\"}]}");
    assert_true(gw_pattern_match(pattern, gw_buf_slice(&event)));
    gw_buf_deinit(&event);
    event = nest(1, "{\"a\":[", json.ptr, "{\"b\":\"x\",\"c\":0}]}");
    assert_false(gw_pattern_match(pattern, gw_buf_slice(&event)));
    gw_buf_deinit(&event);
    gw_buf_deinit(&json);
    gw_arena_deinit(&arena);
}

/* 900 numbers, none of which is 1, times as many elements: a walk that would take too long ends, and
 * what it did not see to its end is delivered. */
static void too_much_work(void **state)
{
    (void)state;
    struct gw_arena arena = {0};
    struct gw_buf items = {0};

    for (int i = 0; i < 900; i++)
        gw_buf_addf(&items, "%d,", i + 2);
    struct gw_buf json = nest(1, "{\"a\":[", gw_buf_text(&items), "1.5]}");
    struct gw_pattern *pattern = parse(json.ptr, &arena, NULL, YYJSON_READ_NUMBER_AS_RAW);
    gw_buf_deinit(&json);
    for (size_t count = 10000; count <= 12000; count += 2000) {
        struct gw_buf ones = nest(count, "", "", "1,");
        json = nest(1, "{\"a\":[", ones.ptr, "1]}");
        assert_int_equal(gw_pattern_match(pattern, gw_buf_slice(&json)), count > 10000);
        gw_buf_deinit(&json);
        gw_buf_deinit(&ones);
    }
    gw_buf_deinit(&items);
    gw_arena_deinit(&arena);
}

/* In words, and without a value of the event. */
static void explained(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *event, *words;
    } rows[] = {
        {"{\"a\":[\"x\"]}", "{\"a\":\"CANARY\"}",
         "a must match [\"x\"], the event has a string there"},
        {"{\"a\":{\"b\":[{\"numeric\":[\">\",1.50]}]}}", "{\"a\":{\"b\":1}}",
         "a.b must match [{\"numeric\":[\">\",1.50]}], the event has a number there"},
        {"{\"a\":{\"b\":[1]}}", "{\"a\":7}", "a.b must match [1], the event has nothing there"},
        {"{\"a\":[true]}", "{\"a\":false}", "a must match [true], the event has a boolean there"},
        {"{\"a\":[{\"exists\":false}]}", "{\"a\":null}",
         "a must match [{\"exists\":false}], the event has null there"},
        {"{\"a\":[{\"exists\":true}]}", "{\"a\":[]}",
         "a must match [{\"exists\":true}], the event has an empty array there"},
        {"{\"a\":{\"b\":[\"x\"]}}", "{\"a\":[{\"b\":\"CANARY\"},{\"b\":7},{}]}",
         "a.b must match [\"x\"], the event has nothing and a number and a string there"},
        {"{\"a\":[\"x\"],\"b\":[\"y\"],\"c\":[\"z\"]}", "{\"b\":\"y\",\"c\":{}}",
         "a must match [\"x\"], the event has nothing there; "
         "c must match [\"z\"], the event has an object there"},
        {"{\"a\":[1],\"b\":[1],\"c\":[1],\"d\":[1],\"e\":[1]}", "{}",
         "a must match [1], the event has nothing there; b must match [1], the event has nothing "
         "there; c must match [1], the event has nothing there; and 2 more"},
        {"{\"a\":{\"b\":[1],\"c\":[1]}}", "{\"a\":[{\"b\":1},{\"c\":1}]}",
         "each of its conditions holds by itself, but no single element of the event's arrays "
         "fulfils them together"},
        {"{\"a\":[1],\"$or\":[{\"b\":[1]},{\"c\":[1],\"d\":[1]}]}", "{\"a\":1,\"c\":1}",
         "of its 2 alternatives, to the nearest: b must match [1], the event has nothing there"},
        {"{\"a\":[\"0123456789\",\"0123456789\",\"0123456789\",\"0123456789\"]}", "{}",
         "a must match [\"0123456789\",\"0123456789\",\"0123456789\",…, the event has nothing "
         "there"},
    };

    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_arena arena = {0};
        struct gw_buf why = {0};
        struct gw_pattern *pattern =
            parse(rows[i].pattern, &arena, NULL, YYJSON_READ_NUMBER_AS_RAW);
        assert_true(gw_pattern_explain(pattern, gw_slice_from(rows[i].event), &why));
        assert_string_equal(gw_buf_text(&why), rows[i].words);
        gw_buf_deinit(&why);
        gw_arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),        cmocka_unit_test(numbers),
        cmocka_unit_test(strings),       cmocka_unit_test(anything_but),
        cmocka_unit_test(exists),        cmocka_unit_test(arrays),
        cmocka_unit_test(or_),           cmocka_unit_test(refused),
        cmocka_unit_test(ceilings),      cmocka_unit_test(large_events),
        cmocka_unit_test(too_much_work), cmocka_unit_test(explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
