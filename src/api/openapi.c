/* openapi.c: says what this API is: GET /openapi.json. That every route is in there, and nothing
 * else, a test checks. */
#include "api/openapi.h"

#include "api/reply.h"

void gw_openapi_get(struct gw_api_request *request)
{
    gw_reply_give(request, 200, "application/json", gw_openapi_json);
}
