/* sqlite_merge.c: the merge thread's turns: what it does to one index file when the writer has asked
 * for it (see sqlite_merger.c).
 *
 * It puts the generation that is merging into the file. Besides, it opens the file, throws a broken
 * one away, makes a lost one anew from the segment's rows, makes filters for the parts of an index
 * that is asked, one part a turn, and frees those of one that is not. Who is made anew lets others
 * have their turn in between.
 *
 * Threads: all is the merge thread's, but sqlite_merge_open() and sqlite_merge_rows() at the start,
 * before it runs. What it reads of the writer's fields does not change during its turn.
 *
 * Failure: a merge that fails leaves everything as it was, and the writer asks again. A file that is
 * damaged is called broken, and thrown away once nobody has it open. */
#include "store/sqlite_index.h"
#include "store/sqlite_internal.h"

#define PART_GENERATIONS 10
#define ROWS_CACHE_BYTES ((size_t)256 * 1024)

static bool is_level(const struct sqlite_index *index)
{
    return index->file.state.merged_upto >= index->covered;
}

/* ── Rows ──────────────────────────────────────────────────────────────────────────────────── */

uint64_t sqlite_merge_rows(struct sqlite_conn *segment, uint64_t after, uint64_t last, size_t max,
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

/* ── The file ──────────────────────────────────────────────────────────────────────────────── */

enum gw_err sqlite_merge_open(struct sqlite_index *index, struct gw_error *error)
{
    uint64_t last = index->covered > index->merging_upto ? index->covered : index->merging_upto;

    if (index->sealed_at > last)
        last = index->sealed_at;
    if (index->file.conn.db)
        return GW_OK;
    return sqlite_index_file_open(&index->file, index->path, index->owner, last,
                                  index->merger->generation * PART_GENERATIONS, error);
}

static enum gw_err merge(struct sqlite_index *index, const struct sqlite_entry *entries,
                         size_t count, uint64_t upto)
{
    uint32_t part = sqlite_index_part_for(&index->file, entries, count);
    struct sqlite_filter *filter = sqlite_filters_for(index, part);

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
    sqlite_filters_free(index);
    sqlite_index_file_remove(index->path);
    atomic_store(&index->parts, 0);
    return GW_OK;
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
            sqlite_merge_rows(segment, after, index->covered, index->merger->generation, &entries);
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
        err =
            merge(index, sqlite_entries(&entries), entries.len / sizeof(struct sqlite_entry), upto);
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
        err = sqlite_merge_open(index, error);
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
        sqlite_filters_free(index);
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
        err = sqlite_filters_make(index, &has_all);
    if (err != GW_OK)
        return err;
    atomic_store(&index->parts, index->file.state.part + 1);
    has_all = has_all && g->count == 0;
    if (has_all && index->sealed_at > 0)
        sqlite_index_file_close(&index->file);
    atomic_store(&index->has_all, has_all);
    return GW_OK;
}

/* ── A turn ────────────────────────────────────────────────────────────────────────────────── */

void sqlite_merge_post(struct sqlite_index *index)
{
    atomic_fetch_add(&index->merger->queued, 1);
    gw_worker_post(index->merger->worker, &index->msg);
}

static void turn(struct sqlite_index *index)
{
    struct gw_error error = {0};
    enum gw_err err = do_turn(index, &error);

    if (index->is_catching_up) { /* behind those that wait */
        sqlite_merge_post(index);
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

void sqlite_merge_worker(void *ctx, struct gw_list *batch)
{
    struct gw_list *link;

    while ((link = gw_list_pop(batch)) != NULL) {
        struct gw_msg *msg = gw_container_of(link, struct gw_msg, link);
        atomic_fetch_sub(&((struct sqlite_merger *)ctx)->queued, 1);
        turn(gw_container_of(msg, struct sqlite_index, msg));
    }
}
