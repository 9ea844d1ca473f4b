/* json.c: yyjson on an arena. The allocator's state is the arena's pointer, kept beside the document
 * in the arena itself. */
#include "aws/json.h"

static void *arena_malloc(void *ctx, size_t size)
{
    return gw_arena_alloc(ctx, size);
}

static void *arena_realloc(void *ctx, void *ptr, size_t old_size, size_t size)
{
    void *moved;

    if (size <= old_size)
        return ptr;
    moved = gw_arena_alloc(ctx, size);
    memcpy(moved, ptr, old_size);
    return moved;
}

static void arena_free(void *ctx, void *ptr)
{
    (void)ctx;
    (void)ptr;
}

static yyjson_alc *alc_of(struct gw_arena *arena)
{
    yyjson_alc *alc = gw_arena_alloc(arena, sizeof(*alc));

    *alc = (yyjson_alc){arena_malloc, arena_realloc, arena_free, arena};
    return alc;
}

yyjson_doc *gw_aws_json_read(struct gw_arena *arena, struct gw_slice text)
{
    /* Without YYJSON_READ_INSITU the text is copied, never written to. */
    return yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len, 0, alc_of(arena), NULL);
}

yyjson_mut_doc *gw_aws_json_new(struct gw_arena *arena, yyjson_mut_val **root)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(alc_of(arena));

    *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, *root);
    return doc;
}

struct gw_slice gw_aws_json_write(struct gw_arena *arena, const yyjson_mut_doc *doc)
{
    size_t len = 0;
    char *text = yyjson_mut_write_opts(doc, 0, alc_of(arena), &len, NULL);

    return (struct gw_slice){text, len};
}

struct gw_slice gw_aws_json_text(yyjson_val *object, const char *name)
{
    yyjson_val *value = yyjson_obj_get(object, name);

    if (!yyjson_is_str(value))
        return (struct gw_slice){0};
    return (struct gw_slice){yyjson_get_str(value), yyjson_get_len(value)};
}
