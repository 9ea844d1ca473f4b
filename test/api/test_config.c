/* test_config.c: the configuration API. */
#include "rig.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#define CREATE(rest) "{'appId':'a','eventType':'T','webhookUrl':'https://hook.example/p'" rest "}"
#define PATCH(rest)  "{'appId':'a','eventType':'T'," rest "}"

static struct call *patch(struct rig *rig, const char *body, const char *if_match)
{
    struct call *call = call_prepare(rig, GW_PATCH, "/v1/config", body);
    call_header(call, "appid", RIG_NAME);
    call_header(call, "appkey", "0123456789abcdef");
    if (if_match)
        call_header(call, "If-Match", if_match);
    call_go(rig, 0, call);
    call_wait(rig, call);
    return call;
}

static void created(void **state)
{
    struct rig *rig = rig_create(NULL);
    char secret[80];
    (void)state;
    struct call *call = call_make(rig, GW_POST, "/v1/config", CREATE(",'product':'P'"));
    expect_status(call, 201);
    expect_at(call, "/statusCode", "201");
    expect_at(call, "/result/version", "1");
    expect_at(call, "/result/product", "P");
    expect_at(call, "/result/warnings", "(none)");
    assert_string_equal(reply_header(call, "etag"), "\"1\"");
    snprintf(secret, sizeof(secret), "%s", at(call, "/result/secret"));
    assert_int_equal(strncmp(secret, "whsec_", 6), 0);
    assert_int_equal(strlen(secret), 50);
    call_free(call);
    expect_failed(call_make(rig, GW_POST, "/v1/config", CREATE("")), 409, "PATCH");
    call = call_make(rig, GW_GET, "/v1/config?appId=a&eventType=T", NULL);
    expect_status(call, 200);
    assert_non_null(strstr(at(call, "/result/secret"), "\xe2\x80\xa6"));
    call_free(call);
    call = call_make(rig, GW_GET, "/v1/config?appId=a&eventType=T&shareSecret=true", NULL);
    expect_at(call, "/result/secret", secret);
    call_free(call);
    expect_failed(call_make(rig, GW_POST, "/v1/config", CREATE(",'nonsense':1")), 400, "nonsense");
    expect_failed(call_make(rig, GW_POST, "/v1/config", "{'appId':'a'}"), 400, "eventType");
    expect_failed(call_make(rig, GW_POST, "/v1/config", ""), 400, "JSON object");
    rig_destroy(rig);
}

static void patched(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    expect_failed(patch(rig, PATCH("'product':'P'"), NULL), 404, "POST");
    make_config(rig, CREATE(""));
    struct call *call = patch(rig, PATCH("'product':'P'"), NULL);
    expect_status(call, 200);
    expect_at(call, "/result/version", "2");
    expect_at(call, "/result/product", "P");
    assert_non_null(strstr(at(call, "/result/secret"), "\xe2\x80\xa6"));
    call_free(call);
    call = patch(rig, PATCH("'updateSecret':true,'product':null"), "*");
    expect_at(call, "/result/version", "3");
    expect_at(call, "/result/product", "null");
    assert_int_equal(strlen(at(call, "/result/secret")), 50);
    call_free(call);
    expect_failed(patch(rig, PATCH("'maxInFlight':0"), NULL), 400, "maxInFlight");
    expect_failed(patch(rig, "{'appId':'a','eventType':'U','product':'x'}", NULL), 404, "config");
    rig_destroy(rig);
}

static void if_match(void **state)
{
    static const char *const wrong[] = {"1",     "\"\"",    "\"x\"",
                                        "\"1",   "W/\"1\"", "\"1\", \"2\"",
                                        "\"0\"", "\"-1\"",  "\"99999999999999999999\"",
                                        ""};
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CREATE(""));
    struct call *call = patch(rig, PATCH("'product':'P'"), "\"1\"");
    expect_status(call, 200);
    assert_string_equal(reply_header(call, "etag"), "\"2\"");
    call_free(call);
    expect_failed(patch(rig, PATCH("'product':'Q'"), "\"1\""), 412, "version");
    expect_failed(patch(rig, PATCH("'product':'Q'"), "\"3\""), 412, "version");
    for (size_t i = 0; i < gw_count(wrong); i++)
        expect_failed(patch(rig, PATCH("'product':'Q'"), wrong[i]), 400, "If-Match");
    call = call_make(rig, GW_GET, "/v1/config?appId=a&eventType=T", NULL);
    expect_at(call, "/result/version", "2");
    expect_at(call, "/result/product", "P");
    call_free(call);
    rig_destroy(rig);
}

/* Who comes too late begins again, unless the version was named; but not for ever. */
static void faster_writers(void **state)
{
    static const char target[] = "/v1/config?appId=a&eventType=T";
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CREATE(""));
    rig->faster_writers = 15;
    struct call *call = patch(rig, PATCH("'product':'P'"), NULL);
    expect_status(call, 200);
    expect_at(call, "/result/version", "2");
    call_free(call);
    rig->faster_writers = 1;
    expect_failed(patch(rig, PATCH("'product':'Q'"), "\"2\""), 412, "another version");
    assert_int_equal(rig->faster_writers, 0);
    rig->faster_writers = 16;
    call = patch(rig, PATCH("'product':'Q'"), NULL);
    assert_string_equal(reply_header(call, "retry-after"), "1");
    expect_failed(call, 503, "others change this config");
    rig->faster_writers = 16;
    expect_failed(call_make(rig, GW_DELETE, target, NULL), 503, "others change this config");
    assert_int_equal(rig->faster_writers, 0);
    call = call_make(rig, GW_GET, target, NULL);
    expect_at(call, "/result/product", "P");
    call_free(call);
    rig->faster_writers = 15;
    expect_status(call = call_make(rig, GW_DELETE, target, NULL), 200);
    call_free(call);
    rig_destroy(rig);
}

/* Many at once, on both shards: each change is there in the end. */
static void writers_never_lose_a_change(void **state)
{
    struct rig *rig = rig_create(&(struct rig_options){.commit_delay_ms = 3});
    struct call *calls[12];
    char body[128], pointer[32];
    (void)state;
    make_config(rig, CREATE(""));
    for (size_t i = 0; i < gw_count(calls); i++) {
        snprintf(body, sizeof(body), PATCH("'headers':{'x-%zu':'v'}"), i);
        calls[i] = call_start(rig, i % RIG_SHARDS, GW_PATCH, "/v1/config", body);
    }
    for (size_t i = 0; i < gw_count(calls); i++) {
        call_wait(rig, calls[i]);
        expect_status(calls[i], 200);
        snprintf(pointer, sizeof(pointer), "/result/headers/x-%zu", i);
        expect_at(calls[i], pointer, "v");
        call_free(calls[i]);
    }
    struct call *call = call_make(rig, GW_GET, "/v1/config?appId=a&eventType=T", NULL);
    expect_at(call, "/result/version", "13");
    for (size_t i = 0; i < gw_count(calls); i++) {
        snprintf(pointer, sizeof(pointer), "/result/headers/x-%zu", i);
        expect_at(call, pointer, "v");
    }
    call_free(call);
    rig_destroy(rig);
}

static void of_two_creates_one_wins(void **state)
{
    struct rig *rig = rig_create(&(struct rig_options){.commit_delay_ms = 3});
    struct call *calls[2];
    (void)state;
    for (size_t i = 0; i < 2; i++)
        calls[i] = call_start(rig, i, GW_POST, "/v1/config", CREATE(""));
    for (size_t i = 0; i < 2; i++)
        call_wait(rig, calls[i]);
    assert_int_equal(calls[0]->exchange.status + calls[1]->exchange.status, 201 + 409);
    call_free(calls[0]);
    call_free(calls[1]);
    rig_destroy(rig);
}

/* When a change has been answered, each shard works by it. */
static void in_force_when_answered(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CREATE(""));
    for (size_t n = 0; n < 10; n++) {
        char body[128], url[64];
        snprintf(url, sizeof(url), "https://hook.example/%zu", n);
        snprintf(body, sizeof(body), PATCH("'webhookUrl':'%s'"), url);
        struct call *change = call_start(rig, n % RIG_SHARDS, GW_PATCH, "/v1/config", body);
        call_wait(rig, change);
        expect_status(change, 200);
        call_free(change);
        for (size_t shard = 0; shard < RIG_SHARDS; shard++) {
            struct call *event =
                call_start(rig, shard, GW_POST, "/v1/events", "{'appId':'a','eventType':'T'}");
            call_wait(rig, event);
            expect_at(event, "/result/deliveries/0/url", url);
            call_free(event);
        }
    }
    rig_destroy(rig);
}

static void deleted(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    make_config(rig, CREATE(""));
    expect_failed(call_make(rig, GW_DELETE, "/v1/config", NULL), 400, "appId");
    expect_failed(call_make(rig, GW_DELETE, "/v1/config?appId=a", NULL), 400, "eventType");
    expect_failed(call_make(rig, GW_DELETE, "/v1/config?appId=a&eventType=U", NULL), 404, "config");
    expect_failed(call_make(rig, GW_DELETE, "/v1/config?appId=a&eventType=T&x=1", NULL), 400, "x");
    struct call *call = call_prepare(rig, GW_DELETE, "/v1/config?appId=a&eventType=T", NULL);
    call_header(call, "appid", RIG_NAME);
    call_header(call, "appkey", "0123456789abcdef");
    call_header(call, "if-match", "\"2\"");
    call_go(rig, 0, call);
    call_wait(rig, call);
    expect_failed(call, 412, "version");
    call = call_make(rig, GW_DELETE, "/v1/config?appId=a&eventType=T", NULL);
    expect_status(call, 200);
    expect_at(call, "/result/deleted", "true");
    call_free(call);
    expect_failed(call_make(rig, GW_GET, "/v1/config?appId=a&eventType=T", NULL), 404, "config");
    call = call_make(rig, GW_POST, "/v1/events", "{'appId':'a','eventType':'T'}");
    expect_at(call, "/result/skipped/reason", "no_config");
    call_free(call);
    rig_destroy(rig);
}

static void pages(void **state)
{
    struct rig *rig = rig_create(NULL);
    char target[256], body[128];
    size_t seen = 0;
    (void)state;
    for (size_t i = 0; i < 7; i++) {
        snprintf(body, sizeof(body),
                 "{'appId':'%s','eventType':'T%zu','webhookUrl':'https://hook.example/'}",
                 i < 5 ? "a" : "b", i);
        make_config(rig, body);
    }
    snprintf(target, sizeof(target), "/v1/config?limit=2");
    for (;;) {
        struct call *call = call_make(rig, GW_GET, target, NULL);
        expect_status(call, 200);
        for (size_t i = 0; i < count_at(call, "/result/items"); i++) {
            char pointer[64], wanted[8];
            snprintf(pointer, sizeof(pointer), "/result/items/%zu/eventType", i);
            snprintf(wanted, sizeof(wanted), "T%zu", seen++);
            expect_at(call, pointer, wanted);
        }
        const char *next = at(call, "/result/next");
        bool last = strcmp(next, "null") == 0;
        snprintf(target, sizeof(target), "/v1/config?limit=2&cursor=%s", next);
        call_free(call);
        if (last)
            break;
    }
    assert_int_equal(seen, 7);
    struct call *call = call_make(rig, GW_GET, "/v1/config?appId=b", NULL);
    assert_int_equal(count_at(call, "/result/items"), 2);
    call_free(call);
    call = call_make(rig, GW_GET, "/v1/config?appId=nobody", NULL);
    expect_at(call, "/result", "{\"items\":[],\"next\":null}");
    call_free(call);
    expect_failed(call_make(rig, GW_GET, "/v1/config?eventType=T", NULL), 400, "appId");
    expect_failed(call_make(rig, GW_GET, "/v1/config?cursor=AAAA", NULL), 400, "cursor");
    expect_failed(call_make(rig, GW_GET, "/v1/config?cursor=*", NULL), 400, "cursor");
    expect_failed(call_make(rig, GW_GET, "/v1/config?limit=251", NULL), 400, "limit");
    expect_failed(call_make(rig, GW_GET, "/v1/config?shareSecret=maybe", NULL), 400, "shareSecret");
    rig_destroy(rig);
}

/* ── Names ─────────────────────────────────────────────────────────────────────────────────── */

static void names_that_lead_inside(void **state)
{
    struct rig *rig = rig_create(NULL);
    (void)state;
    expect_failed(call_make(rig, GW_POST, "/v1/config",
                            "{'appId':'a','eventType':'T','webhookUrl':'https://inside.example/'}"),
                  400, "webhookUrl: inside.example resolves to 10.0.0.5, a private address");
    expect_failed(call_make(rig, GW_POST, "/v1/config",
                            CREATE(",'workflows':{'w':['https://inside.example/']}")),
                  400, "workflows.w: inside.example");
    expect_failed(call_make(rig, GW_POST, "/v1/config",
                            "{'appId':'a','eventType':'T','webhookUrl':'https://10.1.1.1/'}"),
                  400, "webhookUrl");
    make_config(rig, CREATE(""));
    expect_failed(patch(rig, PATCH("'webhookUrl':'https://inside.example/'"), NULL), 400,
                  "10.0.0.5");
    /* A URL that stays is not looked at again. */
    sim_name(rig->sim, "hook.example", "10.0.0.7", 1);
    struct call *call = patch(rig, PATCH("'product':'P'"), NULL);
    expect_status(call, 200);
    call_free(call);
    rig_destroy(rig);
}

static void names_that_do_not_resolve(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct gw_buf body = {0};
    (void)state;
    struct call *call =
        call_make(rig, GW_POST, "/v1/config",
                  "{'appId':'a','eventType':'T','webhookUrl':'https://nobody.example/'}");
    expect_status(call, 201);
    assert_int_equal(count_at(call, "/result/warnings"), 1);
    assert_int_equal(strncmp(at(call, "/result/warnings/0"), "webhookUrl: nobody.example: ", 28),
                     0);
    call_free(call);

    /* Many, twice each, one of which hangs: in parallel, within a bound. */
    sim_name(rig->sim, "hangs.example", "192.0.2.1", -1);
    gw_buf_addf(&body, "{'appId':'a','eventType':'U','webhookUrl':'https://hangs.example/',"
                       "'workflows':{");
    for (int i = 0; i < 50; i++)
        gw_buf_addf(&body, "%s'w%d':['https://no%d.example/1','https://no%d.example/2']",
                    i ? "," : "", i, i, i);
    gw_buf_addf(&body, "}}");
    int64_t begun_us = sim_now_us(rig->sim);
    call = call_make(rig, GW_POST, "/v1/config", gw_buf_text(&body));
    expect_status(call, 201);
    assert_true(sim_now_us(rig->sim) - begun_us < 9000000);
    assert_int_equal(count_at(call, "/result/warnings"), 21);
    assert_string_equal(at(call, "/result/warnings/20"), "and 31 more names");
    call_free(call);
    gw_buf_deinit(&body);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(created),
        cmocka_unit_test(patched),
        cmocka_unit_test(if_match),
        cmocka_unit_test(faster_writers),
        cmocka_unit_test(writers_never_lose_a_change),
        cmocka_unit_test(of_two_creates_one_wins),
        cmocka_unit_test(in_force_when_answered),
        cmocka_unit_test(deleted),
        cmocka_unit_test(pages),
        cmocka_unit_test(names_that_lead_inside),
        cmocka_unit_test(names_that_do_not_resolve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
