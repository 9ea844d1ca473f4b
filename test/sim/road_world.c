/* road_world.c: makes the world, starts and ends its processes, and keeps the book.
 *
 * A delivery is known here by its claims: who was given one, until when, and what became of it. A POST
 * arrives from somebody who has a claim that lasts, once for each; what was delivered, and what another one
 * has in hand, is claimed by nobody, so that this one rule says all of them. */
#include "road_world.h"

#include "base/check.h"
#include "base/log.h"

#include <stdio.h>

#define SECRET        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define KEEP_MS       4000 /* of what others change, as in the worker */
#define JOB_MS        6000 /* so much later than a change its job comes */
#define GRACE_MS      20000
#define FREEZE_MS_MAX 90000
#define CONNECT_MS    30 /* at most, of a call's time */
#define FINISH_MS     (24LL * 3600 * 1000)
#define TIMEOUT_MS    "2000"
#define SCHEDULE      "[2,10,60,1000]"

static const char *const host_names[WORLD_HOSTS] = {"one.example", "two.example", "three.example"};

void world_broken(struct world *world, const char *promise)
{
    if (!world->broken)
        world->broken = promise;
}

static bool is_true(void *ctx)
{
    return *(bool *)ctx;
}

static void wait_for(struct world *world, bool *flag)
{
    if (!sim_run(world->sim, is_true, flag, 60000))
        world_broken(world, "an operation never completed");
}

/* ── The book ──────────────────────────────────────────────────────────────────────────────── */

static struct receipt *receipt_of(struct world *world, struct gw_slice id)
{
    struct receipt *receipt = gw_map_get(&world->receipts, id);
    if (receipt)
        return receipt;
    receipt = gw_zalloc(sizeof(*receipt));
    snprintf(receipt->id, sizeof(receipt->id), "%.*s", GW_SLICE_ARG(id));
    gw_map_put(&world->receipts, gw_slice_from(receipt->id), receipt);
    return receipt;
}

static struct grant *grant_of(struct world *world, const struct gw_delivery *delivery)
{
    char text[GW_ID_TEXT_MAX];
    struct receipt *receipt =
        receipt_of(world, gw_id_text(GW_ID_MESSAGE, &delivery->message_id, text));
    for (struct grant *grant = receipt->grants; grant; grant = grant->next)
        if (gw_id_eq(&grant->id, &delivery->id))
            return grant;
    struct grant *grant = gw_zalloc(sizeof(*grant));
    grant->id = delivery->id;
    grant->lane = delivery->lane;
    grant->next = receipt->grants;
    return receipt->grants = grant;
}

/* ── The ledger, watched ───────────────────────────────────────────────────────────────────── */

struct seen_claim {
    struct gw_claim copy, *original;
    struct process *process;
    int64_t asked_us;
};

struct seen_settle {
    struct gw_settle copy, *original;
    struct process *process;
};

static void freeze(struct process *process, int64_t for_ms)
{
    struct world *world = process->world;
    world->troubles[process->number]++;
    world->frozen_us[process->number] = sim_now_us(world->sim) + for_ms * 1000;
    sim_env_freeze(process->env, for_ms);
}

static void kill_now(struct process *process)
{
    process->world->troubles[process->number]++;
    process->is_dead = true;
    sim_env_kill(process->env);
}

/* Often it is frozen just then: between the claim and the POST. */
static void on_claimed(struct gw_op *op)
{
    struct seen_claim *seen = gw_container_of(op, struct seen_claim, copy.op);
    struct world *world = seen->process->world;
    struct gw_claim *original = seen->original;
    struct grant *grant = grant_of(world, &original->delivery);
    original->op.err = op->err;
    original->op.again_ms = op->again_ms;
    original->write_id = seen->copy.write_id;
    if (op->err == GW_OK && original->write_id > grant->write_id) {
        grant->write_id = original->write_id;
        grant->process = seen->process->number;
        grant->until_us = seen->asked_us + original->lease_ms * 1000;
        grant->is_used = false;
        if (sim_random(world->sim, 1000) < world->freezes)
            freeze(seen->process, (int64_t)sim_random(world->sim, FREEZE_MS_MAX));
    }
    gw_free(seen);
    original->op.done(&original->op);
}

/* Sometimes it dies just then: between what is recorded and the successor. */
static void on_settled(struct gw_op *op)
{
    struct seen_settle *seen = gw_container_of(op, struct seen_settle, copy.op);
    struct gw_settle *original = seen->original;
    struct grant *grant = grant_of(seen->process->world, &original->next);
    original->op.err = op->err;
    original->op.again_ms = op->again_ms;
    if (op->err == GW_OK && original->write_id == grant->write_id)
        grant->process = 0;
    struct process *process = seen->process;
    gw_free(seen);
    if (sim_random(process->world->sim, 1000) < process->world->crashes)
        kill_now(process);
    else
        original->op.done(&original->op);
}

static void watched_start(struct gw_ledger *ledger, struct gw_op *op)
{
    struct process *process = gw_container_of(ledger, struct process, watched);
    struct gw_ledger *real = gw_memory_ledger(process->world->memory);
    if (op->kind == GW_CALL_CLAIM) {
        struct seen_claim *seen = gw_zalloc(sizeof(*seen));
        seen->original = gw_container_of(op, struct gw_claim, op);
        seen->copy = *seen->original;
        seen->copy.op.done = on_claimed;
        seen->process = process;
        seen->asked_us = sim_now_us(process->world->sim);
        gw_ledger_claim(real, &seen->copy);
    } else if (op->kind == GW_CALL_SETTLE) {
        struct seen_settle *seen = gw_zalloc(sizeof(*seen));
        seen->original = gw_container_of(op, struct gw_settle, op);
        seen->copy = *seen->original;
        seen->copy.op.done = on_settled;
        seen->process = process;
        gw_ledger_settle(real, &seen->copy);
    } else {
        real->start(real, op);
    }
}

static struct gw_ledger_state watched_state(struct gw_ledger *ledger)
{
    struct process *process = gw_container_of(ledger, struct process, watched);
    return gw_ledger_state(gw_memory_ledger(process->world->memory));
}

/* ── Clients' servers ──────────────────────────────────────────────────────────────────────── */

static struct sim_reply reply_of(struct world *world, enum mood mood)
{
    static const char *const later[] = {"retry-after: 20", NULL};
    int64_t delay_ms = (int64_t)sim_random(world->sim, 1000);
    switch (mood) {
    case MOOD_WELL: return (struct sim_reply){GW_HTTP_ANSWERED, 200, delay_ms, NULL, "ok"};
    case MOOD_FAILS: return (struct sim_reply){GW_HTTP_ANSWERED, 500, delay_ms, NULL, "no"};
    case MOOD_BUSY: return (struct sim_reply){GW_HTTP_ANSWERED, 429, delay_ms, later, ""};
    case MOOD_RESETS: return (struct sim_reply){.end = GW_HTTP_RESET, .delay_ms = delay_ms};
    case MOOD_HANGS: return (struct sim_reply){.delay_ms = -1};
    }
    gw_never("mood");
}

/* A lane leads to one path as long as it is there. */
static bool leads_to(const struct world *world, uint64_t lane, const char *path)
{
    for (size_t i = 0; i < world->lane_count; i++)
        if (world->lanes[i].number == lane)
            return !strcmp(world->lanes[i].path, path);
    return false;
}

static void check_claim(struct world *world, struct receipt *receipt, const char *path,
                        unsigned process)
{
    for (struct grant *grant = receipt->grants; grant; grant = grant->next) {
        if (grant->process != process || grant->is_used || !leads_to(world, grant->lane, path) ||
            grant->until_us < sim_now_us(world->sim))
            continue;
        grant->is_used = true;
        return;
    }
    world_broken(world, "posted without a claim that lasts");
}

/* After a 2xx only where its receiver crashed, was frozen or cut off before it was recorded. */
static void check_double(struct world *world, struct receipt *receipt, const char *path,
                         unsigned process, bool is_well)
{
    size_t i = 0;
    while (receipt->places[i].path[0] && strcmp(receipt->places[i].path, path))
        gw_check(++i < gw_count(receipt->places));
    snprintf(receipt->places[i].path, sizeof(receipt->places[i].path), "%s", path);
    unsigned before = receipt->places[i].process;
    if (before) {
        world->doubles++;
        if (world->troubles[before] == receipt->places[i].troubles &&
            world->frozen_us[before] <= receipt->places[i].answered_us)
            world_broken(world, "posted again after a 2xx, and nothing lay between");
    }
    if (is_well) {
        receipt->places[i].process = process;
        receipt->places[i].troubles = world->troubles[process];
        receipt->places[i].answered_us = sim_now_us(world->sim);
    }
}

static struct sim_reply on_webhook(void *ctx, const struct gw_http_call *call)
{
    struct host *host = ctx;
    struct world *world = host->world;
    struct receipt *receipt = receipt_of(world, sim_call_header(call, "webhook-id"));
    struct gw_slice agent = sim_call_header(call, "user-agent");
    struct sim_reply reply = reply_of(world, host->mood);
    const char *path = strrchr(call->url, '/');
    uint64_t process;
    gw_check(gw_slice_u64(gw_slice_skip(agent, strlen("process-")), &process));
    world->posts++;
    receipt->posts++;
    check_claim(world, receipt, path, (unsigned)process);
    bool is_seen = reply.end == GW_HTTP_ANSWERED && reply.delay_ms + CONNECT_MS < call->timeout_ms;
    check_double(world, receipt, path, (unsigned)process, is_seen && reply.status == 200);
    return reply;
}

/* ── Processes ─────────────────────────────────────────────────────────────────────────────── */

static void on_started(void *ctx, enum gw_err err)
{
    struct process *process = ctx;
    gw_check(err == GW_OK);
    process->is_started = true;
    gw_queue_start(&process->queue);
}

static void on_shard_idle(void *ctx)
{
    struct process *process = ctx;
    process->is_idle = true;
}

static void on_queue_idle(struct gw_queue *queue)
{
    struct process *process = gw_container_of(queue, struct process, queue);
    gw_shard_drain(process->shard, on_shard_idle, process);
}

static struct gw_flow flow_of(struct process *process)
{
    struct gw_memory *memory = process->world->memory;
    process->watched = (struct gw_ledger){watched_start, watched_state};
    process->fault = gw_fault_create(&process->watched, gw_memory_configs(memory), NULL,
                                     gw_fault_by_odds, &process->world->odds);
    return (struct gw_flow){
        .options =
            {
                .user_agent = process->user_agent,
                .dedupe_ms = 30LL * 24 * 3600 * 1000,
                .connect_timeout_ms = 5000,
                .in_flight_max = 16,
                .accepts_max = 20,
                .memory_max = 1000,
                .body_bytes_max = 1 << 20,
                .snapshots_max = WORLD_APPS,
                .is_shared = true,
                .workers = WORLD_PROCESSES,
                .snapshot_age_max_ms = KEEP_MS,
            },
        .ledger = gw_fault_ledger(process->fault),
        .configs = gw_fault_configs(process->fault),
        .shards = &process->shard,
        .shard_count = 1,
    };
}

static struct process *process_start(struct world *world)
{
    static const struct gw_road_options options = {
        .buckets = "events", .queue_url = "http://aws.sim/queue", .body_bytes_max = 1 << 20};
    struct process *process = gw_zalloc(sizeof(*process));
    struct gw_error error;
    process->world = world;
    process->number = ++world->started;
    gw_check(process->number < WORLD_STARTS);
    snprintf(process->user_agent, sizeof(process->user_agent), "process-%u", process->number);
    process->env = sim_env_create(world->sim);
    process->flow = flow_of(process);
    process->shard = gw_shard_create(&process->flow, process->env, 0);
    gw_check(gw_aws_create(process->env, &process->aws, &error) == GW_OK);
    gw_check(gw_road_init(&process->road, process->shard, process->aws, &options, &error) == GW_OK);
    process->hand.max = 10;
    process->queue = (struct gw_queue){.road = &process->road,
                                       .url = gw_slice_from(options.queue_url),
                                       .hand = &process->hand,
                                       .idle = on_queue_idle};
    gw_shard_start(process->shard, on_started, process);
    return process;
}

static void process_free(struct process *process)
{
    sim_env_kill(process->env);
    gw_fault_destroy(process->fault);
    gw_aws_destroy(process->aws);
    gw_queue_deinit(&process->queue);
    gw_road_deinit(&process->road);
    gw_shard_destroy(process->shard);
    gw_free(process);
}

/* SIGTERM, as the worker does it. */
static void process_stop(struct process *process)
{
    struct world *world = process->world;
    while (!process->is_started && !process->is_dead && sim_step(world->sim))
        ;
    if (process->is_dead) {
        sim_bury(process);
        return;
    }
    gw_queue_stop(&process->queue);
    if (sim_run(world->sim, is_true, &process->is_idle, GRACE_MS)) {
        process_free(process);
        return;
    }
    world->troubles[process->number]++;
    gw_shard_cut(process->shard);
    if (sim_run(world->sim, is_true, &process->is_idle, 180000)) {
        process_free(process);
        return;
    }
    if (!process->is_dead)
        world_broken(world, "cut off, a process does not become idle");
    sim_env_kill(process->env);
    sim_bury(process);
}

void world_crash(struct world *world, size_t i)
{
    struct process *process = world->processes[i];
    if (!process->is_dead)
        kill_now(process);
    sim_bury(process);
    world->processes[i] = process_start(world);
}

void world_revive(struct world *world)
{
    for (size_t i = 0; i < WORLD_PROCESSES; i++)
        if (world->processes[i]->is_dead)
            world_crash(world, i);
}

void world_restart(struct world *world, size_t i)
{
    process_stop(world->processes[i]);
    world->processes[i] = process_start(world);
}

void world_freeze(struct world *world, size_t i, int64_t for_ms)
{
    freeze(world->processes[i], for_ms);
}

/* ── Configs ───────────────────────────────────────────────────────────────────────────────── */

struct put_op {
    struct gw_config_put put;
    bool is_done;
};

struct remove_op {
    struct gw_config_remove remove;
    bool is_done;
};

static void on_put(struct gw_op *op)
{
    gw_check(op->err == GW_OK);
    gw_container_of(op, struct put_op, put.op)->is_done = true;
}

static void on_removed(struct gw_op *op)
{
    gw_check(op->err == GW_OK);
    gw_container_of(op, struct remove_op, remove.op)->is_done = true;
}

static bool has_lane(const struct gw_config *config, uint64_t lane)
{
    for (size_t i = 0; i < config->route_count; i++)
        if (config->routes[i].lane == lane)
            return true;
    return false;
}

/* May what waits in its lanes be sent now, or elsewhere, or never? NULL = it is removed. */
static bool is_to_wake(const struct gw_config *stored, const struct gw_config *config)
{
    if (!config || (config->is_active && !stored->is_active) ||
        !gw_slice_eq(config->routes[0].url.text, stored->routes[0].url.text))
        return true;
    for (size_t i = 0; i < stored->route_count; i++)
        if (!has_lane(config, stored->routes[i].lane))
            return true;
    return false;
}

/* What the store does before it changes a config: those that wait in its lanes are woken later. */
static void send_job(struct world *world, const struct gw_config *config)
{
    uint64_t lanes[8];
    struct gw_buf json = {0};
    struct gw_wake wake = {.kind = GW_WAKE_LANES,
                           .app_id = config->app_id,
                           .lanes = lanes,
                           .lane_count = config->route_count};
    gw_check(config->route_count <= gw_count(lanes));
    for (size_t i = 0; i < config->route_count; i++)
        lanes[i] = config->routes[i].lane;
    gw_wake_write(&wake, &json);
    cloud_send(&world->cloud, gw_buf_slice(&json), JOB_MS);
    gw_buf_deinit(&json);
}

static void learn_lanes(struct world *world, const struct gw_config *config)
{
    for (size_t i = 0; i < config->route_count; i++) {
        gw_check(world->lane_count < gw_count(world->lanes));
        struct lane *lane = &world->lanes[world->lane_count++];
        lane->number = config->routes[i].lane;
        snprintf(lane->path, sizeof(lane->path), "%s",
                 strrchr(config->routes[i].url.text.ptr, '/'));
    }
}

/* Takes over the config. */
static void put(struct world *world, int app, struct gw_config *config, uint64_t expected)
{
    struct put_op op = {.put = {.op = {.env = world->driver, .done = on_put},
                                .config = config,
                                .expected_version = expected,
                                .audit = {.actor = GW_SLICE("sim"), .action = "config_updated"}}};
    gw_configs_put(gw_memory_configs(world->memory), &op.put);
    wait_for(world, &op.is_done);
    gw_snapshot_unref(op.put.snapshot);
    if (world->configs[app])
        gw_config_unref(world->configs[app]);
    world->configs[app] = config;
    learn_lanes(world, config);
}

static struct gw_config_change change_of(struct world *world, const char *json)
{
    return (struct gw_config_change){
        .json = gw_slice_from(json),
        .guard = &world->processes[0]->flow.options.guard,
        .now_ms = sim_wall_ms(world->sim),
    };
}

void world_config_create(struct world *world, int app)
{
    char json[512];
    snprintf(json, sizeof(json),
             "{\"appId\":\"app-%d\",\"eventType\":\"*\",\"webhookUrl\":\"https://one.example/d%d\","
             "\"secret\":\"" SECRET "\","
             "\"retry\":{\"schedule\":" SCHEDULE ",\"timeoutMs\":" TIMEOUT_MS "},"
             "\"workflows\":{\"w\":[\"https://two.example/v%d\",\"https://three.example/w%d\"]}}",
             app, app, app, app);
    struct gw_config_change change = change_of(world, json);
    struct gw_config *config;
    struct gw_error error;
    gw_check(gw_config_create(&config, &change, &error) == GW_OK);
    put(world, app, config, 0);
}

void world_config_patch(struct world *world, int app, const char *members, bool dies)
{
    struct gw_config *current = world->configs[app], *config;
    struct gw_error error;
    char json[512];
    bool made;
    if (!current)
        return;
    int len = snprintf(json, sizeof(json), "{\"appId\":\"app-%d\",\"eventType\":\"*\",", app);
    for (; *members; members++) /* '#' stands for the app's number */
        json[len++] = *members == '#' ? (char)('0' + app) : *members;
    json[len++] = '}';
    json[len] = '\0';
    struct gw_config_change change = change_of(world, json);
    gw_check(gw_config_patch(&config, current, &change, &made, &error) == GW_OK);
    if (is_to_wake(current, config))
        send_job(world, current);
    if (dies) {
        gw_config_unref(config);
        return;
    }
    put(world, app, config, current->version);
}

void world_config_remove(struct world *world, int app, bool dies)
{
    struct gw_config *current = world->configs[app];
    struct remove_op op = {
        .remove = {.op = {.env = world->driver, .done = on_removed},
                   .app_id = current->app_id,
                   .event_type = GW_SLICE("*"),
                   .audit = {.actor = GW_SLICE("sim"), .action = "config_deleted"}}};
    send_job(world, current);
    if (dies)
        return;
    gw_configs_remove(gw_memory_configs(world->memory), &op.remove);
    wait_for(world, &op.is_done);
    gw_snapshot_unref(op.remove.snapshot);
    gw_config_unref(current);
    world->configs[app] = NULL;
}

/* ── Events ────────────────────────────────────────────────────────────────────────────────── */

void world_put(struct world *world, int app)
{
    char key[32], body[128];
    if (world->event_count == WORLD_EVENTS)
        return;
    world->apps[world->event_count] = app;
    snprintf(key, sizeof(key), "e-%zu", world->event_count++);
    snprintf(body, sizeof(body), "{\"appId\":\"app-%d\",\"eventType\":\"T\",\"eventId\":\"%s\"%s}",
             app, key, sim_random(world->sim, 3) ? "" : ",\"workflowId\":\"w\"");
    cloud_put(&world->cloud, key, body);
}

/* ── The end ───────────────────────────────────────────────────────────────────────────────── */

void world_mend(struct world *world)
{
    world->odds = (struct gw_fault_odds){0};
    world->cloud.odds = (struct cloud_odds){0};
    world->freezes = world->crashes = 0;
    world_revive(world);
    for (size_t i = 0; i < WORLD_HOSTS; i++)
        world->hosts[i].mood = MOOD_WELL;
}

static bool queue_is_empty(void *ctx)
{
    return ((struct world *)ctx)->cloud.count == 0;
}

struct find_op {
    struct gw_find find;
    bool is_done;
};

static void on_found(struct gw_op *op)
{
    gw_check(op->err == GW_OK);
    gw_container_of(op, struct find_op, find.op)->is_done = true;
}

static void check_event(struct world *world, int app, const struct gw_event_row *event)
{
    char text[GW_ID_TEXT_MAX];
    const struct receipt *receipt =
        receipt_of(world, gw_id_text(GW_ID_MESSAGE, &event->message->id, text));
    unsigned attempts = 0;
    for (size_t i = 0; i < event->count; i++) {
        const struct gw_delivery *delivery = &event->rows[i].delivery;
        bool is_held = world->configs[app] && !world->configs[app]->is_active;
        attempts += delivery->attempts;
        if (delivery->state == GW_DELIVERY_PENDING && !is_held)
            world_broken(world, "a delivery is left, and no message is in the queue for it");
        if (delivery->state == GW_DELIVERY_DELIVERED && !receipt->posts)
            world_broken(world, "delivered, but nobody saw it");
    }
    if (attempts > receipt->posts)
        world_broken(world, "the ledger has more attempts than were seen");
}

/* All that the ledger has of an event. */
static void find_event(struct world *world, size_t event, struct gw_arena *arena,
                       struct find_op *op)
{
    char *id = gw_arena_alloc(arena, 32);
    snprintf(id, 32, "e-%zu", event);
    *op = (struct find_op){.find = {.op = {.env = world->driver, .done = on_found},
                                    .arena = arena,
                                    .key = GW_FIND_EVENT_ID,
                                    .text = gw_slice_from(id),
                                    .max = 10}};
    gw_ledger_find(gw_memory_ledger(world->memory), &op->find);
    wait_for(world, &op->is_done);
}

static size_t count_routed(const struct gw_find *find)
{
    size_t routed = 0;
    for (size_t i = 0; i < find->count; i++)
        routed += find->events[i].message->skip == GW_SKIP_NONE;
    return routed;
}

static void wake_event(struct world *world, const struct gw_id *id)
{
    struct gw_buf text = {0};
    gw_wake_write(&(struct gw_wake){.kind = GW_WAKE_MESSAGE, .message_id = *id}, &text);
    cloud_send(&world->cloud, gw_buf_slice(&text), 0);
    gw_buf_deinit(&text);
}

/* Before DynamoDB's store routes what had been skipped it sends a wake, for who skipped it may have
 * deleted the message by which it is routed now. The memory store has no queue; here that wake is. */
static void wake_what_was_skipped(struct world *world)
{
    for (size_t i = 0; i < world->event_count; i++) {
        struct gw_arena arena = {0};
        struct find_op op;
        find_event(world, i, &arena, &op);
        size_t routed = count_routed(&op.find);
        for (size_t k = 0; k < op.find.count && routed && op.find.count > routed; k++)
            wake_event(world, &op.find.events[k].message->id);
        gw_arena_deinit(&arena);
    }
}

bool world_finish(struct world *world)
{
    wake_what_was_skipped(world);
    return sim_run(world->sim, queue_is_empty, world, FINISH_MS);
}

void world_check(struct world *world)
{
    for (size_t i = 0; i < world->event_count && !world->broken; i++) {
        struct gw_arena arena = {0};
        struct find_op op;
        find_event(world, i, &arena, &op);
        for (size_t k = 0; k < op.find.count; k++)
            check_event(world, world->apps[i], &op.find.events[k]);
        if (!op.find.count || count_routed(&op.find) > 1) /* a skip is no reason to skip a repeat */
            world_broken(world, "an event that was put is not in the ledger, or twice");
        gw_arena_deinit(&arena);
    }
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

/* In every second world the store and the queue misbehave. */
static void odds_draw(struct world *world, uint64_t seed)
{
    struct sim *sim = world->sim;
    world->freezes = sim_random(sim, 50);
    world->crashes = sim_random(sim, 300);
    if (seed % 2)
        return;
    world->odds = (struct gw_fault_odds){
        .seed = seed,
        .delay = (uint32_t)sim_random(sim, 3000),
        .fail = (uint32_t)sim_random(sim, 1000),
        .repeat = (uint32_t)sim_random(sim, 1000),
        .lose = (uint32_t)sim_random(sim, 1000),
        .delay_ms_max = 1 + (int64_t)sim_random(sim, 2000),
        .again_ms = (int64_t)sim_random(sim, 3000),
    };
    world->cloud.odds = (struct cloud_odds){sim_random(sim, 100), sim_random(sim, 100),
                                            sim_random(sim, 200), sim_random(sim, 800)};
}

void world_create(struct world *world, uint64_t seed)
{
    *world = (struct world){0};
    world->sim = sim_create(&(struct sim_options){.seed = seed});
    cloud_init(&world->cloud, world->sim);
    odds_draw(world, seed);
    world->driver = sim_env_create(world->sim);
    world->memory = gw_memory_create(sim_env_create(world->sim),
                                     &(struct gw_memory_options){.has_leases = true});
    for (size_t i = 0; i < WORLD_HOSTS; i++) {
        char addr[32];
        world->hosts[i] = (struct host){host_names[i], world, MOOD_WELL};
        snprintf(addr, sizeof(addr), "1.2.3.%zu", i + 1);
        sim_name(world->sim, host_names[i], addr, 3);
        sim_receiver(world->sim, host_names[i], on_webhook, &world->hosts[i]);
    }
    for (size_t i = 0; i < WORLD_PROCESSES; i++)
        world->processes[i] = process_start(world);
}

static void receipt_free(struct receipt *receipt)
{
    struct grant *grant;
    while ((grant = receipt->grants)) {
        receipt->grants = grant->next;
        gw_free(grant);
    }
    gw_free(receipt);
}

void world_destroy(struct world *world)
{
    struct receipt *receipt;
    size_t at = 0;
    for (size_t i = 0; i < WORLD_PROCESSES; i++)
        process_stop(world->processes[i]);
    gw_memory_destroy(world->memory);
    sim_destroy(world->sim);
    cloud_deinit(&world->cloud);
    for (size_t i = 0; i < WORLD_APPS; i++)
        if (world->configs[i])
            gw_config_unref(world->configs[i]);
    while ((receipt = gw_map_next(&world->receipts, &at)))
        receipt_free(receipt);
    gw_map_deinit(&world->receipts);
}
