/* query.h: the query of a request, read strictly: a misspelt parameter never passes silently. */
#pragma once

#include "api/api_impl.h"

#define GW_QUERY_MAX      16 /* parameters a handler may know */
#define GW_QUERY_TEXT_MAX 4096
#define GW_PAGE_LIMIT     100
#define GW_PAGE_LIMIT_MAX 250

/* Reads exchange->query: `values[i]` is what `names[i]` has, decoded, in the arena; ptr NULL when
 * it is missing. What is unknown, empty, twice there or not UTF-8 is GW_ERR_INVALID, and the error
 * lists what is allowed. `+` is a space, as forms write it. */
enum gw_err gw_query_parse(const struct gw_api_request *request, const char *const *names,
                           size_t count, struct gw_slice *values, struct gw_error *error);

/* Typed values; missing = false, or *out unchanged. */
enum gw_err gw_query_bool(const char *name, struct gw_slice value, bool *out,
                          struct gw_error *error);
enum gw_err gw_query_limit(struct gw_slice value, size_t *limit, struct gw_error *error);
enum gw_err gw_query_time(const char *name, struct gw_slice value, int64_t *ms,
                          struct gw_error *error);
/* The same of a time that begins a span: GW_HOUR_MS or GW_DAY_MS, in UTC. */
enum gw_err gw_query_whole(const char *name, struct gw_slice value, int64_t span_ms, int64_t *ms,
                           struct gw_error *error);
