/* targets.c: `gwh targets`: how the targets of an app do, and enabling one. */
#include "cli/ask.h"
#include "cli/figure.h"

struct asked {
    const char *app, *enable;
    int wide;
};

/* ── The table ─────────────────────────────────────────────────────────────────────────────── */

static const struct gw_table_column columns[] = {
    {.title = "URL", .width_min = 24, .width_max = 80},
    {.title = "STATE"},
    {.title = "FOR", .is_right = true, .is_optional = true},
    {.title = "REASON", .is_optional = true},
    {.title = "STREAK", .is_right = true, .drop = 2},
    {.title = "WAITING", .is_right = true},
    {.title = "IN FLIGHT", .is_right = true, .drop = 1},
    {.title = "SUCCESS", .is_right = true},
    {.title = "P95", .is_right = true, .drop = 3},
};

static enum gw_tone tone_of(struct gw_slice state)
{
    if (gw_slice_is(state, "ok"))
        return GW_TONE_GOOD;
    return gw_slice_is(state, "disabled") ? GW_TONE_BAD : GW_TONE_WARN;
}

static void add_target(struct gw_page *page, yyjson_val *target)
{
    struct gw_table *table = &page->table;
    struct gw_slice state = gw_client_text(target, "state");

    gw_table_add(table, gw_client_text(target, "url"), GW_TONE_PLAIN);
    gw_table_add(table, state, tone_of(state));
    gw_page_add_age(page, gw_client_time(target, "since"), "");
    gw_table_add(table, gw_client_text(target, "reason"), GW_TONE_PLAIN);
    gw_figure_add(table, target, "streak", GW_TONE_PLAIN);
    gw_figure_add(table, target, "waiting", GW_TONE_PLAIN);
    gw_figure_add(table, target, "inFlight", GW_TONE_PLAIN);
    gw_figure_add_rate(table, target, "successRate");
    gw_figure_add_ms(table, target, "p95Ms");
}

static void tell(struct gw_page *page, yyjson_val *result)
{
    const struct asked *asked = page->ctx;
    yyjson_val *target;
    size_t i, max;

    gw_table_init(&page->table, columns, gw_count(columns));
    yyjson_arr_foreach(yyjson_obj_get(result, "items"), i, max, target)
    {
        add_target(page, target);
    }
    if (max == 0)
        gw_buf_adds(&page->out, GW_SLICE("no targets: no config of this app names a URL\n"));
    else
        gw_table_print(&page->table, &page->term, asked->wide > 0, &page->out);
    gw_table_deinit(&page->table);
}

/* ── Asking ────────────────────────────────────────────────────────────────────────────────── */

static int look(const struct gw_client_options *common, struct asked *asked)
{
    return gw_ask_once(common, &(struct gw_ask){.path = "/v1/targets",
                                                .query = {{"appId", asked->app}},
                                                .tell = tell,
                                                .ctx = asked});
}

static int enable(const struct gw_client_options *common, struct asked *asked)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    struct gw_buf body = {0};

    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "appId", asked->app);
    yyjson_mut_obj_add_str(doc, root, "url", asked->enable);
    gw_ask_body(doc, &body);
    int code = gw_ask_once(common, &(struct gw_ask){.method = "POST",
                                                    .path = "/v1/targets",
                                                    .action = "/enable",
                                                    .body = gw_buf_slice(&body),
                                                    .tell = tell,
                                                    .ctx = asked});
    gw_buf_deinit(&body);
    return code;
}

/* ── The command ───────────────────────────────────────────────────────────────────────────── */

static int run(int argc, char **argv)
{
    struct gw_client_options common = {0};
    struct asked asked = {0};
    const struct gw_option rows[] = {{.name = "app",
                                      .value = "APP",
                                      .help = "of this appId; needed where the key is for any",
                                      .text = &asked.app},
                                     {.name = "enable",
                                      .value = "URL",
                                      .help = "enable that one, which was disabled",
                                      .text = &asked.enable},
                                     {.name = "wide", .help = "cut nothing", .flag = &asked.wide},
                                     GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {
        .command = &gw_targets_command, .rows = rows, .count = gw_count(rows)};

    int code = gw_options_take(&options, argc, argv);
    if (code < 0 && asked.enable && asked.app == NULL)
        code = gw_term_fail(GW_EXIT_USAGE, "targets: --enable needs --app");
    if (code >= 0)
        return code;
    return asked.enable ? enable(&common, &asked) : look(&common, &asked);
}

const struct gw_command gw_targets_command = {
    .name = "targets",
    .summary = "how an app's targets do; or enable one",
    .usage = "targets [--app APP] [--enable URL] [options]",
    .example = "gwh targets --app acme\n"
               "gwh targets --app acme --enable https://client.example/hooks/kyc",
    .notes = "failing   its last attempt failed\n"
             "probed    ten failures in a row: one attempt at a time until one succeeds\n"
             "disabled  five days of that, or it answered 410: what waits is held\n"
             "SUCCESS and P95 are of the attempts of the last hour. A URL is shown, and may be\n"
             "given, without its query.",
    .is_client = true,
    .main = run,
};
