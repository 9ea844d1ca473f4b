/* text.c: measuring, cutting, wrapping and cleaning text for a terminal. Pure; owns nothing.
 *
 * Widths follow what terminals do in practice, by a short table of ranges: exact for what occurs in
 * ids, URLs and names, near enough for the rest. Malformed bytes count one column each. */
#include "cli/text.h"

#include "base/alloc.h"

#define REPLACEMENT  "\xEF\xBF\xBD"
#define ELLIPSIS     "…"
#define DISTANCE_MAX 64 /* characters of a name */

/* ── Width ─────────────────────────────────────────────────────────────────────────────────── */

struct range {
    uint32_t first, last;
};

static const struct range wide[] = {
    {0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},   {0xAC00, 0xD7A3},
    {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},
    {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1FAFF}, {0x20000, 0x3FFFD},
};

static const struct range none[] = {
    {0x0300, 0x036F}, {0x200B, 0x200F}, {0x202A, 0x202E}, {0x2060, 0x2064},
    {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF},
};

static bool is_in(uint32_t c, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

/* Takes one character off the front; its code, or UINT32_MAX for a malformed byte. */
static uint32_t take(struct gw_slice *text, struct gw_slice *bytes)
{
    static const unsigned char masks[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    size_t step = gw_slice_utf8_step(*text);
    uint32_t c = UINT32_MAX;

    if (step > 0) {
        c = (unsigned char)text->ptr[0] & masks[step];
        for (size_t i = 1; i < step; i++)
            c = c << 6 | ((unsigned char)text->ptr[i] & 0x3F);
    } else {
        step = 1;
    }
    *bytes = (struct gw_slice){text->ptr, step};
    *text = gw_slice_skip(*text, step);
    return c;
}

static size_t width_of(uint32_t c)
{
    if (is_in(c, none, gw_count(none)))
        return 0;
    return is_in(c, wide, gw_count(wide)) ? 2 : 1;
}

size_t gw_text_width(struct gw_slice text)
{
    struct gw_slice bytes;
    size_t width = 0;

    while (text.len > 0)
        width += width_of(take(&text, &bytes));
    return width;
}

/* ── Adding ────────────────────────────────────────────────────────────────────────────────── */

static bool is_control(uint32_t c)
{
    /* C0, DEL, C1; and what reverses the direction of writing */
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069) || c == UINT32_MAX;
}

void gw_text_add_clean(struct gw_buf *out, struct gw_slice text, bool lines)
{
    struct gw_slice bytes;

    while (text.len > 0) {
        uint32_t c = take(&text, &bytes);
        if (!is_control(c) || (lines && (c == '\n' || c == '\t')))
            gw_buf_adds(out, bytes);
        else
            gw_buf_adds(out, GW_SLICE(REPLACEMENT));
    }
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void gw_text_add_flat(struct gw_buf *out, struct gw_slice text)
{
    bool is_first = true;

    for (size_t i = 0; i < text.len;) {
        size_t start = i;
        while (i < text.len && !is_white(text.ptr[i]))
            i++;
        if (i > start) {
            if (!is_first)
                gw_buf_addc(out, ' ');
            gw_text_add_clean(out, (struct gw_slice){text.ptr + start, i - start}, false);
            is_first = false;
        }
        while (i < text.len && is_white(text.ptr[i]))
            i++;
    }
}

void gw_text_add_cut(struct gw_buf *out, struct gw_slice text, size_t width)
{
    struct gw_slice bytes;
    size_t used = 0;

    if (gw_text_width(text) <= width) {
        gw_buf_adds(out, text);
        return;
    }
    while (text.len > 0 && width > 0) {
        size_t w = width_of(take(&text, &bytes));
        if (used + w > width - 1)
            break;
        gw_buf_adds(out, bytes);
        used += w;
    }
    if (width > 0)
        gw_buf_adds(out, GW_SLICE(ELLIPSIS));
}

void gw_text_add_spaces(struct gw_buf *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        gw_buf_addc(out, ' ');
}

/* As many bytes as fit, up to the last space among them when there is one. */
static size_t line_end(struct gw_slice text, size_t width)
{
    struct gw_slice rest = text, bytes;
    size_t used = 0, space = 0;

    while (rest.len > 0) {
        size_t at = text.len - rest.len;
        size_t w = width_of(take(&rest, &bytes));
        if (used + w > width && at > 0)
            return bytes.ptr[0] == ' ' || space == 0 ? at : space;
        if (bytes.ptr[0] == ' ')
            space = at;
        used += w;
    }
    return text.len;
}

void gw_text_add_wrapped(struct gw_buf *out, struct gw_slice text, size_t width, size_t indent)
{
    for (bool is_first = true; text.len > 0; is_first = false) {
        size_t end = line_end(text, width);
        if (!is_first) {
            gw_buf_addc(out, '\n');
            gw_text_add_spaces(out, indent);
        }
        gw_buf_add(out, text.ptr, end);
        text = gw_slice_skip(text, end);
        while (text.len > 0 && text.ptr[0] == ' ')
            text = gw_slice_skip(text, 1);
    }
}

void gw_text_add_span(struct gw_buf *out, int64_t ms)
{
    int64_t s = ms < 0 ? 0 : ms / 1000;

    if (s < 60)
        gw_buf_addf(out, "%llds", (long long)s);
    else if (s < 3600)
        gw_buf_addf(out, "%lldm", (long long)(s / 60));
    else if (s < 48 * 3600)
        gw_buf_addf(out, "%lldh", (long long)(s / 3600));
    else
        gw_buf_addf(out, "%lldd", (long long)(s / 86400));
}

size_t gw_text_json_depth(struct gw_slice json)
{
    size_t depth = 0, deepest = 0;
    bool is_string = false;

    for (size_t i = 0; i < json.len; i++) {
        char c = json.ptr[i];
        if (c == '"')
            is_string = !is_string;
        else if (is_string && c == '\\')
            i++;
        else if (!is_string && (c == '[' || c == '{') && ++depth > deepest)
            deepest = depth;
        else if (!is_string && (c == ']' || c == '}') && depth > 0)
            depth--;
    }
    return deepest;
}

/* ── What was meant ────────────────────────────────────────────────────────────────────────── */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Damerau and Levenshtein's, by rows; two letters swapped count once. */
size_t gw_text_distance(struct gw_slice a, struct gw_slice b)
{
    size_t rows[3][DISTANCE_MAX + 1] = {{0}};
    size_t *before = rows[0], *last = rows[1], *now = rows[2];

    if (a.len > DISTANCE_MAX || b.len > DISTANCE_MAX)
        return a.len > b.len ? a.len : b.len;
    for (size_t k = 0; k <= b.len; k++)
        last[k] = k;
    for (size_t i = 1; i <= a.len; i++) {
        now[0] = i;
        for (size_t k = 1; k <= b.len; k++) {
            bool is_same = a.ptr[i - 1] == b.ptr[k - 1];
            now[k] = least(least(last[k] + 1, now[k - 1] + 1), last[k - 1] + (is_same ? 0 : 1));
            if (i > 1 && k > 1 && a.ptr[i - 1] == b.ptr[k - 2] && a.ptr[i - 2] == b.ptr[k - 1])
                now[k] = least(now[k], before[k - 2] + 1);
        }
        size_t *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b.len];
}

void gw_text_consider(struct gw_text_nearest *nearest, const char *name)
{
    struct gw_slice text = gw_slice_from(name);
    size_t distance = gw_text_distance(nearest->word, text);
    size_t allowed = nearest->word.len <= 3 ? 1 : nearest->word.len <= 6 ? 2 : 3;
    bool is_start = nearest->word.len >= 3 && gw_slice_starts(text, nearest->word);

    if (is_start)
        distance = 1;
    if (distance <= allowed && (nearest->best == NULL || distance < nearest->distance)) {
        nearest->best = name;
        nearest->distance = distance;
    }
}
