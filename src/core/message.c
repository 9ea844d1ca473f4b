/* message.c: an accepted event in one allocation: the struct, then the bytes of all its strings.
 *
 * Owns its copies. After the store has set `id` nobody writes to it, so any thread that holds a
 * reference may read; the count alone is shared, and is atomic. */
#include "core/message.h"

#include "base/alloc.h"
#include "base/check.h"

const char *gw_skip_name(enum gw_skip skip)
{
    switch (skip) {
    case GW_SKIP_NONE: return NULL;
    case GW_SKIP_NO_CONFIG: return "no_config";
    case GW_SKIP_INACTIVE: return "inactive";
    case GW_SKIP_FILTERED: return "filtered";
    }
    gw_never("an unknown skip reason");
}

bool gw_skip_parse(struct gw_slice text, enum gw_skip *skip)
{
    for (enum gw_skip s = GW_SKIP_NO_CONFIG; s <= GW_SKIP_FILTERED; s++) {
        if (gw_slice_is(text, gw_skip_name(s))) {
            *skip = s;
            return true;
        }
    }
    return false;
}

static struct gw_slice copy(char **at, struct gw_slice s)
{
    struct gw_slice copied = {s.ptr ? *at : NULL, s.len};

    if (s.len > 0)
        memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return copied;
}

struct gw_message *gw_message_create(const struct gw_event *event, int64_t accepted_ms)
{
    size_t bytes = event->app_id.len + event->event_type.len + event->event_id.len +
                   event->transaction_id.len + event->workflow_id.len + event->event_time.len +
                   event->place.bucket.len + event->place.key.len + event->place.version_id.len +
                   event->place.etag.len + event->body.len;
    /* One byte more: an empty string at the end still has an address of its own. */
    struct gw_message *message = gw_alloc(sizeof(*message) + bytes + 1);
    char *at = (char *)(message + 1);

    *message = (struct gw_message){.accepted_ms = accepted_ms, .skip = GW_SKIP_NONE};
    atomic_init(&message->refs, 1);
    message->app_id = copy(&at, event->app_id);
    message->event_type = copy(&at, event->event_type);
    message->event_id = copy(&at, event->event_id);
    message->transaction_id = copy(&at, event->transaction_id);
    message->workflow_id = copy(&at, event->workflow_id);
    message->event_time = copy(&at, event->event_time);
    message->place.bucket = copy(&at, event->place.bucket);
    message->place.key = copy(&at, event->place.key);
    message->place.version_id = copy(&at, event->place.version_id);
    message->place.etag = copy(&at, event->place.etag);
    message->body = copy(&at, event->body);
    return message;
}

struct gw_message *gw_message_in(struct gw_arena *arena, const struct gw_message *from)
{
    struct gw_message *to = gw_arena_zalloc(arena, sizeof(*to));

    atomic_init(&to->refs, 1); /* its arena ends it */
    to->id = from->id;
    to->accepted_ms = from->accepted_ms;
    to->skip = from->skip;
    to->config_version = from->config_version;
    to->app_id = gw_arena_dup(arena, from->app_id);
    to->event_type = gw_arena_dup(arena, from->event_type);
    to->event_id = gw_arena_dup(arena, from->event_id);
    to->transaction_id = gw_arena_dup(arena, from->transaction_id);
    to->workflow_id = gw_arena_dup(arena, from->workflow_id);
    to->event_time = gw_arena_dup(arena, from->event_time);
    to->place.bucket = gw_arena_dup(arena, from->place.bucket);
    to->place.key = gw_arena_dup(arena, from->place.key);
    to->place.version_id = gw_arena_dup(arena, from->place.version_id);
    to->place.etag = gw_arena_dup(arena, from->place.etag);
    return to;
}

struct gw_message *gw_message_ref(struct gw_message *message)
{
    unsigned before = atomic_fetch_add_explicit(&message->refs, 1, memory_order_relaxed);

    gw_check(before > 0 && before < UINT32_MAX / 2);
    return message;
}

void gw_message_unref(struct gw_message *message)
{
    if (message == NULL)
        return;
    unsigned before = atomic_fetch_sub_explicit(&message->refs, 1, memory_order_acq_rel);
    gw_check(before > 0);
    if (before == 1)
        gw_free(message);
}
