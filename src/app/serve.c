/* serve.c: the home `serve`: owns the store, the shards with their threads, and their life cycle.
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

#include "api/api.h"
#include "app/admin_key.h"
#include "app/log_sink.h"
#include "app/master_key.h"
#include "app/public_cert.h"
#include "app/settings.h"
#include "base/crypto.h"
#include "core/config.h"
#include "store/sqlite.h"
#include "sys/http_server.h"
#include "sys/loop.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define EXIT_FAILED       1
#define EXIT_USAGE        2
#define EXIT_CANNOT_START 3

#define CONNECT_TIMEOUT_MS 5000
#define CUT_MS             10000 /* after the grace time, until it is given up */

extern char **environ;

enum state { OPENING, STARTING, LISTENING, READY, DRAINING };

enum command { COMMAND_START, COMMAND_LISTEN, COMMAND_DRAIN, COMMAND_CUT, COMMAND_COUNT };

struct serve;

/* A shard and what belongs to it. */
struct place {
    struct serve *serve;
    size_t index;
    struct gw_env *env;
    struct gw_shard *shard;
    struct gw_api *api;
    struct gw_http_server *http;
    struct gw_thread *thread;
    struct gw_msg commands[COMMAND_COUNT];
    struct gw_msg answers[COMMAND_COUNT]; /* to START, LISTEN, DRAIN */
    enum gw_err start_err, listen_err;
    struct gw_error error;
};

struct serve {
    struct gw_settings settings;
    char key[GW_ADMIN_KEY_MAX + 1];
    struct gw_env *home;
    struct gw_sqlite *store;
    struct gw_log_sink log;
    struct gw_rsa_key *jwt_key; /* NULL = no tokens */
    struct gw_api **apis;
    struct gw_flow flow;
    struct place *places;
    size_t place_count;
    size_t left; /* answers to come in this state */
    enum state state;
    bool cut;
    int exit_code;
    uint16_t port;
    struct gw_timer grace;
};

/* ── On the shards' threads ────────────────────────────────────────────────────────────────── */

static void answer(struct place *place, enum command command)
{
    gw_env_post(place->serve->home, &place->answers[command]);
}

static void on_shard_started(void *ctx, enum gw_err err)
{
    struct place *place = ctx;
    place->start_err = err;
    answer(place, COMMAND_START);
}

static void on_shard_start(struct gw_msg *msg)
{
    struct place *place = gw_container_of(msg, struct place, commands[COMMAND_START]);
    gw_shard_start(place->shard, on_shard_started, place);
}

static void on_shard_listen(struct gw_msg *msg)
{
    struct place *place = gw_container_of(msg, struct place, commands[COMMAND_LISTEN]);
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
    struct place *place = gw_container_of(msg, struct place, commands[COMMAND_DRAIN]);
    if (place->http)
        gw_http_server_drain(place->http);
    gw_shard_drain(place->shard, on_shard_idle, place);
}

static void on_shard_cut(struct gw_msg *msg)
{
    struct place *place = gw_container_of(msg, struct place, commands[COMMAND_CUT]);
    gw_shard_cut(place->shard);
    gw_api_cut(place->api);
}

static void run_shard(void *ctx)
{
    struct place *place = ctx;
    gw_loop_run(place->env);
}

/* ── DRAINING ──────────────────────────────────────────────────────────────────────────────── */

static void command_all(struct serve *serve, enum command command)
{
    for (size_t i = 0; i < serve->place_count; i++)
        gw_env_post(serve->places[i].env, &serve->places[i].commands[command]);
}

static void on_grace_over(struct gw_timer *timer)
{
    struct serve *serve = gw_container_of(timer, struct serve, grace);
    if (serve->cut) {
        gw_log(GW_LOG_ERROR, "stopped_at_once", GW_S("why", "something under way does not end"));
        _exit(EXIT_FAILED);
    }
    gw_log(GW_LOG_WARN, "grace_over",
           GW_I("attempts", gw_flow_gauge(&serve->flow, GW_GAUGE_IN_FLIGHT)));
    serve->cut = true;
    command_all(serve, COMMAND_CUT);
    gw_env_timer_set(serve->home, &serve->grace, CUT_MS);
}

static void drain(struct serve *serve, const char *why)
{
    gw_log(GW_LOG_INFO, "draining", GW_S("why", why), GW_I("graceS", serve->settings.grace_s));
    serve->state = DRAINING;
    serve->left = serve->place_count;
    command_all(serve, COMMAND_DRAIN);
    gw_env_timer_set(serve->home, &serve->grace, serve->settings.grace_s * 1000);
}

static void on_idle(struct gw_msg *msg)
{
    struct serve *serve = gw_container_of(msg, struct place, answers[COMMAND_DRAIN])->serve;
    if (--serve->left == 0)
        gw_loop_stop(serve->home);
}

static void on_signal(void *ctx, int number)
{
    struct serve *serve = ctx;
    const char *name = number == SIGTERM ? "SIGTERM" : "SIGINT";
    if (serve->state == DRAINING) {
        gw_log(GW_LOG_WARN, "stopped_at_once", GW_S("why", name));
        _exit(EXIT_FAILED);
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
    _exit(EXIT_FAILED);
}

/* ── STARTING and LISTENING ────────────────────────────────────────────────────────────────── */

static void start_failed(struct serve *serve, const char *why)
{
    gw_log(GW_LOG_ERROR, "cannot_start", GW_S("why", why));
    serve->exit_code = EXIT_CANNOT_START;
    drain(serve, "the start failed");
}

static void be_ready(struct serve *serve)
{
    serve->state = READY;
    gw_log(GW_LOG_INFO, "listening", GW_S("address", serve->settings.listen_host),
           GW_I("port", serve->port), GW_I("shards", serve->place_count));
}

static void listen_at(struct place *place)
{
    gw_env_post(place->env, &place->commands[COMMAND_LISTEN]);
}

/* The first has the port, which may have been any: then the others share it. */
static void on_listening(struct gw_msg *msg)
{
    struct place *place = gw_container_of(msg, struct place, answers[COMMAND_LISTEN]);
    struct serve *serve = place->serve;
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
    struct place *place = gw_container_of(msg, struct place, answers[COMMAND_START]);
    struct serve *serve = place->serve;
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

/* ── OPENING ───────────────────────────────────────────────────────────────────────────────── */

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

static enum gw_err open_store(struct serve *serve, struct gw_error *error)
{
    const struct gw_settings *settings = &serve->settings;
    struct gw_sqlite_options options = {
        .dir = settings->data,
        .queue_max = settings->queue_max,
        .group_max = settings->commit_max,
        .disk_reserve_bytes = settings->disk_reserve_bytes,
        .cache_bytes = settings->store_cache_bytes,
        .retention_ms = settings->retention_days * 86400000,
        .audit_keep_ms = settings->audit_retention_days * 86400000,
    };
    struct gw_master_key_place place = {
        .data = settings->data,
        .file = settings->master_key_file,
        .text = settings->master_key,
    };
    bool made;
    enum gw_err err = gw_master_key_load(&place, serve->home, options.master_key, &made, error);
    if (err == GW_OK && made)
        gw_log(GW_LOG_INFO, "master_key_made", GW_S("data", settings->data));
    if (err == GW_OK)
        err = gw_sqlite_open(&options, serve->home, &serve->store, error);
    gw_wipe(options.master_key, sizeof(options.master_key));
    if (err == GW_OK)
        gw_log(GW_LOG_INFO, "store_open", GW_S("data", settings->data));
    return err;
}

static enum gw_err load_key(struct serve *serve, struct gw_error *error)
{
    const struct gw_settings *settings = &serve->settings;
    char path[PATH_MAX];
    bool made;
    if (settings->admin_key) {
        snprintf(serve->key, sizeof(serve->key), "%s", settings->admin_key);
        return GW_OK;
    }
    int len = snprintf(path, sizeof(path), "%s/admin.key", settings->data);
    if (len < 0 || (size_t)len >= sizeof(path))
        return gw_error_set(error, GW_ERR_INVALID, "--data: the path is too long");
    enum gw_err err = gw_admin_key_load(path, serve->home, serve->key, &made, error);
    if (err == GW_OK && made)
        gw_log(GW_LOG_INFO, "admin_key_made", GW_S("path", path));
    return err;
}

static void flow_init(struct serve *serve)
{
    const struct gw_settings *settings = &serve->settings;
    serve->flow = (struct gw_flow){
        .options =
            {
                .guard = settings->guard,
                .user_agent = "generic-webhook/" GW_VERSION,
                .dedupe_ms = settings->dedupe_window_s * 1000,
                .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                .in_flight_max = settings->in_flight,
                .accepts_max = settings->queue_max / serve->place_count + 1,
                .memory_max = settings->memory_deliveries,
                .body_bytes_max = settings->memory_body_bytes,
                .snapshots_max = settings->memory_apps,
                .intake_rate = (uint32_t)settings->intake_rate,
            },
        .ledger = gw_sqlite_ledger(serve->store),
        .configs = gw_sqlite_configs(serve->store),
        .admin = gw_sqlite_admin(serve->store),
        .log = gw_log_sink_log(&serve->log),
        .shards = gw_zalloc(serve->place_count * sizeof(struct gw_shard *)),
        .shard_count = serve->place_count,
    };
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

static enum gw_err make_place(struct serve *serve, size_t index, struct gw_error *error)
{
    const struct gw_settings *settings = &serve->settings;
    struct place *place = &serve->places[index];
    struct gw_loop_options loop = {
        .ca_file = settings->ca_file,
        .name_servers = settings->name_servers,
    };
    struct gw_api_options api = {
        .allowed_ips = settings->allowed_ips,
        .trusted_proxies = settings->trusted_proxies,
        .admin_key = serve->key,
        .jwt_key = serve->jwt_key,
        .auth_url = settings->auth_url,
        .apis = serve->apis,
        .event_bytes_max = settings->max_body_bytes,
        .secret_overlap_ms = settings->secret_overlap_s * 1000,
        .version = GW_VERSION,
    };
    enum gw_err err = gw_loop_create(&loop, &place->env, error);
    if (err != GW_OK)
        return err;
    place->serve = serve;
    place->index = index;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        place->commands[i].run = speech[i].command;
        place->answers[i].run = speech[i].answer;
    }
    place->shard = gw_shard_create(&serve->flow, place->env, index);
    place->api = gw_api_create(place->shard, &api);
    serve->flow.shards[index] = place->shard;
    return GW_OK;
}

static size_t core_count(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > 64 ? 64 : (size_t)cores;
}

static enum gw_err open_all(struct serve *serve, struct gw_error *error)
{
    enum gw_err err = gw_loop_create(NULL, &serve->home, error);
    if (err == GW_OK && serve->settings.public_cert)
        err = gw_public_cert_load(serve->settings.public_cert, &serve->jwt_key, error);
    if (err == GW_OK)
        err = open_store(serve, error);
    if (err == GW_OK)
        err = gw_log_sink_open(&serve->log, &serve->settings, serve->home, NULL, error);
    if (err == GW_OK)
        err = load_key(serve, error);
    if (err != GW_OK)
        return err;
    serve->place_count = serve->settings.shards ? serve->settings.shards : core_count();
    serve->apis = gw_zalloc(serve->place_count * sizeof(struct gw_api *));
    serve->places = gw_zalloc(serve->place_count * sizeof(*serve->places));
    flow_init(serve);
    for (size_t i = 0; err == GW_OK && i < serve->place_count; i++)
        err = make_place(serve, i, error);
    return err;
}

/* ── The whole life ────────────────────────────────────────────────────────────────────────── */

static void run(struct serve *serve)
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

static void close_all(struct serve *serve)
{
    if (serve->store)
        gw_sqlite_close(serve->store);
    gw_log_sink_close(&serve->log);
    for (size_t i = 0; i < serve->place_count; i++) {
        struct place *place = &serve->places[i];
        if (place->env)
            gw_loop_destroy(place->env); /* lets go of timers and messages that live in the rest */
        if (place->api)
            gw_api_destroy(place->api);
        if (place->shard)
            gw_shard_destroy(place->shard);
    }
    if (serve->home)
        gw_loop_destroy(serve->home);
    gw_wipe(serve->key, sizeof(serve->key));
    gw_rsa_key_free(serve->jwt_key);
    gw_free(serve->apis);
    gw_free(serve->flow.shards);
    gw_free(serve->places);
    gw_settings_deinit(&serve->settings);
}

/* The settings; >= 0: the exit code, there is nothing to serve. */
static int read_settings(struct serve *serve, int argc, char **argv)
{
    struct gw_error error;
    if (gw_settings_parse(&serve->settings, argc - 1, argv + 1, environ, &error) != GW_OK) {
        fprintf(stderr, "gwh serve: %s\n", error.text);
        return EXIT_USAGE;
    }
    if (!serve->settings.help)
        return -1;
    struct gw_buf help = {0};
    gw_settings_help(&help);
    fputs(gw_buf_text(&help), stdout);
    gw_buf_deinit(&help);
    return 0;
}

int gw_serve_main(int argc, char **argv)
{
    static struct serve serve;
    struct gw_error error;
    const char *unknown;
    size_t at = 0;
    int code = read_settings(&serve, argc, argv);
    if (code >= 0)
        return code;
    gw_log_level_set(serve.settings.log_level);
    gw_log(GW_LOG_INFO, "starting", GW_S("version", GW_VERSION), GW_S("data", serve.settings.data),
           GW_I("pid", getpid()));
    while ((unknown = gw_settings_unknown_env(environ, &at)))
        gw_log(GW_LOG_WARN, "unknown_variable",
               GW_SL("name", ((struct gw_slice){unknown, strcspn(unknown, "=")})));
    raise_descriptors();
    gw_sys_init();
    if (open_all(&serve, &error) == GW_OK) {
        run(&serve);
    } else {
        gw_log(GW_LOG_ERROR, "cannot_start", GW_S("why", error.text));
        serve.exit_code = EXIT_CANNOT_START;
    }
    close_all(&serve);
    gw_log(GW_LOG_INFO, "stopped", GW_I("exit", serve.exit_code));
    return serve.exit_code;
}
