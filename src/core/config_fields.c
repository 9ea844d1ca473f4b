/* config_fields.c: the one table of what a config consists of, and how each field is read and
 * written. Owns the table; pure. A new field is a row here and its two functions.
 *
 * Invariants: the table's order is the order of every answer; a parse function finds the default in
 * place and replaces it, and when it fails the config is thrown away; error texts show a value only
 * where it can be no secret. */
#include "base/alloc.h"
#include "base/timefmt.h"
#include "core/config_impl.h"
#include "core/event.h"

#include <stdio.h>

#define TIMEOUT_MS_MIN 1000
#define TIMEOUT_MS_MAX 30000

/* ── Error texts ───────────────────────────────────────────────────────────────────────────── */

/* What a string says is shown only where it can be no secret, else that it is one. */
static const char *describe(yyjson_val *value, bool is_harmless, char *text, size_t size)
{
    struct gw_slice number;

    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_NULL: return "null";
    case YYJSON_TYPE_BOOL: return yyjson_get_bool(value) ? "true" : "false";
    case YYJSON_TYPE_ARR: return "an array";
    case YYJSON_TYPE_OBJ: return "an object";
    case YYJSON_TYPE_STR:
        if (!is_harmless)
            return "a string";
        snprintf(text, size, "\"%s\"", gw_strict_shown(gw_strict_str(value)).text);
        return text;
    case YYJSON_TYPE_RAW: /* a number as it was written */
        number = gw_strict_cut((struct gw_slice){yyjson_get_raw(value), yyjson_get_len(value)});
        snprintf(text, size, "%.*s", GW_SLICE_ARG(number));
        return text;
    default: return "another value";
    }
}

enum gw_err gw_config_refuse(struct gw_config_parse *parse, const char *field, const char *what,
                             yyjson_val *value)
{
    char text[sizeof(struct gw_strict_shown) + 2];

    return gw_error_set(parse->error, GW_ERR_INVALID, "%s: must be %s, was %s", field, what,
                        describe(value, false, text, sizeof(text)));
}

enum gw_err gw_config_refuse_shown(struct gw_config_parse *parse, const char *field,
                                   const char *what, yyjson_val *value)
{
    char text[sizeof(struct gw_strict_shown) + 2];

    return gw_error_set(parse->error, GW_ERR_INVALID, "%s: must be %s, was %s", field, what,
                        describe(value, true, text, sizeof(text)));
}

/* ── Scalars ───────────────────────────────────────────────────────────────────────────────── */

static enum gw_err parse_bool(struct gw_config_parse *parse, const char *field, yyjson_val *value,
                              bool *out)
{
    if (!yyjson_is_bool(value))
        return gw_config_refuse_shown(parse, field, "true or false", value);
    *out = yyjson_get_bool(value);
    return GW_OK;
}

static enum gw_err parse_uint(struct gw_config_parse *parse, const char *field, yyjson_val *value,
                              uint32_t min, uint32_t max, uint32_t *out)
{
    char what[64];
    uint64_t number;

    if (gw_strict_u64(value, &number) && number >= min && number <= max) {
        *out = (uint32_t)number;
        return GW_OK;
    }
    snprintf(what, sizeof(what), "an integer from %u to %u", min, max);
    return gw_config_refuse_shown(parse, field, what, value);
}

static enum gw_err parse_name(struct gw_config_parse *parse, const char *field, yyjson_val *value,
                              struct gw_slice *out)
{
    if (!yyjson_is_str(value))
        return gw_config_refuse(parse, field, "a string", value);
    enum gw_err err = gw_name_check(field, gw_strict_str(value), parse->error);
    if (err == GW_OK)
        *out = gw_arena_dup(&parse->config->arena, gw_strict_str(value));
    return err;
}

static enum gw_err parse_app_id(struct gw_config_parse *parse, yyjson_val *value)
{
    return parse_name(parse, "appId", value, &parse->config->app_id);
}

static yyjson_mut_val *render_app_id(const struct gw_config *config, enum gw_config_view view,
                                     yyjson_mut_doc *doc)
{
    (void)view;
    return gw_config_mut_str(doc, config->app_id);
}

static enum gw_err parse_event_type(struct gw_config_parse *parse, yyjson_val *value)
{
    return parse_name(parse, "eventType", value, &parse->config->event_type);
}

static yyjson_mut_val *render_event_type(const struct gw_config *config, enum gw_config_view view,
                                         yyjson_mut_doc *doc)
{
    (void)view;
    return gw_config_mut_str(doc, config->event_type);
}

static enum gw_err parse_is_active(struct gw_config_parse *parse, yyjson_val *value)
{
    return parse_bool(parse, "isActive", value, &parse->config->is_active);
}

static yyjson_mut_val *render_is_active(const struct gw_config *config, enum gw_config_view view,
                                        yyjson_mut_doc *doc)
{
    (void)view;
    return yyjson_mut_bool(doc, config->is_active);
}

static enum gw_err parse_product(struct gw_config_parse *parse, yyjson_val *value)
{
    return parse_name(parse, "product", value, &parse->config->product);
}

static yyjson_mut_val *render_product(const struct gw_config *config, enum gw_config_view view,
                                      yyjson_mut_doc *doc)
{
    (void)view;
    return config->product.ptr ? gw_config_mut_str(doc, config->product) : yyjson_mut_null(doc);
}

static enum gw_err parse_delete_app_id(struct gw_config_parse *parse, yyjson_val *value)
{
    return parse_bool(parse, "deleteAppId", value, &parse->config->delete_app_id);
}

static yyjson_mut_val *render_delete_app_id(const struct gw_config *config,
                                            enum gw_config_view view, yyjson_mut_doc *doc)
{
    (void)view;
    return yyjson_mut_bool(doc, config->delete_app_id);
}

static enum gw_err parse_max_in_flight(struct gw_config_parse *parse, yyjson_val *value)
{
    return parse_uint(parse, "maxInFlight", value, 1, GW_CONFIG_IN_FLIGHT_MAX,
                      &parse->config->max_in_flight);
}

static yyjson_mut_val *render_max_in_flight(const struct gw_config *config,
                                            enum gw_config_view view, yyjson_mut_doc *doc)
{
    (void)view;
    return yyjson_mut_uint(doc, config->max_in_flight);
}

static enum gw_err parse_rate_limit(struct gw_config_parse *parse, yyjson_val *value)
{
    return parse_uint(parse, "rateLimit", value, 1, GW_CONFIG_RATE_MAX, &parse->config->rate_limit);
}

static yyjson_mut_val *render_rate_limit(const struct gw_config *config, enum gw_config_view view,
                                         yyjson_mut_doc *doc)
{
    (void)view;
    return config->rate_limit ? yyjson_mut_uint(doc, config->rate_limit) : yyjson_mut_null(doc);
}

/* ── webhookUrl ────────────────────────────────────────────────────────────────────────────── */

static bool has_url(const struct gw_config *config, struct gw_slice text)
{
    for (size_t i = 0; config && i < config->route_count; i++)
        if (gw_slice_eq(config->routes[i].url.text, text))
            return true;
    return false;
}

enum gw_err gw_config_url_parse(struct gw_config_parse *parse, const char *field, yyjson_val *value,
                                struct gw_url *url)
{
    struct gw_arena *arena = &parse->config->arena;
    struct gw_error why;

    if (!yyjson_is_str(value))
        return gw_config_refuse(parse, field, "a URL in a string", value);
    struct gw_slice text = gw_arena_dup(arena, gw_strict_str(value));
    if (gw_url_parse(url, text, arena, &why) != GW_OK)
        return gw_error_set(parse->error, GW_ERR_INVALID, "%s: %s", field, why.text);
    if (parse->guard == NULL || gw_guard_url(parse->guard, field, url, &why) == GW_OK ||
        has_url(parse->current, text))
        return GW_OK;
    return gw_error_set(parse->error, GW_ERR_INVALID, "%s", why.text);
}

static enum gw_err parse_webhook_url(struct gw_config_parse *parse, yyjson_val *value)
{
    return gw_config_url_parse(parse, "webhookUrl", value, &parse->config->routes[0].url);
}

static yyjson_mut_val *render_webhook_url(const struct gw_config *config, enum gw_config_view view,
                                          yyjson_mut_doc *doc)
{
    return gw_config_mut_str(doc, gw_config_url_shown(config->routes[0].url.text, view));
}

/* ── retry ─────────────────────────────────────────────────────────────────────────────────── */

static enum gw_err parse_schedule(struct gw_config_parse *parse, yyjson_val *value)
{
    struct gw_retry *retry = &parse->config->retry;
    char field[48];
    yyjson_val *step;
    size_t at, max;

    if (!yyjson_is_arr(value))
        return gw_config_refuse(parse, "retry.schedule", "an array of seconds", value);
    if (yyjson_arr_size(value) > GW_RETRY_STEPS_MAX)
        return gw_error_set(parse->error, GW_ERR_INVALID,
                            "retry.schedule: must have at most %d items, has %zu",
                            GW_RETRY_STEPS_MAX, yyjson_arr_size(value));
    retry->count = 0;
    yyjson_arr_foreach(value, at, max, step)
    {
        snprintf(field, sizeof(field), "retry.schedule[%zu]", at);
        enum gw_err err =
            parse_uint(parse, field, step, 0, GW_RETRY_STEP_MAX_S, &retry->schedule_s[at]);
        if (err != GW_OK)
            return err;
        retry->count++;
    }
    return GW_OK;
}

/* A schedule that says what the default says is the default. */
static bool retry_is_default(const struct gw_retry *retry)
{
    return retry->count == gw_retry_default.count &&
           retry->timeout_ms == gw_retry_default.timeout_ms &&
           memcmp(retry->schedule_s, gw_retry_default.schedule_s,
                  retry->count * sizeof(retry->schedule_s[0])) == 0;
}

static enum gw_err parse_retry(struct gw_config_parse *parse, yyjson_val *value)
{
    struct gw_config *config = parse->config;
    yyjson_val *key, *member;
    size_t at, max;
    enum gw_err err = GW_OK;

    if (!yyjson_is_obj(value))
        return gw_config_refuse(parse, "retry", "an object with schedule and timeoutMs", value);
    yyjson_obj_foreach(value, at, max, key, member)
    {
        struct gw_slice name = gw_strict_str(key);
        if (gw_slice_is(name, "schedule"))
            err = parse_schedule(parse, member);
        else if (gw_slice_is(name, "timeoutMs"))
            err = parse_uint(parse, "retry.timeoutMs", member, TIMEOUT_MS_MIN, TIMEOUT_MS_MAX,
                             &config->retry.timeout_ms);
        else
            err = gw_error_set(parse->error, GW_ERR_INVALID,
                               "retry: unknown member \"%s\"; there are: schedule, timeoutMs",
                               gw_strict_shown(name).text);
        if (err != GW_OK)
            return err;
    }
    config->retry_is_default = retry_is_default(&config->retry);
    return GW_OK;
}

static yyjson_mut_val *render_retry(const struct gw_config *config, enum gw_config_view view,
                                    yyjson_mut_doc *doc)
{
    yyjson_mut_val *object = yyjson_mut_obj(doc), *schedule = yyjson_mut_arr(doc);

    if (view == GW_VIEW_STORED && config->retry_is_default)
        return object; /* so that it follows the default of later versions */
    for (size_t i = 0; i < config->retry.count; i++)
        yyjson_mut_arr_add_uint(doc, schedule, config->retry.schedule_s[i]);
    yyjson_mut_obj_add_val(doc, object, "schedule", schedule);
    yyjson_mut_obj_add_uint(doc, object, "timeoutMs", config->retry.timeout_ms);
    return object;
}

/* ── What the service sets ─────────────────────────────────────────────────────────────────── */

static yyjson_mut_val *render_version(const struct gw_config *config, enum gw_config_view view,
                                      yyjson_mut_doc *doc)
{
    (void)view;
    return yyjson_mut_uint(doc, config->version);
}

static yyjson_mut_val *render_time(int64_t ms, yyjson_mut_doc *doc)
{
    char text[GW_TIME_TEXT_MAX];
    struct gw_slice time = gw_time_text(ms, text);

    return yyjson_mut_strncpy(doc, time.ptr, time.len);
}

static yyjson_mut_val *render_created_at(const struct gw_config *config, enum gw_config_view view,
                                         yyjson_mut_doc *doc)
{
    (void)view;
    return render_time(config->created_ms, doc);
}

static yyjson_mut_val *render_updated_at(const struct gw_config *config, enum gw_config_view view,
                                         yyjson_mut_doc *doc)
{
    (void)view;
    return render_time(config->updated_ms, doc);
}

/* ── The table ─────────────────────────────────────────────────────────────────────────────── */

const struct gw_config_field gw_config_fields[] = {
    {"appId", GW_USE_REQUIRED, NULL, parse_app_id, render_app_id},
    {"eventType", GW_USE_REQUIRED, NULL, parse_event_type, render_event_type},
    {"webhookUrl", GW_USE_REQUIRED, NULL, parse_webhook_url, render_webhook_url},
    {"isActive", GW_USE_OPTIONAL, NULL, parse_is_active, render_is_active},
    {"product", GW_USE_OPTIONAL, NULL, parse_product, render_product},
    {"headers", GW_USE_OPTIONAL, NULL, gw_config_headers_parse, gw_config_headers_render},
    {"workflows", GW_USE_OPTIONAL, NULL, gw_config_workflows_parse, gw_config_workflows_render},
    {"worfklows", GW_USE_ALIAS, "workflows", NULL, NULL}, /* one producer sends it so */
    {"additionalMetadataKeys", GW_USE_OPTIONAL, NULL, gw_config_metadata_keys_parse,
     gw_config_metadata_keys_render},
    {"deleteAppId", GW_USE_OPTIONAL, NULL, parse_delete_app_id, render_delete_app_id},
    {"payloadBlocklist", GW_USE_OPTIONAL, NULL, gw_config_blocklist_parse,
     gw_config_blocklist_render},
    {"filter", GW_USE_OPTIONAL, NULL, gw_config_filter_parse, gw_config_filter_render},
    {"retry", GW_USE_OPTIONAL, NULL, parse_retry, render_retry},
    {"rateLimit", GW_USE_OPTIONAL, NULL, parse_rate_limit, render_rate_limit},
    {"maxInFlight", GW_USE_OPTIONAL, NULL, parse_max_in_flight, render_max_in_flight},
    {"signing", GW_USE_OPTIONAL, NULL, gw_config_signing_parse, gw_config_signing_render},
    {"version", GW_USE_SHOWN, NULL, NULL, render_version},
    {"createdAt", GW_USE_SHOWN, NULL, NULL, render_created_at},
    {"updatedAt", GW_USE_SHOWN, NULL, NULL, render_updated_at},
    {"publicKey", GW_USE_SHOWN, NULL, NULL, gw_config_public_key_render},
    {"warnings", GW_USE_SHOWN, NULL, NULL, NULL},
    {"secret", GW_USE_COMMAND, NULL, NULL, gw_config_secret_render},
    {"updateSecret", GW_USE_COMMAND, NULL, NULL, NULL},
};
const size_t gw_config_field_count = gw_count(gw_config_fields);

const struct gw_config_field *gw_config_field_find(struct gw_slice name)
{
    for (size_t i = 0; i < gw_config_field_count; i++)
        if (gw_slice_is(name, gw_config_fields[i].name))
            return &gw_config_fields[i];
    return NULL;
}

bool gw_config_field_is_stored(const struct gw_config_field *field)
{
    return field->use == GW_USE_REQUIRED || field->use == GW_USE_OPTIONAL;
}

static bool may_be_set(const struct gw_config_field *field)
{
    return gw_config_field_is_stored(field) || field->use == GW_USE_COMMAND;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* How many letters are added, lost, changed or swapped with their neighbour between the two,
 * without regard to case. `a` has at most GW_STRICT_CUT_BYTES bytes, `b` is a field's name. */
static size_t typing_errors(struct gw_slice a, struct gw_slice b)
{
    size_t rows[3][GW_STRICT_CUT_BYTES + 1], *before = rows[0], *last = rows[1], *now = rows[2];

    for (size_t i = 0; i <= a.len; i++)
        last[i] = i;
    for (size_t j = 1; j <= b.len; j++) {
        now[0] = j;
        for (size_t i = 1; i <= a.len; i++) {
            bool same = lower(a.ptr[i - 1]) == lower(b.ptr[j - 1]);
            size_t best = last[i - 1] + (same ? 0 : 1);
            best = last[i] + 1 < best ? last[i] + 1 : best;
            best = now[i - 1] + 1 < best ? now[i - 1] + 1 : best;
            if (i > 1 && j > 1 && lower(a.ptr[i - 1]) == lower(b.ptr[j - 2]) &&
                lower(a.ptr[i - 2]) == lower(b.ptr[j - 1]) && before[i - 2] + 1 < best)
                best = before[i - 2] + 1;
            now[i] = best;
        }
        size_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[a.len];
}

enum gw_err gw_config_field_unknown(struct gw_slice name, struct gw_error *error)
{
    struct gw_slice shown = gw_strict_cut(name);
    const char *nearest = NULL;
    size_t nearest_errors = 3;
    struct gw_buf names = {0};

    for (size_t i = 0; i < gw_config_field_count; i++) {
        const struct gw_config_field *field = &gw_config_fields[i];
        size_t errors = typing_errors(shown, gw_slice_from(field->name));
        if (!may_be_set(field))
            continue;
        gw_buf_addf(&names, "%s%s", names.len ? ", " : "", field->name);
        if (errors < nearest_errors && name.len == shown.len) {
            nearest_errors = errors;
            nearest = field->name;
        }
    }
    if (nearest)
        gw_error_set(error, GW_ERR_INVALID, "unknown field \"%s\"; did you mean \"%s\"?",
                     gw_strict_shown(name).text, nearest);
    else
        gw_error_set(error, GW_ERR_INVALID, "unknown field \"%s\"; there are: %s",
                     gw_strict_shown(name).text, gw_buf_text(&names));
    gw_buf_deinit(&names);
    return GW_ERR_INVALID;
}
