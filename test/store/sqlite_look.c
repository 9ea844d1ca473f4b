/* Ids that were not made here, cursors that were not given out, and pages over more rows than one
 * page may look at. */
#include "sqlite_rig.h"

#include "sys/loop.h"

#include <stdio.h>
#include <string.h>

static int setup(void **state)
{
    struct rig *rig = gw_zalloc(sizeof(*rig));

    rig_init(rig);
    rig_open(rig);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    rig_deinit(*state);
    gw_free(*state);
    return 0;
}

/* ── Ids ───────────────────────────────────────────────────────────────────────────────────── */

static void expect_unknown(struct rig *rig, struct gw_id id)
{
    struct gw_delivery d = {.id = id, .lane = 1};
    struct gw_load load = {.message_id = id};
    struct gw_settle settle = {.write_id = 1, .next = d};
    struct gw_retry_op retry = {.delivery_id = id};
    struct gw_add add = {
        .message_id = id, .key = GW_SLICE("job"), .lanes = &d.lane, .lane_count = 1};
    struct gw_find find = {.arena = &rig->arena, .id = id, .max = 10};

    assert_int_equal(RIG_CALL(rig, ledger, load, &load), GW_ERR_NOT_FOUND);
    assert_int_equal(RIG_CALL(rig, ledger, settle, &settle), GW_ERR_NOT_FOUND);
    assert_int_equal(RIG_CALL(rig, ledger, retry, &retry), GW_ERR_NOT_FOUND);
    assert_int_equal(RIG_CALL(rig, ledger, add, &add), GW_ERR_NOT_FOUND);
    for (int key = GW_FIND_MESSAGE; key <= GW_FIND_DELIVERY; key++) {
        find.key = (enum gw_find_key)key;
        assert_ok(RIG_CALL(rig, ledger, find, &find));
        assert_int_equal(find.count, 0);
    }
}

static void test_alien_ids(void **state)
{
    struct rig *rig = *state;
    struct gw_delivery d;
    struct gw_id id = {.len = 16};

    assert_ok(rig_accept(rig, "e1", 1, &d));
    expect_unknown(rig, id);
    for (uint8_t i = 1; i < 50; i++) {
        memset(id.bytes, i * 5, 16);
        expect_unknown(rig, id);
    }
    for (size_t i = 0; i < 16; i++) { /* one bit from a good one */
        id = d.id;
        id.bytes[i] ^= 1;
        expect_unknown(rig, id);
    }
    for (uint8_t len = 0; len <= GW_ID_BYTES_MAX; len++) {
        id = d.id;
        id.len = len;
        if (len != 16)
            expect_unknown(rig, id);
    }
    /* Good ones in the wrong place. */
    struct gw_load load = {.message_id = d.id};
    assert_int_equal(RIG_CALL(rig, ledger, load, &load), GW_ERR_NOT_FOUND);
    struct gw_retry_op retry = {.delivery_id = d.message_id};
    assert_int_equal(RIG_CALL(rig, ledger, retry, &retry), GW_ERR_NOT_FOUND);
}

/* Of another store. */
static void test_ids_of_another(void **state)
{
    struct rig *rig = *state, other;
    struct gw_delivery d;

    rig_init(&other);
    rig_open(&other);
    assert_ok(rig_accept(&other, "e1", 1, &d));
    assert_ok(rig_accept(rig, "e1", 1, NULL));
    expect_unknown(rig, d.id);
    expect_unknown(rig, d.message_id);
    rig_deinit(&other);
}

/* ── Cursors ───────────────────────────────────────────────────────────────────────────────── */

static enum gw_err list_from(struct rig *rig, struct gw_slice cursor, struct gw_list_op *list)
{
    *list = (struct gw_list_op){.arena = &rig->arena, .state = -1, .cursor = cursor, .max = 1};
    return RIG_CALL(rig, ledger, list, list);
}

static void test_bad_cursors(void **state)
{
    struct rig *rig = *state;
    struct gw_list_op list;
    char text[64];

    assert_ok(rig_accept(rig, "e1", 1, NULL));
    assert_ok(rig_accept(rig, "e2", 1, NULL));
    assert_ok(list_from(rig, (struct gw_slice){0}, &list));
    assert_non_null(list.next.ptr);
    struct gw_slice good = list.next;
    for (size_t i = 0; i < good.len; i++) {
        memcpy(text, good.ptr, good.len);
        text[i] = text[i] == '0' ? '1' : '0';
        assert_int_equal(list_from(rig, (struct gw_slice){text, good.len}, &list), GW_ERR_INVALID);
        text[i] = 'G';
        assert_int_equal(list_from(rig, (struct gw_slice){text, good.len}, &list), GW_ERR_INVALID);
        if (i > 0)
            assert_int_equal(list_from(rig, (struct gw_slice){good.ptr, i}, &list), GW_ERR_INVALID);
    }
    assert_int_equal(list_from(rig, GW_SLICE("../../etc/passwd"), &list), GW_ERR_INVALID);
    assert_ok(list_from(rig, good, &list));
    assert_int_equal(list.count, 1);
    assert_null(list.next.ptr);
}

/* ── Long walks ────────────────────────────────────────────────────────────────────────────── */

#define MANY 25000 /* more than a page looks at */

/* All of one app but the first. */
static void accept_many(struct rig *rig)
{
    struct gw_accept *accepts = gw_zalloc(MANY * sizeof(*accepts));
    static const uint64_t lane = 7;
    char event_id[32];

    for (size_t i = 0; i < MANY; i++) {
        snprintf(event_id, sizeof(event_id), "e%zu", i);
        accepts[i].message = rig_message(i == 0 ? "rare" : "app", event_id, "{}");
        accepts[i].lanes = &lane;
        accepts[i].lane_count = 1;
        rig_arm(rig, &accepts[i].op);
        gw_ledger_accept(rig->ledger, &accepts[i]);
    }
    rig_wait(rig);
    for (size_t i = 0; i < MANY; i++) {
        assert_ok(accepts[i].op.err);
        gw_message_unref(accepts[i].message);
    }
    gw_free(accepts);
}

static size_t list_all(struct rig *rig, struct gw_list_op filter, size_t *pages)
{
    size_t rows = 0;
    struct gw_slice cursor = {0};
    uint64_t last = UINT64_MAX;

    *pages = 0;
    do {
        struct gw_list_op list = filter;
        list.arena = &rig->arena;
        list.cursor = cursor;
        list.max = GW_LIST_MAX;
        assert_ok(RIG_CALL(rig, ledger, list, &list));
        for (size_t i = 0; i < list.count; i++) { /* each once, newest first */
            assert_true(list.rows[i].delivery.order < last);
            last = list.rows[i].delivery.order;
        }
        rows += list.count;
        cursor = list.next;
        ++*pages;
        assert_true(*pages < 1000);
    } while (cursor.ptr);
    return rows;
}

static void test_long_walks(void **state)
{
    struct rig *rig = *state;
    size_t pages;

    rig->options.queue_max = MANY;
    rig_reopen(rig);
    accept_many(rig);
    /* Nothing on the first page, and yet there is a next one. */
    assert_int_equal(
        list_all(rig, (struct gw_list_op){.state = -1, .app_id = GW_SLICE("rare")}, &pages), 1);
    assert_int_equal(pages, 2);
    assert_int_equal(list_all(rig, (struct gw_list_op){.state = GW_DELIVERY_PENDING}, &pages),
                     MANY);
    assert_int_equal(list_all(rig, (struct gw_list_op){.state = -1}, &pages), MANY);
    assert_int_equal(list_all(rig, (struct gw_list_op){.state = GW_DELIVERY_DEAD}, &pages), 0);
    assert_int_equal(pages, 1);
    assert_int_equal(
        list_all(rig, (struct gw_list_op){.state = -1, .app_id = GW_SLICE("nobody")}, &pages), 0);
    assert_int_equal(pages, 1);
    /* All of them are of one transaction, and only one of another app. */
    assert_int_equal(
        list_all(rig, (struct gw_list_op){.state = -1, .transaction_id = GW_SLICE("transaction")},
                 &pages),
        MANY);
    assert_int_equal(list_all(rig,
                              (struct gw_list_op){.state = -1,
                                                  .app_id = GW_SLICE("rare"),
                                                  .transaction_id = GW_SLICE("transaction")},
                              &pages),
                     1);
    assert_int_equal(pages, 1);
    assert_int_equal(
        list_all(rig, (struct gw_list_op){.state = -1, .event_id = GW_SLICE("e20")}, &pages), 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_alien_ids),
        TEST(test_ids_of_another),
        TEST(test_bad_cursors),
        TEST(test_long_walks),
    };

    return cmocka_run_group_tests_name("sqlite look", tests, NULL, NULL);
}
