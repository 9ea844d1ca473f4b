/* options.c: command lines, good and bad, and the help that comes from the same table. */
#include "cli/options.h"

#include "../base/test.h"
#include "base/alloc.h"

static const struct gw_command command = {
    .name = "do",
    .summary = "does it",
    .usage = "do WORD [options]",
    .example = "gwh do x",
    .is_client = true,
};

static int flag;
static const char *text, *since;
static struct gw_option_list list;
static int64_t number;
static struct gw_error error;

static const struct gw_option rows[] = {
    {.name = "flag", .help = "a flag", .flag = &flag},
    {.name = "text", .value = "T", .help = "a text", .text = &text},
    {.name = "since", .value = "T", .help = "a time", .text = &since, .is_time = true},
    {.name = "item", .value = "I", .help = "an item", .list = &list},
    {.name = "number", .value = "N", .help = "a number", .number = &number, .min = 1, .max = 9},
};
static struct gw_options options;

static int setup(void **state)
{
    (void)state;
    flag = -1;
    text = since = NULL;
    number = 5;
    options = (struct gw_options){
        .command = &command, .rows = rows, .count = gw_count(rows), .words_min = 1, .words_max = 2};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_option_list_deinit(&list);
    return 0;
}

#define PARSE(...) parse((const char *[]){"do", __VA_ARGS__, NULL})

static enum gw_err parse(const char **words)
{
    static char *argv[16];
    int argc = 0;

    while (words[argc]) {
        argv[argc] = (char *)(uintptr_t)words[argc];
        argc++;
    }
    return gw_options_parse(&options, argc, argv, &error);
}

static void reads_all_kinds(void **state)
{
    (void)state;
    assert_int_equal(
        PARSE("a", "--flag", "--text", "t=1", "--item=x", "-", "--item", "y=", "--number", "9"),
        GW_OK);
    assert_int_equal(flag, 1);
    assert_string_equal(text, "t=1");
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0], "x");
    assert_string_equal(list.items[1], "y=");
    assert_int_equal(number, 9);
    assert_int_equal(options.word_count, 2);
    assert_string_equal(options.words[0], "a");
    assert_string_equal(options.words[1], "-");
}

static void what_is_not_given_stays(void **state)
{
    (void)state;
    assert_int_equal(PARSE("a"), GW_OK);
    assert_int_equal(flag, -1);
    assert_null(text);
    assert_int_equal(list.count, 0);
    assert_int_equal(number, 5);
}

static void times_are_times(void **state)
{
    (void)state;
    assert_int_equal(PARSE("a", "--since", "2026-11-24T08:46:00+01:00"), GW_OK);
    assert_string_equal(since, "2026-11-24T08:46:00+01:00"); /* as it was given */
    assert_int_equal(PARSE("a", "--since", "2026-11-24"), GW_ERR_INVALID);
    assert_string_equal(error.text,
                        "--since: must be a time such as 2026-01-31T12:00:00Z, was \"2026-11-24\"");
}

static void flags_may_be_told(void **state)
{
    static const struct {
        const char *arg;
        int value;
    } told[] = {
        {"--flag", 1}, {"--flag=true", 1}, {"--flag=1", 1}, {"--flag=false", 0}, {"--flag=0", 0},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(told); i++) {
        assert_int_equal(PARSE("a", told[i].arg), GW_OK);
        expect(flag == told[i].value, "%s", told[i].arg);
    }
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--", "--flag", "--help"), GW_OK);
    assert_int_equal(flag, -1);
    assert_false(options.wants_help);
    assert_int_equal(options.word_count, 2);
    assert_string_equal(options.words[0], "--flag");
}

static void help_wins(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--nonsense", "--help"), GW_OK);
    assert_true(options.wants_help);
    assert_int_equal(PARSE("-h"), GW_OK);
    assert_true(options.wants_help);
}

static void says_what_is_wrong(void **state)
{
    static const struct {
        const char *args[4];
        const char *said;
    } wrong[] = {
        {{"a", "--flga"},
         "unknown option --flga (did you mean --flag?); allowed are --flag --text "
         "--since --item --number --help"},
        {{"a", "--zzz=1"}, "unknown option --zzz; allowed are --flag"},
        {{"a", "-x"}, "unknown option -x; allowed are"},
        {{"a", "--flag=maybe"}, "--flag: must be true, false, 1 or 0 (or nothing), was \"maybe\""},
        {{"a", "--text"}, "--text: needs a value (T)"},
        {{"a", "--number", "10"}, "--number: must be a whole number from 1 to 9, was \"10\""},
        {{"a", "--number", "-1"}, "--number: must be a whole number from 1 to 9, was \"-1\""},
        {{"a", "--number=1.5"}, "--number: must be a whole number from 1 to 9, was \"1.5\""},
        {{"--flag"}, "something is missing; usage: gwh do WORD [options]"},
        {{"a", "b", "c"}, "\"c\" is too much; usage: gwh do WORD [options]"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(wrong); i++) {
        const char *words[8] = {"do"};
        for (size_t k = 0; k < gw_count(wrong[i].args) && wrong[i].args[k]; k++)
            words[k + 1] = wrong[i].args[k];
        expect(parse(words) == GW_ERR_INVALID, "row %zu", i);
        expect(strncmp(error.text, wrong[i].said, strlen(wrong[i].said)) == 0, "row %zu: %s", i,
               error.text);
    }
}

static void help_has_every_option(void **state)
{
    struct gw_buf page = {0};

    (void)state;
    gw_options_help(&options, &page);
    expect_slice(gw_buf_slice(&page),
                 "gwh do: does it\n"
                 "\n"
                 "Usage: gwh do WORD [options]\n"
                 "\n"
                 "Options\n"
                 "  --flag                  a flag\n"
                 "  --text T                a text\n"
                 "  --since T               a time\n"
                 "  --item I                an item\n"
                 "  --number N              a number\n"
                 "  --help                  this page\n"
                 "\n"
                 "Environment\n"
                 "  GWH_URL                 the server (http://127.0.0.1:8080)\n"
                 "  GWH_KEY                 appid:appkey; unset: the admin key in DIR/admin.key\n"
                 "  GWH_DATA                the same as --data\n"
                 "\n"
                 "Example\n"
                 "  gwh do x\n");
    gw_buf_deinit(&page);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ── Pages about commands ──────────────────────────────────────────────────────────────────── */

static bool was_run;

static int run_it(int argc, char **argv)
{
    struct gw_options own = {.command = &command, .rows = rows, .count = gw_count(rows)};
    int code = gw_options_take(&own, argc, argv);

    was_run |= code < 0;
    return code;
}

static void count_rows(void *ctx, const struct gw_options *told)
{
    assert_ptr_equal(told->rows, rows);
    *(size_t *)ctx += told->count;
}

static void a_table_is_told_and_nothing_is_done(void **state)
{
    static const struct gw_command asked = {.name = "do", .main = run_it};
    char *argv[] = {(char[]){"do"}, NULL};
    size_t count = 0;

    (void)state;
    gw_options_of(&asked, count_rows, &count);
    assert_int_equal(count, gw_count(rows));
    assert_false(was_run);
    assert_int_equal(asked.main(1, argv), -1); /* in earnest again */
    assert_true(was_run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_all_kinds),
        TEST(what_is_not_given_stays),
        TEST(times_are_times),
        TEST(flags_may_be_told),
        TEST(two_dashes_end_the_options),
        TEST(help_wins),
        TEST(says_what_is_wrong),
        TEST(help_has_every_option),
        TEST(a_table_is_told_and_nothing_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
