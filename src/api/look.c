/* look.c: owns how deliveries are shown: one shape for lists, details, events and retries.
 *
 * The ledger knows what happened; whether a pending delivery is held, and where it goes next, the
 * configs and the health of targets of now say. So a look gathers the snapshots of all apps in
 * question first, those in memory at once, the others from the store side by side; and of those with
 * something open what the store has of targets in trouble. Failing to read one fails the look as a
 * whole, for an answer must not call a held delivery pending. */
#include "api/look.h"

#include "api/reply.h"
#include "flow/snapshots.h"

/* ── The snapshots ─────────────────────────────────────────────────────────────────────────── */

void gw_look_init(struct gw_look *look, struct gw_api_request *request,
                  void (*ready)(struct gw_look *look))
{
    *look = (struct gw_look){.request = request, .ready = ready};
}

static struct gw_look_app *find_app(const struct gw_look *look, struct gw_slice app_id)
{
    for (size_t i = look->app_count; i-- > 0;)
        if (gw_slice_eq(look->apps[i]->app_id, app_id))
            return look->apps[i];
    return NULL;
}

static void grow(struct gw_look *look)
{
    size_t cap = look->app_cap ? look->app_cap * 2 : 4;
    struct gw_look_app **apps =
        gw_arena_alloc(gw_api_arena(look->request), cap * sizeof(struct gw_look_app *));
    if (look->app_count)
        memcpy(apps, look->apps, look->app_count * sizeof(struct gw_look_app *));
    look->apps = apps;
    look->app_cap = cap;
}

void gw_look_add(struct gw_look *look, struct gw_slice app_id, bool is_open)
{
    struct gw_look_app *known = find_app(look, app_id);
    if (known) {
        known->asks_health |= is_open;
        return;
    }
    if (look->app_count == look->app_cap)
        grow(look);
    struct gw_look_app *app = gw_arena_zalloc(gw_api_arena(look->request), sizeof(*app));
    app->app_id = app_id;
    app->look = look;
    app->asks_health = is_open;
    look->apps[look->app_count++] = app;
}

static void one_less(struct gw_look *look)
{
    if (--look->left == 0)
        look->ready(look);
}

static void on_loaded(struct gw_op *op)
{
    struct gw_config_load *load = gw_container_of(op, struct gw_config_load, op);
    struct gw_look_app *app = gw_container_of(load, struct gw_look_app, load);
    if (op->err == GW_OK)
        app->snapshot = load->snapshot;
    else if (app->look->failed.err == GW_OK)
        app->look->failed = *op;
    one_less(app->look);
}

static void load_app(struct gw_look *look, struct gw_look_app *app)
{
    struct gw_shard *shard = look->request->api->shard;
    struct gw_snapshot *snapshot = gw_snapshots_peek(shard, app->app_id);
    if (snapshot) {
        app->snapshot = gw_snapshot_ref(snapshot);
        return;
    }
    app->load = (struct gw_config_load){
        .op = {.env = shard->env, .done = on_loaded},
        .app_id = app->app_id,
    };
    look->left++;
    gw_configs_load(shard->flow->configs, &app->load);
}

static void on_health(struct gw_op *op)
{
    struct gw_health_load *load = gw_container_of(op, struct gw_health_load, op);
    struct gw_look_app *app = gw_container_of(load, struct gw_look_app, health_load);
    struct gw_look *look = app->look;
    if (op->err != GW_OK && look->failed.err == GW_OK)
        look->failed = *op;
    size_t count = op->err == GW_OK ? load->count : 0;
    app->targets = gw_arena_alloc(gw_api_arena(look->request), count * sizeof(*app->targets));
    for (size_t i = 0; i < count; i++) {
        struct gw_look_target *target = &app->targets[app->target_count];
        target->url = load->items[i].url;
        if (gw_health_decode(&target->health, load->items[i].json) == GW_OK &&
            target->health.state >= GW_HEALTH_PROBED)
            app->target_count++;
    }
    one_less(look);
}

static void load_health(struct gw_look *look, struct gw_look_app *app)
{
    struct gw_ledger *ledger = look->request->api->shard->flow->ledger;
    app->asks_health = false;
    app->health_load = (struct gw_health_load){
        .op = {.env = gw_api_env(look->request), .done = on_health},
        .arena = &app->arena,
        .app_id = app->app_id,
    };
    look->left++;
    gw_ledger_health_load(ledger, &app->health_load);
}

void gw_look_start(struct gw_look *look)
{
    look->left = 1; /* this call's own */
    for (size_t i = 0; i < look->app_count; i++) {
        if (!look->apps[i]->snapshot)
            load_app(look, look->apps[i]);
        if (look->apps[i]->asks_health)
            load_health(look, look->apps[i]);
    }
    one_less(look);
}

const struct gw_snapshot *gw_look_snapshot(const struct gw_look *look, struct gw_slice app_id)
{
    const struct gw_look_app *app = find_app(look, app_id);
    return app ? app->snapshot : NULL;
}

static const struct gw_health *find_health(const struct gw_look *look, struct gw_slice app_id,
                                           const struct gw_route *route)
{
    const struct gw_look_app *app = find_app(look, app_id);
    for (size_t i = 0; i < app->target_count; i++)
        if (gw_slice_eq(app->targets[i].url, route->url.text))
            return &app->targets[i].health;
    return NULL;
}

static bool is_held(const struct gw_config *config, const struct gw_health *health)
{
    return !config->is_active || (health && health->state == GW_HEALTH_DISABLED);
}

bool gw_look_holds(const struct gw_look *look, struct gw_slice app_id, uint64_t lane)
{
    const struct gw_snapshot *snapshot = gw_look_snapshot(look, app_id);
    const struct gw_route *route;
    struct gw_config *config;
    return snapshot && gw_snapshot_lane(snapshot, lane, &config, &route) &&
           is_held(config, find_health(look, app_id, route));
}

void gw_look_deinit(struct gw_look *look)
{
    for (size_t i = 0; i < look->app_count; i++) {
        gw_snapshot_unref(look->apps[i]->snapshot);
        gw_arena_deinit(&look->apps[i]->arena);
    }
    look->app_count = 0;
}

/* ── One delivery ──────────────────────────────────────────────────────────────────────────── */

struct gw_view gw_look_view(const struct gw_look *look, const struct gw_row *row)
{
    const struct gw_delivery *delivery = &row->delivery;
    const struct gw_snapshot *snapshot = gw_look_snapshot(look, row->message->app_id);
    struct gw_view view = {.row = row, .status = gw_delivery_state_name(delivery->state)};
    struct gw_config *config;
    if (snapshot && gw_snapshot_lane(snapshot, delivery->lane, &config, &view.route))
        view.config = config;
    view.attempted = gw_attempt_last(row->log, &view.last);
    if (view.attempted)
        view.url = view.last.url;
    else if (view.config)
        view.url = gw_url_shown(view.route->url.text);
    if (delivery->state != GW_DELIVERY_PENDING)
        return view;
    if (view.config)
        view.health = find_health(look, row->message->app_id, view.route);
    bool by_hand = delivery->resume_ms && view.config && view.config->is_active;
    view.held = view.config && is_held(view.config, view.health) && !by_hand;
    if (view.held)
        view.status = "held";
    else if (view.config)
        view.next_ms =
            delivery->due_ms ? delivery->due_ms : gw_env_wall_ms(gw_api_env(look->request));
    return view;
}

void gw_look_render(const struct gw_view *view, struct gw_buf *out)
{
    const struct gw_delivery *delivery = &view->row->delivery;
    const struct gw_message *message = view->row->message;
    gw_json_member_id(out, "id", GW_ID_DELIVERY, &delivery->id);
    gw_json_member_id(out, "messageId", GW_ID_MESSAGE, &message->id);
    gw_json_member(out, "eventId", message->event_id);
    gw_json_member(out, "appId", message->app_id);
    gw_json_member(out, "eventType", message->event_type);
    gw_json_member(out, "transactionId", message->transaction_id);
    gw_json_member(out, "url", view->url);
    gw_json_member_s(out, "status", view->status);
    gw_json_member_int(out, "attempts", delivery->attempts);
    gw_json_member_time(out, "createdAt", delivery->created_ms);
    if (view->next_ms)
        gw_json_member_time(out, "nextAttemptAt", view->next_ms);
    else
        gw_json_member_null(out, "nextAttemptAt");
    if (view->attempted && view->last.status)
        gw_json_member_int(out, "lastStatusCode", view->last.status);
    else
        gw_json_member_null(out, "lastStatusCode");
    bool failed = view->attempted && view->last.outcome != GW_OUTCOME_SUCCESS;
    gw_json_member(out, "lastError", failed ? view->last.error : (struct gw_slice){0});
    gw_json_member_int(
        out, "configVersion",
        (int64_t)(view->attempted ? view->last.config_version : message->config_version));
    gw_json_member_null(out, "replayOf");
}

void gw_look_render_attempt(const struct gw_attempt *attempt, bool with_excerpt, struct gw_buf *out)
{
    char text[GW_ADDR_TEXT_MAX];
    bool failed = attempt->outcome != GW_OUTCOME_SUCCESS;
    gw_buf_addc(out, '{');
    gw_json_member_int(out, "n", attempt->n);
    gw_json_member_time(out, "at", attempt->at_ms);
    gw_json_member_s(out, "outcome", gw_outcome_name(attempt->outcome));
    if (attempt->status)
        gw_json_member_int(out, "statusCode", attempt->status);
    else
        gw_json_member_null(out, "statusCode");
    gw_json_member(out, "error", failed ? attempt->error : (struct gw_slice){0});
    gw_json_member_ms(out, "durationMs", attempt->total_us);
    gw_json_key(out, "phases");
    gw_buf_addc(out, '{');
    gw_json_member_ms(out, "queue", attempt->queue_us);
    gw_json_member_ms(out, "dns", attempt->dns_us);
    gw_json_member_ms(out, "connect", attempt->connect_us);
    gw_json_member_ms(out, "tls", attempt->tls_us);
    gw_json_member_ms(out, "firstByte", attempt->first_byte_us);
    gw_json_member_ms(out, "total", attempt->total_us);
    gw_buf_addc(out, '}');
    gw_json_member(out, "address",
                   attempt->address.family ? gw_addr_text(&attempt->address, text)
                                           : (struct gw_slice){0});
    gw_json_member(out, "responseExcerpt",
                   with_excerpt && attempt->excerpt.len ? attempt->excerpt : (struct gw_slice){0});
    gw_json_member_s(out, "advice",
                     failed ? gw_outcome_advice(attempt->outcome, attempt->status, attempt->error)
                            : NULL);
    gw_buf_addc(out, '}');
}

void gw_look_render_log(const struct gw_row *row, bool with_excerpts, struct gw_buf *out)
{
    struct gw_slice rest = row->log;
    struct gw_attempt attempt;
    gw_json_key(out, "attemptLog");
    gw_buf_addc(out, '[');
    while (gw_attempt_unpack(&rest, &attempt)) {
        gw_json_next(out);
        gw_look_render_attempt(&attempt, with_excerpts, out);
    }
    gw_buf_addc(out, ']');
}
