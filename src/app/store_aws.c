/* store_aws.c: see store_aws.h. Owns nothing that stays. */
#include "app/store_aws.h"

#include "app/master_key.h"
#include "base/crypto.h"

#define DAY_MS ((int64_t)86400000)

enum gw_err gw_store_aws_open(const struct gw_settings *settings, bool takes_events,
                              struct gw_env *env, struct gw_dynamodb **store,
                              struct gw_error *error)
{
    struct gw_dynamodb_options options = {
        .tables = settings->tables,
        .retention_ms = settings->retention_days * DAY_MS,
        .audit_keep_ms = settings->audit_retention_days * DAY_MS,
        .queue_url = settings->wake_queue_url ? settings->wake_queue_url : settings->queue_url,
        .put_bucket = takes_events ? settings->events_bucket : NULL,
    };
    struct gw_master_key_place place = {
        .file = settings->master_key_file,
        .text = settings->master_key,
    };
    bool made;
    enum gw_err err = gw_master_key_load(&place, env, options.master_key, &made, error);
    if (err == GW_OK)
        *store = gw_dynamodb_create(&options);
    gw_wipe(options.master_key, sizeof(options.master_key));
    if (err == GW_OK)
        gw_log(GW_LOG_INFO, "store_open", GW_S("tables", settings->tables));
    return err;
}

enum gw_err gw_store_aws_join(struct gw_dynamodb *store, struct gw_env *env, struct gw_aws **aws,
                              struct gw_error *error)
{
    enum gw_err err = gw_aws_create(env, aws, error);
    if (err == GW_OK)
        gw_dynamodb_join(store, env, *aws);
    return err;
}
