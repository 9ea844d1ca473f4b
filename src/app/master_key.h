/* master_key.h: the key that everything in the store is sealed under. */
#pragma once

#include "sys/env.h"

#define GW_MASTER_KEY_BYTES 32

/* 32 bytes as base64 text. */
bool gw_master_key_parse(const char *text, uint8_t key[GW_MASTER_KEY_BYTES]);

/* Where it is to be found; texts are NULL where nothing was said. */
struct gw_master_key_place {
    const char *data; /* the data directory, made when it is missing; NULL: no key is made either */
    const char *file; /* another file than data/master.key; never made here */
    const char *text; /* the key itself: no file counts */
};

/* Reads it. In a data directory without a store, where nothing else was said, it is made (mode 0400)
 * and *made set. GW_ERR_KEY: it is no key, or it is not there; GW_ERR_IO: it cannot be read or
 * written. */
enum gw_err gw_master_key_load(const struct gw_master_key_place *place, struct gw_env *env,
                               uint8_t key[GW_MASTER_KEY_BYTES], bool *made,
                               struct gw_error *error);
