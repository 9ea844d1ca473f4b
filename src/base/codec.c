/* codec.c: hex, base64, percent. Pure; every text that a decoder takes is the one its encoder makes,
 * but for the case of hex digits. */
#include "base/codec.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that two hex digits stand for, or -1. */
static int hex_byte(const char *two)
{
    int high = hex_value(two[0]);
    int low = hex_value(two[1]);

    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

void gw_hex_encode(struct gw_buf *out, const void *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *in = bytes;

    gw_buf_reserve(out, 2 * len);
    for (size_t i = 0; i < len; i++) {
        gw_buf_addc(out, digits[in[i] >> 4]);
        gw_buf_addc(out, digits[in[i] & 15]);
    }
}

bool gw_hex_decode(struct gw_buf *out, struct gw_slice text)
{
    if (text.len % 2 != 0)
        return false;
    gw_buf_reserve(out, text.len / 2);
    for (size_t i = 0; i < text.len; i += 2) {
        int byte = hex_byte(text.ptr + i);
        if (byte < 0)
            return false;
        gw_buf_addc(out, (char)byte);
    }
    return true;
}

/* The two alphabets differ in the last two digits only. */
struct variant {
    char digits[65];
    bool is_padded;
};

static const struct variant base64 = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", true};
static const struct variant base64url = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", false};

static void encode64(const struct variant *variant, struct gw_buf *out, const uint8_t *in,
                     size_t len)
{
    size_t whole = len / 3 * 3;

    gw_buf_reserve(out, len / 3 * 4 + 4);
    char *at = out->ptr + out->len;
    for (size_t i = 0; i < whole; i += 3) {
        uint32_t group = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6)
            *at++ = variant->digits[group >> shift & 63];
    }
    if (whole < len) {
        uint32_t group = (uint32_t)in[whole] << 16;
        if (whole + 1 < len)
            group |= (uint32_t)in[whole + 1] << 8;
        *at++ = variant->digits[group >> 18 & 63];
        *at++ = variant->digits[group >> 12 & 63];
        if (whole + 1 < len)
            *at++ = variant->digits[group >> 6 & 63];
        for (size_t k = len - whole; variant->is_padded && k < 3; k++)
            *at++ = '=';
    }
    out->len = (size_t)(at - out->ptr);
}

static int value64(const struct variant *variant, char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == variant->digits[62])
        return 62;
    return c == variant->digits[63] ? 63 : -1;
}

static bool decode64(const struct variant *variant, struct gw_buf *out, struct gw_slice text)
{
    uint32_t held = 0;
    unsigned bits = 0;

    if (variant->is_padded) {
        if (text.len % 4 != 0)
            return false;
        for (int i = 0; i < 2 && gw_slice_ends(text, GW_SLICE("=")); i++)
            text.len--;
    }
    if (text.len % 4 == 1)
        return false;
    gw_buf_reserve(out, text.len / 4 * 3 + 2);
    for (size_t i = 0; i < text.len; i++) {
        int value = value64(variant, text.ptr[i]);
        if (value < 0)
            return false;
        held = held << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            gw_buf_addc(out, (char)(held >> bits & 0xFF));
        }
        held &= (1u << bits) - 1;
    }
    return held == 0;
}

void gw_base64_encode(struct gw_buf *out, const void *bytes, size_t len)
{
    encode64(&base64, out, bytes, len);
}

bool gw_base64_decode(struct gw_buf *out, struct gw_slice text)
{
    return decode64(&base64, out, text);
}

void gw_base64url_encode(struct gw_buf *out, const void *bytes, size_t len)
{
    encode64(&base64url, out, bytes, len);
}

bool gw_base64url_decode(struct gw_buf *out, struct gw_slice text)
{
    return decode64(&base64url, out, text);
}

bool gw_percent_decode(struct gw_buf *out, struct gw_slice text, bool plus)
{
    gw_buf_reserve(out, text.len);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int byte = text.len - i > 2 ? hex_byte(text.ptr + i + 1) : -1;
            if (byte < 0)
                return false;
            c = (char)byte;
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        gw_buf_addc(out, c);
    }
    return true;
}

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void gw_percent_encode(struct gw_buf *out, struct gw_slice text)
{
    static const char digits[] = "0123456789ABCDEF";

    gw_buf_reserve(out, text.len);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (is_unreserved(text.ptr[i]))
            gw_buf_addc(out, text.ptr[i]);
        else
            gw_buf_add(out, (char[]){'%', digits[c >> 4], digits[c & 15]}, 3);
    }
}
