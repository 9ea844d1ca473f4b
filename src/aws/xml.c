/* xml.c: finds elements by their name. Pure. Nothing is found behind a "<!" (a type, a comment, CDATA):
 * AWS sends none, and each could hide a tag from this reader or show it one that is not there. */
#include "aws/xml.h"

#include "base/buf.h"

/* Where `what` is in `s`; s.len: nowhere. */
static size_t find(struct gw_slice s, struct gw_slice what)
{
    const char *at = s.len > 0 ? memmem(s.ptr, s.len, what.ptr, what.len) : NULL;

    return at ? (size_t)(at - s.ptr) : s.len;
}

/* Moves *rest behind the next tag "<name…>". *is_empty: it was "<name/>". */
static bool take_start(struct gw_slice *rest, struct gw_slice name, bool *is_empty)
{
    for (;;) {
        size_t open = find(*rest, GW_SLICE("<"));
        struct gw_slice tag = gw_slice_skip(*rest, open + 1);
        size_t close = find(tag, GW_SLICE(">"));
        if (close == tag.len)
            return false;
        *rest = gw_slice_skip(tag, close + 1);
        tag.len = close;
        *is_empty = gw_slice_ends(tag, GW_SLICE("/"));
        if (gw_slice_starts(tag, name) &&
            (tag.len == name.len || strchr(" \t\r\n/", tag.ptr[name.len]) != NULL))
            return true;
    }
}

bool gw_aws_xml_next(struct gw_slice *rest, const char *name, struct gw_slice *inner)
{
    struct gw_slice plain = gw_slice_from(name), start = *rest;
    bool is_empty;

    if (!take_start(rest, plain, &is_empty))
        return false;
    *inner = (struct gw_slice){rest->ptr, 0};
    for (struct gw_slice at = *rest; !is_empty;) {
        size_t end = find(at, GW_SLICE("</"));
        if (end == at.len)
            return false;
        struct gw_slice tag = gw_slice_skip(at, end + 2);
        if (gw_slice_starts(tag, plain) && tag.len > plain.len && tag.ptr[plain.len] == '>') {
            inner->len = (size_t)(at.ptr + end - inner->ptr);
            *rest = gw_slice_skip(tag, plain.len + 1);
            break;
        }
        at = tag;
    }
    start.len -= rest->len;
    return find(start, GW_SLICE("<!")) == start.len;
}

/* UTF-8 of a character reference ("#38", "#x26"); false: it is none. */
static bool add_number(struct gw_buf *out, struct gw_slice digits)
{
    bool is_hex = gw_slice_starts(digits, GW_SLICE("x"));
    uint32_t c = 0, base = is_hex ? 16 : 10;
    static const char all[] = "0123456789abcdefABCDEF";

    digits = gw_slice_skip(digits, is_hex ? 1 : 0);
    if (digits.len == 0 || digits.len > 7)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        const char *at = memchr(all, digits.ptr[i], is_hex ? 22 : 10);
        if (at == NULL)
            return false;
        uint32_t value = (uint32_t)(at - all);
        c = c * base + (value < 16 ? value : value - 6);
    }
    if (c == 0 || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
        return false;
    if (c < 0x80)
        gw_buf_addc(out, (char)c);
    else if (c < 0x800)
        gw_buf_add(out, (char[]){(char)(0xC0 | c >> 6), (char)(0x80 | (c & 63))}, 2);
    else if (c < 0x10000)
        gw_buf_add(
            out,
            (char[]){(char)(0xE0 | c >> 12), (char)(0x80 | (c >> 6 & 63)), (char)(0x80 | (c & 63))},
            3);
    else
        gw_buf_add(out,
                   (char[]){(char)(0xF0 | c >> 18), (char)(0x80 | (c >> 12 & 63)),
                            (char)(0x80 | (c >> 6 & 63)), (char)(0x80 | (c & 63))},
                   4);
    return true;
}

static bool add_reference(struct gw_buf *out, struct gw_slice name)
{
    static const struct {
        const char *name;
        char c;
    } known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};

    if (gw_slice_starts(name, GW_SLICE("#")))
        return add_number(out, gw_slice_skip(name, 1));
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (gw_slice_is(name, known[i].name)) {
            gw_buf_addc(out, known[i].c);
            return true;
        }
    }
    return false;
}

static bool resolve(struct gw_buf *out, struct gw_slice text)
{
    while (text.len > 0) {
        size_t plain = find(text, GW_SLICE("&"));
        gw_buf_add(out, text.ptr, plain);
        if (plain == text.len)
            break;
        text = gw_slice_skip(text, plain + 1);
        size_t end = find(text, GW_SLICE(";"));
        if (end == text.len || !add_reference(out, (struct gw_slice){text.ptr, end}))
            return false;
        text = gw_slice_skip(text, end + 1);
    }
    return true;
}

struct gw_slice gw_aws_xml_text(struct gw_slice within, const char *name, struct gw_arena *arena)
{
    struct gw_slice inner, text = {0};
    struct gw_buf out = {0};

    if (gw_aws_xml_next(&within, name, &inner) && find(inner, GW_SLICE("<")) == inner.len &&
        resolve(&out, inner))
        text = gw_arena_dup(arena, gw_buf_slice(&out));
    gw_buf_deinit(&out);
    return text;
}
