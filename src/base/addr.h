/* addr.h: IP addresses and networks, as bytes. No names, no ports. */
#pragma once

#include "base/slice.h"

#define GW_ADDR_TEXT_MAX 48

struct gw_addr {
    uint8_t family;    /* 4 or 6; 0 = none */
    uint8_t bytes[16]; /* network order; 4 of them for family 4 */
};

struct gw_net {
    struct gw_addr addr;
    uint8_t prefix_bits;
};

struct gw_net_list {
    struct gw_net *nets;
    size_t count;
    bool any; /* "*" */
};

/* Strict dotted quad (no octal, no short forms) or RFC 4291 text, no brackets, no zone. */
bool gw_addr_parse(struct gw_slice text, struct gw_addr *addr);
struct gw_slice gw_addr_text(const struct gw_addr *addr, char text[GW_ADDR_TEXT_MAX]);
bool gw_addr_eq(const struct gw_addr *a, const struct gw_addr *b);

/* ::ffff:a.b.c.d becomes a.b.c.d; anything else stays. */
struct gw_addr gw_addr_unmap(const struct gw_addr *addr);

/* "10.0.0.0/8", or an address alone; bits behind the prefix must be zero. */
bool gw_net_parse(struct gw_slice text, struct gw_net *net);
bool gw_net_contains(const struct gw_net *net, const struct gw_addr *addr);

/* Comma-separated networks and addresses, white space around them allowed, or "*"; blank text is an
 * empty list. On failure the list is empty and *bad is the part that is wrong. The list is freed
 * with gw_net_list_deinit. */
bool gw_net_list_parse(struct gw_slice text, struct gw_net_list *list, struct gw_slice *bad);
bool gw_net_list_contains(const struct gw_net_list *list, const struct gw_addr *addr); /* unmaps */
void gw_net_list_deinit(struct gw_net_list *list);
