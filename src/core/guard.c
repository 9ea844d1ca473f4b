/* guard.c: which addresses may be called: url.h's gw_guard_addr. Owns three tables; pure.
 *
 * Taken from the IANA special-purpose address registries for IPv4 and IPv6, the IPv6 address space
 * registry (only 2000::/3 is global unicast) and the documents of the clouds. Invariant: an IPv4
 * address inside an IPv6 one is judged as if it stood alone; whatever the tables do not know as
 * public is refused for IPv6. */
#include "base/alloc.h"
#include "core/url.h"

#define V4(a, b, c, d, bits)                                                                       \
    {                                                                                              \
        {4, {(a), (b), (c), (d)}}, (bits)                                                          \
    }
#define WORD(w) (uint8_t)((w) >> 8), (uint8_t)((w)&0xFF)
#define V6(a, b, c, d, e, f, g, h, bits)                                                           \
    {                                                                                              \
        {6, {WORD(a), WORD(b), WORD(c), WORD(d), WORD(e), WORD(f), WORD(g), WORD(h)}}, (bits)      \
    }

struct range {
    struct gw_net net;
    const char *what; /* NULL = public by the registry, though inside a range that is not */
    const char *source;
};

#define METADATA "a cloud metadata address"
#define PROTOCOL "an address reserved for protocols"
#define EXAMPLES "a documentation address"

/* Where clouds answer with credentials. First, so that they are named as such. */
static const struct range metadata[] = {
    {V4(169, 254, 169, 254, 32), METADATA, "AWS, Azure, Google, DigitalOcean, OpenStack, Oracle"},
    {V4(169, 254, 170, 2, 32), METADATA, "AWS ECS task credentials"},
    {V4(169, 254, 170, 23, 32), METADATA, "AWS EKS pod identity"},
    {V4(169, 254, 42, 42, 32), METADATA, "Scaleway"},
    {V4(100, 100, 100, 200, 32), METADATA, "Alibaba"},
    {V4(192, 0, 0, 192, 32), METADATA, "Oracle"},
    {V4(168, 63, 129, 16, 32), METADATA, "Azure wire server; a public number"},
    {V6(0xFD00, 0x0EC2, 0, 0, 0, 0, 0, 0x0254, 128), METADATA, "AWS"},
    {V6(0xFD00, 0x0EC2, 0, 0, 0, 0, 0, 0x0023, 128), METADATA, "AWS EKS pod identity"},
    {V6(0xFD20, 0x00CE, 0, 0, 0, 0, 0, 0x0254, 128), METADATA, "Google"},
    {V6(0xFD00, 0x0042, 0, 0, 0, 0, 0, 0x0042, 128), METADATA, "Scaleway"},
};

/* The first that fits decides. */
static const struct range special[] = {
    {V4(0, 0, 0, 0, 32), "the unspecified address", "RFC 1122"},
    {V4(0, 0, 0, 0, 8), "an address of this network", "RFC 791"},
    {V4(10, 0, 0, 0, 8), "a private address", "RFC 1918"},
    {V4(100, 64, 0, 0, 10), "a carrier-grade NAT address", "RFC 6598"},
    {V4(127, 0, 0, 0, 8), "a loopback address", "RFC 1122"},
    {V4(169, 254, 0, 0, 16), "a link-local address", "RFC 3927"},
    {V4(172, 16, 0, 0, 12), "a private address", "RFC 1918"},
    {V4(192, 0, 0, 9, 32), NULL, "PCP anycast, RFC 7723"},
    {V4(192, 0, 0, 10, 32), NULL, "TURN anycast, RFC 8155"},
    {V4(192, 0, 0, 0, 24), PROTOCOL, "RFC 6890; in it RFC 7335, 7600, 8880"},
    {V4(192, 0, 2, 0, 24), EXAMPLES, "RFC 5737"},
    {V4(192, 31, 196, 0, 24), NULL, "AS112-v4, RFC 7535"},
    {V4(192, 52, 193, 0, 24), NULL, "AMT, RFC 7450"},
    {V4(192, 88, 99, 0, 24), "a 6to4 relay address", "RFC 7526; in it RFC 6751"},
    {V4(192, 168, 0, 0, 16), "a private address", "RFC 1918"},
    {V4(192, 175, 48, 0, 24), NULL, "AS112 direct delegation, RFC 7534"},
    {V4(198, 18, 0, 0, 15), "a benchmarking address", "RFC 2544"},
    {V4(198, 51, 100, 0, 24), EXAMPLES, "RFC 5737"},
    {V4(203, 0, 113, 0, 24), EXAMPLES, "RFC 5737"},
    {V4(224, 0, 0, 0, 4), "a multicast address", "RFC 5771"},
    {V4(255, 255, 255, 255, 32), "the broadcast address", "RFC 919"},
    {V4(240, 0, 0, 0, 4), "a reserved address", "RFC 1112"},

    {V6(0, 0, 0, 0, 0, 0, 0, 0, 128), "the unspecified address", "RFC 4291"},
    {V6(0, 0, 0, 0, 0, 0, 0, 1, 128), "a loopback address", "RFC 4291"},
    {V6(0x0064, 0xFF9B, 1, 0, 0, 0, 0, 0, 48), "a local translation address", "RFC 8215"},
    {V6(0x0100, 0, 0, 0, 0, 0, 0, 0, 64), "a discard-only address", "RFC 6666"},
    {V6(0x0100, 0, 0, 1, 0, 0, 0, 0, 64), "a dummy address", "RFC 9780"},
    {V6(0x2001, 1, 0, 0, 0, 0, 0, 1, 128), NULL, "PCP anycast, RFC 7723"},
    {V6(0x2001, 1, 0, 0, 0, 0, 0, 2, 128), NULL, "TURN anycast, RFC 8155"},
    {V6(0x2001, 1, 0, 0, 0, 0, 0, 3, 128), NULL, "DNS-SD registration anycast, RFC 9665"},
    {V6(0x2001, 2, 0, 0, 0, 0, 0, 0, 48), "a benchmarking address", "RFC 5180"},
    {V6(0x2001, 3, 0, 0, 0, 0, 0, 0, 32), NULL, "AMT, RFC 7450"},
    {V6(0x2001, 4, 0x0112, 0, 0, 0, 0, 0, 48), NULL, "AS112-v6, RFC 7535"},
    {V6(0x2001, 0x0010, 0, 0, 0, 0, 0, 0, 28), "an ORCHID, no address", "RFC 4843"},
    {V6(0x2001, 0x0020, 0, 0, 0, 0, 0, 0, 28), NULL, "ORCHIDv2, RFC 7343"},
    {V6(0x2001, 0x0030, 0, 0, 0, 0, 0, 0, 28), NULL, "drone identification, RFC 9374"},
    {V6(0x2001, 0, 0, 0, 0, 0, 0, 0, 23), PROTOCOL, "RFC 2928"},
    {V6(0x2001, 0x0DB8, 0, 0, 0, 0, 0, 0, 32), EXAMPLES, "RFC 3849"},
    {V6(0x2620, 0x004F, 0x8000, 0, 0, 0, 0, 0, 48), NULL, "AS112 direct delegation, RFC 7534"},
    {V6(0x3FFF, 0, 0, 0, 0, 0, 0, 0, 20), EXAMPLES, "RFC 9637"},
    {V6(0x2000, 0, 0, 0, 0, 0, 0, 0, 3), NULL, "global unicast, RFC 4291"},
    {V6(0x5F00, 0, 0, 0, 0, 0, 0, 0, 16), "a segment routing identifier", "RFC 9602"},
    {V6(0xFC00, 0, 0, 0, 0, 0, 0, 0, 7), "a private address", "RFC 4193"},
    {V6(0xFE80, 0, 0, 0, 0, 0, 0, 0, 10), "a link-local address", "RFC 4291"},
    {V6(0xFEC0, 0, 0, 0, 0, 0, 0, 0, 10), "a site-local address", "RFC 3879"},
    {V6(0xFF00, 0, 0, 0, 0, 0, 0, 0, 8), "a multicast address", "RFC 4291"},
    {V6(0, 0, 0, 0, 0, 0, 0, 0, 0), "not a global unicast address", "the rest"},
};

/* Where an IPv4 address stands inside an IPv6 one. Teredo holds two: its server, and the client
 * with all bits turned. */
static const struct {
    struct gw_net net;
    uint8_t at;
    uint8_t flip;
} inside[] = {
    {V6(0, 0, 0, 0, 0, 0xFFFF, 0, 0, 96), 12, 0},      /* mapped, RFC 4291 */
    {V6(0, 0, 0, 0, 0, 0, 0, 0, 96), 12, 0},           /* compatible, RFC 4291 */
    {V6(0x0064, 0xFF9B, 0, 0, 0, 0, 0, 0, 96), 12, 0}, /* NAT64, RFC 6052 */
    {V6(0x2002, 0, 0, 0, 0, 0, 0, 0, 16), 2, 0},       /* 6to4, RFC 3056 */
    {V6(0x2001, 0, 0, 0, 0, 0, 0, 0, 32), 4, 0},       /* Teredo server, RFC 4380 */
    {V6(0x2001, 0, 0, 0, 0, 0, 0, 0, 32), 12, 0xFF},   /* Teredo client */
};

static const struct range *find(const struct range *ranges, size_t count,
                                const struct gw_addr *addr)
{
    for (size_t i = 0; i < count; i++)
        if (gw_net_contains(&ranges[i].net, addr))
            return &ranges[i];
    return NULL;
}

static const char *judge_v4(const struct gw_guard *guard, const struct gw_addr *addr)
{
    const struct range *range;

    if (gw_net_list_contains(&guard->nets, addr))
        return NULL;
    range = find(metadata, gw_count(metadata), addr);
    if (range == NULL)
        range = find(special, gw_count(special), addr);
    return range ? range->what : NULL;
}

/* True when the address holds IPv4 ones; *why is then the verdict over all of them. */
static bool judge_inside(const struct gw_guard *guard, const struct gw_addr *addr, const char **why)
{
    bool found = false;

    *why = NULL;
    for (size_t i = 0; i < gw_count(inside) && *why == NULL; i++) {
        struct gw_addr v4 = {.family = 4};
        if (!gw_net_contains(&inside[i].net, addr))
            continue;
        for (size_t b = 0; b < 4; b++)
            v4.bytes[b] = addr->bytes[inside[i].at + b] ^ inside[i].flip;
        *why = judge_v4(guard, &v4);
        found = true;
    }
    return found;
}

/* :: and ::1 lie among the compatible addresses, but hold no IPv4 address. */
static bool is_low(const struct gw_addr *addr)
{
    static const uint8_t zeroes[15];

    return memcmp(addr->bytes, zeroes, sizeof(zeroes)) == 0 && addr->bytes[15] <= 1;
}

const char *gw_guard_addr(const struct gw_guard *guard, const struct gw_addr *addr)
{
    const struct range *range;
    const char *why;

    if (addr->family == 4)
        return judge_v4(guard, addr);
    if (addr->family != 6)
        return "no address";
    if (gw_net_list_contains(&guard->nets, addr))
        return NULL;
    range = find(metadata, gw_count(metadata), addr);
    if (range)
        return range->what;
    if (!is_low(addr) && judge_inside(guard, addr, &why))
        return why;
    return find(special, gw_count(special), addr)->what;
}
