/* sqlite.h: the three ports on SQLite files in one directory. One process at a time (directory lock).
 *
 *   DIR/lock            flock()ed while open
 *   DIR/main.db         configs, lanes, target health, API keys, the audit log, the list of
 *                       segments, keys for ids
 *   DIR/00000001.seg    events, deliveries and attempts of about a day, and so on
 *   DIR/00000001.idx    where its events' keys lead: may be thrown away
 *
 * One writer thread commits groups; a second thread checkpoints, a third merges keys; looking and loading run on the
 * loops' thread pools with read-only connections. */
#pragma once

#include "store/store.h"

struct gw_sqlite;

struct gw_sqlite_options {
    const char *dir;            /* made when missing (mode 0700) */
    size_t queue_max;           /* accepts waiting for a commit; more are GW_ERR_BUSY */
    size_t group_max;           /* operations in one commit */
    int64_t disk_reserve_bytes; /* below it: GW_ERR_FULL for accepts */
    size_t cache_bytes;         /* SQLite's, of the writer */
    uint8_t master_key[32];     /* seals everything else; see sqlite_keyring.c */

    int64_t audit_keep_ms; /* lines of the audit log older than that go, with new ones; 0: never */
    int64_t retention_ms;  /* how long a segment is kept behind its last accept; 0: 30 days */

    /* When another segment begins, besides with a day; 0: as said. */
    uint64_t segment_events_max; /* 10 million */
    int64_t segment_gap_ms;      /* at the earliest, behind the one before: a minute */

    /* Keys of events that are merged at once, and how many may wait for it; 0: 50 000 and 200 000. */
    size_t key_generation, keys_max;

    int64_t latency_every_ms; /* latencies are written, for a crash loses the rest; 0: 10 s */
};

/* GW_ERR_LOCKED, GW_ERR_SCHEMA (written by a newer version), GW_ERR_KEY (the master key is not the
 * one it was made with), GW_ERR_IO, GW_ERR_CORRUPT: `error`
 * names the file. `env` is used to start threads. */
enum gw_err gw_sqlite_open(const struct gw_sqlite_options *options, struct gw_env *env,
                           struct gw_sqlite **sqlite, struct gw_error *error);
struct gw_ledger *gw_sqlite_ledger(struct gw_sqlite *sqlite);
struct gw_configs *gw_sqlite_configs(struct gw_sqlite *sqlite);
struct gw_admin *gw_sqlite_admin(struct gw_sqlite *sqlite);

/* Commits what is queued, stops the threads, closes. No operation may be started any more; all
 * completions have been posted when it returns. Blocks. */
void gw_sqlite_close(struct gw_sqlite *sqlite);
