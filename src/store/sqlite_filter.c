/* sqlite_filter.c: says of most keys that an index does not have them, so that an accept of a new
 * event asks no file. A Bloom filter in blocks of one cache line: a question costs one miss.
 *
 * Hashes are random to begin with: the upper half chooses the block, and the bits in it come from the
 * whole, mixed once. With BITS_PER_KEY 20 and PROBES 7 one key in 3 000 that is not there gets through.
 * That is worth its memory: each of those reads a page that may have left the system's cache, and the
 * writer waits for it.
 *
 * An index has one for each part, made by the merge thread from the file, or while the part is filled.
 * Those of all indexes together have a ceiling; a part beyond it has none, and is asked itself. */
#include "store/sqlite_index.h"

#include "base/alloc.h"

#define FILTERS_BYTES_MAX ((size_t)128 * 1024 * 1024)
#define BITS_PER_KEY      20
#define PROBES            7
#define BLOCK_WORDS       8
#define BLOCK_BITS        (BLOCK_WORDS * 64)
#define BIT_BITS          9 /* a bit's number in its block */

_Static_assert(1 << BIT_BITS == BLOCK_BITS && PROBES * BIT_BITS <= 64, "a hash has enough of them");

struct sqlite_filter *sqlite_filter_create(size_t keys)
{
    size_t blocks = keys * BITS_PER_KEY / BLOCK_BITS + 1;
    size_t words = blocks * BLOCK_WORDS;
    struct sqlite_filter *filter = gw_zalloc(sizeof(*filter) + words * sizeof(filter->words[0]));

    filter->blocks = blocks;
    return filter;
}

size_t sqlite_filter_bytes(const struct sqlite_filter *filter)
{
    return filter->blocks * BLOCK_WORDS * sizeof(filter->words[0]);
}

static size_t block_of(const struct sqlite_filter *filter, uint64_t hash)
{
    return (size_t)((hash >> 32) * filter->blocks >> 32) * BLOCK_WORDS;
}

/* The numbers of its bits, one behind the other. */
static uint64_t bits_of(uint64_t hash)
{
    return (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
}

void sqlite_filter_add(struct sqlite_filter *filter, uint64_t hash)
{
    size_t block = block_of(filter, hash);
    uint64_t bits = bits_of(hash);

    for (int i = 0; i < PROBES; i++, bits >>= BIT_BITS) {
        _Atomic uint64_t *word = &filter->words[block + bits % BLOCK_BITS / 64];
        uint64_t set = atomic_load_explicit(word, memory_order_relaxed) | (uint64_t)1 << bits % 64;
        atomic_store_explicit(word, set, memory_order_relaxed); /* nobody else adds */
    }
}

bool sqlite_filter_has(const struct sqlite_filter *filter, uint64_t hash)
{
    size_t block = block_of(filter, hash);
    uint64_t bits = bits_of(hash);

    for (int i = 0; i < PROBES; i++, bits >>= BIT_BITS) {
        const _Atomic uint64_t *word = &filter->words[block + bits % BLOCK_BITS / 64];
        if ((atomic_load_explicit(word, memory_order_relaxed) >> bits % 64 & 1) == 0)
            return false;
    }
    return true;
}

/* ── Those of an index ─────────────────────────────────────────────────────────────────────── */

/* NULL: there is no room for another. */
static struct sqlite_filter *filter_create(struct sqlite_index *index)
{
    struct sqlite_merger *m = index->merger;
    struct sqlite_filter *filter = sqlite_filter_create(index->file.part_keys);
    size_t bytes = sqlite_filter_bytes(filter);

    if (atomic_fetch_add(&m->filter_bytes, bytes) + bytes <= FILTERS_BYTES_MAX)
        return filter;
    atomic_fetch_sub(&m->filter_bytes, bytes);
    gw_free(filter);
    return NULL;
}

static void filter_free(struct sqlite_index *index, struct sqlite_filter *filter)
{
    if (filter)
        atomic_fetch_sub(&index->merger->filter_bytes, sqlite_filter_bytes(filter));
    gw_free(filter);
}

void sqlite_filters_free(struct sqlite_index *index)
{
    for (size_t i = 0; i < SQLITE_PARTS_MAX; i++) {
        struct sqlite_filter *filter = atomic_load(&index->filters[i]);
        atomic_store(&index->filters[i], NULL);
        filter_free(index, filter);
    }
}

struct sqlite_filter *sqlite_filters_for(struct sqlite_index *index, uint32_t part)
{
    struct sqlite_filter *filter = atomic_load(&index->filters[part]);
    const struct sqlite_index_state *state = &index->file.state;
    bool is_empty = part > state->part || state->event_keys == 0;

    if (filter || !is_empty || !index->uses_filters)
        return filter;
    filter = filter_create(index);
    atomic_store(&index->filters[part], filter);
    return filter;
}

enum gw_err sqlite_filters_make(struct sqlite_index *index, bool *has_all)
{
    struct sqlite_conn *conn = &index->file.conn;

    *has_all = false;
    for (uint32_t part = index->file.state.part + 1; part-- > 0;) {
        if (atomic_load(&index->filters[part]))
            continue;
        struct sqlite_filter *filter = filter_create(index);
        if (filter == NULL)
            break;
        conn->rc = SQLITE_OK;
        if (!sqlite_index_filter(conn, part, filter)) {
            filter_free(index, filter);
            return sqlite_index_err(conn, conn->rc);
        }
        atomic_store(&index->filters[part], filter);
        return GW_OK;
    }
    *has_all = true;
    return GW_OK;
}
