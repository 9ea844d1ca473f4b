/* credentials.c: owns the keys of one thread, and has them fetched anew ahead of their end.
 *
 *            keys() within AHEAD of their end, or wait()
 *   (idle) ──────────────────────────────────────────────▶ (timer: at once, or when the gap is over)
 *      ▲                                                                     │
 *      └── keys came: who waits goes on ◀── (fetch) ◀────────────────────────┘
 *      └── none came: who waits is told why; old keys are used until their end
 *
 * Invariants: at most one fetch runs; it begins and ends on the loop, so `done` of a wait never runs
 * inside a call. After a failure the next fetch waits a gap that doubles from 1 s to 60 s, or to 5 s
 * when there are no keys to go on with. The keys live in memory of their own, wiped when others take
 * their place; no log line and no error has more of them than where they came from. What a fetch is
 * answered is in its arena until it ends. */
#include "aws/credentials.h"

#include "aws/credentials_impl.h"
#include "base/check.h"
#include "base/log.h"
#include "base/timefmt.h"

#define AHEAD_MS      ((int64_t)15 * 60 * 1000) /* at most a quarter of their life, though */
#define GAP_MS_MIN    1000
#define GAP_MS_MAX    60000
#define GAP_MS_URGENT 5000
#define MARGIN_MS     5000 /* keys are not used in their last moments */

struct gw_aws_credentials {
    struct gw_env *env;
    struct gw_aws_source source;
    struct gw_arena arena; /* the source's texts */

    struct gw_aws_keys keys; /* id.ptr NULL = none */
    char *text;              /* what they point into, one after the other */
    size_t text_len;
    int64_t until_ms, refresh_ms; /* wall time */

    struct gw_list waits;
    struct gw_timer timer;
    bool is_set, is_fetching; /* the timer; a fetch */
    int64_t gap_ms;           /* 0 = the last fetch was well */
    int64_t ended_us;         /* when it ended */
    struct gw_aws_fetch fetch;
};

/* ── The keys ──────────────────────────────────────────────────────────────────────────────── */

static void keys_drop(struct gw_aws_credentials *c)
{
    if (c->text)
        gw_wipe(c->text, c->text_len);
    gw_free(c->text);
    c->text = NULL;
    c->keys = (struct gw_aws_keys){0};
}

static struct gw_slice put(struct gw_aws_credentials *c, struct gw_slice part)
{
    char *at = c->text + c->text_len;

    if (part.len > 0)
        memcpy(at, part.ptr, part.len);
    c->text_len += part.len;
    return (struct gw_slice){at, part.len};
}

static void keys_take(struct gw_aws_credentials *c, const struct gw_aws_keys *keys,
                      int64_t until_ms)
{
    int64_t now_ms = gw_env_wall_ms(c->env), ahead_ms = (until_ms - now_ms) / 4;

    keys_drop(c);
    c->text = gw_alloc(keys->id.len + keys->secret.len + keys->token.len + 1);
    c->text_len = 0;
    c->keys.id = put(c, keys->id);
    c->keys.secret = put(c, keys->secret);
    c->keys.token = put(c, keys->token);
    c->until_ms = c->refresh_ms = until_ms;
    if (until_ms != GW_NEVER)
        c->refresh_ms -= ahead_ms < AHEAD_MS ? ahead_ms : AHEAD_MS;
}

static bool is_static(const struct gw_aws_credentials *c)
{
    return c->source.kind == GW_AWS_FROM_ENVIRONMENT || c->source.kind == GW_AWS_FROM_PROFILE;
}

static bool is_valid(const struct gw_aws_credentials *c)
{
    return c->keys.id.ptr &&
           (c->until_ms == GW_NEVER || gw_env_wall_ms(c->env) < c->until_ms - MARGIN_MS);
}

/* ── Fetching ──────────────────────────────────────────────────────────────────────────────── */

static void note_health(struct gw_aws_credentials *c, const struct gw_error *error)
{
    bool was_failing = c->gap_ms > 0;

    if (error->code != GW_OK && !was_failing)
        gw_log(GW_LOG_WARN, "aws_credentials_failing", GW_S("why", error->text),
               GW_B("usable", is_valid(c)));
    else if (error->code == GW_OK && was_failing)
        gw_log(GW_LOG_INFO, "aws_credentials_well",
               GW_S("source", gw_aws_source_name(c->source.kind)));
}

static void on_fetched(struct gw_aws_fetch *fetch)
{
    struct gw_aws_credentials *c = gw_container_of(fetch, struct gw_aws_credentials, fetch);
    struct gw_error error = fetch->error;
    struct gw_list waits, *node;

    c->is_fetching = false;
    note_health(c, &error);
    if (error.code == GW_OK) {
        keys_take(c, &fetch->keys, fetch->until_ms);
        c->gap_ms = 0;
    } else {
        c->gap_ms = c->gap_ms == 0 ? GAP_MS_MIN : c->gap_ms * 2;
        c->gap_ms = c->gap_ms < GAP_MS_MAX ? c->gap_ms : GAP_MS_MAX;
    }
    c->ended_us = gw_env_mono_us(c->env);
    gw_arena_deinit(&fetch->arena);
    gw_list_init(&waits);
    gw_list_splice(&waits, &c->waits);
    while ((node = gw_list_pop(&waits)) != NULL) {
        struct gw_aws_wait *wait = gw_container_of(node, struct gw_aws_wait, link);
        wait->error = error;
        wait->done(wait);
    }
}

static void on_timer(struct gw_timer *timer)
{
    struct gw_aws_credentials *c = gw_container_of(timer, struct gw_aws_credentials, timer);

    c->is_set = false;
    c->is_fetching = true;
    c->fetch = (struct gw_aws_fetch){.env = c->env, .source = &c->source, .done = on_fetched};
    gw_aws_fetch_start(&c->fetch);
}

/* A source that gives out keys which are nearly over is not asked in a loop either. */
static int64_t gap_left_us(const struct gw_aws_credentials *c)
{
    int64_t gap_ms = c->gap_ms > GAP_MS_MIN ? c->gap_ms : GAP_MS_MIN;

    if (gap_ms > GAP_MS_URGENT && !is_valid(c))
        gap_ms = GAP_MS_URGENT;
    return c->ended_us + gap_ms * 1000 - gw_env_mono_us(c->env);
}

static void refresh(struct gw_aws_credentials *c)
{
    int64_t left_us = gap_left_us(c);

    if (c->is_fetching)
        return;
    c->is_set = true; /* perhaps again: the gap is shorter once the keys are over */
    gw_env_timer_set(c->env, &c->timer, left_us > 0 ? left_us / 1000 + 1 : 0);
}

/* ── Asking ────────────────────────────────────────────────────────────────────────────────── */

const struct gw_aws_keys *gw_aws_credentials_keys(struct gw_aws_credentials *c)
{
    if (c->until_ms != GW_NEVER && gw_env_wall_ms(c->env) >= c->refresh_ms)
        refresh(c);
    return is_valid(c) ? &c->keys : NULL;
}

void gw_aws_credentials_wait(struct gw_aws_credentials *c, struct gw_aws_wait *wait)
{
    gw_list_push(&c->waits, &wait->link);
    refresh(c);
}

void gw_aws_credentials_cancel(struct gw_aws_wait *wait)
{
    gw_list_remove(&wait->link);
}

void gw_aws_credentials_expired(struct gw_aws_credentials *c)
{
    if (!is_static(c))
        c->until_ms = c->refresh_ms = 0;
}

const char *gw_aws_credentials_source(const struct gw_aws_credentials *c)
{
    return gw_aws_source_name(c->source.kind);
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

enum gw_err gw_aws_credentials_create(struct gw_env *env, const struct gw_aws_profile *profile,
                                      const struct gw_aws_endpoint *sts,
                                      struct gw_aws_credentials **out, struct gw_error *error)
{
    struct gw_aws_credentials *c = gw_zalloc(sizeof(*c));
    struct gw_aws_keys keys = {0};
    enum gw_err err = gw_aws_source_find(&c->source, &keys, profile, sts, &c->arena, error);

    c->env = env;
    c->ended_us = gw_env_mono_us(env) - (int64_t)GAP_MS_MAX * 1000;
    c->timer.fire = on_timer;
    gw_list_init(&c->waits);
    if (err != GW_OK) {
        gw_aws_credentials_destroy(c);
        return err;
    }
    if (is_static(c))
        keys_take(c, &keys, GW_NEVER);
    *out = c;
    return GW_OK;
}

void gw_aws_credentials_destroy(struct gw_aws_credentials *c)
{
    if (c == NULL)
        return;
    gw_check(gw_list_empty(&c->waits));
    if (c->is_set)
        gw_env_timer_stop(c->env, &c->timer);
    if (c->is_fetching)
        gw_aws_fetch_cancel(&c->fetch);
    gw_arena_deinit(&c->fetch.arena);
    keys_drop(c);
    gw_arena_deinit(&c->arena);
    gw_free(c);
}
