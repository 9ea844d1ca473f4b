/* delivery_log_firehose.c: the delivery log's rows on their way to a fake Firehose in the simulated
 * world: what they look like, when they go, and what becomes of those that it does not take. */
#include "store/delivery_log_firehose.h"
#include "../aws/support.h"
#include "aws/json.h"
#include "base/codec.h"
#include "base/log.h"
#include "sim_env.h"

#define FIREHOSE "firehose.eu-west-1.amazonaws.com"

static struct {
    struct sim *sim;
    struct gw_env *env;
    struct gw_aws *aws;
    struct gw_delivery_log_firehose *sink;
    struct gw_delivery_log *log;
    struct gw_message *message;
    struct gw_delivery_log_flush flush;
    bool is_flushed;

    /* the fake's */
    int status;
    size_t fails_every; /* of the records of a batch: 2 = the second, the fourth…; 0 = none */
    size_t puts, batch_max;
    struct gw_buf taken, answer;
} world;

/* ── A fake of Firehose ────────────────────────────────────────────────────────────────────── */

static void take(yyjson_val *record)
{
    struct gw_slice data = gw_aws_json_text(record, "Data");

    assert_true(gw_base64_decode(&world.taken, data));
}

static struct sim_reply firehose(void *ctx, const struct gw_http_call *call)
{
    yyjson_doc *doc = yyjson_read(call->body.ptr, call->body.len, 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *record;
    yyjson_val *records = yyjson_obj_get(root, "Records");
    size_t i, max;

    (void)ctx;
    world.puts++;
    assert_true(gw_slice_is(gw_aws_json_text(root, "DeliveryStreamName"), "log"));
    if (yyjson_arr_size(records) > world.batch_max)
        world.batch_max = yyjson_arr_size(records);
    gw_buf_clear(&world.answer);
    gw_buf_adds(&world.answer, GW_SLICE("{\"RequestResponses\":["));
    yyjson_arr_foreach(records, i, max, record)
    {
        bool fails = world.fails_every && (i + 1) % world.fails_every == 0;
        if (!fails && world.status == 200)
            take(record);
        gw_buf_addf(&world.answer, "%s{\"%s\":\"x\"}", i ? "," : "",
                    fails ? "ErrorCode" : "RecordId");
    }
    gw_buf_adds(&world.answer, GW_SLICE("]}"));
    yyjson_doc_free(doc);
    return (struct sim_reply){
        .end = GW_HTTP_ANSWERED,
        .status = world.status,
        .delay_ms = 1,
        .body = world.status == 200   ? gw_buf_text(&world.answer)
                : world.status == 400 ? "{\"__type\":\"InvalidArgumentException\"}"
                                      : "{}",
    };
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

static void open_sink(size_t memory_bytes_max)
{
    world.sink = gw_delivery_log_firehose_create(world.env, &world.aws->clients[GW_AWS_FIREHOSE],
                                                 "log", memory_bytes_max);
    world.log = gw_delivery_log_firehose_log(world.sink);
}

static int setup(void **state)
{
    struct gw_error error;
    struct gw_event event = {
        .body = GW_SLICE("{\"payload\":\"hidden\"}"),
        .app_id = GW_SLICE("\"acme\" \n\xc3\xbc"),
        .event_type = GW_SLICE("DONE"),
    };

    (void)state;
    no_settings();
    set_all("AWS_REGION=eu-west-1 AWS_ACCESS_KEY_ID=id AWS_SECRET_ACCESS_KEY=s3cret");
    gw_log_level_set(GW_LOG_ERROR);
    memset(&world, 0, sizeof(world));
    world.status = 200;
    world.sim = sim_create(&(struct sim_options){.seed = 5});
    world.env = sim_env_create(world.sim);
    sim_name(world.sim, FIREHOSE, "192.0.2.1", 1);
    sim_receiver(world.sim, FIREHOSE, firehose, NULL);
    if (gw_aws_create(world.env, &world.aws, &error) != GW_OK)
        fail_msg("%s", error.text);
    world.message = gw_message_create(&event, 1700000000123);
    open_sink(1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_delivery_log_firehose_destroy(world.sink);
    gw_aws_destroy(world.aws);
    sim_destroy(world.sim);
    gw_message_unref(world.message);
    gw_buf_deinit(&world.taken);
    gw_buf_deinit(&world.answer);
    return 0;
}

static void add_rows(size_t count)
{
    for (size_t i = 0; i < count; i++)
        gw_delivery_log_event(world.log, 77,
                              &(struct gw_delivery_log_event){
                                  .phase = GW_DELIVERY_LOG_RECEIVED,
                                  .message = world.message,
                                  .payload_bytes = 5,
                              });
}

static void on_flushed(struct gw_delivery_log_flush *flush)
{
    assert_ptr_equal(flush, &world.flush);
    world.is_flushed = true;
}

static bool is_flushed(void *ctx)
{
    (void)ctx;
    return world.is_flushed;
}

static void flush(int64_t within_ms)
{
    world.is_flushed = false;
    world.flush = (struct gw_delivery_log_flush){.within_ms = within_ms, .done = on_flushed};
    gw_delivery_log_firehose_flush(world.sink, &world.flush);
    assert_false(world.is_flushed);
    assert_true(sim_run(world.sim, is_flushed, NULL, within_ms + 100));
}

static size_t taken(void)
{
    size_t lines = 0;

    for (size_t i = 0; i < world.taken.len; i++)
        lines += world.taken.ptr[i] == '\n';
    return lines;
}

static void expect_state(uint64_t written, uint64_t dropped, int64_t oldest_ms)
{
    struct gw_delivery_log_state state = gw_delivery_log_state(world.log);

    assert_int_equal(state.written, written);
    assert_int_equal(state.dropped, dropped);
    assert_int_equal(state.oldest_ms, oldest_ms);
}

/* ── Tests ─────────────────────────────────────────────────────────────────────────────────── */

static void row(void **state)
{
    char text[GW_ID_TEXT_MAX];
    struct gw_slice id = gw_id_text(GW_ID_MESSAGE, &world.message->id, text);
    struct gw_arena arena = {0};

    (void)state;
    add_rows(1);
    flush(1000);
    expect_slice(gw_buf_slice(&world.taken),
                 gw_arena_printf(&arena,
                                 "{\"table\":\"webhook_delivery\",\"row_id\":\"%.*s-received\","
                                 "\"phase\":\"received\",\"message_id\":\"%.*s\","
                                 "\"app_id\":\"\\\"acme\\\" \\n\xc3\xbc\",\"event_type\":\"DONE\","
                                 "\"received_at\":\"2023-11-14 22:13:20.123\","
                                 "\"payload_bytes\":5}\n",
                                 GW_SLICE_ARG(id), GW_SLICE_ARG(id)));
    expect_state(1, 0, 0);
    gw_arena_deinit(&arena);
}

static void batches(void **state)
{
    (void)state;
    add_rows(3);
    sim_run(world.sim, NULL, NULL, 900);
    assert_int_equal(world.puts, 0);
    expect_state(0, 0, 77);
    sim_run(world.sim, NULL, NULL, 300);
    assert_int_equal(world.puts, 1);
    assert_int_equal(taken(), 3);
    add_rows(1201);
    sim_run(world.sim, NULL, NULL, 500); /* full batches do not wait */
    assert_int_equal(taken(), 1003);
    assert_int_equal(world.batch_max, 500);
    flush(1000);
    assert_int_equal(taken(), 1204);
    assert_int_equal(world.puts, 4);
    flush(1000); /* of nothing */
    assert_int_equal(world.puts, 4);
    expect_state(1204, 0, 0);
}

static void refused_in_part(void **state)
{
    (void)state;
    world.fails_every = 2;
    add_rows(7);
    flush(150);
    assert_int_equal(taken(), 4);
    expect_state(4, 0, 77);
    flush(10000); /* 3, 2, 1 are left; one alone is taken */
    expect_state(7, 0, 0);
    assert_int_equal(taken(), 7);
}

static void away(void **state)
{
    (void)state;
    world.status = 503;
    add_rows(2);
    flush(5000);
    expect_state(0, 0, 77);
    size_t puts = world.puts;
    assert_in_range(puts, 2, 10); /* with growing gaps */
    sim_run(world.sim, NULL, NULL, 60000);
    assert_in_range(world.puts, puts + 5, puts + 9);
    int64_t before_us = sim_now_us(world.sim);
    flush(1000); /* nobody waits for what is known to be away */
    assert_true(sim_now_us(world.sim) - before_us < 200000);
    world.status = 200;
    sim_run(world.sim, NULL, NULL, 11000); /* by itself */
    assert_int_equal(taken(), 2);
    expect_state(2, 0, 0);
}

static void full(void **state)
{
    (void)state;
    gw_delivery_log_firehose_destroy(world.sink);
    open_sink(4096);
    world.status = 503;
    add_rows(100);
    sim_run(world.sim, NULL, NULL, 2000);
    uint64_t dropped = gw_delivery_log_state(world.log).dropped;
    assert_in_range(dropped, 80, 95);
    world.status = 200;
    flush(20000);
    expect_state(100 - dropped, dropped, 0);
    add_rows(1); /* there is room again */
    flush(1000);
    expect_state(101 - dropped, dropped, 0);
}

static void never(void **state)
{
    (void)state;
    world.status = 400;
    add_rows(3);
    flush(1000);
    expect_state(0, 3, 0);
}

static void streams(void **state)
{
    (void)state;
    assert_true(gw_delivery_log_stream_check(GW_SLICE("a-Z_0.9")));
    assert_false(gw_delivery_log_stream_check(GW_SLICE("")));
    assert_false(gw_delivery_log_stream_check(GW_SLICE("a/b")));
    assert_false(gw_delivery_log_stream_check(GW_SLICE("a\0b")));
    assert_false(gw_delivery_log_stream_check(
        GW_SLICE("0123456789012345678901234567890123456789012345678901234567890123x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(row, setup, teardown),
        cmocka_unit_test_setup_teardown(batches, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_in_part, setup, teardown),
        cmocka_unit_test_setup_teardown(away, setup, teardown),
        cmocka_unit_test_setup_teardown(full, setup, teardown),
        cmocka_unit_test_setup_teardown(never, setup, teardown),
        cmocka_unit_test(streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
