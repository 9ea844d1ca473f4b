/* memory_write.c: the rules of what is written: accept, add, settle, retry.
 *
 *  - An event is routed when it was not skipped. A routed event blocks a repeat of its (appId,
 *    eventId) for the dedupe window; a skipped one does not.
 *  - A delivery is open while PENDING: then, and only then, it stands in its lane's list.
 *  - The write id of an attempt is attempts + 1. So a settle is known again by the attempts that are
 *    recorded, and one that ended the delivery without an attempt by how it ended. */
#include "store/memory_state.h"

#include "base/check.h"
#include "base/crypto.h"
#include "base/timefmt.h"

#include <endian.h>

/* ── Ids, lanes, rows ──────────────────────────────────────────────────────────────────────── */

/* Opaque, and no volumes leak: a block cipher over a counter. */
static struct gw_id make_id(struct gw_memory *memory, uint64_t number)
{
    struct gw_id id = {.len = GW_AES_BLOCK};
    uint8_t block[GW_AES_BLOCK] = {0};

    number = htobe64(number);
    memcpy(block, &number, sizeof(number));
    gw_aes_block_encrypt(memory->id_key, block, id.bytes);
    return id;
}

static struct memory_lane *lane_open(struct gw_memory *memory, uint64_t number,
                                     struct gw_slice app_id)
{
    struct memory_lane *lane = gw_map_get(&memory->lane_by_number, gw_map_key(&number));

    if (lane)
        return lane;
    lane = gw_zalloc(sizeof(*lane));
    lane->lane = number;
    lane->app_id = memory_dup(app_id);
    gw_list_init(&lane->open);
    gw_list_push(&memory->lanes, &lane->link);
    gw_map_put(&memory->lane_by_number, gw_map_key(&lane->lane), lane);
    return lane;
}

static void lane_free(struct gw_memory *memory, struct memory_lane *lane)
{
    gw_map_del(&memory->lane_by_number, gw_map_key(&lane->lane));
    gw_list_remove(&lane->link);
    gw_free((char *)lane->app_id.ptr);
    gw_free(lane);
}

/* The one place where a row's state changes. */
static void row_set(struct gw_memory *memory, struct memory_row *row,
                    const struct gw_delivery *next)
{
    uint64_t number = row->delivery.lane;
    bool was_open = gw_list_linked(&row->link);

    row->delivery = *next;
    if (next->state == GW_DELIVERY_PENDING && !was_open) {
        struct memory_lane *lane = lane_open(memory, number, row->event->message->app_id);
        gw_list_push(&lane->open, &row->link);
        atomic_fetch_add(&memory->open, 1);
    } else if (next->state != GW_DELIVERY_PENDING && was_open) {
        struct memory_lane *lane = gw_map_get(&memory->lane_by_number, gw_map_key(&number));
        gw_list_remove(&row->link);
        if (gw_list_empty(&lane->open))
            lane_free(memory, lane);
        atomic_fetch_sub(&memory->open, 1);
    }
}

static struct memory_row *row_add(struct gw_memory *memory, struct memory_event *event,
                                  uint64_t lane, int64_t now_ms)
{
    struct memory_row *row = gw_zalloc(sizeof(*row));
    uint64_t order = memory->next_id++;

    gw_list_init(&row->link);
    row->event = event;
    row->delivery.lane = lane;
    row_set(memory, row,
            &(struct gw_delivery){
                .id = make_id(memory, order),
                .message_id = event->message->id,
                .lane = lane,
                .order = order,
                .state = GW_DELIVERY_PENDING,
                .due_ms = now_ms,
                .created_ms = now_ms,
            });
    event->rows = gw_realloc(event->rows, (event->row_count + 1) * sizeof(struct memory_row *));
    event->rows[event->row_count++] = row;
    gw_map_put(&memory->row_by_id, gw_id_slice(&row->delivery.id), row);
    return row;
}

static void offer_post(struct gw_offer *offer, const struct gw_delivery *deliveries, size_t count)
{
    memcpy(offer->deliveries, deliveries, count * sizeof(*deliveries));
    offer->count = count;
    gw_env_post(offer->env, &offer->msg);
}

/* ── Accept ────────────────────────────────────────────────────────────────────────────────── */

/* What dedupe goes by: no two pairs have the same. */
static struct gw_slice key_of(const struct gw_message *message)
{
    struct gw_buf key = {0};
    uint64_t len = message->app_id.len;

    if (message->event_id.ptr == NULL)
        return (struct gw_slice){0};
    gw_buf_add(&key, &len, sizeof(len));
    gw_buf_adds(&key, message->app_id);
    gw_buf_adds(&key, message->event_id);
    return gw_buf_slice(&key);
}

static struct memory_event *find_repeated(struct gw_memory *memory, const struct gw_accept *op,
                                          struct gw_slice key)
{
    struct memory_event *first = key.ptr ? gw_map_get(&memory->routed, key) : NULL;

    /* What is older may be younger, when the clock was set. */
    while (first && op->message->accepted_ms - first->message->accepted_ms >= op->dedupe_ms)
        first = first->routed_before;
    return first;
}

static struct memory_event *event_add(struct gw_memory *memory, struct gw_message *message,
                                      struct gw_slice key)
{
    struct memory_event *event = gw_zalloc(sizeof(*event));

    if (memory->event_count == memory->event_cap) {
        memory->event_cap = memory->event_cap ? memory->event_cap * 2 : 64;
        memory->events =
            gw_realloc(memory->events, memory->event_cap * sizeof(struct memory_event *));
    }
    memory->events[memory->event_count++] = event;
    event->seq = memory->event_count;
    message->id = make_id(memory, memory->next_id++);
    event->message = memory_message_copy(message);
    event->key = key;
    gw_map_put(&memory->event_by_id, gw_id_slice(&event->message->id), event);
    if (key.ptr && message->skip == GW_SKIP_NONE) {
        event->routed_before = gw_map_get(&memory->routed, key);
        gw_map_put(&memory->routed, key, event);
    }
    return event;
}

static void answer_existing(struct gw_accept *op, const struct memory_event *first)
{
    op->existing = true;
    op->payload_differs = !gw_slice_eq(op->message->body, first->message->body);
    op->message_id = first->message->id;
    for (size_t i = 0; i < first->row_count && i < gw_count(op->deliveries); i++)
        if (first->rows[i]->add_key.ptr == NULL)
            op->deliveries[op->delivery_count++] = first->rows[i]->delivery;
}

enum gw_err memory_accept(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_accept *op = gw_container_of(base, struct gw_accept, op);

    if (op->lane_count > gw_count(op->deliveries))
        return GW_ERR_INVALID;
    struct gw_slice key = key_of(op->message);
    struct memory_event *first = find_repeated(memory, op, key);
    if (first) {
        gw_free((char *)key.ptr);
        answer_existing(op, first);
        memory_repeat_count(memory, op->message);
        return GW_OK;
    }
    if (memory->event_count >= memory->options.events_max) {
        atomic_store(&memory->full, true);
        gw_free((char *)key.ptr);
        return GW_ERR_FULL;
    }
    struct memory_event *event = event_add(memory, op->message, key);
    op->message_id = event->message->id;
    for (size_t i = 0; i < op->lane_count; i++) {
        struct memory_row *row = row_add(memory, event, op->lanes[i], op->message->accepted_ms);
        op->deliveries[op->delivery_count++] = row->delivery;
    }
    if (op->offer && op->delivery_count > 0) {
        offer_post(op->offer, op->deliveries, op->delivery_count);
        op->offered = true;
    }
    return GW_OK;
}

/* ── Add ───────────────────────────────────────────────────────────────────────────────────── */

static struct memory_row *find_added(const struct memory_event *event, struct gw_slice key,
                                     uint64_t lane)
{
    for (size_t i = 0; i < event->row_count; i++) {
        struct memory_row *row = event->rows[i];
        if (row->add_key.ptr && row->delivery.lane == lane && gw_slice_eq(row->add_key, key))
            return row;
    }
    return NULL;
}

enum gw_err memory_add(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_add *op = gw_container_of(base, struct gw_add, op);
    struct gw_delivery added[GW_CONFIG_WORKFLOW_URLS_MAX];
    size_t added_count = 0;

    if (op->lane_count > gw_count(added) || op->key.len == 0 || op->key.len > MEMORY_ADD_KEY_MAX)
        return GW_ERR_INVALID;
    struct memory_event *event = gw_map_get(&memory->event_by_id, gw_id_slice(&op->message_id));
    if (event == NULL)
        return GW_ERR_NOT_FOUND;
    for (size_t i = 0; i < op->lane_count; i++) {
        struct memory_row *row = find_added(event, op->key, op->lanes[i]);
        if (row == NULL) {
            row = row_add(memory, event, op->lanes[i], op->now_ms);
            row->add_key = memory_dup(op->key);
            added[added_count++] = row->delivery;
        }
        op->deliveries[op->delivery_count++] = row->delivery;
    }
    if (op->offer && added_count > 0) {
        offer_post(op->offer, added, added_count);
        op->offered = true;
    }
    return GW_OK;
}

/* ── Claim ─────────────────────────────────────────────────────────────────────────────────── */

/* Where several processes share it. Write ids are beyond any number of attempts, so that a settle with
 * one is known again. */
enum gw_err memory_claim(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_claim *op = gw_container_of(base, struct gw_claim, op);
    struct memory_row *row = gw_map_get(&memory->row_by_id, gw_id_slice(&op->delivery.id));
    int64_t now_us = gw_env_mono_us(memory->env);

    if (row == NULL || row->delivery.state != GW_DELIVERY_PENDING)
        return GW_ERR_NOT_FOUND;
    if (row->lease_us > now_us) {
        op->op.again_ms = (row->lease_us - now_us + 999) / 1000;
        return GW_ERR_BUSY;
    }
    if (row->delivery.attempts != op->delivery.attempts ||
        row->delivery.due_ms != op->delivery.due_ms)
        return GW_ERR_STALE;
    row->lease_us = now_us + op->lease_ms * 1000;
    op->write_id = row->write_id = ((uint64_t)1 << 32) + memory->next_id++;
    return GW_OK;
}

/* ── Settle ────────────────────────────────────────────────────────────────────────────────── */

static void log_append(struct memory_row *row, const struct gw_attempt *attempt)
{
    struct gw_buf kept = {0};

    if (row->event->is_erased)
        return;
    gw_attempt_pack(&row->log, attempt);
    gw_attempt_trim(&kept, gw_buf_slice(&row->log));
    gw_buf_deinit(&row->log);
    row->log = kept;
}

/* The URL of the last attempt comes to stand at the end. */
static void row_try(struct memory_row *row, struct gw_slice url, bool has_failed)
{
    struct memory_tried tried = {0};
    size_t at = 0;

    while (at < row->tried_count && !gw_slice_eq(row->tried[at].url, url))
        at++;
    if (at == row->tried_count) {
        row->tried = gw_realloc(row->tried, ++row->tried_count * sizeof(*row->tried));
        tried.url = memory_dup(url);
    } else {
        tried = row->tried[at];
    }
    for (; at + 1 < row->tried_count; at++)
        row->tried[at] = row->tried[at + 1];
    tried.failed += has_failed;
    row->tried[at] = tried;
}

/* It has been done before; nothing is left to do. */
static bool is_repeated(const struct gw_settle *op, const struct gw_delivery *d)
{
    if (op->write_id == d->attempts)
        return op->write_id != 0;
    return d->state != GW_DELIVERY_PENDING && op->attempt == NULL &&
           op->write_id == (uint64_t)d->attempts + 1 && d->state == op->next.state &&
           d->reason == op->next.reason;
}

enum gw_err memory_settle(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_settle *op = gw_container_of(base, struct gw_settle, op);
    struct memory_row *row = gw_map_get(&memory->row_by_id, gw_id_slice(&op->next.id));

    if (row == NULL)
        return GW_ERR_NOT_FOUND;
    if (memory->options.has_leases ? op->write_id == row->settled_id
                                   : is_repeated(op, &row->delivery))
        return GW_OK;
    if (row->delivery.state != GW_DELIVERY_PENDING)
        return GW_ERR_NOT_FOUND;
    uint64_t write_id = memory->options.has_leases ? row->write_id : row->delivery.attempts + 1u;
    if (op->write_id != write_id)
        return GW_ERR_STALE;
    row->lease_us = 0;
    row->settled_id = op->write_id;
    if (op->attempt) {
        log_append(row, op->attempt);
        row_try(row, op->attempt->url, op->next.state != GW_DELIVERY_DELIVERED);
    }

    /* What it is does not change, whatever the caller's copy says. */
    struct gw_delivery next = op->next;
    next.message_id = row->delivery.message_id;
    next.lane = row->delivery.lane;
    next.order = row->delivery.order;
    next.created_ms = row->delivery.created_ms;
    next.attempts = row->delivery.attempts + (op->attempt != NULL);
    row_set(memory, row, &next);
    return GW_OK;
}

/* ── Manual retry ──────────────────────────────────────────────────────────────────────────── */

enum gw_err memory_retry(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_retry_op *op = gw_container_of(base, struct gw_retry_op, op);
    struct memory_row *row = gw_map_get(&memory->row_by_id, gw_id_slice(&op->delivery_id));

    if (row == NULL)
        return GW_ERR_NOT_FOUND;
    struct gw_delivery next = row->delivery;
    bool is_possible = gw_delivery_retry(&next);
    op->delivery = next;
    if (!is_possible)
        return GW_ERR_CONFLICT;
    row_set(memory, row, &next);
    if (op->offer) {
        offer_post(op->offer, &next, 1);
        op->offered = true;
    }
    return GW_OK;
}

/* ── The end ───────────────────────────────────────────────────────────────────────────────── */

static void row_free(struct memory_row *row)
{
    gw_free((char *)row->add_key.ptr);
    gw_buf_deinit(&row->log);
    for (size_t i = 0; i < row->tried_count; i++)
        gw_free((char *)row->tried[i].url.ptr);
    gw_free(row->tried);
    gw_free(row);
}

void memory_events_free(struct gw_memory *memory)
{
    struct gw_list *link, *next;

    for (link = memory->lanes.next; link != &memory->lanes; link = next) {
        next = link->next;
        lane_free(memory, gw_container_of(link, struct memory_lane, link));
    }
    for (size_t i = 0; i < memory->event_count; i++) {
        struct memory_event *event = memory->events[i];
        for (size_t j = 0; j < event->row_count; j++)
            row_free(event->rows[j]);
        gw_message_unref(event->message);
        gw_free((char *)event->key.ptr);
        gw_free(event->rows);
        gw_free(event);
    }
    gw_free(memory->events);
    gw_map_deinit(&memory->event_by_id);
    gw_map_deinit(&memory->row_by_id);
    gw_map_deinit(&memory->routed);
    gw_map_deinit(&memory->lane_by_number);
}

/* ── Erasing ───────────────────────────────────────────────────────────────────────────────── */

/* The body stays for the comparison of repeats alone; nobody is shown it. */
static void event_erase(struct memory_event *event)
{
    event->is_erased = true;
    for (size_t i = 0; i < event->row_count; i++)
        gw_buf_deinit(&event->rows[i]->log);
}

enum gw_err memory_erase(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_erase *op = gw_container_of(base, struct gw_erase, op);
    bool is_app = op->transaction_id.len == 0;

    if (op->app_id.len == 0)
        return GW_ERR_INVALID;
    for (size_t i = 0; i < memory->event_count; i++) {
        const struct gw_message *m = memory->events[i]->message;
        if (!gw_slice_eq(m->app_id, op->app_id) ||
            (!is_app && !gw_slice_eq(m->transaction_id, op->transaction_id)))
            continue;
        event_erase(memory->events[i]);
        op->events += !is_app;
    }
    return GW_OK;
}
