/* lambda_http.h: a request that came to Lambda by a Function URL or an HTTP API (both: payload 2.0)
 * as an exchange, and the exchange's answer as what Lambda wants to have. Pure. */
#pragma once

#include "sys/exchange.h"

#include <yyjson.h>

bool gw_lambda_http_is(yyjson_val *event);

/* Fills in the request; of the exchange the env and the arena are given. The event must live as long.
 * The peer is who AWS says has called, whatever the headers say. The error has no part of it. */
enum gw_err gw_lambda_http_read(struct gw_exchange *exchange, yyjson_val *event,
                                struct gw_error *error);

/* The answer as JSON, in the exchange's arena: as text where it is one, else in base64. One that is
 * larger than Lambda takes becomes a 413. */
struct gw_slice gw_lambda_http_write(const struct gw_exchange *exchange);
