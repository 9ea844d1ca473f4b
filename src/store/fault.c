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

struct call {
    struct gw_fault *fault;
    struct gw_list link; /* in gw_fault.calls */
    struct gw_op *original;
    enum gw_fault_call call;
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

static const struct {
    const char *name;
    size_t size;
} calls[GW_FAULT_CALL_COUNT] = {
    [GW_FAULT_ACCEPT] = {"accept", sizeof(struct gw_accept)},
    [GW_FAULT_ADD] = {"add", sizeof(struct gw_add)},
    [GW_FAULT_CLAIM] = {"claim", sizeof(struct gw_claim)},
    [GW_FAULT_SETTLE] = {"settle", sizeof(struct gw_settle)},
    [GW_FAULT_RETRY] = {"retry", sizeof(struct gw_retry_op)},
    [GW_FAULT_ERASE] = {"erase", sizeof(struct gw_erase)},
    [GW_FAULT_OPEN_LANES] = {"open_lanes", sizeof(struct gw_open_lanes)},
    [GW_FAULT_REFILL] = {"refill", sizeof(struct gw_refill)},
    [GW_FAULT_LOAD] = {"load", sizeof(struct gw_load)},
    [GW_FAULT_FIND] = {"find", sizeof(struct gw_find)},
    [GW_FAULT_LIST] = {"list", sizeof(struct gw_list_op)},
    [GW_FAULT_TALLY] = {"tally", sizeof(struct gw_tally_op)},
    [GW_FAULT_HEALTH_SAVE] = {"health_save", sizeof(struct gw_health_save)},
    [GW_FAULT_HEALTH_LOAD] = {"health_load", sizeof(struct gw_health_load)},
    [GW_FAULT_CONFIG_LOAD] = {"config_load", sizeof(struct gw_config_load)},
    [GW_FAULT_CONFIG_PUT] = {"config_put", sizeof(struct gw_config_put)},
    [GW_FAULT_CONFIG_REMOVE] = {"config_remove", sizeof(struct gw_config_remove)},
    [GW_FAULT_CONFIG_LIST] = {"config_list", sizeof(struct gw_config_list)},
    [GW_FAULT_KEY_PUT] = {"key_put", sizeof(struct gw_key_put)},
    [GW_FAULT_KEY_REMOVE] = {"key_remove", sizeof(struct gw_key_remove)},
    [GW_FAULT_KEY_FIND] = {"key_find", sizeof(struct gw_key_find)},
    [GW_FAULT_KEY_LIST] = {"key_list", sizeof(struct gw_key_list)},
    [GW_FAULT_AUDIT_ADD] = {"audit_add", sizeof(struct gw_audit_add)},
    [GW_FAULT_AUDIT_LIST] = {"audit_list", sizeof(struct gw_audit_list)},
};

const char *gw_fault_call_name(enum gw_fault_call call)
{
    gw_check((size_t)call < gw_count(calls));
    return calls[call].name;
}

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

/* ── Passing on ────────────────────────────────────────────────────────────────────────────── */

static void forward(const struct call *call, union any_op *op)
{
    struct gw_ledger *ledger = call->fault->real_ledger;
    struct gw_configs *configs = call->fault->real_configs;
    struct gw_admin *admin = call->fault->real_admin;

    switch (call->call) {
    case GW_FAULT_ACCEPT: ledger->ops->accept(ledger, &op->accept); return;
    case GW_FAULT_ADD: ledger->ops->add(ledger, &op->add); return;
    case GW_FAULT_CLAIM: ledger->ops->claim(ledger, &op->claim); return;
    case GW_FAULT_SETTLE: ledger->ops->settle(ledger, &op->settle); return;
    case GW_FAULT_RETRY: ledger->ops->retry(ledger, &op->retry); return;
    case GW_FAULT_ERASE: ledger->ops->erase(ledger, &op->erase); return;
    case GW_FAULT_OPEN_LANES: ledger->ops->open_lanes(ledger, &op->open_lanes); return;
    case GW_FAULT_REFILL: ledger->ops->refill(ledger, &op->refill); return;
    case GW_FAULT_LOAD: ledger->ops->load(ledger, &op->load); return;
    case GW_FAULT_FIND: ledger->ops->find(ledger, &op->find); return;
    case GW_FAULT_LIST: ledger->ops->list(ledger, &op->list); return;
    case GW_FAULT_TALLY: ledger->ops->tally(ledger, &op->tally); return;
    case GW_FAULT_HEALTH_SAVE: ledger->ops->health_save(ledger, &op->health_save); return;
    case GW_FAULT_HEALTH_LOAD: ledger->ops->health_load(ledger, &op->health_load); return;
    case GW_FAULT_CONFIG_LOAD: configs->ops->load(configs, &op->config_load); return;
    case GW_FAULT_CONFIG_PUT: configs->ops->put(configs, &op->config_put); return;
    case GW_FAULT_CONFIG_REMOVE: configs->ops->remove(configs, &op->config_remove); return;
    case GW_FAULT_CONFIG_LIST: configs->ops->list(configs, &op->config_list); return;
    case GW_FAULT_KEY_PUT: admin->ops->key_put(admin, &op->key_put); return;
    case GW_FAULT_KEY_REMOVE: admin->ops->key_remove(admin, &op->key_remove); return;
    case GW_FAULT_KEY_FIND: admin->ops->key_find(admin, &op->key_find); return;
    case GW_FAULT_KEY_LIST: admin->ops->key_list(admin, &op->key_list); return;
    case GW_FAULT_AUDIT_ADD: admin->ops->audit_add(admin, &op->audit_add); return;
    case GW_FAULT_AUDIT_LIST: admin->ops->audit_list(admin, &op->audit_list); return;
    }
    gw_never("an unknown call");
}

/* ── Losing an answer ──────────────────────────────────────────────────────────────────────── */

/* As before the operation. An offer that was posted is the owner's all the same: `offered` stays. */
static void clear(enum gw_fault_call call, union any_op *op)
{
    switch (call) {
    case GW_FAULT_ACCEPT:
        op->accept.existing = op->accept.payload_differs = false;
        op->accept.message_id = (struct gw_id){0};
        op->accept.delivery_count = 0;
        return;
    case GW_FAULT_ADD: op->add.delivery_count = 0; return;
    case GW_FAULT_CLAIM: op->claim.write_id = 0; return;
    case GW_FAULT_RETRY: op->retry.delivery = (struct gw_delivery){0}; return;
    case GW_FAULT_ERASE: op->erase.events = 0; return;
    case GW_FAULT_OPEN_LANES: op->open_lanes.count = 0; return;
    case GW_FAULT_REFILL:
        op->refill.count = 0;
        op->refill.complete = false;
        return;
    case GW_FAULT_LOAD: op->load.message = NULL; return;
    case GW_FAULT_FIND: op->find.count = 0; return;
    case GW_FAULT_LIST:
        op->list.count = 0;
        op->list.next = (struct gw_slice){0};
        return;
    case GW_FAULT_TALLY:
        op->tally.counted = op->tally.rows = (struct gw_tally){0};
        op->tally.open_count = 0;
        op->tally.latency = (struct gw_latency){0};
        return;
    case GW_FAULT_HEALTH_LOAD: op->health_load.count = 0; return;
    case GW_FAULT_CONFIG_LOAD: op->config_load.snapshot = NULL; return;
    case GW_FAULT_CONFIG_PUT: op->config_put.snapshot = NULL; return;
    case GW_FAULT_CONFIG_REMOVE: op->config_remove.snapshot = NULL; return;
    case GW_FAULT_CONFIG_LIST:
        op->config_list.count = 0;
        op->config_list.more = false;
        return;
    case GW_FAULT_KEY_REMOVE: op->key_remove.key = (struct gw_key){0}; return;
    case GW_FAULT_KEY_FIND: op->key_find.count = 0; return;
    case GW_FAULT_KEY_LIST:
        op->key_list.count = 0;
        op->key_list.more = false;
        return;
    case GW_FAULT_AUDIT_LIST:
        op->audit_list.count = 0;
        op->audit_list.next = 0;
        return;
    case GW_FAULT_SETTLE:
    case GW_FAULT_HEALTH_SAVE:
    case GW_FAULT_KEY_PUT:
    case GW_FAULT_AUDIT_ADD: return;
    }
    gw_never("an unknown call");
}

/* References that the caller would have got. */
static void give_back(enum gw_fault_call call, union any_op *op)
{
    switch (call) {
    case GW_FAULT_LOAD: gw_message_unref(op->load.message); return;
    case GW_FAULT_CONFIG_LOAD: gw_snapshot_unref(op->config_load.snapshot); return;
    case GW_FAULT_CONFIG_PUT: gw_snapshot_unref(op->config_put.snapshot); return;
    case GW_FAULT_CONFIG_REMOVE: gw_snapshot_unref(op->config_remove.snapshot); return;
    case GW_FAULT_CONFIG_LIST:
        for (size_t i = 0; i < op->config_list.count; i++)
            gw_config_unref(op->config_list.configs[i]);
        return;
    default: return;
    }
}

/* ── Doing it twice ────────────────────────────────────────────────────────────────────────── */

static bool is_keyed(enum gw_fault_call call, const union any_op *op)
{
    switch (call) {
    case GW_FAULT_ACCEPT:
        return op->accept.message->event_id.ptr && op->accept.message->skip == GW_SKIP_NONE &&
               op->accept.dedupe_ms > 0;
    case GW_FAULT_ADD:
    case GW_FAULT_SETTLE:
    case GW_FAULT_RETRY:
    case GW_FAULT_HEALTH_SAVE: return true;
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
    case GW_FAULT_ACCEPT:
        again->accept.offer = offer_copy(again->accept.offer, again->accept.lane_count);
        break;
    case GW_FAULT_ADD:
        again->add.offer = offer_copy(again->add.offer, again->add.lane_count);
        break;
    case GW_FAULT_RETRY: again->retry.offer = offer_copy(again->retry.offer, 1); break;
    default: break;
    }
}

static void clean_again(struct call *call)
{
    union any_op *again = &call->again;

    if (call->call == GW_FAULT_ACCEPT && !again->accept.offered)
        offer_drop(again->accept.offer);
    else if (call->call == GW_FAULT_ADD && !again->add.offered)
        offer_drop(again->add.offer);
    else if (call->call == GW_FAULT_RETRY && !again->retry.offered)
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
    memcpy(original, &call->copy, calls[call->call].size);
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
        clear(call->call, &call->copy);
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
        clear(call->call, &call->copy);
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
    forward(call, &call->copy); /* completes later: `call` lives until both have */
    if (is_twice)
        forward(call, &call->again);
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

static void never_offered(enum gw_fault_call call, union any_op *op)
{
    if (call == GW_FAULT_ACCEPT)
        op->accept.offered = false;
    else if (call == GW_FAULT_ADD)
        op->add.offered = false;
    else if (call == GW_FAULT_RETRY)
        op->retry.offered = false;
}

static void start(struct gw_fault *fault, enum gw_fault_call which, struct gw_op *op)
{
    struct call *call = gw_zalloc(sizeof(*call));

    call->fault = fault;
    call->call = which;
    call->original = op;
    call->act = fault->choose(fault->ctx, which, op);
    memcpy(&call->copy, op, calls[which].size);
    if (call->act.kind == GW_FAULT_REPEAT && !is_keyed(which, &call->copy))
        call->act.kind = GW_FAULT_NONE;
    never_offered(which, &call->copy);
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

#define LEDGER_START(verb, type, call)                                                             \
    static void start_##verb(struct gw_ledger *ledger, struct type *op)                            \
    {                                                                                              \
        start(gw_container_of(ledger, struct gw_fault, ledger), call, &op->op);                    \
    }

#define CONFIGS_START(verb, type, call)                                                            \
    static void start_config_##verb(struct gw_configs *configs, struct type *op)                   \
    {                                                                                              \
        start(gw_container_of(configs, struct gw_fault, configs), call, &op->op);                  \
    }

#define ADMIN_START(verb, type, call)                                                              \
    static void start_##verb(struct gw_admin *admin, struct type *op)                              \
    {                                                                                              \
        start(gw_container_of(admin, struct gw_fault, admin), call, &op->op);                      \
    }

LEDGER_START(accept, gw_accept, GW_FAULT_ACCEPT)
LEDGER_START(add, gw_add, GW_FAULT_ADD)
LEDGER_START(claim, gw_claim, GW_FAULT_CLAIM)
LEDGER_START(settle, gw_settle, GW_FAULT_SETTLE)
LEDGER_START(retry, gw_retry_op, GW_FAULT_RETRY)
LEDGER_START(erase, gw_erase, GW_FAULT_ERASE)
LEDGER_START(open_lanes, gw_open_lanes, GW_FAULT_OPEN_LANES)
LEDGER_START(refill, gw_refill, GW_FAULT_REFILL)
LEDGER_START(load, gw_load, GW_FAULT_LOAD)
LEDGER_START(find, gw_find, GW_FAULT_FIND)
LEDGER_START(list, gw_list_op, GW_FAULT_LIST)
LEDGER_START(tally, gw_tally_op, GW_FAULT_TALLY)
LEDGER_START(health_save, gw_health_save, GW_FAULT_HEALTH_SAVE)
LEDGER_START(health_load, gw_health_load, GW_FAULT_HEALTH_LOAD)
CONFIGS_START(load, gw_config_load, GW_FAULT_CONFIG_LOAD)
CONFIGS_START(put, gw_config_put, GW_FAULT_CONFIG_PUT)
CONFIGS_START(remove, gw_config_remove, GW_FAULT_CONFIG_REMOVE)
CONFIGS_START(list, gw_config_list, GW_FAULT_CONFIG_LIST)
ADMIN_START(key_put, gw_key_put, GW_FAULT_KEY_PUT)
ADMIN_START(key_remove, gw_key_remove, GW_FAULT_KEY_REMOVE)
ADMIN_START(key_find, gw_key_find, GW_FAULT_KEY_FIND)
ADMIN_START(key_list, gw_key_list, GW_FAULT_KEY_LIST)
ADMIN_START(audit_add, gw_audit_add, GW_FAULT_AUDIT_ADD)
ADMIN_START(audit_list, gw_audit_list, GW_FAULT_AUDIT_LIST)

static struct gw_ledger_state get_state(struct gw_ledger *ledger)
{
    struct gw_ledger *real = gw_container_of(ledger, struct gw_fault, ledger)->real_ledger;

    return real->ops->state(real);
}

static const struct gw_ledger_ops ledger_ops = {
    .accept = start_accept,
    .add = start_add,
    .claim = start_claim,
    .settle = start_settle,
    .retry = start_retry,
    .erase = start_erase,
    .open_lanes = start_open_lanes,
    .refill = start_refill,
    .load = start_load,
    .find = start_find,
    .list = start_list,
    .tally = start_tally,
    .health_save = start_health_save,
    .health_load = start_health_load,
    .state = get_state,
};

static const struct gw_configs_ops configs_ops = {
    .load = start_config_load,
    .put = start_config_put,
    .remove = start_config_remove,
    .list = start_config_list,
};

static const struct gw_admin_ops admin_ops = {
    .key_put = start_key_put,
    .key_remove = start_key_remove,
    .key_find = start_key_find,
    .key_list = start_key_list,
    .audit_add = start_audit_add,
    .audit_list = start_audit_list,
};

struct gw_fault *gw_fault_create(struct gw_ledger *ledger, struct gw_configs *configs,
                                 struct gw_admin *admin, gw_fault_fn *choose, void *ctx)
{
    struct gw_fault *fault = gw_zalloc(sizeof(*fault));

    fault->ledger.ops = &ledger_ops;
    fault->configs.ops = &configs_ops;
    fault->admin.ops = &admin_ops;
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

struct gw_fault_act gw_fault_by_odds(void *ctx, enum gw_fault_call call, const struct gw_op *op)
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
