/* fuzz.h: what the fuzzing drivers share. Each defines LLVMFuzzerTestOneInput, which is given bytes
 * of any kind and must find that the parsers behind it keep their promises: no sanitizer speaks, no
 * gw_check fails. Where a driver needs several texts, a NUL stands between them. */
#pragma once

#include "base/alloc.h"
#include "base/check.h"
#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next text, "" when there is none, in memory of its own, so that a read beyond it is seen.
 * For fuzz_free(). */
static inline struct gw_slice fuzz_next(struct gw_slice *rest)
{
    struct gw_slice part = GW_SLICE("");

    gw_slice_split(rest, '\0', &part);
    char *ptr = gw_alloc(part.len ? part.len : 1);
    if (part.len > 0)
        memcpy(ptr, part.ptr, part.len);
    return (struct gw_slice){ptr, part.len};
}

static inline void fuzz_free(struct gw_slice text)
{
    gw_free((void *)(uintptr_t)text.ptr);
}

/* No deeper than an event may be. `json` is valid. */
static inline bool fuzz_is_shallow(struct gw_slice json)
{
    size_t depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < json.len; i++) {
        char c = json.ptr[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            depth++;
        else if (!in_string && (c == '}' || c == ']'))
            depth--;
        if (depth > 64)
            return false;
    }
    return true;
}
