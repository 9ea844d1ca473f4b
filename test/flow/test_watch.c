/* test_watch.c: what leaves memory where several processes share the ledger, and what its watch is told:
 * one or two processes over one ledger with leases, in the simulated world. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/timefmt.h"
#include "flow/intake.h"
#include "flow/target.h"
#include "flow/watch.h"
#include "sim_env.h"
#include "store/memory.h"

#define HOUR_MS   ((int64_t)3600 * 1000)
#define PROCESSES 2
#define HITS_MAX  256
#define LEASE_MS  31000 /* of a config with timeoutMs 1000 */

struct process {
    struct gw_flow flow;
    struct gw_shard *shard;
    bool is_started;
};

struct event {
    struct gw_intake intake;
    struct gw_watch watch;
    char body[128];
    bool is_in, is_over;
};

static struct world {
    struct sim *sim;
    struct gw_memory *memory;
    struct gw_env *driver;
    struct process processes[PROCESSES];
    struct gw_config *config;
    int status;       /* of the client's server; 0 = it hangs */
    int64_t delay_ms; /* of its answers */
    size_t hits;
    int64_t hit_ms[HITS_MAX];
    struct gw_pace pace;
    int64_t slot_ms; /* the next free one */
    size_t asked;    /* for one */
} w;

static bool is_true(void *ctx)
{
    return *(bool *)ctx;
}

static struct sim_reply on_webhook(void *ctx, const struct gw_http_call *call)
{
    (void)ctx, (void)call;
    gw_check(w.hits < HITS_MAX);
    w.hit_ms[w.hits++] = sim_wall_ms(w.sim);
    return (struct sim_reply){
        .end = GW_HTTP_ANSWERED, .status = w.status, .delay_ms = w.status ? w.delay_ms : -1};
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

static void on_started(void *ctx, enum gw_err err)
{
    gw_check(err == GW_OK);
    *(bool *)ctx = true;
}

static void process_start(struct process *process)
{
    process->flow = (struct gw_flow){
        .options = {.user_agent = "test",
                    .dedupe_ms = 24 * HOUR_MS,
                    .connect_timeout_ms = 5000,
                    .in_flight_max = 64,
                    .accepts_max = 100,
                    .memory_max = 1000,
                    .body_bytes_max = 1 << 20,
                    .snapshots_max = 16,
                    .is_shared = true,
                    .snapshot_age_max_ms = 4000},
        .ledger = gw_memory_ledger(w.memory),
        .configs = gw_memory_configs(w.memory),
        .shards = &process->shard,
        .shard_count = 1,
    };
    process->shard = gw_shard_create(&process->flow, sim_env_create(w.sim), 0);
    gw_shard_start(process->shard, on_started, &process->is_started);
    assert_true(sim_run(w.sim, is_true, &process->is_started, HOUR_MS));
}

static int setup(void **state)
{
    (void)state;
    sim_init();
    w = (struct world){.status = 200};
    w.sim = sim_create(&(struct sim_options){.seed = 3});
    w.driver = sim_env_create(w.sim);
    w.memory =
        gw_memory_create(sim_env_create(w.sim), &(struct gw_memory_options){.has_leases = true});
    sim_name(w.sim, "client.test", "93.184.216.34", 1);
    sim_receiver(w.sim, "client.test", on_webhook, NULL);
    for (size_t i = 0; i < PROCESSES; i++)
        process_start(&w.processes[i]);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < PROCESSES; i++) {
        sim_env_kill(w.processes[i].shard->env);
        gw_shard_destroy(w.processes[i].shard);
    }
    gw_memory_destroy(w.memory);
    sim_destroy(w.sim);
    gw_config_unref(w.config);
    return 0;
}

/* ── Configs ───────────────────────────────────────────────────────────────────────────────── */

struct put_op {
    struct gw_config_put put;
    bool is_done;
};

static void on_put(struct gw_op *op)
{
    gw_check(op->err == GW_OK);
    gw_container_of(op, struct put_op, put.op)->is_done = true;
}

/* Written by another process: nobody here is told. `members` begin with a comma. */
static void configure(const char *members)
{
    struct gw_config *before = w.config;
    struct gw_error error;
    char json[512];
    bool made;
    snprintf(json, sizeof(json), "{\"appId\":\"app\",\"eventType\":\"T\"%s}", members);
    struct gw_config_change change = {.json = gw_slice_from(json),
                                      .guard = &w.processes[0].flow.options.guard,
                                      .now_ms = sim_wall_ms(w.sim)};
    enum gw_err err = before ? gw_config_patch(&w.config, before, &change, &made, &error)
                             : gw_config_create(&w.config, &change, &error);
    assert_int_equal(err, GW_OK);
    struct put_op op = {.put = {.op = {.env = w.driver, .done = on_put},
                                .config = w.config,
                                .expected_version = before ? before->version : 0,
                                .audit = {.actor = GW_SLICE("test"), .action = "config_created"}}};
    gw_configs_put(gw_memory_configs(w.memory), &op.put);
    assert_true(sim_run(w.sim, is_true, &op.is_done, HOUR_MS));
    gw_snapshot_unref(op.put.snapshot);
    gw_config_unref(before);
}

#define URL ",\"webhookUrl\":\"https://client.test/hook\""

/* ── Events ────────────────────────────────────────────────────────────────────────────────── */

static void on_intake(struct gw_intake *intake)
{
    gw_check(intake->err == GW_OK);
    gw_container_of(intake, struct event, intake)->is_in = true;
}

static void on_watched(struct gw_watch *watch)
{
    struct event *event = gw_container_of(watch, struct event, watch);
    gw_check(!event->is_over);
    event->is_over = true;
}

static void begin(struct event *event, size_t process, const char *id)
{
    struct gw_shard *shard = w.processes[process].shard;
    *event = (struct event){.watch = {.shard = shard, .done = on_watched}};
    snprintf(event->body, sizeof(event->body),
             "{\"appId\":\"app\",\"eventType\":\"T\",\"eventId\":\"%s\"}", id);
    event->intake.body = gw_slice_from(event->body);
    event->intake.done = on_intake;
    event->intake.watch = &event->watch;
    gw_intake_start(shard, &event->intake);
}

static void finish(struct event *event)
{
    assert_true(sim_run(w.sim, is_true, &event->is_in, HOUR_MS));
    assert_true(sim_run(w.sim, is_true, &event->is_over, HOUR_MS));
    gw_intake_deinit(&event->intake);
}

static void go(struct event *event, size_t process, const char *id)
{
    begin(event, process, id);
    finish(event);
}

static void sleep_until(int64_t at_ms)
{
    int64_t left_ms = at_ms - sim_wall_ms(w.sim);
    if (left_ms > 0)
        sim_run(w.sim, NULL, NULL, left_ms);
}

static void assert_over(const struct event *event)
{
    assert_true(event->watch.next_ms == GW_NEVER);
    assert_false(event->watch.must_look);
    assert_int_equal(event->watch.slot_count, 0);
    assert_int_equal(w.processes[0].shard->gauges[GW_GAUGE_IN_MEMORY], 0);
}

static void assert_next(const struct event *event, int64_t from_ms, int64_t to_ms)
{
    int64_t after_ms = event->watch.next_ms - sim_wall_ms(w.sim);
    if (event->watch.next_ms == GW_NEVER || after_ms < from_ms || after_ms > to_ms)
        fail_msg("next after %lld ms", (long long)after_ms);
}

/* ── Tests ─────────────────────────────────────────────────────────────────────────────────── */

static void what_is_final_is_over(void **state)
{
    struct event event;
    (void)state;
    configure(URL);
    go(&event, 0, "e");
    assert_int_equal(w.hits, 1);
    assert_over(&event);
    go(&event, 1, "e"); /* a duplicate, elsewhere */
    assert_true(event.intake.duplicate);
    assert_int_equal(w.hits, 1);
    assert_over(&event);
}

static void what_is_tried_again_leaves(void **state)
{
    struct event event;
    (void)state;
    configure(URL ",\"retry\":{\"schedule\":[100]}");
    w.status = 500;
    go(&event, 0, "e");
    assert_next(&event, 79000, 121000);
    assert_int_equal(w.processes[0].shard->gauges[GW_GAUGE_IN_MEMORY], 0);
    go(&event, 1, "e"); /* who comes too early is told the same */
    assert_next(&event, 79000, 121000);
    assert_int_equal(w.hits, 1);
    sleep_until(event.watch.next_ms);
    w.status = 200;
    go(&event, 1, "e");
    assert_int_equal(w.hits, 2);
    assert_over(&event);
}

static void one_of_two_processes_posts(void **state)
{
    struct event first, second;
    (void)state;
    configure(URL ",\"retry\":{\"timeoutMs\":1000}");
    w.delay_ms = 500;
    begin(&first, 0, "e");
    assert_true(sim_run(w.sim, is_true, &first.is_in, HOUR_MS));
    sim_run(w.sim, NULL, NULL, 100);
    go(&second, 1, "e");
    assert_next(&second, LEASE_MS - 1000, LEASE_MS);
    finish(&first);
    assert_over(&first);
    sleep_until(second.watch.next_ms);
    go(&second, 1, "e");
    assert_over(&second);
    assert_int_equal(w.hits, 1);
}

static void a_crash_leaves_it_to_the_others(void **state)
{
    struct event first, second;
    (void)state;
    configure(URL ",\"retry\":{\"timeoutMs\":1000}");
    w.delay_ms = 500;
    begin(&first, 0, "e");
    assert_true(sim_run(w.sim, is_true, &first.is_in, HOUR_MS));
    sim_run(w.sim, NULL, NULL, 100);
    sim_env_kill(w.processes[0].shard->env);
    go(&second, 1, "e");
    assert_next(&second, 1, LEASE_MS);
    sleep_until(second.watch.next_ms);
    go(&second, 1, "e");
    assert_int_equal(w.hits, 2); /* its answer was on the way: at least once */
    assert_true(second.watch.next_ms == GW_NEVER);
    gw_intake_deinit(&first.intake);
}

/* The rest of its lease is less than a POST may take: nobody may post by it. */
static void a_frozen_process_does_not_post(void **state)
{
    struct event event;
    (void)state;
    configure(URL ",\"retry\":{\"timeoutMs\":1000}");
    begin(&event, 0, "e");
    while (w.processes[0].shard->gauges[GW_GAUGE_IN_FLIGHT] == 0)
        assert_true(sim_step(w.sim));
    sim_wall_step(w.sim, LEASE_MS - 1000); /* one of its clocks stood still */
    finish(&event);
    assert_int_equal(w.hits, 0);
    assert_next(&event, 1, LEASE_MS);
}

static void what_is_held_has_nobody_waiting(void **state)
{
    struct event event;
    (void)state;
    configure(URL);
    w.status = 410;
    go(&event, 0, "gone");
    assert_over(&event);
    sim_run(w.sim, NULL, NULL, 5000);
    w.status = 200;
    go(&event, 1, "e"); /* the other process knows by now */
    assert_over(&event);
    assert_int_equal(w.hits, 1);
    assert_int_equal(gw_ledger_state(gw_memory_ledger(w.memory)).open, 1);
}

/* Its config is read again before the attempt, for it may be older than 5 s. */
static void what_becomes_inactive_meanwhile_is_held(void **state)
{
    struct event event;
    (void)state;
    configure(URL ",\"retry\":{\"schedule\":[10]}");
    w.status = 500;
    go(&event, 0, "e");
    configure(",\"isActive\":false");
    sleep_until(event.watch.next_ms);
    go(&event, 0, "e");
    assert_over(&event);
    assert_int_equal(w.hits, 1);
}

static void what_waits_is_given_back(void **state)
{
    struct event events[4];
    (void)state;
    configure(URL ",\"maxInFlight\":1");
    w.delay_ms = 3000;
    for (size_t i = 0; i < gw_count(events); i++) {
        char id[] = {'e', (char)('0' + i), '\0'};
        begin(&events[i], 0, id);
    }
    while (w.hits == 0)
        assert_true(sim_step(w.sim));
    for (size_t i = 0; i < gw_count(events); i++)
        assert_true(sim_run(w.sim, is_true, &events[i].is_in, HOUR_MS));
    for (size_t i = 0; i < gw_count(events); i++)
        gw_watch_give_back(&events[i].watch);
    size_t over = 0;
    for (size_t i = 0; i < gw_count(events); i++) {
        finish(&events[i]);
        over += events[i].watch.next_ms == GW_NEVER;
    }
    assert_int_equal(over, 1); /* the one that was under way */
    assert_int_equal(w.hits, 1);
}

static void those_behind_a_probe_come_back_apart(void **state)
{
    struct event event;
    int64_t last_ms = 0;
    (void)state;
    configure(URL ",\"retry\":{\"schedule\":[]}");
    w.status = 500;
    for (int i = 0; i < 40; i++) { /* the gap doubles with each probe */
        char id[16];
        snprintf(id, sizeof(id), "f%d", i);
        go(&event, 0, id);
        if (event.watch.next_ms != GW_NEVER)
            break;
        sim_run(w.sim, NULL, NULL, 500);
    }
    for (int i = 0; i < 5; i++) {
        char id[16];
        snprintf(id, sizeof(id), "b%d", i);
        go(&event, 0, id);
        assert_true(event.watch.next_ms != GW_NEVER && event.watch.next_ms > last_ms);
        last_ms = event.watch.next_ms;
    }
}

static void on_answered(struct gw_msg *msg)
{
    struct gw_op *op = gw_container_of(msg, struct gw_op, msg);
    op->done(op);
}

static void on_slot(struct gw_pace *pace, struct gw_op *op)
{
    struct gw_slot *slot = gw_container_of(op, struct gw_slot, op);
    (void)pace;
    w.asked++;
    slot->at_ms = w.slot_ms > slot->now_ms ? w.slot_ms : slot->now_ms;
    w.slot_ms = slot->at_ms + 1000 / slot->per_second;
    op->msg.run = on_answered;
    gw_env_post(op->env, &op->msg);
}

/* Ten events at one a second, behind others: each asks once, and goes at its own moment. */
static void each_asks_once_for_its_slot(void **state)
{
    struct event events[10];
    (void)state;
    w.pace.start = on_slot;
    w.processes[0].flow.pace = &w.pace;
    w.slot_ms = sim_wall_ms(w.sim) + 20000;
    configure(URL ",\"rateLimit\":1");
    for (size_t i = 0; i < gw_count(events); i++) {
        char id[] = {'e', (char)('0' + i), '\0'};
        go(&events[i], 0, id);
        assert_int_equal(events[i].watch.slot_count, 1);
        assert_true(events[i].watch.next_ms == GW_NEVER);
    }
    assert_int_equal(w.hits, 0);
    for (size_t i = 0; i < gw_count(events); i++) {
        struct gw_watch_slot slot = events[i].watch.slots[0];
        char id[] = {'e', (char)('0' + i), '\0'};
        sleep_until(slot.at_ms - 500);
        begin(&events[i], 0, id);
        events[i].watch.slot = slot;
        finish(&events[i]);
        assert_over(&events[i]);
    }
    assert_int_equal(w.hits, gw_count(events));
    assert_int_equal(w.asked, gw_count(events));
    for (size_t i = 1; i < w.hits; i++)
        assert_true(w.hit_ms[i] - w.hit_ms[i - 1] >= 900);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_final_is_over),
        TEST(what_is_tried_again_leaves),
        TEST(one_of_two_processes_posts),
        TEST(a_crash_leaves_it_to_the_others),
        TEST(a_frozen_process_does_not_post),
        TEST(what_is_held_has_nobody_waiting),
        TEST(what_becomes_inactive_meanwhile_is_held),
        TEST(what_waits_is_given_back),
        TEST(those_behind_a_probe_come_back_apart),
        TEST(each_asks_once_for_its_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
