/* url.c: a URL, and whether it may be sent to. */
#include "fuzz.h"

#include "core/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gw_guard guard, lenient = {.allow_http = true, .allow_any_port = true};
    struct gw_slice text = {(const char *)data, size};
    struct gw_arena arena = {0};
    struct gw_url url, again;
    struct gw_error error = {0};

    if (gw_url_parse(&url, text, &arena, &error) == GW_OK) {
        gw_check(url.port != 0 && url.host.len > 0 && url.path.len > 0 && url.path.ptr[0] == '/');
        gw_check(gw_url_parse(&again, url.text, &arena, NULL) == GW_OK);
        gw_check(gw_slice_eq(again.host, url.host) && again.port == url.port);
        gw_check(gw_slice_starts(url.text, gw_url_shown(url.text)));
        if (gw_guard_url(&guard, "webhookUrl", &url, &error) == GW_OK) {
            gw_check(url.https && url.port == 443);
            gw_check(gw_guard_url(&lenient, "webhookUrl", &url, &error) == GW_OK);
        }
        if (url.host_is_addr && gw_guard_addr(&guard, &url.addr))
            gw_check(gw_guard_url(&lenient, "webhookUrl", &url, &error) != GW_OK);
    }
    gw_check(gw_slice_is_utf8(gw_slice_from(error.text)));
    gw_arena_deinit(&arena);
    return 0;
}
