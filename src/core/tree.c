/* tree.c: an event's JSON as a tree. Owns the tree until gw_tree_deinit; the text is only read. */
#include "core/tree.h"

#include "base/alloc.h"

static void *heap_malloc(void *ctx, size_t size)
{
    (void)ctx;
    return gw_alloc(size);
}

static void *heap_realloc(void *ctx, void *ptr, size_t old_size, size_t size)
{
    (void)ctx;
    (void)old_size;
    return gw_realloc(ptr, size);
}

static void heap_free(void *ctx, void *ptr)
{
    (void)ctx;
    gw_free(ptr);
}

const yyjson_alc gw_tree_heap = {heap_malloc, heap_realloc, heap_free, NULL};

static yyjson_doc *read(struct gw_tree *tree, struct gw_slice json, const yyjson_alc *alc)
{
    /* Without YYJSON_READ_INSITU the text is copied, never written to. */
    return yyjson_read_opts((char *)(uintptr_t)json.ptr, json.len, YYJSON_READ_NUMBER_AS_RAW, alc,
                            &tree->error);
}

void gw_tree_init(struct gw_tree *tree, struct gw_slice json)
{
    tree->doc = NULL;
    tree->error = (yyjson_read_err){.code = YYJSON_READ_ERROR_MEMORY_ALLOCATION};
    if (json.len < sizeof(tree->pool) &&
        yyjson_alc_pool_init(&tree->alc, tree->pool, sizeof(tree->pool)))
        tree->doc = read(tree, json, &tree->alc);
    if (tree->doc == NULL && tree->error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        tree->doc = read(tree, json, &gw_tree_heap);
    tree->root = yyjson_doc_get_root(tree->doc);
}

void gw_tree_deinit(struct gw_tree *tree)
{
    yyjson_doc_free(tree->doc);
}
