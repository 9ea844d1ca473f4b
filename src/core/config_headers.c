/* config_headers.c: the headers a client wants with each delivery. Owns the list of names that are
 * not theirs to set; pure.
 *
 * Invariants: a stored header can be put on the wire as it is, for no name or value holds what ends
 * a line; no two names differ in case alone; a value is never in an error text. */
#include "base/alloc.h"
#include "core/config_impl.h"

#define ELLIPSIS       "…" /* U+2026: where a masked value begins */
#define MASKED_LEN_MIN 16  /* the last 4 of a shorter value would say too much */

/* Ends in '*': every name that begins so. */
static const struct {
    const char *pattern, *why;
} refused[] = {
    {"connection", "cannot be set: it concerns one connection"},
    {"keep-alive", "cannot be set: it concerns one connection"},
    {"proxy-*", "cannot be set: it concerns one connection"},
    {"te", "cannot be set: it concerns one connection"},
    {"trailer", "cannot be set: it concerns one connection"},
    {"transfer-encoding", "cannot be set: it concerns one connection"},
    {"upgrade", "cannot be set: it concerns one connection"},
    {"host", "cannot be set: it follows from the URL"},
    {"content-*", "cannot be set: it follows from the body"},
    {"expect", "cannot be set: it would hold the body back"},
    {"user-agent", "cannot be set: it is always that of this service"},
    {"cookie", "cannot be set: a webhook has no session"},
    {"forwarded", "cannot be set: nothing is forwarded"},
    {"webhook-*", "cannot be set: this service sets it"},
    {"x-webhook-signature", "cannot be set: this service sets it"},
    {"x-webhook-signature-next", "cannot be set: this service sets it"},
    {"x-amz-*", "cannot be set: it belongs to AWS"},
};

const char *gw_config_header_refusal(struct gw_slice name)
{
    for (size_t i = 0; i < gw_count(refused); i++) {
        struct gw_slice pattern = gw_slice_from(refused[i].pattern), head = name;
        if (pattern.ptr[pattern.len - 1] == '*') {
            pattern.len--;
            head.len = head.len < pattern.len ? head.len : pattern.len;
        }
        if (gw_slice_eq_nocase(head, pattern))
            return refused[i].why;
    }
    return NULL;
}

/* RFC 9110 5.6.2 */
bool gw_config_header_is_token(struct gw_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return s.len > 0;
}

/* RFC 9110 5.5, field-value; but an empty one is refused: libcurl takes it for a removal. */
static const char *value_fault(struct gw_slice value)
{
    if (value.len == 0)
        return "must not be empty (null removes a header)";
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7F)
            return "must not hold control characters";
    }
    if (gw_slice_trim(value).len != value.len)
        return "must not begin or end with white space";
    return NULL;
}

/* ── Masks ─────────────────────────────────────────────────────────────────────────────────── */

/* authorization and *-key, *-token, *-secret; and a little more, for masking one too many is
 * harmless: what is shown can be sent back. */
static bool is_masked(struct gw_slice name)
{
    static const char *const ends[] = {"authorization", "key", "token", "secret", "password"};

    for (size_t i = 0; i < gw_count(ends); i++) {
        struct gw_slice end = gw_slice_from(ends[i]);
        if (name.len >= end.len && gw_slice_eq_nocase(gw_slice_skip(name, name.len - end.len), end))
            return true;
    }
    return false;
}

static void mask(struct gw_slice value, struct gw_buf *out)
{
    struct gw_slice tail = gw_slice_skip(value, value.len - 4);

    gw_buf_adds(out, GW_SLICE(ELLIPSIS));
    if (value.len < MASKED_LEN_MIN)
        return;
    for (size_t i = 0; i < tail.len; i++)
        if (tail.ptr[i] & 0x80)
            return;
    gw_buf_adds(out, tail);
}

/* ── In and out ────────────────────────────────────────────────────────────────────────────── */

static enum gw_err refuse(struct gw_config_parse *parse, struct gw_slice name, const char *why)
{
    return gw_error_set(parse->error, GW_ERR_INVALID, "headers: \"%s\" %s",
                        gw_strict_shown(name).text, why);
}

static enum gw_err check_header(struct gw_config_parse *parse, struct gw_slice name,
                                yyjson_val *value)
{
    const struct gw_config *config = parse->config;
    struct gw_slice text = gw_strict_str(value);

    if (!gw_config_header_is_token(name))
        return refuse(parse, name, GW_CONFIG_NO_TOKEN);
    for (size_t i = 0; i < config->header_count; i++)
        if (gw_slice_eq_nocase(config->headers[i].name, name))
            return refuse(parse, name, "is there twice; case makes no difference");
    if (!yyjson_is_str(value))
        return refuse(parse, name, "must be a string");
    const char *why = value_fault(text);
    if (why || parse->guard == NULL)
        return why ? refuse(parse, name, why) : GW_OK;
    why = gw_config_header_refusal(name);
    if (why)
        return refuse(parse, name, why);
    if (is_masked(name) && memmem(text.ptr, text.len, ELLIPSIS, strlen(ELLIPSIS)))
        return refuse(parse, name, "is masked, as an answer shows it; send the whole value");
    return GW_OK;
}

static void add_header(struct gw_config *config, struct gw_slice name, struct gw_slice value)
{
    struct gw_config_header *header = &config->headers[config->header_count++];

    header->name = gw_arena_dup(&config->arena, name);
    header->value = gw_arena_dup(&config->arena, value);
    header->line = gw_arena_printf(&config->arena, "%s: %s", header->name.ptr, header->value.ptr);
}

enum gw_err gw_config_headers_parse(struct gw_config_parse *parse, yyjson_val *value)
{
    struct gw_config *config = parse->config;
    yyjson_val *key, *text;
    size_t at, max, bytes = 0;

    if (!yyjson_is_obj(value))
        return gw_config_refuse(parse, "headers", "an object of strings", value);
    if (yyjson_obj_size(value) > GW_CONFIG_HEADERS_MAX)
        return gw_error_set(parse->error, GW_ERR_INVALID,
                            "headers: must have at most %d members, has %zu", GW_CONFIG_HEADERS_MAX,
                            yyjson_obj_size(value));
    config->headers =
        gw_arena_alloc(&config->arena, GW_CONFIG_HEADERS_MAX * sizeof(*config->headers));
    yyjson_obj_foreach(value, at, max, key, text)
    {
        enum gw_err err = check_header(parse, gw_strict_str(key), text);
        if (err != GW_OK)
            return err;
        bytes += yyjson_get_len(key) + yyjson_get_len(text);
        add_header(config, gw_strict_str(key), gw_strict_str(text));
    }
    if (bytes > GW_CONFIG_HEADER_BYTES_MAX)
        return gw_error_set(parse->error, GW_ERR_INVALID,
                            "headers: names and values must have at most %d bytes in all, have %zu",
                            GW_CONFIG_HEADER_BYTES_MAX, bytes);
    return GW_OK;
}

yyjson_mut_val *gw_config_headers_render(const struct gw_config *config, enum gw_config_view view,
                                         yyjson_mut_doc *doc)
{
    yyjson_mut_val *object = yyjson_mut_obj(doc);
    struct gw_buf masked = {0};

    for (size_t i = 0; i < config->header_count; i++) {
        const struct gw_config_header *header = &config->headers[i];
        yyjson_mut_val *value;
        if (view == GW_VIEW_STORED || !is_masked(header->name)) {
            value = gw_config_mut_str(doc, header->value);
        } else {
            gw_buf_clear(&masked);
            mask(header->value, &masked);
            value = yyjson_mut_strncpy(doc, masked.ptr, masked.len);
        }
        yyjson_mut_obj_add(object, gw_config_mut_str(doc, header->name), value);
    }
    gw_buf_deinit(&masked);
    return object;
}

/* ── PATCH ─────────────────────────────────────────────────────────────────────────────────── */

static struct gw_slice mut_str(yyjson_mut_val *value)
{
    return (struct gw_slice){yyjson_mut_get_str(value), yyjson_mut_get_len(value)};
}

static void align(const struct gw_config_header *stored, yyjson_mut_val *document,
                  yyjson_mut_val *name, yyjson_mut_val *value)
{
    struct gw_buf masked = {0};
    size_t at, max;
    yyjson_mut_val *key, *old;

    yyjson_mut_obj_foreach(document, at, max, key, old)
    {
        (void)old;
        if (gw_slice_eq(mut_str(key), stored->name))
            yyjson_mut_set_strn(key, yyjson_mut_get_str(name), yyjson_mut_get_len(name));
    }
    mask(stored->value, &masked);
    if (is_masked(stored->name) && yyjson_mut_is_str(value) &&
        gw_slice_eq(mut_str(value), gw_buf_slice(&masked)))
        yyjson_mut_set_strn(value, stored->value.ptr, stored->value.len);
    gw_buf_deinit(&masked);
}

void gw_config_headers_align(const struct gw_config *current, yyjson_mut_val *document,
                             yyjson_mut_val *patch)
{
    size_t at, max;
    yyjson_mut_val *name, *value;

    if (!yyjson_mut_is_obj(document) || !yyjson_mut_is_obj(patch))
        return;
    yyjson_mut_obj_foreach(patch, at, max, name, value)
    {
        for (size_t i = 0; i < current->header_count; i++)
            if (gw_slice_eq_nocase(current->headers[i].name, mut_str(name)))
                align(&current->headers[i], document, name, value);
    }
}
