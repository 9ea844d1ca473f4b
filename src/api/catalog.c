/* catalog.c: says what the known events look like: GET /v1/catalog. It is there for people and their
 * tools: intake takes other types too, and asks no schema. */
#include "api/catalog.h"

#include "api/query.h"
#include "api/reply.h"

void gw_catalog_get(struct gw_api_request *request)
{
    struct gw_error error;
    if (gw_query_parse(request, NULL, 0, NULL, &error) != GW_OK) {
        gw_reply_fail(request, 400, "%s", error.text);
        return;
    }
    struct gw_buf *out = gw_reply_begin(request, 200);
    gw_buf_adds(out, GW_SLICE("{\"items\":"));
    gw_buf_adds(out, gw_catalog_json);
    gw_buf_adds(out, GW_SLICE(",\"next\":null}"));
    gw_reply_end(request);
}
