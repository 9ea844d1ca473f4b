/* edit.h: removes members from JSON text and leaves every other byte alone. Pure.
 *
 * A removal takes the member, the white space before it, and one comma: the one after it, or the
 * one before it when it was the last. Names are compared unescaped ("app\u0049d" is "appId").
 *
 * A path is dotted ("customer.documents.number"), or a JSON Pointer (RFC 6901, "/customer/a.b") for
 * names that hold a dot. A step names a member of an object; into an array it goes through every
 * element, with the same step, for no step is an index. Every member of the name is taken, also
 * duplicates. A parent that becomes empty stays. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#define GW_EDIT_PATHS_MAX      64 /* of one config */
#define GW_EDIT_PATH_BYTES_MAX 256
#define GW_EDIT_STEPS_MAX      16

struct gw_edit_path {
    struct gw_slice text;         /* as it was given */
    const struct gw_slice *steps; /* decoded names */
    size_t step_count;
};

/* Reads one path; copies into the arena. GW_ERR_INVALID: empty, too long, too many steps, an empty
 * dotted step, a bad pointer escape; the error begins with `field`. */
enum gw_err gw_edit_path_parse(struct gw_edit_path *path, const char *field, struct gw_slice text,
                               struct gw_arena *arena, struct gw_error *error);

/* What deleteAppId removes. */
extern const struct gw_edit_path gw_edit_app_id;

/* `json` must be valid (gw_event_parse said so). Removes what the paths name, as if one path after
 * the other were applied, in one walk. At most GW_EDIT_PATHS_MAX paths and one more. Returns `json`
 * itself when nothing was there, else a copy in the arena. */
struct gw_slice gw_edit_remove(struct gw_slice json, const struct gw_edit_path *paths, size_t count,
                               struct gw_arena *arena);
