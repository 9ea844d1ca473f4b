/* why_text.c: puts a story in words that a support engineer understands: what happened, when, and
 * what happens next or must be done. Owns nothing; texts are in the arena.
 *
 * Only what the ledger and the configs of now say is told; a guess is never worded as a fact. No
 * payload, no header and no query of a URL gets in here. */
#include "api/reply.h"
#include "api/why_impl.h"
#include "base/check.h"
#include "base/timefmt.h"

/* ── Pieces ────────────────────────────────────────────────────────────────────────────────── */

const char *gw_why_duration(struct gw_arena *arena, int64_t us)
{
    int64_t s = us / 1000000;
    if (us < 1000)
        return gw_arena_printf(arena, "%lld µs", (long long)us);
    if (us < 1000000)
        return gw_arena_printf(arena, "%lld ms", (long long)(us / 1000));
    if (s < 60)
        return gw_arena_printf(arena, "%lld.%d s", (long long)s, (int)(us / 100000 % 10));
    if (s < 3600)
        return gw_arena_printf(arena, "%lld min %lld s", (long long)(s / 60), (long long)(s % 60));
    if (s < 86400)
        return gw_arena_printf(arena, "%lld h %lld min", (long long)(s / 3600),
                               (long long)(s / 60 % 60));
    return gw_arena_printf(arena, "%lld d %lld h", (long long)(s / 86400),
                           (long long)(s / 3600 % 24));
}

const char *gw_why_named(struct gw_arena *arena, const char *name, struct gw_slice value)
{
    if (!value.ptr)
        return "";
    return gw_arena_printf(arena, ", %s \"%.*s\"", name, GW_SLICE_ARG(value));
}

static const char *time_text(struct gw_arena *arena, int64_t ms)
{
    char text[GW_TIME_TEXT_MAX];
    return gw_arena_text(arena, gw_time_text(ms, text));
}

/* "at once", "in 4 min 10 s (2026-…Z)" */
static const char *when(struct gw_arena *arena, int64_t ms, int64_t now_ms)
{
    if (ms <= now_ms)
        return "now";
    return gw_arena_printf(arena, "in %s (%s)", gw_why_duration(arena, (ms - now_ms) * 1000),
                           time_text(arena, ms));
}

static const char *url_text(const struct gw_view *view, struct gw_arena *arena)
{
    return view->url.ptr ? gw_arena_text(arena, view->url) : "its target";
}

static const char *failure(const struct gw_attempt *attempt, struct gw_arena *arena)
{
    if (attempt->error.len)
        return gw_arena_text(arena, attempt->error);
    return gw_outcome_name(attempt->outcome);
}

static const char *advice_of(const struct gw_attempt *attempt)
{
    return gw_outcome_advice(attempt->outcome, attempt->status, attempt->error);
}

static bool is_open(const struct gw_view *view)
{
    return view->row->delivery.state == GW_DELIVERY_PENDING;
}

static int64_t taken_us(const struct gw_view *view)
{
    int64_t ms = view->row->delivery.ended_ms - view->row->message->accepted_ms;
    return ms > 0 ? ms * 1000 : 0;
}

/* ── Summary ───────────────────────────────────────────────────────────────────────────────── */

static const char *summary_delivered(const struct gw_why_story *story, struct gw_arena *arena)
{
    const struct gw_view *view = &story->worst;
    if (story->deliveries > 1)
        return gw_arena_printf(arena, "Delivered to all %zu targets.", story->deliveries);
    return gw_arena_printf(arena, "Delivered to %s on attempt %u, %s after it was accepted.",
                           url_text(view, arena), view->row->delivery.attempts,
                           gw_why_duration(arena, taken_us(view)));
}

static const char *disabled_because(const struct gw_health *health)
{
    return gw_slice_is(gw_slice_from(gw_health_reason(health)), "gone")
               ? "for it answered 410 Gone"
               : "for every attempt failed for days";
}

static const char *summary_waiting(const struct gw_view *view, struct gw_arena *arena,
                                   int64_t now_ms)
{
    uint32_t n = view->row->delivery.attempts + 1;
    if (!view->config)
        return "Waiting to be cancelled: its config or its URL was removed.";
    const char *begin = gw_arena_printf(arena, "Waiting: attempt %u to %s is due %s", n,
                                        url_text(view, arena), when(arena, view->next_ms, now_ms));
    if (!view->attempted)
        return gw_arena_printf(arena, "%s.", begin);
    return gw_arena_printf(arena, "%s; attempt %u failed: %s.", begin, view->last.n,
                           failure(&view->last, arena));
}

static const char *summary_held(const struct gw_view *view, struct gw_arena *arena)
{
    if (view->config->is_active)
        return gw_arena_printf(arena,
                               "Held: its target %s is disabled, %s, so nothing is sent and no "
                               "attempt is used up.",
                               url_text(view, arena), disabled_because(view->health));
    return gw_arena_printf(arena,
                           "Held: the config for \"%.*s\" is inactive, so nothing is sent to %s "
                           "and no attempt is used up.",
                           GW_SLICE_ARG(view->config->event_type), url_text(view, arena));
}

static const char *summary_of_worst(const struct gw_why_story *story, struct gw_arena *arena,
                                    int64_t now_ms)
{
    const struct gw_view *view = &story->worst;
    const char *reason =
        view->row ? gw_end_reason_text(view->row->delivery.reason) : "it has no delivery";
    switch (story->verdict) {
    case GW_WHY_DELIVERED: return summary_delivered(story, arena);
    case GW_WHY_WAITING:
        return story->refusal ? gw_why_handed_over_summary(story->refusal, arena, now_ms)
                              : summary_waiting(view, arena, now_ms);
    case GW_WHY_HELD: return summary_held(view, arena);
    case GW_WHY_CANCELLED: return gw_arena_printf(arena, "Cancelled: %s", reason);
    case GW_WHY_DEAD:
        if (!view->attempted)
            return gw_arena_printf(arena, "Dead: %s", reason);
        return gw_arena_printf(arena, "Dead: %s %u attempt%s to %s failed, the last with: %s.",
                               reason, view->row->delivery.attempts,
                               view->row->delivery.attempts == 1 ? "" : "s", url_text(view, arena),
                               failure(&view->last, arena));
    case GW_WHY_SKIPPED:
        return gw_arena_printf(arena, "Skipped: %s.", gw_why_skipped(story, arena));
    case GW_WHY_REFUSED: return gw_why_refused_summary(story->refusal, arena);
    case GW_WHY_UNKNOWN: break;
    }
    gw_never("a story without a verdict");
}

const char *gw_why_summary(const struct gw_why_story *story, struct gw_arena *arena, int64_t now_ms)
{
    const char *text = summary_of_worst(story, arena, now_ms);
    if (story->verdict == GW_WHY_DELIVERED || story->deliveries < 2)
        return text;
    return gw_arena_printf(arena, "%s %zu of its %zu targets got it.", text, story->delivered,
                           story->deliveries);
}

/* ── Next ──────────────────────────────────────────────────────────────────────────────────── */

static const char *next_waiting(const struct gw_view *view, struct gw_arena *arena, int64_t now_ms)
{
    static const char probed[] =
        ", or later, when it is its turn: all attempts at its target fail, so they are made one at "
        "a time, up to a minute apart";
    const struct gw_delivery *delivery = &view->row->delivery;
    const char *due = view->config ? when(arena, view->next_ms, now_ms) : "";
    if (!view->config)
        return "It is cancelled shortly.";
    if (delivery->resume_ms == GW_NEVER)
        return gw_arena_printf(arena,
                               "The attempt asked for by hand is made %s; if it fails, the "
                               "delivery is dead again.",
                               due);
    size_t steps = view->config->retry.count;
    size_t left = delivery->step < steps ? steps - delivery->step : 0;
    bool is_probed = view->health && view->health->state == GW_HEALTH_PROBED;
    return gw_arena_printf(arena, "Attempt %u is made %s%s; if it fails, %zu more follow%s.%s%s",
                           delivery->attempts + 1, due, is_probed ? probed : "", left,
                           left == 1 ? "s" : "", view->attempted ? " " : "",
                           view->attempted ? advice_of(&view->last) : "");
}

static const char *next_delivered(const struct gw_why_story *story)
{
    if (!story->event->message->event_id.ptr)
        return "Nothing: it was delivered.";
    return "Nothing: it was delivered. Another event with the same eventId within the dedupe "
           "window "
           "is a repeat and sends nothing.";
}

static const char *next_cancelled(const struct gw_view *view)
{
    if (view->row->delivery.reason == GW_END_URL_REMOVED)
        return "Nothing is sent. If the client still wants it, list the URL in the workflow again, "
               "then replay the event: what was cancelled does not come back by itself.";
    return "Nothing is sent. If the client still wants it, create the config again, then replay "
           "the event: what was cancelled does not come back by itself.";
}

/* Why a retry would be refused now; NULL: it would not. */
static const char *no_retry(const struct gw_view *view)
{
    switch (view->row->delivery.reason) {
    case GW_END_RETENTION:
    case GW_END_PAYLOAD_GONE:
    case GW_END_PAYLOAD_CHANGED:
        return "It cannot be retried: have the producer send it as a new event.";
    default: break;
    }
    if (!view->config)
        return "It cannot be retried, for its config or its URL was removed since: create it "
               "again, then replay the event.";
    if (!view->config->is_active)
        return "It cannot be retried while its config is inactive: set isActive to true first.";
    return NULL;
}

static const char *next_held(const struct gw_view *view, struct gw_arena *arena)
{
    if (view->config->is_active)
        return "It goes out when its target is enabled: by POST /v1/targets/enable, by a PATCH of "
               "the config that names its URL, or by a retry by hand that succeeds. Have the "
               "client mend the endpoint first.";
    return gw_arena_printf(arena,
                           "It goes out when isActive of the config for \"%.*s\" is set to true.",
                           GW_SLICE_ARG(view->config->event_type));
}

static const char *next_dead(const struct gw_view *view, struct gw_arena *arena)
{
    char id[GW_ID_TEXT_MAX];
    const char *refusal = no_retry(view);
    gw_id_text(GW_ID_DELIVERY, &view->row->delivery.id, id);
    const char *advice = view->attempted ? advice_of(&view->last) : "";
    return gw_arena_printf(arena, "Nothing more is sent by itself. %s%s%s%s%s", advice,
                           *advice ? " " : "",
                           refusal ? refusal : "When the cause is mended: gwh retry ",
                           refusal ? "" : id, refusal ? "" : ".");
}

const char *gw_why_next(const struct gw_why_story *story, struct gw_arena *arena, int64_t now_ms)
{
    if (story->superseded)
        return "A newer event with the same eventId decides.";
    switch (story->verdict) {
    case GW_WHY_DELIVERED: return next_delivered(story);
    case GW_WHY_WAITING:
        return story->refusal ? gw_why_handed_over_next()
                              : next_waiting(&story->worst, arena, now_ms);
    case GW_WHY_HELD: return next_held(&story->worst, arena);
    case GW_WHY_CANCELLED: return next_cancelled(&story->worst);
    case GW_WHY_DEAD: return next_dead(&story->worst, arena);
    case GW_WHY_SKIPPED: return gw_why_skipped_next(story, arena);
    case GW_WHY_REFUSED: return gw_why_refused_next(story->refusal);
    case GW_WHY_UNKNOWN: break;
    }
    gw_never("a story without a verdict");
}

/* ── Steps ─────────────────────────────────────────────────────────────────────────────────── */

struct step {
    int64_t at_ms;
    const char *what, *detail;
    struct step *next;
};

/* In the order of time; those of one moment as they were added. */
struct steps {
    struct gw_arena *arena;
    struct step *first;
};

static void add(struct steps *steps, int64_t at_ms, const char *what, const char *detail)
{
    struct step *step = gw_arena_alloc(steps->arena, sizeof(*step));
    struct step **place = &steps->first;
    while (*place && (*place)->at_ms <= at_ms)
        place = &(*place)->next;
    *step = (struct step){at_ms, what, detail, *place};
    *place = step;
}

static void step_accepted(const struct gw_message *message, struct steps *steps)
{
    struct gw_arena *arena = steps->arena;
    const char *detail =
        gw_arena_printf(arena, "The event was stored: app \"%.*s\", type \"%.*s\"%s%s%s.",
                        GW_SLICE_ARG(message->app_id), GW_SLICE_ARG(message->event_type),
                        gw_why_named(arena, "eventId", message->event_id),
                        gw_why_named(arena, "transactionId", message->transaction_id),
                        gw_why_named(arena, "workflowId", message->workflow_id));
    add(steps, message->accepted_ms, "accepted", detail);
}

/* "the webhookUrl of", with what the workflow had to do with it */
static const char *kind_of_route(const struct gw_view *view, struct gw_arena *arena)
{
    struct gw_slice id = view->row->message->workflow_id;
    bool is_default = view->route == &view->config->routes[0];
    if (!id.ptr)
        return is_default ? "the webhookUrl of" : "a workflow's URL in";
    if (is_default)
        return gw_arena_printf(arena,
                               "as workflow \"%.*s\" had no URLs of its own, the webhookUrl of",
                               GW_SLICE_ARG(id));
    return gw_arena_printf(arena, "listed for workflow \"%.*s\" in", GW_SLICE_ARG(id));
}

/* Why this target: what the lane is, as the config stands now. */
static const char *reason_of_route(const struct gw_view *view, struct gw_arena *arena)
{
    const struct gw_config *config = view->config;
    if (!config)
        return "why is not known any more, for its config or its URL was removed since";
    bool is_same = config->version == view->row->message->config_version;
    const char *now = is_same ? ""
                              : gw_arena_printf(arena, ", which is version %llu now",
                                                (unsigned long long)config->version);
    bool is_any = gw_slice_is(config->event_type, "*");
    return gw_arena_printf(arena, "%s the config for \"%.*s\"%s%s%s", kind_of_route(view, arena),
                           GW_SLICE_ARG(config->event_type),
                           is_any ? " (every type without a config of its own)" : "",
                           is_same && config->filter ? ", whose filter it matched" : "", now);
}

static void step_routed(const struct gw_view *view, struct steps *steps)
{
    struct gw_arena *arena = steps->arena;
    const struct gw_message *message = view->row->message;
    char id[GW_ID_TEXT_MAX];
    gw_id_text(GW_ID_DELIVERY, &view->row->delivery.id, id);
    const char *url = view->config ? gw_arena_text(arena, gw_url_shown(view->route->url.text))
                                   : url_text(view, arena);
    add(steps, view->row->delivery.created_ms, "routed",
        gw_arena_printf(arena, "Under config version %llu it goes to %s (%s): %s.",
                        (unsigned long long)message->config_version, url, id,
                        reason_of_route(view, arena)));
}

static const char *phase(struct gw_arena *arena, const char *text, const char *name, int64_t us)
{
    if (us <= 0)
        return text;
    return gw_arena_printf(arena, "%s%s%s %s", text, *text ? ", " : "", name,
                           gw_why_duration(arena, us));
}

/* "it waited 3 ms for its turn; looking up the name took …" */
static const char *phases(const struct gw_attempt *attempt, struct gw_arena *arena)
{
    const char *text = "";
    text = phase(arena, text, "waited for its turn", attempt->queue_us);
    text = phase(arena, text, "name looked up in", attempt->dns_us);
    text = phase(arena, text, "connected in", attempt->connect_us);
    text = phase(arena, text, "TLS in", attempt->tls_us);
    text = phase(arena, text, "first byte of the answer after", attempt->first_byte_us);
    return *text ? gw_arena_printf(arena, " (%s)", text) : "";
}

/* The advice is told where it changes: eight times the same helps nobody. */
static void step_attempt(const struct gw_attempt *attempt, const char *advice, struct steps *steps)
{
    struct gw_arena *arena = steps->arena;
    char addr[GW_ADDR_TEXT_MAX];
    const char *peer = "", *took = gw_why_duration(arena, attempt->total_us), *came;
    if (attempt->address.family)
        peer =
            gw_arena_printf(arena, " at %.*s", GW_SLICE_ARG(gw_addr_text(&attempt->address, addr)));
    if (attempt->outcome == GW_OUTCOME_SUCCESS)
        came = gw_arena_printf(arena, "answered %d after %s", attempt->status, took);
    else
        came = gw_arena_printf(arena, "failed after %s, %s: %s", took,
                               gw_outcome_name(attempt->outcome), failure(attempt, arena));
    add(steps, attempt->at_ms, "attempt",
        gw_arena_printf(arena, "Attempt %u to %.*s%s %s%s, under config version %llu.%s%s",
                        attempt->n, GW_SLICE_ARG(attempt->url), peer, came, phases(attempt, arena),
                        (unsigned long long)attempt->config_version, advice ? " " : "",
                        advice ? advice : ""));
}

static void steps_attempts(const struct gw_row *row, struct steps *steps)
{
    struct gw_slice rest = row->log;
    struct gw_attempt attempt;
    const char *told = NULL;
    uint32_t last = 0;
    while (gw_attempt_unpack(&rest, &attempt)) {
        const char *advice = attempt.outcome == GW_OUTCOME_SUCCESS ? NULL : advice_of(&attempt);
        if (attempt.n > last + 1)
            add(steps, attempt.at_ms, "left_out",
                gw_arena_printf(steps->arena, "Attempts %u to %u are not kept.", last + 1,
                                attempt.n - 1));
        step_attempt(&attempt, advice == told ? NULL : advice, steps);
        told = advice;
        last = attempt.n;
    }
}

/* `whose`: the target and a colon where several are told of. */
static void step_end(const struct gw_view *view, const char *whose, struct steps *steps)
{
    struct gw_arena *arena = steps->arena;
    const struct gw_delivery *delivery = &view->row->delivery;
    if (!is_open(view))
        add(steps, delivery->ended_ms, gw_delivery_state_name(delivery->state),
            gw_arena_printf(arena, "%s%s", whose, gw_end_reason_text(delivery->reason)));
    else if (view->held && view->config->is_active)
        add(steps, view->health->since_ms, "held",
            gw_arena_printf(arena,
                            "%sThe target is disabled; what waits is held and uses up no attempt.",
                            whose));
    else if (view->held)
        add(steps, view->config->updated_ms, "held",
            gw_arena_printf(arena,
                            "%sThe config is inactive; what waits is held and uses up no attempt.",
                            whose));
    else if (view->config)
        add(steps, view->next_ms, "waiting",
            gw_arena_printf(arena, "%sAttempt %u is due then.", whose, delivery->attempts + 1));
}

/* Where it goes to comes before what came of it, also within one millisecond. */
static void tell_deliveries(const struct gw_why_story *story, struct steps *steps)
{
    const struct gw_event_row *event = story->event;
    size_t told = 0;
    for (size_t i = 0; i < event->count; i++) {
        if (!gw_why_is_told(story, &event->rows[i]))
            continue;
        struct gw_view view = gw_look_view(story->look, &event->rows[i]);
        step_routed(&view, steps);
        told++;
    }
    for (size_t i = 0; i < event->count; i++) {
        if (!gw_why_is_told(story, &event->rows[i]))
            continue;
        struct gw_view view = gw_look_view(story->look, &event->rows[i]);
        const char *whose =
            told > 1 ? gw_arena_printf(steps->arena, "%s: ", url_text(&view, steps->arena)) : "";
        steps_attempts(&event->rows[i], steps);
        step_end(&view, whose, steps);
    }
}

static void tell(const struct gw_why_story *story, struct steps *steps)
{
    const struct gw_message *message = story->event->message;
    step_accepted(message, steps);
    if (message->skip != GW_SKIP_NONE)
        add(steps, message->accepted_ms, "skipped",
            gw_arena_printf(steps->arena, "It goes nowhere (%s): %s.", gw_skip_name(message->skip),
                            gw_why_skipped(story, steps->arena)));
    tell_deliveries(story, steps);
}

void gw_why_steps(const struct gw_why_story *story, struct gw_arena *arena, struct gw_buf *out)
{
    struct steps steps = {.arena = arena};
    if (story->refusal && gw_refusal_is_handed_over(story->refusal))
        add(&steps, story->refusal->at_ms, "accepted",
            gw_why_handed_over_detail(story->refusal, arena));
    else if (story->refusal)
        add(&steps, story->refusal->at_ms, "refused", gw_why_refused_detail(story->refusal, arena));
    else
        tell(story, &steps);
    gw_json_key(out, "steps");
    gw_buf_addc(out, '[');
    for (const struct step *step = steps.first; step; step = step->next) {
        gw_json_next(out);
        gw_buf_addc(out, '{');
        gw_json_member_time(out, "at", step->at_ms);
        gw_json_member_s(out, "what", step->what);
        gw_json_member_s(out, "detail", step->detail);
        gw_buf_addc(out, '}');
    }
    gw_buf_addc(out, ']');
}
