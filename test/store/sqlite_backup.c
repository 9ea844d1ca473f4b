/* A copy that is made while the store moves: events come, days change, segments begin and go, keys
 * are merged, payloads are erased. In a simulated world, between the steps of the copy; beside a store
 * that is at work on threads: sqlite_backup_live.c. */
#include "given.h"

#include "base/log.h"
#include "sqlite_rig.h"
#include "store/sqlite_backup.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_DAYS  3
#define MINUTE_MS  60000
#define HOUR_MS    (60 * (int64_t)MINUTE_MS)
#define EVENTS_MAX 4000
#define LARGE      60000
#define SEEDS      5

static struct gw_sqlite_options options_of(const char *dir)
{
    return (struct gw_sqlite_options){
        .dir = dir,
        .queue_max = 2000,
        .group_max = 100,
        .cache_bytes = 1 << 20,
        .retention_ms = KEEP_DAYS * DAY_MS,
        .segment_gap_ms = 1,
        .key_generation = 8,
    };
}

static void open_at(struct world *world, const char *dir)
{
    struct gw_sqlite_options options = options_of(dir);
    struct gw_sqlite *sqlite;
    struct gw_error error;

    if (gw_sqlite_open(&options, world->env, &sqlite, &error) != GW_OK)
        gw_check_failed(error.text, __FILE__, __LINE__);
    world->store = sqlite;
    world->ledger = gw_sqlite_ledger(sqlite);
    world->configs = gw_sqlite_configs(sqlite);
}

static void open_sqlite(struct world *world)
{
    open_at(world, world->dir);
}

static void close_sqlite(struct world *world)
{
    gw_sqlite_close(world->store);
}

static void stay(struct world *world)
{
    (void)world;
}

static const struct backend moving = {.name = "moving",
                                      .open = open_sqlite,
                                      .close = close_sqlite,
                                      .crash = close_sqlite,
                                      .end = stay};

/* ── What happens meanwhile ────────────────────────────────────────────────────────────────── */

struct kept {
    struct gw_delivery delivery; /* as it stood last */
    char transaction[24];
    bool is_before;      /* it was accepted before the copy began */
    bool is_done_before; /* and delivered */
    size_t erased;       /* as the n-th; 0: it was not */
};

struct story {
    struct world *world;
    uint64_t dice;
    size_t steps, moves_max, hours;
    bool erases;
    size_t erasures, erasures_before;
    struct kept events[EVENTS_MAX];
    size_t count;
    char large[LARGE + 1];
};

static size_t dice(struct story *story, size_t sides)
{
    story->dice = story->dice * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(story->dice >> 33) % sides;
}

static void pass(struct world *world, int64_t ms)
{
    assert_true(sim_run(world->sim, NULL, NULL, ms));
}

static const char *body_of(const struct story *story, size_t at)
{
    return at % 4 == 0 ? story->large : "{\"a\":\"small one\"}";
}

static void accept_one(struct story *story, int64_t at_ms)
{
    struct world *world = story->world;
    size_t at = story->count++;
    struct kept *kept = &story->events[at];
    char event_id[24];

    assert_true(at < EVENTS_MAX);
    snprintf(event_id, sizeof(event_id), "e%zu", at);
    snprintf(kept->transaction, sizeof(kept->transaction), "t%zu", at);
    struct given given = {.app = at % 3 ? "app" : "other",
                          .event_id = event_id,
                          .transaction_id = kept->transaction,
                          .body = body_of(story, at),
                          .at_ms = at_ms,
                          .lanes = LANES(1),
                          .lane_count = 1};
    kept->delivery = accept_new(world, &given)->deliveries[0];
    world_forget(world);
}

static void accept_some(struct story *story)
{
    for (size_t i = dice(story, 8) + 1; i > 0; i--)
        accept_one(story, gw_env_wall_ms(story->world->env));
}

/* One that is gone by now says so. */
static void deliver_one(struct story *story)
{
    struct kept *kept = &story->events[dice(story, story->count)];

    if (kept->delivery.state != GW_DELIVERY_PENDING)
        return;
    struct gw_delivery next = delivered(&kept->delivery);
    if (settle(story->world, &next, kept->delivery.attempts + 1, true) == GW_OK)
        kept->delivery = next;
    world_forget(story->world);
}

static void erase_one(struct story *story)
{
    size_t at = dice(story, story->count);
    struct kept *kept = &story->events[at];
    struct gw_erase op = {.app_id = at % 3 ? GW_SLICE("app") : GW_SLICE("other"),
                          .transaction_id = gw_slice_from(kept->transaction),
                          .now_ms = gw_env_wall_ms(story->world->env)};

    if (kept->erased > 0)
        return;
    enum gw_err err = CALL(story->world, ledger, erase, &op);
    assert_true(err == GW_OK || err == GW_ERR_BUSY); /* the copy may be reading what was there */
    kept->erased = ++story->erasures;
}

/* Not so many that the youngest day goes too. */
static void pass_hours(struct story *story, size_t hours)
{
    if (story->hours + hours > 24 * (KEEP_DAYS - 1))
        return;
    story->hours += hours;
    pass(story->world, (int64_t)hours * HOUR_MS);
}

static void move(struct story *story)
{
    switch (dice(story, story->erases ? 7 : 6)) {
    case 0:
    case 1: accept_some(story); break;
    case 2:
    case 3: deliver_one(story); break;
    case 4: pass(story->world, (int64_t)dice(story, 20) * MINUTE_MS); break;
    case 5: pass_hours(story, dice(story, 12) + 1); break;
    default: erase_one(story); break;
    }
}

static void on_progress(void *ctx, const char *file, uint64_t done, uint64_t total)
{
    struct story *story = ctx;

    assert_true(file != NULL && done <= total);
    for (size_t i = dice(story, 10); i > 0 && story->steps < story->moves_max; i--, story->steps++)
        move(story);
}

static void on_warning(void *ctx, const char *text)
{
    (void)ctx;
    fail_msg("%s", text);
}

/* Some days, of which the first are past their retention: what is left of them goes in the hours to
 * come. */
static void begin(struct story *story, struct world *world, uint64_t seed, bool erases)
{
    *story = (struct story){.world = world, .dice = seed, .moves_max = 60, .erases = erases};
    memset(story->large, 'x', LARGE);
    story->large[0] = story->large[LARGE - 1] = '"';
    for (int64_t day = 6; day >= 0; day--) {
        for (int i = 0; i < (day == 0 ? 400 : 20); i++)
            accept_one(story, T0 - day * DAY_MS + i);
        pass(world, 3 * MINUTE_MS);
    }
    for (int i = 0; i < 100; i++)
        deliver_one(story);
    for (size_t i = 0; i < story->count; i++) {
        story->events[i].is_before = true;
        story->events[i].is_done_before = story->events[i].delivery.state != GW_DELIVERY_PENDING;
    }
    for (int i = 0; i < 10 && story->erases; i++)
        erase_one(story);
    story->erasures_before = story->erasures;
}

/* ── What is to be in the copy ─────────────────────────────────────────────────────────────── */

static bool is_there(struct world *world, const struct kept *kept)
{
    return find_message(world, &kept->delivery.message_id) != NULL;
}

/* As it was, or erased: then the copy says so too, for whoever puts it back. */
static void expect_body(struct story *story, size_t at, struct gw_slice body, size_t erasures)
{
    const struct kept *kept = &story->events[at];
    bool is_gone = body.ptr == NULL;

    if (is_gone)
        assert_in_range(kept->erased, 1, erasures);
    else
        assert_slice_equal(body, gw_slice_from(body_of(story, at)));
    if (kept->erased > 0 && kept->erased <= story->erasures_before)
        assert_true(is_gone);
}

static void expect_kept(struct story *story, size_t at, size_t erasures)
{
    const struct kept *kept = &story->events[at];
    const struct gw_event_row *event = find_message(story->world, &kept->delivery.message_id);

    assert_non_null(event);
    expect_body(story, at, event->message->body, erasures);
    assert_int_equal(event->count, 1);
    enum gw_delivery_state state = event->rows[0].delivery.state;
    if (kept->is_done_before)
        assert_int_equal(state, GW_DELIVERY_DELIVERED);
    if (kept->delivery.state == GW_DELIVERY_PENDING)
        assert_true(state == GW_DELIVERY_PENDING || state == GW_DELIVERY_DEAD); /* retention's */
    if (state == GW_DELIVERY_DELIVERED && kept->erased == 0)
        assert_int_equal(log_count(event->rows[0].log), 1);
}

static void expect_closed(struct world *world)
{
    struct gw_tally_op op = {
        .arena = &world->arena, .to_ms = gw_hour_of(T0 + 365 * DAY_MS), .full = true};

    assert_ok(CALL(world, ledger, tally, &op));
    tally_closes(&op);
    assert_true(op.counted.of[GW_TALLY_RECEIVED] > 0);
}

/* How many are listed in the copy. */
static size_t erasures_in(const char *copy)
{
    char path[512];
    sqlite3_stmt *st = NULL;
    sqlite3 *db = NULL;

    snprintf(path, sizeof(path), "%s/main.db", copy);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM erasure", -1, &st, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    size_t count = (size_t)sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return count;
}

static void expect_copy(struct story *story, const char *copy, const bool *still_there)
{
    struct world *world = story->world;
    size_t erasures = erasures_in(copy);

    assert_in_range(erasures, story->erasures_before, story->erasures);
    rig_files_are_well(copy);
    close_sqlite(world);
    open_at(world, copy);
    assert_true(gw_ledger_state(world->ledger).accepting);
    assert_int_equal(gw_ledger_state(world->ledger).damaged, 0);
    for (size_t i = 0; i < story->count; i++) {
        if ((story->events[i].is_before && still_there[i]) || is_there(world, &story->events[i]))
            expect_kept(story, i, erasures);
    }
    expect_closed(world);
    accept_one(story, gw_env_wall_ms(world->env)); /* it goes on from there */
    expect_kept(story, story->count - 1, erasures);
    close_sqlite(world);
    open_sqlite(world);
}

static void copy_while_moving(uint64_t seed, bool erases)
{
    static struct story story;
    static bool still_there[EVENTS_MAX];
    struct world *world = world_create(&moving, seed);
    const char *copy = gw_arena_printf(&world->arena, "%s/copy", world->dir);
    struct gw_sqlite_backup backup = {
        .from = world->dir, .to = copy, .progress = on_progress, .warn = on_warning, .ctx = &story};
    struct gw_error error;

    begin(&story, world, seed, erases);
    assert_ok(gw_sqlite_backup(&backup, &error));
    assert_int_equal(backup.failed, 0);
    assert_true(story.steps > 10);
    for (size_t i = 0; i < story.count; i++)
        still_there[i] = is_there(world, &story.events[i]);
    expect_copy(&story, copy, still_there);
    world_destroy(world);
}

static void test_copy_of_a_moving_store(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        copy_while_moving(seed, false);
}

static void test_copy_while_something_is_erased(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        copy_while_moving(seed, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy_of_a_moving_store),
        cmocka_unit_test(test_copy_while_something_is_erased),
    };

    sim_init();
    if (getenv("GWH_TEST_LOG") == NULL) /* each segment has its line */
        gw_log_level_set(GW_LOG_ERROR);
    return cmocka_run_group_tests_name("sqlite backup", tests, NULL, NULL);
}
