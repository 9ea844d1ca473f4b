/* test_event.c: which events are read, what is read out of them, and how the rest is refused. */
#include "core/event.h"

#include "support.h"

struct accepted {
    const char *json;
    const char *app_id, *event_type, *event_id, *transaction_id, *workflow_id, *event_time;
};

static const struct accepted accepted[] = {
    {"{\"appId\":\"a\",\"eventType\":\"T\"}", "a", "T", 0, 0, 0, 0},
    {" \t\r\n{ \"eventType\" : \"T\" ,\n\"appId\":\"a\" } \n\r\t ", "a", "T", 0, 0, 0, 0},
    {"{\"appId\":\"a\",\"eventType\":\"T\",\"eventId\":\"e\",\"transactionId\":\"t\","
     "\"workflowId\":\"w\",\"eventTime\":\"yesterday, about noon\"}",
     "a", "T", "e", "t", "w", "yesterday, about noon"},
    {"{\"appId\":\"a\",\"eventType\":\"T\",\"eventId\":null,\"transactionId\":null,"
     "\"workflowId\":null,\"eventTime\":null}",
     "a", "T", 0, 0, 0, 0},
    /* a time is free form, a number too */
    {"{\"appId\":\"a\",\"eventType\":\"T\",\"eventTime\":1764000000}", "a", "T", 0, 0, 0,
     "1764000000"},
    {"{\"appId\":\"a\",\"eventType\":\"T\",\"eventTime\":-1.5}", "a", "T", 0, 0, 0, "-1.5"},
    {"{\"appId\":\"a\",\"eventType\":\"T\",\"eventId\":\"\",\"workflowId\":\"\"}", "a", "T", 0, 0,
     0, 0},
    /* escapes are decoded, in names and in values */
    {"{\"app\\u0049d\":\"\\u0061\\/\\\"\\\\\",\"\\u0065ventType\":\"\\ud83d\\ude00\"}", "a/\"\\",
     "\xf0\x9f\x98\x80", 0, 0, 0, 0},
    {"{\"appId\":\"caf\xc3\xa9 \xe2\x98\x95\",\"eventType\":\"\\u00e9\"}",
     "caf\xc3\xa9 \xe2\x98\x95", "\xc3\xa9", 0, 0, 0, 0},
    /* anything JSON can write may stand elsewhere */
    {"{\"appId\":\"a\",\"eventType\":\"T\",\"x\":1e999,\"y\":-0,\"z\":"
     "123456789012345678901234567890.5E+30,\"s\":\"\\u0000\\u001f\x7f\",\"\":{},\"l\":[true,false,"
     "null]}",
     "a", "T", 0, 0, 0, 0},
    /* only the top level counts, for fields and for repeats */
    {"{\"appId\":\"a\",\"eventType\":\"T\",\"d\":{\"appId\":1,\"appId\":2,\"eventId\":\"n\"}}", "a",
     "T", 0, 0, 0, 0},
    {"{\"appId\":\"a\",\"eventType\":\"T\",\"appid\":1,\"APPID\":2,\"appId \":3,\"appI\":4,"
     "\"appId\\u0000\":5}",
     "a", "T", 0, 0, 0, 0},
    {"{\"appId\":\"\xc2\xa0\",\"eventType\":\"*\"}", "\xc2\xa0", "*", 0, 0, 0, 0},
};

static void accepts(void **state)
{
    (void)state;
    for (size_t i = 0; i < gw_count(accepted); i++) {
        const struct accepted *row = &accepted[i];
        struct gw_slice body = exact_copy(gw_slice_from(row->json));
        struct gw_arena arena = {0};
        struct gw_event event;
        struct gw_error error = {.text = "untouched"};

        if (gw_event_parse(&event, body, &arena, &error) != GW_OK)
            fail_msg("%s: %s", row->json, error.text);
        assert_string_equal(error.text, "untouched");
        assert_ptr_equal(event.body.ptr, body.ptr);
        assert_int_equal(event.body.len, body.len);
        assert_text(event.app_id, row->app_id);
        assert_text(event.event_type, row->event_type);
        assert_text(event.event_id, row->event_id);
        assert_text(event.transaction_id, row->transaction_id);
        assert_text(event.workflow_id, row->workflow_id);
        assert_text(event.event_time, row->event_time);
        gw_arena_deinit(&arena);
        exact_free(body);
    }
}

#define NAME     "must be a string of 1 to 256 printable characters"
#define OPTIONAL "must be a string of at most 256 printable characters"
#define OBJECT   "the event must be a JSON object, was "

struct refused {
    struct gw_slice json;
    const char *error;
};

#define R(json, error)                                                                             \
    {                                                                                              \
        {json, sizeof(json) - 1}, error                                                            \
    }

static const struct refused refused[] = {
    R("", OBJECT "empty"),
    R(" \n\t ", OBJECT "empty"),
    R("[]", OBJECT "an array"),
    R("\"SECRET\"", OBJECT "a string"),
    R("12", OBJECT "a number"),
    R("true", OBJECT "a boolean"),
    R("null", OBJECT "null"),
    R("{}", "appId: " NAME ", was missing"),
    R("{\"appId\":\"a\"}", "eventType: " NAME ", was missing"),
    R("{\"appId\":1,\"eventType\":\"T\"}", "appId: " NAME ", was a number"),
    R("{\"appId\":null,\"eventType\":\"T\"}", "appId: " NAME ", was null"),
    R("{\"appId\":true,\"eventType\":\"T\"}", "appId: " NAME ", was a boolean"),
    R("{\"appId\":[\"a\"],\"eventType\":\"T\"}", "appId: " NAME ", was an array"),
    R("{\"appId\":{\"a\":1},\"eventType\":\"T\"}", "appId: " NAME ", was an object"),
    R("{\"appId\":\"\",\"eventType\":\"T\"}", "appId: " NAME ", was empty"),
    R("{\"appId\":\"a\",\"eventType\":7}", "eventType: " NAME ", was a number"),
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"eventId\":7}", "eventId: " OPTIONAL ", was a number"),
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"transactionId\":7e9}",
      "transactionId: " OPTIONAL ", was a number"),
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"workflowId\":[]}",
      "workflowId: " OPTIONAL ", was an array"),
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"eventTime\":[1764000000]}",
      "eventTime: " OPTIONAL ", was an array"),
    R("{\"appId\":\"a\\u0000SECRET\",\"eventType\":\"T\"}",
      "appId: " NAME ", held a control character as byte 2"),
    R("{\"appId\":\"a\\nb\",\"eventType\":\"T\"}",
      "appId: " NAME ", held a control character as byte 2"),
    R("{\"appId\":\"\\u007f\",\"eventType\":\"T\"}",
      "appId: " NAME ", held a control character as byte 1"),
    R("{\"appId\":\"ab\\u0085\",\"eventType\":\"T\"}",
      "appId: " NAME ", held a control character as byte 3"),
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"eventId\":\"e\\u0001\"}",
      "eventId: " OPTIONAL ", held a control character as byte 2"),
    /* repeats */
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"appId\":\"b\"}",
      "appId: must be there once, was there as members 1 and 3"),
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"app\\u0049d\":\"a\"}",
      "appId: must be there once, was there as members 1 and 3"),
    R("{\"x\":1,\"appId\":\"a\",\"eventType\":\"T\",\"SECRET\":1,\"S\\u0045CRET\":1}",
      "duplicate key: members 4 and 5 of the event have the same name"),
    R("{\"\":1,\"appId\":\"a\",\"eventType\":\"T\",\"\":1}",
      "duplicate key: members 1 and 4 of the event have the same name"),
    /* not JSON */
    R("\xef\xbb\xbf{\"appId\":\"a\",\"eventType\":\"T\"}",
      OBJECT "not JSON: byte order mark (BOM) is not supported, at line 1, byte 1"),
    R("{\"appId\":\"SECRET\",\n\"eventType\":SECRET}", "at line 2, byte 13"),
    R("{\"appId\":\"a\",\"eventType\":\"T\"}x", "unexpected content after document"),
    R("{\"appId\":\"a\",\"eventType\":\"T\"}{}", "unexpected content after document"),
    R("{\"appId\":\"a\",\"eventType\":\"T\"}\0", "unexpected content after document"),
    R("{\"appId\":\"a\",\"eventType\":\"T\",}", "trailing comma"),
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"x\":[1,]}", "trailing comma"),
    R("{\"appId\":\"a\",\"eventType\":\"T\"/**/}", OBJECT "not JSON: "),
    R("{'appId':'a','eventType':'T'}", OBJECT "not JSON: "),
    R("{appId:\"a\"}", OBJECT "not JSON: "),
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"x\":NaN}", OBJECT "not JSON: "),
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"x\":-Infinity}", OBJECT "not JSON: "),
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"x\":01}", OBJECT "not JSON: "),
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"x\":+1}", OBJECT "not JSON: "),
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"x\":.5}", OBJECT "not JSON: "),
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"x\":1.}", OBJECT "not JSON: "),
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"x\":0x10}", OBJECT "not JSON: "),
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"x\":True}", OBJECT "not JSON: "),
    R("{\"appId\":\"\\ud800\",\"eventType\":\"T\"}", OBJECT "not JSON: "),
    R("{\"appId\":\"\\udc00\",\"eventType\":\"T\"}", OBJECT "not JSON: "),
    R("{\"appId\":\"\\ud800\\u0041\",\"eventType\":\"T\"}", OBJECT "not JSON: "),
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"\\ud800\":1}", OBJECT "not JSON: "),
    R("{\"appId\":\"\xed\xa0\x80\",\"eventType\":\"T\"}", OBJECT "not JSON: invalid UTF-8"),
    R("{\"appId\":\"\xc0\x80\",\"eventType\":\"T\"}", OBJECT "not JSON: invalid UTF-8"),
    R("{\"appId\":\"\xf4\x90\x80\x80\",\"eventType\":\"T\"}", OBJECT "not JSON: invalid UTF-8"),
    R("{\"appId\":\"a\",\"eventType\":\"T\",\"x\":\"\xff\"}", OBJECT "not JSON: invalid UTF-8"),
    R("{\"appId\":\"a\nb\",\"eventType\":\"T\"}", OBJECT "not JSON: "),
    R("{\"appId\":\"a\tb\",\"eventType\":\"T\"}", OBJECT "not JSON: "),
    R("{\"appId\":\"\\x41\",\"eventType\":\"T\"}", OBJECT "not JSON: "),
    R("\x0c{\"appId\":\"a\",\"eventType\":\"T\"}", OBJECT "not JSON: "),
    R("\xc2\xa0{\"appId\":\"a\",\"eventType\":\"T\"}", OBJECT "not JSON: "),
};

static enum gw_err parse(struct gw_slice json, struct gw_error *error)
{
    struct gw_slice body = exact_copy(json);
    struct gw_arena arena = {0};
    struct gw_event event;
    enum gw_err err = gw_event_parse(&event, body, &arena, error);

    gw_arena_deinit(&arena);
    exact_free(body);
    return err;
}

static void refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < gw_count(refused); i++) {
        struct gw_error error = {0};
        enum gw_err err = parse(refused[i].json, &error);

        if (err != GW_ERR_INVALID || error.code != GW_ERR_INVALID)
            fail_msg("%.*s: not refused", GW_SLICE_ARG(refused[i].json));
        if (strstr(error.text, refused[i].error) == NULL || strstr(error.text, "SECRET") != NULL)
            fail_msg("%.*s: %s", GW_SLICE_ARG(refused[i].json), error.text);
        assert_int_equal(parse(refused[i].json, NULL), GW_ERR_INVALID);
    }
}

static void keeps_what_it_read_of_a_refused_event(void **state)
{
    (void)state;
    struct gw_arena arena = {0};
    struct gw_event event;
    struct gw_error error;

    assert_int_equal(gw_event_parse(&event,
                                    GW_SLICE("{\"workflowId\":1,\"appId\":\"a\",\"eventTime\":[],"
                                             "\"eventId\":\"e\",\"eventId\":\"f\"}"),
                                    &arena, &error),
                     GW_ERR_INVALID);
    assert_string_equal(error.text, "workflowId: " OPTIONAL ", was a number");
    assert_text(event.app_id, "a");
    assert_text(event.event_id, "e");
    assert_text(event.event_type, NULL);
    gw_arena_deinit(&arena);
}

/* ── Limits ────────────────────────────────────────────────────────────────────────────────── */

static void name_lengths(void **state)
{
    (void)state;
    static const char *const units[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

    for (size_t u = 0; u < gw_count(units); u++) {
        for (size_t chars = 254; chars < 259; chars++) {
            struct gw_buf name = {0}, json = {0};
            struct gw_error error = {0};
            for (size_t i = 0; i < chars; i++)
                gw_buf_adds(&name, gw_slice_from(units[u]));
            gw_buf_addf(&json, "{\"appId\":\"%.*s\",\"eventType\":\"T\",\"eventId\":\"%.*s\"}",
                        GW_SLICE_ARG(gw_buf_slice(&name)), GW_SLICE_ARG(gw_buf_slice(&name)));
            bool fits = chars <= GW_NAME_CHARS_MAX;
            assert_int_equal(parse(gw_buf_slice(&json), &error), fits ? GW_OK : GW_ERR_INVALID);
            assert_int_equal(gw_name_check("x", gw_buf_slice(&name), NULL),
                             fits ? GW_OK : GW_ERR_INVALID);
            if (!fits) {
                char wanted[128];
                snprintf(wanted, sizeof(wanted), "appId: " NAME ", was %zu long", chars);
                assert_string_equal(error.text, wanted);
            }
            gw_buf_deinit(&name);
            gw_buf_deinit(&json);
        }
    }
}

static void name_checks(void **state)
{
    (void)state;
    struct gw_error error;

    assert_int_equal(gw_name_check("appId", GW_SLICE("a b-\xc3\xa9"), &error), GW_OK);
    assert_int_equal(gw_name_check("appId", (struct gw_slice){0}, &error), GW_ERR_INVALID);
    assert_string_equal(error.text, "appId: " NAME ", was missing");
    assert_int_equal(gw_name_check("appId", GW_SLICE(""), &error), GW_ERR_INVALID);
    assert_string_equal(error.text, "appId: " NAME ", was empty");
    assert_int_equal(gw_name_check("appId", GW_SLICE("a\xff"), &error), GW_ERR_INVALID);
    assert_string_equal(error.text, "appId: " NAME ", was not UTF-8");
    assert_int_equal(gw_name_check("appId", GW_SLICE("a\xc2"), &error), GW_ERR_INVALID);
    for (int c = 0; c < 0xC0; c++) {
        char text[] = {'a', (char)0xC2, (char)c};
        struct gw_slice name =
            c < 0x80 ? (struct gw_slice){text + 2, 1} : (struct gw_slice){text, 3};
        bool is_control = c < 0x20 || (c >= 0x7F && c < 0xA0);
        assert_int_equal(gw_name_check("x", name, &error), is_control ? GW_ERR_INVALID : GW_OK);
    }
}

static void nested(struct gw_buf *json, size_t depth, bool in_objects)
{
    gw_buf_clear(json);
    gw_buf_adds(json, GW_SLICE("{\"appId\":\"a\",\"eventType\":\"T\",\"x\":0,\"y\":"));
    for (size_t i = 1; i < depth; i++)
        gw_buf_adds(json, in_objects ? GW_SLICE("{\"k\":") : GW_SLICE("[[],"));
    gw_buf_addc(json, '1');
    for (size_t i = 1; i < depth; i++)
        gw_buf_addc(json, in_objects ? '}' : ']');
    gw_buf_addc(json, '}');
}

static void depth(void **state)
{
    (void)state;
    struct gw_buf json = {0};
    struct gw_error error;

    for (int in_objects = 0; in_objects < 2; in_objects++) {
        /* each array holds an empty one beside the next: one level less of them */
        size_t limit = in_objects ? GW_EVENT_DEPTH_MAX : GW_EVENT_DEPTH_MAX - 1;
        for (size_t levels = 1; levels < 70; levels++) {
            nested(&json, levels, in_objects);
            assert_int_equal(parse(gw_buf_slice(&json), &error),
                             levels <= limit ? GW_OK : GW_ERR_INVALID);
        }
        assert_string_equal(error.text,
                            "the event must be nested at most 64 levels deep, was deeper");
        nested(&json, 100000, in_objects);
        assert_int_equal(parse(gw_buf_slice(&json), &error), GW_ERR_INVALID);
    }
    gw_buf_clear(&json);
    for (int i = 0; i < 1 << 20; i++)
        gw_buf_addc(&json, '[');
    assert_int_equal(parse(gw_buf_slice(&json), &error), GW_ERR_INVALID);
    gw_buf_deinit(&json);
}

static void many_members(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 20, 29, 30, 31, 32, 100, 5000, 60000};

    for (size_t i = 0; i < gw_count(counts); i++) {
        struct gw_buf json = {0};
        struct gw_error error;
        size_t n = counts[i];

        gw_buf_adds(&json, GW_SLICE("{\"eventType\":\"T\""));
        for (size_t k = 0; k < n; k++)
            gw_buf_addf(&json, ",\"k%zx\":%zu", k, k);
        gw_buf_adds(&json, GW_SLICE(",\"appId\":\"a\"}"));
        assert_int_equal(parse(gw_buf_slice(&json), &error), GW_OK);

        json.len--;
        gw_buf_addf(&json, ",\"\\u006b%zx\":0}", n / 2);
        assert_int_equal(parse(gw_buf_slice(&json), &error), GW_ERR_INVALID);
        char wanted[128];
        snprintf(wanted, sizeof(wanted),
                 "duplicate key: members %zu and %zu of the event have the same name", n / 2 + 2,
                 n + 3);
        assert_string_equal(error.text, wanted);
        gw_buf_deinit(&json);
    }
}

static void sizes(void **state)
{
    (void)state;
    /* around every place where the tree may change from the stack to the heap */
    for (size_t len = 1; len < 40000; len += 97) {
        for (int dense = 0; dense < 2; dense++) {
            struct gw_buf json = {0};
            gw_buf_adds(&json, GW_SLICE("{\"appId\":\"a\",\"eventType\":\"T\",\"x\":["));
            if (!dense)
                gw_buf_addc(&json, '"');
            for (size_t i = 0; i < len / 2; i++)
                gw_buf_adds(&json, dense ? GW_SLICE("1,") : GW_SLICE("xy"));
            gw_buf_adds(&json, dense ? GW_SLICE("1]}") : GW_SLICE("\"]}"));
            assert_int_equal(parse(gw_buf_slice(&json), NULL), GW_OK);
            json.len--;
            assert_int_equal(parse(gw_buf_slice(&json), NULL), GW_ERR_INVALID);
            gw_buf_deinit(&json);
        }
    }
}

static const char sample[] =
    "{\"eventId\":\"evt_1\",\"eventType\":\"APPLICATION_STATE_RESET\",\"eventTime\":\"2026-11-24T"
    "07:46:00Z\",\"appId\":\"caf\\u00e9\",\"transactionId\":\"\\ud83d\\ude00\",\"workflowId\":null,"
    "\"n\":[1,-2.5e+3,true,false,null,{\"k\":\"v\xc3\xa9\"}],\"moduleId\":\"m\"}";

static void truncated(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(sample) - 1; len++)
        assert_int_equal(parse((struct gw_slice){sample, len}, NULL), GW_ERR_INVALID);
    assert_int_equal(parse(GW_SLICE(""), NULL), GW_ERR_INVALID);
    assert_int_equal(parse((struct gw_slice){sample, sizeof(sample) - 1}, NULL), GW_OK);
}

static bool is_name(struct gw_slice s)
{
    return s.ptr == NULL || gw_name_check("x", s, NULL) == GW_OK;
}

static void mutated(void **state)
{
    (void)state;
    struct rng rng = {20261124};
    size_t accepted_count = 0;

    for (int round = 0; round < 50000; round++) {
        struct gw_buf json = {0};
        struct gw_arena arena = {0};
        struct gw_event event;
        struct gw_error error;

        gw_buf_add(&json, sample, sizeof(sample) - 1);
        mutate(&json, &rng);
        struct gw_slice body = exact_copy(gw_buf_slice(&json));
        if (gw_event_parse(&event, body, &arena, &error) == GW_OK) {
            accepted_count++;
            assert_true(event.app_id.ptr && event.event_type.ptr);
        } else {
            assert_int_equal(error.code, GW_ERR_INVALID);
            assert_true(gw_slice_is_utf8(gw_slice_from(error.text)));
        }
        assert_true(is_name(event.app_id) && is_name(event.event_type) && is_name(event.event_id) &&
                    is_name(event.transaction_id) && is_name(event.workflow_id) &&
                    is_name(event.event_time));
        exact_free(body);
        gw_buf_deinit(&json);
        gw_arena_deinit(&arena);
    }
    assert_in_range(accepted_count, 100, 49000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),
        cmocka_unit_test(refuses),
        cmocka_unit_test(keeps_what_it_read_of_a_refused_event),
        cmocka_unit_test(name_lengths),
        cmocka_unit_test(name_checks),
        cmocka_unit_test(depth),
        cmocka_unit_test(many_members),
        cmocka_unit_test(sizes),
        cmocka_unit_test(truncated),
        cmocka_unit_test(mutated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
