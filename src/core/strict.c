/* strict.c: reads JSON strictly. Owns nothing; pure. Two readers of one text that has a key twice may
 * take it for two different things, so nobody here reads such a text at all. */
#include "core/strict.h"

#include "base/map.h"
#include "core/event.h"

#include <stdio.h>

/* ── yyjson on an arena ────────────────────────────────────────────────────────────────────── */

static void *alc_malloc(void *ctx, size_t size)
{
    return gw_arena_alloc(ctx, size);
}

static void *alc_realloc(void *ctx, void *ptr, size_t old_size, size_t size)
{
    if (size <= old_size)
        return ptr;
    void *moved = gw_arena_alloc(ctx, size);
    memcpy(moved, ptr, old_size);
    return moved;
}

static void alc_free(void *ctx, void *ptr)
{
    (void)ctx;
    (void)ptr;
}

yyjson_alc gw_strict_alc(struct gw_arena *arena)
{
    return (yyjson_alc){alc_malloc, alc_realloc, alc_free, arena};
}

/* ── Reading ───────────────────────────────────────────────────────────────────────────────── */

static enum gw_err check_value(yyjson_val *value, size_t depth, struct gw_error *error);

static enum gw_err check_object(yyjson_val *object, size_t depth, struct gw_error *error)
{
    struct gw_map seen = {0};
    enum gw_err err = GW_OK;
    yyjson_val *key, *value;
    size_t at, max;

    if (yyjson_obj_size(object) > GW_STRICT_MEMBERS_MAX)
        return gw_error_set(error, GW_ERR_INVALID,
                            "must have at most %d members in an object, has one with %zu",
                            GW_STRICT_MEMBERS_MAX, yyjson_obj_size(object));
    yyjson_obj_foreach(object, at, max, key, value)
    {
        struct gw_slice name = gw_strict_str(key);
        if (gw_map_get(&seen, name)) {
            err = gw_error_set(error, GW_ERR_INVALID, "has the key \"%s\" twice",
                               gw_strict_shown(name).text);
            break;
        }
        gw_map_put(&seen, name, key);
        err = check_value(value, depth, error);
        if (err != GW_OK)
            break;
    }
    gw_map_deinit(&seen);
    return err;
}

/* `depth`: how many arrays and objects there are around it. */
static enum gw_err check_value(yyjson_val *value, size_t depth, struct gw_error *error)
{
    yyjson_val *element;
    size_t at, max;

    if (!yyjson_is_ctn(value))
        return GW_OK;
    if (depth >= GW_EVENT_DEPTH_MAX)
        return gw_error_set(error, GW_ERR_INVALID,
                            "must not nest arrays and objects deeper than %d", GW_EVENT_DEPTH_MAX);
    if (yyjson_is_obj(value))
        return check_object(value, depth + 1, error);
    yyjson_arr_foreach(value, at, max, element)
    {
        enum gw_err err = check_value(element, depth + 1, error);
        if (err != GW_OK)
            return err;
    }
    return GW_OK;
}

static enum gw_err read_with(yyjson_read_flag flags, struct gw_slice json, struct gw_arena *arena,
                             yyjson_val **root, struct gw_error *error)
{
    yyjson_alc alc = gw_strict_alc(arena);
    yyjson_read_err why;

    if (json.len == 0)
        return gw_error_set(error, GW_ERR_INVALID, "must be a JSON object, was empty");
    /* Without the in-place flag the text is copied, not written to. */
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)json.ptr, json.len, flags, &alc, &why);
    if (doc == NULL)
        return gw_error_set(error, GW_ERR_INVALID, "is not JSON: %s at byte %zu", why.msg,
                            why.pos + 1);
    *root = yyjson_doc_get_root(doc);
    if (!yyjson_is_obj(*root))
        return gw_error_set(error, GW_ERR_INVALID, "must be a JSON object, was %s",
                            yyjson_is_num(*root) || yyjson_is_raw(*root)
                                ? "a number"
                                : yyjson_get_type_desc(*root));
    return check_value(*root, 0, error);
}

enum gw_err gw_strict_read(struct gw_slice json, struct gw_arena *arena, yyjson_val **root,
                           struct gw_error *error)
{
    return read_with(YYJSON_READ_NOFLAG, json, arena, root, error);
}

enum gw_err gw_strict_read_raw(struct gw_slice json, struct gw_arena *arena, yyjson_val **root,
                               struct gw_error *error)
{
    return read_with(YYJSON_READ_NUMBER_AS_RAW, json, arena, root, error);
}

/* ── Numbers ───────────────────────────────────────────────────────────────────────────────── */

/* Of a number that stayed text; ptr NULL when it did not. */
static struct gw_slice raw_text(yyjson_val *value)
{
    if (!yyjson_is_raw(value))
        return (struct gw_slice){0};
    return (struct gw_slice){yyjson_get_raw(value), yyjson_get_len(value)};
}

bool gw_strict_u64(yyjson_val *value, uint64_t *out)
{
    if (yyjson_is_raw(value))
        return gw_slice_u64(raw_text(value), out);
    *out = yyjson_get_uint(value);
    return yyjson_is_uint(value);
}

bool gw_strict_i64(yyjson_val *value, int64_t *out)
{
    struct gw_slice text = raw_text(value);
    uint64_t size;

    if (yyjson_is_sint(value)) { /* below zero: yyjson counts the others as unsigned */
        *out = yyjson_get_sint(value);
        return true;
    }
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    bool is_whole =
        is_negative ? gw_slice_u64(gw_slice_skip(text, 1), &size) : gw_strict_u64(value, &size);
    if (!is_whole || size > INT64_MAX)
        return false;
    *out = is_negative ? -(int64_t)size : (int64_t)size;
    return true;
}

/* ── Error texts ───────────────────────────────────────────────────────────────────────────── */

struct gw_strict_shown gw_strict_shown(struct gw_slice text)
{
    struct gw_strict_shown shown;
    struct gw_slice cut = gw_strict_cut(text);
    size_t len = 0;

    for (size_t i = 0; i < cut.len; i++) {
        unsigned char c = (unsigned char)cut.ptr[i];
        if (c < 0x20 || c == 0x7F)
            len += (size_t)snprintf(shown.text + len, sizeof(shown.text) - len, "\\u%04x", c);
        else
            shown.text[len++] = (char)c;
    }
    shown.text[len] = '\0';
    return shown;
}
