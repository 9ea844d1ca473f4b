/* outcome.h: what an attempt came to, and what follows from it. Pure. CONTRACT section 4. */
#pragma once

#include "base/slice.h"

/* Stored in attempt records: numbers are for ever. */
enum gw_outcome {
    GW_OUTCOME_SUCCESS = 0,
    GW_OUTCOME_HTTP_ERROR = 1,
    GW_OUTCOME_TIMEOUT = 2,
    GW_OUTCOME_DNS = 3,
    GW_OUTCOME_CONNECT = 4,
    GW_OUTCOME_TLS = 5,
    GW_OUTCOME_RESET = 6,
    GW_OUTCOME_PROTOCOL = 7,
    GW_OUTCOME_BLOCKED = 8,
};
#define GW_OUTCOME_COUNT 9

const char *gw_outcome_name(enum gw_outcome outcome); /* "http_error" */

/* SUCCESS for 2xx, HTTP_ERROR for any other status (3xx too: never followed). */
enum gw_outcome gw_outcome_of_status(int status);

enum gw_verdict {
    GW_VERDICT_DONE,  /* delivered */
    GW_VERDICT_AGAIN, /* retried while the schedule lasts */
    GW_VERDICT_GONE,  /* 410: dead at once, the target is to be disabled */
};

enum gw_verdict gw_outcome_verdict(enum gw_outcome outcome, int status);

/* Retry-After (RFC 9110 10.2.3), seconds or HTTP-date, counted for 429 and 503 only; at most 12 h.
 * Milliseconds from now; 0 = none or unusable. */
int64_t gw_outcome_retry_after_ms(int status, struct gw_slice retry_after, int64_t now_ms);

/* One sentence for a support engineer: what this failure means and what to do about it. `error`: what
 * the attempt's record says of it, which tells kinds of one outcome apart; may be empty. */
const char *gw_outcome_advice(enum gw_outcome outcome, int status, struct gw_slice error);
