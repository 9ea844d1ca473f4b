/* contract_settle.c: claim, settle and manual retry: what an attempt leaves behind, and who may. */
#include "given.h"

static void assert_stored(struct world *world, const struct gw_delivery *d, size_t attempts_logged)
{
    const struct gw_row *row = find_row(world, &d->id);

    assert_non_null(row);
    assert_delivery_equal(&row->delivery, d);
    assert_int_equal(log_count(row->log), attempts_logged);
}

static void test_claim(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0);
    struct gw_claim claim = {.delivery = d, .lease_ms = 45000};

    assert_ok(CALL(world, ledger, claim, &claim));
    assert_true(claim.write_id > 0);
    struct gw_delivery next = failed_until(&d, T0 + 5000);
    assert_ok(settle(world, &next, claim.write_id, true));

    uint64_t first = claim.write_id;
    claim.delivery = next;
    assert_ok(CALL(world, ledger, claim, &claim));
    assert_true(claim.write_id > first);
    d = delivered(&next);
    assert_ok(settle(world, &d, claim.write_id, true));
    assert_stored(world, &d, 2);
}

static void test_again_later(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0);

    given_delivery(world, 1, T0 + 10);
    d = settled(world, &d, failed_until(&d, T0 + 5000));
    assert_stored(world, &d, 1);
    struct gw_refill *open = refill(world, 1, NULL, 10);
    assert_int_equal(open->count, 2);
    assert_int_equal(open->deliveries[0].due_ms, T0 + 10);
    assert_delivery_equal(&open->deliveries[1], &d); /* it waits where it now belongs */
    assert_open(world, 2);
}

static void test_ends(void **state)
{
    struct world *world = *state;
    struct gw_delivery d[5];

    for (size_t i = 0; i < gw_count(d); i++)
        d[i] = given_delivery(world, 1, T0);
    d[0] = settled(world, &d[0], delivered(&d[0]));
    d[1] = settled(world, &d[1], dead(&d[1]));
    d[2] = settled(world, &d[2], ended(&d[2], GW_END_CONFIG_DELETED));
    d[3] = settled(world, &d[3], ended(&d[3], GW_END_EXPIRED));
    assert_stored(world, &d[0], 1);
    assert_stored(world, &d[1], 1);
    assert_stored(world, &d[2], 0);
    assert_stored(world, &d[3], 0);
    assert_stored(world, &d[4], 0);
    assert_int_equal(d[2].state, GW_DELIVERY_CANCELLED);
    assert_int_equal(d[3].state, GW_DELIVERY_DEAD);
    struct gw_refill *open = refill(world, 1, NULL, 10);
    assert_int_equal(open->count, 1);
    assert_delivery_equal(&open->deliveries[0], &d[4]);
    assert_open(world, 1);
}

static void test_the_record_is_kept_whole(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0);
    char excerpt[GW_EXCERPT_BYTES_MAX];
    struct gw_attempt back;

    for (size_t i = 0; i < sizeof(excerpt); i++)
        excerpt[i] = (char)i;
    struct gw_attempt attempt = {
        .n = 1,
        .at_ms = T0 + 3,
        .outcome = GW_OUTCOME_HTTP_ERROR,
        .status = 503,
        .queue_us = 1,
        .dns_us = 22,
        .connect_us = 333,
        .tls_us = 4444,
        .first_byte_us = 55555,
        .total_us = 6000000000,
        .address = {.family = 6, .bytes = {0x20, 1, [15] = 9}},
        .config_version = 1234567890123,
        .url = GW_SLICE("https://ex.example/\xc3\xa9"),
        .error = GW_SLICE("answered 503"),
        .excerpt = {excerpt, sizeof(excerpt)},
    };
    struct gw_settle op = {.write_id = 1, .attempt = &attempt, .next = failed_until(&d, T0 + 9)};
    assert_ok(CALL(world, ledger, settle, &op));
    struct gw_slice log = find_row(world, &d.id)->log;
    assert_true(gw_attempt_unpack(&log, &back));
    assert_attempt_equal(&back, &attempt);
}

static void test_the_log_has_a_ceiling(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0);
    struct gw_attempt attempt;
    uint32_t count = 0;

    for (uint32_t i = 0; i < 40; i++)
        d = settled(world, &d, failed_until(&d, T0 + i));
    d = settled(world, &d, delivered(&d));
    const struct gw_row *row = find_row(world, &d.id);
    assert_delivery_equal(&row->delivery, &d);
    assert_int_equal(row->delivery.attempts, 41);
    struct gw_slice log = row->log;
    for (; gw_attempt_unpack(&log, &attempt); count++)
        assert_int_equal(attempt.n, count < 5 ? count + 1 : count + 17); /* 5 first, 20 last */
    assert_int_equal(count, 25);
}

/* ── Who may ───────────────────────────────────────────────────────────────────────────────── */

static void test_stale(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0), next = failed_until(&d, T0 + 5);

    assert_int_equal(settle(world, &next, 0, true), GW_ERR_STALE);
    assert_int_equal(settle(world, &next, 2, true), GW_ERR_STALE);
    assert_int_equal(settle(world, &next, UINT64_MAX, true), GW_ERR_STALE);
    assert_stored(world, &d, 0);
    d = settled(world, &d, next);
    d = settled(world, &d, failed_until(&d, T0 + 6));
    d = settled(world, &d, failed_until(&d, T0 + 7));
    next = delivered(&d);
    assert_int_equal(settle(world, &next, 1, true), GW_ERR_STALE);
    assert_int_equal(settle(world, &next, 2, true), GW_ERR_STALE);
    assert_int_equal(settle(world, &next, 5, true), GW_ERR_STALE);
    assert_stored(world, &d, 3);
}

static void test_not_open(void **state)
{
    struct world *world = *state;
    struct gw_accept *event =
        accept_new(world, &(struct given){.lanes = LANES(1), .lane_count = 1});
    struct gw_delivery d = event->deliveries[0];

    struct gw_delivery next = failed_until(&d, T0);
    next.id = (struct gw_id){.len = d.id.len, .bytes = {9, 9, 9}};
    assert_int_equal(settle(world, &next, 1, true), GW_ERR_NOT_FOUND);
    next.id = event->message_id; /* an id, but not of a delivery */
    assert_int_equal(settle(world, &next, 1, true), GW_ERR_NOT_FOUND);
    next.id = (struct gw_id){0};
    assert_int_equal(settle(world, &next, 1, true), GW_ERR_NOT_FOUND);

    d = settled(world, &d, dead(&d));
    next = failed_until(&d, T0);
    assert_int_equal(settle(world, &next, 2, true), GW_ERR_NOT_FOUND);
    assert_int_equal(settle(world, &next, 3, true), GW_ERR_NOT_FOUND);
    assert_stored(world, &d, 1);
}

static void settle_twice(struct world *world, const struct gw_delivery *before,
                         struct gw_delivery next, size_t logged)
{
    bool with_attempt = next.attempts != before->attempts;
    uint64_t write_id = (uint64_t)before->attempts + 1;
    uint64_t open = gw_ledger_state(world->ledger).open;
    bool is_open = next.state == GW_DELIVERY_PENDING;

    assert_ok(settle(world, &next, write_id, with_attempt));
    assert_ok(settle(world, &next, write_id, with_attempt));
    assert_stored(world, &next, logged);
    assert_open(world, is_open ? open : open - 1);
}

static void test_repeated(void **state)
{
    struct world *world = *state;
    struct gw_delivery d[5];

    for (size_t i = 0; i < gw_count(d); i++)
        d[i] = given_delivery(world, 1, T0);
    settle_twice(world, &d[0], failed_until(&d[0], T0 + 9), 1);
    settle_twice(world, &d[1], delivered(&d[1]), 1);
    settle_twice(world, &d[2], dead(&d[2]), 1);
    settle_twice(world, &d[3], ended(&d[3], GW_END_URL_REMOVED), 0);
    d[4] = settled(world, &d[4], failed_until(&d[4], T0 + 9));
    settle_twice(world, &d[4], ended(&d[4], GW_END_EXPIRED), 1);
}

/* Both in one group. */
static void test_two_at_once(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0);
    struct gw_attempt attempt = attempt_of(&d, GW_OUTCOME_SUCCESS, 200);
    struct gw_settle one = {.write_id = 1, .attempt = &attempt, .next = delivered(&d)};
    struct gw_settle same = one, other = one;

    other.write_id = 2;
    START(world, ledger, settle, &one);
    START(world, ledger, settle, &same);
    START(world, ledger, settle, &other);
    world_wait(world);
    assert_ok(one.op.err);
    assert_ok(same.op.err);
    assert_int_equal(other.op.err, GW_ERR_NOT_FOUND);
    d = delivered(&d);
    assert_stored(world, &d, 1);
}

/* ── Manual retry ──────────────────────────────────────────────────────────────────────────── */

static struct gw_delivery retried(struct world *world, const struct gw_delivery *before)
{
    struct gw_delivery expected = *before, now;

    world_forget(world);
    assert_true(gw_delivery_retry(&expected));
    assert_ok(retry(world, &before->id, &now));
    assert_delivery_equal(&now, &expected);

    size_t offers = 0;
    for (size_t i = 0; i < world->came_count; i++) {
        if (world->came[i].kind != CAME_OFFER)
            continue;
        offers++;
        assert_int_equal(world->came[i].offer->count, 1);
        assert_delivery_equal(&world->came[i].offer->deliveries[0], &expected);
    }
    assert_int_equal(offers, 1);
    return now;
}

static void test_retry_of_pending(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0 + 50);

    given_delivery(world, 1, T0);
    d = retried(world, &d);
    assert_int_equal(d.due_ms, 0);
    assert_int_equal(d.resume_ms, T0 + 50);
    assert_stored(world, &d, 0);
    assert_delivery_equal(&refill(world, 1, NULL, 10)->deliveries[0], &d); /* it is first now */
    struct gw_delivery again = retried(world, &d);                         /* stays as it is */
    assert_delivery_equal(&again, &d);

    struct gw_delivery next = failed_until(&d, d.resume_ms);
    next.resume_ms = 0;
    d = settled(world, &d, next);
    assert_stored(world, &d, 1);
    assert_open(world, 2);
}

static void test_retry_of_dead(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0), next;

    d = settled(world, &d, failed_until(&d, T0 + 1));
    d = settled(world, &d, dead(&d));
    d = retried(world, &d);
    assert_int_equal(d.resume_ms, GW_NEVER);
    assert_stored(world, &d, 2);
    assert_int_equal(open_in(world, 1), 1);
    assert_open(world, 1);

    next = dead(&d); /* what went before is known yet */
    assert_int_equal(settle(world, &next, 1, true), GW_ERR_STALE);
    d = settled(world, &d, next); /* dead again, and again reopened */
    d = retried(world, &d);
    d = settled(world, &d, delivered(&d));
    assert_stored(world, &d, 4);
    assert_int_equal(open_in(world, 1), 0);
}

/* Its end had no attempt, so the next one has the write id that the end had. */
static void test_retry_of_dead_without_attempt(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0);

    d = settled(world, &d, failed_until(&d, T0 + 1));
    d = settled(world, &d, ended(&d, GW_END_EXPIRED));
    d = retried(world, &d);
    d = settled(world, &d, delivered(&d));
    assert_stored(world, &d, 2);
}

static void test_retry_refuses(void **state)
{
    struct world *world = *state;
    struct gw_delivery a = given_delivery(world, 1, T0), b = given_delivery(world, 1, T0), now;
    struct gw_id nobody = {.len = a.id.len, .bytes = {7}};

    a = settled(world, &a, delivered(&a));
    b = settled(world, &b, ended(&b, GW_END_CONFIG_DELETED));
    world_forget(world);
    assert_int_equal(retry(world, &a.id, &now), GW_ERR_CONFLICT);
    assert_delivery_equal(&now, &a); /* as it stands */
    assert_int_equal(retry(world, &b.id, &now), GW_ERR_CONFLICT);
    assert_delivery_equal(&now, &b);
    assert_int_equal(retry(world, &nobody, &now), GW_ERR_NOT_FOUND);
    assert_int_equal(retry(world, &a.message_id, &now), GW_ERR_NOT_FOUND);
    for (size_t i = 0; i < world->came_count; i++)
        assert_int_equal(world->came[i].kind, CAME_DONE);
    assert_stored(world, &a, 1);
    assert_stored(world, &b, 0);
}

int suite_settle(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_claim),
        TEST(test_again_later),
        TEST(test_ends),
        TEST(test_the_record_is_kept_whole),
        TEST(test_the_log_has_a_ceiling),
        TEST(test_stale),
        TEST(test_not_open),
        TEST(test_repeated),
        TEST(test_two_at_once),
        TEST(test_retry_of_pending),
        TEST(test_retry_of_dead),
        TEST(test_retry_of_dead_without_attempt),
        TEST(test_retry_refuses),
    };
    return suite_run("settle", tests, gw_count(tests));
}
