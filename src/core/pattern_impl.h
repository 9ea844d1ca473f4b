/* pattern_impl.h: what is made of a pattern's text, and how it is read; for the files of
 * that name and nobody else.
 *
 * "$or" is multiplied out when a pattern is read, as AWS does: a pattern is a list of rules, one of
 * which must match, and a rule a list of leaves, all of which must. So what a rule asks of the same
 * array is asked of the same element, wherever in the pattern it stands. */
#pragma once

#include "base/addr.h"
#include "core/decimal.h"
#include "core/pattern.h"
#include "core/strict.h"

enum gw_test_kind {
    GW_TEST_NULL,
    GW_TEST_TRUE,
    GW_TEST_FALSE,
    GW_TEST_EQUAL, /* strings, from here */
    GW_TEST_PREFIX,
    GW_TEST_SUFFIX,
    GW_TEST_EQUAL_NOCASE,
    GW_TEST_PREFIX_NOCASE,
    GW_TEST_SUFFIX_NOCASE,
    GW_TEST_WILDCARD,
    GW_TEST_CIDR, /* to here */
    GW_TEST_NUMBER,
    GW_TEST_NONE_OF,
    GW_TEST_EXISTS,
    GW_TEST_ABSENT,
};

/* The ends that there are, each with its number or without. */
struct gw_range {
    struct gw_decimal low, high;
    bool has_low, has_high;
    bool is_low_open, is_high_open;
};

/* What is between the asterisks: the first part begins the string, the last one ends it. */
struct gw_wildcard {
    const struct gw_slice *parts;
    size_t count; /* asterisks + 1 */
};

struct gw_test {
    enum gw_test_kind kind;
    union {
        struct gw_slice text;
        struct gw_wildcard wildcard;
        struct gw_net net;
        struct gw_range range;
        struct {
            const struct gw_test *tests;
            size_t count;
        } none_of;
    };
};

struct gw_leaf {
    const struct gw_slice *steps; /* names, from the top of the event down */
    size_t step_count;
    const struct gw_test *tests; /* one of them must hold */
    size_t test_count;
    struct gw_slice text; /* the tests as they were given, cut where they are long */
    size_t cost;          /* tests, those of lists in them too */
    bool may_be_absent;   /* GW_TEST_ABSENT is among them */
};

struct gw_rule {
    const struct gw_leaf **leaves; /* sorted by steps: what shares its first steps is neighbours */
    size_t count;
};

struct gw_pattern {
    const struct gw_rule *rules;
    size_t count;
};

/* pattern.c: do these hold, all of them together? They are sorted like a rule's. The steps taken are
 * added to *steps; beyond GW_PATTERN_STEPS_MAX the answer is yes. */
bool gw_pattern_hold(const struct gw_leaf *const *leaves, size_t count, yyjson_val *root,
                     size_t *steps);

/* ── Reading ───────────────────────────────────────────────────────────────────────────────── */

#define GW_PATTERN_WHERE_BYTES 160 /* of the path in an error text */

struct gw_pattern_reader {
    struct gw_arena *arena;
    struct gw_error *error;
    char where[GW_PATTERN_WHERE_BYTES]; /* "filter.customer.country[0]" */
    struct gw_slice steps[GW_PATTERN_DEPTH_MAX];
    size_t step_count;
    size_t depth; /* of objects, also in $or */
};

/* Lengthen the path; return how long it was, for gw_pattern_leave. */
size_t gw_pattern_enter(struct gw_pattern_reader *reader, struct gw_slice name);
size_t gw_pattern_enter_item(struct gw_pattern_reader *reader, size_t at);
void gw_pattern_leave(struct gw_pattern_reader *reader, size_t len);

/* "PATH: must be WHAT, was KIND OF VALUE", and the same with a name or operator, which is shown. */
enum gw_err gw_pattern_refuse(struct gw_pattern_reader *reader, const char *what,
                              yyjson_val *value);
enum gw_err gw_pattern_refuse_name(struct gw_pattern_reader *reader, const char *what,
                                   struct gw_slice name);

/* pattern_ops.c: one item of an array. */
enum gw_err gw_pattern_item(struct gw_pattern_reader *reader, yyjson_val *item,
                            struct gw_test *test);
bool gw_pattern_is_op(struct gw_slice name);
