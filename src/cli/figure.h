/* figure.h: numbers in a table, as people read them. Pure. */
#pragma once

#include "cli/table.h"

#include <yyjson.h>

/* In the tone, or dim when there is nothing; a member that is null is an empty cell. */
void gw_figure_add(struct gw_table *table, yyjson_val *object, const char *name, enum gw_tone tone);
void gw_figure_add_count(struct gw_table *table, int64_t count, enum gw_tone tone);
/* 0.9712 as "97.1%", rounded down: only what never failed is 100 %. */
void gw_figure_add_rate(struct gw_table *table, yyjson_val *object, const char *name);
void gw_figure_add_share(struct gw_table *table, int64_t part, int64_t of);
/* "45 ms", "5.2 s", "3m". */
void gw_figure_add_ms(struct gw_table *table, yyjson_val *object, const char *name);
