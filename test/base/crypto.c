/* Crypto: the published vectors of each primitive, tampering, and many threads at once. */
#include "test.h"

#include "base/alloc.h"
#include "base/crypto.h"

#include <pthread.h>

static struct gw_slice bytes_slice(const uint8_t *bytes, size_t len)
{
    return (struct gw_slice){(const char *)bytes, len};
}

/* `count` bytes: first, first + step, … */
static struct gw_buf run_of(unsigned first, unsigned step, size_t count)
{
    struct gw_buf buf = {0};

    for (size_t i = 0; i < count; i++)
        gw_buf_addc(&buf, (char)(first + step * i));
    return buf;
}

/* FIPS 180-4 examples. */
static void sha256(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {NULL, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        uint8_t out[GW_SHA256_BYTES];
        gw_sha256(gw_slice_from(rows[i].in), out);
        expect_hex(out, sizeof(out), rows[i].out);
    }
}

/* RFC 4231 §4.2 to 4.8, without the truncated one. A key or text is a string, or a run of bytes. */
static void hmac_sha256(void **state)
{
    static const struct {
        const char *key;
        unsigned key_first, key_step, key_count;
        const char *text;
        unsigned text_byte, text_count;
        const char *out;
    } rows[] = {
        {NULL, 0x0B, 0, 20, "Hi There", 0, 0,
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"Jefe", 0, 0, 0, "what do ya want for nothing?", 0, 0,
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {NULL, 0xAA, 0, 20, NULL, 0xDD, 50,
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {NULL, 1, 1, 25, NULL, 0xCD, 50,
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
        {NULL, 0xAA, 0, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 0, 0,
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {NULL, 0xAA, 0, 131,
         "This is a test using a larger than block-size key and a larger than block-size data. "
         "The key needs to be hashed before being used by the HMAC algorithm.",
         0, 0, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
        {"", 0, 0, 0, "", 0, 0, /* not of the RFC: nothing under no key */
         "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_buf key = run_of(rows[i].key_first, rows[i].key_step, rows[i].key_count);
        struct gw_buf text = run_of(rows[i].text_byte, 0, rows[i].text_count);
        uint8_t out[GW_SHA256_BYTES];
        gw_buf_adds(&key, gw_slice_from(rows[i].key));
        gw_buf_adds(&text, gw_slice_from(rows[i].text));
        for (size_t cut = 0; cut <= text.len; cut++) { /* however the text is cut into parts */
            const struct gw_slice parts[] = {
                {gw_buf_slice(&text).ptr, cut}, {0}, gw_slice_skip(gw_buf_slice(&text), cut)};
            gw_hmac_sha256(gw_buf_slice(&key), parts, gw_count(parts), out);
            expect_hex(out, sizeof(out), rows[i].out);
        }
        gw_buf_deinit(&key);
        gw_buf_deinit(&text);
    }
    uint8_t out[GW_SHA256_BYTES];
    gw_hmac_sha256((struct gw_slice){0}, NULL, 0, out);
    expect_hex(out, sizeof(out), rows[gw_count(rows) - 1].out);
}

/* RFC 5869 A.1 to A.3, the first 32 bytes of each. */
static void hkdf_sha256(void **state)
{
    static const struct {
        unsigned key_first, key_step, key_count, salt_first, salt_count, info_first, info_count;
        const char *out;
    } rows[] = {
        {0x0B, 0, 22, 0, 13, 0xF0, 10,
         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"},
        {0, 1, 80, 0x60, 80, 0xB0, 80,
         "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"},
        {0x0B, 0, 22, 0, 0, 0, 0,
         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_buf key = run_of(rows[i].key_first, rows[i].key_step, rows[i].key_count);
        struct gw_buf salt = run_of(rows[i].salt_first, 1, rows[i].salt_count);
        struct gw_buf info = run_of(rows[i].info_first, 1, rows[i].info_count);
        uint8_t out[32];
        gw_hkdf_sha256(gw_buf_slice(&key), gw_buf_slice(&salt), gw_buf_slice(&info), out);
        expect_hex(out, sizeof(out), rows[i].out);
        gw_buf_deinit(&key);
        gw_buf_deinit(&salt);
        gw_buf_deinit(&info);
    }
}

static void aes_block(void **state)
{
    struct gw_buf key = run_of(0, 1, 32), plain = run_of(0, 0x11, 16); /* FIPS 197 C.3 */
    const uint8_t *key_bytes = (const uint8_t *)key.ptr;
    uint8_t out[16], back[16];
    uint64_t random = 1;

    (void)state;
    gw_aes_block_encrypt(key_bytes, (const uint8_t *)plain.ptr, out);
    expect_hex(out, 16, "8ea2b7ca516745bfeafc49904b496089");
    gw_aes_block_decrypt(key_bytes, out, back);
    assert_memory_equal(back, plain.ptr, 16);

    for (int round = 0; round < 1000; round++) { /* keys and directions in any order */
        uint8_t some_key[32], in[16];
        for (size_t i = 0; i < sizeof(some_key); i++)
            some_key[i] = (uint8_t)draw(&random);
        for (size_t i = 0; i < sizeof(in); i++)
            in[i] = (uint8_t)draw(&random);
        gw_aes_block_encrypt(some_key, in, out);
        assert_memory_not_equal(in, out, 16);
        if (round % 3 == 0)
            gw_aes_block_encrypt(key_bytes, in, back);
        gw_aes_block_decrypt(some_key, out, back);
        assert_memory_equal(in, back, 16);
    }
    gw_buf_deinit(&key);
    gw_buf_deinit(&plain);
}

/* "The Galois/Counter Mode of Operation (GCM)", appendix B, test cases 13 to 16. */
static void unseals_known_texts(void **state)
{
    static const char key_1[] = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    static const char key_0[] = "0000000000000000000000000000000000000000000000000000000000000000";
    static const struct {
        const char *key, *aad, *nonce, *text, *tag, *plain;
    } rows[] = {
        {key_0, "", "000000000000000000000000", "", "530f8afbc74536b9a963b4f1c4cb738b", ""},
        {key_0, "", "000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18",
         "d0d1c8a799996bf0265b98b5d48ab919", "00000000000000000000000000000000"},
        {key_1, "", "cafebabefacedbaddecaf888",
         "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
         "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
         "b094dac5d93471bdec1a502270e3cc6c",
         "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
         "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"},
        {key_1, "feedfacedeadbeeffeedfacedeadbeefabaddad2", "cafebabefacedbaddecaf888",
         "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
         "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
         "76fc6ece0f4e1768cddf8853bb2d551b",
         "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
         "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_buf key = unhex(rows[i].key), aad = unhex(rows[i].aad), in = {0};
        uint8_t out[64];
        assert_true(gw_hex_decode(&in, gw_slice_from(rows[i].nonce)));
        assert_true(gw_hex_decode(&in, gw_slice_from(rows[i].text)));
        assert_true(gw_hex_decode(&in, gw_slice_from(rows[i].tag)));
        expect(gw_unseal((const uint8_t *)key.ptr, gw_buf_slice(&aad), gw_buf_slice(&in), out),
               "row %zu", i);
        expect_hex(out, in.len - GW_SEAL_OVERHEAD, rows[i].plain);
        gw_buf_deinit(&key);
        gw_buf_deinit(&aad);
        gw_buf_deinit(&in);
    }
}

static const uint8_t key_a[32] = {1}, key_b[32] = {2};

static void seals(void **state)
{
    char plain[3000];
    uint8_t sealed[sizeof(plain) + GW_SEAL_OVERHEAD], again[sizeof(sealed)], back[sizeof(plain)];

    (void)state;
    memset(plain, 'p', sizeof(plain));
    for (size_t len = 0; len <= sizeof(plain); len = len * 2 + 1) {
        struct gw_slice in = {len ? plain : NULL, len};
        for (size_t aad_len = 0; aad_len < 40; aad_len += 13) {
            struct gw_slice aad = {aad_len ? plain : NULL, aad_len};
            gw_seal(key_a, aad, in, sealed);
            gw_seal(key_b, aad, in, again);
            assert_memory_not_equal(sealed, again, 12); /* never the same nonce */
            struct gw_slice box = bytes_slice(sealed, len + GW_SEAL_OVERHEAD);
            assert_true(gw_unseal(key_a, aad, box, back));
            assert_memory_equal(back, plain, len);
            assert_false(gw_unseal(key_b, aad, box, back));
            assert_true(gw_unseal(key_b, aad, bytes_slice(again, box.len), back));
            assert_memory_equal(back, plain, len);
        }
    }
}

static void macs_under_keys_in_turn(void **state)
{
    struct gw_slice a = bytes_slice(key_a, 32), b = bytes_slice(key_b, 32), text = GW_SLICE("text");
    uint8_t under_a[GW_SHA256_BYTES], under_b[GW_SHA256_BYTES], again[GW_SHA256_BYTES];

    (void)state;
    gw_hmac_sha256(a, &text, 1, under_a);
    gw_hmac_sha256(b, &text, 1, under_b);
    assert_memory_not_equal(under_a, under_b, GW_SHA256_BYTES);
    gw_hmac_sha256(a, &text, 1, again);
    assert_memory_equal(under_a, again, GW_SHA256_BYTES);
}

static void notices_tampering(void **state)
{
    struct gw_slice aad = GW_SLICE("row 7, body"), in = GW_SLICE("a payload nobody may see");
    uint8_t sealed[24 + GW_SEAL_OVERHEAD], back[24 + 1], zeroes[24] = {0};

    (void)state;
    gw_seal(key_a, aad, in, sealed);
    for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        memset(back, 'x', sizeof(back));
        expect(!gw_unseal(key_a, aad, bytes_slice(sealed, sizeof(sealed)), back), "bit %zu", bit);
        assert_memory_equal(back, zeroes, 24); /* nothing of it is shown */
        assert_int_equal(back[24], 'x');
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t len = 0; len < sizeof(sealed); len++)
        expect(!gw_unseal(key_a, aad, bytes_slice(sealed, len), back), "cut to %zu", len);
    struct gw_slice box = bytes_slice(sealed, sizeof(sealed));
    assert_false(gw_unseal(key_a, GW_SLICE("row 8, body"), box, back));
    assert_false(gw_unseal(key_a, GW_SLICE(""), box, back));
    assert_false(gw_unseal(key_a, (struct gw_slice){0}, (struct gw_slice){0}, back));
    assert_true(gw_unseal(key_a, aad, box, back)); /* and a failure leaves nothing behind */
    assert_memory_equal(back, in.ptr, in.len);
}

/* The reference implementation's 64 vectors (key 00 … 0f, texts of 0 to 63 bytes 00 01 …): the
 * first, the one printed in the paper, and the SHA-256 of all of them in a row. */
static void siphash(void **state)
{
    struct gw_buf key = run_of(0, 1, 16), text = run_of(0, 1, 64);
    uint8_t all[64][8], digest[GW_SHA256_BYTES];

    (void)state;
    for (size_t len = 0; len < 64; len++) {
        uint64_t hash =
            gw_siphash((const uint8_t *)key.ptr, (struct gw_slice){len ? text.ptr : NULL, len});
        for (size_t i = 0; i < 8; i++)
            all[len][i] = (uint8_t)(hash >> 8 * i);
        if (len == 15)
            assert_true(hash == UINT64_C(0xa129ca6149be45e5));
    }
    expect_hex(all[0], 8, "310e0edd47db6f72");
    gw_sha256(bytes_slice(all[0], sizeof(all)), digest);
    expect_hex(digest, sizeof(digest),
               "0226a91002af9775a791b3ec5a48e643f8848d2d5774dea9be3438d5786bb58e");
    gw_buf_deinit(&key);
    gw_buf_deinit(&text);
}

static void draws_random_bytes(void **state)
{
    uint8_t bytes[1000] = {0}, more[1000] = {0};
    int ones = 0;

    (void)state;
    gw_random_bytes(bytes, 0);
    assert_int_equal(bytes[0], 0);
    gw_random_bytes(bytes, sizeof(bytes) - 1);
    gw_random_bytes(more, sizeof(more));
    assert_int_equal(bytes[sizeof(bytes) - 1], 0); /* not a byte too many */
    assert_memory_not_equal(bytes, more, sizeof(bytes) - 1);
    for (size_t i = 0; i < 8 * sizeof(more); i++)
        ones += more[i / 8] >> i % 8 & 1;
    expect(ones > 3600 && ones < 4400, "%d ones of 8000", ones); /* 9 standard deviations */
}

static void compares_secrets(void **state)
{
    (void)state;
    assert_true(gw_equal_secret(GW_SLICE("secret"), GW_SLICE("secret")));
    assert_true(gw_equal_secret((struct gw_slice){0}, GW_SLICE("")));
    assert_false(gw_equal_secret(GW_SLICE("secret"), GW_SLICE("secreT")));
    assert_false(gw_equal_secret(GW_SLICE("secret"), GW_SLICE("Secret")));
    assert_false(gw_equal_secret(GW_SLICE("secret"), GW_SLICE("secrets")));
    assert_false(gw_equal_secret((struct gw_slice){0}, GW_SLICE("s")));
}

static void wipes(void **state)
{
    char secret[] = "secret";

    (void)state;
    gw_wipe(secret, 5);
    assert_memory_equal(secret, "\0\0\0\0\0t", 7);
}

/* Each thread has keys of its own; cmocka's assertions belong to the first thread. */
static void *use_all(void *arg)
{
    size_t number = *(size_t *)arg, wrong = 0;
    struct gw_slice text = GW_SLICE("the same for all");
    uint8_t key[32] = {(uint8_t)number}, first[32], out[32], sealed[16 + GW_SEAL_OVERHEAD];

    gw_hmac_sha256(bytes_slice(key, 32), &text, 1, first);
    for (int round = 0; round < 500; round++) {
        uint8_t back[16], block[16];
        gw_hmac_sha256(bytes_slice(key, 32), &text, 1, out);
        wrong += memcmp(first, out, 32) != 0;
        gw_seal(key, text, text, sealed);
        wrong += !gw_unseal(key, text, bytes_slice(sealed, sizeof(sealed)), back);
        wrong += memcmp(back, text.ptr, 16) != 0;
        gw_aes_block_encrypt(key, first, block);
        gw_aes_block_decrypt(key, block, back);
        wrong += memcmp(back, first, 16) != 0;
        gw_sha256(text, out);
    }
    *(size_t *)arg = wrong;
    return NULL;
}

/* That the contexts go with their threads is for LeakSanitizer to see. */
static void serves_many_threads(void **state)
{
    pthread_t threads[8];
    size_t args[gw_count(threads)];

    (void)state;
    for (size_t i = 0; i < gw_count(threads); i++) {
        args[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, use_all, &args[i]), 0);
    }
    for (size_t i = 0; i < gw_count(threads); i++) {
        pthread_join(threads[i], NULL);
        expect(args[i] == 0, "thread %zu: %zu wrong results", i, args[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves_many_threads), /* first: they also race to fetch the algorithms */
        cmocka_unit_test(sha256),
        cmocka_unit_test(hmac_sha256),
        cmocka_unit_test(macs_under_keys_in_turn),
        cmocka_unit_test(hkdf_sha256),
        cmocka_unit_test(aes_block),
        cmocka_unit_test(unseals_known_texts),
        cmocka_unit_test(seals),
        cmocka_unit_test(notices_tampering),
        cmocka_unit_test(siphash),
        cmocka_unit_test(draws_random_bytes),
        cmocka_unit_test(compares_secrets),
        cmocka_unit_test(wipes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
