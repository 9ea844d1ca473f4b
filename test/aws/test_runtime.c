/* test_runtime.c: Lambda's runtime API, with a fake of it in the simulated world. */
#include "aws/runtime.h"

#include "sim_env.h"
#include "support.h"

#define DAY_MS INT64_C(86400000)

struct world {
    struct sim *sim;
    struct gw_env *env;
    struct gw_aws_runtime runtime;
    bool is_done;

    /* the fake's */
    struct sim_reply next, rest;
    struct gw_buf seen; /* "METHOD path body\n" */
};

static struct world *world;

static const char *const invocation[] = {
    "Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd",
    "Lambda-Runtime-Deadline-Ms: 1542409706888",
    "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-2:123456789012:function:x",
    "Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
    NULL,
};

static struct sim_reply lambda(void *ctx, const struct gw_http_call *call)
{
    (void)ctx;
    gw_buf_addf(&world->seen, "%s %s %.*s\n", call->method, strchr(call->url + 8, '/'),
                GW_SLICE_ARG(call->body));
    return strcmp(call->method, "GET") == 0 ? world->next : world->rest;
}

static void on_done(struct gw_aws_runtime *runtime)
{
    assert_ptr_equal(runtime, &world->runtime);
    assert_false(world->is_done);
    world->is_done = true;
}

static bool is_done(void *ctx)
{
    (void)ctx;
    return world->is_done;
}

static int setup(void **state)
{
    struct gw_error error;

    (void)state;
    no_settings();
    set_all("AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001");
    world = gw_zalloc(sizeof(*world));
    world->sim = sim_create(&(struct sim_options){.seed = 3});
    world->env = sim_env_create(world->sim);
    world->next = (struct sim_reply){GW_HTTP_ANSWERED, 200, 1, invocation, "{\"a\":1}"};
    world->rest = (struct sim_reply){GW_HTTP_ANSWERED, 202, 1, NULL, ""};
    sim_receiver(world->sim, "127.0.0.1", lambda, NULL);
    if (gw_aws_runtime_init(&world->runtime, world->env, on_done, &error) != GW_OK)
        fail_msg("%s", error.text);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_aws_runtime_deinit(&world->runtime);
    sim_destroy(world->sim);
    gw_buf_deinit(&world->seen);
    gw_free(world);
    return 0;
}

static void wait_ms(int64_t max_ms)
{
    assert_false(world->is_done); /* never inside the call */
    assert_true(sim_run(world->sim, is_done, NULL, max_ms));
    world->is_done = false;
}

static void expect_well(void)
{
    expect(world->runtime.error.code == GW_OK, "%s", world->runtime.error.text);
}

/* ── A life ────────────────────────────────────────────────────────────────────────────────── */

static void invocations(void **state)
{
    struct gw_aws_runtime *runtime = &world->runtime;

    (void)state;
    world->next.delay_ms = 20 * DAY_MS;
    for (int i = 0; i < 2; i++) {
        gw_aws_runtime_next(runtime);
        wait_ms(21 * DAY_MS);
        expect_well();
        expect_slice(runtime->event, "{\"a\":1}");
        expect_slice(runtime->id, "8476a536-e9f4-11e8-9739-2dfe598c3fcd");
        expect_slice(runtime->function_arn, "arn:aws:lambda:us-east-2:123456789012:function:x");
        expect_slice(runtime->trace, "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700");
        assert_true(runtime->deadline_ms == INT64_C(1542409706888));
        if (i == 0)
            gw_aws_runtime_answer(runtime, GW_SLICE("{\"batchItemFailures\":[]}"));
        else
            gw_aws_runtime_refuse(runtime, "Function.Bad", "no \"such\" thing");
        wait_ms(60000);
        expect_well();
    }
    expect_slice(
        gw_buf_slice(&world->seen),
        "GET /2018-06-01/runtime/invocation/next \n"
        "POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response "
        "{\"batchItemFailures\":[]}\n"
        "GET /2018-06-01/runtime/invocation/next \n"
        "POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/error "
        "{\"errorMessage\":\"no \\\"such\\\" thing\",\"errorType\":\"Function.Bad\"}\n");
}

static void no_start(void **state)
{
    (void)state;
    gw_aws_runtime_refuse(&world->runtime, "Runtime.NoKey", "no key");
    wait_ms(60000);
    expect_well();
    expect_slice(gw_buf_slice(&world->seen),
                 "POST /2018-06-01/runtime/init/error {\"errorMessage\":\"no key\",\"errorType\":"
                 "\"Runtime.NoKey\"}\n");
}

/* ── What goes wrong ───────────────────────────────────────────────────────────────────────── */

static void invocations_that_are_none(void **state)
{
    static const char *const evil[] = {"lambda-runtime-aws-request-id: a/../b",
                                       "lambda-runtime-deadline-ms: 7", NULL};
    static const char *const no_deadline[] = {"lambda-runtime-aws-request-id: a", NULL};
    static const char *const no_id[] = {"lambda-runtime-deadline-ms: 7", NULL};
    const struct sim_reply replies[] = {
        {GW_HTTP_ANSWERED, 200, 1, evil, "{}"},     {GW_HTTP_ANSWERED, 200, 1, no_deadline, "{}"},
        {GW_HTTP_ANSWERED, 200, 1, no_id, "{}"},    {GW_HTTP_ANSWERED, 500, 1, invocation, "{}"},
        {GW_HTTP_ANSWERED, 202, 1, invocation, ""}, {.end = GW_HTTP_RESET, .delay_ms = 1},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(replies); i++) {
        world->next = replies[i];
        gw_aws_runtime_next(&world->runtime);
        wait_ms(60000);
        expect(world->runtime.error.code == GW_ERR_UNAVAILABLE, "reply %zu", i);
        assert_int_equal(world->runtime.id.len + world->runtime.event.len, 0);
    }
}

static void answers_that_are_not_taken(void **state)
{
    static const struct {
        int status;
        enum gw_err err;
    } rows[] = {{413, GW_ERR_TOO_LARGE}, {400, GW_ERR_UNAVAILABLE}, {200, GW_ERR_UNAVAILABLE}};

    (void)state;
    gw_aws_runtime_next(&world->runtime);
    wait_ms(60000);
    for (size_t i = 0; i < gw_count(rows); i++) {
        world->rest.status = rows[i].status;
        gw_aws_runtime_answer(&world->runtime, GW_SLICE("{}"));
        wait_ms(60000);
        assert_int_equal(world->runtime.error.code, rows[i].err);
        assert_int_not_equal(world->runtime.id.len, 0); /* it can still be refused */
    }
    world->rest.delay_ms = -1;
    gw_aws_runtime_answer(&world->runtime, GW_SLICE("{}"));
    wait_ms(60000);
    assert_int_equal(world->runtime.error.code, GW_ERR_UNAVAILABLE);
}

static void settings(void **state)
{
    static const struct {
        const char *where, *error; /* NULL: it is well */
    } rows[] = {
        {"localhost:9001", NULL},
        {"127.0.0.1", NULL},
        {"", "must be set"},
        {"host:0", "must be http"},
        {"host/path", "had a path"},
        {"http://host:1", "must be http"},
        {"user@host:1", "must be http"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_aws_runtime runtime;
        struct gw_error error = {0};
        setenv("AWS_LAMBDA_RUNTIME_API", rows[i].where, 1);
        enum gw_err err = gw_aws_runtime_init(&runtime, world->env, on_done, &error);
        expect(rows[i].error ? err != GW_OK && strstr(error.text, rows[i].error) : err == GW_OK,
               "\"%s\": %s", rows[i].where, error.text);
        if (err == GW_OK)
            gw_aws_runtime_deinit(&runtime);
    }
}

static void ended_meanwhile(void **state)
{
    (void)state;
    world->next.delay_ms = DAY_MS;
    gw_aws_runtime_next(&world->runtime);
    assert_true(sim_run(world->sim, NULL, NULL, 1000));
    gw_aws_runtime_deinit(&world->runtime);
    assert_true(sim_run(world->sim, NULL, NULL, 2 * DAY_MS));
    assert_false(world->is_done);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(invocations),
        TEST(no_start),
        TEST(invocations_that_are_none),
        TEST(answers_that_are_not_taken),
        TEST(settings),
        TEST(ended_meanwhile),
    };

    sim_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
