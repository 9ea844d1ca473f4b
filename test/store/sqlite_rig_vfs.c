/* sqlite_rig_vfs.c: a file system in front of the real one that fails when told to, and that keeps
 * an image of what was synced: what a machine would find after its power had gone. Other writes are
 * lost in the image, all of them, which is the worst that can happen. */
#include "sqlite_rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct vfs_file {
    sqlite3_file base; /* first */
    const char *name;
    sqlite3_file *real; /* behind this struct */
};

static sqlite3_vfs *real_vfs;
static atomic_int fault, left;
static _Atomic(const char *) fault_suffix, hold_suffix;
static void (*hold_fn)(void *ctx);
static void *hold_ctx;
static char image_dir[256];
static atomic_bool is_powered;
static pthread_mutex_t image_lock = PTHREAD_MUTEX_INITIALIZER;

static sqlite3_file *real(sqlite3_file *file)
{
    return ((struct vfs_file *)(void *)file)->real;
}

static bool fails(sqlite3_file *file, enum rig_fault which)
{
    const char *name = ((struct vfs_file *)(void *)file)->name;

    if (atomic_load(&fault) != (int)which || name == NULL ||
        !gw_slice_ends(gw_slice_from(name), gw_slice_from(atomic_load(&fault_suffix))))
        return false;
    return atomic_fetch_sub(&left, 1) <= 0;
}

void rig_vfs_hold(const char *suffix, void (*fn)(void *ctx), void *ctx)
{
    hold_fn = fn;
    hold_ctx = ctx;
    atomic_store(&hold_suffix, suffix);
}

static void hold(sqlite3_file *file)
{
    const char *name = ((struct vfs_file *)(void *)file)->name, *suffix = atomic_load(&hold_suffix);

    if (name && suffix && gw_slice_ends(gw_slice_from(name), gw_slice_from(suffix)) &&
        atomic_compare_exchange_strong(&hold_suffix, &suffix, NULL))
        hold_fn(hold_ctx);
}

void rig_vfs_fail(enum rig_fault which, const char *suffix, int after)
{
    atomic_store(&fault, RIG_FAULT_NONE);
    atomic_store(&fault_suffix, suffix);
    atomic_store(&left, after);
    atomic_store(&fault, (int)which);
}

/* ── The image ─────────────────────────────────────────────────────────────────────────────── */

void rig_vfs_image(const char *image)
{
    snprintf(image_dir, sizeof(image_dir), "%s", image);
    atomic_store(&is_powered, true);
}

void rig_vfs_power_off(void)
{
    atomic_store(&is_powered, false);
}

static void copy_to_image(sqlite3_file *file)
{
    const char *name = ((struct vfs_file *)(void *)file)->name;
    char path[512], part[520], page[8192];
    sqlite3_int64 size = 0;

    if (!atomic_load(&is_powered) || name == NULL)
        return;
    pthread_mutex_lock(&image_lock); /* or an older copy could come last */
    snprintf(path, sizeof(path), "%s/%s", image_dir, strrchr(name, '/') + 1);
    snprintf(part, sizeof(part), "%s.part", path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    gw_check(fd >= 0);
    gw_check(real(file)->pMethods->xFileSize(real(file), &size) == SQLITE_OK);
    for (sqlite3_int64 at = 0; at < size; at += (sqlite3_int64)sizeof(page)) {
        int len = size - at < (sqlite3_int64)sizeof(page) ? (int)(size - at) : (int)sizeof(page);
        gw_check(real(file)->pMethods->xRead(real(file), page, len, at) == SQLITE_OK);
        gw_check(write(fd, page, (size_t)len) == len);
    }
    close(fd);
    if (atomic_load(&is_powered)) /* all of a sync, or nothing of it */
        gw_check(rename(part, path) == 0);
    else
        unlink(part);
    pthread_mutex_unlock(&image_lock);
}

/* ── A file ────────────────────────────────────────────────────────────────────────────────── */

static int on_close(sqlite3_file *file)
{
    return real(file)->pMethods->xClose(real(file));
}

static int on_read(sqlite3_file *file, void *out, int len, sqlite3_int64 at)
{
    return real(file)->pMethods->xRead(real(file), out, len, at);
}

static int on_write(sqlite3_file *file, const void *in, int len, sqlite3_int64 at)
{
    if (fails(file, RIG_FAULT_WRITE))
        return SQLITE_IOERR_WRITE;
    if (fails(file, RIG_FAULT_FULL))
        return SQLITE_FULL;
    hold(file);
    return real(file)->pMethods->xWrite(real(file), in, len, at);
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real(file)->pMethods->xTruncate(real(file), size);
}

static int on_sync(sqlite3_file *file, int flags)
{
    if (fails(file, RIG_FAULT_SYNC))
        return SQLITE_IOERR_FSYNC;
    if (fails(file, RIG_FAULT_POWER))
        rig_vfs_power_off();
    int rc = real(file)->pMethods->xSync(real(file), flags);
    if (rc == SQLITE_OK)
        copy_to_image(file);
    return rc;
}

static int on_size(sqlite3_file *file, sqlite3_int64 *size)
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

static int on_check_lock(sqlite3_file *file, int *is_reserved)
{
    return real(file)->pMethods->xCheckReservedLock(real(file), is_reserved);
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

static int on_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return real(file)->pMethods->xShmMap(real(file), page, size, extend, out);
}

static int on_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real(file)->pMethods->xShmLock(real(file), offset, n, flags);
}

static void on_shm_barrier(sqlite3_file *file)
{
    real(file)->pMethods->xShmBarrier(real(file));
}

static int on_shm_unmap(sqlite3_file *file, int is_deleted)
{
    return real(file)->pMethods->xShmUnmap(real(file), is_deleted);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_size,
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

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags,
                   int *flags_out)
{
    struct vfs_file *file = (struct vfs_file *)(void *)base;

    (void)vfs;
    file->base.pMethods = NULL;
    file->name = name;
    file->real = (sqlite3_file *)(void *)(file + 1);
    int rc = real_vfs->xOpen(real_vfs, name, file->real, flags, flags_out);
    if (file->real->pMethods)
        file->base.pMethods = &methods;
    return rc;
}

static int on_delete(sqlite3_vfs *vfs, const char *name, int is_durable)
{
    char path[512];

    (void)vfs;
    int rc = real_vfs->xDelete(real_vfs, name, is_durable);
    if (rc == SQLITE_OK && is_durable && atomic_load(&is_powered)) {
        snprintf(path, sizeof(path), "%s/%s", image_dir, strrchr(name, '/') + 1);
        unlink(path);
    }
    return rc;
}

void rig_vfs_install(void)
{
    static sqlite3_vfs vfs;

    if (real_vfs)
        return;
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs; /* all but opening and deleting is the real one's */
    vfs.pNext = NULL;
    vfs.zName = "rig";
    vfs.szOsFile += (int)sizeof(struct vfs_file);
    vfs.xOpen = on_open;
    vfs.xDelete = on_delete;
    gw_check(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
}
