/* heap.c: a binary heap in an array of pointers. Owns the array, never the members.
 *
 * Invariant: nodes[i]->at == i + 1, and no node is before its parent. */
#include "base/heap.h"

#include "base/alloc.h"
#include "base/check.h"

#define CAP_MIN 16

static bool is_before(const struct gw_heap_node *a, const struct gw_heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

static void put(struct gw_heap *heap, size_t i, struct gw_heap_node *node)
{
    heap->nodes[i] = node;
    node->at = i + 1;
}

static void sift_up(struct gw_heap *heap, size_t i, struct gw_heap_node *node)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (!is_before(node, heap->nodes[parent]))
            break;
        put(heap, i, heap->nodes[parent]);
        i = parent;
    }
    put(heap, i, node);
}

static void sift_down(struct gw_heap *heap, size_t i, struct gw_heap_node *node)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && is_before(heap->nodes[child + 1], heap->nodes[child]))
            child++;
        if (!is_before(heap->nodes[child], node))
            break;
        put(heap, i, heap->nodes[child]);
        i = child;
    }
    put(heap, i, node);
}

void gw_heap_deinit(struct gw_heap *heap)
{
    for (size_t i = 0; i < heap->count; i++)
        heap->nodes[i]->at = 0;
    gw_free(heap->nodes);
    *heap = (struct gw_heap){0};
}

void gw_heap_push(struct gw_heap *heap, struct gw_heap_node *node)
{
    gw_check(!gw_heap_linked(node));
    if (heap->count == heap->cap) {
        heap->cap = heap->cap ? heap->cap * 2 : CAP_MIN;
        heap->nodes = gw_realloc(heap->nodes, heap->cap * sizeof(struct gw_heap_node *));
    }
    sift_up(heap, heap->count++, node);
}

void gw_heap_remove(struct gw_heap *heap, struct gw_heap_node *node)
{
    gw_check(gw_heap_linked(node));
    size_t i = node->at - 1;
    gw_check(i < heap->count && heap->nodes[i] == node);

    struct gw_heap_node *last = heap->nodes[--heap->count];
    node->at = 0;
    if (last == node)
        return;
    if (i > 0 && is_before(last, heap->nodes[(i - 1) / 2]))
        sift_up(heap, i, last);
    else
        sift_down(heap, i, last);
}

struct gw_heap_node *gw_heap_pop(struct gw_heap *heap)
{
    struct gw_heap_node *first = gw_heap_first(heap);

    if (first)
        gw_heap_remove(heap, first);
    return first;
}
