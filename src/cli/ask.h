/* ask.h: what the client commands share: open the way to the API, ask, tell people what came, close.
 *
 * A command says what it asks for and how the answer is told to people; programs (--json) get the
 * answer as it came. Each function returns the command's exit code, and what went wrong has been
 * said on standard error by then. */
#pragma once

#include "cli/client.h"
#include "cli/table.h"

#define GW_ASK_QUERY_MAX 12

struct gw_ask_query {
    const char *name, *value; /* without a value it is left out */
};

/* What is written for people; shown when all of it is told. */
struct gw_page {
    struct gw_term term; /* of standard output */
    struct gw_buf out;
    struct gw_table table; /* of a list with columns */
    size_t item_count;     /* of a list: told before this one */
    int64_t now_ms;
    void *ctx; /* the command's own */
};

/* A cell: how long ago that was, and `behind`; empty for GW_NEVER. */
void gw_page_add_age(struct gw_page *page, int64_t at_ms, const char *behind);

struct gw_ask {
    const char *method; /* NULL = GET */
    const char *path;   /* "/v1/deliveries" */
    const char *id;     /* behind it, encoded: "/ID"; NULL = none */
    const char *action; /* behind that: "/retry"; NULL = none */
    struct gw_ask_query query[GW_ASK_QUERY_MAX];
    struct gw_slice body;
    const char *if_match; /* NULL = whatever its version is */
    int64_t timeout_ms;   /* 0 = a minute */

    void (*tell)(struct gw_page *page, yyjson_val *result);
    bool (*is_yes)(yyjson_val *result); /* else exit 1; NULL = any answer will do */
    void *ctx;
};

/* Asks on a client that is open. */
int gw_ask(struct gw_client *client, const struct gw_ask *ask);

/* Opens, asks, closes. */
int gw_ask_once(const struct gw_client_options *options, const struct gw_ask *ask);

/* The same for each id, whatever came of the others. The worst exit code; page->ctx is the id. */
int gw_ask_each(const struct gw_client_options *options, const struct gw_ask *ask, char **ids,
                size_t count);

/* The document as a request's body, and frees it. */
void gw_ask_body(yyjson_mut_doc *doc, struct gw_buf *body);

/* ── Lists, which the API answers page by page ─────────────────────────────────────────────── */

struct gw_list_options {
    struct gw_client_options common;
    const char *cursor; /* where to begin; NULL = at the start */
    int wide;           /* no cell of a table is cut */
};

#define GW_LIST_OPTIONS(options)                                                                   \
    {.name = "cursor",                                                                             \
     .value = "C",                                                                                 \
     .help = "go on behind an earlier page",                                                       \
     .text = &(options).cursor},                                                                   \
        {.name = "wide", .help = "cut nothing", .flag = &(options).wide},                          \
        GW_CLIENT_OPTIONS((options).common)

struct gw_ask_list {
    const char *path;
    struct gw_ask_query query[GW_ASK_QUERY_MAX];
    int64_t limit; /* of items; 0 = all, up to a hundred thousand */

    /* Tells one: cells to page->table where there are columns, else text to page->out. */
    void (*tell)(struct gw_page *page, yyjson_val *item);
    const struct gw_table_column *columns;
    size_t column_count;
    const char *none; /* what is said when there are no items */
};

/* Opens, walks the pages, closes. A program walks by itself: with --json one page is printed. */
int gw_ask_list(const struct gw_list_options *options, const struct gw_ask_list *list);
