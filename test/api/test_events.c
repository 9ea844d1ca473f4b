/* test_events.c: events in, and looking at one. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

#define CONFIG "{'appId':'a','eventType':'T','webhookUrl':'https://hook.example/p?token=x'}"

static void accepted(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CONFIG);
    for (size_t shard = 0; shard < RIG_SHARDS; shard++) {
        struct call *call =
            call_start(rig, shard, GW_POST, "/v1/events", "{'appId':'a','eventType':'T'}");
        char wanted[512];
        assert_false(call->done); /* not before the ledger has it */
        call_wait(rig, call);
        assert_string_equal(call->exchange.content_type, "application/json");
        snprintf(wanted, sizeof(wanted),
                 "{\"statusCode\":202,\"status\":\"success\",\"result\":{\"id\":\"%s\","
                 "\"eventId\":null,\"duplicate\":false,\"deliveries\":[{\"id\":\"%s\","
                 "\"url\":\"https://hook.example/p\"}],\"skipped\":null}}",
                 at(call, "/result/id"), at(call, "/result/deliveries/0/id"));
        expect_status(call, 202);
        expect_at(call, "", wanted);
        call_free(call);
    }
    rig_destroy(rig);
}

static void duplicates(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CONFIG);
    struct sent first = send_event(rig, "{'appId':'a','eventType':'T','eventId':'e'}");
    struct call *call =
        call_make(rig, GW_POST, "/v1/events", "{'appId':'a','eventType':'T','eventId':'e'}");
    expect_status(call, 202);
    expect_at(call, "/result/id", first.message);
    expect_at(call, "/result/eventId", "e");
    expect_at(call, "/result/duplicate", "true");
    expect_at(call, "/result/payloadDiffers", "(none)");
    expect_at(call, "/result/deliveries", "[]");
    expect_at(call, "/result/skipped", "null");
    call_free(call);
    call = call_make(rig, GW_POST, "/v1/events", "{'appId':'a','eventType':'T','eventId':'e' }");
    expect_at(call, "/result/payloadDiffers", "true");
    call_free(call);
    rig_destroy(rig);
}

static void skipped(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, "{'appId':'a','eventType':'off','isActive':false,"
                     "'webhookUrl':'https://hook.example/'}");
    struct call *call = call_make(rig, GW_POST, "/v1/events", "{'appId':'a','eventType':'T'}");
    expect_status(call, 202);
    expect_at(call, "/result/skipped/reason", "no_config");
    expect_at(call, "/result/deliveries", "[]");
    call_free(call);
    call = call_make(rig, GW_POST, "/v1/events", "{'appId':'a','eventType':'off'}");
    expect_at(call, "/result/skipped/reason", "inactive");
    call_free(call);
    rig_destroy(rig);
}

static void refused(void **state)
{
    struct rig *rig = rig_create(NULL);
    char large[1100];
    (void)state;
    expect_failed(call_make(rig, GW_POST, "/v1/events", ""), 400, "");
    expect_failed(call_make(rig, GW_POST, "/v1/events", "[]"), 400, "object");
    expect_failed(call_make(rig, GW_POST, "/v1/events", "{'eventType':'T'}"), 400, "appId");
    expect_failed(call_make(rig, GW_POST, "/v1/events", "{'appId':'a','eventType':3}"), 400,
                  "eventType");
    expect_failed(call_make(rig, GW_POST, "/v1/events", "{'appId':'a','appId':'a'}"), 400, "appId");
    snprintf(large, sizeof(large), "{'appId':'a','eventType':'T','x':'%01000d'}", 0);
    expect_failed(call_make(rig, GW_POST, "/v1/events", large), 413, "1024");
    rig_destroy(rig);
}

/* More than may be under way, or than the ledger takes: 503, and nothing is stored. */
static void overload(void **state)
{
    static const struct rig_options options[] = {
        {.accepts_max = 2, .commit_delay_ms = 100},
        {.queue_max = 2, .commit_delay_ms = 100},
    };
    (void)state;
    for (size_t i = 0; i < gw_count(options); i++) {
        struct rig *rig = rig_create(&options[i]);
        struct call *calls[8];
        size_t counts[2] = {0};
        make_config(rig, CONFIG);
        send_event(rig, "{'appId':'a','eventType':'T'}"); /* the config is in memory now */
        for (size_t k = 0; k < gw_count(calls); k++)
            calls[k] = call_start(rig, 0, GW_POST, "/v1/events", "{'appId':'a','eventType':'T'}");
        for (size_t k = 0; k < gw_count(calls); k++) {
            call_wait(rig, calls[k]);
            bool ok = calls[k]->exchange.status == 202;
            counts[ok]++;
            if (ok) {
                call_free(calls[k]);
                continue;
            }
            assert_true(strtol(reply_header(calls[k], "retry-after"), NULL, 10) >= 1);
            expect_failed(calls[k], 503, "");
        }
        assert_int_equal(counts[1], 2);
        assert_int_equal(counts[0], 6);
        struct call *list = call_make(rig, GW_GET, "/v1/deliveries", NULL);
        assert_int_equal(count_at(list, "/result/items"), 3);
        call_free(list);
        rig_destroy(rig);
    }
}

/* More of one app than it may send a second, whichever shard they come to: 429. */
static void limited(void **state)
{
    struct rig *rig = rig_create(&(struct rig_options){.intake_rate = 4});
    size_t counts[2] = {0};
    (void)state;
    for (size_t i = 0; i < 12; i++) {
        struct call *call =
            call_start(rig, i % RIG_SHARDS, GW_POST, "/v1/events", "{'appId':'a','eventType':'T'}");
        call_wait(rig, call);
        bool ok = call->exchange.status == 202;
        counts[ok]++;
        if (ok) {
            call_free(call);
            continue;
        }
        assert_string_equal(reply_header(call, "retry-after"), "1");
        expect_failed(call, 429, "at most 4 events a second");
    }
    assert_int_equal(counts[1], 4);
    assert_int_equal(counts[0], 8);
    struct call *call = call_make(rig, GW_POST, "/v1/events/batch",
                                  "{'appId':'a','eventType':'T'}\n{'appId':'b','eventType':'T'}");
    expect_status(call, 200);
    assert_string_equal(reply_header(call, "retry-after"), "1");
    struct gw_slice lines = call->exchange.reply, line;
    gw_slice_split(&lines, '\n', &line);
    assert_true(gw_slice_starts(line, GW_SLICE("{\"statusCode\":429,")));
    assert_true(gw_slice_ends(line, GW_SLICE(",\"retryAfter\":1}")));
    assert_true(gw_slice_starts(lines, GW_SLICE("{\"statusCode\":202,")));
    call_free(call);
    rig_run(rig, 1000);
    send_event(rig, "{'appId':'a','eventType':'T'}");
    rig_destroy(rig);
}

struct commit {
    struct rig *rig;
    uint64_t number;
};

static uint64_t commits(const struct rig *rig)
{
    return gw_ledger_state(rig->flow.ledger).commits.count;
}

static bool has_committed(void *ctx)
{
    const struct commit *commit = ctx;
    return commits(commit->rig) == commit->number;
}

/* The config is replaced while the event waits for its commit, and what was in force when it came
 * is in nobody's memory but its own: the answer's URLs are still there. */
static void config_replaced_meanwhile(void **state)
{
    struct rig *rig = rig_create(&(struct rig_options){.commit_delay_ms = 100});
    (void)state;
    make_config(rig, CONFIG);
    send_event(rig, "{'appId':'a','eventType':'T'}");
    struct commit next = {rig, commits(rig) + 1};
    struct call *change = call_start(rig, 0, GW_PATCH, "/v1/config",
                                     "{'appId':'a','eventType':'T','webhookUrl':"
                                     "'https://hook.example/other'}");
    assert_true(sim_run(rig->sim, has_committed, &next, 10000));
    assert_false(change->done);
    struct call *event = call_start(rig, 0, GW_POST, "/v1/events", "{'appId':'a','eventType':'T'}");
    call_wait(rig, change);
    expect_status(change, 200);
    assert_false(event->done);
    call_wait(rig, event);
    expect_at(event, "/result/deliveries/0/url", "https://hook.example/p");
    call_free(change);
    call_free(event);
    rig_destroy(rig);
}

static void looked_at(void **state)
{
    struct rig *rig = rig_create(NULL);
    char target[128];
    (void)state;
    make_config(rig, CONFIG);
    struct sent skip = send_event(rig, "{'appId':'a','eventType':'U','eventId':'e'}");
    struct sent sent = send_event(rig, "{'appId':'a','eventType':'T','eventId':'e', 'n' : 1.0e2,"
                                       "'transactionId':'t','workflowId':'w','eventTime':'now'}");
    rig_run(rig, 1000);
    struct call *call = call_make(rig, GW_GET, "/v1/events?appId=a&eventId=e", NULL);
    expect_status(call, 200);
    expect_at(call, "/result/id", sent.message);
    expect_at(call, "/result/eventType", "T");
    expect_at(call, "/result/transactionId", "t");
    expect_at(call, "/result/workflowId", "w");
    expect_at(call, "/result/eventTime", "now");
    expect_at(call, "/result/configVersion", "1");
    expect_at(call, "/result/skipped", "null");
    expect_at(call, "/result/deliveries/0/id", sent.delivery);
    expect_at(call, "/result/deliveries/0/status", "delivered");
    expect_at(call, "/result/payload", "(none)");
    call_free(call);
    snprintf(target, sizeof(target), "/v1/events/%s?payload=true", sent.message);
    call = call_make(rig, GW_GET, target, NULL);
    const char *text = gw_arena_text(&call->arena, call->exchange.reply);
    assert_non_null(strstr(text, ",\"payload\":{\"appId\":\"a\",\"eventType\":\"T\","
                                 "\"eventId\":\"e\", \"n\" : 1.0e2,"));
    expect_at(call, "/result/payload/n", "100.0");
    call_free(call);
    snprintf(target, sizeof(target), "/v1/events/%s", skip.message);
    call = call_make(rig, GW_GET, target, NULL);
    expect_at(call, "/result/skipped/reason", "no_config");
    expect_at(call, "/result/configVersion", "null");
    expect_at(call, "/result/deliveries", "[]");
    call_free(call);
    expect_failed(call_make(rig, GW_GET, "/v1/events/msg_aaaaaaaaaaaaaaaaaaaaaaaaaa", NULL), 404,
                  "event");
    expect_failed(call_make(rig, GW_GET, "/v1/events/nonsense", NULL), 404, "event");
    expect_failed(call_make(rig, GW_GET, "/v1/events?appId=a&eventId=x", NULL), 404, "event");
    expect_failed(call_make(rig, GW_GET, "/v1/events?appId=a", NULL), 400, "eventId");
    expect_failed(call_make(rig, GW_GET, "/v1/events", NULL), 400, "appId");
    expect_failed(call_make(rig, GW_GET, "/v1/events?appId=a&eventId=e&payload=2", NULL), 400,
                  "payload");
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted),
        cmocka_unit_test(duplicates),
        cmocka_unit_test(skipped),
        cmocka_unit_test(refused),
        cmocka_unit_test(overload),
        cmocka_unit_test(limited),
        cmocka_unit_test(config_replaced_meanwhile),
        cmocka_unit_test(looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
