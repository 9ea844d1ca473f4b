/* map.c: open addressing, linear probing. A map owns its slots, never keys or values; the process
 * owns one random hash key.
 *
 * Invariants: at most three quarters of the slots are used, so that a search ends; between the slot
 * a key hashes to and the slot it is in, none is free. A delete therefore moves later entries back
 * instead of leaving tombstones: a map that lives for months does not silt up. */
#include "base/map.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/crypto.h"

#include <pthread.h>

#define CAP_MIN 16

static uint8_t hash_key[16];
static pthread_once_t hash_key_once = PTHREAD_ONCE_INIT;

static void hash_key_draw(void)
{
    gw_random_bytes(hash_key, sizeof(hash_key));
}

void gw_map_hash_key_set(const uint8_t key[16])
{
    pthread_once(&hash_key_once, hash_key_draw);
    memcpy(hash_key, key, sizeof(hash_key));
}

static uint64_t hash_of(struct gw_slice key)
{
    pthread_once(&hash_key_once, hash_key_draw);
    return gw_siphash(hash_key, key);
}

/* The key's slot, or the free one where it would go. */
static struct gw_map_slot *find(const struct gw_map *map, struct gw_slice key, uint64_t hash)
{
    size_t mask = map->cap - 1;

    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        struct gw_map_slot *slot = &map->slots[i];
        if (slot->value == NULL || (slot->hash == hash && gw_slice_eq(slot->key, key)))
            return slot;
    }
}

static void grow(struct gw_map *map)
{
    struct gw_map old = *map;

    map->cap = old.cap ? old.cap * 2 : CAP_MIN;
    map->slots = gw_zalloc(map->cap * sizeof(*map->slots));
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value)
            *find(map, old.slots[i].key, old.slots[i].hash) = old.slots[i];
    gw_free(old.slots);
}

void gw_map_deinit(struct gw_map *map)
{
    gw_free(map->slots);
    *map = (struct gw_map){0};
}

void *gw_map_get(const struct gw_map *map, struct gw_slice key)
{
    return map->count ? find(map, key, hash_of(key))->value : NULL;
}

void gw_map_put(struct gw_map *map, struct gw_slice key, void *value)
{
    gw_check(value != NULL);
    if (map->count >= map->cap / 4 * 3)
        grow(map);
    uint64_t hash = hash_of(key);
    struct gw_map_slot *slot = find(map, key, hash);
    if (slot->value == NULL)
        map->count++;
    *slot = (struct gw_map_slot){key, hash, value};
}

/* Fills the hole at `hole` with the next entry that may stand there, and so on until a free slot. */
static void close_hole(struct gw_map *map, size_t hole)
{
    size_t mask = map->cap - 1;

    for (size_t i = (hole + 1) & mask; map->slots[i].value; i = (i + 1) & mask) {
        size_t home = (size_t)map->slots[i].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue; /* it would stand before its home */
        map->slots[hole] = map->slots[i];
        hole = i;
    }
    map->slots[hole] = (struct gw_map_slot){0};
}

void *gw_map_del(struct gw_map *map, struct gw_slice key)
{
    if (map->count == 0)
        return NULL;
    struct gw_map_slot *slot = find(map, key, hash_of(key));
    void *value = slot->value;
    if (value) {
        close_hole(map, (size_t)(slot - map->slots));
        map->count--;
    }
    return value;
}

void *gw_map_next(const struct gw_map *map, size_t *at)
{
    while (*at < map->cap) {
        void *value = map->slots[(*at)++].value;
        if (value)
            return value;
    }
    return NULL;
}
