/* crypto.h: the few primitives the product needs; OpenSSL behind them. Thread-safe: contexts are
 * per thread and reused (a fetched EVP_MAC_CTX costs as much as the HMAC itself). */
#pragma once

#include "base/slice.h"

#define GW_SHA256_BYTES  32
#define GW_AES_BLOCK     16
#define GW_SEAL_OVERHEAD 28 /* nonce 12 + tag 16 */

void gw_sha256(struct gw_slice data, uint8_t out[GW_SHA256_BYTES]);

/* HMAC-SHA256 (RFC 2104) over the concatenation of `count` parts. */
void gw_hmac_sha256(struct gw_slice key, const struct gw_slice *parts, size_t count,
                    uint8_t out[GW_SHA256_BYTES]);

/* HKDF-SHA256 (RFC 5869), 32 bytes of output. */
void gw_hkdf_sha256(struct gw_slice key, struct gw_slice salt, struct gw_slice info,
                    uint8_t out[32]);

/* One block of AES-256 in ECB: a keyed permutation, used for ids only. */
void gw_aes_block_encrypt(const uint8_t key[32], const uint8_t in[16], uint8_t out[16]);
void gw_aes_block_decrypt(const uint8_t key[32], const uint8_t in[16], uint8_t out[16]);

/* AES-256-GCM with a random nonce: out = nonce, ciphertext, tag; out needs in.len +
 * GW_SEAL_OVERHEAD bytes. gw_unseal writes in.len - GW_SEAL_OVERHEAD bytes; false = tampered.
 * Nonces are drawn ahead: a process that has sealed must not fork and go on sealing in both. */
void gw_seal(const uint8_t key[32], struct gw_slice aad, struct gw_slice in, uint8_t *out);
bool gw_unseal(const uint8_t key[32], struct gw_slice aad, struct gw_slice in, uint8_t *out);

/* Ed25519 (RFC 8032); the seed is the private key. No call takes a seed and a public key: one that
 * does gives the seed away to whoever may choose the other. */
#define GW_ED25519_BYTES           32
#define GW_ED25519_SIGNATURE_BYTES 64
void gw_ed25519_public(const uint8_t seed[GW_ED25519_BYTES], uint8_t out[GW_ED25519_BYTES]);
void gw_ed25519_sign(const uint8_t seed[GW_ED25519_BYTES], const struct gw_slice *parts,
                     size_t count, uint8_t out[GW_ED25519_SIGNATURE_BYTES]);
bool gw_ed25519_verify(const uint8_t public_key[GW_ED25519_BYTES], struct gw_slice data,
                       const uint8_t signature[GW_ED25519_SIGNATURE_BYTES]);

/* An RSA public key out of PEM text: PUBLIC KEY or CERTIFICATE, one. NULL: it is none; *why says
 * what it was instead ("a private key"). A certificate is a key's wrapping here: its dates and its
 * issuer are not looked at. Immutable; any thread may verify with it. */
#define GW_RSA_BITS_MIN 2048
#define GW_RSA_BITS_MAX 16384 /* OpenSSL verifies no more */
struct gw_rsa_key;
struct gw_rsa_key *gw_rsa_key_parse(struct gw_slice pem, const char **why);
void gw_rsa_key_free(struct gw_rsa_key *key);
/* RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2): what JWA calls RS256. */
bool gw_rsa_verify(const struct gw_rsa_key *key, struct gw_slice data, struct gw_slice signature);

/* SipHash-2-4: 64 bits, keyed. */
uint64_t gw_siphash(const uint8_t key[16], struct gw_slice data);

/* Random bytes from the operating system; never fails. Only sys/ may call it on behalf of env.h,
 * store and cli for keys; the rest asks its env, so that a simulation can pretend. */
void gw_random_bytes(void *out, size_t len);

/* Equal, in time that depends on the lengths only. */
bool gw_equal_secret(struct gw_slice a, struct gw_slice b);

/* Overwrites memory that held a secret. */
void gw_wipe(void *ptr, size_t len);
