/* sqlite_key.h: what ids say and where keys lead: ids, hashes of keys, page cursors. Pure. */
#pragma once

#include "base/arena.h"
#include "base/id.h"
#include "base/slice.h"

#define SQLITE_SEQ_MAX   (((uint64_t)1 << 47) - 1)
#define SQLITE_N_EVENT   0xffff /* in the place of a delivery's number: the event itself */
#define SQLITE_KEY_BYTES 32

struct sqlite_keys {
    uint8_t id[32];
    uint8_t hash[16];
};

/* What an id says. */
struct sqlite_ref {
    uint32_t segment;
    uint64_t seq; /* 1 … SQLITE_SEQ_MAX */
    uint16_t n;   /* of the delivery in its event, or SQLITE_N_EVENT */
};

static inline int64_t sqlite_row_id(uint64_t seq, uint16_t n)
{
    return (int64_t)(seq << 16 | n);
}

struct gw_id sqlite_id(const struct sqlite_keys *keys, struct sqlite_ref ref);
/* False: it was not made here, or is of the other kind. */
bool sqlite_id_event(const struct sqlite_keys *keys, const struct gw_id *id,
                     struct sqlite_ref *ref);
bool sqlite_id_delivery(const struct sqlite_keys *keys, const struct gw_id *id,
                        struct sqlite_ref *ref);

/* The place behind which a page goes on, as opaque text, and back. */
struct gw_slice sqlite_cursor(const struct sqlite_keys *keys, struct sqlite_ref ref,
                              struct gw_arena *arena);
bool sqlite_cursor_read(const struct sqlite_keys *keys, struct gw_slice text,
                        struct sqlite_ref *ref);

/* The upper half depends on `key` alone: without an app it is what all apps' have in common. */
int64_t sqlite_key_hash(const struct sqlite_keys *keys, struct gw_slice app_id,
                        struct gw_slice key);
int64_t sqlite_body_hash(const struct sqlite_keys *keys, struct gw_slice body);
int64_t sqlite_url_hash(const struct sqlite_keys *keys, struct gw_slice url); /* never 0 */
