/* serve_impl.h: the home `serve` from inside; for serve.c and serve_open.c. */
#pragma once

#include "api/api.h"
#include "app/admin_key.h"
#include "app/log_sink.h"
#include "app/settings.h"
#include "app/store_aws.h"
#include "store/stats_sql.h"

enum gw_serve_state { OPENING, STARTING, LISTENING, READY, DRAINING };

enum gw_serve_command { COMMAND_START, COMMAND_LISTEN, COMMAND_DRAIN, COMMAND_CUT, COMMAND_COUNT };

struct gw_serve;

/* A shard and what belongs to it. */
struct gw_serve_place {
    struct gw_serve *serve;
    size_t index;
    struct gw_env *env;
    struct gw_aws *aws; /* NULL: the store is not there */
    struct gw_shard *shard;
    struct gw_api *api;
    struct gw_http_server *http;
    struct gw_thread *thread;
    struct gw_msg commands[COMMAND_COUNT];
    struct gw_msg answers[COMMAND_COUNT]; /* to START, LISTEN, DRAIN */
    enum gw_err start_err, listen_err;
    struct gw_error error;
};

struct gw_serve {
    struct gw_settings settings;
    char key[GW_ADMIN_KEY_MAX + 1];
    struct gw_env *home;
    struct gw_sqlite *store; /* of these two the one that the settings name */
    struct gw_dynamodb *aws_store;
    struct gw_log_sink log;
    struct gw_stats_sql *stats; /* NULL = the ledger counts, or nobody does */
    struct gw_rsa_key *jwt_key; /* NULL = no tokens */
    struct gw_api **apis;
    struct gw_flow flow;
    struct gw_serve_place *places;
    size_t place_count;
    size_t left; /* answers to come in this state */
    enum gw_serve_state state;
    bool cut;
    int exit_code;
    uint16_t port;
    struct gw_timer grace;
};

/* Opens the store and makes all places, before any thread runs. gw_serve_close() is due then, whether
 * it worked or not. */
enum gw_err gw_serve_open(struct gw_serve *serve, struct gw_error *error);

/* When no thread runs any more. */
void gw_serve_close(struct gw_serve *serve);
