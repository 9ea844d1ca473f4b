/* dynamodb_add.c: more deliveries of a stored event, as a replay makes them.
 *
 *   read the event ─ all are there ──────────────────────▶ answered
 *      ▲   └──────── some are not ▶ wake for later (once) ▶ write ─ done ▶ wake now ▶ answered
 *      └────────────────────────────────── refused, or who knows ─┘
 *
 * One transaction: the event's number of deliveries moves on, if it is as it was read, and the new ones
 * take the numbers between. Each bears the hash of the job's key: that and its lane are known again. */
#include "store/dynamodb_impl.h"

#include "base/check.h"

#define TRIES_MAX     4
#define KEY_BYTES_MAX 64

struct add {
    struct gw_add *op;
    struct gw_slice pk, job;
    struct gw_slice wake;
    struct dynamodb_items items;
    struct gw_message message;
    struct dynamodb_event event;
    bool is_new[GW_CONFIG_WORKFLOW_URLS_MAX]; /* by lane */
    size_t new_count;
    bool is_woken; /* for later */
    unsigned tries;
};

static void read_event(struct dynamodb_run *run);

/* ── The end ───────────────────────────────────────────────────────────────────────────────── */

static void finish(struct dynamodb_run *run, bool was_written)
{
    struct add *add = run->own;
    struct gw_offer *offer = add->op->offer;

    if (offer && was_written && add->new_count > 0) {
        for (size_t i = 0; i < add->op->lane_count; i++)
            if (add->is_new[i])
                offer->deliveries[offer->count++] = add->op->deliveries[i];
        add->op->offered = true;
        gw_env_post(offer->env, &offer->msg);
    }
    dynamodb_done(run, GW_OK);
}

/* It may have failed: the other wake comes. */
static void on_woken_now(struct dynamodb_run *run, const struct gw_aws_batch *sent)
{
    (void)sent;
    finish(run, true);
}

/* ── Writing ───────────────────────────────────────────────────────────────────────────────── */

static void on_written(struct dynamodb_run *run)
{
    struct add *add = run->own;
    enum gw_err err = dynamodb_err(run);

    if (err == GW_OK)
        dynamodb_wake(run, &(struct gw_aws_entry){.body = add->wake}, 1, on_woken_now);
    else if ((err == GW_ERR_CONFLICT || dynamodb_is_unsure(run)) && ++add->tries < TRIES_MAX)
        read_event(run);
    else
        dynamodb_fail(run, &run->db.call);
}

static void move_count(struct dynamodb_run *run, struct add *add, yyjson_mut_val *list)
{
    struct gw_aws_dynamodb *db = &run->db;
    yyjson_mut_val *update =
        gw_aws_dynamodb_object(db, yyjson_mut_arr_add_obj(db->doc, list), "Update");

    dynamodb_put(run, update, "TableName", run->store->tables[DYNAMODB_LEDGER]);
    dynamodb_put_key(run, update, add->pk, DYNAMODB_KEY_E);
    dynamodb_put_expression(run, update, "UpdateExpression", "SET #deliveries = :next");
    dynamodb_put_expression(run, update, "ConditionExpression", "#deliveries = :first");
    yyjson_mut_val *values = dynamodb_values(run, update);
    gw_aws_dynamodb_put_number(db, values, ":first", add->event.deliveries);
    gw_aws_dynamodb_put_number(db, values, ":next",
                               add->event.deliveries + (int64_t)add->new_count);
}

static void write_new(struct dynamodb_run *run)
{
    struct add *add = run->own;
    struct gw_add *op = add->op;
    struct gw_aws_dynamodb *db = dynamodb_request(run, GW_AWS_TRANSACT_WRITE);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(db->doc, db->root, "TransactItems");
    unsigned number = add->event.deliveries;
    yyjson_mut_val *item;

    move_count(run, add, list);
    for (size_t i = 0; i < op->lane_count; i++) {
        if (!add->is_new[i])
            continue;
        op->deliveries[i] =
            dynamodb_new_delivery(&op->message_id, number++, op->lanes[i], op->now_ms);
        yyjson_mut_val *put = dynamodb_put_item(run, list, &item);
        dynamodb_put_delivery(run, item, &add->message, &op->deliveries[i], add->job);
        dynamodb_put_expression(run, put, "ConditionExpression", "attribute_not_exists(#pk)");
    }
    dynamodb_send(run, on_written);
}

static void on_woken_later(struct dynamodb_run *run, const struct gw_aws_batch *sent)
{
    struct add *add = run->own;

    add->is_woken = sent->call.error.code == GW_OK;
    if (add->is_woken)
        write_new(run);
    else
        dynamodb_fail(run, &sent->call);
}

/* ── What is there ─────────────────────────────────────────────────────────────────────────── */

/* False: what is there is damaged. */
static bool compare(struct add *add)
{
    struct gw_add *op = add->op;
    struct gw_delivery there;
    struct gw_slice job;

    add->new_count = op->lane_count;
    op->delivery_count = op->lane_count;
    for (size_t i = 0; i < op->lane_count; i++)
        add->is_new[i] = true;
    for (size_t i = 0; i < add->items.count; i++) {
        yyjson_val *item = add->items.deliveries[i];
        if (!dynamodb_take_delivery(item, &there))
            return false;
        if (!gw_aws_dynamodb_take_text(item, "job", &job) || !gw_slice_eq(job, add->job))
            continue;
        for (size_t j = 0; j < op->lane_count; j++) {
            if (there.lane != op->lanes[j] || !add->is_new[j])
                continue;
            add->is_new[j] = false;
            add->new_count--;
            op->deliveries[j] = there;
        }
    }
    return true;
}

static void on_read(struct dynamodb_run *run)
{
    struct add *add = run->own;

    if (dynamodb_err(run) != GW_OK)
        dynamodb_fail(run, &run->db.call);
    else if (add->items.event == NULL)
        dynamodb_done(run, GW_ERR_NOT_FOUND);
    else if (!dynamodb_take_event(add->items.event, &run->arena, &add->message, &add->event) ||
             !compare(add))
        dynamodb_done(run, GW_ERR_CORRUPT);
    else if (add->new_count == 0 && add->is_woken)
        dynamodb_wake(run, &(struct gw_aws_entry){.body = add->wake}, 1,
                      on_woken_now); /* written, and the answer was lost */
    else if (add->new_count == 0)
        finish(run, false);
    else if (add->event.deliveries + add->new_count > DYNAMODB_NUMBER_MAX ||
             add->items.count + add->new_count > DYNAMODB_ROWS_MAX)
        dynamodb_done(run, GW_ERR_FULL);
    else if (add->is_woken)
        write_new(run);
    else
        dynamodb_wake(run, &(struct gw_aws_entry){.body = add->wake, .delay_s = DYNAMODB_LATER_S},
                      1, on_woken_later);
}

static void read_event(struct dynamodb_run *run)
{
    struct add *add = run->own;

    dynamodb_read_event(run, &add->items, add->pk, on_read);
}

void dynamodb_add(struct dynamodb_run *run)
{
    struct add *add = gw_arena_zalloc(&run->arena, sizeof(*add));
    struct gw_add *op = gw_container_of(run->op, struct gw_add, op);

    run->own = add;
    add->op = op;
    if (op->lane_count > gw_count(op->deliveries) || op->key.len > KEY_BYTES_MAX ||
        run->store->options.queue_url == NULL) {
        dynamodb_done(run, GW_ERR_INVALID);
        return;
    }
    if (op->message_id.len != DYNAMODB_MESSAGE_BYTES) {
        dynamodb_done(run, GW_ERR_NOT_FOUND);
        return;
    }
    add->wake = dynamodb_wake_text(
        run, &(struct gw_wake){.kind = GW_WAKE_MESSAGE, .message_id = op->message_id});
    add->pk = dynamodb_pk(&run->arena, &op->message_id);
    add->job = dynamodb_hash_text(run->store, &run->arena, &op->key, 1);
    read_event(run);
}
