/* delivery_log.c: rows of the delivery log as bytes, what they must not tell, and the spool: what was
 * put in comes out, once it is taken it is gone, and a file cut short anywhere costs its end only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "store/delivery_log.h"
#include "store/delivery_log_spool.h"
#include "store/delivery_log_sql.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ── Rows ──────────────────────────────────────────────────────────────────────────────────── */

struct row {
    struct gw_buf bytes;
    const struct gw_delivery_log_table *table;
    struct gw_delivery_log_value values[GW_DELIVERY_LOG_COLUMNS_MAX];
};

static void read_row(struct row *row)
{
    enum gw_delivery_log_table_id id;
    assert_true(gw_delivery_log_decode(gw_buf_slice(&row->bytes), &id, row->values));
    row->table = &gw_delivery_log_tables[id];
}

static const struct gw_delivery_log_value *value_of(const struct row *row, const char *column)
{
    for (size_t i = 0; i < row->table->column_count; i++)
        if (strcmp(row->table->columns[i].name, column) == 0)
            return &row->values[i];
    fail_msg("no column %s", column);
    return NULL;
}

static void assert_text(const struct row *row, const char *column, const char *text)
{
    const struct gw_delivery_log_value *value = value_of(row, column);
    assert_int_equal(value->is_null, text == NULL);
    if (text && !gw_slice_is(value->text, text))
        fail_msg("%s: \"%.*s\", not \"%s\"", column, GW_SLICE_ARG(value->text), text);
}

static void assert_number(const struct row *row, const char *column, int64_t number)
{
    const struct gw_delivery_log_value *value = value_of(row, column);
    assert_false(value->is_null);
    assert_int_equal(value->number, number);
}

static void assert_absent(const struct row *row, const char *column)
{
    assert_true(value_of(row, column)->is_null);
}

static struct gw_message *message_of(const char *event_id)
{
    struct gw_event event = {
        .body = GW_SLICE("{\"secret\":\"payload\"}"),
        .app_id = GW_SLICE("acme"),
        .event_type = GW_SLICE("DONE"),
        .event_id = gw_slice_from(event_id),
    };
    struct gw_message *message = gw_message_create(&event, 1700000000123);
    message->id = (struct gw_id){.len = 16, .bytes = "0123456789abcdef"};
    message->config_version = 7;
    return message;
}

static const struct gw_id delivery_id = {.len = 16, .bytes = "fedcba9876543210"};

static const struct gw_attempt attempt = {
    .n = 3,
    .at_ms = 1700000001000,
    .outcome = GW_OUTCOME_HTTP_ERROR,
    .status = 503,
    .queue_us = 1500,
    .dns_us = 499,
    .connect_us = 500,
    .tls_us = 20000,
    .first_byte_us = 30000,
    .total_us = 52400,
    .config_version = 9,
    .url = {"https://example.com/hook?token=hidden", 37},
    .error = {"answered 503", 12},
    .excerpt = {"what the client said", 20},
};

static void encode(struct row *row, enum gw_delivery_log_phase phase,
                   const struct gw_message *message)
{
    bool is_attempt = phase >= GW_DELIVERY_LOG_PRE;
    gw_delivery_log_encode_event(&row->bytes, &(struct gw_delivery_log_event){
                                                  .phase = phase,
                                                  .message = message,
                                                  .payload_bytes = 20,
                                                  .delivery_id = is_attempt ? &delivery_id : NULL,
                                                  .attempt = is_attempt ? &attempt : NULL,
                                              });
    read_row(row);
}

static void test_received(void **state)
{
    struct gw_message *message = message_of(NULL);
    struct row row = {0};
    (void)state;
    encode(&row, GW_DELIVERY_LOG_RECEIVED, message);
    assert_text(&row, "row_id", "msg_gaytemzugu3doobzmfrggzdfmy-received");
    assert_text(&row, "phase", "received");
    assert_text(&row, "app_id", "acme");
    assert_text(&row, "event_id", NULL);
    assert_text(&row, "url", NULL);
    assert_text(&row, "skip_reason", NULL);
    assert_number(&row, "received_at", 1700000000123);
    assert_number(&row, "payload_bytes", 20);
    assert_number(&row, "config_version", 7);
    assert_absent(&row, "attempt");
    assert_absent(&row, "sent_at");
    assert_absent(&row, "total_ms");
    gw_buf_deinit(&row.bytes);
    gw_message_unref(message);
}

static void test_skipped(void **state)
{
    struct gw_message *message = message_of("e-1");
    struct row row = {0};
    (void)state;
    message->skip = GW_SKIP_FILTERED;
    encode(&row, GW_DELIVERY_LOG_SKIPPED, message);
    assert_text(&row, "phase", "skipped");
    assert_text(&row, "event_id", "e-1");
    assert_text(&row, "skip_reason", "filtered");
    gw_buf_deinit(&row.bytes);
    gw_message_unref(message);
}

static void test_attempt(void **state)
{
    struct gw_message *message = message_of("e-1");
    struct row before = {0}, after = {0};
    (void)state;
    encode(&before, GW_DELIVERY_LOG_PRE, message);
    assert_text(&before, "phase", "pre_delivery");
    assert_text(&before, "url", "https://example.com/hook");
    assert_number(&before, "attempt", 3);
    assert_number(&before, "sent_at", 1700000001000);
    assert_number(&before, "config_version", 9);
    assert_text(&before, "outcome", NULL);
    assert_absent(&before, "finished_at");
    encode(&after, GW_DELIVERY_LOG_POST, message);
    assert_text(&after, "phase", "post_delivery");
    assert_text(&after, "url", "https://example.com/hook");
    assert_text(&after, "outcome", "http_error");
    assert_number(&after, "status_code", 503);
    assert_number(&after, "finished_at", 1700000001052);
    assert_number(&after, "queue_ms", 2);
    assert_number(&after, "dns_ms", 0);
    assert_number(&after, "connect_ms", 1);
    assert_number(&after, "total_ms", 52);
    assert_false(gw_slice_eq(value_of(&before, "row_id")->text, value_of(&after, "row_id")->text));
    assert_ptr_equal(memmem(after.bytes.ptr, after.bytes.len, "hidden", 6), NULL);
    assert_ptr_equal(memmem(after.bytes.ptr, after.bytes.len, "secret", 6), NULL);
    assert_ptr_equal(memmem(after.bytes.ptr, after.bytes.len, "client said", 11), NULL);
    gw_buf_deinit(&before.bytes);
    gw_buf_deinit(&after.bytes);
    gw_message_unref(message);
}

static void test_failure(void **state)
{
    struct gw_delivery next = {.id = delivery_id, .attempts = 3, .due_ms = 1700000009000};
    struct gw_delivery_log_failure failure = {
        .app_id = GW_SLICE("acme"),
        .attempt = &attempt,
        .next = &next,
        .failed_ms = 1700000001052,
    };
    struct row again = {0}, dead = {0};
    (void)state;
    next.message_id = (struct gw_id){.len = 16, .bytes = "0123456789abcdef"};
    gw_delivery_log_encode_failure(&again.bytes, &failure);
    read_row(&again);
    assert_text(&again, "failure_class", "http_error");
    assert_text(&again, "error", "answered 503");
    assert_text(&again, "url", "https://example.com/hook");
    assert_number(&again, "is_final", 0);
    assert_number(&again, "next_attempt_at", 1700000009000);
    failure.attempt = NULL;
    next.state = GW_DELIVERY_DEAD;
    next.reason = GW_END_EXPIRED;
    gw_delivery_log_encode_failure(&dead.bytes, &failure);
    read_row(&dead);
    assert_text(&dead, "failure_class", "expired");
    assert_number(&dead, "is_final", 1);
    assert_absent(&dead, "next_attempt_at");
    assert_text(&dead, "event_type", NULL);
    gw_buf_deinit(&again.bytes);
    gw_buf_deinit(&dead.bytes);
}

/* What no database would take. */
static void test_cleaned(void **state)
{
    static const char nul[] = "a\0b";
    struct gw_message *message = message_of("e-1");
    struct row row = {0};
    struct gw_buf wide = {0};
    (void)state;
    gw_buf_addc(&wide, 'x');
    while (wide.len <= GW_NAME_BYTES_MAX)
        gw_buf_adds(&wide, GW_SLICE("\xe2\x82\xac"));
    message->event_id = (struct gw_slice){nul, 3};
    message->transaction_id = GW_SLICE("bad \xff");
    message->workflow_id = gw_buf_slice(&wide);
    encode(&row, GW_DELIVERY_LOG_RECEIVED, message);
    assert_text(&row, "event_id", "a?b");
    assert_text(&row, "transaction_id", "bad ?");
    struct gw_slice cut = value_of(&row, "workflow_id")->text;
    assert_int_equal(cut.len, 1 + (GW_NAME_BYTES_MAX - 1) / 3 * 3);
    assert_true(gw_slice_is_utf8(cut));
    gw_buf_deinit(&row.bytes);
    gw_buf_deinit(&wide);
    gw_message_unref(message);
}

static void test_no_row(void **state)
{
    struct gw_delivery_log_value values[GW_DELIVERY_LOG_COLUMNS_MAX];
    enum gw_delivery_log_table_id id;
    struct gw_message *message = message_of("e-1");
    struct row row = {0};
    (void)state;
    encode(&row, GW_DELIVERY_LOG_POST, message);
    for (size_t len = 0; len < row.bytes.len; len++) {
        char *exact = gw_alloc(len + 1); /* so that a sanitizer sees a read behind it */
        exact = gw_realloc(exact, len ? len : 1);
        memcpy(exact, row.bytes.ptr, len);
        assert_false(gw_delivery_log_decode((struct gw_slice){exact, len}, &id, values));
        gw_free(exact);
    }
    gw_buf_addc(&row.bytes, 0);
    assert_false(gw_delivery_log_decode(gw_buf_slice(&row.bytes), &id, values));
    row.bytes.len--;
    row.bytes.ptr[0] = GW_DELIVERY_LOG_TABLES;
    assert_false(gw_delivery_log_decode(gw_buf_slice(&row.bytes), &id, values));
    gw_buf_deinit(&row.bytes);
    gw_message_unref(message);
}

static void test_sql(void **state)
{
    struct gw_delivery_log_value null = {.is_null = true}, time = {.number = 1700000000123};
    struct gw_arena arena = {0};
    struct gw_buf sql = {0};
    (void)state;
    gw_delivery_log_sql_insert(&sql, GW_DELIVERY_LOG_FAILURE, 2);
    assert_non_null(strstr(gw_buf_text(&sql), "INSERT INTO webhook_failure (row_id, "));
    assert_non_null(strstr(gw_buf_text(&sql), ", $12), ($13, "));
    assert_non_null(strstr(gw_buf_text(&sql), ", $24)"));
    assert_null(gw_delivery_log_sql_value(&null, GW_DELIVERY_LOG_TEXT, &arena));
    assert_string_equal(gw_delivery_log_sql_value(&time, GW_DELIVERY_LOG_TIME, &arena),
                        "2023-11-14 22:13:20.123");
    assert_true(GW_DELIVERY_LOG_ROWS_MAX *
                    gw_delivery_log_tables[GW_DELIVERY_LOG_DELIVERY].column_count <=
                32767);
    assert_int_equal(gw_delivery_log_sql_dialect(GW_SLICE("PostgreSQL 8.0.2 …, Redshift 1.0.9")),
                     GW_DELIVERY_LOG_REDSHIFT);
    assert_int_equal(gw_delivery_log_sql_dialect(GW_SLICE("PostgreSQL 15.18 (Debian)")),
                     GW_DELIVERY_LOG_POSTGRESQL);
    gw_buf_deinit(&sql);
    gw_arena_deinit(&arena);
}

/* ── The spool ─────────────────────────────────────────────────────────────────────────────── */

struct place {
    char dir[64];
    struct gw_delivery_log_spool *spool;
};

static void open_spool(struct place *place, int64_t bytes_max)
{
    struct gw_delivery_log_spool_options options = {.dir = place->dir, .bytes_max = bytes_max};
    struct gw_error error;
    if (gw_delivery_log_spool_open(&options, &place->spool, &error) != GW_OK)
        fail_msg("%s", error.text);
}

static int setup(void **state)
{
    struct place *place = gw_zalloc(sizeof(*place));
    snprintf(place->dir, sizeof(place->dir), "/tmp/gwh-spool-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    open_spool(place, 1 << 20);
    *state = place;
    return 0;
}

static size_t file_count(const struct place *place, bool removes)
{
    size_t count = 0;
    DIR *dir = opendir(place->dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        count++;
        if (removes)
            assert_int_equal(unlinkat(dirfd(dir), entry->d_name, 0), 0);
    }
    closedir(dir);
    return count;
}

static int teardown(void **state)
{
    struct place *place = *state;
    gw_delivery_log_spool_close(place->spool);
    file_count(place, true);
    rmdir(place->dir);
    gw_free(place);
    return 0;
}

static enum gw_err put(struct place *place, const char *first, const char *second)
{
    struct gw_buf records = {0};
    gw_delivery_log_spool_add(&records, 11, gw_slice_from(first));
    if (second)
        gw_delivery_log_spool_add(&records, 12, gw_slice_from(second));
    enum gw_err err = gw_delivery_log_spool_write(place->spool, gw_buf_slice(&records));
    gw_buf_deinit(&records);
    return err;
}

/* NULL: there is nothing. */
static void assert_next(struct place *place, const char *expected)
{
    struct gw_slice row = {0};
    int64_t at_ms = 0;
    size_t spoilt = 0;
    bool is_there = gw_delivery_log_spool_next(place->spool, &at_ms, &row, &spoilt);
    assert_int_equal(is_there, expected != NULL);
    assert_int_equal(spoilt, 0);
    if (expected) {
        assert_true(gw_slice_is(row, expected));
        assert_true(at_ms == 11 || at_ms == 12);
    }
}

static void reopen(struct place *place, int64_t bytes_max)
{
    gw_delivery_log_spool_close(place->spool);
    open_spool(place, bytes_max);
}

static void test_spool(void **state)
{
    struct place *place = *state;
    struct stat stat_of;
    assert_next(place, NULL);
    assert_int_equal(put(place, "one", "two"), GW_OK);
    assert_next(place, "one");
    assert_int_equal(put(place, "three", NULL), GW_OK); /* while the first file is being read */
    assert_next(place, "two");
    gw_delivery_log_spool_again(place->spool);
    assert_next(place, "one");
    gw_delivery_log_spool_taken(place->spool);
    assert_next(place, "two");
    gw_delivery_log_spool_taken(place->spool);
    assert_int_equal(file_count(place, false), 1);
    assert_next(place, "three");
    gw_delivery_log_spool_taken(place->spool);
    assert_next(place, NULL);
    assert_int_equal(file_count(place, false), 0);
    assert_int_equal(gw_delivery_log_spool_bytes(place->spool), 0);
    assert_int_equal(put(place, "private", NULL), GW_OK);
    char path[128];
    snprintf(path, sizeof(path), "%s/2.rows", place->dir);
    assert_int_equal(stat(path, &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 0777, 0600);
}

static void test_spool_restart(void **state)
{
    struct place *place = *state;
    assert_int_equal(put(place, "one", "two"), GW_OK);
    assert_next(place, "one");
    gw_delivery_log_spool_taken(place->spool);
    int64_t bytes = gw_delivery_log_spool_bytes(place->spool);
    reopen(place, 1 << 20);
    assert_int_equal(gw_delivery_log_spool_bytes(place->spool), bytes);
    assert_int_equal(put(place, "three", NULL), GW_OK);
    assert_next(place, "one"); /* its file was not done with */
    assert_next(place, "two");
    gw_delivery_log_spool_taken(place->spool);
    assert_next(place, "three");
}

static void test_spool_ceiling(void **state)
{
    struct place *place = *state;
    reopen(place, 60);
    assert_int_equal(put(place, "one", "two"), GW_OK);
    assert_int_equal(put(place, "three", NULL), GW_ERR_FULL);
    assert_next(place, "one");
    assert_next(place, "two");
    gw_delivery_log_spool_taken(place->spool);
    assert_next(place, NULL);
    assert_int_equal(put(place, "three", NULL), GW_OK);
}

/* Cut short at every byte, or with one bit turned: never a row that was not put in, and the next file
 * is read all the same. */
static void test_spool_damaged(void **state)
{
    struct place *place = *state;
    for (int64_t len = 0; len < 2 * (20 + 3); len++) {
        struct gw_slice row;
        int64_t at_ms;
        size_t rows = 0, spoilt = 0;
        bool is_cut = len % 2 == 0;
        char path[128];
        file_count(place, true);
        reopen(place, 1 << 20);
        assert_int_equal(put(place, "one", "two"), GW_OK);
        reopen(place, 1 << 20);
        assert_int_equal(put(place, "three", NULL), GW_OK);
        snprintf(path, sizeof(path), "%s/0.rows", place->dir);
        FILE *file = fopen(path, "r+b");
        assert_non_null(file);
        if (is_cut) {
            assert_int_equal(ftruncate(fileno(file), len), 0);
        } else {
            assert_int_equal(fseek(file, (long)len, SEEK_SET), 0);
            int byte = fgetc(file);
            assert_int_equal(fseek(file, (long)len, SEEK_SET), 0);
            fputc(byte ^ 4, file);
        }
        fclose(file);
        while (gw_delivery_log_spool_next(place->spool, &at_ms, &row, &spoilt)) {
            bool is_known = gw_slice_is(row, "one") || gw_slice_is(row, "two");
            assert_true(is_known || gw_slice_is(row, "three"));
            rows++;
            gw_delivery_log_spool_taken(place->spool);
        }
        bool is_first_whole = len >= 20 + 3;
        assert_int_equal(rows, is_first_whole ? 2 : 1);
        assert_int_equal(spoilt, is_cut && (len == 0 || len == 23) ? 0 : 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_received),
        cmocka_unit_test(test_skipped),
        cmocka_unit_test(test_attempt),
        cmocka_unit_test(test_failure),
        cmocka_unit_test(test_cleaned),
        cmocka_unit_test(test_no_row),
        cmocka_unit_test(test_sql),
        cmocka_unit_test_setup_teardown(test_spool, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spool_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spool_ceiling, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spool_damaged, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
