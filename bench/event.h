/* The events the generator sends, each as a whole HTTP request, or many in one (NDJSON). One is built
 * for each app and patched in place from then on, so that making an event costs next to nothing. One
 * thread. */
#ifndef GW_BENCH_EVENT_H
#define GW_BENCH_EVENT_H

#include <stddef.h>
#include <stdint.h>

enum { GW_EVENT_HEADERS_MAX = 32, GW_EVENT_APPS_MAX = 10000, GW_EVENT_BATCH_MAX = 1000 };

struct gw_event_options {
    const char *path, *app, *event_type;
    const char *workflow;                      /* NULL = the event names none */
    const char *headers[GW_EVENT_HEADERS_MAX]; /* `name: value` */
    size_t header_count, body_bytes;
    unsigned app_count; /* events are for APP-1, APP-2, … in turn */
    unsigned port;
    unsigned batch; /* events in a request; 1 = each is a request of its own */
    uint64_t run;   /* the first half of every event id */
};

struct gw_event_source;

struct gw_event_source *gw_event_source_create(const struct gw_event_options *options);
void gw_event_source_destroy(struct gw_event_source *source);

/* The request with the event `seq`, or with the batch that begins there. The bytes stay valid until
 * the next call. */
const char *gw_event_make(struct gw_event_source *source, uint64_t seq, uint64_t sent_ns,
                          size_t *len);

#endif
