/* worker.c: the home `worker`: owns one shard on one loop, and the queues that feed it.
 *
 *   OPENING ─ settings, store, shard ─ failed ─▶ exit 2 (setting) or 3 (cannot start)
 *      ▼
 *   WORKING ─ messages are taken, go their road, and are deleted
 *      │ signal
 *      ▼
 *   GIVING BACK ─ nothing is taken; what has not begun is given back, what is under way ends; the grace
 *      │          time over: attempts are cut off, and wakes sent for what they leave
 *      ▼ nothing is in hand
 *   DRAINING ─ the shard is idle ─▶ exit 0
 *
 *   a second signal, or no end long after the cut: exit 1 at once. Whatever is lost then is in the
 *   queue, and comes again when it is visible.
 *
 * Thread: the main one, on which all of this runs. */
#include "app/worker.h"

#include "app/emf.h"
#include "app/home.h"
#include "app/log_sink.h"
#include "app/store_aws.h"
#include "road/queue.h"
#include "sys/loop.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define METRICS_MS 60000 /* CloudWatch counts in minutes */
#define CUT_MS     15000 /* after the grace time, until it is given up */
#define QUEUES     2

extern char **environ;

enum state { WORKING, GIVING_BACK, DRAINING };

struct worker {
    struct gw_settings settings;
    struct gw_env *env;
    struct gw_aws *aws;
    struct gw_dynamodb *store;
    struct gw_log_sink log;
    struct gw_flow flow;
    struct gw_shard *shard;
    struct gw_road road;
    struct gw_hand hand;
    struct gw_queue queues[QUEUES];
    size_t queue_count, queues_left;
    enum state state;
    bool is_cut;
    int exit_code;
    struct gw_timer grace, metrics;
    struct gw_emf emf;
};

static struct worker worker; /* the process's only one; a queue tells no more than itself */

static void tell_metrics(struct gw_timer *timer)
{
    gw_emf_tell(&worker.emf, &worker.flow, gw_env_wall_ms(worker.env));
    gw_env_timer_set(worker.env, timer, METRICS_MS);
}

/* ── The end ───────────────────────────────────────────────────────────────────────────────── */

static void on_shard_idle(void *ctx)
{
    (void)ctx;
    gw_loop_stop(worker.env);
}

static void drain(void)
{
    worker.state = DRAINING;
    gw_shard_drain(worker.shard, on_shard_idle, NULL);
}

static void on_queue_idle(struct gw_queue *queue)
{
    (void)queue;
    if (--worker.queues_left == 0)
        drain();
}

static void on_grace_over(struct gw_timer *timer)
{
    (void)timer;
    if (worker.is_cut) {
        gw_log(GW_LOG_ERROR, "stopped_at_once", GW_S("why", "something under way does not end"));
        _exit(GW_HOME_FAILED);
    }
    gw_log(GW_LOG_WARN, "grace_over", GW_I("messages", worker.hand.count));
    worker.is_cut = true;
    gw_env_timer_set(worker.env, &worker.grace, CUT_MS);
    gw_shard_cut(worker.shard);
}

static void stop(const char *why)
{
    gw_log(GW_LOG_INFO, "draining", GW_S("why", why), GW_I("graceS", worker.settings.grace_s),
           GW_I("messages", worker.hand.count));
    worker.state = GIVING_BACK;
    gw_env_timer_set(worker.env, &worker.grace, worker.settings.grace_s * 1000);
    worker.queues_left = worker.queue_count;
    for (size_t i = 0; i < worker.queue_count; i++)
        gw_queue_stop(&worker.queues[i]);
}

static void on_signal(void *ctx, int number)
{
    const char *name = number == SIGTERM ? "SIGTERM" : "SIGINT";
    (void)ctx;
    if (worker.state != WORKING) {
        gw_log(GW_LOG_WARN, "stopped_at_once", GW_S("why", name));
        _exit(GW_HOME_FAILED);
    }
    stop(name);
}

/* ── WORKING ───────────────────────────────────────────────────────────────────────────────── */

static void add_queue(const char *url)
{
    worker.queues[worker.queue_count++] = (struct gw_queue){
        .road = &worker.road,
        .url = gw_slice_from(url),
        .hand = &worker.hand,
        .idle = on_queue_idle,
    };
}

static void on_started(void *ctx, enum gw_err err)
{
    (void)ctx;
    (void)err; /* nothing is asked where the ledger is shared */
    if (worker.state != WORKING)
        return;
    gw_log(GW_LOG_INFO, "working", GW_I("messages", worker.hand.max));
    for (size_t i = 0; i < worker.queue_count; i++)
        gw_queue_start(&worker.queues[i]);
}

/* ── OPENING ───────────────────────────────────────────────────────────────────────────────── */

static void flow_init(void)
{
    const struct gw_settings *settings = &worker.settings;
    worker.flow =
        gw_home_road_flow(settings, worker.store, gw_log_sink_log(&worker.log), &worker.shard);
    worker.flow.options.accepts_max = settings->messages;
    worker.flow.options.intake_rate = 0; /* what is in a bucket has been taken */
    worker.shard = gw_shard_create(&worker.flow, worker.env, 0);
}

static enum gw_err open_road(struct gw_error *error)
{
    const struct gw_settings *settings = &worker.settings;
    worker.hand.max = settings->messages;
    add_queue(settings->queue_url);
    if (settings->wake_queue_url)
        add_queue(settings->wake_queue_url);
    return gw_home_road_init(settings, &worker.road, worker.shard, worker.aws, error);
}

static enum gw_err open_all(struct gw_error *error)
{
    const struct gw_settings *settings = &worker.settings;
    enum gw_err err = gw_store_aws_open(settings, false, worker.env, &worker.store, error);
    if (err == GW_OK)
        err = gw_store_aws_join(worker.store, worker.env, &worker.aws, error);
    if (err == GW_OK)
        err = gw_log_sink_open(&worker.log, settings, worker.env, worker.aws, error);
    if (err != GW_OK)
        return err;
    flow_init();
    return open_road(error);
}

static void close_all(void)
{
    gw_log_sink_close(&worker.log);
    if (worker.store)
        gw_dynamodb_destroy(worker.store);
    gw_aws_destroy(worker.aws);
    gw_loop_destroy(worker.env); /* lets go of timers and messages that live in the rest */
    for (size_t i = 0; i < worker.queue_count; i++)
        gw_queue_deinit(&worker.queues[i]);
    gw_road_deinit(&worker.road);
    if (worker.shard)
        gw_shard_destroy(worker.shard);
    gw_settings_deinit(&worker.settings);
}

/* ── The whole life ────────────────────────────────────────────────────────────────────────── */

static const char *missing_setting(void)
{
    const struct gw_settings *settings = &worker.settings;
    if (!settings->queue_url)
        return "--queue-url: must be the URL of the queue that says which events came, was not set";
    if (!settings->buckets)
        return "--buckets: must be the buckets that events are read from, was not set";
    if (!settings->master_key && !settings->master_key_file)
        return "GWH_MASTER_KEY: must be the master key, or --master-key-file name its file; "
               "neither was set";
    return NULL;
}

/* The settings; >= 0: the exit code, there is nothing to do. */
static int read_settings(int argc, char **argv)
{
    struct gw_error error;
    const char *why = NULL;
    if (gw_settings_parse(&worker.settings, argc - 1, argv + 1, environ, &error) != GW_OK)
        why = error.text;
    else if (!worker.settings.help)
        why = missing_setting();
    if (why) {
        fprintf(stderr, "gwh worker: %s\n", why);
        return GW_HOME_USAGE;
    }
    if (!worker.settings.help)
        return -1;
    gw_home_help();
    return 0;
}

static void run(void)
{
    gw_loop_on_signal(worker.env, SIGTERM, on_signal, NULL);
    gw_loop_on_signal(worker.env, SIGINT, on_signal, NULL);
    worker.grace.fire = on_grace_over;
    worker.emf.deployment = worker.settings.tables;
    worker.metrics.fire = tell_metrics;
    gw_env_timer_set(worker.env, &worker.metrics, METRICS_MS);
    gw_shard_start(worker.shard, on_started, NULL);
    gw_loop_run(worker.env);
    gw_env_timer_stop(worker.env, &worker.metrics);
    gw_emf_tell(&worker.emf, &worker.flow, gw_env_wall_ms(worker.env));
}

int gw_worker_main(int argc, char **argv)
{
    struct gw_error error;
    int code = read_settings(argc, argv);
    if (code >= 0)
        return code;
    struct gw_loop_options loop = {
        .ca_file = worker.settings.ca_file,
        .name_servers = worker.settings.name_servers,
    };
    gw_log_level_set(worker.settings.log_level);
    gw_log(GW_LOG_INFO, "starting", GW_S("version", GW_VERSION), GW_I("pid", getpid()));
    gw_home_warn_of_unknown();
    gw_sys_init();
    enum gw_err err = gw_loop_create(&loop, &worker.env, &error);
    if (err == GW_OK)
        err = open_all(&error);
    if (err == GW_OK) {
        run();
    } else {
        gw_log(GW_LOG_ERROR, "cannot_start", GW_S("why", error.text));
        worker.exit_code = err == GW_ERR_INVALID ? GW_HOME_USAGE : GW_HOME_CANNOT_START;
    }
    if (worker.env)
        close_all();
    gw_log(GW_LOG_INFO, "stopped", GW_I("exit", worker.exit_code));
    return worker.exit_code;
}
