/* exchange.c: looking into an exchange; no connection, no memory of its own. */
#include "sys/exchange.h"

struct gw_slice gw_exchange_header(const struct gw_exchange *exchange, const char *name)
{
    struct gw_slice wanted = gw_slice_from(name);

    for (size_t i = 0; i < exchange->header_count; i++)
        if (gw_slice_eq_nocase(exchange->headers[i].name, wanted))
            return exchange->headers[i].value;
    return (struct gw_slice){0};
}
