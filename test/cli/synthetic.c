/* synthetic.c: made-up events are events, of the types of their producer, and belong together. */
#include "cli/synthetic.h"

#include "../base/test.h"
#include "base/alloc.h"
#include "base/map.h"
#include "core/event.h"

#include <yyjson.h>

#define COUNT 3000

static const char *const apps[] = {"acme", "quote\"back\\slash"};
static uint64_t dice = 42;

static void next(struct gw_synthetic *s, struct gw_buf *out)
{
    uint8_t random[32];

    for (size_t i = 0; i < sizeof(random); i++)
        random[i] = (uint8_t)draw(&dice);
    gw_buf_clear(out);
    gw_synthetic_event(s, 1795506360000, random, out);
}

static void knows_producers(void **state)
{
    enum gw_producer producer;

    (void)state;
    assert_true(gw_producer_parse(GW_SLICE("audit-portal"), &producer));
    assert_int_equal(producer, GW_AUDIT_PORTAL);
    assert_true(gw_producer_parse(GW_SLICE("link-kyc"), &producer));
    assert_int_equal(producer, GW_LINK_KYC);
    assert_false(gw_producer_parse(GW_SLICE("Link-KYC"), &producer));
}

static bool is_one_of(struct gw_slice type, const char *const *types, size_t *counts)
{
    for (; *types; types++, counts++)
        if (gw_slice_is(type, *types)) {
            (*counts)++;
            return true;
        }
    return false;
}

static void check_producer(enum gw_producer producer, const char *const *types)
{
    struct gw_synthetic s = {.producer = producer, .apps = apps, .app_count = 2};
    struct gw_buf out = {0};
    struct gw_arena arena = {0};
    struct gw_map ids = {0};
    size_t counts[8] = {0}, with_workflow = 0, of_app[2] = {0};

    for (size_t i = 0; i < COUNT; i++) {
        struct gw_event event;
        struct gw_error error;
        next(&s, &out);
        struct gw_slice text = gw_arena_dup(&arena, gw_buf_slice(&out));
        expect(gw_event_parse(&event, text, &arena, &error) == GW_OK, "%s: %s", error.text,
               text.ptr);
        expect(is_one_of(event.event_type, types, counts), "%s", text.ptr);
        assert_null(gw_map_get(&ids, event.event_id));
        gw_map_put(&ids, event.event_id, &ids);
        assert_true(event.transaction_id.len > 0 && event.event_time.len > 0);
        with_workflow += event.workflow_id.ptr != NULL;
        of_app[gw_slice_is(event.app_id, apps[1])]++;
    }
    for (size_t i = 0; types[i]; i++)
        expect(counts[i] > COUNT / 50, "%s", types[i]);
    assert_in_range(with_workflow, COUNT / 4, COUNT * 3 / 4);
    assert_true(of_app[0] > COUNT / 4 && of_app[1] > COUNT / 4);
    gw_map_deinit(&ids);
    gw_arena_deinit(&arena);
    gw_buf_deinit(&out);
}

static void audit_portal(void **state)
{
    static const char *const types[] = {
        "FINISH_TRANSACTION_WEBHOOK", "INTERMEDIATE_TRANSACTION_WEBHOOK",
        "MANUAL_REVIEW_STATUS_UPDATE", "APPLICATION_STATE_RESET", NULL};

    (void)state;
    check_producer(GW_AUDIT_PORTAL, types);
}

static void link_kyc(void **state)
{
    static const char *const types[] = {"LINK_KYC_STARTED", "LINK_KYC_EXPIRED_LINK_OPENED", NULL};

    (void)state;
    check_producer(GW_LINK_KYC, types);
}

/* Nothing comes of a transaction after its end, and it begins with an intermediate result. */
static void transactions_have_a_beginning_and_an_end(void **state)
{
    struct gw_synthetic s = {.apps = apps, .app_count = 1};
    struct gw_buf out = {0};
    struct gw_arena arena = {0};
    struct gw_map open = {0}, over = {0};
    static int mark;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        struct gw_event event;
        next(&s, &out);
        struct gw_slice text = gw_arena_dup(&arena, gw_buf_slice(&out));
        assert_int_equal(gw_event_parse(&event, text, &arena, NULL), GW_OK);
        expect(!gw_map_get(&over, event.transaction_id), "%s", text.ptr);
        if (!gw_map_get(&open, event.transaction_id))
            expect(gw_slice_is(event.event_type, "INTERMEDIATE_TRANSACTION_WEBHOOK"), "%s",
                   text.ptr);
        gw_map_put(&open, event.transaction_id, &mark);
        if (gw_slice_is(event.event_type, "FINISH_TRANSACTION_WEBHOOK"))
            gw_map_put(&over, event.transaction_id, &mark);
    }
    assert_true(over.count > COUNT / 10);
    gw_map_deinit(&open);
    gw_map_deinit(&over);
    gw_arena_deinit(&arena);
    gw_buf_deinit(&out);
}

static void a_reset_from_a_step_names_it(void **state)
{
    struct gw_synthetic s = {.apps = apps, .app_count = 1};
    struct gw_buf out = {0};
    size_t complete = 0, partial = 0;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        next(&s, &out);
        yyjson_doc *doc = yyjson_read(out.ptr, out.len, 0);
        yyjson_val *root = yyjson_doc_get_root(doc), *reset = yyjson_obj_get(root, "resetType");
        bool has_module = yyjson_obj_get(root, "moduleId") != NULL;
        if (yyjson_equals_str(reset, "COMPLETE_STATE_RESET")) {
            complete++;
            assert_false(has_module);
        } else if (yyjson_equals_str(reset, "RESET_FROM_SPECIFIC_STEP")) {
            partial++;
            assert_true(has_module);
        } else {
            assert_null(reset);
        }
        yyjson_doc_free(doc);
    }
    assert_true(complete > 10 && partial > 10);
    gw_buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_producers),
        cmocka_unit_test(audit_portal),
        cmocka_unit_test(link_kyc),
        cmocka_unit_test(transactions_have_a_beginning_and_an_end),
        cmocka_unit_test(a_reset_from_a_step_names_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
