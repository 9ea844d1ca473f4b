/* delivery_log_spool.h: rows of the delivery log that wait on disk while the database is away.
 *
 * A spool is a directory of numbered files, written at the end and read from the beginning; a file
 * goes when all its rows were taken. What was taken but not yet let go is there again after a
 * restart. One thread. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct gw_delivery_log_spool;

struct gw_delivery_log_spool_options {
    const char *dir;             /* made when missing, mode 0700 */
    int64_t bytes_max;           /* beyond it nothing more is taken */
    int64_t disk_free_min_bytes; /* nor while less would be left for others */
};

enum gw_err gw_delivery_log_spool_open(const struct gw_delivery_log_spool_options *options,
                                       struct gw_delivery_log_spool **spool,
                                       struct gw_error *error);
void gw_delivery_log_spool_close(struct gw_delivery_log_spool *spool); /* what is in it stays */

/* Puts the records made by gw_delivery_log_spool_add() into the file, all or none. GW_ERR_FULL: a
 * ceiling is reached; GW_ERR_IO: the disk refused. */
void gw_delivery_log_spool_add(struct gw_buf *records, int64_t at_ms, struct gw_slice row);
enum gw_err gw_delivery_log_spool_write(struct gw_delivery_log_spool *spool,
                                        struct gw_slice records);

/* The next row, oldest first; it lives until gw_delivery_log_spool_taken(). False: there is none, or
 * its file cannot be read now. `spoilt` counts files whose rest was not readable and was let go. */
bool gw_delivery_log_spool_next(struct gw_delivery_log_spool *spool, int64_t *at_ms,
                                struct gw_slice *row, size_t *spoilt);

/* Rows given by next are written elsewhere, and go; or they are not, and come again. */
void gw_delivery_log_spool_taken(struct gw_delivery_log_spool *spool);
void gw_delivery_log_spool_again(struct gw_delivery_log_spool *spool);

int64_t gw_delivery_log_spool_bytes(const struct gw_delivery_log_spool *spool);
