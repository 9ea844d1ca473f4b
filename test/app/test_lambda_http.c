/* test_lambda_http.c: what AWS documents as payload 2.0, as an exchange, and back. */
#include "../base/test.h"
#include "app/lambda_http.h"
#include "aws/json.h"
#include "aws/runtime.h"
#include "base/alloc.h"

static struct gw_arena arena;

static int teardown(void **state)
{
    (void)state;
    gw_arena_deinit(&arena);
    return 0;
}

#define URL_EVENT(more)                                                                            \
    "{\"version\":\"2.0\",\"rawPath\":\"/v1/config\",\"rawQueryString\":\"appId=a%20b&x=1\","      \
    "\"headers\":{\"authorization\":\"Bearer x\",\"x-forwarded-for\":\"10.0.0.1\"},"               \
    "\"requestContext\":{\"stage\":\"$default\",\"http\":{\"method\":\"PATCH\","                   \
    "\"sourceIp\":\"203.0.113.7\"}}" more "}"

static enum gw_err read_event(struct gw_exchange *exchange, const char *json,
                              struct gw_error *error)
{
    yyjson_doc *doc = gw_aws_json_read(&arena, gw_slice_from(json));

    assert_non_null(doc);
    *exchange = (struct gw_exchange){.arena = &arena};
    assert_true(gw_lambda_http_is(yyjson_doc_get_root(doc)));
    return gw_lambda_http_read(exchange, yyjson_doc_get_root(doc), error);
}

static struct gw_exchange read_well(const char *json)
{
    struct gw_exchange exchange;
    struct gw_error error = {0};

    expect(read_event(&exchange, json, &error) == GW_OK, "%s", error.text);
    return exchange;
}

static void request(void **state)
{
    struct gw_exchange exchange = read_well(URL_EVENT(",\"body\":\"{\\\"a\\\":1}\""));
    char text[GW_ADDR_TEXT_MAX];

    (void)state;
    assert_int_equal(exchange.method, GW_PATCH);
    expect_slice(exchange.path, "/v1/config");
    expect_slice(exchange.query, "appId=a%20b&x=1");
    expect_slice(exchange.body, "{\"a\":1}");
    expect_slice(gw_exchange_header(&exchange, "Authorization"), "Bearer x");
    assert_int_equal(exchange.header_count, 2);
    expect_slice(gw_addr_text(&exchange.peer, text), "203.0.113.7");
}

static void bodies(void **state)
{
    (void)state;
    struct gw_exchange none = read_well(URL_EVENT(""));
    assert_non_null(none.body.ptr);
    assert_int_equal(none.body.len, 0);
    struct gw_exchange binary = read_well(URL_EVENT(",\"body\":\"AP8=\",\"isBase64Encoded\":true"));
    assert_int_equal(binary.body.len, 2);
    assert_memory_equal(binary.body.ptr, "\0\xff", 2);
}

static void stages(void **state)
{
    static const char *const rows[][2] = {
        {"/prod/healthz", "/healthz"}, {"/prod/", "/"},
        {"/product", "/product"},      {"/prod", "/prod"},
        {"/v1/prod/x", "/v1/prod/x"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++)
        expect_slice(
            read_well(gw_arena_printf(&arena,
                                      "{\"version\":\"2.0\",\"rawPath\":\"%s\",\"requestContext\":{"
                                      "\"stage\":\"prod\",\"http\":{\"sourceIp\":\"::1\"}}}",
                                      rows[i][0]))
                .path,
            rows[i][1]);
}

static void refused(void **state)
{
    static const struct {
        const char *json, *why;
    } rows[] = {
        {"{\"version\":\"1.0\",\"requestContext\":{\"http\":{}}}", "version: must be"},
        {"{\"version\":\"2.0\",\"requestContext\":{\"http\":{}}}", "sourceIp: must be"},
        {"{\"version\":\"2.0\",\"requestContext\":{\"http\":{\"sourceIp\":\"x\"}}}",
         "sourceIp: must be"},
        {"{\"version\":\"2.0\",\"requestContext\":{\"http\":{\"sourceIp\":\"::1\"}}}",
         "rawPath: must begin"},
        {"{\"version\":\"2.0\",\"rawPath\":\"/\",\"headers\":{\"a\":1},"
         "\"requestContext\":{\"http\":{\"sourceIp\":\"::1\"}}}",
         "headers: must be"},
        {URL_EVENT(",\"body\":\"canary\",\"isBase64Encoded\":true"), "body: must be base64"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_exchange exchange;
        struct gw_error error;
        expect(read_event(&exchange, rows[i].json, &error) == GW_ERR_INVALID, "%s", rows[i].json);
        expect(strstr(error.text, rows[i].why), "%s, not %s", error.text, rows[i].why);
        assert_null(strstr(error.text, "canary"));
    }
}

static void other_events(void **state)
{
    static const char *const rows[] = {"{}", "[]", "1", "{\"Records\":[]}",
                                       "{\"requestContext\":{\"elb\":{}},\"path\":\"/\"}"};

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++)
        assert_false(gw_lambda_http_is(
            yyjson_doc_get_root(gw_aws_json_read(&arena, gw_slice_from(rows[i])))));
}

static void answers(void **state)
{
    struct gw_exchange exchange = {
        .arena = &arena,
        .status = 201,
        .content_type = "application/json",
        .reply_headers = {{GW_SLICE("retry-after"), GW_SLICE("3")}},
        .reply_header_count = 1,
        .reply = GW_SLICE("{\"a\":\"\xc3\xbc\"}"),
    };

    (void)state;
    expect_slice(gw_lambda_http_write(&exchange),
                 "{\"statusCode\":201,\"headers\":{\"content-type\":\"application/json\","
                 "\"retry-after\":\"3\"},\"body\":\"{\\\"a\\\":\\\"\xc3\xbc\\\"}\","
                 "\"isBase64Encoded\":false}");
    exchange.method = GW_HEAD;
    assert_non_null(strstr(gw_lambda_http_write(&exchange).ptr, "\"body\":\"\""));
    exchange = (struct gw_exchange){.arena = &arena, .status = 200, .reply = GW_SLICE("\0\xff")};
    expect_slice(gw_lambda_http_write(&exchange),
                 "{\"statusCode\":200,\"headers\":{},\"body\":\"AP8=\",\"isBase64Encoded\":true}");
    exchange = (struct gw_exchange){.arena = &arena, .status = 204};
    expect_slice(gw_lambda_http_write(&exchange),
                 "{\"statusCode\":204,\"headers\":{},\"body\":\"\",\"isBase64Encoded\":false}");
}

static void too_large(void **state)
{
    size_t len = GW_AWS_INVOCATION_BYTES_MAX - 100;
    char *bytes = gw_alloc(len);
    struct gw_exchange exchange = {.arena = &arena, .status = 200, .reply = {bytes, len}};

    (void)state;
    memset(bytes, 'a', len);
    assert_true(gw_lambda_http_write(&exchange).len > len);
    memset(bytes, '"', 200); /* each takes two bytes */
    struct gw_slice json = gw_lambda_http_write(&exchange);
    yyjson_val *root = yyjson_doc_get_root(gw_aws_json_read(&arena, json));
    assert_int_equal(yyjson_get_int(yyjson_obj_get(root, "statusCode")), 413);
    assert_non_null(gw_aws_json_read(&arena, gw_aws_json_text(root, "body")));
    gw_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(request, teardown),
        cmocka_unit_test_teardown(bodies, teardown),
        cmocka_unit_test_teardown(stages, teardown),
        cmocka_unit_test_teardown(refused, teardown),
        cmocka_unit_test_teardown(other_events, teardown),
        cmocka_unit_test_teardown(answers, teardown),
        cmocka_unit_test_teardown(too_large, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
