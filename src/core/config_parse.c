/* config_parse.c: a config out of a create or PATCH request. Owns nothing; pure.
 *
 * Both go one road: the request is read strictly, its commands (secret, updateSecret) are set
 * aside, the rest is merged (RFC 7396) into a document (an empty one, or the current config's), and
 * a config is built out of the result through the table of fields. So a PATCH can make nothing that
 * a create could not, but for URLs that were allowed when they came.
 *
 * On failure there is no config, and the error says which field, and what is allowed. */
#include "base/alloc.h"
#include "base/check.h"
#include "base/crypto.h"
#include "base/timefmt.h"
#include "core/config_impl.h"
#include "core/event.h"

/* ── The request ───────────────────────────────────────────────────────────────────────────── */

static enum gw_err read_request(struct gw_slice json, struct gw_arena *arena, yyjson_val **root,
                                struct gw_error *error)
{
    struct gw_error why;

    if (json.len > GW_CONFIG_BODY_BYTES_MAX)
        return gw_error_set(error, GW_ERR_TOO_LARGE, "the body must have at most %d bytes, has %zu",
                            GW_CONFIG_BODY_BYTES_MAX, json.len);
    enum gw_err err = gw_strict_read_raw(json, arena, root, &why);
    return err == GW_OK ? GW_OK : gw_error_set(error, err, "the body %s", why.text);
}

enum gw_err gw_config_key_parse(struct gw_slice json, struct gw_arena *arena,
                                struct gw_slice *app_id, struct gw_slice *event_type,
                                struct gw_error *error)
{
    const struct {
        const char *name;
        struct gw_slice *out;
    } keys[] = {{"appId", app_id}, {"eventType", event_type}};
    yyjson_val *root;
    enum gw_err err = read_request(json, arena, &root, error);

    for (size_t i = 0; err == GW_OK && i < gw_count(keys); i++) {
        yyjson_val *value = yyjson_obj_get(root, keys[i].name);
        if (value && !yyjson_is_str(value))
            return gw_error_set(error, GW_ERR_INVALID, "%s: must be a string", keys[i].name);
        *keys[i].out = gw_strict_str(value);
        err = gw_name_check(keys[i].name, *keys[i].out, error);
    }
    return err;
}

/* ── Request and document ──────────────────────────────────────────────────────────────────── */

/* yyjson has a merge too, but it moves what changes to the end; here all keeps its place. */
yyjson_mut_val *gw_config_merge(yyjson_mut_doc *doc, yyjson_mut_val *target, yyjson_mut_val *patch)
{
    yyjson_mut_val *key, *value;
    size_t at, max;

    if (!yyjson_mut_is_obj(patch))
        return yyjson_mut_val_mut_copy(doc, patch);
    if (!yyjson_mut_is_obj(target))
        target = yyjson_mut_obj(doc);
    yyjson_mut_obj_foreach(patch, at, max, key, value)
    {
        const char *name = yyjson_mut_get_str(key);
        size_t len = yyjson_mut_get_len(key);
        yyjson_mut_val *old = yyjson_mut_obj_getn(target, name, len);
        if (yyjson_mut_is_null(value)) {
            yyjson_mut_obj_remove_keyn(target, name, len);
            continue;
        }
        yyjson_mut_val *merged = gw_config_merge(doc, old, value);
        if (old == NULL)
            yyjson_mut_obj_add(target, yyjson_mut_strn(doc, name, len), merged);
        else if (merged != old)
            yyjson_mut_obj_replace(target, key, merged);
    }
    return target;
}

static enum gw_err check_member(const struct gw_config_field *field, struct gw_slice name,
                                yyjson_val *value, bool is_patch, struct gw_error *error)
{
    if (field == NULL)
        return gw_config_field_unknown(name, error);
    if (field->use == GW_USE_SHOWN && !is_patch)
        return gw_error_set(error, GW_ERR_INVALID,
                            "%s: is set by the service and cannot be given, leave it out",
                            field->name);
    if (field->use == GW_USE_REQUIRED && yyjson_is_null(value))
        return gw_error_set(error, GW_ERR_INVALID, "%s: must not be null", field->name);
    return GW_OK;
}

/* What of a request is to be merged, under the fields' own names. */
static enum gw_err request_document(yyjson_val *root, bool is_patch, yyjson_mut_doc *doc,
                                    yyjson_mut_val **document, struct gw_error *error)
{
    yyjson_val *key, *value;
    size_t at, max;

    *document = yyjson_mut_obj(doc);
    yyjson_obj_foreach(root, at, max, key, value)
    {
        const struct gw_config_field *field = gw_config_field_find(gw_strict_str(key));
        enum gw_err err = check_member(field, gw_strict_str(key), value, is_patch, error);
        if (err != GW_OK)
            return err;
        const char *name = field->use == GW_USE_ALIAS ? field->alias_of : field->name;
        if (field->use == GW_USE_ALIAS && yyjson_obj_get(root, name))
            return gw_error_set(error, GW_ERR_INVALID, "\"%s\" and \"%s\" are both there: send one",
                                name, field->name);
        if (field->use == GW_USE_ALIAS || gw_config_field_is_stored(field))
            yyjson_mut_obj_add(*document, yyjson_mut_str(doc, name),
                               yyjson_val_mut_copy(doc, value));
    }
    return GW_OK;
}

/* RFC 7396 merges into an object even where the request has none to merge into: a member that is
 * null in a new object is dropped, so null is the default everywhere. But in a filter where none was
 * there is nothing that null could remove, and whoever writes it means the value: dropped, it would
 * let through what should have been held back. A first filter is taken as it came, and refused. */
static yyjson_val *merge(yyjson_mut_doc *doc, yyjson_mut_val *document, yyjson_mut_val *request,
                         yyjson_alc *alc)
{
    yyjson_mut_val *filter = yyjson_mut_obj_get(request, "filter");
    bool is_first =
        yyjson_mut_is_obj(filter) && !yyjson_mut_is_obj(yyjson_mut_obj_get(document, "filter"));
    yyjson_mut_val *merged = gw_config_merge(doc, document, request);

    if (is_first)
        yyjson_mut_obj_put(merged, yyjson_mut_str(doc, "filter"),
                           yyjson_mut_val_mut_copy(doc, filter));
    yyjson_doc *read = yyjson_mut_val_imut_copy(merged, alc);
    gw_check(read != NULL);
    return yyjson_doc_get_root(read);
}

struct gw_config *gw_config_empty(void)
{
    struct gw_config *config = gw_zalloc(sizeof(*config));

    atomic_init(&config->refs, 1);
    config->is_active = true;
    config->routes = gw_arena_zalloc(&config->arena, sizeof(*config->routes));
    config->route_count = 1;
    config->retry = gw_retry_default;
    config->retry_is_default = true;
    config->max_in_flight = GW_CONFIG_IN_FLIGHT_DEFAULT;
    config->signing.schemes = GW_SCHEME_STANDARD;
    config->signing.body_header = GW_SLICE(GW_CONFIG_BODY_HEADER);
    return config;
}

enum gw_err gw_config_document_parse(struct gw_config_parse *parse, yyjson_val *document)
{
    for (size_t i = 0; i < gw_config_field_count; i++) {
        const struct gw_config_field *field = &gw_config_fields[i];
        yyjson_val *value = yyjson_obj_get(document, field->name);
        bool is_absent = value == NULL || yyjson_is_null(value);
        enum gw_err err = GW_OK;

        if (!gw_config_field_is_stored(field))
            continue;
        if (!is_absent)
            err = field->parse(parse, value);
        else if (field->use == GW_USE_REQUIRED)
            err = gw_error_set(parse->error, GW_ERR_INVALID, "%s: is required", field->name);
        if (err != GW_OK)
            return err;
    }
    return GW_OK;
}

/* What GET shows must fit in a request, so that it can be edited and sent back. */
static enum gw_err check_size(const struct gw_config *config, struct gw_error *error)
{
    struct gw_buf text = {0};
    enum gw_err err = GW_OK;

    gw_config_render(config, true, &text);
    if (text.len > GW_CONFIG_BODY_BYTES_MAX)
        err = gw_error_set(error, GW_ERR_TOO_LARGE,
                           "the config must have at most %d bytes of JSON, would have %zu",
                           GW_CONFIG_BODY_BYTES_MAX, text.len);
    gw_wipe(text.ptr, text.len);
    gw_buf_deinit(&text);
    return err;
}

/* ── Create and PATCH ──────────────────────────────────────────────────────────────────────── */

static void keep_lanes(struct gw_config *config, const struct gw_config *current)
{
    config->routes[0].lane = current->routes[0].lane;
    for (size_t i = 1; i < config->route_count; i++)
        for (size_t k = 1; k < current->route_count; k++)
            if (gw_slice_eq(config->routes[i].url.text, current->routes[k].url.text))
                config->routes[i].lane = current->routes[k].lane;
}

static enum gw_err check_key(const struct gw_config *config, const struct gw_config *current,
                             struct gw_slice scope, struct gw_error *error)
{
    if (scope.ptr && !gw_slice_eq(scope, config->app_id))
        return gw_error_set(error, GW_ERR_INVALID, "appId: must be \"%.*s\", the caller's own",
                            GW_SLICE_ARG(scope));
    if (current && !(gw_slice_eq(current->app_id, config->app_id) &&
                     gw_slice_eq(current->event_type, config->event_type)))
        return gw_error_set(error, GW_ERR_INVALID,
                            "appId, eventType: cannot be changed; create another config");
    return GW_OK;
}

static enum gw_err build(struct gw_config *config, const struct gw_config *current,
                         const struct gw_config_change *change, struct gw_arena *scratch,
                         bool *secret_made, struct gw_error *error)
{
    struct gw_config_parse parse = {config, current, change->guard, error};
    yyjson_alc alc = gw_strict_alc(scratch);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&alc);
    yyjson_mut_val *request, *document;
    yyjson_val *root;
    enum gw_err err = read_request(change->json, scratch, &root, error);

    if (err == GW_OK)
        err = request_document(root, current != NULL, doc, &request, error);
    if (err != GW_OK)
        return err;
    document = current ? gw_config_document(current, GW_VIEW_STORED, doc) : yyjson_mut_obj(doc);
    if (current)
        gw_config_headers_align(current, yyjson_mut_obj_get(document, "headers"),
                                yyjson_mut_obj_get(request, "headers"));
    if ((err = gw_config_document_parse(&parse, merge(doc, document, request, &alc))) != GW_OK ||
        (err = check_key(config, current, change->app_id, error)) != GW_OK ||
        (err = gw_config_signing_check(config, error)) != GW_OK ||
        (err = gw_config_secrets_take(config, current, root, change, secret_made, error)) != GW_OK)
        return err;
    config->version = current ? current->version + 1 : 1;
    config->created_ms = current ? current->created_ms : change->now_ms;
    config->updated_ms = change->now_ms;
    config->active_ms = current ? current->active_ms : change->now_ms;
    if (current && config->is_active && !current->is_active)
        config->active_ms = change->now_ms;
    if (current)
        keep_lanes(config, current);
    return check_size(config, error);
}

static enum gw_err make(struct gw_config **config, const struct gw_config *current,
                        const struct gw_config_change *change, bool *secret_made,
                        struct gw_error *error)
{
    struct gw_arena scratch = {0};
    struct gw_config *made = gw_config_empty();

    gw_check(change->guard != NULL);
    enum gw_err err = build(made, current, change, &scratch, secret_made, error);
    gw_arena_deinit(&scratch);
    if (err != GW_OK)
        gw_config_unref(made);
    *config = err == GW_OK ? made : NULL;
    return err;
}

enum gw_err gw_config_create(struct gw_config **config, const struct gw_config_change *change,
                             struct gw_error *error)
{
    bool secret_made;

    return make(config, NULL, change, &secret_made, error);
}

enum gw_err gw_config_patch(struct gw_config **config, const struct gw_config *current,
                            const struct gw_config_change *change, bool *secret_made,
                            struct gw_error *error)
{
    *secret_made = false;
    return make(config, current, change, secret_made, error);
}
