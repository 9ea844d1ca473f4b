/* test_post.c: one POST by itself, in the simulated world: what is sent, what is recorded, and that a
 * cancel in any stage is the last that is heard of it. */
#include "flow/post.h"

#include "base/timefmt.h"
#include "sim_env.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define BODY   "{\"appId\":\"app\",\"eventType\":\"T\",\"n\":1.50}"

struct post_rig {
    struct sim *sim;
    struct gw_flow flow;
    struct gw_shard shard;
    struct gw_arena arena;
    struct gw_config *config;
    struct gw_event event;
    struct gw_message *message;
    struct gw_post post;
    bool is_inside, is_done;
    /* of the receiver */
    struct sim_reply reply;
    char lines[1024]; /* of the last request, with '|' between them */
    char body[256];
    unsigned hits;
};

static struct sim_reply on_webhook(void *ctx, const struct gw_http_call *call)
{
    struct post_rig *rig = ctx;
    size_t len = 0;
    rig->hits++;
    for (size_t i = 0; call->header_lines[i]; i++)
        len += (size_t)snprintf(rig->lines + len, sizeof(rig->lines) - len, "%s|",
                                call->header_lines[i]);
    snprintf(rig->body, sizeof(rig->body), "%.*s", GW_SLICE_ARG(call->body));
    return rig->reply;
}

static void on_done(struct gw_post *post)
{
    struct post_rig *rig = gw_container_of(post, struct post_rig, post);
    assert_false(rig->is_inside);
    assert_false(rig->is_done);
    rig->is_done = true;
}

static bool is_true(void *ctx)
{
    return *(bool *)ctx;
}

/* A config of "app" with these members beside the URL. */
static struct post_rig *rig_create(const char *url, const char *members)
{
    struct post_rig *rig = gw_zalloc(sizeof(*rig));
    struct gw_error error;
    char json[512];
    sim_init();
    rig->sim = sim_create(&(struct sim_options){.seed = 1});
    rig->flow.options.user_agent = "generic-webhook/1";
    rig->flow.options.connect_timeout_ms = 5000;
    rig->shard.flow = &rig->flow;
    rig->shard.env = sim_env_create(rig->sim);
    snprintf(json, sizeof(json),
             "{\"appId\":\"app\",\"eventType\":\"T\",\"webhookUrl\":\"%s\",\"secret\":\"" SECRET
             "\"%s}",
             url, members);
    struct gw_guard any = {.allow_http = true, .allow_any_port = true};
    struct gw_slice bad;
    assert_true(gw_net_list_parse(GW_SLICE("0.0.0.0/0"), &any.nets, &bad));
    struct gw_config_change change = {.json = gw_slice_from(json), .guard = &any};
    assert_int_equal(gw_config_create(&rig->config, &change, &error), GW_OK);
    gw_net_list_deinit(&any.nets);
    assert_int_equal(gw_event_parse(&rig->event, GW_SLICE(BODY), &rig->arena, &error), GW_OK);
    rig->message = gw_message_create(&rig->event, 0);
    rig->message->id = (struct gw_id){16, "0123456789abcdef"};
    rig->post = (struct gw_post){
        .shard = &rig->shard,
        .arena = &rig->arena,
        .config = rig->config,
        .route = &rig->config->routes[0],
        .message = rig->message,
        .n = 3,
        .done = on_done,
    };
    rig->reply = (struct sim_reply){.end = GW_HTTP_ANSWERED, .status = 200};
    sim_name(rig->sim, "hook.example", "93.184.216.34", 5);
    sim_receiver(rig->sim, "hook.example", on_webhook, rig);
    return rig;
}

static void rig_destroy(struct post_rig *rig)
{
    sim_destroy(rig->sim);
    gw_message_unref(rig->message);
    gw_config_unref(rig->config);
    gw_arena_deinit(&rig->arena);
    gw_free(rig);
}

static void start(struct post_rig *rig)
{
    rig->is_inside = true;
    gw_post_start(&rig->post);
    rig->is_inside = false;
}

static const struct gw_attempt *run(struct post_rig *rig)
{
    start(rig);
    assert_true(sim_run(rig->sim, is_true, &rig->is_done, 60000));
    return &rig->post.record;
}

static void expect(struct gw_slice slice, const char *wanted)
{
    assert_int_equal(slice.len, strlen(wanted));
    assert_memory_equal(slice.ptr, wanted, slice.len);
}

/* ── Tests ─────────────────────────────────────────────────────────────────────────────────── */

static void test_sends_what_the_contract_says(void **state)
{
    struct post_rig *rig =
        rig_create("https://hook.example/a?token=1", ",\"headers\":{\"x-a\":\"b\"}");
    struct gw_secret secret;
    char text[GW_ID_TEXT_MAX], wanted[512];
    (void)state;
    rig->post.is_replay = true;
    rig->post.due_ms = sim_wall_ms(rig->sim) - 700;
    const struct gw_attempt *record = run(rig);
    struct gw_slice id = gw_id_text(GW_ID_MESSAGE, &rig->message->id, text);
    long long at_s = (long long)(record->at_ms / 1000);
    char *signature = strstr(rig->lines, "webhook-signature: ");
    assert_non_null(signature);
    signature += strlen("webhook-signature: ");
    size_t signature_len = strcspn(signature, "|");
    snprintf(wanted, sizeof(wanted),
             "content-type: application/json|user-agent: generic-webhook/1|webhook-id: %s|"
             "webhook-timestamp: %lld|webhook-signature: %.*s|webhook-event-type: T|"
             "webhook-attempt: 3|webhook-replay: true|x-a: b|",
             id.ptr, at_s, (int)signature_len, signature);
    assert_string_equal(rig->lines, wanted);
    assert_string_equal(rig->body, BODY);
    assert_int_equal(gw_secret_parse(&secret, GW_SLICE(SECRET), NULL), GW_OK);
    snprintf(wanted, sizeof(wanted), "%lld", at_s);
    assert_true(gw_sign_verify((struct gw_slice){signature, signature_len}, &secret, id,
                               gw_slice_from(wanted), GW_SLICE(BODY)));
    assert_int_equal(record->outcome, GW_OUTCOME_SUCCESS);
    assert_int_equal(record->status, 200);
    assert_int_equal(record->n, 3);
    assert_int_equal(record->queue_us, 700000);
    assert_int_equal(record->config_version, 1);
    assert_true(record->dns_us > 0 && record->total_us >= record->dns_us);
    expect(record->url, "https://hook.example/a");
    expect(record->error, "");
    rig_destroy(rig);
}

static void test_first_try_is_no_replay(void **state)
{
    struct post_rig *rig = rig_create("https://hook.example/a", ",\"deleteAppId\":true");
    (void)state;
    run(rig);
    assert_null(strstr(rig->lines, "webhook-replay"));
    assert_string_equal(rig->body, "{\"eventType\":\"T\",\"n\":1.50}");
    rig_destroy(rig);
}

/* Signed as it is sent. */
static void test_takes_out_what_the_config_lists(void **state)
{
    struct post_rig *rig = rig_create("https://hook.example/a", ",\"deleteAppId\":true");
    struct gw_edit_path paths[2];
    struct gw_secret secret;
    struct gw_error error;
    char text[GW_ID_TEXT_MAX], at_s[24];
    (void)state;
    assert_int_equal(gw_edit_path_parse(&paths[0], "p", GW_SLICE("n"), &rig->arena, &error), GW_OK);
    assert_int_equal(gw_edit_path_parse(&paths[1], "p", GW_SLICE("x"), &rig->arena, &error), GW_OK);
    rig->config->blocklist = paths;
    rig->config->blocklist_count = 2;
    const struct gw_attempt *record = run(rig);
    assert_string_equal(rig->body, "{\"eventType\":\"T\"}");
    assert_int_equal(gw_secret_parse(&secret, GW_SLICE(SECRET), NULL), GW_OK);
    snprintf(at_s, sizeof(at_s), "%lld", (long long)(record->at_ms / 1000));
    const char *signature = strstr(rig->lines, "webhook-signature: ") + 19;
    struct gw_slice header = {signature, strcspn(signature, "|")};
    assert_true(gw_sign_verify(header, &secret, gw_id_text(GW_ID_MESSAGE, &rig->message->id, text),
                               gw_slice_from(at_s), gw_slice_from(rig->body)));
    rig_destroy(rig);
}

static void test_failures_are_outcomes(void **state)
{
    static const char *const later[] = {"retry-after: 30", NULL};
    static const struct {
        struct sim_reply reply;
        enum gw_outcome outcome;
        int status;
        int64_t retry_after_ms;
    } cases[] = {
        {{.end = GW_HTTP_ANSWERED, .status = 204}, GW_OUTCOME_SUCCESS, 204, 0},
        {{.end = GW_HTTP_ANSWERED, .status = 302}, GW_OUTCOME_HTTP_ERROR, 302, 0},
        {{.end = GW_HTTP_ANSWERED, .status = 503, .header_lines = later},
         GW_OUTCOME_HTTP_ERROR,
         503,
         30000},
        {{.end = GW_HTTP_RESET}, GW_OUTCOME_RESET, 0, 0},
        {{.end = GW_HTTP_TLS}, GW_OUTCOME_TLS, 0, 0},
        {{.end = GW_HTTP_PROTOCOL}, GW_OUTCOME_PROTOCOL, 0, 0},
        {{.delay_ms = -1}, GW_OUTCOME_TIMEOUT, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < gw_count(cases); i++) {
        struct post_rig *rig = rig_create("https://hook.example/a", "");
        rig->reply = cases[i].reply;
        const struct gw_attempt *record = run(rig);
        assert_int_equal(record->outcome, cases[i].outcome);
        assert_int_equal(record->status, cases[i].status);
        assert_int_equal(rig->post.retry_after_ms, cases[i].retry_after_ms);
        assert_int_equal(record->error.len == 0, cases[i].outcome == GW_OUTCOME_SUCCESS);
        rig_destroy(rig);
    }
}

#define NOT_PUBLIC "the name leads to an address that is not public"

/* Whatever was allowed when the config was stored. */
static void test_guards_each_way_to_an_address(void **state)
{
    static const struct {
        const char *url, *addrs, *error;
    } cases[] = {
        {"https://hook.example/", "10.0.0.1", NOT_PUBLIC},
        {"https://hook.example/", "93.184.216.34,127.0.0.1", NOT_PUBLIC},
        {"https://10.1.2.3/", NULL, "10.1.2.3"},
        {"http://hook.example/", "93.184.216.34", "https"},
        {"https://hook.example:8443/", "93.184.216.34", "port"},
    };
    (void)state;
    for (size_t i = 0; i < gw_count(cases); i++) {
        struct post_rig *rig = rig_create(cases[i].url, "");
        sim_name(rig->sim, "hook.example", cases[i].addrs, 5);
        const struct gw_attempt *record = run(rig);
        assert_int_equal(record->outcome, GW_OUTCOME_BLOCKED);
        assert_non_null(strstr(record->error.ptr, cases[i].error));
        if (cases[i].addrs) /* what a name leads to is not told */
            assert_null(strstr(record->error.ptr, "0.0.1"));
        assert_int_equal(rig->hits, 0);
        rig_destroy(rig);
    }
}

static void test_no_name_is_an_outcome(void **state)
{
    struct post_rig *rig = rig_create("https://hook.example/a", "");
    (void)state;
    sim_name(rig->sim, "hook.example", NULL, 5);
    assert_int_equal(run(rig)->outcome, GW_OUTCOME_DNS);
    rig_destroy(rig);
}

static void test_cancelled_is_not_heard_of(void **state)
{
    static const struct {
        const char *url;
        int64_t dns_ms, run_ms;
        enum gw_post_stage stage;
    } cases[] = {
        {"https://10.1.2.3/", 0, 0, GW_POST_STAGE_SOON},
        {"https://hook.example/", 1000, 10, GW_POST_STAGE_NAME},
        {"https://hook.example/", 5, 1000, GW_POST_STAGE_CALL},
    };
    (void)state;
    for (size_t i = 0; i < gw_count(cases); i++) {
        struct post_rig *rig = rig_create(cases[i].url, "");
        sim_name(rig->sim, "hook.example", "93.184.216.34", cases[i].dns_ms);
        rig->reply.delay_ms = 5000;
        start(rig);
        sim_run(rig->sim, NULL, NULL, cases[i].run_ms);
        assert_int_equal(rig->post.stage, cases[i].stage);
        gw_post_cancel(&rig->post);
        memset(&rig->post, 0xEE, sizeof(rig->post));
        sim_run(rig->sim, NULL, NULL, 60000);
        assert_false(rig->is_done);
        rig_destroy(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sends_what_the_contract_says),
        cmocka_unit_test(test_first_try_is_no_replay),
        cmocka_unit_test(test_takes_out_what_the_config_lists),
        cmocka_unit_test(test_failures_are_outcomes),
        cmocka_unit_test(test_guards_each_way_to_an_address),
        cmocka_unit_test(test_no_name_is_an_outcome),
        cmocka_unit_test(test_cancelled_is_not_heard_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
