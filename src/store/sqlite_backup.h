/* sqlite_backup.h: copies a store, also while a server of another process has it open. */
#pragma once

#include "base/err.h"

#include <stdint.h>

struct gw_sqlite_backup {
    /* in */
    const char *from; /* a data directory */
    const char *to;   /* not there, or empty */
    /* How far it is, now and then; pages of 4 KiB. */
    void (*progress)(void *ctx, const char *file, uint64_t done, uint64_t total);
    void (*warn)(void *ctx, const char *text); /* a segment that could not be copied */
    void *ctx;
    /* out */
    uint64_t files, bytes;
    uint64_t failed; /* segments that could not be copied, all else was */
};

/* When it returns GW_OK the copy is complete, but for `failed`, and on stable storage: all that was
 * committed before it was called is in it. It has no keys. Blocks. */
enum gw_err gw_sqlite_backup(struct gw_sqlite_backup *backup, struct gw_error *error);
