/* sqlite_filter.c: says of most keys that an index does not have them, so that an accept of a new
 * event asks no file. A Bloom filter in blocks of one cache line: a question costs one miss.
 *
 * Hashes are random to begin with, and are used as they are: the upper half chooses the block, the
 * lower the bits. BITS_PER_KEY 14 and PROBES 6 let one key in 290 through that is not there. */
#include "store/sqlite_index.h"

#include "base/alloc.h"

#define BITS_PER_KEY 14
#define PROBES       6
#define BLOCK_WORDS  8
#define BLOCK_BITS   (BLOCK_WORDS * 64)

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
