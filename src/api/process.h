/* process.h: what the system knows of this process, as /proc/self says it. */
#pragma once

#include <stdint.h>

/* What cannot be read is 0. */
struct gw_process {
    int64_t cpu_us;    /* user and system, of all threads */
    int64_t started_s; /* Unix time */
    int64_t virtual_bytes, resident_bytes;
    int64_t threads;
    int64_t fds, fds_max;
};

/* Takes a while where many descriptors are open: not for a loop's thread. */
void gw_process_look(struct gw_process *process);
