/* rig.c: builds the world, makes calls, reads answers. */
#include "rig.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define PATIENCE_MS 60000

static struct sim_reply on_webhook(void *ctx, const struct gw_http_call *call)
{
    const struct rig *rig = ctx;
    (void)call;
    return (struct sim_reply){.end = GW_HTTP_ANSWERED,
                              .status = rig->reply_status,
                              .delay_ms = rig->reply_delay_ms,
                              .body = "reply"};
}

static void on_started(void *ctx, enum gw_err err)
{
    size_t *left = ctx;
    gw_check(err == GW_OK);
    (*left)--;
}

static bool is_zero(void *ctx)
{
    return *(size_t *)ctx == 0;
}

static void make_shards(struct rig *rig, const struct rig_options *options)
{
    struct gw_api_options api = {
        .admin_key = RIG_KEY,
        .event_bytes_max = options->event_bytes_max ? options->event_bytes_max : 1024,
        .secret_overlap_ms = 86400000,
        .jwt_key = options->jwt_key,
        .auth_url = options->auth_url,
        .stats = options->stats,
        .keys_keep_ms = options->keys_keep_ms,
        .apis = rig->apis,
        .version = "1.2.3",
    };
    struct gw_slice bad;
    static struct gw_net_list allowed, trusted; /* borrowed by the APIs, the same in each rig */
    if (!allowed.count) {
        gw_check(gw_net_list_parse(GW_SLICE("127.0.0.0/8, ::1, 203.0.113.7"), &allowed, &bad));
        gw_check(gw_net_list_parse(GW_SLICE("127.0.0.9, 192.0.2.0/24"), &trusted, &bad));
    }
    api.allowed_ips = allowed;
    api.trusted_proxies = trusted;
    for (size_t i = 0; i < RIG_SHARDS; i++) {
        rig->flow.shards[i] = gw_shard_create(&rig->flow, rig->envs[i], i);
        rig->apis[i] = gw_api_create(rig->flow.shards[i], &api);
    }
}

static struct gw_fault_act choose_fault(void *ctx, enum gw_call call, const struct gw_op *op)
{
    struct rig *rig = ctx;
    (void)op;
    if (call >= GW_CALL_KEY_PUT)
        return (struct gw_fault_act){.kind = rig->admin_fault, .err = GW_ERR_UNAVAILABLE};
    if ((call != GW_CALL_CONFIG_PUT && call != GW_CALL_CONFIG_REMOVE) || rig->faster_writers == 0)
        return (struct gw_fault_act){.kind = GW_FAULT_NONE};
    rig->faster_writers--;
    return (struct gw_fault_act){.kind = GW_FAULT_FAIL, .err = GW_ERR_CONFLICT};
}

struct rig *rig_create(const struct rig_options *options)
{
    static const struct rig_options usual;
    struct rig *rig = gw_zalloc(sizeof(*rig));
    size_t left = RIG_SHARDS;
    if (!options)
        options = &usual;
    gw_log_level_set(GW_LOG_WARN);
    sim_init();
    rig->sim = sim_create(&(struct sim_options){.seed = 1});
    for (size_t i = 0; i < RIG_SHARDS; i++)
        rig->envs[i] = sim_env_create(rig->sim);
    rig->memory = gw_memory_create(
        rig->envs[0], &(struct gw_memory_options){.commit_delay_ms = options->commit_delay_ms,
                                                  .queue_max = options->queue_max});
    rig->fault = gw_fault_create(NULL, gw_memory_configs(rig->memory), gw_memory_admin(rig->memory),
                                 choose_fault, rig);
    rig->flow = (struct gw_flow){
        .options = {.user_agent = "test",
                    .dedupe_ms = 86400000,
                    .connect_timeout_ms = 5000,
                    .in_flight_max = 100,
                    .accepts_max = options->accepts_max ? options->accepts_max : 100,
                    .memory_max = 1000,
                    .body_bytes_max = 1 << 20,
                    .snapshots_max = 16,
                    .intake_rate = options->intake_rate,
                    .is_shared = options->is_shared},
        .ledger = gw_memory_ledger(rig->memory),
        .configs = gw_fault_configs(rig->fault),
        .admin = gw_fault_admin(rig->fault),
        .shards = gw_zalloc(RIG_SHARDS * sizeof(struct gw_shard *)),
        .shard_count = RIG_SHARDS,
    };
    rig->reply_status = 200;
    sim_name(rig->sim, "hook.example", "93.184.216.34", 5);
    sim_name(rig->sim, "inside.example", "93.184.216.34,10.0.0.5", 5);
    sim_receiver(rig->sim, "hook.example", on_webhook, rig);
    make_shards(rig, options);
    for (size_t i = 0; i < RIG_SHARDS; i++)
        gw_shard_start(rig->flow.shards[i], on_started, &left);
    gw_check(sim_run(rig->sim, is_zero, &left, PATIENCE_MS));
    return rig;
}

void rig_destroy(struct rig *rig)
{
    for (size_t i = 0; i < RIG_SHARDS; i++) {
        gw_api_destroy(rig->apis[i]);
        sim_env_kill(rig->envs[i]);
    }
    for (size_t i = 0; i < RIG_SHARDS; i++)
        gw_shard_destroy(rig->flow.shards[i]);
    gw_fault_destroy(rig->fault);
    gw_memory_destroy(rig->memory);
    sim_destroy(rig->sim);
    gw_free(rig->flow.shards);
    gw_arena_deinit(&rig->arena);
    gw_free(rig);
}

void rig_run(struct rig *rig, int64_t ms)
{
    sim_run(rig->sim, NULL, NULL, ms);
}

/* ── Calls ─────────────────────────────────────────────────────────────────────────────────── */

static void on_complete(struct gw_exchange *exchange)
{
    struct call *call = gw_container_of(exchange, struct call, exchange);
    gw_check(!call->done);
    call->done = true;
}

static struct gw_slice quoted(struct gw_arena *arena, const char *body)
{
    char *copy = gw_arena_alloc(arena, strlen(body) + 1);
    strcpy(copy, body);
    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    return gw_slice_from(copy);
}

struct call *call_prepare(struct rig *rig, enum gw_method method, const char *target,
                          const char *body)
{
    struct call *call = gw_zalloc(sizeof(*call));
    struct gw_slice rest = gw_slice_from(target);
    (void)rig;
    call->exchange = (struct gw_exchange){
        .arena = &call->arena,
        .method = method,
        .headers = call->headers,
        .body = body ? quoted(&call->arena, body) : GW_SLICE(""),
        .peer = {.family = 4, .bytes = {127, 0, 0, 1}},
        .complete = on_complete,
    };
    gw_slice_split(&rest, '?', &call->exchange.path);
    call->exchange.query = rest;
    return call;
}

void call_header(struct call *call, const char *name, const char *value)
{
    assert_true(call->exchange.header_count < gw_count(call->headers));
    call->headers[call->exchange.header_count++] =
        (struct gw_header){gw_slice_from(name), gw_slice_from(value)};
}

void call_go(struct rig *rig, size_t shard, struct call *call)
{
    call->exchange.env = rig->envs[shard];
    gw_api_handle(rig->apis[shard], &call->exchange);
}

struct call *call_start(struct rig *rig, size_t shard, enum gw_method method, const char *target,
                        const char *body)
{
    struct call *call = call_prepare(rig, method, target, body);
    call_header(call, "AppId", RIG_NAME);
    call_header(call, "appkey", "0123456789abcdef");
    call_go(rig, shard, call);
    return call;
}

static bool is_done(void *ctx)
{
    return ((struct call *)ctx)->done;
}

void call_wait(struct rig *rig, struct call *call)
{
    if (!call->done)
        assert_true(sim_run(rig->sim, is_done, call, PATIENCE_MS));
}

struct call *call_make(struct rig *rig, enum gw_method method, const char *target, const char *body)
{
    struct call *call = call_start(rig, 0, method, target, body);
    call_wait(rig, call);
    return call;
}

void call_free(struct call *call)
{
    yyjson_doc_free(call->json);
    gw_arena_deinit(&call->arena);
    gw_free(call);
}

/* ── Looking at answers ────────────────────────────────────────────────────────────────────── */

static yyjson_val *value_at(struct call *call, const char *pointer)
{
    if (!call->json)
        call->json = yyjson_read(call->exchange.reply.ptr, call->exchange.reply.len, 0);
    return yyjson_doc_ptr_get(call->json, pointer);
}

const char *at(struct call *call, const char *pointer)
{
    yyjson_val *value = value_at(call, pointer);
    if (!value)
        return "(none)";
    if (yyjson_is_str(value))
        return yyjson_get_str(value);
    char *text = yyjson_val_write(value, 0, NULL);
    const char *copy = gw_arena_text(&call->arena, gw_slice_from(text));
    free(text);
    return copy;
}

size_t count_at(struct call *call, const char *pointer)
{
    return yyjson_arr_size(value_at(call, pointer));
}

const char *reply_header(const struct call *call, const char *name)
{
    for (size_t i = 0; i < call->exchange.reply_header_count; i++)
        if (gw_slice_is(call->exchange.reply_headers[i].name, name))
            return gw_arena_text((struct gw_arena *)(uintptr_t)&call->arena,
                                 call->exchange.reply_headers[i].value);
    return NULL;
}

static void show(const struct call *call)
{
    print_error("%d %.*s\n", call->exchange.status, GW_SLICE_ARG(call->exchange.reply));
}

void expect_status_at(struct call *call, int wanted, const char *file, int line)
{
    if (call->exchange.status == wanted)
        return;
    show(call);
    _assert_int_equal((LargestIntegralType)call->exchange.status, (LargestIntegralType)wanted, file,
                      line);
}

void expect_at_at(struct call *call, const char *pointer, const char *wanted, const char *file,
                  int line)
{
    const char *got = at(call, pointer);
    if (strcmp(got, wanted) == 0)
        return;
    show(call);
    print_error("%s\n", pointer);
    _assert_string_equal(got, wanted, file, line);
}

void expect_failed_at(struct call *call, int status, const char *word, const char *file, int line)
{
    char code[8];
    snprintf(code, sizeof(code), "%d", status);
    expect_status_at(call, status, file, line);
    expect_at_at(call, "/statusCode", code, file, line);
    expect_at_at(call, "/status", "failed", file, line);
    if (!strstr(at(call, "/error"), word)) {
        show(call);
        print_error("no \"%s\" in the error\n", word);
        _fail(file, line);
    }
    call_free(call);
}

/* ── Short cuts ────────────────────────────────────────────────────────────────────────────── */

void make_config(struct rig *rig, const char *body)
{
    struct call *call = call_make(rig, GW_POST, "/v1/config", body);
    expect_status(call, 201);
    call_free(call);
}

struct sent send_event(struct rig *rig, const char *body)
{
    struct call *call = call_make(rig, GW_POST, "/v1/events", body);
    struct sent sent = {0};
    expect_status(call, 202);
    snprintf(sent.message, sizeof(sent.message), "%s", at(call, "/result/id"));
    snprintf(sent.delivery, sizeof(sent.delivery), "%s", at(call, "/result/deliveries/0/id"));
    call_free(call);
    return sent;
}

void make_key(struct rig *rig, const char *body, struct made *made)
{
    struct call *call = call_make(rig, GW_POST, "/v1/keys", body);
    expect_status(call, 201);
    if (made) {
        snprintf(made->id, sizeof(made->id), "%s", at(call, "/result/id"));
        snprintf(made->appid, sizeof(made->appid), "%s", at(call, "/result/appid"));
        snprintf(made->appkey, sizeof(made->appkey), "%s", at(call, "/result/appkey"));
    }
    call_free(call);
}

void revoke_key(struct rig *rig, const char *id)
{
    struct call *call =
        call_make(rig, GW_DELETE, gw_arena_printf(&rig->arena, "/v1/keys/%s", id), NULL);
    expect_status(call, 200);
    call_free(call);
}

struct call *call_by(struct rig *rig, const struct made *made, enum gw_method method,
                     const char *target, const char *body)
{
    struct call *call = call_prepare(rig, method, target, body);
    call_header(call, "appid", made->appid);
    call_header(call, "appkey", made->appkey);
    call_go(rig, 0, call);
    call_wait(rig, call);
    return call;
}
