/* attempt.c: a delivery's packed records, as a damaged file could hold them. */
#include "fuzz.h"

#include "core/attempt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_slice log = {(const char *)data, size}, rest = log;
    struct gw_buf packed = {0}, again = {0}, trimmed = {0};
    struct gw_attempt attempt, last;
    size_t count = 0, kept = 0;

    while (gw_attempt_unpack(&rest, &attempt)) {
        gw_attempt_pack(&packed, &attempt);
        count++;
    }
    gw_check(gw_attempt_last(log, &last) == (count > 0));
    rest = gw_buf_slice(&packed);
    while (gw_attempt_unpack(&rest, &attempt))
        gw_attempt_pack(&again, &attempt);
    gw_check(rest.len == 0 && gw_slice_eq(gw_buf_slice(&packed), gw_buf_slice(&again)));
    gw_attempt_trim(&trimmed, log);
    rest = gw_buf_slice(&trimmed);
    while (gw_attempt_unpack(&rest, &attempt))
        kept++;
    gw_check(rest.len == 0 && kept == (count < 25 ? count : 25));
    gw_buf_deinit(&packed);
    gw_buf_deinit(&again);
    gw_buf_deinit(&trimmed);
    return 0;
}
