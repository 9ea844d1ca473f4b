/* dynamodb.c: what only a store does that many processes share: leases, write ids that are drawn, payloads
 * in S3, wakes, paces, lists of one app.
 *
 *   dynamodb            all of it, on the AWS that the environment says
 *   dynamodb unpaced    all but what is shown once: a slot whose answer is lost is nobody's
 *   dynamodb throttled  where each write is refused for now */
#include "given.h"

#include "aws/s3.h"
#include "aws/sqs.h"
#include "core/wake.h"
#include "rig_dynamodb.h"
#include "sys/loop.h"

#include <stdlib.h>

#define LEASE_MS 60000

/* ── Claims ────────────────────────────────────────────────────────────────────────────────── */

static struct gw_claim claim_of(const struct gw_delivery *d, int64_t lease_ms)
{
    return (struct gw_claim){.delivery = *d, .lease_ms = lease_ms};
}

static enum gw_err claim(struct world *world, const struct gw_delivery *d, int64_t lease_ms,
                         uint64_t *write_id)
{
    struct gw_claim op = claim_of(d, lease_ms);
    enum gw_err err = CALL(world, ledger, claim, &op);

    *write_id = op.write_id;
    return err;
}

static void test_two_claims_at_once(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0);
    struct gw_claim ops[8];
    size_t claimed = 0;

    for (size_t i = 0; i < gw_count(ops); i++) {
        ops[i] = claim_of(&d, LEASE_MS);
        START(world, ledger, claim, &ops[i]);
    }
    world_wait(world);
    for (size_t i = 0; i < gw_count(ops); i++) {
        claimed += ops[i].op.err == GW_OK;
        if (ops[i].op.err == GW_OK)
            continue;
        assert_int_equal(ops[i].op.err, GW_ERR_BUSY);
        assert_in_range(ops[i].op.again_ms, LEASE_MS / 2, LEASE_MS);
        assert_int_equal(ops[i].write_id, 0);
    }
    assert_int_equal(claimed, 1);
}

static void test_a_lease_that_is_over(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0), next = delivered(&d);
    uint64_t first, second = 0;
    enum gw_err err;

    assert_ok(claim(world, &d, 1, &first));
    do
        err = claim(world, &d, LEASE_MS, &second);
    while (err == GW_ERR_BUSY);
    assert_ok(err);
    assert_int_not_equal(first, second);
    assert_int_equal(settle(world, &next, first, true), GW_ERR_STALE); /* who was too slow */
    assert_int_equal(find_row(world, &d.id)->delivery.state, GW_DELIVERY_PENDING);
    assert_ok(settle(world, &next, second, true));
    assert_int_equal(settle(world, &next, first, true), GW_ERR_NOT_FOUND);
    assert_int_equal(log_count(find_row(world, &d.id)->log), 1);
}

static void test_a_claim_of_what_is_otherwise(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0), nobody = d;
    struct gw_delivery later = settled(world, &d, failed_until(&d, T0 + 5));
    uint64_t write_id;

    assert_int_equal(claim(world, &d, LEASE_MS, &write_id), GW_ERR_STALE);
    struct gw_delivery by_hand = later;
    assert_ok(retry(world, &d.id, &by_hand));
    assert_int_equal(claim(world, &later, LEASE_MS, &write_id), GW_ERR_STALE);
    struct gw_delivery end = settled(world, &by_hand, delivered(&by_hand));
    assert_int_equal(claim(world, &end, LEASE_MS, &write_id), GW_ERR_NOT_FOUND);
    assert_int_equal(claim(world, &by_hand, LEASE_MS, &write_id), GW_ERR_NOT_FOUND);
    nobody.id.bytes[3] ^= 1;
    assert_int_equal(claim(world, &nobody, LEASE_MS, &write_id), GW_ERR_NOT_FOUND);
    nobody.id.len = 16;
    assert_int_equal(claim(world, &nobody, LEASE_MS, &write_id), GW_ERR_NOT_FOUND);
    assert_null(find_row(world, &nobody.id)); /* a refused claim left nothing */
}

static void test_settle_again(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0), next = failed_until(&d, T0 + 5), end;
    uint64_t write_id, another;

    assert_int_equal(settle(world, &next, 0, true), GW_ERR_STALE); /* nobody has claimed it */
    assert_int_equal(settle(world, &next, 1, true), GW_ERR_STALE);
    assert_ok(claim(world, &d, LEASE_MS, &write_id));
    assert_int_equal(settle(world, &next, write_id + 2, true), GW_ERR_STALE);
    assert_ok(settle(world, &next, write_id, true));
    assert_ok(settle(world, &next, write_id, true)); /* the answer was lost */
    assert_int_equal(log_count(find_row(world, &d.id)->log), 1);
    assert_ok(claim(world, &next, LEASE_MS, &another)); /* a settle ends the lease */
    end = ended(&next, GW_END_CONFIG_DELETED);
    assert_int_equal(settle(world, &end, write_id + 1, false), GW_ERR_STALE);
    assert_ok(settle(world, &end, another, false));
    assert_ok(settle(world, &end, another, false));
    assert_int_equal(settle(world, &end, write_id, false), GW_ERR_NOT_FOUND);
    assert_delivery_equal(&find_row(world, &d.id)->delivery, &end);
    assert_int_equal(open_in(world, 1), 0);
}

static void test_the_record(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0);
    char excerpt[GW_EXCERPT_BYTES_MAX];
    struct gw_attempt attempt = attempt_of(&d, GW_OUTCOME_HTTP_ERROR, 503), back;
    uint64_t write_id;

    memset(excerpt, 'x', sizeof(excerpt));
    attempt.excerpt = (struct gw_slice){excerpt, sizeof(excerpt)};
    assert_ok(claim(world, &d, LEASE_MS, &write_id));
    struct gw_settle op = {
        .write_id = write_id, .attempt = &attempt, .next = failed_until(&d, T0 + 9)};
    assert_ok(CALL(world, ledger, settle, &op));
    struct gw_slice log = find_row(world, &d.id)->log;
    assert_true(gw_attempt_unpack(&log, &back));
    attempt.excerpt.len = 256;
    assert_attempt_equal(&back, &attempt);
}

/* ── Events ────────────────────────────────────────────────────────────────────────────────── */

static void test_skipped_then_routed(void **state)
{
    struct world *world = *state;
    struct given skip = {.event_id = "e", .transaction_id = "t", .skip = GW_SKIP_FILTERED};
    struct given routed = {
        .event_id = "e", .transaction_id = "t", .lanes = LANES(4), .lane_count = 1};
    struct gw_accept *skipped = accept_new(world, &skip);

    accept_new(world, &skip);
    assert_int_equal(find(world, GW_FIND_EVENT_ID, NULL, "e")->count, 1);
    struct gw_add *add =
        add_start(world, &skipped->message_id, "job", LANES(3), 1, T0); /* a replay of it */
    world_wait(world);
    assert_ok(add->op.err);
    struct gw_accept *first = accept_new(world, &routed);
    assert_id_equal(&first->message_id, &skipped->message_id);
    assert_false(gw_id_eq(&first->deliveries[0].id, &add->deliveries[0].id));
    struct gw_accept *again = accept_start(world, &skip);
    world_wait(world);
    assert_true(again->existing);
    assert_int_equal(again->delivery_count, 1);
    assert_id_equal(&again->deliveries[0].id, &first->deliveries[0].id);
    struct gw_find *found = find(world, GW_FIND_EVENT_ID, NULL, "e");
    assert_int_equal(found->count, 1);
    assert_int_equal(found->events[0].count, 2);
    assert_int_equal(found->events[0].message->skip, GW_SKIP_NONE);
    assert_int_equal(find(world, GW_FIND_TRANSACTION_ID, "app", "t")->count, 1);
    if (add->op.err != GW_OK || !add->offered)
        offer_free(add->offer);
}

static void test_finding_by_any_id(void **state)
{
    struct world *world = *state;
    struct given given = {.app = "a", .event_id = "e", .transaction_id = "t", .at_ms = T0};
    struct gw_accept *both = accept_new(world, &given);

    given = (struct given){.app = "b", .event_id = "e", .at_ms = T0 + 1, .lanes = LANES(1)};
    given.lane_count = 1;
    struct gw_accept *newer = accept_new(world, &given);
    given = (struct given){.app = "b", .transaction_id = "t", .at_ms = T0 + 2};
    accept_new(world, &given);
    struct gw_find *found = find(world, GW_FIND_EVENT_ID, NULL, "e");
    assert_int_equal(found->count, 2);
    assert_id_equal(&found->events[0].message->id, &newer->message_id); /* newest first */
    assert_id_equal(&found->events[1].message->id, &both->message_id);
    assert_int_equal(find(world, GW_FIND_EVENT_ID, "a", "e")->count, 1);
    assert_int_equal(find(world, GW_FIND_EVENT_ID, "c", "e")->count, 0);
    assert_int_equal(find(world, GW_FIND_TRANSACTION_ID, NULL, "t")->count, 2);
    assert_int_equal(find(world, GW_FIND_TRANSACTION_ID, "b", "t")->count, 1);
    assert_int_equal(find(world, GW_FIND_TRANSACTION_ID, NULL, "e")->count, 0);
}

/* ── Payloads ──────────────────────────────────────────────────────────────────────────────── */

static enum gw_err load(struct world *world, const struct gw_id *message_id)
{
    struct gw_load op = {.message_id = *message_id};
    enum gw_err err = CALL(world, ledger, load, &op);

    assert_int_equal(err == GW_OK, op.message != NULL);
    gw_message_unref(op.message);
    return err;
}

static void test_a_payload_that_is_another(void **state)
{
    struct world *world = *state;
    struct gw_accept *op =
        accept_new(world, &(struct given){.body = "[1]", .lanes = LANES(1), .lane_count = 1});
    struct gw_slice key = op->message->place.key;

    assert_ok(load(world, &op->message_id));
    rig_put(world, key, GW_SLICE("[2]"));
    assert_int_equal(load(world, &op->message_id), GW_ERR_CHANGED);
    rig_put(world, key, GW_SLICE("[1,2]"));
    assert_int_equal(load(world, &op->message_id), GW_ERR_CHANGED);
    assert_null(find_message(world, &op->message_id)->message->body.ptr);
    rig_put(world, key, GW_SLICE("[1]"));
    assert_ok(load(world, &op->message_id));
    rig_delete(world, key);
    assert_int_equal(load(world, &op->message_id), GW_ERR_GONE);
    assert_null(find_message(world, &op->message_id)->message->body.ptr);
}

/* A notice need not say the ETag: then the bytes alone tell. */
static void test_a_payload_of_which_no_etag_is_known(void **state)
{
    struct world *world = *state;
    struct gw_place place = {.bucket = gw_slice_from(getenv("GWH_TEST_BUCKET")),
                             .key = GW_SLICE("without an etag")};
    struct gw_event event = {.app_id = GW_SLICE("app"),
                             .event_type = GW_SLICE("type"),
                             .place = place,
                             .body = GW_SLICE("[1]")};

    rig_put_to(world, place, event.body);
    struct gw_accept *op =
        accept_message(world, gw_message_create(&event, T0), LANES(1), 1, DAY_MS);
    world_wait(world);
    assert_ok(op->op.err);
    assert_ok(load(world, &op->message_id));
    rig_put_to(world, place, GW_SLICE("[2]"));
    assert_int_equal(load(world, &op->message_id), GW_ERR_CHANGED);
}

static struct gw_slice random_body(struct world *world)
{
    uint64_t random;

    gw_env_random(world->env, &random, sizeof(random));
    return gw_slice_from(
        gw_arena_printf(&world->arena, "{\"n\":\"%llx\"}", (unsigned long long)random));
}

/* What a worker will find by its notice is the same event. */
static void put_and_accept(struct world *world, const char *bucket, const char *event_id)
{
    struct gw_event event = {.app_id = GW_SLICE("app"),
                             .event_type = GW_SLICE("type"),
                             .event_id = gw_slice_from(event_id),
                             .body = random_body(world)};
    struct gw_message *message = gw_message_create(&event, T0);
    struct gw_accept op = {.message = message, .lanes = LANES(1), .lane_count = 1};
    struct gw_place place;

    op.offer = offer_make(world, message, 1);
    rig_put_event(world, bucket, &op, &place);
    assert_ok(op.op.err);
    assert_true(op.deferred && !op.existing && !op.offered);
    assert_int_equal(op.delivery_count, 0);
    assert_id_equal(&message->id, &op.message_id);
    assert_null(find_message(world, &op.message_id));

    event.place = place;
    struct gw_accept *seen =
        accept_message(world, gw_message_create(&event, T0), LANES(1), 1, DAY_MS);
    world_wait(world);
    assert_ok(seen->op.err);
    assert_false(seen->existing || seen->deferred);
    assert_id_equal(&seen->message_id, &op.message_id);
    seen = accept_message(world, gw_message_create(&event, T0), LANES(1), 1, DAY_MS);
    world_wait(world);
    assert_true(seen->existing && !seen->payload_differs);

    bool has_versions = place.version_id.ptr != NULL;
    assert_ok(load(world, &op.message_id));
    rig_put_to(world, place, GW_SLICE("{}"));
    assert_int_equal(load(world, &op.message_id), has_versions ? GW_OK : GW_ERR_CHANGED);
    offer_free(op.offer);
    gw_message_unref(message);
}

static void test_an_event_is_put(void **state)
{
    struct world *world = *state;
    const char *versions = getenv("GWH_TEST_VERSIONS");

    put_and_accept(world, getenv("GWH_TEST_BUCKET"), "e");
    put_and_accept(world, getenv("GWH_TEST_BUCKET"), NULL);
    put_and_accept(world, versions, "f");
    put_and_accept(world, versions, NULL);
}

/* ── Wakes ─────────────────────────────────────────────────────────────────────────────────── */

/* Waits until the queue wakes that message; wakes of other cases may come before, for some are late. */
static void assert_woken(struct world *world, const struct gw_id *message_id)
{
    struct gw_wake wake;

    do
        assert_true(rig_wake(world, &wake, 20));
    while (!gw_id_eq(&wake.message_id, message_id));
    assert_int_equal(wake.kind, GW_WAKE_MESSAGE);
}

/* Who skipped it may have deleted the message that it is routed by. */
static void test_what_was_skipped_is_woken(void **state)
{
    struct world *world = *state;
    struct given skip = {.event_id = "woken", .skip = GW_SKIP_NO_CONFIG};
    struct given routed = {.event_id = "woken", .lanes = LANES(4), .lane_count = 1};

    accept_new(world, &skip);
    accept_new(world, &skip);
    struct gw_accept *anew = accept_new(world, &routed);
    assert_woken(world, &anew->message_id);
}

static void test_a_retry_wakes(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0), now;

    d = settled(world, &d, dead(&d));
    rig_drain(world);
    assert_ok(retry(world, &d.id, &now));
    assert_int_equal(now.state, GW_DELIVERY_PENDING);
    assert_int_equal(now.due_ms, 0);
    assert_int_equal(now.resume_ms, GW_NEVER);
    assert_delivery_equal(&find_row(world, &d.id)->delivery, &now);
    assert_int_equal(open_in(world, 1), 1);
    assert_woken(world, &d.message_id);
    assert_ok(retry(world, &d.id, &now)); /* by hand already: woken again */
    assert_woken(world, &d.message_id);
    now = settled(world, &now, delivered(&now));
    assert_int_equal(retry(world, &d.id, &now), GW_ERR_CONFLICT);
    assert_int_equal(now.state, GW_DELIVERY_DELIVERED);
    d.id.bytes[0] ^= 1;
    assert_int_equal(retry(world, &d.id, &now), GW_ERR_NOT_FOUND);
}

/* ── Paces ─────────────────────────────────────────────────────────────────────────────────── */

static int64_t slot(struct world *world, const char *url, uint32_t per_second, int64_t now_ms)
{
    struct gw_slot op = {.app_id = GW_SLICE("a"),
                         .url = gw_slice_from(url),
                         .per_second = per_second,
                         .now_ms = now_ms};

    assert_ok(CALL(world, pace, slot, &op));
    return op.at_ms;
}

static void test_slots(void **state)
{
    struct world *world = *state;
    struct gw_slot ops[12];
    bool is_given[12] = {0};

    assert_int_equal(slot(world, "u", 4, T0), T0);
    assert_int_equal(slot(world, "u", 4, T0), T0 + 250);
    assert_int_equal(slot(world, "u", 4, T0 + 100), T0 + 500);
    assert_int_equal(slot(world, "v", 4, T0), T0);
    assert_int_equal(slot(world, "u", 4, T0 + 9000), T0 + 9000); /* what was not used is not kept */
    assert_int_equal(slot(world, "w", 3, T0), T0);
    assert_int_equal(slot(world, "w", 3, T0), T0 + 334); /* never early */
    for (size_t i = 0; i < gw_count(ops); i++) {
        ops[i] = (struct gw_slot){
            .app_id = GW_SLICE("a"), .url = GW_SLICE("x"), .per_second = 10, .now_ms = T0};
        START(world, pace, slot, &ops[i]);
    }
    world_wait(world);
    for (size_t i = 0; i < gw_count(ops); i++) {
        assert_ok(ops[i].op.err);
        int64_t n = (ops[i].at_ms - T0) / 100;
        assert_true(n >= 0 && n < (int64_t)gw_count(ops) && (ops[i].at_ms - T0) % 100 == 0);
        assert_false(is_given[n]); /* each moment once */
        is_given[n] = true;
    }
}

/* ── Health ────────────────────────────────────────────────────────────────────────────────── */

static void test_health(void **state)
{
    struct world *world = *state;
    struct gw_health_save save = {
        .health = {GW_SLICE("a"), GW_SLICE("https://x.example/?token=1"), GW_SLICE("{\n1}")}};
    struct gw_health_load load = {.arena = &world->arena, .app_id = GW_SLICE("a")};
    char json[1025] = {0};

    assert_ok(CALL(world, ledger, health_load, &load));
    assert_int_equal(load.count, 0);
    assert_ok(CALL(world, ledger, health_save, &save));
    save.health.app_id = GW_SLICE("b");
    assert_ok(CALL(world, ledger, health_save, &save));
    assert_ok(CALL(world, ledger, health_load, &load));
    assert_int_equal(load.count, 1);
    assert_true(gw_slice_is(load.items[0].url, "https://x.example/?token=1"));
    assert_true(gw_slice_is(load.items[0].json, "{\n1}"));
    save.health.json = (struct gw_slice){json, sizeof(json)};
    assert_int_equal(CALL(world, ledger, health_save, &save), GW_ERR_TOO_LARGE);
    save.health.app_id = GW_SLICE("a");
    save.health.json = GW_SLICE("");
    assert_ok(CALL(world, ledger, health_save, &save));
    assert_ok(CALL(world, ledger, health_load, &load));
    assert_int_equal(load.count, 0);
}

/* ── Refused for now ───────────────────────────────────────────────────────────────────────── */

static void test_throttled(void **state)
{
    struct world *world = *state;
    struct gw_accept *op = accept_start(world, &(struct given){.lanes = LANES(1), .lane_count = 1});

    world_wait(world);
    assert_int_equal(op->op.err, GW_ERR_BUSY);
    assert_true(op->op.again_ms > 0);
    assert_false(op->offered || op->existing);
    assert_int_equal(op->message->id.len, 0);
    assert_int_equal(open_in(world, 1), 0);
    assert_true(gw_ledger_state(world->ledger).accepting); /* it is there */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest once[] = {TEST(test_slots), TEST(test_what_was_skipped_is_woken)};
    const struct CMUnitTest tests[] = {
        TEST(test_two_claims_at_once),
        TEST(test_a_lease_that_is_over),
        TEST(test_a_claim_of_what_is_otherwise),
        TEST(test_settle_again),
        TEST(test_the_record),
        TEST(test_skipped_then_routed),
        TEST(test_finding_by_any_id),
        TEST(test_a_payload_that_is_another),
        TEST(test_a_payload_of_which_no_etag_is_known),
        TEST(test_an_event_is_put),
        TEST(test_a_retry_wakes),
        TEST(test_health),
    };
    const struct CMUnitTest throttled[] = {TEST(test_throttled)};
    const char *which = argc == 2 ? argv[1] : "";

    gw_sys_init();
    backend = &backend_dynamodb;
    if (strcmp(which, "throttled") == 0)
        return suite_run("throttled", throttled, gw_count(throttled));
    int failed = suite_run("events", tests, gw_count(tests));
    if (*which == '\0')
        failed += suite_run("once", once, gw_count(once));
    return failed ? 1 : 0;
}
