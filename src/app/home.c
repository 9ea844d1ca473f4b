/* home.c: see home.h. Owns nothing that stays. */
#include "app/home.h"

#include <stdio.h>

#define CONNECT_TIMEOUT_MS 5000
#define DAY_MS             ((int64_t)86400000)

/* What one message can bring; an event has more deliveries only by replays. */
#define MESSAGE_DELIVERIES 1000

extern char **environ;

void gw_home_help(void)
{
    struct gw_buf help = {0};
    gw_settings_help(&help);
    fputs(gw_buf_text(&help), stdout);
    gw_buf_deinit(&help);
}

void gw_home_warn_of_unknown(void)
{
    const char *unknown;
    size_t at = 0;
    while ((unknown = gw_settings_unknown_env(environ, &at)))
        gw_log(GW_LOG_WARN, "unknown_variable",
               GW_SL("name", ((struct gw_slice){unknown, strcspn(unknown, "=")})));
}

struct gw_flow_options gw_home_flow_options(const struct gw_settings *settings, bool is_on_aws)
{
    return (struct gw_flow_options){
        .guard = settings->guard,
        .user_agent = "generic-webhook/" GW_VERSION,
        .dedupe_ms = settings->dedupe_window_s * 1000,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .in_flight_max = settings->in_flight,
        .accepts_max = settings->queue_max,
        .memory_max = settings->memory_deliveries,
        .body_bytes_max = settings->memory_body_bytes,
        .snapshots_max = settings->memory_apps,
        .intake_rate = (uint32_t)settings->intake_rate,
        .is_shared = is_on_aws,
        .workers = settings->workers,
        .snapshot_age_max_ms = is_on_aws ? GW_HOME_SHARED_KEEP_MS : 0,
    };
}

struct gw_flow gw_home_road_flow(const struct gw_settings *settings, struct gw_dynamodb *store,
                                 struct gw_delivery_log *log, struct gw_shard **shard)
{
    struct gw_flow flow = {
        .options = gw_home_flow_options(settings, true),
        .ledger = gw_dynamodb_ledger(store),
        .configs = gw_dynamodb_configs(store),
        .admin = gw_dynamodb_admin(store),
        .pace = gw_dynamodb_pace(store),
        .log = log,
        .shards = shard,
        .shard_count = 1,
    };
    flow.options.dedupe_ms = settings->retention_days * DAY_MS;
    flow.options.memory_max = settings->messages * MESSAGE_DELIVERIES;
    return flow;
}

enum gw_err gw_home_road_init(const struct gw_settings *settings, struct gw_road *road,
                              struct gw_shard *shard, struct gw_aws *aws, struct gw_error *error)
{
    struct gw_road_options options = {
        .buckets = settings->buckets,
        .queue_url = settings->queue_url,
        .wake_queue_url = settings->wake_queue_url,
        .body_bytes_max = settings->max_body_bytes,
    };
    return gw_road_init(road, shard, aws, &options, error);
}
