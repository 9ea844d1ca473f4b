/* diagnose.c: genuine webhooks are recognised, and each way of going wrong by its own name. */
#include "cli/diagnose.h"

#include "../base/test.h"
#include "base/alloc.h"
#include "base/crypto.h"

#include <stdio.h>

#define NOW 1795506360

static struct gw_secret secret, other, own;
static struct gw_header headers[4];
static char timestamp[24];
static struct gw_buf signature, why, body_signature, next_signature;
static const char body[] = "{\"appId\":\"acme\",\"n\":1.50,\"s\":\"é/\"}";

static int setup(void **state)
{
    uint8_t random[32];

    (void)state;
    memset(random, 7, sizeof(random));
    gw_secret_make(&secret, random);
    memset(random, 9, sizeof(random));
    gw_secret_make(&other, random);
    assert_int_equal(gw_secret_parse(&own, GW_SLICE("MTIzNDU2Nzg5MDEyMzQ1Njc4OTA="), NULL), GW_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_buf_deinit(&signature);
    gw_buf_deinit(&why);
    gw_buf_deinit(&body_signature);
    gw_buf_deinit(&next_signature);
    return 0;
}

/* A webhook signed at `sent_s` over `text`. */
static void make(const struct gw_secret *with, int64_t sent_s, const char *text)
{
    gw_buf_clear(&signature);
    snprintf(timestamp, sizeof(timestamp), "%lld", (long long)sent_s);
    gw_sign_standard(&signature, with, GW_SLICE("msg_1"), sent_s, gw_slice_from(text));
    headers[0] = (struct gw_header){GW_SLICE("Webhook-Id"), GW_SLICE("msg_1")};
    headers[1] = (struct gw_header){GW_SLICE("webhook-TIMESTAMP"), gw_slice_from(timestamp)};
    headers[2] = (struct gw_header){GW_SLICE("webhook-signature"), gw_buf_slice(&signature)};
    headers[3] = (struct gw_header){GW_SLICE("x-other"), GW_SLICE("1")};
}

static enum gw_diagnosis judge(const struct gw_secret *with, const char *text)
{
    struct gw_diagnose d = {
        .secrets = with,
        .secret_count = 1,
        .headers = headers,
        .header_count = gw_count(headers),
        .body = gw_slice_from(text),
        .now_s = NOW,
        .tolerance_s = 300,
    };

    gw_buf_clear(&why);
    return gw_diagnose(&d, &why);
}

static void expect_why(const char *part)
{
    expect(strstr(gw_buf_text(&why), part), "\"%s\" is not in: %s", part, gw_buf_text(&why));
}

static void genuine(void **state)
{
    (void)state;
    make(&secret, NOW - 3, body);
    assert_int_equal(judge(&secret, body), GW_GENUINE);
    expect_why(", 3 s ago");
    assert_null(strstr(gw_buf_text(&why), secret.text));
    make(&own, NOW, body);
    assert_int_equal(judge(&own, body), GW_GENUINE);
    make(&secret, NOW, "");
    assert_int_equal(judge(&secret, ""), GW_GENUINE);
}

static void one_of_several(void **state)
{
    struct gw_secret both[] = {other, secret};
    struct gw_diagnose d = {.secrets = both,
                            .secret_count = 2,
                            .headers = headers,
                            .header_count = 4,
                            .body = gw_slice_from(body),
                            .now_s = NOW,
                            .tolerance_s = 300};

    (void)state;
    make(&secret, NOW, body);
    assert_int_equal(gw_diagnose(&d, &why), GW_GENUINE);
    struct gw_buf more = {0};
    gw_buf_addf(&more, "v1a,xx  v1,AAAA %s", gw_buf_text(&signature));
    headers[2].value = gw_buf_slice(&more);
    assert_int_equal(judge(&secret, body), GW_GENUINE);
    headers[2].value = GW_SLICE("v1,AAAA");
    headers[3] = (struct gw_header){GW_SLICE("webhook-signature"), gw_buf_slice(&signature)};
    assert_int_equal(judge(&secret, body), GW_GENUINE);
    gw_buf_deinit(&more);
}

static void missing_headers(void **state)
{
    static const char *const names[] = {"webhook-id", "webhook-timestamp", "webhook-signature"};

    (void)state;
    for (size_t i = 0; i < gw_count(names); i++) {
        make(&secret, NOW, body);
        headers[i].value = GW_SLICE(" ");
        assert_int_equal(judge(&secret, body), GW_HEADER_MISSING);
        expect_why(names[i]);
        headers[i].name = GW_SLICE("x");
        assert_int_equal(judge(&secret, body), GW_HEADER_MISSING);
    }
}

static void timestamps(void **state)
{
    static const struct {
        const char *text;
        const char *said;
    } rows[] = {
        {"yesterday", "was \"yesterday\""},
        {"-1", "was \"-1\""},
        {"1795506360.5", "seconds"},
        {"1795506360000", "looks like milliseconds"},
        {"99999999999999999999999", "seconds"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        make(&secret, NOW, body);
        headers[1].value = gw_slice_from(rows[i].text);
        expect(judge(&secret, body) == GW_TIMESTAMP_BAD, "%s", rows[i].text);
        expect_why(rows[i].said);
    }
}

static void age(void **state)
{
    static const struct {
        int64_t sent_s;
        enum gw_diagnosis diagnosis;
    } rows[] = {
        {NOW - 300, GW_GENUINE}, {NOW + 300, GW_GENUINE}, {NOW - 301, GW_TOO_OLD},
        {NOW + 301, GW_TOO_NEW}, {0, GW_TOO_OLD},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        make(&secret, rows[i].sent_s, body);
        expect(judge(&secret, body) == rows[i].diagnosis, "row %zu", i);
        if (rows[i].diagnosis != GW_GENUINE) {
            expect_why("the signature is right, but");
            expect_why("clock");
        }
    }
}

/* Only what is right otherwise, and young enough, is called a replay. */
static void replayed(void **state)
{
    struct gw_diagnose d = {
        .secrets = &secret,
        .secret_count = 1,
        .headers = headers,
        .header_count = gw_count(headers),
        .body = gw_slice_from(body),
        .now_s = NOW,
        .tolerance_s = 300,
        .came_before = true,
    };

    (void)state;
    make(&secret, NOW - 1, body);
    gw_buf_clear(&why);
    assert_int_equal(gw_diagnose(&d, &why), GW_REPLAYED);
    expect_why("sent again");
    d.now_s = NOW + 300;
    assert_int_equal(gw_diagnose(&d, &why), GW_TOO_OLD);
    d.secrets = &other;
    assert_int_equal(gw_diagnose(&d, &why), GW_NOT_GENUINE);
}

static void no_body(void **state)
{
    (void)state;
    make(&secret, NOW, body);
    assert_int_equal(judge(&secret, ""), GW_NOT_GENUINE);
    expect_why("the body is empty");
    assert_int_equal(judge(&secret, "x"), GW_NOT_GENUINE);
    assert_null(strstr(gw_buf_text(&why), "empty"));
}

static void strangers(void **state)
{
    static const char *const rows[][2] = {
        {"Stripe-Signature", "how Stripe signs"},
        {"svix-signature", "how Svix signs"},
        {"X-Hub-Signature-256", "how GitHub signs"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        make(&secret, NOW, body);
        headers[2].name = gw_slice_from(rows[i][0]);
        assert_int_equal(judge(&secret, body), GW_HEADER_MISSING);
        expect_why(rows[i][1]);
    }
    make(&secret, NOW, body);
    headers[3].name = GW_SLICE("stripe-signature"); /* beside a right one it does not matter */
    assert_int_equal(judge(&secret, body), GW_GENUINE);
}

static void forms(void **state)
{
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"nonsense", "does not begin with \"v1,\""},
        {"v1,", "no base64 of 32 bytes"},
        {"v1,AAAA", "no base64 of 32 bytes"},
        {"v1a,AAAA", "Ed25519"},
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "\"v1,\" before the base64 is missing"},
        {"0000000000000000000000000000000000000000000000000000000000000000", "hex"},
        {"v1,0000000000000000000000000000000000000000000000000000000000000000", "hex"},
        {"sha256=00", "hex"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        make(&secret, NOW, body);
        headers[2].value = gw_slice_from(rows[i].text);
        expect(judge(&secret, body) == GW_SIGNATURE_FORM, "%s", rows[i].text);
        expect_why(rows[i].said);
    }
}

static void keys(void **state)
{
    struct gw_secret raw = secret, decoded = own;
    struct gw_buf key = {0};

    (void)state;
    memcpy(raw.key, raw.text, raw.text_len);
    raw.key_len = raw.text_len;
    make(&raw, NOW, body);
    assert_int_equal(judge(&secret, body), GW_KEY_NOT_DECODED);
    expect_why("behind whsec_");

    assert_true(gw_base64_decode(&key, GW_SLICE("MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=")));
    memcpy(decoded.key, key.ptr, key.len);
    decoded.key_len = key.len;
    gw_buf_deinit(&key);
    make(&decoded, NOW, body);
    assert_int_equal(judge(&own, body), GW_KEY_DECODED);
    expect_why("whsec_ in front");
}

static void body_alone(void **state)
{
    struct gw_slice key = {(const char *)secret.key, secret.key_len}, text = gw_slice_from(body);
    uint8_t mac[GW_SHA256_BYTES];

    (void)state;
    make(&secret, NOW, body);
    gw_hmac_sha256(key, &text, 1, mac);
    gw_buf_clear(&signature);
    gw_buf_adds(&signature, GW_SLICE("v1,"));
    gw_base64_encode(&signature, mac, sizeof(mac));
    headers[2].value = gw_buf_slice(&signature);
    assert_int_equal(judge(&secret, body), GW_BODY_ALONE);
}

/* What was signed, and what came of it on the way. */
static void bodies_written_anew(void **state)
{
    static const struct {
        const char *sent, *got, *said;
    } rows[] = {
        {"{\"a\":1}", "{\"a\":1}\n", "white space at its ends"},
        {"{\"a\":1}", "\t{\"a\":1}  ", "white space at its ends"},
        {"{\"a\":1}\n", "{\"a\":1}", "line feed at its end was taken away"},
        {"{\n\"a\":1}", "{\r\n\"a\":1}", "CR LF"},
        {"{\r\n\"a\":1}", "{\n\"a\":1}", "CR LF"},
        {"{}", "\xEF\xBB\xBF{}", "byte order mark"},
        {"{\"a\":[1,2],\"b\":{\"c\":null}}", "{\"a\": [1, 2], \"b\": {\"c\": null}}", "inside it"},
        {"{\"a\": [1, 2], \"b\": true}", "{\"a\":[1,2],\"b\":true}", "inside it"},
        {"{\n  \"a\": 1\n}", "{\"a\":1}", "inside it"},
        {"{\n    \"a\": 1\n}", "{\"a\":1}", "inside it"},
        {"{\"s\":\"é\"}", "{\"s\": \"\\u00e9\"}", "white space"},
        {"{\"s\":\"\\u00e9\\ud83d\\ude00\"}", "{\"s\":\"é😀\"}", "\\u escapes"},
        {"{\"s\": \"\\u00e9\"}", "{\"s\":\"é\"}", "\\u escapes"},
        {"{\"s\":\"a\\/b\"}", "{\"s\":\"a/b\"}", "slashes"},
        {"{\"s\":\"\\u00e9\\/\"}", "{\"s\":\"é/\"}", "slashes"},
        {"{\"n\":1.50,\"m\":-0.10}", "{\"n\": 1.5, \"m\": -0.1}", "digits of numbers"},
        {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", "order of its keys"},
        {"{\"s\":\"\\b\\f\\n\\r\\t\\u0001\\\"\\\\\"}",
         "{ \"s\":\"\\b\\f\\n\\r\\t\\u0001\\\"\\\\\"}", "inside it"},
        {"{\"big\":12345678901234567890123,\"e\":1e400}",
         "{\"big\": 12345678901234567890123, \"e\": 1e400}", "inside it"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        make(&secret, NOW, rows[i].sent);
        expect(judge(&secret, rows[i].got) == GW_BODY_CHANGED, "row %zu: %s", i, gw_buf_text(&why));
        expect_why(rows[i].said);
        expect_why("raw body");
    }
}

static void not_genuine(void **state)
{
    struct gw_buf deep = {0};

    (void)state;
    make(&secret, NOW, body);
    assert_int_equal(judge(&other, body), GW_NOT_GENUINE);
    expect_why("Expected for these is v1,");
    assert_null(strstr(gw_buf_text(&why), other.text));
    assert_int_equal(judge(&secret, "{\"appId\":\"acme\",\"n\":2}"), GW_NOT_GENUINE);
    assert_int_equal(judge(&secret, ""), GW_NOT_GENUINE);
    headers[0].value = GW_SLICE("msg_2");
    assert_int_equal(judge(&secret, body), GW_NOT_GENUINE);
    for (int i = 0; i < 100000; i++)
        gw_buf_addc(&deep, '[');
    for (int i = 0; i < 100000; i++)
        gw_buf_addc(&deep, ']');
    assert_int_equal(judge(&secret, gw_buf_text(&deep)), GW_NOT_GENUINE);
    gw_buf_deinit(&deep);
}

/* ── Public keys ───────────────────────────────────────────────────────────────────────────── */

static const uint8_t seed[GW_ED25519_BYTES] = {1, 2, 3};

/* A webhook signed with the seed over `text`, in the same headers. */
static void make_v1a(int64_t sent_s, const char *text)
{
    struct gw_slice parts[] = {
        GW_SLICE("msg_1"), GW_SLICE("."), {0}, GW_SLICE("."), gw_slice_from(text)};
    uint8_t bytes[GW_ED25519_SIGNATURE_BYTES];

    make(&secret, sent_s, text);
    parts[2] = gw_slice_from(timestamp);
    gw_ed25519_sign(seed, parts, gw_count(parts), bytes);
    gw_buf_clear(&signature);
    gw_buf_adds(&signature, GW_SLICE("v1a,"));
    gw_base64_encode(&signature, bytes, sizeof(bytes));
    headers[2].value = gw_buf_slice(&signature);
}

static enum gw_diagnosis judge_v1a(const uint8_t with[GW_ED25519_BYTES], const char *text)
{
    struct gw_public_key key;
    struct gw_diagnose d = {
        .headers = headers,
        .header_count = gw_count(headers),
        .body = gw_slice_from(text),
        .now_s = NOW,
        .tolerance_s = 300,
        .public_keys = &key,
        .public_key_count = 1,
    };

    gw_ed25519_public(with, key.bytes);
    gw_buf_clear(&why);
    return gw_diagnose(&d, &why);
}

static void public_keys(void **state)
{
    static const uint8_t other_seed[GW_ED25519_BYTES] = {9};
    struct gw_buf more = {0};

    (void)state;
    make_v1a(NOW - 2, body);
    assert_int_equal(judge_v1a(seed, body), GW_GENUINE);
    expect_why("signed with whpk_…");
    expect_why("=, 2 s ago");
    assert_int_equal(judge_v1a(other_seed, body), GW_NOT_GENUINE);
    expect_why("the public key given");
    assert_int_equal(judge_v1a(seed, "{\"appId\":\"acme\",\"n\":2}"), GW_NOT_GENUINE);
    make_v1a(NOW, "{\"a\":1}");
    assert_int_equal(judge_v1a(seed, "{\"a\": 1}"), GW_BODY_CHANGED);
    make_v1a(NOW - 301, body);
    assert_int_equal(judge_v1a(seed, body), GW_TOO_OLD);

    make_v1a(NOW, body);
    gw_buf_addf(&more, "v1,AAAA v1a,AAAA %s", gw_buf_text(&signature));
    headers[2].value = gw_buf_slice(&more);
    assert_int_equal(judge_v1a(seed, body), GW_GENUINE);
    headers[2].value = GW_SLICE("v1a,AAAA");
    assert_int_equal(judge_v1a(seed, body), GW_SIGNATURE_FORM);
    expect_why("base64 of 64 bytes");
    make(&secret, NOW, body);
    assert_int_equal(judge_v1a(seed, body), GW_SIGNATURE_FORM);
    expect_why("--secret");
    make_v1a(NOW, body);
    assert_int_equal(judge(&secret, body), GW_SIGNATURE_FORM);
    expect_why("--public-key");
    gw_buf_deinit(&more);
}

static void public_key_over_the_body_alone(void **state)
{
    struct gw_slice alone = gw_slice_from(body);
    uint8_t bytes[GW_ED25519_SIGNATURE_BYTES];

    (void)state;
    make_v1a(NOW, body);
    gw_ed25519_sign(seed, &alone, 1, bytes);
    gw_buf_clear(&signature);
    gw_buf_adds(&signature, GW_SLICE("v1a,"));
    gw_base64_encode(&signature, bytes, sizeof(bytes));
    headers[2].value = gw_buf_slice(&signature);
    assert_int_equal(judge_v1a(seed, body), GW_BODY_ALONE);
}

/* ── The body scheme ───────────────────────────────────────────────────────────────────────── */

/* The header's value over `text`, with these bytes as the key. */
static void make_body(struct gw_buf *out, struct gw_slice key, const char *text, bool base64)
{
    struct gw_slice part = gw_slice_from(text);
    uint8_t mac[GW_SHA256_BYTES];

    gw_hmac_sha256(key, &part, 1, mac);
    gw_buf_clear(out);
    if (base64)
        gw_base64_encode(out, mac, sizeof(mac));
    else
        gw_hex_encode(out, mac, sizeof(mac));
}

static enum gw_diagnosis judge_body(const struct gw_secret *with, const char *text, bool base64)
{
    struct gw_header sent[] = {
        {GW_SLICE("X-Sig"), gw_buf_slice(&body_signature)},
        {next_signature.len ? GW_SLICE("x-sig-next") : GW_SLICE("x"),
         gw_buf_slice(&next_signature)},
    };
    struct gw_diagnose d = {
        .secrets = with,
        .secret_count = 1,
        .headers = sent,
        .header_count = gw_count(sent),
        .body = gw_slice_from(text),
        .now_s = NOW,
        .body_header = "x-sig",
        .body_base64 = base64,
    };

    gw_buf_clear(&why);
    enum gw_diagnosis found = gw_diagnose(&d, &why);
    assert_null(strstr(gw_buf_text(&why), with->text));
    return found;
}

static struct gw_slice whole(const struct gw_secret *s)
{
    return (struct gw_slice){s->text, s->text_len};
}

static void body_scheme(void **state)
{
    (void)state;
    for (int base64 = 0; base64 < 2; base64++) {
        make_body(&body_signature, whole(&secret), body, base64);
        assert_int_equal(judge_body(&secret, body, base64), GW_GENUINE);
        expect_why("signed with whsec_…");
        assert_int_equal(judge_body(&other, body, base64), GW_NOT_GENUINE);
        expect_why("Expected for this body is ");
        assert_int_equal(judge_body(&secret, body, !base64), GW_SIGNATURE_FORM);
        expect_why(base64 ? "--body-encoding base64" : "--body-encoding hex");
        make_body(&body_signature, whole(&own), "", base64);
        assert_int_equal(judge_body(&own, "", base64), GW_GENUINE);
    }
    make_body(&body_signature, whole(&secret), "{\"a\":1}", false);
    assert_int_equal(judge_body(&secret, "{\"a\": 1}", false), GW_BODY_CHANGED);
    make_body(&body_signature, (struct gw_slice){(char *)secret.key, secret.key_len}, body, false);
    assert_int_equal(judge_body(&secret, body, false), GW_KEY_DECODED);
    make_body(&body_signature, gw_slice_skip(whole(&secret), 6), body, false);
    assert_int_equal(judge_body(&secret, body, false), GW_KEY_CUT);
    gw_buf_clear(&body_signature);
    gw_buf_adds(&body_signature, GW_SLICE("sha256=00"));
    assert_int_equal(judge_body(&secret, body, false), GW_SIGNATURE_FORM);
    expect_why("nothing stands before it");
}

static void body_scheme_in_a_rotation(void **state)
{
    (void)state;
    make_body(&body_signature, whole(&other), body, false);
    make_body(&next_signature, whole(&secret), body, false);
    assert_int_equal(judge_body(&other, body, false), GW_GENUINE);
    assert_null(strstr(gw_buf_text(&why), "next"));
    assert_int_equal(judge_body(&secret, body, false), GW_GENUINE);
    expect_why("by x-sig-next, signed with whsec_…");
    assert_int_equal(judge_body(&own, body, false), GW_NOT_GENUINE);
    gw_buf_clear(&next_signature);
    gw_buf_adds(&next_signature, GW_SLICE("xx"));
    assert_int_equal(judge_body(&secret, body, false), GW_NOT_GENUINE);
}

static void the_other_scheme(void **state)
{
    struct gw_diagnose d = {.secrets = &secret,
                            .secret_count = 1,
                            .headers = headers,
                            .header_count = 4,
                            .body_header = "x-sig"};

    (void)state;
    make(&secret, NOW, body);
    assert_int_equal(gw_diagnose(&d, &why), GW_HEADER_MISSING);
    expect_why("x-sig is missing");
    expect_why("leave --body-header out");
    headers[2] = (struct gw_header){GW_SLICE("x-webhook-signature"), GW_SLICE("00")};
    assert_int_equal(judge(&secret, body), GW_HEADER_MISSING);
    expect_why("--body-header x-webhook-signature");
}

static void names(void **state)
{
    (void)state;
    for (int i = 0; i <= GW_NOT_GENUINE; i++)
        assert_non_null(gw_diagnosis_name((enum gw_diagnosis)i));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(genuine),
        TEST(one_of_several),
        TEST(missing_headers),
        TEST(replayed),
        TEST(no_body),
        TEST(strangers),
        TEST(timestamps),
        TEST(age),
        TEST(forms),
        TEST(keys),
        TEST(body_alone),
        TEST(bodies_written_anew),
        TEST(not_genuine),
        TEST(public_keys),
        TEST(public_key_over_the_body_alone),
        TEST(body_scheme),
        TEST(body_scheme_in_a_rotation),
        TEST(the_other_scheme),
        TEST(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
