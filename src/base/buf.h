/* buf.h: a byte buffer that grows. All zeroes is an empty one. Not NUL-terminated, unless asked. */
#pragma once

#include "base/slice.h"

struct gw_buf {
    char *ptr;
    size_t len;
    size_t cap;
};

void gw_buf_deinit(struct gw_buf *buf);
void gw_buf_reserve(struct gw_buf *buf, size_t more); /* room for `more` bytes behind len */
void gw_buf_add(struct gw_buf *buf, const void *bytes, size_t len);
void gw_buf_addf(struct gw_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gw_buf_addi(struct gw_buf *buf, int64_t number); /* in decimal digits */
const char *gw_buf_text(struct gw_buf *buf); /* puts a NUL behind the end (len unchanged) */

static inline void gw_buf_clear(struct gw_buf *buf)
{
    buf->len = 0;
}

static inline struct gw_slice gw_buf_slice(const struct gw_buf *buf)
{
    return (struct gw_slice){buf->ptr ? buf->ptr : "", buf->len};
}

static inline void gw_buf_adds(struct gw_buf *buf, struct gw_slice s)
{
    gw_buf_add(buf, s.ptr, s.len);
}

static inline void gw_buf_addc(struct gw_buf *buf, char c)
{
    if (buf->len == buf->cap)
        gw_buf_reserve(buf, 1);
    buf->ptr[buf->len++] = c;
}
