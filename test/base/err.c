/* Errors: names, classes, and texts that are always one clean line. */
#include "test.h"

#include "base/alloc.h"
#include "base/err.h"

static void names_and_classes(void **state)
{
    static const struct {
        enum gw_err err;
        const char *name, *class;
    } rows[] = {
        {GW_OK, "ok", "ok"},
        {GW_ERR_BUSY, "busy", "again"},
        {GW_ERR_FULL, "full", "again"},
        {GW_ERR_TIMEOUT, "timeout", "again"},
        {GW_ERR_UNAVAILABLE, "unavailable", "again"},
        {GW_ERR_STOPPED, "stopped", "again"},
        {GW_ERR_INVALID, "invalid", "reject"},
        {GW_ERR_TOO_LARGE, "too_large", "reject"},
        {GW_ERR_NOT_FOUND, "not_found", "reject"},
        {GW_ERR_EXISTS, "exists", "reject"},
        {GW_ERR_CONFLICT, "conflict", "reject"},
        {GW_ERR_STALE, "stale", "reject"},
        {GW_ERR_GONE, "gone", "reject"},
        {GW_ERR_CHANGED, "changed", "reject"},
        {GW_ERR_IO, "io", "fatal"},
        {GW_ERR_CORRUPT, "corrupt", "fatal"},
        {GW_ERR_SCHEMA, "schema", "fatal"},
        {GW_ERR_LOCKED, "locked", "fatal"},
        {GW_ERR_KEY, "key", "fatal"},
    };

    (void)state;
    assert_int_equal(gw_count(rows), GW_ERR_KEY + 1);
    for (size_t i = 0; i < gw_count(rows); i++) {
        assert_string_equal(gw_err_name(rows[i].err), rows[i].name);
        assert_string_equal(gw_err_class_name(gw_err_class(rows[i].err)), rows[i].class);
    }
}

static void name_no_error(void)
{
    gw_err_name((enum gw_err)(GW_ERR_KEY + 1));
}

static void refuses_an_unknown_error(void **state)
{
    (void)state;
    expect_death(name_no_error, "gwh: check failed: ");
}

static void sets(void **state)
{
    struct gw_error error = {0};

    (void)state;
    assert_int_equal(gw_error_set(NULL, GW_ERR_BUSY, "%d", 1), GW_ERR_BUSY);
    assert_int_equal(gw_error_set(&error, GW_ERR_INVALID, "port is %d, not 1 to 65535", 0),
                     GW_ERR_INVALID);
    assert_int_equal(error.code, GW_ERR_INVALID);
    assert_string_equal(error.text, "port is 0, not 1 to 65535");

    gw_error_set(&error, GW_ERR_IO, "setting: %s", error.text); /* wraps itself */
    assert_string_equal(error.text, "setting: port is 0, not 1 to 65535");
    gw_error_set(&error, GW_ERR_IO, "%s", "");
    assert_string_equal(error.text, "");
}

static void cleans(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"two\nlines\r\n", "two?lines??"},
        {"\x1B[31mred\x7F", "?[31mred?"},
        {"gr\xC3\xBC\xC3\x9F"
         "e \xF0\x9F\x98\x80",
         "gr\xC3\xBC\xC3\x9F"
         "e \xF0\x9F\x98\x80"},
        {"bad \xFF\xC3(\xED\xA0\x80", "bad ?\?(???"},
        {"ends in \xE2\x82", "ends in ??"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_error error;
        gw_error_set(&error, GW_ERR_INVALID, "%s", rows[i].in);
        assert_string_equal(error.text, rows[i].out);
    }
}

static void cuts_between_characters(void **state)
{
    char text[400];

    (void)state;
    for (size_t shift = 0; shift < 4; shift++) {
        struct gw_error error;
        memset(text, 'x', shift);
        for (size_t at = shift; at + 4 < sizeof(text); at += 4)
            memcpy(text + at, "\xF0\x9F\x98\x80", 5);
        gw_error_set(&error, GW_ERR_INVALID, "%s", text);
        size_t len = strlen(error.text);
        assert_true(gw_slice_is_utf8((struct gw_slice){error.text, len}));
        assert_memory_equal(error.text, text, len);
        assert_int_equal(len, (sizeof(error.text) - 1 - shift) / 4 * 4 + shift);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_classes),
        cmocka_unit_test(refuses_an_unknown_error),
        cmocka_unit_test(sets),
        cmocka_unit_test(cleans),
        cmocka_unit_test(cuts_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
