/* test_http_server.c: what a well-behaved peer sees: requests in any pieces, answers in order,
 * connections that stay or go as they should. */
#include "web.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct web web;
static struct message m;

static int setup(void **state)
{
    (void)state;
    web = (struct web){0};
    web_start(&web);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    message_deinit(&m);
    web_stop(&web);
    return 0;
}

static void assert_echo(int fd, const char *start)
{
    assert_true(get_message(fd, &m));
    assert_int_equal(m.status, 200);
    assert_int_equal(m.body_len, strlen(m.body));
    if (strncmp(m.body, start, strlen(start)) != 0)
        fail_msg("got \"%s\", not \"%s…\"", m.body, start);
}

static const char get_a[] = "GET /a?x=1 HTTP/1.1\r\nHost: h\r\n\r\n";

static void requests_follow_each_other(void **state)
{
    int fd = dial(web.port);

    (void)state;
    puts_to(fd, get_a);
    assert_echo(fd, "GET /a ?x=1 0 cbf29ce484222325 127.0.0.1");
    assert_has(m.head, "HTTP/1.1 200 OK\r\ndate: ");
    assert_has(m.head, " GMT\r\ncontent-type: text/plain\r\ncontent-length: ");
    assert_lacks(m.head, "connection");
    puts_to(fd, "POST /b? HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    assert_echo(fd, "POST /b ? 5 a430d84680aabd0b");
    puts_to(fd, "DELETE /c HTTP/1.1\r\nHost: h:80\r\n\r\n");
    assert_echo(fd, "DELETE /c - 0");
    puts_to(fd, "PUT /later HTTP/1.1\r\nHost:\r\nContent-Length: 0\r\n\r\n");
    assert_echo(fd, "PUT /later - 0");
    puts_to(fd, "\r\nPATCH /e HTTP/1.1\r\nHost: [::1]:80\r\n\r\n");
    assert_echo(fd, "PATCH /e - 0");
    puts_to(fd, "MKCOL /f HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_echo(fd, "OTHER /f - 0");
    assert_int_equal(web_connections(&web), 1);
    close(fd);
    web_wait_connections(&web, 0);
}

static void targets(void **state)
{
    static const struct {
        const char *target, *seen;
    } rows[] = {
        {"GET /", "GET / -"},
        {"GET /a%2Fb/../c;d?e=/?f", "GET /a%2Fb/../c;d ?e=/?f"},
        {"GET http://other/p?q", "GET /p ?q"},
        {"GET http://other", "GET / -"},
        {"GET http://other?q", "GET / ?q"},
        {"OPTIONS *", "OPTIONS * -"},
        {"OPTIONS /", "OPTIONS / -"},
    };
    int fd = dial(web.port);
    char text[256];

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        snprintf(text, sizeof(text), "%s HTTP/1.1\r\nhost: h\r\n\r\n", rows[i].target);
        puts_to(fd, text);
        assert_echo(fd, rows[i].seen);
    }
    close(fd);
}

static void headers_come_as_they_were_sent(void **state)
{
    int fd = dial(web.port);

    (void)state;
    puts_to(fd, "GET /headers HTTP/1.1\r\nHost: h\r\nX-A:  b c \t\r\nx-a:\r\nEmpty: \r\n\r\n");
    assert_true(get_message(fd, &m));
    assert_string_equal(m.body, "Host=h\nX-A=b c\nx-a=\nEmpty=\n");
    assert_has(m.head, "\r\nx-one: 1\r\nx-empty: \r\n\r\n");
    close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    int fd = dial(web.port);

    (void)state;
    puts_to(fd,
            "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
            "POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
            "POST /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
            "GET /4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            "GET /5 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_echo(fd, "GET /1");
    assert_echo(fd, "POST /later - 3");
    assert_echo(fd, "POST /3 - 2");
    assert_echo(fd, "GET /4");
    assert_has(m.head, "\r\nconnection: close\r\n");
    assert_true(has_ended(fd));
    close(fd);
}

static void what_is_ahead_is_bounded_and_not_lost(void **state)
{
    enum { COUNT = 5000 }; /* 200 KB */
    int fd = dial(web.port);
    struct gw_buf rest = {0};

    (void)state;
    puts_to(fd, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    web_wait_held(&web, 1);
    for (int i = 0; i < COUNT; i++)
        gw_buf_addf(&rest, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i);
    put(fd, rest.ptr, rest.len);
    gw_buf_deinit(&rest);
    web_release(&web);
    assert_echo(fd, "GET /hold");
    for (int i = 0; i < COUNT; i++) {
        char start[32];
        snprintf(start, sizeof(start), "GET /%d -", i);
        assert_echo(fd, start);
    }
    close(fd);
}

/* ── In pieces ─────────────────────────────────────────────────────────────────────────────── */

static const char conversation[] =
    "POST /one?q HTTP/1.1\r\nHost: example.com\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaa\r\n"
    "Content-Length: 10\r\n\r\n0123456789"
    "PUT /two HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5;ext=\"v\"\r\nhello\r\n06\r\n world\r\n0\r\nTrailer: x\r\n\r\n"
    "GET /headers HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\n\r\n"
    "HEAD /three HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

static void assert_conversation(int fd)
{
    char wanted[128];

    assert_echo(fd, "POST /one ?q 10 ");
    snprintf(wanted, sizeof(wanted), "PUT /two - 11 %016llx",
             (unsigned long long)hash_bytes("hello world", 11));
    assert_echo(fd, wanted);
    assert_true(get_message(fd, &m));
    assert_string_equal(m.body, "Host=h\nA=1\nB=2\n");
    assert_true(get_head(fd, &m));
    assert_int_equal(m.status, 200);
    assert_true(has_ended(fd));
}

static void byte_by_byte(void **state)
{
    int fd = dial(web.port);

    (void)state;
    for (size_t i = 0; i < sizeof(conversation) - 1; i++)
        put(fd, conversation + i, 1);
    assert_conversation(fd);
    close(fd);
}

static void in_two_pieces_cut_anywhere(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof(conversation); cut++) {
        int fd = dial(web.port);
        put(fd, conversation, cut);
        put(fd, conversation + cut, sizeof(conversation) - 1 - cut);
        assert_conversation(fd);
        close(fd);
    }
}

static void a_body_of_a_mebibyte(void **state)
{
    enum { LEN = 1 << 20 };
    char *body = gw_alloc(LEN), start[128];
    int fd = dial(web.port);

    (void)state;
    for (size_t i = 0; i < LEN; i++)
        body[i] = (char)(i * 7 >> 3);
    for (int round = 0; round < 2; round++) {
        puts_to(fd, "POST /m HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n");
        put(fd, body, LEN);
        snprintf(start, sizeof(start), "POST /m - %d %016llx", LEN,
                 (unsigned long long)hash_bytes(body, LEN));
        assert_echo(fd, start);
    }
    gw_free(body);
    close(fd);
}

/* ── Answers ───────────────────────────────────────────────────────────────────────────────── */

static void answers_without_content(void **state)
{
    int fd = dial(web.port);

    (void)state;
    puts_to(fd, "HEAD /big/100 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(get_head(fd, &m));
    assert_has(m.head, "\r\ncontent-length: 100\r\n");
    puts_to(fd, "GET /status/204 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(get_head(fd, &m));
    assert_int_equal(m.status, 204);
    assert_lacks(m.head, "content-length");
    puts_to(fd, "GET /status/304 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(get_head(fd, &m));
    assert_int_equal(m.status, 304);
    puts_to(fd, "GET /big/0 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(get_message(fd, &m));
    assert_has(m.head, "\r\ncontent-length: 0\r\n");
    puts_to(fd, "GET /status/503 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(get_message(fd, &m));
    assert_has(m.head, "HTTP/1.1 503 Service Unavailable\r\n");
    assert_string_equal(m.body, "x");
    close(fd);
}

static void an_answer_larger_than_the_sockets_buffers(void **state)
{
    int fd = dial(web.port);

    (void)state;
    for (int round = 0; round < 2; round++) {
        puts_to(fd, "GET /big/30000000 HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_true(get_message(fd, &m));
        assert_int_equal(m.body_len, 30000000);
        assert_int_equal(strspn(m.body, "b"), 30000000);
    }
    close(fd);
}

static void a_peer_that_leaves_in_the_middle_of_an_answer(void **state)
{
    char some[16];
    int fd = dial(web.port);

    (void)state;
    puts_to(fd, "GET /big/30000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(get(fd, some, sizeof(some)) > 0);
    reset(fd);
    web_wait_connections(&web, 0);
}

static void http_1_0_is_answered_and_closed(void **state)
{
    int fd = dial(web.port);

    (void)state;
    puts_to(fd, "GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_echo(fd, "GET /old");
    assert_has(m.head, "HTTP/1.1 200 OK\r\n");
    assert_has(m.head, "connection: close");
    assert_true(has_ended(fd));
    close(fd);
}

static void an_upgrade_is_declined(void **state)
{
    int fd = dial(web.port);

    (void)state;
    puts_to(fd, "GET /u HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    assert_echo(fd, "GET /u");
    puts_to(fd, "POST /v HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n"
                "Content-Length: 2\r\n\r\nab");
    assert_echo(fd, "POST /v - 2");
    close(fd);
}

static void expect_continue(void **state)
{
    int fd = dial(web.port);

    (void)state;
    puts_to(fd, "POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n");
    assert_true(get_head(fd, &m));
    assert_int_equal(m.status, 100);
    puts_to(fd, "abc");
    assert_echo(fd, "POST /x - 3");
    puts_to(fd, "POST /y HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n");
    assert_echo(fd, "POST /y - 0"); /* nothing to go on with */
    close(fd);
}

/* ── Comings and goings ────────────────────────────────────────────────────────────────────── */

static void a_half_closed_peer_gets_its_answers(void **state)
{
    int fd = dial(web.port);

    (void)state;
    puts_to(fd, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /ha");
    shutdown(fd, SHUT_WR);
    web_wait_held(&web, 1);
    web_release(&web);
    assert_echo(fd, "GET /hold");
    assert_echo(fd, "GET /2");
    assert_true(has_ended(fd));
    close(fd);
    web_wait_connections(&web, 0);
}

static void an_answer_to_nobody_is_dropped(void **state)
{
    int fd = dial(web.port);

    (void)state;
    puts_to(fd, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    web_wait_held(&web, 1);
    reset(fd);
    web_wait_connections(&web, 0);
    web_release(&web);
    fd = dial(web.port);
    puts_to(fd, get_a);
    assert_echo(fd, "GET /a");
    close(fd);
}

static void an_abort_resets_the_connection(void **state)
{
    int fd = dial(web.port), other = dial(web.port);
    char some[1];

    (void)state;
    puts_to(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /abort HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_echo(fd, "GET /a");
    assert_int_equal(recv(fd, some, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    close(fd);
    puts_to(other, get_a);
    assert_echo(other, "GET /a");
    close(other);
    web_wait_connections(&web, 0);
}

static void peers_that_leave_early(void **state)
{
    (void)state;
    close(dial(web.port));
    for (size_t cut = 1; cut < sizeof(get_a) - 1; cut += 5) {
        int fd = dial(web.port);
        put(fd, get_a, cut);
        close(fd);
    }
    web_wait_connections(&web, 0);
    assert_int_equal(atomic_load(&web.handled), 0);
}

static void drain(struct web *w)
{
    gw_http_server_drain(w->server);
}

static void send_and_drain(struct web *w)
{
    puts_to(w->extra_fd, get_a); /* on the loop's thread, so it has not been read */
    gw_http_server_drain(w->server);
}

static void draining_loses_no_request_that_has_come(void **state)
{
    int fd = dial(web.port);

    (void)state;
    web_wait_connections(&web, 1);
    web.extra_fd = fd;
    web_on_loop(&web, send_and_drain);
    assert_echo(fd, "GET /a");
    assert_has(m.head, "connection: close");
    assert_true(has_ended(fd));
    close(fd);
}

static void draining(void **state)
{
    int idle = dial(web.port), busy = dial(web.port), half = dial(web.port);

    (void)state;
    puts_to(busy, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    web_wait_held(&web, 1);
    put(half, get_a, 10);
    puts_to(idle, get_a);
    assert_echo(idle, "GET /a");
    web_wait_connections(&web, 3);
    puts_to(half, "");
    web_on_loop(&web, drain);
    assert_true(has_ended(idle));
    assert_int_equal(dial(web.port), -1);
    web_release(&web);
    assert_echo(busy, "GET /hold");
    assert_has(m.head, "connection: close");
    assert_true(has_ended(busy));
    /* What the loop has seen of half before draining decides whether it counts as idle. */
    put(half, get_a + 10, sizeof(get_a) - 11);
    if (get_message(half, &m))
        assert_has(m.head, "connection: close");
    close(idle);
    close(busy);
    close(half);
    web_wait_connections(&web, 0);
}

static void stop_server(struct web *w)
{
    gw_http_server_stop(w->server);
    w->server = NULL;
}

static void a_handler_that_outlives_the_loop(void **state)
{
    int fd = dial(web.port);

    (void)state;
    puts_to(fd, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    web_wait_held(&web, 1);
    close(fd); /* web_stop ends the loop first, then the handler */
}

static void stopping_with_everything_open(void **state)
{
    int idle = dial(web.port), busy = dial(web.port), half = dial(web.port), big = dial(web.port);
    char some[16];

    (void)state;
    puts_to(busy, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    put(half, get_a, 10);
    puts_to(big, "GET /big/30000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(get(big, some, sizeof(some)) > 0);
    web_wait_held(&web, 1);
    web_wait_connections(&web, 4);
    web_on_loop(&web, stop_server);
    assert_true(has_ended(idle) && has_ended(busy) && has_ended(half) && has_ended(big));
    assert_int_equal(dial(web.port), -1);
    web_release(&web); /* after the server's end */
    close(idle);
    close(busy);
    close(half);
    close(big);
}

static void the_port(void **state)
{
    struct gw_http_server_options options = web.options;
    struct gw_env *env = loop_make(NULL);
    struct gw_http_server *server = NULL;
    struct gw_error error;

    (void)state;
    options.port = web.port;
    options.first = true; /* somebody has it */
    assert_int_equal(gw_http_server_start(env, &options, &server, &error), GW_ERR_LOCKED);
    assert_has(error.text, "address already in use");
    options.first = false; /* shared */
    assert_int_equal(gw_http_server_start(env, &options, &server, &error), GW_OK);
    assert_int_equal(gw_http_server_port(server), web.port);
    gw_http_server_stop(server);
    options.host = "localhost";
    assert_int_equal(gw_http_server_start(env, &options, &server, &error), GW_ERR_INVALID);
    options.host = "192.0.2.1";
    assert_int_equal(gw_http_server_start(env, &options, &server, &error), GW_ERR_INVALID);
    options.port = 0;
    options.first = true;
    options.host = "::1";
    if (gw_http_server_start(env, &options, &server, &error) == GW_OK) /* not left to us: destroy */
        assert_true(gw_http_server_port(server) > 0);
    gw_loop_destroy(env);
}

static void looking_for_a_header(void **state)
{
    const struct gw_header headers[] = {
        {GW_SLICE("Content-Type"), GW_SLICE("a")},
        {GW_SLICE("content-type"), GW_SLICE("b")},
        {GW_SLICE("X"), GW_SLICE("")},
    };
    struct gw_exchange exchange = {.headers = headers, .header_count = 3};

    (void)state;
    assert_slice(gw_exchange_header(&exchange, "content-TYPE"), "a");
    assert_non_null(gw_exchange_header(&exchange, "x").ptr);
    assert_null(gw_exchange_header(&exchange, "y").ptr);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_follow_each_other),
        TEST(targets),
        TEST(headers_come_as_they_were_sent),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(what_is_ahead_is_bounded_and_not_lost),
        TEST(byte_by_byte),
        TEST(in_two_pieces_cut_anywhere),
        TEST(a_body_of_a_mebibyte),
        TEST(answers_without_content),
        TEST(an_answer_larger_than_the_sockets_buffers),
        TEST(a_peer_that_leaves_in_the_middle_of_an_answer),
        TEST(http_1_0_is_answered_and_closed),
        TEST(an_upgrade_is_declined),
        TEST(expect_continue),
        TEST(a_half_closed_peer_gets_its_answers),
        TEST(an_answer_to_nobody_is_dropped),
        TEST(an_abort_resets_the_connection),
        TEST(peers_that_leave_early),
        TEST(draining),
        TEST(draining_loses_no_request_that_has_come),
        TEST(a_handler_that_outlives_the_loop),
        TEST(stopping_with_everything_open),
        TEST(the_port),
        cmocka_unit_test(looking_for_a_header),
    };

    gw_sys_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
