/* auth.c: owns the decision who may call. Addresses first, then credentials; comparing secrets takes
 * time that depends on their lengths only.
 *
 * Kinds of credentials are tried in turn (gw_auth_caller): now headers with the admin's key; JWTs,
 * stored keys and the external service are to join there, the last of which answers later. */
#include "api/auth.h"

#include "base/crypto.h"

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

/* ── The credentials ───────────────────────────────────────────────────────────────────────── */

static bool check_admin_key(struct gw_api_request *request, struct gw_slice name,
                            struct gw_slice key)
{
    const struct gw_api *api = request->api;
    bool name_ok = gw_equal_secret(name, api->admin_name);
    bool key_ok = gw_equal_secret(key, api->admin_key);
    if (!(name_ok & key_ok))
        return false;
    request->caller = (struct gw_caller){
        .roles = GW_ROLE_ADMIN | GW_ROLE_PRODUCER | GW_ROLE_CLIENT | GW_ROLE_VIEWER,
        .name = api->admin_name,
    };
    return true;
}

void gw_auth_caller(struct gw_api_request *request,
                    void (*then)(struct gw_api_request *request,
                                 const struct gw_auth_answer *answer))
{
    struct gw_auth_answer answer = {401, "Missing/Invalid credentials"};
    struct gw_slice name = gw_exchange_header(request->exchange, "appid");
    struct gw_slice key = gw_exchange_header(request->exchange, "appkey");
    if (name.ptr && key.ptr && check_admin_key(request, name, key))
        answer = (struct gw_auth_answer){0, NULL};
    then(request, &answer);
}

const char *gw_auth_role_names(struct gw_arena *arena, unsigned roles)
{
    static const struct {
        unsigned role;
        const char *name;
    } names[] = {
        {GW_ROLE_ADMIN, "admin"},
        {GW_ROLE_PRODUCER, "producer"},
        {GW_ROLE_CLIENT, "client"},
        {GW_ROLE_VIEWER, "viewer"},
    };
    const char *text = "";
    for (size_t i = 0; i < gw_count(names); i++)
        if (roles & names[i].role)
            text = gw_arena_printf(arena, "%s%s%s", text, *text ? " or " : "", names[i].name);
    return text;
}
