/* keys.c: API keys: made, listed, revoked; for administrators. Owns one change of one request:
 *
 *   create:  read ─▶ 32 random bytes ─▶ put their SHA-256 ─▶ every shard forgets the appid ─▶ 201
 *   revoke:  remove ─▶ every shard forgets the appid, or whatever came of it all keys ─▶ 200
 *
 * An appkey is in the answer to its creation and nowhere else. A change is answered when every shard
 * works by it. An administrator of one app makes, sees and revokes keys of that app alone. */
#include "api/audit.h"
#include "api/key_cache.h"
#include "api/query.h"
#include "api/reply.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "core/event.h"
#include "core/strict.h"

#define APPKEY_BYTES 32
#define FIELDS       "name, roles, scope"

struct change {
    struct gw_api_request *request;
    struct gw_buf appkey; /* its text */
    struct gw_key_put put;
    struct gw_key_remove remove;
    struct gw_key_publish publish;
};

static struct gw_admin *admin_of(const struct gw_api_request *request)
{
    return request->api->shard->flow->admin;
}

/* ── Showing ───────────────────────────────────────────────────────────────────────────────── */

static void add_roles(struct gw_buf *out, unsigned roles)
{
    gw_json_key(out, "roles");
    gw_buf_adds(out, GW_SLICE("[\""));
    gw_role_names(roles, "\",\"", out);
    gw_buf_adds(out, GW_SLICE("\"]"));
}

/* Members of an object that is open. */
static void add_key(struct gw_buf *out, const struct gw_key *key)
{
    gw_json_member_s(out, "id", key->id);
    gw_json_member(out, "appid", key->appid);
    add_roles(out, key->roles);
    gw_json_member(out, "scope", key->scope.ptr ? key->scope : GW_SLICE("*"));
    gw_json_member(out, "name", key->name);
    gw_json_member_time(out, "createdAt", key->created_ms);
}

/* What the audit log keeps of it. */
static struct gw_slice detail_of(struct gw_api_request *request, const struct gw_key *key)
{
    struct gw_buf text = {0};
    gw_buf_addc(&text, '{');
    gw_json_member(&text, "appid", key->appid);
    add_roles(&text, key->roles);
    gw_json_member(&text, "scope", key->scope.ptr ? key->scope : GW_SLICE("*"));
    gw_json_member(&text, "name", key->name);
    gw_buf_addc(&text, '}');
    struct gw_slice detail = gw_arena_dup(gw_api_arena(request), gw_buf_slice(&text));
    gw_buf_deinit(&text);
    return detail;
}

/* ── Telling the shards ────────────────────────────────────────────────────────────────────── */

static void publish(struct change *change, struct gw_slice appid,
                    void (*done)(struct gw_key_publish *publish))
{
    struct gw_api_request *request = change->request;
    size_t count = request->api->shard->flow->shard_count;
    struct gw_key_cache **caches =
        gw_arena_alloc(gw_api_arena(request), count * sizeof(struct gw_key_cache *));
    for (size_t i = 0; i < count; i++)
        caches[i] = request->api->options.apis[i]->key_cache;
    change->publish = (struct gw_key_publish){
        .appid = appid,
        .caches = caches,
        .count = count,
        .env = gw_api_env(request),
        .done = done,
    };
    gw_key_cache_publish(&change->publish);
}

/* ── POST /v1/keys ─────────────────────────────────────────────────────────────────────────── */

/* A text that is sent in a header, where white space around it is lost. */
static enum gw_err check_text(const char *field, yyjson_val *value, struct gw_slice *out,
                              struct gw_error *error)
{
    *out = gw_strict_str(value);
    if (value && !out->ptr)
        return gw_error_set(error, GW_ERR_INVALID, "%s: must be a string, was %s", field,
                            yyjson_get_type_desc(value));
    enum gw_err err = gw_name_check(field, *out, error);
    if (err == GW_OK && (out->ptr[0] == ' ' || out->ptr[out->len - 1] == ' '))
        err = gw_error_set(error, GW_ERR_INVALID, "%s: must not begin or end with a space", field);
    return err;
}

static enum gw_err parse_roles(yyjson_val *value, unsigned *roles, struct gw_error *error)
{
    static const char must[] = "roles: must be an array of admin, producer, client, viewer";
    yyjson_val *item;
    size_t at, count;
    if (!yyjson_is_arr(value) || yyjson_arr_size(value) == 0)
        return gw_error_set(error, GW_ERR_INVALID, "%s, was %s", must,
                            !value                 ? "missing"
                            : yyjson_is_arr(value) ? "empty"
                                                   : yyjson_get_type_desc(value));
    yyjson_arr_foreach(value, at, count, item)
    {
        unsigned role = gw_role_parse(gw_strict_str(item));
        struct gw_slice held =
            yyjson_is_str(item) ? gw_strict_str(item) : gw_slice_from(yyjson_get_type_desc(item));
        if (!role)
            return gw_error_set(error, GW_ERR_INVALID, "%s, held \"%s\"", must,
                                gw_strict_shown(held).text);
        *roles |= role;
    }
    return GW_OK;
}

static enum gw_err parse_scope(yyjson_val *value, struct gw_key *key, struct gw_error *error)
{
    struct gw_slice scope;
    enum gw_err err = check_text("scope", value, &scope, error);
    if (err != GW_OK)
        return err;
    if (!gw_slice_is(scope, "*")) {
        key->scope = key->appid = scope;
        return GW_OK;
    }
    key->appid = key->name;
    if (!key->name.ptr)
        err = gw_error_set(error, GW_ERR_INVALID,
                           "name: is required where the scope is *, for it is the appid then");
    return err;
}

static enum gw_err check_fields(yyjson_val *root, struct gw_error *error)
{
    yyjson_val *field, *value;
    size_t at, count;
    yyjson_obj_foreach(root, at, count, field, value)
    {
        struct gw_slice name = gw_strict_str(field);
        if (!gw_slice_is(name, "name") && !gw_slice_is(name, "roles") &&
            !gw_slice_is(name, "scope"))
            return gw_error_set(error, GW_ERR_INVALID, "unknown field \"%s\"; there are: " FIELDS,
                                gw_strict_shown(name).text);
    }
    return GW_OK;
}

static enum gw_err parse_key(struct gw_slice json, struct gw_arena *arena, struct gw_key *key,
                             struct gw_error *error)
{
    struct gw_error why;
    yyjson_val *root, *name;
    enum gw_err err = gw_strict_read(json, arena, &root, &why);
    if (err != GW_OK)
        return gw_error_set(error, err, "the body %s", why.text);
    err = check_fields(root, error);
    name = yyjson_obj_get(root, "name");
    if (err == GW_OK && name && !yyjson_is_null(name))
        err = check_text("name", name, &key->name, error);
    if (err == GW_OK && key->name.len > GW_KEY_NAME_MAX)
        err = gw_error_set(error, GW_ERR_INVALID, "name: must have at most %d bytes, has %zu",
                           GW_KEY_NAME_MAX, key->name.len);
    if (err == GW_OK)
        err = parse_roles(yyjson_obj_get(root, "roles"), &key->roles, error);
    if (err == GW_OK)
        err = parse_scope(yyjson_obj_get(root, "scope"), key, error);
    return err;
}

static void draw_key(struct change *change, struct gw_key *key)
{
    struct gw_env *env = gw_api_env(change->request);
    uint8_t random[APPKEY_BYTES], id[GW_KEY_ID_BYTES];
    struct gw_buf text = {0};
    gw_env_random(env, id, sizeof(id));
    gw_buf_adds(&text, GW_SLICE("key_"));
    gw_hex_encode(&text, id, sizeof(id));
    snprintf(key->id, sizeof(key->id), "%s", gw_buf_text(&text));
    gw_buf_deinit(&text);
    gw_env_random(env, random, sizeof(random));
    gw_base64url_encode(&change->appkey, random, sizeof(random));
    gw_wipe(random, sizeof(random));
    gw_sha256(gw_buf_slice(&change->appkey), key->hash);
    key->created_ms = gw_env_wall_ms(env);
}

static void forget_appkey(struct change *change)
{
    gw_wipe(change->appkey.ptr, change->appkey.len);
    gw_buf_deinit(&change->appkey);
}

static void on_made(struct gw_key_publish *publish)
{
    struct change *change = gw_container_of(publish, struct change, publish);
    struct gw_buf *out = gw_reply_begin(change->request, 201);
    gw_buf_addc(out, '{');
    add_key(out, &change->put.key);
    gw_json_member(out, "appkey", gw_buf_slice(&change->appkey));
    gw_buf_addc(out, '}');
    forget_appkey(change);
    gw_reply_end(change->request);
}

static void on_put(struct gw_op *op)
{
    struct gw_key_put *put = gw_container_of(op, struct gw_key_put, op);
    struct change *change = gw_container_of(put, struct change, put);
    if (op->err == GW_OK) {
        publish(change, put->key.appid, on_made);
        return;
    }
    forget_appkey(change);
    if (op->err == GW_ERR_FULL)
        gw_reply_fail(change->request, 409,
                      "appid: %d keys share this one, which is as many as may; revoke one first",
                      GW_KEYS_PER_APPID);
    else
        gw_reply_store_failed(change->request, op);
}

void gw_keys_post(struct gw_api_request *request)
{
    struct change *change = gw_arena_zalloc(gw_api_arena(request), sizeof(*change));
    struct gw_key *key = &change->put.key;
    struct gw_error error;
    change->request = request;
    if (parse_key(request->exchange->body, gw_api_arena(request), key, &error) != GW_OK) {
        gw_reply_fail(request, 400, "%s", error.text);
        return;
    }
    if (request->caller.scope.ptr && !gw_slice_eq(request->caller.scope, key->scope)) {
        gw_reply_fail(request, 403, "scope: the caller may make keys of another app only");
        return;
    }
    draw_key(change, key);
    change->put.op = (struct gw_op){.env = gw_api_env(request), .done = on_put};
    change->put.audit = gw_audit_line(request, "key_created", key->scope, gw_slice_from(key->id));
    change->put.audit.detail = detail_of(request, key);
    gw_admin_key_put(admin_of(request), &change->put);
}

/* ── GET /v1/keys ──────────────────────────────────────────────────────────────────────────── */

struct listing {
    struct gw_api_request *request;
    struct gw_key_list op;
};

static void on_listed(struct gw_op *base)
{
    struct gw_key_list *op = gw_container_of(base, struct gw_key_list, op);
    struct listing *listing = gw_container_of(op, struct listing, op);
    if (base->err != GW_OK) {
        gw_reply_store_failed(listing->request, base);
        return;
    }
    struct gw_buf *out = gw_reply_begin(listing->request, 200);
    gw_buf_adds(out, GW_SLICE("{\"items\":["));
    for (size_t i = 0; i < op->count; i++) {
        gw_json_next(out);
        gw_buf_addc(out, '{');
        add_key(out, &op->keys[i]);
        gw_buf_addc(out, '}');
    }
    gw_buf_addc(out, ']');
    gw_json_member_s(out, "next", op->more && op->count ? op->keys[op->count - 1].id : NULL);
    gw_buf_addc(out, '}');
    gw_reply_end(listing->request);
}

void gw_keys_get(struct gw_api_request *request)
{
    enum { LIMIT, CURSOR, COUNT };
    static const char *const names[COUNT] = {"limit", "cursor"};
    struct gw_slice values[COUNT];
    struct gw_error error;
    struct listing *listing = gw_arena_zalloc(gw_api_arena(request), sizeof(*listing));
    listing->request = request;
    listing->op = (struct gw_key_list){
        .op = {.env = gw_api_env(request), .done = on_listed},
        .arena = gw_api_arena(request),
        .scope = request->caller.scope,
    };
    enum gw_err err = gw_query_parse(request, names, COUNT, values, &error);
    if (err == GW_OK)
        err = gw_query_limit(values[LIMIT], &listing->op.max, &error);
    if (err == GW_OK && values[CURSOR].len >= GW_KEY_ID_MAX)
        err = gw_error_set(&error, GW_ERR_INVALID, "cursor: must be the next of an earlier page");
    if (err != GW_OK) {
        gw_reply_fail(request, 400, "%s", error.text);
        return;
    }
    listing->op.after = values[CURSOR];
    gw_admin_key_list(admin_of(request), &listing->op);
}

/* ── DELETE /v1/keys/{id} ──────────────────────────────────────────────────────────────────── */

static void on_revoked(struct gw_key_publish *publish)
{
    struct change *change = gw_container_of(publish, struct change, publish);
    const struct gw_op *op = &change->remove.op;
    if (op->err == GW_ERR_NOT_FOUND) {
        gw_reply_fail(change->request, 404, "there is no such key");
        return;
    }
    if (op->err != GW_OK) {
        gw_reply_store_failed(change->request, op);
        return;
    }
    struct gw_buf *out = gw_reply_begin(change->request, 200);
    gw_buf_addc(out, '{');
    add_key(out, &change->remove.key);
    gw_json_member_bool(out, "revoked", true);
    gw_buf_addc(out, '}');
    gw_reply_end(change->request);
}

/* A removal that failed may have been done all the same, and one that finds nothing may repeat it:
 * then all shards read all keys again. */
static void on_removed(struct gw_op *op)
{
    struct gw_key_remove *remove = gw_container_of(op, struct gw_key_remove, op);
    struct change *change = gw_container_of(remove, struct change, remove);
    publish(change, op->err == GW_OK ? remove->key.appid : (struct gw_slice){0}, on_revoked);
}

void gw_keys_delete(struct gw_api_request *request)
{
    struct change *change = gw_arena_zalloc(gw_api_arena(request), sizeof(*change));
    struct gw_error error;
    if (gw_query_parse(request, NULL, 0, NULL, &error) != GW_OK) {
        gw_reply_fail(request, 400, "%s", error.text);
        return;
    }
    if (request->id.len >= GW_KEY_ID_MAX) {
        gw_reply_fail(request, 404, "there is no such key");
        return;
    }
    change->request = request;
    change->remove = (struct gw_key_remove){
        .op = {.env = gw_api_env(request), .done = on_removed},
        .id = request->id,
        .scope = request->caller.scope,
        .audit = gw_audit_line(request, "key_revoked", (struct gw_slice){0}, request->id),
        .arena = gw_api_arena(request),
    };
    gw_admin_key_remove(admin_of(request), &change->remove);
}
