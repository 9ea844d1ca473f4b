/* log.h: one event, one line of JSON on stderr: {"at":…,"level":…,"event":…,fields}.
 *
 * Never a secret, never a payload, never a URL's query. Field names are literals. Thread-safe: a
 * line is one write(2). `at` is real time: a log line is for people, nothing reads it back. */
#pragma once

#include "base/slice.h"

enum gw_log_level { GW_LOG_ERROR, GW_LOG_WARN, GW_LOG_INFO, GW_LOG_DEBUG };

struct gw_log_field {
    const char *name; /* NULL = ignored */
    enum { GW_FIELD_TEXT, GW_FIELD_NUMBER, GW_FIELD_BOOL } kind;
    struct gw_slice text;
    int64_t number;
};

#define GW_S(name, cstr)   ((struct gw_log_field){(name), GW_FIELD_TEXT, gw_slice_from(cstr), 0})
#define GW_SL(name, slice) ((struct gw_log_field){(name), GW_FIELD_TEXT, (slice), 0})
#define GW_I(name, value)  ((struct gw_log_field){(name), GW_FIELD_NUMBER, {0}, (int64_t)(value)})
#define GW_B(name, value)  ((struct gw_log_field){(name), GW_FIELD_BOOL, {0}, (value) ? 1 : 0})

/* How many lines of that level were written. */
uint64_t gw_log_count(enum gw_log_level level);

void gw_log_level_set(enum gw_log_level level); /* lines below it are dropped; default info */
bool gw_log_level_parse(struct gw_slice text, enum gw_log_level *level);
const char *gw_log_level_name(enum gw_log_level level); /* "warn" */

/* An absent text is null. A line has at most 4096 bytes (PIPE_BUF: no two lines ever mix); what
 * does not fit is left out, and "cut":true says so. errno stays. */
void gw_log_write(enum gw_log_level level, const char *event, const struct gw_log_field *fields,
                  size_t count);

/* gw_log(GW_LOG_INFO, "listening", GW_S("address", "127.0.0.1"), GW_I("port", 8080)); */
#define gw_log(level, event, ...)                                                                  \
    gw_log_write((level), (event), (const struct gw_log_field[]){{0}, ##__VA_ARGS__},              \
                 sizeof((const struct gw_log_field[]){{0}, ##__VA_ARGS__}) /                       \
                     sizeof(struct gw_log_field))
