/* gw_aws_fake: S3, SQS and DynamoDB on one port of 127.0.0.1, for `make bench-aws`. Objects are made up
 * when they are read: event N of app "bench", 1 KiB. `GET /stats` tells what was asked so far. Prints
 * its port as JSON, runs until it is told to stop. */
#include "aws_fake.h"
#include "base/alloc.h"
#include "sys/http_server.h"
#include "sys/loop.h"
#include "tool.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#define OPERATIONS_MAX 32
#define BODY_BYTES     1024
#define RUN            0x0aU

struct operation {
    char name[48];
    uint64_t calls, bytes; /* of the requests, heads included */
};

struct fake {
    struct gw_env *env;
    struct gw_http_server *server;
    struct gw_fake_queue queue;
    struct gw_fake_tables tables;
    struct operation operations[OPERATIONS_MAX];
    size_t operation_count;
};

static void answer(struct gw_exchange *exchange, int status, const struct gw_buf *out)
{
    exchange->status = status;
    exchange->content_type = "application/json";
    exchange->reply = gw_arena_dup(exchange->arena, gw_buf_slice(out));
    exchange->complete(exchange);
}

/* ── Counting ──────────────────────────────────────────────────────────────────────────────── */

static struct operation *operation_of(struct fake *fake, struct gw_slice name)
{
    for (size_t i = 0; i < fake->operation_count; i++)
        if (gw_slice_is(name, fake->operations[i].name))
            return &fake->operations[i];
    if (fake->operation_count == OPERATIONS_MAX)
        gw_die("too many kinds of calls");
    struct operation *made = &fake->operations[fake->operation_count++];
    snprintf(made->name, sizeof(made->name), "%.*s", GW_SLICE_ARG(name));
    return made;
}

static size_t head_bytes(const struct gw_exchange *exchange)
{
    size_t bytes = exchange->path.len + exchange->query.len;

    for (size_t i = 0; i < exchange->header_count; i++)
        bytes += exchange->headers[i].name.len + exchange->headers[i].value.len + 4;
    return bytes;
}

static void count(struct fake *fake, struct gw_exchange *exchange, struct gw_slice name)
{
    struct operation *operation = operation_of(fake, name);

    operation->calls++;
    operation->bytes += head_bytes(exchange) + exchange->body.len;
}

static void show_stats(struct fake *fake, struct gw_exchange *exchange)
{
    struct gw_buf out = {0};

    gw_buf_addf(&out,
                "{\"handed_out\":%" PRIu64 ",\"deleted\":%" PRIu64 ",\"sent\":%" PRIu64
                ",\"write_units\":%" PRIu64 ",\"read_units\":%.1f,\"calls\":{",
                fake->queue.handed_out, fake->queue.deleted, fake->queue.sent,
                fake->tables.write_units, (double)fake->tables.half_read_units / 2);
    for (size_t i = 0; i < fake->operation_count; i++)
        gw_buf_addf(&out, "%s\"%s\":{\"calls\":%" PRIu64 ",\"bytes\":%" PRIu64 "}",
                    i > 0 ? "," : "", fake->operations[i].name, fake->operations[i].calls,
                    fake->operations[i].bytes);
    gw_buf_adds(&out, GW_SLICE("}}"));
    answer(exchange, 200, &out);
    gw_buf_deinit(&out);
}

/* ── S3 ────────────────────────────────────────────────────────────────────────────────────── */

/* "/bench-events/17/webhook.json" */
static bool read_number(struct gw_slice path, uint64_t *number)
{
    struct gw_slice part;

    return gw_slice_split(&path, '/', &part) && gw_slice_split(&path, '/', &part) &&
           gw_slice_split(&path, '/', &part) && gw_slice_u64(part, number);
}

static void get_object(struct gw_exchange *exchange)
{
    uint64_t number;
    struct gw_buf out = {0};
    char sequence[17] = "";

    if (exchange->method != GW_GET || !read_number(exchange->path, &number)) {
        gw_buf_adds(&out, GW_SLICE("<Error><Code>NotImplemented</Code></Error>"));
        answer(exchange, 501, &out);
        gw_buf_deinit(&out);
        return;
    }
    gw_hex16_write(sequence, number);
    gw_buf_addf(&out,
                "{\"appId\":\"bench\",\"eventType\":\"BENCH_EVENT\",\"eventId\":"
                "\"%016x-%s\",\"transactionId\":\"t-%s\",\"benchSentNs\":\"%019d\",\"text\":\"",
                RUN, sequence, sequence, 1);
    while (out.len < BODY_BYTES - 2)
        gw_buf_addc(&out, "etaoin shrdlu"[out.len % 13]);
    gw_buf_adds(&out, GW_SLICE("\"}"));
    exchange->reply_headers[exchange->reply_header_count++] = (struct gw_header){
        GW_SLICE("etag"),
        gw_slice_from(gw_arena_printf(exchange->arena, "\"e%" PRIu64 "\"", number))};
    answer(exchange, 200, &out);
    gw_buf_deinit(&out);
}

/* ── Requests ──────────────────────────────────────────────────────────────────────────────── */

static void on_request(void *ctx, struct gw_exchange *exchange)
{
    struct fake *fake = ctx;
    struct gw_slice target = gw_exchange_header(exchange, "x-amz-target"), service;

    if (exchange->refused_status) {
        exchange->status = exchange->refused_status;
        exchange->complete(exchange);
        return;
    }
    if (target.ptr == NULL && gw_slice_is(exchange->path, "/stats")) {
        show_stats(fake, exchange);
        return;
    }
    if (target.ptr == NULL) {
        count(fake, exchange, GW_SLICE("GetObject"));
        get_object(exchange);
        return;
    }
    yyjson_doc *doc = yyjson_read(exchange->body.ptr, exchange->body.len, 0);
    gw_slice_split(&target, '.', &service);
    count(fake, exchange, target);
    if (gw_slice_is(service, "AmazonSQS"))
        gw_fake_queue_answer(&fake->queue, exchange, target, yyjson_doc_get_root(doc));
    else
        gw_fake_tables_answer(&fake->tables, exchange, target, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
}

static void on_signal(void *ctx, int number)
{
    struct fake *fake = ctx;

    (void)number;
    gw_loop_stop(fake->env);
}

int main(int argc, char **argv)
{
    static struct fake fake;
    struct gw_error error;
    struct gw_http_server_options options = {
        .host = "127.0.0.1",
        .connections_max = 4096,
        .header_bytes_max = 16384,
        .body_bytes_max = (size_t)4 * 1024 * 1024,
        .bodies_bytes_max = (size_t)256 * 1024 * 1024,
        .idle_timeout_ms = 3600000,
        .request_timeout_ms = 60000,
        .on_request = on_request,
        .ctx = &fake,
    };

    if (argc != 2)
        gw_die("usage: gw_aws_fake EVENTS");
    gw_sys_init();
    if (gw_loop_create(NULL, &fake.env, &error) != GW_OK ||
        gw_http_server_start(fake.env, &options, &fake.server, &error) != GW_OK)
        gw_die("%s", error.text);
    fake.queue.env = fake.env;
    fake.queue.events = gw_option_u64("EVENTS", argv[1], 0, GW_EVENTS_MAX);
    gw_list_init(&fake.queue.wakes);
    gw_list_init(&fake.tables.tables);
    gw_loop_on_signal(fake.env, SIGTERM, on_signal, &fake);
    printf("{\"port\":%u}\n", gw_http_server_port(fake.server));
    fflush(stdout);
    gw_loop_run(fake.env);
    return 0;
}
