/* config_render.c: a config as JSON, for an answer and for the store, and back from the store.
 * Owns the stored format; pure.
 *
 * Stored: {"v":1,"config":{the document},"version":…,"createdMs":…,"updatedMs":…,
 * "activeMs":…,"lanes":[…],"secrets":[{"text":…,"untilMs":…}],"pairs":[{"seed":…,"untilMs":…}]};
 * without a pair there is no "pairs", without a return to active no "activeMs", and what a document
 * leaves out is the default. Invariants: lanes stand in the order of gw_config.routes, which follows
 * from the document; decode never trusts the text: whatever it returns keeps every
 * promise of config.h, and what cannot is corrupt. Today's policy (guard, refused headers) is not
 * applied to what was stored under yesterday's. */
#include "base/check.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "base/map.h"
#include "base/timefmt.h"
#include "core/config_impl.h"

#define FORMAT 1

/* ── Out ───────────────────────────────────────────────────────────────────────────────────── */

void gw_config_json_write(yyjson_mut_val *value, struct gw_arena *arena, struct gw_buf *out)
{
    yyjson_alc alc = gw_strict_alc(arena);
    size_t len;
    char *text = yyjson_mut_val_write_opts(value, YYJSON_WRITE_NOFLAG, &alc, &len, NULL);

    gw_check(text != NULL); /* all strings were read out of JSON */
    gw_buf_add(out, text, len);
}

yyjson_mut_val *gw_config_document(const struct gw_config *config, enum gw_config_view view,
                                   yyjson_mut_doc *doc)
{
    yyjson_mut_val *object = yyjson_mut_obj(doc);

    for (size_t i = 0; i < gw_config_field_count; i++) {
        const struct gw_config_field *field = &gw_config_fields[i];
        if (field->render == NULL || (view == GW_VIEW_STORED && !gw_config_field_is_stored(field)))
            continue;
        yyjson_mut_val *value = field->render(config, view, doc);
        if (value)
            yyjson_mut_obj_add(object, yyjson_mut_str(doc, field->name), value);
    }
    return object;
}

static void render(const struct gw_config *config, enum gw_config_view view, struct gw_buf *out)
{
    struct gw_arena arena = {0};
    yyjson_alc alc = gw_strict_alc(&arena);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&alc);

    gw_config_json_write(gw_config_document(config, view, doc), &arena, out);
    gw_arena_deinit(&arena);
}

void gw_config_render(const struct gw_config *config, bool show_secret, struct gw_buf *out)
{
    render(config, show_secret ? GW_VIEW_SECRET : GW_VIEW_SHOWN, out);
}

void gw_config_render_looked(const struct gw_config *config, struct gw_buf *out)
{
    render(config, GW_VIEW_LOOKED, out);
}

static yyjson_mut_val *encode_secrets(const struct gw_config *config, yyjson_mut_doc *doc)
{
    yyjson_mut_val *array = yyjson_mut_arr(doc);

    for (size_t i = 0; i < config->secret_count; i++) {
        const struct gw_secret *secret = &config->secrets[i];
        yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, array);
        yyjson_mut_obj_add_strn(doc, object, "text", secret->text, secret->text_len);
        if (secret->until_ms != GW_NEVER)
            yyjson_mut_obj_add_int(doc, object, "untilMs", secret->until_ms);
    }
    return array;
}

static yyjson_mut_val *encode_pairs(const struct gw_config *config, yyjson_mut_doc *doc)
{
    yyjson_mut_val *array = yyjson_mut_arr(doc);
    struct gw_buf seed = {0};

    for (size_t i = 0; i < config->pair_count; i++) {
        const struct gw_key_pair *pair = &config->pairs[i];
        yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, array);
        gw_buf_clear(&seed);
        gw_base64_encode(&seed, pair->seed, sizeof(pair->seed));
        yyjson_mut_obj_add_strncpy(doc, object, "seed", seed.ptr, seed.len);
        if (pair->until_ms != GW_NEVER)
            yyjson_mut_obj_add_int(doc, object, "untilMs", pair->until_ms);
    }
    if (seed.cap > 0)
        gw_wipe(seed.ptr, seed.cap);
    gw_buf_deinit(&seed);
    return array;
}

void gw_config_encode(const struct gw_config *config, struct gw_buf *out)
{
    struct gw_arena arena = {0};
    yyjson_alc alc = gw_strict_alc(&arena);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&alc);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *lanes = yyjson_mut_arr(doc);

    for (size_t i = 0; i < config->route_count; i++)
        yyjson_mut_arr_add_uint(doc, lanes, config->routes[i].lane);
    yyjson_mut_obj_add_uint(doc, root, "v", FORMAT);
    yyjson_mut_obj_add_val(doc, root, "config", gw_config_document(config, GW_VIEW_STORED, doc));
    yyjson_mut_obj_add_uint(doc, root, "version", config->version);
    yyjson_mut_obj_add_int(doc, root, "createdMs", config->created_ms);
    yyjson_mut_obj_add_int(doc, root, "updatedMs", config->updated_ms);
    if (config->active_ms != config->created_ms)
        yyjson_mut_obj_add_int(doc, root, "activeMs", config->active_ms);
    yyjson_mut_obj_add_val(doc, root, "lanes", lanes);
    yyjson_mut_obj_add_val(doc, root, "secrets", encode_secrets(config, doc));
    if (config->pair_count > 0)
        yyjson_mut_obj_add_val(doc, root, "pairs", encode_pairs(config, doc));
    gw_config_json_write(root, &arena, out);
    gw_arena_deinit(&arena);
}

/* ── Back from the store ───────────────────────────────────────────────────────────────────── */

static enum gw_err damaged(struct gw_error *error, const char *what)
{
    return gw_error_set(error, GW_ERR_CORRUPT, "a stored config is damaged: %s", what);
}

static bool get_int(yyjson_val *object, const char *name, int64_t *out)
{
    return gw_strict_i64(yyjson_obj_get(object, name), out);
}

/* One number for each route; none twice, but for 0. */
static bool decode_lanes(struct gw_config *config, yyjson_val *lanes)
{
    struct gw_map seen = {0};
    bool good = yyjson_is_arr(lanes) && yyjson_arr_size(lanes) == config->route_count;
    yyjson_val *lane;
    size_t at, max;

    if (!good)
        return false;
    yyjson_arr_foreach(lanes, at, max, lane)
    {
        struct gw_route *route = &config->routes[at];
        struct gw_slice key = gw_map_key(&route->lane);
        good = gw_strict_u64(lane, &route->lane) && gw_map_get(&seen, key) == NULL;
        if (!good)
            break;
        if (route->lane != 0)
            gw_map_put(&seen, key, route);
    }
    gw_map_deinit(&seen);
    return good;
}

/* When it ends; the newest never does. */
static bool decode_until(yyjson_val *object, size_t at, int64_t *until_ms)
{
    *until_ms = GW_NEVER;
    if (yyjson_obj_get(object, "untilMs") && !get_int(object, "untilMs", until_ms))
        return false;
    if (at == 0)
        *until_ms = GW_NEVER;
    return true;
}

static bool decode_secrets(struct gw_config *config, yyjson_val *secrets)
{
    yyjson_val *object;
    size_t at, max;

    if (!yyjson_is_arr(secrets) || yyjson_arr_size(secrets) < 1 || yyjson_arr_size(secrets) > 2)
        return false;
    yyjson_arr_foreach(secrets, at, max, object)
    {
        struct gw_secret *secret = &config->secrets[at];
        yyjson_val *text = yyjson_obj_get(object, "text");
        if (!yyjson_is_str(text) || gw_secret_parse(secret, gw_strict_str(text), NULL) != GW_OK ||
            !decode_until(object, at, &secret->until_ms))
            return false;
        config->secret_count = at + 1;
    }
    return true;
}

static bool decode_pair(struct gw_key_pair *pair, yyjson_val *text)
{
    struct gw_buf seed = {0};
    bool good = yyjson_is_str(text) && gw_base64_decode(&seed, gw_strict_str(text)) &&
                seed.len == GW_ED25519_BYTES;

    if (good)
        gw_key_pair_make(pair, (const uint8_t *)seed.ptr);
    if (seed.cap > 0)
        gw_wipe(seed.ptr, seed.cap);
    gw_buf_deinit(&seed);
    return good;
}

/* There may be none, but not where one must sign. */
static bool decode_pairs(struct gw_config *config, yyjson_val *pairs)
{
    yyjson_val *object;
    size_t at, max;

    if (pairs && (!yyjson_is_arr(pairs) || yyjson_arr_size(pairs) > 2))
        return false;
    yyjson_arr_foreach(pairs, at, max, object)
    {
        struct gw_key_pair *pair = &config->pairs[at];
        if (!decode_pair(pair, yyjson_obj_get(object, "seed")) ||
            !decode_until(object, at, &pair->until_ms))
            return false;
        config->pair_count = at + 1;
    }
    return config->pair_count > 0 || !(config->signing.schemes & GW_SCHEME_ED25519);
}

static enum gw_err decode_document(struct gw_config *config, yyjson_val *document,
                                   struct gw_error *error)
{
    struct gw_error why;
    struct gw_config_parse parse = {.config = config, .error = &why};
    yyjson_val *key, *value;
    size_t at, max;

    if (!yyjson_is_obj(document))
        return damaged(error, "config");
    yyjson_obj_foreach(document, at, max, key, value)
    {
        const struct gw_config_field *field = gw_config_field_find(gw_strict_str(key));
        (void)value;
        if (field == NULL || !gw_config_field_is_stored(field))
            return gw_error_set(error, GW_ERR_SCHEMA,
                                "a stored config has a field this version does not know");
    }
    if (gw_config_document_parse(&parse, document) != GW_OK)
        return damaged(error, why.text);
    return GW_OK;
}

static enum gw_err decode(struct gw_config *config, struct gw_slice json, struct gw_arena *scratch,
                          struct gw_error *error)
{
    struct gw_error why;
    yyjson_val *root;
    int64_t format, version;

    if (gw_strict_read_raw(json, scratch, &root, &why) != GW_OK)
        return damaged(error, why.text);
    if (!get_int(root, "v", &format) || format < 1)
        return damaged(error, "v");
    if (format > FORMAT)
        return gw_error_set(error, GW_ERR_SCHEMA,
                            "a stored config has format %lld, this version knows %d",
                            (long long)format, FORMAT);
    enum gw_err err = decode_document(config, yyjson_obj_get(root, "config"), error);
    if (err != GW_OK)
        return err;
    if (!get_int(root, "version", &version) || version < 1)
        return damaged(error, "version");
    config->version = (uint64_t)version;
    if (!get_int(root, "createdMs", &config->created_ms) ||
        !get_int(root, "updatedMs", &config->updated_ms))
        return damaged(error, "createdMs, updatedMs");
    config->active_ms = config->created_ms;
    if (yyjson_obj_get(root, "activeMs") && !get_int(root, "activeMs", &config->active_ms))
        return damaged(error, "activeMs");
    if (!decode_lanes(config, yyjson_obj_get(root, "lanes")))
        return damaged(error, "lanes");
    if (!decode_secrets(config, yyjson_obj_get(root, "secrets")))
        return damaged(error, "secrets");
    if (!decode_pairs(config, yyjson_obj_get(root, "pairs")))
        return damaged(error, "pairs");
    return GW_OK;
}

enum gw_err gw_config_decode(struct gw_config **config, struct gw_slice json,
                             struct gw_error *error)
{
    struct gw_arena scratch = {0};
    struct gw_config *made = gw_config_empty();
    enum gw_err err = decode(made, json, &scratch, error);

    gw_arena_deinit(&scratch);
    if (err != GW_OK)
        gw_config_unref(made);
    *config = err == GW_OK ? made : NULL;
    return err;
}
