/* crypto.c: OpenSSL behind crypto.h, and SipHash. Owns the fetched algorithms (the process's, never
 * freed) and one set of contexts for each thread, freed when the thread ends.
 *
 * These calls fail only for want of memory or of OpenSSL's default provider; no caller could go on
 * then, so they are checked. What may fail is what somebody else made: gw_unseal by its tag, a
 * signature that is verified, a key that is parsed; OpenSSL's queue of errors is emptied then, else
 * the thread's next TLS call would take them for its own. A context keeps its last key, and a thread
 * its last Ed25519 keys, until others take their place or the thread ends. */
#include "base/crypto.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <sys/random.h>
#include <threads.h>

#define NONCE_BYTES   12
#define TAG_BYTES     16
#define NONCE_STOCK   64
#define HMAC_KEY_KEPT 64
#define PAIRS         64 /* Ed25519 keys that a thread keeps ready: making one costs a signature */

struct pair {
    uint8_t seed[GW_ED25519_BYTES];
    EVP_PKEY *key; /* NULL = none yet */
};

/* One way. It keeps the key it was last given: setting one costs as much as ten blocks. */
struct cipher {
    EVP_CIPHER_CTX *ctx;
    uint8_t key[32];
    bool has_key;
};

struct contexts {
    EVP_MD_CTX *sha256;
    EVP_MD_CTX *signing; /* with a key of its own each time */
    struct pair pairs[PAIRS];
    EVP_MAC_CTX *hmac; /* which keeps its last key, too */
    uint8_t hmac_key[HMAC_KEY_KEPT];
    size_t hmac_key_len;                       /* 0 = none that is kept */
    struct cipher block[2], gcm[2];            /* [0] decrypts, [1] encrypts */
    uint8_t nonces[NONCE_STOCK * NONCE_BYTES]; /* a call of the system for each costs as much as */
    size_t nonces_left;                        /* sealing a hundred bytes */
};

static pthread_once_t algorithms_once = PTHREAD_ONCE_INIT;
static tss_t contexts_key; /* for its destructor alone: __thread is the faster way in */
static EVP_MD *sha256;
static EVP_MAC *hmac;
static EVP_CIPHER *aes_block, *aes_gcm;
static __thread struct contexts *contexts;

static void contexts_destroy(void *ptr)
{
    struct contexts *c = ptr;

    contexts = NULL;
    EVP_MD_CTX_free(c->sha256);
    EVP_MD_CTX_free(c->signing);
    for (size_t i = 0; i < PAIRS; i++)
        EVP_PKEY_free(c->pairs[i].key); /* which wipes it */
    gw_wipe(c->pairs, sizeof(c->pairs));
    EVP_MAC_CTX_free(c->hmac);
    gw_wipe(c->hmac_key, sizeof(c->hmac_key));
    for (size_t i = 0; i < gw_count(c->block); i++) {
        EVP_CIPHER_CTX_free(c->block[i].ctx);
        EVP_CIPHER_CTX_free(c->gcm[i].ctx);
    }
    gw_wipe(c->block, sizeof(c->block));
    gw_wipe(c->gcm, sizeof(c->gcm));
    gw_free(c);
}

static void algorithms_fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    aes_block = EVP_CIPHER_fetch(NULL, "AES-256-ECB", NULL);
    aes_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    gw_check(sha256 && hmac && aes_block && aes_gcm);
    gw_check(tss_create(&contexts_key, contexts_destroy) == thrd_success);
}

static EVP_CIPHER_CTX *cipher_ctx(const EVP_CIPHER *algorithm, int is_encrypting)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    gw_check(ctx && EVP_CipherInit_ex2(ctx, algorithm, NULL, NULL, is_encrypting, NULL));
    return ctx;
}

/* The contexts are given their algorithms here, so that later calls only change the key. */
static struct contexts *contexts_create(void)
{
    struct contexts *c = gw_zalloc(sizeof(*c));
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};

    pthread_once(&algorithms_once, algorithms_fetch);
    c->sha256 = EVP_MD_CTX_new();
    c->signing = EVP_MD_CTX_new();
    c->hmac = EVP_MAC_CTX_new(hmac);
    gw_check(c->sha256 && c->signing && c->hmac);
    gw_check(EVP_MAC_CTX_set_params(c->hmac, params));
    for (int way = 0; way < (int)gw_count(c->block); way++) {
        c->block[way].ctx = cipher_ctx(aes_block, way);
        gw_check(EVP_CIPHER_CTX_set_padding(c->block[way].ctx, 0));
        c->gcm[way].ctx = cipher_ctx(aes_gcm, way);
    }
    gw_check(tss_set(contexts_key, c) == thrd_success);
    return c;
}

static struct contexts *here(void)
{
    if (contexts == NULL)
        contexts = contexts_create();
    return contexts;
}

/* OpenSSL wants a pointer even where there is nothing. */
static const unsigned char *bytes_of(struct gw_slice s)
{
    return (const unsigned char *)(s.ptr ? s.ptr : "");
}

void gw_sha256(struct gw_slice data, uint8_t out[GW_SHA256_BYTES])
{
    EVP_MD_CTX *ctx = here()->sha256;

    gw_check(EVP_DigestInit_ex2(ctx, sha256, NULL));
    gw_check(EVP_DigestUpdate(ctx, bytes_of(data), data.len));
    gw_check(EVP_DigestFinal_ex(ctx, out, NULL));
}

static EVP_MAC_CTX *hmac_start(struct gw_slice key)
{
    struct contexts *c = here();
    bool is_same = key.len > 0 && key.len == c->hmac_key_len &&
                   CRYPTO_memcmp(c->hmac_key, key.ptr, key.len) == 0;

    gw_check(EVP_MAC_init(c->hmac, is_same ? NULL : bytes_of(key), is_same ? 0 : key.len, NULL));
    if (!is_same) {
        c->hmac_key_len = key.len <= sizeof(c->hmac_key) ? key.len : 0;
        if (c->hmac_key_len > 0)
            memcpy(c->hmac_key, key.ptr, c->hmac_key_len);
    }
    return c->hmac;
}

void gw_hmac_sha256(struct gw_slice key, const struct gw_slice *parts, size_t count,
                    uint8_t out[GW_SHA256_BYTES])
{
    EVP_MAC_CTX *ctx = hmac_start(key);
    size_t len;

    for (size_t i = 0; i < count; i++)
        gw_check(EVP_MAC_update(ctx, bytes_of(parts[i]), parts[i].len));
    gw_check(EVP_MAC_final(ctx, out, &len, GW_SHA256_BYTES) && len == GW_SHA256_BYTES);
}

void gw_hkdf_sha256(struct gw_slice key, struct gw_slice salt, struct gw_slice info,
                    uint8_t out[32])
{
    uint8_t extracted[GW_SHA256_BYTES];
    struct gw_slice first_block[] = {info, GW_SLICE("\x01")};

    gw_hmac_sha256(salt, &key, 1, extracted);
    gw_hmac_sha256((struct gw_slice){(char *)extracted, sizeof(extracted)}, first_block, 2, out);
    gw_wipe(extracted, sizeof(extracted));
}

/* Readies a cipher for `key`, and for `nonce` where it takes one. */
static EVP_CIPHER_CTX *cipher_start(struct cipher *cipher, const uint8_t key[32],
                                    const uint8_t *nonce)
{
    bool is_same = cipher->has_key && CRYPTO_memcmp(cipher->key, key, sizeof(cipher->key)) == 0;

    if (!is_same || nonce)
        gw_check(EVP_CipherInit_ex2(cipher->ctx, NULL, is_same ? NULL : key, nonce, -1, NULL));
    if (!is_same) {
        memcpy(cipher->key, key, sizeof(cipher->key));
        cipher->has_key = true;
    }
    return cipher->ctx;
}

static void aes_block_crypt(const uint8_t key[32], const uint8_t in[16], uint8_t out[16],
                            int is_encrypting)
{
    EVP_CIPHER_CTX *ctx = cipher_start(&here()->block[is_encrypting], key, NULL);
    int len;

    gw_check(EVP_CipherUpdate(ctx, out, &len, in, GW_AES_BLOCK) && len == GW_AES_BLOCK);
}

void gw_aes_block_encrypt(const uint8_t key[32], const uint8_t in[16], uint8_t out[16])
{
    aes_block_crypt(key, in, out, 1);
}

void gw_aes_block_decrypt(const uint8_t key[32], const uint8_t in[16], uint8_t out[16])
{
    aes_block_crypt(key, in, out, 0);
}

/* Sets key and nonce, feeds the AAD, and turns in.len bytes into as many. */
static EVP_CIPHER_CTX *gcm_crypt(const uint8_t key[32], const uint8_t *nonce, struct gw_slice aad,
                                 struct gw_slice in, uint8_t *out, int is_encrypting)
{
    EVP_CIPHER_CTX *ctx = cipher_start(&here()->gcm[is_encrypting], key, nonce);
    int len;

    gw_check(in.len <= INT_MAX && aad.len <= INT_MAX);
    if (aad.len > 0)
        gw_check(EVP_CipherUpdate(ctx, NULL, &len, bytes_of(aad), (int)aad.len));
    if (in.len > 0)
        gw_check(EVP_CipherUpdate(ctx, out, &len, bytes_of(in), (int)in.len));
    return ctx;
}

static void nonce_take(uint8_t nonce[NONCE_BYTES])
{
    struct contexts *c = here();

    if (c->nonces_left == 0) {
        gw_random_bytes(c->nonces, sizeof(c->nonces));
        c->nonces_left = NONCE_STOCK;
    }
    memcpy(nonce, c->nonces + --c->nonces_left * NONCE_BYTES, NONCE_BYTES);
}

void gw_seal(const uint8_t key[32], struct gw_slice aad, struct gw_slice in, uint8_t *out)
{
    uint8_t *text = out + NONCE_BYTES;
    int len;

    nonce_take(out);
    EVP_CIPHER_CTX *ctx = gcm_crypt(key, out, aad, in, text, 1);
    gw_check(EVP_CipherFinal_ex(ctx, text + in.len, &len));
    gw_check(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, text + in.len));
}

bool gw_unseal(const uint8_t key[32], struct gw_slice aad, struct gw_slice in, uint8_t *out)
{
    uint8_t tag[TAG_BYTES];
    uint8_t none[TAG_BYTES];
    int len;

    if (in.len < GW_SEAL_OVERHEAD)
        return false;
    struct gw_slice text = {in.ptr + NONCE_BYTES, in.len - GW_SEAL_OVERHEAD};
    memcpy(tag, text.ptr + text.len, TAG_BYTES);
    EVP_CIPHER_CTX *ctx = gcm_crypt(key, bytes_of(in), aad, text, out, 0);
    gw_check(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag));
    if (EVP_CipherFinal_ex(ctx, none, &len))
        return true;
    ERR_clear_error();
    if (text.len > 0)
        gw_wipe(out, text.len);
    return false;
}

/* ── Ed25519 ───────────────────────────────────────────────────────────────────────────────── */

/* Seeds are random, so one of their bytes is as good as a hash. */
static EVP_PKEY *pair_of(const uint8_t seed[GW_ED25519_BYTES])
{
    struct pair *pair = &here()->pairs[seed[0] % PAIRS];

    if (pair->key && CRYPTO_memcmp(pair->seed, seed, GW_ED25519_BYTES) == 0)
        return pair->key;
    EVP_PKEY_free(pair->key);
    pair->key = EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, seed, GW_ED25519_BYTES);
    gw_check(pair->key != NULL);
    memcpy(pair->seed, seed, GW_ED25519_BYTES);
    return pair->key;
}

void gw_ed25519_public(const uint8_t seed[GW_ED25519_BYTES], uint8_t out[GW_ED25519_BYTES])
{
    size_t len = GW_ED25519_BYTES;

    gw_check(EVP_PKEY_get_raw_public_key(pair_of(seed), out, &len) && len == GW_ED25519_BYTES);
}

void gw_ed25519_sign(const uint8_t seed[GW_ED25519_BYTES], const struct gw_slice *parts,
                     size_t count, uint8_t out[GW_ED25519_SIGNATURE_BYTES])
{
    EVP_MD_CTX *ctx = here()->signing;
    size_t len = GW_ED25519_SIGNATURE_BYTES;
    struct gw_buf all = {0}; /* it goes over the text twice, so there is no signing in parts */

    for (size_t i = 0; i < count; i++)
        gw_buf_adds(&all, parts[i]);
    gw_check(EVP_MD_CTX_reset(ctx));
    gw_check(EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, pair_of(seed), NULL));
    gw_check(EVP_DigestSign(ctx, out, &len, bytes_of(gw_buf_slice(&all)), all.len));
    gw_check(len == GW_ED25519_SIGNATURE_BYTES);
    gw_buf_deinit(&all);
}

static bool verify(EVP_PKEY *key, const char *digest, struct gw_slice data,
                   struct gw_slice signature)
{
    EVP_MD_CTX *ctx = here()->signing;

    gw_check(EVP_MD_CTX_reset(ctx));
    bool is_right =
        EVP_DigestVerifyInit_ex(ctx, NULL, digest, NULL, NULL, key, NULL) == 1 &&
        EVP_DigestVerify(ctx, bytes_of(signature), signature.len, bytes_of(data), data.len) == 1;
    if (!is_right)
        ERR_clear_error();
    return is_right;
}

bool gw_ed25519_verify(const uint8_t public_key[GW_ED25519_BYTES], struct gw_slice data,
                       const uint8_t signature[GW_ED25519_SIGNATURE_BYTES])
{
    EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, public_key, GW_ED25519_BYTES);
    struct gw_slice bytes = {(const char *)signature, GW_ED25519_SIGNATURE_BYTES};

    gw_check(key != NULL);
    bool is_right = verify(key, NULL, data, bytes);
    EVP_PKEY_free(key);
    return is_right;
}

/* ── RSA ───────────────────────────────────────────────────────────────────────────────────── */

struct gw_rsa_key {
    EVP_PKEY *pkey;
};

/* What a PEM block of that name holds; NULL: nothing that can be read. */
static EVP_PKEY *pkey_decode(const char *name, const unsigned char *der, long len)
{
    const unsigned char *at = der;
    EVP_PKEY *pkey = NULL;

    if (strcmp(name, "PUBLIC KEY") == 0) {
        pkey = d2i_PUBKEY(NULL, &at, len);
    } else if (strcmp(name, "CERTIFICATE") == 0) {
        X509 *certificate = d2i_X509(NULL, &at, len);
        pkey = certificate ? X509_get_pubkey(certificate) : NULL;
        X509_free(certificate);
    }
    if (pkey == NULL || at == der + len)
        return pkey;
    EVP_PKEY_free(pkey); /* more bytes than it needs */
    return NULL;
}

/* The first block of the text, unless there are two. */
static EVP_PKEY *pem_decode(BIO *text, const char **why)
{
    char *name = NULL, *headers = NULL, *other_name = NULL, *other_headers = NULL;
    unsigned char *der = NULL, *other_der = NULL;
    long len, other_len;
    EVP_PKEY *pkey = NULL;

    *why = "no PEM text";
    if (!PEM_read_bio(text, &name, &headers, &der, &len))
        goto out;
    *why = "a private key";
    if (strstr(name, "PRIVATE KEY"))
        goto out;
    *why = "PEM text of another kind";
    if (strcmp(name, "PUBLIC KEY") != 0 && strcmp(name, "CERTIFICATE") != 0)
        goto out;
    *why = "more than one key or certificate";
    if (PEM_read_bio(text, &other_name, &other_headers, &other_der, &other_len))
        goto out;
    *why = "damaged";
    pkey = pkey_decode(name, der, len);
out:
    OPENSSL_free(name);
    OPENSSL_free(headers);
    OPENSSL_clear_free(der, der ? (size_t)len : 0);
    OPENSSL_free(other_name);
    OPENSSL_free(other_headers);
    OPENSSL_clear_free(other_der, other_der ? (size_t)other_len : 0);
    return pkey;
}

struct gw_rsa_key *gw_rsa_key_parse(struct gw_slice pem, const char **why)
{
    struct gw_rsa_key *key = NULL;

    gw_check(pem.len <= INT_MAX);
    BIO *text = BIO_new_mem_buf(bytes_of(pem), (int)pem.len);
    gw_check(text != NULL);
    EVP_PKEY *pkey = pem_decode(text, why);
    BIO_free(text);
    ERR_clear_error();
    if (pkey == NULL)
        return NULL;
    int bits = EVP_PKEY_get_bits(pkey);
    if (!EVP_PKEY_is_a(pkey, "RSA"))
        *why = "a key of another kind than RSA";
    else if (bits < GW_RSA_BITS_MIN)
        *why = "an RSA key of fewer than 2048 bits";
    else if (bits > GW_RSA_BITS_MAX)
        *why = "an RSA key of more than 16384 bits";
    else {
        key = gw_alloc(sizeof(*key));
        key->pkey = pkey;
        return key;
    }
    EVP_PKEY_free(pkey);
    return NULL;
}

void gw_rsa_key_free(struct gw_rsa_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pkey);
    gw_free(key);
}

bool gw_rsa_verify(const struct gw_rsa_key *key, struct gw_slice data, struct gw_slice signature)
{
    return verify(key->pkey, "SHA256", data, signature);
}

/* ── SipHash ───────────────────────────────────────────────────────────────────────────────── */

/* Up to eight bytes, as little-endian. */
static uint64_t load_le(const uint8_t *bytes, size_t len)
{
    uint64_t value = 0;

    memcpy(&value, bytes, len);
    return le64toh(value);
}

static uint64_t rotl(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], int count)
{
    for (; count > 0; count--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotl(v[1], 13) ^ v[0];
        v[3] = rotl(v[3], 16) ^ v[2];
        v[0] = rotl(v[0], 32) + v[3];
        v[2] += v[1];
        v[1] = rotl(v[1], 17) ^ v[2];
        v[3] = rotl(v[3], 21) ^ v[0];
        v[2] = rotl(v[2], 32);
    }
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_rounds(v, 2);
    v[0] ^= word;
}

uint64_t gw_siphash(const uint8_t key[16], struct gw_slice data)
{
    uint64_t k0 = load_le(key, 8), k1 = load_le(key + 8, 8);
    uint64_t v[4] = {k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
                     k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
    const uint8_t *bytes = bytes_of(data);
    size_t whole = data.len / 8 * 8;

    for (size_t at = 0; at < whole; at += 8)
        sip_word(v, load_le(bytes + at, 8));
    sip_word(v, load_le(bytes + whole, data.len - whole) | (uint64_t)data.len << 56);
    v[2] ^= 0xFF;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ── Randomness and memory ─────────────────────────────────────────────────────────────────── */

void gw_random_bytes(void *out, size_t len)
{
    uint8_t *at = out;

    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        gw_check(got > 0);
        at += got;
        len -= (size_t)got;
    }
}

bool gw_equal_secret(struct gw_slice a, struct gw_slice b)
{
    return a.len == b.len && CRYPTO_memcmp(bytes_of(a), bytes_of(b), a.len) == 0;
}

void gw_wipe(void *ptr, size_t len)
{
    OPENSSL_cleanse(ptr, len);
}
