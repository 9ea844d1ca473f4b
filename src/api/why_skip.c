/* why_skip.c: words for an event that goes nowhere: why, and which config it may have been meant for.
 * Owns nothing; texts are in the arena or for ever.
 *
 * What was decided then is told by the event; the configs are those of now, and are told as such. A
 * filter is asked again, with the event's body: of what is in it only kinds are told. */
#include "api/why_impl.h"

#define TYPES_TOLD 3

static const struct gw_snapshot *snapshot_of(const struct gw_why_story *story)
{
    return gw_look_snapshot(story->look, story->event->message->app_id);
}

/* The config that would take such an event now; NULL. */
static const struct gw_config *config_now(const struct gw_why_story *story)
{
    const struct gw_snapshot *snapshot = snapshot_of(story);
    const struct gw_config *config =
        gw_snapshot_config(snapshot, story->event->message->event_type);
    return config ? config : gw_snapshot_config(snapshot, GW_SLICE("*"));
}

/* One whose eventType is spelt in other letters; NULL. */
static const struct gw_config *near_miss(const struct gw_why_story *story)
{
    const struct gw_snapshot *snapshot = snapshot_of(story);
    for (size_t i = 0; i < snapshot->config_count; i++)
        if (gw_slice_eq_nocase(snapshot->configs[i]->event_type, story->event->message->event_type))
            return snapshot->configs[i];
    return NULL;
}

/* "\"A\", \"B\" and 2 more" */
static const char *types(const struct gw_snapshot *snapshot, struct gw_arena *arena)
{
    const char *text = "";
    size_t told = snapshot->config_count < TYPES_TOLD ? snapshot->config_count : TYPES_TOLD;
    for (size_t i = 0; i < told; i++)
        text = gw_arena_printf(arena, "%s%s\"%.*s\"", text, i ? ", " : "",
                               GW_SLICE_ARG(snapshot->configs[i]->event_type));
    if (told < snapshot->config_count)
        text = gw_arena_printf(arena, "%s and %zu more", text, snapshot->config_count - told);
    return text;
}

static const char *no_config(const struct gw_why_story *story, struct gw_arena *arena)
{
    const struct gw_message *message = story->event->message;
    const struct gw_snapshot *snapshot = snapshot_of(story);
    const struct gw_config *config = config_now(story), *near = near_miss(story);
    const char *then =
        gw_arena_printf(arena,
                        "app \"%.*s\" had no config for the event type \"%.*s\" (nor for \"*\") "
                        "when the event came",
                        GW_SLICE_ARG(message->app_id), GW_SLICE_ARG(message->event_type));
    if (config)
        return gw_arena_printf(arena, "%s; the one for \"%.*s\" is newer", then,
                               GW_SLICE_ARG(config->event_type));
    if (near)
        return gw_arena_printf(arena,
                               "%s; its config for \"%.*s\" differs in upper and lower case only",
                               then, GW_SLICE_ARG(near->event_type));
    if (snapshot->config_count == 0)
        return gw_arena_printf(arena, "%s, and has no config at all", then);
    return gw_arena_printf(arena, "%s; it has configs for %s", then, types(snapshot, arena));
}

static const char *named_config(const struct gw_why_story *story, struct gw_arena *arena)
{
    const struct gw_config *config = config_now(story);
    unsigned long long version = story->event->message->config_version;
    if (!config)
        return gw_arena_printf(arena, "its config (version %llu, deleted since)", version);
    const char *now =
        config->version == version
            ? ""
            : gw_arena_printf(arena, "; now %llu", (unsigned long long)config->version);
    return gw_arena_printf(arena, "the config for \"%.*s\" (version %llu%s)",
                           GW_SLICE_ARG(config->event_type), version, now);
}

/* ── Filters ───────────────────────────────────────────────────────────────────────────────── */

static bool is_changed(const struct gw_why_story *story, const struct gw_config *config)
{
    return config->version != story->event->message->config_version;
}

bool gw_why_wants_body(const struct gw_why_story *story)
{
    if (!story->event || story->event->message->skip != GW_SKIP_FILTERED)
        return false;
    const struct gw_config *config = config_now(story);
    return config && config->filter;
}

/* The same filter that did not match then cannot match now: if it seems to, nothing is known. */
void gw_why_ask_filter(struct gw_why_story *story, struct gw_slice body, struct gw_arena *arena)
{
    const struct gw_config *config = config_now(story);
    struct gw_buf text = {0};
    if (gw_pattern_explain(config->filter, body, &text))
        story->misses = gw_arena_text(arena, gw_buf_slice(&text));
    else
        story->matches_now = is_changed(story, config) && gw_pattern_match(config->filter, body);
    gw_buf_deinit(&text);
}

static bool is_let_through_now(const struct gw_why_story *story)
{
    const struct gw_config *config = config_now(story);
    return story->matches_now || (config && !config->filter);
}

static const char *mismatch(const struct gw_why_story *story, struct gw_arena *arena)
{
    const struct gw_config *config = config_now(story);
    if (is_let_through_now(story))
        return config->filter ? "; the filter of now does" : "; there is none any more";
    if (!story->misses)
        return "";
    return gw_arena_printf(
        arena, "%s: %s", is_changed(story, config) ? "; nor does that of now" : "", story->misses);
}

/* ── Why ───────────────────────────────────────────────────────────────────────────────────── */

const char *gw_why_skipped(const struct gw_why_story *story, struct gw_arena *arena)
{
    switch (story->event->message->skip) {
    case GW_SKIP_NO_CONFIG: return no_config(story, arena);
    case GW_SKIP_INACTIVE:
        return gw_arena_printf(arena, "%s was inactive when the event came",
                               named_config(story, arena));
    case GW_SKIP_FILTERED:
        return gw_arena_printf(arena, "the filter of %s did not match it%s",
                               named_config(story, arena), mismatch(story, arena));
    case GW_SKIP_NONE: break;
    }
    return "it has no delivery";
}

/* ── What to do ────────────────────────────────────────────────────────────────────────────── */

#define AGAIN                                                                                      \
    "replay it, or have the producer send it again: after a skip the same eventId is no repeat."

static const char *next_no_config(const struct gw_why_story *story, struct gw_arena *arena)
{
    const struct gw_config *near = near_miss(story);
    if (config_now(story))
        return "Nothing is sent by itself, but a config is there now: " AGAIN;
    if (near)
        return gw_arena_printf(
            arena,
            "Nothing is sent. Have the producer spell the eventType \"%.*s\", or "
            "create a config for its spelling; then " AGAIN,
            GW_SLICE_ARG(near->event_type));
    if (snapshot_of(story)->config_count == 0)
        return "Nothing is sent. Check that the producer sends the client's appId, upper and "
               "lower case too; if it does, create a config, then " AGAIN;
    return "Nothing is sent. If the client wants this type, create a config for it (or for \"*\"), "
           "then " AGAIN;
}

const char *gw_why_skipped_next(const struct gw_why_story *story, struct gw_arena *arena)
{
    const struct gw_config *config = config_now(story);
    switch (story->event->message->skip) {
    case GW_SKIP_NO_CONFIG: return next_no_config(story, arena);
    case GW_SKIP_INACTIVE:
        if (config && config->is_active)
            return "Nothing is sent by itself, but the config is active now: " AGAIN;
        return "Nothing is sent. Set isActive to true, then " AGAIN;
    case GW_SKIP_FILTERED:
        if (is_let_through_now(story))
            return "Nothing is sent by itself, but the config would let it through now: " AGAIN;
        return "Nothing is sent, as the filter wants it. If that is wrong, change the filter, "
               "then " AGAIN;
    case GW_SKIP_NONE: break;
    }
    return "Nothing is sent.";
}
