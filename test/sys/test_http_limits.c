/* test_http_limits.c: what the server refuses, and what hostile or clumsy peers run into: each row
 * is refused with its status, seen by the handler, answered, and its connection ended. */
#include "web.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct web web;
static struct message m;

static int setup(void **state)
{
    web = (struct web){0};
    if (*state)
        web.options = *(const struct gw_http_server_options *)*state;
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

static void assert_refused(const char *request, size_t len, int status)
{
    int fd = dial(web.port);

    put(fd, request, len);
    if (!get_message(fd, &m) || m.status != status)
        fail_msg("%d (%s), not %d, for:\n%.300s", m.status, m.body, status, request);
    assert_has(m.head, "connection: close");
    assert_true(m.body_len > 0);
    assert_true(has_ended(fd));
    close(fd);
}

static void refusals(void **state)
{
    static const struct {
        int status;
        const char *request;
    } rows[] = {
        /* the Host field */
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n"},
        {400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"},
        /* the first line */
        {400, "GET\r\n\r\n"},
        {400, "get / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/0.9\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTX/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /\r\n\r\n"},
        {400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /#f HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET a/b HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
        {501, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"}, /* TLS */
        {400, "SSH-2.0-x\r\n"},
        /* the fields */
        {400, "GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nA\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nA: b\x01\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\rA: b\r\n\r\n"},
        {400, "GET / HTTP/1.1\nHost: a\n\n"},
        /* the body's length: every way to smuggle */
        {400,
         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400,
         "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nabc"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
              "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"},
        {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
              "ffffffffffffffffff\r\n"},
        /* too much */
        {413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n"},
        {413,
         "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2000000\r\n\r\n"},
        {417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 3\r\n\r\n"},
        {417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, x\r\nContent-Length: 3\r\n\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++)
        assert_refused(rows[i].request, strlen(rows[i].request), rows[i].status);
    static const char with_nul[] = "GET / HTTP/1.1\r\nHost: a\r\nA: b\0c\r\n\r\n";
    assert_refused(with_nul, sizeof(with_nul) - 1, 400);
    assert_int_equal(atomic_load(&web.handled), gw_count(rows) + 1);
}

/* ── Ceilings ──────────────────────────────────────────────────────────────────────────────── */

static void add_many(struct gw_buf *buf, char c, size_t count)
{
    while (count-- > 0)
        gw_buf_addc(buf, c);
}

static void large_heads(void **state)
{
    struct gw_buf buf = {0};

    (void)state;
    gw_buf_adds(&buf, GW_SLICE("GET /"));
    add_many(&buf, 'a', 9000);
    assert_refused(gw_buf_text(&buf), buf.len, 431); /* a target without end */

    gw_buf_clear(&buf);
    gw_buf_adds(&buf, GW_SLICE("GET / HTTP/1.1\r\nHost: a\r\nA: "));
    add_many(&buf, 'a', 9000);
    assert_refused(gw_buf_text(&buf), buf.len, 431); /* a value */

    gw_buf_clear(&buf);
    gw_buf_adds(&buf, GW_SLICE("GET / HTTP/1.1\r\nHost: a\r\nA: "));
    add_many(&buf, ' ', 9000);
    assert_refused(gw_buf_text(&buf), buf.len, 431); /* white space before a value */

    gw_buf_clear(&buf);
    gw_buf_adds(&buf, GW_SLICE("GET / HTTP/1.1\r\nHost: a\r\n"));
    add_many(&buf, 'n', 9000);
    assert_refused(gw_buf_text(&buf), buf.len, 431); /* a name */

    gw_buf_clear(&buf);
    gw_buf_adds(&buf, GW_SLICE("GET / HTTP/1.1\r\nHost: a\r\n"));
    for (int i = 0; i < 100; i++)
        gw_buf_adds(&buf, GW_SLICE("a: b\r\n"));
    assert_refused(gw_buf_text(&buf), buf.len, 431); /* many small ones */
    gw_buf_deinit(&buf);
}

static void as_much_as_is_allowed(void **state)
{
    struct gw_buf buf = {0};
    int fd = dial(web.port);

    (void)state;
    gw_buf_adds(&buf, GW_SLICE("GET /headers HTTP/1.1\r\nHost: a\r\n"));
    for (int i = 0; i < 98; i++)
        gw_buf_adds(&buf, GW_SLICE("a: b\r\n"));
    gw_buf_adds(&buf, GW_SLICE("long: "));
    add_many(&buf, 'v', 7000);
    gw_buf_adds(&buf, GW_SLICE("\r\n\r\n"));
    put(fd, buf.ptr, buf.len);
    assert_true(get_message(fd, &m));
    assert_int_equal(m.status, 200);
    gw_buf_clear(&buf);
    gw_buf_adds(&buf, GW_SLICE("POST /max HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n"));
    add_many(&buf, 'x', 1048576);
    put(fd, buf.ptr, buf.len);
    assert_true(get_message(fd, &m));
    assert_has(m.body, "POST /max - 1048576");
    gw_buf_deinit(&buf);
    close(fd);
}

static void a_chunked_body_that_grows_too_large(void **state)
{
    struct gw_buf buf = {0};

    (void)state;
    gw_buf_adds(&buf, GW_SLICE("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < 17; i++) {
        gw_buf_adds(&buf, GW_SLICE("10000\r\n"));
        add_many(&buf, 'x', 65536);
        gw_buf_adds(&buf, GW_SLICE("\r\n"));
    }
    assert_refused(gw_buf_text(&buf), buf.len, 413);

    static const char *const floods[] = {"1;", "1;a=", "0000000000", "0\r\nA: "};
    for (size_t i = 0; i < gw_count(floods); i++) {
        gw_buf_clear(&buf);
        gw_buf_adds(&buf,
                    GW_SLICE("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
        gw_buf_adds(&buf, gw_slice_from(floods[i]));
        add_many(&buf, floods[i][0] == '0' && floods[i][1] == '0' ? '0' : 'e', 300000);
        int fd = dial(web.port);
        put(fd, buf.ptr, buf.len);
        assert_true(get_message(fd, &m));
        assert_int_equal(m.status, 400);
        close(fd);
    }

    /* Chunks of one byte are clumsy, not hostile. */
    gw_buf_clear(&buf);
    gw_buf_adds(&buf,
                GW_SLICE("POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < 50000; i++)
        gw_buf_adds(&buf, GW_SLICE("1\r\nx\r\n"));
    gw_buf_adds(&buf, GW_SLICE("0\r\n\r\n"));
    int fd = dial(web.port);
    put(fd, buf.ptr, buf.len);
    assert_true(get_message(fd, &m));
    assert_has(m.body, "POST /c - 50000");
    close(fd);
    gw_buf_deinit(&buf);
}

static const struct gw_http_server_options little_room = {.bodies_bytes_max = 300000};

/* What others hold, unread or unanswered, leaves no room for another large body. */
static void all_bodies_together(void **state)
{
    static const char large[] = "POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n";
    static const char small[] = "POST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n";
    static const char hold[] = "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n";
    char *body = gw_zalloc(200000);
    struct gw_buf refused = {0};
    int first = dial(web.port), other = dial(web.port);

    (void)state;
    gw_buf_add(&refused, large, sizeof(large) - 1);
    gw_buf_add(&refused, body, 200000);
    puts_to(first, hold);
    put(first, body, 200000);
    web_wait_held(&web, 1);
    assert_refused(gw_buf_text(&refused), refused.len, 503);
    for (int i = 0; i < 3; i++) {
        puts_to(other, small);
        put(other, body, 65536);
        assert_true(get_message(other, &m));
        assert_has(m.body, "POST /two - 65536");
    }
    web_release(&web);
    assert_true(get_message(first, &m));
    for (int i = 0; i < 3; i++) { /* there is room again, each time */
        puts_to(other, large);
        put(other, body, 200000);
        assert_true(get_message(other, &m));
        assert_has(m.body, "POST /one - 200000");
    }
    close(first);
    first = dial(web.port);
    puts_to(first, large);
    put(first, body, 199999);
    close(first); /* in the midst of it */
    web_wait_connections(&web, 1);
    puts_to(other, large);
    put(other, body, 200000);
    assert_true(get_message(other, &m));
    assert_has(m.body, "POST /one - 200000");
    close(other);
    gw_buf_deinit(&refused);
    gw_free(body);
}

static size_t by_path(void *ctx, const struct gw_exchange *exchange)
{
    (void)ctx;
    assert_int_equal(exchange->method, GW_POST);
    assert_true(gw_slice_is(gw_exchange_header(exchange, "host"), "a"));
    return gw_slice_is(exchange->path, "/ten") ? 10 : 0;
}

static const struct gw_http_server_options own_ceilings = {.body_bytes_max_of = by_path};

static void each_request_has_its_own_ceiling(void **state)
{
    int fd = dial(web.port);
    static const char *const refused[] = {
        "POST /ten?q HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n",
        "POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
        ("POST /ten HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
         "a\r\n0123456789\r\n1\r\n0"),
    };

    (void)state;
    puts_to(fd, "POST /ten?q HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789"
                "POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
                "POST /ten HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                "a\r\n0123456789\r\n0\r\n\r\n");
    assert_true(get_message(fd, &m));
    assert_has(m.body, "POST /ten ?q 10");
    assert_true(get_message(fd, &m));
    assert_has(m.body, "POST /other - 0");
    assert_true(get_message(fd, &m));
    assert_has(m.body, "POST /ten - 10");
    close(fd);
    for (size_t i = 0; i < gw_count(refused); i++)
        assert_refused(refused[i], strlen(refused[i]), 413);
}

/* The peer sends all of it before it looks at the answer, which must have survived. */
static void an_answer_reaches_a_peer_that_is_still_sending(void **state)
{
    enum { LEN = 8 << 20 };
    char *body = gw_zalloc(LEN);
    int fd = dial(web.port);

    (void)state;
    puts_to(fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n");
    put(fd, body, LEN);
    assert_true(get_message(fd, &m));
    assert_int_equal(m.status, 413);
    assert_true(has_ended(fd));
    close(fd);
    gw_free(body);
    web_wait_connections(&web, 0);
}

/* Whatever comes, each connection ends, and the server is there for the next. */
static void noise(void **state)
{
    static const char text[] =
        "POST /one?q HTTP/1.1\r\nHost: example.com\r\nContent-Length: 10\r\n\r\n0123456789"
        "PUT /two HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
        "5;e=v\r\nhello\r\n06\r\n world\r\n0\r\nTrailer: x\r\n\r\n"
        "GET /later HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    uint64_t seed = 20261124;
    struct gw_buf buf = {0};

    (void)state;
    for (int i = 0; i < 3000; i++) {
        int fd = dial(web.port);
        mutate(&buf, text, sizeof(text) - 1, &seed);
        size_t cut = draw(&seed) % buf.len;
        put(fd, buf.ptr, cut);
        put(fd, buf.ptr + cut, buf.len - cut);
        shutdown(fd, SHUT_WR);
        assert_true(has_ended(fd));
        close(fd);
    }
    gw_buf_deinit(&buf);
    web_wait_connections(&web, 0);
}

/* ── Time ──────────────────────────────────────────────────────────────────────────────────── */

static const struct gw_http_server_options impatient = {
    .request_timeout_ms = 50,
    .idle_timeout_ms = 600000,
};

static void a_request_that_does_not_come(void **state)
{
    static const char *const starts[] = {
        "G",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    };
    int idle = dial(web.port), busy = dial(web.port);

    (void)state;
    puts_to(idle, "\r\n"); /* no request has begun */
    puts_to(busy, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    web_wait_held(&web, 1);
    for (size_t i = 0; i < gw_count(starts); i++)
        assert_refused(starts[i], strlen(starts[i]), 408);
    web_release(&web); /* the handler may take its time */
    assert_true(get_message(busy, &m));
    assert_int_equal(m.status, 200);
    puts_to(idle, "GET /i HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(get_message(idle, &m));
    assert_int_equal(m.status, 200);
    close(idle);
    close(busy);
}

static const struct gw_http_server_options brief = {
    .idle_timeout_ms = 50,
    .request_timeout_ms = 600000,
};

static void idle_connections_are_closed(void **state)
{
    int fresh = dial(web.port), used = dial(web.port);

    (void)state;
    puts_to(used, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(get_message(used, &m));
    assert_true(has_ended(fresh));
    assert_true(has_ended(used));
    close(fresh);
    close(used);
    assert_int_equal(atomic_load(&web.handled), 1); /* silently */
}

/* ── Connections ───────────────────────────────────────────────────────────────────────────── */

static const struct gw_http_server_options few = {.connections_max = 2};

static void the_longest_idle_makes_room(void **state)
{
    int a = dial(web.port), b, c;

    (void)state;
    puts_to(a, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(get_message(a, &m));
    b = dial(web.port);
    puts_to(b, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    web_wait_held(&web, 1);
    c = dial(web.port);
    puts_to(c, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    web_wait_held(&web, 2);
    assert_true(has_ended(a));
    int d = dial(web.port); /* none is idle now */
    assert_true(has_ended(d));
    web_release(&web);
    assert_true(get_message(b, &m) && get_message(c, &m));
    assert_int_equal(web_connections(&web), 2);
    close(a);
    close(b);
    close(c);
    close(d);
}

#define WITH(name, options)                                                                        \
    {                                                                                              \
#name, name, setup, teardown, (void *)(uintptr_t)(options)                                 \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(refusals, NULL),
        WITH(large_heads, NULL),
        WITH(as_much_as_is_allowed, NULL),
        WITH(a_chunked_body_that_grows_too_large, NULL),
        WITH(each_request_has_its_own_ceiling, &own_ceilings),
        WITH(all_bodies_together, &little_room),
        WITH(an_answer_reaches_a_peer_that_is_still_sending, NULL),
        WITH(noise, NULL),
        WITH(a_request_that_does_not_come, &impatient),
        WITH(idle_connections_are_closed, &brief),
        WITH(the_longest_idle_makes_room, &few),
    };

    gw_sys_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
