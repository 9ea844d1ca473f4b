/* config_show.h: configs, as the API answers them, on the terminal. */
#pragma once

#include "cli/client.h"

/* "created acme / TYPE (version 1)", where it leads, warnings, and its secret if the answer shows
 * one. */
void gw_config_show_change(yyjson_val *config, const char *what);
/* All of one. */
void gw_config_show(yyjson_val *config);
