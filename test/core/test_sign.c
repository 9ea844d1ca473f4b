/* test_sign.c: secrets in and out, and signatures against vectors made elsewhere. */
#include "core/sign.h"

#include "base/timefmt.h"
#include "support.h"

#define WHSEC "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" /* of the specification's own vector */
#define ID    "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define TIME  "1614265330"
#define BODY  "{\"test\": 2432232314}"
#define RIGHT "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define BYTES64                                                                                    \
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
#define TEN "0123456789"

static struct gw_secret secret_of(const char *text)
{
    struct gw_secret secret;
    struct gw_error error = {0};

    if (gw_secret_parse(&secret, gw_slice_from(text), &error) != GW_OK)
        fail_msg("%s: %s", text, error.text);
    return secret;
}

static void takes_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t key_len; /* 0 = the text's bytes are the key */
    } rows[] = {
        {WHSEC, 24},
        {"whsec_a2tra2tra2tra2tra2traw==", 16},
        {"whsec_" BYTES64, 64},
        {TEN "abcdef", 0},
        {"~ !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", 0},
        {"WHSEC_a2tra2tra2tra2tra2traw==", 0},
        {"whsec-not-the-prefix", 0},
        {TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "12345678", 0},
    };
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_secret secret = secret_of(rows[i].text);
        assert_text((struct gw_slice){secret.text, secret.text_len}, rows[i].text);
        assert_int_equal(secret.text[secret.text_len], '\0');
        assert_true(secret.until_ms == GW_NEVER);
        if (rows[i].key_len)
            assert_int_equal(secret.key_len, rows[i].key_len);
        else
            assert_text((struct gw_slice){(const char *)secret.key, secret.key_len}, rows[i].text);
    }
    struct gw_secret secret = secret_of("whsec_" BYTES64);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(secret.key[i], i);
}

static void refuses_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"", "was 0 bytes long"},
        {"0123456789abcde", "was 15 bytes long"},
        {TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "123456789", "was 129 bytes long"},
        {"whsec_", "was 6 bytes long"},
        {"whsec_a2tra2tra2tra2tra2tr", "was whsec_ and 15 bytes"},
        {"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0"
         "+P0A=",
         "was whsec_ and 65 bytes"},
        {"whsec_a2tra2tra2tra2tra2traw", "was not base64"},   /* no padding */
        {"whsec_a2tra2tra2tra2tra2traw=", "was not base64"},  /* half of it */
        {"whsec_a2tra2tra2tra2tra2trax==", "was not base64"}, /* stray bits */
        {"whsec_a2tra2tra2tra2tra2tr-w==", "was not base64"}, /* the other alphabet */
        {"whsec_a2tra2tra2tra 2tra2traw==", "was not base64"},
        {"whsec_a2tra2tra2tra2tra2traw==\n", "held another character as byte 31"},
        {"whsec_whsec_MfKQ9r8GKYqrTwjUPD8I", "was not base64"},
        {"0123456789abcde\x7f", "held another character as byte 16"},
        {"0123456789abcde\t", "held another character as byte 16"},
        {"caf\xc3\xa9 au lait, grand", "held another character as byte 4"},
    };
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_secret secret;
        struct gw_error error = {0};
        assert_int_equal(gw_secret_parse(&secret, gw_slice_from(rows[i].text), &error),
                         GW_ERR_INVALID);
        if (strstr(error.text, rows[i].error) == NULL)
            fail_msg("%s: %s", rows[i].text, error.text);
        assert_true(strncmp(error.text,
                            "secret: must be whsec_ and the base64 of 16 to 64 bytes, "
                            "or 16 to 128 printable ASCII characters, ",
                            60) == 0);
        assert_null(strstr(error.text, "a2tra"));
    }
    struct gw_secret secret;
    assert_int_equal(gw_secret_parse(&secret, (struct gw_slice){"0123456789\0abcde", 16}, NULL),
                     GW_ERR_INVALID);
}

static void makes_secrets(void **state)
{
    (void)state;
    uint8_t random[32];
    struct gw_secret secret;

    for (size_t i = 0; i < sizeof(random); i++)
        random[i] = (uint8_t)i;
    gw_secret_make(&secret, random);
    assert_string_equal(secret.text, "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    assert_int_equal(secret.text_len, strlen(secret.text));
    assert_int_equal(secret.key_len, 32);
    assert_memory_equal(secret.key, random, 32);
    assert_true(secret.until_ms == GW_NEVER);
}

static void masks_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {WHSEC, "whsec_…LaSw"},
        {"whsec_a2tra2tra2tra2tra2traw==", "whsec_…aw=="},
        {TEN "abcdef", "…cdef"},
    };
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_secret secret = secret_of(rows[i].text);
        struct gw_buf out = {0};
        gw_secret_mask(&secret, &out);
        assert_text(gw_buf_slice(&out), rows[i].wanted);
        gw_buf_deinit(&out);
    }
}

/* ── Signatures ────────────────────────────────────────────────────────────────────────────── */

static void signs(void **state)
{
    (void)state;
    char binary[1200];
    for (size_t i = 0; i < sizeof(binary); i++)
        binary[i] = i % 2 ? (char)0xFF : 0;
    const struct {
        const char *secret, *id;
        int64_t timestamp_s;
        struct gw_slice body;
        const char *wanted;
    } rows[] = {
        {WHSEC, ID, 1614265330, GW_SLICE(BODY), RIGHT},
        {TEN "abcdef", "msg_a", 0, GW_SLICE(""), "v1,zfC4Ubnp/m6fOddfg9Ne9c7JIo/9wMbxQMVjjp5LLZ8="},
        {"own secret, with spaces & signs~", "msg_a", 1764000000, GW_SLICE("{\"n\":\"\xc3\xa9\"}"),
         "v1,PQuC7F4Raabh38+TN/kwOEo0WjWD0DsPldHBryjc2lA="},
        {"whsec_" BYTES64,
         "msg_b",
         -5,
         {binary, sizeof(binary)},
         "v1,bPK99gZ4ABecmTo7ceHoimtjTPIxaOfKFKyGZ1QQzSA="},
    };
    struct gw_buf out = {0};

    gw_buf_adds(&out, GW_SLICE("before "));
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_secret secret = secret_of(rows[i].secret);
        out.len = strlen("before ");
        gw_sign_standard(&out, &secret, gw_slice_from(rows[i].id), rows[i].timestamp_s,
                         rows[i].body);
        assert_text(gw_slice_skip(gw_buf_slice(&out), strlen("before ")), rows[i].wanted);
    }
    gw_buf_deinit(&out);
}

static void verifies(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        bool is_right;
    } rows[] = {
        {RIGHT, true},
        {"", false},
        {" ", false},
        {"v1,", false},
        {"v1", false},
        {"g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", false},
        {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=", false},
        {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE", false},
        {"v1,g0hM9SsE-OTPJTGt_tmIKtSyZlE3uFJELVlNIOLJ1OE=", false},
        {RIGHT "=", false},
        {"V1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", false},
        {"v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", false},
        {"v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", false},
        {"v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= " RIGHT, true},
        {RIGHT " v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", true},
        {"v1a,xyz v9,what? nonsense  " RIGHT " v1,", true},
        {"v1,AAAA v1,BBBB", false},
        {RIGHT "," RIGHT, false},
    };
    struct gw_secret secret = secret_of(WHSEC);
    struct gw_secret other = secret_of("whsec_a2tra2tra2tra2tra2traw==");

    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_slice header = exact_copy(gw_slice_from(rows[i].header));
        if (gw_sign_verify(header, &secret, GW_SLICE(ID), GW_SLICE(TIME), GW_SLICE(BODY)) !=
            rows[i].is_right)
            fail_msg("%s", rows[i].header);
        assert_false(gw_sign_verify(header, &other, GW_SLICE(ID), GW_SLICE(TIME), GW_SLICE(BODY)));
        exact_free(header);
    }
    struct gw_slice right = GW_SLICE(RIGHT);
    assert_false(gw_sign_verify(right, &secret, GW_SLICE("msg_p"), GW_SLICE(TIME), GW_SLICE(BODY)));
    assert_false(
        gw_sign_verify(right, &secret, GW_SLICE(ID), GW_SLICE("1614265331"), GW_SLICE(BODY)));
    assert_false(gw_sign_verify(right, &secret, GW_SLICE(ID), GW_SLICE(TIME),
                                GW_SLICE("{\"test\":2432232314}")));
    assert_false(gw_sign_verify((struct gw_slice){0}, &secret, GW_SLICE(ID), GW_SLICE(TIME),
                                GW_SLICE(BODY)));
}

static void what_is_signed_verifies(void **state)
{
    (void)state;
    struct rng rng = {5};

    for (int round = 0; round < 500; round++) {
        uint8_t random[32];
        for (size_t i = 0; i < sizeof(random); i++)
            random[i] = (uint8_t)rng_next(&rng);
        struct gw_secret old, new;
        gw_secret_make(&old, random);
        random[0] ^= 1;
        gw_secret_make(&new, random);
        struct gw_buf body = {0}, header = {0};
        for (size_t len = rng_below(&rng, 300); body.len < len;)
            gw_buf_addc(&body, (char)rng_next(&rng));
        int64_t now_s = (int64_t)rng_below(&rng, 1u << 31);
        char timestamp[24];
        snprintf(timestamp, sizeof(timestamp), "%lld", (long long)now_s);
        gw_sign_standard(&header, &new, GW_SLICE(ID), now_s, gw_buf_slice(&body));
        gw_buf_addc(&header, ' ');
        gw_sign_standard(&header, &old, GW_SLICE(ID), now_s, gw_buf_slice(&body));
        assert_int_equal(header.len, 2 * 47 + 1);
        const struct gw_secret *both[] = {&new, &old};
        for (size_t i = 0; i < 2; i++) {
            assert_true(gw_sign_verify(gw_buf_slice(&header), both[i], GW_SLICE(ID),
                                       gw_slice_from(timestamp), gw_buf_slice(&body)));
            struct gw_buf spoilt = {0};
            gw_buf_adds(&spoilt, gw_buf_slice(&header));
            spoilt.ptr[i * 48 + rng_below(&rng, 47)] ^= 1;
            assert_false(gw_sign_verify(gw_buf_slice(&spoilt), both[i], GW_SLICE(ID),
                                        gw_slice_from(timestamp), gw_buf_slice(&body)));
            gw_buf_deinit(&spoilt);
        }
        gw_buf_deinit(&body);
        gw_buf_deinit(&header);
    }
}

/* ── Key pairs, and what is older ──────────────────────────────────────────────────────────── */

static void signs_with_key_pairs(void **state)
{
    static const struct {
        const char *public_key, *signature; /* of the seeds 00 01 … and 07 07 … */
    } rows[] = {
        {"whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
         "v1a,yoUrgEkc12aGqm0n4Sydmdz55xJfTz4AsAgieHFjmkR7LJtqVCZOQYzvvHjI5kAey+r4iaBGxTFRrl2iBQxt"
         "DQ=="},
        {"whpk_6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=",
         "v1a,2iFnCkcL0nCB7d0lgaT5vmGnQgJl4zcl9qd7UbPYvulcwR3MRYzjXT2JCSEV4dFH3XNALA4OW0zY5fFdGv9G"
         "BA=="},
    };
    struct gw_buf out = {0};

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        uint8_t seed[GW_ED25519_BYTES];
        struct gw_key_pair pair;
        for (size_t k = 0; k < sizeof(seed); k++)
            seed[k] = (uint8_t)(i ? 7 : k);
        gw_key_pair_make(&pair, seed);
        assert_true(pair.until_ms == GW_NEVER);
        assert_memory_equal(pair.seed, seed, sizeof(seed));
        gw_buf_clear(&out);
        gw_key_pair_public(&pair, &out);
        assert_text(gw_buf_slice(&out), rows[i].public_key);
        gw_buf_clear(&out);
        gw_sign_ed25519(&out, &pair, GW_SLICE(ID), 1614265330, GW_SLICE(BODY));
        assert_text(gw_buf_slice(&out), rows[i].signature);
    }
    gw_buf_deinit(&out);
}

/* The key is the secret's text as shown, "whsec_" included, and not what stands behind it. */
static void signs_bodies_alone(void **state)
{
    static const struct {
        const char *secret, *body, *hex, *base64;
    } rows[] = {
        {WHSEC, BODY, "80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c",
         "gOyKic480iEzoQZsrstNBP6nRnZXyFFNcX7ELDilyUw="},
        {WHSEC, "", "da5f5865984e699a69cfec62ce49a76daf8ae4601b54a781fa13f3b2d3b2088a",
         "2l9YZZhOaZppz+xizkmnba+K5GAbVKeB+hPzstOyCIo="},
        {TEN "abcdef", BODY, "fde19d5ba93fd5a1c750ad3a98c5b9c8d1dbee574c347be6cc753e72a48b4c47",
         "/eGdW6k/1aHHUK06mMW5yNHb7ldMNHvmzHU+cqSLTEc="},
    };
    struct gw_buf out = {0};

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_secret secret = secret_of(rows[i].secret);
        gw_buf_clear(&out);
        gw_sign_body(&out, &secret, gw_slice_from(rows[i].body), false);
        assert_text(gw_buf_slice(&out), rows[i].hex);
        gw_buf_clear(&out);
        gw_sign_body(&out, &secret, gw_slice_from(rows[i].body), true);
        assert_text(gw_buf_slice(&out), rows[i].base64);
    }
    gw_buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_secrets),
        cmocka_unit_test(refuses_secrets),
        cmocka_unit_test(makes_secrets),
        cmocka_unit_test(masks_secrets),
        cmocka_unit_test(signs),
        cmocka_unit_test(verifies),
        cmocka_unit_test(what_is_signed_verifies),
        cmocka_unit_test(signs_with_key_pairs),
        cmocka_unit_test(signs_bodies_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
