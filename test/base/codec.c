/* Hex, base64 and percent: RFC 4648 §10 and RFC 3986, and strictness. */
#include "test.h"

#include "base/alloc.h"

static void check_decoder(bool (*decode)(struct gw_buf *, struct gw_slice), struct gw_slice in,
                          const char *wanted)
{
    struct gw_buf out = {0};

    gw_buf_adds(&out, GW_SLICE("before:"));
    bool good = decode(&out, in);
    expect(good == (wanted != NULL), "\"%.*s\"", GW_SLICE_ARG(in));
    if (good)
        expect_slice(gw_slice_skip(gw_buf_slice(&out), 7), wanted);
    gw_buf_deinit(&out);
}

static void hex(void **state)
{
    static const struct {
        struct gw_slice in;
        const char *out;
    } rows[] = {
        {{0}, ""},
        {GW_SLICE(""), ""},
        {GW_SLICE("666f6F"), "foo"},
        {GW_SLICE("fFeE"), "\xFF\xEE"},
        {GW_SLICE("6"), NULL},
        {GW_SLICE("666"), NULL},
        {GW_SLICE("6g"), NULL},
        {GW_SLICE("g6"), NULL},
        {GW_SLICE("0x66"), NULL},
        {GW_SLICE(" 66 "), NULL},
        {GW_SLICE("66\n\n"), NULL},
        {GW_SLICE("/0"), NULL},
        {GW_SLICE(":0"), NULL},
        {GW_SLICE("@0"), NULL},
        {GW_SLICE("`0"), NULL},
        {GW_SLICE("0\0"), NULL},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++)
        check_decoder(gw_hex_decode, rows[i].in, rows[i].out);
    expect_hex("\x00\x01\x9A\xFF", 4, "00019aff");
    expect_hex(NULL, 0, "");
}

static void base64_known(void **state)
{
    static const struct {
        const char *plain, *padded, *url;
    } rows[] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xFB\xFF\xFE", "+//+", "-__-"},
        {"\xFB\xFF", "+/8=", "-_8"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_buf padded = {0}, url = {0};
        gw_base64_encode(&padded, rows[i].plain, strlen(rows[i].plain));
        gw_base64url_encode(&url, rows[i].plain, strlen(rows[i].plain));
        expect_slice(gw_buf_slice(&padded), rows[i].padded);
        expect_slice(gw_buf_slice(&url), rows[i].url);
        check_decoder(gw_base64_decode, gw_buf_slice(&padded), rows[i].plain);
        check_decoder(gw_base64url_decode, gw_buf_slice(&url), rows[i].plain);
        gw_buf_deinit(&padded);
        gw_buf_deinit(&url);
    }
}

static void base64_strict(void **state)
{
    static const struct gw_slice neither[] = {
        GW_SLICE("Z"),     GW_SLICE("A"),     GW_SLICE("Zm9vA"),        GW_SLICE("A==="),
        GW_SLICE("Zm9vY"), GW_SLICE("Zh"), /* stray bits */
        GW_SLICE("Zm9"),   GW_SLICE("Zh=="),  GW_SLICE("Zm9="),         GW_SLICE("===="),
        GW_SLICE("="),     GW_SLICE("Z==="),  GW_SLICE("Zg==Zg=="),     GW_SLICE("Zm9v===="),
        GW_SLICE("Zm9v="), GW_SLICE("Zg="),   GW_SLICE("Z=g="),         GW_SLICE("Zm9v\n"),
        GW_SLICE("Zm 9v"), GW_SLICE(" Zm9v"), GW_SLICE("Zm9v\0\0\0\0"), GW_SLICE("Zm9\xFF"),
    };

    (void)state;
    for (size_t i = 0; i < gw_count(neither); i++) {
        check_decoder(gw_base64_decode, neither[i], NULL);
        check_decoder(gw_base64url_decode, neither[i], NULL);
    }
    check_decoder(gw_base64_decode, GW_SLICE("Zg"), NULL);      /* padding is a must in one, */
    check_decoder(gw_base64url_decode, GW_SLICE("Zg=="), NULL); /* and none in the other */
    check_decoder(gw_base64_decode, GW_SLICE("-__-"), NULL);
    check_decoder(gw_base64url_decode, GW_SLICE("+//+"), NULL);
    check_decoder(gw_base64_decode, (struct gw_slice){0}, "");
    check_decoder(gw_base64url_decode, (struct gw_slice){0}, "");
}

static void base64_comes_back(void **state)
{
    uint64_t random = 5;
    unsigned char bytes[200];

    (void)state;
    for (size_t len = 0; len < sizeof(bytes); len++) {
        struct gw_buf text = {0}, url = {0}, back = {0};
        for (size_t i = 0; i < len; i++)
            bytes[i] = (unsigned char)draw(&random);
        gw_base64_encode(&text, bytes, len);
        gw_base64url_encode(&url, bytes, len);
        assert_int_equal(text.len, (len + 2) / 3 * 4);
        assert_int_equal(url.len, (len * 8 + 5) / 6);
        assert_true(gw_base64_decode(&back, gw_buf_slice(&text)));
        assert_true(gw_base64url_decode(&back, gw_buf_slice(&url)));
        assert_int_equal(back.len, 2 * len);
        assert_memory_equal(gw_buf_slice(&back).ptr, bytes, len);
        assert_memory_equal(gw_buf_slice(&back).ptr + len, bytes, len);
        gw_buf_deinit(&text);
        gw_buf_deinit(&url);
        gw_buf_deinit(&back);
    }
}

static bool decode_path(struct gw_buf *out, struct gw_slice text)
{
    return gw_percent_decode(out, text, false);
}

static bool decode_form(struct gw_buf *out, struct gw_slice text)
{
    return gw_percent_decode(out, text, true);
}

static void percent(void **state)
{
    static const struct {
        struct gw_slice in;
        const char *path, *form;
    } rows[] = {
        {{0}, "", ""},
        {GW_SLICE(""), "", ""},
        {GW_SLICE("a%20b+c"), "a b+c", "a b c"},
        {GW_SLICE("%2b%2B"), "++", "++"},
        {GW_SLICE("%C3%BC"), "\xC3\xBC", "\xC3\xBC"},
        {GW_SLICE("%25"), "%", "%"},
        {GW_SLICE("%2541"), "%41", "%41"}, /* once only */
        {GW_SLICE("%"), NULL, NULL},
        {GW_SLICE("%4"), NULL, NULL},
        {GW_SLICE("a%4"), NULL, NULL},
        {GW_SLICE("%4g"), NULL, NULL},
        {GW_SLICE("%g4"), NULL, NULL},
        {GW_SLICE("%%41"), NULL, NULL},
        {GW_SLICE("% 41"), NULL, NULL},
        {GW_SLICE("%-1"), NULL, NULL},
    };
    struct gw_buf out = {0};

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        check_decoder(decode_path, rows[i].in, rows[i].path);
        check_decoder(decode_form, rows[i].in, rows[i].form);
    }
    assert_true(gw_percent_decode(&out, GW_SLICE("a%00b"), false));
    assert_true(gw_slice_eq(gw_buf_slice(&out), GW_SLICE("a\0b")));

    gw_buf_clear(&out);
    gw_percent_encode(&out, GW_SLICE("AZaz09-._~ +/%\xC3\xBC\0&="));
    expect_slice(gw_buf_slice(&out), "AZaz09-._~%20%2B%2F%25%C3%BC%00%26%3D");
    gw_buf_deinit(&out);
}

static void percent_comes_back(void **state)
{
    struct gw_buf text = {0}, back = {0};
    char bytes[256];

    (void)state;
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    gw_percent_encode(&text, (struct gw_slice){bytes, sizeof(bytes)});
    assert_true(gw_percent_decode(&back, gw_buf_slice(&text), true));
    assert_int_equal(back.len, sizeof(bytes));
    assert_memory_equal(back.ptr, bytes, sizeof(bytes));
    gw_buf_deinit(&text);
    gw_buf_deinit(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex),           cmocka_unit_test(base64_known),
        cmocka_unit_test(base64_strict), cmocka_unit_test(base64_comes_back),
        cmocka_unit_test(percent),       cmocka_unit_test(percent_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
