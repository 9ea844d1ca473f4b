/* dynamodb_pace.c: the pace port: one counter item for each target that has a rate, in the admin table,
 * pk "pace#" and a hash of app and URL. Its `next_us` is the first free moment; each slot moves it on
 * by one interval, whoever asks:
 *
 *   move on ─ it is ahead of us ──▶ the slot is where it stood
 *      ▲ └─── it is not, or new ──▶ begin at now ─▶ the slot is now
 *      └───────────── another began ──┘
 *
 * A slot whose answer was lost is nobody's: the target gets one fewer. */
#include "store/dynamodb_impl.h"

#include "base/check.h"

#define TRIES_MAX 4
#define KEEP_S    86400 /* one that nobody asks for goes */

struct slot {
    struct gw_slot *op;
    struct gw_slice pk;
    int64_t now_us, step_us;
    unsigned tries;
};

static void move_on(struct dynamodb_run *run);

static struct gw_aws_dynamodb *update(struct dynamodb_run *run)
{
    struct slot *slot = run->own;
    struct gw_aws_dynamodb *db = dynamodb_request_on(run, GW_AWS_UPDATE_ITEM, DYNAMODB_ADMIN);
    yyjson_mut_val *values = dynamodb_values(run, db->root);

    dynamodb_put_key(run, db->root, slot->pk, GW_SLICE("-"));
    dynamodb_put(run, db->root, "ReturnValues", "UPDATED_NEW");
    gw_aws_dynamodb_put_number(db, values, ":now", slot->now_us);
    gw_aws_dynamodb_put_number(db, values, ":ttl", slot->op->now_ms / 1000 + KEEP_S);
    return db;
}

/* Never early: a part of a millisecond counts as a whole one. */
static void finish(struct dynamodb_run *run)
{
    struct slot *slot = run->own;
    int64_t next_us;

    if (!gw_aws_dynamodb_take_number(run->db.attributes, "next_us", &next_us)) {
        dynamodb_done(run, GW_ERR_CORRUPT);
        return;
    }
    slot->op->at_ms = (next_us - slot->step_us + 999) / 1000;
    dynamodb_done(run, GW_OK);
}

static void on_begun(struct dynamodb_run *run)
{
    struct slot *slot = run->own;

    if (dynamodb_err(run) == GW_OK)
        finish(run);
    else if (dynamodb_err(run) == GW_ERR_CONFLICT && ++slot->tries < TRIES_MAX)
        move_on(run);
    else
        dynamodb_fail(run, &run->db.call);
}

static void on_moved(struct dynamodb_run *run)
{
    struct slot *slot = run->own;

    if (dynamodb_err(run) == GW_OK) {
        finish(run);
        return;
    }
    if (dynamodb_err(run) != GW_ERR_CONFLICT) {
        dynamodb_fail(run, &run->db.call);
        return;
    }
    struct gw_aws_dynamodb *db = update(run);
    dynamodb_put_expression(run, db->root, "UpdateExpression", "SET #next_us = :next, #ttl = :ttl");
    dynamodb_put_expression(run, db->root, "ConditionExpression",
                            "attribute_not_exists(#next_us) OR #next_us < :now");
    gw_aws_dynamodb_put_number(db, dynamodb_values(run, db->root), ":next",
                               slot->now_us + slot->step_us);
    dynamodb_send(run, on_begun);
}

static void move_on(struct dynamodb_run *run)
{
    struct slot *slot = run->own;
    struct gw_aws_dynamodb *db = update(run);

    dynamodb_put_expression(run, db->root, "UpdateExpression",
                            "SET #next_us = #next_us + :step, #ttl = :ttl");
    dynamodb_put_expression(run, db->root, "ConditionExpression", "#next_us >= :now");
    gw_aws_dynamodb_put_number(db, dynamodb_values(run, db->root), ":step", slot->step_us);
    dynamodb_send(run, on_moved);
}

void dynamodb_slot(struct dynamodb_run *run)
{
    struct slot *slot = gw_arena_zalloc(&run->arena, sizeof(*slot));
    struct gw_slot *op = gw_container_of(run->op, struct gw_slot, op);
    struct gw_slice target[] = {op->app_id, op->url};

    run->own = slot;
    slot->op = op;
    if (op->per_second == 0) {
        dynamodb_done(run, GW_ERR_INVALID);
        return;
    }
    slot->pk = gw_slice_from(
        gw_arena_printf(&run->arena, "pace#%s",
                        dynamodb_hash_text(run->store, &run->arena, target, gw_count(target)).ptr));
    slot->now_us = op->now_ms * 1000;
    slot->step_us = 1000000 / op->per_second + (1000000 % op->per_second != 0);
    move_on(run);
}
