/* test_why.c: what is told about an id. */
#include "rig.h"

#include "api/refused.h"
#include "api/why_impl.h"

#include <stdio.h>

#define CONFIG(type, rest)                                                                         \
    "{'appId':'a','eventType':'" type "','webhookUrl':'https://hook.example/" type                 \
    "?token=x'" rest "}"

static struct call *why(struct rig *rig, const char *id)
{
    char target[600];
    snprintf(target, sizeof(target), "/v1/why/%s", id);
    struct call *call = call_make(rig, GW_GET, target, NULL);
    expect_status(call, 200);
    return call;
}

#define expect_has(call, pointer, word)                                                            \
    do {                                                                                           \
        if (!strstr(at((call), (pointer)), (word)))                                                \
            fail_msg("no \"%s\" in \"%s\"", (word), at((call), (pointer)));                        \
    } while (0)

/* The words of all steps, and that their times do not go back. */
static const char *steps(struct call *call, size_t event)
{
    char pointer[64], last[32] = "";
    const char *text = "";
    snprintf(pointer, sizeof(pointer), "/result/events/%zu/steps", event);
    size_t count = count_at(call, pointer);
    for (size_t i = 0; i < count; i++) {
        snprintf(pointer, sizeof(pointer), "/result/events/%zu/steps/%zu/at", event, i);
        assert_true(strcmp(last, at(call, pointer)) <= 0);
        snprintf(last, sizeof(last), "%s", at(call, pointer));
        snprintf(pointer, sizeof(pointer), "/result/events/%zu/steps/%zu/what", event, i);
        text = gw_arena_printf(&call->arena, "%s%s%s", text, i ? " " : "", at(call, pointer));
    }
    return text;
}

static void unknown(void **state)
{
    static const char *const ids[] = {"x", "msg_aaaaaaaaaaaaaaaaaaaaaaaaaa", "dlv_x",
                                      "%F0%9F%98%80", "a%2Fb"};
    struct rig *rig = rig_create(NULL);
    char large[400];
    (void)state;
    for (size_t i = 0; i < gw_count(ids); i++) {
        struct call *call = why(rig, ids[i]);
        expect_at(call, "/result/verdict", "unknown");
        expect_at(call, "/result/events", "[]");
        call_free(call);
    }
    snprintf(large, sizeof(large), "%0300d", 0);
    struct call *call = why(rig, large);
    expect_at(call, "/result/verdict", "unknown");
    call_free(call);
    expect_failed(call_make(rig, GW_GET, "/v1/why/x?y=1", NULL), 400, "y");
    rig_destroy(rig);
}

static void every_id(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CONFIG("T", ""));
    struct sent sent =
        send_event(rig, "{'appId':'a','eventType':'T','eventId':'e/1','transactionId':'t'}");
    rig_run(rig, 1000);
    const char *ids[] = {sent.message, sent.delivery, "e%2F1", "t"};
    for (size_t i = 0; i < gw_count(ids); i++) {
        struct call *call = why(rig, ids[i]);
        expect_at(call, "/result/verdict", "delivered");
        expect_has(call, "/result/summary", "Delivered to https://hook.example/T on attempt 1");
        expect_at(call, "/result/events/0/id", sent.message);
        assert_string_equal(steps(call, 0), "accepted routed attempt delivered");
        assert_null(strstr(gw_arena_text(&call->arena, call->exchange.reply), "token"));
        call_free(call);
    }
    rig_destroy(rig);
}

static void each_verdict(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct sent sent;
    (void)state;
    rig->reply_status = 500;
    make_config(rig, CONFIG("DEAD", ",'retry':{'schedule':[1]}"));
    make_config(rig, CONFIG("WAIT", ",'retry':{'schedule':[600,600]}"));
    make_config(rig, CONFIG("GONE", ",'retry':{'schedule':[600]}"));

    sent = send_event(rig, "{'appId':'a','eventType':'DEAD'}");
    rig_run(rig, 5000);
    struct call *call = why(rig, sent.message);
    expect_at(call, "/result/verdict", "dead");
    expect_has(call, "/result/summary", "schedule is used up");
    expect_has(call, "/result/summary", "2 attempts to https://hook.example/DEAD failed");
    assert_string_equal(steps(call, 0), "accepted routed attempt attempt dead");
    expect_has(call, "/result/events/0/steps/2/detail", "http_error: answered 500");
    expect_has(call, "/result/events/0/next", sent.delivery);
    call_free(call);

    sent = send_event(rig, "{'appId':'a','eventType':'WAIT'}");
    rig_run(rig, 5000);
    call = why(rig, sent.message);
    expect_at(call, "/result/verdict", "waiting");
    expect_has(call, "/result/summary", "attempt 2 to https://hook.example/WAIT is due in ");
    expect_has(call, "/result/summary", "attempt 1 failed: answered 500");
    expect_has(call, "/result/events/0/next", "1 more follows");
    assert_string_equal(steps(call, 0), "accepted routed attempt waiting");
    call_free(call);

    call_free(call_make(rig, GW_PATCH, "/v1/config",
                        "{'appId':'a','eventType':'WAIT','isActive':false}"));
    call = why(rig, sent.message);
    expect_at(call, "/result/verdict", "held");
    expect_has(call, "/result/summary", "inactive");
    expect_has(call, "/result/events/0/next", "isActive");
    expect_has(call, "/result/events/0/steps/1/detail", "which is version 2 now");
    assert_string_equal(steps(call, 0), "accepted routed attempt held");
    call_free(call);

    sent = send_event(rig, "{'appId':'a','eventType':'WAIT'}");
    call = why(rig, sent.message);
    expect_at(call, "/result/verdict", "skipped");
    expect_has(call, "/result/summary", "inactive");
    assert_string_equal(steps(call, 0), "accepted skipped");
    call_free(call);

    sent = send_event(rig, "{'appId':'a','eventType':'NONE'}");
    call = why(rig, sent.message);
    expect_has(call, "/result/summary", "no config for the event type \"NONE\"");
    call_free(call);

    sent = send_event(rig, "{'appId':'a','eventType':'GONE'}");
    rig_run(rig, 1000);
    call_free(call_make(rig, GW_DELETE, "/v1/config?appId=a&eventType=GONE", NULL));
    rig_run(rig, 1000);
    call = why(rig, sent.delivery);
    expect_at(call, "/result/verdict", "cancelled");
    expect_has(call, "/result/summary", "The config that routed it was deleted");
    call_free(call);
    rig_destroy(rig);
}

static void the_worst_first(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CONFIG("GOOD", ""));
    make_config(rig, CONFIG("DEAD", ",'retry':{'schedule':[]}"));
    send_event(rig, "{'appId':'a','eventType':'GOOD','transactionId':'t'}");
    rig_run(rig, 1000);
    rig->reply_status = 500;
    struct sent dead = send_event(rig, "{'appId':'a','eventType':'DEAD','transactionId':'t'}");
    rig_run(rig, 1000);
    rig->reply_status = 200;
    struct sent last = send_event(rig, "{'appId':'a','eventType':'GOOD','transactionId':'t'}");
    rig_run(rig, 1000);
    struct call *call = why(rig, "t");
    expect_at(call, "/result/verdict", "dead");
    expect_has(call, "/result/summary", "one of 3 events with this id: 1 dead, 2 delivered");
    expect_at(call, "/result/events/0/id", dead.message);
    expect_at(call, "/result/events/1/id", last.message);
    assert_int_equal(count_at(call, "/result/events"), 3);
    call_free(call);
    rig_destroy(rig);
}

static void the_newest_of_an_event_id_decides(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    struct sent skipped =
        send_event(rig, "{'appId':'a','eventType':'T','eventId':'e','transactionId':'t'}");
    make_config(rig, CONFIG("T", ""));
    struct sent sent =
        send_event(rig, "{'appId':'a','eventType':'T','eventId':'e','transactionId':'t'}");
    send_event(rig, "{'appId':'b','eventType':'T','eventId':'f','transactionId':'t'}");
    rig_run(rig, 1000);
    struct call *call = why(rig, "e");
    expect_at(call, "/result/verdict", "delivered");
    expect_at(call, "/result/events/0/id", sent.message);
    expect_at(call, "/result/events/1/id", skipped.message);
    expect_at(call, "/result/events/1/verdict", "skipped");
    expect_has(call, "/result/events/1/next", "newer event");
    call_free(call);
    call = why(rig, "t"); /* the other app's is skipped, and counts */
    expect_at(call, "/result/verdict", "skipped");
    expect_has(call, "/result/summary", "one of 2 events with this id: 1 skipped, 1 delivered");
    call_free(call);
    rig_destroy(rig);
}

static void several_targets(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CONFIG("T", ",'retry':{'schedule':[]},'workflows':{'w':["
                                 "'https://hook.example/1','https://nobody.example/2']}"));
    struct sent sent = send_event(rig, "{'appId':'a','eventType':'T','workflowId':'w'}");
    rig_run(rig, 20000);
    struct call *call = why(rig, sent.message);
    expect_at(call, "/result/verdict", "dead");
    expect_has(call, "/result/summary", "1 of its 2 targets got it");
    expect_has(call, "/result/summary", "https://nobody.example/2");
    expect_has(call, "/result/events/0/steps/1/detail", "listed for workflow \"w\"");
    (void)steps(call, 0);
    call_free(call);
    call = why(rig, sent.delivery); /* asked about one, told about one */
    expect_at(call, "/result/verdict", "delivered");
    assert_string_equal(steps(call, 0), "accepted routed attempt delivered");
    call_free(call);
    rig_destroy(rig);
}

/* Refused on one shard, asked for on the other. */
static void refused(void **state)
{
    static const char *const ids[] = {"e", "t"};
    struct rig *rig = rig_create(NULL);
    (void)state;
    struct call *call = call_start(rig, 1, GW_POST, "/v1/events",
                                   "{'appId':'a','eventId':'e','transactionId':'t'}");
    call_wait(rig, call);
    expect_failed(call, 400, "eventType");
    for (size_t i = 0; i < gw_count(ids); i++) {
        call = why(rig, ids[i]);
        expect_at(call, "/result/verdict", "refused");
        expect_has(call, "/result/summary", "answered 400");
        expect_has(call, "/result/summary", "eventType: must be");
        expect_at(call, "/result/events/0/id", "null");
        assert_string_equal(steps(call, 0), "refused");
        call_free(call);
    }

    /* Once it has come as it should, that decides. */
    make_config(rig, CONFIG("T", ""));
    struct sent sent =
        send_event(rig, "{'appId':'a','eventType':'T','eventId':'e','transactionId':'t'}");
    rig_run(rig, 1000);
    call = why(rig, "e");
    expect_at(call, "/result/verdict", "delivered");
    expect_at(call, "/result/events/0/id", sent.message);
    expect_at(call, "/result/events/1/verdict", "refused");
    expect_has(call, "/result/events/1/next", "newer event");
    call_free(call);
    rig_destroy(rig);
}

static void refused_and_never_mended(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CONFIG("T", ""));
    send_event(rig, "{'appId':'a','eventType':'T','eventId':'e1','transactionId':'t'}");
    expect_failed(call_make(rig, GW_POST, "/v1/events",
                            "{'appId':'a','eventType':7,'eventId':'e2','transactionId':'t'}"),
                  400, "eventType");
    rig_run(rig, 1000);
    struct call *call = why(rig, "t");
    expect_at(call, "/result/verdict", "refused");
    expect_has(call, "/result/summary", "1 refused, 1 delivered");
    call_free(call);
    rig_destroy(rig);
}

/* The oldest is forgotten, the newest is not. */
static void refused_too_often(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    for (int i = 0; i <= GW_REFUSED_MAX; i++)
        call_free(call_make(
            rig, GW_POST, "/v1/events",
            gw_arena_printf(&rig->arena, "{'appId':'a','eventId':'e%d','transactionId':'t'}", i)));
    struct call *call = why(rig, "e0");
    expect_at(call, "/result/verdict", "unknown");
    call_free(call);
    call = why(rig, "e1");
    expect_at(call, "/result/verdict", "refused");
    call_free(call);
    call = why(rig, "t");
    assert_int_equal(count_at(call, "/result/events"), GW_REFUSED_FOUND_MAX);
    expect_has(call, "/result/events/0/steps/0/detail",
               gw_arena_printf(&rig->arena, "eventId \"e%d\"", GW_REFUSED_MAX));
    call_free(call);
    rig_destroy(rig);
}

/* An app sees what was refused of its own, and what its own key sent for another. */
static void refused_of_another_app(void **state)
{
    static const char body[] = "{'appId':'%s','eventType':'T','eventId':'%s'}";
    struct rig *rig = rig_create(NULL);
    struct made producer, viewers[2];
    (void)state;
    make_key(rig, "{'roles':['producer'],'scope':'a'}", &producer);
    make_key(rig, "{'roles':['viewer'],'scope':'a'}", &viewers[0]);
    make_key(rig, "{'roles':['viewer'],'scope':'b'}", &viewers[1]);
    expect_failed(call_by(rig, &producer, GW_POST, "/v1/events",
                          gw_arena_printf(&rig->arena, body, "b", "e1")),
                  403, "another app");
    expect_failed(call_make(rig, GW_POST, "/v1/events", "{'appId':'a','eventId':'e2'}"), 400,
                  "eventType");
    expect_failed(call_make(rig, GW_POST, "/v1/events", "{'eventType':'T','eventId':'e3'}"), 400,
                  "appId");
    static const struct {
        const char *id, *verdicts[3]; /* for a, b, an admin */
    } rows[] = {
        {"/v1/why/e1", {"refused", "unknown", "refused"}},
        {"/v1/why/e2", {"refused", "unknown", "refused"}},
        {"/v1/why/e3", {"unknown", "unknown", "refused"}},
    };
    for (size_t i = 0; i < gw_count(rows); i++) {
        for (size_t by = 0; by < 3; by++) {
            struct call *call = by < 2 ? call_by(rig, &viewers[by], GW_GET, rows[i].id, NULL)
                                       : call_make(rig, GW_GET, rows[i].id, NULL);
            expect_at(call, "/result/verdict", rows[i].verdicts[by]);
            call_free(call);
        }
    }
    rig_destroy(rig);
}

static void what_is_no_id(void **state)
{
    static const struct {
        const char *id, *word;
    } rows[] = {
        {"https%3A%2F%2Fhook.example%2FT", "a URL"},
        {"whsec_x", "a signing secret"},
        {"key_x", "API key"},
        {"msg_x", "a message id"},
        {"dlv_x", "a delivery id"},
        {"a", "an appId"},
        {"b", "Nobody knows"},
    };
    struct rig *rig = rig_create(NULL);
    struct made viewer;
    (void)state;
    make_config(rig, CONFIG("T", ""));
    make_key(rig, "{'roles':['viewer'],'scope':'b'}", &viewer);
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct call *call = why(rig, rows[i].id);
        expect_at(call, "/result/verdict", "unknown");
        expect_has(call, "/result/summary", rows[i].word);
        call_free(call);
    }
    struct call *call = call_by(rig, &viewer, GW_GET, "/v1/why/a", NULL);
    expect_has(call, "/result/summary", "Nobody knows");
    call_free(call);
    rig_destroy(rig);
}

/* Who the event may have been meant for. */
static void near_misses(void **state)
{
    static const struct {
        const char *event, *reason, *advice;
    } rows[] = {
        {"{'appId':'a','eventType':'done'}", "\"DONE\" differs in upper and lower case only",
         "spell the eventType \"DONE\""},
        {"{'appId':'a','eventType':'OTHER'}", "it has configs for \"DONE\", \"LATER\"",
         "create a config"},
        {"{'appId':'A','eventType':'DONE'}", "no config at all", "appId, upper and lower"},
    };
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CONFIG("DONE", ""));
    make_config(rig, CONFIG("LATER", ""));
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct call *call = why(rig, send_event(rig, rows[i].event).message);
        expect_at(call, "/result/verdict", "skipped");
        expect_has(call, "/result/summary", rows[i].reason);
        expect_has(call, "/result/events/0/next", rows[i].advice);
        call_free(call);
    }

    struct sent sent = send_event(rig, "{'appId':'a','eventType':'LATE'}");
    make_config(rig, CONFIG("LATE", ""));
    struct call *call = why(rig, sent.message);
    expect_has(call, "/result/summary", "the one for \"LATE\" is newer");
    expect_has(call, "/result/events/0/next", "a config is there now");
    call_free(call);
    rig_destroy(rig);
}

/* What is dead is not said to be retried when a retry would be refused. */
static void dead_without_a_way_back(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    rig->reply_status = 500;
    make_config(rig, CONFIG("T", ",'retry':{'schedule':[]}"));
    struct sent sent = send_event(rig, "{'appId':'a','eventType':'T'}");
    rig_run(rig, 1000);
    call_free(
        call_make(rig, GW_PATCH, "/v1/config", "{'appId':'a','eventType':'T','isActive':false}"));
    struct call *call = why(rig, sent.message);
    expect_at(call, "/result/verdict", "dead");
    expect_has(call, "/result/events/0/next", "isActive to true first");
    call_free(call);
    call_free(call_make(rig, GW_DELETE, "/v1/config?appId=a&eventType=T", NULL));
    call = why(rig, sent.message);
    expect_has(call, "/result/events/0/next", "create it again");
    call_free(call);
    rig_destroy(rig);
}

static void durations(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {
        {0, "0 µs"},
        {999, "999 µs"},
        {1000, "1 ms"},
        {999999, "999 ms"},
        {1000000, "1.0 s"},
        {59999999, "59.9 s"},
        {60000000, "1 min 0 s"},
        {3599000000, "59 min 59 s"},
        {3600000000, "1 h 0 min"},
        {86400000000, "1 d 0 h"},
        {INT64_MAX, "106751991 d 4 h"},
    };
    struct gw_arena arena = {0};
    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++)
        assert_string_equal(gw_why_duration(&arena, rows[i].us), rows[i].text);
    gw_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown),
        cmocka_unit_test(every_id),
        cmocka_unit_test(each_verdict),
        cmocka_unit_test(the_worst_first),
        cmocka_unit_test(the_newest_of_an_event_id_decides),
        cmocka_unit_test(several_targets),
        cmocka_unit_test(refused),
        cmocka_unit_test(refused_and_never_mended),
        cmocka_unit_test(refused_too_often),
        cmocka_unit_test(refused_of_another_app),
        cmocka_unit_test(what_is_no_id),
        cmocka_unit_test(near_misses),
        cmocka_unit_test(dead_without_a_way_back),
        cmocka_unit_test(durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
