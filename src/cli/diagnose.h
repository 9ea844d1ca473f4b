/* diagnose.h: is a received webhook genuine, and if not, why: for `gwh verify` and `gwh listen`.
 * Standard Webhooks 1.0.0 (v1 with secrets, v1a with public keys), or the body scheme. Pure. */
#pragma once

#include "core/sign.h"
#include "sys/exchange.h"

#define GW_DIAGNOSE_KEYS_MAX 16 /* of secrets, and of public keys */

enum gw_diagnosis {
    GW_GENUINE,
    GW_HEADER_MISSING,
    GW_TIMESTAMP_BAD, /* not a number of seconds */
    GW_TOO_OLD,       /* the signature is right */
    GW_TOO_NEW,       /* the signature is right */
    GW_REPLAYED,      /* the signature is right, and came before */
    GW_SIGNATURE_FORM,
    GW_KEY_NOT_DECODED, /* made with the text of whsec_… as the key */
    GW_KEY_DECODED,     /* made with what base64 in the secret decodes to, and should not be */
    GW_KEY_CUT,         /* body scheme: made with the text behind whsec_ */
    GW_BODY_ALONE,      /* the signature covers the body only */
    GW_BODY_CHANGED,    /* right for the same content in other bytes */
    GW_NOT_GENUINE,
};

const char *gw_diagnosis_name(enum gw_diagnosis diagnosis); /* "too_old" */

struct gw_public_key {
    uint8_t bytes[GW_ED25519_BYTES]; /* shown as "whpk_" and the base64 of it */
};

/* At least one secret or public key. */
struct gw_diagnose {
    const struct gw_secret *secrets;
    size_t secret_count;
    const struct gw_header *headers; /* names are compared without case */
    size_t header_count;
    struct gw_slice body;
    int64_t now_s;
    int64_t tolerance_s;
    bool came_before; /* this very attempt did, with all that is signed */
    const struct gw_public_key *public_keys;
    size_t public_key_count;
    const char *body_header; /* the body scheme, signed in this header; NULL = Standard Webhooks */
    bool body_base64;        /* and so encoded; else hex */
};

/* Appends what was found in a sentence or two; never a secret. */
enum gw_diagnosis gw_diagnose(const struct gw_diagnose *d, struct gw_buf *why);
