/* slice.h: bytes somebody else owns. The vocabulary for every string that came from outside.
 *
 * A slice is a pointer and a length, never NUL-terminated by promise. It lives as long as what it
 * points into. {NULL, 0} means "absent" where a field is optional; {non-NULL, 0} is an empty string.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct gw_slice {
    const char *ptr;
    size_t len;
};

/* A slice of a string literal. */
#define GW_SLICE(literal) ((struct gw_slice){"" literal, sizeof(literal) - 1})

/* For "%.*s". */
#define GW_SLICE_ARG(s) (int)(s).len, (s).ptr

static inline struct gw_slice gw_slice_from(const char *text)
{
    return (struct gw_slice){text, text ? strlen(text) : 0};
}

static inline bool gw_slice_eq(struct gw_slice a, struct gw_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool gw_slice_is(struct gw_slice a, const char *text)
{
    return gw_slice_eq(a, gw_slice_from(text));
}

static inline bool gw_slice_starts(struct gw_slice s, struct gw_slice prefix)
{
    return s.len >= prefix.len && gw_slice_eq((struct gw_slice){s.ptr, prefix.len}, prefix);
}

static inline bool gw_slice_ends(struct gw_slice s, struct gw_slice suffix)
{
    if (suffix.len == 0 || s.len < suffix.len)
        return suffix.len == 0;
    return memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0;
}

/* The part from `from`; empty when the slice is shorter. */
static inline struct gw_slice gw_slice_skip(struct gw_slice s, size_t from)
{
    if (from > s.len)
        from = s.len;
    return from == 0 ? s : (struct gw_slice){s.ptr + from, s.len - from};
}

/* Equal without regard to ASCII case (header and metadata names). */
bool gw_slice_eq_nocase(struct gw_slice a, struct gw_slice b);

/* Without leading and trailing space and tab (RFC 9110 OWS). */
struct gw_slice gw_slice_trim(struct gw_slice s);

/* Takes the part before the first `sep` out of `*rest` and moves `*rest` behind it.
 * False when nothing is left: rest->ptr == NULL. "a,,b" yields "a", "", "b". */
bool gw_slice_split(struct gw_slice *rest, char sep, struct gw_slice *part);

/* Decimal digits only, no sign, no space, no overflow. */
bool gw_slice_u64(struct gw_slice s, uint64_t *out);

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, up to U+10FFFF). */
bool gw_slice_is_utf8(struct gw_slice s);

/* How many bytes the well-formed character at the start has; 0 = there is none. */
size_t gw_slice_utf8_step(struct gw_slice s);
