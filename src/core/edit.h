/* edit.h: removes members from JSON text and leaves every other byte alone. Pure.
 *
 * A removal takes the member, the white space before it, and one comma: the one after it, or the
 * one before it when it was the last. Names are compared unescaped ("app\u0049d" is "appId"). */
#pragma once

#include "base/arena.h"

/* `json` must be valid (gw_event_parse said so). Removes every top-level member of that name.
 * Returns `json` itself when there is none, else a copy in the arena. */
struct gw_slice gw_edit_remove_member(struct gw_slice json, struct gw_slice name,
                                      struct gw_arena *arena);
