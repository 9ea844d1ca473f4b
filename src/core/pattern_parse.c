/* pattern_parse.c: reads a pattern's structure. Owns nothing; what it makes lives in the arena.
 *
 * Nothing is guessed: an operator AWS does not have, a list of mixed kinds, an empty range, object
 * or array are refused, with the path to it and what is allowed there. An error shows names and
 * operators, and of other values what they are. Recursion is bounded by GW_PATTERN_DEPTH_MAX. */
#include "base/alloc.h"
#include "base/check.h"
#include "core/pattern_impl.h"
#include "core/tree.h"

#include <stdio.h>
#include <stdlib.h>

/* Rules as lists from their last leaf to their first; they share what they have in common. */
struct chain {
    const struct gw_leaf *leaf;
    const struct chain *before;
    size_t count;
};

struct rules {
    const struct chain *chains[GW_PATTERN_RULES_MAX]; /* NULL = without leaves */
    size_t count;
    size_t leaf_count; /* of all together */
};

/* ── Error texts ───────────────────────────────────────────────────────────────────────────── */

size_t gw_pattern_enter(struct gw_pattern_reader *reader, struct gw_slice name)
{
    size_t len = strlen(reader->where);

    snprintf(reader->where + len, sizeof(reader->where) - len, ".%s", gw_strict_shown(name).text);
    return len;
}

size_t gw_pattern_enter_item(struct gw_pattern_reader *reader, size_t at)
{
    size_t len = strlen(reader->where);

    snprintf(reader->where + len, sizeof(reader->where) - len, "[%zu]", at);
    return len;
}

void gw_pattern_leave(struct gw_pattern_reader *reader, size_t len)
{
    reader->where[len] = '\0';
}

static const char *kind_of(yyjson_val *value)
{
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_NULL: return "null";
    case YYJSON_TYPE_BOOL: return yyjson_get_bool(value) ? "true" : "false";
    case YYJSON_TYPE_RAW:
    case YYJSON_TYPE_NUM: return "a number";
    case YYJSON_TYPE_STR: return yyjson_get_len(value) ? "a string" : "an empty string";
    case YYJSON_TYPE_ARR: return yyjson_arr_size(value) ? "an array" : "an empty array";
    case YYJSON_TYPE_OBJ: return yyjson_obj_size(value) ? "an object" : "an empty object";
    default: return "nothing";
    }
}

enum gw_err gw_pattern_refuse(struct gw_pattern_reader *reader, const char *what, yyjson_val *value)
{
    return gw_error_set(reader->error, GW_ERR_INVALID, "%s: must be %s, was %s", reader->where,
                        what, kind_of(value));
}

enum gw_err gw_pattern_refuse_name(struct gw_pattern_reader *reader, const char *what,
                                   struct gw_slice name)
{
    return gw_error_set(reader->error, GW_ERR_INVALID, "%s: must be %s, was \"%s\"", reader->where,
                        what, gw_strict_shown(name).text);
}

/* ── Rules ─────────────────────────────────────────────────────────────────────────────────── */

static enum gw_err too_many(struct gw_pattern_reader *reader)
{
    return gw_error_set(reader->error, GW_ERR_INVALID,
                        "filter: must have at most %d leaves once every $or is multiplied out, "
                        "had more at %s",
                        GW_PATTERN_RULES_MAX, reader->where);
}

/* One more leaf for each rule. */
static enum gw_err rules_extend(struct gw_pattern_reader *reader, struct rules *rules,
                                const struct gw_leaf *leaf)
{
    if (rules->leaf_count + rules->count > GW_PATTERN_RULES_MAX)
        return too_many(reader);
    for (size_t i = 0; i < rules->count; i++) {
        struct chain *chain = gw_arena_alloc(reader->arena, sizeof(*chain));
        const struct chain *before = rules->chains[i];
        *chain = (struct chain){leaf, before, before ? before->count + 1 : 1};
        rules->chains[i] = chain;
    }
    rules->leaf_count += rules->count;
    return GW_OK;
}

static enum gw_err rules_join(struct gw_pattern_reader *reader, struct rules *rules,
                              const struct rules *more)
{
    if (rules->leaf_count + more->leaf_count > GW_PATTERN_RULES_MAX)
        return too_many(reader);
    memcpy(rules->chains + rules->count, more->chains, more->count * sizeof(more->chains[0]));
    rules->count += more->count;
    rules->leaf_count += more->leaf_count;
    return GW_OK;
}

/* ── Objects ───────────────────────────────────────────────────────────────────────────────── */

/* JSON, but no more of it than fits into a sentence. */
static struct gw_slice text_of(struct gw_pattern_reader *reader, yyjson_val *items)
{
    size_t len;
    char *text = yyjson_val_write_opts(items, YYJSON_WRITE_NOFLAG, &gw_tree_heap, &len, NULL);

    gw_check(text != NULL);
    struct gw_slice whole = {text, len}, cut = gw_strict_cut(whole);
    const char *copy =
        gw_arena_printf(reader->arena, "%.*s%s", GW_SLICE_ARG(cut), cut.len < whole.len ? "…" : "");
    gw_free(text);
    return gw_slice_from(copy);
}

/* The path to here, and what may stand there. */
static enum gw_err leaf_take(struct gw_pattern_reader *reader, yyjson_val *items,
                             struct rules *rules)
{
    size_t count = yyjson_arr_size(items), at, max;
    struct gw_test *tests = gw_arena_alloc(reader->arena, count * sizeof(*tests));
    struct gw_leaf *leaf = gw_arena_zalloc(reader->arena, sizeof(*leaf));
    size_t steps_bytes = reader->step_count * sizeof(reader->steps[0]);
    struct gw_slice *steps = gw_arena_alloc(reader->arena, steps_bytes);
    yyjson_val *item;

    if (count == 0)
        return gw_pattern_refuse(reader, "an array with at least one item", items);
    yyjson_arr_foreach(items, at, max, item)
    {
        size_t len = gw_pattern_enter_item(reader, at);
        enum gw_err err = gw_pattern_item(reader, item, &tests[at]);
        if (err != GW_OK)
            return err;
        gw_pattern_leave(reader, len);
        leaf->may_be_absent |= tests[at].kind == GW_TEST_ABSENT;
        leaf->cost += tests[at].kind == GW_TEST_NONE_OF ? tests[at].none_of.count : 1;
    }
    memcpy(steps, reader->steps, steps_bytes);
    leaf->steps = steps;
    leaf->step_count = reader->step_count;
    leaf->tests = tests;
    leaf->test_count = count;
    leaf->text = text_of(reader, items);
    return rules_extend(reader, rules, leaf);
}

static enum gw_err object_take(struct gw_pattern_reader *reader, yyjson_val *object, bool in_or,
                               struct rules *rules);

/* Each rule so far goes on in each of the objects. */
static enum gw_err or_take(struct gw_pattern_reader *reader, yyjson_val *objects,
                           struct rules *rules)
{
    struct rules before = *rules, branch;
    yyjson_val *object;
    size_t at, max;

    if (yyjson_arr_size(objects) < 2)
        return gw_pattern_refuse(reader, "an array of at least two objects", objects);
    rules->count = rules->leaf_count = 0;
    yyjson_arr_foreach(objects, at, max, object)
    {
        size_t len = gw_pattern_enter_item(reader, at);
        branch = before;
        enum gw_err err = object_take(reader, object, true, &branch);
        if (err == GW_OK)
            err = rules_join(reader, rules, &branch);
        if (err != GW_OK)
            return err;
        gw_pattern_leave(reader, len);
    }
    return GW_OK;
}

static enum gw_err member_take(struct gw_pattern_reader *reader, struct gw_slice name,
                               yyjson_val *value, bool in_or, struct rules *rules)
{
    enum gw_err err;

    if (gw_slice_is(name, "$or"))
        return or_take(reader, value, rules);
    if (in_or && gw_pattern_is_op(name))
        return gw_error_set(reader->error, GW_ERR_INVALID,
                            "%s: must be the name of a member, for operators stand in an array",
                            reader->where);
    reader->steps[reader->step_count++] = gw_arena_dup(reader->arena, name);
    if (yyjson_is_obj(value))
        err = object_take(reader, value, in_or, rules);
    else if (yyjson_is_arr(value))
        err = leaf_take(reader, value, rules);
    else
        err = gw_pattern_refuse(reader, "an array of what matches, or an object", value);
    reader->step_count--;
    return err;
}

static enum gw_err object_take(struct gw_pattern_reader *reader, yyjson_val *object, bool in_or,
                               struct rules *rules)
{
    yyjson_val *key, *value;
    size_t at, max;

    if (yyjson_obj_size(object) == 0)
        return gw_pattern_refuse(reader, "an object with at least one member", object);
    if (reader->depth == GW_PATTERN_DEPTH_MAX)
        return gw_error_set(reader->error, GW_ERR_INVALID,
                            "%s: must be nested at most %d objects deep, was deeper", reader->where,
                            GW_PATTERN_DEPTH_MAX);
    reader->depth++;
    yyjson_obj_foreach(object, at, max, key, value)
    {
        size_t len = gw_pattern_enter(reader, gw_strict_str(key));
        enum gw_err err = member_take(reader, gw_strict_str(key), value, in_or, rules);
        if (err != GW_OK)
            return err;
        gw_pattern_leave(reader, len);
    }
    reader->depth--;
    return GW_OK;
}

static int compare_slices(struct gw_slice a, struct gw_slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0;

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_leaves(const void *left, const void *right)
{
    const struct gw_leaf *a = *(const struct gw_leaf *const *)left;
    const struct gw_leaf *b = *(const struct gw_leaf *const *)right;

    for (size_t i = 0; i < a->step_count && i < b->step_count; i++) {
        int order = compare_slices(a->steps[i], b->steps[i]);
        if (order)
            return order;
    }
    return (a->step_count > b->step_count) - (a->step_count < b->step_count);
}

static struct gw_rule rule_of(const struct chain *chain, struct gw_arena *arena)
{
    size_t count = chain ? chain->count : 0;
    struct gw_rule rule = {gw_arena_alloc(arena, count * sizeof(*rule.leaves)), count};

    for (; chain; chain = chain->before)
        rule.leaves[--count] = chain->leaf;
    if (rule.count > 1)
        qsort(rule.leaves, rule.count, sizeof(*rule.leaves), compare_leaves);
    return rule;
}

enum gw_err gw_pattern_parse(struct gw_pattern **pattern, yyjson_val *value, struct gw_arena *arena,
                             struct gw_error *error)
{
    struct gw_pattern_reader reader = {.arena = arena, .error = error, .where = "filter"};
    struct rules rules = {.count = 1}; /* one without leaves: it matches everything */
    enum gw_err err = GW_OK;
    size_t len;

    *pattern = NULL;
    if (!yyjson_is_obj(value))
        return gw_pattern_refuse(&reader, "an object", value);
    char *text = yyjson_val_write_opts(value, YYJSON_WRITE_NOFLAG, &gw_tree_heap, &len, NULL);
    gw_check(text != NULL);
    gw_free(text);
    if (len > GW_PATTERN_BYTES_MAX)
        return gw_error_set(error, GW_ERR_INVALID, "filter: must have at most %d bytes, has %zu",
                            GW_PATTERN_BYTES_MAX, len);
    if (yyjson_obj_size(value) > 0)
        err = object_take(&reader, value, false, &rules);
    if (err != GW_OK)
        return err;
    struct gw_pattern *made = gw_arena_zalloc(arena, sizeof(*made));
    struct gw_rule *made_rules = gw_arena_alloc(arena, rules.count * sizeof(*made_rules));
    for (size_t i = 0; i < rules.count; i++)
        made_rules[i] = rule_of(rules.chains[i], arena);
    made->rules = made_rules;
    made->count = rules.count;
    *pattern = made;
    return GW_OK;
}
