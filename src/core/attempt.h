/* attempt.h: the record of one POST, and how a delivery's records are packed in one blob. Pure. */
#pragma once

#include "base/addr.h"
#include "base/buf.h"
#include "core/outcome.h"

#define GW_EXCERPT_BYTES_MAX 2048 /* of a reply */
#define GW_ATTEMPT_ERROR_MAX 128

struct gw_attempt {
    uint32_t n; /* 1, 2, … */
    int64_t at_ms;
    enum gw_outcome outcome;
    int status; /* 0 = no answer */
    int64_t queue_us, dns_us, connect_us, tls_us, first_byte_us, total_us;
    struct gw_addr address; /* family 0 = never connected */
    uint64_t config_version;
    struct gw_slice url;     /* without its query: tokens live there */
    struct gw_slice error;   /* for people; empty on success */
    struct gw_slice excerpt; /* the reply's first bytes */
};

/* Appends one record: a format byte (1), then varints and length-prefixed strings. Error and
 * excerpt are cut at their ceilings. */
void gw_attempt_pack(struct gw_buf *out, const struct gw_attempt *attempt);

/* Takes the next record out of *rest; its slices point into it. False at the end, and with
 * *rest unchanged when what follows is no record (rest->len > 0: corrupt). */
bool gw_attempt_unpack(struct gw_slice *rest, struct gw_attempt *attempt);

/* The last record of a log; false when there is none. */
bool gw_attempt_last(struct gw_slice log, struct gw_attempt *attempt);

/* Keeps a log within its ceiling: the first 5 and the last 20 records. Appends what is kept; what
 * is no record at the end is dropped. */
void gw_attempt_trim(struct gw_buf *out, struct gw_slice log);
