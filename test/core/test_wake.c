/* test_wake.c: a wake is read as it was written, and what is none is seen. */
#include "core/wake.h"

#include "support.h"

static struct gw_id an_id(void)
{
    struct gw_id id = {.len = 16};
    for (uint8_t i = 0; i < id.len; i++)
        id.bytes[i] = (uint8_t)(i * 37 + 1);
    return id;
}

static void check_same(const struct gw_wake *wake, const struct gw_wake *read)
{
    assert_int_equal(read->kind, wake->kind);
    assert_int_equal(read->not_before_ms, wake->not_before_ms);
    assert_true(gw_id_eq(&read->message_id, &wake->message_id));
    assert_true(gw_id_eq(&read->slot_id, &wake->slot_id));
    assert_true(gw_slice_eq(read->app_id, wake->app_id));
    assert_memory_equal(read->target, wake->target, sizeof(wake->target));
    assert_true(gw_slice_eq(read->cursor, wake->cursor));
    assert_int_equal(read->cursor.ptr != NULL, wake->cursor.ptr != NULL);
    assert_int_equal(read->lane_count, wake->lane_count);
    for (size_t i = 0; i < wake->lane_count; i++)
        assert_true(read->lanes[i] == wake->lanes[i]);
}

static void read_as_written(void **state)
{
    static const uint64_t lanes[] = {1, 4294967296u, (uint64_t)INT64_MAX + 5, UINT64_MAX};
    const struct gw_wake wakes[] = {
        {.kind = GW_WAKE_MESSAGE, .message_id = an_id()},
        {.kind = GW_WAKE_MESSAGE, .message_id = an_id(), .not_before_ms = 1764000000123},
        {.kind = GW_WAKE_MESSAGE, .message_id = an_id(), .slot_id = an_id(), .not_before_ms = 7},
        {.kind = GW_WAKE_LANES,
         .app_id = GW_SLICE("Bär \"&\\ <x>"),
         .lanes = lanes,
         .lane_count = gw_count(lanes)},
        {.kind = GW_WAKE_LANES,
         .app_id = GW_SLICE("a"),
         .lanes = lanes,
         .lane_count = 1,
         .cursor = GW_SLICE("17/3"),
         .not_before_ms = 1},
        {.kind = GW_WAKE_TARGET, .app_id = GW_SLICE("a"), .target = {0, 1, 0x7f, 0x80, 0xff}},
    };
    (void)state;
    for (size_t i = 0; i < gw_count(wakes); i++) {
        struct gw_arena arena = {0};
        struct gw_buf text = {0};
        struct gw_wake read;
        gw_wake_write(&wakes[i], &text);
        assert_true(gw_wake_read(&read, gw_buf_slice(&text), &arena));
        check_same(&wakes[i], &read);
        gw_buf_deinit(&text);
        gw_arena_deinit(&arena);
    }
}

static void what_is_none(void **state)
{
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "{\"wake\":\"message\"}",
        "{\"wake\":\"message\",\"id\":\"dlv_aaaa\"}",
        "{\"wake\":\"message\",\"id\":17}",
        "{\"wake\":\"lanes\",\"app\":\"a\"}",
        "{\"wake\":\"lanes\",\"app\":\"a\",\"lanes\":[]}",
        "{\"wake\":\"lanes\",\"app\":\"a\",\"lanes\":[1]}",
        "{\"wake\":\"lanes\",\"app\":\"a\",\"lanes\":[\"-1\"]}",
        "{\"wake\":\"lanes\",\"app\":\"a\",\"lanes\":[\"18446744073709551616\"]}",
        "{\"wake\":\"lanes\",\"lanes\":[\"1\"]}",
        "{\"wake\":\"target\",\"app\":\"a\"}",
        "{\"wake\":\"target\",\"app\":\"a\",\"target\":\"00ff\"}",
        "{\"wake\":\"target\",\"app\":\"a\",\"target\":17}",
        "{\"wake\":\"job\",\"app\":\"a\",\"url\":\"u\"}",
        "{\"Records\":[{\"eventSource\":\"aws:s3\"}]}",
        "{\"wake\":\"target\",\"app\":\"a\",\"url\":\"u\"",
    };
    (void)state;
    for (size_t i = 0; i < gw_count(texts); i++) {
        struct gw_arena arena = {0};
        struct gw_wake wake;
        assert_false(gw_wake_read(&wake, gw_slice_from(texts[i]), &arena));
        gw_arena_deinit(&arena);
    }
}

static void no_more_lanes_than_there_may_be(void **state)
{
    static uint64_t lanes[GW_WAKE_LANES_MAX + 1];
    (void)state;
    for (size_t count = GW_WAKE_LANES_MAX; count <= gw_count(lanes); count++) {
        struct gw_wake wake = {
            .kind = GW_WAKE_LANES, .app_id = GW_SLICE("a"), .lanes = lanes, .lane_count = count};
        struct gw_arena arena = {0};
        struct gw_buf text = {0};
        struct gw_wake read;
        gw_wake_write(&wake, &text);
        assert_int_equal(gw_wake_read(&read, gw_buf_slice(&text), &arena),
                         count == GW_WAKE_LANES_MAX);
        gw_buf_deinit(&text);
        gw_arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_as_written),
        cmocka_unit_test(what_is_none),
        cmocka_unit_test(no_more_lanes_than_there_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
