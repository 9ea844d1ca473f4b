/* lines.c: lines out of a file. Owns a buffer of one line and a read beyond it. */
#include "cli/lines.h"

#define READ_BYTES ((size_t)64 * 1024)

/* More of the file behind what is left of the buffer. */
static void refill(struct gw_lines *l)
{
    size_t left = l->buf.len - l->at;

    if (l->at > 0 && left > 0)
        memmove(l->buf.ptr, l->buf.ptr + l->at, left);
    l->at = 0;
    l->buf.len = left;
    gw_buf_reserve(&l->buf, READ_BYTES);
    size_t len = fread(l->buf.ptr + left, 1, READ_BYTES, l->file);
    l->buf.len += len;
    l->is_end = len == 0;
}

enum gw_line gw_lines_next(struct gw_lines *l, struct gw_slice *line)
{
    bool is_cut = false;

    for (;;) {
        struct gw_slice rest = gw_slice_skip(gw_buf_slice(&l->buf), l->at);
        const char *end = memchr(rest.ptr, '\n', rest.len);
        if (end || l->is_end) {
            *line = (struct gw_slice){rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len};
            if (!end && ((line->len == 0 && !is_cut) || ferror(l->file)))
                return GW_LINE_END; /* half a line is none */
            l->at += line->len + (end ? 1 : 0);
            l->number++;
            if (is_cut || line->len > l->bytes_max)
                return GW_LINE_TOO_LONG;
            if (line->len > 0 && line->ptr[line->len - 1] == '\r')
                line->len--;
            return GW_LINE;
        }
        if (rest.len > l->bytes_max) {
            is_cut = true;
            l->at = l->buf.len;
        }
        refill(l);
    }
}

void gw_lines_unread(struct gw_lines *l, struct gw_slice line)
{
    l->at = (size_t)(line.ptr - l->buf.ptr);
    l->number--;
}

void gw_lines_deinit(struct gw_lines *l)
{
    gw_buf_deinit(&l->buf);
}
