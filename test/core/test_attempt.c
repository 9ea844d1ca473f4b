/* test_attempt.c: records survive packing to the last bit, and no blob, however damaged, is read
 * beyond its end or believed. */
#include "core/attempt.h"

#include "support.h"

static void assert_same(const struct gw_attempt *a, const struct gw_attempt *b)
{
    assert_int_equal(a->n, b->n);
    assert_true(a->at_ms == b->at_ms);
    assert_int_equal(a->outcome, b->outcome);
    assert_int_equal(a->status, b->status);
    assert_true(a->queue_us == b->queue_us && a->dns_us == b->dns_us);
    assert_true(a->connect_us == b->connect_us && a->tls_us == b->tls_us);
    assert_true(a->first_byte_us == b->first_byte_us && a->total_us == b->total_us);
    assert_true(gw_addr_eq(&a->address, &b->address));
    assert_true(a->config_version == b->config_version);
    assert_slice(a->url, b->url);
    assert_slice(a->error, b->error);
    assert_slice(a->excerpt, b->excerpt);
}

static const struct gw_attempt ordinary = {
    .n = 3,
    .at_ms = 1764000000123,
    .outcome = GW_OUTCOME_HTTP_ERROR,
    .status = 503,
    .queue_us = 120,
    .dns_us = 1500,
    .connect_us = 20000,
    .tls_us = 40000,
    .first_byte_us = 61000,
    .total_us = 61500,
    .address = {4, {192, 0, 2, 7}},
    .config_version = 12,
    .url = {"https://example.com/hook", 24},
    .error = {"HTTP 503", 8},
    .excerpt = {"busy\0\xff", 6},
};

static const struct gw_attempt largest = {
    .n = UINT32_MAX,
    .at_ms = INT64_MAX,
    .outcome = GW_OUTCOME_BLOCKED,
    .status = INT32_MAX,
    .queue_us = INT64_MAX,
    .dns_us = INT64_MIN,
    .connect_us = -1,
    .tls_us = INT64_MAX - 1,
    .first_byte_us = INT64_MIN + 1,
    .total_us = 1,
    .address = {6, {0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xfe}},
    .config_version = UINT64_MAX,
    .url = {"", 0},
    .error = {"", 0},
    .excerpt = {"", 0},
};

static const struct gw_attempt smallest = {
    .at_ms = INT64_MIN,
    .status = INT32_MIN,
    .url = {"", 0},
    .error = {"", 0},
    .excerpt = {"", 0},
};

static void round_trip(void **state)
{
    (void)state;
    const struct gw_attempt *all[] = {&ordinary, &largest, &smallest, &ordinary};
    struct gw_buf out = {0};

    for (size_t i = 0; i < gw_count(all); i++)
        gw_attempt_pack(&out, all[i]);
    struct gw_slice log = exact_copy(gw_buf_slice(&out)), rest = log;
    struct gw_attempt attempt;
    for (size_t i = 0; i < gw_count(all); i++) {
        assert_true(gw_attempt_unpack(&rest, &attempt));
        assert_same(&attempt, all[i]);
    }
    assert_int_equal(rest.len, 0);
    assert_false(gw_attempt_unpack(&rest, &attempt));
    assert_true(gw_attempt_last(log, &attempt));
    assert_same(&attempt, &ordinary);
    assert_false(gw_attempt_last((struct gw_slice){0}, &attempt));
    assert_false(gw_attempt_last(GW_SLICE(""), &attempt));
    exact_free(log);
    gw_buf_deinit(&out);
}

/* Stored for ever: these bytes must be read by every later version. */
static void the_format_is_frozen(void **state)
{
    (void)state;
    static const uint8_t wanted[] = {
        1,    3,    1,    12,   0xf6, 0xa1, 0xbf, 0xe9, 0xd6, 0x66, /* n, outcome, version, at */
        0xee, 0x07, 0xf0, 0x01, 0xb8, 0x17, 0xc0, 0xb8, 0x02, /* status, queue, dns, connect */
        0x80, 0xf1, 0x04, 0x90, 0xb9, 0x07, 0xf8, 0xc0, 0x07, /* tls, first byte, total */
        4,    192,  0,    2,    7,    24,   'h',  't',  't',  'p',  's', ':', '/', '/', 'e', 'x',
        'a',  'm',  'p',  'l',  'e',  '.',  'c',  'o',  'm',  '/',  'h', 'o', 'o', 'k', 8,   'H',
        'T',  'T',  'P',  ' ',  '5',  '0',  '3',  6,    'b',  'u',  's', 'y', 0,   0xff};
    struct gw_buf out = {0};

    gw_attempt_pack(&out, &ordinary);
    assert_int_equal(out.len, sizeof(wanted));
    assert_memory_equal(out.ptr, wanted, sizeof(wanted));
    gw_buf_deinit(&out);
}

static void random_records(void **state)
{
    (void)state;
    static const uint8_t families[] = {0, 4, 6};
    struct rng rng = {17};
    static char bytes[4096];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)rng_next(&rng);
    for (int round = 0; round < 20000; round++) {
        uint64_t r[8];
        for (size_t i = 0; i < gw_count(r); i++)
            r[i] = rng_next(&rng) >> rng_below(&rng, 64);
        struct gw_attempt in = {
            .n = (uint32_t)r[0],
            .at_ms = (int64_t)r[1],
            .outcome = (enum gw_outcome)rng_below(&rng, GW_OUTCOME_COUNT),
            .status = (int)rng_below(&rng, 600),
            .queue_us = (int64_t)r[2],
            .dns_us = (int64_t)r[3],
            .connect_us = (int64_t)r[4],
            .tls_us = -(int64_t)(r[5] >> 1),
            .first_byte_us = (int64_t)r[6],
            .total_us = (int64_t)r[7],
            .address.family = families[rng_below(&rng, 3)],
            .config_version = r[1],
            .url = {bytes, rng_below(&rng, 2048)},
            .error = {bytes + 100, rng_below(&rng, GW_ATTEMPT_ERROR_MAX + 1)},
            .excerpt = {bytes + 200, rng_below(&rng, GW_EXCERPT_BYTES_MAX + 1)},
        };
        memcpy(in.address.bytes, bytes, in.address.family == 6 ? 16 : in.address.family);
        struct gw_buf packed = {0};
        gw_attempt_pack(&packed, &in);
        struct gw_slice rest = gw_buf_slice(&packed);
        struct gw_attempt got;
        assert_true(gw_attempt_unpack(&rest, &got));
        assert_same(&got, &in);
        assert_int_equal(rest.len, 0);
        gw_buf_deinit(&packed);
    }
}

static void long_strings_are_cut(void **state)
{
    (void)state;
    static char bytes[5000];
    struct gw_attempt in = smallest, got;
    struct gw_buf out = {0};

    memset(bytes, 'x', sizeof(bytes));
    in.url = in.error = in.excerpt = (struct gw_slice){bytes, sizeof(bytes)};
    gw_attempt_pack(&out, &in);
    struct gw_slice rest = gw_buf_slice(&out);
    assert_true(gw_attempt_unpack(&rest, &got));
    assert_int_equal(got.url.len, sizeof(bytes));
    assert_int_equal(got.error.len, GW_ATTEMPT_ERROR_MAX);
    assert_int_equal(got.excerpt.len, GW_EXCERPT_BYTES_MAX);
    gw_buf_deinit(&out);
}

/* ── Damage ────────────────────────────────────────────────────────────────────────────────── */

static void truncated(void **state)
{
    (void)state;
    const struct gw_attempt *all[] = {&ordinary, &largest, &smallest};

    for (size_t i = 0; i < gw_count(all); i++) {
        struct gw_buf out = {0};
        gw_attempt_pack(&out, &ordinary);
        size_t first = out.len;
        gw_attempt_pack(&out, all[i]);
        for (size_t len = 0; len < out.len; len++) {
            struct gw_slice log = exact_copy((struct gw_slice){out.ptr, len}), rest = log;
            struct gw_attempt attempt;
            struct gw_buf kept = {0};
            bool has_first = len >= first;
            assert_true(gw_attempt_unpack(&rest, &attempt) == has_first);
            assert_false(gw_attempt_unpack(&rest, &attempt));
            assert_ptr_equal(rest.ptr, log.ptr + (has_first ? first : 0));
            assert_int_equal(rest.len, len - (has_first ? first : 0));
            assert_true(gw_attempt_last(log, &attempt) == has_first);
            gw_attempt_trim(&kept, log);
            assert_slice(gw_buf_slice(&kept), (struct gw_slice){out.ptr, has_first ? first : 0});
            gw_buf_deinit(&kept);
            exact_free(log);
        }
        gw_buf_deinit(&out);
    }
}

static void set_byte_is_no_record(size_t at, uint8_t value)
{
    struct gw_buf out = {0};
    struct gw_attempt attempt;

    gw_attempt_pack(&out, &ordinary);
    out.ptr[at] = (char)value;
    struct gw_slice rest = gw_buf_slice(&out);
    assert_false(gw_attempt_unpack(&rest, &attempt));
    assert_int_equal(rest.len, out.len);
    gw_buf_deinit(&out);
}

static void bad_values(void **state)
{
    (void)state;
    set_byte_is_no_record(0, 0);                /* no format yet */
    set_byte_is_no_record(0, 2);                /* a newer format */
    set_byte_is_no_record(2, GW_OUTCOME_COUNT); /* an outcome that is none */
    set_byte_is_no_record(28, 5);               /* an address family that is none */
    set_byte_is_no_record(33, 0x7f);            /* a url longer than what is left */

    static const char *const varints[] = {
        "\x80\x00",                                 /* longer than need be */
        "\xff\xff\xff\xff\x10",                     /* n beyond 32 bits */
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", /* beyond 64 bits */
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", /* without an end */
    };
    static const size_t lens[] = {2, 5, 10, 10};
    for (size_t i = 0; i < gw_count(varints); i++) {
        struct gw_buf out = {0}, packed = {0};
        struct gw_attempt attempt;
        gw_attempt_pack(&packed, &ordinary);
        gw_buf_addc(&out, 1);
        gw_buf_add(&out, varints[i], lens[i]);
        gw_buf_adds(&out, gw_slice_skip(gw_buf_slice(&packed), 2));
        struct gw_slice rest = gw_buf_slice(&out);
        assert_false(gw_attempt_unpack(&rest, &attempt));
        gw_buf_deinit(&packed);
        gw_buf_deinit(&out);
    }
}

static bool is_within(struct gw_slice part, struct gw_slice whole)
{
    return part.ptr >= whole.ptr && part.len <= whole.len &&
           part.ptr + part.len <= whole.ptr + whole.len;
}

static void noise(void **state)
{
    (void)state;
    struct rng rng = {23};

    for (int round = 0; round < 50000; round++) {
        struct gw_buf bytes = {0};
        struct gw_attempt attempt;
        if (round % 2) {
            gw_attempt_pack(&bytes, &ordinary);
            gw_attempt_pack(&bytes, &largest);
            mutate(&bytes, &rng);
        } else {
            gw_buf_addc(&bytes, 1);
            for (size_t len = rng_below(&rng, 120); bytes.len < len;)
                gw_buf_addc(&bytes,
                            (char)(rng_below(&rng, 2) ? rng_next(&rng) : rng_below(&rng, 8)));
        }
        struct gw_slice log = exact_copy(gw_buf_slice(&bytes)), rest = log;
        while (gw_attempt_unpack(&rest, &attempt)) {
            assert_true(is_within(attempt.url, log) && is_within(attempt.error, log) &&
                        is_within(attempt.excerpt, log));
            assert_true((unsigned)attempt.outcome < GW_OUTCOME_COUNT);
        }
        struct gw_buf kept = {0};
        gw_attempt_trim(&kept, log);
        assert_slice(gw_buf_slice(&kept), (struct gw_slice){log.ptr, log.len - rest.len});
        gw_buf_deinit(&kept);
        exact_free(log);
        gw_buf_deinit(&bytes);
    }
}

static void trims(void **state)
{
    (void)state;
    for (uint32_t count = 0; count < 60; count++) {
        struct gw_buf log = {0}, kept = {0};
        for (uint32_t n = 1; n <= count; n++) {
            struct gw_attempt in = ordinary;
            in.n = n;
            in.excerpt.len = n % 7;
            gw_attempt_pack(&log, &in);
        }
        gw_buf_addc(&kept, 'x');
        gw_attempt_trim(&kept, gw_buf_slice(&log));
        assert_int_equal(kept.ptr[0], 'x');
        struct gw_slice rest = gw_slice_skip(gw_buf_slice(&kept), 1);
        struct gw_attempt attempt;
        for (uint32_t n = 1; n <= count; n++) {
            if (count > 25 && n > 5 && n <= count - 20)
                continue;
            assert_true(gw_attempt_unpack(&rest, &attempt));
            assert_int_equal(attempt.n, n);
        }
        assert_int_equal(rest.len, 0);
        gw_buf_deinit(&log);
        gw_buf_deinit(&kept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),     cmocka_unit_test(the_format_is_frozen),
        cmocka_unit_test(random_records), cmocka_unit_test(long_strings_are_cut),
        cmocka_unit_test(truncated),      cmocka_unit_test(bad_values),
        cmocka_unit_test(noise),          cmocka_unit_test(trims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
