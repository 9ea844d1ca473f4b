/* sign.h: signatures (Standard Webhooks 1.0.0) and the secrets behind them. Pure. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#define GW_SECRET_TEXT_MAX 128 /* characters */
#define GW_SECRET_KEY_MAX  128 /* bytes */

struct gw_secret {
    char text[GW_SECRET_TEXT_MAX + 1]; /* as shown: "whsec_…", or the client's own */
    size_t text_len;
    uint8_t key[GW_SECRET_KEY_MAX]; /* what HMAC is keyed with */
    size_t key_len;
    int64_t until_ms; /* an older one signs beside the newest until then; GW_NEVER = the newest */
};

/* "whsec_" + base64 of 16-64 bytes, or 16-128 printable ASCII characters whose bytes are the key.
 * GW_ERR_INVALID says which rule was broken, never what the secret was. */
enum gw_err gw_secret_parse(struct gw_secret *secret, struct gw_slice text, struct gw_error *error);

/* A new one of 32 random bytes, given by the caller. */
void gw_secret_make(struct gw_secret *secret, const uint8_t random[32]);

/* "whsec_…" or "…", then the last 4 characters. */
void gw_secret_mask(const struct gw_secret *secret, struct gw_buf *out);

/* Appends "v1," + base64(HMAC-SHA256(key, id.timestamp.body)). */
void gw_sign_standard(struct gw_buf *out, const struct gw_secret *secret, struct gw_slice id,
                      int64_t timestamp_s, struct gw_slice body);

/* For a receiver (gwh verify, gwh listen): is one of the space-separated signatures in `header`
 * right under `secret`? */
bool gw_sign_verify(struct gw_slice header, const struct gw_secret *secret, struct gw_slice id,
                    struct gw_slice timestamp, struct gw_slice body);
