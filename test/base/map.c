/* The map against a plain array, by random operations; and what a simulation relies on. */
#include "test.h"

#include "base/alloc.h"
#include "base/map.h"

#include <stdio.h>

#define COUNT 2000

struct item {
    char name[24];
    bool is_in; /* the naive map */
    int seen;
};

static struct item items[COUNT];

static struct gw_slice key_of(const struct item *item)
{
    return gw_slice_from(item->name);
}

static void name_items(void)
{
    for (size_t i = 0; i < COUNT; i++) {
        items[i] = (struct item){0};
        snprintf(items[i].name, sizeof(items[i].name), "app-%zu", i);
    }
}

static void expect_same(const struct gw_map *map, size_t count)
{
    size_t at = 0, walked = 0;

    assert_int_equal(map->count, count);
    for (struct item *item; (item = gw_map_next(map, &at)) != NULL; walked++) {
        assert_true(item->is_in);
        item->seen++;
    }
    assert_int_equal(walked, count);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(items[i].seen, items[i].is_in ? 1 : 0);
        items[i].seen = 0;
        expect(gw_map_get(map, key_of(&items[i])) == (items[i].is_in ? &items[i] : NULL), "%s",
               items[i].name);
    }
}

static void agrees_with_an_array(void **state)
{
    struct gw_map map = {0};
    uint64_t random = 11;
    size_t count = 0;

    (void)state;
    name_items();
    expect_same(&map, 0);
    assert_null(gw_map_del(&map, key_of(&items[0])));
    for (int step = 0; step < 60000; step++) {
        struct item *item = &items[draw(&random) % COUNT];
        bool fills = step / 6000 % 2 == 0;
        if (draw(&random) % 4 == 0 ? !fills : fills) {
            count += item->is_in ? 0 : 1;
            gw_map_put(&map, key_of(item), item);
            item->is_in = true;
        } else {
            assert_ptr_equal(gw_map_del(&map, key_of(item)), item->is_in ? item : NULL);
            count -= item->is_in ? 1 : 0;
            item->is_in = false;
        }
        if (step % 1000 == 0)
            expect_same(&map, count);
    }
    expect_same(&map, count);
    for (size_t i = 0; i < COUNT; i++)
        gw_map_del(&map, key_of(&items[i]));
    assert_int_equal(map.count, 0);
    for (size_t i = 0; i < map.cap; i++)
        assert_null(map.slots[i].value);
    gw_map_deinit(&map);
    assert_null(map.slots);
}

/* A search for what is not there ends at every filling. */
static void has_room_for_the_end_of_a_search(void **state)
{
    struct gw_map map = {0};

    (void)state;
    name_items();
    for (size_t i = 0; i < COUNT; i++) {
        assert_null(gw_map_get(&map, GW_SLICE("absent")));
        assert_null(gw_map_del(&map, GW_SLICE("absent")));
        gw_map_put(&map, key_of(&items[i]), &items[i]);
        assert_true(map.count < map.cap);
    }
    gw_map_deinit(&map);
}

/* As full as a map gets, all the time: runs of entries wrap around the end and are closed. */
static void deletes_where_it_is_dense(void **state)
{
    struct gw_map map = {0};

    (void)state;
    name_items();
    for (size_t i = 0; i < COUNT; i++) {
        gw_map_put(&map, key_of(&items[i]), &items[i]);
        if (i >= 11)
            assert_ptr_equal(gw_map_del(&map, key_of(&items[i - 11])), &items[i - 11]);
        for (size_t k = i >= 10 ? i - 10 : 0; k <= i; k++)
            assert_ptr_equal(gw_map_get(&map, key_of(&items[k])), &items[k]);
        assert_int_equal(map.cap, 16);
    }
    gw_map_deinit(&map);
}

static void replaces_key_and_value(void **state)
{
    struct gw_map map = {0};
    char first[] = "same", second[] = "same";
    int one = 1, two = 2;

    (void)state;
    gw_map_put(&map, gw_slice_from(first), &one);
    gw_map_put(&map, gw_slice_from(second), &two);
    memset(first, 'x', 4); /* the first key may go now */
    assert_int_equal(map.count, 1);
    assert_ptr_equal(gw_map_get(&map, GW_SLICE("same")), &two);
    gw_map_deinit(&map);
}

static void takes_any_bytes(void **state)
{
    struct gw_map map = {0};
    uint64_t number = 5, same = 5, other = 6;
    int a, b, c;

    (void)state;
    gw_map_put(&map, GW_SLICE(""), &a);
    gw_map_put(&map, GW_SLICE("\0"), &b);
    gw_map_put(&map, gw_map_key(&number), &c);
    assert_ptr_equal(gw_map_get(&map, (struct gw_slice){0}), &a);
    assert_ptr_equal(gw_map_get(&map, GW_SLICE("\0")), &b);
    assert_ptr_equal(gw_map_get(&map, gw_map_key(&same)), &c);
    assert_null(gw_map_get(&map, gw_map_key(&other)));
    gw_map_deinit(&map);
}

static void put_nothing(void)
{
    gw_map_put(&(struct gw_map){0}, GW_SLICE("a"), NULL);
}

static void finds_misuse(void **state)
{
    (void)state;
    expect_death(put_nothing, "check failed: value != NULL");
}

static void walk(struct gw_buf *order)
{
    struct gw_map map = {0};
    size_t at = 0;

    for (size_t i = 0; i < 100; i++)
        gw_map_put(&map, key_of(&items[i]), &items[i]);
    for (struct item *item; (item = gw_map_next(&map, &at)) != NULL;)
        gw_buf_addf(order, "%s ", item->name);
    gw_map_deinit(&map);
}

static void walks_in_an_order_that_a_simulation_can_fix(void **state)
{
    struct gw_buf orders[3] = {0};
    static const uint8_t key[16] = {1}, other_key[16] = {2};

    (void)state;
    name_items();
    gw_map_hash_key_set(key);
    walk(&orders[0]);
    gw_map_hash_key_set(other_key);
    walk(&orders[1]);
    gw_map_hash_key_set(key);
    walk(&orders[2]);
    assert_false(gw_slice_eq(gw_buf_slice(&orders[0]), gw_buf_slice(&orders[1])));
    assert_true(gw_slice_eq(gw_buf_slice(&orders[0]), gw_buf_slice(&orders[2])));
    for (size_t i = 0; i < gw_count(orders); i++)
        gw_buf_deinit(&orders[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(has_room_for_the_end_of_a_search),
        cmocka_unit_test(deletes_where_it_is_dense),
        cmocka_unit_test(replaces_key_and_value),
        cmocka_unit_test(takes_any_bytes),
        cmocka_unit_test(finds_misuse),
        cmocka_unit_test(walks_in_an_order_that_a_simulation_can_fix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
