/* dynamodb_list.c: deliveries of one app, newest event first, out of the index by_app.
 *
 *   narrow (by an event's or transaction's id, where one is asked for)
 *   hour ─▶ part 0 … 7, page by page ─▶ merge ─ page not full ─▶ the hour before …
 *                                         └──── full, or enough work ─▶ the items themselves
 *
 * A part that has more than PAGES_MAX pages of an hour is left where it is: what is older than that is
 * not merged yet, and the page ends there. A cursor is a by_app_sk, of the last row or of such an end:
 * what is older comes next. Items are read as they are now, so one whose state has changed meanwhile may
 * be left out. */
#include "store/dynamodb_impl.h"

#include "base/check.h"

#include <stdlib.h>

#define PAGES_MAX  4   /* of a part of an hour */
#define CALLS_MAX  200 /* of all hours of a page */
#define CURSOR_MAX 128
#define KEYS_MAX   100 /* looked at to narrow */
#define ASKS_MAX   5   /* for items that AWS has no time for */

struct key {
    struct gw_slice by_app_sk, pk, sk;
};

struct list {
    struct gw_list_op *op;
    size_t max;
    int64_t from_ms, to_ms; /* narrowed */
    struct dynamodb_hour hour;
    struct key *keys; /* of the page, then of the hour behind them: room for all parts */
    size_t kept, count;
    size_t of_part, pages; /* of this part */
    struct gw_slice edge;  /* the newest place at which a part was left; absent: none was */
    unsigned calls;
    yyjson_val **items; /* of the keys, then of their events */
    size_t asked, asks;
};

static void ask_part(struct dynamodb_run *run);
static void read_items(struct dynamodb_run *run);

static int compare_text(struct gw_slice a, struct gw_slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int differs = len ? memcmp(a.ptr, b.ptr, len) : 0;

    return differs ? differs : (a.len > b.len) - (a.len < b.len);
}

static int compare_newest(const void *a, const void *b)
{
    return compare_text(((const struct key *)b)->by_app_sk, ((const struct key *)a)->by_app_sk);
}

/* ── An hour ───────────────────────────────────────────────────────────────────────────────── */

static void end_page(struct dynamodb_run *run, struct gw_slice next)
{
    struct list *list = run->own;

    list->op->next = gw_arena_dup(list->op->arena, next);
    read_items(run);
}

/* All parts of the hour were asked. */
static void merge(struct dynamodb_run *run)
{
    struct list *list = run->own;
    size_t count = list->count;

    if (count > list->kept)
        qsort(list->keys + list->kept, count - list->kept, sizeof(*list->keys), compare_newest);
    while (list->edge.ptr && count > list->kept &&
           compare_text(list->keys[count - 1].by_app_sk, list->edge) < 0)
        count--;
    bool is_full = count >= list->max;
    list->count = list->kept = is_full ? list->max : count;
    int64_t hour_ms = list->hour.hour_ms;
    if (is_full)
        end_page(run, list->keys[list->max - 1].by_app_sk);
    else if (list->edge.ptr)
        end_page(run, list->edge);
    else if (hour_ms <= list->from_ms)
        end_page(run, (struct gw_slice){0});
    else if (list->calls >= CALLS_MAX)
        end_page(run, dynamodb_time_key(&run->arena, hour_ms));
    else {
        list->hour.hour_ms -= GW_HOUR_MS;
        list->hour.to = dynamodb_time_key(&run->arena, hour_ms);
        ask_part(run);
    }
}

static void next_part(struct dynamodb_run *run)
{
    struct list *list = run->own;

    list->of_part = list->pages = 0;
    if (++list->hour.shard < DYNAMODB_SHARDS) {
        ask_part(run);
        return;
    }
    list->hour.shard = 0;
    merge(run);
}

static void take_key(struct list *list, yyjson_val *item)
{
    struct key key;

    if (!gw_aws_dynamodb_take_text(item, "by_app_sk", &key.by_app_sk) ||
        !gw_aws_dynamodb_take_text(item, "pk", &key.pk) ||
        !gw_aws_dynamodb_take_text(item, "sk", &key.sk) ||
        compare_text(key.by_app_sk, list->hour.to) >= 0 || list->of_part == list->max)
        return;
    list->keys[list->count++] = key;
    list->of_part++;
}

static void on_part(struct dynamodb_run *run)
{
    struct list *list = run->own;
    struct gw_slice at;
    yyjson_val *item;
    size_t i, max;

    if (dynamodb_err(run) != GW_OK) {
        dynamodb_fail(run, &run->db.call);
        return;
    }
    yyjson_arr_foreach(run->db.items, i, max, item)
    {
        take_key(list, item);
    }
    if (run->db.more == NULL || list->of_part == list->max) {
        next_part(run);
    } else if (++list->pages < PAGES_MAX) {
        ask_part(run);
    } else {
        if (gw_aws_dynamodb_take_text(run->db.more, "by_app_sk", &at) &&
            (list->edge.ptr == NULL || compare_text(at, list->edge) > 0))
            list->edge = at;
        next_part(run);
    }
}

static void filter(struct dynamodb_run *run, const char **text, const char *name,
                   struct gw_slice value)
{
    if (value.len == 0)
        return;
    gw_aws_dynamodb_put_text(&run->db, dynamodb_values(run, run->db.root),
                             gw_arena_printf(&run->arena, ":%s", name), value);
    *text = gw_arena_printf(&run->arena, "%s AND #%s = :%s", *text, name, name);
}

static void ask_part(struct dynamodb_run *run)
{
    struct list *list = run->own;
    const struct gw_list_op *op = list->op;
    yyjson_val *more = list->pages > 0 ? run->db.more : NULL;
    struct gw_aws_dynamodb *db = dynamodb_request_hour(run, &list->hour);
    const char *text = "begins_with(#sk, :delivery)";

    list->calls++;
    dynamodb_put_start(run, more);
    gw_aws_dynamodb_put_text(db, dynamodb_values(run, db->root), ":delivery", GW_SLICE("D#"));
    filter(run, &text, "type", op->event_type);
    filter(run, &text, "event_id", op->event_id);
    filter(run, &text, "transaction_id", op->transaction_id);
    if (op->state >= 0) {
        gw_aws_dynamodb_put_number(db, dynamodb_values(run, db->root), ":state", op->state);
        text = gw_arena_printf(&run->arena, "%s AND #state = :state", text);
    }
    bool takes_all = op->event_type.len + op->event_id.len + op->transaction_id.len == 0;
    if (takes_all && op->state < 0) /* an event, then its deliveries: most are taken */
        yyjson_mut_obj_add_uint(db->doc, db->root, "Limit", 2 * list->max + 2);
    dynamodb_put_expression(run, db->root, "FilterExpression", text);
    dynamodb_send(run, on_part);
}

/* ── The items themselves ──────────────────────────────────────────────────────────────────── */

static void ask_items(struct dynamodb_run *run);

/* The keys are those of deliveries, then those of events. */
static yyjson_val *find_item(const struct list *list, struct gw_slice pk, struct gw_slice sk)
{
    struct gw_slice text;

    for (size_t i = 0; i < list->asked; i++)
        if (gw_aws_dynamodb_take_text(list->items[i], "pk", &text) && gw_slice_eq(text, pk) &&
            gw_aws_dynamodb_take_text(list->items[i], "sk", &text) && gw_slice_eq(text, sk))
            return list->items[i];
    return NULL;
}

/* One that went, or is another by now, is left out. False: it is damaged. */
static bool add_row(struct dynamodb_run *run, struct list *list, const struct key *key)
{
    struct gw_list_op *op = list->op;
    yyjson_val *delivery = find_item(list, key->pk, key->sk);
    yyjson_val *event_item = find_item(list, key->pk, DYNAMODB_KEY_E);
    const struct gw_row *before = op->count > 0 ? &op->rows[op->count - 1] : NULL;
    struct gw_row *row = &op->rows[op->count];
    struct dynamodb_event event;
    struct gw_message message;

    if (delivery == NULL || event_item == NULL)
        return true;
    if (!dynamodb_take_delivery(delivery, &row->delivery))
        return false;
    if (op->state >= 0 && row->delivery.state != (enum gw_delivery_state)op->state)
        return true;
    if (before && gw_id_eq(&before->message->id, &row->delivery.message_id)) {
        row->message = before->message;
    } else {
        if (!dynamodb_take_event(event_item, &run->arena, &message, &event))
            return false;
        row->message = gw_message_in(op->arena, &message);
    }
    row->log = dynamodb_take_log(run->store, op->arena, delivery);
    op->count++;
    return true;
}

static void finish_items(struct dynamodb_run *run)
{
    struct list *list = run->own;

    list->op->rows = gw_arena_zalloc(list->op->arena, (list->count + 1) * sizeof(struct gw_row));
    for (size_t i = 0; i < list->count; i++) {
        if (!add_row(run, list, &list->keys[i])) {
            dynamodb_done(run, GW_ERR_CORRUPT);
            return;
        }
    }
    dynamodb_done(run, GW_OK);
}

static void on_some(struct dynamodb_run *run)
{
    struct list *list = run->own;
    yyjson_val *items = yyjson_obj_get(run->db.responses, run->store->tables[DYNAMODB_LEDGER]);
    yyjson_val *item;
    size_t i, max;

    if (dynamodb_err(run) != GW_OK) {
        dynamodb_fail(run, &run->db.call);
        return;
    }
    yyjson_arr_foreach(items, i, max, item)
    {
        if (list->asked < 2 * list->max)
            list->items[list->asked++] = item;
    }
    if (run->db.unprocessed == NULL) {
        list->asks = 0;
        ask_items(run);
    } else if (++list->asks < ASKS_MAX) {
        gw_aws_dynamodb_rest(&run->db);
        dynamodb_send(run, on_some);
    } else {
        dynamodb_done(run, GW_ERR_BUSY);
    }
}

static void put_key(struct dynamodb_run *run, yyjson_mut_val *keys, struct gw_slice pk,
                    struct gw_slice sk)
{
    yyjson_mut_val *key = yyjson_mut_arr_add_obj(run->db.doc, keys);

    gw_aws_dynamodb_put_text(&run->db, key, "pk", pk);
    gw_aws_dynamodb_put_text(&run->db, key, "sk", sk);
}

/* The next of the deliveries, with their events. */
static void ask_items(struct dynamodb_run *run)
{
    struct list *list = run->own;
    size_t asked = 0;

    if (list->kept == list->count) {
        finish_items(run);
        return;
    }
    struct gw_aws_dynamodb *db = dynamodb_request(run, GW_AWS_BATCH_GET);
    yyjson_mut_val *tables = gw_aws_dynamodb_object(db, db->root, "RequestItems");
    yyjson_mut_val *table = gw_aws_dynamodb_object(db, tables, run->store->tables[DYNAMODB_LEDGER]);
    dynamodb_put_flag(run, table, "ConsistentRead");
    yyjson_mut_val *keys = yyjson_mut_obj_add_arr(db->doc, table, "Keys");
    for (; list->kept < list->count && asked + 2 <= DYNAMODB_BATCH_GET_MAX; list->kept++) {
        const struct key *key = &list->keys[list->kept];
        put_key(run, keys, key->pk, key->sk);
        bool is_first = list->kept == 0 || asked == 0 || !gw_slice_eq(key[-1].pk, key->pk);
        if (is_first)
            put_key(run, keys, key->pk, DYNAMODB_KEY_E);
        asked += is_first ? 2 : 1;
    }
    dynamodb_send(run, on_some);
}

static void read_items(struct dynamodb_run *run)
{
    struct list *list = run->own;

    list->kept = 0;
    list->items = gw_arena_alloc(&run->arena, 2 * list->max * sizeof(yyjson_val *) + 1);
    ask_items(run);
}

/* ── Where to begin ────────────────────────────────────────────────────────────────────────── */

static void begin(struct dynamodb_run *run)
{
    struct list *list = run->own;
    int64_t newest_ms = list->to_ms - 1;

    if (list->op->cursor.len > 0) {
        int64_t at_ms;
        if (!dynamodb_time_read(list->op->cursor, &at_ms) || list->op->cursor.len > CURSOR_MAX ||
            !gw_slice_is_utf8(list->op->cursor)) {
            dynamodb_done(run, GW_ERR_INVALID);
            return;
        }
        list->hour.to = list->op->cursor;
        /* A cursor that is a bare time is an hour's end. */
        if (list->op->cursor.len == DYNAMODB_TIME_CHARS)
            at_ms--;
        newest_ms = at_ms < newest_ms ? at_ms : newest_ms;
    }
    struct gw_slice end = dynamodb_time_key(&run->arena, list->to_ms);
    if (list->hour.to.ptr == NULL || compare_text(end, list->hour.to) < 0)
        list->hour.to = end;
    list->hour.from = dynamodb_time_key(&run->arena, list->from_ms);
    list->hour.hour_ms = gw_hour_of(newest_ms);
    list->keys =
        gw_arena_alloc(&run->arena, (DYNAMODB_SHARDS + 1) * list->max * sizeof(*list->keys) + 1);
    if (newest_ms < list->from_ms || list->max == 0)
        dynamodb_done(run, GW_OK);
    else
        ask_part(run);
}

/* Events with that id of the app: between the oldest and the newest of them is all there is. */
static void on_narrow(struct dynamodb_run *run)
{
    struct list *list = run->own;
    int64_t first_ms = INT64_MAX, last_ms = -1, at_ms;
    struct gw_slice app, sk;
    yyjson_val *item;
    size_t i, max;

    if (dynamodb_err(run) != GW_OK) {
        dynamodb_fail(run, &run->db.call);
        return;
    }
    yyjson_arr_foreach(run->db.items, i, max, item)
    {
        if (!gw_aws_dynamodb_take_text(item, "by_key_sk", &sk) || !dynamodb_time_read(sk, &at_ms) ||
            !gw_aws_dynamodb_take_text(item, "app", &app))
            continue;
        if (!gw_slice_eq(app, list->op->app_id))
            continue;
        first_ms = at_ms < first_ms ? at_ms : first_ms;
        last_ms = at_ms > last_ms ? at_ms : last_ms;
    }
    if (run->db.more && last_ms < 0)
        last_ms = list->to_ms - 1;
    if (run->db.more) /* there are older ones, of whatever app */
        first_ms = 0;
    list->from_ms = first_ms > list->from_ms ? first_ms : list->from_ms;
    list->to_ms = last_ms + 1 < list->to_ms ? last_ms + 1 : list->to_ms;
    begin(run);
}

static void narrow(struct dynamodb_run *run, struct gw_slice by_key)
{
    struct gw_aws_dynamodb *db = dynamodb_request_on(run, GW_AWS_QUERY, DYNAMODB_LEDGER);

    dynamodb_put(run, db->root, "IndexName", "by_key");
    yyjson_mut_obj_add_bool(db->doc, db->root, "ScanIndexForward", false);
    yyjson_mut_obj_add_uint(db->doc, db->root, "Limit", KEYS_MAX);
    dynamodb_put_expression(run, db->root, "KeyConditionExpression", "#by_key = :by_key");
    gw_aws_dynamodb_put_text(db, dynamodb_values(run, db->root), ":by_key", by_key);
    dynamodb_send(run, on_narrow);
}

void dynamodb_list(struct dynamodb_run *run)
{
    struct list *list = gw_arena_zalloc(&run->arena, sizeof(*list));
    struct gw_list_op *op = gw_container_of(run->op, struct gw_list_op, op);
    int64_t now_ms = gw_env_wall_ms(run->env);
    int64_t oldest_ms = gw_hour_of(now_ms - run->store->options.retention_ms);

    run->own = list;
    list->op = op;
    list->max = op->max < GW_LIST_MAX ? op->max : GW_LIST_MAX;
    list->hour.app_id = op->app_id;
    list->hour.is_backward = true;
    list->from_ms = op->from_ms > oldest_ms ? op->from_ms : oldest_ms;
    list->to_ms = gw_hour_of(now_ms) + 2 * GW_HOUR_MS; /* another's clock may be ahead */
    if (op->to_ms > 0 && op->to_ms < list->to_ms)
        list->to_ms = op->to_ms;
    if (op->app_id.len == 0 || op->event_id.len > GW_NAME_BYTES_MAX ||
        op->transaction_id.len > GW_NAME_BYTES_MAX)
        dynamodb_done(run, GW_ERR_INVALID);
    else if (op->event_id.len > 0)
        narrow(run, dynamodb_by_event_id(&run->arena, op->event_id));
    else if (op->transaction_id.len > 0)
        narrow(run, dynamodb_by_transaction_id(&run->arena, op->transaction_id));
    else
        begin(run);
}
