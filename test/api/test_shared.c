/* test_shared.c: the API where many processes share the store: others route what is posted here, and
 * one app is looked at at a time. */
#include "rig.h"

#include "api/refused.h"

#include <stdio.h>

/* In front of the rig's ledger: what is posted is kept elsewhere, under ids that count. */
static struct deferring {
    struct gw_ledger ledger;
    struct gw_ledger *behind;
    uint8_t count;
    bool is_off;
} deferring;

static void on_deferred(struct gw_msg *msg)
{
    struct gw_op *op = gw_container_of(msg, struct gw_op, msg);
    op->done(op);
}

static void start(struct gw_ledger *ledger, struct gw_op *op)
{
    (void)ledger;
    if (op->kind != GW_CALL_ACCEPT || deferring.is_off) {
        deferring.behind->start(deferring.behind, op);
        return;
    }
    struct gw_accept *accept = gw_container_of(op, struct gw_accept, op);
    accept->deferred = true;
    accept->message_id = (struct gw_id){.len = 16, .bytes = {++deferring.count}};
    op->msg.run = on_deferred;
    gw_env_post(op->env, &op->msg);
}

static struct gw_ledger_state get_state(struct gw_ledger *ledger)
{
    (void)ledger;
    return gw_ledger_state(deferring.behind);
}

static struct rig *create(void)
{
    struct rig *rig = rig_create(&(struct rig_options){.is_shared = true});
    deferring = (struct deferring){.ledger = {.start = start, .state = get_state},
                                   .behind = rig->flow.ledger};
    rig->flow.ledger = &deferring.ledger;
    return rig;
}

static struct call *why(struct rig *rig, const char *id)
{
    struct call *call =
        call_make(rig, GW_GET, gw_arena_printf(&rig->arena, "/v1/why/%s", id), NULL);
    expect_status(call, 200);
    return call;
}

static void an_event_is_handed_over(void **state)
{
    struct rig *rig = create();
    (void)state;
    struct call *call =
        call_make(rig, GW_POST, "/v1/events",
                  "{'appId':'a','eventType':'T','eventId':'e','transactionId':'t'}");
    expect_status(call, 202);
    expect_at(call, "/result/eventId", "e");
    expect_at(call, "/result/duplicate", "null");
    expect_at(call, "/result/deliveries", "null");
    expect_at(call, "/result/skipped", "null");
    assert_int_equal(strncmp(at(call, "/result/id"), "msg_", 4), 0);
    const char *id = gw_arena_text(&rig->arena, gw_slice_from(at(call, "/result/id")));
    call_free(call);

    const char *ids[] = {id, "e", "t"};
    for (size_t i = 0; i < gw_count(ids); i++) {
        call = why(rig, ids[i]);
        expect_at(call, "/result/verdict", "waiting");
        expect_at(call, "/result/events/0/id", id);
        expect_at(call, "/result/events/0/steps/0/what", "accepted");
        assert_int_equal(count_at(call, "/result/events"), 1);
        call_free(call);
    }
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_RECEIVED), 0); /* who routes it counts it */
    rig_run(rig, GW_HANDED_OVER_KEEP_MS + 1000);
    call = why(rig, id);
    expect_at(call, "/result/verdict", "unknown");
    call_free(call);
    rig_destroy(rig);
}

static void lines_of_a_batch_are_handed_over(void **state)
{
    struct rig *rig = create();
    (void)state;
    struct call *call = call_make(rig, GW_POST, "/v1/events/batch",
                                  "{'appId':'a','eventType':'T'}\n{'appId':'a','eventType':'T'}\n");
    expect_status(call, 200);
    struct gw_slice rest = call->exchange.reply, line;
    for (int i = 0; i < 2; i++) {
        assert_true(gw_slice_split(&rest, '\n', &line));
        assert_non_null(memmem(line.ptr, line.len, "\"deliveries\":null", 17));
    }
    call_free(call);
    rig_destroy(rig);
}

/* The same event twice, refused before, and once routed: what counts is where it is now. */
static void what_came_of_it_decides(void **state)
{
    static const char good[] = "{'appId':'a','eventType':'T','eventId':'e'}";
    static const char bad[] = "{'appId':'a','eventType':7,'eventId':'e'}";
    struct rig *rig = create();
    (void)state;
    expect_failed(call_make(rig, GW_POST, "/v1/events", bad), 400, "eventType");
    rig_run(rig, 10);
    call_free(call_make(rig, GW_POST, "/v1/events", good));
    rig_run(rig, 10);
    expect_failed(call_make(rig, GW_POST, "/v1/events", bad), 400, "eventType");
    struct call *call = why(rig, "e");
    expect_at(call, "/result/verdict", "waiting");
    expect_at(call, "/result/events/0/verdict", "waiting");
    expect_at(call, "/result/events/1/next", "A newer event with the same eventId decides.");
    call_free(call);

    /* The worker has stored it, with the id it was given here. */
    deferring.is_off = true;
    make_config(rig, "{'appId':'a','eventType':'T','webhookUrl':'https://hook.example/'}");
    struct sent sent = send_event(rig, "{'appId':'a','eventType':'T','eventId':'f'}");
    struct gw_refusal note = {.status = 202,
                              .app_id = GW_SLICE("a"),
                              .scope = GW_SLICE("a"),
                              .event_id = GW_SLICE("f"),
                              .why = GW_SLICE("")};
    rig_run(rig, 1000);
    note.at_ms = gw_env_wall_ms(rig->envs[0]);
    assert_true(gw_id_parse(GW_ID_MESSAGE, gw_slice_from(sent.message), &note.id));
    gw_refused_add(rig->apis[1]->handed_over, &note);
    call = why(rig, "f");
    expect_at(call, "/result/verdict", "delivered");
    assert_int_equal(count_at(call, "/result/events"), 1);
    call_free(call);
    rig_destroy(rig);
}

static void one_app_at_a_time(void **state)
{
    struct rig *rig = create();
    (void)state;
    expect_failed(call_make(rig, GW_GET, "/v1/deliveries", NULL), 400, "appId");
    expect_failed(call_make(rig, GW_GET, "/v1/ledger", NULL), 400, "appId");
    expect_failed(call_make(rig, GW_GET,
                            "/v1/ledger?appId=a&from=2026-01-01T00:00:00Z&to=2026-01-02T01:00:00Z",
                            NULL),
                  400, "24 hours");
    expect_failed(call_make(rig, GW_GET, "/v1/stats?appId=a", NULL), 501, "--log-url");
    static const char *const good[] = {
        "/v1/deliveries?appId=a",
        "/v1/ledger?appId=a",
        "/v1/ledger?appId=a&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z",
    };
    for (size_t i = 0; i < gw_count(good); i++) {
        struct call *call = call_make(rig, GW_GET, good[i], NULL);
        expect_status(call, 200);
        call_free(call);
    }
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_handed_over),
        cmocka_unit_test(lines_of_a_batch_are_handed_over),
        cmocka_unit_test(what_came_of_it_decides),
        cmocka_unit_test(one_app_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
