/* test_message.c: one allocation that owns all it shows, and skip reasons as text. */
#include "core/message.h"

#include "support.h"

static void copies_everything(void **state)
{
    (void)state;
    static const char json[] =
        "{\"appId\":\"app\",\"eventType\":\"T\",\"eventId\":\"e\",\"transactionId\":\"t\","
        "\"workflowId\":\"w\",\"eventTime\":\"now\"}";
    struct gw_slice body = exact_copy(gw_slice_from(json));
    struct gw_arena arena = {0};
    struct gw_event event;

    assert_int_equal(gw_event_parse(&event, body, &arena, NULL), GW_OK);
    struct gw_message *message = gw_message_create(&event, 1764000000123);
    gw_arena_deinit(&arena);
    memset((char *)(uintptr_t)body.ptr, 'x', body.len);
    exact_free(body);

    assert_true(message->accepted_ms == 1764000000123);
    assert_int_equal(message->id.len, 0);
    assert_int_equal(message->skip, GW_SKIP_NONE);
    assert_int_equal(message->config_version, 0);
    assert_text(message->app_id, "app");
    assert_text(message->event_type, "T");
    assert_text(message->event_id, "e");
    assert_text(message->transaction_id, "t");
    assert_text(message->workflow_id, "w");
    assert_text(message->event_time, "now");
    assert_text(message->body, json);
    gw_message_unref(message);
}

static void absent_stays_absent(void **state)
{
    (void)state;
    struct gw_event event = {.app_id = GW_SLICE("a"), .event_type = GW_SLICE("T")};
    struct gw_message *message = gw_message_create(&event, 0);

    assert_null(message->event_id.ptr);
    assert_null(message->transaction_id.ptr);
    assert_null(message->workflow_id.ptr);
    assert_null(message->event_time.ptr);
    assert_null(message->body.ptr);
    gw_message_unref(message);

    event.body = GW_SLICE("");
    message = gw_message_create(&event, 0);
    assert_non_null(message->body.ptr);
    assert_int_equal(message->body.len, 0);
    gw_message_unref(message);
}

static void lives_until_the_last_reference(void **state)
{
    (void)state;
    struct gw_event event = {.app_id = GW_SLICE("a"), .event_type = GW_SLICE("T")};
    struct gw_message *message = gw_message_create(&event, 0);

    assert_ptr_equal(gw_message_ref(message), message);
    assert_int_equal(atomic_load(&message->refs), 2);
    gw_message_unref(message);
    assert_text(message->app_id, "a");
    gw_message_unref(message);
    gw_message_unref(NULL);
}

static void skip_reasons(void **state)
{
    (void)state;
    static const char *const wanted[] = {NULL, "no_config", "inactive", "filtered"};
    enum gw_skip skip;

    for (size_t i = 0; i < gw_count(wanted); i++) {
        assert_text(gw_slice_from(gw_skip_name((enum gw_skip)i)), wanted[i]);
        if (wanted[i]) {
            assert_true(gw_skip_parse(gw_slice_from(wanted[i]), &skip));
            assert_int_equal(skip, i);
        }
    }
    assert_false(gw_skip_parse(GW_SLICE(""), &skip));
    assert_false(gw_skip_parse((struct gw_slice){0}, &skip));
    assert_false(gw_skip_parse(GW_SLICE("Inactive"), &skip));
    assert_false(gw_skip_parse(GW_SLICE("inactive "), &skip));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_everything),
        cmocka_unit_test(absent_stays_absent),
        cmocka_unit_test(lives_until_the_last_reference),
        cmocka_unit_test(skip_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
