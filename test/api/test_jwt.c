/* test_jwt.c: which tokens are taken. Tokens are made here with OpenSSL, right and wrong ones. */
#include "rig.h"

#include "api/jwt.h"
#include "base/buf.h"
#include "base/codec.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#define NOW_MS  ((int64_t)1800000000500) /* half a second behind a whole one */
#define HEADER  "{\"alg\":\"RS256\",\"typ\":\"JWT\"}"
#define CLAIMS  "{\"appId\":\"acme\",\"exp\":1800000001,\"nbf\":1800000000}"
#define EXPIRED "{\"appId\":\"acme\",\"exp\":1800000000}"

struct world {
    EVP_PKEY *pair, *other;
    struct gw_rsa_key *key; /* of `pair` */
    struct gw_buf pem;
};

static struct world world;

static struct gw_rsa_key *public_of(EVP_PKEY *pair, struct gw_buf *pem)
{
    const char *why = NULL;
    char *text;
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(bio, pair), 1);
    long len = BIO_get_mem_data(bio, &text);
    gw_buf_add(pem, text, (size_t)len);
    BIO_free(bio);
    struct gw_rsa_key *key = gw_rsa_key_parse(gw_buf_slice(pem), &why);
    assert_non_null(key);
    return key;
}

static int setup(void **state)
{
    (void)state;
    world.pair = EVP_RSA_gen(2048);
    world.other = EVP_RSA_gen(2048);
    world.key = public_of(world.pair, &world.pem);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_rsa_key_free(world.key);
    EVP_PKEY_free(world.pair);
    EVP_PKEY_free(world.other);
    gw_buf_deinit(&world.pem);
    return 0;
}

/* ── Making tokens ─────────────────────────────────────────────────────────────────────────── */

enum how { RS256, RS512, PS256, HS256, OTHER_KEY, NO_SIGNATURE, HOW_COUNT };

static void sign_rsa(EVP_PKEY *pair, const EVP_MD *digest, int padding, struct gw_slice text,
                     struct gw_buf *out)
{
    uint8_t signature[512];
    size_t len = sizeof(signature);
    EVP_PKEY_CTX *options;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, &options, digest, NULL, pair), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(options, padding), 1);
    assert_int_equal(
        EVP_DigestSign(ctx, signature, &len, (const unsigned char *)text.ptr, text.len), 1);
    gw_buf_add(out, signature, len);
    EVP_MD_CTX_free(ctx);
}

static void sign(enum how how, struct gw_slice text, struct gw_buf *out)
{
    uint8_t mac[GW_SHA256_BYTES];
    switch (how) {
    case RS256: sign_rsa(world.pair, EVP_sha256(), RSA_PKCS1_PADDING, text, out); return;
    case RS512: sign_rsa(world.pair, EVP_sha512(), RSA_PKCS1_PADDING, text, out); return;
    case PS256: sign_rsa(world.pair, EVP_sha256(), RSA_PKCS1_PSS_PADDING, text, out); return;
    case OTHER_KEY: sign_rsa(world.other, EVP_sha256(), RSA_PKCS1_PADDING, text, out); return;
    case HS256:
        gw_hmac_sha256(gw_buf_slice(&world.pem), &text, 1, mac);
        gw_buf_add(out, mac, sizeof(mac));
        return;
    case NO_SIGNATURE:
    case HOW_COUNT: return;
    }
}

static void make(enum how how, struct gw_slice header, struct gw_slice claims, struct gw_buf *token)
{
    struct gw_buf signature = {0};
    gw_buf_clear(token);
    gw_base64url_encode(token, header.ptr, header.len);
    gw_buf_addc(token, '.');
    gw_base64url_encode(token, claims.ptr, claims.len);
    sign(how, gw_buf_slice(token), &signature);
    gw_buf_addc(token, '.');
    gw_base64url_encode(token, signature.ptr, signature.len);
    gw_buf_deinit(&signature);
}

static enum gw_jwt check_at(struct gw_slice token, int64_t now_ms, char app_id[64])
{
    struct gw_arena arena = {0};
    struct gw_slice found = {0};
    /* A copy that ends where the token does, so that a sanitizer sees a step beyond. */
    char *copy = malloc(token.len + (token.len == 0));
    memcpy(copy, token.ptr, token.len);
    enum gw_jwt said =
        gw_jwt_check((struct gw_slice){copy, token.len}, world.key, now_ms, &arena, &found);
    if (said == GW_JWT_OK)
        snprintf(app_id, 64, "%.*s", GW_SLICE_ARG(found));
    free(copy);
    gw_arena_deinit(&arena);
    return said;
}

static enum gw_jwt check(struct gw_slice token)
{
    char app_id[64];
    return check_at(token, NOW_MS, app_id);
}

/* ── Tests ─────────────────────────────────────────────────────────────────────────────────── */

static void right_ones(void **state)
{
    static const struct {
        const char *header, *claims, *app_id;
    } rows[] = {
        {HEADER, CLAIMS, "acme"},
        {"{\"alg\":\"RS256\"}", "{\"appId\":\"acme\"}", "acme"},
        {" {\n\"alg\" : \"RS256\" } ", " { \"appId\" : \"acme\" }\n", "acme"},
        {"{\"typ\":7,\"alg\":\"RS256\"}", "{\"sub\":\"x\",\"appId\":\"acme\",\"iat\":\"?\"}",
         "acme"},
        {"{\"alg\":\"RS\\u003256\"}", "{\"\\u0061ppId\":\"a\\u00e9\"}", "a\xc3\xa9"},
        /* what points to another key is not looked at */
        {"{\"alg\":\"RS256\",\"kid\":\"../../dev/null\",\"jku\":\"https://evil.example/\","
         "\"x5u\":\"https://evil.example/\",\"jwk\":{\"kty\":\"RSA\",\"n\":\"AQ\",\"e\":\"AQAB\"}}",
         CLAIMS, "acme"},
        {HEADER, "{\"appId\":\"acme\",\"exp\":1.8000000006e9,\"nbf\":1800000000.4}", "acme"},
        {HEADER, "{\"appId\":\"acme\",\"exp\":1e300,\"nbf\":-1e300}", "acme"},
        {HEADER, "{\"appId\":\"acme\",\"exp\":18446744073709551615,\"nbf\":0}", "acme"},
        {HEADER, "{\"appId\":\"*\",\"roles\":[\"admin\"]}", "*"}, /* an app of that name */
    };
    struct gw_buf token = {0};
    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        char app_id[64] = "";
        make(RS256, gw_slice_from(rows[i].header), gw_slice_from(rows[i].claims), &token);
        assert_int_equal(check_at(gw_buf_slice(&token), NOW_MS, app_id), GW_JWT_OK);
        assert_string_equal(app_id, rows[i].app_id);
    }
    gw_buf_deinit(&token);
}

/* The right signature under each of them: what is refused is the token itself. */
static void wrong_ones(void **state)
{
    static const struct {
        const char *header, *claims;
    } rows[] = {
        {"{\"alg\":\"none\"}", CLAIMS},
        {"{\"alg\":\"NONE\"}", CLAIMS},
        {"{\"alg\":\"HS256\"}", CLAIMS},
        {"{\"alg\":\"RS384\"}", CLAIMS},
        {"{\"alg\":\"RS512\"}", CLAIMS},
        {"{\"alg\":\"PS256\"}", CLAIMS},
        {"{\"alg\":\"ES256\"}", CLAIMS},
        {"{\"alg\":\"EdDSA\"}", CLAIMS},
        {"{\"alg\":\"rs256\"}", CLAIMS},
        {"{\"alg\":\"RS256 \"}", CLAIMS},
        {"{\"alg\":\"RS256\\u0000\"}", CLAIMS},
        {"{\"alg\":\"\"}", CLAIMS},
        {"{\"alg\":null}", CLAIMS},
        {"{\"alg\":[\"RS256\"]}", CLAIMS},
        {"{\"alg\":[\"R\",\"S\",\"2\",\"5\",\"6\"]}", CLAIMS}, /* as long as the right one */
        {"{\"alg\":{\"R\":1,\"S\":1,\"2\":1,\"5\":1,\"6\":1}}", CLAIMS},
        {"{\"ALG\":\"RS256\"}", CLAIMS},
        {"{}", CLAIMS},
        {"[\"RS256\"]", CLAIMS},
        {"\"RS256\"", CLAIMS},
        {"", CLAIMS},
        {"{\"alg\":\"RS256\"", CLAIMS},
        {"{\"alg\":\"RS256\"}}", CLAIMS},
        {"{\"alg\":\"RS256\",}", CLAIMS},
        {"{\"alg\":\"RS256\"}//", CLAIMS},
        {"\xef\xbb\xbf{\"alg\":\"RS256\"}", CLAIMS},
        {"{\"alg\":\"RS256\",\"x\":\"\xff\"}", CLAIMS},
        {"{\"alg\":\"none\",\"alg\":\"RS256\"}", CLAIMS},
        {"{\"alg\":\"RS256\",\"alg\":\"RS256\"}", CLAIMS},
        {"{\"alg\":\"RS256\",\"\\u0061lg\":\"none\"}", CLAIMS},
        {"{\"alg\":\"RS256\",\"crit\":[\"exp\"]}", CLAIMS},
        {"{\"alg\":\"RS256\",\"crit\":[\"b64\"],\"b64\":false}", CLAIMS},
        {"{\"alg\":\"RS256\",\"crit\":[]}", CLAIMS},
        {"{\"alg\":\"RS256\",\"crit\":null}", CLAIMS},
        {HEADER, ""},
        {HEADER, "null"},
        {HEADER, "[]"},
        {HEADER, "{}"},
        {HEADER, "{\"appId\":\"\"}"},
        {HEADER, "{\"appId\":null}"},
        {HEADER, "{\"appId\":7}"},
        {HEADER, "{\"appId\":[\"acme\"]}"},
        {HEADER, "{\"appId\":\"acme\\u0000\"}"},
        {HEADER, "{\"appId\":\"ac\\nme\"}"},
        {HEADER, "{\"appid\":\"acme\"}"},
        {HEADER, "{\"claims\":{\"appId\":\"acme\"}}"},
        {HEADER, "{\"appId\":\"acme\",\"appId\":\"other\"}"},
        {HEADER, "{\"appId\":\"acme\",\"app\\u0049d\":\"acme\"}"},
        {HEADER, "{\"appId\":\"acme\",\"exp\":1,\"exp\":1900000000}"},
        {HEADER, "{\"appId\":\"acme\",\"exp\":\"1900000000\"}"},
        {HEADER, "{\"appId\":\"acme\",\"exp\":null}"},
        {HEADER, "{\"appId\":\"acme\",\"exp\":true}"},
        {HEADER, "{\"appId\":\"acme\",\"exp\":{}}"},
        {HEADER, "{\"appId\":\"acme\",\"exp\":1e999}"},
        {HEADER, "{\"appId\":\"acme\",\"exp\":NaN}"},
        {HEADER, "{\"appId\":\"acme\",\"nbf\":\"0\"}"},
        {HEADER, "{\"appId\":\"acme\",\"nbf\":null}"},
        {HEADER, "{\"appId\":\"acme\",\"nbf\":1800000001}"},
        {HEADER, "{\"appId\":\"acme\",\"nbf\":1800000000.6}"},
        {HEADER, "{\"appId\":\"acme\",\"nbf\":1900000000,\"exp\":1}"}, /* never right at all */
        {HEADER, "{\"appId\":\"\",\"exp\":1}"},
        {HEADER, CLAIMS CLAIMS},
    };
    struct gw_buf token = {0};
    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        make(RS256, gw_slice_from(rows[i].header), gw_slice_from(rows[i].claims), &token);
        if (check(gw_buf_slice(&token)) != GW_JWT_INVALID)
            fail_msg("%s %s", rows[i].header, rows[i].claims);
    }
    gw_buf_deinit(&token);
}

static void other_signatures(void **state)
{
    static const char *const algs[] = {"RS256", "RS512", "PS256", "HS256", "RS256", "none"};
    struct gw_buf token = {0}, header = {0};
    (void)state;
    for (enum how how = RS512; how < HOW_COUNT; how++) {
        gw_buf_clear(&header);
        gw_buf_addf(&header, "{\"alg\":\"%s\"}", algs[how]);
        make(how, gw_buf_slice(&header), GW_SLICE(CLAIMS), &token);
        assert_int_equal(check(gw_buf_slice(&token)), GW_JWT_INVALID);
        make(how, GW_SLICE(HEADER), GW_SLICE(CLAIMS), &token); /* and one that lies about it */
        assert_int_equal(check(gw_buf_slice(&token)), GW_JWT_INVALID);
    }
    gw_buf_deinit(&header);
    gw_buf_deinit(&token);
}

static void expiry(void **state)
{
    static const struct {
        int64_t now_ms;
        enum gw_jwt said;
    } rows[] = {
        {1799999999999, GW_JWT_OK},
        {1800000000000, GW_JWT_EXPIRED}, /* "on or after" */
        {1800000000001, GW_JWT_EXPIRED},
        {INT64_MAX, GW_JWT_EXPIRED},
    };
    char app_id[64];
    struct gw_buf token = {0};
    (void)state;
    make(RS256, GW_SLICE(HEADER), GW_SLICE(EXPIRED), &token);
    for (size_t i = 0; i < gw_count(rows); i++)
        assert_int_equal(check_at(gw_buf_slice(&token), rows[i].now_ms, app_id), rows[i].said);
    make(OTHER_KEY, GW_SLICE(HEADER), GW_SLICE(EXPIRED), &token);
    assert_int_equal(check(gw_buf_slice(&token)), GW_JWT_INVALID); /* nobody learns it was late */
    gw_buf_deinit(&token);
}

/* The same token, written in ways that a lenient reader would take for it. H, C and S stand for its
 * parts. */
static void other_spellings(void **state)
{
    static const char *const spellings[] = {
        "H.C.S ", " H.C.S",    "H.C.S\n",   "H.C.S\t", "H .C.S", "H. C.S", "H.C.S.",   ".H.C.S",
        "H..C.S", "H.C..S",    "H.C.S.S",   "H.C.",    "H..S",   ".C.S",   "H.CS",     "HC.S",
        "HCS",    "H.C.S=",    "H=.C.S",    "H.C==.S", "H.C.SA", "xH.C.S", "H.C.AAS",  "H.C.S%3D",
        "H.S.C",  "H.C.S\r\n", "\"H.C.S\"", "H,C,S",   "H.C",    "H",      "C.H.S",    "H.H.S",
        "",       ".",         "..",        "...",     "a.b",    "a.b.c",  "e30.e30.", "=.=.=",
    };
    struct gw_buf token = {0}, variant = {0};
    struct gw_slice parts[3];
    (void)state;
    make(RS256, GW_SLICE(HEADER), GW_SLICE(CLAIMS), &token);
    struct gw_slice good = gw_buf_slice(&token), rest = good;
    for (size_t i = 0; i < 3; i++)
        assert_true(gw_slice_split(&rest, '.', &parts[i]));
    assert_int_equal(check(good), GW_JWT_OK);
    for (size_t i = 0; i < gw_count(spellings); i++) {
        gw_buf_clear(&variant);
        for (const char *c = spellings[i]; *c; c++) {
            if (*c == 'H' || *c == 'C' || *c == 'S')
                gw_buf_adds(&variant, parts[*c == 'H' ? 0 : *c == 'C' ? 1 : 2]);
            else
                gw_buf_addc(&variant, *c);
        }
        if (check(gw_buf_slice(&variant)) != GW_JWT_INVALID)
            fail_msg("%s", spellings[i]);
    }
    gw_buf_deinit(&variant);
    gw_buf_deinit(&token);
}

/* 256 bytes of signature end in a character of which two bits count: the others must be zero. */
static void stray_bits(void **state)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct gw_buf token = {0};
    size_t taken = 0;
    (void)state;
    make(RS256, GW_SLICE(HEADER), GW_SLICE(CLAIMS), &token);
    for (size_t i = 0; i < sizeof(digits) - 1; i++) {
        token.ptr[token.len - 1] = digits[i];
        taken += check(gw_buf_slice(&token)) == GW_JWT_OK;
    }
    assert_int_equal(taken, 1);
    gw_buf_deinit(&token);
}

static void tampered(void **state)
{
    struct gw_buf token = {0};
    (void)state;
    make(RS256, GW_SLICE("{\"alg\":\"RS256\"}"), GW_SLICE("{\"appId\":\"a\"}"), &token);
    assert_int_equal(check(gw_buf_slice(&token)), GW_JWT_OK);
    for (size_t i = 0; i < token.len; i++) {
        char was = token.ptr[i];
        for (int bit = 0; bit < 8; bit++) {
            token.ptr[i] = (char)(was ^ 1 << bit);
            assert_int_equal(check(gw_buf_slice(&token)), GW_JWT_INVALID);
        }
        token.ptr[i] = was;
        assert_int_equal(check((struct gw_slice){token.ptr, i}), GW_JWT_INVALID);
    }
    gw_buf_deinit(&token);
}

static void sizes(void **state)
{
    struct gw_buf token = {0}, claims = {0};
    (void)state;
    gw_buf_addf(&claims, "{\"appId\":\"acme\",\"x\":\"%05700d\"}", 0);
    make(RS256, GW_SLICE(HEADER), gw_buf_slice(&claims), &token);
    assert_in_range(token.len, GW_JWT_BYTES_MAX - 500, GW_JWT_BYTES_MAX);
    assert_int_equal(check(gw_buf_slice(&token)), GW_JWT_OK);
    gw_buf_clear(&claims);
    gw_buf_addf(&claims, "{\"appId\":\"acme\",\"x\":\"%06000d\"}", 0);
    make(RS256, GW_SLICE(HEADER), gw_buf_slice(&claims), &token);
    assert_int_equal(check(gw_buf_slice(&token)), GW_JWT_INVALID);

    gw_buf_clear(&claims); /* deep, in the header and in the claims */
    gw_buf_addf(&claims, "{\"alg\":\"RS256\",\"appId\":\"acme\",\"x\":");
    for (int i = 0; i < 2000; i++)
        gw_buf_addc(&claims, '[');
    for (int i = 0; i < 2000; i++)
        gw_buf_addc(&claims, ']');
    gw_buf_addc(&claims, '}');
    make(RS256, GW_SLICE(HEADER), gw_buf_slice(&claims), &token);
    assert_int_equal(check(gw_buf_slice(&token)), GW_JWT_INVALID);
    make(RS256, gw_buf_slice(&claims), GW_SLICE(CLAIMS), &token);
    assert_int_equal(check(gw_buf_slice(&token)), GW_JWT_INVALID);
    gw_buf_deinit(&claims);
    gw_buf_deinit(&token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_ones),       cmocka_unit_test(wrong_ones),
        cmocka_unit_test(other_signatures), cmocka_unit_test(expiry),
        cmocka_unit_test(other_spellings),  cmocka_unit_test(stray_bits),
        cmocka_unit_test(tampered),         cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
