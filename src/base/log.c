/* log.c: log lines. Owns the process's log level. Any thread: a line is built on the stack and leaves
 * in one write(2); if nobody takes it (stderr closed or full), it is lost and nothing else is. */
#include "base/log.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/timefmt.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define TAIL     "}\n"
#define TAIL_CUT ",\"cut\":true}\n"
#define BODY_MAX (PIPE_BUF - sizeof(TAIL_CUT)) /* so that either tail always fits */

struct line {
    size_t len;
    bool is_cut;
    char text[PIPE_BUF];
};

static const char *const level_names[] = {
    [GW_LOG_ERROR] = "error",
    [GW_LOG_WARN] = "warn",
    [GW_LOG_INFO] = "info",
    [GW_LOG_DEBUG] = "debug",
};

static atomic_int level_max = GW_LOG_INFO;
static _Atomic uint64_t counts[GW_LOG_DEBUG + 1];

uint64_t gw_log_count(enum gw_log_level level)
{
    return atomic_load_explicit(&counts[level], memory_order_relaxed);
}

void gw_log_level_set(enum gw_log_level level)
{
    atomic_store_explicit(&level_max, (int)level, memory_order_relaxed);
}

bool gw_log_level_parse(struct gw_slice text, enum gw_log_level *level)
{
    for (size_t i = 0; i < gw_count(level_names); i++) {
        if (gw_slice_is(text, level_names[i])) {
            *level = (enum gw_log_level)i;
            return true;
        }
    }
    return false;
}

const char *gw_log_level_name(enum gw_log_level level)
{
    gw_check((size_t)level < gw_count(level_names));
    return level_names[level];
}

static bool put(struct line *line, struct gw_slice s)
{
    if (s.len > BODY_MAX - line->len)
        return false;
    memcpy(line->text + line->len, s.ptr, s.len);
    line->len += s.len;
    return true;
}

/* One character of JSON text for the `step` bytes at `at`; 0 = bytes that are not UTF-8. What a
 * terminal would obey (C0, DEL, C1) is escaped too. */
static size_t escape(const char *at, size_t step, char out[8])
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* character, letter, … */
    unsigned c = (unsigned char)at[0];

    if (step == 0) {
        memcpy(out, "\xEF\xBF\xBD", 3);
        return 3;
    }
    if (step == 2 && c == 0xC2)
        c = (unsigned char)at[1];
    for (size_t i = 0; step == 1 && i < sizeof(shorts) - 1; i += 2) {
        if (at[0] == shorts[i]) {
            out[0] = '\\';
            out[1] = shorts[i + 1];
            return 2;
        }
    }
    if (c < 0x20 || (c >= 0x7F && c < 0xA0))
        return (size_t)snprintf(out, 8, "\\u%04x", c);
    memcpy(out, at, step);
    return step;
}

/* Cuts a text that is too long between two characters. False = not even the quotes fit. */
static bool put_text(struct line *line, struct gw_slice text)
{
    if (text.ptr == NULL)
        return put(line, GW_SLICE("null"));
    if (!put(line, GW_SLICE("\"")))
        return false;
    while (text.len > 0) {
        char escaped[8];
        size_t step = gw_slice_utf8_step(text);
        size_t len = escape(text.ptr, step, escaped);
        if (len + 1 > BODY_MAX - line->len) {
            line->is_cut = true;
            break;
        }
        put(line, (struct gw_slice){escaped, len});
        text = gw_slice_skip(text, step ? step : 1);
    }
    return put(line, GW_SLICE("\""));
}

static bool put_value(struct line *line, const struct gw_log_field *field)
{
    char number[24];

    switch (field->kind) {
    case GW_FIELD_TEXT: return put_text(line, field->text);
    case GW_FIELD_BOOL: return put(line, field->number ? GW_SLICE("true") : GW_SLICE("false"));
    case GW_FIELD_NUMBER: break;
    }
    snprintf(number, sizeof(number), "%lld", (long long)field->number);
    return put(line, gw_slice_from(number));
}

/* All of the field (its text perhaps cut), or nothing of it. */
static void put_field(struct line *line, const struct gw_log_field *field)
{
    size_t before = line->len;

    if (field->name == NULL || line->is_cut)
        return;
    if (put(line, before > 1 ? GW_SLICE(",") : GW_SLICE("")) &&
        put_text(line, gw_slice_from(field->name)) && !line->is_cut && put(line, GW_SLICE(":")) &&
        put_value(line, field))
        return;
    line->len = before;
    line->is_cut = true;
}

static void put_tail(struct line *line)
{
    struct gw_slice tail = line->is_cut ? GW_SLICE(TAIL_CUT) : GW_SLICE(TAIL);

    memcpy(line->text + line->len, tail.ptr, tail.len);
    line->len += tail.len;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void gw_log_write(enum gw_log_level level, const char *event, const struct gw_log_field *fields,
                  size_t count)
{
    struct line line;
    char at[GW_TIME_TEXT_MAX];
    int saved_errno = errno;

    if ((int)level > atomic_load_explicit(&level_max, memory_order_relaxed))
        return;
    atomic_fetch_add_explicit(&counts[level], 1, memory_order_relaxed);
    line.is_cut = false;
    line.text[0] = '{';
    line.len = 1;
    put_field(&line, &GW_SL("at", gw_time_text(now_ms(), at)));
    put_field(&line, &GW_S("level", gw_log_level_name(level)));
    put_field(&line, &GW_S("event", event));
    for (size_t i = 0; i < count; i++)
        put_field(&line, &fields[i]);
    put_tail(&line);
    while (write(STDERR_FILENO, line.text, line.len) < 0 && errno == EINTR)
        continue;
    errno = saved_errno;
}
