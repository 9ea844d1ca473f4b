/* seen.c: what came before, and what of it is the very same. */
#include "cli/seen.h"

#include "../base/test.h"

#include <stdio.h>

#define ID GW_SLICE("msg_1")

static struct gw_seen seen;

static int teardown(void **state)
{
    (void)state;
    gw_seen_deinit(&seen);
    return 0;
}

static struct gw_seen_before note(const char *signature, const char *attempt)
{
    return gw_seen_note(&seen, ID, gw_slice_from(signature), gw_slice_from(attempt));
}

static void counts(void **state)
{
    (void)state;
    for (int64_t i = 0; i < 3; i++)
        assert_int_equal(note("v1,A", "1").times, i);
    assert_int_equal(gw_seen_note(&seen, GW_SLICE("msg_2"), GW_SLICE(""), GW_SLICE("")).times, 0);
    assert_int_equal(gw_seen_note(&seen, (struct gw_slice){0}, GW_SLICE(""), GW_SLICE("")).times,
                     0);
    assert_int_equal(gw_seen_note(&seen, GW_SLICE(""), GW_SLICE(""), GW_SLICE("")).times, 1);
}

static void the_very_same(void **state)
{
    (void)state;
    assert_false(note("v1,A", "1").is_same);
    assert_true(note("v1,A", "1").is_same);
    assert_false(note("v1,A", "2").is_same); /* tried again within the same second */
    assert_false(note("v1,B", "2").is_same);
    assert_true(note("v1,B", "2").is_same);
    assert_false(note("", "").is_same);
    assert_false(note("", "").is_same);
}

static void taken(void **state)
{
    (void)state;
    gw_seen_taken(&seen, ID); /* one that never came */
    assert_false(note("v1,A", "1").was_taken);
    assert_false(note("v1,B", "2").was_taken);
    gw_seen_taken(&seen, ID);
    assert_true(note("v1,C", "3").was_taken);
}

static void forgets_rather_than_grows(void **state)
{
    char id[24];

    (void)state;
    note("v1,A", "1");
    for (int i = 0; i < GW_SEEN_MAX; i++) {
        snprintf(id, sizeof(id), "%d", i);
        gw_seen_note(&seen, gw_slice_from(id), GW_SLICE(""), GW_SLICE(""));
    }
    assert_true(seen.ids.count <= GW_SEEN_MAX);
    assert_int_equal(note("v1,A", "1").times, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counts),
        TEST(the_very_same),
        TEST(taken),
        TEST(forgets_rather_than_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
