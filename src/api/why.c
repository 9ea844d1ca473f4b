/* why.c: finds what an id speaks of, and judges it.
 *
 *   id ─▶ message? ─▶ delivery? ─▶ event id? ─▶ transaction id? ─▶ none
 *          └───────────┴────────────┴── found ──┴▶ refused? ─▶ configs of now ─▶ stories
 *                                                                (filtered out? ─▶ bodies)
 *
 * Of one (appId, eventId) the newest event decides: what was skipped, or refused, and came again
 * later is no trouble any more. Of one target of an event the newest delivery decides, for a replay is
 * a new delivery. What must not be seen is unknown, like what is not there. */
#include "api/why_impl.h"

#include "api/query.h"
#include "api/reply.h"
#include "base/check.h"

#define EVENTS_MAX 100
#define STEPS_MAX  20 /* events whose steps are told, the worst; the others' are left out */
#define BODIES_MAX 5  /* events whose bodies are looked into; each may be a MiB */

struct why {
    struct gw_api_request *request;
    enum gw_find_key keys[4]; /* to be tried, in order */
    size_t key_count, key_at;
    struct gw_id message_id, delivery_id;
    struct gw_find find;
    struct gw_refused_ask refused;
    struct gw_look look;
    struct gw_why_story *stories;
    size_t story_count;
    struct gw_find body; /* of stories[body_at] */
    size_t body_at, body_count;
};

const char *gw_why_verdict_name(enum gw_why_verdict verdict)
{
    switch (verdict) {
    case GW_WHY_UNKNOWN: return "unknown";
    case GW_WHY_DELIVERED: return "delivered";
    case GW_WHY_SKIPPED: return "skipped";
    case GW_WHY_WAITING: return "waiting";
    case GW_WHY_HELD: return "held";
    case GW_WHY_CANCELLED: return "cancelled";
    case GW_WHY_DEAD: return "dead";
    case GW_WHY_REFUSED: return "refused";
    }
    gw_never("an unknown verdict");
}

/* ── Judging ───────────────────────────────────────────────────────────────────────────────── */

bool gw_why_is_told(const struct gw_why_story *story, const struct gw_row *row)
{
    return !story->only || gw_id_eq(story->only, &row->delivery.id);
}

static enum gw_why_verdict verdict_of(const struct gw_view *view)
{
    switch (view->row->delivery.state) {
    case GW_DELIVERY_PENDING: return view->held ? GW_WHY_HELD : GW_WHY_WAITING;
    case GW_DELIVERY_DELIVERED: return GW_WHY_DELIVERED;
    case GW_DELIVERY_DEAD: return GW_WHY_DEAD;
    case GW_DELIVERY_CANCELLED: return GW_WHY_CANCELLED;
    }
    gw_never("an unknown delivery state");
}

/* Is there a later delivery of the same event in the same lane? */
static bool is_replaced(const struct gw_event_row *event, size_t at)
{
    for (size_t i = at + 1; i < event->count; i++)
        if (event->rows[i].delivery.lane == event->rows[at].delivery.lane)
            return true;
    return false;
}

static void judge(struct gw_why_story *story)
{
    const struct gw_event_row *event = story->event;
    story->verdict = GW_WHY_UNKNOWN;
    for (size_t i = 0; i < event->count; i++) {
        const struct gw_row *row = &event->rows[i];
        if (!gw_why_is_told(story, row) || (!story->only && is_replaced(event, i)))
            continue;
        struct gw_view view = gw_look_view(story->look, row);
        enum gw_why_verdict verdict = verdict_of(&view);
        story->deliveries++;
        story->delivered += verdict == GW_WHY_DELIVERED;
        if (story->worst.row && verdict <= story->verdict)
            continue;
        story->verdict = verdict;
        story->worst = view;
    }
    if (!story->worst.row)
        story->verdict = GW_WHY_SKIPPED;
}

/* Events come newest first: is there a newer one of the same app and eventId? */
static bool is_superseded(const struct gw_find *find, size_t at)
{
    const struct gw_message *message = find->events[at].message;
    for (size_t i = 0; message->event_id.ptr && i < at; i++) {
        const struct gw_message *newer = find->events[i].message;
        if (newer->event_id.ptr && gw_slice_eq(newer->event_id, message->event_id) &&
            gw_slice_eq(newer->app_id, message->app_id))
            return true;
    }
    return false;
}

static bool is_same(const struct gw_refusal *refusal, struct gw_slice app_id,
                    struct gw_slice event_id)
{
    return refusal->event_id.ptr && event_id.ptr && gw_slice_eq(refusal->event_id, event_id) &&
           gw_slice_eq(refusal->app_id, app_id);
}

/* Was it refused again later, or taken at any time and not routed yet, or stored: later, or so that it
 * went somewhere? */
static bool is_made_good(const struct why *why, size_t at)
{
    const struct gw_refusal *refusal = &why->refused.items[at];
    if (gw_refusal_is_handed_over(refusal))
        return false;
    for (size_t i = 0; i < why->refused.count; i++) {
        const struct gw_refusal *other = &why->refused.items[i];
        if ((i < at || gw_refusal_is_handed_over(other)) &&
            is_same(refusal, other->app_id, other->event_id))
            return true;
    }
    for (size_t i = 0; i < why->find.count; i++) {
        const struct gw_message *message = why->find.events[i].message;
        if (is_same(refusal, message->app_id, message->event_id) &&
            (message->skip == GW_SKIP_NONE || message->accepted_ms >= refusal->at_ms))
            return true;
    }
    return false;
}

static bool comes_before(const struct gw_why_story *a, const struct gw_why_story *b)
{
    if (a->superseded != b->superseded)
        return b->superseded;
    return !a->superseded && a->verdict > b->verdict;
}

/* The worst first, else newest first as they came; few, and nearly in order. */
static void sort_stories(struct gw_why_story *stories, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct gw_why_story story = stories[i];
        size_t at = i;
        for (; at > 0 && comes_before(&story, &stories[at - 1]); at--)
            stories[at] = stories[at - 1];
        stories[at] = story;
    }
}

/* ── The answer ────────────────────────────────────────────────────────────────────────────── */

static void answer_unknown(struct why *why)
{
    struct gw_api_request *request = why->request;
    struct gw_buf *out = gw_reply_begin(request, 200);
    gw_buf_addc(out, '{');
    gw_json_member_s(out, "verdict", gw_why_verdict_name(GW_WHY_UNKNOWN));
    gw_json_member_s(out, "summary",
                     gw_why_unknown(request->id, gw_look_snapshot(&why->look, request->id),
                                    gw_api_arena(request)));
    gw_buf_adds(out, GW_SLICE(",\"events\":[]}"));
    gw_look_deinit(&why->look);
    gw_reply_end(request);
}

/* "It is one of 4 events with this id: 1 dead, 3 delivered." */
static const char *tally(const struct why *why)
{
    struct gw_arena *arena = gw_api_arena(why->request);
    size_t counts[GW_WHY_REFUSED + 1] = {0}, total = 0;
    for (size_t i = 0; i < why->story_count; i++) {
        if (why->stories[i].superseded)
            continue;
        counts[why->stories[i].verdict]++;
        total++;
    }
    if (total < 2)
        return "";
    const char *text = "";
    for (size_t i = GW_WHY_REFUSED; i > GW_WHY_UNKNOWN; i--)
        if (counts[i])
            text = gw_arena_printf(arena, "%s%s%zu %s", text, *text ? ", " : "", counts[i],
                                   gw_why_verdict_name((enum gw_why_verdict)i));
    return gw_arena_printf(arena, " It is one of %zu%s events with this id: %s.", total,
                           why->find.count == EVENTS_MAX ? " or more" : "", text);
}

/* What was refused has none. */
static const struct gw_id *id_of(const struct gw_why_story *story)
{
    if (story->event)
        return &story->event->message->id;
    return gw_refusal_is_handed_over(story->refusal) ? &story->refusal->id : NULL;
}

static void answer(struct why *why)
{
    struct gw_api_request *request = why->request;
    struct gw_arena *arena = gw_api_arena(request);
    int64_t now_ms = gw_env_wall_ms(gw_api_env(request));
    struct gw_buf *out = gw_reply_begin(request, 200);
    gw_buf_addc(out, '{');
    gw_json_member_s(out, "verdict", gw_why_verdict_name(why->stories[0].verdict));
    gw_json_member_s(out, "summary",
                     gw_arena_printf(arena, "%s%s", gw_why_summary(&why->stories[0], arena, now_ms),
                                     tally(why)));
    gw_json_key(out, "events");
    gw_buf_addc(out, '[');
    for (size_t i = 0; i < why->story_count; i++) {
        const struct gw_why_story *story = &why->stories[i];
        gw_json_next(out);
        gw_buf_addc(out, '{');
        const struct gw_id *id = id_of(story);
        if (id)
            gw_json_member_id(out, "id", GW_ID_MESSAGE, id);
        else
            gw_json_member_null(out, "id");
        gw_json_member_s(out, "verdict", gw_why_verdict_name(story->verdict));
        if (i < STEPS_MAX)
            gw_why_steps(story, arena, out);
        else
            gw_buf_adds(out, GW_SLICE(",\"steps\":[]"));
        gw_json_member_s(out, "next", gw_why_next(story, arena, now_ms));
        gw_buf_addc(out, '}');
    }
    gw_buf_adds(out, GW_SLICE("]}"));
    gw_look_deinit(&why->look);
    gw_reply_end(request);
}

static void look_into_bodies(struct why *why);

/* One that is not there any more, or not to be had now, is told without. */
static void on_body(struct gw_op *op)
{
    struct gw_find *find = gw_container_of(op, struct gw_find, op);
    struct why *why = gw_container_of(find, struct why, body);
    if (op->err == GW_OK && find->count > 0 && find->events[0].message->body.len > 0)
        gw_why_ask_filter(&why->stories[why->body_at], find->events[0].message->body,
                          gw_api_arena(why->request));
    why->body_at++;
    look_into_bodies(why);
}

/* One after the other, and then the answer. */
static void look_into_bodies(struct why *why)
{
    struct gw_api_request *request = why->request;
    while (why->body_at < why->story_count && !gw_why_wants_body(&why->stories[why->body_at]))
        why->body_at++;
    if (why->body_at == why->story_count || why->body_count == BODIES_MAX) {
        answer(why);
        return;
    }
    why->body_count++;
    why->body = (struct gw_find){
        .op = {.env = gw_api_env(request), .done = on_body},
        .arena = gw_api_arena(request),
        .key = GW_FIND_MESSAGE,
        .id = why->stories[why->body_at].event->message->id,
        .app_id = request->caller.scope,
        .with_body = true,
        .max = 1,
    };
    gw_ledger_find(request->api->shard->flow->ledger, &why->body);
}

static void on_why_look(struct gw_look *look)
{
    struct why *why = gw_container_of(look, struct why, look);
    if (look->failed.err != GW_OK) {
        gw_look_deinit(look);
        gw_reply_store_failed(why->request, &look->failed);
        return;
    }
    why->story_count = why->find.count + why->refused.count;
    if (why->story_count == 0) {
        answer_unknown(why);
        return;
    }
    bool by_delivery = why->find.key == GW_FIND_DELIVERY;
    why->stories =
        gw_arena_zalloc(gw_api_arena(why->request), why->story_count * sizeof(*why->stories));
    for (size_t i = 0; i < why->find.count; i++) {
        struct gw_why_story *story = &why->stories[i];
        story->event = &why->find.events[i];
        story->look = look;
        story->only = by_delivery ? &why->delivery_id : NULL;
        story->superseded = is_superseded(&why->find, i);
        judge(story);
    }
    for (size_t i = 0; i < why->refused.count; i++)
        why->stories[why->find.count + i] = (struct gw_why_story){
            .refusal = &why->refused.items[i],
            .verdict =
                gw_refusal_is_handed_over(&why->refused.items[i]) ? GW_WHY_WAITING : GW_WHY_REFUSED,
            .superseded = is_made_good(why, i),
        };
    sort_stories(why->stories, why->story_count);
    look_into_bodies(why);
}

/* ── Finding ───────────────────────────────────────────────────────────────────────────────── */

static void look(struct why *why)
{
    struct gw_slice id = why->request->id;
    gw_look_init(&why->look, why->request, on_why_look);
    for (size_t i = 0; i < why->find.count; i++)
        gw_look_add(&why->look, why->find.events[i].message->app_id, true);
    /* Perhaps it is an appId that was pasted. */
    if (why->find.count + why->refused.count == 0 && id.len <= GW_NAME_BYTES_MAX &&
        gw_api_may_see(why->request, id))
        gw_look_add(&why->look, id, false);
    gw_look_start(&why->look);
}

/* Is it in the ledger by now, or among those before it already? */
static bool is_told(const struct why *why, size_t count, const struct gw_refusal *refusal)
{
    for (size_t i = 0; i < why->find.count; i++)
        if (gw_id_eq(&why->find.events[i].message->id, &refusal->id))
            return true;
    for (size_t i = 0; i < count; i++)
        if (gw_refusal_is_handed_over(&why->refused.items[i]) &&
            gw_id_eq(&why->refused.items[i].id, &refusal->id))
            return true;
    return false;
}

static void on_refused(struct gw_refused_ask *ask)
{
    struct why *why = gw_container_of(ask, struct why, refused);
    size_t kept = 0;
    for (size_t i = 0; i < ask->count; i++)
        if (!gw_refusal_is_handed_over(&ask->items[i]) || !is_told(why, kept, &ask->items[i]))
            ask->items[kept++] = ask->items[i];
    ask->count = kept;
    look(why);
}

/* What was found by an id of ours was not refused, nor is it still to be routed. */
static void ask_refused(struct why *why)
{
    why->refused = (struct gw_refused_ask){
        .request = why->request, .id = why->request->id, .done = on_refused};
    if (why->find.key == GW_FIND_MESSAGE || why->find.key == GW_FIND_DELIVERY)
        look(why);
    else
        gw_refused_start(&why->refused);
}

static void try_next(struct why *why);

static void on_why_found(struct gw_op *op)
{
    struct gw_find *find = gw_container_of(op, struct gw_find, op);
    struct why *why = gw_container_of(find, struct why, find);
    if (op->err != GW_OK && op->err != GW_ERR_NOT_FOUND) {
        gw_reply_store_failed(why->request, op);
        return;
    }
    if (op->err != GW_OK || find->count == 0) {
        try_next(why);
        return;
    }
    ask_refused(why);
}

static void try_next(struct why *why)
{
    struct gw_api_request *request = why->request;
    struct gw_ledger *ledger = request->api->shard->flow->ledger;
    if (why->key_at == why->key_count) {
        why->find.count = 0;
        ask_refused(why);
        return;
    }
    enum gw_find_key key = why->keys[why->key_at++];
    why->find = (struct gw_find){
        .op = {.env = gw_api_env(request), .done = on_why_found},
        .arena = gw_api_arena(request),
        .key = key,
        .id = key == GW_FIND_DELIVERY ? why->delivery_id : why->message_id,
        .app_id = request->caller.scope,
        .text = request->id,
        .max = EVENTS_MAX,
    };
    gw_ledger_find(ledger, &why->find);
}

void gw_why_get(struct gw_api_request *request)
{
    struct why *why = gw_arena_zalloc(gw_api_arena(request), sizeof(*why));
    struct gw_error error;
    why->request = request;
    if (gw_query_parse(request, NULL, 0, NULL, &error) != GW_OK) {
        gw_reply_fail(request, 400, "%s", error.text);
        return;
    }
    if (gw_id_parse(GW_ID_MESSAGE, request->id, &why->message_id))
        why->keys[why->key_count++] = GW_FIND_MESSAGE;
    if (gw_id_parse(GW_ID_DELIVERY, request->id, &why->delivery_id))
        why->keys[why->key_count++] = GW_FIND_DELIVERY;
    if (request->id.len <= GW_NAME_BYTES_MAX) {
        why->keys[why->key_count++] = GW_FIND_EVENT_ID;
        why->keys[why->key_count++] = GW_FIND_TRANSACTION_ID;
    }
    try_next(why);
}
