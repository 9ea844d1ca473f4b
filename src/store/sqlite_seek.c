/* sqlite_seek.c: where a key leads: in the writer's tail and in the file of a segment's index.
 *
 * The writer asks for every event with an id whether there was one before: its tail first, then the
 * parts of the file, newest first, through a connection of its own that is opened when first needed.
 * Filters answer for nearly all parts. An entry that is being merged may be seen twice.
 *
 * A reader's question goes to the writer first, for the tails are its own: it adds what they have
 * (struct sqlite_recent) and passes the question on. What is merged meanwhile is found twice, never
 * not at all. Readers open a file for one question: such questions are rare, and a file that is to be
 * thrown away is soon free.
 *
 * Failure: who finds the file damaged says so in `health`, and gets GW_ERR_BUSY like everybody else
 * until it has been made anew. */
#include "store/sqlite_index.h"
#include "store/sqlite_internal.h"

#include <unistd.h>

#define PROBE_CACHE_BYTES ((size_t)1024 * 1024)
#define READ_CACHE_BYTES  ((size_t)256 * 1024)
#define SEEK_MAX          1000 /* events of one key in one part */

/* A file that is damaged or missing is broken; any other failure may pass. */
static enum gw_err refuse(struct sqlite_index *index, enum gw_err err, const char *why)
{
    int whole = SQLITE_INDEX_WHOLE;

    if (err == GW_ERR_CORRUPT || access(index->path, F_OK) != 0)
        atomic_compare_exchange_strong(&index->health, &whole, SQLITE_INDEX_BROKEN);
    gw_log(GW_LOG_WARN, "store_index_failed", GW_S("file", index->path),
           GW_S("error", gw_err_name(err)), GW_S("why", why));
    return GW_ERR_BUSY;
}

/* ── The writer ────────────────────────────────────────────────────────────────────────────── */

void sqlite_seek_begin(struct sqlite_seek *seek, struct sqlite_index *index,
                       enum sqlite_entry_kind kind, int64_t hash)
{
    *seek = (struct sqlite_seek){
        .index = index,
        .tail = {.tail = &index->tail, .kind = kind, .hash = hash},
        .part = atomic_load(&index->parts),
    };
    index->was_probed = true;
    index->probed_us = gw_env_mono_us(index->merger->env);
    switch (atomic_load(&index->health)) {
    case SQLITE_INDEX_WHOLE: break;
    case SQLITE_INDEX_GONE: seek->part = 0; break;
    default: seek->err = GW_ERR_BUSY;
    }
}

void sqlite_seek_end(struct sqlite_seek *seek)
{
    sqlite3_reset(seek->st);
    seek->st = NULL;
}

/* Filters are of events' ids alone. */
static bool may_have(const struct sqlite_seek *seek)
{
    const struct sqlite_index *index = seek->index;

    if (!index->uses_filters || seek->tail.kind == SQLITE_ENTRY_TX)
        return true;
    struct sqlite_filter *filter = atomic_load(&index->filters[seek->part]);
    return filter == NULL || sqlite_filter_has(filter, (uint64_t)seek->tail.hash);
}

/* Its next place in the part that is being asked. */
static bool step_part(struct sqlite_seek *seek, uint64_t *seq)
{
    struct sqlite_conn *conn = &seek->index->probe;

    if (sqlite_row(conn, seek->st)) {
        *seq = (uint64_t)sqlite3_column_int64(seek->st, 0);
        return true;
    }
    seek->st = NULL;
    if (conn->rc != SQLITE_OK) {
        seek->err = refuse(seek->index, sqlite_index_err(conn, conn->rc), sqlite3_errstr(conn->rc));
        conn->rc = SQLITE_OK;
    }
    return false;
}

static void ask_part(struct sqlite_seek *seek)
{
    struct sqlite_index *index = seek->index;
    struct gw_error error = {0};

    if (index->probe.db == NULL) {
        enum gw_err err = sqlite_conn_open(&index->probe, index->path, &sqlite_index_kind,
                                           SQLITE_ROLE_READER, PROBE_CACHE_BYTES, &error);
        if (err != GW_OK) {
            sqlite_conn_close(&index->probe);
            seek->err = refuse(index, err, error.text);
            return;
        }
    }
    bool is_all = seek->tail.kind == SQLITE_ENTRY_TX; /* of a transaction each one counts */
    seek->st = sqlite_index_ask(&index->probe, seek->part, seek->tail.kind, seek->tail.hash,
                                SQLITE_SEQ_MAX, is_all ? INT32_MAX : SEEK_MAX);
}

bool sqlite_seek_next(struct sqlite_seek *seek, uint64_t *seq)
{
    if (seek->err == GW_OK && !seek->has_left_tail) {
        if (sqlite_tail_next(&seek->tail, seq))
            return true;
        seek->has_left_tail = true;
    }
    while (seek->err == GW_OK) {
        if (seek->st && step_part(seek, seq))
            return true;
        if (seek->err != GW_OK || seek->part == 0)
            return false;
        seek->part--;
        if (may_have(seek))
            ask_part(seek);
    }
    return false;
}

/* ── Questions of readers: the writer's part ───────────────────────────────────────────────── */

/* False: it does not ask for a key. */
static bool key_of(const struct gw_op *op, struct sqlite_key *key, struct gw_arena **arena)
{
    if (op->kind == GW_CALL_FIND) {
        const struct gw_find *find = gw_container_of(op, const struct gw_find, op);
        bool is_event_id = find->key == GW_FIND_EVENT_ID;
        *key = (struct sqlite_key){find->app_id, find->text, is_event_id};
        *arena = find->arena;
        return is_event_id || find->key == GW_FIND_TRANSACTION_ID;
    }
    if (op->kind == GW_CALL_LIST) {
        const struct gw_list_op *list = gw_container_of(op, const struct gw_list_op, op);
        bool is_event_id = list->event_id.len > 0;
        *key = (struct sqlite_key){
            list->app_id, is_event_id ? list->event_id : list->transaction_id, is_event_id};
        *arena = list->arena;
        return key->text.len > 0;
    }
    return false;
}

bool sqlite_recent_wanted(const struct gw_op *op)
{
    struct sqlite_key key;
    struct gw_arena *arena;

    return key_of(op, &key, &arena);
}

static void gather(const struct sqlite_index *index, struct sqlite_key key, int64_t hash,
                   struct gw_buf *seqs, struct gw_buf *recent)
{
    gw_buf_clear(seqs);
    sqlite_tail_copy(&index->tail, key.is_event_id, hash, key.app_id.len == 0, seqs);
    for (size_t at = 0; at < seqs->len; at += sizeof(uint64_t)) {
        struct sqlite_recent_at found = {.segment = index->number};
        memcpy(&found.seq, seqs->ptr + at, sizeof(found.seq));
        gw_buf_add(recent, &found, sizeof(found));
    }
}

void sqlite_recent_tell(struct gw_sqlite *sqlite, struct gw_op *op)
{
    struct gw_buf seqs = {0}, found = {0};
    struct sqlite_recent *recent;
    struct gw_arena *arena;
    struct sqlite_key key;

    gw_check(key_of(op, &key, &arena));
    int64_t hash = sqlite_key_hash(&sqlite->keys, key.app_id, key.text);
    gw_list_each (link, &sqlite->merger->indexes)
        gather(gw_container_of(link, struct sqlite_index, link), key, hash, &seqs, &found);
    recent = gw_arena_alloc(arena, sizeof(*recent) + found.len);
    recent->count = found.len / sizeof(recent->at[0]);
    if (found.len > 0)
        memcpy(recent->at, found.ptr, found.len);
    gw_buf_deinit(&seqs);
    gw_buf_deinit(&found);
    op->found = recent;
    sqlite_look_submit(sqlite, op);
}

/* ── Readers ───────────────────────────────────────────────────────────────────────────────── */

static void release(struct sqlite_index *index, struct sqlite_conn *conn)
{
    sqlite_conn_close(conn);
    atomic_fetch_sub(&index->users, 1);
}

enum gw_err sqlite_index_read_begin(struct sqlite_index *index, struct sqlite_conn *conn,
                                    struct sqlite_index_state *state)
{
    struct gw_error error = {0};

    *conn = (struct sqlite_conn){0};
    *state = (struct sqlite_index_state){0};
    atomic_fetch_add(&index->users, 1); /* before looking: see throw_away() in sqlite_merge.c */
    int health = atomic_load(&index->health);
    if (health != SQLITE_INDEX_WHOLE || atomic_load(&index->parts) == 0) {
        atomic_fetch_sub(&index->users, 1);
        return health == SQLITE_INDEX_WHOLE || health == SQLITE_INDEX_GONE ? GW_OK : GW_ERR_BUSY;
    }
    enum gw_err err = sqlite_conn_open(conn, index->path, &sqlite_index_kind, SQLITE_ROLE_READER,
                                       READ_CACHE_BYTES, &error);
    if (err == GW_OK) {
        sqlite_run(conn, conn->st[IDX_READ]);
        if (conn->rc == SQLITE_OK && sqlite_index_state(conn, state))
            return GW_OK;
        err = conn->rc == SQLITE_OK ? GW_ERR_CORRUPT : sqlite_index_err(conn, conn->rc);
        (void)gw_error_set(&error, err, "%s", sqlite3_errstr(conn->rc));
    }
    err = refuse(index, err, error.text);
    release(index, conn);
    return err;
}

enum gw_err sqlite_index_read_end(struct sqlite_index *index, struct sqlite_conn *conn)
{
    enum gw_err err = GW_OK;

    if (conn->db == NULL)
        return GW_OK;
    sqlite_run(conn, conn->st[IDX_COMMIT]);
    if (conn->rc != SQLITE_OK)
        err = refuse(index, sqlite_index_err(conn, conn->rc), sqlite3_errstr(conn->rc));
    release(index, conn);
    return err;
}
