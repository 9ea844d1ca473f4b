/* post.c: owns one POST, from what is to be delivered to the record of the attempt.
 *
 *   start ─▶ guard the URL ─▶ NAME: look it up ─▶ guard every address ─▶ sign ─▶ CALL ─▶ classify ─▶ done
 *              │    └─ an address: guard it ────────┼─────────────────────▲       ▲
 *              └─ forbidden: SOON, on the next turn │ ─ no such name, forbidden ──┘
 *                 of the loop ──────────────────────┴─────────────────────────────┘
 *
 * Each address is checked where it is named, where it is resolved and where a socket is used. Every
 * failure is an outcome, so that a post always ends with a record; one that is cancelled leaves no
 * trace.
 *
 * Thread: the shard's. */
#include "flow/post.h"

#include "base/check.h"
#include "core/edit.h"
#include "core/signing.h"

#define REPLY_READ_MAX (64 * 1024)
#define RESOLVE_MAX_MS 5000
#define LINES_OWN_MAX  (7 + GW_SIGNING_LINES_MAX) /* beside the config's */
#define LINES_USUAL    512                        /* bytes of them */

static struct gw_env *env_of(const struct gw_post *post)
{
    return post->shard->env;
}

static const struct gw_guard *guard_of(const struct gw_post *post)
{
    return &post->shard->flow->options.guard;
}

/* ── Outcome ───────────────────────────────────────────────────────────────────────────────── */

static void finish(struct gw_post *post, enum gw_outcome outcome, int status, const char *error)
{
    struct gw_attempt *record = &post->record;
    record->outcome = outcome;
    record->status = status;
    record->error = gw_slice_from(outcome == GW_OUTCOME_SUCCESS ? "" : error);
    record->total_us = gw_env_mono_us(env_of(post)) - post->begun_us;
    post->done(post);
}

static enum gw_outcome outcome_of(const struct gw_http_call *call)
{
    switch (call->end) {
    case GW_HTTP_ANSWERED: return gw_outcome_of_status(call->status);
    case GW_HTTP_TIMEOUT: return GW_OUTCOME_TIMEOUT;
    case GW_HTTP_CONNECT: return GW_OUTCOME_CONNECT;
    case GW_HTTP_TLS: return GW_OUTCOME_TLS;
    case GW_HTTP_RESET: return GW_OUTCOME_RESET;
    case GW_HTTP_PROTOCOL: return GW_OUTCOME_PROTOCOL;
    case GW_HTTP_BLOCKED: return GW_OUTCOME_BLOCKED;
    }
    gw_never("an unknown end of a call");
}

static void on_reply(struct gw_http_call *call)
{
    struct gw_post *post = gw_container_of(call, struct gw_post, call);
    struct gw_attempt *record = &post->record;
    record->connect_us = call->connect_us;
    record->tls_us = call->tls_us;
    record->first_byte_us = call->first_byte_us;
    record->address = call->addr;
    record->excerpt = call->reply;
    post->retry_after_ms =
        gw_outcome_retry_after_ms(call->status, post->retry_after, gw_env_wall_ms(env_of(post)));
    enum gw_outcome outcome = outcome_of(call);
    const char *error = call->error;
    if (outcome == GW_OUTCOME_HTTP_ERROR)
        error = gw_arena_printf(post->arena, "answered %d", call->status);
    finish(post, outcome, call->status, error);
}

static void on_reply_header(struct gw_http_call *call, struct gw_slice name, struct gw_slice value)
{
    struct gw_post *post = gw_container_of(call, struct gw_post, call);
    if (gw_slice_eq_nocase(name, GW_SLICE("retry-after")))
        post->retry_after = gw_arena_dup(post->arena, value);
}

/* The last word, in the socket callback, on the address really used. */
static bool on_addr(struct gw_http_call *call, const struct gw_addr *addr)
{
    return gw_guard_addr(guard_of(gw_container_of(call, struct gw_post, call)), addr) == NULL;
}

/* ── The request ───────────────────────────────────────────────────────────────────────────── */

/* Our own lines, each with a NUL behind it. */
static void write_lines(struct gw_buf *out, const struct gw_post *post, int64_t now_ms)
{
    char id_text[GW_ID_TEXT_MAX];
    struct gw_slice id = gw_id_text(GW_ID_MESSAGE, &post->message->id, id_text);
    gw_buf_adds(out, GW_SLICE("content-type: application/json\0user-agent: "));
    gw_buf_adds(out, gw_slice_from(post->shard->flow->options.user_agent));
    gw_buf_adds(out, GW_SLICE("\0webhook-id: "));
    gw_buf_adds(out, id);
    gw_buf_adds(out, GW_SLICE("\0webhook-timestamp: "));
    gw_buf_addi(out, now_ms / 1000);
    gw_buf_addc(out, '\0');
    gw_signing_lines(out, post->config, id, now_ms, post->body);
    gw_buf_adds(out, GW_SLICE("webhook-event-type: "));
    gw_buf_adds(out, post->message->event_type);
    gw_buf_adds(out, GW_SLICE("\0webhook-attempt: "));
    gw_buf_addi(out, post->n);
    if (post->is_replay)
        gw_buf_adds(out, GW_SLICE("\0webhook-replay: true"));
    gw_buf_addc(out, '\0');
}

static const char **header_lines(struct gw_post *post, int64_t now_ms)
{
    const struct gw_config *config = post->config;
    struct gw_buf written = {0};
    gw_buf_reserve(&written, LINES_USUAL);
    write_lines(&written, post, now_ms);
    struct gw_slice rest = gw_arena_dup(post->arena, gw_buf_slice(&written)), line;
    gw_buf_deinit(&written);

    size_t room = LINES_OWN_MAX + config->header_count + 1, count = 0;
    const char **lines = gw_arena_alloc(post->arena, room * sizeof(*lines));
    while (gw_slice_split(&rest, '\0', &line) && line.len > 0)
        lines[count++] = line.ptr;
    gw_check(count <= LINES_OWN_MAX);
    for (size_t i = 0; i < config->header_count; i++)
        lines[count++] = config->headers[i].line;
    lines[count] = NULL;
    return lines;
}

/* What the client gets of the event: all its bytes, but for what the config removes. */
static struct gw_slice body_of(const struct gw_post *post)
{
    const struct gw_config *config = post->config;
    struct gw_edit_path paths[GW_EDIT_PATHS_MAX + 1];
    size_t count = config->blocklist_count;
    if (count > 0)
        memcpy(paths, config->blocklist, count * sizeof(*paths));
    if (config->delete_app_id)
        paths[count++] = gw_edit_app_id;
    if (count == 0)
        return post->message->body;
    return gw_edit_remove(post->message->body, paths, count, post->arena);
}

static int64_t at_least_1(int64_t ms)
{
    return ms < 1 ? 1 : ms;
}

static void call(struct gw_post *post, const struct gw_addr *addrs, size_t addr_count)
{
    const struct gw_url *url = &post->route->url;
    int64_t gone_ms = post->record.dns_us / 1000;
    post->body = body_of(post);
    post->call = (struct gw_http_call){
        .method = "POST",
        .url = gw_arena_text(post->arena, url->text),
        .header_lines = header_lines(post, gw_env_wall_ms(env_of(post))),
        .body = post->body,
        .host = gw_arena_text(post->arena, url->host),
        .port = url->port,
        .addrs = addrs,
        .addr_count = addr_count,
        .is_apart = post->is_apart,
        .connect_timeout_ms = at_least_1(post->shard->flow->options.connect_timeout_ms - gone_ms),
        .timeout_ms = at_least_1(post->config->retry.timeout_ms - gone_ms),
        .reply_read_max = REPLY_READ_MAX,
        .reply_keep_max = GW_EXCERPT_BYTES_MAX,
        .addr_allowed = on_addr,
        .on_header = on_reply_header,
        .done = on_reply,
        .arena = post->arena,
    };
    post->stage = GW_POST_STAGE_CALL;
    gw_env_http(env_of(post), &post->call);
}

/* ── Where to ──────────────────────────────────────────────────────────────────────────────── */

/* Its time has passed, by either clock: the process stood still, for a name that takes so long has failed.
 * By now it may be another's to send. */
static bool is_late(const struct gw_post *post)
{
    int64_t mono_ms = (gw_env_mono_us(env_of(post)) - post->begun_us) / 1000;
    int64_t wall_ms = gw_env_wall_ms(env_of(post)) - post->record.at_ms;
    return (mono_ms > wall_ms ? mono_ms : wall_ms) >= post->config->retry.timeout_ms;
}

/* A name whose answers mix public and private is refused whole. Which address it was is the
 * operator's to know: a client that may name any host could draw a map of the network inside. */
static void on_resolved(struct gw_resolve *resolve)
{
    struct gw_post *post = gw_container_of(resolve, struct gw_post, resolve);
    post->record.dns_us = resolve->elapsed_us;
    if (!resolve->ok) {
        finish(post, GW_OUTCOME_DNS, 0, resolve->error);
        return;
    }
    if (is_late(post)) {
        post->is_late = true;
        finish(post, GW_OUTCOME_TIMEOUT, 0, "it was too late to send it");
        return;
    }
    for (size_t i = 0; i < resolve->addr_count; i++) {
        if (gw_guard_addr(guard_of(post), &resolve->addrs[i])) {
            finish(post, GW_OUTCOME_BLOCKED, 0, "the name leads to an address that is not public");
            return;
        }
    }
    call(post, resolve->addrs, resolve->addr_count);
}

static void resolve(struct gw_post *post)
{
    int64_t max_ms = post->config->retry.timeout_ms;
    post->resolve = (struct gw_resolve){
        .host = gw_arena_text(post->arena, post->route->url.host),
        .timeout_ms = max_ms < RESOLVE_MAX_MS ? max_ms : RESOLVE_MAX_MS,
        .done = on_resolved,
    };
    post->stage = GW_POST_STAGE_NAME;
    gw_env_resolve(env_of(post), &post->resolve);
}

static void on_soon(struct gw_timer *timer)
{
    struct gw_post *post = gw_container_of(timer, struct gw_post, soon);
    finish(post, GW_OUTCOME_BLOCKED, 0, post->record.error.ptr);
}

static void find_address(struct gw_post *post)
{
    const struct gw_url *url = &post->route->url;
    struct gw_error error;
    if (gw_guard_url(guard_of(post), "webhookUrl", url, &error) != GW_OK) {
        post->record.error = gw_slice_from(gw_arena_text(post->arena, gw_slice_from(error.text)));
        post->stage = GW_POST_STAGE_SOON;
        post->soon = (struct gw_timer){.fire = on_soon};
        gw_env_timer_set(env_of(post), &post->soon, 0);
    } else if (url->host_is_addr) {
        call(post, NULL, 0);
    } else {
        resolve(post);
    }
}

void gw_post_start(struct gw_post *post)
{
    int64_t now_ms = gw_env_wall_ms(env_of(post));
    int64_t waited_ms = post->due_ms ? now_ms - post->due_ms : 0;
    post->begun_us = gw_env_mono_us(env_of(post));
    post->retry_after = (struct gw_slice){0};
    post->retry_after_ms = 0;
    post->is_late = false;
    post->record = (struct gw_attempt){
        .n = post->n,
        .at_ms = now_ms,
        .queue_us = waited_ms > 0 ? waited_ms * 1000 : 0,
        .config_version = post->config->version,
        .url = gw_url_shown(post->route->url.text),
    };
    find_address(post);
}

void gw_post_cancel(struct gw_post *post)
{
    struct gw_env *env = env_of(post);
    switch (post->stage) {
    case GW_POST_STAGE_SOON: gw_env_timer_stop(env, &post->soon); break;
    case GW_POST_STAGE_NAME: gw_env_resolve_cancel(env, &post->resolve); break;
    case GW_POST_STAGE_CALL: gw_env_http_cancel(env, &post->call); break;
    }
}
