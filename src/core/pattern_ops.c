/* pattern_ops.c: reads what stands in a pattern's arrays: values, and objects with one operator.
 * Owns the table of operators; what it makes lives in the arena.
 *
 * Numbers are best given as text (YYJSON_TYPE_RAW); one that was read into a double is taken for
 * the shortest text that gives this double. */
#include "base/alloc.h"
#include "base/check.h"
#include "core/pattern_impl.h"
#include "core/tree.h"

/* ── Numbers ───────────────────────────────────────────────────────────────────────────────── */

static bool is_number(yyjson_val *value)
{
    return yyjson_is_num(value) || yyjson_is_raw(value);
}

static struct gw_decimal number_take(struct gw_pattern_reader *reader, yyjson_val *value)
{
    size_t len;
    char *text = yyjson_val_write_opts(value, YYJSON_WRITE_NOFLAG, &gw_tree_heap, &len, NULL);

    gw_check(text != NULL);
    struct gw_slice copy = gw_arena_dup(reader->arena, (struct gw_slice){text, len});
    gw_free(text);
    return gw_decimal_of(copy);
}

static void number_test(struct gw_pattern_reader *reader, yyjson_val *value, struct gw_test *test)
{
    test->kind = GW_TEST_NUMBER;
    test->range = (struct gw_range){.has_low = true, .has_high = true};
    test->range.low = test->range.high = number_take(reader, value);
}

static const struct comparison {
    const char *name;
    bool is_low, is_high, is_open; /* which ends of a range it sets */
} comparisons[] = {
    {"=", true, true, false}, {">", true, false, true},   {">=", true, false, false},
    {"<", false, true, true}, {"<=", false, true, false},
};

static const struct comparison *comparison_find(struct gw_slice name)
{
    for (size_t i = 0; i < gw_count(comparisons); i++)
        if (gw_slice_is(name, comparisons[i].name))
            return &comparisons[i];
    return NULL;
}

/* items[at] and the number behind it. */
static enum gw_err bound_take(struct gw_pattern_reader *reader, yyjson_val *items, size_t at,
                              struct gw_range *range)
{
    yyjson_val *name = yyjson_arr_get(items, at), *value = yyjson_arr_get(items, at + 1);
    const struct comparison *comparison = comparison_find(gw_strict_str(name));
    size_t len = gw_pattern_enter_item(reader, at);

    if (!yyjson_is_str(name))
        return gw_pattern_refuse(reader, "one of = < <= > >=", name);
    if (comparison == NULL)
        return gw_pattern_refuse_name(reader, "one of = < <= > >=", gw_strict_str(name));
    gw_pattern_leave(reader, len);
    gw_pattern_enter_item(reader, at + 1);
    if (!is_number(value))
        return gw_pattern_refuse(reader, "a number", value);
    gw_pattern_leave(reader, len);
    struct gw_decimal number = number_take(reader, value);
    if (comparison->is_low) {
        range->has_low = true;
        range->is_low_open = comparison->is_open;
        range->low = number;
    }
    if (comparison->is_high) {
        range->has_high = true;
        range->is_high_open = comparison->is_open;
        range->high = number;
    }
    return GW_OK;
}

/* The low end first, as AWS has it. */
static enum gw_err numeric_take(struct gw_pattern_reader *reader, yyjson_val *value,
                                struct gw_test *test)
{
    static const char what[] = "[comparison, number] or, for a range, "
                               "[\">\" or \">=\", number, \"<\" or \"<=\", greater number]";
    struct gw_range *range = &test->range, high = {0};
    size_t count = yyjson_arr_size(value);

    test->kind = GW_TEST_NUMBER;
    *range = (struct gw_range){0};
    if (count != 2 && count != 4)
        return gw_pattern_refuse(reader, what, value);
    enum gw_err err = bound_take(reader, value, 0, range);
    if (err == GW_OK && count == 4)
        err = bound_take(reader, value, 2, &high);
    if (err != GW_OK || count == 2)
        return err;
    if (range->has_high || high.has_low || gw_decimal_compare(&range->low, &high.high) >= 0)
        return gw_pattern_refuse(reader, what, value);
    range->has_high = true;
    range->is_high_open = high.is_high_open;
    range->high = high.high;
    return GW_OK;
}

/* ── Strings ───────────────────────────────────────────────────────────────────────────────── */

static enum gw_err string_test(struct gw_pattern_reader *reader, yyjson_val *value,
                               enum gw_test_kind kind, struct gw_test *test)
{
    if (!yyjson_is_str(value))
        return gw_pattern_refuse(reader, "a string", value);
    test->kind = kind;
    test->text = gw_arena_dup(reader->arena, gw_strict_str(value));
    return GW_OK;
}

static enum gw_err nocase_take(struct gw_pattern_reader *reader, yyjson_val *value,
                               struct gw_test *test)
{
    return string_test(reader, value, GW_TEST_EQUAL_NOCASE, test);
}

/* A string, or {"equals-ignore-case": string}. */
static enum gw_err end_take(struct gw_pattern_reader *reader, yyjson_val *value,
                            enum gw_test_kind kind, enum gw_test_kind nocase, struct gw_test *test)
{
    yyjson_val *inner = yyjson_obj_get(value, "equals-ignore-case");

    if (yyjson_is_str(value))
        return string_test(reader, value, kind, test);
    if (yyjson_obj_size(value) != 1 || !yyjson_is_str(inner))
        return gw_pattern_refuse(reader, "a string or {\"equals-ignore-case\": string}", value);
    return string_test(reader, inner, nocase, test);
}

static enum gw_err prefix_take(struct gw_pattern_reader *reader, yyjson_val *value,
                               struct gw_test *test)
{
    return end_take(reader, value, GW_TEST_PREFIX, GW_TEST_PREFIX_NOCASE, test);
}

static enum gw_err suffix_take(struct gw_pattern_reader *reader, yyjson_val *value,
                               struct gw_test *test)
{
    return end_take(reader, value, GW_TEST_SUFFIX, GW_TEST_SUFFIX_NOCASE, test);
}

/* Cuts the string at its asterisks, and takes the backslashes out. */
static enum gw_err wildcard_take(struct gw_pattern_reader *reader, yyjson_val *value,
                                 struct gw_test *test)
{
    static const char what[] = "a string in which no two * stand together, "
                               "and a backslash only before * or another backslash";
    struct gw_slice text = gw_strict_str(value), *parts;
    size_t count = 0;

    if (!yyjson_is_str(value))
        return gw_pattern_refuse(reader, what, value);
    char *out = gw_arena_alloc(reader->arena, text.len + 1);
    parts = gw_arena_alloc(reader->arena, (text.len + 1) * sizeof(*parts));
    parts[0] = (struct gw_slice){out, 0};
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i], next = i + 1 < text.len ? text.ptr[i + 1] : '\0';
        if (c == '*') {
            if (next == '*')
                return gw_pattern_refuse_name(reader, what, text);
            parts[++count] = (struct gw_slice){out, 0};
            continue;
        }
        if (c == '\\') {
            if (next != '*' && next != '\\')
                return gw_pattern_refuse_name(reader, what, text);
            c = next;
            i++;
        }
        *out++ = c;
        parts[count].len++;
    }
    test->kind = GW_TEST_WILDCARD;
    test->wildcard = (struct gw_wildcard){parts, count + 1};
    return GW_OK;
}

static enum gw_err cidr_take(struct gw_pattern_reader *reader, yyjson_val *value,
                             struct gw_test *test)
{
    static const char what[] = "a network such as \"10.0.0.0/24\" or \"2001:db8::/32\", "
                               "without bits behind the prefix";

    if (!yyjson_is_str(value))
        return gw_pattern_refuse(reader, what, value);
    if (!gw_net_parse(gw_strict_str(value), &test->net))
        return gw_pattern_refuse_name(reader, what, gw_strict_str(value));
    test->kind = GW_TEST_CIDR;
    return GW_OK;
}

/* ── Operators ─────────────────────────────────────────────────────────────────────────────── */

static enum gw_err exists_take(struct gw_pattern_reader *reader, yyjson_val *value,
                               struct gw_test *test)
{
    if (!yyjson_is_bool(value))
        return gw_pattern_refuse(reader, "true or false", value);
    test->kind = yyjson_get_bool(value) ? GW_TEST_EXISTS : GW_TEST_ABSENT;
    return GW_OK;
}

static enum gw_err anything_but_take(struct gw_pattern_reader *reader, yyjson_val *value,
                                     struct gw_test *test);

static const struct op {
    const char *name;
    enum gw_err (*take)(struct gw_pattern_reader *reader, yyjson_val *value, struct gw_test *test);
    bool is_of_strings; /* and may stand in anything-but, there with a list too */
} ops[] = {
    {"prefix", prefix_take, true},
    {"suffix", suffix_take, true},
    {"equals-ignore-case", nocase_take, true},
    {"wildcard", wildcard_take, true},
    {"numeric", numeric_take, false},
    {"cidr", cidr_take, false},
    {"exists", exists_take, false},
    {"anything-but", anything_but_take, false},
};

#define OPS     "prefix, suffix, equals-ignore-case, wildcard, numeric, cidr, exists, anything-but"
#define BUT_OPS "prefix, suffix, equals-ignore-case, wildcard, numeric"

static const struct op *op_find(struct gw_slice name)
{
    for (size_t i = 0; i < gw_count(ops); i++)
        if (gw_slice_is(name, ops[i].name))
            return &ops[i];
    return NULL;
}

/* The one member of an object. */
static enum gw_err only_member(struct gw_pattern_reader *reader, yyjson_val *object,
                               const char *allowed, struct gw_slice *name, yyjson_val **value)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    yyjson_val *key = yyjson_obj_iter_next(&iter);

    if (yyjson_obj_size(object) != 1)
        return gw_error_set(reader->error, GW_ERR_INVALID,
                            "%s: must be one operator of %s, was an object with %zu members",
                            reader->where, allowed, yyjson_obj_size(object));
    *name = gw_strict_str(key);
    *value = yyjson_obj_iter_get_val(key);
    return GW_OK;
}

static enum gw_err op_take(struct gw_pattern_reader *reader, yyjson_val *object,
                           struct gw_test *test)
{
    struct gw_slice name;
    yyjson_val *value;

    if (only_member(reader, object, OPS, &name, &value) != GW_OK)
        return GW_ERR_INVALID;
    const struct op *op = op_find(name);
    if (op == NULL)
        return gw_pattern_refuse_name(reader, "one operator of " OPS, name);
    size_t len = gw_pattern_enter(reader, name);
    enum gw_err err = op->take(reader, value, test);
    gw_pattern_leave(reader, len);
    return err;
}

/* ── anything-but ──────────────────────────────────────────────────────────────────────────── */

static struct gw_test *none_of(struct gw_pattern_reader *reader, size_t count, struct gw_test *test)
{
    struct gw_test *tests = gw_arena_alloc(reader->arena, count * sizeof(*tests));

    test->kind = GW_TEST_NONE_OF;
    test->none_of.tests = tests;
    test->none_of.count = count;
    return tests;
}

static enum gw_err but_value(struct gw_pattern_reader *reader, yyjson_val *value,
                             const struct op *op, struct gw_test *test)
{
    bool is_end = op && (op->take == prefix_take || op->take == suffix_take);

    if (!op && is_number(value)) {
        number_test(reader, value, test);
        return GW_OK;
    }
    if (is_end && yyjson_is_str(value) && yyjson_get_len(value) == 0)
        return gw_pattern_refuse(reader, "a string that is not empty", value);
    if (!op)
        return string_test(reader, value, GW_TEST_EQUAL, test);
    return yyjson_is_str(value) ? op->take(reader, value, test)
                                : gw_pattern_refuse(reader, "a string", value);
}

/* Strings, or without `op` numbers, but not both. */
static enum gw_err but_list(struct gw_pattern_reader *reader, yyjson_val *list, const struct op *op,
                            struct gw_test *tests)
{
    bool is_numbers = is_number(yyjson_arr_get_first(list));
    enum gw_err err = GW_OK;
    yyjson_val *value;
    size_t at, max;

    yyjson_arr_foreach(list, at, max, value)
    {
        size_t len = gw_pattern_enter_item(reader, at);
        if (op == NULL && is_number(value) != is_numbers)
            err = gw_pattern_refuse(
                reader, is_numbers ? "a number like the first" : "a string like the first", value);
        else
            err = but_value(reader, value, op, &tests[at]);
        if (err != GW_OK)
            return err;
        gw_pattern_leave(reader, len);
    }
    return GW_OK;
}

static enum gw_err but_values(struct gw_pattern_reader *reader, yyjson_val *value,
                              const struct op *op, struct gw_test *test)
{
    size_t count = yyjson_arr_size(value);

    if (count > 0)
        return but_list(reader, value, op, none_of(reader, count, test));
    if (yyjson_is_str(value) || (!op && is_number(value)))
        return but_value(reader, value, op, none_of(reader, 1, test));
    return gw_pattern_refuse(
        reader,
        op ? "a string or a list of strings"
           : "a string, a number, a list of one of these kinds, or an object with one "
             "operator of " BUT_OPS,
        value);
}

static enum gw_err anything_but_take(struct gw_pattern_reader *reader, yyjson_val *value,
                                     struct gw_test *test)
{
    struct gw_slice name;
    yyjson_val *inner;

    if (!yyjson_is_obj(value))
        return but_values(reader, value, NULL, test);
    if (only_member(reader, value, BUT_OPS, &name, &inner) != GW_OK)
        return GW_ERR_INVALID;
    const struct op *op = op_find(name);
    if (op == NULL || !(op->is_of_strings || op->take == numeric_take))
        return gw_pattern_refuse_name(reader, "one operator of " BUT_OPS, name);
    gw_pattern_enter(reader, name);
    if (op->take == numeric_take)
        return numeric_take(reader, inner, none_of(reader, 1, test));
    return but_values(reader, inner, op, test);
}

bool gw_pattern_is_op(struct gw_slice name)
{
    return op_find(name) != NULL;
}

enum gw_err gw_pattern_item(struct gw_pattern_reader *reader, yyjson_val *item,
                            struct gw_test *test)
{
    switch (yyjson_get_type(item)) {
    case YYJSON_TYPE_NULL: test->kind = GW_TEST_NULL; return GW_OK;
    case YYJSON_TYPE_BOOL:
        test->kind = yyjson_get_bool(item) ? GW_TEST_TRUE : GW_TEST_FALSE;
        return GW_OK;
    case YYJSON_TYPE_RAW:
    case YYJSON_TYPE_NUM: number_test(reader, item, test); return GW_OK;
    case YYJSON_TYPE_STR: return string_test(reader, item, GW_TEST_EQUAL, test);
    case YYJSON_TYPE_OBJ: return op_take(reader, item, test);
    default:
        return gw_pattern_refuse(
            reader, "a string, a number, true, false, null or an object with an operator", item);
    }
}
