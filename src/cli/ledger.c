/* ledger.c: `gwh ledger`: what the ledger counted of some hours, and whether it closes. */
#include "cli/ask.h"

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

static bool closes(yyjson_val *result)
{
    return yyjson_is_true(yyjson_obj_get(result, "closes"));
}

static void tell(struct gw_page *page, yyjson_val *result)
{
    const struct asked *asked = page->ctx;
    const struct gw_term *term = &page->term;
    yyjson_val *recount = yyjson_obj_get(result, "recount");
    struct gw_slice from = gw_client_text(result, "from"), to = gw_client_text(result, "to");

    gw_term_paintf(term, &page->out, GW_TONE_DIM, "accepted from %.*s to %.*s%s%s\n\n",
                   GW_SLICE_ARG(from), GW_SLICE_ARG(to), asked->app ? ", of " : "",
                   asked->app ? asked->app : "");
    add_table(result, term, &page->out);
    gw_buf_addc(&page->out, '\n');
    add_differences(recount, term, &page->out);
    if (closes(result))
        gw_term_paint(term, &page->out, GW_TONE_GOOD,
                      recount ? GW_SLICE("closes, and every row agrees") : GW_SLICE("closes"));
    else
        gw_term_paint(term, &page->out, GW_TONE_BAD, GW_SLICE("does not close"));
    gw_buf_addc(&page->out, '\n');
}

/* ── The command ───────────────────────────────────────────────────────────────────────────── */

static int run(int argc, char **argv)
{
    struct gw_client_options common = {0};
    struct asked asked = {0};
    const struct gw_option rows[] = {
        {.name = "app", .value = "APP", .help = "of this appId", .text = &asked.app},
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
        {.name = "full", .help = "recount every row, which takes a while", .flag = &asked.full},
        GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {
        .command = &gw_ledger_command, .rows = rows, .count = gw_count(rows)};

    int code = gw_options_take(&options, argc, argv);
    if (code >= 0)
        return code;
    return gw_ask_once(&common, &(struct gw_ask){
                                    .path = "/v1/ledger",
                                    .query = {{"appId", asked.app},
                                              {"from", asked.from},
                                              {"to", asked.to},
                                              {"full", asked.full > 0 ? "true" : NULL}},
                                    .timeout_ms = asked.full > 0 ? FULL_TIMEOUT_MS : 0,
                                    .tell = tell,
                                    .is_yes = closes,
                                    .ctx = &asked,
                                });
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
