/* url.h: where we may send. The grammar of a webhook URL, and the guard over addresses. Pure:
 * names are resolved elsewhere, every address comes back here. CONTRACT section 2, "URLs". */
#pragma once

#include "base/addr.h"
#include "base/arena.h"
#include "base/err.h"

#define GW_URL_BYTES_MAX 2048

struct gw_url {
    struct gw_slice text; /* the whole, as it is sent */
    bool https;
    struct gw_slice host; /* lower case, no brackets */
    bool host_is_addr;
    struct gw_addr addr;   /* when host_is_addr */
    uint16_t port;         /* default filled in */
    struct gw_slice path;  /* "/" when empty */
    struct gw_slice query; /* behind '?'; ptr NULL = none */
};

/* What the operator allows beyond the default: https to public addresses on port 443. */
struct gw_guard {
    bool allow_http;
    bool allow_any_port; /* --allow-ports '*' */
    uint16_t ports[64];  /* --allow-ports */
    size_t port_count;
    struct gw_net_list nets; /* --allow-nets: not public, allowed all the same */
};

/* RFC 3986, narrowed: http or https, a host of letters, digits, hyphens, dots and underscores or
 * an address literal; no userinfo, fragment, backslash, white space, control or non-ASCII bytes,
 * no percent sign in the host; a host whose last label is a number must be a strict dotted quad
 * (so 0x7f.1, 2130706433, 127.1 and 0177.0.0.1 are refused); no trailing dot, labels 1-63, host
 * <= 253, port 1-65535 written without leading zeroes. At most 2 048 bytes.
 * Strings are in the arena or in `text`. The error begins with the reason, without the field. */
enum gw_err gw_url_parse(struct gw_url *url, struct gw_slice text, struct gw_arena *arena,
                         struct gw_error *error);

/* Scheme, port and, for a literal, the address. `field` is for the error text. */
enum gw_err gw_guard_url(const struct gw_guard *guard, const char *field, const struct gw_url *url,
                         struct gw_error *error);

/* NULL = may be connected to; else why not, in a few words ("a loopback address", "a private
 * address", "a link-local address"): whatever is not global unicast by the IANA special-purpose
 * registries, with IPv4 inside IPv6 (mapped, compatible, NAT64, 6to4, Teredo) judged by what is
 * inside, and the clouds' metadata addresses. */
const char *gw_guard_addr(const struct gw_guard *guard, const struct gw_addr *addr);

/* "443,8443" or "*" into the guard; false: *bad is the part that is wrong. */
bool gw_guard_ports_parse(struct gw_guard *guard, struct gw_slice text, struct gw_slice *bad);

/* The part of a URL before '?': what may be shown and stored with attempts. */
struct gw_slice gw_url_shown(struct gw_slice url);
