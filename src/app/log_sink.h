/* log_sink.h: the delivery log of a home: whatever --log-url names. */
#pragma once

#include "app/settings.h"
#include "aws/client.h"
#include "store/delivery_log_firehose.h"
#include "store/delivery_log_writer.h"

/* All zeroes: none is kept. */
struct gw_log_sink {
    struct gw_env *env;
    struct gw_delivery_log_writer *writer; /* postgres://… */
    struct gw_delivery_log_firehose *firehose;
    struct gw_aws *own_aws; /* NULL = the home's */
};

/* On env's thread. `aws` is the env's, or NULL when the home has none. The settings must outlive it.
 * On failure there is nothing to close. */
enum gw_err gw_log_sink_open(struct gw_log_sink *sink, const struct gw_settings *settings,
                             struct gw_env *env, struct gw_aws *aws, struct gw_error *error);

struct gw_delivery_log *gw_log_sink_log(const struct gw_log_sink *sink); /* NULL = none is kept */

/* When nobody adds rows any more, and env's loop does not run: it may run for some seconds, so that
 * the last rows go out. */
void gw_log_sink_close(struct gw_log_sink *sink);
