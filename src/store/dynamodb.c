/* dynamodb.c: the four ports over DynamoDB and S3. Owns the store's struct, what is derived of the
 * master key, and the table of which function does an operation:
 *
 *   dynamodb_run.c        an operation under way, and what a failure of AWS means
 *   dynamodb_key.c        ids, hashes, seals
 *   dynamodb_tables.c     the tables, and how they are made
 *   dynamodb_item.c       an event and its deliveries as items
 *   dynamodb_accept.c     accept
 *   dynamodb_add.c        add
 *   dynamodb_delivery.c   claim, settle, retry
 *   dynamodb_look.c       load, find
 *   dynamodb_hours.c      an app's events and deliveries of an hour
 *   dynamodb_list.c       list
 *   dynamodb_tally.c      tally
 *   dynamodb_open.c       what is open in a lane
 *   dynamodb_health.c     the health of targets
 *   dynamodb_pace.c       the pace port
 *   dynamodb_configs.c    the configs port, but for
 *   dynamodb_config_change.c   put, remove
 *   dynamodb_admin.c      the admin port
 *   dynamodb_change.c     a change and its line of the audit log, in one transaction
 *   dynamodb_query.c      a Query to its end
 *
 * Threads: envs join before the loops run; after that nothing here changes but two times of failures,
 * so any number of loops use it, each for operations of its own env.
 */
#include "store/dynamodb_impl.h"

#include "base/check.h"
#include "base/crypto.h"

#include <stdio.h>

#define FAILING_MS 5000

static dynamodb_fn *const does[GW_CALL_COUNT] = {
    [GW_CALL_ACCEPT] = dynamodb_accept,
    [GW_CALL_ADD] = dynamodb_add,
    [GW_CALL_CLAIM] = dynamodb_claim,
    [GW_CALL_SETTLE] = dynamodb_settle,
    [GW_CALL_RETRY] = dynamodb_retry,
    [GW_CALL_LOAD] = dynamodb_load,
    [GW_CALL_FIND] = dynamodb_find,
    [GW_CALL_LIST] = dynamodb_list,
    [GW_CALL_TALLY] = dynamodb_tally,
    [GW_CALL_OPEN_LANES] = dynamodb_open_lanes,
    [GW_CALL_REFILL] = dynamodb_refill,
    [GW_CALL_HEALTH_SAVE] = dynamodb_health_save,
    [GW_CALL_HEALTH_LOAD] = dynamodb_health_load,
    [GW_CALL_SLOT] = dynamodb_slot,
    [GW_CALL_CONFIG_LOAD] = dynamodb_configs_start,
    [GW_CALL_CONFIG_PUT] = dynamodb_configs_start,
    [GW_CALL_CONFIG_REMOVE] = dynamodb_configs_start,
    [GW_CALL_CONFIG_LIST] = dynamodb_configs_start,
    [GW_CALL_KEY_PUT] = dynamodb_admin_start,
    [GW_CALL_KEY_REMOVE] = dynamodb_admin_start,
    [GW_CALL_KEY_FIND] = dynamodb_admin_start,
    [GW_CALL_KEY_LIST] = dynamodb_admin_start,
    [GW_CALL_AUDIT_ADD] = dynamodb_admin_start,
    [GW_CALL_AUDIT_LIST] = dynamodb_admin_start,
};

/* Stats: the delivery log has them. Erase: nobody asks for it here; it would have to delete objects of
 * S3, in all their versions. */
static void not_here(struct dynamodb_run *run)
{
    dynamodb_done(run, GW_ERR_UNAVAILABLE);
}

static void start(struct gw_dynamodb *store, struct gw_op *op)
{
    dynamodb_start(store, op, does[op->kind] ? does[op->kind] : not_here);
}

static void start_ledger(struct gw_ledger *ledger, struct gw_op *op)
{
    start(gw_container_of(ledger, struct gw_dynamodb, ledger), op);
}

static void start_configs(struct gw_configs *configs, struct gw_op *op)
{
    start(gw_container_of(configs, struct gw_dynamodb, configs), op);
}

static void start_admin(struct gw_admin *admin, struct gw_op *op)
{
    start(gw_container_of(admin, struct gw_dynamodb, admin), op);
}

static void start_pace(struct gw_pace *pace, struct gw_op *op)
{
    start(gw_container_of(pace, struct gw_dynamodb, pace), op);
}

/* Nobody counts all items of a table, and AWS has no disk that could be full. A failure counts for a
 * while only: where events come no more because of it, no call could show that it is over. */
static struct gw_ledger_state get_state(struct gw_ledger *ledger)
{
    struct gw_dynamodb *store = gw_container_of(ledger, struct gw_dynamodb, ledger);
    int64_t failed_us = atomic_load(&store->failed_us);
    bool is_failing = failed_us != 0 && store->joined_count > 0 &&
                      gw_env_mono_us(store->joined[0].env) - failed_us < FAILING_MS * (int64_t)1000;

    return (struct gw_ledger_state){
        .accepting = !is_failing,
        .why =
            is_failing ? "DynamoDB does not answer, has no such table, or does not allow it" : "",
    };
}

struct gw_dynamodb *gw_dynamodb_create(const struct gw_dynamodb_options *options)
{
    struct gw_dynamodb *store = gw_zalloc(sizeof(*store));

    store->ledger = (struct gw_ledger){.start = start_ledger, .state = get_state};
    store->configs.start = start_configs;
    store->admin.start = start_admin;
    store->pace.start = start_pace;
    store->options = *options;
    for (int i = 0; i < DYNAMODB_TABLES; i++) {
        const char *suffix = dynamodb_table_suffix((enum dynamodb_table)i);
        size_t room = strlen(options->tables) + strlen(suffix) + 2;
        store->tables[i] = gw_alloc(room);
        snprintf(store->tables[i], room, "%s-%s", options->tables, suffix);
    }
    dynamodb_keys_init(store);
    return store;
}

void gw_dynamodb_join(struct gw_dynamodb *store, struct gw_env *env, struct gw_aws *aws)
{
    store->joined = gw_realloc(store->joined, (store->joined_count + 1) * sizeof(*store->joined));
    store->joined[store->joined_count++] = (struct dynamodb_joined){env, aws};
}

void gw_dynamodb_destroy(struct gw_dynamodb *store)
{
    if (store == NULL)
        return;
    for (int i = 0; i < DYNAMODB_TABLES; i++)
        gw_free(store->tables[i]);
    gw_free(store->joined);
    gw_wipe(store, sizeof(*store));
    gw_free(store);
}

struct gw_ledger *gw_dynamodb_ledger(struct gw_dynamodb *store)
{
    return &store->ledger;
}

struct gw_configs *gw_dynamodb_configs(struct gw_dynamodb *store)
{
    return &store->configs;
}

struct gw_admin *gw_dynamodb_admin(struct gw_dynamodb *store)
{
    return &store->admin;
}

struct gw_pace *gw_dynamodb_pace(struct gw_dynamodb *store)
{
    return &store->pace;
}
