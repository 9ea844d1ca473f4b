/* test_batch.c: many events in one request: each line is answered as if it had come alone. */
#include "rig.h"

#include "api/api_impl.h"
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH   "/v1/events/batch"
#define CONFIG "{'appId':'a','eventType':'T','webhookUrl':'https://hook.example/p?token=x'}"
#define GOOD   "{'appId':'a','eventType':'T'}"

/* ── Looking at lines ──────────────────────────────────────────────────────────────────────── */

static size_t line_count(const struct call *call)
{
    struct gw_slice all = call->exchange.reply;
    size_t count = 0;
    expect_status((struct call *)(uintptr_t)call, 200);
    assert_string_equal(call->exchange.content_type, "application/x-ndjson");
    assert_true(all.len > 0 && all.ptr[all.len - 1] == '\n');
    for (size_t i = 0; i < all.len; i++)
        count += all.ptr[i] == '\n';
    return count;
}

static const char *line_text(struct call *call, size_t n)
{
    struct gw_slice rest = call->exchange.reply, line;
    for (size_t i = 0; i <= n; i++)
        assert_true(gw_slice_split(&rest, '\n', &line));
    return gw_arena_text(&call->arena, line);
}

/* The status of a line; else its text, so that a failed comparison shows it. */
static const char *status_at(struct call *call, size_t n)
{
    const char *text = line_text(call, n);
    assert_int_equal(strncmp(text, "{\"statusCode\":", 14), 0);
    assert_non_null(strstr(text, text[14] == '2' ? ",\"status\":\"success\",\"result\":{"
                                                 : ",\"status\":\"failed\",\"error\":\""));
    return gw_arena_printf(&call->arena, "%.3s", text + 14);
}

static void expect_line(struct call *call, size_t n, const char *status, const char *word)
{
    assert_string_equal(status_at(call, n), status);
    if (!strstr(line_text(call, n), word))
        fail_msg("no \"%s\" in line %zu: %s", word, n, line_text(call, n));
}

static char *repeated(const char *line, size_t count)
{
    struct gw_buf buf = {0};
    for (size_t i = 0; i < count; i++) {
        gw_buf_adds(&buf, gw_slice_from(line));
        gw_buf_addc(&buf, '\n');
    }
    gw_buf_text(&buf);
    return buf.ptr; /* for gw_free */
}

static struct call *post_many(struct rig *rig, const char *line, size_t count)
{
    char *body = repeated(line, count);
    struct call *call = call_start(rig, 0, GW_POST, PATH, body);
    gw_free(body);
    return call;
}

/* ── Tests ─────────────────────────────────────────────────────────────────────────────────── */

static void each_line_as_if_alone(void **state)
{
    struct rig *rig = rig_create(NULL);
    char body[4096];
    (void)state;
    make_config(rig, CONFIG);
    snprintf(body, sizeof(body), "%s\n%s\r\n%s\n\n  \r\n%s\n%s\n%s\n{'x':'%01100d'}\n%s",
             GOOD,                                          /* 0 */
             "{'appId':'a','eventType':'T','eventId':'e'}", /* 1 */
             "{'appId':'a','eventType':",                   /* 2; 3 and 4 are empty */
             "{'appId':'a','eventType':'U'}",               /* 5 */
             "{'appId':'a','eventType':'T','eventId':'e'}", /* 6 */
             "{'eventType':'T'}",                           /* 7 */
             0,                                             /* 8 */
             " {'appId':'a','eventType':'T'} ");            /* 9, without a newline */
    struct call *call = call_make(rig, GW_POST, PATH, body);
    assert_int_equal(line_count(call), 10);
    expect_line(call, 0, "202", "\"url\":\"https://hook.example/p\"}],\"skipped\":null}}");
    expect_line(call, 1, "202", "\"eventId\":\"e\",\"duplicate\":false");
    expect_line(call, 2, "400", "JSON");
    expect_line(call, 3, "400", "empty");
    expect_line(call, 4, "400", "empty");
    expect_line(call, 5, "202", "\"skipped\":{\"reason\":\"no_config\"}");
    expect_line(call, 6, "202", "\"duplicate\":true,\"deliveries\":[]");
    expect_line(call, 7, "400", "appId");
    expect_line(call, 8, "413", "1024");
    expect_line(call, 9, "202", "\"eventId\":null,\"duplicate\":false");
    assert_null(reply_header(call, "retry-after"));
    const char *first = line_text(call, 1), *again = line_text(call, 6);
    assert_memory_equal(first, again,
                        strlen("{'statusCode':202,'status':'success','result':{'id':"
                               "'msg_aaaaaaaaaaaaaaaaaaaaaaaaaa'"));
    call_free(call);

    /* The very text that a single event is answered with. */
    call = call_make(rig, GW_POST, "/v1/events", "{'appId':'a','eventType':'T','eventId':'e'}");
    struct call *batch =
        call_make(rig, GW_POST, PATH, "{'appId':'a','eventType':'T','eventId':'e'}");
    assert_int_equal(line_count(batch), 1);
    assert_string_equal(line_text(batch, 0), gw_arena_text(&call->arena, call->exchange.reply));
    call_free(call);
    call_free(batch);
    rig_run(rig, 1000);
    call = call_make(rig, GW_GET, "/v1/deliveries?status=delivered", NULL);
    assert_int_equal(count_at(call, "/result/items"), 3);
    call_free(call);
    rig_destroy(rig);
}

static void limits(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    expect_failed(call_make(rig, GW_POST, PATH, ""), 400, "empty");
    struct call *call = call_make(rig, GW_POST, PATH, "\n");
    assert_int_equal(line_count(call), 1);
    expect_line(call, 0, "400", "empty");
    call_free(call);
    call = call_make(rig, GW_POST, PATH, "\n\r");
    assert_int_equal(line_count(call), 2);
    call_free(call);

    call = post_many(rig, GOOD, 1000); /* ten times what the shard has under way at once */
    call_wait(rig, call);
    assert_int_equal(line_count(call), 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_string_equal(status_at(call, i), "202");
    call_free(call);
    uint64_t received = gw_flow_count(&rig->flow, GW_COUNT_RECEIVED);
    assert_int_equal(received, 1000);
    call = post_many(rig, GOOD, 1001);
    expect_failed(call, 413, "1000 lines, was 1001");
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_RECEIVED), received);

    call = call_prepare(rig, GW_POST, PATH, NULL);
    assert_int_equal(gw_api_body_bytes_max(rig->apis[0], &call->exchange), 8 << 20);
    call_free(call);
    rig_destroy(rig);
}

/* Batches leave room for others, and wait for each other. */
static void a_bound_for_all_batches(void **state)
{
    struct rig *rig = rig_create(&(struct rig_options){.accepts_max = 10, .commit_delay_ms = 100});
    struct call *batches[3];
    (void)state;
    make_config(rig, CONFIG);
    send_event(rig, GOOD); /* the config is in memory now */
    for (size_t i = 0; i < gw_count(batches); i++)
        batches[i] = post_many(rig, GOOD, 12);
    assert_int_equal(rig->flow.shards[0]->accepts, 5);
    struct call *bad = post_many(rig, "", 3);
    struct call *single = call_start(rig, 0, GW_POST, "/v1/events", GOOD);
    call_wait(rig, single);
    expect_status(single, 202);
    assert_false(batches[0]->done);
    for (size_t i = 0; i < gw_count(batches); i++) {
        call_wait(rig, batches[i]);
        assert_true(i + 1 == gw_count(batches) || !batches[i + 1]->done);
        assert_int_equal(line_count(batches[i]), 12);
        for (size_t n = 0; n < 12; n++)
            assert_string_equal(status_at(batches[i], n), "202");
        call_free(batches[i]);
    }
    call_wait(rig, bad);
    assert_int_equal(line_count(bad), 3);
    assert_int_equal(rig->flow.shards[0]->accepts, 0);
    call_free(single);
    call_free(bad);
    rig_destroy(rig);
}

/* What the ledger does not take now is said on its line; the longest wait is said to all. */
static void overload(void **state)
{
    struct rig *rig = rig_create(&(struct rig_options){.queue_max = 2, .commit_delay_ms = 100});
    (void)state;
    make_config(rig, CONFIG);
    send_event(rig, GOOD);
    struct call *call = post_many(rig, GOOD, 6);
    call_wait(rig, call);
    assert_int_equal(line_count(call), 6);
    for (size_t i = 0; i < 6; i++)
        expect_line(call, i, i < 2 ? "202" : "503", i < 2 ? "" : ",\"retryAfter\":1}");
    assert_string_equal(reply_header(call, "retry-after"), "1");
    call_free(call);
    call = call_make(rig, GW_GET, "/v1/deliveries", NULL);
    assert_int_equal(count_at(call, "/result/items"), 3);
    call_free(call);
    rig_destroy(rig);
}

static void scope(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct made made;
    (void)state;
    make_key(rig, "{'roles':['producer'],'scope':'a'}", &made);
    struct call *call =
        call_by(rig, &made, GW_POST, PATH, GOOD "\n{'appId':'b','eventType':'T'}\n" GOOD);
    assert_int_equal(line_count(call), 3);
    expect_line(call, 0, "202", "");
    expect_line(call, 1, "403", "another app");
    expect_line(call, 2, "202", "");
    call_free(call);
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

/* What was begun is stored, the rest is told to come again; the shard waits for the answer. */
static void while_it_stops(void **state)
{
    struct rig *rig = rig_create(&(struct rig_options){.accepts_max = 10, .commit_delay_ms = 100});
    bool idle = false;
    (void)state;
    make_config(rig, CONFIG);
    send_event(rig, GOOD);
    struct call *call = post_many(rig, GOOD, 8);
    gw_shard_drain(rig->flow.shards[0], on_idle, &idle);
    assert_false(call->done);
    assert_true(sim_run(rig->sim, is_true, &idle, 60000));
    assert_true(call->done);
    assert_int_equal(line_count(call), 8);
    for (size_t i = 0; i < 8; i++)
        expect_line(call, i, i < 5 ? "202" : "503", i < 5 ? "" : "stopping");
    call_free(call);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_as_if_alone),
        cmocka_unit_test(limits),
        cmocka_unit_test(a_bound_for_all_batches),
        cmocka_unit_test(overload),
        cmocka_unit_test(scope),
        cmocka_unit_test(while_it_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
