/* config_body.c: from options to the JSON of a config request. Pure; owns nothing that outlives a
 * call. Values are checked as far as needed to take them apart; the server judges the rest. */
#include "cli/config_body.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>
#include <yyjson.h>

#define STEPS_MAX 1000 /* what one line may hold; the server allows fewer, and says so */

void gw_config_given_init(struct gw_config_given *given)
{
    *given = (struct gw_config_given){.timeout_ms = GW_GIVEN_NOT,
                                      .max_in_flight = GW_GIVEN_NOT,
                                      .delete_app_id = GW_GIVEN_NOT,
                                      .inactive = GW_GIVEN_NOT,
                                      .active = GW_GIVEN_NOT};
}

void gw_config_given_deinit(struct gw_config_given *given)
{
    gw_option_list_deinit(&given->workflows);
    gw_option_list_deinit(&given->headers);
    gw_option_list_deinit(&given->metadata_keys);
    gw_option_list_deinit(&given->blocklist);
}

static yyjson_mut_val *string(yyjson_mut_doc *doc, struct gw_slice text)
{
    return yyjson_mut_strn(doc, text.ptr, text.len);
}

static void put_text(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name,
                     const char *value)
{
    if (value)
        yyjson_mut_obj_add_str(doc, object, name, value);
}

static yyjson_mut_val *find(yyjson_mut_val *object, struct gw_slice name)
{
    return yyjson_mut_obj_getn(object, name.ptr, name.len);
}

/* ── Parts ─────────────────────────────────────────────────────────────────────────────────── */

/* An id may hold "=", and so may a URL: the one before http:// or https:// parts them. */
static bool split_workflow(struct gw_slice text, struct gw_slice *id, struct gw_slice *url)
{
    for (size_t i = 1; i < text.len; i++) {
        struct gw_slice rest = gw_slice_skip(text, i + 1);
        if (text.ptr[i] == '=' && (gw_slice_starts(rest, GW_SLICE("http://")) ||
                                   gw_slice_starts(rest, GW_SLICE("https://")))) {
            *id = (struct gw_slice){text.ptr, i};
            *url = rest;
            return true;
        }
    }
    return false;
}

static enum gw_err put_workflows(yyjson_mut_doc *doc, const struct gw_option_list *list,
                                 struct gw_error *error)
{
    yyjson_mut_val *object = yyjson_mut_obj(doc);
    struct gw_slice id, url;

    for (size_t i = 0; i < list->count; i++) {
        if (!split_workflow(gw_slice_from(list->items[i]), &id, &url))
            return gw_error_set(error, GW_ERR_INVALID,
                                "--workflow: must be ID=URL, with http:// or https://, was \"%s\"",
                                list->items[i]);
        yyjson_mut_val *urls = find(object, id);
        if (urls == NULL) {
            urls = yyjson_mut_arr(doc);
            yyjson_mut_obj_add(object, string(doc, id), urls);
        }
        yyjson_mut_arr_append(urls, string(doc, url));
    }
    if (list->count > 0)
        yyjson_mut_obj_add_val(doc, yyjson_mut_doc_get_root(doc), "workflows", object);
    return GW_OK;
}

static enum gw_err put_headers(yyjson_mut_doc *doc, const struct gw_option_list *list,
                               struct gw_error *error)
{
    yyjson_mut_val *object = yyjson_mut_obj(doc);

    for (size_t i = 0; i < list->count; i++) {
        struct gw_slice value = gw_slice_from(list->items[i]), name;
        bool has_colon = memchr(value.ptr, ':', value.len) != NULL;
        gw_slice_split(&value, ':', &name);
        name = gw_slice_trim(name);
        if (!has_colon || name.len == 0) /* the text may be a secret: it is not repeated */
            return gw_error_set(error, GW_ERR_INVALID, "--header: must be 'name: value'");
        if (find(object, name))
            return gw_error_set(error, GW_ERR_INVALID, "--header: %.*s is given twice",
                                GW_SLICE_ARG(name));
        yyjson_mut_obj_add(object, string(doc, name), string(doc, gw_slice_trim(value)));
    }
    if (list->count > 0)
        yyjson_mut_obj_add_val(doc, yyjson_mut_doc_get_root(doc), "headers", object);
    return GW_OK;
}

static enum gw_err put_schedule(yyjson_mut_doc *doc, yyjson_mut_val *retry, const char *text,
                                struct gw_error *error)
{
    yyjson_mut_val *steps = yyjson_mut_arr(doc);
    struct gw_slice rest = gw_slice_from(text), part;
    uint64_t seconds;

    yyjson_mut_obj_add_val(doc, retry, "schedule", steps);
    if (gw_slice_is(rest, "none"))
        return GW_OK;
    while (gw_slice_split(&rest, ',', &part)) {
        if (!gw_slice_u64(gw_slice_trim(part), &seconds) || yyjson_mut_arr_size(steps) == STEPS_MAX)
            return gw_error_set(error, GW_ERR_INVALID,
                                "--retry: must be whole seconds with commas between, or none, was "
                                "\"%s\"",
                                text);
        yyjson_mut_arr_add_uint(doc, steps, seconds);
    }
    return GW_OK;
}

static enum gw_err put_retry(yyjson_mut_doc *doc, const struct gw_config_given *given,
                             struct gw_error *error)
{
    enum gw_err err = GW_OK;

    if (given->retry == NULL && given->timeout_ms == GW_GIVEN_NOT)
        return GW_OK;
    yyjson_mut_val *retry = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_val(doc, yyjson_mut_doc_get_root(doc), "retry", retry);
    if (given->retry)
        err = put_schedule(doc, retry, given->retry, error);
    if (given->timeout_ms != GW_GIVEN_NOT)
        yyjson_mut_obj_add_int(doc, retry, "timeoutMs", given->timeout_ms);
    return err;
}

/* All of them, for an array is replaced whole. "none" alone is an empty one. */
static void put_list(yyjson_mut_doc *doc, const char *name, const struct gw_option_list *list)
{
    if (list->count == 0)
        return;
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, yyjson_mut_doc_get_root(doc), name);
    if (list->count == 1 && strcmp(list->items[0], "none") == 0)
        return;
    for (size_t i = 0; i < list->count; i++)
        yyjson_mut_arr_add_str(doc, array, list->items[i]);
}

static enum gw_err put_filter(yyjson_mut_doc *doc, const char *text, struct gw_error *error)
{
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    yyjson_read_err why;

    if (text == NULL)
        return GW_OK;
    if (strcmp(text, "none") == 0) {
        yyjson_mut_obj_add_null(doc, root, "filter");
        return GW_OK;
    }
    yyjson_doc *filter = yyjson_read_opts((char *)(uintptr_t)text, strlen(text),
                                          YYJSON_READ_NUMBER_AS_RAW, NULL, &why);
    if (filter == NULL)
        return gw_error_set(error, GW_ERR_INVALID,
                            "--filter: must be a JSON object, @FILE or none, was not JSON: %s at "
                            "byte %zu",
                            why.msg, why.pos + 1);
    yyjson_mut_obj_add_val(doc, root, "filter",
                           yyjson_val_mut_copy(doc, yyjson_doc_get_root(filter)));
    yyjson_doc_free(filter);
    return GW_OK;
}

static enum gw_err put_rate_limit(yyjson_mut_doc *doc, const char *text, struct gw_error *error)
{
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    uint64_t limit;

    if (text == NULL)
        return GW_OK;
    if (strcmp(text, "none") == 0)
        yyjson_mut_obj_add_null(doc, root, "rateLimit");
    else if (gw_slice_u64(gw_slice_from(text), &limit))
        yyjson_mut_obj_add_uint(doc, root, "rateLimit", limit);
    else
        return gw_error_set(error, GW_ERR_INVALID,
                            "--rate-limit: must be a whole number, or none, was \"%s\"", text);
    return GW_OK;
}

static void put_signing(yyjson_mut_doc *doc, const struct gw_config_given *given)
{
    struct gw_slice rest = gw_slice_from(given->schemes), scheme;

    if (!given->schemes && !given->body_header && !given->body_encoding)
        return;
    yyjson_mut_val *signing = yyjson_mut_obj_add_obj(doc, yyjson_mut_doc_get_root(doc), "signing");
    if (given->schemes) {
        yyjson_mut_val *schemes = yyjson_mut_obj_add_arr(doc, signing, "schemes");
        while (gw_slice_split(&rest, ',', &scheme))
            yyjson_mut_arr_append(schemes, string(doc, gw_slice_trim(scheme)));
    }
    put_text(doc, signing, "bodyHeader", given->body_header);
    put_text(doc, signing, "bodyEncoding", given->body_encoding);
}

static enum gw_err put_active(yyjson_mut_doc *doc, const struct gw_config_given *given,
                              struct gw_error *error)
{
    if (given->active != GW_GIVEN_NOT && given->inactive != GW_GIVEN_NOT)
        return gw_error_set(error, GW_ERR_INVALID, "--active and --inactive: one of them");
    if (given->active != GW_GIVEN_NOT || given->inactive != GW_GIVEN_NOT)
        yyjson_mut_obj_add_bool(doc, yyjson_mut_doc_get_root(doc), "isActive",
                                given->active == 1 || given->inactive == 0);
    return GW_OK;
}

/* ── The whole ─────────────────────────────────────────────────────────────────────────────── */

static enum gw_err fill(yyjson_mut_doc *doc, const struct gw_config_given *given,
                        struct gw_error *error)
{
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);

    put_text(doc, root, "appId", given->pair.app);
    put_text(doc, root, "eventType", given->pair.type);
    put_text(doc, root, "webhookUrl", given->url);
    put_text(doc, root, "product", given->product);
    put_text(doc, root, "secret", given->secret);
    put_list(doc, "additionalMetadataKeys", &given->metadata_keys);
    put_list(doc, "payloadBlocklist", &given->blocklist);
    put_signing(doc, given);
    if (given->max_in_flight != GW_GIVEN_NOT)
        yyjson_mut_obj_add_int(doc, root, "maxInFlight", given->max_in_flight);
    if (given->delete_app_id != GW_GIVEN_NOT)
        yyjson_mut_obj_add_bool(doc, root, "deleteAppId", given->delete_app_id == 1);
    enum gw_err err = put_active(doc, given, error);
    if (err == GW_OK)
        err = put_headers(doc, &given->headers, error);
    if (err == GW_OK)
        err = put_workflows(doc, &given->workflows, error);
    if (err == GW_OK)
        err = put_retry(doc, given, error);
    if (err == GW_OK)
        err = put_filter(doc, given->filter, error);
    if (err == GW_OK)
        err = put_rate_limit(doc, given->rate_limit, error);
    return err;
}

enum gw_err gw_config_body_make(const struct gw_config_given *given, struct gw_buf *out,
                                struct gw_error *error)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);

    gw_check(doc != NULL);
    yyjson_mut_doc_set_root(doc, yyjson_mut_obj(doc));
    enum gw_err err = fill(doc, given, error);
    if (err == GW_OK) {
        size_t len = 0;
        char *text = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, &len);
        if (text)
            gw_buf_add(out, text, len);
        else
            err = gw_error_set(error, GW_ERR_INVALID, "an option's value is not UTF-8");
        free(text);
    }
    yyjson_mut_doc_free(doc);
    return err;
}

void gw_config_body_unwrap(struct gw_slice text, struct gw_buf *out)
{
    yyjson_doc *doc = yyjson_read(text.ptr, text.len, YYJSON_READ_NUMBER_AS_RAW);
    yyjson_val *root = yyjson_doc_get_root(doc), *result = yyjson_obj_get(root, "result");
    size_t len = 0;

    char *inner = yyjson_is_obj(result) && yyjson_obj_get(root, "statusCode")
                      ? yyjson_val_write(result, YYJSON_WRITE_NOFLAG, &len)
                      : NULL;
    if (inner)
        gw_buf_add(out, inner, len);
    else
        gw_buf_adds(out, text);
    free(inner);
    yyjson_doc_free(doc);
}
