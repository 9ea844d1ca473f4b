/* store.h: the ports behind which a backend keeps everything: `ledger` (events, deliveries,
 * attempts), `configs`, and `admin` (keys, the audit log); and `pace`, which only a backend has that
 * several processes share. Backends: SQLite (sqlite*.c), memory (memory*.c, for simulation and tests),
 * DynamoDB (dynamodb*.c).
 *
 * What every backend keeps, and the contract suite checks:
 *  1. Each operation completes exactly once: op->done is called on op->env's loop, never inside the
 *     call. The completions of one env come in the order in which the backend did them.
 *  2. The operation's memory stays with the caller until then, and is the caller's again in done.
 *  3. Each has a deadline; once it has passed, an operation not begun completes with
 *     GW_ERR_TIMEOUT, and nothing was done.
 *  4. Backends never sleep and never retry: errors of class "again" say after how long.
 *  5. What may be repeated is keyed: accept by (appId, eventId), settle by its write id, add by its
 *     key. Repeating one does nothing and answers like the first time.
 *  6. GW_OK means: on stable storage.
 *
 * Any thread may start an operation. */
#pragma once

#include "base/histogram.h"
#include "core/access.h"
#include "core/attempt.h"
#include "core/config.h"
#include "core/delivery.h"
#include "core/message.h"
#include "store/delivery_log.h"
#include "store/latency.h"
#include "store/stats.h"
#include "store/tally.h"
#include "sys/env.h"

/* ── Operations ────────────────────────────────────────────────────────────────────────────── */

/* What can be asked of a store. */
enum gw_call {
    GW_CALL_ACCEPT,
    GW_CALL_ADD,
    GW_CALL_CLAIM,
    GW_CALL_SETTLE,
    GW_CALL_RETRY,
    GW_CALL_ERASE,
    GW_CALL_OPEN_LANES,
    GW_CALL_REFILL,
    GW_CALL_LOAD,
    GW_CALL_FIND,
    GW_CALL_LIST,
    GW_CALL_TALLY,
    GW_CALL_STATS,
    GW_CALL_HEALTH_SAVE,
    GW_CALL_HEALTH_LOAD,
    GW_CALL_CONFIG_LOAD,
    GW_CALL_CONFIG_PUT,
    GW_CALL_CONFIG_REMOVE,
    GW_CALL_CONFIG_LIST,
    GW_CALL_KEY_PUT,
    GW_CALL_KEY_REMOVE,
    GW_CALL_KEY_FIND,
    GW_CALL_KEY_LIST,
    GW_CALL_AUDIT_ADD,
    GW_CALL_AUDIT_LIST,
    GW_CALL_SLOT,
};
#define GW_CALL_COUNT 26

const char *gw_call_name(enum gw_call call);

struct gw_op {
    /* in */
    struct gw_env *env; /* where `done` runs */
    void (*done)(struct gw_op *op);
    int64_t deadline_us; /* of env's monotonic clock; 0 = none */
    /* out */
    enum gw_err err;
    int64_t again_ms; /* with an error of class "again": not before */
    /* the backend's, until done */
    struct gw_msg msg;
    int kind; /* enum gw_call; the backend's own are from GW_CALL_COUNT on */
    void *found;
};

/* For what stands in front of a backend: the operation's size, and its results taken back, as before
 * it was started; but whether an offer was posted stays, for then it is the owner's. */
size_t gw_call_size(enum gw_call call);
void gw_op_clear(struct gw_op *op);

/* ── Ledger: writing ───────────────────────────────────────────────────────────────────────── */

/* New deliveries on their way to the shard that owns the app. Made by whoever accepts, posted by
 * the backend after the commit, in the order of completions, and the owner's from then on. When
 * nothing is to be delivered (an error, a skip, a duplicate) it stays with the caller. */
struct gw_offer {
    struct gw_msg msg;          /* msg.run set by the caller */
    struct gw_env *env;         /* the owner's */
    void *owner;                /* the caller's, untouched */
    struct gw_message *message; /* a reference of its own; the body may ride along or be dropped */
    size_t count;
    struct gw_delivery deliveries[]; /* filled by the backend; room for all lanes */
};

/* Stores the event and one delivery for each lane in one transaction. */
struct gw_accept {
    struct gw_op op;
    /* in */
    struct gw_message *message; /* its id is set on success when it is new */
    const uint64_t *lanes;      /* none when message->skip says why */
    size_t lane_count;
    int64_t dedupe_ms; /* a routed event with this (appId, eventId) accepted within it: existing */
    struct gw_offer *offer; /* NULL: nobody is told of the deliveries but the caller */
    /* out */
    bool deferred; /* kept, and routed elsewhere: it has an id, the rest is not known yet */
    bool existing; /* nothing was stored: this is the first one's */
    bool payload_differs;
    struct gw_id message_id; /* of the new or the existing event */
    size_t delivery_count; /* new: one for each lane, in order. existing: its own, as they stand */
    struct gw_delivery deliveries[GW_CONFIG_WORKFLOW_URLS_MAX];
    bool offered; /* the offer was posted and is the owner's */
};

/* One more delivery of a stored event for each lane: what a replay does. Repeating the same
 * (message, key, lane) adds nothing and answers the first one. */
struct gw_add {
    struct gw_op op;
    struct gw_id message_id;
    struct gw_slice key; /* names the job; <= 64 bytes */
    const uint64_t *lanes;
    size_t lane_count;
    int64_t now_ms;
    struct gw_offer *offer; /* as in accept; its message is the caller's business */
    size_t delivery_count;
    struct gw_delivery deliveries[GW_CONFIG_WORKFLOW_URLS_MAX];
    bool offered;
};

/* Before a POST. Nobody gets another write id for this delivery until the lease ends or settle, not
 * the claimer either: GW_ERR_BUSY, with again_ms the rest of the lease. Where one process owns the
 * ledger that owner is the lease, and it may claim again what it gave up.
 * GW_ERR_NOT_FOUND: it is not open. */
struct gw_claim {
    struct gw_op op;
    struct gw_delivery delivery; /* as the caller knows it */
    int64_t lease_ms;
    uint64_t write_id; /* out; settle must show it */
};

/* Stores an attempt and the delivery's next state in one transaction.
 * GW_ERR_STALE: the write id is not the current one; nothing was stored.
 * GW_ERR_NOT_FOUND: the delivery is not open (and this was not its settle). */
struct gw_settle {
    struct gw_op op;
    uint64_t write_id;
    const struct gw_attempt *attempt; /* NULL: ended without one (cancelled) */
    struct gw_delivery next;          /* the state after it */
};

/* A manual retry, made durable: see gw_delivery_retry(). The delivery is posted to the owner's env
 * in an offer of one (without its message). GW_ERR_CONFLICT: delivered or cancelled. */
struct gw_retry_op {
    struct gw_op op;
    struct gw_id delivery_id;
    int64_t now_ms;
    struct gw_offer *offer;      /* room for one */
    struct gw_delivery delivery; /* out: as it is now; with CONFLICT, as it stands */
    bool offered;
};

/* Takes payloads and what clients answered away for good, those of an app or of one transaction of it.
 * Ids, names and times stay, and so does what is still to be sent, which cannot be: load answers
 * GW_ERR_GONE, find gives no body, logs are empty and stay so. What is accepted later is not
 * concerned. May be repeated; GW_ERR_BUSY: it is done, but copies of it may be left for a moment. */
struct gw_erase {
    struct gw_op op;
    struct gw_slice app_id;
    struct gw_slice transaction_id; /* len 0 = all of the app */
    int64_t now_ms;
    uint64_t events; /* out: how many the transaction has */
};

/* ── Ledger: what is open ──────────────────────────────────────────────────────────────────── */

struct gw_open_lane {
    uint64_t lane;
    struct gw_slice app_id;
};

/* All lanes in which something is open; asked once, at the start. */
struct gw_open_lanes {
    struct gw_op op;
    struct gw_arena *arena;
    struct gw_open_lane *lanes; /* out, in the arena */
    size_t count;
};

/* The open deliveries of a lane behind a mark, in the order (due_ms, order). Read between commits
 * and completed in order with accepts and settles: what it shows is what their completions said. */
struct gw_refill {
    struct gw_op op;
    uint64_t lane;
    int64_t after_due_ms; /* the mark; INT64_MIN = from the beginning */
    uint64_t after_order;
    struct gw_delivery *deliveries; /* out: caller's room for `max` */
    size_t max;
    size_t count;
    bool complete; /* nothing is open behind these */
};

/* The message with its body, for an attempt.
 * GW_ERR_GONE, GW_ERR_CHANGED: the payload is no more, or is another. */
struct gw_load {
    struct gw_op op;
    struct gw_id message_id;
    struct gw_message *message; /* out: a reference of the caller's */
};

/* ── Ledger: looking ───────────────────────────────────────────────────────────────────────── */

struct gw_row {
    struct gw_delivery delivery;
    const struct gw_message *message; /* in the arena, without body; no reference */
    struct gw_slice log;              /* packed attempts */
};

struct gw_event_row {
    const struct gw_message *message; /* in the arena; body only when asked for */
    struct gw_row *rows;
    size_t count;
};

enum gw_find_key { GW_FIND_MESSAGE, GW_FIND_DELIVERY, GW_FIND_EVENT_ID, GW_FIND_TRANSACTION_ID };

/* Events with their deliveries, newest first. By delivery: the event it belongs to, whole. */
struct gw_find {
    struct gw_op op;
    struct gw_arena *arena;
    enum gw_find_key key;
    struct gw_id id;        /* MESSAGE, DELIVERY */
    struct gw_slice app_id; /* len 0 = any app */
    struct gw_slice text;   /* EVENT_ID, TRANSACTION_ID */
    bool with_body;
    size_t max;                  /* events, <= 100 */
    struct gw_event_row *events; /* out, in the arena; none found: count 0, GW_OK */
    size_t count;
};

#define GW_LIST_MAX 250

/* Deliveries, newest event first. Bounded work: a page may hold fewer than `max` and still have a
 * next one. Filters with len 0 / 0 / -1 do not filter. */
struct gw_list_op {
    struct gw_op op;
    struct gw_arena *arena;
    struct gw_slice app_id, event_type, event_id, transaction_id;
    int state;              /* enum gw_delivery_state, or -1 */
    int64_t from_ms, to_ms; /* of the event's accept: from <= t < to; 0 = open */
    struct gw_slice cursor; /* of an earlier page; len 0 = the first */
    size_t max;
    struct gw_row *rows; /* out, in the arena */
    size_t count;
    struct gw_slice next; /* ptr NULL = the end */
};

/* What is open in a lane. */
struct gw_open_count {
    uint64_t lane;
    struct gw_slice app_id;
    uint64_t count;
};

/* What was counted of the events accepted in some hours, see tally.h; what is open of them, which is
 * counted now; and how long it took from making a delivery to its success. All of an
 * event is of one moment; the latencies may be some seconds behind.
 * GW_ERR_INVALID: the times are not whole hours, or none lies between them. */
struct gw_tally_op {
    struct gw_op op;
    struct gw_arena *arena;
    struct gw_slice app_id, event_type; /* len 0 = all */
    int64_t from_ms, to_ms;             /* whole hours: from <= accepted < to */
    bool full;      /* also recounts every row, which takes a while: `rows`, of the same moment */
    bool open_only; /* nobody wants the latencies; a backend that does not count may leave out the
                       rest too, and the times */
    /* out */
    struct gw_tally counted;
    struct gw_tally rows;       /* with full; a duplicate leaves no row, so none is counted */
    struct gw_open_count *open; /* in the arena, in no order */
    size_t open_count;
    struct gw_latency latency;
};

/* What became of the events accepted in some hours: a row for each bucket of time, app and type in
 * which anything did, in that order. Latencies may be some seconds behind.
 * With a URL: of what was attempted there, so nothing is received or skipped. A failed attempt counts
 * at its URL, an end at that of the last attempt; one without any counts at none.
 * GW_ERR_INVALID: the times are not whole buckets, or none lies between them.
 * GW_ERR_TOO_LARGE: there are more than GW_STATS_MAX. */
struct gw_stats_op {
    struct gw_op op;
    struct gw_arena *arena;
    struct gw_slice app_id, event_type; /* len 0 = all */
    struct gw_slice url;                /* as attempts have it; len 0 = all */
    int64_t from_ms, to_ms;             /* from <= accepted < to */
    int64_t bucket_ms;                  /* GW_HOUR_MS, GW_DAY_MS: UTC */
    struct gw_stats_row *rows;          /* out, in the arena */
    size_t count;
};

/* Totals for metrics and readiness. */
struct gw_ledger_state {
    bool accepting;          /* false: no events are taken; `why` says it */
    const char *why;         /* literal */
    uint64_t open;           /* deliveries pending in the ledger */
    uint64_t configs;        /* of all apps */
    uint64_t operations;     /* in groups that were committed */
    uint64_t queued;         /* waiting for the next group */
    uint64_t damaged;        /* files set aside, until a restart finds them well, or they go */
    int64_t disk_free_bytes; /* where it is stored; 0 = nobody knows */
    int64_t disk_reserve_bytes;
    struct gw_histogram_view commits; /* how long each group took */
};

/* ── Ledger: health of targets ─────────────────────────────────────────────────────────────── */

struct gw_health_row {
    struct gw_slice app_id, url;
    struct gw_slice json; /* opaque to the store, <= 1 KiB */
};

struct gw_health_save {
    struct gw_op op;
    struct gw_health_row health; /* json.len 0 = forget it */
    bool ends_hold; /* what waits for it was held: where that is not in memory it is woken */
};

struct gw_health_load {
    struct gw_op op;
    struct gw_arena *arena;
    struct gw_slice app_id;      /* len 0 = all */
    struct gw_health_row *items; /* out, in the arena */
    size_t count;
};

/* ── The ledger port ───────────────────────────────────────────────────────────────────────── */

/* A port starts what the calls below have made ready: with its kind, and without results. */
struct gw_ledger {
    void (*start)(struct gw_ledger *ledger, struct gw_op *op);
    struct gw_ledger_state (*state)(struct gw_ledger *ledger);
};

void gw_ledger_accept(struct gw_ledger *ledger, struct gw_accept *op);
void gw_ledger_add(struct gw_ledger *ledger, struct gw_add *op);
void gw_ledger_claim(struct gw_ledger *ledger, struct gw_claim *op);
void gw_ledger_settle(struct gw_ledger *ledger, struct gw_settle *op);
void gw_ledger_retry(struct gw_ledger *ledger, struct gw_retry_op *op);
void gw_ledger_erase(struct gw_ledger *ledger, struct gw_erase *op);
void gw_ledger_open_lanes(struct gw_ledger *ledger, struct gw_open_lanes *op);
void gw_ledger_refill(struct gw_ledger *ledger, struct gw_refill *op);
void gw_ledger_load(struct gw_ledger *ledger, struct gw_load *op);
void gw_ledger_find(struct gw_ledger *ledger, struct gw_find *op);
void gw_ledger_list(struct gw_ledger *ledger, struct gw_list_op *op);
void gw_ledger_tally(struct gw_ledger *ledger, struct gw_tally_op *op);
void gw_ledger_stats(struct gw_ledger *ledger, struct gw_stats_op *op);
void gw_ledger_health_save(struct gw_ledger *ledger, struct gw_health_save *op);
void gw_ledger_health_load(struct gw_ledger *ledger, struct gw_health_load *op);
struct gw_ledger_state gw_ledger_state(struct gw_ledger *ledger); /* at once */

/* ── The pace port ─────────────────────────────────────────────────────────────────────────── */

/* Where several processes send to one target that has a rate: hands out each moment once. */
struct gw_slot {
    struct gw_op op;
    struct gw_slice app_id, url;
    uint32_t per_second;
    int64_t now_ms;
    int64_t at_ms; /* out: when to send, now or later; the caller's alone */
};

struct gw_pace {
    void (*start)(struct gw_pace *pace, struct gw_op *op);
};

void gw_pace_slot(struct gw_pace *pace, struct gw_slot *op);

/* ── The configs port ──────────────────────────────────────────────────────────────────────── */

/* The snapshot of one app; of an unknown app: one without configs. */
struct gw_config_load {
    struct gw_op op;
    struct gw_slice app_id;
    struct gw_snapshot *snapshot; /* out: a reference of the caller's */
};

/* Writes a config if the stored one is what it was made from: the version, and the default lane, for
 * one made again after a removal may have the same version. Its line of the audit log is written
 * with it; its new lanes get their numbers. GW_ERR_EXISTS (create: it is there), GW_ERR_NOT_FOUND,
 * GW_ERR_CONFLICT. */
struct gw_config_put {
    struct gw_op op;
    struct gw_config *config;     /* lanes of 0 are filled in before anybody else sees it */
    uint64_t expected_version;    /* 0 = must not exist */
    struct gw_audit audit;        /* who: for the history */
    struct gw_snapshot *snapshot; /* out: of the app, with the change; the caller's reference */
};

/* Removes it, its lanes with it. expected_version 0 = any. */
struct gw_config_remove {
    struct gw_op op;
    struct gw_slice app_id, event_type;
    uint64_t expected_version;
    struct gw_audit audit;
    struct gw_snapshot *snapshot; /* out */
};

/* Configs of all apps in the order (appId, eventType). */
struct gw_config_list {
    struct gw_op op;
    struct gw_arena *arena;
    struct gw_slice app_id;                         /* len 0 = all */
    struct gw_slice after_app_id, after_event_type; /* of the page before; len 0 = first page */
    size_t max;
    struct gw_config **configs; /* out, in the arena: references of the caller's */
    size_t count;
    bool more;
};

struct gw_configs {
    void (*start)(struct gw_configs *configs, struct gw_op *op);
};

void gw_configs_load(struct gw_configs *configs, struct gw_config_load *op);
void gw_configs_put(struct gw_configs *configs, struct gw_config_put *op);
void gw_configs_remove(struct gw_configs *configs, struct gw_config_remove *op);
void gw_configs_list(struct gw_configs *configs, struct gw_config_list *op);

/* ── The admin port ────────────────────────────────────────────────────────────────────────── */

/* Every operation that changes something keeps its line of the audit log with it, all or nothing; so
 * do those of configs. A line that gw_audit_check() refuses refuses the operation. */

/* GW_ERR_EXISTS: the id is taken. GW_ERR_FULL: GW_KEYS_PER_APPID share that appid already. */
struct gw_key_put {
    struct gw_op op;
    struct gw_key key; /* its slices live until done */
    struct gw_audit audit;
};

struct gw_key_remove {
    struct gw_op op;
    struct gw_slice id;    /* "key_…"; GW_ERR_NOT_FOUND */
    struct gw_slice scope; /* len 0 = any; a key of another scope is not found */
    struct gw_audit audit; /* its app_id becomes the key's scope */
    struct gw_arena *arena;
    struct gw_key key; /* out: what it was, in the arena */
};

/* The keys of one appid. */
struct gw_key_find {
    struct gw_op op;
    struct gw_slice appid;
    struct gw_arena *arena;
    struct gw_key *keys; /* out, in the arena; none: count 0, GW_OK */
    size_t count;
};

/* All keys in the order of their ids. */
struct gw_key_list {
    struct gw_op op;
    struct gw_arena *arena;
    struct gw_slice scope; /* len 0 = any */
    struct gw_slice after; /* id of the page before; len 0 = the first page */
    size_t max;
    struct gw_key *keys; /* out, in the arena */
    size_t count;
    bool more;
};

/* A line alone: for what was shown, and for changes that live in another file; those are written
 * down before they are done. */
struct gw_audit_add {
    struct gw_op op;
    struct gw_audit audit;
};

/* Newest first: by time, and lines of one time by which was kept first. Filters with len 0 / 0 do not
 * filter. GW_ERR_INVALID: a subject without its app. */
struct gw_audit_list {
    struct gw_op op;
    struct gw_arena *arena;
    struct gw_slice app_id;
    struct gw_slice subject; /* only with app_id */
    bool configs_only;       /* actions that begin with "config_" */
    int64_t from_ms, to_ms;  /* from <= at < to */
    uint64_t before;         /* `next` of the page before; 0 = the first page */
    size_t max;
    struct gw_audit *lines; /* out, in the arena */
    size_t count;
    uint64_t next; /* 0 = the end */
};

struct gw_admin {
    void (*start)(struct gw_admin *admin, struct gw_op *op);
};

void gw_admin_key_put(struct gw_admin *admin, struct gw_key_put *op);
void gw_admin_key_remove(struct gw_admin *admin, struct gw_key_remove *op);
void gw_admin_key_find(struct gw_admin *admin, struct gw_key_find *op);
void gw_admin_key_list(struct gw_admin *admin, struct gw_key_list *op);
void gw_admin_audit_add(struct gw_admin *admin, struct gw_audit_add *op);
void gw_admin_audit_list(struct gw_admin *admin, struct gw_audit_list *op);
