/* Intrusive lists. */
#include "test.h"

#include "base/list.h"

struct item {
    int number;
    struct gw_list link;
};

static void expect_numbers(const struct gw_list *head, const char *wanted)
{
    struct gw_buf got = {0};

    gw_list_each (node, (struct gw_list *)(uintptr_t)head) {
        gw_buf_addf(&got, "%d ", gw_container_of(node, struct item, link)->number);
        assert_ptr_equal(node->next->prev, node);
    }
    expect_slice(gw_buf_slice(&got), wanted);
    gw_buf_deinit(&got);
}

static void keeps_order(void **state)
{
    struct item items[] = {{1, {0}}, {2, {0}}, {3, {0}}, {4, {0}}};
    struct gw_list head;

    (void)state;
    gw_list_init(&head);
    assert_true(gw_list_empty(&head));
    assert_null(gw_list_pop(&head));
    for (size_t i = 0; i < 3; i++)
        gw_list_push(&head, &items[i].link);
    expect_numbers(&head, "1 2 3 ");
    gw_list_insert_before(&items[1].link, &items[3].link);
    expect_numbers(&head, "1 4 2 3 ");

    gw_list_remove(&items[1].link);
    assert_false(gw_list_linked(&items[1].link));
    gw_list_remove(&items[1].link); /* harmless */
    expect_numbers(&head, "1 4 3 ");
    assert_ptr_equal(gw_list_pop(&head), &items[0].link);
    assert_false(gw_list_linked(&items[0].link));
    expect_numbers(&head, "4 3 ");

    gw_list_each_safe (node, &head)
        gw_list_remove(node);
    assert_true(gw_list_empty(&head));
}

static void splices(void **state)
{
    struct item items[] = {{1, {0}}, {2, {0}}, {3, {0}}, {4, {0}}};
    struct gw_list to, from;

    (void)state;
    gw_list_init(&to);
    gw_list_init(&from);
    gw_list_splice(&to, &from);
    assert_true(gw_list_empty(&to));
    for (size_t i = 0; i < 4; i++)
        gw_list_push(i < 2 ? &to : &from, &items[i].link);
    gw_list_splice(&to, &from);
    expect_numbers(&to, "1 2 3 4 ");
    assert_true(gw_list_empty(&from));
    gw_list_splice(&from, &to); /* into an empty one */
    expect_numbers(&from, "1 2 3 4 ");
    assert_true(gw_list_empty(&to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order),
        cmocka_unit_test(splices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
