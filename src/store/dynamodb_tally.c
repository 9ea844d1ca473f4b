/* dynamodb_tally.c: what became of the events of one app in a day at most: counted anew from the index
 * by_app whenever it is asked for, for each accept and settle would have to write a counter.
 * Duplicates leave no item, and a failed attempt is not in the index: neither is counted.
 *
 * Where only what is open is wanted, that is counted by the index of it: see dynamodb_open.c.
 *
 * Hour by hour, part by part, page by page; a page is forgotten once it is counted. The index may be a
 * moment behind: an event may be there before its deliveries, or a state be an old one. */
#include "store/dynamodb_impl.h"

#include "base/map.h"
#include "store/latency.h"

#define SPAN_MAX_MS GW_DAY_MS
#define LANES_MAX   100000

/* All in the caller's arena, for the run's is emptied with each page. */
struct tally {
    struct gw_tally_op *op;
    struct dynamodb_hour hour;
    struct gw_slice last; /* of the page before */
    struct gw_map by_lane;
    size_t open_room;
    uint64_t latencies[GW_LATENCY_BUCKETS];
};

static void ask(struct dynamodb_run *run);

static void finish(struct dynamodb_run *run, enum gw_err err)
{
    struct tally *tally = run->own;

    if (err == GW_OK)
        tally->op->latency = gw_latency_read(tally->latencies);
    if (err == GW_OK && tally->op->full)
        tally->op->rows = tally->op->counted;
    gw_map_deinit(&tally->by_lane);
    dynamodb_done(run, err);
}

static struct gw_open_count *open_of(struct tally *tally, uint64_t lane)
{
    struct gw_tally_op *op = tally->op;
    uintptr_t at = (uintptr_t)gw_map_get(&tally->by_lane, gw_map_key(&lane));

    if (at > 0)
        return &op->open[at - 1];
    if (op->open_count == tally->open_room) {
        size_t room = tally->open_room ? 2 * tally->open_room : 64;
        struct gw_open_count *more = gw_arena_alloc(op->arena, room * sizeof(*more));
        if (op->open_count > 0)
            memcpy(more, op->open, op->open_count * sizeof(*more));
        op->open = more;
        tally->open_room = room;
    }
    op->open[op->open_count] = (struct gw_open_count){lane, op->app_id, 0};
    uint64_t *key = gw_arena_alloc(op->arena, sizeof(*key)); /* the map keeps its place */
    *key = lane;
    gw_map_put(&tally->by_lane, gw_map_key(key), (void *)(uintptr_t)(op->open_count + 1));
    return &op->open[op->open_count++];
}

static bool count_delivery(struct tally *tally, yyjson_val *item)
{
    int64_t *of = tally->op->counted.of;
    int64_t lane, state, created_ms, ended_ms;

    if (!gw_aws_dynamodb_take_number(item, "lane", &lane) ||
        !gw_aws_dynamodb_take_number(item, "state", &state) ||
        !gw_aws_dynamodb_take_number(item, "created_ms", &created_ms) ||
        !gw_aws_dynamodb_take_number(item, "ended_ms", &ended_ms) || state < 0 ||
        state > GW_DELIVERY_CANCELLED)
        return false;
    of[GW_TALLY_CREATED]++;
    of[GW_TALLY_REPLAYED] += yyjson_obj_get(item, "job") != NULL;
    if (state == GW_DELIVERY_PENDING)
        open_of(tally, (uint64_t)lane)->count++;
    else
        of[gw_tally_of_state((enum gw_delivery_state)state)]++;
    if (state == GW_DELIVERY_DELIVERED)
        tally->latencies[gw_latency_bucket(ended_ms - created_ms)]++;
    return tally->op->open_count < LANES_MAX;
}

static bool count_item(struct tally *tally, yyjson_val *item)
{
    int64_t *of = tally->op->counted.of;
    struct gw_slice sk;
    int64_t skip;

    if (!gw_aws_dynamodb_take_text(item, "sk", &sk))
        return false;
    if (!gw_slice_is(sk, "E"))
        return count_delivery(tally, item);
    if (!gw_aws_dynamodb_take_number(item, "skip", &skip) || skip < 0 || skip >= GW_SKIP_COUNT)
        return false;
    of[GW_TALLY_RECEIVED]++;
    of[gw_tally_of_skip((enum gw_skip)skip)]++;
    return true;
}

/* To the next part, or hour. False: there is none. */
static bool move_on(struct tally *tally)
{
    tally->last = (struct gw_slice){0};
    if (++tally->hour.shard == DYNAMODB_SHARDS) {
        tally->hour.shard = 0;
        tally->hour.hour_ms += GW_HOUR_MS;
    }
    return tally->hour.hour_ms < tally->op->to_ms;
}

static void on_page(struct dynamodb_run *run)
{
    struct tally *tally = run->own;
    yyjson_val *item;
    size_t i, max;
    bool is_well = true;

    if (dynamodb_err(run) != GW_OK) {
        gw_map_deinit(&tally->by_lane);
        dynamodb_fail(run, &run->db.call);
        return;
    }
    yyjson_arr_foreach(run->db.items, i, max, item)
    {
        is_well = is_well && count_item(tally, item);
    }
    if (!is_well) {
        finish(run, GW_ERR_CORRUPT);
        return;
    }
    bool has_more = run->db.more != NULL;
    if (has_more) {
        gw_aws_dynamodb_take_text(run->db.more, "by_app_sk", &tally->last);
        tally->last = gw_arena_dup(tally->op->arena, tally->last);
    }
    gw_arena_reset(&run->arena);
    if (has_more || move_on(tally))
        ask(run);
    else
        finish(run, GW_OK);
}

static void ask(struct dynamodb_run *run)
{
    struct tally *tally = run->own;
    struct gw_arena *arena = &run->arena;
    struct gw_slice parts[] = {tally->last, GW_SLICE("!")}; /* behind it */

    tally->hour.from = tally->last.ptr ? dynamodb_concat(arena, parts, gw_count(parts))
                                       : dynamodb_time_key(arena, tally->hour.hour_ms);
    tally->hour.to = dynamodb_time_key(arena, tally->hour.hour_ms + GW_HOUR_MS);
    struct gw_aws_dynamodb *db = dynamodb_request_hour(run, &tally->hour);
    if (tally->op->event_type.len > 0) {
        dynamodb_put_expression(run, db->root, "FilterExpression", "#type = :type");
        gw_aws_dynamodb_put_text(db, dynamodb_values(run, db->root), ":type",
                                 tally->op->event_type);
    }
    dynamodb_send(run, on_page);
}

void dynamodb_tally(struct dynamodb_run *run)
{
    struct gw_tally_op *op = gw_container_of(run->op, struct gw_tally_op, op);
    struct tally *tally = gw_arena_zalloc(op->arena, sizeof(*tally));

    if (op->open_only && op->app_id.len > 0) {
        dynamodb_count_open(run); /* of all days at once, which is what is meant */
        return;
    }
    run->own = tally;
    tally->op = op;
    tally->hour = (struct dynamodb_hour){.app_id = op->app_id, .hour_ms = op->from_ms};
    if (op->app_id.len == 0 || op->from_ms % GW_HOUR_MS != 0 || op->to_ms % GW_HOUR_MS != 0 ||
        op->from_ms >= op->to_ms || op->to_ms - op->from_ms > SPAN_MAX_MS)
        dynamodb_done(run, GW_ERR_INVALID);
    else
        ask(run);
}
