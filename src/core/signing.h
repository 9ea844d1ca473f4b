/* signing.h: the signatures of one attempt, as its config wants them. Pure. */
#pragma once

#include "core/config.h"

#define GW_SIGNING_LINES_MAX 3

/* Appends the header lines ("name: value", each with a NUL behind it) that sign `body` as the
 * message `id` at `now_ms`: one to GW_SIGNING_LINES_MAX.
 *
 * webhook-signature holds one signature for each of `standard` and `ed25519` that the config has
 * and each secret or key pair that signs now: "v1," newest, "v1," old, "v1a," newest, "v1a," old.
 * A config that has neither sends no such header.
 *
 * `body` has a header of its own, with one signature: that of the old secret while it signs, so
 * that a receiver that knows no other goes on, and the newest one's in NAME-next beside it. */
void gw_signing_lines(struct gw_buf *out, const struct gw_config *config, struct gw_slice id,
                      int64_t now_ms, struct gw_slice body);
