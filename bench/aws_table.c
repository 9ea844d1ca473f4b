/* DynamoDB, as far as src/store/ asks: tables as they were created, items by partition, conditions,
 * transactions, and what is charged for it. Indexes are charged for and never asked: a query of one
 * finds nothing. */
#include "aws_fake.h"
#include "base/alloc.h"
#include "base/map.h"
#include "tool.h"

#include <stdio.h>

#define INDEXES_MAX    4
#define PROJECTED_MAX  16
#define TRANSACTED_MAX 100

struct index {
    struct gw_slice name, hash, range;
    struct gw_slice with[PROJECTED_MAX];
    size_t with_count;
};

struct table {
    struct gw_list link;
    struct gw_arena arena;
    struct gw_slice name, hash, range;
    struct index indexes[INDEXES_MAX];
    size_t index_count;
    struct gw_map partitions;
};

struct partition {
    struct gw_slice key; /* its own copy */
    struct gw_fake_item **items;
    size_t count;
};

/* ── Answers ───────────────────────────────────────────────────────────────────────────────── */

static void answer(struct gw_exchange *exchange, int status, const struct gw_buf *out)
{
    exchange->status = status;
    exchange->content_type = "application/x-amz-json-1.0";
    exchange->reply = gw_arena_dup(exchange->arena, gw_buf_slice(out));
    exchange->complete(exchange);
}

/* `more` is what goes on with ",…" behind the message. */
static void refuse(struct gw_exchange *exchange, const char *code, struct gw_slice more)
{
    struct gw_buf out = {0};

    gw_buf_addf(&out, "{\"__type\":\"com.amazonaws.dynamodb.v20120810#%s\",\"message\":\"no\"",
                code);
    gw_buf_adds(&out, more);
    gw_buf_addc(&out, '}');
    answer(exchange, 400, &out);
    gw_buf_deinit(&out);
}

/* ── Tables ────────────────────────────────────────────────────────────────────────────────── */

static struct table *find_table(struct gw_fake_tables *tables, yyjson_val *request)
{
    struct gw_slice name = gw_fake_text(request, "TableName");

    gw_list_each (node, &tables->tables) {
        struct table *table = gw_container_of(node, struct table, link);
        if (gw_slice_eq(table->name, name))
            return table;
    }
    return NULL;
}

static void take_keys(struct gw_arena *arena, yyjson_val *part, struct gw_slice *hash,
                      struct gw_slice *range)
{
    yyjson_val *schema = yyjson_obj_get(part, "KeySchema");

    *hash = gw_arena_dup(arena, gw_fake_text(yyjson_arr_get(schema, 0), "AttributeName"));
    *range = gw_arena_dup(arena, gw_fake_text(yyjson_arr_get(schema, 1), "AttributeName"));
}

static void take_index(struct table *table, yyjson_val *json)
{
    struct index *index = &table->indexes[table->index_count++];
    yyjson_val *with = yyjson_obj_get(yyjson_obj_get(json, "Projection"), "NonKeyAttributes");
    yyjson_val *name;
    size_t i, max;

    if (table->index_count > INDEXES_MAX)
        gw_die("a table has too many indexes");
    take_keys(&table->arena, json, &index->hash, &index->range);
    yyjson_arr_foreach(with, i, max, name)
    {
        if (i < PROJECTED_MAX)
            index->with[index->with_count++] = gw_arena_dup(
                &table->arena, (struct gw_slice){yyjson_get_str(name), yyjson_get_len(name)});
    }
}

static void create_table(struct gw_fake_tables *tables, struct gw_exchange *exchange,
                         yyjson_val *request)
{
    struct table *table = gw_zalloc(sizeof(*table));
    yyjson_val *json;
    size_t i, max;
    struct gw_buf out = {0};

    table->name = gw_arena_dup(&table->arena, gw_fake_text(request, "TableName"));
    take_keys(&table->arena, request, &table->hash, &table->range);
    yyjson_arr_foreach(yyjson_obj_get(request, "GlobalSecondaryIndexes"), i, max, json)
        take_index(table, json);
    gw_list_push(&tables->tables, &table->link);
    gw_buf_adds(&out, GW_SLICE("{\"TableDescription\":{\"TableStatus\":\"ACTIVE\"}}"));
    answer(exchange, 200, &out);
    gw_buf_deinit(&out);
}

/* What is known of each table alike. */
static void describe(struct gw_exchange *exchange)
{
    struct gw_buf out = {0};

    gw_buf_adds(&out, GW_SLICE("{\"Table\":{\"TableStatus\":\"ACTIVE\"},\"TimeToLiveDescription\":"
                               "{\"TimeToLiveStatus\":\"ENABLED\",\"AttributeName\":\"ttl\"}}"));
    answer(exchange, 200, &out);
    gw_buf_deinit(&out);
}

/* ── Items ─────────────────────────────────────────────────────────────────────────────────── */

static struct gw_slice key_of(yyjson_val *key, struct gw_slice name)
{
    yyjson_val *value = yyjson_obj_getn(key, name.ptr, name.len);
    struct gw_slice text = gw_fake_text(value, "S");

    return text.ptr ? text : GW_SLICE("");
}

/* The place of an item, which may be empty; made when it is not there. */
static struct gw_fake_item **place(struct table *table, yyjson_val *key)
{
    struct gw_slice hash = key_of(key, table->hash), range = key_of(key, table->range);
    struct partition *partition = gw_map_get(&table->partitions, hash);

    if (partition == NULL) {
        partition = gw_zalloc(sizeof(*partition) + hash.len);
        memcpy(partition + 1, hash.ptr, hash.len);
        partition->key = (struct gw_slice){(char *)(partition + 1), hash.len};
        gw_map_put(&table->partitions, partition->key, partition);
    }
    for (size_t i = 0; i < partition->count; i++) {
        const struct gw_fake_attribute *at = gw_fake_item_get(partition->items[i], table->range);
        if (at && gw_slice_eq(at->text, range))
            return &partition->items[i];
    }
    if (partition->count > 0 && partition->items[partition->count - 1] == NULL)
        return &partition->items[partition->count - 1]; /* it was only looked for */
    partition->items =
        gw_realloc(partition->items, (partition->count + 1) * sizeof(*partition->items));
    partition->items[partition->count] = NULL;
    return &partition->items[partition->count++];
}

/* ── What is charged ───────────────────────────────────────────────────────────────────────── */

static uint64_t units(size_t bytes, size_t unit)
{
    return bytes == 0 ? 1 : (bytes + unit - 1) / unit;
}

/* An item's entry in an index, as text to compare; false: it has none. */
static bool entry_of(const struct index *index, const struct gw_fake_item *item, struct gw_buf *key,
                     struct gw_buf *rest)
{
    const struct gw_fake_attribute *hash = gw_fake_item_get(item, index->hash);
    const struct gw_fake_attribute *range = gw_fake_item_get(item, index->range);

    if (hash == NULL || range == NULL)
        return false;
    gw_buf_addf(key, "%.*s %.*s", GW_SLICE_ARG(hash->text), GW_SLICE_ARG(range->text));
    for (size_t i = 0; i < index->with_count; i++) {
        const struct gw_fake_attribute *a = gw_fake_item_get(item, index->with[i]);
        gw_buf_addc(rest, ' ');
        if (a)
            gw_buf_adds(rest, a->value);
    }
    return true;
}

static uint64_t index_units(const struct index *index, const struct gw_fake_item *before,
                            const struct gw_fake_item *after)
{
    struct gw_buf was_key = {0}, was = {0}, key = {0}, rest = {0};
    bool had = entry_of(index, before, &was_key, &was), has = entry_of(index, after, &key, &rest);
    uint64_t charged = had || has;

    if (had && has && !gw_slice_eq(gw_buf_slice(&was_key), gw_buf_slice(&key)))
        charged = 2;
    else if (had && has && gw_slice_eq(gw_buf_slice(&was), gw_buf_slice(&rest)))
        charged = 0;
    gw_buf_deinit(&was_key);
    gw_buf_deinit(&was);
    gw_buf_deinit(&key);
    gw_buf_deinit(&rest);
    return charged;
}

static uint64_t write_units(const struct table *table, const struct gw_fake_item *before,
                            const struct gw_fake_item *after, bool is_transaction)
{
    size_t was = gw_fake_item_bytes(before), is = gw_fake_item_bytes(after);
    uint64_t charged = units(was > is ? was : is, 1024) * (is_transaction ? 2 : 1);

    for (size_t i = 0; i < table->index_count; i++)
        charged += index_units(&table->indexes[i], before, after);
    return charged;
}

/* ── Writing ───────────────────────────────────────────────────────────────────────────────── */

/* One write: Put, Update, Delete, or only a condition. */
struct write {
    struct table *table;
    struct gw_fake_item **at;
    yyjson_val *part;
    const char *kind;
};

static bool write_find(struct gw_fake_tables *tables, yyjson_val *part, const char *kind,
                       struct write *write)
{
    bool is_put = strcmp(kind, "Put") == 0;

    *write = (struct write){.table = find_table(tables, part), .part = part, .kind = kind};
    if (write->table)
        write->at = place(write->table, yyjson_obj_get(part, is_put ? "Item" : "Key"));
    return write->table;
}

static bool write_may(const struct write *write)
{
    return gw_fake_is_true(gw_fake_text(write->part, "ConditionExpression"), write->part,
                           *write->at);
}

static void write_do(struct gw_fake_tables *tables, struct write *write, bool is_transaction)
{
    struct gw_fake_item *before = *write->at, *after = NULL;

    if (strcmp(write->kind, "ConditionCheck") == 0) {
        tables->write_units += 2;
        return;
    }
    if (strcmp(write->kind, "Put") == 0) {
        after = gw_fake_item_create(yyjson_obj_get(write->part, "Item"));
    } else if (strcmp(write->kind, "Update") == 0) {
        after = before ? gw_fake_item_copy(before)
                       : gw_fake_item_create(yyjson_obj_get(write->part, "Key"));
        gw_fake_update(gw_fake_text(write->part, "UpdateExpression"), write->part, after);
    }
    tables->write_units += write_units(write->table, before, after, is_transaction);
    gw_fake_item_destroy(before);
    *write->at = after;
}

static void add_item(struct gw_buf *out, const char *name, const struct gw_fake_item *item)
{
    if (item == NULL)
        return;
    gw_buf_addf(out, "%s\"%s\":", out->len > 1 || *name == 'I' ? "," : "", name);
    gw_fake_item_add(item, out);
}

static void write_one(struct gw_fake_tables *tables, struct gw_exchange *exchange,
                      yyjson_val *request, const char *kind)
{
    struct write write;
    struct gw_buf out = {0};

    if (!write_find(tables, request, kind, &write)) {
        refuse(exchange, "ResourceNotFoundException", GW_SLICE(""));
        return;
    }
    if (!write_may(&write)) {
        tables->write_units++;
        add_item(&out, "Item", *write.at);
        refuse(exchange, "ConditionalCheckFailedException", gw_buf_slice(&out));
    } else {
        write_do(tables, &write, false);
        gw_buf_addc(&out, '{');
        if (gw_fake_text(request, "ReturnValues").ptr)
            add_item(&out, "Attributes", *write.at);
        gw_buf_addc(&out, '}');
        answer(exchange, 200, &out);
    }
    gw_buf_deinit(&out);
}

/* False: there is no such table, or too much. Places are found anew when all are there, for making
 * one may move the others of its partition. */
static bool find_all(struct gw_fake_tables *tables, yyjson_val *list, struct write *writes,
                     size_t *count)
{
    yyjson_val *one, *kind, *part;
    size_t i, max, k, kinds;

    *count = 0;
    yyjson_arr_foreach(list, i, max, one)
    {
        yyjson_obj_foreach(one, k, kinds, kind, part)
        {
            if (*count == TRANSACTED_MAX ||
                !write_find(tables, part, yyjson_get_str(kind), &writes[(*count)++]))
                return false;
        }
    }
    return true;
}

static void transact(struct gw_fake_tables *tables, struct gw_exchange *exchange,
                     yyjson_val *request)
{
    struct write writes[TRANSACTED_MAX];
    yyjson_val *list = yyjson_obj_get(request, "TransactItems");
    struct gw_buf reasons = {0};
    size_t count;
    bool may = true;

    if (!find_all(tables, list, writes, &count)) {
        refuse(exchange, "ResourceNotFoundException", GW_SLICE(""));
        return;
    }
    gw_buf_adds(&reasons, GW_SLICE(",\"CancellationReasons\":["));
    for (size_t i = 0; i < count; i++) {
        write_find(tables, writes[i].part, writes[i].kind, &writes[i]);
        bool may_this = write_may(&writes[i]);
        gw_buf_addf(&reasons, "%s{\"Code\":\"%s\"}", i > 0 ? "," : "",
                    may_this ? "None" : "ConditionalCheckFailed");
        may = may && may_this;
    }
    gw_buf_addc(&reasons, ']');
    if (may) {
        struct gw_buf out = {0};
        for (size_t i = 0; i < count; i++) {
            write_find(tables, writes[i].part, writes[i].kind, &writes[i]);
            write_do(tables, &writes[i], true);
        }
        gw_buf_adds(&out, GW_SLICE("{}"));
        answer(exchange, 200, &out);
        gw_buf_deinit(&out);
    } else {
        tables->write_units += 2 * count;
        refuse(exchange, "TransactionCanceledException", gw_buf_slice(&reasons));
    }
    gw_buf_deinit(&reasons);
}

/* ── Reading ───────────────────────────────────────────────────────────────────────────────── */

static void charge_read(struct gw_fake_tables *tables, yyjson_val *request, size_t bytes)
{
    bool is_consistent = yyjson_get_bool(yyjson_obj_get(request, "ConsistentRead"));

    tables->half_read_units += units(bytes, 4096) * (is_consistent ? 2 : 1);
}

static void get_item(struct gw_fake_tables *tables, struct gw_exchange *exchange,
                     yyjson_val *request)
{
    struct table *table = find_table(tables, request);
    struct gw_buf out = {0};

    if (table == NULL) {
        refuse(exchange, "ResourceNotFoundException", GW_SLICE(""));
        return;
    }
    const struct gw_fake_item *item = *place(table, yyjson_obj_get(request, "Key"));
    charge_read(tables, request, gw_fake_item_bytes(item));
    gw_buf_addc(&out, '{');
    if (item) {
        gw_buf_adds(&out, GW_SLICE("\"Item\":"));
        gw_fake_item_add(item, &out);
    }
    gw_buf_addc(&out, '}');
    answer(exchange, 200, &out);
    gw_buf_deinit(&out);
}

/* The items of a partition: all of them are asked, for there are few partitions of a bench's that
 * anybody queries. */
static size_t add_partition(const struct partition *partition, yyjson_val *request,
                            struct gw_buf *out, unsigned *count)
{
    struct gw_slice keys = gw_fake_text(request, "KeyConditionExpression");
    size_t bytes = 0;

    for (size_t i = 0; i < partition->count; i++) {
        const struct gw_fake_item *item = partition->items[i];
        if (item == NULL || !gw_fake_is_true(keys, request, item))
            continue;
        gw_buf_adds(out, (*count)++ > 0 ? GW_SLICE(",") : GW_SLICE(""));
        gw_fake_item_add(item, out);
        bytes += gw_fake_item_bytes(item);
    }
    return bytes;
}

/* The value that the partition's key is compared with: it stands first. */
static const struct partition *asked_partition(const struct table *table, yyjson_val *request)
{
    struct gw_slice keys = gw_fake_text(request, "KeyConditionExpression"), word = {0};
    yyjson_val *values = yyjson_obj_get(request, "ExpressionAttributeValues");

    while (gw_slice_split(&keys, ' ', &word))
        if (gw_slice_starts(word, GW_SLICE(":")))
            break;
    return gw_map_get(&table->partitions,
                      gw_fake_text(yyjson_obj_getn(values, word.ptr, word.len), "S"));
}

static void query(struct gw_fake_tables *tables, struct gw_exchange *exchange, yyjson_val *request)
{
    struct table *table = find_table(tables, request);
    struct gw_buf out = {0};
    size_t bytes = 0;
    unsigned count = 0;

    if (table == NULL) {
        refuse(exchange, "ResourceNotFoundException", GW_SLICE(""));
        return;
    }
    const struct partition *partition = asked_partition(table, request);
    gw_buf_adds(&out, GW_SLICE("{\"Items\":["));
    if (partition && gw_fake_text(request, "IndexName").ptr == NULL)
        bytes = add_partition(partition, request, &out, &count);
    gw_buf_addf(&out, "],\"Count\":%u}", count);
    charge_read(tables, request, bytes);
    answer(exchange, 200, &out);
    gw_buf_deinit(&out);
}

/* ── Which ─────────────────────────────────────────────────────────────────────────────────── */

void gw_fake_tables_answer(struct gw_fake_tables *tables, struct gw_exchange *exchange,
                           struct gw_slice operation, yyjson_val *request)
{
    if (gw_slice_is(operation, "TransactWriteItems"))
        transact(tables, exchange, request);
    else if (gw_slice_is(operation, "UpdateItem"))
        write_one(tables, exchange, request, "Update");
    else if (gw_slice_is(operation, "PutItem"))
        write_one(tables, exchange, request, "Put");
    else if (gw_slice_is(operation, "DeleteItem"))
        write_one(tables, exchange, request, "Delete");
    else if (gw_slice_is(operation, "GetItem"))
        get_item(tables, exchange, request);
    else if (gw_slice_is(operation, "Query"))
        query(tables, exchange, request);
    else if (gw_slice_is(operation, "CreateTable"))
        create_table(tables, exchange, request);
    else if (find_table(tables, request) == NULL)
        refuse(exchange, "ResourceNotFoundException", GW_SLICE(""));
    else if (gw_slice_starts(operation, GW_SLICE("Describe")) ||
             gw_slice_starts(operation, GW_SLICE("UpdateTimeToLive")))
        describe(exchange);
    else
        refuse(exchange, "ValidationException", GW_SLICE(""));
}
