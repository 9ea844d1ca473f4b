/* slice.c: the parts of slice.h that are not worth inlining. Pure. */
#include "base/slice.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool gw_slice_eq_nocase(struct gw_slice a, struct gw_slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct gw_slice gw_slice_trim(struct gw_slice s)
{
    while (s.len > 0 && is_blank(s.ptr[0]))
        s = gw_slice_skip(s, 1);
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool gw_slice_split(struct gw_slice *rest, char sep, struct gw_slice *part)
{
    if (rest->ptr == NULL)
        return false;
    const char *end = memchr(rest->ptr, sep, rest->len);
    if (end == NULL) {
        *part = *rest;
        *rest = (struct gw_slice){0};
        return true;
    }
    *part = (struct gw_slice){rest->ptr, (size_t)(end - rest->ptr)};
    *rest = gw_slice_skip(*rest, part->len + 1);
    return true;
}

bool gw_slice_u64(struct gw_slice s, uint64_t *out)
{
    uint64_t value = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

size_t gw_slice_utf8_step(struct gw_slice s)
{
    const unsigned char *u = (const unsigned char *)s.ptr;
    unsigned char low = 0x80, high = 0xBF; /* what the second byte may be */
    size_t need;

    if (s.len == 0)
        return 0;
    if (u[0] < 0x80)
        return 1;
    if (u[0] < 0xC2)
        return 0;
    if (u[0] < 0xE0) {
        need = 2;
    } else if (u[0] < 0xF0) {
        need = 3;
        low = u[0] == 0xE0 ? 0xA0 : low;
        high = u[0] == 0xED ? 0x9F : high;
    } else if (u[0] < 0xF5) {
        need = 4;
        low = u[0] == 0xF0 ? 0x90 : low;
        high = u[0] == 0xF4 ? 0x8F : high;
    } else {
        return 0;
    }
    if (s.len < need || u[1] < low || u[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++)
        if ((u[i] & 0xC0) != 0x80)
            return 0;
    return need;
}

/* How many bytes of plain ASCII the text begins with, in steps of eight: most of every body. */
static size_t ascii_run(struct gw_slice s)
{
    size_t at = 0;

    for (uint64_t word; at + sizeof(word) <= s.len; at += sizeof(word)) {
        memcpy(&word, s.ptr + at, sizeof(word));
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    return at;
}

bool gw_slice_is_utf8(struct gw_slice s)
{
    while (s.len > 0) {
        s = gw_slice_skip(s, ascii_run(s));
        if (s.len == 0)
            return true;
        size_t step = gw_slice_utf8_step(s);
        if (step == 0)
            return false;
        s = gw_slice_skip(s, step);
    }
    return true;
}
