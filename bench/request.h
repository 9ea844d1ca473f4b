/* The head of an HTTP/1.1 request, as far as the sink needs it. Pure: reads the bytes given, no more.
 *
 * Bodies have a Content-Length or are empty; a Transfer-Encoding is refused. */
#ifndef GW_BENCH_REQUEST_H
#define GW_BENCH_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

/* Offsets count from the start of the request, for the buffer may move while the body arrives. */
struct gw_request {
    size_t head_len; /* 0: the head is not complete yet */
    size_t body_len;
    size_t target_at, target_len;
    size_t id_at, id_len; /* the webhook-id header */
    bool is_post, is_get, has_length, expects_continue, close_after;
    unsigned reject_status; /* 0, else what to answer before closing */
};

/* Fills `request`. Returns how many bytes need no second look when the head is not complete yet: give
 * that back as `scanned` once there are more. */
size_t gw_request_parse(struct gw_request *request, const char *start, size_t have, size_t scanned);

#endif
