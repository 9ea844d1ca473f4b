/* auth.h: who may call: the address, then the key. CONTRACT section 2, "Who may call". */
#pragma once

#include "api/api_impl.h"

/* The address that counts: the peer's; behind trusted proxies, the rightmost one of
 * X-Forwarded-For that is none of theirs. family 0 = it cannot be told. */
struct gw_addr gw_auth_address(const struct gw_api_options *options,
                               const struct gw_exchange *exchange);

bool gw_auth_address_allowed(const struct gw_api_options *options,
                             const struct gw_exchange *exchange);

/* What came of asking who it is. */
struct gw_auth_answer {
    int status; /* 0 = request->caller is known; else what to answer */
    const char *why;
    int64_t again_ms; /* with 503 */
};

typedef void gw_auth_then(struct gw_api_request *request, const struct gw_auth_answer *answer);

/* Finds out who asks; `then` is called once, at once or later (the store or an external service may
 * have to be asked). */
void gw_auth_caller(struct gw_api_request *request, gw_auth_then *then);
