/* item.c: owns one message of the queue until it may be deleted, or must not be.
 *
 *   start ─▶ read ─┬─ a notice: for each object, one after the other:
 *                  │     FETCH ─▶ intake (route, accept; what is there already: what is open of it) ─┐
 *                  ├─ a wake ──▶ find what is open ─▶ its app's configs ─▶ watch it ───────────────▶ WATCH
 *                  │              ▲ the ledger knows it otherwise                                    │
 *                  │              └──────────────────────────────────────────────────────────────────┤
 *                  │                                         something is due later: a wake is added ┘
 *                  ├─ a wake that came too early: it is sent on
 *                  ├─ a job ───▶ job.c: wakes, and its own successor
 *                  ├─ s3:TestEvent
 *                  └─ none of these: POISON
 *   at the end ─▶ the wakes are sent ─▶ DONE, or what the worst of its parts came to
 *
 * The rule that nothing is lost by: the queue has a message for every event with something to send.
 * So this one is DONE only when what came of it is final, or held, or its successors are in the queue;
 * a crash before that leaves it there, and doing all of it again is harmless: an event is accepted
 * once, a delivery claimed by one.
 *
 * What cannot be done now is tried again from here, for each time that a message is received counts
 * towards its being set aside. Only when it is given back, or somebody must look, it ends as AGAIN.
 *
 * Thread: the shard's. */
#include "road/item.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/timefmt.h"

#define PAUSE_MIN_MS  500
#define PAUSE_MAX_MS  20000
#define EARLY_MS      1000 /* a wake may come that much too early: queues delay whole seconds */
#define LOOKS_MAX     3
#define LOOK_LATER_MS 5000

static void next_part(struct gw_item *item);
static void find_open(struct gw_item *item);

static struct gw_shard *shard_of(const struct gw_item *item)
{
    return item->road->shard;
}

const char *gw_item_end_name(enum gw_item_end end)
{
    switch (end) {
    case GW_ITEM_DONE: return "done";
    case GW_ITEM_AGAIN: return "again";
    case GW_ITEM_POISON: return "poison";
    }
    gw_never("an unknown end of an item");
}

/* ── The end ───────────────────────────────────────────────────────────────────────────────── */

static void report(const struct gw_item *item)
{
    struct gw_env *env = shard_of(item)->env;
    gw_log(GW_LOG_WARN, "message_left", GW_SL("message", item->id),
           GW_S("end", gw_item_end_name(item->end)), GW_S("why", item->error.text));
    if (item->end != GW_ITEM_POISON)
        return;
    gw_delivery_log_poison(shard_of(item)->flow->log, gw_env_wall_ms(env),
                           &(struct gw_delivery_log_poison){
                               .message_id = item->id,
                               .error = item->error.text,
                               .failed_ms = gw_env_wall_ms(env),
                           });
}

static void finish(struct gw_item *item)
{
    if (item->end != GW_ITEM_DONE)
        report(item);
    item->done(item);
}

/* Of several parts the worst counts, for all of them come again with the message; poison is last, for
 * what can still be done goes first. */
static void fail(struct gw_item *item, enum gw_item_end end, const struct gw_error *error)
{
    if (item->end == GW_ITEM_DONE || (item->end == GW_ITEM_POISON && end == GW_ITEM_AGAIN)) {
        item->end = end;
        item->error = *error;
    }
}

/* ── Asking again ──────────────────────────────────────────────────────────────────────────── */

static void on_pause_over(struct gw_timer *timer)
{
    struct gw_item *item = gw_container_of(timer, struct gw_item, pause);
    item->next_step(item);
}

static void send_wakes(struct gw_item *item);

/* The rest of it is left, too; but for what is over wakes are sent. */
static void give_up(struct gw_item *item, const struct gw_error *error,
                    void (*step)(struct gw_item *item))
{
    fail(item, GW_ITEM_AGAIN, error);
    if (step == send_wakes)
        finish(item);
    else
        send_wakes(item);
}

/* What could not be done: `step` again after a while, or not at all. */
static void try_again(struct gw_item *item, const struct gw_error *error, int64_t again_ms,
                      void (*step)(struct gw_item *item))
{
    int64_t after_ms = PAUSE_MIN_MS << (item->tries < 6 ? item->tries : 6);
    if (gw_err_class(error->code) != GW_CLASS_AGAIN || item->is_given_back) {
        give_up(item, error, step);
        return;
    }
    after_ms = after_ms < PAUSE_MAX_MS ? after_ms : PAUSE_MAX_MS;
    after_ms = after_ms > again_ms ? after_ms : again_ms;
    if (item->tries++ > 0) /* once may happen to anybody */
        gw_road_trouble(item->road, after_ms);
    item->next_step = step;
    item->stage = GW_ITEM_STAGE_PAUSE;
    gw_env_timer_set(shard_of(item)->env, &item->pause, after_ms);
}

static struct gw_error error_of(enum gw_err err, const char *what)
{
    struct gw_error error;
    gw_error_set(&error, err, "%s: %s", what, gw_err_name(err));
    return error;
}

/* ── Successors ────────────────────────────────────────────────────────────────────────────── */

static void on_sent(struct gw_wakes *wakes)
{
    struct gw_item *item = gw_container_of(wakes, struct gw_item, wakes);
    if (wakes->err != GW_OK) {
        struct gw_error error = error_of(wakes->err, "the queue took no wake");
        try_again(item, &error, wakes->again_ms, send_wakes);
        return;
    }
    finish(item);
}

static void send_wakes(struct gw_item *item)
{
    item->stage = GW_ITEM_STAGE_STORE;
    if (item->wakes.count)
        gw_wakes_send(&item->wakes);
    else
        finish(item);
}

/* ── Watching ──────────────────────────────────────────────────────────────────────────────── */

static void on_watched(struct gw_watch *watch)
{
    struct gw_item *item = gw_container_of(watch, struct gw_item, watch);
    int64_t next_ms = watch->next_ms;
    if (watch->must_look && !item->is_given_back && item->looks++ < LOOKS_MAX) {
        find_open(item);
        return;
    }
    int64_t later_ms = gw_env_wall_ms(shard_of(item)->env) + LOOK_LATER_MS;
    if (watch->must_look && later_ms < next_ms)
        next_ms = later_ms;
    for (size_t i = 0; i < watch->slot_count; i++)
        gw_wakes_add(&item->wakes, &(struct gw_wake){.kind = GW_WAKE_MESSAGE,
                                                     .message_id = item->message_id,
                                                     .slot_id = watch->slots[i].delivery_id,
                                                     .not_before_ms = watch->slots[i].at_ms});
    if (next_ms != GW_NEVER)
        gw_wakes_add(&item->wakes, &(struct gw_wake){.kind = GW_WAKE_MESSAGE,
                                                     .message_id = item->message_id,
                                                     .not_before_ms = next_ms});
    next_part(item);
}

static void watch(struct gw_item *item)
{
    item->tries = 0;
    item->stage = GW_ITEM_STAGE_WATCH;
    if (item->is_given_back)
        gw_watch_give_back(&item->watch);
}

/* ── A wake ────────────────────────────────────────────────────────────────────────────────── */

static void watch_found(struct gw_item *item, struct gw_snapshot *snapshot)
{
    gw_watch_start(&item->watch, NULL, snapshot, item->open, item->open_count);
    watch(item);
}

static void on_snapshot(struct gw_snapshot_wait *wait, struct gw_snapshot *snapshot,
                        enum gw_err err)
{
    struct gw_item *item = gw_container_of(wait, struct gw_item, wait);
    struct gw_error error = error_of(err, "the app's configuration cannot be read now");
    if (snapshot)
        watch_found(item, snapshot);
    else
        try_again(item, &error, 0, find_open);
}

/* A wake for a slot is of that delivery alone: the others have messages of their own. */
static bool concerns(const struct gw_item *item, const struct gw_delivery *delivery)
{
    const struct gw_id *slot_id = &item->wake.slot_id;
    return delivery->state == GW_DELIVERY_PENDING &&
           (!slot_id->len || gw_id_eq(slot_id, &delivery->id));
}

static void take_open(struct gw_item *item, const struct gw_event_row *event)
{
    size_t size = (event->count + 1) * sizeof(*item->open);
    item->open = gw_arena_alloc(&item->part_arena, size);
    item->open_count = 0;
    for (size_t i = 0; i < event->count; i++)
        if (concerns(item, &event->rows[i].delivery))
            item->open[item->open_count++] = event->rows[i].delivery;
}

static void on_found(struct gw_op *op)
{
    struct gw_find *find = gw_container_of(op, struct gw_find, op);
    struct gw_item *item = gw_container_of(find, struct gw_item, find);
    struct gw_shard *shard = shard_of(item);
    struct gw_error error = error_of(op->err, "the ledger cannot be read now");
    if (op->err != GW_OK) {
        try_again(item, &error, op->again_ms, find_open);
        return;
    }
    item->open_count = 0;
    if (find->count)
        take_open(item, &find->events[0]);
    if (!item->open_count) {
        next_part(item);
        return;
    }
    struct gw_slice app_id = find->events[0].message->app_id;
    struct gw_snapshot *snapshot = gw_snapshots_peek(shard, app_id);
    item->wait.ready = on_snapshot;
    if (snapshot)
        watch_found(item, snapshot);
    else
        gw_snapshots_load(shard, app_id, &item->wait);
}

static void find_open(struct gw_item *item)
{
    struct gw_shard *shard = shard_of(item);
    gw_arena_reset(&item->part_arena);
    item->stage = GW_ITEM_STAGE_STORE;
    item->find = (struct gw_find){
        .op = {.env = shard->env, .done = on_found},
        .arena = &item->part_arena,
        .key = GW_FIND_MESSAGE,
        .id = item->message_id,
        .max = 1,
    };
    gw_ledger_find(shard->flow->ledger, &item->find);
}

/* ── An object ─────────────────────────────────────────────────────────────────────────────── */

static void take_in(struct gw_item *item);
static void fetch(struct gw_item *item);

static void on_intake(struct gw_intake *intake)
{
    struct gw_item *item = gw_container_of(intake, struct gw_item, intake);
    struct gw_error error = intake->error;
    int64_t again_ms = intake->again_ms;
    enum gw_err err = intake->err;
    error.code = err;
    item->message_id = intake->id;
    gw_intake_deinit(intake);
    if (err == GW_OK) {
        watch(item);
    } else if (gw_err_class(err) == GW_CLASS_REJECT) {
        fail(item, GW_ITEM_POISON, &error);
        next_part(item);
    } else {
        try_again(item, &error, again_ms, take_in);
    }
}

static void take_in(struct gw_item *item)
{
    item->stage = GW_ITEM_STAGE_STORE;
    item->intake = (struct gw_intake){
        .body = item->fetch.body,
        .place = item->fetch.place,
        .metadata = item->fetch.metadata,
        .metadata_count = item->fetch.metadata_count,
        .watch = &item->watch,
        .done = on_intake,
    };
    gw_intake_start(shard_of(item), &item->intake);
}

static void on_fetched(struct gw_fetch *fetched)
{
    struct gw_item *item = gw_container_of(fetched, struct gw_item, fetch);
    enum gw_err err = fetched->error.code;
    if (err == GW_OK) {
        take_in(item);
    } else if (gw_err_class(err) == GW_CLASS_REJECT) {
        fail(item, GW_ITEM_POISON, &fetched->error);
        next_part(item);
    } else {
        try_again(item, &fetched->error, fetched->again_ms, fetch);
    }
}

static void fetch(struct gw_item *item)
{
    gw_arena_reset(&item->part_arena);
    item->stage = GW_ITEM_STAGE_FETCH;
    item->fetch = (struct gw_fetch){
        .road = item->road,
        .notice = &item->notices.items[item->at],
        .arena = &item->part_arena,
        .done = on_fetched,
    };
    gw_fetch_start(&item->fetch);
}

/* A wake has one part, which is over when it comes here. */
static void next_part(struct gw_item *item)
{
    struct gw_error error;
    item->looks = item->tries = 0;
    if (item->notices.count)
        item->at++;
    if (item->at >= item->notices.count) {
        send_wakes(item);
    } else if (item->is_given_back) {
        gw_error_set(&error, GW_ERR_STOPPED, "not all of its events were begun");
        give_up(item, &error, fetch);
    } else {
        fetch(item);
    }
}

/* ── A job ─────────────────────────────────────────────────────────────────────────────────── */

static void run_job(struct gw_item *item);

static void on_job(struct gw_job *job)
{
    struct gw_item *item = job->item;
    struct gw_error error = error_of(job->err, "the job cannot go on");
    if (job->err == GW_OK) {
        send_wakes(item);
    } else if (job->err == GW_ERR_INVALID) {
        fail(item, GW_ITEM_POISON, &error);
        finish(item);
    } else {
        try_again(item, &error, job->again_ms, run_job);
    }
}

static void run_job(struct gw_item *item)
{
    item->stage = GW_ITEM_STAGE_STORE;
    *item->job = (struct gw_job){
        .road = item->road,
        .item = item,
        .wake = &item->wake,
        .wakes = &item->wakes,
        .done = on_job,
    };
    gw_job_start(item->job);
}

/* ── What it is ────────────────────────────────────────────────────────────────────────────── */

static void begin_wake(struct gw_item *item)
{
    const struct gw_wake *wake = &item->wake;
    item->message_id = wake->message_id;
    item->watch.slot = (struct gw_watch_slot){wake->slot_id, wake->not_before_ms};
    if (wake->not_before_ms > gw_env_wall_ms(shard_of(item)->env) + EARLY_MS) {
        gw_wakes_add(&item->wakes, wake);
        send_wakes(item);
    } else if (wake->kind == GW_WAKE_MESSAGE) {
        find_open(item);
    } else {
        item->job = gw_alloc(sizeof(*item->job));
        run_job(item);
    }
}

static void read(struct gw_item *item)
{
    struct gw_error error;
    if (gw_wake_read(&item->wake, item->body, &item->arena)) {
        begin_wake(item);
        return;
    }
    gw_aws_notice_read(&item->notices, item->body, &item->arena);
    if (item->notices.kind == GW_AWS_NOTICE_NONE) {
        gw_error_set(&error, GW_ERR_INVALID, "it is neither a notice of S3 nor a wake");
        fail(item, GW_ITEM_POISON, &error);
    }
    if (item->notices.count)
        fetch(item);
    else
        finish(item);
}

static void on_soon(struct gw_msg *msg)
{
    struct gw_item *item = gw_container_of(msg, struct gw_item, soon);
    struct gw_error error;
    if (!item->is_given_back) {
        read(item);
        return;
    }
    gw_error_set(&error, GW_ERR_STOPPED, "it was given back before it was over");
    fail(item, GW_ITEM_AGAIN, &error);
    send_wakes(item);
}

void gw_item_start(struct gw_item *item)
{
    item->end = GW_ITEM_DONE;
    item->stage = GW_ITEM_STAGE_SOON;
    item->soon.run = on_soon;
    item->pause.fire = on_pause_over;
    item->watch.shard = shard_of(item);
    item->watch.done = on_watched;
    item->wakes.road = item->road;
    item->wakes.done = on_sent;
    gw_env_post(shard_of(item)->env, &item->soon);
}

static void end_soon(struct gw_item *item)
{
    item->stage = GW_ITEM_STAGE_SOON;
    gw_env_post(shard_of(item)->env, &item->soon);
}

void gw_item_give_back(struct gw_item *item)
{
    bool was = item->is_given_back;
    item->is_given_back = true;
    if (was)
        return;
    switch (item->stage) {
    case GW_ITEM_STAGE_SOON: break;
    case GW_ITEM_STAGE_STORE: break; /* it will answer */
    case GW_ITEM_STAGE_FETCH:
        gw_fetch_cancel(&item->fetch);
        end_soon(item);
        break;
    case GW_ITEM_STAGE_WATCH: gw_watch_give_back(&item->watch); break;
    case GW_ITEM_STAGE_PAUSE:
        gw_env_timer_stop(shard_of(item)->env, &item->pause);
        end_soon(item);
        break;
    }
}

void gw_item_deinit(struct gw_item *item)
{
    gw_wakes_deinit(&item->wakes);
    gw_arena_deinit(&item->part_arena);
    gw_arena_deinit(&item->arena);
    gw_free(item->job);
}
