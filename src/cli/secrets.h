/* secrets.h: the secrets that `gwh verify` and `gwh listen` are given. */
#pragma once

#include "cli/diagnose.h"
#include "cli/options.h"

struct gw_secrets {
    struct gw_secret all[GW_DIAGNOSE_SECRETS_MAX];
    size_t count;
};

/* -1: go on; else the exit code, and why was said. */
int gw_secrets_read(struct gw_secrets *secrets, const char *command,
                    const struct gw_option_list *list);
void gw_secrets_wipe(struct gw_secrets *secrets);
