/* health.h: how a target (appId, URL) is doing, and what may be sent to it because of that. Pure.
 * The drawing is at the top of health.c. CONTRACT section 4, "A failing target slows nobody else".
 *
 * Two clocks: what is remembered for days goes by wall time (_ms), for it survives a restart; what
 * is a matter of seconds by the monotonic one (_us). */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "core/outcome.h"

#define GW_HEALTH_PLACES_FIRST 2  /* attempts at a time of a target that is new */
#define GW_HEALTH_STREAK_MAX   10 /* failures in a row, then it is probed */
#define GW_HEALTH_QUICK_US     ((int64_t)2 * 1000000)
#define GW_HEALTH_RECENT_US    ((int64_t)600 * 1000000) /* so old may the last quick success be */
#define GW_HEALTH_GAP_FIRST_US ((int64_t)1 * 1000000)
#define GW_HEALTH_GAP_MAX_US   ((int64_t)60 * 1000000)
#define GW_HEALTH_PROBED_MS    ((int64_t)5 * 86400000) /* without a break, then it is disabled */

enum gw_health_state {
    GW_HEALTH_OK,
    GW_HEALTH_FAILING,  /* the last attempt failed */
    GW_HEALTH_PROBED,   /* one attempt at a time, then a gap */
    GW_HEALTH_DISABLED, /* nothing but manual retries */
};
#define GW_HEALTH_STATE_COUNT (GW_HEALTH_DISABLED + 1)

const char *gw_health_state_name(enum gw_health_state state); /* "probed" */

struct gw_health {
    enum gw_health_state state;
    int64_t since_ms;        /* of the state; 0 while OK */
    int64_t enabled_ms;      /* when somebody last enabled it; 0 = never */
    uint32_t streak;         /* failures in a row */
    enum gw_outcome outcome; /* of the last failure that counted */
    int status;
    uint32_t places;    /* attempts at a time, by what it has shown */
    int64_t gap_us;     /* PROBED: the last one */
    int64_t next_us;    /* PROBED: no attempt before */
    int64_t probed_us;  /* what began before is no probe */
    int64_t success_us; /* the last success, if it was quick and nothing failed since */
    bool is_quick;      /* there was such a one */
};

/* Of a target that nothing is known of. */
void gw_health_init(struct gw_health *health);

/* ── What happens to it ────────────────────────────────────────────────────────────────────── */

struct gw_health_attempt {
    enum gw_outcome outcome;
    int status;
    bool is_manual; /* somebody asked for it */
    int64_t begun_us, ended_us;
};

/* An attempt has ended. `limit`: maxInFlight. True: what is to be stored has changed. */
bool gw_health_after_attempt(struct gw_health *health, const struct gw_health_attempt *attempt,
                             uint32_t limit, int64_t now_ms);

/* Somebody says that it may be sent to again. True: it was probed or disabled, and what is to be
 * stored has changed. */
bool gw_health_enable(struct gw_health *health, int64_t now_ms);

/* ── What follows ──────────────────────────────────────────────────────────────────────────── */

/* How many attempts at a time; for a disabled one: of manual retries. */
uint32_t gw_health_places(const struct gw_health *health, uint32_t limit);

/* How long no attempt may start, manual retries excepted; 0 = at once. */
int64_t gw_health_wait_us(const struct gw_health *health, int64_t now_us);

/* It has had a quick success of late, and nothing else since. */
bool gw_health_is_proven(const struct gw_health *health, int64_t now_us);

/* Why it is as it is: "timeout", or any other outcome of an attempt; of one that is disabled "gone"
 * or "failing"; NULL when it is OK. */
const char *gw_health_reason(const struct gw_health *health);

/* ── To and from the store ─────────────────────────────────────────────────────────────────── */

/* Whether something would be lost if it were forgotten. */
bool gw_health_is_worth_keeping(const struct gw_health *health, int64_t now_ms);

/* JSON; nothing when there is nothing to keep. */
void gw_health_encode(const struct gw_health *health, int64_t now_ms, struct gw_buf *out);
enum gw_err gw_health_decode(struct gw_health *health, struct gw_slice json);
