/* test_config_test.c: POST /v1/config/test: one real POST, and nothing kept of it. */
#include "rig.h"

#include "base/buf.h"

#include <stdio.h>

#define CONFIG(rest) "{'appId':'a','eventType':'T','webhookUrl':'https://hook.example/p'" rest "}"
#define TEST(rest)   "{'appId':'a','eventType':'T'" rest "}"
#define TESTS_MAX    8

/* What the client's server saw last. */
struct seen {
    const struct rig *rig;
    unsigned count;
    char body[4096], id[64], attempt[8], type[64];
};

static void take(char *out, size_t size, struct gw_slice text)
{
    snprintf(out, size, "%.*s", GW_SLICE_ARG(text));
}

static struct sim_reply on_webhook(void *ctx, const struct gw_http_call *call)
{
    struct seen *seen = ctx;
    seen->count++;
    take(seen->body, sizeof(seen->body), call->body);
    take(seen->id, sizeof(seen->id), sim_call_header(call, "webhook-id"));
    take(seen->attempt, sizeof(seen->attempt), sim_call_header(call, "webhook-attempt"));
    take(seen->type, sizeof(seen->type), sim_call_header(call, "webhook-event-type"));
    assert_true(sim_call_header(call, "webhook-signature").len > 3);
    return (struct sim_reply){.end = GW_HTTP_ANSWERED,
                              .status = seen->rig->reply_status,
                              .delay_ms = seen->rig->reply_delay_ms,
                              .body = "reply"};
}

static struct rig *rig_with(struct seen *seen, const char *config)
{
    struct rig *rig = rig_create(&(struct rig_options){.event_bytes_max = 2000});
    *seen = (struct seen){.rig = rig};
    sim_receiver(rig->sim, "hook.example", on_webhook, seen);
    make_config(rig, config);
    return rig;
}

static struct call *test(struct rig *rig, const char *body)
{
    return call_make(rig, GW_POST, "/v1/config/test", body);
}

static void expect_sent(struct rig *rig, struct seen *seen, const char *body, const char *wanted)
{
    struct call *call = test(rig, body);
    expect_status(call, 200);
    assert_string_equal(seen->body, wanted);
    call_free(call);
}

static void tells_the_attempt(void **state)
{
    struct seen seen;
    struct rig *rig = rig_with(&seen, CONFIG(""));
    (void)state;
    struct call *call = test(rig, TEST(""));
    expect_status(call, 200);
    expect_at(call, "/result/n", "1");
    expect_at(call, "/result/outcome", "success");
    expect_at(call, "/result/statusCode", "200");
    expect_at(call, "/result/responseExcerpt", "reply");
    expect_at(call, "/result/address", "93.184.216.34");
    expect_at(call, "/result/phases/queue", "0.0");
    expect_at(call, "/result/error", "null");
    assert_string_equal(seen.attempt, "1");
    assert_string_equal(seen.type, "T");
    call_free(call);
    rig->reply_status = 500;
    char first[64];
    snprintf(first, sizeof(first), "%s", seen.id);
    call = test(rig, TEST(""));
    expect_status(call, 200);
    expect_at(call, "/result/outcome", "http_error");
    expect_at(call, "/result/statusCode", "500");
    assert_string_not_equal(at(call, "/result/advice"), "null");
    assert_string_not_equal(seen.id, first);
    assert_int_equal(strncmp(seen.id, "msg_", 4), 0);
    call_free(call);
    rig_run(rig, 3600 * 1000);
    assert_int_equal(seen.count, 2);
    call = call_make(rig, GW_GET, "/v1/deliveries", NULL);
    assert_int_equal(count_at(call, "/result/items"), 0);
    call_free(call);
    rig_destroy(rig);
}

static void makes_a_small_event(void **state)
{
    struct seen seen;
    struct rig *rig = rig_with(&seen, CONFIG(""));
    (void)state;
    call_free(test(rig, TEST("")));
    yyjson_doc *doc = yyjson_read(seen.body, strlen(seen.body), 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "appId")), "a");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "eventType")), "T");
    assert_int_equal(yyjson_get_len(yyjson_obj_get(root, "eventId")), 21);
    assert_int_equal(yyjson_get_len(yyjson_obj_get(root, "eventTime")), 24);
    assert_true(yyjson_get_bool(yyjson_obj_get(root, "test")));
    yyjson_doc_free(doc);
    rig_destroy(rig);
}

/* Every byte, wherever the event stands in the request and whatever stands around it. */
static void sends_the_bytes_given(void **state)
{
    static const char event[] =
        "{ 'eventType' :'U' ,'n':1.50e+400,'s':'}]\\\\\\'{', 'a':[{}, [ ]] }";
    struct seen seen;
    struct rig *rig = rig_with(&seen, CONFIG(""));
    char body[512], wanted[256];
    (void)state;
    snprintf(wanted, sizeof(wanted), "%s", event);
    for (char *c = wanted; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    snprintf(body, sizeof(body), TEST(", 'event' : %s "), event);
    expect_sent(rig, &seen, body, wanted);
    assert_string_equal(seen.type, "U");
    snprintf(body, sizeof(body), "\n{'\\u0065vent':\t%s,'appId':'\\u0061','eventType':'T'}\n",
             event);
    expect_sent(rig, &seen, body, wanted);
    expect_sent(rig, &seen, TEST(",'event':{}"), "{}");
    assert_string_equal(seen.type, "T");
    rig_destroy(rig);
}

static void goes_by_the_config(void **state)
{
    struct seen seen;
    struct rig *rig = rig_with(&seen, CONFIG(",'isActive':false,'deleteAppId':true"));
    (void)state;
    expect_sent(rig, &seen, TEST(",'event':{'appId':'a','x':1}"), "{\"x\":1}");
    rig_destroy(rig);
}

static void guards_addresses(void **state)
{
    struct seen seen;
    struct rig *rig = rig_with(&seen, CONFIG(""));
    (void)state;
    sim_name(rig->sim, "hook.example", "10.0.0.5", 5);
    struct call *call = test(rig, TEST(""));
    expect_status(call, 200);
    expect_at(call, "/result/outcome", "blocked");
    expect_at(call, "/result/statusCode", "null");
    assert_int_equal(seen.count, 0);
    call_free(call);
    rig_destroy(rig);
}

static void refuses(void **state)
{
    struct seen seen;
    struct rig *rig = rig_with(&seen, CONFIG(""));
    char body[2300], deep[400];
    (void)state;
    expect_failed(test(rig, ""), 400, "JSON object");
    expect_failed(test(rig, "[]"), 400, "JSON object");
    expect_failed(test(rig, "{'appId':"), 400, "not JSON");
    expect_failed(test(rig, "{'appId':'a'}"), 400, "eventType");
    expect_failed(test(rig, "{'eventType':'T'}"), 400, "appId");
    expect_failed(test(rig, "{'appId':7,'eventType':'T'}"), 400, "appId");
    expect_failed(test(rig, TEST(",'appId':'b'")), 400, "twice");
    expect_failed(test(rig, TEST(",'event':[]")), 400, "event");
    expect_failed(test(rig, TEST(",'event':{},'event':{}")), 400, "twice");
    expect_failed(test(rig, TEST(",'evnt':{}")), 400, "unknown field \"evnt\"");
    expect_failed(test(rig, "{'appId':'a','eventType':'V'}"), 404, "no config");
    expect_failed(test(rig, "{'appId':'b','eventType':'T'}"), 404, "no config");
    int len = snprintf(deep, sizeof(deep), "{'a':%.*s%.*s}", 64,
                       "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 64,
                       "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    assert_int_equal(len, 5 + 128 + 1);
    snprintf(body, sizeof(body), TEST(",'event':%s"), deep);
    expect_failed(test(rig, body), 400, "64 levels");
    snprintf(body, sizeof(body), TEST(",'event':{'p':'%01993d'}"), 0);
    expect_failed(test(rig, body), 413, "at most 2000 bytes, was 2001");
    snprintf(body, sizeof(body), TEST(",'event':{'p':'%01992d'}"), 0);
    struct call *call = test(rig, body);
    expect_status(call, 200);
    call_free(call);
    assert_int_equal(seen.count, 1);
    rig_destroy(rig);
}

static void has_a_ceiling(void **state)
{
    struct seen seen;
    struct rig *rig = rig_with(&seen, CONFIG(""));
    struct call *calls[TESTS_MAX];
    (void)state;
    rig->reply_delay_ms = 5000;
    for (size_t i = 0; i < TESTS_MAX; i++)
        calls[i] = call_start(rig, 0, GW_POST, "/v1/config/test", TEST(""));
    rig_run(rig, 1000);
    struct call *call = test(rig, TEST(""));
    expect_status(call, 503);
    assert_string_equal(reply_header(call, "retry-after"), "1");
    call_free(call);
    for (size_t i = 0; i < TESTS_MAX; i++) {
        call_wait(rig, calls[i]);
        expect_status(calls[i], 200);
        call_free(calls[i]);
    }
    rig->reply_delay_ms = 0;
    call = test(rig, TEST(""));
    expect_status(call, 200);
    call_free(call);
    assert_int_equal(seen.count, TESTS_MAX + 1);
    rig_destroy(rig);
}

static void on_idle(void *ctx)
{
    *(bool *)ctx = true;
}

static bool is_true(void *ctx)
{
    return *(bool *)ctx;
}

/* A stop waits for it, but not longer than the grace time. */
static void ends_with_a_cut(void **state)
{
    struct seen seen;
    struct rig *rig = rig_with(&seen, CONFIG(""));
    bool idle = false;
    (void)state;
    rig->reply_delay_ms = 5000;
    struct call *call = call_start(rig, 0, GW_POST, "/v1/config/test", TEST(""));
    rig_run(rig, 1000);
    gw_shard_drain(rig->flow.shards[0], on_idle, &idle);
    rig_run(rig, 1000);
    assert_false(idle || call->done);
    gw_shard_cut(rig->flow.shards[0]);
    gw_api_cut(rig->apis[0]);
    expect_failed(call, 503, "stopping");
    assert_true(sim_run(rig->sim, is_true, &idle, 1000));
    rig_run(rig, 10000);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_attempt),     cmocka_unit_test(makes_a_small_event),
        cmocka_unit_test(sends_the_bytes_given), cmocka_unit_test(goes_by_the_config),
        cmocka_unit_test(guards_addresses),      cmocka_unit_test(refuses),
        cmocka_unit_test(has_a_ceiling),         cmocka_unit_test(ends_with_a_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
