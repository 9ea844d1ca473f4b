/* jwt.c: a token as it is; or, where a NUL stands in the input, a header and claims, which are signed
 * rightly, so that what is behind the signature is reached too. */
#include "fuzz.h"

#include "api/jwt.h"
#include "base/buf.h"
#include "base/codec.h"
#include "core/event.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#define NOW_MS INT64_C(1800000000000)

static EVP_PKEY *pair;
static struct gw_rsa_key *key;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *why;
    char *text;

    (void)argc;
    (void)argv;
    pair = EVP_RSA_gen(2048);
    BIO *bio = BIO_new(BIO_s_mem());
    gw_check(PEM_write_bio_PUBKEY(bio, pair) == 1);
    long len = BIO_get_mem_data(bio, &text);
    key = gw_rsa_key_parse((struct gw_slice){text, (size_t)len}, &why);
    gw_check(key != NULL);
    BIO_free(bio);
    return 0;
}

static void sign(struct gw_buf *token, struct gw_slice header, struct gw_slice claims)
{
    unsigned char signature[256];
    size_t len = sizeof(signature);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    gw_base64url_encode(token, header.ptr, header.len);
    gw_buf_addc(token, '.');
    gw_base64url_encode(token, claims.ptr, claims.len);
    gw_check(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pair) == 1);
    gw_check(EVP_DigestSign(ctx, signature, &len, (const unsigned char *)token->ptr, token->len) ==
             1);
    EVP_MD_CTX_free(ctx);
    gw_buf_addc(token, '.');
    gw_base64url_encode(token, signature, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_slice rest = {(const char *)data, size}, app_id;
    struct gw_slice header = fuzz_next(&rest), claims = fuzz_next(&rest);
    struct gw_arena arena = {0};
    struct gw_buf token = {0};

    if (header.len < size)
        sign(&token, header, claims);
    else
        gw_buf_adds(&token, header);
    if (gw_jwt_check(gw_buf_slice(&token), key, NOW_MS, &arena, &app_id) == GW_JWT_OK) {
        gw_check(header.len < size); /* nobody guesses a signature */
        gw_check(gw_name_check("appId", app_id, NULL) == GW_OK);
    }
    gw_buf_deinit(&token);
    gw_arena_deinit(&arena);
    fuzz_free(header);
    fuzz_free(claims);
    return 0;
}
