/* metrics.c: owns the table of metrics. /metrics reads counters and gauges that others keep, and the
 * process's own numbers on another thread; it stores nothing, and answers while the server drains.
 *
 * Names are gwh_…, but for process_… which every exporter has; units last, and those of Prometheus
 * (seconds, bytes); totals of counters end in _total. No label names a client, an app or a target:
 * what a label may say is known before the server starts. */
#include "api/metrics.h"

#include "api/process.h"
#include "api/reply.h"
#include "base/log.h"

/* Numbers of the process and the ledger, as they are at a scrape. */
enum value {
    VALUE_OLDEST_DUE_AGE_US,
    VALUE_SHARDS,
    VALUE_ACCEPTING,
    VALUE_OPEN,
    VALUE_QUEUED,
    VALUE_OPERATIONS,
    VALUE_CONFIGS,
    VALUE_DAMAGED,
    VALUE_DISK_FREE,
    VALUE_DISK_RESERVE,
    VALUE_LOG_WRITTEN,
    VALUE_LOG_SPOOLED,
    VALUE_LOG_DROPPED,
    VALUE_LOG_SPOOL,
    VALUE_LOG_LAG_US,
    VALUE_CPU_US,
    VALUE_STARTED_S,
    VALUE_VIRTUAL,
    VALUE_RESIDENT,
    VALUE_THREADS,
    VALUE_FDS,
    VALUE_FDS_MAX,
    VALUE_COUNT,
};

struct scrape {
    struct gw_api_request *request;
    struct gw_work work;
    struct gw_process process;
    int64_t values[VALUE_COUNT];
    struct gw_histogram_view commits;
    struct gw_buf *out;
};

enum kind { COUNTER, GAUGE, HISTOGRAM };

static const char *const kind_names[] = {"counter", "gauge", "histogram"};

struct metric {
    const char *name;
    enum kind kind;
    void (*add)(struct scrape *scrape, const struct metric *metric); /* its samples */
    size_t which;                       /* enum gw_count, enum gw_gauge …, as `add` takes it */
    const char *label;                  /* NULL = none, and one sample */
    const char *(*label_value)(size_t); /* NULL = there is none of that number */
    size_t label_values;
    const char *help;
};

/* ── Samples ───────────────────────────────────────────────────────────────────────────────── */

static void sample(struct scrape *scrape, const struct metric *metric, size_t i, uint64_t value)
{
    const char *label_value = metric->label ? metric->label_value(i) : NULL;
    if (!metric->label)
        gw_buf_addf(scrape->out, "%s %llu\n", metric->name, (unsigned long long)value);
    else if (label_value)
        gw_buf_addf(scrape->out, "%s{%s=\"%s\"} %llu\n", metric->name, metric->label, label_value,
                    (unsigned long long)value);
}

/* How many samples: one, or one for each value of the label. */
static size_t samples_of(const struct metric *metric)
{
    return metric->label ? metric->label_values : 1;
}

static const struct gw_flow *flow_of(const struct scrape *scrape)
{
    return scrape->request->api->shard->flow;
}

static void add_counts(struct scrape *scrape, const struct metric *metric)
{
    for (size_t i = 0; i < samples_of(metric); i++)
        sample(scrape, metric, i, gw_flow_count(flow_of(scrape), metric->which + i));
}

static void add_gauges(struct scrape *scrape, const struct metric *metric)
{
    for (size_t i = 0; i < samples_of(metric); i++)
        sample(scrape, metric, i, (uint64_t)gw_flow_gauge(flow_of(scrape), metric->which + i));
}

static void add_api_counts(struct scrape *scrape, const struct metric *metric)
{
    const struct gw_api_options *options = &scrape->request->api->options;
    for (size_t i = 0; i < samples_of(metric); i++) {
        uint64_t sum = 0;
        for (size_t shard = 0; shard < flow_of(scrape)->shard_count; shard++)
            sum += atomic_load_explicit(&options->apis[shard]->counts[metric->which + i],
                                        memory_order_relaxed);
        sample(scrape, metric, i, sum);
    }
}

static void add_log_counts(struct scrape *scrape, const struct metric *metric)
{
    for (size_t i = 0; i < samples_of(metric); i++)
        sample(scrape, metric, i, gw_log_count((enum gw_log_level)i));
}

static void add_value(struct scrape *scrape, const struct metric *metric)
{
    sample(scrape, metric, 0, (uint64_t)scrape->values[metric->which]);
}

static void add_seconds(struct gw_buf *out, uint64_t us)
{
    gw_buf_addf(out, "%llu.%06u", (unsigned long long)(us / 1000000), (unsigned)(us % 1000000));
}

static void add_value_seconds(struct scrape *scrape, const struct metric *metric)
{
    gw_buf_addf(scrape->out, "%s ", metric->name);
    add_seconds(scrape->out, (uint64_t)scrape->values[metric->which]);
    gw_buf_addc(scrape->out, '\n');
}

static void add_build(struct scrape *scrape, const struct metric *metric)
{
    gw_buf_addf(scrape->out, "%s{%s=\"%s\"} 1\n", metric->name, metric->label,
                scrape->request->api->options.version);
}

/* The bounds up to `max_us`; what took longer is in +Inf, which is the count. */
static void add_histogram(struct scrape *scrape, const struct metric *metric,
                          const struct gw_histogram_view *view, int64_t max_us)
{
    struct gw_buf *out = scrape->out;
    uint64_t below = 0;
    for (size_t i = 0; i < GW_HISTOGRAM_BOUNDS && gw_histogram_bound_us(i) <= max_us; i++) {
        int64_t bound_us = gw_histogram_bound_us(i);
        below += view->counts[i];
        gw_buf_addf(out, "%s_bucket{le=\"%g\"} %llu\n", metric->name, (double)bound_us / 1e6,
                    (unsigned long long)below);
    }
    gw_buf_addf(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum ", metric->name,
                (unsigned long long)view->count, metric->name);
    add_seconds(out, view->sum_us);
    gw_buf_addf(out, "\n%s_count %llu\n", metric->name, (unsigned long long)view->count);
}

/* Up to what the bounds of a histogram make sense. */
#define COMMIT_US_MAX ((int64_t)10 * 1000000)

static const int64_t durations_us_max[GW_DURATION_END] = {
    [GW_DURATION_ACCEPT] = (int64_t)30 * 1000000,
    [GW_DURATION_ATTEMPT] = (int64_t)30 * 1000000,
    [GW_DURATION_DELIVERY] = INT64_MAX,
};

static void add_commits(struct scrape *scrape, const struct metric *metric)
{
    add_histogram(scrape, metric, &scrape->commits, COMMIT_US_MAX);
}

static void add_duration(struct scrape *scrape, const struct metric *metric)
{
    struct gw_histogram_view view =
        gw_flow_duration(flow_of(scrape), (enum gw_duration)metric->which);
    add_histogram(scrape, metric, &view, durations_us_max[metric->which]);
}

/* ── What labels say ───────────────────────────────────────────────────────────────────────── */

static const char *skip_name(size_t i)
{
    return gw_skip_name((enum gw_skip)i);
}

static const char *refusal_name(size_t i)
{
    return gw_refusal_class_name((enum gw_refusal_class)i);
}

static const char *outcome_name(size_t i)
{
    return gw_outcome_name((enum gw_outcome)i);
}

static const char *state_name(size_t i)
{
    return gw_health_state_name((enum gw_health_state)i);
}

static const char *level_name(size_t i)
{
    return gw_log_level_name((enum gw_log_level)i);
}

static const char *auth_name(size_t i)
{
    static const char *const names[] = {"address", "credentials", "expired", "unchecked", "role"};
    return names[i];
}

static const char *class_name(size_t i)
{
    static const char *const names[] = {NULL, NULL, "2xx", "3xx", "4xx", "5xx"};
    return names[i];
}

/* ── The table ─────────────────────────────────────────────────────────────────────────────── */

static const struct metric metrics[] = {
    /* in */
    {"gwh_events_received_total", COUNTER, add_counts, GW_COUNT_RECEIVED, NULL, NULL, 0,
     "Events accepted, duplicates left out."},
    {"gwh_events_routed_total", COUNTER, add_counts, GW_COUNT_ROUTED, NULL, NULL, 0,
     "Events accepted that have deliveries."},
    {"gwh_events_skipped_total", COUNTER, add_counts, GW_COUNT_SKIPPED, "reason", skip_name,
     GW_SKIP_COUNT, "Events accepted that go nowhere, by reason."},
    {"gwh_events_duplicate_total", COUNTER, add_counts, GW_COUNT_DUPLICATE, NULL, NULL, 0,
     "Events that were there already."},
    {"gwh_event_accept_duration_seconds", HISTOGRAM, add_duration, GW_DURATION_ACCEPT, NULL, NULL,
     0, "How long events took until they were on stable storage, duplicates included."},
    {"gwh_events_refused_total", COUNTER, add_counts, GW_COUNT_REFUSED, "reason", refusal_name,
     GW_REFUSAL_COUNT, "Events not taken, by reason."},
    /* out */
    {"gwh_attempts_total", COUNTER, add_counts, GW_COUNT_OUTCOME, "outcome", outcome_name,
     GW_OUTCOME_COUNT, "Attempts, by outcome."},
    {"gwh_attempt_duration_seconds", HISTOGRAM, add_duration, GW_DURATION_ATTEMPT, NULL, NULL, 0,
     "How long attempts took, names, connecting and TLS included."},
    {"gwh_attempts_in_flight", GAUGE, add_gauges, GW_GAUGE_IN_FLIGHT, NULL, NULL, 0,
     "Attempts under way."},
    {"gwh_deliveries_delivered_total", COUNTER, add_counts, GW_COUNT_DELIVERED, NULL, NULL, 0,
     "Deliveries answered with 2xx."},
    {"gwh_deliveries_dead_total", COUNTER, add_counts, GW_COUNT_DEAD, NULL, NULL, 0,
     "Deliveries given up."},
    {"gwh_deliveries_cancelled_total", COUNTER, add_counts, GW_COUNT_CANCELLED, NULL, NULL, 0,
     "Deliveries cancelled."},
    {"gwh_deliveries_retried_total", COUNTER, add_counts, GW_COUNT_RETRIED_BY_HAND, NULL, NULL, 0,
     "Manual retries."},
    {"gwh_delivery_duration_seconds", HISTOGRAM, add_duration, GW_DURATION_DELIVERY, NULL, NULL, 0,
     "How long deliveries took, from their event or replay to the 2xx."},
    {"gwh_deliveries_in_memory", GAUGE, add_gauges, GW_GAUGE_IN_MEMORY, NULL, NULL, 0,
     "Deliveries held in memory; the ledger has all that are open."},
    {"gwh_oldest_due_age_seconds", GAUGE, add_value_seconds, VALUE_OLDEST_DUE_AGE_US, NULL, NULL, 0,
     "How long the oldest delivery that is due has waited; 0 when none is."},
    {"gwh_targets", GAUGE, add_gauges, GW_GAUGE_TARGETS, "state", state_name, GW_HEALTH_STATE_COUNT,
     "Targets that memory knows, by how they do."},
    {"gwh_targets_busy", GAUGE, add_gauges, GW_GAUGE_BUSY, NULL, NULL, 0,
     "Targets with something waiting or in flight."},
    /* the API */
    {"gwh_http_responses_total", COUNTER, add_api_counts, GW_API_COUNT_ANSWER, "code", class_name,
     GW_API_COUNT_END - GW_API_COUNT_ANSWER, "Requests answered, by class of status."},
    {"gwh_auth_failures_total", COUNTER, add_api_counts, GW_API_COUNT_ADDRESS, "reason", auth_name,
     GW_API_COUNT_ANSWER, "Requests refused for who asked, by reason."},
    {"gwh_configs", GAUGE, add_value, VALUE_CONFIGS, NULL, NULL, 0, "Configs stored."},
    /* the store */
    {"gwh_ledger_accepting", GAUGE, add_value, VALUE_ACCEPTING, NULL, NULL, 0,
     "1 while the ledger takes events."},
    {"gwh_ledger_open_deliveries", GAUGE, add_value, VALUE_OPEN, NULL, NULL, 0,
     "Deliveries that are pending or held."},
    {"gwh_ledger_queued_operations", GAUGE, add_value, VALUE_QUEUED, NULL, NULL, 0,
     "Operations that wait for the next commit."},
    {"gwh_ledger_operations_total", COUNTER, add_value, VALUE_OPERATIONS, NULL, NULL, 0,
     "Operations in the groups committed."},
    {"gwh_ledger_commit_duration_seconds", HISTOGRAM, add_commits, 0, NULL, NULL, 0,
     "How long groups took to commit."},
    {"gwh_settles_again_total", COUNTER, add_counts, GW_COUNT_SETTLE_AGAIN, NULL, NULL, 0,
     "Outcomes that had to wait for the ledger."},
    {"gwh_store_disk_free_bytes", GAUGE, add_value, VALUE_DISK_FREE, NULL, NULL, 0,
     "Free space where the store is."},
    {"gwh_store_disk_reserve_bytes", GAUGE, add_value, VALUE_DISK_RESERVE, NULL, NULL, 0,
     "Free space below which no events are taken."},
    {"gwh_store_files_damaged", GAUGE, add_value, VALUE_DAMAGED, NULL, NULL, 0,
     "Files set aside as damaged; the log names them."},
    /* the delivery log */
    {"gwh_delivery_log_rows_written_total", COUNTER, add_value, VALUE_LOG_WRITTEN, NULL, NULL, 0,
     "Rows of the delivery log that the database took."},
    {"gwh_delivery_log_rows_spooled_total", COUNTER, add_value, VALUE_LOG_SPOOLED, NULL, NULL, 0,
     "Rows of it that went to the disk first, for the database was away or slow."},
    {"gwh_delivery_log_rows_dropped_total", COUNTER, add_value, VALUE_LOG_DROPPED, NULL, NULL, 0,
     "Rows of it that are lost; the log says why."},
    {"gwh_delivery_log_spool_bytes", GAUGE, add_value, VALUE_LOG_SPOOL, NULL, NULL, 0,
     "Rows of it that wait on disk."},
    {"gwh_delivery_log_lag_seconds", GAUGE, add_value_seconds, VALUE_LOG_LAG_US, NULL, NULL, 0,
     "How long the oldest row of it has waited; 0 when none does."},
    /* the process */
    {"gwh_build_info", GAUGE, add_build, 0, "version", NULL, 0, "1; the label says which build."},
    {"gwh_shards", GAUGE, add_value, VALUE_SHARDS, NULL, NULL, 0, "Loop threads."},
    {"gwh_log_lines_total", COUNTER, add_log_counts, 0, "level", level_name, GW_LOG_DEBUG + 1,
     "Lines logged, by level."},
    {"process_cpu_seconds_total", COUNTER, add_value_seconds, VALUE_CPU_US, NULL, NULL, 0,
     "CPU time, user and system."},
    {"process_start_time_seconds", GAUGE, add_value, VALUE_STARTED_S, NULL, NULL, 0,
     "When the process started, in Unix time."},
    {"process_virtual_memory_bytes", GAUGE, add_value, VALUE_VIRTUAL, NULL, NULL, 0,
     "Virtual memory."},
    {"process_resident_memory_bytes", GAUGE, add_value, VALUE_RESIDENT, NULL, NULL, 0,
     "Resident memory."},
    {"process_threads", GAUGE, add_value, VALUE_THREADS, NULL, NULL, 0, "Threads."},
    {"process_open_fds", GAUGE, add_value, VALUE_FDS, NULL, NULL, 0, "Open file descriptors."},
    {"process_max_fds", GAUGE, add_value, VALUE_FDS_MAX, NULL, NULL, 0,
     "File descriptors that may be open."},
};

/* ── /metrics ──────────────────────────────────────────────────────────────────────────────── */

/* 0 = since never. */
static int64_t age_ms(const struct gw_shard *shard, int64_t since_ms)
{
    int64_t ms = since_ms ? gw_env_wall_ms(shard->env) - since_ms : 0;
    return ms > 0 ? ms : 0;
}

int64_t gw_metrics_oldest_due_age_ms(const struct gw_shard *shard)
{
    return age_ms(shard, gw_flow_gauge(shard->flow, GW_GAUGE_OLDEST_DUE_MS));
}

static void collect(struct scrape *scrape)
{
    const struct gw_shard *shard = scrape->request->api->shard;
    struct gw_ledger_state state = gw_ledger_state(shard->flow->ledger);
    struct gw_delivery_log_state log = gw_delivery_log_state(shard->flow->log);
    const struct gw_process *process = &scrape->process;
    const int64_t values[VALUE_COUNT] = {
        [VALUE_OLDEST_DUE_AGE_US] = gw_metrics_oldest_due_age_ms(shard) * 1000,
        [VALUE_SHARDS] = (int64_t)shard->flow->shard_count,
        [VALUE_ACCEPTING] = state.accepting,
        [VALUE_OPEN] = (int64_t)state.open,
        [VALUE_QUEUED] = (int64_t)state.queued,
        [VALUE_OPERATIONS] = (int64_t)state.operations,
        [VALUE_CONFIGS] = (int64_t)state.configs,
        [VALUE_DAMAGED] = (int64_t)state.damaged,
        [VALUE_DISK_FREE] = state.disk_free_bytes,
        [VALUE_DISK_RESERVE] = state.disk_reserve_bytes,
        [VALUE_LOG_WRITTEN] = (int64_t)log.written,
        [VALUE_LOG_SPOOLED] = (int64_t)log.spooled,
        [VALUE_LOG_DROPPED] = (int64_t)log.dropped,
        [VALUE_LOG_SPOOL] = log.spool_bytes,
        [VALUE_LOG_LAG_US] = age_ms(shard, log.oldest_ms) * 1000,
        [VALUE_CPU_US] = process->cpu_us,
        [VALUE_STARTED_S] = process->started_s,
        [VALUE_VIRTUAL] = process->virtual_bytes,
        [VALUE_RESIDENT] = process->resident_bytes,
        [VALUE_THREADS] = process->threads,
        [VALUE_FDS] = process->fds,
        [VALUE_FDS_MAX] = process->fds_max,
    };
    memcpy(scrape->values, values, sizeof(values));
    scrape->commits = state.commits;
}

static void on_scrape_run(struct gw_work *work)
{
    gw_process_look(&gw_container_of(work, struct scrape, work)->process);
}

static void on_scrape_done(struct gw_work *work)
{
    struct scrape *scrape = gw_container_of(work, struct scrape, work);
    collect(scrape);
    scrape->out = gw_reply_plain_begin(scrape->request);
    for (size_t i = 0; i < gw_count(metrics); i++) {
        const struct metric *metric = &metrics[i];
        gw_buf_addf(scrape->out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help,
                    metric->name, kind_names[metric->kind]);
        metric->add(scrape, metric);
    }
    gw_reply_plain_end(scrape->request, 200, "text/plain; version=0.0.4; charset=utf-8");
}

void gw_metrics_get(struct gw_api_request *request)
{
    struct scrape *scrape = gw_arena_zalloc(gw_api_arena(request), sizeof(*scrape));
    scrape->request = request;
    scrape->work = (struct gw_work){.run = on_scrape_run, .done = on_scrape_done};
    if (!request->api->shard->draining) {
        gw_env_work(gw_api_env(request), &scrape->work);
        return;
    }
    on_scrape_run(&scrape->work); /* nobody waits for work any more */
    on_scrape_done(&scrape->work);
}

/* ── The page ──────────────────────────────────────────────────────────────────────────────── */

static void add_label(struct gw_buf *out, const struct metric *metric)
{
    bool is_first = true;
    if (!metric->label)
        return;
    gw_buf_addf(out, "`%s`", metric->label);
    for (size_t i = 0; metric->label_value && i < metric->label_values; i++) {
        const char *value = metric->label_value(i);
        if (!value)
            continue;
        gw_buf_addf(out, "%s %s", is_first ? ":" : ",", value);
        is_first = false;
    }
}

/* For whoever writes the first rules. */
static const struct {
    const char *rule, *why;
} watched[] = {
    {"gwh_ledger_accepting == 0", "no events are taken; the log says why"},
    {"gwh_oldest_due_age_seconds > 600", "deliveries wait though they are due"},
    {"increase(gwh_deliveries_dead_total[1h]) > 0", "deliveries were given up: `gwh why` each"},
    {"gwh_targets{state=\"disabled\"} > 0", "nothing is sent there until somebody enables it"},
    {"rate(gwh_events_refused_total{reason=~\"overload|disk_full|failed\"}[5m]) > 0",
     "producers are told to come again"},
    {"gwh_store_disk_free_bytes < 4 * gwh_store_disk_reserve_bytes", "the disk fills up"},
    {"gwh_store_files_damaged > 0", "a part of the history cannot be read"},
    {"increase(gwh_delivery_log_rows_dropped_total[1h]) > 0", "reports will lack rows"},
    {"gwh_delivery_log_lag_seconds > 600", "the log's database is away or too slow"},
    {"process_open_fds > 0.8 * process_max_fds", "connections will be refused"},
    {"rate(gwh_auth_failures_total[5m]) > 1", "somebody tries keys, or one has expired"},
    {"increase(gwh_log_lines_total{level=\"error\"}[15m]) > 0", "somebody must look"},
};

void gw_metrics_page(struct gw_buf *out)
{
    gw_buf_adds(
        out, GW_SLICE("# Metrics\n\n"
                      "<!-- `make docs` writes this page from the table in src/api/metrics.c. -->"
                      "\n\n"
                      "`GET /metrics` answers them in the Prometheus text format, to every address "
                      "in `ALLOWED_IPS`. Counters begin at 0 when the server starts. No label "
                      "names an app, a client or a URL.\n\n"
                      "| Metric | Type | Label | What it is |\n|---|---|---|---|\n"));
    for (size_t i = 0; i < gw_count(metrics); i++) {
        gw_buf_addf(out, "| `%s` | %s | ", metrics[i].name, kind_names[metrics[i].kind]);
        add_label(out, &metrics[i]);
        gw_buf_addf(out, " | %s |\n", metrics[i].help);
    }
    gw_buf_adds(out, GW_SLICE("\n## What to watch\n\n"));
    for (size_t i = 0; i < gw_count(watched); i++)
        gw_buf_addf(out, "- `%s`: %s.\n", watched[i].rule, watched[i].why);
}
