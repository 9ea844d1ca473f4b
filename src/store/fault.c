/* fault.c: a ledger, a configs and an admin port in front of others, that misbehave as told.
 *
 *  start ─ choose ─▶ copy ─ post ─▶ begin ─(delay)─▶ act ─┬─ fail ─────────────────────▶ answer
 *                                                         └─ forward ─▶ (again) ─▶ done ─▶ answer
 *
 * Owns one struct call for each operation under way, with a copy of the operation, and of what must
 * outlive the caller's memory when it is done twice. Results go from the copy into the original.
 *
 * Threads: one, which all envs of its operations share. Failure: only what was asked for. */
#include "store/fault.h"

#include "base/alloc.h"
#include "base/check.h"

union any_op {
    struct gw_op op;
    struct gw_accept accept;
    struct gw_add add;
    struct gw_claim claim;
    struct gw_settle settle;
    struct gw_retry_op retry;
    struct gw_erase erase;
    struct gw_open_lanes open_lanes;
    struct gw_refill refill;
    struct gw_load load;
    struct gw_find find;
    struct gw_list_op list;
    struct gw_tally_op tally;
    struct gw_stats_op stats;
    struct gw_health_save health_save;
    struct gw_health_load health_load;
    struct gw_config_load config_load;
    struct gw_config_put config_put;
    struct gw_config_remove config_remove;
    struct gw_config_list config_list;
    struct gw_key_put key_put;
    struct gw_key_remove key_remove;
    struct gw_key_find key_find;
    struct gw_key_list key_list;
    struct gw_audit_add audit_add;
    struct gw_audit_list audit_list;
};

/* Starts it at the port behind, results taken back already. */
typedef void forward_fn(struct gw_fault *fault, struct gw_op *op);

struct call {
    struct gw_fault *fault;
    struct gw_list link; /* in gw_fault.calls */
    struct gw_op *original;
    enum gw_call call;
    forward_fn *forward;
    struct gw_fault_act act;
    struct gw_timer delay;
    union any_op copy;
    union any_op again; /* the second time */
    int under_way;      /* how many of the two */
};

struct gw_fault {
    struct gw_ledger ledger; /* what callers see */
    struct gw_configs configs;
    struct gw_admin admin;
    struct gw_ledger *real_ledger;
    struct gw_configs *real_configs;
    struct gw_admin *real_admin;
    gw_fault_fn *choose;
    void *ctx;
    struct gw_list calls;
};

const char *gw_fault_kind_name(enum gw_fault_kind kind)
{
    switch (kind) {
    case GW_FAULT_NONE: return "none";
    case GW_FAULT_FAIL: return "fail";
    case GW_FAULT_REPEAT: return "repeat";
    case GW_FAULT_LOSE: return "lose";
    }
    gw_never("an unknown kind of fault");
}

/* ── Losing an answer ──────────────────────────────────────────────────────────────────────── */

/* References that the caller would have got. */
static void give_back(enum gw_call call, union any_op *op)
{
    switch (call) {
    case GW_CALL_LOAD: gw_message_unref(op->load.message); return;
    case GW_CALL_CONFIG_LOAD: gw_snapshot_unref(op->config_load.snapshot); return;
    case GW_CALL_CONFIG_PUT: gw_snapshot_unref(op->config_put.snapshot); return;
    case GW_CALL_CONFIG_REMOVE: gw_snapshot_unref(op->config_remove.snapshot); return;
    case GW_CALL_CONFIG_LIST:
        for (size_t i = 0; i < op->config_list.count; i++)
            gw_config_unref(op->config_list.configs[i]);
        return;
    default: return;
    }
}

/* ── Doing it twice ────────────────────────────────────────────────────────────────────────── */

static bool is_keyed(enum gw_call call, const union any_op *op)
{
    switch (call) {
    case GW_CALL_ACCEPT:
        return op->accept.message->event_id.ptr && op->accept.message->skip == GW_SKIP_NONE &&
               op->accept.dedupe_ms > 0;
    case GW_CALL_ADD:
    case GW_CALL_SETTLE:
    case GW_CALL_RETRY:
    case GW_CALL_HEALTH_SAVE: return true;
    default: return false;
    }
}

static struct gw_offer *offer_copy(const struct gw_offer *offer, size_t room)
{
    if (offer == NULL)
        return NULL;
    struct gw_offer *copy = gw_zalloc(sizeof(*copy) + room * sizeof(struct gw_delivery));
    copy->msg.run = offer->msg.run;
    copy->env = offer->env;
    copy->owner = offer->owner;
    copy->message = offer->message ? gw_message_ref(offer->message) : NULL;
    return copy;
}

static void offer_drop(struct gw_offer *offer)
{
    if (offer)
        gw_message_unref(offer->message);
    gw_free(offer);
}

/* An offer of its own: the first one may be gone by the time the second is posted, if it is. */
static void prepare_again(struct call *call)
{
    union any_op *again = &call->again;

    *again = call->copy;
    switch (call->call) {
    case GW_CALL_ACCEPT:
        again->accept.offer = offer_copy(again->accept.offer, again->accept.lane_count);
        break;
    case GW_CALL_ADD: again->add.offer = offer_copy(again->add.offer, again->add.lane_count); break;
    case GW_CALL_RETRY: again->retry.offer = offer_copy(again->retry.offer, 1); break;
    default: break;
    }
}

static void clean_again(struct call *call)
{
    union any_op *again = &call->again;

    if (call->call == GW_CALL_ACCEPT && !again->accept.offered)
        offer_drop(again->accept.offer);
    else if (call->call == GW_CALL_ADD && !again->add.offered)
        offer_drop(again->add.offer);
    else if (call->call == GW_CALL_RETRY && !again->retry.offered)
        offer_drop(again->retry.offer);
}

/* ── One call ──────────────────────────────────────────────────────────────────────────────── */

static void call_free(struct call *call)
{
    gw_list_remove(&call->link);
    gw_free(call);
}

/* The results go over; what the operation itself is stays. */
static void answer(struct call *call)
{
    struct gw_op *original = call->original;
    struct gw_op kept = *original;

    kept.err = call->copy.op.err;
    kept.again_ms = call->copy.op.again_ms;
    memcpy(original, &call->copy, gw_call_size(call->call));
    *original = kept;
    call_free(call);
    original->done(original);
}

static void done_once(struct call *call)
{
    if (--call->under_way > 0)
        return;
    if (call->act.kind == GW_FAULT_REPEAT)
        clean_again(call);
    if (call->act.kind == GW_FAULT_LOSE) {
        give_back(call->call, &call->copy);
        gw_op_clear(&call->copy.op);
        call->copy.op.err = GW_ERR_TIMEOUT;
        call->copy.op.again_ms = 0;
    }
    answer(call);
}

static void on_done(struct gw_op *op)
{
    done_once(gw_container_of((union any_op *)op, struct call, copy));
}

static void on_again_done(struct gw_op *op)
{
    done_once(gw_container_of((union any_op *)op, struct call, again));
}

static void act(struct call *call)
{
    if (call->act.kind == GW_FAULT_FAIL) {
        call->copy.op.err = call->act.err;
        call->copy.op.again_ms = call->act.again_ms;
        answer(call);
        return;
    }
    bool is_twice = call->act.kind == GW_FAULT_REPEAT;
    call->copy.op.done = on_done;
    call->under_way = is_twice ? 2 : 1;
    if (is_twice) {
        prepare_again(call);
        call->again.op.done = on_again_done;
    }
    call->forward(call->fault, &call->copy.op); /* completes later: `call` lives until both have */
    if (is_twice)
        call->forward(call->fault, &call->again.op);
}

static void on_delay(struct gw_timer *timer)
{
    act(gw_container_of(timer, struct call, delay));
}

static void on_begin(struct gw_msg *msg)
{
    struct gw_op *op = gw_container_of(msg, struct gw_op, msg);
    struct call *call = gw_container_of((union any_op *)op, struct call, copy);

    if (call->act.delay_ms > 0)
        gw_env_timer_set(op->env, &call->delay, call->act.delay_ms);
    else
        act(call);
}

static void start(struct gw_fault *fault, struct gw_op *op, forward_fn *forward)
{
    struct call *call = gw_zalloc(sizeof(*call));
    enum gw_call which = (enum gw_call)op->kind;

    call->fault = fault;
    call->call = which;
    call->forward = forward;
    call->original = op;
    call->act = fault->choose(fault->ctx, which, op);
    memcpy(&call->copy, op, gw_call_size(which));
    if (call->act.kind == GW_FAULT_REPEAT && !is_keyed(which, &call->copy))
        call->act.kind = GW_FAULT_NONE;
    call->delay.fire = on_delay;
    gw_list_push(&fault->calls, &call->link);
    if (call->act.kind == GW_FAULT_FAIL || call->act.delay_ms > 0) {
        call->copy.op.msg.run = on_begin;
        gw_env_post(op->env, &call->copy.op.msg);
    } else {
        act(call); /* calls started in one order reach the port in that order */
    }
}

/* ── The ports ─────────────────────────────────────────────────────────────────────────────── */

static void forward_ledger(struct gw_fault *fault, struct gw_op *op)
{
    fault->real_ledger->start(fault->real_ledger, op);
}

static void start_ledger(struct gw_ledger *ledger, struct gw_op *op)
{
    start(gw_container_of(ledger, struct gw_fault, ledger), op, forward_ledger);
}

static void forward_configs(struct gw_fault *fault, struct gw_op *op)
{
    fault->real_configs->start(fault->real_configs, op);
}

static void start_configs(struct gw_configs *configs, struct gw_op *op)
{
    start(gw_container_of(configs, struct gw_fault, configs), op, forward_configs);
}

static void forward_admin(struct gw_fault *fault, struct gw_op *op)
{
    fault->real_admin->start(fault->real_admin, op);
}

static void start_admin(struct gw_admin *admin, struct gw_op *op)
{
    start(gw_container_of(admin, struct gw_fault, admin), op, forward_admin);
}

static struct gw_ledger_state get_state(struct gw_ledger *ledger)
{
    struct gw_ledger *real = gw_container_of(ledger, struct gw_fault, ledger)->real_ledger;

    return gw_ledger_state(real);
}

struct gw_fault *gw_fault_create(struct gw_ledger *ledger, struct gw_configs *configs,
                                 struct gw_admin *admin, gw_fault_fn *choose, void *ctx)
{
    struct gw_fault *fault = gw_zalloc(sizeof(*fault));

    fault->ledger = (struct gw_ledger){.start = start_ledger, .state = get_state};
    fault->configs.start = start_configs;
    fault->admin.start = start_admin;
    fault->real_ledger = ledger;
    fault->real_configs = configs;
    fault->real_admin = admin;
    fault->choose = choose;
    fault->ctx = ctx;
    gw_list_init(&fault->calls);
    return fault;
}

struct gw_ledger *gw_fault_ledger(struct gw_fault *fault)
{
    return fault->real_ledger ? &fault->ledger : NULL;
}

struct gw_configs *gw_fault_configs(struct gw_fault *fault)
{
    return fault->real_configs ? &fault->configs : NULL;
}

struct gw_admin *gw_fault_admin(struct gw_fault *fault)
{
    return fault->real_admin ? &fault->admin : NULL;
}

void gw_fault_destroy(struct gw_fault *fault)
{
    struct gw_list *link;

    if (fault == NULL)
        return;
    while ((link = gw_list_pop(&fault->calls)) != NULL)
        gw_free(gw_container_of(link, struct call, link));
    gw_free(fault);
}

/* ── Dice ──────────────────────────────────────────────────────────────────────────────────── */

/* SplitMix64. */
static uint64_t throw(struct gw_fault_odds * odds, uint64_t below)
{
    uint64_t z = odds->seed += 0x9E3779B97F4A7C15u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (z ^ z >> 31) % below;
}

struct gw_fault_act gw_fault_by_odds(void *ctx, enum gw_call call, const struct gw_op *op)
{
    struct gw_fault_odds *odds = ctx;
    struct gw_fault_act act = {.err = GW_ERR_UNAVAILABLE, .again_ms = odds->again_ms};
    uint64_t kind = throw(odds, 10000);

    (void)call, (void)op;
    if (throw(odds, 10000) < odds->delay && odds->delay_ms_max > 0)
        act.delay_ms = 1 + (int64_t) throw(odds, (uint64_t)odds->delay_ms_max);
    if (kind < odds->fail)
        act.kind = GW_FAULT_FAIL;
    else if (kind < odds->fail + odds->repeat)
        act.kind = GW_FAULT_REPEAT;
    else if (kind < odds->fail + odds->repeat + odds->lose)
        act.kind = GW_FAULT_LOSE;
    return act;
}
