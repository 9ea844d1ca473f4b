/* stats.c: GET /v1/stats: what became of events, by hour or by day, app, type and URL.
 *
 * An event, and all that becomes of it, counts in the bucket in which it was accepted, as in the
 * ledger. The answer is bounded: who asks for more is told to ask for less. */
#include "api/query.h"
#include "api/reply.h"

#define HOURS_DEFAULT_MS (24 * GW_HOUR_MS)
#define DAYS_DEFAULT_MS  (7 * GW_DAY_MS)

enum param { APP_ID, EVENT_TYPE, URL, FROM, TO, BUCKET, PARAM_COUNT };

static const char *const param_names[PARAM_COUNT] = {"appId", "eventType", "url",
                                                     "from",  "to",        "bucket"};

struct stats {
    struct gw_api_request *request;
    struct gw_stats_op op;
};

/* ── What is asked for ─────────────────────────────────────────────────────────────────────── */

static enum gw_err parse_bucket(struct gw_slice value, int64_t *bucket_ms, struct gw_error *error)
{
    *bucket_ms = GW_HOUR_MS;
    if (!value.ptr || gw_slice_is(value, "hour"))
        return GW_OK;
    *bucket_ms = GW_DAY_MS;
    if (gw_slice_is(value, "day"))
        return GW_OK;
    return gw_error_set(error, GW_ERR_INVALID, "bucket: must be hour or day");
}

static enum gw_err parse(struct stats *stats, struct gw_error *error)
{
    struct gw_stats_op *op = &stats->op;
    struct gw_slice values[PARAM_COUNT];
    int64_t now_ms = gw_env_wall_ms(gw_api_env(stats->request));

    enum gw_err err = gw_query_parse(stats->request, param_names, PARAM_COUNT, values, error);
    if (err == GW_OK)
        err = parse_bucket(values[BUCKET], &op->bucket_ms, error);
    if (err != GW_OK)
        return err;
    op->to_ms = gw_floor_ms(now_ms, op->bucket_ms) + op->bucket_ms;
    err = gw_query_whole("to", values[TO], op->bucket_ms, &op->to_ms, error);
    op->from_ms = op->to_ms - (op->bucket_ms == GW_DAY_MS ? DAYS_DEFAULT_MS : HOURS_DEFAULT_MS);
    if (err == GW_OK)
        err = gw_query_whole("from", values[FROM], op->bucket_ms, &op->from_ms, error);
    if (err == GW_OK && op->from_ms >= op->to_ms)
        err = gw_error_set(error, GW_ERR_INVALID, "from: must be before to");
    op->app_id = values[APP_ID];
    op->event_type = values[EVENT_TYPE];
    op->url = values[URL].ptr ? gw_url_shown(values[URL]) : values[URL];
    return err;
}

/* ── The answer ────────────────────────────────────────────────────────────────────────────── */

static void add_percentile(struct gw_buf *out, const char *name, const struct gw_latency *latency,
                           int64_t ms)
{
    if (latency->count)
        gw_json_member_int(out, name, ms);
    else
        gw_json_member_null(out, name);
}

/* An event is received, or skipped, before it has a URL. */
static void add_events(struct gw_buf *out, const char *name, bool has_url, int64_t count)
{
    if (has_url)
        gw_json_member_null(out, name);
    else
        gw_json_member_int(out, name, count);
}

static void add_item(struct gw_buf *out, const struct gw_stats_op *op,
                     const struct gw_stats_row *row)
{
    bool has_url = op->url.ptr != NULL;

    gw_json_next(out);
    gw_buf_addc(out, '{');
    gw_json_member_time(out, "bucket", row->bucket_ms);
    gw_json_member(out, "appId", row->app_id);
    gw_json_member(out, "eventType", row->event_type);
    gw_json_member(out, "url", op->url);
    add_events(out, "received", has_url, row->received);
    gw_json_member_int(out, "delivered", row->delivered);
    gw_json_member_int(out, "failedAttempts", row->failed);
    gw_json_member_int(out, "dead", row->dead);
    add_events(out, "skipped", has_url, row->skipped);
    gw_json_member_rate(out, "successRate", (uint64_t)row->delivered,
                        (uint64_t)(row->delivered + row->failed));
    add_percentile(out, "p50Ms", &row->latency, row->latency.p50_ms);
    add_percentile(out, "p95Ms", &row->latency, row->latency.p95_ms);
    add_percentile(out, "p99Ms", &row->latency, row->latency.p99_ms);
    gw_buf_addc(out, '}');
}

static void on_stats(struct gw_op *base)
{
    struct gw_stats_op *op = gw_container_of(base, struct gw_stats_op, op);
    struct stats *stats = gw_container_of(op, struct stats, op);

    if (base->err == GW_ERR_TOO_LARGE) {
        gw_reply_fail(
            stats->request, 400,
            "these are more than %d items; ask for less time, for days, or for one appId, "
            "eventType or url",
            GW_STATS_MAX);
        return;
    }
    if (base->err != GW_OK) {
        gw_reply_store_failed(stats->request, base);
        return;
    }
    struct gw_buf *out = gw_reply_begin(stats->request, 200);
    gw_buf_addc(out, '{');
    gw_json_member_time(out, "from", op->from_ms);
    gw_json_member_time(out, "to", op->to_ms);
    gw_json_key(out, "items");
    gw_buf_addc(out, '[');
    for (size_t i = 0; i < op->count; i++)
        add_item(out, op, &op->rows[i]);
    gw_buf_adds(out, GW_SLICE("]}"));
    gw_reply_end(stats->request);
}

void gw_stats_get(struct gw_api_request *request)
{
    struct stats *stats = gw_arena_zalloc(gw_api_arena(request), sizeof(*stats));
    struct gw_stats_op *op = &stats->op;
    struct gw_error error;

    stats->request = request;
    op->op = (struct gw_op){.env = gw_api_env(request), .done = on_stats};
    op->arena = gw_api_arena(request);
    if (parse(stats, &error) != GW_OK) {
        gw_reply_fail(request, 400, "%s", error.text);
        return;
    }
    if (!op->app_id.ptr)
        op->app_id = request->caller.scope;
    if (op->app_id.ptr && !gw_api_may_see(request, op->app_id)) {
        gw_reply_fail(request, 404, "there is no such app");
        return;
    }
    struct gw_ledger *ledger =
        gw_api_is_shared(request) ? request->api->options.stats : request->api->shard->flow->ledger;
    if (!ledger) {
        gw_reply_fail(request, 501,
                      "statistics are read from the delivery log, and this server has none that "
                      "can be asked: --log-url must be a postgres:// URL");
        return;
    }
    gw_ledger_stats(ledger, op);
}
