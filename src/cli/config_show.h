/* config_show.h: configs, as the API answers them, on the terminal. */
#pragma once

#include "cli/ask.h"

/* "created acme / TYPE (version 1)", where it leads, warnings, and its secret if the answer shows
 * one; "created" is the page's ctx. */
void gw_config_show_change(struct gw_page *page, yyjson_val *config);
/* All of one. */
void gw_config_show(struct gw_page *page, yyjson_val *config);
