/* client.h: the commands' way to the API: one request, one answer, on a loop of its own.
 *
 * The server is GWH_URL, the key GWH_KEY or DIR/admin.key. One thread; a call blocks. What goes
 * wrong is said on standard error, in one line, before a function returns an exit code. */
#pragma once

#include "base/arena.h"
#include "base/timefmt.h"
#include "cli/options.h"
#include "sys/loop.h"

#include <yyjson.h>

/* What every client command takes. */
struct gw_client_options {
    int json;
    const char *data_dir;
};

#define GW_CLIENT_OPTIONS(options)                                                                 \
    {.name = "json", .help = "print JSON, for programs", .flag = &(options).json},                 \
    {                                                                                              \
        .name = "data", .value = "DIR", .help = "where admin.key is (./gwh-data)",                 \
        .text = &(options).data_dir                                                                \
    }

struct gw_client {
    struct gw_env *env;
    struct gw_arena arena; /* all below */
    const char *base;      /* the URL before "/v1", without a slash at its end */
    const char *host;
    uint16_t port;
    struct gw_addr addrs[GW_RESOLVE_ADDRS_MAX];
    size_t addr_count;
    const char *key_lines[2]; /* "appid: …", "appkey: …" */
    const char *key_from;     /* "GWH_KEY", or a file's path */
    bool json;
    const char *about; /* of several, what is asked about now: complaints name it; NULL = none */
};

/* -1: go on; else the exit code. To be closed in either case. */
int gw_client_open(struct gw_client *client, const struct gw_client_options *options);
void gw_client_close(struct gw_client *client);

struct gw_client_request {
    const char *method;
    const char *path; /* with the query: "/v1/deliveries?limit=5" */
    struct gw_slice body;
    const char *content_type; /* of the body; NULL = application/json */
    const char *if_match;     /* may be NULL */
    int64_t timeout_ms;       /* 0 = a minute */
};

/* Owned by the caller; deinit in every case. */
struct gw_client_answer {
    struct gw_arena arena;
    int status; /* 0: none came */
    struct gw_slice body;
    yyjson_doc *doc;    /* NULL: not JSON */
    yyjson_val *result; /* of the envelope; NULL: none */
};

void gw_client_answer_deinit(struct gw_client_answer *answer);

/* Blocks until the answer is there, and says so on a terminal while that takes long. -1: it is a success (2xx, JSON, with a result), go on; else the
 * exit code, and why has been said. With --json the answer has been printed, in both cases. */
int gw_client_call(struct gw_client *client, const struct gw_client_request *request,
                   struct gw_client_answer *answer);

/* The same without judging: -1: an answer is there, whatever it says, and nothing was printed. */
int gw_client_ask(struct gw_client *client, const struct gw_client_request *request,
                  struct gw_client_answer *answer);
/* Says what an answer refuses; returns the exit code. */
int gw_client_refused(const struct gw_client *client, const struct gw_client_answer *answer);

/* The same in two halves, for commands with many requests at once: fills a call to be given to
 * gw_env_http(); the caller sets `done`. The request's strings must live as long as the call. */
void gw_client_prepare(const struct gw_client *client, const struct gw_client_request *request,
                       struct gw_arena *arena, struct gw_http_call *call);
/* Why a call that has ended brought no answer, for people. */
void gw_client_explain(const struct gw_client *client, const struct gw_http_call *call,
                       struct gw_buf *out);

/* Appends "?name=value" or "&name=value", encoded; nothing when value is NULL. */
void gw_client_add_query(struct gw_buf *path, const char *name, const char *value);
/* Appends "/" and the encoded segment. */
void gw_client_add_segment(struct gw_buf *path, const char *segment);

/* A member's text; ptr NULL when it is none. */
struct gw_slice gw_client_text(yyjson_val *object, const char *name);
int64_t gw_client_number(yyjson_val *object, const char *name, int64_t otherwise);
double gw_client_real(yyjson_val *object, const char *name, double otherwise);
/* A time; GW_NEVER when there is none. */
int64_t gw_client_time(yyjson_val *object, const char *name);
