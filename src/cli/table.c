/* table.c: the layout of tables. Pure; a table owns its cells' text in its arena.
 *
 * Invariant: cell_count is a multiple of column_count when a table is printed. */
#include "cli/table.h"

#include "base/alloc.h"
#include "base/check.h"
#include "cli/text.h"

#include <stdarg.h>
#include <stdio.h>

#define COLUMNS_MAX 16
#define GAP         2
#define EMPTY       "-"

void gw_table_init(struct gw_table *table, const struct gw_table_column *columns, size_t count)
{
    gw_check(count > 0 && count <= COLUMNS_MAX);
    *table = (struct gw_table){.columns = columns, .column_count = count};
}

void gw_table_deinit(struct gw_table *table)
{
    gw_free(table->cells);
    gw_arena_deinit(&table->arena);
    *table = (struct gw_table){0};
}

void gw_table_add(struct gw_table *table, struct gw_slice text, enum gw_tone tone)
{
    struct gw_buf clean = {0};

    if (table->cell_count == table->cell_cap) {
        table->cell_cap = table->cell_cap ? 2 * table->cell_cap : 128;
        table->cells = gw_realloc(table->cells, table->cell_cap * sizeof(*table->cells));
    }
    gw_text_add_clean(&clean, text, false);
    table->cells[table->cell_count++] =
        (struct gw_table_cell){gw_arena_dup(&table->arena, gw_buf_slice(&clean)), tone};
    gw_buf_deinit(&clean);
}

void gw_table_addf(struct gw_table *table, enum gw_tone tone, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    gw_table_add(table, len > 0 ? gw_slice_from(text) : GW_SLICE(""), tone);
}

/* ── Widths ────────────────────────────────────────────────────────────────────────────────── */

/* What a column would like; 0 = it is left out. */
static size_t wanted(const struct gw_table *table, size_t column)
{
    const struct gw_table_column *c = &table->columns[column];
    size_t width = gw_text_width(gw_slice_from(c->title));
    bool is_empty = true;

    for (size_t i = column; i < table->cell_count; i += table->column_count) {
        size_t w = gw_text_width(table->cells[i].text);
        if (w > 0)
            is_empty = false;
        if (w > width)
            width = w;
    }
    return is_empty && c->is_optional ? 0 : width;
}

static size_t total(const size_t *widths, size_t count)
{
    size_t sum = 0, shown = 0;

    for (size_t i = 0; i < count; i++) {
        sum += widths[i];
        shown += widths[i] > 0 ? 1 : 0;
    }
    return sum + (shown > 1 ? (shown - 1) * GAP : 0);
}

/* The least a column may be cut to. */
static size_t least(const struct gw_table *table, const size_t *widths, size_t column)
{
    size_t min = table->columns[column].width_min;

    return min > 0 && min < widths[column] ? min : widths[column];
}

static void drop(const struct gw_table *table, size_t *widths, size_t room)
{
    size_t count = table->column_count, mins[COLUMNS_MAX] = {0};

    for (;;) {
        size_t victim = count;
        for (size_t i = 0; i < count; i++) {
            unsigned rank = table->columns[i].drop;
            mins[i] = least(table, widths, i);
            if (widths[i] > 0 && rank > 0 &&
                (victim == count || rank > table->columns[victim].drop))
                victim = i;
        }
        if (victim == count || total(mins, count) <= room)
            return;
        widths[victim] = 0;
    }
}

/* Takes one column at a time off the widest that may be cut. */
static void shrink(const struct gw_table *table, size_t *widths, size_t room)
{
    for (size_t sum = total(widths, table->column_count); sum > room; sum--) {
        size_t widest = table->column_count;
        for (size_t i = 0; i < table->column_count; i++) {
            bool is_wider = widest == table->column_count || widths[i] > widths[widest];
            if (widths[i] > least(table, widths, i) && is_wider)
                widest = i;
        }
        if (widest == table->column_count)
            return;
        widths[widest]--;
    }
}

/* ── Printing ──────────────────────────────────────────────────────────────────────────────── */

static void add_cell(const struct gw_table *table, const struct gw_term *term, struct gw_buf *out,
                     size_t column, struct gw_slice text, size_t width, enum gw_tone tone,
                     bool is_last)
{
    struct gw_buf cut = {0};

    gw_text_add_cut(&cut, text, width);
    size_t used = gw_text_width(gw_buf_slice(&cut));
    size_t pad = used < width ? width - used : 0;
    if (table->columns[column].is_right)
        gw_text_add_spaces(out, pad);
    gw_term_paint(term, out, tone, gw_buf_slice(&cut));
    if (!table->columns[column].is_right && !is_last)
        gw_text_add_spaces(out, pad);
    if (!is_last)
        gw_text_add_spaces(out, GAP);
    gw_buf_deinit(&cut);
}

/* Nothing is left behind the last cell. */
static void end_line(struct gw_buf *out)
{
    while (out->len > 0 && out->ptr[out->len - 1] == ' ')
        out->len--;
    gw_buf_addc(out, '\n');
}

void gw_table_print(const struct gw_table *table, const struct gw_term *term, bool wide,
                    struct gw_buf *out)
{
    size_t widths[COLUMNS_MAX] = {0};
    size_t count = table->column_count, last = 0;

    gw_check(table->cell_count % count == 0);
    for (size_t i = 0; i < count; i++) {
        size_t max = table->columns[i].width_max;
        widths[i] = wanted(table, i);
        if (!wide && max > 0 && widths[i] > max)
            widths[i] = max;
    }
    if (!wide && term->width > 0) {
        drop(table, widths, term->width);
        shrink(table, widths, term->width);
    }
    for (size_t i = 0; i < count; i++)
        if (widths[i] > 0)
            last = i;
    for (size_t i = 0; i < count; i++)
        if (widths[i] > 0)
            add_cell(table, term, out, i, gw_slice_from(table->columns[i].title), widths[i],
                     GW_TONE_BOLD, i == last);
    end_line(out);
    for (size_t at = 0; at < table->cell_count; at++) {
        size_t i = at % count;
        const struct gw_table_cell *cell = &table->cells[at];
        bool is_empty = cell->text.len == 0;
        if (widths[i] > 0)
            add_cell(table, term, out, i, is_empty ? GW_SLICE(EMPTY) : cell->text, widths[i],
                     is_empty ? GW_TONE_DIM : cell->tone, i == last);
        if (i == count - 1)
            end_line(out);
    }
}
