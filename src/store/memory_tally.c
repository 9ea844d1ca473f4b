/* memory_tally.c: the rules of what is counted. Nothing is kept but the duplicates, which leave no
 * rows: all else is counted from the rows whenever it is asked for, and so is what the other
 * backends' counters are held against. */
#include "store/memory_state.h"

/* ── Duplicates ────────────────────────────────────────────────────────────────────────────── */

void memory_repeat_count(struct gw_memory *memory, const struct gw_message *message)
{
    int64_t hour_ms = gw_hour_of(message->accepted_ms);
    struct memory_repeats *repeats;

    gw_list_each (link, &memory->repeats) {
        repeats = gw_container_of(link, struct memory_repeats, link);
        if (repeats->hour_ms == hour_ms && gw_slice_eq(repeats->app_id, message->app_id) &&
            gw_slice_eq(repeats->event_type, message->event_type)) {
            repeats->count++;
            return;
        }
    }
    repeats = gw_zalloc(sizeof(*repeats));
    repeats->hour_ms = hour_ms;
    repeats->app_id = memory_dup(message->app_id);
    repeats->event_type = memory_dup(message->event_type);
    repeats->count = 1;
    gw_list_push(&memory->repeats, &repeats->link);
}

void memory_repeats_free(struct gw_memory *memory)
{
    struct gw_list *link;

    while ((link = gw_list_pop(&memory->repeats)) != NULL) {
        struct memory_repeats *repeats = gw_container_of(link, struct memory_repeats, link);
        gw_free((char *)repeats->app_id.ptr);
        gw_free((char *)repeats->event_type.ptr);
        gw_free(repeats);
    }
}

/* ── Counting ──────────────────────────────────────────────────────────────────────────────── */

static bool wants(const struct gw_tally_op *op, int64_t at_ms, struct gw_slice app_id,
                  struct gw_slice event_type)
{
    return at_ms >= op->from_ms && at_ms < op->to_ms &&
           (op->app_id.len == 0 || gw_slice_eq(op->app_id, app_id)) &&
           (op->event_type.len == 0 || gw_slice_eq(op->event_type, event_type));
}

static bool wants_event(const struct gw_tally_op *op, const struct gw_message *message)
{
    return wants(op, message->accepted_ms, message->app_id, message->event_type);
}

static void count_row(struct gw_tally_op *op, const struct memory_row *row, uint64_t *latencies)
{
    const struct gw_delivery *d = &row->delivery;

    op->rows.of[GW_TALLY_CREATED]++;
    op->rows.of[GW_TALLY_REPLAYED] += row->add_key.ptr != NULL;
    if (d->state != GW_DELIVERY_PENDING)
        op->rows.of[gw_tally_of_state(d->state)]++;
    for (size_t i = 0; i < row->tried_count; i++)
        op->rows.of[GW_TALLY_FAILED] += row->tried[i].failed;
    if (d->state == GW_DELIVERY_DELIVERED)
        latencies[gw_latency_bucket(d->ended_ms - d->created_ms)]++;
}

static void count_events(struct gw_memory *memory, struct gw_tally_op *op)
{
    uint64_t latencies[GW_LATENCY_BUCKETS] = {0};

    for (size_t i = 0; i < memory->event_count; i++) {
        const struct memory_event *event = memory->events[i];
        if (!wants_event(op, event->message))
            continue;
        op->rows.of[GW_TALLY_RECEIVED]++;
        op->rows.of[gw_tally_of_skip(event->message->skip)]++;
        for (size_t j = 0; j < event->row_count; j++)
            count_row(op, event->rows[j], latencies);
    }
    op->latency = gw_latency_read(latencies);
}

/* Those of a lane stand together, from `first` on. */
static void count_open(struct gw_tally_op *op, size_t first, const struct memory_row *row)
{
    struct gw_slice app_id = row->event->message->app_id;
    size_t at = first;

    while (at < op->open_count && !gw_slice_eq(op->open[at].app_id, app_id))
        at++;
    if (at == op->open_count)
        op->open[op->open_count++] =
            (struct gw_open_count){row->delivery.lane, gw_arena_dup(op->arena, app_id), 0};
    op->open[at].count++;
}

enum gw_err memory_tally(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_tally_op *op = gw_container_of(base, struct gw_tally_op, op);

    if (op->from_ms % GW_HOUR_MS != 0 || op->to_ms % GW_HOUR_MS != 0 || op->from_ms >= op->to_ms)
        return GW_ERR_INVALID;
    count_events(memory, op);
    op->counted = op->rows;
    if (!op->full)
        op->rows = (struct gw_tally){0};
    gw_list_each (link, &memory->repeats) {
        struct memory_repeats *repeats = gw_container_of(link, struct memory_repeats, link);
        if (wants(op, repeats->hour_ms, repeats->app_id, repeats->event_type))
            op->counted.of[GW_TALLY_DUPLICATE] += repeats->count;
    }
    op->open = gw_arena_alloc(op->arena, atomic_load(&memory->open) * sizeof(*op->open));
    gw_list_each (link, &memory->lanes) {
        struct memory_lane *lane = gw_container_of(link, struct memory_lane, link);
        size_t first = op->open_count;
        gw_list_each (row_link, &lane->open) {
            struct memory_row *row = gw_container_of(row_link, struct memory_row, link);
            if (wants_event(op, row->event->message))
                count_open(op, first, row);
        }
    }
    return GW_OK;
}

/* ── By time and URL ───────────────────────────────────────────────────────────────────────── */

static void gather_row(const struct memory_row *row, struct gw_slice url, struct gw_stats_sum *sum)
{
    const struct gw_delivery *d = &row->delivery;
    bool is_there = url.len == 0; /* where its end counts */

    for (size_t i = 0; i < row->tried_count; i++) {
        bool is_wanted = url.len == 0 || gw_slice_eq(row->tried[i].url, url);
        sum->row.failed += is_wanted ? row->tried[i].failed : 0;
        is_there |= is_wanted && i + 1 == row->tried_count;
    }
    if (!is_there)
        return;
    sum->row.dead += d->state == GW_DELIVERY_DEAD;
    if (d->state != GW_DELIVERY_DELIVERED)
        return;
    sum->row.delivered++;
    sum->latencies[gw_latency_bucket(d->ended_ms - d->created_ms)]++;
}

enum gw_err memory_stats(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_stats_op *op = gw_container_of(base, struct gw_stats_op, op);
    struct gw_tally_op wanted = {.from_ms = op->from_ms, .to_ms = op->to_ms};
    struct gw_stats stats = {0};
    enum gw_err err = GW_OK;

    wanted.app_id = op->app_id;
    wanted.event_type = op->event_type;
    if (!gw_stats_whole(op->from_ms, op->to_ms, op->bucket_ms))
        return GW_ERR_INVALID;
    for (size_t i = 0; i < memory->event_count; i++) {
        const struct memory_event *event = memory->events[i];
        const struct gw_message *m = event->message;
        if (!wants_event(&wanted, m))
            continue;
        struct gw_stats_sum *sum = gw_stats_at(&stats, gw_floor_ms(m->accepted_ms, op->bucket_ms),
                                               m->app_id, m->event_type);
        if (sum == NULL) {
            err = GW_ERR_TOO_LARGE;
            break;
        }
        sum->row.received += op->url.len == 0;
        sum->row.skipped += op->url.len == 0 && m->skip != GW_SKIP_NONE;
        for (size_t j = 0; j < event->row_count; j++)
            gather_row(event->rows[j], op->url, sum);
    }
    if (err == GW_OK)
        op->count = gw_stats_rows(&stats, op->arena, &op->rows);
    gw_stats_deinit(&stats);
    return err;
}
