/* timefmt.h: wall time as text. Times are milliseconds since 1970-01-01T00:00:00Z.
 *
 * Text has the years 0000 to 9999 only: a time outside is written as the nearest inside. A leap
 * second is read as the second after it. */
#pragma once

#include "base/slice.h"

#define GW_TIME_TEXT_MAX 32
#define GW_NEVER         INT64_MAX

/* RFC 3339 UTC with milliseconds: "2026-11-24T07:46:00.000Z". */
struct gw_slice gw_time_text(int64_t ms, char text[GW_TIME_TEXT_MAX]);

/* RFC 3339 with any offset; fraction optional, cut to milliseconds. */
bool gw_time_parse(struct gw_slice text, int64_t *ms);

/* IMF-fixdate (RFC 9110 §5.6.7): "Tue, 24 Nov 2026 07:46:00 GMT"; for Date and Retry-After. */
struct gw_slice gw_time_http(int64_t ms, char text[GW_TIME_TEXT_MAX]);
bool gw_time_parse_http(struct gw_slice text, int64_t *ms);
