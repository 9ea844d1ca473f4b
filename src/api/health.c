/* health.c: what load balancers ask: /healthz, /readyz. Reads counters and gauges that others keep;
 * answers while the server drains. Anybody may ask, from anywhere: no volumes. */
#include "api/metrics.h"
#include "api/reply.h"

void gw_healthz_get(struct gw_api_request *request)
{
    struct gw_buf *out = gw_reply_plain_begin(request);
    gw_buf_addc(out, '{');
    gw_json_member_s(out, "status", "ok");
    gw_json_member_s(out, "version", request->api->options.version);
    gw_buf_addc(out, '}');
    gw_reply_plain_end(request, 200, "application/json");
}

void gw_readyz_get(struct gw_api_request *request)
{
    const struct gw_shard *shard = request->api->shard;
    struct gw_ledger_state state = gw_ledger_state(shard->flow->ledger);
    bool ready = state.accepting && !shard->draining;
    const char *why = shard->draining ? "the server is stopping" : state.why;
    struct gw_buf *out = gw_reply_plain_begin(request);
    gw_buf_addc(out, '{');
    gw_json_member_s(out, "status", ready ? "ready" : "not_ready");
    gw_json_member_s(out, "why", ready ? NULL : why);
    gw_json_member_bool(out, "accepting", state.accepting);
    gw_json_member_bool(out, "draining", shard->draining);
    gw_json_member_int(out, "oldestDueAgeMs", gw_metrics_oldest_due_age_ms(shard));
    gw_buf_addc(out, '}');
    gw_reply_plain_end(request, ready ? 200 : 503, "application/json");
}
