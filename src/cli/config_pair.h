/* config_pair.h: the one config that a command is about: APP TYPE, or --app APP --type TYPE. */
#pragma once

#include "cli/options.h"

/* For .words_max of such a command. */
#define GW_CONFIG_PAIR_WORDS 2

/* Words take the places that no option has. -1: both are there; else the exit code, and why was
 * said. */
int gw_config_pair_take(const struct gw_options *options, const char **app, const char **type);
