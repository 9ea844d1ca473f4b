/* sqlite_writer.c: the writer thread. Owns the writing connections and the group in the making.
 *
 * A batch of the worker is cut into groups of at most group_max operations and about
 * GROUP_BYTES_MAX of payload. Each is done in the order in which it was posted, inside one
 * transaction for each file that is touched (begun when first needed, the segment's committed before
 * the main file's); only then are the completions posted, in the same order. So are reads that ask
 * what is open (refill, open_lanes): they are done in their turn inside the transaction, and their
 * answer leaves with the group's. Nobody hears of a write before it is on stable storage, and a
 * refill says exactly what the completions before it said, no less and no more.
 *
 * Failure: an operation that a rule forbids fails alone, for rules are checked before anything is
 * written. When SQLite fails, both files are rolled back and every operation of the group gets the
 * error, as all of them built on what is gone. Disk full and busy are passing; after anything else
 * the writer stops for good (sqlite_stop). */
#include "store/sqlite_internal.h"

#define GROUP_BYTES_MAX ((size_t)8 * 1024 * 1024)

static const struct {
    sqlite_write_fn *run;
    sqlite_finish_fn *finish; /* NULL: its completion is all */
    bool is_main;             /* else the segment's */
    bool is_intake;           /* takes on more to do: not while the disk is low */
} does[OP_WRITER_COUNT] = {
    [OP_ACCEPT] = {sqlite_accept, sqlite_accept_finish, false, true},
    [OP_ADD] = {sqlite_add, sqlite_add_finish, false, true},
    [OP_SETTLE] = {sqlite_settle, NULL, false, false},
    [OP_RETRY] = {sqlite_retry, sqlite_retry_finish, false, false},
    [OP_OPEN_LANES] = {sqlite_open_lanes, sqlite_open_lanes_finish, false, false},
    [OP_REFILL] = {sqlite_refill, sqlite_refill_finish, false, false},
    [OP_HEALTH_SAVE] = {sqlite_health_save, NULL, true, false},
    [OP_CONFIG_PUT] = {sqlite_config_put, sqlite_config_put_finish, true, false},
    [OP_CONFIG_REMOVE] = {sqlite_config_remove, sqlite_config_remove_finish, true, false},
};

static struct sqlite_file *file_of(struct gw_sqlite *sqlite, const struct gw_op *op)
{
    return does[op->kind].is_main ? &sqlite->main : &sqlite->segment.file;
}

/* ── One transaction ───────────────────────────────────────────────────────────────────────── */

_Static_assert((int)SEG_BEGIN == (int)MAIN_BEGIN && (int)SEG_COMMIT == (int)MAIN_COMMIT &&
                   (int)SEG_ROLLBACK == (int)MAIN_ROLLBACK,
               "both kinds of file begin and end alike");

static void begin(struct sqlite_file *file)
{
    if (file->in_group)
        return;
    sqlite_run(&file->conn, file->conn.st[SEG_BEGIN]);
    file->in_group = file->conn.rc == SQLITE_OK;
}

static void roll_back(struct gw_sqlite *sqlite, struct sqlite_file *file)
{
    /* Some failures have rolled back already. */
    if (!sqlite3_get_autocommit(file->conn.db)) {
        int rc = sqlite3_step(file->conn.st[SEG_ROLLBACK]);
        sqlite3_reset(file->conn.st[SEG_ROLLBACK]);
        if (rc != SQLITE_DONE)
            sqlite_stop(sqlite, &file->conn, rc);
    }
    file->in_group = false;
    file->conn.rc = SQLITE_OK;
    if (file == &sqlite->segment.file)
        sqlite_names_forget(&sqlite->segment);
}

/* What has become of the file's part of the group. */
static enum gw_err end(struct gw_sqlite *sqlite, struct sqlite_file *file)
{
    struct sqlite_conn *conn = &file->conn;

    if (conn->rc == SQLITE_OK && !file->in_group)
        return GW_OK;
    if (conn->rc == SQLITE_OK)
        sqlite_run(conn, conn->st[SEG_COMMIT]);
    if (conn->rc == SQLITE_OK) {
        file->in_group = false;
        return GW_OK;
    }
    enum gw_err err = sqlite_conn_err(conn, conn->rc);
    if (gw_err_class(err) != GW_CLASS_AGAIN)
        sqlite_stop(sqlite, conn, conn->rc);
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

/* Does one, unless something has failed already: then the whole group has. */
static bool do_one(struct sqlite_writer *w, struct gw_op *op)
{
    struct sqlite_file *file = file_of(w->sqlite, op);

    begin(file);
    if (op->kind == OP_ACCEPT)
        w->bytes += gw_container_of(op, struct gw_accept, op)->message->body.len;
    if (file->conn.rc == SQLITE_OK)
        op->err = does[op->kind].run(w, op);
    return file->conn.rc == SQLITE_OK;
}

/* Takes operations out of the batch and does them. */
static void gather(struct sqlite_writer *w, struct gw_list *batch)
{
    bool is_disk_low = sqlite_disk_low(w->sqlite), works = true;
    struct gw_list *link;

    w->count = w->bytes = 0;
    w->open_change = 0;
    while (w->count < w->sqlite->options.group_max && w->bytes < GROUP_BYTES_MAX &&
           (link = gw_list_pop(batch)) != NULL) {
        struct gw_op *op = gw_container_of(link, struct gw_op, msg.link);
        struct sqlite_member *member = &w->group[w->count++];

        op->err = refuse(w->sqlite, op, is_disk_low);
        *member = (struct sqlite_member){.op = op, .is_done = op->err == GW_OK};
        if (member->is_done && works)
            works = do_one(w, op);
    }
}

static void commit(struct sqlite_writer *w)
{
    struct gw_sqlite *sqlite = w->sqlite;
    struct sqlite_file *segment = &sqlite->segment.file, *main = &sqlite->main;

    if (main->conn.rc != SQLITE_OK) { /* the segment's part builds on it, and is not kept either */
        segment->outcome = main->outcome = end(sqlite, main);
        roll_back(sqlite, segment);
    } else {
        segment->outcome = end(sqlite, segment);
        main->outcome = segment->outcome;
        if (segment->outcome == GW_OK)
            main->outcome = end(sqlite, main);
        else
            roll_back(sqlite, main);
    }
    if (segment->outcome == GW_OK)
        atomic_fetch_add(&sqlite->open, (uint_fast64_t)w->open_change);
}

static void complete(struct sqlite_writer *w, struct sqlite_member *member)
{
    struct gw_sqlite *sqlite = w->sqlite;
    struct gw_op *op = member->op;
    enum gw_err outcome = file_of(sqlite, op)->outcome;
    bool is_accept = op->kind == OP_ACCEPT;

    if (member->is_done && outcome != GW_OK)
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

    gather(w, batch);
    commit(w);
    for (size_t i = 0; i < w->count; i++)
        complete(w, &w->group[i]);
    gw_buf_clear(&w->lanes_given);
    atomic_fetch_add(&sqlite->commits, 1);
    atomic_fetch_add(&sqlite->operations, w->count);
    atomic_fetch_add(&sqlite->commit_us, (uint64_t)(gw_env_mono_us(sqlite->env) - began_us));
    sqlite_outbox_send(&w->outbox);
    sqlite_wal_mind(sqlite, &sqlite->segment.file);
    sqlite_wal_mind(sqlite, &sqlite->main);
}

static void on_batch(void *ctx, struct gw_list *batch)
{
    while (!gw_list_empty(batch))
        run_group(ctx, batch);
}

/* ── Its life ──────────────────────────────────────────────────────────────────────────────── */

void sqlite_writer_submit(struct gw_sqlite *sqlite, struct gw_op *op, int kind)
{
    op->kind = kind;
    atomic_fetch_add(&sqlite->queued, 1);
    gw_worker_post(sqlite->writer.worker, &op->msg);
}

void sqlite_writer_start(struct gw_sqlite *sqlite)
{
    struct sqlite_writer *w = &sqlite->writer;

    w->sqlite = sqlite;
    w->group = gw_alloc(sqlite->options.group_max * sizeof(*w->group));
    w->worker = gw_worker_start(sqlite->env, "gwh-writer", on_batch, w);
}

void sqlite_writer_stop(struct gw_sqlite *sqlite)
{
    struct sqlite_writer *w = &sqlite->writer;

    if (w->worker)
        gw_worker_stop(w->worker);
    gw_free(w->group);
    gw_buf_deinit(&w->log);
    gw_buf_deinit(&w->trimmed);
    gw_buf_deinit(&w->lanes_given);
    sqlite_outbox_deinit(&w->outbox);
}
