/* test_stats.c: /v1/stats: what an item says, by hour, day and URL, and what is refused. */
#include "rig.h"

#include <stdio.h>

#define CONFIG(type, url, rest)                                                                    \
    "{'appId':'a','eventType':'" type "','webhookUrl':'" url "'" rest "}"
#define ITEM "/result/items/0/"

static struct call *stats(struct rig *rig, const char *query)
{
    char target[256];
    snprintf(target, sizeof(target), "/v1/stats%s", query);
    return call_make(rig, GW_GET, target, NULL);
}

static void nothing(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct call *call = stats(rig, "");
    (void)state;
    expect_status(call, 200);
    assert_int_equal(count_at(call, "/result/items"), 0);
    assert_int_equal(strlen(at(call, "/result/from")), 24);
    call_free(call);
    rig_destroy(rig);
}

/* Two delivered, one of them at the second try, one dead, one filtered out, one twice. */
static void fill(struct rig *rig)
{
    make_config(rig, CONFIG("T", "https://hook.example/one?token=1",
                            ",'retry':{'schedule':[0]},'filter':{'eventId':[{'exists':true}]}"));
    send_event(rig, "{'appId':'a','eventType':'T'}");
    send_event(rig, "{'appId':'a','eventType':'T','eventId':'1'}");
    send_event(rig, "{'appId':'a','eventType':'T','eventId':'1'}");
    rig_run(rig, 2000);
    rig->reply_status = 500;
    send_event(rig, "{'appId':'a','eventType':'T','eventId':'2'}");
    rig_run(rig, 2000);
    struct call *call = call_make(rig, GW_PATCH, "/v1/config",
                                  "{'appId':'a','eventType':'T','retry':{'schedule':[60]},"
                                  "'webhookUrl':'https://hook.example/two'}");
    expect_status(call, 200);
    call_free(call);
    send_event(rig, "{'appId':'a','eventType':'T','eventId':'3'}");
    rig_run(rig, 2000);
    rig->reply_status = 200;
    rig_run(rig, 90000);
}

static void all_urls(void **state)
{
    static const char *const queries[] = {"", "?appId=a", "?eventType=T&appId=a"};
    struct rig *rig = rig_create(NULL);
    (void)state;
    fill(rig);
    for (size_t i = 0; i < gw_count(queries); i++) {
        struct call *call = stats(rig, queries[i]);
        expect_status(call, 200);
        assert_int_equal(count_at(call, "/result/items"), 1);
        expect_at(call, ITEM "appId", "a");
        expect_at(call, ITEM "eventType", "T");
        expect_at(call, ITEM "url", "null");
        expect_at(call, ITEM "received", "4");
        expect_at(call, ITEM "delivered", "2");
        expect_at(call, ITEM "failedAttempts", "3");
        expect_at(call, ITEM "dead", "1");
        expect_at(call, ITEM "skipped", "1");
        expect_at(call, ITEM "successRate", "0.4");
        assert_string_not_equal(at(call, ITEM "p99Ms"), "null");
        call_free(call);
    }
    struct call *call = stats(rig, "?eventType=other");
    assert_int_equal(count_at(call, "/result/items"), 0);
    call_free(call);
    rig_destroy(rig);
}

/* By the URL as it is told, or as the config had it. */
static void one_url(void **state)
{
    static const char *const queries[] = {"?url=https://hook.example/one",
                                          "?url=https://hook.example/one%3Ftoken=9"};
    struct rig *rig = rig_create(NULL);
    (void)state;
    fill(rig);
    for (size_t i = 0; i < gw_count(queries); i++) {
        struct call *call = stats(rig, queries[i]);
        expect_at(call, ITEM "url", "https://hook.example/one");
        expect_at(call, ITEM "received", "null");
        expect_at(call, ITEM "skipped", "null");
        expect_at(call, ITEM "delivered", "1");
        expect_at(call, ITEM "failedAttempts", "2");
        expect_at(call, ITEM "dead", "1");
        call_free(call);
    }
    struct call *call = stats(rig, "?bucket=day&url=https://hook.example/two");
    expect_at(call, ITEM "delivered", "1");
    expect_at(call, ITEM "failedAttempts", "1");
    expect_at(call, ITEM "dead", "0");
    expect_at(call, ITEM "successRate", "0.5");
    call_free(call);
    call = stats(rig, "?url=https://hook.example/none");
    assert_int_equal(count_at(call, "/result/items"), 0);
    call_free(call);
    rig_destroy(rig);
}

static void by_hour(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    for (int hour = 0; hour < 3; hour++) {
        send_event(rig, "{'appId':'b','eventType':'T'}");
        send_event(rig, "{'appId':'a','eventType':'T'}");
        rig_run(rig, GW_HOUR_MS);
    }
    struct call *call = stats(rig, "");
    assert_int_equal(count_at(call, "/result/items"), 6);
    char first[32];
    snprintf(first, sizeof(first), "%s", at(call, ITEM "bucket"));
    assert_true(strcmp(first, at(call, "/result/items/2/bucket")) < 0);
    expect_at(call, "/result/items/1/bucket", first);
    expect_at(call, ITEM "appId", "a");
    expect_at(call, "/result/items/1/appId", "b");
    call_free(call);
    rig_run(rig, 21 * GW_HOUR_MS); /* the first hour is 24 hours ago */
    call = stats(rig, "?appId=a");
    assert_int_equal(count_at(call, "/result/items"), 2);
    call_free(call);
    call = stats(rig, "?bucket=day&appId=a");
    assert_non_null(strstr(at(call, ITEM "bucket"), "T00:00:00.000Z"));
    call_free(call);
    rig_destroy(rig);
}

static void refusals(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    expect_failed(stats(rig, "?bucket=week"), 400, "bucket: must be hour or day");
    expect_failed(stats(rig, "?from=2026-01-01T00:30:00Z"), 400, "from: must be a whole hour");
    expect_failed(stats(rig, "?to=2026-01-01T01:00:00Z&bucket=day"), 400,
                  "to: must be a whole day (UTC), such as 2026-01-31T00:00:00Z");
    expect_failed(stats(rig, "?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"), 400,
                  "from: must be before to");
    expect_failed(stats(rig, "?url="), 400, "url: must not be empty");
    expect_failed(stats(rig, "?limit=5"), 400, "appId, eventType, url, from, to, bucket");
    rig_destroy(rig);
}

/* More than one answer may hold. */
static void too_many(void **state)
{
    struct rig *rig = rig_create(NULL);
    char body[80];
    (void)state;
    for (int i = 0; i <= GW_STATS_MAX; i++) {
        snprintf(body, sizeof(body), "{'appId':'a','eventType':'%d'}", i);
        send_event(rig, body);
    }
    expect_failed(stats(rig, ""), 400, "more than 5000 items");
    struct call *call = stats(rig, "?eventType=7");
    assert_int_equal(count_at(call, "/result/items"), 1);
    call_free(call);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing), cmocka_unit_test(all_urls), cmocka_unit_test(one_url),
        cmocka_unit_test(by_hour), cmocka_unit_test(refusals), cmocka_unit_test(too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
