/* event.c: an event's body. */
#include "fuzz.h"

#include "core/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_slice body = {(const char *)data, size};
    struct gw_arena arena = {0};
    struct gw_event event;
    struct gw_error error = {0};

    if (gw_event_parse(&event, body, &arena, &error) == GW_OK) {
        gw_check(event.body.ptr == body.ptr && event.body.len == size);
        gw_check(gw_name_check("appId", event.app_id, NULL) == GW_OK);
        gw_check(gw_name_check("eventType", event.event_type, NULL) == GW_OK);
        gw_check(fuzz_is_shallow(body));
    } else {
        gw_check(error.code == GW_ERR_INVALID && error.text[0] != '\0');
        gw_check(gw_slice_is_utf8(gw_slice_from(error.text)));
    }
    gw_arena_deinit(&arena);
    return 0;
}
