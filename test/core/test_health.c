/* test_health.c: the states of a target: each arrow by itself, then all histories of a certain
 * length, compared with what CONTRACT section 4 says in other words. */
#include "core/health.h"

#include "core/retry.h"
#include "support.h"

#define NOW    ((int64_t)1764000000000)
#define SECOND ((int64_t)1000000)
#define DAY_MS ((int64_t)86400000)
#define LIMIT  16

static struct gw_health health;
static int64_t now_us; /* wall time goes with it */

static int64_t now_ms(void)
{
    return NOW + now_us / 1000;
}

static void begin(void)
{
    gw_health_init(&health);
    now_us = SECOND;
}

static bool attempt(enum gw_outcome outcome, int status, int64_t took_us, bool is_manual)
{
    struct gw_health_attempt ended = {outcome, status, is_manual, now_us, now_us + took_us};
    now_us += took_us;
    return gw_health_after_attempt(&health, &ended, LIMIT, now_ms());
}

static bool fails(void)
{
    return attempt(GW_OUTCOME_HTTP_ERROR, 500, 1000, false);
}

static bool succeeds(void)
{
    return attempt(GW_OUTCOME_SUCCESS, 200, 1000, false);
}

static bool gone(void)
{
    return attempt(GW_OUTCOME_HTTP_ERROR, 410, 1000, false);
}

static void make_probed(void)
{
    begin();
    for (int i = 0; i < GW_HEALTH_STREAK_MAX; i++)
        fails();
    assert_int_equal(health.state, GW_HEALTH_PROBED);
}

/* ── Places ────────────────────────────────────────────────────────────────────────────────── */

static void places_grow_and_fall(void **state)
{
    (void)state;
    begin();
    for (uint32_t wanted = 2; wanted < LIMIT + 3; wanted++) {
        assert_int_equal(gw_health_places(&health, LIMIT), wanted < LIMIT ? wanted : LIMIT);
        succeeds();
    }
    assert_int_equal(gw_health_places(&health, 1), 1);
    fails();
    assert_int_equal(gw_health_places(&health, LIMIT), LIMIT);
    attempt(GW_OUTCOME_TIMEOUT, 0, 15 * SECOND, false);
    assert_int_equal(gw_health_places(&health, LIMIT), 1);
    succeeds();
    assert_int_equal(gw_health_places(&health, LIMIT), 2);
}

static void proven(void **state)
{
    (void)state;
    begin();
    assert_false(gw_health_is_proven(&health, now_us));
    attempt(GW_OUTCOME_SUCCESS, 200, 2 * SECOND - 1, false);
    assert_true(gw_health_is_proven(&health, now_us));
    assert_true(gw_health_is_proven(&health, now_us + GW_HEALTH_RECENT_US - 1));
    assert_false(gw_health_is_proven(&health, now_us + GW_HEALTH_RECENT_US));
    attempt(GW_OUTCOME_SUCCESS, 200, 2 * SECOND, false);
    assert_false(gw_health_is_proven(&health, now_us));
    succeeds();
    assert_true(gw_health_is_proven(&health, now_us));
    fails();
    assert_false(gw_health_is_proven(&health, now_us));
}

/* ── States ────────────────────────────────────────────────────────────────────────────────── */

static void ten_in_a_row(void **state)
{
    (void)state;
    begin();
    for (int i = 1; i < 10; i++) {
        assert_false(fails());
        assert_int_equal(health.state, GW_HEALTH_FAILING);
        assert_int_equal(health.streak, i);
        assert_int_equal(gw_health_wait_us(&health, now_us), 0);
    }
    succeeds();
    assert_int_equal(health.state, GW_HEALTH_OK);
    assert_int_equal(health.since_ms, 0);
    for (int i = 1; i < 10; i++)
        assert_false(fails());
    int64_t since_ms = health.since_ms;
    assert_true(since_ms < now_ms());
    assert_true(attempt(GW_OUTCOME_CONNECT, 0, 1000, false));
    assert_int_equal(health.state, GW_HEALTH_PROBED);
    assert_int_equal(health.since_ms, now_ms());
    assert_string_equal(gw_health_reason(&health), "connect");
}

static void gaps_double(void **state)
{
    static const int64_t gaps[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    (void)state;
    make_probed();
    for (size_t i = 0; i < gw_count(gaps); i++) {
        assert_int_equal(gw_health_places(&health, LIMIT), 1);
        assert_int_equal(gw_health_wait_us(&health, now_us), gaps[i] * SECOND);
        now_us += gaps[i] * SECOND;
        assert_int_equal(gw_health_wait_us(&health, now_us), 0);
        assert_int_equal(gw_health_wait_us(&health, now_us - 1), 1);
        assert_false(fails());
    }
    assert_true(succeeds());
    assert_int_equal(health.state, GW_HEALTH_OK);
    assert_int_equal(gw_health_wait_us(&health, now_us), 0);
    assert_int_equal(gw_health_places(&health, LIMIT), 2);
    assert_null(gw_health_reason(&health));
}

/* What was under way when probing began lengthens no gap, but a success ends it. */
static void leftovers(void **state)
{
    (void)state;
    make_probed();
    struct gw_health_attempt old = {.outcome = GW_OUTCOME_TIMEOUT,
                                    .begun_us = now_us - SECOND,
                                    .ended_us = now_us + SECOND / 2};
    now_us += SECOND / 2;
    assert_false(gw_health_after_attempt(&health, &old, LIMIT, now_ms()));
    assert_int_equal(gw_health_wait_us(&health, now_us), SECOND / 2);
    old.outcome = GW_OUTCOME_SUCCESS;
    assert_true(gw_health_after_attempt(&health, &old, LIMIT, now_ms()));
    assert_int_equal(health.state, GW_HEALTH_OK);
}

static void five_days(void **state)
{
    (void)state;
    make_probed();
    now_us += 5 * DAY_MS * 1000 - 1001 * 1000;
    assert_false(fails());
    now_us += SECOND;
    assert_true(fails());
    assert_int_equal(health.state, GW_HEALTH_DISABLED);
    assert_string_equal(gw_health_reason(&health), "failing");
    /* With a break it begins anew. */
    make_probed();
    now_us += 4 * DAY_MS * 1000;
    succeeds();
    for (int i = 0; i < 10; i++)
        fails();
    now_us += 2 * DAY_MS * 1000;
    assert_false(fails());
    assert_int_equal(health.state, GW_HEALTH_PROBED);
}

static void gone_in_any_state(void **state)
{
    (void)state;
    for (int failures = 0; failures < 12; failures++) {
        begin();
        for (int i = 0; i < failures; i++)
            fails();
        assert_true(gone());
        assert_int_equal(health.state, GW_HEALTH_DISABLED);
        assert_string_equal(gw_health_reason(&health), "gone");
        assert_int_equal(health.since_ms, now_ms());
        assert_false(gone());
        assert_false(fails()); /* under way since before */
        assert_string_equal(gw_health_reason(&health), "gone");
        assert_false(succeeds());
        assert_int_equal(health.state, GW_HEALTH_DISABLED);
    }
}

static void enabled(void **state)
{
    (void)state;
    begin();
    assert_false(gw_health_enable(&health, now_ms()));
    fails();
    assert_false(gw_health_enable(&health, now_ms()));
    assert_int_equal(health.enabled_ms, 0);
    make_probed();
    assert_true(gw_health_enable(&health, now_ms()));
    assert_int_equal(gw_health_wait_us(&health, now_us), 0);
    assert_int_equal(gw_health_places(&health, LIMIT), 2);
    gone();
    now_us += SECOND;
    assert_true(gw_health_enable(&health, now_ms()));
    assert_int_equal(health.state, GW_HEALTH_OK);
    assert_int_equal(health.enabled_ms, now_ms());
    assert_int_equal(health.streak, 0);
    /* By a manual retry, if it succeeds. */
    gone();
    assert_false(attempt(GW_OUTCOME_HTTP_ERROR, 500, 1000, true));
    assert_int_equal(health.state, GW_HEALTH_DISABLED);
    assert_int_equal(gw_health_places(&health, LIMIT), 1);
    assert_true(attempt(GW_OUTCOME_SUCCESS, 200, 1000, true));
    assert_int_equal(health.state, GW_HEALTH_OK);
    assert_int_equal(health.enabled_ms, now_ms());
}

/* ── Every history ─────────────────────────────────────────────────────────────────────────── */

static enum gw_health_state wanted_after(const char *history, size_t len)
{
    bool is_disabled = false, is_probed = false;
    size_t row = 0;
    for (size_t i = 0; i < len; i++) {
        char c = history[i];
        bool is_end =
            c == 'S' || (c == 's' && !is_disabled) || (c == 'e' && (is_probed || is_disabled));
        if (is_end)
            row = is_probed = is_disabled = false;
        else if (c == 'g')
            is_disabled = true;
        else if (c == 'f' || c == 't')
            is_probed |= ++row >= GW_HEALTH_STREAK_MAX;
    }
    if (is_disabled)
        return GW_HEALTH_DISABLED;
    return is_probed ? GW_HEALTH_PROBED : row ? GW_HEALTH_FAILING : GW_HEALTH_OK;
}

/* s: success, S: of a manual retry, f: failure, t: timeout, g: 410, e: enabled. A prefix of ten
 * failures or none, then all words of six letters. */
static void every_history(void **state)
{
    static const char letters[] = "sSftge";
    (void)state;
    for (int failures = 0; failures <= GW_HEALTH_STREAK_MAX; failures += 5) {
        for (int word = 0; word < 6 * 6 * 6 * 6 * 6 * 6; word++) {
            char history[GW_HEALTH_STREAK_MAX + 6];
            size_t len = 0;
            begin();
            for (; len < (size_t)failures; len++) {
                history[len] = 'f';
                fails();
            }
            for (int rest = word, i = 0; i < 6; i++, rest /= 6) {
                enum gw_health_state before = health.state;
                bool changed = false;
                switch (history[len++] = letters[rest % 6]) {
                case 's': changed = succeeds(); break;
                case 'S': changed = attempt(GW_OUTCOME_SUCCESS, 200, 1000, true); break;
                case 'f': changed = fails(); break;
                case 't': changed = attempt(GW_OUTCOME_TIMEOUT, 0, 1000, false); break;
                case 'g': changed = gone(); break;
                default: changed = gw_health_enable(&health, now_ms()); break;
                }
                bool was = before >= GW_HEALTH_PROBED, is = health.state >= GW_HEALTH_PROBED;
                assert_int_equal(changed, (was || is) && before != health.state);
                assert_true(gw_health_places(&health, LIMIT) >= 1);
            }
            enum gw_health_state wanted = wanted_after(history, len);
            if (health.state != wanted)
                fail_msg("after %.*s: %s, wanted %s", (int)len, history,
                         gw_health_state_name(health.state), gw_health_state_name(wanted));
        }
    }
}

/* ── The store ─────────────────────────────────────────────────────────────────────────────── */

static void kept(void **state)
{
    struct gw_buf text = {0};
    struct gw_health read;
    (void)state;
    begin();
    fails();
    gw_health_encode(&health, now_ms(), &text);
    assert_int_equal(text.len, 0);

    make_probed();
    gw_health_encode(&health, now_ms(), &text);
    assert_int_equal(gw_health_decode(&read, gw_buf_slice(&text)), GW_OK);
    assert_int_equal(read.state, GW_HEALTH_PROBED);
    assert_true(read.since_ms == health.since_ms);
    assert_int_equal(read.streak, 10);
    assert_string_equal(gw_health_reason(&read), "http_error");
    assert_int_equal(gw_health_places(&read, LIMIT), 1);
    assert_int_equal(gw_health_wait_us(&read, 0), 0);

    gone();
    gw_buf_clear(&text);
    gw_health_encode(&health, now_ms(), &text);
    assert_int_equal(gw_health_decode(&read, gw_buf_slice(&text)), GW_OK);
    assert_string_equal(gw_health_reason(&read), "gone");

    gw_health_enable(&health, now_ms());
    gw_buf_clear(&text);
    gw_health_encode(&health, now_ms(), &text);
    assert_int_equal(gw_health_decode(&read, gw_buf_slice(&text)), GW_OK);
    assert_int_equal(read.state, GW_HEALTH_OK);
    assert_true(read.enabled_ms == health.enabled_ms);
    gw_buf_clear(&text);
    gw_health_encode(&health, now_ms() + GW_RETRY_GIVE_UP_MS, &text);
    assert_int_equal(text.len, 0);
    gw_buf_deinit(&text);
}

static void what_is_no_health(void **state)
{
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "{\"state\":\"well\",\"sinceMs\":1,\"enabledMs\":0,\"streak\":1,\"outcome\":0,\"status\":"
        "0}",
        "{\"state\":\"ok\",\"sinceMs\":-1,\"enabledMs\":0,\"streak\":1,\"outcome\":0,\"status\":0}",
        "{\"state\":\"ok\",\"sinceMs\":1,\"enabledMs\":0,\"streak\":1,\"outcome\":9,\"status\":0}",
        "{\"state\":\"ok\",\"sinceMs\":1,\"enabledMs\":0,\"streak\":1,\"outcome\":0}",
        "{\"state\":\"ok\",\"sinceMs\":18446744073709551615,\"enabledMs\":0,\"streak\":1,"
        "\"outcome\":0,\"status\":0}",
    };
    (void)state;
    for (size_t i = 0; i < gw_count(texts); i++) {
        struct gw_health read;
        assert_int_equal(gw_health_decode(&read, gw_slice_from(texts[i])), GW_ERR_CORRUPT);
        assert_int_equal(read.state, GW_HEALTH_OK);
        assert_int_equal(read.places, GW_HEALTH_PLACES_FIRST);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_grow_and_fall),
        cmocka_unit_test(proven),
        cmocka_unit_test(ten_in_a_row),
        cmocka_unit_test(gaps_double),
        cmocka_unit_test(leftovers),
        cmocka_unit_test(five_days),
        cmocka_unit_test(gone_in_any_state),
        cmocka_unit_test(enabled),
        cmocka_unit_test(every_history),
        cmocka_unit_test(kept),
        cmocka_unit_test(what_is_no_health),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
