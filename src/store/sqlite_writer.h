/* sqlite_writer.h: the writer thread: groups, and what they do.
 *
 *   sqlite_writer.c   groups, commits, completions
 *   sqlite_outbox.c   completions and offers on their way
 *   sqlite_accept.c   events, and deliveries that are added to them
 *   sqlite_settle.c   what becomes of a delivery: attempts, its end, a manual retry
 *   sqlite_delivery.c rows of deliveries, written and read
 *   sqlite_erase.c    payloads taken away for good
 *   sqlite_wait.c     what is open, read by the writer between writes
 *   sqlite_configs.c  configs and health */
#pragma once

#include "store/sqlite_keyring.h"
#include "store/sqlite_segment.h"
#include "store/store.h"

/* ── Completions ───────────────────────────────────────────────────────────────────────────── */

/* What is to be posted, gathered for each env, so that each is woken once. */
struct sqlite_outbox {
    struct sqlite_box **boxes; /* kept from one use to the next */
    size_t count, cap;
};

void sqlite_outbox_add(struct sqlite_outbox *outbox, struct gw_env *env, struct gw_msg *msg);
void sqlite_outbox_done(struct sqlite_outbox *outbox, struct gw_op *op, enum gw_err err);
/* The deliveries of an operation on their way to their owner: NULL is none. Finishing posts it unless
 * it is empty or the operation failed; true: it was posted, and is the owner's. */
void sqlite_offer_add(struct gw_offer *offer, const struct gw_delivery *d);
bool sqlite_offer_finish(struct sqlite_outbox *outbox, struct gw_offer *offer, enum gw_err err);
void sqlite_outbox_send(struct sqlite_outbox *outbox);
void sqlite_outbox_deinit(struct sqlite_outbox *outbox);

bool sqlite_op_late(const struct gw_op *op);
void sqlite_complete(struct gw_op *op, enum gw_err err); /* at once, through a post */

/* ── The writer ────────────────────────────────────────────────────────────────────────────── */

struct sqlite_member {
    struct gw_op *op;
    struct sqlite_file *file; /* whose outcome is the operation's; NULL: no file's */
    bool is_of_all;           /* of every file in the group */
};

/* What a row of `open` or `done` has from its event, the tally also from its last attempt. */
struct sqlite_tags {
    int64_t tally;
    uint32_t key; /* the number of the app's */
};

struct sqlite_writer {
    struct gw_sqlite *sqlite;
    struct gw_worker *worker;
    struct sqlite_member *group; /* group_max of them */
    size_t count, bytes;         /* in the group */
    struct gw_buf touched;       /* struct sqlite_segment *: those in the group */
    struct gw_buf sources;       /* of the refill that is being done */
    uint64_t uses;
    bool wants_next; /* another segment is to begin */
    bool has_opened; /* a file, since they were last counted */
    int64_t next_us; /* when the last one began, or its making failed */

    /* Of the operation that is being done: see struct sqlite_member. */
    struct sqlite_file *file;
    bool is_of_all;

    struct sqlite_tags tags; /* of the row that was read last */
    int64_t tallies_us;      /* when it was last looked for latencies that wait */
    struct sqlite_keyring keyring;
    enum gw_err key_err; /* why an app may have no key */
    struct gw_buf log;   /* of the row that was read last, as it stands there */
    struct gw_buf plain, trimmed, sealed;
    struct gw_buf lanes_given; /* uint64_t * into configs: taken back when the group fails */
    struct sqlite_outbox outbox;
};

/* Does it inside its file's transaction; a failure of SQLite is left in the file's conn.rc. */
typedef enum gw_err sqlite_write_fn(struct sqlite_writer *w, struct gw_op *op);
sqlite_write_fn sqlite_accept, sqlite_add;                                   /* _accept.c */
sqlite_write_fn sqlite_settle, sqlite_retry;                                 /* _settle.c */
sqlite_write_fn sqlite_open_lanes, sqlite_refill;                            /* _wait.c */
sqlite_write_fn sqlite_erase;                                                /* _erase.c */
sqlite_write_fn sqlite_health_save, sqlite_config_put, sqlite_config_remove; /* _configs.c */
sqlite_write_fn sqlite_key_put, sqlite_key_remove, sqlite_audit_add;         /* _admin.c */

/* After the commit, or after its failure: op->err says which. What the operation leads to besides
 * its completion is posted here. */
typedef void sqlite_finish_fn(struct sqlite_writer *w, struct gw_op *op);
sqlite_finish_fn sqlite_accept_finish, sqlite_add_finish, sqlite_retry_finish;
sqlite_finish_fn sqlite_open_lanes_finish, sqlite_refill_finish;
sqlite_finish_fn sqlite_erase_finish;
sqlite_finish_fn sqlite_config_put_finish, sqlite_config_remove_finish;

/* A line of the audit log, into the transaction of what it tells; gw_audit_check() has let it pass
 * before anything was written. A failure is in the main file's conn.rc. */
void sqlite_audit_write(struct sqlite_writer *w, const struct gw_audit *audit);

/* Ends an open delivery without an attempt. */
void sqlite_end(struct sqlite_writer *w, struct sqlite_segment *segment,
                const struct gw_delivery *open, enum gw_end_reason reason, int64_t now_ms);

void sqlite_writer_start(struct gw_sqlite *sqlite);
void sqlite_writer_stop(struct gw_sqlite *sqlite); /* commits what is queued */
void sqlite_writer_submit(struct gw_sqlite *sqlite, struct gw_op *op);
/* Begins the file's part of the group, unless it has begun. False: conn.rc. */
bool sqlite_writer_begin(struct sqlite_file *file);

/* ── Rows of deliveries ────────────────────────────────────────────────────────────────────── */

/* Deliveries of one event in the order of their numbers, as they stand. */
struct sqlite_delivery {
    struct gw_delivery delivery;
    struct gw_slice log; /* in the arena; absent without one */
};

/* Those from `first` on, in that state (-1: in any), into `out`, at most `max`; returns how many.
 * Logs are opened with `ring` into `arena`; NULL: they are left out. */
struct sqlite_logs {
    struct sqlite_keyring *ring;
    struct gw_arena *arena;
};
size_t sqlite_deliveries(struct sqlite_conn *conn, const struct sqlite_keys *keys,
                         struct sqlite_ref first, int state, const struct sqlite_logs *logs,
                         struct sqlite_delivery *out, size_t max);

/* The writer's. Reading leaves the log, as it stands there, and the tags in the writer; false: there is
 * no such row, or conn->rc. */
bool sqlite_open_get(struct sqlite_writer *w, struct sqlite_segment *segment, int64_t row_id,
                     struct gw_delivery *d);
bool sqlite_done_get(struct sqlite_writer *w, struct sqlite_segment *segment, int64_t row_id,
                     struct gw_delivery *d);
void sqlite_open_add(struct sqlite_conn *conn, const struct gw_delivery *d, struct sqlite_tags tags,
                     struct gw_slice log);
void sqlite_open_set(struct sqlite_conn *conn, const struct gw_delivery *d, struct sqlite_tags tags,
                     struct gw_slice log);
void sqlite_open_delete(struct sqlite_conn *conn, uint64_t row_id);
void sqlite_done_add(struct sqlite_conn *conn, const struct gw_delivery *d, struct sqlite_tags tags,
                     struct gw_slice log);
void sqlite_done_delete(struct sqlite_conn *conn, uint64_t row_id);

/* Columns id, lane, due, attempts, step, resume, created of a row of `open`. */
struct gw_delivery sqlite_open_delivery(sqlite3_stmt *st, const struct sqlite_keys *keys,
                                        uint32_t segment);
/* Columns id, lane, state, reason, attempts, step, created, ended of a row of `done`. */
struct gw_delivery sqlite_done_delivery(sqlite3_stmt *st, const struct sqlite_keys *keys,
                                        uint32_t segment);
