/* sqlite_tail.c: the keys of recent events, those that are in no index file yet. Belongs to the
 * writer; the merge thread only reads the generation that is being merged, which nobody changes
 * until the writer has been told that it is in the file, and lets it go.
 *
 * Entries stand in the order in which they came, each chained before the older ones of its bucket.
 * So the newest is found first, and those of a group that fails are taken off the end.
 *
 * Memory grows by doubling; how many entries there may be is decided by who adds them. */
#include "store/sqlite_index.h"

#include "base/alloc.h"
#include "base/check.h"

#include <string.h>

#define CAP_MIN 1024 /* a power of two */

static uint32_t *bucket(const struct sqlite_generation *g, uint64_t hash)
{
    return &g->buckets[hash & (2 * g->cap - 1)];
}

static void chain(struct sqlite_generation *g, size_t i)
{
    uint32_t *first = bucket(g, g->entries[i].hash);

    g->next[i] = *first;
    *first = (uint32_t)i + 1;
}

static void grow(struct sqlite_generation *g)
{
    g->cap = g->cap ? 2 * g->cap : CAP_MIN;
    gw_check(g->cap <= UINT32_MAX / 2);
    g->entries = gw_realloc(g->entries, g->cap * sizeof(*g->entries));
    g->next = gw_realloc(g->next, g->cap * sizeof(*g->next));
    gw_free(g->buckets);
    g->buckets = gw_zalloc(2 * g->cap * sizeof(*g->buckets));
    for (size_t i = 0; i < g->count; i++)
        chain(g, i);
}

static void generation_deinit(struct sqlite_generation *g)
{
    gw_free(g->entries);
    gw_free(g->next);
    gw_free(g->buckets);
    *g = (struct sqlite_generation){0};
}

void sqlite_tail_deinit(struct sqlite_tail *tail)
{
    generation_deinit(&tail->young);
    generation_deinit(&tail->merging);
}

void sqlite_tail_add(struct sqlite_tail *tail, struct sqlite_entry entry)
{
    struct sqlite_generation *g = &tail->young;

    if (g->count == g->cap)
        grow(g);
    g->entries[g->count] = entry;
    chain(g, g->count++);
}

void sqlite_tail_cut(struct sqlite_tail *tail, size_t young_count)
{
    struct sqlite_generation *g = &tail->young;

    gw_check(young_count <= g->count);
    while (g->count > young_count) { /* the last is the first of its bucket */
        g->count--;
        *bucket(g, g->entries[g->count].hash) = g->next[g->count];
    }
}

void sqlite_tail_turn(struct sqlite_tail *tail)
{
    gw_check(tail->merging.count == 0);
    tail->merging = tail->young;
    tail->young = (struct sqlite_generation){0};
}

void sqlite_tail_let_go(struct sqlite_tail *tail)
{
    generation_deinit(&tail->merging);
}

/* ── Looking ───────────────────────────────────────────────────────────────────────────────── */

static uint32_t first_of(const struct sqlite_generation *g, uint64_t hash)
{
    return g->count > 0 ? *bucket(g, hash) : 0;
}

bool sqlite_tail_next(struct sqlite_tail_walk *walk, uint64_t *seq)
{
    const struct sqlite_generation *const in[] = {&walk->tail->young, &walk->tail->merging};
    uint64_t hash = (uint64_t)walk->hash;

    for (;;) {
        while (walk->at == 0) {
            if (walk->generation == 2)
                return false;
            walk->at = first_of(in[walk->generation++], hash);
        }
        const struct sqlite_generation *g = in[walk->generation - 1];
        const struct sqlite_entry *entry = &g->entries[walk->at - 1];
        walk->at = g->next[walk->at - 1];
        if (entry->hash == hash && sqlite_entry_kind(entry) == walk->kind) {
            *seq = sqlite_entry_seq(entry);
            return true;
        }
    }
}

static void copy_any(const struct sqlite_generation *g, bool is_event_id, int64_t hash,
                     struct gw_buf *seqs)
{
    for (size_t i = 0; i < g->count; i++) {
        const struct sqlite_entry *entry = &g->entries[i];
        uint64_t seq = sqlite_entry_seq(entry);
        if ((entry->hash ^ (uint64_t)hash) >> 32 == 0 &&
            (sqlite_entry_kind(entry) != SQLITE_ENTRY_TX) == is_event_id)
            gw_buf_add(seqs, &seq, sizeof(seq));
    }
}

static void copy_key(const struct sqlite_tail *tail, enum sqlite_entry_kind kind, int64_t hash,
                     struct gw_buf *seqs)
{
    struct sqlite_tail_walk walk = {.tail = tail, .kind = kind, .hash = hash};
    uint64_t seq;

    while (sqlite_tail_next(&walk, &seq))
        gw_buf_add(seqs, &seq, sizeof(seq));
}

void sqlite_tail_copy(const struct sqlite_tail *tail, bool is_event_id, int64_t hash, bool any_app,
                      struct gw_buf *seqs)
{
    if (any_app) {
        copy_any(&tail->young, is_event_id, hash, seqs);
        copy_any(&tail->merging, is_event_id, hash, seqs);
    } else if (is_event_id) {
        copy_key(tail, SQLITE_ENTRY_ROUTED, hash, seqs);
        copy_key(tail, SQLITE_ENTRY_SKIPPED, hash, seqs);
    } else {
        copy_key(tail, SQLITE_ENTRY_TX, hash, seqs);
    }
}
