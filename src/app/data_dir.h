/* data_dir.h: the directory --data, for homes whose store is elsewhere. */
#pragma once

#include "base/err.h"

/* Makes it, for its owner alone, unless it is there. */
enum gw_err gw_data_dir_make(const char *path, struct gw_error *error);
