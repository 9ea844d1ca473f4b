/* table.h: rows in aligned columns, cut to fit where they must. Pure. */
#pragma once

#include "base/arena.h"
#include "cli/term.h"

struct gw_table_column {
    const char *title;
    size_t width_min; /* may be cut down to this; 0 = never cut (ids: people copy them) */
    size_t width_max; /* never wider, even when there is room; 0 = no such limit */
    bool is_right;
    bool is_optional; /* left out when every cell is empty */
    unsigned drop; /* where not even the least widths fit, left out, the largest first; 0 = not */
};

struct gw_table_cell {
    struct gw_slice text; /* clean */
    enum gw_tone tone;
};

struct gw_table {
    const struct gw_table_column *columns;
    size_t column_count;
    struct gw_table_cell *cells; /* row by row */
    size_t cell_count, cell_cap;
    struct gw_arena arena;
};

void gw_table_init(struct gw_table *table, const struct gw_table_column *columns, size_t count);
void gw_table_deinit(struct gw_table *table);

/* The next cell, copied and cleaned. An empty one is shown as "-". */
void gw_table_add(struct gw_table *table, struct gw_slice text, enum gw_tone tone);
void gw_table_addf(struct gw_table *table, enum gw_tone tone, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends title and rows. With `wide` nothing is cut; else cells are, at their column's width_max
 * and where the terminal's width asks for it, the widest columns first. */
void gw_table_print(const struct gw_table *table, const struct gw_term *term, bool wide,
                    struct gw_buf *out);
