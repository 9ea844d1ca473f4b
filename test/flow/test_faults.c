/* test_faults.c: the flow when the world around it is late or failing: a store that says "again", a
 * change of configs that has reached one shard and not yet the other, a stop in the middle. Two
 * shards over the memory store, faults between them, in the simulated world. */
#include "base/check.h"
#include "flow/intake.h"
#include "flow/lanes.h"
#include "sim_env.h"
#include "store/fault.h"
#include "store/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SHARDS  2
#define POSTED  400
#define HOUR_MS (3600 * 1000)

struct posted {
    struct gw_intake intake;
    char body[1024];
    bool done;
};

struct flow_rig {
    struct sim *sim;
    struct gw_memory *memory;
    struct gw_fault *fault;
    struct gw_flow flow;
    struct gw_shard *shards[SHARDS];
    struct gw_env *driver;
    size_t left, idle; /* shards */
    /* of each kind of call: how many fail, or are late, from now on */
    unsigned failing[GW_CALL_COUNT];
    int64_t late_ms[GW_CALL_COUNT];
    enum gw_err err;
    int reply_status;
    int64_t reply_delay_ms;
    unsigned hits;
    struct posted *posted[POSTED];
    size_t posted_count;
};

static struct gw_fault_act choose(void *ctx, enum gw_call call, const struct gw_op *op)
{
    struct flow_rig *rig = ctx;
    struct gw_fault_act act = {.delay_ms = rig->late_ms[call]};
    (void)op;
    if (rig->failing[call]) {
        rig->failing[call]--;
        act.kind = GW_FAULT_FAIL;
        act.err = rig->err;
        act.again_ms = 1000;
    }
    return act;
}

static struct sim_reply on_webhook(void *ctx, const struct gw_http_call *call)
{
    struct flow_rig *rig = ctx;
    (void)call;
    rig->hits++;
    return (struct sim_reply){
        .end = GW_HTTP_ANSWERED, .status = rig->reply_status, .delay_ms = rig->reply_delay_ms};
}

static void on_started(void *ctx, enum gw_err err)
{
    gw_check(err == GW_OK);
    (*(size_t *)ctx)--;
}

static bool is_zero(void *ctx)
{
    return *(size_t *)ctx == 0;
}

static void start(struct flow_rig *rig)
{
    rig->left = SHARDS;
    for (size_t i = 0; i < SHARDS; i++)
        rig->shards[i] = gw_shard_create(&rig->flow, sim_env_create(rig->sim), i);
    for (size_t i = 0; i < SHARDS; i++)
        gw_shard_start(rig->shards[i], on_started, &rig->left);
    assert_true(sim_run(rig->sim, is_zero, &rig->left, HOUR_MS));
}

static struct flow_rig *rig_create(void)
{
    struct flow_rig *rig = gw_zalloc(sizeof(*rig));
    sim_init();
    rig->sim = sim_create(&(struct sim_options){.seed = 1});
    rig->driver = sim_env_create(rig->sim);
    rig->memory = gw_memory_create(sim_env_create(rig->sim), &(struct gw_memory_options){0});
    rig->fault = gw_fault_create(gw_memory_ledger(rig->memory), gw_memory_configs(rig->memory),
                                 gw_memory_admin(rig->memory), choose, rig);
    rig->flow = (struct gw_flow){
        .options = {.user_agent = "test",
                    .dedupe_ms = 24 * HOUR_MS,
                    .connect_timeout_ms = 5000,
                    .in_flight_max = 100,
                    .accepts_max = POSTED,
                    .memory_max = 1000,
                    .body_bytes_max = 1 << 20,
                    .snapshots_max = 16},
        .ledger = gw_fault_ledger(rig->fault),
        .configs = gw_fault_configs(rig->fault),
        .admin = gw_fault_admin(rig->fault),
        .shards = rig->shards,
        .shard_count = SHARDS,
    };
    rig->err = GW_ERR_FULL;
    rig->reply_status = 200;
    sim_name(rig->sim, "hook.example", "93.184.216.34", 5);
    sim_receiver(rig->sim, "hook.example", on_webhook, rig);
    return rig;
}

static void shards_free(struct flow_rig *rig)
{
    for (size_t i = 0; i < SHARDS; i++)
        sim_env_kill(rig->shards[i]->env);
    for (size_t i = 0; i < SHARDS; i++)
        gw_shard_destroy(rig->shards[i]);
}

static void rig_destroy(struct flow_rig *rig)
{
    shards_free(rig);
    gw_fault_destroy(rig->fault);
    gw_memory_destroy(rig->memory);
    sim_destroy(rig->sim);
    for (size_t i = 0; i < rig->posted_count; i++) {
        gw_intake_deinit(&rig->posted[i]->intake);
        gw_free(rig->posted[i]);
    }
    gw_free(rig);
}

static void run(struct flow_rig *rig, int64_t ms)
{
    sim_run(rig->sim, NULL, NULL, ms);
}

static uint64_t open_count(const struct flow_rig *rig)
{
    struct gw_ledger *ledger = gw_memory_ledger(rig->memory);
    return gw_ledger_state(ledger).open;
}

/* ── What is done to it ────────────────────────────────────────────────────────────────────── */

struct put_op {
    struct gw_config_put put;
    bool done;
};

static void on_put(struct gw_op *op)
{
    assert_int_equal(op->err, GW_OK);
    gw_container_of(op, struct put_op, put.op)->done = true;
}

static bool is_true(void *ctx)
{
    return *(bool *)ctx;
}

/* Stores a config of "app" for that eventType; no shard is told. */
static void put_config(struct flow_rig *rig, const char *event_type, const char *members)
{
    char json[512];
    snprintf(
        json, sizeof(json),
        "{\"appId\":\"app\",\"eventType\":\"%s\",\"webhookUrl\":\"https://hook.example/%s\"%s}",
        event_type, event_type, members);
    struct gw_config_change change = {.json = gw_slice_from(json),
                                      .guard = &rig->flow.options.guard};
    struct gw_error error;
    struct put_op op = {.put.op = {.env = rig->driver, .done = on_put},
                        .put.audit = {.actor = GW_SLICE("test"), .action = "config_created"}};
    assert_int_equal(gw_config_create(&op.put.config, &change, &error), GW_OK);
    gw_configs_put(rig->flow.configs, &op.put);
    assert_true(sim_run(rig->sim, is_true, &op.done, HOUR_MS));
    gw_snapshot_unref(op.put.snapshot);
    gw_config_unref(op.put.config);
}

static void on_intake(struct gw_intake *intake)
{
    assert_int_equal(intake->err, GW_OK);
    gw_container_of(intake, struct posted, intake)->done = true;
}

static struct gw_shard *owner(struct flow_rig *rig)
{
    return gw_flow_owner(&rig->flow, GW_SLICE("app"));
}

static struct gw_shard *other(struct flow_rig *rig)
{
    return rig->shards[owner(rig) == rig->shards[0]];
}

/* An event of "app", with so many bytes of padding, of a transaction that is called as its type; waits
 * until it is taken. */
static void post(struct flow_rig *rig, struct gw_shard *shard, const char *event_type, int padding)
{
    struct posted *posted = gw_zalloc(sizeof(*posted));
    assert_true(rig->posted_count < POSTED);
    snprintf(posted->body, sizeof(posted->body),
             "{\"appId\":\"app\",\"eventType\":\"%s\",\"transactionId\":\"%s\",\"pad\":\"%0*d\"}",
             event_type, event_type, padding, 0);
    posted->intake.body = gw_slice_from(posted->body);
    posted->intake.done = on_intake;
    rig->posted[rig->posted_count++] = posted;
    gw_intake_start(shard, &posted->intake);
    assert_true(sim_run(rig->sim, is_true, &posted->done, HOUR_MS));
}

static void on_idle(void *ctx)
{
    (*(size_t *)ctx)--;
}

static void drain(struct flow_rig *rig)
{
    rig->idle = SHARDS;
    for (size_t i = 0; i < SHARDS; i++)
        gw_shard_drain(rig->shards[i], on_idle, &rig->idle);
}

static void cut(struct flow_rig *rig)
{
    for (size_t i = 0; i < SHARDS; i++)
        gw_shard_cut(rig->shards[i]);
}

/* ── Tests ─────────────────────────────────────────────────────────────────────────────────── */

/* A change that is stored has reached the shard that takes the event, and not yet the app's own. */
static void test_owner_learns_configs_with_the_offer(void **state)
{
    struct flow_rig *rig = rig_create();
    (void)state;
    start(rig);
    put_config(rig, "A", "");
    post(rig, owner(rig), "A", 1); /* now the owner has the snapshot in memory */
    run(rig, 1000);
    assert_int_equal(rig->hits, 1);
    put_config(rig, "B", "");
    post(rig, other(rig), "B", 1); /* never saw the app: reads the newest */
    run(rig, HOUR_MS);
    assert_int_equal(open_count(rig), 0);
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_CANCELLED), 0);
    assert_int_equal(rig->hits, 2);
    rig_destroy(rig);
}

/* The same while the owner has something of the app under way. */
static void test_owner_learns_configs_while_at_work(void **state)
{
    struct flow_rig *rig = rig_create();
    (void)state;
    start(rig);
    put_config(rig, "A", ",\"retry\":{\"schedule\":[60]}");
    rig->reply_status = 500;
    post(rig, owner(rig), "A", 1);
    run(rig, 1000);
    rig->reply_status = 200;
    put_config(rig, "B", "");
    post(rig, other(rig), "B", 1);
    run(rig, HOUR_MS);
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_CANCELLED), 0);
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_DELIVERED), 2);
    rig_destroy(rig);
}

/* Nothing else happens to the lane: the refill itself must be asked for again. */
static void test_failed_refill_is_asked_again(void **state)
{
    struct flow_rig *rig = rig_create();
    (void)state;
    start(rig);
    put_config(rig, "A", "");
    rig->reply_delay_ms = -1;
    for (int i = 0; i < 20; i++)
        post(rig, owner(rig), "A", 1);
    shards_free(rig); /* as after a crash */
    rig->reply_delay_ms = 0;
    rig->hits = 0;
    rig->failing[GW_CALL_REFILL] = 3;
    start(rig);
    run(rig, HOUR_MS);
    assert_int_equal(open_count(rig), 0);
    assert_int_equal(rig->hits, 20);
    rig_destroy(rig);
}

/* Waiting to ask again keeps nobody from stopping. */
static void test_failed_refill_does_not_hold_up_the_end(void **state)
{
    struct flow_rig *rig = rig_create();
    (void)state;
    start(rig);
    put_config(rig, "A", "");
    rig->reply_delay_ms = -1;
    post(rig, owner(rig), "A", 1);
    shards_free(rig);
    rig->failing[GW_CALL_REFILL] = 1000;
    start(rig);
    run(rig, 100);
    drain(rig);
    assert_true(sim_run(rig->sim, is_zero, &rig->idle, 100));
    rig_destroy(rig);
}

/* What is posted while nothing can be stored will be posted again. */
static void test_no_attempt_starts_while_settles_fail(void **state)
{
    struct flow_rig *rig = rig_create();
    (void)state;
    start(rig);
    put_config(rig, "A", ",\"maxInFlight\":1");
    put_config(rig, "B", ",\"maxInFlight\":100");
    rig->failing[GW_CALL_SETTLE] = 60;
    post(rig, owner(rig), "A", 1);
    run(rig, 500);
    assert_int_equal(rig->hits, 1);
    for (int i = 0; i < 50; i++)
        post(rig, owner(rig), "B", 1);
    run(rig, 30000);
    assert_int_equal(rig->hits, 1);
    int64_t oldest_ms = gw_flow_gauge(&rig->flow, GW_GAUGE_OLDEST_DUE_MS);
    assert_true(oldest_ms > 0 && oldest_ms <= sim_wall_ms(rig->sim) - 30000);
    rig->failing[GW_CALL_SETTLE] = 0;
    run(rig, 60000);
    assert_int_equal(rig->hits, 51);
    assert_int_equal(open_count(rig), 0);
    rig_destroy(rig);
}

/* How many bytes of bodies the shard has in memory for what waits. */
static size_t waiting_bytes(const struct gw_shard *shard)
{
    const struct gw_lane *lane;
    size_t at = 0, bytes = 0;
    while ((lane = gw_map_next(&shard->schedule->lanes, &at)))
        for (size_t i = 0; i < lane->waiting.count; i++) {
            const struct gw_pending *pending =
                gw_container_of(lane->waiting.nodes[i], struct gw_pending, node);
            bytes += pending->message ? pending->message->body.len : 0;
        }
    return bytes;
}

/* A body that was read for an attempt counts when the delivery waits again. */
static void test_bodies_read_for_attempts_count(void **state)
{
    struct flow_rig *rig = rig_create();
    (void)state;
    rig->flow.options.body_bytes_max = 2000;
    start(rig);
    put_config(rig, "A", ",\"maxInFlight\":100,\"retry\":{\"schedule\":[6]}");
    rig->reply_status = 500;
    for (int i = 0; i < 60; i++)
        post(rig, owner(rig), "A", 500);
    run(rig, 1000);
    assert_int_equal(open_count(rig), 60);
    assert_true(waiting_bytes(owner(rig)) <= 2000);
    assert_true(owner(rig)->schedule->body_bytes <= 2000);
    rig->reply_status = 200;
    run(rig, HOUR_MS);
    assert_int_equal(open_count(rig), 0);
    assert_int_equal(owner(rig)->schedule->body_bytes, 0);
    rig_destroy(rig);
}

/* A payload that arrives after the order to stop is not sent. */
static void test_nothing_is_posted_when_stopping(void **state)
{
    struct flow_rig *rig = rig_create();
    (void)state;
    rig->flow.options.body_bytes_max = 0; /* each body has to be read */
    start(rig);
    put_config(rig, "A", "");
    rig->late_ms[GW_CALL_LOAD] = 2000;
    post(rig, owner(rig), "A", 1);
    run(rig, 500);
    drain(rig);
    assert_true(sim_run(rig->sim, is_zero, &rig->idle, 5000));
    assert_int_equal(rig->hits, 0);
    assert_int_equal(open_count(rig), 1);
    rig_destroy(rig);
}

/* The store says "again" to a settle that it had when the attempts were cut off. */
static void test_cut_ends_what_cannot_be_stored(void **state)
{
    struct flow_rig *rig = rig_create();
    (void)state;
    start(rig);
    put_config(rig, "A", "");
    rig->failing[GW_CALL_SETTLE] = 1000;
    rig->late_ms[GW_CALL_SETTLE] = 2000;
    post(rig, owner(rig), "A", 1);
    run(rig, 1000);
    assert_int_equal(rig->hits, 1);
    drain(rig);
    cut(rig);
    assert_true(sim_run(rig->sim, is_zero, &rig->idle, 5000));
    assert_int_equal(open_count(rig), 1);
    rig_destroy(rig);
}

/* ── What was damaged ──────────────────────────────────────────────────────────────────────── */

/* Two deliveries of a target that takes one at a time: the first meets the damage. */
static struct flow_rig *damaged(enum gw_call first, enum gw_call then)
{
    struct flow_rig *rig = rig_create();
    rig->flow.options.body_bytes_max = 0; /* each body has to be read */
    rig->err = GW_ERR_CORRUPT;
    rig->failing[first] = 1;
    rig->failing[then] = 1;
    start(rig);
    put_config(rig, "A", ",\"maxInFlight\":1");
    post(rig, owner(rig), "A", 1);
    post(rig, owner(rig), "A", 1);
    run(rig, HOUR_MS);
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_DELIVERED), 1);
    return rig;
}

static void assert_goes_on(struct flow_rig *rig)
{
    unsigned hits = rig->hits;
    post(rig, owner(rig), "A", 1);
    run(rig, 1000);
    assert_int_equal(rig->hits, hits + 1);
    drain(rig);
    assert_true(sim_run(rig->sim, is_zero, &rig->idle, 1000));
    rig_destroy(rig);
}

/* Its file was set aside: it is neither posted nor asked for again, and holds nobody up. */
static void test_claim_of_what_is_damaged(void **state)
{
    struct flow_rig *rig = damaged(GW_CALL_CLAIM, GW_CALL_CLAIM);
    (void)state;
    assert_int_equal(rig->hits, 1);
    assert_int_equal(open_count(rig), 1);
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_DEAD), 0);
    assert_goes_on(rig);
}

/* Its file is well again, after a restart. */
static void test_what_was_damaged_comes_back(void **state)
{
    struct flow_rig *rig = damaged(GW_CALL_CLAIM, GW_CALL_CLAIM);
    (void)state;
    shards_free(rig);
    start(rig);
    run(rig, 1000);
    assert_int_equal(rig->hits, 2);
    assert_int_equal(open_count(rig), 0);
    rig_destroy(rig);
}

/* What was accepted is not what is there: dead, and nothing was posted. */
static void test_body_that_is_damaged(void **state)
{
    struct flow_rig *rig = damaged(GW_CALL_LOAD, GW_CALL_LOAD);
    (void)state;
    assert_int_equal(rig->hits, 1);
    assert_int_equal(open_count(rig), 0);
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_DEAD), 1);
    assert_goes_on(rig);
}

/* Nor can its end be stored. */
static void test_end_that_is_damaged(void **state)
{
    struct flow_rig *rig = damaged(GW_CALL_LOAD, GW_CALL_SETTLE);
    (void)state;
    assert_int_equal(rig->hits, 1);
    assert_int_equal(open_count(rig), 1);
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_DEAD), 0);
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_SETTLE_AGAIN), 0);
    assert_goes_on(rig);
}

/* The same when it was posted: once, and not again before a restart. */
static void test_outcome_that_is_damaged(void **state)
{
    struct flow_rig *rig = damaged(GW_CALL_SETTLE, GW_CALL_SETTLE);
    (void)state;
    assert_int_equal(rig->hits, 2);
    assert_int_equal(open_count(rig), 1);
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_SETTLE_AGAIN), 0);
    assert_goes_on(rig);
}

/* ── What was erased ───────────────────────────────────────────────────────────────────────── */

struct erase_op {
    struct gw_erase erase;
    struct gw_shard *owner;
    bool done;
};

static void on_erased(struct gw_op *op)
{
    assert_int_equal(op->err, GW_OK);
    gw_schedule_erase(gw_container_of(op, struct erase_op, erase.op)->owner, GW_SLICE("app"));
    gw_container_of(op, struct erase_op, erase.op)->done = true;
}

/* As whoever erases does: first the ledger, then the shard. */
static void erase(struct flow_rig *rig, const char *transaction)
{
    struct erase_op op = {.erase = {.op = {.env = rig->driver, .done = on_erased},
                                    .app_id = GW_SLICE("app"),
                                    .transaction_id = gw_slice_from(transaction)},
                          .owner = owner(rig)};
    gw_ledger_erase(rig->flow.ledger, &op.erase);
    assert_true(sim_run(rig->sim, is_true, &op.done, HOUR_MS));
}

/* Of two events, whose bodies both ride along, that of A is erased after so long. */
static void erase_after(struct flow_rig *rig, int64_t ms, unsigned hits)
{
    start(rig);
    put_config(rig, "A", ",\"retry\":{\"schedule\":[5]}");
    put_config(rig, "B", ",\"retry\":{\"schedule\":[5]}");
    rig->reply_status = 500;
    post(rig, owner(rig), "A", 1);
    post(rig, owner(rig), "B", 1);
    run(rig, ms);
    erase(rig, "A");
    assert_int_equal(rig->hits, hits);
}

/* It is not posted any more, and that of B is. */
static void expect_erased(struct flow_rig *rig, unsigned hits)
{
    rig->reply_status = 200;
    run(rig, HOUR_MS);
    assert_int_equal(open_count(rig), 0);
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_DELIVERED), 1);
    assert_int_equal(gw_flow_count(&rig->flow, GW_COUNT_DEAD), 1);
    assert_int_equal(rig->hits, hits);
    assert_int_equal(owner(rig)->schedule->body_bytes, 0);
    rig_destroy(rig);
}

static void test_erased_while_it_waits(void **state)
{
    struct flow_rig *rig = rig_create();
    (void)state;
    erase_after(rig, 1000, 2);
    run(rig, 100);
    assert_int_equal(waiting_bytes(owner(rig)), 0);
    expect_erased(rig, 3);
}

static void test_erased_before_its_post(void **state)
{
    struct flow_rig *rig = rig_create();
    (void)state;
    rig->late_ms[GW_CALL_CLAIM] = 2000;
    erase_after(rig, 1000, 0);
    expect_erased(rig, 1);
}

/* The POST goes on; its body comes back to nobody. */
static void test_erased_while_it_is_posted(void **state)
{
    struct flow_rig *rig = rig_create();
    (void)state;
    rig->reply_delay_ms = 2000;
    erase_after(rig, 1000, 2);
    run(rig, 1500);
    assert_int_equal(waiting_bytes(owner(rig)), 0);
    expect_erased(rig, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owner_learns_configs_with_the_offer),
        cmocka_unit_test(test_owner_learns_configs_while_at_work),
        cmocka_unit_test(test_failed_refill_is_asked_again),
        cmocka_unit_test(test_failed_refill_does_not_hold_up_the_end),
        cmocka_unit_test(test_no_attempt_starts_while_settles_fail),
        cmocka_unit_test(test_bodies_read_for_attempts_count),
        cmocka_unit_test(test_nothing_is_posted_when_stopping),
        cmocka_unit_test(test_cut_ends_what_cannot_be_stored),
        cmocka_unit_test(test_claim_of_what_is_damaged),
        cmocka_unit_test(test_what_was_damaged_comes_back),
        cmocka_unit_test(test_body_that_is_damaged),
        cmocka_unit_test(test_end_that_is_damaged),
        cmocka_unit_test(test_outcome_that_is_damaged),
        cmocka_unit_test(test_erased_while_it_waits),
        cmocka_unit_test(test_erased_before_its_post),
        cmocka_unit_test(test_erased_while_it_is_posted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
