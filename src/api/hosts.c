/* hosts.c: owns the look-ups of one change of a config, all in the exchange's arena.
 *
 *   names ─▶ at most PARALLEL_MAX look-ups at a time ─┬─ all are back ─────────▶ done
 *                                                     ├─ a forbidden address ──▶ cancel, done: no
 *                                                     └─ the time is over ─────▶ cancel, done: the
 *                                                                                rest are warnings
 *
 * This is a courtesy to whoever configures: each attempt checks again, on the addresses it uses. */
#include "api/hosts.h"

#include "base/check.h"
#include "base/map.h"

#define PARALLEL_MAX 32
#define RESOLVE_MS   3000
#define TOTAL_MS     8000
#define SHOWN_MAX    60 /* bytes of a host name in a text */

struct gw_host {
    struct gw_hosts *hosts;
    size_t route; /* the first with this name */
    bool running, over;
    struct gw_resolve resolve;
};

/* ── Texts ─────────────────────────────────────────────────────────────────────────────────── */

/* "webhookUrl", or "workflows.NAME" of the first workflow that lists the route. */
static const char *field_of(const struct gw_host *host)
{
    const struct gw_config *config = host->hosts->config;
    for (size_t i = 0; host->route > 0 && i < config->workflow_count; i++) {
        const struct gw_workflow *workflow = &config->workflows[i];
        struct gw_slice id = workflow->id;
        if (id.len > SHOWN_MAX)
            id.len = SHOWN_MAX;
        for (size_t k = 0; k < workflow->route_count; k++)
            if (workflow->routes[k] == host->route)
                return gw_arena_printf(gw_api_arena(host->hosts->request), "workflows.%.*s",
                                       GW_SLICE_ARG(id));
    }
    return "webhookUrl";
}

static void warn(struct gw_host *host, const char *why)
{
    struct gw_hosts *hosts = host->hosts;
    hosts->unresolved++;
    if (hosts->warning_count < GW_HOSTS_WARNINGS_MAX)
        hosts->warnings[hosts->warning_count++] = gw_arena_printf(
            gw_api_arena(hosts->request), "%s: %s: %s", field_of(host), host->resolve.host, why);
}

/* ── The end ───────────────────────────────────────────────────────────────────────────────── */

static void finish(struct gw_hosts *hosts)
{
    struct gw_env *env = gw_api_env(hosts->request);
    gw_env_timer_stop(env, &hosts->deadline);
    for (size_t i = 0; i < hosts->count; i++) {
        struct gw_host *host = &hosts->hosts[i];
        if (host->running)
            gw_env_resolve_cancel(env, &host->resolve);
        host->running = false;
        if (!host->over && !hosts->refused)
            warn(host, "could not be looked up in time");
    }
    size_t more = hosts->unresolved - hosts->warning_count;
    if (more)
        hosts->warnings[hosts->warning_count++] =
            gw_arena_printf(gw_api_arena(hosts->request), "and %zu more names", more);
    hosts->done(hosts);
}

static void on_deadline(struct gw_timer *timer)
{
    finish(gw_container_of(timer, struct gw_hosts, deadline));
}

/* ── Looking up ────────────────────────────────────────────────────────────────────────────── */

/* Where a name leads inside the operator's network is the operator's to know: a client that may
 * name any host could draw a map of it. */
static const char *shown_address(const struct gw_host *host, const struct gw_addr *addr,
                                 const char *why)
{
    struct gw_api_request *request = host->hosts->request;
    char text[GW_ADDR_TEXT_MAX];
    if (!(request->caller.roles & GW_ROLE_ADMIN))
        return "an address that is not public";
    return gw_arena_printf(gw_api_arena(request), "%.*s, %s",
                           GW_SLICE_ARG(gw_addr_text(addr, text)), why);
}

/* The first address that must not be called refuses the change. */
static bool judge(struct gw_host *host)
{
    struct gw_hosts *hosts = host->hosts;
    const struct gw_guard *guard = &hosts->request->api->shard->flow->options.guard;
    for (size_t i = 0; i < host->resolve.addr_count; i++) {
        const struct gw_addr *addr = &host->resolve.addrs[i];
        const char *why = gw_guard_addr(guard, addr);
        if (!why)
            continue;
        hosts->refused = true;
        gw_error_set(&hosts->error, GW_ERR_INVALID,
                     "%s: %.*s resolves to %s; allowed are public addresses, and networks that "
                     "the operator lists in --allow-nets",
                     field_of(host), SHOWN_MAX, host->resolve.host, shown_address(host, addr, why));
        return false;
    }
    return true;
}

static void start_more(struct gw_hosts *hosts);

static void on_resolved(struct gw_resolve *resolve)
{
    struct gw_host *host = gw_container_of(resolve, struct gw_host, resolve);
    struct gw_hosts *hosts = host->hosts;
    host->running = false;
    host->over = true;
    hosts->running--;
    if (!resolve->ok)
        warn(host, gw_arena_printf(gw_api_arena(hosts->request), "does not resolve now (%s)",
                                   resolve->error));
    else if (!judge(host)) {
        finish(hosts);
        return;
    }
    start_more(hosts);
}

static void start_more(struct gw_hosts *hosts)
{
    while (hosts->next < hosts->count && hosts->running < PARALLEL_MAX) {
        struct gw_host *host = &hosts->hosts[hosts->next++];
        host->running = true;
        hosts->running++;
        gw_env_resolve(gw_api_env(hosts->request), &host->resolve);
    }
    if (hosts->running == 0)
        finish(hosts);
}

/* ── Which names ───────────────────────────────────────────────────────────────────────────── */

static void add_host(struct gw_hosts *hosts, size_t route)
{
    struct gw_host *host = &hosts->hosts[hosts->count++];
    const struct gw_url *url = &hosts->config->routes[route].url;
    *host = (struct gw_host){
        .hosts = hosts,
        .route = route,
        .resolve =
            {
                .host = gw_arena_text(gw_api_arena(hosts->request), url->host),
                .timeout_ms = RESOLVE_MS,
                .done = on_resolved,
            },
    };
}

static void collect(struct gw_hosts *hosts, const struct gw_config *known)
{
    const struct gw_config *config = hosts->config;
    struct gw_map urls = {0}, names = {0};
    for (size_t i = 0; known && i < known->route_count; i++)
        gw_map_put(&urls, known->routes[i].url.text, hosts);
    for (size_t i = 0; i < config->route_count; i++) {
        const struct gw_url *url = &config->routes[i].url;
        if (url->host_is_addr || gw_map_get(&urls, url->text) || gw_map_get(&names, url->host))
            continue;
        gw_map_put(&names, url->host, hosts);
        hosts->count++;
    }
    hosts->hosts =
        gw_arena_zalloc(gw_api_arena(hosts->request), hosts->count * sizeof(*hosts->hosts));
    hosts->count = 0;
    for (size_t i = 0; i < config->route_count; i++) {
        const struct gw_url *url = &config->routes[i].url;
        if (!gw_map_get(&urls, url->text) && gw_map_del(&names, url->host))
            add_host(hosts, i);
    }
    gw_map_deinit(&urls);
    gw_map_deinit(&names);
}

void gw_hosts_check(struct gw_hosts *hosts, struct gw_api_request *request,
                    const struct gw_config *config, const struct gw_config *known,
                    void (*done)(struct gw_hosts *hosts))
{
    *hosts = (struct gw_hosts){
        .request = request,
        .config = config,
        .done = done,
        .deadline = {.fire = on_deadline},
    };
    collect(hosts, known);
    if (hosts->count)
        gw_env_timer_set(gw_api_env(request), &hosts->deadline, TOTAL_MS);
    start_more(hosts);
}
