/* metrics.c: what machines ask: /metrics, /healthz, /readyz. Reads counters and gauges that others
 * keep, and /proc/self on another thread; stores nothing, answers while the server drains.
 *
 * Names are gwh_…, units last, totals of counters end in _total; no label names a client. */
#include "api/reply.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* ── /metrics ──────────────────────────────────────────────────────────────────────────────── */

static void head(struct gw_buf *out, const char *name, const char *type, const char *help)
{
    gw_buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void counter(struct gw_buf *out, const char *name, const char *help, uint64_t value)
{
    head(out, name, "counter", help);
    gw_buf_addf(out, "%s %llu\n", name, (unsigned long long)value);
}

static void gauge(struct gw_buf *out, const char *name, const char *help, int64_t value)
{
    head(out, name, "gauge", help);
    gw_buf_addf(out, "%s %lld\n", name, (long long)value);
}

static void add_flow(struct gw_buf *out, const struct gw_flow *flow)
{
    static const struct {
        enum gw_count count;
        const char *name, *help;
    } counts[] = {
        {GW_COUNT_RECEIVED, "gwh_events_received_total", "Events accepted, duplicates left out."},
        {GW_COUNT_ROUTED, "gwh_events_routed_total", "Events accepted with deliveries."},
        {GW_COUNT_SKIPPED, "gwh_events_skipped_total", "Events accepted that go nowhere."},
        {GW_COUNT_DUPLICATE, "gwh_events_duplicate_total", "Events that were there already."},
        {GW_COUNT_REFUSED, "gwh_events_refused_total", "Events refused as bad input."},
        {GW_COUNT_OVERLOAD, "gwh_events_overload_total", "Events turned away: try again."},
        {GW_COUNT_LIMITED, "gwh_events_limited_total",
         "Events turned away: their app sends too many a second."},
        {GW_COUNT_DELIVERED, "gwh_deliveries_delivered_total", "Deliveries answered with 2xx."},
        {GW_COUNT_DEAD, "gwh_deliveries_dead_total", "Deliveries given up."},
        {GW_COUNT_CANCELLED, "gwh_deliveries_cancelled_total", "Deliveries cancelled."},
        {GW_COUNT_RETRIED_BY_HAND, "gwh_deliveries_retried_total", "Manual retries."},
        {GW_COUNT_SETTLE_AGAIN, "gwh_settles_again_total", "Settles that waited for the ledger."},
    };
    for (size_t i = 0; i < gw_count(counts); i++)
        counter(out, counts[i].name, counts[i].help, gw_flow_count(flow, counts[i].count));
    head(out, "gwh_attempts_total", "counter", "Attempts, by outcome.");
    for (size_t i = 0; i < GW_OUTCOME_COUNT; i++)
        gw_buf_addf(out, "gwh_attempts_total{outcome=\"%s\"} %llu\n",
                    gw_outcome_name((enum gw_outcome)i),
                    (unsigned long long)gw_flow_count(flow, GW_COUNT_OUTCOME + i));
    gauge(out, "gwh_attempts_in_flight", "Attempts under way.",
          gw_flow_gauge(flow, GW_GAUGE_IN_FLIGHT));
    gauge(out, "gwh_deliveries_in_memory", "Deliveries held in memory.",
          gw_flow_gauge(flow, GW_GAUGE_IN_MEMORY));
    gauge(out, "gwh_targets", "Targets with something waiting or in flight.",
          gw_flow_gauge(flow, GW_GAUGE_TARGETS));
    gauge(out, "gwh_targets_probed", "Targets that fail, and are tried seldom.",
          gw_flow_gauge(flow, GW_GAUGE_PROBED));
    gauge(out, "gwh_targets_disabled", "Targets that nothing is sent to until they are enabled.",
          gw_flow_gauge(flow, GW_GAUGE_DISABLED));
    gauge(out, "gwh_shards", "Loop threads.", (int64_t)flow->shard_count);
}

static void add_ledger(struct gw_buf *out, const struct gw_ledger_state *state)
{
    gauge(out, "gwh_ledger_accepting", "1 while the ledger takes events.", state->accepting);
    gauge(out, "gwh_ledger_open_deliveries", "Deliveries pending in the ledger.",
          (int64_t)state->open);
    gauge(out, "gwh_ledger_queued_operations", "Operations waiting for the next commit.",
          (int64_t)state->queued);
    gauge(out, "gwh_store_files_damaged", "Files set aside as damaged; the log names them.",
          (int64_t)state->damaged);
    counter(out, "gwh_ledger_commits_total", "Groups committed.", state->commits);
    counter(out, "gwh_ledger_operations_total", "Operations in them.", state->operations);
    head(out, "gwh_ledger_commit_seconds_total", "counter", "Time spent in commits.");
    gw_buf_addf(out, "gwh_ledger_commit_seconds_total %llu.%06u\n",
                (unsigned long long)(state->commit_us / 1000000),
                (unsigned)(state->commit_us % 1000000));
}

/* Resident pages, the second number of statm; 0 when it cannot be read. */
static int64_t resident_bytes(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%*u %19llu", &pages) != 1)
        pages = 0;
    fclose(file);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static int64_t open_fds(void)
{
    int64_t count = 0;
    /* Not opendir(): the thread sanitizer sees only its close, and takes it for a race. */
    int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            count++;
    closedir(dir);
    return count > 0 ? count - 1 : 0; /* the directory itself */
}

/* Milliseconds that the oldest due delivery has been due; 0 = nothing is. */
static int64_t oldest_due_age_ms(const struct gw_shard *shard)
{
    int64_t due_ms = gw_flow_gauge(shard->flow, GW_GAUGE_OLDEST_DUE_MS);
    int64_t age_ms = due_ms ? gw_env_wall_ms(shard->env) - due_ms : 0;
    return age_ms > 0 ? age_ms : 0;
}

struct scrape {
    struct gw_api_request *request;
    struct gw_work work; /* counting descriptors takes a while when there are many */
    int64_t fds, resident;
};

static void on_scrape_run(struct gw_work *work)
{
    struct scrape *scrape = gw_container_of(work, struct scrape, work);
    scrape->fds = open_fds();
    scrape->resident = resident_bytes();
}

static void on_scrape_done(struct gw_work *work)
{
    struct scrape *scrape = gw_container_of(work, struct scrape, work);
    struct gw_api_request *request = scrape->request;
    const struct gw_shard *shard = request->api->shard;
    struct gw_ledger_state state = gw_ledger_state(shard->flow->ledger);
    struct gw_buf *out = gw_reply_plain_begin(request);
    add_flow(out, shard->flow);
    int64_t age_ms = oldest_due_age_ms(shard);
    head(out, "gwh_oldest_due_age_seconds", "gauge", "How long the oldest due delivery waits.");
    gw_buf_addf(out, "gwh_oldest_due_age_seconds %lld.%03d\n", (long long)(age_ms / 1000),
                (int)(age_ms % 1000));
    add_ledger(out, &state);
    gauge(out, "gwh_process_open_fds", "Open file descriptors.", scrape->fds);
    gauge(out, "gwh_process_resident_memory_bytes", "Resident memory.", scrape->resident);
    head(out, "gwh_build_info", "gauge", "1; the version is in the label.");
    gw_buf_addf(out, "gwh_build_info{version=\"%s\"} 1\n", request->api->options.version);
    gw_reply_plain_end(request, 200, "text/plain; version=0.0.4; charset=utf-8");
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

/* ── /healthz, /readyz ─────────────────────────────────────────────────────────────────────── */

void gw_healthz_get(struct gw_api_request *request)
{
    struct gw_buf *out = gw_reply_plain_begin(request);
    gw_buf_addc(out, '{');
    gw_json_member_s(out, "status", "ok");
    gw_json_member_s(out, "version", request->api->options.version);
    gw_buf_addc(out, '}');
    gw_reply_plain_end(request, 200, "application/json");
}

/* Anybody may ask, from anywhere: no volumes. */
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
    gw_json_member_int(out, "oldestDueAgeMs", oldest_due_age_ms(shard));
    gw_buf_addc(out, '}');
    gw_reply_plain_end(request, ready ? 200 : 503, "application/json");
}
