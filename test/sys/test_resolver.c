/* test_resolver.c: names, against a name server of our own: answers, refusals, silence; what is
 * remembered, what is asked once only, and what a dead server cannot hold up. */
#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* ── A name server ─────────────────────────────────────────────────────────────────────────── */

enum { NO_SUCH_NAME = 3, SERVER_FAILS = 2, SILENT = -1 };

static const struct record {
    const char *name;
    int code;
    const char *addrs[4]; /* of both kinds */
    unsigned more;        /* of IPv4: 127.1.0.1 and on */
    uint32_t ttl;
    const char *alias; /* of another name */
} records[] = {
    {.name = "four.test", .addrs = {"127.0.0.5", "127.0.0.6"}, .ttl = 60},
    {.name = "six.test", .addrs = {"::1"}, .ttl = 60},
    {.name = "both.test", .addrs = {"127.0.0.7", "::1"}, .ttl = 60},
    {.name = "alias.test", .alias = "four.test", .ttl = 60},
    {.name = "brief.test", .addrs = {"127.0.0.8"}, .ttl = 0},
    {.name = "empty.test"},
    {.name = "many.test", .more = 25, .ttl = 60},
    {.name = "silent.test", .code = SILENT},
    {.name = "failing.test", .code = SERVER_FAILS},
};

static struct {
    int fd;
    uint16_t port;
    struct gw_thread *thread;
    atomic_int asked[gw_count(records) + 1]; /* for an A record; the last: other names */
} dns;

static size_t find_record(const char *name)
{
    size_t i = 0;

    while (i < gw_count(records) && strcmp(records[i].name, name) != 0)
        i++;
    return i;
}

static void put_16(struct gw_buf *buf, unsigned value)
{
    gw_buf_addc(buf, (char)(value >> 8));
    gw_buf_addc(buf, (char)value);
}

/* Name, type, class, TTL, and the data's length. */
static void put_record(struct gw_buf *buf, unsigned name_at, unsigned type, uint32_t ttl,
                       const void *data, size_t len)
{
    put_16(buf, 0xc000 | name_at);
    put_16(buf, type);
    put_16(buf, 1);
    put_16(buf, ttl >> 16);
    put_16(buf, ttl & 0xffff);
    put_16(buf, (unsigned)len);
    gw_buf_add(buf, data, len);
}

static void put_name(struct gw_buf *buf, const char *name)
{
    struct gw_slice rest = gw_slice_from(name), label;

    while (gw_slice_split(&rest, '.', &label)) {
        gw_buf_addc(buf, (char)label.len);
        gw_buf_adds(buf, label);
    }
    gw_buf_addc(buf, 0);
}

/* Fills in the records that fit the type asked for; returns how many. */
static unsigned put_answers(struct gw_buf *out, const struct record *r, unsigned type)
{
    unsigned name_at = 12, count = 0;
    const struct record *of = r;

    if (r->alias) {
        struct gw_buf target = {0};
        put_name(&target, r->alias);
        name_at = (unsigned)out->len + 12; /* where the target will stand */
        put_record(out, 12, 5, r->ttl, target.ptr, target.len);
        gw_buf_deinit(&target);
        of = &records[find_record(r->alias)];
        count++;
    }
    for (size_t i = 0; i < gw_count(of->addrs) && of->addrs[i]; i++) {
        uint8_t bytes[16];
        bool is_v6 = strchr(of->addrs[i], ':') != NULL;
        if (type != (is_v6 ? 28u : 1u))
            continue;
        gw_check(inet_pton(is_v6 ? AF_INET6 : AF_INET, of->addrs[i], bytes) == 1);
        put_record(out, name_at, type, of->ttl, bytes, is_v6 ? 16 : 4);
        count++;
    }
    for (unsigned i = 1; type == 1 && i <= of->more; i++, count++)
        put_record(out, name_at, type, of->ttl, (uint8_t[]){127, 1, 0, (uint8_t)i}, 4);
    return count;
}

static void answer(const uint8_t *query, size_t len, const struct sockaddr *to, socklen_t to_len)
{
    char name[256] = "";
    size_t at = 12, name_len = 0;
    struct gw_buf out = {0};

    while (at < len && query[at] != 0) {
        name_len += (size_t)snprintf(name + name_len, sizeof(name) - name_len, "%s%.*s",
                                     name_len ? "." : "", query[at], (const char *)query + at + 1);
        at += query[at] + 1u;
    }
    size_t end = at + 5;
    unsigned type = (unsigned)(query[at + 1] << 8 | query[at + 2]);
    size_t i = find_record(name);
    int code = i < gw_count(records) ? records[i].code : NO_SUCH_NAME;

    if (type == 1)
        atomic_fetch_add(&dns.asked[i], 1);
    if (code == SILENT)
        return;
    gw_buf_add(&out, query, 2);
    put_16(&out, 0x8580 | (unsigned)code); /* an answer, with authority, recursion available */
    put_16(&out, 1);
    put_16(&out, 0);
    put_16(&out, 0);
    put_16(&out, 0);
    gw_buf_add(&out, query + 12, end - 12);
    if (code == 0)
        out.ptr[7] = (char)put_answers(&out, &records[i], type);
    sendto(dns.fd, out.ptr, out.len, 0, to, to_len);
    gw_buf_deinit(&out);
}

static void serve(void *ctx)
{
    uint8_t query[512];
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    ssize_t len;

    (void)ctx;
    while ((len = recvfrom(dns.fd, query, sizeof(query), 0, (struct sockaddr *)&from, &from_len)) >
           1) /* a single byte ends it */
        answer(query, (size_t)len, (struct sockaddr *)&from, from_len);
}

static int bind_udp(uint16_t *port)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t len = sizeof(name);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    gw_check(bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0);
    gw_check(getsockname(fd, (struct sockaddr *)&name, &len) == 0);
    *port = ntohs(name.sin_port);
    return fd;
}

static int start_server(void **state)
{
    (void)state;
    dns.fd = bind_udp(&dns.port);
    dns.thread = gw_thread_start("dns", serve, NULL);
    return 0;
}

static int stop_server(void **state)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(dns.port)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    (void)state;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sendto(fd, "", 1, 0, (struct sockaddr *)&name, sizeof(name));
    gw_thread_join(dns.thread);
    close(fd);
    close(dns.fd);
    return 0;
}

/* ── Requests ──────────────────────────────────────────────────────────────────────────────── */

struct lookup {
    struct gw_resolve req;
    bool is_done, is_starting;
};

static struct gw_env *env;

static void on_done(struct gw_resolve *req)
{
    struct lookup *lookup = gw_container_of(req, struct lookup, req);

    gw_check(!lookup->is_done && !lookup->is_starting);
    lookup->is_done = true;
}

static void start(struct lookup *lookup, const char *host)
{
    *lookup = (struct lookup){.req = {.host = host, .timeout_ms = 30000, .done = on_done}};
    lookup->is_starting = true;
    gw_env_resolve(env, &lookup->req);
    lookup->is_starting = false;
}

static void run(struct lookup *lookup, const char *host)
{
    start(lookup, host);
    run_until(env, &lookup->is_done);
    assert_true(lookup->req.elapsed_us >= 0);
    assert_true(lookup->req.ok == (lookup->req.addr_count > 0));
    assert_true(lookup->req.ok == (lookup->req.error[0] == '\0'));
}

static void assert_found(const char *host, size_t count, const char *one)
{
    struct lookup lookup;
    struct gw_addr wanted;
    bool has = false;

    run(&lookup, host);
    if (!lookup.req.ok)
        fail_msg("%s: %s", host, lookup.req.error);
    assert_int_equal(lookup.req.addr_count, count);
    assert_true(gw_addr_parse(gw_slice_from(one), &wanted));
    for (size_t i = 0; i < count; i++)
        has = has || gw_addr_eq(&lookup.req.addrs[i], &wanted);
    assert_true(has);
}

static void assert_not_found(const char *host, const char *error)
{
    struct lookup lookup;

    run(&lookup, host);
    assert_false(lookup.req.ok);
    if (strstr(lookup.req.error, error) == NULL)
        fail_msg("%s: \"%s\", not \"%s\"", host, lookup.req.error, error);
}

static int asked(const char *name)
{
    return atomic_load(&dns.asked[find_record(name)]);
}

static void use_server(uint16_t port)
{
    char servers[32];
    struct gw_loop_options options = {.name_servers = servers};

    snprintf(servers, sizeof(servers), "127.0.0.1:%u", (unsigned)port);
    env = loop_make(&options);
}

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < gw_count(dns.asked); i++)
        atomic_store(&dns.asked[i], 0);
    use_server(dns.port);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_loop_destroy(env);
    return 0;
}

/* ── Tests ─────────────────────────────────────────────────────────────────────────────────── */

static void answers(void **state)
{
    (void)state;
    assert_found("four.test", 2, "127.0.0.5");
    assert_found("four.test", 2, "127.0.0.6");
    assert_found("FOUR.test", 2, "127.0.0.6");
    assert_found("six.test", 1, "::1");
    assert_found("both.test", 2, "::1");
    assert_found("both.test", 2, "127.0.0.7");
    assert_found("alias.test", 2, "127.0.0.5");
    assert_found("many.test", 25, "127.1.0.1");
    assert_found("many.test", 25, "127.1.0.25");
    assert_found("127.0.0.1", 1, "127.0.0.1"); /* not a name, but no reason to fail */
    assert_found("::1", 1, "::1");
}

static void the_hosts_file(void **state)
{
    struct lookup lookup;

    (void)state;
    run(&lookup, "localhost");
    assert_true(lookup.req.ok);
    assert_int_equal(asked("localhost"), 0);
}

static void refusals(void **state)
{
    char long_name[300];

    (void)state;
    assert_not_found("nowhere.test", "the name does not exist");
    assert_not_found("empty.test", "the name has no address");
    assert_not_found("failing.test", "no name server has an answer");
    assert_not_found("a..test", "");
    assert_not_found("", "the name is malformed");
    memset(long_name, 'a', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    assert_not_found(long_name, "the name is malformed");
}

static void answers_are_remembered(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_found("four.test", 2, "127.0.0.5");
        assert_not_found("empty.test", "the name has no address");
    }
    assert_int_equal(asked("four.test"), 1);
    assert_true(asked("empty.test") >= 1);
    int before = asked("empty.test");
    assert_not_found("empty.test", "");
    assert_int_equal(asked("empty.test"), before);
}

static void and_forgotten(void **state)
{
    (void)state;
    do
        assert_found("brief.test", 1, "127.0.0.8");
    while (asked("brief.test") < 2);
}

static void a_name_is_asked_for_once_at_a_time(void **state)
{
    struct lookup lookups[50];

    (void)state;
    for (size_t i = 0; i < gw_count(lookups); i++)
        start(&lookups[i], i % 2 ? "four.test" : "both.test");
    for (size_t i = 0; i < gw_count(lookups); i++) {
        run_until(env, &lookups[i].is_done);
        assert_int_equal(lookups[i].req.addr_count, 2);
    }
    assert_int_equal(asked("four.test"), 1);
    assert_int_equal(asked("both.test"), 1);
}

static void silence_ends_when_the_request_says(void **state)
{
    struct lookup patient, hasty;

    (void)state;
    start(&patient, "silent.test");
    start(&hasty, "silent.test");
    gw_env_resolve_cancel(env, &hasty.req);
    hasty.req.timeout_ms = 50;
    gw_env_resolve(env, &hasty.req);
    assert_found("four.test", 2, "127.0.0.5"); /* the others go on */
    run_until(env, &hasty.is_done);
    assert_false(hasty.req.ok);
    assert_string_equal(hasty.req.error, "the name servers did not answer within 50 ms");
    assert_false(patient.is_done);
    gw_env_resolve_cancel(env, &patient.req);
}

static void no_server_at_all(void **state)
{
    uint16_t port;

    (void)state;
    gw_loop_destroy(env);
    close(bind_udp(&port));
    use_server(port);
    assert_not_found("four.test", "");
}

static void cancelling(void **state)
{
    struct lookup running, known, literal;
    bool yes = true;

    (void)state;
    start(&running, "four.test");
    gw_env_resolve_cancel(env, &running.req);
    assert_found("four.test", 2, "127.0.0.5");
    start(&known, "four.test");
    gw_env_resolve_cancel(env, &known.req);
    start(&literal, "127.0.0.1");
    gw_env_resolve_cancel(env, &literal.req);
    run_until(env, &yes);
    assert_false(running.is_done || known.is_done || literal.is_done);
}

static void the_loop_ends_with_lookups_open(void **state)
{
    static struct lookup silent, known, fresh;

    (void)state;
    assert_found("four.test", 2, "127.0.0.5");
    start(&silent, "silent.test");
    start(&known, "four.test");
    start(&fresh, "six.test");
}

static void more_names_than_are_kept(void **state)
{
    char name[32];

    (void)state;
    for (int i = 0; i < 4200; i++) {
        snprintf(name, sizeof(name), "127.0.0.%d.test", i);
        assert_not_found(name, "the name does not exist");
    }
    assert_found("four.test", 2, "127.0.0.5");
}

static void a_list_of_servers_that_is_none(void **state)
{
    struct gw_loop_options options = {.name_servers = "not an address"};
    struct gw_env *other;
    struct gw_error error;

    (void)state;
    assert_int_equal(gw_loop_create(&options, &other, &error), GW_ERR_INVALID);
    assert_has(error.text, "not an address");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers),
        TEST(the_hosts_file),
        TEST(refusals),
        TEST(answers_are_remembered),
        TEST(and_forgotten),
        TEST(a_name_is_asked_for_once_at_a_time),
        TEST(silence_ends_when_the_request_says),
        TEST(no_server_at_all),
        TEST(cancelling),
        TEST(the_loop_ends_with_lookups_open),
        TEST(more_names_than_are_kept),
        cmocka_unit_test(a_list_of_servers_that_is_none),
    };

    gw_sys_init();
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
