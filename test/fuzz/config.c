/* config.c: a create request, then a PATCH of what it made. What passes is shown, stored and read
 * back, and must be the same. */
#include "fuzz.h"

#include "core/config.h"

#define NOW_MS 1800000000000

static const struct gw_guard guard;

static struct gw_config_change change_of(struct gw_slice json)
{
    return (struct gw_config_change){
        .json = json, .guard = &guard, .now_ms = NOW_MS, .overlap_ms = 86400000, .random = {7}};
}

static void check_whole(const struct gw_config *config)
{
    struct gw_buf stored = {0}, again = {0}, shown = {0};
    struct gw_config *read;
    struct gw_error error;

    gw_config_encode(config, &stored);
    if (gw_config_decode(&read, gw_buf_slice(&stored), &error) != GW_OK)
        gw_never("a config that cannot be read back");
    gw_config_encode(read, &again);
    gw_check(gw_slice_eq(gw_buf_slice(&stored), gw_buf_slice(&again)));
    gw_config_render(config, true, &shown);
    gw_config_render(read, false, &shown);
    gw_check(gw_slice_is_utf8(gw_buf_slice(&shown)));
    gw_config_unref(read);
    gw_buf_deinit(&stored);
    gw_buf_deinit(&again);
    gw_buf_deinit(&shown);
}

static struct gw_config *create(struct gw_slice json)
{
    struct gw_config_change change = change_of(json);
    struct gw_config *config;
    struct gw_error error = {0};

    if (gw_config_create(&config, &change, &error) == GW_OK)
        return config;
    gw_check(config == NULL && gw_slice_is_utf8(gw_slice_from(error.text)));
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_slice rest = {(const char *)data, size};
    struct gw_slice first = fuzz_next(&rest), second = fuzz_next(&rest);
    struct gw_config_change change = change_of(second);
    struct gw_config *config = create(first), *next;
    struct gw_error error = {0};
    bool secret_made;

    if (config == NULL)
        config = create(GW_SLICE("{\"appId\":\"acme\",\"eventType\":\"T\","
                                 "\"webhookUrl\":\"https://example.com/\"}"));
    check_whole(config);
    if (gw_config_patch(&next, config, &change, &secret_made, &error) == GW_OK) {
        gw_check(next->version == config->version + 1);
        check_whole(next);
        struct gw_buf diff = {0};
        gw_config_diff(config, next, &diff);
        gw_check(gw_slice_is_utf8(gw_buf_slice(&diff)));
        gw_buf_deinit(&diff);
        gw_config_unref(next);
    } else {
        gw_check(gw_slice_is_utf8(gw_slice_from(error.text)));
    }
    gw_config_unref(config);
    fuzz_free(first);
    fuzz_free(second);
    return 0;
}
