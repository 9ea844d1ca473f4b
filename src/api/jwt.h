/* jwt.h: JSON Web Tokens as this API takes them: RFC 7519 in the compact form of RFC 7515, RS256
 * (RFC 7518, 3.3) and nothing else. Pure.
 *
 * The algorithm stands in the code, the key in the settings: nothing in a token chooses either.
 * `kid`, `jku`, `jwk`, `x5u` and the like are never looked at; `crit` is refused, as RFC 7515 4.1.11
 * asks of those who know none. base64url is strict: no padding, no stray bits, no white space. */
#pragma once

#include "base/arena.h"
#include "base/crypto.h"

#define GW_JWT_BYTES_MAX 8192

enum gw_jwt {
    GW_JWT_OK,
    GW_JWT_INVALID, /* malformed, another algorithm, a wrong signature, not yet valid, no appId */
    GW_JWT_EXPIRED, /* all right but for its `exp` */
};

/* The `appId` claim (a name, see gw_name_check) in the arena. `exp` and `nbf` are honoured when
 * they are there (numbers; without leeway). */
enum gw_jwt gw_jwt_check(struct gw_slice token, const struct gw_rsa_key *key, int64_t now_ms,
                         struct gw_arena *arena, struct gw_slice *app_id);
