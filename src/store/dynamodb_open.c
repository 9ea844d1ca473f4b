/* dynamodb_open.c: what is open in a lane, in the order in which it is due: for jobs, which wake or
 * cancel it. Lanes are not held in memory here, so nobody asks which there are. And how many are open
 * in each lane that an app's configs have, for people: counted by the index, of whatever day.
 *
 * A lane is in DYNAMODB_SHARDS parts of the index; each is read up to `max`, then they are merged. The
 * index may be a moment behind: a job looks at each delivery itself. */
#include "store/dynamodb_impl.h"

#include "base/check.h"

#include <stdlib.h>

struct refill {
    struct gw_refill *op;
    unsigned shard;
    struct gw_delivery *found; /* of all shards */
    size_t count, of_shard;
    bool is_cut; /* a shard has more */
};

void dynamodb_open_lanes(struct dynamodb_run *run)
{
    dynamodb_done(run, GW_OK);
}

static int compare(const void *a, const void *b)
{
    const struct gw_delivery *x = a, *y = b;

    if (x->due_ms != y->due_ms)
        return x->due_ms < y->due_ms ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static void finish(struct dynamodb_run *run)
{
    struct refill *refill = run->own;
    struct gw_refill *op = refill->op;

    if (refill->count > 0)
        qsort(refill->found, refill->count, sizeof(*refill->found), compare);
    op->complete = !refill->is_cut && refill->count <= op->max;
    op->count = refill->count < op->max ? refill->count : op->max;
    if (op->count > 0)
        memcpy(op->deliveries, refill->found, op->count * sizeof(*op->deliveries));
    dynamodb_done(run, GW_OK);
}

static bool is_behind(const struct gw_delivery *d, const struct gw_refill *op)
{
    return d->due_ms != op->after_due_ms ? d->due_ms > op->after_due_ms
                                         : d->order > op->after_order;
}

static void ask(struct dynamodb_run *run, yyjson_val *more);

static void on_part(struct dynamodb_run *run)
{
    struct refill *refill = run->own;
    struct gw_delivery d;
    yyjson_val *item;
    size_t i, max;

    if (dynamodb_err(run) != GW_OK) {
        dynamodb_fail(run, &run->db.call);
        return;
    }
    yyjson_arr_foreach(run->db.items, i, max, item)
    {
        if (!dynamodb_take_delivery(item, &d)) {
            dynamodb_done(run, GW_ERR_CORRUPT);
            return;
        }
        if (!is_behind(&d, refill->op) || refill->of_shard == refill->op->max)
            continue;
        refill->found[refill->count++] = d;
        refill->of_shard++;
    }
    bool is_full = refill->of_shard == refill->op->max;
    if (run->db.more && !is_full) {
        ask(run, run->db.more);
        return;
    }
    refill->is_cut |= run->db.more != NULL || max > refill->op->max;
    refill->of_shard = 0;
    if (++refill->shard == DYNAMODB_SHARDS)
        finish(run);
    else
        ask(run, NULL);
}

static void ask(struct dynamodb_run *run, yyjson_val *more)
{
    struct refill *refill = run->own;
    const struct gw_refill *op = refill->op;
    struct gw_aws_dynamodb *db = dynamodb_request_on(run, GW_AWS_QUERY, DYNAMODB_LEDGER);
    bool is_first = op->after_due_ms < 0; /* nothing is due before 1970 */

    dynamodb_put(run, db->root, "IndexName", "open");
    dynamodb_put_expression(run, db->root, "KeyConditionExpression",
                            is_first ? "#open = :open" : "#open = :open AND #open_sk > :after");
    yyjson_mut_obj_add_uint(db->doc, db->root, "Limit", op->max + 1);
    yyjson_mut_val *values = dynamodb_values(run, db->root);
    gw_aws_dynamodb_put_text(db, values, ":open",
                             dynamodb_open(&run->arena, op->lane, refill->shard));
    if (!is_first)
        gw_aws_dynamodb_put_text(db, values, ":after",
                                 dynamodb_open_sk(&run->arena, op->after_due_ms, op->after_order));
    dynamodb_put_start(run, more);
    dynamodb_send(run, on_part);
}

void dynamodb_refill(struct dynamodb_run *run)
{
    struct refill *refill = gw_arena_zalloc(&run->arena, sizeof(*refill));

    run->own = refill;
    refill->op = gw_container_of(run->op, struct gw_refill, op);
    refill->found =
        gw_arena_alloc(&run->arena, refill->op->max * DYNAMODB_SHARDS * sizeof(*refill->found));
    ask(run, NULL);
}

/* ── How many ──────────────────────────────────────────────────────────────────────────────── */

struct count {
    struct dynamodb_configs configs; /* first: they are read into the run's own */
    struct gw_tally_op *op;
    size_t at; /* lane */
    unsigned shard;
};

static void ask_count(struct dynamodb_run *run, yyjson_val *more);

static void on_count(struct dynamodb_run *run)
{
    struct count *count = run->own;
    int64_t counted = yyjson_get_sint(yyjson_obj_get(run->db.call.json, "Count"));

    if (dynamodb_err(run) != GW_OK) {
        dynamodb_fail(run, &run->db.call);
        return;
    }
    count->op->open[count->at].count += (uint64_t)counted;
    if (run->db.more) {
        ask_count(run, run->db.more);
        return;
    }
    if (++count->shard == DYNAMODB_SHARDS) {
        count->shard = 0;
        count->at++;
    }
    if (count->at < count->op->open_count)
        ask_count(run, NULL);
    else
        dynamodb_done(run, GW_OK);
}

static void ask_count(struct dynamodb_run *run, yyjson_val *more)
{
    struct count *count = run->own;
    struct gw_aws_dynamodb *db = dynamodb_request_on(run, GW_AWS_QUERY, DYNAMODB_LEDGER);
    uint64_t lane = count->op->open[count->at].lane;

    dynamodb_put(run, db->root, "IndexName", "open");
    dynamodb_put(run, db->root, "Select", "COUNT");
    dynamodb_put_expression(run, db->root, "KeyConditionExpression", "#open = :open");
    gw_aws_dynamodb_put_text(db, dynamodb_values(run, db->root), ":open",
                             dynamodb_open(&run->arena, lane, count->shard));
    dynamodb_put_start(run, more);
    dynamodb_send(run, on_count);
}

static void on_configs(struct dynamodb_run *run)
{
    struct count *count = run->own;
    struct gw_tally_op *op = count->op;
    size_t lanes = 0;

    for (size_t i = 0; i < count->configs.count; i++)
        lanes += count->configs.all[i]->route_count;
    op->open = gw_arena_zalloc(op->arena, lanes * sizeof(*op->open) + 1);
    for (size_t i = 0; i < count->configs.count; i++)
        for (size_t j = 0; j < count->configs.all[i]->route_count; j++)
            op->open[op->open_count++] =
                (struct gw_open_count){count->configs.all[i]->routes[j].lane, op->app_id, 0};
    if (op->open_count > 0)
        ask_count(run, NULL);
    else
        dynamodb_done(run, GW_OK);
}

void dynamodb_count_open(struct dynamodb_run *run)
{
    struct count *count = gw_arena_zalloc(&run->arena, sizeof(*count));

    run->own = count;
    run->end = dynamodb_configs_end;
    count->op = gw_container_of(run->op, struct gw_tally_op, op);
    dynamodb_configs_read(run, count->op->app_id, on_configs);
}
