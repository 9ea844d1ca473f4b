/* A copy beside a store that is at work on its threads: accepts and settles never stop, segments begin
 * all the time, keys are merged, logs are brought home. */
#include "given.h"

#include "base/log.h"
#include "sqlite_rig.h"
#include "store/sqlite_backup.h"
#include "sys/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SEGMENT   300   /* events */
#define SEGMENTS  5     /* before the copy begins */
#define MEANWHILE 12000 /* events at most; then the copy catches up */
#define IN_FLIGHT 50

struct life {
    struct work *work;
    struct gw_accept accept;
    struct gw_settle settle;
    struct gw_offer *offer;
    char event_id[24];
};

struct work {
    struct rig *rig;
    struct life lives[IN_FLIGHT];
    size_t begun, ended, max;
    struct gw_sqlite_backup backup;
    enum gw_err err;
    struct gw_error error;
    atomic_bool is_copied;
};

static void begin_life(struct life *life);

static void end_life(struct life *life)
{
    struct work *work = life->work;

    gw_message_unref(life->accept.message);
    work->ended++;
    if (work->begun < work->max && !atomic_load(&work->is_copied))
        begin_life(life);
    else if (work->ended == work->begun)
        gw_loop_stop(work->rig->env);
}

static void on_settled(struct gw_op *op)
{
    gw_check(op->err == GW_OK);
    end_life(gw_container_of(op, struct life, settle.op));
}

/* Of three one stays open. */
static void on_accepted(struct gw_op *op)
{
    struct life *life = gw_container_of(op, struct life, accept.op);
    struct gw_ledger *ledger = life->work->rig->ledger;

    gw_check(op->err == GW_OK);
    if (life->accept.deliveries[0].order % 3 == 0) {
        end_life(life);
        return;
    }
    life->settle =
        (struct gw_settle){.op = {.env = op->env, .done = on_settled},
                           .write_id = 1,
                           .next = ended(&life->accept.deliveries[0], GW_END_CONFIG_DELETED)};
    gw_ledger_settle(ledger, &life->settle);
}

static void on_life_offer(struct gw_msg *msg)
{
    (void)msg; /* the completion comes behind it */
}

static void begin_life(struct life *life)
{
    static const uint64_t lane = 1;
    struct work *work = life->work;

    snprintf(life->event_id, sizeof(life->event_id), "e%zu", work->begun++);
    life->offer->env = work->rig->env;
    life->offer->msg.run = on_life_offer;
    life->accept = (struct gw_accept){
        .op = {.env = work->rig->env, .done = on_accepted},
        .message = rig_message("app", life->event_id, "{\"some\":\"body\"}"),
        .lanes = &lane,
        .lane_count = 1,
        .dedupe_ms = RIG_DAY_MS,
        .offer = life->offer,
    };
    gw_ledger_accept(work->rig->ledger, &life->accept);
}

static void run_until(struct work *work, size_t max)
{
    work->max = max;
    for (size_t i = 0; i < IN_FLIGHT; i++)
        begin_life(&work->lives[i]);
    gw_loop_run(work->rig->env);
}

static bool has_segment(struct rig *rig, size_t number)
{
    char name[32];

    snprintf(name, sizeof(name), "%08zu.seg", number);
    return access(rig_path(rig, name), F_OK) == 0;
}

static void *copy_on_a_thread(void *ctx)
{
    struct work *work = ctx;

    work->err = gw_sqlite_backup(&work->backup, &work->error);
    atomic_store(&work->is_copied, true);
    return NULL;
}

static void expect_events(struct rig *rig, size_t count)
{
    struct gw_tally_op tally = {
        .arena = &rig->arena, .to_ms = gw_hour_of(RIG_T0 + RIG_DAY_MS), .full = true};
    char event_id[24];

    for (size_t i = 0; i < count; i++) {
        snprintf(event_id, sizeof(event_id), "e%zu", i);
        assert_non_null(rig_find(rig, event_id));
    }
    assert_ok(RIG_CALL(rig, ledger, tally, &tally));
    tally_closes(&tally);
    assert_true(tally.counted.of[GW_TALLY_RECEIVED] >= (int64_t)count);
}

static void test_copy_beside_a_store_at_work(void **state)
{
    struct work *work = gw_zalloc(sizeof(*work));
    pthread_t thread;
    struct rig rig;
    size_t before;

    (void)state;
    rig_init(&rig);
    rig.options.segment_events_max = SEGMENT;
    rig.options.segment_gap_ms = 1;
    rig_open(&rig);
    work->rig = &rig;
    work->backup = (struct gw_sqlite_backup){.from = rig.dir, .to = rig_path(&rig, "copy")};
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        work->lives[i].work = work;
        work->lives[i].offer = gw_zalloc(sizeof(struct gw_offer) + sizeof(struct gw_delivery));
    }
    while (!has_segment(&rig, SEGMENTS + 1)) /* they are made on a thread of their own */
        run_until(work, work->begun + SEGMENT / 3);
    before = work->begun;
    assert_int_equal(pthread_create(&thread, NULL, copy_on_a_thread, work), 0);
    run_until(work, before + MEANWHILE);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(work->err, GW_OK);
    assert_int_equal(work->backup.failed, 0);
    assert_true(work->backup.files > SEGMENTS);
    rig_close(&rig);
    rig_files_are_well(work->backup.to);
    rig.options.dir = work->backup.to;
    rig_open(&rig);
    expect_events(&rig, before);
    rig_deinit(&rig);
    for (size_t i = 0; i < IN_FLIGHT; i++)
        gw_free(work->lives[i].offer);
    gw_free(work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_copy_beside_a_store_at_work)};

    if (getenv("GWH_TEST_LOG") == NULL) /* each segment has its line */
        gw_log_level_set(GW_LOG_ERROR);
    return cmocka_run_group_tests_name("sqlite backup live", tests, NULL, NULL);
}
