/* deliveries.c: `gwh deliveries`: a page of them, a live table, or one with its attempts.
 *
 * The live table is drawn in place, below what was there before: nothing is to be put back when it
 * is ended by Ctrl-C. Without a terminal each drawing is printed below the last. */
#include "base/timefmt.h"
#include "cli/client.h"
#include "cli/table.h"
#include "cli/text.h"

#include <stdio.h>
#include <unistd.h>

#define LIMIT_DEFAULT   50
#define WATCH_MS        1000
#define WATCH_FILE_MS   5000
#define WATCH_COUNTED   250 /* the newest, in the headline */
#define WATCH_ROWS      40
#define WATCH_ROWS_FILE 12

struct listing {
    const char *app, *type, *event, *transaction, *status, *url, *from, *to, *cursor;
    int64_t limit;
    int wide, watch;
};

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

static void add_next(struct gw_table *table, yyjson_val *delivery, int64_t now_ms)
{
    int64_t next_ms = gw_client_time(delivery, "nextAttemptAt");
    struct gw_buf text = {0};

    if (next_ms != GW_NEVER && next_ms < now_ms + 1000) {
        gw_buf_adds(&text, GW_SLICE("now"));
    } else if (next_ms != GW_NEVER) {
        gw_buf_adds(&text, GW_SLICE("in "));
        gw_text_add_span(&text, next_ms - now_ms);
    }
    gw_table_add(table, gw_buf_slice(&text), GW_TONE_PLAIN);
    gw_buf_deinit(&text);
}

static void add_age(struct gw_table *table, yyjson_val *delivery, int64_t now_ms)
{
    int64_t created_ms = gw_client_time(delivery, "createdAt");
    struct gw_buf text = {0};

    if (created_ms != GW_NEVER)
        gw_text_add_span(&text, now_ms - created_ms);
    gw_table_add(table, gw_buf_slice(&text), GW_TONE_PLAIN);
    gw_buf_deinit(&text);
}

static void add_delivery(struct gw_table *table, yyjson_val *delivery, int64_t now_ms)
{
    struct gw_slice status = gw_client_text(delivery, "status");

    gw_table_add(table, gw_client_text(delivery, "id"), GW_TONE_PLAIN);
    gw_table_add(table, status, tone_of(status));
    gw_table_addf(table, GW_TONE_PLAIN, "%lld",
                  (long long)gw_client_number(delivery, "attempts", 0));
    add_last(table, delivery);
    add_next(table, delivery, now_ms);
    add_age(table, delivery, now_ms);
    gw_table_add(table, gw_client_text(delivery, "appId"), GW_TONE_PLAIN);
    gw_table_add(table, gw_client_text(delivery, "eventType"), GW_TONE_PLAIN);
    gw_table_add(table, gw_client_text(delivery, "eventId"), GW_TONE_PLAIN);
    gw_table_add(table, gw_client_text(delivery, "url"), GW_TONE_PLAIN);
}

/* ── A page ────────────────────────────────────────────────────────────────────────────────── */

static int fetch(struct gw_client *client, const struct listing *listing, int64_t limit,
                 struct gw_client_answer *answer)
{
    struct gw_buf path = {0};
    char text[24];

    snprintf(text, sizeof(text), "%lld", (long long)limit);
    gw_buf_adds(&path, GW_SLICE("/v1/deliveries"));
    gw_client_add_query(&path, "appId", listing->app);
    gw_client_add_query(&path, "eventType", listing->type);
    gw_client_add_query(&path, "eventId", listing->event);
    gw_client_add_query(&path, "transactionId", listing->transaction);
    gw_client_add_query(&path, "status", listing->status);
    gw_client_add_query(&path, "url", listing->url);
    gw_client_add_query(&path, "from", listing->from);
    gw_client_add_query(&path, "to", listing->to);
    gw_client_add_query(&path, "cursor", listing->cursor);
    gw_client_add_query(&path, "limit", text);
    int code = gw_client_call(
        client, &(struct gw_client_request){.method = "GET", .path = gw_buf_text(&path)}, answer);
    gw_buf_deinit(&path);
    return code;
}

static void draw(struct gw_client *client, yyjson_val *result, size_t rows_max,
                 const struct gw_term *term, bool wide, struct gw_buf *out)
{
    struct gw_table table;
    size_t i, max;
    yyjson_val *delivery;

    gw_table_init(&table, columns, gw_count(columns));
    yyjson_arr_foreach(yyjson_obj_get(result, "items"), i, max, delivery)
    {
        if (i < rows_max)
            add_delivery(&table, delivery, gw_env_wall_ms(client->env));
    }
    if (table.cell_count == 0)
        gw_buf_adds(out, GW_SLICE("no deliveries\n"));
    else
        gw_table_print(&table, term, wide, out);
    gw_table_deinit(&table);
}

static int show_page(struct gw_client *client, const struct listing *listing)
{
    struct gw_client_answer answer = {0};
    struct gw_term term = gw_term_look(STDOUT_FILENO);
    struct gw_buf out = {0};

    int code = fetch(client, listing, listing->limit, &answer);
    if (code < 0 && !client->json) {
        struct gw_slice next = gw_client_text(answer.result, "next");
        draw(client, answer.result, SIZE_MAX, &term, listing->wide > 0, &out);
        if (next.ptr) {
            gw_buf_adds(&out, GW_SLICE("older ones: --cursor "));
            gw_text_add_clean(&out, next, false);
            gw_buf_addc(&out, '\n');
        }
        gw_term_flush(&out);
    }
    gw_client_answer_deinit(&answer);
    gw_buf_deinit(&out);
    return code < 0 ? GW_EXIT_DONE : code;
}

/* ── The live table ────────────────────────────────────────────────────────────────────────── */

static void add_headline(struct gw_client *client, yyjson_val *result, const struct gw_term *term,
                         struct gw_buf *out)
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
    gw_time_text(gw_env_wall_ms(client->env), stamp);
    gw_term_paintf(term, out, GW_TONE_DIM, "%.8s UTC", stamp + 11);
    if (max > 0)
        gw_term_paintf(term, out, GW_TONE_DIM, "  the newest %zu:", max);
    for (size_t k = 0; k < gw_count(statuses); k++)
        if (counts[k] > 0) {
            gw_buf_addf(out, " %zu ", counts[k]);
            gw_term_paint(term, out, tone_of(gw_slice_from(statuses[k])),
                          gw_slice_from(statuses[k]));
        }
    gw_buf_addc(out, '\n');
}

/* Goes back over what was drawn last, and forgets it. */
static void erase(struct gw_buf *out, size_t lines)
{
    if (lines > 0)
        gw_buf_addf(out, "\x1b[%zuA", lines);
    gw_buf_adds(out, GW_SLICE("\r\x1b[J"));
}

static size_t count_lines(const struct gw_buf *text)
{
    size_t lines = 0;

    for (size_t i = 0; i < text->len; i++)
        if (text->ptr[i] == '\n')
            lines++;
    return lines;
}

/* What fits below the headline and the titles, and a little of what was there before. */
static size_t watch_rows(const struct listing *listing, const struct gw_term *term)
{
    size_t rows = WATCH_ROWS_FILE;

    if (term->is_tty) {
        rows = term->height > 10 ? term->height - 6 : 4;
        if (rows > WATCH_ROWS)
            rows = WATCH_ROWS;
    }
    return rows < (size_t)listing->limit ? rows : (size_t)listing->limit;
}

static int watch(struct gw_client *client, const struct listing *listing)
{
    struct gw_buf frame = {0}, out = {0};
    size_t lines = 0;
    int code = -1;

    while (code < 0) {
        struct gw_client_answer answer;
        struct gw_term term = gw_term_look(STDOUT_FILENO);
        code = fetch(client, listing, WATCH_COUNTED, &answer);
        if (code < 0 && !client->json) {
            gw_buf_clear(&frame);
            add_headline(client, answer.result, &term, &frame);
            draw(client, answer.result, watch_rows(listing, &term), &term, listing->wide > 0,
                 &frame);
            if (term.is_tty)
                erase(&out, lines);
            gw_buf_adds(&out, gw_buf_slice(&frame));
            if (!term.is_tty)
                gw_buf_addc(&out, '\n');
            lines = count_lines(&frame);
        }
        gw_client_answer_deinit(&answer);
        if (!gw_term_flush(&out))
            break;
        if (code < 0)
            gw_client_pause(client, term.is_tty ? WATCH_MS : WATCH_FILE_MS);
    }
    gw_buf_deinit(&frame);
    gw_buf_deinit(&out);
    return code < 0 ? GW_EXIT_DONE : code;
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
    double took_ms = yyjson_get_num(yyjson_obj_get(attempt, "durationMs"));
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

static void add_field(struct gw_buf *out, const char *label, yyjson_val *delivery, const char *name)
{
    struct gw_slice value = gw_client_text(delivery, name);

    if (value.ptr == NULL)
        return;
    gw_buf_addf(out, "  %-12s ", label);
    gw_text_add_clean(out, value, false);
    gw_buf_addc(out, '\n');
}

static void show_one(yyjson_val *delivery, bool wide)
{
    struct gw_term term = gw_term_look(STDOUT_FILENO);
    struct gw_slice status = gw_client_text(delivery, "status");
    struct gw_table table;
    struct gw_buf out = {0};
    struct gw_slice advice = {0};
    size_t i, max;
    yyjson_val *attempt;

    gw_term_paint(&term, &out, GW_TONE_BOLD, gw_client_text(delivery, "id"));
    gw_buf_adds(&out, GW_SLICE("  "));
    gw_term_paint(&term, &out, tone_of(status), status);
    gw_buf_addc(&out, '\n');
    add_field(&out, "url", delivery, "url");
    add_field(&out, "app", delivery, "appId");
    add_field(&out, "type", delivery, "eventType");
    add_field(&out, "event", delivery, "eventId");
    add_field(&out, "transaction", delivery, "transactionId");
    add_field(&out, "message", delivery, "messageId");
    add_field(&out, "created", delivery, "createdAt");
    add_field(&out, "next attempt", delivery, "nextAttemptAt");
    gw_table_init(&table, attempt_columns, gw_count(attempt_columns));
    yyjson_arr_foreach(yyjson_obj_get(delivery, "attemptLog"), i, max, attempt)
    {
        add_attempt(&table, attempt);
        advice = gw_client_text(attempt, "advice");
    }
    if (table.cell_count > 0) {
        gw_buf_addc(&out, '\n');
        gw_table_print(&table, &term, wide, &out);
    }
    if (advice.len > 0) {
        gw_buf_addc(&out, '\n');
        gw_text_add_clean(&out, advice, false);
        gw_buf_addc(&out, '\n');
    }
    gw_term_flush(&out);
    gw_buf_deinit(&out);
    gw_table_deinit(&table);
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

static int look_at(struct gw_client *client, const char *id, bool wide)
{
    struct gw_client_answer answer = {0};
    struct gw_buf path = {0};

    gw_buf_adds(&path, GW_SLICE("/v1/deliveries"));
    gw_client_add_segment(&path, id);
    int code = gw_client_call(
        client, &(struct gw_client_request){.method = "GET", .path = gw_buf_text(&path)}, &answer);
    if (code < 0 && !client->json)
        show_one(answer.result, wide);
    gw_client_answer_deinit(&answer);
    gw_buf_deinit(&path);
    return code < 0 ? GW_EXIT_DONE : code;
}

/* ── The command ───────────────────────────────────────────────────────────────────────────── */

static int run(int argc, char **argv)
{
    struct gw_client_options common = {0};
    struct listing l = {.limit = LIMIT_DEFAULT};
    const struct gw_option rows[] = {
        {.name = "app", .value = "APP", .help = "of this appId", .text = &l.app},
        {.name = "type", .value = "TYPE", .help = "of this eventType", .text = &l.type},
        {.name = "event", .value = "ID", .help = "of this eventId", .text = &l.event},
        {.name = "transaction", .value = "ID", .help = "of this one", .text = &l.transaction},
        {.name = "status",
         .value = "STATUS",
         .help = "pending, held, delivered, dead or cancelled",
         .text = &l.status},
        {.name = "url", .value = "URL", .help = "to this URL", .text = &l.url},
        {.name = "from", .value = "TIME", .help = "accepted then or later", .text = &l.from},
        {.name = "to", .value = "TIME", .help = "accepted before", .text = &l.to},
        {.name = "limit",
         .value = "N",
         .help = "rows (50)",
         .number = &l.limit,
         .min = 1,
         .max = 250},
        {.name = "cursor", .value = "C", .help = "go on behind an earlier page", .text = &l.cursor},
        {.name = "watch", .help = "a live table; Ctrl-C ends it", .flag = &l.watch},
        {.name = "wide", .help = "cut nothing", .flag = &l.wide},
        GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {
        .command = &gw_deliveries_command, .rows = rows, .count = gw_count(rows), .words_max = 1};
    struct gw_client client;

    int code = gw_options_take(&options, argc, argv);
    if (code < 0)
        code = check_status(l.status);
    if (code >= 0)
        return code;
    code = gw_client_open(&client, &common);
    if (code < 0 && options.word_count == 1)
        code = look_at(&client, options.words[0], l.wide > 0);
    else if (code < 0)
        code = l.watch > 0 ? watch(&client, &l) : show_page(&client, &l);
    gw_client_close(&client);
    return code;
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
