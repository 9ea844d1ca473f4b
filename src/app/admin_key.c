/* admin_key.c: owns the file DIR/admin.key. Written to a file beside it, synced and renamed, so that a crash
 * leaves a whole key or none; a key that is there is never written again. The key never gets into
 * a log line or an error. */
#include "app/admin_key.h"

#include "app/settings.h"
#include "base/buf.h"
#include "base/codec.h"
#include "base/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_BYTES 32

static enum gw_err io_failed(struct gw_error *error, const char *what, const char *path)
{
    return gw_error_set(error, GW_ERR_IO, "cannot %s %s: %s", what, path, strerror(errno));
}

/* The file's one line. */
static enum gw_err read_key(int fd, const char *path, char key[GW_ADMIN_KEY_MAX + 1],
                            struct gw_error *error)
{
    char text[GW_ADMIN_KEY_MAX + 2];
    ssize_t len = read(fd, text, sizeof(text) - 1);
    if (len < 0)
        return io_failed(error, "read", path);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    text[len] = '\0';
    bool ok = (size_t)len == strlen(text) && len <= GW_ADMIN_KEY_MAX && gw_admin_key_check(text);
    if (ok)
        memcpy(key, text, (size_t)len + 1);
    gw_wipe(text, sizeof(text));
    if (ok)
        return GW_OK;
    return gw_error_set(error, GW_ERR_KEY,
                        "%s: must hold appid:appkey; mend it, or remove it and a new one is made",
                        path);
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

/* The directory that the file is in. */
static bool sync_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    char dir[PATH_MAX];
    snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    int fd = open(*dir ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = fsync(fd) == 0;
    close(fd);
    return ok;
}

static enum gw_err write_key(const char *path, const char *key, struct gw_error *error)
{
    char temp[PATH_MAX];
    int len = snprintf(temp, sizeof(temp), "%s.new", path);
    if (len < 0 || (size_t)len >= sizeof(temp))
        return gw_error_set(error, GW_ERR_INVALID, "--data: the path is too long");
    if (unlink(temp) != 0 && errno != ENOENT)
        return io_failed(error, "remove", temp);
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return io_failed(error, "make", temp);
    enum gw_err err = GW_OK;
    bool ok = fchmod(fd, 0600) == 0 && write_all(fd, gw_slice_from(key)) &&
              write_all(fd, GW_SLICE("\n")) && fsync(fd) == 0;
    if (!ok)
        err = io_failed(error, "write", temp);
    close(fd);
    if (ok && (rename(temp, path) != 0 || !sync_dir(path)))
        err = io_failed(error, "rename to", path);
    return err;
}

static void make_key(struct gw_env *env, char key[GW_ADMIN_KEY_MAX + 1])
{
    uint8_t random[KEY_BYTES];
    struct gw_buf text = {0};
    gw_env_random(env, random, sizeof(random));
    gw_buf_adds(&text, GW_SLICE("admin:"));
    gw_base64url_encode(&text, random, sizeof(random));
    snprintf(key, GW_ADMIN_KEY_MAX + 1, "%s", gw_buf_text(&text));
    gw_wipe(random, sizeof(random));
    gw_wipe(text.ptr, text.len);
    gw_buf_deinit(&text);
}

enum gw_err gw_admin_key_load(const char *path, struct gw_env *env, char key[GW_ADMIN_KEY_MAX + 1],
                              bool *made, struct gw_error *error)
{
    *made = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        enum gw_err err = read_key(fd, path, key, error);
        close(fd);
        return err;
    }
    if (errno != ENOENT)
        return io_failed(error, "open", path);
    make_key(env, key);
    *made = true;
    return write_key(path, key, error);
}
