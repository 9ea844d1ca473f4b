/* retry.c: the only place that computes a future time. Pure: the clock's reading and the randomness
 * are arguments.
 *
 * Invariants: no answer lies in the past of now; integers only, so that a simulation sees the same
 * times everywhere. */
#include "core/retry.h"

#include "base/check.h"
#include "base/timefmt.h"

const struct gw_retry gw_retry_default = {
    .schedule_s = {5, 300, 1800, 7200, 18000, 36000, 36000},
    .count = 7,
    .timeout_ms = 15000,
};

/* Uniform in [-delay/5, +delay/5], both ends included. */
static int64_t jitter(int64_t delay_ms, uint32_t random)
{
    uint64_t reach = (uint64_t)delay_ms / 5;
    uint64_t places = 2 * reach + 1;

    return (int64_t)(((uint64_t)random * places) >> 32) - (int64_t)reach;
}

int64_t gw_retry_next_ms(const struct gw_retry *retry, uint32_t step, int64_t retry_after_ms,
                         int64_t now_ms, uint32_t random)
{
    gw_check(retry->count <= GW_RETRY_STEPS_MAX);
    gw_check(retry_after_ms >= 0);
    if (step >= retry->count)
        return GW_NEVER;
    gw_check(retry->schedule_s[step] <= GW_RETRY_STEP_MAX_S);

    int64_t delay_ms = (int64_t)retry->schedule_s[step] * 1000;
    delay_ms += jitter(delay_ms, random);
    return now_ms + (delay_ms > retry_after_ms ? delay_ms : retry_after_ms);
}

int64_t gw_retry_resume_ms(int64_t resume_ms, int64_t retry_after_ms, int64_t now_ms)
{
    gw_check(retry_after_ms >= 0);
    if (retry_after_ms == 0 || resume_ms >= now_ms + retry_after_ms)
        return resume_ms;
    return now_ms + retry_after_ms;
}

int64_t gw_retry_gives_up_ms(const struct gw_retry *retry, int64_t created_ms, int64_t enabled_ms,
                             int64_t active_ms)
{
    int64_t latest_ms = created_ms;

    gw_check(retry->count <= GW_RETRY_STEPS_MAX);
    for (size_t i = 0; i < retry->count; i++)
        latest_ms += (int64_t)retry->schedule_s[i] * 1000;
    if (latest_ms < enabled_ms)
        latest_ms = enabled_ms;
    if (latest_ms < active_ms)
        latest_ms = active_ms;
    return latest_ms + GW_RETRY_GIVE_UP_MS;
}
