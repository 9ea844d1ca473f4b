/* edit.c: cuts members out of JSON text without touching any other byte. Pure.
 *
 * A small scanner, not a parser: the text is known to be valid, so only strings, brackets and what
 * separates members need be told apart. It is iterative, whatever the nesting; running off the end
 * means that the text was not valid after all, a bug of the caller, and asserts.
 *
 * Of a removed member goes: the white space before its name, name to value, and one comma: the one
 * after it, or, when none follows, the one before it. White space on the far side of that comma
 * stays. Several of one name are removed in order, as if one after the other. */
#include "core/edit.h"

#include "base/check.h"

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
    while (!is_space(peek(in)) && *in->at != ',' && *in->at != '}')
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

/* ── Members ───────────────────────────────────────────────────────────────────────────────── */

struct member {
    struct gw_slice name; /* as written, between the quotes */
    const char *start;    /* the opening quote of the name */
    const char *end;      /* behind the value */
    const char *mark;     /* the ',' or '}' that follows */
};

/* The next member; false at the object's end. The scanner stands behind '{' or a ','. */
static bool member_next(struct scanner *in, struct member *member)
{
    skip_space(in);
    if (peek(in) == '}')
        return false;
    member->start = in->at;
    member->name = skip_string(in);
    skip_space(in);
    gw_check(peek(in) == ':');
    in->at++;
    skip_space(in);
    skip_value(in);
    member->end = in->at;
    skip_space(in);
    gw_check(peek(in) == ',' || *in->at == '}');
    member->mark = in->at;
    if (*in->at == ',')
        in->at++;
    return true;
}

/* The copy that grows: whole stretches of the source are kept, its end may be taken back. */
struct output {
    char *ptr;
    size_t len;
    const char *from; /* the source up to here is in the copy, or has been cut */
};

static void keep_until(struct output *out, const char *to)
{
    size_t len = (size_t)(to - out->from);

    memcpy(out->ptr + out->len, out->from, len);
    out->len += len;
    out->from = to;
}

static void cut(struct output *out, const struct member *member)
{
    keep_until(out, member->start);
    while (out->len > 0 && is_space(out->ptr[out->len - 1]))
        out->len--;
    out->from = member->end;
    if (*member->mark == ',') {
        keep_until(out, member->mark);
        out->from = member->mark + 1;
    } else if (out->ptr[out->len - 1] == ',') {
        out->len--;
    }
}

struct gw_slice gw_edit_remove_member(struct gw_slice json, struct gw_slice name,
                                      struct gw_arena *arena)
{
    struct scanner in = {json.ptr, json.ptr + json.len};
    struct output out = {NULL, 0, json.ptr};
    struct member member;

    skip_space(&in);
    if (peek(&in) != '{')
        return json;
    in.at++;
    while (member_next(&in, &member)) {
        if (!name_is(member.name, name))
            continue;
        if (out.ptr == NULL)
            out.ptr = gw_arena_alloc(arena, json.len);
        cut(&out, &member);
    }
    if (out.ptr == NULL)
        return json;
    keep_until(&out, in.end);
    return (struct gw_slice){out.ptr, out.len};
}
