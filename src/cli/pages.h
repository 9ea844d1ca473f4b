/* pages.h: lists that the API answers page by page. */
#pragma once

#include "cli/client.h"

struct gw_pages {
    const char *path;   /* with its query, without a cursor */
    const char *cursor; /* where to begin; NULL = at the start */
    size_t items_max;   /* then no further page is asked for */
    void (*each)(void *ctx, yyjson_val *item);
    void *ctx;
};

/* Walks all pages. A program asks for each by itself: with --json the first one is printed, and no
 * item is told. -1: done; else the exit code, and why was said. */
int gw_pages_walk(struct gw_client *client, const struct gw_pages *pages);
