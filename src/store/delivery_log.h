/* delivery_log.h: the delivery log: what happened to each event and each attempt, row by row, for
 * reports in SQL. The tables with their columns, the rows, and the port behind which a sink keeps
 * them (log_writer.c: Redshift or PostgreSQL).
 *
 * Any thread may add a row. Adding never blocks and never fails: a sink that cannot take a row counts
 * it as dropped, and deliveries go on. A row that is kept may be inserted twice; its row_id is made of
 * what it tells of, so that both have the same one.
 *
 * A row holds ids, names, times, sizes and a URL without its query: never a payload, a header or a
 * secret. */
#pragma once

#include "base/buf.h"
#include "core/attempt.h"
#include "core/delivery.h"
#include "core/message.h"

/* ── Tables ────────────────────────────────────────────────────────────────────────────────── */

enum gw_delivery_log_type {
    GW_DELIVERY_LOG_TEXT,
    GW_DELIVERY_LOG_NUMBER,
    GW_DELIVERY_LOG_TIME, /* wall time, UTC */
    GW_DELIVERY_LOG_BOOL,
};

struct gw_delivery_log_column {
    const char *name;
    enum gw_delivery_log_type type;
    uint16_t bytes_max; /* of a text; what is longer is cut */
    bool is_required;
};

enum gw_delivery_log_table_id { GW_DELIVERY_LOG_DELIVERY, GW_DELIVERY_LOG_FAILURE };
#define GW_DELIVERY_LOG_TABLES      2
#define GW_DELIVERY_LOG_COLUMNS_MAX 32

struct gw_delivery_log_table {
    const char *name;
    const char *time; /* the column that reports go by */
    const struct gw_delivery_log_column *columns;
    size_t column_count;
};

extern const struct gw_delivery_log_table gw_delivery_log_tables[GW_DELIVERY_LOG_TABLES];

/* ── Rows ──────────────────────────────────────────────────────────────────────────────────── */

enum gw_delivery_log_phase {
    GW_DELIVERY_LOG_RECEIVED, /* every event that was accepted */
    GW_DELIVERY_LOG_SKIPPED,  /* those that go nowhere, beside their first row */
    GW_DELIVERY_LOG_PRE,      /* an attempt begins */
    GW_DELIVERY_LOG_POST,     /* its outcome is stored */
};

struct gw_delivery_log_event {
    enum gw_delivery_log_phase phase;
    const struct gw_message *message; /* with its id */
    struct gw_slice product;          /* ptr NULL = none */
    int64_t payload_bytes;            /* of the event; POST: as it was sent; < 0 = it was not */
    /* of an attempt; NULL before */
    const struct gw_id *delivery_id;
    const struct gw_attempt *attempt; /* PRE: n, at_ms, queue_us, config_version, url */
};

/* A failed attempt, or the death of a delivery without one. */
struct gw_delivery_log_failure {
    struct gw_slice app_id;
    struct gw_slice event_type;       /* ptr NULL = not known any more */
    const struct gw_attempt *attempt; /* NULL = without */
    const struct gw_delivery *next;   /* what the delivery is after it */
    int64_t failed_ms;
};

/* A message of the queue that no event came of; its row is the same however often that is found. */
struct gw_delivery_log_poison {
    struct gw_slice message_id; /* the queue's */
    const char *error;          /* for people; no part of a payload */
    int64_t failed_ms;
};

/* A row as bytes, the same in memory and on disk. They are self-contained; what is no row is seen. */
void gw_delivery_log_encode_event(struct gw_buf *out, const struct gw_delivery_log_event *event);
void gw_delivery_log_encode_failure(struct gw_buf *out,
                                    const struct gw_delivery_log_failure *failure);
void gw_delivery_log_encode_poison(struct gw_buf *out, const struct gw_delivery_log_poison *poison);

struct gw_delivery_log_value {
    bool is_null;
    struct gw_slice text; /* of a text; points into the row */
    int64_t number;       /* of all else */
};

/* One value for each column of the table; false: it is no row. */
bool gw_delivery_log_decode(struct gw_slice row, enum gw_delivery_log_table_id *table,
                            struct gw_delivery_log_value values[GW_DELIVERY_LOG_COLUMNS_MAX]);

/* ── The port ──────────────────────────────────────────────────────────────────────────────── */

/* Since the start, but for what is marked as of now. */
struct gw_delivery_log_state {
    uint64_t written; /* rows */
    uint64_t spooled; /* rows that went to the disk first */
    uint64_t dropped;
    int64_t spool_bytes; /* now on disk */
    int64_t oldest_ms;   /* when the oldest row that is not written now was added; 0 = none is */
};

/* One for all shards. */
struct gw_delivery_log {
    void (*add)(struct gw_delivery_log *log, int64_t now_ms, struct gw_slice row); /* copies it */
    struct gw_delivery_log_state (*state)(struct gw_delivery_log *log);
};

/* `log` NULL: nothing is logged, and nothing was. */
struct gw_delivery_log_state gw_delivery_log_state(struct gw_delivery_log *log);
void gw_delivery_log_event(struct gw_delivery_log *log, int64_t now_ms,
                           const struct gw_delivery_log_event *event);
void gw_delivery_log_failure(struct gw_delivery_log *log, int64_t now_ms,
                             const struct gw_delivery_log_failure *failure);
void gw_delivery_log_poison(struct gw_delivery_log *log, int64_t now_ms,
                            const struct gw_delivery_log_poison *poison);
