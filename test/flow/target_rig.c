/* target_rig.c: builds the world and keeps the book. */
#include "target_rig.h"

#include <stdlib.h>

static bool is_zero(void *ctx)
{
    return *(size_t *)ctx == 0;
}

static bool is_true(void *ctx)
{
    return *(bool *)ctx;
}

/* ── Sites ─────────────────────────────────────────────────────────────────────────────────── */

static void on_end(struct gw_timer *timer)
{
    struct sim_timer *end = gw_container_of(timer, struct sim_timer, timer);
    end->site->open--;
}

static struct site *site_of(struct rig *rig, const char *url)
{
    for (size_t i = 0; i < rig->site_count; i++)
        if (!strcmp(rig->sites[i].url, url))
            return &rig->sites[i];
    gw_never("a site that is not there");
}

static int number_in(struct gw_slice body)
{
    const char *at = memmem(body.ptr, body.len, "\"n\":", 4);
    int number = 0;
    gw_check(at != NULL);
    for (at += 4; at < body.ptr + body.len && *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (*at - '0');
    return number;
}

static struct sim_reply on_webhook(void *ctx, const struct gw_http_call *call)
{
    struct rig *rig = ctx;
    struct site *site = site_of(rig, call->url);
    int64_t takes_ms = site->status ? site->delay_ms : call->timeout_ms;
    uint64_t attempt = 0;
    gw_check(site->hits < BOOK);
    gw_check(gw_slice_u64(sim_call_header(call, "webhook-attempt"), &attempt));
    struct sim_timer *end = &site->ends[site->hits];
    site->book[site->hits++] = (struct hit){sim_now_us(rig->sim) / 1000, number_in(call->body),
                                            (unsigned)attempt, call->is_apart};
    *end = (struct sim_timer){.timer = {.fire = on_end}, .site = site};
    site->open++;
    site->open_high = site->open > site->open_high ? site->open : site->open_high;
    gw_env_timer_set(rig->shard->env, &end->timer, takes_ms);
    return (struct sim_reply){.end = GW_HTTP_ANSWERED,
                              .status = site->status,
                              .delay_ms = site->status ? site->delay_ms : -1};
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

static struct gw_fault_act choose(void *ctx, enum gw_call call, const struct gw_op *op)
{
    struct rig *rig = ctx;
    (void)op;
    if (call != GW_CALL_HEALTH_SAVE || !rig->failing_saves)
        return (struct gw_fault_act){0};
    rig->failing_saves--;
    return (struct gw_fault_act){.kind = GW_FAULT_FAIL, .err = GW_ERR_BUSY, .again_ms = 1000};
}

static void on_started(void *ctx, enum gw_err err)
{
    gw_check(err == GW_OK);
    *(size_t *)ctx = 0;
}

static void start(struct rig *rig)
{
    rig->left = 1;
    rig->shard = gw_shard_create(&rig->flow, sim_env_create(rig->sim), 0);
    gw_shard_start(rig->shard, on_started, &rig->left);
    assert_true(sim_run(rig->sim, is_zero, &rig->left, HOUR_MS));
}

struct rig *rig_create(size_t in_flight_max)
{
    struct rig *rig = gw_zalloc(sizeof(*rig));
    sim_init();
    rig->sim = sim_create(&(struct sim_options){.seed = 1});
    rig->driver = sim_env_create(rig->sim);
    rig->memory = gw_memory_create(sim_env_create(rig->sim), &(struct gw_memory_options){0});
    rig->fault = gw_fault_create(gw_memory_ledger(rig->memory), gw_memory_configs(rig->memory),
                                 NULL, choose, rig);
    rig->flow = (struct gw_flow){
        .options = {.user_agent = "test",
                    .dedupe_ms = DAY_MS,
                    .connect_timeout_ms = 5000,
                    .in_flight_max = in_flight_max,
                    .accepts_max = POSTED,
                    .memory_max = 1000,
                    .body_bytes_max = 1 << 20,
                    .snapshots_max = 16},
        .ledger = gw_fault_ledger(rig->fault),
        .configs = gw_fault_configs(rig->fault),
        .shards = &rig->shard,
        .shard_count = 1,
    };
    start(rig);
    return rig;
}

void rig_restart(struct rig *rig)
{
    sim_env_kill(rig->shard->env);
    gw_shard_destroy(rig->shard);
    for (size_t i = 0; i < rig->site_count; i++)
        rig->sites[i].open = 0;
    start(rig);
}

void rig_destroy(struct rig *rig)
{
    sim_env_kill(rig->shard->env);
    gw_shard_destroy(rig->shard);
    gw_fault_destroy(rig->fault);
    gw_memory_destroy(rig->memory);
    sim_destroy(rig->sim);
    for (size_t i = 0; i < rig->posted_count; i++) {
        gw_intake_deinit(&rig->posted[i]->intake);
        gw_free(rig->posted[i]);
    }
    for (size_t i = 0; i < rig->site_count; i++)
        gw_config_unref(rig->configs[i]);
    gw_free(rig);
}

void rig_run(struct rig *rig, int64_t ms)
{
    sim_run(rig->sim, NULL, NULL, ms);
}

/* ── Configs ───────────────────────────────────────────────────────────────────────────────── */

struct put_op {
    struct gw_config_put put;
    struct gw_publish publish;
    bool done;
};

static void on_put(struct gw_op *op)
{
    assert_int_equal(op->err, GW_OK);
    gw_container_of(op, struct put_op, put.op)->done = true;
}

static void on_published(struct gw_publish *publish)
{
    gw_container_of(publish, struct put_op, publish)->done = true;
}

static void put(struct rig *rig, struct gw_config *config, uint64_t expected)
{
    struct put_op op = {.put = {.op = {.env = rig->driver, .done = on_put},
                                .config = config,
                                .expected_version = expected,
                                .audit = {.actor = GW_SLICE("test"), .action = "config_created"}},
                        .publish.done = on_published};
    gw_configs_put(rig->flow.configs, &op.put);
    assert_true(sim_run(rig->sim, is_true, &op.done, HOUR_MS));
    op.done = false;
    gw_snapshots_publish(rig->shard, op.put.snapshot, &op.publish);
    assert_true(sim_run(rig->sim, is_true, &op.done, HOUR_MS));
    gw_snapshot_unref(op.put.snapshot);
}

struct site *rig_site(struct rig *rig, const char *host, const char *members)
{
    size_t number = rig->site_count++;
    struct site *site = &rig->sites[number];
    struct gw_error error;
    char json[512];
    assert_true(rig->site_count <= SITES);
    site->rig = rig;
    site->status = 200;
    snprintf(site->url, sizeof(site->url), "https://%s/%zu", host, number);
    sim_name(rig->sim, host, "93.184.216.34", 3);
    sim_receiver(rig->sim, host, on_webhook, rig);
    snprintf(json, sizeof(json),
             "{\"appId\":\"app\",\"eventType\":\"T%zu\",\"webhookUrl\":\"%s\"%s}", number,
             site->url, members);
    struct gw_config_change change = {.json = gw_slice_from(json),
                                      .guard = &rig->flow.options.guard,
                                      .now_ms = sim_wall_ms(rig->sim)};
    assert_int_equal(gw_config_create(&rig->configs[number], &change, &error), GW_OK);
    put(rig, rig->configs[number], 0);
    return site;
}

void rig_patch(struct rig *rig, size_t site, const char *members)
{
    struct gw_config *current = rig->configs[site];
    struct gw_error error;
    char json[512];
    bool made;
    snprintf(json, sizeof(json), "{\"appId\":\"app\",\"eventType\":\"T%zu\"%s}", site, members);
    struct gw_config_change change = {.json = gw_slice_from(json),
                                      .guard = &rig->flow.options.guard,
                                      .now_ms = sim_wall_ms(rig->sim)};
    assert_int_equal(gw_config_patch(&rig->configs[site], current, &change, &made, &error), GW_OK);
    put(rig, rig->configs[site], current->version);
    gw_config_unref(current);
}

/* ── Events ────────────────────────────────────────────────────────────────────────────────── */

static void on_intake(struct gw_intake *intake)
{
    assert_int_equal(intake->err, GW_OK);
    gw_container_of(intake, struct posted, intake)->done = true;
}

int rig_post(struct rig *rig, const struct site *site, int count)
{
    int first = (int)rig->posted_count;
    for (int i = 0; i < count; i++) {
        struct posted *posted = gw_zalloc(sizeof(*posted));
        assert_true(rig->posted_count < POSTED);
        snprintf(posted->body, sizeof(posted->body),
                 "{\"appId\":\"app\",\"eventType\":\"T%d\",\"n\":%zu}", (int)(site - rig->sites),
                 rig->posted_count);
        posted->intake.body = gw_slice_from(posted->body);
        posted->intake.done = on_intake;
        rig->posted[rig->posted_count++] = posted;
        gw_intake_start(rig->shard, &posted->intake);
        assert_true(sim_run(rig->sim, is_true, &posted->done, HOUR_MS));
    }
    return first;
}

struct find_op {
    struct gw_find find;
    bool done;
};

static void on_found(struct gw_op *op)
{
    gw_container_of(op, struct find_op, find.op)->done = true;
}

struct gw_delivery rig_delivery(struct rig *rig, int event)
{
    struct gw_ledger *ledger = gw_memory_ledger(rig->memory);
    struct gw_arena arena = {0};
    struct find_op op = {.find = {.op = {.env = rig->driver, .done = on_found},
                                  .arena = &arena,
                                  .key = GW_FIND_MESSAGE,
                                  .id = rig->posted[event]->intake.id,
                                  .max = 1}};
    gw_ledger_find(ledger, &op.find);
    assert_true(sim_run(rig->sim, is_true, &op.done, HOUR_MS));
    assert_int_equal(op.find.count, 1);
    assert_int_equal(op.find.events[0].count, 1);
    struct gw_delivery delivery = op.find.events[0].rows[0].delivery;
    gw_arena_deinit(&arena);
    return delivery;
}

struct retry_op {
    struct gw_retry_op retry;
    bool done;
};

static void on_retried(struct gw_op *op)
{
    assert_int_equal(op->err, GW_OK);
    gw_container_of(op, struct retry_op, retry.op)->done = true;
}

void rig_retry(struct rig *rig, int event)
{
    struct gw_ledger *ledger = gw_memory_ledger(rig->memory);
    struct retry_op op = {
        .retry = {.op = {.env = rig->driver, .done = on_retried},
                  .delivery_id = rig->posted[event]->intake.deliveries[0].id,
                  .now_ms = sim_wall_ms(rig->sim),
                  .offer = gw_schedule_retry_create(rig->shard, GW_SLICE("app"))}};
    gw_ledger_retry(ledger, &op.retry);
    assert_true(sim_run(rig->sim, is_true, &op.done, HOUR_MS));
    assert_true(op.retry.offered);
}

size_t rig_open(const struct rig *rig)
{
    struct gw_ledger *ledger = gw_memory_ledger(rig->memory);
    return gw_ledger_state(ledger).open;
}

/* ── Targets ───────────────────────────────────────────────────────────────────────────────── */

struct ask_op {
    struct gw_target_ask ask;
    struct gw_target_view view;
    bool done;
};

static void on_asked(struct gw_target_ask *ask)
{
    gw_container_of(ask, struct ask_op, ask)->done = true;
}

static struct ask_op ask(struct rig *rig, const struct site *site, bool enables)
{
    struct ask_op op = {.view.url = gw_slice_from(site->url)};
    op.ask = (struct gw_target_ask){.app_id = GW_SLICE("app"),
                                    .views = &op.view,
                                    .count = 1,
                                    .enables = enables,
                                    .done = on_asked};
    gw_target_ask(rig->shard, &op.ask);
    assert_true(sim_run(rig->sim, is_true, &op.done, HOUR_MS));
    return op;
}

struct gw_target_view rig_view(struct rig *rig, const struct site *site)
{
    return ask(rig, site, false).view;
}

enum gw_err rig_enable(struct rig *rig, const struct site *site)
{
    return ask(rig, site, true).ask.err;
}
