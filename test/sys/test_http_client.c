/* test_http_client.c: requests going out to peers that behave: what is sent to the byte, what comes
 * back, which connections are used again, where a request may go. */
#include "call.h"
#include "web.h"

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

/* ── What is sent ──────────────────────────────────────────────────────────────────────────── */

static struct message seen;

/* Answers `number` requests, on one connection as long as it lasts; keeps the last one. */
static void answer_all(struct peer *peer)
{
    int fd = peer_accept(peer);

    for (size_t i = 0; i < peer->number; i++) {
        if (fd < 0 || !get_message(fd, &seen))
            return;
        puts_to(fd, peer->text);
    }
    has_ended(fd);
    close(fd);
}

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static void the_request_to_the_byte(void **state)
{
    static const char *const lines[] = {
        "content-type: application/json",
        "X-Secret: secret",
        "x-empty:",
        "x-blank:  ",
        "Accept: text/x",
        NULL,
    };
    struct peer peer = {.text = OK_REPLY, .number = 1};
    struct gw_buf wanted = {0};

    (void)state;
    peer_start(&peer, answer_all);
    call_init(&call, env, peer.port, "/a/../b//./c%2f?x=%2B+&y=../z");
    call.http.header_lines = lines;
    assert_call(&call, GW_HTTP_ANSWERED, 200, "");
    assert_slice(call.http.reply, "ok");
    gw_loop_destroy(env);
    env = loop_make(NULL);
    peer_join(&peer);
    gw_buf_addf(&wanted,
                "POST /a/../b//./c%%2f?x=%%2B+&y=../z HTTP/1.1\r\nHost: target.test:%u\r\n"
                "content-type: application/json\r\nX-Secret: secret\r\nx-empty:\r\nx-blank:\r\n"
                "Accept: text/x\r\nContent-Length: 5\r\n\r\n",
                (unsigned)peer.port);
    assert_int_equal(strlen(seen.head), wanted.len); /* whatever the order, nothing more */
    assert_has(seen.head, "\r\ncontent-type: application/json\r\nX-Secret: secret\r\nx-empty:\r\n"
                          "x-blank:\r\nAccept: text/x\r\n");
    assert_has(seen.head, "\r\nContent-Length: 5\r\n");
    assert_has(seen.head, "POST /a/../b//./c%2f?x=%2B+&y=../z HTTP/1.1\r\nHost: target.test:");
    assert_string_equal(seen.body, "hello");
    gw_buf_deinit(&wanted);
    message_deinit(&seen);
}

static void nothing_is_added(void **state)
{
    struct peer peer = {.text = OK_REPLY, .number = 1};
    char *body = gw_zalloc(3 << 20);

    (void)state;
    peer_start(&peer, answer_all);
    call_init(&call, env, peer.port, "/");
    call.http.body = (struct gw_slice){body, 3 << 20}; /* large enough for "Expect" */
    assert_call(&call, GW_HTTP_ANSWERED, 200, "");
    gw_loop_destroy(env);
    env = loop_make(NULL);
    peer_join(&peer);
    assert_lacks(seen.head, "Accept");
    assert_lacks(seen.head, "Expect");
    assert_lacks(seen.head, "User-Agent");
    assert_lacks(seen.head, "Content-Type");
    assert_int_equal(seen.body_len, 3 << 20);
    gw_free(body);
    message_deinit(&seen);
}

static void methods(void **state)
{
    static const struct {
        const char *method, *body, *seen;
        size_t len;
    } rows[] = {
        {"POST", "abc", "POST /echo - 3", 0},
        {"GET", "", "GET /echo - 0", 0},
        {"HEAD", "", "", 0},
        {"POST", "", "POST /echo - 0", 0},
        {"PUT", "ab", "PUT /echo - 2", 0},
        {"DELETE", "", "DELETE /echo - 0", 0},
        {"PATCH", "x", "PATCH /echo - 1", 0},
        {"HEAD", "", "", 0},
        {"GET", "", "GET /echo - 0", 0},
        {"PUT", "", "PUT /echo - 0", 0},
        {"GET", "q", "GET /echo - 1", 0},
        {"OPTIONS", "", "OPTIONS /echo - 0", 0},
        {"POST", "abc", "POST /echo - 3", 0},
        {"MKCOL", "", "OTHER /echo - 0", 0},
    };
    struct web web = {0};

    (void)state;
    web_start(&web);
    for (size_t i = 0; i < gw_count(rows); i++) {
        call_deinit(&call);
        call_init(&call, env, web.port, "/echo");
        call.http.method = rows[i].method;
        call.http.body = gw_slice_from(rows[i].body);
        assert_call(&call, GW_HTTP_ANSWERED, 200, "");
        if (!gw_slice_starts(call.http.reply, gw_slice_from(rows[i].seen)))
            fail_msg("%zu: %.*s", i, GW_SLICE_ARG(call.http.reply));
    }
    assert_int_equal(web_connections(&web), 1); /* all of them on one connection */
    web_stop(&web);
}

static void header_lines_that_would_be_more_than_one(void **state)
{
    static const char *const rows[][2] = {
        {"a: b\r\nc: d", NULL},
        {"a: b\n", NULL},
        {"no colon", NULL},
        {": no name", NULL},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        call_deinit(&call);
        call_init(&call, env, 1, "/");
        call.http.header_lines = rows[i];
        assert_call(&call, GW_HTTP_PROTOCOL, 0, "header line of the request");
    }
}

/* ── What comes back ───────────────────────────────────────────────────────────────────────── */

static void interim_answers_are_skipped(void **state)
{
    struct peer peer = {
        .text =
            "HTTP/1.1 100 Continue\r\n\r\n"
            "HTTP/1.1 103 Early Hints\r\nLink: a\r\nContent-Length: 9\r\n\r\n"
            "HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nX: \t y \r\nContent-Length: 2\r\n\r\nno",
        .number = 1,
    };

    (void)state;
    peer_start(&peer, answer_all);
    call_init(&call, env, peer.port, "/");
    assert_call(&call, GW_HTTP_ANSWERED, 429, "");
    assert_slice(call.http.reply, "no");
    assert_string_equal(gw_buf_text(&call.headers), "Retry-After=7\nX=y\nContent-Length=2\n");
    assert_true(gw_addr_eq(&call.http.addr, &call.addr));
    assert_true(call.http.total_us > 0 && call.http.connect_us > 0);
    assert_int_equal(call.http.tls_us, 0);
    gw_loop_destroy(env);
    env = loop_make(NULL);
    peer_join(&peer);
    message_deinit(&seen);
}

static void kinds_of_replies(void **state)
{
    static const struct {
        const char *text;
        int status;
        const char *reply;
    } rows[] = {
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
        {"HTTP/1.1 304\r\nContent-Length: 5\r\n\r\n", 304, ""},
        {"HTTP/1.1 301 Moved\r\nLocation: http://other.test/\r\nContent-Length: 0\r\n\r\n", 301,
         ""},
        {"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n", 401,
         ""},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: v\r\n\r\n", 200,
         "abc"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab", 200, "ab"},
        {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b!", 200,
         "\x1f\x8b!"},
        {"HTTP/1.1 999 Odd\r\nContent-Length: 1\r\n\r\nx", 999, "x"},
        {"HTTP/1.1 500\r\nA: b\r\n folded\r\nContent-Length: 1\r\n\r\nx", 500, "x"},
        {"HTTP/1.1 302 Found\r\nSet-Cookie: a=b\r\nContent-Length: 1\r\n\r\nx", 302, "x"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct peer peer = {.text = rows[i].text, .number = 1};
        peer_start(&peer, answer_all);
        call_deinit(&call);
        call_init(&call, env, peer.port, "/");
        assert_call(&call, GW_HTTP_ANSWERED, rows[i].status, "");
        assert_slice(call.http.reply, rows[i].reply);
        gw_loop_destroy(env);
        env = loop_make(NULL);
        peer_join(&peer);
    }
    message_deinit(&seen);
}

static void replies_are_read_and_kept_up_to_a_limit(void **state)
{
    static const struct {
        const char *path;
        size_t read_max, keep_max, kept;
        bool is_whole;
    } rows[] = {
        {"/big/3000", 65536, 2048, 2048, false},    {"/big/65536", 65536, 100000, 65536, true},
        {"/big/10", 65536, 2048, 10, true},         {"/big/2048", 65536, 2048, 2048, true},
        {"/big/3000", 65536, 0, 0, false},          {"/big/3000", 0, 2048, 2048, false},
        {"/big/9000000", 65536, 2048, 2048, false}, {"/big/500000", 1 << 20, 1 << 20, 500000, true},
    };
    struct web web = {0};

    (void)state;
    web_start(&web);
    for (size_t i = 0; i < gw_count(rows); i++) {
        call_deinit(&call);
        call_init(&call, env, web.port, rows[i].path);
        call.http.reply_read_max = rows[i].read_max;
        call.http.reply_keep_max = rows[i].keep_max;
        assert_call(&call, GW_HTTP_ANSWERED, 200, "");
        assert_int_equal(call.http.reply.len, rows[i].kept);
        assert_int_equal(call.http.is_whole, rows[i].is_whole);
    }
    web_stop(&web);
}

/* ── Connections ───────────────────────────────────────────────────────────────────────────── */

static void a_connection_is_kept(void **state)
{
    struct peer peer = {.text = OK_REPLY, .number = 5};

    (void)state;
    peer_start(&peer, answer_all);
    call_init(&call, env, peer.port, "/");
    for (int i = 0; i < 5; i++) {
        assert_call(&call, GW_HTTP_ANSWERED, 200, "");
        assert_true((call.http.connect_us > 0) == (i == 0));
        assert_true(gw_addr_eq(&call.http.addr, &call.addr)); /* known all the same */
    }
    gw_loop_destroy(env);
    env = loop_make(NULL);
    peer_join(&peer);
    assert_int_equal(atomic_load(&peer.count), 1);
    message_deinit(&seen);
}

static void those_that_hang_cost_nobody_a_kept_connection(void **state)
{
    enum { HANGING = 4 };
    struct gw_loop_options options = {.connections_kept_max = 2};
    struct peer peer = {.text = OK_REPLY, .number = 3};
    struct call hanging[HANGING];
    uint16_t port;
    int silent = listen_any(&port); /* the kernel takes connections, and nobody ever answers */

    (void)state;
    gw_loop_destroy(env);
    env = loop_make(&options);
    for (size_t i = 0; i < HANGING; i++) {
        call_init(&hanging[i], env, port, "/");
        call_start(&hanging[i]);
    }
    peer_start(&peer, answer_all);
    call_init(&call, env, peer.port, "/");
    for (int i = 0; i < 3; i++) {
        assert_call(&call, GW_HTTP_ANSWERED, 200, "");
        assert_true((call.http.connect_us > 0) == (i == 0));
    }
    for (size_t i = 0; i < HANGING; i++) {
        assert_false(hanging[i].is_done);
        gw_env_http_cancel(env, &hanging[i].http);
        call_deinit(&hanging[i]);
    }
    gw_loop_destroy(env);
    env = loop_make(NULL);
    peer_join(&peer);
    close(silent);
    message_deinit(&seen);
}

static void those_apart_have_connections_of_their_own(void **state)
{
    struct web web = {0};

    (void)state;
    web_start(&web);
    call_init(&call, env, web.port, "/echo");
    for (int i = 0; i < 4; i++) {
        call.http.is_apart = i % 2;
        assert_call(&call, GW_HTTP_ANSWERED, 200, "");
        assert_true((call.http.connect_us > 0) == (i < 2));
    }
    assert_int_equal(web_connections(&web), 2);
    web_stop(&web);
}

static struct call next;

static void start_next(struct gw_http_call *http)
{
    (void)http;
    call_start(&next);
}

static void stop_after_next(struct gw_http_call *http)
{
    (void)http;
    next.is_done = true;
    gw_loop_stop(env);
}

static void give_up(struct gw_timer *timer)
{
    (void)timer;
    gw_loop_stop(env);
}

/* Nothing else wakes the loop: what was not begun then would never be. */
static void what_ends_before_the_loop_sleeps_starts_others(void **state)
{
    static const char *const lines[] = {"no field", NULL};
    struct gw_timer guard = {.fire = give_up};
    struct web web = {0};

    (void)state;
    web_start(&web);
    for (int i = 0; i < 2; i++) {
        call_init(&call, env, web.port, "/echo");
        call.http.header_lines = lines; /* ends at once */
        call.http.is_apart = i == 0;
        call.http.done = start_next;
        call_init(&next, env, web.port, "/echo");
        next.http.is_apart = i == 1;
        next.http.done = stop_after_next;
        call_start(&call);
        gw_env_timer_set(env, &guard, 20000);
        gw_loop_run(env);
        gw_env_timer_stop(env, &guard);
        assert_true(next.is_done);
        assert_int_equal(next.http.status, 200);
        call_deinit(&call);
        call_deinit(&next);
    }
    web_stop(&web);
}

/* Answers one request on each connection; what happens to a second one on it is for `number`:
 * 0 = the connection is closed at once, 1 = when the second request has begun, 2 = with a reset. */
static void die_when_kept(struct peer *peer)
{
    for (int i = 0; i < 2; i++) {
        int fd = peer_accept(peer);
        char some[100];
        if (fd < 0 || !get_message(fd, &seen))
            return;
        puts_to(fd, OK_REPLY);
        if (i == 0 && peer->number > 0)
            get(fd, some, sizeof(some));
        if (i == 1)
            has_ended(fd);
        if (peer->number == 2)
            reset(fd);
        else
            close(fd);
    }
}

static void a_dead_connection_costs_no_attempt(void **state)
{
    char *body = gw_zalloc(4 << 20);

    (void)state;
    for (size_t how = 0; how < 3; how++) {
        for (int large = 0; large < 2; large++) {
            struct peer peer = {.number = how};
            peer_start(&peer, die_when_kept);
            call_deinit(&call);
            call_init(&call, env, peer.port, "/");
            assert_call(&call, GW_HTTP_ANSWERED, 200, "");
            if (large)
                call.http.body = (struct gw_slice){body, 4 << 20};
            assert_call(&call, GW_HTTP_ANSWERED, 200, "");
            gw_loop_destroy(env);
            env = loop_make(NULL);
            peer_join(&peer);
            assert_int_equal(atomic_load(&peer.count), 2);
        }
    }
    gw_free(body);
    message_deinit(&seen);
}

static void many_at_once(void **state)
{
    enum { COUNT = 300 };
    struct call *calls = gw_zalloc(sizeof(*calls) * COUNT);
    struct web web = {.options.connections_max = 1000};

    (void)state;
    web_start(&web);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            call_init(&calls[i], env, web.port, i % 3 ? "/echo" : "/later");
            call_start(&calls[i]);
        }
        for (int i = 0; i < COUNT; i++) {
            run_until(env, &calls[i].is_done);
            assert_int_equal(calls[i].http.end, GW_HTTP_ANSWERED);
            assert_int_equal(calls[i].http.status, 200);
            call_deinit(&calls[i]);
        }
    }
    web_stop(&web);
    gw_free(calls);
}

static struct gw_http_server *own_server;

static void client_and_server_on_one_loop(void **state)
{
    struct web web = {0};
    struct gw_http_server_options options = {
        .host = "127.0.0.1",
        .connections_max = 10,
        .header_bytes_max = 8192,
        .body_bytes_max = 1 << 20,
        .idle_timeout_ms = 60000,
        .request_timeout_ms = 60000,
        .on_request = web_handle,
        .ctx = &web,
    };
    struct gw_error error;

    (void)state;
    assert_int_equal(gw_http_server_start(env, &options, &own_server, &error), GW_OK);
    call_init(&call, env, gw_http_server_port(own_server), "/later?x");
    for (int i = 0; i < 10; i++) {
        assert_call(&call, GW_HTTP_ANSWERED, 200, "");
        assert_true(gw_slice_starts(call.http.reply, GW_SLICE("POST /later ?x 5")));
    }
    assert_int_equal(gw_http_server_connections(own_server), 1);
    gw_http_server_drain(own_server);
    assert_call(&call, GW_HTTP_CONNECT, 0, "connection refused");
}

/* ── Where a request may go ────────────────────────────────────────────────────────────────── */

static void refuse_all(struct peer *peer)
{
    while (peer_accept(peer) >= 0)
        ;
}

static void blocked_addresses(void **state)
{
    struct peer peer = {0};

    (void)state;
    peer_start(&peer, refuse_all);
    call_init(&call, env, peer.port, "/");
    call.blocked_after = 0;
    assert_call(&call, GW_HTTP_BLOCKED, 0, "not allowed");

    snprintf(call.url, sizeof(call.url), "http://127.0.0.1:%u/", (unsigned)peer.port);
    call.http.host = "127.0.0.1"; /* a literal is asked about too */
    call.http.addr_count = 0;
    call.questions = 0;
    assert_call(&call, GW_HTTP_BLOCKED, 0, "not allowed");

    /* Other ways to write the same address, which libcurl understands. */
    static const char *const tricks[] = {"2130706433", "0x7f000001", "017700000001", "127.1"};
    for (size_t i = 0; i < gw_count(tricks); i++) {
        snprintf(call.url, sizeof(call.url), "http://%s:%u/", tricks[i], (unsigned)peer.port);
        call.http.host = tricks[i];
        call.http.addr_count = 1;
        call.questions = 0;
        assert_call(&call, GW_HTTP_BLOCKED, 0, "not allowed");
    }
    peer_join(&peer);
    assert_int_equal(atomic_load(&peer.count), 0); /* nobody connected */
}

static void a_kept_connection_is_asked_about_too(void **state)
{
    struct peer peer = {.text = OK_REPLY, .number = 2};

    (void)state;
    peer_start(&peer, answer_all);
    call_init(&call, env, peer.port, "/");
    assert_call(&call, GW_HTTP_ANSWERED, 200, "");
    call.blocked_after = 0;
    assert_call(&call, GW_HTTP_BLOCKED, 0, "not allowed");
    peer_join(&peer);
    message_deinit(&seen);
}

static void nothing_is_resolved_here(void **state)
{
    struct peer peer = {0};

    (void)state;
    peer_start(&peer, refuse_all);
    call_init(&call, env, peer.port, "/");
    call.http.addr_count = 0;
    assert_call(&call, GW_HTTP_CONNECT, 0, "not resolved");

    call.http.addr_count = 1; /* for another name than the URL's */
    snprintf(call.url, sizeof(call.url), "http://localhost:%u/", (unsigned)peer.port);
    assert_call(&call, GW_HTTP_CONNECT, 0, "not resolved");
    call.http.host = "127.0.0.1";
    assert_call(&call, GW_HTTP_CONNECT, 0, "not resolved");
    call.http.host = "tar%67et.test";
    assert_call(&call, GW_HTTP_CONNECT, 0, "not resolved");
    call.http.host = "target.test"; /* for another port */
    snprintf(call.url, sizeof(call.url), "http://target.test:%u/", peer.port == 1 ? 2u : 1u);
    assert_call(&call, GW_HTTP_CONNECT, 0, "not resolved");

    static const char *const others[] = {"ftp://target.test/", "file:///etc/passwd", "http://", ""};
    for (size_t i = 0; i < gw_count(others); i++) {
        snprintf(call.url, sizeof(call.url), "%s", others[i]);
        assert_call(&call, GW_HTTP_CONNECT, 0, "");
    }
    peer_join(&peer);
    assert_int_equal(atomic_load(&peer.count), 0);
}

static void ways_to_write_a_host(void **state)
{
    static const struct {
        const char *url, *host;
    } rows[] = {
        {"http://target.test.:%u/", "target.test."}, {"HTTP://TARGET.test:%u", "target.test"},
        {"http://target.test:%u?q", "TARGET.TEST"},  {"http://u:p@target.test:%u/", "target.test"},
        {"http://u:p@a_b.test:%u/", "a_b.test"},     {"http://127.0.0.1:%u/#f", "127.0.0.1"},
    };
    struct web web = {0};

    (void)state;
    web_start(&web);
    for (size_t i = 0; i < gw_count(rows); i++) {
        call_deinit(&call);
        call_init(&call, env, web.port, "/");
        const char *at = strstr(rows[i].url, "%u");
        snprintf(call.url, sizeof(call.url), "%.*s%u%s", (int)(at - rows[i].url), rows[i].url,
                 (unsigned)web.port, at + 2);
        call.http.host = rows[i].host;
        assert_call(&call, GW_HTTP_ANSWERED, 200, "");
    }
    web_stop(&web);
}

static void the_second_address_is_tried(void **state)
{
    struct peer peer = {.text = OK_REPLY, .number = 1};
    struct gw_addr addrs[] = {{4, {127, 0, 0, 9}}, {4, {127, 0, 0, 1}}};

    (void)state;
    peer_start(&peer, answer_all); /* on 127.0.0.1 only */
    call_init(&call, env, peer.port, "/");
    call.http.addrs = addrs;
    call.http.addr_count = 2;
    assert_call(&call, GW_HTTP_ANSWERED, 200, "");
    assert_true(gw_addr_eq(&call.http.addr, &addrs[1]));
    gw_loop_destroy(env);
    env = loop_make(NULL);
    peer_join(&peer);
    message_deinit(&seen);
}

static void the_environment_names_no_proxy(void **state)
{
    struct peer peer = {.text = OK_REPLY, .number = 1};

    (void)state;
    setenv("http_proxy", "http://127.0.0.1:9/", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:9/", 1);
    peer_start(&peer, answer_all);
    call_init(&call, env, peer.port, "/");
    assert_call(&call, GW_HTTP_ANSWERED, 200, "");
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    gw_loop_destroy(env);
    env = loop_make(NULL);
    peer_join(&peer);
    message_deinit(&seen);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_request_to_the_byte),
        TEST(nothing_is_added),
        TEST(methods),
        TEST(header_lines_that_would_be_more_than_one),
        TEST(interim_answers_are_skipped),
        TEST(kinds_of_replies),
        TEST(replies_are_read_and_kept_up_to_a_limit),
        TEST(a_connection_is_kept),
        TEST(those_apart_have_connections_of_their_own),
        TEST(what_ends_before_the_loop_sleeps_starts_others),
        TEST(those_that_hang_cost_nobody_a_kept_connection),
        TEST(a_dead_connection_costs_no_attempt),
        TEST(many_at_once),
        TEST(client_and_server_on_one_loop),
        TEST(blocked_addresses),
        TEST(a_kept_connection_is_asked_about_too),
        TEST(nothing_is_resolved_here),
        TEST(ways_to_write_a_host),
        TEST(the_second_address_is_tried),
        TEST(the_environment_names_no_proxy),
    };

    gw_sys_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
