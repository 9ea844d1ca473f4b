/* lines.h: a file of any length, line by line, in bounded memory. */
#pragma once

#include "base/buf.h"

#include <stdio.h>

struct gw_lines {
    FILE *file;
    size_t bytes_max; /* of one line */
    struct gw_buf buf;
    size_t at; /* of what was not handed out yet */
    int64_t number;
    bool is_end;
};

enum gw_line {
    GW_LINE,
    GW_LINE_TOO_LONG, /* it was passed over */
    GW_LINE_END,      /* or the file cannot be read on: ferror() knows */
};

/* The next line, without its line feed and a carriage return before that; valid until the next
 * call. `number` is then its own, from 1. */
enum gw_line gw_lines_next(struct gw_lines *lines, struct gw_slice *line);

/* The next call gives the same line again. */
void gw_lines_unread(struct gw_lines *lines, struct gw_slice line);

void gw_lines_deinit(struct gw_lines *lines); /* the file stays the caller's */
