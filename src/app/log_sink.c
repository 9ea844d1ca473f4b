/* log_sink.c: owns the sink of the delivery log that --log-url names, and what it speaks with. */
#include "app/log_sink.h"

#include "app/data_dir.h"
#include "base/alloc.h"
#include "base/check.h"
#include "sys/loop.h"

#define LAST_MS 5000

static enum gw_err open_writer(struct gw_log_sink *sink, const struct gw_settings *settings,
                               struct gw_error *error)
{
    struct gw_buf dir = {0};
    gw_buf_addf(&dir, "%s/log-spool", settings->data);
    struct gw_delivery_log_writer_options options = {
        .url = settings->log_url,
        .dir = gw_buf_text(&dir),
        .memory_bytes_max = settings->log_memory_bytes,
        .spool_bytes_max = settings->log_spool_bytes,
        /* Events come first: below the reserve none are taken. */
        .disk_free_min_bytes = settings->disk_reserve_bytes * 2,
    };
    enum gw_err err = gw_data_dir_make(settings->data, error);
    if (err == GW_OK)
        err = gw_delivery_log_writer_open(&options, sink->env, &sink->writer, error);
    gw_buf_deinit(&dir);
    return err;
}

static enum gw_err open_firehose(struct gw_log_sink *sink, const struct gw_settings *settings,
                                 struct gw_aws *aws, struct gw_error *error)
{
    enum gw_err err = aws ? GW_OK : gw_aws_create(sink->env, &sink->own_aws, error);
    if (err != GW_OK)
        return err;
    if (!aws)
        aws = sink->own_aws;
    sink->firehose = gw_delivery_log_firehose_create(sink->env, &aws->clients[GW_AWS_FIREHOSE],
                                                     gw_settings_log_stream(settings),
                                                     settings->log_memory_bytes);
    return GW_OK;
}

enum gw_err gw_log_sink_open(struct gw_log_sink *sink, const struct gw_settings *settings,
                             struct gw_env *env, struct gw_aws *aws, struct gw_error *error)
{
    *sink = (struct gw_log_sink){.env = env};
    if (!settings->log_url)
        return GW_OK;
    return gw_settings_log_stream(settings) ? open_firehose(sink, settings, aws, error)
                                            : open_writer(sink, settings, error);
}

struct gw_delivery_log *gw_log_sink_log(const struct gw_log_sink *sink)
{
    if (sink->writer)
        return gw_delivery_log_writer_log(sink->writer);
    return sink->firehose ? gw_delivery_log_firehose_log(sink->firehose) : NULL;
}

struct last {
    struct gw_delivery_log_flush flush;
    struct gw_env *env;
};

static void on_flushed(struct gw_delivery_log_flush *flush)
{
    gw_loop_stop(gw_container_of(flush, struct last, flush)->env);
}

void gw_log_sink_close(struct gw_log_sink *sink)
{
    struct last last = {.flush = {.within_ms = LAST_MS, .done = on_flushed}, .env = sink->env};
    if (sink->writer)
        gw_delivery_log_writer_close(sink->writer);
    if (sink->firehose) {
        gw_delivery_log_firehose_flush(sink->firehose, &last.flush);
        gw_loop_run(sink->env);
        gw_delivery_log_firehose_destroy(sink->firehose);
    }
    gw_aws_destroy(sink->own_aws);
    *sink = (struct gw_log_sink){0};
}
