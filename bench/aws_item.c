/* Items, and as much of DynamoDB's expressions as src/store/ writes: comparisons joined by AND or OR
 * without brackets, attribute_exists, attribute_not_exists, begins_with; SET, ADD and REMOVE. */
#include "aws_fake.h"
#include "base/alloc.h"
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>

struct gw_slice gw_fake_text(yyjson_val *object, const char *name)
{
    yyjson_val *value = yyjson_obj_get(object, name);

    if (!yyjson_is_str(value))
        return (struct gw_slice){0};
    return (struct gw_slice){yyjson_get_str(value), yyjson_get_len(value)};
}

/* ── Items ─────────────────────────────────────────────────────────────────────────────────── */

static void set(struct gw_fake_item *item, struct gw_slice name, yyjson_val *value)
{
    struct gw_fake_attribute *to = NULL;
    yyjson_obj_iter iter = yyjson_obj_iter_with(value);
    yyjson_val *type = yyjson_obj_iter_next(&iter), *inner = yyjson_obj_iter_get_val(type);
    size_t len;

    for (size_t i = 0; i < item->count && to == NULL; i++)
        if (gw_slice_eq(item->attributes[i].name, name))
            to = &item->attributes[i];
    if (to == NULL && item->count == GW_FAKE_ATTRIBUTES_MAX)
        gw_die("an item has too many attributes");
    if (to == NULL) {
        to = &item->attributes[item->count++];
        to->name = gw_arena_dup(&item->arena, name);
    }
    char *json = yyjson_val_write(value, 0, &len);
    to->value = gw_arena_dup(&item->arena, (struct gw_slice){json, len});
    free(json);
    to->type = type ? *yyjson_get_str(type) : '?';
    to->text = (struct gw_slice){0};
    if (yyjson_is_str(inner))
        to->text = gw_arena_dup(&item->arena,
                                (struct gw_slice){yyjson_get_str(inner), yyjson_get_len(inner)});
}

struct gw_fake_item *gw_fake_item_create(yyjson_val *json)
{
    struct gw_fake_item *item = gw_zalloc(sizeof(*item));
    yyjson_val *name, *value;
    size_t i, max;

    yyjson_obj_foreach(json, i, max, name, value)
        set(item, (struct gw_slice){yyjson_get_str(name), yyjson_get_len(name)}, value);
    return item;
}

struct gw_fake_item *gw_fake_item_copy(const struct gw_fake_item *from)
{
    struct gw_fake_item *item = gw_zalloc(sizeof(*item));

    for (item->count = 0; item->count < from->count; item->count++) {
        const struct gw_fake_attribute *a = &from->attributes[item->count];
        item->attributes[item->count] = (struct gw_fake_attribute){
            gw_arena_dup(&item->arena, a->name), gw_arena_dup(&item->arena, a->value), a->type,
            gw_arena_dup(&item->arena, a->text)};
    }
    return item;
}

void gw_fake_item_destroy(struct gw_fake_item *item)
{
    if (item == NULL)
        return;
    gw_arena_deinit(&item->arena);
    gw_free(item);
}

const struct gw_fake_attribute *gw_fake_item_get(const struct gw_fake_item *item,
                                                 struct gw_slice name)
{
    for (size_t i = 0; item && i < item->count; i++)
        if (gw_slice_eq(item->attributes[i].name, name))
            return &item->attributes[i];
    return NULL;
}

void gw_fake_item_add(const struct gw_fake_item *item, struct gw_buf *out)
{
    gw_buf_addc(out, '{');
    for (size_t i = 0; i < item->count; i++) {
        const struct gw_fake_attribute *a = &item->attributes[i];
        gw_buf_addf(out, "%s\"%.*s\":", i > 0 ? "," : "", GW_SLICE_ARG(a->name));
        gw_buf_adds(out, a->value);
    }
    gw_buf_addc(out, '}');
}

size_t gw_fake_attribute_bytes(const struct gw_fake_attribute *a)
{
    size_t value = a->type == 'N'   ? a->text.len / 2 + 1
                   : a->type == 'B' ? a->text.len / 4 * 3 + (a->text.ptr ? 0 : 1)
                   : a->text.ptr    ? a->text.len
                                    : a->value.len;
    return a->name.len + value;
}

size_t gw_fake_item_bytes(const struct gw_fake_item *item)
{
    size_t bytes = 0;

    for (size_t i = 0; item && i < item->count; i++)
        bytes += gw_fake_attribute_bytes(&item->attributes[i]);
    return bytes;
}

/* ── Expressions ───────────────────────────────────────────────────────────────────────────── */

struct reader {
    struct gw_slice rest;
    yyjson_val *names, *values;
};

static struct reader reader_of(struct gw_slice expression, yyjson_val *part)
{
    return (struct reader){expression, yyjson_obj_get(part, "ExpressionAttributeNames"),
                           yyjson_obj_get(part, "ExpressionAttributeValues")};
}

/* Words, between spaces, commas and brackets; a comma is a word of its own. */
static struct gw_slice next_word(struct reader *r)
{
    while (r->rest.len > 0 && strchr(" ()", *r->rest.ptr))
        r->rest = gw_slice_skip(r->rest, 1);
    size_t len = 0;
    while (len < r->rest.len && !strchr(" (),", r->rest.ptr[len]))
        len++;
    if (len == 0 && r->rest.len > 0)
        len = 1;
    struct gw_slice word = {r->rest.ptr, len};
    r->rest = gw_slice_skip(r->rest, len);
    return word;
}

static struct gw_slice peek_word(const struct reader *r)
{
    struct reader copy = *r;

    return next_word(&copy);
}

static struct gw_slice name_of(const struct reader *r, struct gw_slice word)
{
    yyjson_val *name = yyjson_obj_getn(r->names, word.ptr, word.len);

    if (!yyjson_is_str(name))
        return word;
    return (struct gw_slice){yyjson_get_str(name), yyjson_get_len(name)};
}

/* What a word stands for; type 0 = there is none. */
static struct gw_fake_attribute operand(const struct reader *r, struct gw_slice word,
                                        const struct gw_fake_item *item)
{
    struct gw_fake_attribute out = {0};

    if (gw_slice_starts(word, GW_SLICE(":"))) {
        yyjson_obj_iter iter = yyjson_obj_iter_with(yyjson_obj_getn(r->values, word.ptr, word.len));
        yyjson_val *type = yyjson_obj_iter_next(&iter), *inner = yyjson_obj_iter_get_val(type);
        if (type)
            out.type = *yyjson_get_str(type);
        if (yyjson_is_str(inner))
            out.text = (struct gw_slice){yyjson_get_str(inner), yyjson_get_len(inner)};
        return out;
    }
    const struct gw_fake_attribute *found = gw_fake_item_get(item, name_of(r, word));
    return found ? *found : out;
}

static long long number_of(const struct gw_fake_attribute *a)
{
    char text[32] = "";

    snprintf(text, sizeof(text), "%.*s", GW_SLICE_ARG(a->text));
    return strtoll(text, NULL, 10);
}

static int compare(const struct gw_fake_attribute *a, const struct gw_fake_attribute *b)
{
    if (a->type == 'N') {
        long long x = number_of(a), y = number_of(b);
        return (x > y) - (x < y);
    }
    size_t shorter = a->text.len < b->text.len ? a->text.len : b->text.len;
    int order = shorter > 0 ? memcmp(a->text.ptr, b->text.ptr, shorter) : 0;
    return order ? order : (a->text.len > b->text.len) - (a->text.len < b->text.len);
}

static bool holds(const struct gw_fake_attribute *a, struct gw_slice op,
                  const struct gw_fake_attribute *b)
{
    if (a->type == 0 || a->type != b->type)
        return gw_slice_is(op, "<>");
    int order = compare(a, b);
    return gw_slice_is(op, "=")    ? order == 0
           : gw_slice_is(op, "<>") ? order != 0
           : gw_slice_is(op, "<")  ? order < 0
           : gw_slice_is(op, "<=") ? order <= 0
           : gw_slice_is(op, ">")  ? order > 0
                                   : order >= 0;
}

static bool next_term(struct reader *r, const struct gw_fake_item *item)
{
    struct gw_slice word = next_word(r);

    if (gw_slice_is(word, "attribute_exists"))
        return operand(r, next_word(r), item).type != 0;
    if (gw_slice_is(word, "attribute_not_exists"))
        return operand(r, next_word(r), item).type == 0;
    bool is_prefix = gw_slice_is(word, "begins_with");
    struct gw_fake_attribute a = operand(r, is_prefix ? next_word(r) : word, item);
    struct gw_slice op = next_word(r); /* a comma, of a function */
    struct gw_fake_attribute b = operand(r, next_word(r), item);
    return is_prefix ? a.type && gw_slice_starts(a.text, b.text) : holds(&a, op, &b);
}

bool gw_fake_is_true(struct gw_slice expression, yyjson_val *part, const struct gw_fake_item *item)
{
    struct reader r = reader_of(expression, part);

    if (expression.len == 0)
        return true;
    bool is_true = next_term(&r, item);
    for (;;) {
        struct gw_slice joint = next_word(&r);
        if (joint.len == 0)
            return is_true;
        bool other = next_term(&r, item);
        is_true = gw_slice_is(joint, "OR") ? is_true || other : is_true && other;
    }
}

/* ── Updates ───────────────────────────────────────────────────────────────────────────────── */

static void set_number(struct gw_fake_item *item, struct gw_slice name, long long number)
{
    char json[48];
    int len = snprintf(json, sizeof(json), "{\"N\":\"%lld\"}", number);
    yyjson_doc *doc = yyjson_read(json, (size_t)len, 0);

    set(item, name, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
}

static void remove_attribute(struct gw_fake_item *item, struct gw_slice name)
{
    const struct gw_fake_attribute *found = gw_fake_item_get(item, name);

    if (found)
        item->attributes[found - item->attributes] = item->attributes[--item->count];
}

/* "#a = :v" or "#a = #b + :v" */
static void set_one(struct reader *r, struct gw_slice name, struct gw_fake_item *item)
{
    next_word(r);
    struct gw_slice from = next_word(r);
    struct gw_fake_attribute value = operand(r, from, item);

    if (gw_slice_is(peek_word(r), "+")) {
        next_word(r);
        struct gw_fake_attribute more = operand(r, next_word(r), item);
        set_number(item, name, number_of(&value) + number_of(&more));
    } else {
        set(item, name, yyjson_obj_getn(r->values, from.ptr, from.len));
    }
}

void gw_fake_update(struct gw_slice expression, yyjson_val *part, struct gw_fake_item *item)
{
    struct reader r = reader_of(expression, part);
    struct gw_slice word, verb = {0};

    while ((word = next_word(&r)).len > 0) {
        if (gw_slice_is(word, "SET") || gw_slice_is(word, "ADD") || gw_slice_is(word, "REMOVE")) {
            verb = word;
        } else if (gw_slice_is(verb, "REMOVE") && !gw_slice_is(word, ",")) {
            remove_attribute(item, name_of(&r, word));
        } else if (gw_slice_is(verb, "SET") && !gw_slice_is(word, ",")) {
            set_one(&r, name_of(&r, word), item);
        } else if (gw_slice_is(verb, "ADD") && !gw_slice_is(word, ",")) {
            struct gw_fake_attribute was = operand(&r, word, item);
            struct gw_fake_attribute more = operand(&r, next_word(&r), item);
            set_number(item, name_of(&r, word), number_of(&was) + number_of(&more));
        }
    }
}
