/* json.h: JSON documents that live in an arena: nothing of theirs has to be freed. */
#pragma once

#include "base/arena.h"

#include <yyjson.h>

/* NULL: it is no JSON. */
yyjson_doc *gw_aws_json_read(struct gw_arena *arena, struct gw_slice text);
yyjson_mut_doc *gw_aws_json_new(struct gw_arena *arena, yyjson_mut_val **root); /* an object */
/* ptr NULL: a string in it is not UTF-8. */
struct gw_slice gw_aws_json_write(struct gw_arena *arena, const yyjson_mut_doc *doc);

/* A member that is a string; ptr NULL: there is none. */
struct gw_slice gw_aws_json_text(yyjson_val *object, const char *name);
