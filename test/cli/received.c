/* received.c: what `gwh listen` prints. */
#include "cli/received.h"

#include "../base/test.h"
#include "base/alloc.h"

static const struct gw_term file = {0};
static struct gw_buf out;

static int teardown(void **state)
{
    (void)state;
    gw_buf_deinit(&out);
    out = (struct gw_buf){0};
    return 0;
}

static struct gw_received sample(void)
{
    static const struct gw_header headers[] = {
        {GW_SLICE("webhook-id"), GW_SLICE("msg_1")},
        {GW_SLICE("x-a"), GW_SLICE("\xFF")},
    };

    return (struct gw_received){
        .at_ms = 1795506360123,
        .path = GW_SLICE("/hook"),
        .id = GW_SLICE("msg_1"),
        .event_type = GW_SLICE("T"),
        .attempt = GW_SLICE("2"),
        .headers = headers,
        .header_count = gw_count(headers),
        .body = GW_SLICE("{\"n\":1.50,\"a\":[]}"),
        .is_checked = true,
        .diagnosis = GW_GENUINE,
        .why = GW_SLICE("signed with whsec_…abcd, 0 s ago"),
        .status = 200,
    };
}

static void for_people(void **state)
{
    struct gw_received r = sample();

    (void)state;
    gw_received_show(&r, &file, false, &out);
    expect_slice(gw_buf_slice(&out), "07:46:00.123  msg_1  T  attempt 2  /hook  → 200\n"
                                     "    verified: signed with whsec_…abcd, 0 s ago\n"
                                     "    {\n"
                                     "      \"n\": 1.50,\n"
                                     "      \"a\": []\n"
                                     "    }\n"
                                     "\n");
}

static void one_that_was_taken_before(void **state)
{
    struct gw_received r = sample();

    (void)state;
    r.was_taken = true;
    r.body = GW_SLICE("");
    gw_received_show(&r, &file, false, &out);
    expect_slice(gw_buf_slice(&out),
                 "07:46:00.123  msg_1  T  attempt 2  /hook  → 200\n"
                 "    verified: signed with whsec_…abcd, 0 s ago\n"
                 "    again: this webhook-id was answered with 2xx before; do its work once\n"
                 "    (no body)\n"
                 "\n");
}

static void what_is_no_webhook(void **state)
{
    struct gw_received r = {.at_ms = 0,
                            .method = "PUT",
                            .path = GW_SLICE("/"),
                            .body = GW_SLICE("\x1b[2J\xFFtext\nmore"),
                            .instead = "no answer",
                            .is_replay = true};

    (void)state;
    gw_received_show(&r, &file, false, &out);
    expect_slice(gw_buf_slice(&out), "00:00:00.000  (no webhook-id)  replay  PUT /  → no answer\n"
                                     "    not checked: no --secret or --public-key was given\n"
                                     "    \xEF\xBF\xBD[2J\xEF\xBF\xBDtext\n"
                                     "    more\n"
                                     "\n");
    gw_buf_clear(&out);
    r.body = GW_SLICE("");
    r.is_checked = true;
    r.diagnosis = GW_HEADER_MISSING;
    r.why = GW_SLICE("nothing is there");
    gw_received_show(&r, &file, false, &out);
    expect_slice(gw_buf_slice(&out), "00:00:00.000  (no webhook-id)  replay  PUT /  → no answer\n"
                                     "    not verified: nothing is there\n"
                                     "    (no body)\n"
                                     "\n");
}

static void long_bodies(void **state)
{
    struct gw_received r = sample();
    struct gw_buf body = {0};

    (void)state;
    for (int i = 0; i < 100; i++)
        gw_buf_addf(&body, "line %d\n", i);
    r.body = gw_buf_slice(&body);
    gw_received_show(&r, &file, false, &out);
    assert_non_null(strstr(gw_buf_text(&out), "line 39\n    … and 61 more lines (--wide"));
    gw_buf_clear(&out);
    gw_received_show(&r, &file, true, &out);
    assert_non_null(strstr(gw_buf_text(&out), "line 99\n"));
    gw_buf_clear(&body);
    for (int i = 0; i < 100000; i++) /* indented it would be gigabytes */
        gw_buf_addc(&body, '[');
    for (int i = 0; i < 100000; i++)
        gw_buf_addc(&body, ']');
    r.body = gw_buf_slice(&body);
    gw_buf_clear(&out);
    gw_received_show(&r, &file, false, &out);
    assert_true(out.len < 20000);
    assert_non_null(strstr(gw_buf_text(&out), "… and more: 200000 bytes in all"));
    gw_buf_deinit(&body);
}

static void for_programs(void **state)
{
    struct gw_received r = sample();

    (void)state;
    gw_received_json(&r, &out);
    expect_slice(gw_buf_slice(&out),
                 "{\"at\":\"2026-11-24T07:46:00.123Z\",\"method\":\"POST\",\"path\":\"/hook\","
                 "\"id\":\"msg_1\",\"eventType\":\"T\",\"attempt\":2,\"replay\":false,"
                 "\"again\":false,\"verified\":true,\"diagnosis\":\"genuine\","
                 "\"why\":\"signed with whsec_…abcd, 0 s ago\",\"status\":200,"
                 "\"headers\":{\"webhook-id\":\"msg_1\",\"x-a\":\"\xEF\xBF\xBD\"},"
                 "\"body\":\"{\\\"n\\\":1.50,\\\"a\\\":[]}\"}\n");
    gw_buf_clear(&out);
    r.is_checked = false;
    r.was_taken = true;
    r.instead = "no answer";
    r.status = 0;
    r.attempt = r.event_type = r.id = (struct gw_slice){0};
    r.header_count = 0;
    gw_received_json(&r, &out);
    expect_slice(gw_buf_slice(&out),
                 "{\"at\":\"2026-11-24T07:46:00.123Z\",\"method\":\"POST\",\"path\":\"/hook\","
                 "\"id\":null,\"eventType\":null,\"attempt\":null,\"replay\":false,"
                 "\"again\":true,\"verified\":null,\"diagnosis\":null,\"why\":null,\"status\":null,"
                 "\"headers\":{},\"body\":\"{\\\"n\\\":1.50,\\\"a\\\":[]}\"}\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(for_people),         TEST(one_that_was_taken_before),
        TEST(what_is_no_webhook), TEST(long_bodies),
        TEST(for_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
