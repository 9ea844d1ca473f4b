/* refused.c: owns rings of the last events that are not in the ledger: in each shard one of those
 * that were refused, and where others route events one of those that were handed over to them.
 *
 *   posted ─▶ add to the shard's own ring          why ─▶ shard 0 ─▶ 1 ─▶ … ─▶ back, newest first
 *
 * Invariants: at most `max` in a ring, each of a few names of bounded length; gone with the process,
 * for nothing that was refused is the system's to keep, and what was handed over is another's. A
 * refusal is seen by its app, and one of an event that named another app by the app whose key sent
 * it: nobody can put words into another's story.
 *
 * Thread: a ring belongs to its shard. A question goes from shard to shard as one message and carries
 * what it found along, so that only one thread at a time touches it. */
#include "api/refused.h"

#include "base/check.h"

struct gw_refused {
    size_t max;
    int64_t keep_ms;
    size_t next; /* to be overwritten */
    struct gw_refusal *ring[];
};

struct gw_refused *gw_refused_create(size_t max, int64_t keep_ms)
{
    struct gw_refused *refused = gw_zalloc(sizeof(*refused) + max * sizeof(refused->ring[0]));
    refused->max = max;
    refused->keep_ms = keep_ms;
    return refused;
}

void gw_refused_destroy(struct gw_refused *refused)
{
    for (size_t i = 0; refused && i < refused->max; i++)
        gw_free(refused->ring[i]);
    gw_free(refused);
}

/* All texts of a refusal, to be walked. */
#define TEXTS 6
static void texts_of(struct gw_refusal *refusal, struct gw_slice *texts[TEXTS])
{
    texts[0] = &refusal->scope;
    texts[1] = &refusal->app_id;
    texts[2] = &refusal->event_type;
    texts[3] = &refusal->event_id;
    texts[4] = &refusal->transaction_id;
    texts[5] = &refusal->why;
}

/* One allocation, texts behind the struct. */
static struct gw_refusal *copy(const struct gw_refusal *refusal)
{
    struct gw_refusal from = *refusal;
    struct gw_slice *texts[TEXTS];
    size_t bytes = 0;
    texts_of(&from, texts);
    for (size_t i = 0; i < TEXTS; i++)
        bytes += texts[i]->len;
    struct gw_refusal *to = gw_alloc(sizeof(*to) + bytes);
    char *at = (char *)(to + 1);
    *to = from;
    texts_of(to, texts);
    for (size_t i = 0; i < TEXTS; i++) {
        if (!texts[i]->ptr)
            continue;
        memcpy(at, texts[i]->ptr, texts[i]->len);
        texts[i]->ptr = at;
        at += texts[i]->len;
    }
    return to;
}

void gw_refused_add(struct gw_refused *refused, const struct gw_refusal *refusal)
{
    if (!gw_refusal_is_handed_over(refusal) && !refusal->event_id.ptr &&
        !refusal->transaction_id.ptr)
        return;
    gw_free(refused->ring[refused->next]);
    refused->ring[refused->next] = copy(refusal);
    refused->next = (refused->next + 1) % refused->max;
}

/* ── Asking ────────────────────────────────────────────────────────────────────────────────── */

static bool is_meant(const struct gw_refused_ask *ask, const struct gw_refusal *refusal)
{
    struct gw_slice scope = ask->request->caller.scope;
    if (scope.ptr && !(refusal->scope.ptr && gw_slice_eq(scope, refusal->scope)))
        return false;
    if (ask->has_message_id && gw_refusal_is_handed_over(refusal) &&
        gw_id_eq(&ask->message_id, &refusal->id))
        return true;
    return (refusal->event_id.ptr && gw_slice_eq(ask->id, refusal->event_id)) ||
           (refusal->transaction_id.ptr && gw_slice_eq(ask->id, refusal->transaction_id));
}

static struct gw_refusal copy_into(struct gw_arena *arena, const struct gw_refusal *refusal)
{
    struct gw_refusal to = *refusal;
    struct gw_slice *texts[TEXTS];
    texts_of(&to, texts);
    for (size_t i = 0; i < TEXTS; i++)
        *texts[i] = gw_arena_dup(arena, *texts[i]);
    return to;
}

/* Keeps it in its place if it is one of the newest. False: it is older than all, and so are those
 * before it in its ring. */
static bool keep(struct gw_refused_ask *ask, const struct gw_refusal *refusal)
{
    size_t at = ask->count;
    while (at > 0 && ask->items[at - 1].at_ms < refusal->at_ms)
        at--;
    if (at == GW_REFUSED_FOUND_MAX)
        return false;
    if (ask->count < GW_REFUSED_FOUND_MAX)
        ask->count++;
    memmove(&ask->items[at + 1], &ask->items[at], (ask->count - at - 1) * sizeof(ask->items[0]));
    ask->items[at] = copy_into(&ask->arena, refusal);
    return true;
}

static void look_into(struct gw_refused_ask *ask, const struct gw_refused *refused, int64_t now_ms)
{
    for (size_t i = 1; refused && i <= refused->max; i++) {
        const struct gw_refusal *refusal =
            refused->ring[(refused->next + refused->max - i) % refused->max];
        if (!refusal || (refused->keep_ms && now_ms - refusal->at_ms > refused->keep_ms))
            return;
        if (is_meant(ask, refusal) && !keep(ask, refusal))
            return;
    }
}

static void on_back(struct gw_msg *msg)
{
    struct gw_refused_ask *ask = gw_container_of(msg, struct gw_refused_ask, msg);
    for (size_t i = 0; i < ask->count; i++)
        ask->items[i] = copy_into(gw_api_arena(ask->request), &ask->items[i]);
    gw_arena_deinit(&ask->arena);
    ask->done(ask);
}

static void post(struct gw_refused_ask *ask);

static void on_shard(struct gw_msg *msg)
{
    struct gw_refused_ask *ask = gw_container_of(msg, struct gw_refused_ask, msg);
    const struct gw_api *api = ask->request->api->options.apis[ask->shard];
    int64_t now_ms = gw_env_wall_ms(api->shard->env);
    look_into(ask, api->refused, now_ms);
    look_into(ask, api->handed_over, now_ms);
    ask->shard++;
    post(ask);
}

static void post(struct gw_refused_ask *ask)
{
    struct gw_shard *own = ask->request->api->shard;
    bool is_last = ask->shard == own->flow->shard_count;
    ask->msg.run = is_last ? on_back : on_shard;
    gw_env_post(is_last ? own->env : own->flow->shards[ask->shard]->env, &ask->msg);
}

void gw_refused_start(struct gw_refused_ask *ask)
{
    ask->count = 0;
    ask->shard = 0;
    ask->arena = (struct gw_arena){0};
    ask->has_message_id = gw_id_parse(GW_ID_MESSAGE, ask->id, &ask->message_id);
    post(ask);
}
