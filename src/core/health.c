/* health.c: the states of a target and the only code that steps them. Pure.
 *
 *        a failure: fail            the 10th in a row: probe          5 days of it: disable
 *   OK ─────────────────▶ FAILING ─────────────────────────▶ PROBED ───────────────────────▶ DISABLED
 *    ▲                      │                                  │  410, in any state: disable    ▲ │
 *    │                      │                                  │ ───────────────────────────────┘ │
 *    ├── any 2xx: succeed ◀─┴──────────────────────────────────┘                                  │
 *    └── gw_health_enable, or a manual retry that succeeds ◀──────────────────────────────────────┘
 *
 * PROBED: one attempt at a time, each that fails followed by a gap: 1 s, 2 s, … 60 s. Attempts that
 * were under way when it began are no probes and lengthen no gap.
 *
 * Places grow by one with each success from 2 to the limit, and fall to 1 with a timeout: a target
 * that hangs holds little, and one that is well gets what it may have within seconds.
 *
 * Stored are PROBED, DISABLED and when somebody enabled it, each after the attempt that caused it;
 * a crash in between forgets one step. A gap starts over with a restart. */
#include "core/health.h"

#include "base/check.h"
#include "core/retry.h"

#include <yyjson.h>

const char *gw_health_state_name(enum gw_health_state state)
{
    switch (state) {
    case GW_HEALTH_OK: return "ok";
    case GW_HEALTH_FAILING: return "failing";
    case GW_HEALTH_PROBED: return "probed";
    case GW_HEALTH_DISABLED: return "disabled";
    }
    gw_never("an unknown state of health");
}

void gw_health_init(struct gw_health *health)
{
    *health = (struct gw_health){.places = GW_HEALTH_PLACES_FIRST};
}

/* ── Steps ─────────────────────────────────────────────────────────────────────────────────── */

static void set(struct gw_health *health, enum gw_health_state state, int64_t now_ms)
{
    health->state = state;
    health->since_ms = state == GW_HEALTH_OK ? 0 : now_ms;
}

static bool succeed(struct gw_health *health, const struct gw_health_attempt *attempt,
                    uint32_t limit, int64_t now_ms)
{
    enum gw_health_state before = health->state;

    health->is_quick = attempt->ended_us - attempt->begun_us < GW_HEALTH_QUICK_US;
    health->success_us = attempt->ended_us;
    if (health->places < limit)
        health->places++;
    if (before == GW_HEALTH_DISABLED && !attempt->is_manual)
        return false;
    if (before == GW_HEALTH_DISABLED)
        return gw_health_enable(health, now_ms);
    health->streak = 0;
    set(health, GW_HEALTH_OK, now_ms);
    return before == GW_HEALTH_PROBED;
}

static bool probe(struct gw_health *health, const struct gw_health_attempt *attempt, int64_t now_ms)
{
    set(health, GW_HEALTH_PROBED, now_ms);
    health->places = 1;
    health->gap_us = GW_HEALTH_GAP_FIRST_US;
    health->next_us = attempt->ended_us + health->gap_us;
    health->probed_us = attempt->ended_us;
    return true;
}

static bool probe_failed(struct gw_health *health, const struct gw_health_attempt *attempt,
                         int64_t now_ms)
{
    if (now_ms - health->since_ms >= GW_HEALTH_PROBED_MS) {
        set(health, GW_HEALTH_DISABLED, now_ms);
        return true;
    }
    if (attempt->begun_us < health->probed_us)
        return false;
    health->gap_us = health->gap_us ? 2 * health->gap_us : GW_HEALTH_GAP_FIRST_US;
    if (health->gap_us > GW_HEALTH_GAP_MAX_US)
        health->gap_us = GW_HEALTH_GAP_MAX_US;
    health->next_us = attempt->ended_us + health->gap_us;
    return false;
}

static bool fail(struct gw_health *health, const struct gw_health_attempt *attempt, int64_t now_ms)
{
    health->is_quick = false;
    health->streak++;
    if (attempt->outcome == GW_OUTCOME_TIMEOUT)
        health->places = 1;
    if (health->state == GW_HEALTH_DISABLED)
        return false;
    health->outcome = attempt->outcome;
    health->status = attempt->status;
    if (gw_outcome_verdict(attempt->outcome, attempt->status) == GW_VERDICT_GONE) {
        set(health, GW_HEALTH_DISABLED, now_ms);
        return true;
    }
    if (health->state == GW_HEALTH_PROBED)
        return probe_failed(health, attempt, now_ms);
    if (health->streak >= GW_HEALTH_STREAK_MAX)
        return probe(health, attempt, now_ms);
    if (health->state == GW_HEALTH_OK)
        set(health, GW_HEALTH_FAILING, now_ms);
    return false;
}

bool gw_health_after_attempt(struct gw_health *health, const struct gw_health_attempt *attempt,
                             uint32_t limit, int64_t now_ms)
{
    if (attempt->outcome == GW_OUTCOME_SUCCESS)
        return succeed(health, attempt, limit, now_ms);
    return fail(health, attempt, now_ms);
}

bool gw_health_enable(struct gw_health *health, int64_t now_ms)
{
    if (health->state != GW_HEALTH_PROBED && health->state != GW_HEALTH_DISABLED)
        return false;
    set(health, GW_HEALTH_OK, now_ms);
    health->enabled_ms = now_ms;
    health->streak = 0;
    health->places = GW_HEALTH_PLACES_FIRST;
    return true;
}

/* ── What follows ──────────────────────────────────────────────────────────────────────────── */

uint32_t gw_health_places(const struct gw_health *health, uint32_t limit)
{
    if (health->state == GW_HEALTH_PROBED || health->state == GW_HEALTH_DISABLED)
        return 1;
    return health->places < limit ? health->places : limit;
}

int64_t gw_health_wait_us(const struct gw_health *health, int64_t now_us)
{
    if (health->state != GW_HEALTH_PROBED || health->next_us <= now_us)
        return 0;
    return health->next_us - now_us;
}

bool gw_health_is_proven(const struct gw_health *health, int64_t now_us)
{
    return health->is_quick && now_us - health->success_us < GW_HEALTH_RECENT_US;
}

const char *gw_health_reason(const struct gw_health *health)
{
    switch (health->state) {
    case GW_HEALTH_OK: return NULL;
    case GW_HEALTH_FAILING:
    case GW_HEALTH_PROBED: return gw_outcome_name(health->outcome);
    case GW_HEALTH_DISABLED: break;
    }
    bool is_gone = gw_outcome_verdict(health->outcome, health->status) == GW_VERDICT_GONE;
    return is_gone ? "gone" : "failing";
}

/* ── To and from the store ─────────────────────────────────────────────────────────────────── */

bool gw_health_is_worth_keeping(const struct gw_health *health, int64_t now_ms)
{
    if (health->state == GW_HEALTH_PROBED || health->state == GW_HEALTH_DISABLED)
        return true;
    /* Later than that, no delivery's end goes by it. */
    return health->enabled_ms && now_ms - health->enabled_ms < GW_RETRY_GIVE_UP_MS;
}

void gw_health_encode(const struct gw_health *health, int64_t now_ms, struct gw_buf *out)
{
    if (!gw_health_is_worth_keeping(health, now_ms))
        return;
    gw_buf_addf(out, "{\"state\":\"%s\",\"sinceMs\":%lld,\"enabledMs\":%lld,\"streak\":%u",
                gw_health_state_name(health->state), (long long)health->since_ms,
                (long long)health->enabled_ms, health->streak);
    gw_buf_addf(out, ",\"outcome\":%d,\"status\":%d}", health->outcome, health->status);
}

static bool take_int(yyjson_val *root, const char *name, int64_t min, int64_t max, int64_t *out)
{
    yyjson_val *value = yyjson_obj_get(root, name);

    if (!yyjson_is_int(value) || (yyjson_is_uint(value) && yyjson_get_uint(value) > INT64_MAX))
        return false;
    *out = yyjson_get_sint(value);
    return *out >= min && *out <= max;
}

static bool take(struct gw_health *health, yyjson_val *root)
{
    const char *name = yyjson_get_str(yyjson_obj_get(root, "state"));
    int64_t streak, outcome, status;
    int state = GW_HEALTH_OK;

    while (name && state <= GW_HEALTH_DISABLED &&
           strcmp(name, gw_health_state_name((enum gw_health_state)state)) != 0)
        state++;
    if (!name || state > GW_HEALTH_DISABLED ||
        !take_int(root, "sinceMs", 0, INT64_MAX, &health->since_ms) ||
        !take_int(root, "enabledMs", 0, INT64_MAX, &health->enabled_ms) ||
        !take_int(root, "streak", 0, UINT32_MAX, &streak) ||
        !take_int(root, "outcome", 0, GW_OUTCOME_COUNT - 1, &outcome) ||
        !take_int(root, "status", 0, 999, &status))
        return false;
    health->state = (enum gw_health_state)state;
    health->streak = (uint32_t)streak;
    health->outcome = (enum gw_outcome)outcome;
    health->status = (int)status;
    if (health->state == GW_HEALTH_PROBED)
        health->places = 1;
    return true;
}

enum gw_err gw_health_decode(struct gw_health *health, struct gw_slice json)
{
    yyjson_doc *doc = yyjson_read(json.ptr, json.len, YYJSON_READ_NOFLAG);

    gw_health_init(health);
    bool ok = doc && take(health, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    if (ok)
        return GW_OK;
    gw_health_init(health);
    return GW_ERR_CORRUPT;
}
