/* sqlite_reader.c: the reader threads, each with connections of its own that can only read.
 *
 * They are threads of the store and not of a loop's pool because any thread may start an operation,
 * and so that close can wait for what is under way. Each operation is one read transaction: it sees
 * one committed state, at least as new as whatever completed before it was started, and holds the
 * write-ahead log up for no longer than it takes itself. Completions are posted one by one.
 *
 * Failure: the operation gets it; reading goes on, also when the writer has stopped. */
#include "store/sqlite_internal.h"

#define CACHE_BYTES ((size_t)4 * 1024 * 1024)

static const struct {
    sqlite_read_fn *run;
    bool is_main; /* else the segment's */
} does[] = {
    [OP_LOAD] = {sqlite_load, false},
    [OP_FIND] = {sqlite_find, false},
    [OP_LIST] = {sqlite_list, false},
    [OP_HEALTH_LOAD] = {sqlite_health_load, true},
    [OP_CONFIG_LOAD] = {sqlite_config_load, true},
    [OP_CONFIG_LIST] = {sqlite_config_list, true},
};

_Static_assert((int)SEG_READ == (int)MAIN_READ, "both kinds of file begin alike");

static enum gw_err read_once(struct sqlite_reader *r, struct gw_op *op)
{
    struct sqlite_conn *conn = does[op->kind].is_main ? &r->main : &r->segment;
    enum gw_err err = GW_OK;

    if (sqlite_op_late(op))
        return GW_ERR_TIMEOUT;
    conn->rc = SQLITE_OK;
    sqlite_run(conn, conn->st[SEG_READ]);
    if (conn->rc == SQLITE_OK) {
        err = does[op->kind].run(r, op);
        sqlite_run(conn, conn->st[SEG_COMMIT]);
    }
    if (conn->rc == SQLITE_OK)
        return err;
    err = sqlite_conn_err(conn, conn->rc);
    if (gw_err_class(err) == GW_CLASS_FATAL)
        gw_log(GW_LOG_ERROR, "store_read_failed", GW_S("file", conn->path),
               GW_S("error", sqlite3_errstr(conn->rc)));
    return err;
}

static void on_batch(void *ctx, struct gw_list *batch)
{
    struct sqlite_reader *r = ctx;
    struct gw_list *link;

    while ((link = gw_list_pop(batch)) != NULL) {
        struct gw_op *op = gw_container_of(link, struct gw_op, msg.link);
        sqlite_complete(op, read_once(r, op));
    }
}

enum gw_err sqlite_reader_start(struct sqlite_reader *r, struct gw_sqlite *sqlite, const char *name,
                                struct gw_error *error)
{
    r->sqlite = sqlite;
    enum gw_err err = sqlite_conn_open(&r->main, sqlite->main.conn.path, &sqlite_main_kind,
                                       SQLITE_ROLE_READER, CACHE_BYTES, error);
    if (err == GW_OK)
        err = sqlite_conn_open(&r->segment, sqlite->segment.file.conn.path, &sqlite_segment_kind,
                               SQLITE_ROLE_READER, CACHE_BYTES, error);
    if (err == GW_OK)
        r->worker = gw_worker_start(sqlite->env, name, on_batch, r);
    return err;
}

void sqlite_reader_stop(struct sqlite_reader *r)
{
    if (r->worker)
        gw_worker_stop(r->worker);
    sqlite_conn_close(&r->main);
    sqlite_conn_close(&r->segment);
}
