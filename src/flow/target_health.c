/* target_health.c: owns what is known of targets: judged after each attempt, stored when it changes,
 * loaded at the start, told to whoever asks.
 *
 * An attempt is judged when its settle is stored, and what follows is stored after it: a crash in
 * between forgets one step, and never knows of an attempt that the ledger does not. A save that fails
 * is repeated every second while the shard works; memory goes by what it knows meanwhile.
 *
 * Where the ledger is shared the others store what they have seen, too: it is read again with the
 * app's configs (snapshots.c).
 *
 * Numbers of the last hour are counted by tenths of a window: six of ten minutes each, so what is
 * told is of the last 50 to 60 minutes. They are lost with a restart.
 *
 * Thread: the shard's; the others ask by message. */
#include "flow/target.h"

#include "base/check.h"
#include "base/log.h"
#include "flow/lanes.h"

#define AGAIN_MS 1000

/* ── The last hour ─────────────────────────────────────────────────────────────────────────── */

#define WINDOWS      6
#define WINDOW_US    ((int64_t)600 * 1000000)
#define TOOK_BUCKETS 56 /* of two of latency.h's each; the last counts what is longer */

struct window {
    int64_t number;
    uint32_t attempts, successes;
    uint32_t took[TOOK_BUCKETS];
};

struct gw_target_stats {
    struct window windows[WINDOWS];
};

static void count_attempt(struct gw_target *target, const struct gw_health_attempt *attempt)
{
    if (!target->stats)
        target->stats = gw_zalloc(sizeof(*target->stats));
    int64_t number = attempt->ended_us / WINDOW_US + 1; /* 0 = never used */
    struct window *window = &target->stats->windows[number % WINDOWS];
    if (window->number != number)
        *window = (struct window){.number = number};
    size_t bucket = gw_latency_bucket((attempt->ended_us - attempt->begun_us) / 1000) / 2;
    window->attempts++;
    window->successes += attempt->outcome == GW_OUTCOME_SUCCESS;
    window->took[bucket < TOOK_BUCKETS ? bucket : TOOK_BUCKETS - 1]++;
}

static void look_back(const struct gw_target *target, struct gw_target_view *view, int64_t now_us)
{
    uint64_t took[GW_LATENCY_BUCKETS] = {0};
    int64_t now = now_us / WINDOW_US + 1;
    for (size_t i = 0; target->stats && i < WINDOWS; i++) {
        const struct window *window = &target->stats->windows[i];
        if (window->number == 0 || window->number <= now - WINDOWS)
            continue;
        view->attempts += window->attempts;
        view->successes += window->successes;
        for (size_t k = 0; k < TOOK_BUCKETS; k++)
            took[2 * k] += window->took[k];
    }
    view->p95_ms = gw_latency_read(took).p95_ms;
}

/* ── The store ─────────────────────────────────────────────────────────────────────────────── */

/* Somebody waits until what is known now is stored. */
struct waiter {
    struct gw_list link;
    struct gw_target_ask *ask;
};

struct gw_target_saving {
    struct gw_target *target;
    struct gw_health_save save;
    struct gw_buf json;
    struct gw_timer again;
    struct gw_list waiters;
    bool is_stale; /* something has changed since */
    bool forgets;  /* nobody names the target any more */
    bool ends_hold;
};

static void one_less(struct gw_target_ask *ask);

static void learn(struct gw_target *target, struct gw_slice json)
{
    gw_buf_clear(&target->known);
    gw_buf_adds(&target->known, json);
    target->is_stored = json.len > 0;
}

static void start_save(struct gw_target_saving *saving);

static void tell(struct gw_target_saving *saving, const struct gw_op *op)
{
    struct gw_list *link;
    while ((link = gw_list_pop(&saving->waiters))) {
        struct waiter *waiter = gw_container_of(link, struct waiter, link);
        struct gw_target_ask *ask = waiter->ask;
        if (op->err != GW_OK) {
            ask->err = op->err;
            ask->again_ms = op->again_ms;
        }
        gw_free(waiter);
        one_less(ask);
    }
}

static void end_saving(struct gw_target_saving *saving)
{
    struct gw_target *target = saving->target;
    target->saving = NULL;
    gw_check(gw_list_empty(&saving->waiters));
    gw_buf_deinit(&saving->json);
    gw_free(saving);
    gw_target_release(target->app->schedule, target);
}

static void on_again(struct gw_timer *timer)
{
    struct gw_target_saving *saving = gw_container_of(timer, struct gw_target_saving, again);
    if (!saving->target->app->schedule->shard->draining) {
        start_save(saving);
        return;
    }
    tell(saving, &(struct gw_op){.err = GW_ERR_STOPPED});
    end_saving(saving);
}

static void on_saved(struct gw_op *op)
{
    struct gw_health_save *save = gw_container_of(op, struct gw_health_save, op);
    struct gw_target_saving *saving = gw_container_of(save, struct gw_target_saving, save);
    struct gw_shard *shard = saving->target->app->schedule->shard;
    bool is_over = op->err == GW_OK || gw_err_class(op->err) == GW_CLASS_REJECT;
    if (is_over)
        learn(saving->target,
              op->err == GW_OK ? gw_buf_slice(&saving->json) : (struct gw_slice){0});
    if (is_over && saving->is_stale) {
        start_save(saving);
    } else {
        tell(saving, op);
        if (is_over)
            end_saving(saving);
        else
            gw_env_timer_set(shard->env, &saving->again,
                             op->again_ms > 0 ? op->again_ms : AGAIN_MS);
    }
    gw_shard_end(shard);
}

static void start_save(struct gw_target_saving *saving)
{
    struct gw_target *target = saving->target;
    struct gw_shard *shard = target->app->schedule->shard;
    gw_buf_clear(&saving->json);
    if (!saving->forgets)
        gw_health_encode(&target->health, gw_env_wall_ms(shard->env), &saving->json);
    saving->is_stale = false;
    saving->save = (struct gw_health_save){
        .op = {.env = shard->env, .done = on_saved},
        .health = {.app_id = target->app->app_id,
                   .url = gw_target_url(target),
                   .json = gw_buf_slice(&saving->json)},
        .ends_hold = saving->ends_hold,
    };
    gw_shard_begin(shard);
    gw_ledger_health_save(shard->flow->ledger, &saving->save);
}

static void save(struct gw_target *target, bool forgets, bool ends_hold)
{
    struct gw_target_saving *saving = target->saving;
    if (saving) {
        saving->is_stale = true;
        saving->forgets = forgets;
        saving->ends_hold |= ends_hold;
        return; /* what goes to the store next says all that is known then */
    }
    saving = target->saving = gw_zalloc(sizeof(*saving));
    saving->target = target;
    saving->forgets = forgets;
    saving->ends_hold = ends_hold;
    saving->again.fire = on_again;
    gw_list_init(&saving->waiters);
    start_save(saving);
}

void gw_target_store(struct gw_target *target)
{
    save(target, false, false);
}

void gw_target_unstore(struct gw_target *target)
{
    save(target, true, false);
}

void gw_target_free_health(struct gw_target *target)
{
    struct gw_target_saving *saving = target->saving;
    gw_free(target->stats);
    gw_buf_deinit(&target->known);
    if (!saving)
        return;
    struct gw_list *link;
    while ((link = gw_list_pop(&saving->waiters)))
        gw_free(gw_container_of(link, struct waiter, link));
    gw_buf_deinit(&saving->json);
    gw_free(saving);
}

/* ── Judging ───────────────────────────────────────────────────────────────────────────────── */

static void log_state(const struct gw_target *target)
{
    const struct gw_health *health = &target->health;
    gw_log(health->state == GW_HEALTH_OK ? GW_LOG_INFO : GW_LOG_WARN, "target_state",
           GW_SL("app", target->app->app_id), GW_SL("host", target->host->key),
           GW_S("state", gw_health_state_name(health->state)),
           GW_S("reason", gw_health_reason(health)));
}

/* After a step: what is stored, counted and logged follows. */
static void stepped(struct gw_target *target, enum gw_health_state before, bool changed)
{
    struct gw_schedule *schedule = target->app->schedule;
    schedule->states[before]--;
    schedule->states[target->health.state]++;
    if (!changed)
        return;
    save(target, false, before == GW_HEALTH_DISABLED);
    log_state(target);
}

void gw_target_judge(struct gw_target *target, const struct gw_health_attempt *attempt)
{
    struct gw_env *env = target->app->schedule->shard->env;
    enum gw_health_state before = target->health.state;
    count_attempt(target, attempt);
    stepped(target, before,
            gw_health_after_attempt(&target->health, attempt, target->in_flight_max,
                                    gw_env_wall_ms(env)));
}

/* ── The start ─────────────────────────────────────────────────────────────────────────────── */

static void load_one(struct gw_schedule *schedule, const struct gw_health_row *row,
                     const struct gw_url *url)
{
    struct gw_app *app = gw_apps_get(schedule, row->app_id);
    struct gw_target *target = gw_target_get(app, url);
    enum gw_health_state before = target->health.state;
    if (gw_health_decode(&target->health, row->json) != GW_OK)
        gw_log(GW_LOG_WARN, "target_health_unreadable", GW_SL("app", row->app_id),
               GW_SL("host", target->host->key));
    target->is_stored = true;
    stepped(target, before, false);
    gw_target_release(schedule, target);
}

void gw_target_load(struct gw_shard *shard, const struct gw_health_row *rows, size_t count)
{
    struct gw_arena arena = {0};
    struct gw_error error;
    struct gw_url url;
    for (size_t i = 0; i < count; i++) {
        if (gw_flow_owner(shard->flow, rows[i].app_id) != shard)
            continue;
        if (gw_url_parse(&url, rows[i].url, &arena, &error) == GW_OK)
            load_one(shard->schedule, &rows[i], &url);
        gw_arena_reset(&arena);
    }
    gw_arena_deinit(&arena);
}

/* ── What others have stored since ─────────────────────────────────────────────────────────── */

/* What is known here and on its way to the store is newer. What another process says it has seen is
 * taken over whole: of two that save at once, the later one counts. */
static void take_over(struct gw_target *target, struct gw_slice json)
{
    enum gw_health_state before = target->health.state;
    if (target->saving || gw_slice_eq(gw_buf_slice(&target->known), json))
        return;
    if (json.len == 0)
        gw_health_init(&target->health);
    else if (gw_health_decode(&target->health, json) != GW_OK)
        gw_log(GW_LOG_WARN, "target_health_unreadable", GW_SL("app", target->app->app_id),
               GW_SL("host", target->host->key));
    learn(target, json);
    stepped(target, before, false);
    gw_target_place(target->app->schedule, target);
}

static const struct gw_health_row *row_of(const struct gw_target *target,
                                          const struct gw_health_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (gw_slice_eq(rows[i].url, gw_target_url(target)))
            return &rows[i];
    return NULL;
}

void gw_target_reload(struct gw_shard *shard, struct gw_slice app_id,
                      const struct gw_health_row *rows, size_t count)
{
    struct gw_schedule *schedule = shard->schedule;
    struct gw_app *app = count ? gw_apps_get(schedule, app_id)
                               : (struct gw_app *)gw_map_get(&schedule->apps, app_id);
    struct gw_arena arena = {0};
    struct gw_error error;
    struct gw_url url;
    if (!app)
        return;
    app->pins++; /* its targets may go one by one below */
    for (size_t i = 0; i < count; i++)
        if (gw_url_parse(&url, rows[i].url, &arena, &error) == GW_OK)
            gw_target_get(app, &url);
    gw_arena_deinit(&arena);
    gw_list_each_safe (link, &app->targets) {
        struct gw_target *target = gw_container_of(link, struct gw_target, link);
        const struct gw_health_row *row = row_of(target, rows, count);
        take_over(target, row ? row->json : (struct gw_slice){0});
        gw_target_release(schedule, target);
    }
    app->pins--;
    gw_apps_release(app);
    gw_schedule_run(schedule);
}

/* ── Being asked ───────────────────────────────────────────────────────────────────────────── */

static void on_answer(struct gw_msg *msg)
{
    struct gw_target_ask *ask = gw_container_of(msg, struct gw_target_ask, msg);
    ask->done(ask);
}

static void fill(const struct gw_schedule *schedule, const struct gw_target_ask *ask)
{
    int64_t now_us = gw_env_mono_us(schedule->shard->env);
    for (size_t i = 0; i < ask->count; i++) {
        struct gw_target_view *view = &ask->views[i];
        const struct gw_target *target = gw_target_find(schedule, ask->app_id, view->url);
        *view = (struct gw_target_view){.url = view->url};
        if (!target)
            continue;
        view->state = target->health.state;
        view->reason = gw_health_reason(&target->health);
        view->since_ms = target->health.since_ms;
        view->streak = target->health.streak;
        view->in_flight = target->in_flight;
        look_back(target, view, now_us);
    }
}

static void one_less(struct gw_target_ask *ask)
{
    if (--ask->left > 0)
        return;
    fill(gw_flow_owner(ask->shard->flow, ask->app_id)->schedule, ask);
    ask->msg.run = on_answer;
    gw_env_post(ask->shard->env, &ask->msg);
}

static void enable(struct gw_schedule *schedule, struct gw_target *target,
                   struct gw_target_ask *ask)
{
    enum gw_health_state before = target->health.state;
    stepped(target, before,
            gw_health_enable(&target->health, gw_env_wall_ms(schedule->shard->env)));
    gw_target_place(schedule, target);
    if (!target->saving)
        return;
    struct waiter *waiter = gw_alloc(sizeof(*waiter));
    waiter->ask = ask;
    gw_list_push(&target->saving->waiters, &waiter->link);
    ask->left++;
}

static void look_at(struct gw_target_ask *ask)
{
    struct gw_shard *owner = gw_flow_owner(ask->shard->flow, ask->app_id);
    ask->left = 1;
    for (size_t i = 0; ask->enables && i < ask->count; i++) {
        struct gw_target *target = gw_target_find(owner->schedule, ask->app_id, ask->views[i].url);
        if (target && owner->draining)
            ask->err = GW_ERR_STOPPED; /* nothing new is stored */
        else if (target)
            enable(owner->schedule, target, ask);
    }
    one_less(ask);
    gw_schedule_run(owner->schedule);
}

/* Others may have found it in trouble: that is read with the configs. */
static void on_reloaded(struct gw_snapshot_wait *wait, struct gw_snapshot *snapshot,
                        enum gw_err err)
{
    struct gw_target_ask *ask = gw_container_of(wait, struct gw_target_ask, wait);
    if (snapshot) {
        look_at(ask);
        return;
    }
    ask->err = err;
    ask->again_ms = AGAIN_MS;
    ask->msg.run = on_answer;
    gw_env_post(ask->shard->env, &ask->msg);
}

static void on_ask(struct gw_msg *msg)
{
    struct gw_target_ask *ask = gw_container_of(msg, struct gw_target_ask, msg);
    struct gw_shard *owner = gw_flow_owner(ask->shard->flow, ask->app_id);
    ask->wait.ready = on_reloaded;
    if (owner->flow->options.is_shared)
        gw_snapshots_load(owner, ask->app_id, &ask->wait);
    else
        look_at(ask);
}

void gw_target_ask(struct gw_shard *shard, struct gw_target_ask *ask)
{
    ask->shard = shard;
    ask->err = GW_OK;
    ask->again_ms = 0;
    ask->msg.run = on_ask;
    gw_env_post(gw_flow_owner(shard->flow, ask->app_id)->env, &ask->msg);
}
