/* support.c: see support.h. */
#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_S 60 /* then the test has failed */

static void be_patient(int fd)
{
    struct timeval wait = {.tv_sec = PATIENCE_S};
    int on = 1;

    gw_check(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0);
    gw_check(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) == 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int listen_any(uint16_t *port)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t len = sizeof(name);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    gw_check(fd >= 0);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    gw_check(bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0);
    gw_check(listen(fd, 128) == 0);
    gw_check(getsockname(fd, (struct sockaddr *)&name, &len) == 0);
    *port = ntohs(name.sin_port);
    return fd;
}

int dial(uint16_t port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    gw_check(fd >= 0);
    be_patient(fd);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0)
        return fd;
    close(fd);
    return -1;
}

void put(int fd, const void *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t sent = send(fd, (const char *)bytes + at, len - at, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        at += (size_t)sent;
    }
}

void puts_to(int fd, const char *text)
{
    put(fd, text, strlen(text));
}

size_t get(int fd, void *bytes, size_t max)
{
    ssize_t got = recv(fd, bytes, max, 0);

    gw_check(got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK)); /* patience is over */
    return got > 0 ? (size_t)got : 0;
}

bool has_ended(int fd)
{
    char rest[4096];

    while (get(fd, rest, sizeof(rest)) > 0)
        ;
    return true;
}

void reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
}

static size_t length_of(const char *head)
{
    const char *field = strcasestr(head, "\ncontent-length:");

    return field ? strtoul(field + 16, NULL, 10) : 0;
}

bool get_head(int fd, struct message *m)
{
    message_deinit(m);
    do {
        char c;
        if (get(fd, &c, 1) == 0)
            return false;
        gw_buf_addc(&m->bytes, c);
    } while (!gw_slice_ends(gw_buf_slice(&m->bytes), GW_SLICE("\r\n\r\n")));
    m->head = gw_strdup(gw_buf_text(&m->bytes));
    if (strncmp(m->head, "HTTP/", 5) == 0)
        m->status = (int)strtol(m->head + 9, NULL, 10);
    return true;
}

bool get_message(int fd, struct message *m)
{
    if (!get_head(fd, m))
        return false;
    m->body_len = length_of(m->head);
    m->body = gw_zalloc(m->body_len + 1);
    for (size_t at = 0; at < m->body_len;) {
        size_t got = get(fd, m->body + at, m->body_len - at);
        if (got == 0)
            return false;
        at += got;
    }
    return true;
}

void message_deinit(struct message *m)
{
    gw_buf_deinit(&m->bytes);
    gw_free(m->head);
    gw_free(m->body);
    *m = (struct message){0};
}

/* ── Noise ─────────────────────────────────────────────────────────────────────────────────── */

uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

void mutate(struct gw_buf *out, const char *text, size_t len, uint64_t *state)
{
    static const char odd[] = "\r\n\0 :;,\t0123456789abcfF-+/?#*\x7f\xff";
    uint64_t changes = 1 + draw(state) % 4;

    gw_buf_clear(out);
    gw_buf_add(out, text, len);
    while (changes-- > 0) {
        size_t at = draw(state) % out->len, to = draw(state) % out->len;
        switch (draw(state) % 5) {
        case 0: out->ptr[at] = odd[draw(state) % (sizeof(odd) - 1)]; break;
        case 1: out->ptr[at] = (char)draw(state); break;
        case 2: out->len = at + 1; break;
        case 3: gw_buf_add(out, text, draw(state) % len + 1); break;
        default: {
            char c = out->ptr[at];
            out->ptr[at] = out->ptr[to];
            out->ptr[to] = c;
        }
        }
    }
}

/* ── Peers ─────────────────────────────────────────────────────────────────────────────────── */

static void peer_run(void *ctx)
{
    struct peer *peer = ctx;
    peer->script(peer);
}

void peer_start(struct peer *peer, void (*script)(struct peer *peer))
{
    peer->fd = listen_any(&peer->port);
    be_patient(peer->fd);
    peer->script = script;
    peer->thread = gw_thread_start("peer", peer_run, peer);
}

int peer_accept(struct peer *peer)
{
    int fd = accept4(peer->fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0) {
        be_patient(fd);
        atomic_fetch_add(&peer->count, 1);
    }
    return fd;
}

void peer_join(struct peer *peer)
{
    shutdown(peer->fd, SHUT_RDWR); /* an accept that waits ends */
    gw_thread_join(peer->thread);
    close(peer->fd);
}

/* ── Loops ─────────────────────────────────────────────────────────────────────────────────── */

struct watch {
    struct gw_timer timer;
    struct gw_env *env;
    const bool *flag;
    int64_t until_us;
};

static void look(struct gw_timer *timer)
{
    struct watch *watch = gw_container_of(timer, struct watch, timer);

    gw_check(gw_env_mono_us(watch->env) < watch->until_us);
    if (*watch->flag)
        gw_loop_stop(watch->env);
    else
        gw_env_timer_set(watch->env, timer, 1);
}

void run_until(struct gw_env *env, const bool *flag)
{
    struct watch watch = {
        .timer.fire = look,
        .env = env,
        .flag = flag,
        .until_us = gw_env_mono_us(env) + (int64_t)PATIENCE_S * 1000000,
    };

    gw_env_timer_set(env, &watch.timer, 0);
    gw_loop_run(env);
    gw_env_timer_stop(env, &watch.timer);
}

struct gw_env *loop_make(const struct gw_loop_options *options)
{
    struct gw_env *env;
    struct gw_error error;

    if (gw_loop_create(options, &env, &error) != GW_OK)
        fail_msg("%s", error.text);
    return env;
}
