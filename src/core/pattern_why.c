/* pattern_why.c: why an event does not match a pattern, for people. Pure; owns nothing.
 *
 * What is told of the event are kinds, never values: those who may know that an event was filtered
 * out need not be those who may see what is in it. What is told of the pattern is the pattern. */
#include "base/alloc.h"
#include "base/check.h"
#include "core/pattern_impl.h"
#include "core/tree.h"

#define TOLD_MAX  3 /* leaves; of others it is said that they are there */
#define STEPS_MAX ((size_t)GW_PATTERN_STEPS_MAX / 10) /* it is for people, on a loop's thread */

/* ── What the event has there ──────────────────────────────────────────────────────────────── */

enum {
    HAS_NOTHING = 1 << 0,
    HAS_NULL = 1 << 1,
    HAS_BOOLEAN = 1 << 2,
    HAS_NUMBER = 1 << 3,
    HAS_STRING = 1 << 4,
    HAS_OBJECT = 1 << 5,
    HAS_EMPTY_ARRAY = 1 << 6,
};

static const char *const kinds[] = {
    "nothing", "null", "a boolean", "a number", "a string", "an object", "an empty array",
};

static unsigned kind_of(yyjson_val *value)
{
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_NULL: return HAS_NULL;
    case YYJSON_TYPE_BOOL: return HAS_BOOLEAN;
    case YYJSON_TYPE_RAW:
    case YYJSON_TYPE_NUM: return HAS_NUMBER;
    case YYJSON_TYPE_STR: return HAS_STRING;
    case YYJSON_TYPE_OBJ: return HAS_OBJECT;
    default: return HAS_NOTHING;
    }
}

/* Of all that stands at the end of the path: an array is its elements. */
static unsigned kinds_at(yyjson_val *value, const struct gw_slice *steps, size_t count)
{
    unsigned found = 0;
    yyjson_val *element;
    size_t at, max;

    if (yyjson_is_arr(value)) {
        yyjson_arr_foreach(value, at, max, element)
        {
            found |= kinds_at(element, steps, count);
        }
        return max > 0 ? found : count > 0 ? HAS_NOTHING : HAS_EMPTY_ARRAY;
    }
    if (count == 0)
        return kind_of(value);
    return kinds_at(yyjson_obj_getn(value, steps->ptr, steps->len), steps + 1, count - 1);
}

/* ── Words ─────────────────────────────────────────────────────────────────────────────────── */

static void add_kinds(unsigned found, struct gw_buf *out)
{
    const char *between = "";

    for (size_t i = 0; i < gw_count(kinds); i++)
        if (found & 1U << i) {
            gw_buf_addf(out, "%s%s", between, kinds[i]);
            between = " and ";
        }
}

/* "order.total must match [{"numeric":[">",100]}], the event has a string there" */
static void add_leaf(const struct gw_leaf *leaf, yyjson_val *root, struct gw_buf *out)
{
    for (size_t i = 0; i < leaf->step_count; i++)
        gw_buf_addf(out, "%s%s", i > 0 ? "." : "", gw_strict_shown(leaf->steps[i]).text);
    gw_buf_addf(out, " must match %.*s, the event has ", GW_SLICE_ARG(leaf->text));
    add_kinds(kinds_at(root, leaf->steps, leaf->step_count), out);
    gw_buf_adds(out, GW_SLICE(" there"));
}

static void add_rule(const struct gw_rule *rule, yyjson_val *root, struct gw_buf *out)
{
    size_t missed = 0;

    for (size_t i = 0; i < rule->count; i++) {
        size_t steps = 0;
        if (gw_pattern_hold(&rule->leaves[i], 1, root, &steps))
            continue;
        if (missed < TOLD_MAX) {
            gw_buf_adds(out, missed > 0 ? GW_SLICE("; ") : GW_SLICE(""));
            add_leaf(rule->leaves[i], root, out);
        }
        missed++;
    }
    if (missed > TOLD_MAX)
        gw_buf_addf(out, "; and %zu more", missed - TOLD_MAX);
    if (missed == 0)
        gw_buf_adds(out, GW_SLICE("each of its conditions holds by itself, but no single element "
                                  "of the event's arrays fulfils them together"));
}

/* ── Which rule? ───────────────────────────────────────────────────────────────────────────── */

static size_t count_missed(const struct gw_rule *rule, yyjson_val *root, size_t *steps)
{
    size_t missed = 0;

    for (size_t i = 0; i < rule->count; i++)
        missed += !gw_pattern_hold(&rule->leaves[i], 1, root, steps);
    return missed;
}

/* The one of which least is missing; NULL: the event matches, or it takes too long. */
static const struct gw_rule *nearest(const struct gw_pattern *pattern, yyjson_val *root)
{
    const struct gw_rule *best = NULL;
    size_t best_missed = SIZE_MAX, steps = GW_PATTERN_STEPS_MAX - STEPS_MAX;

    for (size_t i = 0; i < pattern->count; i++) {
        const struct gw_rule *rule = &pattern->rules[i];
        if (gw_pattern_hold(rule->leaves, rule->count, root, &steps))
            return NULL;
        size_t missed = count_missed(rule, root, &steps);
        if (missed < best_missed) {
            best = rule;
            best_missed = missed;
        }
    }
    return steps > GW_PATTERN_STEPS_MAX ? NULL : best;
}

bool gw_pattern_explain(const struct gw_pattern *pattern, struct gw_slice json, struct gw_buf *out)
{
    struct gw_tree tree;

    gw_tree_init(&tree, json);
    gw_check(tree.root != NULL);
    const struct gw_rule *rule = nearest(pattern, tree.root);
    if (rule && pattern->count > 1)
        gw_buf_addf(out, "of its %zu alternatives, to the nearest: ", pattern->count);
    if (rule)
        add_rule(rule, tree.root, out);
    gw_tree_deinit(&tree);
    return rule != NULL;
}
