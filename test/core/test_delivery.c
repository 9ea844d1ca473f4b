/* test_delivery.c: every arrow of the drawing in delivery.c, and walks along them at random. */
#include "core/delivery.h"

#include "base/timefmt.h"
#include "support.h"

#define NOW ((int64_t)1764000000000)
#define MID (UINT32_MAX / 2) /* no jitter */

static struct gw_delivery pending(uint32_t attempts, uint32_t step, int64_t due_ms,
                                  int64_t resume_ms)
{
    return (struct gw_delivery){
        .id = {.len = 1, .bytes = {1}},
        .message_id = {.len = 1, .bytes = {2}},
        .lane = 7,
        .order = 9,
        .state = GW_DELIVERY_PENDING,
        .attempts = attempts,
        .step = step,
        .due_ms = due_ms,
        .resume_ms = resume_ms,
        .created_ms = NOW - 1000,
    };
}

static struct gw_delivery after(struct gw_delivery d, int status, int64_t retry_after_ms)
{
    enum gw_outcome outcome = status ? gw_outcome_of_status(status) : GW_OUTCOME_TIMEOUT;

    return gw_delivery_after_attempt(&d, outcome, status, retry_after_ms, &gw_retry_default, NOW,
                                     MID);
}

/* What no step may touch. */
static void assert_same_thing(const struct gw_delivery *a, const struct gw_delivery *b)
{
    assert_true(gw_id_eq(&a->id, &b->id) && gw_id_eq(&a->message_id, &b->message_id));
    assert_true(a->lane == b->lane && a->order == b->order && a->created_ms == b->created_ms);
}

static void assert_sound(const struct gw_delivery *d)
{
    bool is_pending = d->state == GW_DELIVERY_PENDING;

    assert_true((d->ended_ms == 0) == is_pending);
    assert_true((d->reason == GW_END_NONE) == is_pending);
    assert_true((d->reason == GW_END_DELIVERED) == (d->state == GW_DELIVERY_DELIVERED));
    if (!is_pending)
        assert_true(d->due_ms == 0 && d->resume_ms == 0);
    assert_true(d->due_ms != GW_NEVER);
}

#define DEFAULT_STEPS 7

static void after_an_attempt(void **state)
{
    (void)state;
    static const int64_t delays_s[DEFAULT_STEPS] = {5, 300, 1800, 7200, 18000, 36000, 36000};
    static const int failures[] = {0, 100, 301, 400, 401, 404, 409, 429, 500, 503, 599};

    for (uint32_t step = 0; step <= DEFAULT_STEPS + 1; step++) {
        struct gw_delivery d = pending(step + 3, step, NOW, 0), r = after(d, 204, 0);
        assert_same_thing(&r, &d);
        assert_sound(&r);
        assert_int_equal(r.state, GW_DELIVERY_DELIVERED);
        assert_int_equal(r.attempts, step + 4);
        assert_int_equal(r.step, step);
        assert_true(r.ended_ms == NOW);

        for (size_t i = 0; i < gw_count(failures); i++) {
            r = after(d, failures[i], 0);
            assert_same_thing(&r, &d);
            assert_sound(&r);
            assert_int_equal(r.attempts, step + 4);
            assert_int_equal(r.step, step + 1);
            if (step < DEFAULT_STEPS) {
                assert_int_equal(r.state, GW_DELIVERY_PENDING);
                assert_true(r.due_ms == NOW + delays_s[step] * 1000);
                assert_true(r.resume_ms == 0);
            } else {
                assert_int_equal(r.state, GW_DELIVERY_DEAD);
                assert_int_equal(r.reason, GW_END_BUDGET_SPENT);
            }
        }
        r = after(d, 410, 0);
        assert_sound(&r);
        assert_int_equal(r.state, GW_DELIVERY_DEAD);
        assert_int_equal(r.reason, GW_END_GONE);
        assert_int_equal(r.attempts, step + 4);
    }
}

static void retry_after_counts(void **state)
{
    (void)state;
    struct gw_delivery r = after(pending(0, 0, NOW, 0), 429, 60000);
    assert_true(r.due_ms == NOW + 60000);
    r = after(pending(1, 1, NOW, 0), 429, 60000);
    assert_true(r.due_ms == NOW + 300000);
    r = after(pending(7, 7, NOW, 0), 429, 60000);
    assert_int_equal(r.reason, GW_END_BUDGET_SPENT);
}

static void a_shortened_schedule_is_spent(void **state)
{
    (void)state;
    const struct gw_retry two = {.schedule_s = {1, 2}, .count = 2, .timeout_ms = 1000};
    const struct gw_retry none = {.count = 0, .timeout_ms = 1000};
    struct gw_delivery d = pending(5, 4, NOW, 0);
    struct gw_delivery r = gw_delivery_after_attempt(&d, GW_OUTCOME_DNS, 0, 0, &two, NOW, MID);

    assert_int_equal(r.state, GW_DELIVERY_DEAD);
    assert_int_equal(r.reason, GW_END_BUDGET_SPENT);
    d = pending(0, 0, NOW, 0);
    r = gw_delivery_after_attempt(&d, GW_OUTCOME_DNS, 0, 0, &none, NOW, MID);
    assert_int_equal(r.state, GW_DELIVERY_DEAD);
    assert_int_equal(r.attempts, 1);
}

/* ── Manual retries ────────────────────────────────────────────────────────────────────────── */

static void manual_retry_of_a_pending_one(void **state)
{
    (void)state;
    struct gw_delivery d = pending(3, 2, NOW + 5000, 0);

    assert_true(gw_delivery_retry(&d));
    assert_sound(&d);
    assert_int_equal(d.state, GW_DELIVERY_PENDING);
    assert_true(d.due_ms == 0 && d.resume_ms == NOW + 5000);
    struct gw_delivery once = d;
    assert_true(gw_delivery_retry(&d)); /* asked again before it ran */
    assert_true(d.due_ms == once.due_ms && d.resume_ms == once.resume_ms);

    struct gw_delivery r = after(d, 200, 0);
    assert_sound(&r);
    assert_int_equal(r.state, GW_DELIVERY_DELIVERED);
    assert_int_equal(r.attempts, 4);

    r = after(d, 500, 0);
    assert_sound(&r);
    assert_int_equal(r.state, GW_DELIVERY_PENDING);
    assert_true(r.due_ms == NOW + 5000 && r.resume_ms == 0);
    assert_int_equal(r.attempts, 4);
    assert_int_equal(r.step, 2);

    r = after(d, 503, 4000); /* earlier than its own time */
    assert_true(r.due_ms == NOW + 5000);
    r = after(d, 503, 60000); /* later: the target asked for it */
    assert_true(r.due_ms == NOW + 60000);
    assert_int_equal(r.step, 2);

    r = after(d, 410, 0);
    assert_sound(&r);
    assert_int_equal(r.state, GW_DELIVERY_DEAD);
    assert_int_equal(r.reason, GW_END_GONE);
}

/* It uses no step, even where the schedule is used up: the next ordinary failure decides. */
static void manual_retry_at_the_last_step(void **state)
{
    (void)state;
    struct gw_delivery d = pending(7, DEFAULT_STEPS, NOW + 5000, 0);

    assert_true(gw_delivery_retry(&d));
    d = after(d, 0, 0);
    assert_int_equal(d.state, GW_DELIVERY_PENDING);
    assert_int_equal(d.step, DEFAULT_STEPS);
    assert_true(d.due_ms == NOW + 5000);
    d = after(d, 0, 0);
    assert_int_equal(d.state, GW_DELIVERY_DEAD);
    assert_int_equal(d.attempts, 9);
}

static void manual_retry_of_a_dead_one(void **state)
{
    (void)state;
    static const enum gw_end_reason reasons[] = {GW_END_BUDGET_SPENT, GW_END_GONE, GW_END_EXPIRED};

    for (size_t i = 0; i < gw_count(reasons); i++) {
        struct gw_delivery d = pending(8, 8, 0, 0);
        d.state = GW_DELIVERY_DEAD;
        d.reason = reasons[i];
        d.ended_ms = NOW - 10;

        assert_true(gw_delivery_retry(&d));
        assert_sound(&d);
        assert_int_equal(d.state, GW_DELIVERY_PENDING);
        assert_true(d.due_ms == 0 && d.resume_ms == GW_NEVER);
        assert_true(gw_delivery_retry(&d));
        assert_true(d.resume_ms == GW_NEVER);

        struct gw_delivery r = after(d, 200, 0);
        assert_sound(&r);
        assert_int_equal(r.state, GW_DELIVERY_DELIVERED);
        r = after(d, 503, 60000);
        assert_sound(&r);
        assert_int_equal(r.state, GW_DELIVERY_DEAD);
        assert_int_equal(r.reason, GW_END_BUDGET_SPENT);
        assert_int_equal(r.attempts, 9);
        assert_int_equal(r.step, 8);
        assert_true(r.ended_ms == NOW);
        r = after(d, 410, 0);
        assert_int_equal(r.reason, GW_END_GONE);
    }
}

static void no_manual_retry_of_what_is_done(void **state)
{
    (void)state;
    static const enum gw_delivery_state states[] = {GW_DELIVERY_DELIVERED, GW_DELIVERY_CANCELLED};

    for (size_t i = 0; i < gw_count(states); i++) {
        struct gw_delivery d = pending(1, 0, 0, 0);
        d.state = states[i];
        d.ended_ms = NOW;
        struct gw_delivery before = d;
        assert_false(gw_delivery_retry(&d));
        assert_memory_equal(&d, &before, sizeof(d));
    }
}

/* ── Ends ──────────────────────────────────────────────────────────────────────────────────── */

static void ends_without_an_attempt(void **state)
{
    (void)state;
    for (int reason = GW_END_BUDGET_SPENT; reason <= GW_END_PAYLOAD_CHANGED; reason++) {
        bool is_cancel = reason == GW_END_CONFIG_DELETED || reason == GW_END_URL_REMOVED;
        struct gw_delivery d = pending(2, 2, NOW, GW_NEVER);
        struct gw_delivery r = gw_delivery_end(&d, (enum gw_end_reason)reason, NOW);
        assert_same_thing(&r, &d);
        assert_sound(&r);
        assert_int_equal(r.state, is_cancel ? GW_DELIVERY_CANCELLED : GW_DELIVERY_DEAD);
        assert_int_equal(r.reason, reason);
        assert_int_equal(r.attempts, 2);
    }
}

static void ended_while_in_flight(void **state)
{
    (void)state;
    struct gw_delivery d = pending(2, 2, NOW, 0);

    d = gw_delivery_end(&d, GW_END_CONFIG_DELETED, NOW - 5);
    struct gw_delivery r = after(d, 200, 0);
    assert_sound(&r);
    assert_int_equal(r.state, GW_DELIVERY_DELIVERED);
    static const int failures[] = {0, 410, 500};
    for (size_t i = 0; i < gw_count(failures); i++) {
        r = after(d, failures[i], 60000);
        assert_sound(&r);
        assert_int_equal(r.state, GW_DELIVERY_CANCELLED);
        assert_int_equal(r.reason, GW_END_CONFIG_DELETED);
        assert_int_equal(r.attempts, 3);
        assert_int_equal(r.step, 2);
        assert_true(r.ended_ms == NOW - 5);
    }
}

static void names(void **state)
{
    (void)state;
    static const char *const states[] = {"pending", "delivered", "dead", "cancelled"};

    for (size_t i = 0; i < gw_count(states); i++)
        assert_string_equal(gw_delivery_state_name((enum gw_delivery_state)i), states[i]);
    for (int i = 0; i <= GW_END_PAYLOAD_CHANGED; i++) {
        const char *text = gw_end_reason_text((enum gw_end_reason)i);
        assert_true(strlen(gw_end_reason_name((enum gw_end_reason)i)) > 0);
        assert_int_equal(text[strlen(text) - 1], '.');
        for (int k = 0; k < i; k++)
            assert_string_not_equal(gw_end_reason_name((enum gw_end_reason)k),
                                    gw_end_reason_name((enum gw_end_reason)i));
    }
    assert_string_equal(gw_end_reason_name(GW_END_EXPIRED), "expired");
    assert_string_equal(gw_end_reason_name(GW_END_PAYLOAD_GONE), "payload_gone");
    assert_string_equal(gw_end_reason_name(GW_END_PAYLOAD_CHANGED), "payload_changed");
}

static void random_walks(void **state)
{
    (void)state;
    static const int statuses[] = {0, 200, 301, 404, 410, 429, 500, 503};
    struct rng rng = {41};

    for (int walk = 0; walk < 20000; walk++) {
        struct gw_delivery d = pending(0, 0, NOW, 0);
        uint32_t manual = 0;
        int64_t now_ms = NOW;
        for (int i = 0; i < 30; i++) {
            struct gw_delivery before = d;
            now_ms += (int64_t)rng_below(&rng, 100000);
            if (rng_below(&rng, 4) == 0) {
                bool can = gw_delivery_retry(&d);
                assert_true(can == (before.state == GW_DELIVERY_PENDING ||
                                    before.state == GW_DELIVERY_DEAD));
            } else if (d.state == GW_DELIVERY_PENDING) {
                int status = statuses[rng_below(&rng, gw_count(statuses))];
                enum gw_outcome outcome = status ? gw_outcome_of_status(status) : GW_OUTCOME_RESET;
                manual += d.resume_ms != 0;
                d = gw_delivery_after_attempt(&d, outcome, status,
                                              status == 429 ? (int64_t)rng_below(&rng, 90000) : 0,
                                              &gw_retry_default, now_ms, (uint32_t)rng_next(&rng));
                assert_int_equal(d.attempts, before.attempts + 1);
                if (d.state == GW_DELIVERY_PENDING && before.resume_ms == 0)
                    assert_true(d.due_ms >= now_ms + 4000);
            }
            assert_same_thing(&d, &before);
            assert_sound(&d);
            assert_true(d.step >= before.step && d.step <= DEFAULT_STEPS + 1);
            assert_true(d.step <= d.attempts && d.attempts <= d.step + manual + 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_an_attempt),
        cmocka_unit_test(retry_after_counts),
        cmocka_unit_test(a_shortened_schedule_is_spent),
        cmocka_unit_test(manual_retry_of_a_pending_one),
        cmocka_unit_test(manual_retry_at_the_last_step),
        cmocka_unit_test(manual_retry_of_a_dead_one),
        cmocka_unit_test(no_manual_retry_of_what_is_done),
        cmocka_unit_test(ends_without_an_attempt),
        cmocka_unit_test(ended_while_in_flight),
        cmocka_unit_test(names),
        cmocka_unit_test(random_walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
