/* sqlite_wal.c: keeps the write-ahead logs short without holding a commit up.
 *
 * While a log is short nobody does anything. Beyond WAL_BIG_BYTES the writer calls the checkpointer,
 * a thread with connections of its own, which copies pages into the file while the writer goes on
 * appending, and syncs what it copied. Once it is nearly level with the writer it hands the file
 * back (SQLITE_WAL_CAUGHT_UP), and the writer copies the small rest between two groups and lets the
 * log begin anew. Readers that are still in the old log are waited for a moment; are there too many,
 * it is tried again a little later.
 *
 * The ceiling is WAL_BYTES_MAX: there the writer takes nothing more on before it has begun the log
 * anew itself. For the checkpointer it waits as long as that needs, and for readers a second: what
 * is read on the way of an attempt is shorter. Who reads for longer (a backup, a full count) must
 * not stop the events: once such a one was met the log may grow by a quarter at a time, until the
 * disk's reserve ends it, and store_log_held says so.
 *
 * The file's `checkpoint` says whose turn it is; only that thread changes it.
 *
 * Failure: a disk that is full leaves the log as it is, and it grows. A write or sync that fails
 * stops the writer, for it is no longer known what the file holds; the log is then kept. */
#include "store/sqlite_internal.h"

#define PAGE_BYTES     4096 /* of the log's frames: SQLite's default, and nothing sets another */
#define WAL_BIG_BYTES  ((size_t)16 * 1024 * 1024)
#define WAL_MORE_BYTES ((size_t)4 * 1024 * 1024)
#define WAL_BYTES_MAX  ((size_t)64 * 1024 * 1024)
#define LEVEL_PAGES    1024 /* a pass that copied no more was short, and left even less behind */
#define PASSES_MAX     4
#define PATIENCE_MS    10   /* with readers */
#define FULL_MS        1000 /* the same, at the ceiling */

static int pages(size_t bytes)
{
    return (int)(bytes / PAGE_BYTES);
}

static int on_commit(void *ctx, sqlite3 *db, const char *name, int in_log)
{
    struct sqlite_file *file = ctx;

    (void)db;
    (void)name;
    file->wal_pages = in_log;
    return SQLITE_OK;
}

void sqlite_wal_init(struct sqlite_file *file)
{
    file->wal_pages = 0;
    file->wal_trigger = pages(WAL_BIG_BYTES);
    file->checkpoint_rc = SQLITE_OK;
    atomic_store(&file->checkpoint, SQLITE_WAL_QUIET);
    sqlite3_wal_hook(file->conn.db, on_commit, file);
}

bool sqlite_wal_is_busy(struct sqlite_file *file)
{
    return atomic_load(&file->checkpoint) == SQLITE_WAL_RUNNING;
}

void sqlite_wal_deinit(struct sqlite_file *file)
{
    sqlite_conn_close(&file->checkpointer);
}

/* True: that was a failure that nothing is known after. */
static bool is_fatal(const struct sqlite_conn *conn, int rc)
{
    return gw_err_class(sqlite_conn_err(conn, rc)) == GW_CLASS_FATAL;
}

/* ── The checkpointer's part ───────────────────────────────────────────────────────────────── */

/* What is copied is synced only by the checkpoint that reaches the end of the log. That is the
 * writer's, and it is to find little to do. */
static int sync_file(struct sqlite_conn *conn)
{
    sqlite3_file *file = NULL;
    int rc = sqlite3_file_control(conn->db, NULL, SQLITE_FCNTL_FILE_POINTER, &file);

    if (rc == SQLITE_OK && file->pMethods)
        rc = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
    return rc;
}

/* Copies until it is nearly level with the writer, who appends meanwhile: what a pass has to copy is
 * what was appended during the one before. False: readers hold on to an old part of the log. */
static bool catch_up(struct sqlite_file *file, int *rc)
{
    struct sqlite_conn *conn = &file->checkpointer;
    int in_log = 0, copied = 0;

    for (int pass = 0; pass < PASSES_MAX; pass++) {
        int before = copied;

        *rc =
            sqlite3_wal_checkpoint_v2(conn->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &copied);
        if (*rc == SQLITE_OK)
            *rc = sync_file(conn);
        if (*rc != SQLITE_OK)
            return false;
        if (copied == in_log && copied - before <= LEVEL_PAGES)
            return true;
        if (atomic_load(&file->writer_waits))
            break;
    }
    return copied == in_log;
}

/* Most files never need it: it is opened when it is first needed. */
static bool is_open(struct sqlite_file *file)
{
    struct gw_error error;

    if (file->checkpointer.db)
        return true;
    if (sqlite_conn_open(&file->checkpointer, file->conn.path, file->conn.kind,
                         SQLITE_ROLE_CHECKPOINTER, 0, &error) == GW_OK)
        return true;
    gw_log(GW_LOG_WARN, "store_checkpoint_failed", GW_S("error", error.text));
    sqlite_conn_close(&file->checkpointer);
    return false;
}

/* A damaged segment is for the writer to set aside. */
static void checkpoint(struct gw_sqlite *sqlite, struct sqlite_file *file)
{
    int rc = SQLITE_OK;
    bool is_level = !atomic_load(&sqlite->stopped) && is_open(file) && catch_up(file, &rc);
    enum gw_err err = sqlite_conn_err(&file->checkpointer, rc);

    file->checkpoint_rc = rc;
    if (gw_err_class(err) == GW_CLASS_FATAL && !(err == GW_ERR_CORRUPT && file->segment))
        sqlite_stop(sqlite, &file->checkpointer, rc);
    atomic_store(&file->checkpoint, is_level ? SQLITE_WAL_CAUGHT_UP : SQLITE_WAL_LEFT);
}

void sqlite_wal_worker(void *ctx, struct gw_list *batch)
{
    struct gw_list *link;

    while ((link = gw_list_pop(batch)) != NULL) {
        struct gw_sqlite *sqlite = ctx;
        struct gw_msg *msg = gw_container_of(link, struct gw_msg, link);
        if (msg == &sqlite->next.msg)
            sqlite_segment_make(sqlite);
        else
            checkpoint(sqlite, gw_container_of(msg, struct sqlite_file, checkpoint_msg));
    }
}

/* ── The writer's part ─────────────────────────────────────────────────────────────────────── */

/* A reader is in the way. */
static int on_busy(void *ctx, int count)
{
    if (count >= *(const int *)ctx)
        return 0;
    sqlite3_sleep(1);
    return 1;
}

/* When it is tried again: the ceiling is not passed before the first trial there. */
static void put_off(struct sqlite_file *file, int by)
{
    int next = file->wal_pages + by;

    if (file->wal_pages < pages(WAL_BYTES_MAX) && next > pages(WAL_BYTES_MAX))
        next = pages(WAL_BYTES_MAX);
    file->wal_trigger = next;
}

static bool is_full(const struct sqlite_file *file)
{
    return file->wal_pages >= pages(WAL_BYTES_MAX) && file->wal_pages >= file->wal_trigger;
}

static void restart_log(struct gw_sqlite *sqlite, struct sqlite_file *file)
{
    int patience_ms = is_full(file) && !file->wal_is_held ? FULL_MS : PATIENCE_MS;
    int64_t began_us = gw_env_mono_us(sqlite->env);

    sqlite3_busy_handler(file->conn.db, on_busy, &patience_ms);
    int rc = sqlite3_wal_checkpoint_v2(file->conn.db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    sqlite3_busy_timeout(file->conn.db, SQLITE_WRITER_WAIT_MS);
    gw_log(GW_LOG_DEBUG, "store_log_restart", GW_S("file", file->conn.path),
           GW_B("done", rc == SQLITE_OK), GW_I("pages", file->wal_pages),
           GW_I("us", gw_env_mono_us(sqlite->env) - began_us));
    if (rc == SQLITE_OK) {
        file->wal_pages = 0;
        file->wal_trigger = pages(WAL_BIG_BYTES);
        file->wal_is_held = false;
        return;
    }
    if (is_fatal(&file->conn, rc))
        sqlite_file_failed(sqlite, file, &file->conn, rc);
    if (rc == SQLITE_BUSY && is_full(file) && !file->wal_is_held) {
        file->wal_is_held = true;
        gw_log(GW_LOG_WARN, "store_log_held", GW_S("file", file->conn.path),
               GW_I("pages", file->wal_pages), GW_S("why", "somebody reads for long"));
    }
    /* By a share of it, too: somebody may read for long, and each trial waits. */
    put_off(file, pages(WAL_MORE_BYTES) + file->wal_pages / 4);
}

static void wait_for_turn(struct sqlite_file *file)
{
    atomic_store(&file->writer_waits, true);
    while (sqlite_wal_is_busy(file))
        sqlite3_sleep(1);
    atomic_store(&file->writer_waits, false);
}

void sqlite_wal_mind(struct gw_sqlite *sqlite, struct sqlite_file *file)
{
    if (is_full(file))
        wait_for_turn(file);
    if (atomic_load(&sqlite->stopped) || sqlite_wal_is_busy(file))
        return;
    int said = atomic_exchange(&file->checkpoint, SQLITE_WAL_QUIET);
    if (said != SQLITE_WAL_QUIET && is_fatal(&file->checkpointer, file->checkpoint_rc)) {
        sqlite_file_failed(sqlite, file, &file->checkpointer, file->checkpoint_rc);
    } else if (file->wal_pages < file->wal_trigger) {
        return;
    } else if (said == SQLITE_WAL_CAUGHT_UP || is_full(file)) {
        restart_log(sqlite, file);
    } else if (said == SQLITE_WAL_LEFT) {
        put_off(file, pages(WAL_MORE_BYTES));
    } else {
        atomic_store(&file->checkpoint, SQLITE_WAL_RUNNING);
        gw_worker_post(sqlite->checkpointer, &file->checkpoint_msg);
    }
}

bool sqlite_wal_empty(struct gw_sqlite *sqlite, struct sqlite_file *file)
{
    if (atomic_load(&sqlite->stopped) || atomic_load(&file->checkpoint) == SQLITE_WAL_RUNNING)
        return false;
    int rc = sqlite3_wal_checkpoint_v2(file->conn.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (rc == SQLITE_OK) {
        file->wal_pages = 0;
        file->wal_trigger = pages(WAL_BIG_BYTES);
        file->wal_holds_erased = false;
    } else if (is_fatal(&file->conn, rc)) {
        sqlite_file_failed(sqlite, file, &file->conn, rc);
    }
    return rc == SQLITE_OK;
}

void sqlite_wal_finish(struct gw_sqlite *sqlite, struct sqlite_file *file, bool waits)
{
    if (atomic_load(&sqlite->stopped))
        return;
    if (!waits)
        sqlite3_busy_timeout(file->conn.db, 0);
    int rc = sqlite3_wal_checkpoint_v2(file->conn.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (rc != SQLITE_OK && (waits || rc != SQLITE_BUSY))
        gw_log(GW_LOG_WARN, "store_checkpoint_failed", GW_S("file", file->conn.path),
               GW_S("error", sqlite3_errstr(rc)));
}
