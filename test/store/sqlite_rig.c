/* sqlite_rig.c: see sqlite_rig.h. The loop runs on the test's own thread, and only while something
 * is waited for. */
#include "sqlite_rig.h"

#include "sys/loop.h"

#include <dirent.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

void rig_init(struct rig *rig)
{
    const char *base = getenv("TMPDIR");
    struct gw_error error;

    *rig = (struct rig){.options = {.queue_max = 10000,
                                    .group_max = 500,
                                    .disk_reserve_bytes = 0,
                                    .key_generation = 8,
                                    .cache_bytes = (size_t)4 * 1024 * 1024}};
    snprintf(rig->dir, sizeof(rig->dir), "%s/gwh-sqlite-XXXXXX", base ? base : "/tmp");
    gw_check(mkdtemp(rig->dir) != NULL);
    rig->options.dir = rig->dir;
    gw_check(gw_loop_create(NULL, &rig->env, &error) == GW_OK);
}

static int entry_remove(const char *path, const struct stat *stat, int flag, struct FTW *at)
{
    (void)stat, (void)flag, (void)at;
    return remove(path);
}

void rig_deinit(struct rig *rig)
{
    rig_close(rig);
    gw_loop_destroy(rig->env);
    nftw(rig->dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
    gw_arena_deinit(&rig->arena);
}

enum gw_err rig_try_open(struct rig *rig, struct gw_error *error)
{
    enum gw_err err = gw_sqlite_open(&rig->options, rig->env, &rig->sqlite, error);

    if (err != GW_OK)
        return err;
    rig->ledger = gw_sqlite_ledger(rig->sqlite);
    rig->configs = gw_sqlite_configs(rig->sqlite);
    rig->admin = gw_sqlite_admin(rig->sqlite);
    return GW_OK;
}

void rig_open(struct rig *rig)
{
    struct gw_error error = {0};

    if (rig_try_open(rig, &error) != GW_OK)
        fail_msg("%s: %s", gw_err_name(error.code), error.text);
}

void rig_close(struct rig *rig)
{
    gw_sqlite_close(rig->sqlite);
    rig->sqlite = NULL;
}

void rig_reopen(struct rig *rig)
{
    rig_close(rig);
    rig_open(rig);
}

const char *rig_path(struct rig *rig, const char *name)
{
    return gw_arena_printf(&rig->arena, "%s/%s", rig->dir, name);
}

/* ── Operations ────────────────────────────────────────────────────────────────────────────── */

/* One rig is waited for at a time. */
static struct rig *waiting;

static void on_done(struct gw_op *op)
{
    (void)op;
    gw_check(waiting && waiting->under_way > 0);
    if (--waiting->under_way == 0)
        gw_loop_stop(waiting->env);
}

void rig_arm(struct rig *rig, struct gw_op *op)
{
    op->env = rig->env;
    op->done = on_done;
    rig->under_way++;
}

static void on_patience(struct gw_timer *timer)
{
    (void)timer;
    gw_check_failed("an operation never completed", __FILE__, __LINE__);
}

void rig_wait(struct rig *rig)
{
    struct gw_timer patience = {.fire = on_patience};

    waiting = rig;
    gw_env_timer_set(rig->env, &patience, RIG_PATIENCE_MS);
    while (rig->under_way > 0)
        gw_loop_run(rig->env);
    gw_env_timer_stop(rig->env, &patience);
    waiting = NULL;
}

struct gw_audit rig_audit(const char *action, const char *subject)
{
    return (struct gw_audit){
        .at_ms = RIG_T0,
        .actor = GW_SLICE("somebody"),
        .address = GW_SLICE("192.0.2.1"),
        .action = action,
        .app_id = GW_SLICE("app"),
        .subject = gw_slice_from(subject),
    };
}

struct gw_message *rig_message(const char *app, const char *event_id, const char *body)
{
    struct gw_event event = {
        .body = gw_slice_from(body),
        .app_id = gw_slice_from(app),
        .event_type = GW_SLICE("type"),
        .event_id = gw_slice_from(event_id),
        .transaction_id = GW_SLICE("transaction"),
    };

    return gw_message_create(&event, RIG_T0);
}

static void on_offer(struct gw_msg *msg)
{
    (void)msg; /* the event's, which is still there: it comes before the completion */
}

void rig_event_start(struct rig *rig, struct rig_event *event, const char *event_id,
                     const char *body, uint64_t lane)
{
    event->message = rig_message("app", event_id, body);
    event->offer = gw_zalloc(sizeof(*event->offer) + sizeof(struct gw_delivery));
    event->offer->msg.run = on_offer;
    event->offer->env = rig->env;
    event->offer->message = event->message;
    event->accept = (struct gw_accept){
        .message = event->message,
        .lanes = &event->lane,
        .lane_count = 1,
        .dedupe_ms = RIG_DAY_MS,
        .offer = event->offer,
    };
    event->lane = lane;
    rig_arm(rig, &event->accept.op);
    gw_ledger_accept(rig->ledger, &event->accept);
}

void rig_event_end(struct rig_event *event)
{
    gw_message_unref(event->message);
    gw_free(event->offer);
}

enum gw_err rig_accept(struct rig *rig, const char *event_id, uint64_t lane,
                       struct gw_delivery *delivery)
{
    struct rig_event event;

    rig_event_start(rig, &event, event_id, "{\"n\":1}", lane);
    rig_wait(rig);
    if (event.accept.op.err == GW_OK && delivery)
        *delivery = event.accept.deliveries[0];
    rig_event_end(&event);
    return event.accept.op.err;
}

static enum gw_err settle(struct rig *rig, const struct gw_delivery *delivery, bool is_good)
{
    struct gw_attempt attempt = {
        .n = delivery->attempts + 1,
        .at_ms = RIG_T0 + 5,
        .outcome = is_good ? GW_OUTCOME_SUCCESS : GW_OUTCOME_HTTP_ERROR,
        .status = is_good ? 200 : 500,
        .url = gw_slice_from(RIG_URL),
    };
    struct gw_settle settle = {
        .write_id = delivery->attempts + 1,
        .attempt = &attempt,
        .next = *delivery,
    };

    settle.next.attempts++;
    if (is_good) {
        settle.next.state = GW_DELIVERY_DELIVERED;
        settle.next.reason = GW_END_DELIVERED;
        settle.next.ended_ms = RIG_T0 + 6;
    }
    return RIG_CALL(rig, ledger, settle, &settle);
}

enum gw_err rig_deliver(struct rig *rig, const struct gw_delivery *delivery)
{
    return settle(rig, delivery, true);
}

enum gw_err rig_fail(struct rig *rig, const struct gw_delivery *delivery)
{
    return settle(rig, delivery, false);
}

const struct gw_event_row *rig_find(struct rig *rig, const char *event_id)
{
    struct gw_find find = {
        .arena = &rig->arena,
        .key = GW_FIND_EVENT_ID,
        .app_id = GW_SLICE("app"),
        .text = gw_slice_from(event_id),
        .with_body = true,
        .max = 1,
    };

    assert_ok(RIG_CALL(rig, ledger, find, &find));
    return find.count ? &find.events[0] : NULL;
}

size_t rig_open_in(struct rig *rig, uint64_t lane)
{
    struct gw_refill refill = {
        .lane = lane,
        .after_due_ms = INT64_MIN,
        .deliveries = gw_arena_alloc(&rig->arena, 1000 * sizeof(struct gw_delivery)),
        .max = 1000,
    };

    assert_ok(RIG_CALL(rig, ledger, refill, &refill));
    return refill.count;
}

static void file_is_well(const char *path)
{
    char said[64];
    sqlite3_stmt *st = NULL;
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "gwh-sum"), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    snprintf(said, sizeof(said), "%s", (const char *)sqlite3_column_text(st, 0));
    assert_string_equal(said, "ok");
    sqlite3_finalize(st);
    sqlite3_close(db);
}

void rig_files_are_well(const char *dir)
{
    DIR *entries = opendir(dir);
    const struct dirent *entry;
    char path[512];
    size_t files = 0;

    assert_non_null(entries);
    while ((entry = readdir(entries)) != NULL) {
        struct gw_slice name = gw_slice_from(entry->d_name);
        if (!gw_slice_ends(name, GW_SLICE(".seg")) && !gw_slice_is(name, "main.db"))
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        file_is_well(path);
        files++;
    }
    closedir(entries);
    assert_true(files >= 2);
}
