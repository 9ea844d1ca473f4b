/* Servers that stand for S3, SQS and DynamoDB while a worker is measured: as fast as can be, in memory,
 * on one thread, and counting what each kind of call would cost. Only what the worker and the commands
 * that set it up ask for is there; what is not answers 400, and shows. */
#ifndef GW_BENCH_AWS_FAKE_H
#define GW_BENCH_AWS_FAKE_H

#include "base/arena.h"
#include "base/buf.h"
#include "sys/exchange.h"

#include <yyjson.h>

#define GW_FAKE_BUCKET "bench-events"

/* ── Queue: aws_queue.c ────────────────────────────────────────────────────────────────────── */

/* One queue: notices of `events` objects, then whatever is sent. */
struct gw_fake_queue {
    struct gw_env *env;
    uint64_t events, handed_out, deleted, sent;
    struct gw_list wakes;
};

/* Answers at once, or, where there is nothing to receive, a little later. */
void gw_fake_queue_answer(struct gw_fake_queue *queue, struct gw_exchange *exchange,
                          struct gw_slice operation, yyjson_val *request);

/* ── Tables: aws_table.c ───────────────────────────────────────────────────────────────────── */

struct gw_fake_tables {
    struct gw_list tables;
    uint64_t write_units, half_read_units; /* as on-demand tables are charged */
};

void gw_fake_tables_answer(struct gw_fake_tables *tables, struct gw_exchange *exchange,
                           struct gw_slice operation, yyjson_val *request);

/* ── Items and expressions: aws_item.c ─────────────────────────────────────────────────────── */

#define GW_FAKE_ATTRIBUTES_MAX 96

struct gw_fake_attribute {
    struct gw_slice name;
    struct gw_slice value; /* JSON: {"S":"…"} */
    char type;             /* of "S", "N", "BOOL", …: its first letter */
    struct gw_slice text;  /* of S and N; absent = another type */
};

/* An item of whole text: each change makes a new one. */
struct gw_fake_item {
    struct gw_arena arena;
    struct gw_fake_attribute attributes[GW_FAKE_ATTRIBUTES_MAX];
    size_t count;
};

struct gw_fake_item *gw_fake_item_create(yyjson_val *json); /* NULL = an empty one */
struct gw_fake_item *gw_fake_item_copy(const struct gw_fake_item *item);
void gw_fake_item_destroy(struct gw_fake_item *item);
const struct gw_fake_attribute *gw_fake_item_get(const struct gw_fake_item *item,
                                                 struct gw_slice name);
void gw_fake_item_add(const struct gw_fake_item *item, struct gw_buf *out); /* as JSON */
size_t gw_fake_item_bytes(const struct gw_fake_item *item);                 /* as it is charged */
size_t gw_fake_attribute_bytes(const struct gw_fake_attribute *attribute);

/* `part` has the names and values of an expression. Absent expressions are true. */
bool gw_fake_is_true(struct gw_slice expression, yyjson_val *part, const struct gw_fake_item *item);
void gw_fake_update(struct gw_slice expression, yyjson_val *part, struct gw_fake_item *item);

struct gw_slice gw_fake_text(yyjson_val *object, const char *name);

#endif
