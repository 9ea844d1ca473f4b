/* What the sink has received: counts, the exact set of ids, latency. Any thread may call. */
#ifndef GW_BENCH_TALLY_H
#define GW_BENCH_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct gw_tally;

/* One request as the parser saw it; `id` is the webhook-id header, empty when there was none. */
struct gw_tally_request {
    const char *target, *id, *body;
    size_t target_len, id_len, body_len;
    uint64_t now_ns;
};

/* `keeps_times`: of the first receipt of each event of the generator. */
struct gw_tally *gw_tally_create(bool keeps_times);
void gw_tally_destroy(struct gw_tally *tally);

/* Returns how many different ids have come so far, this one included. */
uint64_t gw_tally_record(struct gw_tally *tally, const struct gw_tally_request *request);
/* Counts, ids and latency begin anew. Which events were ever seen, and when, stays. */
void gw_tally_reset(struct gw_tally *tally);
/* One JSON object without a line end. */
void gw_tally_print_json(struct gw_tally *tally, FILE *out);
/* A record for each run of the generator; see gw_bitmap_append. */
void gw_tally_write_seen(struct gw_tally *tally, const char *path);
void gw_tally_write_times(struct gw_tally *tally, const char *path); /* see gw_times_append */

#endif
