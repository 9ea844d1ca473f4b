/* key_cache.h: the stored keys as one shard knows them: read when first needed, for all who wait for
 * them at once; that an appid has none is known too; forgotten when one of them changes, and the
 * longest unused over a ceiling. */
#pragma once

#include "store/store.h"

/* All keys of one appid. Immutable. */
struct gw_key_set {
    size_t refs; /* the cache's own */
    size_t count;
    struct gw_key keys[];
};

struct gw_key_cache;

/* `keep_ms`: how old what was read may get; 0 = it is told of each change. `max`: appids. */
struct gw_key_cache *gw_key_cache_create(struct gw_env *env, struct gw_admin *admin,
                                         int64_t keep_ms, size_t max);
void gw_key_cache_destroy(struct gw_key_cache *cache);

/* NULL: it is not known (any more), load it. Borrowed: valid until the loop turns. */
const struct gw_key_set *gw_key_cache_peek(struct gw_key_cache *cache, struct gw_slice appid);

struct gw_key_wait {
    struct gw_list link;
    /* `set` is borrowed; NULL: the store cannot answer, `failed` says it. */
    void (*ready)(struct gw_key_wait *wait, const struct gw_key_set *set,
                  const struct gw_op *failed);
};

/* Reads the keys of an appid; `ready` is called from the loop. Only after peek said NULL. Whoever
 * waits is under way in his shard, so that a shard which is idle waits for no keys. */
void gw_key_cache_load(struct gw_key_cache *cache, struct gw_slice appid, struct gw_key_wait *wait);

/* ── A committed change, on its way to every shard ─────────────────────────────────────────── */

struct gw_key_notice;

struct gw_key_publish {
    /* in; all of it lives until done */
    struct gw_slice appid;              /* ptr NULL = any */
    struct gw_key_cache *const *caches; /* of every shard */
    size_t count;
    struct gw_env *env; /* where done runs */
    void (*done)(struct gw_key_publish *publish);
    /* its own */
    struct gw_msg msg;
    atomic_size_t left;
    struct gw_key_notice *notices;
};

/* Has every shard forget the keys of that appid; `done` when all have. A read that is under way then
 * is done again, so nobody is let in by what was read before. */
void gw_key_cache_publish(struct gw_key_publish *publish);
