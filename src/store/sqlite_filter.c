/* sqlite_filter.c: says of most keys that an index does not have them, so that an accept of a new
 * event asks no file. A Bloom filter in blocks of one cache line: a question costs one miss.
 *
 * Hashes are random to begin with, and are used as they are: the upper half chooses the block, the
 * lower the bits. BITS_PER_KEY 14 and PROBES 6 let one key in 290 through that is not there.
 *
 * An index has one for each part, made by the merge thread from the file, or while the part is filled.
 * Those of all indexes together have a ceiling; a part beyond it has none, and is asked itself. */
#include "store/sqlite_index.h"

#include "base/alloc.h"

#define FILTERS_BYTES_MAX ((size_t)36 * 1024 * 1024)
#define BITS_PER_KEY      14
#define PROBES            6
#define BLOCK_WORDS       8
#define BLOCK_BITS        (BLOCK_WORDS * 64)

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

/* The lower half gives a start and a step of 9 bits each; an odd step meets PROBES different bits. */
void sqlite_filter_add(struct sqlite_filter *filter, uint64_t hash)
{
    size_t block = block_of(filter, hash);
    unsigned bit = (unsigned)hash % BLOCK_BITS, step = (unsigned)(hash >> 9) % BLOCK_BITS | 1;

    for (int i = 0; i < PROBES; i++, bit = (bit + step) % BLOCK_BITS) {
        _Atomic uint64_t *word = &filter->words[block + bit / 64];
        uint64_t set = atomic_load_explicit(word, memory_order_relaxed) | (uint64_t)1 << bit % 64;
        atomic_store_explicit(word, set, memory_order_relaxed); /* nobody else adds */
    }
}

bool sqlite_filter_has(const struct sqlite_filter *filter, uint64_t hash)
{
    size_t block = block_of(filter, hash);
    unsigned bit = (unsigned)hash % BLOCK_BITS, step = (unsigned)(hash >> 9) % BLOCK_BITS | 1;

    for (int i = 0; i < PROBES; i++, bit = (bit + step) % BLOCK_BITS) {
        uint64_t word =
            atomic_load_explicit(&filter->words[block + bit / 64], memory_order_relaxed);
        if ((word >> bit % 64 & 1) == 0)
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
