/* retry.h: the only place that computes a future time. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define GW_RETRY_STEPS_MAX  24
#define GW_RETRY_STEP_MAX_S 43200 /* 12 h */
#define GW_RETRY_GIVE_UP_MS ((int64_t)72 * 3600 * 1000)

/* A config's `retry`: seconds between attempts, and the time one attempt may take. */
struct gw_retry {
    uint32_t schedule_s[GW_RETRY_STEPS_MAX];
    size_t count;
    uint32_t timeout_ms; /* 1 000-30 000 */
};

/* 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h; 15 s an attempt. */
extern const struct gw_retry gw_retry_default;

/* When the attempt after failure number `step` (0 = the first try failed) is due: now + the
 * schedule's step, jittered by ±20 % with `random` (uniform in all 32 bits), but not before now +
 * retry_after_ms. GW_NEVER when the schedule is used up. */
int64_t gw_retry_next_ms(const struct gw_retry *retry, uint32_t step, int64_t retry_after_ms,
                         int64_t now_ms, uint32_t random);

/* When a pending delivery is due after a failed manual retry: at resume_ms, its own due time, as
 * if nothing had happened, but not before now + retry_after_ms. */
int64_t gw_retry_resume_ms(int64_t resume_ms, int64_t retry_after_ms, int64_t now_ms);

/* When a delivery that still waits is given up: GW_RETRY_GIVE_UP_MS after the latest of the end of
 * its schedule, the last enabling of its target and the last return of its config to active. */
int64_t gw_retry_gives_up_ms(const struct gw_retry *retry, int64_t created_ms, int64_t enabled_ms,
                             int64_t active_ms);
