/* config_table.h: configs as another system keeps them in a table of DynamoDB, one an item. */
#pragma once

#include <yyjson.h>

/* What an item says as the JSON object that would have said it; or why it cannot be said so (else
 * NULL), and its keys alone. -1: go on; else the exit code that ends it. */
typedef int gw_config_table_see(void *ctx, yyjson_val *config, const char *refused);

/* Reads them all. Returns -1, or the exit code; then it has been said why. */
int gw_config_table_read(const char *table, gw_config_table_see *see, void *ctx);
