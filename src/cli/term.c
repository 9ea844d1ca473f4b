/* term.c: standard output and standard error of the commands.
 *
 * Owns nothing but one flag: why standard output failed first, if it did. A reader that went away
 * (`gwh deliveries | head`) is no failure; a full disk is one, said once, at the end. One
 * thread. */
#include "cli/term.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int output_failed; /* errno */

/* ── Looking ───────────────────────────────────────────────────────────────────────────────── */

static bool is_set(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0';
}

static size_t number_of(const char *name)
{
    uint64_t number = 0;
    const char *value = getenv(name);

    if (value == NULL || !gw_slice_u64(gw_slice_from(value), &number) || number > 10000)
        return 0;
    return (size_t)number;
}

struct gw_term gw_term_look(int fd)
{
    struct gw_term term = {.is_tty = isatty(fd) == 1};
    struct winsize size = {0};

    if (!term.is_tty) {
        term.width = number_of("COLUMNS");
        return term;
    }
    const char *kind = getenv("TERM");
    term.has_colour = !is_set("NO_COLOR") && (kind == NULL || strcmp(kind, "dumb") != 0);
    if (ioctl(fd, TIOCGWINSZ, &size) == 0) {
        term.width = size.ws_col;
        term.height = size.ws_row;
    }
    if (term.width == 0)
        term.width = number_of("COLUMNS");
    if (term.width == 0)
        term.width = 80;
    if (term.height == 0)
        term.height = 24;
    return term;
}

/* ── Writing ───────────────────────────────────────────────────────────────────────────────── */

void gw_term_paint(const struct gw_term *term, struct gw_buf *out, enum gw_tone tone,
                   struct gw_slice text)
{
    static const char *const codes[] = {
        [GW_TONE_PLAIN] = "",       [GW_TONE_GOOD] = "\x1b[32m", [GW_TONE_WARN] = "\x1b[33m",
        [GW_TONE_BAD] = "\x1b[31m", [GW_TONE_DIM] = "\x1b[2m",   [GW_TONE_BOLD] = "\x1b[1m",
    };
    bool is_plain = tone == GW_TONE_PLAIN || !term->has_colour || text.len == 0;

    if (!is_plain)
        gw_buf_adds(out, gw_slice_from(codes[tone]));
    gw_buf_adds(out, text);
    if (!is_plain)
        gw_buf_adds(out, GW_SLICE("\x1b[0m"));
}

void gw_term_paintf(const struct gw_term *term, struct gw_buf *out, enum gw_tone tone,
                    const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len > 0)
        gw_term_paint(term, out, tone, gw_slice_from(text));
}

bool gw_term_flush(struct gw_buf *out)
{
    struct gw_slice left = gw_buf_slice(out);

    while (left.len > 0 && output_failed == 0) {
        ssize_t done = write(STDOUT_FILENO, left.ptr, left.len);
        if (done >= 0)
            left = gw_slice_skip(left, (size_t)done);
        else if (errno != EINTR)
            output_failed = errno;
    }
    gw_buf_clear(out);
    return output_failed == 0;
}

int gw_term_fail(int code, const char *format, ...)
{
    struct gw_buf line = {0};
    char text[1024];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    gw_buf_addf(&line, "gwh: %s\n", len >= 0 ? text : format);
    fwrite(line.ptr, 1, line.len, stderr);
    gw_buf_deinit(&line);
    return code;
}

int gw_term_finish(int code)
{
    if (fflush(stdout) != 0 && output_failed == 0)
        output_failed = errno;
    if (output_failed == 0 || output_failed == EPIPE)
        return code;
    char text[128];
    return gw_term_fail(code == 0 ? 1 : code, "cannot write: %s",
                        strerror_r(output_failed, text, sizeof(text)));
}
