/* Buffers, and the memory below them. */
#include "test.h"

#include "base/alloc.h"
#include "base/check.h"

static void grows(void **state)
{
    struct gw_buf buf = {0};
    struct gw_buf wanted = {0};

    (void)state;
    assert_int_equal(gw_buf_slice(&buf).len, 0);
    assert_non_null(gw_buf_slice(&buf).ptr);
    gw_buf_add(&buf, NULL, 0);
    gw_buf_adds(&buf, (struct gw_slice){0});
    assert_null(buf.ptr);

    wanted.ptr = gw_alloc(100000);
    for (size_t i = 0; i < 100000; i++)
        wanted.ptr[i] = (char)(i * 7);
    for (size_t at = 0, len = 1; at < 100000; at += len, len = len * 3 % 1009) {
        if (len > 100000 - at)
            len = 100000 - at;
        gw_buf_add(&buf, wanted.ptr + at, len);
        assert_int_equal(buf.len, at + len);
        assert_true(buf.cap >= buf.len);
    }
    assert_memory_equal(buf.ptr, wanted.ptr, 100000);

    char *before = buf.ptr;
    size_t cap = buf.cap;
    gw_buf_clear(&buf);
    gw_buf_reserve(&buf, cap);
    assert_ptr_equal(buf.ptr, before);
    assert_int_equal(buf.len, 0);
    gw_buf_deinit(&buf);
    gw_buf_deinit(&buf);
    assert_null(buf.ptr);
    gw_buf_deinit(&wanted);
}

static void formats(void **state)
{
    struct gw_buf buf = {0};
    char long_text[300];

    (void)state;
    memset(long_text, 'y', sizeof(long_text));
    gw_buf_addf(&buf, "%s", "");
    assert_int_equal(buf.len, 0);
    gw_buf_addf(&buf, "%d-%s;", 7, "x");
    gw_buf_addc(&buf, '|');
    gw_buf_addf(&buf, "%.*s", 300, long_text); /* more than there is room for */
    expect_slice((struct gw_slice){buf.ptr, 5}, "7-x;|");
    assert_int_equal(buf.len, 305);
    assert_memory_equal(buf.ptr + 5, long_text, 300);
    gw_buf_deinit(&buf);

    for (int len = 60; len < 70; len++) { /* around the first capacity */
        gw_buf_addf(&buf, "%.*s", len, long_text);
        assert_int_equal(buf.len, len);
        assert_int_equal(strlen(gw_buf_text(&buf)), len);
        gw_buf_deinit(&buf);
    }
}

static void ends_in_nul_when_asked(void **state)
{
    struct gw_buf buf = {0};

    (void)state;
    assert_string_equal(gw_buf_text(&buf), "");
    assert_int_equal(buf.len, 0);
    gw_buf_adds(&buf, GW_SLICE("ab"));
    assert_string_equal(gw_buf_text(&buf), "ab");
    gw_buf_addc(&buf, 'c');
    assert_string_equal(gw_buf_text(&buf), "abc");
    gw_buf_reserve(&buf, buf.cap - buf.len);
    while (buf.len < buf.cap)
        gw_buf_addc(&buf, 'd');
    assert_int_equal(strlen(gw_buf_text(&buf)), buf.len);
    gw_buf_deinit(&buf);
}

static void reserve_too_much(void)
{
    gw_buf_reserve(&(struct gw_buf){0}, SIZE_MAX / 2);
}

static void refuses_the_absurd(void **state)
{
    (void)state;
    expect_death(reserve_too_much, "gwh: check failed: more <= SIZE_MAX / 4");
}

static void allocates(void **state)
{
    (void)state;
    void *nothing = gw_alloc(0);
    assert_non_null(nothing);
    nothing = gw_realloc(nothing, 0);
    assert_non_null(nothing);
    gw_free(nothing);
    gw_free(NULL);

    char *zeroes = gw_zalloc(1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(zeroes[i], 0);
    memcpy(zeroes, "kept", 4);
    zeroes = gw_realloc(zeroes, 100000);
    assert_memory_equal(zeroes, "kept", 4);
    gw_free(zeroes);

    char *text = gw_strdup("text");
    assert_string_equal(text, "text");
    gw_free(text);
}

static volatile size_t too_much = SIZE_MAX / 2 - 1; /* volatile: gcc would warn of the constant */

static void run_out_of_memory(void)
{
    gw_alloc(too_much);
}

static void ends_when_out_of_memory(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* the sanitizers end the process themselves */
#endif
    expect_death(run_out_of_memory, "gwh: out of memory: no 9223372036854775806 bytes");
}

static void adds_numbers(void **state)
{
    struct gw_buf buf = {0};
    (void)state;
    gw_buf_addi(&buf, 0);
    gw_buf_addc(&buf, ' ');
    gw_buf_addi(&buf, -7);
    gw_buf_addc(&buf, ' ');
    gw_buf_addi(&buf, INT64_MAX);
    gw_buf_addc(&buf, ' ');
    gw_buf_addi(&buf, INT64_MIN);
    assert_string_equal(gw_buf_text(&buf), "0 -7 9223372036854775807 -9223372036854775808");
    gw_buf_deinit(&buf);
}

static void fail_a_check(void)
{
    gw_check(too_much == 0);
}

static void reach_what_cannot_be(void)
{
    gw_never("a state");
}

static void ends_on_a_bug(void **state)
{
    (void)state;
    gw_check(too_much != 0);
    expect_death(fail_a_check, "gwh: check failed: too_much == 0 (");
    expect_death(fail_a_check, "buf.c:");
    expect_death(reach_what_cannot_be, "gwh: check failed: never: a state (");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows),
        cmocka_unit_test(formats),
        cmocka_unit_test(adds_numbers),
        cmocka_unit_test(ends_in_nul_when_asked),
        cmocka_unit_test(refuses_the_absurd),
        cmocka_unit_test(allocates),
        cmocka_unit_test(ends_when_out_of_memory),
        cmocka_unit_test(ends_on_a_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
