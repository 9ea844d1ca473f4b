/* config_event.c: what a config says of events: which of their metadata counts, which go out at all,
 * and what is removed from those. Owns nothing; pure.
 *
 * A filter is kept as its JSON text, in which numbers keep all their digits. */
#include "base/alloc.h"
#include "base/check.h"
#include "core/config_impl.h"
#include "core/event.h"

#include <stdio.h>

#define FIELD_TEXT_MAX 64

/* "field[at]", for an error text. */
static const char *item(char text[FIELD_TEXT_MAX], const char *field, size_t at)
{
    snprintf(text, FIELD_TEXT_MAX, "%s[%zu]", field, at);
    return text;
}

static enum gw_err check_array(struct gw_config_parse *parse, const char *field, const char *what,
                               size_t items_max, yyjson_val *value)
{
    if (!yyjson_is_arr(value))
        return gw_config_refuse(parse, field, what, value);
    if (yyjson_arr_size(value) > items_max)
        return gw_error_set(parse->error, GW_ERR_INVALID,
                            "%s: must have at most %zu items, has %zu", field, items_max,
                            yyjson_arr_size(value));
    return GW_OK;
}

/* ── additionalMetadataKeys ────────────────────────────────────────────────────────────────── */

enum gw_err gw_config_metadata_keys_parse(struct gw_config_parse *parse, yyjson_val *value)
{
    static const char name[] = "additionalMetadataKeys";
    struct gw_config *config = parse->config;
    enum gw_err err =
        check_array(parse, name, "an array of strings", GW_CONFIG_METADATA_KEYS_MAX, value);
    char field[FIELD_TEXT_MAX];
    yyjson_val *key;
    size_t at, max;

    if (err != GW_OK)
        return err;
    config->metadata_keys =
        gw_arena_alloc(&config->arena, yyjson_arr_size(value) * sizeof(*config->metadata_keys));
    yyjson_arr_foreach(value, at, max, key)
    {
        if (!yyjson_is_str(key))
            return gw_config_refuse(parse, item(field, name, at), "a string", key);
        err = gw_name_check(item(field, name, at), gw_strict_str(key), parse->error);
        if (err != GW_OK)
            return err;
        config->metadata_keys[config->metadata_key_count++] =
            gw_arena_dup(&config->arena, gw_strict_str(key));
    }
    return GW_OK;
}

yyjson_mut_val *gw_config_metadata_keys_render(const struct gw_config *config,
                                               enum gw_config_view view, yyjson_mut_doc *doc)
{
    yyjson_mut_val *array = yyjson_mut_arr(doc);

    (void)view;
    for (size_t i = 0; i < config->metadata_key_count; i++)
        yyjson_mut_arr_append(array, gw_config_mut_str(doc, config->metadata_keys[i]));
    return array;
}

/* ── payloadBlocklist ──────────────────────────────────────────────────────────────────────── */

enum gw_err gw_config_blocklist_parse(struct gw_config_parse *parse, yyjson_val *value)
{
    static const char name[] = "payloadBlocklist";
    struct gw_config *config = parse->config;
    enum gw_err err = check_array(parse, name, "an array of paths", GW_EDIT_PATHS_MAX, value);
    char field[FIELD_TEXT_MAX];
    yyjson_val *path;
    size_t at, max;

    if (err != GW_OK)
        return err;
    config->blocklist =
        gw_arena_alloc(&config->arena, yyjson_arr_size(value) * sizeof(*config->blocklist));
    yyjson_arr_foreach(value, at, max, path)
    {
        if (!yyjson_is_str(path))
            return gw_config_refuse(parse, item(field, name, at), "a path in a string", path);
        err = gw_edit_path_parse(&config->blocklist[at], item(field, name, at), gw_strict_str(path),
                                 &config->arena, parse->error);
        if (err != GW_OK)
            return err;
        config->blocklist_count++;
    }
    return GW_OK;
}

yyjson_mut_val *gw_config_blocklist_render(const struct gw_config *config, enum gw_config_view view,
                                           yyjson_mut_doc *doc)
{
    yyjson_mut_val *array = yyjson_mut_arr(doc);

    (void)view;
    for (size_t i = 0; i < config->blocklist_count; i++)
        yyjson_mut_arr_append(array, gw_config_mut_str(doc, config->blocklist[i].text));
    return array;
}

/* ── filter ────────────────────────────────────────────────────────────────────────────────── */

enum gw_err gw_config_filter_parse(struct gw_config_parse *parse, yyjson_val *value)
{
    struct gw_arena *arena = &parse->config->arena;
    yyjson_alc alc = gw_strict_alc(arena);
    size_t len;

    if (!yyjson_is_obj(value))
        return gw_config_refuse(parse, "filter", "an object", value);
    char *text = yyjson_val_write_opts(value, YYJSON_WRITE_NOFLAG, &alc, &len, NULL);
    gw_check(text != NULL); /* all strings were read out of JSON */
    if (len > GW_PATTERN_BYTES_MAX)
        return gw_error_set(parse->error, GW_ERR_INVALID,
                            "filter: must have at most %d bytes of JSON, has %zu",
                            GW_PATTERN_BYTES_MAX, len);
    parse->config->filter_json = (struct gw_slice){text, len};
    return gw_pattern_parse(&parse->config->filter, value, arena, parse->error);
}

yyjson_mut_val *gw_config_filter_render(const struct gw_config *config, enum gw_config_view view,
                                        yyjson_mut_doc *doc)
{
    struct gw_arena scratch = {0};
    yyjson_mut_val *copy;
    yyjson_val *root;

    (void)view;
    if (config->filter_json.ptr == NULL)
        return yyjson_mut_null(doc);
    gw_check(gw_strict_read_raw(config->filter_json, &scratch, &root, NULL) == GW_OK);
    copy = yyjson_val_mut_copy(doc, root);
    gw_arena_deinit(&scratch);
    return copy;
}
