/* serve_open.c: what the home `serve` is made of, opened and closed: the store, the delivery log, the
 * administrator's key, and for each shard its loop, its flow and its API.
 *
 * Runs on the main thread while no other does. What fails leaves the rest as it is, to be closed. */
#include "app/serve_impl.h"

#include "app/data_dir.h"
#include "app/home.h"
#include "app/master_key.h"
#include "app/public_cert.h"
#include "base/crypto.h"
#include "store/sqlite.h"
#include "sys/loop.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static enum gw_err open_embedded(struct gw_serve *serve, struct gw_error *error)
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

static enum gw_err open_store(struct gw_serve *serve, struct gw_error *error)
{
    if (!serve->settings.is_on_aws)
        return open_embedded(serve, error);
    enum gw_err err =
        gw_data_dir_make(serve->settings.data, error); /* for the administrator's key */
    if (err == GW_OK)
        err = gw_store_aws_open(&serve->settings, true, serve->home, &serve->aws_store, error);
    return err;
}

static enum gw_err load_key(struct gw_serve *serve, struct gw_error *error)
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

static void use_store(struct gw_serve *serve)
{
    struct gw_flow *flow = &serve->flow;
    if (serve->settings.is_on_aws) {
        flow->ledger = gw_dynamodb_ledger(serve->aws_store);
        flow->configs = gw_dynamodb_configs(serve->aws_store);
        flow->admin = gw_dynamodb_admin(serve->aws_store);
    } else {
        flow->ledger = gw_sqlite_ledger(serve->store);
        flow->configs = gw_sqlite_configs(serve->store);
        flow->admin = gw_sqlite_admin(serve->store);
    }
}

static void flow_init(struct gw_serve *serve)
{
    const struct gw_settings *settings = &serve->settings;
    serve->flow = (struct gw_flow){
        .options = gw_home_flow_options(settings, settings->is_on_aws),
        .log = gw_log_sink_log(&serve->log),
        .shards = gw_zalloc(serve->place_count * sizeof(struct gw_shard *)),
        .shard_count = serve->place_count,
    };
    serve->flow.options.accepts_max = settings->queue_max / serve->place_count + 1;
    use_store(serve);
}

static enum gw_err make_place(struct gw_serve *serve, size_t index, struct gw_error *error)
{
    const struct gw_settings *settings = &serve->settings;
    struct gw_serve_place *place = &serve->places[index];
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
        .stats = serve->stats ? gw_stats_sql_ledger(serve->stats) : NULL,
        .keys_keep_ms = settings->is_on_aws ? GW_HOME_SHARED_KEEP_MS : 0,
        .event_bytes_max = settings->max_body_bytes,
        .secret_overlap_ms = settings->secret_overlap_s * 1000,
        .version = GW_VERSION,
    };
    enum gw_err err = gw_loop_create(&loop, &place->env, error);
    if (err == GW_OK && settings->is_on_aws)
        err = gw_store_aws_join(serve->aws_store, place->env, &place->aws, error);
    if (err != GW_OK)
        return err;
    place->serve = serve;
    place->index = index;
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

enum gw_err gw_serve_open(struct gw_serve *serve, struct gw_error *error)
{
    enum gw_err err = gw_loop_create(NULL, &serve->home, error);
    if (err == GW_OK && serve->settings.public_cert)
        err = gw_public_cert_load(serve->settings.public_cert, &serve->jwt_key, error);
    if (err == GW_OK)
        err = open_store(serve, error);
    if (err == GW_OK)
        err = gw_log_sink_open(&serve->log, &serve->settings, serve->home, NULL, error);
    if (err == GW_OK && serve->settings.is_on_aws && serve->log.writer)
        serve->stats = gw_stats_sql_create(serve->home, serve->settings.log_url);
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

void gw_serve_close(struct gw_serve *serve)
{
    if (serve->store)
        gw_sqlite_close(serve->store);
    if (serve->aws_store)
        gw_dynamodb_destroy(serve->aws_store);
    gw_stats_sql_destroy(serve->stats);
    gw_log_sink_close(&serve->log);
    for (size_t i = 0; i < serve->place_count; i++) {
        struct gw_serve_place *place = &serve->places[i];
        gw_aws_destroy(place->aws);
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
