/* test_call.c: one call from start to end, in the simulated world: what is said of each refusal, a
 * clock that is wrong, keys that are not there yet, deadlines, and calls that are given up. */
#include "aws/dynamodb.h"
#include "aws/firehose.h"
#include "aws/s3.h"
#include "aws/sqs.h"
#include "base/timefmt.h"
#include "sim_env.h"
#include "support.h"

#define DYNAMODB  "dynamodb.eu-west-1.amazonaws.com"
#define FIREHOSE  "firehose.eu-west-1.amazonaws.com"
#define SQS       "sqs.eu-west-1.amazonaws.com"
#define BUCKET    "events.s3.eu-west-1.amazonaws.com"
#define CONTAINER "169.254.170.2"

struct world {
    struct sim *sim;
    struct gw_env *env;
    struct gw_aws *aws;
    struct gw_arena arena;
    bool is_done;

    /* the fake's */
    struct sim_reply reply;
    int64_t ahead_ms; /* of AWS's clock; it refuses what is more than 5 minutes off */
    int64_t drift_ms; /* more of it with each request */
    int asked, refused;
    char date[64], target[256], body[1024];
};

static struct world *world;

static int setup(void **state)
{
    struct gw_error error;

    (void)state;
    no_settings();
    set_all("AWS_REGION=eu-west-1 AWS_ACCESS_KEY_ID=id AWS_SECRET_ACCESS_KEY=s3cret");
    world = gw_zalloc(sizeof(*world));
    world->sim = sim_create(&(struct sim_options){.seed = 9});
    world->env = sim_env_create(world->sim);
    sim_name(world->sim, DYNAMODB, "192.0.2.1", 1);
    sim_name(world->sim, SQS, "192.0.2.2", 1);
    sim_name(world->sim, BUCKET, "192.0.2.3", 1);
    if (gw_aws_create(world->env, &world->aws, &error) != GW_OK)
        fail_msg("%s", error.text);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_aws_destroy(world->aws);
    sim_destroy(world->sim);
    gw_arena_deinit(&world->arena);
    gw_free(world);
    return 0;
}

/* ── A fake of AWS ─────────────────────────────────────────────────────────────────────────── */

static int64_t signed_ms(const struct gw_http_call *call)
{
    struct gw_slice d = sim_call_header(call, "x-amz-date");
    char text[32];
    int64_t ms;

    assert_int_equal(d.len, 16);
    snprintf(text, sizeof(text), "%.4s-%.2s-%.5s:%.2s:%.2sZ", d.ptr, d.ptr + 4, d.ptr + 6,
             d.ptr + 11, d.ptr + 13);
    assert_true(gw_time_parse(gw_slice_from(text), &ms));
    return ms;
}

static struct sim_reply aws(void *ctx, const struct gw_http_call *call)
{
    static const char *lines[3];
    char date[GW_TIME_TEXT_MAX];
    world->ahead_ms += world->drift_ms;
    int64_t now_ms = sim_wall_ms(world->sim) + world->ahead_ms;
    int64_t off_ms = signed_ms(call) - now_ms;

    (void)ctx;
    world->asked++;
    snprintf(world->target, sizeof(world->target), "%s %s", call->method,
             strchr(call->url + 8, '/'));
    snprintf(world->body, sizeof(world->body), "%.*s", GW_SLICE_ARG(call->body));
    snprintf(world->date, sizeof(world->date), "date: %.*s",
             GW_SLICE_ARG(gw_time_http(now_ms, date)));
    lines[0] = world->date;
    lines[1] = world->reply.header_lines ? world->reply.header_lines[0] : NULL;
    if (off_ms > 300000 || off_ms < -300000) {
        world->refused++;
        return (struct sim_reply){GW_HTTP_ANSWERED, 400, 1, lines,
                                  "{\"__type\":\"InvalidSignatureException\"}"};
    }
    struct sim_reply reply = world->reply;
    reply.header_lines = lines;
    return reply;
}

static void on_dynamodb(struct gw_aws_dynamodb *dynamodb)
{
    (void)dynamodb;
    assert_false(world->is_done);
    world->is_done = true;
}

static bool is_done(void *ctx)
{
    (void)ctx;
    return world->is_done;
}

static struct gw_aws_dynamodb get_item(void)
{
    struct gw_aws_dynamodb get = {
        .call =
            {
                .client = &world->aws->clients[GW_AWS_DYNAMODB],
                .arena = &world->arena,
                .deadline_us = gw_env_mono_us(world->env) + 2000000,
            },
        .done = on_dynamodb,
    };

    gw_aws_dynamodb_init(&get, GW_AWS_GET_ITEM);
    yyjson_mut_val *key = gw_aws_dynamodb_object(&get, get.root, "Key");
    gw_aws_dynamodb_put_text(&get, key, "pk", GW_SLICE("msg_1"));
    gw_aws_dynamodb_put_number(&get, key, "sk", -7);
    return get;
}

static void run(struct gw_aws_dynamodb *get)
{
    world->is_done = false;
    gw_aws_dynamodb_start(get);
    assert_false(world->is_done);
    assert_true(sim_run(world->sim, is_done, NULL, 60000));
}

/* ── Refusals ──────────────────────────────────────────────────────────────────────────────── */

#define TYPE "{\"__type\":\"com.amazonaws.dynamodb.v20120810#"
#define SAID "\",\"message\":\"c4nary\"}"

static void refusals(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum gw_err err;
        const char *text;
    } rows[] = {
        {200, "{}", GW_OK, ""},
        {400, TYPE "ConditionalCheckFailedException" SAID, GW_ERR_CONFLICT,
         "dynamodb GetItem: status 400, ConditionalCheckFailedException"},
        {400, TYPE "ProvisionedThroughputExceededException" SAID, GW_ERR_BUSY, "Provisioned"},
        {400, TYPE "ThrottlingException" SAID, GW_ERR_BUSY, "Throttling"},
        {400, TYPE "RequestLimitExceeded" SAID, GW_ERR_BUSY, "RequestLimit"},
        {400, TYPE "TransactionInProgressException" SAID, GW_ERR_BUSY, "InProgress"},
        {400, TYPE "ResourceNotFoundException" SAID, GW_ERR_NOT_FOUND, "ResourceNotFound"},
        {400, TYPE "ValidationException" SAID, GW_ERR_INVALID, "Validation"},
        {400, TYPE "UnrecognizedClientException" SAID, GW_ERR_KEY, "UnrecognizedClient"},
        {400, TYPE "ExpiredTokenException" SAID, GW_ERR_UNAVAILABLE, "ExpiredToken"},
        {400, TYPE "ItemCollectionSizeLimitExceededException" SAID, GW_ERR_TOO_LARGE, "Item"},
        {400, "{\"__type\":\"a#NeverHeardOf:http://x/\"}", GW_ERR_INVALID, "400, NeverHeardOf"},
        {400,
         "{\"__type\":\"x#TransactionCanceledException\",\"CancellationReasons\":[{\"Code\":"
         "\"TransactionConflict\"},{\"Code\":\"ConditionalCheckFailed\"}]}",
         GW_ERR_CONFLICT, "TransactionCanceled"},
        {400,
         "{\"__type\":\"x#TransactionCanceledException\",\"CancellationReasons\":[{\"Code\":"
         "\"None\"},{\"Code\":\"TransactionConflict\"}]}",
         GW_ERR_BUSY, "TransactionCanceled"},
        {400,
         "{\"__type\":\"x#TransactionCanceledException\",\"CancellationReasons\":[{\"Code\":"
         "\"ValidationError\",\"Message\":\"c4nary\"}]}",
         GW_ERR_INVALID, "TransactionCanceled"},
        {400, TYPE "ResourceInUseException" SAID, GW_ERR_EXISTS, "ResourceInUse"},
        {400, "", GW_ERR_INVALID, "status 400"},
        {403, "<html>c4nary</html>", GW_ERR_KEY, "status 403"},
        {404, "", GW_ERR_NOT_FOUND, "status 404"},
        {413, "", GW_ERR_TOO_LARGE, "status 413"},
        {429, "", GW_ERR_BUSY, "status 429"},
        {500, TYPE "InternalServerError" SAID, GW_ERR_UNAVAILABLE, "InternalServerError"},
        {503, "c4nary", GW_ERR_UNAVAILABLE, "status 503"},
        {503, TYPE "SlowDown" SAID, GW_ERR_BUSY, "SlowDown"},
        {301, "", GW_ERR_INVALID, "status 301"},
        {200, "{\"Item\":", GW_ERR_UNAVAILABLE, "the answer is no JSON object"},
        {200, "[]", GW_ERR_UNAVAILABLE, "the answer is no JSON object"},
        {200, "", GW_ERR_UNAVAILABLE, "the answer is empty"},
        {400,
         "{\"__type\":\"x#AccessDeniedException\",\"Message\":\"User: arn:u is not authorized\"}",
         GW_ERR_KEY, "AccessDeniedException: User: arn:u is not authorized"},
    };

    (void)state;
    sim_receiver(world->sim, DYNAMODB, aws, NULL);
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_aws_dynamodb get = get_item();
        world->reply = (struct sim_reply){GW_HTTP_ANSWERED, rows[i].status, 1, NULL, rows[i].body};
        run(&get);
        expect(get.call.error.code == rows[i].err && strstr(get.call.error.text, rows[i].text),
               "row %zu: %s \"%s\"", i, gw_err_name(get.call.error.code), get.call.error.text);
        expect(!strstr(get.call.error.text, "c4nary"), "row %zu: %s", i, get.call.error.text);
        assert_int_equal(get.call.status, rows[i].status);
    }
    assert_string_equal(world->body, "{\"Key\":{\"pk\":{\"S\":\"msg_1\"},\"sk\":{\"N\":\"-7\"}}}");
}

static void how_long_to_wait(void **state)
{
    static const struct {
        const char *line;
        int64_t ms;
    } rows[] = {
        {"Retry-After: 7", 7000},
        {"retry-after: 0", 0},
        {"retry-after: 99999999999", 3600000},
        {"retry-after: Thu, 01 Jan 2099 00:00:00 GMT", 3600000},
        {"retry-after: Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"retry-after: soon", 0},
        {"x-other: 7", 0},
    };

    (void)state;
    sim_receiver(world->sim, DYNAMODB, aws, NULL);
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_aws_dynamodb get = get_item();
        const char *lines[] = {rows[i].line, NULL};
        world->reply = (struct sim_reply){GW_HTTP_ANSWERED, 503, 1, lines, ""};
        run(&get);
        expect(get.call.retry_after_ms == rows[i].ms, "%s: %lld", rows[i].line,
               (long long)get.call.retry_after_ms);
    }
}

static void no_answer(void **state)
{
    struct gw_aws_dynamodb get = get_item();

    (void)state;
    run(&get); /* nobody there */
    assert_int_equal(get.call.error.code, GW_ERR_UNAVAILABLE);
    assert_string_equal(get.call.error.text, "dynamodb GetItem: could not connect");
    sim_receiver(world->sim, DYNAMODB, aws, NULL);
    world->reply = (struct sim_reply){.end = GW_HTTP_RESET, .delay_ms = 1};
    get = get_item();
    run(&get);
    assert_int_equal(get.call.error.code, GW_ERR_UNAVAILABLE);
    world->reply = (struct sim_reply){.delay_ms = -1};
    get = get_item();
    int64_t before_us = sim_now_us(world->sim);
    run(&get);
    assert_int_equal(get.call.error.code, GW_ERR_TIMEOUT);
    assert_in_range(sim_now_us(world->sim) - before_us, 1900000, 2100000);
    sim_name(world->sim, DYNAMODB, NULL, 1);
    get = get_item();
    run(&get);
    assert_int_equal(get.call.error.code, GW_ERR_UNAVAILABLE);
}

/* ── Clocks ────────────────────────────────────────────────────────────────────────────────── */

static void a_wrong_clock(void **state)
{
    static const int64_t hours[] = {0, 1, -1, 5000, -5000};
    struct gw_aws_dynamodb get;

    (void)state;
    sim_receiver(world->sim, DYNAMODB, aws, NULL);
    world->reply = (struct sim_reply){GW_HTTP_ANSWERED, 200, 1, NULL, "{}"};
    for (size_t i = 0; i < gw_count(hours); i++) {
        world->ahead_ms = hours[i] * 3600000;
        world->asked = world->refused = 0;
        for (int k = 0; k < 3; k++) { /* once corrected, it stays so */
            get = get_item();
            run(&get);
            expect(get.call.error.code == GW_OK, "%s", get.call.error.text);
        }
        assert_int_equal(world->refused, i > 0);
        assert_int_equal(world->asked, 3 + (i > 0));
    }
    /* A refusal that the clock does not explain is not asked twice. */
    world->reply = (struct sim_reply){GW_HTTP_ANSWERED, 400, 1, NULL,
                                      "{\"__type\":\"InvalidSignatureException\"}"};
    world->asked = 0;
    get = get_item();
    run(&get);
    assert_int_equal(get.call.error.code, GW_ERR_KEY);
    assert_int_equal(world->asked, 1);
}

static void a_clock_that_cannot_be_right(void **state)
{
    struct gw_aws_dynamodb get = get_item();

    (void)state;
    sim_receiver(world->sim, DYNAMODB, aws, NULL);
    world->ahead_ms = 3600000;
    world->aws->clients[GW_AWS_DYNAMODB].skew_ms = 7200000;
    world->reply = (struct sim_reply){GW_HTTP_ANSWERED, 403, 1, NULL, ""};
    run(&get); /* refused for the clock, then for something else: that is told */
    assert_int_equal(world->asked, 2);
    assert_int_equal(get.call.error.code, GW_ERR_KEY);

    world->drift_ms = 3600000; /* one that runs away is not run after */
    world->asked = 0;
    get = get_item();
    run(&get);
    assert_int_equal(world->asked, 2);
    assert_int_equal(get.call.error.code, GW_ERR_KEY);
}

/* ── Keys ──────────────────────────────────────────────────────────────────────────────────── */

static struct sim_reply keys;

static struct sim_reply container(void *ctx, const struct gw_http_call *call)
{
    (void)ctx;
    (void)call;
    return keys;
}

static void use_container(void)
{
    struct gw_error error;

    gw_aws_destroy(world->aws);
    no_settings();
    set_all("AWS_REGION=eu-west-1 AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/c");
    if (gw_aws_create(world->env, &world->aws, &error) != GW_OK)
        fail_msg("%s", error.text);
    sim_receiver(world->sim, CONTAINER, container, NULL);
    sim_receiver(world->sim, DYNAMODB, aws, NULL);
    world->reply = (struct sim_reply){GW_HTTP_ANSWERED, 200, 1, NULL, "{}"};
    keys = (struct sim_reply){
        GW_HTTP_ANSWERED, 200, 500, NULL,
        "{\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"s3cret\",\"Token\":\"t0ken\","
        "\"Expiration\":\"2031-01-01T00:00:00Z\"}"};
}

static void keys_that_come_later(void **state)
{
    struct gw_aws_dynamodb get;

    (void)state;
    use_container();
    get = get_item();
    run(&get);
    expect(get.call.error.code == GW_OK, "%s", get.call.error.text);
    world->reply = (struct sim_reply){GW_HTTP_ANSWERED, 400, 1, NULL,
                                      "{\"__type\":\"ExpiredTokenException\"}"};
    get = get_item();
    run(&get);
    assert_int_equal(gw_err_class(get.call.error.code), GW_CLASS_AGAIN);
    assert_null(gw_aws_credentials_keys(world->aws->credentials)); /* and others are fetched */
    world->reply = (struct sim_reply){GW_HTTP_ANSWERED, 200, 1, NULL, "{}"};
    get = get_item();
    run(&get);
    expect(get.call.error.code == GW_OK, "%s", get.call.error.text);
}

static void keys_that_do_not_come(void **state)
{
    struct gw_aws_dynamodb get;
    int64_t before_us;

    (void)state;
    use_container();
    keys = (struct sim_reply){GW_HTTP_ANSWERED, 404, 1, NULL, ""};
    get = get_item();
    run(&get);
    assert_int_equal(get.call.error.code, GW_ERR_KEY);
    assert_string_equal(get.call.error.text, "dynamodb GetItem: credentials (container): was "
                                             "answered with status 404");
    keys.delay_ms = -1;
    get = get_item();
    before_us = sim_now_us(world->sim);
    run(&get); /* its own deadline counts */
    assert_int_equal(get.call.error.code, GW_ERR_TIMEOUT);
    assert_in_range(sim_now_us(world->sim) - before_us, 1900000, 2100000);
    assert_int_equal(world->asked, 0);
    assert_true(sim_run(world->sim, NULL, NULL, 60000)); /* before it is taken apart */
}

/* ── Given up ──────────────────────────────────────────────────────────────────────────────── */

static void cancelled_anywhere(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct gw_aws_dynamodb get;
        use_container();
        get = get_item();
        world->is_done = false;
        gw_aws_dynamodb_start(&get);
        for (int k = 0; k < i && !world->is_done; k++)
            sim_step(world->sim);
        gw_aws_call_cancel(&get.call);
        bool was_done = world->is_done;
        assert_true(sim_run(world->sim, NULL, NULL, 30000));
        assert_int_equal(world->is_done, was_done);
    }
}

/* ── S3, SQS ───────────────────────────────────────────────────────────────────────────────── */

static void on_object(struct gw_aws_object *object)
{
    (void)object;
    world->is_done = true;
}

static struct gw_aws_object object_of(void)
{
    return (struct gw_aws_object){
        .call =
            {
                .client = &world->aws->clients[GW_AWS_S3],
                .arena = &world->arena,
                .deadline_us = gw_env_mono_us(world->env) + 2000000,
            },
        .bucket = GW_SLICE("events"),
        .key = GW_SLICE("a/../b c"),
        .bytes_max = 1000,
        .done = on_object,
    };
}

static void an_object(void **state)
{
    struct gw_aws_object object = object_of();
    static const char *const lines[] = {"X-Amz-Meta-WorkflowId: w-1", NULL};

    (void)state;
    sim_receiver(world->sim, BUCKET, aws, NULL);
    world->reply = (struct sim_reply){GW_HTTP_ANSWERED, 200, 1, lines, "body"};
    object.version_id = GW_SLICE("v+1/=");
    gw_aws_s3_get(&object);
    assert_true(sim_run(world->sim, is_done, NULL, 60000));
    expect(object.call.error.code == GW_OK, "%s", object.call.error.text);
    assert_string_equal(world->target, "GET /a/../b%20c?versionId=v%2B1%2F%3D");
    expect_slice(object.call.reply, "body");
    assert_int_equal(object.metadata_count, 1);
    expect_slice(object.metadata[0].name, "workflowid");
    expect_slice(object.metadata[0].value, "w-1");

    world->is_done = false;
    world->asked = 0;
    object = object_of();
    object.key = GW_SLICE(""); /* would be the bucket itself */
    gw_aws_s3_get(&object);
    assert_false(world->is_done);
    assert_true(sim_run(world->sim, is_done, NULL, 60000));
    assert_int_equal(object.call.error.code, GW_ERR_INVALID);
    assert_int_equal(world->asked, 0);
}

static void on_list(struct gw_aws_list *list)
{
    (void)list;
    world->is_done = true;
}

static void lists(void **state)
{
#define ITEM                                                                                       \
    "<Contents><Key>a%2Bb+c</Key><LastModified>2026-11-24T00:00:00.000Z</LastModified><ETag>"      \
    "&quot;e&quot;</ETag><Size>7</Size></Contents>"
    static const struct {
        const char *body;
        int count; /* -1: malformed */
        const char *next;
    } rows[] = {
        {"<L><IsTruncated>false</IsTruncated></L>", 0, NULL},
        {"<L><IsTruncated>false</IsTruncated>" ITEM ITEM "</L>", 2, NULL},
        {"<L><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>" ITEM
         "</L>",
         1, "t"},
        {"<L><IsTruncated>true</IsTruncated>" ITEM "</L>", -1, NULL},
        {"<L>" ITEM "</L>", -1, NULL},
        {"<L><IsTruncated>false</IsTruncated><Contents><Key>%zz</Key><Size>1</Size></Contents></L>",
         -1, NULL},
        {"", -1, NULL},
    };

    (void)state;
    sim_receiver(world->sim, BUCKET, aws, NULL);
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_aws_list list = {.call = object_of().call,
                                   .bucket = GW_SLICE("events"),
                                   .prefix = GW_SLICE("a+"),
                                   .done = on_list};
        world->reply = (struct sim_reply){GW_HTTP_ANSWERED, 200, 1, NULL, rows[i].body};
        world->is_done = false;
        gw_aws_s3_list(&list);
        assert_true(sim_run(world->sim, is_done, NULL, 60000));
        assert_string_equal(world->target, "GET /?encoding-type=url&list-type=2&prefix=a%2B");
        expect((list.call.error.code == GW_OK) == (rows[i].count >= 0), "row %zu: %s", i,
               list.call.error.text);
        if (rows[i].count < 0)
            continue;
        assert_int_equal(list.count, rows[i].count);
        assert_true(gw_slice_is(list.next, rows[i].next ? rows[i].next : ""));
        if (list.count > 0)
            expect_slice(list.items[0].key, "a+b c");
    }
}

static void on_batch(struct gw_aws_batch *batch)
{
    (void)batch;
    world->is_done = true;
}

static void entries_of_a_batch(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum gw_err errs[3];
    } rows[] = {
        {200,
         "{\"Successful\":[{\"Id\":\"2\"},{\"Id\":\"0\"},{\"Id\":\"1\"}]}",
         {GW_OK, GW_OK, GW_OK}},
        {200,
         "{\"Successful\":[{\"Id\":\"1\"}],\"Failed\":[{\"Id\":\"0\",\"SenderFault\":true,\"Code\":"
         "\"X\"},{\"Id\":\"2\",\"SenderFault\":false}]}",
         {GW_ERR_INVALID, GW_OK, GW_ERR_UNAVAILABLE}},
        /* What is not mentioned was not done; what was not asked is nothing. */
        {200,
         "{\"Successful\":[{\"Id\":\"1\"},{\"Id\":\"3\"},{\"Id\":\"x\"},{\"Id\":1},7]}",
         {GW_ERR_UNAVAILABLE, GW_OK, GW_ERR_UNAVAILABLE}},
        {200, "{}", {GW_ERR_UNAVAILABLE, GW_ERR_UNAVAILABLE, GW_ERR_UNAVAILABLE}},
        {200, "", {GW_ERR_UNAVAILABLE, GW_ERR_UNAVAILABLE, GW_ERR_UNAVAILABLE}},
        {403, "{}", {GW_ERR_KEY, GW_ERR_KEY, GW_ERR_KEY}},
    };

    (void)state;
    sim_receiver(world->sim, SQS, aws, NULL);
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_aws_batch batch = {
            .call = object_of().call,
            .queue_url = GW_SLICE("https://else.where/1/q"),
            .entries = {{.body = GW_SLICE("a")}, {.body = GW_SLICE("b")}, {.body = GW_SLICE("c")}},
            .count = 3,
            .done = on_batch,
        };
        batch.call.client = &world->aws->clients[GW_AWS_SQS];
        world->reply = (struct sim_reply){GW_HTTP_ANSWERED, rows[i].status, 1, NULL, rows[i].body};
        world->is_done = false;
        gw_aws_sqs_send(&batch);
        assert_true(sim_run(world->sim, is_done, NULL, 60000));
        for (int k = 0; k < 3; k++)
            expect(batch.entries[k].err == rows[i].errs[k], "row %zu, entry %d: %s", i, k,
                   gw_err_name(batch.entries[k].err));
    }
    assert_non_null(strstr(world->body, "{\"QueueUrl\":\"https://else.where/1/q\",\"Entries\":[{"
                                        "\"Id\":\"0\",\"MessageBody\":\"a\",\"DelaySeconds\":0},"));
}

static void bytes_that_are_no_text(void **state)
{
    struct gw_aws_batch batch = {
        .call = object_of().call,
        .entries = {{.body = GW_SLICE("\xff")}},
        .count = 1,
        .done = on_batch,
    };

    (void)state;
    batch.call.client = &world->aws->clients[GW_AWS_SQS];
    gw_aws_sqs_send(&batch);
    assert_false(world->is_done);
    assert_true(sim_run(world->sim, is_done, NULL, 60000));
    assert_int_equal(batch.entries[0].err, GW_ERR_INVALID);
}

static void on_firehose(struct gw_aws_firehose *firehose)
{
    (void)firehose;
    world->is_done = true;
}

static void records(void **state)
{
    static const struct {
        int status;
        const char *body;
        bool are_put[2];
        enum gw_err err;
    } rows[] = {
        {200,
         "{\"FailedPutCount\":0,\"RequestResponses\":[{\"RecordId\":\"1\"},{\"RecordId\":\"2\"}]}",
         {true, true},
         GW_OK},
        {200,
         "{\"FailedPutCount\":1,\"RequestResponses\":[{\"ErrorCode\":"
         "\"ServiceUnavailableException\"},{\"RecordId\":\"2\"},{\"RecordId\":\"3\"}]}",
         {false, true},
         GW_OK},
        {200, "{}", {false, false}, GW_OK},
        {400, "{\"__type\":\"ResourceNotFoundException\"}", {false, false}, GW_ERR_NOT_FOUND},
    };

    (void)state;
    sim_name(world->sim, FIREHOSE, "192.0.2.4", 1);
    sim_receiver(world->sim, FIREHOSE, aws, NULL);
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_aws_record both[] = {{.data = GW_SLICE("a\n")}, {.data = GW_SLICE("")}};
        struct gw_aws_firehose put = {.call = object_of().call,
                                      .stream = GW_SLICE("log"),
                                      .records = both,
                                      .count = 2,
                                      .done = on_firehose};
        put.call.client = &world->aws->clients[GW_AWS_FIREHOSE];
        world->reply = (struct sim_reply){GW_HTTP_ANSWERED, rows[i].status, 1, NULL, rows[i].body};
        world->is_done = false;
        gw_aws_firehose_put(&put);
        assert_true(sim_run(world->sim, is_done, NULL, 60000));
        assert_int_equal(put.call.error.code, rows[i].err);
        for (int k = 0; k < 2; k++)
            expect(both[k].is_put == rows[i].are_put[k], "row %zu, record %d", i, k);
        assert_int_equal(put.failed, !rows[i].are_put[0] + !rows[i].are_put[1]);
    }
    assert_string_equal(world->body, "{\"DeliveryStreamName\":\"log\",\"Records\":[{\"Data\":"
                                     "\"YQo=\"},{\"Data\":\"\"}]}");
}

/* ── DynamoDB ──────────────────────────────────────────────────────────────────────────────── */

static void what_a_batch_left(void **state)
{
    struct gw_aws_dynamodb write = get_item();

    (void)state;
    sim_receiver(world->sim, DYNAMODB, aws, NULL);
    gw_aws_dynamodb_init(&write, GW_AWS_BATCH_WRITE);
    gw_aws_dynamodb_object(&write, write.root, "RequestItems");
    world->reply = (struct sim_reply){
        GW_HTTP_ANSWERED, 200, 1, NULL,
        "{\"UnprocessedItems\":{\"t\":[{\"DeleteRequest\":{\"Key\":{\"pk\":{\"S\":\"x\"}}}}]}}"};
    run(&write);
    assert_non_null(write.unprocessed);
    gw_aws_dynamodb_rest(&write);
    world->reply.body = "{\"UnprocessedItems\":{}}";
    run(&write);
    assert_null(write.unprocessed);
    assert_string_equal(world->body,
                        "{\"RequestItems\":{\"t\":[{\"DeleteRequest\":{\"Key\":{\"pk\":"
                        "{\"S\":\"x\"}}}}]}}");
}

static void attributes(void **state)
{
    static const struct {
        const char *text;
        bool is_well;
        int64_t number;
    } numbers[] = {
        {"0", true, 0},
        {"-7", true, -7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"1.5", false, 0},
        {"1E2", false, 0},
        {"-", false, 0},
        {"", false, 0},
    };
    struct gw_aws_dynamodb put = get_item();
    struct gw_slice text;
    int64_t number;
    bool flag;

    (void)state;
    for (size_t i = 0; i < gw_count(numbers); i++) {
        yyjson_doc *doc = gw_aws_json_read(
            &world->arena, gw_slice_from(gw_arena_printf(&world->arena, "{\"n\":{\"N\":\"%s\"}}",
                                                         numbers[i].text)));
        bool is_well = gw_aws_dynamodb_take_number(yyjson_doc_get_root(doc), "n", &number);
        expect(is_well == numbers[i].is_well && (!is_well || number == numbers[i].number), "%s",
               numbers[i].text);
    }
    gw_aws_dynamodb_init(&put, GW_AWS_PUT_ITEM);
    yyjson_mut_val *item = gw_aws_dynamodb_object(&put, put.root, "Item");
    gw_aws_dynamodb_put_text(&put, item, "s", GW_SLICE("\xc3\xbc\"\\"));
    gw_aws_dynamodb_put_text(&put, item, "empty", GW_SLICE(""));
    gw_aws_dynamodb_put_number(&put, item, "n", INT64_MIN);
    gw_aws_dynamodb_put_bool(&put, item, "t", true);
    gw_aws_dynamodb_put_bytes(&put, item, "b", GW_SLICE("\0\xff"));
    yyjson_val *read =
        yyjson_obj_get(yyjson_doc_get_root(gw_aws_json_read(
                           &world->arena, gw_aws_json_write(&world->arena, put.doc))),
                       "Item");
    assert_true(gw_aws_dynamodb_take_text(read, "s", &text) && gw_slice_is(text, "\xc3\xbc\"\\"));
    assert_true(gw_aws_dynamodb_take_text(read, "empty", &text) && text.len == 0);
    assert_true(gw_aws_dynamodb_take_number(read, "n", &number) && number == INT64_MIN);
    assert_true(gw_aws_dynamodb_take_bool(read, "t", &flag) && flag);
    assert_true(gw_aws_dynamodb_take_bytes(read, "b", &world->arena, &text));
    assert_int_equal(text.len, 2);
    assert_memory_equal(text.ptr, "\0\xff", 2);
    assert_false(gw_aws_dynamodb_take_text(read, "n", &text) ||
                 gw_aws_dynamodb_take_text(read, "none", &text));
    assert_false(gw_aws_dynamodb_take_bool(read, "s", &flag) ||
                 gw_aws_dynamodb_take_number(read, "s", &number));
    assert_false(gw_aws_dynamodb_take_bytes(read, "s", &world->arena, &text));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refusals),
        TEST(how_long_to_wait),
        TEST(no_answer),
        TEST(a_wrong_clock),
        TEST(a_clock_that_cannot_be_right),
        TEST(keys_that_come_later),
        TEST(keys_that_do_not_come),
        TEST(cancelled_anywhere),
        TEST(an_object),
        TEST(lists),
        TEST(entries_of_a_batch),
        TEST(bytes_that_are_no_text),
        TEST(records),
        TEST(what_a_batch_left),
        TEST(attributes),
    };

    sim_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
