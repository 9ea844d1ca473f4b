/* test_road.c: processes that take messages from one queue and share one ledger, in the simulated world:
 * a queue that says things twice, forgets deletions and loses answers, and processes that die at any
 * moment. No event may be lost; and none that was answered well may come again, unless a process died. */
#include "../aws/support.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "road/queue.h"
#include "sim_env.h"
#include "store/memory.h"

#include <yyjson.h>

#define HOUR_MS      ((int64_t)3600 * 1000)
#define EVENTS       60
#define FEW          6 /* not so many failures that their target would be probed */
#define PROCESSES    2
#define MESSAGES_MAX 20000
#define SQS          "sqs.eu-west-1.amazonaws.com"
#define S3           "events.s3.eu-west-1.amazonaws.com"
#define CLIENT       "client.test"
#define QUEUE        "https://" SQS "/1/events"
#define POLL_MS      5000

struct process {
    struct gw_env *env;
    struct gw_flow flow;
    struct gw_shard *shard;
    struct gw_aws *aws;
    struct gw_road road;
    struct gw_hand hand;
    struct gw_queue queue;
    bool is_idle;
};

struct message {
    char *body;
    int64_t visible_ms;
    unsigned receives;
    bool is_deleted;
};

static struct world {
    struct sim *sim;
    struct gw_memory *memory;
    struct gw_env *driver;
    struct process *processes[PROCESSES];
    struct gw_config *config;
    struct gw_arena arena; /* of answers */

    struct message messages[MESSAGES_MAX];
    size_t message_count;
    unsigned faults; /* of 100 calls to AWS so many go wrong, each in its way */
    bool has_objects;

    unsigned failing; /* of 100 posts */
    unsigned hits[EVENTS], well[EVENTS];
    size_t repeats; /* what came after it was answered well */
} w;

static bool happens(unsigned of_100)
{
    return sim_random(w.sim, 100) < of_100;
}

static bool is_true(void *ctx)
{
    return *(bool *)ctx;
}

/* ── The client's server ───────────────────────────────────────────────────────────────────── */

static struct sim_reply on_webhook(void *ctx, const struct gw_http_call *call)
{
    const char *at = memmem(call->body.ptr, call->body.len, "\"n\":", 4);
    size_t number = 0;
    for (at += 4; at < call->body.ptr + call->body.len && *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (size_t)(*at - '0');
    bool is_well = !happens(w.failing);
    (void)ctx;
    gw_check(number < EVENTS);
    w.hits[number]++;
    w.repeats += w.well[number] > 0;
    w.well[number] += is_well;
    return (struct sim_reply){.end = GW_HTTP_ANSWERED,
                              .status = is_well ? 200 : 500,
                              .delay_ms = (int64_t)sim_random(w.sim, 300)};
}

/* ── S3 ────────────────────────────────────────────────────────────────────────────────────── */

static struct sim_reply on_s3(void *ctx, const struct gw_http_call *call)
{
    static const char *const lines[] = {"etag: \"0123\"", NULL};
    const char *key = strrchr(call->url, '/') + 1;
    (void)ctx;
    if (happens(w.faults))
        return (struct sim_reply){.end = GW_HTTP_RESET, .delay_ms = 1};
    if (!w.has_objects)
        return (struct sim_reply){.end = GW_HTTP_ANSWERED,
                                  .status = 404,
                                  .delay_ms = 1,
                                  .body = "<Error><Code>NoSuchKey</Code></Error>"};
    return (struct sim_reply){
        .end = GW_HTTP_ANSWERED,
        .status = 200,
        .delay_ms = 5,
        .header_lines = lines,
        .body = gw_arena_printf(
            &w.arena, "{\"appId\":\"app\",\"eventType\":\"T\",\"eventId\":\"e%s\",\"n\":%s}", key,
            key)};
}

/* ── SQS ───────────────────────────────────────────────────────────────────────────────────── */

static void queue_put(const char *body, int64_t delay_ms)
{
    gw_check(w.message_count < MESSAGES_MAX);
    w.messages[w.message_count++] = (struct message){
        .body = (char *)(uintptr_t)gw_arena_text(&w.arena, gw_slice_from(body)),
        .visible_ms = sim_wall_ms(w.sim) + delay_ms,
    };
}

/* The receipt is the message's number and how often it had been received: an old one deletes, too. */
static struct message *message_of(yyjson_val *json)
{
    return &w.messages[atoi(yyjson_get_str(yyjson_obj_get(json, "ReceiptHandle")))];
}

static size_t take(struct gw_buf *out, yyjson_val *root)
{
    int64_t now_ms = sim_wall_ms(w.sim);
    int64_t hidden_ms = yyjson_get_sint(yyjson_obj_get(root, "VisibilityTimeout")) * 1000;
    size_t count = 0;
    gw_buf_addf(out, "{\"Messages\":[");
    for (size_t i = 0; i < w.message_count && count < 10; i++) {
        struct message *message = &w.messages[i];
        if (message->is_deleted || message->visible_ms > now_ms)
            continue;
        message->receives++;
        message->visible_ms = happens(w.faults) ? now_ms : now_ms + hidden_ms; /* twice, perhaps */
        gw_buf_addf(out, "%s{\"MessageId\":\"m%zu\",\"ReceiptHandle\":\"%zu\",\"Body\":\"",
                    count++ ? "," : "", i, i);
        for (const char *c = message->body; *c; c++) {
            if (*c == '"' || *c == '\\')
                gw_buf_addc(out, '\\');
            gw_buf_addc(out, *c);
        }
        gw_buf_addf(out, "\"}");
    }
    gw_buf_addf(out, "]}");
    return count;
}

static void answer_batch(struct gw_buf *out, yyjson_val *root, bool deletes)
{
    yyjson_val *entry;
    size_t i, max, said = 0;
    gw_buf_addf(out, "{\"Successful\":[");
    yyjson_arr_foreach(yyjson_obj_get(root, "Entries"), i, max, entry)
    {
        if (!deletes)
            queue_put(yyjson_get_str(yyjson_obj_get(entry, "MessageBody")),
                      yyjson_get_sint(yyjson_obj_get(entry, "DelaySeconds")) * 1000);
        else if (!happens(w.faults)) /* else it is said to be, and is not */
            message_of(entry)->is_deleted = true;
        if (!happens(w.faults))
            gw_buf_addf(out, "%s{\"Id\":\"%s\"}", said++ ? "," : "",
                        yyjson_get_str(yyjson_obj_get(entry, "Id")));
    }
    gw_buf_addf(out, "]}");
}

static struct sim_reply on_sqs(void *ctx, const struct gw_http_call *call)
{
    yyjson_doc *doc = yyjson_read(call->body.ptr, call->body.len, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    struct gw_slice target = sim_call_header(call, "x-amz-target");
    struct gw_buf out = {0};
    int64_t delay_ms = 3;
    (void)ctx;
    gw_check(root != NULL);
    if (gw_slice_ends(target, GW_SLICE(".ReceiveMessage"))) {
        if (take(&out, root) == 0)
            delay_ms = 500; /* of a long poll that nothing comes to */
    } else if (gw_slice_ends(target, GW_SLICE(".ChangeMessageVisibility"))) {
        message_of(root)->visible_ms =
            sim_wall_ms(w.sim) + yyjson_get_sint(yyjson_obj_get(root, "VisibilityTimeout")) * 1000;
        gw_buf_addf(&out, "{}");
    } else {
        answer_batch(&out, root, gw_slice_ends(target, GW_SLICE(".DeleteMessageBatch")));
    }
    yyjson_doc_free(doc);
    struct sim_reply reply = {.end = happens(w.faults) ? GW_HTTP_RESET : GW_HTTP_ANSWERED,
                              .status = 200,
                              .delay_ms = delay_ms,
                              .body = gw_arena_text(&w.arena, gw_buf_slice(&out))};
    gw_buf_deinit(&out);
    return reply;
}

static size_t left_in_queue(void)
{
    size_t left = 0;
    for (size_t i = 0; i < w.message_count; i++)
        left += !w.messages[i].is_deleted;
    return left;
}

static bool queue_is_empty(void *ctx)
{
    (void)ctx;
    return left_in_queue() == 0;
}

/* ── Processes ─────────────────────────────────────────────────────────────────────────────── */

static void on_idle(struct gw_queue *queue)
{
    gw_container_of(queue, struct process, queue)->is_idle = true;
}

static void on_started(void *ctx, enum gw_err err)
{
    struct process *process = ctx;
    gw_check(err == GW_OK);
    gw_queue_start(&process->queue);
}

static struct process *process_create(void)
{
    struct process *process = gw_zalloc(sizeof(*process));
    struct gw_error error;
    process->env = sim_env_create(w.sim);
    process->flow = (struct gw_flow){
        .options = {.user_agent = "test",
                    .dedupe_ms = 24 * HOUR_MS,
                    .connect_timeout_ms = 5000,
                    .in_flight_max = 64,
                    .accepts_max = 100,
                    .memory_max = 10000,
                    .body_bytes_max = 1 << 20,
                    .snapshots_max = 16,
                    .is_shared = true,
                    .snapshot_age_max_ms = 4000},
        .ledger = gw_memory_ledger(w.memory),
        .configs = gw_memory_configs(w.memory),
        .shards = &process->shard,
        .shard_count = 1,
    };
    process->shard = gw_shard_create(&process->flow, process->env, 0);
    if (gw_aws_create(process->env, &process->aws, &error) != GW_OK)
        fail_msg("%s", error.text);
    struct gw_road_options options = {
        .buckets = "other,events=app", .queue_url = QUEUE, .body_bytes_max = 1 << 20};
    assert_int_equal(gw_road_init(&process->road, process->shard, process->aws, &options, &error),
                     GW_OK);
    process->hand.max = 40;
    process->queue = (struct gw_queue){
        .road = &process->road, .url = GW_SLICE(QUEUE), .hand = &process->hand, .idle = on_idle};
    gw_shard_start(process->shard, on_started, process);
    return process;
}

/* kill -9: what it had in memory is gone with it. */
static void process_kill(struct process *process)
{
    sim_env_kill(process->env);
    sim_bury(process);
}

static void process_stop(struct process *process)
{
    gw_queue_stop(&process->queue);
    assert_true(sim_run(w.sim, is_true, &process->is_idle, HOUR_MS));
    assert_int_equal(process->hand.count, 0);
    sim_env_kill(process->env);
    gw_queue_deinit(&process->queue);
    gw_road_deinit(&process->road);
    gw_aws_destroy(process->aws);
    gw_shard_destroy(process->shard);
    gw_free(process);
}

struct put_op {
    struct gw_config_put put;
    bool is_done;
};

static void on_put(struct gw_op *op)
{
    gw_check(op->err == GW_OK);
    gw_container_of(op, struct put_op, put.op)->is_done = true;
}

static void configure(void)
{
    static const char json[] =
        "{\"appId\":\"app\",\"eventType\":\"T\",\"webhookUrl\":\"https://" CLIENT "/hook\","
        "\"retry\":{\"schedule\":[1,2,5,10,30,30,30,30,60,60,60,60],\"timeoutMs\":1000}}";
    struct gw_guard guard = {0};
    struct gw_error error;
    struct gw_config_change change = {
        .json = gw_slice_from(json), .guard = &guard, .now_ms = sim_wall_ms(w.sim)};
    assert_int_equal(gw_config_create(&w.config, &change, &error), GW_OK);
    struct put_op op = {.put = {.op = {.env = w.driver, .done = on_put},
                                .config = w.config,
                                .audit = {.actor = GW_SLICE("test"), .action = "config_created"}}};
    gw_configs_put(gw_memory_configs(w.memory), &op.put);
    assert_true(sim_run(w.sim, is_true, &op.is_done, HOUR_MS));
    gw_snapshot_unref(op.put.snapshot);
}

static void world_create(uint64_t seed)
{
    w = (struct world){.has_objects = true};
    sim_init();
    no_settings();
    set_all("AWS_REGION=eu-west-1 AWS_ACCESS_KEY_ID=id AWS_SECRET_ACCESS_KEY=s3cret");
    w.sim = sim_create(&(struct sim_options){.seed = seed});
    w.driver = sim_env_create(w.sim);
    w.memory =
        gw_memory_create(sim_env_create(w.sim), &(struct gw_memory_options){.has_leases = true});
    sim_name(w.sim, SQS, "192.0.2.1", 1);
    sim_name(w.sim, S3, "192.0.2.2", 1);
    sim_name(w.sim, CLIENT, "93.184.216.34", 1);
    sim_receiver(w.sim, SQS, on_sqs, NULL);
    sim_receiver(w.sim, S3, on_s3, NULL);
    sim_receiver(w.sim, CLIENT, on_webhook, NULL);
    configure();
    for (size_t i = 0; i < PROCESSES; i++)
        w.processes[i] = process_create();
}

static void world_destroy(void)
{
    w.faults = 0;
    for (size_t i = 0; i < PROCESSES; i++)
        process_stop(w.processes[i]);
    gw_memory_destroy(w.memory);
    sim_destroy(w.sim);
    gw_config_unref(w.config);
    gw_arena_deinit(&w.arena);
}

static void notify(size_t number)
{
    char body[512];
    snprintf(body, sizeof(body),
             "{\"Records\":[{\"eventSource\":\"aws:s3\",\"eventName\":\"ObjectCreated:Put\",\"s3\":"
             "{\"bucket\":{\"name\":\"events\"},\"object\":{\"key\":\"%zu\",\"size\":9}}}]}",
             number);
    queue_put(body, 0);
}

static void assert_all_arrived(void)
{
    assert_int_equal(gw_ledger_state(gw_memory_ledger(w.memory)).open, 0);
    for (size_t i = 0; i < EVENTS; i++)
        if (!w.well[i])
            fail_msg("event %zu never arrived", i);
}

/* ── Tests ─────────────────────────────────────────────────────────────────────────────────── */

static void all_arrive_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        world_create(seed);
        w.faults = seed > 1 ? 10 : 0;
        w.failing = seed > 1 ? 20 : 0;
        for (size_t i = 0; i < EVENTS; i++) {
            notify(i);
            if (happens(20))
                notify(i); /* and again */
            sim_run(w.sim, NULL, NULL, (int64_t)sim_random(w.sim, 200));
        }
        assert_true(sim_run(w.sim, queue_is_empty, NULL, 24 * HOUR_MS));
        assert_all_arrived();
        assert_int_equal(w.repeats, 0);
        world_destroy();
    }
}

static void none_is_lost_by_processes_that_die(void **state)
{
    size_t kills = 0, repeats = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        world_create(seed);
        w.faults = 10;
        w.failing = 20;
        for (size_t i = 0; i < EVENTS; i++) {
            notify(i);
            sim_run(w.sim, NULL, NULL, (int64_t)sim_random(w.sim, 200));
            if (!happens(30))
                continue;
            struct process **process = &w.processes[sim_random(w.sim, PROCESSES)];
            process_kill(*process);
            *process = process_create();
            kills++;
        }
        assert_true(sim_run(w.sim, queue_is_empty, NULL, 24 * HOUR_MS));
        assert_all_arrived();
        repeats += w.repeats;
        world_destroy();
    }
    assert_true(repeats < kills); /* of one that died between the answer and its record */
}

static void what_is_no_event_is_left(void **state)
{
    (void)state;
    world_create(1);
    w.has_objects = false;
    notify(1);
    queue_put("no notice", 0);
    queue_put("{\"Service\":\"Amazon S3\",\"Event\":\"s3:TestEvent\"}", 0);
    sim_run(w.sim, NULL, NULL, 60000);
    assert_true(w.messages[0].receives > 5);
    assert_true(w.messages[1].receives > 5);
    assert_true(w.messages[2].is_deleted);
    assert_int_equal(left_in_queue(), 2);
    for (size_t i = 0; i < 2; i++)
        w.messages[i].is_deleted = true;
    world_destroy();
}

static bool all_were_hit(void *ctx)
{
    (void)ctx;
    for (size_t i = 0; i < FEW; i++)
        if (!w.hits[i])
            return false;
    return true;
}

static void put_target_wake(const char *app, const char *url)
{
    struct gw_wake wake = {.kind = GW_WAKE_TARGET, .app_id = gw_slice_from(app)};
    struct gw_buf text = {0};
    gw_sha256(gw_slice_from(url), wake.target);
    gw_wake_write(&wake, &text);
    queue_put(gw_buf_text(&text), 0);
    gw_buf_deinit(&text);
}

/* Whoever enables a target has all that is open there looked at. */
static void a_job_wakes_what_is_open(void **state)
{
    (void)state;
    world_create(1);
    w.failing = 100;
    for (size_t i = 0; i < FEW; i++)
        notify(i);
    assert_true(sim_run(w.sim, all_were_hit, NULL, HOUR_MS));
    size_t before = w.message_count, woken = 0;
    put_target_wake("app", "https://" CLIENT "/hook");
    sim_run(w.sim, NULL, NULL, 5000);
    for (size_t i = before; i < w.message_count; i++)
        woken += strstr(w.messages[i].body, "\"wake\":\"message\"") &&
                 !strstr(w.messages[i].body, "notBefore");
    assert_int_equal(woken, FEW);
    w.failing = 0;
    assert_true(sim_run(w.sim, queue_is_empty, NULL, HOUR_MS));
    for (size_t i = 0; i < FEW; i++)
        assert_int_equal(w.well[i], 1);
    world_destroy();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_arrive_once),
        cmocka_unit_test(none_is_lost_by_processes_that_die),
        cmocka_unit_test(what_is_no_event_is_left),
        cmocka_unit_test(a_job_wakes_what_is_open),
    };
    gw_log_level_set(GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
