/* delivery_log.c: owns the description of the log's tables, and the rows as bytes:
 *
 *   row:    table (1 byte), then a value for each of its columns, in order
 *   text:   length (2 bytes, 65535 = null), bytes of UTF-8
 *   others: 8 bytes, the least integer = null
 *
 * Integers are little-endian. Pure; any thread. */
#include "store/delivery_log.h"

#include "base/alloc.h"
#include "base/check.h"
#include "core/url.h"

#include <stdio.h>

#define NULL_LENGTH UINT16_MAX
#define NULL_NUMBER INT64_MIN
#define ROW_USUAL   512 /* bytes */
#define ROW_ID_MAX  64

/* ── Tables ────────────────────────────────────────────────────────────────────────────────── */

#define TEXT(name, bytes)                                                                          \
    {                                                                                              \
        name, GW_DELIVERY_LOG_TEXT, bytes, false                                                   \
    }
#define NAME(name) TEXT(name, GW_NAME_BYTES_MAX)
#define NUMBER(name)                                                                               \
    {                                                                                              \
        name, GW_DELIVERY_LOG_NUMBER, 0, false                                                     \
    }
#define TIME(name)                                                                                 \
    {                                                                                              \
        name, GW_DELIVERY_LOG_TIME, 0, false                                                       \
    }

static const struct gw_delivery_log_column delivery_columns[] = {
    {"row_id", GW_DELIVERY_LOG_TEXT, ROW_ID_MAX, true},
    {"phase", GW_DELIVERY_LOG_TEXT, 16, true},
    {"message_id", GW_DELIVERY_LOG_TEXT, GW_ID_TEXT_MAX, true},
    NAME("event_id"),
    {"app_id", GW_DELIVERY_LOG_TEXT, GW_NAME_BYTES_MAX, true},
    {"event_type", GW_DELIVERY_LOG_TEXT, GW_NAME_BYTES_MAX, true},
    NAME("product"),
    NAME("transaction_id"),
    NAME("workflow_id"),
    TEXT("delivery_id", GW_ID_TEXT_MAX),
    NUMBER("attempt"),
    TEXT("url", GW_URL_BYTES_MAX),
    NUMBER("status_code"),
    TEXT("outcome", 16),
    TEXT("skip_reason", 16),
    {"received_at", GW_DELIVERY_LOG_TIME, 0, true},
    TIME("sent_at"),
    TIME("finished_at"),
    NUMBER("queue_ms"),
    NUMBER("dns_ms"),
    NUMBER("connect_ms"),
    NUMBER("tls_ms"),
    NUMBER("first_byte_ms"),
    NUMBER("total_ms"),
    NUMBER("payload_bytes"),
    NUMBER("config_version"),
};

static const struct gw_delivery_log_column failure_columns[] = {
    {"row_id", GW_DELIVERY_LOG_TEXT, ROW_ID_MAX, true},
    TEXT("message_id", GW_ID_TEXT_MAX),
    TEXT("delivery_id", GW_ID_TEXT_MAX),
    NAME("app_id"),
    NAME("event_type"),
    TEXT("url", GW_URL_BYTES_MAX),
    NUMBER("attempt"),
    {"failure_class", GW_DELIVERY_LOG_TEXT, 32, true},
    TEXT("error", 512),
    {"is_final", GW_DELIVERY_LOG_BOOL, 0, true},
    TIME("next_attempt_at"),
    {"failed_at", GW_DELIVERY_LOG_TIME, 0, true},
};

const struct gw_delivery_log_table gw_delivery_log_tables[GW_DELIVERY_LOG_TABLES] = {
    [GW_DELIVERY_LOG_DELIVERY] = {"webhook_delivery", "received_at", delivery_columns,
                                  gw_count(delivery_columns)},
    [GW_DELIVERY_LOG_FAILURE] = {"webhook_failure", "failed_at", failure_columns,
                                 gw_count(failure_columns)},
};

_Static_assert(gw_count(delivery_columns) <= GW_DELIVERY_LOG_COLUMNS_MAX, "raise the ceiling");

/* ── Writing ───────────────────────────────────────────────────────────────────────────────── */

/* A row being written; each value is checked against the column whose turn it is. */
struct writer {
    struct gw_buf *out;
    const struct gw_delivery_log_table *table;
    size_t at;
};

static struct writer begin(struct gw_buf *out, enum gw_delivery_log_table_id id)
{
    gw_buf_reserve(out, ROW_USUAL);
    gw_buf_addc(out, (char)id);
    return (struct writer){.out = out, .table = &gw_delivery_log_tables[id]};
}

static const struct gw_delivery_log_column *next_column(struct writer *w)
{
    gw_check(w->at < w->table->column_count);
    return &w->table->columns[w->at++];
}

static void end(const struct writer *w)
{
    gw_check(w->at == w->table->column_count);
}

static void add_integer(struct gw_buf *out, uint64_t number, size_t bytes)
{
    char little[8];
    for (size_t i = 0; i < bytes; i++)
        little[i] = (char)(number >> 8 * i & 0xFF);
    gw_buf_add(out, little, bytes);
}

/* At most so many bytes of it, and no half character. */
static size_t cut(struct gw_slice text, size_t bytes_max)
{
    if (text.len <= bytes_max)
        return text.len;
    size_t len = bytes_max;
    while (len > 0 && ((unsigned char)text.ptr[len] & 0xC0) == 0x80)
        len--;
    return len;
}

/* No database takes a NUL or what is not UTF-8, and one bad text would keep its whole batch out. */
static void add_clean(struct gw_buf *out, struct gw_slice text)
{
    bool is_utf8 = gw_slice_is_utf8(text);
    if (is_utf8 && !memchr(text.ptr, '\0', text.len)) {
        gw_buf_adds(out, text);
        return;
    }
    for (size_t i = 0; i < text.len; i++) {
        bool is_bad = text.ptr[i] == '\0' || (!is_utf8 && ((unsigned char)text.ptr[i] & 0x80));
        gw_buf_addc(out, is_bad ? '?' : text.ptr[i]);
    }
}

static void add_text(struct writer *w, struct gw_slice text)
{
    const struct gw_delivery_log_column *column = next_column(w);
    gw_check(column->type == GW_DELIVERY_LOG_TEXT && (text.ptr || !column->is_required));
    if (!text.ptr) {
        add_integer(w->out, NULL_LENGTH, 2);
        return;
    }
    text.len = cut(text, column->bytes_max);
    add_integer(w->out, text.len, 2);
    add_clean(w->out, text);
}

static void add_value(struct writer *w, enum gw_delivery_log_type type, int64_t value)
{
    const struct gw_delivery_log_column *column = next_column(w);
    gw_check(column->type == type && (value != NULL_NUMBER || !column->is_required));
    add_integer(w->out, (uint64_t)value, 8);
}

static void add_number(struct writer *w, int64_t number)
{
    add_value(w, GW_DELIVERY_LOG_NUMBER, number);
}

static void add_time(struct writer *w, int64_t ms)
{
    add_value(w, GW_DELIVERY_LOG_TIME, ms);
}

static int64_t rounded_ms(int64_t us)
{
    return (us + 500) / 1000;
}

/* ── Events and attempts ───────────────────────────────────────────────────────────────────── */

static const struct {
    const char *name, *suffix; /* of the row_id */
} phases[] = {
    [GW_DELIVERY_LOG_RECEIVED] = {"received", "received"},
    [GW_DELIVERY_LOG_SKIPPED] = {"skipped", "skipped"},
    [GW_DELIVERY_LOG_PRE] = {"pre_delivery", "pre"},
    [GW_DELIVERY_LOG_POST] = {"post_delivery", "post"},
};

static struct gw_slice attempt_row_id(char text[ROW_ID_MAX], struct gw_slice delivery, uint32_t n,
                                      const char *suffix)
{
    int len = snprintf(text, ROW_ID_MAX, "%.*s-%u-%s", GW_SLICE_ARG(delivery), n, suffix);
    gw_check(len > 0 && len < ROW_ID_MAX);
    return (struct gw_slice){text, (size_t)len};
}

static struct gw_slice event_row_id(char text[ROW_ID_MAX], struct gw_slice message,
                                    const char *suffix)
{
    int len = snprintf(text, ROW_ID_MAX, "%.*s-%s", GW_SLICE_ARG(message), suffix);
    gw_check(len > 0 && len < ROW_ID_MAX);
    return (struct gw_slice){text, (size_t)len};
}

/* Where it went, what came of it, and when: as far as that is known in this phase. */
static void add_attempt(struct writer *w, const struct gw_delivery_log_event *event,
                        struct gw_slice delivery)
{
    const struct gw_attempt *attempt = event->attempt;
    const struct gw_message *message = event->message;
    bool is_over = event->phase == GW_DELIVERY_LOG_POST;
    bool is_skip = event->phase == GW_DELIVERY_LOG_SKIPPED;
    add_text(w, delivery);
    add_number(w, attempt ? attempt->n : NULL_NUMBER);
    add_text(w, attempt ? gw_url_shown(attempt->url) : (struct gw_slice){0});
    add_number(w, is_over && attempt->status ? attempt->status : NULL_NUMBER);
    add_text(w, gw_slice_from(is_over ? gw_outcome_name(attempt->outcome) : NULL));
    add_text(w, gw_slice_from(is_skip ? gw_skip_name(message->skip) : NULL));
    add_time(w, message->accepted_ms);
    add_time(w, attempt ? attempt->at_ms : NULL_NUMBER);
    add_time(w, is_over ? attempt->at_ms + rounded_ms(attempt->total_us) : NULL_NUMBER);
    add_number(w, attempt ? rounded_ms(attempt->queue_us) : NULL_NUMBER);
    add_number(w, is_over ? rounded_ms(attempt->dns_us) : NULL_NUMBER);
    add_number(w, is_over ? rounded_ms(attempt->connect_us) : NULL_NUMBER);
    add_number(w, is_over ? rounded_ms(attempt->tls_us) : NULL_NUMBER);
    add_number(w, is_over ? rounded_ms(attempt->first_byte_us) : NULL_NUMBER);
    add_number(w, is_over ? rounded_ms(attempt->total_us) : NULL_NUMBER);
}

void gw_delivery_log_encode_event(struct gw_buf *out, const struct gw_delivery_log_event *event)
{
    const struct gw_message *message = event->message;
    const struct gw_attempt *attempt = event->attempt;
    uint64_t version = attempt ? attempt->config_version : message->config_version;
    char message_text[GW_ID_TEXT_MAX], delivery_text[GW_ID_TEXT_MAX], row_id[ROW_ID_MAX];
    struct gw_slice id = gw_id_text(GW_ID_MESSAGE, &message->id, message_text), delivery = {0};
    bool is_attempt = event->phase >= GW_DELIVERY_LOG_PRE;
    gw_check(is_attempt == (attempt != NULL) && is_attempt == (event->delivery_id != NULL));
    if (is_attempt)
        delivery = gw_id_text(GW_ID_DELIVERY, event->delivery_id, delivery_text);
    const char *suffix = phases[event->phase].suffix;

    struct writer w = begin(out, GW_DELIVERY_LOG_DELIVERY);
    add_text(&w, is_attempt ? attempt_row_id(row_id, delivery, attempt->n, suffix)
                            : event_row_id(row_id, id, suffix));
    add_text(&w, gw_slice_from(phases[event->phase].name));
    add_text(&w, id);
    add_text(&w, message->event_id);
    add_text(&w, message->app_id);
    add_text(&w, message->event_type);
    add_text(&w, event->product);
    add_text(&w, message->transaction_id);
    add_text(&w, message->workflow_id);
    add_attempt(&w, event, delivery);
    add_number(&w, event->payload_bytes >= 0 ? event->payload_bytes : NULL_NUMBER);
    add_number(&w, version ? (int64_t)version : NULL_NUMBER);
    end(&w);
}

/* ── Failures ──────────────────────────────────────────────────────────────────────────────── */

void gw_delivery_log_encode_failure(struct gw_buf *out,
                                    const struct gw_delivery_log_failure *failure)
{
    const struct gw_attempt *attempt = failure->attempt;
    const struct gw_delivery *next = failure->next;
    bool is_final = next->state != GW_DELIVERY_PENDING;
    char message_text[GW_ID_TEXT_MAX], delivery_text[GW_ID_TEXT_MAX], row_id[ROW_ID_MAX];
    struct gw_slice delivery = gw_id_text(GW_ID_DELIVERY, &next->id, delivery_text);

    struct writer w = begin(out, GW_DELIVERY_LOG_FAILURE);
    add_text(&w, attempt_row_id(row_id, delivery, attempt ? attempt->n : next->attempts,
                                attempt ? "failure" : "end"));
    add_text(&w, gw_id_text(GW_ID_MESSAGE, &next->message_id, message_text));
    add_text(&w, delivery);
    add_text(&w, failure->app_id);
    add_text(&w, failure->event_type);
    add_text(&w, attempt ? gw_url_shown(attempt->url) : (struct gw_slice){0});
    add_number(&w, attempt ? attempt->n : NULL_NUMBER);
    add_text(&w, gw_slice_from(attempt ? gw_outcome_name(attempt->outcome)
                                       : gw_end_reason_name(next->reason)));
    add_text(&w, attempt ? attempt->error : gw_slice_from(gw_end_reason_text(next->reason)));
    add_value(&w, GW_DELIVERY_LOG_BOOL, is_final);
    add_time(&w, is_final ? NULL_NUMBER : next->due_ms);
    add_time(&w, failure->failed_ms);
    end(&w);
}

void gw_delivery_log_encode_poison(struct gw_buf *out, const struct gw_delivery_log_poison *poison)
{
    const struct gw_slice none = {0};
    char row_id[ROW_ID_MAX];
    int len = snprintf(row_id, sizeof(row_id), "sqs-%.*s", GW_SLICE_ARG(poison->message_id));
    if ((size_t)len >= sizeof(row_id))
        len = (int)sizeof(row_id) - 1; /* an id that SQS would not make */

    struct writer w = begin(out, GW_DELIVERY_LOG_FAILURE);
    add_text(&w, (struct gw_slice){row_id, (size_t)len});
    for (size_t i = 0; i < 5; i++) /* message_id delivery_id app_id event_type url */
        add_text(&w, none);
    add_number(&w, NULL_NUMBER);
    add_text(&w, GW_SLICE("poison"));
    add_text(&w, gw_slice_from(poison->error));
    add_value(&w, GW_DELIVERY_LOG_BOOL, true);
    add_time(&w, NULL_NUMBER);
    add_time(&w, poison->failed_ms);
    end(&w);
}

/* ── Reading ───────────────────────────────────────────────────────────────────────────────── */

static bool take_integer(struct gw_slice *rest, size_t bytes, uint64_t *number)
{
    if (rest->len < bytes)
        return false;
    *number = 0;
    for (size_t i = 0; i < bytes; i++)
        *number |= (uint64_t)(unsigned char)rest->ptr[i] << 8 * i;
    *rest = gw_slice_skip(*rest, bytes);
    return true;
}

static bool take_text(struct gw_slice *rest, size_t bytes_max, struct gw_delivery_log_value *value)
{
    uint64_t len;
    if (!take_integer(rest, 2, &len))
        return false;
    *value = (struct gw_delivery_log_value){.is_null = len == NULL_LENGTH};
    if (value->is_null)
        return true;
    if (len > rest->len || len > bytes_max)
        return false;
    value->text = (struct gw_slice){rest->ptr, (size_t)len};
    *rest = gw_slice_skip(*rest, (size_t)len);
    return true;
}

static bool take_number(struct gw_slice *rest, struct gw_delivery_log_value *value)
{
    uint64_t number;
    if (!take_integer(rest, 8, &number))
        return false;
    *value = (struct gw_delivery_log_value){.number = (int64_t)number,
                                            .is_null = (int64_t)number == NULL_NUMBER};
    return true;
}

bool gw_delivery_log_decode(struct gw_slice row, enum gw_delivery_log_table_id *table,
                            struct gw_delivery_log_value values[GW_DELIVERY_LOG_COLUMNS_MAX])
{
    if (row.len == 0 || (unsigned char)row.ptr[0] >= GW_DELIVERY_LOG_TABLES)
        return false;
    *table = (enum gw_delivery_log_table_id)row.ptr[0];
    const struct gw_delivery_log_table *found = &gw_delivery_log_tables[*table];
    row = gw_slice_skip(row, 1);
    for (size_t i = 0; i < found->column_count; i++) {
        const struct gw_delivery_log_column *column = &found->columns[i];
        bool is_there = column->type == GW_DELIVERY_LOG_TEXT
                            ? take_text(&row, column->bytes_max, &values[i])
                            : take_number(&row, &values[i]);
        if (!is_there || (values[i].is_null && column->is_required))
            return false;
    }
    return row.len == 0;
}

/* ── The port ──────────────────────────────────────────────────────────────────────────────── */

struct gw_delivery_log_state gw_delivery_log_state(struct gw_delivery_log *log)
{
    return log ? log->state(log) : (struct gw_delivery_log_state){0};
}

void gw_delivery_log_event(struct gw_delivery_log *log, int64_t now_ms,
                           const struct gw_delivery_log_event *event)
{
    struct gw_buf row = {0};
    if (!log)
        return;
    gw_delivery_log_encode_event(&row, event);
    log->add(log, now_ms, gw_buf_slice(&row));
    gw_buf_deinit(&row);
}

void gw_delivery_log_failure(struct gw_delivery_log *log, int64_t now_ms,
                             const struct gw_delivery_log_failure *failure)
{
    struct gw_buf row = {0};
    if (!log)
        return;
    gw_delivery_log_encode_failure(&row, failure);
    log->add(log, now_ms, gw_buf_slice(&row));
    gw_buf_deinit(&row);
}

void gw_delivery_log_poison(struct gw_delivery_log *log, int64_t now_ms,
                            const struct gw_delivery_log_poison *poison)
{
    struct gw_buf row = {0};
    if (!log)
        return;
    gw_delivery_log_encode_poison(&row, poison);
    log->add(log, now_ms, gw_buf_slice(&row));
    gw_buf_deinit(&row);
}
