/* event.c: reads what routing needs out of an event's JSON. Pure; the body is only looked at. The
 * tree is gone on return: what stays are the decoded fields in the caller's arena.
 *
 * Error texts say what was wrong and where, and never quote the event: names of members that are
 * not ours count as payload too. */
#include "core/event.h"

#include "base/alloc.h"
#include "base/map.h"
#include "core/tree.h"

#define PAIRWISE_MAX  32 /* more members than that are looked up in a map */
#define NAME_RULE     "must be a string of 1 to 256 printable characters"
#define OPTIONAL_RULE "must be a string of at most 256 printable characters"
#define BODY_RULE     "the event must be a JSON object"

/* ── Names ─────────────────────────────────────────────────────────────────────────────────── */

/* C0, DEL and C1. The offset of the first one, or the length. */
static size_t control_at(struct gw_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < 0x20 || c == 0x7F)
            return i;
        if (c == 0xC2 && i + 1 < s.len && (unsigned char)s.ptr[i + 1] < 0xA0)
            return i;
    }
    return s.len;
}

/* Characters of valid UTF-8: all bytes but those that continue one. */
static size_t chars_of(struct gw_slice s)
{
    size_t chars = 0;

    for (size_t i = 0; i < s.len; i++)
        chars += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
    return chars;
}

static enum gw_err name_check(const char *field, const char *rule, struct gw_slice value,
                              struct gw_error *error)
{
    size_t chars = value.len > GW_NAME_CHARS_MAX ? chars_of(value) : value.len;
    if (chars > GW_NAME_CHARS_MAX)
        return gw_error_set(error, GW_ERR_INVALID, "%s: %s, was %zu long", field, rule, chars);
    size_t control = control_at(value);
    if (control < value.len)
        return gw_error_set(error, GW_ERR_INVALID, "%s: %s, held a control character as byte %zu",
                            field, rule, control + 1);
    return GW_OK;
}

enum gw_err gw_name_check(const char *field, struct gw_slice value, struct gw_error *error)
{
    if (value.len == 0)
        return gw_error_set(error, GW_ERR_INVALID, "%s: " NAME_RULE ", was %s", field,
                            value.ptr ? "empty" : "missing");
    if (!gw_slice_is_utf8(value))
        return gw_error_set(error, GW_ERR_INVALID, "%s: " NAME_RULE ", was not UTF-8", field);
    return name_check(field, NAME_RULE, value, error);
}

/* ── The tree ──────────────────────────────────────────────────────────────────────────────── */

static enum gw_err not_json(struct gw_slice body, const yyjson_read_err *err,
                            struct gw_error *error)
{
    size_t line = 1, column = 1;

    if (err->code == YYJSON_READ_ERROR_EMPTY_CONTENT)
        return gw_error_set(error, GW_ERR_INVALID, BODY_RULE ", was empty");
    for (size_t i = 0; i < err->pos && i < body.len; i++) {
        column++;
        if (body.ptr[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return gw_error_set(error, GW_ERR_INVALID,
                        BODY_RULE ", was not JSON: %s, at line %zu, byte %zu", err->msg, line,
                        column);
}

static const char *type_name(yyjson_val *value)
{
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_NULL: return "null";
    case YYJSON_TYPE_BOOL: return "a boolean";
    case YYJSON_TYPE_RAW:
    case YYJSON_TYPE_NUM: return "a number";
    case YYJSON_TYPE_STR: return "a string";
    case YYJSON_TYPE_ARR: return "an array";
    case YYJSON_TYPE_OBJ: return "an object";
    default: return "no JSON value";
    }
}

static struct gw_slice text_of(yyjson_val *value)
{
    return (struct gw_slice){yyjson_get_str(value), yyjson_get_len(value)};
}

static struct gw_slice raw_of(yyjson_val *value) /* a number, as it was written */
{
    return (struct gw_slice){yyjson_get_raw(value), yyjson_get_len(value)};
}

/* Is `value` nested more than `levels` deep? Calls itself at most `levels` times deep. */
static bool is_deeper(yyjson_val *value, unsigned levels)
{
    size_t at, count;
    yyjson_val *key, *child;

    if (!yyjson_is_ctn(value))
        return false;
    if (levels == 0)
        return true;
    if (yyjson_is_arr(value)) {
        yyjson_arr_foreach(value, at, count, child)
        {
            if (yyjson_is_ctn(child) && is_deeper(child, levels - 1))
                return true;
        }
    } else {
        yyjson_obj_foreach(value, at, count, key, child)
        {
            if (yyjson_is_ctn(child) && is_deeper(child, levels - 1))
                return true;
        }
    }
    return false;
}

/* ── Fields ────────────────────────────────────────────────────────────────────────────────── */

struct field {
    struct gw_slice name; /* NUL behind the end */
    size_t offset;        /* of its slice in struct gw_event */
    bool is_required;
    bool is_free; /* of form: may be a number too */
};

#define FIELD(name, member, is_required, is_free)                                                  \
    {                                                                                              \
        {name, sizeof(name) - 1}, offsetof(struct gw_event, member), is_required, is_free          \
    }

static const struct field fields[] = {
    FIELD("appId", app_id, true, false),
    FIELD("eventType", event_type, true, false),
    FIELD("eventId", event_id, false, false),
    FIELD("transactionId", transaction_id, false, false),
    FIELD("workflowId", workflow_id, false, false),
    FIELD("eventTime", event_time, false, true),
};

static const struct field *field_find(struct gw_slice name)
{
    for (size_t i = 0; i < gw_count(fields); i++)
        if (gw_slice_eq(fields[i].name, name))
            return &fields[i];
    return NULL;
}

static struct gw_slice *field_slot(const struct field *field, struct gw_event *event)
{
    return (struct gw_slice *)(void *)((char *)event + field->offset);
}

static enum gw_err field_take(const struct field *field, yyjson_val *value, struct gw_event *event,
                              struct gw_arena *arena, struct gw_error *error)
{
    const char *rule = field->is_required ? NAME_RULE : OPTIONAL_RULE;
    struct gw_slice text = yyjson_is_raw(value) ? raw_of(value) : text_of(value);

    if (yyjson_is_null(value) && !field->is_required)
        return GW_OK;
    if (!yyjson_is_str(value) && !(field->is_free && yyjson_is_raw(value)))
        return gw_error_set(error, GW_ERR_INVALID, "%s: %s, was %s", field->name.ptr, rule,
                            type_name(value));
    /* An empty id would make one event of all that carry it. */
    if (text.len == 0 && !field->is_required)
        return GW_OK;
    if (text.len == 0)
        return gw_error_set(error, GW_ERR_INVALID, "%s: %s, was empty", field->name.ptr, rule);
    enum gw_err err = name_check(field->name.ptr, rule, text, error);
    if (err == GW_OK)
        *field_slot(field, event) = gw_arena_dup(arena, text);
    return err;
}

/* ── Members ───────────────────────────────────────────────────────────────────────────────── */

/* Finds members of the same name. The few of an ordinary event are compared with one another, after
 * a glance at a filter of 64 bits; many go into a map, so that nobody can buy a quadratic search
 * with one request. */
struct seen {
    struct gw_slice names[PAIRWISE_MAX];
    size_t count;
    uint64_t filter;
    struct gw_map map; /* used beyond PAIRWISE_MAX */
};

static uint64_t filter_bit(struct gw_slice name)
{
    unsigned char first = name.len ? (unsigned char)name.ptr[0] : 0;
    unsigned char last = name.len ? (unsigned char)name.ptr[name.len - 1] : 0;

    return (uint64_t)1 << ((name.len * 31 + first * 7u + last) & 63);
}

/* Was a member of that name taken in before? `key` holds the name. */
static bool seen_before(struct seen *seen, yyjson_val *key, struct gw_slice name, bool is_many)
{
    if (is_many) {
        size_t count = seen->map.count;
        gw_map_put(&seen->map, name, key);
        return seen->map.count == count;
    }
    uint64_t bit = filter_bit(name);
    if (seen->filter & bit)
        for (size_t i = 0; i < seen->count; i++)
            if (gw_slice_eq(seen->names[i], name))
                return true;
    seen->filter |= bit;
    seen->names[seen->count++] = name;
    return false;
}

/* Which member, counted from 1, is the first of that name. */
static size_t ordinal(yyjson_val *root, struct gw_slice name)
{
    size_t at, count;
    yyjson_val *key, *value;

    yyjson_obj_foreach(root, at, count, key, value)
    {
        (void)value;
        if (gw_slice_eq(text_of(key), name))
            return at + 1;
    }
    return 0;
}

static enum gw_err duplicate(yyjson_val *root, const struct field *field, size_t n,
                             struct gw_slice name, struct gw_error *error)
{
    size_t before = error ? ordinal(root, name) : 0;

    if (field)
        return gw_error_set(error, GW_ERR_INVALID,
                            "%s: must be there once, was there as members %zu and %zu",
                            field->name.ptr, before, n);
    return gw_error_set(error, GW_ERR_INVALID,
                        "duplicate key: members %zu and %zu of the event have the same name",
                        before, n);
}

/* Goes on after a fault: whoever remembers refused events wants the ids. The first one is told. */
static enum gw_err members_take(yyjson_val *root, struct gw_event *event, struct gw_arena *arena,
                                struct gw_error *error)
{
    struct seen seen;
    bool is_many = yyjson_obj_size(root) > PAIRWISE_MAX;
    enum gw_err err = GW_OK;
    size_t at, count;
    yyjson_val *key, *value;

    seen.count = 0;
    seen.filter = 0;
    seen.map = (struct gw_map){0};
    yyjson_obj_foreach(root, at, count, key, value)
    {
        struct gw_slice name = text_of(key);
        const struct field *field = field_find(name);
        enum gw_err fault = GW_OK;
        if (seen_before(&seen, key, name, is_many))
            fault = duplicate(root, field, at + 1, name, err ? NULL : error);
        else if (field)
            fault = field_take(field, value, event, arena, err ? NULL : error);
        if (err == GW_OK)
            err = fault;
    }
    gw_map_deinit(&seen.map);
    return err;
}

static enum gw_err tree_take(yyjson_val *root, struct gw_event *event, struct gw_arena *arena,
                             struct gw_error *error)
{
    if (!yyjson_is_obj(root))
        return gw_error_set(error, GW_ERR_INVALID, BODY_RULE ", was %s", type_name(root));
    enum gw_err err = members_take(root, event, arena, error);
    if (err == GW_OK && is_deeper(root, GW_EVENT_DEPTH_MAX))
        err = gw_error_set(error, GW_ERR_INVALID,
                           "the event must be nested at most %d levels deep, was deeper",
                           GW_EVENT_DEPTH_MAX);
    for (size_t i = 0; err == GW_OK && i < gw_count(fields); i++)
        if (fields[i].is_required && field_slot(&fields[i], event)->ptr == NULL)
            err = gw_error_set(error, GW_ERR_INVALID, "%s: " NAME_RULE ", was missing",
                               fields[i].name.ptr);
    return err;
}

enum gw_err gw_event_parse(struct gw_event *event, struct gw_slice body, struct gw_arena *arena,
                           struct gw_error *error)
{
    struct gw_tree tree;
    enum gw_err err;

    *event = (struct gw_event){.body = body};
    if (body.len == 0)
        return gw_error_set(error, GW_ERR_INVALID, BODY_RULE ", was empty");
    gw_tree_init(&tree, body);
    if (tree.root)
        err = tree_take(tree.root, event, arena, error);
    else
        err = not_json(body, &tree.error, error);
    gw_tree_deinit(&tree);
    return err;
}
