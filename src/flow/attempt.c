/* attempt.c: owns one attempt, from the delivery taken out of its lane to the outcome.
 *
 *   start ─▶ CLAIM ─▶ route: where does it go? ─▶ LOAD (unless the body rides along; then again:
 *                       │ nowhere ───────▶ settle: cancelled     where does it go by now?)
 *                       │ held ──────────▶ put back              │
 *                                                                ▼
 *            RESOLVE (a name) ─▶ guard every address ─▶ sign ─▶ POST ─▶ classify ─▶ SETTLE
 *              └──────────────────┴─ failed: that is the outcome ───────────────────▶┘
 *
 * The attempt keeps the snapshot it began with. Claim and load may say "again": the flight waits
 * and asks again; the place it holds is its target's own. Nothing is recorded before the outcome,
 * so an attempt that is cut off leaves no trace. */
#include "flow/attempt.h"

#include "base/log.h"
#include "core/edit.h"
#include "core/sign.h"
#include "flow/lanes.h"
#include "flow/settle.h"

#define LEASE_MARGIN_MS 30000
#define AGAIN_MS        200
#define BROKEN_MS       60000
#define REPLY_READ_MAX  (64 * 1024)
#define RESOLVE_MAX_MS  5000

static struct gw_env *env_of(const struct gw_flight *flight)
{
    return flight->shard->env;
}

void gw_attempt_free(struct gw_flight *flight)
{
    struct gw_shard *shard = flight->shard;
    gw_list_remove(&flight->link);
    if (flight->snapshot)
        gw_snapshot_unref(flight->snapshot);
    gw_arena_deinit(&flight->arena);
    gw_free(flight);
    gw_shard_end(shard);
}

void gw_attempt_abandon(struct gw_flight *flight)
{
    struct gw_pending *pending = flight->pending;
    if (flight->stalls)
        gw_schedule_resume(flight->shard->schedule);
    gw_attempt_free(flight);
    gw_schedule_landed(pending, NULL);
}

/* The ledger cannot say now: a busy one is asked soon, a broken one seldom. */
static void ask_again(struct gw_flight *flight, const struct gw_op *op,
                      void (*fire)(struct gw_timer *timer))
{
    bool broken = gw_err_class(op->err) == GW_CLASS_FATAL;
    if (broken) {
        char id[GW_ID_TEXT_MAX];
        gw_log(GW_LOG_ERROR, "delivery_unreadable",
               GW_SL("delivery", gw_id_text(GW_ID_DELIVERY, &flight->pending->delivery.id, id)),
               GW_S("error", gw_err_name(op->err)));
    }
    int64_t delay_ms = op->again_ms > 0 ? op->again_ms : broken ? BROKEN_MS : AGAIN_MS;
    flight->again.fire = fire;
    gw_env_timer_set(env_of(flight), &flight->again, delay_ms);
}

/* ── Outcome ───────────────────────────────────────────────────────────────────────────────── */

static void finish(struct gw_flight *flight, enum gw_outcome outcome, int status, const char *error)
{
    struct gw_attempt *record = &flight->record;
    record->outcome = outcome;
    record->status = status;
    record->error = gw_slice_from(outcome == GW_OUTCOME_SUCCESS ? "" : error);
    record->total_us = gw_env_mono_us(env_of(flight)) - flight->begun_us;
    gw_settle_attempt(flight, outcome, status);
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
    return GW_OUTCOME_PROTOCOL;
}

static void on_reply(struct gw_http_call *call)
{
    struct gw_flight *flight = gw_container_of(call, struct gw_flight, call);
    struct gw_attempt *record = &flight->record;
    record->connect_us = call->connect_us;
    record->tls_us = call->tls_us;
    record->first_byte_us = call->first_byte_us;
    record->address = call->addr;
    record->excerpt = call->reply;
    flight->retry_after_ms = gw_outcome_retry_after_ms(call->status, flight->retry_after,
                                                       gw_env_wall_ms(env_of(flight)));
    const char *error = call->error;
    if (call->end == GW_HTTP_ANSWERED)
        error = gw_arena_printf(&flight->arena, "answered %d", call->status);
    finish(flight, outcome_of(call), call->status, error);
}

static void on_reply_header(struct gw_http_call *call, struct gw_slice name, struct gw_slice value)
{
    struct gw_flight *flight = gw_container_of(call, struct gw_flight, call);
    if (gw_slice_eq_nocase(name, GW_SLICE("retry-after")))
        flight->retry_after = gw_arena_dup(&flight->arena, value);
}

/* The last word, in the socket callback, on the address really used. */
static bool on_addr(struct gw_http_call *call, const struct gw_addr *addr)
{
    struct gw_flight *flight = gw_container_of(call, struct gw_flight, call);
    return gw_guard_addr(&flight->shard->flow->options.guard, addr) == NULL;
}

/* ── The request ───────────────────────────────────────────────────────────────────────────── */

static const char *signature_line(struct gw_flight *flight, struct gw_slice id, int64_t now_ms)
{
    const struct gw_config *config = flight->config;
    struct gw_buf line = {0};
    gw_buf_adds(&line, GW_SLICE("webhook-signature:"));
    for (size_t i = 0; i < config->secret_count; i++) {
        if (config->secrets[i].until_ms <= now_ms)
            continue;
        gw_buf_addc(&line, ' ');
        gw_sign_standard(&line, &config->secrets[i], id, now_ms / 1000, flight->body);
    }
    const char *text = gw_arena_text(&flight->arena, gw_buf_slice(&line));
    gw_buf_deinit(&line);
    return text;
}

static const char **header_lines(struct gw_flight *flight, int64_t now_ms)
{
    struct gw_arena *arena = &flight->arena;
    const struct gw_config *config = flight->config;
    const struct gw_message *message = flight->pending->message;
    char id_text[GW_ID_TEXT_MAX];
    struct gw_slice id = gw_id_text(GW_ID_MESSAGE, &message->id, id_text);
    const char **lines = gw_arena_alloc(arena, (config->header_count + 8) * sizeof(*lines));
    size_t count = 0;
    lines[count++] = "content-type: application/json";
    lines[count++] =
        gw_arena_printf(arena, "user-agent: %s", flight->shard->flow->options.user_agent);
    lines[count++] = gw_arena_printf(arena, "webhook-id: %.*s", GW_SLICE_ARG(id));
    lines[count++] = gw_arena_printf(arena, "webhook-timestamp: %lld", (long long)(now_ms / 1000));
    lines[count++] = signature_line(flight, id, now_ms);
    lines[count++] =
        gw_arena_printf(arena, "webhook-event-type: %.*s", GW_SLICE_ARG(message->event_type));
    lines[count++] = gw_arena_printf(arena, "webhook-attempt: %u", flight->record.n);
    for (size_t i = 0; i < config->header_count; i++)
        lines[count++] = config->headers[i].line;
    lines[count] = NULL;
    return lines;
}

static void post(struct gw_flight *flight, const struct gw_addr *addrs, size_t addr_count)
{
    const struct gw_flow_options *options = &flight->shard->flow->options;
    const struct gw_url *url = &flight->route->url;
    int64_t now_ms = gw_env_wall_ms(env_of(flight));
    int64_t left_ms = (int64_t)flight->config->retry.timeout_ms - flight->record.dns_us / 1000;
    int64_t connect_ms = options->connect_timeout_ms - flight->record.dns_us / 1000;
    flight->body = flight->pending->message->body;
    if (flight->config->delete_app_id)
        flight->body = gw_edit_remove_member(flight->body, GW_SLICE("appId"), &flight->arena);
    flight->call = (struct gw_http_call){
        .method = "POST",
        .url = gw_arena_text(&flight->arena, url->text),
        .header_lines = header_lines(flight, now_ms),
        .body = flight->body,
        .host = gw_arena_text(&flight->arena, url->host),
        .port = url->port,
        .addrs = addrs,
        .addr_count = addr_count,
        .connect_timeout_ms = connect_ms > 1 ? connect_ms : 1,
        .timeout_ms = left_ms > 1 ? left_ms : 1,
        .reply_read_max = REPLY_READ_MAX,
        .reply_keep_max = GW_EXCERPT_BYTES_MAX,
        .addr_allowed = on_addr,
        .on_header = on_reply_header,
        .done = on_reply,
        .arena = &flight->arena,
    };
    flight->stage = GW_FLIGHT_POST;
    gw_env_http(env_of(flight), &flight->call);
}

/* ── Where to ──────────────────────────────────────────────────────────────────────────────── */

static bool blocked(struct gw_flight *flight, const struct gw_addr *addr)
{
    const char *why = gw_guard_addr(&flight->shard->flow->options.guard, addr);
    if (!why)
        return false;
    char text[GW_ADDR_TEXT_MAX];
    struct gw_slice shown = gw_addr_text(addr, text);
    finish(flight, GW_OUTCOME_BLOCKED, 0,
           gw_arena_printf(&flight->arena, "%.*s is %s, not a public address", GW_SLICE_ARG(shown),
                           why));
    return true;
}

/* A name whose answers mix public and private is refused whole. */
static void on_resolved(struct gw_resolve *resolve)
{
    struct gw_flight *flight = gw_container_of(resolve, struct gw_flight, resolve);
    flight->record.dns_us = resolve->elapsed_us;
    if (!resolve->ok) {
        finish(flight, GW_OUTCOME_DNS, 0, resolve->error);
        return;
    }
    for (size_t i = 0; i < resolve->addr_count; i++)
        if (blocked(flight, &resolve->addrs[i]))
            return;
    post(flight, resolve->addrs, resolve->addr_count);
}

static void find_address(struct gw_flight *flight)
{
    const struct gw_url *url = &flight->route->url;
    struct gw_error error;
    if (gw_guard_url(&flight->shard->flow->options.guard, "webhookUrl", url, &error) != GW_OK) {
        finish(flight, GW_OUTCOME_BLOCKED, 0,
               gw_arena_text(&flight->arena, gw_slice_from(error.text)));
        return;
    }
    if (url->host_is_addr) {
        if (!blocked(flight, &url->addr))
            post(flight, NULL, 0);
        return;
    }
    int64_t max_ms = flight->config->retry.timeout_ms;
    flight->resolve = (struct gw_resolve){
        .host = gw_arena_text(&flight->arena, url->host),
        .timeout_ms = max_ms < RESOLVE_MAX_MS ? max_ms : RESOLVE_MAX_MS,
        .done = on_resolved,
    };
    flight->stage = GW_FLIGHT_RESOLVE;
    gw_env_resolve(env_of(flight), &flight->resolve);
}

/* Where it goes now. False: nowhere, and the flight is over or is being ended. */
static bool route(struct gw_flight *flight)
{
    enum gw_end_reason reason;
    struct gw_snapshot *snapshot;
    bool leads =
        gw_schedule_route(flight->pending, &snapshot, &flight->config, &flight->route, &reason);
    if (!leads && reason == GW_END_NONE)
        gw_attempt_abandon(flight);
    else if (!leads)
        gw_settle_end(flight, reason);
    if (!leads)
        return false;
    gw_snapshot_ref(snapshot);
    if (flight->snapshot)
        gw_snapshot_unref(flight->snapshot);
    flight->snapshot = snapshot;
    return true;
}

static void begin(struct gw_flight *flight)
{
    const struct gw_delivery *delivery = &flight->pending->delivery;
    int64_t now_ms = gw_env_wall_ms(env_of(flight));
    int64_t waited_ms = delivery->due_ms ? now_ms - delivery->due_ms : 0;
    flight->begun_us = gw_env_mono_us(env_of(flight));
    flight->record.n = delivery->attempts + 1;
    flight->record.at_ms = now_ms;
    flight->record.queue_us = waited_ms > 0 ? waited_ms * 1000 : 0;
    flight->record.config_version = flight->config->version;
    flight->record.url = gw_url_shown(flight->route->url.text);
    find_address(flight);
}

/* ── Claim and load ────────────────────────────────────────────────────────────────────────── */

static void start_load(struct gw_flight *flight);

static void on_load_again(struct gw_timer *timer)
{
    start_load(gw_container_of(timer, struct gw_flight, again));
}

static void on_loaded(struct gw_op *op)
{
    struct gw_load *load = gw_container_of(op, struct gw_load, op);
    struct gw_flight *flight = gw_container_of(load, struct gw_flight, load);
    if (op->err == GW_OK)
        flight->pending->message = load->message;
    if (flight->shard->draining) {
        gw_attempt_abandon(flight);
        return;
    }
    switch (op->err) {
    case GW_OK:
        if (route(flight))
            begin(flight);
        return;
    case GW_ERR_GONE:
    case GW_ERR_NOT_FOUND: gw_settle_end(flight, GW_END_PAYLOAD_GONE); return;
    case GW_ERR_CORRUPT: /* it is not what was accepted, and never will be */
    case GW_ERR_CHANGED: gw_settle_end(flight, GW_END_PAYLOAD_CHANGED); return;
    default: ask_again(flight, op, on_load_again); return;
    }
}

static void start_load(struct gw_flight *flight)
{
    struct gw_ledger *ledger = flight->shard->flow->ledger;
    flight->load = (struct gw_load){
        .op = {.env = env_of(flight), .done = on_loaded},
        .message_id = flight->pending->delivery.message_id,
    };
    flight->stage = GW_FLIGHT_LOAD;
    ledger->ops->load(ledger, &flight->load);
}

static void start_claim(struct gw_flight *flight);

static void on_claim_again(struct gw_timer *timer)
{
    start_claim(gw_container_of(timer, struct gw_flight, again));
}

static void on_claimed(struct gw_op *op)
{
    struct gw_claim *claim = gw_container_of(op, struct gw_claim, op);
    struct gw_flight *flight = gw_container_of(claim, struct gw_flight, claim);
    if (flight->shard->draining) {
        gw_attempt_abandon(flight);
        return;
    }
    /* Damaged: its file was set aside, and the ledger tells nothing of it any more. */
    if (gw_err_class(op->err) == GW_CLASS_REJECT || op->err == GW_ERR_CORRUPT) {
        struct gw_pending *pending = flight->pending;
        gw_attempt_free(flight);
        gw_schedule_forget(pending);
        return;
    }
    if (op->err != GW_OK) {
        ask_again(flight, op, on_claim_again);
        return;
    }
    flight->settle.write_id = claim->write_id;
    if (!route(flight))
        return;
    if (flight->pending->message)
        begin(flight);
    else
        start_load(flight);
}

static void start_claim(struct gw_flight *flight)
{
    struct gw_ledger *ledger = flight->shard->flow->ledger;
    flight->claim = (struct gw_claim){
        .op = {.env = env_of(flight), .done = on_claimed},
        .delivery = flight->pending->delivery,
        .lease_ms = 30000 + LEASE_MARGIN_MS,
    };
    flight->stage = GW_FLIGHT_CLAIM;
    ledger->ops->claim(ledger, &flight->claim);
}

void gw_attempt_start(struct gw_shard *shard, struct gw_pending *pending)
{
    struct gw_flight *flight = gw_zalloc(sizeof(*flight));
    flight->shard = shard;
    flight->pending = pending;
    gw_list_push(&shard->schedule->flights, &flight->link);
    gw_shard_begin(shard);
    start_claim(flight);
}

void gw_attempt_cut(struct gw_flight *flight)
{
    struct gw_env *env = env_of(flight);
    switch (flight->stage) {
    case GW_FLIGHT_RESOLVE: gw_env_resolve_cancel(env, &flight->resolve); break;
    case GW_FLIGHT_POST: gw_env_http_cancel(env, &flight->call); break;
    case GW_FLIGHT_CLAIM:
    case GW_FLIGHT_LOAD:
    case GW_FLIGHT_SETTLE:
        if (!gw_heap_linked(&flight->again.node))
            return; /* the ledger has it, and will answer */
        gw_env_timer_stop(env, &flight->again);
        break;
    }
    gw_attempt_abandon(flight);
}
