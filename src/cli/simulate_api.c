/* simulate_api.c: simulated events posted to the API, each a request of its own. Owns each until its
 * answer. The first request that finds no server ends the simulation; later ones are counted, for
 * servers are restarted. */
#include "cli/simulate_impl.h"
#include "cli/text.h"

struct posting {
    struct gw_http_call call;
    struct gw_simulate_event *event; /* which this is part of */
};

static int open_api(struct gw_simulation *s)
{
    int code = gw_client_open(&s->client, s->options);

    s->env = s->client.env;
    return code;
}

static void close_api(struct gw_simulation *s)
{
    gw_client_close(&s->client);
}

static bool is_skipped(const struct gw_http_call *call)
{
    yyjson_doc *doc = yyjson_read(call->reply.ptr, call->reply.len, 0);
    yyjson_val *result = yyjson_obj_get(yyjson_doc_get_root(doc), "result");
    bool is_skipped = yyjson_is_obj(yyjson_obj_get(result, "skipped"));

    yyjson_doc_free(doc);
    return is_skipped;
}

static void add_refusal(const struct gw_http_call *call, struct gw_buf *why)
{
    yyjson_doc *doc = yyjson_read(call->reply.ptr, call->reply.len, 0);

    gw_text_add_clean(why, gw_client_text(yyjson_doc_get_root(doc), "error"), false);
    if (why->len == 0)
        gw_buf_addf(why, "status %d", call->status);
    yyjson_doc_free(doc);
}

static void fail(struct posting *posting)
{
    const struct gw_http_call *call = &posting->call;
    const struct gw_simulation *s = posting->event->simulation;
    bool is_answered = call->end == GW_HTTP_ANSWERED;
    bool is_hopeless =
        is_answered ? call->status == 401 || call->status == 403 : s->all.accepted == 0;
    struct gw_buf why = {0};

    if (is_answered)
        add_refusal(call, &why);
    else
        gw_client_explain(&s->client, call, &why);
    gw_simulate_failed(posting->event, gw_buf_text(&why), is_hopeless);
    gw_buf_deinit(&why);
}

static void on_posted(struct gw_http_call *call)
{
    struct posting *posting = gw_container_of(call, struct posting, call);

    if (call->end == GW_HTTP_ANSWERED && call->status == 202)
        gw_simulate_accepted(posting->event, is_skipped(call), call->total_us);
    else
        fail(posting);
}

static void post(struct gw_simulation *s, struct gw_simulate_event *event)
{
    struct posting *posting = gw_arena_zalloc(&event->arena, sizeof(*posting));
    struct gw_client_request request = {
        .method = "POST", .path = "/v1/events", .body = event->body};

    gw_client_prepare(&s->client, &request, &event->arena, &posting->call);
    posting->event = event;
    posting->call.done = on_posted;
    gw_env_http(s->env, &posting->call);
}

const struct gw_simulate_to gw_simulate_api = {
    .name = "the server",
    .accepted = "accepted",
    .knows_skips = true,
    .open = open_api,
    .close = close_api,
    .send = post,
};
