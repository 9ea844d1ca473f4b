/* Arenas: alignment, no overlap, nothing lost, one call to free. */
#include "test.h"

#include "base/alloc.h"
#include "base/arena.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

static size_t block_count(const struct gw_arena *arena)
{
    size_t count = 0;

    /* The block's first member is the next block. */
    for (const void *block = arena->blocks; block; block = *(const void *const *)block)
        count++;
    return count;
}

static void aligns_and_keeps_apart(void **state)
{
    enum { COUNT = 3000 };
    static unsigned char *pieces[COUNT];
    static size_t sizes[COUNT];
    struct gw_arena arena = {0};
    uint64_t random = 42;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        sizes[i] = (size_t)(draw(&random) % (i % 100 == 0 ? 200000 : 300));
        pieces[i] = gw_arena_alloc(&arena, sizes[i]);
        expect((uintptr_t)pieces[i] % 16 == 0, "piece %zu of %zu bytes", i, sizes[i]);
        memset(pieces[i], (int)(i % 251), sizes[i]);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            expect(pieces[i][k] == i % 251, "piece %zu was overwritten", i);
    gw_arena_deinit(&arena);
    assert_null(arena.blocks);
    gw_arena_deinit(&arena);
}

static void gives_different_places_for_nothing(void **state)
{
    struct gw_arena arena = {0};

    (void)state;
    void *first = gw_arena_alloc(&arena, 0);
    void *second = gw_arena_alloc(&arena, 0);
    assert_non_null(first);
    assert_ptr_not_equal(first, second);
    gw_arena_deinit(&arena);
}

static void zeroes(void **state)
{
    struct gw_arena arena = {0};

    (void)state;
    for (int round = 0; round < 2; round++) {
        unsigned char *piece = gw_arena_zalloc(&arena, 2000);
        for (size_t i = 0; i < 2000; i++)
            assert_int_equal(piece[i], 0);
        memset(piece, 0xFF, 2000);
        gw_arena_reset(&arena);
    }
    gw_arena_deinit(&arena);
}

static void copies(void **state)
{
    struct gw_arena arena = {0};
    char source[] = "source";

    (void)state;
    struct gw_slice copy = gw_arena_dup(&arena, (struct gw_slice){source, 6});
    memset(source, 'x', 6);
    expect_slice(copy, "source");
    assert_int_equal(copy.ptr[6], 0);

    assert_null(gw_arena_dup(&arena, (struct gw_slice){0}).ptr);
    copy = gw_arena_dup(&arena, GW_SLICE(""));
    assert_true(copy.ptr != NULL && copy.len == 0 && copy.ptr[0] == '\0');
    copy = gw_arena_dup(&arena, GW_SLICE("a\0b"));
    assert_memory_equal(copy.ptr, "a\0b", 4);

    assert_string_equal(gw_arena_text(&arena, (struct gw_slice){0}), "");
    assert_string_equal(gw_arena_text(&arena, (struct gw_slice){"abcdef", 3}), "abc");
    assert_string_equal(gw_arena_printf(&arena, "%s=%d", "n", 5), "n=5");
    const char *big = gw_arena_printf(&arena, "%0100000d", 1);
    assert_int_equal(strlen(big), 100000);
    gw_arena_deinit(&arena);
}

static void keeps_the_rest_of_a_block_when_a_big_piece_comes(void **state)
{
    struct gw_arena arena = {0};

    (void)state;
    gw_arena_alloc(&arena, 16);
    const char *at = arena.at;
    size_t left = arena.left;
    gw_arena_alloc(&arena, 1000000);
    assert_ptr_equal(arena.at, at);
    assert_int_equal(arena.left, left);
    assert_int_equal(block_count(&arena), 2);
    gw_arena_deinit(&arena);

    gw_arena_alloc(&arena, 1000000); /* and as the first of all */
    gw_arena_alloc(&arena, 16);
    assert_int_equal(block_count(&arena), 2);
    gw_arena_deinit(&arena);
}

static void reuses_one_block(void **state)
{
    struct gw_arena arena = {0};

    (void)state;
    gw_arena_reset(&arena);
    assert_null(arena.blocks);
    for (int i = 0; i < 100; i++)
        gw_arena_alloc(&arena, 1000);
    gw_arena_alloc(&arena, 1000000);
    assert_true(block_count(&arena) > 2);
    gw_arena_reset(&arena);
    assert_int_equal(block_count(&arena), 1);
    const void *kept = arena.blocks;
    for (int round = 0; round < 10; round++) {
        gw_arena_alloc(&arena, 500);
        gw_arena_alloc(&arena, 1000);
        assert_int_equal(block_count(&arena), 1);
        gw_arena_reset(&arena);
        assert_ptr_equal(arena.blocks, kept);
    }
    gw_arena_deinit(&arena);
}

/* Where AddressSanitizer watches, it watches pieces of an arena too. */
static void hides_what_is_not_given_out(void **state)
{
    (void)state;
#ifndef __SANITIZE_ADDRESS__
    skip();
#else
    struct gw_arena arena = {0};
    char *piece = gw_arena_alloc(&arena, 32);
    char *next = gw_arena_alloc(&arena, 5);
    assert_true(__asan_address_is_poisoned(piece + 32));
    assert_false(__asan_address_is_poisoned(next + 4));
    assert_true(__asan_address_is_poisoned(next + 5));
    gw_arena_reset(&arena);
    assert_true(__asan_address_is_poisoned(piece));
    gw_arena_deinit(&arena);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aligns_and_keeps_apart),
        cmocka_unit_test(gives_different_places_for_nothing),
        cmocka_unit_test(zeroes),
        cmocka_unit_test(copies),
        cmocka_unit_test(keeps_the_rest_of_a_block_when_a_big_piece_comes),
        cmocka_unit_test(reuses_one_block),
        cmocka_unit_test(hides_what_is_not_given_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
