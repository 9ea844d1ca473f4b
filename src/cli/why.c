/* why.c: `gwh why`: the whole story of an id: the verdict first, then each event step by step, then
 * what comes next. The words are the API's; the layout is made here. */
#include "base/timefmt.h"
#include "cli/ask.h"
#include "cli/text.h"

#define TIME_WIDTH  12 /* hh:mm:ss.mmm */
#define SINCE_WIDTH 10
#define WHAT_WIDTH  9
#define INDENT      (4 + TIME_WIDTH + 1 + SINCE_WIDTH + 2 + WHAT_WIDTH + 2)
#define LINE_MIN    30

struct story {
    struct gw_page *page;
    int64_t start_ms; /* of the event shown */
    int64_t day;
};

static enum gw_tone tone_of(struct gw_slice verdict)
{
    static const struct {
        const char *name;
        enum gw_tone tone;
    } tones[] = {
        {"delivered", GW_TONE_GOOD}, {"waiting", GW_TONE_WARN},   {"held", GW_TONE_WARN},
        {"skipped", GW_TONE_WARN},   {"cancelled", GW_TONE_WARN}, {"dead", GW_TONE_BAD},
        {"refused", GW_TONE_BAD},    {"unknown", GW_TONE_BAD},
    };

    for (size_t i = 0; i < gw_count(tones); i++)
        if (gw_slice_is(verdict, tones[i].name))
            return tones[i].tone;
    return GW_TONE_PLAIN;
}

/* Clean, and in lines that fit behind `indent` columns. */
static void add_text(struct story *story, struct gw_slice text, size_t indent)
{
    struct gw_buf clean = {0};
    size_t width = SIZE_MAX;

    gw_text_add_clean(&clean, text, false);
    if (story->page->term.width > 0)
        width = story->page->term.width > indent + LINE_MIN ? story->page->term.width - indent
                                                            : LINE_MIN;
    gw_text_add_wrapped(&story->page->out, gw_buf_slice(&clean), width, indent);
    gw_buf_addc(&story->page->out, '\n');
    gw_buf_deinit(&clean);
}

static void add_padded(struct gw_buf *out, const char *text, size_t width, bool right)
{
    size_t used = gw_text_width(gw_slice_from(text));
    size_t pad = used < width ? width - used : 0;

    if (right)
        gw_text_add_spaces(out, pad);
    gw_buf_adds(out, gw_slice_from(text));
    if (!right)
        gw_text_add_spaces(out, pad);
}

/* "+12 ms", "+3.4 s", "+2 h 5 min" */
static const char *since(int64_t ms, struct gw_buf *text)
{
    gw_buf_clear(text);
    if (ms < 1000)
        gw_buf_addf(text, "+%lld ms", (long long)ms);
    else if (ms < 60000)
        gw_buf_addf(text, "+%lld.%lld s", (long long)(ms / 1000), (long long)(ms / 100 % 10));
    else if (ms < 3600000)
        gw_buf_addf(text, "+%lldm %llds", (long long)(ms / 60000), (long long)(ms / 1000 % 60));
    else if (ms < 48 * 3600000LL)
        gw_buf_addf(text, "+%lldh %lldm", (long long)(ms / 3600000), (long long)(ms / 60000 % 60));
    else
        gw_buf_addf(text, "+%lldd %lldh", (long long)(ms / 86400000),
                    (long long)(ms / 3600000 % 24));
    return gw_buf_text(text);
}

/* Days are shown once each, on a line of their own. */
static void add_time(struct story *story, int64_t at_ms)
{
    struct gw_buf text = {0};
    char stamp[GW_TIME_TEXT_MAX];
    struct gw_slice whole = gw_time_text(at_ms, stamp);

    if (at_ms / 86400000 != story->day) {
        story->day = at_ms / 86400000;
        gw_buf_adds(&story->page->out, GW_SLICE("  "));
        gw_term_paintf(&story->page->term, &story->page->out, GW_TONE_DIM, "%.10s UTC", whole.ptr);
        gw_buf_addc(&story->page->out, '\n');
    }
    gw_buf_addf(&story->page->out, "    %.12s ", whole.ptr + 11);
    if (story->start_ms == GW_NEVER)
        story->start_ms = at_ms;
    const char *behind = at_ms > story->start_ms ? since(at_ms - story->start_ms, &text) : "";
    struct gw_buf padded = {0};
    add_padded(&padded, behind, SINCE_WIDTH, true);
    gw_term_paint(&story->page->term, &story->page->out, GW_TONE_DIM, gw_buf_slice(&padded));
    gw_buf_deinit(&padded);
    gw_buf_deinit(&text);
}

static void add_step(struct story *story, yyjson_val *step)
{
    struct gw_slice what = gw_client_text(step, "what");
    int64_t at_ms = gw_client_time(step, "at");
    struct gw_buf clean = {0}, padded = {0};

    if (at_ms != GW_NEVER)
        add_time(story, at_ms);
    else
        gw_text_add_spaces(&story->page->out, 4 + TIME_WIDTH + 1 + SINCE_WIDTH);
    gw_text_add_clean(&clean, what, false);
    add_padded(&padded, gw_buf_text(&clean), WHAT_WIDTH, false);
    gw_buf_adds(&story->page->out, GW_SLICE("  "));
    gw_term_paint(&story->page->term, &story->page->out, tone_of(what), gw_buf_slice(&padded));
    gw_buf_adds(&story->page->out, GW_SLICE("  "));
    add_text(story, gw_client_text(step, "detail"), INDENT);
    gw_buf_deinit(&clean);
    gw_buf_deinit(&padded);
}

static void add_event(struct story *story, yyjson_val *event)
{
    struct gw_slice verdict = gw_client_text(event, "verdict"),
                    next = gw_client_text(event, "next"), id = gw_client_text(event, "id");
    size_t i, max;
    yyjson_val *step;

    story->start_ms = GW_NEVER;
    story->day = -1;
    gw_buf_addc(&story->page->out, '\n');
    gw_term_paint(&story->page->term, &story->page->out, GW_TONE_BOLD,
                  id.ptr ? id : GW_SLICE("(not stored)"));
    gw_buf_adds(&story->page->out, GW_SLICE("  "));
    gw_term_paint(&story->page->term, &story->page->out, tone_of(verdict), verdict);
    gw_buf_addc(&story->page->out, '\n');
    yyjson_arr_foreach(yyjson_obj_get(event, "steps"), i, max, step)
    {
        add_step(story, step);
    }
    if (next.ptr) {
        gw_buf_adds(&story->page->out, GW_SLICE("  "));
        gw_term_paint(&story->page->term, &story->page->out, GW_TONE_BOLD, GW_SLICE("next"));
        gw_buf_adds(&story->page->out, GW_SLICE("  "));
        add_text(story, next, 8);
    }
}

/* The verdict stands out, also where the summary begins with it. */
static void add_verdict(struct story *story, struct gw_slice verdict, struct gw_slice summary)
{
    struct gw_slice start = {summary.ptr, verdict.len < summary.len ? verdict.len : summary.len};
    bool is_said = gw_slice_eq_nocase(start, verdict);

    gw_term_paint(&story->page->term, &story->page->out, tone_of(verdict),
                  is_said ? start : verdict);
    if (!is_said)
        gw_buf_adds(&story->page->out, GW_SLICE(": "));
    add_text(story, is_said ? gw_slice_skip(summary, start.len) : summary, 2);
}

static void tell(struct gw_page *page, yyjson_val *result)
{
    struct story story = {.page = page};
    size_t i, max;
    yyjson_val *event;

    add_verdict(&story, gw_client_text(result, "verdict"), gw_client_text(result, "summary"));
    yyjson_arr_foreach(yyjson_obj_get(result, "events"), i, max, event)
    {
        add_event(&story, event);
    }
}

static bool is_known(yyjson_val *result)
{
    return !gw_slice_is(gw_client_text(result, "verdict"), "unknown");
}

static int run(int argc, char **argv)
{
    struct gw_client_options common = {0};
    const struct gw_option rows[] = {GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {.command = &gw_why_command,
                                 .rows = rows,
                                 .count = gw_count(rows),
                                 .words_min = 1,
                                 .words_max = 1};

    int code = gw_options_take(&options, argc, argv);
    if (code >= 0)
        return code;
    return gw_ask_once(
        &common, &(struct gw_ask){
                     .path = "/v1/why", .id = options.words[0], .tell = tell, .is_yes = is_known});
}

const struct gw_command gw_why_command = {
    .name = "why",
    .summary = "tell the whole story of an id, and what to do next",
    .usage = "why ID [options]",
    .example = "gwh why e-1\ngwh why dlv_fpuol6gazcn7xku3m2d5hqe4ti",
    .notes = "ID is a message (msg_…), delivery (dlv_…), event or transaction id. Exit 1 when\n"
             "nobody knows it.",
    .is_client = true,
    .main = run,
};
