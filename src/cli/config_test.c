/* config_test.c: `gwh config test`: one real, signed POST to where a config leads, and how it went.
 * Owns nothing that outlives a call. The event's bytes are sent as they were given. */
#include "cli/ask.h"
#include "cli/config_pair.h"
#include "cli/input.h"
#include "cli/text.h"

#define EVENT_BYTES_MAX ((size_t)16 * 1024 * 1024) /* the server's own limit is lower */

/* ── Asking ────────────────────────────────────────────────────────────────────────────────── */

/* {"appId":…,"eventType":… without the brace that ends it */
static void add_pair(const struct gw_config_pair *pair, struct gw_buf *body)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "appId", pair->app);
    yyjson_mut_obj_add_str(doc, root, "eventType", pair->type);
    gw_ask_body(doc, body);
    body->len--;
}

/* What is not JSON must not be put inside what is. */
static int add_event(const char *file, struct gw_buf *body)
{
    struct gw_buf event = {0};
    yyjson_read_err why;

    int code = gw_input_read(file, EVENT_BYTES_MAX, &event);
    if (code < 0) {
        yyjson_doc *doc =
            yyjson_read_opts(event.ptr, event.len, YYJSON_READ_NUMBER_AS_RAW, NULL, &why);
        if (doc == NULL || !yyjson_is_obj(yyjson_doc_get_root(doc)))
            code = gw_term_fail(GW_EXIT_USAGE,
                                "config test: --event: must be a JSON object, was not: %s at byte "
                                "%zu",
                                doc ? "it begins otherwise" : why.msg, doc ? 1 : why.pos + 1);
        yyjson_doc_free(doc);
    }
    if (code < 0) {
        gw_buf_adds(body, GW_SLICE(",\"event\":"));
        gw_buf_adds(body, gw_buf_slice(&event));
    }
    gw_buf_deinit(&event);
    return code;
}

/* ── Telling ───────────────────────────────────────────────────────────────────────────────── */

static void add_ms(struct gw_buf *out, double ms)
{
    if (ms < 1000)
        gw_buf_addf(out, "%.*f ms", ms < 10 ? 1 : 0, ms);
    else
        gw_buf_addf(out, "%.1f s", ms / 1000);
}

/* " (name looked up in 3 ms, connected in 12 ms)" */
static void add_phases(struct gw_buf *out, yyjson_val *phases)
{
    static const struct {
        const char *name, *said;
    } rows[] = {
        {"dns", "name looked up in"},
        {"connect", "connected in"},
        {"tls", "TLS in"},
        {"firstByte", "first byte of the answer after"},
    };
    size_t count = 0;

    for (size_t i = 0; i < gw_count(rows); i++) {
        double ms = gw_client_real(phases, rows[i].name, 0);
        if (ms <= 0)
            continue;
        gw_buf_addf(out, "%s%s ", count++ > 0 ? ", " : " (", rows[i].said);
        add_ms(out, ms);
    }
    if (count > 0)
        gw_buf_addc(out, ')');
}

static void add_wrapped(const struct gw_term *term, struct gw_buf *out, struct gw_slice text)
{
    struct gw_buf clean = {0};

    gw_buf_adds(out, GW_SLICE("  "));
    gw_text_add_flat(&clean, text);
    gw_text_add_wrapped(out, gw_buf_slice(&clean), term->width > 32 ? term->width - 2 : SIZE_MAX,
                        2);
    gw_buf_addc(out, '\n');
    gw_buf_deinit(&clean);
}

/* As `gwh why` tells an attempt. */
static void add_story(struct gw_buf *out, yyjson_val *attempt, bool is_good)
{
    struct gw_slice address = gw_client_text(attempt, "address"),
                    error = gw_client_text(attempt, "error"), url = gw_client_text(attempt, "url");

    gw_buf_adds(out, url.ptr ? url : GW_SLICE("The POST"));
    if (address.ptr) {
        gw_buf_adds(out, GW_SLICE(" at "));
        gw_buf_adds(out, address);
    }
    if (is_good) {
        gw_buf_addf(out, " answered %lld", (long long)gw_client_number(attempt, "statusCode", 0));
    } else {
        gw_buf_adds(out, GW_SLICE(" failed, "));
        gw_buf_adds(out, gw_client_text(attempt, "outcome"));
        gw_buf_adds(out, GW_SLICE(": "));
        gw_buf_adds(out, error.ptr ? error : GW_SLICE("no reason was given"));
    }
    gw_buf_adds(out, GW_SLICE(" after "));
    add_ms(out, gw_client_real(attempt, "durationMs", 0));
    add_phases(out, yyjson_obj_get(attempt, "phases"));
    gw_buf_addc(out, '.');
}

static bool is_delivered(yyjson_val *attempt)
{
    return gw_slice_is(gw_client_text(attempt, "outcome"), "success");
}

static void tell(struct gw_page *page, yyjson_val *attempt)
{
    struct gw_slice answer = gw_client_text(attempt, "responseExcerpt"),
                    advice = gw_client_text(attempt, "advice");
    bool is_good = is_delivered(attempt);
    struct gw_buf story = {0}, said = {0};

    gw_term_paint(&page->term, &page->out, is_good ? GW_TONE_GOOD : GW_TONE_BAD,
                  is_good ? GW_SLICE("delivered") : GW_SLICE("not delivered"));
    gw_buf_addc(&page->out, '\n');
    add_story(&story, attempt, is_good);
    add_wrapped(&page->term, &page->out, gw_buf_slice(&story));
    if (answer.len > 0) {
        gw_buf_adds(&said, GW_SLICE("It answered: "));
        gw_buf_adds(&said, answer);
        add_wrapped(&page->term, &page->out, gw_buf_slice(&said));
    }
    if (!is_good && advice.len > 0)
        add_wrapped(&page->term, &page->out, advice);
    gw_buf_deinit(&said);
    gw_buf_deinit(&story);
}

/* ── The command ───────────────────────────────────────────────────────────────────────────── */

static int run(int argc, char **argv)
{
    struct gw_client_options common = {0};
    struct gw_config_pair pair = {0};
    const char *event = NULL;
    const struct gw_option rows[] = {GW_CONFIG_PAIR_OPTIONS(pair),
                                     {.name = "event",
                                      .value = "FILE|-",
                                      .help = "send this JSON object, instead of one made up",
                                      .text = &event},
                                     GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {.command = &gw_config_test_command,
                                 .rows = rows,
                                 .count = gw_count(rows),
                                 .words_max = GW_CONFIG_PAIR_WORDS};
    struct gw_buf body = {0};

    int code = gw_config_pair_parse(&options, argc, argv, &pair);
    if (code >= 0)
        return code;
    add_pair(&pair, &body);
    if (event)
        code = add_event(event, &body);
    gw_buf_addc(&body, '}');
    if (code < 0)
        code = gw_ask_once(&common, &(struct gw_ask){
                                        .method = "POST",
                                        .path = "/v1/config/test",
                                        .body = gw_buf_slice(&body),
                                        .tell = tell,
                                        .is_yes = is_delivered,
                                    });
    gw_buf_deinit(&body);
    return code;
}

const struct gw_command gw_config_test_command = {
    .name = "config test",
    .summary = "send one signed event to where a config leads, and say how it went",
    .usage = "config test APP TYPE [--event FILE|-] [options]",
    .example = "gwh config test acme FINISH_TRANSACTION_WEBHOOK\n"
               "echo '{\"appId\":\"acme\",\"n\":1}' | gwh config test acme T --event -",
    .notes = "One real POST, signed with the config's secrets; nothing is kept, nothing is tried\n"
             "again, and the config's filter is not asked. Exit 1 when it was not delivered.",
    .is_client = true,
    .main = run,
};
