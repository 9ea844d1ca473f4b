/* dynamodb_item.c: an event and its deliveries as items of the ledger's table.
 *
 *   pk "msg_…"  sk "E"       app type event_id transaction_id workflow_id event_time accepted_ms skip
 *                            config_version bucket key version_id etag bytes hash made deliveries
 *               sk "D#nnnn"  app type lane state reason attempts step due_ms resume_ms created_ms
 *                            ended_ms lease_ms write_id done_id job, and log_1 … log_25, sealed
 *   both                     ttl, by_app and by_app_sk
 *   where there is one       by_key and by_key_sk; D while it is pending: open and open_sk
 *
 * An event with both ids has the one that is a transaction's in its by_key, the other in that of its
 * first delivery, or of an item "K" where it was skipped. What is not there has no attribute. An
 * attempt is written where the last but twenty was, so that settling needs no reading.
 *
 * Owns nothing. Reading trusts nothing: what is not as it was put is damage. */
#include "store/dynamodb_impl.h"

#include "base/check.h"
#include "base/crypto.h"
#include "base/timefmt.h"

#include <inttypes.h>
#include <stdio.h>

#define TTL_MARGIN_MS  (20 * GW_DAY_MS) /* when nothing can be open any more */
#define LOG_FIRST      5
#define LOG_LAST       20
#define DELIVERY_BYTES (DYNAMODB_MESSAGE_BYTES + 2)

/* ── Places ────────────────────────────────────────────────────────────────────────────────── */

struct gw_slice dynamodb_pk(struct gw_arena *arena, const struct gw_id *message_id)
{
    char text[GW_ID_TEXT_MAX];

    return gw_arena_dup(arena, gw_id_text(GW_ID_MESSAGE, message_id, text));
}

struct gw_slice dynamodb_sk(struct gw_arena *arena, unsigned number)
{
    return gw_slice_from(gw_arena_printf(arena, "D#%04x", number));
}

struct gw_id dynamodb_delivery_id(const struct gw_id *message_id, unsigned number)
{
    struct gw_id id = {.len = DELIVERY_BYTES};

    memcpy(id.bytes, message_id->bytes, DYNAMODB_MESSAGE_BYTES);
    id.bytes[DYNAMODB_MESSAGE_BYTES] = (uint8_t)(number >> 8);
    id.bytes[DYNAMODB_MESSAGE_BYTES + 1] = (uint8_t)number;
    return id;
}

bool dynamodb_delivery_place(const struct gw_id *delivery_id, struct gw_id *message_id,
                             unsigned *number)
{
    if (delivery_id->len != DELIVERY_BYTES)
        return false;
    *message_id = (struct gw_id){.len = DYNAMODB_MESSAGE_BYTES};
    memcpy(message_id->bytes, delivery_id->bytes, DYNAMODB_MESSAGE_BYTES);
    *number = (unsigned)delivery_id->bytes[DYNAMODB_MESSAGE_BYTES] << 8 |
              delivery_id->bytes[DYNAMODB_MESSAGE_BYTES + 1];
    return true;
}

static struct gw_slice joined(struct gw_arena *arena, struct gw_slice a, struct gw_slice b)
{
    struct gw_slice parts[] = {a, b};

    return dynamodb_concat(arena, parts, gw_count(parts));
}

static unsigned shard_of(const struct gw_id *id)
{
    return id->bytes[0] % DYNAMODB_SHARDS;
}

struct gw_slice dynamodb_by_app(struct gw_arena *arena, struct gw_slice app_id, int64_t at_ms,
                                unsigned shard)
{
    char t[GW_TIME_TEXT_MAX];

    gw_time_text(at_ms, t);
    return joined(arena, app_id,
                  gw_slice_from(gw_arena_printf(arena, "#%.4s%.2s%.2s%.2s#%u", t, t + 5, t + 8,
                                                t + 11, shard)));
}

struct gw_slice dynamodb_by_event_id(struct gw_arena *arena, struct gw_slice text)
{
    return joined(arena, GW_SLICE("e#"), text);
}

struct gw_slice dynamodb_by_transaction_id(struct gw_arena *arena, struct gw_slice text)
{
    return joined(arena, GW_SLICE("t#"), text);
}

struct gw_slice dynamodb_open(struct gw_arena *arena, uint64_t lane, unsigned shard)
{
    return gw_slice_from(gw_arena_printf(arena, "%" PRIu64 "#%u", lane, shard));
}

struct gw_slice dynamodb_open_of(struct gw_arena *arena, const struct gw_delivery *delivery)
{
    return dynamodb_open(arena, delivery->lane, shard_of(&delivery->id));
}

/* A part of the event's id, then the number. */
uint64_t dynamodb_order(const struct gw_id *delivery_id)
{
    uint64_t order = 0;

    for (int i = 0; i < 6; i++)
        order = order << 8 | delivery_id->bytes[i];
    return order << 16 | (uint64_t)delivery_id->bytes[DYNAMODB_MESSAGE_BYTES] << 8 |
           delivery_id->bytes[DYNAMODB_MESSAGE_BYTES + 1];
}

struct gw_slice dynamodb_open_sk(struct gw_arena *arena, int64_t due_ms, uint64_t order)
{
    return gw_slice_from(
        gw_arena_printf(arena, "%s#%016" PRIx64, dynamodb_time_key(arena, due_ms).ptr, order));
}

const char *dynamodb_log_name(struct gw_arena *arena, uint32_t n)
{
    uint32_t slot = n <= LOG_FIRST ? n : LOG_FIRST + 1 + (n - LOG_FIRST - 1) % LOG_LAST;

    return gw_arena_printf(arena, "log_%" PRIu32, slot);
}

/* ── Putting ───────────────────────────────────────────────────────────────────────────────── */

static void put_text(struct dynamodb_run *run, yyjson_mut_val *item, const char *name,
                     struct gw_slice text)
{
    if (text.ptr)
        gw_aws_dynamodb_put_text(&run->db, item, name, text);
}

static void put_number(struct dynamodb_run *run, yyjson_mut_val *item, const char *name,
                       int64_t number)
{
    gw_aws_dynamodb_put_number(&run->db, item, name, number);
}

void dynamodb_put_ttl(struct dynamodb_run *run, yyjson_mut_val *item,
                      const struct gw_message *message)
{
    int64_t end_ms = message->accepted_ms + run->store->options.retention_ms + TTL_MARGIN_MS;

    put_number(run, item, "ttl", end_ms / 1000);
}

yyjson_mut_val *dynamodb_put_item(struct dynamodb_run *run, yyjson_mut_val *list,
                                  yyjson_mut_val **item)
{
    yyjson_mut_val *put =
        gw_aws_dynamodb_object(&run->db, yyjson_mut_arr_add_obj(run->db.doc, list), "Put");

    dynamodb_put(run, put, "TableName", run->store->tables[DYNAMODB_LEDGER]);
    *item = gw_aws_dynamodb_object(&run->db, put, "Item");
    return put;
}

/* What an event and its deliveries have in common: they stand together in by_app. */
static void put_shared(struct dynamodb_run *run, yyjson_mut_val *item,
                       const struct gw_message *message, struct gw_slice pk, struct gw_slice sk,
                       const struct gw_id *id)
{
    struct gw_arena *arena = &run->arena;

    put_text(run, item, "pk", pk);
    put_text(run, item, "sk", sk);
    dynamodb_put_ttl(run, item, message);
    put_text(run, item, "app", message->app_id);
    put_text(run, item, "type", message->event_type);
    put_text(run, item, "event_id", message->event_id);
    put_text(run, item, "transaction_id", message->transaction_id);
    put_text(run, item, "by_app",
             dynamodb_by_app(arena, message->app_id, message->accepted_ms, shard_of(id)));
    put_text(run, item, "by_app_sk",
             gw_slice_from(gw_arena_printf(arena, "%s#%.*s#%.*s",
                                           dynamodb_time_key(arena, message->accepted_ms).ptr,
                                           GW_SLICE_ARG(pk), GW_SLICE_ARG(sk))));
}

void dynamodb_put_by_key(struct dynamodb_run *run, yyjson_mut_val *item,
                         const struct gw_message *message, const struct gw_id *id,
                         struct gw_slice by_key)
{
    struct gw_slice pk = dynamodb_pk(&run->arena, id);

    put_text(run, item, "by_key", by_key);
    put_text(run, item, "by_key_sk",
             gw_slice_from(gw_arena_printf(&run->arena, "%s#%.*s",
                                           dynamodb_time_key(&run->arena, message->accepted_ms).ptr,
                                           GW_SLICE_ARG(pk))));
}

void dynamodb_put_event(struct dynamodb_run *run, yyjson_mut_val *item,
                        const struct gw_message *message, const struct gw_id *id,
                        const struct dynamodb_event *event)
{
    struct gw_arena *arena = &run->arena;

    put_shared(run, item, message, dynamodb_pk(arena, id), DYNAMODB_KEY_E, id);
    put_text(run, item, "workflow_id", message->workflow_id);
    put_text(run, item, "event_time", message->event_time);
    put_number(run, item, "accepted_ms", message->accepted_ms);
    put_number(run, item, "skip", (int64_t)message->skip);
    put_number(run, item, "config_version", (int64_t)message->config_version);
    put_text(run, item, "bucket", message->place.bucket);
    put_text(run, item, "key", message->place.key);
    put_text(run, item, "version_id", message->place.version_id);
    put_text(run, item, "etag", message->place.etag);
    gw_aws_dynamodb_put_bytes(&run->db, item, "hash", event->hash);
    put_number(run, item, "bytes", event->size);
    put_number(run, item, "made", (int64_t)event->made);
    put_number(run, item, "deliveries", event->deliveries);
    if (message->transaction_id.ptr)
        dynamodb_put_by_key(run, item, message, id,
                            dynamodb_by_transaction_id(arena, message->transaction_id));
    else if (message->event_id.ptr)
        dynamodb_put_by_key(run, item, message, id, dynamodb_by_event_id(arena, message->event_id));
}

struct gw_delivery dynamodb_new_delivery(const struct gw_id *message_id, unsigned number,
                                         uint64_t lane, int64_t now_ms)
{
    struct gw_id id = dynamodb_delivery_id(message_id, number);

    return (struct gw_delivery){
        .id = id,
        .message_id = *message_id,
        .lane = lane,
        .order = dynamodb_order(&id),
        .state = GW_DELIVERY_PENDING,
        .due_ms = now_ms,
        .created_ms = now_ms,
    };
}

void dynamodb_put_delivery(struct dynamodb_run *run, yyjson_mut_val *item,
                           const struct gw_message *message, const struct gw_delivery *delivery,
                           struct gw_slice job)
{
    struct gw_arena *arena = &run->arena;
    struct gw_id id;
    unsigned number;

    gw_check(dynamodb_delivery_place(&delivery->id, &id, &number));
    put_shared(run, item, message, dynamodb_pk(arena, &id), dynamodb_sk(arena, number), &id);
    put_number(run, item, "lane", (int64_t)delivery->lane);
    put_number(run, item, "state", (int64_t)delivery->state);
    put_number(run, item, "reason", (int64_t)delivery->reason);
    put_number(run, item, "attempts", delivery->attempts);
    put_number(run, item, "step", delivery->step);
    put_number(run, item, "due_ms", delivery->due_ms);
    put_number(run, item, "resume_ms", delivery->resume_ms);
    put_number(run, item, "created_ms", delivery->created_ms);
    put_number(run, item, "ended_ms", delivery->ended_ms);
    put_number(run, item, "lease_ms", 0);
    put_text(run, item, "job", job);
    put_text(run, item, "open", dynamodb_open_of(arena, delivery));
    put_text(run, item, "open_sk", dynamodb_open_sk(arena, delivery->due_ms, delivery->order));
}

/* ── Taking ────────────────────────────────────────────────────────────────────────────────── */

static struct gw_slice take_text(yyjson_val *item, const char *name)
{
    struct gw_slice text;

    gw_aws_dynamodb_take_text(item, name, &text);
    return text;
}

/* One that must be there, and lie from `least` to `most`; else it is not all well. */
static int64_t take_number(yyjson_val *item, const char *name, int64_t least, int64_t most,
                           bool *is_well)
{
    int64_t number = 0;

    if (gw_aws_dynamodb_take_number(item, name, &number) && number >= least && number <= most)
        return number;
    *is_well = false;
    return least;
}

bool dynamodb_take_event(yyjson_val *item, struct gw_arena *arena, struct gw_message *message,
                         struct dynamodb_event *event)
{
    bool is_well = true;

    *message = (struct gw_message){
        .accepted_ms = take_number(item, "accepted_ms", INT64_MIN, INT64_MAX, &is_well),
        .skip = (enum gw_skip)take_number(item, "skip", 0, GW_SKIP_COUNT - 1, &is_well),
        .config_version =
            (uint64_t)take_number(item, "config_version", INT64_MIN, INT64_MAX, &is_well),
        .app_id = take_text(item, "app"),
        .event_type = take_text(item, "type"),
        .event_id = take_text(item, "event_id"),
        .transaction_id = take_text(item, "transaction_id"),
        .workflow_id = take_text(item, "workflow_id"),
        .event_time = take_text(item, "event_time"),
        .place = {.bucket = take_text(item, "bucket"),
                  .key = take_text(item, "key"),
                  .version_id = take_text(item, "version_id"),
                  .etag = take_text(item, "etag")},
    };
    *event = (struct dynamodb_event){
        .size = take_number(item, "bytes", 0, INT64_MAX, &is_well),
        .made = (uint64_t)take_number(item, "made", INT64_MIN, INT64_MAX, &is_well),
        .deliveries =
            (unsigned)take_number(item, "deliveries", 0, DYNAMODB_NUMBER_MAX + 1, &is_well),
    };
    gw_aws_dynamodb_take_bool(item, "erased", &event->is_erased);
    return gw_aws_dynamodb_take_bytes(item, "hash", arena, &event->hash) && is_well &&
           gw_id_parse(GW_ID_MESSAGE, take_text(item, "pk"), &message->id) &&
           message->id.len == DYNAMODB_MESSAGE_BYTES && message->app_id.ptr &&
           message->event_type.ptr;
}

static bool take_delivery_id(yyjson_val *item, struct gw_delivery *d)
{
    struct gw_slice sk = take_text(item, "sk");
    unsigned number;
    char end;

    if (!gw_id_parse(GW_ID_MESSAGE, take_text(item, "pk"), &d->message_id) ||
        d->message_id.len != DYNAMODB_MESSAGE_BYTES || sk.len != strlen("D#nnnn") ||
        sscanf(sk.ptr, "D#%4x%c", &number, &end) != 1)
        return false;
    d->id = dynamodb_delivery_id(&d->message_id, number);
    d->order = dynamodb_order(&d->id);
    return true;
}

bool dynamodb_take_delivery(yyjson_val *item, struct gw_delivery *delivery)
{
    bool ok = true;

    *delivery = (struct gw_delivery){
        .lane = (uint64_t)take_number(item, "lane", INT64_MIN, INT64_MAX, &ok),
        .state = (enum gw_delivery_state)take_number(item, "state", GW_DELIVERY_PENDING,
                                                     GW_DELIVERY_CANCELLED, &ok),
        .reason = (enum gw_end_reason)take_number(item, "reason", GW_END_NONE,
                                                  GW_END_PAYLOAD_CHANGED, &ok),
        .attempts = (uint32_t)take_number(item, "attempts", 0, UINT32_MAX, &ok),
        .step = (uint32_t)take_number(item, "step", 0, UINT32_MAX, &ok),
        .due_ms = take_number(item, "due_ms", INT64_MIN, INT64_MAX, &ok),
        .resume_ms = take_number(item, "resume_ms", INT64_MIN, INT64_MAX, &ok),
        .created_ms = take_number(item, "created_ms", INT64_MIN, INT64_MAX, &ok),
        .ended_ms = take_number(item, "ended_ms", INT64_MIN, INT64_MAX, &ok),
    };
    return take_delivery_id(item, delivery) && ok;
}

static bool take_attempt(const struct gw_dynamodb *store, struct gw_arena *arena, yyjson_val *item,
                         const char *name, struct gw_slice *packed)
{
    struct gw_slice sealed;

    return gw_aws_dynamodb_take_bytes(item, name, arena, &sealed) &&
           dynamodb_unseal(store, arena, take_text(item, "pk"), take_text(item, "sk"), name, sealed,
                           packed);
}

/* The ring of the last ones begins behind the newest. */
struct gw_slice dynamodb_take_log(const struct gw_dynamodb *store, struct gw_arena *arena,
                                  yyjson_val *item)
{
    struct gw_buf log = {0};
    struct gw_slice packed, copy;
    int64_t attempts = 0;

    gw_aws_dynamodb_take_number(item, "attempts", &attempts);
    int64_t last = attempts > LOG_FIRST + LOG_LAST ? attempts - LOG_LAST + 1 : LOG_FIRST + 1;
    for (int64_t n = 1; n <= LOG_FIRST; n++)
        if (take_attempt(store, arena, item, dynamodb_log_name(arena, (uint32_t)n), &packed))
            gw_buf_adds(&log, packed);
    for (int64_t n = last; n < last + LOG_LAST; n++)
        if (take_attempt(store, arena, item, dynamodb_log_name(arena, (uint32_t)n), &packed))
            gw_buf_adds(&log, packed);
    copy = gw_arena_dup(arena, gw_buf_slice(&log));
    gw_buf_deinit(&log);
    return copy;
}

/* ── An event, whole ───────────────────────────────────────────────────────────────────────── */

static void ask_items(struct dynamodb_run *run, struct dynamodb_items *items, yyjson_val *after);

static void on_items(struct dynamodb_run *run)
{
    struct dynamodb_items *items = run->reading;
    yyjson_val *item;
    size_t i, max;

    yyjson_arr_foreach(run->db.items, i, max, item)
    {
        struct gw_slice sk = take_text(item, "sk");
        if (gw_slice_is(sk, "E"))
            items->event = item;
        else if (gw_slice_starts(sk, GW_SLICE("D#")) && items->count < DYNAMODB_ROWS_MAX)
            items->deliveries[items->count++] = item;
    }
    if (dynamodb_err(run) == GW_OK && run->db.more)
        ask_items(run, items, run->db.more);
    else
        items->next(run);
}

static void ask_items(struct dynamodb_run *run, struct dynamodb_items *items, yyjson_val *after)
{
    struct gw_aws_dynamodb *db = dynamodb_request_on(run, GW_AWS_QUERY, DYNAMODB_LEDGER);

    dynamodb_put_flag(run, db->root, "ConsistentRead");
    dynamodb_put_expression(run, db->root, "KeyConditionExpression", "#pk = :pk");
    gw_aws_dynamodb_put_text(db, dynamodb_values(run, db->root), ":pk", items->pk);
    dynamodb_put_start(run, after);
    run->reading = items;
    dynamodb_send(run, on_items);
}

void dynamodb_read_event(struct dynamodb_run *run, struct dynamodb_items *items, struct gw_slice pk,
                         dynamodb_fn *next)
{
    *items = (struct dynamodb_items){.pk = pk, .next = next};
    items->deliveries = gw_arena_alloc(&run->arena, DYNAMODB_ROWS_MAX * sizeof(yyjson_val *));
    ask_items(run, items, NULL);
}
