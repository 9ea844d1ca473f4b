/* variant.c: bodies written anew, as common software does it. Pure; owns its table of ways.
 *
 * Numbers keep their digits, but for amounts: what else was lost in them cannot be guessed. JSON
 * deeper than GW_TEXT_DEPTH_MAX is left alone. */
#include "cli/variant.h"

#include "base/alloc.h"
#include "cli/text.h"

#include <stdlib.h>
#include <yyjson.h>

#define MEMBERS_MAX 4096

struct style {
    const char *comma, *colon;
    bool escapes_unicode, escapes_slashes, sorts_keys;
    bool two_decimals; /* 1.5 is 1.50: amounts */
};

/* ── Writing ───────────────────────────────────────────────────────────────────────────────── */

static void add_unit(struct gw_buf *out, uint32_t unit)
{
    gw_buf_addf(out, "\\u%04x", unit);
}

/* A character beyond ASCII as \u escapes; returns its bytes. */
static size_t add_escaped(struct gw_buf *out, const unsigned char *s)
{
    size_t len = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    uint32_t c = s[0] & (0xFFu >> (len + 1));

    for (size_t i = 1; i < len; i++)
        c = c << 6 | (s[i] & 0x3F);
    if (c >= 0x10000) {
        add_unit(out, 0xD800 + ((c - 0x10000) >> 10));
        add_unit(out, 0xDC00 + ((c - 0x10000) & 0x3FF));
    } else {
        add_unit(out, c);
    }
    return len;
}

static void add_string(struct gw_buf *out, yyjson_val *value, const struct style *style)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const unsigned char *s = (const unsigned char *)yyjson_get_str(value);
    size_t len = yyjson_get_len(value);

    gw_buf_addc(out, '"');
    for (size_t i = 0; i < len;) {
        const char *special = s[i] ? strchr(plain, s[i]) : NULL;
        if (s[i] >= 0x80 && style->escapes_unicode) {
            i += add_escaped(out, s + i);
            continue;
        }
        if (special)
            gw_buf_addf(out, "\\%c", letters[special - plain]);
        else if (s[i] < 0x20)
            add_unit(out, s[i]);
        else if (s[i] == '/' && style->escapes_slashes)
            gw_buf_adds(out, GW_SLICE("\\/"));
        else
            gw_buf_addc(out, (char)s[i]);
        i++;
    }
    gw_buf_addc(out, '"');
}

static void add_number(struct gw_buf *out, struct gw_slice digits, const struct style *style)
{
    gw_buf_adds(out, digits);
    if (style->two_decimals && digits.len >= 3 && digits.ptr[digits.len - 2] == '.')
        gw_buf_addc(out, '0');
}

static bool add_value(struct gw_buf *out, yyjson_val *value, const struct style *style,
                      size_t depth);

static int compare_keys(const void *a, const void *b)
{
    yyjson_val *const *one = a, *const *other = b;

    return strcmp(yyjson_get_str(*one), yyjson_get_str(*other));
}

static bool add_object(struct gw_buf *out, yyjson_val *object, const struct style *style,
                       size_t depth)
{
    size_t count = yyjson_obj_size(object), i, max;
    yyjson_val *key, *value;
    bool is_good = true;

    if (count > MEMBERS_MAX)
        return false;
    yyjson_val **keys = gw_alloc((count + 1) * sizeof(*keys));
    yyjson_obj_foreach(object, i, max, key, value)
    {
        keys[i] = key;
    }
    if (style->sorts_keys)
        qsort(keys, count, sizeof(*keys), compare_keys);
    gw_buf_addc(out, '{');
    for (i = 0; i < count && is_good; i++) {
        if (i > 0)
            gw_buf_adds(out, gw_slice_from(style->comma));
        add_string(out, keys[i], style);
        gw_buf_adds(out, gw_slice_from(style->colon));
        is_good = add_value(out, yyjson_obj_iter_get_val(keys[i]), style, depth + 1);
    }
    gw_buf_addc(out, '}');
    gw_free(keys);
    return is_good;
}

static bool add_array(struct gw_buf *out, yyjson_val *array, const struct style *style,
                      size_t depth)
{
    yyjson_val *value;
    size_t i, max;

    gw_buf_addc(out, '[');
    yyjson_arr_foreach(array, i, max, value)
    {
        if (i > 0)
            gw_buf_adds(out, gw_slice_from(style->comma));
        if (!add_value(out, value, style, depth + 1))
            return false;
    }
    gw_buf_addc(out, ']');
    return true;
}

static bool add_value(struct gw_buf *out, yyjson_val *value, const struct style *style,
                      size_t depth)
{
    if (depth > GW_TEXT_DEPTH_MAX)
        return false;
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_OBJ: return add_object(out, value, style, depth);
    case YYJSON_TYPE_ARR: return add_array(out, value, style, depth);
    case YYJSON_TYPE_STR: add_string(out, value, style); return true;
    case YYJSON_TYPE_RAW:
        add_number(out, (struct gw_slice){yyjson_get_raw(value), yyjson_get_len(value)}, style);
        return true;
    case YYJSON_TYPE_BOOL:
        gw_buf_adds(out, yyjson_get_bool(value) ? GW_SLICE("true") : GW_SLICE("false"));
        return true;
    default: gw_buf_adds(out, GW_SLICE("null")); return true;
    }
}

static bool write_anew(struct gw_slice body, const struct style *style, struct gw_buf *out)
{
    yyjson_doc *doc = yyjson_read(body.ptr, body.len, YYJSON_READ_NUMBER_AS_RAW);

    bool is_good = doc != NULL && add_value(out, yyjson_doc_get_root(doc), style, 0);
    yyjson_doc_free(doc);
    return is_good;
}

static bool write_pretty(struct gw_slice body, yyjson_write_flag flags, struct gw_buf *out)
{
    if (gw_text_json_depth(body) > GW_TEXT_DEPTH_MAX)
        return false;
    yyjson_doc *doc = yyjson_read(body.ptr, body.len, YYJSON_READ_NUMBER_AS_RAW);
    size_t len = 0;
    char *text = doc ? yyjson_write(doc, flags, &len) : NULL;

    if (text)
        gw_buf_add(out, text, len);
    free(text);
    yyjson_doc_free(doc);
    return text != NULL;
}

/* ── White space around and inside ─────────────────────────────────────────────────────────── */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool trim(struct gw_slice body, struct gw_buf *out)
{
    while (body.len > 0 && is_space(body.ptr[body.len - 1]))
        body.len--;
    while (body.len > 0 && is_space(body.ptr[0]))
        body = gw_slice_skip(body, 1);
    gw_buf_adds(out, body);
    return true;
}

static bool end_line(struct gw_slice body, struct gw_buf *out)
{
    gw_buf_adds(out, body);
    gw_buf_addc(out, '\n');
    return true;
}

static bool drop_returns(struct gw_slice body, struct gw_buf *out)
{
    for (size_t i = 0; i < body.len; i++)
        if (body.ptr[i] != '\r')
            gw_buf_addc(out, body.ptr[i]);
    return true;
}

static bool add_returns(struct gw_slice body, struct gw_buf *out)
{
    for (size_t i = 0; i < body.len; i++) {
        if (body.ptr[i] == '\n' && (i == 0 || body.ptr[i - 1] != '\r'))
            gw_buf_addc(out, '\r');
        gw_buf_addc(out, body.ptr[i]);
    }
    return true;
}

static bool drop_mark(struct gw_slice body, struct gw_buf *out)
{
    bool has_mark = gw_slice_starts(body, GW_SLICE("\xEF\xBB\xBF"));

    gw_buf_adds(out, has_mark ? gw_slice_skip(body, 3) : body);
    return true;
}

/* ── The ways ──────────────────────────────────────────────────────────────────────────────── */

static const struct style compact = {.comma = ",", .colon = ":"};
static const struct style compact_ascii = {.comma = ",", .colon = ":", .escapes_unicode = true};
static const struct style php = {
    .comma = ",", .colon = ":", .escapes_unicode = true, .escapes_slashes = true};
static const struct style slashes = {.comma = ",", .colon = ":", .escapes_slashes = true};
static const struct style spaced = {.comma = ", ", .colon = ": "};
static const struct style spaced_ascii = {.comma = ", ", .colon = ": ", .escapes_unicode = true};
static const struct style amounts = {.comma = ",", .colon = ":", .two_decimals = true};
static const struct style amounts_spaced = {.comma = ", ", .colon = ": ", .two_decimals = true};
static const struct style sorted = {.comma = ",", .colon = ":", .sorts_keys = true};

static const struct {
    const char *done;
    bool (*make)(struct gw_slice body, struct gw_buf *out);
    const struct style *style;
    yyjson_write_flag pretty;
} ways[] = {
    {"white space at its ends was added", trim, NULL, 0},
    {"the line feed at its end was taken away", end_line, NULL, 0},
    {"line feeds were changed to CR LF", drop_returns, NULL, 0},
    {"CR LF was changed to line feeds", add_returns, NULL, 0},
    {"a byte order mark was put before it", drop_mark, NULL, 0},
    {"white space inside it was changed", NULL, &compact, 0},
    {"white space inside it was changed", NULL, &spaced, 0},
    {"white space inside it was changed", NULL, NULL, YYJSON_WRITE_PRETTY_TWO_SPACES},
    {"white space inside it was changed", NULL, NULL, YYJSON_WRITE_PRETTY},
    {"white space or \\u escapes were changed", NULL, &compact_ascii, 0},
    {"white space or \\u escapes were changed", NULL, &spaced_ascii, 0},
    {"escapes of slashes were changed", NULL, &slashes, 0},
    {"escapes of slashes or \\u escapes were changed", NULL, &php, 0},
    {"white space, or the digits of numbers (1.50 is 1.5 now), were changed", NULL, &amounts, 0},
    {"white space, or the digits of numbers (1.50 is 1.5 now), were changed", NULL, &amounts_spaced,
     0},
    {"the order of its keys was changed", NULL, &sorted, 0},
};

const char *gw_variant_make(size_t n, struct gw_slice body, struct gw_buf *out)
{
    bool is_made;

    gw_buf_clear(out);
    if (n >= gw_count(ways))
        return NULL;
    if (ways[n].make)
        is_made = ways[n].make(body, out);
    else if (ways[n].style)
        is_made = write_anew(body, ways[n].style, out);
    else
        is_made = write_pretty(body, ways[n].pretty, out);
    if (!is_made) {
        gw_buf_clear(out);
        gw_buf_adds(out, body);
    }
    return ways[n].done;
}
