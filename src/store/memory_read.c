/* memory_read.c: the rules of what is looked at: what is open, the body for an attempt, and events
 * and deliveries for people. Results are copies in the caller's arena. */
#include "store/memory_state.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ── What is open ──────────────────────────────────────────────────────────────────────────── */

enum gw_err memory_open_lanes(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_open_lanes *op = gw_container_of(base, struct gw_open_lanes, op);

    op->lanes = gw_arena_alloc(op->arena, memory->lane_by_number.count * sizeof(*op->lanes));
    gw_list_each (link, &memory->lanes) {
        struct memory_lane *lane = gw_container_of(link, struct memory_lane, link);
        op->lanes[op->count++] =
            (struct gw_open_lane){lane->lane, gw_arena_dup(op->arena, lane->app_id)};
    }
    return GW_OK;
}

static int compare_due(const void *a, const void *b)
{
    const struct gw_delivery *x = *(const struct gw_delivery *const *)a;
    const struct gw_delivery *y = *(const struct gw_delivery *const *)b;

    if (x->due_ms != y->due_ms)
        return x->due_ms < y->due_ms ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static bool is_behind(const struct gw_delivery *delivery, const struct gw_refill *op)
{
    if (delivery->due_ms != op->after_due_ms)
        return delivery->due_ms > op->after_due_ms;
    return delivery->order > op->after_order;
}

/* All of the lane behind the mark, in order; the array is the caller's. */
static const struct gw_delivery **sorted_open(struct gw_memory *memory, const struct gw_refill *op,
                                              size_t *count)
{
    struct memory_lane *lane = gw_map_get(&memory->lane_by_number, gw_map_key(&op->lane));
    const struct gw_delivery **behind;

    *count = 0;
    if (lane == NULL)
        return NULL;
    behind = gw_alloc(atomic_load(&memory->open) * sizeof(*behind));
    gw_list_each (link, &lane->open) {
        struct memory_row *row = gw_container_of(link, struct memory_row, link);
        if (is_behind(&row->delivery, op))
            behind[(*count)++] = &row->delivery;
    }
    if (*count > 0)
        qsort(behind, *count, sizeof(*behind), compare_due);
    return behind;
}

enum gw_err memory_refill(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_refill *op = gw_container_of(base, struct gw_refill, op);
    size_t count;
    const struct gw_delivery **behind = sorted_open(memory, op, &count);

    op->complete = count <= op->max;
    op->count = op->complete ? count : op->max;
    for (size_t i = 0; i < op->count; i++)
        op->deliveries[i] = *behind[i];
    gw_free(behind);
    return GW_OK;
}

enum gw_err memory_load(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_load *op = gw_container_of(base, struct gw_load, op);
    struct memory_event *event = gw_map_get(&memory->event_by_id, gw_id_slice(&op->message_id));

    if (event == NULL)
        return GW_ERR_NOT_FOUND;
    if (event->is_erased)
        return GW_ERR_GONE;
    op->message = memory_message_copy(event->message);
    return GW_OK;
}

/* ── For people ────────────────────────────────────────────────────────────────────────────── */

static const struct gw_message *copy_message(struct gw_arena *arena, const struct gw_message *from,
                                             bool with_body)
{
    struct gw_message *to = gw_message_in(arena, from);

    if (with_body)
        to->body = gw_arena_dup(arena, from->body);
    return to;
}

static struct gw_row copy_row(struct gw_arena *arena, const struct memory_row *row,
                              const struct gw_message *message)
{
    return (struct gw_row){
        .delivery = row->delivery,
        .message = message,
        .log = gw_arena_dup(arena, gw_buf_slice(&row->log)),
    };
}

static struct gw_event_row copy_event(struct gw_arena *arena, const struct memory_event *event,
                                      bool with_body)
{
    struct gw_event_row copy = {
        .message = copy_message(arena, event->message, with_body && !event->is_erased)};

    copy.rows = gw_arena_alloc(arena, event->row_count * sizeof(*copy.rows));
    for (size_t i = 0; i < event->row_count; i++)
        copy.rows[copy.count++] = copy_row(arena, event->rows[i], copy.message);
    return copy;
}

static bool is_app(struct gw_slice wanted, const struct memory_event *event)
{
    return wanted.len == 0 || gw_slice_eq(wanted, event->message->app_id);
}

static void find_add(struct gw_find *op, size_t max, const struct memory_event *event)
{
    if (event && op->count < max && is_app(op->app_id, event))
        op->events[op->count++] = copy_event(op->arena, event, op->with_body);
}

static bool has_text(const struct gw_find *op, const struct gw_message *message)
{
    struct gw_slice text =
        op->key == GW_FIND_EVENT_ID ? message->event_id : message->transaction_id;

    return text.ptr && gw_slice_eq(text, op->text);
}

enum gw_err memory_find(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_find *op = gw_container_of(base, struct gw_find, op);
    size_t max = op->max < MEMORY_FIND_MAX ? op->max : MEMORY_FIND_MAX;
    struct memory_row *row;

    op->events = gw_arena_alloc(op->arena, max * sizeof(*op->events));
    switch (op->key) {
    case GW_FIND_MESSAGE:
        find_add(op, max, gw_map_get(&memory->event_by_id, gw_id_slice(&op->id)));
        return GW_OK;
    case GW_FIND_DELIVERY:
        row = gw_map_get(&memory->row_by_id, gw_id_slice(&op->id));
        find_add(op, max, row ? row->event : NULL);
        return GW_OK;
    case GW_FIND_EVENT_ID:
    case GW_FIND_TRANSACTION_ID:
        for (size_t i = memory->event_count; i-- > 0 && op->count < max;)
            if (has_text(op, memory->events[i]->message))
                find_add(op, max, memory->events[i]);
        return GW_OK;
    }
    gw_never("an unknown key to find by");
}

/* ── List ──────────────────────────────────────────────────────────────────────────────────── */

/* The row a page begins with: events newest first, an event's rows in the order they were made. */
struct place {
    uint64_t seq; /* of the event; 0 = the end */
    size_t row;
};

static bool place_parse(struct gw_slice cursor, struct place *place)
{
    char text[34] = {0};
    uint64_t row;
    int used = 0;

    if (cursor.len == 0 || cursor.len >= sizeof(text))
        return false;
    memcpy(text, cursor.ptr, cursor.len);
    if (sscanf(text, "%16" SCNx64 ".%16" SCNx64 "%n", &place->seq, &row, &used) != 2)
        return false;
    place->row = (size_t)row;
    return (size_t)used == cursor.len;
}

static struct gw_slice place_text(struct gw_arena *arena, const struct place *place)
{
    return gw_slice_from(
        gw_arena_printf(arena, "%" PRIx64 ".%" PRIx64, place->seq, (uint64_t)place->row));
}

static bool wants(struct gw_slice filter, struct gw_slice value)
{
    return filter.len == 0 || (value.ptr && gw_slice_eq(filter, value));
}

static bool is_event_listed(const struct gw_list_op *op, const struct gw_message *message)
{
    return wants(op->app_id, message->app_id) && wants(op->event_type, message->event_type) &&
           wants(op->event_id, message->event_id) &&
           wants(op->transaction_id, message->transaction_id) &&
           (op->from_ms == 0 || message->accepted_ms >= op->from_ms) &&
           (op->to_ms == 0 || message->accepted_ms < op->to_ms);
}

/* Takes rows of one event from place->row on, until the page is full or it has no more. */
static void list_event(struct gw_list_op *op, size_t max, const struct memory_event *event,
                       struct place *place)
{
    const struct gw_message *message = NULL;

    for (; place->row < event->row_count && op->count < max; place->row++) {
        const struct memory_row *row = event->rows[place->row];
        if (op->state >= 0 && row->delivery.state != (enum gw_delivery_state)op->state)
            continue;
        if (message == NULL)
            message = copy_message(op->arena, event->message, false);
        op->rows[op->count++] = copy_row(op->arena, row, message);
    }
}

enum gw_err memory_list(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_list_op *op = gw_container_of(base, struct gw_list_op, op);
    size_t max = op->max < GW_LIST_MAX ? op->max : GW_LIST_MAX;
    struct place place = {.seq = memory->event_count};

    if (op->cursor.len > 0 && (!place_parse(op->cursor, &place) || place.seq > memory->event_count))
        return GW_ERR_INVALID;
    op->rows = gw_arena_alloc(op->arena, max * sizeof(*op->rows));
    for (size_t seen = 0; place.seq > 0 && op->count < max && seen < MEMORY_SCAN_MAX; seen++) {
        const struct memory_event *event = memory->events[place.seq - 1];
        if (is_event_listed(op, event->message))
            list_event(op, max, event, &place);
        else
            place.row = event->row_count;
        if (place.row >= event->row_count)
            place = (struct place){.seq = place.seq - 1};
    }
    if (place.seq > 0)
        op->next = place_text(op->arena, &place);
    return GW_OK;
}
