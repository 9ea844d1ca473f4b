/* heap.h: a binary min-heap of members that know their place (intrusive), ordered by (key, tie). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gw_heap_node {
    int64_t key;
    uint64_t tie;
    size_t at; /* place in the heap + 1; 0 = in none */
};

struct gw_heap {
    struct gw_heap_node **nodes;
    size_t count, cap;
};

void gw_heap_deinit(struct gw_heap *heap); /* the members stay the caller's */
void gw_heap_push(struct gw_heap *heap, struct gw_heap_node *node); /* key and tie set before */
void gw_heap_remove(struct gw_heap *heap, struct gw_heap_node *node);
struct gw_heap_node *gw_heap_pop(struct gw_heap *heap); /* NULL when empty */

static inline struct gw_heap_node *gw_heap_first(const struct gw_heap *heap)
{
    return heap->count ? heap->nodes[0] : NULL;
}

static inline bool gw_heap_linked(const struct gw_heap_node *node)
{
    return node->at != 0;
}
