/* sqlite_index.h: the derived key indexes: where the key of an event leads. Not for others than
 * sqlite*.c.
 *
 *   sqlite_tail.c    the keys of recent events, in the writer's memory
 *   sqlite_filter.c  which keys an index certainly does not have, in memory
 *   sqlite_index.c   N.idx, the index file beside segment N: opening, merging, catching up, asking
 *   sqlite_merger.c  the two together: who may do what when
 *   sqlite_merge.c   the merge thread's turns
 *   sqlite_seek.c    where a key leads: the writer's questions and the readers'
 *
 * A key is a 64-bit hash that leads to rows and proves nothing: whoever follows it compares the row.
 * For every committed event with a key holds, at any time: it is in its segment's tail, or in its
 * segment's index file, or in both. The index is derived from the event rows and may be thrown away. */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "store/sqlite_conn.h"
#include "store/sqlite_key.h"
#include "sys/env.h"

#include <stdatomic.h>

/* ── Entries ───────────────────────────────────────────────────────────────────────────────── */

/* Their numbers are stored: routed before skipped, so that dedupe finds what may block at once. */
enum sqlite_entry_kind { SQLITE_ENTRY_ROUTED = 0, SQLITE_ENTRY_SKIPPED = 1, SQLITE_ENTRY_TX = 2 };

struct sqlite_entry {
    uint64_t hash;
    uint64_t place; /* seq << 2 | kind */
};

static inline struct sqlite_entry sqlite_entry(enum sqlite_entry_kind kind, int64_t hash,
                                               uint64_t seq)
{
    return (struct sqlite_entry){(uint64_t)hash, seq << 2 | (uint64_t)kind};
}

static inline uint64_t sqlite_entry_seq(const struct sqlite_entry *entry)
{
    return entry->place >> 2;
}

static inline enum sqlite_entry_kind sqlite_entry_kind(const struct sqlite_entry *entry)
{
    return (enum sqlite_entry_kind)(entry->place & 3);
}

static inline const struct sqlite_entry *sqlite_entries(const struct gw_buf *buf)
{
    return (const struct sqlite_entry *)(const void *)buf->ptr;
}

/* ── The tail ──────────────────────────────────────────────────────────────────────────────── */

/* In the order in which they came, chained by hash. */
struct sqlite_generation {
    struct sqlite_entry *entries;
    uint32_t *next;    /* of the same bucket, older; index + 1, 0 = none */
    uint32_t *buckets; /* the newest; index + 1, 0 = none */
    size_t count, cap; /* of entries and next; buckets: 2 * cap, a power of two */
};

/* `young` is being filled. `merging` does not change until it is let go, and is read by the merge
 * thread; the rest is the writer's alone. */
struct sqlite_tail {
    struct sqlite_generation young, merging;
};

void sqlite_tail_deinit(struct sqlite_tail *tail);
void sqlite_tail_add(struct sqlite_tail *tail, struct sqlite_entry entry);
void sqlite_tail_cut(struct sqlite_tail *tail, size_t young_count); /* forgets those behind */
void sqlite_tail_turn(struct sqlite_tail *tail);   /* young becomes merging, which is empty */
void sqlite_tail_let_go(struct sqlite_tail *tail); /* of merging */

static inline size_t sqlite_tail_count(const struct sqlite_tail *tail)
{
    return tail->young.count + tail->merging.count;
}

/* Walks the places of a key, newest first. All zeroes but for tail, kind and hash is the start. */
struct sqlite_tail_walk {
    const struct sqlite_tail *tail;
    enum sqlite_entry_kind kind;
    int64_t hash;
    int generation; /* 0 = not begun, 1 = young, 2 = merging */
    uint32_t at;
};

bool sqlite_tail_next(struct sqlite_tail_walk *walk, uint64_t *seq);

/* Appends the places of a key, of event ids or else of transactions: uint64_t, in no order. Of any app:
 * the upper half of the hash counts. */
void sqlite_tail_copy(const struct sqlite_tail *tail, bool is_event_id, int64_t hash, bool any_app,
                      struct gw_buf *seqs);

/* ── Filters ───────────────────────────────────────────────────────────────────────────────── */

/* A blocked Bloom filter. One thread adds; any may ask meanwhile: what was added before the asker
 * was told so is seen. */
struct sqlite_filter {
    size_t blocks;
    _Atomic uint64_t words[]; /* 8 to a block: a line of the processor's cache */
};

struct sqlite_filter *sqlite_filter_create(size_t keys);        /* for so many; gw_free() ends it */
size_t sqlite_filter_bytes(const struct sqlite_filter *filter); /* of words */
void sqlite_filter_add(struct sqlite_filter *filter, uint64_t hash);
bool sqlite_filter_has(const struct sqlite_filter *filter, uint64_t hash); /* true: it may */

/* ── The index file ────────────────────────────────────────────────────────────────────────── */

/* A file is cut into parts by age, each of at most so many keys of events: a merge then rewrites
 * pages of the last part only, and costs the same however large the file has become. */
#define SQLITE_PARTS_MAX 64

enum sqlite_index_sql {
    IDX_BEGIN,
    IDX_COMMIT,
    IDX_ROLLBACK,
    IDX_READ,
    IDX_STATE,
    IDX_STATE_ADD,
    IDX_STATE_SET,
    IDX_EVENT_ADD,
    IDX_TX_ADD,
    IDX_EVENT_DOWN,
    IDX_TX_DOWN,
    IDX_EVENT_HASH,
    IDX_TX_HASH,
    IDX_PART,
    IDX_SQL_COUNT
};

extern const struct sqlite_kind sqlite_index_kind;

/* What the file says of itself. */
struct sqlite_index_state {
    uint64_t merged_upto; /* all events up to here are in it */
    uint32_t part;        /* the last one */
    uint64_t event_keys;  /* in that */
};

/* The connection that writes. Its thread's. */
struct sqlite_index_file {
    struct sqlite_conn conn;
    struct sqlite_index_state state;
    size_t part_keys; /* of events, in a part */
};

/* Opens it, or makes it. GW_ERR_CORRUPT: what is there is of no use: it is damaged, is not `owner`'s,
 * or knows of more than `last_seq`. */
enum gw_err sqlite_index_file_open(struct sqlite_index_file *file, const char *path, int64_t owner,
                                   uint64_t last_seq, size_t part_keys, struct gw_error *error);
void sqlite_index_file_close(struct sqlite_index_file *file);
void sqlite_index_file_remove(const char *path); /* with its log; nobody has it open */

/* Puts the entries in, which are those of the events up to `upto`, in one transaction. Adds keys of
 * events to the filter, if there is one. GW_ERR_CORRUPT: throw the file away. After any other failure
 * it may be tried again; repeating what was done is harmless. */
enum gw_err sqlite_index_merge(struct sqlite_index_file *file, const struct sqlite_entry *entries,
                               size_t count, uint64_t upto, struct sqlite_filter *filter);
/* The part that a merge of these would go to. */
uint32_t sqlite_index_part_for(const struct sqlite_index_file *file,
                               const struct sqlite_entry *entries, size_t count);

/* Every key of an event in the part. False: conn->rc. */
bool sqlite_index_filter(struct sqlite_conn *conn, uint32_t part, struct sqlite_filter *filter);

/* On any connection that reads. */
bool sqlite_index_state(struct sqlite_conn *conn, struct sqlite_index_state *state);
/* Steps with sqlite_row(): the places of a key in a part from `top` down, at most `max`. */
sqlite3_stmt *sqlite_index_ask(struct sqlite_conn *conn, uint32_t part, enum sqlite_entry_kind kind,
                               int64_t hash, uint64_t top, size_t max);
/* The lowest hash in a part, of event ids or else of transactions, from `*hash` to `last`. False:
 * there is none, or conn->rc. */
bool sqlite_index_hash(struct sqlite_conn *conn, uint32_t part, bool is_event_id, int64_t last,
                       int64_t *hash);
/* The failure of a connection: GW_ERR_CORRUPT: the file is to be thrown away. */
enum gw_err sqlite_index_err(const struct sqlite_conn *conn, int rc);

/* ── The two together ──────────────────────────────────────────────────────────────────────── */

enum sqlite_index_health {
    SQLITE_INDEX_WHOLE,  /* tail and file have everything */
    SQLITE_INDEX_BEHIND, /* the file is being made from the rows: nothing can be looked up */
    SQLITE_INDEX_BROKEN, /* the file is to be thrown away, and made anew */
    SQLITE_INDEX_GONE,   /* as its segment is: nothing is found */
};

enum sqlite_index_turn {
    SQLITE_INDEX_QUIET,   /* the writer's */
    SQLITE_INDEX_RUNNING, /* the merge thread's */
    SQLITE_INDEX_DONE,    /* the writer's */
    SQLITE_INDEX_FAILED,  /* the writer's: again a little later */
};

/* One for all segments. */
struct sqlite_merger {
    struct gw_env *env;
    const struct sqlite_keys *keys;
    struct gw_worker *worker;
    size_t generation, ceiling; /* entries: merged at once; in all tails at most */
    atomic_bool is_stopping;
    atomic_size_t queued; /* turns that wait for the merge thread */
    atomic_size_t filter_bytes;
    atomic_uint_fast64_t merges;

    /* The writer's. */
    size_t count;                  /* entries in all tails */
    struct gw_list indexes;        /* struct sqlite_index.link */
    struct sqlite_index *added_to; /* by the group; NULL: by none */
    size_t added_from;             /* in its young generation */
};

/* The keys of one segment. */
struct sqlite_index {
    struct sqlite_merger *merger;
    struct gw_list link;
    uint32_t number;
    char *path, *segment_path;
    int64_t owner;
    atomic_int health; /* whoever sees damage calls it broken; the merge thread mends it */
    atomic_uint parts; /* in the file; 0: there is no need of it */
    atomic_uint users; /* readers that have the file open */
    _Atomic(struct sqlite_filter *) filters[SQLITE_PARTS_MAX]; /* NULL: ask the part itself */
    atomic_int turn;

    /* The writer's; the merge thread reads them in its turn. */
    struct sqlite_tail tail;
    uint64_t covered;      /* the file must know all up to here */
    uint64_t merging_upto; /* with the generation that is merged */
    uint64_t sealed_at;    /* the last sequence of a segment that gets no more; 0 = it does */
    bool is_gone;          /* its segment is; the file follows */
    bool uses_filters;
    /* The writer's alone. */
    uint64_t seals_at; /* what sealed_at and is_gone are to be with the next turn */
    bool goes;
    struct sqlite_conn probe; /* opened when first needed */
    int64_t probed_us, again_us;
    bool was_probed, is_removed;
    struct gw_msg msg;

    /* The merge thread's. */
    struct sqlite_index_file file; /* open while there is something to do with it */
    bool is_catching_up;           /* and let others have their turn */
    atomic_bool has_all;           /* of what was wanted: filters, the last mark */
};

struct sqlite_merger *sqlite_merger_create(struct gw_env *env, const struct sqlite_keys *keys,
                                           size_t generation, size_t ceiling); /* 0 = default */
void sqlite_merger_start(struct sqlite_merger *m);
/* Ends its thread, closes and forgets all. NULL is fine. */
void sqlite_merger_destroy(struct sqlite_merger *m);

/* A new segment's, which has no events, or that of a segment as it is found at the start: then
 * sqlite_index_fill() reads the rows that are not in the file yet. Threads do not run, or the writer
 * calls. */
struct sqlite_index *sqlite_index_create(struct sqlite_merger *m, uint32_t number,
                                         const char *segment_path);
struct sqlite_index *sqlite_index_found(struct sqlite_merger *m, uint32_t number,
                                        const char *segment_path, uint64_t last_seq);
bool sqlite_index_lacks(const struct sqlite_index *index, uint64_t last_seq);
/* Failure: conn->rc. */
void sqlite_index_fill(struct sqlite_index *index, struct sqlite_conn *segment, uint64_t last_seq);

/* The writer's. */
bool sqlite_merger_has_room(const struct sqlite_merger *m); /* for the keys of one event */
void sqlite_merger_group(struct sqlite_merger *m);          /* one begins */
/* It has failed in that segment: what it added there goes with it. */
void sqlite_merger_undo(struct sqlite_merger *m, struct sqlite_index *index);
void sqlite_index_add(struct sqlite_index *index, struct sqlite_entry entry);
void sqlite_index_seal(struct sqlite_index *index, uint64_t last_seq);
void sqlite_index_go(struct sqlite_index *index); /* its segment is gone; NULL is fine */
void sqlite_merger_mind(struct sqlite_merger *m); /* between groups */

/* ── The merge thread ──────────────────────────────────────────────────────────────────────── */

void sqlite_merge_post(struct sqlite_index *index);         /* a turn */
void sqlite_merge_worker(void *ctx, struct gw_list *batch); /* gw_worker_fn */
/* Opens the file, unless it is open. */
enum gw_err sqlite_merge_open(struct sqlite_index *index, struct gw_error *error);
/* The keys of the events behind `after`, of at least one and until there are `max` entries. Returns
 * the last event that was read; 0: there is none, or conn->rc. */
uint64_t sqlite_merge_rows(struct sqlite_conn *segment, uint64_t after, uint64_t last, size_t max,
                           struct gw_buf *entries);

void sqlite_filters_free(struct sqlite_index *index);
/* That of the part a merge goes to: a new part's is made, and is whole from the start. */
struct sqlite_filter *sqlite_filters_for(struct sqlite_index *index, uint32_t part);
/* Makes one that is missing, of the newest part first. */
enum gw_err sqlite_filters_make(struct sqlite_index *index, bool *has_all);

/* ── Where a key leads ─────────────────────────────────────────────────────────────────────── */

/* Walks the events of a kind that may have the key, newest first. */
struct sqlite_seek {
    struct sqlite_index *index;
    struct sqlite_tail_walk tail;
    bool has_left_tail;
    uint32_t part; /* the next below */
    sqlite3_stmt *st;
    enum gw_err err; /* GW_ERR_BUSY: it cannot be told now */
};

void sqlite_seek_begin(struct sqlite_seek *seek, struct sqlite_index *index,
                       enum sqlite_entry_kind kind, int64_t hash);
bool sqlite_seek_next(struct sqlite_seek *seek, uint64_t *seq);
void sqlite_seek_end(struct sqlite_seek *seek);

/* A reader's connection to the file, in a read transaction. conn->db NULL: there is no file yet. */
enum gw_err sqlite_index_read_begin(struct sqlite_index *index, struct sqlite_conn *conn,
                                    struct sqlite_index_state *state);
/* What has become of it. */
enum gw_err sqlite_index_read_end(struct sqlite_index *index, struct sqlite_conn *conn);
