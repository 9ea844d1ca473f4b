/* Identifiers: known texts, round trips, and no second text for any of them. */
#include "test.h"

#include "base/alloc.h"
#include "base/id.h"

static void writes_known_texts(void **state)
{
    static const struct {
        enum gw_id_kind kind;
        const char *bytes, *text;
    } rows[] = {
        /* RFC 4648 §10, in lower case */
        {GW_ID_MESSAGE, "f", "msg_my"},
        {GW_ID_MESSAGE, "fo", "msg_mzxq"},
        {GW_ID_MESSAGE, "foo", "msg_mzxw6"},
        {GW_ID_MESSAGE, "foob", "msg_mzxw6yq"},
        {GW_ID_DELIVERY, "fooba", "dlv_mzxw6ytb"},
        {GW_ID_DELIVERY, "foobar", "dlv_mzxw6ytboi"},
        {GW_ID_MESSAGE, "0123456789abcdef", "msg_gaytemzugu3doobzmfrggzdfmy"},
        {GW_ID_DELIVERY, "0123456789abcdefgh", "dlv_gaytemzugu3doobzmfrggzdfmztwq"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_id id = {.len = (uint8_t)strlen(rows[i].bytes)}, back;
        char text[GW_ID_TEXT_MAX];
        memcpy(id.bytes, rows[i].bytes, id.len);
        struct gw_slice got = gw_id_text(rows[i].kind, &id, text);
        expect_slice(got, rows[i].text);
        assert_int_equal(got.ptr[got.len], 0);
        expect(gw_id_parse(rows[i].kind, got, &back), "%s", rows[i].text);
        assert_true(gw_id_eq(&id, &back));
    }
}

static void comes_back(void **state)
{
    uint64_t random = 3;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct gw_id id = {.len = (uint8_t)(1 + draw(&random) % GW_ID_BYTES_MAX)}, back;
        char text[GW_ID_TEXT_MAX];
        for (size_t i = 0; i < id.len; i++)
            id.bytes[i] = (uint8_t)(round == 0 ? 0xFF : draw(&random));
        struct gw_slice got = gw_id_text(GW_ID_DELIVERY, &id, text);
        assert_true(gw_id_parse(GW_ID_DELIVERY, got, &back));
        assert_memory_equal(&id, &back, sizeof(id));
        assert_false(gw_id_parse(GW_ID_MESSAGE, got, &back));
        if (got.len > 4) { /* with one letter less it is another id or none, never the same */
            got.len--;
            assert_false(gw_id_parse(GW_ID_DELIVERY, got, &back) && gw_id_eq(&id, &back));
        }
    }
}

static void refuses(void **state)
{
    static const struct gw_slice rows[] = {
        {0},
        GW_SLICE(""),
        GW_SLICE("msg"),
        GW_SLICE("msg_"),
        GW_SLICE("msg_m"),      /* one letter is no byte */
        GW_SLICE("msg_mzx"),    /* nor are three two */
        GW_SLICE("msg_mzxw6y"), /* nor six four */
        GW_SLICE("msg_mz"),     /* stray bits */
        GW_SLICE("msg_mzxr"),
        GW_SLICE("msg_MY"),
        GW_SLICE("MSG_my"),
        GW_SLICE("msg-my"),
        GW_SLICE("dlv_my"),
        GW_SLICE("msg_my======"),
        GW_SLICE("msg_m1"),
        GW_SLICE("msg_m8"),
        GW_SLICE("msg_m "),
        GW_SLICE(" msg_my"),
        GW_SLICE("msg_my\0"),
        GW_SLICE("msg_m\xC3"),
        GW_SLICE("msg_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), /* 19 bytes */
        GW_SLICE("msg_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),  /* 18 and a letter */
    };
    struct gw_id id;

    (void)state;
    assert_true(gw_id_parse(GW_ID_MESSAGE, GW_SLICE("msg_my"), &id));
    for (size_t i = 0; i < gw_count(rows); i++)
        expect(!gw_id_parse(GW_ID_MESSAGE, rows[i], &id), "%.*s", GW_SLICE_ARG(rows[i]));
}

static void compares(void **state)
{
    struct gw_id a = {2, {1, 2}}, b = {2, {1, 2, 9}}, c = {3, {1, 2}}, d = {2, {1, 3}};

    (void)state;
    assert_true(gw_id_eq(&a, &b)); /* what lies behind the end does not count */
    assert_false(gw_id_eq(&a, &c));
    assert_false(gw_id_eq(&a, &d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_known_texts),
        cmocka_unit_test(comes_back),
        cmocka_unit_test(refuses),
        cmocka_unit_test(compares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
