/* ledger.c: GET /v1/ledger: do the counters of some hours close, and what do they say?
 *
 * The store counts; which of what is open is held, the configs of now say, as they do for every
 * delivery that is shown (look.h). With `full` every row is counted too, and must say the same. */
#include "api/look.h"
#include "api/query.h"
#include "api/reply.h"

#define HOURS_DEFAULT 24

enum param { APP_ID, FROM, TO, FULL, PARAM_COUNT };

static const char *const param_names[PARAM_COUNT] = {"appId", "from", "to", "full"};

struct ledger {
    struct gw_api_request *request;
    struct gw_tally_op op;
    struct gw_look look;
    int64_t pending, held;
};

/* ── What is asked for ─────────────────────────────────────────────────────────────────────── */

static enum gw_err parse(struct ledger *ledger, struct gw_error *error)
{
    struct gw_tally_op *op = &ledger->op;
    struct gw_slice values[PARAM_COUNT];

    op->to_ms = gw_hour_of(gw_env_wall_ms(gw_api_env(ledger->request))) + GW_HOUR_MS;
    enum gw_err err = gw_query_parse(ledger->request, param_names, PARAM_COUNT, values, error);
    if (err == GW_OK)
        err = gw_query_bool("full", values[FULL], &op->full, error);
    if (err == GW_OK)
        err = gw_query_whole("to", values[TO], GW_HOUR_MS, &op->to_ms, error);
    op->from_ms = op->to_ms - HOURS_DEFAULT * GW_HOUR_MS;
    if (err == GW_OK)
        err = gw_query_whole("from", values[FROM], GW_HOUR_MS, &op->from_ms, error);
    if (err == GW_OK && op->from_ms >= op->to_ms)
        err = gw_error_set(error, GW_ERR_INVALID, "from: must be before to");
    op->app_id = err == GW_OK ? values[APP_ID] : (struct gw_slice){0};
    return err;
}

/* ── Does it close? ────────────────────────────────────────────────────────────────────────── */

static bool closes(const struct ledger *ledger)
{
    const int64_t *of = ledger->op.counted.of;
    int64_t skipped = of[GW_TALLY_NO_CONFIG] + of[GW_TALLY_INACTIVE] + of[GW_TALLY_FILTERED];
    int64_t ended = of[GW_TALLY_DELIVERED] + of[GW_TALLY_DEAD] + of[GW_TALLY_CANCELLED];

    return of[GW_TALLY_RECEIVED] == of[GW_TALLY_ROUTED] + skipped &&
           of[GW_TALLY_CREATED] == ended + ledger->pending + ledger->held;
}

/* A duplicate leaves no row. */
static bool differs(const struct gw_tally_op *op, size_t i)
{
    return i != GW_TALLY_DUPLICATE && op->counted.of[i] != op->rows.of[i];
}

static bool agrees(const struct gw_tally_op *op)
{
    for (size_t i = 0; i < GW_TALLY_COUNTS; i++)
        if (differs(op, i))
            return false;
    return true;
}

/* ── The answer ────────────────────────────────────────────────────────────────────────────── */

static void add_count(struct gw_buf *out, const struct gw_tally *tally, enum gw_tally_count which)
{
    gw_json_member_int(out, gw_tally_name(which), tally->of[which]);
}

static void add_events(struct gw_buf *out, const struct gw_tally *tally)
{
    gw_json_key(out, "events");
    gw_buf_addc(out, '{');
    add_count(out, tally, GW_TALLY_RECEIVED);
    add_count(out, tally, GW_TALLY_ROUTED);
    gw_json_key(out, "skipped");
    gw_buf_addc(out, '{');
    add_count(out, tally, GW_TALLY_NO_CONFIG);
    add_count(out, tally, GW_TALLY_INACTIVE);
    add_count(out, tally, GW_TALLY_FILTERED);
    gw_buf_addc(out, '}');
    add_count(out, tally, GW_TALLY_DUPLICATE);
    gw_buf_addc(out, '}');
}

static void add_deliveries(struct gw_buf *out, const struct ledger *ledger)
{
    const struct gw_tally *tally = &ledger->op.counted;

    gw_json_key(out, "deliveries");
    gw_buf_addc(out, '{');
    add_count(out, tally, GW_TALLY_CREATED);
    add_count(out, tally, GW_TALLY_REPLAYED);
    add_count(out, tally, GW_TALLY_DELIVERED);
    gw_json_member_int(out, "pending", ledger->pending);
    gw_json_member_int(out, "held", ledger->held);
    add_count(out, tally, GW_TALLY_DEAD);
    add_count(out, tally, GW_TALLY_CANCELLED);
    gw_buf_addc(out, '}');
}

/* What the rows say otherwise than the counters; with nothing in it when all is well. */
static void add_recount(struct gw_buf *out, const struct gw_tally_op *op)
{
    gw_json_key(out, "recount");
    gw_buf_addc(out, '{');
    gw_json_member_bool(out, "agrees", agrees(op));
    gw_json_key(out, "differences");
    gw_buf_addc(out, '[');
    for (size_t i = 0; i < GW_TALLY_COUNTS; i++) {
        if (!differs(op, i))
            continue;
        gw_json_next(out);
        gw_buf_addc(out, '{');
        gw_json_member_s(out, "name", gw_tally_name((enum gw_tally_count)i));
        gw_json_member_int(out, "counted", op->counted.of[i]);
        gw_json_member_int(out, "rows", op->rows.of[i]);
        gw_buf_addc(out, '}');
    }
    gw_buf_adds(out, GW_SLICE("]}"));
}

static void answer(struct ledger *ledger)
{
    const struct gw_tally_op *op = &ledger->op;
    struct gw_buf *out = gw_reply_begin(ledger->request, 200);

    gw_buf_addc(out, '{');
    gw_json_member_time(out, "from", op->from_ms);
    gw_json_member_time(out, "to", op->to_ms);
    add_events(out, &op->counted);
    add_deliveries(out, ledger);
    gw_json_member_bool(out, "closes", closes(ledger) && (!op->full || agrees(op)));
    if (op->full)
        add_recount(out, op);
    gw_buf_addc(out, '}');
    gw_look_deinit(&ledger->look);
    gw_reply_end(ledger->request);
}

/* ── The way to it ─────────────────────────────────────────────────────────────────────────── */

static void on_look(struct gw_look *look)
{
    struct ledger *ledger = gw_container_of(look, struct ledger, look);

    if (look->failed.err != GW_OK) {
        gw_look_deinit(look);
        gw_reply_store_failed(ledger->request, &look->failed);
        return;
    }
    for (size_t i = 0; i < ledger->op.open_count; i++) {
        const struct gw_open_count *open = &ledger->op.open[i];
        if (gw_look_holds(look, open->app_id, open->lane))
            ledger->held += (int64_t)open->count;
        else
            ledger->pending += (int64_t)open->count;
    }
    answer(ledger);
}

static void on_counted(struct gw_op *base)
{
    struct gw_tally_op *op = gw_container_of(base, struct gw_tally_op, op);
    struct ledger *ledger = gw_container_of(op, struct ledger, op);

    if (base->err != GW_OK) {
        gw_reply_store_failed(ledger->request, base);
        return;
    }
    for (size_t i = 0; i < op->open_count; i++)
        gw_look_add(&ledger->look, op->open[i].app_id, true);
    gw_look_start(&ledger->look);
}

/* Where many processes share the store nothing is counted as it happens: every row is looked at. */
static bool is_small(const struct gw_tally_op *op, struct gw_error *error)
{
    enum gw_err err = GW_OK;

    if (!op->app_id.ptr)
        err = gw_error_set(error, GW_ERR_INVALID,
                           "appId: is required, for one app's events are "
                           "counted at a time");
    else if (op->to_ms - op->from_ms > HOURS_DEFAULT * GW_HOUR_MS)
        err = gw_error_set(error, GW_ERR_INVALID, "from: must be at most %d hours before to",
                           HOURS_DEFAULT);
    return err == GW_OK;
}

void gw_ledger_get(struct gw_api_request *request)
{
    struct ledger *ledger = gw_arena_zalloc(gw_api_arena(request), sizeof(*ledger));
    struct gw_ledger *port = request->api->shard->flow->ledger;
    struct gw_tally_op *op = &ledger->op;
    struct gw_error error;

    ledger->request = request;
    op->op = (struct gw_op){.env = gw_api_env(request), .done = on_counted};
    op->arena = gw_api_arena(request);
    gw_look_init(&ledger->look, request, on_look);
    if (parse(ledger, &error) != GW_OK) {
        gw_reply_fail(request, 400, "%s", error.text);
        return;
    }
    if (!op->app_id.ptr)
        op->app_id = request->caller.scope;
    if (op->app_id.ptr && !gw_api_may_see(request, op->app_id)) {
        gw_reply_fail(request, 404, "there is no such app");
        return;
    }
    if (gw_api_is_shared(request) && !is_small(op, &error)) {
        gw_reply_fail(request, 400, "%s", error.text);
        return;
    }
    gw_ledger_tally(port, op);
}
