/* test.c: POST /v1/config/test: one real POST, by the config as it stands.
 *
 *   request ─▶ read ─▶ the app's configs ─▶ an event ─▶ POST (flow/post.c) ─▶ the attempt, as an answer
 *                                                         └─ cut: the server stops
 *
 * Nothing is stored but its line of the audit log, and nothing is tried again. The event that the
 * caller gives is cut out of the request's text, so that its bytes are sent as they are. At most
 * TESTS_MAX are under way in a shard: each may take as long as its target likes. */
#include "api/audit.h"
#include "api/look.h"
#include "api/reply.h"
#include "base/check.h"
#include "base/codec.h"
#include "core/strict.h"
#include "flow/post.h"

#define TESTS_MAX 8

struct test {
    struct gw_list link; /* of the API's tests while it posts */
    struct gw_api_request *request;
    struct gw_slice app_id, event_type;
    struct gw_slice event; /* ptr NULL = one of ours */
    struct gw_config_load load;
    struct gw_snapshot *snapshot;
    struct gw_audit_write write;
    struct gw_message *message;
    struct gw_post post;
};

/* ── Reading ───────────────────────────────────────────────────────────────────────────────── */

/* Over text that is known to be JSON. */
struct scanner {
    const char *at, *end;
    size_t depth, depth_max;
};

static char peek(const struct scanner *in)
{
    gw_check(in->at < in->end);
    return *in->at;
}

static void skip_string(struct scanner *in)
{
    for (in->at++; peek(in) != '"'; in->at++)
        if (*in->at == '\\')
            in->at++;
    in->at++;
}

/* To the next byte of structure, over strings; what stands between two is a number or a literal. */
static char skip_to_structure(struct scanner *in)
{
    while (!memchr("{}[]:,", peek(in), 6)) {
        if (*in->at == '"')
            skip_string(in);
        else
            in->at++;
    }
    return *in->at;
}

static void skip_container(struct scanner *in)
{
    do {
        char c = skip_to_structure(in);
        in->at++;
        if (c == '{' || c == '[')
            in->depth++;
        if (in->depth > in->depth_max)
            in->depth_max = in->depth;
        if (c == '}' || c == ']')
            in->depth--;
    } while (in->depth > 0);
}

/* The bytes of the object or array that is member `index` of an object. */
static struct gw_slice member_text(struct gw_slice json, size_t index, size_t *depth)
{
    struct scanner in = {.at = json.ptr, .end = json.ptr + json.len};
    for (size_t i = 0;; i++) {
        while (skip_to_structure(&in) != ':') /* the opening bracket, or the comma before */
            in.at++;
        in.at++;
        char c = skip_to_structure(&in);
        const char *start = in.at;
        if (c == '{' || c == '[')
            skip_container(&in);
        if (i == index) {
            *depth = in.depth_max;
            return (struct gw_slice){start, (size_t)(in.at - start)};
        }
        in.depth_max = 0;
    }
}

static enum gw_err read_name(const char *field, yyjson_val *value, struct gw_slice *name,
                             struct gw_error *error)
{
    if (!yyjson_is_str(value))
        return gw_error_set(error, GW_ERR_INVALID,
                            "%s: must be a string of 1 to 256 printable characters", field);
    if (name->ptr)
        return gw_error_set(error, GW_ERR_INVALID, "%s: is there twice", field);
    *name = gw_strict_str(value);
    return gw_name_check(field, *name, error);
}

static enum gw_err read_event(struct test *test, yyjson_val *value, size_t index,
                              struct gw_error *error)
{
    size_t max = test->request->api->options.event_bytes_max, depth;
    if (yyjson_is_null(value))
        return GW_OK;
    if (!yyjson_is_obj(value))
        return gw_error_set(error, GW_ERR_INVALID, "event: must be a JSON object");
    if (test->event.ptr)
        return gw_error_set(error, GW_ERR_INVALID, "event: is there twice");
    test->event = member_text(test->request->exchange->body, index, &depth);
    if (test->event.len > max)
        return gw_error_set(error, GW_ERR_TOO_LARGE, "event: must have at most %zu bytes, was %zu",
                            max, test->event.len);
    if (depth > GW_EVENT_DEPTH_MAX)
        return gw_error_set(error, GW_ERR_INVALID,
                            "event: must be nested at most %d levels deep, was %zu",
                            GW_EVENT_DEPTH_MAX, depth);
    return GW_OK;
}

static enum gw_err read_member(struct test *test, yyjson_val *key, yyjson_val *value, size_t index,
                               struct gw_error *error)
{
    struct gw_slice name = gw_strict_str(key);
    if (gw_slice_is(name, "appId"))
        return read_name("appId", value, &test->app_id, error);
    if (gw_slice_is(name, "eventType"))
        return read_name("eventType", value, &test->event_type, error);
    if (gw_slice_is(name, "event"))
        return read_event(test, value, index, error);
    return gw_error_set(error, GW_ERR_INVALID,
                        "unknown field \"%s\"; there are: appId, eventType, event",
                        gw_strict_shown(name).text);
}

/* Numbers are read as text, for an event may hold any. */
static enum gw_err read_request(struct test *test, struct gw_error *error)
{
    struct gw_slice body = test->request->exchange->body;
    yyjson_alc alc = gw_strict_alc(gw_api_arena(test->request));
    yyjson_read_err why;
    yyjson_val *key, *value;
    size_t at, count;
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)body.ptr, body.len,
                                       YYJSON_READ_NUMBER_AS_RAW, &alc, &why);
    yyjson_val *root = yyjson_doc_get_root(doc);
    if (body.len == 0 || (doc && !yyjson_is_obj(root)))
        return gw_error_set(error, GW_ERR_INVALID, "the body must be a JSON object");
    if (!doc)
        return gw_error_set(error, GW_ERR_INVALID, "the body is not JSON: %s at byte %zu", why.msg,
                            why.pos + 1);
    yyjson_obj_foreach(root, at, count, key, value)
    {
        enum gw_err err = read_member(test, key, value, at, error);
        if (err != GW_OK)
            return err;
    }
    enum gw_err err = gw_name_check("appId", test->app_id, error);
    return err == GW_OK ? gw_name_check("eventType", test->event_type, error) : err;
}

/* ── The end ───────────────────────────────────────────────────────────────────────────────── */

/* What it holds; the answer comes behind. */
static struct gw_api_request *release(struct test *test)
{
    gw_list_remove(&test->link);
    gw_message_unref(test->message);
    gw_snapshot_unref(test->snapshot);
    test->request->api->test_count--;
    return test->request;
}

static void on_posted(struct gw_post *post)
{
    struct test *test = gw_container_of(post, struct test, post);
    struct gw_buf *out = gw_reply_begin(test->request, 200);
    gw_look_render_attempt(&post->record, true, out);
    gw_reply_end(release(test));
}

void gw_api_cut(struct gw_api *api)
{
    gw_list_each_safe (link, &api->tests) {
        struct test *test = gw_container_of(link, struct test, link);
        gw_post_cancel(&test->post);
        gw_reply_later(release(test), 1000, "the server is stopping");
    }
}

/* ── Posting ───────────────────────────────────────────────────────────────────────────────── */

/* A small event of that type, for whoever gives none. */
static struct gw_slice make_event(struct test *test, const struct gw_id *id)
{
    struct gw_buf out = {0}, event_id = {0};
    gw_buf_adds(&event_id, GW_SLICE("test-"));
    gw_hex_encode(&event_id, id->bytes, 8);
    gw_buf_addc(&out, '{');
    gw_json_member(&out, "eventId", gw_buf_slice(&event_id));
    gw_json_member(&out, "eventType", test->event_type);
    gw_json_member_time(&out, "eventTime", gw_env_wall_ms(gw_api_env(test->request)));
    gw_json_member(&out, "appId", test->app_id);
    gw_json_member_bool(&out, "test", true);
    gw_buf_addc(&out, '}');
    struct gw_slice event = gw_arena_dup(gw_api_arena(test->request), gw_buf_slice(&out));
    gw_buf_deinit(&event_id);
    gw_buf_deinit(&out);
    return event;
}

/* As intake would make it: what header says of which type it is follows the body. */
static struct gw_message *make_message(struct test *test)
{
    struct gw_env *env = gw_api_env(test->request);
    struct gw_id id = {.len = 16};
    struct gw_event event;
    gw_env_random(env, id.bytes, id.len);
    if (!test->event.ptr)
        test->event = make_event(test, &id);
    gw_event_parse(&event, test->event, gw_api_arena(test->request), NULL);
    event.app_id = test->app_id;
    if (!event.event_type.ptr)
        event.event_type = test->event_type;
    struct gw_message *message = gw_message_create(&event, gw_env_wall_ms(env));
    message->id = id;
    return message;
}

static void post(struct test *test)
{
    struct gw_api *api = test->request->api;
    const struct gw_config *config = gw_snapshot_config(test->snapshot, test->event_type);
    test->message = make_message(test);
    test->post = (struct gw_post){
        .shard = api->shard,
        .arena = gw_api_arena(test->request),
        .config = config,
        .route = &config->routes[0],
        .message = test->message,
        .n = 1,
        .is_apart = true,
        .done = on_posted,
    };
    gw_list_push(&api->tests, &test->link);
    gw_post_start(&test->post);
}

static void on_written(struct gw_audit_write *write)
{
    struct test *test = gw_container_of(write, struct test, write);
    if (write->failed.err != GW_OK) {
        release(test);
        gw_audit_write_reply(write);
    } else if (test->request->api->shard->is_cut) {
        gw_reply_later(release(test), 1000, "the server is stopping");
    } else {
        post(test);
    }
}

static void write_down(struct test *test)
{
    struct gw_audit line =
        gw_audit_line(test->request, "test_sent", test->app_id, test->event_type);
    gw_audit_write_start(&test->write, test->request, &line, 1, on_written);
}

static void on_loaded(struct gw_op *op)
{
    struct gw_config_load *load = gw_container_of(op, struct gw_config_load, op);
    struct test *test = gw_container_of(load, struct test, load);
    if (op->err != GW_OK) {
        gw_reply_store_failed(release(test), op);
        return;
    }
    test->snapshot = load->snapshot;
    const struct gw_config *config = gw_snapshot_config(test->snapshot, test->event_type);
    if (!config)
        gw_reply_fail(release(test), 404, "there is no config for this appId and eventType");
    else
        write_down(test);
}

void gw_config_api_test(struct gw_api_request *request)
{
    struct gw_api *api = request->api;
    struct gw_configs *configs = api->shard->flow->configs;
    struct gw_error error;
    struct test *test = gw_arena_zalloc(gw_api_arena(request), sizeof(*test));
    test->request = request;
    enum gw_err err = read_request(test, &error);
    if (err != GW_OK) {
        gw_reply_fail(request, err == GW_ERR_TOO_LARGE ? 413 : 400, "%s", error.text);
        return;
    }
    if (!gw_api_may_see(request, test->app_id)) {
        gw_reply_fail(request, 403, "appId: the caller may test another app only");
        return;
    }
    if (api->test_count == TESTS_MAX) {
        gw_reply_later(request, 1000, "too many tests at once");
        return;
    }
    api->test_count++;
    gw_list_init(&test->link);
    test->load = (struct gw_config_load){
        .op = {.env = gw_api_env(request), .done = on_loaded},
        .app_id = test->app_id,
    };
    gw_configs_load(configs, &test->load);
}
