/* memory_state.h: what memory*.c share: everything the backend knows. Not for others. */
#pragma once

#include "base/map.h"
#include "store/memory.h"

#include <stdatomic.h>

/* Ceilings, where the options do not say: far above what a simulation needs. */
#define MEMORY_QUEUE_MAX        100000
#define MEMORY_EVENTS_MAX       2000000
#define MEMORY_HEALTH_MAX       100000
#define MEMORY_HEALTH_BYTES_MAX 1024
#define MEMORY_CONFIGS_MAX      100000
#define MEMORY_KEYS_MAX         10000
#define MEMORY_LINES_MAX        200000
#define MEMORY_ADD_KEY_MAX      64
#define MEMORY_FIND_MAX         100
#define MEMORY_SCAN_MAX         20000 /* rows that one page of a list looks at */
#define MEMORY_AGAIN_MS         100

struct memory_event {
    uint64_t seq; /* 1, 2, …: its place in gw_memory.events, plus one */
    struct gw_message *message;
    struct gw_slice key;                /* (appId, eventId), ours; absent without an eventId */
    struct memory_event *routed_before; /* the one before with this key */
    struct memory_row **rows;
    size_t row_count;
    bool is_erased;
};

/* Attempts at a URL. */
struct memory_tried {
    struct gw_slice url; /* ours */
    int64_t failed;
};

struct memory_row {
    struct gw_list link; /* in its lane's list while it is open */
    struct memory_event *event;
    struct gw_delivery delivery;
    struct gw_slice add_key; /* ours; absent when accept made it */
    struct gw_buf log;
    int64_t lease_us;              /* until then it is the claimer's, with leases */
    uint64_t write_id, settled_id; /* of the last claim, with leases; of the last settle */
    struct memory_tried *tried;    /* URLs, the last one at the end */
    size_t tried_count;
};

struct memory_lane {
    struct gw_list link; /* in gw_memory.lanes */
    uint64_t lane;
    struct gw_slice app_id; /* of the event that opened it first: ours */
    struct gw_list open;    /* memory_row.link */
};

/* Duplicates that came in an hour: they leave nothing else behind. */
struct memory_repeats {
    struct gw_list link;
    int64_t hour_ms;
    struct gw_slice app_id, event_type; /* ours */
    int64_t count;
};

struct memory_health {
    struct gw_list link;
    struct gw_health_row health; /* strings are ours */
};

struct memory_app {
    struct gw_list link;
    struct gw_slice id; /* ours */
    uint64_t revision;  /* stays when the last config goes */
    struct gw_config **configs;
    size_t config_count;
};

/* A read on its way through the env's work. */
struct memory_look {
    struct gw_work work;
    struct gw_list link; /* in gw_memory.looks */
    struct gw_memory *memory;
    struct gw_op *op;
    bool started;
};

struct gw_memory {
    struct gw_ledger ledger;
    struct gw_configs configs;
    struct gw_admin admin;
    struct gw_env *env;
    struct gw_memory_options options;

    /* Not committed: gone with a crash. */
    struct gw_list queue; /* gw_op.msg.link */
    struct gw_list looks;
    struct gw_msg wake; /* from whatever shard to `env` */
    bool wake_posted;
    bool commit_armed;
    struct gw_timer commit;

    /* Committed. */
    uint8_t id_key[32];
    uint64_t next_id; /* of events and deliveries alike; also a delivery's order */
    uint64_t next_lane;
    struct memory_event **events; /* oldest first */
    size_t event_count, event_cap;
    struct gw_map event_by_id, row_by_id;
    struct gw_map routed; /* key -> the newest routed event with it */
    struct gw_map lane_by_number;
    struct gw_list lanes, healths, apps, repeats;
    struct gw_list keys, lines; /* of memory_admin.c */
    size_t health_count, key_count, line_count;

    /* Read from any thread. */
    atomic_uint_fast64_t open, config_count, operations, queued;
    struct gw_histogram commits;
    atomic_bool full;
};

/* What an operation does, once it is its turn. It fills op's results and returns op->err. */
typedef enum gw_err memory_fn(struct gw_memory *memory, struct gw_op *op);

void memory_complete(struct gw_op *op, enum gw_err err); /* through a post */

memory_fn memory_accept, memory_add, memory_claim, memory_settle, memory_retry,
    memory_erase;                                                                  /* _write.c */
memory_fn memory_open_lanes, memory_refill, memory_load, memory_find, memory_list; /* _read.c */
memory_fn memory_tally, memory_stats;                                              /* _tally.c */
memory_fn memory_health_save, memory_health_load;                                  /* _config.c */
memory_fn memory_config_load, memory_config_put, memory_config_remove, memory_config_list;
memory_fn memory_key_put, memory_key_remove, memory_key_find, memory_key_list; /* _admin.c */
memory_fn memory_audit_add, memory_audit_list;

/* A line of the audit log, beside what it tells; to be checked before that is done. */
enum gw_err memory_audit_check(const struct gw_memory *memory, const struct gw_audit *audit);
void memory_audit_write(struct gw_memory *memory, const struct gw_audit *audit);

void memory_repeat_count(struct gw_memory *memory, const struct gw_message *message); /* _tally.c */
void memory_repeats_free(struct gw_memory *memory);

void memory_events_free(struct gw_memory *memory);  /* _write.c */
void memory_configs_free(struct gw_memory *memory); /* _config.c */
void memory_admin_free(struct gw_memory *memory);   /* _admin.c */

/* Copies with memory of their own. */
struct gw_slice memory_dup(struct gw_slice s); /* absent stays absent */
struct gw_message *memory_message_copy(const struct gw_message *message);
int memory_compare(struct gw_slice a, struct gw_slice b); /* bytewise */
