/* sqlite.c: the embedded store as a whole: its directory, its files and threads, its three ports.
 *
 * Threads: open and close belong to whoever starts the process; ports may be called from any thread
 * and only hand the operation to the writer or to a reader. What they read of gw_sqlite is set
 * before the threads start, or atomic.
 *
 * Failure: an open that fails leaves nothing running. Later failures: see sqlite_writer.c. */
#include "store/sqlite_index.h"
#include "store/sqlite_internal.h"

#include "base/crypto.h"

#include <sys/statvfs.h>
#include <unistd.h>

#define DISK_LOOK_EVERY_US 1000000

/* ── Totals and health ─────────────────────────────────────────────────────────────────────── */

void sqlite_stop(struct gw_sqlite *sqlite, const struct sqlite_conn *conn, int rc)
{
    bool is_corrupt = sqlite_conn_err(conn, rc) == GW_ERR_CORRUPT;
    const char *none = NULL;
    const char *why = is_corrupt ? "a file of the store is damaged"
                                 : "writing to the store failed; restart when its disk is well";

    if (atomic_compare_exchange_strong(&sqlite->stopped, &none, why))
        gw_log(GW_LOG_ERROR, "store_stopped", GW_S("why", why), GW_S("file", conn->path),
               GW_S("error", sqlite3_errstr(rc)), GW_I("code", rc),
               GW_I("errno", sqlite3_system_errno(conn->db)));
}

void sqlite_file_failed(struct gw_sqlite *sqlite, struct sqlite_file *file,
                        const struct sqlite_conn *conn, int rc)
{
    if (file->segment && sqlite_conn_err(conn, rc) == GW_ERR_CORRUPT)
        sqlite_segment_set_aside(sqlite, file->segment, sqlite3_errstr(rc));
    else
        sqlite_stop(sqlite, conn, rc);
}

bool sqlite_disk_low(struct gw_sqlite *sqlite)
{
    int_fast64_t looked_us = atomic_load(&sqlite->disk_checked_us);
    int64_t now_us = gw_env_mono_us(sqlite->env);
    struct statvfs fs;

    if (now_us - looked_us >= DISK_LOOK_EVERY_US &&
        atomic_compare_exchange_strong(&sqlite->disk_checked_us, &looked_us, now_us) &&
        statvfs(sqlite->options.dir, &fs) == 0) {
        atomic_store(&sqlite->disk_free_bytes, (int64_t)((uint64_t)fs.f_bavail * fs.f_frsize));
    }
    return atomic_load(&sqlite->disk_free_bytes) < sqlite->options.disk_reserve_bytes;
}

static struct gw_ledger_state get_state(struct gw_ledger *ledger)
{
    struct gw_sqlite *sqlite = gw_container_of(ledger, struct gw_sqlite, ledger);
    const char *why = atomic_load(&sqlite->stopped);

    if (sqlite_disk_low(sqlite) && why == NULL)
        why = "the disk is below its reserve";
    int64_t disk_free_bytes = atomic_load(&sqlite->disk_free_bytes);
    struct gw_ledger_state state = {
        .accepting = why == NULL,
        .why = why ? why : "",
        .open = atomic_load(&sqlite->open),
        .configs = atomic_load(&sqlite->config_count),
        .operations = atomic_load(&sqlite->operations),
        .queued = atomic_load(&sqlite->queued),
        .damaged = atomic_load(&sqlite->damaged),
        .disk_free_bytes = disk_free_bytes == INT64_MAX ? 0 : disk_free_bytes,
        .disk_reserve_bytes = sqlite->options.disk_reserve_bytes,
    };
    gw_histogram_read(&sqlite->commits, &state.commits);
    return state;
}

/* ── The ports ─────────────────────────────────────────────────────────────────────────────── */

static void read_submit(struct sqlite_reader *r, struct gw_op *op)
{
    gw_worker_post(r->worker, &op->msg);
}

void sqlite_look_submit(struct gw_sqlite *sqlite, struct gw_op *op)
{
    unsigned turn = atomic_fetch_add(&sqlite->next_looker, 1);

    read_submit(&sqlite->readers[SQLITE_LOADERS + turn % SQLITE_LOOKERS], op);
}

/* Where a key leads the writer knows best: it is asked first. */
static void key_submit(struct gw_sqlite *sqlite, struct gw_op *op)
{
    op->found = NULL;
    if (sqlite_recent_wanted(op))
        gw_worker_post(sqlite->writer.worker, &op->msg);
    else
        sqlite_look_submit(sqlite, op);
}

static void load_submit(struct gw_sqlite *sqlite, struct gw_op *op)
{
    unsigned turn = atomic_fetch_add(&sqlite->next_loader, 1);

    read_submit(&sqlite->readers[turn % SQLITE_LOADERS], op);
}

static void accept_submit(struct gw_sqlite *sqlite, struct gw_op *op)
{
    if (atomic_fetch_add(&sqlite->accepts, 1) < sqlite->options.queue_max) {
        sqlite_writer_submit(sqlite, op);
    } else {
        atomic_fetch_sub(&sqlite->accepts, 1);
        sqlite_complete(op, GW_ERR_BUSY);
    }
}

/* Nothing is begun whose outcome could not be stored. */
static enum gw_err claim_err(struct gw_sqlite *sqlite, const struct gw_id *id)
{
    struct sqlite_segment *segment;
    struct sqlite_ref ref;

    if (atomic_load(&sqlite->segments.special) == 0 || !sqlite_id_delivery(&sqlite->keys, id, &ref))
        return GW_OK;
    segment = sqlite_segment_of(sqlite, ref.segment);
    if (segment == NULL || atomic_load(&segment->state) == SQLITE_SEGMENT_ENDING)
        return GW_ERR_NOT_FOUND;
    return sqlite_segment_err(segment);
}

/* One process, one owner for each delivery: the next attempt's number will do, and no lease. */
static void claim(struct gw_sqlite *sqlite, struct gw_op *base)
{
    struct gw_claim *op = gw_container_of(base, struct gw_claim, op);

    op->write_id = (uint64_t)op->delivery.attempts + 1;
    enum gw_err err = claim_err(sqlite, &op->delivery.id);
    sqlite_complete(base, sqlite_op_late(base) ? GW_ERR_TIMEOUT : err);
}

static void start(struct gw_sqlite *sqlite, struct gw_op *op)
{
    switch ((enum gw_call)op->kind) {
    case GW_CALL_ACCEPT: accept_submit(sqlite, op); return;
    case GW_CALL_CLAIM: claim(sqlite, op); return;
    case GW_CALL_ADD:
    case GW_CALL_SETTLE:
    case GW_CALL_RETRY:
    case GW_CALL_ERASE:
    case GW_CALL_OPEN_LANES:
    case GW_CALL_REFILL:
    case GW_CALL_HEALTH_SAVE:
    case GW_CALL_CONFIG_PUT:
    case GW_CALL_CONFIG_REMOVE:
    case GW_CALL_KEY_PUT:
    case GW_CALL_KEY_REMOVE:
    case GW_CALL_AUDIT_ADD: sqlite_writer_submit(sqlite, op); return;
    case GW_CALL_LOAD:
    case GW_CALL_CONFIG_LOAD:
    case GW_CALL_KEY_FIND: load_submit(sqlite, op); return;
    case GW_CALL_FIND:
    case GW_CALL_LIST: key_submit(sqlite, op); return;
    case GW_CALL_TALLY:
    case GW_CALL_STATS:
    case GW_CALL_HEALTH_LOAD:
    case GW_CALL_CONFIG_LIST:
    case GW_CALL_KEY_LIST:
    case GW_CALL_AUDIT_LIST: sqlite_look_submit(sqlite, op); return;
    case GW_CALL_SLOT: break; /* one process, no pace to share */
    }
    gw_never("an unknown call");
}

static void start_ledger(struct gw_ledger *ledger, struct gw_op *op)
{
    start(gw_container_of(ledger, struct gw_sqlite, ledger), op);
}

static void start_configs(struct gw_configs *configs, struct gw_op *op)
{
    start(gw_container_of(configs, struct gw_sqlite, configs), op);
}

static void start_admin(struct gw_admin *admin, struct gw_op *op)
{
    start(gw_container_of(admin, struct gw_sqlite, admin), op);
}

/* ── Open and close ────────────────────────────────────────────────────────────────────────── */

/* SQLite's own counting of memory takes a lock at every allocation, and nobody looks at it. Later
 * calls are refused, which is as good. */
static void library_init(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static enum gw_err threads_start(struct gw_sqlite *sqlite, struct gw_error *error)
{
    sqlite->checkpointer = gw_worker_start(sqlite->env, "gwh-log", sqlite_wal_worker, sqlite);
    sqlite_merger_start(sqlite->merger);
    for (size_t i = 0; i < SQLITE_READERS; i++) {
        const char *name = i < SQLITE_LOADERS ? "gwh-load" : "gwh-look";
        enum gw_err err = sqlite_reader_start(&sqlite->readers[i], sqlite, name, error);
        if (err != GW_OK)
            return err;
    }
    sqlite_writer_start(sqlite);
    sqlite_retain_start(sqlite);
    return GW_OK;
}

enum gw_err gw_sqlite_open(const struct gw_sqlite_options *options, struct gw_env *env,
                           struct gw_sqlite **sqlite, struct gw_error *error)
{
    struct gw_sqlite *s = gw_zalloc(sizeof(*s));

    library_init();
    s->ledger = (struct gw_ledger){.start = start_ledger, .state = get_state};
    s->configs.start = start_configs;
    s->admin.start = start_admin;
    s->env = env;
    s->options = *options;
    s->options.dir = NULL;
    sqlite_master_init(&s->master, options->master_key);
    gw_wipe(s->options.master_key, sizeof(s->options.master_key));
    s->lock_fd = -1;
    atomic_init(&s->disk_checked_us, INT64_MIN / 2);
    atomic_init(&s->disk_free_bytes, INT64_MAX);
    gw_check(options->group_max > 0 && options->queue_max > 0);
    s->merger = sqlite_merger_create(env, &s->keys, options->key_generation, options->keys_max);

    enum gw_err err = sqlite_dir_open(s, options->dir, error);
    if (err == GW_OK)
        err = threads_start(s, error);
    if (err != GW_OK) {
        gw_sqlite_close(s);
        return err;
    }
    *sqlite = s;
    return GW_OK;
}

struct gw_ledger *gw_sqlite_ledger(struct gw_sqlite *sqlite)
{
    return &sqlite->ledger;
}

struct gw_configs *gw_sqlite_configs(struct gw_sqlite *sqlite)
{
    return &sqlite->configs;
}

struct gw_admin *gw_sqlite_admin(struct gw_sqlite *sqlite)
{
    return &sqlite->admin;
}

static void segments_close(struct gw_sqlite *sqlite, bool was_open)
{
    struct sqlite_segments *set = &sqlite->segments;

    for (size_t i = 0; set->at && set->base + i <= atomic_load(&set->top); i++) {
        struct sqlite_segment *segment = atomic_load(&set->at[i]);
        if (segment && was_open)
            sqlite_segment_close(sqlite, segment, true);
        sqlite_segment_destroy(segment);
    }
    sqlite_segment_destroy(sqlite->next.segment); /* made, and not taken: later */
    gw_free(set->at);
}

void gw_sqlite_close(struct gw_sqlite *sqlite)
{
    if (sqlite == NULL)
        return;
    bool was_open = sqlite->writer.worker != NULL;
    sqlite_retain_stop(sqlite);
    sqlite_writer_stop(sqlite);
    for (size_t i = 0; i < SQLITE_READERS; i++)
        sqlite_reader_stop(&sqlite->readers[i]);
    if (sqlite->checkpointer)
        gw_worker_stop(sqlite->checkpointer);
    sqlite_merger_destroy(sqlite->merger);
    /* What was opened only in part is left as it was found. */
    segments_close(sqlite, was_open);
    if (was_open)
        sqlite_wal_finish(sqlite, &sqlite->main, true);
    sqlite_wal_deinit(&sqlite->main);
    sqlite_conn_close(&sqlite->main.conn);
    if (sqlite->lock_fd >= 0)
        close(sqlite->lock_fd);
    gw_wipe(&sqlite->keys, sizeof(sqlite->keys));
    gw_wipe(&sqlite->master, sizeof(sqlite->master));
    gw_free((char *)sqlite->options.dir);
    gw_free(sqlite);
}
