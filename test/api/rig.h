/* rig.h: the API over the real flow and the memory store, two shards in a simulated world. A call
 * is made on one shard's thread and the world runs until it is answered. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/api.h"
#include "sim_env.h"
#include "store/fault.h"
#include "store/memory.h"

#include <yyjson.h>

#define RIG_SHARDS 2
#define RIG_NAME   "boss"
#define RIG_KEY    "boss:0123456789abcdef"

struct rig {
    struct sim *sim;
    struct gw_env *envs[RIG_SHARDS];
    struct gw_memory *memory;
    struct gw_fault *fault; /* around its configs and its admin port */
    enum gw_fault_kind admin_fault;
    size_t faster_writers; /* changes of configs to come that somebody else gets ahead of */
    struct gw_flow flow;
    struct gw_api *apis[RIG_SHARDS];
    int reply_status;       /* of the receiver "hook.example" */
    int64_t reply_delay_ms; /* < 0 = it hangs */
    struct gw_arena arena;  /* for the test's own texts */
};

/* What the world differs in; all zeroes = the usual one. */
struct rig_options {
    size_t event_bytes_max;
    int64_t commit_delay_ms;
    size_t queue_max, accepts_max;
    uint32_t intake_rate;
    const struct gw_rsa_key *jwt_key;
    const char *auth_url;
    int64_t keys_keep_ms;
    bool is_shared;
    struct gw_ledger *stats;
};

struct rig *rig_create(const struct rig_options *options);
void rig_destroy(struct rig *rig);
void rig_run(struct rig *rig, int64_t ms);

/* ── Calls ─────────────────────────────────────────────────────────────────────────────────── */

struct call {
    struct gw_exchange exchange;
    struct gw_arena arena;
    struct gw_header headers[8];
    bool done;
    yyjson_doc *json; /* of the answer, once somebody looked */
};

/* Starts one; `body` with ' for ", NULL = none. The key is sent. */
struct call *call_start(struct rig *rig, size_t shard, enum gw_method method, const char *target,
                        const char *body);
struct call *call_prepare(struct rig *rig, enum gw_method method, const char *target,
                          const char *body);
void call_header(struct call *call, const char *name, const char *value);
void call_go(struct rig *rig, size_t shard, struct call *call);
void call_wait(struct rig *rig, struct call *call);
void call_free(struct call *call);

/* The whole thing, on the first shard. */
struct call *call_make(struct rig *rig, enum gw_method method, const char *target,
                       const char *body);

/* ── Looking at answers ────────────────────────────────────────────────────────────────────── */

/* What stands at a JSON pointer, as text: strings bare, anything else as JSON; "(none)". */
const char *at(struct call *call, const char *pointer);
size_t count_at(struct call *call, const char *pointer);
const char *reply_header(const struct call *call, const char *name); /* NULL */

#define expect_status(call, wanted) expect_status_at((call), (wanted), __FILE__, __LINE__)
void expect_status_at(struct call *call, int wanted, const char *file, int line);

#define expect_at(call, pointer, wanted)                                                           \
    expect_at_at((call), (pointer), (wanted), __FILE__, __LINE__)
void expect_at_at(struct call *call, const char *pointer, const char *wanted, const char *file,
                  int line);

/* The failure envelope, with that word in the error; frees the call. */
#define expect_failed(call, status, word)                                                          \
    expect_failed_at((call), (status), (word), __FILE__, __LINE__)
void expect_failed_at(struct call *call, int status, const char *word, const char *file, int line);

/* ── Short cuts ────────────────────────────────────────────────────────────────────────────── */

void make_config(struct rig *rig, const char *body);
/* Copies of the ids of the event and its first delivery. */
struct sent {
    char message[40], delivery[40];
};
struct sent send_event(struct rig *rig, const char *body);

/* A key of the store; `made` may be NULL. */
struct made {
    char id[32], appid[80], appkey[64];
};
void make_key(struct rig *rig, const char *body, struct made *made);
void revoke_key(struct rig *rig, const char *id);

/* A call by that key, and what came of it. */
struct call *call_by(struct rig *rig, const struct made *made, enum gw_method method,
                     const char *target, const char *body);
