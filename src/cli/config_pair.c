/* config_pair.c: appId and eventType from the command line. Owns nothing. */
#include "cli/config_pair.h"

#include "cli/term.h"

int gw_config_pair_take(const struct gw_options *options, const char **app, const char **type)
{
    const struct gw_command *command = options->command;
    size_t at = 0;

    if (*app == NULL && at < options->word_count)
        *app = options->words[at++];
    if (*type == NULL && at < options->word_count)
        *type = options->words[at++];
    if (at < options->word_count)
        return gw_term_fail(GW_EXIT_USAGE, "%s: \"%s\" is too much; usage: gwh %s", command->name,
                            options->words[at], command->usage);
    if (*app && *type)
        return -1;
    return gw_term_fail(GW_EXIT_USAGE, "%s: %s is missing; usage: gwh %s", command->name,
                        *app ? "TYPE" : "APP", command->usage);
}
