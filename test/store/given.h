/* given.h: what tests put into a ledger, and how they look at it. All of it lives until the world's
 * end. */
#pragma once

#include "world.h"

/* ── Events ────────────────────────────────────────────────────────────────────────────────── */

struct given {
    const char *app, *type; /* NULL: "app", "type" */
    const char *event_id, *transaction_id;
    const char *body;  /* NULL: "{}" */
    int64_t at_ms;     /* 0: T0 */
    int64_t dedupe_ms; /* 0: a day */
    enum gw_skip skip;
    const uint64_t *lanes;
    size_t lane_count;
};

/* Starts to accept it; the offer, if there are lanes, comes to the world. */
struct gw_accept *accept_start(struct world *world, const struct given *given);
/* The same with a message of the caller's own making, whose reference is taken over. */
struct gw_accept *accept_message(struct world *world, struct gw_message *message,
                                 const uint64_t *lanes, size_t lane_count, int64_t dedupe_ms);
/* Accepts it: it must be new. */
struct gw_accept *accept_new(struct world *world, const struct given *given);
/* One delivery in that lane. */
struct gw_delivery given_delivery(struct world *world, uint64_t lane, int64_t at_ms);

void given_free(struct world *world); /* for world_destroy() */

/* ── Attempts ──────────────────────────────────────────────────────────────────────────────── */

#define GIVEN_URLS 2
extern const char *const given_urls[GIVEN_URLS];

/* One after another goes to each of them in turn. */
struct gw_attempt attempt_of(const struct gw_delivery *delivery, enum gw_outcome outcome,
                             int status);
/* What follows from it, with `due_ms` for the next one. */
struct gw_delivery failed_until(const struct gw_delivery *delivery, int64_t due_ms);
struct gw_delivery delivered(const struct gw_delivery *delivery);
struct gw_delivery dead(const struct gw_delivery *delivery);
struct gw_delivery ended(const struct gw_delivery *delivery, enum gw_end_reason reason);

/* Settles and waits. `with_attempt`: one that fits `next`. */
enum gw_err settle(struct world *world, const struct gw_delivery *next, uint64_t write_id,
                   bool with_attempt);
/* The next one, which must work. Returns `next`. */
struct gw_delivery settled(struct world *world, const struct gw_delivery *before,
                           struct gw_delivery next);

struct gw_retry_op *retry_start(struct world *world, const struct gw_id *id);
enum gw_err retry(struct world *world, const struct gw_id *id, struct gw_delivery *now);

struct gw_add *add_start(struct world *world, const struct gw_id *message_id, const char *key,
                         const uint64_t *lanes, size_t lane_count, int64_t now_ms);

/* ── Who did it ────────────────────────────────────────────────────────────────────────────── */

/* A line of the audit log, at T0; NULL: absent. */
struct gw_audit given_audit(const char *action, const char *app, const char *subject);

/* ── Looking ───────────────────────────────────────────────────────────────────────────────── */

/* NULL: there is none. With its body. */
const struct gw_event_row *find_message(struct world *world, const struct gw_id *id);
const struct gw_row *find_row(struct world *world, const struct gw_id *delivery_id);
struct gw_find *find(struct world *world, enum gw_find_key key, const char *app, const char *text);
struct gw_refill *refill(struct world *world, uint64_t lane, const struct gw_delivery *mark,
                         size_t max);
/* How many are open in that lane. */
size_t open_in(struct world *world, uint64_t lane);
/* What the ledger says is open, in all; where it counts. */
void assert_open(struct world *world, uint64_t count);
size_t log_count(struct gw_slice log);
/* The counters of a full tally are what its rows say, and its two sums close. */
void tally_closes(const struct gw_tally_op *op);

/* ── Equal ─────────────────────────────────────────────────────────────────────────────────── */

#define assert_ok(err) assert_int_equal((err), GW_OK)

void assert_slice_equal(struct gw_slice a, struct gw_slice b); /* absent and empty differ */
void assert_id_equal(const struct gw_id *a, const struct gw_id *b);
void assert_delivery_equal(const struct gw_delivery *a, const struct gw_delivery *b);
void assert_message_equal(const struct gw_message *a, const struct gw_message *b, bool with_body);
void assert_attempt_equal(const struct gw_attempt *a, const struct gw_attempt *b);
