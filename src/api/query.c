/* query.c: reads queries. Owns nothing; what it returns is in the exchange's arena.
 *
 * A time's offset is often sent with a bare '+', which form encoding reads as a space: where a time
 * is asked for, that space is taken for the plus it was. */
#include "api/query.h"

#include "base/check.h"
#include "base/codec.h"
#include "base/timefmt.h"
#include "core/strict.h"

static enum gw_err unknown(struct gw_slice name, const char *const *names, size_t count,
                           struct gw_error *error)
{
    struct gw_buf list = {0};
    for (size_t i = 0; i < count; i++)
        gw_buf_addf(&list, "%s%s", i ? ", " : "", names[i]);
    gw_error_set(error, GW_ERR_INVALID, "unknown query parameter \"%s\"; there %s %s",
                 gw_strict_shown(name).text, count ? "are:" : "are none",
                 count ? gw_buf_text(&list) : "");
    gw_buf_deinit(&list);
    return GW_ERR_INVALID;
}

static bool decode(struct gw_arena *arena, struct gw_slice raw, struct gw_slice *text)
{
    struct gw_buf decoded = {0};
    bool ok = gw_percent_decode(&decoded, raw, true);
    *text = gw_arena_dup(arena, gw_buf_slice(&decoded));
    gw_buf_deinit(&decoded);
    return ok && gw_slice_is_utf8(*text);
}

static enum gw_err parse_one(const struct gw_api_request *request, struct gw_slice part,
                             const char *const *names, size_t count, struct gw_slice *values,
                             struct gw_error *error)
{
    struct gw_arena *arena = gw_api_arena(request);
    struct gw_slice rest = part, raw_name, name, value;
    size_t at = 0;
    gw_slice_split(&rest, '=', &raw_name);
    if (!decode(arena, raw_name, &name))
        return gw_error_set(error, GW_ERR_INVALID,
                            "the name of a query parameter must be percent-encoded UTF-8");
    while (at < count && !gw_slice_is(name, names[at]))
        at++;
    if (at == count)
        return unknown(name, names, count, error);
    if (!decode(arena, rest.ptr ? rest : GW_SLICE(""), &value))
        return gw_error_set(error, GW_ERR_INVALID, "%s: must be percent-encoded UTF-8", names[at]);
    if (values[at].ptr)
        return gw_error_set(error, GW_ERR_INVALID, "%s: is there twice", names[at]);
    if (value.len == 0) /* as if it were not there, it would widen what is asked for */
        return gw_error_set(error, GW_ERR_INVALID, "%s: must not be empty; leave it out",
                            names[at]);
    values[at] = value;
    return GW_OK;
}

enum gw_err gw_query_parse(const struct gw_api_request *request, const char *const *names,
                           size_t count, struct gw_slice *values, struct gw_error *error)
{
    struct gw_slice rest = request->exchange->query, part;
    gw_check(count <= GW_QUERY_MAX);
    for (size_t i = 0; i < count; i++)
        values[i] = (struct gw_slice){0};
    if (rest.len > GW_QUERY_TEXT_MAX)
        return gw_error_set(error, GW_ERR_INVALID, "the query must have at most %d bytes, has %zu",
                            GW_QUERY_TEXT_MAX, rest.len);
    while (gw_slice_split(&rest, '&', &part)) {
        if (part.len == 0)
            continue;
        enum gw_err err = parse_one(request, part, names, count, values, error);
        if (err != GW_OK)
            return err;
    }
    return GW_OK;
}

enum gw_err gw_query_bool(const char *name, struct gw_slice value, bool *out,
                          struct gw_error *error)
{
    *out = gw_slice_is(value, "true") || gw_slice_is(value, "1");
    if (!value.ptr || *out || gw_slice_is(value, "false") || gw_slice_is(value, "0"))
        return GW_OK;
    return gw_error_set(error, GW_ERR_INVALID, "%s: must be true or false", name);
}

enum gw_err gw_query_limit(struct gw_slice value, size_t *limit, struct gw_error *error)
{
    uint64_t number = GW_PAGE_LIMIT;
    if (value.ptr && (!gw_slice_u64(value, &number) || number == 0 || number > GW_PAGE_LIMIT_MAX))
        return gw_error_set(error, GW_ERR_INVALID, "limit: must be an integer from 1 to %d",
                            GW_PAGE_LIMIT_MAX);
    *limit = (size_t)number;
    return GW_OK;
}

static bool parse_time(struct gw_slice value, int64_t *ms)
{
    char text[GW_TIME_TEXT_MAX * 2];
    if (gw_time_parse(value, ms))
        return true;
    if (value.len < 6 || value.len > sizeof(text) || value.ptr[value.len - 6] != ' ')
        return false;
    memcpy(text, value.ptr, value.len);
    text[value.len - 6] = '+';
    return gw_time_parse((struct gw_slice){text, value.len}, ms);
}

enum gw_err gw_query_time(const char *name, struct gw_slice value, int64_t *ms,
                          struct gw_error *error)
{
    if (!value.ptr || parse_time(value, ms))
        return GW_OK;
    return gw_error_set(error, GW_ERR_INVALID,
                        "%s: must be a time such as 2026-01-31T12:00:00Z (RFC 3339)", name);
}

enum gw_err gw_query_whole(const char *name, struct gw_slice value, int64_t span_ms, int64_t *ms,
                           struct gw_error *error)
{
    bool is_day = span_ms == GW_DAY_MS;
    enum gw_err err = gw_query_time(name, value, ms, error);

    if (err != GW_OK || gw_floor_ms(*ms, span_ms) == *ms)
        return err;
    return gw_error_set(error, GW_ERR_INVALID,
                        "%s: must be a whole %s, such as 2026-01-31T%s:00:00Z", name,
                        is_day ? "day (UTC)" : "hour", is_day ? "00" : "12");
}
