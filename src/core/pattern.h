/* pattern.h: does an event match? Patterns of Amazon EventBridge ("Comparison operators for use in
 * event patterns in Amazon EventBridge", AWS User Guide). Pure.
 *
 *   {"status":["approved"],"amount":[{"numeric":[">",100]}],"reviewer":{"country":["DE",null]}}
 *
 * An object matches when each of its members does; an array when one of its items does: a string,
 * number, boolean or null for the equal value, or an object with one operator: prefix, suffix,
 * equals-ignore-case, anything-but (also of a list, of prefix, suffix, equals-ignore-case, wildcard
 * and numeric), numeric, exists, wildcard, and, as objects with a list, "$or" in the place of a
 * member. prefix and suffix also take {"equals-ignore-case": …}. A member that is an array in the
 * event matches when one of its elements does. What AWS defines and is not here is refused by name,
 * with what there is. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#include <yyjson.h>

#define GW_PATTERN_BYTES_MAX 4096 /* of its JSON text, EventBridge's own limit is 2 048 */
#define GW_PATTERN_DEPTH_MAX 16
#define GW_PATTERN_RULES_MAX 512 /* leaves, in all */

struct gw_pattern;

/* Reads a pattern; everything lives in the arena. GW_ERR_INVALID names the path, what was there and
 * what is allowed: "filter.amount[0].numeric: must be …". An empty object matches everything. */
enum gw_err gw_pattern_parse(struct gw_pattern **pattern, yyjson_val *value, struct gw_arena *arena,
                             struct gw_error *error);

/* `json` is an event's body (gw_event_parse said it is valid). Bounded work: what the pattern does
 * not mention is not looked at. */
bool gw_pattern_match(const struct gw_pattern *pattern, struct gw_slice json);
