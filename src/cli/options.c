/* options.c: reading a command line against a table, and printing that table as help.
 *
 * Owns nothing but who listens (one thread): values point into argv. Lists grow on the heap and are
 * the command's to free. */
#include "cli/options.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/timefmt.h"
#include "cli/term.h"
#include "cli/text.h"

#include <stdio.h>

#define HELP_COLUMN   26
#define LIST_MAX      1000
#define ALLOWED_BYTES 200

void gw_option_list_deinit(struct gw_option_list *list)
{
    gw_free(list->items);
    *list = (struct gw_option_list){0};
}

/* ── Values ────────────────────────────────────────────────────────────────────────────────── */

static enum gw_err set_flag(const struct gw_option *row, const char *value, struct gw_error *error)
{
    struct gw_slice text = gw_slice_from(value);

    if (value == NULL || gw_slice_is(text, "true") || gw_slice_is(text, "1"))
        *row->flag = 1;
    else if (gw_slice_is(text, "false") || gw_slice_is(text, "0"))
        *row->flag = 0;
    else
        return gw_error_set(error, GW_ERR_INVALID,
                            "--%s: must be true, false, 1 or 0 (or nothing), was \"%s\"", row->name,
                            value);
    return GW_OK;
}

static enum gw_err set_number(const struct gw_option *row, const char *value,
                              struct gw_error *error)
{
    uint64_t number = 0;

    gw_check(row->min >= 0 && row->min <= row->max);
    if (!gw_slice_u64(gw_slice_from(value), &number) || number < (uint64_t)row->min ||
        number > (uint64_t)row->max)
        return gw_error_set(error, GW_ERR_INVALID,
                            "--%s: must be a whole number from %lld to %lld, was \"%s\"", row->name,
                            (long long)row->min, (long long)row->max, value);
    *row->number = (int64_t)number;
    return GW_OK;
}

static enum gw_err add_item(const struct gw_option *row, const char *value, struct gw_error *error)
{
    struct gw_option_list *list = row->list;

    if (list->count == LIST_MAX)
        return gw_error_set(error, GW_ERR_INVALID, "--%s: given more than %d times", row->name,
                            LIST_MAX);
    if (list->count == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 8;
        list->items = gw_realloc(list->items, list->cap * sizeof(*list->items));
    }
    list->items[list->count++] = value;
    return GW_OK;
}

static enum gw_err set_time(const struct gw_option *row, const char *value, struct gw_error *error)
{
    int64_t ms;

    if (!gw_time_parse(gw_slice_from(value), &ms))
        return gw_error_set(error, GW_ERR_INVALID,
                            "--%s: must be a time such as 2026-01-31T12:00:00Z, was \"%s\"",
                            row->name, value);
    *row->text = value;
    return GW_OK;
}

static enum gw_err set_value(const struct gw_option *row, const char *value, struct gw_error *error)
{
    if (row->number)
        return set_number(row, value, error);
    if (row->list)
        return add_item(row, value, error);
    gw_check(row->text != NULL);
    if (row->is_time)
        return set_time(row, value, error);
    *row->text = value;
    return GW_OK;
}

/* ── The line ──────────────────────────────────────────────────────────────────────────────── */

static const struct gw_option *find(const struct gw_options *options, struct gw_slice name)
{
    for (size_t i = 0; i < options->count; i++)
        if (gw_slice_is(name, options->rows[i].name))
            return &options->rows[i];
    return NULL;
}

static enum gw_err unknown(const struct gw_options *options, const char *dashes,
                           struct gw_slice name, struct gw_error *error)
{
    struct gw_text_nearest nearest = {.word = name};
    struct gw_buf allowed = {0}, shown = {0};
    size_t listed = 0;

    for (size_t i = 0; i < options->count; i++) {
        gw_text_consider(&nearest, options->rows[i].name);
        if (allowed.len < ALLOWED_BYTES) {
            gw_buf_addf(&allowed, " --%s", options->rows[i].name);
            listed++;
        }
    }
    gw_buf_adds(&allowed,
                listed < options->count ? GW_SLICE(" … (see --help)") : GW_SLICE(" --help"));
    gw_text_add_cut(&shown, name, 40);
    enum gw_err err = gw_error_set(
        error, GW_ERR_INVALID, "unknown option %s%s%s%s%s; allowed are%s", dashes,
        gw_buf_text(&shown), nearest.best ? " (did you mean --" : "",
        nearest.best ? nearest.best : "", nearest.best ? "?)" : "", gw_buf_text(&allowed));
    gw_buf_deinit(&shown);
    gw_buf_deinit(&allowed);
    return err;
}

/* Reads the option at argv[*at] and moves *at to its last word. */
static enum gw_err take_option(struct gw_options *options, int argc, char **argv, int *at,
                               struct gw_error *error)
{
    const char *name = argv[*at] + 2;
    const char *equals = strchr(name, '=');
    struct gw_slice key = {name, equals ? (size_t)(equals - name) : strlen(name)};
    const struct gw_option *row = find(options, key);

    if (row == NULL)
        return unknown(options, "--", key, error);
    const char *value = equals ? equals + 1 : NULL;
    if (row->flag)
        return set_flag(row, value, error);
    if (value == NULL) {
        if (*at + 1 >= argc)
            return gw_error_set(error, GW_ERR_INVALID, "--%s: needs a value (%s)", row->name,
                                row->value);
        value = argv[++*at];
    }
    return set_value(row, value, error);
}

static bool is_help(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

static enum gw_err check_words(const struct gw_options *options, struct gw_error *error)
{
    if (options->word_count < options->words_min)
        return gw_error_set(error, GW_ERR_INVALID, "something is missing; usage: gwh %s",
                            options->command->usage);
    if (options->word_count > options->words_max)
        return gw_error_set(error, GW_ERR_INVALID, "\"%s\" is too much; usage: gwh %s",
                            options->words[options->words_max], options->command->usage);
    return GW_OK;
}

enum gw_err gw_options_parse(struct gw_options *options, int argc, char **argv,
                             struct gw_error *error)
{
    enum gw_err err = GW_OK;
    bool only_words = false;

    options->words = argv + 1; /* filled from the front: never ahead of what is read */
    options->word_count = 0;
    options->wants_help = false;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (is_help(argv[i]))
            options->wants_help = true;
    if (options->wants_help)
        return GW_OK;
    for (int i = 1; i < argc && err == GW_OK; i++) {
        const char *arg = argv[i];
        if (only_words || arg[0] != '-' || arg[1] == '\0')
            options->words[options->word_count++] = argv[i];
        else if (strcmp(arg, "--") == 0)
            only_words = true;
        else if (arg[1] != '-')
            err = unknown(options, "-", gw_slice_from(arg + 1), error);
        else
            err = take_option(options, argc, argv, &i, error);
    }
    return err == GW_OK ? check_words(options, error) : err;
}

/* ── Help ──────────────────────────────────────────────────────────────────────────────────── */

static void add_row(struct gw_buf *out, const char *name, const char *value, const char *help)
{
    size_t start = out->len;

    gw_buf_addf(out, "  --%s", name);
    if (value)
        gw_buf_addf(out, " %s", value);
    size_t used = gw_text_width((struct gw_slice){out->ptr + start, out->len - start});
    if (used + 2 > HELP_COLUMN) {
        gw_buf_addc(out, '\n');
        used = 0;
    }
    gw_text_add_spaces(out, HELP_COLUMN - used);
    gw_text_add_wrapped(out, gw_slice_from(help), 100 - HELP_COLUMN, HELP_COLUMN);
    gw_buf_addc(out, '\n');
}

static void add_lines(struct gw_buf *out, const char *text)
{
    struct gw_slice rest = gw_slice_from(text), line;

    while (gw_slice_split(&rest, '\n', &line))
        gw_buf_addf(out, "  %.*s\n", GW_SLICE_ARG(line));
}

void gw_options_help(const struct gw_options *options, struct gw_buf *out)
{
    const struct gw_command *command = options->command;

    gw_buf_addf(out, "gwh %s: %s\n\nUsage: gwh %s\n\nOptions\n", command->name, command->summary,
                command->usage);
    for (size_t i = 0; i < options->count; i++)
        add_row(out, options->rows[i].name, options->rows[i].value, options->rows[i].help);
    add_row(out, "help", NULL, "this page");
    if (command->notes) {
        gw_buf_adds(out, GW_SLICE("\nNotes\n"));
        add_lines(out, command->notes);
    }
    if (command->is_client)
        gw_buf_adds(out, GW_SLICE("\nEnvironment\n"
                                  "  GWH_URL                 the server (http://127.0.0.1:8080)\n"
                                  "  GWH_KEY                 appid:appkey; unset: the admin key in "
                                  "DIR/admin.key\n"
                                  "  GWH_DATA                the same as --data\n"));
    gw_buf_adds(out, GW_SLICE("\nExample\n"));
    add_lines(out, command->example);
}

/* Who wants to know the table of the command that runs; NULL: nobody, it runs in earnest. */
static struct listener {
    gw_options_tell *tell;
    void *ctx;
    bool was_told;
} * listener;

void gw_options_of(const struct gw_command *command, gw_options_tell *tell, void *ctx)
{
    struct listener own = {.tell = tell, .ctx = ctx};
    char name[] = "";
    char *argv[] = {name, NULL};

    listener = &own;
    command->main(1, argv);
    listener = NULL;
    gw_check(own.was_told);
}

int gw_options_take(struct gw_options *options, int argc, char **argv)
{
    struct gw_error error;
    struct gw_buf page = {0};

    if (listener) {
        listener->tell(listener->ctx, options);
        listener->was_told = true;
        return GW_EXIT_DONE;
    }
    if (gw_options_parse(options, argc, argv, &error) != GW_OK)
        return gw_term_fail(GW_EXIT_USAGE, "%s: %s", options->command->name, error.text);
    if (!options->wants_help)
        return -1;
    gw_options_help(options, &page);
    gw_term_flush(&page);
    gw_buf_deinit(&page);
    return GW_EXIT_DONE;
}
