/* test_door.c: who gets in, and what becomes of a request before a handler sees it. */
#include "rig.h"

#include "base/buf.h"

#include <stdio.h>

static struct call *bare(struct rig *rig, enum gw_method method, const char *target)
{
    return call_prepare(rig, method, target, NULL);
}

static struct call *run(struct rig *rig, struct call *call)
{
    call_go(rig, 0, call);
    call_wait(rig, call);
    return call;
}

static void set_peer(struct call *call, const char *addr)
{
    assert_true(gw_addr_parse(gw_slice_from(addr), &call->exchange.peer));
}

static void keys(void **state)
{
    static const struct {
        const char *name, *key;
    } rows[] = {
        {NULL, NULL},
        {"boss", NULL},
        {NULL, "0123456789abcdef"},
        {"boss", "0123456789abcdeg"},
        {"boss", "0123456789abcde"},
        {"boss", "0123456789abcdef0"},
        {"bos", "0123456789abcdef"},
        {"", ""},
        {"boss", "boss:0123456789abcdef"},
    };
    struct rig *rig = rig_create(NULL);
    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct call *call = bare(rig, GW_GET, "/v1/config");
        if (rows[i].name)
            call_header(call, "appid", rows[i].name);
        if (rows[i].key)
            call_header(call, "appkey", rows[i].key);
        run(rig, call);
        expect_at(call, "",
                  "{\"statusCode\":401,\"status\":\"failed\",\"error\":"
                  "\"Missing/Invalid credentials\"}");
        expect_failed(call, 401, "Missing/Invalid credentials");
    }
    struct call *call = call_make(rig, GW_GET, "/v1/config", NULL);
    expect_at(call, "",
              "{\"statusCode\":200,\"status\":\"success\",\"result\":"
              "{\"items\":[],\"next\":null}}");
    call_free(call);
    rig_destroy(rig);
}

static void addresses_come_first(void **state)
{
    static const char *const targets[] = {"/v1/config", "/metrics", "/nothing", "/"};
    struct rig *rig = rig_create(NULL);
    (void)state;
    for (size_t i = 0; i < gw_count(targets); i++) {
        struct call *call = bare(rig, GW_GET, targets[i]);
        set_peer(call, "198.51.100.1");
        run(rig, call);
        expect_at(call, "",
                  "{\"statusCode\":403,\"status\":\"failed\",\"error\":\"IP not whitelisted\"}");
        call_free(call);
    }
    struct call *call = bare(rig, GW_GET, "/healthz");
    set_peer(call, "198.51.100.1");
    expect_status(run(rig, call), 200);
    call_free(call);
    call = bare(rig, GW_GET, "/metrics"); /* the address is all it needs */
    set_peer(call, "203.0.113.7");
    expect_status(run(rig, call), 200);
    call_free(call);
    call = bare(rig, GW_GET, "/metrics");
    set_peer(call, "192.0.2.1");
    call_header(call, "x-forwarded-for", "198.51.100.1, 203.0.113.7");
    expect_status(run(rig, call), 200);
    call_free(call);
    call = bare(rig, GW_GET, "/metrics");
    set_peer(call, "192.0.2.1");
    call_header(call, "x-forwarded-for", "203.0.113.7, garbage");
    expect_failed(run(rig, call), 403, "IP not whitelisted");
    rig_destroy(rig);
}

static void paths_and_methods(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    expect_failed(call_make(rig, GW_GET, "/v1/nothing", NULL), 404, "nothing");
    struct call *call = call_make(rig, GW_PUT, "/v1/config", NULL);
    assert_string_equal(reply_header(call, "allow"), "POST, GET, HEAD, PATCH, DELETE");
    expect_failed(call, 405, "POST, GET");
    expect_failed(call_make(rig, GW_GET, "/v1/why/%zz", NULL), 400, "percent-encoded");
    expect_failed(call_make(rig, GW_POST, "/v1/events?appId=a", "{}"), 400, "there are none");
    expect_failed(call_make(rig, GW_PATCH, "/v1/config?x=", "{}"), 400, "there are none");
    expect_failed(call_make(rig, GW_GET, "/v1/events/batch", NULL), 405, "only POST");
    expect_failed(call_make(rig, GW_GET, "/v1/why/%ff", NULL), 400, "UTF-8");
    rig_destroy(rig);
}

static void what_could_not_be_read(void **state)
{
    static const struct {
        int status;
        const char *why, *word;
    } rows[] = {
        {400, "the header is malformed", "malformed"},
        {408, "the request did not come in time", "in time"},
        {431, "the header block is too large", "header block"},
        {503, "too much is on its way already", "too much"},
    };
    struct rig *rig = rig_create(NULL);
    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct call *call = bare(rig, GW_METHOD_OTHER, "");
        call->exchange.refused_status = rows[i].status;
        call->exchange.refused_why = rows[i].why;
        expect_failed(run(rig, call), rows[i].status, rows[i].word);
    }
    struct call *call = bare(rig, GW_METHOD_OTHER, "");
    call->exchange.refused_status = 400;
    call->exchange.refused_why = "rubbish";
    set_peer(call, "198.51.100.1");
    expect_failed(run(rig, call), 403, "IP not whitelisted");
    rig_destroy(rig);
}

/* Each route says how much it takes; refused by the server or, where there is none, here. */
static void bodies(void **state)
{
    static const struct {
        enum gw_method method;
        const char *target;
        size_t max;
        int else_status;
    } rows[] = {
        {GW_POST, "/v1/events", 2000, 413},       {GW_GET, "/v1/events", 1024, 413},
        {GW_POST, "/v1/config", 262144, 413},     {GW_PATCH, "/v1/config", 262144, 413},
        {GW_DELETE, "/v1/config?a=b", 1024, 413}, {GW_POST, "/v1/deliveries/x/retry", 1024, 413},
        {GW_GET, "/healthz", 1024, 413},          {GW_POST, "/v1/nothing", 1024, 404},
        {GW_PUT, "/v1/config", 1024, 405},
    };
    struct rig *rig = rig_create(&(struct rig_options){.event_bytes_max = 2000});
    char word[32];
    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct call *call = bare(rig, rows[i].method, rows[i].target);
        assert_int_equal(gw_api_body_bytes_max(rig->apis[0], &call->exchange), rows[i].max);
        set_peer(call, "198.51.100.1");
        if (!strstr(rows[i].target, "healthz"))
            assert_int_equal(gw_api_body_bytes_max(rig->apis[0], &call->exchange), 1024);
        call_free(call);

        snprintf(word, sizeof(word), rows[i].else_status == 413 ? "%zu bytes" : "path",
                 rows[i].max);
        call = bare(rig, rows[i].method, rows[i].target);
        call->exchange.refused_status = 413;
        call->exchange.refused_why = "the body is too large";
        expect_failed(run(rig, call), rows[i].else_status, word);
        char *large = gw_zalloc(rows[i].max + 1);
        call = bare(rig, rows[i].method, rows[i].target);
        call->exchange.body = (struct gw_slice){large, rows[i].max + 1};
        expect_failed(run(rig, call), rows[i].else_status, word);
        gw_free(large);
    }
    struct call *call = bare(rig, GW_POST, "/v1/events");
    call->exchange.refused_status = 413;
    set_peer(call, "198.51.100.1");
    expect_failed(run(rig, call), 403, "IP not whitelisted");
    rig_destroy(rig);
}

/* Another app is not there for a key with a scope, whatever is asked; a body that names it is told. */
static void scopes(void **state)
{
    static const struct {
        enum gw_method method;
        const char *target, *body; /* M and D stand for the other app's event and delivery */
        int status;
        const char *word;
    } rows[] = {
        {GW_POST, "/v1/events", "{'appId':'other','eventType':'T'}", 403, "another app"},
        {GW_POST, "/v1/config",
         "{'appId':'other','eventType':'U','webhookUrl':'https://hook.example/'}", 403,
         "another app"},
        {GW_PATCH, "/v1/config", "{'appId':'other','eventType':'T','product':'x'}", 403,
         "another app"},
        {GW_POST, "/v1/config/test", "{'appId':'other','eventType':'T'}", 403, "another app"},
        {GW_DELETE, "/v1/config?appId=other&eventType=T", NULL, 404, "config"},
        {GW_GET, "/v1/config?appId=other&eventType=T", NULL, 404, ""},
        {GW_GET, "/v1/config?appId=other", NULL, 404, ""},
        {GW_GET, "/v1/config/history?appId=other&eventType=T", NULL, 404, ""},
        {GW_GET, "/v1/events?appId=other&eventId=e", NULL, 404, "event"},
        {GW_GET, "/v1/events/M", NULL, 404, "event"},
        {GW_GET, "/v1/events/M?payload=true", NULL, 404, "event"},
        {GW_GET, "/v1/deliveries?appId=other", NULL, 404, "app"},
        {GW_GET, "/v1/deliveries/D", NULL, 404, "delivery"},
        {GW_POST, "/v1/deliveries/D/retry", NULL, 404, "delivery"},
        {GW_GET, "/v1/ledger?appId=other", NULL, 404, ""},
        {GW_GET, "/v1/audit?appId=other", NULL, 404, ""},
        {GW_POST, "/v1/keys", "{'roles':['client'],'scope':'other'}", 403, "another app"},
        {GW_POST, "/v1/keys", "{'roles':['client'],'scope':'*','name':'mine'}", 403, "another app"},
        {GW_DELETE, "/v1/keys/K", NULL, 404, "no such key"},
    };
    struct rig *rig = rig_create(NULL);
    struct made made, theirs;
    (void)state;
    make_key(rig, "{'roles':['admin','producer','client'],'scope':'mine'}", &made);
    make_key(rig, "{'roles':['viewer'],'scope':'other'}", &theirs);
    make_config(rig, "{'appId':'other','eventType':'T','webhookUrl':'https://hook.example/'}");
    make_config(rig, "{'appId':'mine','eventType':'T','webhookUrl':'https://hook.example/'}");
    struct sent other = send_event(rig, "{'appId':'other','eventType':'T','eventId':'e'}");
    struct sent mine = send_event(rig, "{'appId':'mine','eventType':'T','eventId':'m'}");
    rig_run(rig, 1000);

    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_buf target = {0};
        for (const char *c = rows[i].target; *c; c++) {
            const char *id = *c == 'M'   ? other.message
                             : *c == 'D' ? other.delivery
                             : *c == 'K' ? theirs.id
                                         : NULL;
            gw_buf_addf(&target, "%.*s", id ? 64 : 1, id ? id : c);
        }
        const char *text = gw_arena_text(&rig->arena, gw_buf_slice(&target));
        gw_buf_deinit(&target);
        expect_failed(call_by(rig, &made, rows[i].method, text, rows[i].body), rows[i].status,
                      rows[i].word);
    }
    const char *ids[] = {other.message, other.delivery, "e"};
    for (size_t i = 0; i < gw_count(ids); i++) {
        const char *target = gw_arena_printf(&rig->arena, "/v1/why/%s", ids[i]);
        struct call *call = call_by(rig, &made, GW_GET, target, NULL);
        expect_at(call, "/result/verdict", "unknown");
        call_free(call);
    }

    struct call *call = call_by(rig, &made, GW_GET, "/v1/config", NULL);
    expect_at(call, "/result/items/0/appId", "mine");
    assert_int_equal(count_at(call, "/result/items"), 1);
    call_free(call);
    call = call_by(rig, &made, GW_GET, "/v1/deliveries", NULL);
    expect_at(call, "/result/items/0/id", mine.delivery);
    assert_int_equal(count_at(call, "/result/items"), 1);
    call_free(call);
    call = call_by(rig, &made, GW_GET, "/v1/why/m", NULL);
    expect_at(call, "/result/verdict", "delivered");
    call_free(call);
    call = call_by(rig, &made, GW_GET, gw_arena_printf(&rig->arena, "/v1/events/%s", mine.message),
                   NULL);
    expect_status(call, 200);
    call_free(call);
    call = call_by(rig, &made, GW_GET, "/v1/keys", NULL);
    expect_at(call, "/result/items/0/id", made.id);
    assert_int_equal(count_at(call, "/result/items"), 1);
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

static void while_it_stops(void **state)
{
    struct rig *rig = rig_create(&(struct rig_options){.commit_delay_ms = 500});
    struct call *slow = call_start(rig, 0, GW_POST, "/v1/config",
                                   "{'appId':'a','eventType':'T',"
                                   "'webhookUrl':'https://hook.example/'}");
    bool idle = false;
    (void)state;
    gw_shard_drain(rig->flow.shards[0], on_idle, &idle);
    assert_false(idle); /* a change under way is waited for */
    struct call *late = call_start(rig, 0, GW_GET, "/v1/config", NULL);
    assert_true(late->done);
    assert_string_equal(reply_header(late, "retry-after"), "1");
    expect_failed(late, 503, "stopping");
    expect_failed(call_start(rig, 0, GW_POST, "/v1/events", "{}"), 503, "stopping");
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_REFUSED + GW_REFUSAL_STOPPING), 1);
    assert_true(sim_run(rig->sim, is_true, &idle, 60000));
    assert_true(slow->done);
    expect_status(slow, 201);
    call_free(slow);
    struct call *ready = run(rig, bare(rig, GW_GET, "/readyz"));
    expect_status(ready, 503);
    expect_at(ready, "/draining", "true");
    expect_at(ready, "/why", "the server is stopping");
    call_free(ready);
    ready = bare(rig, GW_GET, "/readyz");
    call_go(rig, 1, ready);
    call_wait(rig, ready);
    expect_status(ready, 200);
    expect_at(ready, "/accepting", "true");
    expect_at(ready, "/oldestDueAgeMs", "0");
    expect_at(ready, "/openDeliveries", "(none)"); /* anybody may ask */
    call_free(ready);
    expect_status(ready = run(rig, bare(rig, GW_GET, "/healthz")), 200);
    call_free(ready);
    rig_destroy(rig);
}

static void metrics(void **state)
{
    static const char *const lines[] = {
        "\ngwh_events_received_total 2\n",
        "\ngwh_events_routed_total 1\n",
        "\ngwh_events_skipped_total{reason=\"no_config\"} 1\n",
        "\ngwh_deliveries_delivered_total 1\n",
        "\ngwh_attempts_total{outcome=\"success\"} 1\n",
        "\ngwh_attempts_total{outcome=\"blocked\"} 0\n",
        "\ngwh_shards 2\n",
        "\ngwh_ledger_accepting 1\n",
        "\ngwh_build_info{version=\"1.2.3\"} 1\n",
        "# TYPE gwh_events_received_total counter\n",
        "# HELP gwh_attempts_in_flight ",
        "\ngwh_attempt_duration_seconds_count 1\n",
        "\ngwh_delivery_duration_seconds_bucket{le=\"+Inf\"} 1\n",
        "\ngwh_configs 1\n",
        "\ngwh_targets{state=\"ok\"} 1\n",
        "\ngwh_events_refused_total{reason=\"too_large\"} 0\n",
        "\ngwh_auth_failures_total{reason=\"credentials\"} 1\n",
    };
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, "{'appId':'a','eventType':'T','webhookUrl':'https://hook.example/'}");
    send_event(rig, "{'appId':'a','eventType':'T'}");
    send_event(rig, "{'appId':'a','eventType':'U'}");
    rig_run(rig, 1000);
    struct call *call = run(rig, bare(rig, GW_GET, "/v1/deliveries"));
    expect_status(call, 401);
    call_free(call);
    call = run(rig, bare(rig, GW_GET, "/metrics"));
    expect_status(call, 200);
    assert_int_equal(strncmp(call->exchange.content_type, "text/plain", 10), 0);
    const char *text = gw_arena_text(&call->arena, call->exchange.reply);
    for (size_t i = 0; i < gw_count(lines); i++)
        if (!strstr(text, lines[i]))
            fail_msg("no %s in %s", lines[i], text);
    assert_null(strstr(text, "process_open_fds 0\n"));
    assert_null(strstr(text, "process_resident_memory_bytes 0\n"));
    call_free(call);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),
        cmocka_unit_test(addresses_come_first),
        cmocka_unit_test(paths_and_methods),
        cmocka_unit_test(what_could_not_be_read),
        cmocka_unit_test(bodies),
        cmocka_unit_test(scopes),
        cmocka_unit_test(while_it_stops),
        cmocka_unit_test(metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
