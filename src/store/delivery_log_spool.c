/* delivery_log_spool.c: owns the files DIR/NUMBER.rows.
 *
 *   file:   records
 *   record: length of the row (4 bytes), when it was added (8), checksum of both and the row (8), row
 *
 * Invariants: numbers only grow; only the last file is written, and never one of an earlier process;
 * only the first is read, and then it is written no more; `given` rows end where `at` is, `taken` ones
 * where `taken_at` is. Files are as large as FILE_BYTES and one write.
 *
 * Thread: its user's. Failure: a write that fails is cut off again, and its rows are the caller's to
 * count. A record that is none (the last one of a crash, or a damaged disk) ends its file: what stands
 * behind it is lost, and `spoilt` says so. Nothing is synced: the log may lose what it was given in the
 * last seconds before the power fails; the ledger, which may not, does not depend on it. */
#include "store/delivery_log_spool.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/crypto.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FILE_BYTES      ((size_t)4 * 1024 * 1024)
#define FILE_BYTES_MAX  ((int64_t)1024 * 1024 * 1024) /* none of ours is larger */
#define HEAD_BYTES      20
#define CHECKSUM_OFFSET 12

struct gw_delivery_log_spool {
    char *dir;
    int64_t bytes_max, disk_free_min_bytes;
    int64_t bytes;        /* of all files */
    uint64_t first, next; /* numbers: of the oldest file, and of the next new one */
    int fd;               /* of file `next` - 1, being written; -1 = none is */
    size_t fd_bytes;
    struct gw_buf reading; /* file `first`; empty = not read yet */
    size_t at, taken_at;
};

static void path_of(const struct gw_delivery_log_spool *spool, uint64_t number, char path[PATH_MAX])
{
    int len = snprintf(path, PATH_MAX, "%s/%llu.rows", spool->dir, (unsigned long long)number);
    gw_check(len > 0 && len < PATH_MAX);
}

static void stop_writing(struct gw_delivery_log_spool *spool)
{
    if (spool->fd >= 0)
        close(spool->fd);
    spool->fd = -1;
    spool->fd_bytes = 0;
}

/* ── The directory ─────────────────────────────────────────────────────────────────────────── */

static void see_file(struct gw_delivery_log_spool *spool, const char *name)
{
    struct gw_slice text = gw_slice_from(name);
    char path[PATH_MAX];
    struct stat stat;
    uint64_t number;
    if (!gw_slice_ends(text, GW_SLICE(".rows")))
        return;
    text.len -= sizeof(".rows") - 1;
    if (!gw_slice_u64(text, &number) || number == UINT64_MAX)
        return;
    path_of(spool, number, path);
    if (lstat(path, &stat) != 0 || !S_ISREG(stat.st_mode))
        return;
    spool->bytes += stat.st_size;
    if (number < spool->first)
        spool->first = number;
    if (number >= spool->next)
        spool->next = number + 1;
}

/* Counts what is there; false: the directory cannot be read, and nothing has changed. */
static bool scan(struct gw_delivery_log_spool *spool)
{
    struct dirent *entry;
    DIR *dir = opendir(spool->dir);
    if (!dir)
        return false;
    spool->bytes = 0;
    spool->first = UINT64_MAX;
    while ((entry = readdir(dir)))
        see_file(spool, entry->d_name);
    closedir(dir);
    if (spool->first == UINT64_MAX)
        spool->first = spool->next;
    return true;
}

/* ── Records ───────────────────────────────────────────────────────────────────────────────── */

static void put(char *out, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (char)(number >> 8 * i & 0xFF);
}

static uint64_t get(const char *in, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++)
        number |= (uint64_t)(unsigned char)in[i] << 8 * i;
    return number;
}

/* Of a record without its checksum's own bytes. The key is none: it is to find damage, not forgery. */
static uint64_t checksum(const char *head, struct gw_slice row)
{
    static const uint8_t key[16] = "delivery-log-row";
    return gw_siphash(key, row) ^ gw_siphash(key, (struct gw_slice){head, CHECKSUM_OFFSET});
}

void gw_delivery_log_spool_add(struct gw_buf *records, int64_t at_ms, struct gw_slice row)
{
    char head[HEAD_BYTES];
    put(head, row.len, 4);
    put(head + 4, (uint64_t)at_ms, 8);
    put(head + CHECKSUM_OFFSET, checksum(head, row), 8);
    gw_buf_add(records, head, sizeof(head));
    gw_buf_adds(records, row);
}

/* The record at the start; its length in bytes, 0 = it is none. */
static size_t parse(struct gw_slice rest, int64_t *at_ms, struct gw_slice *row)
{
    if (rest.len < HEAD_BYTES)
        return 0;
    *row = (struct gw_slice){rest.ptr + HEAD_BYTES, (size_t)get(rest.ptr, 4)};
    if (row->len > rest.len - HEAD_BYTES)
        return 0;
    *at_ms = (int64_t)get(rest.ptr + 4, 8);
    if (get(rest.ptr + CHECKSUM_OFFSET, 8) != checksum(rest.ptr, *row))
        return 0;
    return HEAD_BYTES + row->len;
}

/* ── Writing ───────────────────────────────────────────────────────────────────────────────── */

static bool has_room(const struct gw_delivery_log_spool *spool, size_t more)
{
    struct statvfs disk;
    if (spool->bytes + (int64_t)more > spool->bytes_max)
        return false;
    if (statvfs(spool->dir, &disk) != 0)
        return true; /* the write will tell */
    uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize;
    return left > (uint64_t)spool->disk_free_min_bytes + more;
}

static enum gw_err begin_file(struct gw_delivery_log_spool *spool)
{
    char path[PATH_MAX];
    path_of(spool, spool->next, path);
    spool->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (spool->fd < 0)
        return GW_ERR_IO;
    spool->next++;
    spool->fd_bytes = 0;
    return GW_OK;
}

static bool write_all(int fd, struct gw_slice bytes)
{
    while (bytes.len > 0) {
        ssize_t written = write(fd, bytes.ptr, bytes.len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes = gw_slice_skip(bytes, (size_t)written);
    }
    return true;
}

enum gw_err gw_delivery_log_spool_write(struct gw_delivery_log_spool *spool,
                                        struct gw_slice records)
{
    if (records.len == 0)
        return GW_OK;
    if (!has_room(spool, records.len))
        return GW_ERR_FULL;
    if (spool->fd < 0 && begin_file(spool) != GW_OK)
        return GW_ERR_IO;
    if (!write_all(spool->fd, records)) {
        /* A half record would hide all that follows: cut it off, or write into another file. */
        if (ftruncate(spool->fd, (off_t)spool->fd_bytes) != 0 ||
            lseek(spool->fd, (off_t)spool->fd_bytes, SEEK_SET) < 0)
            stop_writing(spool);
        return GW_ERR_IO;
    }
    spool->bytes += (int64_t)records.len;
    spool->fd_bytes += records.len;
    if (spool->fd_bytes >= FILE_BYTES)
        stop_writing(spool);
    return GW_OK;
}

/* ── Reading ───────────────────────────────────────────────────────────────────────────────── */

static bool read_all(int fd, struct gw_buf *out, size_t bytes)
{
    gw_buf_clear(out);
    gw_buf_reserve(out, bytes);
    while (out->len < bytes) {
        ssize_t got = read(fd, out->ptr + out->len, bytes - out->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            break;
        out->len += (size_t)got;
    }
    return true;
}

static bool read_file(struct gw_delivery_log_spool *spool)
{
    char path[PATH_MAX];
    struct stat stat;
    bool is_read = false;
    path_of(spool, spool->first, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (fstat(fd, &stat) == 0 && stat.st_size <= FILE_BYTES_MAX)
        is_read = read_all(fd, &spool->reading, (size_t)stat.st_size);
    close(fd);
    spool->at = spool->taken_at = 0;
    return is_read;
}

/* The first file is done with. */
static void remove_file(struct gw_delivery_log_spool *spool)
{
    char path[PATH_MAX];
    struct stat stat;
    path_of(spool, spool->first, path);
    if (lstat(path, &stat) == 0) {
        spool->bytes -= stat.st_size;
        unlink(path);
    }
    gw_buf_deinit(&spool->reading);
    spool->at = spool->taken_at = 0;
    spool->first++;
}

static bool is_missing(const struct gw_delivery_log_spool *spool, uint64_t number)
{
    char path[PATH_MAX];
    path_of(spool, number, path);
    return access(path, F_OK) != 0 && errno == ENOENT;
}

/* The first file's bytes are in memory; false: there is no file, or it cannot be read. */
static bool have_file(struct gw_delivery_log_spool *spool)
{
    if (spool->reading.ptr)
        return true;
    if (spool->first < spool->next && is_missing(spool, spool->first))
        scan(spool); /* somebody took it away */
    if (spool->first == spool->next)
        return false;
    if (spool->first + 1 == spool->next)
        stop_writing(spool);
    return read_file(spool);
}

bool gw_delivery_log_spool_next(struct gw_delivery_log_spool *spool, int64_t *at_ms,
                                struct gw_slice *row, size_t *spoilt)
{
    while (have_file(spool)) {
        struct gw_slice rest = gw_slice_skip(gw_buf_slice(&spool->reading), spool->at);
        size_t len = parse(rest, at_ms, row);
        if (len > 0) {
            spool->at += len;
            return true;
        }
        if (rest.len > 0) {
            ++*spoilt;
            spool->reading.len = spool->at;
        }
        if (spool->taken_at < spool->at)
            return false; /* its last rows are given, and not yet taken */
        remove_file(spool);
    }
    return false;
}

void gw_delivery_log_spool_taken(struct gw_delivery_log_spool *spool)
{
    spool->taken_at = spool->at;
    if (spool->reading.ptr && spool->at == spool->reading.len)
        remove_file(spool);
}

void gw_delivery_log_spool_again(struct gw_delivery_log_spool *spool)
{
    spool->at = spool->taken_at;
}

int64_t gw_delivery_log_spool_bytes(const struct gw_delivery_log_spool *spool)
{
    return spool->bytes;
}

/* ── Opening ───────────────────────────────────────────────────────────────────────────────── */

static enum gw_err make_dir(struct gw_delivery_log_spool *spool, struct gw_error *error)
{
    if (mkdir(spool->dir, 0700) != 0 && errno != EEXIST)
        return gw_error_set(error, GW_ERR_IO, "%s: cannot be made: %s", spool->dir,
                            strerror(errno));
    if (!scan(spool))
        return gw_error_set(error, GW_ERR_IO, "%s: cannot be read: %s", spool->dir,
                            strerror(errno));
    return GW_OK;
}

enum gw_err gw_delivery_log_spool_open(const struct gw_delivery_log_spool_options *options,
                                       struct gw_delivery_log_spool **spool, struct gw_error *error)
{
    if (strlen(options->dir) > PATH_MAX - 64)
        return gw_error_set(error, GW_ERR_INVALID, "%.100s…: the path is too long", options->dir);
    *spool = gw_zalloc(sizeof(**spool));
    (*spool)->dir = gw_strdup(options->dir);
    (*spool)->bytes_max = options->bytes_max;
    (*spool)->disk_free_min_bytes = options->disk_free_min_bytes;
    (*spool)->fd = -1;
    enum gw_err err = make_dir(*spool, error);
    if (err != GW_OK) {
        gw_delivery_log_spool_close(*spool);
        *spool = NULL;
    }
    return err;
}

void gw_delivery_log_spool_close(struct gw_delivery_log_spool *spool)
{
    stop_writing(spool);
    gw_buf_deinit(&spool->reading);
    gw_free(spool->dir);
    gw_free(spool);
}
