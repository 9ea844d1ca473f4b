/* buf.c: growing buffers. A buffer owns its memory and doubles when it must grow. */
#include "base/buf.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>

#define CAP_MIN 64

void gw_buf_deinit(struct gw_buf *buf)
{
    gw_free(buf->ptr);
    *buf = (struct gw_buf){0};
}

void gw_buf_reserve(struct gw_buf *buf, size_t more)
{
    if (more <= buf->cap - buf->len)
        return;
    gw_check(more <= SIZE_MAX / 4 && buf->len <= SIZE_MAX / 4);
    size_t cap = buf->cap ? buf->cap : CAP_MIN;
    while (cap < buf->len + more)
        cap *= 2;
    buf->ptr = gw_realloc(buf->ptr, cap);
    buf->cap = cap;
}

void gw_buf_add(struct gw_buf *buf, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    gw_buf_reserve(buf, len);
    memcpy(buf->ptr + buf->len, bytes, len);
    buf->len += len;
}

void gw_buf_addf(struct gw_buf *buf, const char *format, ...)
{
    va_list args, again;

    gw_buf_reserve(buf, CAP_MIN);
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(buf->ptr + buf->len, buf->cap - buf->len, format, args);
    gw_check(len >= 0);
    if ((size_t)len >= buf->cap - buf->len) {
        gw_buf_reserve(buf, (size_t)len + 1);
        vsnprintf(buf->ptr + buf->len, buf->cap - buf->len, format, again);
    }
    buf->len += (size_t)len;
    va_end(again);
    va_end(args);
}

void gw_buf_addi(struct gw_buf *buf, int64_t number)
{
    char digits[20];
    char *at = digits + sizeof(digits);
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        *--at = '-';
    gw_buf_add(buf, at, (size_t)(digits + sizeof(digits) - at));
}

const char *gw_buf_text(struct gw_buf *buf)
{
    gw_buf_reserve(buf, 1);
    buf->ptr[buf->len] = '\0';
    return buf->ptr;
}
