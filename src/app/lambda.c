/* lambda.c: the home `lambda`: owns one shard on one loop, and the life of a function's process.
 *
 *   OPENING ─ settings, keys, store, shard ─ failed ─▶ said to Lambda (init/error) ─▶ exit 1
 *      │
 *      ▼
 *   ┌▶ IDLE ─ asks for the next invocation; the process may stand still here for days
 *   │   │ an event
 *   │   ▼
 *   │  WORKING ─ a request: the API answers ─ messages of a queue: each takes its road
 *   │   │ done
 *   │   ▼
 *   │  FLUSHING ─ the log's rows and the metrics go out, for after the answer nothing runs
 *   │   │
 *   │   ▼
 *   └─ ANSWERING                  IDLE, and SIGTERM ─▶ STOPPING ─ the shard is idle ─▶ exit 0
 *
 * Nothing is kept from one invocation to the next but what may be lost: snapshots that are read anew
 * when they are old, connections that are tried again when they have died, rows of the log that wait.
 * When Lambda does not take an answer the process ends with 1: another one begins clean.
 *
 * Thread: the main one, on which all of this runs. */
#include "app/lambda.h"

#include "api/api.h"
#include "app/emf.h"
#include "app/home.h"
#include "app/lambda_batch.h"
#include "app/lambda_http.h"
#include "app/log_sink.h"
#include "app/public_cert.h"
#include "app/settings.h"
#include "app/store_aws.h"
#include "aws/json.h"
#include "aws/runtime.h"
#include "base/check.h"
#include "base/crypto.h"
#include "sys/loop.h"

#include <signal.h>
#include <unistd.h>

#define FLUSH_MS 1500 /* for the log's rows, when an invocation's work is done */

extern char **environ;

enum state { OPENING, IDLE, WORKING, FLUSHING, ANSWERING, STOPPING };

struct lambda {
    struct gw_settings settings;
    struct gw_env *env;
    struct gw_aws *aws;
    struct gw_dynamodb *store;
    struct gw_log_sink log;
    struct gw_rsa_key *jwt_key; /* NULL = no tokens */
    struct gw_flow flow;
    struct gw_shard *shard;
    struct gw_api *api;
    struct gw_road road;
    struct gw_emf emf;
    struct gw_aws_runtime runtime;
    enum state state;
    bool must_stop;
    int exit_code;

    /* of the invocation, until it is answered */
    struct gw_arena arena;
    struct gw_exchange exchange;
    struct gw_lambda_batch batch;
    struct gw_delivery_log_flush flush;
    struct gw_slice answer; /* ptr NULL: it is refused */
    struct gw_error refused;
};

/* ── The end ───────────────────────────────────────────────────────────────────────────────── */

static void on_shard_idle(void *ctx)
{
    struct lambda *lambda = ctx;
    gw_loop_stop(lambda->env);
}

static void stop(struct lambda *lambda, int exit_code)
{
    lambda->state = STOPPING;
    lambda->exit_code = exit_code;
    gw_shard_drain(lambda->shard, on_shard_idle, lambda);
}

static void on_signal(void *ctx, int number)
{
    struct lambda *lambda = ctx;
    gw_log(GW_LOG_INFO, "stopping", GW_S("why", number == SIGTERM ? "SIGTERM" : "SIGINT"));
    if (lambda->state == IDLE)
        stop(lambda, 0);
    else if (lambda->state == WORKING && lambda->batch.left > 0)
        gw_lambda_batch_give_back(&lambda->batch);
    lambda->must_stop = true; /* what is begun is answered first */
}

/* ── Answering ─────────────────────────────────────────────────────────────────────────────── */

static void answer(struct lambda *lambda)
{
    lambda->state = ANSWERING;
    gw_emf_tell(&lambda->emf, &lambda->flow, gw_env_wall_ms(lambda->env));
    if (lambda->answer.ptr) {
        gw_aws_runtime_answer(&lambda->runtime, lambda->answer);
        return;
    }
    gw_log(GW_LOG_WARN, "invocation_refused", GW_S("why", lambda->refused.text));
    gw_aws_runtime_refuse(&lambda->runtime, "Function.Event", lambda->refused.text);
}

static void on_flushed(struct gw_delivery_log_flush *flush)
{
    answer(gw_container_of(flush, struct lambda, flush));
}

/* The work is done; its answer, or why there is none, is there. */
static void finish(struct lambda *lambda)
{
    lambda->state = FLUSHING;
    lambda->flush = (struct gw_delivery_log_flush){.within_ms = FLUSH_MS, .done = on_flushed};
    if (lambda->log.firehose)
        gw_delivery_log_firehose_flush(lambda->log.firehose, &lambda->flush);
    else
        answer(lambda);
}

/* ── Working ───────────────────────────────────────────────────────────────────────────────── */

static void on_complete(struct gw_exchange *exchange)
{
    struct lambda *lambda = gw_container_of(exchange, struct lambda, exchange);
    lambda->answer = gw_lambda_http_write(exchange);
    finish(lambda);
}

static void ask_api(struct lambda *lambda, yyjson_val *event)
{
    struct gw_exchange *exchange = &lambda->exchange;
    *exchange =
        (struct gw_exchange){.env = lambda->env, .arena = &lambda->arena, .complete = on_complete};
    if (gw_lambda_http_read(exchange, event, &lambda->refused) != GW_OK) {
        finish(lambda);
        return;
    }
    if (exchange->body.len > gw_api_body_bytes_max(lambda->api, exchange)) {
        exchange->refused_status = 413;
        exchange->refused_why = "the body is too large";
    }
    gw_api_handle(lambda->api, exchange);
}

static void on_batch(struct gw_lambda_batch *batch)
{
    struct lambda *lambda = gw_container_of(batch, struct lambda, batch);
    lambda->answer = batch->answer;
    finish(lambda);
}

static void deliver(struct lambda *lambda, yyjson_val *event)
{
    lambda->batch = (struct gw_lambda_batch){
        .road = &lambda->road,
        .arena = &lambda->arena,
        .deadline_ms = lambda->runtime.deadline_ms,
        .done = on_batch,
    };
    if (gw_lambda_batch_start(&lambda->batch, event, &lambda->refused) != GW_OK)
        finish(lambda);
}

static void work(struct lambda *lambda)
{
    yyjson_doc *doc = gw_aws_json_read(&lambda->arena, lambda->runtime.event);
    yyjson_val *event = yyjson_doc_get_root(doc);

    lambda->state = WORKING;
    lambda->answer = (struct gw_slice){0};
    if (gw_lambda_http_is(event)) {
        ask_api(lambda, event);
    } else if (gw_lambda_batch_is(event)) {
        deliver(lambda, event);
    } else {
        gw_error_set(&lambda->refused, GW_ERR_INVALID,
                     "the event must be a batch of SQS, or a request of payload 2.0");
        finish(lambda);
    }
}

/* ── Invocations ───────────────────────────────────────────────────────────────────────────── */

static void ask_next(struct lambda *lambda)
{
    gw_arena_reset(&lambda->arena);
    if (lambda->must_stop) {
        stop(lambda, 0);
        return;
    }
    lambda->state = IDLE;
    gw_aws_runtime_next(&lambda->runtime);
}

static void on_runtime(struct gw_aws_runtime *runtime)
{
    struct lambda *lambda = gw_container_of(runtime, struct lambda, runtime);
    const struct gw_error *error = &runtime->error;

    if (lambda->state == STOPPING)
        return;
    if (lambda->state == OPENING) {
        gw_loop_stop(lambda->env); /* it knows that there will be nothing */
    } else if (error->code == GW_ERR_TOO_LARGE && lambda->answer.ptr) {
        lambda->answer = (struct gw_slice){0};
        gw_error_set(&lambda->refused, GW_ERR_TOO_LARGE, "%s", error->text);
        answer(lambda);
    } else if (error->code != GW_OK) {
        gw_log(GW_LOG_ERROR, "runtime_failed", GW_S("why", error->text));
        stop(lambda, GW_HOME_FAILED);
    } else if (lambda->state == IDLE) {
        work(lambda);
    } else {
        ask_next(lambda);
    }
}

/* ── OPENING ───────────────────────────────────────────────────────────────────────────────── */

static void init_failed(struct lambda *lambda, const char *why)
{
    gw_log(GW_LOG_ERROR, "cannot_start", GW_S("why", why));
    lambda->exit_code = GW_HOME_FAILED;
    gw_aws_runtime_refuse(&lambda->runtime, "Runtime.CannotStart", why);
}

static void on_started(void *ctx, enum gw_err err)
{
    struct lambda *lambda = ctx;
    struct gw_error error;
    if (err == GW_OK) {
        gw_log(GW_LOG_INFO, "started");
        ask_next(lambda);
        return;
    }
    gw_error_set(&error, err, "the store cannot be read: %s", gw_err_name(err));
    init_failed(lambda, error.text);
}

static void flow_init(struct lambda *lambda)
{
    const struct gw_settings *settings = &lambda->settings;
    lambda->flow =
        gw_home_road_flow(settings, lambda->store, gw_log_sink_log(&lambda->log), &lambda->shard);
    lambda->emf.deployment = settings->tables;
}

static void api_init(struct lambda *lambda)
{
    const struct gw_settings *settings = &lambda->settings;
    struct gw_api_options options = {
        .allowed_ips = settings->allowed_ips,
        .admin_key = settings->admin_key, /* no trusted_proxies: the peer is never in a header */
        .jwt_key = lambda->jwt_key,
        .auth_url = settings->auth_url,
        .apis = &lambda->api,
        .keys_keep_ms = GW_HOME_SHARED_KEEP_MS,
        .event_bytes_max = settings->max_body_bytes,
        .secret_overlap_ms = settings->secret_overlap_s * 1000,
        .version = GW_VERSION,
    };
    lambda->shard = gw_shard_create(&lambda->flow, lambda->env, 0);
    lambda->api = gw_api_create(lambda->shard, &options);
}

static enum gw_err road_init(struct lambda *lambda, struct gw_error *error)
{
    const struct gw_settings *settings = &lambda->settings;
    if (!settings->queue_url)
        return gw_error_set(error, GW_ERR_INVALID,
                            "GWH_QUEUE_URL: must be set, to the queue that events come by");
    return gw_home_road_init(settings, &lambda->road, lambda->shard, lambda->aws, error);
}

static enum gw_err open_all(struct lambda *lambda, struct gw_error *error)
{
    const struct gw_settings *settings = &lambda->settings;
    enum gw_err err = GW_OK;
    if (settings->public_cert)
        err = gw_public_cert_load(settings->public_cert, &lambda->jwt_key, error);
    if (err == GW_OK)
        err = gw_store_aws_open(settings, true, lambda->env, &lambda->store, error);
    if (err == GW_OK)
        err = gw_store_aws_join(lambda->store, lambda->env, &lambda->aws, error);
    if (err == GW_OK)
        err = gw_log_sink_open(&lambda->log, settings, lambda->env, lambda->aws, error);
    if (err != GW_OK)
        return err;
    flow_init(lambda);
    api_init(lambda);
    return road_init(lambda, error);
}

static void close_all(struct lambda *lambda)
{
    gw_aws_runtime_deinit(&lambda->runtime);
    gw_road_deinit(&lambda->road);
    gw_log_sink_close(&lambda->log);
    if (lambda->store)
        gw_dynamodb_destroy(lambda->store);
    gw_aws_destroy(lambda->aws);
    gw_loop_destroy(lambda->env); /* lets go of timers and messages that live in the rest */
    if (lambda->api)
        gw_api_destroy(lambda->api);
    if (lambda->shard)
        gw_shard_destroy(lambda->shard);
    gw_rsa_key_free(lambda->jwt_key);
    gw_arena_deinit(&lambda->arena);
    gw_settings_deinit(&lambda->settings);
}

/* ── The whole life ────────────────────────────────────────────────────────────────────────── */

static void run(struct lambda *lambda, const struct gw_error *setting_error)
{
    struct gw_error error = *setting_error;
    gw_loop_on_signal(lambda->env, SIGTERM, on_signal, lambda);
    gw_loop_on_signal(lambda->env, SIGINT, on_signal, lambda);
    if (error.code != GW_OK || open_all(lambda, &error) != GW_OK)
        init_failed(lambda, error.text);
    else
        gw_shard_start(lambda->shard, on_started, lambda);
    gw_loop_run(lambda->env);
}

/* A setting that is wrong is said to Lambda too, where the operator looks first. */
int gw_lambda_main(int argc, char **argv)
{
    static struct lambda lambda;
    struct gw_loop_options loop = {0};
    struct gw_error error, setting_error = {.code = GW_OK};
    gw_settings_parse(&lambda.settings, argc - 1, argv + 1, environ, &setting_error);
    if (lambda.settings.help) {
        gw_home_help();
        return 0;
    }
    if (setting_error.code == GW_OK) {
        gw_log_level_set(lambda.settings.log_level);
        loop.ca_file = lambda.settings.ca_file;
        loop.name_servers = lambda.settings.name_servers;
    }
    gw_log(GW_LOG_INFO, "starting", GW_S("version", GW_VERSION), GW_I("pid", getpid()));
    gw_home_warn_of_unknown();
    gw_sys_init();
    if (gw_loop_create(&loop, &lambda.env, &error) != GW_OK) {
        gw_log(GW_LOG_ERROR, "cannot_start", GW_S("why", error.text));
        return GW_HOME_CANNOT_START;
    }
    if (gw_aws_runtime_init(&lambda.runtime, lambda.env, on_runtime, &error) == GW_OK) {
        run(&lambda, &setting_error);
    } else {
        gw_log(GW_LOG_ERROR, "cannot_start", GW_S("why", error.text));
        lambda.exit_code = GW_HOME_CANNOT_START;
    }
    close_all(&lambda);
    gw_log(GW_LOG_INFO, "stopped", GW_I("exit", lambda.exit_code));
    return lambda.exit_code;
}
