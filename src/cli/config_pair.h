/* config_pair.h: the one config that a command is about: APP TYPE, or --app APP --type TYPE. */
#pragma once

#include "cli/options.h"

struct gw_config_pair {
    const char *app, *type;
};

/* The options that fill it. */
#define GW_CONFIG_PAIR_OPTIONS(pair)                                                               \
    {.name = "app", .value = "APP", .help = "appId", .text = &(pair).app},                         \
    {                                                                                              \
        .name = "type", .value = "TYPE",                                                           \
        .help = "eventType; * is any without a config of its own", .text = &(pair).type            \
    }

/* For .words_max of such a command. */
#define GW_CONFIG_PAIR_WORDS 2

/* Words take the places that no option has. -1: both are there; else the exit code, and why was
 * said. */
int gw_config_pair_take(const struct gw_options *options, struct gw_config_pair *pair);

/* The whole line, of a command that needs the pair. */
int gw_config_pair_parse(struct gw_options *options, int argc, char **argv,
                         struct gw_config_pair *pair);
