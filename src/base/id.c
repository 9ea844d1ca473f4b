/* id.c: identifiers as text and back. Pure; one text for each identifier. */
#include "base/id.h"

#include "base/check.h"

#define PREFIX_LEN 4

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

static const char *prefix_of(enum gw_id_kind kind)
{
    switch (kind) {
    case GW_ID_MESSAGE: return "msg_";
    case GW_ID_DELIVERY: return "dlv_";
    }
    gw_never("an unknown kind of id");
}

struct gw_slice gw_id_text(enum gw_id_kind kind, const struct gw_id *id, char text[GW_ID_TEXT_MAX])
{
    size_t len = PREFIX_LEN;
    unsigned held = 0, bits = 0;

    gw_check(id->len <= GW_ID_BYTES_MAX);
    memcpy(text, prefix_of(kind), PREFIX_LEN);
    for (size_t i = 0; i < id->len; i++) {
        held = held << 8 | id->bytes[i];
        for (bits += 8; bits >= 5; bits -= 5)
            text[len++] = alphabet[held >> (bits - 5) & 31];
        held &= 31;
    }
    if (bits > 0)
        text[len++] = alphabet[held << (5 - bits) & 31];
    text[len] = '\0';
    return (struct gw_slice){text, len};
}

static int digit_of(char c)
{
    if (c >= 'a' && c <= 'z')
        return c - 'a';
    return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

bool gw_id_parse(enum gw_id_kind kind, struct gw_slice text, struct gw_id *id)
{
    unsigned held = 0, bits = 0;

    if (!gw_slice_starts(text, gw_slice_from(prefix_of(kind))))
        return false;
    text = gw_slice_skip(text, PREFIX_LEN);
    if (text.len == 0 || text.len * 5 / 8 > GW_ID_BYTES_MAX)
        return false;
    *id = (struct gw_id){0};
    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_of(text.ptr[i]);
        if (digit < 0)
            return false;
        held = held << 5 | (unsigned)digit;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            id->bytes[id->len++] = (uint8_t)(held >> bits);
        }
        held &= (1u << bits) - 1;
    }
    return held == 0 && bits < 5;
}

bool gw_id_eq(const struct gw_id *a, const struct gw_id *b)
{
    return gw_slice_eq(gw_id_slice(a), gw_id_slice(b));
}
