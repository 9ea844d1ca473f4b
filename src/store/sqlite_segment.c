/* sqlite_segment.c: the set of segments: which there are, which of them are open for writing, where
 * an accept goes, and how the next one begins.
 *
 * All that is accepted goes to the head, the one with the highest number. Another begins when the
 * UTC day of an accept is not that of the head's first one, whichever of the two is later, or when
 * the head is full; at most one a minute, so that a clock that jumps to and fro makes no heap of
 * files. It is made by the checkpointer's thread when it is first wanted, and taken between two
 * groups, by being listed in the main file; until then things go on in the old head. Hence each
 * segment keeps the span of its accepts, and by that, not by days, others look for them.
 *
 * The writer has open: the head, those in which something is open, and few others. Readers open what
 * they need.
 *
 * Failure: a segment that is damaged is set aside: what it has done in the group fails, its ids
 * answer GW_ERR_CORRUPT, all others go on. If it was the head, another is made at once. */
#include "store/sqlite_index.h"
#include "store/sqlite_internal.h"

#include <inttypes.h>
#include <stdio.h>

#define EVENTS_MAX   10000000
#define GAP_MS       SQLITE_MINUTE_MS
#define FAILED_MS    1000 /* a head is missing, and its making failed: again after that */
#define IDLE_MAX     8    /* open, though nothing in them is */
#define OLD_CACHE(s) ((s)->options.cache_bytes / 8)

/* ── Which there are ───────────────────────────────────────────────────────────────────────── */

struct sqlite_segment *sqlite_segment_of(struct gw_sqlite *sqlite, uint32_t number)
{
    struct sqlite_segments *set = &sqlite->segments;

    if (number < set->base || number > atomic_load(&set->top))
        return NULL;
    struct sqlite_segment *segment = atomic_load(&set->at[number - set->base]);
    return segment && atomic_load(&segment->state) != SQLITE_SEGMENT_REMOVED ? segment : NULL;
}

struct sqlite_segment *sqlite_segment_below(struct gw_sqlite *sqlite, uint32_t number)
{
    struct sqlite_segments *set = &sqlite->segments;
    uint32_t top = atomic_load(&set->top);

    for (uint32_t at = number < top ? number : top; at >= set->base && at > 0; at--) {
        struct sqlite_segment *segment = sqlite_segment_of(sqlite, at);
        if (segment)
            return segment;
    }
    return NULL;
}

enum gw_err sqlite_segment_err(const struct sqlite_segment *segment)
{
    switch (atomic_load(&segment->state)) {
    case SQLITE_SEGMENT_UNUSABLE: return GW_ERR_CORRUPT;
    case SQLITE_SEGMENT_REMOVED: return GW_ERR_NOT_FOUND;
    default: return GW_OK;
    }
}

bool sqlite_segment_spans(const struct sqlite_segment *segment, int64_t from_ms, int64_t to_ms)
{
    int64_t first = atomic_load(&segment->first_ms), last = atomic_load(&segment->last_ms);

    return first <= last && (from_ms == 0 || last >= from_ms) && (to_ms == 0 || first < to_ms);
}

struct sqlite_segment *sqlite_segment_create(struct gw_sqlite *sqlite, uint32_t number,
                                             uint64_t first_seq)
{
    struct sqlite_segment *segment = gw_zalloc(sizeof(*segment));
    char name[32];

    snprintf(name, sizeof(name), "%08" PRIu32 ".seg", number);
    segment->number = number;
    segment->file.segment = segment;
    segment->path = sqlite_dir_path(sqlite, name);
    segment->first_seq = first_seq;
    segment->day = -1;
    sqlite_tallies_init(&segment->tallies);
    atomic_init(&segment->first_ms, INT64_MAX);
    atomic_init(&segment->last_ms, INT64_MIN);
    return segment;
}

void sqlite_segment_destroy(struct sqlite_segment *segment)
{
    if (segment == NULL)
        return;
    sqlite_segment_drop(segment);
    gw_free((char *)segment->path);
    gw_free(segment);
}

/* ── Open files ────────────────────────────────────────────────────────────────────────────── */

static int64_t number_of(struct sqlite_conn *conn, enum sqlite_segment_sql sql)
{
    int64_t value = 0;

    if (sqlite_row(conn, conn->st[sql])) {
        value = sqlite3_column_int64(conn->st[sql], 0);
        sqlite3_reset(conn->st[sql]);
    }
    return value;
}

enum gw_err sqlite_segment_look(struct sqlite_segment *segment, struct gw_error *error)
{
    struct sqlite_conn *conn = &segment->file.conn;
    sqlite3_stmt *st = conn->st[SEG_SPAN_GET];
    bool has_span = sqlite_row(conn, st);

    if (has_span) {
        segment->day = sqlite3_column_int64(st, 0);
        atomic_store(&segment->first_ms, sqlite3_column_int64(st, 1));
        atomic_store(&segment->last_ms, sqlite3_column_int64(st, 2));
        sqlite3_reset(st);
    }
    segment->is_span_stored = true;
    atomic_store(&segment->open, (uint_fast64_t)number_of(conn, SEG_OPEN_COUNT));
    segment->last_seq = (uint64_t)number_of(conn, SEG_LAST_SEQ);
    if (conn->rc != SQLITE_OK)
        return sqlite_conn_error(conn, conn->rc, "read it", error);
    if (segment->last_seq > 0 && (!has_span || segment->last_seq < segment->first_seq))
        return gw_error_set(error, GW_ERR_CORRUPT, "%s: its events are not those it began with",
                            segment->path);
    return GW_OK;
}

void sqlite_segment_close(struct gw_sqlite *sqlite, struct sqlite_segment *segment, bool waits)
{
    struct sqlite_file *file = &segment->file;

    bool is_well = file->conn.db && atomic_load(&segment->state) != SQLITE_SEGMENT_UNUSABLE;

    if (is_well && !atomic_load(&sqlite->stopped))
        sqlite_tallies_finish(segment);
    if (is_well)
        sqlite_wal_finish(sqlite, file, waits);
    sqlite_segment_drop(segment);
}

void sqlite_segment_drop(struct sqlite_segment *segment)
{
    sqlite_wal_deinit(&segment->file);
    sqlite_conn_close(&segment->file.conn);
    sqlite_names_forget(segment);
    sqlite_tallies_deinit(&segment->tallies);
}

static enum gw_err open_again(struct sqlite_writer *w, struct sqlite_segment *segment)
{
    struct gw_sqlite *sqlite = w->sqlite;
    struct gw_error error;
    enum gw_err err = sqlite_conn_open(&segment->file.conn, segment->path, &sqlite_segment_kind,
                                       SQLITE_ROLE_WRITER, OLD_CACHE(sqlite), &error);

    w->has_opened = true;
    if (err == GW_OK) {
        sqlite_wal_init(&segment->file);
        return GW_OK;
    }
    sqlite_conn_close(&segment->file.conn);
    if (err == GW_ERR_CORRUPT || err == GW_ERR_SCHEMA) {
        sqlite_segment_set_aside(sqlite, segment, error.text);
        return GW_ERR_CORRUPT;
    }
    gw_log(GW_LOG_ERROR, "store_open_failed", GW_S("error", error.text));
    return GW_ERR_BUSY;
}

/* The least recently used of those in which nothing is open, while there are too many. */
static void close_idle(struct sqlite_writer *w)
{
    struct gw_sqlite *sqlite = w->sqlite;
    struct sqlite_segment *s, *oldest;
    size_t idle;

    do {
        idle = 0;
        oldest = NULL;
        for (s = sqlite_segment_below(sqlite, UINT32_MAX); s;
             s = sqlite_segment_below(sqlite, s->number - 1)) {
            if (s == sqlite->head || s->file.conn.db == NULL || atomic_load(&s->open) > 0 ||
                sqlite_wal_is_busy(&s->file))
                continue;
            idle++;
            if (oldest == NULL || s->used < oldest->used)
                oldest = s;
        }
        if (idle > IDLE_MAX)
            sqlite_segment_close(sqlite, oldest, false);
    } while (idle > IDLE_MAX + 1);
    w->has_opened = false;
}

struct sqlite_conn *sqlite_segment_read(struct sqlite_writer *w, struct sqlite_segment *segment,
                                        enum gw_err *err)
{
    struct sqlite_conn *conn = &segment->file.conn;

    *err = sqlite_segment_err(segment);
    if (*err == GW_OK && conn->db == NULL)
        *err = open_again(w, segment);
    if (*err == GW_OK) /* also of what was read between two groups */
        *err = sqlite_segment_check(w, segment);
    if (*err != GW_OK && !segment->is_touched)
        conn->rc = SQLITE_OK;
    if (*err != GW_OK)
        return NULL;
    segment->used = ++w->uses;
    if (!segment->is_touched) {
        segment->is_touched = true;
        segment->open_change = 0;
        gw_buf_add(&w->touched, &segment, sizeof(segment));
    }
    return conn;
}

struct sqlite_conn *sqlite_segment_write(struct sqlite_writer *w, struct sqlite_segment *segment,
                                         enum gw_err *err)
{
    struct sqlite_conn *conn = sqlite_segment_read(w, segment, err);

    if (conn == NULL)
        return NULL;
    w->file = &segment->file;
    if (sqlite_writer_begin(&segment->file))
        return conn;
    *err = sqlite_conn_err(conn, conn->rc);
    return NULL;
}

struct sqlite_segment *sqlite_segment_named(struct sqlite_writer *w, struct sqlite_ref ref,
                                            enum gw_err *err)
{
    struct sqlite_segment *segment = sqlite_segment_of(w->sqlite, ref.segment);

    *err = GW_ERR_NOT_FOUND;
    return segment && sqlite_segment_write(w, segment, err) ? segment : NULL;
}

/* ── Damage ────────────────────────────────────────────────────────────────────────────────── */

void sqlite_segment_set_aside(struct gw_sqlite *sqlite, struct sqlite_segment *segment,
                              const char *why)
{
    int was = atomic_exchange(&segment->state, SQLITE_SEGMENT_UNUSABLE);

    if (was == SQLITE_SEGMENT_UNUSABLE)
        return;
    if (was == SQLITE_SEGMENT_IN_USE)
        atomic_fetch_add(&sqlite->segments.special, 1);
    atomic_fetch_add(&sqlite->damaged, 1);
    atomic_fetch_sub(&sqlite->open, atomic_exchange(&segment->open, 0));
    gw_log(GW_LOG_ERROR, "store_segment_set_aside", GW_S("file", segment->path),
           GW_S("error", why));
}

enum gw_err sqlite_segment_check(struct sqlite_writer *w, struct sqlite_segment *segment)
{
    struct sqlite_conn *conn = &segment->file.conn;
    enum gw_err err = sqlite_conn_err(conn, conn->rc);

    if (err == GW_ERR_CORRUPT)
        sqlite_segment_set_aside(w->sqlite, segment, sqlite3_errmsg(conn->db));
    return err;
}

/* ── The head ──────────────────────────────────────────────────────────────────────────────── */

static int64_t floor_to(int64_t ms, int64_t unit)
{
    int64_t rest = ms % unit;

    return ms - (rest < 0 ? rest + unit : rest);
}

struct sqlite_segment *sqlite_segment_head(struct sqlite_writer *w, int64_t accepted_ms)
{
    struct gw_sqlite *sqlite = w->sqlite;
    struct sqlite_segment *head = sqlite->head;

    if (head == NULL || sqlite_segment_err(head) != GW_OK) {
        w->wants_next = true;
        return NULL;
    }
    int64_t day = floor_to(accepted_ms, SQLITE_DAY_MS) / SQLITE_DAY_MS;
    uint64_t max = sqlite->options.segment_events_max;
    if ((head->day >= 0 && head->day != day) ||
        sqlite->next_seq - head->first_seq >= (max ? max : EVENTS_MAX))
        w->wants_next = true;
    return head;
}

void sqlite_segment_cover(struct sqlite_segment *segment, int64_t accepted_ms)
{
    struct sqlite_conn *conn = &segment->file.conn;
    sqlite3_stmt *st = conn->st[SEG_SPAN_SET];
    int64_t first = atomic_load(&segment->first_ms), last = atomic_load(&segment->last_ms);

    if (accepted_ms >= first && accepted_ms <= last && segment->is_span_stored)
        return;
    if (segment->day < 0)
        segment->day = floor_to(accepted_ms, SQLITE_DAY_MS) / SQLITE_DAY_MS;
    if (accepted_ms < first)
        first = floor_to(accepted_ms, SQLITE_MINUTE_MS);
    if (accepted_ms > last)
        last = floor_to(accepted_ms, SQLITE_MINUTE_MS) + SQLITE_MINUTE_MS - 1;
    sqlite3_bind_int64(st, 1, segment->day);
    sqlite3_bind_int64(st, 2, first);
    sqlite3_bind_int64(st, 3, last);
    sqlite_run(conn, st);
    atomic_store(&segment->first_ms, first);
    atomic_store(&segment->last_ms, last);
    segment->is_span_stored = true;
}

/* ── The next one ──────────────────────────────────────────────────────────────────────────── */

enum gw_err sqlite_segment_take(struct gw_sqlite *sqlite, struct sqlite_segment *segment,
                                struct gw_error *error)
{
    struct sqlite_conn *conn = &sqlite->main.conn;
    struct sqlite_segments *set = &sqlite->segments;
    sqlite3_stmt *st = conn->st[MAIN_SEGMENT_ADD];

    segment->first_seq = sqlite->next_seq;
    sqlite3_bind_int64(st, 1, segment->number);
    sqlite3_bind_int64(st, 2, (int64_t)segment->first_seq);
    sqlite_run(conn, st);
    if (conn->rc != SQLITE_OK)
        return sqlite_conn_error(conn, conn->rc, "list a segment", error);
    segment->index = sqlite_index_create(sqlite->merger, segment->number, segment->path);
    atomic_store(&set->at[segment->number - set->base], segment);
    atomic_store(&set->top, segment->number);
    sqlite->head = segment;
    return GW_OK;
}

void sqlite_segment_make(struct gw_sqlite *sqlite)
{
    struct sqlite_next *next = &sqlite->next;
    struct gw_error error;

    next->err = sqlite_dir_make(sqlite, next->segment, &error);
    if (next->err != GW_OK)
        gw_log(GW_LOG_ERROR, "store_segment_failed", GW_S("error", error.text));
    atomic_store(&next->state, next->err == GW_OK ? SQLITE_NEXT_MADE : SQLITE_NEXT_FAILED);
}

static void ask(struct sqlite_writer *w)
{
    struct gw_sqlite *sqlite = w->sqlite;
    struct sqlite_segments *set = &sqlite->segments;
    bool has_head = sqlite->head && sqlite_segment_err(sqlite->head) == GW_OK;
    int64_t gap_ms = sqlite->options.segment_gap_ms ? sqlite->options.segment_gap_ms : GAP_MS;
    uint32_t number = atomic_load(&set->top) + 1 + sqlite->next.skipped;

    if (!has_head)
        gap_ms = FAILED_MS;
    if (gw_env_mono_us(sqlite->env) - w->next_us < gap_ms * 1000 || number - set->base >= set->cap)
        return;
    sqlite->next.segment = sqlite_segment_create(sqlite, number, 0);
    atomic_store(&sqlite->next.state, SQLITE_NEXT_MAKING);
    gw_worker_post(sqlite->checkpointer, &sqlite->next.msg);
}

static void drop(struct sqlite_next *next)
{
    sqlite_segment_destroy(next->segment);
    next->segment = NULL;
    atomic_store(&next->state, SQLITE_NEXT_NONE);
}

/* It has little use for as large a cache as a head's. */
static void shrink(struct gw_sqlite *sqlite, struct sqlite_segment *segment)
{
    char sql[64];

    snprintf(sql, sizeof(sql), "PRAGMA cache_size=-%zu", OLD_CACHE(sqlite) / 1024 + 64);
    sqlite3_exec(segment->file.conn.db, sql, NULL, NULL, NULL);
    sqlite3_db_release_memory(segment->file.conn.db);
}

static void take(struct sqlite_writer *w)
{
    struct gw_sqlite *sqlite = w->sqlite;
    struct sqlite_conn *main = &sqlite->main.conn;
    struct sqlite_segment *before = sqlite->head, *segment = sqlite->next.segment;
    struct gw_error error;

    w->next_us = gw_env_mono_us(sqlite->env);
    if (sqlite_segment_take(sqlite, segment, &error) != GW_OK) {
        gw_log(GW_LOG_ERROR, "store_segment_failed", GW_S("error", error.text));
        if (gw_err_class(error.code) == GW_CLASS_FATAL)
            sqlite_stop(sqlite, main, main->rc);
        main->rc = SQLITE_OK;
        drop(&sqlite->next);
        return;
    }
    gw_log(GW_LOG_INFO, "store_segment", GW_S("file", segment->path));
    sqlite->next.segment = NULL;
    sqlite->next.skipped = 0;
    atomic_store(&sqlite->next.state, SQLITE_NEXT_NONE);
    w->wants_next = false;
    if (before && before->file.conn.db) {
        sqlite_index_seal(before->index, (uint64_t)number_of(&before->file.conn, SEG_LAST_SEQ));
        shrink(sqlite, before);
    }
    w->has_opened = true;
}

void sqlite_segment_mind(struct sqlite_writer *w)
{
    struct gw_sqlite *sqlite = w->sqlite;

    if (atomic_load(&sqlite->stopped))
        return;
    switch (atomic_load(&sqlite->next.state)) {
    case SQLITE_NEXT_MADE: take(w); break;
    case SQLITE_NEXT_FAILED:
        w->next_us = gw_env_mono_us(sqlite->env);
        /* What is in the way was not made here, or main.db is older than it: it stays, and is named. */
        sqlite->next.skipped += gw_err_class(sqlite->next.err) == GW_CLASS_FATAL;
        drop(&sqlite->next);
        break;
    case SQLITE_NEXT_NONE:
        if (w->wants_next)
            ask(w);
        break;
    default: break;
    }
    if (w->has_opened)
        close_idle(w);
}
