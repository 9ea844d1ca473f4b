/* sign.c: a signature header, a secret, an id, a timestamp and a body, as a receiver gets them. */
#include "fuzz.h"

#include "core/sign.h"

#include <inttypes.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_slice rest = {(const char *)data, size}, parts[5];
    struct gw_secret secret;
    struct gw_error error = {0};
    struct gw_buf header = {0};
    uint64_t timestamp;

    for (size_t i = 0; i < gw_count(parts); i++)
        parts[i] = fuzz_next(&rest);
    if (gw_secret_parse(&secret, parts[1], &error) == GW_OK) {
        gw_sign_verify(parts[0], &secret, parts[2], parts[3], parts[4]);
        gw_buf_adds(&header, parts[0]);
        gw_buf_addc(&header, ' ');
        if (gw_slice_u64(parts[3], &timestamp) && timestamp <= INT64_MAX) {
            char text[24];
            snprintf(text, sizeof(text), "%" PRIu64, timestamp);
            gw_sign_standard(&header, &secret, parts[2], (int64_t)timestamp, parts[4]);
            gw_check(gw_sign_verify(gw_buf_slice(&header), &secret, parts[2], gw_slice_from(text),
                                    parts[4]));
        }
    }
    gw_buf_deinit(&header);
    for (size_t i = 0; i < gw_count(parts); i++)
        fuzz_free(parts[i]);
    return 0;
}
