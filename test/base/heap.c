/* The heap against a plain array, by random operations. */
#include "test.h"

#include "base/alloc.h"
#include "base/heap.h"

#define COUNT 500

static bool is_before(const struct gw_heap_node *a, const struct gw_heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

/* The least of those that are linked, found by looking at all. */
static struct gw_heap_node *least_of(struct gw_heap_node *nodes)
{
    struct gw_heap_node *least = NULL;

    for (size_t i = 0; i < COUNT; i++)
        if (gw_heap_linked(&nodes[i]) && (least == NULL || is_before(&nodes[i], least)))
            least = &nodes[i];
    return least;
}

static void expect_sound(const struct gw_heap *heap)
{
    for (size_t i = 0; i < heap->count; i++) {
        assert_int_equal(heap->nodes[i]->at, i + 1);
        if (i > 0)
            assert_false(is_before(heap->nodes[i], heap->nodes[(i - 1) / 2]));
    }
}

static void agrees_with_an_array(void **state)
{
    static struct gw_heap_node nodes[COUNT];
    struct gw_heap heap = {0};
    uint64_t random = 7;
    size_t count = 0;

    (void)state;
    for (int step = 0; step < 21000; step++) {
        struct gw_heap_node *node = &nodes[draw(&random) % COUNT];
        bool fills = step / 2000 % 2 == 0; /* phases that grow it (the last) and that empty it */
        if (!gw_heap_linked(node) && (fills || draw(&random) % 4 == 0)) {
            node->key = (int64_t)(draw(&random) % 50) - 25; /* many ties, some below zero */
            node->tie = (uint64_t)(node - nodes);
            gw_heap_push(&heap, node);
            count++;
        } else if (gw_heap_linked(node) && draw(&random) % 2 == 0) {
            gw_heap_remove(&heap, node);
            assert_false(gw_heap_linked(node));
            count--;
        } else if (!fills && count > 0) {
            struct gw_heap_node *least = least_of(nodes);
            assert_ptr_equal(gw_heap_pop(&heap), least);
            assert_false(gw_heap_linked(least));
            count--;
        }
        assert_int_equal(heap.count, count);
        assert_ptr_equal(gw_heap_first(&heap), least_of(nodes));
        if (step % 100 == 0)
            expect_sound(&heap);
    }
    gw_heap_deinit(&heap);
    for (size_t i = 0; i < COUNT; i++)
        assert_false(gw_heap_linked(&nodes[i]));
}

static void sorts(void **state)
{
    static struct gw_heap_node nodes[COUNT];
    struct gw_heap heap = {0};
    uint64_t random = 9;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        nodes[i] = (struct gw_heap_node){(int64_t)draw(&random), draw(&random) % 3, 0};
        gw_heap_push(&heap, &nodes[i]);
    }
    struct gw_heap_node *last = gw_heap_pop(&heap), *next;
    for (size_t i = 1; i < COUNT; i++, last = next) {
        next = gw_heap_pop(&heap);
        assert_false(is_before(next, last));
    }
    assert_null(gw_heap_pop(&heap));
    assert_null(gw_heap_first(&heap));
    gw_heap_deinit(&heap);
}

static void orders_the_extremes(void **state)
{
    struct gw_heap_node nodes[] = {
        {INT64_MIN, 0, 0}, {INT64_MIN, UINT64_MAX, 0}, {-1, 0, 0},
        {0, 0, 0},         {INT64_MAX, 0, 0},          {INT64_MAX, UINT64_MAX, 0},
    };
    struct gw_heap heap = {0};

    (void)state;
    for (size_t i = gw_count(nodes); i-- > 0;)
        gw_heap_push(&heap, &nodes[i]);
    for (size_t i = 0; i < gw_count(nodes); i++)
        assert_ptr_equal(gw_heap_pop(&heap), &nodes[i]);
    gw_heap_deinit(&heap);
}

static void push_twice(void)
{
    struct gw_heap heap = {0};
    struct gw_heap_node node = {0};

    gw_heap_push(&heap, &node);
    gw_heap_push(&heap, &node);
}

static void remove_a_stranger(void)
{
    struct gw_heap heap = {0}, other = {0};
    struct gw_heap_node node = {0}, stranger = {0};

    gw_heap_push(&heap, &node);
    gw_heap_push(&other, &stranger);
    gw_heap_remove(&heap, &stranger);
}

static void finds_misuse(void **state)
{
    (void)state;
    expect_death(push_twice, "check failed: !gw_heap_linked(node)");
    expect_death(remove_a_stranger, "check failed: i < heap->count && heap->nodes[i] == node");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(sorts),
        cmocka_unit_test(orders_the_extremes),
        cmocka_unit_test(finds_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
