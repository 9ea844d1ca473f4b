/* config_body.c: options become the JSON that the API takes. */
#include "cli/config_body.h"

#include "../base/test.h"
#include "base/alloc.h"

static struct gw_config_given given;
static struct gw_error error;

static int setup(void **state)
{
    (void)state;
    gw_config_given_init(&given);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_config_given_deinit(&given);
    return 0;
}

static void add(struct gw_option_list *list, const char *item)
{
    list->items = gw_realloc(list->items, (list->count + 1) * sizeof(*list->items));
    list->items[list->count++] = item;
}

static void expect_body(const char *wanted)
{
    struct gw_buf out = {0};

    expect(gw_config_body_make(&given, &out, &error) == GW_OK, "%s", error.text);
    expect_slice(gw_buf_slice(&out), wanted);
    gw_buf_deinit(&out);
}

static void expect_refused(const char *said)
{
    struct gw_buf out = {0};

    assert_int_equal(gw_config_body_make(&given, &out, &error), GW_ERR_INVALID);
    assert_string_equal(error.text, said);
    gw_buf_deinit(&out);
}

static void only_what_was_given(void **state)
{
    (void)state;
    expect_body("{}");
    given.pair.app = "acme";
    given.pair.type = "T";
    given.url = "https://a.example/x";
    expect_body("{\"appId\":\"acme\",\"eventType\":\"T\",\"webhookUrl\":\"https://a.example/x\"}");
}

static void everything(void **state)
{
    (void)state;
    given.pair.app = "ac\"me";
    given.product = "P";
    given.secret = "s";
    given.max_in_flight = 3;
    given.delete_app_id = 1;
    given.inactive = 1;
    add(&given.headers, "x-a: 1: 2 ");
    add(&given.headers, "x-b:");
    add(&given.workflows, "w=1=https://a/?b=c");
    add(&given.workflows, "v=http://b/");
    add(&given.workflows, "w=1=http://c/");
    given.retry = "5, 60";
    given.timeout_ms = 2000;
    expect_body("{\"appId\":\"ac\\\"me\",\"product\":\"P\",\"secret\":\"s\",\"maxInFlight\":3,"
                "\"deleteAppId\":true,\"isActive\":false,\"headers\":{\"x-a\":\"1: 2\","
                "\"x-b\":\"\"},\"workflows\":{\"w=1\":[\"https://a/?b=c\",\"http://c/\"],"
                "\"v\":[\"http://b/\"]},\"retry\":{\"schedule\":[5,60],\"timeoutMs\":2000}}");
}

static void parts_of_retry(void **state)
{
    (void)state;
    given.retry = "none";
    expect_body("{\"retry\":{\"schedule\":[]}}");
    given.retry = NULL;
    given.timeout_ms = 1;
    expect_body("{\"retry\":{\"timeoutMs\":1}}");
}

static void filters(void **state)
{
    (void)state;
    given.filter = "{ \"a\": [{\"numeric\": [\"<\", 1.50]}], \"b\": [12345678901234567890123] }";
    expect_body("{\"filter\":{\"a\":[{\"numeric\":[\"<\",1.50]}],"
                "\"b\":[12345678901234567890123]}}");
    given.filter = "none";
    expect_body("{\"filter\":null}");
    given.filter = "[1]"; /* the server says why not */
    expect_body("{\"filter\":[1]}");
    given.filter = "{\"a\":[1}";
    expect_refused("--filter: must be a JSON object, @FILE or none, was not JSON: unexpected "
                   "character, expected a comma or a closing bracket at byte 8");
}

static void lists_are_whole(void **state)
{
    (void)state;
    add(&given.metadata_keys, "workflowId");
    add(&given.metadata_keys, "none");
    add(&given.blocklist, "a.b");
    add(&given.blocklist, "/x.y/z");
    expect_body("{\"additionalMetadataKeys\":[\"workflowId\",\"none\"],"
                "\"payloadBlocklist\":[\"a.b\",\"/x.y/z\"]}");
    given.metadata_keys.count = given.blocklist.count = 1;
    given.metadata_keys.items[0] = given.blocklist.items[0] = "none";
    expect_body("{\"additionalMetadataKeys\":[],\"payloadBlocklist\":[]}");
}

static void signing(void **state)
{
    (void)state;
    given.schemes = "standard, ed25519,";
    expect_body("{\"signing\":{\"schemes\":[\"standard\",\"ed25519\",\"\"]}}");
    given.schemes = NULL;
    given.body_encoding = "base64";
    expect_body("{\"signing\":{\"bodyEncoding\":\"base64\"}}");
    given.schemes = "body";
    given.body_header = "x-sig";
    expect_body("{\"signing\":{\"schemes\":[\"body\"],\"bodyHeader\":\"x-sig\","
                "\"bodyEncoding\":\"base64\"}}");
}

static void rate_limits(void **state)
{
    (void)state;
    given.rate_limit = "50";
    expect_body("{\"rateLimit\":50}");
    given.rate_limit = "none";
    expect_body("{\"rateLimit\":null}");
    given.rate_limit = "5/s";
    expect_refused("--rate-limit: must be a whole number, or none, was \"5/s\"");
}

static void active_or_not(void **state)
{
    (void)state;
    given.active = 1;
    expect_body("{\"isActive\":true}");
    given.inactive = 1;
    expect_refused("--active and --inactive: one of them");
    given.active = GW_GIVEN_NOT;
    given.inactive = 0;
    expect_body("{\"isActive\":true}");
    given.delete_app_id = 0;
    expect_body("{\"deleteAppId\":false,\"isActive\":true}");
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    given.retry = "5,,6";
    expect_refused("--retry: must be whole seconds with commas between, or none, was \"5,,6\"");
    given.retry = "1.5";
    expect_refused("--retry: must be whole seconds with commas between, or none, was \"1.5\"");
    given.retry = NULL;
    add(&given.workflows, "w:ftp://x");
    expect_refused("--workflow: must be ID=URL, with http:// or https://, was \"w:ftp://x\"");
    given.workflows.count = 0;
    add(&given.workflows, "=http://x");
    expect_refused("--workflow: must be ID=URL, with http:// or https://, was \"=http://x\"");
    given.workflows.count = 0;
    add(&given.headers, "secret-without-colon");
    expect_refused("--header: must be 'name: value'");
    given.headers.count = 0;
    add(&given.headers, "x: 1");
    add(&given.headers, "x: 2");
    expect_refused("--header: x is given twice");
    given.headers.count = 0;
    given.pair.app = "\xFF";
    expect_refused("an option's value is not UTF-8");
}

static void takes_an_answer_apart(void **state)
{
    static const struct {
        const char *text, *inner;
    } texts[] = {
        {"{\"statusCode\":200,\"status\":\"success\",\"result\":{\"appId\":\"a\"}}",
         "{\"appId\":\"a\"}"},
        {"{\"appId\":\"a\"}", "{\"appId\":\"a\"}"},
        {"{\"result\":{}}", "{\"result\":{}}"},
        {"{\"statusCode\":200,\"result\":[]}", "{\"statusCode\":200,\"result\":[]}"},
        {"nonsense", "nonsense"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(texts); i++) {
        struct gw_buf out = {0};
        gw_config_body_unwrap(gw_slice_from(texts[i].text), &out);
        expect_slice(gw_buf_slice(&out), texts[i].inner);
        gw_buf_deinit(&out);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_what_was_given), TEST(everything),
        TEST(parts_of_retry),      TEST(filters),
        TEST(lists_are_whole),     TEST(signing),
        TEST(rate_limits),         TEST(active_or_not),
        TEST(says_what_is_wrong),  TEST(takes_an_answer_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
