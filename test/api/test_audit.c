/* test_audit.c: what is changed or shown leaves its line, and nothing is shown without one. */
#include "rig.h"

#include "base/buf.h"

#define CONFIG                                                                                     \
    "{'appId':'acme','eventType':'T','webhookUrl':'https://hook.example/in?token=s3cret',"         \
    "'secret':'0123456789abcdef'}"

/* The lines of the log, newest first, as "actor action appId subject detail", one a line. */
static const char *lines(struct rig *rig, const char *target)
{
    struct call *call = call_make(rig, GW_GET, target, NULL);
    struct gw_buf text = {0};
    expect_status(call, 200);
    for (size_t i = 0; i < count_at(call, "/result/items"); i++) {
        static const char *const members[] = {"actor", "action", "appId", "subject", "detail"};
        for (size_t k = 0; k < gw_count(members); k++)
            gw_buf_addf(
                &text, "%s%s", k ? " " : "",
                at(call, gw_arena_printf(&rig->arena, "/result/items/%zu/%s", i, members[k])));
        gw_buf_addc(&text, '\n');
    }
    const char *copy = gw_arena_text(&rig->arena, gw_buf_slice(&text));
    gw_buf_deinit(&text);
    call_free(call);
    return copy;
}

static size_t line_count(struct rig *rig)
{
    struct call *call = call_make(rig, GW_GET, "/v1/audit?limit=250", NULL);
    size_t count = count_at(call, "/result/items");
    call_free(call);
    return count;
}

static void expect_done(struct call *call, int status)
{
    expect_status(call, status);
    call_free(call);
}

/* ── Every write, everything shown ─────────────────────────────────────────────────────────── */

static void everything_leaves_a_line(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct made made;
    (void)state;
    make_key(rig, "{'roles':['client'],'scope':'acme','name':'ci'}", &made);
    expect_done(call_by(rig, &made, GW_POST, "/v1/config", CONFIG), 201);
    expect_done(call_by(rig, &made, GW_PATCH, "/v1/config",
                        "{'appId':'acme','eventType':'T','product':'kyc'}"),
                200);
    expect_done(call_by(rig, &made, GW_PATCH, "/v1/config",
                        "{'appId':'acme','eventType':'T','updateSecret':true}"),
                200);
    expect_done(
        call_by(rig, &made, GW_GET, "/v1/config?appId=acme&eventType=T&shareSecret=true", NULL),
        200);
    expect_done(call_by(rig, &made, GW_POST, "/v1/config/test", "{'appId':'acme','eventType':'T'}"),
                200);
    rig->reply_status = 410;
    struct sent sent = send_event(rig, "{'appId':'acme','eventType':'T','x':'p4yload'}");
    rig_run(rig, 2000);
    expect_done(call_by(rig, &made, GW_GET,
                        gw_arena_printf(&rig->arena, "/v1/events/%s?payload=true", sent.message),
                        NULL),
                200);
    expect_done(call_by(rig, &made, GW_POST,
                        gw_arena_printf(&rig->arena, "/v1/deliveries/%s/retry", sent.delivery),
                        NULL),
                202);
    rig_run(rig, 2000);
    expect_done(call_by(rig, &made, GW_DELETE, "/v1/config?appId=acme&eventType=T", NULL), 200);
    revoke_key(rig, made.id);
    const char *who = gw_arena_printf(&rig->arena, "ci (%s)", made.id);
    const char *wanted = gw_arena_printf(&rig->arena,
                                         "boss key_revoked acme %s null\n"
                                         "%s config_deleted acme T {\"version\":3,\"changes\":[{",
                                         made.id, who);
    const char *got = lines(rig, "/v1/audit");
    if (strncmp(got, wanted, strlen(wanted)) != 0)
        fail_msg("%s", got);
    wanted = gw_arena_printf(
        &rig->arena,
        "\n%s delivery_retried acme %s null\n"
        "%s payload_shown acme %s null\n"
        "%s test_sent acme T null\n"
        "%s secret_shown acme T null\n"
        "%s config_rotated acme T {\"version\":3,\"changes\":[{\"field\":\"secret\"}]}\n"
        "%s config_updated acme T {\"version\":2,\"changes\":[{\"field\":\"product\","
        "\"from\":null,\"to\":\"kyc\"}]}\n"
        "%s config_created acme T {\"version\":1,\"changes\":[{",
        who, sent.delivery, who, sent.message, who, who, who, who, who);
    if (!strstr(got, wanted))
        fail_msg("no %s in %s", wanted, got);
    wanted = gw_arena_printf(&rig->arena,
                             "\nboss key_created acme %s {\"appid\":\"acme\",\"roles\":[\"client\"]"
                             ",\"scope\":\"acme\",\"name\":\"ci\"}\n",
                             made.id);
    if (!strstr(got, wanted))
        fail_msg("no %s in %s", wanted, got);
    static const char *const never[] = {"0123456789abcdef\"", "whsec_", "s3cret", "p4yload"};
    for (size_t i = 0; i < gw_count(never); i++)
        assert_null(strstr(got, never[i]));
    assert_null(strstr(got, made.appkey));
    rig_destroy(rig);
}

/* What only looks, and what was refused, leaves none. */
static void looking_leaves_none(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CONFIG);
    struct sent sent = send_event(rig, "{'appId':'acme','eventType':'T','eventId':'e'}");
    rig_run(rig, 1000);
    size_t before = line_count(rig);
    const char *targets[] = {
        "/v1/config",
        "/v1/config?appId=acme&eventType=T",
        "/v1/config?appId=acme&eventType=T&shareSecret=false",
        "/v1/config/history?appId=acme&eventType=T",
        "/v1/deliveries",
        "/v1/ledger",
        "/v1/why/e",
        "/v1/keys",
        "/v1/audit",
        gw_arena_printf(&rig->arena, "/v1/events/%s", sent.message),
        gw_arena_printf(&rig->arena, "/v1/deliveries/%s", sent.delivery),
    };
    for (size_t i = 0; i < gw_count(targets); i++)
        expect_done(call_make(rig, GW_GET, targets[i], NULL), 200);
    expect_done(call_make(rig, GW_POST, "/v1/config", CONFIG), 409);
    expect_done(call_make(rig, GW_PATCH, "/v1/config", "{'appId':'acme','eventType':'U'}"), 404);
    expect_done(call_make(rig, GW_DELETE, "/v1/config?appId=acme&eventType=U", NULL), 404);
    expect_done(call_make(rig, GW_GET, "/v1/config?appId=acme&eventType=U&shareSecret=true", NULL),
                404);
    expect_done(call_make(rig, GW_GET, "/v1/events?appId=acme&eventId=x&payload=true", NULL), 404);
    expect_done(call_make(rig, GW_POST, "/v1/config/test", "{'appId':'acme','eventType':'U'}"),
                404);
    expect_done(call_make(rig, GW_POST,
                          gw_arena_printf(&rig->arena, "/v1/deliveries/%s/retry", sent.delivery),
                          NULL),
                409);
    assert_int_equal(line_count(rig), before);
    rig_destroy(rig);
}

static void a_page_of_secrets(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    for (int i = 0; i < 5; i++)
        make_config(rig, gw_arena_printf(&rig->arena,
                                         "{'appId':'a%d','eventType':'T',"
                                         "'webhookUrl':'https://hook.example/'}",
                                         i));
    struct call *call = call_make(rig, GW_GET, "/v1/config?shareSecret=true&limit=3", NULL);
    assert_int_equal(strncmp(at(call, "/result/items/2/secret"), "whsec_", 6), 0);
    call_free(call);
    assert_string_equal(lines(rig, "/v1/audit?limit=3"), "boss secret_shown a2 T null\n"
                                                         "boss secret_shown a1 T null\n"
                                                         "boss secret_shown a0 T null\n");
    size_t before = line_count(rig);
    expect_done(call_make(rig, GW_GET, "/v1/config?appId=none&shareSecret=true", NULL), 200);
    assert_int_equal(line_count(rig), before);
    rig_destroy(rig);
}

/* ── It cannot be written down ─────────────────────────────────────────────────────────────── */

static void nothing_is_shown_without_a_line(void **state)
{
    static const enum gw_fault_kind faults[] = {GW_FAULT_FAIL, GW_FAULT_LOSE};
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CONFIG);
    rig->reply_status = 410;
    struct sent sent = send_event(rig, "{'appId':'acme','eventType':'T','eventId':'e'}");
    rig_run(rig, 2000);
    const struct {
        enum gw_method method;
        const char *target, *body;
    } rows[] = {
        {GW_GET, "/v1/config?appId=acme&eventType=T&shareSecret=true", NULL},
        {GW_GET, "/v1/config?shareSecret=true", NULL},
        {GW_GET, "/v1/events?appId=acme&eventId=e&payload=true", NULL},
        {GW_GET, gw_arena_printf(&rig->arena, "/v1/events/%s?payload=true", sent.message), NULL},
        {GW_POST, gw_arena_printf(&rig->arena, "/v1/deliveries/%s/retry", sent.delivery), NULL},
        {GW_POST, "/v1/config/test", "{'appId':'acme','eventType':'T'}"},
    };
    for (size_t i = 0; i < gw_count(rows) * gw_count(faults); i++) {
        rig->admin_fault = faults[i % gw_count(faults)];
        struct call *call =
            call_make(rig, rows[i / 2].method, rows[i / 2].target, rows[i / 2].body);
        rig->admin_fault = GW_FAULT_NONE;
        assert_non_null(reply_header(call, "retry-after"));
        expect_failed(call, 503, "the audit log cannot be written now");
    }
    rig_run(rig, 5000);
    struct call *call = call_make(
        rig, GW_GET, gw_arena_printf(&rig->arena, "/v1/deliveries/%s", sent.delivery), NULL);
    expect_at(call, "/result/attempts", "1"); /* no retry was made */
    call_free(call);
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_RETRIED_BY_HAND), 0);
    rig_destroy(rig);
}

/* ── Reading ───────────────────────────────────────────────────────────────────────────────── */

static void filters_and_pages(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct gw_buf all = {0};
    const char *target = "/v1/audit?limit=2";
    (void)state;
    for (int i = 0; i < 7; i++) {
        make_config(rig, gw_arena_printf(&rig->arena,
                                         "{'appId':'%s','eventType':'T%d',"
                                         "'webhookUrl':'https://hook.example/'}",
                                         i % 2 ? "odd" : "even", i));
        rig_run(rig, 60000);
    }
    for (int i = 0;; i++) {
        struct call *call = call_make(rig, GW_GET, target, NULL);
        gw_buf_addf(&all, "%s", lines(rig, target));
        target =
            gw_arena_printf(&rig->arena, "/v1/audit?limit=2&cursor=%s", at(call, "/result/next"));
        bool is_last = strcmp(at(call, "/result/next"), "null") == 0;
        call_free(call);
        assert_in_range(i, 0, 3);
        if (is_last)
            break;
    }
    assert_string_equal(gw_buf_text(&all), lines(rig, "/v1/audit"));
    gw_buf_deinit(&all);

    struct call *call = call_make(rig, GW_GET, "/v1/audit?appId=odd", NULL);
    assert_int_equal(count_at(call, "/result/items"), 3);
    expect_at(call, "/result/items/0/subject", "T5");
    expect_at(call, "/result/items/2/subject", "T1");
    expect_at(call, "/result/next", "null");
    const char *from = gw_arena_printf(&rig->arena, "%s", at(call, "/result/items/1/at"));
    const char *to = gw_arena_printf(&rig->arena, "%s", at(call, "/result/items/0/at"));
    call_free(call);
    call = call_make(rig, GW_GET, gw_arena_printf(&rig->arena, "/v1/audit?from=%s&to=%s", from, to),
                     NULL);
    assert_int_equal(count_at(call, "/result/items"), 2); /* from <= at < to: T4 and T3 */
    expect_at(call, "/result/items/0/subject", "T4");
    expect_at(call, "/result/items/1/subject", "T3");
    call_free(call);
    static const char *const bad[] = {"cursor=x",
                                      "cursor=0",
                                      "cursor=-1",
                                      "limit=251",
                                      "from=yesterday",
                                      "subject=T",
                                      "cursor=99999999999999999999"};
    for (size_t i = 0; i < gw_count(bad); i++)
        expect_done(
            call_make(rig, GW_GET, gw_arena_printf(&rig->arena, "/v1/audit?%s", bad[i]), NULL),
            400);
    rig_destroy(rig);
}

static void history(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct made viewer;
    (void)state;
    make_key(rig, "{'roles':['viewer'],'scope':'acme'}", &viewer);
    make_config(rig, CONFIG);
    make_config(rig, "{'appId':'acme','eventType':'U','webhookUrl':'https://hook.example/'}");
    make_config(rig, "{'appId':'other','eventType':'T','webhookUrl':'https://hook.example/'}");
    expect_done(call_make(rig, GW_PATCH, "/v1/config",
                          "{'appId':'acme','eventType':'T',"
                          "'webhookUrl':'https://hook.example/out?token=t0ken'}"),
                200);
    expect_done(call_make(rig, GW_GET, "/v1/config?appId=acme&eventType=T&shareSecret=true", NULL),
                200);
    expect_done(call_make(rig, GW_POST, "/v1/config/test", "{'appId':'acme','eventType':'T'}"),
                200);
    expect_done(call_make(rig, GW_DELETE, "/v1/config?appId=acme&eventType=T", NULL), 200);
    make_config(rig, CONFIG);
    struct call *call =
        call_by(rig, &viewer, GW_GET, "/v1/config/history?appId=acme&eventType=T", NULL);
    expect_status(call, 200);
    static const char *const actions[] = {"config_created", "config_deleted", "config_updated",
                                          "config_created"};
    static const char *const versions[] = {"1", "2", "2", "1"};
    assert_int_equal(count_at(call, "/result/items"), gw_count(actions));
    for (size_t i = 0; i < gw_count(actions); i++) {
        expect_at(call, gw_arena_printf(&rig->arena, "/result/items/%zu/action", i), actions[i]);
        expect_at(call, gw_arena_printf(&rig->arena, "/result/items/%zu/version", i), versions[i]);
        expect_at(call, gw_arena_printf(&rig->arena, "/result/items/%zu/actor", i), "boss");
        expect_at(call, gw_arena_printf(&rig->arena, "/result/items/%zu/address", i), "127.0.0.1");
    }
    expect_at(call, "/result/items/2/changes",
              "[{\"field\":\"webhookUrl\",\"from\":\"https://hook.example/in\","
              "\"to\":\"https://hook.example/out\"}]");
    assert_null(memmem(call->exchange.reply.ptr, call->exchange.reply.len, "token", 5));
    call_free(call);
    call = call_make(rig, GW_GET, "/v1/config/history?appId=acme&eventType=T&limit=3", NULL);
    const char *target =
        gw_arena_printf(&rig->arena, "/v1/config/history?appId=acme&eventType=T&limit=3&cursor=%s",
                        at(call, "/result/next"));
    call_free(call);
    call = call_make(rig, GW_GET, target, NULL);
    assert_int_equal(count_at(call, "/result/items"), 1);
    expect_at(call, "/result/items/0/action", "config_created");
    expect_at(call, "/result/next", "null");
    call_free(call);
    call = call_make(rig, GW_GET, "/v1/config/history?appId=acme&eventType=V", NULL);
    expect_at(call, "/result/items", "[]");
    call_free(call);
    expect_failed(call_make(rig, GW_GET, "/v1/config/history?appId=acme", NULL), 400,
                  "eventType: is required");
    expect_failed(call_make(rig, GW_GET, "/v1/config/history", NULL), 400, "appId: is required");
    expect_failed(call_by(rig, &viewer, GW_GET, "/v1/config/history?appId=other&eventType=T", NULL),
                  404, "");
    rig_destroy(rig);
}

/* A name that somebody chose cannot be taken for the administrator's own key. */
static void actors(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct made named, unnamed;
    (void)state;
    make_key(rig, "{'roles':['admin'],'scope':'*','name':'boss'}", &named);
    make_key(rig, "{'roles':['client'],'scope':'acme'}", &unnamed);
    expect_done(call_by(rig, &named, GW_POST, "/v1/config", CONFIG), 201);
    expect_done(call_by(rig, &unnamed, GW_DELETE, "/v1/config?appId=acme&eventType=T", NULL), 200);
    struct call *call = call_make(rig, GW_GET, "/v1/audit?limit=2", NULL);
    expect_at(call, "/result/items/1/actor", gw_arena_printf(&rig->arena, "boss (%s)", named.id));
    expect_at(call, "/result/items/0/actor", gw_arena_printf(&rig->arena, "acme (%s)", unnamed.id));
    call_free(call);
    rig_destroy(rig);
}

/* From a proxy that is trusted it is the address behind it; from others, their own. */
static void addresses(void **state)
{
    static const struct {
        const char *peer, *forwarded, *address;
    } rows[] = {
        {"127.0.0.1", NULL, "127.0.0.1"},
        {"127.0.0.1", "203.0.113.7", "127.0.0.1"},
        {"192.0.2.1", "203.0.113.7", "203.0.113.7"},
        {"192.0.2.1", "198.51.100.1, 203.0.113.7, 192.0.2.9", "203.0.113.7"},
        {"::1", "203.0.113.7", "::1"},
    };
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CONFIG);
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct call *call =
            call_prepare(rig, GW_GET, "/v1/config?appId=acme&eventType=T&shareSecret=true", NULL);
        assert_true(gw_addr_parse(gw_slice_from(rows[i].peer), &call->exchange.peer));
        call_header(call, "appid", RIG_NAME);
        call_header(call, "appkey", "0123456789abcdef");
        if (rows[i].forwarded)
            call_header(call, "x-forwarded-for", rows[i].forwarded);
        call_go(rig, 0, call);
        call_wait(rig, call);
        expect_done(call, 200);
        call = call_make(rig, GW_GET, "/v1/audit?limit=1", NULL);
        expect_at(call, "/result/items/0/action", "secret_shown");
        expect_at(call, "/result/items/0/address", rows[i].address);
        call_free(call);
    }
    rig_destroy(rig);
}

/* What a viewer does not see. */
static void viewers(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct made viewer, client;
    (void)state;
    make_key(rig, "{'roles':['viewer'],'scope':'acme'}", &viewer);
    make_key(rig, "{'roles':['client'],'scope':'acme'}", &client);
    make_config(rig, "{'appId':'acme','eventType':'T',"
                     "'webhookUrl':'https://hook.example/in?token=s3cret',"
                     "'workflows':{'w':['https://hook.example/w?token=s3cret']}}");
    struct sent sent = send_event(rig, "{'appId':'acme','eventType':'T'}");
    rig_run(rig, 1000);
    const char *delivery = gw_arena_printf(&rig->arena, "/v1/deliveries/%s", sent.delivery);
    static const char *const config = "/v1/config?appId=acme&eventType=T";
    struct call *call = call_by(rig, &viewer, GW_GET, config, NULL);
    expect_at(call, "/result/webhookUrl", "https://hook.example/in");
    expect_at(call, "/result/workflows/w/0", "https://hook.example/w");
    call_free(call);
    call = call_by(rig, &client, GW_GET, config, NULL);
    expect_at(call, "/result/webhookUrl", "https://hook.example/in?token=s3cret");
    expect_at(call, "/result/workflows/w/0", "https://hook.example/w?token=s3cret");
    call_free(call);
    call = call_by(rig, &viewer, GW_GET, "/v1/config", NULL);
    expect_at(call, "/result/items/0/webhookUrl", "https://hook.example/in");
    call_free(call);
    call = call_by(rig, &viewer, GW_GET, delivery, NULL);
    expect_at(call, "/result/attemptLog/0/statusCode", "200");
    expect_at(call, "/result/attemptLog/0/responseExcerpt", "null");
    call_free(call);
    call = call_by(rig, &client, GW_GET, delivery, NULL);
    expect_at(call, "/result/attemptLog/0/responseExcerpt", "reply");
    call_free(call);
    expect_failed(
        call_by(rig, &viewer, GW_GET, "/v1/config?appId=acme&eventType=T&shareSecret=true", NULL),
        403, "shareSecret=true needs the role admin or client");
    expect_failed(call_by(rig, &viewer, GW_GET,
                          gw_arena_printf(&rig->arena, "/v1/events/%s?payload=true", sent.message),
                          NULL),
                  403, "payload=true needs the role admin or client");
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_leaves_a_line),
        cmocka_unit_test(looking_leaves_none),
        cmocka_unit_test(a_page_of_secrets),
        cmocka_unit_test(nothing_is_shown_without_a_line),
        cmocka_unit_test(filters_and_pages),
        cmocka_unit_test(history),
        cmocka_unit_test(actors),
        cmocka_unit_test(addresses),
        cmocka_unit_test(viewers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
