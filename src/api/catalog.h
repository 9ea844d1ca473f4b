/* catalog.h: catalog.json, which the binary carries: an array of the known events, each with its
 * schema and an example. A new one is an item there and no code. */
#pragma once

#include "base/slice.h"

extern const struct gw_slice gw_catalog_json;
