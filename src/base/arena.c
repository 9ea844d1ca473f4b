/* arena.c: bump allocation in blocks. An arena owns its blocks; blocks double from 4 to 64 KiB, and
 * what would fill much of one gets a block of its own, so that no big tail is thrown away.
 *
 * Invariant: `at` and `left` are the free rest of the first block in the list. Under
 * AddressSanitizer the free rest is poisoned and a gap follows each piece, so that a stray access
 * is found as it would be in malloc'ed memory. */
#include "base/arena.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>

#ifdef __SANITIZE_ADDRESS__ /* gcc's; clang says it in another way, and Debian lacks its header */
#include <sanitizer/asan_interface.h>
#define GAP                16
#define POISON(ptr, len)   __asan_poison_memory_region((ptr), (len))
#define UNPOISON(ptr, len) __asan_unpoison_memory_region((ptr), (len))
#else
#define GAP                0
#define POISON(ptr, len)   ((void)(ptr), (void)(len))
#define UNPOISON(ptr, len) ((void)(ptr), (void)(len))
#endif

#define ALIGN     16
#define BLOCK_MIN ((size_t)4 * 1024)
#define BLOCK_MAX ((size_t)64 * 1024)

struct gw_arena_block {
    struct gw_arena_block *next;
    size_t size; /* of bytes */
    _Alignas(ALIGN) char bytes[];
};

static struct gw_arena_block *block_create(size_t size)
{
    struct gw_arena_block *block = gw_alloc(sizeof(*block) + size);
    block->next = NULL;
    block->size = size;
    POISON(block->bytes, size);
    return block;
}

static void blocks_destroy(struct gw_arena_block *block)
{
    while (block) {
        struct gw_arena_block *next = block->next;
        UNPOISON(block->bytes, block->size);
        gw_free(block);
        block = next;
    }
}

static void add_block(struct gw_arena *arena)
{
    size_t size = arena->blocks ? arena->blocks->size * 2 : BLOCK_MIN;
    struct gw_arena_block *block = block_create(size < BLOCK_MAX ? size : BLOCK_MAX);

    block->next = arena->blocks;
    arena->blocks = block;
    arena->at = block->bytes;
    arena->left = block->size;
}

/* Behind the first block, whose rest goes on being used. */
static void *alloc_alone(struct gw_arena *arena, size_t size)
{
    struct gw_arena_block *block = block_create(size);

    if (arena->blocks == NULL)
        add_block(arena);
    block->next = arena->blocks->next;
    arena->blocks->next = block;
    return block->bytes;
}

void *gw_arena_alloc(struct gw_arena *arena, size_t size)
{
    gw_check(size <= SIZE_MAX / 2);
    size_t padded = (size + GAP + ALIGN - 1) / ALIGN * ALIGN;
    void *piece;

    if (padded == 0)
        padded = ALIGN;
    if (padded > arena->left && padded > BLOCK_MIN / 4) {
        piece = alloc_alone(arena, padded);
    } else {
        if (padded > arena->left)
            add_block(arena);
        piece = arena->at;
        arena->at += padded;
        arena->left -= padded;
    }
    UNPOISON(piece, size);
    return piece;
}

void *gw_arena_zalloc(struct gw_arena *arena, size_t size)
{
    return memset(gw_arena_alloc(arena, size), 0, size);
}

struct gw_slice gw_arena_dup(struct gw_arena *arena, struct gw_slice s)
{
    if (s.ptr == NULL)
        return s;
    return (struct gw_slice){gw_arena_text(arena, s), s.len};
}

const char *gw_arena_text(struct gw_arena *arena, struct gw_slice s)
{
    gw_check(s.len < SIZE_MAX);
    char *text = gw_arena_alloc(arena, s.len + 1);

    if (s.len > 0)
        memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    return text;
}

const char *gw_arena_printf(struct gw_arena *arena, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    gw_check(len >= 0);
    char *text = gw_arena_alloc(arena, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

void gw_arena_reset(struct gw_arena *arena)
{
    struct gw_arena_block *block = arena->blocks;

    if (block == NULL)
        return;
    blocks_destroy(block->next);
    block->next = NULL;
    POISON(block->bytes, block->size);
    arena->at = block->bytes;
    arena->left = block->size;
}

void gw_arena_deinit(struct gw_arena *arena)
{
    blocks_destroy(arena->blocks);
    *arena = (struct gw_arena){0};
}
