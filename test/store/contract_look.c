/* contract_look.c: load, find, list, health and totals. */
#include "given.h"

#include <stdio.h>

/* ── Bytes ─────────────────────────────────────────────────────────────────────────────────── */

static struct gw_message *message_of(struct gw_event event)
{
    event.app_id = event.app_id.ptr ? event.app_id : GW_SLICE("app");
    event.event_type = event.event_type.ptr ? event.event_type : GW_SLICE("type");
    event.body = event.body.ptr ? event.body : GW_SLICE("{}");
    return gw_message_create(&event, T0 + 123);
}

static void comes_back_the_same(struct world *world, struct gw_message *message)
{
    struct gw_accept *op = accept_message(world, message, LANES(1), 1, DAY_MS);

    world_wait(world);
    assert_ok(op->op.err);
    struct gw_load load = {.message_id = op->message_id};
    assert_ok(CALL(world, ledger, load, &load));
    assert_message_equal(load.message, message, true);
    gw_message_unref(load.message);
    assert_message_equal(find_message(world, &op->message_id)->message, message, true);
    const struct gw_row *row = find_row(world, &op->deliveries[0].id);
    assert_message_equal(row->message, message, false);
    assert_null(row->message->body.ptr); /* not asked for */
}

static void test_all_fields(void **state)
{
    struct world *world = *state;
    struct gw_message *message = message_of((struct gw_event){
        .app_id = GW_SLICE("app \xf0\x9f\x90\x9d"),
        .event_type = GW_SLICE("type \xe2\x82\xac"),
        .event_id = GW_SLICE("e\xc3\xa9 'quoted' \"twice\" %s \\"),
        .transaction_id = GW_SLICE("t; DROP TABLE event"),
        .workflow_id = GW_SLICE("w"),
        .event_time = GW_SLICE("yesterday"),
        .body = GW_SLICE("{\"a\":\"\\u0000\",\"b\":1e400}"),
    });

    message->config_version = 1234567890123;
    comes_back_the_same(world, message);
}

static void test_absent_and_empty_differ(void **state)
{
    struct world *world = *state;

    comes_back_the_same(world, message_of((struct gw_event){0}));
    comes_back_the_same(world, message_of((struct gw_event){.transaction_id = GW_SLICE("")}));
    comes_back_the_same(world, message_of((struct gw_event){.workflow_id = GW_SLICE("")}));
    comes_back_the_same(world, message_of((struct gw_event){.event_time = GW_SLICE("")}));
    comes_back_the_same(world, message_of((struct gw_event){.event_id = GW_SLICE("")}));
}

static void test_any_bytes(void **state)
{
    struct world *world = *state;
    char bytes[512], name[GW_NAME_BYTES_MAX];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    memset(name, 'n', sizeof(name));
    struct gw_slice longest = {name, sizeof(name)};
    comes_back_the_same(world, message_of((struct gw_event){.body = {bytes, sizeof(bytes)}}));
    comes_back_the_same(world, message_of((struct gw_event){
                                   .app_id = longest,
                                   .event_type = longest,
                                   .event_id = longest,
                                   .transaction_id = longest,
                                   .workflow_id = longest,
                                   .event_time = longest,
                               }));
    comes_back_the_same(world, message_of((struct gw_event){.event_id = GW_SLICE("a\0b")}));
    assert_int_equal(find(world, GW_FIND_EVENT_ID, NULL, "a")->count, 0);
}

static void test_a_large_body(void **state)
{
    struct world *world = *state;
    size_t len = 1024 * 1024;
    char *bytes = gw_alloc(len);

    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(i * 31 >> 3);
    comes_back_the_same(world, message_of((struct gw_event){.body = {bytes, len}}));
    gw_free(bytes);
}

static void test_load_refuses(void **state)
{
    struct world *world = *state;
    struct gw_delivery d = given_delivery(world, 1, T0);
    struct gw_load load = {.message_id = {.len = d.message_id.len, .bytes = {1}}};

    assert_int_equal(CALL(world, ledger, load, &load), GW_ERR_NOT_FOUND);
    load.message_id = d.id;
    assert_int_equal(CALL(world, ledger, load, &load), GW_ERR_NOT_FOUND);
    load.message_id = (struct gw_id){0};
    assert_int_equal(CALL(world, ledger, load, &load), GW_ERR_NOT_FOUND);
}

/* ── Find ──────────────────────────────────────────────────────────────────────────────────── */

static void test_find(void **state)
{
    struct world *world = *state;
    struct given given = {.event_id = "e", .transaction_id = "t", .lanes = LANES(1, 2)};
    struct gw_accept *ops[4];

    given.lane_count = 2;
    given.app = "a";
    ops[0] = accept_new(world, &given);
    given.event_id = "f";
    ops[1] = accept_new(world, &given);
    given.app = "b";
    ops[2] = accept_new(world, &given);
    given.event_id = "t", given.transaction_id = "e";
    ops[3] = accept_new(world, &given);

    struct gw_find *op = find(world, GW_FIND_TRANSACTION_ID, NULL, "t");
    assert_int_equal(op->count, 3);
    for (size_t i = 0; i < 3; i++) { /* newest first */
        assert_id_equal(&op->events[i].message->id, &ops[2 - i]->message_id);
        assert_int_equal(op->events[i].count, 2);
        assert_delivery_equal(&op->events[i].rows[1].delivery, &ops[2 - i]->deliveries[1]);
        assert_null(op->events[i].message->body.ptr);
    }
    assert_int_equal(find(world, GW_FIND_TRANSACTION_ID, "a", "t")->count, 2);
    assert_int_equal(find(world, GW_FIND_TRANSACTION_ID, "b", "t")->count, 1);
    assert_int_equal(find(world, GW_FIND_TRANSACTION_ID, "c", "t")->count, 0);
    assert_int_equal(find(world, GW_FIND_TRANSACTION_ID, NULL, "T")->count, 0);
    assert_int_equal(find(world, GW_FIND_EVENT_ID, NULL, "f")->count, 2);
    op = find(world, GW_FIND_EVENT_ID, "a", "f");
    assert_int_equal(op->count, 1);
    assert_id_equal(&op->events[0].message->id, &ops[1]->message_id);
    assert_int_equal(find(world, GW_FIND_EVENT_ID, "b", "e")->count, 0);
}

static void test_find_by_id(void **state)
{
    struct world *world = *state;
    struct gw_accept *event = accept_new(
        world, &(struct given){.app = "a", .body = "[7]", .lanes = LANES(1, 2), .lane_count = 2});
    struct gw_find op = {.arena = &world->arena, .key = GW_FIND_DELIVERY, .max = 1};

    op.id = event->deliveries[1].id;
    op.app_id = GW_SLICE("a");
    assert_ok(CALL(world, ledger, find, &op));
    assert_int_equal(op.count, 1);
    assert_int_equal(op.events[0].count, 2); /* the event, whole */
    op.app_id = GW_SLICE("b");
    assert_ok(CALL(world, ledger, find, &op));
    assert_int_equal(op.count, 0);
    op.key = GW_FIND_MESSAGE;
    op.id = event->message_id;
    assert_ok(CALL(world, ledger, find, &op));
    assert_int_equal(op.count, 0);
    op.app_id = (struct gw_slice){0};
    op.with_body = true;
    assert_ok(CALL(world, ledger, find, &op));
    assert_true(gw_slice_is(op.events[0].message->body, "[7]"));

    op.id = event->deliveries[0].id; /* of the other kind */
    assert_ok(CALL(world, ledger, find, &op));
    assert_int_equal(op.count, 0);
    op.key = GW_FIND_DELIVERY;
    op.id = event->message_id;
    assert_ok(CALL(world, ledger, find, &op));
    assert_int_equal(op.count, 0);
    op.id = (struct gw_id){.len = GW_ID_BYTES_MAX};
    assert_ok(CALL(world, ledger, find, &op));
    assert_int_equal(op.count, 0);
}

static void test_find_at_most(void **state)
{
    struct world *world = *state;
    struct gw_find op = {.arena = &world->arena, .key = GW_FIND_TRANSACTION_ID, .max = 3};

    for (int i = 0; i < 6; i++)
        accept_new(world, &(struct given){.transaction_id = "t",
                                          .at_ms = T0 + i,
                                          .skip = i % 2 ? GW_SKIP_NO_CONFIG : GW_SKIP_NONE});
    op.text = GW_SLICE("t");
    assert_ok(CALL(world, ledger, find, &op));
    assert_int_equal(op.count, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(op.events[i].message->accepted_ms, T0 + 5 - i);
}

/* ── List ──────────────────────────────────────────────────────────────────────────────────── */

struct walk {
    struct gw_row rows[400];
    size_t count, pages;
};

/* All pages, to the end. Newest event first; each delivery once. */
static void walk(struct world *world, struct gw_list_op filter, struct walk *walk)
{
    struct gw_list_op op = filter;

    walk->count = walk->pages = 0;
    do {
        op.arena = &world->arena;
        assert_ok(CALL(world, ledger, list, &op));
        assert_true(op.count <= op.max);
        for (size_t i = 0; i < op.count; i++) {
            assert_true(walk->count < gw_count(walk->rows));
            walk->rows[walk->count++] = op.rows[i];
        }
        op.cursor = op.next;
        assert_true(++walk->pages < 1000);
    } while (op.next.ptr);
    for (size_t i = 0; i < walk->count; i++)
        for (size_t j = 0; j < i; j++)
            assert_false(gw_id_eq(&walk->rows[i].delivery.id, &walk->rows[j].delivery.id));
}

static size_t count_of(struct world *world, struct gw_list_op filter)
{
    struct walk *all = gw_arena_alloc(&world->arena, sizeof(*all));

    filter.max = filter.max ? filter.max : 100;
    walk(world, filter, all);
    return all->count;
}

#define ANY_STATE  .state = -1
#define COUNT(...) count_of(world, (struct gw_list_op){__VA_ARGS__})

/* Of 24 events in turn: 2 apps, 3 types, 4 event ids, 3 transactions, 24 times, 1-2 deliveries. */
static void populate(struct world *world)
{
    static const char *const types[] = {"x", "y", "z"}, *const ids[] = {"1", "2", "3", "4"};

    for (int i = 0; i < 24; i++) {
        struct gw_accept *op = accept_new(world, &(struct given){
                                                     .app = i % 2 ? "a" : "b",
                                                     .type = types[i % 3],
                                                     .event_id = ids[i % 4],
                                                     .transaction_id = i % 3 ? types[i % 3] : NULL,
                                                     .at_ms = T0 + i * 1000,
                                                     .dedupe_ms = 1,
                                                     .lanes = LANES(1, 2),
                                                     .lane_count = i % 4 ? 2 : 1,
                                                 });
        if (i % 6 == 1)
            settled(world, &op->deliveries[0], delivered(&op->deliveries[0]));
        if (i % 6 == 2)
            settled(world, &op->deliveries[0], dead(&op->deliveries[0]));
        if (i % 6 == 3)
            settled(world, &op->deliveries[0], ended(&op->deliveries[0], GW_END_CONFIG_DELETED));
        if (i % 6 == 4)
            settled(world, &op->deliveries[0], failed_until(&op->deliveries[0], T0 * 2));
        accept_new(world, &(struct given){.app = "a", .type = "x", .skip = GW_SKIP_FILTERED});
    }
}

static void test_list_filters(void **state)
{
    struct world *world = *state;
    struct gw_slice a = GW_SLICE("a"), y = GW_SLICE("y"), three = GW_SLICE("3");

    populate(world);
    assert_int_equal(COUNT(ANY_STATE), 42);
    assert_int_equal(COUNT(ANY_STATE, .app_id = a), 24);
    assert_int_equal(COUNT(ANY_STATE, .app_id = GW_SLICE("nobody")), 0);
    assert_int_equal(COUNT(ANY_STATE, .event_type = y), 14);
    assert_int_equal(COUNT(ANY_STATE, .event_type = GW_SLICE("nothing")), 0);
    assert_int_equal(COUNT(ANY_STATE, .event_id = three), 12);
    assert_int_equal(COUNT(ANY_STATE, .event_id = GW_SLICE("5")), 0);
    assert_int_equal(COUNT(ANY_STATE, .transaction_id = y), 14);
    assert_int_equal(COUNT(ANY_STATE, .transaction_id = GW_SLICE("x")), 0);
    assert_int_equal(COUNT(.state = GW_DELIVERY_DELIVERED), 4);
    assert_int_equal(COUNT(.state = GW_DELIVERY_DEAD), 4);
    assert_int_equal(COUNT(.state = GW_DELIVERY_CANCELLED), 4);
    assert_int_equal(COUNT(.state = GW_DELIVERY_PENDING), 30);
    assert_int_equal(COUNT(ANY_STATE, .from_ms = T0 + 20000), 7);
    assert_int_equal(COUNT(ANY_STATE, .to_ms = T0 + 4000), 7);
    assert_int_equal(COUNT(ANY_STATE, .from_ms = T0 + 4000, .to_ms = T0 + 5000), 1);
    assert_int_equal(COUNT(ANY_STATE, .from_ms = T0 + 4001, .to_ms = T0 + 5000), 0);
    assert_int_equal(COUNT(ANY_STATE, .app_id = a, .event_type = y), 8);
    assert_int_equal(COUNT(ANY_STATE, .app_id = a, .event_id = three), 0);
    assert_int_equal(COUNT(ANY_STATE, .app_id = a, .transaction_id = y, .event_id = GW_SLICE("2")),
                     4);
    assert_int_equal(COUNT(.state = GW_DELIVERY_DELIVERED, .app_id = a, .event_type = y), 4);
    assert_int_equal(COUNT(.state = GW_DELIVERY_DEAD, .app_id = a), 0);
    assert_int_equal(
        COUNT(.state = GW_DELIVERY_PENDING, .event_id = three, .from_ms = T0 + 10000, .max = 1), 7);
}

static void test_list_rows_are_whole(void **state)
{
    struct world *world = *state;
    struct gw_accept *op =
        accept_new(world, &(struct given){.event_id = "e", .lanes = LANES(1), .lane_count = 1});
    struct gw_delivery d = settled(world, &op->deliveries[0], delivered(&op->deliveries[0]));
    struct gw_list_op list = {.arena = &world->arena, ANY_STATE, .max = 10};

    assert_ok(CALL(world, ledger, list, &list));
    assert_int_equal(list.count, 1);
    assert_delivery_equal(&list.rows[0].delivery, &d);
    assert_int_equal(log_count(list.rows[0].log), 1);
    assert_message_equal(list.rows[0].message, op->message, false);
    assert_null(list.rows[0].message->body.ptr);
}

static void test_list_page_by_page(void **state)
{
    struct world *world = *state;
    struct walk *all = gw_arena_alloc(&world->arena, sizeof(*all));
    struct walk *paged = gw_arena_alloc(&world->arena, sizeof(*paged));

    populate(world);
    walk(world, (struct gw_list_op){ANY_STATE, .max = GW_LIST_MAX}, all);
    for (size_t i = 1; i < all->count; i++)
        assert_true(all->rows[i].message->accepted_ms <= all->rows[i - 1].message->accepted_ms);
    for (size_t max = 1; max < 12; max += 2) {
        walk(world, (struct gw_list_op){ANY_STATE, .max = max}, paged);
        assert_int_equal(paged->count, all->count);
        for (size_t i = 0; i < all->count; i++)
            assert_delivery_equal(&paged->rows[i].delivery, &all->rows[i].delivery);
    }
}

/* What arrives behind the first page is newer, and does not come; nothing is missed for it. */
static void test_list_while_events_arrive(void **state)
{
    struct world *world = *state;
    struct gw_list_op op = {.arena = &world->arena, ANY_STATE, .max = 2};
    int64_t oldest = INT64_MAX;
    size_t count = 0;

    for (int i = 0; i < 10; i++)
        given_delivery(world, 1, T0 + i);
    do {
        assert_ok(CALL(world, ledger, list, &op));
        for (size_t i = 0; i < op.count; i++, count++) {
            assert_true(op.rows[i].message->accepted_ms < oldest);
            oldest = op.rows[i].message->accepted_ms;
        }
        op.cursor = op.next;
        given_delivery(world, 1, T0 + 100);
    } while (op.next.ptr);
    assert_int_equal(count, 10);
    assert_int_equal(oldest, T0);
}

static void test_list_refuses_a_cursor_of_nobody(void **state)
{
    struct world *world = *state;
    static const char *const texts[] = {"x", "0", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "\xff\xfe", "%"};

    given_delivery(world, 1, T0);
    for (size_t i = 0; i < gw_count(texts); i++) {
        struct gw_list_op op = {.arena = &world->arena, ANY_STATE, .max = 2};
        op.cursor = gw_slice_from(texts[i]);
        assert_int_equal(CALL(world, ledger, list, &op), GW_ERR_INVALID);
        assert_int_equal(op.count, 0);
    }
}

static void test_list_at_most(void **state)
{
    struct world *world = *state;
    struct gw_list_op op = {.arena = &world->arena, ANY_STATE, .max = GW_LIST_MAX};
    uint64_t lanes[GW_CONFIG_WORKFLOW_URLS_MAX];

    for (size_t i = 0; i < gw_count(lanes); i++)
        lanes[i] = i + 1;
    for (int i = 0; i < 15; i++)
        accept_new(world, &(struct given){.lanes = lanes, .lane_count = gw_count(lanes)});
    assert_ok(CALL(world, ledger, list, &op));
    assert_true(op.count <= GW_LIST_MAX);
    assert_non_null(op.next.ptr);
    assert_int_equal(COUNT(ANY_STATE, .max = GW_LIST_MAX), 300);
}

/* ── Health, totals ────────────────────────────────────────────────────────────────────────── */

static enum gw_err save(struct world *world, const char *app, const char *url, struct gw_slice json)
{
    struct gw_health_save op = {.health = {gw_slice_from(app), gw_slice_from(url), json}};

    return CALL(world, ledger, health_save, &op);
}

static const struct gw_health_row *health_of(struct world *world, const char *app, const char *url,
                                             size_t count)
{
    struct gw_health_load op = {.arena = &world->arena, .app_id = gw_slice_from(app)};

    assert_ok(CALL(world, ledger, health_load, &op));
    assert_int_equal(op.count, count);
    for (size_t i = 0; i < op.count; i++)
        if (gw_slice_is(op.items[i].url, url) &&
            (app == NULL || gw_slice_is(op.items[i].app_id, app)))
            return &op.items[i];
    return NULL;
}

static void test_health(void **state)
{
    struct world *world = *state;
    char json[1025];

    memset(json, 'j', sizeof(json));
    assert_null(health_of(world, NULL, "u", 0));
    assert_ok(save(world, "a", "u", GW_SLICE("{1}")));
    assert_ok(save(world, "a", "v", (struct gw_slice){json, 1024}));
    assert_ok(save(world, "b", "u", GW_SLICE("{3}")));
    assert_ok(save(world, "a", "u", GW_SLICE("{2}"))); /* in its place */
    assert_ok(save(world, "a", "u", GW_SLICE("{2}")));
    assert_true(gw_slice_is(health_of(world, "a", "u", 2)->json, "{2}"));
    assert_int_equal(health_of(world, "a", "v", 2)->json.len, 1024);
    assert_true(gw_slice_is(health_of(world, "b", "u", 1)->json, "{3}"));
    assert_non_null(health_of(world, NULL, "v", 3));
    assert_ok(save(world, "a", "u", (struct gw_slice){0})); /* forget it */
    assert_ok(save(world, "a", "never there", GW_SLICE("")));
    assert_null(health_of(world, "a", "u", 1));
    assert_non_null(health_of(world, NULL, "u", 2));
    assert_int_equal(save(world, "a", "u", (struct gw_slice){json, 1025}), GW_ERR_TOO_LARGE);
    assert_null(health_of(world, "a", "u", 1));
}

static void test_totals(void **state)
{
    struct world *world = *state;
    struct gw_ledger_state before = gw_ledger_state(world->ledger);

    assert_true(before.accepting);
    assert_int_equal(before.open, 0);
    struct gw_delivery d = given_delivery(world, 1, T0);
    given_delivery(world, 1, T0);
    settled(world, &d, delivered(&d));
    struct gw_ledger_state after = gw_ledger_state(world->ledger);
    assert_int_equal(after.open, 1);
    assert_int_equal(after.queued, 0);
    assert_int_equal(after.operations - before.operations, 3);
    assert_true(after.commits.count > before.commits.count);
}

int suite_look(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_fields),
        TEST(test_absent_and_empty_differ),
        TEST(test_any_bytes),
        TEST(test_a_large_body),
        TEST(test_load_refuses),
        TEST(test_find),
        TEST(test_find_by_id),
        TEST(test_find_at_most),
        TEST(test_list_filters),
        TEST(test_list_rows_are_whole),
        TEST(test_list_page_by_page),
        TEST(test_list_while_events_arrive),
        TEST(test_list_refuses_a_cursor_of_nobody),
        TEST(test_list_at_most),
        TEST(test_health),
        TEST(test_totals),
    };
    return suite_run("look", tests, gw_count(tests));
}
