/* sqlite_merge.c: tails and index files together: who may do what when, the merge thread's turns,
 * and the start.
 *
 * The writer adds keys to the tail of a segment. When a generation is full it becomes `merging`, and
 * the merge thread gets its turn: it puts the generation into the file while the writer goes on.
 * Afterwards the writer, between two groups, lets the generation go. So an entry is in the tail until
 * it is in the file, a merge never holds a commit up, and nothing is locked. `turn` says whose turn it
 * is; what the merge thread reads of the writer's fields does not change during its own.
 *
 * Besides, in its turn, it opens the file, throws a broken one away, makes a lost one anew from the
 * segment's rows, makes filters for the parts of an index that is asked (ASKED_US), one part a turn,
 * and frees those of one that is not. Who is made anew lets others have their turn in between.
 *
 * A file that is lost (missing, damaged, not its segment's, too far behind) is made from the rows
 * step by step. Until it is level nothing can be said about a key in that segment: accepts of events
 * with an id that would have to look there are GW_ERR_BUSY, and so are questions for a key. Everything
 * else goes on. It was chosen over walking rows, which costs more the more there are.
 *
 * Ceilings: entries of all tails (beyond it accepts with keys are GW_ERR_BUSY)
 * and bytes of all filters (FILTERS_BYTES_MAX; parts beyond have none and are asked).
 *
 * Failure: a merge that fails leaves everything as it was and is tried again after AGAIN_US; a file
 * that cannot be opened at the start counts as one that is behind. Nothing here stops the writer. */
#include "store/sqlite_index.h"

#include "base/crypto.h"

#include <unistd.h>

#define GENERATION_DEFAULT 50000
#define CEILING_DEFAULT    200000
#define PART_GENERATIONS   10
#define FILTERS_BYTES_MAX  ((size_t)36 * 1024 * 1024)
#define AGAIN_US           1000000
#define ASKED_US           ((int64_t)600 * 1000000)
#define ROWS_CACHE_BYTES   ((size_t)256 * 1024)

static bool is_level(const struct sqlite_index *index)
{
    return index->file.state.merged_upto >= index->covered;
}

/* ── Rows ──────────────────────────────────────────────────────────────────────────────────── */

/* The keys of the events behind `after`, of at least one and until there are `max` entries. Returns
 * the last event that was read; 0: there is none, or conn->rc. */
static uint64_t rows_read(struct sqlite_conn *segment, uint64_t after, uint64_t last, size_t max,
                          struct gw_buf *entries)
{
    sqlite3_stmt *st = segment->st[SEG_KEYS_UP];
    size_t bytes_max = entries->len + max * sizeof(struct sqlite_entry);
    uint64_t seq = 0;

    sqlite3_bind_int64(st, 1, (int64_t)after);
    sqlite3_bind_int64(st, 2, (int64_t)last);
    while (sqlite_row(segment, st)) {
        bool is_routed = sqlite3_column_int(st, 1) == GW_SKIP_NONE;
        seq = (uint64_t)sqlite3_column_int64(st, 0);
        if (sqlite3_column_type(st, 2) != SQLITE_NULL) {
            struct sqlite_entry entry =
                sqlite_entry(is_routed ? SQLITE_ENTRY_ROUTED : SQLITE_ENTRY_SKIPPED,
                             sqlite3_column_int64(st, 2), seq);
            gw_buf_add(entries, &entry, sizeof(entry));
        }
        if (sqlite3_column_type(st, 3) != SQLITE_NULL) {
            struct sqlite_entry entry =
                sqlite_entry(SQLITE_ENTRY_TX, sqlite3_column_int64(st, 3), seq);
            gw_buf_add(entries, &entry, sizeof(entry));
        }
        if (entries->len >= bytes_max) {
            sqlite3_reset(st);
            break;
        }
    }
    return segment->rc == SQLITE_OK ? seq : 0;
}

static const struct sqlite_entry *entries_of(const struct gw_buf *buf)
{
    return (const struct sqlite_entry *)(const void *)buf->ptr;
}

/* ── The merge thread: filters ─────────────────────────────────────────────────────────────── */

/* NULL: there is no room for another. */
static struct sqlite_filter *filter_create(struct sqlite_index *index)
{
    struct sqlite_merger *m = index->merger;
    struct sqlite_filter *filter = sqlite_filter_create(index->file.part_keys);
    size_t bytes = sqlite_filter_bytes(filter);

    if (atomic_fetch_add(&m->filter_bytes, bytes) + bytes <= FILTERS_BYTES_MAX)
        return filter;
    atomic_fetch_sub(&m->filter_bytes, bytes);
    gw_free(filter);
    return NULL;
}

static void filter_free(struct sqlite_index *index, struct sqlite_filter *filter)
{
    if (filter)
        atomic_fetch_sub(&index->merger->filter_bytes, sqlite_filter_bytes(filter));
    gw_free(filter);
}

static void filters_free(struct sqlite_index *index)
{
    for (size_t i = 0; i < SQLITE_PARTS_MAX; i++) {
        struct sqlite_filter *filter = atomic_load(&index->filters[i]);
        atomic_store(&index->filters[i], NULL);
        filter_free(index, filter);
    }
}

/* That of the part a merge goes to: a new part's is made, and is whole from the start. */
static struct sqlite_filter *filter_for(struct sqlite_index *index, uint32_t part)
{
    struct sqlite_filter *filter = atomic_load(&index->filters[part]);
    const struct sqlite_index_state *state = &index->file.state;
    bool is_empty = part > state->part || state->event_keys == 0;

    if (filter || !is_empty || !index->uses_filters)
        return filter;
    filter = filter_create(index);
    atomic_store(&index->filters[part], filter);
    return filter;
}

/* Makes one that is missing, of the newest part first. */
static enum gw_err filters_make(struct sqlite_index *index, bool *has_all)
{
    struct sqlite_conn *conn = &index->file.conn;

    *has_all = false;
    for (uint32_t part = index->file.state.part + 1; part-- > 0;) {
        if (atomic_load(&index->filters[part]))
            continue;
        struct sqlite_filter *filter = filter_create(index);
        if (filter == NULL)
            break;
        conn->rc = SQLITE_OK;
        if (!sqlite_index_filter(conn, part, filter)) {
            filter_free(index, filter);
            return sqlite_index_err(conn, conn->rc);
        }
        atomic_store(&index->filters[part], filter);
        return GW_OK;
    }
    *has_all = true;
    return GW_OK;
}

/* ── The merge thread: its turn ────────────────────────────────────────────────────────────── */

static enum gw_err merge(struct sqlite_index *index, const struct sqlite_entry *entries,
                         size_t count, uint64_t upto)
{
    uint32_t part = sqlite_index_part_for(&index->file, entries, count);
    struct sqlite_filter *filter = filter_for(index, part);

    /* Known before it is there: who asks too early finds nothing, and has the tail. */
    if (atomic_load(&index->parts) <= part)
        atomic_store(&index->parts, part + 1);
    enum gw_err err = sqlite_index_merge(&index->file, entries, count, upto, filter);
    if (err == GW_OK)
        atomic_fetch_add(&index->merger->merges, 1);
    return err;
}

/* Nobody else has it open, or gets it before it is level again. */
static enum gw_err throw_away(struct sqlite_index *index)
{
    sqlite_index_file_close(&index->file);
    if (atomic_load(&index->users) > 0)
        return GW_ERR_BUSY;
    filters_free(index);
    sqlite_index_file_remove(index->path);
    atomic_store(&index->parts, 0);
    return GW_OK;
}

static enum gw_err file_open(struct sqlite_index *index, struct gw_error *error)
{
    uint64_t last = index->covered > index->merging_upto ? index->covered : index->merging_upto;

    if (index->sealed_at > last)
        last = index->sealed_at;
    if (index->file.conn.db)
        return GW_OK;
    return sqlite_index_file_open(&index->file, index->path, index->owner, last,
                                  index->merger->generation * PART_GENERATIONS, error);
}

static enum gw_err catch_up_with(struct sqlite_index *index, struct sqlite_conn *segment)
{
    struct gw_buf entries = {0};
    enum gw_err err = GW_OK;

    do {
        if (atomic_load(&index->merger->is_stopping)) {
            err = GW_ERR_STOPPED;
            break;
        }
        gw_buf_clear(&entries);
        uint64_t after = index->file.state.merged_upto;
        uint64_t upto =
            rows_read(segment, after, index->covered, index->merger->generation, &entries);
        if (upto == 0) { /* no more rows, or none that can be read */
            if (segment->rc != SQLITE_OK)
                err = sqlite_conn_err(segment, segment->rc);
            if (err != GW_OK && err != GW_ERR_CORRUPT)
                break;
            if (err == GW_ERR_CORRUPT)
                gw_log(GW_LOG_ERROR, "store_index_incomplete", GW_S("file", segment->path),
                       GW_S("why", "its rows are damaged"));
            upto = index->covered;
        }
        err = merge(index, entries_of(&entries), entries.len / sizeof(struct sqlite_entry), upto);
    } while (err == GW_OK && !is_level(index) && atomic_load(&index->merger->queued) == 0);
    gw_buf_deinit(&entries);
    return err;
}

/* Makes the file from the segment's rows, as far as it has to go, or until others wait. */
static enum gw_err catch_up(struct sqlite_index *index, struct gw_error *error)
{
    struct sqlite_conn segment = {0};

    if (!index->is_catching_up)
        gw_log(GW_LOG_WARN, "store_index_made_anew", GW_S("file", index->path),
               GW_I("from", (int64_t)index->file.state.merged_upto),
               GW_I("upto", (int64_t)index->covered));
    enum gw_err err = sqlite_conn_open(&segment, index->segment_path, &sqlite_segment_kind,
                                       SQLITE_ROLE_READER, ROWS_CACHE_BYTES, error);
    if (err == GW_OK)
        err = catch_up_with(index, &segment);
    else if (err == GW_ERR_CORRUPT)
        err = GW_ERR_IO; /* the segment is, not the index */
    sqlite_conn_close(&segment);
    index->is_catching_up = err == GW_OK && !is_level(index);
    if (err == GW_OK && is_level(index))
        gw_log(GW_LOG_INFO, "store_index_level", GW_S("file", index->path));
    return err;
}

static enum gw_err bring_level(struct sqlite_index *index, struct gw_error *error)
{
    enum gw_err err = GW_OK;

    if (atomic_load(&index->health) == SQLITE_INDEX_BROKEN) {
        err = throw_away(index);
        if (err == GW_OK)
            atomic_store(&index->health, SQLITE_INDEX_BEHIND);
    }
    if (err == GW_OK)
        err = file_open(index, error);
    if (err == GW_OK && !is_level(index)) {
        if (atomic_load(&index->health) == SQLITE_INDEX_WHOLE)
            return GW_ERR_CORRUPT; /* somebody took it away; who looks things up must leave first */
        err = catch_up(index, error);
    }
    if (err != GW_OK || index->is_catching_up)
        return err;
    int behind = SQLITE_INDEX_BEHIND; /* meanwhile somebody may have found it broken */
    atomic_compare_exchange_strong(&index->health, &behind, SQLITE_INDEX_WHOLE);
    return GW_OK;
}

static enum gw_err do_turn(struct sqlite_index *index, struct gw_error *error)
{
    const struct sqlite_generation *g = &index->tail.merging;
    bool has_all = true;
    enum gw_err err;

    atomic_store(&index->has_all, false);
    if (index->is_gone)
        return throw_away(index);
    if (!index->uses_filters)
        filters_free(index);
    err = bring_level(index, error);
    if (err != GW_OK)
        index->is_catching_up = false;
    if (index->is_catching_up)
        return GW_OK;
    if (err == GW_OK && g->count > 0)
        err = merge(index, g->entries, g->count, index->merging_upto);
    else if (err == GW_OK && index->sealed_at > index->file.state.merged_upto)
        err = merge(index, NULL, 0, index->sealed_at);
    else if (err == GW_OK && index->uses_filters)
        err = filters_make(index, &has_all);
    if (err != GW_OK)
        return err;
    atomic_store(&index->parts, index->file.state.part + 1);
    has_all = has_all && g->count == 0;
    if (has_all && index->sealed_at > 0)
        sqlite_index_file_close(&index->file);
    atomic_store(&index->has_all, has_all);
    return GW_OK;
}

static void post(struct sqlite_index *index)
{
    atomic_fetch_add(&index->merger->queued, 1);
    gw_worker_post(index->merger->worker, &index->msg);
}

static void turn(struct sqlite_index *index)
{
    struct gw_error error = {0};
    enum gw_err err = do_turn(index, &error);

    if (index->is_catching_up) { /* behind those that wait */
        post(index);
        return;
    }
    if (err == GW_ERR_CORRUPT)
        atomic_store(&index->health, SQLITE_INDEX_BROKEN);
    if (err != GW_OK && err != GW_ERR_STOPPED && err != GW_ERR_BUSY)
        gw_log(GW_LOG_WARN, "store_merge_failed", GW_S("file", index->path),
               GW_S("error", gw_err_name(err)), GW_S("why", error.text),
               GW_I("sqlite", index->file.conn.rc));
    atomic_store(&index->turn, err == GW_OK ? SQLITE_INDEX_DONE : SQLITE_INDEX_FAILED);
}

static void on_batch(void *ctx, struct gw_list *batch)
{
    struct gw_list *link;

    while ((link = gw_list_pop(batch)) != NULL) {
        struct gw_msg *msg = gw_container_of(link, struct gw_msg, link);
        atomic_fetch_sub(&((struct sqlite_merger *)ctx)->queued, 1);
        turn(gw_container_of(msg, struct sqlite_index, msg));
    }
}

/* ── The writer ────────────────────────────────────────────────────────────────────────────── */

bool sqlite_merger_has_room(const struct sqlite_merger *m)
{
    return m->count + 2 <= m->ceiling;
}

void sqlite_merger_group(struct sqlite_merger *m)
{
    m->added_to = NULL;
}

void sqlite_merger_undo(struct sqlite_merger *m, struct sqlite_index *index)
{
    if (index == NULL || m->added_to != index)
        return;
    m->count -= index->tail.young.count - m->added_from;
    sqlite_tail_cut(&index->tail, m->added_from);
    m->added_to = NULL;
}

void sqlite_index_add(struct sqlite_index *index, struct sqlite_entry entry)
{
    struct sqlite_merger *m = index->merger;

    if (m->added_to == NULL) {
        m->added_to = index;
        m->added_from = index->tail.young.count;
    }
    gw_check(m->added_to == index && index->seals_at == 0);
    sqlite_tail_add(&index->tail, entry);
    m->count++;
}

void sqlite_index_seal(struct sqlite_index *index, uint64_t last_seq)
{
    index->seals_at = last_seq;
}

void sqlite_index_go(struct sqlite_index *index)
{
    if (index == NULL)
        return;
    index->goes = true;
    atomic_store(&index->health, SQLITE_INDEX_GONE);
}

/* What the merge thread has said. */
static void hear(struct sqlite_index *index, int said, int64_t now_us)
{
    struct sqlite_merger *m = index->merger;

    if (said == SQLITE_INDEX_FAILED)
        index->again_us = now_us + AGAIN_US;
    if (said == SQLITE_INDEX_DONE && index->is_gone)
        index->is_removed = true;
    if (said == SQLITE_INDEX_DONE && index->tail.merging.count > 0) {
        index->covered = index->merging_upto;
        m->count -= index->tail.merging.count;
        sqlite_tail_let_go(&index->tail);
    }
    atomic_store(&index->turn, SQLITE_INDEX_QUIET);
}

static void leave(struct sqlite_index *index)
{
    index->uses_filters = false;
    sqlite_conn_close(&index->probe);
}

/* Readies what its turn would be about. False: there is nothing to do. */
static bool prepare(struct sqlite_index *index, int64_t now_us)
{
    struct sqlite_tail *tail = &index->tail;
    size_t enough = index->seals_at > 0 ? 1 : index->merger->generation;
    bool is_asked = index->was_probed && now_us - index->probed_us < ASKED_US;
    bool is_changed = is_asked != index->uses_filters || index->seals_at != index->sealed_at;
    bool is_whole = atomic_load(&index->health) == SQLITE_INDEX_WHOLE;

    index->sealed_at = index->seals_at;
    index->is_gone = index->goes;
    if (index->is_gone) {
        leave(index);
        index->merger->count -= sqlite_tail_count(tail);
        sqlite_tail_deinit(tail);
        return !index->is_removed;
    }
    if (!is_whole || !is_asked)
        leave(index);
    else
        index->uses_filters = true;
    if (tail->merging.count == 0 && tail->young.count >= enough) {
        index->merging_upto = sqlite_entry_seq(&tail->young.entries[tail->young.count - 1]);
        sqlite_tail_turn(tail);
    }
    return tail->merging.count > 0 || !is_whole ||
           (atomic_load(&index->parts) > 0 && (is_changed || !atomic_load(&index->has_all)));
}

void sqlite_merger_mind(struct sqlite_merger *m)
{
    int64_t now_us = gw_env_mono_us(m->env);

    gw_list_each (link, &m->indexes) {
        struct sqlite_index *index = gw_container_of(link, struct sqlite_index, link);
        int said = atomic_load(&index->turn);
        if (said == SQLITE_INDEX_RUNNING)
            continue;
        hear(index, said, now_us);
        if (now_us < index->again_us || !prepare(index, now_us))
            continue;
        atomic_store(&index->turn, SQLITE_INDEX_RUNNING);
        post(index);
    }
}

/* ── The start and the end ─────────────────────────────────────────────────────────────────── */

struct sqlite_merger *sqlite_merger_create(struct gw_env *env, const struct sqlite_keys *keys,
                                           size_t generation, size_t ceiling)
{
    struct sqlite_merger *m = gw_zalloc(sizeof(*m));

    m->env = env;
    m->keys = keys;
    m->generation = generation ? generation : GENERATION_DEFAULT;
    m->ceiling = ceiling ? ceiling : CEILING_DEFAULT;
    gw_check(m->generation < m->ceiling);
    gw_list_init(&m->indexes);
    return m;
}

void sqlite_merger_start(struct sqlite_merger *m)
{
    m->worker = gw_worker_start(m->env, "gwh-merge", on_batch, m);
}

static void index_free(struct sqlite_index *index)
{
    sqlite_index_file_close(&index->file);
    sqlite_conn_close(&index->probe);
    filters_free(index);
    sqlite_tail_deinit(&index->tail);
    gw_free(index->path);
    gw_free(index->segment_path);
    gw_free(index);
}

void sqlite_merger_destroy(struct sqlite_merger *m)
{
    struct gw_list *link;

    if (m == NULL)
        return;
    atomic_store(&m->is_stopping, true);
    if (m->worker)
        gw_worker_stop(m->worker);
    while ((link = gw_list_pop(&m->indexes)) != NULL)
        index_free(gw_container_of(link, struct sqlite_index, link));
    gw_free(m);
}

/* Of a segment in this directory: numbers alone are alike everywhere. */
static int64_t owner_of(const struct sqlite_merger *m, uint32_t number)
{
    return (int64_t)gw_siphash(m->keys->hash,
                               (struct gw_slice){(const char *)&number, sizeof(number)});
}

/* Beside the segment: N.idx for N.seg. */
static struct sqlite_index *create(struct sqlite_merger *m, uint32_t number,
                                   const char *segment_path)
{
    struct sqlite_index *index = gw_zalloc(sizeof(*index));
    size_t len = strlen(segment_path);

    gw_check(len > 4 && strcmp(segment_path + len - 4, ".seg") == 0);
    index->merger = m;
    index->number = number;
    index->segment_path = gw_strdup(segment_path);
    index->path = gw_strdup(segment_path);
    memcpy(index->path + len - 4, ".idx", 4);
    index->owner = owner_of(m, number);
    gw_list_push(&m->indexes, &index->link);
    return index;
}

struct sqlite_index *sqlite_index_create(struct sqlite_merger *m, uint32_t number,
                                         const char *segment_path)
{
    struct sqlite_index *index = create(m, number, segment_path);

    sqlite_index_file_remove(index->path);
    return index;
}

struct sqlite_index *sqlite_index_found(struct sqlite_merger *m, uint32_t number,
                                        const char *segment_path, uint64_t last_seq)
{
    struct sqlite_index *index = create(m, number, segment_path);
    const char *path = index->path;
    struct gw_error error = {0};

    if (access(path, F_OK) != 0) {
        sqlite_index_file_remove(path);
        return index;
    }
    index->covered = last_seq; /* what it may know; then, what it does */
    enum gw_err err = file_open(index, &error);
    if (err == GW_ERR_CORRUPT) {
        gw_log(GW_LOG_WARN, "store_index_thrown_away", GW_S("file", path), GW_S("why", error.text));
        sqlite_index_file_remove(path);
        index->covered = 0;
    } else if (err != GW_OK) {
        gw_log(GW_LOG_WARN, "store_index_closed", GW_S("file", path), GW_S("why", error.text));
        atomic_store(&index->health, SQLITE_INDEX_BEHIND);
    } else {
        index->covered = index->file.state.merged_upto;
        if (index->covered > 0)
            atomic_store(&index->parts, index->file.state.part + 1);
    }
    return index;
}

bool sqlite_index_lacks(const struct sqlite_index *index, uint64_t last_seq)
{
    return atomic_load(&index->health) == SQLITE_INDEX_WHOLE && index->covered < last_seq;
}

void sqlite_index_fill(struct sqlite_index *index, struct sqlite_conn *segment, uint64_t last_seq)
{
    struct sqlite_merger *m = index->merger;
    size_t fill_max = m->ceiling / 4 * 3; /* the rest is for what comes while they are merged */
    size_t room = fill_max > m->count ? fill_max - m->count : 0;
    struct gw_buf entries = {0};
    size_t count;

    (void)rows_read(segment, index->covered, last_seq, room + 1, &entries);
    count = entries.len / sizeof(struct sqlite_entry);
    if (segment->rc == SQLITE_OK && count <= room) {
        for (size_t i = 0; i < count; i++)
            sqlite_tail_add(&index->tail, entries_of(&entries)[i]);
        m->count += count;
    } else if (segment->rc == SQLITE_OK) { /* too far behind to be remembered */
        index->covered = last_seq;
        atomic_store(&index->health, SQLITE_INDEX_BEHIND);
    }
    gw_buf_deinit(&entries);
}
