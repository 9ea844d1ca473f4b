/* sqlite_conn.h: one connection to one file, and the sums of pages that every connection looks at.
 *
 *   sqlite_conn.c    opening, schema version, statements, errors
 *   sqlite_sum.c     a checksum in every page
 *
 * A connection belongs to one thread at a time (SQLite is told so). */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

/* A kind of file: its schema and the statements that are prepared on every connection to it. */
struct sqlite_kind {
    const char *what; /* for error texts */
    int application_id;
    int version; /* of the schema: PRAGMA user_version */
    const char *schema;
    const char *const *steps; /* version - 1 of them: from version 1 to 2, and so on */
    const char *const *sql;
    size_t sql_count;
};

enum sqlite_role {
    SQLITE_ROLE_MAKER, /* a writer that makes the schema in an empty file */
    SQLITE_ROLE_WRITER,
    SQLITE_ROLE_READER,
    SQLITE_ROLE_CHECKPOINTER,
};

#define SQLITE_WRITER_WAIT_MS 100 /* only strangers can be in its way */

struct sqlite_conn {
    sqlite3 *db;
    const struct sqlite_kind *kind;
    char *path;
    sqlite3_stmt **st; /* readers: those that read; checkpointers: none */
    int rc;            /* the first failure since this was last cleared */
    bool is_newer;     /* why it could not be opened: its schema is of a newer version */
};

/* `path` is absolute and the file is there. An empty one is damage, but to a maker. */
enum gw_err sqlite_conn_open(struct sqlite_conn *conn, const char *path,
                             const struct sqlite_kind *kind, enum sqlite_role role,
                             size_t cache_bytes, struct gw_error *error);
void sqlite_conn_close(struct sqlite_conn *conn); /* also of one that never opened */

/* The code for a failure of this connection, and the same with its text. */
enum gw_err sqlite_conn_err(const struct sqlite_conn *conn, int rc);
enum gw_err sqlite_conn_error(const struct sqlite_conn *conn, int rc, const char *doing,
                              struct gw_error *error);

/* Steps to the next row. False at the end and on a failure, which is kept in conn->rc; the
 * statement is then reset. A statement left in the middle must be reset by the caller. */
bool sqlite_row(struct sqlite_conn *conn, sqlite3_stmt *st);
void sqlite_run(struct sqlite_conn *conn, sqlite3_stmt *st); /* one that returns no rows */

void sqlite_bind_text(sqlite3_stmt *st, int at, struct gw_slice s); /* absent: NULL; not copied */
void sqlite_bind_blob(sqlite3_stmt *st, int at, struct gw_slice s);
struct gw_slice sqlite_text(sqlite3_stmt *st, int column); /* until the next step; NULL: absent */
struct gw_slice sqlite_blob(sqlite3_stmt *st, int column);

/* ── Sums of pages ─────────────────────────────────────────────────────────────────────────── */

/* The file system of all connections: it sums pages, and knows them again. */
#define SQLITE_SUM_VFS "gwh-sum"
void sqlite_sum_init(void);          /* before a connection is opened */
int sqlite_sum_reserve(sqlite3 *db); /* room in the pages of a new file; nothing in an old one */
bool sqlite_sum_check(sqlite3 *db);  /* its pages have sums */
