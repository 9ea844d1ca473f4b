/* sqlite_sum.c: a checksum in every page of every file of the store. Owns the file system that
 * connections are opened with: the default one, but that a page is summed when it is written to its
 * file and compared when it is read from there.
 *
 * The sum is the page's last SUM_BYTES, which SQLite leaves alone (its "reserved bytes"), and covers
 * the page's number, so that a page in the wrong place shows too. A write-ahead log has sums of its
 * own, so a page gets its sum when a checkpoint takes it home, on that thread: commits pay nothing.
 * Whatever a row, an index or a free list says has been looked at before SQLite believes it. See
 * docs/adr/0006-sums-of-pages.md.
 *
 * Threads: none of its own; a file belongs to its connection. Failure: a page that is not as it was
 * written is SQLITE_IOERR_DATA, which is GW_ERR_CORRUPT, and a log line names file and page. Other
 * programs can read these files, but not write them. */
#include "store/sqlite_conn.h"

#include "base/check.h"
#include "base/log.h"

#include <endian.h>
#include <pthread.h>

#define PAGE_BYTES     4096 /* SQLite's default, and nothing sets another */
#define PAGE_BYTES_MIN 512  /* of SQLite: a page's head alone is read in fewer */
#define SUM_BYTES      8
#define RESERVED_AT    20 /* in the file's head: how many bytes of each page are left alone */

struct sum_file {
    sqlite3_file base; /* first */
    const char *name;  /* SQLite's, as long as the file is open */
    /* the real one is behind this struct */
};

static sqlite3_file *real(sqlite3_file *file)
{
    return (sqlite3_file *)(void *)((struct sum_file *)(void *)file + 1);
}

/* ── The sum ───────────────────────────────────────────────────────────────────────────────── */

#define PRIME_1 UINT64_C(0x9e3779b185ebca87)
#define PRIME_2 UINT64_C(0xc2b2ae3d27d4eb4f)
#define PRIME_3 UINT64_C(0x165667b19e3779f9)
#define LANES   4

static uint64_t word_at(const uint8_t *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof(word));
    return le64toh(word);
}

static uint64_t rotl(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

/* One to one in `sum` and in `word`: whatever is changed in one word changes the lane. */
static uint64_t mix(uint64_t sum, uint64_t word)
{
    return rotl(sum + word * PRIME_2, 31) * PRIME_1;
}

/* In the manner of xxHash: for accidents, not against anybody. */
static uint64_t page_sum(const uint8_t *page, uint64_t number)
{
    uint64_t lanes[LANES] = {number + PRIME_1, number ^ PRIME_2, number * PRIME_3, ~number};
    const size_t stripe = sizeof(lanes), end = PAGE_BYTES - SUM_BYTES;
    size_t at = 0;

    for (; at + stripe <= end; at += stripe)
        for (size_t i = 0; i < LANES; i++)
            lanes[i] = mix(lanes[i], word_at(page + at + i * sizeof(uint64_t)));
    for (size_t i = 0; at < end; at += sizeof(uint64_t), i++)
        lanes[i] = mix(lanes[i], word_at(page + at));
    uint64_t sum = number;
    for (size_t i = 0; i < LANES; i++)
        sum = mix(sum ^ lanes[i], lanes[i] >> 29);
    sum ^= sum >> 33;
    return sum * PRIME_3;
}

static uint64_t page_number(sqlite3_int64 at)
{
    return (uint64_t)at / PAGE_BYTES + 1; /* as SQLite counts */
}

static bool is_page(int len, sqlite3_int64 at)
{
    return len == PAGE_BYTES && at % PAGE_BYTES == 0;
}

static void page_stamp(uint8_t *page, sqlite3_int64 at)
{
    uint64_t sum = htole64(page_sum(page, page_number(at)));

    memcpy(page + PAGE_BYTES - SUM_BYTES, &sum, SUM_BYTES);
}

static int damaged(sqlite3_file *file, sqlite3_int64 at)
{
    const struct sum_file *own = (const struct sum_file *)(void *)file;

    gw_log(GW_LOG_ERROR, "store_page_damaged", GW_S("file", own->name ? own->name : ""),
           GW_I("page", (int64_t)page_number(at)));
    return SQLITE_IOERR_DATA;
}

/* ── A file ────────────────────────────────────────────────────────────────────────────────── */

/* A page that begins within the file must also end there. */
static int short_read(sqlite3_file *file, int len, sqlite3_int64 at)
{
    sqlite3_int64 size = 0;
    int rc = real(file)->pMethods->xFileSize(real(file), &size);

    if (rc != SQLITE_OK)
        return rc;
    return is_page(len, at) && size > at ? damaged(file, at) : SQLITE_IOERR_SHORT_READ;
}

static int on_read(sqlite3_file *file, void *out, int len, sqlite3_int64 at)
{
    int rc = real(file)->pMethods->xRead(real(file), out, len, at);

    if (rc == SQLITE_IOERR_SHORT_READ)
        return short_read(file, len, at);
    if (rc != SQLITE_OK || len < PAGE_BYTES_MIN)
        return rc;
    if (!is_page(len, at)) /* its head names another size */
        return damaged(file, at);
    const uint8_t *page = out;
    if (at == 0 && page[RESERVED_AT] != SUM_BYTES) /* another program's: sqlite_sum_check */
        return SQLITE_OK;
    if (word_at(page + PAGE_BYTES - SUM_BYTES) != page_sum(page, page_number(at)))
        return damaged(file, at);
    return SQLITE_OK;
}

static int on_write(sqlite3_file *file, const void *in, int len, sqlite3_int64 at)
{
    uint8_t page[PAGE_BYTES];

    if (!is_page(len, at))
        return real(file)->pMethods->xWrite(real(file), in, len, at);
    memcpy(page, in, sizeof(page));
    page_stamp(page, at);
    return real(file)->pMethods->xWrite(real(file), page, len, at);
}

static int on_close(sqlite3_file *file)
{
    return real(file)->pMethods->xClose(real(file));
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real(file)->pMethods->xTruncate(real(file), size);
}

static int on_sync(sqlite3_file *file, int flags)
{
    return real(file)->pMethods->xSync(real(file), flags);
}

static int on_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real(file)->pMethods->xFileSize(real(file), size);
}

static int on_lock(sqlite3_file *file, int level)
{
    return real(file)->pMethods->xLock(real(file), level);
}

static int on_unlock(sqlite3_file *file, int level)
{
    return real(file)->pMethods->xUnlock(real(file), level);
}

static int on_check_lock(sqlite3_file *file, int *is_locked)
{
    return real(file)->pMethods->xCheckReservedLock(real(file), is_locked);
}

static int on_control(sqlite3_file *file, int op, void *arg)
{
    return real(file)->pMethods->xFileControl(real(file), op, arg);
}

static int on_sector_size(sqlite3_file *file)
{
    return real(file)->pMethods->xSectorSize(real(file));
}

static int on_characteristics(sqlite3_file *file)
{
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

static int on_shm_map(sqlite3_file *file, int at, int len, int may_grow, void volatile **out)
{
    return real(file)->pMethods->xShmMap(real(file), at, len, may_grow, out);
}

static int on_shm_lock(sqlite3_file *file, int at, int count, int flags)
{
    return real(file)->pMethods->xShmLock(real(file), at, count, flags);
}

static void on_shm_barrier(sqlite3_file *file)
{
    real(file)->pMethods->xShmBarrier(real(file));
}

static int on_shm_unmap(sqlite3_file *file, int is_last)
{
    return real(file)->pMethods->xShmUnmap(real(file), is_last);
}

/* Version 2: a file that is mapped into memory could not be looked at. */
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_file_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_check_lock,
    .xFileControl = on_control,
    .xSectorSize = on_sector_size,
    .xDeviceCharacteristics = on_characteristics,
    .xShmMap = on_shm_map,
    .xShmLock = on_shm_lock,
    .xShmBarrier = on_shm_barrier,
    .xShmUnmap = on_shm_unmap,
};

/* ── The file system ───────────────────────────────────────────────────────────────────────── */

static int on_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                   int *out_flags)
{
    sqlite3_vfs *base = vfs->pAppData;
    struct sum_file *own = (struct sum_file *)(void *)file;

    if (!(flags & SQLITE_OPEN_MAIN_DB)) /* a log, a journal, a temporary file */
        return base->xOpen(base, name, file, flags, out_flags);
    *own = (struct sum_file){.name = name};
    memset(real(file), 0, (size_t)base->szOsFile);
    int rc = base->xOpen(base, name, real(file), flags, out_flags);
    if (rc == SQLITE_OK)
        own->base.pMethods = &methods;
    return rc;
}

static void add(void)
{
    static sqlite3_vfs vfs;
    sqlite3_vfs *base = sqlite3_vfs_find(NULL);

    gw_check(base != NULL);
    vfs = *base;
    vfs.pNext = NULL;
    vfs.zName = SQLITE_SUM_VFS;
    vfs.szOsFile = (int)sizeof(struct sum_file) + base->szOsFile;
    vfs.pAppData = base;
    vfs.xOpen = on_open;
    gw_check(sqlite3_vfs_register(&vfs, 0) == SQLITE_OK);
}

void sqlite_sum_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    gw_check(pthread_once(&once, add) == 0);
}

int sqlite_sum_reserve(sqlite3 *db)
{
    int bytes = SUM_BYTES;

    return sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &bytes);
}

bool sqlite_sum_check(sqlite3 *db)
{
    sqlite3_file *file = NULL;
    uint8_t reserved = 0;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);

    if (rc == SQLITE_OK && file->pMethods)
        rc = file->pMethods->xRead(file, &reserved, 1, RESERVED_AT);
    return rc == SQLITE_OK && reserved == SUM_BYTES;
}
