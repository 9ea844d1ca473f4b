/* backend_dynamodb.c: DynamoDB and S3 (or an emulator of them) as the environment says, on a real loop.
 * Each world has tables of its own, and shares the bucket GWH_TEST_BUCKET.
 *
 * The suite accepts events without a place; here an event's bytes must be in S3 before. So what stands
 * in front of the ledger puts them there first. */
#include "rig_dynamodb.h"

#include "aws/s3.h"
#include "aws/sqs.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "store/dynamodb.h"
#include "sys/loop.h"

#include <stdio.h>
#include <stdlib.h>

struct rig {
    struct gw_ledger ledger; /* in front of the store's */
    struct world *world;
    struct gw_aws *aws;
    struct gw_dynamodb *store;
    struct gw_dynamodb_options options;
    char tables[64];
    const char *bucket;
    bool is_made;
};

struct put {
    struct gw_aws_object object;
    struct gw_arena arena;
    struct rig *rig;
    struct gw_accept *op;
};

static void on_put(struct gw_aws_object *object)
{
    struct put *put = gw_container_of(object, struct put, object);
    struct gw_arena *arena = &put->rig->world->arena;
    struct gw_place *place = &put->op->message->place;

    if (object->call.error.code != GW_OK)
        gw_check_failed(object->call.error.text, __FILE__, __LINE__);
    place->bucket = gw_slice_from(put->rig->bucket);
    place->key = gw_arena_dup(arena, object->key);
    place->etag =
        gw_arena_dup(arena, (struct gw_slice){object->etag.ptr + 1, object->etag.len - 2});
    struct gw_ledger *ledger = gw_dynamodb_ledger(put->rig->store);
    struct gw_op *op = &put->op->op;
    gw_arena_deinit(&put->arena);
    gw_free(put);
    ledger->start(ledger, op);
}

static void put_start(struct rig *rig, struct gw_accept *op)
{
    struct put *put = gw_zalloc(sizeof(*put));
    struct gw_buf name = {0};
    uint8_t random[16];

    gw_random_bytes(random, sizeof(random));
    gw_hex_encode(&name, random, sizeof(random));
    put->rig = rig;
    put->op = op;
    put->object = (struct gw_aws_object){
        .call = {.client = &rig->aws->clients[GW_AWS_S3],
                 .arena = &put->arena,
                 .deadline_us = gw_env_mono_us(rig->world->env) + 30000000},
        .bucket = gw_slice_from(rig->bucket),
        .key = gw_arena_dup(&put->arena, gw_buf_slice(&name)),
        .body = op->message->body,
        .done = on_put,
    };
    gw_buf_deinit(&name);
    gw_aws_s3_put(&put->object);
}

static void start(struct gw_ledger *ledger, struct gw_op *op)
{
    struct rig *rig = gw_container_of(ledger, struct rig, ledger);
    struct gw_ledger *store = gw_dynamodb_ledger(rig->store);
    bool is_late = op->deadline_us && op->deadline_us < gw_env_mono_us(rig->world->env);

    struct gw_accept *accept = gw_container_of(op, struct gw_accept, op);

    if (op->kind == GW_CALL_ACCEPT && !is_late && accept->message->place.bucket.ptr == NULL)
        put_start(rig, accept);
    else
        store->start(store, op);
}

static struct gw_ledger_state get_state(struct gw_ledger *ledger)
{
    return gw_ledger_state(gw_dynamodb_ledger(gw_container_of(ledger, struct rig, ledger)->store));
}

static void on_made(struct gw_dynamodb_init *init)
{
    gw_loop_stop(init->aws->clients[GW_AWS_DYNAMODB].env);
}

static void make_tables(struct rig *rig)
{
    struct gw_dynamodb_init init = {.aws = rig->aws, .tables = rig->tables, .done = on_made};

    gw_dynamodb_init_start(&init);
    gw_loop_run(rig->world->env);
    if (init.error.code != GW_OK)
        gw_check_failed(init.error.text, __FILE__, __LINE__);
    gw_check(init.made == 3);
}

static void open_dynamodb(struct world *world)
{
    struct rig *rig = world->rig;
    struct gw_error error;
    uint64_t random;

    if (rig == NULL) {
        rig = world->rig = gw_zalloc(sizeof(*rig));
        gw_random_bytes(&random, sizeof(random));
        snprintf(rig->tables, sizeof(rig->tables), "t%016llx", (unsigned long long)random);
        rig->bucket = getenv("GWH_TEST_BUCKET");
        gw_check(rig->bucket != NULL);
    }
    rig->world = world;
    rig->ledger = (struct gw_ledger){.start = start, .state = get_state};
    if (gw_aws_create(world->env, &rig->aws, &error) != GW_OK)
        gw_check_failed(error.text, __FILE__, __LINE__);
    if (!rig->is_made)
        make_tables(rig);
    rig->is_made = true;
    rig->options = (struct gw_dynamodb_options){
        .tables = rig->tables,
        .master_key = "the master key of these tests",
        .retention_ms = 3650 * DAY_MS, /* the suite's events are old */
        .queue_url = getenv("GWH_TEST_QUEUE"),
    };
    rig->store = gw_dynamodb_create(&rig->options);
    gw_dynamodb_join(rig->store, world->env, rig->aws);
    world->store = rig->store;
    world->ledger = &rig->ledger;
    world->configs = gw_dynamodb_configs(rig->store);
    world->admin = gw_dynamodb_admin(rig->store);
    world->pace = gw_dynamodb_pace(rig->store);
}

static void close_dynamodb(struct world *world)
{
    struct rig *rig = world->rig;

    gw_dynamodb_destroy(rig->store);
    gw_aws_destroy(rig->aws);
}

static void end(struct world *world)
{
    gw_free(world->rig);
}

/* ── Beside it ─────────────────────────────────────────────────────────────────────────────── */

static struct gw_aws_call call_of(struct rig *rig, enum gw_aws_service service)
{
    return (struct gw_aws_call){
        .client = &rig->aws->clients[service],
        .arena = &rig->world->arena,
        .deadline_us = gw_env_mono_us(rig->world->env) + 30000000,
    };
}

static void succeed(struct rig *rig, const struct gw_aws_call *call)
{
    gw_loop_run(rig->world->env);
    if (call->error.code != GW_OK)
        gw_check_failed(call->error.text, __FILE__, __LINE__);
}

static void stop(const struct gw_aws_call *call)
{
    gw_loop_stop(call->client->env);
}

static void on_object(struct gw_aws_object *object)
{
    stop(&object->call);
}

void rig_put_to(struct world *world, struct gw_place place, struct gw_slice body)
{
    struct rig *rig = world->rig;
    struct gw_aws_object object = {
        .call = call_of(rig, GW_AWS_S3),
        .bucket = place.bucket,
        .key = place.key,
        .body = body,
        .done = on_object,
    };

    gw_aws_s3_put(&object);
    succeed(rig, &object.call);
}

void rig_put(struct world *world, struct gw_slice key, struct gw_slice body)
{
    struct rig *rig = world->rig;

    rig_put_to(world, (struct gw_place){.bucket = gw_slice_from(rig->bucket), .key = key}, body);
}

static void on_listed(struct gw_aws_list *list)
{
    stop(&list->call);
}

static bool is_body_of(struct rig *rig, struct gw_place *place, struct gw_slice body)
{
    struct gw_aws_object object = {
        .call = call_of(rig, GW_AWS_S3),
        .bucket = place->bucket,
        .key = place->key,
        .bytes_max = 1000,
        .done = on_object,
    };

    gw_aws_s3_get(&object);
    succeed(rig, &object.call);
    place->version_id = object.version;
    place->etag = (struct gw_slice){object.etag.ptr + 1, object.etag.len - 2};
    return gw_slice_eq(object.call.reply, body);
}

static void find_body(struct rig *rig, const char *bucket, struct gw_slice body,
                      struct gw_place *place)
{
    struct gw_aws_list list = {
        .call = call_of(rig, GW_AWS_S3),
        .bucket = gw_slice_from(bucket),
        .prefix = GW_SLICE("events/"),
        .done = on_listed,
    };

    gw_aws_s3_list(&list);
    succeed(rig, &list.call);
    for (size_t i = 0; i < list.count; i++) {
        *place = (struct gw_place){.bucket = list.bucket, .key = list.items[i].key};
        if (is_body_of(rig, place, body))
            return;
    }
    gw_check_failed("no object has that body", __FILE__, __LINE__);
}

void rig_put_event(struct world *world, const char *bucket, struct gw_accept *op,
                   struct gw_place *place)
{
    struct rig *rig = world->rig;
    struct gw_dynamodb_options options = rig->options;

    options.put_bucket = bucket;
    struct gw_dynamodb *store = gw_dynamodb_create(&options);
    gw_dynamodb_join(store, world->env, rig->aws);
    struct gw_ledger *ledger = gw_dynamodb_ledger(store);
    world_arm(world, &op->op);
    gw_ledger_accept(ledger, op);
    world_wait(world);
    gw_dynamodb_destroy(store);
    find_body(rig, bucket, op->message->body, place);
}

static void on_deleted(struct gw_aws_call *call)
{
    stop(call);
}

void rig_delete(struct world *world, struct gw_slice key)
{
    struct rig *rig = world->rig;
    struct gw_aws_call call = call_of(rig, GW_AWS_S3);
    const char *path = gw_arena_printf(&world->arena, "/%s/%.*s", rig->bucket, GW_SLICE_ARG(key));

    call.what = "DeleteObject";
    call.method = "DELETE";
    call.path = gw_slice_from(path);
    call.reply_bytes_max = 1000;
    call.done = on_deleted;
    gw_aws_call_start(&call);
    succeed(rig, &call);
}

static void on_received(struct gw_aws_receive *receive)
{
    stop(&receive->call);
}

bool rig_wake(struct world *world, struct gw_wake *wake, unsigned wait_s)
{
    struct rig *rig = world->rig;
    struct gw_aws_receive receive = {
        .call = call_of(rig, GW_AWS_SQS),
        .queue_url = gw_slice_from(getenv("GWH_TEST_QUEUE")),
        .count = 1,
        .wait_s = wait_s,
        .hidden_s = 3600,
        .done = on_received,
    };

    gw_aws_sqs_receive(&receive);
    succeed(rig, &receive.call);
    return receive.message_count == 1 &&
           gw_wake_read(wake, receive.messages[0].body, &world->arena);
}

void rig_drain(struct world *world)
{
    struct gw_wake wake;

    while (rig_wake(world, &wake, 0))
        ;
}

static const char *const left_out[] = {
    /* What is there is there until its retention is over: that is the window. */
    "accept test_window",
    /* An event that was skipped is routed anew as the same item. */
    "accept test_a_skip_does_not_block",
    "accept test_skip_reasons_are_kept",
    /* The order among deliveries due at one time is no order of time: ids are not. */
    "accept test_stores_and_offers",
    "accept test_add",
    /* Nothing queues here. */
    "accept test_a_full_queue_refuses_accepts_alone",
    /* Write ids are drawn, and only a claim gives one. */
    "settle test_claim",
    "settle test_stale",
    "settle test_not_open",
    "settle test_repeated",
    "settle test_two_at_once",
    "order test_a_later_deadline_is_none",
    /* 256 bytes of a reply are kept. */
    "settle test_the_record_is_kept_whole",
    /* A retry is written, and whoever is woken has the delivery. */
    "settle test_retry_of_pending",
    "settle test_retry_of_dead",
    "settle test_retry_of_dead_without_attempt",
    "settle test_retry_refuses",
    /* Lanes are not held in memory. */
    "open test_open_lanes",
    /* Many processes write: there is no order among what goes on at once. */
    "order test_completions_and_offers_in_order",
    "order test_refill_behind_accepts",
    "order test_refill_beside_settles",
    "order test_refill_beside_moves",
    /* The newest of those accepted at one time is not known. */
    "look test_find",
    /* Lists are of one app. */
    "look test_list_filters",
    "look test_list_rows_are_whole",
    "look test_list_page_by_page",
    "look test_list_while_events_arrive",
    "look test_list_refuses_a_cursor_of_nobody",
    "look test_list_at_most",
    /* So is health. */
    "look test_health",
    /* Nothing is counted. */
    "look test_totals",
    "configs test_counted",
    "stats",
    /* It is between the suite and a backend whose write ids can be guessed. */
    "fault",
    "last",
    /* To come. */
    "tally",
    "erase",
    NULL,
};

const struct backend backend_dynamodb = {
    .name = "dynamodb",
    .on_loop = true,
    .is_shared = true,
    .open = open_dynamodb,
    .close = close_dynamodb,
    .end = end,
    .queue_max = 100,
    .left_out = left_out,
};
