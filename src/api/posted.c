/* posted.c: owns the pool of events under way: a struct of some kilobytes for each, used again and
 * again, so that taking an event allocates next to nothing.
 *
 * The envelope says 202 when intake says that the event is on stable storage, and not before.
 * Thread: the shard's. */
#include "api/posted.h"

#include "api/refused.h"
#include "api/reply.h"

#define POOL_MAX 256

static struct gw_posted *take(struct gw_api *api)
{
    struct gw_list *link = gw_list_pop(&api->posted_pool);
    if (!link)
        return gw_zalloc(sizeof(struct gw_posted));
    api->posted_pool_count--;
    struct gw_posted *posted = gw_container_of(link, struct gw_posted, link);
    memset(posted, 0, sizeof(*posted));
    return posted;
}

void gw_posted_release(struct gw_posted *posted)
{
    struct gw_api *api = posted->api;
    gw_intake_deinit(&posted->intake);
    if (api->posted_pool_count == POOL_MAX) {
        gw_free(posted);
        return;
    }
    gw_list_init(&posted->link);
    gw_list_insert_before(api->posted_pool.next, &posted->link); /* the warmest first */
    api->posted_pool_count++;
}

void gw_posted_pool_destroy(struct gw_api *api)
{
    struct gw_list *link;
    while ((link = gw_list_pop(&api->posted_pool)))
        gw_free(gw_container_of(link, struct gw_posted, link));
}

/* Who asks why it never came is told. */
static void remember_refused(const struct gw_posted *posted)
{
    const struct gw_intake *intake = &posted->intake;
    const struct gw_event *event = &intake->event;
    int64_t again_s;
    int status = gw_posted_status(posted, &again_s);
    if (status < 400 || status > 499)
        return;
    bool is_other = intake->err == GW_ERR_CONFLICT || !event->app_id.ptr;
    struct gw_refusal refusal = {
        .at_ms = gw_env_wall_ms(posted->api->shard->env),
        .status = status,
        .scope = is_other && intake->scope.len ? intake->scope : event->app_id,
        .app_id = event->app_id,
        .event_type = event->event_type,
        .event_id = event->event_id,
        .transaction_id = event->transaction_id,
        .why = gw_slice_from(intake->error.text),
    };
    gw_refused_add(posted->api->refused, &refusal);
}

/* Until a worker has routed it the ledger knows nothing of it. */
static void remember_handed_over(const struct gw_posted *posted)
{
    const struct gw_event *event = &posted->intake.event;
    struct gw_refusal refusal = {
        .at_ms = gw_env_wall_ms(posted->api->shard->env),
        .status = 202,
        .id = posted->intake.id,
        .scope = event->app_id,
        .app_id = event->app_id,
        .event_type = event->event_type,
        .event_id = event->event_id,
        .transaction_id = event->transaction_id,
        .why = GW_SLICE(""),
    };
    gw_refused_add(posted->api->handed_over, &refusal);
}

static void on_intake(struct gw_intake *intake)
{
    struct gw_posted *posted = gw_container_of(intake, struct gw_posted, intake);
    if (intake->err != GW_OK)
        remember_refused(posted);
    else if (intake->deferred && posted->api->handed_over)
        remember_handed_over(posted);
    posted->done(posted);
}

void gw_posted_start(struct gw_api *api, struct gw_slice body, struct gw_slice scope,
                     void (*done)(struct gw_posted *posted), void *owner)
{
    struct gw_posted *posted = take(api);
    posted->api = api;
    posted->owner = owner;
    posted->done = done;
    posted->intake.body = body;
    posted->intake.scope = scope;
    posted->intake.done = on_intake;
    gw_intake_start(api->shard, &posted->intake);
}

/* ── The answer ────────────────────────────────────────────────────────────────────────────── */

int gw_posted_status(const struct gw_posted *posted, int64_t *again_s)
{
    const struct gw_intake *intake = &posted->intake;
    *again_s = 0;
    switch (intake->err) {
    case GW_OK: return 202;
    case GW_ERR_CONFLICT: return 403;
    case GW_ERR_TOO_LARGE: return 413;
    default: break;
    }
    if (gw_err_class(intake->err) == GW_CLASS_REJECT)
        return 400;
    *again_s = gw_reply_again_s(intake->again_ms);
    return intake->is_limited ? 429 : 503;
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

void gw_posted_render_skipped(struct gw_buf *out, enum gw_skip skip)
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

static void render_accepted(const struct gw_intake *intake, struct gw_buf *out)
{
    char text[GW_ID_TEXT_MAX];
    gw_buf_adds(out, GW_SLICE("{\"id\":\""));
    gw_buf_adds(out, gw_id_text(GW_ID_MESSAGE, &intake->id, text));
    gw_buf_adds(out, GW_SLICE("\",\"eventId\":"));
    gw_json_text(out, intake->event_id);
    if (intake->deferred) {
        gw_buf_adds(out, GW_SLICE(",\"duplicate\":null,\"deliveries\":null,\"skipped\":null}"));
        return;
    }
    gw_json_member_bool(out, "duplicate", intake->duplicate);
    if (intake->duplicate && intake->payload_differs)
        gw_json_member_bool(out, "payloadDiffers", true);
    gw_buf_adds(out, GW_SLICE(",\"deliveries\":["));
    for (size_t i = 0; i < intake->delivery_count; i++)
        add_delivery(out, &intake->deliveries[i]);
    gw_buf_addc(out, ']');
    gw_posted_render_skipped(out, intake->skip);
    gw_buf_addc(out, '}');
}

void gw_posted_render(const struct gw_posted *posted, bool is_line, struct gw_buf *out)
{
    const struct gw_intake *intake = &posted->intake;
    int64_t again_s;
    int status = gw_posted_status(posted, &again_s);
    if (status == 202) {
        gw_envelope_begin(out, status);
        render_accepted(intake, out);
    } else {
        gw_envelope_fail(out, status,
                         intake->error.text[0] ? intake->error.text : gw_err_name(intake->err));
        if (is_line && again_s > 0)
            gw_json_member_int(out, "retryAfter", again_s);
    }
    gw_buf_addc(out, '}');
}
