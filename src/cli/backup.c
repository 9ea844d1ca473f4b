/* backup.c: `gwh backup`: a copy of the store, while the server runs or not. The keys are copied only
 * when that is asked for: who has a backup and the master key can read everything. */
#include "base/alloc.h"
#include "cli/options.h"
#include "cli/term.h"
#include "store/sqlite_backup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA_DIR_DEFAULT "./gwh-data"
#define KEY_FILE_MAX     4096

/* ── Progress ──────────────────────────────────────────────────────────────────────────────── */

struct shown {
    struct gw_term term; /* of standard error */
    unsigned percent;
    const char *file;
};

static void line_clear(const struct shown *shown)
{
    if (shown->term.is_tty && shown->file)
        fputs("\r\033[K", stderr);
}

static void on_progress(void *ctx, const char *file, uint64_t done, uint64_t total)
{
    struct shown *shown = ctx;
    unsigned percent = total ? (unsigned)(done * 100 / total) : 100;

    if (!shown->term.is_tty || (shown->file && percent == shown->percent && done > 0))
        return;
    line_clear(shown);
    fprintf(stderr, "%s  %u %% of %llu MiB", file, percent, (unsigned long long)(total >> 8));
    fflush(stderr);
    shown->file = file;
    shown->percent = percent;
}

static void on_warning(void *ctx, const char *text)
{
    line_clear(ctx);
    fprintf(stderr, "gwh: left out: %s\n", text);
}

/* ── Keys ──────────────────────────────────────────────────────────────────────────────────── */

static bool write_file(const char *path, mode_t mode, const char *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    bool ok = fd >= 0 && write(fd, bytes, len) == (ssize_t)len && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return ok;
}

static bool sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return ok;
}

/* One that is not there was given in another way, and is not the directory's to copy. */
static int copy_key(const char *from, const char *to, const char *name, mode_t mode)
{
    char source[PATH_MAX], target[PATH_MAX], bytes[KEY_FILE_MAX];

    if (snprintf(source, sizeof(source), "%s/%s", from, name) >= (int)sizeof(source) ||
        snprintf(target, sizeof(target), "%s/%s", to, name) >= (int)sizeof(target))
        return gw_term_fail(GW_EXIT_FAILED, "%s: the path is too long", to);
    int fd = open(source, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return gw_term_fail(GW_EXIT_FAILED, "%s: is not there, and not in the backup", source);
    ssize_t len = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
    if (fd >= 0)
        close(fd);
    if (len < 0)
        return gw_term_fail(GW_EXIT_FAILED, "cannot read %s: %s", source, strerror(errno));
    if (!write_file(target, mode, bytes, (size_t)len) || !sync_dir(to))
        return gw_term_fail(GW_EXIT_FAILED, "cannot write %s: %s", target, strerror(errno));
    return GW_EXIT_DONE;
}

/* ── The command ───────────────────────────────────────────────────────────────────────────── */

static void tell(const struct gw_sqlite_backup *backup, bool with_keys)
{
    struct gw_buf out = {0};

    gw_buf_addf(&out, "%s: %llu files, %.1f MiB; use it with gwh serve --data %s\n", backup->to,
                (unsigned long long)backup->files, (double)backup->bytes / (1024 * 1024),
                backup->to);
    if (with_keys)
        gw_buf_addf(&out, "The master key and the admin key are in it: whoever has this copy can "
                          "read everything.\n");
    else
        gw_buf_addf(&out,
                    "The master key is not in it, and without that key nothing in it can be read: "
                    "keep\n%s/master.key elsewhere. The admin key is not in it either.\n",
                    backup->from);
    gw_term_flush(&out);
    gw_buf_deinit(&out);
}

static int run(int argc, char **argv)
{
    struct shown shown = {.term = gw_term_look(STDERR_FILENO)};
    struct gw_sqlite_backup backup = {
        .from = DATA_DIR_DEFAULT,
        .progress = on_progress,
        .warn = on_warning,
        .ctx = &shown,
    };
    int with_keys = 0;
    const struct gw_option rows[] = {
        {.name = "data",
         .value = "DIR",
         .help = "the data directory to copy (default " DATA_DIR_DEFAULT ")",
         .text = &backup.from},
        {.name = "with-keys",
         .help = "copy the master key and the admin key too",
         .flag = &with_keys},
    };
    struct gw_options options = {.command = &gw_backup_command,
                                 .rows = rows,
                                 .count = gw_count(rows),
                                 .words_min = 1,
                                 .words_max = 1};
    struct gw_error error;

    int code = gw_options_take(&options, argc, argv);
    if (code >= 0)
        return code;
    backup.to = options.words[0];
    enum gw_err err = gw_sqlite_backup(&backup, &error);
    line_clear(&shown);
    if (err != GW_OK)
        return gw_term_fail(GW_EXIT_FAILED, "%s", error.text);
    code = GW_EXIT_DONE;
    if (with_keys)
        code = copy_key(backup.from, backup.to, "master.key", 0400);
    if (with_keys && code == GW_EXIT_DONE)
        code = copy_key(backup.from, backup.to, "admin.key", 0600);
    tell(&backup, with_keys && code == GW_EXIT_DONE);
    return code == GW_EXIT_DONE && backup.failed > 0 ? GW_EXIT_FAILED : code;
}

const struct gw_command gw_backup_command = {
    .name = "backup",
    .summary = "copy the store while the server runs",
    .usage = "backup DIR [options]",
    .example = "gwh backup /backups/gwh-monday --data ./gwh-data",
    .notes =
        "DIR must be empty or not exist. Every event that was acknowledged before is in it. While\n"
        "a file is copied that the server writes to, that file's log may grow. Keep the master\n"
        "key apart from the backups: nothing can be read without it.",
    .main = run,
};
