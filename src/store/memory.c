/* memory.c: the three ports in memory. Owns everything that was committed, and the queue in front of it;
 * the rules are in memory_write.c (what is written), memory_read.c (what is looked at),
 * memory_tally.c (what is counted), memory_config.c (configs and health) and memory_admin.c (keys and
 * the audit log).
 *
 * Writes, and reads that must see exactly the writes before them, stand in one queue. The first in
 * it starts a timer; when that fires all of them are done in order and their completions posted, in
 * order. That is a commit: nothing of it is visible before, all of it after. Other reads go through
 * the env's work, so that they too take a while, and see whatever is committed by then.
 *
 * Threads: one. Operations may come from several envs as long as these share a thread, which is
 * what simulated ones do; timers and work are asked for on the backend's own env.
 *
 * Failure: ceilings give GW_ERR_BUSY or GW_ERR_FULL, a passed deadline GW_ERR_TIMEOUT. A crash
 * forgets the queue without touching it, for its operations lie in memory that may be gone. */
#include "store/memory_state.h"

#include "base/check.h"

static const struct {
    memory_fn *run;
    bool looks; /* else it stands in the queue */
} does[GW_CALL_COUNT] = {
    [GW_CALL_ACCEPT] = {memory_accept, false},
    [GW_CALL_ADD] = {memory_add, false},
    [GW_CALL_CLAIM] = {memory_claim, false},
    [GW_CALL_SETTLE] = {memory_settle, false},
    [GW_CALL_RETRY] = {memory_retry, false},
    [GW_CALL_ERASE] = {memory_erase, false},
    [GW_CALL_OPEN_LANES] = {memory_open_lanes, false},
    [GW_CALL_REFILL] = {memory_refill, false},
    [GW_CALL_LOAD] = {memory_load, true},
    [GW_CALL_FIND] = {memory_find, true},
    [GW_CALL_LIST] = {memory_list, true},
    [GW_CALL_TALLY] = {memory_tally, true},
    [GW_CALL_STATS] = {memory_stats, true},
    [GW_CALL_HEALTH_SAVE] = {memory_health_save, false},
    [GW_CALL_HEALTH_LOAD] = {memory_health_load, true},
    [GW_CALL_CONFIG_LOAD] = {memory_config_load, true},
    [GW_CALL_CONFIG_PUT] = {memory_config_put, false},
    [GW_CALL_CONFIG_REMOVE] = {memory_config_remove, false},
    [GW_CALL_CONFIG_LIST] = {memory_config_list, true},
    [GW_CALL_KEY_PUT] = {memory_key_put, false},
    [GW_CALL_KEY_REMOVE] = {memory_key_remove, false},
    [GW_CALL_KEY_FIND] = {memory_key_find, true},
    [GW_CALL_KEY_LIST] = {memory_key_list, true},
    [GW_CALL_AUDIT_ADD] = {memory_audit_add, false},
    [GW_CALL_AUDIT_LIST] = {memory_audit_list, true},
};

/* ── Completing ────────────────────────────────────────────────────────────────────────────── */

static void on_complete(struct gw_msg *msg)
{
    struct gw_op *op = gw_container_of(msg, struct gw_op, msg);

    op->done(op);
}

void memory_complete(struct gw_op *op, enum gw_err err)
{
    op->err = err;
    if (gw_err_class(err) != GW_CLASS_AGAIN)
        op->again_ms = 0;
    else if (!op->again_ms) /* it is not said */
        op->again_ms = MEMORY_AGAIN_MS;
    op->msg.run = on_complete;
    gw_env_post(op->env, &op->msg);
}

static bool is_late(const struct gw_op *op)
{
    return op->deadline_us != 0 && gw_env_mono_us(op->env) > op->deadline_us;
}

static void do_now(struct gw_memory *memory, struct gw_op *op)
{
    memory_complete(op, is_late(op) ? GW_ERR_TIMEOUT : does[op->kind].run(memory, op));
}

/* ── The queue ─────────────────────────────────────────────────────────────────────────────── */

static void on_commit(struct gw_timer *timer)
{
    struct gw_memory *memory = gw_container_of(timer, struct gw_memory, commit);
    int64_t began_us = gw_env_mono_us(memory->env);
    struct gw_list *link;

    memory->commit_armed = false;
    while ((link = gw_list_pop(&memory->queue)) != NULL) {
        do_now(memory, gw_container_of(link, struct gw_op, msg.link));
        atomic_fetch_add(&memory->operations, 1);
        atomic_fetch_sub(&memory->queued, 1);
    }
    gw_histogram_add(&memory->commits, gw_env_mono_us(memory->env) - began_us);
}

static void on_look_run(struct gw_work *work)
{
    (void)work; /* on another thread, perhaps: nothing to do there */
}

static void on_look_done(struct gw_work *work)
{
    struct memory_look *look = gw_container_of(work, struct memory_look, work);

    gw_list_remove(&look->link);
    do_now(look->memory, look->op);
    gw_free(look);
}

/* On our own env: timers and work may be asked for only there. */
static void on_wake(struct gw_msg *msg)
{
    struct gw_memory *memory = gw_container_of(msg, struct gw_memory, wake);

    memory->wake_posted = false;
    if (!memory->commit_armed && !gw_list_empty(&memory->queue)) {
        memory->commit_armed = true;
        gw_env_timer_set(memory->env, &memory->commit, memory->options.commit_delay_ms);
    }
    gw_list_each (link, &memory->looks) {
        struct memory_look *look = gw_container_of(link, struct memory_look, link);
        if (look->started)
            continue;
        look->started = true;
        gw_env_work(memory->env, &look->work);
    }
}

static void wake(struct gw_memory *memory)
{
    if (memory->wake_posted)
        return;
    memory->wake_posted = true;
    gw_env_post(memory->env, &memory->wake);
}

static void queue(struct gw_memory *memory, struct gw_op *op)
{
    gw_list_push(&memory->queue, &op->msg.link);
    atomic_fetch_add(&memory->queued, 1);
    if (!memory->commit_armed)
        wake(memory);
}

static void look(struct gw_memory *memory, struct gw_op *op)
{
    struct memory_look *look = gw_zalloc(sizeof(*look));

    look->work = (struct gw_work){.run = on_look_run, .done = on_look_done};
    look->memory = memory;
    look->op = op;
    gw_list_push(&memory->looks, &look->link);
    wake(memory);
}

/* ── The ports ─────────────────────────────────────────────────────────────────────────────── */

/* One process, one owner for each delivery: the next attempt's number will do, and no lease. */
static void claim(struct gw_op *base)
{
    struct gw_claim *op = gw_container_of(base, struct gw_claim, op);

    op->write_id = (uint64_t)op->delivery.attempts + 1;
    memory_complete(base, is_late(base) ? GW_ERR_TIMEOUT : GW_OK);
}

static void start(struct gw_memory *memory, struct gw_op *op)
{
    if (op->kind == GW_CALL_CLAIM && !memory->options.has_leases)
        claim(op);
    else if (op->kind == GW_CALL_ACCEPT &&
             atomic_load(&memory->queued) >= memory->options.queue_max)
        memory_complete(op, GW_ERR_BUSY);
    else if (does[op->kind].looks)
        look(memory, op);
    else
        queue(memory, op);
}

static void start_ledger(struct gw_ledger *ledger, struct gw_op *op)
{
    start(gw_container_of(ledger, struct gw_memory, ledger), op);
}

static void start_configs(struct gw_configs *configs, struct gw_op *op)
{
    start(gw_container_of(configs, struct gw_memory, configs), op);
}

static void start_admin(struct gw_admin *admin, struct gw_op *op)
{
    start(gw_container_of(admin, struct gw_memory, admin), op);
}

static struct gw_ledger_state get_state(struct gw_ledger *ledger)
{
    struct gw_memory *memory = gw_container_of(ledger, struct gw_memory, ledger);
    bool full = atomic_load(&memory->full);

    struct gw_ledger_state state = {
        .accepting = !full,
        .why = full ? "the store is full" : "",
        .open = atomic_load(&memory->open),
        .configs = atomic_load(&memory->config_count),
        .operations = atomic_load(&memory->operations),
        .queued = atomic_load(&memory->queued),
    };
    gw_histogram_read(&memory->commits, &state.commits);
    return state;
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

static void begin_life(struct gw_memory *memory, struct gw_env *env)
{
    memory->env = env;
    gw_list_init(&memory->queue);
    gw_list_init(&memory->looks);
    memory->wake = (struct gw_msg){.run = on_wake};
    memory->wake_posted = false;
    memory->commit = (struct gw_timer){.fire = on_commit};
    memory->commit_armed = false;
    atomic_store(&memory->queued, 0);
}

static void free_looks(struct gw_memory *memory)
{
    struct gw_list *link;

    while ((link = gw_list_pop(&memory->looks)) != NULL)
        gw_free(gw_container_of(link, struct memory_look, link));
}

struct gw_memory *gw_memory_create(struct gw_env *env, const struct gw_memory_options *options)
{
    struct gw_memory *memory = gw_zalloc(sizeof(*memory));

    memory->ledger = (struct gw_ledger){.start = start_ledger, .state = get_state};
    memory->configs.start = start_configs;
    memory->admin.start = start_admin;
    memory->options = *options;
    if (memory->options.queue_max == 0)
        memory->options.queue_max = MEMORY_QUEUE_MAX;
    if (memory->options.events_max == 0)
        memory->options.events_max = MEMORY_EVENTS_MAX;
    gw_list_init(&memory->lanes);
    gw_list_init(&memory->healths);
    gw_list_init(&memory->apps);
    gw_list_init(&memory->repeats);
    gw_list_init(&memory->keys);
    gw_list_init(&memory->lines);
    gw_env_random(env, memory->id_key, sizeof(memory->id_key));
    memory->next_id = memory->next_lane = 1;
    begin_life(memory, env);
    return memory;
}

struct gw_ledger *gw_memory_ledger(struct gw_memory *memory)
{
    return &memory->ledger;
}

struct gw_configs *gw_memory_configs(struct gw_memory *memory)
{
    return &memory->configs;
}

struct gw_admin *gw_memory_admin(struct gw_memory *memory)
{
    return &memory->admin;
}

void gw_memory_crash(struct gw_memory *memory, struct gw_env *env)
{
    free_looks(memory);
    begin_life(memory, env);
}

void gw_memory_destroy(struct gw_memory *memory)
{
    if (memory == NULL)
        return;
    free_looks(memory);
    memory_events_free(memory);
    memory_repeats_free(memory);
    memory_configs_free(memory);
    memory_admin_free(memory);
    gw_free(memory);
}

/* ── Shared ────────────────────────────────────────────────────────────────────────────────── */

struct gw_slice memory_dup(struct gw_slice s)
{
    if (s.ptr == NULL)
        return s;
    char *copy = gw_alloc(s.len + 1);
    memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return (struct gw_slice){copy, s.len};
}

struct gw_message *memory_message_copy(const struct gw_message *message)
{
    struct gw_event event = {
        .body = message->body,
        .app_id = message->app_id,
        .event_type = message->event_type,
        .event_id = message->event_id,
        .transaction_id = message->transaction_id,
        .workflow_id = message->workflow_id,
        .event_time = message->event_time,
    };
    struct gw_message *copy = gw_message_create(&event, message->accepted_ms);

    copy->id = message->id;
    copy->skip = message->skip;
    copy->config_version = message->config_version;
    return copy;
}

int memory_compare(struct gw_slice a, struct gw_slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int differs = len ? memcmp(a.ptr, b.ptr, len) : 0;

    return differs ? differs : (a.len > b.len) - (a.len < b.len);
}
