/* test_outcome.c: what a status or a failure means, Retry-After, and the advice that goes with it. */
#include "core/outcome.h"

#include "support.h"

static void names(void **state)
{
    (void)state;
    static const char *const wanted[GW_OUTCOME_COUNT] = {"success", "http_error", "timeout",
                                                         "dns",     "connect",    "tls",
                                                         "reset",   "protocol",   "blocked"};

    for (int i = 0; i < GW_OUTCOME_COUNT; i++)
        assert_string_equal(gw_outcome_name((enum gw_outcome)i), wanted[i]);
}

static void statuses(void **state)
{
    (void)state;
    for (int status = 0; status < 1000; status++) {
        enum gw_outcome outcome = gw_outcome_of_status(status);
        enum gw_verdict verdict = gw_outcome_verdict(outcome, status);
        bool is_success = status >= 200 && status < 300;
        assert_int_equal(outcome, is_success ? GW_OUTCOME_SUCCESS : GW_OUTCOME_HTTP_ERROR);
        assert_int_equal(verdict, is_success      ? GW_VERDICT_DONE
                                  : status == 410 ? GW_VERDICT_GONE
                                                  : GW_VERDICT_AGAIN);
    }
    /* a reply that broke off decides nothing, whatever its status line said */
    for (int i = GW_OUTCOME_TIMEOUT; i < GW_OUTCOME_COUNT; i++) {
        assert_int_equal(gw_outcome_verdict((enum gw_outcome)i, 0), GW_VERDICT_AGAIN);
        assert_int_equal(gw_outcome_verdict((enum gw_outcome)i, 410), GW_VERDICT_AGAIN);
        assert_int_equal(gw_outcome_verdict((enum gw_outcome)i, 200), GW_VERDICT_AGAIN);
    }
}

#define NOW   ((int64_t)1795506360000) /* Tue, 24 Nov 2026 07:46:00 GMT */
#define HOURS ((int64_t)3600 * 1000)

static void retry_after(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int64_t wanted_ms;
    } rows[] = {
        {NULL, 0},
        {"", 0},
        {" ", 0},
        {"0", 0},
        {"1", 1000},
        {"  120\t", 120000},
        {"007", 7000},
        {"43199", 43199000},
        {"43200", 12 * HOURS},
        {"43201", 12 * HOURS},
        {"18446744073709551615", 12 * HOURS},
        {"99999999999999999999999999999999", 12 * HOURS},
        {"-1", 0},
        {"+1", 0},
        {"1.5", 0},
        {"1s", 0},
        {"1, 2", 0},
        {"soon", 0},
        {"0x10", 0},
        {"Tue, 24 Nov 2026 07:46:00 GMT", 0},
        {"Tue, 24 Nov 2026 07:45:00 GMT", 0},
        {"Tue, 24 Nov 2026 07:47:00 GMT", 60000},
        {" Tue, 24 Nov 2026 19:45:59 GMT ", 12 * HOURS - 1000},
        {"Tue, 24 Nov 2026 19:46:01 GMT", 12 * HOURS},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 12 * HOURS},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"2026-11-24T07:47:00Z", 0},
    };
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_slice value = gw_slice_from(rows[i].value);
        for (int status = 0; status < 600; status++) {
            int64_t wanted_ms = status == 429 || status == 503 ? rows[i].wanted_ms : 0;
            int64_t ms = gw_outcome_retry_after_ms(status, value, NOW);
            if (ms != wanted_ms)
                fail_msg("%d \"%s\": %lld", status, rows[i].value, (long long)ms);
        }
    }
}

static void retry_after_of_noise(void **state)
{
    (void)state;
    struct rng rng = {11};

    for (int round = 0; round < 20000; round++) {
        struct gw_buf text = {0};
        gw_buf_adds(&text, GW_SLICE("Tue, 24 Nov 2026 07:47:00 GMT"));
        mutate(&text, &rng);
        struct gw_slice value = exact_copy(gw_buf_slice(&text));
        int64_t ms = gw_outcome_retry_after_ms(429, value, NOW);
        assert_true(ms >= 0 && ms <= 12 * HOURS);
        exact_free(value);
        gw_buf_deinit(&text);
    }
}

/* What the http client and the resolver write, and a word of what is made of it. */
static void advice_by_error(void **state)
{
    (void)state;
    static const struct {
        enum gw_outcome outcome;
        const char *error, *word;
    } rows[] = {
        {GW_OUTCOME_TIMEOUT, "timed out after 5000 ms while connecting", "firewall drops"},
        {GW_OUTCOME_TIMEOUT, "timed out after 5000 ms in the TLS handshake", "speaks no TLS"},
        {GW_OUTCOME_TIMEOUT,
         "no answer within 15000 ms: connected and sent, waiting for the first byte",
         "got the webhook"},
        {GW_OUTCOME_DNS, "the name does not exist", "typing error"},
        {GW_OUTCOME_DNS, "the name has no address", "A or AAAA"},
        {GW_OUTCOME_DNS, "the name servers do not answer", "our own resolver"},
        {GW_OUTCOME_CONNECT, "connection refused", "nothing listens"},
        {GW_OUTCOME_CONNECT, "no route to the host", "No connection could be made"},
        {GW_OUTCOME_CONNECT, "no local port is free", "operator"},
        {GW_OUTCOME_TLS, "certificate has expired", "renew it"},
        {GW_OUTCOME_TLS, "the certificate is for another name", "another name"},
        {GW_OUTCOME_TLS, "the certificate's issuer is not known", "intermediate"},
        {GW_OUTCOME_TLS, "the certificate is self-signed", "--ca-file"},
        {GW_OUTCOME_TLS, "the TLS handshake failed", "the error names which"},
        {GW_OUTCOME_RESET, "connection refused", "broke before"}, /* words of another outcome */
    };

    for (size_t i = 0; i < gw_count(rows); i++) {
        const char *text = gw_outcome_advice(rows[i].outcome, 0, gw_slice_from(rows[i].error));
        if (strstr(text, rows[i].word) == NULL)
            fail_msg("%s: %s", rows[i].error, text);
    }
}

static void advice(void **state)
{
    (void)state;
    const struct gw_slice none = {0};
    static const struct {
        int status;
        const char *word;
    } rows[] = {
        {301, "redirect"},
        {308, "redirect"},
        {400, "malformed"},
        {401, "credentials"},
        {402, "refused"},
        {403, "firewall"},
        {404, "webhookUrl"},
        {405, "POST"},
        {410, "webhookUrl"},
        {413, "payload"},
        {415, "application/json"},
        {422, "content"},
        {429, "Retry-After"},
        {431, "headers"},
        {499, "refused"},
        {500, "handler"},
        {502, "proxy"},
        {503, "unavailable"},
        {504, "timed out"},
        {507, "logs"},
        {599, "logs"},
        {101, "2xx"},
        {0, "2xx"},
        {999, "2xx"},
    };
    static const char *const words[GW_OUTCOME_COUNT] = {
        "nothing to do", "2xx",   "in time", "resolve",     "firewall",
        "certificate",   "broke", "HTTP",    "--allow-nets"};

    for (size_t i = 0; i < gw_count(rows); i++)
        if (strstr(gw_outcome_advice(GW_OUTCOME_HTTP_ERROR, rows[i].status, none), rows[i].word) ==
            NULL)
            fail_msg("%d: %s", rows[i].status,
                     gw_outcome_advice(GW_OUTCOME_HTTP_ERROR, rows[i].status, none));
    for (int i = 0; i < GW_OUTCOME_COUNT; i++)
        assert_non_null(strstr(gw_outcome_advice((enum gw_outcome)i, 0, none), words[i]));
    for (int status = 0; status < 1000; status++) {
        const char *text = gw_outcome_advice(GW_OUTCOME_HTTP_ERROR, status, none);
        size_t len = strlen(text);
        assert_in_range(len, 20, 260);
        assert_int_equal(text[len - 1], '.');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),       cmocka_unit_test(statuses),
        cmocka_unit_test(retry_after), cmocka_unit_test(retry_after_of_noise),
        cmocka_unit_test(advice),      cmocka_unit_test(advice_by_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
