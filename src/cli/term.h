/* term.h: what a command writes to, and how: a terminal or a file, with colours or without. */
#pragma once

#include "base/buf.h"

enum gw_tone { GW_TONE_PLAIN, GW_TONE_GOOD, GW_TONE_WARN, GW_TONE_BAD, GW_TONE_DIM, GW_TONE_BOLD };

struct gw_term {
    bool is_tty;
    bool has_colour; /* a terminal, and NO_COLOR is unset or empty */
    size_t width;    /* columns; 0 = nobody knows, nothing is cut */
    size_t height;
};

/* Looks at a descriptor; again whenever the window may have changed. */
struct gw_term gw_term_look(int fd);

/* Appends text in a tone. */
void gw_term_paint(const struct gw_term *term, struct gw_buf *out, enum gw_tone tone,
                   struct gw_slice text);
void gw_term_paintf(const struct gw_term *term, struct gw_buf *out, enum gw_tone tone,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Writes the buffer to standard output at once, and empties it. False: nobody reads any more, or
 * the disk is full; the command should end. */
bool gw_term_flush(struct gw_buf *out);

/* "gwh: …" on standard error. Returns code, so that a command can end with it. */
int gw_term_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The last thing a process does: what standard output refused for another reason than a reader
 * that went away makes a success a failure. */
int gw_term_finish(int code);
