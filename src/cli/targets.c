/* targets.c: `gwh targets`: how the targets of an app do, and enabling one. */
#include "cli/client.h"
#include "cli/figure.h"
#include "cli/text.h"

#include <stdlib.h>
#include <unistd.h>

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

static void add_target(struct gw_table *table, yyjson_val *target, int64_t now_ms)
{
    struct gw_slice state = gw_client_text(target, "state");
    int64_t since_ms = gw_client_time(target, "since");
    struct gw_buf text = {0};

    gw_table_add(table, gw_client_text(target, "url"), GW_TONE_PLAIN);
    gw_table_add(table, state, tone_of(state));
    if (since_ms != GW_NEVER)
        gw_text_add_span(&text, now_ms - since_ms);
    gw_table_add(table, gw_buf_slice(&text), GW_TONE_PLAIN);
    gw_table_add(table, gw_client_text(target, "reason"), GW_TONE_PLAIN);
    gw_figure_add(table, target, "streak", GW_TONE_PLAIN);
    gw_figure_add(table, target, "waiting", GW_TONE_PLAIN);
    gw_figure_add(table, target, "inFlight", GW_TONE_PLAIN);
    gw_figure_add_rate(table, target, "successRate");
    gw_figure_add_ms(table, target, "p95Ms");
    gw_buf_deinit(&text);
}

static void show(struct gw_client *client, yyjson_val *result, bool wide)
{
    struct gw_term term = gw_term_look(STDOUT_FILENO);
    struct gw_table table;
    struct gw_buf out = {0};
    yyjson_val *target;
    size_t i, max;

    gw_table_init(&table, columns, gw_count(columns));
    yyjson_arr_foreach(yyjson_obj_get(result, "items"), i, max, target)
    {
        add_target(&table, target, gw_env_wall_ms(client->env));
    }
    if (max == 0)
        gw_buf_adds(&out, GW_SLICE("no targets: no config of this app names a URL\n"));
    else
        gw_table_print(&table, &term, wide, &out);
    gw_term_flush(&out);
    gw_buf_deinit(&out);
    gw_table_deinit(&table);
}

/* ── Asking ────────────────────────────────────────────────────────────────────────────────── */

static void make_body(const struct asked *asked, struct gw_buf *body)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    size_t len = 0;

    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "appId", asked->app);
    yyjson_mut_obj_add_str(doc, root, "url", asked->enable);
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, &len);
    gw_buf_add(body, text, len);
    free(text);
    yyjson_mut_doc_free(doc);
}

static int ask(struct gw_client *client, const struct asked *asked)
{
    struct gw_client_request request = {.method = "GET"};
    struct gw_client_answer answer = {0};
    struct gw_buf path = {0}, body = {0};

    gw_buf_adds(&path, GW_SLICE("/v1/targets"));
    if (asked->enable) {
        gw_buf_adds(&path, GW_SLICE("/enable"));
        make_body(asked, &body);
        request.method = "POST";
        request.body = gw_buf_slice(&body);
    } else {
        gw_client_add_query(&path, "appId", asked->app);
    }
    request.path = gw_buf_text(&path);
    int code = gw_client_call(client, &request, &answer);
    if (code < 0 && !client->json)
        show(client, answer.result, asked->wide > 0);
    gw_client_answer_deinit(&answer);
    gw_buf_deinit(&path);
    gw_buf_deinit(&body);
    return code < 0 ? GW_EXIT_DONE : code;
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
    struct gw_client client;

    int code = gw_options_take(&options, argc, argv);
    if (code < 0 && asked.enable && asked.app == NULL)
        code = gw_term_fail(GW_EXIT_USAGE, "targets: --enable needs --app");
    if (code >= 0)
        return code;
    code = gw_client_open(&client, &common);
    if (code < 0)
        code = ask(&client, &asked);
    gw_client_close(&client);
    return code;
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
