/* test_looking.c: lists of deliveries, one delivery, and the manual retry. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

#define CONFIG(type, rest)                                                                         \
    "{'appId':'a','eventType':'" type "','webhookUrl':'https://hook.example/" type                 \
    "?token=x'" rest "}"

static struct call *one(struct rig *rig, const char *id)
{
    char target[96];
    snprintf(target, sizeof(target), "/v1/deliveries/%s", id);
    return call_make(rig, GW_GET, target, NULL);
}

static struct call *retry(struct rig *rig, const char *id)
{
    char target[96];
    snprintf(target, sizeof(target), "/v1/deliveries/%s/retry", id);
    return call_make(rig, GW_POST, target, NULL);
}

static size_t count_of(struct rig *rig, const char *query)
{
    char target[256];
    snprintf(target, sizeof(target), "/v1/deliveries%s", query);
    struct call *call = call_make(rig, GW_GET, target, NULL);
    expect_status(call, 200);
    size_t count = count_at(call, "/result/items");
    call_free(call);
    return count;
}

static void change(struct rig *rig, const char *body)
{
    struct call *call = call_make(rig, GW_PATCH, "/v1/config", body);
    expect_status(call, 200);
    call_free(call);
}

static void an_item(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CONFIG("T", ",'retry':{'schedule':[60]}"));
    rig->reply_status = 503;
    struct sent sent =
        send_event(rig, "{'appId':'a','eventType':'T','eventId':'e','transactionId':'t'}");
    rig_run(rig, 1000);
    struct call *call = one(rig, sent.delivery);
    expect_status(call, 200);
    expect_at(call, "/result/id", sent.delivery);
    expect_at(call, "/result/messageId", sent.message);
    expect_at(call, "/result/eventId", "e");
    expect_at(call, "/result/appId", "a");
    expect_at(call, "/result/eventType", "T");
    expect_at(call, "/result/transactionId", "t");
    expect_at(call, "/result/url", "https://hook.example/T");
    expect_at(call, "/result/status", "pending");
    expect_at(call, "/result/attempts", "1");
    expect_at(call, "/result/lastStatusCode", "503");
    expect_at(call, "/result/lastError", "answered 503");
    expect_at(call, "/result/configVersion", "1");
    expect_at(call, "/result/replayOf", "null");
    assert_int_equal(strlen(at(call, "/result/nextAttemptAt")), 24);
    expect_at(call, "/result/attemptLog/0/n", "1");
    expect_at(call, "/result/attemptLog/0/outcome", "http_error");
    expect_at(call, "/result/attemptLog/0/statusCode", "503");
    expect_at(call, "/result/attemptLog/0/address", "93.184.216.34");
    expect_at(call, "/result/attemptLog/0/responseExcerpt", "reply");
    assert_true(strtod(at(call, "/result/attemptLog/0/phases/dns"), NULL) > 0);
    assert_true(strlen(at(call, "/result/attemptLog/0/advice")) > 20);
    call_free(call);

    rig->reply_status = 204;
    rig_run(rig, 120000);
    call = one(rig, sent.delivery);
    expect_at(call, "/result/status", "delivered");
    expect_at(call, "/result/nextAttemptAt", "null");
    expect_at(call, "/result/lastError", "null");
    expect_at(call, "/result/attemptLog/1/outcome", "success");
    expect_at(call, "/result/attemptLog/1/advice", "null");
    call_free(call);
    expect_failed(one(rig, "dlv_aaaaaaaaaaaaaaaaaaaaaaaaaa"), 404, "delivery");
    expect_failed(one(rig, "nonsense"), 404, "delivery");
    expect_failed(one(rig, sent.message), 404, "delivery");
    rig_destroy(rig);
}

static void never_attempted(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CONFIG("T", ",'maxInFlight':1"));
    rig->reply_delay_ms = -1;
    struct sent first = send_event(rig, "{'appId':'a','eventType':'T'}");
    struct sent second = send_event(rig, "{'appId':'a','eventType':'T'}");
    struct call *call = one(rig, second.delivery);
    expect_at(call, "/result/status", "pending");
    expect_at(call, "/result/url", "https://hook.example/T");
    expect_at(call, "/result/attempts", "0");
    expect_at(call, "/result/lastStatusCode", "null");
    expect_at(call, "/result/attemptLog", "[]");
    call_free(call);
    change(rig, "{'appId':'a','eventType':'T','webhookUrl':'https://hook.example/new'}");
    call = one(rig, second.delivery); /* of the next attempt */
    expect_at(call, "/result/url", "https://hook.example/new");
    expect_at(call, "/result/configVersion", "1");
    call_free(call);
    (void)first;
    rig_destroy(rig);
}

static void filters(void **state)
{
    static const struct {
        const char *query;
        size_t count;
    } rows[] = {
        {"", 9},
        {"?appId=a", 9},
        {"?appId=b", 0},
        {"?eventType=GOOD", 3},
        {"?status=delivered", 3},
        {"?status=dead", 3},
        {"?status=pending", 0},
        {"?status=held", 3},
        {"?status=cancelled", 0},
        {"?eventId=e4", 1},
        {"?transactionId=t1", 4},
        {"?transactionId=t1&status=held", 1},
        {"?url=https://hook.example/DEAD", 3},
        {"?url=https%3A%2F%2Fhook.example%2FDEAD%3Ftoken%3Dy", 3},
        {"?url=https://hook.example/NONE", 0},
        {"?from=2000-01-01T00:00:00Z", 9},
        {"?to=2000-01-01T00:00:00Z", 0},
        {"?limit=4", 4},
        {"?status=held&limit=1", 1}, /* behind pages that hold none */
    };
    static const char *const types[] = {"GOOD", "DEAD", "WAIT"};
    static const char *const bad[] = {"?appid=a",  "?status=done",    "?limit=0",
                                      "?limit=x",  "?from=then",      "?to=5",
                                      "?cursor=x", "?limit=1&limit=2"};
    struct rig *rig = rig_create(NULL);
    char body[160];
    (void)state;
    make_config(rig, CONFIG("GOOD", ""));
    make_config(rig, CONFIG("DEAD", ",'retry':{'schedule':[]}"));
    make_config(rig, CONFIG("WAIT", ",'retry':{'schedule':[600]}"));
    for (int i = 0; i < 9; i++) {
        rig->reply_status = i % 3 == 0 ? 200 : 500;
        snprintf(body, sizeof(body),
                 "{'appId':'a','eventType':'%s','eventId':'e%d','transactionId':'t%d'}",
                 types[i % 3], i, i % 2);
        send_event(rig, body);
        rig_run(rig, 1000);
    }
    change(rig, "{'appId':'a','eventType':'WAIT','isActive':false}");
    for (size_t i = 0; i < gw_count(rows); i++)
        if (count_of(rig, rows[i].query) != rows[i].count)
            fail_msg("%s: %zu, not %zu", rows[i].query, count_of(rig, rows[i].query),
                     rows[i].count);
    for (size_t i = 0; i < gw_count(bad); i++) {
        snprintf(body, sizeof(body), "/v1/deliveries%s", bad[i]);
        expect_failed(call_make(rig, GW_GET, body, NULL), 400, "");
    }
    rig_destroy(rig);
}

static void pages(void **state)
{
    struct rig *rig = rig_create(NULL);
    char target[160] = "/v1/deliveries?limit=2";
    char ids[7][40];
    size_t seen = 0;
    (void)state;
    make_config(rig, CONFIG("T", ""));
    for (size_t i = 0; i < 7; i++)
        memcpy(ids[6 - i], send_event(rig, "{'appId':'a','eventType':'T'}").delivery, 40);
    for (bool last = false; !last;) {
        struct call *call = call_make(rig, GW_GET, target, NULL);
        expect_status(call, 200);
        for (size_t i = 0; i < count_at(call, "/result/items"); i++) {
            char pointer[48];
            snprintf(pointer, sizeof(pointer), "/result/items/%zu/id", i);
            expect_at(call, pointer, ids[seen++]);
        }
        last = strcmp(at(call, "/result/next"), "null") == 0;
        snprintf(target, sizeof(target), "/v1/deliveries?limit=2&cursor=%s",
                 at(call, "/result/next"));
        call_free(call);
    }
    assert_int_equal(seen, 7);
    rig_destroy(rig);
}

static void retries(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CONFIG("T", ",'retry':{'schedule':[]}"));
    struct sent good = send_event(rig, "{'appId':'a','eventType':'T'}");
    rig_run(rig, 1000);
    expect_failed(retry(rig, good.delivery), 409, "delivered");

    rig->reply_status = 500;
    struct sent dead = send_event(rig, "{'appId':'a','eventType':'T'}");
    rig_run(rig, 1000);
    change(rig, "{'appId':'a','eventType':'T','isActive':false}");
    expect_failed(retry(rig, dead.delivery), 409, "inactive");
    change(rig, "{'appId':'a','eventType':'T','isActive':true}");
    struct call *call = retry(rig, dead.delivery);
    expect_status(call, 202);
    expect_at(call, "/result/id", dead.delivery);
    expect_at(call, "/result/status", "pending");
    call_free(call);
    expect_status(call = retry(rig, dead.delivery), 202); /* under way */
    call_free(call);
    rig_run(rig, 1000);
    call = one(rig, dead.delivery);
    expect_at(call, "/result/status", "dead");
    expect_at(call, "/result/attempts", "2");
    call_free(call);

    rig->reply_status = 200;
    call_free(retry(rig, dead.delivery));
    rig_run(rig, 1000);
    call = one(rig, dead.delivery);
    expect_at(call, "/result/status", "delivered");
    expect_at(call, "/result/attempts", "3");
    call_free(call);
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_RETRIED_BY_HAND), 3);
    expect_failed(retry(rig, "dlv_aaaaaaaaaaaaaaaaaaaaaaaaaa"), 404, "delivery");
    expect_failed(retry(rig, "nonsense"), 404, "delivery");
    rig_destroy(rig);
}

static void retries_of_what_leads_nowhere(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CONFIG("T", ",'retry':{'schedule':[600]}"));
    make_config(rig, CONFIG("D", ",'retry':{'schedule':[]}"));
    rig->reply_status = 500;
    struct sent waiting = send_event(rig, "{'appId':'a','eventType':'T'}");
    struct sent dead = send_event(rig, "{'appId':'a','eventType':'D'}");
    rig_run(rig, 1000);
    call_free(call_make(rig, GW_DELETE, "/v1/config?appId=a&eventType=T", NULL));
    call_free(call_make(rig, GW_DELETE, "/v1/config?appId=a&eventType=D", NULL));
    rig_run(rig, 1000);
    expect_failed(retry(rig, waiting.delivery), 409, "cancelled: The config");
    expect_failed(retry(rig, dead.delivery), 409, "removed");
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_item), cmocka_unit_test(never_attempted),
        cmocka_unit_test(filters), cmocka_unit_test(pages),
        cmocka_unit_test(retries), cmocka_unit_test(retries_of_what_leads_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
