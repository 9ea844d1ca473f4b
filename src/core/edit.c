/* edit.c: cuts members out of JSON text without touching any other byte. Pure.
 *
 * A small scanner, not a parser: the text is known to be valid, so only strings, brackets and what
 * separates members need be told apart. Values that no path leads into are stepped over iteratively,
 * whatever their nesting; the walk itself goes as deep as an event may be nested. Text that turns
 * out not to be valid after all is a bug of the caller, and asserts.
 *
 * Of a removed member goes: the white space before its name, name to value, and one comma: the one
 * after it, or, when none follows, the one before it. The white space behind its value stays, and so
 * comes to stand before the next member, with which it goes if that is removed later, or before the
 * end. That is the one place where the order of removals shows. They happen as if one path were
 * applied after the other, and each path from the front to the back; see `struct spaces`. */
#include "core/edit.h"

#include "base/alloc.h"
#include "base/check.h"
#include "core/event.h"
#include "core/strict.h"

struct scanner {
    const char *at, *end;
};

static char peek(const struct scanner *in)
{
    gw_check(in->at < in->end);
    return *in->at;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct scanner *in)
{
    while (in->at < in->end && is_space(*in->at))
        in->at++;
}

/* What a scan may not run over unseen: STRING inside strings, STRUCTURE outside. */
enum { STRING = 1, STRUCTURE = 2 };
static const unsigned char stops[256] = {
    ['"'] = STRING | STRUCTURE, ['\\'] = STRING,   ['{'] = STRUCTURE,
    ['}'] = STRUCTURE,          ['['] = STRUCTURE, [']'] = STRUCTURE,
};

/* Runs to the next byte of that kind. */
static char run_to(struct scanner *in, unsigned char kind)
{
    const char *at = in->at, *end = in->end;

    while (at < end && !(stops[(unsigned char)*at] & kind))
        at++;
    in->at = at;
    return peek(in);
}

/* Steps over a string; returns what is between the quotes. */
static struct gw_slice skip_string(struct scanner *in)
{
    gw_check(peek(in) == '"');
    const char *start = ++in->at;
    while (run_to(in, STRING) == '\\') {
        in->at++;
        peek(in);
        in->at++;
    }
    return (struct gw_slice){start, (size_t)(in->at++ - start)};
}

static void skip_container(struct scanner *in)
{
    size_t depth = 0;

    do {
        char c = run_to(in, STRUCTURE);
        if (c == '"') {
            skip_string(in);
            continue;
        }
        depth += c == '{' || c == '[' ? 1 : (size_t)-1;
        in->at++;
    } while (depth > 0);
}

static void skip_value(struct scanner *in)
{
    switch (peek(in)) {
    case '"': skip_string(in); return;
    case '{':
    case '[': skip_container(in); return;
    default: break;
    }
    /* A number or a literal ends where something else begins. */
    while (in->at < in->end && !is_space(*in->at) && *in->at != ',' && *in->at != '}' &&
           *in->at != ']')
        in->at++;
}

/* ── Names ─────────────────────────────────────────────────────────────────────────────────── */

static uint32_t hex4(const char *digits)
{
    uint32_t value = 0;

    for (int i = 0; i < 4; i++) {
        char c = digits[i];
        uint32_t digit = c <= '9' ? (uint32_t)(c - '0') : (uint32_t)((c | 0x20) - 'a' + 10);
        value = value << 4 | digit;
    }
    return value;
}

static size_t utf8_put(char out[4], uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)((0xF00 >> len & 0xF0) | code);
    return len;
}

/* Decodes the escape at the start of `raw` (behind its backslash); returns how long it was. */
static size_t unescape(struct gw_slice raw, char out[4], size_t *len)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

    gw_check(raw.len > 0);
    if (raw.ptr[0] != 'u') {
        const char *found = strchr(from, raw.ptr[0]);
        gw_check(found != NULL && *found != '\0');
        out[0] = to[found - from];
        *len = 1;
        return 1;
    }
    gw_check(raw.len >= 5);
    uint32_t code = hex4(raw.ptr + 1);
    size_t used = 5;
    if (code >= 0xD800 && code < 0xDC00) {
        gw_check(raw.len >= 11);
        code = 0x10000 + ((code - 0xD800) << 10) + (hex4(raw.ptr + 7) - 0xDC00);
        used = 11;
    }
    *len = utf8_put(out, code);
    return used;
}

/* Does `raw`, as written between its quotes, spell `name`? */
static bool name_is(struct gw_slice raw, struct gw_slice name)
{
    if (raw.len == 0 || memchr(raw.ptr, '\\', raw.len) == NULL)
        return gw_slice_eq(raw, name);
    while (raw.len > 0) {
        char decoded[4] = {raw.ptr[0]};
        size_t len = 1, used = 1;
        if (raw.ptr[0] == '\\')
            used += unescape(gw_slice_skip(raw, 1), decoded, &len);
        if (!gw_slice_starts(name, (struct gw_slice){decoded, len}))
            return false;
        name = gw_slice_skip(name, len);
        raw = gw_slice_skip(raw, used);
    }
    return name.len == 0;
}

/* ── The copy ──────────────────────────────────────────────────────────────────────────────── */

/* Takes stretches of the source, in order. What follows on what was taken last only lengthens it, so
 * that nothing is copied before something has been left out. */
struct output {
    char *ptr; /* NULL: no copy yet */
    size_t len;
    struct gw_slice stretch; /* taken and not copied yet */
    size_t bytes_max;
    struct gw_arena *arena;
};

static void flush(struct output *out)
{
    if (out->ptr == NULL)
        out->ptr = gw_arena_alloc(out->arena, out->bytes_max);
    memcpy(out->ptr + out->len, out->stretch.ptr, out->stretch.len);
    out->len += out->stretch.len;
}

static void take(struct output *out, const char *from, const char *to)
{
    if (from == to)
        return;
    if (from == out->stretch.ptr + out->stretch.len) {
        out->stretch.len += (size_t)(to - from);
        return;
    }
    flush(out);
    out->stretch = (struct gw_slice){from, (size_t)(to - from)};
}

/* ── Spaces ────────────────────────────────────────────────────────────────────────────────── */

/* White space that removed members of one object have left behind, front to back, since the last
 * member that stays. A removal takes with it what others left before its member if they came
 * earlier: paths of the same or a lower number. So the numbers here only fall. */
struct spaces {
    struct {
        struct gw_slice text;
        size_t path;
    } left[GW_EDIT_PATHS_MAX + 1];
    size_t count;
};

static void spaces_leave(struct spaces *spaces, struct gw_slice text, size_t path)
{
    while (spaces->count > 0 && spaces->left[spaces->count - 1].path <= path)
        spaces->count--;
    spaces->left[spaces->count].text = text;
    spaces->left[spaces->count++].path = path;
}

static void spaces_take(struct spaces *spaces, struct output *out)
{
    for (size_t i = 0; i < spaces->count; i++) {
        struct gw_slice text = spaces->left[i].text;
        take(out, text.ptr, text.ptr + text.len);
    }
    spaces->count = 0;
}

/* ── The walk ──────────────────────────────────────────────────────────────────────────────── */

#define NO_PATH SIZE_MAX

/* The paths whose first `depth` steps lead to here. */
struct here {
    const struct gw_edit_path *paths;
    unsigned char active[GW_EDIT_PATHS_MAX + 1];
    size_t count;
    size_t depth;
};

/* The first path that ends at the member of that name, or NO_PATH; *below are those that go on. */
static size_t step(const struct here *here, struct gw_slice name, struct here *below)
{
    size_t ends = NO_PATH;

    below->paths = here->paths;
    below->depth = here->depth + 1;
    below->count = 0;
    for (size_t i = 0; i < here->count; i++) {
        const struct gw_edit_path *path = &here->paths[here->active[i]];
        if (!name_is(name, path->steps[here->depth]))
            continue;
        if (path->step_count > below->depth)
            below->active[below->count++] = here->active[i];
        else if (ends == NO_PATH)
            ends = here->active[i];
    }
    return ends;
}

static void walk_value(struct scanner *in, struct output *out, const struct here *here,
                       unsigned levels);

/* The scanner stands behind the member's colon; what is before is taken. */
static void walk_member(struct scanner *in, struct output *out, const struct here *here,
                        unsigned levels)
{
    const char *from = in->at;

    skip_space(in);
    if (here->count == 0) {
        skip_value(in);
    } else {
        take(out, from, in->at);
        walk_value(in, out, here, levels);
        from = in->at;
    }
    skip_space(in);
    take(out, from, in->at);
}

static struct gw_slice member_name(struct scanner *in)
{
    skip_space(in);
    struct gw_slice name = skip_string(in);
    skip_space(in);
    gw_check(peek(in) == ':');
    in->at++;
    return name;
}

/* A comma is taken before each member that stays, but for the first: the one last seen. */
static void walk_object(struct scanner *in, struct output *out, const struct here *here,
                        unsigned levels)
{
    struct spaces spaces = {.count = 0};
    struct here below;
    bool is_first = true;
    const char *from = in->at + 1; /* behind the mark before the member */

    take(out, in->at, from);
    in->at = from;
    skip_space(in);
    if (peek(in) == '}')
        take(out, from, in->at);
    while (peek(in) != '}') {
        size_t ends = step(here, member_name(in), &below);
        if (ends == NO_PATH) {
            if (!is_first)
                take(out, from - 1, from);
            is_first = false;
            spaces_take(&spaces, out);
            take(out, from, in->at);
            walk_member(in, out, &below, levels - 1);
        } else {
            skip_space(in);
            skip_value(in);
            const char *behind = in->at;
            skip_space(in);
            spaces_leave(&spaces, (struct gw_slice){behind, (size_t)(in->at - behind)}, ends);
        }
        gw_check(peek(in) == ',' || *in->at == '}');
        if (*in->at == ',')
            from = ++in->at;
    }
    spaces_take(&spaces, out);
    take(out, in->at, in->at + 1);
    in->at++;
}

static void walk_array(struct scanner *in, struct output *out, const struct here *here,
                       unsigned levels)
{
    const char *from = in->at++;

    skip_space(in);
    while (peek(in) != ']') {
        take(out, from, in->at);
        walk_value(in, out, here, levels - 1);
        from = in->at;
        skip_space(in);
        gw_check(peek(in) == ',' || *in->at == ']');
        if (*in->at == ',')
            in->at++;
        skip_space(in);
    }
    take(out, from, ++in->at);
}

/* `levels`: how deep arrays and objects may nest from here on. */
static void walk_value(struct scanner *in, struct output *out, const struct here *here,
                       unsigned levels)
{
    const char *from = in->at;
    char c = peek(in);

    gw_check(levels > 0 || (c != '{' && c != '['));
    if (c == '{') {
        walk_object(in, out, here, levels);
    } else if (c == '[') {
        walk_array(in, out, here, levels);
    } else {
        skip_value(in);
        take(out, from, in->at);
    }
}

struct gw_slice gw_edit_remove(struct gw_slice json, const struct gw_edit_path *paths, size_t count,
                               struct gw_arena *arena)
{
    struct scanner in = {json.ptr, json.ptr + json.len};
    struct output out = {.stretch = {json.ptr, 0}, .bytes_max = json.len, .arena = arena};
    struct here here = {.paths = paths, .count = count};

    gw_check(count <= gw_count(here.active));
    if (count == 0)
        return json;
    for (size_t i = 0; i < count; i++)
        here.active[i] = (unsigned char)i;
    skip_space(&in);
    take(&out, json.ptr, in.at);
    walk_value(&in, &out, &here, GW_EVENT_DEPTH_MAX);
    take(&out, in.at, in.end);
    if (out.stretch.len == json.len)
        return json;
    flush(&out);
    return (struct gw_slice){out.ptr, out.len};
}

/* ── Paths ─────────────────────────────────────────────────────────────────────────────────── */

static const struct gw_slice app_id_steps[] = {{"appId", 5}};
const struct gw_edit_path gw_edit_app_id = {{"appId", 5}, app_id_steps, 1};

/* "~1" is a slash, "~0" a tilde; in place. False: another tilde. */
static bool pointer_decode(struct gw_slice *step)
{
    char *out = (char *)(uintptr_t)step->ptr;
    size_t len = 0;

    for (size_t i = 0; i < step->len; i++) {
        char c = step->ptr[i];
        if (c == '~') {
            char next = ++i < step->len ? step->ptr[i] : '\0';
            if (next != '0' && next != '1')
                return false;
            c = next == '0' ? '~' : '/';
        }
        out[len++] = c;
    }
    step->len = len;
    return true;
}

static enum gw_err refuse(const char *field, const char *what, struct gw_slice text,
                          struct gw_error *error)
{
    return gw_error_set(error, GW_ERR_INVALID, "%s: must be %s, was \"%s\"", field, what,
                        gw_strict_shown(text).text);
}

enum gw_err gw_edit_path_parse(struct gw_edit_path *path, const char *field, struct gw_slice text,
                               struct gw_arena *arena, struct gw_error *error)
{
    bool is_pointer = gw_slice_starts(text, GW_SLICE("/"));
    struct gw_slice steps[GW_EDIT_STEPS_MAX], rest, part;
    size_t count = 0;

    if (text.len == 0 || text.len > GW_EDIT_PATH_BYTES_MAX)
        return gw_error_set(error, GW_ERR_INVALID, "%s: must be a path of 1 to %d bytes, was %zu",
                            field, GW_EDIT_PATH_BYTES_MAX, text.len);
    path->text = gw_arena_dup(arena, text);
    rest = gw_arena_dup(arena, gw_slice_skip(text, is_pointer));
    while (gw_slice_split(&rest, is_pointer ? '/' : '.', &part)) {
        if (count == GW_EDIT_STEPS_MAX)
            return refuse(field, "a path of at most 16 steps", text, error);
        if (is_pointer && !pointer_decode(&part))
            return refuse(field, "a JSON Pointer, in which a tilde is ~0 and a slash ~1", text,
                          error);
        if (!is_pointer && part.len == 0)
            return refuse(field, "names with one dot between them, or a JSON Pointer", text, error);
        steps[count++] = part;
    }
    struct gw_slice *kept = gw_arena_alloc(arena, count * sizeof(*kept));
    memcpy(kept, steps, count * sizeof(*kept));
    path->steps = kept;
    path->step_count = count;
    return GW_OK;
}
