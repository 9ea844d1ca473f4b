/* process.c: reads /proc/self. Owns nothing; any thread. */
#include "api/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define STAT_BYTES 4096

/* The start of a file, as a string; false: it cannot be read. */
static bool read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    text[len > 0 ? len : 0] = '\0';
    return len > 0;
}

static int64_t open_fds(void)
{
    int64_t count = 0;
    /* Not opendir(): the thread sanitizer sees only its close, and takes it for a race. */
    int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            count++;
    closedir(dir);
    return count > 0 ? count - 1 : 0; /* the directory itself */
}

/* When the machine started, in Unix time. */
static int64_t boot_s(void)
{
    char line[128];
    long long seconds = 0;
    FILE *file = fopen("/proc/stat", "re");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "btime %lld", &seconds) == 1)
            break;
    if (file)
        fclose(file);
    return seconds;
}

/* proc(5): the fields behind the name, which may hold anything: 20 threads, 22 start in ticks after
 * the machine's, 23 virtual bytes, 24 resident pages. */
static void look_at_stat(struct gw_process *process)
{
    char text[STAT_BYTES];
    long long threads, start, bytes, pages;
    const char *rest = read_file("/proc/self/stat", text, sizeof(text)) ? strrchr(text, ')') : NULL;
    long ticks = sysconf(_SC_CLK_TCK);
    if (!rest || ticks <= 0 ||
        sscanf(rest + 1,
               " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lld %*s %lld "
               "%lld %lld",
               &threads, &start, &bytes, &pages) != 4)
        return;
    process->threads = threads;
    process->started_s = boot_s() + start / ticks;
    process->virtual_bytes = bytes;
    process->resident_bytes = pages * sysconf(_SC_PAGESIZE);
}

static int64_t us_of(const struct timeval *time)
{
    return (int64_t)time->tv_sec * 1000000 + time->tv_usec;
}

void gw_process_look(struct gw_process *process)
{
    struct rusage usage;
    struct rlimit limit;
    *process = (struct gw_process){.fds = open_fds()};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        process->fds_max = (int64_t)limit.rlim_cur;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        process->cpu_us = us_of(&usage.ru_utime) + us_of(&usage.ru_stime);
    look_at_stat(process);
}
