/* dynamodb_impl.h: what dynamodb*.c share: the store, an operation on its way through AWS, what ids
 * and seals are made with. Not for others. */
#pragma once

#include "aws/dynamodb.h"
#include "aws/s3.h"
#include "aws/sqs.h"
#include "core/wake.h"
#include "store/dynamodb.h"
#include "store/tally.h"

enum dynamodb_table { DYNAMODB_CONFIG, DYNAMODB_LEDGER, DYNAMODB_ADMIN };
#define DYNAMODB_TABLES 3

const char *dynamodb_table_suffix(enum dynamodb_table table); /* "config" */

/* AWS's ceilings. */
#define DYNAMODB_TRANSACT_MAX  100
#define DYNAMODB_BATCH_GET_MAX 100

#define DYNAMODB_HASH_PARTS_MAX 4

/* An env and what it speaks to AWS with. */
struct dynamodb_joined {
    struct gw_env *env;
    struct gw_aws *aws;
};

struct gw_dynamodb {
    struct gw_ledger ledger;
    struct gw_configs configs;
    struct gw_admin admin;
    struct gw_pace pace;
    struct gw_dynamodb_options options;
    char *tables[DYNAMODB_TABLES];
    uint8_t id_key[32], hash_key[32], seal_key[32]; /* of the master key */
    struct dynamodb_joined *joined;                 /* does not change once the loops run */
    size_t joined_count;
    /* When a call found nobody, no table, or was not allowed; 0 = the last one was well. */
    atomic_int_fast64_t failed_us;
    atomic_int_fast64_t logged_us; /* when a failure was written down */
};

/* ── An operation under way: dynamodb_run.c ────────────────────────────────────────────────── */

struct dynamodb_run;
typedef void dynamodb_fn(struct dynamodb_run *run);

/* All that a Query yields, page by page, as a consistent read. */
struct dynamodb_query {
    enum dynamodb_table table;
    const char *keys; /* KeyConditionExpression; the texts in it: */
    struct {
        const char *name; /* ":pk" */
        struct gw_slice text;
    } values[3];
    bool is_backward;
    size_t page_max;  /* items that AWS looks at for a page; 0 = as many as it likes */
    size_t pages_max; /* 0 = all */
    enum gw_err (*take)(struct dynamodb_run *run, yyjson_val *item); /* not GW_OK: ends with it */
    dynamodb_fn *then;
    bool is_enough;   /* take's word: no more of it */
    size_t pages;     /* that came */
    yyjson_val *more; /* behind the last page; NULL: that was all */
};

/* The line of the audit log that a change leaves. */
struct dynamodb_line {
    const struct gw_audit *audit;
    uint64_t number;     /* of its time and its turn */
    uint64_t first_lane; /* of those that were asked for with it, one behind the other */
    size_t lane_count;
    size_t parts;           /* of the transaction, so far */
    dynamodb_fn *then;      /* with the numbers, with the transaction's end */
    struct gw_error unsure; /* why it is not known whether that was done, */
    yyjson_val *reasons;    /* and what its answer said */
};

/* One operation: a chain of calls, one at a time, each of which names the function that goes on with
 * its answer. Everything it needs is in its arena, or goes with `end`. */
struct dynamodb_run {
    struct gw_dynamodb *store;
    struct gw_op *op;
    struct gw_env *env;
    struct gw_aws *aws;
    struct gw_arena arena;
    int64_t deadline_us; /* of the operation, by env's monotonic clock */
    int64_t call_ms;     /* what a call of DynamoDB may take of it */
    struct gw_aws_dynamodb db;
    dynamodb_fn *next;
    void *own;        /* the operation's file's, in the arena */
    dynamodb_fn *end; /* before the arena goes, op->err is set; may be NULL */
    struct dynamodb_query query;
    struct dynamodb_line line;
    struct dynamodb_items *reading;
};

/* Begins an operation: fn makes the first call, or completes it. */
void dynamodb_start(struct gw_dynamodb *store, struct gw_op *op, dynamodb_fn *fn);
/* Completes it, from a later turn of the loop, and frees the run. The last thing done with it. */
void dynamodb_done(struct dynamodb_run *run, enum gw_err err);
/* The same, because of a call that failed: what that means to whoever asked the store, and when it
 * may be tried again. */
void dynamodb_fail(struct dynamodb_run *run, const struct gw_aws_call *call);

/* Makes run->db an empty request: its members are added to .root, then it is sent. Of a call on one
 * table the name is there already. */
struct gw_aws_dynamodb *dynamodb_request(struct dynamodb_run *run, enum gw_aws_dynamodb_op op);
struct gw_aws_dynamodb *dynamodb_request_on(struct dynamodb_run *run, enum gw_aws_dynamodb_op op,
                                            enum dynamodb_table table);
void dynamodb_send(struct dynamodb_run *run, dynamodb_fn *next);
/* How the call went: GW_OK, or aws/call.h's. */
enum gw_err dynamodb_err(const struct dynamodb_run *run);
/* The write may have been done: whoever made it must look. */
bool dynamodb_is_unsure(const struct dynamodb_run *run);

/* Members of `object`, the root or an item of a transaction. Texts are not copied. */
void dynamodb_put(struct dynamodb_run *run, yyjson_mut_val *object, const char *name,
                  const char *text);
void dynamodb_put_flag(struct dynamodb_run *run, yyjson_mut_val *object, const char *name);
/* An expression: "#name = :value AND …". Each #name in it is an attribute of that name, and gets its
 * line in ExpressionAttributeNames, for many of ours are words that DynamoDB reserves. */
void dynamodb_put_expression(struct dynamodb_run *run, yyjson_mut_val *object, const char *name,
                             const char *expression);
/* The object ExpressionAttributeValues; made when it is not there. */
yyjson_mut_val *dynamodb_values(struct dynamodb_run *run, yyjson_mut_val *object);
/* Where a query goes on: its answer's `more`, or NULL. */
void dynamodb_put_start(struct dynamodb_run *run, yyjson_val *more);
/* "Key": {pk, sk} */
void dynamodb_put_key(struct dynamodb_run *run, yyjson_mut_val *object, struct gw_slice pk,
                      struct gw_slice sk);

/* An object of S3, in the run's arena: filled in by the caller, then started with one of s3.h's. */
struct gw_aws_object *dynamodb_object(struct dynamodb_run *run, struct gw_slice bucket,
                                      struct gw_slice key);
void dynamodb_object_start(struct gw_aws_object *object, void (*start)(struct gw_aws_object *),
                           dynamodb_fn *next);

/* Sends messages to options.queue_url, which must be there; the bodies live as long as the run. A
 * failure of any is the batch's. */
void dynamodb_wake(struct dynamodb_run *run, const struct gw_aws_entry *entries, size_t count,
                   void (*next)(struct dynamodb_run *run, const struct gw_aws_batch *sent));
/* A wake as a text in the run's arena. */
struct gw_slice dynamodb_wake_text(struct dynamodb_run *run, const struct gw_wake *wake);
/* A change that gives an event something to send has a wake for later sent before it, so that somebody
 * comes whatever happens to us. */
#define DYNAMODB_LATER_S 10

/* ── Pages: dynamodb_query.c ───────────────────────────────────────────────────────────────── */

/* query->then is called when all has been taken; a failure ends the operation. */
void dynamodb_query(struct dynamodb_run *run, const struct dynamodb_query *query);

/* ── Changes: dynamodb_change.c ────────────────────────────────────────────────────────────── */

#define DYNAMODB_TURN_BITS 20 /* of a line's number, below its time */

/* Gets numbers for a line and for so many lanes; they are never given again. */
void dynamodb_line_begin(struct dynamodb_run *run, const struct gw_audit *audit, size_t lanes,
                         dynamodb_fn *then);

/* A transaction: begun, filled with "Put", "Update", "Delete" of a table's item, and sent with the
 * line of the run. When it is not known whether it was done, the line tells: dynamodb_err() in `next`
 * is GW_OK then. */
void dynamodb_change_begin(struct dynamodb_run *run);
yyjson_mut_val *dynamodb_change_add(struct dynamodb_run *run, const char *verb,
                                    enum dynamodb_table table);
void dynamodb_change_send(struct dynamodb_run *run, dynamodb_fn *next);
/* It was refused, and this part's condition was not met. */
bool dynamodb_change_is_refused(const struct dynamodb_run *run, size_t part);
/* Somebody else changed, or is changing, what it is about. */
bool dynamodb_change_met_another(const struct dynamodb_run *run);

/* The partition of an app's lines; of no app: of all lines. */
struct gw_slice dynamodb_line_pk(struct dynamodb_run *run, struct gw_slice app_id);
/* The partition of the lines of one config. */
struct gw_slice dynamodb_line_history(struct dynamodb_run *run, struct gw_slice app_id,
                                      struct gw_slice subject);
struct gw_slice dynamodb_line_sk(struct dynamodb_run *run, uint64_t number);
struct gw_slice dynamodb_line_subject(struct dynamodb_run *run, struct gw_slice app_id,
                                      struct gw_slice subject);

/* May the operation's line be kept? False: it has completed. */
bool dynamodb_line_check(struct dynamodb_run *run, const struct gw_audit *audit);

/* ── Configs: dynamodb_configs.c ───────────────────────────────────────────────────────────── */

#define DYNAMODB_MARK "\x01"           /* the eventType of an app's revision: none has a control */
#define DYNAMODB_APPS GW_SLICE("apps") /* the partition of apps that have a config */

/* Those that were read, and are the run's: run->own begins with it. */
struct dynamodb_configs {
    struct gw_config **all;
    size_t count, cap;
    uint64_t revision; /* of the app; 0: it never had a config */
};

void dynamodb_configs_read(struct dynamodb_run *run, struct gw_slice app_id, dynamodb_fn *then);
void dynamodb_configs_add(struct dynamodb_configs *configs, struct gw_config *config);
void dynamodb_configs_forget(struct dynamodb_configs *configs);
void dynamodb_configs_end(struct dynamodb_run *run); /* the same, for run->end */
/* Made of all of them, which are its own then. */
struct gw_snapshot *dynamodb_configs_snapshot(struct dynamodb_configs *configs,
                                              struct gw_slice app_id);
const char *dynamodb_config_field(struct dynamodb_run *run, uint64_t version); /* of the seal */

void dynamodb_config_change(struct dynamodb_run *run); /* dynamodb_config_change.c */

/* Could it be the name of an app, or of anything that is a key of ours? AWS refuses others. */
bool dynamodb_is_name(struct gw_slice text);

/* ── Keys: dynamodb_key.c ──────────────────────────────────────────────────────────────────── */

void dynamodb_keys_init(struct gw_dynamodb *store);
struct gw_slice dynamodb_concat(struct gw_arena *arena, const struct gw_slice *parts, size_t count);
/* HMAC of the parts, none of which can be mistaken for a part of another. */
void dynamodb_hash(const uint8_t key[32], const struct gw_slice *parts, size_t count,
                   uint8_t out[32]);
/* The same as hexadecimal text of 16 bytes: a key of an item for what is too long, or secret. */
struct gw_slice dynamodb_hash_text(const struct gw_dynamodb *store, struct gw_arena *arena,
                                   const struct gw_slice *parts, size_t count);
/* Seals what lies at (pk, sk, field), and nowhere else. */
struct gw_slice dynamodb_seal(const struct gw_dynamodb *store, struct gw_arena *arena,
                              struct gw_slice pk, struct gw_slice sk, const char *field,
                              struct gw_slice plain);
/* False: it was sealed with another key or for another place, or was changed. */
bool dynamodb_unseal(const struct gw_dynamodb *store, struct gw_arena *arena, struct gw_slice pk,
                     struct gw_slice sk, const char *field, struct gw_slice sealed,
                     struct gw_slice *plain);

/* ── Items of the ledger: dynamodb_item.c ──────────────────────────────────────────────────── */

#define DYNAMODB_SHARDS        8     /* of each hour of an app, and of what is open */
#define DYNAMODB_MESSAGE_BYTES 16    /* of an id */
#define DYNAMODB_NUMBER_MAX    65535 /* of a delivery in its event */
#define DYNAMODB_ROWS_MAX      1000  /* deliveries of one event */
#define DYNAMODB_KEY_E         GW_SLICE("E")

/* Where an item of the ledger is, and whose. */
struct gw_slice dynamodb_pk(struct gw_arena *arena, const struct gw_id *message_id);
struct gw_slice dynamodb_sk(struct gw_arena *arena, unsigned number);
struct gw_id dynamodb_delivery_id(const struct gw_id *message_id, unsigned number);
/* False: it is no id of a delivery made here. */
bool dynamodb_delivery_place(const struct gw_id *delivery_id, struct gw_id *message_id,
                             unsigned *number);
struct gw_slice dynamodb_by_app(struct gw_arena *arena, struct gw_slice app_id, int64_t at_ms,
                                unsigned shard);
struct gw_slice dynamodb_by_event_id(struct gw_arena *arena, struct gw_slice text);
struct gw_slice dynamodb_by_transaction_id(struct gw_arena *arena, struct gw_slice text);
struct gw_slice dynamodb_open(struct gw_arena *arena, uint64_t lane, unsigned shard);
struct gw_slice dynamodb_open_of(struct gw_arena *arena, const struct gw_delivery *delivery);
/* A delivery's order, of its id, so that it is the same whoever reads it. */
uint64_t dynamodb_order(const struct gw_id *delivery_id);
/* In the order in which those of a lane are due. */
struct gw_slice dynamodb_open_sk(struct gw_arena *arena, int64_t due_ms, uint64_t order);

/* What accept alone knows of an event. */
struct dynamodb_event {
    struct gw_slice hash; /* of the body */
    int64_t size;         /* of the body */
    uint64_t made;        /* names the accept that wrote it */
    unsigned deliveries;
    bool is_erased;
};

void dynamodb_put_event(struct dynamodb_run *run, yyjson_mut_val *item,
                        const struct gw_message *message, const struct gw_id *id,
                        const struct dynamodb_event *event);
/* `job`: what added it; absent where accept did. */
void dynamodb_put_delivery(struct dynamodb_run *run, yyjson_mut_val *item,
                           const struct gw_message *message, const struct gw_delivery *delivery,
                           struct gw_slice job);
/* For the second of an event's two ids, on an item that has none. */
void dynamodb_put_by_key(struct dynamodb_run *run, yyjson_mut_val *item,
                         const struct gw_message *message, const struct gw_id *id,
                         struct gw_slice by_key);

void dynamodb_put_ttl(struct dynamodb_run *run, yyjson_mut_val *item,
                      const struct gw_message *message);
/* Adds a Put of a ledger's item to a transaction's list: for its condition. */
yyjson_mut_val *dynamodb_put_item(struct dynamodb_run *run, yyjson_mut_val *list,
                                  yyjson_mut_val **item);
struct gw_delivery dynamodb_new_delivery(const struct gw_id *message_id, unsigned number,
                                         uint64_t lane, int64_t now_ms);
/* What payloads are compared by. */
struct gw_slice dynamodb_body_hash(const struct gw_dynamodb *store, struct gw_arena *arena,
                                   struct gw_slice body);

/* False: it is not what was put. Texts are the item's; the message has no reference. */
bool dynamodb_take_event(yyjson_val *item, struct gw_arena *arena, struct gw_message *message,
                         struct dynamodb_event *event);
bool dynamodb_take_delivery(yyjson_val *item, struct gw_delivery *delivery);
/* The packed attempts of a delivery, as far as they can be unsealed. */
struct gw_slice dynamodb_take_log(const struct gw_dynamodb *store, struct gw_arena *arena,
                                  yyjson_val *item);
/* The attribute in which an attempt is kept: the first 5 and the last 20 have one each. */
const char *dynamodb_log_name(struct gw_arena *arena, uint32_t n);

/* ── An app's hours: dynamodb_hours.c ──────────────────────────────────────────────────────── */

#define DYNAMODB_TIME_CHARS 15

/* Sorts as the times do; what by_app_sk and by_key_sk begin with. */
struct gw_slice dynamodb_time_key(struct gw_arena *arena, int64_t ms);
bool dynamodb_time_read(struct gw_slice key, int64_t *ms);

/* A part of an hour, between two places in it, both included. */
struct dynamodb_hour {
    struct gw_slice app_id;
    int64_t hour_ms;
    unsigned shard;
    struct gw_slice from, to;
    bool is_backward;
};
struct gw_aws_dynamodb *dynamodb_request_hour(struct dynamodb_run *run,
                                              const struct dynamodb_hour *hour);

/* An event's items, as they were read. */
struct dynamodb_items {
    yyjson_val *event; /* NULL: there is none */
    yyjson_val **deliveries;
    size_t count;
    /* its own */
    struct gw_slice pk;
    dynamodb_fn *next;
};
/* Reads them all as they are now; then next() with *items filled, or dynamodb_err(). */
void dynamodb_read_event(struct dynamodb_run *run, struct dynamodb_items *items, struct gw_slice pk,
                         dynamodb_fn *next);

/* ── Operations ────────────────────────────────────────────────────────────────────────────── */

void dynamodb_accept(struct dynamodb_run *run);
void dynamodb_add(struct dynamodb_run *run);
void dynamodb_claim(struct dynamodb_run *run);
void dynamodb_settle(struct dynamodb_run *run);
void dynamodb_retry(struct dynamodb_run *run);
void dynamodb_load(struct dynamodb_run *run);
void dynamodb_find(struct dynamodb_run *run);
void dynamodb_list(struct dynamodb_run *run);
void dynamodb_tally(struct dynamodb_run *run);
void dynamodb_count_open(struct dynamodb_run *run); /* for tally */
void dynamodb_open_lanes(struct dynamodb_run *run);
void dynamodb_refill(struct dynamodb_run *run);
void dynamodb_health_save(struct dynamodb_run *run);
void dynamodb_health_load(struct dynamodb_run *run);
void dynamodb_slot(struct dynamodb_run *run);
/* By run->op->kind. */
void dynamodb_configs_start(struct dynamodb_run *run); /* dynamodb_configs.c */
void dynamodb_admin_start(struct dynamodb_run *run);   /* dynamodb_admin.c */
