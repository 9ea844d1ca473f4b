/* pattern.h: does an event match? Patterns of Amazon EventBridge ("Comparison operators for use in
 * event patterns in Amazon EventBridge", AWS User Guide; the README of AWS's event-ruler). Pure.
 *
 *   {"status":["approved"],"amount":[{"numeric":[">",100]}],"reviewer":{"country":["DE",null]}}
 *
 * An object matches when each of its members does; an array when one of its items does: a string,
 * number, boolean or null for the equal value, or an object with one operator:
 *
 *   prefix, suffix       a string, or {"equals-ignore-case": string}
 *   equals-ignore-case   a string (letters: core/fold.h)
 *   wildcard             a string; * is any characters, \* and \\ are themselves
 *   cidr                 a network, for addresses in strings
 *   numeric              [comparison, number] or [">" or ">=", number, "<" or "<=", number]
 *   exists               true or false
 *   anything-but         a string, a number or a list of one kind; or prefix, suffix,
 *                        equals-ignore-case or wildcard with a string or a list of strings; or
 *                        numeric. Any value that is there and is not that, also of another type
 *
 * "$or", with a list of at least two objects in the place of a member, matches when one of them
 * does. What AWS does not have is refused by name, with what there is.
 *
 * What AWS says, or does where it says nothing:
 * - Strings are compared byte for byte. Numbers are compared by value and exactly, whatever their
 *   size: 300, 300.0 and 3e2 are equal (so event-ruler, which adds to the literal the number; the
 *   User Guide speaks of the literal alone).
 * - null is a value, not the absence of one. An object is no value, nor is an array without values
 *   in it: "exists" sees leaves only.
 * - An array in the event stands for its elements: one of them must match. In an array of objects
 *   all that is asked of it must match in one and the same element; what must not exist must not
 *   exist in that one, or in any when nothing else is asked.
 * - Not so here: a name with a dot is one name, no path. Of several members of one name the first
 *   counts. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <yyjson.h>

#define GW_PATTERN_BYTES_MAX 4096     /* of its JSON text, EventBridge's own limit is 2 048 */
#define GW_PATTERN_DEPTH_MAX 16       /* objects in one another */
#define GW_PATTERN_RULES_MAX 512      /* leaves in all, each time "$or" multiplies them */
#define GW_PATTERN_STEPS_MAX 10000000 /* of one match: tens of milliseconds */

struct gw_pattern;

/* Reads a pattern; everything lives in the arena. GW_ERR_INVALID names the path, what was there and
 * what is allowed: "filter.amount[0].numeric: must be …". An empty object matches everything.
 * Numbers keep all their digits when they come as text (YYJSON_TYPE_RAW), else as a double does. */
enum gw_err gw_pattern_parse(struct gw_pattern **pattern, yyjson_val *value, struct gw_arena *arena,
                             struct gw_error *error);

/* `json` is an event's body (gw_event_parse said it is valid). What the pattern does not mention is
 * not looked at. Bounded work: of an event so large and a pattern so long that more than
 * GW_PATTERN_STEPS_MAX steps would be needed, it is said that they match. */
bool gw_pattern_match(const struct gw_pattern *pattern, struct gw_slice json);

/* Why an event does not match, for people: appends what the pattern asks for and the event has not,
 * each with its path. Of the event's values only their kind is told. Where "$or" leaves a choice, it
 * is told of what is nearest to a match. False, and nothing is appended: it does match, or finding
 * out would take too long. */
bool gw_pattern_explain(const struct gw_pattern *pattern, struct gw_slice json, struct gw_buf *out);
