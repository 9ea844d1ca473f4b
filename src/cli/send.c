/* send.c: `gwh send`: one event to the API, byte by byte as it was given; send_batch.c does many. */
#include "cli/ask.h"
#include "cli/input.h"
#include "cli/send_batch.h"
#include "cli/text.h"

#define EVENT_BYTES_MAX                                                                            \
    ((size_t)64 * 1024 * 1024) /* the server's own limit is lower, and says so */

/* A member of the event itself, for hints; ptr NULL when there is none. */
static struct gw_slice member(yyjson_doc *event, const char *name)
{
    return gw_client_text(yyjson_doc_get_root(event), name);
}

static void add_skip(const struct gw_term *term, struct gw_buf *out, struct gw_slice reason,
                     yyjson_doc *event)
{
    struct gw_slice app = member(event, "appId"), type = member(event, "eventType");

    gw_term_paint(term, out, GW_TONE_WARN, GW_SLICE("  goes nowhere: "));
    gw_text_add_clean(out, reason, false);
    if (gw_slice_is(reason, "no_config") && app.ptr && type.ptr) {
        gw_buf_adds(out, GW_SLICE("\n  to receive such events: gwh config create --app "));
        gw_text_add_clean(out, app, false);
        gw_buf_adds(out, GW_SLICE(" --type "));
        gw_text_add_clean(out, type, false);
        gw_buf_adds(out, GW_SLICE(" --url URL"));
    }
    gw_buf_addc(out, '\n');
}

static void add_deliveries(yyjson_val *deliveries, struct gw_buf *out)
{
    size_t i, max;
    yyjson_val *delivery;

    yyjson_arr_foreach(deliveries, i, max, delivery)
    {
        gw_buf_adds(out, GW_SLICE("  "));
        gw_text_add_clean(out, gw_client_text(delivery, "id"), false);
        gw_buf_adds(out, GW_SLICE(" → "));
        gw_text_add_clean(out, gw_client_text(delivery, "url"), false);
        gw_buf_addc(out, '\n');
    }
}

static void tell(struct gw_page *page, yyjson_val *result)
{
    const struct gw_slice *body = page->ctx;
    const struct gw_term *term = &page->term;
    struct gw_buf *out = &page->out;
    bool is_duplicate = yyjson_is_true(yyjson_obj_get(result, "duplicate"));
    bool differs = yyjson_is_true(yyjson_obj_get(result, "payloadDiffers"));
    struct gw_slice reason = gw_client_text(yyjson_obj_get(result, "skipped"), "reason");

    gw_term_paint(term, out, is_duplicate ? GW_TONE_WARN : GW_TONE_GOOD,
                  is_duplicate ? GW_SLICE("duplicate of") : GW_SLICE("accepted"));
    gw_buf_addc(out, ' ');
    gw_text_add_clean(out, gw_client_text(result, "id"), false);
    if (is_duplicate)
        gw_buf_adds(out, differs ? GW_SLICE(": nothing is sent, though this payload differs from "
                                            "the first one")
                                 : GW_SLICE(": nothing is sent"));
    gw_buf_addc(out, '\n');
    if (reason.ptr) {
        yyjson_doc *event = yyjson_read(body->ptr, body->len, 0);
        add_skip(term, out, reason, event);
        yyjson_doc_free(event);
    }
    add_deliveries(yyjson_obj_get(result, "deliveries"), out);
}

static int send_event(const struct gw_client_options *options, struct gw_slice body)
{
    return gw_ask_once(
        options,
        &(struct gw_ask){
            .method = "POST", .path = "/v1/events", .body = body, .tell = tell, .ctx = &body});
}

static int run(int argc, char **argv)
{
    struct gw_client_options common = {0};
    int is_batch = 0;
    const struct gw_option rows[] = {
        {.name = "batch", .help = "FILE holds an event on each line", .flag = &is_batch},
        GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {.command = &gw_send_command,
                                 .rows = rows,
                                 .count = gw_count(rows),
                                 .words_min = 1,
                                 .words_max = 1};
    struct gw_buf body = {0};

    int code = gw_options_take(&options, argc, argv);
    if (code < 0 && is_batch > 0)
        return gw_send_batch(&common, options.words[0]);
    if (code < 0)
        code = gw_input_read(options.words[0], EVENT_BYTES_MAX, &body);
    if (code < 0)
        code = send_event(&common, gw_buf_slice(&body));
    gw_buf_deinit(&body);
    return code;
}

const struct gw_command gw_send_command = {
    .name = "send",
    .summary = "report one event, or a file of them",
    .usage = "send [--batch] FILE|- [options]",
    .example = "echo '{\"appId\":\"acme\",\"eventType\":\"FINISH_TRANSACTION_WEBHOOK\","
               "\"eventId\":\"e-1\"}' | gwh send -\n"
               "gwh send event.json\n"
               "gwh send --batch events.ndjson",
    .notes =
        "FILE holds one JSON object with appId and eventType, and perhaps eventId,\n"
        "transactionId, workflowId, eventTime. The client gets these bytes as they are.\n"
        "The same appId and eventId again is answered with the first id, and sends nothing.\n"
        "With --batch each line is such an object; a line that is refused spoils only itself.\n"
        "Exit 1 when one was.",
    .is_client = true,
    .main = run,
};
