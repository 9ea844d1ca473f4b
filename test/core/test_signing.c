/* test_signing.c: which signatures an attempt carries, in which header and which order. */
#include "config_support.h"

#include "core/signing.h"

#define ID     GW_SLICE("msg_p5jXN8AQM9LWM0D4loKWxJek")
#define AT     INT64_C(1614265330999) /* a part of a second makes no difference */
#define BODY   GW_SLICE("{\"test\": 2432232314}")
#define NEW    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define OLD    "0123456789abcdef"
#define V1_NEW "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define V1_OLD "v1,r94XOxQw8v+vLaVrXIUkFWnEmqNekP5mdIZf2e/Me5o="
#define V1A_NEW                                                                                    \
    "v1a,yoUrgEkc12aGqm0n4Sydmdz55xJfTz4AsAgieHFjmkR7LJtqVCZOQYzvvHjI5kAey+r4iaBGxTFRrl2iBQxtDQ=="
#define V1A_OLD                                                                                    \
    "v1a,2iFnCkcL0nCB7d0lgaT5vmGnQgJl4zcl9qd7UbPYvulcwR3MRYzjXT2JCSEV4dFH3XNALA4OW0zY5fFdGv9GBA=="
#define HEX_NEW    "80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c"
#define HEX_OLD    "fde19d5ba93fd5a1c750ad3a98c5b9c8d1dbee574c347be6cc753e72a48b4c47"
#define BASE64_NEW "gOyKic480iEzoQZsrstNBP6nRnZXyFFNcX7ELDilyUw="
#define BASE64_OLD "/eGdW6k/1aHHUK06mMW5yNHb7ldMNHvmzHU+cqSLTEc="

/* Two secrets and two pairs, the old ones with an end. */
static struct gw_config *config_until(int64_t secret_until_ms, int64_t pair_until_ms)
{
    struct gw_config *config = create("{" BASE ",'secret':'" NEW "'}");
    uint8_t seed[GW_ED25519_BYTES];

    assert_int_equal(gw_secret_parse(&config->secrets[1], GW_SLICE(OLD), NULL), GW_OK);
    config->secrets[1].until_ms = secret_until_ms;
    config->secret_count = 2;
    for (size_t i = 0; i < sizeof(seed); i++)
        seed[i] = (uint8_t)i;
    gw_key_pair_make(&config->pairs[0], seed);
    memset(seed, 7, sizeof(seed));
    gw_key_pair_make(&config->pairs[1], seed);
    config->pairs[1].until_ms = pair_until_ms;
    config->pair_count = 2;
    return config;
}

/* `wanted`: the lines, with a | behind each. */
static void expect_lines(const struct gw_config *config, const char *wanted)
{
    struct gw_buf got = {0};
    size_t count = 0;

    gw_signing_lines(&got, config, ID, AT, BODY);
    for (size_t i = 0; i < got.len; i++) {
        if (got.ptr[i] != '\0')
            continue;
        got.ptr[i] = '|';
        count++;
    }
    assert_text(gw_buf_slice(&got), wanted);
    assert_in_range(count, 1, GW_SIGNING_LINES_MAX);
    gw_buf_deinit(&got);
}

static void lines(void **state)
{
    enum { S = GW_SCHEME_STANDARD, E = GW_SCHEME_ED25519, B = GW_SCHEME_BODY };
    static const struct {
        unsigned schemes;
        bool base64;
        int64_t secret_until_ms, pair_until_ms;
        const char *wanted;
    } rows[] = {
        {S, false, AT, AT, "webhook-signature: " V1_NEW "|"},
        {S, false, AT + 1, AT, "webhook-signature: " V1_NEW " " V1_OLD "|"},
        {E, false, AT + 1, AT, "webhook-signature: " V1A_NEW "|"},
        {E, false, AT, AT + 1, "webhook-signature: " V1A_NEW " " V1A_OLD "|"},
        {S | E, false, AT, AT, "webhook-signature: " V1_NEW " " V1A_NEW "|"},
        {S | E, false, AT + 1, AT + 1,
         "webhook-signature: " V1_NEW " " V1_OLD " " V1A_NEW " " V1A_OLD "|"},
        {S | E, false, AT + 1, AT, "webhook-signature: " V1_NEW " " V1_OLD " " V1A_NEW "|"},
        {B, false, AT, AT, "X-Sig: " HEX_NEW "|"},
        {B, true, AT, AT, "X-Sig: " BASE64_NEW "|"},
        {B, false, AT + 1, AT, "X-Sig: " HEX_OLD "|X-Sig-next: " HEX_NEW "|"},
        {B, true, AT + 1, AT, "X-Sig: " BASE64_OLD "|X-Sig-next: " BASE64_NEW "|"},
        {S | E | B, false, AT, AT, "webhook-signature: " V1_NEW " " V1A_NEW "|X-Sig: " HEX_NEW "|"},
        {S | B, true, AT + 1, AT + 1,
         "webhook-signature: " V1_NEW " " V1_OLD "|X-Sig: " BASE64_OLD "|X-Sig-next: " BASE64_NEW
         "|"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_config *config = config_until(rows[i].secret_until_ms, rows[i].pair_until_ms);
        config->signing = (struct gw_signing){rows[i].schemes, GW_SLICE("X-Sig"), rows[i].base64};
        expect_lines(config, rows[i].wanted);
        gw_config_unref(config);
    }
}

/* A config as most are: one secret, no pair. */
static void plain(void **state)
{
    struct gw_config *config = create("{" BASE ",'secret':'" NEW "'}");

    (void)state;
    expect_lines(config, "webhook-signature: " V1_NEW "|");
    gw_config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(plain),
    };

    return cmocka_run_group_tests_name("signing", tests, NULL, NULL);
}
