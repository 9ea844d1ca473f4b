/* stats.c: `gwh stats`: what became of events, by hour or by day. */
#include "cli/ask.h"
#include "cli/figure.h"
#include "core/url.h"

struct asked {
    const char *app, *type, *url, *from, *to, *bucket;
    int wide;
};

/* ── The table ─────────────────────────────────────────────────────────────────────────────── */

static const struct gw_table_column columns[] = {
    {.title = "FROM (UTC)"},
    {.title = "APP", .width_min = 8, .width_max = 32, .drop = 1},
    {.title = "TYPE", .width_min = 10, .width_max = 34},
    {.title = "RECEIVED", .is_right = true, .is_optional = true},
    {.title = "DELIVERED", .is_right = true},
    {.title = "FAILED", .is_right = true},
    {.title = "DEAD", .is_right = true},
    {.title = "SKIPPED", .is_right = true, .is_optional = true},
    {.title = "SUCCESS", .is_right = true},
    {.title = "P50", .is_right = true, .drop = 4},
    {.title = "P95", .is_right = true, .drop = 2},
    {.title = "P99", .is_right = true, .drop = 3},
};

static const char *const counts[] = {"received", "delivered", "failedAttempts", "dead", "skipped"};
static const enum gw_tone tones[] = {GW_TONE_PLAIN, GW_TONE_GOOD, GW_TONE_PLAIN, GW_TONE_BAD,
                                     GW_TONE_PLAIN};
enum { RECEIVED, DELIVERED, FAILED, DEAD, SKIPPED };

/* "2026-11-24 07:00", or its day. */
static void add_bucket(struct gw_table *table, yyjson_val *item, bool is_day)
{
    struct gw_slice time = gw_client_text(item, "bucket");

    if (time.len < 16)
        gw_table_add(table, time, GW_TONE_PLAIN);
    else if (is_day)
        gw_table_addf(table, GW_TONE_PLAIN, "%.10s", time.ptr);
    else
        gw_table_addf(table, GW_TONE_PLAIN, "%.10s %.5s", time.ptr, time.ptr + 11);
}

static void add_item(struct gw_table *table, yyjson_val *item, bool is_day)
{
    add_bucket(table, item, is_day);
    gw_table_add(table, gw_client_text(item, "appId"), GW_TONE_PLAIN);
    gw_table_add(table, gw_client_text(item, "eventType"), GW_TONE_PLAIN);
    for (size_t i = 0; i < gw_count(counts); i++)
        gw_figure_add(table, item, counts[i], tones[i]);
    gw_figure_add_rate(table, item, "successRate");
    gw_figure_add_ms(table, item, "p50Ms");
    gw_figure_add_ms(table, item, "p95Ms");
    gw_figure_add_ms(table, item, "p99Ms");
}

static void add_empty(struct gw_table *table, size_t cells)
{
    for (size_t i = 0; i < cells; i++)
        gw_table_add(table, GW_SLICE(""), GW_TONE_PLAIN);
}

/* Percentiles do not add up. */
static void add_total(struct gw_table *table, const int64_t sums[], bool has_events)
{
    int64_t attempts = sums[DELIVERED] + sums[FAILED];

    gw_table_add(table, GW_SLICE("total"), GW_TONE_BOLD);
    add_empty(table, 2);
    for (size_t i = 0; i < gw_count(counts); i++) {
        if (!has_events && (i == RECEIVED || i == SKIPPED))
            add_empty(table, 1);
        else
            gw_figure_add_count(table, sums[i], tones[i]);
    }
    gw_figure_add_share(table, sums[DELIVERED], attempts);
    add_empty(table, 3);
}

static void add_table(yyjson_val *items, const struct asked *asked, const struct gw_term *term,
                      struct gw_buf *out)
{
    bool is_day = asked->bucket && strcmp(asked->bucket, "day") == 0;
    int64_t sums[gw_count(counts)] = {0};
    struct gw_table table;
    yyjson_val *item;
    size_t i, max;

    gw_table_init(&table, columns, gw_count(columns));
    yyjson_arr_foreach(items, i, max, item)
    {
        add_item(&table, item, is_day);
        for (size_t k = 0; k < gw_count(counts); k++)
            sums[k] += gw_client_number(item, counts[k], 0);
    }
    if (max > 1)
        add_total(&table, sums, !asked->url);
    gw_table_print(&table, term, asked->wide > 0, out);
    gw_table_deinit(&table);
}

static void tell(struct gw_page *page, yyjson_val *result)
{
    const struct asked *asked = page->ctx;
    yyjson_val *items = yyjson_obj_get(result, "items");
    struct gw_slice from = gw_client_text(result, "from"), to = gw_client_text(result, "to");
    struct gw_slice url = gw_url_shown(gw_slice_from(asked->url));

    gw_term_paintf(&page->term, &page->out, GW_TONE_DIM, "accepted from %.*s to %.*s%s%s%s%.*s\n\n",
                   GW_SLICE_ARG(from), GW_SLICE_ARG(to), asked->app ? ", of " : "",
                   asked->app ? asked->app : "", asked->url ? ", attempted at " : "",
                   GW_SLICE_ARG(url));
    if (yyjson_arr_size(items) == 0)
        gw_buf_adds(&page->out, GW_SLICE("nothing\n"));
    else
        add_table(items, asked, &page->term, &page->out);
}

/* ── The command ───────────────────────────────────────────────────────────────────────────── */

static int check_bucket(const char *bucket)
{
    if (bucket == NULL || strcmp(bucket, "hour") == 0 || strcmp(bucket, "day") == 0)
        return -1;
    return gw_term_fail(GW_EXIT_USAGE, "stats: --bucket: must be hour or day, was \"%s\"", bucket);
}

static int run(int argc, char **argv)
{
    struct gw_client_options common = {0};
    struct asked asked = {0};
    const struct gw_option rows[] = {
        {.name = "app", .value = "APP", .help = "of this appId", .text = &asked.app},
        {.name = "type", .value = "TYPE", .help = "of this eventType", .text = &asked.type},
        {.name = "url", .value = "URL", .help = "what was attempted there", .text = &asked.url},
        {.name = "from",
         .value = "TIME",
         .help = "accepted then or later",
         .text = &asked.from,
         .is_time = true},
        {.name = "to",
         .value = "TIME",
         .help = "accepted before",
         .text = &asked.to,
         .is_time = true},
        {.name = "bucket",
         .value = "hour|day",
         .help = "how long each is (hour)",
         .text = &asked.bucket},
        {.name = "wide", .help = "cut nothing", .flag = &asked.wide},
        GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {
        .command = &gw_stats_command, .rows = rows, .count = gw_count(rows)};

    int code = gw_options_take(&options, argc, argv);
    if (code < 0)
        code = check_bucket(asked.bucket);
    if (code >= 0)
        return code;
    return gw_ask_once(&common, &(struct gw_ask){
                                    .path = "/v1/stats",
                                    .query = {{"appId", asked.app},
                                              {"eventType", asked.type},
                                              {"url", asked.url},
                                              {"from", asked.from},
                                              {"to", asked.to},
                                              {"bucket", asked.bucket}},
                                    .tell = tell,
                                    .ctx = &asked,
                                });
}

const struct gw_command gw_stats_command = {
    .name = "stats",
    .summary = "what became of events, by hour or day",
    .usage = "stats [--app APP] [--type TYPE] [--url URL] [--from TIME] [--to TIME] [options]",
    .example = "gwh stats --app acme\n"
               "gwh stats --app acme --bucket day --from 2026-11-01T00:00:00Z\n"
               "gwh stats --app acme --url https://client.example/hooks/kyc",
    .notes =
        "Of the events accepted in those hours; without times, in the last 24, or 7 days. TIME\n"
        "is a whole hour like 2026-11-24T07:00:00Z. What became of an event counts in the hour\n"
        "in which it was accepted. FAILED are attempts, SUCCESS is of all attempts; P50, P95\n"
        "and P99 are from accept to success.",
    .is_client = true,
    .main = run,
};
