/* http_client_socket.c: libcurl's sockets on libuv, lazily.
 *
 * The way libcurl's manual shows stops and starts the watch of a socket for every request. Here a
 * socket that libcurl has no more wish for stays watched until something comes in: with a kept
 * connection the next request finds it as it needs it, and no system call is made. This is safe only
 * for descriptors whose end we see, so sockets are opened and closed by these functions; others (none
 * are known) are treated the manual's way.
 *
 * Also here, because these functions see the peer's real address: the last word on where a request
 * may go, for a new connection before it is made, for a kept one before it is used.
 *
 * Owns the gw_http_sockets; each is freed when libuv has let go of it. Loop's thread only. */
#include "base/check.h"
#include "sys/http_client_impl.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct gw_http_socket *s = gw_container_of(poll, struct gw_http_socket, poll);
    struct gw_http_client *client = s->client;
    int flags = 0, running;

    if (s->want == 0) { /* a kept connection was closed: found out when it is used next */
        uv_poll_stop(&s->poll);
        s->mask = 0;
        return;
    }
    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    client->is_in_curl = true;
    curl_multi_socket_action(client->multi, s->fd, flags, &running);
    client->is_in_curl = false;
    gw_http_client_reap(client);
}

static void on_poll_closed(uv_handle_t *handle)
{
    gw_free(gw_container_of((uv_poll_t *)handle, struct gw_http_socket, poll));
}

static struct gw_http_socket *find(struct gw_http_client *client, curl_socket_t fd)
{
    return (size_t)fd < client->socket_cap ? client->sockets[fd] : NULL;
}

static struct gw_http_socket *add(struct gw_http_client *client, curl_socket_t fd, bool is_ours)
{
    struct gw_http_socket *s = gw_zalloc(sizeof(*s));
    size_t cap = client->socket_cap;

    if (uv_poll_init_socket(&client->loop->uv, &s->poll, fd) != 0) {
        gw_free(s);
        return NULL;
    }
    if ((size_t)fd >= cap) {
        client->socket_cap = ((size_t)fd + 64) * 2;
        client->sockets =
            gw_realloc(client->sockets, client->socket_cap * sizeof(client->sockets[0]));
        memset(client->sockets + cap, 0, (client->socket_cap - cap) * sizeof(client->sockets[0]));
    }
    s->client = client;
    s->fd = fd;
    s->is_ours = is_ours;
    client->sockets[fd] = s;
    return s;
}

static void drop(struct gw_http_socket *s)
{
    s->client->sockets[s->fd] = NULL;
    uv_close((uv_handle_t *)&s->poll, on_poll_closed);
}

int gw_http_socket_watch(CURL *easy, curl_socket_t fd, int what, void *ctx, void *assigned)
{
    struct gw_http_client *client = ctx;
    struct gw_http_socket *s = find(client, fd);
    struct gw_transfer *t = NULL;

    (void)assigned;
    if (what & CURL_POLL_IN) { /* TCP connects waiting to write; only TLS reads before we send */
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t);
        if (t)
            t->is_securing = !t->is_sending;
    }
    if (s == NULL && what != CURL_POLL_REMOVE)
        s = add(client, fd, false);
    if (s == NULL)
        return 0;
    s->want = 0;
    if (what != CURL_POLL_REMOVE)
        s->want =
            (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (what == CURL_POLL_REMOVE && !s->is_ours) {
        drop(s);
    } else if (s->want != 0 && s->want != s->mask) {
        s->mask = s->want;
        gw_check(uv_poll_start(&s->poll, s->mask, on_poll) == 0);
    }
    return 0;
}

/* ── Where a request may go ────────────────────────────────────────────────────────────────── */

static bool is_allowed(struct gw_transfer *t, struct gw_addr addr)
{
    addr = gw_addr_unmap(&addr);
    t->call->addr = addr;
    if (t->call->addr_allowed && !t->call->addr_allowed(t->call, &addr)) {
        t->blocked++;
        return false;
    }
    return true;
}

curl_socket_t gw_http_socket_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *name)
{
    struct gw_transfer *t = ctx;
    struct gw_addr addr = {0};

    (void)purpose;
    t->tried++;
    if (name->family == AF_INET) {
        addr.family = 4;
        memcpy(addr.bytes, &((struct sockaddr_in *)(void *)&name->addr)->sin_addr, 4);
    } else if (name->family == AF_INET6) {
        addr.family = 6;
        memcpy(addr.bytes, &((struct sockaddr_in6 *)(void *)&name->addr)->sin6_addr, 16);
    }
    if (addr.family == 0 || !is_allowed(t, addr))
        return CURL_SOCKET_BAD;
    int fd = socket(name->family, name->socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, name->protocol);
    if (fd >= 0 && add(t->client, fd, true) == NULL) {
        close(fd);
        fd = -1;
    }
    return fd >= 0 ? fd : CURL_SOCKET_BAD;
}

int gw_http_socket_close(void *ctx, curl_socket_t fd)
{
    struct gw_http_client *client = ctx;
    struct gw_http_socket *s = find(client, fd);

    if (s)
        drop(s); /* libuv forgets the descriptor at once */
    return close(fd);
}

/* A connection is about to be used for a request, be it new or kept. */
int gw_http_socket_used(void *ctx, char *peer, char *local, int peer_port, int local_port)
{
    struct gw_transfer *t = ctx;
    struct gw_addr addr = {0};

    (void)local;
    (void)peer_port;
    (void)local_port;
    if (!gw_addr_parse((struct gw_slice){peer, strcspn(peer, "%")}, &addr) || !is_allowed(t, addr))
        return CURL_PREREQFUNC_ABORT;
    t->is_sending = true;
    return CURL_PREREQFUNC_OK;
}
