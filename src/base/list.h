/* list.h: a circular doubly linked list that runs through its members (intrusive). */
#pragma once

#include "base/alloc.h"

#include <stdbool.h>

struct gw_list {
    struct gw_list *prev, *next;
};

static inline void gw_list_init(struct gw_list *head)
{
    head->prev = head->next = head;
}

static inline bool gw_list_empty(const struct gw_list *head)
{
    return head->next == head;
}

static inline void gw_list_insert_before(struct gw_list *at, struct gw_list *node)
{
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
}

static inline void gw_list_push(struct gw_list *head, struct gw_list *node) /* at the end */
{
    gw_list_insert_before(head, node);
}

/* The node links to itself afterwards, so that removing it twice is harmless and
 * gw_list_linked() is false. */
static inline void gw_list_remove(struct gw_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->prev = node->next = node;
}

static inline bool gw_list_linked(const struct gw_list *node)
{
    return node->next != node;
}

static inline struct gw_list *gw_list_pop(struct gw_list *head) /* the first, NULL when empty */
{
    if (gw_list_empty(head))
        return NULL;
    struct gw_list *node = head->next;
    gw_list_remove(node);
    return node;
}

/* Moves all of `from` behind the end of `to`; `from` is empty afterwards. */
static inline void gw_list_splice(struct gw_list *to, struct gw_list *from)
{
    if (gw_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    gw_list_init(from);
}

#define gw_list_each(node, head)                                                                   \
    for (struct gw_list *node = (head)->next; node != (head); node = node->next)

#define gw_list_each_safe(node, head)                                                              \
    for (struct gw_list *node = (head)->next, *node##_next = node->next; node != (head);           \
         node = node##_next, node##_next = node->next)
