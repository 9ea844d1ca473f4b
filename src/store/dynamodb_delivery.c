/* dynamodb_delivery.c: how a delivery changes: claimed before a POST, settled after it, made due by
 * hand. Each is one conditional update of its item:
 *
 *   claim    if it is open, as the caller knows it, and no lease lasts ─▶ lease_ms, write_id
 *   settle   if the write id is shown ─▶ the next state, an attempt; write_id becomes done_id
 *
 * A refused update tells what stands there. When an answer was lost the item is read, and tells the
 * same: a claim of ours bears our write id, a settle of ours has it as done_id. So a repeated settle
 * is known, and nobody who lost his lease to another can settle any more. */
#include "store/dynamodb_impl.h"

#include "base/check.h"

#define TRIES_MAX 4

/* ── Shared ────────────────────────────────────────────────────────────────────────────────── */

struct place {
    struct gw_slice pk, sk;
};

static bool find_place(struct dynamodb_run *run, const struct gw_id *delivery_id,
                       struct place *place)
{
    struct gw_id message_id;
    unsigned number;

    if (!dynamodb_delivery_place(delivery_id, &message_id, &number))
        return false;
    place->pk = dynamodb_pk(&run->arena, &message_id);
    place->sk = dynamodb_sk(&run->arena, number);
    return true;
}

static struct gw_aws_dynamodb *update(struct dynamodb_run *run, const struct place *place)
{
    struct gw_aws_dynamodb *db = dynamodb_request_on(run, GW_AWS_UPDATE_ITEM, DYNAMODB_LEDGER);

    dynamodb_put_key(run, db->root, place->pk, place->sk);
    dynamodb_put(run, db->root, "ReturnValuesOnConditionCheckFailure", "ALL_OLD");
    return db;
}

static void value(struct dynamodb_run *run, const char *name, int64_t number)
{
    gw_aws_dynamodb_put_number(&run->db, dynamodb_values(run, run->db.root), name, number);
}

static void get(struct dynamodb_run *run, const struct place *place, dynamodb_fn *next)
{
    struct gw_aws_dynamodb *db = dynamodb_request_on(run, GW_AWS_GET_ITEM, DYNAMODB_LEDGER);

    dynamodb_put_key(run, db->root, place->pk, place->sk);
    dynamodb_put_flag(run, db->root, "ConsistentRead");
    dynamodb_send(run, next);
}

static int64_t number_of(yyjson_val *item, const char *name)
{
    int64_t number = 0;

    gw_aws_dynamodb_take_number(item, name, &number);
    return number;
}

/* ── Claim ─────────────────────────────────────────────────────────────────────────────────── */

struct claim {
    struct gw_claim *op;
    struct place place;
    int64_t write_id;
    struct gw_aws_call lost;
};

static void claimed(struct dynamodb_run *run, struct claim *claim)
{
    claim->op->write_id = (uint64_t)claim->write_id;
    dynamodb_done(run, GW_OK);
}

/* What the item says of a claim that was refused, or not heard of. */
static void judge_claim(struct dynamodb_run *run, struct claim *claim, yyjson_val *item)
{
    const struct gw_delivery *known = &claim->op->delivery;
    struct gw_delivery there;
    int64_t left_ms = number_of(item, "lease_ms") - gw_env_wall_ms(run->env);

    if (item == NULL) {
        dynamodb_done(run, GW_ERR_NOT_FOUND);
    } else if (!dynamodb_take_delivery(item, &there)) {
        dynamodb_done(run, GW_ERR_CORRUPT);
    } else if (number_of(item, "write_id") == claim->write_id) {
        claimed(run, claim);
    } else if (there.state != GW_DELIVERY_PENDING) {
        dynamodb_done(run, GW_ERR_NOT_FOUND);
    } else if (there.attempts != known->attempts || there.step != known->step ||
               there.resume_ms != known->resume_ms) {
        dynamodb_done(run, GW_ERR_STALE);
    } else if (left_ms > 0) {
        run->op->again_ms = left_ms;
        dynamodb_done(run, GW_ERR_BUSY);
    } else if (claim->lost.error.code != GW_OK) {
        dynamodb_fail(run, &claim->lost);
    } else { /* the lease ended between the two looks at it */
        dynamodb_done(run, GW_ERR_BUSY);
    }
}

static void on_claim_read(struct dynamodb_run *run)
{
    if (dynamodb_err(run) == GW_OK)
        judge_claim(run, run->own, run->db.item);
    else
        dynamodb_fail(run, &run->db.call);
}

static void on_claimed(struct dynamodb_run *run)
{
    struct claim *claim = run->own;

    if (dynamodb_err(run) == GW_OK) {
        claimed(run, claim);
    } else if (dynamodb_err(run) == GW_ERR_CONFLICT) {
        judge_claim(run, claim, run->db.item);
    } else if (dynamodb_is_unsure(run)) {
        claim->lost = run->db.call;
        get(run, &claim->place, on_claim_read);
    } else {
        dynamodb_fail(run, &run->db.call);
    }
}

/* A number that nobody else draws, and that is not 0. */
static int64_t draw_write_id(struct gw_env *env)
{
    uint64_t random;

    gw_env_random(env, &random, sizeof(random));
    return (int64_t)(random >> 1 | 1);
}

void dynamodb_claim(struct dynamodb_run *run)
{
    struct claim *claim = gw_arena_zalloc(&run->arena, sizeof(*claim));
    int64_t now_ms = gw_env_wall_ms(run->env);

    run->own = claim;
    claim->op = gw_container_of(run->op, struct gw_claim, op);
    claim->write_id = draw_write_id(run->env);
    if (!find_place(run, &claim->op->delivery.id, &claim->place)) {
        dynamodb_done(run, GW_ERR_NOT_FOUND);
        return;
    }
    struct gw_aws_dynamodb *db = update(run, &claim->place);
    dynamodb_put_expression(run, db->root, "UpdateExpression",
                            "SET #lease_ms = :until, #write_id = :write_id");
    dynamodb_put_expression(run, db->root, "ConditionExpression",
                            "#state = :pending AND #attempts = :attempts AND #step = :step AND "
                            "#resume_ms = :resume_ms AND #lease_ms <= :now");
    value(run, ":until", now_ms + claim->op->lease_ms);
    value(run, ":write_id", claim->write_id);
    value(run, ":pending", GW_DELIVERY_PENDING);
    value(run, ":attempts", claim->op->delivery.attempts);
    value(run, ":step", claim->op->delivery.step);
    value(run, ":resume_ms", claim->op->delivery.resume_ms);
    value(run, ":now", now_ms);
    dynamodb_send(run, on_claimed);
}

/* ── Settle ────────────────────────────────────────────────────────────────────────────────── */

#define EXCERPT_BYTES_MAX 256

struct settle {
    struct gw_settle *op;
    struct place place;
    struct gw_aws_call lost;
};

static void judge_settle(struct dynamodb_run *run, struct settle *settle, yyjson_val *item)
{
    uint64_t shown = settle->op->write_id;
    int64_t state = number_of(item, "state");

    if (item && (uint64_t)number_of(item, "done_id") == shown && shown != 0)
        dynamodb_done(run, GW_OK);
    else if (item == NULL || state != GW_DELIVERY_PENDING)
        dynamodb_done(run, GW_ERR_NOT_FOUND);
    else if (shown == 0 || (uint64_t)number_of(item, "write_id") != shown)
        dynamodb_done(run, GW_ERR_STALE);
    else if (settle->lost.error.code != GW_OK)
        dynamodb_fail(run, &settle->lost);
    else
        dynamodb_done(run, GW_ERR_CORRUPT); /* refused for no reason that there could be */
}

static void on_settle_read(struct dynamodb_run *run)
{
    if (dynamodb_err(run) == GW_OK)
        judge_settle(run, run->own, run->db.item);
    else
        dynamodb_fail(run, &run->db.call);
}

static void on_settled(struct dynamodb_run *run)
{
    struct settle *settle = run->own;

    if (dynamodb_err(run) == GW_OK) {
        dynamodb_done(run, GW_OK);
    } else if (dynamodb_err(run) == GW_ERR_CONFLICT) {
        judge_settle(run, settle, run->db.item);
    } else if (dynamodb_is_unsure(run)) {
        settle->lost = run->db.call;
        get(run, &settle->place, on_settle_read);
    } else {
        dynamodb_fail(run, &run->db.call);
    }
}

/* Less of the reply than elsewhere: each write pays for the whole item. */
static struct gw_slice pack_sealed(struct dynamodb_run *run, const struct settle *settle,
                                   const char *name)
{
    struct gw_attempt attempt = *settle->op->attempt;
    struct gw_buf packed = {0};

    if (attempt.excerpt.len > EXCERPT_BYTES_MAX)
        attempt.excerpt.len = EXCERPT_BYTES_MAX;
    gw_attempt_pack(&packed, &attempt);
    struct gw_slice sealed = dynamodb_seal(run->store, &run->arena, settle->place.pk,
                                           settle->place.sk, name, gw_buf_slice(&packed));
    gw_buf_deinit(&packed);
    return sealed;
}

/* The attributes that are a delivery's state, as "SET …" for `next`, with their values. */
static const char *set_state(struct dynamodb_run *run, const struct gw_delivery *next)
{
    value(run, ":state", (int64_t)next->state);
    value(run, ":reason", (int64_t)next->reason);
    value(run, ":attempts", next->attempts);
    value(run, ":step", next->step);
    value(run, ":due_ms", next->due_ms);
    value(run, ":resume_ms", next->resume_ms);
    value(run, ":ended_ms", next->ended_ms);
    return "SET #state = :state, #reason = :reason, #attempts = :attempts, #step = :step, "
           "#due_ms = :due_ms, #resume_ms = :resume_ms, #ended_ms = :ended_ms";
}

static void put_settle(struct dynamodb_run *run, struct settle *settle)
{
    struct gw_aws_dynamodb *db = update(run, &settle->place);
    const struct gw_delivery *next = &settle->op->next;
    bool is_open = next->state == GW_DELIVERY_PENDING;
    const char *log = "";

    const char *state = set_state(run, next);
    value(run, ":shown", (int64_t)settle->op->write_id);
    value(run, ":none", 0);
    if (settle->op->attempt) {
        const char *name = dynamodb_log_name(&run->arena, settle->op->attempt->n);
        gw_aws_dynamodb_put_bytes(db, dynamodb_values(run, db->root), ":log",
                                  pack_sealed(run, settle, name));
        log = gw_arena_printf(&run->arena, ", #%s = :log", name);
    }
    if (is_open)
        gw_aws_dynamodb_put_text(
            db, dynamodb_values(run, db->root), ":open_sk",
            dynamodb_open_sk(&run->arena, next->due_ms, dynamodb_order(&next->id)));
    dynamodb_put_expression(
        run, db->root, "UpdateExpression",
        gw_arena_printf(
            &run->arena, "%s, #done_id = :shown, #lease_ms = :none%s%s REMOVE #write_id%s", state,
            log, is_open ? ", #open_sk = :open_sk" : "", is_open ? "" : ", #open, #open_sk"));
    dynamodb_put_expression(run, db->root, "ConditionExpression",
                            "#write_id = :shown AND #state = :pending");
    value(run, ":pending", GW_DELIVERY_PENDING);
}

void dynamodb_settle(struct dynamodb_run *run)
{
    struct settle *settle = gw_arena_zalloc(&run->arena, sizeof(*settle));

    run->own = settle;
    settle->op = gw_container_of(run->op, struct gw_settle, op);
    if (!find_place(run, &settle->op->next.id, &settle->place)) {
        dynamodb_done(run, GW_ERR_NOT_FOUND);
        return;
    }
    put_settle(run, settle);
    dynamodb_send(run, on_settled);
}

/* ── By hand ───────────────────────────────────────────────────────────────────────────────── */

/* Sends a wake for later, writes, sends one for now: whatever happens between, somebody comes. */
struct retry {
    struct gw_retry_op *op;
    struct place place;
    struct gw_delivery before, next;
    struct gw_slice wake;
    bool is_woken; /* for later */
    unsigned tries;
};

static void read_retry(struct dynamodb_run *run);

static void on_woken_now(struct dynamodb_run *run, const struct gw_aws_batch *sent)
{
    struct retry *retry = run->own;

    retry->op->delivery = retry->next;
    if (sent->call.error.code != GW_OK && !retry->is_woken)
        dynamodb_fail(run, &sent->call);
    else
        dynamodb_done(run, GW_OK);
}

static void wake_now(struct dynamodb_run *run)
{
    struct retry *retry = run->own;

    dynamodb_wake(run, &(struct gw_aws_entry){.body = retry->wake}, 1, on_woken_now);
}

static void on_retry_written(struct dynamodb_run *run)
{
    struct retry *retry = run->own;
    enum gw_err err = dynamodb_err(run);

    if (err == GW_OK)
        wake_now(run);
    else if ((err == GW_ERR_CONFLICT || dynamodb_is_unsure(run)) && ++retry->tries < TRIES_MAX)
        read_retry(run); /* another was quicker, or it was done: then it has nothing left to do */
    else
        dynamodb_fail(run, &run->db.call);
}

static void write_retry(struct dynamodb_run *run)
{
    struct retry *retry = run->own;
    struct gw_aws_dynamodb *db = update(run, &retry->place);

    dynamodb_put_expression(run, db->root, "UpdateExpression",
                            gw_arena_printf(&run->arena, "%s, #open = :open, #open_sk = :open_sk",
                                            set_state(run, &retry->next)));
    dynamodb_put_expression(run, db->root, "ConditionExpression",
                            "#state = :was_state AND #attempts = :was_attempts AND "
                            "#due_ms = :was_due_ms AND #resume_ms = :was_resume_ms");
    value(run, ":was_state", (int64_t)retry->before.state);
    value(run, ":was_attempts", retry->before.attempts);
    value(run, ":was_due_ms", retry->before.due_ms);
    value(run, ":was_resume_ms", retry->before.resume_ms);
    yyjson_mut_val *values = dynamodb_values(run, db->root);
    gw_aws_dynamodb_put_text(db, values, ":open", dynamodb_open_of(&run->arena, &retry->next));
    gw_aws_dynamodb_put_text(db, values, ":open_sk",
                             dynamodb_open_sk(&run->arena, retry->next.due_ms, retry->next.order));
    dynamodb_send(run, on_retry_written);
}

static void on_woken_later(struct dynamodb_run *run, const struct gw_aws_batch *sent)
{
    struct retry *retry = run->own;

    retry->is_woken = sent->call.error.code == GW_OK;
    if (retry->is_woken)
        write_retry(run);
    else
        dynamodb_fail(run, &sent->call);
}

static bool is_changed(const struct retry *retry)
{
    return retry->next.state != retry->before.state ||
           retry->next.resume_ms != retry->before.resume_ms;
}

static void on_retry_read(struct dynamodb_run *run)
{
    struct retry *retry = run->own;

    if (dynamodb_err(run) != GW_OK) {
        dynamodb_fail(run, &run->db.call);
        return;
    }
    if (run->db.item == NULL || !dynamodb_take_delivery(run->db.item, &retry->before)) {
        dynamodb_done(run, run->db.item ? GW_ERR_CORRUPT : GW_ERR_NOT_FOUND);
        return;
    }
    retry->op->delivery = retry->next = retry->before;
    if (!gw_delivery_retry(&retry->next))
        dynamodb_done(run, GW_ERR_CONFLICT);
    else if (!is_changed(retry))
        wake_now(run); /* by hand already: nobody knows whether that wake was sent */
    else if (retry->is_woken)
        write_retry(run);
    else
        dynamodb_wake(run, &(struct gw_aws_entry){.body = retry->wake, .delay_s = DYNAMODB_LATER_S},
                      1, on_woken_later);
}

static void read_retry(struct dynamodb_run *run)
{
    struct retry *retry = run->own;

    get(run, &retry->place, on_retry_read);
}

void dynamodb_retry(struct dynamodb_run *run)
{
    struct retry *retry = gw_arena_zalloc(&run->arena, sizeof(*retry));
    struct gw_wake wake = {.kind = GW_WAKE_MESSAGE};
    unsigned number;

    run->own = retry;
    retry->op = gw_container_of(run->op, struct gw_retry_op, op);
    if (run->store->options.queue_url == NULL) {
        dynamodb_done(run, GW_ERR_INVALID);
        return;
    }
    if (!dynamodb_delivery_place(&retry->op->delivery_id, &wake.message_id, &number) ||
        !find_place(run, &retry->op->delivery_id, &retry->place)) {
        dynamodb_done(run, GW_ERR_NOT_FOUND);
        return;
    }
    retry->wake = dynamodb_wake_text(run, &wake);
    read_retry(run);
}
