/* test_url.c: the grammar of a webhook URL, the guard over scheme and port, what may be shown. */
#include "core/url.h"

#include "support.h"

/* ── What is accepted ──────────────────────────────────────────────────────────────────────── */

static const struct {
    const char *text;
    bool https;
    const char *host;
    uint16_t port;
    const char *path, *query;
    const char *addr; /* NULL = a name */
} accepted[] = {
    {"https://example.com", true, "example.com", 443, "/", NULL, NULL},
    {"https://example.com/", true, "example.com", 443, "/", NULL, NULL},
    {"http://example.com", false, "example.com", 80, "/", NULL, NULL},
    {"HTTPS://EXAMPLE.Com/A", true, "example.com", 443, "/A", NULL, NULL},
    {"hTTp://a", false, "a", 80, "/", NULL, NULL},
    {"https://example.com?q", true, "example.com", 443, "/", "q", NULL},
    {"https://example.com?", true, "example.com", 443, "/", "", NULL},
    {"https://example.com/?a=b?c/d@:", true, "example.com", 443, "/", "a=b?c/d@:", NULL},
    {"https://example.com:443/x", true, "example.com", 443, "/x", NULL, NULL},
    {"https://example.com:1", true, "example.com", 1, "/", NULL, NULL},
    {"https://example.com:65535?x", true, "example.com", 65535, "/", "x", NULL},
    {"http://example.com:8080/x", false, "example.com", 8080, "/x", NULL, NULL},
    {"https://a_b.x-y.example/", true, "a_b.x-y.example", 443, "/", NULL, NULL},
    {"https://xn--bcher-kva.example/", true, "xn--bcher-kva.example", 443, "/", NULL, NULL},
    {"https://localhost/", true, "localhost", 443, "/", NULL, NULL},
    {"https://1.2.3.4.example/", true, "1.2.3.4.example", 443, "/", NULL, NULL},
    {"https://0xg/", true, "0xg", 443, "/", NULL, NULL},
    {"https://x0x1/", true, "x0x1", 443, "/", NULL, NULL},
    {"https://1a/", true, "1a", 443, "/", NULL, NULL},
    {"https://h/-._~!$&'()*+,;=:@%41/..//.", true, "h", 443, "/-._~!$&'()*+,;=:@%41/..//.", NULL,
     NULL},
    {"https://h/a@b", true, "h", 443, "/a@b", NULL, NULL},
    {"https://h?u@v", true, "h", 443, "/", "u@v", NULL},
    {"https://1.2.3.4/", true, "1.2.3.4", 443, "/", NULL, "1.2.3.4"},
    {"https://0.0.0.0:9/", true, "0.0.0.0", 9, "/", NULL, "0.0.0.0"},
    {"https://[::1]/x", true, "::1", 443, "/x", NULL, "::1"},
    {"https://[2001:DB8::A]:8443?q", true, "2001:db8::a", 8443, "/", "q", "2001:db8::a"},
    {"https://[::FFFF:1.2.3.4]", true, "::ffff:1.2.3.4", 443, "/", NULL, "::ffff:1.2.3.4"},
};

static void accepts(void **state)
{
    (void)state;
    for (size_t i = 0; i < gw_count(accepted); i++) {
        struct gw_slice text = exact_copy(gw_slice_from(accepted[i].text));
        struct gw_arena arena = {0};
        struct gw_error error;
        struct gw_url url;
        char addr[GW_ADDR_TEXT_MAX];

        if (gw_url_parse(&url, text, &arena, &error) != GW_OK)
            fail_msg("%s: %s", accepted[i].text, error.text);
        assert_ptr_equal(url.text.ptr, text.ptr);
        assert_int_equal(url.text.len, text.len);
        assert_int_equal(url.https, accepted[i].https);
        assert_text(url.host, accepted[i].host);
        assert_int_equal(url.port, accepted[i].port);
        assert_text(url.path, accepted[i].path);
        assert_text(url.query, accepted[i].query);
        assert_int_equal(url.host_is_addr, accepted[i].addr != NULL);
        if (url.host_is_addr)
            assert_text(gw_addr_text(&url.addr, addr), accepted[i].addr);
        gw_arena_deinit(&arena);
        exact_free(text);
    }
}

/* ── What is refused ───────────────────────────────────────────────────────────────────────── */

#define BEGINS "must be an https URL such as https://example.com/hook, was "
#define NUMBER "the host looks like an address but is no plain one such as 192.0.2.1, was "
#define PORT   "the port must be a number from 1 to 65535 without leading zeroes, was "
#define USER   "must not hold a user name or password before the host"
#define PARTS  "each part of the host has 1 to 63 bytes, one has "

static const struct {
    struct gw_slice text;
    const char *error;
} refused[] = {
    {GW_SLICE(""), "must not be empty"},
    {GW_SLICE("example.com"), BEGINS "\"example.com\""},
    {GW_SLICE("/hook"), BEGINS "\"/hook\""},
    {GW_SLICE("//example.com/"), BEGINS "\"//example.com/\""},
    {GW_SLICE("https:example.com"), BEGINS "\"https:example.com\""},
    {GW_SLICE("https:/example.com"), BEGINS "\"https:/example.com\""},
    {GW_SLICE("ftp://example.com/?token=1"), BEGINS "\"ftp://example.com/\""},
    {GW_SLICE("ftp://me:pass@example.com"), BEGINS "\"…\""},
    {GW_SLICE("file:///etc/passwd"), BEGINS "\"file:///etc/passwd\""},
    {GW_SLICE("javascript:alert(1)"), BEGINS "\"javascript:alert(1)\""},
    {GW_SLICE("https"), BEGINS "\"https\""},
    {GW_SLICE("https://"), "must name a host"},
    {GW_SLICE("https:///x"), "must name a host"},
    {GW_SLICE("https://?x"), "must name a host"},
    {GW_SLICE("https://:443/"), "must name a host"},
    /* bytes */
    {GW_SLICE(" https://a/"), "must not hold white space (write it as %20); byte 1 does"},
    {GW_SLICE("https://a/ "), "must not hold white space (write it as %20); byte 11 does"},
    {GW_SLICE("https://a/\t"), "must not hold white space (write it as %20); byte 11 does"},
    {GW_SLICE("https://a/\r\nx: y"), "must not hold white space (write it as %20); byte 11 does"},
    {GW_SLICE("https://a/\0"), "must not hold control characters; byte 11 does"},
    {GW_SLICE("https://a\x7f/"), "must not hold control characters; byte 10 does"},
    {GW_SLICE("https://a\\b/"), "must not hold backslashes; byte 10 does"},
    {GW_SLICE("https:\\\\a/"), "must not hold backslashes; byte 7 does"},
    {GW_SLICE("https://a/#top"), "must not hold a fragment ('#' and what follows); byte 11 does"},
    {GW_SLICE("https://a#@b/"), "must not hold a fragment ('#' and what follows); byte 10 does"},
    {GW_SLICE("https://b\xc3\xbc"
              "cher/"),
     "must not hold characters beyond ASCII (write the host in punycode, the rest "
     "percent-encoded); byte 10 does"},
    /* userinfo */
    {GW_SLICE("https://u@a/"), USER},
    {GW_SLICE("https://u:p@a/"), USER},
    {GW_SLICE("https://@a/"), USER},
    {GW_SLICE("https://a@127.0.0.1/"), USER},
    {GW_SLICE("https://a:443@b/"), USER},
    /* host */
    {GW_SLICE("https://a%2eb/"), "the host may hold letters, digits, '-', '_' and '.', not '%'"},
    {GW_SLICE("https://a!b/"), "the host may hold letters, digits, '-', '_' and '.', not '!'"},
    {GW_SLICE("https://a,b/"), "the host may hold letters, digits, '-', '_' and '.', not ','"},
    {GW_SLICE("https://example.com./"), "the host must not end in a dot"},
    {GW_SLICE("https://127.0.0.1./"), "the host must not end in a dot"},
    {GW_SLICE("https://./"), "the host must not end in a dot"},
    {GW_SLICE("https://.a/"), PARTS "0"},
    {GW_SLICE("https://a..b/"), PARTS "0"},
    /* numbers in disguise */
    {GW_SLICE("https://2130706433/"), NUMBER "\"2130706433\""},
    {GW_SLICE("https://127.1/"), NUMBER "\"127.1\""},
    {GW_SLICE("https://0x7f.1/"), NUMBER "\"0x7f.1\""},
    {GW_SLICE("https://0X7F000001/"), NUMBER "\"0X7F000001\""},
    {GW_SLICE("https://0x/"), NUMBER "\"0x\""},
    {GW_SLICE("https://a.0x/"), NUMBER "\"a.0x\""},
    {GW_SLICE("https://0177.0.0.1/"), NUMBER "\"0177.0.0.1\""},
    {GW_SLICE("https://127.0.0.01/"), NUMBER "\"127.0.0.01\""},
    {GW_SLICE("https://256.0.0.1/"), NUMBER "\"256.0.0.1\""},
    {GW_SLICE("https://1.2.3.4.5/"), NUMBER "\"1.2.3.4.5\""},
    {GW_SLICE("https://1.2.3.0x4/"), NUMBER "\"1.2.3.0x4\""},
    {GW_SLICE("https://example.1/"), NUMBER "\"example.1\""},
    {GW_SLICE("https://0/"), NUMBER "\"0\""},
    /* IPv6 */
    {GW_SLICE("https://[::1"), "the address in '[' is not closed by ']'"},
    {GW_SLICE("https://[/]/"), "the address in '[' is not closed by ']'"},
    {GW_SLICE("https://::1/"), "must name a host"},
    {GW_SLICE("https://[]/"),
     "between '[' and ']' must stand an IPv6 address without a zone, was \"\""},
    {GW_SLICE("https://[1.2.3.4]/"),
     "between '[' and ']' must stand an IPv6 address without a zone, was \"1.2.3.4\""},
    {GW_SLICE("https://[fe80::1%25eth0]/"),
     "between '[' and ']' must stand an IPv6 address without a zone, was \"fe80::1%25eth0\""},
    {GW_SLICE("https://[v1.x]/"),
     "between '[' and ']' must stand an IPv6 address without a zone, was \"v1.x\""},
    {GW_SLICE("https://[::1]x/"), "after ']' may stand a port, a path or nothing"},
    {GW_SLICE("https://[::1].a/"), "after ']' may stand a port, a path or nothing"},
    /* port */
    {GW_SLICE("https://a:/"), PORT "\"\""},
    {GW_SLICE("https://a:0/"), PORT "\"0\""},
    {GW_SLICE("https://a:65536/"), PORT "\"65536\""},
    {GW_SLICE("https://a:0443/"), PORT "\"0443\""},
    {GW_SLICE("https://a:+443/"), PORT "\"+443\""},
    {GW_SLICE("https://a:443:443/"), PORT "\"443:443\""},
    {GW_SLICE("https://a:99999999999999999999999/"), PORT "\"99999999999999999999999\""},
    {GW_SLICE("https://[::1]:http/"), PORT "\"http\""},
    /* path and query */
    {GW_SLICE("https://a/%"), "a '%' in the path must be followed by two hexadecimal digits"},
    {GW_SLICE("https://a/%4"), "a '%' in the path must be followed by two hexadecimal digits"},
    {GW_SLICE("https://a/%zz"), "a '%' in the path must be followed by two hexadecimal digits"},
    {GW_SLICE("https://a/?%4"), "a '%' in the query must be followed by two hexadecimal digits"},
    {GW_SLICE("https://a/<x>"), "the path may hold '<' only as %3C"},
    {GW_SLICE("https://a/\"x"), "the path may hold '\"' only as %22"},
    {GW_SLICE("https://a/?a[]=1"), "the query may hold '[' only as %5B"},
    {GW_SLICE("https://a/?{x}"), "the query may hold '{' only as %7B"},
    {GW_SLICE("https://a/x|y"), "the path may hold '|' only as %7C"},
    {GW_SLICE("https://a/x^y`"), "the path may hold '^' only as %5E"},
};

static void refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < gw_count(refused); i++) {
        struct gw_slice text = exact_copy(refused[i].text);
        struct gw_arena arena = {0};
        struct gw_error error = {0};
        struct gw_url url;

        if (gw_url_parse(&url, text, &arena, &error) != GW_ERR_INVALID)
            fail_msg("%.*s: was accepted", GW_SLICE_ARG(refused[i].text));
        assert_int_equal(error.code, GW_ERR_INVALID);
        assert_string_equal(error.text, refused[i].error);
        assert_int_equal(gw_url_parse(&url, text, &arena, NULL), GW_ERR_INVALID);
        gw_arena_deinit(&arena);
        exact_free(text);
    }
}

static enum gw_err parse_built(const char *before, char fill, size_t count, const char *after,
                               struct gw_error *error)
{
    struct gw_arena arena = {0};
    struct gw_buf text = {0};
    struct gw_url url;

    gw_buf_adds(&text, gw_slice_from(before));
    for (size_t i = 0; i < count; i++)
        gw_buf_addc(&text, fill);
    gw_buf_adds(&text, gw_slice_from(after));
    enum gw_err err = gw_url_parse(&url, gw_buf_slice(&text), &arena, error);
    gw_buf_deinit(&text);
    gw_arena_deinit(&arena);
    return err;
}

static void lengths(void **state)
{
    struct gw_error error;

    (void)state;
    assert_int_equal(parse_built("https://a/", 'x', 2048 - 10, "", &error), GW_OK);
    assert_int_equal(parse_built("https://a/", 'x', 2049 - 10, "", &error), GW_ERR_INVALID);
    assert_string_equal(error.text, "must have at most 2048 bytes, has 2049");
    assert_int_equal(parse_built("https://", 'x', 63, ".a/", &error), GW_OK);
    assert_int_equal(parse_built("https://", 'x', 64, ".a/", &error), GW_ERR_INVALID);
    assert_string_equal(error.text, PARTS "64");
    const char *labels = "https://"
                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.";
    assert_int_equal(parse_built(labels, 'a', 253 - 192, "", &error), GW_OK);
    assert_int_equal(parse_built(labels, 'a', 254 - 192, "", &error), GW_ERR_INVALID);
    assert_string_equal(error.text, "the host has 254 bytes, at most 253 are allowed");
    /* a long wrong value is cut */
    assert_int_equal(parse_built("", 'x', 2000, "", &error), GW_ERR_INVALID);
    assert_true(strlen(error.text) < 200);
}

/* ── The guard ─────────────────────────────────────────────────────────────────────────────── */

static void guard(void **state)
{
    static const struct {
        const char *ports;
        bool http;
        const char *url, *error;
    } rows[] = {
        {"", false, "https://a/", NULL},
        {"", false, "http://a/?secret",
         "f: must be an https URL (http only where the operator sets --allow-http), was "
         "\"http://a/\""},
        {"", true, "http://a/", NULL},
        {"", true, "http://a:443/", NULL},
        {"", true, "https://a:80/", NULL},
        {"", false, "https://a:80/",
         "f: port 80 is not allowed; the operator adds ports with --allow-ports, allowed: 443"},
        {"8443, 9000", true, "https://a:8080/",
         "f: port 8080 is not allowed; the operator adds ports with --allow-ports, allowed: 443, "
         "80, 8443, 9000"},
        {"8443,8080", false, "https://a:8080/", NULL},
        {"8443", false, "https://a/", NULL},
        {"*", false, "https://a:1/", NULL},
        {"*", false, "http://a:1/",
         "f: must be an https URL (http only where the operator sets --allow-http), was "
         "\"http://a:1/\""},
        {"", false, "https://8.8.8.8/", NULL},
        {"", false, "https://127.0.0.1/x?y",
         "f: must lead to a public address (or one in --allow-nets), 127.0.0.1 is a loopback "
         "address"},
        {"", false, "https://[::ffff:169.254.169.254]/",
         "f: must lead to a public address (or one in --allow-nets), ::ffff:169.254.169.254 is a "
         "cloud metadata address"},
        {"", false, "https://[fd00::1]/",
         "f: must lead to a public address (or one in --allow-nets), fd00::1 is a private "
         "address"},
        {"", false, "https://localhost/", NULL}, /* judged when it is resolved */
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_guard guard = {.allow_http = rows[i].http};
        struct gw_error error = {0};
        struct gw_arena arena = {0};
        struct gw_slice bad;
        struct gw_url url;

        assert_true(gw_guard_ports_parse(&guard, gw_slice_from(rows[i].ports), &bad));
        assert_int_equal(gw_url_parse(&url, gw_slice_from(rows[i].url), &arena, NULL), GW_OK);
        enum gw_err err = gw_guard_url(&guard, "f", &url, &error);
        assert_int_equal(err, rows[i].error ? GW_ERR_INVALID : GW_OK);
        assert_string_equal(error.text, rows[i].error ? rows[i].error : "");
        gw_arena_deinit(&arena);
    }
}

static void ports(void **state)
{
    static const struct {
        const char *text;
        size_t count;
        bool any;
        const char *bad; /* NULL = fine */
    } rows[] = {
        {"", 0, false, NULL},
        {"  ", 0, false, NULL},
        {"*", 0, true, NULL},
        {" * ", 0, true, NULL},
        {"443", 1, false, NULL},
        {"443,8443", 2, false, NULL},
        {" 443 ,\t8443 ", 2, false, NULL},
        {"1,65535", 2, false, NULL},
        {"0", 0, false, "0"},
        {"65536", 0, false, "65536"},
        {"443,", 0, false, ""},
        {",443", 0, false, ""},
        {"443,*", 0, false, "*"},
        {"443;8443", 0, false, "443;8443"},
        {"443, http", 0, false, "http"},
        {"-1", 0, false, "-1"},
        {"0443", 0, false, "0443"},
        {"8000-9000", 0, false, "8000-9000"},
    };
    struct gw_buf many = {0};
    struct gw_guard guard;
    struct gw_slice bad;

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        guard = (struct gw_guard){.port_count = 7, .allow_any_port = true};
        bool good = gw_guard_ports_parse(&guard, gw_slice_from(rows[i].text), &bad);
        assert_int_equal(good, rows[i].bad == NULL);
        if (!good) {
            assert_text(bad, rows[i].bad);
            continue;
        }
        assert_int_equal(guard.port_count, rows[i].count);
        assert_int_equal(guard.allow_any_port, rows[i].any);
    }
    for (unsigned i = 0; i < 64; i++)
        gw_buf_addf(&many, "%s%u", i ? "," : "", 1000 + i);
    assert_true(gw_guard_ports_parse(&guard, gw_buf_slice(&many), &bad));
    assert_int_equal(guard.port_count, 64);
    assert_int_equal(guard.ports[63], 1063);
    gw_buf_addf(&many, ",7");
    assert_false(gw_guard_ports_parse(&guard, gw_buf_slice(&many), &bad));
    assert_text(bad, "7");
    gw_buf_deinit(&many);
}

/* The longest list of allowed ports still makes a whole error text. */
static void many_ports(void **state)
{
    struct gw_guard guard = {.port_count = 64, .allow_http = true};
    struct gw_arena arena = {0};
    struct gw_error error;
    struct gw_url url;

    (void)state;
    for (size_t i = 0; i < 64; i++)
        guard.ports[i] = 65535;
    assert_int_equal(gw_url_parse(&url, GW_SLICE("https://a:1/"), &arena, NULL), GW_OK);
    assert_int_equal(gw_guard_url(&guard, "webhookUrl", &url, &error), GW_ERR_INVALID);
    assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
    gw_arena_deinit(&arena);
}

static void shown(void **state)
{
    (void)state;
    assert_text(gw_url_shown(GW_SLICE("https://a/b?token=1?2")), "https://a/b");
    assert_text(gw_url_shown(GW_SLICE("https://a/b")), "https://a/b");
    assert_text(gw_url_shown(GW_SLICE("?")), "");
    assert_text(gw_url_shown((struct gw_slice){0}), NULL);
}

/* Whatever comes in: no crash, and what is accepted keeps the promises of the grammar. */
static void fuzz(void **state)
{
    struct rng rng = {1};
    struct gw_buf text = {0};
    struct gw_arena arena = {0};
    size_t good = 0;

    (void)state;
    for (size_t i = 0; i < 60000; i++) {
        struct gw_url url;
        gw_buf_clear(&text);
        gw_buf_adds(&text, gw_slice_from(accepted[rng_below(&rng, gw_count(accepted))].text));
        mutate(&text, &rng);
        struct gw_slice copy = exact_copy(gw_buf_slice(&text));
        if (gw_url_parse(&url, copy, &arena, NULL) == GW_OK) {
            good++;
            assert_true(url.host.len > 0 && url.host.len <= 253 && url.port > 0);
            assert_true(url.path.len > 0 && url.path.ptr[0] == '/');
            for (size_t k = 0; k < copy.len; k++)
                assert_true(copy.ptr[k] > 0x20 && copy.ptr[k] < 0x7F && copy.ptr[k] != '#');
            if (!url.host_is_addr)
                assert_false(url.host.ptr[url.host.len - 1] >= '0' &&
                             url.host.ptr[url.host.len - 1] <= '9' &&
                             !memchr(url.host.ptr, 'x', url.host.len) && url.host.len == 1);
        }
        exact_free(copy);
        gw_arena_reset(&arena);
    }
    assert_in_range(good, 1000, 59000);
    gw_arena_deinit(&arena);
    gw_buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts), cmocka_unit_test(refuses), cmocka_unit_test(lengths),
        cmocka_unit_test(guard),   cmocka_unit_test(ports),   cmocka_unit_test(many_ports),
        cmocka_unit_test(shown),   cmocka_unit_test(fuzz),
    };

    return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
