/* dynamodb_health.c: the health of targets: in the admin table, pk "health#APP", sk a hash of the URL,
 * for a URL may be longer than a key can, and hold a token. The document is sealed: the URL, a line
 * feed, then what the caller says of it.
 *
 * At a start there is nothing to load for all apps: each app's is read when the app is. */
#include "store/dynamodb_impl.h"

#include "base/check.h"
#include "base/crypto.h"

#define HEALTH_BYTES_MAX 1024
#define ROWS_MAX         10000
#define WAKE_DELAY_S     8 /* and 5 s later what it changed is in force everywhere */

static struct gw_slice pk_of(struct gw_arena *arena, struct gw_slice app_id)
{
    struct gw_slice parts[] = {GW_SLICE("health#"), app_id};

    return dynamodb_concat(arena, parts, gw_count(parts));
}

/* ── Save ──────────────────────────────────────────────────────────────────────────────────── */

static void on_saved(struct dynamodb_run *run)
{
    if (dynamodb_err(run) == GW_OK)
        dynamodb_done(run, GW_OK);
    else
        dynamodb_fail(run, &run->db.call);
}

static void save(struct dynamodb_run *run)
{
    const struct gw_health_row *health =
        &gw_container_of(run->op, struct gw_health_save, op)->health;
    struct gw_slice pk = pk_of(&run->arena, health->app_id);
    struct gw_slice sk = dynamodb_hash_text(run->store, &run->arena, &health->url, 1);

    if (health->json.len == 0) {
        struct gw_aws_dynamodb *db = dynamodb_request_on(run, GW_AWS_DELETE_ITEM, DYNAMODB_ADMIN);
        dynamodb_put_key(run, db->root, pk, sk);
        dynamodb_send(run, on_saved);
        return;
    }
    struct gw_slice parts[] = {health->url, GW_SLICE("\n"), health->json};
    struct gw_slice text = dynamodb_concat(&run->arena, parts, gw_count(parts));
    struct gw_slice sealed = dynamodb_seal(run->store, &run->arena, pk, sk, "doc", text);
    struct gw_aws_dynamodb *db = dynamodb_request_on(run, GW_AWS_PUT_ITEM, DYNAMODB_ADMIN);
    yyjson_mut_val *item = gw_aws_dynamodb_object(db, db->root, "Item");
    gw_aws_dynamodb_put_text(db, item, "pk", pk);
    gw_aws_dynamodb_put_text(db, item, "sk", sk);
    gw_aws_dynamodb_put_bytes(db, item, "doc", sealed);
    dynamodb_send(run, on_saved);
}

static void on_woken(struct dynamodb_run *run, const struct gw_aws_batch *sent)
{
    if (sent->call.error.code == GW_OK)
        save(run);
    else
        dynamodb_fail(run, &sent->call);
}

/* Before it is saved, for a crash between the two must not leave it held; and for when everybody knows
 * of the change. */
static void wake(struct dynamodb_run *run, const struct gw_health_row *health)
{
    struct gw_wake wake = {.kind = GW_WAKE_TARGET, .app_id = health->app_id};
    struct gw_aws_entry entry = {.delay_s = WAKE_DELAY_S};

    gw_sha256(health->url, wake.target);
    entry.body = dynamodb_wake_text(run, &wake);
    dynamodb_wake(run, &entry, 1, on_woken);
}

void dynamodb_health_save(struct dynamodb_run *run)
{
    const struct gw_health_save *op = gw_container_of(run->op, struct gw_health_save, op);

    if (op->health.json.len > HEALTH_BYTES_MAX)
        dynamodb_done(run, GW_ERR_TOO_LARGE);
    else if (op->ends_hold && run->store->options.queue_url)
        wake(run, &op->health);
    else
        save(run);
}

/* ── Load ──────────────────────────────────────────────────────────────────────────────────── */

static bool take_row(struct dynamodb_run *run, struct gw_health_load *op, struct gw_slice pk,
                     yyjson_val *item, struct gw_health_row *row)
{
    struct gw_slice sk, sealed, text;

    if (!gw_aws_dynamodb_take_text(item, "sk", &sk) ||
        !gw_aws_dynamodb_take_bytes(item, "doc", &run->arena, &sealed) ||
        !dynamodb_unseal(run->store, op->arena, pk, sk, "doc", sealed, &text))
        return false;
    row->app_id = gw_arena_dup(op->arena, op->app_id);
    if (!gw_slice_split(&text, '\n', &row->url))
        return false;
    row->json = text;
    return text.ptr != NULL;
}

static void ask_rows(struct dynamodb_run *run, yyjson_val *more);

static void on_rows(struct dynamodb_run *run)
{
    struct gw_health_load *op = gw_container_of(run->op, struct gw_health_load, op);
    struct gw_slice pk = pk_of(&run->arena, op->app_id);
    size_t i, max, more = yyjson_arr_size(run->db.items);
    yyjson_val *item;

    if (dynamodb_err(run) != GW_OK) {
        dynamodb_fail(run, &run->db.call);
        return;
    }
    struct gw_health_row *items =
        gw_arena_zalloc(op->arena, (op->count + more) * sizeof(*items) + 1);
    if (op->count > 0)
        memcpy(items, op->items, op->count * sizeof(*items));
    op->items = items;
    yyjson_arr_foreach(run->db.items, i, max, item)
    {
        if (!take_row(run, op, pk, item, &op->items[op->count++])) {
            dynamodb_done(run, GW_ERR_CORRUPT);
            return;
        }
    }
    if (run->db.more && op->count < ROWS_MAX)
        ask_rows(run, run->db.more);
    else
        dynamodb_done(run, GW_OK);
}

static void ask_rows(struct dynamodb_run *run, yyjson_val *more)
{
    struct gw_health_load *op = gw_container_of(run->op, struct gw_health_load, op);
    struct gw_aws_dynamodb *db = dynamodb_request_on(run, GW_AWS_QUERY, DYNAMODB_ADMIN);

    dynamodb_put_flag(run, db->root, "ConsistentRead");
    dynamodb_put_expression(run, db->root, "KeyConditionExpression", "#pk = :pk");
    gw_aws_dynamodb_put_text(db, dynamodb_values(run, db->root), ":pk",
                             pk_of(&run->arena, op->app_id));
    dynamodb_put_start(run, more);
    dynamodb_send(run, on_rows);
}

void dynamodb_health_load(struct dynamodb_run *run)
{
    if (gw_container_of(run->op, struct gw_health_load, op)->app_id.len == 0)
        dynamodb_done(run, GW_OK);
    else
        ask_rows(run, NULL);
}
