/* sqlite_merger.c: tails and index files together: who may do what when, and the start.
 *
 * The writer adds keys to the tail of a segment. When a generation is full it becomes `merging`, and
 * the merge thread gets its turn (sqlite_merge.c): it puts the generation into the file while the
 * writer goes on. Afterwards the writer, between two groups, lets the generation go. So an entry is in
 * the tail until it is in the file, a merge never holds a commit up, and nothing is locked. `turn` says
 * whose turn it is.
 *
 * A file that is lost (missing, damaged, not its segment's, too far behind) is made from the rows
 * step by step. Until it is level nothing can be said about a key in that segment: accepts of events
 * with an id that would have to look there are GW_ERR_BUSY, and so are questions for a key. Everything
 * else goes on. It was chosen over walking rows, which costs more the more there are.
 *
 * Ceilings: entries of all tails (beyond it accepts with keys are GW_ERR_BUSY), and bytes of all
 * filters (sqlite_filter.c).
 *
 * Threads: the writer's, but for the start and the end, when no other runs.
 *
 * Failure: a turn that fails is tried again after AGAIN_US; a file that cannot be opened at the start
 * counts as one that is behind. Nothing here stops the writer. */
#include "store/sqlite_index.h"
#include "store/sqlite_internal.h"

#include "base/crypto.h"

#include <unistd.h>

#define GENERATION_DEFAULT 50000
#define CEILING_DEFAULT    200000
#define AGAIN_US           1000000
#define ASKED_US           ((int64_t)600 * 1000000)

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
        sqlite_merge_post(index);
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
    m->worker = gw_worker_start(m->env, "gwh-merge", sqlite_merge_worker, m);
}

static void index_free(struct sqlite_index *index)
{
    sqlite_index_file_close(&index->file);
    sqlite_conn_close(&index->probe);
    sqlite_filters_free(index);
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
    enum gw_err err = sqlite_merge_open(index, &error);
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

    (void)sqlite_merge_rows(segment, index->covered, last_seq, room + 1, &entries);
    count = entries.len / sizeof(struct sqlite_entry);
    if (segment->rc == SQLITE_OK && count <= room) {
        for (size_t i = 0; i < count; i++)
            sqlite_tail_add(&index->tail, sqlite_entries(&entries)[i]);
        m->count += count;
    } else if (segment->rc == SQLITE_OK) { /* too far behind to be remembered */
        index->covered = last_seq;
        atomic_store(&index->health, SQLITE_INDEX_BEHIND);
    }
    gw_buf_deinit(&entries);
}
