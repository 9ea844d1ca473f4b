/* admin_key.h: the administrator's key in the data directory. */
#pragma once

#include "sys/env.h"

#define GW_ADMIN_KEY_MAX 512

/* Reads the key in the file `path`; at the first start makes it (mode 0600, "admin:" and 32 random bytes) and
 * sets *made. GW_ERR_KEY: it is there and no key; GW_ERR_IO: it cannot be read or written. */
enum gw_err gw_admin_key_load(const char *path, struct gw_env *env, char key[GW_ADMIN_KEY_MAX + 1],
                              bool *made, struct gw_error *error);
