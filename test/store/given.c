/* given.c: see given.h. */
#include "given.h"

/* ── Events ────────────────────────────────────────────────────────────────────────────────── */

struct box {
    struct gw_list link;
    struct gw_accept op;
};

struct gw_accept *accept_message(struct world *world, struct gw_message *message,
                                 const uint64_t *lanes, size_t lane_count, int64_t dedupe_ms)
{
    struct box *box = gw_arena_zalloc(&world->arena, sizeof(*box));
    uint64_t *copy = gw_arena_alloc(&world->arena, lane_count * sizeof(*copy));

    if (lane_count > 0)
        memcpy(copy, lanes, lane_count * sizeof(*copy));
    gw_list_push(&world->accepts, &box->link);
    box->op = (struct gw_accept){
        .message = message,
        .lanes = copy,
        .lane_count = lane_count,
        .dedupe_ms = dedupe_ms,
        .offer = lane_count > 0 ? offer_make(world, message, lane_count) : NULL,
    };
    START(world, ledger, accept, &box->op);
    return &box->op;
}

static const char *or_default(const char *text, const char *fallback)
{
    return text ? text : fallback;
}

struct gw_accept *accept_start(struct world *world, const struct given *given)
{
    struct gw_event event = {
        .body = gw_slice_from(or_default(given->body, "{}")),
        .app_id = gw_slice_from(or_default(given->app, "app")),
        .event_type = gw_slice_from(or_default(given->type, "type")),
        .event_id = gw_slice_from(given->event_id),
        .transaction_id = gw_slice_from(given->transaction_id),
    };
    struct gw_message *message = gw_message_create(&event, given->at_ms ? given->at_ms : T0);

    message->skip = given->skip;
    return accept_message(world, message, given->lanes, given->lane_count,
                          given->dedupe_ms ? given->dedupe_ms : DAY_MS);
}

struct gw_accept *accept_new(struct world *world, const struct given *given)
{
    struct gw_accept *op = accept_start(world, given);

    world_wait(world);
    assert_ok(op->op.err);
    assert_false(op->existing);
    assert_int_equal(op->delivery_count, given->lane_count);
    return op;
}

struct gw_delivery given_delivery(struct world *world, uint64_t lane, int64_t at_ms)
{
    return accept_new(world, &(struct given){.at_ms = at_ms, .lanes = &lane, .lane_count = 1})
        ->deliveries[0];
}

/* What a crash cut off may have gone anywhere. */
void given_free(struct world *world)
{
    gw_list_each (link, &world->accepts) {
        struct gw_accept *op = &gw_container_of(link, struct box, link)->op;
        if (!is_done(&op->op)) {
            sim_bury(op->offer);
            sim_bury(op->message);
            continue;
        }
        if (!op->offered)
            offer_free(op->offer);
        gw_message_unref(op->message);
    }
    gw_list_init(&world->accepts);
}

/* ── Attempts ──────────────────────────────────────────────────────────────────────────────── */

const char *const given_urls[GIVEN_URLS] = {"https://example.com/hook", "https://example.com/new"};

struct gw_attempt attempt_of(const struct gw_delivery *delivery, enum gw_outcome outcome,
                             int status)
{
    return (struct gw_attempt){
        .n = delivery->attempts + 1,
        .at_ms = T0 + 1000 * (int64_t)delivery->attempts,
        .outcome = outcome,
        .status = status,
        .total_us = 1234,
        .config_version = 7,
        .url = gw_slice_from(given_urls[delivery->attempts % GIVEN_URLS]),
        .error = outcome == GW_OUTCOME_SUCCESS ? GW_SLICE("") : GW_SLICE("it failed"),
        .excerpt = GW_SLICE("reply"),
    };
}

struct gw_delivery failed_until(const struct gw_delivery *delivery, int64_t due_ms)
{
    struct gw_delivery next = *delivery;

    next.attempts++;
    next.step++;
    next.due_ms = due_ms;
    return next;
}

struct gw_delivery delivered(const struct gw_delivery *delivery)
{
    return gw_delivery_after_attempt(delivery, GW_OUTCOME_SUCCESS, 204, 0, &gw_retry_default,
                                     T0 + 5000, 0);
}

struct gw_delivery dead(const struct gw_delivery *delivery)
{
    return gw_delivery_after_attempt(delivery, GW_OUTCOME_HTTP_ERROR, 410, 0, &gw_retry_default,
                                     T0 + 6000, 0);
}

struct gw_delivery ended(const struct gw_delivery *delivery, enum gw_end_reason reason)
{
    return gw_delivery_end(delivery, reason, T0 + 7000);
}

enum gw_err settle(struct world *world, const struct gw_delivery *next, uint64_t write_id,
                   bool with_attempt)
{
    struct gw_delivery before = *next;
    bool is_good = next->state == GW_DELIVERY_DELIVERED;

    before.attempts -= with_attempt;
    struct gw_attempt attempt = attempt_of(
        &before, is_good ? GW_OUTCOME_SUCCESS : GW_OUTCOME_HTTP_ERROR, is_good ? 204 : 500);
    struct gw_settle op = {
        .write_id = write_id,
        .attempt = with_attempt ? &attempt : NULL,
        .next = *next,
    };
    return CALL(world, ledger, settle, &op);
}

struct gw_delivery settled(struct world *world, const struct gw_delivery *before,
                           struct gw_delivery next)
{
    bool with_attempt = next.attempts != before->attempts;
    struct gw_claim claim = {.delivery = *before, .lease_ms = 45000};
    uint64_t write_id = (uint64_t)before->attempts + 1;

    if (world->backend->is_shared) {
        assert_ok(CALL(world, ledger, claim, &claim));
        write_id = claim.write_id;
    }
    assert_ok(settle(world, &next, write_id, with_attempt));
    return next;
}

struct gw_retry_op *retry_start(struct world *world, const struct gw_id *id)
{
    struct gw_retry_op *op = gw_arena_zalloc(&world->arena, sizeof(*op));

    op->delivery_id = *id;
    op->now_ms = T0;
    op->offer = offer_make(world, NULL, 1);
    START(world, ledger, retry, op);
    return op;
}

enum gw_err retry(struct world *world, const struct gw_id *id, struct gw_delivery *now)
{
    struct gw_retry_op *op = retry_start(world, id);

    world_wait(world);
    *now = op->delivery;
    assert_int_equal(op->offered, op->op.err == GW_OK && !world->backend->is_shared);
    if (!op->offered)
        offer_free(op->offer);
    return op->op.err;
}

struct gw_add *add_start(struct world *world, const struct gw_id *message_id, const char *key,
                         const uint64_t *lanes, size_t lane_count, int64_t now_ms)
{
    struct gw_add *op = gw_arena_zalloc(&world->arena, sizeof(*op));
    uint64_t *copy = gw_arena_alloc(&world->arena, lane_count * sizeof(*copy));

    memcpy(copy, lanes, lane_count * sizeof(*copy));
    op->message_id = *message_id;
    op->key = gw_slice_from(key);
    op->lanes = copy;
    op->lane_count = lane_count;
    op->now_ms = now_ms;
    op->offer = offer_make(world, NULL, lane_count);
    START(world, ledger, add, op);
    return op;
}

/* ── Who did it ────────────────────────────────────────────────────────────────────────────── */

struct gw_audit given_audit(const char *action, const char *app, const char *subject)
{
    return (struct gw_audit){
        .at_ms = T0,
        .actor = GW_SLICE("somebody"),
        .address = GW_SLICE("192.0.2.1"),
        .action = action,
        .app_id = gw_slice_from(app),
        .subject = gw_slice_from(subject),
    };
}

/* ── Looking ───────────────────────────────────────────────────────────────────────────────── */

const struct gw_event_row *find_message(struct world *world, const struct gw_id *id)
{
    struct gw_find op = {
        .arena = &world->arena, .key = GW_FIND_MESSAGE, .id = *id, .with_body = true, .max = 10};

    assert_ok(CALL(world, ledger, find, &op));
    assert_true(op.count <= 1);
    return op.count ? op.events : NULL;
}

const struct gw_row *find_row(struct world *world, const struct gw_id *delivery_id)
{
    struct gw_find op = {
        .arena = &world->arena, .key = GW_FIND_DELIVERY, .id = *delivery_id, .max = 10};

    assert_ok(CALL(world, ledger, find, &op));
    assert_true(op.count <= 1);
    for (size_t i = 0; op.count && i < op.events->count; i++)
        if (gw_id_eq(&op.events->rows[i].delivery.id, delivery_id))
            return &op.events->rows[i];
    assert_int_equal(op.count, 0);
    return NULL;
}

struct gw_find *find(struct world *world, enum gw_find_key key, const char *app, const char *text)
{
    struct gw_find *op = gw_arena_zalloc(&world->arena, sizeof(*op));

    op->arena = &world->arena;
    op->key = key;
    op->app_id = gw_slice_from(app);
    op->text = gw_slice_from(text);
    op->max = 100;
    assert_ok(CALL(world, ledger, find, op));
    return op;
}

struct gw_refill *refill(struct world *world, uint64_t lane, const struct gw_delivery *mark,
                         size_t max)
{
    struct gw_refill *op = gw_arena_zalloc(&world->arena, sizeof(*op));

    op->lane = lane;
    op->after_due_ms = mark ? mark->due_ms : INT64_MIN;
    op->after_order = mark ? mark->order : 0;
    op->deliveries = gw_arena_alloc(&world->arena, max * sizeof(*op->deliveries));
    op->max = max;
    assert_ok(CALL(world, ledger, refill, op));
    assert_true(op->count <= max);
    return op;
}

size_t open_in(struct world *world, uint64_t lane)
{
    struct gw_refill *op = refill(world, lane, NULL, ROOM);

    assert_true(op->complete);
    return op->count;
}

void assert_open(struct world *world, uint64_t count)
{
    if (!world->backend->is_shared)
        assert_int_equal(gw_ledger_state(world->ledger).open, count);
}

size_t log_count(struct gw_slice log)
{
    struct gw_attempt attempt;
    size_t count = 0;

    while (gw_attempt_unpack(&log, &attempt))
        count++;
    assert_int_equal(log.len, 0);
    return count;
}

void tally_closes(const struct gw_tally_op *op)
{
    const int64_t *of = op->counted.of;
    int64_t open = 0;

    for (size_t i = 0; i < op->open_count; i++)
        open += (int64_t)op->open[i].count;
    for (size_t i = 0; i < GW_TALLY_COUNTS; i++)
        if (i != GW_TALLY_DUPLICATE && op->rows.of[i] != of[i]) {
            print_message("%s: counted %lld, rows %lld\n", gw_tally_name((enum gw_tally_count)i),
                          (long long)of[i], (long long)op->rows.of[i]);
            fail();
        }
    assert_int_equal(of[GW_TALLY_RECEIVED], of[GW_TALLY_ROUTED] + of[GW_TALLY_NO_CONFIG] +
                                                of[GW_TALLY_INACTIVE] + of[GW_TALLY_FILTERED]);
    assert_int_equal(of[GW_TALLY_CREATED],
                     of[GW_TALLY_DELIVERED] + of[GW_TALLY_DEAD] + of[GW_TALLY_CANCELLED] + open);
}

/* ── Equal ─────────────────────────────────────────────────────────────────────────────────── */

void assert_slice_equal(struct gw_slice a, struct gw_slice b)
{
    assert_int_equal(a.ptr == NULL, b.ptr == NULL);
    assert_int_equal(a.len, b.len);
    if (a.len > 0)
        assert_memory_equal(a.ptr, b.ptr, a.len);
}

void assert_id_equal(const struct gw_id *a, const struct gw_id *b)
{
    assert_true(a->len > 0);
    assert_true(gw_id_eq(a, b));
}

void assert_delivery_equal(const struct gw_delivery *a, const struct gw_delivery *b)
{
    assert_id_equal(&a->id, &b->id);
    assert_id_equal(&a->message_id, &b->message_id);
    assert_int_equal(a->lane, b->lane);
    assert_int_equal(a->order, b->order);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->reason, b->reason);
    assert_int_equal(a->attempts, b->attempts);
    assert_int_equal(a->step, b->step);
    assert_int_equal(a->due_ms, b->due_ms);
    assert_int_equal(a->resume_ms, b->resume_ms);
    assert_int_equal(a->created_ms, b->created_ms);
    assert_int_equal(a->ended_ms, b->ended_ms);
}

void assert_message_equal(const struct gw_message *a, const struct gw_message *b, bool with_body)
{
    assert_id_equal(&a->id, &b->id);
    assert_int_equal(a->accepted_ms, b->accepted_ms);
    assert_int_equal(a->skip, b->skip);
    assert_int_equal(a->config_version, b->config_version);
    assert_slice_equal(a->app_id, b->app_id);
    assert_slice_equal(a->event_type, b->event_type);
    assert_slice_equal(a->event_id, b->event_id);
    assert_slice_equal(a->transaction_id, b->transaction_id);
    assert_slice_equal(a->workflow_id, b->workflow_id);
    assert_slice_equal(a->event_time, b->event_time);
    if (with_body)
        assert_slice_equal(a->body, b->body);
}

void assert_attempt_equal(const struct gw_attempt *a, const struct gw_attempt *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->at_ms, b->at_ms);
    assert_int_equal(a->outcome, b->outcome);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->queue_us, b->queue_us);
    assert_int_equal(a->dns_us, b->dns_us);
    assert_int_equal(a->connect_us, b->connect_us);
    assert_int_equal(a->tls_us, b->tls_us);
    assert_int_equal(a->first_byte_us, b->first_byte_us);
    assert_int_equal(a->total_us, b->total_us);
    assert_int_equal(a->config_version, b->config_version);
    assert_true(gw_addr_eq(&a->address, &b->address));
    assert_true(gw_slice_eq(a->url, b->url));
    assert_true(gw_slice_eq(a->error, b->error));
    assert_true(gw_slice_eq(a->excerpt, b->excerpt));
}
