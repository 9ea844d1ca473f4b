/* delivery_log_sql.c: owns all SQL about the delivery log. What is sent to both dialects keeps to
 * what both take; what only one takes is a statement about how the table is laid out. */
#include "store/delivery_log_sql.h"

#include "base/check.h"
#include "base/timefmt.h"

enum gw_delivery_log_dialect gw_delivery_log_sql_dialect(struct gw_slice version)
{
    bool is_redshift = memmem(version.ptr, version.len, "Redshift", 8) != NULL;
    return is_redshift ? GW_DELIVERY_LOG_REDSHIFT : GW_DELIVERY_LOG_POSTGRESQL;
}

/* ── Tables ────────────────────────────────────────────────────────────────────────────────── */

static void add_type(struct gw_buf *out, const struct gw_delivery_log_column *column)
{
    switch (column->type) {
    case GW_DELIVERY_LOG_TEXT: gw_buf_addf(out, "VARCHAR(%u)", column->bytes_max); break;
    case GW_DELIVERY_LOG_NUMBER: gw_buf_adds(out, GW_SLICE("BIGINT")); break;
    case GW_DELIVERY_LOG_TIME: gw_buf_adds(out, GW_SLICE("TIMESTAMP")); break;
    case GW_DELIVERY_LOG_BOOL: gw_buf_adds(out, GW_SLICE("BOOLEAN")); break;
    }
    if (column->is_required)
        gw_buf_adds(out, GW_SLICE(" NOT NULL"));
}

static void add_table(struct gw_buf *out, const struct gw_delivery_log_table *table,
                      enum gw_delivery_log_dialect dialect)
{
    gw_buf_addf(out, "CREATE TABLE IF NOT EXISTS %s (\n", table->name);
    for (size_t i = 0; i < table->column_count; i++) {
        gw_buf_addf(out, "    %s ", table->columns[i].name);
        add_type(out, &table->columns[i]);
        gw_buf_adds(out, i + 1 < table->column_count ? GW_SLICE(",\n") : GW_SLICE("\n)"));
    }
    if (dialect == GW_DELIVERY_LOG_REDSHIFT)
        gw_buf_addf(out, "\nDISTSTYLE KEY\nDISTKEY (message_id)\nSORTKEY (%s)", table->time);
}

bool gw_delivery_log_sql_create(struct gw_buf *out, enum gw_delivery_log_dialect dialect,
                                size_t number)
{
    size_t per_table = dialect == GW_DELIVERY_LOG_POSTGRESQL ? 2 : 1; /* Redshift has no indexes */
    if (number >= per_table * GW_DELIVERY_LOG_TABLES)
        return false;
    const struct gw_delivery_log_table *table = &gw_delivery_log_tables[number / per_table];
    if (number % per_table == 0)
        add_table(out, table, dialect);
    else
        gw_buf_addf(out, "CREATE INDEX IF NOT EXISTS %s_%s ON %s (%s)", table->name, table->time,
                    table->name, table->time);
    return true;
}

void gw_delivery_log_sql_page(struct gw_buf *out, enum gw_delivery_log_dialect dialect)
{
    gw_buf_addf(out,
                "-- The delivery log's tables for %s. `make docs` writes this file from\n"
                "-- src/store/delivery_log.c; `gwh init` creates what is missing of them.\n",
                dialect == GW_DELIVERY_LOG_REDSHIFT ? "Amazon Redshift" : "PostgreSQL");
    for (size_t i = 0;; i++) {
        gw_buf_addc(out, '\n');
        if (!gw_delivery_log_sql_create(out, dialect, i))
            break;
        gw_buf_adds(out, GW_SLICE(";\n"));
    }
    out->len--; /* the empty line before nothing */
}

/* ── Rows ──────────────────────────────────────────────────────────────────────────────────── */

void gw_delivery_log_sql_insert(struct gw_buf *out, enum gw_delivery_log_table_id id, size_t rows)
{
    const struct gw_delivery_log_table *table = &gw_delivery_log_tables[id];
    size_t parameter = 1;
    gw_check(rows > 0 && rows <= GW_DELIVERY_LOG_ROWS_MAX);
    gw_buf_addf(out, "INSERT INTO %s (", table->name);
    for (size_t i = 0; i < table->column_count; i++)
        gw_buf_addf(out, i == 0 ? "%s" : ", %s", table->columns[i].name);
    gw_buf_adds(out, GW_SLICE(") VALUES "));
    for (size_t row = 0; row < rows; row++) {
        gw_buf_adds(out, row == 0 ? GW_SLICE("(") : GW_SLICE("), ("));
        for (size_t i = 0; i < table->column_count; i++) {
            gw_buf_adds(out, i == 0 ? GW_SLICE("$") : GW_SLICE(", $"));
            gw_buf_addi(out, (int64_t)parameter++);
        }
    }
    gw_buf_addc(out, ')');
}

uint32_t gw_delivery_log_sql_oid(enum gw_delivery_log_type type)
{
    switch (type) {
    case GW_DELIVERY_LOG_TEXT: return 1043; /* varchar */
    case GW_DELIVERY_LOG_NUMBER: return 20; /* bigint */
    case GW_DELIVERY_LOG_TIME: return 1114; /* timestamp */
    case GW_DELIVERY_LOG_BOOL: return 16;   /* boolean */
    }
    gw_never("an unknown type");
}

/* "2026-11-24 07:46:00.000": without a zone, as the column is */
static const char *time_text(int64_t ms, struct gw_arena *arena)
{
    char text[GW_TIME_TEXT_MAX];
    struct gw_slice written = gw_time_text(ms, text);
    text[10] = ' ';
    return gw_arena_text(arena, (struct gw_slice){text, written.len - 1});
}

const char *gw_delivery_log_sql_value(const struct gw_delivery_log_value *value,
                                      enum gw_delivery_log_type type, struct gw_arena *arena)
{
    if (value->is_null)
        return NULL;
    switch (type) {
    case GW_DELIVERY_LOG_TEXT: return gw_arena_text(arena, value->text);
    case GW_DELIVERY_LOG_NUMBER: return gw_arena_printf(arena, "%lld", (long long)value->number);
    case GW_DELIVERY_LOG_TIME: return time_text(value->number, arena);
    case GW_DELIVERY_LOG_BOOL: return value->number ? "t" : "f";
    }
    gw_never("an unknown type");
}
