/* serve.c: the home `serve`: owns the life cycle of the shards with their threads; what it opens and
 * closes is in serve_open.c.
 *
 *   OPENING ─ settings, store, key, shards made
 *      │                              └─ failed ─▶ exit 2 (setting) or 3 (cannot start)
 *      ▼ threads run, each shard asks the ledger what is open
 *   STARTING ─ all know it ─▶ LISTENING ─ the first has the port, then the others ─▶ READY
 *      │ failed, or a signal     │ failed, or a signal                                │ signal
 *      └────────────────────────▶┴────────────▶ DRAINING ◀────────────────────────────┘
 *                                   │  no listener, no new event, no new attempt; what is under
 *                                   │  way ends and is stored; the grace time over: cut
 *                                   ▼ all shards idle
 *                                STOPPED ─ threads joined, store closed ─▶ exit 0 (3: failed start)
 *
 *   a second signal, or no end long after the cut: exit 1 at once; what is open is in the ledger.
 *
 * No event is taken before all shards know what is open: so no delivery is brought to a shard
 * twice. All loops run until all shards are idle, for they answer each other. The store is closed
 * when no thread can ask it anything any more, and before the loops that it answers to go.
 *
 * Threads: this file's functions run on the main thread, whose own loop has the signals and the
 * grace timer; on_shard_… run on their shard's. They speak by messages, one for each command. */
#include "app/serve.h"

#include "app/home.h"
#include "app/serve_impl.h"
#include "sys/http_server.h"
#include "sys/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define CUT_MS 10000 /* after the grace time, until it is given up */

extern char **environ;

/* ── On the shards' threads ────────────────────────────────────────────────────────────────── */

static void answer(struct gw_serve_place *place, enum gw_serve_command command)
{
    gw_env_post(place->serve->home, &place->answers[command]);
}

static void on_shard_started(void *ctx, enum gw_err err)
{
    struct gw_serve_place *place = ctx;
    place->start_err = err;
    answer(place, COMMAND_START);
}

static void on_shard_start(struct gw_msg *msg)
{
    struct gw_serve_place *place =
        gw_container_of(msg, struct gw_serve_place, commands[COMMAND_START]);
    gw_shard_start(place->shard, on_shard_started, place);
}

static void on_shard_listen(struct gw_msg *msg)
{
    struct gw_serve_place *place =
        gw_container_of(msg, struct gw_serve_place, commands[COMMAND_LISTEN]);
    const struct gw_settings *settings = &place->serve->settings;
    struct gw_http_server_options options = {
        .host = settings->listen_host,
        .port = place->serve->port,
        .first = place->index == 0,
        .connections_max = settings->max_connections / place->serve->place_count + 1,
        .header_bytes_max = settings->max_header_bytes,
        .body_bytes_max_of = gw_api_body_bytes_max,
        .bodies_bytes_max = settings->memory_request_bytes,
        .idle_timeout_ms = settings->idle_timeout_s * 1000,
        .request_timeout_ms = settings->request_timeout_s * 1000,
        .on_request = gw_api_handle,
        .ctx = place->api,
    };
    place->listen_err = gw_http_server_start(place->env, &options, &place->http, &place->error);
    answer(place, COMMAND_LISTEN);
}

static void on_shard_idle(void *ctx)
{
    answer(ctx, COMMAND_DRAIN);
}

static void on_shard_drain(struct gw_msg *msg)
{
    struct gw_serve_place *place =
        gw_container_of(msg, struct gw_serve_place, commands[COMMAND_DRAIN]);
    if (place->http)
        gw_http_server_drain(place->http);
    gw_shard_drain(place->shard, on_shard_idle, place);
}

static void on_shard_cut(struct gw_msg *msg)
{
    struct gw_serve_place *place =
        gw_container_of(msg, struct gw_serve_place, commands[COMMAND_CUT]);
    gw_shard_cut(place->shard);
    gw_api_cut(place->api);
}

static void run_shard(void *ctx)
{
    struct gw_serve_place *place = ctx;
    gw_loop_run(place->env);
}

/* ── DRAINING ──────────────────────────────────────────────────────────────────────────────── */

static void command_all(struct gw_serve *serve, enum gw_serve_command command)
{
    for (size_t i = 0; i < serve->place_count; i++)
        gw_env_post(serve->places[i].env, &serve->places[i].commands[command]);
}

static void on_grace_over(struct gw_timer *timer)
{
    struct gw_serve *serve = gw_container_of(timer, struct gw_serve, grace);
    if (serve->cut) {
        gw_log(GW_LOG_ERROR, "stopped_at_once", GW_S("why", "something under way does not end"));
        _exit(GW_HOME_FAILED);
    }
    gw_log(GW_LOG_WARN, "grace_over",
           GW_I("attempts", gw_flow_gauge(&serve->flow, GW_GAUGE_IN_FLIGHT)));
    serve->cut = true;
    command_all(serve, COMMAND_CUT);
    gw_env_timer_set(serve->home, &serve->grace, CUT_MS);
}

static void drain(struct gw_serve *serve, const char *why)
{
    gw_log(GW_LOG_INFO, "draining", GW_S("why", why), GW_I("graceS", serve->settings.grace_s));
    serve->state = DRAINING;
    serve->left = serve->place_count;
    if (serve->stats)
        gw_stats_sql_hurry(serve->stats);
    command_all(serve, COMMAND_DRAIN);
    gw_env_timer_set(serve->home, &serve->grace, serve->settings.grace_s * 1000);
}

static void on_idle(struct gw_msg *msg)
{
    struct gw_serve *serve =
        gw_container_of(msg, struct gw_serve_place, answers[COMMAND_DRAIN])->serve;
    if (--serve->left == 0)
        gw_loop_stop(serve->home);
}

static void on_signal(void *ctx, int number)
{
    struct gw_serve *serve = ctx;
    const char *name = number == SIGTERM ? "SIGTERM" : "SIGINT";
    if (serve->state == DRAINING) {
        gw_log(GW_LOG_WARN, "stopped_at_once", GW_S("why", name));
        _exit(GW_HOME_FAILED);
    }
    drain(serve, name);
}

/* While threads are joined and the store is closed no loop runs that could see a signal. */
static void on_late_signal(int number)
{
    static const char line[] = "{\"level\":\"warn\",\"event\":\"stopped_at_once\"}\n";
    (void)number;
    if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
        errno = 0; /* nobody listens */
    _exit(GW_HOME_FAILED);
}

/* ── STARTING and LISTENING ────────────────────────────────────────────────────────────────── */

static void start_failed(struct gw_serve *serve, const char *why)
{
    gw_log(GW_LOG_ERROR, "cannot_start", GW_S("why", why));
    serve->exit_code = GW_HOME_CANNOT_START;
    drain(serve, "the start failed");
}

static void be_ready(struct gw_serve *serve)
{
    serve->state = READY;
    gw_log(GW_LOG_INFO, "listening", GW_S("address", serve->settings.listen_host),
           GW_I("port", serve->port), GW_I("shards", serve->place_count));
}

static void listen_at(struct gw_serve_place *place)
{
    gw_env_post(place->env, &place->commands[COMMAND_LISTEN]);
}

/* The first has the port, which may have been any: then the others share it. */
static void on_listening(struct gw_msg *msg)
{
    struct gw_serve_place *place =
        gw_container_of(msg, struct gw_serve_place, answers[COMMAND_LISTEN]);
    struct gw_serve *serve = place->serve;
    if (serve->state != LISTENING)
        return;
    if (place->listen_err != GW_OK) {
        start_failed(serve, place->error.text);
        return;
    }
    if (place->index == 0) {
        serve->port = gw_http_server_port(place->http);
        for (size_t i = 1; i < serve->place_count; i++)
            listen_at(&serve->places[i]);
    }
    if (--serve->left == 0)
        be_ready(serve);
}

static void on_started(struct gw_msg *msg)
{
    struct gw_serve_place *place =
        gw_container_of(msg, struct gw_serve_place, answers[COMMAND_START]);
    struct gw_serve *serve = place->serve;
    if (serve->state != STARTING)
        return;
    if (place->start_err != GW_OK) {
        gw_error_set(&place->error, place->start_err, "the store does not say what is open: %s",
                     gw_err_name(place->start_err));
        start_failed(serve, place->error.text);
        return;
    }
    if (--serve->left > 0)
        return;
    gw_log(GW_LOG_INFO, "started", GW_I("open", gw_ledger_state(serve->flow.ledger).open));
    serve->state = LISTENING;
    serve->left = serve->place_count;
    listen_at(&serve->places[0]);
}

static const struct {
    void (*command)(struct gw_msg *msg);
    void (*answer)(struct gw_msg *msg);
} speech[COMMAND_COUNT] = {
    [COMMAND_START] = {on_shard_start, on_started},
    [COMMAND_LISTEN] = {on_shard_listen, on_listening},
    [COMMAND_DRAIN] = {on_shard_drain, on_idle},
    [COMMAND_CUT] = {on_shard_cut, NULL},
};

static void introduce(struct gw_serve *serve)
{
    for (size_t i = 0; i < serve->place_count; i++)
        for (size_t j = 0; j < COMMAND_COUNT; j++) {
            serve->places[i].commands[j].run = speech[j].command;
            serve->places[i].answers[j].run = speech[j].answer;
        }
}

/* ── The whole life ────────────────────────────────────────────────────────────────────────── */

static void run(struct gw_serve *serve)
{
    serve->state = STARTING;
    serve->left = serve->place_count;
    serve->port = serve->settings.listen_port;
    serve->grace.fire = on_grace_over;
    gw_loop_on_signal(serve->home, SIGTERM, on_signal, serve);
    gw_loop_on_signal(serve->home, SIGINT, on_signal, serve);
    for (size_t i = 0; i < serve->place_count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "shard-%zu", i);
        serve->places[i].thread = gw_thread_start(name, run_shard, &serve->places[i]);
    }
    command_all(serve, COMMAND_START);
    gw_loop_run(serve->home);
    gw_env_timer_stop(serve->home, &serve->grace);

    struct sigaction late = {.sa_handler = on_late_signal};
    sigaction(SIGTERM, &late, NULL);
    sigaction(SIGINT, &late, NULL);
    for (size_t i = 0; i < serve->place_count; i++)
        gw_loop_stop(serve->places[i].env);
    for (size_t i = 0; i < serve->place_count; i++)
        gw_thread_join(serve->places[i].thread);
}

/* Each connection is a descriptor. What the system refuses, it refuses. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        gw_log(GW_LOG_WARN, "descriptors_not_raised");
}

/* Where events are put, and whom it tells that there is something to do. */
static bool check_aws(const struct gw_settings *settings)
{
    const char *missing = !settings->is_on_aws       ? NULL
                          : !settings->events_bucket ? "--events-bucket"
                          : !settings->queue_url     ? "--queue-url"
                                                     : NULL;
    if (missing)
        fprintf(stderr, "gwh serve: %s: must be given with --store aws\n", missing);
    return !missing;
}

/* The settings; >= 0: the exit code, there is nothing to serve. */
static int read_settings(struct gw_serve *serve, int argc, char **argv)
{
    struct gw_error error;
    if (gw_settings_parse(&serve->settings, argc - 1, argv + 1, environ, &error) != GW_OK) {
        fprintf(stderr, "gwh serve: %s\n", error.text);
        return GW_HOME_USAGE;
    }
    if (!serve->settings.help)
        return check_aws(&serve->settings) ? -1 : GW_HOME_USAGE;
    gw_home_help();
    return 0;
}

int gw_serve_main(int argc, char **argv)
{
    static struct gw_serve serve;
    struct gw_error error;
    int code = read_settings(&serve, argc, argv);
    if (code >= 0)
        return code;
    gw_log_level_set(serve.settings.log_level);
    gw_log(GW_LOG_INFO, "starting", GW_S("version", GW_VERSION), GW_S("data", serve.settings.data),
           GW_I("pid", getpid()));
    gw_home_warn_of_unknown();
    raise_descriptors();
    gw_sys_init();
    if (gw_serve_open(&serve, &error) == GW_OK) {
        introduce(&serve);
        run(&serve);
    } else {
        gw_log(GW_LOG_ERROR, "cannot_start", GW_S("why", error.text));
        serve.exit_code = GW_HOME_CANNOT_START;
    }
    gw_serve_close(&serve);
    gw_log(GW_LOG_INFO, "stopped", GW_I("exit", serve.exit_code));
    return serve.exit_code;
}
