/* variant.h: what common software turns a JSON body into: the same content in other bytes. Pure.
 *
 * A signature covers bytes. When it is not right for a body but is for a variant of it, somebody on
 * the way has read and written the body anew. */
#pragma once

#include "base/buf.h"

/* Writes variant number `n` (0, 1, …) into `out`, which is emptied first. Returns what was done to
 * the body, in a few words, or NULL behind the last. A variant that does not apply (no JSON,
 * nothing to change) leaves the body as it is. */
const char *gw_variant_make(size_t n, struct gw_slice body, struct gw_buf *out);
