/* text.h: text as a terminal shows it: its width, and nothing in it that would move the cursor.
 * What came from outside goes through here before it is printed. Pure. */
#pragma once

#include "base/buf.h"

/* Columns on a terminal: 0 for combining marks, 2 for wide East Asian characters and emoji. */
size_t gw_text_width(struct gw_slice text);

/* Appends it with control characters and malformed bytes shown as U+FFFD; with `lines`, line feeds
 * and tabs stay. */
void gw_text_add_clean(struct gw_buf *out, struct gw_slice text, bool lines);

/* Appends it clean in one line: white space becomes one space each, none at the ends. */
void gw_text_add_flat(struct gw_buf *out, struct gw_slice text);

/* Appends at most `width` columns of it; when it is longer the last one is "…". */
void gw_text_add_cut(struct gw_buf *out, struct gw_slice text, size_t width);

/* Appends it in lines of at most `width` columns, broken at spaces where there are any; lines
 * behind the first begin with `indent` spaces, which do not count. No line feed behind the last. */
void gw_text_add_wrapped(struct gw_buf *out, struct gw_slice text, size_t width, size_t indent);

void gw_text_add_spaces(struct gw_buf *out, size_t count);

/* "12s", "5m", "3h", "4d": how long, in its largest unit, rounded down. */
void gw_text_add_span(struct gw_buf *out, int64_t ms);

/* How deep JSON nests; indenting what is deep makes it enormous. */
#define GW_TEXT_DEPTH_MAX 64
size_t gw_text_json_depth(struct gw_slice json);

/* How many letters are to be changed, added, dropped or swapped to make one out of the other. */
size_t gw_text_distance(struct gw_slice a, struct gw_slice b);

/* Of names, the nearest that could have been meant; NULL when none is near. */
struct gw_text_nearest {
    struct gw_slice word;
    const char *best;
    size_t distance;
};
void gw_text_consider(struct gw_text_nearest *nearest, const char *name);
