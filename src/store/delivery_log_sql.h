/* delivery_log_sql.h: the delivery log in SQL: its tables in both dialects, and the statement that
 * inserts rows, which is the same in both. Pure. */
#pragma once

#include "base/arena.h"
#include "store/delivery_log.h"

enum gw_delivery_log_dialect { GW_DELIVERY_LOG_POSTGRESQL, GW_DELIVERY_LOG_REDSHIFT };

/* What the server answers to `SELECT version()`. */
enum gw_delivery_log_dialect gw_delivery_log_sql_dialect(struct gw_slice version);

/* The statement of that number which makes what is missing; false behind the last. No ';' at its
 * end. There is no primary key: a row may come twice, and Redshift would believe that it does not. */
bool gw_delivery_log_sql_create(struct gw_buf *out, enum gw_delivery_log_dialect dialect,
                                size_t number);

/* deploy/sql/…: all of them. */
void gw_delivery_log_sql_page(struct gw_buf *out, enum gw_delivery_log_dialect dialect);

/* Redshift takes 32 767 parameters and no more. */
#define GW_DELIVERY_LOG_ROWS_MAX 500

/* INSERT of so many rows, in parameters. */
void gw_delivery_log_sql_insert(struct gw_buf *out, enum gw_delivery_log_table_id table,
                                size_t rows);

/* The type of a parameter as the protocol calls it, the same in both. */
uint32_t gw_delivery_log_sql_oid(enum gw_delivery_log_type type);

/* A parameter's text, NUL-terminated; NULL = null. */
const char *gw_delivery_log_sql_value(const struct gw_delivery_log_value *value,
                                      enum gw_delivery_log_type type, struct gw_arena *arena);
