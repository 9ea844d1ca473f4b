/* master_key.c: owns the file DIR/master.key, 32 bytes as base64 text. Written to a file beside it,
 * synced, and given its name by link(), which leaves one that is there alone: so of two processes
 * that start at once both have the same key, and a crash leaves a whole key or none.
 *
 * A new key is made only where there is no store yet: with another key one that is there could never
 * be read again. The key never gets into a log line or an error. */
#include "app/master_key.h"

#include "base/buf.h"
#include "base/codec.h"
#include "base/crypto.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX 128

static enum gw_err io_failed(struct gw_error *error, const char *what, const char *path)
{
    return gw_error_set(error, GW_ERR_IO, "cannot %s %s: %s", what, path, strerror(errno));
}

bool gw_master_key_parse(const char *text, uint8_t key[GW_MASTER_KEY_BYTES])
{
    struct gw_buf bytes = {0};

    bool ok = gw_base64_decode(&bytes, gw_slice_from(text)) && bytes.len == GW_MASTER_KEY_BYTES;
    if (ok)
        memcpy(key, bytes.ptr, GW_MASTER_KEY_BYTES);
    if (bytes.ptr)
        gw_wipe(bytes.ptr, bytes.cap);
    gw_buf_deinit(&bytes);
    return ok;
}

/* ── Reading ───────────────────────────────────────────────────────────────────────────────── */

/* The file's one line. */
static enum gw_err read_key(const char *path, uint8_t key[GW_MASTER_KEY_BYTES],
                            struct gw_error *error)
{
    char text[TEXT_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return io_failed(error, "open", path);
    ssize_t len = read(fd, text, sizeof(text) - 1);
    enum gw_err err = len < 0 ? io_failed(error, "read", path) : GW_OK;
    close(fd);
    if (err != GW_OK)
        return err;
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    text[len] = '\0';
    bool ok = (size_t)len == strlen(text) && gw_master_key_parse(text, key);
    gw_wipe(text, sizeof(text));
    return ok ? GW_OK
              : gw_error_set(error, GW_ERR_KEY, "%s: must hold 32 bytes as base64 text", path);
}

/* A file that was named, and is never made. */
static enum gw_err read_named(const char *path, uint8_t key[GW_MASTER_KEY_BYTES],
                              struct gw_error *error)
{
    if (access(path, F_OK) == 0)
        return read_key(path, key, error);
    if (errno != ENOENT && errno != ENOTDIR)
        return io_failed(error, "look for", path);
    return gw_error_set(error, GW_ERR_KEY,
                        "%s: there is no such file; it is to hold the "
                        "master key (--master-key-file)",
                        path);
}

/* ── Making ────────────────────────────────────────────────────────────────────────────────── */

static bool sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return ok;
}

static enum gw_err dir_make(const char *dir, struct gw_error *error)
{
    char parent[PATH_MAX + 4];

    if (mkdir(dir, 0700) != 0)
        return errno == EEXIST ? GW_OK : io_failed(error, "make the directory", dir);
    snprintf(parent, sizeof(parent), "%s/..", dir);
    return sync_dir(parent) ? GW_OK : io_failed(error, "sync the directory", parent);
}

static bool write_all(int fd, struct gw_slice text)
{
    while (text.len > 0) {
        ssize_t written = write(fd, text.ptr, text.len);
        if (written < 0 && errno != EINTR)
            return false;
        text = gw_slice_skip(text, written > 0 ? (size_t)written : 0);
    }
    return true;
}

static enum gw_err write_key(const char *dir, const char *path, struct gw_slice text,
                             struct gw_error *error)
{
    char temp[PATH_MAX + 16];

    snprintf(temp, sizeof(temp), "%s.%ld", path, (long)getpid());
    (void)unlink(temp);
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (fd < 0)
        return io_failed(error, "make", temp);
    enum gw_err err = GW_OK;
    if (fchmod(fd, 0400) != 0 || !write_all(fd, text) || fsync(fd) != 0)
        err = io_failed(error, "write", temp);
    close(fd);
    if (err == GW_OK && link(temp, path) != 0 && errno != EEXIST)
        err = io_failed(error, "make", path);
    (void)unlink(temp);
    if (err == GW_OK && !sync_dir(dir))
        err = io_failed(error, "sync the directory", dir);
    return err;
}

static enum gw_err make_key(const char *dir, const char *path, struct gw_env *env,
                            struct gw_error *error)
{
    uint8_t random[GW_MASTER_KEY_BYTES];
    struct gw_buf text = {0};

    gw_env_random(env, random, sizeof(random));
    gw_base64_encode(&text, random, sizeof(random));
    gw_buf_addc(&text, '\n');
    enum gw_err err = write_key(dir, path, gw_buf_slice(&text), error);
    gw_wipe(random, sizeof(random));
    gw_wipe(text.ptr, text.len);
    gw_buf_deinit(&text);
    return err;
}

/* Files of a store, even one that lost its main file. An empty one was made by a start that was cut
 * short, before it held anything. */
static bool has_store(const char *data)
{
    DIR *dir = opendir(data);
    struct dirent *entry;
    struct stat st;
    bool found = false;

    while (dir && !found && (entry = readdir(dir)) != NULL) {
        struct gw_slice name = gw_slice_from(entry->d_name);
        if (gw_slice_is(name, "main.db") || gw_slice_ends(name, GW_SLICE(".seg")))
            found = fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && st.st_size > 0;
    }
    if (dir)
        closedir(dir);
    return found;
}

enum gw_err gw_master_key_load(const struct gw_master_key_place *place, struct gw_env *env,
                               uint8_t key[GW_MASTER_KEY_BYTES], bool *made, struct gw_error *error)
{
    char path[PATH_MAX];

    *made = false;
    if (place->text)
        return gw_master_key_parse(place->text, key)
                   ? GW_OK
                   : gw_error_set(error, GW_ERR_KEY,
                                  "GWH_MASTER_KEY: must be 32 bytes as base64 text");
    if (!place->file && !place->data)
        return gw_error_set(
            error, GW_ERR_KEY,
            "GWH_MASTER_KEY: must be set, or --master-key-file: what many processes "
            "share is not sealed under a key that one of them makes");
    if (place->file)
        return read_named(place->file, key, error);
    if (strlen(place->data) > PATH_MAX - 64)
        return gw_error_set(error, GW_ERR_INVALID, "--data: the path is too long");
    snprintf(path, sizeof(path), "%s/master.key", place->data);
    if (access(path, F_OK) == 0)
        return read_key(path, key, error);
    if (errno != ENOENT && errno != ENOTDIR)
        return io_failed(error, "look for", path);
    if (has_store(place->data))
        return gw_error_set(error, GW_ERR_KEY,
                            "%s: is missing; without the key it was made with, the store in %s "
                            "cannot be read",
                            path, place->data);
    enum gw_err err = dir_make(place->data, error);
    if (err == GW_OK)
        err = make_key(place->data, path, env, error);
    if (err == GW_OK)
        err = read_key(path, key, error);
    *made = err == GW_OK;
    return err;
}
