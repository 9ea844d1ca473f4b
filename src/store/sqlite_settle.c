/* sqlite_settle.c: what becomes of a delivery: an attempt is recorded, it ends, or it is reopened by
 * hand. Runs on the writer's thread, inside the transaction of the segment that it is about.
 *
 * Rules. The write id of an attempt is attempts + 1, so a settle shown again is known by the attempts
 * that are recorded. Whatever a rule forbids is found out before the first write, so that the group
 * goes on. A retry's result is taken back when the group fails. */
#include "store/sqlite_internal.h"

#define ATTEMPTS_KEPT 25 /* gw_attempt_trim() has nothing to do before */

/* The attempts up to now with this one, in the ceiling they have, sealed. What cannot be read is left
 * out, for the delivery must go on; of an app that was erased nothing is kept. */
static enum gw_err log_with(struct sqlite_writer *w, const struct gw_settle *op,
                            struct sqlite_field field, uint32_t attempts, struct gw_slice *log)
{
    struct gw_slice plain;
    enum gw_err err = GW_OK;

    *log = (struct gw_slice){0};
    gw_buf_clear(&w->plain);
    if (w->log.len > 0)
        err = sqlite_field_open(&w->keyring, field, gw_buf_slice(&w->log), &w->plain);
    if (err != GW_OK && err != GW_ERR_CORRUPT)
        return err == GW_ERR_GONE ? GW_OK : err;
    if (op->attempt)
        gw_attempt_pack(&w->plain, op->attempt);
    plain = gw_buf_slice(&w->plain);
    if (attempts > ATTEMPTS_KEPT) {
        gw_buf_clear(&w->trimmed);
        gw_attempt_trim(&w->trimmed, plain);
        plain = gw_buf_slice(&w->trimmed);
    }
    if (plain.len == 0)
        return GW_OK;
    err = sqlite_field_seal(&w->keyring, field, plain, &w->sealed);
    if (err == GW_OK)
        *log = gw_buf_slice(&w->sealed);
    return err == GW_ERR_GONE || err == GW_ERR_CORRUPT ? GW_OK : err;
}

/* The attempt, and what the delivery comes to from now on, count at the attempt's URL. */
static void count_attempt(struct sqlite_writer *w, struct sqlite_segment *segment,
                          const struct gw_attempt *attempt, enum gw_delivery_state state)
{
    if (attempt->url.len > 0)
        w->tags.tally = sqlite_tally_at(segment, w->tags.tally,
                                        sqlite_url_hash(&w->sqlite->keys, attempt->url));
    if (state != GW_DELIVERY_DELIVERED)
        sqlite_tally_count(segment, w->tags.tally, GW_TALLY_FAILED, 1);
}

/* No write id is 0. */
static bool is_recorded(const struct gw_settle *op, const struct gw_delivery *d)
{
    return op->write_id != 0 && op->write_id == d->attempts;
}

/* It is not open: was it this settle that ended it? */
static enum gw_err settled_before(struct sqlite_writer *w, struct sqlite_segment *segment,
                                  const struct gw_settle *op, int64_t row_id)
{
    struct gw_delivery ended;

    if (!sqlite_done_get(w, segment, row_id, &ended))
        return GW_ERR_NOT_FOUND;
    if (is_recorded(op, &ended))
        return GW_OK;
    bool is_same_end = op->attempt == NULL && (uint64_t)ended.attempts + 1 == op->write_id &&
                       ended.state == op->next.state && ended.reason == op->next.reason;
    return is_same_end ? GW_OK : GW_ERR_NOT_FOUND;
}

/* The open row that was read last. */
static void end_row(struct sqlite_writer *w, struct sqlite_segment *segment,
                    const struct gw_delivery *next, struct gw_slice log)
{
    struct sqlite_conn *conn = &segment->file.conn;

    sqlite_open_delete(conn, next->order);
    sqlite_done_add(conn, next, w->tags, log);
    sqlite_tally_count(segment, w->tags.tally, gw_tally_of_state(next->state), 1);
    if (next->state == GW_DELIVERY_DELIVERED)
        sqlite_tally_latency(segment, w->tags.tally, next->ended_ms - next->created_ms);
    segment->open_change--;
}

enum gw_err sqlite_settle(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_settle *op = gw_container_of(base, struct gw_settle, op);
    struct sqlite_segment *segment;
    struct sqlite_ref ref;
    struct gw_delivery open;
    enum gw_err err;

    if (!sqlite_id_delivery(&w->sqlite->keys, &op->next.id, &ref))
        return GW_ERR_NOT_FOUND;
    segment = sqlite_segment_named(w, ref, &err);
    if (segment == NULL)
        return err;
    int64_t row_id = sqlite_row_id(ref.seq, ref.n);
    if (!sqlite_open_get(w, segment, row_id, &open))
        return settled_before(w, segment, op, row_id);
    if ((uint64_t)open.attempts + 1 != op->write_id)
        return is_recorded(op, &open) ? GW_OK : GW_ERR_STALE;

    /* What it is does not change, whatever the caller's copy says. */
    struct gw_delivery next = op->next;
    next.lane = open.lane;
    next.order = open.order;
    next.created_ms = open.created_ms;
    next.attempts = open.attempts + (op->attempt != NULL);
    struct sqlite_field field = {SQLITE_FIELD_LOG, ref.segment, next.order, w->tags.key};
    struct gw_slice log;
    err = log_with(w, op, field, next.attempts, &log);
    if (err != GW_OK)
        return err;
    if (op->attempt)
        count_attempt(w, segment, op->attempt, next.state);
    if (next.state == GW_DELIVERY_PENDING)
        sqlite_open_set(&segment->file.conn, &next, w->tags, log);
    else
        end_row(w, segment, &next, log);
    return GW_OK;
}

void sqlite_end(struct sqlite_writer *w, struct sqlite_segment *segment,
                const struct gw_delivery *open, enum gw_end_reason reason, int64_t now_ms)
{
    struct gw_delivery found, next = gw_delivery_end(open, reason, now_ms);

    if (sqlite_open_get(w, segment, (int64_t)open->order, &found))
        end_row(w, segment, &next, gw_buf_slice(&w->log));
}

/* ── Manual retry ──────────────────────────────────────────────────────────────────────────── */

enum gw_err sqlite_retry(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_retry_op *op = gw_container_of(base, struct gw_retry_op, op);
    struct gw_delivery *d = &op->delivery;
    struct sqlite_segment *segment;
    struct sqlite_ref ref;
    enum gw_err err;

    if (!sqlite_id_delivery(&w->sqlite->keys, &op->delivery_id, &ref))
        return GW_ERR_NOT_FOUND;
    segment = sqlite_segment_named(w, ref, &err);
    if (segment == NULL)
        return err;
    int64_t row_id = sqlite_row_id(ref.seq, ref.n);
    bool is_open = sqlite_open_get(w, segment, row_id, d);
    if (!is_open && !sqlite_done_get(w, segment, row_id, d))
        return GW_ERR_NOT_FOUND;
    if (atomic_load(&segment->state) == SQLITE_SEGMENT_ENDING)
        return GW_ERR_GONE;
    if (!gw_delivery_retry(d))
        return GW_ERR_CONFLICT;
    struct sqlite_conn *conn = &segment->file.conn;
    if (is_open) {
        sqlite_open_set(conn, d, w->tags, gw_buf_slice(&w->log));
    } else {
        sqlite_done_delete(conn, d->order);
        sqlite_open_add(conn, d, w->tags, gw_buf_slice(&w->log));
        sqlite_tally_count(segment, w->tags.tally, GW_TALLY_DEAD, -1);
        segment->open_change++;
    }
    sqlite_offer_add(op->offer, d);
    return GW_OK;
}

void sqlite_retry_finish(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_retry_op *op = gw_container_of(base, struct gw_retry_op, op);

    if (base->err != GW_OK && base->err != GW_ERR_CONFLICT)
        op->delivery = (struct gw_delivery){0};
    op->offered = sqlite_offer_finish(&w->outbox, op->offer, base->err);
}
