/* input.h: what a command is given to read. A path of "-" is standard input. */
#pragma once

#include "base/buf.h"

#include <stdio.h>

/* A whole file in memory, at most `max` bytes. -1: go on; else the exit code, and why was said. */
int gw_input_read(const char *path, size_t max, struct gw_buf *out);

/* An option's value: of "@FILE" what the file holds takes its place, kept in `text`, without the
 * line feeds at its end; others stay. -1: go on; else the exit code, and why was said. */
int gw_input_value(const char **value, struct gw_buf *text);

/* For reading piece by piece. -1: go on; else the exit code, and why was said. */
int gw_input_open(const char *path, FILE **file);
void gw_input_close(FILE *file); /* NULL is nothing */

const char *gw_input_name(const char *path); /* for people */
