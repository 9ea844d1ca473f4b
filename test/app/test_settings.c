/* test_settings.c: the table of settings: where values come from, each type, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "app/settings.h"

#include "base/alloc.h"

#define WORDS_MAX 8

static struct gw_error error;

/* `args` and `env` are separated by spaces; NULL = none. */
static enum gw_err parse(struct gw_settings *settings, const char *args, const char *env)
{
    static char buffers[2][4096];
    char *words[2][WORDS_MAX + 1] = {0};
    int counts[2] = {0};
    const char *texts[2] = {args, env};
    error.text[0] = '\0';
    for (int i = 0; i < 2; i++) {
        if (!texts[i])
            continue;
        assert_true(strlen(texts[i]) < sizeof(buffers[i]));
        strcpy(buffers[i], texts[i]);
        for (char *word = strtok(buffers[i], " "); word; word = strtok(NULL, " ")) {
            assert_true(counts[i] < WORDS_MAX);
            words[i][counts[i]++] = word;
        }
    }
    return gw_settings_parse(settings, counts[0], words[0], words[1], &error);
}

static void defaults(void **state)
{
    struct gw_settings s;
    struct gw_addr addr;
    (void)state;
    assert_int_equal(parse(&s, NULL, NULL), GW_OK);
    assert_string_equal(s.data, "./gwh-data");
    assert_string_equal(s.listen, "127.0.0.1:8080");
    assert_string_equal(s.listen_host, "127.0.0.1");
    assert_int_equal(s.listen_port, 8080);
    assert_int_equal(s.shards, 0);
    assert_int_equal(s.max_body_bytes, 1048576);
    assert_false(s.guard.allow_http);
    assert_false(s.guard.allow_any_port);
    assert_int_equal(s.guard.port_count, 0);
    assert_int_equal(s.guard.nets.count, 0);
    assert_int_equal(s.dedupe_window_s, 86400);
    assert_int_equal(s.secret_overlap_s, 86400);
    assert_int_equal(s.retention_days, 30);
    assert_int_equal(s.audit_retention_days, 400);
    assert_int_equal(s.grace_s, 20);
    assert_int_equal(s.log_level, GW_LOG_INFO);
    assert_null(s.ca_file);
    assert_null(s.name_servers);
    assert_null(s.admin_key);
    assert_null(s.public_cert);
    assert_null(s.auth_url);
    assert_false(s.help);
    assert_true(gw_addr_parse(GW_SLICE("127.9.9.9"), &addr));
    assert_true(gw_net_list_contains(&s.allowed_ips, &addr)); /* loopback, and nobody else */
    assert_true(gw_addr_parse(GW_SLICE("::1"), &addr));
    assert_true(gw_net_list_contains(&s.allowed_ips, &addr));
    assert_true(gw_addr_parse(GW_SLICE("10.0.0.1"), &addr));
    assert_false(gw_net_list_contains(&s.allowed_ips, &addr));
    assert_int_equal(s.trusted_proxies.count, 0);
    gw_settings_deinit(&s);
}

/* Flag, then variable, then the bare one, then the default. */
static void precedence(void **state)
{
    static const struct {
        const char *args, *env;
        int64_t grace;
    } rows[] = {
        {NULL, "GWH_GRACE=7", 7},
        {"--grace 8", "GWH_GRACE=7", 8},
        {"--grace=8", "GWH_GRACE=7", 8},
        {"--grace 8 --grace 9", NULL, 9}, /* the last one counts */
        {NULL, "GWH_GRACE=", 20},         /* set to nothing */
        {NULL, "GWH_GRACES=7 XGWH_GRACE=7", 20},
    };
    struct gw_settings s;
    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        assert_int_equal(parse(&s, rows[i].args, rows[i].env), GW_OK);
        assert_int_equal(s.grace_s, rows[i].grace);
        gw_settings_deinit(&s);
    }
    assert_int_equal(parse(&s, NULL, "ALLOWED_IPS=*"), GW_OK);
    assert_true(s.allowed_ips.any);
    gw_settings_deinit(&s);
    assert_int_equal(parse(&s, NULL, "ALLOWED_IPS=* GWH_ALLOWED_IPS=10.0.0.1"), GW_OK);
    assert_false(s.allowed_ips.any);
    assert_int_equal(s.allowed_ips.count, 1);
    gw_settings_deinit(&s);
}

static void types(void **state)
{
    struct gw_settings s;
    (void)state;
    assert_int_equal(
        parse(&s, "--listen [::1]:0 --allow-http --allow-ports 8443,9000 --shards 3", NULL), GW_OK);
    assert_string_equal(s.listen_host, "::1");
    assert_int_equal(s.listen_port, 0);
    assert_true(s.guard.allow_http);
    assert_int_equal(s.guard.port_count, 2);
    assert_int_equal(s.shards, 3);
    gw_settings_deinit(&s);
    assert_int_equal(parse(&s, "--allow-http --allow-ports=* --log-level debug",
                           "GWH_ALLOW_NETS=10.0.0.0/8,::1"),
                     GW_OK);
    assert_true(s.guard.allow_http);
    assert_true(s.guard.allow_any_port);
    assert_int_equal(s.guard.nets.count, 2);
    assert_int_equal(s.log_level, GW_LOG_DEBUG);
    gw_settings_deinit(&s);
    assert_int_equal(parse(&s, "--allow-http false --ca-file=/a=b", "GWH_ADMIN_KEY=me:secret"),
                     GW_OK);
    assert_false(s.guard.allow_http);
    assert_string_equal(s.ca_file, "/a=b");
    assert_string_equal(s.admin_key, "me:secret");
    gw_settings_deinit(&s);
    assert_int_equal(parse(&s, "--auth-url http://10.0.0.1:81/a?b=c", "PUBLIC_CERT=@/c.pem"),
                     GW_OK);
    assert_string_equal(s.auth_url, "http://10.0.0.1:81/a?b=c");
    assert_string_equal(s.public_cert, "@/c.pem");
    gw_settings_deinit(&s);
    assert_int_equal(parse(&s, "--allow-http=1", NULL), GW_OK);
    assert_true(s.guard.allow_http);
    gw_settings_deinit(&s);
}

/* One line: which setting, what it was, what is allowed. */
static void refused(void **state)
{
    static const struct {
        const char *args, *env;
        const char *words[3];
    } rows[] = {
        {"--grace x", NULL, {"--grace", "\"x\"", "0 to 3600"}},
        {"--grace=", NULL, {"--grace", "\"\"", "0 to 3600"}},
        {"--grace -1", NULL, {"--grace", "-1"}},
        {"--grace 3601", NULL, {"--grace", "3601", "3600"}},
        {"--grace 1.5", NULL, {"--grace", "1.5"}},
        {NULL, "GWH_GRACE=soon", {"GWH_GRACE", "soon", "3600"}},
        {"--dedupe-window 604801", NULL, {"--dedupe-window", "604801", "604800"}},
        {"--retention 1", NULL, {"--retention", "\"1\"", "2 to 3650"}},
        {"--retention 3651", NULL, {"--retention", "3651"}},
        {"--audit-retention 29", NULL, {"--audit-retention", "\"29\"", "30 to 36500"}},
        {"--audit-retention 36501", NULL, {"--audit-retention", "36501"}},
        {"--retention 2 --dedupe-window 86401", NULL, {"--retention", "2 days", "86401"}},
        {"--max-body-bytes 99999999999999999999", NULL, {"--max-body-bytes", "16777216"}},
        {"--shards 0", NULL, {"--shards", "\"0\"", "1 to 64"}},
        {"--allow-http yes", NULL, {"--allow-http", "yes", "true, false"}},
        {NULL, "GWH_ALLOW_HTTP=TRUE", {"GWH_ALLOW_HTTP", "TRUE"}},
        {"--listen 8080", NULL, {"--listen", "8080", "127.0.0.1:8080"}},
        {"--listen localhost:8080", NULL, {"--listen", "localhost"}},
        {"--listen 127.0.0.1:", NULL, {"--listen"}},
        {"--listen 127.0.0.1:65536", NULL, {"--listen", "65536"}},
        {"--listen ::1:80", NULL, {"--listen", "[::1]:8080"}},
        {"--listen [127.0.0.1]:80", NULL, {"--listen"}},
        {"--allow-nets 10.0.0.0/33", NULL, {"--allow-nets", "10.0.0.0/33"}},
        {"--trusted-proxies *", NULL, {"--trusted-proxies", "\"*\"", "not *"}},
        {NULL, "ALLOWED_IPS=10.0.0.1,somewhere", {"ALLOWED_IPS", "somewhere is none"}},
        {"--allow-ports 443,x", NULL, {"--allow-ports", "443,x", "65535"}},
        {"--auth-url example.com", NULL, {"--auth-url: must be an", "URL"}},
        {"--auth-url ftp://example.com/", NULL, {"--auth-url"}},
        {"--auth-url http://", NULL, {"--auth-url"}},
        {"--auth-url https://me:s3cret@example.com/",
         NULL,
         {"--auth-url", "user name or password"}},
        {"--auth-url https://example.com/#x", NULL, {"--auth-url"}},
        {"--public-cert x", NULL, {"--public-cert", "in PEM, or @FILE", "was no PEM text"}},
        {NULL, "PUBLIC_CERT=@", {"PUBLIC_CERT", "in PEM, or @FILE"}},
        {"--log-level loud", NULL, {"--log-level", "loud", "debug"}},
        {"--no-such 1", NULL, {"--no-such"}},
        {"--no-such=1", NULL, {"--no-such"}},
        {"surplus", NULL, {"surplus"}},
        {"--data", NULL, {"--data", "value"}},
        {"-x", NULL, {"-x"}},
        {"--", NULL, {"--"}},
    };
    struct gw_settings s;
    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        if (parse(&s, rows[i].args, rows[i].env) != GW_ERR_INVALID)
            fail_msg("row %zu was taken", i);
        for (size_t k = 0; k < gw_count(rows[i].words) && rows[i].words[k]; k++)
            if (!strstr(error.text, rows[i].words[k]))
                fail_msg("no \"%s\" in \"%s\"", rows[i].words[k], error.text);
        assert_null(strchr(error.text, '\n'));
    }
}

/* A secret is no argument, and in no error. */
static void the_admin_key(void **state)
{
    static const char *const wrong[] = {"GWH_ADMIN_KEY=nocolon-s3cret", "GWH_ADMIN_KEY=:s3cret",
                                        "GWH_ADMIN_KEY=s3cret:", "GWH_ADMIN_KEY=me:s3cret\x01"};
    struct gw_settings s;
    (void)state;
    for (size_t i = 0; i < gw_count(wrong); i++) {
        assert_int_equal(parse(&s, NULL, wrong[i]), GW_ERR_INVALID);
        assert_non_null(strstr(error.text, "GWH_ADMIN_KEY"));
        assert_null(strstr(error.text, "s3cret"));
    }
    assert_int_equal(parse(&s, "--admin-key=me:s3cret", NULL), GW_ERR_INVALID);
    assert_non_null(strstr(error.text, "GWH_ADMIN_KEY"));
    assert_null(strstr(error.text, "s3cret"));
}

static void the_master_key(void **state)
{
    static const char good[] = "GWH_MASTER_KEY=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    static const char *const wrong[] = {
        "GWH_MASTER_KEY=s3cret",
        "GWH_MASTER_KEY=s3cretAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",
        "GWH_MASTER_KEY=s3cretAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=x",
    };
    struct gw_settings s;
    (void)state;
    assert_int_equal(parse(&s, NULL, good), GW_OK);
    assert_string_equal(s.master_key, good + strlen("GWH_MASTER_KEY="));
    assert_null(s.master_key_file);
    gw_settings_deinit(&s);
    assert_int_equal(parse(&s, "--master-key-file /k", NULL), GW_OK);
    assert_string_equal(s.master_key_file, "/k");
    assert_null(s.master_key);
    gw_settings_deinit(&s);
    for (size_t i = 0; i < gw_count(wrong); i++) {
        assert_int_equal(parse(&s, NULL, wrong[i]), GW_ERR_INVALID);
        assert_non_null(strstr(error.text, "GWH_MASTER_KEY"));
        assert_null(strstr(error.text, "s3cret"));
    }
    assert_int_equal(parse(&s, "--master-key s3cret", NULL), GW_ERR_INVALID);
    assert_non_null(strstr(error.text, "GWH_MASTER_KEY"));
    assert_null(strstr(error.text, "s3cret"));
}

static void help(void **state)
{
    static const char *const words[] = {
        "--data DIR",        "GWH_DATA",    "--max-body-bytes NUMBER",   "1024 to 16777216",
        "(default 1048576)", "ALLOWED_IPS", "GWH_ADMIN_KEY=APPID:APPKEY"};
    struct gw_settings s;
    (void)state;
    assert_int_equal(parse(&s, "--nonsense --help", NULL), GW_OK);
    assert_true(s.help);
    struct gw_buf page = {0};
    gw_settings_help(&page);
    const char *text = gw_buf_text(&page);
    for (size_t i = 0; i < gw_count(words); i++)
        if (!strstr(text, words[i]))
            fail_msg("no %s in %s", words[i], text);
    assert_null(strstr(text, "--admin-key"));
    assert_null(strstr(text, "--master-key "));
    assert_non_null(strstr(text, "GWH_MASTER_KEY=BASE64"));
    gw_buf_deinit(&page);
}

static void unknown_variables(void **state)
{
    char *env[] = {"PATH=/bin", "GWH_GRACE=1",     "GWH_GRACES=1", "GWH_URL=x",
                   "GWH_KEY=x", "GWH_ADMIN_KEY=x", "GWH_=1",       NULL};
    size_t at = 0;
    (void)state;
    assert_string_equal(gw_settings_unknown_env(env, &at), "GWH_GRACES=1");
    assert_string_equal(gw_settings_unknown_env(env, &at), "GWH_=1");
    assert_null(gw_settings_unknown_env(env, &at));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),      cmocka_unit_test(precedence),
        cmocka_unit_test(types),         cmocka_unit_test(refused),
        cmocka_unit_test(the_admin_key), cmocka_unit_test(the_master_key),
        cmocka_unit_test(help),          cmocka_unit_test(unknown_variables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
