/* sqlite_internal.h: what sqlite*.c share. Not for others.
 *
 *   sqlite.c         open, close, the two ports, totals, the disk's reserve
 *   sqlite_dir.c     the directory, its lock and its files
 *   sqlite_conn.c    one connection: opening, schema version, statements, errors
 *   sqlite_sum.c     a checksum in every page
 *   sqlite_backup.c  a copy of all, from another process
 *   sqlite_segment.c the set of segments: which there are, which are open, the next one
 *   sqlite_retain.c  the end of segments past their retention
 *   sqlite_schema.c  the tables and every statement, of both kinds of file
 *   sqlite_key.c     ids, hashes of keys, page cursors
 *   sqlite_keyring.c what is sealed, and with which key
 *   sqlite_name.c    appIds and eventTypes as numbers
 *   sqlite_outbox.c  completions on their way
 *   sqlite_writer.c  the writer thread: groups, commits, completions
 *   sqlite_ledger.c  what a group does to events and deliveries
 *   sqlite_erase.c   payloads taken away for good
 *   sqlite_wait.c    what is open, read by the writer between writes
 *   sqlite_configs.c configs and health
 *   sqlite_reader.c  the reader threads
 *   sqlite_look.c    load and find
 *   sqlite_list.c    pages of deliveries
 *   sqlite_tally.c   counters, as the writer keeps them
 *   sqlite_count.c   counters and rows, as they are looked at
 *   sqlite_wal.c     checkpoints
 *   sqlite_index.h   where keys of events lead, and what keeps it
 *
 * Who may touch what: a connection belongs to one thread at a time (SQLite is told so). The writer
 * owns gw_sqlite.writer, .main and what is not atomic in each segment; each reader its own struct.
 * What several threads read is set before they start, or atomic. */
#pragma once

#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "store/sqlite.h"

#include <sqlite3.h>

/* ── Connections ───────────────────────────────────────────────────────────────────────────── */

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

extern const struct sqlite_kind sqlite_main_kind;
extern const struct sqlite_kind sqlite_segment_kind;

enum sqlite_role {
    SQLITE_ROLE_MAKER, /* a writer that makes the schema in an empty file */
    SQLITE_ROLE_WRITER,
    SQLITE_ROLE_READER,
    SQLITE_ROLE_CHECKPOINTER,
};

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

/* The file system of all connections: it sums pages, and knows them again. */
#define SQLITE_SUM_VFS "gwh-sum"
void sqlite_sum_init(void);          /* before a connection is opened */
int sqlite_sum_reserve(sqlite3 *db); /* room in the pages of a new file; nothing in an old one */
bool sqlite_sum_check(sqlite3 *db);  /* its pages have sums */

/* ── Files ─────────────────────────────────────────────────────────────────────────────────── */

enum sqlite_checkpoint {
    SQLITE_WAL_QUIET,     /* the writer's turn */
    SQLITE_WAL_RUNNING,   /* the checkpointer's */
    SQLITE_WAL_CAUGHT_UP, /* the writer's: the rest is small */
    SQLITE_WAL_LEFT,      /* the writer's: it was not to be done now */
};

/* A file as the writer sees it: its connection and its write-ahead log. */
struct sqlite_file {
    struct sqlite_segment *segment; /* NULL: it is the main file */
    struct sqlite_conn conn;        /* db NULL: it is not open */
    bool in_group;                  /* a transaction is open */
    enum gw_err outcome;            /* of the last group's transaction, for its operations */
    int wal_pages;                  /* in the log since it last began anew */
    int wal_trigger;                /* at which the checkpointer is called */
    bool wal_holds_erased;          /* perhaps, until it is emptied */

    struct sqlite_conn checkpointer; /* that thread's while RUNNING; opened when first needed */
    struct gw_msg checkpoint_msg;
    int checkpoint_rc;     /* how it went */
    atomic_int checkpoint; /* enum sqlite_checkpoint: whose turn it is */
};

/* ── Segments ──────────────────────────────────────────────────────────────────────────────── */

enum sqlite_segment_state {
    SQLITE_SEGMENT_IN_USE,
    SQLITE_SEGMENT_ENDING,   /* past retention: no new deliveries, no claims, no refills */
    SQLITE_SEGMENT_UNUSABLE, /* damaged, and set aside until a restart */
    SQLITE_SEGMENT_REMOVED,  /* its file is gone */
};

/* What the writer counts in a segment; see sqlite_tally.c. */
struct sqlite_tallies {
    struct gw_map known;       /* (hour, app, type): struct known */
    struct gw_map counting;    /* by id: struct counting */
    struct gw_list touched;    /* by the group: counting.link */
    struct gw_buf group;       /* latencies of the group: struct place */
    struct gw_map latencies;   /* of groups that are committed: struct latencies */
    int64_t latencies_from_us; /* since when there are any */
    bool latencies_written;    /* by the group that is to be committed */
};

struct sqlite_index;
struct sqlite_merger;

/* Events and their deliveries, for ever in this file. A delivery's number, seq << 16 | n, is its
 * place in time across all segments: the sequence goes on from one to the next. */
struct sqlite_segment {
    uint32_t number;
    const char *path;
    struct sqlite_index *index; /* set before others see it; NULL: it could not be opened */
    uint64_t first_seq;         /* no event below */
    atomic_int state;
    /* The earliest and the latest accept, outward to whole minutes; first > last: none. */
    atomic_int_fast64_t first_ms, last_ms;
    atomic_uint_fast64_t open; /* deliveries, as committed */

    /* The writer's. */
    struct sqlite_file file;
    uint64_t last_seq;   /* when it was opened at the start; 0: it had no event */
    int64_t day;         /* of its first accept, UTC; while it has none: -1 */
    bool is_span_stored; /* first_ms and last_ms stand in the file */
    bool is_touched;     /* in the group */
    int64_t open_change; /* by the group */
    uint64_t used;       /* when, as a count of uses */
    struct gw_map names; /* interned: struct name in sqlite_name.c */
    struct sqlite_tallies tallies;
};

/* Those there are, by number. They are added and marked as removed by the writer alone, found by any
 * thread without a lock, and freed at the end. */
struct sqlite_segments {
    _Atomic(struct sqlite_segment *) *at; /* NULL: there is none */
    uint32_t base;                        /* number of the first place */
    size_t cap;
    atomic_uint top;     /* the highest number */
    atomic_uint special; /* how many have left IN_USE */
};

/* The next segment on its way. `state` says whose it is. */
enum sqlite_next_state {
    SQLITE_NEXT_NONE,
    SQLITE_NEXT_MAKING,
    SQLITE_NEXT_MADE,
    SQLITE_NEXT_FAILED
};

struct sqlite_next {
    atomic_int state;
    struct gw_msg msg;
    struct sqlite_segment *segment;
    enum gw_err err;  /* with FAILED */
    uint32_t skipped; /* numbers: files of theirs are in the way */
};

/* ── Keys ──────────────────────────────────────────────────────────────────────────────────── */

#define SQLITE_SEQ_MAX   (((uint64_t)1 << 47) - 1)
#define SQLITE_N_EVENT   0xffff /* in the place of a delivery's number: the event itself */
#define SQLITE_KEY_BYTES 32

struct sqlite_keys {
    uint8_t id[32];
    uint8_t hash[16];
};

/* What an id says. */
struct sqlite_ref {
    uint32_t segment;
    uint64_t seq; /* 1 … SQLITE_SEQ_MAX */
    uint16_t n;   /* of the delivery in its event, or SQLITE_N_EVENT */
};

static inline int64_t sqlite_row_id(uint64_t seq, uint16_t n)
{
    return (int64_t)(seq << 16 | n);
}

struct gw_id sqlite_id(const struct sqlite_keys *keys, struct sqlite_ref ref);
/* False: it was not made here, or is of the other kind. */
bool sqlite_id_event(const struct sqlite_keys *keys, const struct gw_id *id,
                     struct sqlite_ref *ref);
bool sqlite_id_delivery(const struct sqlite_keys *keys, const struct gw_id *id,
                        struct sqlite_ref *ref);

/* The place behind which a page goes on, as opaque text, and back. */
struct gw_slice sqlite_cursor(const struct sqlite_keys *keys, struct sqlite_ref ref,
                              struct gw_arena *arena);
bool sqlite_cursor_read(const struct sqlite_keys *keys, struct gw_slice text,
                        struct sqlite_ref *ref);

/* The upper half depends on `key` alone: without an app it is what all apps' have in common. */
int64_t sqlite_key_hash(const struct sqlite_keys *keys, struct gw_slice app_id,
                        struct gw_slice key);
int64_t sqlite_body_hash(const struct sqlite_keys *keys, struct gw_slice body);

/* ── What is sealed ────────────────────────────────────────────────────────────────────────── */

/* What is derived of the master key. */
struct sqlite_master {
    uint8_t meta[32], docs[32], apps[32];
};

void sqlite_master_init(struct sqlite_master *master, const uint8_t key[32]);
/* Inside a transaction. GW_ERR_KEY: the master key is another one. */
enum gw_err sqlite_master_open(const struct sqlite_master *master, struct sqlite_conn *conn,
                               bool is_new, struct sqlite_keys *keys, struct gw_error *error);

/* The place of a document in the main file. */
struct sqlite_doc {
    char kind; /* 'C' config, 'H' health */
    struct gw_slice app_id, name;
    uint64_t version;
};

void sqlite_doc_seal(const struct sqlite_master *master, const struct sqlite_doc *doc,
                     struct gw_slice plain, struct gw_buf *out);
bool sqlite_doc_open(const struct sqlite_master *master, const struct sqlite_doc *doc,
                     struct gw_slice sealed, struct gw_buf *out);

struct sqlite_key_slot {
    uint64_t id; /* number << 32 | segment; 0 = free */
    uint8_t key[32];
};

struct sqlite_app_slot {
    char *text; /* NULL = free */
    size_t len;
    uint32_t number;
};

/* One thread's. */
struct sqlite_keyring {
    struct gw_sqlite *sqlite;
    struct sqlite_conn *main;
    unsigned epoch;
    size_t size; /* of both, a power of two; a slot that is taken is overwritten */
    struct sqlite_key_slot *keys;
    struct sqlite_app_slot *apps;
    struct gw_buf room; /* the owner's, for what was opened last */
};

void sqlite_keyring_init(struct sqlite_keyring *ring, struct gw_sqlite *sqlite,
                         struct sqlite_conn *main, size_t size);
void sqlite_keyring_deinit(struct sqlite_keyring *ring);  /* also of one that never began */
void sqlite_keyring_forget(struct sqlite_keyring *ring);  /* what was read was not committed */
void sqlite_keyring_refresh(struct sqlite_keyring *ring); /* before each operation or group */
/* The number of the app's key; GW_ERR_NOT_FOUND: it has none yet. */
enum gw_err sqlite_keyring_find(struct sqlite_keyring *ring, struct gw_slice app_id,
                                uint32_t *number);
/* Gives it one, in a transaction of the main file; a failure is in its conn.rc. */
void sqlite_keyring_add(struct sqlite_keyring *ring, struct gw_slice app_id);
/* Destroys all of the app's, likewise. key_epoch is to grow after the commit. */
void sqlite_keyring_erase(struct sqlite_conn *main, struct gw_slice app_id);

enum sqlite_field_kind { SQLITE_FIELD_BODY = 'B', SQLITE_FIELD_LOG = 'L' }; /* stored, in a way */

struct sqlite_field {
    enum sqlite_field_kind kind;
    uint32_t segment;
    uint64_t row; /* BODY: seq; LOG: the delivery's */
    uint32_t key; /* the number of the app's */
};

/* Both into `out`, which is emptied. GW_ERR_GONE: the key was erased. */
enum gw_err sqlite_field_seal(struct sqlite_keyring *ring, struct sqlite_field field,
                              struct gw_slice plain, struct gw_buf *out);
enum gw_err sqlite_field_open(struct sqlite_keyring *ring, struct sqlite_field field,
                              struct gw_slice sealed, struct gw_buf *out);

/* ── Statements ────────────────────────────────────────────────────────────────────────────── */

enum sqlite_segment_sql {
    SEG_BEGIN,
    SEG_COMMIT,
    SEG_ROLLBACK,
    SEG_READ,
    SEG_LAST_SEQ,
    SEG_SPAN_GET,
    SEG_SPAN_SET,
    SEG_NAME_ID,
    SEG_NAME_ADD,
    SEG_NAME,
    SEG_EVENT_ADD,
    SEG_EVENT_OLD,
    SEG_EVENT,
    SEG_EVENT_APP,
    SEG_EVENT_BODY,
    SEG_EVENTS_DOWN,
    SEG_EVENT_TX,
    SEG_EVENT_ERASE,
    SEG_OPEN_ERASE,
    SEG_DONE_ERASE,
    SEG_KEYS_UP,
    SEG_OPEN_ADD,
    SEG_OPEN_GET,
    SEG_OPEN_NEXT,
    SEG_OPEN_SET,
    SEG_OPEN_DELETE,
    SEG_OPEN_OF,
    SEG_OPEN_DOWN,
    SEG_OPEN_COUNT,
    SEG_OPEN_LAST_OF,
    SEG_LANE_AFTER,
    SEG_LANE_ANY,
    SEG_LANE_SAME_DUE,
    SEG_LANE_LATER,
    SEG_DONE_ADD,
    SEG_DONE_GET,
    SEG_DONE_DELETE,
    SEG_DONE_OF,
    SEG_DONE_DOWN,
    SEG_DONE_LAST_OF,
    SEG_EXTRA_GET,
    SEG_EXTRA_FIRST,
    SEG_EXTRA_ADD,
    SEG_EXTRA_UP,
    SEG_TALLY_ID,
    SEG_TALLY_ADD,
    SEG_TALLY_COUNT,
    SEG_TALLIES,
    SEG_HIST_ADD,
    SEG_HIST_OF,
    SEG_OPEN_TALLIES,
    SEG_EVENTS_UP,
    SEG_OPEN_UP,
    SEG_DONE_UP,
    SEG_SQL_COUNT
};

enum sqlite_main_sql {
    MAIN_BEGIN,
    MAIN_COMMIT,
    MAIN_ROLLBACK,
    MAIN_READ,
    MAIN_META_GET,
    MAIN_META_SET,
    MAIN_SEGMENTS,
    MAIN_SEGMENT_ADD,
    MAIN_SEGMENT_DELETE,
    MAIN_CONFIG_VERSION,
    MAIN_CONFIG_SET,
    MAIN_CONFIG_DELETE,
    MAIN_CONFIGS_OF,
    MAIN_CONFIGS_AFTER,
    MAIN_CONFIGS_OF_AFTER,
    MAIN_APP_GET,
    MAIN_APP_SET,
    MAIN_LANE_ADD,
    MAIN_HEALTH_SET,
    MAIN_HEALTH_DELETE,
    MAIN_HEALTH_ALL,
    MAIN_HEALTH_OF,
    MAIN_APP_KEY_OF,
    MAIN_APP_KEY_GET,
    MAIN_APP_KEY_ADD,
    MAIN_APP_KEY_ERASE,
    MAIN_ERASURE_ADD,
    MAIN_SQL_COUNT
};

enum sqlite_name_kind { SQLITE_NAME_APP = 0, SQLITE_NAME_TYPE = 1 }; /* stored */

/* ── Completions ───────────────────────────────────────────────────────────────────────────── */

/* What is to be posted, gathered for each env, so that each is woken once. */
struct sqlite_outbox {
    struct sqlite_box **boxes; /* kept from one use to the next */
    size_t count, cap;
};

void sqlite_outbox_add(struct sqlite_outbox *outbox, struct gw_env *env, struct gw_msg *msg);
void sqlite_outbox_done(struct sqlite_outbox *outbox, struct gw_op *op, enum gw_err err);
void sqlite_outbox_send(struct sqlite_outbox *outbox);
void sqlite_outbox_deinit(struct sqlite_outbox *outbox);

bool sqlite_op_late(const struct gw_op *op);
void sqlite_complete(struct gw_op *op, enum gw_err err); /* at once, through a post */

/* ── Operations ────────────────────────────────────────────────────────────────────────────── */

enum sqlite_op_kind {
    OP_ACCEPT,
    OP_ADD,
    OP_SETTLE,
    OP_RETRY,
    OP_ERASE,
    OP_OPEN_LANES,
    OP_REFILL,
    OP_HEALTH_SAVE,
    OP_CONFIG_PUT,
    OP_CONFIG_REMOVE,
    OP_WRITER_COUNT,
    OP_RETAIN = OP_WRITER_COUNT, /* the store's own: see sqlite_retain.c */
    OP_LOAD,
    OP_FIND,
    OP_LIST,
    OP_TALLY,
    OP_HEALTH_LOAD,
    OP_CONFIG_LOAD,
    OP_CONFIG_LIST,
    OP_SWEEP, /* the store's own: see sqlite_reader_sweep() */
};

struct sqlite_member {
    struct gw_op *op;
    struct sqlite_file *file; /* whose outcome is the operation's; NULL: no file's */
    bool is_of_all;           /* of every file in the group */
};

/* What a row of `open` or `done` has from its event. */
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
sqlite_write_fn sqlite_accept, sqlite_add, sqlite_settle, sqlite_retry;      /* _ledger.c */
sqlite_write_fn sqlite_open_lanes, sqlite_refill;                            /* _wait.c */
sqlite_write_fn sqlite_erase;                                                /* _erase.c */
sqlite_write_fn sqlite_health_save, sqlite_config_put, sqlite_config_remove; /* _configs.c */

/* After the commit, or after its failure: op->err says which. What the operation leads to besides
 * its completion is posted here. */
typedef void sqlite_finish_fn(struct sqlite_writer *w, struct gw_op *op);
sqlite_finish_fn sqlite_accept_finish, sqlite_add_finish, sqlite_retry_finish;
sqlite_finish_fn sqlite_open_lanes_finish, sqlite_refill_finish;
sqlite_finish_fn sqlite_erase_finish;
sqlite_finish_fn sqlite_config_put_finish, sqlite_config_remove_finish;

/* Ends an open delivery without an attempt. */
void sqlite_end(struct sqlite_writer *w, struct sqlite_segment *segment,
                const struct gw_delivery *open, enum gw_end_reason reason, int64_t now_ms);

/* Begins the file's part of the group, unless it has begun. False: conn.rc. */
bool sqlite_writer_begin(struct sqlite_file *file);

/* The number of a name, given now if need be; 0 with conn->rc. The other gives none: 0. */
int64_t sqlite_name_id(struct sqlite_segment *segment, int kind, struct gw_slice text);
int64_t sqlite_name_find(struct sqlite_segment *segment, int kind, struct gw_slice text);
void sqlite_names_forget(struct sqlite_segment *segment);

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
/* Columns id, lane, due, attempts, step, resume, created of a row of `open`. */
struct gw_delivery sqlite_open_delivery(sqlite3_stmt *st, const struct sqlite_keys *keys,
                                        uint32_t segment);
/* Columns id, lane, state, reason, attempts, step, created, ended of a row of `done`. */
struct gw_delivery sqlite_done_delivery(sqlite3_stmt *st, const struct sqlite_keys *keys,
                                        uint32_t segment);

/* ── Readers ───────────────────────────────────────────────────────────────────────────────── */

/* Loads are short and on the way of an attempt, looking is long: each has threads of its own. */
#define SQLITE_LOADERS 4
#define SQLITE_LOOKERS 2
#define SQLITE_READERS (SQLITE_LOADERS + SQLITE_LOOKERS)

#define SQLITE_READER_KEEPS 4 /* segments open at once */

struct sqlite_reader {
    struct gw_sqlite *sqlite;
    struct gw_worker *worker;
    struct sqlite_conn main;
    struct sqlite_keyring keyring;
    struct sqlite_segment *entered;
    struct sqlite_conn *segment; /* of the one that was entered */
    struct {
        struct sqlite_segment *segment;
        struct sqlite_conn conn;
        uint64_t used;
    } kept[SQLITE_READER_KEEPS];
    uint64_t uses;
};

/* Begins a read transaction in the segment, which r->segment then is. What fails is logged. Leaving
 * ends it, and says `err`, or what SQLite has said. */
enum gw_err sqlite_reader_enter(struct sqlite_reader *r, struct sqlite_segment *segment);
enum gw_err sqlite_reader_leave(struct sqlite_reader *r, enum gw_err err);
/* The writer's: has it close what was removed, or the disk would not get the space back. */
void sqlite_reader_sweep(struct sqlite_reader *r);

typedef enum gw_err sqlite_read_fn(struct sqlite_reader *r, struct gw_op *op);
sqlite_read_fn sqlite_load, sqlite_find;                                   /* _look.c */
sqlite_read_fn sqlite_list;                                                /* _list.c */
sqlite_read_fn sqlite_tally;                                               /* _count.c */
sqlite_read_fn sqlite_health_load, sqlite_config_load, sqlite_config_list; /* _configs.c */

enum gw_err sqlite_reader_start(struct sqlite_reader *r, struct gw_sqlite *sqlite, const char *name,
                                struct gw_error *error);
void sqlite_reader_stop(struct sqlite_reader *r); /* works off what was posted */

/* An event without its body, in slices that are valid until the statement is reset, which is for
 * the caller to do. NULL: there is none, or conn->rc. */
sqlite3_stmt *sqlite_event_get(struct sqlite_reader *r, struct sqlite_ref ref,
                               struct gw_message *m);
struct gw_message *sqlite_message_dup(const struct gw_message *from, struct gw_arena *arena);

struct sqlite_key {
    struct gw_slice app_id; /* len 0 = of any app */
    struct gw_slice text;
    bool is_event_id; /* else a transaction's */
};

/* Where it leads as far as only the writer knew when it was asked; in the operation's arena. */
struct sqlite_recent {
    size_t count;
    struct sqlite_recent_at {
        uint32_t segment;
        uint64_t seq;
    } at[];
};

/* The writer's part of a find or a list by key, before a reader gets it. */
bool sqlite_recent_wanted(const struct gw_op *op);
void sqlite_recent_tell(struct gw_sqlite *sqlite, struct gw_op *op);

/* Where a key leads in the segment that was entered, newest first; rows are still to be compared with it. */
struct sqlite_keyed {
    struct gw_buf seqs; /* uint64_t; the caller's to free */
    size_t count;
    uint64_t known_from; /* 0: that is all. Else there may be more below */
};

/* GW_ERR_BUSY: not now. keyed->seqs is to be freed in any case. */
enum gw_err sqlite_keyed(struct sqlite_reader *r, struct sqlite_key key,
                         const struct sqlite_recent *recent, uint64_t top,
                         struct sqlite_keyed *keyed);

static inline uint64_t sqlite_keyed_at(const struct sqlite_keyed *keyed, size_t at)
{
    uint64_t seq;

    memcpy(&seq, keyed->seqs.ptr + at * sizeof(seq), sizeof(seq));
    return seq;
}

/* ── Counting ──────────────────────────────────────────────────────────────────────────────── */

void sqlite_tallies_init(struct sqlite_tallies *tallies);
void sqlite_tallies_deinit(struct sqlite_tallies *tallies); /* and empty */

/* The number of the tally of an event, given now if need be; 0 with conn->rc. */
int64_t sqlite_tally_id(struct sqlite_segment *segment, int64_t accepted_ms, int64_t app,
                        int64_t type);
/* Counts with the group. */
void sqlite_tally_count(struct sqlite_segment *segment, int64_t id, enum gw_tally_count which,
                        int64_t by);
void sqlite_tally_latency(struct sqlite_segment *segment, int64_t id, int64_t ms);

/* Into the transaction, as the last thing before its end, whose outcome is then to be told. */
void sqlite_tallies_write(struct gw_sqlite *sqlite, struct sqlite_segment *segment);
void sqlite_tallies_committed(struct sqlite_segment *segment, int64_t now_us);
void sqlite_tallies_failed(struct sqlite_segment *segment);

/* Takes segments into the group whose latencies have waited long enough. */
void sqlite_tallies_mind(struct sqlite_writer *w);
/* Between groups: a transaction for what waits; without it if that fails. */
void sqlite_tallies_finish(struct sqlite_segment *segment);

/* ── Checkpoints ───────────────────────────────────────────────────────────────────────────── */

void sqlite_wal_init(struct sqlite_file *file); /* its connection has been opened */
void sqlite_wal_deinit(struct sqlite_file *file);
bool sqlite_wal_is_busy(struct sqlite_file *file); /* it is the checkpointer's for now */
void sqlite_wal_mind(struct gw_sqlite *sqlite, struct sqlite_file *file); /* between groups */
/* Copies the log back and takes its space; false: not now. */
bool sqlite_wal_empty(struct gw_sqlite *sqlite, struct sqlite_file *file);
void sqlite_wal_worker(void *ctx, struct gw_list *batch); /* gw_worker_fn */
/* Before closing: copies the log back, and empties it if nobody reads it; `waits`: for those. */
void sqlite_wal_finish(struct gw_sqlite *sqlite, struct sqlite_file *file, bool waits);

/* ── The set of segments ───────────────────────────────────────────────────────────────────── */

#define SQLITE_MINUTE_MS ((int64_t)60000)
#define SQLITE_DAY_MS    ((int64_t)86400000)

/* Any thread. NULL: there is none (any more). */
struct sqlite_segment *sqlite_segment_of(struct gw_sqlite *sqlite, uint32_t number);
/* The highest that is there, with at most this number. */
struct sqlite_segment *sqlite_segment_below(struct gw_sqlite *sqlite, uint32_t number);
/* GW_OK: it can be read. */
enum gw_err sqlite_segment_err(const struct sqlite_segment *segment);
/* May it hold accepts with from <= t < to (0: open)? */
bool sqlite_segment_spans(const struct sqlite_segment *segment, int64_t from_ms, int64_t to_ms);

/* The writer's: opens what is not open. The connection is then in the group; for writing a
 * transaction has begun, and its outcome is the operation's. NULL: *err says why not. */
struct sqlite_conn *sqlite_segment_read(struct sqlite_writer *w, struct sqlite_segment *segment,
                                        enum gw_err *err);
struct sqlite_conn *sqlite_segment_write(struct sqlite_writer *w, struct sqlite_segment *segment,
                                         enum gw_err *err);
/* Has what was read from it failed? A damaged segment is then set aside: GW_ERR_CORRUPT. */
enum gw_err sqlite_segment_check(struct sqlite_writer *w, struct sqlite_segment *segment);
void sqlite_segment_set_aside(struct gw_sqlite *sqlite, struct sqlite_segment *segment,
                              const char *why);

/* Where an accept goes. NULL: nowhere for now. */
struct sqlite_segment *sqlite_segment_head(struct sqlite_writer *w, int64_t accepted_ms);
/* That accept is in the group: the segment's span covers it. */
void sqlite_segment_cover(struct sqlite_segment *segment, int64_t accepted_ms);

void sqlite_segment_mind(struct sqlite_writer *w);  /* between groups: takes or asks for the next */
void sqlite_segment_make(struct gw_sqlite *sqlite); /* on the checkpointer's thread */

struct sqlite_segment *sqlite_segment_create(struct gw_sqlite *sqlite, uint32_t number,
                                             uint64_t first_seq);
void sqlite_segment_destroy(struct sqlite_segment *segment); /* drops it too */
/* Of an open file: its span and how many are open. */
enum gw_err sqlite_segment_look(struct sqlite_segment *segment, struct gw_error *error);
/* Closes its file, its log copied back; dropped, it stays as it is. */
void sqlite_segment_close(struct gw_sqlite *sqlite, struct sqlite_segment *segment, bool waits);
void sqlite_segment_drop(struct sqlite_segment *segment);
/* Lists it in the main file: it is there, and takes what is accepted. */
enum gw_err sqlite_segment_take(struct gw_sqlite *sqlite, struct sqlite_segment *segment,
                                struct gw_error *error);

/* ── Retention ─────────────────────────────────────────────────────────────────────────────── */

struct sqlite_retain {
    /* The env's. */
    struct gw_timer timer;
    int64_t wall_ms, mono_us; /* at its last look */

    atomic_int_fast64_t now_ms, quiet_until_us;
    atomic_bool under_way; /* `op` is the writer's */
    atomic_bool is_stopping;
    struct gw_op op;

    /* The writer's. */
    struct sqlite_segment *segment; /* that is being ended */
    int64_t day, day_since_us;      /* whose segments go, and since when */
};

void sqlite_retain_start(struct gw_sqlite *sqlite); /* on the env's thread */
void sqlite_retain_stop(struct gw_sqlite *sqlite);
/* A turn of it is a group of its own; false: it has nothing to do. */
bool sqlite_retain_begin(struct sqlite_writer *w);
void sqlite_retain_end(struct sqlite_writer *w, bool did, enum gw_err failed);

/* ── The backend ───────────────────────────────────────────────────────────────────────────── */

struct gw_sqlite {
    struct gw_ledger ledger;
    struct gw_configs configs;
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
    atomic_uint_fast64_t open, commits, commit_us, operations, queued;
    _Atomic(const char *) stopped; /* why no group is committed any more; NULL: they are */
    atomic_bool disk_low;
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

void sqlite_writer_start(struct gw_sqlite *sqlite);
void sqlite_writer_stop(struct gw_sqlite *sqlite); /* commits what is queued */
void sqlite_writer_submit(struct gw_sqlite *sqlite, struct gw_op *op, int kind);
void sqlite_look_submit(struct gw_sqlite *sqlite, struct gw_op *op, int kind);
