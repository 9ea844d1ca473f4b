/* addr.c: addresses, networks and lists of them. A list owns its networks; the rest is pure.
 *
 * libc's inet_pton is strict where it matters: four decimal parts without leading zeros, no short,
 * octal or hexadecimal forms, no zone. */
#include "base/addr.h"

#include "base/alloc.h"

#include <arpa/inet.h>

static size_t byte_count(const struct gw_addr *addr)
{
    return addr->family == 4 ? 4 : addr->family == 6 ? 16 : 0;
}

bool gw_addr_parse(struct gw_slice text, struct gw_addr *addr)
{
    char copy[GW_ADDR_TEXT_MAX];

    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *addr = (struct gw_addr){0};
    addr->family = memchr(text.ptr, ':', text.len) ? 6 : 4;
    return inet_pton(addr->family == 6 ? AF_INET6 : AF_INET, copy, addr->bytes) == 1;
}

struct gw_slice gw_addr_text(const struct gw_addr *addr, char text[GW_ADDR_TEXT_MAX])
{
    text[0] = '\0';
    if (byte_count(addr) > 0)
        inet_ntop(addr->family == 6 ? AF_INET6 : AF_INET, addr->bytes, text, GW_ADDR_TEXT_MAX);
    return gw_slice_from(text);
}

bool gw_addr_eq(const struct gw_addr *a, const struct gw_addr *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, byte_count(a)) == 0;
}

static const struct gw_net mapped = {{6, {[10] = 0xFF, [11] = 0xFF}}, 96}; /* ::ffff:0:0/96 */

struct gw_addr gw_addr_unmap(const struct gw_addr *addr)
{
    struct gw_addr plain = {.family = 4};

    if (!gw_net_contains(&mapped, addr))
        return *addr;
    memcpy(plain.bytes, addr->bytes + 12, 4);
    return plain;
}

/* Do the first `bits` bits agree? */
static bool same_prefix(const uint8_t *a, const uint8_t *b, size_t bits)
{
    size_t whole = bits / 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return bits % 8 == 0 || (a[whole] ^ b[whole]) >> (8 - bits % 8) == 0;
}

static bool has_host_bits(const struct gw_net *net)
{
    for (size_t i = net->prefix_bits; i < 8 * byte_count(&net->addr); i++)
        if (net->addr.bytes[i / 8] & 0x80 >> i % 8)
            return true;
    return false;
}

bool gw_net_parse(struct gw_slice text, struct gw_net *net)
{
    struct gw_slice rest = text, addr;
    uint64_t bits;

    if (!gw_slice_split(&rest, '/', &addr) || !gw_addr_parse(addr, &net->addr))
        return false;
    uint64_t bits_max = 8 * byte_count(&net->addr);
    if (rest.ptr == NULL) {
        net->prefix_bits = (uint8_t)bits_max;
        return true;
    }
    if (!gw_slice_u64(rest, &bits) || bits > bits_max || (rest.len > 1 && rest.ptr[0] == '0'))
        return false;
    net->prefix_bits = (uint8_t)bits;
    return !has_host_bits(net);
}

bool gw_net_contains(const struct gw_net *net, const struct gw_addr *addr)
{
    return net->addr.family != 0 && net->addr.family == addr->family &&
           same_prefix(net->addr.bytes, addr->bytes, net->prefix_bits);
}

/* A list is asked about unmapped addresses only, so it must hold unmapped networks. */
static struct gw_net net_unmap(const struct gw_net *net)
{
    if (net->prefix_bits < mapped.prefix_bits || !gw_net_contains(&mapped, &net->addr))
        return *net;
    return (struct gw_net){gw_addr_unmap(&net->addr),
                           (uint8_t)(net->prefix_bits - mapped.prefix_bits)};
}

bool gw_net_list_parse(struct gw_slice text, struct gw_net_list *list, struct gw_slice *bad)
{
    struct gw_slice rest = gw_slice_trim(text), part;

    *list = (struct gw_net_list){0};
    list->any = gw_slice_is(rest, "*");
    if (rest.len == 0 || list->any)
        return true;
    while (gw_slice_split(&rest, ',', &part)) {
        struct gw_net net;
        part = gw_slice_trim(part);
        if (!gw_net_parse(part, &net)) {
            *bad = part;
            gw_net_list_deinit(list);
            return false;
        }
        list->nets = gw_realloc(list->nets, (list->count + 1) * sizeof(net));
        list->nets[list->count++] = net_unmap(&net);
    }
    return true;
}

bool gw_net_list_contains(const struct gw_net_list *list, const struct gw_addr *addr)
{
    struct gw_addr plain = gw_addr_unmap(addr);

    if (list->any)
        return true;
    for (size_t i = 0; i < list->count; i++)
        if (gw_net_contains(&list->nets[i], &plain))
            return true;
    return false;
}

void gw_net_list_deinit(struct gw_net_list *list)
{
    gw_free(list->nets);
    *list = (struct gw_net_list){0};
}
