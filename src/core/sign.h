/* sign.h: signatures, and the secrets and key pairs behind them. Pure.
 *
 * Three schemes, of which a config may use several at once:
 *   standard  Standard Webhooks 1.0.0, symmetric: "v1," in webhook-signature
 *   ed25519   the same, asymmetric: "v1a," in webhook-signature
 *   body      HMAC-SHA256 of the body alone, in a header of the client's choice */
#pragma once

#include "base/buf.h"
#include "base/crypto.h"
#include "base/err.h"

#define GW_SCHEME_STANDARD 1u
#define GW_SCHEME_ED25519  2u
#define GW_SCHEME_BODY     4u

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

/* ── Ed25519 ───────────────────────────────────────────────────────────────────────────────── */

struct gw_key_pair {
    uint8_t seed[GW_ED25519_BYTES]; /* the private key, RFC 8032 */
    uint8_t public_key[GW_ED25519_BYTES];
    int64_t until_ms; /* as a secret's */
};

void gw_key_pair_make(struct gw_key_pair *pair, const uint8_t seed[GW_ED25519_BYTES]);

/* Appends "whpk_" + base64 of the public key. */
void gw_key_pair_public(const struct gw_key_pair *pair, struct gw_buf *out);

/* Appends "v1a," + base64(Ed25519(seed, id.timestamp.body)). */
void gw_sign_ed25519(struct gw_buf *out, const struct gw_key_pair *pair, struct gw_slice id,
                     int64_t timestamp_s, struct gw_slice body);

/* ── Older schemes ─────────────────────────────────────────────────────────────────────────── */

/* Appends HMAC-SHA256 of the body, keyed with the secret's whole text as shown ("whsec_"
 * included), in lower-case hex or in base64. */
void gw_sign_body(struct gw_buf *out, const struct gw_secret *secret, struct gw_slice body,
                  bool base64);

/* ── Verifying ─────────────────────────────────────────────────────────────────────────────── */

/* For a receiver (gwh verify, gwh listen): is one of the space-separated signatures in `header`
 * right under `secret`? */
bool gw_sign_verify(struct gw_slice header, const struct gw_secret *secret, struct gw_slice id,
                    struct gw_slice timestamp, struct gw_slice body);
