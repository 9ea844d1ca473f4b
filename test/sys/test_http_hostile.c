/* test_http_hostile.c: requests going out to peers that mean harm or are broken: every call ends,
 * as what it should, and what it holds stays bounded. */
#include "call.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct gw_env *env;
static struct call call;

static int setup(void **state)
{
    (void)state;
    env = loop_make(NULL);
    call = (struct call){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    call_deinit(&call);
    gw_loop_destroy(env);
    return 0;
}

/* Reads a request, says `text` and then does what `number` says. */
enum { THEN_CLOSE, THEN_RESET, THEN_HANG, THEN_REPEAT };

static void say_and(struct peer *peer)
{
    struct message m = {0};
    int fd = peer_accept(peer);

    if (fd < 0 || !get_message(fd, &m))
        return;
    message_deinit(&m);
    size_t len = strcspn(peer->text, "|");
    put(fd, peer->text, len);
    if (peer->number == THEN_RESET) {
        reset(fd);
        return;
    }
    if (peer->number == THEN_CLOSE)
        shutdown(fd, SHUT_WR);
    if (peer->number == THEN_REPEAT) {
        const char *again = peer->text + len + 1; /* what is behind the bar, for ever */
        while (send(fd, again, strlen(again), MSG_NOSIGNAL) > 0)
            ;
    }
    has_ended(fd);
    close(fd);
}

static void run_row(const char *text, size_t then, enum gw_http_end end, int status,
                    const char *error)
{
    struct peer peer = {.text = text, .number = then};

    peer_start(&peer, say_and);
    call_deinit(&call);
    call_init(&call, env, peer.port, "/hook?token=secret");
    if (then == THEN_HANG)
        call.http.timeout_ms = 100;
    assert_call(&call, end, status, error);
    gw_loop_destroy(env); /* or the peer might wait for us to hang up */
    env = loop_make(NULL);
    peer_join(&peer);
    assert_int_equal(atomic_load(&peer.count), 1); /* sent once: it may have been taken */
}

#define START "HTTP/1.1 200 OK\r\n"

static void before_the_headers_are_complete(void **state)
{
    (void)state;
    run_row("", THEN_CLOSE, GW_HTTP_RESET, 0, "connection closed: connected and sent");
    run_row("", THEN_RESET, GW_HTTP_RESET, 0, "connection reset: connected and sent");
    run_row("HTTP/1.1 2", THEN_CLOSE, GW_HTTP_RESET, 0, "");
    run_row(START, THEN_CLOSE, GW_HTTP_RESET, 0, "in the middle of the reply's headers");
    run_row(START "Content-Length: 2\r\n", THEN_CLOSE, GW_HTTP_RESET, 0, "in the middle");
    run_row(START "Content-Length: 2\r\n", THEN_RESET, GW_HTTP_RESET, 0, "in the middle");
    run_row(START "Content-Length: 2\r\n\r", THEN_CLOSE, GW_HTTP_RESET, 0, "in the middle");
    run_row("HTTP/1.1 100 Continue\r\n\r\n", THEN_CLOSE, GW_HTTP_RESET, 0, "in the middle");
    run_row("", THEN_HANG, GW_HTTP_TIMEOUT, 0,
            "no answer within 100 ms: connected and sent, waiting for the first byte");
    run_row(START "A: b\r\n", THEN_HANG, GW_HTTP_TIMEOUT, 0,
            "in the middle of the reply's headers");
    run_row("HTTP/1.1 100 Continue\r\n\r\n", THEN_HANG, GW_HTTP_TIMEOUT, 0, "in the middle");
}

static void not_http(void **state)
{
    static const char *const texts[] = {
        "SSH-2.0-OpenSSH_9.2 secret\r\n",
        "secret",
        "\x15\x03\x01\x00\x02\x02\x16", /* a TLS alert */
        "HTTP/0.9 200 OK\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 secret\r\n\r\n",
        "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/1.1 20 Short\r\n\r\n",
        "HTTP/1.1 -200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        START "no colon secret\r\n\r\n",
        START ": no name\r\n\r\n",
        START "Content-Length: secret\r\n\r\n",
        START "Content-Length: -1\r\n\r\n",
        START "Content-Length: 99999999999999999999999\r\n\r\n",
        START "Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        START "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        START "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        START "Transfer-Encoding: unknown\r\n\r\nabc",
    };

    (void)state;
    for (size_t i = 0; i < gw_count(texts); i++) {
        run_row(texts[i], THEN_CLOSE, GW_HTTP_PROTOCOL, 0, "");
    }
}

static void say_nul(struct peer *peer)
{
    static const char text[] = START "A: b\0c\r\nContent-Length: 0\r\n\r\n";
    struct message m = {0};
    int fd = peer_accept(peer);

    get_message(fd, &m);
    message_deinit(&m);
    put(fd, text, sizeof(text) - 1);
    has_ended(fd);
    close(fd);
}

static void a_nul_in_a_header(void **state)
{
    struct peer peer = {0};

    (void)state;
    peer_start(&peer, say_nul);
    call_init(&call, env, peer.port, "/");
    assert_call(&call, GW_HTTP_PROTOCOL, 0, "");
    peer_join(&peer);
}

static void without_end(void **state)
{
    (void)state;
    run_row(START "|A: a longer secret\r\n", THEN_REPEAT, GW_HTTP_PROTOCOL, 0,
            "larger than 64 KiB");
    run_row(START "|A: b\r\n", THEN_REPEAT, GW_HTTP_PROTOCOL, 0, "too many or too long");
    run_row(START "|a", THEN_REPEAT, GW_HTTP_PROTOCOL, 0, "");
    run_row(START "A: |b", THEN_REPEAT, GW_HTTP_PROTOCOL, 0, "");
    run_row("HTTP/1.1 |2", THEN_REPEAT, GW_HTTP_PROTOCOL, 0, "");
    run_row("|HTTP/1.1 100 Continue\r\n\r\n", THEN_REPEAT, GW_HTTP_PROTOCOL, 0, "");
    run_row("|HTTP/1.1 103 Hints\r\nLink: <a>\r\n\r\n", THEN_REPEAT, GW_HTTP_PROTOCOL, 0, "");
    run_row(START "\r\n|secret", THEN_REPEAT, GW_HTTP_ANSWERED, 200, "");
    assert_int_equal(call.http.reply.len, call.http.reply_keep_max);
    run_row(START "Transfer-Encoding: chunked\r\n\r\n|1\r\na\r\n", THEN_REPEAT, GW_HTTP_ANSWERED,
            200, "");
    run_row(START "Transfer-Encoding: chunked\r\n\r\n0\r\n|A: b\r\n", THEN_REPEAT, GW_HTTP_ANSWERED,
            200, "");
}

static void whatever_the_body_does(void **state)
{
    static const struct {
        const char *head;
        bool is_whole; /* when the connection is closed behind it */
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", false},
        {"HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\nabc", false},
        {"HTTP/1.1 429 No\r\nTransfer-Encoding: chunked\r\n\r\n", false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", false},
        {"HTTP/1.1 410 No\r\n\r\nabc", false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 500 No\r\n\r\n", true},
        {"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", true},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        int status = (int)strtol(rows[i].head + 9, NULL, 10);
        run_row(rows[i].head, THEN_CLOSE, GW_HTTP_ANSWERED, status, "");
        assert_int_equal(call.http.is_whole, rows[i].is_whole);
        run_row(rows[i].head, THEN_HANG, GW_HTTP_ANSWERED, status, "");
    }
    /* A reset may overtake what was sent before it; then nothing was seen of the answer. */
    struct peer peer = {.text = rows[0].head, .number = THEN_RESET};
    peer_start(&peer, say_and);
    call_deinit(&call);
    call_init(&call, env, peer.port, "/");
    call_run(&call);
    assert_true(call.http.end == GW_HTTP_ANSWERED || call.http.end == GW_HTTP_RESET);
    peer_join(&peer);
}

/* A pooled connection with an answer nobody asked for must not answer the next request. */
static void answer_twice(struct peer *peer)
{
    static const char *const texts[] = {
        START "Content-Length: 2\r\n\r\nokHTTP/1.1 299 Forged\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nyes",
    };

    for (int i = 0; i < 2; i++) {
        struct message m = {0};
        int fd = peer_accept(peer);
        if (fd < 0 || !get_message(fd, &m))
            return;
        message_deinit(&m);
        puts_to(fd, texts[i]);
        has_ended(fd);
        close(fd);
    }
}

static void an_answer_ahead_of_its_request(void **state)
{
    struct peer peer = {0};

    (void)state;
    peer_start(&peer, answer_twice);
    call_init(&call, env, peer.port, "/");
    assert_call(&call, GW_HTTP_ANSWERED, 200, "");
    assert_call(&call, GW_HTTP_ANSWERED, 201, "");
    assert_slice(call.http.reply, "yes");
    gw_loop_destroy(env);
    env = loop_make(NULL);
    peer_join(&peer);
}

static const char noise_text[] =
    "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
    "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5;e=v\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"
    "HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n0123456789";

static void say_noise(struct peer *peer)
{
    struct message m = {0};
    struct gw_buf buf = {0};
    uint64_t seed = 20261124;
    int fd;

    while ((fd = peer_accept(peer)) >= 0) {
        if (get_message(fd, &m)) {
            size_t skip = draw(&seed) % 3 ? strcspn(noise_text, "L") + 11 : 0;
            mutate(&buf, noise_text + skip, sizeof(noise_text) - 1 - skip, &seed);
            put(fd, buf.ptr, buf.len);
        }
        shutdown(fd, SHUT_WR);
        has_ended(fd);
        close(fd);
    }
    message_deinit(&m);
    gw_buf_deinit(&buf);
}

static void noise(void **state)
{
    struct peer peer = {0};
    int answered = 0;

    (void)state;
    peer_start(&peer, say_noise);
    for (int i = 0; i < 1500; i++) {
        call_init(&call, env, peer.port, "/");
        call_run(&call); /* ends, as whatever */
        answered += call.http.end == GW_HTTP_ANSWERED;
        assert_true((call.http.status >= 200) == (call.http.end == GW_HTTP_ANSWERED));
        assert_true(call.http.end != GW_HTTP_TIMEOUT);
        call_deinit(&call);
    }
    assert_true(answered > 100 && answered < 1500);
    gw_loop_destroy(env);
    env = loop_make(NULL);
    peer_join(&peer);
}

/* ── Connecting ────────────────────────────────────────────────────────────────────────────── */

static void nobody_listens(void **state)
{
    uint16_t port;

    (void)state;
    close(listen_any(&port));
    call_init(&call, env, port, "/");
    assert_call(&call, GW_HTTP_CONNECT, 0, "connection refused");
    assert_true(gw_addr_eq(&call.http.addr, &call.addr)); /* tried; said for the record */
}

static void connecting_takes_too_long(void **state)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t len = sizeof(name);
    int fd = socket(AF_INET, SOCK_STREAM, 0), fills[8];

    (void)state;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    for (size_t i = 0; i < gw_count(fills); i++) { /* nobody accepts: the queue is full */
        fills[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fills[i], (struct sockaddr *)&name, sizeof(name));
    }
    call_init(&call, env, ntohs(name.sin_port), "/");
    call.http.connect_timeout_ms = 80;
    assert_call(&call, GW_HTTP_TIMEOUT, 0, "timed out after 80 ms while connecting");
    call.http.connect_timeout_ms = 30000;
    call.http.timeout_ms = 60;
    assert_call(&call, GW_HTTP_TIMEOUT, 0, "timed out after 60 ms while connecting");
    for (size_t i = 0; i < gw_count(fills); i++)
        close(fills[i]);
    close(fd);
}

static void hold_all(struct peer *peer)
{
    int fds[16];
    size_t count = 0;

    while (count < gw_count(fds) && (fds[count] = peer_accept(peer)) >= 0)
        count++;
    while (count > 0)
        close(fds[--count]);
}

static void a_handshake_that_does_not_come(void **state)
{
    struct peer peer = {0};

    (void)state;
    peer_start(&peer, hold_all);
    call_init(&call, env, peer.port, "/");
    snprintf(call.url, sizeof(call.url), "https://target.test:%u/", (unsigned)peer.port);
    call.http.connect_timeout_ms = 80;
    assert_call(&call, GW_HTTP_TIMEOUT, 0, "timed out after 80 ms in the TLS handshake");
    peer_join(&peer);
}

static void a_peer_that_does_not_read(void **state)
{
    struct peer peer = {0};
    char *body = gw_zalloc(32 << 20);

    (void)state;
    peer_start(&peer, hold_all);
    call_init(&call, env, peer.port, "/");
    call.http.body = (struct gw_slice){body, 32 << 20};
    call.http.timeout_ms = 200;
    assert_call(&call, GW_HTTP_TIMEOUT, 0, "connected, sending the request");
    peer_join(&peer);
    gw_free(body);
}

/* ── Cancelling ────────────────────────────────────────────────────────────────────────────── */

static void note_request(struct peer *peer)
{
    struct message m = {0};
    int fd = peer_accept(peer);

    if (fd < 0)
        return;
    if (get_message(fd, &m))
        atomic_fetch_add(&peer->count, 10);
    message_deinit(&m);
    has_ended(fd); /* the cancel closes the connection */
    close(fd);
    atomic_fetch_add(&peer->count, 100);
}

struct count_watch {
    struct gw_timer timer;
    struct peer *peer;
    int wanted;
    bool is_there;
};

static void on_count(struct gw_timer *timer)
{
    struct count_watch *watch = gw_container_of(timer, struct count_watch, timer);

    watch->is_there = atomic_load(&watch->peer->count) >= watch->wanted;
    if (!watch->is_there)
        gw_env_timer_set(env, timer, 1);
}

static void run_until_count(struct peer *peer, int wanted)
{
    struct count_watch watch = {.timer.fire = on_count, .peer = peer, .wanted = wanted};

    gw_env_timer_set(env, &watch.timer, 0);
    run_until(env, &watch.is_there);
}

static void cancelled_in_flight(void **state)
{
    struct peer peer = {0};

    (void)state;
    peer_start(&peer, note_request);
    call_init(&call, env, peer.port, "/");
    call_start(&call);
    run_until_count(&peer, 11);
    gw_env_http_cancel(env, &call.http);
    run_until_count(&peer, 111);
    assert_false(call.is_done);
    peer_join(&peer);
}

static void cancelled_at_once(void **state)
{
    (void)state;
    call_init(&call, env, 1, "/");
    for (int i = 0; i < 3; i++) {
        call_start(&call);
        gw_env_http_cancel(env, &call.http);
    }
    call.http.addr_count = 0; /* has failed already, but not said so */
    call_start(&call);
    gw_env_http_cancel(env, &call.http);
    bool yes = true;
    run_until(env, &yes);
    assert_false(call.is_done);
}

static struct call first, second;
static int first_done;

static void on_first_done(struct gw_http_call *http)
{
    (void)http;
    if (first_done++ == 0) {
        gw_env_http_cancel(env, &second.http); /* which may have ended in the same turn */
        gw_env_http(env, &first.http);         /* and asking again from within is fine */
    } else {
        first.is_done = true;
    }
}

static void cancelled_by_another(void **state)
{
    uint16_t port;

    (void)state;
    close(listen_any(&port));
    for (int i = 0; i < 20; i++) {
        call_init(&first, env, port, "/");
        call_init(&second, env, port, "/");
        first.http.done = on_first_done;
        first_done = 0;
        call_start(&first);
        call_start(&second);
        run_until(env, &first.is_done);
        assert_false(second.is_done);
        assert_int_equal(first_done, 2);
        call_deinit(&first);
        call_deinit(&second);
    }
}

static void the_loop_ends_with_calls_open(void **state)
{
    struct peer peer = {0};
    struct call *calls = gw_zalloc(sizeof(*calls) * 8);

    (void)state;
    peer_start(&peer, hold_all);
    for (int i = 0; i < 8; i++) {
        call_init(&calls[i], env, peer.port, "/");
        call_start(&calls[i]);
    }
    run_until_count(&peer, 4);
    gw_loop_destroy(env);
    env = loop_make(NULL);
    for (int i = 0; i < 8; i++) {
        assert_false(calls[i].is_done);
        call_deinit(&calls[i]);
    }
    peer_join(&peer);
    gw_free(calls);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(before_the_headers_are_complete),
        TEST(not_http),
        TEST(a_nul_in_a_header),
        TEST(without_end),
        TEST(whatever_the_body_does),
        TEST(an_answer_ahead_of_its_request),
        TEST(noise),
        TEST(nobody_listens),
        TEST(connecting_takes_too_long),
        TEST(a_handshake_that_does_not_come),
        TEST(a_peer_that_does_not_read),
        TEST(cancelled_in_flight),
        TEST(cancelled_at_once),
        TEST(cancelled_by_another),
        TEST(the_loop_ends_with_calls_open),
    };

    gw_sys_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
