/* addr.c: addresses, networks and lists of them. */
#include "fuzz.h"

#include "base/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_slice text = {(const char *)data, size}, bad;
    char buf[GW_ADDR_TEXT_MAX];
    struct gw_addr addr, again;
    struct gw_net net;
    struct gw_net_list list;

    if (gw_addr_parse(text, &addr)) {
        gw_check(gw_addr_parse(gw_addr_text(&addr, buf), &again) && gw_addr_eq(&addr, &again));
        gw_check(gw_net_parse(text, &net) && gw_net_contains(&net, &addr));
    }
    if (gw_net_parse(text, &net))
        gw_check(gw_net_contains(&net, &net.addr));
    if (gw_net_list_parse(text, &list, &bad))
        gw_net_list_deinit(&list);
    else
        gw_check(list.count == 0 && bad.ptr >= text.ptr &&
                 bad.ptr + bad.len <= text.ptr + text.len);
    return 0;
}
