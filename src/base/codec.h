/* codec.h: bytes as text and back. Decoders are strict: no white space, no stray bits, canonical
 * padding; they return false and leave `out` in any state. */
#pragma once

#include "base/buf.h"

void gw_hex_encode(struct gw_buf *out, const void *bytes, size_t len); /* lower case */
bool gw_hex_decode(struct gw_buf *out, struct gw_slice text);

void gw_base64_encode(struct gw_buf *out, const void *bytes, size_t len); /* RFC 4648 §4, padded */
bool gw_base64_decode(struct gw_buf *out, struct gw_slice text);

void gw_base64url_encode(struct gw_buf *out, const void *bytes, size_t len); /* §5, unpadded */
bool gw_base64url_decode(struct gw_buf *out, struct gw_slice text);

/* Percent-decoding of a path segment or a query value (RFC 3986); `plus` turns '+' into a space
 * (form encoding). False on a bad escape. */
bool gw_percent_decode(struct gw_buf *out, struct gw_slice text, bool plus);
void gw_percent_encode(struct gw_buf *out, struct gw_slice text); /* all but RFC 3986 unreserved */
