/* delivery_log_writer.h: the sink of the delivery log that is PostgreSQL or Redshift: a thread that
 * inserts rows in batches, and a spool on disk for when it cannot. The drawing is at the top of
 * delivery_log_writer.c. */
#pragma once

#include "store/delivery_log.h"
#include "sys/env.h"

struct gw_delivery_log_writer;

struct gw_delivery_log_writer_options {
    const char *url;         /* checked; see postgres.h */
    const char *dir;         /* of the spool */
    size_t memory_bytes_max; /* of rows not yet written or spooled */
    int64_t spool_bytes_max;
    int64_t disk_free_min_bytes; /* the spool leaves that much to others */
};

/* On env's thread, which has its timer. A database that is away now is no failure. */
enum gw_err gw_delivery_log_writer_open(const struct gw_delivery_log_writer_options *options,
                                        struct gw_env *env, struct gw_delivery_log_writer **writer,
                                        struct gw_error *error);

/* On env's thread, when nobody adds rows any more. What cannot be written within some seconds goes to
 * the spool, for the next start. */
void gw_delivery_log_writer_close(struct gw_delivery_log_writer *writer);

struct gw_delivery_log *gw_delivery_log_writer_log(struct gw_delivery_log_writer *writer);
