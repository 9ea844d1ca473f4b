/* hosts.h: before a config is stored: do the names of its URLs lead to addresses that we may call? */
#pragma once

#include "api/api_impl.h"

#define GW_HOSTS_WARNINGS_MAX 20

struct gw_host;

struct gw_hosts {
    /* out */
    bool refused; /* `error` says which URL, and why */
    struct gw_error error;
    const char *warnings[GW_HOSTS_WARNINGS_MAX + 1];
    size_t warning_count;

    /* its own */
    struct gw_api_request *request;
    const struct gw_config *config;
    void (*done)(struct gw_hosts *hosts);
    struct gw_host *hosts;
    size_t count, next, running;
    size_t unresolved;
    struct gw_timer deadline;
};

/* Looks at each distinct name once, several at a time, but for those of URLs that `known` (NULL:
 * none) has too. A name that does not resolve, or not in time, is a warning. `done` is called once,
 * perhaps before this returns. `config` lives until then. */
void gw_hosts_check(struct gw_hosts *hosts, struct gw_api_request *request,
                    const struct gw_config *config, const struct gw_config *known,
                    void (*done)(struct gw_hosts *hosts));
