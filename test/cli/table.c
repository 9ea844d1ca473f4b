/* table.c: columns that line up, and give way in the right order. */
#include "cli/table.h"

#include "../base/test.h"
#include "base/alloc.h"
#include "cli/text.h"

static const struct gw_table_column columns[] = {
    {.title = "ID"},
    {.title = "N", .is_right = true},
    {.title = "NOTE", .width_min = 4, .width_max = 20},
    {.title = "EXTRA", .is_optional = true},
    {.title = "URL", .width_min = 6, .drop = 1},
};
static struct gw_table table;
static struct gw_buf out;

static int setup(void **state)
{
    (void)state;
    gw_table_init(&table, columns, gw_count(columns));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_table_deinit(&table);
    gw_buf_deinit(&out);
    out = (struct gw_buf){0};
    return 0;
}

static void add_row(const char *id, const char *n, const char *note, const char *extra,
                    const char *url)
{
    gw_table_add(&table, gw_slice_from(id), GW_TONE_PLAIN);
    gw_table_add(&table, gw_slice_from(n), GW_TONE_GOOD);
    gw_table_add(&table, gw_slice_from(note), GW_TONE_PLAIN);
    gw_table_add(&table, gw_slice_from(extra), GW_TONE_PLAIN);
    gw_table_add(&table, gw_slice_from(url), GW_TONE_PLAIN);
}

static void expect_printed(const struct gw_term *term, bool wide, const char *wanted)
{
    gw_table_print(&table, term, wide, &out);
    expect_slice(gw_buf_slice(&out), wanted);
}

static const struct gw_term file = {0};

static void lines_up(void **state)
{
    (void)state;
    add_row("a", "1", "ä", "", "http://a/");
    add_row("bbb", "100", "", "", "http://bb/");
    expect_printed(&file, false,
                   "ID     N  NOTE  URL\n"
                   "a      1  ä     http://a/\n"
                   "bbb  100  -     http://bb/\n");
}

static void keeps_an_optional_column_that_says_something(void **state)
{
    (void)state;
    add_row("a", "1", "n", "x", "u");
    add_row("b", "2", "n", "", "u");
    expect_printed(&file, false,
                   "ID  N  NOTE  EXTRA  URL\n"
                   "a   1  n     x      u\n"
                   "b   2  n     -      u\n");
}

static void cuts_at_the_columns_own_limit_unless_wide(void **state)
{
    (void)state;
    add_row("a", "1", "0123456789012345678901234", "", "u");
    expect_printed(&file, false,
                   "ID  N  NOTE                  URL\n"
                   "a   1  0123456789012345678…  u\n");
    gw_buf_clear(&out);
    expect_printed(&(struct gw_term){.width = 20}, true,
                   "ID  N  NOTE                       URL\n"
                   "a   1  0123456789012345678901234  u\n");
}

static void gives_way_to_the_terminal(void **state)
{
    struct gw_term term = {.width = 30};

    (void)state;
    add_row("dlv_1", "1", "a note", "", "http://host/path");
    expect_printed(&term, false,
                   "ID     N  NOTE    URL\n"
                   "dlv_1  1  a note  http://host…\n");
    gw_buf_clear(&out);
    term.width = 21; /* the least of everything is one more */
    expect_printed(&term, false,
                   "ID     N  NOTE\n"
                   "dlv_1  1  a note\n");
    gw_buf_clear(&out);
    term.width = 5; /* ids are never cut */
    expect_printed(&term, false,
                   "ID     N  NOTE\n"
                   "dlv_1  1  a n…\n");
}

static void never_wider_than_the_terminal_while_that_can_be(void **state)
{
    (void)state;
    add_row("id", "1", "日本語日本語日本語", "", "http://ääääääää/ööööööö");
    for (size_t width = 16; width < 80; width++) {
        struct gw_term term = {.width = width};
        struct gw_slice rest, line;
        gw_buf_clear(&out);
        gw_table_print(&table, &term, false, &out);
        rest = gw_buf_slice(&out);
        while (gw_slice_split(&rest, '\n', &line))
            expect(gw_text_width(line) <= width, "%zu", width);
    }
}

static void paints_only_where_there_are_colours(void **state)
{
    struct gw_term term = {.has_colour = true};

    (void)state;
    add_row("a", "1", "n", "", "u");
    expect_printed(&term, false,
                   "\x1b[1mID\x1b[0m  \x1b[1mN\x1b[0m  \x1b[1mNOTE\x1b[0m  \x1b[1mURL\x1b[0m\n"
                   "a   \x1b[32m1\x1b[0m  n     u\n");
}

static void lets_nothing_through_that_moves_the_cursor(void **state)
{
    (void)state;
    add_row("a\x1b[2J", "1", "n\nm", "", "u");
    gw_table_print(&table, &file, false, &out);
    assert_null(memchr(out.ptr, '\x1b', out.len));
    expect_slice(gw_buf_slice(&out), "ID     N  NOTE  URL\n"
                                     "a\xEF\xBF\xBD[2J  1  n\xEF\xBF\xBDm   u\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_up),
        TEST(keeps_an_optional_column_that_says_something),
        TEST(cuts_at_the_columns_own_limit_unless_wide),
        TEST(gives_way_to_the_terminal),
        TEST(never_wider_than_the_terminal_while_that_can_be),
        TEST(paints_only_where_there_are_colours),
        TEST(lets_nothing_through_that_moves_the_cursor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
