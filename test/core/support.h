/* support.h: what the core suites share: cmocka with its includes, a seeded generator, and copies of
 * text that end where the memory ends, so that a sanitizer sees a read beyond. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdio.h>

/* splitmix64: good enough to wander about in inputs, the same everywhere. */
struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
    uint64_t z = rng->state += 0x9E3779B97F4A7C15u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static inline size_t rng_below(struct rng *rng, size_t limit)
{
    return (size_t)(rng_next(rng) % limit);
}

static inline struct gw_slice exact_copy(struct gw_slice s)
{
    char *ptr = gw_alloc(s.len ? s.len : 1);

    if (s.len > 0)
        memcpy(ptr, s.ptr, s.len);
    return (struct gw_slice){ptr, s.len};
}

static inline void exact_free(struct gw_slice s)
{
    gw_free((void *)(uintptr_t)s.ptr);
}

static inline void assert_slice(struct gw_slice got, struct gw_slice wanted)
{
    if (!gw_slice_eq(got, wanted))
        fail_msg("got \"%.*s\", wanted \"%.*s\"", GW_SLICE_ARG(got), GW_SLICE_ARG(wanted));
}

static inline void assert_text(struct gw_slice got, const char *wanted)
{
    if (wanted == NULL)
        assert_null(got.ptr);
    else
        assert_slice(got, gw_slice_from(wanted));
}

/* One to four random edits: a byte changed, dropped, doubled, or a stretch copied elsewhere. */
static inline void mutate(struct gw_buf *text, struct rng *rng)
{
    static const char spice[] = "{}[]\",:\\u0 \n\x01\x7f\xc3\xa9\xed\xff-1e.tfn";

    for (size_t i = 1 + rng_below(rng, 4); i > 0 && text->len > 0; i--) {
        size_t at = rng_below(rng, text->len);
        size_t len = 1 + rng_below(rng, 8);
        if (len > text->len - at)
            len = text->len - at;
        switch (rng_below(rng, 4)) {
        case 0: text->ptr[at] = spice[rng_below(rng, sizeof(spice))]; break;
        case 1: text->ptr[at] = (char)rng_next(rng); break;
        case 2:
            memmove(text->ptr + at, text->ptr + at + len, text->len - at - len);
            text->len -= len;
            break;
        default:
            gw_buf_reserve(text, len);
            memmove(text->ptr + at + len, text->ptr + at, text->len - at);
            text->len += len;
            break;
        }
    }
}
