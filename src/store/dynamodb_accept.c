/* dynamodb_accept.c: an event and its deliveries, kept in one transaction; or, with options.put_bucket,
 * the bytes of one that is in no bucket yet, for whoever reads that bucket's notices.
 *
 *   accept ─▶ write ─ done ───────────────────────▶ new
 *              ▲  └── refused, or who knows ─▶ read ─┬─ it is ours ──▶ new
 *              │                                      ├─ was routed ──▶ existing
 *              └─ again, behind its deliveries ◀─ wake for later ◀─ was skipped
 *
 * What is there is there until its retention is over, so that is the dedupe window. An event that was
 * skipped may be routed anew: its item is replaced on condition that nobody else has done so, and its
 * new deliveries are numbered behind those that a replay may have added. Whoever skipped it may have
 * deleted the very message that we hold, for it was over: so a wake is sent first.
 *
 * Each accept writes a random `made` with the event: so it knows its own, when the answer was lost. */
#include "store/dynamodb_impl.h"

#include "base/check.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "base/timefmt.h"

#define TRIES_MAX  4
#define HASH_BYTES 16

struct accept {
    struct gw_accept *op;
    struct gw_id id;
    struct gw_slice pk;
    struct gw_place place;
    struct dynamodb_event event;
    struct dynamodb_items items;
    struct gw_aws_object *object;
    unsigned tries;
    bool is_woken;
    struct gw_aws_call lost; /* why it is not known whether it was written */
};

/* ── Ids ───────────────────────────────────────────────────────────────────────────────────── */

static struct gw_id id_of(const struct gw_dynamodb *store, const struct gw_slice *parts,
                          size_t count)
{
    struct gw_id id = {.len = DYNAMODB_MESSAGE_BYTES};
    uint8_t hash[32];

    dynamodb_hash(store->id_key, parts, count, hash);
    memcpy(id.bytes, hash, DYNAMODB_MESSAGE_BYTES);
    return id;
}

struct gw_id gw_dynamodb_message_id(const struct gw_dynamodb *store, struct gw_slice app_id,
                                    struct gw_slice event_id, const struct gw_place *place)
{
    struct gw_slice event[] = {GW_SLICE("event"), app_id, event_id};

    if (event_id.ptr)
        return id_of(store, event, gw_count(event));
    struct gw_slice object[] = {GW_SLICE("object"), place->bucket, place->key,
                                place->version_id.ptr ? place->version_id : place->etag};
    return id_of(store, object, gw_count(object));
}

static void make_id(struct dynamodb_run *run, struct accept *accept)
{
    const struct gw_message *message = accept->op->message;

    if (message->event_id.ptr || accept->place.bucket.ptr) {
        accept->id =
            gw_dynamodb_message_id(run->store, message->app_id, message->event_id, &accept->place);
    } else { /* nobody can repeat it */
        accept->id.len = DYNAMODB_MESSAGE_BYTES;
        gw_env_random(run->env, accept->id.bytes, DYNAMODB_MESSAGE_BYTES);
    }
    accept->pk = dynamodb_pk(&run->arena, &accept->id);
}

struct gw_slice dynamodb_body_hash(const struct gw_dynamodb *store, struct gw_arena *arena,
                                   struct gw_slice body)
{
    uint8_t hash[32];

    dynamodb_hash(store->hash_key, &body, 1, hash);
    return gw_arena_dup(arena, (struct gw_slice){(const char *)hash, HASH_BYTES});
}

/* ── The end ───────────────────────────────────────────────────────────────────────────────── */

static void accepted(struct dynamodb_run *run, struct accept *accept)
{
    struct gw_accept *op = accept->op;

    op->message->id = op->message_id = accept->id;
    if (op->offer && op->delivery_count > 0) {
        memcpy(op->offer->deliveries, op->deliveries,
               op->delivery_count * sizeof(op->deliveries[0]));
        op->offer->count = op->delivery_count;
        op->offered = true;
        gw_env_post(op->offer->env, &op->offer->msg);
    }
    dynamodb_done(run, GW_OK);
}

static void existing(struct dynamodb_run *run, struct accept *accept,
                     const struct dynamodb_event *there)
{
    struct gw_accept *op = accept->op;

    op->existing = true;
    op->message_id = accept->id;
    op->payload_differs = !gw_slice_eq(there->hash, accept->event.hash);
    op->delivery_count = 0;
    for (size_t i = 0; i < accept->items.count; i++) {
        yyjson_val *item = accept->items.deliveries[i];
        struct gw_delivery delivery;
        if (!dynamodb_take_delivery(item, &delivery)) {
            dynamodb_done(run, GW_ERR_CORRUPT);
            return;
        }
        if (yyjson_obj_get(item, "job") == NULL && op->delivery_count < gw_count(op->deliveries))
            op->deliveries[op->delivery_count++] = delivery;
    }
    dynamodb_done(run, GW_OK);
}

/* ── Writing ───────────────────────────────────────────────────────────────────────────────── */

static void write_event(struct dynamodb_run *run, struct accept *accept);

static void on_woken(struct dynamodb_run *run, const struct gw_aws_batch *sent)
{
    struct accept *accept = run->own;

    if (sent->call.error.code != GW_OK) {
        dynamodb_fail(run, &sent->call);
        return;
    }
    accept->is_woken = true;
    write_event(run, accept);
}

/* In the stead of what was skipped. */
static void write_anew(struct dynamodb_run *run, struct accept *accept)
{
    struct gw_wake wake = {.kind = GW_WAKE_MESSAGE, .message_id = accept->id};

    if (accept->is_woken || accept->op->lane_count == 0 || !run->store->options.queue_url)
        write_event(run, accept);
    else
        dynamodb_wake(run,
                      &(struct gw_aws_entry){.body = dynamodb_wake_text(run, &wake),
                                             .delay_s = DYNAMODB_LATER_S},
                      1, on_woken);
}

static void on_read(struct dynamodb_run *run)
{
    struct accept *accept = run->own;
    struct gw_message *message = gw_arena_alloc(&run->arena, sizeof(*message));
    struct dynamodb_event there;

    if (dynamodb_err(run) != GW_OK) {
        dynamodb_fail(run, &run->db.call);
        return;
    }
    if (accept->items.event == NULL) {
        if (accept->lost.error.code != GW_OK)
            dynamodb_fail(run, &accept->lost);
        else
            dynamodb_done(run, GW_ERR_BUSY); /* it went while we looked */
        return;
    }
    if (!dynamodb_take_event(accept->items.event, &run->arena, message, &there))
        dynamodb_done(run, GW_ERR_CORRUPT);
    else if (there.made == accept->event.made)
        accepted(run, accept);
    else if (message->skip == GW_SKIP_NONE)
        existing(run, accept, &there);
    else if (++accept->tries == TRIES_MAX)
        dynamodb_done(run, GW_ERR_BUSY);
    else {
        accept->event.deliveries = there.deliveries;
        write_anew(run, accept);
    }
}

static void on_written(struct dynamodb_run *run)
{
    struct accept *accept = run->own;
    enum gw_err err = dynamodb_err(run);

    if (err == GW_OK) {
        accepted(run, accept);
    } else if (err == GW_ERR_CONFLICT || dynamodb_is_unsure(run)) {
        accept->lost.error.code = GW_OK;
        if (err != GW_ERR_CONFLICT)
            accept->lost = run->db.call;
        dynamodb_read_event(run, &accept->items, accept->pk, on_read);
    } else {
        dynamodb_fail(run, &run->db.call);
    }
}

/* `first`: how many deliveries the event had. */
static void put_event(struct dynamodb_run *run, struct accept *accept, yyjson_mut_val *list,
                      unsigned first)
{
    struct dynamodb_event event = accept->event;
    yyjson_mut_val *item, *put = dynamodb_put_item(run, list, &item);

    event.deliveries = first + (unsigned)accept->op->lane_count;
    dynamodb_put_event(run, item, accept->op->message, &accept->id, &event);
    if (accept->tries == 0) {
        dynamodb_put_expression(run, put, "ConditionExpression", "attribute_not_exists(#pk)");
        return;
    }
    dynamodb_put_expression(run, put, "ConditionExpression",
                            "#skip <> :routed AND #deliveries = :first");
    gw_aws_dynamodb_put_number(&run->db, dynamodb_values(run, put), ":routed", GW_SKIP_NONE);
    gw_aws_dynamodb_put_number(&run->db, dynamodb_values(run, put), ":first", first);
}

/* The second of two ids: the first delivery's, or an item of its own. */
static void put_event_id(struct dynamodb_run *run, struct accept *accept, yyjson_mut_val *list,
                         yyjson_mut_val *delivery)
{
    const struct gw_message *message = accept->op->message;

    if (message->event_id.ptr == NULL || message->transaction_id.ptr == NULL)
        return;
    if (delivery == NULL) {
        dynamodb_put_item(run, list, &delivery);
        gw_aws_dynamodb_put_text(&run->db, delivery, "pk", accept->pk);
        gw_aws_dynamodb_put_text(&run->db, delivery, "sk", GW_SLICE("K"));
        gw_aws_dynamodb_put_text(&run->db, delivery, "app", message->app_id);
        dynamodb_put_ttl(run, delivery, message);
    }
    dynamodb_put_by_key(run, delivery, message, &accept->id,
                        dynamodb_by_event_id(&run->arena, message->event_id));
}

static void write_event(struct dynamodb_run *run, struct accept *accept)
{
    struct gw_accept *op = accept->op;
    struct gw_aws_dynamodb *db = dynamodb_request(run, GW_AWS_TRANSACT_WRITE);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(db->doc, db->root, "TransactItems");
    yyjson_mut_val *item, *first_item = NULL;
    unsigned first = accept->event.deliveries;

    if (first + op->lane_count > DYNAMODB_NUMBER_MAX) {
        dynamodb_done(run, GW_ERR_FULL);
        return;
    }
    put_event(run, accept, list, first);
    op->delivery_count = op->lane_count;
    for (unsigned i = 0; i < op->lane_count; i++) {
        op->deliveries[i] =
            dynamodb_new_delivery(&accept->id, first + i, op->lanes[i], op->message->accepted_ms);
        yyjson_mut_val *put = dynamodb_put_item(run, list, &item);
        dynamodb_put_delivery(run, item, op->message, &op->deliveries[i], (struct gw_slice){0});
        dynamodb_put_expression(run, put, "ConditionExpression", "attribute_not_exists(#pk)");
        if (i == 0)
            first_item = item;
    }
    put_event_id(run, accept, list, first_item);
    dynamodb_send(run, on_written);
}

/* ── Its bytes alone ───────────────────────────────────────────────────────────────────────── */

static void on_kept(struct dynamodb_run *run)
{
    struct accept *accept = run->own;
    const struct gw_aws_object *object = accept->object;

    if (object->call.error.code != GW_OK) {
        dynamodb_fail(run, &object->call);
        return;
    }
    accept->place.version_id = object->version;
    accept->place.etag = gw_aws_etag_bare(object->etag);
    make_id(run, accept);
    accept->op->message->id = accept->op->message_id = accept->id;
    accept->op->deferred = true;
    dynamodb_done(run, GW_OK);
}

/* "events/2026/11/24/07/RANDOM/webhook.json" */
static struct gw_slice make_key(struct dynamodb_run *run)
{
    char t[GW_TIME_TEXT_MAX];
    uint8_t random[16];
    struct gw_buf hex = {0};

    gw_time_text(gw_env_wall_ms(run->env), t);
    gw_env_random(run->env, random, sizeof(random));
    gw_hex_encode(&hex, random, sizeof(random));
    const char *key = gw_arena_printf(&run->arena, "events/%.4s/%.2s/%.2s/%.2s/%.*s/webhook.json",
                                      t, t + 5, t + 8, t + 11, GW_SLICE_ARG(gw_buf_slice(&hex)));
    gw_buf_deinit(&hex);
    return gw_slice_from(key);
}

static void keep(struct dynamodb_run *run, struct accept *accept)
{
    accept->place = (struct gw_place){.bucket = gw_slice_from(run->store->options.put_bucket),
                                      .key = make_key(run)};
    accept->object = dynamodb_object(run, accept->place.bucket, accept->place.key);
    accept->object->body = accept->op->message->body;
    accept->object->content_type = GW_SLICE("application/json");
    dynamodb_object_start(accept->object, gw_aws_s3_put, on_kept);
}

void dynamodb_accept(struct dynamodb_run *run)
{
    struct accept *accept = gw_arena_zalloc(&run->arena, sizeof(*accept));

    run->own = accept;
    accept->op = gw_container_of(run->op, struct gw_accept, op);
    if (accept->op->lane_count > gw_count(accept->op->deliveries)) {
        dynamodb_done(run, GW_ERR_INVALID);
        return;
    }
    const struct gw_message *message = accept->op->message;
    if (run->store->options.put_bucket && !message->place.bucket.ptr) {
        keep(run, accept);
        return;
    }
    accept->place = message->place;
    make_id(run, accept);
    gw_env_random(run->env, &accept->event.made, sizeof(accept->event.made));
    accept->event.hash = dynamodb_body_hash(run->store, &run->arena, message->body);
    accept->event.size = (int64_t)message->body.len;
    write_event(run, accept);
}
