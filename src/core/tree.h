/* tree.h: the JSON of an event as yyjson's tree, for as long as a call takes. Pure.
 *
 * The tree lives in the struct, which lives on the caller's stack, while it fits, else on the heap.
 * Numbers are kept as text (YYJSON_TYPE_RAW): an event may carry any number that JSON can write,
 * whatever a double can hold. */
#pragma once

#include "base/slice.h"

#include <yyjson.h>

#define GW_TREE_POOL_BYTES (16 * 1024) /* an ordinary event of up to 3 KiB */

struct gw_tree {
    yyjson_val *root; /* NULL: it is no JSON, see error */
    yyjson_read_err error;
    yyjson_doc *doc;
    yyjson_alc alc;
    _Alignas(16) char pool[GW_TREE_POOL_BYTES];
};

/* yyjson on gw_alloc: never fails. */
extern const yyjson_alc gw_tree_heap;

void gw_tree_init(struct gw_tree *tree, struct gw_slice json);
void gw_tree_deinit(struct gw_tree *tree);
