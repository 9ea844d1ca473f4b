/* flow_world.c: makes the world, crashes it, and keeps the book. */
#include "flow_world.h"

#include "base/check.h"
#include "core/sign.h"

#include <stdio.h>
#include <stdlib.h>

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

#define TEXT_OF(number) #number
#define TEXT(number)    TEXT_OF(number)
#define RATE            TEXT(WORLD_RATE)

#define BEGUN_MS 10000 /* what had begun has arrived by then */

static const char *const host_names[WORLD_HOSTS] = {"one.example", "two.example", "three.example",
                                                    "four.example"};

void world_broken(struct world *world, const char *promise)
{
    if (!world->broken)
        world->broken = promise;
}

/* ── Clients' servers ──────────────────────────────────────────────────────────────────────── */

static struct receipt *receipt_of(struct world *world, const struct gw_http_call *call)
{
    struct gw_slice id = sim_call_header(call, "webhook-id");
    char key[64];
    const char *path = strrchr(call->url, '/');
    snprintf(key, sizeof(key), "%.*s %s%s", GW_SLICE_ARG(id), call->host, path);
    struct receipt *receipt = gw_map_get(&world->receipts, gw_slice_from(key));
    if (receipt)
        return receipt;
    receipt = gw_zalloc(sizeof(*receipt));
    memcpy(receipt->key, key, sizeof(key));
    gw_map_put(&world->receipts, gw_slice_from(receipt->key), receipt);
    return receipt;
}

static void check_signature(struct world *world, const struct gw_http_call *call)
{
    struct gw_secret secret;
    gw_check(gw_secret_parse(&secret, GW_SLICE(SECRET), NULL) == GW_OK);
    if (!gw_sign_verify(sim_call_header(call, "webhook-signature"), &secret,
                        sim_call_header(call, "webhook-id"),
                        sim_call_header(call, "webhook-timestamp"), call->body))
        world_broken(world, "a signature is wrong");
}

/* A target's limit holds whatever else happens; a crash lets go of what was open. */
static void check_limit(struct world *world, const struct gw_http_call *call,
                        const struct sim_reply *reply)
{
    int64_t now_us = sim_now_us(world->sim);
    size_t open = 0;
    for (size_t i = 0; i < gw_count(world->open); i++)
        open += world->open[i].until_us > now_us && !strcmp(world->open[i].url, call->url);
    if (open >= WORLD_LIMIT)
        world_broken(world, "more in flight than maxInFlight");
    struct open_call *slot = &world->open[world->open_at++ % gw_count(world->open)];
    int64_t takes_ms = reply->delay_ms < 0 ? call->timeout_ms - 500 : reply->delay_ms;
    snprintf(slot->url, sizeof(slot->url), "%s", call->url);
    slot->until_us = now_us + takes_ms * 1000;
}

/* What waits under an inactive config is held; what had begun may still arrive. */
static void check_held(struct world *world, const struct gw_http_call *call)
{
    uint64_t app = 0;
    if (!gw_slice_u64(sim_call_header(call, "x-app"), &app) || app >= WORLD_APPS)
        world_broken(world, "a config's header is missing");
    else if (world->inactive_ms[app] && sim_now_us(world->sim) / 1000 > world->inactive_ms[app])
        world_broken(world, "posted under an inactive config");
}

/* ── Places ────────────────────────────────────────────────────────────────────────────────── */

static struct place *place_of(struct world *world, const char *url)
{
    for (size_t i = 0; i < world->place_count; i++)
        if (!strcmp(world->places[i].url, url))
            return &world->places[i];
    gw_check(world->place_count < gw_count(world->places));
    struct place *place = &world->places[world->place_count++];
    *place = (struct place){0};
    snprintf(place->url, sizeof(place->url), "%s", url);
    return place;
}

/* A stop or a crash: what was not stored yet is forgotten, and so is what counts seconds. Where the
 * store fails, nobody knows how long ago it last took something. */
static void places_forget(struct world *world)
{
    int64_t now_ms = sim_now_us(world->sim) / 1000;
    for (size_t i = 0; i < world->place_count; i++) {
        struct place *place = &world->places[i];
        place->came = 0;
        if (world->odds.seed || now_ms - place->gone_ms < BEGUN_MS)
            place->gone_ms = 0;
    }
}

/* A URL that no config of the app names any more has a new life when one does again. */
static void places_follow(struct world *world, int app)
{
    const struct gw_config *config = world->configs[app];
    for (size_t i = 0; i < world->place_count; i++) {
        struct place *place = &world->places[i];
        bool is_named = false;
        if (place->url[strlen(place->url) - 1] != '0' + app)
            continue;
        for (size_t k = 0; config && k < config->route_count; k++)
            is_named |= gw_slice_is(config->routes[k].url.text, place->url);
        if (!is_named)
            place->gone_ms = 0;
    }
}

static bool is_retried(const struct world *world, struct gw_slice id)
{
    char text[GW_ID_TEXT_MAX];
    for (size_t i = 0; i < world->posted_count; i++)
        if (world->posted[i]->retried &&
            gw_slice_eq(gw_id_text(GW_ID_MESSAGE, &world->posted[i]->intake.id, text), id))
            return true;
    return false;
}

/* Nothing but manual retries goes where 410 was answered, until one of them succeeds. */
static void check_gone(struct world *world, const struct gw_http_call *call,
                       const struct sim_reply *reply)
{
    struct place *place = place_of(world, call->url);
    int64_t now_ms = sim_now_us(world->sim) / 1000;
    bool by_hand = place->gone_ms && is_retried(world, sim_call_header(call, "webhook-id"));
    if (place->gone_ms && now_ms - place->gone_ms > BEGUN_MS && !by_hand)
        world_broken(world, "posted to a disabled target");
    if (reply->end == GW_HTTP_ANSWERED && reply->status == 410 && !place->gone_ms)
        place->gone_ms = now_ms;
    else if (reply->end == GW_HTTP_ANSWERED && reply->status == 200 && by_hand)
        place->gone_ms = 0;
}

/* So many and no more begin in any second; on the way here they may come a bit closer, and much
 * closer where the store is late. */
static void check_rate(struct world *world, const struct gw_http_call *call)
{
    struct place *place = place_of(world, call->url);
    int64_t now_us = sim_now_us(world->sim);
    int64_t *oldest_us = &place->came_us[place->came % WORLD_RATE];
    if (place->url[strlen(place->url) - 1] != '0' || world->odds.seed)
        return;
    if (place->came >= WORLD_RATE && now_us - *oldest_us < 900000)
        world_broken(world, "more in a second than rateLimit");
    *oldest_us = now_us;
    place->came++;
}

static struct sim_reply reply_of(struct world *world, enum mood mood)
{
    static const char *const later[] = {"retry-after: 120", NULL};
    int64_t delay_ms = (int64_t)sim_random(world->sim, 200);
    switch (mood) {
    case MOOD_WELL: return (struct sim_reply){GW_HTTP_ANSWERED, 200, delay_ms, NULL, "ok"};
    case MOOD_FAILS: return (struct sim_reply){GW_HTTP_ANSWERED, 500, delay_ms, NULL, "no"};
    case MOOD_BUSY: return (struct sim_reply){GW_HTTP_ANSWERED, 503, delay_ms, later, ""};
    case MOOD_GONE: return (struct sim_reply){GW_HTTP_ANSWERED, 410, delay_ms, NULL, ""};
    case MOOD_RESETS: return (struct sim_reply){.end = GW_HTTP_RESET, .delay_ms = delay_ms};
    case MOOD_HANGS: return (struct sim_reply){.delay_ms = -1};
    }
    gw_never("mood");
}

static struct sim_reply on_webhook(void *ctx, const struct gw_http_call *call)
{
    struct host *host = ctx;
    struct world *world = host->world;
    struct receipt *receipt = receipt_of(world, call);
    uint64_t attempt = 0;
    if (!gw_slice_u64(sim_call_header(call, "webhook-attempt"), &attempt) || attempt == 0)
        world_broken(world, "webhook-attempt is no number");
    check_signature(world, call);
    if (receipt->answered_ms && receipt->crashes == world->crashes)
        world_broken(world, "posted again after a 2xx, without a crash");
    if (receipt->answered_ms)
        world->duplicates++;
    /* Not one by one: a webhookUrl may change between two attempts. */
    if (attempt <= receipt->attempt && receipt->seen_crashes == world->crashes)
        world_broken(world, "attempt numbers do not grow");
    receipt->attempt = (unsigned)attempt;
    receipt->seen_crashes = world->crashes;
    struct sim_reply reply = reply_of(world, host->mood);
    check_limit(world, call, &reply);
    check_held(world, call);
    check_gone(world, call, &reply);
    check_rate(world, call);
    if (reply.end == GW_HTTP_ANSWERED && reply.status == 200) {
        receipt->answered_ms = sim_wall_ms(world->sim);
        receipt->crashes = world->crashes;
    }
    return reply;
}

/* ── The store ─────────────────────────────────────────────────────────────────────────────── */

/* In every second world the store is late, fails, does things twice and loses answers: what the
 * shards ask of it all day. What the world itself asks for, and a start, goes through. */
static struct gw_fault_act choose(void *ctx, enum gw_call call, const struct gw_op *op)
{
    struct world *world = ctx;
    struct gw_fault_act act = gw_fault_by_odds(&world->odds, call, op);
    if (op->env == world->driver || call == GW_CALL_OPEN_LANES || call == GW_CALL_HEALTH_LOAD)
        act = (struct gw_fault_act){0};
    return act;
}

static void odds_draw(struct world *world, uint64_t seed)
{
    if (seed % 2)
        return;
    world->odds = (struct gw_fault_odds){
        .seed = seed,
        .delay = (uint32_t)sim_random(world->sim, 500),
        .fail = (uint32_t)sim_random(world->sim, 500),
        .repeat = (uint32_t)sim_random(world->sim, 500),
        .lose = (uint32_t)sim_random(world->sim, 500),
        .delay_ms_max = 1 + (int64_t)sim_random(world->sim, 2000),
        .again_ms = (int64_t)sim_random(world->sim, 3000),
    };
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

static void on_started(void *ctx, enum gw_err err)
{
    struct world *world = ctx;
    gw_check(err == GW_OK);
    world->started++;
}

static bool all_started(void *ctx)
{
    return ((struct world *)ctx)->started == WORLD_SHARDS;
}

static void start(struct world *world)
{
    world->fault = gw_fault_create(gw_memory_ledger(world->memory),
                                   gw_memory_configs(world->memory), NULL, choose, world);
    world->flow.ledger = gw_fault_ledger(world->fault);
    world->flow.configs = gw_fault_configs(world->fault);
    world->flow.shards = world->shards;
    world->flow.shard_count = WORLD_SHARDS;
    world->started = 0;
    for (size_t i = 0; i < WORLD_SHARDS; i++)
        world->shards[i] = gw_shard_create(&world->flow, sim_env_create(world->sim), i);
    for (size_t i = 0; i < WORLD_SHARDS; i++)
        gw_shard_start(world->shards[i], on_started, world);
    gw_check(sim_run(world->sim, all_started, world, 60000));
}

void world_create(struct world *world, uint64_t seed)
{
    *world = (struct world){0};
    world->sim = sim_create(&(struct sim_options){.seed = seed});
    odds_draw(world, seed);
    world->driver = sim_env_create(world->sim);
    world->ledger_env = sim_env_create(world->sim);
    world->memory = gw_memory_create(
        world->ledger_env,
        &(struct gw_memory_options){.commit_delay_ms = (int64_t)sim_random(world->sim, 5)});
    world->flow.options = (struct gw_flow_options){
        .user_agent = "generic-webhook/sim",
        .dedupe_ms = 24 * 3600 * 1000,
        .connect_timeout_ms = 5000,
        .in_flight_max = 8 + sim_random(world->sim, 32),
        .accepts_max = 64,
        .memory_max = 80 + sim_random(world->sim, 400),
        .body_bytes_max = sim_random(world->sim, 2) ? 2000 : 1 << 20,
        .snapshots_max = 1 + sim_random(world->sim, WORLD_APPS),
    };
    for (size_t i = 0; i < WORLD_HOSTS; i++) {
        world->hosts[i] = (struct host){host_names[i], world, MOOD_WELL};
        char addr[32];
        snprintf(addr, sizeof(addr), "1.2.3.%zu", i + 1);
        sim_name(world->sim, host_names[i], addr, 3);
        sim_receiver(world->sim, host_names[i], on_webhook, &world->hosts[i]);
    }
    start(world);
}

static void posted_free(struct posted *posted)
{
    gw_intake_deinit(&posted->intake);
    gw_free(posted);
}

void world_destroy(struct world *world)
{
    for (size_t i = 0; i < WORLD_SHARDS; i++)
        gw_shard_destroy(world->shards[i]);
    gw_fault_destroy(world->fault);
    gw_memory_destroy(world->memory);
    sim_destroy(world->sim);
    for (size_t i = 0; i < world->posted_count; i++)
        posted_free(world->posted[i]);
    for (size_t i = 0; i < WORLD_APPS; i++)
        if (world->configs[i])
            gw_config_unref(world->configs[i]);
    struct receipt *receipt;
    size_t at = 0;
    while ((receipt = gw_map_next(&world->receipts, &at)))
        gw_free(receipt);
    gw_map_deinit(&world->receipts);
}

void world_crash(struct world *world)
{
    for (size_t i = 0; i < WORLD_SHARDS; i++) {
        sim_env_kill(world->shards[i]->env);
        sim_bury(world->shards[i]);
    }
    for (size_t i = 0; i < world->posted_count; i++) {
        struct posted *posted = world->posted[i];
        if (posted->acked || posted->failed)
            continue;
        posted->failed = true; /* never answered */
        sim_bury(posted->intake.snapshot);
    }
    world->crashes++;
    memset(world->open, 0, sizeof(world->open));
    places_forget(world);
    sim_env_kill(world->ledger_env);
    world->ledger_env = sim_env_create(world->sim);
    gw_memory_crash(world->memory, world->ledger_env);
    sim_bury(world->fault);
    start(world);
}

static void on_idle(void *ctx)
{
    *(bool *)ctx = true;
}

static bool all_stopped(void *ctx)
{
    struct world *world = ctx;
    for (size_t i = 0; i < WORLD_SHARDS; i++)
        if (!world->stopped[i])
            return false;
    return true;
}

void world_restart(struct world *world)
{
    for (size_t i = 0; i < WORLD_SHARDS; i++) {
        world->stopped[i] = false;
        gw_shard_drain(world->shards[i], on_idle, &world->stopped[i]);
    }
    if (!sim_run(world->sim, all_stopped, world, 3000)) {
        for (size_t i = 0; i < WORLD_SHARDS; i++)
            gw_shard_cut(world->shards[i]);
        /* What was cut off may have been answered: as after a crash, it may come again. */
        world->crashes++;
        memset(world->open, 0, sizeof(world->open));
        if (!sim_run(world->sim, all_stopped, world, 60000))
            world_broken(world, "cut off, a shard does not become idle");
    }
    for (size_t i = 0; i < WORLD_SHARDS; i++) {
        sim_env_kill(world->shards[i]->env);
        gw_shard_destroy(world->shards[i]);
    }
    places_forget(world);
    gw_fault_destroy(world->fault);
    start(world);
}

/* ── What happens in it ────────────────────────────────────────────────────────────────────── */

static void on_intake(struct gw_intake *intake)
{
    struct posted *posted = gw_container_of(intake, struct posted, intake);
    posted->acked = intake->err == GW_OK;
    posted->failed = !posted->acked;
    if (gw_err_class(intake->err) == GW_CLASS_REJECT)
        world_broken(posted->world, "a good event was refused");
}

void world_post(struct world *world, int app, unsigned event_id)
{
    if (world->posted_count == WORLD_EVENTS)
        return;
    static const char *const workflows[] = {"", ",\"workflowId\":\"w\""};
    struct posted *posted = gw_zalloc(sizeof(*posted));
    posted->world = world;
    posted->app = app;
    snprintf(posted->body, sizeof(posted->body),
             "{\"appId\":\"app-%d\",\"eventType\":\"T\",\"eventId\":\"e-%u\"%s}", app, event_id,
             workflows[sim_random(world->sim, 2)]);
    posted->intake.body = gw_slice_from(posted->body);
    posted->intake.done = on_intake;
    world->posted[world->posted_count++] = posted;
    gw_intake_start(world->shards[sim_random(world->sim, WORLD_SHARDS)], &posted->intake);
}

struct waiting {
    bool done;
    enum gw_err err;
};

struct put_op {
    struct gw_config_put put;
    struct waiting waiting;
};

struct remove_op {
    struct gw_config_remove remove;
    struct waiting waiting;
};

struct retry_op {
    struct gw_retry_op retry;
    struct waiting waiting;
};

struct publish_op {
    struct gw_publish publish;
    bool done;
};

static void on_put(struct gw_op *op)
{
    gw_container_of(op, struct put_op, put.op)->waiting = (struct waiting){true, op->err};
}

static void on_remove(struct gw_op *op)
{
    gw_container_of(op, struct remove_op, remove.op)->waiting = (struct waiting){true, op->err};
}

static void on_retry(struct gw_op *op)
{
    gw_container_of(op, struct retry_op, retry.op)->waiting = (struct waiting){true, op->err};
}

static void on_published(struct gw_publish *publish)
{
    gw_container_of(publish, struct publish_op, publish)->done = true;
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

static void publish(struct world *world, struct gw_snapshot *snapshot)
{
    struct publish_op op = {.publish.done = on_published};
    gw_snapshots_publish(world->shards[0], snapshot, &op.publish);
    gw_snapshot_unref(snapshot);
    wait_for(world, &op.done);
}

/* Takes over the config. */
static void put(struct world *world, int app, struct gw_config *config, uint64_t expected)
{
    struct put_op op = {.put = {.op = {.env = world->driver, .done = on_put},
                                .config = config,
                                .expected_version = expected,
                                .audit = {.actor = GW_SLICE("sim"), .action = "config_updated"}}};
    gw_configs_put(world->flow.configs, &op.put);
    wait_for(world, &op.waiting.done);
    gw_check(op.waiting.err == GW_OK);
    if (world->configs[app])
        gw_config_unref(world->configs[app]);
    world->configs[app] = config;
    publish(world, op.put.snapshot);
    places_follow(world, app);
    bool held = !config->is_active;
    world->inactive_ms[app] = held ? sim_now_us(world->sim) / 1000 + BEGUN_MS : 0;
}

static struct gw_config_change change_of(struct world *world, const char *json)
{
    return (struct gw_config_change){
        .json = gw_slice_from(json),
        .guard = &world->flow.options.guard,
        .now_ms = sim_wall_ms(world->sim),
    };
}

void world_config_create(struct world *world, int app)
{
    char json[1024];
    snprintf(json, sizeof(json),
             "{\"appId\":\"app-%d\",\"eventType\":\"*\",\"webhookUrl\":\"https://one.example/%d\","
             "\"secret\":\"" SECRET "\",\"maxInFlight\":%d,\"headers\":{\"x-app\":\"%d\"},"
             "\"retry\":{\"schedule\":[2,30,600,7200],\"timeoutMs\":2000},"
             "%s\"workflows\":{\"w\":[\"https://two.example/%d\",\"https://three.example/%d\"]}}",
             app, app, WORLD_LIMIT, app, app ? "" : "\"rateLimit\":" RATE ",", app, app);
    struct gw_config_change change = change_of(world, json);
    struct gw_config *config;
    struct gw_error error;
    gw_check(gw_config_create(&config, &change, &error) == GW_OK);
    put(world, app, config, 0);
}

void world_config_patch(struct world *world, int app, const char *members)
{
    struct gw_config *current = world->configs[app];
    if (!current)
        return;
    char json[1024];
    int len = snprintf(json, sizeof(json), "{\"appId\":\"app-%d\",\"eventType\":\"*\",", app);
    for (; *members; members++) /* '#' stands for the app's number */
        json[len++] = *members == '#' ? (char)('0' + app) : *members;
    json[len++] = '}';
    json[len] = '\0';
    struct gw_config_change change = change_of(world, json);
    struct gw_config *config;
    struct gw_error error;
    bool made;
    gw_check(gw_config_patch(&config, current, &change, &made, &error) == GW_OK);
    put(world, app, config, current->version);
}

void world_config_delete(struct world *world, int app)
{
    if (!world->configs[app])
        return;
    char app_id[16];
    snprintf(app_id, sizeof(app_id), "app-%d", app);
    struct remove_op op = {
        .remove = {.op = {.env = world->driver, .done = on_remove},
                   .app_id = gw_slice_from(app_id),
                   .event_type = GW_SLICE("*"),
                   .audit = {.actor = GW_SLICE("sim"), .action = "config_deleted"}}};
    gw_configs_remove(world->flow.configs, &op.remove);
    wait_for(world, &op.waiting.done);
    gw_check(op.waiting.err == GW_OK);
    gw_config_unref(world->configs[app]);
    world->configs[app] = NULL;
    publish(world, op.remove.snapshot);
    places_follow(world, app);
}

struct enable_op {
    struct gw_target_ask ask;
    bool done;
};

static void on_enabled(struct gw_target_ask *ask)
{
    gw_container_of(ask, struct enable_op, ask)->done = true;
}

/* Until it is stored: a store that fails says so, and is asked again. */
void world_enable(struct world *world, int app)
{
    struct gw_config *config = world->configs[app];
    struct gw_target_view views[32] = {0};
    char app_id[16];
    if (!config)
        return;
    snprintf(app_id, sizeof(app_id), "app-%d", app);
    gw_check(config->route_count <= gw_count(views));
    for (size_t i = 0; i < config->route_count; i++) {
        views[i].url = config->routes[i].url.text;
        place_of(world, config->routes[i].url.text.ptr)->gone_ms = 0;
    }
    struct enable_op op = {.ask = {.err = GW_ERR_BUSY}};
    for (int tries = 0; op.ask.err != GW_OK && tries < 1000; tries++) {
        op.done = false;
        op.ask = (struct gw_target_ask){
            .app_id = gw_slice_from(app_id),
            .views = views,
            .count = config->route_count,
            .enables = true,
            .done = on_enabled,
        };
        gw_target_ask(world->shards[sim_random(world->sim, WORLD_SHARDS)], &op.ask);
        wait_for(world, &op.done);
    }
    if (op.ask.err != GW_OK)
        world_broken(world, "a target cannot be enabled");
}

void world_retry(struct world *world, size_t index)
{
    struct posted *posted = world->posted[index];
    if (!posted->acked || !posted->intake.delivery_count)
        return;
    char app_id[16];
    posted->retried = true;
    snprintf(app_id, sizeof(app_id), "app-%d", posted->app);
    struct gw_shard *owner = gw_flow_owner(&world->flow, gw_slice_from(app_id));
    struct retry_op op = {
        .retry = {.op = {.env = world->driver, .done = on_retry},
                  .delivery_id = posted->intake.deliveries[0].id,
                  .now_ms = sim_wall_ms(world->sim),
                  .offer = gw_schedule_retry_create(owner, gw_slice_from(app_id))}};
    gw_ledger_retry(world->flow.ledger, &op.retry);
    wait_for(world, &op.waiting.done);
    if (!op.retry.offered)
        gw_schedule_offer_destroy(op.retry.offer);
    if (op.waiting.err != GW_OK && op.waiting.err != GW_ERR_CONFLICT)
        world_broken(world, "a manual retry failed");
}

/* ── The end ───────────────────────────────────────────────────────────────────────────────── */

static bool nothing_open(void *ctx)
{
    struct world *world = ctx;
    for (size_t i = 0; i < world->posted_count; i++)
        if (!world->posted[i]->acked && !world->posted[i]->failed)
            return false;
    return gw_ledger_state(world->flow.ledger).open == 0;
}

bool world_finish(struct world *world)
{
    return sim_run(world->sim, nothing_open, world, 30LL * 24 * 3600 * 1000);
}

struct find_op {
    struct gw_find find;
    bool done;
};

static void on_found(struct gw_op *op)
{
    gw_container_of(op, struct find_op, find.op)->done = true;
}

/* Was a delivery of this message answered with 2xx at that URL? */
static bool was_answered(struct world *world, const struct gw_row *row)
{
    char id_text[GW_ID_TEXT_MAX], key[64];
    struct gw_slice id = gw_id_text(GW_ID_MESSAGE, &row->delivery.message_id, id_text);
    struct gw_attempt last;
    if (!gw_attempt_last(row->log, &last) || last.url.len < 9)
        return false;
    snprintf(key, sizeof(key), "%.*s %.*s", GW_SLICE_ARG(id), (int)(last.url.len - 8),
             last.url.ptr + 8);
    struct receipt *receipt = gw_map_get(&world->receipts, gw_slice_from(key));
    return receipt && receipt->answered_ms;
}

/* Given up only when its time was over; the clock was stepped by an hour at most meanwhile. */
static void check_dead(struct world *world, const struct gw_delivery *delivery)
{
    bool is_given_up = delivery->reason == GW_END_EXPIRED;
    if (!delivery->attempts && !is_given_up)
        world_broken(world, "dead without an attempt");
    if (is_given_up)
        world->given_up++;
    int64_t least_ms = GW_RETRY_GIVE_UP_MS + WORLD_SCHEDULE_MS - 3600 * 1000;
    if (is_given_up && delivery->ended_ms - delivery->created_ms < least_ms)
        world_broken(world, "given up too early");
}

static void check_row(struct world *world, const struct gw_row *row)
{
    switch (row->delivery.state) {
    case GW_DELIVERY_PENDING: world_broken(world, "a delivery is still pending"); break;
    case GW_DELIVERY_DELIVERED:
        if (!was_answered(world, row))
            world_broken(world, "delivered, but nobody answered 2xx");
        break;
    case GW_DELIVERY_DEAD: check_dead(world, &row->delivery); break;
    case GW_DELIVERY_CANCELLED: break;
    }
}

static void check_posted(struct world *world, struct posted *posted)
{
    struct gw_arena arena = {0};
    struct find_op op = {.find = {.op = {.env = world->driver, .done = on_found},
                                  .arena = &arena,
                                  .key = GW_FIND_MESSAGE,
                                  .id = posted->intake.id,
                                  .with_body = true,
                                  .max = 1}};
    gw_ledger_find(world->flow.ledger, &op.find);
    wait_for(world, &op.done);
    if (op.find.count != 1) {
        world_broken(world, "an accepted event is not in the ledger");
    } else {
        const struct gw_event_row *event = &op.find.events[0];
        if (!posted->intake.duplicate &&
            !gw_slice_eq(event->message->body, gw_slice_from(posted->body)))
            world_broken(world, "the ledger has another body");
        if (!posted->intake.duplicate && event->count != posted->intake.delivery_count)
            world_broken(world, "the ledger has other deliveries than were told");
        for (size_t i = 0; i < event->count; i++)
            check_row(world, &event->rows[i]);
    }
    gw_arena_deinit(&arena);
}

static bool nothing_under_way(void *ctx)
{
    struct world *world = ctx;
    for (size_t i = 0; i < WORLD_SHARDS; i++)
        if (world->shards[i]->under_way)
            return false;
    return true;
}

void world_check(struct world *world)
{
    for (size_t i = 0; i < world->posted_count; i++)
        if (world->posted[i]->acked)
            check_posted(world, world->posted[i]);
    if (!sim_run(world->sim, nothing_under_way, world, 60000))
        world_broken(world, "something is under way, and nothing is open");
}
