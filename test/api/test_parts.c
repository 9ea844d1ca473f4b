/* test_parts.c: what needs no world: JSON, addresses, queries, routes. */
#include "rig.h"

#include "api/auth.h"
#include "api/query.h"
#include "api/reply.h"

#include <stdlib.h>

/* ── JSON ──────────────────────────────────────────────────────────────────────────────────── */

static void texts(void **state)
{
    static const struct {
        struct gw_slice in;
        const char *out;
    } rows[] = {
        {{NULL, 0}, "null"},
        {{"", 0}, "\"\""},
        {{"plain", 5}, "\"plain\""},
        {{"a\"b\\c/", 6}, "\"a\\\"b\\\\c/\""},
        {{"\b\f\n\r\t", 5}, "\"\\b\\f\\n\\r\\t\""},
        {{"\0\x1f\x7f", 3}, "\"\\u0000\\u001f\\u007f\""},
        {{"\xc3\xa9\xf0\x9f\x98\x80", 6}, "\"\xc3\xa9\xf0\x9f\x98\x80\""},
        {{"a\xff\xc3", 3}, "\"a\xef\xbf\xbd\xef\xbf\xbd\""},               /* no UTF-8, and cut */
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* a surrogate */
    };
    struct gw_buf out = {0};
    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        gw_buf_clear(&out);
        gw_json_text(&out, rows[i].in);
        assert_string_equal(gw_buf_text(&out), rows[i].out);
        assert_int_equal(out.len, strlen(rows[i].out));
    }
    gw_buf_deinit(&out);
}

static void members(void **state)
{
    struct gw_buf out = {0};
    (void)state;
    gw_buf_addc(&out, '{');
    gw_json_member_s(&out, "a", "{");
    gw_json_member_s(&out, "b", NULL);
    gw_json_member_bool(&out, "c", true);
    gw_json_member_int(&out, "d", INT64_MIN);
    gw_json_member_time(&out, "e", 0);
    gw_json_member_ms(&out, "f", 12003);
    gw_json_member_null(&out, "g");
    gw_json_key(&out, "h");
    gw_buf_addc(&out, '[');
    for (int i = 0; i < 2; i++) {
        gw_json_next(&out);
        gw_json_text(&out, GW_SLICE("["));
    }
    gw_buf_add(&out, "]}", 2);
    assert_string_equal(gw_buf_text(&out),
                        "{\"a\":\"{\",\"b\":null,\"c\":true,\"d\":-9223372036854775808,"
                        "\"e\":\"1970-01-01T00:00:00.000Z\",\"f\":12.003,\"g\":null,"
                        "\"h\":[\"[\",\"[\"]}");
    gw_buf_deinit(&out);
}

/* ── Addresses ─────────────────────────────────────────────────────────────────────────────── */

static void addresses(void **state)
{
    static const struct {
        const char *peer, *first, *second; /* X-Forwarded-For */
        const char *client;                /* "" = it cannot be told */
    } rows[] = {
        {"198.51.100.1", NULL, NULL, "198.51.100.1"},
        {"198.51.100.1", "203.0.113.7", NULL, "198.51.100.1"}, /* anybody may write that */
        {"127.0.0.9", NULL, NULL, "127.0.0.9"},
        {"127.0.0.9", "203.0.113.7", NULL, "203.0.113.7"},
        {"127.0.0.9", "203.0.113.7, 198.51.100.1", NULL, "198.51.100.1"},
        {"127.0.0.9", "203.0.113.7,198.51.100.1 , 192.0.2.4", NULL, "198.51.100.1"},
        {"127.0.0.9", "203.0.113.7", "198.51.100.1", "198.51.100.1"},
        {"127.0.0.9", "198.51.100.1", "192.0.2.4", "198.51.100.1"},
        {"127.0.0.9", "192.0.2.1, 192.0.2.4", NULL, "192.0.2.1"}, /* all are proxies */
        {"127.0.0.9", "203.0.113.7:1234", NULL, "203.0.113.7"},
        {"127.0.0.9", "2001:db8::7", NULL, "2001:db8::7"},
        {"127.0.0.9", "[2001:db8::7]", NULL, "2001:db8::7"},
        {"127.0.0.9", "[2001:db8::7]:80", NULL, "2001:db8::7"},
        {"127.0.0.9", "::ffff:203.0.113.7", NULL, "203.0.113.7"},
        {"127.0.0.9", "203.0.113.7,", NULL, "203.0.113.7"},
        {"127.0.0.9", "unknown", NULL, ""},
        {"127.0.0.9", "203.0.113.7, rubbish", NULL, ""},
        {"127.0.0.9", "rubbish, 203.0.113.7", NULL, "203.0.113.7"},
        {"127.0.0.9", "[2001:db8::7", NULL, ""},
        {"127.0.0.9", "a:b:c", NULL, ""},
    };
    struct gw_api_options options = {0};
    struct gw_slice bad;
    (void)state;
    assert_true(
        gw_net_list_parse(GW_SLICE("127.0.0.9,192.0.2.0/24"), &options.trusted_proxies, &bad));
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_header headers[2] = {
            {GW_SLICE("X-Forwarded-For"), gw_slice_from(rows[i].first)},
            {GW_SLICE("x-forwarded-for"), gw_slice_from(rows[i].second)},
        };
        struct gw_exchange exchange = {.headers = headers};
        exchange.header_count = rows[i].second ? 2 : rows[i].first ? 1 : 0;
        assert_true(gw_addr_parse(gw_slice_from(rows[i].peer), &exchange.peer));
        struct gw_addr client = gw_auth_address(&options, &exchange);
        char text[GW_ADDR_TEXT_MAX] = "";
        if (client.family)
            gw_addr_text(&client, text);
        assert_string_equal(text, rows[i].client);
    }
    gw_net_list_deinit(&options.trusted_proxies);
}

/* ── Queries ───────────────────────────────────────────────────────────────────────────────── */

static void queries(void **state)
{
    static const char *const names[] = {"a", "b"};
    static const struct {
        const char *query, *a, *b;
        const char *error; /* NULL = none; a part of the text */
    } rows[] = {
        {NULL, NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
        {"&&", NULL, NULL, NULL},
        {"a=1", "1", NULL, NULL},
        {"a=1&b=2", "1", "2", NULL},
        {"b=x=y&a=%26%3D+%2B", "&= +", "x=y", NULL},
        {"%61=1", "1", NULL, NULL},
        {"a=", NULL, NULL, "a: must not be empty"},
        {"b=1&a", NULL, NULL, "a: must not be empty"},
        {"a=%C3%A9", "\xc3\xa9", NULL, NULL},
        {"a=1&a=2", NULL, NULL, "a: is there twice"},
        {"a%00=1", NULL, NULL, "unknown query parameter \"a\\u0000\"; there are: a, b"},
        {"A=1", NULL, NULL, "unknown query parameter \"A\"; there are: a, b"},
        {"c=1", NULL, NULL, "\"c\""},
        {"a=%", NULL, NULL, "a: must be percent-encoded"},
        {"a=%zz", NULL, NULL, "a: must be percent-encoded"},
        {"a=%ff", NULL, NULL, "UTF-8"},
        {"%ff=1", NULL, NULL, "name"},
    };
    struct gw_arena arena = {0};
    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_exchange exchange = {.arena = &arena, .query = gw_slice_from(rows[i].query)};
        struct gw_api_request request = {.exchange = &exchange};
        struct gw_slice values[2];
        struct gw_error error = {0};
        enum gw_err err = gw_query_parse(&request, names, 2, values, &error);
        assert_int_equal(err, rows[i].error ? GW_ERR_INVALID : GW_OK);
        if (rows[i].error) {
            assert_non_null(strstr(error.text, rows[i].error));
            continue;
        }
        assert_true(gw_slice_eq(values[0], gw_slice_from(rows[i].a)));
        assert_true(gw_slice_eq(values[1], gw_slice_from(rows[i].b)));
        assert_int_equal(values[0].ptr != NULL, rows[i].a != NULL);
    }
    gw_arena_deinit(&arena);
}

static void a_query_that_is_too_long(void **state)
{
    static const char *const names[] = {"a"};
    struct gw_arena arena = {0};
    struct gw_buf text = {0};
    struct gw_slice value;
    struct gw_error error;
    (void)state;
    gw_buf_adds(&text, GW_SLICE("a="));
    while (text.len <= GW_QUERY_TEXT_MAX)
        gw_buf_addc(&text, 'x');
    struct gw_exchange exchange = {.arena = &arena, .query = gw_buf_slice(&text)};
    struct gw_api_request request = {.exchange = &exchange};
    assert_int_equal(gw_query_parse(&request, names, 1, &value, &error), GW_ERR_INVALID);
    exchange.query.len--;
    assert_int_equal(gw_query_parse(&request, names, 1, &value, &error), GW_OK);
    gw_buf_deinit(&text);
    gw_arena_deinit(&arena);
}

static void typed_values(void **state)
{
    struct gw_error error;
    size_t limit = 0;
    bool yes;
    int64_t plain = 7, spaced = 7, none = 7;
    (void)state;
    assert_int_equal(gw_query_bool("b", GW_SLICE("true"), &yes, &error), GW_OK);
    assert_true(yes);
    assert_int_equal(gw_query_bool("b", (struct gw_slice){0}, &yes, &error), GW_OK);
    assert_false(yes);
    assert_int_equal(gw_query_bool("b", GW_SLICE("yes"), &yes, &error), GW_ERR_INVALID);
    assert_int_equal(gw_query_limit((struct gw_slice){0}, &limit, &error), GW_OK);
    assert_int_equal(limit, 100);
    assert_int_equal(gw_query_limit(GW_SLICE("250"), &limit, &error), GW_OK);
    assert_int_equal(limit, 250);
    assert_int_equal(gw_query_limit(GW_SLICE("251"), &limit, &error), GW_ERR_INVALID);
    assert_int_equal(gw_query_limit(GW_SLICE("0"), &limit, &error), GW_ERR_INVALID);
    assert_int_equal(gw_query_limit(GW_SLICE("-1"), &limit, &error), GW_ERR_INVALID);
    assert_int_equal(gw_query_time("t", GW_SLICE("2026-01-01T01:00:00+01:00"), &plain, &error),
                     GW_OK);
    assert_int_equal(gw_query_time("t", GW_SLICE("2026-01-01T01:00:00 01:00"), &spaced, &error),
                     GW_OK);
    assert_int_equal(plain, spaced);
    assert_int_equal(gw_query_time("t", (struct gw_slice){0}, &none, &error), GW_OK);
    assert_int_equal(none, 7);
    assert_int_equal(gw_query_time("t", GW_SLICE("yesterday"), &none, &error), GW_ERR_INVALID);
    assert_int_equal(gw_query_time("t", GW_SLICE("2026-01-01 01:00"), &none, &error),
                     GW_ERR_INVALID);
}

/* ── Routes ────────────────────────────────────────────────────────────────────────────────── */

static void routes(void **state)
{
    static const struct {
        enum gw_method method;
        const char *path;
        const char *route; /* NULL = none */
        const char *id, *allow;
    } rows[] = {
        {GW_POST, "/v1/events", "/v1/events", NULL, NULL},
        {GW_GET, "/v1/events/msg_x", "/v1/events/{id}", "msg_x", NULL},
        {GW_HEAD, "/v1/events/msg_x", "/v1/events/{id}", "msg_x", NULL},
        {GW_GET, "/v1/why/a%2Fb", "/v1/why/{id}", "a%2Fb", NULL},
        {GW_POST, "/v1/deliveries/d/retry", "/v1/deliveries/{id}/retry", "d", NULL},
        {GW_GET, "/v1/deliveries/d/retry", NULL, NULL, "POST"},
        {GW_PUT, "/v1/config", NULL, NULL, "POST, GET, HEAD, PATCH, DELETE"},
        {GW_METHOD_OTHER, "/metrics", NULL, NULL, "GET, HEAD"},
        {GW_GET, "/v1/why/", NULL, NULL, ""},
        {GW_GET, "/v1/why", NULL, NULL, ""},
        {GW_GET, "/v1/why/a/b", NULL, NULL, ""},
        {GW_GET, "/v1/config/", NULL, NULL, ""},
        {GW_GET, "//v1/config", NULL, NULL, ""},
        {GW_GET, "", NULL, NULL, ""},
        {GW_GET, "/", NULL, NULL, ""},
        {GW_GET, "/V1/config", NULL, NULL, ""},
    };
    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        char allow[GW_API_ALLOW_MAX];
        size_t len;
        struct gw_slice id;
        const struct gw_api_route *route =
            gw_api_route_find(rows[i].method, gw_slice_from(rows[i].path), &id, allow, &len);
        assert_int_equal(route != NULL, rows[i].route != NULL);
        if (route) {
            assert_string_equal(route->path, rows[i].route);
            assert_true(gw_slice_eq(id, gw_slice_from(rows[i].id)));
        } else {
            assert_true(gw_slice_is((struct gw_slice){allow, len}, rows[i].allow));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(members),
        cmocka_unit_test(addresses),
        cmocka_unit_test(queries),
        cmocka_unit_test(a_query_that_is_too_long),
        cmocka_unit_test(typed_values),
        cmocka_unit_test(routes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
