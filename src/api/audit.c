/* audit.c: the audit log: writing lines, GET /v1/audit, GET /v1/config/history. Owns nothing.
 *
 * A change keeps its line in its own transaction. What is shown, and what is done in another file,
 * is written down first, and not shown or done if that fails: a line may tell of what was then not
 * seen, but nothing is seen without a line. Lines hold no secret and no payload. */
#include "api/audit.h"

#include "api/auth.h"
#include "api/query.h"
#include "api/reply.h"
#include "core/strict.h"

/* ── Writing ───────────────────────────────────────────────────────────────────────────────── */

/* What a name is worth depends on how its owner was known, so that stands behind it: anybody may
 * call a key "admin". */
static struct gw_slice actor_of(const struct gw_api_request *request)
{
    const struct gw_caller *caller = &request->caller;
    if (!caller->via.ptr)
        return caller->name;
    return gw_slice_from(gw_arena_printf(gw_api_arena(request), "%.*s (%.*s)",
                                         GW_SLICE_ARG(caller->name), GW_SLICE_ARG(caller->via)));
}

struct gw_audit gw_audit_line(const struct gw_api_request *request, const char *action,
                              struct gw_slice app_id, struct gw_slice subject)
{
    struct gw_addr addr = gw_auth_address(&request->api->options, request->exchange);
    struct gw_slice address = {0};
    char text[GW_ADDR_TEXT_MAX];
    if (addr.family)
        address = gw_arena_dup(gw_api_arena(request), gw_addr_text(&addr, text));
    return (struct gw_audit){
        .at_ms = gw_env_wall_ms(gw_api_env(request)),
        .actor = actor_of(request),
        .address = address,
        .action = action,
        .app_id = app_id,
        .subject = subject,
    };
}

struct gw_audit_step {
    struct gw_audit_write *write;
    struct gw_audit_add add;
};

static void on_added(struct gw_op *op)
{
    struct gw_audit_add *add = gw_container_of(op, struct gw_audit_add, op);
    struct gw_audit_write *write = gw_container_of(add, struct gw_audit_step, add)->write;
    if (op->err != GW_OK)
        write->failed = *op;
    if (--write->left == 0)
        write->done(write);
}

void gw_audit_write_start(struct gw_audit_write *write, struct gw_api_request *request,
                          const struct gw_audit *lines, size_t count,
                          void (*done)(struct gw_audit_write *write))
{
    struct gw_admin *admin = request->api->shard->flow->admin;
    *write = (struct gw_audit_write){.request = request, .left = count, .done = done};
    write->steps = gw_arena_alloc(gw_api_arena(request), count * sizeof(*write->steps));
    for (size_t i = 0; i < count; i++) {
        write->steps[i] = (struct gw_audit_step){
            write, {.op = {.env = gw_api_env(request), .done = on_added}, .audit = lines[i]}};
        gw_admin_audit_add(admin, &write->steps[i].add);
    }
    if (count == 0)
        done(write);
}

void gw_audit_write_reply(const struct gw_audit_write *write)
{
    const char *name = gw_err_name(write->failed.err);
    gw_reply_later(write->request, write->failed.again_ms,
                   gw_arena_printf(gw_api_arena(write->request),
                                   "the audit log cannot be written now: %s", name));
}

/* ── Reading ───────────────────────────────────────────────────────────────────────────────── */

struct listing {
    struct gw_api_request *request;
    void (*render)(struct listing *listing, const struct gw_audit *line, struct gw_buf *out);
    struct gw_audit_list op;
};

static void add_head(struct gw_buf *out, const struct gw_audit *line)
{
    gw_json_member_time(out, "at", line->at_ms);
    gw_json_member(out, "actor", line->actor);
    gw_json_member(out, "address", line->address);
    gw_json_member_s(out, "action", line->action);
}

static void on_listed(struct gw_op *base)
{
    struct gw_audit_list *op = gw_container_of(base, struct gw_audit_list, op);
    struct listing *listing = gw_container_of(op, struct listing, op);
    struct gw_arena *arena = gw_api_arena(listing->request);
    if (base->err != GW_OK) {
        gw_reply_store_failed(listing->request, base);
        return;
    }
    struct gw_buf *out = gw_reply_begin(listing->request, 200);
    gw_buf_adds(out, GW_SLICE("{\"items\":["));
    for (size_t i = 0; i < op->count; i++) {
        gw_json_next(out);
        gw_buf_addc(out, '{');
        listing->render(listing, &op->lines[i], out);
        gw_buf_addc(out, '}');
    }
    gw_buf_addc(out, ']');
    gw_json_member_s(out, "next",
                     op->next ? gw_arena_printf(arena, "%llu", (unsigned long long)op->next)
                              : NULL);
    gw_buf_addc(out, '}');
    gw_reply_end(listing->request);
}

static struct listing *listing_create(struct gw_api_request *request,
                                      void (*render)(struct listing *listing,
                                                     const struct gw_audit *line,
                                                     struct gw_buf *out))
{
    struct listing *listing = gw_arena_zalloc(gw_api_arena(request), sizeof(*listing));
    listing->request = request;
    listing->render = render;
    listing->op.op = (struct gw_op){.env = gw_api_env(request), .done = on_listed};
    listing->op.arena = gw_api_arena(request);
    return listing;
}

static void listing_start(struct listing *listing)
{
    struct gw_admin *admin = listing->request->api->shard->flow->admin;
    gw_admin_audit_list(admin, &listing->op);
}

static enum gw_err parse_page(struct listing *listing, struct gw_slice limit,
                              struct gw_slice cursor, struct gw_error *error)
{
    enum gw_err err = gw_query_limit(limit, &listing->op.max, error);
    if (err == GW_OK && cursor.ptr &&
        (!gw_slice_u64(cursor, &listing->op.before) || listing->op.before == 0))
        err = gw_error_set(error, GW_ERR_INVALID, "cursor: must be the next of an earlier page");
    return err;
}

/* ── GET /v1/audit ─────────────────────────────────────────────────────────────────────────── */

static void render_line(struct listing *listing, const struct gw_audit *line, struct gw_buf *out)
{
    (void)listing;
    add_head(out, line);
    gw_json_member(out, "appId", line->app_id);
    gw_json_member(out, "subject", line->subject);
    gw_json_key(out, "detail");
    gw_buf_adds(out, line->detail.len ? line->detail : GW_SLICE("null"));
}

void gw_audit_api_get(struct gw_api_request *request)
{
    enum { APP_ID, FROM, TO, LIMIT, CURSOR, COUNT };
    static const char *const names[COUNT] = {"appId", "from", "to", "limit", "cursor"};
    struct gw_slice values[COUNT];
    struct gw_error error;
    struct listing *listing = listing_create(request, render_line);
    struct gw_audit_list *op = &listing->op;
    enum gw_err err = gw_query_parse(request, names, COUNT, values, &error);
    if (err == GW_OK)
        err = gw_query_time("from", values[FROM], &op->from_ms, &error);
    if (err == GW_OK)
        err = gw_query_time("to", values[TO], &op->to_ms, &error);
    if (err == GW_OK)
        err = parse_page(listing, values[LIMIT], values[CURSOR], &error);
    if (err != GW_OK) {
        gw_reply_fail(request, 400, "%s", error.text);
        return;
    }
    op->app_id = values[APP_ID].ptr ? values[APP_ID] : request->caller.scope;
    if (op->app_id.ptr && !gw_api_may_see(request, op->app_id)) {
        gw_reply_fail(request, 404, "there is no such app");
        return;
    }
    listing_start(listing);
}

/* ── GET /v1/config/history ────────────────────────────────────────────────────────────────── */

static void add_value(struct listing *listing, yyjson_val *value, struct gw_buf *out)
{
    yyjson_alc alc = gw_strict_alc(gw_api_arena(listing->request));
    size_t len = 0;
    char *text = yyjson_val_write_opts(value, YYJSON_WRITE_NOFLAG, &alc, &len, NULL);
    gw_buf_adds(out, text ? (struct gw_slice){text, len} : GW_SLICE("null"));
}

static void render_change(struct listing *listing, const struct gw_audit *line, struct gw_buf *out)
{
    struct gw_error error;
    yyjson_val *detail = NULL;
    if (line->detail.len)
        gw_strict_read_raw(line->detail, gw_api_arena(listing->request), &detail, &error);
    add_head(out, line);
    gw_json_key(out, "version");
    add_value(listing, yyjson_obj_get(detail, "version"), out);
    gw_json_key(out, "changes");
    add_value(listing, yyjson_obj_get(detail, "changes"), out);
}

void gw_audit_api_history(struct gw_api_request *request)
{
    enum { APP_ID, EVENT_TYPE, LIMIT, CURSOR, COUNT };
    static const char *const names[COUNT] = {"appId", "eventType", "limit", "cursor"};
    struct gw_slice values[COUNT];
    struct gw_error error;
    struct listing *listing = listing_create(request, render_change);
    enum gw_err err = gw_query_parse(request, names, COUNT, values, &error);
    for (size_t i = APP_ID; err == GW_OK && i <= EVENT_TYPE; i++)
        if (!values[i].ptr)
            err = gw_error_set(&error, GW_ERR_INVALID, "%s: is required, as a query parameter",
                               names[i]);
    if (err == GW_OK)
        err = parse_page(listing, values[LIMIT], values[CURSOR], &error);
    if (err != GW_OK) {
        gw_reply_fail(request, 400, "%s", error.text);
        return;
    }
    if (!gw_api_may_see(request, values[APP_ID])) {
        gw_reply_fail(request, 404, "there is no such app");
        return;
    }
    listing->op.app_id = values[APP_ID];
    listing->op.subject = values[EVENT_TYPE];
    listing->op.configs_only = true;
    listing_start(listing);
}
