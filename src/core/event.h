/* event.h: what a producer reports, read out of its JSON. Pure.
 *
 * The body's bytes are never changed here; the fields are decoded copies in the arena. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#define GW_EVENT_DEPTH_MAX 64
#define GW_NAME_CHARS_MAX  256                     /* of appId, eventType and every other id */
#define GW_NAME_BYTES_MAX  (4 * GW_NAME_CHARS_MAX) /* in UTF-8 */

/* Came with the event, outside its body: a user metadata key of an S3 object. */
struct gw_metadata {
    struct gw_slice name, value; /* names are compared without case */
};

/* Where the producer's bytes are kept, when not with the event: an object of S3. */
struct gw_place {
    struct gw_slice bucket; /* ptr NULL = nowhere else */
    struct gw_slice key;
    struct gw_slice version_id, etag; /* ptr NULL = not said; the ETag is without quotes */
};

struct gw_event {
    struct gw_slice body;               /* the producer's bytes, all of them */
    struct gw_place place;              /* set by the caller, after parsing */
    const struct gw_metadata *metadata; /* set by the caller, after parsing */
    size_t metadata_count;
    /* decoded; ptr NULL = absent */
    struct gw_slice app_id, event_type;
    struct gw_slice event_id, transaction_id, workflow_id, event_time;
};

/* Reads one event: a JSON object in UTF-8, no duplicate top-level key (after unescaping), depth
 * at most 64; `appId` and `eventType` 1-256 printable characters; `eventId`, `transactionId`
 * and `workflowId`, when there, strings of at most 256 characters (numbers are refused: the error
 * names the field); `eventTime` such a string or a number. JSON null and "" in an optional field = absent. GW_ERR_INVALID
 * otherwise; the event then holds those fields that could be read, for telling which it was.
 * `body` must outlive the event. */
enum gw_err gw_event_parse(struct gw_event *event, struct gw_slice body, struct gw_arena *arena,
                           struct gw_error *error);

/* 1-256 characters of UTF-8 without control characters. Used for appId, eventType, ids everywhere;
 * `field` is for the error text. */
enum gw_err gw_name_check(const char *field, struct gw_slice value, struct gw_error *error);
