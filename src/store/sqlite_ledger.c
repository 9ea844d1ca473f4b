/* sqlite_ledger.c: what a group does to events and deliveries: accept, add, settle, retry. Runs on
 * the writer's thread, inside the transaction of the segment that it is about.
 *
 * Rules. A delivery is one row, in `open` while it is pending and in `done` once it has ended. The
 * write id of an attempt is attempts + 1, so a settle shown again is known by the attempts that are
 * recorded. Whatever a rule forbids is found out before the first write, so that the group goes on.
 * Results are filled in at once, and taken back by the finishing functions when the group fails. */
#include "store/sqlite_index.h"

#define ADD_KEY_MAX   64
#define ATTEMPTS_KEPT 25 /* gw_attempt_trim() has nothing to do before */

/* The segment that an id names, ready to be written. NULL: *err. */
static struct sqlite_segment *segment_of(struct sqlite_writer *w, struct sqlite_ref ref,
                                         enum gw_err *err)
{
    struct sqlite_segment *segment = sqlite_segment_of(w->sqlite, ref.segment);

    *err = GW_ERR_NOT_FOUND;
    return segment && sqlite_segment_write(w, segment, err) ? segment : NULL;
}

/* ── Rows of `open` and `done` ─────────────────────────────────────────────────────────────── */

static void open_add(struct sqlite_conn *conn, const struct gw_delivery *d, struct sqlite_tags tags,
                     struct gw_slice log)
{
    sqlite3_stmt *st = conn->st[SEG_OPEN_ADD];

    sqlite3_bind_int64(st, 1, (int64_t)d->order);
    sqlite3_bind_int64(st, 2, (int64_t)d->lane);
    sqlite3_bind_int64(st, 3, d->due_ms);
    sqlite3_bind_int64(st, 4, d->attempts);
    sqlite3_bind_int64(st, 5, d->step);
    sqlite3_bind_int64(st, 6, d->resume_ms);
    sqlite3_bind_int64(st, 7, d->created_ms);
    sqlite3_bind_int64(st, 8, tags.tally);
    sqlite3_bind_int64(st, 9, tags.key);
    sqlite_bind_blob(st, 10, log);
    sqlite_run(conn, st);
}

static void open_set(struct sqlite_conn *conn, const struct gw_delivery *d, struct gw_slice log)
{
    sqlite3_stmt *st = conn->st[SEG_OPEN_SET];

    sqlite3_bind_int64(st, 1, (int64_t)d->order);
    sqlite3_bind_int64(st, 2, d->due_ms);
    sqlite3_bind_int64(st, 3, d->attempts);
    sqlite3_bind_int64(st, 4, d->step);
    sqlite3_bind_int64(st, 5, d->resume_ms);
    sqlite_bind_blob(st, 6, log);
    sqlite_run(conn, st);
}

static void done_add(struct sqlite_conn *conn, const struct gw_delivery *d, struct sqlite_tags tags,
                     struct gw_slice log)
{
    sqlite3_stmt *st = conn->st[SEG_DONE_ADD];

    sqlite3_bind_int64(st, 1, (int64_t)d->order);
    sqlite3_bind_int64(st, 2, (int64_t)d->lane);
    sqlite3_bind_int64(st, 3, d->state);
    sqlite3_bind_int64(st, 4, d->reason);
    sqlite3_bind_int64(st, 5, d->attempts);
    sqlite3_bind_int64(st, 6, d->step);
    sqlite3_bind_int64(st, 7, d->created_ms);
    sqlite3_bind_int64(st, 8, d->ended_ms);
    sqlite3_bind_int64(st, 9, tags.tally);
    sqlite3_bind_int64(st, 10, tags.key);
    sqlite_bind_blob(st, 11, log);
    sqlite_run(conn, st);
}

static void row_delete(struct sqlite_conn *conn, enum sqlite_segment_sql sql, uint64_t row_id)
{
    sqlite3_bind_int64(conn->st[sql], 1, (int64_t)row_id);
    sqlite_run(conn, conn->st[sql]);
}

/* The last three columns: into w->tags and, as it is, w->log. */
static void rest_get(struct sqlite_writer *w, sqlite3_stmt *st)
{
    int last = sqlite3_column_count(st) - 1;

    gw_buf_clear(&w->log);
    gw_buf_adds(&w->log, sqlite_blob(st, last));
    w->tags.key = (uint32_t)sqlite3_column_int64(st, last - 1);
    w->tags.tally = sqlite3_column_int64(st, last - 2);
}

/* The row; its log and tags in the writer. False: there is none, or conn->rc. */
static bool open_get(struct sqlite_writer *w, struct sqlite_segment *segment, int64_t row_id,
                     struct gw_delivery *d)
{
    struct sqlite_conn *conn = &segment->file.conn;
    sqlite3_stmt *st = conn->st[SEG_OPEN_GET];

    sqlite3_bind_int64(st, 1, row_id);
    if (!sqlite_row(conn, st))
        return false;
    *d = sqlite_open_delivery(st, &w->sqlite->keys, segment->number);
    rest_get(w, st);
    sqlite3_reset(st);
    return true;
}

static bool done_get(struct sqlite_writer *w, struct sqlite_segment *segment, int64_t row_id,
                     struct gw_delivery *d)
{
    struct sqlite_conn *conn = &segment->file.conn;
    sqlite3_stmt *st = conn->st[SEG_DONE_GET];

    sqlite3_bind_int64(st, 1, row_id);
    if (!sqlite_row(conn, st))
        return false;
    *d = sqlite_done_delivery(st, &w->sqlite->keys, segment->number);
    rest_get(w, st);
    sqlite3_reset(st);
    return true;
}

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

/* ── Offers ────────────────────────────────────────────────────────────────────────────────── */

static void offer_add(struct gw_offer *offer, const struct gw_delivery *d)
{
    if (offer)
        offer->deliveries[offer->count++] = *d;
}

/* True: it was posted, and is the owner's. */
static bool offer_finish(struct sqlite_writer *w, struct gw_offer *offer, enum gw_err err)
{
    if (offer == NULL)
        return false;
    if (err != GW_OK)
        offer->count = 0;
    if (offer->count == 0)
        return false;
    sqlite_outbox_add(&w->outbox, offer->env, &offer->msg);
    return true;
}

/* ── Accept ────────────────────────────────────────────────────────────────────────────────── */

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
        open_add(&segment->file.conn, d, numbers.tags, (struct gw_slice){0});
        offer_add(op->offer, d);
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
    op->offered = offer_finish(w, op->offer, base->err);
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
    return open_get(w, segment, row_id, d) || done_get(w, segment, row_id, d);
}

static void extra_add(struct sqlite_segment *segment, const struct gw_add *op, uint64_t seq,
                      struct sqlite_tags tags, const struct gw_delivery *d)
{
    struct sqlite_conn *conn = &segment->file.conn;
    sqlite3_stmt *st = conn->st[SEG_EXTRA_ADD];

    open_add(conn, d, tags, (struct gw_slice){0});
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
    segment = segment_of(w, event, &err);
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
        offer_add(op->offer, d);
    }
    return GW_OK;
}

void sqlite_add_finish(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_add *op = gw_container_of(base, struct gw_add, op);

    if (base->err != GW_OK)
        op->delivery_count = 0;
    op->offered = offer_finish(w, op->offer, base->err);
}

/* ── Settle ────────────────────────────────────────────────────────────────────────────────── */

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

    if (!done_get(w, segment, row_id, &ended))
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

    row_delete(conn, SEG_OPEN_DELETE, next->order);
    done_add(conn, next, w->tags, log);
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
    segment = segment_of(w, ref, &err);
    if (segment == NULL)
        return err;
    int64_t row_id = sqlite_row_id(ref.seq, ref.n);
    if (!open_get(w, segment, row_id, &open))
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
    if (next.state == GW_DELIVERY_PENDING)
        open_set(&segment->file.conn, &next, log);
    else
        end_row(w, segment, &next, log);
    return GW_OK;
}

void sqlite_end(struct sqlite_writer *w, struct sqlite_segment *segment,
                const struct gw_delivery *open, enum gw_end_reason reason, int64_t now_ms)
{
    struct gw_delivery found, next = gw_delivery_end(open, reason, now_ms);

    if (open_get(w, segment, (int64_t)open->order, &found))
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
    segment = segment_of(w, ref, &err);
    if (segment == NULL)
        return err;
    int64_t row_id = sqlite_row_id(ref.seq, ref.n);
    bool is_open = open_get(w, segment, row_id, d);
    if (!is_open && !done_get(w, segment, row_id, d))
        return GW_ERR_NOT_FOUND;
    if (atomic_load(&segment->state) == SQLITE_SEGMENT_ENDING)
        return GW_ERR_GONE;
    if (!gw_delivery_retry(d))
        return GW_ERR_CONFLICT;
    struct sqlite_conn *conn = &segment->file.conn;
    if (is_open) {
        open_set(conn, d, gw_buf_slice(&w->log));
    } else {
        row_delete(conn, SEG_DONE_DELETE, d->order);
        open_add(conn, d, w->tags, gw_buf_slice(&w->log));
        sqlite_tally_count(segment, w->tags.tally, GW_TALLY_DEAD, -1);
        segment->open_change++;
    }
    offer_add(op->offer, d);
    return GW_OK;
}

void sqlite_retry_finish(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_retry_op *op = gw_container_of(base, struct gw_retry_op, op);

    if (base->err != GW_OK && base->err != GW_ERR_CONFLICT)
        op->delivery = (struct gw_delivery){0};
    op->offered = offer_finish(w, op->offer, base->err);
}
