/* lambda_batch.c: owns the records of a batch, and its time:
 *
 *   start ──────────────── the work ───────────────▶ give back ───── what is under way ─────▶ late
 *                                                    │ nothing is begun any more,             │
 *                                                    │ for it might not end in time           │
 *                                     deadline − margin − the longest attempt       deadline − margin
 *
 * What is late fails, and comes again when its message is seen again; whatever still becomes of it in
 * here, when the process thaws, is harmless: a delivery is claimed before each attempt. Such a record
 * belongs to no batch any more and frees itself at its end. */
#include "app/lambda_batch.h"

#include "aws/json.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"

#define MARGIN_MS     3000  /* for the log, the metrics and the answer */
#define ATTEMPT_MS    31000 /* the longest, and its record */
#define BEGIN_MS      1000  /* at least, however short the function's time is */
#define REMAINING_MAX ((int64_t)15 * 60 * 1000)

struct record {
    struct gw_list link;           /* in the batch, if it has one */
    struct gw_lambda_batch *batch; /* NULL: it was late */
    struct gw_item item;
    struct gw_arena arena; /* for what the item is made of */
    bool is_done;
};

bool gw_lambda_batch_is(yyjson_val *event)
{
    yyjson_val *first = yyjson_arr_get_first(yyjson_obj_get(event, "Records"));

    return gw_slice_is(gw_aws_json_text(first, "eventSource"), "aws:sqs");
}

static void free_record(struct record *record)
{
    gw_list_remove(&record->link);
    gw_item_deinit(&record->item);
    gw_arena_deinit(&record->arena);
    gw_free(record);
}

/* ── The end ───────────────────────────────────────────────────────────────────────────────── */

static struct gw_slice write_answer(struct gw_lambda_batch *batch)
{
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = gw_aws_json_new(batch->arena, &root);
    yyjson_mut_val *failures = yyjson_mut_obj_add_arr(doc, root, "batchItemFailures");

    gw_list_each (link, &batch->records) {
        struct gw_slice id = gw_container_of(link, struct record, link)->item.id;
        yyjson_mut_val *one = yyjson_mut_arr_add_obj(doc, failures);
        yyjson_mut_obj_add_strncpy(doc, one, "itemIdentifier", id.ptr, id.len);
    }
    return gw_aws_json_write(batch->arena, doc);
}

static void finish(struct gw_lambda_batch *batch)
{
    struct gw_env *env = batch->road->shard->env;

    gw_env_timer_stop(env, &batch->give_back);
    gw_env_timer_stop(env, &batch->late);
    batch->answer = write_answer(batch);
    gw_list_each_safe (link, &batch->records) {
        struct record *record = gw_container_of(link, struct record, link);
        if (record->is_done) {
            free_record(record);
            continue;
        }
        record->batch = NULL;
        gw_list_remove(&record->link);
    }
    batch->left = 0;
    batch->done(batch);
}

static void on_item(struct gw_item *item)
{
    struct record *record = gw_container_of(item, struct record, item);
    struct gw_lambda_batch *batch = record->batch;

    record->is_done = true;
    if (!batch || item->end == GW_ITEM_DONE)
        free_record(record);
    if (batch && --batch->left == 0)
        finish(batch);
}

/* ── Time ──────────────────────────────────────────────────────────────────────────────────── */

void gw_lambda_batch_give_back(struct gw_lambda_batch *batch)
{
    gw_list_each (link, &batch->records) {
        struct record *record = gw_container_of(link, struct record, link);
        if (!record->is_done)
            gw_item_give_back(&record->item);
    }
}

static void on_give_back(struct gw_timer *timer)
{
    gw_lambda_batch_give_back(gw_container_of(timer, struct gw_lambda_batch, give_back));
}

static void on_late(struct gw_timer *timer)
{
    struct gw_lambda_batch *batch = gw_container_of(timer, struct gw_lambda_batch, late);

    gw_log(GW_LOG_WARN, "messages_late", GW_I("messages", batch->left));
    finish(batch);
}

static void set_times(struct gw_lambda_batch *batch)
{
    struct gw_env *env = batch->road->shard->env;
    int64_t late_ms = batch->deadline_ms - MARGIN_MS - gw_env_wall_ms(env);

    if (late_ms > REMAINING_MAX)
        late_ms = REMAINING_MAX; /* a clock is wrong */
    int64_t give_back_ms = late_ms - ATTEMPT_MS;
    if (give_back_ms < BEGIN_MS) {
        gw_log(GW_LOG_WARN, "timeout_too_short", GW_I("leftMs", late_ms),
               GW_I("wantedMs", ATTEMPT_MS + BEGIN_MS));
        give_back_ms = BEGIN_MS;
    }
    batch->give_back.fire = on_give_back;
    batch->late.fire = on_late;
    gw_env_timer_set(env, &batch->give_back, give_back_ms);
    gw_env_timer_set(env, &batch->late, late_ms > 0 ? late_ms : 0);
}

/* ── The beginning ─────────────────────────────────────────────────────────────────────────── */

static enum gw_err check(yyjson_val *records, struct gw_error *error)
{
    yyjson_val *json;
    size_t i, max;

    yyjson_arr_foreach(records, i, max, json)
    {
        if (!gw_slice_is(gw_aws_json_text(json, "eventSource"), "aws:sqs"))
            return gw_error_set(error, GW_ERR_INVALID,
                                "eventSource: must be aws:sqs in each record");
        if (gw_aws_json_text(json, "messageId").len == 0)
            return gw_error_set(error, GW_ERR_INVALID, "messageId: must be in each record");
    }
    return GW_OK;
}

static void add_record(struct gw_lambda_batch *batch, yyjson_val *json)
{
    struct record *record = gw_zalloc(sizeof(*record));
    struct gw_slice body = gw_aws_json_text(json, "body");

    record->batch = batch;
    record->item = (struct gw_item){
        .road = batch->road,
        .id = gw_arena_dup(&record->arena, gw_aws_json_text(json, "messageId")),
        .body = gw_arena_dup(&record->arena, body.ptr ? body : GW_SLICE("")),
        .done = on_item,
    };
    gw_list_push(&batch->records, &record->link);
    batch->left++;
    gw_item_start(&record->item);
}

enum gw_err gw_lambda_batch_start(struct gw_lambda_batch *batch, yyjson_val *event,
                                  struct gw_error *error)
{
    yyjson_val *records = yyjson_obj_get(event, "Records"), *json;
    size_t i, max;
    enum gw_err err = check(records, error);

    if (err != GW_OK)
        return err;
    gw_list_init(&batch->records);
    batch->left = 0;
    set_times(batch);
    yyjson_arr_foreach(records, i, max, json) add_record(batch, json);
    return GW_OK;
}
