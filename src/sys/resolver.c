/* resolver.c: from names to addresses, with c-ares on the loop: a dead name server delays only who
 * asks it, and nothing here ever blocks.
 *
 * Owns the channel, the cache and one `waiter` for each request; a request's memory is the caller's.
 * A name is asked for once at a time: who wants it meanwhile waits along. Each waiter has its own
 * timer, for c-ares knows no time limit for one name; when it fires, the query goes on and its answer
 * is kept for the next. Requests that have ended wait in `finished` until the loop is about to sleep:
 * `done` never runs inside the call, though c-ares may answer at once.
 *
 * The cache is bounded; the oldest answer makes room, and with only running queries in it a new name
 * is refused. Loop's thread only. */
#include "base/check.h"
#include "base/map.h"
#include "sys/loop_impl.h"

#include <ares.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>

#define NAMES_MAX       4096
#define HOST_MAX        253 /* RFC 1035, in text */
#define TTL_MIN_S       1
#define TTL_MAX_S       300
#define TTL_NO_NAME_S   5
#define TTL_NO_ANSWER_S 1
#define TRY_MS          1000 /* the first try; c-ares doubles it each round */
#define TRIES           3

struct resolver_socket {
    uv_poll_t poll;
    struct gw_resolver *resolver;
    struct gw_list link;
    ares_socket_t fd;
};

/* A name: being asked for, or known (which may mean known not to exist). */
struct name {
    char host[HOST_MAX + 1]; /* lower case; the map's key */
    struct gw_resolver *resolver;
    struct gw_list link;    /* in running or known */
    struct gw_list waiters; /* of a running one */
    bool is_running;
    int64_t until_us; /* of a known one */
    bool ok;
    struct gw_addr *addrs;
    size_t addr_count;
    char error[96];
};

struct waiter {
    struct gw_list link; /* in its name's waiters, or in finished */
    struct gw_resolver *resolver;
    struct gw_resolve *req;
    struct gw_timer timer;
    int64_t started_us;
};

struct gw_resolver {
    struct gw_loop *loop;
    ares_channel channel;
    struct gw_timer timer; /* c-ares' */
    struct gw_list sockets;
    struct gw_map names;
    struct gw_list running, known; /* oldest first */
    struct gw_list finished;
    bool is_destroying;
};

/* ── Requests ──────────────────────────────────────────────────────────────────────────────── */

static void finish(struct waiter *w)
{
    struct gw_env *env = &w->resolver->loop->env;

    gw_env_timer_stop(env, &w->timer);
    w->req->elapsed_us = gw_env_mono_us(env) - w->started_us;
    gw_list_remove(&w->link);
    gw_list_push(&w->resolver->finished, &w->link);
}

static void fail(struct waiter *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fail(struct waiter *w, const char *format, ...)
{
    va_list args;

    w->req->ok = false;
    w->req->addr_count = 0;
    va_start(args, format);
    vsnprintf(w->req->error, sizeof(w->req->error), format, args);
    va_end(args);
    finish(w);
}

static void succeed(struct waiter *w, const struct gw_addr *addrs, size_t count)
{
    w->req->ok = true;
    w->req->error[0] = '\0';
    w->req->addr_count = count;
    memcpy(w->req->addrs, addrs, count * sizeof(addrs[0]));
    finish(w);
}

static void tell(struct waiter *w, const struct name *name)
{
    if (name->ok)
        succeed(w, name->addrs, name->addr_count);
    else
        fail(w, "%s", name->error);
}

static void on_waiter_timer(struct gw_timer *timer)
{
    struct waiter *w = gw_container_of(timer, struct waiter, timer);

    fail(w, "the name servers did not answer within %lld ms", (long long)w->req->timeout_ms);
}

static void waiter_free(struct waiter *w)
{
    gw_env_timer_stop(&w->resolver->loop->env, &w->timer);
    gw_list_remove(&w->link);
    w->req->impl = NULL;
    gw_free(w);
}

/* ── Names ─────────────────────────────────────────────────────────────────────────────────── */

static struct gw_slice key_of(const struct name *name)
{
    return gw_slice_from(name->host);
}

static void name_free(struct name *name)
{
    gw_map_del(&name->resolver->names, key_of(name));
    gw_list_remove(&name->link);
    gw_free(name->addrs);
    gw_free(name);
}

/* NULL: nothing can make room. */
static struct name *name_make(struct gw_resolver *r, const char *host)
{
    if (r->names.count >= NAMES_MAX) {
        if (gw_list_empty(&r->known))
            return NULL;
        name_free(gw_container_of(r->known.next, struct name, link));
    }
    struct name *name = gw_zalloc(sizeof(*name));
    memcpy(name->host, host, strlen(host));
    name->resolver = r;
    gw_list_init(&name->link);
    gw_list_init(&name->waiters);
    gw_map_put(&r->names, key_of(name), name);
    return name;
}

static bool read_addr(const struct sockaddr *sa, struct gw_addr *addr)
{
    *addr = (struct gw_addr){0};
    if (sa->sa_family == AF_INET) {
        addr->family = 4;
        memcpy(addr->bytes, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        addr->family = 6;
        memcpy(addr->bytes, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
    }
    return addr->family != 0;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* How many seconds the answer may be kept. */
static int ttl_of(const struct ares_addrinfo *info)
{
    int ttl = TTL_MAX_S;

    for (const struct ares_addrinfo_cname *c = info->cnames; c; c = c->next)
        ttl = least(ttl, c->ttl);
    for (const struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next)
        ttl = least(ttl, node->ai_ttl);
    return ttl < TTL_MIN_S ? TTL_MIN_S : ttl;
}

/* All of them, or none: one that nobody has looked at could be the one that is used. */
static bool take_addrs(struct name *name, const struct ares_addrinfo *info)
{
    struct gw_addr addrs[GW_RESOLVE_ADDRS_MAX], addr;
    size_t count = 0;

    for (const struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next) {
        if (!read_addr(node->ai_addr, &addr))
            continue;
        if (count == GW_RESOLVE_ADDRS_MAX)
            return false;
        addrs[count++] = addr;
    }
    name->addrs = gw_realloc(name->addrs, (count ? count : 1) * sizeof(addrs[0]));
    memcpy(name->addrs, addrs, count * sizeof(addrs[0]));
    name->addr_count = count;
    return true;
}

static const char *problem(int status)
{
    switch (status) {
    case ARES_SUCCESS:
    case ARES_ENODATA: return "the name has no address";
    case ARES_ENOTFOUND: return "the name does not exist";
    case ARES_EBADNAME: return "the name is malformed";
    case ARES_ETIMEOUT: return "the name servers do not answer";
    case ARES_ECONNREFUSED: /* what c-ares before 1.19 makes of the next three */
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
    case ARES_ENOTIMP: return "no name server has an answer";
    default: return ares_strerror(status);
    }
}

static void on_answer(void *ctx, int status, int timeouts, struct ares_addrinfo *info)
{
    struct name *name = ctx;
    struct gw_resolver *r = name->resolver;
    int ttl_s = status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_EBADNAME
                    ? TTL_NO_NAME_S
                    : TTL_NO_ANSWER_S;

    (void)timeouts;
    name->addr_count = 0;
    snprintf(name->error, sizeof(name->error), "%s", problem(status));
    if (status == ARES_SUCCESS) {
        ttl_s = ttl_of(info);
        if (!take_addrs(name, info))
            snprintf(name->error, sizeof(name->error), "the name has more than %d addresses",
                     GW_RESOLVE_ADDRS_MAX);
    }
    if (info)
        ares_freeaddrinfo(info);
    if (r->is_destroying)
        return;
    name->ok = name->addr_count > 0;
    name->is_running = false;
    name->until_us = gw_env_mono_us(&r->loop->env) + (int64_t)ttl_s * 1000000;
    gw_list_remove(&name->link);
    gw_list_push(&r->known, &name->link);
    while (!gw_list_empty(&name->waiters))
        tell(gw_container_of(name->waiters.next, struct waiter, link), name);
}

/* ── c-ares on the loop ────────────────────────────────────────────────────────────────────── */

static void arm(struct gw_resolver *r)
{
    struct gw_env *env = &r->loop->env;
    struct timeval wait;

    if (ares_timeout(r->channel, NULL, &wait) == NULL)
        gw_env_timer_stop(env, &r->timer);
    else
        gw_env_timer_set(env, &r->timer, (int64_t)wait.tv_sec * 1000 + wait.tv_usec / 1000 + 1);
}

static void process(struct gw_resolver *r, ares_socket_t readable, ares_socket_t writable)
{
    ares_process_fd(r->channel, readable, writable);
    arm(r);
}

static void on_timer(struct gw_timer *timer)
{
    process(gw_container_of(timer, struct gw_resolver, timer), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct resolver_socket *s = gw_container_of(poll, struct resolver_socket, poll);
    bool is_readable = status < 0 || (events & UV_READABLE);
    bool is_writable = status < 0 || (events & UV_WRITABLE);

    process(s->resolver, is_readable ? s->fd : ARES_SOCKET_BAD,
            is_writable ? s->fd : ARES_SOCKET_BAD);
}

static void on_socket_closed(uv_handle_t *handle)
{
    gw_free(gw_container_of((uv_poll_t *)handle, struct resolver_socket, poll));
}

static struct resolver_socket *socket_of(struct gw_resolver *r, ares_socket_t fd)
{
    gw_list_each (link, &r->sockets) {
        struct resolver_socket *s = gw_container_of(link, struct resolver_socket, link);
        if (s->fd == fd)
            return s;
    }
    return NULL;
}

/* c-ares closes the descriptor right after it has told that it wants nothing more of it. */
static void on_socket_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
    struct gw_resolver *r = ctx;
    struct resolver_socket *s = socket_of(r, fd);

    if (!readable && !writable) {
        if (s) {
            gw_list_remove(&s->link);
            uv_close((uv_handle_t *)&s->poll, on_socket_closed);
        }
        return;
    }
    if (s == NULL) {
        s = gw_zalloc(sizeof(*s));
        s->resolver = r;
        s->fd = fd;
        gw_list_init(&s->link);
        if (uv_poll_init_socket(&r->loop->uv, &s->poll, fd) != 0) {
            gw_free(s); /* the query times out */
            return;
        }
        gw_list_push(&r->sockets, &s->link);
    }
    gw_check(uv_poll_start(&s->poll, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0),
                           on_poll) == 0);
}

static void ask(struct gw_resolver *r, struct name *name)
{
    static const struct ares_addrinfo_hints hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
    };

    name->is_running = true;
    gw_list_remove(&name->link);
    gw_list_push(&r->running, &name->link);
    ares_getaddrinfo(r->channel, name->host, NULL, &hints, on_answer, name);
    arm(r);
}

/* ── The interface ─────────────────────────────────────────────────────────────────────────── */

/* Lower case; false when it cannot be a name. */
static bool fold(const char *host, char folded[HOST_MAX + 1])
{
    size_t len = strlen(host);

    if (len == 0 || len > HOST_MAX)
        return false;
    for (size_t i = 0; i <= len; i++)
        folded[i] = host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] | 0x20) : host[i];
    return true;
}

void gw_resolver_resolve(struct gw_env *env, struct gw_resolve *req)
{
    struct gw_resolver *r = gw_loop_of(env)->resolver;
    struct waiter *w = gw_zalloc(sizeof(*w));
    struct gw_addr literal;
    char host[HOST_MAX + 1];

    gw_list_init(&w->link);
    w->resolver = r;
    w->req = req;
    w->timer.fire = on_waiter_timer;
    w->started_us = gw_env_mono_us(env);
    req->impl = w;
    if (gw_addr_parse(gw_slice_from(req->host), &literal)) {
        succeed(w, &literal, 1);
        return;
    }
    if (!fold(req->host, host)) {
        fail(w, "%s", problem(ARES_EBADNAME));
        return;
    }
    struct name *name = gw_map_get(&r->names, gw_slice_from(host));
    if (name && !name->is_running && name->until_us > w->started_us) {
        tell(w, name);
        return;
    }
    if (name == NULL)
        name = name_make(r, host);
    if (name == NULL) {
        fail(w, "too many names are being looked up");
        return;
    }
    gw_list_push(&name->waiters, &w->link);
    gw_env_timer_set(env, &w->timer, req->timeout_ms);
    if (!name->is_running)
        ask(r, name);
}

void gw_resolver_cancel(struct gw_env *env, struct gw_resolve *req)
{
    struct waiter *w = req->impl;

    (void)env;
    gw_check(w != NULL && w->req == req);
    waiter_free(w);
}

void gw_resolver_flush(struct gw_resolver *r)
{
    struct gw_list batch;

    gw_list_init(&batch);
    gw_list_splice(&batch, &r->finished);
    while (!gw_list_empty(&batch)) {
        struct waiter *w = gw_container_of(batch.next, struct waiter, link);
        struct gw_resolve *req = w->req;
        waiter_free(w);
        req->done(req);
    }
    if (!gw_list_empty(&r->finished)) /* asked for just now, and known: next turn, at once */
        gw_env_timer_set(&r->loop->env, &r->timer, 0);
}

void gw_resolver_init(void)
{
    gw_check(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS);
}

enum gw_err gw_resolver_create(struct gw_loop *loop, const struct gw_loop_options *options,
                               struct gw_resolver **out, struct gw_error *error)
{
    struct gw_resolver *r = gw_zalloc(sizeof(*r));
    int mask = ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES;
    struct ares_options set = {
        .timeout = TRY_MS,
        .tries = TRIES,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = r,
    };

#ifdef ARES_OPT_QUERY_CACHE
    mask |= ARES_OPT_QUERY_CACHE; /* with a life of 0: none beside ours */
#endif
    r->loop = loop;
    r->timer.fire = on_timer;
    gw_list_init(&r->sockets);
    gw_list_init(&r->running);
    gw_list_init(&r->known);
    gw_list_init(&r->finished);
    int status = ares_init_options(&r->channel, &set, mask);
    if (status != ARES_SUCCESS) {
        gw_free(r);
        return gw_error_set(error, GW_ERR_UNAVAILABLE, "cannot set up name resolution: %s",
                            ares_strerror(status));
    }
    if (options->name_servers) {
        status = ares_set_servers_ports_csv(r->channel, options->name_servers);
        if (status != ARES_SUCCESS) {
            ares_destroy(r->channel);
            gw_free(r);
            return gw_error_set(error, GW_ERR_INVALID,
                                "name servers \"%s\": must be address:port, separated by commas",
                                options->name_servers);
        }
    }
    *out = r;
    return GW_OK;
}

void gw_resolver_destroy(struct gw_resolver *r)
{
    size_t at = 0;
    struct name *name;

    r->is_destroying = true;
    ares_destroy(r->channel); /* ends all queries, closes all sockets */
    while (!gw_list_empty(&r->finished))
        waiter_free(gw_container_of(r->finished.next, struct waiter, link));
    while ((name = gw_map_next(&r->names, &at)) != NULL) {
        while (!gw_list_empty(&name->waiters))
            waiter_free(gw_container_of(name->waiters.next, struct waiter, link));
        gw_free(name->addrs);
        gw_free(name);
    }
    gw_map_deinit(&r->names);
    gw_env_timer_stop(&r->loop->env, &r->timer);
    gw_free(r);
}
