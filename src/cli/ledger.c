/* ledger.c: `gwh ledger`: what the ledger counted of some hours, and whether it closes. */
#include "cli/client.h"
#include "cli/table.h"

#include <stdio.h>
#include <unistd.h>

#define FULL_TIMEOUT_MS 3600000 /* rows are read at about a million a second */

struct asked {
    const char *app, *from, *to;
    int full;
};

/* ── The table ─────────────────────────────────────────────────────────────────────────────── */

static const struct gw_table_column columns[] = {
    {.title = "EVENTS"},
    {.title = "", .is_right = true},
    {.title = "DELIVERIES"},
    {.title = "", .is_right = true},
};

struct line {
    const char *label, *name;
    bool is_skip; /* in the skipped object */
    enum gw_tone tone;
};

static const struct line event_lines[] = {
    {"received", "received", false, GW_TONE_BOLD},
    {"= routed", "routed", false, GW_TONE_PLAIN},
    {"+ skipped, no config", "no_config", true, GW_TONE_PLAIN},
    {"+ skipped, inactive", "inactive", true, GW_TONE_PLAIN},
    {"+ skipped, filtered", "filtered", true, GW_TONE_PLAIN},
    {"duplicates, besides", "duplicate", false, GW_TONE_DIM},
};

static const struct line delivery_lines[] = {
    {"created", "created", false, GW_TONE_BOLD},
    {"= delivered", "delivered", false, GW_TONE_GOOD},
    {"+ pending", "pending", false, GW_TONE_PLAIN},
    {"+ held", "held", false, GW_TONE_PLAIN},
    {"+ dead", "dead", false, GW_TONE_BAD},
    {"+ cancelled", "cancelled", false, GW_TONE_PLAIN},
    {"replays among them", "replayed", false, GW_TONE_DIM},
};

static void add_line(struct gw_table *table, const struct line *line, yyjson_val *object)
{
    if (line == NULL) {
        gw_table_add(table, GW_SLICE(" "), GW_TONE_PLAIN);
        gw_table_add(table, GW_SLICE(" "), GW_TONE_PLAIN);
        return;
    }
    yyjson_val *from = line->is_skip ? yyjson_obj_get(object, "skipped") : object;
    int64_t count = gw_client_number(from, line->name, 0);

    gw_table_add(table, gw_slice_from(line->label),
                 line->tone == GW_TONE_DIM ? line->tone : GW_TONE_PLAIN);
    gw_table_addf(table, count != 0 ? line->tone : GW_TONE_DIM, "%lld", (long long)count);
}

static void add_table(yyjson_val *result, const struct gw_term *term, struct gw_buf *out)
{
    yyjson_val *events = yyjson_obj_get(result, "events");
    yyjson_val *deliveries = yyjson_obj_get(result, "deliveries");
    size_t lines = gw_count(delivery_lines);
    struct gw_table table;

    _Static_assert(gw_count(event_lines) <= gw_count(delivery_lines), "the longer one decides");
    gw_table_init(&table, columns, gw_count(columns));
    for (size_t i = 0; i < lines; i++) {
        add_line(&table, i < gw_count(event_lines) ? &event_lines[i] : NULL, events);
        add_line(&table, &delivery_lines[i], deliveries);
    }
    gw_table_print(&table, term, true, out);
    gw_table_deinit(&table);
}

/* ── The verdict ───────────────────────────────────────────────────────────────────────────── */

static void add_differences(yyjson_val *recount, const struct gw_term *term, struct gw_buf *out)
{
    yyjson_val *difference;
    size_t i, max;

    yyjson_arr_foreach(yyjson_obj_get(recount, "differences"), i, max, difference)
    {
        struct gw_slice name = gw_client_text(difference, "name");
        gw_term_paintf(term, out, GW_TONE_BAD, "%.*s: counted %lld, but the rows are %lld\n",
                       GW_SLICE_ARG(name), (long long)gw_client_number(difference, "counted", 0),
                       (long long)gw_client_number(difference, "rows", 0));
    }
}

static void show(yyjson_val *result, const struct asked *asked, bool closes)
{
    struct gw_term term = gw_term_look(STDOUT_FILENO);
    yyjson_val *recount = yyjson_obj_get(result, "recount");
    struct gw_slice from = gw_client_text(result, "from"), to = gw_client_text(result, "to");
    struct gw_buf out = {0};

    gw_term_paintf(&term, &out, GW_TONE_DIM, "accepted from %.*s to %.*s%s%s\n\n",
                   GW_SLICE_ARG(from), GW_SLICE_ARG(to), asked->app ? ", of " : "",
                   asked->app ? asked->app : "");
    add_table(result, &term, &out);
    gw_buf_addc(&out, '\n');
    add_differences(recount, &term, &out);
    if (closes)
        gw_term_paint(&term, &out, GW_TONE_GOOD,
                      recount ? GW_SLICE("closes, and every row agrees") : GW_SLICE("closes"));
    else
        gw_term_paint(&term, &out, GW_TONE_BAD, GW_SLICE("does not close"));
    gw_buf_addc(&out, '\n');
    gw_term_flush(&out);
    gw_buf_deinit(&out);
}

static int ask(struct gw_client *client, const struct asked *asked)
{
    struct gw_client_answer answer = {0};
    struct gw_buf path = {0};

    gw_buf_adds(&path, GW_SLICE("/v1/ledger"));
    gw_client_add_query(&path, "appId", asked->app);
    gw_client_add_query(&path, "from", asked->from);
    gw_client_add_query(&path, "to", asked->to);
    gw_client_add_query(&path, "full", asked->full > 0 ? "true" : NULL);
    int code = gw_client_call(client,
                              &(struct gw_client_request){
                                  .method = "GET",
                                  .path = gw_buf_text(&path),
                                  .timeout_ms = asked->full > 0 ? FULL_TIMEOUT_MS : 0,
                              },
                              &answer);
    if (code < 0) {
        bool closes = yyjson_is_true(yyjson_obj_get(answer.result, "closes"));
        if (!client->json)
            show(answer.result, asked, closes);
        code = closes ? GW_EXIT_DONE : GW_EXIT_FAILED;
    }
    gw_client_answer_deinit(&answer);
    gw_buf_deinit(&path);
    return code;
}

/* ── The command ───────────────────────────────────────────────────────────────────────────── */

static int run(int argc, char **argv)
{
    struct gw_client_options common = {0};
    struct asked asked = {0};
    const struct gw_option rows[] = {
        {.name = "app", .value = "APP", .help = "of this appId", .text = &asked.app},
        {.name = "from", .value = "TIME", .help = "accepted then or later", .text = &asked.from},
        {.name = "to", .value = "TIME", .help = "accepted before", .text = &asked.to},
        {.name = "full", .help = "recount every row, which takes a while", .flag = &asked.full},
        GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {
        .command = &gw_ledger_command, .rows = rows, .count = gw_count(rows)};
    struct gw_client client;

    int code = gw_options_take(&options, argc, argv);
    if (code >= 0)
        return code;
    code = gw_client_open(&client, &common);
    if (code < 0)
        code = ask(&client, &asked);
    gw_client_close(&client);
    return code;
}

const struct gw_command gw_ledger_command = {
    .name = "ledger",
    .summary = "does every event and every delivery add up?",
    .usage = "ledger [--app APP] [--from TIME] [--to TIME] [--full] [options]",
    .example = "gwh ledger\n"
               "gwh ledger --app acme --from 2026-11-24T00:00:00Z --to 2026-11-25T00:00:00Z --full",
    .notes =
        "Of the events accepted in those hours; without times, in the last 24. TIME is a whole\n"
        "hour like 2026-11-24T07:00:00Z. Exit 1 when it does not close.",
    .is_client = true,
    .main = run,
};
