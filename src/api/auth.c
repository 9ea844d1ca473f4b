/* auth.c: owns the decision who may call. Addresses first, then credentials:
 *
 *   Authorization: Bearer ─▶ a token (jwt.c) ──────────────────────────────▶ yes, or 401
 *   appid, appkey ─▶ the admin's key of the settings? ─▶ yes
 *        └─▶ stored keys of that appid (key_cache.c) ─┬─ one fits ─────────▶ yes
 *                                                     ├─ there are others ─▶ 401
 *                                                     └─ there is none ────▶ the external service
 *                                                        (auth_service.c), where there is one
 *
 * What is shown decides: nothing falls through to another kind once one is recognised, and what
 * cannot be checked now is 503, never a yes. Comparing secrets takes time that depends on their
 * lengths only. A caller's scope is either absent, which only a stored key or the admin's can be, or
 * a name; never empty, for an empty one would read as "any" further on. */
#include "api/auth.h"

#include "api/auth_service.h"
#include "api/jwt.h"
#include "api/key_cache.h"
#include "base/crypto.h"
#include "core/event.h"

#define APPKEY_BYTES_MAX 4096

#define ADDRESSES_MAX 64 /* of an X-Forwarded-For looked at; more are nobody's honest chain */

/* ── The address ───────────────────────────────────────────────────────────────────────────── */

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80" */
static bool parse_forwarded(struct gw_slice text, struct gw_addr *addr)
{
    if (text.len > 0 && text.ptr[0] == '[') {
        const char *end = memchr(text.ptr, ']', text.len);
        if (!end)
            return false;
        text = (struct gw_slice){text.ptr + 1, (size_t)(end - text.ptr) - 1};
        return gw_addr_parse(text, addr);
    }
    if (gw_addr_parse(text, addr))
        return true;
    struct gw_slice host, rest = text;
    return gw_slice_split(&rest, ':', &host) && rest.ptr && gw_addr_parse(host, addr);
}

/* Takes the last comma-separated part off *list; false when nothing is left. */
static bool split_last(struct gw_slice *list, struct gw_slice *part)
{
    if (!list->ptr)
        return false;
    size_t at = list->len;
    while (at > 0 && list->ptr[at - 1] != ',')
        at--;
    *part = gw_slice_trim(gw_slice_skip(*list, at));
    *list = at > 0 ? (struct gw_slice){list->ptr, at - 1} : (struct gw_slice){0};
    return true;
}

struct gw_addr gw_auth_address(const struct gw_api_options *options,
                               const struct gw_exchange *exchange)
{
    struct gw_addr addr = exchange->peer;
    size_t seen = 0;
    if (!gw_net_list_contains(&options->trusted_proxies, &addr))
        return addr;
    for (size_t i = exchange->header_count; i-- > 0;) {
        struct gw_slice list = exchange->headers[i].value, part;
        if (!gw_slice_eq_nocase(exchange->headers[i].name, GW_SLICE("x-forwarded-for")))
            continue;
        while (split_last(&list, &part)) {
            struct gw_addr hop;
            if (part.len == 0)
                continue;
            if (++seen > ADDRESSES_MAX || !parse_forwarded(part, &hop))
                return (struct gw_addr){0};
            addr = gw_addr_unmap(&hop);
            if (!gw_net_list_contains(&options->trusted_proxies, &addr))
                return addr;
        }
    }
    return addr;
}

bool gw_auth_address_allowed(const struct gw_api_options *options,
                             const struct gw_exchange *exchange)
{
    if (options->allowed_ips.any)
        return true;
    struct gw_addr addr = gw_auth_address(options, exchange);
    return addr.family != 0 && gw_net_list_contains(&options->allowed_ips, &addr);
}

/* ── Callers ───────────────────────────────────────────────────────────────────────────────── */

/* What goes on when the store or the service has to be asked; in the request's arena. */
struct check {
    struct gw_api_request *request;
    gw_auth_then *then;
    struct gw_slice name, key;
    struct gw_key_wait wait;
    struct gw_auth_ask ask;
};

/* Nobody can say now, which is no yes. */
static void put_off(struct gw_api_request *request, gw_auth_then *then, const char *why,
                    int64_t again_ms)
{
    struct gw_auth_answer later = {503, why, again_ms};
    gw_api_count(request->api, GW_API_COUNT_UNCHECKED);
    then(request, &later);
}

static void refuse(struct gw_api_request *request, gw_auth_then *then)
{
    static const struct gw_auth_answer no = {401, "Missing/Invalid credentials", 0};
    gw_api_count(request->api, GW_API_COUNT_CREDENTIALS);
    then(request, &no);
}

/* A damaged key opens nothing. */
static void accept(struct gw_api_request *request, gw_auth_then *then)
{
    static const struct gw_auth_answer yes;
    const struct gw_caller *caller = &request->caller;
    if (caller->roles && (!caller->scope.ptr || caller->scope.len > 0))
        then(request, &yes);
    else
        refuse(request, then);
}

/* ── Tokens ────────────────────────────────────────────────────────────────────────────────── */

static void check_token(struct gw_api_request *request, struct gw_slice token, gw_auth_then *then)
{
    static const struct gw_auth_answer expired = {401, "Token Expired", 0};
    const struct gw_rsa_key *key = request->api->options.jwt_key;
    struct gw_slice app_id;
    switch (key ? gw_jwt_check(token, key, gw_env_wall_ms(gw_api_env(request)),
                               gw_api_arena(request), &app_id)
                : GW_JWT_INVALID) {
    case GW_JWT_OK:
        request->caller = (struct gw_caller){GW_ROLE_CLIENT, app_id, app_id, GW_SLICE("token")};
        accept(request, then);
        return;
    case GW_JWT_EXPIRED:
        gw_api_count(request->api, GW_API_COUNT_EXPIRED);
        then(request, &expired);
        return;
    case GW_JWT_INVALID: break;
    }
    refuse(request, then);
}

/* ── The external service ──────────────────────────────────────────────────────────────────── */

static void on_verdict(struct gw_auth_ask *ask)
{
    struct check *check = gw_container_of(ask, struct check, ask);
    switch (ask->verdict) {
    case GW_AUTH_VALID:
        check->request->caller =
            (struct gw_caller){GW_ROLE_CLIENT, check->name, check->name, GW_SLICE("service")};
        accept(check->request, check->then);
        return;
    case GW_AUTH_INVALID: refuse(check->request, check->then); return;
    case GW_AUTH_UNKNOWN: break;
    }
    put_off(check->request, check->then, ask->why, 1000);
}

/* An appid that could be no app's is nobody's. What the settings or the store know is not asked. */
static void ask_service(struct check *check)
{
    struct gw_api *api = check->request->api;
    struct gw_auth_service *service = api->options.apis[0]->auth_service;
    struct gw_error error;
    if (!service || gw_slice_eq(check->name, api->admin_name) ||
        gw_name_check("appid", check->name, &error) != GW_OK) {
        refuse(check->request, check->then);
        return;
    }
    check->ask.appid = check->name;
    check->ask.appkey = check->key;
    check->ask.env = gw_api_env(check->request);
    check->ask.done = on_verdict;
    gw_auth_service_ask(service, &check->ask);
}

/* ── Keys ──────────────────────────────────────────────────────────────────────────────────── */

static bool check_admin_key(struct gw_api_request *request, struct gw_slice name,
                            struct gw_slice key)
{
    const struct gw_api *api = request->api;
    if (!api->admin_key.ptr)
        return false;
    bool name_ok = gw_equal_secret(name, api->admin_name);
    bool key_ok = gw_equal_secret(key, api->admin_key);
    if (!(name_ok & key_ok))
        return false;
    request->caller = (struct gw_caller){.roles = GW_ROLE_ALL, .name = api->admin_name};
    return true;
}

/* The one that the appkey belongs to; all are compared, whichever it is. NULL: none. */
static const struct gw_key *find_key(const struct gw_key_set *set, struct gw_slice appkey)
{
    const struct gw_key *found = NULL;
    uint8_t hash[GW_SHA256_BYTES];
    gw_sha256(appkey, hash);
    for (size_t i = 0; i < set->count; i++) {
        const struct gw_key *key = &set->keys[i];
        if (gw_equal_secret((struct gw_slice){(const char *)key->hash, sizeof(key->hash)},
                            (struct gw_slice){(const char *)hash, sizeof(hash)}))
            found = key;
    }
    return found;
}

/* The cache may forget the key before the request is over, so its texts are copied. */
static void accept_key(struct gw_api_request *request, const struct gw_key *key, gw_auth_then *then)
{
    struct gw_arena *arena = gw_api_arena(request);
    request->caller = (struct gw_caller){
        .roles = key->roles,
        .scope = gw_arena_dup(arena, key->scope),
        .name = gw_arena_dup(arena, key->name.ptr ? key->name : key->appid),
        .via = gw_arena_dup(arena, gw_slice_from(key->id)),
    };
    accept(request, then);
}

static void on_keys(struct gw_key_wait *wait, const struct gw_key_set *set,
                    const struct gw_op *failed)
{
    struct check *check = gw_container_of(wait, struct check, wait);
    const struct gw_key *key = set ? find_key(set, check->key) : NULL;
    if (!set)
        put_off(check->request, check->then, "keys cannot be checked now", failed->again_ms);
    else if (key)
        accept_key(check->request, key, check->then);
    else if (set->count == 0)
        ask_service(check);
    else
        refuse(check->request, check->then);
}

static void check_key(struct gw_api_request *request, struct gw_slice name, struct gw_slice key,
                      gw_auth_then *then)
{
    struct gw_key_cache *cache = request->api->key_cache;
    const struct gw_key_set *set;
    const struct gw_key *found;
    if (check_admin_key(request, name, key)) {
        accept(request, then);
        return;
    }
    set = gw_key_cache_peek(cache, name);
    found = set ? find_key(set, key) : NULL;
    if (found) {
        accept_key(request, found, then);
    } else if (set && set->count > 0) {
        refuse(request, then);
    } else {
        struct check *check = gw_arena_zalloc(gw_api_arena(request), sizeof(*check));
        *check = (struct check){.request = request, .then = then, .name = name, .key = key};
        check->wait.ready = on_keys;
        if (set)
            ask_service(check);
        else
            gw_key_cache_load(cache, name, &check->wait);
    }
}

/* ── What the caller shows ─────────────────────────────────────────────────────────────────── */

struct shown {
    struct gw_slice authorization, name, key;
    bool twice; /* one of them: whoever passed the request on may have looked at the other */
};

static void take_header(const struct gw_header *header, const char *name, struct gw_slice *value,
                        bool *twice)
{
    if (!gw_slice_eq_nocase(header->name, gw_slice_from(name)))
        return;
    *twice |= value->ptr != NULL;
    *value = header->value;
}

static struct shown read_headers(const struct gw_exchange *exchange)
{
    struct shown shown = {0};
    for (size_t i = 0; i < exchange->header_count; i++) {
        const struct gw_header *header = &exchange->headers[i];
        take_header(header, "authorization", &shown.authorization, &shown.twice);
        take_header(header, "appid", &shown.name, &shown.twice);
        take_header(header, "appkey", &shown.key, &shown.twice);
    }
    return shown;
}

/* "Bearer TOKEN"; another scheme is not for us. */
static bool is_bearer(struct gw_slice authorization, struct gw_slice *token)
{
    static const struct gw_slice scheme = {"bearer ", 7};
    *token = gw_slice_trim(gw_slice_skip(authorization, scheme.len));
    return authorization.len >= scheme.len &&
           gw_slice_eq_nocase((struct gw_slice){authorization.ptr, scheme.len}, scheme);
}

/* Could be one; what is asked further on relies on it. */
static bool is_credential(struct gw_slice text, size_t bytes_max)
{
    if (text.len == 0 || text.len > bytes_max)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7F)
            return false;
    return true;
}

void gw_auth_caller(struct gw_api_request *request, gw_auth_then *then)
{
    struct shown shown = read_headers(request->exchange);
    struct gw_slice token;
    if (shown.twice)
        refuse(request, then);
    else if (is_bearer(shown.authorization, &token))
        check_token(request, token, then);
    else if (is_credential(shown.name, GW_NAME_BYTES_MAX) &&
             is_credential(shown.key, APPKEY_BYTES_MAX))
        check_key(request, shown.name, shown.key, then);
    else
        refuse(request, then);
}
