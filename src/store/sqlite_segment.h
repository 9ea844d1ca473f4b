/* sqlite_segment.h: the files that the writer writes, and the set of segments among them.
 *
 *   sqlite_segment.c  which there are, which are open, the next one
 *   sqlite_retain.c   the end of segments past their retention
 *   sqlite_name.c     appIds and eventTypes as numbers
 *   sqlite_tally.c    counters, as the writer keeps them
 *   sqlite_wal.c      checkpoints
 *
 * The writer owns what is not atomic in each; what several threads read is set before they start. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "store/sqlite_conn.h"
#include "store/sqlite_key.h"
#include "store/sqlite_schema.h"
#include "store/store.h"

struct gw_sqlite;
struct sqlite_writer;

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
    int wal_trigger;                /* at which something is done about it */
    bool wal_is_held;               /* by somebody who reads for long */
    bool wal_holds_erased;          /* perhaps, until it is emptied */

    struct sqlite_conn checkpointer; /* that thread's while RUNNING; opened when first needed */
    struct gw_msg checkpoint_msg;
    int checkpoint_rc;        /* how it went */
    atomic_bool writer_waits; /* for that thread to leave */
    atomic_int checkpoint;    /* enum sqlite_checkpoint: whose turn it is */
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
    struct gw_map at;          /* (tally, URL): struct at */
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
/* The one that an id names, ready to be written. NULL: *err. */
struct sqlite_segment *sqlite_segment_named(struct sqlite_writer *w, struct sqlite_ref ref,
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

/* ── Names ─────────────────────────────────────────────────────────────────────────────────── */

/* The number of a name, given now if need be; 0 with conn->rc. The other gives none: 0. */
int64_t sqlite_name_id(struct sqlite_segment *segment, int kind, struct gw_slice text);
int64_t sqlite_name_find(struct sqlite_segment *segment, int kind, struct gw_slice text);
void sqlite_names_forget(struct sqlite_segment *segment);

/* ── Counting ──────────────────────────────────────────────────────────────────────────────── */

void sqlite_tallies_init(struct sqlite_tallies *tallies);
void sqlite_tallies_deinit(struct sqlite_tallies *tallies); /* and empty */

/* The number of the tally of an event, given now if need be; 0 with conn->rc. */
int64_t sqlite_tally_id(struct sqlite_segment *segment, int64_t accepted_ms, int64_t app,
                        int64_t type);
/* The number of the tally of the same hour, app and type at that URL, given now if need be. */
int64_t sqlite_tally_at(struct sqlite_segment *segment, int64_t id, int64_t url);
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
