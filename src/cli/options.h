/* options.h: one parser for the options of all commands. A command describes its options in one
 * table; parsing, errors and help come from it.
 *
 * "--name value", "--name=value"; a flag alone, or with =true, =false, =1, =0; "--" ends the
 * options; "-" alone is a word. Options and words may mix. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "cli/command.h"

/* Values of an option that may be given several times; points into argv. */
struct gw_option_list {
    const char **items;
    size_t count, cap;
};

void gw_option_list_deinit(struct gw_option_list *list);

/* One row. Exactly one of flag, text, list and number is set; what is not given stays as it was. */
struct gw_option {
    const char *name;  /* without the dashes */
    const char *value; /* what the help calls the value; NULL for a flag */
    const char *help;  /* one line */
    int *flag;         /* becomes 0 or 1 */
    const char **text;
    bool is_time; /* of text: RFC 3339 */
    struct gw_option_list *list;
    int64_t *number;
    int64_t min, max; /* of number */
};

struct gw_options {
    const struct gw_command *command;
    const struct gw_option *rows;
    size_t count;
    size_t words_min, words_max; /* of what is no option */
    char **words;                /* out: part of argv, in the order given */
    size_t word_count;
    bool wants_help; /* out: --help or -h was there; nothing was checked */
};

/* argv[0] is skipped; argv is put in another order. GW_ERR_INVALID: the text says what, and what is
 * allowed. */
enum gw_err gw_options_parse(struct gw_options *options, int argc, char **argv,
                             struct gw_error *error);

/* The page that --help shows. */
void gw_options_help(const struct gw_options *options, struct gw_buf *out);

/* For pages about a command: runs it as far as gw_options_take(), which tells its table instead of
 * reading a line, so that nothing is done. */
typedef void gw_options_tell(void *ctx, const struct gw_options *options);
void gw_options_of(const struct gw_command *command, gw_options_tell *tell, void *ctx);

/* Parses, or shows the help, and prints. -1: go on; else the command's exit code. */
int gw_options_take(struct gw_options *options, int argc, char **argv);
