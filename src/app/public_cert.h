/* public_cert.h: PUBLIC_CERT, the key that callers' tokens are signed with. */
#pragma once

#include "base/crypto.h"
#include "base/err.h"

/* PEM text; its lines may also end in the two characters "\n", as files of variables have them.
 * NULL: it is none; *why says what it is instead. */
struct gw_rsa_key *gw_public_cert_parse(struct gw_slice text, const char **why);

/* `setting`: such a text, or "@PATH" of a file that holds one. GW_ERR_IO, GW_ERR_KEY. */
enum gw_err gw_public_cert_load(const char *setting, struct gw_rsa_key **key,
                                struct gw_error *error);
