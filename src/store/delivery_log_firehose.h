/* delivery_log_firehose.h: the sink of the delivery log that is a stream of Firehose: rows wait in
 * memory for a batch, and are sent as JSON, a line each, that names its table:
 *
 *   {"table":"webhook_delivery","row_id":"…","phase":"received",…}   no member = null
 *
 * Times are written as SQL does, "2026-11-24 07:46:00.000" in UTC, which COPY and Athena both read. */
#pragma once

#include "aws/client.h"
#include "store/delivery_log.h"

#define GW_DELIVERY_LOG_STREAM_MAX 64 /* bytes of a stream's name */

/* What Firehose allows: letters, digits, '_', '.', '-'. */
bool gw_delivery_log_stream_check(struct gw_slice name);

struct gw_delivery_log_firehose;

/* `stream` must outlive it. It works on the env's thread, with the client, which is the env's. */
struct gw_delivery_log_firehose *gw_delivery_log_firehose_create(struct gw_env *env,
                                                                 struct gw_aws_client *client,
                                                                 const char *stream,
                                                                 size_t memory_bytes_max);

/* On the env's thread, when nobody adds rows any more, and before the loop goes. What was not sent
 * is dropped: flush first. */
void gw_delivery_log_firehose_destroy(struct gw_delivery_log_firehose *sink);

struct gw_delivery_log *gw_delivery_log_firehose_log(struct gw_delivery_log_firehose *sink);

struct gw_delivery_log_flush {
    /* in */
    int64_t within_ms; /* then it is done, too, or as soon as Firehose is not to be asked before;
                          what is left is sent later */
    void (*done)(struct gw_delivery_log_flush *flush);
    /* its own */
    int64_t until_us;
    struct gw_msg msg;
    struct gw_timer timer;
    struct gw_delivery_log_firehose *sink;
};

/* Sends at once all that was added before. One at a time; lives until done. */
void gw_delivery_log_firehose_flush(struct gw_delivery_log_firehose *sink,
                                    struct gw_delivery_log_flush *flush);
