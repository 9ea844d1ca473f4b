/* sqs.c: messages of SQS as requests, and their answers. Entries of a batch are named by their place,
 * so that an answer finds them again; one that an answer does not mention has not been done. Owns
 * nothing. */
#include "aws/sqs.h"

#include "aws/json_call.h"
#include "base/check.h"

#define TARGET          "AmazonSQS"
#define REPLY_BYTES_MAX ((size_t)64 * 1024)
#define RECEIVED_MAX    ((size_t)16 * 1024 * 1024) /* ten of 1 MiB, escaped */

static void add(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, struct gw_slice text)
{
    gw_check(yyjson_mut_obj_add_strn(doc, object, name, text.ptr ? text.ptr : "", text.len));
}

static yyjson_mut_doc *request(struct gw_aws_call *call, const char *what,
                               struct gw_slice queue_url, yyjson_mut_val **root)
{
    yyjson_mut_doc *doc = gw_aws_json_new(call->arena, root);

    call->what = what;
    call->reply_bytes_max = REPLY_BYTES_MAX;
    add(doc, *root, "QueueUrl", queue_url);
    return doc;
}

/* ── Receiving ─────────────────────────────────────────────────────────────────────────────── */

/* Attributes are numbers in strings. */
static uint64_t number_of(yyjson_val *attributes, const char *name)
{
    uint64_t number;

    return gw_slice_u64(gw_aws_json_text(attributes, name), &number) ? number : 0;
}

static bool read_message(yyjson_val *json, struct gw_aws_message *message)
{
    yyjson_val *attributes = yyjson_obj_get(json, "Attributes");

    message->id = gw_aws_json_text(json, "MessageId");
    message->receipt = gw_aws_json_text(json, "ReceiptHandle");
    message->body = gw_aws_json_text(json, "Body");
    message->receive_count = (uint32_t)number_of(attributes, "ApproximateReceiveCount");
    message->sent_ms = (int64_t)number_of(attributes, "SentTimestamp");
    return message->id.ptr && message->receipt.ptr && message->body.ptr;
}

static void on_received(struct gw_aws_call *call)
{
    struct gw_aws_receive *receive = gw_container_of(call, struct gw_aws_receive, call);
    yyjson_val *json;
    size_t i, max;

    yyjson_arr_foreach(call->error.code == GW_OK ? yyjson_obj_get(call->json, "Messages") : NULL, i,
                       max, json)
    {
        if (receive->message_count < GW_AWS_SQS_BATCH_MAX &&
            read_message(json, &receive->messages[receive->message_count]))
            receive->message_count++; /* another one comes again when it is visible */
    }
    receive->done(receive);
}

void gw_aws_sqs_receive(struct gw_aws_receive *receive)
{
    struct gw_aws_call *call = &receive->call;
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = request(call, "ReceiveMessage", receive->queue_url, &root);

    gw_check(receive->count >= 1 && receive->count <= GW_AWS_SQS_BATCH_MAX);
    gw_check(receive->wait_s <= GW_AWS_SQS_WAIT_S_MAX);
    gw_check(receive->hidden_s <= GW_AWS_SQS_HIDDEN_S_MAX);
    yyjson_mut_obj_add_uint(doc, root, "MaxNumberOfMessages", receive->count);
    yyjson_mut_obj_add_uint(doc, root, "WaitTimeSeconds", receive->wait_s);
    yyjson_mut_obj_add_uint(doc, root, "VisibilityTimeout", receive->hidden_s);
    yyjson_mut_val *names = yyjson_mut_obj_add_arr(doc, root, "MessageSystemAttributeNames");
    yyjson_mut_arr_add_str(doc, names, "ApproximateReceiveCount");
    yyjson_mut_arr_add_str(doc, names, "SentTimestamp");
    receive->message_count = 0;
    call->reply_bytes_max = RECEIVED_MAX;
    call->done = on_received;
    gw_aws_json_call(call, TARGET, doc);
}

/* ── Batches ───────────────────────────────────────────────────────────────────────────────── */

static struct gw_aws_entry *entry_of(struct gw_aws_batch *batch, yyjson_val *json)
{
    uint64_t at;

    if (!gw_slice_u64(gw_aws_json_text(json, "Id"), &at) || at >= batch->count)
        return NULL;
    return &batch->entries[at];
}

static void read_batch(struct gw_aws_batch *batch)
{
    yyjson_val *json;
    size_t i, max;

    yyjson_arr_foreach(yyjson_obj_get(batch->call.json, "Successful"), i, max, json)
    {
        struct gw_aws_entry *entry = entry_of(batch, json);
        if (entry)
            entry->err = GW_OK;
    }
    yyjson_arr_foreach(yyjson_obj_get(batch->call.json, "Failed"), i, max, json)
    {
        struct gw_aws_entry *entry = entry_of(batch, json);
        if (entry == NULL)
            continue;
        entry->err = yyjson_get_bool(yyjson_obj_get(json, "SenderFault")) ? GW_ERR_INVALID
                                                                          : GW_ERR_UNAVAILABLE;
        entry->code = gw_aws_json_text(json, "Code");
    }
}

static void on_batch(struct gw_aws_call *call)
{
    struct gw_aws_batch *batch = gw_container_of(call, struct gw_aws_batch, call);
    enum gw_err err = call->error.code == GW_OK ? GW_ERR_UNAVAILABLE : call->error.code;

    for (size_t i = 0; i < batch->count; i++) {
        batch->entries[i].err = err;
        batch->entries[i].code = call->code;
    }
    if (call->error.code == GW_OK)
        read_batch(batch);
    batch->done(batch);
}

static void start(struct gw_aws_batch *batch, const char *what,
                  void (*add_entry)(yyjson_mut_doc *doc, yyjson_mut_val *object,
                                    const struct gw_aws_entry *entry))
{
    struct gw_aws_call *call = &batch->call;
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = request(call, what, batch->queue_url, &root);
    yyjson_mut_val *entries = yyjson_mut_obj_add_arr(doc, root, "Entries");

    gw_check(batch->count >= 1 && batch->count <= GW_AWS_SQS_BATCH_MAX);
    for (size_t i = 0; i < batch->count; i++) {
        yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, entries);
        add(doc, object, "Id", gw_slice_from(gw_arena_printf(call->arena, "%zu", i)));
        add_entry(doc, object, &batch->entries[i]);
    }
    call->done = on_batch;
    gw_aws_json_call(call, TARGET, doc);
}

static void add_deletion(yyjson_mut_doc *doc, yyjson_mut_val *object,
                         const struct gw_aws_entry *entry)
{
    add(doc, object, "ReceiptHandle", entry->receipt);
}

static void add_sending(yyjson_mut_doc *doc, yyjson_mut_val *object,
                        const struct gw_aws_entry *entry)
{
    gw_check(entry->delay_s <= GW_AWS_SQS_DELAY_S_MAX);
    add(doc, object, "MessageBody", entry->body);
    yyjson_mut_obj_add_uint(doc, object, "DelaySeconds", entry->delay_s);
}

void gw_aws_sqs_delete(struct gw_aws_batch *batch)
{
    start(batch, "DeleteMessageBatch", add_deletion);
}

void gw_aws_sqs_send(struct gw_aws_batch *batch)
{
    start(batch, "SendMessageBatch", add_sending);
}

/* ── Hiding ────────────────────────────────────────────────────────────────────────────────── */

static void on_hidden(struct gw_aws_call *call)
{
    struct gw_aws_hide *hide = gw_container_of(call, struct gw_aws_hide, call);

    hide->done(hide);
}

void gw_aws_sqs_hide(struct gw_aws_hide *hide)
{
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = request(&hide->call, "ChangeMessageVisibility", hide->queue_url, &root);

    gw_check(hide->hidden_s <= GW_AWS_SQS_HIDDEN_S_MAX);
    add(doc, root, "ReceiptHandle", hide->receipt);
    yyjson_mut_obj_add_uint(doc, root, "VisibilityTimeout", hide->hidden_s);
    hide->call.done = on_hidden;
    gw_aws_json_call(&hide->call, TARGET, doc);
}
