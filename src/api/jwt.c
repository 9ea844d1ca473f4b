/* jwt.c: reads one token. Owns nothing; pure.
 *
 *   token ─▶ three parts ─▶ header: RS256, no crit ─▶ signature ─▶ claims ─▶ appId
 *
 * Nothing behind the header is looked at before the signature holds; whatever fails says only
 * "invalid", for whoever made a token by hand shall learn nothing from the answer. */
#include "api/jwt.h"

#include "base/codec.h"
#include "core/event.h"
#include "core/strict.h"

struct parts {
    struct gw_slice signed_text; /* header.claims, as it came */
    struct gw_slice header, claims, signature;
};

static bool decode(struct gw_slice text, struct gw_arena *arena, struct gw_slice *out)
{
    struct gw_buf bytes = {0};
    bool ok = text.len > 0 && gw_base64url_decode(&bytes, text);
    *out = gw_arena_dup(arena, gw_buf_slice(&bytes));
    gw_buf_deinit(&bytes);
    return ok;
}

static bool split(struct gw_slice token, struct gw_arena *arena, struct parts *parts)
{
    struct gw_slice rest = token, header = {0}, claims = {0}, signature;
    gw_slice_split(&rest, '.', &header);
    gw_slice_split(&rest, '.', &claims);
    if (!gw_slice_split(&rest, '.', &signature) || rest.ptr)
        return false;
    parts->signed_text = (struct gw_slice){token.ptr, header.len + 1 + claims.len};
    return decode(header, arena, &parts->header) && decode(claims, arena, &parts->claims) &&
           decode(signature, arena, &parts->signature);
}

static bool check_header(struct gw_slice json, struct gw_arena *arena)
{
    struct gw_error error;
    yyjson_val *header;
    return gw_strict_read(json, arena, &header, &error) == GW_OK &&
           gw_slice_is(gw_strict_str(yyjson_obj_get(header, "alg")), "RS256") &&
           !yyjson_obj_get(header, "crit");
}

/* A NumericDate (RFC 7519, section 2) in *seconds, which stays when there is none. */
static bool read_time(yyjson_val *claims, const char *name, double *seconds)
{
    yyjson_val *value = yyjson_obj_get(claims, name);
    if (!value)
        return true;
    *seconds = yyjson_get_num(value);
    return yyjson_is_num(value);
}

static enum gw_jwt check_claims(struct gw_slice json, int64_t now_ms, struct gw_arena *arena,
                                struct gw_slice *app_id)
{
    struct gw_error error;
    yyjson_val *claims;
    double now = (double)now_ms / 1000, not_before = now, expires = now + 1;
    if (gw_strict_read(json, arena, &claims, &error) != GW_OK)
        return GW_JWT_INVALID;
    *app_id = gw_strict_str(yyjson_obj_get(claims, "appId"));
    if (!app_id->ptr || gw_name_check("appId", *app_id, &error) != GW_OK)
        return GW_JWT_INVALID;
    if (!read_time(claims, "nbf", &not_before) || !read_time(claims, "exp", &expires) ||
        now < not_before)
        return GW_JWT_INVALID;
    return now < expires ? GW_JWT_OK : GW_JWT_EXPIRED;
}

enum gw_jwt gw_jwt_check(struct gw_slice token, const struct gw_rsa_key *key, int64_t now_ms,
                         struct gw_arena *arena, struct gw_slice *app_id)
{
    struct parts parts;
    if (token.len > GW_JWT_BYTES_MAX || !split(token, arena, &parts) ||
        !check_header(parts.header, arena) ||
        !gw_rsa_verify(key, parts.signed_text, parts.signature))
        return GW_JWT_INVALID;
    return check_claims(parts.claims, now_ms, arena, app_id);
}
