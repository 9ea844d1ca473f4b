/* events.c: an event in, and looking at one. */
#include "api/audit.h"
#include "api/look.h"
#include "api/posted.h"
#include "api/query.h"
#include "api/reply.h"

/* ── POST /v1/events ───────────────────────────────────────────────────────────────────────── */

static void on_posted(struct gw_posted *posted)
{
    struct gw_api_request *request = posted->owner;
    int64_t again_s;
    int status = gw_posted_status(posted, &again_s);
    gw_posted_render(posted, false, gw_reply_plain_begin(request));
    gw_posted_release(posted);
    if (again_s > 0)
        gw_reply_retry_after(request, again_s);
    gw_reply_plain_end(request, status, "application/json");
}

void gw_events_post(struct gw_api_request *request)
{
    gw_posted_start(request->api, request->exchange->body, request->caller.scope, on_posted,
                    request);
}

/* ── GET /v1/events ────────────────────────────────────────────────────────────────────────── */

struct looked {
    struct gw_api_request *request;
    bool with_payload;
    struct gw_find find;
    struct gw_look look;
    struct gw_audit_write write;
};

static void add_payload(const struct gw_message *message, struct gw_buf *out)
{
    gw_json_key(out, "payload");
    gw_buf_adds(out, message->body.len ? message->body : GW_SLICE("null"));
}

static void render_event(const struct looked *looked, const struct gw_event_row *event,
                         struct gw_buf *out)
{
    const struct gw_message *message = event->message;
    gw_buf_addc(out, '{');
    gw_json_member_id(out, "id", GW_ID_MESSAGE, &message->id);
    gw_json_member(out, "eventId", message->event_id);
    gw_json_member(out, "appId", message->app_id);
    gw_json_member(out, "eventType", message->event_type);
    gw_json_member(out, "transactionId", message->transaction_id);
    gw_json_member(out, "workflowId", message->workflow_id);
    gw_json_member(out, "eventTime", message->event_time);
    gw_json_member_time(out, "acceptedAt", message->accepted_ms);
    if (message->config_version)
        gw_json_member_int(out, "configVersion", (int64_t)message->config_version);
    else
        gw_json_member_null(out, "configVersion");
    gw_posted_render_skipped(out, message->skip);
    gw_json_key(out, "deliveries");
    gw_buf_addc(out, '[');
    for (size_t i = 0; i < event->count; i++) {
        struct gw_view view = gw_look_view(&looked->look, &event->rows[i]);
        gw_json_next(out);
        gw_buf_addc(out, '{');
        gw_look_render(&view, out);
        gw_buf_addc(out, '}');
    }
    gw_buf_addc(out, ']');
    if (looked->with_payload)
        add_payload(message, out);
    gw_buf_addc(out, '}');
}

static void answer(struct looked *looked)
{
    struct gw_api_request *request = looked->request;
    render_event(looked, &looked->find.events[0], gw_reply_begin(request, 200));
    gw_look_deinit(&looked->look);
    gw_reply_end(request);
}

static void on_written(struct gw_audit_write *write)
{
    struct looked *looked = gw_container_of(write, struct looked, write);
    if (write->failed.err == GW_OK) {
        answer(looked);
        return;
    }
    gw_look_deinit(&looked->look);
    gw_audit_write_reply(write);
}

static void on_look(struct gw_look *look)
{
    struct looked *looked = gw_container_of(look, struct looked, look);
    struct gw_api_request *request = looked->request;
    const struct gw_message *message = looked->find.events[0].message;
    char id[GW_ID_TEXT_MAX];
    if (look->failed.err != GW_OK) {
        gw_look_deinit(look);
        gw_reply_store_failed(request, &look->failed);
        return;
    }
    if (!looked->with_payload) {
        answer(looked);
        return;
    }
    struct gw_slice subject =
        gw_arena_dup(gw_api_arena(request), gw_id_text(GW_ID_MESSAGE, &message->id, id));
    struct gw_audit line = gw_audit_line(request, "payload_shown", message->app_id, subject);
    gw_audit_write_start(&looked->write, request, &line, 1, on_written);
}

static void on_found(struct gw_op *op)
{
    struct gw_find *find = gw_container_of(op, struct gw_find, op);
    struct looked *looked = gw_container_of(find, struct looked, find);
    struct gw_api_request *request = looked->request;
    if (op->err != GW_OK && op->err != GW_ERR_NOT_FOUND) {
        gw_reply_store_failed(request, op);
        return;
    }
    if (op->err != GW_OK || find->count == 0 ||
        !gw_api_may_see(request, find->events[0].message->app_id)) {
        gw_reply_fail(request, 404, "there is no such event");
        return;
    }
    gw_look_init(&looked->look, request, on_look);
    gw_look_add(&looked->look, find->events[0].message->app_id, true);
    gw_look_start(&looked->look);
}

/* False: the request is over. */
static bool looked_init(struct looked *looked, struct gw_api_request *request,
                        struct gw_slice payload)
{
    struct gw_error error;
    if (gw_query_bool("payload", payload, &looked->with_payload, &error) != GW_OK) {
        gw_reply_fail(request, 400, "%s", error.text);
        return false;
    }
    if (looked->with_payload &&
        !gw_api_require(request, GW_ROLE_ADMIN | GW_ROLE_CLIENT, "payload=true"))
        return false;
    looked->request = request;
    looked->find = (struct gw_find){
        .op = {.env = gw_api_env(request), .done = on_found},
        .arena = gw_api_arena(request),
        .app_id = request->caller.scope,
        .with_body = looked->with_payload,
        .max = 1,
    };
    return true;
}

static void looked_start(struct looked *looked)
{
    struct gw_ledger *ledger = looked->request->api->shard->flow->ledger;
    gw_ledger_find(ledger, &looked->find);
}

void gw_events_get(struct gw_api_request *request)
{
    enum { APP_ID, EVENT_ID, PAYLOAD, COUNT };
    static const char *const names[COUNT] = {"appId", "eventId", "payload"};
    struct gw_slice values[COUNT];
    struct gw_error error;
    struct looked *looked = gw_arena_zalloc(gw_api_arena(request), sizeof(*looked));
    if (gw_query_parse(request, names, COUNT, values, &error) != GW_OK) {
        gw_reply_fail(request, 400, "%s", error.text);
        return;
    }
    if (!values[APP_ID].ptr || !values[EVENT_ID].ptr) {
        gw_reply_fail(request, 400, "%s: is required; or give an id: /v1/events/msg_…",
                      values[APP_ID].ptr ? "eventId" : "appId");
        return;
    }
    if (!looked_init(looked, request, values[PAYLOAD]))
        return;
    if (!gw_api_may_see(request, values[APP_ID])) {
        gw_reply_fail(request, 404, "there is no such event");
        return;
    }
    looked->find.key = GW_FIND_EVENT_ID;
    looked->find.app_id = values[APP_ID];
    looked->find.text = values[EVENT_ID];
    looked_start(looked);
}

void gw_events_get_one(struct gw_api_request *request)
{
    static const char *const names[] = {"payload"};
    struct gw_slice payload;
    struct gw_error error;
    struct looked *looked = gw_arena_zalloc(gw_api_arena(request), sizeof(*looked));
    if (gw_query_parse(request, names, 1, &payload, &error) != GW_OK) {
        gw_reply_fail(request, 400, "%s", error.text);
        return;
    }
    if (!looked_init(looked, request, payload))
        return;
    looked->find.key = GW_FIND_MESSAGE;
    if (!gw_id_parse(GW_ID_MESSAGE, request->id, &looked->find.id)) {
        gw_reply_fail(request, 404, "there is no such event");
        return;
    }
    looked_start(looked);
}
