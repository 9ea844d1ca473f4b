/* diagnose.h: is a received webhook genuine, and if not, why: for `gwh verify` and `gwh listen`.
 * Standard Webhooks 1.0.0, symmetric signatures. Pure. */
#pragma once

#include "core/sign.h"
#include "sys/exchange.h"

#define GW_DIAGNOSE_SECRETS_MAX 16

enum gw_diagnosis {
    GW_GENUINE,
    GW_HEADER_MISSING,
    GW_TIMESTAMP_BAD, /* not a number of seconds */
    GW_TOO_OLD,       /* the signature is right */
    GW_TOO_NEW,       /* the signature is right */
    GW_SIGNATURE_FORM,
    GW_KEY_NOT_DECODED, /* made with the text of whsec_… as the key */
    GW_KEY_DECODED,     /* made with the base64 behind a whsec_ that is not in the secret given */
    GW_BODY_ALONE,      /* the signature covers the body only */
    GW_BODY_CHANGED,    /* right for the same content in other bytes */
    GW_NOT_GENUINE,
};

const char *gw_diagnosis_name(enum gw_diagnosis diagnosis); /* "too_old" */

struct gw_diagnose {
    const struct gw_secret *secrets;
    size_t secret_count;
    const struct gw_header *headers; /* names are compared without case */
    size_t header_count;
    struct gw_slice body;
    int64_t now_s;
    int64_t tolerance_s;
};

/* Appends what was found in a sentence or two; never a secret. */
enum gw_diagnosis gw_diagnose(const struct gw_diagnose *d, struct gw_buf *why);
