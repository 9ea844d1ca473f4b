/* emf.c: owns the list of what CloudWatch is told.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 *
 * Differences since the last line, for CloudWatch sums what all processes say. No metric has an app or
 * a target in its name: such metrics would cost, and tell. */
#include "app/emf.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "store/delivery_log.h"

#include <unistd.h>

static uint64_t count(const struct gw_flow *flow, size_t which)
{
    return gw_flow_count(flow, which);
}

/* All attempts but those that succeeded. */
static uint64_t failed(const struct gw_flow *flow, size_t which)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < GW_OUTCOME_COUNT; i++)
        if (i != GW_OUTCOME_SUCCESS)
            sum += gw_flow_count(flow, which + i);
    return sum;
}

static uint64_t skipped(const struct gw_flow *flow, size_t which)
{
    uint64_t sum = 0;

    for (size_t i = GW_SKIP_NONE + 1; i < GW_SKIP_COUNT; i++)
        sum += gw_flow_count(flow, which + i);
    return sum;
}

static uint64_t rows_dropped(const struct gw_flow *flow, size_t which)
{
    (void)which;
    return gw_delivery_log_state(flow->log).dropped;
}

static const struct {
    const char *name;
    uint64_t (*value)(const struct gw_flow *flow, size_t which);
    size_t which;
} metrics[] = {
    {"EventsReceived", count, GW_COUNT_RECEIVED},
    {"EventsSkipped", skipped, GW_COUNT_SKIPPED},
    {"EventsDuplicate", count, GW_COUNT_DUPLICATE},
    {"DeliveriesDelivered", count, GW_COUNT_DELIVERED},
    {"DeliveriesDead", count, GW_COUNT_DEAD},
    {"DeliveriesCancelled", count, GW_COUNT_CANCELLED},
    {"AttemptsFailed", failed, GW_COUNT_OUTCOME},
    {"LogRowsDropped", rows_dropped, 0},
};

_Static_assert(gw_count(metrics) <= GW_EMF_METRICS_MAX, "raise the ceiling");

static void add_line(struct gw_emf *emf, const struct gw_flow *flow, int64_t now_ms,
                     struct gw_buf *out)
{
    uint64_t came[gw_count(metrics)];
    bool is_empty = true;

    for (size_t i = 0; i < gw_count(metrics); i++) {
        uint64_t now = metrics[i].value(flow, metrics[i].which);
        came[i] = now - emf->told[i];
        emf->told[i] = now;
        is_empty = is_empty && came[i] == 0;
    }
    if (is_empty)
        return;
    gw_buf_addf(out,
                "{\"_aws\":{\"Timestamp\":%lld,\"CloudWatchMetrics\":[{\"Namespace\":"
                "\"GenericWebhook\",\"Dimensions\":[[\"Deployment\"]],\"Metrics\":[",
                (long long)now_ms);
    for (size_t i = 0; i < gw_count(metrics); i++)
        gw_buf_addf(out, "%s{\"Name\":\"%s\",\"Unit\":\"Count\"}", i ? "," : "", metrics[i].name);
    gw_buf_addf(out, "]}]},\"Deployment\":\"%s\"", emf->deployment);
    for (size_t i = 0; i < gw_count(metrics); i++)
        gw_buf_addf(out, ",\"%s\":%llu", metrics[i].name, (unsigned long long)came[i]);
    gw_buf_adds(out, GW_SLICE("}\n"));
}

/* One write, as log lines are: no two ever mix. */
void gw_emf_tell(struct gw_emf *emf, const struct gw_flow *flow, int64_t now_ms)
{
    struct gw_buf line = {0};

    add_line(emf, flow, now_ms, &line);
    if (line.len > 0 && write(STDOUT_FILENO, line.ptr, line.len) < 0)
        gw_log(GW_LOG_WARN, "metrics_not_told");
    gw_buf_deinit(&line);
}
