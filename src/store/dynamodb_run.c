/* dynamodb_run.c: an operation under way, as a chain of calls to AWS.
 *
 *   start ─▶ fn ─▶ request, send ─▶ next ─▶ … ─▶ done ─ the loop's next turn ─▶ op->done
 *
 * Owns the run: all of it is freed when the operation completes. Its thread is that of op->env, which
 * is whose clients it uses.
 *
 * Failure: nothing is tried again here. What AWS refuses for now is "again" with a time; a call has
 * CALL_MS of the operation's time at most, so that after one whose answer was lost there is time to
 * look what became of it. What an operator must see to is logged, with AWS's word for it. */
#include "store/dynamodb_impl.h"

#include "base/check.h"
#include "base/log.h"

#include <ctype.h>

#define OPERATION_MS     15000 /* where the operation says no deadline */
#define LOG_EVERY_MS     1000
#define CALL_MS          5000
#define OBJECT_MS        10000
#define BUSY_MS          100
#define UNAVAILABLE_MS   500
#define MISCONFIGURED_MS 5000

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

static void on_complete(struct gw_msg *msg)
{
    struct gw_op *op = gw_container_of(msg, struct gw_op, msg);
    struct dynamodb_run *run = op->found;

    if (run->end)
        run->end(run);
    gw_arena_deinit(&run->arena);
    gw_free(run);
    op->done(op);
}

static int64_t again_ms(const struct dynamodb_run *run, enum gw_err err)
{
    uint8_t spread; /* so that those refused together do not come back together */

    if (gw_err_class(err) != GW_CLASS_AGAIN)
        return 0;
    gw_env_random(run->env, &spread, sizeof(spread));
    return (err == GW_ERR_BUSY ? BUSY_MS : UNAVAILABLE_MS) + spread;
}

void dynamodb_done(struct dynamodb_run *run, enum gw_err err)
{
    run->op->err = err;
    if (run->op->again_ms == 0 || gw_err_class(err) != GW_CLASS_AGAIN)
        run->op->again_ms = again_ms(run, err);
    run->op->msg.run = on_complete;
    gw_env_post(run->env, &run->op->msg);
}

static struct gw_aws *aws_of(const struct gw_dynamodb *store, const struct gw_env *env)
{
    for (size_t i = 0; i < store->joined_count; i++)
        if (store->joined[i].env == env)
            return store->joined[i].aws;
    gw_never("an env that did not join");
}

void dynamodb_start(struct gw_dynamodb *store, struct gw_op *op, dynamodb_fn *fn)
{
    struct dynamodb_run *run = gw_zalloc(sizeof(*run));
    int64_t now_us = gw_env_mono_us(op->env);

    run->store = store;
    run->op = op;
    run->env = op->env;
    run->aws = aws_of(store, op->env);
    run->deadline_us = op->deadline_us ? op->deadline_us : now_us + OPERATION_MS * 1000;
    run->call_ms = CALL_MS;
    op->found = run;
    op->again_ms = 0;
    if (now_us > run->deadline_us)
        dynamodb_done(run, GW_ERR_TIMEOUT);
    else
        fn(run);
}

/* ── Failure ───────────────────────────────────────────────────────────────────────────────── */

/* What a call's failure means to whoever asked the store. A table that is not there, or a request that
 * AWS does not understand, is nothing that whoever asked can mend. */
static enum gw_err meaning_of(enum gw_err err)
{
    switch (err) {
    case GW_ERR_INVALID:
    case GW_ERR_EXISTS: return GW_ERR_IO;
    case GW_ERR_NOT_FOUND: return GW_ERR_UNAVAILABLE;
    case GW_ERR_CONFLICT: return GW_ERR_BUSY; /* where a condition was no question */
    default: return err;
    }
}

static void see(struct dynamodb_run *run, const struct gw_aws_call *call)
{
    enum gw_err err = call->error.code;
    bool is_failing = err == GW_ERR_UNAVAILABLE || err == GW_ERR_TIMEOUT ||
                      err == GW_ERR_NOT_FOUND || err == GW_ERR_KEY;

    if (err != GW_ERR_BUSY)
        atomic_store(&run->store->failed_us, is_failing ? gw_env_mono_us(run->env) : 0);
}

/* One a second is enough: when AWS is away all operations fail. */
static void write_down(struct dynamodb_run *run, const struct gw_aws_call *call)
{
    int_fast64_t now_us = gw_env_mono_us(run->env), last_us = atomic_load(&run->store->logged_us);

    if (last_us != 0 && now_us - last_us < LOG_EVERY_MS * 1000)
        return;
    if (!atomic_compare_exchange_strong(&run->store->logged_us, &last_us, now_us))
        return;
    gw_log(GW_LOG_WARN, "store_failed",
           GW_S("operation", gw_call_name((enum gw_call)run->op->kind)),
           GW_S("error", call->error.text));
}

void dynamodb_fail(struct dynamodb_run *run, const struct gw_aws_call *call)
{
    enum gw_err err = meaning_of(call->error.code);

    gw_check(err != GW_OK);
    if (err != GW_ERR_BUSY)
        write_down(run, call);
    run->op->again_ms = call->error.code == GW_ERR_NOT_FOUND ? MISCONFIGURED_MS : 0;
    if (call->retry_after_ms > run->op->again_ms)
        run->op->again_ms = call->retry_after_ms;
    dynamodb_done(run, err);
}

enum gw_err dynamodb_err(const struct dynamodb_run *run)
{
    return run->db.call.error.code;
}

bool dynamodb_is_unsure(const struct dynamodb_run *run)
{
    return dynamodb_err(run) == GW_ERR_TIMEOUT || dynamodb_err(run) == GW_ERR_UNAVAILABLE;
}

/* ── Calls of DynamoDB ─────────────────────────────────────────────────────────────────────── */

static void prepare(struct dynamodb_run *run, struct gw_aws_call *call, enum gw_aws_service service,
                    int64_t most_ms)
{
    int64_t most_us = gw_env_mono_us(run->env) + most_ms * 1000;

    call->client = &run->aws->clients[service];
    call->arena = &run->arena;
    call->deadline_us = run->deadline_us < most_us ? run->deadline_us : most_us;
}

struct gw_aws_dynamodb *dynamodb_request(struct dynamodb_run *run, enum gw_aws_dynamodb_op op)
{
    run->db = (struct gw_aws_dynamodb){0};
    prepare(run, &run->db.call, GW_AWS_DYNAMODB, run->call_ms);
    gw_aws_dynamodb_init(&run->db, op);
    return &run->db;
}

struct gw_aws_dynamodb *dynamodb_request_on(struct dynamodb_run *run, enum gw_aws_dynamodb_op op,
                                            enum dynamodb_table table)
{
    struct gw_aws_dynamodb *db = dynamodb_request(run, op);

    dynamodb_put(run, db->root, "TableName", run->store->tables[table]);
    return db;
}

static void on_answer(struct gw_aws_dynamodb *db)
{
    struct dynamodb_run *run = gw_container_of(db, struct dynamodb_run, db);

    see(run, &db->call);
    run->next(run);
}

void dynamodb_send(struct dynamodb_run *run, dynamodb_fn *next)
{
    run->next = next;
    run->db.done = on_answer;
    prepare(run, &run->db.call, GW_AWS_DYNAMODB, run->call_ms);
    gw_aws_dynamodb_start(&run->db);
}

void dynamodb_put(struct dynamodb_run *run, yyjson_mut_val *object, const char *name,
                  const char *text)
{
    gw_check(yyjson_mut_obj_add_str(run->db.doc, object, name, text));
}

void dynamodb_put_flag(struct dynamodb_run *run, yyjson_mut_val *object, const char *name)
{
    gw_check(yyjson_mut_obj_add_bool(run->db.doc, object, name, true));
}

static yyjson_mut_val *member(struct dynamodb_run *run, yyjson_mut_val *object, const char *name)
{
    yyjson_mut_val *there = yyjson_mut_obj_get(object, name);

    return there ? there : gw_aws_dynamodb_object(&run->db, object, name);
}

yyjson_mut_val *dynamodb_values(struct dynamodb_run *run, yyjson_mut_val *object)
{
    return member(run, object, "ExpressionAttributeValues");
}

void dynamodb_put_expression(struct dynamodb_run *run, yyjson_mut_val *object, const char *name,
                             const char *expression)
{
    yyjson_mut_val *names = member(run, object, "ExpressionAttributeNames");

    dynamodb_put(run, object, name, expression);
    for (const char *at = strchr(expression, '#'); at; at = strchr(at, '#')) {
        size_t len = 1;
        while (isalnum((unsigned char)at[len]) || at[len] == '_')
            len++;
        const char *attribute = gw_arena_text(&run->arena, (struct gw_slice){at, len});
        if (yyjson_mut_obj_get(names, attribute) == NULL)
            dynamodb_put(run, names, attribute, attribute + 1);
        at += len;
    }
}

void dynamodb_put_start(struct dynamodb_run *run, yyjson_val *more)
{
    if (more)
        yyjson_mut_obj_add_val(run->db.doc, run->db.root, "ExclusiveStartKey",
                               yyjson_val_mut_copy(run->db.doc, more));
}

void dynamodb_put_key(struct dynamodb_run *run, yyjson_mut_val *object, struct gw_slice pk,
                      struct gw_slice sk)
{
    yyjson_mut_val *key = gw_aws_dynamodb_object(&run->db, object, "Key");

    gw_aws_dynamodb_put_text(&run->db, key, "pk", pk);
    gw_aws_dynamodb_put_text(&run->db, key, "sk", sk);
}

/* ── Objects and messages ──────────────────────────────────────────────────────────────────── */

struct object {
    struct gw_aws_object object;
    struct dynamodb_run *run;
};

struct gw_aws_object *dynamodb_object(struct dynamodb_run *run, struct gw_slice bucket,
                                      struct gw_slice key)
{
    struct object *one = gw_arena_zalloc(&run->arena, sizeof(*one));

    one->run = run;
    one->object.bucket = bucket;
    one->object.key = key;
    return &one->object;
}

static void on_object(struct gw_aws_object *object)
{
    struct dynamodb_run *run = gw_container_of(object, struct object, object)->run;

    run->next(run);
}

void dynamodb_object_start(struct gw_aws_object *object, void (*start)(struct gw_aws_object *),
                           dynamodb_fn *next)
{
    struct dynamodb_run *run = gw_container_of(object, struct object, object)->run;

    prepare(run, &object->call, GW_AWS_S3, OBJECT_MS);
    object->done = on_object;
    run->next = next;
    start(object);
}

struct sent {
    struct gw_aws_batch batch;
    struct dynamodb_run *run;
    void (*next)(struct dynamodb_run *run, const struct gw_aws_batch *sent);
};

/* One entry that failed is as good as all: whoever repeats it sends the others twice, which does no
 * harm. */
static void on_sent(struct gw_aws_batch *batch)
{
    struct sent *sent = gw_container_of(batch, struct sent, batch);

    for (size_t i = 0; i < batch->count && batch->call.error.code == GW_OK; i++)
        if (batch->entries[i].err != GW_OK)
            gw_error_set(&batch->call.error, batch->entries[i].err, "sqs SendMessageBatch: %.*s",
                         GW_SLICE_ARG(batch->entries[i].code));
    sent->next(sent->run, batch);
}

void dynamodb_wake(struct dynamodb_run *run, const struct gw_aws_entry *entries, size_t count,
                   void (*next)(struct dynamodb_run *run, const struct gw_aws_batch *sent))
{
    struct sent *sent = gw_arena_zalloc(&run->arena, sizeof(*sent));

    gw_check(run->store->options.queue_url && count <= GW_AWS_SQS_BATCH_MAX);
    sent->run = run;
    sent->next = next;
    prepare(run, &sent->batch.call, GW_AWS_SQS, CALL_MS);
    sent->batch.queue_url = gw_slice_from(run->store->options.queue_url);
    memcpy(sent->batch.entries, entries, count * sizeof(*entries));
    sent->batch.count = count;
    sent->batch.done = on_sent;
    gw_aws_sqs_send(&sent->batch);
}

struct gw_slice dynamodb_wake_text(struct dynamodb_run *run, const struct gw_wake *wake)
{
    struct gw_buf text = {0};

    gw_wake_write(wake, &text);
    struct gw_slice copy = gw_arena_dup(&run->arena, gw_buf_slice(&text));
    gw_buf_deinit(&text);
    return copy;
}
