/* sqlite_reader.c: the reader threads, each with connections of its own that can only read.
 *
 * They are threads of the store and not of a loop's pool because any thread may start an operation,
 * and so that close can wait for what is under way. An operation reads each file in one transaction:
 * it sees one committed state of it, at least as new as whatever completed before it was started, and
 * holds the write-ahead log up for no longer than it takes itself. Completions are posted one by one.
 *
 * Failure: the operation gets it; reading goes on, also when the writer has stopped. */
#include "store/sqlite_internal.h"

#define MAIN_CACHE_BYTES    ((size_t)1024 * 1024)
#define SEGMENT_CACHE_BYTES ((size_t)1024 * 1024)
#define KEYS_KEPT           256

static const struct {
    sqlite_read_fn *run;
    bool is_main; /* else it enters the segments it needs */
} does[] = {
    [GW_CALL_LOAD] = {sqlite_load, false},
    [GW_CALL_FIND] = {sqlite_find, false},
    [GW_CALL_LIST] = {sqlite_list, false},
    [GW_CALL_TALLY] = {sqlite_tally, false},
    [GW_CALL_STATS] = {sqlite_stats, false},
    [GW_CALL_HEALTH_LOAD] = {sqlite_health_load, true},
    [GW_CALL_CONFIG_LOAD] = {sqlite_config_load, true},
    [GW_CALL_CONFIG_LIST] = {sqlite_config_list, true},
    [GW_CALL_KEY_FIND] = {sqlite_key_find, true},
    [GW_CALL_KEY_LIST] = {sqlite_key_list, true},
    [GW_CALL_AUDIT_LIST] = {sqlite_audit_list, true},
};

_Static_assert((int)SEG_READ == (int)MAIN_READ, "both kinds of file begin alike");

static enum gw_err begin(struct sqlite_conn *conn)
{
    conn->rc = SQLITE_OK;
    sqlite_run(conn, conn->st[SEG_READ]);
    return sqlite_conn_err(conn, conn->rc);
}

static enum gw_err end(struct sqlite_conn *conn, enum gw_err err)
{
    sqlite_run(conn, conn->st[SEG_COMMIT]);
    if (conn->rc == SQLITE_OK)
        return err;
    err = sqlite_conn_err(conn, conn->rc);
    if (gw_err_class(err) == GW_CLASS_FATAL)
        gw_log(GW_LOG_ERROR, "store_read_failed", GW_S("file", conn->path),
               GW_S("error", sqlite3_errstr(conn->rc)));
    return err;
}

/* ── Segments ──────────────────────────────────────────────────────────────────────────────── */

/* The one of the least recent use is closed for another. */
static struct sqlite_conn *find_kept(struct sqlite_reader *r, struct sqlite_segment *segment)
{
    size_t oldest = 0;

    for (size_t i = 0; i < gw_count(r->kept); i++) {
        if (r->kept[i].segment == segment) {
            r->kept[i].used = ++r->uses;
            return &r->kept[i].conn;
        }
        if (r->kept[i].used < r->kept[oldest].used)
            oldest = i;
    }
    sqlite_conn_close(&r->kept[oldest].conn);
    r->kept[oldest].segment = segment;
    r->kept[oldest].used = ++r->uses;
    return &r->kept[oldest].conn;
}

enum gw_err sqlite_reader_enter(struct sqlite_reader *r, struct sqlite_segment *segment)
{
    struct sqlite_conn *conn = find_kept(r, segment);
    enum gw_err err = sqlite_segment_err(segment);
    struct gw_error error;

    if (err == GW_OK && conn->db == NULL) {
        err = sqlite_conn_open(conn, segment->path, &sqlite_segment_kind, SQLITE_ROLE_READER,
                               SEGMENT_CACHE_BYTES, &error);
        if (err != GW_OK) {
            sqlite_conn_close(conn);
            if (sqlite_segment_err(segment) == GW_OK)
                gw_log(GW_LOG_ERROR, "store_read_failed", GW_S("error", error.text));
        }
    }
    if (err == GW_OK)
        err = begin(conn);
    if (err != GW_OK)
        return err;
    r->segment = conn;
    r->entered = segment;
    return GW_OK;
}

enum gw_err sqlite_reader_leave(struct sqlite_reader *r, enum gw_err err)
{
    struct sqlite_conn *conn = r->segment;
    struct sqlite_segment *segment = r->entered;

    r->segment = NULL;
    err = end(conn, err);
    /* What was read while its files went may be anything. */
    return atomic_load(&segment->state) == SQLITE_SEGMENT_REMOVED ? GW_ERR_NOT_FOUND : err;
}

/* ── Operations ────────────────────────────────────────────────────────────────────────────── */

static enum gw_err read_once(struct sqlite_reader *r, struct gw_op *op)
{
    if (sqlite_op_late(op))
        return GW_ERR_TIMEOUT;
    r->main.rc = SQLITE_OK;
    sqlite_keyring_refresh(&r->keyring);
    if (!does[op->kind].is_main)
        return does[op->kind].run(r, op);
    enum gw_err err = begin(&r->main);
    return err == GW_OK ? end(&r->main, does[op->kind].run(r, op)) : err;
}

static void sweep(struct sqlite_reader *r, struct gw_op *op)
{
    sqlite_keyring_refresh(&r->keyring);
    for (size_t i = 0; i < gw_count(r->kept); i++) {
        struct sqlite_segment *segment = r->kept[i].segment;
        if (segment == NULL || atomic_load(&segment->state) != SQLITE_SEGMENT_REMOVED)
            continue;
        sqlite_conn_close(&r->kept[i].conn);
        r->kept[i].segment = NULL;
        r->kept[i].used = 0;
    }
    gw_free(op);
}

void sqlite_reader_sweep(struct sqlite_reader *r)
{
    struct gw_op *op = gw_zalloc(sizeof(*op));

    op->kind = OP_SWEEP;
    gw_worker_post(r->worker, &op->msg);
}

static void on_batch(void *ctx, struct gw_list *batch)
{
    struct sqlite_reader *r = ctx;
    struct gw_list *link;

    while ((link = gw_list_pop(batch)) != NULL) {
        struct gw_op *op = gw_container_of(link, struct gw_op, msg.link);
        if (op->kind == OP_SWEEP)
            sweep(r, op);
        else
            sqlite_complete(op, read_once(r, op));
    }
}

enum gw_err sqlite_reader_start(struct sqlite_reader *r, struct gw_sqlite *sqlite, const char *name,
                                struct gw_error *error)
{
    r->sqlite = sqlite;
    enum gw_err err = sqlite_conn_open(&r->main, sqlite->main.conn.path, &sqlite_main_kind,
                                       SQLITE_ROLE_READER, MAIN_CACHE_BYTES, error);
    sqlite_keyring_init(&r->keyring, sqlite, &r->main, KEYS_KEPT);
    if (err == GW_OK)
        r->worker = gw_worker_start(sqlite->env, name, on_batch, r);
    return err;
}

void sqlite_reader_stop(struct sqlite_reader *r)
{
    if (r->worker)
        gw_worker_stop(r->worker);
    sqlite_keyring_deinit(&r->keyring);
    sqlite_conn_close(&r->main);
    for (size_t i = 0; i < gw_count(r->kept); i++)
        sqlite_conn_close(&r->kept[i].conn);
}
