/* config_diff.c: what a change changed, for its history. Owns nothing; pure.
 *
 * Two configs are compared as the store keeps them, and told as those see them who may see no secrets:
 * a masked header whose value changed, or a URL's query, is told, though both sides look alike. */
#include "base/crypto.h"
#include "core/config_impl.h"

struct diff {
    const struct gw_config *before, *after; /* NULL: there was, or is, none */
    yyjson_mut_doc *doc;                    /* in the arena, as all that is rendered */
    struct gw_arena *arena;
    struct gw_buf *out; /* a JSON array that is still open */
};

static void begin(struct diff *diff, const char *field)
{
    if (diff->out->ptr[diff->out->len - 1] != '[')
        gw_buf_addc(diff->out, ',');
    gw_buf_addf(diff->out, "{\"field\":\"%s\"", field);
}

static yyjson_mut_val *value_of(struct diff *diff, const struct gw_config_field *field,
                                const struct gw_config *config, enum gw_config_view view)
{
    yyjson_mut_val *value = config ? field->render(config, view, diff->doc) : NULL;

    return value ? value : yyjson_mut_null(diff->doc);
}

static void add_side(struct diff *diff, const char *name, const struct gw_config_field *field,
                     const struct gw_config *config)
{
    yyjson_mut_val *value = value_of(diff, field, config, GW_VIEW_LOOKED);
    struct gw_buf text = {0};

    gw_config_json_write(value, diff->arena, &text);
    if (text.len > GW_CONFIG_SHOWN_MAX)
        gw_buf_addf(diff->out, ",\"%sBytes\":%zu", name, text.len);
    else
        gw_buf_addf(diff->out, ",\"%s\":%.*s", name, GW_SLICE_ARG(gw_buf_slice(&text)));
    gw_buf_deinit(&text);
}

static void compare(struct diff *diff, const struct gw_config_field *field)
{
    if (yyjson_mut_equals(value_of(diff, field, diff->before, GW_VIEW_STORED),
                          value_of(diff, field, diff->after, GW_VIEW_STORED)))
        return;
    begin(diff, field->name);
    add_side(diff, "from", field, diff->before);
    add_side(diff, "to", field, diff->after);
    gw_buf_addc(diff->out, '}');
}

static size_t living(const struct gw_config *config, int64_t now_ms)
{
    size_t count = 0;

    for (size_t i = 0; i < config->secret_count; i++)
        count += config->secrets[i].until_ms > now_ms;
    return count;
}

/* Another newest secret, or one that signs no longer though its time was not over. */
static bool secrets_changed(const struct gw_config *before, const struct gw_config *after)
{
    if (before == NULL || after == NULL)
        return before != after;
    const struct gw_secret *a = &before->secrets[0], *b = &after->secrets[0];
    return !gw_equal_secret((struct gw_slice){a->text, a->text_len},
                            (struct gw_slice){b->text, b->text_len}) ||
           living(before, after->updated_ms) != living(after, after->updated_ms);
}

/* What a client sets, and the public key, for it changes what the client must do. */
static bool is_told(const struct gw_config_field *field)
{
    return gw_config_field_is_stored(field) || field->render == gw_config_public_key_render;
}

void gw_config_diff(const struct gw_config *before, const struct gw_config *after,
                    struct gw_buf *out)
{
    struct gw_arena arena = {0};
    yyjson_alc alc = gw_strict_alc(&arena);
    struct diff diff = {before, after, yyjson_mut_doc_new(&alc), &arena, out};

    gw_buf_addc(out, '[');
    for (size_t i = 0; i < gw_config_field_count; i++)
        if (is_told(&gw_config_fields[i]))
            compare(&diff, &gw_config_fields[i]);
    if (secrets_changed(before, after)) {
        begin(&diff, "secret");
        gw_buf_addc(out, '}');
    }
    gw_buf_addc(out, ']');
    gw_arena_deinit(&arena);
}
