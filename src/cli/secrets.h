/* secrets.h: what `gwh verify` and `gwh listen` are given to check signatures with. */
#pragma once

#include "cli/diagnose.h"
#include "cli/options.h"

struct gw_secrets_given {
    struct gw_option_list secrets, public_keys;
    const char *body_header, *body_encoding;
};

/* The options that fill it. */
#define GW_SECRETS_OPTIONS(given)                                                                  \
    {.name = "secret",                                                                             \
     .value = "SECRET|@FILE",                                                                      \
     .help = "whsec_… as the client has it; again for more",                                       \
     .list = &(given).secrets},                                                                    \
        {.name = "public-key",                                                                     \
         .value = "whpk_…",                                                                        \
         .help = "of a config with the scheme ed25519; again for more",                            \
         .list = &(given).public_keys},                                                            \
        {.name = "body-header",                                                                    \
         .value = "NAME",                                                                          \
         .help = "check the body scheme, whose signature is in this header",                       \
         .text = &(given).body_header},                                                            \
    {                                                                                              \
        .name = "body-encoding", .value = "hex|base64", .help = "how it is written there (hex)",   \
        .text = &(given).body_encoding                                                             \
    }

struct gw_secrets {
    struct gw_secret all[GW_DIAGNOSE_KEYS_MAX];
    size_t count;
    struct gw_public_key public_keys[GW_DIAGNOSE_KEYS_MAX];
    size_t public_key_count;
    const char *body_header;
    bool body_base64;
};

/* -1: go on; else the exit code, and why was said. */
int gw_secrets_read(struct gw_secrets *secrets, const char *command,
                    const struct gw_secrets_given *given);
void gw_secrets_given_deinit(struct gw_secrets_given *given);
void gw_secrets_wipe(struct gw_secrets *secrets);

/* There is something to check with. */
bool gw_secrets_any(const struct gw_secrets *secrets);

/* What of a question is known from them; they must outlive it. */
struct gw_diagnose gw_secrets_question(const struct gw_secrets *secrets);
