/* stats_sql.h: what became of events, asked of the delivery log in PostgreSQL or Redshift: for a store
 * that does not count as it goes. */
#pragma once

#include "store/store.h"

struct gw_stats_sql;

/* `url`: checked, see postgres.h. Connects with the first question. */
struct gw_stats_sql *gw_stats_sql_create(struct gw_env *env, const char *url);

/* Answers gw_ledger_stats() and nothing else, a question at a time. */
struct gw_ledger *gw_stats_sql_ledger(struct gw_stats_sql *stats);

/* Any thread: from now on no question takes longer than some seconds. */
void gw_stats_sql_hurry(struct gw_stats_sql *stats);

/* On the env's thread, when nobody asks any more. */
void gw_stats_sql_destroy(struct gw_stats_sql *stats);

/* ── The question ──────────────────────────────────────────────────────────────────────────── */

#define GW_STATS_SQL_PARAMETERS_MAX 5

/* The statement, and its parameters' texts in the arena; returns how many. Only what both dialects
 * take. */
size_t gw_stats_sql_question(const struct gw_stats_op *op, struct gw_arena *arena,
                             struct gw_buf *sql, const char *values[GW_STATS_SQL_PARAMETERS_MAX],
                             uint32_t types[GW_STATS_SQL_PARAMETERS_MAX]);
