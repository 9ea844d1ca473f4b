/* fault.h: makes any ledger, configs and admin misbehave in the ways a store may: late, failing, doing a
 * thing twice, or doing it and losing the answer. For tests; what is chosen is theirs.
 *
 * Everything else passes through unchanged, offers too. An operation's own memory is never shown to
 * the port behind: it gets a copy, so that a repeat, and a late one, has one to live in. */
#pragma once

#include "store/store.h"

enum gw_fault_kind {
    GW_FAULT_NONE,
    GW_FAULT_FAIL,   /* `err`, and nothing was done */
    GW_FAULT_REPEAT, /* done twice in a row, answered once with the first answer; only what is keyed:
                        an accept with eventId and dedupe, add, settle, a manual retry, health.
                        Others: as NONE */
    GW_FAULT_LOSE, /* done, then answered GW_ERR_TIMEOUT, without results; an offer that was posted
                        is still said to be */
};

const char *gw_fault_kind_name(enum gw_fault_kind kind);

struct gw_fault_act {
    enum gw_fault_kind kind;
    enum gw_err err;  /* FAIL */
    int64_t again_ms; /* FAIL */
    int64_t delay_ms; /* before anything else; deadlines go on meanwhile */
};

/* Called inside the operation's start, on its thread. */
typedef struct gw_fault_act gw_fault_fn(void *ctx, enum gw_call call, const struct gw_op *op);

struct gw_fault;

/* Each of the ports may be NULL: then there is none. */
struct gw_fault *gw_fault_create(struct gw_ledger *ledger, struct gw_configs *configs,
                                 struct gw_admin *admin, gw_fault_fn *choose, void *ctx);
struct gw_ledger *gw_fault_ledger(struct gw_fault *fault);
struct gw_configs *gw_fault_configs(struct gw_fault *fault);
struct gw_admin *gw_fault_admin(struct gw_fault *fault);

/* No operation is under way; or its env was killed, and nothing of it is touched again. */
void gw_fault_destroy(struct gw_fault *fault);

/* A ready-made choice: seeded dice. */
struct gw_fault_odds {
    uint64_t seed; /* changes with each throw */
    uint32_t delay, fail, repeat,
        lose; /* of 10 000 calls so many; the last three exclude another */
    int64_t delay_ms_max;
    int64_t again_ms; /* with a failure, which is GW_ERR_UNAVAILABLE */
};

gw_fault_fn gw_fault_by_odds; /* ctx: a struct gw_fault_odds */
