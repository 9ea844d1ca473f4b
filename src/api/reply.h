/* reply.h: answers: the envelope, and JSON written into a buffer. */
#pragma once

#include "api/api_impl.h"
#include "base/id.h"

/* ── The envelope ──────────────────────────────────────────────────────────────────────────── */

/* {"statusCode":200,"status":"success","result": is in the buffer; the result comes behind it, all
 * of it before the loop turns, then gw_reply_end(). */
struct gw_buf *gw_reply_begin(struct gw_api_request *request, int status);
void gw_reply_end(struct gw_api_request *request);

/* The same into any buffer; the result, if any, and the last brace are the caller's. */
void gw_envelope_begin(struct gw_buf *out, int status);
void gw_envelope_fail(struct gw_buf *out, int status, const char *why);

/* {"statusCode":400,"status":"failed","error":"…"} */
void gw_reply_fail(struct gw_api_request *request, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for what the store said: 400, 503 with Retry-After, or 500. */
void gw_reply_store_failed(struct gw_api_request *request, const struct gw_op *op);

/* 503, to be tried again after that time. */
void gw_reply_later(struct gw_api_request *request, int64_t again_ms, const char *why);

/* One more header; the value lives in the exchange's arena or for ever. */
void gw_reply_header(struct gw_api_request *request, const char *name, struct gw_slice value);

/* How long a Retry-After says to wait, in whole seconds, at least one; and the header itself. */
int64_t gw_reply_again_s(int64_t again_ms);
void gw_reply_retry_after(struct gw_api_request *request, int64_t again_s);

/* An answer without the envelope: begin gives the empty buffer. */
struct gw_buf *gw_reply_plain_begin(struct gw_api_request *request);
void gw_reply_plain_end(struct gw_api_request *request, int status, const char *content_type);

/* An answer that lives in the exchange's arena or for ever. */
void gw_reply_give(struct gw_api_request *request, int status, const char *content_type,
                   struct gw_slice reply);

/* ── JSON ──────────────────────────────────────────────────────────────────────────────────── */

/* A string in quotes; null when absent. What is not UTF-8 becomes U+FFFD. */
void gw_json_text(struct gw_buf *out, struct gw_slice text);

/* A comma unless this is the first of its object or array. */
void gw_json_next(struct gw_buf *out);

/* The name of a member and its colon, with the comma before it when it needs one. */
void gw_json_key(struct gw_buf *out, const char *name);

void gw_json_member(struct gw_buf *out, const char *name, struct gw_slice text);
void gw_json_member_s(struct gw_buf *out, const char *name, const char *text); /* NULL = null */
void gw_json_member_bool(struct gw_buf *out, const char *name, bool value);
void gw_json_member_int(struct gw_buf *out, const char *name, int64_t value);
void gw_json_member_null(struct gw_buf *out, const char *name);
void gw_json_member_id(struct gw_buf *out, const char *name, enum gw_id_kind kind,
                       const struct gw_id *id);
void gw_json_member_time(struct gw_buf *out, const char *name, int64_t ms); /* RFC 3339 */
/* How many of so many, as 0.9712, rounded down; null of none. */
void gw_json_member_rate(struct gw_buf *out, const char *name, uint64_t part, uint64_t of);
void gw_json_member_ms(struct gw_buf *out, const char *name, int64_t us); /* 12.345 */
