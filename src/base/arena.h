/* arena.h: memory that is freed in one call: one arena per request and per attempt.
 * All zeroes is an empty one; the first allocation makes its first block. */
#pragma once

#include "base/slice.h"

struct gw_arena_block;

struct gw_arena {
    struct gw_arena_block *blocks; /* newest first */
    char *at;
    size_t left;
};

void *gw_arena_alloc(struct gw_arena *arena, size_t size);  /* 16-byte aligned, uninitialised */
void *gw_arena_zalloc(struct gw_arena *arena, size_t size); /* zeroed */
struct gw_slice gw_arena_dup(struct gw_arena *arena, struct gw_slice s); /* NUL behind the end;
                                                                            absent stays absent */
const char *gw_arena_text(struct gw_arena *arena, struct gw_slice s);    /* NUL-terminated copy */
const char *gw_arena_printf(struct gw_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void gw_arena_reset(struct gw_arena *arena);  /* empties it, keeps one block for the next user */
void gw_arena_deinit(struct gw_arena *arena); /* frees all; the arena is empty and usable again */
