/* input.h: a whole file, or standard input, in memory. */
#pragma once

#include "base/buf.h"

/* "-" is standard input. At most `max` bytes. -1: go on; else the exit code, and why was said. */
int gw_input_read(const char *path, size_t max, struct gw_buf *out);
