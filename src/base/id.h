/* id.h: opaque identifiers, made by the store, and their text: "msg_" or "dlv_" and base32.
 *
 * SQLite uses 16 bytes, DynamoDB 16 (events) and 18 (deliveries). Nobody but the store that made
 * one may look inside. Base32 is RFC 4648, lower case, without padding. */
#pragma once

#include "base/slice.h"

#define GW_ID_BYTES_MAX 18
#define GW_ID_TEXT_MAX  36 /* prefix, base32 of 18 bytes, NUL */

struct gw_id {
    uint8_t len;
    uint8_t bytes[GW_ID_BYTES_MAX];
};

enum gw_id_kind { GW_ID_MESSAGE, GW_ID_DELIVERY };

/* Writes the NUL-terminated text into `text`; returns it as a slice. */
struct gw_slice gw_id_text(enum gw_id_kind kind, const struct gw_id *id, char text[GW_ID_TEXT_MAX]);

/* False when the text is no id of that kind (prefix, alphabet, length, stray bits). */
bool gw_id_parse(enum gw_id_kind kind, struct gw_slice text, struct gw_id *id);

bool gw_id_eq(const struct gw_id *a, const struct gw_id *b);

static inline struct gw_slice gw_id_slice(const struct gw_id *id)
{
    return (struct gw_slice){(const char *)id->bytes, id->len};
}
