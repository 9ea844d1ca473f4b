/* sqlite_look.c: load and find. Runs on a reader; each segment is read in one transaction.
 *
 * Hashes of keys only lead to rows; what counts is what stands in the row. Order: newest event
 * first, by its sequence; the deliveries of an event by their numbers.
 *
 * Failure: what SQLite says is left in conn->rc; results are then meaningless and not looked at. */
#include "store/sqlite_index.h"
#include "store/sqlite_internal.h"

#include <stdlib.h>

#define FIND_MAX   100
#define EVENT_ROWS 64    /* of one event, at once */
#define APPS_MAX   10000 /* in which a key without an app is looked for, in a part of an index */
#define PROBE_MAX  1000  /* events that one probe yields */
#define KEYS_MAX   ((size_t)64 * 1024)

/* ── One event ─────────────────────────────────────────────────────────────────────────────── */

sqlite3_stmt *sqlite_event_get(struct sqlite_reader *r, struct sqlite_ref ref, struct gw_message *m)
{
    sqlite3_stmt *st = r->segment->st[SEG_EVENT];

    sqlite3_bind_int64(st, 1, (int64_t)ref.seq);
    if (!sqlite_row(r->segment, st))
        return NULL;
    ref.n = SQLITE_N_EVENT;
    *m = (struct gw_message){
        .id = sqlite_id(&r->sqlite->keys, ref),
        .accepted_ms = sqlite3_column_int64(st, 0),
        .skip = (enum gw_skip)sqlite3_column_int(st, 1),
        .config_version = (uint64_t)sqlite3_column_int64(st, 2),
        .app_id = sqlite_text(st, 3),
        .event_type = sqlite_text(st, 4),
        .event_id = sqlite_text(st, 5),
        .transaction_id = sqlite_text(st, 6),
        .workflow_id = sqlite_text(st, 7),
        .event_time = sqlite_text(st, 8),
    };
    return st;
}

/* The body, valid until another field is opened. GW_ERR_GONE: it was taken out, or its key was. */
static enum gw_err body_read(struct sqlite_reader *r, struct sqlite_ref ref, struct gw_slice *body)
{
    struct sqlite_field field = {SQLITE_FIELD_BODY, ref.segment, ref.seq, 0};
    sqlite3_stmt *st = r->segment->st[SEG_EVENT_BODY];
    enum gw_err err = GW_ERR_GONE;

    sqlite3_bind_int64(st, 1, (int64_t)ref.seq);
    if (!sqlite_row(r->segment, st))
        return GW_ERR_NOT_FOUND;
    field.key = (uint32_t)sqlite3_column_int64(st, 0);
    struct gw_slice sealed = sqlite_blob(st, 1);
    if (sealed.ptr)
        err = sqlite_field_open(&r->keyring, field, sealed, &r->keyring.room);
    sqlite3_reset(st);
    if (err == GW_OK)
        *body = gw_buf_slice(&r->keyring.room);
    return err;
}

static enum gw_err load(struct sqlite_reader *r, struct gw_load *op, struct sqlite_ref ref)
{
    struct gw_message columns;
    sqlite3_stmt *st = sqlite_event_get(r, ref, &columns);
    struct gw_slice body = {0};

    if (st == NULL)
        return GW_ERR_NOT_FOUND;
    enum gw_err err = body_read(r, ref, &body);
    if (err == GW_OK) {
        struct gw_event event = {
            .body = body,
            .app_id = columns.app_id,
            .event_type = columns.event_type,
            .event_id = columns.event_id,
            .transaction_id = columns.transaction_id,
            .workflow_id = columns.workflow_id,
            .event_time = columns.event_time,
        };
        op->message = gw_message_create(&event, columns.accepted_ms);
        op->message->id = op->message_id;
        op->message->skip = columns.skip;
        op->message->config_version = columns.config_version;
    }
    sqlite3_reset(st);
    return err;
}

/* The one that an id names. */
static enum gw_err enter(struct sqlite_reader *r, struct sqlite_ref ref)
{
    struct sqlite_segment *segment = sqlite_segment_of(r->sqlite, ref.segment);

    return segment ? sqlite_reader_enter(r, segment) : GW_ERR_NOT_FOUND;
}

enum gw_err sqlite_load(struct sqlite_reader *r, struct gw_op *base)
{
    struct gw_load *op = gw_container_of(base, struct gw_load, op);
    struct sqlite_ref ref;

    if (!sqlite_id_event(&r->sqlite->keys, &op->message_id, &ref))
        return GW_ERR_NOT_FOUND;
    enum gw_err err = enter(r, ref);
    if (err != GW_OK)
        return err;
    err = sqlite_reader_leave(r, load(r, op, ref));
    if (err != GW_OK) {
        gw_message_unref(op->message);
        op->message = NULL;
    }
    return err;
}

/* ── Events of a key ───────────────────────────────────────────────────────────────────────── */

/* No more are known for sure below the last of a probe that was cut short. */
static void probe(struct sqlite_conn *conn, uint32_t part, enum sqlite_entry_kind kind,
                  int64_t hash, uint64_t top, struct sqlite_keyed *keyed)
{
    sqlite3_stmt *st = sqlite_index_ask(conn, part, kind, hash, top, PROBE_MAX);
    uint64_t seq = 0;
    size_t count = 0;

    for (; sqlite_row(conn, st); count++) {
        seq = (uint64_t)sqlite3_column_int64(st, 0);
        gw_buf_add(&keyed->seqs, &seq, sizeof(seq));
    }
    if (count == PROBE_MAX && seq > keyed->known_from)
        keyed->known_from = seq;
}

static int compare_down(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x < y) - (x > y);
}

static size_t unique(uint64_t *seqs, size_t count)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        if (n == 0 || seqs[n - 1] != seqs[i])
            seqs[n++] = seqs[i];
    return n;
}

/* Newest first and once each, without what is not known for sure, at most `max`. */
static void sort(struct sqlite_keyed *keyed, size_t max)
{
    uint64_t *seqs = (uint64_t *)(void *)keyed->seqs.ptr;
    size_t count = keyed->seqs.len / sizeof(*seqs);

    if (count > 0)
        qsort(seqs, count, sizeof(*seqs), compare_down);
    count = unique(seqs, count);
    if (count > max) {
        count = max;
        if (seqs[count - 1] > keyed->known_from)
            keyed->known_from = seqs[count - 1];
    }
    while (count > 0 && seqs[count - 1] < keyed->known_from)
        count--;
    keyed->seqs.len = count * sizeof(*seqs);
    keyed->count = count;
}

static void probe_all(struct sqlite_conn *conn, uint32_t part, struct sqlite_key key, int64_t hash,
                      uint64_t top, struct sqlite_keyed *keyed)
{
    if (key.is_event_id) {
        probe(conn, part, SQLITE_ENTRY_ROUTED, hash, top, keyed);
        probe(conn, part, SQLITE_ENTRY_SKIPPED, hash, top, keyed);
    } else {
        probe(conn, part, SQLITE_ENTRY_TX, hash, top, keyed);
    }
    if (keyed->seqs.len >= KEYS_MAX * sizeof(uint64_t))
        sort(keyed, PROBE_MAX);
}

/* Without an app: those of all apps, which share the upper half of the hash. */
static void ask_part(struct sqlite_conn *conn, uint32_t part, struct sqlite_key key, int64_t hash,
                     uint64_t top, struct sqlite_keyed *keyed)
{
    int64_t last = (int64_t)((uint64_t)hash | UINT32_MAX);

    if (key.app_id.len > 0) {
        probe_all(conn, part, key, hash, top, keyed);
        return;
    }
    for (size_t n = 0; n < APPS_MAX; n++) {
        if (!sqlite_index_hash(conn, part, key.is_event_id, last, &hash))
            return;
        probe_all(conn, part, key, hash, top, keyed);
        if (hash++ == last)
            return;
    }
}

enum gw_err sqlite_keyed(struct sqlite_reader *r, struct sqlite_key key,
                         const struct sqlite_recent *recent, uint64_t top,
                         struct sqlite_keyed *keyed)
{
    int64_t hash = sqlite_key_hash(&r->sqlite->keys, key.app_id, key.text);
    struct sqlite_index *index = r->entered->index;
    struct sqlite_index_state state;
    struct sqlite_conn conn;

    *keyed = (struct sqlite_keyed){0};
    for (size_t i = 0; i < recent->count; i++) {
        if (recent->at[i].segment == r->entered->number && recent->at[i].seq <= top)
            gw_buf_add(&keyed->seqs, &recent->at[i].seq, sizeof(uint64_t));
    }
    enum gw_err err = sqlite_index_read_begin(index, &conn, &state);
    if (err != GW_OK)
        return err;
    for (uint32_t part = state.part + 1; conn.db && part-- > 0;)
        ask_part(&conn, part, key, hash, top, keyed);
    err = sqlite_index_read_end(index, &conn);
    sort(keyed, KEYS_MAX);
    return err;
}

/* ── Find ──────────────────────────────────────────────────────────────────────────────────── */

static void rows_read(struct sqlite_reader *r, struct sqlite_ref ref, struct gw_arena *arena,
                      struct gw_event_row *event)
{
    const struct sqlite_logs logs = {&r->keyring, arena};
    struct sqlite_delivery found[EVENT_ROWS];
    struct gw_buf rows = {0};
    size_t count;

    ref.n = 0;
    do {
        count =
            sqlite_deliveries(r->segment, &r->sqlite->keys, ref, -1, &logs, found, gw_count(found));
        for (size_t i = 0; i < count; i++) {
            struct gw_row row = {found[i].delivery, event->message, found[i].log};
            gw_buf_add(&rows, &row, sizeof(row));
            ref.n = (uint16_t)((row.delivery.order & 0xffff) + 1);
        }
    } while (count == gw_count(found));
    event->count = rows.len / sizeof(*event->rows);
    event->rows = gw_arena_alloc(arena, rows.len + 1);
    if (rows.len > 0)
        memcpy(event->rows, rows.ptr, rows.len);
    gw_buf_deinit(&rows);
}

static bool has_text(const struct gw_find *op, const struct gw_message *m)
{
    switch (op->key) {
    case GW_FIND_EVENT_ID: return m->event_id.ptr && gw_slice_eq(m->event_id, op->text);
    case GW_FIND_TRANSACTION_ID:
        return m->transaction_id.ptr && gw_slice_eq(m->transaction_id, op->text);
    case GW_FIND_MESSAGE:
    case GW_FIND_DELIVERY: return true;
    }
    gw_never("an unknown key to find by");
}

/* Adds the event if it is what was asked for. A body that was taken out is absent. */
static enum gw_err find_add(struct sqlite_reader *r, struct gw_find *op, struct sqlite_ref ref)
{
    struct gw_event_row *event = &op->events[op->count];
    struct gw_message columns, *m = NULL;
    sqlite3_stmt *st = sqlite_event_get(r, ref, &columns);
    struct gw_slice body = {0};
    enum gw_err err = GW_OK;

    if (st && has_text(op, &columns) &&
        (op->app_id.len == 0 || gw_slice_eq(op->app_id, columns.app_id)))
        m = gw_message_in(op->arena, &columns);
    sqlite3_reset(st);
    if (m == NULL)
        return GW_OK;
    if (op->with_body) {
        err = body_read(r, ref, &body);
        m->body = gw_arena_dup(op->arena, body);
    }
    if (err != GW_OK && err != GW_ERR_GONE)
        return err;
    event->message = m;
    rows_read(r, ref, op->arena, event);
    op->count++;
    return GW_OK;
}

static bool delivery_exists(struct sqlite_reader *r, struct sqlite_ref ref)
{
    struct sqlite_delivery first;

    return sqlite_deliveries(r->segment, &r->sqlite->keys, ref, -1, NULL, &first, 1) == 1 &&
           first.delivery.order == (uint64_t)sqlite_row_id(ref.seq, ref.n);
}

/* In the segment that was entered. */
static enum gw_err find_keyed(struct sqlite_reader *r, struct gw_find *op, uint32_t segment,
                              size_t max)
{
    struct sqlite_key key = {op->app_id, op->text, op->key == GW_FIND_EVENT_ID};
    struct sqlite_keyed keyed;
    enum gw_err err = sqlite_keyed(r, key, op->op.found, SQLITE_SEQ_MAX, &keyed);

    for (size_t i = 0; i < keyed.count && op->count < max && err == GW_OK; i++) {
        struct sqlite_ref ref = {segment, sqlite_keyed_at(&keyed, i), 0};
        err = find_add(r, op, ref);
    }
    gw_buf_deinit(&keyed.seqs);
    return err;
}

/* What was set aside cannot be looked at, and is passed over; it is known as such. */
static enum gw_err find_in_all(struct sqlite_reader *r, struct gw_find *op, size_t max)
{
    struct sqlite_segment *s = sqlite_segment_below(r->sqlite, UINT32_MAX);
    enum gw_err err = GW_OK;

    for (; s && op->count < max && err == GW_OK;
         s = sqlite_segment_below(r->sqlite, s->number - 1)) {
        err = sqlite_reader_enter(r, s);
        if (err == GW_OK)
            err = sqlite_reader_leave(r, find_keyed(r, op, s->number, max));
        if (sqlite_segment_err(s) != GW_OK)
            err = GW_OK;
    }
    return err;
}

static enum gw_err find_one(struct sqlite_reader *r, struct gw_find *op, struct sqlite_ref ref)
{
    enum gw_err err = enter(r, ref);

    if (err != GW_OK)
        return err == GW_ERR_NOT_FOUND ? GW_OK : err;
    if (op->key == GW_FIND_MESSAGE || delivery_exists(r, ref))
        err = find_add(r, op, ref);
    return sqlite_reader_leave(r, err);
}

enum gw_err sqlite_find(struct sqlite_reader *r, struct gw_op *base)
{
    struct gw_find *op = gw_container_of(base, struct gw_find, op);
    size_t max = op->max < FIND_MAX ? op->max : FIND_MAX;
    const struct sqlite_keys *keys = &r->sqlite->keys;
    struct sqlite_ref ref;

    op->events = gw_arena_alloc(op->arena, (max + 1) * sizeof(*op->events));
    if (max == 0)
        return GW_OK;
    switch (op->key) {
    case GW_FIND_MESSAGE:
        return sqlite_id_event(keys, &op->id, &ref) ? find_one(r, op, ref) : GW_OK;
    case GW_FIND_DELIVERY:
        return sqlite_id_delivery(keys, &op->id, &ref) ? find_one(r, op, ref) : GW_OK;
    case GW_FIND_EVENT_ID:
    case GW_FIND_TRANSACTION_ID: return find_in_all(r, op, max);
    }
    gw_never("an unknown key to find by");
}
