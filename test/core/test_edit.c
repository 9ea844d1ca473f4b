/* test_edit.c: removals to the byte: hand-made cases, then seeded documents against a slow and
 * obvious implementation that shares no code with the real one. */
#include "core/edit.h"

#include "support.h"

#include <yyjson.h>

static struct gw_slice remove_name(struct gw_slice json, struct gw_slice name,
                                   struct gw_arena *arena)
{
    struct gw_edit_path path = {.steps = &name, .step_count = 1};

    return gw_edit_remove(json, &path, 1, arena);
}

static const struct {
    const char *json, *wanted; /* wanted NULL = untouched */
} cases[] = {
    /* none */
    {"{}", NULL},
    {" { } ", NULL},
    {"{\"b\":1}", NULL},
    {"{\"appid\":1,\"appI\":2,\"appIdd\":3,\"\":4,\"appId\\u0000\":5}", NULL},
    {"{\"a\":\"appId\",\"b\":[\"appId\",{\"appId\":1}],\"c\":{\"appId\":{\"appId\":2}}}", NULL},
    {"[]", NULL},
    {"[1,{}]", NULL},
    {"\"appId\"", NULL},
    {" 12", NULL},
    /* only, first, middle, last */
    {"{\"appId\":1}", "{}"},
    {"{\"appId\":1,\"b\":2}", "{\"b\":2}"},
    {"{\"a\":1,\"appId\":1,\"b\":2}", "{\"a\":1,\"b\":2}"},
    {"{\"a\":1,\"appId\":1}", "{\"a\":1}"},
    /* white space before goes, all else stays */
    {"{ \"appId\":1, \"b\":2 }", "{ \"b\":2 }"},
    {"{\n  \"appId\": 1,\n  \"b\": 2\n}", "{\n  \"b\": 2\n}"},
    {"{\n  \"a\": 1,\n  \"appId\": 1,\n  \"b\": 2\n}", "{\n  \"a\": 1,\n  \"b\": 2\n}"},
    {"{\n  \"a\": 1,\n  \"appId\": 1\n}", "{\n  \"a\": 1\n}"},
    {"{\n  \"appId\": 1\n}", "{\n}"},
    {"\t{\r\n\t\"appId\"\t:\r\n1 ,\t\"b\":2 }\n", "\t{ \t\"b\":2 }\n"},
    {"{\"a\":1 , \"appId\" : 1 , \"b\":2}", "{\"a\":1 ,  \"b\":2}"},
    {"{\"a\":1 , \"appId\" : 1 }", "{\"a\":1  }"},
    {" {\"appId\":1}", " {}"},
    /* values of every kind */
    {"{\"appId\":\"x\",\"b\":1}", "{\"b\":1}"},
    {"{\"appId\":\"\",\"b\":1}", "{\"b\":1}"},
    {"{\"appId\":\"a\\\"},\\\\\",\"b\":1}", "{\"b\":1}"},
    {"{\"appId\":\"\\\\\\\\\",\"b\":1}", "{\"b\":1}"},
    {"{\"appId\":-0.0e-10,\"b\":1}", "{\"b\":1}"},
    {"{\"appId\":null}", "{}"},
    {"{\"appId\":true ,\"b\":false}", "{ \"b\":false}"},
    {"{\"appId\":{\"appId\":[1,{\"}\":\"]\"}],\"x\":{}},\"b\":1}", "{\"b\":1}"},
    {"{\"appId\":[[],[\"[\"],{\"{\":\"\\\"\"}],\"b\":[]}", "{\"b\":[]}"},
    {"{\"appId\":[],\"b\":{}}", "{\"b\":{}}"},
    /* the elements of an array */
    {" [ {\"appId\":1} ,{\"b\":[{\"appId\":2}]},[{\"appId\":3},4] ] ",
     " [ {} ,{\"b\":[{\"appId\":2}]},[{},4] ] "},
    /* what stays is not rewritten */
    {"{\"n\":12345678901234567890123456789.000e+400,\"appId\":1,\"s\":\"\\u0041\\/\xc3\xa9\"}",
     "{\"n\":12345678901234567890123456789.000e+400,\"s\":\"\\u0041\\/\xc3\xa9\"}"},
    /* names as escapes */
    {"{\"app\\u0049d\":1,\"b\":2}", "{\"b\":2}"},
    {"{\"\\u0061\\u0070\\u0070\\u0049\\u0064\":1}", "{}"},
    {"{\"app\\u0049\":1}", NULL},
    {"{\"app\\u0049dd\":1}", NULL},
    {"{\"app\\u0069d\":1}", NULL},
    {"{\"appId\\n\":1,\"\\\"appId\\\"\":2,\"\\ud83d\\ude00\":3}", NULL},
    /* repeats, in order, as if one after the other */
    {"{\"appId\":1,\"appId\":2}", "{}"},
    {"{\"appId\":1,\"b\":2,\"appId\":3}", "{\"b\":2}"},
    {"{\"a\":0,\"appId\":1,\"app\\u0049d\":2}", "{\"a\":0}"},
    {"{\"appId\":1,\"appId\":2,\"b\":3}", "{\"b\":3}"},
    {"{\"x\":1 , \"appId\":2 , \"appId\":3 }", "{\"x\":1  }"},
};

static void by_hand(void **state)
{
    (void)state;
    for (size_t i = 0; i < gw_count(cases); i++) {
        struct gw_slice json = exact_copy(gw_slice_from(cases[i].json));
        struct gw_arena arena = {0};
        struct gw_slice got = gw_edit_remove(json, &gw_edit_app_id, 1, &arena);

        assert_slice(json, gw_slice_from(cases[i].json));
        if (cases[i].wanted == NULL) {
            assert_ptr_equal(got.ptr, json.ptr);
            assert_int_equal(got.len, json.len);
        } else {
            assert_text(got, cases[i].wanted);
        }
        gw_arena_deinit(&arena);
        exact_free(json);
    }
}

static void other_names(void **state)
{
    (void)state;
    static const struct {
        struct gw_slice name;
        const char *json, *wanted;
    } rows[] = {
        {{"", 0}, "{\"\":1,\"b\":2}", "{\"b\":2}"},
        {{"\0", 1}, "{\"\\u0000\":1,\"b\":2}", "{\"b\":2}"},
        {{"\"\\/\b\f\n\r\t", 8}, "{\"\\\"\\\\\\/\\b\\f\\n\\r\\t\":1}", "{}"},
        {{"\xc3\xa9", 2}, "{\"\xc3\xa9\":1,\"\\u00e9\":2,\"\\u00E9\":3,\"e\":4}", "{\"e\":4}"},
        {{"\xe2\x82\xac", 3}, "{\"\\u20ac\":1,\"\\u20AC\":2,\"\\u20ad\":3}", "{\"\\u20ad\":3}"},
        {{"\xf0\x9f\x98\x80", 4},
         "{\"\\ud83d\\ude00\":1,\"\\uD83D\\uDE01\":2}",
         "{\"\\uD83D\\uDE01\":2}"},
        {{"\xf4\x8f\xbf\xbf", 4}, "{\"\\udbff\\udfff\":1}", "{}"},
        {{"\x7f", 1}, "{\"\\u007f\":1,\"\\u0080\":2}", "{\"\\u0080\":2}"},
        {{"\xdf\xbf", 2}, "{\"\\u07ff\":1,\"\\u0800\":2}", "{\"\\u0800\":2}"},
    };
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_arena arena = {0};
        assert_text(remove_name(gw_slice_from(rows[i].json), rows[i].name, &arena), rows[i].wanted);
        gw_arena_deinit(&arena);
    }
}

/* ── Paths ─────────────────────────────────────────────────────────────────────────────────── */

/* Paths separated by spaces, as if one after the other. */
static const struct {
    const char *paths, *json, *wanted;
} paths[] = {
    /* nested */
    {"a.b", "{\"a\":{\"b\":1}}", "{\"a\":{}}"},
    {"a.b", "{\"a\": { \"b\" : 1 , \"c\":2 } }", "{\"a\": {  \"c\":2 } }"},
    {"a.b", "{\"a\":{\"c\":{\"b\":1}},\"b\":2}", NULL},
    {"a.b", "{\"a\":1}", NULL},
    {"a.b", "{\"a\":\"b\",\"b\":null}", NULL},
    {"a.b.c", "{\"a\":{\"b\":{\"c\":{\"c\":0},\"d\":[]}}}", "{\"a\":{\"b\":{\"d\":[]}}}"},
    {"a.b", "{\"a\":{\"b\":1},\"a\":{\"b\":2},\"\\u0061\":{\"\\u0062\":3}}",
     "{\"a\":{},\"a\":{},\"\\u0061\":{}}"},
    {"a", "{\"a\":{\"a\":1}}", "{}"},
    {"a.a", "{\"a\":{\"a\":{\"a\":1}}}", "{\"a\":{}}"},
    /* through arrays, also of arrays */
    {"a.b", "{\"a\":[{\"b\":1},{\"c\":2},3,\"b\",[{\"b\":4,\"d\":5}],[]]}",
     "{\"a\":[{},{\"c\":2},3,\"b\",[{\"d\":5}],[]]}"},
    {"a.b.c", "{\"a\":[{\"b\":[{\"c\":1},{\"d\":{\"c\":2}}]},{\"b\":{\"c\":3}}]}",
     "{\"a\":[{\"b\":[{},{\"d\":{\"c\":2}}]},{\"b\":{}}]}"},
    {"a.0", "{\"a\":[1,{\"0\":2}]}", "{\"a\":[1,{}]}"},
    /* pointers */
    {"/a.b/c", "{\"a.b\":{\"c\":1},\"a\":{\"b\":{\"c\":2}}}",
     "{\"a.b\":{},\"a\":{\"b\":{\"c\":2}}}"},
    {"/a~1b", "{\"a/b\":1,\"a~1b\":2}", "{\"a~1b\":2}"},
    {"/a~0b", "{\"a~b\":1,\"a~0b\":2}", "{\"a~0b\":2}"},
    {"/a~01b", "{\"a~1b\":1,\"a/b\":2}", "{\"a/b\":2}"},
    {"/", "{\"\":1,\"/\":2}", "{\"/\":2}"},
    {"/a//b", "{\"a\":{\"\":{\"b\":1}}}", "{\"a\":{\"\":{}}}"},
    /* several: siblings, one within the other, the same twice, in any order */
    {"a b", "{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":3}"},
    {"b a", "{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":3}"},
    {"b c", "{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":1}"},
    {"a c", "{\"a\":1,\"b\":2,\"c\":3}", "{\"b\":2}"},
    {"a b c", "{ \"a\":1, \"b\":2, \"c\":3 }", "{ }"},
    {"a.b a.c", "{\"a\":{\"b\":1,\"c\":2},\"b\":3}", "{\"a\":{},\"b\":3}"},
    {"a a.b", "{\"a\":{\"b\":1},\"c\":2}", "{\"c\":2}"},
    {"a.b a", "{\"a\":{\"b\":1},\"c\":2}", "{\"c\":2}"},
    {"a a", "{\"a\":1,\"a\":2,\"b\":3}", "{\"b\":3}"},
    /* white space that a removal leaves goes with what follows it, if that is removed later */
    {"b c", "{\"a\":1 , \"b\":2\t, \"c\":3\r}", "{\"a\":1 \r}"},
    {"c b", "{\"a\":1 , \"b\":2\t, \"c\":3\r}", "{\"a\":1 \t\r}"},
    {"a b", "{ \"a\":1\t, \"b\":2\r, \"c\":3 }", "{\r \"c\":3 }"},
    {"b a", "{ \"a\":1\t, \"b\":2\r, \"c\":3 }", "{\t\r \"c\":3 }"},
    {"a b", "{ \"a\":1\t, \"b\":2\r}", "{\r}"},
    {"b a", "{ \"a\":1\t, \"b\":2\r}", "{\t\r}"},
    {"b d c", "{\"b\":1 ,\"c\":2\t,\"d\":3\r,\"e\":4}", "{\t\r\"e\":4}"},
    {"a.b", "{\"a\":\n[ { \"b\" : 1 } ,\n { \"x\" : 0 , \"b\" : 1 } ] }",
     "{\"a\":\n[ { } ,\n { \"x\" : 0  } ] }"},
};

static size_t parse_paths(const char *text, struct gw_edit_path *out, struct gw_arena *arena)
{
    struct gw_slice rest = gw_slice_from(text), part;
    struct gw_error error;
    size_t count = 0;

    while (gw_slice_split(&rest, ' ', &part))
        if (gw_edit_path_parse(&out[count++], "path", part, arena, &error) != GW_OK)
            fail_msg("%s", error.text);
    return count;
}

static void along_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < gw_count(paths); i++) {
        struct gw_slice json = exact_copy(gw_slice_from(paths[i].json));
        struct gw_arena arena = {0};
        struct gw_edit_path parsed[8];
        size_t count = parse_paths(paths[i].paths, parsed, &arena);
        struct gw_slice got = gw_edit_remove(json, parsed, count, &arena);
        struct gw_slice one_by_one = json;

        if (paths[i].wanted == NULL)
            assert_ptr_equal(got.ptr, json.ptr);
        assert_text(got, paths[i].wanted ? paths[i].wanted : paths[i].json);
        for (size_t k = 0; k < count; k++)
            one_by_one = gw_edit_remove(one_by_one, &parsed[k], 1, &arena);
        assert_slice(one_by_one, got);
        gw_arena_deinit(&arena);
        exact_free(json);
    }
}

static void as_many_as_may_be(void **state)
{
    (void)state;
    struct gw_edit_path many[GW_EDIT_PATHS_MAX + 1];
    struct gw_arena arena = {0};
    struct gw_buf json = {0};

    /* each path removes one member, the last member first, and leaves a space */
    for (size_t i = 0; i <= GW_EDIT_PATHS_MAX; i++) {
        const char *name = gw_arena_printf(&arena, "m%zu", GW_EDIT_PATHS_MAX - i);
        assert_int_equal(parse_paths(name, &many[i], &arena), 1);
        gw_buf_addf(&json, "%c\"m%zu\":0 ", i ? ',' : '{', i);
    }
    gw_buf_adds(&json, GW_SLICE(",\"z\":1}"));
    struct gw_slice got = gw_edit_remove(gw_buf_slice(&json), many, gw_count(many), &arena);
    assert_int_equal(got.len, 1 + gw_count(many) + strlen("\"z\":1}"));
    got = gw_edit_remove(gw_buf_slice(&json), many, 0, &arena);
    assert_ptr_equal(got.ptr, json.ptr);
    gw_buf_deinit(&json);
    gw_arena_deinit(&arena);
}

static void paths_that_are_none(void **state)
{
    (void)state;
    char longest[GW_EDIT_PATH_BYTES_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    longest[GW_EDIT_PATH_BYTES_MAX + 1] = '\0';
    const struct {
        const char *text, *error;
    } rows[] = {
        {"", "p[0]: must be a path of 1 to 256 bytes, was 0"},
        {longest, "p[0]: must be a path of 1 to 256 bytes, was 257"},
        {".", "p[0]: must be names with one dot between them, or a JSON Pointer, was \".\""},
        {"a.", "p[0]: must be names with one dot between them, or a JSON Pointer, was \"a.\""},
        {".a", "p[0]: must be names with one dot between them, or a JSON Pointer, was \".a\""},
        {"a..b", "p[0]: must be names with one dot between them, or a JSON Pointer, was \"a..b\""},
        {"/a~", "p[0]: must be a JSON Pointer, in which a tilde is ~0 and a slash ~1, was \"/a~\""},
        {"/~2", "p[0]: must be a JSON Pointer, in which a tilde is ~0 and a slash ~1, was \"/~2\""},
        {"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q",
         "p[0]: must be a path of at most 16 steps, was \"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q\""},
    };
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_arena arena = {0};
        struct gw_edit_path path;
        struct gw_error error;
        assert_int_equal(
            gw_edit_path_parse(&path, "p[0]", gw_slice_from(rows[i].text), &arena, &error),
            GW_ERR_INVALID);
        assert_string_equal(error.text, rows[i].error);
        gw_arena_deinit(&arena);
    }
    struct gw_arena arena = {0};
    struct gw_edit_path path;
    longest[GW_EDIT_PATH_BYTES_MAX] = '\0';
    assert_int_equal(parse_paths(longest, &path, &arena), 1);
    assert_text(path.text, longest);
    assert_int_equal(parse_paths("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p", &path, &arena), 1);
    assert_int_equal(path.step_count, GW_EDIT_STEPS_MAX);
    assert_text(path.steps[15], "p");
    assert_text(gw_edit_app_id.steps[0], "appId");
    gw_arena_deinit(&arena);
}

/* ── The obvious implementation ────────────────────────────────────────────────────────────── */

#define SEGMENTS_MAX 64

/* An object as what stands between its outer braces and commas, white space included. */
struct pieces {
    struct gw_buf head, tail; /* up to and with '{'; from '}' on */
    struct gw_buf segments[SEGMENTS_MAX];
    size_t count;
};

static void take_apart(struct pieces *p, struct gw_slice json)
{
    int level = 0;
    bool in_string = false, escaped = false;
    struct gw_buf *to = &p->head;

    p->count = 0;
    for (size_t i = 0; i < json.len; i++) {
        char c = json.ptr[i];
        if (in_string) {
            gw_buf_addc(to, c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        in_string = c == '"';
        if (level == 1 && c == ',') {
            to = &p->segments[p->count++];
            continue;
        }
        if (c == '}' || c == ']')
            level--;
        if (level == 0 && c == '}')
            to = &p->tail;
        gw_buf_addc(to, c);
        if (c == '{' || c == '[')
            level++;
        if (level == 1 && to == &p->head)
            to = &p->segments[p->count++];
    }
}

static bool is_blank(struct gw_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (strchr(" \t\r\n", s.ptr[i]) == NULL)
            return false;
    return true;
}

static size_t blank_behind(struct gw_slice s)
{
    size_t n = 0;

    while (n < s.len && is_blank((struct gw_slice){s.ptr + s.len - n - 1, n + 1}))
        n++;
    return n;
}

/* The name in a segment, as a JSON parser sees it. */
static bool segment_is(struct gw_slice segment, struct gw_slice name)
{
    struct gw_buf object = {0};

    if (is_blank(segment))
        return false;
    gw_buf_addf(&object, "{%.*s}", GW_SLICE_ARG(segment));
    yyjson_doc *doc = yyjson_read(object.ptr, object.len, YYJSON_READ_NUMBER_AS_RAW);
    assert_non_null(doc);
    yyjson_obj_iter iter = yyjson_obj_iter_with(yyjson_doc_get_root(doc));
    yyjson_val *key = yyjson_obj_iter_next(&iter);
    bool is = gw_slice_eq((struct gw_slice){yyjson_get_str(key), yyjson_get_len(key)}, name);
    yyjson_doc_free(doc);
    gw_buf_deinit(&object);
    return is;
}

static void segment_set(struct gw_buf *segment, struct gw_slice before, struct gw_slice behind)
{
    struct gw_buf both = {0};

    gw_buf_adds(&both, before);
    gw_buf_adds(&both, behind);
    gw_buf_deinit(segment);
    *segment = both;
}

/* Its white space behind is all that is left; it goes to the neighbour whose comma stays. */
static void drop_segment(struct pieces *p, size_t i)
{
    struct gw_slice s = gw_buf_slice(&p->segments[i]);
    struct gw_slice left = gw_slice_skip(s, s.len - blank_behind(s));

    if (i + 1 < p->count)
        segment_set(&p->segments[i + 1], left, gw_buf_slice(&p->segments[i + 1]));
    else if (i > 0)
        segment_set(&p->segments[i - 1], gw_buf_slice(&p->segments[i - 1]), left);
    else
        segment_set(&p->tail, left, gw_buf_slice(&p->tail));
    gw_buf_deinit(&p->segments[i]);
    for (size_t k = i + 1; k < p->count; k++)
        p->segments[k - 1] = p->segments[k];
    p->segments[--p->count] = (struct gw_buf){0};
}

static size_t remove_slowly(struct gw_buf *out, struct gw_slice json, struct gw_slice name)
{
    struct pieces p = {0};
    size_t removed = 0;

    take_apart(&p, json);
    for (size_t i = 0; i < p.count;) {
        if (segment_is(gw_buf_slice(&p.segments[i]), name)) {
            drop_segment(&p, i);
            removed++;
        } else {
            i++;
        }
    }
    gw_buf_adds(out, gw_buf_slice(&p.head));
    for (size_t i = 0; i < p.count; i++) {
        if (i > 0)
            gw_buf_addc(out, ',');
        gw_buf_adds(out, gw_buf_slice(&p.segments[i]));
        gw_buf_deinit(&p.segments[i]);
    }
    gw_buf_adds(out, gw_buf_slice(&p.tail));
    gw_buf_deinit(&p.head);
    gw_buf_deinit(&p.tail);
    return removed;
}

/* ── Documents ─────────────────────────────────────────────────────────────────────────────── */

static const char *const names[] = {
    "\"appId\"",     "\"app\\u0049d\"", "\"\\u0061ppId\"",    "\"a\"",    "\"\"",
    "\"app\\\\Id\"", "\"appI\"",        "\"appIdd\"",         "\"}\"",    "\"\\\"appId\\\"\"",
    "\"\\\\\"",      "\"\xc3\xa9\"",    "\"\\ud83d\\ude00\"", "\"{[,:\"", "\"\\u0000\"",
};
static const char *const scalars[] = {
    "0",
    "-1.5e+300",
    "123456789012345678901234567890",
    "true",
    "false",
    "null",
    "\"\"",
    "\"x\"",
    "\"\\\"\"",
    "\"\\\\\"",
    "\"},\\\"appId\\\":1\"",
    "\"\\u007d\"",
    "\"[{\"",
    "1E5",
};
static const char *const spaces[] = {"", "", "", "", " ", "\n", "\t", "\r\n  ", "   "};

#define PICK(rng, list) gw_slice_from((list)[rng_below((rng), gw_count(list))])

static void add_value(struct gw_buf *json, struct rng *rng, int levels);

static void add_object(struct gw_buf *json, struct rng *rng, int levels)
{
    gw_buf_addc(json, '{');
    for (size_t n = rng_below(rng, 6), i = 0; i < n; i++) {
        if (i > 0)
            gw_buf_addc(json, ',');
        gw_buf_adds(json, PICK(rng, spaces));
        gw_buf_adds(json, PICK(rng, names));
        gw_buf_adds(json, PICK(rng, spaces));
        gw_buf_addc(json, ':');
        gw_buf_adds(json, PICK(rng, spaces));
        add_value(json, rng, levels - 1);
        gw_buf_adds(json, PICK(rng, spaces));
    }
    gw_buf_addc(json, '}');
}

static void add_value(struct gw_buf *json, struct rng *rng, int levels)
{
    size_t kind = levels > 0 ? rng_below(rng, 4) : 0;

    if (kind == 3) {
        gw_buf_addc(json, '[');
        for (size_t n = rng_below(rng, 4), i = 0; i < n; i++) {
            if (i > 0)
                gw_buf_addc(json, ',');
            gw_buf_adds(json, PICK(rng, spaces));
            add_value(json, rng, levels - 1);
            gw_buf_adds(json, PICK(rng, spaces));
        }
        gw_buf_addc(json, ']');
    } else if (kind == 2) {
        add_object(json, rng, levels);
    } else {
        gw_buf_adds(json, PICK(rng, scalars));
    }
}

static void check_against_slow(struct gw_slice text, struct gw_slice name, size_t *touched)
{
    struct gw_slice json = exact_copy(text);
    struct gw_arena arena = {0};
    struct gw_buf wanted = {0};
    size_t removed = remove_slowly(&wanted, json, name);
    struct gw_slice got = remove_name(json, name, &arena);

    if (!gw_slice_eq(got, gw_buf_slice(&wanted)))
        fail_msg("%.*s became %.*s, wanted %.*s", GW_SLICE_ARG(json), GW_SLICE_ARG(got),
                 GW_SLICE_ARG(gw_buf_slice(&wanted)));
    assert_true((got.ptr == json.ptr) == (removed == 0));
    yyjson_doc *before = yyjson_read(json.ptr, json.len, YYJSON_READ_NUMBER_AS_RAW);
    yyjson_doc *after = yyjson_read(got.ptr, got.len, YYJSON_READ_NUMBER_AS_RAW);
    assert_true(before && after);
    assert_int_equal(yyjson_obj_size(yyjson_doc_get_root(before)),
                     yyjson_obj_size(yyjson_doc_get_root(after)) + removed);
    assert_null(yyjson_obj_getn(yyjson_doc_get_root(after), name.ptr, name.len));
    *touched += removed > 0;
    yyjson_doc_free(before);
    yyjson_doc_free(after);
    gw_buf_deinit(&wanted);
    gw_arena_deinit(&arena);
    exact_free(json);
}

static void like_the_slow_one(void **state)
{
    (void)state;
    struct rng rng = {7};
    size_t touched = 0;

    for (int round = 0; round < 30000; round++) {
        struct gw_buf json = {0};
        gw_buf_adds(&json, PICK(&rng, spaces));
        add_object(&json, &rng, 4);
        gw_buf_adds(&json, PICK(&rng, spaces));
        check_against_slow(gw_buf_slice(&json), GW_SLICE("appId"), &touched);
        check_against_slow(gw_buf_slice(&json), GW_SLICE("\xf0\x9f\x98\x80"), &touched);
        check_against_slow(gw_buf_slice(&json), GW_SLICE("\""), &touched);
        gw_buf_deinit(&json);
    }
    assert_in_range(touched, 10000, 80000);
}

/* Mutants that are still objects take the same two roads. */
static void like_the_slow_one_when_mutated(void **state)
{
    (void)state;
    static const char sample[] = "{\"b\" : [1, {\"appId\":\"x\"}] , \"appId\" : \"a\\\\\" "
                                 ",\n\"c\":-1.5e3,\"app\\u0049d\":{}}";
    struct rng rng = {99};
    size_t touched = 0;

    for (int round = 0; round < 50000; round++) {
        struct gw_buf json = {0};
        gw_buf_add(&json, sample, sizeof(sample) - 1);
        mutate(&json, &rng);
        yyjson_doc *doc = yyjson_read(json.ptr, json.len, YYJSON_READ_NUMBER_AS_RAW);
        bool is_object = yyjson_is_obj(yyjson_doc_get_root(doc));
        yyjson_doc_free(doc);
        if (is_object)
            check_against_slow(gw_buf_slice(&json), GW_SLICE("appId"), &touched);
        gw_buf_deinit(&json);
    }
    assert_in_range(touched, 1000, 49000);
}

static void deep_nesting_takes_no_stack(void **state)
{
    (void)state;
    struct gw_buf json = {0};
    struct gw_arena arena = {0};

    gw_buf_adds(&json, GW_SLICE("{\"x\":"));
    for (int i = 0; i < 1000000; i++)
        gw_buf_addc(&json, '[');
    for (int i = 0; i < 1000000; i++)
        gw_buf_addc(&json, ']');
    gw_buf_adds(&json, GW_SLICE(",\"appId\":1}"));
    struct gw_slice got = gw_edit_remove(gw_buf_slice(&json), &gw_edit_app_id, 1, &arena);
    assert_int_equal(got.len, json.len - strlen(",\"appId\":1"));
    gw_arena_deinit(&arena);
    gw_buf_deinit(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(other_names),
        cmocka_unit_test(along_paths),
        cmocka_unit_test(as_many_as_may_be),
        cmocka_unit_test(paths_that_are_none),
        cmocka_unit_test(like_the_slow_one),
        cmocka_unit_test(like_the_slow_one_when_mutated),
        cmocka_unit_test(deep_nesting_takes_no_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
