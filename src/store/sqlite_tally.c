/* sqlite_tally.c: the counters of a segment, as the writer keeps them: one row for each (hour, app,
 * type), for each URL that was tried one beside it, and how long deliveries took in `hist`.
 *
 * What a group counts is gathered in memory and goes into its rows by one statement each before the
 * commit, so it costs nothing more for each operation, and is in the file exactly when what it
 * counts is. A group that fails takes its counts with it. Rows of `open` and `done` carry the number
 * of their tally, so a settle looks nothing up but the one of its attempt's URL.
 *
 * Latencies are gathered over groups and written with the first one that comes LATENCY_EVERY_MS
 * later, or when there are many, and before the segment is closed: a crash loses the last of them,
 * and no counter. They are not worth a page that each group would write anew. Owned by the writer. */
#include "store/sqlite_internal.h"

#define KEPT             ((size_t)8 * 1024)  /* tallies remembered */
#define LATENCIES_KEPT   ((size_t)16 * 1024) /* buckets not written yet */
#define LATENCY_EVERY_MS 10000

/* The number that (hour, app, type) has. */
struct known {
    int64_t hour_ms, app, type; /* the key's bytes */
    int64_t id;
};

/* The one beside a tally, at a URL. */
struct at {
    int64_t tally, url; /* the key's bytes */
    int64_t id;
};

/* What the group has counted for one. */
struct counting {
    uint64_t id;
    struct gw_list link; /* in touched, while there is something in `counted` */
    struct gw_tally counted;
};

struct place {
    int64_t tally;
    uint64_t bucket;
};

struct latencies {
    struct place place;
    int64_t count;
};

static struct gw_slice known_key(const struct known *known)
{
    return (struct gw_slice){(const char *)known, offsetof(struct known, id)};
}

static struct gw_slice at_key(const struct at *at)
{
    return (struct gw_slice){(const char *)at, offsetof(struct at, id)};
}

static struct gw_slice place_key(const struct place *place)
{
    return (struct gw_slice){(const char *)place, sizeof(*place)};
}

static void map_empty(struct gw_map *map)
{
    size_t at = 0;
    void *value;

    while ((value = gw_map_next(map, &at)) != NULL)
        gw_free(value);
    gw_map_deinit(map);
    *map = (struct gw_map){0};
}

void sqlite_tallies_init(struct sqlite_tallies *tallies)
{
    *tallies = (struct sqlite_tallies){0};
    gw_list_init(&tallies->touched);
}

void sqlite_tallies_deinit(struct sqlite_tallies *tallies)
{
    map_empty(&tallies->known);
    map_empty(&tallies->at);
    map_empty(&tallies->counting);
    map_empty(&tallies->latencies);
    gw_buf_deinit(&tallies->group);
    sqlite_tallies_init(tallies);
}

/* ── Counting ──────────────────────────────────────────────────────────────────────────────── */

/* Looks a number up, else adds it. 0: neither, or conn->rc. */
static int64_t store(struct sqlite_conn *conn, enum sqlite_segment_sql look,
                     enum sqlite_segment_sql add, const int64_t *values, int count)
{
    sqlite3_stmt *sts[] = {conn->st[look], conn->st[add]};

    for (size_t i = 0; i < gw_count(sts); i++) {
        for (int at = 0; at < count; at++)
            sqlite3_bind_int64(sts[i], at + 1, values[at]);
        if (sqlite_row(conn, sts[i])) {
            int64_t id = sqlite3_column_int64(sts[i], 0);
            sqlite3_reset(sts[i]);
            return id;
        }
    }
    return sqlite3_changes(conn->db) > 0 ? sqlite3_last_insert_rowid(conn->db) : 0;
}

int64_t sqlite_tally_id(struct sqlite_segment *segment, int64_t accepted_ms, int64_t app,
                        int64_t type)
{
    struct sqlite_tallies *tallies = &segment->tallies;
    struct known wanted = {.hour_ms = gw_hour_of(accepted_ms), .app = app, .type = type};
    struct known *known = gw_map_get(&tallies->known, known_key(&wanted));

    if (known)
        return known->id;
    wanted.id = store(&segment->file.conn, SEG_TALLY_ID, SEG_TALLY_ADD,
                      (const int64_t[]){wanted.hour_ms, app, type}, 3);
    if (segment->file.conn.rc != SQLITE_OK)
        return 0;
    if (tallies->known.count >= KEPT)
        map_empty(&tallies->known);
    known = gw_alloc(sizeof(*known));
    *known = wanted;
    gw_map_put(&tallies->known, known_key(known), known);
    return known->id;
}

int64_t sqlite_tally_at(struct sqlite_segment *segment, int64_t id, int64_t url)
{
    struct sqlite_tallies *tallies = &segment->tallies;
    struct at wanted = {.tally = id, .url = url};
    struct at *at = gw_map_get(&tallies->at, at_key(&wanted));

    if (at)
        return at->id;
    wanted.id =
        store(&segment->file.conn, SEG_TALLY_AT, SEG_TALLY_ADD_AT, (const int64_t[]){id, url}, 2);
    if (segment->file.conn.rc != SQLITE_OK || wanted.id == 0)
        return id;
    if (tallies->at.count >= KEPT)
        map_empty(&tallies->at);
    at = gw_alloc(sizeof(*at));
    *at = wanted;
    gw_map_put(&tallies->at, at_key(at), at);
    return at->id;
}

void sqlite_tally_count(struct sqlite_segment *segment, int64_t id, enum gw_tally_count which,
                        int64_t by)
{
    struct sqlite_tallies *tallies = &segment->tallies;
    uint64_t number = (uint64_t)id;
    struct counting *counting = gw_map_get(&tallies->counting, gw_map_key(&number));

    if (counting == NULL) {
        counting = gw_zalloc(sizeof(*counting));
        counting->id = number;
        gw_list_init(&counting->link);
        gw_map_put(&tallies->counting, gw_map_key(&counting->id), counting);
    }
    if (!gw_list_linked(&counting->link))
        gw_list_push(&tallies->touched, &counting->link);
    counting->counted.of[which] += by;
}

void sqlite_tally_latency(struct sqlite_segment *segment, int64_t id, int64_t ms)
{
    struct place place = {id, gw_latency_bucket(ms)};

    gw_buf_add(&segment->tallies.group, &place, sizeof(place));
}

/* ── With the group ────────────────────────────────────────────────────────────────────────── */

static void counts_write(struct sqlite_segment *segment)
{
    struct sqlite_conn *conn = &segment->file.conn;
    sqlite3_stmt *st = conn->st[SEG_TALLY_COUNT];

    gw_list_each (link, &segment->tallies.touched) {
        const struct counting *counting = gw_container_of(link, struct counting, link);
        sqlite3_bind_int64(st, 1, (int64_t)counting->id);
        for (int i = 0; i < GW_TALLY_COUNTS; i++)
            sqlite3_bind_int64(st, 2 + i, counting->counted.of[i]);
        sqlite_run(conn, st);
        if (conn->rc != SQLITE_OK)
            return;
    }
}

static void latencies_write(struct sqlite_segment *segment)
{
    struct sqlite_conn *conn = &segment->file.conn;
    sqlite3_stmt *st = conn->st[SEG_HIST_ADD];
    struct latencies *latencies;
    size_t at = 0;

    while (conn->rc == SQLITE_OK &&
           (latencies = gw_map_next(&segment->tallies.latencies, &at)) != NULL) {
        sqlite3_bind_int64(st, 1, latencies->place.tally);
        sqlite3_bind_int64(st, 2, (int64_t)latencies->place.bucket);
        sqlite3_bind_int64(st, 3, latencies->count);
        sqlite_run(conn, st);
    }
}

static int64_t every_us(const struct gw_sqlite *sqlite)
{
    int64_t ms = sqlite->options.latency_every_ms;

    return (ms ? ms : LATENCY_EVERY_MS) * 1000;
}

static bool is_due(const struct gw_sqlite *sqlite, const struct sqlite_tallies *tallies,
                   int64_t now_us)
{
    return tallies->latencies.count > 0 &&
           (tallies->latencies.count >= LATENCIES_KEPT ||
            now_us - tallies->latencies_from_us >= every_us(sqlite));
}

void sqlite_tallies_write(struct gw_sqlite *sqlite, struct sqlite_segment *segment)
{
    struct sqlite_tallies *tallies = &segment->tallies;

    counts_write(segment);
    if (is_due(sqlite, tallies, gw_env_mono_us(sqlite->env))) {
        tallies->latencies_written = true;
        latencies_write(segment);
    }
}

/* The group's own join those that wait. */
static void latencies_keep(struct sqlite_tallies *tallies, int64_t now_us)
{
    struct gw_slice group = gw_buf_slice(&tallies->group);
    struct place place;

    if (group.len > 0 && tallies->latencies.count == 0)
        tallies->latencies_from_us = now_us;
    for (size_t at = 0; at < group.len; at += sizeof(place)) {
        memcpy(&place, group.ptr + at, sizeof(place));
        struct latencies *latencies = gw_map_get(&tallies->latencies, place_key(&place));
        if (latencies == NULL) {
            latencies = gw_alloc(sizeof(*latencies));
            *latencies = (struct latencies){place, 0};
            gw_map_put(&tallies->latencies, place_key(&latencies->place), latencies);
        }
        latencies->count++;
    }
    gw_buf_clear(&tallies->group);
}

static void counts_forget(struct sqlite_tallies *tallies)
{
    struct gw_list *link;

    while ((link = gw_list_pop(&tallies->touched)) != NULL)
        gw_container_of(link, struct counting, link)->counted = (struct gw_tally){0};
    if (tallies->counting.count > KEPT)
        map_empty(&tallies->counting);
}

void sqlite_tallies_committed(struct sqlite_segment *segment, int64_t now_us)
{
    struct sqlite_tallies *tallies = &segment->tallies;

    counts_forget(tallies);
    if (tallies->latencies_written)
        map_empty(&tallies->latencies);
    tallies->latencies_written = false;
    latencies_keep(tallies, now_us);
}

/* Numbers given in it are not in the file either. */
void sqlite_tallies_failed(struct sqlite_segment *segment)
{
    struct sqlite_tallies *tallies = &segment->tallies;

    counts_forget(tallies);
    map_empty(&tallies->known);
    map_empty(&tallies->at);
    tallies->latencies_written = false;
    gw_buf_clear(&tallies->group);
}

/* ── Without one ───────────────────────────────────────────────────────────────────────────── */

void sqlite_tallies_mind(struct sqlite_writer *w)
{
    struct gw_sqlite *sqlite = w->sqlite;
    int64_t now_us = gw_env_mono_us(sqlite->env);
    struct sqlite_segment *s;
    enum gw_err ignored;

    if (now_us - w->tallies_us < every_us(sqlite) / 10 || atomic_load(&sqlite->stopped))
        return;
    w->tallies_us = now_us;
    for (s = sqlite_segment_below(sqlite, UINT32_MAX); s;
         s = sqlite_segment_below(sqlite, s->number - 1))
        if (s->file.conn.db && is_due(sqlite, &s->tallies, now_us))
            sqlite_segment_write(w, s, &ignored);
}

void sqlite_tallies_finish(struct sqlite_segment *segment)
{
    struct sqlite_conn *conn = &segment->file.conn;

    if (segment->tallies.latencies.count == 0 || segment->file.in_group)
        return;
    if (sqlite_writer_begin(&segment->file)) {
        latencies_write(segment);
        if (conn->rc == SQLITE_OK)
            sqlite_run(conn, conn->st[SEG_COMMIT]);
    }
    if (!sqlite3_get_autocommit(conn->db)) {
        sqlite3_step(conn->st[SEG_ROLLBACK]);
        sqlite3_reset(conn->st[SEG_ROLLBACK]);
    }
    segment->file.in_group = false;
    conn->rc = SQLITE_OK;
    map_empty(&segment->tallies.latencies);
}
