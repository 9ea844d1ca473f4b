/* SQS, as far as a worker asks: notices of so many objects, made when they are received, and messages
 * that were sent, when their delay is over. What was received is not hidden for a while but gone; so
 * a worker under measurement must not be killed. */
#include "aws_fake.h"
#include "base/alloc.h"
#include "tool.h"

#include <stdio.h>

#define BATCH_MAX 10
#define IDLE_MS   200 /* how long somebody waits for a message, whatever he asked for */

struct wake {
    struct gw_list link;
    int64_t due_ms;
    size_t len;
    char body[];
};

/* Somebody who waits for a message. */
struct waiting {
    struct gw_timer timer;
    struct gw_fake_queue *queue;
    struct gw_exchange *exchange;
};

static void answer(struct gw_exchange *exchange, const struct gw_buf *out)
{
    exchange->status = 200;
    exchange->content_type = "application/x-amz-json-1.0";
    exchange->reply = gw_arena_dup(exchange->arena, gw_buf_slice(out));
    exchange->complete(exchange);
}

/* ── Receiving ─────────────────────────────────────────────────────────────────────────────── */

static void add_message(struct gw_buf *out, unsigned at, const char *id, struct gw_slice body)
{
    gw_buf_addf(out, "%s{\"MessageId\":\"%s\",\"ReceiptHandle\":\"%s\",", at > 0 ? "," : "", id,
                id);
    gw_buf_adds(out, GW_SLICE("\"Attributes\":{\"ApproximateReceiveCount\":\"1\","
                              "\"SentTimestamp\":\"1700000000000\"},\"Body\":\""));
    for (size_t i = 0; i < body.len; i++) {
        if (body.ptr[i] == '"' || body.ptr[i] == '\\')
            gw_buf_addc(out, '\\');
        gw_buf_addc(out, body.ptr[i]);
    }
    gw_buf_adds(out, GW_SLICE("\"}"));
}

static void add_notice(struct gw_fake_queue *queue, struct gw_buf *out, unsigned at)
{
    char id[32], body[400];
    unsigned long long number = queue->handed_out++;

    snprintf(id, sizeof(id), "e-%llu", number);
    snprintf(body, sizeof(body),
             "{\"Records\":[{\"eventVersion\":\"2.1\",\"eventSource\":\"aws:s3\",\"awsRegion\":"
             "\"us-east-1\",\"eventName\":\"ObjectCreated:Put\",\"s3\":{\"s3SchemaVersion\":"
             "\"1.0\",\"bucket\":{\"name\":\"" GW_FAKE_BUCKET "\"},\"object\":{\"key\":"
             "\"%llu/webhook.json\",\"size\":1024,\"eTag\":\"e%llu\"}}}]}",
             number, number);
    add_message(out, at, id, gw_slice_from(body));
}

static bool add_wake(struct gw_fake_queue *queue, struct gw_buf *out, unsigned at)
{
    int64_t now_ms = gw_env_wall_ms(queue->env);

    for (struct gw_list *at_wake = queue->wakes.next; at_wake != &queue->wakes;
         at_wake = at_wake->next) {
        struct wake *wake = gw_container_of(at_wake, struct wake, link);
        if (wake->due_ms > now_ms)
            continue;
        add_message(out, at, "w-0", (struct gw_slice){wake->body, wake->len});
        gw_list_remove(&wake->link);
        gw_free(wake);
        return true;
    }
    return false;
}

/* False: there is nothing. */
static bool receive(struct gw_fake_queue *queue, struct gw_exchange *exchange, unsigned most)
{
    struct gw_buf out = {0};
    unsigned count = 0;

    gw_buf_adds(&out, GW_SLICE("{\"Messages\":["));
    while (count < most && add_wake(queue, &out, count))
        count++;
    for (; count < most && queue->handed_out < queue->events; count++)
        add_notice(queue, &out, count);
    gw_buf_adds(&out, GW_SLICE("]}"));
    if (count > 0)
        answer(exchange, &out);
    gw_buf_deinit(&out);
    return count > 0;
}

static void on_waited(struct gw_timer *timer)
{
    struct waiting *waiting = gw_container_of(timer, struct waiting, timer);
    struct gw_buf out = {0};

    if (!receive(waiting->queue, waiting->exchange, BATCH_MAX)) {
        gw_buf_adds(&out, GW_SLICE("{}"));
        answer(waiting->exchange, &out);
    }
    gw_buf_deinit(&out);
    gw_free(waiting);
}

static void wait_for_one(struct gw_fake_queue *queue, struct gw_exchange *exchange)
{
    struct waiting *waiting = gw_zalloc(sizeof(*waiting));

    *waiting = (struct waiting){.timer = {.fire = on_waited}, queue, exchange};
    gw_env_timer_set(queue->env, &waiting->timer, IDLE_MS);
}

/* ── Batches ───────────────────────────────────────────────────────────────────────────────── */

static void keep(struct gw_fake_queue *queue, yyjson_val *entry)
{
    struct gw_slice body = gw_fake_text(entry, "MessageBody");
    int64_t delay_s = yyjson_get_sint(yyjson_obj_get(entry, "DelaySeconds"));
    struct wake *wake = gw_alloc(sizeof(*wake) + body.len);

    wake->due_ms = gw_env_wall_ms(queue->env) + delay_s * 1000;
    wake->len = body.len;
    memcpy(wake->body, body.ptr, body.len);
    gw_list_push(&queue->wakes, &wake->link);
    queue->sent++;
}

static void do_batch(struct gw_fake_queue *queue, struct gw_exchange *exchange, yyjson_val *request,
                     bool is_send)
{
    yyjson_val *entry;
    size_t i, max;
    struct gw_buf out = {0};

    gw_buf_adds(&out, GW_SLICE("{\"Successful\":["));
    yyjson_arr_foreach(yyjson_obj_get(request, "Entries"), i, max, entry)
    {
        gw_buf_addf(&out, "%s{\"Id\":\"%.*s\",\"MessageId\":\"w-0\"}", i > 0 ? "," : "",
                    GW_SLICE_ARG(gw_fake_text(entry, "Id")));
        if (is_send)
            keep(queue, entry);
        else if (gw_slice_starts(gw_fake_text(entry, "ReceiptHandle"), GW_SLICE("e-")))
            queue->deleted++;
    }
    gw_buf_adds(&out, GW_SLICE("],\"Failed\":[]}"));
    answer(exchange, &out);
    gw_buf_deinit(&out);
}

void gw_fake_queue_answer(struct gw_fake_queue *queue, struct gw_exchange *exchange,
                          struct gw_slice operation, yyjson_val *request)
{
    uint64_t most = yyjson_get_uint(yyjson_obj_get(request, "MaxNumberOfMessages"));
    struct gw_buf empty = {0};

    if (gw_slice_is(operation, "ReceiveMessage")) {
        if (!receive(queue, exchange, most < BATCH_MAX ? (unsigned)most : BATCH_MAX))
            wait_for_one(queue, exchange);
    } else if (gw_slice_is(operation, "DeleteMessageBatch") ||
               gw_slice_is(operation, "SendMessageBatch")) {
        do_batch(queue, exchange, request, gw_slice_is(operation, "SendMessageBatch"));
    } else { /* ChangeMessageVisibility: nothing is hidden here */
        gw_buf_adds(&empty, GW_SLICE("{}"));
        answer(exchange, &empty);
        gw_buf_deinit(&empty);
    }
}
