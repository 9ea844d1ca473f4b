/* stats_sql.c: owns a connection to the delivery log's database, a thread that waits for it, and the
 * statement that counts.
 *
 *   start ─▶ queue (bounded: else "again") ─▶ the thread: connect, ask, read ─▶ done, on op's env
 *
 * A row of the log may be there twice, and one row_id once for each time that an event which went
 * nowhere was sent again: so each row_id counts once. What died counts unless it was delivered since,
 * by a retry. A death without an attempt has no URL.
 *
 * Failure: the connection is made anew with the next question; the caller is told to come again. */
#include "store/stats_sql.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "store/delivery_log_sql.h"
#include "store/postgres.h"

#include <math.h>
#include <stdlib.h>

#define QUEUE_MAX 8
#define AGAIN_MS  5000
#define COLUMNS   11

struct gw_stats_sql {
    struct gw_ledger ledger;
    struct gw_postgres *postgres;
    struct gw_worker *worker;
    atomic_size_t queued;
    atomic_bool hurry;
};

/* ── The question ──────────────────────────────────────────────────────────────────────────── */

struct question {
    struct gw_buf *sql;
    struct gw_arena *arena;
    const char **values;
    uint32_t *types;
    size_t count;
};

/* "$n", for a value of that type. */
static void add_value(struct question *q, enum gw_delivery_log_type type,
                      struct gw_delivery_log_value value)
{
    gw_check(q->count < GW_STATS_SQL_PARAMETERS_MAX);
    q->types[q->count] = gw_delivery_log_sql_oid(type);
    q->values[q->count] = gw_delivery_log_sql_value(&value, type, q->arena);
    gw_buf_addf(q->sql, "$%zu", ++q->count);
}

static void add_time(struct question *q, const char *before, int64_t ms)
{
    gw_buf_adds(q->sql, gw_slice_from(before));
    add_value(q, GW_DELIVERY_LOG_TIME, (struct gw_delivery_log_value){.number = ms});
}

static void add_text(struct question *q, const char *before, struct gw_slice text)
{
    if (!text.ptr)
        return;
    gw_buf_adds(q->sql, gw_slice_from(before));
    add_value(q, GW_DELIVERY_LOG_TEXT, (struct gw_delivery_log_value){.text = text});
}

/* Milliseconds since 1970 of a TIMESTAMP: the dialects have no other way in common. */
#define MS(column)                                                                                 \
    "CAST(FLOOR(EXTRACT(EPOCH FROM " column ")) AS BIGINT) * 1000 + "                              \
    "CAST(TO_CHAR(" column ", 'MS') AS BIGINT)"

/* The events that are asked about, each once, with the bucket that it counts in. */
static void add_events(struct question *q, const struct gw_stats_op *op)
{
    gw_buf_addf(q->sql,
                "WITH event AS (SELECT message_id, app_id, event_type, "
                "MAX(received_at) AS received_at, DATE_TRUNC('%s', MAX(received_at)) AS bucket "
                "FROM webhook_delivery WHERE phase = 'received'",
                op->bucket_ms == GW_DAY_MS ? "day" : "hour");
    add_time(q, " AND received_at >= ", op->from_ms);
    add_time(q, " AND received_at < ", op->to_ms);
    add_text(q, " AND app_id = ", op->app_id);
    add_text(q, " AND event_type = ", op->event_type);
    gw_buf_adds(q->sql, GW_SLICE(" GROUP BY message_id, app_id, event_type)"));
}

/* Each of their attempts once. */
static void add_attempts(struct question *q)
{
    gw_buf_adds(q->sql,
                GW_SLICE(", attempt AS (SELECT DISTINCT d.row_id, d.delivery_id, d.message_id, "
                         "d.url, d.outcome, d.finished_at FROM webhook_delivery AS d "
                         "JOIN event ON event.message_id = d.message_id "
                         "WHERE d.phase = 'post_delivery' AND d.received_at >= $1)"));
}

/* Everything that counts, one a row; a URL has no events. */
static void add_counted(struct question *q, const struct gw_stats_op *op)
{
    gw_buf_adds(q->sql, GW_SLICE(", counted AS ("));
    if (!op->url.ptr)
        gw_buf_adds(q->sql,
                    GW_SLICE("SELECT message_id, 'received' AS kind, CAST(NULL AS BIGINT) AS ms "
                             "FROM event UNION ALL SELECT DISTINCT d.message_id, 'skipped', "
                             "CAST(NULL AS BIGINT) FROM webhook_delivery AS d "
                             "JOIN event ON event.message_id = d.message_id "
                             "WHERE d.phase = 'skipped' AND d.received_at >= $1 UNION ALL "));
    gw_buf_adds(q->sql,
                GW_SLICE("SELECT attempt.message_id, CASE WHEN outcome = 'success' "
                         "THEN 'delivered' ELSE 'failed' END AS kind, "
                         "CASE WHEN outcome = 'success' THEN " MS("finished_at") " - (" MS(
                             "received_at") ") END AS ms FROM attempt "
                                            "JOIN event ON event.message_id = attempt.message_id"));
    add_text(q, " WHERE attempt.url = ", op->url);
    gw_buf_adds(q->sql, GW_SLICE(" UNION ALL SELECT death.message_id, 'dead', CAST(NULL AS BIGINT) "
                                 "FROM (SELECT DISTINCT f.message_id, f.delivery_id "
                                 "FROM webhook_failure AS f "
                                 "JOIN event ON event.message_id = f.message_id "
                                 "LEFT JOIN attempt ON attempt.delivery_id = f.delivery_id "
                                 "AND attempt.outcome = 'success' "
                                 "WHERE f.is_final AND attempt.delivery_id IS NULL"));
    add_text(q, " AND f.url = ", op->url);
    gw_buf_adds(q->sql, GW_SLICE(") AS death)"));
}

static void add_sums(struct gw_buf *sql)
{
    gw_buf_adds(
        sql,
        GW_SLICE(" SELECT " MS(
            "event.bucket") " AS bucket_ms, event.app_id, event.event_type, "
                            "SUM(CASE WHEN kind = 'received' THEN 1 ELSE 0 END) AS received, "
                            "SUM(CASE WHEN kind = 'skipped' THEN 1 ELSE 0 END) AS skipped, "
                            "SUM(CASE WHEN kind = 'delivered' THEN 1 ELSE 0 END) AS delivered, "
                            "SUM(CASE WHEN kind = 'dead' THEN 1 ELSE 0 END) AS dead, "
                            "SUM(CASE WHEN kind = 'failed' THEN 1 ELSE 0 END) AS failed, "
                            "PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY ms) AS p50_ms, "
                            "PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY ms) AS p95_ms, "
                            "PERCENTILE_CONT(0.99) WITHIN GROUP (ORDER BY ms) AS p99_ms "
                            "FROM counted JOIN event ON event.message_id = counted.message_id "
                            "GROUP BY event.bucket, event.app_id, event.event_type "
                            "ORDER BY event.bucket, event.app_id, event.event_type LIMIT "));
    gw_buf_addi(sql, GW_STATS_MAX + 1);
}

size_t gw_stats_sql_question(const struct gw_stats_op *op, struct gw_arena *arena,
                             struct gw_buf *sql, const char *values[GW_STATS_SQL_PARAMETERS_MAX],
                             uint32_t types[GW_STATS_SQL_PARAMETERS_MAX])
{
    struct question q = {.sql = sql, .arena = arena, .values = values, .types = types};

    add_events(&q, op);
    add_attempts(&q);
    add_counted(&q, op);
    add_sums(sql);
    return q.count;
}

/* ── The answer ────────────────────────────────────────────────────────────────────────────── */

struct reading {
    struct gw_postgres_answer answer;
    struct gw_stats_op *op;
    struct gw_buf rows; /* of struct gw_stats_row */
    size_t count;
};

static int64_t number(const char *text)
{
    return text ? llround(strtod(text, NULL)) : 0;
}

static void on_row(struct gw_postgres_answer *answer, const char *const *values, size_t count)
{
    struct reading *reading = gw_container_of(answer, struct reading, answer);
    struct gw_arena *arena = reading->op->arena;

    gw_check(count == COLUMNS);
    struct gw_stats_row row = {
        .bucket_ms = number(values[0]),
        .app_id = gw_arena_dup(arena, gw_slice_from(values[1])),
        .event_type = gw_arena_dup(arena, gw_slice_from(values[2])),
        .received = number(values[3]),
        .skipped = number(values[4]),
        .delivered = number(values[5]),
        .dead = number(values[6]),
        .failed = number(values[7]),
        .latency = {.count = (uint64_t)number(values[5]),
                    .p50_ms = number(values[8]),
                    .p95_ms = number(values[9]),
                    .p99_ms = number(values[10])},
    };
    gw_buf_add(&reading->rows, &row, sizeof(row));
    reading->count++;
}

static enum gw_err ask(struct gw_stats_sql *stats, struct gw_stats_op *op, struct gw_error *error)
{
    struct reading reading = {.answer = {on_row}, .op = op};
    struct gw_arena arena = {0};
    struct gw_buf sql = {0};
    const char *values[GW_STATS_SQL_PARAMETERS_MAX];
    uint32_t types[GW_STATS_SQL_PARAMETERS_MAX];
    enum gw_err err = GW_OK;

    struct gw_postgres_parameters parameters = {.values = values, .types = types};
    parameters.count = gw_stats_sql_question(op, &arena, &sql, values, types);
    if (!gw_postgres_is_connected(stats->postgres))
        err = gw_postgres_connect(stats->postgres, error);
    if (err == GW_OK)
        err = gw_postgres_run(stats->postgres, gw_buf_text(&sql), &parameters, &reading.answer,
                              error);
    if (err == GW_OK && reading.count > GW_STATS_MAX)
        err = GW_ERR_TOO_LARGE;
    if (err == GW_OK) {
        op->rows = gw_arena_alloc(op->arena, reading.rows.len);
        if (reading.count > 0)
            memcpy(op->rows, reading.rows.ptr, reading.rows.len);
        op->count = reading.count;
    }
    gw_buf_deinit(&reading.rows);
    gw_buf_deinit(&sql);
    gw_arena_deinit(&arena);
    return err;
}

/* ── The port ──────────────────────────────────────────────────────────────────────────────── */

static void complete(struct gw_msg *msg)
{
    struct gw_op *op = gw_container_of(msg, struct gw_op, msg);
    op->done(op);
}

static void finish(struct gw_op *op, enum gw_err err)
{
    op->err = err;
    op->again_ms = gw_err_class(err) == GW_CLASS_AGAIN ? AGAIN_MS : 0;
    op->msg.run = complete;
    gw_env_post(op->env, &op->msg);
}

/* No database takes a NUL: nothing is called so. */
static bool holds_nul(struct gw_slice text)
{
    return text.len > 0 && memchr(text.ptr, '\0', text.len);
}

static enum gw_err answer(struct gw_stats_sql *stats, struct gw_stats_op *op)
{
    struct gw_error error = {0};

    if (op->op.deadline_us && gw_env_mono_us(op->op.env) > op->op.deadline_us)
        return GW_ERR_TIMEOUT;
    if (!gw_stats_whole(op->from_ms, op->to_ms, op->bucket_ms))
        return GW_ERR_INVALID;
    if (holds_nul(op->app_id) || holds_nul(op->event_type) || holds_nul(op->url))
        return GW_OK;
    enum gw_err err = ask(stats, op, &error);
    if (err != GW_OK && err != GW_ERR_TOO_LARGE) {
        gw_log(GW_LOG_WARN, "stats_failed", GW_S("error", gw_err_name(err)),
               GW_S("why", error.text));
        err = gw_err_class(err) == GW_CLASS_AGAIN ? err : GW_ERR_UNAVAILABLE;
    }
    return err;
}

static void on_batch(void *ctx, struct gw_list *batch)
{
    struct gw_stats_sql *stats = ctx;
    struct gw_list *node;

    while ((node = gw_list_pop(batch))) {
        struct gw_msg *msg = gw_container_of(node, struct gw_msg, link);
        struct gw_op *op = gw_container_of(msg, struct gw_op, msg);
        struct gw_stats_op *stats_op = gw_container_of(op, struct gw_stats_op, op);
        enum gw_err err = atomic_load(&stats->hurry) ? GW_ERR_STOPPED : answer(stats, stats_op);
        atomic_fetch_sub(&stats->queued, 1);
        finish(op, err);
    }
}

static void start(struct gw_ledger *ledger, struct gw_op *op)
{
    struct gw_stats_sql *stats = gw_container_of(ledger, struct gw_stats_sql, ledger);

    gw_check(op->kind == GW_CALL_STATS);
    if (atomic_fetch_add(&stats->queued, 1) >= QUEUE_MAX) {
        atomic_fetch_sub(&stats->queued, 1);
        finish(op, GW_ERR_BUSY);
        return;
    }
    gw_worker_post(stats->worker, &op->msg);
}

struct gw_ledger *gw_stats_sql_ledger(struct gw_stats_sql *stats)
{
    return &stats->ledger;
}

void gw_stats_sql_hurry(struct gw_stats_sql *stats)
{
    atomic_store(&stats->hurry, true);
}

struct gw_stats_sql *gw_stats_sql_create(struct gw_env *env, const char *url)
{
    struct gw_stats_sql *stats = gw_zalloc(sizeof(*stats));

    stats->ledger.start = start;
    stats->postgres = gw_postgres_create(env, url, &stats->hurry);
    stats->worker = gw_worker_start(env, "stats", on_batch, stats);
    return stats;
}

void gw_stats_sql_destroy(struct gw_stats_sql *stats)
{
    if (!stats)
        return;
    gw_worker_stop(stats->worker);
    gw_postgres_destroy(stats->postgres);
    gw_free(stats);
}
