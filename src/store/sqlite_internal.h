/* sqlite_internal.h: the embedded store as a whole, for those who belong to it. Not for others.
 *
 *   sqlite.c          open, close, the ports, totals, the disk's reserve
 *   sqlite_dir.c      the directory, its lock and its files
 *   sqlite_backup.c   a copy of all, from another process
 *   sqlite_conn.h     connections, and sums of pages
 *   sqlite_schema.h   the tables and every statement, of both kinds of file
 *   sqlite_key.h      ids, hashes of keys, page cursors
 *   sqlite_keyring.h  what is sealed, and with which key
 *   sqlite_segment.h  the files, and the set of segments among them
 *   sqlite_writer.h   the writer thread
 *   sqlite_reader.h   the reader threads
 *   sqlite_index.h    where keys of events lead, and what keeps it
 *
 * Who may touch what: a connection belongs to one thread at a time (SQLite is told so). The writer
 * owns gw_sqlite.writer, .main and what is not atomic in each segment; each reader its own struct.
 * What several threads read is set before they start, or atomic. */
#pragma once

#include "base/check.h"
#include "base/log.h"
#include "store/sqlite.h"
#include "store/sqlite_reader.h"
#include "store/sqlite_writer.h"

/* The store's own operations. */
enum sqlite_op_kind {
    OP_RETAIN = GW_CALL_COUNT, /* see sqlite_retain.c */
    OP_SWEEP,                  /* see sqlite_reader_sweep() */
};

struct gw_sqlite {
    struct gw_ledger ledger;
    struct gw_configs configs;
    struct gw_admin admin;
    struct gw_env *env;
    struct gw_sqlite_options options; /* dir: our copy, absolute */
    int lock_fd;
    struct sqlite_keys keys;
    struct sqlite_master master;
    atomic_uint key_epoch; /* grows when an app was erased */

    struct sqlite_writer writer;
    struct sqlite_file main;
    struct sqlite_segments segments;
    struct sqlite_segment *head; /* the writer's: takes what is accepted; NULL: none does */
    struct sqlite_next next;
    struct sqlite_merger *merger;
    struct sqlite_retain retain;
    uint64_t next_seq; /* the writer's; may run ahead of what is stored */
    struct gw_worker *checkpointer;
    struct sqlite_reader readers[SQLITE_READERS];
    atomic_uint next_loader, next_looker;

    atomic_size_t accepts; /* from the port to their completion */
    atomic_uint_fast64_t open, config_count, operations, queued;
    struct gw_histogram commits;
    atomic_uint_fast64_t damaged;        /* segments set aside */
    _Atomic(const char *) stopped;       /* why no group is committed any more; NULL: they are */
    atomic_int_fast64_t disk_free_bytes; /* INT64_MAX: nobody has looked yet */
    atomic_int_fast64_t disk_checked_us;
};

/* Makes or opens everything in the directory: options.dir, lock_fd, keys, main, segments. */
enum gw_err sqlite_dir_open(struct gw_sqlite *sqlite, const char *dir, struct gw_error *error);
/* Makes the file of a new segment, complete, and opens it for writing. Any thread. */
enum gw_err sqlite_dir_make(struct gw_sqlite *sqlite, struct sqlite_segment *segment,
                            struct gw_error *error);
char *sqlite_dir_path(const struct gw_sqlite *sqlite, const char *name); /* the caller's to free */

/* The files stay as they are until a restart: nobody knows what a failed write left behind. */
void sqlite_stop(struct gw_sqlite *sqlite, const struct sqlite_conn *conn, int rc);
/* The writer's, on a fatal failure of the file: a damaged segment is set aside, else all stops. */
void sqlite_file_failed(struct gw_sqlite *sqlite, struct sqlite_file *file,
                        const struct sqlite_conn *conn, int rc);
bool sqlite_disk_low(struct gw_sqlite *sqlite); /* looks at most once a second */
void sqlite_look_submit(struct gw_sqlite *sqlite, struct gw_op *op);
