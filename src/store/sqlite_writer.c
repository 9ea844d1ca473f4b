/* sqlite_writer.c: the writer thread. Owns the writing connections and the group in the making.
 *
 * A batch of the worker is cut into groups of at most group_max operations and about
 * GROUP_BYTES_MAX of payload. Each is done in the order in which it was posted, inside one
 * transaction for each file that is touched (begun when first needed, the segments' committed before
 * the main file's); only then are the completions posted, in the same order. So are reads that ask
 * what is open (refill, open_lanes): they are done in their turn inside the transactions, and their
 * answer leaves with the group's. Nobody hears of a write before it is on stable storage, and a
 * refill says exactly what the completions before it said, no less and no more.
 *
 * No operation writes into two files: it completes with the outcome of its own. Between the commits
 * of two files a crash loses one that nobody was told of.
 *
 * Failure: an operation that a rule forbids fails alone, for rules are checked before anything is
 * written. When SQLite fails on a file, that is rolled back and every operation in it gets the error,
 * as all of them built on what is gone; so do those in the main file, which is committed behind all
 * it may follow from. Disk full and busy are passing; a segment that is damaged is set aside; after
 * anything else the writer stops for good (sqlite_stop). */
#include "store/sqlite_index.h"
#include "store/sqlite_internal.h"

#define GROUP_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define KEYS_KEPT       8192

static const struct {
    sqlite_write_fn *run;
    sqlite_finish_fn *finish; /* NULL: its completion is all */
    bool is_main;             /* else it touches the segments it needs */
    bool is_intake;           /* takes on more to do: not while the disk is low */
} does[GW_CALL_COUNT] = {
    [GW_CALL_ACCEPT] = {sqlite_accept, sqlite_accept_finish, false, true},
    [GW_CALL_ADD] = {sqlite_add, sqlite_add_finish, false, true},
    [GW_CALL_SETTLE] = {sqlite_settle, NULL, false, false},
    [GW_CALL_RETRY] = {sqlite_retry, sqlite_retry_finish, false, false},
    [GW_CALL_ERASE] = {sqlite_erase, sqlite_erase_finish, true, false},
    [GW_CALL_OPEN_LANES] = {sqlite_open_lanes, sqlite_open_lanes_finish, false, false},
    [GW_CALL_REFILL] = {sqlite_refill, sqlite_refill_finish, false, false},
    [GW_CALL_HEALTH_SAVE] = {sqlite_health_save, NULL, true, false},
    [GW_CALL_CONFIG_PUT] = {sqlite_config_put, sqlite_config_put_finish, true, false},
    [GW_CALL_CONFIG_REMOVE] = {sqlite_config_remove, sqlite_config_remove_finish, true, false},
    [GW_CALL_KEY_PUT] = {sqlite_key_put, NULL, true, false},
    [GW_CALL_KEY_REMOVE] = {sqlite_key_remove, NULL, true, false},
    [GW_CALL_AUDIT_ADD] = {sqlite_audit_add, NULL, true, false},
};

/* ── One transaction ───────────────────────────────────────────────────────────────────────── */

_Static_assert((int)SEG_BEGIN == (int)MAIN_BEGIN && (int)SEG_COMMIT == (int)MAIN_COMMIT &&
                   (int)SEG_ROLLBACK == (int)MAIN_ROLLBACK,
               "both kinds of file begin and end alike");

bool sqlite_writer_begin(struct sqlite_file *file)
{
    if (!file->in_group && file->conn.rc == SQLITE_OK) {
        sqlite_run(&file->conn, file->conn.st[SEG_BEGIN]);
        file->in_group = file->conn.rc == SQLITE_OK;
    }
    return file->conn.rc == SQLITE_OK;
}

static bool is_set_aside(const struct sqlite_file *file)
{
    return file->segment && sqlite_segment_err(file->segment) == GW_ERR_CORRUPT;
}

static void roll_back(struct gw_sqlite *sqlite, struct sqlite_file *file)
{
    /* Some failures have rolled back already. */
    if (!sqlite3_get_autocommit(file->conn.db)) {
        int rc = sqlite3_step(file->conn.st[SEG_ROLLBACK]);
        sqlite3_reset(file->conn.st[SEG_ROLLBACK]);
        if (rc != SQLITE_DONE && !is_set_aside(file))
            sqlite_stop(sqlite, &file->conn, rc);
    }
    file->in_group = false;
    file->conn.rc = SQLITE_OK;
    if (file->segment) {
        sqlite_names_forget(file->segment);
        sqlite_tallies_failed(file->segment);
        file->segment->is_span_stored = false; /* what is known may be more than what is stored */
        sqlite_merger_undo(sqlite->merger, file->segment->index);
    }
}

/* What has become of the file's part of the group. */
static enum gw_err end(struct gw_sqlite *sqlite, struct sqlite_file *file)
{
    struct sqlite_conn *conn = &file->conn;

    if (conn->rc == SQLITE_OK && is_set_aside(file))
        conn->rc = SQLITE_CORRUPT;
    if (conn->rc == SQLITE_OK && !file->in_group)
        return GW_OK;
    if (conn->rc == SQLITE_OK && file->segment)
        sqlite_tallies_write(sqlite, file->segment);
    if (conn->rc == SQLITE_OK)
        sqlite_run(conn, conn->st[SEG_COMMIT]);
    if (conn->rc == SQLITE_OK) {
        file->in_group = false;
        if (file->segment)
            sqlite_tallies_committed(file->segment, gw_env_mono_us(sqlite->env));
        return GW_OK;
    }
    enum gw_err err = sqlite_conn_err(conn, conn->rc);
    if (gw_err_class(err) != GW_CLASS_AGAIN)
        sqlite_file_failed(sqlite, file, conn, conn->rc);
    roll_back(sqlite, file);
    return err;
}

/* ── One group ─────────────────────────────────────────────────────────────────────────────── */

static enum gw_err refuse(struct gw_sqlite *sqlite, const struct gw_op *op, bool is_disk_low)
{
    if (atomic_load(&sqlite->stopped))
        return GW_ERR_STOPPED;
    if (sqlite_op_late(op))
        return GW_ERR_TIMEOUT;
    return is_disk_low && does[op->kind].is_intake ? GW_ERR_FULL : GW_OK;
}

static void do_one(struct sqlite_writer *w, struct sqlite_member *member)
{
    struct gw_op *op = member->op;

    w->file = does[op->kind].is_main ? &w->sqlite->main : NULL;
    w->is_of_all = false;
    if (op->kind == GW_CALL_ACCEPT)
        w->bytes += gw_container_of(op, struct gw_accept, op)->message->body.len;
    if (w->file == NULL || sqlite_writer_begin(w->file))
        op->err = does[op->kind].run(w, op);
    member->file = w->file;
    member->is_of_all = w->is_of_all;
}

/* Apps that are new here get their keys before anything is sealed with them: else a crash between two
 * commits would leave what nobody can open. */
static void give_keys(struct sqlite_writer *w, const struct gw_list *batch)
{
    struct sqlite_file *main = &w->sqlite->main;
    size_t left = w->sqlite->options.group_max;
    uint32_t number;

    w->key_err = GW_OK;
    sqlite_keyring_refresh(&w->keyring);
    for (struct gw_list *at = batch->next; at != batch && left > 0; at = at->next, left--) {
        struct gw_op *op = gw_container_of(at, struct gw_op, msg.link);
        if (op->kind != GW_CALL_ACCEPT)
            continue;
        struct gw_slice app_id = gw_container_of(op, struct gw_accept, op)->message->app_id;
        if (sqlite_keyring_find(&w->keyring, app_id, &number) == GW_ERR_NOT_FOUND &&
            sqlite_writer_begin(main))
            sqlite_keyring_add(&w->keyring, app_id);
    }
    if (main->in_group || main->conn.rc != SQLITE_OK)
        w->key_err = end(w->sqlite, main);
    if (w->key_err != GW_OK)
        sqlite_keyring_forget(&w->keyring);
}

static struct gw_op *op_of(struct gw_list *link)
{
    return gw_container_of(link, struct gw_op, msg.link);
}

static bool is_retain(struct gw_list *link)
{
    return op_of(link)->kind == OP_RETAIN;
}

/* Takes operations out of the batch and does them. */
static void gather(struct sqlite_writer *w, struct gw_list *batch)
{
    bool is_disk_low = sqlite_disk_low(w->sqlite);

    w->count = w->bytes = 0;
    while (w->count < w->sqlite->options.group_max && w->bytes < GROUP_BYTES_MAX &&
           !gw_list_empty(batch) && !is_retain(batch->next)) {
        struct gw_op *op = op_of(gw_list_pop(batch));
        if (sqlite_recent_wanted(op)) { /* it waits for nobody, and goes on when all is stopped */
            sqlite_recent_tell(w->sqlite, op);
            continue;
        }
        struct sqlite_member *member = &w->group[w->count++];

        op->err = refuse(w->sqlite, op, is_disk_low);
        *member = (struct sqlite_member){.op = op};
        if (op->err == GW_OK)
            do_one(w, member);
    }
}

static struct sqlite_segment *touched(const struct sqlite_writer *w, size_t at)
{
    struct sqlite_segment *segment = NULL;

    if ((at + 1) * sizeof(segment) <= w->touched.len)
        memcpy(&segment, w->touched.ptr + at * sizeof(segment), sizeof(segment));
    return segment;
}

static void commit_segment(struct gw_sqlite *sqlite, struct sqlite_segment *segment)
{
    struct sqlite_file *file = &segment->file;

    file->outcome = end(sqlite, file);
    if (file->outcome == GW_OK && segment->open_change != 0) {
        atomic_fetch_add(&segment->open, (uint_fast64_t)segment->open_change);
        atomic_fetch_add(&sqlite->open, (uint_fast64_t)segment->open_change);
    }
}

/* Returns what the whole group failed with, segments that are set aside left out. After a failure
 * that nothing is known after nothing more is committed. */
static enum gw_err commit(struct sqlite_writer *w)
{
    struct gw_sqlite *sqlite = w->sqlite;
    struct sqlite_file *main = &sqlite->main;
    struct sqlite_segment *segment;
    enum gw_err failed = main->conn.rc == SQLITE_OK ? GW_OK : end(sqlite, main);

    for (size_t i = 0; (segment = touched(w, i)) != NULL; i++) {
        if (gw_err_class(failed) == GW_CLASS_FATAL) {
            segment->file.outcome = failed;
            roll_back(sqlite, &segment->file);
            continue;
        }
        commit_segment(sqlite, segment);
        if (segment->file.outcome != GW_OK && !is_set_aside(&segment->file))
            failed = segment->file.outcome;
    }
    main->outcome = failed;
    if (failed == GW_OK)
        failed = main->outcome = end(sqlite, main);
    else
        roll_back(sqlite, main);
    return failed;
}

/* Behind the group: its logs are looked after, and what is damaged is closed. */
static void leave(struct sqlite_writer *w)
{
    struct gw_sqlite *sqlite = w->sqlite;
    struct sqlite_segment *segment;

    for (size_t i = 0; (segment = touched(w, i)) != NULL; i++) {
        segment->is_touched = false;
        if (!is_set_aside(&segment->file))
            sqlite_wal_mind(sqlite, &segment->file);
        if (is_set_aside(&segment->file) && !sqlite_wal_is_busy(&segment->file))
            sqlite_segment_close(sqlite, segment, false);
    }
    gw_buf_clear(&w->touched);
    sqlite_wal_mind(sqlite, &sqlite->main);
    sqlite_segment_mind(w);
    if (!atomic_load(&sqlite->stopped))
        sqlite_merger_mind(sqlite->merger);
}

static void complete(struct sqlite_writer *w, struct sqlite_member *member, enum gw_err failed)
{
    struct gw_sqlite *sqlite = w->sqlite;
    struct gw_op *op = member->op;
    enum gw_err outcome = member->file ? member->file->outcome : GW_OK;
    bool is_accept = op->kind == GW_CALL_ACCEPT;

    if (member->is_of_all)
        outcome = failed;
    if (outcome != GW_OK)
        op->err = outcome;
    if (does[op->kind].finish)
        does[op->kind].finish(w, op);
    sqlite_outbox_done(&w->outbox, op, op->err);
    if (is_accept)
        atomic_fetch_sub(&sqlite->accepts, 1);
    atomic_fetch_sub(&sqlite->queued, 1);
}

static void run_group(struct sqlite_writer *w, struct gw_list *batch)
{
    struct gw_sqlite *sqlite = w->sqlite;
    int64_t began_us = gw_env_mono_us(sqlite->env);

    sqlite_segment_mind(w);
    sqlite_merger_group(sqlite->merger);
    if (!atomic_load(&sqlite->stopped))
        give_keys(w, batch);
    gather(w, batch);
    sqlite_tallies_mind(w);
    enum gw_err failed = commit(w);
    for (size_t i = 0; i < w->count; i++)
        complete(w, &w->group[i], failed);
    gw_buf_clear(&w->lanes_given);
    atomic_fetch_add(&sqlite->operations, w->count);
    gw_histogram_add(&sqlite->commits, gw_env_mono_us(sqlite->env) - began_us);
    sqlite_outbox_send(&w->outbox);
    leave(w);
}

/* The store's own turn: a group without anybody who waits for it. */
static void run_retain(struct sqlite_writer *w, struct gw_list *batch)
{
    gw_list_pop(batch);
    bool did = sqlite_retain_begin(w);
    sqlite_tallies_mind(w);
    enum gw_err failed = commit(w);
    leave(w);
    sqlite_retain_end(w, did, failed);
}

static void on_batch(void *ctx, struct gw_list *batch)
{
    while (!gw_list_empty(batch)) {
        if (is_retain(batch->next))
            run_retain(ctx, batch);
        else
            run_group(ctx, batch);
    }
}

/* ── Its life ──────────────────────────────────────────────────────────────────────────────── */

void sqlite_writer_submit(struct gw_sqlite *sqlite, struct gw_op *op)
{
    atomic_fetch_add(&sqlite->queued, 1);
    gw_worker_post(sqlite->writer.worker, &op->msg);
}

void sqlite_writer_start(struct gw_sqlite *sqlite)
{
    struct sqlite_writer *w = &sqlite->writer;

    w->sqlite = sqlite;
    w->next_us = INT64_MIN / 2;
    w->group = gw_alloc(sqlite->options.group_max * sizeof(*w->group));
    sqlite_keyring_init(&w->keyring, sqlite, &sqlite->main.conn, KEYS_KEPT);
    w->worker = gw_worker_start(sqlite->env, "gwh-writer", on_batch, w);
}

void sqlite_writer_stop(struct gw_sqlite *sqlite)
{
    struct sqlite_writer *w = &sqlite->writer;

    if (w->worker)
        gw_worker_stop(w->worker);
    gw_free(w->group);
    gw_buf_deinit(&w->touched);
    gw_buf_deinit(&w->sources);
    gw_buf_deinit(&w->log);
    gw_buf_deinit(&w->plain);
    gw_buf_deinit(&w->trimmed);
    gw_buf_deinit(&w->sealed);
    sqlite_keyring_deinit(&w->keyring);
    gw_buf_deinit(&w->lanes_given);
    sqlite_outbox_deinit(&w->outbox);
}
