/* config_pair.c: appId and eventType from the command line. Owns nothing. */
#include "cli/config_pair.h"

#include "cli/term.h"

int gw_config_pair_take(const struct gw_options *options, struct gw_config_pair *pair)
{
    const struct gw_command *command = options->command;
    size_t at = 0;

    if (pair->app == NULL && at < options->word_count)
        pair->app = options->words[at++];
    if (pair->type == NULL && at < options->word_count)
        pair->type = options->words[at++];
    if (at < options->word_count)
        return gw_term_fail(GW_EXIT_USAGE, "%s: \"%s\" is too much; usage: gwh %s", command->name,
                            options->words[at], command->usage);
    if (pair->app && pair->type)
        return -1;
    return gw_term_fail(GW_EXIT_USAGE, "%s: %s is missing; usage: gwh %s", command->name,
                        pair->app ? "TYPE" : "APP", command->usage);
}

int gw_config_pair_parse(struct gw_options *options, int argc, char **argv,
                         struct gw_config_pair *pair)
{
    int code = gw_options_take(options, argc, argv);

    return code < 0 ? gw_config_pair_take(options, pair) : code;
}
