/* deliveries.c: looking at deliveries, and the manual retry.
 *
 * The ledger filters by what it stores. `held` and the URL of what was never attempted follow from
 * the configs of now, so these two are filtered here; when that leaves nothing of a page the next
 * one is read at once, a few times, before the caller gets an empty page with a cursor. A page is
 * megabytes when its deliveries failed often, so one that shows nothing is freed before the next. */
#include "api/audit.h"
#include "api/look.h"
#include "api/query.h"
#include "api/reply.h"
#include "base/check.h"
#include "flow/schedule.h"

#define ROUNDS_MAX 4

/* ── GET /v1/deliveries ────────────────────────────────────────────────────────────────────── */

enum param {
    APP_ID,
    EVENT_TYPE,
    EVENT_ID,
    TRANSACTION_ID,
    STATUS,
    URL,
    FROM,
    TO,
    LIMIT,
    CURSOR,
    PARAM_COUNT
};

static const char *const param_names[PARAM_COUNT] = {
    "appId", "eventType", "eventId", "transactionId", "status",
    "url",   "from",      "to",      "limit",         "cursor",
};

enum held { HELD_ANY, HELD_ONLY, HELD_NOT };

struct listing {
    struct gw_api_request *request;
    struct gw_list_op op;
    struct gw_arena page; /* op's */
    struct gw_look look;
    struct gw_slice url; /* filter, without its query */
    enum held held;
    size_t rounds;
};

static enum gw_err parse_status(struct listing *listing, struct gw_slice value,
                                struct gw_error *error)
{
    static const struct {
        const char *name;
        enum gw_delivery_state state;
        enum held held;
    } statuses[] = {
        {"pending", GW_DELIVERY_PENDING, HELD_NOT},     {"held", GW_DELIVERY_PENDING, HELD_ONLY},
        {"delivered", GW_DELIVERY_DELIVERED, HELD_ANY}, {"dead", GW_DELIVERY_DEAD, HELD_ANY},
        {"cancelled", GW_DELIVERY_CANCELLED, HELD_ANY},
    };
    listing->op.state = -1;
    if (!value.ptr)
        return GW_OK;
    for (size_t i = 0; i < gw_count(statuses); i++) {
        if (gw_slice_is(value, statuses[i].name)) {
            listing->op.state = (int)statuses[i].state;
            listing->held = statuses[i].held;
            return GW_OK;
        }
    }
    return gw_error_set(error, GW_ERR_INVALID,
                        "status: must be pending, held, delivered, dead or cancelled");
}

static enum gw_err parse_listing(struct listing *listing, struct gw_error *error)
{
    struct gw_list_op *op = &listing->op;
    struct gw_slice values[PARAM_COUNT];
    enum gw_err err = gw_query_parse(listing->request, param_names, PARAM_COUNT, values, error);
    if (err == GW_OK)
        err = parse_status(listing, values[STATUS], error);
    if (err == GW_OK)
        err = gw_query_time("from", values[FROM], &op->from_ms, error);
    if (err == GW_OK)
        err = gw_query_time("to", values[TO], &op->to_ms, error);
    if (err == GW_OK)
        err = gw_query_limit(values[LIMIT], &op->max, error);
    if (err != GW_OK)
        return err;
    op->app_id = values[APP_ID];
    op->event_type = values[EVENT_TYPE];
    op->event_id = values[EVENT_ID];
    op->transaction_id = values[TRANSACTION_ID];
    op->cursor = values[CURSOR];
    if (values[URL].ptr)
        listing->url = gw_url_shown(values[URL]);
    return GW_OK;
}

static bool is_wanted(const struct listing *listing, const struct gw_view *view)
{
    if (listing->held != HELD_ANY && view->held != (listing->held == HELD_ONLY))
        return false;
    return !listing->url.ptr || gw_slice_eq(listing->url, view->url);
}

/* Drops the rows that are not wanted; their place in the arena stays. */
static void filter(struct listing *listing)
{
    struct gw_list_op *op = &listing->op;
    size_t kept = 0;
    for (size_t i = 0; i < op->count; i++) {
        struct gw_view view = gw_look_view(&listing->look, &op->rows[i]);
        if (is_wanted(listing, &view))
            op->rows[kept++] = op->rows[i];
    }
    op->count = kept;
}

static void page_free(struct listing *listing)
{
    gw_look_deinit(&listing->look);
    gw_arena_deinit(&listing->page);
}

static void answer_list(struct listing *listing)
{
    struct gw_api_request *request = listing->request;
    struct gw_buf *out = gw_reply_begin(request, 200);
    gw_buf_adds(out, GW_SLICE("{\"items\":["));
    for (size_t i = 0; i < listing->op.count; i++) {
        struct gw_view view = gw_look_view(&listing->look, &listing->op.rows[i]);
        gw_json_next(out);
        gw_buf_addc(out, '{');
        gw_look_render(&view, out);
        gw_buf_addc(out, '}');
    }
    gw_buf_addc(out, ']');
    gw_json_member(out, "next", listing->op.next);
    gw_buf_addc(out, '}');
    page_free(listing);
    gw_reply_end(request);
}

static void start_list(struct listing *listing);

static void on_list_look(struct gw_look *look)
{
    struct listing *listing = gw_container_of(look, struct listing, look);
    if (look->failed.err != GW_OK) {
        page_free(listing);
        gw_reply_store_failed(listing->request, &look->failed);
        return;
    }
    filter(listing);
    if (listing->op.count == 0 && listing->op.next.ptr && ++listing->rounds < ROUNDS_MAX) {
        listing->op.cursor = gw_arena_dup(gw_api_arena(listing->request), listing->op.next);
        page_free(listing);
        start_list(listing);
        return;
    }
    answer_list(listing);
}

static void on_listed(struct gw_op *base)
{
    struct gw_list_op *op = gw_container_of(base, struct gw_list_op, op);
    struct listing *listing = gw_container_of(op, struct listing, op);
    if (base->err != GW_OK) {
        page_free(listing);
        if (base->err == GW_ERR_INVALID)
            gw_reply_fail(listing->request, 400, "cursor: must be the next of an earlier page");
        else
            gw_reply_store_failed(listing->request, base);
        return;
    }
    for (size_t i = 0; i < op->count; i++)
        gw_look_add(&listing->look, op->rows[i].message->app_id,
                    op->rows[i].delivery.state == GW_DELIVERY_PENDING);
    gw_look_start(&listing->look);
}

static void start_list(struct listing *listing)
{
    struct gw_ledger *ledger = listing->request->api->shard->flow->ledger;
    gw_look_init(&listing->look, listing->request, on_list_look);
    listing->op.op = (struct gw_op){.env = gw_api_env(listing->request), .done = on_listed};
    listing->op.next = (struct gw_slice){0};
    gw_ledger_list(ledger, &listing->op);
}

void gw_deliveries_get(struct gw_api_request *request)
{
    struct listing *listing = gw_arena_zalloc(gw_api_arena(request), sizeof(*listing));
    struct gw_error error;
    listing->request = request;
    listing->op.arena = &listing->page;
    if (parse_listing(listing, &error) != GW_OK) {
        gw_reply_fail(request, 400, "%s", error.text);
        return;
    }
    if (!listing->op.app_id.ptr)
        listing->op.app_id = request->caller.scope;
    if (listing->op.app_id.ptr && !gw_api_may_see(request, listing->op.app_id)) {
        gw_reply_fail(request, 404, "there is no such app");
        return;
    }
    if (gw_api_is_shared(request) && !listing->op.app_id.ptr) {
        gw_reply_fail(request, 400,
                      "appId: is required, for one app's are looked through at a time");
        return;
    }
    start_list(listing);
}

/* ── One delivery, found ───────────────────────────────────────────────────────────────────── */

struct one {
    struct gw_api_request *request;
    void (*found)(struct one *one); /* `row` and the look are there */
    struct gw_find find;
    struct gw_look look;
    const struct gw_row *row;
    struct gw_audit_write write;
    struct gw_retry_op retry;
};

static void fail(struct one *one, int status, const char *why)
{
    gw_look_deinit(&one->look);
    gw_reply_fail(one->request, status, "%s", why);
}

static void on_one_look(struct gw_look *look)
{
    struct one *one = gw_container_of(look, struct one, look);
    if (look->failed.err != GW_OK) {
        gw_look_deinit(look);
        gw_reply_store_failed(one->request, &look->failed);
        return;
    }
    one->found(one);
}

static const struct gw_row *find_row(const struct one *one)
{
    if (one->find.count == 0)
        return NULL;
    const struct gw_event_row *event = &one->find.events[0];
    for (size_t i = 0; i < event->count; i++)
        if (gw_id_eq(&event->rows[i].delivery.id, &one->find.id))
            return &event->rows[i];
    return NULL;
}

static void on_one_found(struct gw_op *op)
{
    struct gw_find *find = gw_container_of(op, struct gw_find, op);
    struct one *one = gw_container_of(find, struct one, find);
    if (op->err != GW_OK && op->err != GW_ERR_NOT_FOUND) {
        gw_reply_store_failed(one->request, op);
        return;
    }
    one->row = op->err == GW_OK ? find_row(one) : NULL;
    if (!one->row || !gw_api_may_see(one->request, one->row->message->app_id)) {
        fail(one, 404, "there is no such delivery");
        return;
    }
    gw_look_add(&one->look, one->row->message->app_id, true);
    gw_look_start(&one->look);
}

static void find_one(struct gw_api_request *request, void (*found)(struct one *one))
{
    struct one *one = gw_arena_zalloc(gw_api_arena(request), sizeof(*one));
    struct gw_ledger *ledger = request->api->shard->flow->ledger;
    struct gw_error error;
    one->request = request;
    one->found = found;
    gw_look_init(&one->look, request, on_one_look);
    if (gw_query_parse(request, NULL, 0, NULL, &error) != GW_OK) {
        gw_reply_fail(request, 400, "%s", error.text);
        return;
    }
    one->find = (struct gw_find){
        .op = {.env = gw_api_env(request), .done = on_one_found},
        .arena = gw_api_arena(request),
        .key = GW_FIND_DELIVERY,
        .app_id = request->caller.scope,
        .max = 1,
    };
    if (gw_id_parse(GW_ID_DELIVERY, request->id, &one->find.id))
        gw_ledger_find(ledger, &one->find);
    else
        gw_reply_fail(request, 404, "there is no such delivery");
}

static void answer_one(struct one *one)
{
    struct gw_view view = gw_look_view(&one->look, one->row);
    struct gw_buf *out = gw_reply_begin(one->request, 200);
    gw_buf_addc(out, '{');
    gw_look_render(&view, out);
    gw_look_render_log(one->row, gw_api_may_see_secrets(one->request), out);
    gw_buf_addc(out, '}');
    gw_look_deinit(&one->look);
    gw_reply_end(one->request);
}

void gw_deliveries_get_one(struct gw_api_request *request)
{
    find_one(request, answer_one);
}

/* ── POST /v1/deliveries/{id}/retry ────────────────────────────────────────────────────────── */

/* Why a delivery in that state cannot be retried; NULL = it can. */
static const char *refusal(struct one *one, const struct gw_delivery *delivery)
{
    switch (delivery->state) {
    case GW_DELIVERY_DELIVERED: return "it was delivered; to send the event again, replay it";
    case GW_DELIVERY_CANCELLED:
        return gw_arena_printf(gw_api_arena(one->request), "it was cancelled: %s",
                               gw_end_reason_text(delivery->reason));
    case GW_DELIVERY_PENDING:
    case GW_DELIVERY_DEAD: break;
    }
    if (delivery->reason == GW_END_RETENTION)
        return "it is past its retention";
    if (delivery->reason == GW_END_PAYLOAD_GONE || delivery->reason == GW_END_PAYLOAD_CHANGED)
        return gw_end_reason_text(delivery->reason);
    struct gw_view view = gw_look_view(&one->look, one->row);
    if (!view.config)
        return "its config or its URL was removed";
    if (!view.config->is_active)
        return "its config is inactive";
    return NULL;
}

static void answer_retry(struct one *one)
{
    struct gw_row row = *one->row;
    row.delivery = one->retry.delivery;
    struct gw_view view = gw_look_view(&one->look, &row);
    struct gw_buf *out = gw_reply_begin(one->request, 202);
    gw_buf_addc(out, '{');
    gw_look_render(&view, out);
    gw_buf_addc(out, '}');
    gw_look_deinit(&one->look);
    gw_reply_end(one->request);
}

static void on_retried(struct gw_op *op)
{
    struct gw_retry_op *retry = gw_container_of(op, struct gw_retry_op, op);
    struct one *one = gw_container_of(retry, struct one, retry);
    if (!retry->offered)
        gw_schedule_offer_destroy(retry->offer);
    switch (op->err) {
    case GW_OK:
        gw_shard_count(one->request->api->shard, GW_COUNT_RETRIED_BY_HAND);
        answer_retry(one);
        return;
    case GW_ERR_CONFLICT: {
        const char *why = refusal(one, &retry->delivery);
        fail(one, 409, why ? why : "it changed meanwhile; look again");
        return;
    }
    case GW_ERR_GONE: fail(one, 409, "it is past its retention"); return;
    case GW_ERR_NOT_FOUND: fail(one, 404, "there is no such delivery"); return;
    default: break;
    }
    gw_look_deinit(&one->look);
    gw_reply_store_failed(one->request, op);
}

static void on_written(struct gw_audit_write *write)
{
    struct one *one = gw_container_of(write, struct one, write);
    struct gw_shard *shard = one->request->api->shard;
    struct gw_slice app_id = one->row->message->app_id;
    if (write->failed.err != GW_OK) {
        gw_look_deinit(&one->look);
        gw_audit_write_reply(write);
        return;
    }
    one->retry = (struct gw_retry_op){
        .op = {.env = shard->env, .done = on_retried},
        .delivery_id = one->row->delivery.id,
        .now_ms = gw_env_wall_ms(shard->env),
        .offer = gw_schedule_retry_create(gw_flow_owner(shard->flow, app_id), app_id),
    };
    gw_ledger_retry(shard->flow->ledger, &one->retry);
}

/* The log is another file than the ledger, so the line comes first. */
static void start_retry(struct one *one)
{
    const struct gw_row *row = one->row;
    const char *why = refusal(one, &row->delivery);
    char id[GW_ID_TEXT_MAX];
    if (why) {
        fail(one, 409, why);
        return;
    }
    struct gw_slice subject =
        gw_arena_dup(gw_api_arena(one->request), gw_id_text(GW_ID_DELIVERY, &row->delivery.id, id));
    struct gw_audit line =
        gw_audit_line(one->request, "delivery_retried", row->message->app_id, subject);
    gw_audit_write_start(&one->write, one->request, &line, 1, on_written);
}

void gw_deliveries_retry(struct gw_api_request *request)
{
    find_one(request, start_retry);
}
