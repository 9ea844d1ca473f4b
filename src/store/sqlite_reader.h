/* sqlite_reader.h: the reader threads and what they look up.
 *
 *   sqlite_reader.c  the threads and the files they have open
 *   sqlite_look.c    load and find
 *   sqlite_list.c    pages of deliveries
 *   sqlite_count.c   counters and rows, as they are looked at
 *   sqlite_stats.c   counters again, by time and URL
 *
 * Each reader owns its own struct. */
#pragma once

#include "store/sqlite_keyring.h"
#include "store/sqlite_segment.h"
#include "store/store.h"

#include <string.h>

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
sqlite_read_fn sqlite_stats;                                               /* _stats.c */
sqlite_read_fn sqlite_health_load, sqlite_config_load, sqlite_config_list; /* _configs.c */
sqlite_read_fn sqlite_key_find, sqlite_key_list, sqlite_audit_list;        /* _admin.c */

enum gw_err sqlite_reader_start(struct sqlite_reader *r, struct gw_sqlite *sqlite, const char *name,
                                struct gw_error *error);
void sqlite_reader_stop(struct sqlite_reader *r); /* works off what was posted */

/* An event without its body, in slices that are valid until the statement is reset, which is for
 * the caller to do. NULL: there is none, or conn->rc. */
sqlite3_stmt *sqlite_event_get(struct sqlite_reader *r, struct sqlite_ref ref,
                               struct gw_message *m);

/* The number that a name has in the segment; without a name 0, for any. False: it has none, or conn->rc. */
bool sqlite_name_wanted(struct sqlite_conn *conn, int kind, struct gw_slice text, int64_t *id);

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
