/* key_cache.c: owns a shard's cache of stored keys.
 *
 *            load                     found
 *   nothing ──────▶ loading (waiters) ──────▶ a set (perhaps an empty one)
 *      ▲               │ ▲ changed meanwhile: again │
 *      │ failed        ▼ └─┘                        │ changed, too old, or unused and no room
 *      └───────────────┴────────────────────────────┘
 *
 * Invariant: what is in the cache was read after the last change that this shard was told of.
 * Thread: the shard's, but for the countdown of a publish. A read that fails is told to its waiters
 * and forgotten: the next one asks again. */
#include "api/key_cache.h"

#include "base/check.h"
#include "base/map.h"

struct entry {
    struct gw_list link; /* of cache->used: the longest unused first */
    struct gw_key_cache *cache;
    struct gw_slice appid; /* behind the struct */
    struct gw_key_set *set;
    int64_t until_us;
    bool loading, again;
    struct gw_list waiters;
    struct gw_key_find find;
    struct gw_arena arena; /* find's */
};

struct gw_key_cache {
    struct gw_env *env;
    struct gw_admin *admin;
    int64_t keep_ms;
    size_t max;
    struct gw_map by_appid;
    struct gw_list used;
};

struct gw_key_cache *gw_key_cache_create(struct gw_env *env, struct gw_admin *admin,
                                         int64_t keep_ms, size_t max)
{
    struct gw_key_cache *cache = gw_zalloc(sizeof(*cache));
    cache->env = env;
    cache->admin = admin;
    cache->keep_ms = keep_ms;
    cache->max = max;
    gw_list_init(&cache->used);
    return cache;
}

/* ── Sets ──────────────────────────────────────────────────────────────────────────────────── */

static struct gw_slice keep_text(char **at, struct gw_slice text)
{
    if (!text.ptr)
        return text;
    memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return (struct gw_slice){*at - text.len, text.len};
}

/* In one piece, for there may be thousands of them. */
static struct gw_key_set *set_create(const struct gw_key *keys, size_t count)
{
    size_t text_len = 0;
    for (size_t i = 0; i < count; i++)
        text_len += keys[i].appid.len + keys[i].name.len + keys[i].scope.len;
    struct gw_key_set *set = gw_alloc(sizeof(*set) + count * sizeof(*keys) + text_len);
    char *at = (char *)&set->keys[count];
    set->refs = 1;
    set->count = count;
    for (size_t i = 0; i < count; i++) {
        set->keys[i] = keys[i];
        set->keys[i].appid = keep_text(&at, keys[i].appid);
        set->keys[i].name = keep_text(&at, keys[i].name);
        set->keys[i].scope = keep_text(&at, keys[i].scope);
    }
    return set;
}

static void set_unref(struct gw_key_set *set)
{
    if (set && --set->refs == 0)
        gw_free(set);
}

/* ── Entries ───────────────────────────────────────────────────────────────────────────────── */

static void entry_forget(struct entry *entry)
{
    gw_map_del(&entry->cache->by_appid, entry->appid);
    gw_list_remove(&entry->link);
    set_unref(entry->set);
    gw_arena_deinit(&entry->arena);
    gw_free(entry);
}

void gw_key_cache_destroy(struct gw_key_cache *cache)
{
    gw_list_each_safe (node, &cache->used)
        entry_forget(gw_container_of(node, struct entry, link));
    gw_map_deinit(&cache->by_appid);
    gw_free(cache);
}

/* Room for one more: forgets the longest unused that is not loading. */
static void make_room(struct gw_key_cache *cache)
{
    if (cache->by_appid.count < cache->max)
        return;
    gw_list_each (node, &cache->used) {
        struct entry *entry = gw_container_of(node, struct entry, link);
        if (!entry->loading) {
            entry_forget(entry);
            return;
        }
    }
}

static struct entry *entry_create(struct gw_key_cache *cache, struct gw_slice appid)
{
    make_room(cache);
    struct entry *entry = gw_zalloc(sizeof(*entry) + appid.len);
    memcpy(entry + 1, appid.ptr, appid.len);
    entry->cache = cache;
    entry->appid = (struct gw_slice){(const char *)(entry + 1), appid.len};
    gw_list_init(&entry->waiters);
    gw_list_push(&cache->used, &entry->link);
    gw_map_put(&cache->by_appid, entry->appid, entry);
    return entry;
}

static bool is_old(const struct entry *entry)
{
    return entry->cache->keep_ms && gw_env_mono_us(entry->cache->env) >= entry->until_us;
}

const struct gw_key_set *gw_key_cache_peek(struct gw_key_cache *cache, struct gw_slice appid)
{
    struct entry *entry = gw_map_get(&cache->by_appid, appid);
    if (!entry || entry->loading || is_old(entry))
        return NULL;
    gw_list_remove(&entry->link);
    gw_list_push(&cache->used, &entry->link);
    return entry->set;
}

/* ── Reading ───────────────────────────────────────────────────────────────────────────────── */

static void start(struct entry *entry);

/* A waiter may make room, and forget this very entry: it is not touched once they are called. */
static void on_found(struct gw_op *op)
{
    struct gw_key_find *find = gw_container_of(op, struct gw_key_find, op);
    struct entry *entry = gw_container_of(find, struct entry, find);
    struct gw_op failed = *op;
    struct gw_key_set *set = NULL;
    struct gw_list waiters, *node;
    if (entry->again) {
        start(entry);
        return;
    }
    entry->loading = false;
    if (op->err == GW_OK) {
        set = entry->set = set_create(find->keys, find->count);
        set->refs++;
        entry->until_us = gw_env_mono_us(entry->cache->env) + entry->cache->keep_ms * 1000;
    }
    gw_arena_deinit(&entry->arena);
    gw_list_init(&waiters);
    gw_list_splice(&waiters, &entry->waiters);
    if (!set)
        entry_forget(entry);
    while ((node = gw_list_pop(&waiters))) {
        struct gw_key_wait *wait = gw_container_of(node, struct gw_key_wait, link);
        wait->ready(wait, set, &failed);
    }
    set_unref(set);
}

static void start(struct entry *entry)
{
    struct gw_admin *admin = entry->cache->admin;
    set_unref(entry->set);
    entry->set = NULL;
    entry->loading = true;
    entry->again = false;
    gw_arena_deinit(&entry->arena);
    entry->find = (struct gw_key_find){
        .op = {.env = entry->cache->env, .done = on_found},
        .appid = entry->appid,
        .arena = &entry->arena,
    };
    gw_admin_key_find(admin, &entry->find);
}

void gw_key_cache_load(struct gw_key_cache *cache, struct gw_slice appid, struct gw_key_wait *wait)
{
    struct entry *entry = gw_map_get(&cache->by_appid, appid);
    if (!entry)
        entry = entry_create(cache, appid);
    gw_list_push(&entry->waiters, &wait->link);
    if (!entry->loading)
        start(entry);
}

/* ── Publishing ────────────────────────────────────────────────────────────────────────────── */

struct gw_key_notice {
    struct gw_msg msg;
    struct gw_key_cache *cache;
    struct gw_key_publish *publish;
};

static void on_published(struct gw_msg *msg)
{
    struct gw_key_publish *publish = gw_container_of(msg, struct gw_key_publish, msg);
    gw_free(publish->notices);
    publish->done(publish);
}

static void on_notice(struct gw_msg *msg)
{
    struct gw_key_notice *notice = gw_container_of(msg, struct gw_key_notice, msg);
    struct gw_key_publish *publish = notice->publish;
    gw_list_each_safe (node, &notice->cache->used) {
        struct entry *entry = gw_container_of(node, struct entry, link);
        if (publish->appid.ptr && !gw_slice_eq(publish->appid, entry->appid))
            continue;
        if (entry->loading)
            entry->again = true;
        else
            entry_forget(entry);
    }
    if (atomic_fetch_sub(&publish->left, 1) == 1)
        gw_env_post(publish->env, &publish->msg);
}

void gw_key_cache_publish(struct gw_key_publish *publish)
{
    size_t count = publish->count; /* once all are posted it may be over */
    gw_check(count > 0);
    publish->msg.run = on_published;
    publish->notices = gw_alloc(count * sizeof(*publish->notices));
    atomic_store(&publish->left, count);
    for (size_t i = 0; i < count; i++) {
        struct gw_key_notice *notice = &publish->notices[i];
        *notice = (struct gw_key_notice){{.run = on_notice}, publish->caches[i], publish};
        gw_env_post(notice->cache->env, &notice->msg);
    }
}
