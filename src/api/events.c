/* events.c: events in, and looking at one. Owns the pool of intakes: a struct of some kilobytes for
 * each event under way, used again and again, so that taking an event allocates next to nothing.
 *
 * The 202 is written when intake says that the event is on stable storage, and not before. */
#include "api/look.h"
#include "api/query.h"
#include "api/reply.h"
#include "flow/intake.h"

#define POOL_MAX 256

/* ── POST /v1/events ───────────────────────────────────────────────────────────────────────── */

struct posted {
    struct gw_list link; /* in the pool */
    struct gw_api_request *request;
    struct gw_intake intake;
};

static struct posted *posted_take(struct gw_api *api)
{
    struct gw_list *link = gw_list_pop(&api->event_pool);
    if (!link)
        return gw_zalloc(sizeof(struct posted));
    api->event_pool_count--;
    struct posted *posted = gw_container_of(link, struct posted, link);
    memset(posted, 0, sizeof(*posted));
    return posted;
}

static void posted_release(struct gw_api *api, struct posted *posted)
{
    gw_intake_deinit(&posted->intake);
    if (api->event_pool_count == POOL_MAX) {
        gw_free(posted);
        return;
    }
    gw_list_init(&posted->link);
    gw_list_insert_before(api->event_pool.next, &posted->link); /* the warmest first */
    api->event_pool_count++;
}

void gw_events_pool_destroy(struct gw_api *api)
{
    struct gw_list *link;
    while ((link = gw_list_pop(&api->event_pool)))
        gw_free(gw_container_of(link, struct posted, link));
}

static void add_delivery(struct gw_buf *out, const struct gw_intake_delivery *delivery)
{
    char text[GW_ID_TEXT_MAX];
    gw_json_next(out);
    gw_buf_adds(out, GW_SLICE("{\"id\":\""));
    gw_buf_adds(out, gw_id_text(GW_ID_DELIVERY, &delivery->id, text));
    gw_buf_adds(out, GW_SLICE("\",\"url\":"));
    gw_json_text(out, delivery->url);
    gw_buf_addc(out, '}');
}

static void add_skipped(struct gw_buf *out, enum gw_skip skip)
{
    gw_json_key(out, "skipped");
    if (skip == GW_SKIP_NONE) {
        gw_buf_adds(out, GW_SLICE("null"));
        return;
    }
    gw_buf_addc(out, '{');
    gw_json_member_s(out, "reason", gw_skip_name(skip));
    gw_buf_addc(out, '}');
}

static void answer_accepted(struct gw_api_request *request, const struct gw_intake *intake)
{
    char text[GW_ID_TEXT_MAX];
    struct gw_buf *out = gw_reply_begin(request, 202);
    gw_buf_adds(out, GW_SLICE("{\"id\":\""));
    gw_buf_adds(out, gw_id_text(GW_ID_MESSAGE, &intake->id, text));
    gw_buf_adds(out, GW_SLICE("\",\"eventId\":"));
    gw_json_text(out, intake->event_id);
    gw_json_member_bool(out, "duplicate", intake->duplicate);
    if (intake->duplicate && intake->payload_differs)
        gw_json_member_bool(out, "payloadDiffers", true);
    gw_buf_adds(out, GW_SLICE(",\"deliveries\":["));
    for (size_t i = 0; i < intake->delivery_count; i++)
        add_delivery(out, &intake->deliveries[i]);
    gw_buf_addc(out, ']');
    add_skipped(out, intake->skip);
    gw_buf_addc(out, '}');
    gw_reply_end(request);
}

static void answer_refused(struct gw_api_request *request, const struct gw_intake *intake)
{
    const char *why = intake->error.text[0] ? intake->error.text : gw_err_name(intake->err);
    switch (intake->err) {
    case GW_ERR_CONFLICT: gw_reply_fail(request, 403, "%s", why); return;
    case GW_ERR_TOO_LARGE: gw_reply_fail(request, 413, "%s", why); return;
    default: break;
    }
    if (gw_err_class(intake->err) == GW_CLASS_REJECT)
        gw_reply_fail(request, 400, "%s", why);
    else
        gw_reply_later(request, intake->again_ms, why);
}

static void on_intake(struct gw_intake *intake)
{
    struct posted *posted = gw_container_of(intake, struct posted, intake);
    struct gw_api *api = posted->request->api;
    if (intake->err == GW_OK)
        answer_accepted(posted->request, intake);
    else
        answer_refused(posted->request, intake);
    posted_release(api, posted);
}

void gw_events_post(struct gw_api_request *request)
{
    struct gw_api *api = request->api;
    struct posted *posted = posted_take(api);
    posted->request = request;
    posted->intake.body = request->exchange->body;
    posted->intake.scope = request->caller.scope;
    posted->intake.done = on_intake;
    gw_intake_start(api->shard, &posted->intake);
}

/* ── GET /v1/events ────────────────────────────────────────────────────────────────────────── */

struct looked {
    struct gw_api_request *request;
    bool with_payload;
    struct gw_find find;
    struct gw_look look;
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
    add_skipped(out, message->skip);
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

static void on_look(struct gw_look *look)
{
    struct looked *looked = gw_container_of(look, struct looked, look);
    struct gw_api_request *request = looked->request;
    const struct gw_event_row *event = &looked->find.events[0];
    if (look->failed.err != GW_OK) {
        gw_look_deinit(look);
        gw_reply_store_failed(request, &look->failed);
        return;
    }
    if (looked->with_payload) {
        char text[GW_ID_TEXT_MAX];
        gw_api_audit(request, "payload_shown", event->message->app_id,
                     gw_id_text(GW_ID_MESSAGE, &event->message->id, text));
    }
    render_event(looked, event, gw_reply_begin(request, 200));
    gw_look_deinit(look);
    gw_reply_end(request);
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
    gw_look_add(&looked->look, find->events[0].message->app_id);
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
    ledger->ops->find(ledger, &looked->find);
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
