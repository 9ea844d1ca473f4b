/* sign.c: signatures, of Standard Webhooks 1.0.0 and older, and the secrets and key pairs behind
 * them. Pure: randomness and time are arguments.
 *
 * Invariants: a secret's text and key are within their ceilings, the text is printable ASCII, and
 * neither is ever part of an error; a pair's public key follows from its seed. What held a key on
 * the way is wiped. */
#include "core/sign.h"

#include "base/check.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "base/timefmt.h"

#define PREFIX      "whsec_"
#define PUBLIC      "whpk_"
#define VERSION     "v1,"
#define VERSION_A   "v1a,"
#define DECODED_MIN 16
#define DECODED_MAX 64
#define OWN_MIN     16
#define SECRET_RULE                                                                                \
    "secret: must be whsec_ and the base64 of 16 to 64 bytes, or 16 to 128 printable ASCII "       \
    "characters"

/* ── Secrets ───────────────────────────────────────────────────────────────────────────────── */

static enum gw_err key_decode(struct gw_secret *secret, struct gw_slice base64,
                              struct gw_error *error)
{
    struct gw_buf key = {0};
    enum gw_err err = GW_OK;

    if (!gw_base64_decode(&key, base64))
        err =
            gw_error_set(error, GW_ERR_INVALID,
                         SECRET_RULE ", was not base64 (padded, standard alphabet) behind whsec_");
    else if (key.len < DECODED_MIN || key.len > DECODED_MAX)
        err =
            gw_error_set(error, GW_ERR_INVALID, SECRET_RULE ", was whsec_ and %zu bytes", key.len);
    if (err == GW_OK) {
        memcpy(secret->key, key.ptr, key.len);
        secret->key_len = key.len;
    }
    if (key.cap > 0)
        gw_wipe(key.ptr, key.cap);
    gw_buf_deinit(&key);
    return err;
}

enum gw_err gw_secret_parse(struct gw_secret *secret, struct gw_slice text, struct gw_error *error)
{
    *secret = (struct gw_secret){.until_ms = GW_NEVER};
    if (text.len < OWN_MIN || text.len > GW_SECRET_TEXT_MAX)
        return gw_error_set(error, GW_ERR_INVALID, SECRET_RULE ", was %zu bytes long", text.len);
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7E)
            return gw_error_set(error, GW_ERR_INVALID,
                                SECRET_RULE ", held another character as byte %zu", i + 1);
    if (gw_slice_starts(text, GW_SLICE(PREFIX))) {
        enum gw_err err = key_decode(secret, gw_slice_skip(text, sizeof(PREFIX) - 1), error);
        if (err != GW_OK)
            return err;
    } else {
        memcpy(secret->key, text.ptr, text.len);
        secret->key_len = text.len;
    }
    memcpy(secret->text, text.ptr, text.len);
    secret->text_len = text.len;
    return GW_OK;
}

void gw_secret_make(struct gw_secret *secret, const uint8_t random[32])
{
    struct gw_buf text = {0};

    gw_buf_adds(&text, GW_SLICE(PREFIX));
    gw_base64_encode(&text, random, 32);
    gw_check(gw_secret_parse(secret, gw_buf_slice(&text), NULL) == GW_OK);
    gw_wipe(text.ptr, text.cap);
    gw_buf_deinit(&text);
}

void gw_secret_mask(const struct gw_secret *secret, struct gw_buf *out)
{
    struct gw_slice text = {secret->text, secret->text_len};

    gw_check(text.len >= OWN_MIN);
    if (gw_slice_starts(text, GW_SLICE(PREFIX)))
        gw_buf_adds(out, GW_SLICE(PREFIX));
    gw_buf_adds(out, GW_SLICE("…"));
    gw_buf_adds(out, gw_slice_skip(text, text.len - 4));
}

/* ── Key pairs ─────────────────────────────────────────────────────────────────────────────── */

void gw_key_pair_make(struct gw_key_pair *pair, const uint8_t seed[GW_ED25519_BYTES])
{
    memcpy(pair->seed, seed, GW_ED25519_BYTES);
    gw_ed25519_public(seed, pair->public_key);
    pair->until_ms = GW_NEVER;
}

void gw_key_pair_public(const struct gw_key_pair *pair, struct gw_buf *out)
{
    gw_buf_adds(out, GW_SLICE(PUBLIC));
    gw_base64_encode(out, pair->public_key, GW_ED25519_BYTES);
}

/* ── Signatures ────────────────────────────────────────────────────────────────────────────── */

static void mac(uint8_t out[GW_SHA256_BYTES], const struct gw_secret *secret, struct gw_slice id,
                struct gw_slice timestamp, struct gw_slice body)
{
    struct gw_slice key = {(const char *)secret->key, secret->key_len};
    struct gw_slice parts[] = {id, GW_SLICE("."), timestamp, GW_SLICE("."), body};

    gw_hmac_sha256(key, parts, sizeof(parts) / sizeof(parts[0]), out);
}

static struct gw_slice decimal(int64_t value, char text[21])
{
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char *at = text + 21;

    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        *--at = '-';
    return (struct gw_slice){at, (size_t)(text + 21 - at)};
}

void gw_sign_standard(struct gw_buf *out, const struct gw_secret *secret, struct gw_slice id,
                      int64_t timestamp_s, struct gw_slice body)
{
    uint8_t digest[GW_SHA256_BYTES];
    char timestamp[21];

    mac(digest, secret, id, decimal(timestamp_s, timestamp), body);
    gw_buf_adds(out, GW_SLICE(VERSION));
    gw_base64_encode(out, digest, sizeof(digest));
}

void gw_sign_ed25519(struct gw_buf *out, const struct gw_key_pair *pair, struct gw_slice id,
                     int64_t timestamp_s, struct gw_slice body)
{
    uint8_t signature[GW_ED25519_SIGNATURE_BYTES];
    char timestamp[21];
    struct gw_slice parts[] = {id, GW_SLICE("."), decimal(timestamp_s, timestamp), GW_SLICE("."),
                               body};

    gw_ed25519_sign(pair->seed, parts, sizeof(parts) / sizeof(parts[0]), signature);
    gw_buf_adds(out, GW_SLICE(VERSION_A));
    gw_base64_encode(out, signature, sizeof(signature));
}

void gw_sign_body(struct gw_buf *out, const struct gw_secret *secret, struct gw_slice body,
                  bool base64)
{
    struct gw_slice key = {secret->text, secret->text_len};
    uint8_t digest[GW_SHA256_BYTES];

    gw_hmac_sha256(key, &body, 1, digest);
    if (base64)
        gw_base64_encode(out, digest, sizeof(digest));
    else
        gw_hex_encode(out, digest, sizeof(digest));
}

bool gw_sign_verify(struct gw_slice header, const struct gw_secret *secret, struct gw_slice id,
                    struct gw_slice timestamp, struct gw_slice body)
{
    uint8_t digest[GW_SHA256_BYTES];
    struct gw_buf expected = {0};
    struct gw_slice signature;
    bool is_right = false;

    mac(digest, secret, id, timestamp, body);
    gw_buf_adds(&expected, GW_SLICE(VERSION));
    gw_base64_encode(&expected, digest, sizeof(digest));
    while (gw_slice_split(&header, ' ', &signature))
        if (gw_equal_secret(signature, gw_buf_slice(&expected)))
            is_right = true;
    gw_buf_deinit(&expected);
    return is_right;
}
