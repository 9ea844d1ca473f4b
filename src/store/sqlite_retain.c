/* sqlite_retain.c: the end of segments. Once a minute a timer of the store's env looks at the clock
 * and asks the writer; the writer, between groups, takes the segment whose last accept is the longest
 * past retention:
 *
 *   in use ──▶ ending: no new deliveries, no claims, no refills ──▶ what is open ends, dead, in
 *   small groups among the others ──▶ owing nothing, it is taken out of the main file's list ──▶
 *   its files go
 *
 * Whatever is still open when its retention ends is ended, held or not: see
 * docs/adr/0007-retention-ends-what-is-open.md. At most one day's segments an hour, and none in the
 * hour after a start or a step of the clock, so that a clock that is wrong for a while, or a setting,
 * does not empty the store before somebody has seen it. The head never goes; but the same look has
 * another begin with the day, also while nothing is accepted.
 *
 * Threads: the timer's part runs on the env's; what both look at is atomic. Failure: a crash on the
 * way leaves a segment that is begun with anew, or files that are not listed, which the next start
 * removes. */
#include "store/sqlite_index.h"
#include "store/sqlite_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define LOOK_MS      SQLITE_MINUTE_MS
#define STEP_MS      SQLITE_MINUTE_MS /* of the clock; less is drift */
#define PAUSE_US     ((int64_t)3600 * 1000000)
#define RETENTION_MS (30 * SQLITE_DAY_MS)
#define ROWS_MAX     256 /* that end in one group */

/* ── The timer ─────────────────────────────────────────────────────────────────────────────── */

static void post(struct gw_sqlite *sqlite)
{
    sqlite->retain.op.kind = OP_RETAIN;
    gw_worker_post(sqlite->writer.worker, &sqlite->retain.op.msg);
}

/* Has somebody set the clock since the last look? */
static void look_at_clock(struct sqlite_retain *retain, int64_t wall_ms, int64_t mono_us)
{
    int64_t step_ms = (wall_ms - retain->wall_ms) - (mono_us - retain->mono_us) / 1000;

    if (step_ms > STEP_MS || step_ms < -STEP_MS)
        atomic_store(&retain->quiet_until_us, mono_us + PAUSE_US);
    retain->wall_ms = wall_ms;
    retain->mono_us = mono_us;
}

static void on_look(struct gw_timer *timer)
{
    struct gw_sqlite *sqlite = gw_container_of(timer, struct gw_sqlite, retain.timer);
    struct sqlite_retain *retain = &sqlite->retain;
    int64_t now_ms = gw_env_wall_ms(sqlite->env);

    look_at_clock(retain, now_ms, gw_env_mono_us(sqlite->env));
    atomic_store(&retain->now_ms, now_ms);
    if (!atomic_exchange(&retain->under_way, true))
        post(sqlite);
    gw_env_timer_set(sqlite->env, timer, LOOK_MS);
}

void sqlite_retain_start(struct gw_sqlite *sqlite)
{
    struct sqlite_retain *retain = &sqlite->retain;

    retain->timer.fire = on_look;
    retain->wall_ms = gw_env_wall_ms(sqlite->env);
    retain->mono_us = gw_env_mono_us(sqlite->env);
    atomic_store(&retain->now_ms, retain->wall_ms);
    atomic_store(&retain->quiet_until_us, retain->mono_us + PAUSE_US);
    retain->day_since_us = INT64_MIN / 2;
    gw_env_timer_set(sqlite->env, &retain->timer, LOOK_MS);
}

void sqlite_retain_stop(struct gw_sqlite *sqlite)
{
    atomic_store(&sqlite->retain.is_stopping, true);
    if (sqlite->retain.timer.fire)
        gw_env_timer_stop(sqlite->env, &sqlite->retain.timer);
}

/* ── Which ─────────────────────────────────────────────────────────────────────────────────── */

/* One that could not be read is as old as the one that followed it. */
static int64_t last_ms_of(struct gw_sqlite *sqlite, struct sqlite_segment *segment)
{
    uint32_t top = atomic_load(&sqlite->segments.top);

    for (uint32_t number = segment->number; number <= top; number++) {
        struct sqlite_segment *s = sqlite_segment_of(sqlite, number);
        if (s == NULL)
            continue;
        int64_t last_ms = atomic_load(&s->last_ms);
        if (last_ms != INT64_MIN || sqlite_segment_err(s) == GW_OK)
            return last_ms; /* in one without an event nobody has an interest */
    }
    return INT64_MAX;
}

static struct sqlite_segment *find_oldest(struct gw_sqlite *sqlite, int64_t cutoff_ms,
                                          int64_t *oldest_ms)
{
    struct sqlite_segment *oldest = NULL;
    struct sqlite_segment *s = sqlite_segment_below(sqlite, UINT32_MAX);

    for (; s; s = sqlite_segment_below(sqlite, s->number - 1)) {
        int64_t last_ms = last_ms_of(sqlite, s);
        if (s == sqlite->head || last_ms >= cutoff_ms || (oldest && last_ms > *oldest_ms))
            continue;
        oldest = s; /* of two that are as old, the lower number */
        *oldest_ms = last_ms;
    }
    return oldest;
}

static void choose(struct gw_sqlite *sqlite)
{
    struct sqlite_retain *retain = &sqlite->retain;
    int64_t keep_ms = sqlite->options.retention_ms ? sqlite->options.retention_ms : RETENTION_MS;
    int64_t cutoff_ms = atomic_load(&retain->now_ms) - keep_ms;
    int64_t now_us = gw_env_mono_us(sqlite->env), last_ms = 0;
    struct sqlite_segment *oldest = find_oldest(sqlite, cutoff_ms, &last_ms);

    if (oldest == NULL)
        return;
    int64_t day = last_ms / SQLITE_DAY_MS;
    if (day != retain->day && now_us - retain->day_since_us < PAUSE_US)
        return;
    if (day != retain->day)
        retain->day_since_us = now_us;
    retain->day = day;
    retain->segment = oldest;
    int in_use = SQLITE_SEGMENT_IN_USE;
    if (atomic_compare_exchange_strong(&oldest->state, &in_use, SQLITE_SEGMENT_ENDING))
        atomic_fetch_add(&sqlite->segments.special, 1);
    gw_log(GW_LOG_INFO, "store_segment_ends", GW_S("file", oldest->path),
           GW_I("open", atomic_load(&oldest->open)));
}

/* ── What is open in it ────────────────────────────────────────────────────────────────────── */

/* The first that is open behind `after`. False: there is none, or conn->rc. */
static bool end_one(struct sqlite_writer *w, struct sqlite_segment *segment, int64_t *after)
{
    struct sqlite_conn *conn = &segment->file.conn;
    sqlite3_stmt *st = conn->st[SEG_OPEN_NEXT];

    sqlite3_bind_int64(st, 1, *after);
    if (!sqlite_row(conn, st))
        return false;
    struct gw_delivery open = sqlite_open_delivery(st, &w->sqlite->keys, segment->number);
    sqlite3_reset(st);
    *after = (int64_t)open.order;
    sqlite_end(w, segment, &open, GW_END_RETENTION, atomic_load(&w->sqlite->retain.now_ms));
    return conn->rc == SQLITE_OK;
}

static void end_some(struct sqlite_writer *w, struct sqlite_segment *segment)
{
    int64_t after = INT64_MIN;
    enum gw_err err;

    if (sqlite_segment_write(w, segment, &err) == NULL)
        return;
    for (size_t i = 0; i < ROWS_MAX && end_one(w, segment, &after); i++)
        ;
}

/* ── Its files ─────────────────────────────────────────────────────────────────────────────── */

static bool unlist(struct gw_sqlite *sqlite, struct sqlite_segment *segment)
{
    struct sqlite_conn *main = &sqlite->main.conn;
    sqlite3_stmt *st = main->st[MAIN_SEGMENT_DELETE];

    sqlite3_bind_int64(st, 1, segment->number);
    sqlite_run(main, st);
    if (main->rc == SQLITE_OK)
        return true;
    if (gw_err_class(sqlite_conn_err(main, main->rc)) == GW_CLASS_FATAL)
        sqlite_stop(sqlite, main, main->rc);
    main->rc = SQLITE_OK;
    return false;
}

/* The segment's own file first: who opened it in between finds it gone, not without its log. */
static void unlink_all(const struct sqlite_segment *segment)
{
    static const char *const ends[] = {"seg", "seg-wal", "seg-shm"};
    struct gw_buf path = {0};

    for (size_t i = 0; i < gw_count(ends); i++) {
        gw_buf_clear(&path);
        gw_buf_addf(&path, "%.*s%s", (int)(strlen(segment->path) - 3), segment->path, ends[i]);
        unlink(gw_buf_text(&path));
    }
    gw_buf_deinit(&path);
}

/* True: it is gone, or will be at the next start. */
static bool remove_segment(struct gw_sqlite *sqlite, struct sqlite_segment *segment)
{
    if (sqlite_wal_is_busy(&segment->file) || !unlist(sqlite, segment))
        return false;
    if (atomic_exchange(&segment->state, SQLITE_SEGMENT_REMOVED) == SQLITE_SEGMENT_UNUSABLE)
        atomic_fetch_sub(&sqlite->damaged, 1);
    sqlite_segment_drop(segment);
    unlink_all(segment);
    sqlite_index_go(segment->index);
    for (size_t i = 0; i < SQLITE_READERS; i++)
        sqlite_reader_sweep(&sqlite->readers[i]);
    gw_log(GW_LOG_INFO, "store_segment_removed", GW_S("file", segment->path));
    return true;
}

/* ── A turn ────────────────────────────────────────────────────────────────────────────────── */

bool sqlite_retain_begin(struct sqlite_writer *w)
{
    struct gw_sqlite *sqlite = w->sqlite;
    struct sqlite_retain *retain = &sqlite->retain;

    if (atomic_load(&sqlite->stopped))
        return false;
    sqlite_segment_head(w, atomic_load(&retain->now_ms));
    if (gw_env_mono_us(sqlite->env) < atomic_load(&retain->quiet_until_us))
        return false;
    if (retain->segment == NULL)
        choose(sqlite);
    if (retain->segment && atomic_load(&retain->segment->open) > 0)
        end_some(w, retain->segment);
    return retain->segment != NULL;
}

void sqlite_retain_end(struct sqlite_writer *w, bool did, enum gw_err failed)
{
    struct gw_sqlite *sqlite = w->sqlite;
    struct sqlite_retain *retain = &sqlite->retain;
    bool goes_on = did && failed == GW_OK && !atomic_load(&sqlite->stopped);

    if (goes_on && atomic_load(&retain->segment->open) == 0) {
        goes_on = remove_segment(sqlite, retain->segment);
        if (goes_on)
            retain->segment = NULL; /* perhaps there is another of that day */
    }
    if (goes_on && !atomic_load(&retain->is_stopping))
        post(sqlite);
    else
        atomic_store(&retain->under_way, false);
}
