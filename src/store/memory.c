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

static memory_fn *const does[] = {
    [MEMORY_ACCEPT] = memory_accept,
    [MEMORY_ADD] = memory_add,
    [MEMORY_SETTLE] = memory_settle,
    [MEMORY_RETRY] = memory_retry,
    [MEMORY_ERASE] = memory_erase,
    [MEMORY_OPEN_LANES] = memory_open_lanes,
    [MEMORY_REFILL] = memory_refill,
    [MEMORY_LOAD] = memory_load,
    [MEMORY_FIND] = memory_find,
    [MEMORY_LIST] = memory_list,
    [MEMORY_TALLY] = memory_tally,
    [MEMORY_HEALTH_SAVE] = memory_health_save,
    [MEMORY_HEALTH_LOAD] = memory_health_load,
    [MEMORY_CONFIG_LOAD] = memory_config_load,
    [MEMORY_CONFIG_PUT] = memory_config_put,
    [MEMORY_CONFIG_REMOVE] = memory_config_remove,
    [MEMORY_CONFIG_LIST] = memory_config_list,
    [MEMORY_KEY_PUT] = memory_key_put,
    [MEMORY_KEY_REMOVE] = memory_key_remove,
    [MEMORY_KEY_FIND] = memory_key_find,
    [MEMORY_KEY_LIST] = memory_key_list,
    [MEMORY_AUDIT_ADD] = memory_audit_add,
    [MEMORY_AUDIT_LIST] = memory_audit_list,
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
    op->again_ms = gw_err_class(err) == GW_CLASS_AGAIN ? MEMORY_AGAIN_MS : 0;
    op->msg.run = on_complete;
    gw_env_post(op->env, &op->msg);
}

static bool is_late(const struct gw_op *op)
{
    return op->deadline_us != 0 && gw_env_mono_us(op->env) > op->deadline_us;
}

static void do_now(struct gw_memory *memory, struct gw_op *op)
{
    memory_complete(op, is_late(op) ? GW_ERR_TIMEOUT : does[op->kind](memory, op));
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
    atomic_fetch_add(&memory->commits, 1);
    atomic_fetch_add(&memory->commit_us, (uint64_t)(gw_env_mono_us(memory->env) - began_us));
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

void memory_queue(struct gw_memory *memory, struct gw_op *op, int kind)
{
    op->kind = kind;
    gw_list_push(&memory->queue, &op->msg.link);
    atomic_fetch_add(&memory->queued, 1);
    if (!memory->commit_armed)
        wake(memory);
}

void memory_look(struct gw_memory *memory, struct gw_op *op, int kind)
{
    struct memory_look *look = gw_zalloc(sizeof(*look));

    op->kind = kind;
    look->work = (struct gw_work){.run = on_look_run, .done = on_look_done};
    look->memory = memory;
    look->op = op;
    gw_list_push(&memory->looks, &look->link);
    wake(memory);
}

/* ── The ledger port ───────────────────────────────────────────────────────────────────────── */

static struct gw_memory *of_ledger(struct gw_ledger *ledger)
{
    return gw_container_of(ledger, struct gw_memory, ledger);
}

static void start_accept(struct gw_ledger *ledger, struct gw_accept *op)
{
    struct gw_memory *memory = of_ledger(ledger);

    op->existing = op->payload_differs = op->offered = false;
    op->message_id = (struct gw_id){0};
    op->delivery_count = 0;
    if (atomic_load(&memory->queued) >= memory->options.queue_max)
        memory_complete(&op->op, GW_ERR_BUSY);
    else
        memory_queue(memory, &op->op, MEMORY_ACCEPT);
}

static void start_add(struct gw_ledger *ledger, struct gw_add *op)
{
    op->offered = false;
    op->delivery_count = 0;
    memory_queue(of_ledger(ledger), &op->op, MEMORY_ADD);
}

/* One process, one owner for each delivery: the next attempt's number will do, and no lease. */
static void start_claim(struct gw_ledger *ledger, struct gw_claim *op)
{
    (void)ledger;
    op->write_id = (uint64_t)op->delivery.attempts + 1;
    memory_complete(&op->op, is_late(&op->op) ? GW_ERR_TIMEOUT : GW_OK);
}

static void start_settle(struct gw_ledger *ledger, struct gw_settle *op)
{
    memory_queue(of_ledger(ledger), &op->op, MEMORY_SETTLE);
}

static void start_retry(struct gw_ledger *ledger, struct gw_retry_op *op)
{
    op->offered = false;
    op->delivery = (struct gw_delivery){0};
    memory_queue(of_ledger(ledger), &op->op, MEMORY_RETRY);
}

static void start_erase(struct gw_ledger *ledger, struct gw_erase *op)
{
    op->events = 0;
    memory_queue(of_ledger(ledger), &op->op, MEMORY_ERASE);
}

static void start_open_lanes(struct gw_ledger *ledger, struct gw_open_lanes *op)
{
    op->lanes = NULL;
    op->count = 0;
    memory_queue(of_ledger(ledger), &op->op, MEMORY_OPEN_LANES);
}

static void start_refill(struct gw_ledger *ledger, struct gw_refill *op)
{
    op->count = 0;
    op->complete = false;
    memory_queue(of_ledger(ledger), &op->op, MEMORY_REFILL);
}

static void start_load(struct gw_ledger *ledger, struct gw_load *op)
{
    op->message = NULL;
    memory_look(of_ledger(ledger), &op->op, MEMORY_LOAD);
}

static void start_find(struct gw_ledger *ledger, struct gw_find *op)
{
    op->events = NULL;
    op->count = 0;
    memory_look(of_ledger(ledger), &op->op, MEMORY_FIND);
}

static void start_list(struct gw_ledger *ledger, struct gw_list_op *op)
{
    op->rows = NULL;
    op->count = 0;
    op->next = (struct gw_slice){0};
    memory_look(of_ledger(ledger), &op->op, MEMORY_LIST);
}

static void start_tally(struct gw_ledger *ledger, struct gw_tally_op *op)
{
    op->counted = op->rows = (struct gw_tally){0};
    op->open = NULL;
    op->open_count = 0;
    op->latency = (struct gw_latency){0};
    memory_look(of_ledger(ledger), &op->op, MEMORY_TALLY);
}

static void start_health_save(struct gw_ledger *ledger, struct gw_health_save *op)
{
    memory_queue(of_ledger(ledger), &op->op, MEMORY_HEALTH_SAVE);
}

static void start_health_load(struct gw_ledger *ledger, struct gw_health_load *op)
{
    op->items = NULL;
    op->count = 0;
    memory_look(of_ledger(ledger), &op->op, MEMORY_HEALTH_LOAD);
}

static struct gw_ledger_state get_state(struct gw_ledger *ledger)
{
    struct gw_memory *memory = of_ledger(ledger);
    bool full = atomic_load(&memory->full);

    return (struct gw_ledger_state){
        .accepting = !full,
        .why = full ? "the store is full" : "",
        .open = atomic_load(&memory->open),
        .commits = atomic_load(&memory->commits),
        .commit_us = atomic_load(&memory->commit_us),
        .operations = atomic_load(&memory->operations),
        .queued = atomic_load(&memory->queued),
    };
}

static const struct gw_ledger_ops ledger_ops = {
    .accept = start_accept,
    .add = start_add,
    .claim = start_claim,
    .settle = start_settle,
    .retry = start_retry,
    .erase = start_erase,
    .open_lanes = start_open_lanes,
    .refill = start_refill,
    .load = start_load,
    .find = start_find,
    .list = start_list,
    .tally = start_tally,
    .health_save = start_health_save,
    .health_load = start_health_load,
    .state = get_state,
};

/* ── The configs port ──────────────────────────────────────────────────────────────────────── */

static struct gw_memory *of_configs(struct gw_configs *configs)
{
    return gw_container_of(configs, struct gw_memory, configs);
}

static void start_config_load(struct gw_configs *configs, struct gw_config_load *op)
{
    op->snapshot = NULL;
    memory_look(of_configs(configs), &op->op, MEMORY_CONFIG_LOAD);
}

static void start_config_put(struct gw_configs *configs, struct gw_config_put *op)
{
    op->snapshot = NULL;
    memory_queue(of_configs(configs), &op->op, MEMORY_CONFIG_PUT);
}

static void start_config_remove(struct gw_configs *configs, struct gw_config_remove *op)
{
    op->snapshot = NULL;
    memory_queue(of_configs(configs), &op->op, MEMORY_CONFIG_REMOVE);
}

static void start_config_list(struct gw_configs *configs, struct gw_config_list *op)
{
    op->configs = NULL;
    op->count = 0;
    op->more = false;
    memory_look(of_configs(configs), &op->op, MEMORY_CONFIG_LIST);
}

static const struct gw_configs_ops configs_ops = {
    .load = start_config_load,
    .put = start_config_put,
    .remove = start_config_remove,
    .list = start_config_list,
};

/* ── The admin port ────────────────────────────────────────────────────────────────────────── */

static struct gw_memory *of_admin(struct gw_admin *admin)
{
    return gw_container_of(admin, struct gw_memory, admin);
}

static void start_key_put(struct gw_admin *admin, struct gw_key_put *op)
{
    memory_queue(of_admin(admin), &op->op, MEMORY_KEY_PUT);
}

static void start_key_remove(struct gw_admin *admin, struct gw_key_remove *op)
{
    op->key = (struct gw_key){0};
    memory_queue(of_admin(admin), &op->op, MEMORY_KEY_REMOVE);
}

static void start_key_find(struct gw_admin *admin, struct gw_key_find *op)
{
    op->keys = NULL;
    op->count = 0;
    memory_look(of_admin(admin), &op->op, MEMORY_KEY_FIND);
}

static void start_key_list(struct gw_admin *admin, struct gw_key_list *op)
{
    op->keys = NULL;
    op->count = 0;
    op->more = false;
    memory_look(of_admin(admin), &op->op, MEMORY_KEY_LIST);
}

static void start_audit_add(struct gw_admin *admin, struct gw_audit_add *op)
{
    memory_queue(of_admin(admin), &op->op, MEMORY_AUDIT_ADD);
}

static void start_audit_list(struct gw_admin *admin, struct gw_audit_list *op)
{
    op->lines = NULL;
    op->count = 0;
    op->next = 0;
    memory_look(of_admin(admin), &op->op, MEMORY_AUDIT_LIST);
}

static const struct gw_admin_ops admin_ops = {
    .key_put = start_key_put,
    .key_remove = start_key_remove,
    .key_find = start_key_find,
    .key_list = start_key_list,
    .audit_add = start_audit_add,
    .audit_list = start_audit_list,
};

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

    memory->ledger.ops = &ledger_ops;
    memory->configs.ops = &configs_ops;
    memory->admin.ops = &admin_ops;
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
