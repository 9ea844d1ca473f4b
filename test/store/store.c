/* What is in front of every backend: an operation comes to its port with its kind, without old
 * results, and otherwise as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "store/store.h"

static const struct gw_op *started;
static unsigned seen; /* a bit for each kind */

static void note(const struct gw_op *op)
{
    started = op;
    assert_true(op->kind >= 0 && op->kind < GW_CALL_COUNT);
    seen |= 1u << op->kind;
}

static void start_ledger(struct gw_ledger *ledger, struct gw_op *op)
{
    (void)ledger;
    note(op);
}

static void start_configs(struct gw_configs *configs, struct gw_op *op)
{
    (void)configs;
    note(op);
}

static void start_admin(struct gw_admin *admin, struct gw_op *op)
{
    (void)admin;
    note(op);
}

static void start_pace(struct gw_pace *pace, struct gw_op *op)
{
    (void)pace;
    note(op);
}

static struct gw_ledger_state get_state(struct gw_ledger *ledger)
{
    (void)ledger;
    return (struct gw_ledger_state){.open = 7};
}

static struct gw_ledger ledger = {.start = start_ledger, .state = get_state};
static struct gw_configs configs = {.start = start_configs};
static struct gw_admin admin = {.start = start_admin};
static struct gw_pace pace = {.start = start_pace};

#define OLD 0xa5 /* every byte of what is there before */

static bool is_all(const void *ptr, size_t len, int byte)
{
    const unsigned char *bytes = ptr;

    for (size_t i = 0; i < len; i++)
        if (bytes[i] != byte)
            return false;
    return true;
}

/* Members between `from` and `to`, the latter left out; or to the end. */
#define KEPT(op, from, to)                                                                         \
    assert_true(is_all(&(op)->from, (size_t)((char *)&(op)->to - (char *)&(op)->from), OLD))
#define GONE_TO_END(op, from)                                                                      \
    assert_true(                                                                                   \
        is_all(&(op)->from, sizeof(*(op)) - (size_t)((char *)&(op)->from - (char *)(op)), 0))
#define KEPT_TO_END(op, from)                                                                      \
    assert_true(                                                                                   \
        is_all(&(op)->from, sizeof(*(op)) - (size_t)((char *)&(op)->from - (char *)(op)), OLD))

/* An operation full of old bytes, started. */
#define START(port, verb, type, call)                                                              \
    struct type *op = gw_alloc(sizeof(*op));                                                       \
    memset(op, OLD, sizeof(*op));                                                                  \
    gw_##port##_##verb(&port, op);                                                                 \
    assert_ptr_equal(started, &op->op);                                                            \
    assert_int_equal(op->op.kind, call);                                                           \
    assert_int_equal(gw_call_size(call), sizeof(*op))

#define ALL_KEPT(port, verb, type, call, from)                                                     \
    do {                                                                                           \
        START(port, verb, type, call);                                                             \
        KEPT_TO_END(op, from);                                                                     \
        gw_free(op);                                                                               \
    } while (0)

#define REST_GONE(port, verb, type, call, from, results)                                           \
    do {                                                                                           \
        START(port, verb, type, call);                                                             \
        KEPT(op, from, results);                                                                   \
        GONE_TO_END(op, results);                                                                  \
        gw_free(op);                                                                               \
    } while (0)

static void test_results_are_gone(void **state)
{
    (void)state;
    REST_GONE(ledger, claim, gw_claim, GW_CALL_CLAIM, delivery, write_id);
    ALL_KEPT(ledger, settle, gw_settle, GW_CALL_SETTLE, write_id);
    REST_GONE(ledger, erase, gw_erase, GW_CALL_ERASE, app_id, events);
    REST_GONE(ledger, open_lanes, gw_open_lanes, GW_CALL_OPEN_LANES, arena, lanes);
    REST_GONE(ledger, refill, gw_refill, GW_CALL_REFILL, lane, count);
    REST_GONE(ledger, load, gw_load, GW_CALL_LOAD, message_id, message);
    REST_GONE(ledger, find, gw_find, GW_CALL_FIND, arena, events);
    REST_GONE(ledger, list, gw_list_op, GW_CALL_LIST, arena, rows);
    REST_GONE(ledger, tally, gw_tally_op, GW_CALL_TALLY, arena, counted);
    REST_GONE(ledger, stats, gw_stats_op, GW_CALL_STATS, arena, rows);
    ALL_KEPT(ledger, health_save, gw_health_save, GW_CALL_HEALTH_SAVE, health);
    REST_GONE(ledger, health_load, gw_health_load, GW_CALL_HEALTH_LOAD, arena, items);
    REST_GONE(configs, load, gw_config_load, GW_CALL_CONFIG_LOAD, app_id, snapshot);
    REST_GONE(configs, put, gw_config_put, GW_CALL_CONFIG_PUT, config, snapshot);
    REST_GONE(configs, remove, gw_config_remove, GW_CALL_CONFIG_REMOVE, app_id, snapshot);
    REST_GONE(configs, list, gw_config_list, GW_CALL_CONFIG_LIST, arena, configs);
    ALL_KEPT(admin, key_put, gw_key_put, GW_CALL_KEY_PUT, key);
    REST_GONE(admin, key_remove, gw_key_remove, GW_CALL_KEY_REMOVE, id, key);
    REST_GONE(admin, key_find, gw_key_find, GW_CALL_KEY_FIND, appid, keys);
    REST_GONE(admin, key_list, gw_key_list, GW_CALL_KEY_LIST, arena, keys);
    ALL_KEPT(admin, audit_add, gw_audit_add, GW_CALL_AUDIT_ADD, audit);
    REST_GONE(admin, audit_list, gw_audit_list, GW_CALL_AUDIT_LIST, arena, lines);
    REST_GONE(pace, slot, gw_slot, GW_CALL_SLOT, app_id, at_ms);
}

/* Those that carry an offer: nothing is in it, and it is the caller's. */
static void test_an_offer_is_emptied(void **state)
{
    (void)state;
    struct gw_offer offer = {.count = 3};
    struct gw_accept accept = {.existing = true,
                               .payload_differs = true,
                               .delivery_count = 2,
                               .offered = true,
                               .offer = &offer,
                               .dedupe_ms = 5};
    struct gw_add add = {.delivery_count = 2, .offered = true, .now_ms = 5};
    struct gw_retry_op retry = {.offered = true, .offer = &offer, .delivery = {.lane = 4}};

    accept.message_id.len = 1;
    accept.deliveries[1].lane = 9; /* nobody counts it: left as it is, for there are many */
    gw_ledger_accept(&ledger, &accept);
    assert_int_equal(started->kind, GW_CALL_ACCEPT);
    assert_false(accept.existing || accept.payload_differs || accept.offered);
    assert_int_equal(accept.delivery_count + accept.message_id.len + offer.count, 0);
    assert_int_equal(accept.deliveries[1].lane, 9);
    assert_int_equal(accept.dedupe_ms, 5);
    gw_ledger_add(&ledger, &add); /* without one */
    assert_int_equal(started->kind, GW_CALL_ADD);
    assert_false(add.offered);
    assert_int_equal(add.delivery_count, 0);
    assert_int_equal(add.now_ms, 5);
    offer.count = 1;
    gw_ledger_retry(&ledger, &retry);
    assert_int_equal(started->kind, GW_CALL_RETRY);
    assert_false(retry.offered);
    assert_int_equal(retry.delivery.lane + offer.count, 0);
    assert_ptr_equal(retry.offer, &offer);

    /* Posted, it is the owner's, whatever becomes of the answer. */
    accept.offered = add.offered = retry.offered = true;
    gw_op_clear(&accept.op);
    gw_op_clear(&add.op);
    gw_op_clear(&retry.op);
    assert_true(accept.offered && add.offered && retry.offered);
}

/* The last: all have been started. */
static void test_every_call(void **state)
{
    (void)state;
    assert_int_equal(seen, (1u << GW_CALL_COUNT) - 1);
    for (int i = 0; i < GW_CALL_COUNT; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(gw_call_name((enum gw_call)i), gw_call_name((enum gw_call)j));
    assert_int_equal(gw_ledger_state(&ledger).open, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results_are_gone),
        cmocka_unit_test(test_an_offer_is_emptied),
        cmocka_unit_test(test_every_call),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
