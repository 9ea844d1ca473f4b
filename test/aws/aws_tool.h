/* aws_tool.h: an operation of the tool: reads the request, fills the answer. */
#pragma once

#include "base/arena.h"

#include <yyjson.h>

struct tool_op {
    const char *name;
    void (*run)(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                yyjson_mut_val *root);
};

extern const struct tool_op call_ops[]; /* aws_tool_calls.c; ends with a NULL name */
void calls_end(void);                   /* lets go of what they share */

struct gw_slice text_of(yyjson_val *value);
struct gw_slice member(yyjson_val *request, const char *name);
struct gw_aws_field *pairs_of(yyjson_val *list, struct gw_arena *arena, size_t *count);
