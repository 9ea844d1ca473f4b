/* map.h: a hash map from byte strings to pointers; SipHash, so that no outsider can aim at a slot.
 *
 * The key's bytes are not copied: they must live as long as the entry, usually inside the value.
 * All zeroes is an empty map. Owned by one thread. */
#pragma once

#include "base/slice.h"

struct gw_map_slot {
    struct gw_slice key;
    uint64_t hash;
    void *value; /* NULL = free */
};

struct gw_map {
    struct gw_map_slot *slots;
    size_t count, cap; /* cap is 0 or a power of two */
};

void gw_map_deinit(struct gw_map *map); /* keys and values stay the caller's */
void *gw_map_get(const struct gw_map *map, struct gw_slice key);       /* NULL when absent */
void gw_map_put(struct gw_map *map, struct gw_slice key, void *value); /* replaces key and value */
void *gw_map_del(struct gw_map *map, struct gw_slice key);             /* what was there, or NULL */

/* Walks in no order: start with *at = 0; NULL at the end. No put or del meanwhile. */
void *gw_map_next(const struct gw_map *map, size_t *at);

/* Sets the process's hash key, random otherwise, so that a simulation walks its maps in the same
 * order each time. Before the first put. */
void gw_map_hash_key_set(const uint8_t key[16]);

/* A number as a key; the number lives inside the value. */
static inline struct gw_slice gw_map_key(const uint64_t *number)
{
    return (struct gw_slice){(const char *)number, sizeof(*number)};
}
