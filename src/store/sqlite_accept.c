/* sqlite_accept.c: what comes in: an event with its deliveries, or deliveries that are added to one.
 * Runs on the writer's thread, inside the transaction of the segment that it is about.
 *
 * Rules. An event with an id is looked for first, in all segments within the dedupe window. Whatever
 * a rule forbids is found out before the first write, so that the group goes on. Results are filled
 * in at once, and taken back by the finishing functions when the group fails. */
#include "store/sqlite_index.h"
#include "store/sqlite_internal.h"

#define ADD_KEY_MAX 64

static struct gw_delivery new_delivery(struct sqlite_writer *w, struct sqlite_ref ref,
                                       const struct gw_id *message_id, uint64_t lane,
                                       int64_t now_ms)
{
    return (struct gw_delivery){
        .id = sqlite_id(&w->sqlite->keys, ref),
        .message_id = *message_id,
        .lane = lane,
        .order = (uint64_t)sqlite_row_id(ref.seq, ref.n),
        .state = GW_DELIVERY_PENDING,
        .due_ms = now_ms,
        .created_ms = now_ms,
    };
}

/* ── An event that came before ─────────────────────────────────────────────────────────────── */

/* Is it a routed event with this id, young enough to make the new one a duplicate? Else, or with
 * conn->rc: no. */
static bool is_repeated(struct sqlite_writer *w, struct sqlite_segment *segment,
                        const struct gw_accept *op, uint64_t seq, bool *differs)
{
    const struct gw_message *m = op->message;
    struct sqlite_conn *conn = &segment->file.conn;
    sqlite3_stmt *st = conn->st[SEG_EVENT_OLD];

    sqlite3_bind_int64(st, 1, (int64_t)seq);
    if (!sqlite_row(conn, st))
        return false;
    bool is = sqlite3_column_int(st, 4) == GW_SKIP_NONE &&
              m->accepted_ms - sqlite3_column_int64(st, 0) < op->dedupe_ms &&
              gw_slice_eq(sqlite_text(st, 3), m->event_id) &&
              sqlite3_column_int64(st, 1) == sqlite_name_find(segment, SQLITE_NAME_APP, m->app_id);
    if (is)
        *differs = sqlite3_column_int64(st, 2) != sqlite_body_hash(&w->sqlite->keys, m->body);
    sqlite3_reset(st);
    return is;
}

/* The newest such event of the segment. What is older may be younger, when the clock was set. 0:
 * there is none, or *err says why that is not known. */
static uint64_t repeated_in(struct sqlite_writer *w, struct sqlite_segment *segment,
                            const struct gw_accept *op, int64_t key_hash, bool *differs,
                            enum gw_err *err)
{
    struct sqlite_seek seek;
    uint64_t seq, found = 0;

    *err = GW_OK;
    sqlite_seek_begin(&seek, segment->index, SQLITE_ENTRY_ROUTED, key_hash);
    while (found == 0 && *err == GW_OK && sqlite_seek_next(&seek, &seq)) {
        if (sqlite_segment_read(w, segment, err) == NULL)
            break;
        if (is_repeated(w, segment, op, seq, differs))
            found = seq;
        *err = sqlite_segment_check(w, segment);
    }
    sqlite_seek_end(&seek);
    if (*err == GW_OK)
        *err = seek.err;
    return *err == GW_OK ? found : 0;
}

/* The same in all segments that may hold one; *err when that cannot be known. NULL: none. */
static struct sqlite_segment *find_repeated(struct sqlite_writer *w, const struct gw_accept *op,
                                            int64_t key_hash, uint64_t *seq, bool *differs,
                                            enum gw_err *err)
{
    int64_t from_ms = op->message->accepted_ms - op->dedupe_ms + 1;
    struct sqlite_segment *s = sqlite_segment_below(w->sqlite, UINT32_MAX);

    *err = GW_OK;
    for (; s; s = sqlite_segment_below(w->sqlite, s->number - 1)) {
        if (!sqlite_segment_spans(s, from_ms, 0) || sqlite_segment_err(s) != GW_OK)
            continue;
        *seq = repeated_in(w, s, op, key_hash, differs, err);
        if (*seq != 0)
            return s;
        if (*err != GW_OK && *err != GW_ERR_CORRUPT)
            return NULL;
    }
    *err = GW_OK;
    return NULL;
}

/* Those that accept made: a job's come behind them. */
static void answer_existing(struct sqlite_writer *w, struct gw_accept *op,
                            struct sqlite_segment *segment, uint64_t seq)
{
    struct sqlite_delivery found[gw_count(op->deliveries)];
    struct sqlite_conn *conn = &segment->file.conn;
    sqlite3_stmt *st = conn->st[SEG_EXTRA_FIRST];
    struct sqlite_ref first = {segment->number, seq, SQLITE_N_EVENT};
    struct sqlite_ref from = {segment->number, seq, 0};
    size_t count =
        sqlite_deliveries(conn, &w->sqlite->keys, from, -1, NULL, found, gw_count(found));
    uint64_t extra = UINT64_MAX;

    sqlite3_bind_int64(st, 1, (int64_t)seq);
    if (sqlite_row(conn, st)) {
        if (sqlite3_column_type(st, 0) != SQLITE_NULL)
            extra = (uint64_t)sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
    }
    op->existing = true;
    op->message_id = sqlite_id(&w->sqlite->keys, first);
    for (size_t i = 0; i < count && found[i].delivery.order < extra; i++)
        op->deliveries[op->delivery_count++] = found[i].delivery;
}

/* ── A new event ───────────────────────────────────────────────────────────────────────────── */

/* The numbers of its names, of its tally and of its app's key. */
struct numbers {
    int64_t app, type;
    struct sqlite_tags tags;
};

static struct numbers numbers_of(struct sqlite_segment *segment, const struct gw_message *m)
{
    struct numbers numbers = {
        .app = sqlite_name_id(segment, SQLITE_NAME_APP, m->app_id),
        .type = sqlite_name_id(segment, SQLITE_NAME_TYPE, m->event_type),
    };

    if (segment->file.conn.rc == SQLITE_OK)
        numbers.tags.tally = sqlite_tally_id(segment, m->accepted_ms, numbers.app, numbers.type);
    return numbers;
}

/* In the head, in the hour in which it came, so that an old segment is only read for it. Without a
 * head to write to it is answered all the same, and not counted. */
static enum gw_err count_repeated(struct sqlite_writer *w, struct sqlite_segment *first,
                                  const struct gw_message *m)
{
    enum gw_err err = sqlite_segment_check(w, first);
    struct sqlite_segment *head = sqlite_segment_head(w, m->accepted_ms);
    enum gw_err ignored;

    w->file = &first->file;
    if (err == GW_OK && head && sqlite_segment_write(w, head, &ignored)) {
        sqlite_segment_cover(head, m->accepted_ms);
        sqlite_tally_count(head, numbers_of(head, m).tags.tally, GW_TALLY_DUPLICATE, 1);
    }
    return err;
}

static void event_add(struct sqlite_writer *w, struct sqlite_segment *segment,
                      const struct gw_message *m, uint64_t seq, int64_t key_hash,
                      const struct numbers *numbers)
{
    const struct sqlite_keys *keys = &w->sqlite->keys;
    struct sqlite_conn *conn = &segment->file.conn;
    sqlite3_stmt *st = conn->st[SEG_EVENT_ADD];
    int64_t tx_hash = 0;

    if (m->transaction_id.ptr)
        tx_hash = sqlite_key_hash(keys, m->app_id, m->transaction_id);
    sqlite3_bind_int64(st, 1, (int64_t)seq);
    sqlite3_bind_int64(st, 2, m->accepted_ms);
    sqlite3_bind_int64(st, 3, numbers->app);
    sqlite3_bind_int64(st, 4, numbers->type);
    sqlite3_bind_int(st, 5, (int)m->skip);
    sqlite3_bind_int64(st, 6, (int64_t)m->config_version);
    if (m->event_id.ptr)
        sqlite3_bind_int64(st, 7, key_hash);
    else
        sqlite3_bind_null(st, 7);
    if (m->transaction_id.ptr)
        sqlite3_bind_int64(st, 8, tx_hash);
    else
        sqlite3_bind_null(st, 8);
    sqlite3_bind_int64(st, 9, sqlite_body_hash(keys, m->body));
    sqlite_bind_text(st, 10, m->event_id);
    sqlite_bind_text(st, 11, m->transaction_id);
    sqlite_bind_text(st, 12, m->workflow_id);
    sqlite_bind_text(st, 13, m->event_time);
    sqlite3_bind_int64(st, 14, numbers->tags.key);
    sqlite_bind_blob(st, 15, gw_buf_slice(&w->sealed));
    sqlite_run(conn, st);
    if (m->event_id.ptr)
        sqlite_index_add(
            segment->index,
            sqlite_entry(m->skip == GW_SKIP_NONE ? SQLITE_ENTRY_ROUTED : SQLITE_ENTRY_SKIPPED,
                         key_hash, seq));
    if (m->transaction_id.ptr)
        sqlite_index_add(segment->index, sqlite_entry(SQLITE_ENTRY_TX, tx_hash, seq));
    sqlite_tally_count(segment, numbers->tags.tally, GW_TALLY_RECEIVED, 1);
    sqlite_tally_count(segment, numbers->tags.tally, gw_tally_of_skip(m->skip), 1);
}

/* Into w->sealed, with the number of the key. */
static enum gw_err body_seal(struct sqlite_writer *w, struct sqlite_ref ref,
                             const struct gw_message *m, uint32_t *key)
{
    struct sqlite_field field = {SQLITE_FIELD_BODY, ref.segment, ref.seq, 0};
    enum gw_err err = sqlite_keyring_find(&w->keyring, m->app_id, key);

    if (err == GW_ERR_NOT_FOUND) /* it could not be given one, or the group was cut elsewhere */
        return w->key_err != GW_OK ? w->key_err : GW_ERR_BUSY;
    field.key = *key;
    return err == GW_OK ? sqlite_field_seal(&w->keyring, field, m->body, &w->sealed) : err;
}

static enum gw_err accept_new(struct sqlite_writer *w, struct sqlite_segment *segment,
                              struct gw_accept *op, int64_t key_hash)
{
    struct sqlite_ref ref = {segment->number, w->sqlite->next_seq, SQLITE_N_EVENT};
    uint32_t key;
    enum gw_err err = body_seal(w, ref, op->message, &key);

    if (err != GW_OK)
        return err;
    struct numbers numbers = numbers_of(segment, op->message);
    numbers.tags.key = key;
    w->sqlite->next_seq++;
    sqlite_segment_cover(segment, op->message->accepted_ms);
    event_add(w, segment, op->message, ref.seq, key_hash, &numbers);
    op->message_id = sqlite_id(&w->sqlite->keys, ref);
    for (size_t i = 0; i < op->lane_count; i++) {
        struct gw_delivery *d = &op->deliveries[op->delivery_count++];
        ref.n = (uint16_t)i;
        *d = new_delivery(w, ref, &op->message_id, op->lanes[i], op->message->accepted_ms);
        sqlite_open_add(&segment->file.conn, d, numbers.tags, (struct gw_slice){0});
        sqlite_offer_add(op->offer, d);
    }
    sqlite_tally_count(segment, numbers.tags.tally, GW_TALLY_CREATED, (int64_t)op->lane_count);
    segment->open_change += (int64_t)op->lane_count;
    return GW_OK;
}

enum gw_err sqlite_accept(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_accept *op = gw_container_of(base, struct gw_accept, op);
    const struct gw_message *m = op->message;
    struct sqlite_segment *segment;
    int64_t key_hash = 0;
    enum gw_err err;
    uint64_t seq = 0;

    if (op->lane_count > gw_count(op->deliveries))
        return GW_ERR_INVALID;
    if (m->event_id.ptr) {
        key_hash = sqlite_key_hash(&w->sqlite->keys, m->app_id, m->event_id);
        segment = find_repeated(w, op, key_hash, &seq, &op->payload_differs, &err);
        if (segment) {
            answer_existing(w, op, segment, seq);
            return count_repeated(w, segment, m);
        }
        if (err != GW_OK)
            return err;
        op->payload_differs = false;
    }
    segment = sqlite_segment_head(w, m->accepted_ms);
    if (segment == NULL)
        return GW_ERR_BUSY;
    if ((m->event_id.ptr || m->transaction_id.ptr) && !sqlite_merger_has_room(w->sqlite->merger))
        return GW_ERR_BUSY;
    if (w->sqlite->next_seq > SQLITE_SEQ_MAX)
        return GW_ERR_TOO_LARGE;
    if (sqlite_segment_write(w, segment, &err))
        err = accept_new(w, segment, op, key_hash);
    return err;
}

void sqlite_accept_finish(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_accept *op = gw_container_of(base, struct gw_accept, op);

    if (base->err != GW_OK) {
        op->existing = op->payload_differs = false;
        op->message_id = (struct gw_id){0};
        op->delivery_count = 0;
    } else if (!op->existing) {
        op->message->id = op->message_id;
    }
    op->offered = sqlite_offer_finish(&w->outbox, op->offer, base->err);
}

/* ── Add ───────────────────────────────────────────────────────────────────────────────────── */

static uint64_t last_row_id(struct sqlite_conn *conn, enum sqlite_segment_sql sql, uint64_t seq)
{
    sqlite3_stmt *st = conn->st[sql];
    uint64_t last = 0;

    sqlite3_bind_int64(st, 1, sqlite_row_id(seq, 0));
    sqlite3_bind_int64(st, 2, sqlite_row_id(seq, SQLITE_N_EVENT));
    if (sqlite_row(conn, st)) {
        last = (uint64_t)sqlite3_column_int64(st, 0); /* NULL reads as 0 */
        sqlite3_reset(st);
    }
    return last;
}

/* The number after the last that the event's deliveries have. */
static uint32_t next_n(struct sqlite_conn *conn, uint64_t seq)
{
    uint64_t open = last_row_id(conn, SEG_OPEN_LAST_OF, seq);
    uint64_t done = last_row_id(conn, SEG_DONE_LAST_OF, seq);
    uint64_t last = open > done ? open : done;

    return last ? (uint32_t)(last & 0xffff) + 1 : 0;
}

/* What this job has added before. False: nothing, or conn->rc. */
static bool extra_get(struct sqlite_writer *w, struct sqlite_segment *segment,
                      const struct gw_add *op, uint64_t seq, uint64_t lane, struct gw_delivery *d)
{
    struct sqlite_conn *conn = &segment->file.conn;
    sqlite3_stmt *st = conn->st[SEG_EXTRA_GET];

    sqlite3_bind_int64(st, 1, (int64_t)seq);
    sqlite_bind_blob(st, 2, op->key);
    sqlite3_bind_int64(st, 3, (int64_t)lane);
    if (!sqlite_row(conn, st))
        return false;
    int64_t row_id = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return sqlite_open_get(w, segment, row_id, d) || sqlite_done_get(w, segment, row_id, d);
}

static void extra_add(struct sqlite_segment *segment, const struct gw_add *op, uint64_t seq,
                      struct sqlite_tags tags, const struct gw_delivery *d)
{
    struct sqlite_conn *conn = &segment->file.conn;
    sqlite3_stmt *st = conn->st[SEG_EXTRA_ADD];

    sqlite_open_add(conn, d, tags, (struct gw_slice){0});
    sqlite3_bind_int64(st, 1, (int64_t)seq);
    sqlite_bind_blob(st, 2, op->key);
    sqlite3_bind_int64(st, 3, (int64_t)d->lane);
    sqlite3_bind_int64(st, 4, (int64_t)d->order);
    sqlite_run(conn, st);
    sqlite_tally_count(segment, tags.tally, GW_TALLY_CREATED, 1);
    sqlite_tally_count(segment, tags.tally, GW_TALLY_REPLAYED, 1);
    segment->open_change++;
}

/* The tags of an event. False: there is no such event, or conn->rc. */
static bool event_tags(struct sqlite_segment *segment, uint64_t seq, struct sqlite_tags *tags)
{
    struct sqlite_conn *conn = &segment->file.conn;
    sqlite3_stmt *st = conn->st[SEG_EVENT_APP];

    sqlite3_bind_int64(st, 1, (int64_t)seq);
    if (!sqlite_row(conn, st))
        return false;
    int64_t accepted_ms = sqlite3_column_int64(st, 1);
    int64_t app = sqlite3_column_int64(st, 2), type = sqlite3_column_int64(st, 3);
    tags->key = (uint32_t)sqlite3_column_int64(st, 4);
    sqlite3_reset(st);
    tags->tally = sqlite_tally_id(segment, accepted_ms, app, type);
    return tags->tally != 0;
}

enum gw_err sqlite_add(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_add *op = gw_container_of(base, struct gw_add, op);
    struct sqlite_segment *segment;
    struct sqlite_ref event;
    enum gw_err err;

    if (op->lane_count > gw_count(op->deliveries) || op->key.len == 0 || op->key.len > ADD_KEY_MAX)
        return GW_ERR_INVALID;
    if (!sqlite_id_event(&w->sqlite->keys, &op->message_id, &event))
        return GW_ERR_NOT_FOUND;
    segment = sqlite_segment_named(w, event, &err);
    if (segment == NULL)
        return err;
    if (atomic_load(&segment->state) == SQLITE_SEGMENT_ENDING)
        return GW_ERR_GONE;
    struct sqlite_conn *conn = &segment->file.conn;
    struct sqlite_tags tags;
    if (!event_tags(segment, event.seq, &tags))
        return GW_ERR_NOT_FOUND;
    uint32_t n = next_n(conn, event.seq);
    if (n + op->lane_count > SQLITE_N_EVENT)
        return GW_ERR_TOO_LARGE;
    for (size_t i = 0; i < op->lane_count && conn->rc == SQLITE_OK; i++) {
        struct gw_delivery *d = &op->deliveries[op->delivery_count++];
        if (extra_get(w, segment, op, event.seq, op->lanes[i], d))
            continue;
        struct sqlite_ref ref = {event.segment, event.seq, (uint16_t)n++};
        *d = new_delivery(w, ref, &op->message_id, op->lanes[i], op->now_ms);
        extra_add(segment, op, event.seq, tags, d);
        sqlite_offer_add(op->offer, d);
    }
    return GW_OK;
}

void sqlite_add_finish(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_add *op = gw_container_of(base, struct gw_add, op);

    if (base->err != GW_OK)
        op->delivery_count = 0;
    op->offered = sqlite_offer_finish(&w->outbox, op->offer, base->err);
}
