/* pattern.c: does an event match? Pure; the pattern is read only and may be shared by threads.
 *
 * A rule's leaves, sorted by their paths, are walked together with the event. Three answers come
 * back from each part of it:
 *
 *   FAILS    a leaf below can hold in no way
 *   ABSENT   nothing of what is asked about is there, and each leaf below is content with that
 *   HOLDS    each leaf below holds, and at least one of them by a value that is there
 *
 * Into an array of objects a walk looks for one element in which all holds together; that nothing
 * is there must be so in each. Recursion follows the event's depth, which gw_event_parse bounds.
 *
 * The work is counted, for the largest event times the largest pattern would hold up a loop for
 * seconds: a walk that has taken GW_PATTERN_STEPS_MAX steps ends, and the event counts as one that
 * matches, for it is better to deliver too much than to lose something. */
#include "base/check.h"
#include "core/fold.h"
#include "core/pattern_impl.h"
#include "core/tree.h"

enum answer { FAILS, ABSENT, HOLDS };

/* A step is some nanoseconds. */
struct walk {
    size_t steps;
};

static bool is_over(const struct walk *walk)
{
    return walk->steps > GW_PATTERN_STEPS_MAX;
}

/* ── Values ────────────────────────────────────────────────────────────────────────────────── */

/* No array and no object. */
struct value {
    yyjson_val *json;
    struct gw_decimal number; /* when it is one */
};

static struct value value_of(yyjson_val *json)
{
    struct value value = {.json = json};

    if (yyjson_is_raw(json))
        value.number = gw_decimal_of((struct gw_slice){yyjson_get_raw(json), yyjson_get_len(json)});
    return value;
}

static bool in_range(const struct gw_range *range, const struct gw_decimal *number)
{
    if (range->has_low) {
        int order = gw_decimal_compare(number, &range->low);
        if (order < 0 || (order == 0 && range->is_low_open))
            return false;
    }
    if (range->has_high) {
        int order = gw_decimal_compare(number, &range->high);
        if (order > 0 || (order == 0 && range->is_high_open))
            return false;
    }
    return true;
}

/* Each part is taken at the first place where it occurs: a later one leaves less for the rest. */
static bool wildcard_holds(const struct gw_wildcard *wildcard, struct gw_slice s)
{
    struct gw_slice first = wildcard->parts[0], last = wildcard->parts[wildcard->count - 1];

    if (wildcard->count == 1)
        return gw_slice_eq(s, first);
    if (s.len < first.len + last.len || !gw_slice_starts(s, first) || !gw_slice_ends(s, last))
        return false;
    s = gw_slice_skip(s, first.len);
    s.len -= last.len;
    for (size_t i = 1; i + 1 < wildcard->count; i++) {
        struct gw_slice part = wildcard->parts[i];
        const char *found = memmem(s.ptr, s.len, part.ptr, part.len);
        if (found == NULL)
            return false;
        s = gw_slice_skip(s, (size_t)(found - s.ptr) + part.len);
    }
    return true;
}

static bool net_holds(const struct gw_net *net, struct gw_slice s)
{
    struct gw_addr addr;

    if (!gw_addr_parse(s, &addr))
        return false;
    addr = gw_addr_unmap(&addr);
    return gw_net_contains(net, &addr);
}

static bool string_holds(const struct gw_test *test, struct gw_slice s)
{
    switch (test->kind) {
    case GW_TEST_EQUAL: return gw_slice_eq(s, test->text);
    case GW_TEST_PREFIX: return gw_slice_starts(s, test->text);
    case GW_TEST_SUFFIX: return gw_slice_ends(s, test->text);
    case GW_TEST_EQUAL_NOCASE: return gw_fold_eq(s, test->text);
    case GW_TEST_PREFIX_NOCASE: return gw_fold_starts(s, test->text);
    case GW_TEST_SUFFIX_NOCASE: return gw_fold_ends(s, test->text);
    case GW_TEST_WILDCARD: return wildcard_holds(&test->wildcard, s);
    case GW_TEST_CIDR: return net_holds(&test->net, s);
    default: return false;
    }
}

static bool test_holds(const struct gw_test *test, const struct value *value);

static bool any_holds(const struct gw_test *tests, size_t count, const struct value *value)
{
    for (size_t i = 0; i < count; i++)
        if (test_holds(&tests[i], value))
            return true;
    return false;
}

static bool test_holds(const struct gw_test *test, const struct value *value)
{
    yyjson_val *json = value->json;

    switch (test->kind) {
    case GW_TEST_NULL: return yyjson_is_null(json);
    case GW_TEST_TRUE: return yyjson_is_true(json);
    case GW_TEST_FALSE: return yyjson_is_false(json);
    case GW_TEST_NUMBER: return yyjson_is_raw(json) && in_range(&test->range, &value->number);
    case GW_TEST_NONE_OF: return !any_holds(test->none_of.tests, test->none_of.count, value);
    case GW_TEST_EXISTS: return true;
    case GW_TEST_ABSENT: return false;
    default: return yyjson_is_str(json) && string_holds(test, gw_strict_str(json));
    }
}

/* ── Leaves ────────────────────────────────────────────────────────────────────────────────── */

/* `value` is what stands at the leaf's path; NULL = nothing. An array is its elements, so an empty
 * one is nothing; and so is an object: only what has no parts is a value. */
static enum answer leaf_answer(struct walk *walk, const struct gw_leaf *leaf, yyjson_val *json)
{
    enum answer answer = leaf->may_be_absent ? ABSENT : FAILS;
    yyjson_val *element;
    size_t at, max;

    walk->steps++;
    if (json == NULL || yyjson_is_obj(json))
        return answer;
    if (!yyjson_is_arr(json)) {
        struct value value = value_of(json);
        walk->steps += leaf->cost * (1 + yyjson_get_len(json) / 16);
        return any_holds(leaf->tests, leaf->test_count, &value) ? HOLDS : FAILS;
    }
    yyjson_arr_foreach(json, at, max, element)
    {
        enum answer part = leaf_answer(walk, leaf, element);
        if (part == HOLDS || is_over(walk))
            return HOLDS;
        if (part == FAILS)
            answer = FAILS;
    }
    return answer;
}

/* ── Rules ─────────────────────────────────────────────────────────────────────────────────── */

/* Neighbours of a rule, whose first `depth` steps are the same. */
struct part {
    const struct gw_leaf *const *leaves;
    size_t count;
    size_t depth;
};

static enum answer part_answer(struct walk *walk, struct part part, yyjson_val *value);

/* Takes those off the front of `part` that have their next step in common too. */
static struct part part_take(struct part *part)
{
    struct gw_slice step = part->leaves[0]->steps[part->depth];
    struct part taken = {part->leaves, 1, part->depth + 1};

    while (taken.count < part->count &&
           gw_slice_eq(part->leaves[taken.count]->steps[part->depth], step))
        taken.count++;
    part->leaves += taken.count;
    part->count -= taken.count;
    return taken;
}

static enum answer both(enum answer a, enum answer b)
{
    if (a == FAILS || b == FAILS)
        return FAILS;
    return a == HOLDS || b == HOLDS ? HOLDS : ABSENT;
}

/* Of several members of one name the first counts. NULL = there is no object. */
static enum answer object_answer(struct walk *walk, struct part part, yyjson_val *object)
{
    enum answer answer = ABSENT;

    while (part.count > 0 && answer != FAILS) {
        struct gw_slice name = part.leaves[0]->steps[part.depth];
        yyjson_val *member = yyjson_obj_getn(object, name.ptr, name.len);
        walk->steps += 1 + yyjson_obj_size(object) / 4;
        struct part below = part_take(&part);
        for (; below.count > 0 && below.leaves[0]->step_count == below.depth; below.count--)
            answer = both(answer, leaf_answer(walk, *below.leaves++, member));
        if (below.count > 0 && answer != FAILS)
            answer = both(answer, part_answer(walk, below, member));
    }
    return answer;
}

static enum answer part_answer(struct walk *walk, struct part part, yyjson_val *value)
{
    yyjson_val *element;
    size_t at, max;

    if (!yyjson_is_arr(value))
        return object_answer(walk, part, value);
    enum answer answer = object_answer(walk, part, NULL);
    yyjson_arr_foreach(value, at, max, element)
    {
        enum answer one = part_answer(walk, part, element);
        if (one == HOLDS || is_over(walk))
            return HOLDS;
        if (one == FAILS)
            answer = FAILS;
    }
    return answer;
}

bool gw_pattern_hold(const struct gw_leaf *const *leaves, size_t count, yyjson_val *root,
                     size_t *steps)
{
    struct walk walk = {*steps};

    enum answer answer = part_answer(&walk, (struct part){leaves, count, 0}, root);
    *steps = walk.steps;
    return answer != FAILS || is_over(&walk);
}

bool gw_pattern_match(const struct gw_pattern *pattern, struct gw_slice json)
{
    struct gw_tree tree;
    size_t steps = 0;
    bool matches = false;

    gw_tree_init(&tree, json);
    gw_check(tree.root != NULL);
    for (size_t i = 0; i < pattern->count && !matches; i++) {
        const struct gw_rule *rule = &pattern->rules[i];
        matches = gw_pattern_hold(rule->leaves, rule->count, tree.root, &steps);
    }
    gw_tree_deinit(&tree);
    return matches;
}
