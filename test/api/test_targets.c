/* test_targets.c: how targets do, enabling them, and how what waits for them is shown. */
#include "rig.h"

#include <stdio.h>

#define CONFIG(rest)                                                                               \
    "{'appId':'a','eventType':'T','webhookUrl':'https://hook.example/p?token=1'" rest "}"
#define EVENT "{'appId':'a','eventType':'T','eventId':'e'}"

static struct call *enable(struct rig *rig, const char *body)
{
    return call_make(rig, GW_POST, "/v1/targets/enable", body);
}

static struct call *get(struct rig *rig)
{
    return call_make(rig, GW_GET, "/v1/targets?appId=a", NULL);
}

static void expect_state(struct rig *rig, const char *wanted)
{
    struct call *call = get(rig);
    expect_status(call, 200);
    expect_at(call, "/result/items/0/state", wanted);
    call_free(call);
}

/* An app whose target has answered 410; one more event waits, held. */
static struct rig *rig_disabled(struct sent *held)
{
    struct rig *rig = rig_create(NULL);
    make_config(rig, CONFIG(""));
    rig->reply_status = 410;
    send_event(rig, EVENT);
    rig_run(rig, 1000);
    rig->reply_status = 200;
    *held = send_event(rig, "{'appId':'a','eventType':'T','eventId':'f'}");
    rig_run(rig, 3600 * 1000);
    return rig;
}

static void looked_at(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CONFIG(",'workflows':{'w':['https://hook.example/w']},'retry':{'schedule':"
                            "[60,60]}"));
    struct call *call = get(rig);
    expect_status(call, 200);
    assert_int_equal(count_at(call, "/result/items"), 2);
    expect_at(call, "/result/items/0/url", "https://hook.example/p");
    expect_at(call, "/result/items/0/state", "ok");
    expect_at(call, "/result/items/0/since", "null");
    expect_at(call, "/result/items/0/reason", "null");
    expect_at(call, "/result/items/0/streak", "0");
    expect_at(call, "/result/items/0/successRate", "null");
    expect_at(call, "/result/items/0/p95Ms", "null");
    expect_at(call, "/result/items/1/url", "https://hook.example/w");
    call_free(call);

    for (int i = 0; i < 3; i++)
        send_event(rig, "{'appId':'a','eventType':'T'}");
    rig_run(rig, 1000);
    rig->reply_status = 500;
    send_event(rig, "{'appId':'a','eventType':'T'}");
    rig_run(rig, 1000);
    call = get(rig);
    expect_at(call, "/result/items/0/state", "failing");
    expect_at(call, "/result/items/0/reason", "http_error");
    expect_at(call, "/result/items/0/streak", "1");
    expect_at(call, "/result/items/0/waiting", "1");
    expect_at(call, "/result/items/0/inFlight", "0");
    expect_at(call, "/result/items/0/successRate", "0.75");
    assert_string_not_equal(at(call, "/result/items/0/since"), "null");
    call_free(call);
    rig->reply_delay_ms = 5000;
    send_event(rig, "{'appId':'a','eventType':'T'}");
    rig_run(rig, 1000);
    call = get(rig);
    expect_at(call, "/result/items/0/waiting", "1");
    expect_at(call, "/result/items/0/inFlight", "1");
    call_free(call);
    expect_failed(call_make(rig, GW_GET, "/v1/targets", NULL), 400, "appId");
    call = call_make(rig, GW_GET, "/v1/targets?appId=nobody", NULL);
    expect_status(call, 200);
    assert_int_equal(count_at(call, "/result/items"), 0);
    call_free(call);
    rig_destroy(rig);
}

/* What is held is called that everywhere, and why says what to do. */
static void held(void **state)
{
    struct sent sent;
    struct rig *rig = rig_disabled(&sent);
    char target[80];
    (void)state;
    struct call *call = get(rig);
    expect_at(call, "/result/items/0/state", "disabled");
    expect_at(call, "/result/items/0/reason", "gone");
    expect_at(call, "/result/items/0/waiting", "1");
    call_free(call);
    snprintf(target, sizeof(target), "/v1/deliveries/%s", sent.delivery);
    call = call_make(rig, GW_GET, target, NULL);
    expect_at(call, "/result/status", "held");
    expect_at(call, "/result/attempts", "0");
    expect_at(call, "/result/nextAttemptAt", "null");
    call_free(call);
    call = call_make(rig, GW_GET, "/v1/deliveries?status=held", NULL);
    assert_int_equal(count_at(call, "/result/items"), 1);
    call_free(call);
    call = call_make(rig, GW_GET, "/v1/deliveries?status=pending", NULL);
    assert_int_equal(count_at(call, "/result/items"), 0);
    call_free(call);
    call = call_make(rig, GW_GET, "/v1/ledger", NULL);
    expect_at(call, "/result/deliveries/held", "1");
    expect_at(call, "/result/closes", "true");
    call_free(call);
    call = call_make(rig, GW_GET, "/v1/why/f", NULL);
    expect_at(call, "/result/verdict", "held");
    assert_non_null(strstr(at(call, "/result/summary"), "disabled, for it answered 410 Gone"));
    assert_non_null(strstr(at(call, "/result/events/0/next"), "/v1/targets/enable"));
    call_free(call);
    rig_destroy(rig);
}

/* By the URL as it is told, or as the config has it; what was held goes out. */
static void enabled(void **state)
{
    static const char *const urls[] = {"https://hook.example/p", "https://hook.example/p?token=1"};
    char body[160];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct sent sent;
        struct rig *rig = rig_disabled(&sent);
        snprintf(body, sizeof(body), "{'appId':'a','url':'%s'}", urls[i]);
        struct call *call = enable(rig, body);
        expect_status(call, 200);
        assert_int_equal(count_at(call, "/result/items"), 1);
        expect_at(call, "/result/items/0/state", "ok");
        call_free(call);
        rig_run(rig, 1000);
        snprintf(body, sizeof(body), "/v1/deliveries/%s", sent.delivery);
        call = call_make(rig, GW_GET, body, NULL);
        expect_at(call, "/result/status", "delivered");
        call_free(call);
        call = call_make(rig, GW_GET, "/v1/audit?appId=a", NULL);
        expect_at(call, "/result/items/0/action", "target_enabled");
        expect_at(call, "/result/items/0/subject", "https://hook.example/p");
        call_free(call);
        rig_destroy(rig);
    }
}

/* A change that names the URL, even unchanged, or isActive true; and no other. */
static void enabled_by_a_change(void **state)
{
    static const struct {
        const char *members, *wanted;
    } changes[] = {
        {"'product':'p'", "disabled"},
        {"'isActive':false", "disabled"},
        {"'workflows':{'w':['https://hook.example/w']}", "disabled"},
        {"'isActive':true,'filter':{'a':[1e400]}", "ok"}, /* whatever numbers are beside it */
        {"'webhookUrl':'https://hook.example/p?token=1'", "ok"},
        {"'workflows':{'w':['https://hook.example/p?token=1']}", "ok"},
        {"'isActive':true", "ok"},
    };
    char body[160];
    (void)state;
    for (size_t i = 0; i < gw_count(changes); i++) {
        struct sent sent;
        struct rig *rig = rig_disabled(&sent);
        snprintf(body, sizeof(body), "{'appId':'a','eventType':'T',%s}", changes[i].members);
        struct call *call = call_make(rig, GW_PATCH, "/v1/config", body);
        expect_status(call, 200);
        call_free(call);
        expect_state(rig, changes[i].wanted);
        rig_destroy(rig);
    }
}

static void enabled_by_a_retry(void **state)
{
    struct sent sent;
    struct rig *rig = rig_disabled(&sent);
    char target[80];
    (void)state;
    snprintf(target, sizeof(target), "/v1/deliveries/%s/retry", sent.delivery);
    struct call *call = call_make(rig, GW_POST, target, NULL);
    expect_status(call, 202);
    expect_at(call, "/result/status", "pending");
    call_free(call);
    rig_run(rig, 1000);
    expect_state(rig, "ok");
    rig_destroy(rig);
}

static void refused(void **state)
{
    struct sent sent;
    struct rig *rig = rig_disabled(&sent);
    (void)state;
    expect_failed(enable(rig, ""), 400, "JSON object");
    expect_failed(enable(rig, "{'appId':'a'}"), 400, "url");
    expect_failed(enable(rig, "{'url':'https://hook.example/p'}"), 400, "appId");
    expect_failed(enable(rig, "{'appId':'a','url':''}"), 400, "url");
    expect_failed(enable(rig, "{'appId':'a','url':['x','y']}"), 400, "url");
    expect_failed(enable(rig, "{'appId':['x','y'],'url':'u'}"), 400, "appId");
    expect_failed(enable(rig, "{'appId':'a','url':'u','all':true}"), 400, "unknown field \"all\"");
    expect_failed(enable(rig, "{'appId':'a','url':'https://hook.example/'}"), 404, "no config");
    expect_failed(enable(rig, "{'appId':'b','url':'https://hook.example/p'}"), 404, "no config");
    expect_state(rig, "disabled");
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looked_at),
        cmocka_unit_test(held),
        cmocka_unit_test(enabled),
        cmocka_unit_test(enabled_by_a_change),
        cmocka_unit_test(enabled_by_a_retry),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
