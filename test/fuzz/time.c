/* time.c: times in the two ways they are written, and Retry-After. */
#include "fuzz.h"

#include "base/timefmt.h"
#include "core/outcome.h"

#define NOW_MS INT64_C(1800000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_slice text = {(const char *)data, size};
    char first[GW_TIME_TEXT_MAX], second[GW_TIME_TEXT_MAX];
    int64_t ms, again;

    if (gw_time_parse(text, &ms)) {
        gw_check(gw_time_parse(gw_time_text(ms, first), &again));
        gw_check(gw_slice_eq(gw_time_text(again, second), gw_slice_from(first)));
    }
    if (gw_time_parse_http(text, &ms))
        gw_check(gw_time_parse_http(gw_time_http(ms, first), &again) && again == ms);
    int64_t wait_ms = gw_outcome_retry_after_ms(429, text, NOW_MS);
    gw_check(wait_ms >= 0 && wait_ms <= 12 * 3600 * 1000);
    gw_check(gw_outcome_retry_after_ms(200, text, NOW_MS) == 0);
    return 0;
}
