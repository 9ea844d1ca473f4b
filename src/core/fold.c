/* fold.c: letters of either case taken for the same. Owns the table of what has two cases; pure. */
#include "core/fold.h"

#include "base/alloc.h"

/* Capitals first, first + step, … last; a small letter stands that far behind its capital. Sorted. */
static const struct {
    uint16_t first, last;
    uint8_t step;
    int8_t behind;
} capitals[] = {
    {0x00C0, 0x00D6, 1, 32},   {0x00D8, 0x00DE, 1, 32}, {0x0100, 0x012E, 2, 1},
    {0x0132, 0x0136, 2, 1},    {0x0139, 0x0147, 2, 1},  {0x014A, 0x0176, 2, 1},
    {0x0178, 0x0178, 1, -121}, {0x0179, 0x017D, 2, 1},  {0x01CD, 0x01DB, 2, 1},
    {0x01DE, 0x01EE, 2, 1},    {0x01F8, 0x021E, 2, 1},  {0x0222, 0x0232, 2, 1},
    {0x0386, 0x0386, 1, 38},   {0x0388, 0x038A, 1, 37}, {0x038C, 0x038C, 1, 64},
    {0x038E, 0x038F, 1, 63},   {0x0391, 0x03A1, 1, 32}, {0x03A3, 0x03AB, 1, 32},
    {0x0400, 0x040F, 1, 80},   {0x0410, 0x042F, 1, 32}, {0x0460, 0x0480, 2, 1},
    {0x048A, 0x04BE, 2, 1},    {0x04C1, 0x04CD, 2, 1},  {0x04D0, 0x052E, 2, 1},
    {0x0531, 0x0556, 1, 48},   {0x1E00, 0x1E94, 2, 1},  {0x1EA0, 0x1EFE, 2, 1},
};

static uint32_t small(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    for (size_t i = 0; i < gw_count(capitals) && c >= capitals[i].first; i++)
        if (c <= capitals[i].last && (c - capitals[i].first) % capitals[i].step == 0)
            return (uint32_t)((int32_t)c + capitals[i].behind);
    return c;
}

/* Takes one character of up to three bytes off the front. Of anything else one byte, as a number
 * that no character has: longer ones have no case here, and a cut may begin or end inside one. */
static uint32_t next_char(struct gw_slice *s)
{
    const unsigned char *p = (const unsigned char *)s->ptr;
    size_t len = p[0] < 0xC0 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 1;

    if (len > s->len)
        len = 1;
    uint32_t c = p[0] < 0x80 ? p[0] : 0x110000u + p[0];
    if (len == 2)
        c = (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
    else if (len == 3)
        c = (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    *s = gw_slice_skip(*s, len);
    return c;
}

bool gw_fold_eq(struct gw_slice a, struct gw_slice b)
{
    if (a.len != b.len)
        return false;
    while (a.len > 0 && b.len > 0)
        if (small(next_char(&a)) != small(next_char(&b)))
            return false;
    return a.len == b.len;
}

bool gw_fold_starts(struct gw_slice s, struct gw_slice prefix)
{
    return s.len >= prefix.len && gw_fold_eq((struct gw_slice){s.ptr, prefix.len}, prefix);
}

bool gw_fold_ends(struct gw_slice s, struct gw_slice suffix)
{
    return s.len >= suffix.len && gw_fold_eq(gw_slice_skip(s, s.len - suffix.len), suffix);
}
