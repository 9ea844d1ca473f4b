/* lines.c: every line once, whatever its end, in memory that does not grow with the file. */
#include "cli/lines.h"

#include "../base/test.h"
#include "base/alloc.h"

static FILE *file;
static struct gw_lines lines;

static void open_text(const char *text, size_t len, size_t bytes_max)
{
    file = fmemopen((char *)(uintptr_t)text, len, "r");
    assert_non_null(file);
    lines = (struct gw_lines){.file = file, .bytes_max = bytes_max};
}

static int teardown(void **state)
{
    (void)state;
    gw_lines_deinit(&lines);
    fclose(file);
    return 0;
}

static void expect_line(int64_t number, const char *wanted)
{
    struct gw_slice line;

    assert_int_equal(gw_lines_next(&lines, &line), GW_LINE);
    expect_slice(line, wanted);
    assert_int_equal(lines.number, number);
}

static void expect_end(void)
{
    struct gw_slice line;

    assert_int_equal(gw_lines_next(&lines, &line), GW_LINE_END);
    assert_int_equal(gw_lines_next(&lines, &line), GW_LINE_END);
}

static void ends_of_lines(void **state)
{
    static const char text[] = "a\n\nb\r\nc\rd\n\r\n e ";

    (void)state;
    open_text(text, sizeof(text) - 1, 100);
    expect_line(1, "a");
    expect_line(2, "");
    expect_line(3, "b");
    expect_line(4, "c\rd");
    expect_line(5, "");
    expect_line(6, " e ");
    expect_end();
}

static void a_line_given_back(void **state)
{
    static const char text[] = "one\r\ntwo\nthree";
    struct gw_slice line;

    (void)state;
    open_text(text, sizeof(text) - 1, 100);
    assert_int_equal(gw_lines_next(&lines, &line), GW_LINE);
    gw_lines_unread(&lines, line);
    expect_line(1, "one");
    expect_line(2, "two");
    assert_int_equal(gw_lines_next(&lines, &line), GW_LINE);
    gw_lines_unread(&lines, line);
    expect_line(3, "three");
    expect_end();
}

/* Longer than a read, and than what is allowed. */
static void long_lines(void **state)
{
    size_t sizes[] = {0, 1, 65535, 65536, 65537, 200000, 300000, 300001, 900000, 3};
    struct gw_buf text = {0};
    struct gw_slice line;

    (void)state;
    for (size_t i = 0; i < gw_count(sizes); i++) {
        for (size_t k = 0; k < sizes[i]; k++)
            gw_buf_addc(&text, (char)('a' + i));
        if (i + 1 < gw_count(sizes))
            gw_buf_addc(&text, '\n');
    }
    open_text(text.ptr, text.len, 300000);
    for (size_t i = 0; i < gw_count(sizes); i++) {
        enum gw_line wanted = sizes[i] > 300000 ? GW_LINE_TOO_LONG : GW_LINE;
        expect(gw_lines_next(&lines, &line) == wanted, "line %zu", i);
        assert_int_equal(lines.number, i + 1);
        if (wanted == GW_LINE) {
            assert_int_equal(line.len, sizes[i]);
            for (size_t k = 0; k < line.len; k++)
                assert_int_equal(line.ptr[k], 'a' + i);
        }
    }
    expect_end();
    expect(lines.buf.cap <= (size_t)1 << 20, "%zu bytes", lines.buf.cap);
    gw_buf_deinit(&text);
}

static void one_that_is_too_long_and_has_no_end(void **state)
{
    struct gw_buf text = {0};
    struct gw_slice line;

    (void)state;
    for (size_t k = 0; k < 400000; k++)
        gw_buf_addc(&text, 'x');
    open_text(text.ptr, text.len, 1000);
    assert_int_equal(gw_lines_next(&lines, &line), GW_LINE_TOO_LONG);
    expect_end();
    gw_buf_deinit(&text);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ends_of_lines),
        TEST(a_line_given_back),
        TEST(long_lines),
        TEST(one_that_is_too_long_and_has_no_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
