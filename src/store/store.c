/* store.c: what stands in front of every backend: an operation is told what it is and loses old
 * results, so that no backend has to see to it. Any thread; owns nothing. */
#include "store/store.h"

#include "base/alloc.h"
#include "base/check.h"

/* Results lie side by side, from `first` to before `end`. */
#define NONE(type)        sizeof(struct type), sizeof(struct type), sizeof(struct type)
#define REST(type, first) sizeof(struct type), offsetof(struct type, first), sizeof(struct type)
#define PART(type, first, end)                                                                     \
    sizeof(struct type), offsetof(struct type, first), offsetof(struct type, end)

static const struct {
    const char *name;
    size_t size, first, end;
} calls[] = {
    [GW_CALL_ACCEPT] = {"accept", PART(gw_accept, deferred, deliveries)},
    [GW_CALL_ADD] = {"add", PART(gw_add, delivery_count, deliveries)},
    [GW_CALL_CLAIM] = {"claim", REST(gw_claim, write_id)},
    [GW_CALL_SETTLE] = {"settle", NONE(gw_settle)},
    [GW_CALL_RETRY] = {"retry", PART(gw_retry_op, delivery, offered)},
    [GW_CALL_ERASE] = {"erase", REST(gw_erase, events)},
    [GW_CALL_OPEN_LANES] = {"open_lanes", REST(gw_open_lanes, lanes)},
    [GW_CALL_REFILL] = {"refill", REST(gw_refill, count)},
    [GW_CALL_LOAD] = {"load", REST(gw_load, message)},
    [GW_CALL_FIND] = {"find", REST(gw_find, events)},
    [GW_CALL_LIST] = {"list", REST(gw_list_op, rows)},
    [GW_CALL_TALLY] = {"tally", REST(gw_tally_op, counted)},
    [GW_CALL_STATS] = {"stats", REST(gw_stats_op, rows)},
    [GW_CALL_HEALTH_SAVE] = {"health_save", NONE(gw_health_save)},
    [GW_CALL_HEALTH_LOAD] = {"health_load", REST(gw_health_load, items)},
    [GW_CALL_CONFIG_LOAD] = {"config_load", REST(gw_config_load, snapshot)},
    [GW_CALL_CONFIG_PUT] = {"config_put", REST(gw_config_put, snapshot)},
    [GW_CALL_CONFIG_REMOVE] = {"config_remove", REST(gw_config_remove, snapshot)},
    [GW_CALL_CONFIG_LIST] = {"config_list", REST(gw_config_list, configs)},
    [GW_CALL_KEY_PUT] = {"key_put", NONE(gw_key_put)},
    [GW_CALL_KEY_REMOVE] = {"key_remove", REST(gw_key_remove, key)},
    [GW_CALL_KEY_FIND] = {"key_find", REST(gw_key_find, keys)},
    [GW_CALL_KEY_LIST] = {"key_list", REST(gw_key_list, keys)},
    [GW_CALL_AUDIT_ADD] = {"audit_add", NONE(gw_audit_add)},
    [GW_CALL_AUDIT_LIST] = {"audit_list", REST(gw_audit_list, lines)},
    [GW_CALL_SLOT] = {"slot", REST(gw_slot, at_ms)},
};

_Static_assert(gw_count(calls) == GW_CALL_COUNT, "a call is missing");

const char *gw_call_name(enum gw_call call)
{
    gw_check((size_t)call < GW_CALL_COUNT);
    return calls[call].name;
}

size_t gw_call_size(enum gw_call call)
{
    gw_check((size_t)call < GW_CALL_COUNT);
    return calls[call].size;
}

void gw_op_clear(struct gw_op *op)
{
    memset((char *)op + calls[op->kind].first, 0, calls[op->kind].end - calls[op->kind].first);
}

static struct gw_op *ready(struct gw_op *op, enum gw_call call)
{
    op->kind = (int)call;
    gw_op_clear(op);
    return op;
}

/* ── The ports ─────────────────────────────────────────────────────────────────────────────── */

static void offer_ready(struct gw_offer *offer, bool *offered)
{
    *offered = false;
    if (offer)
        offer->count = 0;
}

void gw_ledger_accept(struct gw_ledger *ledger, struct gw_accept *op)
{
    offer_ready(op->offer, &op->offered);
    ledger->start(ledger, ready(&op->op, GW_CALL_ACCEPT));
}

void gw_ledger_add(struct gw_ledger *ledger, struct gw_add *op)
{
    offer_ready(op->offer, &op->offered);
    ledger->start(ledger, ready(&op->op, GW_CALL_ADD));
}

void gw_ledger_retry(struct gw_ledger *ledger, struct gw_retry_op *op)
{
    offer_ready(op->offer, &op->offered);
    ledger->start(ledger, ready(&op->op, GW_CALL_RETRY));
}

#define CALL(port, verb, type, call)                                                               \
    void gw_##port##_##verb(struct gw_##port *port, struct type *op)                               \
    {                                                                                              \
        port->start(port, ready(&op->op, call));                                                   \
    }

CALL(ledger, claim, gw_claim, GW_CALL_CLAIM)
CALL(ledger, settle, gw_settle, GW_CALL_SETTLE)
CALL(ledger, erase, gw_erase, GW_CALL_ERASE)
CALL(ledger, open_lanes, gw_open_lanes, GW_CALL_OPEN_LANES)
CALL(ledger, refill, gw_refill, GW_CALL_REFILL)
CALL(ledger, load, gw_load, GW_CALL_LOAD)
CALL(ledger, find, gw_find, GW_CALL_FIND)
CALL(ledger, list, gw_list_op, GW_CALL_LIST)
CALL(ledger, tally, gw_tally_op, GW_CALL_TALLY)
CALL(ledger, stats, gw_stats_op, GW_CALL_STATS)
CALL(ledger, health_save, gw_health_save, GW_CALL_HEALTH_SAVE)
CALL(ledger, health_load, gw_health_load, GW_CALL_HEALTH_LOAD)
CALL(pace, slot, gw_slot, GW_CALL_SLOT)
CALL(configs, load, gw_config_load, GW_CALL_CONFIG_LOAD)
CALL(configs, put, gw_config_put, GW_CALL_CONFIG_PUT)
CALL(configs, remove, gw_config_remove, GW_CALL_CONFIG_REMOVE)
CALL(configs, list, gw_config_list, GW_CALL_CONFIG_LIST)
CALL(admin, key_put, gw_key_put, GW_CALL_KEY_PUT)
CALL(admin, key_remove, gw_key_remove, GW_CALL_KEY_REMOVE)
CALL(admin, key_find, gw_key_find, GW_CALL_KEY_FIND)
CALL(admin, key_list, gw_key_list, GW_CALL_KEY_LIST)
CALL(admin, audit_add, gw_audit_add, GW_CALL_AUDIT_ADD)
CALL(admin, audit_list, gw_audit_list, GW_CALL_AUDIT_LIST)

struct gw_ledger_state gw_ledger_state(struct gw_ledger *ledger)
{
    return ledger->state(ledger);
}
