/* deliveries.c: `gwh deliveries`: a page of them, a live table, or one with its attempts.
 *
 * The live table is drawn in place, below what was there before: nothing is to be put back when it
 * is ended by Ctrl-C. Without a terminal each drawing is printed below the last. */
#include "base/timefmt.h"
#include "cli/ask.h"
#include "cli/pause.h"
#include "cli/text.h"

#include <unistd.h>

#define LIMIT_DEFAULT   50
#define WATCH_MS        1000
#define WATCH_FILE_MS   5000
#define WATCH_COUNTED   "250" /* the newest, in the headline */
#define WATCH_ROWS      40
#define WATCH_ROWS_FILE 12

struct wish {
    struct gw_list_options list;
    const char *app, *type, *event, *transaction, *status, *url, *from, *to;
    int64_t limit;
    int watch;
};

#define QUERY(wish, limit_text)                                                                    \
    {                                                                                              \
        {"appId", (wish)->app}, {"eventType", (wish)->type}, {"eventId", (wish)->event},           \
            {"transactionId", (wish)->transaction}, {"status", (wish)->status},                    \
            {"url", (wish)->url}, {"from", (wish)->from}, {"to", (wish)->to},                      \
            {"limit", limit_text},                                                                 \
    }

/* ── Rows ──────────────────────────────────────────────────────────────────────────────────── */

static const struct gw_table_column columns[] = {
    {.title = "DELIVERY"},
    {.title = "STATUS"},
    {.title = "TRIES", .is_right = true},
    {.title = "LAST", .width_min = 6, .width_max = 22, .is_optional = true},
    {.title = "NEXT", .is_right = true, .is_optional = true, .drop = 1},
    {.title = "AGE", .is_right = true},
    {.title = "APP", .width_min = 8, .width_max = 32},
    {.title = "TYPE", .width_min = 10, .width_max = 34, .drop = 2},
    {.title = "EVENT", .width_min = 8, .width_max = 36, .is_optional = true, .drop = 4},
    {.title = "URL", .width_min = 24, .width_max = 60, .drop = 3},
};

static const char *const statuses[] = {"delivered", "pending", "held", "dead", "cancelled"};

static enum gw_tone tone_of(struct gw_slice status)
{
    if (gw_slice_is(status, "delivered"))
        return GW_TONE_GOOD;
    if (gw_slice_is(status, "dead"))
        return GW_TONE_BAD;
    if (gw_slice_is(status, "cancelled"))
        return GW_TONE_DIM;
    return GW_TONE_WARN;
}

/* What the last attempt came to: a status, or why there is none. */
static void add_last(struct gw_table *table, yyjson_val *delivery)
{
    int64_t status = gw_client_number(delivery, "lastStatusCode", 0);
    struct gw_slice error = gw_client_text(delivery, "lastError");

    if (status > 0)
        gw_table_addf(table, status < 300 ? GW_TONE_PLAIN : GW_TONE_BAD, "%lld", (long long)status);
    else
        gw_table_add(table, error, GW_TONE_BAD);
}

static void add_next(struct gw_page *page, yyjson_val *delivery)
{
    int64_t next_ms = gw_client_time(delivery, "nextAttemptAt");
    struct gw_buf text = {0};

    if (next_ms != GW_NEVER && next_ms < page->now_ms + 1000) {
        gw_buf_adds(&text, GW_SLICE("now"));
    } else if (next_ms != GW_NEVER) {
        gw_buf_adds(&text, GW_SLICE("in "));
        gw_text_add_span(&text, next_ms - page->now_ms);
    }
    gw_table_add(&page->table, gw_buf_slice(&text), GW_TONE_PLAIN);
    gw_buf_deinit(&text);
}

static void tell_delivery(struct gw_page *page, yyjson_val *delivery)
{
    struct gw_table *table = &page->table;
    struct gw_slice status = gw_client_text(delivery, "status");

    gw_table_add(table, gw_client_text(delivery, "id"), GW_TONE_PLAIN);
    gw_table_add(table, status, tone_of(status));
    gw_table_addf(table, GW_TONE_PLAIN, "%lld",
                  (long long)gw_client_number(delivery, "attempts", 0));
    add_last(table, delivery);
    add_next(page, delivery);
    gw_page_add_age(page, gw_client_time(delivery, "createdAt"), "");
    gw_table_add(table, gw_client_text(delivery, "appId"), GW_TONE_PLAIN);
    gw_table_add(table, gw_client_text(delivery, "eventType"), GW_TONE_PLAIN);
    gw_table_add(table, gw_client_text(delivery, "eventId"), GW_TONE_PLAIN);
    gw_table_add(table, gw_client_text(delivery, "url"), GW_TONE_PLAIN);
}

static int list(const struct wish *wish)
{
    return gw_ask_list(&wish->list, &(struct gw_ask_list){
                                        .path = "/v1/deliveries",
                                        .query = QUERY(wish, NULL),
                                        .limit = wish->limit,
                                        .tell = tell_delivery,
                                        .columns = columns,
                                        .column_count = gw_count(columns),
                                        .none = "no deliveries",
                                    });
}

/* ── The live table ────────────────────────────────────────────────────────────────────────── */

static void add_headline(struct gw_page *page, yyjson_val *result)
{
    size_t counts[gw_count(statuses)] = {0}, i, max;
    char stamp[GW_TIME_TEXT_MAX];
    yyjson_val *delivery;

    yyjson_arr_foreach(yyjson_obj_get(result, "items"), i, max, delivery)
    {
        for (size_t k = 0; k < gw_count(statuses); k++)
            if (gw_slice_is(gw_client_text(delivery, "status"), statuses[k]))
                counts[k]++;
    }
    gw_time_text(page->now_ms, stamp);
    gw_term_paintf(&page->term, &page->out, GW_TONE_DIM, "%.8s UTC", stamp + 11);
    if (max > 0)
        gw_term_paintf(&page->term, &page->out, GW_TONE_DIM, "  the newest %zu:", max);
    for (size_t k = 0; k < gw_count(statuses); k++)
        if (counts[k] > 0) {
            gw_buf_addf(&page->out, " %zu ", counts[k]);
            gw_term_paint(&page->term, &page->out, tone_of(gw_slice_from(statuses[k])),
                          gw_slice_from(statuses[k]));
        }
    gw_buf_addc(&page->out, '\n');
}

/* Goes back over what was drawn last, and forgets it. */
static void erase(struct gw_buf *out, size_t lines)
{
    if (lines > 0)
        gw_buf_addf(out, "\x1b[%zuA", lines);
    gw_buf_adds(out, GW_SLICE("\r\x1b[J"));
}

static size_t count_lines(struct gw_slice text)
{
    size_t lines = 0;

    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\n')
            lines++;
    return lines;
}

struct watch {
    const struct wish *wish;
    size_t lines; /* drawn last */
};

/* What fits below the headline and the titles, and a little of what was there before. */
static size_t watch_rows(const struct wish *wish, const struct gw_term *term)
{
    size_t rows = WATCH_ROWS_FILE;

    if (term->is_tty) {
        rows = term->height > 10 ? term->height - 6 : 4;
        if (rows > WATCH_ROWS)
            rows = WATCH_ROWS;
    }
    return rows < (size_t)wish->limit ? rows : (size_t)wish->limit;
}

static void add_rows(struct gw_page *page, yyjson_val *result, const struct wish *wish)
{
    size_t rows = watch_rows(wish, &page->term), i, max;
    yyjson_val *delivery;

    gw_table_init(&page->table, columns, gw_count(columns));
    yyjson_arr_foreach(yyjson_obj_get(result, "items"), i, max, delivery)
    {
        if (i < rows)
            tell_delivery(page, delivery);
    }
    if (max == 0)
        gw_buf_adds(&page->out, GW_SLICE("no deliveries\n"));
    else
        gw_table_print(&page->table, &page->term, wish->list.wide > 0, &page->out);
    gw_table_deinit(&page->table);
}

static void draw(struct gw_page *page, yyjson_val *result)
{
    struct watch *watch = page->ctx;

    if (page->term.is_tty)
        erase(&page->out, watch->lines);
    add_headline(page, result);
    add_rows(page, result, watch->wish);
    watch->lines = count_lines(gw_buf_slice(&page->out));
    if (!page->term.is_tty)
        gw_buf_addc(&page->out, '\n');
}

/* Until the server does not answer, or nobody reads. */
static int keep_watching(struct gw_client *client, const struct wish *wish)
{
    struct watch watch = {.wish = wish};
    struct gw_buf nothing = {0};
    bool is_tty = gw_term_look(STDOUT_FILENO).is_tty;
    const struct gw_ask ask = {
        .path = "/v1/deliveries",
        .query = QUERY(wish, WATCH_COUNTED),
        .tell = draw,
        .ctx = &watch,
    };
    int code;

    while ((code = gw_ask(client, &ask)) == GW_EXIT_DONE && gw_term_flush(&nothing))
        gw_pause(client->env, is_tty ? WATCH_MS : WATCH_FILE_MS);
    return code;
}

static int watch(const struct wish *wish)
{
    struct gw_client client;

    int code = gw_client_open(&client, &wish->list.common);
    if (code < 0)
        code = keep_watching(&client, wish);
    gw_client_close(&client);
    return code;
}

/* ── One ───────────────────────────────────────────────────────────────────────────────────── */

static const struct gw_table_column attempt_columns[] = {
    {.title = "N", .is_right = true},
    {.title = "AT"},
    {.title = "OUTCOME"},
    {.title = "STATUS", .is_right = true, .is_optional = true},
    {.title = "TOOK", .is_right = true},
    {.title = "ADDRESS", .is_optional = true},
    {.title = "ERROR", .width_min = 12, .width_max = 60, .is_optional = true},
    {.title = "ANSWER", .width_min = 12, .width_max = 60, .is_optional = true},
};

static void add_attempt(struct gw_table *table, yyjson_val *attempt)
{
    struct gw_slice outcome = gw_client_text(attempt, "outcome");
    int64_t status = gw_client_number(attempt, "statusCode", 0);
    double took_ms = gw_client_real(attempt, "durationMs", 0);
    bool is_success = gw_slice_is(outcome, "success");
    struct gw_buf answer = {0};

    gw_table_addf(table, GW_TONE_PLAIN, "%lld", (long long)gw_client_number(attempt, "n", 0));
    gw_table_add(table, gw_client_text(attempt, "at"), GW_TONE_PLAIN);
    gw_table_add(table, outcome, is_success ? GW_TONE_GOOD : GW_TONE_BAD);
    if (status > 0)
        gw_table_addf(table, GW_TONE_PLAIN, "%lld", (long long)status);
    else
        gw_table_add(table, GW_SLICE(""), GW_TONE_PLAIN);
    gw_table_addf(table, GW_TONE_PLAIN, "%.*f ms", took_ms < 10 ? 1 : 0, took_ms);
    gw_table_add(table, gw_client_text(attempt, "address"), GW_TONE_PLAIN);
    gw_table_add(table, gw_client_text(attempt, "error"), GW_TONE_PLAIN);
    gw_text_add_flat(&answer, gw_client_text(attempt, "responseExcerpt"));
    gw_table_add(table, gw_buf_slice(&answer), GW_TONE_DIM);
    gw_buf_deinit(&answer);
}

static const struct {
    const char *label, *name;
} fields[] = {
    {"url", "url"},
    {"app", "appId"},
    {"type", "eventType"},
    {"event", "eventId"},
    {"transaction", "transactionId"},
    {"message", "messageId"},
    {"created", "createdAt"},
    {"next attempt", "nextAttemptAt"},
    {"replay of", "replayOf"},
};

static void add_field(struct gw_buf *out, const char *label, struct gw_slice value)
{
    if (value.ptr == NULL)
        return;
    gw_buf_addf(out, "  %-12s ", label);
    gw_text_add_clean(out, value, false);
    gw_buf_addc(out, '\n');
}

static void tell_one(struct gw_page *page, yyjson_val *delivery)
{
    const struct wish *wish = page->ctx;
    struct gw_slice status = gw_client_text(delivery, "status"), advice = {0};
    struct gw_buf *out = &page->out;
    size_t i, max;
    yyjson_val *attempt;

    gw_term_paint(&page->term, out, GW_TONE_BOLD, gw_client_text(delivery, "id"));
    gw_buf_adds(out, GW_SLICE("  "));
    gw_term_paint(&page->term, out, tone_of(status), status);
    gw_buf_addc(out, '\n');
    for (i = 0; i < gw_count(fields); i++)
        add_field(out, fields[i].label, gw_client_text(delivery, fields[i].name));
    gw_table_init(&page->table, attempt_columns, gw_count(attempt_columns));
    yyjson_arr_foreach(yyjson_obj_get(delivery, "attemptLog"), i, max, attempt)
    {
        add_attempt(&page->table, attempt);
        advice = gw_client_text(attempt, "advice");
    }
    if (max > 0) {
        gw_buf_addc(out, '\n');
        gw_table_print(&page->table, &page->term, wish->list.wide > 0, out);
    }
    if (advice.len > 0) {
        gw_buf_addc(out, '\n');
        gw_text_add_clean(out, advice, false);
        gw_buf_addc(out, '\n');
    }
    gw_table_deinit(&page->table);
}

static int check_status(const char *status)
{
    struct gw_text_nearest nearest = {.word = gw_slice_from(status)};

    for (size_t i = 0; i < gw_count(statuses); i++) {
        if (status == NULL || strcmp(status, statuses[i]) == 0)
            return -1;
        gw_text_consider(&nearest, statuses[i]);
    }
    return gw_term_fail(GW_EXIT_USAGE,
                        "deliveries: --status: must be pending, held, delivered, dead or "
                        "cancelled, was \"%s\"%s%s%s",
                        status, nearest.best ? " (did you mean " : "",
                        nearest.best ? nearest.best : "", nearest.best ? "?)" : "");
}

/* ── The command ───────────────────────────────────────────────────────────────────────────── */

static int run(int argc, char **argv)
{
    struct wish w = {.limit = LIMIT_DEFAULT};
    const struct gw_option rows[] = {
        {.name = "app", .value = "APP", .help = "of this appId", .text = &w.app},
        {.name = "type", .value = "TYPE", .help = "of this eventType", .text = &w.type},
        {.name = "event", .value = "ID", .help = "of this eventId", .text = &w.event},
        {.name = "transaction",
         .value = "ID",
         .help = "of this transactionId",
         .text = &w.transaction},
        {.name = "status",
         .value = "STATUS",
         .help = "pending, held, delivered, dead or cancelled",
         .text = &w.status},
        {.name = "url", .value = "URL", .help = "to this URL", .text = &w.url},
        {.name = "from",
         .value = "TIME",
         .help = "accepted then or later",
         .text = &w.from,
         .is_time = true},
        {.name = "to", .value = "TIME", .help = "accepted before", .text = &w.to, .is_time = true},
        {.name = "limit",
         .value = "N",
         .help = "rows (50)",
         .number = &w.limit,
         .min = 1,
         .max = 250},
        {.name = "watch", .help = "a live table; Ctrl-C ends it", .flag = &w.watch},
        GW_LIST_OPTIONS(w.list)};
    struct gw_options options = {
        .command = &gw_deliveries_command, .rows = rows, .count = gw_count(rows), .words_max = 1};

    int code = gw_options_take(&options, argc, argv);
    if (code < 0)
        code = check_status(w.status);
    if (code >= 0)
        return code;
    if (options.word_count == 1)
        return gw_ask_once(&w.list.common, &(struct gw_ask){.path = "/v1/deliveries",
                                                            .id = options.words[0],
                                                            .tell = tell_one,
                                                            .ctx = &w});
    return w.watch > 0 ? watch(&w) : list(&w);
}

const struct gw_command gw_deliveries_command = {
    .name = "deliveries",
    .summary = "what was sent, is waiting, or is dead; or one with its attempts",
    .usage = "deliveries [dlv_…] [filters] [options]",
    .example = "gwh deliveries --app acme --status dead\n"
               "gwh deliveries --watch\n"
               "gwh deliveries dlv_fpuol6gazcn7xku3m2d5hqe4ti",
    .notes = "Newest first. TIME is like 2026-11-24T07:46:00Z.",
    .is_client = true,
    .main = run,
};
