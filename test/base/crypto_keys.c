/* Keys: Ed25519 and RSA against published vectors, and what is refused as a key. */
#include "test.h"

#include "base/alloc.h"
#include "base/crypto.h"

#include <pthread.h>

static struct gw_slice bytes_slice(const void *bytes, size_t len)
{
    return (struct gw_slice){bytes, len};
}

/* ── Ed25519 ───────────────────────────────────────────────────────────────────────────────── */

/* RFC 8032, 7.1: TEST 1, 2, 3 and SHA(abc). */
static const struct {
    const char *seed, *public_key, *text, *signature;
} vectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
     "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
     "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"},
};

static void signs_known_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < gw_count(vectors); i++) {
        struct gw_buf seed = unhex(vectors[i].seed), text = unhex(vectors[i].text);
        uint8_t public_key[GW_ED25519_BYTES], signature[GW_ED25519_SIGNATURE_BYTES];
        gw_ed25519_public((const uint8_t *)seed.ptr, public_key);
        expect_hex(public_key, sizeof(public_key), vectors[i].public_key);
        for (size_t cut = 0; cut <= text.len; cut++) { /* however the text is cut into parts */
            const struct gw_slice parts[] = {
                {gw_buf_slice(&text).ptr, cut}, {0}, gw_slice_skip(gw_buf_slice(&text), cut)};
            gw_ed25519_sign((const uint8_t *)seed.ptr, parts, gw_count(parts), signature);
            expect_hex(signature, sizeof(signature), vectors[i].signature);
        }
        assert_true(gw_ed25519_verify(public_key, gw_buf_slice(&text), signature));
        gw_buf_deinit(&seed);
        gw_buf_deinit(&text);
    }
}

static void notices_tampering(void **state)
{
    struct gw_slice text = GW_SLICE("a payload"), other = GW_SLICE("a Payload");
    uint8_t seed[GW_ED25519_BYTES] = {7}, public_key[GW_ED25519_BYTES];
    uint8_t signature[GW_ED25519_SIGNATURE_BYTES], zeroes[GW_ED25519_SIGNATURE_BYTES] = {0};

    (void)state;
    gw_ed25519_public(seed, public_key);
    gw_ed25519_sign(seed, &text, 1, signature);
    assert_true(gw_ed25519_verify(public_key, text, signature));
    assert_false(gw_ed25519_verify(public_key, other, signature));
    assert_false(gw_ed25519_verify(public_key, (struct gw_slice){0}, signature));
    assert_false(gw_ed25519_verify(public_key, text, zeroes));
    for (size_t bit = 0; bit < 8 * sizeof(signature); bit++) {
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
        expect(!gw_ed25519_verify(public_key, text, signature), "bit %zu", bit);
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof(public_key); bit++) {
        public_key[bit / 8] ^= (uint8_t)(1 << bit % 8);
        expect(!gw_ed25519_verify(public_key, text, signature), "bit %zu of the key", bit);
        public_key[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(gw_ed25519_verify(public_key, text, signature));
}

/* A thread keeps the keys it has used last: seeds that take each other's place there, in turns, and
 * threads beside each other, never sign with another's key. */
static void *sign_in_turns(void *arg)
{
    size_t number = *(size_t *)arg, wrong = 0;
    uint8_t seeds[8][GW_ED25519_BYTES], public_keys[8][GW_ED25519_BYTES];
    struct gw_slice text = GW_SLICE("the same for all");

    for (size_t i = 0; i < 8; i++) {
        memset(seeds[i], (int)(number + 1), GW_ED25519_BYTES);
        seeds[i][0] = (uint8_t)(i % 2 ? 0x40 : 0x80); /* one place for all */
        seeds[i][31] = (uint8_t)(i / 2);
        gw_ed25519_public(seeds[i], public_keys[i]);
    }
    for (size_t round = 0; round < 100; round++) {
        uint8_t signature[GW_ED25519_SIGNATURE_BYTES];
        size_t i = round * 5 / 2 % 8;
        gw_ed25519_sign(seeds[i], &text, 1, signature);
        wrong += !gw_ed25519_verify(public_keys[i], text, signature);
        wrong += gw_ed25519_verify(public_keys[(i + 1) % 8], text, signature);
    }
    *(size_t *)arg = wrong;
    return NULL;
}

static void keeps_keys_apart(void **state)
{
    pthread_t threads[4];
    size_t args[gw_count(threads)];

    (void)state;
    for (size_t i = 0; i < gw_count(threads); i++) {
        args[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, sign_in_turns, &args[i]), 0);
    }
    for (size_t i = 0; i < gw_count(threads); i++) {
        pthread_join(threads[i], NULL);
        expect(args[i] == 0, "thread %zu: %zu wrong results", i, args[i]);
    }
}

/* ── RSA ───────────────────────────────────────────────────────────────────────────────────── */

/* RFC 7515, A.2: the key, the signing input and its signature; and the key in a certificate. */
#define RSA_PUBLIC                                                                                 \
    "-----BEGIN PUBLIC KEY-----\n"                                                                 \
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj\n"                           \
    "NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz\n"                           \
    "P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo\n"                           \
    "9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB\n"                           \
    "EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX\n"                           \
    "FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp\n"                           \
    "oQIDAQAB\n"                                                                                   \
    "-----END PUBLIC KEY-----\n"
#define A2_INPUT                                                                                   \
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlL"   \
    "mNvbS9pc19yb290Ijp0cnVlfQ"
#define A2_SIGNATURE                                                                               \
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O"       \
    "8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARN"       \
    "PvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ"       \
    "1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
#define RSA_CERTIFICATE                                                                            \
    "-----BEGIN CERTIFICATE-----\n"                                                                \
    "MIIB0DCCAXagAwIBAgIBATAKBggqhkjOPQQDAjAMMQowCAYDVQQDDAFpMB4XDTIw\n"                           \
    "MDEwMTAwMDAwMFoXDTIxMDEwMTAwMDAwMFowDDEKMAgGA1UEAwwBczCCASIwDQYJ\n"                           \
    "KoZIhvcNAQEBBQADggEPADCCAQoCggEBAKH4Fgri48m0Zc6NLWViYzYrkn2+KeHw\n"                           \
    "JHf8FiXMkKE244vZNJfFtupj3XcR5nx0KflWsPuKjwia3EtpiTzBMz9T7dAZuHeE\n"                           \
    "JS/skU/khXdpWUvqQoDTLA9Vv2KUTxMDlrxum99uvdK9o2eO7KDGaPcBs42/+zjI\n"                           \
    "NCzi/m0n+t5KWkh0l53Uuc+a3sTHWwWFLCwPXvilwXUDkvlE6O1kwRDGtkdgmqR4\n"                           \
    "OuucbJrXVTEwUGOLg2Zcb296gqOWcCofZBuC0+vyOSIZSR+2hocsVxb1Cvg1jZqL\n"                           \
    "nRfDQHKPf4fYmhjY/KtnrYRZDC7PdZM5NjwHA01vYG+eIeBUVsrl6aECAwEAATAK\n"                           \
    "BggqhkjOPQQDAgNIADBFAiEAshoojPaK4OtXk0WT4ejcmkYk/bE6D3Mpbe3pmwhS\n"                           \
    "afUCIAtUlL7sz7QmTOXtOdUA98QN515DXxdSpIu0It6LZ7sq\n"                                           \
    "-----END CERTIFICATE-----\n"

/* And what is no such key. */
#define RSA_1024                                                                                   \
    "-----BEGIN PUBLIC KEY-----\n"                                                                 \
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDiNKNU+KNWOzd36D3iDtu5U7l3\n"                           \
    "RE91gcFizKMV0G9/CV8pQZk3/g7lktoE5cmZjRl9qZpNkn5a+aLnOrix8P47VhEV\n"                           \
    "pTOsCl1E8zkMIjhrIxVCzG6b9sbBUjQyerxCUqidPk0/dyV4vNXLFZh66UxE9oXn\n"                           \
    "93bFwTUN77Ks0vA0ywIDAQAB\n"                                                                   \
    "-----END PUBLIC KEY-----\n"
#define EC_PUBLIC                                                                                  \
    "-----BEGIN PUBLIC KEY-----\n"                                                                 \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEs4RvNOoWbPRO7CloQkdAkYuS0Sac\n"                           \
    "60EBc1WnuSvkgzgUm6fpMKW0Hfp9we1eN0WgYDJ60gUVREpfKBxEdY2XvQ==\n"                               \
    "-----END PUBLIC KEY-----\n"
#define EC_PRIVATE                                                                                 \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgniFrcsabYCiNb+b/\n"                           \
    "ZtUQeuhpX1JnYSM8MfjD0D9GChahRANCAASzhG806hZs9E7sKWhCR0CRi5LRJpzr\n"                           \
    "QQFzVae5K+SDOBSbp+kwpbQd+n3B7V43RaBgMnrSBRVESl8oHER1jZe9\n"                                   \
    "-----END PRIVATE KEY-----\n"
#define RSA_PKCS1                                                                                  \
    "-----BEGIN RSA PUBLIC KEY-----\n"                                                             \
    "MA0CBgDerb7vAQIDAQAB\n"                                                                       \
    "-----END RSA PUBLIC KEY-----\n"

static struct gw_rsa_key *parse(const char *pem)
{
    const char *why = NULL;
    struct gw_rsa_key *key = gw_rsa_key_parse(gw_slice_from(pem), &why);

    expect(key, "%s", why);
    return key;
}

static void verifies_rs256(void **state)
{
    static const char *const pems[] = {
        RSA_PUBLIC,
        RSA_CERTIFICATE,
        "a word before it\n\n" RSA_PUBLIC "and one after it\n",
    };
    struct gw_slice input = GW_SLICE(A2_INPUT);
    struct gw_buf signature = {0};

    (void)state;
    assert_true(gw_base64url_decode(&signature, GW_SLICE(A2_SIGNATURE)));
    assert_int_equal(signature.len, 256);
    for (size_t i = 0; i < gw_count(pems); i++) {
        struct gw_rsa_key *key = parse(pems[i]);
        struct gw_slice right = gw_buf_slice(&signature);
        assert_true(gw_rsa_verify(key, input, right));
        assert_false(gw_rsa_verify(key, GW_SLICE(A2_INPUT "="), right));
        assert_false(gw_rsa_verify(key, (struct gw_slice){0}, right));
        assert_false(gw_rsa_verify(key, input, (struct gw_slice){0}));
        assert_false(gw_rsa_verify(key, input, gw_slice_skip(right, 1)));
        assert_false(gw_rsa_verify(key, input, bytes_slice(right.ptr, 255)));
        for (size_t bit = 0; bit < 8 * signature.len; bit += 7) {
            signature.ptr[bit / 8] ^= (char)(1 << bit % 8);
            expect(!gw_rsa_verify(key, input, gw_buf_slice(&signature)), "bit %zu", bit);
            signature.ptr[bit / 8] ^= (char)(1 << bit % 8);
        }
        assert_true(gw_rsa_verify(key, input, gw_buf_slice(&signature)));
        gw_rsa_key_free(key);
    }
    gw_rsa_key_free(NULL);
    gw_buf_deinit(&signature);
}

static void refuses_keys(void **state)
{
    static const struct {
        const char *pem, *why;
    } rows[] = {
        {NULL, "no PEM text"},
        {"", "no PEM text"},
        {"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA", "no PEM text"},
        {"-----BEGIN PUBLIC KEY-----\nMIIBIjAN\n", "no PEM text"},
        {"-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n", "no PEM text"},
        {"-----BEGIN PUBLIC KEY-----\nMIIBIjAN\n-----END PUBLIC KEY-----\n", "damaged"},
        {"-----BEGIN CERTIFICATE-----\nMIIBIjAN\n-----END CERTIFICATE-----\n", "damaged"},
        {EC_PRIVATE, "a private key"},
        {"-----BEGIN RSA PRIVATE KEY-----\nMIIBIjAN\n-----END RSA PRIVATE KEY-----\n",
         "a private key"},
        {RSA_PKCS1, "PEM text of another kind"},
        {RSA_1024, "an RSA key of fewer than 2048 bits"},
        {EC_PUBLIC, "a key of another kind than RSA"},
        {RSA_PUBLIC RSA_PUBLIC, "more than one key or certificate"},
        {RSA_CERTIFICATE RSA_PUBLIC, "more than one key or certificate"},
        {RSA_PUBLIC EC_PRIVATE, "more than one key or certificate"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        const char *why = NULL;
        struct gw_rsa_key *key = gw_rsa_key_parse(gw_slice_from(rows[i].pem), &why);
        expect(key == NULL, "row %zu was taken", i);
        expect(why && strcmp(why, rows[i].why) == 0, "row %zu: %s", i, why);
    }
}

/* Whatever is cut off or changed, nothing but a key or a reason comes back. */
static void spoilt_keys(void **state)
{
    char pem[] = RSA_CERTIFICATE;
    uint64_t random = 1;
    size_t taken = 0;

    (void)state;
    for (size_t i = 0; i < 3000; i++) {
        size_t at = draw(&random) % (sizeof(pem) - 1), len = sizeof(pem) - 1;
        char before = pem[at];
        const char *why = NULL;
        pem[at] = (char)draw(&random);
        if (i % 3 == 0)
            len = draw(&random) % len;
        struct gw_rsa_key *key = gw_rsa_key_parse(bytes_slice(pem, len), &why);
        assert_true(key || why);
        taken += key != NULL;
        gw_rsa_key_free(key);
        pem[at] = before;
    }
    assert_in_range(taken, 1, 2999); /* a certificate's signature may be spoilt */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_known_texts), cmocka_unit_test(notices_tampering),
        cmocka_unit_test(keeps_keys_apart),  cmocka_unit_test(verifies_rs256),
        cmocka_unit_test(refuses_keys),      cmocka_unit_test(spoilt_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
