/* dynamodb_look.c: an event looked at: with its body for an attempt, or for people, by whatever they
 * know of it.
 *
 * The body is an object of S3: read by its version, else on condition that it still has its ETag, and
 * compared by its hash. What is by_key may be a moment behind; an event's own items are read as they
 * are now. */
#include "store/dynamodb_impl.h"

#include "base/check.h"

#define FIND_MAX  100
#define PAGES_MAX 20 /* of keys: others' events may have the same transaction id, or event id */

/* ── A body ────────────────────────────────────────────────────────────────────────────────── */

static struct gw_aws_object *ask_body(struct dynamodb_run *run, const struct gw_message *message,
                                      const struct dynamodb_event *event, dynamodb_fn *next)
{
    struct gw_aws_object *object = dynamodb_object(run, message->place.bucket, message->place.key);

    object->version_id = message->place.version_id;
    if (message->place.version_id.ptr == NULL)
        object->if_match = message->place.etag;
    object->bytes_max = (size_t)event->size;
    dynamodb_object_start(object, gw_aws_s3_get, next);
    return object;
}

/* GW_OK: it is what was accepted. Of class "again": nobody knows yet. */
static enum gw_err judge_body(const struct dynamodb_run *run, struct gw_arena *arena,
                              const struct gw_aws_object *object,
                              const struct dynamodb_event *event)
{
    switch (object->call.error.code) {
    case GW_OK:
        return gw_slice_eq(event->hash, dynamodb_body_hash(run->store, arena, object->call.reply))
                   ? GW_OK
                   : GW_ERR_CHANGED;
    case GW_ERR_NOT_FOUND: return GW_ERR_GONE;
    case GW_ERR_CONFLICT:
    case GW_ERR_TOO_LARGE: return GW_ERR_CHANGED;
    default: return object->call.error.code;
    }
}

/* ── Load ──────────────────────────────────────────────────────────────────────────────────── */

struct load {
    struct gw_load *op;
    struct gw_message message;
    struct dynamodb_event event;
    struct gw_aws_object *object;
};

static struct gw_message *copy_message(const struct gw_message *from, struct gw_slice body)
{
    struct gw_event event = {
        .body = body,
        .place = from->place,
        .app_id = from->app_id,
        .event_type = from->event_type,
        .event_id = from->event_id,
        .transaction_id = from->transaction_id,
        .workflow_id = from->workflow_id,
        .event_time = from->event_time,
    };
    struct gw_message *copy = gw_message_create(&event, from->accepted_ms);

    copy->id = from->id;
    copy->skip = from->skip;
    copy->config_version = from->config_version;
    return copy;
}

static void on_body(struct dynamodb_run *run)
{
    struct load *load = run->own;
    const struct gw_aws_call *call = &load->object->call;
    enum gw_err err = judge_body(run, &run->arena, load->object, &load->event);

    if (err == GW_OK)
        load->op->message = copy_message(&load->message, call->reply);
    if (err == GW_OK || err == GW_ERR_GONE || err == GW_ERR_CHANGED)
        dynamodb_done(run, err);
    else
        dynamodb_fail(run, call);
}

static void on_event(struct dynamodb_run *run)
{
    struct load *load = run->own;

    if (dynamodb_err(run) != GW_OK)
        dynamodb_fail(run, &run->db.call);
    else if (run->db.item == NULL)
        dynamodb_done(run, GW_ERR_NOT_FOUND);
    else if (!dynamodb_take_event(run->db.item, &run->arena, &load->message, &load->event))
        dynamodb_done(run, GW_ERR_IO);
    else if (load->event.is_erased || load->message.place.bucket.ptr == NULL)
        dynamodb_done(run, GW_ERR_GONE);
    else
        load->object = ask_body(run, &load->message, &load->event, on_body);
}

void dynamodb_load(struct dynamodb_run *run)
{
    struct load *load = gw_arena_zalloc(&run->arena, sizeof(*load));

    run->own = load;
    load->op = gw_container_of(run->op, struct gw_load, op);
    struct gw_aws_dynamodb *db = dynamodb_request_on(run, GW_AWS_GET_ITEM, DYNAMODB_LEDGER);
    dynamodb_put_key(run, db->root, dynamodb_pk(&run->arena, &load->op->message_id),
                     DYNAMODB_KEY_E);
    dynamodb_put_flag(run, db->root, "ConsistentRead");
    dynamodb_send(run, on_event);
}

/* ── Find ──────────────────────────────────────────────────────────────────────────────────── */

/* Keys first, then event after event; each event's body after its items. */
struct find {
    struct gw_find *op;
    size_t max;
    struct gw_slice pks[FIND_MAX];
    size_t pk_count, at; /* at: the next one to read */
    unsigned pages;
    struct dynamodb_items items;
    struct dynamodb_event event;
    struct gw_aws_object *object;
};

static void next_event(struct dynamodb_run *run);

static bool take_rows(struct dynamodb_run *run, struct find *find, struct gw_event_row *row)
{
    struct gw_arena *arena = find->op->arena;
    const struct dynamodb_items *items = &find->items;

    row->rows = gw_arena_zalloc(arena, items->count * sizeof(*row->rows) + 1);
    for (; row->count < items->count; row->count++) {
        struct gw_row *one = &row->rows[row->count];
        if (!dynamodb_take_delivery(items->deliveries[row->count], &one->delivery))
            return false;
        one->message = row->message;
        one->log = dynamodb_take_log(run->store, arena, items->deliveries[row->count]);
    }
    return true;
}

/* A delivery is known by its own item, not by its event's. */
static bool is_wanted(const struct find *find, const struct gw_event_row *row)
{
    const struct gw_find *op = find->op;
    bool has_row = op->key != GW_FIND_DELIVERY;

    for (size_t i = 0; i < row->count; i++)
        has_row |= gw_id_eq(&row->rows[i].delivery.id, &op->id);
    return has_row && (op->app_id.len == 0 || gw_slice_eq(op->app_id, row->message->app_id));
}

static void on_find_body(struct dynamodb_run *run)
{
    struct find *find = run->own;
    struct gw_event_row *row = &find->op->events[find->op->count++];
    enum gw_err err = judge_body(run, &run->arena, find->object, &find->event);

    if (err == GW_OK)
        ((struct gw_message *)row->message)->body =
            gw_arena_dup(find->op->arena, find->object->call.reply);
    if (err == GW_OK || err == GW_ERR_GONE || err == GW_ERR_CHANGED)
        next_event(run);
    else
        dynamodb_fail(run, &find->object->call);
}

static void on_items(struct dynamodb_run *run)
{
    struct find *find = run->own;
    struct gw_event_row *row = &find->op->events[find->op->count];
    struct gw_message read;

    if (dynamodb_err(run) != GW_OK) {
        dynamodb_fail(run, &run->db.call);
        return;
    }
    if (find->items.event == NULL) {
        next_event(run);
        return;
    }
    *row = (struct gw_event_row){0};
    bool is_well = dynamodb_take_event(find->items.event, &run->arena, &read, &find->event);
    if (is_well)
        row->message = gw_message_in(find->op->arena, &read);
    if (!is_well || !take_rows(run, find, row)) {
        dynamodb_done(run, GW_ERR_CORRUPT);
        return;
    }
    if (!is_wanted(find, row)) {
        next_event(run);
    } else if (find->op->with_body && !find->event.is_erased && row->message->place.bucket.ptr) {
        find->object = ask_body(run, row->message, &find->event, on_find_body);
    } else {
        find->op->count++;
        next_event(run);
    }
}

static void next_event(struct dynamodb_run *run)
{
    struct find *find = run->own;

    if (find->at == find->pk_count || find->op->count == find->max)
        dynamodb_done(run, GW_OK);
    else
        dynamodb_read_event(run, &find->items, find->pks[find->at++], on_items);
}

static void add_pk(struct find *find, struct gw_slice pk)
{
    for (size_t i = 0; i < find->pk_count; i++)
        if (gw_slice_eq(find->pks[i], pk))
            return; /* an event that was skipped, then routed, may have two */
    if (find->pk_count < find->max)
        find->pks[find->pk_count++] = pk;
}

static void ask_keys(struct dynamodb_run *run, yyjson_val *more);

static void on_keys(struct dynamodb_run *run)
{
    struct find *find = run->own;
    struct gw_slice pk, app;
    yyjson_val *item;
    size_t i, max;

    if (dynamodb_err(run) != GW_OK) {
        dynamodb_fail(run, &run->db.call);
        return;
    }
    yyjson_arr_foreach(run->db.items, i, max, item)
    {
        if (gw_aws_dynamodb_take_text(item, "pk", &pk) &&
            gw_aws_dynamodb_take_text(item, "app", &app) &&
            (find->op->app_id.len == 0 || gw_slice_eq(find->op->app_id, app)))
            add_pk(find, pk);
    }
    if (run->db.more && find->pk_count < find->max && ++find->pages < PAGES_MAX)
        ask_keys(run, run->db.more);
    else
        next_event(run);
}

/* Newest first. */
static void ask_keys(struct dynamodb_run *run, yyjson_val *more)
{
    struct find *find = run->own;
    struct gw_aws_dynamodb *db = dynamodb_request_on(run, GW_AWS_QUERY, DYNAMODB_LEDGER);
    struct gw_slice by_key = find->op->key == GW_FIND_EVENT_ID
                                 ? dynamodb_by_event_id(&run->arena, find->op->text)
                                 : dynamodb_by_transaction_id(&run->arena, find->op->text);

    dynamodb_put(run, db->root, "IndexName", "by_key");
    yyjson_mut_obj_add_bool(db->doc, db->root, "ScanIndexForward", false);
    dynamodb_put_expression(run, db->root, "KeyConditionExpression", "#by_key = :by_key");
    gw_aws_dynamodb_put_text(db, dynamodb_values(run, db->root), ":by_key", by_key);
    dynamodb_put_start(run, more);
    dynamodb_send(run, on_keys);
}

void dynamodb_find(struct dynamodb_run *run)
{
    struct find *find = gw_arena_zalloc(&run->arena, sizeof(*find));
    struct gw_find *op = gw_container_of(run->op, struct gw_find, op);
    struct gw_id message_id = op->id;
    unsigned number;

    run->own = find;
    find->op = op;
    find->max = op->max < FIND_MAX ? op->max : FIND_MAX;
    op->events = gw_arena_zalloc(op->arena, (find->max + 1) * sizeof(*op->events));
    if (op->key == GW_FIND_EVENT_ID || op->key == GW_FIND_TRANSACTION_ID) {
        if (op->text.len > GW_NAME_BYTES_MAX || op->text.len == 0)
            dynamodb_done(run, GW_OK);
        else if (op->key == GW_FIND_EVENT_ID && op->app_id.len > 0) {
            message_id = gw_dynamodb_message_id(run->store, op->app_id, op->text, NULL);
            add_pk(find, dynamodb_pk(&run->arena, &message_id));
            next_event(run);
        } else {
            ask_keys(run, NULL);
        }
        return;
    }
    if (op->key == GW_FIND_MESSAGE || dynamodb_delivery_place(&op->id, &message_id, &number))
        add_pk(find, dynamodb_pk(&run->arena, &message_id));
    next_event(run);
}
