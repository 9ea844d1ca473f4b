/* test_ledger.c: /v1/ledger: what it counts, what of it is held, whether it closes. */
#include "rig.h"

#include <stdio.h>

#define CONFIG(app, type, rest)                                                                    \
    "{'appId':'" app "','eventType':'" type "','webhookUrl':'https://hook.example/" type "'" rest  \
    "}"
#define DELIVERIES "/result/deliveries/"
#define EVENTS     "/result/events/"

static struct call *ledger(struct rig *rig, const char *query)
{
    char target[256];
    snprintf(target, sizeof(target), "/v1/ledger%s", query);
    return call_make(rig, GW_GET, target, NULL);
}

static void change(struct rig *rig, const char *body)
{
    struct call *call = call_make(rig, GW_PATCH, "/v1/config", body);
    expect_status(call, 200);
    call_free(call);
}

static void nothing(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct call *call = ledger(rig, "");
    (void)state;
    expect_status(call, 200);
    expect_at(call, EVENTS "received", "0");
    expect_at(call, DELIVERIES "created", "0");
    expect_at(call, "/result/closes", "true");
    expect_at(call, "/result/recount", "(none)");
    assert_int_equal(strlen(at(call, "/result/from")), 24);
    call_free(call);
    rig_destroy(rig);
}

/* One of each. */
static void fill(struct rig *rig)
{
    make_config(rig, CONFIG("a", "T", ""));
    make_config(rig, CONFIG("a", "I", ",'isActive':false"));
    make_config(rig, CONFIG("a", "D", ",'retry':{'schedule':[]}"));
    make_config(rig, CONFIG("a", "W", ",'retry':{'schedule':[6000]}"));
    make_config(rig, CONFIG("a", "H", ",'retry':{'schedule':[6000]}"));
    make_config(rig, CONFIG("a", "C", ",'retry':{'schedule':[6000]}"));
    make_config(rig, CONFIG("b", "T", ""));
    send_event(rig, "{'appId':'a','eventType':'T','eventId':'1'}");
    send_event(rig, "{'appId':'a','eventType':'T','eventId':'2'}");
    send_event(rig, "{'appId':'a','eventType':'T','eventId':'1'}");
    send_event(rig, "{'appId':'b','eventType':'T','eventId':'1'}");
    send_event(rig, "{'appId':'a','eventType':'N'}");
    send_event(rig, "{'appId':'a','eventType':'I'}");
    rig_run(rig, 2000);
    rig->reply_status = 500;
    send_event(rig, "{'appId':'a','eventType':'D'}");
    send_event(rig, "{'appId':'a','eventType':'W'}");
    send_event(rig, "{'appId':'a','eventType':'H'}");
    send_event(rig, "{'appId':'a','eventType':'H'}");
    send_event(rig, "{'appId':'a','eventType':'C'}");
    rig_run(rig, 2000);
    change(rig, "{'appId':'a','eventType':'H','isActive':false}");
    call_free(call_make(rig, GW_DELETE, "/v1/config?appId=a&eventType=C", NULL));
    rig_run(rig, 2000);
}

static void one_of_each(void **state)
{
    static const char *const queries[] = {"?appId=a", "?appId=a&full=true"};
    struct rig *rig = rig_create(NULL);
    (void)state;
    fill(rig);
    for (size_t i = 0; i < 2; i++) {
        struct call *call = ledger(rig, queries[i]);
        expect_status(call, 200);
        expect_at(call, EVENTS "received", "9");
        expect_at(call, EVENTS "routed", "7");
        expect_at(call, EVENTS "skipped/no_config", "1");
        expect_at(call, EVENTS "skipped/inactive", "1");
        expect_at(call, EVENTS "skipped/filtered", "0");
        expect_at(call, EVENTS "duplicate", "1");
        expect_at(call, DELIVERIES "created", "7");
        expect_at(call, DELIVERIES "replayed", "0");
        expect_at(call, DELIVERIES "delivered", "2");
        expect_at(call, DELIVERIES "pending", "1");
        expect_at(call, DELIVERIES "held", "2");
        expect_at(call, DELIVERIES "dead", "1");
        expect_at(call, DELIVERIES "cancelled", "1");
        expect_at(call, "/result/closes", "true");
        expect_at(call, "/result/recount/agrees", i ? "true" : "(none)");
        if (i)
            assert_int_equal(count_at(call, "/result/recount/differences"), 0);
        call_free(call);
    }
    struct call *call = ledger(rig, "");
    expect_at(call, EVENTS "received", "10");
    expect_at(call, DELIVERIES "delivered", "3");
    call_free(call);
    call = ledger(rig, "?from=1970-01-01T00:00:00Z&to=1970-01-01T01:00:00Z");
    expect_at(call, "/result/from", "1970-01-01T00:00:00.000Z");
    expect_at(call, "/result/to", "1970-01-01T01:00:00.000Z");
    expect_at(call, EVENTS "received", "0");
    call_free(call);
    rig_destroy(rig);
}

static void refusals(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    expect_failed(ledger(rig, "?from=2026-01-01T00:30:00Z"), 400, "from: must be a whole hour");
    expect_failed(ledger(rig, "?to=2026-01-01T00:00:00.001Z"), 400, "to: must be a whole hour");
    expect_failed(ledger(rig, "?from=yesterday"), 400, "from: must be a time");
    expect_failed(ledger(rig, "?from=2026-01-01T01:00:00Z&to=2026-01-01T01:00:00Z"), 400,
                  "from: must be before to");
    expect_failed(ledger(rig, "?full=yes"), 400, "full: must be true or false");
    expect_failed(ledger(rig, "?app=a"), 400, "appId, from, to, full");
    expect_failed(call_make(rig, GW_POST, "/v1/ledger", "{}"), 405, "GET");
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing),
        cmocka_unit_test(one_of_each),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
