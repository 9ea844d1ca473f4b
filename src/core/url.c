/* url.c: the grammar of a webhook URL, and what the operator's guard says of scheme, port and
 * addresses. Owns nothing; pure. Which addresses are public is in guard.c.
 *
 * Invariant: what is accepted here means the same to every parser behind it (libcurl, the
 * resolver): no byte that one would decode, fold, cut or read as a number and another would not. */
#include "core/url.h"

#include "base/buf.h"

#include <stdio.h>

#define SHOWN_BYTES_MAX 80 /* of a wrong value in an error text */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

struct gw_slice gw_url_shown(struct gw_slice url)
{
    const char *query = url.len ? memchr(url.ptr, '?', url.len) : NULL;

    if (query)
        url.len = (size_t)(query - url.ptr);
    return url;
}

/* For an error text: without what may hold a token or a password, and short. */
static struct gw_slice harmless(struct gw_slice text)
{
    if (text.len > 0 && memchr(text.ptr, '@', text.len))
        return GW_SLICE("…");
    text = gw_url_shown(text);
    if (text.len > SHOWN_BYTES_MAX)
        text.len = SHOWN_BYTES_MAX;
    return text;
}

/* ── The grammar ───────────────────────────────────────────────────────────────────────────── */

/* What no part of a URL may hold; each with its reason, so that a person can mend it. */
static enum gw_err check_bytes(struct gw_slice text, struct gw_error *error)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        const char *what = NULL;

        if (c == ' ' || (c >= '\t' && c <= '\r'))
            what = "white space (write it as %20)";
        else if (c < 0x20 || c == 0x7F)
            what = "control characters";
        else if (c >= 0x80)
            what = "characters beyond ASCII (write the host in punycode, the rest "
                   "percent-encoded)";
        else if (c == '\\')
            what = "backslashes";
        else if (c == '#')
            what = "a fragment ('#' and what follows)";
        if (what)
            return gw_error_set(error, GW_ERR_INVALID, "must not hold %s; byte %zu does", what,
                                i + 1);
    }
    return GW_OK;
}

static enum gw_err take_scheme(struct gw_slice *rest, bool *https, struct gw_error *error)
{
    static const struct {
        struct gw_slice prefix;
        bool https;
    } schemes[] = {{GW_SLICE("https://"), true}, {GW_SLICE("http://"), false}};

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = schemes[i].prefix.len;
        if (rest->len >= len &&
            gw_slice_eq_nocase((struct gw_slice){rest->ptr, len}, schemes[i].prefix)) {
            *https = schemes[i].https;
            *rest = gw_slice_skip(*rest, len);
            return GW_OK;
        }
    }
    return gw_error_set(error, GW_ERR_INVALID,
                        "must be an https URL such as https://example.com/hook, was \"%.*s\"",
                        GW_SLICE_ARG(harmless(*rest)));
}

/* The part up to the first '/' or '?'. */
static struct gw_slice take_authority(struct gw_slice *rest)
{
    size_t len = 0;

    while (len < rest->len && rest->ptr[len] != '/' && rest->ptr[len] != '?')
        len++;
    struct gw_slice authority = {rest->ptr, len};
    *rest = (struct gw_slice){rest->ptr + len, rest->len - len};
    return authority;
}

/* The last label of a host is a number when some parser could read the host as an IPv4 address:
 * all digits, or 0x and hexadecimal digits. */
static bool ends_in_number(struct gw_slice host)
{
    size_t from = host.len;

    while (from > 0 && host.ptr[from - 1] != '.')
        from--;
    struct gw_slice label = gw_slice_skip(host, from);
    bool is_hexadecimal = label.len >= 2 && label.ptr[0] == '0' && lower(label.ptr[1]) == 'x';
    for (size_t i = is_hexadecimal ? 2 : 0; i < label.len; i++)
        if (is_hexadecimal ? !is_hex(label.ptr[i]) : !is_digit(label.ptr[i]))
            return false;
    return label.len > 0;
}

static enum gw_err check_labels(struct gw_slice host, struct gw_error *error)
{
    struct gw_slice rest = host, label;

    if (host.len == 0)
        return gw_error_set(error, GW_ERR_INVALID, "must name a host");
    if (host.len > 253)
        return gw_error_set(error, GW_ERR_INVALID,
                            "the host has %zu bytes, at most 253 are allowed", host.len);
    for (size_t i = 0; i < host.len; i++)
        if (!is_alnum(host.ptr[i]) && !strchr("-._", host.ptr[i]))
            return gw_error_set(error, GW_ERR_INVALID,
                                "the host may hold letters, digits, '-', '_' and '.', not '%c'",
                                host.ptr[i]);
    if (host.ptr[host.len - 1] == '.')
        return gw_error_set(error, GW_ERR_INVALID, "the host must not end in a dot");
    while (gw_slice_split(&rest, '.', &label))
        if (label.len == 0 || label.len > 63)
            return gw_error_set(error, GW_ERR_INVALID,
                                "each part of the host has 1 to 63 bytes, one has %zu", label.len);
    return GW_OK;
}

static struct gw_slice lowered(struct gw_slice text, struct gw_arena *arena)
{
    char *copy = gw_arena_alloc(arena, text.len + 1);

    for (size_t i = 0; i < text.len; i++)
        copy[i] = lower(text.ptr[i]);
    copy[text.len] = '\0';
    return (struct gw_slice){copy, text.len};
}

static enum gw_err parse_host(struct gw_url *url, struct gw_slice host, struct gw_arena *arena,
                              struct gw_error *error)
{
    enum gw_err err = check_labels(host, error);

    if (err != GW_OK)
        return err;
    if (ends_in_number(host)) {
        if (!gw_addr_parse(host, &url->addr) || url->addr.family != 4)
            return gw_error_set(error, GW_ERR_INVALID,
                                "the host looks like an address but is no plain one such as "
                                "192.0.2.1, was \"%.*s\"",
                                GW_SLICE_ARG(harmless(host)));
        url->host_is_addr = true;
    }
    url->host = lowered(host, arena);
    return GW_OK;
}

/* "[" address "]"; *rest is what follows. */
static enum gw_err parse_literal(struct gw_url *url, struct gw_slice *rest, struct gw_arena *arena,
                                 struct gw_error *error)
{
    const char *end = memchr(rest->ptr, ']', rest->len);

    if (end == NULL)
        return gw_error_set(error, GW_ERR_INVALID, "the address in '[' is not closed by ']'");
    struct gw_slice inside = {rest->ptr + 1, (size_t)(end - rest->ptr) - 1};
    if (!gw_addr_parse(inside, &url->addr) || url->addr.family != 6)
        return gw_error_set(error, GW_ERR_INVALID,
                            "between '[' and ']' must stand an IPv6 address without a zone, was "
                            "\"%.*s\"",
                            GW_SLICE_ARG(harmless(inside)));
    url->host_is_addr = true;
    url->host = lowered(inside, arena);
    *rest = gw_slice_skip(*rest, inside.len + 2);
    return GW_OK;
}

static enum gw_err parse_port(struct gw_url *url, struct gw_slice text, struct gw_error *error)
{
    uint64_t port;

    if (!gw_slice_u64(text, &port) || port < 1 || port > 65535 || text.ptr[0] == '0')
        return gw_error_set(error, GW_ERR_INVALID,
                            "the port must be a number from 1 to 65535 without leading zeroes, "
                            "was \"%.*s\"",
                            GW_SLICE_ARG(harmless(text)));
    url->port = (uint16_t)port;
    return GW_OK;
}

static enum gw_err parse_authority(struct gw_url *url, struct gw_slice rest, struct gw_arena *arena,
                                   struct gw_error *error)
{
    enum gw_err err;

    if (rest.len > 0 && memchr(rest.ptr, '@', rest.len))
        return gw_error_set(error, GW_ERR_INVALID,
                            "must not hold a user name or password before the host");
    url->port = url->https ? 443 : 80;
    if (rest.len > 0 && rest.ptr[0] == '[') {
        err = parse_literal(url, &rest, arena, error);
    } else {
        const char *colon = rest.len ? memchr(rest.ptr, ':', rest.len) : NULL;
        size_t len = colon ? (size_t)(colon - rest.ptr) : rest.len;
        err = parse_host(url, (struct gw_slice){rest.ptr, len}, arena, error);
        rest = gw_slice_skip(rest, len);
    }
    if (err != GW_OK || rest.len == 0)
        return err;
    if (rest.ptr[0] != ':')
        return gw_error_set(error, GW_ERR_INVALID, "after ']' may stand a port, a path or nothing");
    return parse_port(url, gw_slice_skip(rest, 1), error);
}

/* RFC 3986 pchar, '/', and in a query '?'. */
static enum gw_err check_path(const char *part, struct gw_slice text, struct gw_error *error)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%' && (i + 2 >= text.len || !is_hex(text.ptr[i + 1]) || !is_hex(text.ptr[i + 2])))
            return gw_error_set(error, GW_ERR_INVALID,
                                "a '%%' in the %s must be followed by two hexadecimal digits",
                                part);
        if (!is_alnum(c) && !strchr("%-._~!$&'()*+,;=:@/?", c))
            return gw_error_set(error, GW_ERR_INVALID, "the %s may hold '%c' only as %%%02X", part,
                                c, (unsigned)(unsigned char)c);
    }
    return GW_OK;
}

enum gw_err gw_url_parse(struct gw_url *url, struct gw_slice text, struct gw_arena *arena,
                         struct gw_error *error)
{
    struct gw_slice rest = text;
    enum gw_err err;

    *url = (struct gw_url){.text = text};
    if (text.len == 0)
        return gw_error_set(error, GW_ERR_INVALID, "must not be empty");
    if (text.len > GW_URL_BYTES_MAX)
        return gw_error_set(error, GW_ERR_INVALID, "must have at most %d bytes, has %zu",
                            GW_URL_BYTES_MAX, text.len);
    if ((err = check_bytes(text, error)) != GW_OK ||
        (err = take_scheme(&rest, &url->https, error)) != GW_OK ||
        (err = parse_authority(url, take_authority(&rest), arena, error)) != GW_OK)
        return err;
    url->path = gw_url_shown(rest);
    if (url->path.len < rest.len)
        url->query = (struct gw_slice){rest.ptr + url->path.len + 1, rest.len - url->path.len - 1};
    if ((err = check_path("path", url->path, error)) != GW_OK ||
        (err = check_path("query", url->query, error)) != GW_OK)
        return err;
    if (url->path.len == 0)
        url->path = GW_SLICE("/");
    return GW_OK;
}

/* ── The guard ─────────────────────────────────────────────────────────────────────────────── */

static bool port_allowed(const struct gw_guard *guard, uint16_t port)
{
    if (guard->allow_any_port || port == 443 || (port == 80 && guard->allow_http))
        return true;
    for (size_t i = 0; i < guard->port_count; i++)
        if (guard->ports[i] == port)
            return true;
    return false;
}

static enum gw_err port_refused(const struct gw_guard *guard, const char *field, uint16_t port,
                                struct gw_error *error)
{
    char text[64 * 7 + 16];
    int len = snprintf(text, sizeof(text), "443%s", guard->allow_http ? ", 80" : "");

    for (size_t i = 0; i < guard->port_count; i++)
        len += snprintf(text + len, sizeof(text) - (size_t)len, ", %u", guard->ports[i]);
    return gw_error_set(error, GW_ERR_INVALID,
                        "%s: port %u is not allowed; the operator adds ports with --allow-ports, "
                        "allowed: %s",
                        field, port, text);
}

enum gw_err gw_guard_url(const struct gw_guard *guard, const char *field, const struct gw_url *url,
                         struct gw_error *error)
{
    char addr[GW_ADDR_TEXT_MAX];

    if (!url->https && !guard->allow_http)
        return gw_error_set(error, GW_ERR_INVALID,
                            "%s: must be an https URL (http only where the operator sets "
                            "--allow-http), was \"%.*s\"",
                            field, GW_SLICE_ARG(harmless(url->text)));
    if (!port_allowed(guard, url->port))
        return port_refused(guard, field, url->port, error);
    const char *why = url->host_is_addr ? gw_guard_addr(guard, &url->addr) : NULL;
    if (why)
        return gw_error_set(error, GW_ERR_INVALID,
                            "%s: must lead to a public address (or one in --allow-nets), %s is %s",
                            field, gw_addr_text(&url->addr, addr).ptr, why);
    return GW_OK;
}

bool gw_guard_ports_parse(struct gw_guard *guard, struct gw_slice text, struct gw_slice *bad)
{
    struct gw_slice rest = gw_slice_trim(text), part;
    const size_t ports_max = sizeof(guard->ports) / sizeof(guard->ports[0]);

    guard->allow_any_port = gw_slice_is(rest, "*");
    guard->port_count = 0;
    if (rest.len == 0 || guard->allow_any_port)
        return true;
    while (gw_slice_split(&rest, ',', &part)) {
        uint64_t port;
        part = gw_slice_trim(part);
        if (!gw_slice_u64(part, &port) || port < 1 || port > 65535 || part.ptr[0] == '0' ||
            guard->port_count == ports_max) {
            *bad = part;
            return false;
        }
        guard->ports[guard->port_count++] = (uint16_t)port;
    }
    return true;
}
