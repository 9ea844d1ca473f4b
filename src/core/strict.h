/* strict.h: JSON that somebody else wrote, read so that it can have one meaning only. Pure. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#include <yyjson.h>

#define GW_STRICT_MEMBERS_MAX 1000 /* of one object */
#define GW_STRICT_CUT_BYTES   40   /* of a name or value in an error text */

/* Reads one JSON object: strict UTF-8, no duplicate key anywhere, at most GW_EVENT_DEPTH_MAX deep.
 * The values live in the arena. The error goes on behind the name of what was read: "is not JSON:
 * …", "must be …", "has the key … twice". */
enum gw_err gw_strict_read(struct gw_slice json, struct gw_arena *arena, yyjson_val **root,
                           struct gw_error *error);

/* The same, but numbers stay text (YYJSON_TYPE_RAW), with all their digits. */
enum gw_err gw_strict_read_raw(struct gw_slice json, struct gw_arena *arena, yyjson_val **root,
                               struct gw_error *error);

/* Whole numbers out of either kind of reading; one with a fraction or an exponent is none. */
bool gw_strict_u64(yyjson_val *value, uint64_t *out);
bool gw_strict_i64(yyjson_val *value, int64_t *out);

/* yyjson on an arena: nothing needs to be freed, and running out ends the process. */
yyjson_alc gw_strict_alc(struct gw_arena *arena);

/* Of a string; absent when it is none: yyjson tells a length of arrays, too. */
static inline struct gw_slice gw_strict_str(yyjson_val *value)
{
    if (!yyjson_is_str(value))
        return (struct gw_slice){0};
    return (struct gw_slice){yyjson_get_str(value), yyjson_get_len(value)};
}

/* At most GW_STRICT_CUT_BYTES of it; cut at the edge of a character. */
static inline struct gw_slice gw_strict_cut(struct gw_slice text)
{
    if (text.len <= GW_STRICT_CUT_BYTES)
        return text;
    text.len = GW_STRICT_CUT_BYTES;
    while (text.len > 0 && (text.ptr[text.len] & 0xC0) == 0x80)
        text.len--;
    return text;
}

/* A name or value as error texts show it: cut, and control characters as JSON escapes, for a NUL
 * would end the text. Used as gw_strict_shown(name).text, which lives to the end of its statement. */
struct gw_strict_shown {
    char text[sizeof("\\u0000") * GW_STRICT_CUT_BYTES];
};

struct gw_strict_shown gw_strict_shown(struct gw_slice text);
