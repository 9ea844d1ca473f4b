/* delivery_log_firehose.c: owns the rows that wait for Firehose.
 *
 *   add (any thread) ─ copy ─▶ the env's mail ─▶ rows ─ 500, or 1 s, or a flush ─▶ PutRecordBatch
 *                                                 ▲                                  │
 *                                                 └── kept, tried again later ◀ refused, in whole or
 *                                                                               in part: a batch
 *                                                                               fails record by record
 *
 * Invariants: at most one put is under way, and it has the first `put.count` rows, which stay in
 * the list until Firehose has them. memory_bytes is the cost of all rows that were added and are
 * neither sent nor dropped, those in the mail included.
 *
 * When Firehose cannot be reached rows wait in memory, with growing gaps between tries; those that
 * find it full are counted as dropped. What Firehose will never take is dropped and said.
 *
 * Threads: add and state any; all else the env's. */
#include "store/delivery_log_firehose.h"

#include "aws/firehose.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "store/delivery_log_sql.h"

#include <stdatomic.h>

#define WAIT_US        1000000 /* that a row waits for others */
#define PUT_US         5000000
#define BACKOFF_US     200000
#define BACKOFF_US_MAX 10000000

struct queued {
    struct gw_msg msg;
    struct gw_delivery_log_firehose *sink;
    int64_t at_ms;
    size_t len;
    char row[];
};

struct gw_delivery_log_firehose {
    struct gw_delivery_log base;
    struct gw_env *env;
    struct gw_aws_client *client;
    const char *stream;
    size_t memory_bytes_max;
    atomic_size_t memory_bytes;
    _Atomic uint64_t written, dropped;
    _Atomic int64_t oldest_ms;

    struct gw_list rows; /* queued.msg.link, oldest first */
    size_t count;
    int64_t due_us;   /* when the first of them has waited long enough */
    int64_t again_us; /* not before; 0 = at any time */
    int64_t backoff_us;
    struct gw_timer timer;
    struct gw_delivery_log_flush *flush; /* NULL = none is asked for */

    bool is_putting;
    struct gw_aws_firehose put;
    struct gw_aws_record records[GW_AWS_FIREHOSE_BATCH_MAX];
    struct gw_arena arena; /* of the put */
};

static void step(struct gw_delivery_log_firehose *sink);

bool gw_delivery_log_stream_check(struct gw_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
              (c != '\0' && strchr("_.-", c))))
            return false;
    }
    return name.len > 0 && name.len <= GW_DELIVERY_LOG_STREAM_MAX;
}

static struct gw_delivery_log_firehose *sink_of(struct gw_delivery_log *log)
{
    return gw_container_of(log, struct gw_delivery_log_firehose, base);
}

/* ── A row as JSON ─────────────────────────────────────────────────────────────────────────── */

static void add_member(yyjson_mut_doc *doc, yyjson_mut_val *root,
                       const struct gw_delivery_log_column *column,
                       const struct gw_delivery_log_value *value, struct gw_arena *arena)
{
    switch (column->type) {
    case GW_DELIVERY_LOG_TEXT:
        yyjson_mut_obj_add_strn(doc, root, column->name, value->text.ptr, value->text.len);
        return;
    case GW_DELIVERY_LOG_NUMBER:
        yyjson_mut_obj_add_sint(doc, root, column->name, value->number);
        return;
    case GW_DELIVERY_LOG_TIME:
        yyjson_mut_obj_add_str(doc, root, column->name,
                               gw_delivery_log_sql_value(value, column->type, arena));
        return;
    case GW_DELIVERY_LOG_BOOL:
        yyjson_mut_obj_add_bool(doc, root, column->name, value->number != 0);
        return;
    }
    gw_never("an unknown type");
}

static struct gw_slice line_of(const struct queued *queued, struct gw_arena *arena)
{
    struct gw_delivery_log_value values[GW_DELIVERY_LOG_COLUMNS_MAX];
    enum gw_delivery_log_table_id id;
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = gw_aws_json_new(arena, &root);

    gw_check(gw_delivery_log_decode((struct gw_slice){queued->row, queued->len}, &id, values));
    const struct gw_delivery_log_table *table = &gw_delivery_log_tables[id];
    yyjson_mut_obj_add_str(doc, root, "table", table->name);
    for (size_t i = 0; i < table->column_count; i++)
        if (!values[i].is_null)
            add_member(doc, root, &table->columns[i], &values[i], arena);
    struct gw_slice json = gw_aws_json_write(arena, doc);
    gw_check(json.ptr);
    return gw_slice_from(gw_arena_printf(arena, "%.*s\n", GW_SLICE_ARG(json)));
}

/* ── Rows in memory ────────────────────────────────────────────────────────────────────────── */

static void give_back(struct gw_delivery_log_firehose *sink, size_t bytes)
{
    atomic_fetch_sub_explicit(&sink->memory_bytes, bytes, memory_order_relaxed);
}

static void on_row(struct gw_msg *msg)
{
    struct queued *queued = gw_container_of(msg, struct queued, msg);
    struct gw_delivery_log_firehose *sink = queued->sink;

    gw_list_push(&sink->rows, &queued->msg.link);
    if (++sink->count == 1) {
        atomic_store_explicit(&sink->oldest_ms, queued->at_ms, memory_order_relaxed);
        sink->due_us = gw_env_mono_us(sink->env) + WAIT_US;
    }
    if (sink->count == 1 || sink->count >= GW_AWS_FIREHOSE_BATCH_MAX)
        step(sink);
}

static void add(struct gw_delivery_log *log, int64_t now_ms, struct gw_slice row)
{
    struct gw_delivery_log_firehose *sink = sink_of(log);
    size_t bytes = sizeof(struct queued) + row.len;
    size_t before = atomic_fetch_add_explicit(&sink->memory_bytes, bytes, memory_order_relaxed);

    if (before + bytes > sink->memory_bytes_max) {
        give_back(sink, bytes);
        atomic_fetch_add_explicit(&sink->dropped, 1, memory_order_relaxed);
        return;
    }
    struct queued *queued = gw_alloc(bytes);
    *queued = (struct queued){.msg.run = on_row, .sink = sink, .at_ms = now_ms, .len = row.len};
    memcpy(queued->row, row.ptr, row.len);
    gw_env_post(sink->env, &queued->msg);
}

static struct gw_delivery_log_state state(struct gw_delivery_log *log)
{
    struct gw_delivery_log_firehose *sink = sink_of(log);

    return (struct gw_delivery_log_state){
        .written = atomic_load(&sink->written),
        .dropped = atomic_load(&sink->dropped),
        .oldest_ms = atomic_load(&sink->oldest_ms),
    };
}

static void free_row(struct gw_delivery_log_firehose *sink, struct queued *queued)
{
    gw_list_remove(&queued->msg.link);
    sink->count--;
    give_back(sink, sizeof(*queued) + queued->len);
    gw_free(queued);
}

static void see_oldest(struct gw_delivery_log_firehose *sink)
{
    int64_t oldest_ms = 0;

    if (sink->count > 0)
        oldest_ms = gw_container_of(sink->rows.next, struct queued, msg.link)->at_ms;
    atomic_store_explicit(&sink->oldest_ms, oldest_ms, memory_order_relaxed);
}

/* ── A batch ───────────────────────────────────────────────────────────────────────────────── */

static void go_down(struct gw_delivery_log_firehose *sink, const char *why)
{
    if (sink->again_us == 0)
        gw_log(GW_LOG_WARN, "delivery_log_down", GW_S("why", why));
    sink->again_us = gw_env_mono_us(sink->env) + sink->backoff_us;
    sink->backoff_us =
        sink->backoff_us * 2 < BACKOFF_US_MAX ? sink->backoff_us * 2 : BACKOFF_US_MAX;
}

static void go_up(struct gw_delivery_log_firehose *sink)
{
    if (sink->again_us != 0)
        gw_log(GW_LOG_INFO, "delivery_log_up", GW_I("rows", sink->count));
    sink->again_us = 0;
    sink->backoff_us = BACKOFF_US;
}

/* Such a batch would be refused for ever, and keep the others back. */
static bool is_hopeless(const struct gw_error *error)
{
    return error->code == GW_ERR_INVALID || error->code == GW_ERR_TOO_LARGE;
}

static void on_put(struct gw_aws_firehose *put)
{
    struct gw_delivery_log_firehose *sink =
        gw_container_of(put, struct gw_delivery_log_firehose, put);
    bool drops = is_hopeless(&put->call.error);
    size_t i = 0;

    gw_list_each_safe (link, &sink->rows) {
        if (i == put->count)
            break;
        if (put->records[i++].is_put || drops)
            free_row(sink, gw_container_of(link, struct queued, msg.link));
    }
    atomic_fetch_add(&sink->written, put->count - put->failed);
    if (drops) {
        atomic_fetch_add(&sink->dropped, put->count);
        gw_log(GW_LOG_ERROR, "delivery_log_rows_refused", GW_S("why", put->call.error.text),
               GW_I("rows", put->count));
    } else if (put->failed > 0) {
        go_down(sink, put->call.error.code != GW_OK ? put->call.error.text
                                                    : "firehose put a part of a batch only");
    } else {
        go_up(sink);
        sink->due_us = gw_env_mono_us(sink->env) + WAIT_US; /* what came meanwhile is young */
    }
    gw_arena_reset(&sink->arena);
    sink->is_putting = false;
    see_oldest(sink);
    step(sink);
}

static void put(struct gw_delivery_log_firehose *sink)
{
    size_t bytes = 0, count = 0;

    gw_list_each (link, &sink->rows) {
        struct gw_slice line =
            line_of(gw_container_of(link, struct queued, msg.link), &sink->arena);
        bytes += line.len;
        if (count == GW_AWS_FIREHOSE_BATCH_MAX || bytes > GW_AWS_FIREHOSE_BYTES_MAX)
            break;
        sink->records[count++] = (struct gw_aws_record){.data = line};
    }
    sink->put = (struct gw_aws_firehose){
        .call =
            {
                .client = sink->client,
                .arena = &sink->arena,
                .deadline_us = gw_env_mono_us(sink->env) + PUT_US,
            },
        .stream = gw_slice_from(sink->stream),
        .records = sink->records,
        .count = count,
        .done = on_put,
    };
    sink->is_putting = true;
    gw_aws_firehose_put(&sink->put);
}

/* ── What is next ──────────────────────────────────────────────────────────────────────────── */

static void end_flush(struct gw_delivery_log_firehose *sink)
{
    struct gw_delivery_log_flush *flush = sink->flush;

    if (!flush)
        return;
    sink->flush = NULL;
    gw_env_timer_stop(sink->env, &flush->timer);
    flush->done(flush);
}

/* Does what is to be done now, or sees to it that it is done in time. */
static void step(struct gw_delivery_log_firehose *sink)
{
    int64_t now_us = gw_env_mono_us(sink->env), at_us = sink->again_us;

    if (sink->is_putting)
        return; /* on_put comes here */
    if (sink->count == 0) {
        end_flush(sink);
        return;
    }
    if (!sink->flush && sink->count < GW_AWS_FIREHOSE_BATCH_MAX && sink->due_us > at_us)
        at_us = sink->due_us;
    if (sink->flush && at_us > sink->flush->until_us)
        end_flush(sink);
    if (at_us > now_us)
        gw_env_timer_set(sink->env, &sink->timer, (at_us - now_us + 999) / 1000);
    else
        put(sink);
}

static void on_timer(struct gw_timer *timer)
{
    step(gw_container_of(timer, struct gw_delivery_log_firehose, timer));
}

static void on_flush_late(struct gw_timer *timer)
{
    end_flush(gw_container_of(timer, struct gw_delivery_log_flush, timer)->sink);
}

/* Behind all rows that were added before. */
static void on_flush(struct gw_msg *msg)
{
    struct gw_delivery_log_flush *flush = gw_container_of(msg, struct gw_delivery_log_flush, msg);

    gw_check(!flush->sink->flush);
    flush->sink->flush = flush;
    flush->until_us = gw_env_mono_us(flush->sink->env) + flush->within_ms * 1000;
    flush->timer.fire = on_flush_late;
    gw_env_timer_set(flush->sink->env, &flush->timer, flush->within_ms);
    step(flush->sink);
}

void gw_delivery_log_firehose_flush(struct gw_delivery_log_firehose *sink,
                                    struct gw_delivery_log_flush *flush)
{
    flush->sink = sink;
    flush->msg = (struct gw_msg){.run = on_flush};
    flush->timer = (struct gw_timer){0};
    gw_env_post(sink->env, &flush->msg);
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

struct gw_delivery_log_firehose *gw_delivery_log_firehose_create(struct gw_env *env,
                                                                 struct gw_aws_client *client,
                                                                 const char *stream,
                                                                 size_t memory_bytes_max)
{
    struct gw_delivery_log_firehose *sink = gw_zalloc(sizeof(*sink));

    sink->base = (struct gw_delivery_log){.add = add, .state = state};
    sink->env = env;
    sink->client = client;
    sink->stream = stream;
    sink->memory_bytes_max = memory_bytes_max;
    sink->backoff_us = BACKOFF_US;
    sink->timer.fire = on_timer;
    gw_list_init(&sink->rows);
    return sink;
}

void gw_delivery_log_firehose_destroy(struct gw_delivery_log_firehose *sink)
{
    size_t left = sink->count;

    gw_check(!sink->flush);
    gw_env_timer_stop(sink->env, &sink->timer);
    if (sink->is_putting)
        gw_aws_call_cancel(&sink->put.call);
    gw_list_each_safe (link, &sink->rows)
        free_row(sink, gw_container_of(link, struct queued, msg.link));
    gw_log(GW_LOG_INFO, "delivery_log_closed", GW_I("written", atomic_load(&sink->written)),
           GW_I("dropped", atomic_load(&sink->dropped) + left));
    gw_arena_deinit(&sink->arena);
    gw_free(sink);
}

struct gw_delivery_log *gw_delivery_log_firehose_log(struct gw_delivery_log_firehose *sink)
{
    return &sink->base;
}
